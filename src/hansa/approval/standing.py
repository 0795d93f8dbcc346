"""Standing approvals: what one person lets another spend, and what a payer lets a payee take. Types and pure rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from hansa.approval.counting import Counter
from hansa.approval.model import (
    Channel,
    DelegationExceeded,
    MandateEnded,
    MandateExceeded,
    MandatePaused,
    MandateUnannounced,
    NotDelegated,
    Spend,
    UnknownMandate,
)
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem

Kind = Literal["carer", "child", "employee", "other"]
KINDS: tuple[Kind, ...] = ("carer", "child", "employee", "other")
Period = Literal["day", "week", "month", "year"]
PERIODS: tuple[Period, ...] = ("day", "week", "month", "year")

NOT_FOR_CHILDREN = ("5813", "5921", "5933", "5993", "6010-6012", "6051", "7273", "7801-7802", "7995")
"""Merchant categories (ISO 18245) a child's delegation denies unless its owner says otherwise: bars and drink, pawn,
tobacco, cash and its like, dating, lotteries and betting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What an owner lets another account spend from theirs.

    payment_minor, day_minor, month_minor: caps in minor units of currency. ask_above_minor: above this the owner agrees
    to each payment; None: never. categories, categories_denied: merchant categories or ranges, ``5411``,
    ``5811-5814``; none allowed by name means all. payees: payee keys; none named means all. from_hour, to_hour: of the
    day in the owner's zone, to_hour excluded. holds_from: after the wait that a grant takes. given_at: when its owner
    gave it, None while they are asked; asked_by: the member who asked them, empty where nobody did. replaces: the one
    in whose place its owner gave it; replaced_at: from when another one holds in its place.
    """

    partition: int
    delegation_id: UUID
    account_id: AccountId
    delegate_id: AccountId
    kind: Kind
    currency: str
    payment_minor: int
    day_minor: int
    month_minor: int
    ask_above_minor: int | None
    categories: Sequence[str]
    categories_denied: Sequence[str]
    payees: Sequence[str]
    from_hour: int
    to_hour: int
    granted_at: datetime
    holds_from: datetime
    ends_at: datetime
    revoked_at: datetime | None
    delegate_frozen: bool
    given_at: datetime | None
    asked_by: str = ""
    replaces: UUID | None = None
    replaced_at: datetime | None = None

    def state(self, at: datetime) -> Literal["asked", "waiting", "active", "ended", "revoked"]:
        """Where it stands at this instant."""
        if self.revoked_at is not None:
            return "revoked"
        if at >= self.last_until:
            return "ended"
        if self.given_at is None:
            return "asked"
        return "active" if at >= self.holds_from else "waiting"

    @property
    def last_until(self) -> datetime:
        """Until when it holds: its end, or when another one takes its place."""
        return self.ends_at if self.replaced_at is None else min(self.ends_at, self.replaced_at)

    def overlaps(self, other: "Delegation") -> bool:
        """Whether some payment could be made under either, so that their caps would add up."""
        if (self.account_id, self.delegate_id, self.currency) != (
            other.account_id, other.delegate_id, other.currency,
        ):  # fmt: skip
            return False
        hours = self.from_hour < other.to_hour and other.from_hour < self.to_hour
        payees = not self.payees or not other.payees or not set(self.payees).isdisjoint(other.payees)
        return hours and payees and _share_a_category(self, other)

    def lets(self, category: str) -> bool:
        """Whether it is for this merchant category; empty: of a payment that has none."""
        if in_categories(self.categories_denied, category):
            return False
        return not self.categories or in_categories(self.categories, category)

    @property
    def payment(self) -> Money:
        return Money(self.payment_minor, self.currency)

    @property
    def day(self) -> Money:
        return Money(self.day_minor, self.currency)

    @property
    def month(self) -> Money:
        return Money(self.month_minor, self.currency)

    @property
    def ask_above(self) -> Money | None:
        return None if self.ask_above_minor is None else Money(self.ask_above_minor, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """What a payer lets a payee take, without being asked each time.

    member_id: who asked for it; empty where the payer gave it unasked. each_minor: one payment at most. period_minor:
    all of one period at most. holds_from: None until the payer approves. notice_h: how many hours before each payment
    the payee announces it, as was signed; lead_h: how many the payer wants now, no fewer; 0: it is not announced.
    paused_until: nothing is taken before. retry_d: after how many days from the due one an announced payment that
    lacked money is tried again, rising. unannounced: of one that is decided on, whether it lacks its announcement.
    """

    partition: int
    mandate_id: UUID
    account_id: AccountId
    payee_key: str
    payee_name: str
    member_id: str
    reference: str
    currency: str
    each_minor: int
    period: Period
    period_minor: int
    asked_at: datetime
    holds_from: datetime | None
    ends_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    notice_h: int = 0
    lead_h: int = 0
    paused_until: datetime | None = None
    retry_d: Sequence[int] = ()
    unannounced: bool = False

    def is_paused(self, at: datetime) -> bool:
        """Whether nothing is taken at this instant since its payer wants none."""
        return self.paused_until is not None and at < self.paused_until

    def state(self, at: datetime) -> Literal["asked", "active", "ended", "revoked"]:
        """Where it stands at this instant."""
        if self.revoked_at is not None:
            return "revoked"
        if at >= self.ends_at:
            return "ended"
        return "active" if self.holds_from is not None and at >= self.holds_from else "asked"

    @property
    def each(self) -> Money:
        return Money(self.each_minor, self.currency)

    @property
    def in_period(self) -> Money:
        return Money(self.period_minor, self.currency)


def refuse_mandate(
    mandate: Mandate | None, counter: Counter, spend: Spend, at: datetime
) -> HansaError | None:
    """Why this mandate does not let the payee take this; None where it does. counter: rolled to this instant."""
    if mandate is None or (mandate.account_id, mandate.payee_key) != (spend.account_id, spend.payee_key):
        return UnknownMandate()
    state = mandate.state(at)
    if state != "active":
        said = {"asked": "has not been approved", "ended": "is over", "revoked": "was revoked"}[state]
        return MandateEnded(f"This mandate {said}.")
    if mandate.is_paused(at):
        return MandatePaused()
    if mandate.unannounced:
        return MandateUnannounced()
    if spend.amount.currency != mandate.currency:
        return MandateExceeded(f"This mandate is for {mandate.currency}.")
    if spend.amount.minor > mandate.each_minor:
        return MandateExceeded(f"This mandate lets {mandate.each} be taken at a time.")
    if counter.period_minor + spend.amount.minor > mandate.period_minor:
        left = Money(max(0, mandate.period_minor - counter.period_minor), mandate.currency)
        return MandateExceeded(f"This mandate leaves {left} in this {mandate.period}.")
    return None


def refuse_delegation(
    delegation: Delegation | None, counter: Counter, spend: Spend, at: datetime, local_hour: int
) -> HansaError | None:
    """Why this delegation does not let this be spent; None where it does. counter: rolled to this instant."""
    if delegation is None:
        return NotDelegated()
    state = delegation.state(at)
    if state != "active":
        said = {
            "asked": "was not given",
            "waiting": "does not hold yet",
            "ended": "is over",
            "revoked": "was revoked",
        }[state]
        return NotDelegated(f"What the owner lets this person spend {said}.")
    if delegation.delegate_frozen:
        return NotDelegated("Whoever asks has frozen their own spending.")
    if spend.channel is Channel.BANK:
        return DelegationExceeded("A delegate takes no money out to a bank account.")
    if spend.payee_key == f"account:{spend.by}" or spend.payee_key.startswith("link:"):
        return DelegationExceeded("A delegate sends to other people, not to themselves and not by a link.")
    if spend.amount.currency != delegation.currency:
        return DelegationExceeded(f"The owner lets this person spend {delegation.currency}.")
    if delegation.payees and spend.payee_key not in delegation.payees:
        return DelegationExceeded(
            "The owner lets this person pay some payees only, and this one is not among them."
        )
    if in_categories(delegation.categories_denied, spend.category):
        return DelegationExceeded("The owner does not let this person pay for this kind of thing.")
    if not delegation.lets(spend.category):
        return DelegationExceeded(
            "The owner lets this person pay for some kinds of things only, and not for this."
        )
    if not delegation.from_hour <= local_hour < delegation.to_hour:
        hours = f"{delegation.from_hour}:00 to {delegation.to_hour}:00"
        return DelegationExceeded(f"The owner lets this person spend from {hours}.")
    minor, currency = spend.amount.minor, delegation.currency
    for spent, cap, words in (
        (0, delegation.payment_minor, "for one payment"),
        (counter.day_minor, delegation.day_minor, "today"),
        (counter.period_minor, delegation.month_minor, "this month"),
    ):
        if spent + minor > cap:
            return DelegationExceeded(f"The owner leaves {Money(max(0, cap - spent), currency)} {words}.")
    return None


def _share_a_category(one: Delegation, other: Delegation) -> bool:
    """Whether a category, or none, is let by both. What both let begins where one begins to let or ends to deny."""
    begins = {first for each in (one, other) for first, _ in map(_range_of, each.categories)}
    ends = {
        f"{int(last) + 1:04}" for each in (one, other) for _, last in map(_range_of, each.categories_denied)
    }
    return any(one.lets(point) and other.lets(point) for point in ("", "0000", *begins, *ends))


def _range_of(pattern: str) -> tuple[str, str]:
    first, _, last = pattern.partition("-")
    return first, last or first


def in_categories(patterns: Sequence[str], category: str) -> bool:
    """Whether a merchant category is one of these, ``5411``, or lies in one of these ranges, ``5811-5814``."""
    return category != "" and any(first <= category <= last for first, last in map(_range_of, patterns))


def check_categories(patterns: Sequence[str], *, where: str) -> list[str]:
    """The patterns in order, each once. Errors: InvalidInput naming the first that is none."""
    for one in patterns:
        first, dash, last = one.partition("-")
        parts = (first, last) if dash else (first,)
        right = all(len(part) == 4 and part.isascii() and part.isdigit() for part in parts)
        if not right or (dash and first > last):
            problem = Problem(
                where, f"{one[:20]!r} is no category", "Write four digits, or a range: 5811-5814"
            )
            raise InvalidInput("A merchant category has four digits (ISO 18245).", problems=(problem,))
    return sorted(set(patterns))
