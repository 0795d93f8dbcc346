"""What blocks did to accounts, put in order for the database: sums and places by account, or runs by bucket. Pure.

An engine knows from deciding what the journal's rows would have to be asked for. A fold gives each account that the
blocks touched its sums and one row with its places. Where very many accounts were touched, each a time or two, a run
is cheaper: one row for each bucket, a 4,096th part of all accounts, until a fold is worth its cost.
Source of the bytes: PostgreSQL documentation, COPY, "Binary Format", and its ``array_recv``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

import numpy as np
import numpy.typing as npt

from hansa.ledger.accounts import Slots, Sums

BUCKETS = 4_096
"""An account's bucket is the last twelve bits of its id, in SQL ``ledger.bucket_of``."""

PLACE_BITS = 16
"""A place as one number: block * 65,536 + position."""

Ids = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Sides:
    """What a block did to accounts in memory: the slots of its debit and credit accounts, and the sums after each."""

    debits: Slots
    credits: Slots
    sums: Sums


@dataclass(frozen=True, slots=True)
class Folding:
    """The accounts that some blocks touched, in the order of their ids.

    ids: their ids. sums: four each, after the last block. entries: rows of COPY, each account's places.
    """

    ids: Ids
    sums: Sums
    entries: bytes


def folding(partition: int, blocks: Sequence[tuple[int, Sides]], ids: Ids) -> Folding:
    """What a fold of these blocks writes. blocks: (number, sides), in order. ids: of every slot."""
    sides, places = _sides_of(blocks)
    sums = np.concatenate([block.sums for _, block in blocks]).reshape(len(sides), 4)
    order = np.argsort(sides, kind="stable")  # by account, and each account's in the order of their places
    by_account = sides[order]
    starts = np.flatnonzero(np.concatenate(([True], by_account[1:] != by_account[:-1])))
    lengths = np.diff(np.append(starts, len(sides)))
    named = ids[by_account[starts]]
    by_id = _in_order(named)
    starts, lengths, named = starts[by_id], lengths[by_id], named[by_id]
    within = np.arange(len(sides)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    listed = places[order[np.repeat(starts, lengths) + within]]
    last = order[starts + lengths - 1]
    firsts = places[order[starts]]
    return Folding(named, sums[last], _entry_rows(partition, named, firsts, lengths, within, listed))


def run_rows(partition: int, number: int, blocks: Sequence[tuple[int, Sides]], ids: Ids) -> bytes:
    """The rows of ``ledger.run_places`` that say where in these blocks which accounts are. number: the last block."""
    sides, places = _sides_of(blocks)
    named = ids[sides]
    tail = named.view(np.uint8).reshape(len(named), 16)[:, 14:].astype(np.int16)
    buckets = (tail[:, 0] & 15) << 8 | tail[:, 1]
    order = np.argsort(buckets, kind="stable")
    sorted_buckets = buckets[order]
    starts = np.flatnonzero(np.concatenate(([True], sorted_buckets[1:] != sorted_buckets[:-1])))
    ends = np.append(starts[1:], len(sides))
    id_elements = np.empty(len(sides), _ID_ELEMENT)
    id_elements["size"], id_elements["id"] = 16, named[order]
    place_elements = np.empty(len(sides), _PLACE_ELEMENT)
    place_elements["size"], place_elements["place"] = 8, places[order]
    id_bytes, place_bytes = id_elements.tobytes(), place_elements.tobytes()
    rows: list[bytes] = []
    for bucket, start, end in zip(
        sorted_buckets[starts].tolist(), starts.tolist(), ends.tolist(), strict=True
    ):
        count = end - start
        rows += (
            _RUN_HEAD.pack(5, 2, partition, 2, bucket, 8, number),
            _ARRAY_HEAD.pack(20 + 20 * count, 1, 0, _UUID, count, 1),
            id_bytes[20 * start : 20 * end],
            _ARRAY_HEAD.pack(20 + 12 * count, 1, 0, _INT8, count, 1),
            place_bytes[12 * start : 12 * end],
        )
    return b"".join(rows)


def bigint_array(values: npt.NDArray[np.int64]) -> bytes:
    """The values as a parameter of type bigint[]."""
    elements = np.empty(len(values), _PLACE_ELEMENT)
    elements["size"], elements["place"] = 8, values
    return _ARRAY.pack(1, 0, _INT8, len(values), 1) + elements.tobytes()


def uuid_array(ids: Ids) -> bytes:
    """The ids as a parameter of type uuid[]."""
    elements = np.empty(len(ids), _ID_ELEMENT)
    elements["size"], elements["id"] = 16, ids
    return _ARRAY.pack(1, 0, _UUID, len(ids), 1) + elements.tobytes()


_UUID, _INT8 = 2950, 20  # their numbers in pg_type
_RUN_HEAD = Struct(">hihihiq")
_ARRAY_HEAD = Struct(">iiiIii")
_ARRAY = Struct(">iiIii")
_ID_ELEMENT = np.dtype([("size", ">i4"), ("id", "V16")])
_PLACE_ELEMENT = np.dtype([("size", ">i4"), ("place", ">i8")])
_ENTRY_HEAD = np.dtype(
    [
        ("columns", ">i2"),
        *(("partition_size", ">i4"), ("partition", ">i2")),
        *(("id_size", ">i4"), ("id", "V16")),
        *(("first_size", ">i4"), ("first", ">i8")),
        ("places_size", ">i4"),
        *(("dimensions", ">i4"), ("nulls", ">i4"), ("type", ">i4"), ("length", ">i4"), ("lower", ">i4")),
    ]
)
_HEAD_WORDS, _ELEMENT_WORDS = _ENTRY_HEAD.itemsize // 4, _PLACE_ELEMENT.itemsize // 4
assert _ENTRY_HEAD.itemsize == 4 * _HEAD_WORDS, "a row's head is whole words, so rows are laid out by words"


def _sides_of(blocks: Sequence[tuple[int, Sides]]) -> tuple[Slots, npt.NDArray[np.int64]]:
    """The slots of both sides of all transfers, in order, and the place of each."""
    total = 2 * sum(len(block.debits) for _, block in blocks)
    sides, places = np.empty(total, np.int64), np.empty(total, np.int64)
    at = 0
    for number, block in blocks:
        end = at + 2 * len(block.debits)
        sides[at:end:2], sides[at + 1 : end : 2] = block.debits, block.credits
        places[at:end] = (number << PLACE_BITS) + np.repeat(np.arange(len(block.debits)), 2)
        at = end
    return sides, places


def _in_order(ids: Ids) -> npt.NDArray[np.int64]:
    """What sorts ids as the database does."""
    halves = ids.view(">u8").reshape(len(ids), 2)
    return np.lexsort((halves[:, 1], halves[:, 0]))


def _entry_rows(
    partition: int,
    ids: Ids,
    firsts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    within: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
) -> bytes:
    """Rows of ``ledger.entries``. within: of each place, its number in its account's list."""
    heads = np.zeros(len(ids), _ENTRY_HEAD)
    heads["columns"] = 4
    heads["partition_size"], heads["partition"] = 2, partition
    heads["id_size"], heads["id"] = 16, ids
    heads["first_size"], heads["first"] = 8, firsts
    heads["places_size"] = 20 + 12 * lengths
    heads["dimensions"], heads["type"], heads["length"], heads["lower"] = 1, _INT8, lengths, 1
    sizes = _HEAD_WORDS + _ELEMENT_WORDS * lengths
    starts = np.cumsum(sizes) - sizes
    words = np.empty(int(sizes.sum()), ">u4")
    words[starts[:, None] + np.arange(_HEAD_WORDS)] = heads.view(">u4").reshape(len(ids), _HEAD_WORDS)
    elements = np.empty(len(places), _PLACE_ELEMENT)
    elements["size"], elements["place"] = 8, places
    at = np.repeat(starts + _HEAD_WORDS, lengths) + _ELEMENT_WORDS * within
    words[at[:, None] + np.arange(_ELEMENT_WORDS)] = elements.view(">u4").reshape(len(places), _ELEMENT_WORDS)
    return words.tobytes()
