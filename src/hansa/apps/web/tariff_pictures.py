"""Pictures of tariffs, drawn on the server: versions over time, revenue by hour, riders by change, fares on a map."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from hansa import atlas, rides
from hansa.apps.web.pictures import Mark
from hansa.kernel import Money

LEVELS = 6
"""Shades of a picture of fares, from the cheapest to the dearest."""

MATRIX_MAX = 40
"""Stops of a network whose fares are shown as one table."""


# -- versions over time -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A version or a proposal on the timeline. state: what colours it. link: where it opens."""

    x: float
    width: float
    y: float
    state: str
    name: str
    title: str
    link: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Versions over time, in the units of an SVG viewBox. now: where today is."""

    width: int
    height: int
    top: int
    now: float
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]


WIDTH, ROW, TOP, FOOT = 760, 26, 18, 22


def timeline(spans: Sequence[tuple[date, date | None, str, str, str]], today: date) -> Timeline | None:
    """Spans as (first day, last day or None, state, name, link), one a row. None where there is none.

    It shows a year back at most, and half a year ahead at least; what began earlier begins at the edge.
    """
    if not spans:
        return None
    first = max(min(one[0] for one in spans), today - timedelta(days=365))
    first = min(first, today - timedelta(days=60))
    last = max(max(one[0] for one in spans) + timedelta(days=90), today + timedelta(days=120))
    length = (last - first).days

    def x_of(day: date) -> float:
        return round(min(max((day - first).days, 0), length) / length * WIDTH, 1)

    drawn: list[Span] = []
    for row, (starts, ends, state, name, link) in enumerate(spans):
        left, right = x_of(starts), WIDTH if ends is None or ends >= last else x_of(ends + timedelta(days=1))
        until = f"to {ends}" if ends else "on"
        title = f"{name}: {state.replace('_', ' ')}, from {starts} {until}"
        drawn.append(Span(left, max(right - left, 3), TOP + row * ROW, state, name, title, link))
    return Timeline(
        WIDTH,
        TOP + len(spans) * ROW + FOOT,
        TOP,
        x_of(today),
        tuple(drawn),
        tuple(_months(first, last, x_of)),
    )


def _months(first: date, last: date, x_of: Callable[[date], float]) -> Iterable[Mark]:
    months = (last.year - first.year) * 12 + last.month - first.month
    step = max(1, -(-months // 8))
    for place in range(1, months + 1, step):
        index = first.month - 1 + place
        day = date(first.year + index // 12, index % 12 + 1, 1)
        if x_of(day) < WIDTH - 60:
            yield Mark(x_of(day), f"{day:%b %Y}")


# -- what two tariffs make of the same journeys -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """Two bars side by side, before and after."""

    x: float
    width: float
    before_y: float
    before_height: float
    after_y: float
    after_height: float
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Revenue by hour under two tariffs. most: the highest figure."""

    width: int
    height: int
    base: int
    columns: tuple[Column, ...]
    most: str


HEIGHT, BASE, NARROW = 190, 158, 520
"""Of the pictures that stand two beside each other."""


def columns(rows: Sequence[rides.Row], currency: str) -> Columns:
    """Two bars for each row."""
    most = max((max(row.before_minor, row.after_minor) for row in rows), default=0) or 1
    step = NARROW / max(1, len(rows))
    drawn: list[Column] = []
    for place, row in enumerate(rows):
        before, after = (
            round(minor / most * (BASE - TOP), 1) for minor in (row.before_minor, row.after_minor)
        )
        drawn.append(
            Column(
                round(place * step + step * 0.12, 1),
                round(step * 0.36, 1),
                round(BASE - before, 1),
                before,
                round(BASE - after, 1),
                after,
                row.name,
                f"{row.name}: {Money(row.before_minor, currency)} before, {Money(row.after_minor, currency)} after",
            )
        )
    return Columns(NARROW, HEIGHT, BASE, tuple(drawn), str(Money(most, currency)))


@dataclass(frozen=True, slots=True)
class Bucket:
    """Riders whose journeys change by so much. side: better, same, worse. label: empty where it would touch another."""

    x: float
    y: float
    width: float
    height: float
    side: str
    label: str
    title: str
    riders: int
    words: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Riders by what they pay more or less."""

    width: int
    height: int
    base: int
    buckets: tuple[Bucket, ...]


def histogram(bins: Sequence[rides.Bin], currency: str) -> Histogram:
    """A bar for each bin that has riders, the best off at the left."""
    most = max((one.riders for one in bins), default=0) or 1
    step = NARROW / max(1, len(bins))
    drawn: list[Bucket] = []
    for place, one in enumerate(bins):
        tall = max(round(one.riders / most * (BASE - TOP - 14), 1), 1.5)
        words = change_words(one, currency)
        side = "same" if one.up_to_minor == one.over_minor else "worse" if one.up_to_minor > 0 else "better"
        edge = one.up_to_minor if side == "worse" else one.over_minor
        label = "0" if side == "same" else f"{'+' if edge > 0 else '−'}{_short(abs(edge), currency)}"
        drawn.append(
            Bucket(
                round(place * step + step * 0.08, 1),
                round(BASE - tall, 1),
                round(min(step * 0.84, 90), 1),
                tall,
                side,
                label if step >= 40 or place % 2 == 0 else "",
                f"{one.riders:,} riders: {words}",
                one.riders,
                words,
            )
        )
    return Histogram(NARROW, HEIGHT, BASE, tuple(drawn))


def change_words(one: rides.Bin, currency: str) -> str:
    """A bin in words: ``over ¥0.50 up to ¥1.00 more``."""
    if one.over_minor == one.up_to_minor == 0:
        return "pay the same"
    low, high = sorted((abs(one.over_minor), abs(one.up_to_minor)))
    way = "more" if one.up_to_minor > 0 else "less"
    over = f"over {Money(low, currency)} " if low else ""
    return f"{over}up to {Money(high, currency)} {way}"


def _short(minor: int, currency: str) -> str:
    text = Money(minor, currency).decimal()
    return text.removesuffix(".00") if "." in text else text


# -- fares over a network -----------------------------------------------------------------------------------


def level_of(amount: int, edges: Sequence[int]) -> int:
    """Which shade an amount has, from 0. edges: of ``shades``."""
    return min(bisect_left(edges, amount), LEVELS - 1)


def shades(amounts: Iterable[int]) -> tuple[int, ...]:
    """The highest amount of each shade: as many different amounts in each."""
    kinds = sorted(set(amounts))
    if len(kinds) <= LEVELS:
        return tuple(kinds)
    return tuple(kinds[(place + 1) * len(kinds) // LEVELS - 1] for place in range(LEVELS))


@dataclass(frozen=True, slots=True)
class FareStop:
    """A stop on the map of fares. shade: of its fare, or of its zone; -1 where it has none."""

    x: float
    y: float
    shade: int
    chosen: bool
    label: str
    anchor: str
    title: str


@dataclass(frozen=True, slots=True)
class FareLine:
    """A line on the map of fares."""

    path: str
    color: str
    title: str


@dataclass(frozen=True, slots=True)
class FareMap:
    """A network with its stops shaded. key: (shade, what it means)."""

    width: int
    height: int
    lines: tuple[FareLine, ...]
    stops: tuple[FareStop, ...]
    key: tuple[tuple[int, str], ...]
    about: str


def zone_map(network: atlas.Network) -> FareMap:
    """The network with each stop shaded by its zone, where it has zones."""
    zones = sorted(
        {stop.zone for stop in network.stops.values() if stop.zone and "/" not in stop.zone}, key=_by_number
    )
    shade = {zone: place % LEVELS for place, zone in enumerate(zones)}
    told = {
        stop_id: (
            shade.get((stop.zone or "").partition("/")[0], -1),
            f"zone {stop.zone}" if stop.zone else "",
        )
        for stop_id, stop in network.stops.items()
    }
    key = tuple((shade[zone], f"zone {zone}") for zone in zones[:24])
    return _fare_map(network, told, "", key, "Lines, stops and zones" if zones else "Lines and stops")


def fare_map(network: atlas.Network, origin: str, fares: Mapping[str, int], currency: str) -> FareMap:
    """The network with each stop shaded by its fare from one of them. fares: by stop, in minor units."""
    edges = shades(fares.values())
    told = {
        stop_id: (level_of(fares[stop_id], edges), str(Money(fares[stop_id], currency)))
        if stop_id in fares
        else (-1, "no fare")
        for stop_id in network.stops
    }
    key = tuple((place, f"up to {Money(edge, currency)}") for place, edge in enumerate(edges))
    name = network.stops[origin].name
    return _fare_map(network, told, origin, key, f"Fares from {name}")


def _fare_map(
    network: atlas.Network,
    told: Mapping[str, tuple[int, str]],
    chosen: str,
    key: tuple[tuple[int, str], ...],
    about: str,
) -> FareMap:
    drawn = _picture(_Key(network))
    return FareMap(
        drawn.width,
        drawn.height,
        tuple(
            FareLine("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line.points), line.color, line.name)
            for line in drawn.lines
        ),
        tuple(
            FareStop(
                round(stop.x, 1),
                round(stop.y, 1),
                told.get(stop.stop_id, (-1, ""))[0],
                stop.stop_id == chosen,
                stop.name if stop.stop_id == chosen else stop.label,
                stop.anchor,
                ": ".join(filter(None, (stop.name, told.get(stop.stop_id, (-1, ""))[1]))),
            )
            for stop in drawn.stops
        ),
        key,
        about,
    )


def _by_number(zone: str) -> tuple[int, int, str]:
    return (0, int(zone), zone) if zone.isdigit() else (1, 0, zone)


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


@lru_cache(maxsize=32)
def _picture(key: _Key) -> atlas.Picture:
    return atlas.picture(key.network, 640, 420, margin=20, labels=14, letter=1.1, apart=4.0)
