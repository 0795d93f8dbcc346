"""Which lines a rider most likely took from one stop to another, where taps tell the two ends only."""

import heapq
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from hansa.atlas.model import MODES, Mode, Network, NotConnected

_ROAD_AND_WATER = frozenset[Mode]({"bus", "ferry"})
_KEPT_MAX = 50_000
"""Pairs of stops whose way is remembered."""


class Stretch(NamedTuple):
    """A part of a way on one line. distance_m: metres from stop to stop along it."""

    line_id: str
    origin: str
    destination: str
    distance_m: int


@lru_cache(maxsize=_KEPT_MAX)
def stretches(network: Network, origin: str, destination: str, product: str = "") -> tuple[Stretch, ...]:
    """The shortest way between two stops as lines with the fewest changes on it; none from a stop to itself.

    product: what the gates say of the ride. If it is a mode, lines of that mode are tried by themselves; then all that
    one changes between behind gates (neither buses nor ferries); then all lines.
    Errors: UnknownStop, NotConnected.
    """
    network.stop(origin)
    network.stop(destination)
    if origin == destination:
        return ()
    for modes in _tried(product):
        hops = _hops(network, modes)
        path = _path(_reached(hops, origin, destination), origin, destination)
        if path:
            return tuple(_by_line(network, hops, path))
    raise NotConnected(f"No line leads from {origin} to {destination}, nor any chain of lines.")


def first_lines(network: Network, origin: str, product: str = "") -> dict[str, str]:
    """The line on which the shortest way to each other stop begins, by stop: that of the first of its ``stretches``.

    For very many pairs of stops: the network is gone through once for each origin. Stops that no line leads to are left
    out. Errors: UnknownStop.
    """
    network.stop(origin)
    found: dict[str, str] = {}
    for modes in _tried(product):
        hops = _hops(network, modes)
        reached = _reached(hops, origin)
        for stop in reached.keys() - found.keys() - {origin}:
            found[stop] = next(iter(_by_line(network, hops, _path(reached, origin, stop)))).line_id
        if len(found) == len(network.stops) - 1:
            break
    return found


def _tried(product: str) -> list[frozenset[Mode]]:
    """The modes of the lines among which a way is looked for, one after the other."""
    tried: list[frozenset[Mode]] = [frozenset({mode}) for mode in MODES if mode == product]
    return [*tried, frozenset(MODES) - _ROAD_AND_WATER, frozenset(MODES)]


_Hops = dict[str, dict[str, dict[str, int]]]
"""Metres by stop, the stop next to it, and line."""


@lru_cache(maxsize=64)
def _hops(network: Network, modes: frozenset[Mode]) -> _Hops:
    hops: _Hops = {}
    for line in network.lines.values():
        if line.mode in modes:
            for a, b, metres in line.hops():
                for here, there in ((a, b), (b, a)):
                    lines = hops.setdefault(here, {}).setdefault(there, {})
                    lines[line.line_id] = min(metres, lines.get(line.line_id, metres))
    return hops


_Reached = dict[str, tuple[int, str]]
"""Metres of the shortest way to a stop, and the stop before it; of equal ways that with the first ids."""


def _reached(hops: _Hops, origin: str, destination: str = "") -> _Reached:
    """The shortest ways from a stop to all others, or until the destination is reached."""
    best: _Reached = {origin: (0, "")}
    queue = [(0, origin)]
    done: set[str] = set()
    while queue:
        metres, here = heapq.heappop(queue)
        if here in done:
            continue
        if here == destination:
            break
        done.add(here)
        for there, lines in hops.get(here, {}).items():
            reached = (metres + min(lines.values()), here)
            if there not in done and (there not in best or reached < best[there]):
                best[there] = reached
                heapq.heappush(queue, (reached[0], there))
    return best


def _path(reached: _Reached, origin: str, destination: str) -> list[str]:
    """The stops of the shortest way; nothing where there is none."""
    if destination not in reached:
        return []
    path = [destination]
    while path[-1] != origin:
        path.append(reached[path[-1]][1])
    return path[::-1]


def _by_line(network: Network, hops: _Hops, path: Sequence[str]) -> Iterable[Stretch]:
    """From each place on, the line that goes on farthest along the path; of equal ones the first of the network."""
    order = {line_id: place for place, line_id in enumerate(network.lines)}
    at = 0
    while at < len(path) - 1:
        running, ends = dict(hops[path[at]][path[at + 1]]), at + 1
        while ends < len(path) - 1:
            further = hops[path[ends]][path[ends + 1]]
            on = {
                line_id: metres + further[line_id]
                for line_id, metres in running.items()
                if line_id in further
            }
            if not on:
                break
            running, ends = on, ends + 1
        line_id = min(running, key=order.__getitem__)
        yield Stretch(line_id, path[at], path[ends], running[line_id])
        at = ends
