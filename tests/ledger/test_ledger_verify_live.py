"""Books are proven while they are being written: whoever verifies beside an engine at work never cries wolf."""

import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest

from hansa import ledger
from hansa.kernel import FixedClock
from hansa.ledger import Engine, Pace
from hansa.store import Context
from ledger.engines import BUSY, another_process
from simulator.traffic import Traffic, accounts

FOR_S = 2.0
FOLDING_OFTEN = Pace(fold_every_s=0.01, fold_transfers=200)
BIG = 1_100
"""Transfers of a batch so large that its rows go in before its block's turn."""


@contextmanager
def traffic_on(ctx: Context) -> Generator[None]:
    """Batches of every kind of transfer, one after another from a thread, and holds released as their time is up."""
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    stop = threading.Event()

    def post() -> None:
        traffic = Traffic("beside the auditor", big=BIG)
        while not stop.is_set():
            clock.at += timedelta(milliseconds=100)
            ledger.post(ctx, traffic.batch())
            if traffic.number % 10 == 0:
                ledger.expire_pending(ctx, partition=0)

    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(post)
        try:
            yield
        finally:
            stop.set()
            posting.result()


@pytest.mark.slow
@pytest.mark.parametrize("pace", [FOLDING_OFTEN, BUSY], ids=["folding often", "busy"])
def test_verifying_beside_an_engine_that_commits_and_folds_finds_nothing(
    committed_ctx: Context, pace: Pace
) -> None:
    ledger.open_accounts(committed_ctx, accounts())
    under_way = 0
    with another_process(committed_ctx) as auditor, Engine(committed_ctx, pace=pace) as engine:
        with traffic_on(committed_ctx):
            until = time.monotonic() + FOR_S
            while time.monotonic() < until or under_way < 5:
                assert time.monotonic() < until + 120, "the engine should be at work"
                blocks, folds = engine.figures.blocks, engine.figures.folds
                with auditor.tx() as tx:
                    findings = ledger.verify(tx)
                    trial = ledger.trial_balance(tx)

                assert findings == []
                assert trial.is_even
                under_way += engine.figures.blocks > blocks and engine.figures.folds > folds

        with auditor.tx() as tx:
            assert ledger.verify(tx) == []
            number, _ = ledger.block_head(tx, 0)
        assert engine.figures.restarts == 0
        assert number == engine.figures.blocks > under_way
