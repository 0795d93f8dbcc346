"""A plain first charge has no row: its journey and its transfer say all of it, until something happens to that."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from hansa import ledger, payments, rides, trust
from hansa.identity import AccountId
from hansa.rides import JourneyId, Tap, actions, bulk, bulk_post, rating
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of

BEIJING = "beijing-subway"
NEAR = ("beijing/xizhimen", "beijing/chegongzhuang")
FAR = ("beijing/xizhimen", "beijing/baiduizi")
NOON = local(tariff_of(BEIJING), "12:00")

NARROW = Path(rides.__file__).parent / "sql" / "0009_narrow_rows.sql"
AS_BEFORE = """
drop index rides.journeys_by_day;
drop index rides.journeys_by_account;
alter table rides.journeys drop column steps_text, alter column steps set not null;
create index journeys_of_account on rides.journeys (partition, account_id, operator_id, service_day);
create index journeys_of_day on rides.journeys (service_day, operator_id);
create index charges_of_day on rides.charges (service_day, operator_id);
"""


@pytest.fixture
def league(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> League:
    monkeypatch.setattr(bulk, "FEW", 1)
    ctx.clock.at = NOON - timedelta(hours=6)  # type: ignore[attr-defined]
    return League(ctx, BEIJING)


def ridden(league: League, number: int, money: int = 2_000) -> list[Tap]:
    clock = league.ctx.clock
    clock.at = NOON - timedelta(hours=6)  # type: ignore[attr-defined]
    league.open_money(number, money)
    taps = league.ride(BEIJING, *NEAR, NOON + timedelta(seconds=number), league.rider(number), minutes=20)
    clock.at = NOON + timedelta(minutes=30)  # type: ignore[attr-defined]
    league.hand_in(taps)
    return taps


def rate(league: League) -> None:
    league.ctx.clock.at = datetime(2026, 11, 17, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    while bulk.rate(league.ctx).days:
        pass


def charges(league: League, taps: Sequence[Tap]) -> list[rides.ChargeRecord]:
    with league.ctx.tx() as tx:
        return list(rides.journey(tx, JourneyId(taps[0].tap_id)).charges)


def rows(league: League, table: str) -> int:
    tables = {
        "rides": "select count(*) from rides.charges",
        "payments": "select count(*) from payments.charges",
    }
    with league.ctx.tx() as tx:
        found = tx.execute(tables[table].encode()).fetchone()
    assert found is not None
    return found[0]


def lines(league: League, number: int, **how: Any) -> list[tuple[str, int, int]]:
    with league.ctx.tx() as tx:
        found = payments.movements(tx, AccountId(account_of(number)), **how)
    return [(one.kind.value, one.amount.minor, one.balance.minor) for one in found]


def total(league: League) -> dict[str, int]:
    with league.ctx.tx() as tx:
        return rides.posted_total(tx)


def test_a_plain_fare_is_told_without_a_row_of_its_own(league: League) -> None:
    taps = ridden(league, 1)
    rate(league)
    waiting = charges(league, taps)
    before = total(league)

    bulk_post.post_charges(league.ctx)

    assert [(one.status, one.transfer_ids, one.wallet_amount) for one in waiting] == [("intent", (), None)]
    assert before == {}
    (charge,) = charges(league, taps)
    assert (charge.status, charge.revision, charge.on_risk, str(charge.wallet_amount)) == (
        "posted",
        0,
        False,
        "¥3.00",
    )
    with league.ctx.tx() as tx:
        booked = ledger.get_transfer(tx, ledger.TransferId(charge.transfer_ids[0]))
    assert (booked.transfer.reference, booked.booked_at) == (taps[0].tap_id, charge.posted_at)
    assert lines(league, 1) == [("fare", -300, 1_700), ("top_up", 2_000, 2_000)]
    assert total(league) == {"CNY": 300}
    assert (rows(league, "rides"), rows(league, "payments")) == (0, 0)


@pytest.mark.parametrize("posted", [True, False])
def test_a_correction_writes_the_first_charge_out_as_it_was(league: League, posted: bool) -> None:
    taps = ridden(league, 1)
    rate(league)
    if posted:
        bulk_post.post_charges(league.ctx)
    first = charges(league, taps)

    later = league.ride(BEIJING, *FAR, NOON + timedelta(minutes=40), league.rider(1), minutes=30)
    league.hand_in([later[1]])  # an exit alone: the day is worked out anew
    with league.ctx.tx() as tx:
        tx.execute("update rides.journeys set counted_minor = counted_minor + 1")  # something to put right
    rate(league)

    again = charges(league, taps)
    assert [(one.charge_id, one.amount, one.status) for one in again] == [
        (one.charge_id, one.amount, one.status) for one in first
    ]
    assert rows(league, "rides") >= 1
    bulk_post.post_charges(league.ctx)
    assert {one.status for one in charges(league, taps)} == {"posted"}
    assert [line for line in lines(league, 1) if line[1] == -300] == [("fare", -300, 1_700)]


def test_an_empty_wallet_makes_a_row_that_goes_the_long_way(league: League) -> None:
    taps, others = ridden(league, 1, money=0), ridden(league, 2)
    rate(league)

    bulk_post.post_charges(league.ctx)

    assert [(one.status, one.on_risk) for one in charges(league, taps)] == [("posted", True)]
    assert [(one.status, one.on_risk) for one in charges(league, others)] == [("posted", False)]
    assert (rows(league, "rides"), rows(league, "payments")) == (1, 1)
    assert lines(league, 1) == [("fare", 0, 0)]
    assert total(league) == {"CNY": 600}


def test_what_a_suspended_member_would_earn_waits_as_a_row(league: League) -> None:
    taps, others = ridden(league, 1), ridden(league, 2)
    with league.ctx.tx() as tx:
        trust.suspend(tx, "beijing", by="league:ada", at=others[1].tapped_at, why="does not answer")
    rate(league)

    bulk_post.post_charges(league.ctx)

    assert [one.status for one in charges(league, taps)] == ["posted"]
    assert [one.status for one in charges(league, others)] == ["intent"]
    assert (rows(league, "rides"), rows(league, "payments")) == (1, 0)
    assert total(league) == {"CNY": 300}
    with league.ctx.tx() as tx:
        (held,) = rides.held_charges(tx, "beijing", league.ctx.clock.now())
        assert held.minor == 300
        now = league.ctx.clock.now()
        trust.propose_resume(tx, "beijing", by="league:ada", at=now, why="answers again")
        trust.decide_resume(tx, "beijing", yes=True, by="league:bo", at=now, why="heard them")
    bulk_post.post_charges(league.ctx)
    assert total(league) == {"CNY": 600}


def test_a_wallet_is_paged_through(league: League) -> None:
    league.open_money(1, 10_000)
    for ride in range(7):
        at = NOON - timedelta(hours=5) + timedelta(minutes=40 * ride)
        taps = league.ride(BEIJING, *NEAR, at, league.rider(1), minutes=20)
        league.ctx.clock.at = at + timedelta(minutes=30)  # type: ignore[attr-defined]
        league.hand_in(taps)
    rate(league)
    bulk_post.post_charges(league.ctx)
    with league.ctx.tx() as tx:
        whole = payments.movements(tx, AccountId(account_of(1)))
        paged: list[payments.Movement] = []
        assert tx.execute("select count(*) from payments.charges").fetchone() == (0,)
        while some := payments.movements(
            tx, AccountId(account_of(1)), 3, before=paged[-1].mark if paged else None
        ):
            paged += some

    assert len(whole) == 8
    assert paged == whole
    assert whole[0].balance.minor == 10_000 - 7 * 300


def test_books_of_before_are_kept_and_added_to(
    committed_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that knew rows only is brought up to date: they stay, and fares without any come beside them."""
    committed_ctx.clock.at = NOON - timedelta(hours=6)  # type: ignore[attr-defined]
    league = League(committed_ctx, BEIJING)
    taps = ridden(league, 1)
    committed_ctx.clock.at = datetime(2026, 11, 17, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    rating.rate(committed_ctx)
    actions.post_charges(committed_ctx)
    before = charges(league, taps), lines(league, 1), total(league)
    with psycopg.connect(committed_ctx.url) as connection:
        connection.execute(AS_BEFORE)

        connection.execute(NARROW.read_bytes())

    assert (charges(league, taps), lines(league, 1), total(league)) == before
    monkeypatch.setattr(bulk, "FEW", 1)
    others = ridden(league, 2)
    rate(league)
    bulk_post.post_charges(committed_ctx)
    assert [one.status for one in charges(league, others)] == ["posted"]
    assert (rows(league, "rides"), rows(league, "payments")) == (1, 1)
    assert total(league) == {"CNY": 600}
    with committed_ctx.tx() as tx:
        told = [one.steps for one in rides.journeys(tx, account_of(1)) + rides.journeys(tx, account_of(2))]
    assert told[0] == told[1]
