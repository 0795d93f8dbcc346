"""Who spends from another's wallet: orders, counters, codes, money to people, the interface; both read who did."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, clearing, merchants, notifications, payments, wallets
from hansa.kernel import FixedClock, Money, new_id
from hansa.store import Context
from merchants import shops
from merchants.shops import SHOP, Town
from notifications.hearing import hear_here
from payments.test_payment_codes_used import PayingPhone
from scratch import NOON
from web.test_web_merchant import hidden, sign_in
from web.test_web_quotes import form_of

Client = TestClient[Any]
OWNER, DELEGATE, STRANGER = "Qian Qing", "Emily Tremblay", "Omar Singh"


@pytest.fixture
def town(ctx: Context, home: Path) -> Any:
    """A town in which an owner lets a delegate spend CNY 40 at once, since yesterday."""
    town = shops.build(ctx, home)
    clearing.open_positions(ctx, [("toronto-card", "hangzhou-card", "CNY")])
    assert isinstance(ctx.clock, FixedClock)
    approval.grant_delegation(
        ctx,
        town.league.riders[OWNER].account_id,
        approval.NewDelegation(
            delegation_id=new_id(), delegate_id=town.league.riders[DELEGATE].account_id, kind="carer", currency="CNY",
            payment_minor=40_00, day_minor=60_00, month_minor=90_00, ends_at=NOON + timedelta(days=30),
        ),
    )  # fmt: skip
    ctx.clock.at += timedelta(days=1, minutes=1)
    yield town
    ctx.clock.at = NOON


def account(town: Town, name: str) -> Any:
    return town.league.riders[name].account_id


def test_a_delegate_pays_orders_and_counters_from_the_owners_wallet_and_both_read_who_did(
    client: Client, town: Town
) -> None:
    owner, delegate = account(town, OWNER), account(town, DELEGATE)
    own_before = town.balance(delegate)
    order, shut = town.order(1, 5_00), town.order(2, 41_00)
    from_owner = {"owner_id": str(owner)}
    sign_in(client, town, STRANGER)
    thief = client.post(f"/wallet/pay/order/{order.order_id}", data=from_owner)
    assert thief.status_code == 422 and town.read_order(order).state == "open"

    sign_in(client, town, DELEGATE)
    page = client.get(f"/wallet/pay/order/{order.order_id}").text
    assert "The wallet of Qian Qing: up to ¥40.00" in page
    done = [
        client.post(f"/wallet/pay/order/{order.order_id}", data=from_owner, follow_redirects=True)
        for _ in range(2)
    ]
    over = client.post(f"/wallet/pay/order/{shut.order_id}", data=from_owner, follow_redirects=True)
    counter = client.get(f"/wallet/pay/shop/{SHOP}").text
    form = {"form_id": hidden(counter, "form_id"), "amount": "3", **from_owner}
    bought = client.post(f"/wallet/pay/shop/{SHOP}", data=form, follow_redirects=True)

    assert "Paid from the wallet of Qian Qing" in done[0].text and "¥5.00" in done[0].text
    assert done[1].status_code == 422  # it is paid
    assert "Not paid" in over.text and "more than the owner lets you spend" in over.text
    assert town.read_order(shut).state == "open"
    assert "Paid from the wallet of Qian Qing" in bought.text
    assert town.balance(owner) == Money(92_00, "CNY") and town.balance(delegate) == own_before
    granted = client.get("/wallet/delegations").text
    assert "Left now: ¥40.00 in one payment, ¥52.00 today, ¥82.00 this month." in granted
    assert "西湖茶庄" in granted and "¥5.00" in granted

    sign_in(client, town, OWNER)
    assert "Emily Tremblay paid this from your wallet" in client.get(str(bought.url)).text
    assert "西湖茶庄, by Emily Tremblay" in client.get("/wallet/statement").text
    hear_here(town.ctx)
    with town.ctx.tx() as tx:
        told = notifications.list_notices(tx, owner, partition=0)
    assert [one.facts["who"] for one in told if one.kind == "payment.delegate"] == ["Emily T."] * 2
    sign_in(client, town, STRANGER)
    assert client.get(str(bought.url)).status_code == 404


def test_codes_pay_from_the_wallet_that_was_chosen_and_nothing_once_its_owner_ends_it(
    client: Client, town: Town
) -> None:
    owner, delegate = account(town, OWNER), account(town, DELEGATE)
    sign_in(client, town, STRANGER)
    assert client.post("/wallet/pay/code/from", data={"owner_id": str(owner)}).status_code == 409
    sign_in(client, town, DELEGATE)
    page = client.post("/wallet/pay/code/from", data={"owner_id": str(owner)}, follow_redirects=True).text
    assert "Your codes pay from the wallet of Qian Qing." in page
    phone = PayingPhone(town.ctx, town.league, DELEGATE)

    text, form = phone.pay_code(), new_id()
    first, again = (
        merchants.pay_by_code(town.ctx, form, SHOP, text, amount_minor=7_00, made_by="person:till")
        for _ in range(2)
    )

    assert first.sale.payment_id == again.sale.payment_id and first.sale.state == "paid"
    assert (first.sale.payer, first.sale.spender) == (owner, delegate)
    assert town.balance(owner) == Money(93_00, "CNY")
    assert "¥7.00" in client.get("/wallet/pay/code/paid").text
    with town.ctx.tx() as tx:
        (lent,) = approval.list_delegations(tx, 0, owner)
    approval.revoke_delegation(town.ctx, lent.delegation_id, owner, owner)
    refused = merchants.pay_by_code(
        town.ctx, new_id(), SHOP, phone.pay_code(), amount_minor=1_00, made_by="person:till"
    )
    assert refused.sale.state == "failed" and town.balance(owner) == Money(93_00, "CNY")
    assert "does not let you spend now" in client.get("/wallet/pay/code").text
    # What paid before is found again with the wallet that it was paid from.
    third = merchants.pay_by_code(town.ctx, form, SHOP, text, amount_minor=7_00, made_by="person:till")
    assert third.sale.payment_id == first.sale.payment_id


def test_a_delegate_sends_to_others_and_never_to_themselves_or_by_a_link(
    ctx: Context, client: Client, town: Town
) -> None:
    owner, delegate, friend = (account(town, one) for one in (OWNER, DELEGATE, STRANGER))

    def sending(**more: Any) -> wallets.Transfer:
        said: dict[str, Any] = {
            "transfer_id": new_id(), "sender_id": owner, "spender_id": delegate, "receiver_id": friend,
            "amount": Money(6_00, "CNY"), "session_at": ctx.clock.now(),
        }  # fmt: skip
        return wallets.transfers.send(ctx, wallets.NewTransfer(**said | more))

    for wrong, error in (
        ({"receiver_id": delegate}, approval.DelegationExceeded),
        ({"receiver_id": None}, approval.DelegationExceeded),
        ({"spender_id": friend, "receiver_id": delegate}, approval.NotDelegated),
        ({"amount": Money(40_01, "CNY")}, approval.DelegationExceeded),
    ):
        with pytest.raises(error):
            sending(**wrong)
    assert town.balance(owner) == Money(100_00, "CNY")

    sign_in(client, town, DELEGATE)
    assert "The wallet of Qian Qing: up to ¥40.00" in client.get("/wallet/send").text
    form = {"receiver_id": str(friend), "amount": "6", "currency": "CNY", "owner_id": str(owner)}
    check = client.post("/wallet/send/check", data=form).text
    assert "From the wallet of" in check and "¥34.00" in check and "¥94.00" not in check
    sent = client.post("/wallet/send", data=form_of(check, "/wallet/send"), follow_redirects=True)
    assert sent.url.path.startswith("/wallet/approvals/"), "a person who is new needs the delegate's PIN"
    with ctx.tx() as tx:
        asked = approval.list_open(tx, delegate, ctx.clock.now())
        assert [one.approver_id for one in asked] == [delegate] and asked[0].account_id == owner
    transfer_id = asked[0].subject_id
    assert "From the wallet of" in client.get(f"/wallet/transfers/{transfer_id}").text
    listed = client.get(f"/v1/transfers/{transfer_id}").json()
    assert (listed["sender_id"], listed["spender_id"]) == (str(owner), str(delegate))
    sign_in(client, town, STRANGER)
    assert client.get(f"/wallet/transfers/{transfer_id}").status_code == 404


def test_the_interface_pays_orders_and_payments_from_a_lent_wallet(client: Client, town: Town) -> None:
    owner, order = str(account(town, OWNER)), town.order(1, 5_00)
    sign_in(client, town, STRANGER)
    thief = client.post(
        f"/v1/qr-orders/{order.order_id}/pay", json={"owner_id": owner}, headers={"Idempotency-Key": "a"}
    )
    asked = {"payee_id": town.shop.payee_id, "amount": {"minor": 300, "currency": "CNY"}, "payer": owner}
    other = client.post("/v1/payments", json=asked, headers={"Idempotency-Key": "a"})
    assert (thief.status_code, thief.json()["code"]) == (409, "approval.not_delegated")
    assert (other.status_code, other.json()["code"]) == (409, "approval.not_delegated")
    with town.ctx.tx() as tx:
        assert payments.list_payments(tx, payer=account(town, OWNER)) == []

    sign_in(client, town, DELEGATE)
    bought = client.post(
        f"/v1/qr-orders/{order.order_id}/pay", json={"owner_id": owner}, headers={"Idempotency-Key": "b"}
    ).json()
    paid = client.post("/v1/payments", json=asked, headers={"Idempotency-Key": "b"}).json()

    assert bought["state"] == "begun" and bought["approve_at"].startswith("/wallet/approvals/")
    assert (bought["payer_id"], bought["spender_id"]) == (owner, str(account(town, DELEGATE)))
    assert paid["state"] == "requires_approval"
    assert client.get(f"/v1/payments/{paid['payment_id']}").status_code == 200
    with town.ctx.tx() as tx:
        waiting = approval.list_open(tx, account(town, DELEGATE), town.ctx.clock.now())
    assert len(waiting) == 2
