"""Pages and interface of city cards: applied for in the wallet, decided at the desk, seen by their holder."""

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

from litestar.testing import TestClient

from hansa import audit, cards, identity, payments, trust
from hansa.cards.actions import STANDARD
from hansa.kernel import Money, fact_id
from hansa.store import Context
from web.little_league import LittleLeague
from web.test_web_wallet import sign_in

Client = TestClient[Any]


def test_a_card_is_applied_for_decided_and_changes_what_one_rides_as(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = next(one for one in league.riders.values() if one.rider_class == "adult")
    sign_in(client, account)
    card_id = fact_id(None, "web card")

    cards_page = client.get("/wallet/cards").text
    product = f"{account.issuer_id}-student"
    applied = client.post("/wallet/cards", data={"card_id": str(card_id), "product_id": product})
    again = client.post("/wallet/cards", data={"card_id": str(card_id), "product_id": product})
    held = client.post("/wallet/cards", data={"card_id": str(fact_id(None, "x")), "product_id": product})
    gone = client.post("/wallet/cards", data={"card_id": "x", "product_id": "none"})
    desk = client.get("/console/cards")
    nothing = client.post(f"/console/cards/{card_id}", data={"reason": "why"})
    granted = client.post(f"/console/cards/{card_id}", data={"to": "active", "reason": "saw the letter"})
    card_page = client.get(f"/wallet/cards/{card_id}").text

    assert "City card" in cards_page and product in cards_page
    assert applied.status_code == again.status_code == 200 and "waits for the issuer" in applied.text
    assert (held.status_code, gone.status_code) == (409, 409)
    assert account.name in desk.text and "Student card" in desk.text
    assert nothing.status_code == 422
    assert granted.status_code == 200 and "The card is in force" in granted.text
    assert "in force" in card_page
    with ctx.tx() as tx:
        assert identity.get_account(tx, account.account_id).rider_class == "student"
        seen = identity.list_accesses(tx, account.account_id)
    assert any(one.why == "deciding on a card" for one in seen)

    unsure = client.post(f"/wallet/cards/{card_id}/end", data={"why": "lost"})
    ended = client.post(f"/wallet/cards/{card_id}/end", data={"why": "lost", "sure": "yes"})

    assert unsure.status_code == 409 and "ended" in ended.text
    with ctx.tx() as tx:
        assert identity.get_account(tx, account.account_id).rider_class == "adult"


def test_cards_over_the_interface(ctx: Context, client: Client, league: LittleLeague) -> None:
    account, stranger = list(league.riders.values())[:2]
    sign_in(client, account)

    mine = client.get("/v1/me/cards").json()["cards"]
    products = client.get("/v1/card-products", params={"issuer_id": account.issuer_id}).json()[
        "card_products"
    ]
    senior = f"{account.issuer_id}-senior"
    sent = {"card_id": str(fact_id(None, "api")), "product_id": senior}
    applied = client.post("/v1/me/cards", json=sent)
    renewed = client.post(f"/v1/me/cards/{mine[0]['card_id']}/renew")
    sign_in(client, stranger)
    theirs = client.post(f"/v1/me/cards/{mine[0]['card_id']}/end", json={"reason": "lost"})

    assert [one["state"] for one in mine] == ["active"]
    assert {one["product_id"] for one in products} >= {senior}
    assert (applied.status_code, applied.json()["state"]) == (200, "applied")
    assert renewed.status_code == 409 and renewed.json()["code"] == "cards.moved"
    assert theirs.status_code == 404
    assert client.get(f"/wallet/cards/{mine[0]['card_id']}").status_code == 404


def test_a_card_that_costs_something_is_paid_taken_back_and_replaced_on_pages(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = next(one for one in league.riders.values() if one.issuer_id == "hangzhou-card")
    sign_in(client, account)
    client.get("/wallet/cards")
    with ctx.tx() as tx:
        paid = replace(
            STANDARD[0], product_id="plastic", issuer_id=account.issuer_id, city_id="hangzhou", name="Plastic card",
            price_minor=5_00, deposit_minor=20_00, currency="CNY",
        )  # fmt: skip
        cards.offer(tx, paid, by="test", at=ctx.clock.now())
    card_id = fact_id(None, "plastic")
    address, desk = f"/wallet/cards/{card_id}", f"/console/cards/{card_id}"

    offered = client.get("/wallet/cards").text
    due = client.post("/wallet/cards", data={"card_id": str(card_id), "product_id": "plastic"})
    held = client.post(f"{address}/pay")
    statement = client.get("/wallet/statement").text
    early = client.post(f"{desk}/paid")
    unsure = client.post(f"{address}/replace", data={})
    new_id = fact_id(None, "new plastic")
    lost = client.post(f"{address}/replace", data={"card_id": str(new_id), "sure": "yes"})
    by_counter = client.post(f"/console/cards/{new_id}/paid")
    number = "".join(
        re.findall(r'<dd class="mono">([\d ]+)</dd>', client.get(f"/wallet/cards/{new_id}").text)
    )
    found = client.get("/console/cards", params={"number": number}).text
    back = client.post(f"/console/cards/{new_id}/returned", data={"to": "wallet"})
    twice = client.post(f"{desk}/returned", data={"to": "counter"})
    none = client.post(f"{desk}/returned", data={"to": "wallet"})
    over = client.get(f"/wallet/cards/{new_id}").text

    assert "costs ¥25.00" in offered and "¥20.00 of it is a deposit" in offered
    assert "Pay ¥25.00 from the wallet" in due.text and "in force" in held.text
    assert "<strong>City card</strong>" in statement and f'href="{address}"' in statement
    assert (early.status_code, unsure.status_code) == (409, 409)
    assert lost.url.path.endswith(str(new_id)) and "takes the place of one that was lost" in lost.text
    assert by_counter.status_code == 200 and "deposit held" in found
    assert (back.status_code, twice.status_code, none.status_code) == (200, 200, 200)
    assert "came back" in over and "Deposit given back" in client.get("/wallet/statement").text
    insight = client.get("/wallet/insight").text
    assert "Public transport" in insight


def test_a_card_is_offered_no_more_and_again_with_a_reason(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = next(one for one in league.riders.values() if one.home_city_id == "hangzhou")
    sign_in(client, account)
    product = f"{account.issuer_id}-adult"
    desk, api = f"/console/cards/products/{product}", f"/v1/card-products/{product}/offered"
    held = re.findall(r"/wallet/cards/[0-9a-f-]{36}", client.get("/wallet/cards").text)[0]
    with ctx.tx() as tx:
        mine, other = (
            {"authorization": f"Bearer {trust.create_api_key(tx, name, ['cards:write'], at=ctx.clock.now())}"}
            for name in (account.issuer_id, "toronto-card")
        )

    def offered() -> bool:
        listed = client.get("/v1/card-products", params={"issuer_id": account.issuer_id}).json()[
            "card_products"
        ]
        return product in {one["product_id"] for one in listed}

    assert client.post(desk, data={"offered": "no"}).status_code == 422 and offered(), "not without a reason"
    body = {"offered": False, "reason": "a new one comes"}
    assert client.put(api, json=body, headers=other).status_code == 404 and offered()
    withdrawn = client.post(desk, data={"offered": "no", "reason": "a new one comes"}).text
    assert "can be had no more" in withdrawn and "Offer it again" in withdrawn and not offered()
    assert product not in client.get("/wallet/cards").text
    late = {"card_id": str(fact_id(None, "late")), "product_id": product}
    assert client.post("/wallet/cards", data=late).status_code == 409
    assert "in force" in client.get(held).text, "what was given stays"
    assert client.put(api, json=body, headers=mine).json()["status"] == "withdrawn", "again changes nothing"
    assert client.put(api, json=body | {"offered": True}, headers=mine).json()["status"] == "offered"
    assert offered()
    with ctx.tx() as tx:
        found = [(one.action, one.reason) for one in audit.search(tx, action="card")]
    told = [one for one in found if one[0].startswith("card.product")]
    assert told == [("card.product-offer", "a new one comes"), ("card.product-withdraw", "a new one comes")]


def test_a_card_in_a_currency_that_the_wallet_has_not_is_paid_by_a_quote(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = next(one for one in league.riders.values() if one.home_city_id == "hangzhou")
    sign_in(client, account)
    with ctx.tx() as tx:
        visitor = replace(
            STANDARD[0], product_id="visitor", issuer_id="toronto-card", city_id="toronto", name="Visitor card",
            price_minor=1_00, currency="CAD",
        )  # fmt: skip
        cards.offer(tx, visitor, by="test", at=ctx.clock.now())
        before = payments.balance_of(tx, account.account_id)
    card_id = fact_id(None, "visitor")
    address = f"/wallet/cards/{card_id}"

    due = client.post("/wallet/cards", data={"card_id": str(card_id), "product_id": "visitor"}).text
    at_counter = client.post(f"{address}/pay")
    quote = client.post(f"{address}/quote").text
    quote_id = re.findall(r'name="quote_id" value="([^"]+)"', quote)[0]
    refused = client.post(f"{address}/quote/pay", data={"quote_id": str(fact_id(None, "none"))})
    paid = [client.post(f"{address}/quote/pay", data={"quote_id": quote_id}) for _ in range(2)]

    assert "Your wallet has no CAD" in due and f'action="{address}/quote"' in due
    assert at_counter.status_code == 409 and refused.status_code == 422
    assert "CA$1.00" in quote and "Good until" in quote and client.get(f"{address}/quote").url.path == address
    assert all("in force" in one.text for one in paid)
    with ctx.tx() as tx:
        (left,) = payments.balance_of(tx, account.account_id)
        found = payments.get_quote(ctx, tx, UUID(quote_id))
    assert left == before[0] - found.pays and found.gets == Money(1_00, "CAD")
