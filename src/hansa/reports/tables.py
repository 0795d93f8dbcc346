"""A statement as rows: CSV for a spreadsheet, Parquet for a warehouse. Both say the same.

CSV is RFC 4180: comma, CRLF, quotes where needed, a header; UTF-8. Amounts stand twice: whole minor units
(``amount_minor``), and the same as a decimal with the digits of the currency (``amount``).
"""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hansa.kernel import Money, cell_text
from hansa.reports.model import CurrencyStatement, Section, Statement

Row = tuple[str | int, ...]

COLUMNS: tuple[tuple[str, type], ...] = (
    ("statement", str),
    ("window_id", str),
    ("day", str),
    ("member_id", str),
    ("currency", str),
    ("section", str),
    ("counterparty_id", str),
    ("issuer_id", str),
    ("operator_id", str),
    ("product", str),
    ("kind", str),
    ("reference", str),
    ("count", int),
    ("amount_minor", int),
    ("amount", str),
)


def statement_rows(statement: Statement) -> list[Row]:
    """A statement's rows, in order: for each currency its opening, the lines, the net, and the closing.

    opening + all lines = closing; items, adjustments and fees together are the net.
    """
    rows: list[Row] = []
    for one in statement.currencies:

        def row(section: str, *words: str | int, of: CurrencyStatement = one) -> Row:
            *texts, count, minor = words
            amount = of.money(int(minor)).decimal()
            day = statement.day.isoformat()
            head = (statement.number, statement.window_id, day, statement.member_id, of.currency, section)
            return (*head, *texts, count, minor, amount)

        none = ("",) * 6
        rows.append(row("opening", *none, 0, one.opening))
        for section in Section:
            rows += [
                row(
                    section.value,
                    line.counterparty_id,
                    line.issuer_id,
                    line.operator_id,
                    line.product,
                    line.kind,
                    line.reference,
                    line.count,
                    line.minor,
                )
                for line in one.of(section)
            ]
        rows.append(row("net", *none, 0, one.net))
        rows.append(row("closing", *none, 0, one.closing))
    return rows


def to_csv(columns: Sequence[tuple[str, type]], rows: Iterable[Row]) -> bytes:
    """Rows as CSV (RFC 4180). A text that a spreadsheet would take for a formula is led by an apostrophe."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows([cell_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue().encode()


def to_parquet(columns: Sequence[tuple[str, type]], rows: Sequence[Row]) -> bytes:
    """The same rows as Parquet: texts, and whole numbers of 64 bits."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds: dict[type, Callable[[], Any]] = {str: pa.string, int: pa.int64}
    schema = pa.schema([(name, kinds[kind]()) for name, kind in columns])
    arrays = [
        pa.array([row[place] for row in rows], schema.field(place).type) for place in range(len(columns))
    ]
    made = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), made, compression="zstd")
    return made.getvalue()


def statement_csv(statement: Statement) -> bytes:
    """A statement as CSV."""
    return to_csv(COLUMNS, statement_rows(statement))


def statement_parquet(statement: Statement) -> bytes:
    """A statement as Parquet."""
    return to_parquet(COLUMNS, statement_rows(statement))


def decimal(minor: int, currency: str) -> str:
    """An amount as digits alone, such as ``-12.50``."""
    return Money(minor, currency).decimal()
