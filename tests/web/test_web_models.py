"""The console's desk of settlement models: written, checked, proposed by one clerk, decided on by another."""

from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import clearing
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]

TEXT = """model_id = "twice"
name = "Toronto in Hangzhou"
tz = "Asia/Shanghai"
takes = [{ issuer = "toronto-card", operator = "hangzhou-metro", currency = "CNY" }]
cut_offs = ["12:00", "28:00"]
"""


def act_as(client: Client, name: str) -> None:
    client.post("/console/clerk", data={"clerk": name, "back": "/console/models"}, follow_redirects=False)


def write(client: Client, what: str, **changes: str) -> Any:
    form = {"toml": TEXT, "since": "2026-11-20", "why": "asked for", "what": what} | changes
    return client.post("/console/models/new", data=form, follow_redirects=False)


def versions(ctx: Context) -> list[clearing.Version]:
    with ctx.tx() as tx:
        return clearing.list_model_versions(tx)


def test_a_model_is_checked_proposed_and_approved_by_the_other_clerk(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    act_as(client, "Ada")
    checked = write(client, "check")
    assert checked.status_code == 200 and "Nothing is wrong with it" in checked.text
    assert "windows end on days on which no money in CNY moves" in checked.text
    assert "Fri 20 Nov 12:00" in checked.text and "19 Nov 12:00" not in checked.text, "from its first day on"
    assert versions(ctx) == []

    at = write(client, "propose").headers["location"]
    assert at == "/console/models/twice/1" == write(client, "propose").headers["location"]
    assert "somebody else must look at it" in client.get(at).text
    same = client.post(f"{at}/decide", data={"what": "approve", "why": "fine"}, follow_redirects=False)
    assert same.status_code == 409 and versions(ctx)[0].decision is None

    act_as(client, "Bo")
    assert "1 waiting for another person" in client.get("/console/days").text
    nameless = client.post(f"{at}/decide", data={"what": "approve", "why": " "}, follow_redirects=False)
    assert nameless.status_code == 422 and "why" in nameless.text and versions(ctx)[0].decision is None
    done = client.post(f"{at}/decide", data={"what": "approve", "why": "fine"}, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, at)
    [kept] = versions(ctx)
    assert (kept.decision, kept.decided_by, kept.decided_why) == ("approved", "demo:Bo", "fine")
    assert "Sat 21 Nov 04:00" in client.get(at).text, "its windows' ends, where they are"
    assert TEXT.splitlines()[3] in client.get("/console/models/new?base=twice").text.replace("&#34;", '"')


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"toml": TEXT.replace("28:00", "48:00")}, 422, "model.cut_offs"),
        ({"toml": TEXT + 'holidays = ["XAF"]\n'}, 422, "there is no calendar of XAF"),
        ({"toml": TEXT.replace("toronto-card", "nobody")}, 404, "nobody"),
        ({"since": "soon"}, 422, "Choose the first business day"),
        ({"since": "2020-01-01"}, 422, "in_force_from"),
        ({"why": ""}, 422, "Say why the model is wanted"),
    ],
)
def test_what_does_not_fit_is_told_and_kept_in_the_form(
    ctx: Context, client: Client, league: LittleLeague, changes: dict[str, str], status: int, words: str
) -> None:
    answer = write(client, "propose", **changes)

    assert answer.status_code == status, answer.text
    assert words in answer.text and "twice" in answer.text
    assert versions(ctx) == []
    assert client.get("/console/models/twice/1").status_code == 404
