"""A message's form as data: which elements in which order, how often, and what their texts may be. Pure.

The part of the published message definitions that Hansa writes and reads strictly. A shape is a text's rule, or the
children in order; whatever a shape does not name is a problem, though the standard may allow it.
Source: the published XSDs of the messages (2019 set).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

from hansa.kernel import BIC, CURRENCY_EXPONENTS, Problem, is_iban
from hansa.settlement.iso20022 import TEXT, UETR, split_tag

Rule = Callable[[str], str]
"""What is wrong with a text; empty where nothing is."""

Shape = Rule | tuple[tuple[str, int, int | None, "Shape"], ...]
"""A text's rule, or the children in order: name, how many at least, how many at most (None: any), shape."""

ONE_OF = ("Id", "FinInstnId", "Rsn")
"""Elements of which exactly one child stands: a choice, or an identification that Hansa gives in one way."""


def matches(pattern: re.Pattern[str], what: str) -> Rule:
    """A text of this pattern."""
    return lambda text: "" if pattern.fullmatch(text) else f"{text!r} is not {what}"


def at_most(limit: int) -> Rule:
    """A text of 1 to ``limit`` characters, of those that every bank takes."""

    def check(text: str) -> str:
        if not 1 <= len(text) <= limit:
            return f"{len(text)} characters, and 1 to {limit} are allowed"
        return "" if TEXT.fullmatch(text) else f"{text!r} holds a character that banks do not take"

    return check


def one_of(*allowed: str) -> Rule:
    """One of these texts."""
    return lambda text: "" if text in allowed else f"{text!r} is none of {', '.join(allowed)}"


def is_date(text: str) -> str:
    """A calendar day as 2026-11-17."""
    try:
        return "" if date.fromisoformat(text).isoformat() == text else f"{text!r} is not a date"
    except ValueError:
        return f"{text!r} is not a date"


def is_instant(text: str) -> str:
    """A day and a time of day."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return f"{text!r} is not an instant"
    return ""


def is_iban_number(text: str) -> str:
    """An IBAN with its check digits."""
    return "" if is_iban(text) else f"{text!r} is not an IBAN, or its check digits are wrong"


_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,17})?")
COUNT = matches(re.compile(r"[0-9]{1,15}"), "a count")
AMOUNT = matches(_DECIMAL, "an amount")
CURRENCY = one_of(*CURRENCY_EXPONENTS)
NAME: Shape = (("Nm", 1, 1, at_most(140)),)
OTHER_34: Shape = (("Id", 1, 1, at_most(34)),)
OTHER_35: Shape = (("Id", 1, 1, at_most(35)),)
ACCOUNT: Shape = (
    ("Id", 1, 1, (("IBAN", 0, 1, is_iban_number), ("Othr", 0, 1, OTHER_34))),
    ("Ccy", 0, 1, CURRENCY),
)
AGENT: Shape = (("FinInstnId", 1, 1, (("BICFI", 0, 1, matches(BIC, "a BIC")), ("Othr", 0, 1, OTHER_35))),)
UETR_TEXT = matches(UETR, "a UUIDv4")


def check(element: ET.Element, where: str, shape: Shape, namespace: str) -> Iterator[Problem]:
    """An element against its shape: a text's rule, or the children, their order and their number."""
    if not isinstance(shape, tuple):
        complaint = "it holds elements" if len(element) else shape(element.text or "")
        if complaint:
            yield Problem(where, complaint, f"Write it as {namespace.rpartition(':')[2]} has it")
        return
    children = list(element)
    at = 0
    for name, least, most, inner in shape:
        found = 0
        while at < len(children) and split_tag(children[at]) == (namespace, name):
            found += 1
            place = f"{where}/{name}" + (f"[{found}]" if most is None else "")
            yield from check(children[at], place, inner, namespace)
            at += 1
        if found < least:
            yield Problem(f"{where}/{name}", "it is not there, or not in its place", "Write it in order")
        if most is not None and found > most:
            yield Problem(f"{where}/{name}", f"it stands {found} times", f"Write it at most {most} times")
    if at < len(children):
        name = split_tag(children[at])[1]
        yield Problem(f"{where}/{name}", "it does not belong here", "Take it out, or put it in its place")
    if where.rpartition("/")[2] in ONE_OF and len(children) != 1:
        yield Problem(where, f"it has {len(children)} identifications", "Give exactly one")


def check_once(root: ET.Element, names: Sequence[str], namespace: str) -> Iterator[Problem]:
    """Identifiers that may each stand only once in a message."""
    for name in names:
        seen: set[str] = set()
        for element in root.iter(f"{{{namespace}}}{name}"):
            text = element.text or ""
            if text in seen:
                yield Problem(name, f"{text} stands twice", "Give each its own")
            seen.add(text)


def check_amounts(root: ET.Element, name: str, namespace: str) -> Iterator[Problem]:
    """Amounts of an active currency, with no more decimals than it has, and above zero."""
    for element in root.iter(f"{{{namespace}}}{name}"):
        currency, text = element.get("Ccy", ""), element.text or ""
        decimals = len(text.partition(".")[2])
        if currency not in CURRENCY_EXPONENTS:
            yield Problem(f"{name}/@Ccy", f"{currency!r} is no currency", "Give an ISO 4217 code")
        elif decimals > CURRENCY_EXPONENTS[currency]:
            yield Problem(
                name,
                f"{text} has {decimals} decimals",
                f"{currency} has {CURRENCY_EXPONENTS[currency]}",
            )
        elif Decimal(text) <= 0:
            yield Problem(name, f"{text} moves nothing", "Leave the payment out")


def check_sums(
    element: ET.Element, where: str, amounts: Sequence[Decimal], namespace: str
) -> Iterator[Problem]:
    """The count and the control sum that stand in ``element``, against the amounts they speak of."""
    count = element.findtext(f"{{{namespace}}}NbOfTxs")
    total = element.findtext(f"{{{namespace}}}CtrlSum")
    if count is not None and int(count) != len(amounts):
        yield Problem(f"{where}/NbOfTxs", f"it says {count}, there are {len(amounts)}", "Count again")
    if total is not None and Decimal(total) != sum(amounts):
        yield Problem(f"{where}/CtrlSum", f"it says {total}, they add up to {sum(amounts)}", "Add up again")
