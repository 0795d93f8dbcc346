"""A journey by itself, as the tariff sees it whatever the rest of the day: its quote, and which rules speak of it."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from hansa.fares.model import Journey, JourneyId, Step
from hansa.fares.parts.caps import Cap
from hansa.fares.parts.reductions import Tier
from hansa.fares.parts.ride import Circumstances
from hansa.fares.parts.zones import ByZones
from hansa.fares.tariff import Tariff


@dataclass(frozen=True, slots=True)
class Quote:
    """What a journey costs before the rider's day is looked at.

    free_of_tiers, free_of_caps: the part of ``amount`` that tiers and caps leave alone.
    """

    amount: int
    steps: tuple[Step, ...]
    zones: str = ""
    free_of_tiers: int = 0
    free_of_caps: int = 0


@dataclass(slots=True)
class Leg:
    """A journey with all that the tariff says of it, whatever the rest of the day.

    fees: (place in the tariff, amount) of the fees that are added. before, after, joins, passes, tiers: bits of the
    rules of each list that speak of it; joins_at: those whose hours are left aside. basis: prices spans of zones.
    """

    quote: Quote
    about: Circumstances
    pays_as: str
    fees: tuple[tuple[int, int], ...] = ()
    before: int = 0
    after: int = 0
    joins: int = 0
    joins_at: int = 0
    passes: int = 0
    tiers: int = 0
    basis: ByZones | None = None
    named: bool = False
    covered: dict[tuple[str, str], tuple[tuple[Cap | None, int | None], ...]] = field(
        default_factory=dict[tuple[str, str], tuple[tuple[Cap | None, int | None], ...]]
    )


@dataclass(frozen=True, slots=True)
class Ladder:
    """The tiers of one name. place: of its first in the tariff, by which a leg tells whether it counts."""

    name: str
    by_rides: bool
    place: int
    tiers: tuple[Tier, ...]

    @classmethod
    def of(cls, tariff: Tariff, name: str) -> "Ladder":
        tiers = tuple(one for one in tariff.tiers if one.ladder == name)
        return cls(name, tiers[0].by == "rides", tariff.tiers.index(tiers[0]), tiers)


def question(
    origin: str,
    destination: str,
    at: datetime,
    rider_class: str,
    product: str = "",
    line_id: str | None = None,
    medium: str = "",
    distance_m: int | None = None,
) -> Journey:
    """A journey nobody has made, to ask what it would cost."""
    nobody = UUID(int=0)
    return Journey(
        journey_id=JourneyId(nobody),
        kind="complete",
        product=product,
        rider_class=rider_class,
        cti=b"",
        started_at=at,
        ended_at=at,
        origin=origin,
        destination=destination,
        line_id=line_id,
        first_tap=nobody,
        last_tap=nobody,
        medium=medium,
        distance_m=distance_m,
    )
