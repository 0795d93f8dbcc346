"""A request sent again gets the first answer, and its work is done once."""

import threading
from datetime import timedelta

import pytest

from hansa.store import (
    Context,
    IdempotencyConflict,
    forget_answers,
    idempotent,
    remember,
    request_digest,
)
from scratch import NOON

BODY = request_digest("POST", "/v1/payments", b'{"minor": 250}')
OTHER_BODY = request_digest("POST", "/v1/payments", b'{"minor": 999}')


def _pay(
    ctx: Context, key: str, digest: bytes = BODY, *, scope: str = "", done: list[str] | None = None
) -> str:
    with ctx.tx() as tx:
        answer = idempotent(tx, key, digest, scope=scope)
        if answer is None:
            if done is not None:
                done.append(key)
            answer = {"payment": f"{scope}/{key}"}
            remember(tx, key, answer, scope=scope)
        return str(answer["payment"])


def test_sending_again_gives_the_first_answer_and_does_nothing(ctx: Context) -> None:
    done: list[str] = []

    answers = [_pay(ctx, "k1", done=done) for _ in range(3)]

    assert answers == ["/k1"] * 3
    assert done == ["k1"]


def test_the_same_key_with_another_body_is_refused(ctx: Context) -> None:
    _pay(ctx, "k1")

    with pytest.raises(IdempotencyConflict) as refused:
        _pay(ctx, "k1", OTHER_BODY)

    assert (refused.value.code, refused.value.status) == ("store.idempotency_conflict", 409)
    assert _pay(ctx, "k1") == "/k1"


def test_two_callers_may_use_the_same_key(ctx: Context) -> None:
    assert _pay(ctx, "k1", scope="beijing") == "beijing/k1"
    assert _pay(ctx, "k1", OTHER_BODY, scope="london") == "london/k1"


def test_work_that_failed_leaves_the_key_free(ctx: Context) -> None:
    with pytest.raises(ZeroDivisionError), ctx.tx() as tx:  # noqa: PT012 - the error ends the transaction
        assert idempotent(tx, "k1", BODY) is None
        raise ZeroDivisionError

    assert _pay(ctx, "k1", OTHER_BODY) == "/k1"


def test_sent_many_times_at_once_the_work_is_done_once(committed_ctx: Context) -> None:
    done: list[str] = []
    answers: list[str] = []
    start = threading.Barrier(8)

    def send() -> None:
        start.wait()
        answers.append(_pay(committed_ctx, "k1", done=done))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert done == ["k1"]
    assert answers == ["/k1"] * 8


def test_old_answers_can_be_forgotten(ctx: Context) -> None:
    _pay(ctx, "k1")

    with ctx.tx() as tx:
        kept = forget_answers(tx, asked_before=NOON - timedelta(days=36500))
        gone = forget_answers(tx, asked_before=NOON + timedelta(days=36500))

    assert (kept, gone) == (0, 1)


def test_where_one_part_of_a_request_ends_matters() -> None:
    assert request_digest("ab", "c") != request_digest("a", "bc")
