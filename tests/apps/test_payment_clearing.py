"""Payments to payees clear in windows like rides and are settled when their window is; positions open for them."""

from datetime import timedelta

from hansa import clearing, hub, ledger, payments, settlement
from hansa.apps import hub_clearing, payment_clearing
from hansa.kernel import fact_id
from hansa.store import Context
from payments.shopping import (
    BANK,
    CARD,
    KIOSK,
    NOW,
    as_it_stands,
    asks,
    check_books,
    made,
    open_town,
    owed,
    set_clock,
)

TERMS = """
name = "Card house and bank"
valid_from = {day}
issuer = "{issuer}"
operator = "{operator}"

[payment]
issuer = {{ bp = 120 }}
league = {{ bp = 30 }}
"""


def test_a_window_takes_payments_less_refunds_and_settles_them(committed_ctx: Context) -> None:
    ctx = committed_ctx
    open_town(ctx)
    paid = [made(ctx, asks(10_00, n=n)) for n in range(3)]
    payments.refund(ctx, paid[0].payment_id, refund_id=fact_id(None, "settled"), by=BANK, minor=4_00)
    within = made(ctx, asks(5_00, n="own", payee_id=KIOSK))
    waits = made(ctx, asks(7_00, n="held", capture="manual"))

    set_clock(ctx, NOW + timedelta(days=1, hours=12))
    day = clearing.close_day(ctx, NOW.date())
    late = made(ctx, asks(1_00, n="late"))
    with ctx.tx() as tx:
        figures = clearing.window_figures(tx, day.window_id)
    bank_pays(ctx, day.window_id)
    assert {(one.issuer_id, one.operator_id, one.code, one.minor) for one in figures} == {
        (CARD, BANK, ledger.TransferCode.PURCHASE, 30_00),
        (CARD, BANK, ledger.TransferCode.PURCHASE_REFUND, -4_00),
    }

    assert payment_clearing.hear(ctx) > 0
    assert payment_clearing.hear(ctx) == 0
    hub_clearing.hear(ctx)

    states = [as_it_stands(ctx, one.payment_id).state for one in (*paid, within, waits, late)]
    assert states == ["settled", "settled", "settled", "captured", "authorized", "captured"]
    assert owed(ctx)["position"] == 1_00
    assert owed(ctx)["awaited"] == 1_00  # of the payment that came late alone
    assert earned(ctx) == {CARD: 0, BANK: 0}
    again = payments.refund(ctx, paid[1].payment_id, refund_id=fact_id(None, "after"), by=BANK)
    assert (again.state, as_it_stands(ctx, paid[1].payment_id).state) == ("settled", "settled")
    with ctx.tx() as tx:
        assert hub.list_liquidity(tx) == []  # windows' purchases free nobody's limits
        assert clearing.verify_figures(tx) == []
    check_books(ctx)


def test_what_was_awaited_is_zero_after_settlement_and_earnings_are_fees_alone(
    committed_ctx: Context,
) -> None:
    ctx = committed_ctx
    open_town(ctx)
    with ctx.tx() as tx:
        text = TERMS.format(issuer=CARD, operator=BANK, day=NOW.date() + timedelta(days=1))
        agreed = clearing.propose_agreement(tx, fact_id(None, "terms"), text, by="league:ada", at=NOW)
        clearing.approve_agreement(tx, agreed.agreement_id, by="league:bo", at=NOW, why="agreed")
    set_clock(ctx, NOW + timedelta(days=1))
    one, other = (made(ctx, asks(minor, n=minor)) for minor in (50_00, 10_00))
    payments.refund(ctx, other.payment_id, refund_id=fact_id(None, "half"), by=BANK, minor=5_00)
    days = [NOW.date() + timedelta(days=n) for n in (1, 2)]
    set_clock(ctx, NOW + timedelta(days=2, hours=12))
    bank_pays(ctx, clearing.close_day(ctx, days[0]).window_id)

    payment_clearing.hear(ctx)

    assert owed(ctx)["awaited"] == 0
    with ctx.tx() as tx:
        fees = {one.operator_id: one.issuer_fee + one.league_fee for one in clearing.positions(tx, days[0])}
    assert fees[BANK] > 0
    assert earned(ctx)[BANK] == -fees[BANK]  # what it gave away of 55.00 that it paid out whole
    assert sum(earned(ctx, CARD, BANK, "league").values()) == 0

    payments.refund(ctx, one.payment_id, refund_id=fact_id(None, "rest"), by=BANK)
    set_clock(ctx, NOW + timedelta(days=3, hours=12))
    bank_pays(ctx, clearing.close_day(ctx, days[1]).window_id)
    assert owed(ctx)["awaited"] == -50_00
    payment_clearing.hear(ctx)
    assert owed(ctx)["awaited"] == 0  # where refunds outweigh, it goes back the other way
    for day in days:
        payment_clearing.receive(ctx, clearing.day_window(day), "")  # hearing of it again is harmless
    assert owed(ctx)["awaited"] == 0
    check_books(ctx)


def bank_pays(ctx: Context, window_id: str) -> None:
    """Settlement's last step: what members were due is earned, and the window is settled."""
    with ctx.tx() as tx:
        transfers = [one for some in settlement.earned_transfers(tx, window_id).values() for one in some]
    assert all(one.ok for one in ledger.post(ctx, transfers))
    with ctx.tx() as tx:
        clearing.note_settled(tx, window_id, "CNY", ctx.clock.now())


def earned(ctx: Context, *members: str) -> dict[str, int]:
    """What has been earned, by member."""
    with ctx.tx() as tx:
        return {
            one: ledger.balance(tx, clearing.earned_account(one, "CNY")).credit_minor
            for one in members or (CARD, BANK)
        }


def test_positions_are_opened_between_issuers_and_whoever_has_payees(ctx: Context) -> None:
    open_town(ctx)

    assert payment_clearing.connect(ctx, [CARD]) == 1  # the Canadian payee's
    assert payment_clearing.connect(ctx, [CARD, BANK]) == 1  # the kiosk's, for the bank's people
    assert payment_clearing.connect(ctx, [CARD, BANK]) == 0


def test_the_worker_opens_what_is_missing_once(ctx: Context) -> None:
    open_town(ctx)
    connections = payment_clearing.Connections()

    assert [connections.turn(ctx) for _ in range(2)] == [1, 0]
