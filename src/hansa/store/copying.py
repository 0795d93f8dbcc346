"""Rows as the bytes that PostgreSQL's COPY takes in with least work, whole columns at a time. Pure.

A row is a head of columns of fixed size, filled as NumPy arrays, and a tail of pieces: texts, and whatever may be null.
Source: PostgreSQL documentation, COPY, "Binary Format".
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from struct import pack
from typing import Any

import numpy as np
import numpy.typing as npt

POSTGRES_EPOCH_US = 946_684_800_000_000
"""Microseconds from 1970 to the year 2000, from which PostgreSQL counts."""

HEADER, TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
NULL = pack(">i", -1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_POSTGRES_DAY = date(2000, 1, 1)


def head_of(columns: Sequence[tuple[str, str | np.dtype[Any]]], pieces: int) -> tuple[np.dtype[Any], bytes]:
    """The form of a row's columns of fixed size, each behind its length, and a row of lengths alone.

    columns: (name, NumPy form). pieces: how many columns follow in the tail.
    """
    fields: list[tuple[str, Any]] = [("columns", ">i2")]
    for name, form in columns:
        fields += [(f"{name}_size", ">i4"), (name, form)]
    form = np.dtype(fields)
    row = np.zeros(1, form)
    row["columns"] = len(columns) + pieces
    for name, one in columns:
        row[f"{name}_size"] = np.dtype(one).itemsize
    return form, row.tobytes()


def heads(form: np.dtype[Any], row: bytes, count: int) -> npt.NDArray[Any]:
    """So many rows of lengths, to be filled."""
    return np.frombuffer(row * count, form).copy()


def texts(*values: str | None) -> bytes:
    """Columns of text as COPY takes them."""
    parts: list[bytes] = []
    for text in values:
        if text is None:
            parts.append(NULL)
        else:
            encoded = text.encode()
            parts += [pack(">i", len(encoded)), encoded]
    return b"".join(parts)


def uuid_pieces(ids: npt.NDArray[Any]) -> list[bytes]:
    """Columns of uuid that may be null elsewhere."""
    pieces = np.empty(len(ids), [("size", ">i4"), ("id", "V16")])
    pieces["size"], pieces["id"] = 16, ids
    found: list[bytes] = pieces.view("V20").ravel().tolist()
    return found


def rows_of(rows: npt.NDArray[Any], *tails: Sequence[bytes]) -> bytes:
    """Heads with their tails, between COPY's header and trailer. tails: of each row, piece by piece."""
    own: list[bytes] = rows.view(f"V{rows.dtype.itemsize}").ravel().tolist()
    joined = b"".join
    return joined((HEADER, *map(joined, zip(own, *tails, strict=True)), TRAILER))


def array_text(numbers: Sequence[int]) -> str:
    """An array of numbers as PostgreSQL reads it from text."""
    return "{" + ",".join(map(str, numbers)) + "}"


def uuid_array_text(joined: bytes) -> str:
    """An array of uuids, given one after another, as PostgreSQL reads it from text."""
    digits = joined.hex()
    return "{" + ",".join([digits[at : at + 32] for at in range(0, len(digits), 32)]) + "}"


def text_array_text(values: Sequence[str | None]) -> str:
    """An array of texts as PostgreSQL reads it from text; each is quoted, so none is taken for anything else."""
    return "{" + ",".join(["NULL" if one is None else _quoted(one) for one in values]) + "}"


def _quoted(text: str) -> str:
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def us_of(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - _EPOCH) // _US


def instant_of(us: int) -> datetime:
    """The instant of these microseconds since 1970."""
    return _EPOCH + us * _US


def postgres_day(day: date) -> int:
    """Days since 2000, as PostgreSQL counts."""
    return (day - _POSTGRES_DAY).days
