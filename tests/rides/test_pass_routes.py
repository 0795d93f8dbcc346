"""Passes over HTTP: offered to everybody, bought and given back by a rider or the rider's issuer, by nobody else."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import payments, rides, trust
from hansa.identity import AccountId
from hansa.kernel import HansaError, fact_id
from hansa.rides import TariffSource
from hansa.rides.pass_routes import ROUTES
from hansa.store import Context
from rides.books import HEAD, STOPS, open_operator, open_town
from rides.riding import League, account_of

OPERATOR = "town-metro"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
RULES = """
[basis]
kind = "flat"
fare = "2.00"
[incomplete]
fare = "7.00"
[[pass]]
name = "Week"
price = { adult = "9.00", child = "4.50" }
lasts = "week"
[[pass]]
name = "Half month"
percent = 50
price = "6.00"
lasts = "month"
"""
BOTH = frozenset({"payments:read", "payments:write"})
RIDER = trust.Caller("person", "person", frozenset({"wallet"}), account_id=str(account_of(1)))
STRANGER = trust.Caller("person", "person", frozenset({"wallet"}), account_id=str(account_of(2)))
ISSUER = trust.Caller("issuer", "member", BOTH, member_id=trust.MemberId("london-card"))
OTHER_ISSUER = trust.Caller("other", "member", BOTH, member_id=trust.MemberId("beijing-card"))
READER = trust.Caller(
    "reader", "member", frozenset({"payments:read"}), member_id=trust.MemberId("london-card")
)
PASS_ID = str(fact_id(None, "pass", 1))
WISH = {"pass_id": PASS_ID, "operator_id": OPERATOR, "name": "Week", "from_day": "2026-11-30"}

ClientOf = Callable[[trust.Caller], TestClient[Litestar]]


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, Any]]:
    problems = [{"where": one.where, "remedy": one.remedy} for one in error.problems]
    return Response({"code": error.code, "problems": problems}, status_code=error.status)


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = NOON  # type: ignore[attr-defined]
    league = open_town(ctx)
    text = HEAD.format(operator=OPERATOR, currency="GBP", top="", subsidy="") + RULES
    open_operator(league, TariffSource(text, {}))
    for number, pence in ((1, 2_500), (2, 100)):
        league.open_money(number, pence, issuer="london-card", currency="GBP")
    return league


@pytest.fixture
def client_of(ctx: Context, league: League) -> Iterator[ClientOf]:
    caller = [trust.ANONYMOUS]
    app = Litestar(
        ROUTES,
        dependencies={
            "ctx": Provide(lambda: ctx, sync_to_thread=False),
            "caller": Provide(lambda: caller[0], sync_to_thread=False),
        },
        exception_handlers={HansaError: problem},
    )
    with TestClient(app) as client:

        def speak(now: trust.Caller) -> TestClient[Litestar]:
            caller[0] = now
            return client

        yield speak


def wallet(league: League, number: int = 1) -> list[str]:
    with league.ctx.tx() as tx:
        return [str(one) for one in payments.balance_of(tx, AccountId(account_of(number)))]


def passes_kept(league: League) -> int:
    with league.ctx.tx() as tx:
        row = tx.execute("select count(*) from rides.passes").fetchone()
    assert row is not None
    return int(row[0])


def test_everybody_may_ask_what_is_on_sale(client_of: ClientOf) -> None:
    client = client_of(trust.ANONYMOUS)

    adult = client.get("/v1/pass-offers", params={"operator_id": OPERATOR}).json()
    child = client.get(
        "/v1/pass-offers",
        params={"operator_id": OPERATOR, "rider_class": "child", "from_day": "2026-12-01"},
    ).json()
    nobody = client.get("/v1/pass-offers", params={"operator_id": "nobody"})
    far = client.get("/v1/pass-offers", params={"operator_id": OPERATOR, "from_day": "9999-12-31"})

    assert [(one["name"], one["price"]["minor"], one["until_day"]) for one in adult["offers"]] == [
        ("Week", 900, "2026-12-06"),
        ("Half month", 600, "2026-12-29"),
    ]
    assert [(one["price"]["minor"], one["percent"]) for one in child["offers"]] == [(450, 0), (600, 50)]
    text = HEAD.format(operator=OPERATOR, currency="GBP", top="", subsidy="") + RULES
    assert [text.splitlines()[one["line"] - 1] for one in adult["offers"]] == ["[[pass]]", "[[pass]]"]
    assert (nobody.status_code, nobody.json()["code"]) == (404, "rides.unknown_tariff")
    assert (far.status_code, far.json()["problems"][0]["where"]) == (422, "from_day")


def test_a_rider_buys_once_however_often_it_is_sent_and_gives_it_back(
    client_of: ClientOf, league: League
) -> None:
    client = client_of(RIDER)

    first, again = (client.post("/v1/passes", json=WISH) for _ in range(2))
    rides.post_charges(league.ctx)
    paid = wallet(league)
    back = [client.post(f"/v1/passes/{PASS_ID}/refund", json={}) for _ in range(2)]
    rides.post_charges(league.ctx)

    assert first.status_code == 200 and first.json() == again.json()
    assert (first.json()["until_day"], first.json()["account_id"]) == ("2026-12-06", RIDER.account_id)
    assert (paid, wallet(league)) == (["£16.00"], ["£25.00"])
    assert back[0].json() == back[1].json() and back[0].json()["refunded_at"]
    assert [one["name"] for one in client.get("/v1/passes").json()["passes"]] == ["Week"]


def test_an_issuer_buys_for_its_own_riders_and_nobody_for_others(client_of: ClientOf, league: League) -> None:
    wish = WISH | {"account_id": str(account_of(1))}
    for caller, status, code in (
        (trust.ANONYMOUS, 401, "trust.not_signed_in"),
        (STRANGER, 404, "identity.unknown_account"),
        (OTHER_ISSUER, 404, "identity.unknown_account"),
        (READER, 403, "trust.not_allowed"),
    ):
        refused = client_of(caller).post("/v1/passes", json=wish)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    unnamed = client_of(ISSUER).post("/v1/passes", json=WISH)
    assert (unnamed.status_code, unnamed.json()["problems"][0]["where"]) == (422, "account")
    assert passes_kept(league) == 0

    bought = client_of(ISSUER).post("/v1/passes", json=wish)

    assert bought.status_code == 200
    asked = {"account": str(account_of(1))}
    seen = client_of(READER).get("/v1/passes", params=asked)
    assert [one["pass_id"] for one in seen.json()["passes"]] == [PASS_ID]
    for caller in (STRANGER, OTHER_ISSUER):
        assert client_of(caller).get("/v1/passes", params=asked).status_code == 404
        held = client_of(caller).post(f"/v1/passes/{PASS_ID}/refund", json={"account_id": asked["account"]})
        assert held.status_code == 404
    assert client_of(STRANGER).post(f"/v1/passes/{PASS_ID}/refund", json={}).json()["code"] == (
        "rides.unknown_pass"
    )
    assert league.books("charges") == 1


def test_what_is_refused_says_why_and_charges_nothing(client_of: ClientOf, league: League) -> None:
    other = str(fact_id(None, "pass", 2))
    client = client_of(RIDER)
    client.post("/v1/passes", json=WISH)
    for change, status, code in (
        ({"name": "Half month"}, 409, "rides.pass_conflict"),
        ({"pass_id": other}, 409, "rides.pass_held"),
        ({"pass_id": other, "name": "Year"}, 422, "hansa.invalid_input"),
        ({"pass_id": other, "from_day": "2026-11-29"}, 422, "hansa.invalid_input"),
        ({"pass_id": other, "from_day": "9999-12-31"}, 422, "hansa.invalid_input"),
        ({"pass_id": other, "operator_id": "nobody"}, 404, "rides.unknown_tariff"),
        ({"pass_id": other, "wallet_currency": "EUR"}, 422, "payments.wrong_currency"),
    ):
        refused = client.post("/v1/passes", json=WISH | change)
        assert (refused.status_code, refused.json()["code"]) == (status, code), change
    poor = client_of(STRANGER).post("/v1/passes", json=WISH | {"pass_id": other})
    assert (poor.status_code, poor.json()["code"]) == (402, "rides.pass_not_paid")
    cti = league.rider(1, issuer="london-card", currency="GBP")
    league.ctx.clock.at = NOON + timedelta(hours=1)  # type: ignore[attr-defined]
    league.hand_in(league.ride(OPERATOR, STOPS[0], STOPS[1], NOON, cti, minutes=10))
    rides.rate(league.ctx)

    used = client_of(RIDER).post(f"/v1/passes/{PASS_ID}/refund", json={})

    assert (used.status_code, used.json()["code"]) == (409, "rides.pass_used")
    held = client.get("/v1/passes").json()["passes"]
    assert [(one["used"], one["saved"]["minor"], one["refunded_at"]) for one in held] == [(1, 200, None)]
    assert league.charged(1) == [0] and passes_kept(league) == 1
