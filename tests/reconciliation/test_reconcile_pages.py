"""The console's reconciliation: a day with its proof and its story, a file handed in, matched by two clerks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from clearing.example_day import DAY
from hansa import reconciliation
from hansa.apps.web import create_app
from hansa.store import Context
from reconciliation.test_member_files import closed, lines, write
from reports.test_statements import pay
from web.conftest import HERE, seen_from

__all__ = ["closed"]

Client = TestClient[Any]


@pytest.fixture
def client(closed: Context, tmp_path: Path) -> Iterator[Client]:
    app = create_app(closed, home=tmp_path, demo=True)
    with TestClient(seen_from(app, "127.0.0.1"), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def field(page: str, name: str) -> str:
    found = re.search(f'name="{name}" value="([^"]+)"', page)
    assert found is not None, name
    return found.group(1)


def test_a_day_is_proved_shown_and_exported(client: Client, closed: Context) -> None:
    before = client.get(f"/console/reconciliation/{DAY}")
    client.post(f"/console/reconciliation/{DAY}/prove")
    pay(closed)

    day = client.post(f"/console/reconciliation/{DAY}/prove")
    days = client.get("/console/reconciliation")
    steps = client.get(f"/console/reconciliation/{DAY}?form=steps")
    findings = client.get(f"/console/reconciliation/{DAY}?form=findings")
    story = client.get(f"/console/reconciliation/{DAY}?form=timeline")

    assert "was not proved yet" in before.text
    assert "Proof 2" in day.text and "is no charge" in day.text and "cut-off" in day.text
    assert "✗ not explained" in days.text
    assert len(steps.text.splitlines()) > len(reconciliation.StepName)
    assert findings.text.count("is no charge") == 8
    assert [line.split(",")[1] for line in story.text.splitlines()[1:3]] == ["clearing", "clearing"]
    assert "statement read" in story.text and "proof 2 fails" in story.text


def test_a_file_is_handed_in_and_matched_by_two_clerks(
    client: Client, closed: Context, tmp_path: Path
) -> None:
    rows = lines()
    rows[-1]["Paid"] = "99.00"
    form = {"member": "beijing-subway", "first": str(DAY), "last": str(DAY)}
    body = write(tmp_path / "mine.csv", rows).read_bytes()

    bad = client.post("/console/reconciliation/files", data=form, files={"file": ("mine.csv", b"a,b\n")})
    none = client.post("/console/reconciliation/files", data=form | {"first": ""}, files={"file": ("x", b"")})
    shown = client.post("/console/reconciliation/files", data=form, files={"file": ("mine.csv", body)})

    assert bad.status_code == none.status_code == 422 and "Name the id in the profile" in bad.text
    assert "same id" in shown.text and "May belong to" in shown.text
    with closed.tx() as tx:
        [file] = reconciliation.list_files(tx)
        [theirs] = reconciliation.list_free(tx, file.file_id, "t")
        [ours] = reconciliation.list_free(tx, file.file_id, "o")
    address = f"/console/reconciliation/files/{file.file_id}"
    match = {
        "what": "match",
        "theirs": str(theirs.key),
        "ours": str(ours.key),
        "nonce": field(shown.text, "nonce"),
    }
    assert client.post(address, data=match | {"why": ""}).status_code == 422
    assert client.post(address, data=match | {"theirs": "x", "why": "mistyped"}).status_code == 422
    proposed = client.post(address, data=match | {"why": "mistyped"})
    approve = {"what": "approved", "proposal": field(proposed.text, "proposal")}
    own = client.post(address, data=approve)
    client.post("/console/clerk", data={"clerk": "Bo", "back": address})
    done = client.post(address, data=approve)
    undone = client.post(
        address,
        data={"what": "undo", "match": str(field(done.text, "match")), "why": "no", "nonce": "n"},
    )

    assert own.status_code == 409
    assert "Everything has its partner" in done.text and "Ada, demo:Bo" in done.text
    assert "undo match" in undone.text
    assert client.get(f"{address}?form=csv").text.splitlines()[0].startswith("side,row,id")
    assert client.get(address.replace(str(file.file_id)[:8], "00000000")).status_code == 404


def test_strangers_see_nothing(closed: Context, tmp_path: Path) -> None:
    app = create_app(closed, home=tmp_path, demo=True)
    with TestClient(
        seen_from(app, "203.0.113.9"), base_url="http://hansa.example", raise_server_exceptions=False
    ) as stranger:
        asked = [
            stranger.get("/console/reconciliation", follow_redirects=False),
            stranger.get(f"/console/reconciliation/{DAY}", follow_redirects=False),
            stranger.post(f"/console/reconciliation/{DAY}/prove", follow_redirects=False),
        ]
    assert all(one.status_code in (302, 303, 401, 403) for one in asked), asked
    with closed.tx() as tx:
        assert reconciliation.list_proofs(tx) == []
