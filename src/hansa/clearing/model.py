"""Windows, positions, nets: the words, and how a decided window is booked. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from functools import cache
from typing import ClassVar, Literal, Self
from uuid import UUID

from hansa import ledger
from hansa.clearing.netting import Obligation, Parts, Product, Terms, product_of, share_parts
from hansa.clearing.schedule import DAILY, Model, stamp_of, window_id_of
from hansa.kernel import (
    HansaError,
    InvalidInput,
    Money,
    Problem,
    fact_id,
    fact_ids,
    service_day,
    service_day_bounds,
)
from hansa.payments import position_account
from hansa.trust import MemberId

LEAGUE = MemberId("league")
"""The member that keeps the league's own fee."""


class DayClosed(HansaError):
    """A later day is closed already, so this day can no longer be: what it held has cleared with that one."""

    code: ClassVar[str] = "clearing.day_closed"
    status: ClassVar[int] = 409


class DayNotOver(HansaError):
    """The business day is not over; close it after its cut-off."""

    code: ClassVar[str] = "clearing.day_not_over"
    status: ClassVar[int] = 409


class UnknownDay(HansaError):
    """No such clearing day: it was not closed yet."""

    code: ClassVar[str] = "clearing.unknown_day"
    status: ClassVar[int] = 404


class AgreementDiffers(HansaError):
    """These two have an agreement from that day on already, with other fees; agree on a later day."""

    code: ClassVar[str] = "clearing.agreement_differs"
    status: ClassVar[int] = 409


class UnknownWindow(HansaError):
    """No such window: it was not closed yet."""

    code: ClassVar[str] = "clearing.unknown_window"
    status: ClassVar[int] = 404


class UnknownModel(HansaError):
    """No such settlement model is in force."""

    code: ClassVar[str] = "clearing.unknown_model"
    status: ClassVar[int] = 404


class NoWindowDue(HansaError):
    """No window of this model is over; close it after its cut-off."""

    code: ClassVar[str] = "clearing.no_window_due"
    status: ClassVar[int] = 409


class WindowStatus(StrEnum):
    """How far a window is: decided and being booked, closed for good, its money on the way, its money moved."""

    CLOSING = "closing"
    CLOSED = "closed"
    SETTLING = "settling"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class Settings:
    """The league's business day: it ends at the cut-off, local wall time of the zone, of the next calendar day."""

    tz: str
    cut_off: time

    def day_of(self, instant: datetime) -> date:
        """The business day an instant belongs to."""
        return service_day(instant, self.tz, self.cut_off)

    def ends_at(self, day: date) -> datetime:
        """The instant, in UTC, at which a business day is over."""
        return service_day_bounds(day, self.tz, self.cut_off)[1]


@dataclass(frozen=True, slots=True)
class Watermark:
    """The ledger blocks of a partition that make up a day: after the one, up to and with the other."""

    partition: int
    after_block: int
    up_to_block: int


@dataclass(frozen=True, slots=True)
class WindowTotal:
    """A window in one currency. ``to_pay``: what all net debtors pay together, and all net creditors receive.

    settling_at, settled_at: when settlement told a bank, and when all money had moved; None before.
    """

    currency: str
    items: int
    gross: Money
    issuer_fees: Money
    league_fees: Money
    to_pay: Money
    settling_at: datetime | None = None
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Positions of one model as they cleared together. Once closed, nothing changes but how far its money is.

    number: counts the model's windows from one. part: which of its business day. basis, sides, timing: of its model
    when it was decided. watermark: after_block is where the model's window before it ended.
    """

    window_id: str
    model_id: str
    model_version: int
    number: int
    business_day: date
    part: int
    basis: Literal["net", "gross"]
    sides: Literal["multilateral", "bilateral"]
    timing: Literal["deferred", "immediate"]
    ends_at: datetime
    decided_at: datetime
    closed_at: datetime | None
    watermark: tuple[Watermark, ...]
    items: int
    totals: tuple[WindowTotal, ...]

    @property
    def day(self) -> date:
        """The business day."""
        return self.business_day

    @property
    def label(self) -> str:
        """What postings and people call it: a business day by its date."""
        return window_label(self.window_id)

    @property
    def status(self) -> WindowStatus:
        """How far it is. A window in which nothing is to be paid is settled once settlement says so."""
        if self.closed_at is None:
            return WindowStatus.CLOSING
        if self.totals and all(total.settled_at for total in self.totals):
            return WindowStatus.SETTLED
        if any(total.settling_at or total.settled_at for total in self.totals):
            return WindowStatus.SETTLING
        return WindowStatus.CLOSED

    @property
    def settled_at(self) -> datetime | None:
        """When the last of its money had moved; None before."""
        ends = [total.settled_at for total in self.totals if total.settled_at]
        return max(ends) if self.status is WindowStatus.SETTLED else None


ClearingDay = Window


@dataclass(frozen=True, slots=True)
class Position:
    """What an issuer owes an operator for a window, and how it is shared out, in minor units of the currency.

    gross = operator_share + issuer_fee + league_fee; below zero where corrections outweigh fares. day: the window's
    business day. debtor_id, creditor_id: the members as which the two clear.
    """

    day: date
    issuer_id: str
    operator_id: str
    currency: str
    gross: int
    issuer_fee: int
    league_fee: int
    operator_share: int
    items: int
    debtor_id: MemberId
    creditor_id: MemberId
    window_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "window_id", self.window_id or day_window(self.day))


@dataclass(frozen=True, slots=True)
class NetPosition:
    """What a member receives (+) or pays (-) for a window in a currency. day: its business day."""

    day: date
    member_id: MemberId
    currency: str
    net: int
    window_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "window_id", self.window_id or day_window(self.day))


@dataclass(frozen=True, slots=True)
class Due:
    """What a cleared day made payable to a member, in one ledger partition: shares and fees before netting."""

    member_id: str
    currency: str
    partition: int
    minor: int


@dataclass(frozen=True, slots=True)
class Item:
    """One posting of a position. ``amount`` adds to what the issuer owes; below zero it corrects.

    reference: what it was for, such as a journey. cursor: hand it back to read on after this item.
    """

    transfer_id: ledger.TransferId
    reference: UUID | None
    amount: Money
    code: int
    event_at: datetime
    booked_at: datetime
    cursor: str


@dataclass(frozen=True, slots=True, order=True)
class ItemCursor:
    """Where a page of items ended: a partition and a place in its journal."""

    partition: int
    block: int
    position: int

    def __str__(self) -> str:
        return f"{self.partition}.{self.block}.{self.position}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Errors: InvalidInput when this is none of ours."""
        parts = text.split(".")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
            raise InvalidInput(
                "This is not a place in the list.",
                problems=(Problem("after", f"{text[:40]!r} is no cursor", "Send one that this list gave"),),
            )
        return cls(*(int(part) for part in parts))


@dataclass(frozen=True, slots=True)
class PositionAccount:
    """A ledger account that is a position."""

    partition: int
    account_id: ledger.AccountId
    issuer_id: str
    operator_id: str
    currency: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Items of one transfer code on a position account, counted and added up.

    from_minor: the step of their sizes, where a fee hangs on the size of each item; else ``netting.LOWEST``.
    after_block: they stand in blocks after this one.
    """

    account: PositionAccount
    code: int
    from_minor: int
    items: int
    minor: int
    after_block: int

    @property
    def product(self) -> Product:
        """What they are, as far as models and fees go."""
        return product_of(self.code)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a model stands. next_ends_at: when its next window ends, None for an immediate model, and where none comes.

    open: what no window has taken yet, by currency: items and their sum.
    """

    model: Model
    next_ends_at: datetime | None
    open: tuple[tuple[str, int, Money], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """Items of one transfer code that a window took on a position, all partitions together."""

    issuer_id: str
    operator_id: str
    currency: str
    code: int
    items: int
    minor: int


@dataclass(frozen=True, slots=True)
class PositionLine:
    """A position in one ledger partition, as a window decides it."""

    issuer_id: str
    operator_id: str
    currency: str
    partition: int
    items: int
    gross: int
    issuer_fee_bp: int
    league_fee_bp: int
    operator_share: int
    issuer_fee: int
    league_fee: int
    debtor_id: MemberId
    creditor_id: MemberId


def due_account(member_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What cleared days made payable to a member and settlement has not yet moved."""
    return ledger.AccountId(fact_id(None, "due", member_id, currency, partition))


def day_window(day: date) -> str:
    """The id of the window that a business day of the league is."""
    return window_id_of(DAILY, day, 1, several=False)


def window_label(window_id: str) -> str:
    """What postings and people call a window: a business day of the league by its date, another by its id."""
    stamp = stamp_of(window_id)
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:]}" if window_id.startswith(f"{DAILY}-") else window_id


def window_reference(window_id: str) -> UUID:
    """What all transfers of a window refer to."""
    return fact_id(None, "clearing day", window_label(window_id))


def line_of(
    account: PositionAccount,
    items: Sequence[tuple[Terms, Tally]],
    *,
    debtor: MemberId,
    creditor: MemberId,
) -> PositionLine:
    """A position as the window decides it: its items, each kind shared out by its terms, rounded once together."""
    gross = sum(one.minor for _, one in items)
    parts = sum((_parts(terms, one) for terms, one in items), Parts())
    shares = share_parts(gross, parts)
    ride = next((terms for terms, _ in items if terms.product == "ride"), items[0][0])
    return PositionLine(
        issuer_id=account.issuer_id,
        operator_id=account.operator_id,
        currency=account.currency,
        partition=account.partition,
        items=sum(one.items for _, one in items),
        gross=gross,
        issuer_fee_bp=ride.issuer.bp,
        league_fee_bp=ride.league.bp,
        operator_share=shares.operator_share,
        issuer_fee=shares.issuer_fee,
        league_fee=shares.league_fee,
        debtor_id=debtor,
        creditor_id=creditor,
    )


def _parts(terms: Terms, items: Tally) -> Parts:
    step = max(step for step in terms.steps if step <= items.from_minor)
    return terms.parts_of_step(step, items.items, items.minor)


def obligations(lines: Iterable[PositionLine | Position]) -> list[Obligation]:
    """Who owes whom for these positions; what an issuer keeps as its fee it owes to nobody."""
    owed: list[Obligation] = []
    for line in lines:
        owed.append(Obligation(line.debtor_id, line.creditor_id, line.currency, line.operator_share))
        owed.append(Obligation(line.debtor_id, LEAGUE, line.currency, line.league_fee))
    return owed


def dues(lines: Iterable[PositionLine]) -> list[Due]:
    """What each member is due, by currency and partition, in order; members due nothing are left out."""
    sums: dict[tuple[str, str, int], int] = {}
    for line in lines:
        for member, minor in _shares(line):
            key = (member, line.currency, line.partition)
            sums[key] = sums.get(key, 0) + minor
    return [Due(*key, minor) for key, minor in sorted(sums.items()) if minor]


def transfers_of_window(
    window_id: str, ends_at: datetime, lines: Sequence[PositionLine]
) -> list[ledger.Transfer]:
    """The transfers that empty a window's positions into what members are due; ids worked out from the window."""
    transfers: list[ledger.Transfer] = []
    label, reference = window_label(window_id), window_reference(window_id)
    dues_of = cache(due_account)  # the same few members, for very many positions
    for line in lines:
        position = position_account(line.issuer_id, line.operator_id, line.currency, line.partition)
        pair = f"{line.issuer_id} to {line.operator_id}"
        parts = (label, line.issuer_id, line.operator_id, line.currency, line.partition)
        ids = fact_ids(ends_at, "cleared", *parts, last=("share", "issuer", "league"))
        for transfer_id, share, (member, minor) in zip(
            ids, ("share", "fee", "fee"), _shares(line), strict=True
        ):
            if minor:
                due = dues_of(member, line.currency, line.partition)
                debit, credit = (position, due) if minor > 0 else (due, position)
                transfers.append(
                    ledger.Transfer(
                        transfer_id=ledger.TransferId(transfer_id),
                        debit=debit,
                        credit=credit,
                        amount=abs(minor),
                        currency=line.currency,
                        code=ledger.TransferCode.CLEARED if share == "share" else ledger.TransferCode.FEE,
                        partition=line.partition,
                        event_at=ends_at,
                        reference=reference,
                        memo=f"{label} {pair}"[:200],
                    )
                )
    return transfers


def _shares(line: PositionLine) -> tuple[tuple[str, int], ...]:
    return (
        (line.operator_id, line.operator_share),
        (line.issuer_id, line.issuer_fee),
        (LEAGUE, line.league_fee),
    )
