"""Rows that belong together though their ids do not say so: by amount and time, and by sums. Pure.

What comes out depends on what the rows say and never on the order in which they stand: candidates are taken closest
first, ties by the rows' own ids. Where more fits than can be told apart, nothing is taken and a person is asked.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

from hansa.reconciliation.profiles import Rule

EDGES_MAX = 1_000_000
"""Pairs of near amounts that are looked at; where there are more, amounts and days cannot tell rows apart."""

NEAR_MAX = 20
"""Rows of the other side among which a set is looked for: those nearest in time."""

SUM_ROWS_MAX = 2_000
"""Rows of a side that are left for which sets are looked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a side. key: its place there, which decides nothing. minor: what the member is to receive."""

    key: int
    ref: str
    minor: int
    currency: str
    at: datetime

    @property
    def order(self) -> tuple[datetime, str, int]:
        """How rows stand when what they say decides."""
        return self.at, self.ref, self.minor


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of both sides that belong together, by their keys. difference_minor: theirs less ours."""

    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    difference_minor: int


def match(rule: Rule, ours: Sequence[Row], theirs: Sequence[Row]) -> list[Found]:
    """What a rule finds among rows that are free; no row twice. Rules by id are matched where the rows are."""
    mine = [one for one in ours if not rule.currencies or one.currency in rule.currencies]
    other = [one for one in theirs if not rule.currencies or one.currency in rule.currencies]
    return by_amount(rule, mine, other) if rule.by == "amount" else by_sum(rule, mine, other)


def by_amount(rule: Rule, ours: Sequence[Row], theirs: Sequence[Row]) -> list[Found]:
    """One row and one row whose amounts and times are near enough: the closest pairs first."""
    edges: list[tuple[int, float, Row, Row]] = []
    looked_at = 0
    for mine, other in _by_currency(ours, theirs):
        minors = [one.minor for one in mine]
        for row in other:
            first = bisect_left(minors, row.minor - rule.tolerance_minor)
            last = bisect_right(minors, row.minor + rule.tolerance_minor)
            looked_at += last - first
            if looked_at > EDGES_MAX:
                return []
            for one in mine[first:last]:
                apart = abs(one.at - row.at)
                if apart <= timedelta(days=rule.days):
                    edges.append((abs(row.minor - one.minor), apart.total_seconds(), one, row))
    edges.sort(key=lambda edge: (edge[0], edge[1], edge[2].order, edge[3].order))
    found: list[Found] = []
    used_ours, used_theirs = set[int](), set[int]()
    for _, _, one, row in edges:
        if one.key not in used_ours and row.key not in used_theirs:
            used_ours.add(one.key)
            used_theirs.add(row.key)
            found.append(Found((one.key,), (row.key,), row.minor - one.minor))
    return found


def by_sum(rule: Rule, ours: Sequence[Row], theirs: Sequence[Row]) -> list[Found]:
    """One row and a set of the other side whose sum is near enough, where exactly one such set is there.

    Looked for first for theirs, then for ours; a set is one of at most ``rule.most`` among the nearest in time.
    """
    if len(ours) > SUM_ROWS_MAX or len(theirs) > SUM_ROWS_MAX:
        return []
    found: list[Found] = []
    free_ours = {one.key: one for one in ours}
    free_theirs = {one.key: one for one in theirs}
    for row in sorted(theirs, key=lambda one: one.order):
        some = _only_set(rule, row, list(free_ours.values()))
        if some is not None:
            for one in some:
                del free_ours[one.key]
            del free_theirs[row.key]
            found.append(Found(_keys(some), (row.key,), row.minor - sum(one.minor for one in some)))
    for row in sorted(free_ours.values(), key=lambda one: one.order):
        some = _only_set(rule, row, list(free_theirs.values()))
        if some is not None:
            for one in some:
                del free_theirs[one.key]
            found.append(Found((row.key,), _keys(some), sum(one.minor for one in some) - row.minor))
    return found


def _only_set(rule: Rule, row: Row, others: Sequence[Row]) -> tuple[Row, ...] | None:
    """The one set of these that comes to a row's amount; None where there is none, or more than one."""
    within = timedelta(days=rule.days)
    near = sorted(
        (one for one in others if one.currency == row.currency and abs(one.at - row.at) <= within),
        key=lambda one: (abs(one.at - row.at), one.order),
    )[:NEAR_MAX]
    fitting: tuple[Row, ...] | None = None
    for size in range(2, rule.most + 1):
        for some in combinations(near, size):
            if abs(sum(one.minor for one in some) - row.minor) <= rule.tolerance_minor:
                if fitting is not None:
                    return None
                fitting = some
    return fitting


def _by_currency(ours: Sequence[Row], theirs: Sequence[Row]) -> Iterator[tuple[list[Row], list[Row]]]:
    for currency in sorted({one.currency for one in theirs}):
        mine = sorted(
            (one for one in ours if one.currency == currency), key=lambda one: (one.minor, one.order)
        )
        yield mine, [one for one in theirs if one.currency == currency]


def _keys(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(sorted(one.key for one in rows))
