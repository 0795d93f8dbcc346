"""An id made twice of the same fact is the same; ids made in order sort in order."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from hansa.kernel import BUCKETS, Directory, bucket_of, fact_id, fact_ids, hex_id, new_id

EARLIEST = datetime(1970, 1, 2)  # noqa: DTZ001 - hypothesis adds the zone
LATEST = datetime(2200, 1, 1)  # noqa: DTZ001
instants = st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))
parts = st.lists(st.one_of(st.text(max_size=8), st.integers()), max_size=4)

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)


@given(instants, parts)
def test_the_same_fact_has_the_same_id_whoever_works_it_out(at: datetime, parts: list[object]) -> None:
    in_beijing = at.astimezone(timezone(timedelta(hours=8)))

    assert fact_id(at, *parts) == fact_id(in_beijing, *parts)
    assert fact_ids(at, *parts, last=(1, "two")) == [fact_id(at, *parts, 1), fact_id(at, *parts, "two")]


@given(instants, parts, instants, parts)
def test_other_facts_have_other_ids(
    at: datetime, some: list[object], then: datetime, other: list[object]
) -> None:
    same = at == then and [str(part) for part in some] == [str(part) for part in other]

    assert (fact_id(at, *some) == fact_id(then, *other)) == same


def test_where_one_part_ends_matters() -> None:
    assert fact_id(NOON, "gate-1", 11) != fact_id(NOON, "gate-11", 1)
    assert fact_id(NOON, "ab") != fact_id(NOON, "a", "b")
    assert fact_id(None) != fact_id(None, "")


@given(instants, instants)
def test_ids_of_facts_sort_by_when_they_happened(one: datetime, other: datetime) -> None:
    early, late = sorted((one, other))

    if late - early >= timedelta(milliseconds=1):
        assert fact_id(early, "x") < fact_id(late, "x")


@given(st.one_of(st.none(), instants), parts)
def test_a_fact_id_is_a_uuid_of_version_8(at: datetime | None, parts: list[object]) -> None:
    made = fact_id(at, *parts)

    assert (made.version, made.variant) == (8, RFC_4122)


def test_fresh_ids_are_uuids_of_version_7_that_carry_the_time() -> None:
    before = datetime.now(UTC)

    made = [new_id() for _ in range(1000)]

    assert len(set(made)) == 1000
    assert {(one.version, one.variant) for one in made} == {(7, RFC_4122)}
    told = datetime.fromtimestamp((made[0].int >> 80) / 1000, UTC)
    assert timedelta(milliseconds=-1) <= told - before < timedelta(minutes=1)


def _many() -> list[UUID]:
    return [new_id() for _ in range(2_000)]


def test_no_two_fresh_ids_are_one_over_threads_and_forks() -> None:
    with ThreadPoolExecutor(4) as pool:
        making = [pool.submit(_many) for _ in range(4)]
    made = [one for many in making for one in many.result()]
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests may be about
        child = os.fork()
    if child == 0:  # says what its next ids would be, and ends without a word to pytest
        os.write(writes, b"".join(new_id().bytes[6:] for _ in range(100)))
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as told:
        of_child = told.read()
    assert os.waitpid(child, 0)[1] == 0
    tails = [one.bytes[6:] for one in (*made, *(new_id() for _ in range(100)))]
    tails += [of_child[at : at + 10] for at in range(0, len(of_child), 10)]
    assert len(tails) == len(set(tails)) == 4 * 2_000 + 100 + 100


def test_an_id_as_read_aloud() -> None:
    assert hex_id(UUID("01234567-89ab-7cde-8f01-23456789abcd")) == "6789abcd"


@given(st.uuids())
def test_every_holder_has_one_bucket_and_one_partition(holder: UUID) -> None:
    spread = Directory(version=2, partitions=tuple(bucket % 16 for bucket in range(BUCKETS)))

    assert 0 <= bucket_of(holder) < BUCKETS
    assert Directory().partition_of(holder) == 0
    assert spread.partition_of(holder) == bucket_of(holder) % 16


def test_buckets_never_move() -> None:
    """They say where rows are found, so these figures hold for ever: sha256sum of the sixteen bytes."""
    table = {
        "00000000-0000-0000-0000-000000000000": 0x374,
        "01890000-0000-7000-8000-000000000001": 0xE8B,
        "ffffffff-ffff-ffff-ffff-ffffffffffff": 0x5AC,
    }

    assert {holder: bucket_of(UUID(holder)) for holder in table} == table


def test_holders_spread_evenly() -> None:
    filled = [0] * 16
    for _ in range(16_000):
        filled[bucket_of(new_id()) % 16] += 1

    assert max(filled) < 1.25 * min(filled)
