"""kill -9 while members pay: what was answered is in the books, nothing is there twice, and all of it ends."""

import os
import signal
import sys
import time
from datetime import timedelta
from uuid import UUID

import pytest

from hansa import hub, ledger
from hansa.kernel import FixedClock
from hansa.store import Context, open_context
from hub.paying import MEMBERS, NOW, asks, check_books, feed, open_hub, shows
from ledger.engines import run_python

PAYING = "from hub.test_hub_killed import keep_paying; keep_paying(*sys.argv[1:])"
ROUNDS = 3


def keep_paying(url: str, first: str) -> None:
    """What the process that is killed runs: batches of payments, and a line for each answer that a member had."""
    with open_context(url, clock=FixedClock(NOW)) as ctx, ledger.Engine(ctx):
        n = int(first)
        while True:
            some = [asks(MEMBERS[(n + k) % 4], MEMBERS[(n + k + 1) % 4], 3, n=n + k) for k in range(20)]
            n += 20
            reserved = [one for one in hub.prepare(ctx, some) if isinstance(one, hub.Payment)]
            tell("RESERVED", [one.payment_id for one in reserved if one.state == "RESERVED"])
            shown = [shows(one.asked) for one in reserved[::2]]
            tell("COMMITTED", [one.payment_id for one in committed(hub.fulfil(ctx, shown))])
            stops = [hub.Abort(one.payment_id) for one in reserved[1::4]]
            tell("ABORTED", [one.payment_id for one in committed(hub.abort(ctx, stops))])


def committed(answers: list[hub.Answer]) -> list[hub.Payment]:
    """Those that are payments."""
    return [one for one in answers if isinstance(one, hub.Payment)]


def tell(state: str, payment_ids: list[UUID]) -> None:
    for payment_id in payment_ids:
        sys.stdout.write(f"{state} {payment_id}\n")
    sys.stdout.flush()


@pytest.mark.parametrize("after_s", [0.15])
def test_what_was_answered_before_a_kill_is_in_the_books(committed_ctx: Context, after_s: float) -> None:
    ctx = committed_ctx
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 10_000))
    told: dict[UUID, str] = {}

    for n in range(ROUNDS):
        process = run_python(PAYING, ctx.url, str(n * 10_000))
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(30)]  # it pays
        time.sleep(after_s * (n + 1))  # any instant will do
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        for line in lines:
            if line.endswith("\n"):
                state, _, payment_id = line.strip().partition(" ")
                told[UUID(payment_id)] = state

    hub.finish(ctx)
    with ctx.tx() as tx:
        kept = {one.payment_id: one for one in hub.find_payments(tx, told)}
    assert set(kept) == set(told)
    for payment_id, state in told.items():
        now = kept[payment_id].state
        assert now == state or state == "RESERVED", (now, state)
    check_books(ctx)
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = NOW + timedelta(minutes=2)
    while hub.expire(ctx):
        pass
    with ctx.tx() as tx:
        everyone = hub.list_liquidity(tx)
        left = tx.execute("select count(*) from hub.open_payments").fetchone()
        sums = tx.execute(
            "select payer_id, sum(amount_minor) from hub.payments p join hub.steps s using (partition, payment_id)"
            " where s.state = 'COMMITTED' group by 1"
        ).fetchall()
    assert left == (0,)
    assert all(one.reserved_minor == 0 for one in everyone)
    assert sum(minor for _, minor in sums) > 0
    for member in MEMBERS:
        feed(ctx, member)  # numbered without a gap
    check_books(ctx)
