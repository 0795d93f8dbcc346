"""Rows as bytes: both ways give the same, and PostgreSQL reads back what was meant."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.ledger import AMOUNT_MAX, store
from hansa.ledger.batch import records_of
from hansa.ledger.decide import ID_MAX, INSTANT_MAX_US, INSTANT_MIN_US, ZERO, Body
from hansa.ledger.rows import (
    CANON,
    COPY_HEADER,
    COPY_TRAILER,
    FEW,
    Rows,
    canonical_rows,
    copy_rows,
    packed_canonical_rows,
    packed_copy_rows,
    plain_canonical_rows,
    plain_copy_rows,
)
from hansa.store import Context
from hansa.trust import tlog

BOOKED_US = 1_794_916_800_000_000

ids = st.one_of(st.binary(min_size=16, max_size=16), st.just(ID_MAX))
ids_or_none = st.one_of(st.just(ZERO), ids)
SMALL = st.one_of(st.integers(0, 30_000), st.integers(0, 2**63 - 1))
LARGE = st.one_of(st.integers(0, 2**65), st.integers(0, AMOUNT_MAX), st.just(AMOUNT_MAX))
memos = st.one_of(
    st.just(""),
    st.just(""),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200),
)


@dataclass(frozen=True)
class Line:
    """One row: a body, what its hold had held, and the eight sums after it."""

    body: Body
    released: int | None
    sums: tuple[int, ...]


def lines(amounts: st.SearchStrategy[int]) -> st.SearchStrategy[Line]:
    bodies = st.tuples(
        ids,
        ids,
        ids,
        amounts,
        ids_or_none,
        ids_or_none,
        st.one_of(st.integers(INSTANT_MIN_US, INSTANT_MAX_US), st.just(BOOKED_US)),
        st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
        st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
        st.sampled_from([b"CNY", b"HKD"]),
        st.integers(1, 2**15 - 1),
        st.integers(0, 1023),
        memos,
    )
    held = st.one_of(st.just(0), amounts)
    sums = st.tuples(held, amounts, held, amounts, held, amounts, held, amounts)
    return st.builds(line, bodies, amounts, sums)


def line(body: Body, released: int, sums: tuple[int, ...]) -> Line:
    """Only what ends a hold releases something."""
    return Line(body, released if body[4] != ZERO else None, sums)


def block(some: Sequence[Line], *, partition: int = 7, number: int = 9) -> Rows:
    return Rows(
        partition,
        number,
        BOOKED_US,
        [line.body for line in some],
        [line.released for line in some],
        [total for line in some for total in line.sums],
    )


@given(
    st.lists(lines(SMALL), min_size=1, max_size=40),
    st.integers(0, 2**15 - 1),
    st.integers(1, 2**47),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_row_by_row_and_column_by_column_give_the_same_bytes(
    some: list[Line], partition: int, number: int, has_records: bool
) -> None:
    rows = block(some, partition=partition, number=number)
    if has_records:
        rows = replace(rows, records=records_of(rows.bodies, partition))

    assert packed_canonical_rows(rows) == plain_canonical_rows(rows) == canonical_rows(rows)
    assert packed_copy_rows(rows) == plain_copy_rows(rows) == copy_rows(rows)


@given(st.lists(lines(LARGE), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_amounts_beyond_63_bits_are_hashed_by_both_ways_and_copied_by_the_one_that_can(
    some: list[Line],
) -> None:
    rows = block(some)
    largest = max(
        max(line.body[3], line.released or 0, *line.sums)
        if line.released is not None
        else max(line.body[3], *line.sums)
        for line in some
    )

    assert packed_canonical_rows(rows) == plain_canonical_rows(rows)
    assert copy_rows(rows) == plain_copy_rows(rows)
    if largest < 2**63:
        assert packed_copy_rows(rows) == plain_copy_rows(rows)
    else:
        with pytest.raises(OverflowError):
            packed_copy_rows(rows)


@pytest.mark.parametrize("count", [1, FEW - 1, FEW, FEW + 1, 3 * FEW])
def test_which_way_is_taken_depends_on_the_count_and_changes_nothing(count: int) -> None:
    body: Body = (b"t" * 16, b"d" * 16, b"c" * 16, 5, ZERO, ZERO, BOOKED_US, 0, 0, b"CNY", 1, 0, "")
    rows = block([Line(body, None, (0, 5, 0, 0, 0, 0, 0, 5))] * count)

    assert canonical_rows(rows) == plain_canonical_rows(rows)
    assert copy_rows(rows) == plain_copy_rows(rows)


@given(st.lists(lines(LARGE), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_what_is_hashed_says_every_field_in_its_place(some: list[Line]) -> None:
    for position, (line, row) in enumerate(zip(some, canonical_rows(block(some)), strict=True)):
        read = tlog.decode_row(row)
        body = line.body

        assert len(row) == CANON.size + len(body[12].encode()) == 141 + len(body[12].encode())
        assert (read.partition, read.block, read.position) == (7, 9, position)
        assert (read.transfer_id.bytes, read.debit_account.bytes, read.credit_account.bytes) == body[:3]
        assert read.amount == body[3]
        assert (read.pending_id.bytes if read.pending_id else ZERO) == body[4]
        assert (read.reference.bytes if read.reference else ZERO) == body[5]
        assert (read.tag, read.timeout_s, read.currency.encode()) == (body[7], body[8], body[9])
        assert (read.code, read.flags, read.memo) == body[10:]


@given(
    st.one_of(
        st.lists(lines(SMALL), min_size=1, max_size=60), st.lists(lines(LARGE), min_size=1, max_size=30)
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_reads_back_what_was_copied(ctx: Context, some: list[Line]) -> None:
    unlike = {
        line.body[0]: line for line in some if line.body[1] != line.body[2]
    }  # the table holds an id once
    some = list(unlike.values())
    if not some:
        return
    rows = block(some)

    with ctx.tx() as tx:
        savepoint = tx.transaction(force_rollback=True)
        with savepoint:
            with tx.cursor().copy(store.COPY_TRANSFERS) as copy:
                copy.write(COPY_HEADER + copy_rows(rows) + COPY_TRAILER)
            found = list(store.read_journal(tx, 7, 9))

    assert [(row.block, row.position, row.booked_us) for row in found] == [
        (9, position, BOOKED_US) for position in range(len(some))
    ]
    assert [row.body for row in found] == [line.body for line in some]
    assert [row.released for row in found] == [line.released for line in some]
    assert [row.sums for row in found] == [line.sums for line in some]
