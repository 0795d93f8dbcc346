"""What a row without a partner may belong to, with a score from 0 to 100 and the reasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from hansa.reconciliation.rules import Row

SCORE_MIN = 40
"""Less than this is a guess."""

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A row of ours that another may belong to. score: 0 to 100; reasons: what speaks for it, in words."""

    row: Row
    score: int
    reasons: tuple[str, ...]


def suggest(row: Row, others: Sequence[Row]) -> list[Suggestion]:
    """The best of these for a row, best first; the order of the others decides nothing."""
    found = [one for other in others if (one := _suggestion(row, other)).score >= SCORE_MIN]
    return sorted(found, key=lambda one: (-one.score, one.row.order))[:SHOWN]


def _suggestion(row: Row, other: Row) -> Suggestion:
    score, reasons = 0, list[str]()

    def speaks(points: int, words: str) -> None:
        nonlocal score
        score += points
        reasons.append(words)

    if row.ref == other.ref:
        speaks(50, "same id")
    if row.currency != other.currency:
        reasons.append("other currency")
        score -= 20
    if row.minor == other.minor:
        speaks(30, "same amount")
    elif row.minor == -other.minor:
        speaks(20, "same amount, other sign")
    elif abs(row.minor - other.minor) * 50 <= abs(other.minor):
        speaks(20, "amounts differ by 2 % at most")
    apart = abs(row.at - other.at)
    if apart <= timedelta(minutes=5):
        speaks(20, "within five minutes")
    elif apart <= timedelta(days=1):
        speaks(10, "within a day")
    return Suggestion(other, max(0, min(100, score)), tuple(reasons))
