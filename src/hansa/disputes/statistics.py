"""Figures of disputes for everybody: by operator and reason, a quarter at a time, with small counts hidden. Pure rules.

A count that is not zero and below ``HIDDEN_BELOW`` could point at a person, so it is not told, nor what it could be
worked out from. Quarters do not overlap, so no two readings of whole quarters differ by a few disputes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby

from hansa import clearing
from hansa.disputes import store
from hansa.disputes.life import Kind
from hansa.disputes.model import Outcomes
from hansa.store import Context

HIDDEN_BELOW = 5
"""Counts from 1 up to this one are hidden."""

OTHERS = "others"
"""The reason of a line that stands for several whose counts are too small."""

PARTS = ("open", "in_full", "in_part", "corrected", "nothing", "withdrawn")
"""Counts that add up to those raised."""


@dataclass(frozen=True, slots=True)
class Quarter:
    """A quarter of a calendar year, in business days of the league. number: 1 to 4."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> "Quarter":
        """The quarter of a day."""
        return cls(day.year, (day.month - 1) // 3 + 1)

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.number * 3 - 2, 1)

    @property
    def last_day(self) -> date:
        """Its last day."""
        return self.next().first_day - timedelta(days=1)

    def next(self) -> "Quarter":
        """The one after it."""
        return Quarter(self.year + self.number // 4, self.number % 4 + 1)

    def before(self) -> "Quarter":
        """The one before it."""
        return Quarter.of(self.first_day - timedelta(days=1))

    def __str__(self) -> str:
        return f"{self.year}-Q{self.number}"


@dataclass(frozen=True, slots=True)
class Line:
    """What is told of an operator's disputes of one kind and reason; None where a figure is hidden.

    reason: a code, or OTHERS. at_once, by_silence: share of the decided, 0 to 1. median_days: from raised to decided.
    """

    operator_id: str
    kind: Kind
    reason: str
    raised: int
    open: int | None
    in_full: int | None
    in_part: int | None
    corrected: int | None
    nothing: int | None
    withdrawn: int | None
    at_once: float | None
    by_silence: float | None
    median_days: float | None


@dataclass(frozen=True, slots=True)
class Published:
    """The figures of a quarter. up_to: its last business day, or today's while it still runs.

    untold: lines that are left out because they are too small, even together.
    """

    quarter: Quarter
    up_to: date
    runs: bool
    lines: tuple[Line, ...]
    untold: int


def statistics(ctx: Context, quarter: Quarter | None = None) -> Published:
    """The figures of a quarter: of the one that runs, where none is named."""
    with ctx.tx() as tx:
        settings = clearing.get_settings(tx)
        today = settings.day_of(ctx.clock.now())
        quarter = quarter or Quarter.of(today)
        up_to = min(quarter.last_day, today)
        first = settings.ends_at(quarter.first_day - timedelta(days=1))
        found = store.outcomes(tx, first, settings.ends_at(quarter.last_day))
    lines, untold = publish(found)
    return Published(quarter, up_to, quarter.last_day >= today, tuple(lines), untold)


def publish(found: Sequence[Outcomes]) -> tuple[list[Line], int]:
    """Lines that may be told, and how many are left out. found: ordered by operator and kind.

    Reasons of an operator with few disputes stand together as OTHERS, if together they are enough; else they are left
    out.
    """
    lines: list[Line] = []
    untold = 0
    for _, group in groupby(found, key=lambda one: (one.operator_id, one.kind)):
        rows = list(group)
        small = [one for one in rows if one.raised < HIDDEN_BELOW]
        lines += [_line(one) for one in rows if one.raised >= HIDDEN_BELOW]
        together = _sum(small)
        if len(small) > 1 and together.raised >= HIDDEN_BELOW:
            lines.append(_line(together))
        else:
            untold += len(small)
    return lines, untold


def hidden_parts(parts: Sequence[int]) -> list[int | None]:
    """Counts of which small ones are hidden, and as many others that the hidden ones together are enough.

    parts: counts of 0 or more whose sum is told beside them; so one hidden count alone could be worked out.
    """
    hidden = {place for place, count in enumerate(parts) if 0 < count < HIDDEN_BELOW}
    rest = sorted(set(range(len(parts))) - hidden, key=lambda place: (parts[place], place))
    while hidden and rest and (len(hidden) < 2 or sum(parts[place] for place in hidden) < HIDDEN_BELOW):
        hidden.add(rest.pop(0))
    return [None if place in hidden else count for place, count in enumerate(parts)]


def _line(one: Outcomes) -> Line:
    counts = (one.open, one.in_full, one.in_part, one.corrected, one.nothing, one.withdrawn)
    told = hidden_parts(counts)
    decided = one.decided if told[0] is not None and one.decided >= HIDDEN_BELOW else 0
    return Line(
        one.operator_id,
        one.kind,
        one.reason,
        one.raised,
        *told,
        at_once=_share(one.at_once, decided),
        by_silence=_share(one.by_silence, decided),
        median_days=round(one.median_days, 1) if decided and one.median_days is not None else None,
    )


def _share(count: int, of: int) -> float | None:
    """A share, hidden where it tells a small count, or that all but a few are counted."""
    if not of or 0 < count < HIDDEN_BELOW or 0 < of - count < HIDDEN_BELOW:
        return None
    return round(count / of, 3)


def _sum(rows: Iterable[Outcomes]) -> Outcomes:
    """Several reasons as one; their median is not known any more."""
    total = Outcomes("", Kind.REFUND, OTHERS, *([0] * 9), median_days=None)
    for one in rows:
        total = replace(
            total,
            operator_id=one.operator_id,
            kind=one.kind,
            raised=total.raised + one.raised,
            at_once=total.at_once + one.at_once,
            by_silence=total.by_silence + one.by_silence,
            **{name: getattr(total, name) + getattr(one, name) for name in PARTS},
        )
    return total
