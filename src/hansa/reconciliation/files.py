"""A member's own file, row by row: CSV or Parquet, read as its profile says, or refused by row. Pure.

Nothing is guessed: an amount has exactly the digits of its currency, a time has an offset or the profile a zone.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from hansa.kernel import CURRENCY_EXPONENTS, HansaError, Problem
from hansa.reconciliation.profiles import FileProfile

PROBLEMS_MAX = 20
"""So many problems are told; then reading ends."""

ROWS_MAX = 20_000_000
ID_MAX = 100

_BATCH = 50_000
_MINOR_MAX = 10**17


class BadFile(HansaError):
    """This is not a file as its profile says; nothing of it was kept."""

    code: ClassVar[str] = "reconciliation.bad_file"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a member's file. n: from one. minor: what the member is to receive; below zero what it pays."""

    n: int
    ref: str
    minor: int
    currency: str
    at: datetime


def read_rows(path: Path, profile: FileProfile) -> Iterator[FileRow]:
    """The rows of a file, in their order, some thousands in memory at a time.

    Errors: BadFile, once all rows are read or so many problems are found; each names its row and the remedy.
    """
    problems: list[Problem] = []
    rows = _csv_rows(path, profile) if profile.form == "csv" else _parquet_rows(path, profile)
    reader = _Reader(profile)
    for n, values in enumerate(rows, 1):
        if n > ROWS_MAX:
            raise BadFile(
                "The file is too long.",
                problems=(Problem("file", f"more than {ROWS_MAX:,} rows", "Send it in parts, by day"),),
            )
        read = reader.row(n, values)
        if isinstance(read, FileRow):
            if not problems:
                yield read
            continue
        problems.append(read)
        if len(problems) == PROBLEMS_MAX:
            break
    if problems:
        raise BadFile("Rows of this file cannot be read.", problems=tuple(problems))


class _Reader:
    def __init__(self, profile: FileProfile) -> None:
        self._profile = profile
        self._sign = 1 if profile.above_zero == "received" else -1
        self._tz = ZoneInfo(profile.tz) if profile.tz else None

    def row(self, n: int, values: Sequence[Any]) -> FileRow | Problem:
        columns = self._profile.columns
        ref, amount, currency, time = values
        ref = str(ref if ref is not None else "").strip().lower()
        if not ref or len(ref) > ID_MAX:
            return Problem(
                f"row {n}, {columns.id}", "there is no id of 1 to 100 signs", "Give each row its id"
            )
        unit = str(currency or "").strip()
        if unit not in self._profile.currencies:
            allowed = ", ".join(self._profile.currencies)
            return Problem(
                f"row {n}, {columns.currency}", f"{unit!r} is not {allowed}", "Correct the row or the profile"
            )
        minor = self._minor(amount, unit)
        if minor is None:
            digits = CURRENCY_EXPONENTS[unit]
            told = (
                "whole minor units"
                if self._profile.amounts == "minor"
                else f"an amount with {digits} digits after the point"
            )
            return Problem(
                f"row {n}, {columns.amount}",
                f"{str(amount)[:40]!r} is not {told}",
                f"Write it as {_example(self._profile, digits)}",
            )
        at = self._instant(time)
        if at is None:
            remedy = (
                f"Write it as {self._profile.time_format}"
                if self._profile.time_format
                else "Write it as 2026-11-17T08:00:00+08:00, or give the profile a tz"
            )
            return Problem(f"row {n}, {columns.time}", f"{str(time)[:40]!r} is no instant", remedy)
        return FileRow(n, ref, self._sign * minor, unit, at)

    def _minor(self, amount: Any, unit: str) -> int | None:
        if isinstance(amount, (bool, float)) or amount is None:
            return None
        try:
            value = amount if isinstance(amount, Decimal) else Decimal(str(amount).strip())
        except InvalidOperation:
            return None
        if not value.is_finite():
            return None
        exponent = value.as_tuple().exponent
        digits = 0 if self._profile.amounts == "minor" else CURRENCY_EXPONENTS[unit]
        if exponent != -digits:
            return None
        minor = int(value.scaleb(digits))
        return minor if abs(minor) <= _MINOR_MAX else None

    def _instant(self, time: Any) -> datetime | None:
        try:
            if isinstance(time, datetime):
                at = time
            elif self._profile.time_format:
                at = datetime.strptime(str(time).strip(), self._profile.time_format)  # noqa: DTZ007
            else:
                at = datetime.fromisoformat(str(time).strip())
            if at.tzinfo is None:
                if self._tz is None:
                    return None
                at = at.replace(tzinfo=self._tz)
            return at.astimezone(UTC)
        except (ValueError, OverflowError):
            return None


def _example(profile: FileProfile, digits: int) -> str:
    return "1250" if profile.amounts == "minor" or not digits else f"12.{'5'.ljust(digits, '0')}"


def _csv_rows(path: Path, profile: FileProfile) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=profile.delimiter, strict=True)
            header = next(reader, [])
            places = _places(header, profile)
            width = len(header)
            for n, row in enumerate(reader, 1):
                if not row:
                    continue
                if len(row) != width:
                    raise BadFile(
                        "A row does not fit the header.",
                        problems=(
                            Problem(
                                f"row {n}",
                                f"{len(row)} fields, the header has {width}",
                                "Quote fields that hold the delimiter",
                            ),
                        ),
                    )
                yield [row[place] for place in places]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFile(
            "The file is no CSV in UTF-8.",
            problems=(Problem("file", str(error), "Write it as RFC 4180 has it, in UTF-8"),),
        ) from error


def _parquet_rows(path: Path, profile: FileProfile) -> Iterator[list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise BadFile(
            "The file is no Parquet.",
            problems=(Problem("file", str(error)[:200], "Write it as Parquet, or say csv in the profile"),),
        ) from error
    columns = profile.columns
    names = [columns.id, columns.amount, columns.currency, columns.time]
    _places(list(file.schema_arrow.names), profile)
    for batch in file.iter_batches(batch_size=_BATCH, columns=names):
        table: Mapping[str, list[Any]] = batch.to_pydict()
        yield from map(list, zip(*(table[name] for name in names), strict=True))


def _places(header: Sequence[str], profile: FileProfile) -> list[int]:
    """Where the profile's columns are. Errors: BadFile, which names those that are not there or there twice."""
    columns = profile.columns
    problems: list[Problem] = []
    for field in ("id", "amount", "currency", "time"):
        name = getattr(columns, field)
        if header.count(name) != 1:
            told = "not there" if name not in header else "there more than once"
            names = ", ".join(header)[:200]
            problems.append(
                Problem(
                    f"column {name!r}",
                    f"{told}; the file has {names}",
                    f"Name the {field} in the profile's columns",
                )
            )
    if problems:
        raise BadFile("The file's columns are not the profile's.", problems=tuple(problems))
    return [header.index(getattr(columns, field)) for field in ("id", "amount", "currency", "time")]
