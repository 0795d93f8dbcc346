"""Webhooks over HTTP and at the console: a member's own, refusals that leave nothing, and the walk of a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import trust, webhooks
from hansa.apps.web import create_app
from hansa.kernel import new_id
from hansa.store import Context
from web.conftest import HERE, seen_from
from webhooks.receiving import A, B, Receiver, join_league, number_all, receiving, step, tell

Client = TestClient[Any]


@pytest.fixture
def told(committed_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver on this machine, which may be called."""
    monkeypatch.setenv("HANSA_WEBHOOK_NETWORKS", "127.0.0.0/8")
    join_league(committed_ctx)
    with receiving() as receiver:
        yield receiver


def keys_of(ctx: Context) -> dict[str, dict[str, str]]:
    """What each member sends to be known, and a key that may only read."""
    now = ctx.clock.now()
    both = ["webhooks:read", "webhooks:write"]
    with ctx.tx() as tx:
        made: dict[str, str] = {member: trust.create_api_key(tx, member, both, at=now) for member in (A, B)}
        made["reader"] = trust.create_api_key(tx, A, ["webhooks:read"], at=now)
    return {name: {"authorization": f"Bearer {key}"} for name, key in made.items()}


def deliver(ctx: Context, home: Path) -> None:
    secrets = webhooks.Secrets(trust.KeyFolder(home / "keys").webhooks())
    sender = webhooks.Sender(ctx, secrets, webhooks.reach_from_environment())
    try:
        number_all(ctx)
        webhooks.turn(ctx, sender)
    finally:
        sender.close()


def test_a_member_adds_verifies_and_hears_and_nobody_else_may(
    committed_ctx: Context, home: Path, told: Receiver
) -> None:
    ctx, keys, one = committed_ctx, keys_of(committed_ctx), str(new_id())
    path = f"/v1/webhook_endpoints/{one}"
    body = {"endpoint_id": one, "url": told.url, "types": ["dispute.moved"]}
    with TestClient(create_app(ctx, home=home, demo=False), raise_server_exceptions=False) as client:
        made = client.post("/v1/webhook_endpoints", json=body, headers=keys[A])
        again = client.post("/v1/webhook_endpoints", json=body, headers=keys[A])
        differs = client.post("/v1/webhook_endpoints", json=body | {"about": "x"}, headers=keys[A])
        asked = client.post(f"{path}/verify", json={}, headers=keys[A]).json()
        code = told.got[0].told["data"]["code"]
        wrong = client.post(f"{path}/verify", json={"code": code[::-1]}, headers=keys[A])
        enabled = client.post(f"{path}/verify", json={"code": code}, headers=keys[A]).json()
        tell(ctx, step(1, at=ctx, to=(A, B)), step(2, at=ctx))
        test = client.post(f"{path}/test", headers=keys[A]).json()
        deliver(ctx, home)
        sent = client.post(f"{path}/redeliver", json={"first": 1, "last": 1}, headers=keys[A]).json()
        too_many = client.post(f"{path}/redeliver", json={"first": 1, "last": 2000}, headers=keys[A])
        deliver(ctx, home)
        feed = client.get("/v1/events?after=1&limit=1", headers=keys["reader"]).json()
        event = client.get(f"/v1/events/{feed['events'][0]['id']}", headers=keys["reader"]).json()
        page = client.get(f"{path}/deliveries?limit=2", headers=keys["reader"]).json()
        types = client.get("/v1/event_types").json()["event_types"]
        strangers = [
            client.get(path, headers=keys[B]),
            client.post(f"{path}/state", json={"state": "disabled"}, headers=keys[B]),
            client.get(f"/v1/events/{feed['events'][0]['id']}", headers=keys[B]),
            client.get(f"/v1/events?member_id={A}", headers=keys[B]),
            client.post(f"{path}/test", headers=keys["reader"]),
            client.get("/v1/events"),
        ]
        listed = [
            len(client.get("/v1/webhook_endpoints", headers=keys[who]).json()["endpoints"]) for who in (A, B)
        ]
        rotated = client.post(f"{path}/rotate", headers=keys[A]).json()
        off = client.post(f"{path}/state", json={"state": "disabled"}, headers=keys[A]).json()
        on = client.post(f"{path}/state", json={"state": "enabled"}, headers=keys[A]).json()

    assert made.status_code == 200 and made.json() == again.json()
    assert (differs.status_code, differs.json()["code"]) == (409, "webhooks.differs")
    assert (asked["status"], asked["endpoint"]["state"]) == (200, "unverified")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "webhooks.not_verified")
    assert enabled["endpoint"]["state"] == "enabled"
    secret = made.json()["secret"]
    now_s = ctx.clock.now().timestamp()
    assert {webhooks.verify(got.body, got.headers, secret, now_s=now_s) for got in told.got} >= {
        test["event_id"]
    }
    assert [got.told["type"].split(".")[-1] for got in told.got] == [
        "verify",
        "moved",
        "moved",
        "test",
        "moved",
    ]
    assert sent == {"events": 1} and told.seqs[1:] == [1, 2, 3, 1]
    assert (too_many.status_code, too_many.json()["violations"][0]["param"]) == (422, "last")
    assert (feed["next"], feed["events"][0]["data"]["n"]) == (2, 2)
    assert event == feed["events"][0] and event["subject"] == "dispute-2"
    assert [one["status"] for one in page["deliveries"]] == [200, 200]
    assert {one["type"] for one in types} == {one.name for one in webhooks.TYPES}
    assert [one.status_code for one in strangers] == [404, 404, 404, 403, 403, 401]
    assert listed == [1, 0]
    assert rotated["secret"] != secret and len(rotated["endpoint"]["public_keys"]) == 2
    assert (off["state"], on["state"]) == ("disabled", "enabled")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"url": "http://example.org/hook"}, "url"),
        ({"url": "https://10.0.0.1/hook"}, "url"),
        ({"url": "https://[::ffff:192.168.0.1]/"}, "url"),
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "https://0x7f.1/"}, "url"),
        ({"url": "https://2130706433/"}, "url"),
        ({"url": "https://user:word@example.org/"}, "url"),
        ({"url": "https://example.org/#x"}, "url"),
        ({"url": "https://example.org/a b"}, "url"),
        ({"url": "ftp://example.org/"}, "url"),
        ({"url": "https://example.org:99999/"}, "url"),
        ({"types": ["dispute.moved", "no.such"]}, "types"),
        ({"types": ["webhooks.endpoint.test"]}, "types"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused_by_its_field(
    ctx: Context, home: Path, change: dict[str, Any], where: str
) -> None:
    join_league(ctx)
    key = keys_of(ctx)[A]
    body = {"endpoint_id": str(new_id()), "url": "https://example.org/hook"} | change
    with TestClient(create_app(ctx, home=home, demo=False), raise_server_exceptions=False) as client:
        refused = client.post("/v1/webhook_endpoints", json=body, headers=key)
        listed = client.get("/v1/webhook_endpoints", headers=key).json()

    assert refused.status_code == 422, refused.text
    assert refused.json()["violations"][0]["param"] == where
    assert listed == {"endpoints": []}


def test_a_clerk_adds_verifies_tests_and_disables_at_the_console(
    committed_ctx: Context, home: Path, told: Receiver
) -> None:
    ctx, one = committed_ctx, str(new_id())
    path = f"/console/webhooks/{one}"
    app = seen_from(create_app(ctx, home=home, demo=True), "127.0.0.1")
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:

        def do(what: str, **more: str) -> str:
            return client.post(path, data={"do": what} | more).text

        form = {"id": one, "member": A, "url": "https://127.1/", "about": "Ours"}
        refused = client.post("/console/webhooks", data=form)
        client.post("/console/webhooks", data=form | {"url": told.url, "types": "dispute.moved"})
        fresh = client.get(path).text
        sent = do("code")
        assert "answered: 200" in sent
        do("verify", code="wrong")
        do("verify", code=told.got[0].told["data"]["code"])
        tell(ctx, step(1, at=ctx))
        told.answers = lambda _: (500, {}, 0)
        do("test")
        deliver(ctx, home)
        failing = client.get(path).text
        again = do("redeliver", first="1", last="1")
        odd = do("redeliver", first="x", last="1")
        rotated = do("rotate")
        do("disable")
        disabled = client.get("/console/webhooks").text
        do("enable")

    assert refused.status_code == 409 and "oddly written" in refused.text and "https://127.1/" in refused.text
    assert "whsec_" in fresh and "unverified" in fresh
    assert "It has taken nothing since" in failing and "500" in failing and "dispute.moved" in failing
    assert "events are sent again" in again and "is no number of an event" in odd
    assert "The new secret is whsec_" in rotated
    assert "disabled" in disabled and "Amsterdam" in disabled
    with ctx.tx() as tx:
        assert webhooks.get_endpoint(tx, UUID(one), ctx.clock.now()).state == "enabled"
