"""Payments between members clear in windows and free liquidity: once each, whoever is killed and in whatever order."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from hansa import clearing, hub, ledger, settlement, trust
from hansa.apps import hub_clearing
from hansa.apps.worker import work_once
from hansa.clearing import NoWindowDue
from hansa.kernel import FixedClock
from hansa.settlement import SimulatedBank
from hansa.store import Context, open_context
from hub.paying import A, B, C, asks, check_books, figures, open_hub, pass_time, set_clock, shows, word
from ledger.engines import run_python

MEMBERS = (A, B, C)
DAY = date(2026, 11, 20)
BEGIN = datetime(2026, 11, 20, 2, tzinfo=UTC)

HOURLY = """
model_id = "hub"
name = "Payments between members, every hour"
tz = "UTC"
takes = [{ product = "payment" }]
cut_offs = ["01:00", "02:00", "03:00", "04:00", "05:00", "06:00", "07:00", "08:00", "09:00", "10:00", "11:00", "12:00"]
"""


class Killed(Exception):
    """The plug is pulled."""


def killed_at(name: str) -> Callable[[str], None]:
    """A step that pulls the plug when it comes to this one."""

    def step(here: str) -> None:
        if here == name:
            raise Killed

    return step


def open_league(ctx: Context) -> None:
    """Three members that pay in two currencies, settled by windows each hour; a third currency settles at once."""
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 1_000), members=MEMBERS)
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 500), members=MEMBERS, currency="HKD")
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100), members=MEMBERS, currency="JPY", model="gross")
    set_clock(ctx, BEGIN)
    with ctx.tx() as tx:
        league = trust.MemberId("league")
        bank = trust.MemberId("league-bank")
        trust.add_members(
            tx,
            [
                trust.Member(league, "League", "league", None, league, "LEAGUE-1"),
                trust.Member(bank, "Settlement bank", "bank", None, bank, "LEAGUE-2"),
            ],
        )
    found = clearing.propose_model(ctx, HOURLY, in_force_from=DAY, by="league:anna", why="agreed")
    assert isinstance(found, clearing.Version)
    clearing.decide_model(ctx, "hub", found.version, "approved", by="league:bo", why="agreed")


def pay(ctx: Context, *some: tuple[str, str, int, str]) -> list[hub.Prepare]:
    """These are paid: (payer, payee, amount, currency)."""
    asked = [
        asks(payer, payee, minor, currency=unit, now=ctx.clock.now()) for payer, payee, minor, unit in some
    ]
    assert {word(one) for one in hub.prepare(ctx, asked)} == {"RESERVED"}
    assert {word(one) for one in hub.fulfil(ctx, [shows(one) for one in asked])} == {"COMMITTED"}
    return asked


def close(ctx: Context) -> clearing.Window:
    """The next full hour, and its window."""
    set_clock(ctx, ctx.clock.now().replace(minute=0, second=0) + timedelta(hours=1))
    hub_clearing.carry(ctx)
    return clearing.close_window(ctx, "hub")


def answer(ctx: Context, files: list[settlement.BankFile]) -> None:
    """The bank carries these files out and says so."""
    bank = SimulatedBank()
    for file in files:
        settlement.read_statement(ctx, bank.statement_for(file.path.read_bytes(), at=ctx.clock.now()))


def where(ctx: Context, member: str, currency: str) -> tuple[int, int, int, int]:
    """Of a member's position: what comes, what is on positions, what is in windows; and what was released."""
    with ctx.tx() as tx:
        one = hub.get_liquidity(tx, member, currency)
    return one.coming_minor, one.on_positions_minor, one.in_windows_minor, one.released_minor


def check_all(ctx: Context) -> None:
    """Headroom, positions and what windows took explain each other, to the unit."""
    with ctx.tx() as tx:
        everyone = [one for one in hub.list_liquidity(tx) if one.model == "deferred"]
        standing = clearing.standings(tx, ctx.clock.now())
        open_minor: dict[tuple[str, str], int] = {}
        for row in ledger.tree(tx, "position", depth=3):
            _, payer, payee = row.branch.split(":")
            for member, sign in ((payer, 1), (payee, -1)):
                key = member, row.currency
                open_minor[key] = open_minor.get(key, 0) + sign * row.balance.credit_minor
        lots = hub.list_open_lots(tx)
        assert hub.verify_lots(tx) == []
        assert ledger.trial_balance(tx).is_even
        exposures = {(one.member_id, one.currency): one.clearing_minor for one in hub.exposure(tx)}
    assert standing
    for one in everyone:
        key = one.member_id, one.currency
        if not lots:
            assert one.on_positions_minor == open_minor.get(key, 0), (one, open_minor)
            assert exposures[key] == 0
        assert (
            one.headroom_minor + one.reserved_minor + one.position_minor == one.limit_minor + one.short_minor
        )
    for currency in ("CNY", "HKD"):
        some = [one for one in everyone if one.currency == currency]
        for figure in ("coming_minor", "on_positions_minor", "in_windows_minor", "released_minor"):
            assert sum(getattr(one, figure) for one in some) == 0, figure


def test_what_is_paid_clears_with_its_window_and_is_free_again_when_that_is_settled(
    committed_ctx: Context, tmp_path: Path
) -> None:
    ctx = committed_ctx
    open_league(ctx)
    first = pay(ctx, (A, B, 300, "CNY"), (A, B, 50, "CNY"), (B, C, 120, "CNY"), (C, A, 70, "HKD"))
    pay(ctx, (A, B, 40, "JPY"))
    assert where(ctx, A, "CNY") == (350, 0, 0, 0)
    work_once(ctx)
    assert where(ctx, A, "CNY") == (0, 350, 0, 0)
    check_all(ctx)

    pass_time(ctx, minutes=1)
    pay(ctx, (B, A, 25, "CNY"))
    set_clock(ctx, BEGIN + timedelta(hours=1))
    work_once(ctx)  # books the last of it, and closes

    with ctx.tx() as tx:
        [window] = clearing.list_windows(tx, model_id="hub")
        nets = {(one.member_id, one.currency): one.net for one in clearing.window_nets(tx, window.window_id)}
        items = clearing.window_items(tx, window.window_id, A, B, "CNY")
        lot = items[0].reference
        assert lot is not None
        payments, following = hub.lot_payments(tx, lot)
        page, more = hub.lot_payments(tx, lot, limit=1)
        assert more is not None
        rest, end = hub.lot_payments(tx, lot, limit=1, after=more)
    assert {key: net for key, net in nets.items() if net} == {
        (A, "CNY"): -325,
        (B, "CNY"): 205,
        (C, "CNY"): 120,
        (C, "HKD"): -70,
        (A, "HKD"): 70,
    }
    assert [(one.amount.minor, one.code) for one in items] == [(350, ledger.TransferCode.PAYMENT)]
    assert {one.payment_id for one in payments} == {one.payment_id for one in first[:2]} and following is None
    assert page + rest == payments and end is None
    assert where(ctx, A, "CNY") == (0, 0, 325, 0)
    assert figures(ctx, A) == (325, 0, 675)
    check_all(ctx)

    files = settlement.write_files(ctx, window.window_id, tmp_path)
    work_once(ctx)
    assert figures(ctx, A) == (325, 0, 675)  # a bank was told, and has not said
    answer(ctx, files)
    work_once(ctx)
    work_once(ctx)

    for member in MEMBERS:
        assert figures(ctx, member) == (0, 0, 1_000)
        assert figures(ctx, member, "HKD") == (0, 0, 500)
    assert figures(ctx, A, "JPY")[2] == 60 and figures(ctx, B, "JPY")[2] == 140
    assert where(ctx, A, "CNY") == (0, 0, 0, 325)
    with pytest.raises(hub.ReleaseDiffers):
        hub.release(ctx, window.window_id, A, "CNY", 1)
    with pytest.raises(hub.SettledByWindows):
        hub.release(ctx, "another", A, "CNY", 325)
    assert figures(ctx, A) == (0, 0, 1_000)
    check_all(ctx)
    check_books(ctx)


@pytest.mark.parametrize("at", ["gathered", "opened", "booked", "carried"])
def test_a_kill_while_payments_go_onto_positions_books_them_once(ctx: Context, at: str) -> None:
    open_league(ctx)
    pay(ctx, (A, B, 300, "CNY"), (B, C, 120, "CNY"), (C, B, 10, "HKD"))

    with pytest.raises(Killed):
        hub_clearing.carry(ctx, step=killed_at(at))
    hub_clearing.carry(ctx)
    hub_clearing.carry(ctx)

    assert where(ctx, A, "CNY") == (0, 300, 0, 0)
    assert where(ctx, B, "CNY") == (0, -180, 0, 0)
    check_all(ctx)


@pytest.mark.parametrize("at", ["followed", "heard"])
def test_a_kill_while_windows_are_heard_of_notes_and_releases_once(
    committed_ctx: Context, tmp_path: Path, at: str
) -> None:
    ctx = committed_ctx
    open_league(ctx)
    pay(ctx, (A, B, 300, "CNY"))
    window = close(ctx)
    answer(ctx, settlement.write_files(ctx, window.window_id, tmp_path))

    for _ in range(2):
        with pytest.raises(Killed):
            hub_clearing.hear(ctx, step=killed_at(at))
    hub_clearing.hear(ctx)
    hub_clearing.hear(ctx)

    assert figures(ctx, A) == (0, 0, 1_000)
    assert where(ctx, B, "CNY") == (0, 0, 0, -300)
    check_all(ctx)


def test_where_there_is_no_clearing_payments_wait_for_it(ctx: Context) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 1_000), members=MEMBERS)
    pay(ctx, (A, B, 300, "CNY"))

    assert hub_clearing.carry(ctx) == 0

    assert where(ctx, A, "CNY") == (300, 0, 0, 0)


def test_what_somebody_else_settles_is_not_put_into_windows(ctx: Context) -> None:
    open_league(ctx)
    pay(ctx, (A, B, 300, "CNY"), (A, B, 20, "HKD"))
    hub.release(ctx, "elsewhere-1", A, "CNY", 300)
    hub.release(ctx, "elsewhere-1", B, "CNY", -300)

    assert hub_clearing.carry(ctx) == 1

    assert where(ctx, A, "CNY")[1:3] == (0, 0) and where(ctx, A, "HKD") == (0, 20, 0, 0)
    with ctx.tx() as tx:
        assert hub.verify_lots(tx) == []
        with pytest.raises(hub.UnknownLot):
            hub.get_lot(tx, asks(A, B, 1).payment_id)


class Undone(Exception):
    """What an example did is undone."""


class Windows(RuleBasedStateMachine):
    """Members pay, lots are booked, windows close and settle, in any order and with the plug pulled anywhere."""

    ctx: Context

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[str] = []
        self.undo = self.ctx.open_tx()
        self.undo.__enter__()
        open_league(self.ctx)

    def teardown(self) -> None:
        with suppress(Undone):
            self.undo.__exit__(Undone, Undone(), None)

    @rule(
        payer=st.integers(0, 2),
        by=st.integers(1, 2),
        minor=st.integers(1, 400),
        unit=st.sampled_from(["CNY", "HKD"]),
    )
    def pay(self, payer: int, by: int, minor: int, unit: str) -> None:
        one = asks(MEMBERS[payer], MEMBERS[(payer + by) % 3], minor, currency=unit, now=self.ctx.clock.now())
        hub.prepare(self.ctx, [one])
        hub.fulfil(self.ctx, [shows(one)])

    @rule(at=st.sampled_from(["", "gathered", "opened", "booked", "carried"]))
    def carry(self, at: str) -> None:
        pass_time(self.ctx, minutes=1)
        with suppress(Killed):
            hub_clearing.carry(self.ctx, step=killed_at(at))

    @rule(at=st.sampled_from(["", "decided", "posted", "closed"]))
    def close(self, at: str) -> None:
        pass_time(self.ctx, hours=1)
        with suppress(Killed, NoWindowDue):
            clearing.close_window(self.ctx, "hub", step=killed_at(at))
        with self.ctx.tx() as tx:
            for one in reversed(clearing.list_windows(tx, model_id="hub")):
                if one.window_id not in self.closed:
                    self.closed.append(one.window_id)

    @rule(unit=st.sampled_from(["CNY", "HKD"]), data=st.data())
    def settle(self, unit: str, data: st.DataObject) -> None:
        if self.closed:
            window_id = data.draw(st.sampled_from(self.closed))
            hub_clearing.follow(self.ctx, window_id, "settled", unit)

    @invariant()
    def all_is_explained(self) -> None:
        for window_id in self.closed:
            hub_clearing.follow(self.ctx, window_id, "closing", "")
        if not self.is_closing():
            check_all(self.ctx)

    def is_closing(self) -> bool:
        with self.ctx.tx() as tx:
            return any(one.closed_at is None for one in clearing.list_windows(tx, model_id="hub"))


@pytest.mark.slow
def test_whatever_happens_in_whatever_order_all_of_it_is_explained(ctx: Context) -> None:
    class Here(Windows):
        pass

    Here.ctx = ctx
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=12,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
        ),
    )


PAYING = "from apps.test_hub_clearing import keep_clearing; keep_clearing(*sys.argv[1:])"


def keep_clearing(url: str, minutes: str) -> None:
    """What the process that is killed runs: payments, lots, windows, and what becomes of them, without end."""
    with open_context(url, clock=FixedClock(BEGIN + timedelta(minutes=int(minutes)))) as ctx:
        n = 0
        while True:
            n += 1
            some = [
                asks(
                    MEMBERS[(n + k) % 3],
                    MEMBERS[(n + k + 1) % 3],
                    1 + k,
                    n=(minutes, n, k),
                    now=ctx.clock.now(),
                )
                for k in range(6)
            ]
            hub.fulfil(ctx, [shows(one) for one in some if word(hub.prepare(ctx, [one])[0]) == "RESERVED"])
            pass_time(ctx, minutes=20)
            hub_clearing.carry(ctx)
            clearing.close_due(ctx)
            hub_clearing.hear(ctx)
            sys.stdout.write("round\n")
            sys.stdout.flush()


def test_kill_9_in_any_of_it_leaves_nothing_out_and_nothing_twice(
    committed_ctx: Context, tmp_path: Path
) -> None:
    ctx = committed_ctx
    open_league(ctx)

    for n in range(2):
        process = run_python(PAYING, ctx.url, str(n * 120))
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        time.sleep(0.03 * n)  # any instant will do
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.read()
        process.wait()
        assert lines == ["round\n"] * 2

    set_clock(ctx, BEGIN + timedelta(hours=9, minutes=40))
    hub.finish(ctx)
    hub_clearing.carry(ctx)
    clearing.close_due(ctx)
    pass_time(ctx, hours=1)
    clearing.close_due(ctx)
    hub_clearing.hear(ctx)
    check_all(ctx)
    with ctx.tx() as tx:
        windows = list(reversed(clearing.list_windows(tx, model_id="hub")))
        assert all(where_of.on_positions_minor == 0 for where_of in hub.list_liquidity(tx))
        row = tx.execute("select sum(amount_minor) from hub.lots").fetchone()
        assert row is not None and row[0] > 0
        assert row[0] == sum(
            one.minor for window in windows for one in clearing.window_figures(tx, window.window_id)
        )
    for window in windows:
        answer(ctx, settlement.write_files(ctx, window.window_id, tmp_path))
    hub_clearing.hear(ctx)
    for member in MEMBERS:
        assert figures(ctx, member) == (0, 0, 1_000)
    check_all(ctx)
