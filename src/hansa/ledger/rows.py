"""Rows of the journal as bytes: the form that is hashed, and the form that PostgreSQL takes in with least work. Pure.

Two ways lead to the same bytes. ``plain_*`` packs row by row, reads like the format, and is quickest for a few rows;
``packed_*`` fills whole columns of NumPy arrays, and is twenty times quicker for thousands. The tests hold them equal.
Source: PostgreSQL documentation, COPY, "Binary Format"; ``numeric_recv`` for numeric: base-10,000 digits.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from struct import Struct, pack
from typing import Any, LiteralString

import numpy as np
import numpy.typing as npt

from hansa.ledger.batch import RECORD, Records, records_of
from hansa.ledger.decide import ZERO, Body

COLUMNS: LiteralString = (
    "partition, block, position, transfer_id, debit_account, credit_account, amount, currency, code, flags,"
    " event_at, booked_at, timeout_s, tag, pending_id, released, reference, debit_debits_posted,"
    " debit_credits_posted, credit_debits_posted, credit_credits_posted, debit_debits_pending,"
    " debit_credits_pending, credit_debits_pending, credit_credits_pending, memo"
)
_COLUMN_COUNT = 26

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

FEW = 40
"""Up to so many rows, row by row is the quicker way."""

_NUMERICS = [Struct(f">ihhhh{groups}h") for groups in range(11)]
_POSTGRES_EPOCH_US = 946_684_800_000_000
_NULL = -1
_NULL_BYTES, _UUID_SIZE = pack(">i", _NULL), pack(">i", 16)

CANON = Struct(">HQI16s16s16s16s16s16sII3sHHqq")
"""What is hashed of a transfer, before its memo: partition, block, position, transfer_id, debit, credit, amount,
pending_id, reference, tag, timeout_s, currency, code, flags, event_at, booked_at (docs/tamper-evidence.md)."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one block, in order from position 0, as the decider gave them.

    sums: eight for each row, in the order of ``Decision.sums``, one after another or as an array of rows of eight.
    released: of each row; empty where no row ended a hold. records: the bodies as an array, where there is one.
    """

    partition: int
    block: int
    booked_us: int
    bodies: Sequence[Body]
    released: Sequence[int | None]
    sums: Sequence[int] | npt.NDArray[np.int64]
    records: Records | None = None

    def __len__(self) -> int:
        return len(self.bodies)


def canonical_rows(rows: Rows) -> list[bytes]:
    """The bytes of each row that are hashed: `CANON`, then the memo."""
    return plain_canonical_rows(rows) if len(rows) <= FEW else packed_canonical_rows(rows)


def salted_rows(rows: Rows, salts: bytes) -> list[bytes]:
    """The same, each behind its salt of 16 bytes."""
    if len(rows) > FEW:
        return packed_canonical_rows(rows, salts)
    plain = plain_canonical_rows(rows)
    return [salts[at : at + 16] + row for at, row in zip(range(0, len(salts), 16), plain, strict=True)]


def body_of(canon: bytes) -> tuple[tuple[int, int, int, int], Body]:
    """What canonical bytes say: (partition, block, position, booked_at in microseconds), and the body."""
    partition, block, position, transfer_id, debit, credit, amount, *rest = CANON.unpack_from(canon)
    pending_id, reference, tag, timeout_s, currency, code, flags, event_us, booked_us = rest
    body: Body = (
        transfer_id,
        debit,
        credit,
        int.from_bytes(amount, "big"),
        pending_id,
        reference,
        event_us,
        tag,
        timeout_s,
        currency,
        code,
        flags,
        canon[CANON.size :].decode(),
    )
    return (partition, block, position, booked_us), body


def copy_rows(rows: Rows) -> bytes:
    """The rows in PostgreSQL's binary COPY format, columns in the order of ``COLUMNS``, without header and trailer."""
    if len(rows) <= FEW:
        return plain_copy_rows(rows)
    try:
        return packed_copy_rows(rows)
    except OverflowError:  # a sum beyond 63 bits
        return plain_copy_rows(rows)


# --- row by row


def plain_canonical_rows(rows: Rows) -> list[bytes]:
    return [
        CANON.pack(
            rows.partition,
            rows.block,
            position,
            body[0],
            body[1],
            body[2],
            body[3].to_bytes(16, "big"),
            *(body[4], body[5], body[7], body[8], body[9], body[10], body[11], body[6], rows.booked_us),
        )
        + body[12].encode()
        for position, body in enumerate(rows.bodies)
    ]


_ROW_IDS, _ROW_KIND = Struct(">iii16si16si16s"), Struct(">i3sihihiq")
_FOUR_NULLS = 4 * _NULL_BYTES


def plain_copy_rows(rows: Rows) -> bytes:
    packed: list[bytes] = []
    sums = rows.sums if isinstance(rows.sums, Sequence) else rows.sums.ravel().tolist()
    given = rows.released or [None] * len(rows)
    groups = _groups(max(*sums, *(body[3] for body in rows.bodies), *(held or 0 for held in given)))
    place = pack(">hihiq", _COLUMN_COUNT, 2, rows.partition, 8, rows.block)
    booked = pack(">iq", 8, rows.booked_us - _POSTGRES_EPOCH_US)
    for position, (body, released) in enumerate(zip(rows.bodies, given, strict=True)):
        ddp, dd, dcp, dc, cdp, cd, ccp, cc = sums[position * 8 : position * 8 + 8]
        held = bool(ddp or dcp or cdp or ccp)
        memo = body[12].encode()
        packed += (
            place,
            _ROW_IDS.pack(4, position, 16, body[0], 16, body[1], 16, body[2]),
            _numeric(body[3], groups),
            _ROW_KIND.pack(3, body[9], 2, body[10], 2, body[11], 8, body[6] - _POSTGRES_EPOCH_US),
            booked,
            _bigint_or_null(body[8]),
            _bigint_or_null(body[7]),
            _uuid_or_null(body[4]),
            _numeric_or_null(released, groups),
            _uuid_or_null(body[5]),
            _numeric(dd, groups),
            _numeric(dc, groups),
            _numeric(cd, groups),
            _numeric(cc, groups),
            b"".join(_numeric(total, groups) for total in (ddp, dcp, cdp, ccp)) if held else _FOUR_NULLS,
            len(memo).to_bytes(4, "big"),
            memo,
        )
    return b"".join(packed)


def _bigint_or_null(value: int) -> bytes:
    return pack(">iq", 8, value) if value else _NULL_BYTES


def _uuid_or_null(number: bytes) -> bytes:
    return _NULL_BYTES if number == ZERO else _UUID_SIZE + number


def _numeric_or_null(value: int | None, groups: int) -> bytes:
    return _NULL_BYTES if value is None else _numeric(value, groups)


def _numeric(value: int, groups: int) -> bytes:
    """A whole number as numeric: count of base-10,000 digits, weight of the first, sign, scale, and the digits.

    groups: how many digits; PostgreSQL drops those that lead and are zero.
    """
    layout = _NUMERICS[groups]
    if groups == 2:
        return layout.pack(12, 2, 1, 0, 0, value // 10_000, value % 10_000)
    if groups == 3:
        return layout.pack(14, 3, 2, 0, 0, value // 100_000_000, value // 10_000 % 10_000, value % 10_000)
    digits: list[int] = []
    for _ in range(groups):
        value, digit = divmod(value, 10_000)
        digits.append(digit)
    return layout.pack(8 + 2 * groups, groups, groups - 1, 0, 0, *reversed(digits))


def _groups(most: int) -> int:
    """How many base-10,000 digits the largest number of a block takes; all its numbers are given so many."""
    return max(1, (len(str(most)) + 3) // 4)


# --- column by column


def packed_canonical_rows(rows: Rows, before: bytes = b"") -> list[bytes]:
    """before: 16 bytes for each row, to stand before it; or nothing."""
    records = _records(rows)
    whole = np.empty(len(rows), _SALTED_DTYPE if before else _UNSALTED_DTYPE)
    if before:
        whole["before"] = np.frombuffer(before, "V16")
    canon = whole["canon"]
    canon["partition"] = rows.partition
    canon["block"] = rows.block
    canon["position"] = np.arange(len(rows))
    for name in _SAME_IN_BOTH:
        canon[name] = records[name]
    canon["booked_us"] = rows.booked_us
    found: list[bytes] = whole.view(f"V{whole.dtype.itemsize}").tolist()
    if records["memo_bytes"].any():
        return [row + body[12].encode() for row, body in zip(found, rows.bodies, strict=True)]
    return found


def packed_copy_rows(rows: Rows) -> bytes:
    """Errors: OverflowError when a sum does not fit 63 bits; ``plain_copy_rows`` takes those."""
    records = _records(rows)
    count = len(rows)
    sums = sums_array(rows.sums)
    if records["amount_high"].any() or int(records["amount_low"].max()) >= 2**63:
        raise OverflowError
    amounts = records["amount_low"].astype(np.int64)
    words = records.view(np.uint64).reshape(count, RECORD.itemsize // 8)
    resolves = (words[:, 8] | words[:, 9]) != 0  # pending_id
    refers = (words[:, 10] | words[:, 11]) != 0  # reference
    released = amounts
    most = max(int(sums.max()), int(amounts.max()))
    if resolves.any():
        released = np.fromiter((value or 0 for value in rows.released), np.int64, count)
        most = max(most, int(released.max()))
    groups = _groups(most)
    held = sums[:, _PENDING_SUMS].any(axis=1)
    shapes = resolves * _RESOLVES + refers * _REFERS + held * _HELD
    shapes += (records["timeout_s"] != 0) * _TIMED + (records["tag"] != 0) * _TAGGED
    memos = records["memo_bytes"].any()
    found: list[bytes] = [b""] * count
    for shape in np.unique(shapes).tolist():
        chosen = np.flatnonzero(shapes == shape)
        whole = len(chosen) == count
        block = _fill(
            _shape(shape, groups),
            rows,
            chosen,
            records if whole else records[chosen],
            amounts if whole else amounts[chosen],
            sums if whole else sums[chosen],
            released if whole else released[chosen],
            groups,
        )
        if whole and not memos:
            return block.tobytes()
        size = block.dtype.itemsize
        for index, row in zip(chosen.tolist(), block.view(f"V{size}").tolist(), strict=True):
            found[index] = row
    if memos:
        found = [row + body[12].encode() for row, body in zip(found, rows.bodies, strict=True)]
    return b"".join(found)


def sums_array(sums: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sums as rows of eight. Errors: OverflowError when one does not fit 63 bits."""
    if isinstance(sums, np.ndarray):
        return sums
    return np.frombuffer(array("q", sums), np.int64).reshape(len(sums) // 8, 8)


def _records(rows: Rows) -> Records:
    return rows.records if rows.records is not None else records_of(rows.bodies, rows.partition)


_CANON_DTYPE = np.dtype(
    [
        ("partition", ">u2"),
        ("block", ">u8"),
        ("position", ">u4"),
        ("transfer_id", "V16"),
        ("debit", "V16"),
        ("credit", "V16"),
        ("amount_high", ">u8"),
        ("amount_low", ">u8"),
        ("pending_id", "V16"),
        ("reference", "V16"),
        ("tag", ">u4"),
        ("timeout_s", ">u4"),
        ("currency", "S3"),
        ("code", ">u2"),
        ("flags", ">u2"),
        ("event_us", ">i8"),
        ("booked_us", ">i8"),
    ]
)
_SALTED_DTYPE = np.dtype([("before", "V16"), ("canon", _CANON_DTYPE)])
_UNSALTED_DTYPE = np.dtype([("canon", _CANON_DTYPE)])
_SAME_IN_BOTH = (
    *("transfer_id", "debit", "credit", "amount_high", "amount_low", "pending_id", "reference", "tag"),
    *("timeout_s", "currency", "code", "flags", "event_us"),
)
assert _CANON_DTYPE.itemsize == CANON.size, "both ways pack the same bytes"

_POSTED_SUMS = {"dd": 1, "dc": 3, "cd": 5, "cc": 7}
_PENDING_BY_NAME = {"ddp": 0, "dcp": 2, "cdp": 4, "ccp": 6}
_PENDING_SUMS = list(_PENDING_BY_NAME.values())
_RESOLVES, _REFERS, _HELD, _TIMED, _TAGGED = 1, 2, 4, 8, 16


@cache
def _shape(shape: int, groups: int) -> npt.NDArray[Any]:
    """One row of this shape with all that never changes filled in: counts, lengths, weights, nulls.

    shape: which of the columns that may be null are not. groups: digits of every numeric.
    """
    fields: list[tuple[str, str]] = [("columns", ">i2")]
    constants: dict[str, int] = {"columns": _COLUMN_COUNT}

    def column(name: str, kind: str, size: int) -> None:
        fields.extend(((f"{name}_size", ">i4"), (name, kind)))
        constants[f"{name}_size"] = size

    def null(name: str) -> None:
        fields.append((f"{name}_size", ">i4"))
        constants[f"{name}_size"] = _NULL

    def numeric(name: str) -> None:
        fields.append((f"{name}_size", ">i4"))
        fields.extend((f"{name}_{part}", ">i2") for part in ("count", "weight", "sign", "scale"))
        fields.extend((f"{name}_{digit}", ">i2") for digit in range(groups))
        constants.update(
            {f"{name}_size": 8 + 2 * groups, f"{name}_count": groups, f"{name}_weight": groups - 1}
        )

    column("partition", ">i2", 2)
    column("block", ">i8", 8)
    column("position", ">i4", 4)
    for name in ("transfer_id", "debit", "credit"):
        column(name, "V16", 16)
    numeric("amount")
    column("currency", "S3", 3)
    column("code", ">i2", 2)
    column("flags", ">i2", 2)
    for name in ("event_at", "booked_at"):
        column(name, ">i8", 8)
    for name, has in (("timeout_s", _TIMED), ("tag", _TAGGED)):
        if shape & has:
            column(name, ">i8", 8)
        else:
            null(name)
    if shape & _RESOLVES:
        column("pending_id", "V16", 16)
        numeric("released")
    else:
        null("pending_id")
        null("released")
    if shape & _REFERS:
        column("reference", "V16", 16)
    else:
        null("reference")
    for name in _POSTED_SUMS:
        numeric(name)
    for name in _PENDING_BY_NAME:
        (numeric if shape & _HELD else null)(name)
    fields.append(("memo_size", ">i4"))
    row = np.zeros(1, np.dtype(fields))
    for name, value in constants.items():
        row[name] = value
    return row


def _fill(
    template: npt.NDArray[Any],
    rows: Rows,
    positions: npt.NDArray[Any],
    records: Records,
    amounts: npt.NDArray[np.int64],
    sums: npt.NDArray[np.int64],
    released: npt.NDArray[np.int64],
    groups: int,
) -> npt.NDArray[Any]:
    """Rows of one shape, with all that each row has of its own."""
    block = np.repeat(template, len(positions))
    names: tuple[str, ...] = block.dtype.names or ()
    block["partition"] = rows.partition
    block["block"] = rows.block
    block["position"] = positions
    for name in ("transfer_id", "debit", "credit", "currency", "code", "flags"):
        block[name] = records[name]
    for name in ("timeout_s", "tag", "pending_id", "reference"):
        if name in names:
            block[name] = records[name]
    block["event_at"] = records["event_us"] - _POSTGRES_EPOCH_US
    block["booked_at"] = rows.booked_us - _POSTGRES_EPOCH_US
    if "released_count" in names:
        _fill_numeric(block, "released", released, groups)
    _fill_numeric(block, "amount", amounts, groups)
    for name, column in _POSTED_SUMS.items():
        _fill_numeric(block, name, sums[:, column], groups)
    if "ddp_count" in names:
        for name, column in _PENDING_BY_NAME.items():
            _fill_numeric(block, name, sums[:, column], groups)
    block["memo_size"] = records["memo_bytes"]
    return block


def _fill_numeric(block: npt.NDArray[Any], name: str, values: npt.NDArray[np.int64], groups: int) -> None:
    for digit in range(groups - 1, -1, -1):
        values, block[f"{name}_{digit}"] = np.divmod(values, 10_000)
