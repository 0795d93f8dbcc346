"""Rides that have no fare: every pair of stops of a network against a tariff, by sets, none left out.

Stops that no rule tells apart are one kind; which rule prices a ride is worked out for each pair of kinds and each
hour, product, class and medium by which rules are chosen. What is left to a basis is then looked at as a whole: the
rows of a table against all pairs it must price, the longest way against the last band, the zones of each stop against
those with a fare.

Hours have no gap to look for: ``default_band`` is all time outside the other bands, and reading asks for an amount for
each band wherever a price stands. Bands of metres have none between them: each begins where the one before it ends.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from itertools import product as product_of
from typing import NamedTuple

from hansa.fares.legs import question
from hansa.fares.model import HasLines, Places
from hansa.fares.parts.basis import Basis, CheapestBasis, Single
from hansa.fares.parts.condition import Condition
from hansa.fares.parts.distance import DistanceBasis, RateBasis
from hansa.fares.parts.feed import FeedBasis
from hansa.fares.parts.flat import FlatBasis, LineBasis
from hansa.fares.parts.metres import MetresTable
from hansa.fares.parts.pairs import PairBasis
from hansa.fares.parts.ride import Unpriceable
from hansa.fares.parts.zones import ZoneBasis, ZoneCountBasis, ZoneSetBasis, touched_by
from hansa.fares.pricing import Pricer
from hansa.fares.tariff import Tariff
from hansa.fares.ways import NOWHERE_M

Pair = tuple[str, str]


class Gap(NamedTuple):
    """Pairs of stops (or zones, or lines) without a fare, for one reason.

    file: the table that lacks a row; empty where it is the tariff itself. field: below the basis, or of the table.
    """

    what: str
    remedy: str
    file: str = ""
    field: str = ""
    clause: str = ""


@dataclass(slots=True)
class _Asked:
    """What one basis must price: for some kinds of stops, all ways from the first to the second."""

    basis: Basis
    clause: str
    blocks: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])


def find_gaps(tariff: Tariff, places: Places) -> Iterator[Gap]:
    """Every ride of the network that has no fare. Bases that go by what only a ride can tell are left out."""
    pricer = Pricer(tariff, places)
    kinds = _kinds(tariff, places)
    for asked in _asked(pricer, kinds):
        pairs = _Pairs(pricer, kinds, asked)
        for gap in _gaps_of(asked.basis, pairs):
            yield gap._replace(clause=gap.clause or asked.clause)


# -- which basis must price what ----------------------------------------------------------------------------


def _kinds(tariff: Tariff, places: Places) -> list[list[str]]:
    """The stops by kind: alike in zones and in every set of stops that a rule names."""
    sets = [one.stops for one in tariff.overrides]
    for condition in _choosing(tariff):
        sets += [part for part in (condition.stops, condition.from_stops, condition.to_stops) if part]
    kinds: dict[tuple[object, ...], list[str]] = {}
    for stop in sorted(places.stops):
        kinds.setdefault((places.zone_of(stop), *(stop in one for one in sets)), []).append(stop)
    return list(kinds.values())


def _choosing(tariff: Tariff) -> list[Condition]:
    """The conditions by which the price of a ride is chosen."""
    owners = (*tariff.time_bands, *(rule for rule in tariff.fares if not rule.joined))
    return [part for owner in owners for part in owner.condition.parts]


def _asked(pricer: Pricer, kinds: Sequence[Sequence[str]]) -> list[_Asked]:
    tariff = pricer.tariff
    rules = [rule for rule in tariff.fares if not rule.joined]
    bases = [_Asked(rule.basis, rule.clause) for rule in rules]
    main = _Asked(tariff.basis, tariff.basis.clause)
    every = {(here, there) for here in range(len(kinds)) for there in range(len(kinds))}
    if not rules:
        main.blocks = every
        return [main]
    apart = frozenset[str]().union(*(one.stops for one in tariff.overrides))
    for here, there in every:
        ends = kinds[here][0], kinds[there][0]
        if apart & set(ends):
            continue
        for at, product, line, who, medium, via in _circumstances(tariff):
            journey = question(*ends, at, who, product, line or None, medium)
            journey = replace(journey, via=(via,) if via else ())
            about = pricer.circumstances(journey, pricer.times(journey, None))
            rule = next((n for n, rule in enumerate(rules) if rule.condition.holds(about)), None)
            (main if rule is None else bases[rule]).blocks.add((here, there))
    return [one for one in (*bases, main) if one.blocks]


def _circumstances(tariff: Tariff) -> Iterable[tuple[datetime, str, str, str, str, str]]:
    """One of each kind of ride that rules tell apart: instant, product, line, class, medium, way."""
    chosen = _choosing(tariff)

    def named(name: str) -> list[str]:
        return sorted({word for one in chosen for word in getattr(one, name)})

    return list(
        product_of(
            _instants(tariff),
            ["", *named("products")],
            ["", *named("lines")],
            [*dict.fromkeys(["adult", *named("classes")])],
            ["", *named("media")],
            ["", *named("via")],
        )
    )


def _instants(tariff: Tariff) -> list[datetime]:
    """One instant of each kind that rules tell apart: of every day type, season and stretch of the day."""
    parts = _choosing(tariff)
    hours = [part.hours for part in parts if part.hours is not None]
    bands = tariff.time_bands
    if not hours and not bands and not any(part.seasons for part in parts):
        return [datetime.combine(tariff.valid_from, time(12), tariff.zone_info)]
    edges = sorted({tariff.day_starts, *(t for one in (*bands, *hours) for t in (one.starts, one.ends))})
    found: dict[tuple[object, ...], datetime] = {}
    for day in _days(tariff):
        for clock in edges:
            at = datetime.combine(day, min(clock, time(23, 59)), tariff.zone_info)
            day_type = tariff.day_type(at)
            holding = (
                *(band.hold(day_type, at.time()) for band in bands),
                *(one.hold(day_type, at.time()) for one in hours),
                tariff.seasons_on(tariff.service_day(at)),
            )
            found.setdefault(holding, at)
    return list(found.values())


def _days(tariff: Tariff) -> list[date]:
    """A week, the holidays, and days in each season and on its edges."""
    days = [tariff.valid_from + timedelta(days=count) for count in range(8)]
    days += sorted(tariff.holidays)[:1]
    for season in tariff.seasons:
        days += sorted(season.dates)[:1]
        for month, day in (edge for edge in (season.starts, season.ends) if edge is not None):
            days.append(date(tariff.valid_from.year, month, min(day, 28)))
    return days


# -- what a basis lacks ---------------------------------------------------------------------------------------


class _Pairs:
    """The pairs of stops that a basis must price."""

    def __init__(self, pricer: Pricer, kinds: Sequence[Sequence[str]], asked: _Asked) -> None:
        self.pricer, self.tariff, self.places = pricer, pricer.tariff, pricer.places
        self._blocks = sorted(asked.blocks)
        self._stays = (
            self.tariff.same_stop is None
        )  # leaving where one entered has a price of its own, or not
        apart = frozenset[str]().union(*(one.stops for one in self.tariff.overrides))
        self._kinds = [[stop for stop in kind if stop not in apart] for kind in kinds]

    def __iter__(self) -> Iterator[Pair]:
        for here, there in self._blocks:
            for origin in self._kinds[here]:
                for destination in self._kinds[there]:
                    if self._stays or origin != destination:
                        yield origin, destination

    @property
    def stops(self) -> list[str]:
        """All stops that are an end of one of them."""
        used = {
            kind
            for here, there in self._blocks
            if here != there or self._stays or len(self._kinds[here]) > 1
            for kind in (here, there)
        }
        return sorted(stop for kind in used for stop in self._kinds[kind])

    def of_kinds(self) -> Iterator[tuple[Pair, int]]:
        """One pair of each two kinds, and for how many it stands."""
        for here, there in self._blocks:
            count = len(self._kinds[here]) * len(self._kinds[there])
            if here == there and not self._stays:
                count -= len(self._kinds[here])
            if count:
                yield (self._kinds[here][0], self._kinds[there][-1]), count


def _gaps_of(basis: Basis, pairs: _Pairs) -> Iterator[Gap]:
    match basis:
        case FlatBasis() | FeedBasis():
            return
        case LineBasis():
            yield from _lines_without(basis, pairs)
        case PairBasis(by_zone=False):
            yield from _rows_without(basis, set(pairs), "stop")
        case PairBasis():
            yield from _zone_rows_without(basis, pairs)
        case DistanceBasis() | RateBasis():
            yield from _metres_beyond(basis, pairs)
        case ZoneBasis() | ZoneSetBasis() | ZoneCountBasis():
            yield from _zones_without(basis, pairs)
        case CheapestBasis():
            yield from _in_none(basis, pairs)


def _rows_without(basis: PairBasis, asked: Set[Pair], kind: str) -> Iterator[Gap]:
    """The rows that a table lacks: all that is asked less all that there is."""
    there = basis.rows.keys() | ({(b, a) for a, b in basis.rows} if basis.symmetric else set[Pair]())
    file = basis.clause.rsplit(", ", 1)[-1]
    told: set[Pair] = set()
    for pair in sorted(asked - there):
        if basis.symmetric and pair[::-1] in told:
            continue
        told.add(pair)
        what = f"no fare for the {kind}s {pair[0]} to {pair[1]}: the table has no such row"
        yield Gap(
            what, f"Add the row {','.join(pair)}, or leave the {kind} out of the network", file, "origin"
        )


def _zone_rows_without(basis: PairBasis, pairs: _Pairs) -> Iterator[Gap]:
    labels = {stop: pairs.places.zone_of(stop) or "" for stop in pairs.stops}
    yield from _stops_without_zone([stop for stop, label in labels.items() if not label])
    asked = {(labels[a], labels[b]) for (a, b), _ in pairs.of_kinds() if labels[a] and labels[b]}
    yield from _rows_without(basis, asked, "zone")


def _stops_without_zone(stops: Sequence[str]) -> Iterator[Gap]:
    for stop in stops:
        yield Gap(
            f"no fare for {stop}: it is in no zone", "Give it a zone in the network, or a rule of its own"
        )


def _lines_without(basis: LineBasis, pairs: _Pairs) -> Iterator[Gap]:
    """Lines of the network that the basis names no fare for, where it is the one that prices them."""
    if not isinstance(pairs.places, HasLines) or basis is not pairs.tariff.basis:
        return
    named = frozenset[str]().union(*(rule.condition.lines for rule in pairs.tariff.fares))
    named |= frozenset[str]().union(*(one.lines for one in pairs.tariff.overrides))
    for line in sorted(pairs.places.lines.keys() - basis.prices.keys() - named):
        yield Gap(
            f"no fare for line {line}", "Add it to [basis.line], or leave it out of the network", field="line"
        )


def _metres_beyond(basis: DistanceBasis | RateBasis, pairs: _Pairs) -> Iterator[Gap]:
    if basis.measure in ("given", "minutes", "line"):
        return  # metres, minutes and lines come with rides; a network does not tell them
    if basis.table is not None:
        yield from _metres_without(basis.table, pairs)
    last, grace, name = _end_of(basis)
    reasons: dict[str, list[tuple[int, Pair]]] = {}
    ways = pairs.pricer.ways
    for pair in pairs:
        try:
            metres = ways.metres_between(basis.measure, *pair, basis.table)
        except Unpriceable as reason:
            if basis.table is None:
                reasons.setdefault(str(reason), []).append((0, pair))
            continue
        if last is not None and metres - grace > last:
            reasons.setdefault("", []).append((metres, pair))
    unit = basis.measure if basis.measure == "stops" else "m"
    for reason, found in reasons.items():
        metres, (origin, destination) = min(found, key=lambda one: (-one[0], one[1]))
        why = reason or f"{metres:,} {unit} is beyond the last {name}"
        what = f"no fare for {len(found)} pairs of stops, such as {origin} to {destination}: {why}"
        remedy = (
            f"Say what longer rides cost: beyond {last:,} {unit}"
            if not reason
            else "Bring the network up to date"
        )
        yield Gap(what, remedy)


def _metres_without(table: MetresTable, pairs: _Pairs) -> Iterator[Gap]:
    there = table.rows.keys() | ({(b, a) for a, b in table.rows} if table.symmetric else set[Pair]())
    told: set[Pair] = set()
    for origin, destination in sorted(pair for pair in set(pairs) - there if pair[0] != pair[1]):
        if table.symmetric and (destination, origin) in told:
            continue
        told.add((origin, destination))
        what = f"no fare for the stops {origin} to {destination}: the table of metres has no such row"
        yield Gap(what, f"Add the row {origin},{destination},…", table.file, "origin")


def _end_of(basis: DistanceBasis | RateBasis) -> tuple[int | None, int, str]:
    """Where the fares end (None: nowhere), metres of grace, and what the last part is called."""
    if isinstance(basis, RateBasis):
        return basis.parts[-1].up_to_m, 0, "rate"
    last = basis.beyond[-1].up_to_m if basis.beyond else basis.bands[-1].up_to_m
    return last, basis.grace_m, "distance band"


def _zones_without(basis: ZoneBasis | ZoneSetBasis | ZoneCountBasis, pairs: _Pairs) -> Iterator[Gap]:
    zones = {stop: frozenset((pairs.places.zone_of(stop) or "").split("/")) - {""} for stop in pairs.stops}
    yield from _stops_without_zone([stop for stop, own in zones.items() if not own])
    first = next(iter(zones), "")
    for stop in zones if basis.through else ():
        if pairs.pricer.ways.reach_m(first, stop) >= NOWHERE_M:
            what = f"no fare for {first} to {stop}: no way leads there over the network"
            yield Gap(what, "Bring the network up to date, or write through = false", field="through")
    if isinstance(basis, ZoneBasis):
        for stop, own in zones.items():
            if own and own.isdisjoint(basis.order):
                what = f"no fare for {stop}: its zone {'/'.join(sorted(own))} is none of the order"
                yield Gap(what, "Add the zone to order, with its spans", field="order")
        return
    lacking: dict[frozenset[str], list[Pair]] = {}
    asked = pairs if basis.through else (pair for pair, _ in pairs.of_kinds())
    for origin, destination in asked:
        if not zones[origin] or not zones[destination]:
            continue
        over = pairs.pricer.ways
        try:
            between = over.zones_between(origin, destination) if basis.through else frozenset[str]()
        except Unpriceable:
            continue  # told above
        ways = touched_by(over.zones_of(origin), over.zones_of(destination), between)
        if not any(basis.holds(touched) for touched in ways):
            lacking.setdefault(min(ways, key=lambda way: (len(way), sorted(way))), []).append(
                (origin, destination)
            )
    for touched, found in sorted(lacking.items(), key=lambda one: sorted(one[0])):
        (origin, destination), said = found[0], "+".join(sorted(touched))
        what = f"no fare for zones {said}, such as from {origin} to {destination}"
        yield Gap(
            what, "Give these zones a fare", field="set" if isinstance(basis, ZoneSetBasis) else "count"
        )


def _in_none(basis: CheapestBasis, pairs: _Pairs) -> Iterator[Gap]:
    """Pairs that none of the choices prices; one that has no gap of its own is enough."""
    lists: list[list[Gap]] = []
    for choice in basis.choices:
        if _only_a_ride_tells(choice):
            return
        lists.append(list(_gaps_of(choice, pairs)))
        if not lists[-1]:
            return
    lacking: dict[str, list[Pair]] = {}
    for pair in pairs:
        try:
            pairs.pricer.found_by(basis, question(*pair, _noon(pairs.tariff), "adult"))
        except Unpriceable as reason:
            lacking.setdefault(str(reason), []).append(pair)
    for reason, found in lacking.items():
        what = f"no fare for {len(found)} pairs of stops, such as {' to '.join(found[0])}: {reason}"
        yield Gap(what, "Give them a fare in one of the choices", field="either")


def _only_a_ride_tells(basis: Single) -> bool:
    by_ride = isinstance(basis, DistanceBasis | RateBasis) and basis.measure in ("given", "minutes", "line")
    return by_ride or isinstance(basis, LineBasis | FeedBasis)


def _noon(tariff: Tariff) -> datetime:
    return datetime.combine(tariff.valid_from, time(12), tariff.zone_info)
