"""A tariff as a value: one operator's fares and rules from one day on, made of parts that stand by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

from hansa.fares.parts.basis import Basis, CheapestBasis, FareRule
from hansa.fares.parts.caps import Cap, Carnet, hours_of
from hansa.fares.parts.classes import Classes, ClassRule, Subsidy
from hansa.fares.parts.condition import Condition, Hours
from hansa.fares.parts.distance import Beyond, DistanceBand, DistanceBasis, RateBasis
from hansa.fares.parts.extras import Fee, Override
from hansa.fares.parts.flat import FlatBasis, LineBasis
from hansa.fares.parts.hours import TimeBand
from hansa.fares.parts.links import Join, Transfer
from hansa.fares.parts.missing import Incomplete
from hansa.fares.parts.pairing import PLAIN, PairingRules
from hansa.fares.parts.pairs import PairBasis
from hansa.fares.parts.price import ANY_TIME, Price, Rate, Rounding, RoundingMode
from hansa.fares.parts.reductions import Discount, Pass, Tier
from hansa.fares.parts.ride import ANYWHERE
from hansa.fares.parts.seasons import Season
from hansa.fares.parts.zones import ZoneBasis, ZoneCountBasis, ZoneSetBasis

__all__ = [
    "ANYWHERE",
    "ANY_TIME",
    "WEEKDAYS",
    "Basis",
    "Beyond",
    "Cap",
    "Carnet",
    "ClassRule",
    "Condition",
    "Discount",
    "DistanceBand",
    "DistanceBasis",
    "FareRule",
    "Fee",
    "FlatBasis",
    "Hours",
    "Incomplete",
    "Join",
    "LineBasis",
    "Override",
    "PairBasis",
    "PairingRules",
    "Pass",
    "Price",
    "Rate",
    "RateBasis",
    "Rounding",
    "RoundingMode",
    "Season",
    "Subsidy",
    "Tariff",
    "TariffSource",
    "Tier",
    "TimeBand",
    "Transfer",
    "ZoneBasis",
    "ZoneCountBasis",
    "ZoneSetBasis",
    "open_window",
    "period_end",
    "period_start",
]


DayOf = Literal["calendar", "service"]

PLAIN_ROUNDING = Rounding()
"""To the minor unit, half to even."""


@dataclass(frozen=True, slots=True)
class TariffSource:
    """The tariff as it was written: what is stored, compared and shown."""

    toml: str
    tables: Mapping[str, str]


@dataclass(frozen=True)
class Tariff:
    """One operator's tariff, in force from ``valid_from`` to ``valid_to`` inclusive (None: until the next one).

    fares: rules for some rides, in order, each with a basis of its own; ``basis`` prices what none of them speaks of.
    journey_max: longest time from entry to exit. same_stop: price of leaving where one entered; None leaves it to
    the basis. default_band: the time band outside all others. holidays: local dates. day_types_by: whether
    a ride at 02:00 is of the ``calendar`` day or of the ``service`` day before. companions: the class whose fares
    those pay who ride along on another's token. minimum_balance: what a wallet must hold to enter, by class.
    pairing: what makes taps one journey.
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
    people: Classes
    journey_max: timedelta
    incomplete: Incomplete
    source: TariffSource
    rounding: Rounding = PLAIN_ROUNDING
    same_stop: Price | None = None
    time_bands: tuple[TimeBand, ...] = ()
    default_band: str = ANY_TIME
    holidays: frozenset[date] = frozenset()
    seasons: tuple[Season, ...] = ()
    day_types_by: DayOf = "calendar"
    fares: tuple[FareRule, ...] = ()
    overrides: tuple[Override, ...] = ()
    fees: tuple[Fee, ...] = ()
    joins: tuple[Join, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    discounts: tuple[Discount, ...] = ()
    passes: tuple[Pass, ...] = ()
    tiers: tuple[Tier, ...] = ()
    caps: tuple[Cap, ...] = ()
    carnets: tuple[Carnet, ...] = ()
    companions: str = "adult"
    media: tuple[str, ...] = ()
    minimum_balance: Price | None = None
    pairing: PairingRules = PLAIN

    @property
    def classes(self) -> Mapping[str, ClassRule]:
        """How each class of riders pays."""
        return self.people.rules

    @cached_property
    def zone_info(self) -> ZoneInfo:
        """The time zone of the city."""
        return ZoneInfo(self.tz)

    @cached_property
    def period(self) -> Literal["week", "month"] | None:
        """The period whose plain sums earlier days hand on: of the weekly or the monthly caps; None where both are."""
        if self.both_periods:
            return None
        found = next((cap.period for cap in self.caps if cap.period in ("week", "month")), None)
        return "week" if found == "week" else "month" if found == "month" else None

    @cached_property
    def both_periods(self) -> bool:
        """Whether weekly and monthly caps stand together."""
        return {"week", "month"} <= {cap.period for cap in self.caps}

    @cached_property
    def long_periods(self) -> tuple[str, ...]:
        """The periods longer than a day over which caps or carnets sum, in the order in which they are looked at."""
        periods = {cap.period for cap in self.caps if not cap.hours} | {one.period for one in self.carnets}
        order = {"week": 0, "month": 1}
        return tuple(sorted(periods - {"day"}, key=lambda period: order.get(period, 2)))

    @cached_property
    def carnet_of(self) -> Mapping[str, Carnet]:
        """The carnet of each period that has one."""
        return {carnet.period: carnet for carnet in self.carnets}

    @cached_property
    def hour_periods(self) -> tuple[str, ...]:
        """The periods of so many hours over which caps sum, the shortest first: ``2 hours``, ``24 hours``."""
        return tuple(sorted({cap.period for cap in self.caps if cap.hours}, key=hours_of))

    @cached_property
    def _wide(self) -> frozenset[str]:
        wide = frozenset(cap.period for cap in self.caps if not cap.plain)
        return wide | {"week", "month"} if self.both_periods else wide

    def wide(self, period: str) -> bool:
        """Whether some cap of the period hangs on more than products and zones: then it has counters by cover."""
        return period in self._wide

    @cached_property
    def counted(self) -> frozenset[str]:
        """The periods of which earlier days' ``Fare.counts`` are needed: ``week``, ``month``, ``7d``."""
        found = {period for period in self.long_periods if self.wide(period)}
        found |= {tier.period for tier in self.tiers if tier.ladder}
        found |= {fee.most_period for fee in self.fees if fee.most is not None and fee.most_period != "day"}
        found |= {carnet.period for carnet in self.carnets if carnet.period != "day"}
        return frozenset(period.replace(" days", "d") for period in found)

    @cached_property
    def looks_back(self) -> timedelta:
        """How long after the last ride of a service day one of the next may still go on with it; zero for never."""
        joins = [join.within for join in self.joins if join.across_days]
        hour = timedelta(hours=1)
        windows = [
            one.window + (hour if one.window_from == "next_hour" else timedelta())
            for one in self.transfers
            if one.across_days
        ]
        return max([*joins, *windows], default=timedelta())

    @cached_property
    def asks(self) -> frozenset[str]:
        """What pricing needs beyond stops, times, products, lines, and the month's and the period's plain sums.

        ``counts``: ``Counters.counts`` over the periods in ``counted``. ``hours``: those that begin with ``24h@`` and
        so on, which name their window themselves, of all days on which a window of ``hour_periods`` may have begun.
        ``carnet``: ``Counters.carnet``.
        ``subsidy``: that ``Fare.subsidy`` is charged to its payer.
        ``residence``, ``passes``, ``habits``, ``others``, ``earlier``: of ``Around``.
        ``distance_m``, ``medium``, ``operator_id``, ``via``: of each ``Journey``.
        Who cannot give all of it must refuse the tariff, since it would be priced as if there were none.
        """
        bases = [self.basis, *(rule.basis for rule in self.fares)]
        bases += [one for basis in bases if isinstance(basis, CheapestBasis) for one in basis.choices]
        parts = (
            self.fares,
            self.fees,
            self.joins,
            self.discounts,
            self.passes,
            self.tiers,
            self.caps,
            self.carnets,
        )
        conditions = [one.condition for part in parts for one in part] + [
            one.condition for one in self.time_bands
        ]
        conditions += [side for one in self.transfers for side in (one.before, one.after)]
        conditions = [part for one in conditions for part in one.parts]
        subsidies = [rule.subsidy for rule in self.classes.values() if rule.subsidy is not None]
        asked = {
            "counts": bool(self.counted),
            "hours": bool(self.hour_periods),
            "carnet": any(carnet.period != "day" for carnet in self.carnets),
            "subsidy": bool(subsidies),
            "residence": any(one.residents for one in subsidies),
            "passes": bool(self.passes),
            "habits": bool(self.incomplete.habit_percent),
            "earlier": bool(self.looks_back),
            "others": any(one.before.operators - {self.operator_id} for one in self.transfers),
            "distance_m": any(
                isinstance(b, DistanceBasis | RateBasis) and b.measure == "given" for b in bases
            ),
            "medium": bool(self.media),
            "operator_id": any(one.operators for one in conditions),
            "via": bool(self.pairing.interchange)
            or any(one.via for one in conditions)
            or any(isinstance(b, PairBasis) and b.ways for b in bases),
        }
        return frozenset(name for name, needed in asked.items() if needed)

    def day_type(self, local: datetime) -> str:
        """``mon`` to ``sun``, or ``holiday``, of a local time."""
        return self.service_day_type(
            self.service_day(local) if self.day_types_by == "service" else local.date()
        )

    def seasons_on(self, day: date) -> frozenset[str]:
        """The seasons that hold on a service day."""
        return frozenset(season.name for season in self.seasons if season.holds(day))

    @cached_property
    def zone_order(self) -> tuple[str, ...]:
        """The zones from the centre outwards: of the basis, else of the first rule that has an order."""
        for basis in (self.basis, *(rule.basis for rule in self.fares)):
            if isinstance(basis, ZoneBasis):
                return basis.order
        return ()

    def service_day(self, local: datetime) -> date:
        """The service day that a local time lies in."""
        day = local.date()
        return day if local.time() >= self.day_starts else day - timedelta(days=1)

    def service_day_type(self, day: date) -> str:
        """``mon`` to ``sun``, or ``holiday``, of a service day."""
        return "holiday" if day in self.holidays else _WEEKDAYS[day.weekday()]

    def zone_span(self, label: str) -> tuple[int, int] | None:
        """``"1-3"`` as positions in the zone order; None for a journey without zones of that order."""
        if not label:
            return None
        first, _, last = label.partition("-")
        order = self.zone_order
        last = last or first
        return (order.index(first), order.index(last)) if first in order and last in order else None

    def zone_label(self, span: tuple[int, int]) -> str:
        """Positions in the zone order as ``"1-3"``, or ``"1"``."""
        first, last = self.zone_order[span[0]], self.zone_order[span[1]]
        return first if first == last else f"{first}-{last}"

    def zone_names(self, label: str) -> frozenset[str] | None:
        """The zones of a fare by its label, ``"1-3"`` or ``"A+B"``; empty is inside any, None has no zones."""
        if label == ANYWHERE:
            return frozenset()
        if not label:
            return None
        span = self.zone_span(label)
        if span is not None:
            return frozenset(self.zone_order[span[0] : span[1] + 1])
        return frozenset(label.split("+"))


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


def open_window(rides_on: "Mapping[date, int]", days: int, day: date) -> date | None:
    """The first day of the rolling window that ``day`` lies in, or None when a new one begins with it.

    rides_on: earlier days on which the counter of the window grew, from any day on which no window was open.
    days: the window's length; it begins with its first ride and the next begins with the first ride after its end.
    """
    start: date | None = None
    for ridden in sorted(one for one in rides_on if one < day):
        if start is None or ridden >= start + timedelta(days=days):
            start = ridden
    return None if start is None or day >= start + timedelta(days=days) else start
