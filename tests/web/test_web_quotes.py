"""Pages and interface of quotes: what is shown is what is paid; one that ended is made anew; plain forms."""

import re
from datetime import timedelta
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import approval, clearing, payments, trust
from hansa.kernel import FixedClock, Money, new_id
from hansa.store import Context
from hansa.wallets import approving
from merchants import shops
from merchants.shops import SHOP, Town
from scratch import NOON

Client = TestClient[Any]
PAYER = "Omar Singh"


@pytest.fixture
def town(ctx: Context, home: Path) -> Town:
    town = shops.build(ctx, home)
    clearing.open_positions(ctx, [("toronto-card", "hangzhou-card", "CNY")])
    return town


@pytest.fixture(autouse=True)
def same_time(ctx: Context) -> Any:
    yield
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = NOON


def sign_in(client: Client, town: Town, name: str = PAYER) -> None:
    account = town.league.riders[name]
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)


def form_of(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes there."""
    form = page[page.index(f'action="{action}"') :]
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form[: form.index("</form>")])
    return {name: unescape(value) for name, value in found}


def test_an_order_is_paid_from_another_currency_by_the_quote_that_was_shown(
    client: Client, town: Town
) -> None:
    sign_in(client, town)
    order = town.order(1, 51_20)
    before = town.balance(town.league.riders[PAYER].account_id)
    page = client.get(f"/wallet/pay/order/{order.order_id}").text
    there = f"/wallet/quote/order/{order.order_id}"
    assert f'formaction="{there}"' in page and "Pay from another currency" in page

    shown = unescape(client.post(there, data={}).text)

    assert "CA$10.05" in shown and "¥51.20" in shown and "1 CAD = 5.0944 CNY" in shown
    assert 'data-lasts="120"' in shown and "Good until" in shown
    paid = client.post(f"{there}/pay", data=form_of(shown, f"{there}/pay"), follow_redirects=False)
    assert paid.status_code == 303, paid.text
    assert paid.headers["location"].startswith("/wallet/pay/done/")
    assert before - town.balance(town.league.riders[PAYER].account_id) == Money(10_05, "CAD")
    assert "Paid" in client.get(paid.headers["location"]).text


def test_a_quote_that_ended_is_made_anew_in_its_place_and_nothing_is_paid(client: Client, town: Town) -> None:
    sign_in(client, town)
    before = town.balance(town.league.riders[PAYER].account_id)
    page = client.get(f"/wallet/pay/shop/{SHOP}?till=T1").text
    there = f"/wallet/quote/shop/{SHOP}"
    assert f'formaction="{there}"' in page
    form = dict(re.findall(r'name="(form_id|till)" value="([^"]*)"', page)) | {"amount": "20"}
    shown = client.post(there, data=form).text
    first = form_of(shown, f"{there}/pay")
    assert isinstance(town.ctx.clock, FixedClock)
    town.ctx.clock.at = NOON + timedelta(seconds=120)

    late = client.post(f"{there}/pay", data=first, follow_redirects=False)

    assert late.status_code == 422 and "This is a new one" in late.text
    assert town.balance(town.league.riders[PAYER].account_id) == before
    second = form_of(late.text, f"{there}/pay")
    assert second["quote_id"] != first["quote_id"] and second["form_id"] == first["form_id"]
    paid = [client.post(f"{there}/pay", data=second, follow_redirects=False) for _ in range(2)]
    assert [one.headers["location"] for one in paid] == [paid[0].headers["location"]] * 2
    assert before - town.balance(town.league.riders[PAYER].account_id) == Money(3_93, "CAD")
    refused = client.post(there, data=form | {"amount": "0"})
    assert refused.status_code == 422 and "quote_id" not in refused.text


def test_money_is_sent_in_the_receivers_currency_either_amount_fixed(
    client: Client, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    def may_begin(*_: object) -> bool:
        return True

    monkeypatch.setattr(approving, "may_begin", may_begin)
    to = str(town.buyer.account_id)
    sign_in(client, town)
    before = town.balance(town.league.riders[PAYER].account_id)
    assert 'formaction="/wallet/quote/send"' in client.get("/wallet/send").text

    asks = client.post("/wallet/quote/send", data={"receiver_id": to, "amount": "10", "currency": "CAD"})
    assert 'name="gets_currency" required' in asks.text and "Qian" not in asks.text
    form = {"receiver_id": to, "currency": "CAD", "gets_currency": "CNY", "note": "tea"}
    for number, (amount, fixed, pays, gets) in enumerate(
        (("10", "pays", 10_00, 50_94), ("25.60", "gets", 5_03, 25_60))
    ):
        shown = unescape(
            client.post("/wallet/quote/send", data=form | {"amount": amount, "fixed": fixed}).text
        )
        assert str(Money(pays, "CAD")) in shown and str(Money(gets, "CNY")) in shown and "Qian Q." in shown
        use = form_of(shown, "/wallet/quote/send/pay")
        sent = [client.post("/wallet/quote/send/pay", data=use, follow_redirects=False) for _ in range(2)]
        assert [one.headers["location"] for one in sent] == [f"/wallet/transfers/{use['transfer_id']}"] * 2
        left = before - Money((10_00, 15_03)[number], "CAD")
        assert town.balance(town.league.riders[PAYER].account_id) == left
    assert town.balance(town.buyer.account_id) == Money(100_00 + 50_94 + 25_60, "CNY")
    for wrong, words in (
        ({"amount": "one"}, "no amount"),
        ({"amount": "5", "gets_currency": "USD"}, "No exchange rate"),
        ({"amount": "0"}, "minor units"),
        ({"amount": "5", "by_link": "yes"}, "A link holds your own money"),
    ):
        refused = client.post("/wallet/quote/send", data=form | wrong)
        assert refused.status_code == 422 and words in unescape(refused.text), refused.text


def test_quotes_over_http(client: Client, town: Town) -> None:
    sign_in(client, town)
    key = {"idempotency-key": str(new_id())}
    body = {
        "pays": {"currency": "CAD"},
        "gets": {"currency": "CNY", "minor": 51_20},
        "payee_id": town.shop.payee_id,
    }

    made = [client.post("/v1/quotes", json=body, headers=key) for _ in range(2)]

    assert [one.status_code for one in made] == [200, 200] and made[0].json() == made[1].json()
    quote = made[0].json()
    assert quote["pays"] == {"minor": 10_05, "currency": "CAD"} and quote["state"] == "open"
    assert (quote["rate"]["numerator"], quote["rate"]["denominator"]) == (3184, 625)
    assert quote["rounding"]["mode"] == "half_even" and quote["rounding"]["favours"] == "payer"
    assert client.get(f"/v1/quotes/{quote['quote_id']}").json() == quote
    for wrong, status, code in (
        ({"pays": {"currency": "CAD", "minor": 1}}, 422, "hansa.invalid_input"),
        ({"pays": {"currency": "CNY"}}, 422, "hansa.invalid_input"),
        ({"gets": {"currency": "USD", "minor": 1}}, 409, "payments.no_rate"),
        ({"pays": {"currency": "HKD"}}, 422, "payments.wrong_currency"),
        ({"account_id": str(town.buyer.account_id)}, 404, "identity.unknown_account"),
    ):
        refused = client.post("/v1/quotes", json=body | wrong, headers={"idempotency-key": str(new_id())})
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert client.post("/v1/quotes", json=body).status_code == 400
    payment = {
        "payee_id": town.shop.payee_id,
        "amount": {"minor": 51_20, "currency": "CNY"},
        "quote_id": quote["quote_id"],
    }
    asked = client.post("/v1/payments", json=payment, headers={"idempotency-key": str(new_id())})
    assert asked.json()["quote_id"] == quote["quote_id"] and asked.json()["state"] in (
        "requires_approval",
        "captured",
    )
    again = client.post("/v1/payments", json=payment, headers={"idempotency-key": str(new_id())})
    assert (again.status_code, again.json()["code"]) == (409, "payments.quote_used")
    assert client.get(f"/v1/quotes/{quote['quote_id']}").json()["state"] == "used"
    sign_in(client, town, "Qian Qing")
    other = client.get(f"/v1/quotes/{quote['quote_id']}")
    assert (other.status_code, other.json()["code"]) == (404, "payments.unknown_quote")


def test_issuers_set_terms_and_see_their_positions_over_http(client: Client, town: Town) -> None:
    with town.ctx.tx() as tx:
        secrets = {
            name: trust.create_api_key(tx, trust.MemberId(name), ["payments:read", "payments:write"], at=NOON)
            for name in ("toronto-card", "league")
        }
    key = {"authorization": f"Bearer {secrets['toronto-card']}"}
    terms = {"currency": "CAD", "into_currency": "CNY", "margin_bp": 0, "fee_minor": 25, "lasts_s": 60}

    for wrong in ({"lasts_s": 59}, {"lasts_s": 601}, {"margin_bp": 2_001}, {"currency": "XYZ"}):
        assert client.post("/v1/quote-terms", json=terms | wrong, headers=key).status_code == 422
    assert client.get("/v1/quote-terms", headers=key).json()["terms"] == []
    assert client.post("/v1/quote-terms", json=terms, headers=key).json()["terms"][0]["terms"] == terms
    body = {
        "account_id": str(town.league.riders[PAYER].account_id),
        "pays": {"currency": "CAD", "minor": 10_25},
        "gets": {"currency": "CNY"},
    }
    made = client.post("/v1/quotes", json=body, headers=key | {"idempotency-key": str(new_id())}).json()
    assert (made["gets"]["minor"], made["fee"]["minor"], made["margin_bp"]) == (51_20, 25, 0)
    nobodys = client.post(
        "/v1/quotes",
        json=body | {"account_id": str(town.buyer.account_id)},
        headers=key | {"idempotency-key": str(new_id())},
    )
    assert nobodys.status_code == 404  # another issuer's
    found = client.get("/v1/exchange-positions", params={"currency": "CAD"}, headers=key).json()
    assert found["total"] == {"minor": 0, "currency": "CAD"}
    assert {one["currency"] for one in found["positions"]} == {"CAD", "CNY"}
    league = {"authorization": f"Bearer {secrets['league']}"}
    assert client.get("/v1/exchange-positions", params={"currency": "CAD"}, headers=league).status_code == 403


def test_a_wallet_that_another_lets_one_spend_from_pays_by_its_own_quote(client: Client, town: Town) -> None:
    assert isinstance(town.ctx.clock, FixedClock)
    owner, spender = (town.league.riders[name].account_id for name in (PAYER, "Qian Qing"))
    approval.grant_delegation(
        town.ctx,
        owner,
        approval.NewDelegation(
            delegation_id=new_id(), delegate_id=spender, kind="carer", currency="CAD", payment_minor=20_00,
            day_minor=20_00, month_minor=20_00, ends_at=NOON + timedelta(days=30),
        ),
    )  # fmt: skip
    town.ctx.clock.at += timedelta(days=1, minutes=1)
    with town.ctx.tx() as tx:
        payments.set_rates(tx, town.ctx.clock.now().date(), [("CAD", "CNY", Fraction("5.12"))])
    sign_in(client, town, "Qian Qing")
    order, before = town.order(1, 51_20), town.balance(owner)
    there, wallet = f"/wallet/quote/order/{order.order_id}", {"pays_currency": f"CAD:{owner}"}

    shown = unescape(client.post(there, data=wallet).text)
    paid = client.post(f"{there}/pay", data=form_of(shown, f"{there}/pay"), follow_redirects=True)

    assert "From the wallet of" in shown and "CA$10.05" in shown and str(before) not in shown
    assert "Paid from the wallet of Omar Singh" in paid.text, paid.url
    assert before - town.balance(owner) == Money(10_05, "CAD")
    stranger = town.order(2, 51_20)
    sign_in(client, town, "Emily Tremblay")
    assert client.post(f"/wallet/quote/order/{stranger.order_id}", data=wallet).status_code == 409
