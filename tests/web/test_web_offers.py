"""What a shop asks for online is paid by whoever comes, once; or by somebody whom an owner lets spend."""

import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from litestar.testing import TestClient

from hansa import approval, clearing, merchants, notifications, payments, trust, wallets
from hansa.kernel import FixedClock, Money, new_id
from hansa.payments import Payment, PaymentState
from hansa.store import Context
from merchants import shops
from merchants.shops import SHOP, Town
from notifications.hearing import hear_here
from scratch import NOON
from web.test_web_approval import later
from web.test_web_merchant import sign_in
from web.test_web_quotes import form_of

Client = TestClient[Any]


@pytest.fixture
def town(ctx: Context, home: Path) -> Town:
    return shops.build(ctx, home)


def offer(town: Town, minor: int = 2_00) -> Payment:
    """What the shop asks for, of nobody yet."""
    (made,) = payments.create(
        town.ctx,
        [
            payments.NewPayment(
                payment_id=new_id(),
                payee_id=town.shop.payee_id,
                amount=Money(minor, "CNY"),
                by="shop",
                description="A <b>box</b>",
                expires_at=town.ctx.clock.now() + timedelta(days=3),
            )
        ],
    )
    assert isinstance(made, Payment)
    return made


def test_an_address_of_a_payment_leads_to_it_and_it_is_paid_once_by_one(client: Client, town: Town) -> None:
    asked = offer(town)
    sign_in(client, town, "Qian Qing")
    page = client.get(f"/wallet/pay?payment={asked.payment_id}", follow_redirects=True)
    assert "¥2.00" in page.text and "A &lt;b&gt;box&lt;/b&gt;" in page.text

    address = f"/wallet/pay/offer/{asked.payment_id}"
    done = [client.post(address, data={}, follow_redirects=True) for _ in range(2)]

    assert all("This is paid." in one.text for one in done)
    assert town.balance(town.buyer.account_id) == Money(98_00, "CNY")
    sign_in(client, town, "Emily Tremblay")
    assert client.get(f"/wallet/pay/offer/{asked.payment_id}").status_code == 404
    assert client.post(f"/wallet/pay/offer/{asked.payment_id}", data={}).status_code == 404


def test_a_delegate_pays_from_an_owners_wallet_within_its_caps_and_nobody_else_does(
    ctx: Context, client: Client, town: Town
) -> None:
    owner, carer = town.buyer.account_id, town.league.riders["Emily Tremblay"].account_id
    assert isinstance(ctx.clock, FixedClock)
    approval.grant_delegation(
        ctx,
        owner,
        approval.NewDelegation(
            delegation_id=new_id(), delegate_id=carer, kind="carer", currency="CNY", payment_minor=3_00,
            day_minor=4_00, month_minor=10_00, ends_at=NOON + timedelta(days=30),
        ),
    )  # fmt: skip
    first, large, third = offer(town), offer(town, 3_01), offer(town, 2_01)
    sign_in(client, town, "Emily Tremblay")
    early = client.post(f"/wallet/pay/offer/{first.payment_id}", data={"owner_id": str(owner)})
    assert early.status_code == 422
    ctx.clock.at += timedelta(days=1, minutes=1)
    sign_in(client, town, "Emily Tremblay")
    assert "The wallet of Qian Qing" in client.get(f"/wallet/pay/offer/{first.payment_id}").text

    paid = client.post(
        f"/wallet/pay/offer/{first.payment_id}", data={"owner_id": str(owner)}, follow_redirects=True
    )
    over = [
        client.post(f"/wallet/pay/offer/{one.payment_id}", data={"owner_id": str(owner)})
        for one in (large, third)
    ]
    sign_in(client, town, "Omar Singh")
    thief = client.post(f"/wallet/pay/offer/{large.payment_id}", data={"owner_id": str(owner)})

    assert "This is paid." in paid.text
    assert [one.status_code for one in over] == [422, 422] and thief.status_code == 422
    assert town.balance(owner) == Money(98_00, "CNY")
    with ctx.tx() as tx:
        for one in (large, third):
            assert payments.get_payment(tx, one.payment_id).state is PaymentState.CREATED
    ctx.clock.at = NOON


def test_an_offer_and_a_request_are_paid_from_another_currency_by_the_quote_that_was_shown(
    client: Client, town: Town
) -> None:
    payer = town.league.riders["Omar Singh"].account_id
    clearing.open_positions(town.ctx, [("toronto-card", "hangzhou-card", "CNY")])
    asked = offer(town, 51_20)
    sign_in(client, town, "Omar Singh")
    page = client.get(f"/wallet/pay/offer/{asked.payment_id}").text
    there = f"/wallet/quote/offer/{asked.payment_id}"
    assert f'formaction="{there}"' in page
    before = town.balance(payer)
    shown = unescape(client.post(there, data={}).text)
    assert "CA$10.05" in shown and "¥51.20" in shown

    paid = client.post(f"{there}/pay", data=form_of(shown, f"{there}/pay"), follow_redirects=True)

    assert "This is paid." in paid.text and "Left the wallet" in paid.text and "CA$10.05" in paid.text
    assert before - town.balance(payer) == Money(10_05, "CAD")
    hear_here(town.ctx)
    with town.ctx.tx() as tx:
        told = [one.facts for one in notifications.list_notices(tx, payer) if one.kind == "payment.paid"]
    assert told[0]["amount"] == {"minor": 10_05, "currency": "CAD"}

    request = wallets.requests.ask(
        town.ctx,
        wallets.NewRequest(
            request_id=new_id(), asker_id=town.buyer.account_id, payer_id=payer, amount=Money(5_00, "CNY")
        ),
    )
    there = f"/wallet/quote/request/{request.request_id}"
    assert f'formaction="{there}"' in client.get(f"/wallet/requests/{request.request_id}").text
    shown = client.post(there, data={}).text
    sent = client.post(f"{there}/pay", data=form_of(shown, f"{there}/pay"), follow_redirects=True)
    assert sent.url.path.startswith("/wallet/approvals/")
    with town.ctx.tx() as tx:
        (transfer,) = wallets.transfers.list_sent(tx, payer)
    assert transfer.request_id == request.request_id and transfer.pays.currency == "CAD"
    page = client.get(f"/wallet/transfers/{transfer.transfer_id}").text
    assert str(transfer.pays) in unescape(page) and "¥5.00" in page and "They get" in page
    quotes = client.get("/v1/quotes?limit=1").json()
    assert quotes["next"] and len(client.get(f"/v1/quotes?after={quotes['next']}").json()["quotes"]) == 1


ELSEWHERE = (
    "https://evil.example/x", "https://shop.example.evil.example/", "https://shop.example@evil.example/",
        "https://shop.example:8443/", "http://shop.example/", "//shop.example/", "https://shop.example\\@evil.example",
        "javascript:alert(1)", "https://shop.example/#x", "https://shop.example/\u0430", "https://shop.examplex/",
        " https://shop.example/", "https://SHOP.example/",
)  # fmt: skip
"""Addresses that are not on https://shop.example, or are written in another way."""


def test_a_customer_goes_back_to_the_shops_own_sites_and_to_no_other(client: Client, town: Town) -> None:
    at = town.ctx.clock.now()
    with town.ctx.tx() as tx:
        merchants.set_return_origins(tx, town.shop.payee_id, ["https://Shop.example:443/"], by="x", at=at)
    asked = offer(town)
    sign_in(client, town, "Qian Qing")

    for address in ELSEWHERE:
        page = client.get("/wallet/pay", params={"payment": str(asked.payment_id), "return_to": address}).text
        assert "without paying" not in page, address
        assert not any(
            "evil" in one or "shop.example" in one for one in re.findall(r'href="([^"]*)"', page)
        ), address

    good = client.get(
        "/wallet/pay", params={"payment": str(asked.payment_id), "return_to": "https://shop.example/t?n=7"}
    )
    way = f'href="https://shop.example/t?n=7&amp;payment_id={asked.payment_id}"'
    assert way in good.text and "Back to shop.example without paying" in good.text
    form = form_of(good.text, f"/wallet/pay/offer/{asked.payment_id}")
    done = client.post(f"/wallet/pay/offer/{asked.payment_id}", data=form, follow_redirects=True).text
    assert "This is paid." in done and way in done and "without paying" not in done


def test_the_acquirer_and_an_owner_name_the_sites_and_nobody_else(
    ctx: Context, client: Client, town: Town
) -> None:
    there = f"/v1/payees/{town.shop.payee_id}/return-origins"
    with ctx.tx() as tx:
        keys = {
            name: trust.create_api_key(
                tx, name, ("payments:read", "payments:write", "merchants:read"), at=NOON
            )
            for name in ("hangzhou-card", "toronto-card")
        }

    def put(name: str, *origins: str) -> Any:
        head = {"authorization": f"Bearer {keys[name]}"}
        return client.put(there, json={"origins": list(origins)}, headers=head)

    assert put("hangzhou-card", "https://b.example", "https://A.example").json()["origins"] == [
        "https://a.example", "https://b.example",
    ]  # fmt: skip
    for wrong in (
        "ftp://a.example",
        "https://a",
        "https://a.example/x",
        "http://a.example",
        "https://*.a.example",
    ):
        assert put("hangzhou-card", wrong).status_code == 422, wrong
    assert put("toronto-card", "https://c.example").status_code == 404
    sign_in(client, town, "Gao Lan")
    assert client.put(there, json={"origins": ["https://b.example"]}).json()["origins"] == [
        "https://b.example"
    ]
    sign_in(client, town, "Qian Qing")
    assert client.put(there, json={"origins": []}).status_code == 404
    with ctx.tx() as tx:
        assert merchants.list_return_origins(tx, town.shop.payee_id) == ["https://b.example"]
    for number in (1, 2):
        town.order(number)
    head = {"authorization": f"Bearer {keys['hangzhou-card']}"}
    listed = f"/v1/qr-orders?merchant_id={town.shop.merchant_id}&limit=1"
    one = client.get(listed, headers=head).json()
    other = client.get(f"{listed}&after={one['next']}", headers=head).json()
    ids = {order["qr_order_id"] for page in (one, other) for order in page["qr_orders"]}
    assert (len(ids), other["next"]) == (2, None), "made at one instant, and none is passed over"


def test_owners_name_their_sites_and_by_the_shops_terms_two_of_them(
    ctx: Context, client: Client, town: Town
) -> None:
    page, api = f"/merchant/{SHOP}/sites", f"/v1/payees/{SHOP}/return-origins"
    with ctx.tx() as tx:
        acquirer = trust.create_api_key(tx, "hangzhou-card", ("merchants:write",), at=NOON)
        other = trust.create_api_key(tx, "toronto-card", ("merchants:write",), at=NOON)
        secret = merchants.invite(tx, SHOP, by=town.owner.account_id, role="owner", at=ctx.clock.now())
        cashier = merchants.invite(tx, SHOP, by=town.owner.account_id, role="cashier", at=ctx.clock.now())
    sign_in(client, town, "Qian Qing")
    client.post(f"/merchant/join/{cashier}")
    assert client.get(page).status_code == 403, "cashiers name no sites"
    sign_in(client, town, "Gao Lan")
    wrong = client.post(page, data={"origins": "http://shop.example"})
    assert wrong.status_code == 422 and "http://shop.example" in wrong.text
    assert (
        "hold from now on"
        in client.post(page, data={"origins": "https://a.example\nhttps://B.example/"}).text
    )
    assert client.get(api).json()["origins"] == ["https://a.example", "https://b.example"]

    terms = f"/v1/merchants/{SHOP}/terms"
    body = {"second_owner": True}
    assert client.put(terms, json=body, headers={"authorization": f"Bearer {other}"}).status_code == 404
    assert client.put(terms, json=body, headers={"authorization": f"Bearer {acquirer}"}).json() == body
    asked = client.post(page, data={"origins": "https://evil.example"})
    assert "Another owner has to agree first" in asked.text
    read = client.get(api).json()
    assert read["origins"] == ["https://a.example", "https://b.example"]
    assert read["waiting"]["origins"] == ["https://evil.example"]
    answer = {"asked_id": read["waiting"]["asked_id"]}
    own = client.post(page, data=answer | {"agree": "yes"})
    assert own.status_code == 422 and "another owner" in own.text.lower()
    assert client.get(api).json() == read, "nobody agrees with themselves"

    sign_in(client, town, "Qian Qing")
    client.post(f"/merchant/join/{secret}")
    assert "https://evil.example" in client.get(page).text
    assert "not asked for any more" in client.post(page, data=answer | {"agree": "no"}).text
    gone = client.post(f"{api}/answer", json=answer | {"agree": True})
    assert gone.json()["code"] == "merchants.unknown_sites_asked"
    mine = client.put(api, json={"origins": ["https://c.example"]}).json()["waiting"]
    sign_in(client, town, "Gao Lan")
    agreed = client.post(f"{api}/answer", json={"asked_id": mine["asked_id"], "agree": True}).json()
    assert agreed == {"payee_id": str(SHOP), "origins": ["https://c.example"], "waiting": None}
    later(ctx, minutes=10)
    verify = client.post(page, data={"origins": ""}, follow_redirects=False)
    assert verify.headers["location"].startswith("/wallet/verify"), "it is proved first who asks"
    for stale in (
        client.put(api, json={"origins": []}),
        client.post(f"{api}/answer", json={"asked_id": mine["asked_id"], "agree": True}),
    ):
        assert (stale.status_code, stale.json()["code"]) == (403, "identity.verify_anew")
    assert client.get(api).json() == agreed, "a sign-in of before changes nothing over HTTP either"


def test_an_issuer_reads_what_its_people_sent_and_no_other_does(
    ctx: Context, client: Client, town: Town
) -> None:
    sender, other = town.buyer.account_id, town.owner.account_id
    sent = wallets.transfers.send(
        ctx,
        wallets.NewTransfer(
            transfer_id=new_id(),
            sender_id=sender,
            receiver_id=other,
            amount=Money(1_00, "CNY"),
            session_at=NOON,
        ),
    )
    with ctx.tx() as tx:
        keys = [
            trust.create_api_key(tx, name, ("payments:read", "payments:write"), at=NOON)
            for name in ("hangzhou-card", "toronto-card")
        ]

    def got(place: int, address: str) -> Any:
        return client.get(address, headers={"authorization": f"Bearer {keys[place]}"})

    top_up = {
        "top_up_id": str(new_id()), "account_id": str(sender), "amount": {"minor": 5, "currency": "CNY"},
        "at": "2026-11-17T12:00:00Z",
    }  # fmt: skip
    client.post("/v1/top-ups", json=top_up, headers={"authorization": f"Bearer {keys[0]}"})
    paid = payments.pay(ctx, offer(town).payment_id, sender, by="x", session_at=NOON)
    assert got(0, f"/v1/transfers/{sent.transfer_id}").json()["transfer_id"] == str(sent.transfer_id)
    assert got(0, f"/v1/wallets/{sender}/transfers").json()["transfers"][0]["note"] == ""
    assert got(0, f"/v1/wallets/{sender}/withdrawals").json() == {"withdrawals": [], "next": None}
    assert got(0, f"/v1/wallets/{sender}/top-ups").status_code == 200
    assert got(0, f"/v1/top-ups/{top_up['top_up_id']}").json()["amount"]["minor"] == 5
    assert top_up["top_up_id"] in got(0, f"/v1/top-ups?account_id={sender}").text
    assert got(0, f"/v1/payments/{paid.payment_id}/attempts").json()["attempts"][0]["outcome"] == "succeeded"
    assert got(0, f"/v1/payments/{paid.payment_id}/captures").json()["captures"][0]["amount"]["minor"] == 2_00
    for address in (
        f"/v1/transfers/{sent.transfer_id}", f"/v1/wallets/{sender}/transfers", f"/v1/top-ups/{top_up['top_up_id']}",
        f"/v1/top-ups?account_id={sender}", f"/v1/payments/{paid.payment_id}/attempts",
    ):  # fmt: skip
        assert got(1, address).status_code == 404, address


def test_whoever_signs_in_on_the_way_comes_to_what_they_came_for(client: Client, town: Town) -> None:
    asked = offer(town)
    address = f"/wallet/pay/offer/{asked.payment_id}"

    stopped = client.get(f"/wallet/pay?payment={asked.payment_id}", follow_redirects=False)
    assert stopped.headers["location"] == "/wallet/"
    client.get(address, follow_redirects=False)
    me = {"account_id": str(town.buyer.account_id)}
    first = client.post("/wallet/sign-in", data=me, follow_redirects=False)
    second = client.post("/wallet/sign-in", data=me, follow_redirects=False)

    assert (first.headers["location"], second.headers["location"]) == (address, "/wallet/home")


@pytest.mark.parametrize(
    "wrong", ["https://evil.example/", "//evil.example/", "/wallet/\\evil", "/console/", "/wallet/ x"]
)
def test_whoever_signs_in_is_sent_nowhere_else(client: Client, town: Town, wrong: str) -> None:
    client.cookies.set("hansa_next", quote(wrong, safe=""))
    answer = client.post(
        "/wallet/sign-in", data={"account_id": str(town.buyer.account_id)}, follow_redirects=False
    )

    assert answer.headers["location"] == "/wallet/home"
