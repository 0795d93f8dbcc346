"""Members and agreements over HTTP: scopes, two persons, a member's own, and answers that stay the same."""

from typing import Any

from litestar.testing import TestClient

from hansa import clearing, trust
from hansa.apps.web.member_pages import SKELETON
from hansa.kernel import fact_id
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]
SCOPES = (
    "members:read",
    "members:write",
    "members:approve",
    "agreements:read",
    "agreements:write",
    "agreements:approve",
)
AGREED = """
name = "Hangzhou card and metro"
valid_from = 2027-01-01
issuer = "hangzhou-card"
operator = "hangzhou-metro"
currency = "CNY"
[ride]
issuer = { bp = 100, fixed = "0.01" }
"""


def key(ctx: Context, member: str, person: str = "") -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, SCOPES, at=ctx.clock.now(), person=person)
    return {"authorization": f"Bearer {secret}"}


def test_members_are_let_in_suspended_and_their_accounts_changed_by_two_keys(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    assert league.riders
    ada, bo, own = key(ctx, "league", "ada"), key(ctx, "league", "bo"), key(ctx, "hangzhou-metro")
    one = str(fact_id(None, "lyon"))
    body = {"application_id": one, "toml": SKELETON, "note": ""}
    assert stranger.post("/v1/member-applications", json=body).status_code == 401
    assert stranger.post("/v1/member-applications", json=body, headers=own).status_code == 403
    told = stranger.post("/v1/member-applications", json=body, headers=ada)
    assert told.status_code == 200 and told.json()["members"] == ["lyon", "lyon-card", "lyon-tcl"]
    decide = f"/v1/member-applications/{one}/decision"
    yes = {"decision": "approve", "why": "met them"}
    assert stranger.post(decide, json=yes, headers=ada).json()["code"] == "trust.same_person"
    assert stranger.post(decide, json=yes, headers=bo).json()["state"] == "approved"
    assert [
        row["state"] for row in stranger.get("/v1/member-applications", headers=ada).json()["applications"]
    ] == ["approved"]

    change = {"change_id": str(fact_id(None, "c")), "bic": "CRLYFRPPXXX", "number": "42", "why": "new bank"}
    assert stranger.post("/v1/members/lyon/account-changes", json=change, headers=own).status_code == 404
    assert stranger.post("/v1/members/hangzhou-metro/account-changes", json=change, headers=own).json()[
        "state"
    ] == ("proposed")
    changed = f"/v1/account-changes/{change['change_id']}/decision"
    assert stranger.post(changed, json=yes, headers=own).status_code == 403
    assert stranger.post(changed, json=yes, headers=ada).json()["state"] == "approved"
    assert len(stranger.get("/v1/account-changes", headers=own).json()["changes"]) == 1

    assert stranger.post("/v1/members/lyon/suspension", json={"why": "x"}, headers=ada).json()[
        "standing"
    ] == ("suspended")
    life = stranger.get("/v1/members/lyon-tcl/standing", headers=ada).json()
    assert (life["standing"], life["by"]) == ("suspended", "lyon")
    assert stranger.get("/v1/members/lyon-tcl/standing", headers=own).status_code == 404
    on = "/v1/members/lyon/resumption"
    assert stranger.post(on, json={"step": "propose", "why": "x"}, headers=ada).status_code == 200
    assert stranger.post(on, json={"step": "yes", "why": "x"}, headers=ada).status_code == 409
    assert stranger.post(on, json={"step": "yes", "why": "x"}, headers=bo).json()["standing"] == "active"
    out = "/v1/members/lyon/leaving"
    ends = "2027-06-30T20:00:00Z"
    asked = {"step": "propose", "why": "merges", "business_ends_at": ends}
    assert stranger.post(out, json=asked, headers=ada).status_code == 200
    left = stranger.post(out, json={"step": "yes", "why": "letter"}, headers=bo).json()
    assert (left["standing"], left["business_ends_at"]) == ("leaving", ends)


def test_agreements_are_proposed_by_those_they_name_and_approved_by_the_league(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    assert league.riders
    bo, own, other = key(ctx, "league", "bo"), key(ctx, "hangzhou-metro"), key(ctx, "toronto-ttc")
    one = str(fact_id(None, "agreed"))
    body = {"agreement_id": one, "toml": AGREED, "note": "as signed"}
    bad = {**body, "toml": AGREED.replace("hangzhou-card", "atlantis")}
    assert "atlantis" in stranger.post("/v1/agreement-checks", json={"toml": bad["toml"]}, headers=own).text
    assert stranger.post("/v1/agreements", json=bad, headers=own).status_code == 422
    assert stranger.post("/v1/agreements", json=body, headers=other).status_code == 403
    with ctx.tx() as tx:
        assert clearing.list_agreed(tx, ctx.clock.now()) == []
    told = stranger.post("/v1/agreements", json=body, headers=own)
    assert told.json()["state"] == "proposed"
    assert stranger.post("/v1/agreements", json=body, headers=own).json() == told.json()
    decide = {"decision": "approve", "why": "as signed"}
    assert stranger.post(f"/v1/agreements/{one}/decision", json=decide, headers=own).status_code == 403
    assert (
        stranger.post(f"/v1/agreements/{one}/decision", json=decide, headers=bo).json()["state"]
        == "scheduled"
    )

    assert stranger.get(f"/v1/agreements/{one}", headers=other).status_code == 404
    assert len(stranger.get("/v1/agreements", headers=own).json()["agreements"]) == 1
    assert stranger.get("/v1/agreements", headers=other).json()["agreements"] == []
    asked = "/v1/terms?issuer_id=hangzhou-card&operator_id=hangzhou-metro&currency=CNY"
    terms = stranger.get(f"{asked}&day=2027-01-01&minor=300", headers=other).json()["terms"]
    ride = next(row for row in terms if row["product"] == "ride")
    assert ride["agreement_id"] == one and ride["operator_share"]["minor"] == 296
    before = stranger.get(f"{asked}&day=2026-12-31", headers=other).json()["terms"]
    assert before[0]["agreement_id"] != one
    end = {"last_day": "2027-02-28", "why": "notice"}
    assert stranger.post(f"/v1/agreements/{one}/end", json=end, headers=bo).status_code == 200
    assert stranger.get("/v1/window-fees/daily-20990101", headers=own).status_code == 404
