"""Approvals, limits, the freeze, delegations and mandates over HTTP: for whoever they concern, and nobody else."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import approval, identity, payments, trust
from hansa.apps.approval_commands import check
from hansa.apps.web import advancing
from hansa.kernel import new_id
from hansa.store import Context
from identity.authenticating import Authenticator
from web.little_league import LittleLeague
from web.test_web_approval import KIND, PIN, ask, later, sign_in

Client = TestClient[Any]
RP = identity.RelyingParty("localhost", "http://localhost")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    found: list[UUID] = []
    monkeypatch.setitem(advancing.ADVANCE, KIND, lambda _, subject_id: found.append(subject_id))
    return found


def with_passkey(client: Client, ctx: Context, account: identity.Account) -> Authenticator:
    """This rider's old passkey, on a device; and the browser at the host that it was made for."""
    device, before = Authenticator(), ctx.clock.now() - timedelta(days=60)
    with ctx.tx() as tx:
        options = identity.begin_registration(
            tx, account.account_id, person="x", rp=RP, purpose="add", owner="here", at=before
        )
        identity.finish_registration(
            tx, device.create(options), rp=RP, purpose="add", owner="here", name="Phone", at=before
        )
    client.base_url = "http://localhost"
    return device


def key_of(ctx: Context, member: str, *scopes: str) -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, list(scopes), at=ctx.clock.now())
    return {"authorization": f"Bearer {secret}"}


def code(answer: Any) -> str:
    return answer.json()["code"]


def test_a_payment_is_approved_by_a_passkey_over_http(
    client: Client, ctx: Context, league: LittleLeague, told: list[UUID]
) -> None:
    account = next(iter(league.riders.values()))
    device = with_passkey(client, ctx, account)
    sign_in(client, league)
    asked = ask(ctx, account, 600_00)
    address = f"/v1/approvals/{asked.approval_id}"

    (listed,) = client.get("/v1/approvals").json()["approvals"]
    assert (listed["state"], listed["level"], listed["reasons"]) == ("waiting", "passkey", ["amount"])
    assert listed["canonical"].encode() == asked.canonical
    options = client.post(f"{address}/challenge").json()["options"]
    given = client.post(address, json={"method": "passkey", "credential": device.get(options)})

    assert given.json()["state"] == "given" and told == [asked.subject_id]
    assert code(client.post(address, json={"method": "session"})) == "approval.ended"
    with ctx.tx() as tx:
        assert approval.check(tx, asked.approval_id)[1][0].origin == "http://localhost"


def test_each_refusal_has_its_code(client: Client, ctx: Context, league: LittleLeague) -> None:
    account = sign_in(client, league)
    asked = ask(ctx, account, 120_00)
    address = f"/v1/approvals/{asked.approval_id}"

    assert code(client.get(f"/v1/approvals/{new_id()}")) == "approval.unknown"
    assert code(client.post(address, json={"method": "session"})) == "approval.level_too_low"
    assert code(client.post(address, json={"method": "pin", "pin": PIN})) == "approval.no_pin"
    assert code(client.post(f"{address}/challenge")) == "identity.no_passkey"
    assert client.post(address, json={"method": "finger"}).status_code == 422
    assert client.post(f"{address}/refuse").json()["state"] == "refused"
    sign_in(client, league, 1)
    assert code(client.get(address)) == "approval.unknown"
    client.cookies.clear()
    assert client.get(address).status_code == 401


def test_limits_are_read_and_set(client: Client, ctx: Context, league: LittleLeague) -> None:
    sign_in(client, league)
    later(ctx, minutes=6)

    low = client.put("/v1/limits", json={"currency": "CNY", "span": "day", "minor": 50_00})
    high = client.put("/v1/limits", json={"currency": "CNY", "span": "day", "minor": 90_00})
    read = client.get("/v1/limits?currency=CNY,CAD").json()

    assert low.json()["minor"] == 50_00 and code(high) == "identity.verify_anew"
    assert [one["currency"] for one in read["currencies"]] == ["CNY", "CAD"] and read["frozen_at"] is None
    assert read["currencies"][0]["limits"][0]["minor"] == 50_00
    assert client.get("/v1/limits?currency=x").status_code == 422


def test_an_owner_freezes_and_so_does_the_issuer_and_no_other(
    client: Client, ctx: Context, league: LittleLeague
) -> None:
    account = sign_in(client, league)
    body = {"account_id": str(account.account_id)}
    mine, other = (
        key_of(ctx, account.issuer_id, "approval:write"),
        key_of(ctx, "toronto-card", "approval:write"),
    )

    assert client.post("/v1/freeze", json={}).json()["frozen_by"] == "owner"
    assert client.post("/v1/freeze", json=body, headers=other).status_code == 404
    assert client.post("/v1/freeze", json={}, headers=mine).status_code == 422
    assert (
        client.post("/v1/freeze", json=body | {"reason": "Police"}, headers=mine).json()["frozen_by"]
        == "issuer"
    )
    assert code(client.post("/v1/unfreeze", json={})) == "approval.frozen_by_issuer"
    assert client.post("/v1/unfreeze", json=body, headers=mine).json()["frozen_at"] is None
    assert client.post("/v1/freeze", json={"account_id": str(new_id())}).status_code == 404


def test_a_delegation_is_granted_and_ended(client: Client, ctx: Context, league: LittleLeague) -> None:
    owner, other = list(league.riders.values())[:2]
    sign_in(client, league)
    body = {
        "delegation_id": str(new_id()), "delegate_id": str(other.account_id), "kind": "carer", "currency": "CNY",
        "payment_minor": 20_00, "day_minor": 30_00, "month_minor": 90_00,
        "ends_at": (ctx.clock.now() + timedelta(days=40)).isoformat(),
    }  # fmt: skip

    granted = client.post("/v1/delegations", json=body)
    assert (
        granted.json()["state"] == "waiting"
        and client.post("/v1/delegations", json=body).json() == granted.json()
    )
    assert client.post("/v1/delegations", json=body | {"payment_minor": 31_00}).status_code == 422
    assert len(client.get("/v1/delegations").json()["granted"]) == 1
    sign_in(client, league, 1)
    assert len(client.get("/v1/delegations").json()["received"]) == 1
    revoke = f"/v1/delegations/{body['delegation_id']}/revoke"
    assert client.post(revoke, json={"owner_id": str(owner.account_id)}).json()["state"] == "revoked"
    sign_in(client, league, 2)
    assert (
        code(client.post(revoke, json={"owner_id": str(owner.account_id)})) == "approval.unknown_delegation"
    )


def test_a_mandate_is_asked_for_by_the_payees_member_and_signed_by_the_payer(
    client: Client, ctx: Context, league: LittleLeague
) -> None:
    account = next(iter(league.riders.values()))
    device = with_passkey(client, ctx, account)
    with_payee(ctx)
    metro = key_of(ctx, "hangzhou-metro", "approval:write", "approval:read")
    other = key_of(ctx, "toronto-ttc", "approval:write", "approval:read")
    body = {
        "mandate_id": str(new_id()), "account_id": str(account.account_id), "payee_id": "tea", "currency": "CNY",
        "each_minor": 30_00, "period": "month", "period_minor": 60_00, "reference": "A box each month",
        "ends_at": (ctx.clock.now() + timedelta(days=300)).isoformat(),
    }  # fmt: skip

    assert code(client.post("/v1/mandates", json=body, headers=other)) == "approval.payee_of_another"
    asked = client.post("/v1/mandates", json=body, headers=metro).json()
    assert asked["state"] == "asked" and asked["payee_name"] == "Tea house"
    assert client.post("/v1/mandates", json=body, headers=metro).json() == asked
    sign_in(client, league)
    address = f"/v1/approvals/{asked['approval_id']}"
    options = client.post(f"{address}/challenge").json()["options"]
    given = client.post(address, json={"method": "passkey", "credential": device.get(options)})
    assert given.json()["state"] == "given"

    assert [one["state"] for one in client.get("/v1/mandates").json()["mandates"]] == ["active"]
    assert client.get(f"/v1/mandates/{body['mandate_id']}", headers=metro).json()["state"] == "active"
    assert client.get(f"/v1/mandates/{body['mandate_id']}", headers=other).status_code == 404
    assert client.post(f"/v1/mandates/{body['mandate_id']}/revoke", headers=other).status_code == 404
    assert (
        client.post(f"/v1/mandates/{body['mandate_id']}/revoke", headers=metro).json()["state"] == "revoked"
    )
    assert client.get("/v1/mandates?after=x").status_code == 422


def with_payee(ctx: Context) -> None:
    payments.open_payees(
        ctx,
        [
            payments.Payee(
                payee_id="tea", member_id="hangzhou-metro", name="Tea house", currency="CNY", category="5814"
            )
        ],
    )


def test_the_command_checks_an_approval(
    client: Client, ctx: Context, league: LittleLeague, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    account = next(iter(league.riders.values()))
    device = with_passkey(client, ctx, account)
    sign_in(client, league)
    asked = ask(ctx, account, 600_00)
    options = client.post(f"/wallet/approvals/{asked.approval_id}/options").json()
    client.post(
        f"/wallet/approvals/{asked.approval_id}/passkey", data={"credential": device.get(json.dumps(options))}
    )

    def opened(*_: object, **__: object) -> Context:
        return ctx

    monkeypatch.setattr("hansa.apps.approval_commands.opened", opened)

    check(asked.approval_id, Path("unused"))

    told = capsys.readouterr().out
    assert "All of it is good." in told and "given, by passkey" in told and "¥600.00 to Tea <house>" in told
