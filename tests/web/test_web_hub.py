"""Payments between members over HTTP, by the short way and by the routes; and the console's page of liquidity."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import clearing, hub, trust
from hansa.apps import hub_clearing
from hansa.apps.web import create_app
from hansa.kernel import new_id
from hansa.store import Context
from hub.paying import (
    MEMBERS,
    NOW,
    A,
    B,
    asks,
    deposit,
    figures,
    open_hub,
    pass_time,
    secret_of,
    set_clock,
    shows,
)
from web.conftest import seen_from

Client = TestClient[Any]


@pytest.fixture
def keys(ctx: Context) -> dict[str, str]:
    """The members' keys, and the league's two."""
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 10_000))
    keys: dict[str, str] = {}
    with ctx.tx() as tx:
        league = trust.MemberId("league")
        trust.add_members(tx, [trust.Member(league, "League", "league", None, league, "IBAN")])
        for name in MEMBERS:
            keys[name] = trust.create_api_key(tx, trust.MemberId(name), ["hub:pay", "hub:read"], at=NOW)
        for person in ("anna", "bo"):
            keys[person] = trust.create_api_key(tx, league, ["hub:write", "hub:read"], at=NOW, person=person)
    return keys


@pytest.fixture
def afar(ctx: Context, home: Path) -> Iterator[Client]:
    """A program somewhere else."""
    app = create_app(ctx, home=home, demo=False)
    with TestClient(
        seen_from(app, "203.0.113.9"), base_url="http://hansa.example", raise_server_exceptions=False
    ) as client:
        yield client


def text(raw: bytes) -> str:
    """32 bytes as they travel."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def sent(one: hub.Prepare) -> dict[str, Any]:
    """A payment as it travels."""
    return {
        "payment_id": str(one.payment_id),
        "payee_id": one.payee_id,
        "amount": {"minor": one.amount.minor, "currency": one.amount.currency},
        "condition": text(one.condition),
        "expires_at": one.expires_at.isoformat(),
        "packet": one.packet,
    }


def ask(client: Client, path: str, key: str, body: object, *, kind: str = "application/json") -> Any:
    headers = {"authorization": f"Bearer {key}", "content-type": kind}
    return client.post(path, content=json.dumps(body), headers=headers)


def read(client: Client, path: str, key: str) -> Any:
    return client.get(path, headers={"authorization": f"Bearer {key}"}).json()


# the short way takes plain JSON, the route what is said to be of another kind
@pytest.mark.parametrize("kind", ["application/json", "application/vnd.hansa+json"])
def test_a_payment_goes_from_end_to_end_by_either_way(
    ctx: Context, afar: Client, keys: dict[str, str], kind: str
) -> None:
    one, stop, poor = asks(A, B, 400), asks(A, B, 500), asks(A, B, 9_999)

    answers = [ask(afar, "/v1/hub/payments", keys[A], sent(one), kind=kind) for _ in range(2)]
    other = ask(afar, "/v1/hub/payments", keys[A], sent(one) | {"packet": "other"}, kind=kind)
    refused = ask(afar, "/v1/hub/payments", keys[A], sent(poor), kind=kind)
    ask(afar, "/v1/hub/payments", keys[A], sent(stop), kind=kind)
    notices = read(afar, "/v1/hub/notices", keys[B])
    shown = {"payment_id": str(one.payment_id), "fulfilment": text(secret_of(one.payment_id))}
    by_another = ask(afar, "/v1/hub/fulfilments", keys[A], shown, kind=kind)
    fulfilled = ask(afar, "/v1/hub/fulfilments", keys[B], shown, kind=kind)
    no = {"payment_id": str(stop.payment_id), "words": "closed"}
    aborted = ask(afar, "/v1/hub/aborts", keys[B], no, kind=kind)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert (answers[0].json()["state"], answers[0].json()["payer_id"]) == ("RESERVED", A)
    assert (other.status_code, other.json()["code"]) == (409, "hub.payment_differs")
    assert (refused.status_code, refused.json()["state"], refused.json()["reason"]) == (
        200,
        "ABORTED",
        "no_headroom",
    )
    assert [one["kind"] for one in notices["notices"]] == ["reserved", "reserved"]
    assert notices["notices"][0]["payment"]["condition"] == text(one.condition)
    assert (by_another.status_code, by_another.json()["code"]) == (403, "hub.not_the_party")
    assert fulfilled.json()["state"] == "COMMITTED"
    assert fulfilled.json()["fulfilment"] == shown["fulfilment"]
    assert (aborted.json()["reason"], aborted.json()["words"]) == ("payee", "closed")
    assert figures(ctx, A) == (400, 0, 9_600)


def test_refusals_name_the_field_and_nothing_is_kept(
    ctx: Context, afar: Client, keys: dict[str, str]
) -> None:
    body = sent(asks(A, B, 400))
    bad = [
        ({"condition": "short"}, 422),
        ({"amount": {"minor": 0, "currency": "CNY"}}, 422),
        ({"amount": {"minor": 5, "currency": "XXX"}}, 422),
        ({"expires_at": "2026-11-20T03:00:00"}, 422),
        ({"expires_at": NOW.isoformat()}, 422),
        ({"payee_id": A}, 422),
        ({"payee_id": "nowhere"}, 404),
        ({"more": 1}, 422),
    ]

    for change, status in bad:
        answer = ask(afar, "/v1/hub/payments", keys[A], body | change)
        assert answer.status_code == status, (change, answer.text)
        assert answer.json()["code"]
    unsigned = afar.post("/v1/hub/payments", json=body)
    league = ask(afar, "/v1/hub/payments", keys["anna"], body)

    assert unsigned.status_code == 401
    assert league.status_code == 403
    with ctx.tx() as tx:
        assert hub.find_payments(tx, [UUID(body["payment_id"])]) == []
    assert figures(ctx, A) == (0, 0, 10_000)


def test_a_late_fulfilment_is_told_and_a_member_reads_its_own_only(
    ctx: Context, afar: Client, keys: dict[str, str]
) -> None:
    one = asks(A, B, 400)
    ask(afar, "/v1/hub/payments", keys[A], sent(one))
    pass_time(ctx, seconds=31)
    shown = {"payment_id": str(one.payment_id), "fulfilment": text(secret_of(one.payment_id))}

    late = ask(afar, "/v1/hub/fulfilments", keys[B], shown)
    page = read(afar, "/v1/hub/notices?after=1", keys[B])
    mine = read(afar, "/v1/hub/payments", keys[A])["payments"]
    others = read(afar, "/v1/hub/payments", keys[MEMBERS[2]])["payments"]
    stranger = afar.get(
        f"/v1/hub/payments/{one.payment_id}", headers={"authorization": f"Bearer {keys[MEMBERS[2]]}"}
    )

    assert (late.status_code, late.json()["code"]) == (409, "hub.payment_expired")
    assert [one["kind"] for one in page["notices"]] == ["aborted", "late"]
    assert page["next"] == 3
    assert [one["state"] for one in mine] == ["ABORTED"]
    assert others == []
    assert stranger.status_code == 404
    assert [one["member_id"] for one in read(afar, "/v1/hub/liquidity", keys[A])["liquidity"]] == [A]
    assert len(read(afar, "/v1/hub/liquidity", keys["anna"])["liquidity"]) == len(MEMBERS)
    assert len(read(afar, "/v1/hub/notices?member_id=" + B, keys["anna"])["notices"]) == 3


def test_the_league_keeps_liquidity_by_two_persons(ctx: Context, afar: Client, keys: dict[str, str]) -> None:
    funds = {
        "funds_id": str(new_id()),
        "member_id": A,
        "way": "out",
        "amount": {"minor": 4_000, "currency": "CNY"},
        "bank_reference": "pain 9",
    }
    cap = {"cap_id": str(new_id()), "member_id": A, "currency": "CNY", "cap_minor": 5_000, "soft_minor": 100}

    by_member = ask(afar, "/v1/hub/funds", keys[A], funds)
    proposed = ask(afar, "/v1/hub/funds", keys["anna"], funds)
    own = ask(afar, f"/v1/hub/funds/{funds['funds_id']}/confirm", keys["anna"], {})
    booked = ask(afar, f"/v1/hub/funds/{funds['funds_id']}/confirm", keys["bo"], {})
    too_much = ask(
        afar,
        "/v1/hub/funds",
        keys["anna"],
        funds | {"funds_id": str(new_id()), "amount": {"minor": 6_001, "currency": "CNY"}},
    )
    capped = ask(afar, "/v1/hub/caps", keys["bo"], cap)
    opened = ask(afar, "/v1/hub/liquidity", keys["bo"], {"member_id": A, "currency": "HKD"})

    assert by_member.status_code == 403
    assert proposed.json()["state"] == "proposed"
    assert (own.status_code, own.json()["code"]) == (409, "trust.same_person")
    assert (booked.json()["state"], booked.json()["decided_by"]) == ("booked", "league:bo")
    assert too_much.json()["code"] == "hub.cover_needed"
    assert capped.json()["cap"] == {"minor": 5_000, "currency": "CNY"}
    assert opened.json()["headroom_minor"] == 0
    assert figures(ctx, A) == (0, 0, 5_000)
    assert read(afar, "/v1/hub/exposures", keys[A])["exposures"][0]["exposure"]["minor"] == 0
    assert read(afar, "/v1/hub/alarms", keys[A])["alarms"] == []
    assert len(read(afar, "/v1/hub/funds", keys[A])["funds"]) == 2


def test_the_console_shows_liquidity_and_keeps_a_desk_of_funds(
    ctx: Context, client: Client, stranger: Client
) -> None:
    open_hub(ctx, covers=dict.fromkeys(MEMBERS, 100_000))
    one = asks(A, B, 85_000)
    hub.prepare(ctx, [one])
    hub.fulfil(ctx, [shows(one)])
    hub.turn(ctx)
    form = {"id": str(new_id()), "whose": f"{A}|CNY", "way": "in", "amount": "12.50", "reference": "camt 1"}

    shown = client.get("/console/liquidity").text
    wrong = client.post("/console/liquidity/funds", data=form | {"amount": "12.505"})
    client.post("/console/liquidity/funds", data=form)
    own = client.get("/console/liquidity").text
    refused = client.post(f"/console/liquidity/funds/{form['id']}", data={"decide": "book"})
    client.post("/console/clerk", data={"clerk": "Bo", "back": "/console/liquidity"})
    booked = client.post(f"/console/liquidity/funds/{form['id']}", data={"decide": "book"})
    capped = client.post(
        "/console/liquidity/cap",
        data={"id": str(new_id()), "whose": f"{A}|CNY", "cap": "900", "soft": "500"},
    )
    opened = client.post("/console/liquidity/open", data={"member": A, "currency": "JPY"})
    gone = client.post(
        "/console/liquidity/funds",
        data=form | {"id": str(new_id()), "way": "out", "amount": "500"},
    )

    assert "near its limit" in shown and "85 % of ¥1,000.00" in shown
    assert wrong.status_code == 409 and "12.505" in wrong.text and "camt 1" in wrong.text
    assert "a second person books it" in own
    assert refused.status_code == 409
    assert booked.status_code == capped.status_code == opened.status_code == 200
    assert gone.status_code == 409 and "needs it" in gone.text
    with ctx.tx() as tx:
        now = hub.get_liquidity(tx, A, "CNY")
        assert (now.cover_minor, now.cap_minor, now.soft_minor) == (101_250, 90_000, 50_000)
        assert hub.get_liquidity(tx, A, "JPY").cap_minor == 0
    assert stranger.get("/console/liquidity").status_code in (401, 403)
    assert stranger.post("/console/liquidity/cap", data={}).status_code in (401, 403)
    deposit(ctx, A, 1)


def test_a_window_opens_into_the_payments_that_it_settles(
    ctx: Context, afar: Client, client: Client, keys: dict[str, str]
) -> None:
    some = [asks(A, B, 400), asks(A, B, 30)]
    hub.prepare(ctx, some)
    hub.fulfil(ctx, [shows(one) for one in some])
    hub_clearing.carry(ctx)
    on_positions = read(afar, "/v1/hub/liquidity", keys[A])["liquidity"][0]
    set_clock(ctx, NOW + timedelta(days=1))
    window = clearing.close_day(ctx, NOW.date())
    with ctx.tx() as tx:
        [item] = clearing.window_items(tx, window.window_id, A, B, "CNY")
    hub_clearing.follow(ctx, window.window_id, "closing", "")

    first = read(afar, f"/v1/hub/lots/{item.reference}?limit=1", keys[A])
    second = read(afar, f"/v1/hub/lots/{item.reference}?after={first['next']}", keys[B])
    stranger = afar.get(
        f"/v1/hub/lots/{item.reference}", headers={"authorization": f"Bearer {keys[MEMBERS[2]]}"}
    )
    wrong = read(afar, f"/v1/hub/lots/{item.reference}?after=x", keys[A])
    liquidity = client.get("/console/liquidity").text
    position = client.get(f"/console/days/{window.business_day}/positions/{A}/{B}/CNY").text
    lot = client.get(f"/console/liquidity/lots/{item.reference}")

    assert on_positions["on_positions_minor"] == 430
    assert (first["amount"]["minor"], first["count"]) == (430, 2)
    listed = [one["payment_id"] for page in (first, second) for one in page["payments"]]
    assert sorted(listed) == sorted(str(one.payment_id) for one in some) and second["next"] is None
    assert (stranger.status_code, stranger.json()["code"]) == (404, "hub.unknown_lot")
    assert "after" in str(wrong["violations"][0])
    assert "4.30 in windows not settled" in liquidity
    assert f"/console/liquidity/lots/{item.reference}" in position
    assert all(str(one.payment_id) in lot.text for one in some)
    assert client.get(f"/console/liquidity/lots/{new_id()}").status_code == 404
