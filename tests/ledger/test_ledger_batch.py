"""Batches on their way between processes: whole, or refused with the field that is wrong."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.kernel import InvalidInput
from hansa.ledger import AMOUNT_MAX, AccountId, Transfer, TransferFlag, TransferId
from hansa.ledger.batch import (
    RECORD,
    Batch,
    batch_of,
    instant_of,
    microseconds,
    read_batch,
    records_of,
    transfer_of,
    write_batch,
)
from hansa.ledger.decide import ID_MAX, INSTANT_MAX_US, INSTANT_MIN_US
from ledger.books import MORNING, a_transfer

ids = st.uuids()
transfers = st.builds(
    Transfer,
    ids.map(TransferId),
    ids.map(AccountId),
    ids.map(AccountId),
    st.one_of(st.integers(0, 1000), st.integers(0, AMOUNT_MAX)),
    st.sampled_from(["CNY", "HKD", ""]),
    st.integers(0, 2**15 - 1),
    st.datetimes(timezones=st.just(UTC)),
    flags=st.integers(0, 1023).map(TransferFlag),
    pending_id=st.one_of(st.none(), ids.map(TransferId)),
    timeout_s=st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
    reference=st.one_of(st.none(), ids),
    memo=st.one_of(
        st.just(""),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200),
    ),
    tag=st.one_of(st.just(0), st.integers(0, 2**32 - 1)),
)


@given(st.lists(transfers, max_size=40), st.integers(0, 2**15 - 1))
@settings(max_examples=150, deadline=None)
def test_a_batch_written_and_read_is_the_same_batch(some: list[Transfer], partition: int) -> None:
    batch = batch_of(some)

    data = write_batch(batch, partition=partition)
    again = read_batch(data, count_max=40)

    assert not batch.refused and not again.refused
    assert again.bodies == batch.bodies
    assert again.records is not None
    assert again.records.tobytes() == records_of(batch.bodies, partition).tobytes()
    assert write_batch(again) == data, "what was read is written as it came"
    assert read_batch(memoryview(data), count_max=40).bodies == batch.bodies
    assert len(data) == 8 + 128 * len(some) + sum(len(one.memo.encode()) for one in some)


@given(st.lists(transfers, max_size=10))
@settings(max_examples=150, deadline=None)
def test_a_transfer_made_a_body_and_back_is_the_same_transfer(some: list[Transfer]) -> None:
    assert [transfer_of(body, 0) for body in batch_of(some).bodies] == some


@given(st.integers(INSTANT_MIN_US, INSTANT_MAX_US))
@settings(max_examples=300, deadline=None)
def test_an_instant_and_its_microseconds_are_one(us: int) -> None:
    instant = instant_of(us)

    assert microseconds(instant) == us
    assert (
        microseconds(instant.astimezone(timezone(timedelta(hours=2))) if us < 2**57 and us > 0 else instant)
        == us
    )


def test_the_first_and_the_last_instant_are_those_that_can_be_read_back() -> None:
    assert instant_of(INSTANT_MIN_US) == datetime.min.replace(tzinfo=UTC)
    assert instant_of(INSTANT_MAX_US) == datetime.max.replace(tzinfo=UTC)
    for outside in (
        datetime.min.replace(tzinfo=timezone(timedelta(microseconds=1))),
        datetime.max.replace(tzinfo=timezone(-timedelta(microseconds=1))),
        MORNING.replace(tzinfo=None),
    ):
        with pytest.raises(ValueError, match="instant"):
            microseconds(outside)


def test_the_form_of_a_record_is_fixed_for_ever() -> None:
    """A change here would make two processes of two versions misread each other."""
    batch = batch_of(
        [
            replace(
                a_transfer(
                    "top-up", "bank", "ann", 2**64 + 5, "pending 60s", memo="北京", tag=7, reference="ride"
                ),
                transfer_id=TransferId(UUID(int=1)),
                debit=AccountId(UUID(int=2)),
                credit=AccountId(UUID(int=3)),
                pending_id=TransferId(UUID(int=4)),
                reference=UUID(int=5),
            )
        ]
    )

    numbers = [f"{number:032x}" for number in (1, 2, 3)]
    amount, hold, reference = f"{2**64 + 5:032x}", f"{4:032x}", f"{5:032x}"
    event_us = f"{int(MORNING.timestamp()) * 1_000_000:016x}"
    rest = "000000070000003c" + b"CNY".hex() + "00000c00020006000900000000"
    assert write_batch(batch, partition=9).hex() == (
        b"HTB1".hex()
        + "00000001"
        + "".join(numbers)
        + amount
        + hold
        + reference
        + event_us
        + rest
        + "北京".encode().hex()
    )


# --- malformed

GOOD = write_batch(
    batch_of([a_transfer("a", "bank", "ann", 1, memo="ab"), a_transfer("b", "bank", "ann", 2, memo="北")])
)


def changed(**fields: Any) -> bytes:
    """The good batch with fields of its second record changed."""
    records = np.frombuffer(GOOD, RECORD, 2, 8).copy()
    for name, value in fields.items():
        records[1][name] = value
    return GOOD[:8] + records.tobytes() + GOOD[8 + 256 :]


def memo_of(text: bytes) -> bytes:
    """The good batch with another memo on its second record."""
    return changed(memo_bytes=len(text))[:-3] + text


# what is sent | the field that is named
MALFORMED: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "batch"),
    ("less than a header", GOOD[:7], "batch"),
    ("another magic", b"HTB2" + GOOD[4:], "batch"),
    ("one record too few", GOOD[: 8 + 128], "batch"),
    ("a count too large", GOOD[:4] + (3).to_bytes(4, "big") + GOOD[8:], "batch"),
    ("a count of billions", GOOD[:4] + b"\xff" * 4 + GOOD[8:], "batch"),
    ("a count too small", GOOD[:4] + (1).to_bytes(4, "big") + GOOD[8:], "memo_bytes"),
    ("a byte too many", GOOD + b"x", "memo_bytes"),
    ("a byte too few", GOOD[:-1], "memo_bytes"),
    ("a reserved byte", changed(reserved=np.void(b"x")), "reserved"),
    ("a spare byte", changed(spare=np.void(b"\0\0\0x")), "reserved"),
    ("a code too large", changed(code=2**15), "code"),
    ("an instant too late", changed(event_us=INSTANT_MAX_US + 1), "event_us"),
    ("an instant too early", changed(event_us=INSTANT_MIN_US - 1), "event_us"),
    ("a memo of broken text", memo_of(b"\xff\xfe"), "memo"),
    ("a memo cut within a sign", changed(memo_bytes=2)[: 8 + 256] + "北ab".encode()[:4], "memo"),
    ("a memo with a NUL", memo_of(b"a\0b"), "memo"),
    ("a memo too long", memo_of(b"x" * 201), "memo"),
]


@pytest.mark.parametrize(
    ("data", "field"), [(data, field) for _, data, field in MALFORMED], ids=[m[0] for m in MALFORMED]
)
def test_a_malformed_batch_is_refused_with_the_field_and_the_remedy(data: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_batch(data, count_max=2)

    (problem,) = refused.value.problems
    assert problem.where == field
    assert problem.remedy


def test_a_batch_is_read_up_to_the_count_that_is_allowed_and_not_beyond() -> None:
    assert len(read_batch(GOOD, count_max=2)) == 2
    with pytest.raises(InvalidInput):
        read_batch(GOOD, count_max=1)
    assert len(read_batch(write_batch(Batch([])), count_max=0)) == 0


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_whatever_bytes_come_they_are_a_batch_or_refused(noise: bytes) -> None:
    for data in (noise, b"HTB1" + noise, GOOD[:8] + noise.ljust(256 + 5, b"\0")[: 256 + 5]):
        try:
            batch = read_batch(data, count_max=2)
        except InvalidInput:
            continue
        assert write_batch(batch) == data


@pytest.mark.parametrize(
    "record",
    [
        ID_MAX * 8,
        bytes(128),
    ],
)
def test_records_of_one_byte_only_are_told_and_never_raise(record: bytes) -> None:
    data = GOOD[:8] + record + GOOD[8 + 128 :]

    try:
        bodies: Sequence[object] = read_batch(data, count_max=2).bodies
    except InvalidInput:
        bodies = []

    assert len(bodies) in (0, 2)
