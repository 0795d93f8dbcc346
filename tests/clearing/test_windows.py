"""Windows of several models: every item in exactly one, decided from running figures, and the same after any kill."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearing.example_day import (
    CURRENCY,
    DAY,
    HOME,
    OVER,
    RIDES,
    Ride,
    charge_of,
    open_league,
    ride_all,
    set_clock,
    top_up,
)
from clearing.test_days import Killed, close, everything, killed_at
from clearing.test_schedule import TWICE
from hansa import clearing, ledger, payments
from hansa.clearing import running
from hansa.kernel import HansaError, InvalidInput
from hansa.ledger import TransferCode
from hansa.store import Context

MORNING = datetime(2026, 11, 17, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 17, 10, tzinfo=UTC)
"""18:00 in Hong Kong: the first window of the day ends."""

AT_ONCE = """
model_id = "atonce"
name = "What Beijing's riders pay in Hong Kong, at once"
tz = "Asia/Hong_Kong"
takes = [{ issuer = "beijing-card", operator = "hong-kong-mtr" }]
basis = "gross"
sides = "bilateral"
timing = "immediate"
every_s = 5
"""


# The tables of docs/clearing.md, "The same day with a second model".
WINDOW_NETS = [
    ("twice-20261117-1", "beijing", "CNY", 591),
    ("twice-20261117-1", "hong-kong", "CNY", -593),
    ("twice-20261117-1", "league", "CNY", 2),
    ("twice-20261117-2", "beijing", "CNY", 443),
    ("twice-20261117-2", "hong-kong", "CNY", -444),
    ("twice-20261117-2", "league", "CNY", 1),
    ("daily-20261117", "beijing", "CNY", 391),
    ("daily-20261117", "hangzhou", "CNY", -396),
    ("daily-20261117", "league", "CNY", 5),
]


def agree(ctx: Context, *texts: str, at: datetime = MORNING) -> None:
    """Models in force from this instant on."""
    set_clock(ctx, at)
    for text in texts:
        found = clearing.propose_model(ctx, text, in_force_from=DAY, by="league:anna", why="agreed")
        assert isinstance(found, clearing.Version)
        clearing.decide_model(
            ctx, found.model_id, found.version, "approved", by="league:bert", why="as the members voted"
        )


def ride(ctx: Context, number: int, minor: int, issuer: str, operator: str) -> None:
    """One more ride of whoever has money at that issuer."""
    rider = {"hangzhou-card": 1, "beijing-card": 2, "hong-kong-card": 3}[issuer]
    payments.charge(ctx, [charge_of(Ride(number, issuer, operator, minor, rider))])


def shape(ctx: Context, window_id: str) -> list[tuple[str, str, int, int]]:
    with ctx.tx() as tx:
        return [
            (one.issuer_id, one.operator_id, one.items, one.gross)
            for one in clearing.window_positions(tx, window_id)
        ]


def test_a_second_model_takes_its_positions_twice_a_day_and_the_day_takes_the_rest(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx)
    agree(ctx, TWICE)
    payments.charge(ctx, [charge_of(ride) for ride in RIDES])
    set_clock(ctx, NOON)
    first = clearing.close_window(ctx, "twice")
    ride(ctx, 9, 450, "hong-kong-card", "beijing-subway")
    set_clock(ctx, OVER)

    second = clearing.close_window(ctx, "twice")
    day = clearing.close_day(ctx, DAY)

    assert [(one.window_id, one.number, one.part, one.items) for one in (first, second)] == [
        ("twice-20261117-1", 1, 1, 1),
        ("twice-20261117-2", 2, 2, 1),
    ]
    assert shape(ctx, first.window_id) == [("hong-kong-card", "beijing-subway", 1, 600)]
    assert shape(ctx, second.window_id) == [("hong-kong-card", "beijing-subway", 1, 450)]
    assert day.items == 7 and "hong-kong-card" not in {one[0] for one in shape(ctx, day.window_id)}
    with ctx.tx() as tx:
        found = [
            (one.window_id, one.member_id, one.currency, one.net)
            for window in (first, second, day)
            for one in clearing.window_nets(tx, window.window_id)
            if one.currency == "CNY"
        ]
        shares = {
            (one.window_id, one.operator_share, one.issuer_fee, one.league_fee)
            for window in (first, second)
            for one in clearing.window_positions(tx, window.window_id)
        }
        items = clearing.window_items(tx, second.window_id, "hong-kong-card", "beijing-subway", "CNY")
        figures = clearing.window_figures(tx, first.window_id)
        assert clearing.verify_figures(tx) == [] and not ledger.verify(tx)
    assert found == WINDOW_NETS
    assert shares == {("twice-20261117-1", 591, 7, 2), ("twice-20261117-2", 443, 6, 1)}
    assert [(total.currency, total.items, total.gross.minor) for total in day.totals] == [
        ("CNY", 5, 1_700),
        ("HKD", 2, 3_150),
    ]
    assert [item.amount.minor for item in items] == [450]
    assert [(one.code, one.items, one.minor) for one in figures] == [(TransferCode.FARE, 1, 600)]


def test_an_immediate_model_clears_what_came_and_has_no_empty_windows(ctx: Context) -> None:
    open_league(ctx)
    top_up(ctx)
    agree(ctx, AT_ONCE)
    ride(ctx, 1, 1_150, "beijing-card", "hong-kong-mtr")

    before = clearing.close_due(ctx)
    set_clock(ctx, MORNING + timedelta(seconds=5))
    [first] = clearing.close_due(ctx)
    set_clock(ctx, MORNING + timedelta(seconds=10))
    nothing = clearing.close_due(ctx)
    ride(ctx, 2, 700, "beijing-card", "hong-kong-mtr")
    ride(ctx, 3, 500, "beijing-card", "hangzhou-metro")
    [second] = clearing.close_due(ctx)

    assert before == nothing == []
    assert (first.window_id, first.items, first.basis, first.timing) == (
        "atonce-20261117-1",
        1,
        "gross",
        "immediate",
    )
    assert (second.window_id, second.items) == ("atonce-20261117-2", 1)
    with pytest.raises(clearing.NoWindowDue):
        clearing.close_window(ctx, "atonce")


@pytest.mark.parametrize("step", ["decided", "posted", "closed"])
def test_a_kill_at_any_step_of_a_window_leaves_the_same_cents(ctx: Context, step: str) -> None:
    ride_all(ctx)
    agree(ctx, TWICE)
    set_clock(ctx, NOON)
    with pytest.raises(Killed):
        clearing.close_window(ctx, "twice", step=killed_at(step))
    ride(ctx, 9, 450, "hong-kong-card", "beijing-subway")  # it comes after the window was decided

    left = clearing.close_due(ctx)
    set_clock(ctx, OVER)
    clearing.close_due(ctx)
    clearing.close_day(ctx, DAY)

    assert [one.window_id for one in left] == ([] if step == "closed" else ["twice-20261117-1"])
    assert [shape(ctx, f"twice-20261117-{part}")[0][2:] for part in (1, 2)] == [(1, 600), (1, 450)]
    with ctx.tx() as tx:
        assert clearing.verify_figures(tx) == [] and ledger.trial_balance(tx).is_even
        for issuer in HOME:
            for operator, unit in CURRENCY.items():
                assert ledger.balance(tx, clearing.position_account(issuer, operator, unit)).credit_minor == 0


def test_a_window_is_closed_once_and_not_before_its_cut_off(ctx: Context) -> None:
    ride_all(ctx)
    agree(ctx, TWICE)
    set_clock(ctx, NOON - timedelta(microseconds=1))
    before = everything(ctx)
    for model_id, error in (("twice", clearing.NoWindowDue), ("nobody", clearing.UnknownModel)):
        with pytest.raises(error):
            clearing.close_window(ctx, model_id)
    assert everything(ctx) == before

    set_clock(ctx, NOON)
    clearing.close_window(ctx, "twice")
    after = everything(ctx)
    with pytest.raises(clearing.NoWindowDue):
        clearing.close_window(ctx, "twice")

    assert everything(ctx) == after
    with ctx.tx() as tx, pytest.raises(clearing.UnknownWindow):
        clearing.window_positions(tx, "twice-20261117-2")


def test_the_database_keeps_windows_in_their_order(ctx: Context) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation, match="not the next one"), ctx.tx() as tx:
        tx.execute(
            "insert into clearing.windows (window_id, model_id, model_version, number, business_day, part, basis,"
            " sides, timing, ends_at, decided_at) values ('twice-20261117-1', 'twice', 1, 2, '2026-11-17', 1, 'net',"
            " 'multilateral', 'deferred', now(), now())"
        )


def test_what_becomes_of_a_window_is_told_in_the_outbox(ctx: Context) -> None:
    ride_all(ctx)
    day = close(ctx)
    with ctx.tx() as tx:
        clearing.note_settling(tx, day.window_id, "CNY", OVER)
        for _ in range(2):
            clearing.note_settled(tx, day.window_id, "CNY", OVER)
        told = tx.execute(
            "select body->>'status', body->>'currency' from store.outbox where topic = 'clearing.windows' order by seq"
        ).fetchall()
        status = clearing.get_day(tx, DAY).status
        clearing.note_settled(tx, day.window_id, "HKD", OVER)
        done = clearing.get_day(tx, DAY)

    assert told == [("closing", ""), ("closed", ""), ("settling", "CNY"), ("settled", "CNY")]
    assert (status, done.status, done.settled_at) == ("settling", "settled", OVER)


# --- the desk of models


def versions(ctx: Context) -> list[tuple[str, int, str | None]]:
    with ctx.tx() as tx:
        return [(one.model_id, one.version, one.decision) for one in clearing.list_model_versions(tx)]


def test_a_model_holds_once_another_person_has_approved_it(ctx: Context) -> None:
    open_league(ctx)
    set_clock(ctx, MORNING)

    found = clearing.propose_model(ctx, TWICE, in_force_from=DAY, by="league:anna", why="agreed")
    again = clearing.propose_model(ctx, TWICE, in_force_from=DAY, by="league:anna", why="agreed")
    assert found == again and isinstance(found, clearing.Version)
    set_clock(ctx, OVER)
    with pytest.raises(clearing.UnknownModel):
        clearing.close_window(ctx, "twice")
    with pytest.raises(clearing.SamePerson):
        clearing.decide_model(ctx, "twice", 1, "approved", by="league:anna", why="I like it")
    first = clearing.decide_model(ctx, "twice", 1, "approved", by="league:bert", why="voted")
    same = clearing.decide_model(ctx, "twice", 1, "approved", by="league:bert", why="voted")
    with pytest.raises(clearing.ModelDecided):
        clearing.decide_model(ctx, "twice", 1, "refused", by="league:carl", why="no")

    assert first == same and first.decided_by == "league:bert"
    assert versions(ctx) == [("twice", 1, "approved")]
    with pytest.raises(clearing.NoWindowDue):  # windows that were over before it held are not made up for
        clearing.close_window(ctx, "twice")


def test_what_cannot_be_a_model_is_refused_and_nothing_is_kept(ctx: Context) -> None:
    open_league(ctx)
    agree(ctx, TWICE)
    other = TWICE.replace('"twice"', '"other"')
    wrong: list[tuple[str, date, str, type[HansaError]]] = [
        (other, DAY, "agreed", clearing.ModelsOverlap),
        (TWICE, DAY, " ", InvalidInput),
        (TWICE, DAY - timedelta(days=1), "agreed", InvalidInput),
        (TWICE.replace("beijing-subway", "nobody"), DAY, "agreed", HansaError),
        ("model_id = 3", DAY, "agreed", clearing.BadModel),
    ]

    for text, since, why, error in wrong:
        with pytest.raises(error):
            clearing.propose_model(ctx, text, in_force_from=since, by="league:anna", why=why)
    with pytest.raises(clearing.UnknownModel):
        clearing.decide_model(ctx, "other", 1, "approved", by="league:bert", why="voted")

    assert versions(ctx) == [("twice", 1, "approved")]


def test_two_models_that_wait_cannot_both_take_a_position(ctx: Context) -> None:
    open_league(ctx)
    set_clock(ctx, MORNING)
    for text in (TWICE, TWICE.replace('"twice"', '"other"')):
        clearing.propose_model(ctx, text, in_force_from=DAY, by="league:anna", why="agreed")
    clearing.decide_model(ctx, "other", 1, "approved", by="league:bert", why="voted")

    with pytest.raises(clearing.ModelsOverlap):
        clearing.decide_model(ctx, "twice", 1, "approved", by="league:bert", why="voted")

    assert versions(ctx) == [("other", 1, "approved"), ("twice", 1, None)]


# --- running figures


PAIRS = [(issuer, operator) for issuer in HOME for operator in CURRENCY]
SOME_RIDES = st.lists(
    st.tuples(st.sampled_from(PAIRS), st.integers(-2_000, 2_000).filter(bool)), min_size=1, max_size=12
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rides=SOME_RIDES, order=st.randoms(use_true_random=False), follows=st.sets(st.integers(0, 11)))
def test_the_order_of_arrival_and_of_following_changes_no_figure(
    ctx: Context, rides: Sequence[tuple[tuple[str, str], int]], order: random.Random, follows: set[int]
) -> None:
    def figures(some: Sequence[int], follow_after: set[int]) -> object:
        with ctx.tx() as tx, tx.transaction(force_rollback=True):
            open_league(ctx)
            for number in some:
                (issuer, operator), minor = rides[number]
                ride(ctx, 100 + number, minor, issuer, operator)
                if number in follow_after:
                    clearing.follow(ctx, at_least=1)
            day = close(ctx)
            assert clearing.verify_figures(tx) == []
            nets = clearing.window_nets(tx, day.window_id)
            assert all(sum(one.net for one in nets if one.currency == unit) == 0 for unit in ("CNY", "HKD"))
            gross = {(one.issuer_id, one.operator_id): one.gross for one in clearing.positions(tx, DAY)}
            wanted = {
                pair: sum(minor for other, minor in rides if other == pair)
                for pair in {pair for pair, _ in rides}
            }
            assert gross == wanted
            return nets, clearing.positions(tx, DAY)

    in_order = list(range(len(rides)))
    mixed = in_order.copy()
    order.shuffle(mixed)

    # What a give-back is made of hangs on what the rider owes then; fares alone are the same items in any order.
    if all(minor > 0 for _, minor in rides):
        assert figures(in_order, set()) == figures(mixed, follows)
    else:
        figures(mixed, follows)


def test_a_position_whose_fees_hang_on_each_item_is_counted_by_steps_from_then_on(ctx: Context) -> None:
    ride_all(ctx)
    account = clearing.position_account("hangzhou-card", "beijing-subway", "CNY")
    steps = (-(2**62), 0, 1, 500)
    with ctx.tx() as tx:
        up_to = running.catch_up(tx)
        running.tell_apart(tx, 0, account, steps, followed=up_to[0])
        looked_at = {
            (one.from_minor, one.items, one.minor)
            for one in running.store.tallies(tx)
            if one.account.account_id == account
        }

    ride(ctx, 9, 499, "hangzhou-card", "beijing-subway")
    with ctx.tx() as tx:
        running.catch_up(tx)
        followed = {
            (one.from_minor, one.items, one.minor)
            for one in running.store.tallies(tx)
            if one.account.account_id == account
        }
    day = close(ctx)

    assert looked_at == {(500, 1, 700), (1, 1, 400), (-(2**62), 1, -200)}
    assert followed == {(500, 1, 700), (1, 2, 899), (-(2**62), 1, -200)}
    with ctx.tx() as tx:
        [position] = [one for one in clearing.positions(tx, DAY) if one.items == 4]
        assert position.gross == 1_399 and day.items == 9 and clearing.verify_figures(tx) == []


def test_figures_that_do_not_agree_with_the_ledger_stop_the_close(ctx: Context) -> None:
    ride_all(ctx)
    with ctx.tx() as tx:
        running.catch_up(tx)
        tx.execute("update clearing.tallies set minor = minor + 1 where code = 2 and minor = 600")
    before = everything(ctx)

    with pytest.raises(AssertionError):
        close(ctx)

    assert everything(ctx) == before
    with ctx.tx() as tx:
        assert len(clearing.verify_figures(tx)) == 1


def test_every_item_is_in_exactly_one_window_while_threads_post_and_windows_close(
    committed_ctx: Context,
) -> None:
    ctx = committed_ctx
    open_league(ctx)
    top_up(ctx)
    agree(ctx, TWICE, AT_ONCE)
    stop = threading.Event()
    closed: list[str] = []

    def book(first: int) -> int:
        for number in range(first, first + 40):
            pair = PAIRS[number % len(PAIRS)]
            payments.charge(ctx, [charge_of(Ride(number, *pair, 1 + number, 4))])
        return 40

    def close_all() -> None:
        while not stop.is_set():
            closed.extend(one.window_id for one in clearing.close_due(ctx))
            clearing.follow(ctx, at_least=1)

    set_clock(ctx, NOON)
    with ledger.Engine(ctx), ThreadPoolExecutor(5) as pool:
        closers = [pool.submit(close_all) for _ in range(2)]
        booked = sum(pool.map(book, (1_000, 2_000, 3_000)))
        day_before = pool.submit(clearing.close_day, ctx, DAY - timedelta(days=1)).result()
        booked += book(4_000)
        stop.set()
        for closer in closers:
            closer.result()
    set_clock(ctx, OVER + timedelta(seconds=10))
    clearing.close_due(ctx)
    clearing.close_day(ctx, DAY)

    with ctx.tx() as tx:
        windows = clearing.list_windows(tx, limit=1_000)
        listed = [
            item.transfer_id
            for window in windows
            for one in clearing.window_positions(tx, window.window_id)
            for item in clearing.window_items(
                tx, window.window_id, one.issuer_id, one.operator_id, one.currency, limit=1_000
            )
        ]
        assert clearing.verify_figures(tx) == [] and not ledger.verify(tx)
    assert day_before.items > 0 and "twice-20261117-1" in closed
    assert sum(window.items for window in windows) == booked == len(listed) == len(set(listed))
    for model_id in {window.model_id for window in windows}:
        numbers = sorted(window.number for window in windows if window.model_id == model_id)
        assert numbers == list(range(1, len(numbers) + 1))
