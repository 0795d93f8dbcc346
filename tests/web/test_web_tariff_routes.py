"""Tariffs on their way into force, over HTTP: who may do what, and the whole way from a text to a price."""

from datetime import UTC, datetime
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import rides, trust
from hansa.kernel import new_id
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]
HANGZHOU = "hangzhou-metro"


def text(first_day: str = "2030-01-01", fare: str = "2.50") -> str:
    toml = rides.read_tariff(rides.tariff_folder(HANGZHOU)).source.toml
    return toml.replace("2024-01-01", first_day).replace('fare = "2.00"', f'fare = "{fare}"', 1)


def key(ctx: Context, member: str, *scopes: str, person: str = "") -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, scopes, at=ctx.clock.now(), person=person)
    return {"authorization": f"Bearer {secret}"}


def body(**more: object) -> dict[str, object]:
    return {"proposal_id": str(new_id()), "operator_id": HANGZHOU, "toml": text(), **more}


def test_from_a_text_to_a_scheduled_tariff_by_two_members(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    assert league.riders
    clerk = key(ctx, HANGZHOU, "tariffs:read", "tariffs:write", "tariffs:approve")
    chief = key(ctx, "league", "tariffs:read", "tariffs:approve")
    sent = body(note="dearer")

    first = stranger.post("/v1/tariff-proposals", json=sent, headers=clerk)
    again = stranger.post("/v1/tariff-proposals", json=sent, headers=clerk)
    other = stranger.post("/v1/tariff-proposals", json=sent | {"note": "x"}, headers=clerk)
    link = f"/v1/tariff-proposals/{sent['proposal_id']}"
    by_itself = stranger.post(f"{link}/approve", json={}, headers=clerk)
    told = stranger.get(f"{link}/source", headers=chief).json()
    approved = stranger.post(f"{link}/approve", json={"why": "agreed"}, headers=chief)

    assert first.status_code == 200 and first.json()["state"] == "proposed", first.text
    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (409, "rides.proposal_conflict")
    assert (by_itself.status_code, by_itself.json()["code"]) == (409, "rides.same_person")
    assert (told["toml"], told["days_again"]) == (sent["toml"], 0)
    assert approved.json()["state"] == "scheduled"
    assert [one["step"] for one in approved.json()["facts"]] == ["checked", "proposed", "approved"]
    day = stranger.get(f"/v1/tariffs/{HANGZHOU}", params={"day": "2030-01-01"}).json()
    assert day["toml"] == sent["toml"]


def test_two_clerks_of_one_operator_propose_and_approve(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    assert league.riders
    may = ("tariffs:write", "tariffs:approve")
    writes, decides = key(ctx, HANGZHOU, *may), key(ctx, HANGZHOU, *may)
    ada, ada_again = (key(ctx, HANGZHOU, *may, person="ada") for _ in range(2))
    mine, hers, old = body(), body(toml=text("2030-02-01")), body(toml=text("2030-03-01"))
    links = [f"/v1/tariff-proposals/{one['proposal_id']}" for one in (mine, hers, old)]

    made = stranger.post("/v1/tariff-proposals", json=mine, headers=writes).json()
    own = stranger.post(f"{links[0]}/approve", json={}, headers=writes)
    other = stranger.post(f"{links[0]}/approve", json={}, headers=decides).json()
    stranger.post("/v1/tariff-proposals", json=hers, headers=ada)
    her_other_key = stranger.post(f"{links[1]}/approve", json={}, headers=ada_again)
    stranger.post("/v1/tariff-proposals", json=old, headers=writes)
    with ctx.tx() as tx:  # as it was kept before keys had names
        tx.execute(
            "update rides.tariff_proposals set made_by = %s where proposal_id = %s",
            (HANGZHOU, old["proposal_id"]),
        )
    any_key = stranger.post(f"{links[2]}/approve", json={}, headers=decides)
    again = stranger.post("/v1/tariff-proposals", json=old, headers=writes)

    for refused in (own, her_other_key, any_key):
        assert (refused.status_code, refused.json()["code"]) == (409, "rides.same_person")
    assert other["state"] == "scheduled"
    assert other["facts"][-1]["by"] != made["made_by"] and made["made_by"].startswith(f"{HANGZHOU}:")
    assert again.status_code == 200 and again.json()["state"] == "proposed"
    with ctx.tx() as tx:
        days = {str(one.valid_from) for one in rides.list_tariffs(tx) if one.operator_id == HANGZHOU}
    assert "2030-01-01" in days and not days & {"2030-02-01", "2030-03-01"}


def test_a_text_with_errors_tells_them_and_is_no_proposal(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    assert league.riders
    clerk = key(ctx, HANGZHOU, "tariffs:read", "tariffs:write")
    broken = text().replace('currency = "CNY"', 'currency = "CNY')

    checks = stranger.post("/v1/tariff-checks", json={"operator_id": HANGZHOU, "toml": broken}, headers=clerk)
    kept = stranger.post("/v1/tariff-proposals", json=body(toml=broken), headers=clerk)
    submitted = stranger.post(
        f"/v1/tariff-proposals/{kept.json()['proposal_id']}/propose", json={}, headers=clerk
    )

    assert checks.json()["findings"][0]["where"] == "tariff.toml line 13"
    assert kept.json()["state"] == "draft" and kept.json()["findings"] == checks.json()["findings"]
    assert submitted.status_code == 422 and "line 13" in submitted.json()["violations"][0]["param"]


def test_a_member_sees_and_decides_its_own_only(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    assert league.riders
    clerk = key(ctx, HANGZHOU, "tariffs:read", "tariffs:write")
    others = key(ctx, "toronto-ttc", "tariffs:read", "tariffs:write", "tariffs:approve")
    every = key(ctx, "league", "tariffs:read", "tariffs:write", "tariffs:approve")
    sent = body()
    link = f"/v1/tariff-proposals/{sent['proposal_id']}"

    assert stranger.post("/v1/tariff-proposals", json=sent).status_code == 401
    assert stranger.post("/v1/tariff-proposals", json=sent, headers=others).status_code == 403
    assert stranger.get("/v1/tariff-proposals", headers=every).json() == {"proposals": [], "next": None}
    stranger.post("/v1/tariff-proposals", json=sent, headers=clerk)

    assert stranger.get(link, headers=others).status_code == 404
    assert stranger.post(f"{link}/approve", json={}, headers=others).status_code == 404
    assert stranger.post(f"{link}/approve", json={}, headers=clerk).status_code == 403
    assert stranger.get("/v1/tariff-proposals", headers=others).json()["proposals"] == []
    assert len(stranger.get("/v1/tariff-proposals", headers=clerk).json()["proposals"]) == 1
    assert stranger.post(f"{link}/approve", json={}, headers=every).json()["state"] == "scheduled"
    assert stranger.post(f"{link}/withdraw", json={"why": "no"}, headers=clerk).status_code == 403
    assert stranger.post(f"{link}/withdraw", json={"why": "no"}, headers=every).json()["state"] == "withdrawn"


def test_pages_of_proposals_follow_one_another(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    assert league.riders
    clerk = key(ctx, HANGZHOU, "tariffs:read", "tariffs:write")
    for number in range(5):
        sent = body(toml=text(fare=f"2.5{number}"), submit=False)
        assert stranger.post("/v1/tariff-proposals", json=sent, headers=clerk).status_code == 200
    seen: list[str] = []
    after = ""

    while True:
        page = stranger.get("/v1/tariff-proposals", params={"limit": 2, "after": after}, headers=clerk).json()
        seen += [one["proposal_id"] for one in page["proposals"]]
        if page["next"] is None:
            break
        after = page["next"]

    assert len(seen) == len(set(seen)) == 5
    wrong = stranger.get("/v1/tariff-proposals", params={"after": "x"}, headers=clerk)
    assert wrong.status_code == 422


@pytest.mark.parametrize(
    ("side", "status"),
    [
        ({"valid_from": "2024-01-01"}, 200),
        ({"toml": text()}, 200),
        ({"valid_from": "2024-01-02"}, 404),
        ({"proposal_id": "00000000-0000-7000-8000-000000000000"}, 404),
        ({}, 422),
        ({"valid_from": "2024-01-01", "toml": text()}, 422),
        ({"toml": "nothing"}, 422),
        ({"toml": text().replace("hangzhou-metro", "toronto-ttc", 1)}, 422),
    ],
)
def test_a_comparison_takes_a_version_a_proposal_or_a_text(
    ctx: Context, stranger: Client, league: LittleLeague, side: dict[str, str], status: int
) -> None:
    assert league.riders
    clerk = key(ctx, HANGZHOU, "tariffs:read")
    asked = {
        "operator_id": HANGZHOU,
        "before": {"valid_from": "2024-01-01"},
        "after": side,
        "first_day": "2026-11-17",
        "last_day": "2026-11-17",
    }

    answer = stranger.post("/v1/tariff-comparisons", json=asked, headers=clerk)

    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["before"] == {"minor": 0, "currency": "CNY"}


def test_a_day_that_has_begun_is_approved_only_with_its_count(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    assert league.riders
    ctx.clock.at = datetime(2026, 11, 17, 12, tzinfo=UTC)  # type: ignore[attr-defined]
    clerk = key(ctx, HANGZHOU, "tariffs:read", "tariffs:write")
    chief = key(ctx, "league", "tariffs:approve")
    sent = body(toml=text("2026-11-17"))
    stranger.post("/v1/tariff-proposals", json=sent, headers=clerk)
    link = f"/v1/tariff-proposals/{sent['proposal_id']}/approve"

    refused = stranger.post(link, json={}, headers=chief)
    approved = stranger.post(link, json={"days_again": 0}, headers=chief)

    assert (refused.status_code, refused.json()["code"]) == (409, "rides.starts_in_the_past")
    assert approved.json()["state"] == "in_force"
