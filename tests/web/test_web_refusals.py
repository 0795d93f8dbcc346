"""What is written down of who was not let: one line of the log each, with none of what was sent."""

import json
import logging
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import trust
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]
GUESS = "hansa_guessed_by_somebody"


def _told(caplog: pytest.LogCaptureFixture) -> list[dict[str, str]]:
    return [
        json.loads(one.getMessage().removeprefix("Refused: "))
        for one in caplog.records
        if one.name == "hansa.security"
    ]


def test_who_is_not_let_is_written_down_without_what_was_sent(
    ctx: Context, stranger: Client, league: LittleLeague, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hansa.security")
    account = str(league.riders["Gao Lan"].account_id)
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "hangzhou-card", ["payments:read"], at=ctx.clock.now())
    by = {"authorization": f"Bearer {key}"}
    form = {"credential": json.dumps({"id": GUESS, "rawId": GUESS, "type": "public-key", "response": {}})}

    nobody = stranger.get("/v1/me", headers={"accept": "application/json"})
    answers = [
        stranger.get("/v1/me", headers={"authorization": f"Bearer {GUESS}"}),
        stranger.post("/v1/payees", headers=by, json={"payee_id": "c", "name": "C", "currency": "CNY"}),
        stranger.post("http://localhost/wallet/passkey", data=form),
        stranger.post("/wallet/recover/code", data={"code": GUESS}),
        stranger.post("/console/join", data={"code": GUESS}),
        stranger.post("/wallet/sign-in", data={"account_id": account}, headers={"origin": "https://evil.example"}),
    ]  # fmt: skip
    told = _told(caplog)

    assert nobody.status_code == 401
    assert [one.status_code for one in answers] == [401, 403, 422, 422, 403, 403]
    assert [(one["code"], one["asked"]) for one in told] == [
        ("trust.not_signed_in", "GET /v1/me"),
        ("trust.not_allowed", "POST /v1/payees"),
        ("identity.ceremony_refused", "POST /wallet/passkey"),
        ("identity.code_refused", "POST /wallet/recover/code"),
        ("trust.invitation_refused", "POST /console/join"),
        ("web.cross_site", "POST /wallet/sign-in"),
    ]
    assert all(one["from"] and one["id"] for one in told)
    assert GUESS not in caplog.text and key not in caplog.text and "evil" not in caplog.text
