"""Places: cities, stops, lines, and the network they make, with its distances."""

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from hansa.atlas.all_metres import FAR_M, all_metres
from hansa.atlas.faresv2 import FaresV2
from hansa.atlas.report import Report
from hansa.kernel import CurrencyMismatch, HansaError, Money

Mode = Literal["metro", "tram", "bus", "rail", "ferry"]
MODES: tuple[Mode, ...] = ("metro", "tram", "bus", "rail", "ferry")

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius. Source: IUGG, GRS 80."""


ORIGINS_MAX = 12
"""Origins whose distances are worked out one by one; with the next, those of all are worked out at once."""

SQUARE_MAX = 2_000
"""Stops of a network of which all distances are kept at once: 16 MB."""


class UnknownCity(HansaError):
    """No city of this id has been imported."""

    code: ClassVar[str] = "atlas.unknown_city"
    status: ClassVar[int] = 404


class UnknownStop(HansaError):
    """This city's network has no such stop."""

    code: ClassVar[str] = "atlas.unknown_stop"
    status: ClassVar[int] = 404


class NotConnected(HansaError):
    """No line, nor any chain of lines, leads from one of these stops to the other."""

    code: ClassVar[str] = "atlas.not_connected"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class City:
    """A member city.

    local_name: as its residents write it. country: ISO 3166-1 alpha-2. tz: IANA time zone. currency: ISO 4217.
    day_starts: local wall time at which a service day begins. character: its fares in one line, for the console.
    """

    city_id: str
    name: str
    local_name: str
    country: str
    tz: str
    currency: str
    day_starts: time
    character: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs lines in a city."""

    operator_id: str
    name: str
    local_name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """A station or stop; an interchange is one stop, however many lines call there.

    stop_id: unique in the league: ``beijing/xizhimen``. lat, lon: WGS 84 degrees, or None where not known.
    zone: the fare zone as the operator writes it; ``2/3`` on a boundary. code: the operator's own number for it.
    """

    stop_id: str
    city_id: str
    name: str
    local_name: str
    lat: float | None
    lon: float | None
    zone: str | None
    code: str | None = None


class Call(NamedTuple):
    """A line's call at a stop. distance_m: from the line's previous stop; 0 at the first."""

    stop_id: str
    distance_m: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line, with its stops in order; it runs both ways.

    stops: (stop_id, metres from the previous stop). A loop's first entry holds the metres from its last stop.
    own_fare: it stands outside the city's common fare (an airport line), so nobody's distance runs over it
        unless they start or end at a stop that only it serves.
    shape: (lat, lon) points along which it runs, thinned, for drawing it; empty where it is not known.
    """

    line_id: str
    city_id: str
    operator_id: str
    name: str
    mode: Mode
    color: str
    stops: tuple[Call, ...]
    loop: bool
    own_fare: bool = False
    shape: tuple[tuple[float, float], ...] = ()

    def hops(self) -> Iterable[tuple[str, str, int]]:
        """Neighbours along the line: (stop, next stop, metres); a loop also has the hop that closes it."""
        for before, here in pairwise(self.stops):
            yield before.stop_id, here.stop_id, here.distance_m
        if self.loop:
            yield self.stops[-1].stop_id, self.stops[0].stop_id, self.stops[0].distance_m


@dataclass(frozen=True, slots=True)
class CityFile:
    """A city as it was handed in, checked whole: what ``import_city`` takes."""

    city: City
    operators: tuple[Operator, ...]
    stops: tuple[Stop, ...]
    lines: tuple[Line, ...]

    def digest(self) -> bytes:
        """SHA-256 of the content: equal for equal content, whatever file it came from."""
        content = (
            self.city,
            sorted(self.operators, key=lambda operator: operator.operator_id),
            sorted(self.stops, key=lambda stop: stop.stop_id),
            [_content(line) for line in sorted(self.lines, key=lambda line: line.line_id)],
        )
        return hashlib.sha256(msgspec.json.encode(content)).digest()


def _content(line: Line) -> dict[str, object]:
    """A line's fields; a shape only where it has one, so that cities without shapes keep their digests."""
    fields: dict[str, object] = msgspec.to_builtins(line)
    if not line.shape:
        del fields["shape"]
    return fields


class Way(NamedTuple):
    """The shortest way between two stops, by what its metres are paid under.

    common_m: metres on lines of the common fare. own_fare: (line_id, metres) on each line with a fare of its own.
    """

    common_m: int
    own_fare: tuple[tuple[str, int], ...]

    @property
    def distance_m(self) -> int:
        return self.common_m + sum(metres for _, metres in self.own_fare)


@dataclass(frozen=True, slots=True)
class _Step:
    """How the shortest way from an origin arrives at a stop."""

    distance_m: int
    before: str | None
    line: Line | None
    metres: int


_Edges = dict[str, dict[str, tuple[int, Line]]]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A city's stops and lines at one version, with the distances over them.

    Distances are worked out from each origin when first asked for and then kept, and soon from all of them; a network
    never changes.
    """

    city: City
    stops: Mapping[str, Stop]
    lines: Mapping[str, Line]
    version: int = 0
    operators: tuple[Operator, ...] = ()
    _lines_at: dict[str, tuple[Line, ...]] = field(init=False, repr=False)
    _common: _Edges = field(init=False, repr=False)
    _all: _Edges = field(init=False, repr=False)
    _from: dict[tuple[str, bool], dict[str, _Step]] = field(init=False, repr=False)
    _metres: list[npt.NDArray[np.int32]] = field(init=False, repr=False)
    _places: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "stops", MappingProxyType(dict(self.stops)))
        put(self, "lines", MappingProxyType(dict(self.lines)))
        at: dict[str, list[Line]] = {stop_id: [] for stop_id in self.stops}
        for line in self.lines.values():
            for call in line.stops:
                at[call.stop_id].append(line)
        put(self, "_lines_at", {stop_id: tuple(lines) for stop_id, lines in at.items()})
        put(self, "_common", _edges(line for line in self.lines.values() if not line.own_fare))
        put(self, "_all", _edges(self.lines.values()))
        put(self, "_from", {})
        put(self, "_metres", [])
        put(self, "_places", {stop_id: place for place, stop_id in enumerate(self.stops)})

    def __reduce__(self) -> tuple[object, ...]:
        """What goes to another process: the facts, without the distances worked out so far."""
        return Network, (self.city, dict(self.stops), dict(self.lines), self.version, self.operators)

    def stop(self, stop_id: str) -> Stop:
        """Errors: UnknownStop."""
        stop = self.stops.get(stop_id)
        if stop is None:
            raise UnknownStop(f"{self.city.name} has no stop {stop_id!r}.")
        return stop

    def zone_of(self, stop_id: str) -> str | None:
        """The stop's fare zone. Errors: UnknownStop."""
        return self.stop(stop_id).zone

    def lines_at(self, stop_id: str) -> tuple[Line, ...]:
        """The lines that call at a stop. Errors: UnknownStop."""
        self.stop(stop_id)
        return self._lines_at[stop_id]

    def distance_m(self, a: str, b: str) -> int:
        """Metres of the shortest way between two stops; the same in both directions, 0 from a stop to itself.

        Errors: UnknownStop, NotConnected.
        """
        if not self._metres and len(self._from) > ORIGINS_MAX and len(self.stops) <= SQUARE_MAX:
            self.metres()
        if self._metres and a in self._places and b in self._places:
            metres = int(self._metres[0][self._places[a], self._places[b]])
            if metres >= 0:
                return metres
        return self._step(a, b)[1].distance_m

    def metres(self) -> npt.NDArray[np.int32]:
        """``distance_m`` of every two stops at once, as a square in the order of ``stops``; -1 where no way leads.

        It is worked out once and kept: read it, and do not write to it.
        """
        if not self._metres:
            stops = tuple(self.stops)
            square = all_metres(stops, _metres_of(self._common))
            apart = square == FAR_M
            if apart.any():
                by_all = all_metres(stops, _metres_of(self._all))
                square = np.where(apart, np.where(by_all == FAR_M, -1, by_all), square).astype(np.int32)
            square.flags.writeable = False
            self._metres.append(square)
        return self._metres[0]

    def way(self, a: str, b: str) -> Way:
        """The shortest way between two stops, split by what its metres are paid under.

        Errors: UnknownStop, NotConnected.
        """
        steps, step = self._step(a, b)
        common_m, own = 0, dict[str, int]()
        while step.line is not None and step.before is not None:
            if step.line.own_fare:
                own[step.line.line_id] = own.get(step.line.line_id, 0) + step.metres
            else:
                common_m += step.metres
            step = steps[step.before]
        return Way(common_m, tuple(sorted(own.items())))

    def connected(self, a: str, b: str) -> bool:
        """Whether some chain of lines leads from one stop to the other. Errors: UnknownStop."""
        self.stop(a)
        self.stop(b)
        return b in self._steps_from(a, common=False)

    def _step(self, a: str, b: str) -> tuple[dict[str, _Step], _Step]:
        self.stop(a)
        self.stop(b)
        for common in (True, False):
            steps = self._steps_from(a, common=common)
            if b in steps:
                return steps, steps[b]
        raise NotConnected(f"No line leads from {a} to {b}, nor any chain of lines.")

    def _steps_from(self, origin: str, *, common: bool) -> dict[str, _Step]:
        steps = self._from.get((origin, common))
        if steps is None:
            steps = _shortest(self._common if common else self._all, origin)
            self._from[origin, common] = steps
        return steps


@dataclass(frozen=True, slots=True)
class FareAttribute:
    """A fare of GTFS-Fares v1 (fare_attributes.txt).

    transfers: how many it permits; None is without limit. transfer_duration_s: for how long, None is not said.
    """

    fare_id: str
    price: Money
    paid_on_board: bool
    transfers: int | None
    transfer_duration_s: int | None


@dataclass(frozen=True, slots=True)
class FareRule:
    """Where a fare of GTFS-Fares v1 holds (fare_rules.txt); None stands for anywhere."""

    fare_id: str
    line_id: str | None
    origin_zone: str | None
    destination_zone: str | None
    contains_zone: str | None


@dataclass(frozen=True, slots=True)
class FaresV1:
    """The fares of a GTFS feed; false where it has none. Zones are those of ``Stop.zone``.

    line_ids: all routes of the feed, as ``FareRule.line_id`` names them.
    """

    attributes: tuple[FareAttribute, ...] = ()
    rules: tuple[FareRule, ...] = ()
    line_ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.attributes)

    def between(self, origin_zone: str, destination_zone: str, line_id: str | None = None) -> Money | None:
        """The cheapest fare that the rules give for one ride between two zones, or None.

        line_id: the line ridden, one of ``line_ids``; None takes the rules of every line.
        Rules that name zones passed through are not looked at; a fare without rules holds everywhere.
        Source: fare_rules.txt, route_id, origin_id, destination_id.
        """
        prices = {attribute.fare_id: attribute.price for attribute in self.attributes}
        ruled = {rule.fare_id for rule in self.rules}
        found = [price for fare_id, price in prices.items() if fare_id not in ruled]
        found += [
            prices[rule.fare_id]
            for rule in self.rules
            if rule.contains_zone is None
            and rule.origin_zone in (None, origin_zone)
            and rule.destination_zone in (None, destination_zone)
            and (line_id is None or rule.line_id in (None, line_id))
        ]
        if len({price.currency for price in found}) > 1:
            raise CurrencyMismatch("The fares between these zones are in several currencies.")
        return min(found, key=lambda price: price.minor, default=None)


@dataclass(frozen=True, slots=True)
class GtfsFeed:
    """What a GTFS feed gives: the city's network, its fares, and what else was found in it.

    report: what its reading found; it has no error, or there would be no feed.
    """

    city_file: CityFile
    fares_v1: FaresV1
    trips: int
    services: int
    fares_v2: FaresV2 = field(default_factory=FaresV2)
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class CityVersion:
    """A version of a city. valid_from: the service day from which it holds; date.min is for ever.

    Of the versions that have begun, the one with the latest day holds; of two with the same day the later import.
    """

    version: int
    valid_from: date
    imported_at: datetime
    digest: bytes
    has_fares_v2: bool


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. changed: False when exactly this already held from the same day.

    valid_from: the service day from which the version holds; date.min is for ever.
    """

    city_id: str
    name: str
    version: int
    changed: bool
    stops: int
    lines: int
    trips: int = 0
    fares: int = 0
    valid_from: date = date.min


def great_circle_m(a: tuple[float, float], b: tuple[float, float]) -> int:
    """Whole metres between two (lat, lon) points over a sphere. Source: haversine formula."""
    lat_a, lon_a, lat_b, lon_b = map(radians, (*a, *b))
    half = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((lon_b - lon_a) / 2) ** 2
    return round(2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, half))))


def network_of(file: CityFile, version: int = 0) -> Network:
    """The network of a city as it was handed in."""
    return Network(
        file.city,
        {stop.stop_id: stop for stop in file.stops},
        {line.line_id: line for line in file.lines},
        version,
        file.operators,
    )


def _edges(lines: Iterable[Line]) -> _Edges:
    """Neighbours of each stop; of several lines between the same two stops the shortest counts."""
    edges: _Edges = {}
    for line in lines:
        for a, b, metres in line.hops():
            for here, there in ((a, b), (b, a)):
                known = edges.setdefault(here, {}).get(there)
                if known is None or metres < known[0]:
                    edges[here][there] = (metres, line)
    return edges


def _metres_of(edges: _Edges) -> dict[str, dict[str, int]]:
    return {here: {there: metres for there, (metres, _) in near.items()} for here, near in edges.items()}


def _shortest(edges: _Edges, origin: str) -> dict[str, _Step]:
    """Dijkstra from one stop to all others; ties go to the stop whose id comes first, so that it is repeatable."""
    best: dict[str, _Step] = {origin: _Step(0, None, None, 0)}
    done: set[str] = set()
    queue = [(0, origin)]
    while queue:
        distance, here = heapq.heappop(queue)
        if here in done:
            continue
        done.add(here)
        for there, (metres, line) in edges.get(here, {}).items():
            candidate = distance + metres
            known = best.get(there)
            if known is None or candidate < known.distance_m:
                best[there] = _Step(candidate, here, line, metres)
                heapq.heappush(queue, (candidate, there))
    return best
