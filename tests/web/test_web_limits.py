"""Limits: by key, sign-in and address, held in the database for all processes, handed out by the lease."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import trust
from hansa.apps.web import create_app, throttled
from hansa.apps.web.throttled import ADDRESS, Leases, Limit, bucket_of_address, cost_of
from hansa.store import Context, Rate, StoreUnavailable
from web.conftest import seen_from
from web.little_league import LittleLeague

Client = TestClient[Any]
SMALL = Limit("small", Rate(100, timedelta(seconds=10)), 50)


class Hands:
    """A clock of the machine's that is moved by hand."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def now_s(self) -> float:
        return self.s

    def now(self) -> datetime:
        return datetime(2026, 11, 17, tzinfo=UTC) + timedelta(seconds=self.s)


def leases_of(ctx: Context, hands: Hands) -> Leases:
    return Leases(ctx, now=hands.now, now_s=hands.now_s)


def taken(leases: Leases, cost: int, times: int, who: str = "a") -> list[bool]:
    async def take() -> list[bool]:
        return [(await leases.take(SMALL, who, cost)).allowed for _ in range(times)]

    return asyncio.run(take())


def test_what_is_used_up_is_refused_until_it_fills_again(ctx: Context) -> None:
    hands = Hands()
    leases = leases_of(ctx, hands)

    first = taken(leases, 10, 12)
    hands.s += 1.0  # ten tokens
    second = taken(leases, 10, 2)

    assert first == [True] * 10 + [False] * 2
    assert second == [True, False]


def test_two_processes_share_a_bucket_and_other_buckets_are_full(ctx: Context) -> None:
    hands = Hands()
    one, other = leases_of(ctx, hands), leases_of(ctx, hands)

    assert sum(taken(one, 10, 6)) + sum(taken(other, 10, 12)) <= 10
    assert taken(other, 10, 1, who="b") == [True]


def test_a_thousand_requests_ask_the_database_a_few_times(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = Hands()
    leases = leases_of(ctx, hands)
    asked = 0
    ask = leases._ask

    def counted(limit: Limit, bucket: str, wanted: int) -> tuple[int, int]:
        nonlocal asked
        asked += 1
        return ask(limit, bucket, wanted)

    monkeypatch.setattr(leases, "_ask", counted)

    async def take() -> int:
        told = await asyncio.gather(*(leases.take(throttled.KEY, "hot", 1) for _ in range(5_000)))
        return sum(one.allowed for one in told)

    assert asyncio.run(take()) == 5_000
    assert asked <= 8


def test_requests_are_let_in_where_the_database_is_away(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = leases_of(ctx, Hands())

    def away(*_: object) -> tuple[int, int]:
        raise StoreUnavailable

    monkeypatch.setattr(leases, "_ask", away)

    assert taken(leases, 10, 3) == [True] * 3


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("GET", "/v1/members", 10),
        ("POST", "/v1/top-ups", 20),
        ("POST", "/v1/ledger/transfers", 1),
        ("GET", "/v1/ledger/transfers", 10),
        ("GET", "/v1/reports/ageing", 200),
        ("GET", "/static/hansa.css", 0),
    ],
)
def test_requests_cost_what_they_cost_us(method: str, path: str, cost: int) -> None:
    assert cost_of(method, path) == cost


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_address_counts_by_what_one_household_has(host: str, bucket: str) -> None:
    assert bucket_of_address(host) == bucket


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of which a test sees the end."""
    for name in ("ADDRESS", "KEY", "SESSION"):
        limit: Limit = getattr(throttled, name)
        monkeypatch.setattr(
            f"hansa.apps.web.door.{name}", Limit(limit.name, Rate(30, timedelta(minutes=5)), 30)
        )


@pytest.mark.usefixtures("narrow")
def test_over_the_limit_is_429_with_when_to_come_again(
    ctx: Context, home: Path, league: LittleLeague
) -> None:
    app = create_app(ctx, home=home, demo=False)
    with TestClient(seen_from(app, "203.0.113.9"), raise_server_exceptions=False) as client:
        answers = [client.get("/v1/members") for _ in range(4)]
        files = client.get("/static/hansa.css")
    with TestClient(seen_from(app, "203.0.113.10"), raise_server_exceptions=False) as neighbour:
        other = neighbour.get("/v1/members")

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused.json()["code"] == "web.too_many_requests" and refused.json()["next_action"] == "retry"
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert refused.headers["ratelimit-policy"] == '"address";q=30;w=300'
    assert answers[0].headers["ratelimit"].startswith('"address";r=20;t=')
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert files.status_code == other.status_code == 200
    assert ADDRESS.rate.burst > 30


@pytest.mark.usefixtures("narrow")
def test_a_key_has_a_limit_of_its_own_and_made_up_keys_cost_their_address(
    ctx: Context, home: Path, league: LittleLeague
) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-ttc", ["taps:write"], at=ctx.clock.now())
    app = create_app(ctx, home=home, demo=False)
    key = {"authorization": f"Bearer {secret}"}

    with TestClient(seen_from(app, "203.0.113.9"), raise_server_exceptions=False) as client:
        with_key = client.get("/v1/members", headers=key)
        made_up = [
            client.get("/v1/me", headers={"authorization": f"Bearer hansa_{n}"}).status_code for n in range(3)
        ]
        still = client.get("/v1/members", headers=key)

    assert with_key.headers["ratelimit-policy"].startswith('"key"')
    assert made_up == [401, 401, 429]
    assert still.status_code == 200


@pytest.mark.usefixtures("narrow")
def test_who_signed_in_has_a_limit_of_their_own(ctx: Context, home: Path, league: LittleLeague) -> None:
    app = create_app(ctx, home=home, demo=True)
    account = league.riders["Gao Lan"]
    with TestClient(
        seen_from(app, "127.0.0.1"), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        form = {"account_id": str(account.account_id)}
        client.post("/wallet/sign-in", data=form, follow_redirects=False)
        answers = [client.get("/v1/me") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"].startswith('"session"')


def test_a_test_key_opens_nothing_where_money_is_real(ctx: Context, home: Path, league: LittleLeague) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-ttc", ["taps:write"], at=ctx.clock.now(), test=True)
    with TestClient(create_app(ctx, home=home, demo=False), raise_server_exceptions=False) as client:
        refused = client.get("/v1/members", headers={"authorization": f"Bearer {secret}"})

    assert (refused.status_code, refused.json()["code"]) == (401, "web.test_key")
