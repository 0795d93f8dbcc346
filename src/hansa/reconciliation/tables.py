"""Proofs, what has no partner, and a day's story as rows of CSV."""

from collections.abc import Iterable, Sequence

from hansa.kernel import Money
from hansa.reconciliation.model import Proof
from hansa.reconciliation.rules import Row
from hansa.reconciliation.timeline import Event
from hansa.reports.tables import Row as CsvRow

STEP_COLUMNS: tuple[tuple[str, type], ...] = (
    ("day", str),
    ("proof", int),
    ("step", str),
    ("holds_that", str),
    ("verdict", str),
    ("counted", int),
    ("waiting", int),
    ("unexplained", int),
    ("currency", str),
    ("sum_minor", int),
)
FINDING_COLUMNS: tuple[tuple[str, type], ...] = (
    ("day", str),
    ("proof", int),
    ("step", str),
    ("ref", str),
    ("words", str),
    ("currency", str),
    ("amount_minor", str),
)
ROW_COLUMNS: tuple[tuple[str, type], ...] = (
    ("side", str),
    ("row", int),
    ("id", str),
    ("currency", str),
    ("amount_minor", int),
    ("amount", str),
    ("at", str),
)
EVENT_COLUMNS: tuple[tuple[str, type], ...] = (
    ("at", str),
    ("lane", str),
    ("what", str),
    ("ref", str),
    ("by", str),
    ("trouble", str),
)


def step_rows(proof: Proof) -> list[CsvRow]:
    """A row for each step and currency; of a step without amounts one without currency."""
    return [
        (
            *(proof.day.isoformat(), proof.number, step.name.value, step.question, step.verdict.value),
            *(step.counted, step.waiting, step.unexplained, currency, minor),
        )
        for step in proof.steps
        for currency, minor in (step.sums or {"": 0}).items()
    ]


def finding_rows(proof: Proof) -> list[CsvRow]:
    """A row for each thing that is not explained, as far as they are kept by name."""
    return [
        (
            *(proof.day.isoformat(), proof.number, step.name.value, one.ref, one.words),
            *(one.currency, "" if one.minor is None else str(one.minor)),
        )
        for step in proof.steps
        for one in step.findings
    ]


def row_rows(side: str, rows: Sequence[Row]) -> list[CsvRow]:
    """A row for each row of a side without a partner."""
    name = "ours" if side == "o" else "theirs"
    return [
        (
            *(name, one.key, one.ref, one.currency, one.minor),
            *(Money(one.minor, one.currency).decimal(), one.at.isoformat()),
        )
        for one in rows
    ]


def event_rows(events: Iterable[Event]) -> list[CsvRow]:
    """A row for each event."""
    return [
        (one.at.isoformat(), one.lane, one.words, one.ref, one.by, "yes" if one.wrong else "")
        for one in events
    ]
