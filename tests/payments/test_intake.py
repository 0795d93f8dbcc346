"""Payments taken in together: each answer goes to who asked, a crowd's share batches, and nobody is left waiting."""

import threading
from collections import Counter
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import pytest

from hansa import payments
from hansa.payments import intake, paying
from hansa.store import Context
from payments.shopping import asks, check_books, held, open_town


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were in each batch, as they are taken in."""
    seen: list[int] = []

    def create(ctx: Context, new: Sequence[payments.NewPayment], **more: Any) -> list[payments.Answer]:
        seen.append(len(new))
        return paying.create(ctx, new, **more)

    monkeypatch.setattr(intake, "create", create)
    return seen


def test_each_of_a_crowd_is_answered_once_with_its_own(committed_ctx: Context, sizes: list[int]) -> None:
    open_town(committed_ctx)
    takes = payments.Intake(committed_ctx)
    counts: Counter[int] = Counter()

    def shop(number: int) -> None:
        for n in range(4):
            answers: SimpleQueue[Any] = SimpleQueue()
            takes.submit(asks(number + 1, n=f"{number}-{n}"), answers.put)
            answer = answers.get(timeout=60)
            assert answers.empty() and answer.amount.minor == number + 1, answer
            counts[number] += 1

    shops = [threading.Thread(target=shop, args=(number,)) for number in range(24)]
    for one in shops:
        one.start()
    for one in shops:
        one.join(120)
    takes.stop()

    assert counts == dict.fromkeys(range(24), 4)
    assert sum(sizes) == 24 * 4 and max(sizes) > intake.CROWD, sizes
    assert held(committed_ctx)[0] == 100_00 - 4 * sum(range(1, 25))
    check_books(committed_ctx)


def test_what_waits_when_it_stops_is_answered_and_then_no_more_is_taken(
    committed_ctx: Context, sizes: list[int]
) -> None:
    open_town(committed_ctx)
    takes = payments.Intake(committed_ctx)
    answers: SimpleQueue[Any] = SimpleQueue()
    for n in range(30):
        takes.submit(asks(1, n=n), answers.put)
    takes.stop()

    assert {answers.get_nowait().reference for _ in range(30)} and answers.empty()
    with pytest.raises(payments.PaymentsBusy):
        takes.submit(asks(1, n=31), answers.put)
    assert sum(sizes) == 30 and answers.empty()
    assert held(committed_ctx)[0] == 100_00 - 30


def test_more_than_may_wait_are_told_to_come_again(
    committed_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_town(committed_ctx)
    goes_on = threading.Event()

    def create(ctx: Context, new: Sequence[payments.NewPayment], **more: Any) -> list[payments.Answer]:
        goes_on.wait(60)
        return paying.create(ctx, new, **more)

    monkeypatch.setattr(intake, "create", create)
    takes = payments.Intake(committed_ctx, waiting_max=2)
    answers: SimpleQueue[Any] = SimpleQueue()
    for n in range(2):
        takes.submit(asks(1, n=n), answers.put)
    with pytest.raises(payments.PaymentsBusy):
        takes.submit(asks(1, n=3), answers.put)
    goes_on.set()
    takes.stop()

    assert answers.qsize() == 2
    assert held(committed_ctx)[0] == 100_00 - 2
