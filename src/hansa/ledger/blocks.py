"""Blocks: a commit's transfers as bytes, and the hash that chains them to the block before. Pure.

The bytes of a transfer are its row in PostgreSQL's binary COPY format, columns in the order of ``COLUMNS``: what is
hashed is byte for byte what is written. Source: PostgreSQL documentation, COPY, "Binary Format".
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from struct import Struct
from typing import LiteralString

from hansa.ledger.decide import Row

COLUMNS: LiteralString = (
    "partition, block, position, transfer_id, debit_account, credit_account, amount, currency, code, flags,"
    " timeout_s, event_at, booked_at, debit_debits_posted, debit_credits_posted, credit_debits_posted,"
    " credit_credits_posted, pending_id, reference, debit_debits_pending, debit_credits_pending,"
    " credit_debits_pending, credit_credits_pending, memo"
)
_COLUMN_COUNT = 24
_NULL = -1

GENESIS_HASH = bytes(32)
"""What the first block of a partition names as the hash before it."""

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_PLACE = Struct(">h ih iq")
_BLOCK = Struct(">hqqi")


def pack_rows(rows: Sequence[Row], *, partition: int, block: int, booked_at: datetime) -> bytes:
    """The rows of one block, in order from position 0."""
    place = _PLACE.pack(_COLUMN_COUNT, 2, partition, 8, block)
    booked = microseconds(booked_at)
    packed: list[bytes] = []
    for position, (transfer, ddp, dd, dcp, dc, cdp, cd, ccp, cc) in enumerate(rows):
        memo = transfer.memo.encode()
        nullable: list[int | bytes] = []
        if transfer.pending_id is None:
            nullable.append(_NULL)
        else:
            nullable += (16, transfer.pending_id.bytes)
        if transfer.reference is None:
            nullable.append(_NULL)
        else:
            nullable += (16, transfer.reference.bytes)
        held = bool(ddp or dcp or cdp or ccp)
        if held:
            nullable += (8, ddp, 8, dcp, 8, cdp, 8, ccp)
        else:
            nullable += (_NULL, _NULL, _NULL, _NULL)
        shape = _shape(transfer.pending_id is not None, transfer.reference is not None, held)
        packed += (
            place,
            shape.pack(
                *(
                    4,
                    position,
                    16,
                    transfer.transfer_id.bytes,
                    16,
                    transfer.debit.bytes,
                    16,
                    transfer.credit.bytes,
                ),
                *(8, transfer.amount, 3, transfer.currency.encode(), 2, transfer.code, 2, transfer.flags),
                *(4, transfer.timeout_s, 8, microseconds(transfer.event_at), 8, booked),
                *(8, dd, 8, dc, 8, cd, 8, cc),
                *nullable,
                len(memo),
            ),
            memo,
        )
    return b"".join(packed)


def block_hash(
    previous: bytes, *, partition: int, number: int, booked_at: datetime, count: int, rows: bytes
) -> bytes:
    """SHA-256 over the previous hash, the block's own header and all its rows."""
    digest = hashlib.sha256(previous)
    digest.update(_BLOCK.pack(partition, number, microseconds(booked_at), count))
    digest.update(rows)
    return digest.digest()


def microseconds(instant: datetime) -> int:
    """Whole microseconds since 2000-01-01 UTC, as PostgreSQL keeps an instant."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@cache
def _shape(has_pending_id: bool, has_reference: bool, has_held: bool) -> Struct:
    fixed = "ii i16s i16s i16s iq i3s ih ih ii iq iq iq iq iq iq"
    pending_id = "i16s" if has_pending_id else "i"
    reference = "i16s" if has_reference else "i"
    held = "iq iq iq iq" if has_held else "iiii"
    return Struct(f">{fixed} {pending_id} {reference} {held} i")
