"""Idempotency keys: one answer for one key, whoever asks, however often, and after any crash."""

import threading
from datetime import timedelta

import pytest

from hansa import store
from hansa.store import Claim, Context, Differs, InFlight, New, Replay
from hansa.store.keys import LEASE
from scratch import NOON

ONE = Claim("alice /v1/x", "k1", store.request_digest(b"one"))
OTHER = Claim("alice /v1/x", "k1", store.request_digest(b"other"))
ANSWER = Replay(201, "application/json", b'{"n":1}')


def _claim(ctx: Context, *claims: Claim, after: timedelta = timedelta(0)) -> list[store.Claimed]:
    with ctx.tx() as tx:
        return store.claim(tx, claims, NOON + after)


def _settle(ctx: Context, claim: Claim, answer: Replay = ANSWER) -> Replay:
    with ctx.tx() as tx:
        return store.settle(tx, [(claim, answer)], NOON)[0]


def test_a_key_is_new_then_in_flight_then_answered(ctx: Context) -> None:
    assert isinstance(_claim(ctx, ONE)[0], New)
    assert _claim(ctx, ONE, OTHER) == [InFlight(), Differs()]

    _settle(ctx, ONE)

    assert _claim(ctx, ONE, OTHER) == [ANSWER, Differs()]
    assert isinstance(_claim(ctx, Claim("bob /v1/x", "k1", OTHER.digest))[0], New)


def test_of_one_key_twice_in_a_batch_the_first_is_new(ctx: Context) -> None:
    claimed = _claim(ctx, ONE, ONE, OTHER)

    assert isinstance(claimed[0], New)
    assert claimed[1:] == [InFlight(), Differs()]


def test_a_crash_between_claim_and_answer_frees_the_key_after_its_lease_for_the_same_request(
    ctx: Context,
) -> None:
    _claim(ctx, ONE)
    late = LEASE

    assert _claim(ctx, ONE, after=late - timedelta(seconds=1)) == [InFlight()]
    assert _claim(ctx, OTHER, after=late) == [Differs()]
    assert isinstance(_claim(ctx, ONE, after=late)[0], New)
    assert _claim(ctx, ONE, after=late) == [InFlight()]  # of the new owner


def test_the_answer_that_was_kept_first_counts(ctx: Context) -> None:
    _claim(ctx, ONE)

    assert _settle(ctx, ONE) == ANSWER
    assert _settle(ctx, ONE, Replay(200, "application/json", b"{}")) == ANSWER


def test_a_key_under_which_nothing_was_done_is_free_and_one_let_go_is_the_same_requests(ctx: Context) -> None:
    owner = _claim(ctx, ONE)[0]
    assert isinstance(owner, New)
    with ctx.tx() as tx:
        store.release(tx, [ONE], owner.owner)
    owner = _claim(ctx, OTHER)[0]
    assert isinstance(owner, New)
    with ctx.tx() as tx:
        store.let_go(tx, [OTHER], owner.owner, NOON)

    assert _claim(ctx, ONE) == [Differs()]
    assert isinstance(_claim(ctx, OTHER)[0], New)


def test_an_answer_is_kept_for_thirty_days(ctx: Context) -> None:
    _claim(ctx, ONE)
    _settle(ctx, ONE)

    assert _claim(ctx, ONE, after=timedelta(days=29)) == [ANSWER]
    assert isinstance(_claim(ctx, OTHER, after=timedelta(days=30))[0], New)
    with ctx.tx() as tx:
        assert store.forget_keys(tx, NOON + timedelta(days=30)) == 0
        assert store.forget_keys(tx, NOON + timedelta(days=61)) == 1


def test_what_is_made_under_a_key_has_one_id_for_ever() -> None:
    assert store.made_from("alice /v1/x", "k1") == store.made_from("alice /v1/x", "k1")
    ids = {store.made_from(*one) for one in (("a", "k"), ("ak", ""), ("a", "k", "refund"), ("b", "k"))}
    assert len(ids) == 4


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "ключ", "a\tb"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(store.KeyMissing):
        store.check_key(key)


def test_fifty_at_once_are_one_new_and_the_others_in_flight(committed_ctx: Context) -> None:
    found: list[store.Claimed] = []
    start = threading.Barrier(50)

    def ask() -> None:
        start.wait()
        found.extend(_claim(committed_ctx, ONE))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sum(isinstance(one, New) for one in found) == 1
    assert sum(one == InFlight() for one in found) == 49
