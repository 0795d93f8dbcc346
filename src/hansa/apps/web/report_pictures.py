"""Charts of reports, drawn on the server as SVG: how a balance came about, and amounts side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from hansa.kernel import Money

WIDTH, ROW = 420, 36


@dataclass(frozen=True, slots=True)
class Strip:
    """One bar lying in a chart. kind: gets, owes or sum. zero: where nothing is."""

    y: int
    x: float
    width: float
    kind: str
    words: str
    figure: str


@dataclass(frozen=True, slots=True)
class Strips:
    """Bars lying under each other, each below its words and figure, so that they can be read on a phone.

    zero: the line from which sums are measured.
    """

    width: int
    height: int
    row: int
    zero: float
    strips: tuple[Strip, ...]


def waterfall(steps: Sequence[tuple[str, int, bool]], currency: str) -> Strips:
    """How a balance came about. steps: (words, minor units, whether it is a sum from zero), in order."""
    at = 0
    spans: list[tuple[int, int, str, str, int]] = []
    for words, minor, is_sum in steps:
        begin, end = (0, minor) if is_sum else (at, at + minor)
        at = end
        kind = "sum" if is_sum else "gets" if minor > 0 else "owes"
        spans.append((min(begin, end), max(begin, end), kind, words, minor))
    low, high = min([0, *(one[0] for one in spans)]), max([0, *(one[1] for one in spans)])
    return _strips(spans, low, high, currency)


def bars(amounts: Sequence[tuple[str, int]], currency: str) -> Strips:
    """Amounts under each other, each from zero."""
    spans = [
        (min(0, minor), max(0, minor), "gets" if minor >= 0 else "owes", words, minor)
        for words, minor in amounts
    ]
    low, high = min([0, *(one[0] for one in spans)]), max([0, *(one[1] for one in spans)])
    return _strips(spans, low, high, currency)


def _strips(spans: Sequence[tuple[int, int, str, str, int]], low: int, high: int, currency: str) -> Strips:
    scale = (WIDTH - 2) / max(1, high - low)
    return Strips(
        WIDTH,
        ROW * len(spans) + 4,
        ROW,
        round(1 + (0 - low) * scale, 1),
        tuple(
            Strip(
                place * ROW,
                round(1 + (begin - low) * scale, 1),
                round(max(1.5, (end - begin) * scale), 1),
                kind,
                words,
                str(Money(minor, currency)).replace("-", "−"),
            )
            for place, (begin, end, kind, words, minor) in enumerate(spans)
        ),
    )
