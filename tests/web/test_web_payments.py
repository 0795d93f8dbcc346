"""Payments over HTTP: by the short way and by the route alike, with their keys, and what follows them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import store, trust
from hansa.apps.web import create_app
from hansa.kernel import new_id
from hansa.store import Context
from payments.shopping import ANN, BANK, CARD, NOW, check_books, held, open_town, pass_time, told
from web.conftest import seen_from

Client = TestClient[Any]

MANDATE = """
insert into approval.mandates (partition, mandate_id, account_id, payee_key, payee_name, member_id, reference, currency,
    each_minor, period, period_minor, asked_at, holds_from, ends_at)
values (0, %s, %s, 'payee:tea-house', 'Tea house', 'market-bank', '', 'CNY', 5000, 'month', 100000, %s, %s, %s)
"""


@pytest.fixture
def keys(ctx: Context) -> dict[str, str]:
    """Keys of the tea house's bank, of the card house, and of the league; and Ann's mandate."""
    open_town(ctx)
    mandate = new_id()
    with ctx.tx() as tx:
        scopes = ["payments:read", "payments:write"]
        made = {
            name: trust.create_api_key(tx, trust.MemberId(name), scopes, at=NOW)
            for name in (BANK, CARD, "league")
        }
        tx.execute(MANDATE, (mandate, ANN, NOW, NOW - timedelta(days=1), NOW + timedelta(days=90)))
    return made | {"mandate": str(mandate)}


@pytest.fixture
def shop(ctx: Context, home: Path) -> Iterator[Client]:
    """A program somewhere else."""
    app = create_app(ctx, home=home, demo=False)
    with TestClient(
        seen_from(app, "203.0.113.9"), base_url="http://hansa.example", raise_server_exceptions=False
    ) as client:
        yield client


def body(keys: dict[str, str], minor: int = 30_00, **more: Any) -> dict[str, Any]:
    """A payment of Ann's by her mandate."""
    return {
        "payee_id": "tea-house",
        "amount": {"minor": minor, "currency": "CNY"},
        "payer": str(ANN),
        "method": "mandate",
        "mandate_id": keys["mandate"],
        "reference": "order 7",
        **more,
    }


def send(
    shop: Client, path: str, key: str, data: dict[str, Any], name: str | None = "k1", *, slowly: bool = False
) -> Any:
    """Post it. slowly: by the route, which an address with a query is for."""
    headers = {"authorization": f"Bearer {key}"} | ({} if name is None else {"idempotency-key": name})
    return shop.post(path + ("?slowly=1" if slowly else ""), json=data, headers=headers)


@pytest.mark.parametrize("slowly", [False, True])
def test_a_payment_is_made_once_for_a_key_and_answered_alike(
    ctx: Context, keys: dict[str, str], shop: Client, slowly: bool
) -> None:
    first = send(shop, "/v1/payments", keys[BANK], body(keys), slowly=slowly)
    again = send(shop, "/v1/payments", keys[BANK], body(keys), slowly=not slowly)
    other = send(shop, "/v1/payments", keys[BANK], body(keys, 31_00), slowly=slowly)
    nameless = send(shop, "/v1/payments", keys[BANK], body(keys), None, slowly=slowly)

    assert first.status_code == 200, first.text
    assert (first.json()["state"], first.json()["captured_minor"]) == ("captured", 30_00)
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "store.key_reused")
    assert (nameless.status_code, nameless.json()["code"]) == (400, "store.key_missing")
    assert held(ctx) == (70_00, 0)
    assert told(ctx) == ["payment.captured"]


@pytest.mark.parametrize("slowly", [False, True])
@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"payee_id": "nobody"}, 404, "payments.unknown_payee_id"),
        ({"payee_id": "kiosk"}, 404, "payments.unknown_payee_id"),
        ({"payer": "0198c000-0000-7000-8000-000000000000"}, 404, "identity.unknown_account"),
        ({"amount": {"minor": 1, "currency": "CAD"}}, 422, "payments.wrong_payee_currency"),
        ({"amount": {"minor": 0, "currency": "CNY"}}, 400, "web.malformed"),
        ({"method": "code"}, 422, "hansa.invalid_input"),
        ({"mandate_id": None}, 422, "hansa.invalid_input"),
        ({"quote_id": "0198c000-0000-7000-8000-000000000000"}, 422, "hansa.invalid_input"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_key_is_free(
    ctx: Context,
    keys: dict[str, str],
    shop: Client,
    slowly: bool,
    changed: dict[str, Any],
    status: int,
    code: str,
) -> None:
    refused = send(shop, "/v1/payments", keys[BANK], body(keys, **changed), slowly=slowly)

    assert refused.json()["code"] in (code, "web.does_not_fit"), refused.text
    assert refused.status_code in (status, 422)
    assert held(ctx) == (100_00, 0)
    assert send(shop, "/v1/payments", keys[BANK], body(keys), slowly=slowly).status_code == 200


def test_what_policy_or_the_wallet_refuses_is_a_payment_that_failed(
    keys: dict[str, str], shop: Client
) -> None:
    over = send(shop, "/v1/payments", keys[BANK], body(keys, 50_01), "k1").json()
    for n in range(2):
        send(shop, "/v1/payments", keys[BANK], body(keys, 50_00), f"paid {n}")
    poor = send(shop, "/v1/payments", keys[BANK], body(keys, 1), "k2").json()

    assert (over["state"], over["reason"]) == ("failed", "approval.mandate_exceeded")
    assert (poor["state"], poor["reason"]) == ("failed", "payments.insufficient_funds")
    assert poor["message"]


def test_it_is_held_captured_in_parts_refunded_and_read_by_whom_it_concerns(
    ctx: Context, keys: dict[str, str], shop: Client
) -> None:
    made = send(shop, "/v1/payments", keys[BANK], body(keys, capture="manual")).json()
    path = f"/v1/payments/{made['payment_id']}"

    part = {"minor": 20_00, "final": False}
    captured = [send(shop, f"{path}/capture", keys[BANK], part, "c1") for _ in range(2)]
    stranger = send(shop, f"{path}/refunds", keys[CARD], {}, "r0")
    voided = send(shop, f"{path}/void", keys[BANK], {}, "v1")
    refunds = [send(shop, f"{path}/refunds", keys[BANK], {"minor": 5_00}, "r1") for _ in range(2)]
    too_much = send(shop, f"{path}/refunds", keys[BANK], {"minor": 15_01}, "r2")
    canceled = send(shop, f"{path}/cancel", keys[BANK], {}, "x1")

    assert captured[0].json()["captured_minor"] == 20_00 and captured[0].content == captured[1].content
    assert captured[1].headers["idempotency-replayed"] == "true"
    assert (stranger.status_code, stranger.json()["code"]) == (404, "payments.unknown_payment")
    assert (voided.json()["state"], voided.json()["held_minor"]) == ("captured", 0)
    assert refunds[0].json()["state"] == "settled" and refunds[0].content == refunds[1].content
    assert (too_much.status_code, too_much.json()["code"]) == (409, "payments.more_than_captured")
    assert (canceled.status_code, canceled.json()["code"]) == (409, "payments.state_forbids")
    assert held(ctx) == (85_00, 0)
    check_books(ctx)

    whole = read(shop, path, keys[BANK]).json()
    assert [one["action"] for one in whole["steps"]] == ["authorize", "capture", "void", "refund"]
    assert [(one["n"], one["outcome"]) for one in whole["attempts"]] == [(1, "succeeded")]
    assert [one["amount"]["minor"] for one in whole["captures"]] == [20_00]
    assert [one["amount"]["minor"] for one in whole["refunds"]] == [5_00]
    assert read(shop, path, keys["league"]).status_code == 200
    assert read(shop, path, keys[CARD]).status_code == 404
    assert read(shop, f"/v1/refunds/{refunds[0].json()['refund_id']}", keys[BANK]).status_code == 200
    assert read(shop, f"/v1/refunds/{refunds[0].json()['refund_id']}", keys[CARD]).status_code == 404
    assert len(read(shop, "/v1/refunds", keys[BANK]).json()["refunds"]) == 1


@pytest.mark.parametrize("slowly", [False, True])
def test_a_key_that_is_not_kept_any_more_still_names_what_it_made(
    ctx: Context, keys: dict[str, str], shop: Client, slowly: bool
) -> None:
    held_one = body(keys, capture="manual")
    first = send(shop, "/v1/payments", keys[BANK], held_one, slowly=slowly).json()
    path = f"/v1/payments/{first['payment_id']}"
    part, back = {"minor": 20_00, "final": False}, {"minor": 5_00}
    captured = send(shop, f"{path}/capture", keys[BANK], part, "c").json()
    refund = send(shop, f"{path}/refunds", keys[BANK], back, "r").json()
    before = held(ctx)
    pass_time(ctx, days=31)
    with ctx.tx() as tx:
        store.forget_keys(tx, ctx.clock.now())

    others = [
        send(shop, "/v1/payments", keys[BANK], held_one | {"reference": "order 8"}, slowly=slowly),
        send(shop, f"{path}/capture", keys[BANK], part | {"minor": 10_00}, "c"),
        send(shop, f"{path}/refunds", keys[BANK], {"minor": 4_00}, "r"),
    ]
    again = send(shop, "/v1/payments", keys[BANK], held_one, slowly=slowly).json()
    captured_again = send(shop, f"{path}/capture", keys[BANK], part, "c").json()
    refund_again = send(shop, f"{path}/refunds", keys[BANK], back, "r").json()

    assert [(one.status_code, one.json()["code"]) for one in others] == [(422, "store.key_reused")] * 3
    assert (again["payment_id"], refund_again) == (first["payment_id"], refund)
    assert captured_again["captured_minor"] == captured["captured_minor"] == 20_00
    assert held(ctx) == before, "nothing was done twice"


def test_lists_are_paged_and_narrowed(keys: dict[str, str], shop: Client) -> None:
    made = [
        send(shop, "/v1/payments", keys[BANK], body(keys, 1_00), f"k{n}").json()["payment_id"]
        for n in range(3)
    ]

    first = read(shop, "/v1/payments?limit=2", keys[BANK]).json()
    rest = read(shop, f"/v1/payments?limit=2&after={first['next']}", keys[BANK]).json()

    found = [one["payment_id"] for one in first["payments"] + rest["payments"]]
    assert sorted(found) == sorted(made) and rest["next"] is None
    assert read(shop, "/v1/payments?payee_id=tea-house&state=captured", keys[BANK]).json()["next"] is None
    assert read(shop, "/v1/payments?state=failed", keys[BANK]).json()["payments"] == []
    assert read(shop, "/v1/payments?payee_id=kiosk", keys[BANK]).status_code == 404
    assert read(shop, "/v1/payments", keys[CARD]).json()["payments"] == []
    assert read(shop, "/v1/payments?after=x", keys[BANK]).status_code == 422


def test_payees_are_opened_paused_and_read_by_their_member(keys: dict[str, str], shop: Client) -> None:
    new = {"payee_id": "book-stall", "name": "Book stall", "currency": "CNY", "category": "5942"}

    opened = [send(shop, "/v1/payees", keys[BANK], new) for _ in range(2)]
    others = send(shop, "/v1/payees", keys[CARD], new)
    odd = send(shop, "/v1/payees", keys[BANK], new | {"payee_id": "Book Stall"})
    paused = send(shop, "/v1/payees/book-stall/status", keys[BANK], {"status": "paused"})
    refused = send(shop, "/v1/payments", keys[BANK], body(keys, payee_id="book-stall"))

    assert [one.status_code for one in opened] == [200, 200]
    assert (others.status_code, others.json()["code"]) == (409, "payments.payee_differs")
    assert odd.status_code == 422
    assert paused.json()["status"] == "paused"
    assert refused.status_code == 404
    assert read(shop, "/v1/payees/book-stall", keys[CARD]).status_code == 404
    listed = read(shop, "/v1/payees", keys[BANK]).json()["payees"]
    assert [one["payee_id"] for one in listed] == ["book-stall", "maple", "tea-house"]


def test_nobody_asks_without_a_key_or_with_too_little_of_one(
    ctx: Context, keys: dict[str, str], shop: Client
) -> None:
    with ctx.tx() as tx:
        reader = trust.create_api_key(tx, trust.MemberId(BANK), ["payments:read"], at=NOW)

    assert send(shop, "/v1/payments", "nothing", body(keys)).status_code == 401
    assert send(shop, "/v1/payments", reader, body(keys)).status_code == 403
    assert send(shop, f"/v1/payments/{new_id()}/capture", keys[BANK], {}).status_code == 404
    assert held(ctx) == (100_00, 0)


def read(shop: Client, path: str, key: str) -> Any:
    """Get it."""
    return shop.get(path, headers={"authorization": f"Bearer {key}"})


def test_ids_are_worked_out_from_the_key(keys: dict[str, str], shop: Client) -> None:
    one = send(shop, "/v1/payments", keys[BANK], body(keys, 1), "same").json()
    two = send(shop, "/v1/payments", keys["league"], body(keys, 1), "same").json()

    assert UUID(one["payment_id"]) != UUID(two["payment_id"]), "another asker's key is another key"
