"""Entry tickets in the wallet: found by city, bought for a time, put on a phone, given back by the rule."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import audit, merchants
from hansa.kernel import Money, new_id
from hansa.store import Context
from merchants import shops
from merchants.shops import Town
from payments.test_payment_codes_used import PayingPhone

Client = TestClient[Any]


@pytest.fixture
def town(ctx: Context, home: Path) -> Town:
    return shops.build(ctx, home)


@pytest.fixture
def buyer(client: Client, town: Town) -> Client:
    data = {"account_id": str(town.buyer.account_id)}
    client.post("/wallet/sign-in", data=data, follow_redirects=False)
    return client


def test_a_ticket_is_bought_shown_on_one_phone_and_given_back(buyer: Client, town: Town) -> None:
    product = shops.pagoda(town, capacity=3)
    phone = PayingPhone(town.ctx, town.league, "Qian Qing")
    offered = buyer.get("/wallet/tickets?city=hangzhou").text
    assert f"/wallet/tickets/buy/{product.product_id}" in offered and "You have no tickets" in offered
    page = unescape(buyer.get(f"/wallet/tickets/buy/{product.product_id}").text)
    slot = re.findall(r'name="slot" value="([^"]+)"', page)[0]
    order_id = re.findall(r'name="order_id" value="([^"]+)"', page)[0]
    form = {"order_id": order_id, "slot": slot, "child": "2", "adult": "0"}
    for wrong in ({"child": "0"}, {"senior": "1"}, {"child": "4"}):
        refused = buyer.post(f"/wallet/tickets/buy/{product.product_id}", data=form | wrong)
        assert refused.status_code == 422 and 'role="alert"' in refused.text

    taken = [
        buyer.post(f"/wallet/tickets/buy/{product.product_id}", data=form, follow_redirects=False)
        for _ in range(2)
    ]
    assert {one.headers["location"] for one in taken} == {f"/wallet/pay/order/{order_id}"}
    done = buyer.post(f"/wallet/pay/order/{order_id}", data={}, follow_redirects=True)
    assert "Show the ticket" in done.text
    assert town.balance(town.buyer.account_id) == Money(96_00, "CNY")

    with town.ctx.tx() as tx:
        ticket, other = merchants.list_tickets(tx, town.buyer.account_id)
    at = f"/wallet/tickets/{ticket.ticket_id}"
    assert "0 of 1 used" in buyer.get(at).text and str(other.ticket_id) in buyer.get(at).text
    given = buyer.post(f"{at}/token", json={"phone_id": str(phone.phone_id)})
    assert (
        given.status_code == 200
        and given.json() == buyer.post(f"{at}/token", json={"phone_id": str(phone.phone_id)}).json()
    )
    assert buyer.post(f"{at}/token", json={"phone_id": str(new_id())}).status_code == 404

    back = [buyer.post(f"{at}/return", follow_redirects=False) for _ in range(2)]

    assert [one.status_code for one in back] == [303, 303]
    assert "given back" in buyer.get(at).text
    assert town.balance(town.buyer.account_id) == Money(98_00, "CNY")
    assert buyer.post(f"{at}/token", json={"phone_id": str(phone.phone_id)}).status_code == 409


def test_an_owner_sells_something_no_more_and_what_is_sold_stays_good(client: Client, town: Town) -> None:
    product = shops.pagoda(town)
    shop, other = f"/merchant/{town.shop.merchant_id}", f"/v1/ticket-products/{product.product_id}"
    with town.ctx.tx() as tx:
        slot, later = merchants.list_slots(
            tx, product.product_id, first=product.made_at, last=product.made_at.replace(hour=20)
        )
    first, paying = new_id(), new_id()
    for one in (first, paying):
        merchants.order_tickets(
            town.ctx, one, slot.slot_id, account_id=town.buyer.account_id, wanted={"adult": 1}, made_by="x"
        )
    merchants.pay_order(town.ctx, first, town.asker("Qian Qing"))
    buy, end = f"/wallet/tickets/buy/{product.product_id}", f"{shop}/tickets/{product.product_id}/end"
    client.post("/wallet/sign-in", data={"account_id": str(town.buyer.account_id)})
    assert client.post(end).status_code == 404 and client.post(f"{other}/end").status_code == 404
    assert client.get(buy).status_code == 200, "whom the shop is not of ends nothing"
    client.post("/wallet/sign-in", data={"account_id": str(town.owner.account_id)})
    assert end in client.get(f"{shop}/tickets").text
    assert client.post(f"{shop}/tickets/{new_id()}/end").status_code == 404

    ended = client.post(end).text

    assert "Pagoda is sold no more." in ended and end not in ended
    assert client.post(f"{other}/end").json()["product_id"] == str(product.product_id), (
        "again changes nothing"
    )
    client.post("/wallet/sign-in", data={"account_id": str(town.buyer.account_id)})
    assert buy not in client.get("/wallet/tickets?city=hangzhou").text
    gone = [client.get(buy), client.get(f"{other}/slots")]
    form = {"order_id": str(new_id()), "slot": str(later.slot_id), "adult": "1"}
    assert [one.status_code for one in gone] == [404, 404] and client.post(buy, data=form).status_code == 404
    merchants.pay_order(town.ctx, paying, town.asker("Qian Qing"))
    with town.ctx.tx() as tx:
        assert [one.state for one in merchants.list_tickets(tx, town.buyer.account_id)] == ["valid"] * 2
        told = [(act.actor, act.action) for act in audit.search(tx, action="merchants.product-end")]
        with pytest.raises(merchants.UnknownProduct):
            merchants.add_slots(
                tx, product.product_id, [(later.ends_at, later.ends_at + timedelta(hours=1), 5)]
            )
    assert told == [(f"person:{town.owner.account_id}", "merchants.product-end")]


def test_anothers_ticket_is_not_there(buyer: Client, town: Town) -> None:
    product = shops.pagoda(town)
    with town.ctx.tx() as tx:
        slot = merchants.list_slots(
            tx, product.product_id, first=product.made_at, last=product.made_at.replace(hour=20)
        )[0]
    order = merchants.order_tickets(
        town.ctx, new_id(), slot.slot_id, account_id=town.owner.account_id, wanted={"adult": 1}, made_by="x"
    )
    merchants.pay_order(town.ctx, order.order_id, town.asker("Gao Lan"))
    with town.ctx.tx() as tx:
        (ticket,) = merchants.list_tickets(tx, town.owner.account_id)
    at = f"/wallet/tickets/{ticket.ticket_id}"

    assert buyer.get(at).status_code == 404
    assert buyer.post(f"{at}/return").status_code == 404
    assert buyer.post(f"{at}/token", json={"phone_id": str(new_id())}).status_code == 404
    with town.ctx.tx() as tx:
        assert merchants.get_ticket(tx, ticket.ticket_id, town.owner.account_id).state == "valid"
