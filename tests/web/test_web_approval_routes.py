"""Approvals, limits, the freeze, delegations and mandates over HTTP: for whoever they concern, and nobody else."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient

from hansa import approval, identity, payments, trust, wallets
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
    year, balance = (read["currencies"][0][name] for name in ("year", "balance"))
    assert read["level"] == "none" and year["left"]["minor"] == year["max"]["minor"] > 0
    assert balance["used"]["minor"] + balance["left"]["minor"] == balance["max"]["minor"]
    raised = read["currencies"][0]["raised_by"]
    assert [one["level"] for one in raised] == ["contact", "name", "document"]
    most = [year["max"], *(one["year"] for one in raised)]
    assert [one["minor"] for one in most] == sorted(one["minor"] for one in most)
    assert all(client.get(one["url"]).status_code == 200 for one in raised)
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


def events(ctx: Context, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """What members were told of standing approvals, in order."""
    with ctx.tx() as tx:
        rows = tx.execute(
            "select body from store.outbox where topic = 'webhooks' order by xid, seq"
        ).fetchall()
    found = [(body["type"], body["data"]) for (body,) in rows]
    return [one for one in found if one[0].startswith(kinds)]


def signed(client: Client, device: Authenticator, action: dict[str, str]) -> dict[str, Any]:
    """Approve what the next action leads to, with a passkey; what was shown and signed."""
    address = action["url"].replace("/wallet/", "/v1/")
    shown = json.loads(client.get(address).json()["canonical"])
    options = client.post(f"{address}/challenge").json()["options"]
    given = client.post(address, json={"method": "passkey", "credential": device.get(options)})
    assert given.json()["state"] == "given", given.text
    return shown


def test_a_delegation_is_asked_for_signed_by_its_owner_and_ended(
    client: Client, ctx: Context, league: LittleLeague
) -> None:
    owner, other, third = list(league.riders.values())[:3]
    device = with_passkey(client, ctx, owner)
    issuer = key_of(ctx, owner.issuer_id, "approval:read", "approval:write")
    stranger = key_of(ctx, "toronto-card", "approval:read", "approval:write")
    writer = key_of(ctx, owner.issuer_id, "approval:write")
    body = {
        "delegation_id": str(new_id()), "delegate_id": str(other.account_id), "kind": "carer", "currency": "CNY",
        "payment_minor": 20_00, "day_minor": 30_00, "month_minor": 90_00, "from_hour": 8,
        "ends_at": (ctx.clock.now() + timedelta(days=40)).isoformat(),
    }  # fmt: skip
    whose = {"owner_id": str(owner.account_id)}

    assert client.post("/v1/delegations", json=body, headers=issuer).status_code == 422, "whose is not said"
    assert (
        code(client.post("/v1/delegations", json=body | whose, headers=stranger))
        == "identity.unknown_account"
    )
    asked = client.post("/v1/delegations", json=body | whose, headers=issuer).json()
    assert (asked["state"], asked["asked_by"]) == ("asked", owner.issuer_id)
    assert client.post("/v1/delegations", json=body | whose, headers=issuer).json() == asked
    differs = client.post("/v1/delegations", json=body | whose | {"payment_minor": 19_00}, headers=issuer)
    assert code(differs) == "approval.grant_differs"
    sign_in(client, league)
    assert code(client.post("/v1/delegations", json=body)) == "approval.grant_differs", "the issuer asked"
    assert client.post("/v1/delegations", json=body | {"payment_minor": 31_00}).status_code == 422
    assert "Let somebody spend from your wallet" in client.get(asked["next_action"]["url"]).text
    with ctx.tx() as tx:
        assert approval.list_delegations_to(tx, other.account_id) == [], "nothing is given yet"

    shown = signed(client, device, asked["next_action"])

    assert shown["amount"] == {"currency": "CNY", "minor": 20_00}
    assert shown["details"]["each month, at most"] == "¥90.00"
    assert shown["details"]["hours of the day"] == "8:00-24:00"
    given = client.post("/v1/delegations", json=body | whose, headers=issuer).json()
    assert (given["state"], given["next_action"]) == ("waiting", None)
    one = f"/v1/delegations/{body['delegation_id']}"
    assert client.get(one, headers=issuer).json() == given
    assert code(client.get(one, headers=stranger)) == "approval.unknown_delegation"
    assert code(client.get(one, headers=writer)) == "trust.not_allowed"
    assert client.get("/v1/delegations", headers=issuer).json() == {
        "granted": [given],
        "received": [],
        "next": None,
    }
    assert client.get("/v1/delegations", headers=stranger).json()["granted"] == []
    revoke = f"{one}/revoke"
    assert code(client.post(revoke, json=whose, headers=issuer)) == "approval.ended", "it is its owner's now"
    sign_in(client, league, 1)
    (received,) = client.get("/v1/delegations").json()["received"]
    assert received == client.get(one).json() == given
    sign_in(client, league, 2)
    assert code(client.get(one)) == "approval.unknown_delegation"
    assert code(client.post(revoke, json=whose)) == "approval.unknown_delegation" and third != other
    sign_in(client, league)
    assert client.post(revoke, json=whose).json()["state"] == "revoked"
    assert [(kind, data["by"]) for kind, data in events(ctx, "delegation")] == [
        ("delegation.given", "owner"), ("delegation.revoked", "owner"),
    ]  # fmt: skip
    # One that its owner does not want, and one that its issuer wants no more.
    no = client.post("/v1/delegations", json=body | {"delegation_id": str(new_id())}).json()
    address = no["next_action"]["url"].replace("/wallet/", "/v1/")
    client.post(f"{address}/refuse")
    mine = {one["delegation_id"]: one["state"] for one in client.get("/v1/delegations").json()["granted"]}
    assert mine[no["delegation_id"]] == "revoked"
    back = client.post(
        "/v1/delegations", json=body | whose | {"delegation_id": str(new_id())}, headers=issuer
    ).json()
    gone = client.post(f"/v1/delegations/{back['delegation_id']}/revoke", json=whose, headers=issuer).json()
    assert (gone["state"], gone["next_action"]) == ("revoked", None)
    asked_of = client.get(back["next_action"]["url"].replace("/wallet/", "/v1/")).json()
    assert asked_of["state"] == "canceled", "nobody is asked for it any more"
    assert [kind for kind, _ in events(ctx, "delegation")[2:]] == ["delegation.refused", "delegation.revoked"]
    first = client.get("/v1/delegations?limit=2").json()
    rest = client.get(f"/v1/delegations?limit=2&after={first['next']}").json()
    paged = [one["delegation_id"] for one in first["granted"] + rest["granted"]]
    assert sorted(paged) == sorted([body["delegation_id"], no["delegation_id"], back["delegation_id"]])
    assert (len(first["granted"]), rest["next"]) == (2, None)
    assert client.get("/v1/delegations?after=yesterday").status_code == 422
    sign_in(client, league, 1)
    assert client.get("/v1/delegations").json()["received"] == [], (
        "what was taken back is not theirs any more"
    )
    assert code(client.get(one)) == "approval.unknown_delegation"


def test_a_delegation_of_the_page_is_signed_word_for_word_and_ended(
    client: Client, ctx: Context, league: LittleLeague
) -> None:
    owner, other = list(league.riders.values())[:2]
    name = wallets.finding.code_of(ctx, other.account_id)
    sign_in(client, league)
    form = {
        "delegation_id": str(new_id()), "currency": "CNY", "person": name, "kind": "child", "payment": "20",
        "day": "30", "month": "200", "ask_above": "15", "until": "2027-03-01",
    }  # fmt: skip
    assert client.post("/wallet/delegations", data=form | {"person": "nobody"}).status_code == 404
    assert "no more than a month" in client.post("/wallet/delegations", data=form | {"month": "1"}).text
    no_passkey = client.post("/wallet/delegations", data=form)
    assert (
        "This needs a passkey, and you have none." in no_passkey.text and 'name="pin"' not in no_passkey.text
    )
    device = with_passkey(client, ctx, owner)
    sign_in(client, league)

    asked = client.post("/wallet/delegations", data=form, follow_redirects=False)
    where = asked.headers["location"]

    assert "¥200.00" in client.get(where).text and where in client.get("/wallet/delegations").text
    for way in ({"method": "session"}, {"method": "pin", "pin": PIN}):
        assert client.post(where, data=way).status_code in (403, 409)
    differs = client.post("/wallet/delegations", data=form | {"payment": "30"})
    assert differs.status_code == 409 and "Send it once more" in differs.text
    assert (
        form["delegation_id"]
        not in differs.text.partition('<form method="post" action="/wallet/delegations">')[2]
    )
    with ctx.tx() as tx:
        assert approval.list_delegations_to(tx, other.account_id) == [], "nothing is given yet"
        assert len(approval.list_delegations(tx, 0, owner.account_id)) == 1, "and nothing more is asked"
    options = client.post(f"{where}/options").text
    assert "Approved" in client.post(f"{where}/passkey", data={"credential": device.get(options)}).text
    with ctx.tx() as tx:
        (given,) = approval.list_delegations_to(tx, other.account_id)
        found, (proof,) = approval.check(tx, UUID(where.rpartition("/")[2]))
    assert (given.state(ctx.clock.now()), given.payment_minor, given.ask_above_minor) == (
        "waiting",
        20_00,
        15_00,
    )
    assert (proof.method, proof.account_id) == ("passkey", owner.account_id)
    details = json.loads(found.canonical)["details"]
    assert (details["each month, at most"], details["asks you above"]) == ("¥200.00", "¥15.00")

    # whoever asks for more, changes the one there is, and signs that
    more_of = form | {"payment": "30", "delegation_id": str(new_id())}
    beside = client.post("/wallet/delegations", data=more_of)
    assert beside.status_code == 409 and "Change what there is" in beside.text
    change = f"/wallet/delegations?change={form['delegation_id']}"
    filled = client.get(change).text
    assert change in client.get("/wallet/delegations").text.replace("&amp;", "&")
    assert f"Change what {other.name} may spend" in filled and 'value="20.00"' in filled
    assert client.get(f"/wallet/delegations?change={new_id()}").status_code == 404
    more = client.post(
        "/wallet/delegations",
        data=more_of | {"person": "", "replaces": form["delegation_id"]},
        follow_redirects=False,
    )
    assert more.headers["location"] != where and "in place of" in client.get(more.headers["location"]).text
    client.post(f"{more.headers['location']}/refuse")
    sign_in(client, league, 1)
    assert owner.name in client.get("/wallet/delegations").text
    ended = client.post(
        f"/wallet/delegations/{form['delegation_id']}/revoke", data={"owner_id": str(owner.account_id)}
    )
    assert "It has ended." in ended.text
    with ctx.tx() as tx:
        assert [one.state(ctx.clock.now()) for one in approval.list_delegations(tx, 0, owner.account_id)] == [
            "revoked"
        ] * 2


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
    # A payer gives one unasked, and says no to one.
    own = {name: one for name, one in body.items() if name != "account_id"} | {"mandate_id": str(new_id())}
    assert (
        code(client.post("/v1/mandates", json=own | {"account_id": str(new_id())}))
        == "identity.unknown_account"
    )
    assert client.post("/v1/mandates", json=own, headers=metro).status_code == 422, "whom is not said"
    mine = client.post("/v1/mandates", json=own | {"retry_d": [1, 2]}).json()
    assert mine["next_action"]["type"] == "approve" and mine["state"] == "asked"
    assert client.get(f"/v1/mandates/{own['mandate_id']}", headers=metro).json()["state"] == "asked"
    shown = signed(client, device, mine["next_action"])
    assert shown["details"]["tried again, if money lacks"] == "1, 2 d"
    given = client.get(f"/v1/mandates/{own['mandate_id']}", headers=metro).json()
    assert (given["state"], given["next_action"], given["retry_d"]) == ("active", None, [1, 2])
    no = client.post("/v1/mandates", json=body | {"mandate_id": str(new_id())}, headers=metro).json()
    client.post(f"/v1/approvals/{no['approval_id']}/refuse")
    assert client.post("/v1/mandates", json=own | {"retry_d": [2, 2]}).status_code == 422
    assert [kind for kind, _ in events(ctx, "mandate")] == [
        "mandate.given", "mandate.revoked", "mandate.given", "mandate.refused",
    ]  # fmt: skip


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
