"""Where stops lie along a drawn line, and drawn lines with fewer points."""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, radians

Point = tuple[float, float]
"""(lat, lon) in degrees, WGS 84."""

_DEGREE_M = 111_195.0

THINNED_M = 8.0
"""How far a thinned shape may run beside what was drawn, in metres: less than a street is wide."""


def thinned(points: Sequence[Point], apart: float) -> list[Point]:
    """The points of a line without those from which it would stray no farther than ``apart``; both ends stay.

    points: of one plane, in the unit of ``apart``. Source: Douglas and Peucker, 1973.
    """
    kept = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        (ax, ay), (bx, by) = points[first], points[last]
        dx, dy = bx - ax, by - ay
        long = dx * dx + dy * dy
        farthest, place = 0.0, first
        for index in range(first + 1, last):
            x, y = points[index]
            share = min(1.0, max(0.0, ((x - ax) * dx + (y - ay) * dy) / long)) if long else 0.0
            away = hypot(ax + share * dx - x, ay + share * dy - y)
            if away > farthest:
                farthest, place = away, index
        if farthest > apart:
            kept.add(place)
            spans += [(first, place), (place, last)]
    return [points[index] for index in sorted(kept)]


def thinned_shape(shape: Sequence[Point]) -> tuple[Point, ...]:
    """A shape in degrees with no more points than a map needs, to five decimals, which is a metre."""
    if len(shape) < 2:
        return ()
    scale = cos(radians(shape[0][0])) * _DEGREE_M
    places = {(lat * _DEGREE_M, lon * scale): (round(lat, 5), round(lon, 5)) for lat, lon in shape}
    return tuple(
        places[point] for point in thinned([(lat * _DEGREE_M, lon * scale) for lat, lon in shape], THINNED_M)
    )


def along_shape(shape: Sequence[Point], points: Sequence[Point]) -> list[float]:
    """Metres from the start of a shape to the place on it nearest each point, never going back.

    shape: at least two points in the order of travel. points: the stops in the order of travel.
    Of places equally near, the first counts, so that a shape which passes a place twice is followed in order.
    """
    scale = cos(radians(shape[0][0])) * _DEGREE_M
    path = [(lon * scale, lat * _DEGREE_M) for lat, lon in shape]
    lengths = [hypot(bx - ax, by - ay) for (ax, ay), (bx, by) in pairwise(path)]
    starts = [0.0]
    for length in lengths:
        starts.append(starts[-1] + length)
    reached: list[float] = []
    segment, floor = 0, 0.0
    for lat, lon in points:
        x, y = lon * scale, lat * _DEGREE_M
        best: tuple[float, float, int] | None = None
        for index in range(segment, len(lengths)):
            (ax, ay), (bx, by) = path[index], path[index + 1]
            length = lengths[index]
            share = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length**2 if length else 0.0
            share = min(1.0, max(0.0, share))
            place = max(floor, starts[index] + share * length)
            share = (place - starts[index]) / length if length else 0.0
            away = hypot(ax + share * (bx - ax) - x, ay + share * (by - ay) - y)
            if best is None or away < best[0] - 1e-6:
                best = (away, place, index)
        assert best is not None, "a shape has a segment at or after every place reached"
        _, floor, segment = best
        reached.append(floor)
    return reached
