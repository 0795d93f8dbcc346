"""What changed from one version of a city's network to another: stops, lines, distances, and the rows of its fares."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from hansa.atlas.faresv2 import FaresV2
from hansa.atlas.model import Line, Network, NotConnected, Stop, great_circle_m

MOVED_M = 100
"""A stop that lies farther than this from where it lay has moved."""

NAMED_MAX = 200
"""Changes of one kind that are named; all are counted."""

PAIRS_MAX = 40_000
"""Pairs of stops whose shortest way is compared; of more, as many from stops spread over the network."""


Each = TypeVar("Each")


class NamedRow(Protocol):
    """A row of a fare table by its fields."""

    def _asdict(self) -> dict[str, Any]: ...


class Change(NamedTuple):
    """One thing that differs. before, after: in words; empty where it was not there."""

    what: str
    before: str
    after: str


class Changes(NamedTuple):
    """All changes of one kind: how many, and the first of them, the gravest first where they have a size."""

    kind: str
    total: int
    named: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class NetworkChanges:
    """What changed. groups: only kinds of which there are any. pairs: how many pairs of stops were measured in both."""

    groups: tuple[Changes, ...]
    pairs: int

    def count(self, kind: str) -> int:
        """How many changes of a kind there are."""
        return next((group.total for group in self.groups if group.kind == kind), 0)


def compare_networks(
    before: Network,
    after: Network,
    *,
    fares_before: FaresV2 | None = None,
    fares_after: FaresV2 | None = None,
) -> NetworkChanges:
    """What changed between two networks of one city and the Fares v2 beside them. Stops and lines are told by id.

    Kinds, in this order: stops removed, added, moved (over 100 m) and renamed, zones changed, lines removed, added and
    calling elsewhere, distances changed (of pairs of stops that both have), fare rows changed.
    """
    distances, pairs = _distances(before, after)
    found = [
        ("stops removed", [Change(_stop(one), _stop(one), "") for one in _only(before.stops, after.stops)]),
        ("stops added", [Change(_stop(one), "", _stop(one)) for one in _only(after.stops, before.stops)]),
        ("stops moved", list(_moved(before, after))),
        ("stops renamed", _differ(before.stops, after.stops, lambda stop: stop.name)),
        ("zones changed", _differ(before.stops, after.stops, lambda stop: stop.zone or "no zone")),
        (
            "lines removed",
            [Change(_line(one), _route(before, one), "") for one in _only(before.lines, after.lines)],
        ),
        (
            "lines added",
            [Change(_line(one), "", _route(after, one)) for one in _only(after.lines, before.lines)],
        ),
        ("lines call elsewhere", list(_elsewhere(before, after))),
        ("distances changed", distances),
        ("fare rows changed", list(_fares(fares_before or FaresV2(), fares_after or FaresV2()))),
    ]
    groups = tuple(Changes(kind, len(some), tuple(some[:NAMED_MAX])) for kind, some in found if some)
    return NetworkChanges(groups, pairs)


def _only(these: Mapping[str, Each], those: Mapping[str, Each]) -> list[Each]:
    return [one for key, one in these.items() if key not in those]


def _moved(before: Network, after: Network) -> Iterable[Change]:
    """Stops that lie elsewhere, those that moved farthest first."""
    found: list[tuple[int, Change]] = []
    for stop_id, stop in after.stops.items():
        was = before.stops.get(stop_id)
        if was is None or None in (was.lat, was.lon, stop.lat, stop.lon):
            continue
        metres = great_circle_m((was.lat or 0, was.lon or 0), (stop.lat or 0, stop.lon or 0))
        if metres > MOVED_M:
            change = Change(
                _stop(stop), f"{was.lat:.5f}, {was.lon:.5f}", f"{stop.lat:.5f}, {stop.lon:.5f}: {metres:,} m"
            )
            found.append((-metres, change))
    return [change for _, change in sorted(found)]


def _differ(
    before: Mapping[str, Stop], after: Mapping[str, Stop], said: Callable[[Stop], str]
) -> list[Change]:
    return [
        Change(_stop(stop), said(before[key]), said(stop))
        for key, stop in after.items()
        if key in before and said(before[key]) != said(stop)
    ]


def _elsewhere(before: Network, after: Network) -> Iterable[Change]:
    """Lines in both that call at other stops, or in another order; which way round they are told does not matter."""
    for line_id, line in after.lines.items():
        was = before.lines.get(line_id)
        if was is None:
            continue
        then, now = [call.stop_id for call in was.stops], [call.stop_id for call in line.stops]
        if now not in (then, then[::-1]):
            left = [before.stops[one].name for one in then if one not in set(now)]
            new = [after.stops[one].name for one in now if one not in set(then)]
            order = "" if left or new else "the same stops in another order"
            yield Change(_line(line), _few(left) or order or "–", _few(new) or order or "–")


def _distances(before: Network, after: Network) -> tuple[list[Change], int]:
    """Pairs of stops with another shortest way, the greatest difference first; and how many pairs were measured."""
    both = sorted(before.stops.keys() & after.stops.keys())
    step = max(1, -(-(len(both) ** 2) // (2 * PAIRS_MAX)))
    origins = both[::step]
    found: list[tuple[int, Change]] = []
    pairs = 0
    for origin in origins:
        for destination in both:
            if destination == origin or (step == 1 and destination < origin):
                continue
            pairs += 1
            was, now = _metres(before, origin, destination), _metres(after, origin, destination)
            if was != now:
                what = f"{after.stops[origin].name} to {after.stops[destination].name}"
                found.append((-abs((now or 0) - (was or 0)), Change(what, _said(was), _said(now))))
    return [change for _, change in sorted(found)], pairs


def _metres(network: Network, origin: str, destination: str) -> int | None:
    try:
        return network.distance_m(origin, destination)
    except NotConnected:
        return None


def _said(metres: int | None) -> str:
    return "no way" if metres is None else f"{metres:,} m"


def _fares(before: FaresV2, after: FaresV2) -> Iterable[Change]:
    """Rows of the fare tables that are in one version only; their line in the file does not matter."""
    if not before and not after:
        return
    for name, then, now in (
        ("fare_leg_rules.txt", before.leg_rules, after.leg_rules),
        ("fare_leg_join_rules.txt", before.join_rules, after.join_rules),
        ("fare_transfer_rules.txt", before.transfer_rules, after.transfer_rules),
        ("fare_products.txt", before.products, after.products),
        ("fare_media.txt", before.media, after.media),
        ("rider_categories.txt", before.rider_categories, after.rider_categories),
        ("timeframes.txt", before.timeframes, after.timeframes),
    ):
        had, has = Counter(map(_row, then)), Counter(map(_row, now))
        for row in (had - has).elements():
            yield Change(name, row, "")
        for row in (has - had).elements():
            yield Change(name, "", row)
    areas = sum(
        before.stop_areas.get(stop) != after.stop_areas.get(stop)
        for stop in {*before.stop_areas, *after.stop_areas}
    )
    if areas:
        yield Change("stop_areas.txt", "", f"{areas:,} stops lie in other areas")
    routes = sum(
        before.networks.get(route) != after.networks.get(route)
        for route in {*before.networks, *after.networks}
    )
    if routes:
        yield Change("route_networks.txt", "", f"{routes:,} routes belong to other networks")


def _row(row: NamedRow) -> str:
    """A row of fares by its fields, without its line; empty ones are left out."""
    fields = {
        name: value for name, value in row._asdict().items() if name != "row" and value not in (None, "")
    }
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def _stop(stop: Stop) -> str:
    return f"{stop.name} ({stop.stop_id})"


def _line(line: Line) -> str:
    return f"{line.name} ({line.line_id})"


def _route(network: Network, line: Line) -> str:
    ends = network.stops[line.stops[0].stop_id].name, network.stops[line.stops[-1].stop_id].name
    return f"{len(line.stops)} stops, {ends[0]} to {ends[1]}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
