"""A network as a map that stays readable from ten stops to ten thousand: lines, stops, and fare zones that may overlap.

What would lie on one another is drawn once: lines lose the points nobody could see, stops without a name are one path
of dots, and a zone is a few patches instead of one for each stop.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, log10, radians
from typing import NamedTuple

from hansa.atlas.diagram import LONG_NAME, XY, labelled
from hansa.atlas.faresv2 import FaresV2
from hansa.atlas.model import Line, Network, Stop
from hansa.atlas.shapes import Point, thinned

DEGREE_M = 111_195.0
STOPS_DRAWN = 400
"""Stops drawn one by one, with what they say; of more only the first hubs, and the rest as dots."""
HUBS_DRAWN = 120
ZONES_MAX = 40
"""Zones with a pattern of their own; of more the smallest are left without."""
PATCHES_MAX = 220
"""Patches of one zone."""

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D00", "#6A51A3")
"""Told apart also by those who see few colours. Source: Okabe and Ito, Color Universal Design; two more dark ones."""
HATCHES = ("rising", "falling", "upright", "level", "dots")
"""Each pattern goes through all colours before the next begins, so that neighbours differ in both."""


class MapLine(NamedTuple):
    """A line: its path as SVG has it."""

    line_id: str
    name: str
    color: str
    mode: str
    path: str


class MapStop(NamedTuple):
    """A stop that is drawn by itself. label: its name where there is room. anchor: as SVG's text-anchor."""

    stop_id: str
    name: str
    x: float
    y: float
    hub: bool
    label: str
    anchor: str
    zones: str


class MapZone(NamedTuple):
    """A fare zone. patches: circles that together are where it lies. path: lines between its stops, as SVG has it."""

    number: int
    name: str
    color: str
    hatch: str
    stops: int
    patches: tuple[XY, ...]
    path: str


class Sheet(NamedTuple):
    """A part of the world on a sheet. scale: its units for a degree of latitude; middle: (lat, lon) of its centre."""

    width: int
    height: int
    scale: float
    squeeze: float
    middle: Point

    def at(self, lat: float, lon: float) -> XY:
        x = self.width / 2 + (lon - self.middle[1]) * self.squeeze * self.scale
        return round(x, 1), round(self.height / 2 - (lat - self.middle[0]) * self.scale, 1)

    def shows(self, points: Iterable[XY], margin: float = 30) -> bool:
        """Whether something of what runs between these points may be seen."""
        xs, ys = zip(*points, strict=True)
        return (
            max(xs) >= -margin
            and min(xs) <= self.width + margin
            and max(ys) >= -margin
            and min(ys) <= self.height + margin
        )


@dataclass(frozen=True, slots=True)
class NetworkMap:
    """A map in the units of an SVG viewBox ``0 0 width height``.

    dots: the stops that are not drawn by themselves, as a path of points. radius: of a zone's patches.
    bar: a length in metres for the scale, and how long it is on the sheet. shown: stops on this sheet, of how many.
    """

    width: int
    height: int
    lines: tuple[MapLine, ...]
    stops: tuple[MapStop, ...]
    dots: str
    zones: tuple[MapZone, ...]
    radius: float
    bar: tuple[int, float]
    shown: int
    of: int
    zones_left: int


def zones_of(network: Network, fares: FaresV2 | None = None) -> dict[str, frozenset[str]]:
    """The stops of each fare zone by its name: ``2/3`` lies in both; where no stop has one, the areas of Fares v2."""
    found: dict[str, set[str]] = {}
    for stop_id, stop in network.stops.items():
        for zone in (stop.zone or "").split("/"):
            if zone:
                found.setdefault(zone, set()).add(stop_id)
    if not found and fares is not None:
        prefix = f"{network.city.city_id}/"
        for stop_id in network.stops:
            for area in fares.areas_of(stop_id.removeprefix(prefix)):
                found.setdefault(fares.names.get(area, area), set()).add(stop_id)
    return {name: frozenset(found[name]) for name in sorted(found, key=_natural)}


def network_map(
    network: Network,
    width: int,
    height: int,
    *,
    zones: Mapping[str, frozenset[str]] | None = None,
    around: str | None = None,
    zoom: float = 1.0,
    moved: XY = (0.0, 0.0),
    labels: int = 40,
    letter: float = 1.0,
) -> NetworkMap:
    """The network on a sheet, north up. Stops whose place is not known are left out.

    zones: stop ids by name. around: the stop in the middle, else that of the whole. zoom: from 1, which shows all.
    moved: how many sheets to the right and down. labels: at most so many names. letter: their size, 1 for 12 units.
    """
    located = {
        key: stop for key, stop in network.stops.items() if stop.lat is not None and stop.lon is not None
    }
    sheet = _sheet(located, width, height, around=around, zoom=zoom, moved=moved)
    places = {key: sheet.at(stop.lat or 0, stop.lon or 0) for key, stop in located.items()}
    seen = {key: xy for key, xy in places.items() if sheet.shows([xy], 0)}
    of_stop = {key: [name for name, stops in (zones or {}).items() if key in stops] for key in seen}
    stops = _stops(network, seen, of_stop, sheet, around=around, labels=labels, letter=letter)
    drawn = {stop.stop_id for stop in stops}
    radius = _radius(list(places.values()), sheet)
    kept = sorted((zones or {}).items(), key=lambda item: -len(item[1]))[:ZONES_MAX]
    names = {name for name, _ in kept}
    listed = [name for name in (zones or {}) if name in names]
    return NetworkMap(
        width,
        height,
        tuple(_lines(network, places, sheet)),
        tuple(stops),
        "".join(f"M{x:g} {y:g}h0" for x, y in sorted({xy for key, xy in seen.items() if key not in drawn})),
        tuple(
            _zone(number, name, (zones or {})[name], network, places, sheet, radius)
            for number, name in enumerate(listed)
        ),
        radius,
        _bar(sheet),
        len(seen),
        len(network.stops),
        len(zones or {}) - len(listed),
    )


def _sheet(
    located: Mapping[str, Stop],
    width: int,
    height: int,
    *,
    around: str | None,
    zoom: float,
    moved: XY,
    margin: int = 34,
) -> Sheet:
    lats = [stop.lat or 0 for stop in located.values()] or [0.0]
    lons = [stop.lon or 0 for stop in located.values()] or [0.0]
    squeeze = max(0.01, cos(radians((min(lats) + max(lats)) / 2)))
    across, up = (max(lons) - min(lons)) * squeeze, max(lats) - min(lats)
    room = [(width - 2 * margin) / across] if across else []
    room += [(height - 2 * margin) / up] if up else []
    scale = min(room, default=2_000.0) * zoom
    middle = ((min(lats) + max(lats)) / 2, (min(lons) + max(lons)) / 2)
    stop = located.get(around or "")
    if stop is not None:
        middle = (stop.lat or 0, stop.lon or 0)
    middle = (middle[0] - moved[1] * height / scale, middle[1] + moved[0] * width / scale / squeeze)
    return Sheet(width, height, scale, squeeze, middle)


def _lines(network: Network, places: Mapping[str, XY], sheet: Sheet) -> Iterable[MapLine]:
    """Each line along its shape, else from stop to stop; what lies exactly on one of its colour is left out."""
    drawn: set[tuple[str, str]] = set()
    for line in network.lines.values():
        points = [sheet.at(*point) for point in line.shape] or [
            places[stop] for stop in _calls(line) if stop in places
        ]
        if len(points) < 2 or not sheet.shows(points):
            continue
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in thinned(points, 0.6))
        if (line.color, path) not in drawn:
            drawn.add((line.color, path))
            yield MapLine(line.line_id, line.name, line.color, line.mode, path)


def _calls(line: Line) -> list[str]:
    calls = [call.stop_id for call in line.stops]
    return [*calls, calls[0]] if line.loop else calls


def _stops(
    network: Network,
    seen: Mapping[str, XY],
    of_stop: Mapping[str, Sequence[str]],
    sheet: Sheet,
    *,
    around: str | None,
    labels: int,
    letter: float,
) -> list[MapStop]:
    names = {key: {line.name.partition(" (")[0] for line in network.lines_at(key)} for key in seen}
    ends = {
        line.stops[place].stop_id for line in network.lines.values() if not line.loop for place in (0, -1)
    }
    hubs = {key for key in seen if len(names[key]) > 1 or key in ends}
    ranked = sorted(
        seen,
        key=lambda key: (
            key != around,
            key not in hubs,
            -len(names[key]),
            len(network.stops[key].name) > LONG_NAME,
            key,
        ),
    )
    drawn = (
        ranked
        if len(seen) <= STOPS_DRAWN
        else [key for key in ranked if key in hubs or key == around][:HUBS_DRAWN]
    )
    named = labelled(
        [(network.stops[key], seen[key]) for key in drawn],
        sheet.width,
        sheet.height,
        most=labels,
        letter=letter,
        apart=3.0,
    )
    return [
        MapStop(
            key,
            network.stops[key].name,
            *seen[key],
            key in hubs,
            *named.get(key, ("", "start")),
            ", ".join(of_stop[key]),
        )
        for key in drawn
    ]


def _radius(places: Sequence[XY], sheet: Sheet) -> float:
    """How large a zone's patches are: about as far as stops lie apart, on a sheet filled evenly."""
    if not places:
        return 10.0
    shown = max(1, sum(0 <= x <= sheet.width and 0 <= y <= sheet.height for x, y in places))
    return round(min(30.0, max(7.0, 0.42 * (sheet.width * sheet.height / shown) ** 0.5)), 1)


def _zone(
    number: int,
    name: str,
    stops: frozenset[str],
    network: Network,
    places: Mapping[str, XY],
    sheet: Sheet,
    radius: float,
) -> MapZone:
    """Patches at its stops, those that lie together as one, and bands along lines that stay in it."""
    inside = {key: places[key] for key in stops if key in places and sheet.shows([places[key]], radius)}
    grid = radius / 2
    while (
        len(cells := {(round(x / grid), round(y / grid)): (x, y) for x, y in inside.values()}) > PATCHES_MAX
    ):
        grid *= 1.4
    patches = tuple(sorted(cells.values()))
    bands: set[tuple[XY, XY]] = set()
    for line in network.lines.values():
        run: list[XY] = []
        for stop in [*_calls(line), ""]:
            if stop in inside:
                run.append(inside[stop])
                continue
            if len(run) > 1:
                path = thinned(run, radius / 3)
                bands.update(pairwise(path))
            run = []
    band = "".join(f"M{a[0]:g} {a[1]:g}L{b[0]:g} {b[1]:g}" for a, b in sorted(bands)[: 4 * PATCHES_MAX])
    color = COLORS[number % len(COLORS)]
    hatch = HATCHES[(number + number // len(COLORS)) % len(HATCHES)]
    return MapZone(number, name, color, hatch, len(stops), patches, band)


def _bar(sheet: Sheet) -> tuple[int, float]:
    """A round length for the scale, at most a quarter of the sheet."""
    metres = DEGREE_M / sheet.scale * sheet.width / 4
    power = 10 ** int(log10(max(metres, 1.0)))
    length = next((step * power for step in (5, 2, 1) if step * power <= metres), 1)
    return length, round(length / DEGREE_M * sheet.scale, 1)


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers in their order before words in theirs."""
    return (0, int(name), "") if name.isascii() and name.isdigit() and len(name) < 10 else (1, 0, name)
