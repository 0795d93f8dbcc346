"""From a fare to the ledger: each charge once, whatever happens in between."""

from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

from hansa import clearing, identity, ledger, payments, rides
from hansa.rides import JourneyId
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of

BEIJING = "beijing-subway"
NEAR = ("beijing/xizhimen", "beijing/chegongzhuang")
DAY = date(2026, 11, 17)
NOON = local(tariff_of(BEIJING), "12:00")


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = datetime(2026, 11, 17, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    return League(ctx, BEIJING)


def position(league: League, issuer: str = "beijing-card") -> int:
    """What the issuer owes Beijing's subway by the ledger."""
    with league.ctx.tx() as tx:
        balance = ledger.balance(tx, clearing.position_account(issuer, BEIJING, "CNY"))
    return balance.credits_posted - balance.debits_posted


def wallet(league: League, number: int) -> list[str]:
    with league.ctx.tx() as tx:
        return [str(money) for money in payments.balance_of(tx, identity.AccountId(account_of(number)))]


def test_a_fare_goes_from_the_wallet_to_the_position_and_says_so(league: League) -> None:
    league.open_money(1, 2_000)
    taps = league.ride(BEIJING, *NEAR, NOON, league.rider(1))
    league.hand_in(taps)
    rides.rate(league.ctx)

    counts = rides.post_charges(league.ctx)

    assert (counts.charges, counts.on_risk) == (1, 0)
    assert position(league) == 300
    assert wallet(league, 1) == ["¥17.00"]
    with league.ctx.tx() as tx:
        detail = rides.journey(tx, JourneyId(taps[0].tap_id))
        booked = ledger.get_transfer(tx, ledger.TransferId(detail.charges[0].transfer_ids[0]))
    charge = detail.charges[0]
    assert (charge.status, str(charge.wallet_amount), charge.on_risk) == ("posted", "¥3.00", False)
    assert booked.transfer.reference == taps[0].tap_id


def test_posting_again_moves_nothing(league: League) -> None:
    league.open_money(1, 2_000)
    league.hand_in(league.ride(BEIJING, *NEAR, NOON, league.rider(1)))
    rides.rate(league.ctx)
    rides.post_charges(league.ctx)

    again = rides.post_charges(league.ctx)

    assert again.charges == 0
    assert position(league) == 300


def test_a_run_after_a_kill_finishes_what_was_begun(league: League) -> None:
    """The ledger has the charge, but we were killed before we could note it."""
    league.open_money(1, 2_000)
    league.hand_in(league.ride(BEIJING, *NEAR, NOON, league.rider(1)))
    rides.rate(league.ctx)
    rides.post_charges(league.ctx)
    with league.ctx.tx() as tx:
        tx.execute("update rides.charges set status = 'intent', posted_at = null, transfer_ids = null")

    counts = rides.post_charges(league.ctx)

    assert counts.charges == 1
    assert position(league) == 300
    assert wallet(league, 1) == ["¥17.00"]


def test_a_late_exit_gives_back_the_difference(league: League) -> None:
    league.open_money(1, 2_000)
    entry, leave = league.ride(BEIJING, *NEAR, NOON, league.rider(1))
    league.hand_in([entry])
    rides.rate(league.ctx)
    rides.post_charges(league.ctx)
    before = wallet(league, 1)

    league.hand_in([leave])
    rides.rate(league.ctx)
    rides.post_charges(league.ctx)

    assert before == ["¥12.00"]
    assert wallet(league, 1) == ["¥17.00"]
    assert position(league) == 300


def test_a_wallet_that_is_short_leaves_the_fare_to_its_issuer(league: League) -> None:
    league.open_money(1, 100)
    league.hand_in(league.ride(BEIJING, *NEAR, NOON, league.rider(1)))
    rides.rate(league.ctx)

    counts = rides.post_charges(league.ctx)

    assert (counts.charges, counts.on_risk) == (1, 1)
    assert position(league) == 300


def test_a_visitor_pays_in_the_currency_of_the_wallet(league: League) -> None:
    league.open_money(2, 1_000, issuer="london-card", currency="GBP")
    with league.ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("CNY", "GBP", Fraction(1, 10)), ("GBP", "CNY", Fraction(10))])
    taps = league.ride(BEIJING, *NEAR, NOON, league.rider(2, issuer="london-card", currency="GBP"))
    league.hand_in(taps)
    rides.rate(league.ctx)

    rides.post_charges(league.ctx)

    assert position(league, "london-card") == 300
    assert wallet(league, 2) == ["£9.70"]


def test_charges_are_posted_in_the_order_in_which_the_rides_ended(league: League) -> None:
    """Two rides and money for one: the earlier is paid from the wallet."""
    league.open_money(1, 300)
    cti = league.rider(1)
    later = league.ride(BEIJING, *NEAR, local(tariff_of(BEIJING), "13:00"), cti)
    earlier = league.ride(BEIJING, *NEAR, NOON, cti)
    league.hand_in([*later, *earlier])
    rides.rate(league.ctx)

    rides.post_charges(league.ctx, limit=1)

    with league.ctx.tx() as tx:
        first = rides.journey(tx, JourneyId(earlier[0].tap_id))
        second = rides.journey(tx, JourneyId(later[0].tap_id))
    assert [charge.status for charge in (*first.charges, *second.charges)] == ["posted", "intent"]


def test_a_charge_without_an_exchange_rate_waits_and_holds_up_no_other(league: League) -> None:
    league.open_money(1, 2_000)
    league.open_money(2, 1_000, issuer="london-card", currency="GBP")
    visitor = league.rider(2, issuer="london-card", currency="GBP")
    league.hand_in(league.ride(BEIJING, *NEAR, local(tariff_of(BEIJING), "11:00"), visitor))
    league.hand_in(league.ride(BEIJING, *NEAR, NOON, league.rider(1)))
    rides.rate(league.ctx)

    first = rides.post_charges(league.ctx)
    with league.ctx.tx() as tx:
        payments.set_rates(tx, DAY, [("CNY", "GBP", Fraction(1, 10)), ("GBP", "CNY", Fraction(10))])
    second = rides.post_charges(league.ctx)

    assert (first.charges, first.waiting) == (1, 1)
    assert (second.charges, second.waiting) == (1, 0)
    assert (wallet(league, 1), wallet(league, 2)) == (["¥17.00"], ["£9.70"])


def test_an_account_without_a_wallet_is_carried_or_waits_but_never_breaks_the_run(league: League) -> None:
    league.open_money(1, 2_000)
    for number in (1, 3):
        league.hand_in(league.ride(BEIJING, *NEAR, NOON, league.rider(number)))
    rides.rate(league.ctx)

    counts = rides.post_charges(league.ctx)

    assert counts.charges + counts.waiting == 2
    assert wallet(league, 1) == ["¥17.00"]
