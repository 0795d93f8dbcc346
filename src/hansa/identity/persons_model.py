"""Persons: how well a name is proved, what each level unlocks, at which age one answers for oneself.

Types and pure rules.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated, ClassVar, Literal, NewType
from uuid import UUID

import msgspec

from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem

PersonId = NewType("PersonId", UUID)

NAME_MAX = 120
"""Characters of a real name."""

OLDEST_YEARS = 150

BirthSource = Literal["stated", "proof"]


class ProofLevel(IntEnum):
    """How well it is known who holds an account; each level has what stands before it.

    NONE: a sign-in and no more. CONTACT: an e-mail address or a telephone number that reaches them. NAME: a provider
    said that the name and the document's number belong together. DOCUMENT: it said so of the document itself, with
    how long it is valid.
    """

    NONE = 0
    CONTACT = 1
    NAME = 2
    DOCUMENT = 3


@dataclass(frozen=True, slots=True)
class Birth:
    """When somebody was born. source: ``stated`` by themselves, or taken from a ``proof``."""

    born: date
    source: BirthSource
    noted_at: datetime


# -- what a level unlocks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caps:
    """What an account of a level may hold, and pay in a calendar year; None: no cap of this kind."""

    level: ProofLevel
    balance: Money | None
    year: Money | None


class _Caps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    balance: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    year: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}


class _IssuerRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    none: _Caps | None = None
    contact: _Caps | None = None
    name: _Caps | None = None
    document: _Caps | None = None
    second_account: Literal["join", "refuse"] | None = None
    kept_days: Annotated[int, msgspec.Meta(ge=0, le=3_660)] | None = None


class LevelPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """levels.toml, which says what each figure means. Amounts are whole minor units by ISO 4217 currency."""

    version: Annotated[int, msgspec.Meta(ge=1)]
    proof_years: Annotated[int, msgspec.Meta(ge=1, le=20)]
    checks_per_day: Annotated[int, msgspec.Meta(ge=1, le=100)]
    asks_max: Annotated[int, msgspec.Meta(ge=1, le=1_000)]
    default: _IssuerRules
    issuer: dict[str, _IssuerRules] = {}

    def caps(self, issuer_id: str, level: ProofLevel, currency: str) -> Caps:
        """What this level unlocks at this issuer in this currency; an issuer's own line stands before the default."""
        name = level.name.lower()
        own = getattr(self.issuer.get(issuer_id, _IssuerRules()), name)
        line: _Caps = own or getattr(self.default, name) or _Caps()
        balance, year = line.balance.get(currency), line.year.get(currency)
        return Caps(
            level,
            None if balance is None else Money(balance, currency),
            None if year is None else Money(year, currency),
        )

    def caps_of(self, issuer_id: str) -> list[tuple[str, Caps]]:
        """What each level unlocks at this issuer in each currency that has a cap, lowest level first."""
        own = self.issuer.get(issuer_id, _IssuerRules())
        names = [level.name.lower() for level in ProofLevel]
        lines: list[_Caps] = [getattr(own, name) or getattr(self.default, name) or _Caps() for name in names]
        currencies = sorted({unit for line in lines for unit in (*line.balance, *line.year)})
        return [(unit, self.caps(issuer_id, level, unit)) for level in ProofLevel for unit in currencies]

    def second_account(self, issuer_id: str) -> Literal["join", "refuse"]:
        """What becomes of a person's second account at the same issuer."""
        own = self.issuer.get(issuer_id, _IssuerRules()).second_account
        return own or self.default.second_account or "refuse"

    def kept_days(self, issuer_id: str) -> int:
        """How many days after an account is closed law wants what proved its name."""
        own = self.issuer.get(issuer_id, _IssuerRules()).kept_days
        return (self.default.kept_days or 0) if own is None else own


@cache
def own_level_policy() -> LevelPolicy:
    """The policy that comes with Hansa."""
    return read_level_policy(_text("levels.toml"))


@lru_cache(maxsize=4_096)
def year_cap(issuer_id: str, level: int, currency: str) -> int | None:
    """What an account of this level may pay in a calendar year, in minor units; None: no cap. level: a ProofLevel's."""
    cap = own_level_policy().caps(issuer_id, ProofLevel(level), currency).year
    return None if cap is None else cap.minor


@lru_cache(maxsize=4_096)
def balance_cap(issuer_id: str, level: int, currency: str) -> int | None:
    """What an account of this level may hold, in minor units; None: no cap. level: a ProofLevel's."""
    cap = own_level_policy().caps(issuer_id, ProofLevel(level), currency).balance
    return None if cap is None else cap.minor


def read_level_policy(toml: str) -> LevelPolicy:
    """The policy from its text. Errors: InvalidInput, which names the field and its bounds."""
    try:
        policy = msgspec.toml.decode(toml, type=LevelPolicy)
    except msgspec.DecodeError as error:
        raise _unfit("levels.toml", str(error), "Write each figure within its bounds") from error
    for issuer, rules in {"default": policy.default, **policy.issuer}.items():
        _check_caps(issuer, rules)
    return policy


def _check_caps(issuer: str, rules: _IssuerRules) -> None:
    """A higher level never unlocks less than a lower one, and currencies are currencies."""
    last: dict[tuple[str, str], int] = {}
    for level in ProofLevel:
        line: _Caps | None = getattr(rules, level.name.lower())
        for kind in ("balance", "year"):
            amounts: Mapping[str, int] = getattr(line, kind) if line else {}
            for currency, minor in amounts.items():
                where = f"levels.toml {issuer}.{level.name.lower()}.{kind}.{currency}"
                if currency not in CURRENCY_EXPONENTS:
                    raise _unfit(where, "it is no currency", "Write a code of ISO 4217")
                if minor < last.get((kind, currency), 0):
                    raise _unfit(where, "it is less than a lower level has", "Let no level unlock less")
                last[kind, currency] = minor


# -- age ----------------------------------------------------------------------------------------------------


class AgeRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """digital_consent: from which age a child agrees for itself. majority: from which it answers for itself wholly."""

    digital_consent: Annotated[int, msgspec.Meta(ge=0, le=25)]
    majority: Annotated[int, msgspec.Meta(ge=0, le=25)]
    source: str


@cache
def age_rules() -> Mapping[str, AgeRules]:
    """Of each country (ISO 3166-1 alpha-2); ``*`` is for those without a line. From ages.toml."""
    return msgspec.toml.decode(_text("ages.toml"), type=dict[str, AgeRules])


def ages_of(country: str) -> AgeRules:
    """The ages of a country, or the strictest for one that is not listed."""
    rules = age_rules()
    return rules.get(country) or rules["*"]


def age_on(born: date, day: date) -> int:
    """Whole years of age; who was born on 29 February is a year older from 1 March in other years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def needs_guardian(born: date | None, country: str, day: date) -> bool:
    """Whether someone born then needs a guardian for an account there; not known is not taken for a child."""
    return born is not None and age_on(born, day) < ages_of(country).digital_consent


def read_birth(text: str, today: date) -> date:
    """A day of birth as a form sends it, ``2011-11-17``. Errors: InvalidInput, for a day nobody alive was born on."""
    try:
        born = date.fromisoformat(text.strip())
    except ValueError as error:
        problem = Problem("born", "it is no day", "Write it as 2011-11-17")
        raise InvalidInput("This is no day.", problems=(problem,)) from error
    check_birth(born, today)
    return born


def check_birth(born: date, today: date) -> None:
    """Errors: InvalidInput, for a day that nobody alive was born on."""
    if not today.year - OLDEST_YEARS <= born.year or born > today:
        problem = Problem("born", f"it is {born}", "Give the day you were born, as in your document")
        raise InvalidInput("Nobody alive was born on that day.", problems=(problem,))


def is_minor(born: date, country: str, day: date) -> bool:
    """Whether someone born then has not come of age there."""
    return age_on(born, day) < ages_of(country).majority


# -- names --------------------------------------------------------------------------------------------------


def real_name(text: str, *, where: str = "name") -> str:
    """A real name as it is kept: NFC, single spaces, 2 to 120 characters, at least one letter. Errors: InvalidInput."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    odd = any(unicodedata.category(letter) in ("Cc", "Cs", "Cf", "Co", "Cn") for letter in name)
    if odd or any(letter.isdigit() for letter in name) or not any(letter.isalpha() for letter in name):
        raise _unfit(where, "it is no name", "Write your name as it stands in the document")
    if not 2 <= len(name) <= NAME_MAX:
        raise _unfit(where, f"it has {len(name)} characters", f"Write 2 to {NAME_MAX} characters")
    return name


def masked_name(name: str) -> str:
    """A name as others are shown it: enough to know someone by, not enough to look them up. ``*伟``, ``Emily T.``.

    Names in Chinese, Japanese or Korean letters without a space show their last letter.
    """
    words = name.split()
    if not words:
        return ""
    if len(words) == 1 and _is_cjk(words[0]):
        return f"{'*' * min(3, len(name) - 1)}{name[-1]}" if len(name) > 1 else name
    if len(words) == 1:
        return f"{name[0]}***"
    return f"{words[0]} {words[-1][0]}."


def masked_number(number: str) -> str:
    """A document's number as its holder is shown it: the first and the last two characters."""
    return number if len(number) < 5 else f"{number[0]}{'•' * min(12, len(number) - 3)}{number[-2:]}"


def _is_cjk(word: str) -> bool:
    return all(
        unicodedata.name(letter, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL")) for letter in word
    )


def _text(name: str) -> str:
    return (files("hansa.identity") / name).read_text(encoding="utf-8")


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}.", problems=(Problem(where, what, remedy),))


# -- refusals -----------------------------------------------------------------------------------------------


class AccountClosed(HansaError):
    """This account was deleted. Its numbers stay in the books; nobody signs in to it any more."""

    code: ClassVar[str] = "identity.account_closed"
    status: ClassVar[int] = 409
    next_action: ClassVar[str] = "none"
    user_message: ClassVar[str] = "This account was deleted."


class BirthKnown(HansaError):
    """A day of birth is stated once. To correct it, prove your name: the day in the document then counts."""

    code: ClassVar[str] = "identity.birth_known"
    status: ClassVar[int] = 409
    next_action: ClassVar[str] = "prove_name"
    user_message: ClassVar[str] = (
        "Your day of birth is known already. To correct it, prove your name: the day in the document then counts."
    )


class GuardianNeeded(HansaError):
    """At this age an account needs a guardian who has accepted it. Invite one first."""

    code: ClassVar[str] = "identity.guardian_needed"
    status: ClassVar[int] = 403
    next_action: ClassVar[str] = "invite_guardian"
    user_message: ClassVar[str] = (
        "At your age an account needs a guardian who has accepted it. Invite one first."
    )
