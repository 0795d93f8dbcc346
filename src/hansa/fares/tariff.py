"""A tariff as a value: one operator's fares and rules from one day on, made of parts that stand by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

from hansa.fares.model import RiderClass
from hansa.kernel import round_half_even

ANY_TIME = ""
"""The time band of a price that holds at every hour."""

RoundingMode = Literal["half_even", "half_up", "up", "down"]


@dataclass(frozen=True, slots=True)
class Rounding:
    """To which step of the minor unit a worked-out amount is brought, and which way."""

    step: int = 1
    mode: RoundingMode = "half_even"

    def bring(self, amount: Fraction) -> int:
        """The nearest allowed amount."""
        steps = amount / self.step
        match self.mode:
            case "half_even":
                whole = round_half_even(steps)
            case "half_up":
                whole = (steps + Fraction(1, 2)).__floor__()
            case "up":
                whole = steps.__ceil__()
            case "down":
                whole = steps.__floor__()
        return whole * self.step


@dataclass(frozen=True, slots=True)
class Price:
    """An amount in minor units by time band and rider class. Keys: (band or ANY_TIME, class)."""

    amounts: Mapping[tuple[str, str], int]

    def find(self, band: str, rider_class: str) -> int | None:
        """The amount for this band, else the one for any time, else None."""
        amount = self.amounts.get((band, rider_class))
        return self.amounts.get((ANY_TIME, rider_class)) if amount is None else amount


# -- the fare basis: what a journey costs before anything is taken off ------------------------------------


@dataclass(frozen=True, slots=True)
class FlatBasis:
    """Every ride costs the same."""

    price: Price


@dataclass(frozen=True, slots=True)
class DistanceBand:
    """Up to and including this many metres, grace not counted."""

    up_to_m: int
    price: Price


@dataclass(frozen=True, slots=True)
class DistanceBasis:
    """By shortest distance over the network.

    grace_m: metres given free at each boundary. beyond_every_m, beyond_add: past the last band, each further
        stretch begun adds this much; without it a longer ride has no fare.
    """

    bands: tuple[DistanceBand, ...]
    grace_m: int = 0
    beyond_every_m: int | None = None
    beyond_add: Price | None = None


@dataclass(frozen=True, slots=True)
class ZoneBasis:
    """By the zones a journey touches, from the innermost to the outermost.

    order: zone names from the centre outwards. spans: price by (first, last) position in it; no span is missing.
    through: zones of the stops passed on the shortest way count too; otherwise only the two ends do.
    """

    order: tuple[str, ...]
    spans: Mapping[tuple[int, int], Price]
    through: bool = True


@dataclass(frozen=True, slots=True)
class PairBasis:
    """By a table of pairs of stops, or of their fare zones.

    columns: (band, class) of each figure. symmetric: one row serves both ways.
    """

    columns: tuple[tuple[str, str], ...]
    rows: Mapping[tuple[str, str], tuple[int, ...]]
    symmetric: bool = True
    by_zone: bool = False

    def find(self, origin: str, destination: str) -> Price | None:
        """The row for this pair, or None."""
        row = self.rows.get((origin, destination))
        if row is None and self.symmetric:
            row = self.rows.get((destination, origin))
        return None if row is None else Price(dict(zip(self.columns, row, strict=True)))


Basis = FlatBasis | DistanceBasis | ZoneBasis | PairBasis


# -- rules on top of the basis ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimeBand:
    """Hours with a price of their own, by local wall time at entry.

    days: ``mon`` to ``sun``; a holiday is none of them but ``holiday``. unless_into: a journey that begins outside
        these zones and ends in one of them is not in this band.
    """

    name: str
    days: frozenset[str]
    starts: time
    ends: time
    unless_into: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ClassRule:
    """How a class of riders pays: from its own column, a share of the adult fare, or one flat amount.

    percent: by time band (ANY_TIME for the rest); 100 is the adult fare, 0 is free.
    """

    own_column: bool = False
    percent: Mapping[str, int] | None = None
    flat: int | None = None
    rounding: Rounding | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """Stops or lines with a fare of their own: an airport express.

    stops: a journey that begins or ends here pays ``price``; the rest of it, from the nearest of ``gateways``, pays
        the main fare as well, unless ``gateways`` is empty: then the price covers the whole journey.
    lines: a boarding of these lines pays ``price``.
    tiers, caps: whether this part counts towards cumulative tiers and is taken into caps.
    """

    name: str
    price: Price
    stops: frozenset[str] = frozenset()
    gateways: tuple[str, ...] = ()
    lines: frozenset[str] = frozenset()
    tiers: bool = True
    caps: bool = True


@dataclass(frozen=True, slots=True)
class Discount:
    """A share off for entering at certain hours, days and stops. percent: what is still paid."""

    name: str
    percent: int
    days: frozenset[str]
    starts: time
    ends: time
    stops: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Transfers:
    """Rides soon after a paid one.

    window: counted from the first tap of the ride that was paid. percent: what a transfer still pays of its fare.
    count_max: how many transfers one paid ride gives; None is any number.
    """

    window: timedelta
    percent: int = 0
    count_max: int | None = None
    products: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tier:
    """Once this much is paid in the calendar month, later rides cost this share."""

    from_minor: int
    percent: int


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that journeys inside these zones (and of these products) cost in a period.

    zones: (first, last) position in the zone order; None covers everything. price: by class; a class that is not
        named has the adult's cap.
    """

    period: Literal["day", "week", "month"]
    label: str
    price: Price
    zones: tuple[int, int] | None = None
    products: frozenset[str] = frozenset()

    def amount(self, rider_class: RiderClass) -> int:
        """The cap for this class of rider."""
        own = self.price.find(ANY_TIME, rider_class)
        adult = self.price.find(ANY_TIME, "adult")
        assert adult is not None, "the reader requires an adult figure"
        return adult if own is None else own

    def covers(self, product: str, zones: tuple[int, int] | None) -> bool:
        """Whether a journey of this product and these zones lies inside the cap."""
        if self.products and product not in self.products:
            return False
        if self.zones is None:
            return True
        return zones is not None and self.zones[0] <= zones[0] and zones[1] <= self.zones[1]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """What a journey with a missing tap costs.

    price: a stated amount; None is the highest fare there is from the known stop.
    counts: whether it counts towards tiers and is taken into caps.
    """

    price: Price | None = None
    counts: bool = False


@dataclass(frozen=True, slots=True)
class TariffSource:
    """The tariff as it was written: what is stored, compared and shown."""

    toml: str
    tables: Mapping[str, str]


@dataclass(frozen=True)
class Tariff:
    """One operator's tariff, in force from ``valid_from`` to ``valid_to`` inclusive (None: until the next one).

    journey_max: longest time from entry to exit. same_stop: price of leaving where one entered; None leaves it to
    the basis. default_band: the time band outside all others. holidays: local dates. companions: the class whose fares
    those pay who ride along on another's token.
    """

    operator_id: str
    city_id: str
    name: str
    currency: str
    valid_from: date
    valid_to: date | None
    tz: str
    day_starts: time
    basis: Basis
    classes: Mapping[RiderClass, ClassRule]
    journey_max: timedelta
    incomplete: Incomplete
    source: TariffSource
    rounding: Rounding = Rounding()
    same_stop: Price | None = None
    time_bands: tuple[TimeBand, ...] = ()
    default_band: str = ANY_TIME
    holidays: frozenset[date] = frozenset()
    overrides: tuple[Override, ...] = ()
    discounts: tuple[Discount, ...] = ()
    transfers: Transfers | None = None
    tiers: tuple[Tier, ...] = ()
    caps: tuple[Cap, ...] = ()
    companions: RiderClass = "adult"

    @cached_property
    def zone_info(self) -> ZoneInfo:
        """The time zone of the city."""
        return ZoneInfo(self.tz)

    @cached_property
    def period(self) -> Literal["week", "month"] | None:
        """The period of the caps longer than a day, if there are any."""
        return next((cap.period for cap in self.caps if cap.period != "day"), None)

    def day_type(self, local: datetime) -> str:
        """``mon`` to ``sun``, or ``holiday``."""
        return "holiday" if local.date() in self.holidays else _WEEKDAYS[local.weekday()]

    def zone_span(self, label: str) -> tuple[int, int] | None:
        """``"1-3"`` as positions in the zone order; None for a journey without zones."""
        if not label or not isinstance(self.basis, ZoneBasis):
            return None
        first, _, last = label.partition("-")
        return self.basis.order.index(first), self.basis.order.index(last or first)

    def zone_label(self, span: tuple[int, int]) -> str:
        """Positions in the zone order as ``"1-3"``, or ``"1"``."""
        assert isinstance(self.basis, ZoneBasis)
        first, last = self.basis.order[span[0]], self.basis.order[span[1]]
        return first if first == last else f"{first}-{last}"


_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAYS = frozenset(_WEEKDAYS)


def period_start(day: date, period: Literal["week", "month"]) -> date:
    """The first day of the Monday-to-Sunday week, or of the calendar month."""
    return day - timedelta(days=day.weekday()) if period == "week" else day.replace(day=1)


def period_end(day: date, period: Literal["week", "month"]) -> date:
    """The last day of the week or month, inclusive."""
    if period == "week":
        return period_start(day, "week") + timedelta(days=6)
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
