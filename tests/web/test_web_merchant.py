"""The shops' pages and their interface: asking, scanning, refunding, a day on paper, people, tickets."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import codes, merchants, trust
from hansa.codes import emvco
from hansa.kernel import Money, new_id
from hansa.payments.payment_codes_shown import find_shown
from hansa.store import Context
from merchants import shops
from merchants.shops import SHOP, Town
from payments.test_payment_codes_used import PayingPhone
from scratch import NOON

Client = TestClient[Any]
AT = f"/merchant/{SHOP}"


@pytest.fixture
def town(ctx: Context, home: Path) -> Town:
    return shops.build(ctx, home)


@pytest.fixture
def owner(client: Client, town: Town) -> Client:
    sign_in(client, town, "Gao Lan")
    return client


def sign_in(client: Client, town: Town, name: str) -> None:
    account = town.league.riders[name]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return unescape(found[1])


def test_a_shop_is_asked_for_on_a_page_and_opened_on_another(client: Client, town: Town) -> None:
    sign_in(client, town, "Qian Qing")
    form = client.get("/merchant/apply").text
    wanted = {
        "merchant_id": hidden(form, "merchant_id"),
        "member_id": "hangzhou-card",
        "name": "Noodles",
        "category": "5812",
        "address": "2 Nanshan Road",
    }

    refused = client.post("/merchant/apply", data=wanted | {"name": "面"}, follow_redirects=False)
    assert refused.status_code == 422 and "Latin letters" in refused.text
    asked = client.post("/merchant/apply", data=wanted, follow_redirects=True)
    assert "has not opened this shop yet" in asked.text
    waiting = client.get("/console/shops").text
    assert "Noodles" in waiting
    desk = f"/console/shops/{wanted['merchant_id']}"
    unfit = client.post(desk, data={"do": "refuse", "reason": " "}, follow_redirects=False)
    assert unfit.status_code == 422 and "Noodles" in client.get("/console/shops").text
    client.post(desk, data={"do": "open", "fee_bp": "50", "reason": "licence seen"})
    assert "Noodles" not in client.get("/console/shops").text

    till = client.get(f"/merchant/{wanted['merchant_id']}").text
    assert "Ask to be paid" in till
    with town.ctx.tx() as tx:
        assert merchants.get_merchant(tx, UUID(wanted["merchant_id"])).fee_bp == 50


def test_the_till_shows_a_code_and_then_that_it_is_paid(owner: Client, town: Town) -> None:
    form = owner.get(AT).text
    data = {"order_id": hidden(form, "order_id"), "amount": "12,50", "bill": "B-9"}

    shown = owner.post(f"{AT}/orders", data=data, follow_redirects=True)
    again = owner.post(f"{AT}/orders", data=data, follow_redirects=True)
    assert str(shown.url) == str(again.url) and "Waiting to be scanned" in shown.text
    text = re.search(r"data-code-text>([^<]+)<", shown.text)
    assert text is not None
    code = emvco.read_merchant_code(unescape(text[1]), strict=True)
    assert (code.money, code.additional.bill_number) == (Money(12_50, "CNY"), "B-9")
    assert find_shown(code) is not None
    assert "appear here" in owner.get(f"{AT}/sales").text

    merchants.pay_order(town.ctx, UUID(data["order_id"]), town.asker())

    assert "Paid" in owner.get(f"{AT}/orders/{data['order_id']}/state").text
    assert "¥12.50" in owner.get(f"{AT}/sales").text
    for wrong in ("", "0", "1,234.5.6", "x"):
        refused = owner.post(f"{AT}/orders", data=data | {"order_id": str(new_id()), "amount": wrong})
        assert refused.status_code == 422 and 'role="alert"' in refused.text


def test_a_customers_code_is_taken_and_a_ride_code_is_not(owner: Client, town: Town) -> None:
    phone = PayingPhone(town.ctx, town.league, "Qian Qing")
    form = owner.get(f"{AT}/scan")
    assert "'wasm-unsafe-eval'" in form.headers["content-security-policy"]
    data = {"form_id": hidden(form.text, "form_id"), "amount": "7.50", "text": phone.ride_code()}

    refused = owner.post(f"{AT}/scan", data=data)
    assert refused.status_code == 422 and "no Hansa payment code" in refused.text
    taken = owner.post(f"{AT}/scan", data=data | {"text": phone.pay_code()}, follow_redirects=True)

    assert "Paid" in taken.text and "¥7.50" in taken.text
    assert town.balance(phone.account.account_id) == Money(92_50, "CNY")


def test_an_owner_gives_money_back_and_a_cashier_does_not(owner: Client, town: Town) -> None:
    sale = merchants.pay_order(town.ctx, town.order(minor=10_00).order_id, town.asker()).sale
    form = owner.get(f"{AT}/sales/{sale.payment_id}").text
    data = {"refund_id": hidden(form, "refund_id"), "amount": "4", "reason": "Cold tea"}
    too_much = owner.post(f"{AT}/sales/{sale.payment_id}/refund", data=data | {"amount": "10.01"})
    assert too_much.status_code == 422 and "is left of this sale" in too_much.text

    for _ in range(2):
        owner.post(f"{AT}/sales/{sale.payment_id}/refund", data=data)

    assert town.balance(town.buyer.account_id) == Money(94_00, "CNY")
    link = owner.post(f"{AT}/people", data={"role": "cashier"}).text
    secret = re.search(r"/merchant/join/([\w-]+)<", link)
    assert secret is not None
    sign_in(owner, town, "Qian Qing")
    assert owner.get(AT).status_code == 404
    assert "as cashier" in owner.get(f"/merchant/join/{secret[1]}").text
    owner.post(f"/merchant/join/{secret[1]}")
    assert "Ask to be paid" in owner.get(AT).text
    assert "An owner of the shop gives money back" in owner.get(f"{AT}/sales/{sale.payment_id}").text
    more = data | {"refund_id": str(new_id())}
    assert owner.post(f"{AT}/sales/{sale.payment_id}/refund", data=more).status_code == 403
    assert owner.get(f"{AT}/day").status_code == 403
    assert town.balance(town.buyer.account_id) == Money(94_00, "CNY")


def test_a_day_is_read_as_page_csv_and_paper(owner: Client, town: Town) -> None:
    merchants.pay_order(town.ctx, town.order(minor=10_00, bill_number="=1+1").order_id, town.asker())

    page = owner.get(f"{AT}/day")
    csv = owner.get(f"{AT}/day.csv")
    pdf = owner.get(f"{AT}/day.pdf")

    assert "¥10.00" in page.text and "¥9.94" in page.text and "18 Nov 2026" in page.text
    assert "'=1+1" in csv.text and csv.headers["content-type"].startswith("text/csv")
    assert pdf.content.startswith(b"%PDF") and pdf.content == owner.get(f"{AT}/day.pdf").content
    assert "Nothing was sold" in owner.get(f"{AT}/day?day=2026-11-16").text
    assert owner.get(f"{AT}/day?day=yesterday").status_code == 422


def test_the_counters_code_is_a_page_to_print_and_a_picture(owner: Client, town: Town) -> None:
    owner.post(f"{AT}/tills", data={"label": "T1"})

    poster = owner.get(f"{AT}/poster?till=T1&size=a6")
    svg = owner.get(f"{AT}/code.svg?till=T1")

    assert "西湖茶庄" in poster.text and 'class="poster a6"' in poster.text
    text = re.search(r"data-code-text>([^<]+)<", poster.text)
    assert text is not None
    assert emvco.read_merchant_code(unescape(text[1]), strict=True).additional.terminal_label == "T1"
    assert svg.text.startswith("<svg") and svg.headers["content-type"].startswith("image/svg+xml")
    owner.post(f"{AT}/tills", data={"close": "T1"})
    assert "T1" not in owner.get(AT).text


def test_tickets_are_offered_on_a_page_and_read_at_the_door(owner: Client, town: Town) -> None:
    form = owner.get(f"{AT}/tickets").text
    data = {"product_id": hidden(form, "product_id"), "name": "Pagoda", "adult": "4", "child": "2"}
    assert owner.post(f"{AT}/tickets", data=data | {"adult": "x"}).status_code == 422
    owner.post(f"{AT}/tickets", data=data | {"entries": "1", "refund_hours": "2"})
    slots = {"day": "2026-11-18", "first": "09:00", "last": "12:00", "minutes": "60", "capacity": "5"}
    assert (
        owner.post(f"{AT}/tickets/{data['product_id']}/slots", data=slots | {"last": "08"}).status_code == 422
    )
    owner.post(f"{AT}/tickets/{data['product_id']}/slots", data=slots)

    assert owner.get(f"{AT}/tickets").text.count("<tr><td>") == 3
    phone = PayingPhone(town.ctx, town.league, "Qian Qing")
    with town.ctx.tx() as tx:
        slot = merchants.list_slots(tx, UUID(data["product_id"]), first=NOON, last=NOON + timedelta(days=2))[
            0
        ]
    order = merchants.order_tickets(
        town.ctx,
        new_id(),
        slot.slot_id,
        account_id=phone.account.account_id,
        wanted={"child": 1},
        made_by="x",
    )
    merchants.pay_order(town.ctx, order.order_id, town.asker())
    with town.ctx.tx() as tx:
        (ticket,) = merchants.list_tickets(tx, phone.account.account_id)
        given = merchants.give_token(
            tx, town.league.keys, ticket.ticket_id, phone.account.account_id, phone.phone_id, NOON
        )
    town.ctx.clock.at = slot.starts_at  # pyright: ignore[reportAttributeAccessIssue]
    sign_in(owner, town, "Gao Lan")
    shown = codes.make_ticket_code(phone.key.private, given.token, made_at=slot.starts_at, counter=1)

    first = owner.post(f"{AT}/entry/read", json={"text": shown}).json()
    again = owner.post(f"{AT}/entry", data={"text": shown}).text

    assert (first["accepted"], first["words"]) == (True, "child · 0 entries left")
    assert 'data-state="refused"' in again and "replay" in again
    with town.ctx.tx() as tx:
        assert merchants.get_ticket(tx, ticket.ticket_id, phone.account.account_id).used == 1


def test_strangers_see_nothing_of_a_shop(client: Client, town: Town) -> None:
    sale = merchants.pay_order(town.ctx, town.order().order_id, town.asker()).sale
    pages = ["", "/scan", "/poster", "/code.svg", "/day", "/day.csv", "/people", "/tickets", "/entry"]
    pages += [f"/sales/{sale.payment_id}", f"/orders/{sale.order_id}", "/sales"]
    assert client.get(f"{AT}/sales").status_code == 401
    sign_in(client, town, "Qian Qing")
    for path in pages:
        assert client.get(AT + path).status_code == 404, path
    for path, data in [("/orders", {"order_id": str(new_id()), "amount": "1"}), ("/entry", {"text": "x"})]:
        assert client.post(AT + path, data=data).status_code == 404, path


# -- the interface ------------------------------------------------------------------------------------------


@pytest.fixture
def key(town: Town) -> dict[str, str]:
    """The acquirer's own key."""
    with town.ctx.tx() as tx:
        secret = trust.create_api_key(tx, "hangzhou-card", ["merchants:read", "merchants:write"])
    return {"authorization": f"Bearer {secret}"}


def test_an_acquirer_asks_to_be_paid_and_takes_codes_over_http(
    client: Client, town: Town, key: dict[str, str]
) -> None:
    body = {"merchant_id": str(SHOP), "amount": {"minor": 5_00, "currency": "CNY"}, "tip_kind": "prompt"}
    assert client.post("/v1/qr-orders", json=body, headers=key).status_code == 400
    keyed = key | {"idempotency-key": "order-1"}

    made = [client.post("/v1/qr-orders", json=body, headers=keyed) for _ in range(2)]
    other = client.post("/v1/qr-orders", json=body | {"till": "T2"}, headers=keyed)

    assert made[0].json() == made[1].json() and made[0].json()["state"] == "open"
    assert other.status_code == 422 and other.json()["code"] == "store.key_reused"
    order_id = made[0].json()["qr_order_id"]
    merchants.pay_order(town.ctx, UUID(order_id), town.asker(), tip_minor=50)
    read = client.get(f"/v1/qr-orders/{order_id}", headers=key).json()
    assert (read["state"], read["code"][:6]) == ("paid", "000201")
    phone = PayingPhone(town.ctx, town.league, "Qian Qing")
    code = phone.pay_code()
    assert client.post("/v1/payment-codes/look", json={"payment_code": code}, headers=key).json()["issuer_id"]
    sent = {"payment_code": code, "amount": {"minor": 2_00, "currency": "CNY"}}
    taken = [
        client.post(f"/v1/merchants/{SHOP}/payments", json=sent, headers=key | {"idempotency-key": name})
        for name in ("pay-1", "pay-1", "pay-2")
    ]
    assert taken[0].json() == taken[1].json() and taken[0].json()["state"] == "paid"
    assert (taken[2].status_code, taken[2].json()["code"]) == (409, "payments.code_used")
    listed = client.get(f"/v1/merchants/{SHOP}/sales", headers=key).json()["sales"]
    assert sorted(one["amount"]["minor"] for one in listed) == [2_00, 5_50]
    back = client.post(
        f"/v1/merchants/{SHOP}/sales/{listed[0]['payment_id']}/refunds",
        json={"minor": 1_00, "reason": "x"},
        headers=key | {"idempotency-key": "back-1"},
    )
    assert back.json()["state"] == "done"
    day = client.get(f"/v1/merchants/{SHOP}/day", headers=key).json()
    assert (day["sold_minor"], day["refunded_minor"], day["tips_minor"]) == (7_50, 1_00, 50)


def test_another_acquirer_and_a_signed_out_person_get_nothing(
    client: Client, stranger: Client, town: Town
) -> None:
    with town.ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-card", ["merchants:read", "merchants:write"])
    foreign = {"authorization": f"Bearer {secret}", "idempotency-key": "k"}
    body = {"merchant_id": str(SHOP), "amount": {"minor": 1, "currency": "CNY"}}

    assert client.get(f"/v1/merchants/{SHOP}", headers=foreign).status_code == 404
    assert client.get("/v1/merchants", headers=foreign).json()["merchants"] == []
    assert client.post("/v1/qr-orders", json=body, headers=foreign).status_code == 404
    assert stranger.post("/v1/qr-orders", json=body, headers={"idempotency-key": "k"}).status_code == 401
    assert stranger.get("/v1/tickets").status_code == 401
    assert stranger.get("/v1/ticket-products?city=hangzhou").json() == {"products": []}
    with town.ctx.tx() as tx:
        assert merchants.list_orders(tx, SHOP) == []
