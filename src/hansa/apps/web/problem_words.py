"""What is wrong with a form and what to do about it, in the reader's language.

Rooms write both in English, some with a figure or a name in it. A sentence without is in the catalogue as it stands;
of those with something in them the catalogue has the pattern, which is found again here.
"""

import re
from collections.abc import Iterable

from hansa.apps.web.languages import Words
from hansa.kernel import Problem

PATTERNS = (
    "{what} is no amount of {currency}",
    "Write it with at most {n} decimals",
    "It is {figure}",
    "Is {figure}",
    "It has {n} characters",
    "Write 1 to {n} characters",
    "Write 2 to {n} characters",
    "Write at most {n} characters",
    "Write at most {n} Latin letters",
    "Write at most {n} that can be seen, on one line",
    "Say what it is for, in at most {n} characters",
    "Give the phone a name of 1 to {n} characters",
    "Give the passkey a name of 1 to {n} characters",
    "Give back more than nothing, in {currency}",
    "More than {left}",
    "The wallet may hold {most}",
    "The document ended on {day}",
    "Write 1 to {n} Latin letters",
    "Write 1 to {n} Latin letters, digits and signs: codes are read abroad too",
    "This shop takes {currency}",
    "Price at least one of {names}",
    "Take 1 to {n} of {names}",
    "Give times in order, at least one place, and at most {n} at once",
    "You have no wallet in {currency}",
    "The bank account is in {currency}",
    "Take one of {names}",
    "Nobody is known as {name}",
    "{what} is none of these",
    "{what} is no region",
    "{what} is no day of birth",
    "{what} is no category",
    "{what} is no origin",
    "{what} does not fit",
    "There are {n}",
    "Names {n} people",
    "Name 2 to {n}, each once",
    "Name at most {n}",
    "You have named {n}",
    "The amounts come to {given}, the bill to {total}",
    "{n} of your links wait already",
)
"""Sentences of rooms with something in them. The first that fits is taken."""


def in_words(problems: Iterable[Problem], say: Words) -> str:
    """What is wrong and what to do, of each of these."""
    stop, between = ("。", "") if say.language == "zh" else (".", " ")
    sentences = (_said(text, say) + stop for one in problems for text in (one.what, one.remedy))
    return between.join(sentences)


def _said(text: str, say: Words) -> str:
    sentence = text[:1].upper() + text[1:]
    for known in (sentence, text):
        if known in say.catalogue:
            return say(known)
    for pattern, finds in _FINDS:
        if found := finds.fullmatch(sentence):
            return say(pattern, **found.groupdict())
    return sentence


def _finding(pattern: str) -> re.Pattern[str]:
    """What finds the sentences of a pattern, with what stands at its places."""
    plain = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(
        re.sub(r"\{(\w+)\}", lambda place: f"(?P<{place[1]}>{_PLACES.get(place[1], '.+')})", plain)
    )


_PLACES = {"n": r"[\d,]+", "figure": r"[^a-z]*\d[^a-z]*"}
"""What can stand at places of these names; at others anything in a line."""
_FINDS = [(one, _finding(one)) for one in PATTERNS]
