"""The wallet over HTTP: sign in, see, top up, get a token."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import zxingcpp
from litestar.testing import TestClient

from hansa import identity, payments, rides
from hansa.apps.web import paper_pages, wallet
from hansa.kernel import FixedClock, Money, fact_id
from hansa.store import Context
from web.little_league import BUS, WAY_IN, WAY_OUT, LittleLeague, Phone

Client = TestClient[Any]


def sign_in(client: Client, account: identity.Account) -> None:
    answer = client.post(
        "/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False
    )
    assert answer.status_code == 303, answer.text


def balance(ctx: Context, account: identity.Account) -> list[Money]:
    with ctx.tx() as tx:
        return payments.balance_of(tx, account.account_id)


def top_up_form(client: Client) -> dict[str, str]:
    page = client.get("/wallet/top-up").text
    return dict(re.findall(r'name="(top_up_id|currency|asked_at)" value="([^"]+)"', page))


def test_one_click_signs_in_as_a_demo_rider(client: Client, league: LittleLeague) -> None:
    page = client.get("/wallet/").text
    assert "Gao Lan" in page and "Hangzhou · adult" in page

    sign_in(client, league.riders["Gao Lan"])

    home = client.get("/wallet/home").text
    assert "¥100.00" in home and "Hangzhou Card" in home and "Gao Lan" in home


def test_the_wallet_says_what_to_top_up_before_a_gate_is_entered(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    sign_in(client, league.riders["Gao Lan"])
    before = client.get("/wallet/home").text
    with ctx.tx() as tx:
        now = ctx.clock.now()
        tariff = rides.get_tariff(tx, "hangzhou-metro", now.date())
        text = tariff.source.toml.replace(
            f"valid_from = {tariff.valid_from}", f"valid_from = {now.date() - timedelta(days=1)}"
        ).replace("day_starts", 'minimum_balance = { adult = "100.01" }\nday_starts', 1)
        rides.import_tariff(tx, rides.read_source(rides.TariffSource(text, tariff.source.tables)))

    english, chinese = (
        unescape(client.get("/wallet/home", params={"language": one}).text) for one in ("en", "zh")
    )
    asked = {"operator_id": "hangzhou-metro", "origin": "Xianghu", "destination": "Binkanglu"}
    fare = client.get("/fares", params=asked | {"language": "zh"}).text

    assert "must hold" not in before
    assert "To ride in Hangzhou, your wallet must hold ¥100.01: top up ¥0.01" in english
    assert "余额须不低于 ¥100.01" in chinese and "余额须不低于 ¥100.01" in fare


def test_the_sign_in_cookie_is_out_of_reach_of_scripts_and_other_sites(
    client: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]

    answer = client.post(
        "/wallet/sign-in", data={"account_id": str(account.account_id)}, follow_redirects=False
    )

    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie


def test_signing_out_ends_the_session_and_clears_the_phone(client: Client, league: LittleLeague) -> None:
    sign_in(client, league.riders["Gao Lan"])

    answer = client.post("/wallet/sign-out", follow_redirects=False)

    assert answer.headers["clear-site-data"] == '"storage"'
    assert "Choose a rider" in client.get("/wallet/home").text


def test_a_stranger_signs_in_as_nobody_outside_a_demo(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    answer = client.post("/wallet/sign-in", data={"account_id": str(UUID(int=5))})

    assert (answer.status_code, answer.json()["code"]) == (404, "identity.unknown_account")


@pytest.mark.parametrize(
    "path", ["/wallet/journeys", "/wallet/statement", "/wallet/top-up", "/wallet/home/balance"]
)
def test_pages_of_the_wallet_need_a_sign_in(client: Client, path: str) -> None:
    answer = client.get(path, headers={"accept": "text/html"})

    assert answer.status_code == 401
    assert "Sign in" in answer.text


def test_a_top_up_sent_twice_is_paid_once(ctx: Context, client: Client, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    sign_in(client, account)
    form = {**top_up_form(client), "amount": "5000"}

    for _ in range(2):
        answer = client.post("/wallet/top-up", data=form)
        assert answer.status_code == 200 and "Top-up" in answer.text

    assert balance(ctx, account) == [Money(150_00, "CNY")]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"currency": "GBP"}, "wallet.wrong_currency"),
        ({"amount": "12345"}, "hansa.invalid_input"),
        ({"amount": "-5000"}, "web.does_not_fit"),
        ({"amount": "many"}, "web.does_not_fit"),
        ({"asked_at": "2020-01-01T00:00:00Z"}, "hansa.invalid_input"),
    ],
)
def test_a_top_up_that_does_not_fit_is_refused_and_nothing_is_paid(
    ctx: Context, client: Client, league: LittleLeague, change: dict[str, str], code: str
) -> None:
    account = league.riders["Gao Lan"]
    sign_in(client, account)

    answer = client.post("/wallet/top-up", data={**top_up_form(client), "amount": "5000", **change})

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert balance(ctx, account) == [Money(100_00, "CNY")]


def test_a_ride_shows_in_the_wallet_with_its_fare_explained(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    phone = Phone(ctx, league, "Gao Lan")
    clock = ctx.clock
    assert isinstance(clock, FixedClock)

    client.post(f"/gate/{WAY_IN}/read", json={"text": phone.show()})
    clock.at += timedelta(minutes=9)
    client.post(f"/gate/{WAY_OUT}/read", json={"text": phone.show()})

    sign_in(client, account)
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, account.account_id)
    assert journey.kind == "complete"
    assert "Xianghu → Binkang Lu" in client.get("/wallet/home").text
    page = client.get(f"/wallet/journeys/{journey.journey_id}").text
    assert journey.steps and all(step.text.split("<")[0] in page for step in journey.steps)
    assert str(journey.fare) in page
    assert balance(ctx, account) == [Money(100_00, "CNY") - journey.fare]


def test_a_ride_abroad_shows_the_exchange(ctx: Context, client: Client, league: LittleLeague) -> None:
    account = league.riders["Gao Lan"]
    phone = Phone(ctx, league, "Gao Lan")

    client.post(f"/gate/{BUS}/read", json={"text": phone.show()})

    sign_in(client, account)
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, account.account_id)
    page = client.get(f"/wallet/journeys/{journey.journey_id}").text
    assert f"{journey.fare} exchanged to ¥" in page


def test_another_riders_journey_is_not_there(ctx: Context, client: Client, league: LittleLeague) -> None:
    phone = Phone(ctx, league, "Gao Lan")
    client.post(f"/gate/{BUS}/read", json={"text": phone.show()})
    with ctx.tx() as tx:
        (journey,) = rides.journeys(tx, league.riders["Gao Lan"].account_id)

    sign_in(client, league.riders["Omar Singh"])
    answer = client.get(f"/wallet/journeys/{journey.journey_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "rides.unknown_journey")


@pytest.mark.parametrize("length", [1, 230, 360, 369, 396])
def test_the_server_draws_a_code_when_the_phone_cannot(client: Client, length: int) -> None:
    text = "HR1:" + "A" * length

    answer = client.post("/wallet/qr", json={"text": text}).json()

    assert read_back(answer["path"], answer["size"]) == text
    if length == 360:
        assert answer["size"] == 57 + 8  # version 10 and its quiet zone


def read_back(path: str, size: int) -> str:
    """What a reader sees in the drawing, four points to a module."""
    picture = np.full((size, size), 255, np.uint8)
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
        picture[int(y), int(x) : int(x) + int(width)] = 0
    assert picture[:4].min() == picture[-4:].min() == picture[:, :4].min() == picture[:, -4:].min() == 255
    found = zxingcpp.read_barcode(picture.repeat(4, axis=0).repeat(4, axis=1))
    assert found is not None
    return found.text


@pytest.mark.parametrize("text", ["", "hr1:abc", "A" * 401, "HR1:\u00e9"])
def test_what_is_no_code_is_not_drawn(client: Client, text: str) -> None:
    answer = client.post("/wallet/qr", json={"text": text})

    assert answer.status_code in (400, 422)


def test_the_service_worker_keeps_every_file_the_wallet_needs(client: Client, league: LittleLeague) -> None:
    sign_in(client, league.riders["Gao Lan"])
    worker = client.get("/wallet/sw.js").text
    page = client.get("/wallet/home").text
    asked = re.findall(r'(?:src|rel="stylesheet" href)="/static/[0-9a-f]+/([^"]+)"', page)

    assert "js/packs/home.js" in asked and "hansa.css" in asked
    assert all(f'"{path}"' in worker for path in asked)


def test_the_statement_is_paged_and_says_what_each_line_left(
    ctx: Context, client: Client, league: LittleLeague, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_pages, "MOVEMENTS_ON_PAGE", 2)
    account = league.riders["Gao Lan"]
    sign_in(client, account)
    for number in range(3):
        payments.top_up(
            ctx,
            [
                payments.TopUp(
                    fact_id(None, "paged", number),
                    account.account_id,
                    account.issuer_id,
                    Money(10_00, "CNY"),
                    ctx.clock.now(),
                )
            ],
        )

    first = client.get("/wallet/statement").text
    second = client.get(older_of(first)).text

    assert balances_of(first) == ["¥130.00", "¥120.00"]
    assert balances_of(second) == ["¥110.00", "¥100.00"]
    assert "Older" not in second and "Latest" in second


def test_journeys_are_paged(
    ctx: Context, client: Client, league: LittleLeague, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wallet, "JOURNEYS_ON_PAGE", 1)
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    sign_in(client, league.riders["Gao Lan"])
    phone = Phone(ctx, league, "Gao Lan")
    for _ in range(2):
        assert client.post(f"/gate/{BUS}/read", json={"text": phone.show()}).json()["accepted"]
        clock.at += timedelta(hours=3)

    first = client.get("/wallet/journeys").text
    second = client.get(older_of(first)).text

    links = [re.findall(r'href="(/wallet/journeys/[^"?]+)"', page) for page in (first, second)]
    assert [len(found) for found in links] == [1, 1] and links[0] != links[1]
    assert "Older" not in second
    assert "Toronto time (America/Toronto, UTC-05:00)" in client.get(links[0][0]).text


@pytest.mark.parametrize("path", ["/wallet/statement", "/wallet/journeys"])
def test_a_page_that_is_none_is_refused(client: Client, league: LittleLeague, path: str) -> None:
    sign_in(client, league.riders["Gao Lan"])

    answer = client.get(f"{path}?after=yesterday")

    assert (answer.status_code, answer.json()["code"]) == (422, "hansa.invalid_input")


def older_of(page: str) -> str:
    (link,) = re.findall(r'rel="next" href="([^"]+)"', page)
    return unescape(link)


def balances_of(page: str) -> list[str]:
    return re.findall(r">Balance </span>([^<]+)<", page)
