"""What a ride is made of: taps, the journeys they pair into, what a journey costs and why."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal, Protocol, cast
from uuid import UUID

from hansa.fares import JourneyId, Kind, Payment, RiderClass, Status, Step
from hansa.kernel import HansaError, Money

Action = Literal["entry", "exit", "board"]
TAPS_MAX = 5_000
"""Taps in one batch. One batch is one statement and one commit; more waits for the next."""

REFUSED_CODES_MAX = 1_000
"""Refused codes told at a time."""


@dataclass(frozen=True, slots=True)
class Tap:
    """What a gate hands in for one accepted code, field for field as the gate library makes it.

    tap_id: fact_id(tapped_at, gate_id, sequence). chain: hash chain of this gate's taps, 32 bytes.
    companion: 0 for the token's holder, 1 to 15 for who rides along.
    """

    tap_id: UUID
    gate_id: str
    sequence: int
    action: Action
    stop_id: str | None
    tapped_at: datetime
    cti: bytes
    counter: int
    kid: bytes
    made_at: datetime
    list_version: int
    chain: bytes
    companion: int = 0

    @staticmethod
    def from_gate(tap: "TapLike") -> "Tap":
        """The same tap as this room's own value."""
        return Tap(
            tap.tap_id,
            tap.gate_id,
            tap.sequence,
            cast(Action, tap.action),
            tap.stop_id,
            tap.tapped_at,
            tap.cti,
            tap.counter,
            tap.kid,
            tap.made_at,
            tap.list_version,
            tap.chain,
            tap.companion,
        )


class TapLike(Protocol):
    """Any value with a tap's fields: the gate library's own Tap is one."""

    @property
    def tap_id(self) -> UUID: ...
    @property
    def gate_id(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def action(self) -> str: ...
    @property
    def stop_id(self) -> str | None: ...
    @property
    def tapped_at(self) -> datetime: ...
    @property
    def cti(self) -> bytes: ...
    @property
    def counter(self) -> int: ...
    @property
    def kid(self) -> bytes: ...
    @property
    def made_at(self) -> datetime: ...
    @property
    def list_version(self) -> int: ...
    @property
    def chain(self) -> bytes: ...
    @property
    def companion(self) -> int: ...


def tap_digest(tap: TapLike) -> bytes:
    """Sixteen bytes that differ when anything in the tap differs: tells a repeat from a contradiction."""
    body = (
        f"{tap.tap_id.hex}|{tap.action}|{tap.stop_id}|{tap.tapped_at.timestamp()!r}|{tap.cti.hex()}|{tap.counter}"
        f"|{tap.kid.hex()}|{tap.made_at.timestamp()!r}|{tap.list_version}|{tap.chain.hex()}"
    )
    if tap.companion:
        body += f"|{tap.companion}"
    return hashlib.sha256(body.encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class Token:
    """Whom a ride token stands for: the issuer's side of the 8 bytes a code carries.

    begins_at: gates take it from then; None means 24 h before its end. phone_id: the phone whose key it names, where
    it is one of ours. companions: how many (0 to 15) may ride along.
    """

    cti: bytes
    account_id: UUID
    issuer_id: str
    wallet_currency: str
    rider_class: RiderClass
    expires_at: datetime
    begins_at: datetime | None = None
    phone_id: UUID | None = None
    companions: int = 0


@dataclass(frozen=True, slots=True)
class Touch:
    """A tap as pairing and pricing see it: where, when, which way, on whose token, and which of its riders."""

    tap_id: UUID
    gate_id: str
    sequence: int
    action: Action
    stop_id: str | None
    line_id: str | None
    product: str
    tapped_at: datetime
    cti: bytes
    rider_class: RiderClass
    companion: int = 0


@dataclass(frozen=True, slots=True)
class OpeningSpend:
    """What an account had spent with an operator in the week or month from ``start_day``, before the books began."""

    account_id: UUID
    operator_id: str
    period: Literal["week", "month"]
    start_day: date
    minor: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often a gate refused for one reason within one minute."""

    gate_id: str
    minute: datetime
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class RefusedCode:
    """A code that its phone and its issuer signed, and that a gate refused all the same: what it says, when and why.

    reason: one of the reasons of the ride code. companion: 0 for the token's holder, 1 to 15 for who rides along.
    """

    gate_id: str
    at: datetime
    reason: str
    kid: bytes
    cti: bytes
    companion: int
    counter: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class RefusedCodesReceipt:
    """What became of refused codes: newly recorded, already known."""

    recorded: int
    duplicates: int


# -- what is told to callers ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefusedTap:
    """A tap that was not taken: where it stood in the batch, a stable code, and what is wrong with it."""

    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class TapReceipt:
    """What became of a batch: newly recorded, already known, refused."""

    recorded: int
    duplicates: int
    refused: tuple[RefusedTap, ...]


@dataclass(frozen=True, slots=True)
class RateCounts:
    """What one run of rating did. days: (account, operator, service day) keys worked through."""

    days: int = 0
    taps: int = 0
    journeys: int = 0
    held: int = 0
    charges: int = 0
    subsidies: int = 0

    def __add__(self, other: "RateCounts") -> "RateCounts":
        return RateCounts(
            self.days + other.days,
            self.taps + other.taps,
            self.journeys + other.journeys,
            self.held + other.held,
            self.charges + other.charges,
            self.subsidies + other.subsidies,
        )


@dataclass(frozen=True, slots=True)
class PostCounts:
    """What one run of posting did.

    on_risk: charges the issuer carries because the wallet was short. waiting: charges that payments would not take.
    subsidies: parts of fares that members paid.
    """

    charges: int = 0
    on_risk: int = 0
    waiting: int = 0
    subsidies: int = 0


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """One posting of a journey: the first fare is revision 0, a later one corrects it (``amount`` may be negative).

    status: ``intent`` until the ledger has it, then ``posted``. wallet_amount: what left the wallet.
    """

    charge_id: UUID
    revision: int
    status: str
    amount: Money
    wallet_amount: Money | None
    on_risk: bool
    transfer_ids: tuple[UUID, ...]
    made_at: datetime
    posted_at: datetime | None


@dataclass(frozen=True, slots=True)
class SubsidyRecord:
    """One posting of the part of a fare that a member pays; a later revision corrects it.

    status: ``intent`` until the ledger has it, then ``posted``. amount: below zero where it is given back.
    """

    subsidy_id: UUID
    revision: int
    payer_id: str
    status: str
    amount: Money
    transfer_id: UUID | None
    made_at: datetime
    posted_at: datetime | None


@dataclass(frozen=True, slots=True)
class HeldReason:
    """Rides of a service day that wait for a price for one reason. journeys: the first of them, three at most."""

    service_day: date
    why: str
    count: int
    first_at: datetime
    journeys: tuple[JourneyId, ...]


@dataclass(frozen=True, slots=True)
class JourneyRecord:
    """A journey as the books hold it, with its fare and the reason for it.

    fare: what the rider pays. subsidy: what a member pays on top of it. notes: what pairing decided, beside the steps.
    trip_id: the first journey of the trip it goes on with by a join or a transfer, maybe with a partner operator; None
    where it begins one. network_version: of the city's network that it was priced over. medium, distance_m: where the
    tariff asks for them.
    """

    journey_id: JourneyId
    account_id: UUID
    issuer_id: str
    operator_id: str
    city_id: str
    service_day: date
    kind: Kind
    product: str
    rider_class: RiderClass
    started_at: datetime
    ended_at: datetime
    origin: str | None
    destination: str | None
    line_id: str | None
    status: Status
    fare: Money
    steps: tuple[Step, ...]
    zones: str
    tariff_valid_from: date
    companion: int = 0
    subsidy: Payment | None = None
    notes: tuple[Step, ...] = ()
    trip_id: JourneyId | None = None
    network_version: int | None = None
    medium: str = ""
    distance_m: int | None = None


@dataclass(frozen=True, slots=True)
class JourneyDetail:
    """A journey down to its taps and up to its postings."""

    journey: JourneyRecord
    taps: tuple[Tap, ...]
    charges: tuple[ChargeRecord, ...]
    subsidies: tuple[SubsidyRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowSlot:
    """Five minutes of one city's day. minute: minutes after local midnight of the service day, 0 to 1,799."""

    minute: int
    entries: int
    exits: int
    boardings: int
    refusals: int


@dataclass(frozen=True, slots=True)
class CityFlow:
    """One operator's service day for the console."""

    city_id: str
    operator_id: str
    taps: int
    journeys: int
    riders: int
    incomplete: int
    held: int
    fares: Money
    slots: tuple[FlowSlot, ...]
    refusals: Mapping[str, int]
    stops: Mapping[str, int]
    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Flow:
    """A service day of the whole league, city by city."""

    day: date
    cities: tuple[CityFlow, ...]


@dataclass(frozen=True, slots=True)
class CityFares:
    """What a service day brought one operator. corrections: journeys whose first fare was put right later."""

    city_id: str
    operator_id: str
    currency: str
    journeys: int
    incomplete: int
    held: int
    corrections: int
    charged_minor: int


class TapBatchTooLarge(HansaError):
    """A batch holds at most 5,000 taps; send it in parts."""

    code: ClassVar[str] = "rides.batch_too_large"
    status: ClassVar[int] = 413


class TapsBusy(HansaError):
    """More taps wait than are taken in. Nothing was kept; hand the same batch in again a little later."""

    code: ClassVar[str] = "rides.busy"
    status: ClassVar[int] = 503


class TokenConflict(HansaError):
    """This token id already stands for another account or class."""

    code: ClassVar[str] = "rides.token_conflict"
    status: ClassVar[int] = 409


class UnknownTariff(HansaError):
    """No tariff of this operator is in force on that day."""

    code: ClassVar[str] = "rides.unknown_tariff"
    status: ClassVar[int] = 404


class TariffConflict(HansaError):
    """A tariff from that day is already in force and says something else; give the new one a later day."""

    code: ClassVar[str] = "rides.tariff_conflict"
    status: ClassVar[int] = 409


class UnknownJourney(HansaError):
    """There is no such journey."""

    code: ClassVar[str] = "rides.unknown_journey"
    status: ClassVar[int] = 404
