"""Reconciliation over HTTP: days for the league, files for their members, matches by two persons."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from clearing.example_day import DAY
from hansa import reconciliation, trust
from hansa.apps.web import create_app
from hansa.store import Context
from reconciliation.test_member_files import closed, lines, read, write
from web.conftest import HERE, seen_from

__all__ = ["closed"]

Client = TestClient[Any]
DAYS = "/v1/reconciliation/days"
BOTH = ("reconciliation:read", "reconciliation:write")


@pytest.fixture
def client(closed: Context, tmp_path: Path) -> Iterator[Client]:
    app = create_app(closed, home=tmp_path, demo=False)
    with TestClient(seen_from(app, "127.0.0.1"), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def bearer(ctx: Context, member: str, *scopes: str, person: str = "") -> dict[str, str]:
    with ctx.tx() as tx:
        secret = trust.create_api_key(tx, member, list(scopes), at=ctx.clock.now(), person=person)
    return {"authorization": f"Bearer {secret}"}


def test_the_league_proves_a_day_and_reads_its_story(client: Client, closed: Context) -> None:
    league = bearer(closed, "league", *BOTH)
    none = client.get(f"{DAYS}/{DAY}", headers=league)

    made = client.post(f"{DAYS}/{DAY}/proofs", headers=league).json()

    assert none.status_code == 404 and none.json()["code"] == "reconciliation.unknown_proof"
    assert made["verdict"] == "fails" and made["number"] == 1
    assert client.get(f"{DAYS}/{DAY}", headers=league).json() == made
    assert client.get(DAYS, headers=league).json() == {"proofs": [made], "next": None}
    story = client.get(f"{DAYS}/{DAY}/timeline", headers=league).json()
    assert [one["words"] for one in story][:2] == ["cut-off", "decided, 8 items"]


def test_a_member_sees_its_own_files_and_no_others(client: Client, closed: Context, tmp_path: Path) -> None:
    rows = lines()
    rows[0]["Paid"] = "99.00"
    made = read(closed, write(tmp_path / "mine.csv", rows))
    own, other = (bearer(closed, one, *BOTH) for one in ("beijing-subway", "hangzhou-metro"))
    left = f"/v1/reconciliation/files/{made.file.file_id}/unmatched?side=theirs"

    files = client.get("/v1/reconciliation/files", headers=own).json()
    queue = client.get(left, headers=own).json()

    assert [one["file_id"] for one in files] == [str(made.file.file_id)]
    assert [one["amount"]["minor"] for one in queue] == [9_900]
    assert client.get("/v1/reconciliation/files", headers=other).json() == []
    assert client.get(left, headers=other).status_code == 404
    assert client.get(DAYS, headers=own).status_code == 403
    assert client.post(f"{DAYS}/{DAY}/proofs", headers=own).status_code == 403
    assert client.get(left).status_code == 401
    assert client.get(left, headers=bearer(closed, "beijing-subway")).status_code == 403
    with closed.tx() as tx:
        assert reconciliation.list_proofs(tx) == []


def test_two_persons_match_and_undo(client: Client, closed: Context, tmp_path: Path) -> None:
    rows = lines()
    rows[-1]["Paid"] = "99.00"
    file_id = read(closed, write(tmp_path / "mine.csv", rows)).file.file_id
    with closed.tx() as tx:
        [theirs] = reconciliation.list_free(tx, file_id, "t")
        [ours] = reconciliation.list_free(tx, file_id, "o")
    anna, bo = (bearer(closed, "league", *BOTH, person=one) for one in ("anna", "bo"))
    base = f"/v1/reconciliation/files/{file_id}"
    body = {"proposal_id": str(uuid4()), "ours": [ours.key], "theirs": [theirs.key], "why": "mistyped"}
    decision = f"/v1/reconciliation/proposals/{body['proposal_id']}/decision"

    first = client.post(f"{base}/matches", json=body, headers=anna).json()
    again = client.post(f"{base}/matches", json=body, headers=anna).json()
    own = client.post(decision, json={"decision": "approved"}, headers=anna)
    done = client.post(decision, json={"decision": "approved"}, headers=bo)
    undo = {"proposal_id": str(uuid4()), "match_no": len(lines()), "why": "another trip"}
    wanted = client.post(f"{base}/undone", json=undo, headers=bo)
    late = client.post(f"{base}/matches", json=body | {"proposal_id": str(uuid4())}, headers=bo)

    assert first == again and first["decision"] == ""
    assert (own.status_code, own.json()["code"]) == (409, "reconciliation.same_person")
    assert done.json()["decision"] == "approved" and done.json()["decided_by"] == "league:bo"
    assert wanted.json()["what"] == "undo"
    assert (late.status_code, late.json()["code"]) == (409, "reconciliation.rows_taken")
