"""The worker does what waits, and goes on after the database was away."""

import inspect
from collections import Counter
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from threading import Event

import pytest

from hansa import apps, ledger
from hansa.apps import worker
from hansa.apps.rooms import ROOMS_WITH_TABLES
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
        assert enough.wait(timeout=120)
    seen = len(turns)

    assert len(turns) == seen >= 3


def test_a_job_that_fails_stops_no_other(committed_ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    turns: Counter[str] = Counter()
    enough = Event()

    def broken(_: Context) -> int:
        turns["broken"] += 1
        raise ZeroDivisionError

    def refused(_: Context) -> int:
        turns["refused"] += 1
        raise ledger.UnknownAccount("nobody")

    def sound(_: Context) -> int:
        turns["sound"] += 1
        if turns["sound"] == 20:
            enough.set()
        return 0

    jobs = (("broken", broken), ("refused", refused), ("sound", sound))

    def stumble() -> None:
        broken(committed_ctx)

    with Worker(committed_ctx, pause_s=0.001, before=[stumble], jobs=jobs):
        assert enough.wait(timeout=120)

    assert turns["refused"] < turns["sound"]  # what fails is left alone for a while
    assert turns["broken"] < 2 * turns["sound"]
    assert "nobody" in caplog.text
    assert "failed at broken" in caplog.text


def test_one_turn_does_all_that_can_be_done_and_then_tells_what_failed(
    committed_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []

    def broken(_: Context) -> int:
        raise ZeroDivisionError

    def sound(_: Context) -> int:
        did.append("job")
        return 1

    monkeypatch.setattr(worker, "JOBS", (("broken", broken), ("sound", sound)))
    monkeypatch.setattr(worker, "SWEEPS", (("sweep", sound),))

    with pytest.raises(ZeroDivisionError):
        work_once(committed_ctx)

    assert did == ["job", "job"]


def test_each_room_that_has_a_turn_has_a_job() -> None:
    """Whatever a room says must happen by itself is done by the worker, or by what a process keeps beside it."""
    code = inspect.getsource(worker) + "".join(
        (Path(apps.__file__).parent / name).read_text("utf-8")
        for name in ("personal_means.py", "notices.py", "bank/people_rails.py", "audit_commands.py")
    )
    wanted = {
        f"{room}.{name}"
        for room in ROOMS_WITH_TABLES
        for name in ("turn", "finish", "forget", "forget_quotes", "seal", "rewrap", "expire_pending")
        if callable(getattr(import_module(f"hansa.{room}"), name, None))
    }

    assert {one for one in wanted if one not in code} <= {
        "approval.turn",  # by advancing.turn, which also goes on with what was approved
        "webhooks.turn",  # by the courier
        "webhooks.forget",
    }


def test_a_worker_outlives_a_fault(committed_ctx: Context) -> None:
    turns: list[int] = []
    enough = Event()

    def stumble() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise ZeroDivisionError
        enough.set()

    with Worker(committed_ctx, pause_s=0.01, before=[stumble]):
        assert enough.wait(timeout=120)
