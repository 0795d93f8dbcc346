"""What fares are worked out from and what they are: journeys, places, counters; a fare and the steps that led to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, NewType, Protocol, runtime_checkable
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa.fares.wording import say, why

JourneyId = NewType("JourneyId", UUID)
"""A journey is named by its first tap, so working it out again gives the same name."""

RiderClass = Literal["adult", "child", "senior", "student"]
Kind = Literal["complete", "no_exit", "no_entry", "boarding"]
Status = Literal["priced", "held", "withdrawn"]

RIDER_CLASSES: tuple[RiderClass, ...] = ("adult", "child", "senior", "student")


@dataclass(frozen=True, slots=True)
class Journey:
    """One trip with one operator, from its first tap to its last.

    kind: complete; no_exit or no_entry when the other tap is missing; boarding when one tap is the whole trip.
    origin, destination: stop ids, None where no tap tells. companion: 0 for the token's holder, 1 to 15 for who rides
    along. rider_class: one of the four that members verify, or a class of the tariff's own.
    operator_id: whose lines it ran on, where a tariff tells operators apart. medium: how it is paid, where it matters.
    distance_m: metres, where the operator's devices measured them. via: stops of readers inside the network that prove
    the way, in the order in which they were passed.
    """

    journey_id: JourneyId
    kind: Kind
    product: str
    rider_class: str
    cti: bytes
    started_at: datetime
    ended_at: datetime
    origin: str | None
    destination: str | None
    line_id: str | None
    first_tap: UUID
    last_tap: UUID | None
    companion: int = 0
    operator_id: str = ""
    medium: str = ""
    distance_m: int | None = None
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a fare's explanation: a rule of the tariff, what it added or took off, and the figures.

    amount: minor units of ``currency``; the amounts of a fare's steps add up to the fare.
    """

    rule: str
    amount: int
    currency: str
    facts: Mapping[str, str | int] = field(default_factory=dict[str, str | int])

    @property
    def text(self) -> str:
        """The step in plain English with its figures."""
        return say(self.rule, self.amount, self.currency, self.facts)

    def said(self, language: str) -> str:
        """The step in a language: ``en``, ``zh``; English where there are no words in it."""
        return say(self.rule, self.amount, self.currency, self.facts, language)

    def why(self, language: str) -> str:
        """Why there is no fare, in a language; empty where this step tells no such thing."""
        return why(self.facts, language) if self.rule == "held" else ""

    @property
    def clause(self) -> str:
        """The table of the tariff that says so, with its line: ``cap[1] line 93``; empty where none does."""
        return str(self.facts.get("clause", ""))


@dataclass(frozen=True, slots=True)
class Payment:
    """A part of a fare and who pays it. payer: empty for the rider, else a member."""

    payer: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Fare:
    """What a journey costs the rider, and why.

    status: ``held`` when the tariff has no answer: shown to the operator, never charged by guess.
    counted_minor: what counts towards the weekly or monthly cap (after daily caps, before that one), by
        (product, zones). tier_minor: what counts towards the month's cumulative tiers.
    counts: what else later days of a period need to know, by counter; see ``Counters``.
    subsidy: what another member pays of the fare, on top of ``amount_minor``.
    """

    journey_id: JourneyId
    amount_minor: int
    currency: str
    steps: tuple[Step, ...]
    status: Status = "priced"
    zones: str = ""
    counted_minor: int = 0
    tier_minor: int = 0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    subsidy: Payment | None = None

    @property
    def payments(self) -> tuple[Payment, ...]:
        """Who pays which part; the parts sum to the whole fare."""
        rider = Payment("", self.amount_minor)
        return (rider,) if self.subsidy is None else (rider, self.subsidy)

    @property
    def whole_minor(self) -> int:
        """The whole fare, whoever pays it."""
        return sum(part.amount_minor for part in self.payments)


@dataclass(frozen=True, slots=True)
class Counters:
    """What earlier days of the same period have used up, for one account and one operator.

    month_minor: paid this calendar month, as the cumulative tiers count it.
    period_minor: counted towards the weekly (or monthly) cap so far, by (product, zones).
    opening_minor: spent in that period before Hansa kept the books; it counts inside every cap.
    openings: the same by period, ``week`` and ``month``, where caps of both stand together.
    counts: sums of ``Fare.counts`` over the earlier days of the period that a counter's name begins with: ``week:...``,
        ``month:...``; of a rolling window, ``7d:...``, over its days so far (``fares.open_window`` finds them).
    carnet: the amounts of earlier rides of the period that a carnet may take in, by carnet.
    """

    month_minor: int = 0
    period_minor: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    opening_minor: int = 0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    carnet: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    openings: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class HeldPass:
    """A product that the rider has bought.

    until_day: inclusive. from_at, until_at: of one that is good for so many hours from its first use: the instants
    between which a ride must begin, the last not in.
    """

    name: str
    from_day: date
    until_day: date
    from_at: datetime | None = None
    until_at: datetime | None = None

    def good(self, day: date, at: datetime) -> bool:
        """Whether it is good for a ride of this service day that begins at this instant."""
        if not self.from_day <= day <= self.until_day:
            return False
        return (self.from_at is None or self.from_at <= at) and (self.until_at is None or at < self.until_at)


@dataclass(frozen=True, slots=True)
class Around:
    """What else is known about a rider and the day, beside the journeys.

    others: rides with partner operators, priced and charged elsewhere: here they open transfer windows and no more.
    paid: what those cost, in minor units of this tariff's currency, where a transfer pays only the difference.
    passes: what the rider holds. residence: city id where the rider lives, if the rider lets it be known.
    earlier: the rider's own rides of the service day before, priced there: here they open windows and are joined to,
        where a rule holds across days (``Tariff.looks_back``).
    habits: by known stop, how often the rider's earlier journeys from (or to) it had which other end.
    """

    others: tuple[Journey, ...] = ()
    passes: tuple[HeldPass, ...] = ()
    residence: str = ""
    paid: Mapping[JourneyId, int] = field(default_factory=dict[JourneyId, int])
    habits: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    earlier: tuple[Journey, ...] = ()


class StopFacts(Protocol):
    """What fares need of a stop."""

    @property
    def name(self) -> str: ...


class Places(Protocol):
    """What fares need of a network; ``atlas.Network`` is one."""

    @property
    def stops(self) -> Mapping[str, StopFacts]: ...

    def distance_m(self, origin: str, destination: str, /) -> int:
        """Shortest metres over the network."""
        ...

    def zone_of(self, stop_id: str, /) -> str | None:
        """The stop's fare zone, ``"2"``, or ``"2/3"`` on a boundary."""
        ...


@runtime_checkable
class Located(Protocol):
    """A stop that has a place: WGS 84 degrees, or None where not known."""

    @property
    def lat(self) -> float | None: ...
    @property
    def lon(self) -> float | None: ...


class LineFacts(Protocol):
    """What fares need of a line: its calls in order, each (stop id, metres from the one before)."""

    @property
    def stops(self) -> Sequence[tuple[str, int]]: ...
    @property
    def loop(self) -> bool: ...


@runtime_checkable
class HasLines(Protocol):
    """A network that knows its lines."""

    @property
    def lines(self) -> Mapping[str, LineFacts]: ...


@runtime_checkable
class HasMetres(Protocol):
    """A network that tells all distances at once."""

    def metres(self) -> npt.NDArray[np.int32]:
        """``Places.distance_m`` of every two stops, a square in the order of ``stops``; -1 where no way leads."""
        ...
