"""City cards: what an issuer offers, who may have it, and how a card lives. Types and pure rules."""

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from hansa.identity import ProofLevel, RiderClass
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem

State = Literal["applied", "refused", "active", "suspended", "expired", "ended"]
Face = Literal["sea", "teal", "amber", "plum", "slate"]

FACES: tuple[Face, ...] = ("sea", "teal", "amber", "plum", "slate")

NUMBER_DIGITS = 16
"""Digits of a card's number: 15 random ones, and a check digit."""

REASON_MAX, NAME_MAX = 300, 80

COSTS_MAX = 100_000_000
"""No card costs more, price or deposit, in minor units."""

WARN_DAYS = (30, 7)
"""So many days before a card's last one its holder is told, each time once."""

FeeState = Literal["due", "approving", "paying", "paid", "dropped"]
DepositState = Literal["none", "held", "returning", "returned", "keeping", "kept"]
Till = Literal["wallet", "counter"]
"""Where a card is paid, and where its deposit comes back to."""

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


class FeeMoved(HansaError):
    """This card is paid, or being paid, or costs nothing."""

    code: ClassVar[str] = "cards.fee_moved"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Read the card again; its `fee` says how it stands."


class NotCleared(HansaError):
    """The issuer's desk has not said yet that you may have this card; it is paid after that."""

    code: ClassVar[str] = "cards.not_cleared"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Wait for the desk; you are told when it has decided."


class PaidAtCounter(HansaError):
    """This card is in a currency that your wallet has not: it is paid by a quote, or at its issuer's counter."""

    code: ClassVar[str] = "cards.paid_at_counter"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Ask for a quote at /v1/quotes and send its quote_id, or pay at a counter of its issuer."
    )


class FeeNotCovered(HansaError):
    """Your wallet holds less than this card costs. Nothing was taken."""

    code: ClassVar[str] = "cards.fee_not_covered"
    status: ClassVar[int] = 402
    remedy: ClassVar[str] = "Top up, and pay the card then."


class NoDeposit(HansaError):
    """No deposit is held for this card, so none can come back."""

    code: ClassVar[str] = "cards.no_deposit"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Read the card again; its `fee` says where its deposit is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A card that an issuer offers.

    min_level: how well its holder must be known to have it at once. min_age, max_age: in whole years on the day, both
    included; need a date of birth from a proof. document: what the issuer's desk must see; empty where nothing.
    valid_months: from the day it is granted. price_minor, deposit_minor: what it costs, and what comes back when it is
    handed in, both in ``currency``, minor units; zero and empty for a card that costs nothing.
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
    price_minor: int = 0
    deposit_minor: int = 0
    currency: str = ""
    status: Literal["offered", "withdrawn"] = "offered"

    @property
    def costs(self) -> Money | None:
        """Price and deposit together; None for a card that costs nothing."""
        minor = self.price_minor + self.deposit_minor
        return Money(minor, self.currency) if minor else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A person's card. number_end: its last four digits; None before it has a number. valid_until: the last good day.

    reason: why it stands as it does, where somebody said so. replaces: the card that was lost, whose place it takes.
    fee: what is paid for it; None where it costs nothing.
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
    replaces: UUID | None = None
    fee: "Fee | None" = None

    def in_force(self, day: date) -> bool:
        """Whether it proves its class on a day."""
        return self.state == "active" and self.valid_until is not None and day <= self.valid_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """What is paid for one card. cleared: its holder may have it. attempt: of paying from the wallet, from 1.

    state: due; approving, its holder is asked; paying; paid; dropped, since the card came to nothing. way: where it is
    paid. by_whom: the clerk who took it. deposit: held by the issuer, on its way back, back, on its way to the issuer
    or the issuer's for good; none where none was left. deposit_to: where it went back to. quote_id: by which this
    attempt is paid, from a wallet in another currency.
    """

    card_id: UUID
    partition: int
    account_id: UUID
    issuer_id: str
    currency: str
    price_minor: int
    deposit_minor: int
    state: FeeState
    cleared: bool
    attempt: int
    way: Literal["", "wallet", "counter", "payment"]
    by_whom: str
    asked_at: datetime
    moved_at: datetime
    deposit: DepositState
    deposit_to: Literal["", "wallet", "counter"]
    deposit_by: str
    quote_id: UUID | None = None

    @property
    def total(self) -> Money:
        """Price and deposit."""
        return Money(self.price_minor + self.deposit_minor, self.currency)


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


def next_warning(until: date, day: date) -> date | None:
    """The day on which the holder of a card that is good until then is told next; None once there is none left."""
    days = [date.fromordinal(until.toordinal() - before) for before in WARN_DAYS]
    return next((one for one in days if one > day), None)


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
    for where, minor in (("price_minor", one.price_minor), ("deposit_minor", one.deposit_minor)):
        if not 0 <= minor <= COSTS_MAX:
            problems.append(Problem(where, f"is {minor}", f"Give 0 to {COSTS_MAX} minor units"))
    if one.currency not in CURRENCY_EXPONENTS and (one.currency or one.price_minor or one.deposit_minor):
        problems.append(
            Problem("currency", f"is {one.currency[:10]!r}", "Give the three letters of a known currency")
        )
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
