"""What fares are worked out from and what they are: journeys, places, counters; a fare and the steps that led to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType, Protocol
from uuid import UUID

from hansa.fares.wording import say

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
    along.
    """

    journey_id: JourneyId
    kind: Kind
    product: str
    rider_class: RiderClass
    cti: bytes
    started_at: datetime
    ended_at: datetime
    origin: str | None
    destination: str | None
    line_id: str | None
    first_tap: UUID
    last_tap: UUID | None
    companion: int = 0


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


@dataclass(frozen=True, slots=True)
class Fare:
    """What a journey costs, and why.

    status: ``held`` when the tariff has no answer: shown to the operator, never charged by guess.
    counted_minor: what counts towards the weekly or monthly cap (after daily caps, before that one), by
        (product, zones). tier_minor: what counts towards the month's cumulative tiers.
    """

    journey_id: JourneyId
    amount_minor: int
    currency: str
    steps: tuple[Step, ...]
    status: Status = "priced"
    zones: str = ""
    counted_minor: int = 0
    tier_minor: int = 0


@dataclass(frozen=True, slots=True)
class Counters:
    """What earlier days of the same period have used up, for one account and one operator.

    month_minor: paid this calendar month, as the cumulative tiers count it.
    period_minor: counted towards the weekly (or monthly) cap so far, by (product, zones).
    opening_minor: spent in that period before Hansa kept the books; it counts inside every cap.
    """

    month_minor: int = 0
    period_minor: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    opening_minor: int = 0


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
