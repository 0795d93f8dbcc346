"""Swaps over HTTP: quoted by one member, accepted by the other, and nobody else's business."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from clearing.example_day import OVER, ride_all
from clearing.test_clearing_routes import client_of
from clearing.test_days import close
from clearing.test_swaps import WINDOW
from hansa import clearing, trust
from hansa.clearing import swap_routes
from hansa.kernel import FixedClock
from hansa.store import Context

SCOPES = frozenset({"clearing:read", "clearing:swap"})
QUOTE = {
    "quote_id": "00000000-0000-0000-0000-000000000007",
    "member_id": "hangzhou",
    "net_currency": "CNY",
    "paid_currency": "HKD",
    "rate": "1.087",
    "expires_at": (OVER + timedelta(minutes=30)).isoformat(),
}
AT = f"/v1/clearing/quotes/{QUOTE['quote_id']}"
ACCEPT = {"window_id": WINDOW}


class Asking:
    """The same league asked by several members."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = replace(ctx, clock=FixedClock(OVER))

    def __call__(self, member: str, method: str, path: str, body: object = None, **more: Any) -> Any:
        caller = trust.Caller(
            member,
            "league" if member == "league" else "member",
            more.get("scopes", SCOPES),
            trust.MemberId(member),
        )
        app: TestClient[Litestar]
        with client_of(self.ctx, caller, swap_routes.ROUTES) as app:
            return app.request(method, path, json=body)


@pytest.fixture
def ask(ctx: Context) -> Asking:
    ride_all(ctx)
    close(ctx)
    return Asking(ctx)


def test_a_quote_is_given_seen_by_the_two_and_accepted_once(ask: Asking) -> None:
    given = ask("beijing", "POST", "/v1/clearing/quotes", QUOTE)
    assert given.status_code == 200, given.text
    assert ask("beijing", "POST", "/v1/clearing/quotes", QUOTE).json() == given.json()
    assert given.json()["rate"] == "1.087" and given.json()["provider_id"] == "beijing"

    seen = {who: ask(who, "GET", AT).status_code for who in ("beijing", "hangzhou", "league", "hong-kong")}
    assert seen == {"beijing": 200, "hangzhou": 200, "league": 200, "hong-kong": 404}
    refused = {who: ask(who, "POST", f"{AT}/accept", ACCEPT).status_code for who in ("beijing", "hong-kong")}
    assert refused == {"beijing": 403, "hong-kong": 404}

    first, again = (ask("hangzhou", "POST", f"{AT}/accept", ACCEPT) for _ in range(2))
    assert first.status_code == 200 and first.json() == again.json()
    assert (first.json()["net_minor"], first.json()["paid_minor"]) == (-396, -430)
    listed = {
        who: len(ask(who, "GET", f"/v1/clearing/windows/{WINDOW}/swaps").json()["swaps"]) for who in seen
    }
    assert listed == {"beijing": 1, "hangzhou": 1, "league": 1, "hong-kong": 0}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"rate": "0"}, 422, "hansa.invalid_input"),
        ({"paid_currency": "CNY"}, 422, "hansa.invalid_input"),
        ({"member_id": "beijing"}, 422, "hansa.invalid_input"),
        ({"member_id": "nobody"}, 404, "trust.unknown_member"),
        ({"expires_at": OVER.isoformat()}, 422, "hansa.invalid_input"),
        ({"rate": "1e3"}, 400, ""),
        ({"expires_at": "2026-11-18T20:00:00"}, 400, ""),
    ],
)
def test_what_is_no_quote_is_not_kept(ask: Asking, changes: dict[str, str], status: int, code: str) -> None:
    answer = ask("beijing", "POST", "/v1/clearing/quotes", QUOTE | changes)

    assert answer.status_code == status and (not code or answer.json()["code"] == code), answer.text
    assert ask("league", "GET", AT).status_code == 404


def test_who_is_suspended_quotes_nothing_and_nothing_of_it_is_taken_up(ask: Asking) -> None:
    ask("beijing", "POST", "/v1/clearing/quotes", QUOTE)
    with ask.ctx.tx() as tx:
        trust.suspend(tx, "beijing", by="league:ada", at=OVER, why="unsure")

    other = QUOTE | {"quote_id": "00000000-0000-0000-0000-000000000008"}
    for answer in (
        ask("beijing", "POST", "/v1/clearing/quotes", other),
        ask("hangzhou", "POST", f"{AT}/accept", ACCEPT),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "trust.member_may_not")
    missing = ask("hangzhou", "POST", f"{AT}/accept", ACCEPT, scopes=frozenset({"clearing:read"}))
    assert missing.status_code == 403
    with ask.ctx.tx() as tx:
        assert clearing.list_swaps(tx, WINDOW) == []
