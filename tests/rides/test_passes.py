"""Passes: bought by the tariff, used where they leave least to pay, given back before their first use."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from hansa import clearing, identity, ledger, payments, rides, trust
from hansa.fares import Payment
from hansa.kernel import InvalidInput, Money, fact_id
from hansa.rides import TariffSource
from hansa.store import Context
from rides.books import HEAD, STOPS, open_operator, open_town
from rides.riding import League, account_of

OPERATOR = "town-metro"
RIDER = identity.AccountId(account_of(1))
DAY = date(2026, 11, 30)
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
PASS_ID = fact_id(None, "pass", 1)
RULES = """
[basis]
kind = "flat"
fare = "2.00"
[incomplete]
fare = "7.00"
[[pass]]
name = "Week"
price = { adult = "9.00", child = "4.50" }
lasts = "week"
[[pass]]
name = "Half month"
percent = 50
price = "6.00"
lasts = "month"
[[pass]]
name = "Staff"
"""


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = NOON  # type: ignore[attr-defined]
    league = open_town(ctx)
    text = HEAD.format(operator=OPERATOR, currency="GBP", top="", subsidy="") + RULES
    open_operator(league, TariffSource(text, {}))
    league.open_money(1, 2_500, issuer="london-card", currency="GBP")
    return league


def buy(
    league: League, name: str = "Week", pass_id: UUID = PASS_ID, from_day: date = DAY
) -> rides.BoughtPass:
    return rides.buy_pass(
        league.ctx,
        pass_id=pass_id,
        account_id=RIDER,
        operator_id=OPERATOR,
        name=name,
        from_day=from_day,
        wallet_currency="GBP",
    )


def ride(league: League, at: datetime = NOON) -> None:
    cti = league.rider(1, issuer="london-card", currency="GBP")
    league.ctx.clock.at = at + timedelta(hours=1)  # type: ignore[attr-defined]
    league.hand_in(league.ride(OPERATOR, STOPS[0], STOPS[1], at, cti, minutes=10))
    rides.rate(league.ctx)
    rides.post_charges(league.ctx)


def wallet(league: League) -> list[str]:
    with league.ctx.tx() as tx:
        return [str(money) for money in payments.balance_of(tx, RIDER)]


def passes(league: League) -> list[rides.BoughtPass]:
    with league.ctx.tx() as tx:
        return rides.list_passes(tx, RIDER)


def test_a_pass_on_sale_has_its_price_and_its_days(league: League) -> None:
    with league.ctx.tx() as tx:
        offers = rides.offer_passes(tx, operator_id=OPERATOR, rider_class="child", from_day=DAY)

    assert [(one.name, str(one.price), one.until_day) for one in offers] == [
        ("Week", "£4.50", date(2026, 12, 6)),
        ("Half month", "£6.00", date(2026, 12, 29)),
    ]


def test_a_pass_is_charged_once_and_its_rides_say_that_it_paid(league: League) -> None:
    bought = buy(league)
    again = buy(league)
    ride(league)

    assert bought == again
    assert wallet(league) == ["£16.00"]
    assert league.charged(1) == [0]
    with league.ctx.tx() as tx:
        journey = rides.journeys(tx, RIDER)[0]
        position = ledger.balance(tx, clearing.position_account("london-card", OPERATOR, "GBP"))
    assert [(step.rule, step.amount) for step in journey.steps][-1] == ("pass", -200)
    assert position.credit_minor == 900
    assert [(one.used, str(one.saved)) for one in passes(league)] == [(1, "£2.00")]


def test_of_two_passes_a_ride_takes_the_one_that_leaves_less_to_pay(league: League) -> None:
    buy(league, "Half month", fact_id(None, "pass", 2))
    ride(league)
    before = league.charged(1)
    buy(league)
    rides.rate(league.ctx)

    assert (before, league.charged(1)) == ([100], [0])
    assert [(one.name, one.used) for one in passes(league)] == [("Week", 1), ("Half month", 0)]


def test_a_pass_bought_later_that_day_covers_the_whole_day(league: League) -> None:
    ride(league)
    assert wallet(league) == ["£23.00"]

    buy(league)
    rides.rate(league.ctx)
    rides.post_charges(league.ctx)

    assert wallet(league) == ["£16.00"]


def test_a_pass_that_was_not_used_is_given_back_and_a_late_ride_is_charged(league: League) -> None:
    buy(league)
    rides.post_charges(league.ctx)

    first = rides.refund_pass(league.ctx, pass_id=PASS_ID, account_id=RIDER)
    again = rides.refund_pass(league.ctx, pass_id=PASS_ID, account_id=RIDER)
    ride(league)

    assert first.refunded_at == again.refunded_at == NOON
    assert wallet(league) == ["£23.00"]
    assert league.charged(1) == [200]


def test_a_pass_that_was_used_or_is_over_stays(league: League) -> None:
    buy(league)
    ride(league)
    with pytest.raises(rides.PassUsed):
        rides.refund_pass(league.ctx, pass_id=PASS_ID, account_id=RIDER)
    league.ctx.clock.at = NOON + timedelta(days=8)  # type: ignore[attr-defined]
    with pytest.raises(rides.PassUsed):
        rides.refund_pass(league.ctx, pass_id=PASS_ID, account_id=RIDER)
    with pytest.raises(rides.UnknownPass):
        rides.refund_pass(league.ctx, pass_id=fact_id(None, "none"), account_id=RIDER)

    assert wallet(league) == ["£16.00"]
    assert passes(league)[0].refunded_at is None


def test_what_cannot_be_sold_is_refused_with_the_reason_and_nothing_is_kept(league: League) -> None:
    other = fact_id(None, "pass", 3)
    buy(league)
    before = passes(league)

    with pytest.raises(InvalidInput, match="On sale to this rider: Week, Half month"):
        buy(league, "Staff", other)
    with pytest.raises(InvalidInput, match="from 2026-11-30 to 2027-01-29"):
        buy(league, pass_id=other, from_day=DAY - timedelta(days=1))
    with pytest.raises(rides.PassHeld):
        buy(league, pass_id=other, from_day=DAY + timedelta(days=6))
    with pytest.raises(rides.PassConflict):
        buy(league, "Half month")
    with pytest.raises(rides.UnknownTariff):
        rides.buy_pass(
            league.ctx,
            pass_id=other,
            account_id=RIDER,
            operator_id="nobody",
            name="Week",
            from_day=DAY,
            wallet_currency="GBP",
        )
    poor = identity.AccountId(account_of(2))
    league.open_money(2, 0, issuer="london-card", currency="GBP")
    with pytest.raises(rides.PassNotPaid, match=r"costs £9\.00; the wallet holds £0\.00"):
        rides.buy_pass(
            league.ctx,
            pass_id=other,
            account_id=poor,
            operator_id=OPERATOR,
            name="Week",
            from_day=DAY,
            wallet_currency="GBP",
        )

    assert passes(league) == before
    assert league.books("charges") == 1


SUBSIDY = '[classes.senior.subsidy]\npayer = "beijing"\npercent = 60\n'


def test_the_operator_gets_the_whole_fare_from_the_issuer_and_from_who_subsidises_it(ctx: Context) -> None:
    """2.00 halved for seniors: the rider pays 0.40, Beijing 0.60, of which nobody takes a fee."""
    ctx.clock.at = NOON  # type: ignore[attr-defined]
    league = open_town(ctx)
    text = HEAD.format(operator=OPERATOR, currency="GBP", top="", subsidy=SUBSIDY) + RULES
    open_operator(league, TariffSource(text, {}))
    league.open_money(1, 2_500, issuer="london-card", currency="GBP")
    cti = league.rider(1, rider_class="senior", issuer="london-card", currency="GBP")
    entry, leave = league.ride(OPERATOR, STOPS[0], STOPS[1], NOON, cti, minutes=10)
    ctx.clock.at = NOON + timedelta(hours=1)  # type: ignore[attr-defined]
    league.hand_in([leave])  # no entry yet: 3.50 for a senior, 2.10 of it Beijing's
    rides.rate(ctx)
    rides.post_charges(ctx)
    before = _positions(ctx)

    league.hand_in([entry])
    counts = rides.rate(ctx)
    posted = rides.post_charges(ctx)

    assert before == {"london-card": 140, "beijing": 210}
    assert _positions(ctx) == {"london-card": 40, "beijing": 60}
    assert (counts.subsidies, posted.subsidies) == (2, 2)
    with ctx.tx() as tx:
        detail = rides.journey(tx, rides.JourneyId(entry.tap_id))
        gone = rides.journey(tx, rides.JourneyId(leave.tap_id))
        purse = ledger.balance(tx, payments.subsidy_account("beijing", "GBP"))
    assert (str(detail.journey.fare), detail.journey.subsidy) == ("£0.40", Payment("beijing", 60))
    assert [(one.payer_id, str(one.amount), one.status) for one in detail.subsidies] == [
        ("beijing", "£0.60", "posted")
    ]
    assert [one.amount.minor for one in gone.subsidies] == [210, -210]
    assert purse.credit_minor == -60
    assert rides.post_charges(ctx).subsidies == 0

    ctx.clock.at = NOON + timedelta(days=2)  # type: ignore[attr-defined]
    clearing.close_day(ctx, DAY)
    with ctx.tx() as tx:
        positions = {one.issuer_id: one for one in clearing.positions(tx, DAY)}
        nets = {one.member_id: one.net for one in clearing.net_positions(tx, DAY)}
        items = clearing.items(tx, DAY, "beijing", OPERATOR, "GBP")
    assert [(one.amount.minor, one.code) for one in items] == [
        (210, ledger.TransferCode.SUBSIDY),
        (60, ledger.TransferCode.SUBSIDY),
        (-210, ledger.TransferCode.SUBSIDY),
    ]
    beijing, issuer = positions["beijing"], positions["london-card"]
    assert (beijing.gross, beijing.operator_share, beijing.issuer_fee, beijing.league_fee) == (60, 60, 0, 0)
    assert (issuer.gross, issuer.operator_share + issuer.issuer_fee + issuer.league_fee) == (40, 40)
    assert (nets[trust.MemberId("beijing")], sum(nets.values())) == (-60, 0)


def _positions(ctx: Context) -> dict[str, int]:
    with ctx.tx() as tx:
        return {
            payer: ledger.balance(tx, clearing.position_account(payer, OPERATOR, "GBP")).credit_minor
            for payer in ("london-card", "beijing")
        }


def test_a_run_after_a_kill_pays_no_subsidy_twice(ctx: Context) -> None:
    ctx.clock.at = NOON  # type: ignore[attr-defined]
    league = open_town(ctx)
    text = HEAD.format(operator=OPERATOR, currency="GBP", top="", subsidy=SUBSIDY) + RULES
    open_operator(league, TariffSource(text, {}))
    cti = league.rider(1, rider_class="senior", issuer="london-card", currency="GBP")
    ctx.clock.at = NOON + timedelta(hours=1)  # type: ignore[attr-defined]
    league.hand_in(league.ride(OPERATOR, STOPS[0], STOPS[1], NOON, cti, minutes=10))
    rides.rate(ctx)
    rides.post_charges(ctx)
    with ctx.tx() as tx:
        tx.execute("update rides.subsidies set status = 'intent', posted_at = null, transfer_id = null")

    counts = rides.post_charges(ctx)

    assert counts.subsidies == 1
    assert _positions(ctx)["beijing"] == 60
    assert Money(60, "GBP").minor == rides_posted(ctx)


def rides_posted(ctx: Context) -> int:
    """What was posted as subsidies, by the books of rides."""
    with ctx.tx() as tx:
        row = tx.execute("select sum(amount_minor) from rides.subsidies where status = 'posted'").fetchone()
    assert row is not None
    return int(row[0])
