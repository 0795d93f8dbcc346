"""City cards: what an issuer offers, who may have it, and how a card lives. Types and pure rules."""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from hansa.identity import ProofLevel, RiderClass
from hansa.kernel import HansaError, InvalidInput, Problem

State = Literal["applied", "refused", "active", "suspended", "expired", "ended"]
Face = Literal["sea", "teal", "amber", "plum", "slate"]

FACES: tuple[Face, ...] = ("sea", "teal", "amber", "plum", "slate")

NUMBER_DIGITS = 16
"""Digits of a card's number: 15 random ones, and a check digit."""

REASON_MAX, NAME_MAX = 300, 80

WAYS: Mapping[State, frozenset[State]] = {
    "applied": frozenset(("active", "refused", "ended")),
    "refused": frozenset(),
    "active": frozenset(("suspended", "expired", "ended")),
    "suspended": frozenset(("active", "expired", "ended")),
    "expired": frozenset(),
    "ended": frozenset(),
}
"""Every way from a state to the next. An end is for good; whoever wants a card again applies again."""

BEFORE: tuple[RiderClass, ...] = ("child", "senior", "student", "adult")
"""Of several cards in force, whose class holds."""


class UnknownCard(HansaError):
    """There is no such card, or it is not yours."""

    code: ClassVar[str] = "cards.unknown_card"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Check the id. Cards are read by their holder, their issuer and the league."


class UnknownProduct(HansaError):
    """There is no such card to be had."""

    code: ClassVar[str] = "cards.unknown_product"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Read /v1/card-products for those that are offered."


class ProductDiffers(HansaError):
    """A card product of this id is offered already and says something else."""

    code: ClassVar[str] = "cards.product_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Withdraw it, and offer another one under an id of its own."


class CardDiffers(HansaError):
    """A card of this id is known and is of another product."""

    code: ClassVar[str] = "cards.card_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give another application an id of its own."


class CardHeld(HansaError):
    """You have such a card already, or have applied for it."""

    code: ClassVar[str] = "cards.held"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Look at your cards; one that runs out soon can be renewed."


class CardMoved(HansaError):
    """The card is in another state by now, from which this cannot be done."""

    code: ClassVar[str] = "cards.moved"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Read the card again, and decide anew."


class NotEligible(HansaError):
    """This card is not for you: what your proof says does not fit what the card asks for."""

    code: ClassVar[str] = "cards.not_eligible"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Choose a card whose ages fit the date of birth that was proved."


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A card that an issuer offers.

    min_level: how well its holder must be known to have it at once. min_age, max_age: in whole years on the day, both
    included; need a date of birth from a proof. document: what the issuer's desk must see; empty where nothing.
    valid_months: from the day it is granted.
    """

    product_id: str
    issuer_id: str
    city_id: str
    name: str
    rider_class: RiderClass
    face: Face = "sea"
    min_level: ProofLevel = ProofLevel.NONE
    min_age: int | None = None
    max_age: int | None = None
    document: str = ""
    valid_months: int = 60
    status: Literal["offered", "withdrawn"] = "offered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A person's card. number_end: its last four digits; None before it has a number. valid_until: the last good day.

    reason: why it stands as it does, where somebody said so.
    """

    card_id: UUID
    account_id: UUID
    product: Product
    state: State
    number_end: str | None
    valid_until: date | None
    applied_at: datetime
    changed_at: datetime
    reason: str
    decided_by: str

    def in_force(self, day: date) -> bool:
        """Whether it proves its class on a day."""
        return self.state == "active" and self.valid_until is not None and day <= self.valid_until


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of who applies. born: from a proof; None where none was proved."""

    level: ProofLevel
    born: date | None


Verdict = Literal["grant", "desk", "refuse"]


def judge(product: Product, known: Known, day: date) -> Verdict:
    """Whether an application is granted at once, goes to the issuer's desk, or cannot be.

    What a proof contradicts is refused. What no proof says is looked at by a person.
    """
    ages = product.min_age is not None or product.max_age is not None
    if ages and known.born is not None:
        age = age_on(known.born, day)
        if age < (product.min_age or 0) or age > (150 if product.max_age is None else product.max_age):
            return "refuse"
    if product.document or known.level < product.min_level or (ages and known.born is None):
        return "desk"
    return "grant"


def last_day(product: Product, known: Known, day: date) -> date:
    """Until when a card granted on a day is good: its months, but never past the last day of its holder's age."""
    until = _months_on(day, product.valid_months)
    if product.max_age is not None and known.born is not None:
        birthday = _birthday(known.born, product.max_age + 1)
        until = min(until, date.fromordinal(birthday.toordinal() - 1))
    return until


def age_on(born: date, day: date) -> int:
    """Whole years on a day. Who was born on 29 February is a year older from 1 March where there is none."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def class_of(cards: Collection[Card], issuer_id: str, day: date) -> RiderClass:
    """The concession by which an account rides: of its own issuer's cards in force, the first of ``BEFORE``."""
    held = {
        one.product.rider_class for one in cards if one.product.issuer_id == issuer_id and one.in_force(day)
    }
    classes: list[RiderClass] = [one for one in BEFORE if one in held]
    return classes[0] if classes else "adult"


def new_number() -> str:
    """A card's number: 16 digits, the last a check digit (ISO/IEC 7812-1, Luhn). It tells nothing of its holder."""
    body = "".join(secrets.choice("0123456789") for _ in range(NUMBER_DIGITS - 1))
    return body + check_digit(body)


def check_digit(body: str) -> str:
    """The digit after these (ISO/IEC 7812-1, annex B): finds each wrong digit, and nearly all neighbours swapped."""
    doubled = sum(sum(divmod(2 * int(one), 10)) for one in body[::-2])
    return str(-(doubled + sum(int(one) for one in body[-2::-2])) % 10)


def read_number(text: str) -> str:
    """A card's number as somebody wrote it. Errors: InvalidInput where it is mistyped."""
    digits = re.sub(r"[\s-]", "", text)[:40]
    if (
        not re.fullmatch(rf"[0-9]{{{NUMBER_DIGITS}}}", digits, re.ASCII)
        or check_digit(digits[:-1]) != digits[-1]
    ):
        problem = Problem("number", "it is mistyped", f"Write the {NUMBER_DIGITS} digits on the card")
        raise InvalidInput("This is no card number.", problems=(problem,))
    return digits


def check_product(one: Product) -> None:
    """Errors: InvalidInput, with every field that does not fit."""
    problems: list[Problem] = []
    if not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", one.product_id):
        problems.append(Problem("product_id", "it does not fit", "Use small letters, digits and hyphens"))
    if not 1 <= len(one.name.strip()) <= NAME_MAX or "\0" in one.name:
        problems.append(Problem("name", "it is empty or too long", f"Write 1 to {NAME_MAX} characters"))
    if len(one.document) > NAME_MAX or "\0" in one.document:
        problems.append(Problem("document", "it is too long", f"Write at most {NAME_MAX} characters"))
    if one.face not in FACES:
        problems.append(Problem("face", f"is {one.face[:20]!r}", f"Choose one of {', '.join(FACES)}"))
    if not 1 <= one.valid_months <= 240:
        problems.append(Problem("valid_months", f"is {one.valid_months}", "Give 1 to 240"))
    ages = [age for age in (one.min_age, one.max_age) if age is not None]
    if any(not 0 <= age <= 150 for age in ages) or ages != sorted(ages):
        problems.append(Problem("min_age, max_age", "are no ages in order", "Give 0 to 150, the lower first"))
    if problems:
        raise InvalidInput("This card cannot be offered.", problems=tuple(problems))


def read_reason(text: str) -> str:
    """Why something is decided. Errors: InvalidInput where it is empty or too long."""
    reason = text.strip()
    if not 1 <= len(reason) <= REASON_MAX or "\0" in reason:
        problem = Problem("reason", "it is empty or too long", f"Write 1 to {REASON_MAX} characters")
        raise InvalidInput("A decision has a reason.", problems=(problem,))
    return reason


def _months_on(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        if last <= day.day:
            try:
                return date(year, month + 1, last)
            except ValueError:
                continue
    raise AssertionError("every month has 28 days")


def _birthday(born: date, age: int) -> date:
    try:
        return born.replace(year=born.year + age)
    except ValueError:  # 29 February
        return date(born.year + age, 3, 1)
