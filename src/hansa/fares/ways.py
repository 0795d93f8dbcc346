"""A network as fares ask about it: metres by each measure, stops ridden, zones touched."""

from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt

import numpy as np
import numpy.typing as npt

from hansa.fares.model import HasLines, HasMetres, Journey, LineFacts, Located, Places
from hansa.fares.parts.metres import MetresTable
from hansa.fares.parts.ride import Unpriceable
from hansa.kernel import HansaError

NOWHERE_M = 1 << 40
"""Farther than anywhere: a stop that no line leads to."""

SQUARE_MAX = 2_000
"""Stops of a network of which all distances are asked for at once."""

_EARTH_RADIUS_M = 6_371_008.8
"""Mean radius. Source: IUGG, GRS 80."""


class Ways:
    """The ways over one network. It remembers what it worked out."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._inner: dict[str, list[int]] = {}

    def name(self, stop: str) -> str:
        """What a stop is called."""
        facts = self.places.stops.get(stop)
        return stop if facts is None else facts.name

    # -- metres --------------------------------------------------------------------------------------------

    def measured_m(self, measure: str, journey: Journey, table: MetresTable | None = None) -> int:
        """Metres of one journey; over the network, through the stops that prove its way. Errors: Unpriceable."""
        if measure == "minutes":
            if journey.kind != "complete":
                raise Unpriceable("no_minutes")
            return -int((journey.started_at - journey.ended_at).total_seconds() // 60)
        if measure == "given":
            if journey.distance_m is None:
                raise Unpriceable("no_metres")
            return journey.distance_m
        if journey.origin is None or journey.destination is None:
            raise Unpriceable("no_stop")
        if journey.via and measure == "network":
            ends = (journey.origin, *journey.via, journey.destination)
            return sum(self.network_m(one, other) for one, other in pairwise(ends))
        return self.metres_between(measure, journey.origin, journey.destination, table, journey.line_id)

    def metres_between(
        self,
        measure: str,
        origin: str,
        destination: str,
        table: MetresTable | None = None,
        line_id: str | None = None,
    ) -> int:
        """Metres (or stops) by a measure that places alone tell. Errors: Unpriceable."""
        if table is not None:
            return table.metres(origin, destination)
        if measure == "straight":
            return self._straight_m(origin, destination)
        if measure == "stops":
            return self._stops_between(line_id, origin, destination)
        if measure == "line":
            return self._along_m(line_id, origin, destination)
        return self.network_m(origin, destination)

    def network_m(self, origin: str, destination: str) -> int:
        """Shortest metres over the network. Errors: Unpriceable."""
        for stop in (origin, destination):
            if stop not in self.places.stops:
                raise Unpriceable("off_network", {"stop": stop})
        try:
            return self.places.distance_m(origin, destination)
        except (HansaError, LookupError) as error:
            raise Unpriceable("no_way", {"origin": origin, "destination": destination}) from error

    def _along_m(self, line_id: str | None, origin: str, destination: str) -> int:
        lines = self.places.lines if isinstance(self.places, HasLines) else {}
        line = lines.get(line_id or "")
        if line is None:
            raise (
                Unpriceable("line_off_network", {"line": line_id}) if line_id else Unpriceable("line_unknown")
            )
        at: dict[str, int] = {}
        metres = 0
        for place, (stop, step_m) in enumerate(line.stops):
            metres += step_m if place else 0
            at.setdefault(stop, metres)
        if origin not in at or destination not in at:
            ends = {"origin": origin, "destination": destination}
            raise Unpriceable("not_on_line", {"line": line_id or "", **ends})
        along = abs(at[origin] - at[destination])
        return min(along, metres + line.stops[0][1] - along) if line.loop else along

    def _stops_between(self, line_id: str | None, origin: str, destination: str) -> int:
        """Stops ridden, the last one counted: along the line if it calls at both, else the fewest over the network."""
        lines = self.places.lines if isinstance(self.places, HasLines) else {}
        line = lines.get(line_id or "")
        near = self._hops if line is None else _neighbours((line,))
        if line is not None and not {origin, destination} <= near.keys():
            near = self._hops
        seen, here = {origin}, [origin]
        for count in range(len(near) + 1):
            if destination in here:
                return count
            reached = set[str]().union(*(near.get(one, set[str]()) for one in here))
            here = sorted(reached - seen)
            seen.update(here)
        raise Unpriceable("no_line_between", {"origin": origin, "destination": destination})

    @cached_property
    def _hops(self) -> dict[str, set[str]]:
        lines = self.places.lines if isinstance(self.places, HasLines) else {}
        return _neighbours(lines.values())

    def _straight_m(self, origin: str, destination: str) -> int:
        """Over a sphere. Source: haversine formula."""
        points: list[tuple[float, float]] = []
        for stop in (origin, destination):
            facts = self.places.stops.get(stop)
            if not isinstance(facts, Located) or facts.lat is None or facts.lon is None:
                raise Unpriceable("no_place", {"stop": stop})
            points.append((radians(facts.lat), radians(facts.lon)))
        (lat_a, lon_a), (lat_b, lon_b) = points
        half = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((lon_b - lon_a) / 2) ** 2
        return round(2 * _EARTH_RADIUS_M * asin(sqrt(min(1.0, half))))

    def zones_of(self, stop: str) -> tuple[str, ...]:
        """The zones of a stop; several on a boundary. Errors: Unpriceable."""
        if stop not in self.places.stops:
            raise Unpriceable("off_network", {"stop": stop})
        zone = self.places.zone_of(stop)
        return tuple(zone.split("/")) if zone else ()

    def zones_between(self, origin: str, destination: str) -> frozenset[str]:
        """Zones of the stops on a shortest way; boundary stops are left open to either side."""
        whole = self.network_m(origin, destination)
        if self._square is not None:
            return self._square.zones_between(origin, destination, whole)
        ways = zip(
            self._inner_distances(origin), self._inner_distances(destination), self._inner_stops, strict=True
        )
        return frozenset(zone for there, back, (_, zone) in ways if there + back == whole)

    @cached_property
    def _square(self) -> "_Square | None":
        places = self.places
        if isinstance(places, HasMetres) and len(places.stops) <= SQUARE_MAX:
            return _Square(places, places.metres())
        return None

    def _inner_distances(self, stop: str) -> list[int]:
        """Metres from a stop to each stop that is in one zone only; kept, since every pair asks for them."""
        distances = self._inner.get(stop)
        if distances is None:
            distances = [self.reach_m(stop, other) for other, _ in self._inner_stops]
            self._inner[stop] = distances
        return distances

    def reach_m(self, origin: str, destination: str) -> int:
        try:
            return self.places.distance_m(origin, destination)
        except (HansaError, LookupError):
            return NOWHERE_M

    @cached_property
    def _inner_stops(self) -> tuple[tuple[str, str], ...]:
        stops = ((stop, self.places.zone_of(stop)) for stop in self.places.stops)
        return tuple((stop, zone) for stop, zone in stops if zone and "/" not in zone)


class _Square:
    """Metres between all stops at once, and the zone of each stop that lies in one only."""

    def __init__(self, places: Places, metres: npt.NDArray[np.int32]) -> None:
        self._metres = metres
        self._places = {stop: place for place, stop in enumerate(places.stops)}
        zones = [places.zone_of(stop) or "" for stop in places.stops]
        self._names = sorted({zone for zone in zones if zone and "/" not in zone})
        self._inner = np.array([place for place, zone in enumerate(zones) if zone in self._names], np.int64)
        self._zones = np.array([self._names.index(zones[place]) for place in self._inner], np.int64)

    def zones_between(self, origin: str, destination: str, whole_m: int) -> frozenset[str]:
        there = self._metres[self._places[origin], self._inner]
        back = self._metres[self._places[destination], self._inner]
        on_way = self._zones[(there + back == whole_m) & (there >= 0) & (back >= 0)]
        return frozenset(self._names[zone] for zone in np.flatnonzero(np.bincount(on_way)).tolist())


def _neighbours(lines: Iterable[LineFacts]) -> dict[str, set[str]]:
    """The stops next to each stop."""
    near: dict[str, set[str]] = {}
    for line in lines:
        stops = [stop for stop, _ in line.stops]
        for one, other in (*pairwise(stops), *([(stops[-1], stops[0])] if line.loop else [])):
            near.setdefault(one, set()).add(other)
            near.setdefault(other, set()).add(one)
    return near
