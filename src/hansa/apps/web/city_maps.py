"""A city's lines as a small map, each as thick as today's rides make it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from hansa import atlas

WIDTH = 420
HEIGHT = 290
MARGIN = 14
THIN = 1.1
THICK = 4.6
DOT = 0.8
DOT_MOST = 4.8
NAMES = 7
NAMES_OF_MANY = 5
MANY_STOPS = 60
"""Names on a map, and on one of more stops than this; more of them hide the lines."""
LETTER = 1.22
"""How large names are written on a phone, where the map is smallest: there they are 11 px and more."""
APART = 5.0


@dataclass(frozen=True, slots=True)
class MapLine:
    """A line on the map. width: by how many taps it saw. title: what it says when pointed at."""

    path: str
    color: str
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class MapStop:
    """A stop on the map. radius: by how many taps it saw."""

    x: float
    y: float
    radius: float
    label: str
    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class CityMap:
    """A map in the units of an SVG viewBox."""

    width: int
    height: int
    lines: tuple[MapLine, ...]
    stops: tuple[MapStop, ...]


def draw_city(network: atlas.Network, lines: Mapping[str, int], stops: Mapping[str, int]) -> CityMap:
    """The map of a city. lines, stops: taps of the day by id; what is not named saw none."""
    drawn = _picture(_Key(network))
    most_line = max(lines.values(), default=0) or 1
    most_stop = max(stops.values(), default=0) or 1
    return CityMap(
        drawn.width,
        drawn.height,
        tuple(
            MapLine(
                path="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line.points),
                color=line.color,
                width=round(THIN + (THICK - THIN) * lines.get(line.line_id, 0) / most_line, 2),
                title=f"{line.name}: {lines.get(line.line_id, 0):,} taps",
            )
            for line in drawn.lines
        ),
        tuple(
            MapStop(
                x=round(stop.x, 1),
                y=round(stop.y, 1),
                radius=_radius(stops.get(stop.stop_id, 0), most_stop),
                label=stop.label,
                anchor=stop.anchor,
                title=f"{stop.name}: {stops.get(stop.stop_id, 0):,} taps",
            )
            for stop in drawn.stops
        ),
    )


def _radius(taps: int, most: int) -> float:
    """The area of a dot grows with its taps, so that twice the taps look like twice as many."""
    return round(DOT + (DOT_MOST - DOT) * (taps / most) ** 0.5, 2) if taps else DOT


class _Key:
    """A network by its city and version, so that its drawing is worked out once."""

    __slots__ = ("network",)

    def __init__(self, network: atlas.Network) -> None:
        self.network = network

    def __hash__(self) -> int:
        return hash((self.network.city.city_id, self.network.version))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and (
            self.network.city == other.network.city and self.network.version == other.network.version
        )


@lru_cache(maxsize=64)
def _picture(key: _Key) -> atlas.Picture:
    many = len(key.network.stops) > MANY_STOPS
    return atlas.picture(
        key.network,
        WIDTH,
        HEIGHT,
        margin=MARGIN,
        labels=NAMES_OF_MANY if many else NAMES,
        letter=LETTER,
        apart=APART,
    )
