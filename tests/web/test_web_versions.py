"""Dated versions: a key goes on with the one it was made for; the header asks for another."""

from datetime import date
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import trust
from hansa.apps.web import versions
from hansa.kernel import InvalidInput
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]
FIRST, NEWEST = trust.API_VERSIONS[0], trust.API_VERSIONS[-1]


def key_of(ctx: Context, version: date | None) -> dict[str, str]:
    scopes = ["clearing:read", "payments:write", "reconciliation:read"]
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "league", scopes, at=ctx.clock.now(), version=version)
    return {"authorization": f"Bearer {secret}"}


def test_a_key_is_made_for_the_newest_version_and_stays_with_it(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    new = stranger.get("/v1/clearing/days", headers=key_of(ctx, None))
    old = stranger.get("/v1/clearing/days", headers=key_of(ctx, FIRST))
    asked = stranger.get("/v1/clearing/days", headers={**key_of(ctx, FIRST), "hansa-version": str(NEWEST)})

    assert [one.headers["hansa-version"] for one in (new, old, asked)] == [
        str(NEWEST),
        str(FIRST),
        str(NEWEST),
    ]


def test_an_old_key_is_told_problems_as_they_were(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    old, new = key_of(ctx, FIRST), key_of(ctx, NEWEST)
    body = {"top_up_id": "x"}

    before = stranger.post("/v1/top-ups", json=body, headers=old)
    today = stranger.post("/v1/top-ups", json=body, headers=new)

    assert before.status_code == today.status_code == 422
    assert set(before.json()) == {"type", "title", "status", "detail", "code", "instance", "problems"}
    assert set(before.json()["problems"][0]) == {"where", "what", "remedy"}
    assert before.json()["type"].startswith("https://hansa.invalid/problems/")
    assert before.headers["content-type"] == "application/problem+json"
    assert int(before.headers["content-length"]) == len(before.content)
    assert today.json()["violations"][0]["param"] == before.json()["problems"][0]["where"]


def test_an_old_key_asks_for_pages_as_it_did(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    old, new = key_of(ctx, FIRST), key_of(ctx, NEWEST)

    as_before = stranger.get("/v1/clearing/days?before=2026-11-17&limit=3", headers=old)
    as_today = stranger.get("/v1/clearing/days?after=2026-11-17&limit=3", headers=new)
    both = stranger.get("/v1/clearing/days?before=2026-11-17&after=2026-11-17", headers=old)

    assert as_before.status_code == as_today.status_code == 200 and as_before.json() == as_today.json()
    assert both.status_code == 422 and both.json()["problems"][0]["where"] == "before"


def test_an_old_key_gets_lists_as_they_were(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    before = stranger.get("/v1/reconciliation/days", headers=key_of(ctx, FIRST))
    today = stranger.get("/v1/reconciliation/days", headers=key_of(ctx, NEWEST))

    assert (before.json(), today.json()) == ([], {"proofs": [], "next": None})


@pytest.mark.parametrize("asked", ["2026-11-18", "newest", ""])
def test_a_version_that_there_is_not_is_refused_with_those_there_are(
    stranger: Client, league: LittleLeague, asked: str
) -> None:
    refused = stranger.get("/v1/members", headers={"hansa-version": asked})

    assert (refused.status_code, refused.json()["code"]) == (400, "web.unknown_version")
    assert all(str(one) in refused.json()["violations"][0]["remedy"] for one in trust.API_VERSIONS)


def test_a_key_for_no_version_cannot_be_made(ctx: Context, league: LittleLeague) -> None:
    with ctx.tx() as tx:
        before = len(trust.list_api_keys(tx, "league"))
        with pytest.raises(InvalidInput) as refused:
            trust.create_api_key(tx, "league", ["taps:write"], version=date(2020, 1, 1))

        assert refused.value.problems[0].where == "version"
        assert len(trust.list_api_keys(tx, "league")) == before


def test_changes_are_told_in_order_and_of_versions_that_there_are() -> None:
    since = [one.since for one in versions.CHANGES]

    assert since == sorted(since) and set(since) <= set(trust.API_VERSIONS[1:])
    assert all(one.title and one.says for one in versions.CHANGES)


def test_pages_and_files_have_no_version(client: Client, league: LittleLeague) -> None:
    assert "hansa-version" not in client.get("/fares").headers


def test_a_member_lists_its_keys_and_ends_one_by_its_id(ctx: Context, league: LittleLeague) -> None:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "toronto-ttc", ["taps:write"], at=ctx.clock.now(), test=True)
        (kept,) = trust.list_api_keys(tx, "toronto-ttc")
        with pytest.raises(trust.UnknownKey):
            trust.end_member_key(tx, "hangzhou-metro", kept.key_id, ctx.clock.now())
        assert trust.caller_of_key(tx, secret).test

        trust.end_member_key(tx, "toronto-ttc", kept.key_id, ctx.clock.now())

        with pytest.raises(trust.NotSignedIn):
            trust.caller_of_key(tx, secret)
        with pytest.raises(trust.UnknownKey):
            trust.end_member_key(tx, "toronto-ttc", kept.key_id, ctx.clock.now())
        with pytest.raises(trust.UnknownKey):
            trust.end_member_key(tx, "toronto-ttc", "no hex", ctx.clock.now())
    assert secret.startswith(trust.TEST_MARK) and kept.version == NEWEST and kept.ended_at is None
