"""Where stops lie along a drawn line."""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, radians

Point = tuple[float, float]
"""(lat, lon) in degrees, WGS 84."""

_DEGREE_M = 111_195.0


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
