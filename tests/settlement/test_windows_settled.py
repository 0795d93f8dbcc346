"""Windows of each kind of model become the payments that the kind says, and settle in their order."""

from datetime import timedelta
from pathlib import Path

import pytest

from clearing.example_day import DAY, OVER, open_league, ride_all, set_clock, top_up
from clearing.test_windows import AT_ONCE, NOON, TWICE, agree, ride
from hansa import clearing, ledger, settlement
from hansa.settlement import SimulatedBank, store
from hansa.settlement.planning import owed_in_and_out, owed_in_pairs
from hansa.store import Context
from hansa.trust import MemberId

A, B, C = MemberId("a"), MemberId("b"), MemberId("c")
DEBTS = {(A, B, "CNY"): 100, (B, A, "CNY"): 30, (A, C, "CNY"): -5, (B, C, "CNY"): 40, (C, B, "CNY"): 40}


def test_a_pair_pays_what_is_owed_on_balance() -> None:
    found = [
        (one.member_id, str(one.direction), one.minor, one.counterparty)
        for one in owed_in_pairs(DEBTS, "CNY")
    ]

    assert found == [("a", "in", 70, "b"), ("b", "out", 70, "a"), ("c", "in", 5, "a"), ("a", "out", 5, "c")]


def test_a_member_pays_all_that_it_owes_and_is_paid_all_that_it_is_owed() -> None:
    found = [(one.member_id, str(one.direction), one.minor) for one in owed_in_and_out(DEBTS, "CNY")]

    assert found == [
        ("a", "in", 100),
        ("a", "out", 35),
        ("b", "in", 70),
        ("b", "out", 140),
        ("c", "in", 45),
        ("c", "out", 40),
    ]


def test_files_of_a_window_carry_its_model_and_number(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    agree(ctx, TWICE)
    set_clock(ctx, NOON)
    window = clearing.close_window(ctx, "twice")

    [file] = settlement.write_files(ctx, window.window_id, tmp_path)
    again = settlement.write_files(ctx, window.window_id, tmp_path)

    assert again == [file] and file.message_id == "HANSA-20261117-twice-1-CNY"
    with ctx.tx() as tx:
        assert {
            one.member_id: one.amount_minor for one in store.instructions_of_window(tx, window.window_id)
        } == {
            "hong-kong": 593,
            "beijing": 591,
            "league": 2,
        }
        assert clearing.get_window(tx, window.window_id).status == "settling"
        with pytest.raises(clearing.UnknownWindow):
            settlement.list_files(tx, "twice-20261117-2")


def test_a_window_that_moves_single_debts_is_prepared_at_the_desk(ctx: Context, tmp_path: Path) -> None:
    open_league(ctx)
    top_up(ctx)
    agree(ctx, AT_ONCE)
    ride(ctx, 1, 1_150, "beijing-card", "hong-kong-mtr")
    set_clock(ctx, NOON)
    [window] = clearing.close_due(ctx)

    with pytest.raises(settlement.NotByNets):
        settlement.write_files(ctx, window.window_id, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_windows_of_a_model_settle_in_their_order(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)
    clearing.close_day(ctx, DAY)
    ride(ctx, 9, 450, "hong-kong-card", "beijing-subway")
    set_clock(ctx, OVER + timedelta(days=1))
    clearing.close_day(ctx, DAY + timedelta(days=1))
    bank = SimulatedBank()
    first, second = (
        bank.statement_for(file.path.read_bytes(), at=OVER + timedelta(days=2))
        for day in (DAY, DAY + timedelta(days=1))
        for file in settlement.write_files(ctx, day, tmp_path)
        if file.currency == "CNY"
    )

    early = settlement.read_statement(ctx, second)
    with ctx.tx() as tx:
        waits = settlement.progress(tx, DAY + timedelta(days=1))
        earned = ledger.balance(tx, clearing.earned_account("league", "CNY")).credit_minor
    late = settlement.read_statement(ctx, first)

    assert early.settled == () and waits == {"CNY": settlement.Progress.INSTRUCTED} and earned == 0
    assert late.settled == ((DAY, "CNY"),)
    with ctx.tx() as tx:
        days = [clearing.get_day(tx, DAY + timedelta(days=n)) for n in (0, 1)]
        assert [day.totals[0].settled_at is not None for day in days] == [True, True]
        assert days[1].status == "settled"
        assert ledger.balance(tx, clearing.earned_account("league", "CNY")).credit_minor == 7 + 1
        assert settlement.finish(ctx) == []
