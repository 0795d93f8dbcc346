"""A fare's steps in plain words. The books keep the rule and its figures; the words are made when read."""

from hansa.fares.wording import en, fr, zh
from hansa.fares.wording.feed import FEED
from hansa.fares.wording.held import why
from hansa.fares.wording.pairing import PAIRING
from hansa.fares.wording.said import Facts, Said, money

_WORDS = {"en": en.WORDS, "zh": zh.WORDS, "fr": fr.WORDS}

LANGUAGES = tuple(_WORDS)
RULES = frozenset(en.WORDS)


def say(rule: str, amount: int, currency: str, facts: Facts, language: str = "en") -> str:
    """One step as a sentence with its figures. An unknown rule is said by its name, another language in English."""
    known = language.split("-")[0].lower()
    named = (_WORDS.get(known, en.WORDS), *(more.get(known, more["en"]) for more in (FEED, PAIRING)))
    words = next((found for one in named if (found := one.get(rule)) is not None), None)
    if words is None:
        return f"{rule}: {money(amount, currency)}"
    return words(Said(facts, money(amount, currency), currency))


__all__ = ["LANGUAGES", "RULES", "money", "say", "why"]
