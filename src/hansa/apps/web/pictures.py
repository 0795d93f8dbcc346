"""Charts drawn on the server as SVG: no script is needed to see them, and the figures stand beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

WIDTH = 760
HEIGHT = 190
LEFT = 44
BASE = 150
TOP = 14
BAND = 26
"""Height kept below the axis for hours."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart, in the chart's own units. title: what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars over the hours of a day, with both axes worked out. most: the highest figure, per minute."""

    width: int
    height: int
    left: int
    base: int
    bars: tuple[Bar, ...]
    hours: tuple[Mark, ...]
    levels: tuple[Mark, ...]
    most: str


def bar_chart(
    counts: Sequence[int], *, minutes: int, first_minute: int, what: str, height: int = HEIGHT
) -> BarChart:
    """A chart of how many per minute over a day.

    counts: for consecutive spans of ``minutes``, from ``first_minute`` after midnight. what: of what, for the words.
    """
    base = height - BAND - 8
    top = nice_ceiling(max(counts, default=0), minutes)
    step = (WIDTH - LEFT) / max(1, len(counts))
    bars: list[Bar] = []
    for place, count in enumerate(counts):
        if not count:
            continue
        tall = float(Fraction(count, minutes) / top * (base - TOP))
        begin = first_minute + place * minutes
        bars.append(
            Bar(
                x=round(LEFT + place * step, 2),
                y=round(base - max(tall, 1), 2),
                width=round(max(step - 0.6, 0.8), 2),
                height=round(max(tall, 1), 2),
                title=f"{clock(begin)}: {per_minute(count, minutes)} {what} a minute",
            )
        )
    span = len(counts) * minutes
    hours = [
        Mark(round(LEFT + (minute - first_minute) / span * (WIDTH - LEFT), 1), clock(minute))
        for minute in range(-(-first_minute // 180) * 180, first_minute + span + 1, 180)
        if span
    ]
    levels = [
        Mark(round(base - float(part) * (base - TOP), 1), figure(top * part))
        for part in (Fraction(1, 2), Fraction(1))
    ]
    return BarChart(
        WIDTH,
        height,
        LEFT,
        base,
        tuple(bars),
        tuple(hours),
        tuple(levels),
        per_minute(max(counts, default=0), minutes),
    )


def nice_ceiling(count: int, minutes: int) -> Fraction:
    """A round figure per minute that no bar passes, and whose half is round too."""
    most = Fraction(count, minutes)
    power = Fraction(1)
    while True:
        for times in (1, 2, 3, 4, 6, 8):
            if power * times >= most:
                return power * times
        power *= 10


def per_minute(count: int, minutes: int) -> str:
    """How many a minute, in words short enough for a label."""
    return figure(Fraction(count, minutes))


def figure(value: Fraction) -> str:
    """A figure for an axis: ``0.5``, ``12``, ``3,400``."""
    if value.denominator == 1:
        return f"{value.numerator:,}"
    return f"{float(value):,.1f}"


def clock(minute: int) -> str:
    """A minute after midnight as a clock shows it; a service day runs past 24:00."""
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"
