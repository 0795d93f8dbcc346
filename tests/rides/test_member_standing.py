"""New rides with a suspended operator are priced, held and shown, and charged once it may go on."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hansa import clearing, ledger, rides, trust
from hansa.kernel import FixedClock
from hansa.rides import actions, rating
from hansa.store import Context
from rides.riding import League
from rides.test_tokens import connected
from web import little_league

OPERATOR = "hangzhou-metro"
HOUR = timedelta(hours=1)


def test_charges_of_a_suspended_operator_wait_and_are_shown_until_it_goes_on(ctx: Context) -> None:
    now = datetime(2026, 11, 17, 12, tzinfo=ZoneInfo("Asia/Shanghai"))
    later = replace(ctx, clock=FixedClock(now + 5 * HOUR))
    league = League(later, OPERATOR)
    league.open_money(1, 100_00, issuer="beijing-card")
    cti = league.rider(1)
    gates = [
        place
        for operator, place, action in league.gates
        if operator == OPERATOR and action == "entry" and place
    ]
    first, second = gates[0], gates[1]
    with later.tx() as tx:
        trust.suspend(tx, "hangzhou", by="league:ada", at=now + HOUR, why="does not answer")

    league.hand_in(league.ride(OPERATOR, first, second, now, cti))
    league.hand_in(league.ride(OPERATOR, second, first, now + 2 * HOUR, cti))
    rating.rate(later)
    told = actions.post_charges(later)

    assert (told.charges, told.waiting) == (1, 1), (
        "what ended before the suspension is charged, the other waits"
    )
    with later.tx() as tx:
        (held,) = rides.held_charges(tx, "hangzhou", later.clock.now())
        assert held == rides.held_charges(tx, OPERATOR, later.clock.now())[0]
        assert rides.held_charges(tx, "beijing", later.clock.now()) == []
    assert (held.count, held.currency) == (1, "CNY") and held.minor > 0
    assert len(league.charged(1)) == 2, "both rides are priced, and the rider sees them"
    before = owed(later)

    with later.tx() as tx:
        trust.propose_resume(tx, "hangzhou", by="league:ada", at=later.clock.now(), why="answers again")
        trust.decide_resume(tx, "hangzhou", yes=True, by="league:bo", at=later.clock.now(), why="heard them")
    told = actions.post_charges(later)

    assert (told.charges, told.waiting) == (1, 0)
    assert owed(later) == before + held.minor
    with later.tx() as tx:
        assert rides.held_charges(tx, "hangzhou", later.clock.now()) == []


def owed(ctx: Context) -> int:
    position = clearing.position_account("beijing-card", OPERATOR, "CNY")
    with ctx.tx() as tx:
        return ledger.balance(tx, position).credit_minor


def test_a_suspended_issuer_signs_no_new_tokens(ctx: Context, tmp_path: Path) -> None:
    league = little_league.build(ctx, trust.KeyFolder(tmp_path / "keys"))
    rider, now = league.riders["Gao Lan"], ctx.clock.now()
    with ctx.tx() as tx:
        phone = connected(tx, rider, now)
        given = rides.give_tokens(tx, league.keys, phone, hold=(), at=now, policy=rides.own_token_policy())
        trust.suspend(tx, rider.issuer_id, by="league:ada", at=now, why="does not pay")

    with pytest.raises(trust.MemberMayNot, match="does not pay"), ctx.tx() as tx:
        rides.give_tokens(tx, league.keys, phone, hold=(), at=now, policy=rides.own_token_policy())

    hold = [one.cti for one in given.tokens]
    with ctx.tx() as tx:  # those it has live on
        more = rides.give_tokens(tx, league.keys, phone, hold=hold, at=now, policy=rides.own_token_policy())
    assert given.tokens and not more.tokens
