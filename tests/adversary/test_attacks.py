"""Attacks that went through once: each is refused now, and changes nothing."""

from datetime import timedelta
from itertools import product as each_with_each
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, merchants, payments, wallets
from hansa.approval.control import LIMITS_MAX
from hansa.kernel import Money, fact_id, new_id
from hansa.store import Context
from hansa.wallets.transfers import payee_key
from merchants import shops
from payments.shopping import ANN, BANK, BEN, NOW, asks, check_books, held, made, open_town
from web.little_league import LittleLeague

Client = TestClient[Any]


def test_an_owner_with_as_many_limits_as_may_be_still_lowers_one_at_once(ctx: Context) -> None:
    open_town(ctx)
    units = ("EUR", "GBP", "HKD", "JPY", "CAD", "USD", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "SGD",
             "THB", "TRY")  # fmt: skip
    spans: tuple[approval.Span, ...] = ("payment", "day", "month")
    pairs = list(each_with_each(units, spans))[: LIMITS_MAX - 1]
    for unit, span in pairs:
        approval.set_limit(ctx, ANN, currency=unit, span=span, minor=100_00)
    approval.set_limit(ctx, ANN, currency="CNY", span="day", minor=100_00)

    lowered = approval.set_limit(ctx, ANN, currency="CNY", span="day", minor=1_00)

    assert lowered.holds(NOW) == 1_00
    assert made(ctx, asks(2_00, n=1)).state is payments.PaymentState.FAILED


def test_a_refund_of_one_payment_does_not_pass_for_that_of_another(ctx: Context) -> None:
    open_town(ctx)
    one, other = made(ctx, asks(10_00, n=1)), made(ctx, asks(10_00, n=2, payer=BEN))
    refund_id = new_id()
    payments.refund(ctx, one.payment_id, refund_id=refund_id, by=BANK, minor=4_00)

    for payment_id, minor in ((other.payment_id, 4_00), (one.payment_id, 5_00)):
        with pytest.raises(payments.PaymentDiffers):
            payments.refund(ctx, payment_id, refund_id=refund_id, by=BANK, minor=minor)

    assert (held(ctx), held(ctx, BEN)) == ((94_00, 0), (90_00, 0))
    check_books(ctx)


def test_whoever_takes_a_link_is_never_a_payee_who_is_known(ctx: Context, tmp_path: Path) -> None:
    town = shops.build(ctx, tmp_path)
    link = wallets.NewTransfer(
        transfer_id=fact_id(None, "a"),
        sender_id=town.buyer.account_id,
        receiver_id=None,
        amount=Money(1, "CNY"),
    )
    again = wallets.NewTransfer(
        transfer_id=fact_id(None, "b"),
        sender_id=town.buyer.account_id,
        receiver_id=None,
        amount=Money(1, "CNY"),
    )

    assert payee_key(link) != payee_key(again)


def test_tickets_that_the_shop_gave_all_money_back_for_open_no_gate(ctx: Context, tmp_path: Path) -> None:
    town = shops.build(ctx, tmp_path)
    product, me = shops.pagoda(town), town.buyer.account_id
    now = ctx.clock.now()
    with ctx.tx() as tx:
        slot = merchants.list_slots(tx, product.product_id, first=now, last=now + timedelta(days=1))[0]
    order = merchants.order_tickets(
        ctx, new_id(), slot.slot_id, account_id=me, wanted={"adult": 2}, made_by="person:test"
    )
    sale = merchants.pay_order(ctx, order.order_id, town.asker()).sale

    def states() -> list[str]:
        with ctx.tx() as tx:
            return [one.state for one in merchants.tickets_of_order(tx, order.order_id)]

    refund_id = new_id()
    for part, minor, after in (
        (new_id(), 3_00, "valid"),
        (refund_id, 5_00, "refunded"),
        (refund_id, 5_00, "refunded"),
    ):
        merchants.refund_sale(
            ctx, part, sale.payment_id, amount=Money(minor, "CNY"), reason="Closed for storm", by="person:x"
        )
        assert states() == [after, after]

    assert town.balance(me) == shops.BIG
    with ctx.tx() as tx:
        left = merchants.list_slots(tx, product.product_id, first=now, last=now + timedelta(days=1))[0].left
        assert left == slot.left


@pytest.mark.parametrize("said", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}])
def test_a_key_beside_a_cookie_opens_no_page_to_another_site(
    ctx: Context, stranger: Client, league: LittleLeague, said: dict[str, str]
) -> None:
    account = league.riders["Gao Lan"]
    stranger.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)

    driven = stranger.post("/wallet/limits/freeze", data={}, headers={"authorization": "Basic eDp4"} | said)

    assert (driven.status_code, driven.json()["code"]) == (403, "web.cross_site")
    with ctx.tx() as tx:
        assert (
            approval.find_freeze(tx, ctx.directory.partition_of(account.account_id), account.account_id)
            is None
        )


def test_no_browser_or_proxy_keeps_what_is_one_persons(stranger: Client, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    stranger.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)

    for path in (
        "/v1/me", "/v1/transfers", "/v1/payments", "/v1/me/phones", "/v1/limits?currency=CNY", "/v1/tickets",
        f"/v1/wallets/{account.account_id}", "/wallet/money", "/wallet/pay", "/wallet/limits", "/wallet/statement",
        "/wallet/me", "/merchant/", "/wallet/me/export",
    ):  # fmt: skip
        answer = stranger.get(path)
        assert answer.headers["cache-control"] == "no-store", (path, answer.status_code, answer.headers)
