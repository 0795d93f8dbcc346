"""What programs decide over the interface is in the audit record, with the words of their bodies and the outcome."""

from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import audit, trust
from hansa.apps.web.api_acts import own_table
from hansa.apps.web.callers import SAFE_METHODS
from hansa.apps.web.interface import room_routes
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]
SCOPES = ("webhooks:write", "devices:write", "keys:write", "payments:write")


@pytest.fixture
def auth(ctx: Context, league: LittleLeague) -> dict[str, str]:
    assert league.riders
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, "hangzhou-metro", SCOPES, at=ctx.clock.now(), person="ada")
    return {"authorization": f"Bearer {secret}"}


def acts(ctx: Context) -> list[tuple[str, str, str]]:
    with ctx.tx() as tx:
        found = audit.search(tx, chain="hangzhou-metro")
    return [(one.action, one.subject, one.reason) for one in reversed(found)]


def test_every_scope_under_which_something_is_written_is_kept_here_or_known_to_be_elsewhere() -> None:
    table = own_table()
    writing = {
        str(handler.opt["needs"])
        for handler in room_routes()
        if "needs" in handler.opt and set(handler.http_methods) - set(SAFE_METHODS)
    }

    assert not table.kept & table.elsewhere
    assert writing <= table.kept | table.elsewhere, "say in api_acts.toml whether the audit record keeps it"


def test_a_decision_by_a_key_is_kept_with_its_reason_and_what_became_of_it(
    ctx: Context, stranger: Client, league: LittleLeague, auth: dict[str, str]
) -> None:
    made = stranger.post("/v1/keys", json={"scopes": ["payments:write"]}, headers=auth)
    refused = stranger.post("/v1/keys/nothing/end", json={"reason": "it leaked\n"}, headers=auth)

    assert made.status_code < 300 <= refused.status_code
    kept = acts(ctx)
    assert [one[0] for one in kept] == ["api.make-key", "api.outcome", "api.end-key", "api.outcome"]
    assert (kept[0][1], kept[2][2]) == ("/v1/keys", "it leaked")
    with ctx.tx() as tx:
        told = [one.details for one in audit.search(tx, action="api.outcome")]
    assert [one["done"] for one in told] == [False, True]  # newest first


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "/v1/members", None),
        ("post", "/v1/payees", {}),  # payments have a record of their own
        ("post", "/v1/members/x/suspension", {"why": "no right"}),
    ],
)
def test_reading_and_what_has_its_own_record_and_what_is_not_allowed_fill_no_audit(
    ctx: Context, stranger: Client, auth: dict[str, str], method: str, path: str, body: object
) -> None:
    stranger.request(method, path, json=body, headers=auth)
    stranger.request(method, path, json=body, headers={"authorization": "Bearer nothing"})
    stranger.request(method, path, json=body)

    assert acts(ctx) == []
