"""The worker does what waits, and goes on after the database was away."""

from datetime import timedelta
from threading import Event

from hansa import ledger
from hansa.apps.worker import Worker, finish_what_was_left, work_once
from hansa.kernel import FixedClock, fact_id
from hansa.store import Context


def account(name: str) -> ledger.AccountId:
    return ledger.AccountId(fact_id(None, "worker test", name))


def hold(ctx: Context, *, timeout_s: int) -> None:
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=account(name), currency="EUR", code=ledger.AccountCode.CASH, holder=name
            )
            for name in ("from", "to")
        ],
    )
    transfer = ledger.Transfer(
        transfer_id=ledger.TransferId(fact_id(ctx.clock.now(), "held")),
        debit=account("from"),
        credit=account("to"),
        amount=500,
        currency="EUR",
        code=ledger.TransferCode.PAYMENT,
        event_at=ctx.clock.now(),
        flags=ledger.TransferFlag.PENDING,
        timeout_s=timeout_s,
    )
    assert ledger.post(ctx, [transfer])[0].ok


def test_nothing_waits_in_empty_books(ctx: Context) -> None:
    finish_what_was_left(ctx)

    assert work_once(ctx) == 0


def test_a_hold_whose_time_is_up_is_released_once(committed_ctx: Context) -> None:
    hold(committed_ctx, timeout_s=60)

    assert work_once(committed_ctx) == 0
    assert isinstance(committed_ctx.clock, FixedClock)
    committed_ctx.clock.at += timedelta(seconds=61)

    assert work_once(committed_ctx) == 1
    assert work_once(committed_ctx) == 0
    with committed_ctx.tx() as tx:
        assert ledger.balance(tx, account("to")) == ledger.Balance()


def test_a_worker_begins_and_stops(committed_ctx: Context) -> None:
    turns: list[int] = []
    enough = Event()

    def count() -> None:
        turns.append(1)
        if len(turns) == 3:
            enough.set()

    with Worker(committed_ctx, pause_s=0.01, before=[count]):
        assert enough.wait(timeout=30)
    seen = len(turns)

    assert len(turns) == seen >= 3


def test_a_worker_outlives_a_fault(committed_ctx: Context) -> None:
    turns: list[int] = []
    enough = Event()

    def stumble() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise ZeroDivisionError
        enough.set()

    with Worker(committed_ctx, pause_s=0.01, before=[stumble]):
        assert enough.wait(timeout=30)
