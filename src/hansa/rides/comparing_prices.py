"""What a tariff makes of riders' past journeys, day after day: by the column where it has columns, else one by one."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from hansa.fares import (
    Around,
    Counters,
    Fare,
    Journey,
    Pricer,
    Step,
    Tariff,
    Unpriceable,
    open_window,
    period_start,
)
from hansa.fares.columnar import KINDS, Columnar, Earlier, RideColumns, columnar_for
from hansa.rides.comparing_store import PastRide
from hansa.rides.looking_back import Look, told
from hansa.store.copying import us_of

FEW = 24
"""Fewer riders of a day are quicker one by one."""

Side = Literal["before", "after"]

Pricers = Callable[[Side, date], Pricer | None]
"""Gives the pricer of a side on a service day; None where there is no network on that day."""

_BY_HOURS = re.compile(r"[0-9]+h@")
"""Counters of caps by hours name the window that they belong to."""


class PastRider(NamedTuple):
    """One rider's journeys in order of service day and time, and what else is known.

    opening: (period, first day) -> minor units spent before the books began.
    around: what is known of a day beside its journeys, or why it cannot be priced.
    """

    rides: Sequence[PastRide]
    opening: Mapping[tuple[str, date], int]
    around: Mapping[tuple[Side, date], Around | Unpriceable]


class Prices:
    """The fares of one side of a comparison.

    from_day: journeys before it are there only for what they used up of longer periods.
    """

    def __init__(self, side: Side, tariff: Tariff, pricers: Pricers, *, from_day: date) -> None:
        self.side: Side = side
        self.tariff, self.pricers, self.from_day = tariff, pricers, from_day
        self._look = Look.of(tariff)
        self._columnars: dict[int, Columnar | None] = {}

    def fares(self, riders: Sequence[PastRider], days: Mapping[date, "PastDay"]) -> list[list[Fare]]:
        """For each rider the fares of the journeys from ``from_day`` on, in their order.

        days: of ``past_days``. Fares that are priced may come without steps.
        """
        runnings = [Running(self.tariff, rider.opening) for rider in riders]
        found: list[list[Fare]] = [[] for _ in riders]
        for day in sorted(days):
            if day < self.from_day:
                for place, todays in days[day].riders.items():
                    runnings[place].add(day, map(_part_of_books, filter(_counts, todays)))
                continue
            for place, fares in self._of_day(day, days[day], riders, runnings).items():
                found[place] += fares
        return found

    def _of_day(
        self, day: date, past: "PastDay", riders: Sequence[PastRider], runnings: Sequence["Running"]
    ) -> dict[int, list[Fare]]:
        """The fares of one day of some riders, by place of the rider."""
        pricer = self.pricers(self.side, day)
        name: tuple[Side, date] = (self.side, day)
        columnar = None if pricer is None else self._columnar(pricer)
        counters = {place: runnings[place].counters(day) for place in past.riders}
        found: dict[int, list[Fare]] = {}
        if columnar is not None:
            odd = frozenset(place for place in past.riders if name in riders[place].around)
            plain = past.but(odd) if odd else past
            if len(plain.plain) >= FEW:
                found = self._by_column(columnar, plain, counters)
        for place, todays in past.riders.items():
            journeys = [one.journey for one in todays]
            if place not in found:
                around = riders[place].around.get(name)
                found[place] = self._one_by_one(pricer, day, journeys, counters[place], around)
            runnings[place].add(
                day,
                [
                    _part(journey, fare)
                    for journey, fare in zip(journeys, found[place], strict=True)
                    if fare.status == "priced" and _own(journey)
                ],
            )
        return found

    def _columnar(self, pricer: Pricer) -> Columnar | None:
        if id(pricer) not in self._columnars:  # pricers are kept as long as the comparison
            columnar = self._columnars[id(pricer)] = columnar_for(pricer)
            if columnar is not None:
                columnar.know_pairs()
        return self._columnars[id(pricer)]

    def _by_column(
        self, columnar: Columnar, past: "PastDay", counters: Mapping[int, Counters]
    ) -> dict[int, list[Fare]]:
        earlier = Earlier.of([counters[place] for place in past.plain]) if self._look.sums else None
        priced = columnar.price(past.columns, earlier)
        currency = self.tariff.currency
        labels: list[str] = [priced.zone_labels[int(place)] for place in priced.zones.tolist()]
        amounts, held = priced.amounts.tolist(), priced.held.tolist()
        counted, tiers = priced.counted.tolist(), priced.tiers.tolist()
        found: dict[int, list[Fare]] = {}
        ride = 0
        for place in past.plain:
            fares = found[place] = list[Fare]()
            for one in past.riders[place]:
                name = one.journey.journey_id
                if held[ride]:
                    fares.append(priced.fare(ride, name))
                else:
                    more = counted[ride], tiers[ride]
                    fares.append(Fare(name, amounts[ride], currency, (), "priced", labels[ride], *more))
                ride += 1
        return found

    def _one_by_one(
        self,
        pricer: Pricer | None,
        day: date,
        journeys: Sequence[Journey],
        counters: Counters,
        around: Around | Unpriceable | None,
    ) -> list[Fare]:
        if pricer is not None and not isinstance(around, Unpriceable):
            known = told(journeys, pricer.tariff.operator_id, Look.of(pricer.tariff), pricer)
            return pricer.price_day(known, counters, around)
        why = around if isinstance(around, Unpriceable) else Unpriceable("no_network", {"day": str(day)})
        step = Step("held", 0, self.tariff.currency, why.facts)
        return [Fare(one.journey_id, 0, self.tariff.currency, (step,), status="held") for one in journeys]


@dataclass(frozen=True)
class PastDay:
    """The journeys of one service day, by place of the rider. plain: those whose journeys the columns know."""

    riders: Mapping[int, Sequence[PastRide]]
    plain: Sequence[int]

    @cached_property
    def columns(self) -> RideColumns:
        """The journeys of the plain riders, for both sides."""
        return ride_columns([self.riders[place] for place in self.plain])

    def but(self, odd: frozenset[int]) -> "PastDay":
        """The same, with fewer riders that are plain."""
        return PastDay(self.riders, [place for place in self.plain if place not in odd])


def past_days(riders: Sequence[PastRider]) -> dict[date, PastDay]:
    """The journeys of some riders, day by day."""
    found: dict[date, dict[int, list[PastRide]]] = {}
    for place, rider in enumerate(riders):
        for one in rider.rides:
            found.setdefault(one.service_day, {}).setdefault(place, []).append(one)
    return {
        day: PastDay(of_day, [place for place, todays in of_day.items() if all(map(_plain, todays))])
        for day, of_day in found.items()
    }


def ride_columns(days: Sequence[Sequence[PastRide]]) -> RideColumns:
    """The journeys of some riders' days as the columns price them."""
    stops: dict[str, int] = {}
    lines: dict[str, int] = {}
    products: dict[str, int] = {}
    classes: dict[str, int] = {}
    rows: list[tuple[int, ...]] = []
    for rider, todays in enumerate(days):
        for past in todays:
            one = past.journey
            rows.append(
                (
                    rider,
                    us_of(one.started_at),
                    us_of(one.ended_at),
                    _KINDS[one.kind],
                    -1 if one.origin is None else stops.setdefault(one.origin, len(stops)),
                    -1 if one.destination is None else stops.setdefault(one.destination, len(stops)),
                    -1 if one.line_id is None else lines.setdefault(one.line_id, len(lines)),
                    products.setdefault(one.product, len(products)),
                    classes.setdefault(one.rider_class, len(classes)),
                )
            )
    at = np.array(rows, np.int64).T
    words = tuple(stops), tuple(lines), tuple(products), tuple(classes)
    return RideColumns(at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8], *words)


_KINDS = {kind: place for place, kind in enumerate(KINDS)}


def _plain(past: PastRide) -> bool:
    """Whether the columns know all that is known of a journey."""
    one = past.journey
    return not (one.companion or one.via or one.medium or one.operator_id or one.distance_m is not None)


def _counts(past: PastRide) -> bool:
    return past.status == "priced" and _own(past.journey)


def _own(journey: Journey) -> bool:
    """Whether it counts for longer periods: a companion's does not, since their number names nobody the day after."""
    return not journey.companion


def _part(journey: Journey, fare: Fare) -> "Part":
    return Part(journey.product, fare.zones, fare.counted_minor, fare.tier_minor, fare.counts)


def _part_of_books(past: PastRide) -> "Part":
    return Part(past.journey.product, past.zones, past.counted_minor, past.tier_minor, past.counts)


class Running:
    """One rider's sums under one tariff, day after day, as ``Counters`` want them.

    opening: (period, first day) -> minor units spent before the books began.
    """

    def __init__(self, tariff: Tariff, opening: Mapping[tuple[str, date], int]) -> None:
        self.tariff, self.opening, self.look = tariff, opening, Look.of(tariff)
        self._days: list[_Sums] = []

    def counters(self, day: date) -> Counters:
        """What the days before this one used up."""
        tariff, look = self.tariff, self.look
        if not (look.sums or look.counts):
            return Counters()
        month = period_start(day, "month")
        starts = period_start(day, tariff.period) if tariff.period else day
        spent = 0
        counted: dict[tuple[str, str], int] = {}
        counts: dict[str, int] = {}
        carnet: dict[str, list[int]] = {}
        windows = {name: self._first_day(name, day) for name in tariff.counted}
        for one in self._days:
            if one.day >= day:
                continue
            if one.day >= month:
                spent += one.tier_minor
            if one.day >= starts:
                for key, amount in one.counted.items():
                    counted[key] = counted.get(key, 0) + amount
            for key, amounts in one.counts.items():
                first = windows.get(key.partition(":")[0])
                if _BY_HOURS.match(key):
                    first = day - timedelta(days=look.days_back)
                if first is None or one.day < first:
                    continue
                counts[key] = counts.get(key, 0) + sum(amounts)
                if ":carnet " in key:
                    carnet.setdefault(key, []).extend(amounts)
        return Counters(
            month_minor=spent + self.opening.get(("month", month), 0),
            period_minor=counted,
            opening_minor=self.opening.get((tariff.period or "", starts), 0),
            counts=counts,
            carnet={name: tuple(sorted(amounts)) for name, amounts in carnet.items()},
            openings=self._openings(day) if look.both_periods else {},
        )

    def _openings(self, day: date) -> dict[str, int]:
        return {
            "week": self.opening.get(("week", period_start(day, "week")), 0),
            "month": self.opening.get(("month", period_start(day, "month")), 0),
        }

    def _first_day(self, name: str, day: date) -> date | None:
        """From which day on a period's counters count; None when a new window begins with this day."""
        if name == "week" or name == "month":
            return period_start(day, name)
        grown = {one.day: 1 for one in self._days if any(key.startswith(f"{name}:") for key in one.counts)}
        return open_window(grown, int(name.removesuffix("d")), day)

    def add(self, day: date, parts: Iterable["Part"]) -> None:
        """Remember what a day used up."""
        sums = _Sums(day)
        for part in parts:
            sums.tier_minor += part.tier_minor
            if part.counted_minor:
                key = part.product, part.zones
                sums.counted[key] = sums.counted.get(key, 0) + part.counted_minor
            for name, amount in part.counts.items():
                sums.counts.setdefault(name, []).append(amount)
        if sums.tier_minor or sums.counted or sums.counts:
            self._days.append(sums)


class Part(NamedTuple):
    """What one fare counts towards longer periods."""

    product: str
    zones: str
    counted_minor: int
    tier_minor: int
    counts: Mapping[str, int]


@dataclass(slots=True)
class _Sums:
    day: date
    tier_minor: int = 0
    counted: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    counts: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
