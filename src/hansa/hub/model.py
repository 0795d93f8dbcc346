"""The words of the hub: liquidity, payments between members, alarms, notices, and the errors about them. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar, Literal
from uuid import UUID

from hansa import ledger
from hansa.kernel import Directory, HansaError, InvalidInput, Money, Problem, fact_id

Step = Callable[[str], None]
"""Told the name of each step once it is durable: where an operator watches, and where a test pulls the plug."""

Model = Literal["deferred", "gross"]
Way = Literal["in", "out"]

CONDITION_BYTES = 32
"""A condition is the SHA-256 of its fulfilment, which has as many bytes."""

AMOUNT_MAX = 10**17
"""Minor units of one payment."""

PACKET_MAX = 32_768
WORDS_MAX = 200

LASTS_MAX = timedelta(days=1)
"""How long a payment may stay reserved."""

GRACE_S = 60
"""How much longer than a payment lasts the ledger holds its money; by then it ends a hold that nobody voided."""


def no_step(_: str) -> None:
    """Nobody watches."""


class UnknownLiquidity(HansaError):
    """This member pays and is paid in no such currency; open its liquidity first."""

    code: ClassVar[str] = "hub.unknown_liquidity"
    status: ClassVar[int] = 404


class ModelDiffers(HansaError):
    """Payments in this currency settle in another way already; that changes only before the first member has any."""

    code: ClassVar[str] = "hub.model_differs"
    status: ClassVar[int] = 409


class CapDiffers(HansaError):
    """A cap of this id is known with other content; another cap needs an id of its own."""

    code: ClassVar[str] = "hub.cap_differs"
    status: ClassVar[int] = 409


class FundsDiffer(HansaError):
    """Funds of this id are known with other content; others need an id of their own."""

    code: ClassVar[str] = "hub.funds_differ"
    status: ClassVar[int] = 409


class UnknownFunds(HansaError):
    """There are no such funds on their way in or out."""

    code: ClassVar[str] = "hub.unknown_funds"
    status: ClassVar[int] = 404


class FundsDecided(HansaError):
    """These funds are decided already, otherwise."""

    code: ClassVar[str] = "hub.funds_decided"
    status: ClassVar[int] = 409


class CoverNeeded(HansaError):
    """So much cannot be taken out: the member's cover, or its position, needs it. Nothing was held."""

    code: ClassVar[str] = "hub.cover_needed"
    status: ClassVar[int] = 409


class ReleaseDiffers(HansaError):
    """This window released another amount to this member already."""

    code: ClassVar[str] = "hub.release_differs"
    status: ClassVar[int] = 409


class SettledByWindows(HansaError):
    """Payments in this currency clear in windows, and this window took none of them. Nothing was released."""

    code: ClassVar[str] = "hub.settled_by_windows"
    status: ClassVar[int] = 409


class UnknownLot(HansaError):
    """There is no such lot of payments."""

    code: ClassVar[str] = "hub.unknown_lot"
    status: ClassVar[int] = 404


class UnknownPayment(HansaError):
    """There is no such payment."""

    code: ClassVar[str] = "hub.unknown_payment"
    status: ClassVar[int] = 404


class PaymentDiffers(HansaError):
    """This payment is known with other content; another payment needs an id of its own."""

    code: ClassVar[str] = "hub.payment_differs"
    status: ClassVar[int] = 409


class NotTheParty(HansaError):
    """Only the payment's payer may prepare it, and only its payee may fulfil or abort it."""

    code: ClassVar[str] = "hub.not_the_party"
    status: ClassVar[int] = 403


class WrongFulfilment(HansaError):
    """The fulfilment's SHA-256 is not the payment's condition. The payment stays as it was; send the right one."""

    code: ClassVar[str] = "hub.wrong_fulfilment"
    status: ClassVar[int] = 422


class NotReserved(HansaError):
    """The payment is not reserved yet; wait for the notice that it is."""

    code: ClassVar[str] = "hub.not_reserved"
    status: ClassVar[int] = 409


class PaymentExpired(HansaError):
    """The payment's time was up; its money is the payer's again."""

    code: ClassVar[str] = "hub.payment_expired"
    status: ClassVar[int] = 409


class PaymentAborted(HansaError):
    """The payment was aborted; its money is the payer's again."""

    code: ClassVar[str] = "hub.payment_aborted"
    status: ClassVar[int] = 409


class PaymentCommitted(HansaError):
    """The payment is committed, and that is final; pay the money back by a payment of its own."""

    code: ClassVar[str] = "hub.payment_committed"
    status: ClassVar[int] = 409


class HubBusy(HansaError):
    """More payments wait than can be taken in just now. Nothing was kept; send the same again a little later."""

    code: ClassVar[str] = "hub.busy"
    status: ClassVar[int] = 503


class State(StrEnum):
    """Where a payment stands.

    RECEIVED: kept; the ledger has not spoken. RESERVED: held from what the payer may send. COMMITTED: the payee has it.
    ABORTED: it never was reserved, or its hold was given back.
    """

    RECEIVED = "RECEIVED"
    RESERVED = "RESERVED"
    COMMITTED = "COMMITTED"
    ABORTED = "ABORTED"


class Reason(StrEnum):
    """Why a payment was aborted. NONE: it was not.

    NO_HEADROOM: the payer may not send so much now. OVER_LIMIT: the payer's limit was lowered below its position.
    EXPIRED: its time was up. PAYEE: the payee would not have it.
    """

    NONE = ""
    NO_HEADROOM = "no_headroom"
    OVER_LIMIT = "over_limit"
    EXPIRED = "expired"
    PAYEE = "payee"


@dataclass(frozen=True, slots=True)
class Prepare:
    """A payment as its payer asks for it.

    amount: above zero. condition: 32 bytes, the SHA-256 of what the payee will show. expires_at: until when it may be
    fulfilled. packet: what payer and payee tell each other through us, at most 32,768 characters; we do not read it.
    """

    payment_id: UUID
    payer_id: str
    payee_id: str
    amount: Money
    condition: bytes
    expires_at: datetime
    packet: str = ""


@dataclass(frozen=True, slots=True)
class Fulfil:
    """What shows that the payee has paid out. fulfilment: 32 bytes. by: the member that sends it; None is the hub."""

    payment_id: UUID
    fulfilment: bytes
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Abort:
    """The payee will not have it. words: why, for people, at most 200 characters. by: as of ``Fulfil``."""

    payment_id: UUID
    words: str = ""
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment between members and where it stands.

    model: whether it moves positions (``deferred``) or cover itself (``gross``). answered_at: when it was reserved or
    refused; ended_at: when it was committed or aborted.
    """

    payment_id: UUID
    partition: int
    payer_id: str
    payee_id: str
    amount: Money
    model: Model
    condition: bytes
    expires_at: datetime
    packet: str
    received_at: datetime
    hold_s: int
    state: State
    reason: Reason = Reason.NONE
    words: str = ""
    fulfilment: bytes | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def asked(self) -> Prepare:
        """What its payer asked for."""
        return Prepare(
            self.payment_id,
            self.payer_id,
            self.payee_id,
            self.amount,
            self.condition,
            self.expires_at,
            self.packet,
        )

    def ledger_id(self, part: str) -> ledger.TransferId:
        """The id of its ``hold``, of its ``commit`` or of its ``void`` in the books."""
        return ledger.TransferId(fact_id(self.received_at, f"hub.{part}", self.payment_id))


Answer = Payment | HansaError
"""What became of one of a batch: the payment as it stands, or the refusal. A refusal changed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidity:
    """A member in a currency: what stands behind its payments, in minor units.

    cover: deposits at the settlement bank. cap: the most it may owe. limit: the lesser of both; where settlement is
    gross, the cover. position: what it owes of payments not yet settled; below zero it is owed. reserved: held by
    payments under way. headroom: what it may still send. short: by how much its position is over a lowered limit and
    nothing can be taken back yet; while there is any, it sends nothing. Of the position, on_positions is what no
    window has taken yet, in_windows what windows took that are not settled; released is what those took that are.
    """

    member_id: str
    currency: str
    partition: int
    model: Model
    cover_minor: int
    cap_minor: int
    limit_minor: int
    position_minor: int
    reserved_minor: int
    headroom_minor: int
    short_minor: int
    warn_percent: int
    soft_minor: int | None
    on_positions_minor: int = 0
    in_windows_minor: int = 0
    released_minor: int = 0

    @property
    def coming_minor(self) -> int:
        """What is committed and comes onto positions at the next minute."""
        return self.position_minor - self.on_positions_minor - self.in_windows_minor

    @property
    def used_minor(self) -> int:
        """Position and reservations together, never below zero."""
        return max(0, self.position_minor + self.reserved_minor)

    @property
    def used_percent(self) -> int:
        """How much of the limit is used, rounded down; over 100 where a limit was lowered."""
        if self.limit_minor <= 0:
            return 100 if self.used_minor else 0
        return self.used_minor * 100 // self.limit_minor


@dataclass(frozen=True, slots=True)
class Cap:
    """What a member may owe at most from an instant on. applied_at: when it came to count, None while it is to come."""

    cap_id: UUID
    member_id: str
    currency: str
    cap_minor: int
    warn_percent: int
    soft_minor: int | None
    valid_from: datetime
    set_by: str
    set_at: datetime
    applied_at: datetime | None = None


class FundsState(StrEnum):
    """How far funds are. ASKED, BOOKING and VOIDING: the ledger is being told, and a crash there is swept up."""

    ASKED = "asked"
    PROPOSED = "proposed"
    BOOKING = "booking"
    VOIDING = "voiding"
    BOOKED = "booked"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Funds:
    """Money of a member on its way to (``in``) or from (``out``) the settlement bank. lowers_minor: headroom that a way
    out takes along."""

    funds_id: UUID
    member_id: str
    currency: str
    way: Way
    amount_minor: int
    bank_reference: str
    lowers_minor: int
    proposed_by: str
    proposed_at: datetime
    state: FundsState
    decided_by: str | None
    decided_at: datetime | None
    booked_at: datetime | None

    def ledger_id(self, part: str) -> ledger.TransferId:
        """The ids of what it does in the books, by part."""
        return ledger.TransferId(fact_id(self.proposed_at, f"hub.funds.{part}", self.funds_id))


@dataclass(frozen=True, slots=True)
class Lot:
    """What one member paid another in some blocks of the ledger: one item on the position of the two.

    after_block, up_to_block: its payments were booked after the one, up to and with the other. payments: how many.
    """

    lot_id: UUID
    partition: int
    payer_id: str
    payee_id: str
    currency: str
    after_block: int
    up_to_block: int
    payments: int
    amount_minor: int
    gathered_at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """What a window took of a member's payments. taken_minor: above zero the member owes it, below it is owed."""

    window_id: str
    member_id: str
    currency: str
    taken_minor: int


class AlarmKind(StrEnum):
    """WARNING: so much of the limit is used. SOFT: the soft limit is reached. HARD: a payment was refused for want of
    headroom. OVER: the limit was lowered below the position. EXPOSURE: with what clearing has open it is passed."""

    WARNING = "warning"
    SOFT = "soft"
    HARD = "hard"
    OVER = "over"
    EXPOSURE = "exposure"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that was raised, or that ended."""

    alarm_id: UUID
    member_id: str
    currency: str
    kind: AlarmKind
    raised: bool
    at: datetime
    place: int
    position_minor: int
    limit_minor: int


@dataclass(frozen=True, slots=True)
class Exposure:
    """What a member owes in a currency, all together, in minor units; below zero it is owed.

    hub_minor: position and reservations of payments. clearing_minor: items on positions that are not cleared yet.
    """

    member_id: str
    currency: str
    hub_minor: int
    clearing_minor: int

    @property
    def minor(self) -> int:
        """Both together."""
        return self.hub_minor + self.clearing_minor


class NoticeKind(StrEnum):
    """RESERVED: told to the payee. COMMITTED, ABORTED: told to both. LATE: the payee's fulfilment came too late."""

    RESERVED = "reserved"
    COMMITTED = "committed"
    ABORTED = "aborted"
    LATE = "late"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing a member is told. seq: 1, 2, 3 ... of this member. payment, alarm: what it is about."""

    member_id: str
    seq: int
    kind: NoticeKind
    at: datetime
    payment: Payment | None
    alarm: Alarm | None


def check_prepare(prepare: Prepare, now: datetime) -> HansaError | None:
    """Why this cannot be taken, or None."""
    problem = None
    if prepare.payer_id == prepare.payee_id:
        problem = Problem("payee_id", "it is the payer", "Name another member")
    elif not 0 < prepare.amount.minor <= AMOUNT_MAX:
        problem = Problem(
            "amount", f"it is {prepare.amount.minor}", f"Send from 1 to {AMOUNT_MAX} minor units"
        )
    elif len(prepare.condition) != CONDITION_BYTES:
        problem = Problem("condition", f"it has {len(prepare.condition)} bytes", "Send the 32 of a SHA-256")
    elif prepare.expires_at <= now:
        problem = Problem("expires_at", "it has passed", "Leave the payee some seconds")
    elif prepare.expires_at > now + LASTS_MAX:
        problem = Problem("expires_at", "it is more than a day away", "Reserve for a day at most")
    elif len(prepare.packet) > PACKET_MAX or "\0" in prepare.packet:
        problem = Problem(
            "packet", "it is too long or holds a NUL", f"Send at most {PACKET_MAX:,} characters"
        )
    return None if problem is None else InvalidInput("This payment cannot be taken.", problems=(problem,))


def fulfils(fulfilment: bytes, condition: bytes) -> bool:
    """Whether the condition is the fulfilment's SHA-256. Source: Interledger Protocol v4, conditions."""
    return len(fulfilment) == CONDITION_BYTES and sha256(fulfilment).digest() == condition


@lru_cache(maxsize=10_000)
def cover_account(member_id: str, currency: str, partition: int) -> ledger.AccountId:
    """What the league holds for a member at the settlement bank."""
    return ledger.AccountId(fact_id(None, "hub.cover", member_id, currency, partition))


@lru_cache(maxsize=10_000)
def limit_account(member_id: str, currency: str, partition: int) -> ledger.AccountId:
    """Whence a member's headroom comes: how much it was granted."""
    return ledger.AccountId(fact_id(None, "hub.limit", member_id, currency, partition))


@lru_cache(maxsize=10_000)
def headroom_account(member_id: str, currency: str, partition: int) -> ledger.AccountId:
    """What a member may still send before settlement; payments move it, and it is never overdrawn."""
    return ledger.AccountId(fact_id(None, "hub.headroom", member_id, currency, partition))


@lru_cache(maxsize=10_000)
def sent_account(member_id: str, currency: str, partition: int) -> ledger.AccountId:
    """What a member has sent to others by payments that windows settle: the other side of its positions."""
    return ledger.AccountId(fact_id(None, "hub.sent", member_id, currency, partition))


@lru_cache(maxsize=1_000)
def house_account(currency: str, partition: int) -> ledger.AccountId:
    """The money behind all covers of a currency, at the settlement bank."""
    return ledger.AccountId(fact_id(None, "hub.house", currency, partition))


def paying_account(member_id: str, currency: str, partition: int, model: Model) -> ledger.AccountId:
    """What a member's payments are taken from and put into."""
    account_of = cover_account if model == "gross" else headroom_account
    return account_of(member_id, currency, partition)


def partition_of(directory: Directory, currency: str) -> int:
    """The ledger partition of all payments in a currency: a hold has both its accounts in one."""
    return directory.partition_of(fact_id(None, "hub.currency", currency))
