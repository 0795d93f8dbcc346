"""Passes in the wallet: seen by city, bought once at the price that was shown, given back before their first ride."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import atlas, identity, payments, rides
from hansa.apps.web import languages
from hansa.apps.web.pass_pages import covers_in_words
from hansa.apps.web.tariff_words import tariff_in_words
from hansa.fares import Pass, TariffSource, read_source
from hansa.kernel import Money
from hansa.store import Context
from rides.books import HEAD
from web.little_league import LittleLeague

Client = TestClient[Any]
HIDDEN = re.compile(r'name="(pass_id|operator_id|name|from_day|price)" value="([^"]*)"')
SALE = "/wallet/passes/buy?operator_id=hangzhou-metro&name=Day%20pass"


def sign_in(client: Client, account: identity.Account) -> None:
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False)


def form(client: Client, more: str = "") -> dict[str, str]:
    """What the form of the sale would send."""
    text = client.get(SALE + more).text
    return {
        name: unescape(value)
        for name, value in HIDDEN.findall(text[text.index('method="post" action="/wallet/passes"') :])
    }


def balance(ctx: Context, account: identity.Account) -> list[Money]:
    with ctx.tx() as tx:
        return payments.balance_of(tx, account.account_id)


def bought(ctx: Context, account: identity.Account) -> list[rides.BoughtPass]:
    with ctx.tx() as tx:
        return rides.list_passes(tx, account.account_id)


@pytest.fixture
def rider(client: Client, league: LittleLeague) -> identity.Account:
    account = league.riders["Gao Lan"]
    sign_in(client, account)
    return account


def test_passes_are_bought_once_named_in_the_statement_and_given_back(
    ctx: Context, client: Client, rider: identity.Account
) -> None:
    offered = unescape(client.get("/wallet/passes").text)
    assert "Day pass" in offered and "¥15.00" in offered and "Such a ride costs nothing" in offered

    sent = form(client)
    answers = [client.post("/wallet/passes", data=sent, follow_redirects=False) for _ in range(2)]
    rides.post_charges(ctx)

    assert [one.status_code for one in answers] == [303, 303]
    (one,) = bought(ctx, rider)
    assert (str(one.pass_id), one.name) == (sent["pass_id"], "Day pass")
    assert balance(ctx, rider) == [Money(85_00, "CNY")]
    held = client.get("/wallet/passes?done=bought").text
    assert f'id="p-{one.pass_id}"' in held and "1 day left" in held and "The pass is yours" in held
    money = client.get("/wallet/statement").text
    assert (
        f'href="/wallet/passes#p-{one.pass_id}"' in money
        and "<strong>Pass</strong></a><span>Day pass</span>" in money
    )
    console = client.get(f"/console/riders/{rider.account_id}").text
    assert "Pass Day pass" in console and f"/console/journeys/{one.pass_id}" not in console

    back = client.post(f"/wallet/passes/{one.pass_id}/refund", follow_redirects=True)
    rides.post_charges(ctx)

    assert "The pass is given back" in back.text and "given back" in back.text
    assert balance(ctx, rider) == [Money(100_00, "CNY")]
    assert "Pass given back" in client.get("/wallet/statement").text


def test_what_is_refused_is_said_on_the_form_and_nothing_is_bought(
    ctx: Context, client: Client, rider: identity.Account
) -> None:
    sent = form(client)
    other_price = client.post("/wallet/passes", data=sent | {"price": "1"})
    too_early = client.post("/wallet/passes", data=sent | {"from_day": "2020-01-01"})
    too_late = client.post("/wallet/passes", data=sent | {"from_day": "9999-12-31"})
    unknown = client.post("/wallet/passes", data=sent | {"name": "Year", "price": "1"})
    first = ctx.clock.now().date() + timedelta(days=1)
    days = [
        first + timedelta(days=number) for number in range(7)
    ]  # the wallet holds 100: six of 15, no seventh
    sales = [client.post("/wallet/passes", data=form(client, f"&from_day={day}")) for day in days]
    rides.post_charges(ctx)
    twice = client.post("/wallet/passes", data=form(client, f"&from_day={first}"))

    assert other_price.status_code == 409 and "price has changed" in other_price.text
    assert too_early.status_code == too_late.status_code == 409
    assert unknown.status_code == 404 and "not on sale" in unknown.text
    assert [one.status_code for one in sales] == [200] * 6 + [402]
    assert "Top it up first." in sales[-1].text
    assert twice.status_code == 409 and "already" in twice.text
    assert len(bought(ctx, rider)) == 6 and balance(ctx, rider) == [Money(10_00, "CNY")]


def test_nobody_buys_or_gives_back_for_another(
    ctx: Context, client: Client, stranger: Client, league: LittleLeague
) -> None:
    gao, other = (league.riders[name] for name in list(league.riders)[:2])
    assert stranger.get("/wallet/passes", follow_redirects=False).status_code in (302, 303)
    assert stranger.get(SALE).status_code == 401
    sign_in(client, gao)
    sent = form(client)
    crossed = client.post("/wallet/passes", data=sent, headers={"sec-fetch-site": "cross-site"})
    client.post("/wallet/passes", data=sent)
    sign_in(client, other)

    theirs = client.post(f"/wallet/passes/{sent['pass_id']}/refund")

    assert crossed.status_code == 403 and theirs.status_code == 404
    assert bought(ctx, other) == [] and [one.refunded_at for one in bought(ctx, gao)] == [None]


def test_the_pages_speak_chinese(client: Client, rider: identity.Account) -> None:
    assert rider
    offers = client.get("/wallet/passes?language=zh").text
    sale = client.get(SALE).text

    assert "通票" in offers and "此类行程免费" in offers and 'lang="zh"' in offers
    assert "确认购买" in sale and "首日" in sale


COVERS = """
[basis]
kind = "flat"
fare = "2.00"
[incomplete]
fare = "7.00"
[[pass]]
name = "Two stops"
within = ["london/bank-and-monument", "london/oxford-circus"]
extend = true
percent = 30
[[pass]]
name = "Much"
products = ["bus", "metro"]
classes = ["senior"]
unless = { products = ["rail"] }
"""


def test_what_a_pass_covers_is_said_in_words(ctx: Context) -> None:
    text = HEAD.format(operator="town-metro", currency="GBP", top="", subsidy="") + COVERS
    two, much = read_source(TariffSource(text, {})).passes
    with ctx.tx() as tx:
        atlas.import_city(tx, atlas.read_city(atlas.city_folder("london")))
        network = atlas.get_network(tx, "london")

    def said(one: Pass) -> tuple[str, ...]:
        return covers_in_words(one, network, "Town Metro", languages.ENGLISH)

    assert said(two) == (
        "Between Bank and Monument, Oxford Circus",
        "A ride that goes further pays only for the part beyond",
        "Such a ride costs 30 % of its fare",
    )
    assert said(much) == (
        "By Bus, Metro",
        "For senior",
        "With some exceptions; see the tariff",
        "Such a ride costs nothing",
    )
    assert said(Pass("All")) == ("Every ride with Town Metro", "Such a ride costs nothing")


def test_the_tariff_desk_says_what_a_pass_is_sold_for() -> None:
    told = str(tariff_in_words(rides.read_tariff(rides.tariff_folder("hangzhou-metro")).source))

    assert "It is sold here for a day: ¥15.00 (adult), ¥8.00 (student)" in told
    assert "It is sold here for 3 days: ¥40.00 (adult)" in told
