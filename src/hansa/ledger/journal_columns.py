"""The journal read by the column: millions of transfers as NumPy arrays, and sums by code for single accounts.

What a report of a whole league reads would take minutes one object at a time. Rows come as PostgreSQL's binary COPY
sends them, each of one size, and are taken as they lie. Source: PostgreSQL documentation, COPY, "Binary Format".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.ledger.model import AccountId
from hansa.ledger.store import last_place, list_blocks
from hansa.store import Tx

CHUNK = 100_000
"""Transfers that are read at a time, unless one block alone has more."""

_BLOCKS = 1_000
_HEADER = 19
"""Bytes before the first row: a signature of 11, flags and the length of an extension that nobody uses."""

_COLUMNS: tuple[tuple[str, str], ...] = (
    ("place", ">i8"),
    ("transfer_id", "S16"),
    ("debit", "S16"),
    ("credit", "S16"),
    ("amount", ">i8"),
    ("code", ">i2"),
    ("event_us", ">i8"),
    ("booked_us", ">i8"),
    ("reference", "S16"),
)

ROW = np.dtype(
    [
        ("columns", ">i2"),
        *(field for name, form in _COLUMNS for field in ((f"{name}_size", ">i4"), (name, form))),
    ]
)
"""A row as COPY sends it: each column behind its length."""

Journal = npt.NDArray[Any]
"""Rows of ``ROW``. place: block * 65,536 + position. ids: 16 bytes, whose zeros at the end NumPy leaves out when one is
looked at alone. amount: moved, in minor units. event_us, booked_us: microseconds since 2000 UTC. reference: zeros where
there is none."""

READ = """
copy (
    select block << 16 | position, transfer_id, debit_account, credit_account, amount::bigint, code,
        event_at, booked_at, coalesce(reference, '00000000-0000-0000-0000-000000000000'::uuid)
    from ledger.transfers
    where partition = %(partition)s and block > %(after)s and block <= %(to)s and flags & 10 = 0 and amount > 0
    order by block, position
) to stdout (format binary)
"""

SUMS = """
with places as (
    select a.account_id, u.place
    from unnest(%(accounts)s::uuid[]) as a (account_id)
        cross join lateral (
            (select places from ledger.entries e
                where e.partition = %(partition)s and e.account_id = a.account_id and e.first <= %(after)s
                order by e.first desc limit 1)
            union all
            select places from ledger.entries e
                where e.partition = %(partition)s and e.account_id = a.account_id
                    and e.first > %(after)s and e.first <= %(to)s
        ) e
        cross join lateral unnest(e.places) as u (place)
    where u.place > %(after)s and u.place <= %(to)s
    union all
    select account_id, place from ledger.tail_places(%(partition)s::smallint, %(accounts)s)
    where place > %(after)s and place <= %(to)s
)
select p.account_id, t.code, count(*),
    sum(case when t.credit_account = p.account_id then t.amount else - t.amount end)
from places p
    join ledger.transfers t on t.partition = %(partition)s
        and t.block = p.place >> 16 and t.position = (p.place & 65535)::integer
where t.flags & 10 = 0 and t.amount > 0
group by p.account_id, t.code
order by p.account_id, t.code
"""


@dataclass(frozen=True, slots=True)
class CodeSum:
    """What was moved on an account under one code. credit_minor: credits less debits."""

    account_id: AccountId
    code: int
    count: int
    credit_minor: int


def read_columns(
    tx: Tx, *, after_block: int, to_block: int, partition: int = 0, chunk: int = CHUNK
) -> Iterator[Journal]:
    """All transfers that moved money after one block and up to another, in order, some at a time.

    Holds, and what releases them, are left out; what posts a hold moves its amount. chunk: how many transfers come
    together, give or take a block. Memory is that of some chunks, however many there are.
    """
    # The planner takes a stretch of blocks for a whole table and sorts it; the index of places has it in order.
    tx.execute("set local enable_seqscan = off")
    try:
        for first, last in _stretches(tx, partition, after_block, to_block, chunk):
            values = {"partition": partition, "after": first, "to": last}
            with tx.cursor() as cursor, cursor.copy(READ, values) as copied:
                data = b"".join(copied)
            yield np.frombuffer(data, ROW, (len(data) - _HEADER - 2) // ROW.itemsize, _HEADER)
    finally:
        if not tx.closed and not tx.broken:
            tx.execute("set local enable_seqscan = on")


def sums_by_code(
    tx: Tx, account_ids: Sequence[AccountId], *, after_block: int, to_block: int, partition: int = 0
) -> list[CodeSum]:
    """What was moved on these accounts of a partition after one block and up to another, by account and code."""
    values = {
        "partition": partition,
        "accounts": list(account_ids),
        "after": last_place(after_block),
        "to": last_place(to_block),
    }
    return [
        CodeSum(AccountId(account_id), code, count, int(credit))
        for account_id, code, count, credit in tx.execute(SUMS, values)
    ]


def _stretches(
    tx: Tx, partition: int, after_block: int, to_block: int, chunk: int
) -> Iterator[tuple[int, int]]:
    """Blocks in a row that hold about so many transfers: after the one, up to the other."""
    first, last, held = after_block, after_block, 0
    while last < to_block:
        blocks = list_blocks(tx, partition, after=last, limit=_BLOCKS)
        for block in blocks:
            if block.number > to_block:
                break
            if held and held + block.transfers > chunk:
                yield first, last
                first, held = last, 0
            last, held = block.number, held + block.transfers
        if len(blocks) < _BLOCKS or blocks[-1].number > to_block:
            break
    if held:
        yield first, last
