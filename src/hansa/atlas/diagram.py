"""A city's network as a drawing: where each line and stop goes on a sheet of given size."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians

from hansa.atlas.model import Network, Stop

XY = tuple[float, float]
"""A point on the sheet: x to the right and y downwards, as SVG has it."""

LABEL_HEIGHT = 12.0
LETTER_WIDTH = 6.4
LABELS_MAX = 40
LONG_NAME = 22
"""Letters after which a name gives way to a shorter one of the same rank."""


@dataclass(frozen=True, slots=True)
class PictureLine:
    """A line as it is drawn; a loop comes back to its first point."""

    line_id: str
    name: str
    color: str
    mode: str
    points: tuple[XY, ...]


@dataclass(frozen=True, slots=True)
class PictureStop:
    """A stop as it is drawn. hub: lines meet here, or a line ends. label: its name where there is room for it.

    anchor: the side of the point on which the label stands, as SVG's text-anchor: start is right of it, end left.
    """

    stop_id: str
    name: str
    x: float
    y: float
    lines: int
    hub: bool
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing in the units of an SVG viewBox ``0 0 width height``."""

    width: int
    height: int
    lines: tuple[PictureLine, ...]
    stops: tuple[PictureStop, ...]


def picture(
    network: Network,
    width: int,
    height: int,
    *,
    margin: int = 24,
    labels: int = LABELS_MAX,
    letter: float = 1.0,
    apart: float = 0.0,
) -> Picture:
    """The network fitted into a sheet, north up, its proportions kept (equirectangular around its middle).

    Stops whose place is not known are left out, and lines run past them. Names go to the places where most lines
    meet, then to where lines end, as long as no name covers another. labels: at most so many names. letter: how large
    they are written, 1 for LABEL_HEIGHT and LETTER_WIDTH. apart: how far names keep from each other.
    """
    assert width > 2 * margin and height > 2 * margin, "the sheet is larger than its margins"
    places = _project(
        {stop.stop_id: (stop.lat, stop.lon) for stop in network.stops.values() if _located(stop)},
        width,
        height,
        margin,
    )
    lines: list[PictureLine] = []
    ends: set[str] = set()
    for line in network.lines.values():
        ids = [call.stop_id for call in line.stops]
        if line.loop:
            ids.append(ids[0])
        else:
            ends |= {ids[0], ids[-1]}
        points = tuple(places[stop_id] for stop_id in ids if stop_id in places)
        if len(points) > 1:
            lines.append(PictureLine(line.line_id, line.name, line.color, line.mode, points))
    crossings = {
        stop_id: len({line.name.partition(" (")[0] for line in network.lines_at(stop_id)})
        for stop_id in places
    }
    hubs = {stop_id for stop_id in places if crossings[stop_id] > 1 or stop_id in ends}
    ranked = sorted(
        hubs,
        key=lambda stop_id: (
            -crossings[stop_id],
            stop_id not in ends,
            len(network.stops[stop_id].name) > LONG_NAME,
            stop_id,
        ),
    )
    named = labelled(
        [(network.stops[stop_id], places[stop_id]) for stop_id in ranked],
        width,
        height,
        most=labels,
        letter=letter,
        apart=apart,
    )
    stops = tuple(
        PictureStop(
            stop_id,
            network.stops[stop_id].name,
            x,
            y,
            crossings[stop_id],
            stop_id in hubs,
            *named.get(stop_id, ("", "start")),
        )
        for stop_id, (x, y) in places.items()
    )
    return Picture(width, height, tuple(lines), stops)


def _located(stop: Stop) -> bool:
    return stop.lat is not None and stop.lon is not None


def _project(
    degrees: dict[str, tuple[float | None, float | None]], width: int, height: int, margin: int
) -> dict[str, XY]:
    known = {key: (lat, lon) for key, (lat, lon) in degrees.items() if lat is not None and lon is not None}
    if not known:
        return {}
    south, north = min(lat for lat, _ in known.values()), max(lat for lat, _ in known.values())
    west, east = min(lon for _, lon in known.values()), max(lon for _, lon in known.values())
    squeeze = cos(radians((south + north) / 2))
    across, up = (east - west) * squeeze, north - south
    scale = min(
        (width - 2 * margin) / across if across else float("inf"),
        (height - 2 * margin) / up if up else float("inf"),
    )
    if scale == float("inf"):
        scale = 1.0
    left, top = (width - across * scale) / 2, (height - up * scale) / 2
    return {
        key: (round(left + (lon - west) * squeeze * scale, 1), round(top + (north - lat) * scale, 1))
        for key, (lat, lon) in known.items()
    }


def labelled(
    stops: Sequence[tuple[Stop, XY]], width: int, height: int, *, most: int, letter: float, apart: float
) -> dict[str, tuple[str, str]]:
    """Names with their side by stop, the first stops first; a name that fits on neither side is left out.

    most: at most so many. letter: as of ``picture``. apart: how far names keep from each other.
    """
    taken: list[tuple[float, float, float, float]] = []
    labels: dict[str, tuple[str, str]] = {}
    for stop, (x, y) in stops:
        if len(labels) == most:
            break
        long = LETTER_WIDTH * letter * len(stop.name)
        for anchor, left, right in (("start", x + 4, x + 8 + long), ("end", x - 8 - long, x - 4)):
            top, bottom = y - LABEL_HEIGHT * letter, y + 2
            on_sheet = left >= 0 and top >= 0 and right <= width and bottom <= height
            covers = any(
                left < r + apart and li < right + apart and top < b + apart and t < bottom + apart
                for li, t, r, b in taken
            )
            if on_sheet and not covers:
                taken.append((left, top, right, bottom))
                labels[stop.stop_id] = (stop.name, anchor)
                break
    return labels
