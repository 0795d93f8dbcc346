"""A rate lets its burst through at once and then one after another, whoever asks and however many at a time."""

import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.store import (
    Context,
    Rate,
    Taking,
    TooOften,
    forget_throttles,
    refuse_too_often,
    throttle,
    throttle_all,
)
from scratch import NOON

S = timedelta(seconds=1)
FIVE = Rate(5, 10 * S)


def test_a_burst_goes_through_and_then_one_at_a_time(ctx: Context) -> None:
    with ctx.tx() as tx:
        first = [throttle(tx, "sign-in/a", FIVE, NOON) for _ in range(6)]
        later = [throttle(tx, "sign-in/a", FIVE, NOON + 2 * S) for _ in range(2)]
        other = throttle(tx, "sign-in/b", FIVE, NOON)

    assert [one.allowed for one in first] == [True] * 5 + [False]
    assert [one.remaining for one in first] == [4, 3, 2, 1, 0, 0]
    assert (first[4].retry_after, first[5].retry_after, first[5].full_after) == (2 * S, 2 * S, 10 * S)
    assert [one.allowed for one in later] == [True, False]
    assert other.remaining == 4


def test_what_costs_more_is_given_whole_or_not_at_all(ctx: Context) -> None:
    with ctx.tx() as tx:
        given = throttle(tx, "export", FIVE, NOON, 3)
        refused = throttle(tx, "export", FIVE, NOON, 3)
        cheap = throttle(tx, "export", FIVE, NOON, 2)

    assert (given.allowed, given.remaining) == (True, 2)
    assert (refused.allowed, refused.remaining, refused.retry_after) == (False, 2, 2 * S)
    assert (cheap.allowed, cheap.remaining, cheap.full_after) == (True, 0, 10 * S)


def test_many_buckets_at_once_each_give_what_they_hold(ctx: Context) -> None:
    asked = [Taking("key/z", FIVE, wanted=7), Taking("key/a", FIVE, wanted=2), Taking("key/m", Rate(1, S))]

    with ctx.tx() as tx:
        answers = throttle_all(tx, asked, NOON)
        again = throttle_all(tx, asked, NOON)

    assert [(one.granted, one.allowed) for one in answers] == [(5, False), (2, True), (1, True)]
    assert [(one.granted, one.allowed) for one in again] == [(0, False), (2, True), (0, False)]


def test_a_clock_put_back_closes_a_bucket_no_longer_than_it_takes_to_fill(ctx: Context) -> None:
    with ctx.tx() as tx:
        throttle_all(tx, [Taking("key", FIVE, wanted=5)], NOON + timedelta(days=400))

        at_once = throttle(tx, "key", FIVE, NOON)
        filled = throttle(tx, "key", FIVE, NOON + 10 * S)

    assert (at_once.allowed, at_once.retry_after) == (False, 2 * S)
    assert (filled.allowed, filled.remaining) == (True, 4)


def test_a_try_counts_though_what_it_was_for_fails(ctx: Context) -> None:
    for _ in range(5):
        refuse_too_often(ctx, "pin/1", FIVE)

    with pytest.raises(TooOften) as refused:
        refuse_too_often(ctx, "pin/1", FIVE)

    assert (refused.value.code, refused.value.status) == ("store.too_often", 429)
    assert refused.value.retry_after == 2 * S


def test_forgetting_full_buckets_changes_nothing_for_anybody(ctx: Context) -> None:
    with ctx.tx() as tx:
        throttle(tx, "full", FIVE, NOON)
        throttle_all(tx, [Taking("empty", FIVE, wanted=5)], NOON)

        forgotten = forget_throttles(tx, NOON + 2 * S)

        assert forgotten == 1
        assert throttle(tx, "full", FIVE, NOON + 2 * S).remaining == 4
        assert throttle(tx, "empty", FIVE, NOON + 2 * S).remaining == 0


def test_names_of_buckets_are_not_kept(ctx: Context) -> None:
    with ctx.tx() as tx:
        throttle(tx, "sign-in/ada@example.org", FIVE, NOON)
        kept = tx.execute("select t::text from store.throttles t").fetchall()

    assert len(kept) == 1
    assert b"ada@example.org".hex() not in str(kept)


def test_who_asks_at_the_same_moment_gets_no_more_than_there_is(committed_ctx: Context) -> None:
    given: list[int] = []

    def ask() -> None:
        for _ in range(5):
            with committed_ctx.tx() as tx:
                answers = throttle_all(
                    tx, [Taking(f"key/{at}", Rate(20, S), wanted=3) for at in range(4)], NOON
                )
            given.extend(answer.granted for answer in answers)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(given) == 4 * 20


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    burst=st.integers(1, 6),
    per_ms=st.integers(1, 5_000),
    asks=st.lists(st.tuples(st.integers(-2_000, 4_000), st.integers(1, 4), st.integers(1, 6)), max_size=8),
)
def test_it_is_the_algorithm_of_the_standard(
    ctx: Context, burst: int, per_ms: int, asks: list[tuple[int, int, int]]
) -> None:
    """Against virtual scheduling written out for one taking after another, with a clock that may go back."""
    rate = Rate(burst, timedelta(milliseconds=per_ms))
    at_us, free_us = 0, -10_000_000_000

    with ctx.tx() as tx:
        tx.execute("delete from store.throttles")
        for step_ms, wanted, cost in asks:
            at_us += step_ms * 1_000
            cost = min(cost, burst)
            expected = 0
            free_us = max(at_us, min(free_us, at_us + rate.full_us))
            for _ in range(wanted):
                if free_us + cost * rate.each_us > at_us + rate.full_us:
                    break
                free_us += cost * rate.each_us
                expected += 1

            at = NOON + timedelta(microseconds=at_us)
            answer = throttle_all(tx, [Taking("one", rate, wanted, cost)], at)[0]

            assert answer.granted == expected
            assert answer.full_after == timedelta(microseconds=free_us - at_us)
            assert (answer.retry_after == timedelta()) == (
                free_us + cost * rate.each_us <= at_us + rate.full_us
            )
