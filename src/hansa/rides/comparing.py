"""Two tariffs over the same past journeys: what each would have brought in, and who would have paid more or less.

Pure but for ``compare_tariffs``, which reads. Riders stream by, some at a time, each with all journeys of the span
in order; what is kept of them are sums, so memory hangs on the size of the tariff and its network, not on the number of
journeys. Nothing is written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from heapq import heappush, heappushpop
from itertools import groupby, islice
from typing import ClassVar

from hansa import atlas
from hansa.fares import (
    Around,
    Fare,
    Journey,
    Pricer,
    Tariff,
    Unpriceable,
    period_start,
)
from hansa.kernel import HansaError, InvalidInput, Problem, service_day_bounds
from hansa.rides import comparing_store
from hansa.rides.comparing_prices import PastRider, Pricers, Prices, Side, past_days
from hansa.rides.comparing_store import PastRide
from hansa.rides.faresv2 import pricer_of
from hansa.rides.looking_back import Asked, Look, load_around
from hansa.rides.store import DayKey
from hansa.rides.tariffs import digest_of
from hansa.store import Tx

DAYS_MAX = 62
"""Service days in one comparison."""

JOURNEYS_MAX = 200_000
"""Journeys in one comparison, unless more are asked for."""

RIDERS_AT_ONCE = 500
"""Riders held in memory with all their journeys of the span."""

ORIGINS_KEPT_MAX = 1_000
"""Stops of which the lines to all others are kept in memory."""

FOUND_MAX = 10
"""Riders who lose most, and who gain most, that are told."""

REASONS_MAX = 20
"""Reasons of one side for which it has no fare, that are told."""

SIDES: tuple[Side, Side] = ("before", "after")


class TooManyJourneys(HansaError):
    """More journeys than are compared at once. Choose fewer days."""

    code: ClassVar[str] = "rides.too_many_journeys"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Row:
    """Journeys of one class, line, product or hour, and what they bring in, whoever pays, in minor units."""

    name: str
    journeys: int
    before_minor: int
    after_minor: int

    @property
    def change_minor(self) -> int:
        """What the second tariff brings in more."""
        return self.after_minor - self.before_minor


@dataclass(frozen=True, slots=True)
class Bin:
    """Riders whose journeys cost more (or less, below zero) by ``over_minor`` to ``up_to_minor``, in minor units.

    The edge nearer to zero is left out, the farther one taken in; the bin of nobody's change is 0 to 0.
    """

    over_minor: int
    up_to_minor: int
    riders: int


@dataclass(frozen=True, slots=True)
class TypicalRider:
    """A rider by the trip they made most, and nothing else of them: no name, no id, no time.

    times: how many of their journeys were that trip. before_minor, after_minor: all their journeys over the span.
    """

    rider_class: str
    product: str
    line_id: str | None
    origin: str | None
    destination: str | None
    times: int
    journeys: int
    before_minor: int
    after_minor: int

    @property
    def change_minor(self) -> int:
        """What they would pay more."""
        return self.after_minor - self.before_minor


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Journeys for which one side has no fare, by its reason, with the ends of one of them."""

    side: Side
    why: str
    journeys: int
    origin: str | None
    destination: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One side of a comparison: the tariff and what it needs that the books do not keep."""

    name: str
    valid_from: date
    digest: bytes


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two tariffs make of the same journeys. Amounts are minor units of ``currency``.

    before_minor, after_minor: fares whoever pays them; subsidies are the part that others than the rider pay.
    books_minor: what the books hold for these journeys; books_differ: journeys to which the first tariff gives another
    fare than the books hold. better, same, worse: riders by what they themselves pay over the span, over the journeys
    that both tariffs have a fare for. unpriced_before, unpriced_after: journeys the one has no fare for.
    by_line: a journey of which no tap tells the line counts, whole, for the one on which the shortest way between its
    stops begins, through the readers inside that prove its way; lines_by_way: how many are counted so. Where no way is
    known, as of a journey with one end, the name of the line is empty.
    """

    operator_id: str
    city_id: str
    currency: str
    first_day: date
    last_day: date
    before: Compared
    after: Compared
    journeys: int
    riders: int
    before_minor: int
    after_minor: int
    subsidy_before_minor: int
    subsidy_after_minor: int
    books_minor: int
    books_differ: int
    by_class: tuple[Row, ...]
    by_line: tuple[Row, ...]
    lines_by_way: int
    by_product: tuple[Row, ...]
    by_hour: tuple[Row, ...]
    better: int
    same: int
    worse: int
    bins: tuple[Bin, ...]
    losers: tuple[TypicalRider, ...]
    winners: tuple[TypicalRider, ...]
    unpriced_before: int
    unpriced_after: int
    unpriced: tuple[Unpriced, ...]

    @property
    def change_minor(self) -> int:
        """What the second tariff brings in more."""
        return self.after_minor - self.before_minor


# -- the comparison -----------------------------------------------------------------------------------------

FirstLine = Callable[[Journey, date], str | None]
"""Gives the line on which a journey's way begins, where no tap tells it; None where no way is known."""


def _no_way(_journey: Journey, _day: date) -> None:
    return None


class Comparing:
    """Adds up riders, some at a time; ``result`` tells the sums.

    from_day: journeys before it are there only for what they used up of longer periods.
    """

    def __init__(
        self,
        tariffs: tuple[Tariff, Tariff],
        pricers: Pricers,
        *,
        from_day: date,
        until_day: date,
        first_line: FirstLine = _no_way,
    ) -> None:
        self.tariffs, self.first_line = tariffs, first_line
        self.prices = [
            Prices(side, tariff, pricers, from_day=from_day)
            for side, tariff in zip(SIDES, tariffs, strict=True)
        ]
        self.from_day, self.until_day = from_day, until_day
        self.journeys = self.riders = self.books_minor = self.books_differ = self.lines_by_way = 0
        self.sums = [0, 0]
        self.subsidies = [0, 0]
        self.unpriced = [0, 0]
        self.rows: dict[str, dict[str, list[int]]] = {
            name: {} for name in ("class", "line", "product", "hour")
        }
        self.people: dict[str, int] = {"better": 0, "same": 0, "worse": 0}
        self.bins: Counter[tuple[int, int]] = Counter()
        self.reasons: dict[tuple[Side, str], list[int | str | None]] = {}
        self.losers = _Most()
        self.winners = _Most()

    def see(self, riders: Sequence[PastRider]) -> None:
        """Some riders with all their journeys."""
        days = past_days(riders)
        sides = [prices.fares(riders, days) for prices in self.prices]
        for rider, before, after in zip(riders, *sides, strict=True):
            self._see(rider, before, after)

    def _see(self, rider: PastRider, before: Sequence[Fare], after: Sequence[Fare]) -> None:
        rides = [one for one in rider.rides if one.service_day >= self.from_day]
        trips: Counter[tuple[str, str, str | None, str | None, str | None]] = Counter()
        paid = [0, 0]
        for past, one, other in zip(rides, before, after, strict=True):
            self._journey(past, one, other)
            if one.status == other.status == "priced":
                paid[0] += one.amount_minor
                paid[1] += other.amount_minor
                made = past.journey
                trips[made.rider_class, made.product, made.line_id, made.origin, made.destination] += 1
        if rides:
            self._rider(trips, paid, len(rides))

    def _journey(self, past: PastRide, before: Fare, after: Fare) -> None:
        journey = past.journey
        self.journeys += 1
        both = _whole(before), _whole(after)
        for side, fare in enumerate((before, after)):
            self.sums[side] += both[side]
            if fare.status == "held":
                self._unpriced(SIDES[side], journey, fare)
            elif fare.subsidy is not None:
                self.subsidies[side] += fare.subsidy.amount_minor
        charged = past.whole_minor if past.status == "priced" else None
        self.books_minor += charged or 0
        if charged != (both[0] if before.status == "priced" else None):
            self.books_differ += 1
        line = journey.line_id
        if line is None:
            line = self.first_line(journey, past.service_day)
            self.lines_by_way += line is not None
        hour = journey.started_at.astimezone(self.tariffs[0].zone_info).hour
        for kind, name in (
            ("class", journey.rider_class),
            ("line", line or ""),
            ("product", journey.product),
            ("hour", f"{hour:02d}"),
        ):
            row = self.rows[kind].setdefault(name, [0, 0, 0])
            row[0] += 1
            row[1] += both[0]
            row[2] += both[1]

    def _unpriced(self, side: Side, journey: Journey, fare: Fare) -> None:
        self.unpriced[SIDES.index(side)] += 1
        why = str(fare.steps[-1].facts.get("why", "")) if fare.steps else ""
        known = self.reasons.get((side, why))
        if known is None:
            if sum(name == side for name, _ in self.reasons) >= REASONS_MAX:
                return
            known = self.reasons[side, why] = [0, journey.origin, journey.destination]
        known[0] = int(known[0] or 0) + 1

    def _rider(
        self,
        trips: Counter[tuple[str, str, str | None, str | None, str | None]],
        paid: Sequence[int],
        ridden: int,
    ) -> None:
        self.riders += 1
        change = paid[1] - paid[0]
        self.people["worse" if change > 0 else "better" if change < 0 else "same"] += 1
        self.bins[bin_of(change)] += 1
        if not change:
            return
        trip, times = min(trips.items(), key=lambda one: (-one[1], _text(one[0])))
        rider = TypicalRider(*trip, times, ridden, paid[0], paid[1])
        (self.losers if change > 0 else self.winners).see(rider)

    def result(self) -> Comparison:
        """The sums so far."""
        before, after = self.tariffs
        reasons = sorted(self.reasons.items(), key=lambda one: (-int(one[1][0] or 0), one[0]))
        return Comparison(
            operator_id=before.operator_id,
            city_id=before.city_id,
            currency=before.currency,
            first_day=self.from_day,
            last_day=self.until_day,
            before=Compared(before.name, before.valid_from, digest_of(before.source)),
            after=Compared(after.name, after.valid_from, digest_of(after.source)),
            journeys=self.journeys,
            riders=self.riders,
            before_minor=self.sums[0],
            after_minor=self.sums[1],
            subsidy_before_minor=self.subsidies[0],
            subsidy_after_minor=self.subsidies[1],
            books_minor=self.books_minor,
            books_differ=self.books_differ,
            by_class=self._rows("class"),
            by_line=self._rows("line"),
            lines_by_way=self.lines_by_way,
            by_product=self._rows("product"),
            by_hour=self._rows("hour"),
            better=self.people["better"],
            same=self.people["same"],
            worse=self.people["worse"],
            bins=tuple(Bin(*edges, riders) for edges, riders in sorted(self.bins.items())),
            losers=self.losers.told(),
            winners=self.winners.told(),
            unpriced_before=self.unpriced[0],
            unpriced_after=self.unpriced[1],
            unpriced=tuple(
                Unpriced(side, why, int(count or 0), _place(origin), _place(destination))
                for (side, why), (count, origin, destination) in reasons
            ),
        )

    def _rows(self, kind: str) -> tuple[Row, ...]:
        starts = self.tariffs[0].day_starts.hour

        def order(name: str) -> tuple[int, str]:
            return ((int(name) - starts) % 24, name) if kind == "hour" else (0, name)

        return tuple(Row(name, *self.rows[kind][name]) for name in sorted(self.rows[kind], key=order))


class _Most:
    """The riders with the largest change, of all that were seen; of equal ones, by their trip."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, _Backwards, TypicalRider]] = []
        self._key = 0

    def see(self, rider: TypicalRider) -> None:
        one = abs(rider.change_minor), _Backwards(_text_of(rider)), rider
        if len(self._heap) < FOUND_MAX:
            heappush(self._heap, one)
        elif one[:2] > self._heap[0][:2]:
            heappushpop(self._heap, one)

    def told(self) -> tuple[TypicalRider, ...]:
        return tuple(one[2] for one in sorted(self._heap, key=lambda one: (-one[0], one[1].text)))


@dataclass(frozen=True, slots=True)
class _Backwards:
    """A text that sorts the other way round, so that a heap of the largest keeps the first of equal ones."""

    text: str

    def __lt__(self, other: "_Backwards") -> bool:
        return self.text > other.text


def bin_of(change_minor: int) -> tuple[int, int]:
    """The bin of a change, (over, up to): edges are 1, 2, 5, 10, 20, 50, ... minor units, to both sides of zero."""
    if change_minor == 0:
        return 0, 0
    low, power = 0, 1
    while True:
        for times in (1, 2, 5):
            edge = times * power
            if abs(change_minor) <= edge:
                return (low, edge) if change_minor > 0 else (-edge, -low)
            low = edge
        power *= 10


def _whole(fare: Fare) -> int:
    if fare.status != "priced":
        return 0
    return fare.amount_minor if fare.subsidy is None else fare.whole_minor


def _text(trip: Iterable[str | None]) -> str:
    return "\t".join(one or "" for one in trip)


def _text_of(rider: TypicalRider) -> str:
    ends = rider.rider_class, rider.product, rider.line_id, rider.origin, rider.destination
    return f"{_text(ends)}\t{rider.times:09d}\t{rider.journeys:09d}\t{rider.before_minor:012d}"


def _place(told: int | str | None) -> str | None:
    return told if isinstance(told, str) else None


# -- reading ------------------------------------------------------------------------------------------------


def compare_tariffs(
    tx: Tx,
    before: Tariff,
    after: Tariff,
    *,
    first_day: date,
    last_day: date,
    journeys_max: int = JOURNEYS_MAX,
    told: Callable[[int, int], None] | None = None,
) -> Comparison:
    """What two tariffs of one operator make of the journeys that the books hold for these service days, inclusive.

    Both are priced over the network that held on each day. What was ridden earlier in the same week or month counts as
    it was charged. Only reads. told: is called as it goes with the journeys that are done, and of how many.
    Errors: InvalidInput when the two are of different operators, cities, currencies or days, or the span is no span or
    longer than 62 days; TooManyJourneys.
    """
    _refuse_what_cannot_be_compared(before, after, first_day, last_day)
    count = comparing_store.count_journeys(tx, before.operator_id, first_day, last_day)
    if count > journeys_max:
        raise TooManyJourneys(
            f"{count:,} journeys lie in these days, and {journeys_max:,} are compared at once. Choose fewer days."
        )
    if told is not None:
        told(0, count)
    networks = _Networks(tx, before, after)
    comparing = Comparing(
        (before, after), networks, from_day=first_day, until_day=last_day, first_line=networks.first_line
    )
    from_day = min(_looks_back_to(tariff, first_day) for tariff in (before, after))
    rides = comparing_store.past_rides(tx, before.operator_id, from_day, last_day)
    riders = _by_rider(rides)
    while some := list(islice(riders, RIDERS_AT_ONCE)):
        accounts = [one[0].account_id for one in some]
        opening = comparing_store.openings(tx, before.operator_id, accounts)
        around = _around(tx, (before, after), some, first_day)
        comparing.see(
            [
                PastRider(one, opening.get(one[0].account_id, {}), around.get(place, {}))
                for place, one in enumerate(some)
            ]
        )
        if told is not None:
            told(comparing.journeys, count)
    return comparing.result()


def _around(
    tx: Tx, tariffs: tuple[Tariff, Tariff], riders: Sequence[Sequence[PastRide]], first_day: date
) -> dict[int, dict[tuple[Side, date], Around | Unpriceable]]:
    """What each side looks at beside the journeys, by place of the rider and by side and day."""
    found: dict[int, dict[tuple[Side, date], Around | Unpriceable]] = {}
    for side, tariff in zip(SIDES, tariffs, strict=True):
        look = Look.of(tariff)
        if not look.beyond:
            continue
        asked: dict[int, list[Asked]] = {}
        places: dict[int, tuple[int, date]] = {}
        for place, rides in enumerate(riders):
            for day, of_day in groupby(rides, key=lambda one: one.service_day):
                if day < first_day:
                    continue
                todays = list(of_day)
                key = DayKey(todays[0].partition, todays[0].account_id, tariff.operator_id, day)
                before_at, _ = service_day_bounds(day - timedelta(days=1), tariff.tz, tariff.day_starts)
                bounds = service_day_bounds(day, tariff.tz, tariff.day_starts)
                journeys = [one.journey for one in todays]
                n = len(places)
                places[n] = place, day
                asked.setdefault(key.partition, []).append(
                    Asked(n, key, look, before_at, *bounds, tariff.currency, journeys)
                )
        for partition, some in asked.items():
            rounds = load_around(tx, partition, some)
            for n, known in (*rounds.around.items(), *rounds.why_not.items()):
                place, day = places[n]
                found.setdefault(place, {})[side, day] = known
    return found


def _by_rider(rides: Iterator[PastRide]) -> Iterator[list[PastRide]]:
    for _, of_rider in groupby(rides, key=lambda one: one.account_id):
        yield list(of_rider)


class _Networks:
    """Pricers by side and service day, and first lines of ways, over the network that held on it."""

    def __init__(self, tx: Tx, before: Tariff, after: Tariff) -> None:
        self.tx, self.tariffs = tx, {"before": before, "after": after}
        self.by_day: dict[tuple[Side, date], Pricer | None] = {}
        self.by_network: dict[tuple[Side, int], Pricer] = {}
        self.networks: dict[date, atlas.Network | None] = {}
        self.lines: dict[tuple[int, str, str], Mapping[str, str]] = {}

    def __call__(self, side: Side, day: date) -> Pricer | None:
        if (side, day) not in self.by_day:
            self.by_day[side, day] = self._pricer(side, day)
        return self.by_day[side, day]

    def _pricer(self, side: Side, day: date) -> Pricer | None:
        tariff, network = self.tariffs[side], self._network(day)
        if network is None:
            return None
        name = side, network.version
        if name not in self.by_network:
            feed = partial(atlas.get_fares_v2, self.tx, tariff.city_id, version=network.version)
            self.by_network[name] = pricer_of(tariff, network, feed)
        return self.by_network[name]

    def _network(self, day: date) -> atlas.Network | None:
        if day not in self.networks:
            try:
                self.networks[day] = atlas.get_network(self.tx, self.tariffs["before"].city_id, day=day)
            except atlas.UnknownCity:
                self.networks[day] = None
        return self.networks[day]

    def first_line(self, journey: Journey, day: date) -> str | None:
        """The line on which the shortest way begins, to the first reader inside that proves it or to the end."""
        network, origin, destination = self._network(day), journey.origin, journey.destination
        if network is None or origin is None or destination is None or origin not in network.stops:
            return None
        name = network.version, origin, journey.product
        lines = self.lines.get(name)
        if lines is None:
            if len(self.lines) >= ORIGINS_KEPT_MAX:
                self.lines.clear()
            lines = self.lines[name] = atlas.first_lines(network, origin, journey.product)
        return next((lines[stop] for stop in (*journey.via, destination) if stop in lines), None)


def _looks_back_to(tariff: Tariff, day: date) -> date:
    """The first day that a service day's counters may hang on; of a rolling window, any day on which one was open."""
    look = Look.of(tariff)
    found = [day - timedelta(days=max(2 * look.rolling_days, look.days_back))]
    if look.tiers or "month" in look.counted or look.period == "month":
        found.append(period_start(day, "month"))
    if "week" in look.counted or look.period == "week":
        found.append(period_start(day, "week"))
    return min(found)


def _refuse_what_cannot_be_compared(before: Tariff, after: Tariff, first_day: date, last_day: date) -> None:
    problems: list[Problem] = []
    for name, one, other in (
        ("operator", before.operator_id, after.operator_id),
        ("city", before.city_id, after.city_id),
        ("currency", before.currency, after.currency),
        ("tz", before.tz, after.tz),
        ("day_starts", before.day_starts, after.day_starts),
    ):
        if one != other:
            what = f"is {one} in the first tariff and {other} in the second"
            problems.append(Problem(name, what, "Compare two tariffs of one operator"))
    for name, day in (("first_day", first_day), ("last_day", last_day)):
        if not 2000 <= day.year <= 2200:
            problems.append(Problem(name, f"is {day}", "Name a day from 2000 to 2200"))
    if last_day < first_day:
        problems.append(Problem("last_day", f"{last_day} is before {first_day}", "Name a later day"))
    elif (last_day - first_day).days >= DAYS_MAX:
        days = (last_day - first_day).days + 1
        problems.append(Problem("last_day", f"the span has {days} days", f"Name at most {DAYS_MAX}"))
    if problems:
        raise InvalidInput("These cannot be compared.", problems=tuple(problems))
