"""Payments to payees clear in windows like rides and are settled when their window is; positions open for them."""

from datetime import timedelta

from hansa import clearing, hub, ledger, payments
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
        clearing.note_settled(tx, day.window_id, "CNY", ctx.clock.now())
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
    again = payments.refund(ctx, paid[1].payment_id, refund_id=fact_id(None, "after"), by=BANK)
    assert (again.state, as_it_stands(ctx, paid[1].payment_id).state) == ("settled", "settled")
    with ctx.tx() as tx:
        assert hub.list_liquidity(tx) == []  # windows' purchases free nobody's limits
        assert clearing.verify_figures(tx) == []
    check_books(ctx)


def test_positions_are_opened_between_issuers_and_whoever_has_payees(ctx: Context) -> None:
    open_town(ctx)

    assert payment_clearing.connect(ctx, [CARD]) == 1  # the Canadian payee's
    assert payment_clearing.connect(ctx, [CARD, BANK]) == 1  # the kiosk's, for the bank's people
    assert payment_clearing.connect(ctx, [CARD, BANK]) == 0


def test_the_worker_opens_what_is_missing_once(ctx: Context) -> None:
    open_town(ctx)
    connections = payment_clearing.Connections()

    assert [connections.turn(ctx) for _ in range(2)] == [1, 0]
