"""The way to people's banks: what a rail must do, whoever runs it. Pure words; simulators and adapters live outside.

A rail takes an order once, however often it is sent, and can be asked what became of it. What a bank says by itself
comes as numbered entries, at least once each. No answer is not a refusal: whoever heard nothing asks again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

from hansa.kernel import HansaError, Money
from hansa.wallets.model import NameMatch


class OrderKind(StrEnum):
    """What a bank is told: collect under a mandate, collect at once as from a card, pay out, or return what came in."""

    DEBIT = "debit"
    INSTANT = "instant"
    PAY_OUT = "pay_out"
    RETURN = "return"


class Verdict(StrEnum):
    """What a bank says of an order. unheard: it never had it. unknown: no answer came, or none that tells."""

    ACCEPTED = "accepted"
    SETTLED = "settled"
    REFUSED = "refused"
    UNHEARD = "unheard"
    UNKNOWN = "unknown"


class EntryKind(StrEnum):
    """What a bank says by itself: money arrived; how an order ended; money of an order came back."""

    ARRIVAL = "arrival"
    OUTCOME = "outcome"
    RETURN = "return"


class RailAway(HansaError):
    """The bank cannot be reached just now. Try again later; what was ordered already goes on."""

    code: ClassVar[str] = "wallets.bank_away"
    status: ClassVar[int] = 503


class BadBankNumber(HansaError):
    """No bank account has this number. Check it against your bank's card or app."""

    code: ClassVar[str] = "wallets.bad_bank_number"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Order:
    """One order. order_id: the same whenever it is sent. token: the account, as the rail named it. reference: printed
    on the person's bank statement, at most 35 characters. entry_id: of a return, the bank's entry whose money goes back
    the way it came; it has no token. Source: pain.001, pain.008 and, for returns, pacs.004 (ISO 20022).
    """

    order_id: UUID
    kind: OrderKind
    token: str
    amount: Money
    reference: str
    mandate_id: str = ""
    entry_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bank said of an order. reason: a code of ISO 20022's external status reasons, such as ``AM04``."""

    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a bank says by itself. number: 1 and up, without order among banks; entry_id: the same when it is repeated.

    order_id: of an outcome or a return. reference: of an arrival, what the payer wrote. amount: above zero.
    settled: of an outcome, whether the money moved. Source: camt.054 and pain.002 (ISO 20022).
    """

    number: int
    entry_id: str
    kind: EntryKind
    amount: Money
    at: datetime
    order_id: UUID | None = None
    reference: str = ""
    settled: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """A bank account that is there. token: how the rail names it from now on; shown: ``DE •••• 4242``.

    match: how the holder's name fits the one that was given.
    """

    token: str
    shown: str
    match: NameMatch


class BankRail(Protocol):
    """A way to people's banks. Every call may raise RailAway; an order may have been taken nevertheless."""

    @property
    def rail_id(self) -> str:
        """Its name, which never changes."""
        ...

    def verify(self, number: str, holder: str) -> Verified:
        """Look an account up, and compare its holder's name. Errors: BadBankNumber, RailAway."""
        ...

    def order(self, order: Order) -> Answer:
        """Take an order once; sent again, it is answered again. A bank that returns nothing refuses such an order, as
        AG02. Errors: RailAway.
        """
        ...

    def ask(self, order_id: UUID) -> Answer:
        """What became of an order. Errors: RailAway."""
        ...

    def entries(self, after: int, limit: int) -> list[Entry]:
        """What the bank said by itself, from the number after this one on, in order. Errors: RailAway."""
        ...


HARD_REASONS = frozenset(("AC01", "AC04", "AC06", "AG01", "MD01", "MD07", "SL01"))
"""Refusals that another try does not mend: no such account, closed, blocked, no mandate, the holder has died, the payer
forbids it. AM04, too little money, is none: it may be mended by the next pay day.
Source: ISO 20022 external status reason codes."""


def order_safely(rail: BankRail, order: Order) -> Answer:
    """Send an order; no answer is unknown."""
    try:
        return rail.order(order)
    except RailAway:
        return Answer(Verdict.UNKNOWN)


def ask_safely(rail: BankRail, order: Order) -> Answer:
    """What became of an order; an order that never arrived is sent again, under the same id."""
    try:
        answer = rail.ask(order.order_id)
        return rail.order(order) if answer.verdict is Verdict.UNHEARD else answer
    except RailAway:
        return Answer(Verdict.UNKNOWN)
