"""Many at the limit at once, through an engine and without one: never over it, and nothing that fits is refused."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from hansa import hub, ledger
from hansa.store import Context
from hub.paying import (
    MEMBERS,
    A,
    B,
    asks,
    check_books,
    feed,
    figures,
    open_hub,
    set_cap,
    shows,
    take_out,
    words,
)


@pytest.mark.parametrize("with_engine", [True, False])
def test_threads_at_the_cap_never_pass_it_and_fill_it(committed_ctx: Context, with_engine: bool) -> None:
    ctx = committed_ctx
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 1_000))
    engine = ledger.Engine(ctx) if with_engine else None
    if engine is not None:
        engine.start()
    try:
        with ThreadPoolExecutor(8) as threads:
            batches = [[asks(A, MEMBERS[1 + n % 3], 7) for n in range(20)] for _ in range(16)]
            answers = [one for some in threads.map(partial(hub.prepare, ctx), batches) for one in some]
            reserved = [one for one in answers if isinstance(one, hub.Payment) and one.state == "RESERVED"]

            assert len(reserved) == 1_000 // 7
            assert figures(ctx, A) == (0, 994, 6)
            ends = [one.asked for one in reserved]
            commits = threads.map(partial(hub.fulfil, ctx), [[shows(one)] for one in ends])
            stops = threads.map(partial(hub.abort, ctx), [[hub.Abort(one.payment_id)] for one in ends])
            for fulfilled, aborted in zip(commits, stops, strict=True):
                told = (words(fulfilled)[0], words(aborted)[0])
                assert told in (
                    ("COMMITTED", "hub.payment_committed"),
                    ("hub.payment_aborted", "ABORTED payee"),
                ), told
        position, held, headroom = figures(ctx, A)
        assert (held, position + headroom) == (0, 1_000)
        for member in MEMBERS:
            feed(ctx, member)  # numbered without a gap
    finally:
        if engine is not None:
            engine.stop()
    check_books(ctx)


def test_the_same_payments_from_many_sides_are_one_each(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 1_000))
    some = [asks(A, B, 90, n=n) for n in range(20)]

    with ThreadPoolExecutor(6) as threads:
        answers = list(map(words, threads.map(partial(hub.prepare, ctx), [some] * 6)))

    assert all(answer == answers[0] for answer in answers)
    assert answers[0].count("RESERVED") == 1_000 // 90
    assert figures(ctx, A)[1] == 90 * (1_000 // 90)
    assert feed(ctx, B).count("reserved") == 1_000 // 90
    check_books(ctx)


def test_cap_funds_and_payments_at_once_leave_no_position_without_cover(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 1_000))

    def pay() -> None:
        for _ in range(25):
            some = [asks(A, B, 9) for _ in range(4)]
            hub.prepare(ctx, some)
            hub.fulfil(ctx, [shows(one) for one in some])

    def move() -> int:
        moved = 0
        for n in range(25):
            set_cap(ctx, A, 400 + 20 * n)
            with suppress(hub.CoverNeeded):
                take_out(ctx, A, 30)
                moved += 30
        return moved

    with ThreadPoolExecutor(4) as threads:
        paying = [threads.submit(pay) for _ in range(2)]
        taken = sum(one.result() for one in [threads.submit(move), threads.submit(move)])
        for one in paying:
            one.result()

    hub.finish(ctx)
    with ctx.tx() as tx:
        one = hub.get_liquidity(tx, A, "CNY")
        held = ledger.balance(tx, hub.cover_account(A, "CNY", 0)).debits_pending
    assert held == taken
    assert one.used_minor <= one.cover_minor - held
    check_books(ctx)
