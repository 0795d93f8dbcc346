"""Fares by the column: what ``Pricer.price_day`` says of many riders' days at once, at a fraction of its cost.

A ride by itself is priced once for each kind of ride, by ``Pricer.leg``; what is left is adding up, and that is done
for all riders together: first everybody's first ride of the day, then everybody's second, and so on. Transfers, monthly
tiers and caps are taken so. ``columnar_for`` says which tariffs need no more; of any other, and on the rare day that
mixes classes under a cap, the plain engine is asked. The tests hold the two equal, steps and all.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa.fares.columnar_pairs import Pairs, as_json, goes_by_sorts, names_lines
from hansa.fares.days import Day
from hansa.fares.legs import Leg
from hansa.fares.model import Counters, Fare, Journey, JourneyId, Kind, Step
from hansa.fares.parts.caps import Cap
from hansa.fares.parts.links import Transfer
from hansa.fares.parts.reductions import Tier
from hansa.fares.parts.ride import Unpriceable
from hansa.fares.pricing import Pricer, conditions
from hansa.fares.tariff import Tariff
from hansa.fares.ways import NOWHERE_M

Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

KINDS: tuple[Kind, ...] = ("complete", "boarding", "no_exit", "no_entry")
"""The kinds of journey by their number in ``RideColumns.kinds``; the first two are rides with all their taps."""

STOPS_MAX, LINES_MAX, PRODUCTS_MAX, CLASSES_MAX = 32_767, 1_023, 31, 15
"""How many words of each sort the columns can tell apart."""

WHENS_MAX = 4_096
"""How many hours of entry (and of exit, where it counts) the columns can tell apart, together."""

LEGS_MAX = 400_000
"""Kinds of ride that are remembered before the memory is emptied."""

PAIRS_FROM = 2_000
"""Rides after which it pays to look through all pairs of stops, a tenth of a second in a large city."""

_QUARTER_US, _DAY_US, _MINUTE_US, _HOUR_US = 900_000_000, 86_400_000_000, 60_000_000, 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_RIDDEN = 2
_NOTHING_LEFT = 1 << 60
_NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class RideColumns:
    """Rides as columns: all of each rider together, and each rider's in the order in which they are priced.

    riders: number of each ride's rider, from 0, none left out, never falling; holders of accounts only, nobody who
        rides along. started_us, ended_us: microseconds since 1970. kinds: place in ``KINDS``.
    origins, destinations: place in ``stops``, or -1; lines, products, classes: place in the words of that name, lines
        also -1.
    """

    riders: Int64
    started_us: Int64
    ended_us: Int64
    kinds: Int64
    origins: Int64
    destinations: Int64
    lines: Int64
    products: Int64
    classes: Int64
    stops: Sequence[str]
    line_ids: Sequence[str]
    product_names: Sequence[str]
    class_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.riders)

    def journey(self, ride: int, journey_id: UUID = _NOBODY) -> Journey:
        """One ride as a value."""
        kind = KINDS[int(self.kinds[ride])]
        return Journey(
            journey_id=JourneyId(journey_id),
            kind=kind,
            product=self.product_names[int(self.products[ride])],
            rider_class=self.class_names[int(self.classes[ride])],
            cti=b"",
            started_at=_instant(int(self.started_us[ride])),
            ended_at=_instant(int(self.ended_us[ride])),
            origin=_word(self.stops, int(self.origins[ride])),
            destination=_word(self.stops, int(self.destinations[ride])),
            line_id=_word(self.line_ids, int(self.lines[ride])),
            first_tap=journey_id,
            last_tap=journey_id if kind == "complete" else None,
        )


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier days of the period used up, by rider: ``Counters`` as columns.

    month_minor, opening_minor: of each rider. riders, products, zones, minor: what counts towards longer caps, a row
        for each rider, product and zones; products and zones are places in the words of that name.
    """

    month_minor: Int64
    opening_minor: Int64
    riders: Int64
    products: Int64
    zones: Int64
    minor: Int64
    product_names: Sequence[str]
    zone_labels: Sequence[str]

    @staticmethod
    def of(counters: Sequence[Counters]) -> "Earlier":
        """The same, of each rider in order."""
        rows = [
            (rider, product, zones, minor)
            for rider, one in enumerate(counters)
            for (product, zones), minor in one.period_minor.items()
        ]
        products: dict[str, int] = {}
        labels: dict[str, int] = {}
        return Earlier(
            np.array([one.month_minor for one in counters], np.int64),
            np.array([one.opening_minor for one in counters], np.int64),
            np.array([row[0] for row in rows], np.int64),
            np.array([products.setdefault(row[1], len(products)) for row in rows], np.int64),
            np.array([labels.setdefault(row[2], len(labels)) for row in rows], np.int64),
            np.array([row[3] for row in rows], np.int64),
            tuple(products),
            tuple(labels),
        )

    def counters(self, rider: int) -> Counters:
        """Of one rider."""
        own = np.flatnonzero(self.riders == rider).tolist()
        return Counters(
            month_minor=int(self.month_minor[rider]),
            period_minor={
                (self.product_names[int(self.products[row])], self.zone_labels[int(self.zones[row])]): int(
                    self.minor[row]
                )
                for row in own
            },
            opening_minor=int(self.opening_minor[rider]),
        )


class Priced:
    """The fares of rides in their order, as columns.

    amounts, counted, tiers: minor units, as in ``Fare``. zones: place in ``zone_labels``. held: no fare was found.
    """

    __slots__ = (
        "_columnar", "_extras", "_legs", "_rides", "_shared", "_steps", "_told", "amounts", "counted", "held", "tiers",
        "zone_labels", "zones",
    )  # fmt: skip

    def __init__(
        self,
        columnar: "Columnar",
        rides: RideColumns,
        legs: Int64,
        work: "_Work",
        told: dict[int, tuple[Step, ...]],
    ) -> None:
        self._columnar, self._rides, self._legs, self._told = columnar, rides, legs, told
        self._steps, self._shared = columnar.leg_steps, columnar.shared
        self._extras = work.extras
        self.amounts, self.counted, self.tiers = work.amounts, work.counted, work.tiered
        self.held, self.zones = work.held, work.zones
        self.zone_labels: Sequence[str] = columnar.zone_labels

    def __len__(self) -> int:
        return len(self.amounts)

    @property
    def went_on(self) -> Flags:
        """Which rides went on with one before, by a transfer or a join."""
        went_on = np.zeros(len(self), np.bool_)
        for extra in self._extras:
            if isinstance(extra, _Links):
                went_on |= extra.places >= 0
        for ride, steps in self._told.items():
            went_on[ride] = any(step.rule in ("transfer", "join") for step in steps)
        return went_on

    def steps(self, ride: int) -> tuple[Step, ...]:
        """Why a ride costs what it costs."""
        told = self._told.get(ride)
        if told is not None:
            return told
        leg = int(self._legs[ride])
        own = self._steps[leg]
        if self._shared[leg]:
            own = self._columnar.told(own, self._rides, ride)
        return (
            (*own, *(step for extra in self._extras for step in extra.steps(ride))) if self._extras else own
        )

    def told(self) -> list[bytes]:
        """The steps of each ride as JSON: ``[[rule, amount, facts], ...]``."""
        order = np.argsort(self._legs, kind="stable")
        legs = self._legs[order]
        starts = np.flatnonzero(np.concatenate(([True], legs[1:] != legs[:-1]))) if len(legs) else legs
        holes = self._columnar.holes(self._rides, order) if self._shared[legs].any() else _no_holes
        begun: list[bytes] = []
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(legs)], strict=True):
            begun += self._begun(int(legs[start]), order, slice(start, end), holes)
        heads = np.empty(len(legs), np.object_)
        heads[order] = begun
        tails = np.full(len(legs), b"]", np.object_)
        for extra in reversed(self._extras):
            rides, codes, pieces = extra.pieces()
            tails[rides] = np.array(pieces, np.object_)[codes] + tails[rides]
        told = (heads + tails).tolist()
        for ride, steps in self._told.items():
            told[ride] = as_json(steps) + b"]"
        return told

    def _begun(
        self, leg: int, order: Int64, some: slice, holes: "Callable[[str], list[bytes]]"
    ) -> list[bytes]:
        """The steps of rides of one kind as JSON, still open at the end. some: where they stand in the order."""
        form, names = self._columnar.form(leg)
        if form is None:  # it tells of two ways
            return [
                as_json(self._columnar.told(self._steps[leg], self._rides, ride))
                for ride in order[some].tolist()
            ]
        if not names:
            return [form] * (some.stop - some.start)
        return [form % row for row in zip(*(holes(name)[some] for name in names), strict=True)]

    def fare(self, ride: int, journey_id: UUID) -> Fare:
        """One fare as a value."""
        currency, held = self._columnar.tariff.currency, bool(self.held[ride])
        return Fare(
            JourneyId(journey_id),
            int(self.amounts[ride]),
            currency,
            self.steps(ride),
            "held" if held else "priced",
            self.zone_labels[int(self.zones[ride])],
            int(self.counted[ride]),
            int(self.tiers[ride]),
        )


def columnar_for(pricer: Pricer) -> "Columnar | None":
    """Columns for this tariff and network, or None where the tariff has a rule that only the plain engine knows.

    They know no pass: riders who hold one on the day must be left to the plain engine.
    """
    tariff = pricer.tariff
    if type(pricer) is not Pricer:  # one that prices by other rules than the tariff's
        return None
    known = (
        not (tariff.carnets or tariff.asks - _GIVEN or pricer.subsidised)
        and not (pricer.by_first and pricer.linked)
        and not pricer._by_minutes  # pyright: ignore[reportPrivateUsage]
        and _hours_told_apart(pricer) <= WHENS_MAX
        and len(pricer.ladders) <= 1
        and all(one.same_line != "never" for one in tariff.transfers)
        and _says_only(tariff, _OF_TARIFF)
        and all(_says_only(one, _OF_TRANSFER) for one in tariff.transfers)
        and all(_says_only(one, _OF_TIER) for one in tariff.tiers)
        and all(_says_only(one, _OF_CAP) for one in tariff.caps)
        and all(_says_only(one, _OF_FEE) for one in tariff.fees)
    )
    return Columnar(pricer) if known else None


_GIVEN = frozenset(["passes", "distance_m"])
"""What a tariff may ask for: passes, since who holds one is left out; and metres of rides, which are the network's."""

_OF_TARIFF = frozenset(
    [
        "operator_id",
        "city_id",
        "name",
        "currency",
        "valid_from",
        "valid_to",
        "tz",
        "day_starts",
        "basis",
        "people",
        "journey_max",
        "incomplete",
        "source",
        "rounding",
        "same_stop",
        "time_bands",
        "default_band",
        "holidays",
        "fares",
        "overrides",
        "fees",
        "joins",
        "transfers",
        "discounts",
        "passes",
        "tiers",
        "caps",
        "companions",
        "media",
        "minimum_balance",
        "pairing",
    ]
)
_OF_TRANSFER = frozenset(
    [
        "window",
        "percent",
        "count_max",
        "before",
        "after",
        "window_from",
        "same_line",
        "other_product",
        "less",
        "fares",
        "difference",
        "chain_max",
        "name",
        "clause",
    ]
)
_OF_FEE = frozenset(
    ["name", "price", "condition", "per", "discounts", "tiers", "caps", "most_period", "clause"]
)
_OF_TIER = frozenset(["from_minor", "percent", "condition", "clause"])
_OF_CAP = frozenset(
    ["period", "label", "price", "zones", "products", "zone_set", "condition", "extend", "clause"]
)


def _says_only(part: Any, known: frozenset[str]) -> bool:
    """Whether all that a part says is said in these fields: a word that is new here is left to the plain engine."""
    for one in fields(part):
        if one.name in known:
            continue
        usual = one.default if one.default_factory is MISSING else one.default_factory()
        if getattr(part, one.name) != usual:
            return False
    return True


class Columnar:
    """One tariff over one network, by the column. It remembers kinds of ride, so keep one while pricing many days."""

    def __init__(self, pricer: Pricer) -> None:
        """pricer: of a tariff that ``columnar_for`` allows."""
        self.pricer = pricer
        self.tariff: Tariff = pricer.tariff
        self._timed: bool = pricer._timed  # pyright: ignore[reportPrivateUsage]
        self._by_exit: bool = pricer._by_exit  # pyright: ignore[reportPrivateUsage]
        self._edges_us = np.array(
            [
                ((one.hour * 60 + one.minute) * 60 + one.second) * 1_000_000 + one.microsecond
                for one in pricer._edges  # pyright: ignore[reportPrivateUsage]
            ],
            np.int64,
        )
        self._periods = tuple(
            period for period in ("day", *self.tariff.long_periods) if len(pricer.covers(period, "")) > 1
        )
        self._given = "distance_m" in self.tariff.asks
        self._sums = bool(self.tariff.joins or self.tariff.transfers or self.tariff.fees or self.tariff.tiers)
        self._sums |= bool(self.tariff.caps)
        self._plain_caps = {
            period: all(cap.plain for cap in self.tariff.caps if cap.period == period)
            for period in self._periods
        }
        self._hours = _hours(pricer)
        self._pairs: Pairs | None = None
        self._by_sorts, self._rides = goes_by_sorts(pricer), 0
        self._by_line = not self._by_sorts or names_lines(self.tariff)
        self._offsets: dict[int, int] = {}
        self._day_types: dict[int, int] = {}
        self._shares: dict[int, int] = {}
        self._words: tuple[dict[str, int], ...] = ({}, {}, {}, {})
        self._forget()

    def _forget(self) -> None:
        self._words = ({}, {}, {}, {})
        self._keys = np.zeros(0, np.uint64)
        self._places = np.zeros(0, np.int64)
        self._zone_places: dict[str, int] = {"": 0}
        self._whos: dict[str, int] = {}
        self.leg_steps: list[tuple[Step, ...]] = []
        self._forms: dict[int, tuple[bytes | None, Sequence[str]]] = {}
        self._covered: dict[tuple[str, str, str], Sequence[tuple[Cap | None, int | None]]] = {}
        self.zone_labels: list[str] = [""]
        self._table = np.zeros((0, len(_LEG_COLUMNS)), np.int64)
        self.shared = np.zeros(0, np.bool_)
        self.fees = np.zeros((0, len(self.tariff.fees)), np.int64)
        self._alone = np.zeros(0, np.bool_)
        self.rests = {period: np.zeros((0, self._count(period)), np.int64) for period in self._periods}
        self.takers = {period: np.zeros((0, self._count(period)), np.int64) for period in self._periods}

    def _count(self, period: str) -> int:
        return len(self.pricer.covers(period, ""))

    # -- pricing -------------------------------------------------------------------------------------------

    def price(self, rides: RideColumns, earlier: Earlier | None = None) -> Priced:
        """The fares of these riders' days, one day of each rider. earlier: nothing was used up where it is left out."""
        if not len(rides):
            return Priced(self, rides, np.zeros(0, np.int64), _Work(self._table[:0]), {})
        self._rides += len(rides)
        if self._by_sorts and self._pairs is None and self._rides > PAIRS_FROM:
            self.know_pairs()
        legs = self._legs(rides)
        work = _Work(self._table[legs])
        told: dict[int, tuple[Step, ...]] = {}
        if self._sums:
            odd = self._odd(rides, work)
            self._add_up(rides, legs, work, earlier)
            for rider in odd.tolist():
                self._plainly(rides, work, rider, earlier, told)
        return Priced(self, rides, legs, work, told)

    def know_pairs(self) -> None:
        """Look through all pairs of stops, so that those which no rule tells apart share their fares."""
        if self._by_sorts and self._pairs is None:
            self._pairs = Pairs(self.pricer)
            self.pricer.missing.alike = self._pairs.one_of_each
            self._forget()

    def _plainly(
        self,
        rides: RideColumns,
        work: "_Work",
        rider: int,
        earlier: Earlier | None,
        told: dict[int, tuple[Step, ...]],
    ) -> None:
        """One rider's day by the plain engine."""
        first, last = np.searchsorted(rides.riders, [rider, rider + 1]).tolist()
        day = Day(self.pricer, earlier.counters(rider) if earlier is not None else Counters(), None)
        for ride in range(first, last):
            fare = day.price(self._journey(rides, ride))
            work.amounts[ride], work.counted[ride] = fare.amount_minor, fare.counted_minor
            work.tiered[ride], work.held[ride] = fare.tier_minor, fare.status == "held"
            work.zones[ride] = self._zone_place(fare.zones)
            told[ride] = fare.steps

    def _odd(self, rides: RideColumns, work: "_Work") -> Int64:
        """Riders whose day is left to the plain engine: they may join rides, or pay as several classes under caps."""
        same = rides.riders[1:] == rides.riders[:-1]
        odd: list[Int64] = [rides.riders[:0]]
        if self.tariff.joins:
            within = max(join.within for join in self.tariff.joins) // timedelta(microseconds=1)
            odd.append(rides.riders[1:][same & (rides.started_us[1:] - rides.ended_us[:-1] <= within)])
        if self.tariff.caps:  # each class has caps of its own
            priced = ~work.held
            riders, whos = rides.riders[priced], work.leg("who")[priced]
            odd.append(riders[1:][(riders[1:] == riders[:-1]) & (whos[1:] != whos[:-1])])
        return np.unique(np.concatenate(odd))

    # -- rides by themselves -------------------------------------------------------------------------------

    def _legs(self, rides: RideColumns) -> Int64:
        """Which kind of ride each is, as its place in the table."""
        keys = self._keys_of(rides)
        unknown = self._unknown(keys)
        if unknown.any():
            some = np.flatnonzero(unknown)
            different, firsts = np.unique(keys[some], return_index=True)
            if len(self._keys) + len(different) > LEGS_MAX and len(self._keys):
                self._forget()
                return self._legs(rides)
            self._learn(rides, different, some[firsts])
        legs = self._places[np.searchsorted(self._keys, keys)]
        # Of a sort that has no fare each pair is told for itself: the reason names the stops.
        alone = self._alone[legs]
        if alone.any():
            some = np.flatnonzero(alone)
            legs[some] = self._legs_alone(rides, some)
        return legs

    def _legs_alone(self, rides: RideColumns, some: Int64) -> Int64:
        """The kinds of these rides, each pair of stops by itself."""
        different, firsts, inverse = np.unique(
            self._keys_of(rides, by_sort=False)[some], return_index=True, return_inverse=True
        )
        new = self._unknown(different)
        if new.any():
            self._learn(rides, different[new], some[firsts[new]])
        return self._places[np.searchsorted(self._keys, different)][inverse]

    def _unknown(self, keys: npt.NDArray[np.uint64]) -> Flags:
        at = np.minimum(np.searchsorted(self._keys, keys), max(0, len(self._keys) - 1))
        return self._keys[at] != keys if len(self._keys) else np.ones(len(keys), np.bool_)

    def _keys_of(self, rides: RideColumns, *, by_sort: bool = True) -> npt.NDArray[np.uint64]:
        """All that a ride's own price hangs on, in 64 bits."""
        columns = (
            (rides.origins, rides.stops, 0),
            (rides.destinations, rides.stops, 0),
            (rides.lines, rides.line_ids, 1),
            (rides.products, rides.product_names, 2),
            (rides.classes, rides.class_names, 3),
        )
        coded: list[npt.NDArray[np.uint64]] = []
        for (column, words, sort), bits in zip(columns, (15, 15, 10, 5, 4), strict=True):
            if sort == _LINES and not self._by_line:
                coded.append(np.zeros(len(rides), np.uint64))
                continue
            own = self._words[sort]
            codes = [0, *(own.setdefault(word, len(own) + 1) for word in words)]
            assert len(own) < 1 << bits, "more words than the columns can tell apart"
            coded.append(np.array(codes, np.uint64)[column + 1])
        ends = coded[0] << np.uint64(15) | coded[1]
        if by_sort and self._pairs is not None:
            origins, destinations = self._ends(rides)
            sorts = np.where(
                (rides.kinds == 0) & (origins >= 0) & (destinations >= 0),
                self._pairs.sorts[origins, destinations],
                -1,
            )
            ends = np.where(sorts >= 0, sorts.astype(np.uint64) | np.uint64(1 << _ENDS_BITS), ends)
        key = ends << np.uint64(2) | rides.kinds.astype(np.uint64)
        for column, bits in zip(coded[2:], (10, 5, 4), strict=True):
            key = key << np.uint64(bits) | column
        if self._timed:
            when = self._when(rides.started_us)
            if self._by_exit:
                when = when * (int(self._hours.max()) + 1) + self._when(rides.ended_us)
            return key << np.uint64(_WHEN_BITS) | when.astype(np.uint64)
        return key << np.uint64(_WHEN_BITS)

    def _ends(self, rides: RideColumns) -> tuple[Int64, Int64]:
        """Both ends as places of the network's stops; -1 where a stop is not of it, or not known."""
        assert self._pairs is not None, "asked for where there are pairs"
        places = np.array([self._pairs.stops.get(stop, -1) for stop in rides.stops] + [-1], np.int64)
        return places[rides.origins], places[rides.destinations]

    def form(self, leg: int) -> tuple[bytes | None, Sequence[str]]:
        """The steps of a kind of ride as JSON, with holes for what is told of its stops, and which these are."""
        form = self._forms.get(leg)
        if form is None:
            steps, pairs = self.leg_steps[leg], self._pairs if self.shared[leg] else None
            form = self._forms[leg] = pairs.form(steps) if pairs is not None else (as_json(steps), ())
        return form

    def holes(self, rides: RideColumns, order: Int64) -> Callable[[str], list[bytes]]:
        """What stands in the holes of forms, by their name, of rides in this order."""
        assert self._pairs is not None, "only pairs share fares"
        origins, destinations = self._ends(rides)
        return self._pairs.holes(origins[order], destinations[order])

    def told(self, steps: tuple[Step, ...], rides: RideColumns, ride: int) -> tuple[Step, ...]:
        """The steps of a fare of many pairs of stops, as they are told of this ride's."""
        assert self._pairs is not None, "only pairs share fares"
        stops = self._pairs.stops
        origin, destination = (
            rides.stops[int(rides.origins[ride])],
            rides.stops[int(rides.destinations[ride])],
        )
        return self._pairs.told(steps, stops[origin], stops[destination])

    def _when(self, instants_us: Int64) -> Int64:
        """Which hours of the tariff an instant lies in, as a number."""
        quarters = instants_us // _QUARTER_US
        different, inverse = np.unique(quarters, return_inverse=True)
        offsets = np.array([self._offset(one) for one in different.tolist()], np.int64)
        local = instants_us + offsets[inverse]
        days = local // _DAY_US
        first = int(days.min())
        types = np.array([self._day_type(day) for day in range(first, int(days.max()) + 1)], np.int64)
        slots = np.searchsorted(self._edges_us, local - days * _DAY_US, side="right")
        return self._hours[types[days - first], slots]

    def _offset(self, quarter: int) -> int:
        """Microseconds that the city's clocks are ahead in a quarter of an hour; they change between two at most."""
        known = self._offsets.get(quarter)
        if known is None:
            ahead = self.pricer.local(_instant(quarter * _QUARTER_US)).utcoffset()
            assert ahead is not None, "a city's time has an offset"
            known = self._offsets[quarter] = ahead // timedelta(microseconds=1)
        return known

    def _day_type(self, day: int) -> int:
        known = self._day_types.get(day)
        if known is None:
            name = self.tariff.day_type(
                datetime.combine(date.fromordinal(_EPOCH_DAY + day), datetime.min.time())
            )
            known = self._day_types[day] = _DAY_TYPES.index(name)
        return known

    def _learn(self, rides: RideColumns, keys: npt.NDArray[np.uint64], firsts: Int64) -> None:
        """Have the plain engine price kinds of ride that were not seen before."""
        rows: list[list[int]] = []
        fees: list[list[int]] = []
        held: dict[str, list[Sequence[tuple[Cap | None, int | None]]]] = {
            period: [] for period in self._periods
        }
        for ride in firsts.tolist():
            journey = self._journey(rides, ride)
            try:
                leg = self.pricer.leg(journey)
            except Unpriceable as reason:
                self.leg_steps.append((Step("held", 0, self.tariff.currency, reason.facts),))
                rows.append([0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
                fees.append([-1] * len(self.tariff.fees))
                for period in self._periods:
                    held[period].append([(None, None)] * self._count(period))
                continue
            quote = leg.quote
            self.leg_steps.append(quote.steps)
            rows.append(
                [
                    quote.amount,
                    quote.free_of_tiers,
                    quote.free_of_caps,
                    self._zone_place(quote.zones),
                    self._whos.setdefault(leg.pays_as, len(self._whos)),
                    leg.before,
                    leg.after,
                    leg.tiers,
                    int(journey.kind in KINDS[:_RIDDEN]),
                    0,
                ]
            )
            amounts = dict(leg.fees)
            fees.append([amounts.get(place, -1) for place in range(len(self.tariff.fees))])
            for period in self._periods:
                held[period].append(self._held(leg, period))
        places = np.arange(len(self._table), len(self._table) + len(rows))
        self.shared = np.concatenate([self.shared, keys >> np.uint64(_SHARED_BIT) != 0])
        self._table = np.concatenate([self._table, np.array(rows, np.int64)])
        self.fees = np.concatenate([self.fees, np.array(fees, np.int64).reshape(len(rows), -1)])
        self._alone = self.shared & (self._table[:, _HELD] != 0)
        for period, choices in held.items():
            covers = self.pricer.covers(period, "")
            more = [[_NOTHING_LEFT if cap is None else rest or 0 for cap, rest in one] for one in choices]
            self.rests[period] = np.concatenate([self.rests[period], np.array(more, np.int64)])
            more = [
                [
                    -1 if cap is None else 2 * cover.index(cap) + (rest is not None)
                    for cover, (cap, rest) in zip(covers, one, strict=True)
                ]
                for one in choices
            ]
            self.takers[period] = np.concatenate([self.takers[period], np.array(more, np.int64)])
        keys = np.concatenate([self._keys, keys])
        order = np.argsort(keys)
        self._keys, self._places = keys[order], np.concatenate([self._places, places])[order]

    def _journey(self, rides: RideColumns, ride: int) -> Journey:
        """One ride as a value, with its metres where the tariff wants to be told of them."""
        journey = rides.journey(ride)
        if (
            not self._given
            or journey.kind != "complete"
            or journey.origin is None
            or journey.destination is None
        ):
            return journey
        metres = self.pricer.ways.reach_m(journey.origin, journey.destination)
        return replace(journey, distance_m=None if metres >= NOWHERE_M else metres)

    def _held(self, leg: Leg, period: str) -> Sequence[tuple[Cap | None, int | None]]:
        """``Pricer.covered``; where zones and products say all about the caps, once for each of these."""
        if not self._plain_caps[period]:
            return self.pricer.covered(leg, period, "")
        key = period, leg.quote.zones, leg.about.product
        found = self._covered.get(key)
        if found is None:
            found = self._covered[key] = self.pricer.covered(leg, period, "")
        return found

    def _zone_place(self, label: str) -> int:
        place = self._zone_places.setdefault(label, len(self._zone_places))
        if place == len(self.zone_labels):
            self.zone_labels.append(label)
        return place

    # -- rides after one another ---------------------------------------------------------------------------

    def _add_up(self, rides: RideColumns, legs: Int64, work: "_Work", earlier: Earlier | None) -> None:
        """Everybody's first ride, then everybody's second, and so on: transfers, tiers, caps."""
        riders = rides.riders
        starts = np.flatnonzero(np.concatenate(([True], riders[1:] != riders[:-1])))
        counts = np.diff(np.append(starts, len(riders)))
        order = np.argsort(-counts, kind="stable")
        starts, counts = starts[order], counts[order]
        whos = np.zeros(len(order), np.int64)
        if self.tariff.caps:
            priced = np.flatnonzero(~work.held)[::-1]
            of_rider = np.zeros(int(riders[-1]) + 1, np.int64)
            of_rider[riders[priced]] = work.leg("who")[priced]
            whos = of_rider[riders[starts]]
        numbers = riders[starts]
        # In the order of rules: so a fare's steps are told.
        links = _Links(self, rides, work, len(order)) if self.tariff.transfers else None
        fees = [_Fees(self, work, place, len(order)) for place in range(len(self.tariff.fees))]
        tiers = _Tiers(self, work, numbers, earlier) if self.tariff.tiers else None
        caps = [_Caps(self, work, period, numbers, whos, earlier) for period in self._periods]
        before_long = bool(self.tariff.caps)
        for number in range(int(counts[0])):
            among = int(np.searchsorted(-counts, -number, side="left"))
            at = starts[:among] + number
            of = legs[at]
            if links is not None:
                links.take(at)
            for one in fees:
                one.take(at, of, links)
            if tiers is not None:
                tiers.take(at)
            for one in caps:
                if one.period == "day":
                    one.take(at, of)
            if before_long:
                work.counted[at] = np.where(work.held[at], 0, work.amounts[at] - work.free_of_caps[at])
            for one in caps:
                if one.period != "day":
                    one.take(at, of)
            amounts = work.amounts[at]
            tiered = np.minimum(amounts - work.free_of_tiers[at], amounts)
            work.tiered[at] = tiered
            if tiers is not None:
                tiers.count(tiered)

    def shares(self, amounts: Int64, percents: Int64) -> Int64:
        """So many percent of each amount, as the tariff rounds. amounts: not below zero."""
        keys, inverse = np.unique(amounts * 128 + percents, return_inverse=True)
        known = self._shares
        found: list[int] = []
        for key in keys.tolist():
            share = known.get(key)
            if share is None:
                share = known[key] = self.pricer.share(key >> 7, key & 127)
            found.append(share)
        return np.array(found, np.int64)[inverse]

    def of_classes(self, price: Any) -> Int64:
        """What a price is for each class that was seen, by its number."""
        return np.array([self.pricer.of_class(price, who) for who in self._whos], np.int64)

    @property
    def whos(self) -> tuple[str, ...]:
        """The classes that were seen, by their number."""
        return tuple(self._whos)


_LEG_COLUMNS = (
    "amount", "free_of_tiers", "free_of_caps", "zones", "who", "before", "after", "tiers", "ridden", "held",
)  # fmt: skip
_DAY_TYPES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
_HELD = _LEG_COLUMNS.index("held")
_TAKERS = 32
_LINES = 1
_ENDS_BITS, _WHEN_BITS = 30, 12
_SHARED_BIT = _ENDS_BITS + 2 + 10 + 5 + 4 + _WHEN_BITS


def _hours(pricer: Pricer) -> Int64:
    """A number for each day type and slot of the clock: the same where the same hours of the tariff hold.

    Shape (8, slots). A price sees no more of the time than which hours hold.
    """
    edges = pricer._edges  # pyright: ignore[reportPrivateUsage]
    parts = (part for one in conditions(pricer.tariff) for part in one.parts)
    spans = [*pricer.tariff.time_bands, *(part.hours for part in parts if part.hours is not None)]
    known: dict[tuple[bool, ...], int] = {}
    rows = [
        [
            known.setdefault(tuple(span.hold(day_type, clock) for span in spans), len(known))
            for clock in (time(0), *edges)
        ]
        for day_type in _DAY_TYPES
    ]
    return np.array(rows, np.int64)


def _hours_told_apart(pricer: Pricer) -> int:
    count = int(_hours(pricer).max()) + 1
    return count * count if pricer._by_exit else count  # pyright: ignore[reportPrivateUsage]


def _no_holes(_name: str) -> list[bytes]:
    return []


class _Work:
    """Fares while rules change them."""

    def __init__(self, table: Int64) -> None:
        self._columns: dict[str, Int64] = dict(zip(_LEG_COLUMNS, table.T, strict=True))
        self.amounts, self.free_of_tiers = self.leg("amount").copy(), self.leg("free_of_tiers").copy()
        self.free_of_caps, self.zones = self.leg("free_of_caps").copy(), self.leg("zones").copy()
        self.held: Flags = self.leg("held") != 0
        self.counted = np.zeros(len(table), np.int64)
        self.tiered = self.amounts - self.free_of_tiers
        self.extras: list[_Extra] = []

    def leg(self, name: str) -> Int64:
        """What the rides have of their kinds."""
        return self._columns[name]


class _Extra(ABC):
    """Steps that one rule added. places: of the rule (or the choice) for each ride; -1 where it added none."""

    def __init__(self, count: int, facts: int) -> None:
        self.places = np.full(count, -1, np.int64)
        self.less = np.zeros(count, np.int64)
        self.facts = np.zeros((facts, count), np.int64)

    def pieces(self) -> tuple[Int64, Int64, list[bytes]]:
        """The rides that have such a step, which of the different ones each has, and those as JSON, after a comma."""
        rides = np.flatnonzero(self.places >= 0)
        codes = self.places[rides]
        for column in (self.less[rides], *self.facts[:, rides]):
            low = int(column.min(initial=0))
            codes = codes * (int(column.max(initial=0)) - low + 1) + column - low
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
        _, firsts = np.unique(codes, return_index=True)
        found = [b"," + as_json(self.steps(ride))[1:] for ride in rides[firsts].tolist()]
        return rides, codes, found

    def steps(self, ride: int) -> tuple[Step, ...]:
        """The step of a ride, if it has one."""
        place = int(self.places[ride])
        return () if place < 0 else (self.step(place, int(self.less[ride]), *self.facts[:, ride].tolist()),)

    @abstractmethod
    def step(self, place: int, less: int, *facts: int) -> Step:
        """The step itself. place: of the rule. less: minor units that it takes off. facts: by column, as kept."""


class _Links(_Extra):
    """Transfers. What each rule remembers of each rider's window is a column."""

    def __init__(self, columnar: Columnar, rides: RideColumns, work: _Work, riders: int) -> None:
        super().__init__(len(rides), 2)
        self._columnar, self._rides, self._work = columnar, rides, work
        self._rules = columnar.tariff.transfers
        self._prices = [_TransferPrices(columnar, rule) for rule in self._rules]
        shape = (len(self._rules), riders)
        self._open = np.zeros(shape, np.bool_)
        self._first, self._last = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._exit, self._count = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._line, self._product = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._dearest, self._paid = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        work.extras.append(self)

    def take(self, at: Int64) -> None:
        """The next ride of the first so many riders. at: which rides."""
        work, count = self._work, len(at)
        ridden = (work.leg("ridden")[at] != 0) & ~work.held[at]
        after, before = work.leg("after")[at], work.leg("before")[at]
        started = self._rides.started_us[at]
        chosen = np.full(count, -1, np.int64)
        taken: list[Flags] = []
        since: list[Int64] = []
        for place, rule in enumerate(self._rules):
            waited = started - self._from(place, rule, count)
            taken.append(ridden & (after >> place & 1 != 0) & self._takes(place, rule, at, waited))
            since.append(waited)
            chosen[taken[place] & (chosen < 0)] = place
        for place in range(len(self._rules)):
            some = np.flatnonzero(chosen == place)
            if len(some):
                self._lower(place, at[some], some, since[place][some])
        amounts = work.amounts[at]
        for place in range(len(self._rules)):
            inside = taken[place] & (chosen >= 0)
            fresh = ridden & ~inside & (before >> place & 1 != 0)
            self._remember(place, at, inside, fresh, amounts)

    def _from(self, place: int, rule: Transfer, count: int) -> Int64:
        match rule.window_from:
            case "last_tap":
                return self._last[place, :count]
            case "exit":
                return self._exit[place, :count]
            case "next_hour":
                return self._first[place, :count] // _HOUR_US * _HOUR_US + _HOUR_US
            case _:
                return self._first[place, :count]

    def _takes(self, place: int, rule: Transfer, at: Int64, waited: Int64) -> Flags:
        count = len(at)
        takes = self._open[place, :count] & (waited <= rule.window // timedelta(microseconds=1))
        if rule.count_max is not None:
            takes &= self._count[place, :count] < rule.count_max
        if rule.other_product:
            takes &= self._rides.products[at] != self._product[place, :count]
        if rule.same_line == "not_next":
            lines = self._rides.lines[at]
            takes &= (lines < 0) | (lines != self._line[place, :count])
        return takes

    def _lower(self, place: int, at: Int64, some: Int64, since: Int64) -> None:
        """Take off what a transfer costs less."""
        work = self._work
        amounts, whos = work.amounts[at], work.leg("who")[at]
        after, fact = self._prices[place].after(
            amounts, whos, self._count[place, some], self._dearest[place, some], self._paid[place, some]
        )
        work.amounts[at] = after
        work.free_of_tiers[at] = np.minimum(work.free_of_tiers[at], after)
        work.free_of_caps[at] = np.minimum(work.free_of_caps[at], after)
        self.places[at], self.less[at] = place, after - amounts
        self.facts[0, at] = np.maximum(0, since // _MINUTE_US)
        self.facts[1, at] = fact

    def _remember(self, place: int, at: Int64, inside: Flags, fresh: Flags, amounts: Int64) -> None:
        rides = self._rides
        on, new = np.flatnonzero(inside), np.flatnonzero(fresh)
        moved = np.concatenate([on, new])
        if not len(moved):
            return
        of = at[moved]
        self._last[place, moved], self._exit[place, moved] = rides.started_us[of], rides.ended_us[of]
        self._line[place, moved], self._product[place, moved] = rides.lines[of], rides.products[of]
        self._count[place, on] += 1
        self._dearest[place, on] = np.maximum(self._dearest[place, on], self._work.leg("amount")[at[on]])
        self._paid[place, on] += amounts[on]
        self._open[place, new], self._count[place, new] = True, 0
        self._first[place, new] = rides.started_us[at[new]]
        self._dearest[place, new] = self._paid[place, new] = amounts[new]

    def step(self, place: int, less: int, *facts: int) -> Step:
        rule, since = self._rules[place], facts[0]
        told: dict[str, str | int] = {
            "since_minutes": since,
            "window_minutes": int(rule.window.total_seconds()) // 60,
        }
        if rule.window_from != "first_tap":
            told["window_from"] = rule.window_from
        if rule.name:
            told["name"] = rule.name
        if self._prices[place].fact:
            told[self._prices[place].fact] = facts[1]
        return self._columnar.pricer.step("transfer", less, told, rule.clause)


class _TransferPrices:
    """What one transfer rule leaves of a fare."""

    def __init__(self, columnar: Columnar, rule: Transfer) -> None:
        self._columnar, self._rule = columnar, rule
        self._less = columnar.of_classes(rule.less) if rule.less is not None else None
        self._most = columnar.of_classes(rule.chain_max) if rule.chain_max is not None else None
        self._fares = np.array([columnar.of_classes(one) for one in rule.fares], np.int64)
        self._percents = np.array(rule.percent, np.int64)
        self.fact = ""
        if self._less is None:
            if rule.difference:
                self.fact = "dearest_minor"
            elif self._most is not None:
                self.fact = "most_minor"
            elif not rule.fares:
                self.fact = "percent"

    def after(
        self, amounts: Int64, whos: Int64, counts: Int64, dearest: Int64, paid: Int64
    ) -> tuple[Int64, Int64]:
        """What is still paid, and the figure that is told with it."""
        none = np.zeros(len(amounts), np.int64)
        if self._less is not None:
            return amounts - np.minimum(amounts, self._less[whos]), none
        if self._rule.difference:
            return np.maximum(0, amounts - dearest), dearest
        if self._most is not None:
            most = self._most[whos]
            return np.minimum(amounts, np.maximum(0, most - paid)), most
        if len(self._fares):
            return np.minimum(amounts, self._fares[np.minimum(counts, len(self._fares) - 1), whos]), none
        percents = self._percents[np.minimum(counts, len(self._percents) - 1)]
        return self._columnar.shares(amounts, percents), percents


class _Fees(_Extra):
    """One fee that is added: for each ride, once a trip, or once a day."""

    def __init__(self, columnar: Columnar, work: _Work, fee: int, riders: int) -> None:
        """fee: its place in the tariff."""
        super().__init__(len(work.amounts), 0)
        self._columnar, self._work, self._place = columnar, work, fee
        self._fee = columnar.tariff.fees[fee]
        self._paid = np.zeros(riders, np.bool_)
        work.extras.append(self)

    def take(self, at: Int64, legs: Int64, links: _Links | None) -> None:
        """The next ride of the first so many riders. legs: their kinds. links: what of them are transfers."""
        work, fee, paid = self._work, self._fee, self._paid[: len(at)]
        if fee.per == "trip":
            goes_on = np.zeros(len(at), np.bool_) if links is None else links.places[at] >= 0
            paid &= goes_on | work.held[at]
        amounts = self._columnar.fees[legs, self._place]
        some = np.flatnonzero((amounts >= 0) & ~(paid & (fee.per != "leg")))
        paid[some] = True
        of, more = at[some], amounts[some]
        work.amounts[of] += more
        work.free_of_tiers[of] += 0 if fee.tiers else more
        work.free_of_caps[of] += 0 if fee.caps else more
        self.places[of], self.less[of] = 0, more

    def step(self, place: int, less: int, *facts: int) -> Step:  # noqa: ARG002  (as every step)
        return self._columnar.pricer.step("fee", less, {"name": self._fee.name}, self._fee.clause)


class _Tiers(_Extra):
    """The month's tiers."""

    def __init__(self, columnar: Columnar, work: _Work, numbers: Int64, earlier: Earlier | None) -> None:
        super().__init__(len(work.amounts), 1)
        self._columnar, self._work = columnar, work
        ladder = columnar.pricer.ladders[0]
        self._tiers, self._bit = ladder.tiers, ladder.place
        self._from = np.array([one.from_minor for one in self._tiers], np.int64)
        self._percents = np.array([one.percent for one in self._tiers], np.int64)
        self._month = np.zeros(len(numbers), np.int64) if earlier is None else earlier.month_minor[numbers]
        work.extras.append(self)

    def take(self, at: Int64) -> None:
        """The next ride of the first so many riders."""
        work = self._work
        used = self._month[: len(at)]
        tier = np.searchsorted(self._from, used, side="right") - 1
        tiered = work.amounts[at] - work.free_of_tiers[at]
        some = np.flatnonzero(
            (tier >= 0)
            & (self._percents[tier] != 100)
            & (tiered != 0)
            & (work.leg("tiers")[at] >> self._bit & 1 != 0)
            & ~work.held[at]
        )
        if not len(some):
            return
        of, tiers = at[some], tier[some]
        less = self._columnar.shares(tiered[some], self._percents[tiers]) - tiered[some]
        work.amounts[of] += less
        work.free_of_caps[of] = np.minimum(work.free_of_caps[of], work.amounts[of])
        self.places[of], self.less[of], self.facts[0, of] = tiers, less, used[some]

    def count(self, tiered: Int64) -> None:
        """Add what the ride just taken counts."""
        self._month[: len(tiered)] += tiered

    def step(self, place: int, less: int, *facts: int) -> Step:
        tier: Tier = self._tiers[place]
        told = {"percent": tier.percent, "month_minor": facts[0], "from_minor": tier.from_minor}
        return self._columnar.pricer.step("tier", less, told, tier.clause)


class _Caps(_Extra):
    """The caps of one period: what each choice of them comes to, for each rider."""

    def __init__(
        self,
        columnar: Columnar,
        work: _Work,
        period: str,
        numbers: Int64,
        whos: Int64,
        earlier: Earlier | None,
    ) -> None:
        super().__init__(len(work.amounts), 2)
        self._columnar, self._work, self.period = columnar, work, period
        self._covers = columnar.pricer.covers(period, "")
        prices = [[sum(cap.amount(who) for cap in cover) for who in columnar.whos] for cover in self._covers]
        self._whos, self._names = whos, columnar.whos
        self._totals = np.array(prices, np.int64).reshape(len(self._covers), -1)[:, whos]
        if earlier is not None and period != "day":
            self._begin(numbers, earlier)
        work.extras.append(self)

    def _begin(self, numbers: Int64, earlier: Earlier) -> None:
        """Add what earlier days of the period came to beside each choice."""
        tariff, totals = self._columnar.tariff, self._totals
        place_of = np.zeros(int(numbers.max()) + 1, np.int64)
        place_of[numbers] = np.arange(len(numbers))
        pairs = earlier.products * max(1, len(earlier.zone_labels)) + earlier.zones
        for place, cover in enumerate(self._covers):
            for pair in np.unique(pairs).tolist():
                product, zones = divmod(int(pair), max(1, len(earlier.zone_labels)))
                span = tariff.zone_span(earlier.zone_labels[zones])
                if not any(cap.covers(earlier.product_names[product], span) for cap in cover):
                    own = pairs == pair
                    np.add.at(totals[place], place_of[earlier.riders[own]], earlier.minor[own])
            if not cover:
                totals[place] += earlier.opening_minor[numbers]

    def take(self, at: Int64, legs: Int64) -> None:
        """The next ride of the first so many riders. legs: their kinds."""
        work, period = self._work, self.period
        amounts = np.where(work.held[at], 0, work.amounts[at] - work.free_of_caps[at])
        totals, rests = self._totals[:, : len(at)], self._columnar.rests[period][legs]
        before = totals.min(axis=0)
        totals += np.minimum(amounts, rests.T)
        charged = totals.min(axis=0) - before
        some = np.flatnonzero(charged != amounts)
        if not len(some):
            return
        of, choice = at[some], totals[:, some].argmin(axis=0)
        less = charged[some] - amounts[some]
        work.amounts[of] += less
        work.free_of_tiers[of] = np.minimum(work.free_of_tiers[of], work.amounts[of])
        self.places[of] = choice * _TAKERS + self._columnar.takers[period][legs[some], choice]
        self.less[of], self.facts[0, of], self.facts[1, of] = less, self._whos[some], rests[some, choice]

    def step(self, place: int, less: int, *facts: int) -> Step:
        choice, taker = divmod(place, _TAKERS)
        cap: Cap = self._covers[choice][taker >> 1]
        told: dict[str, str | int] = {
            "label": cap.label,
            "cap_minor": cap.amount(self._names[facts[0]]),
        }
        if taker & 1:
            told["beyond_minor"] = facts[1]
        return self._columnar.pricer.step("cap", less, told, cap.clause)


def _instant(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def _word(words: Sequence[str], place: int) -> str | None:
    return None if place < 0 else words[place]
