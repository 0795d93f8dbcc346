"""Pages for developers: the quick start works by copy and paste, and the reference shows every operation."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from browser.conftest import Served
from hansa import audit, trust
from hansa.apps.web import developer_pages, languages
from hansa.apps.web.app import _application
from hansa.apps.web.description import description_of
from hansa.kernel import SystemClock
from hansa.store import Context
from web import little_league
from web.little_league import LittleLeague

Client = TestClient[Any]
STEP = re.compile(r'<pre data-step="([a-z]+)"[^>]*><code>(.*?)</code></pre>', re.DOTALL)
PAGES = (
    "/developers",
    "/developers/reference",
    "/developers/keys",
    "/developers/webhooks",
    "/developers/requests",
    "/developers/versions",
    "/developers/sandbox",
    "/developers/client",
    "/errors",
    "/errors/web.does_not_fit",
)


@pytest.fixture
def running(committed_ctx: Context, tmp_path: Path) -> Iterator[Served]:
    """A demonstration's league on a port of this machine."""
    ctx = replace(committed_ctx, clock=SystemClock())
    served = Served(ctx, tmp_path, little_league.build(ctx, trust.KeyFolder(tmp_path / "keys")))
    served.start()
    yield served
    served.stop()


def test_the_quick_start_works_by_copy_and_paste(
    running: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(developer_pages, "DEMO_SHOP", "hangzhou-metro")
    page = subprocess.run(
        ["curl", "-s", "-H", "Accept: text/html", f"{running.url}/developers"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    steps = {name: unescape(words) for name, words in STEP.findall(page)}
    assert list(steps) == ["key", "payee", "payment", "cancel", "mistake"]
    script = "\n".join(f"echo '### {name}'\n{words}\necho" for name, words in steps.items())
    script = script.replace("GBP", "CNY")  # the little league's shop is in Hangzhou

    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
    )

    told = dict(part.split("\n", 1) for part in run.stdout.split("### ")[1:])
    assert told["key"].startswith(trust.TEST_MARK)
    assert json.loads(told["payee"])["payee_id"] == "quick-cafe"
    answer, _, to_pay = told["payment"].strip().rpartition("\n")
    payment = json.loads(answer)
    assert payment["state"] == "created"
    assert to_pay == f"To pay it: {running.url}{payment['next_action']['url']}"
    assert '"state":"canceled"' in told["cancel"]
    mistake = json.loads(told["mistake"])
    assert mistake["status"] == 422 and mistake["param"] and mistake["user_message"].startswith("Une saisie")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_and_is_headed_in_the_readers_language(
    client: Client, league: LittleLeague, path: str, language: str
) -> None:
    page = client.get(path, headers={"accept": "text/html", "accept-language": language})

    assert page.status_code == 200 and page.headers["content-language"] == language
    assert languages.Words(language, languages.catalogue(language))("Quick start") in page.text


def test_every_operation_stands_on_its_rooms_page_with_samples(client: Client, league: LittleLeague) -> None:
    told = description_of(_application(None))
    for tag in told["tags"]:
        room = tag["name"].lower()
        page = client.get(f"/developers/reference/{room}", headers={"accept": "text/html"})
        ids = [
            one["operationId"]
            for item in told["paths"].values()
            for one in item.values()
            if tag["name"] in one["tags"]
        ]

        assert page.status_code == 200
        assert all(f'id="{one}"' in page.text for one in ids), room
        assert page.text.count("<h4>Python</h4>") == len(ids)
    assert client.get("/developers/reference/nothing").status_code == 404


def test_a_room_is_a_list_that_opens_and_says_what_fits(client: Client, league: LittleLeague) -> None:
    folded = client.get("/developers/reference/payments").text
    opened = client.get("/developers/reference/payments?open=all").text
    ask = folded.partition('id="payments_create_payment"')[2].partition("</details>")[0]
    lists = folded.partition('id="payments_list_payments"')[2].partition("</details>")[0]
    index = client.get("/developers/reference").text

    assert '<details class="op" open>' not in folded and '<details class="op">' not in opened
    assert 'href="#/v1/payments"' in folded and 'id="/v1/payments"' in folded
    assert 'href="/developers/reference/payments#/v1/payments"' in index
    assert "<code>amount.minor</code>" in ask and "1 to 1,000,000,000,000" in ask
    assert "1 to 64 characters" in ask and "<code>wallet</code> unless given" in ask
    assert "created | requires_approval" in lists and "1 to 1,000; <code>100</code> unless given" in lists
    assert client.get("/developers/reference/payments?open=some").json()["param"] == "open"


def test_an_operation_is_found_by_words_without_a_script(client: Client, league: LittleLeague) -> None:
    rooms = client.get("/developers/reference").text
    found = client.get("/developers/reference", params={"q": "POST refund payments"}).text
    none = client.get("/developers/reference", params={"q": "<nothing>"}).text

    assert 'href="/developers/reference/payments"' in rooms and len(rooms) < 50_000
    assert "/v1/payments/{payment_id}/refunds</a>" in found and "/v1/payees" not in found
    assert "No operation has that" in none and "<nothing>" not in none


def test_a_sample_sends_what_is_needed_and_nothing_that_shuts_out_another(
    client: Client, league: LittleLeague
) -> None:
    page = client.get("/developers/reference/payments").text
    sample = unescape(
        page.partition('aria-label="curl for payments_create_payment"')[2].partition("</pre>")[0]
    )
    body = json.loads(sample.partition("-d '")[2].rpartition("'")[0])
    made = client.post("/v1/payments", json=body, headers={"idempotency-key": "copied"})

    assert set(body) == {"payee_id", "amount"} and "mandate_id" not in sample
    assert (made.status_code, made.json()["code"]) == (404, "payments.unknown_payee_id"), "it was read"


def test_examples_fit_their_schemas(client: Client, league: LittleLeague) -> None:
    from jsonschema import Draft202012Validator

    told = client.get("/openapi.json").json()
    wrong: list[str] = []
    for path, item in told["paths"].items():
        for verb, operation in item.items():
            contents = [
                *operation.get("requestBody", {}).get("content", {}).values(),
                *(
                    one
                    for answer in operation["responses"].values()
                    for one in answer.get("content", {}).values()
                ),
            ]
            for content in contents:
                if "example" in content:
                    validator = Draft202012Validator({**content["schema"], "components": told["components"]})
                    wrong += [
                        f"{verb} {path} {error.json_path}: {error.message}"
                        for error in validator.iter_errors(content["example"])
                    ]

    assert wrong == []


def test_who_sits_elsewhere_makes_no_test_key(ctx: Context, stranger: Client, league: LittleLeague) -> None:
    with ctx.tx() as tx:
        before = len(trust.list_api_keys(tx, "toronto-ttc"))

    refused = stranger.post("/developers/keys", data={"member_id": "toronto-ttc"})

    with ctx.tx() as tx:
        assert len(trust.list_api_keys(tx, "toronto-ttc")) == before
    assert refused.status_code == 403 and "Make a test key" not in stranger.get("/developers/keys").text


def test_a_test_key_is_made_by_the_form_shown_once_and_ended(
    ctx: Context, client: Client, stranger: Client, league: LittleLeague
) -> None:
    headers = {"accept": "text/html"}
    made = client.post("/developers/keys", data={"member_id": "toronto-ttc"}, headers=headers)
    again = client.get("/developers/keys", headers=headers)
    unfit = client.post("/developers/keys", data={"member_id": "toronto-ttc", "scopes": "all"})

    assert made.status_code == 200 and trust.TEST_MARK in made.text
    assert re.search(r"hansa_test_[A-Za-z0-9_-]{40}", again.text) is None
    assert (unfit.status_code, unfit.json()["param"]) == (422, "scopes")
    secret = re.findall(r"hansa_test_[A-Za-z0-9_-]{40,}", made.text)[0]
    with ctx.tx() as tx:
        key_id = trust.caller_of_key(tx, secret).key_id or ""
    form = {"member_id": "toronto-ttc", "key_id": key_id, "reason": ""}
    assert key_id in client.get("/developers/keys?member=toronto-ttc", headers=headers).text
    assert stranger.post("/developers/keys/end", data=form | {"reason": "x"}).status_code == 403
    assert key_id not in stranger.get("/developers/keys?member=toronto-ttc").text
    assert client.post("/developers/keys/end", data=form).status_code == 422
    with ctx.tx() as tx:
        assert trust.caller_of_key(tx, secret), "neither a stranger nor anybody without a reason ends it"
    client.post("/developers/keys/end", data=form | {"reason": "tried enough"})
    with ctx.tx() as tx, pytest.raises(trust.NotSignedIn):
        trust.caller_of_key(tx, secret)


def test_a_key_makes_others_with_no_more_than_its_own_scopes(
    ctx: Context, stranger: Client, league: LittleLeague
) -> None:
    with ctx.tx() as tx:
        scopes = ["keys:write", "taps:write"]
        secret = trust.create_api_key(tx, "toronto-ttc", scopes, at=ctx.clock.now(), person="anna.berg")
    key = {"authorization": f"Bearer {secret}"}

    made = stranger.post("/v1/keys", json={"scopes": ["taps:write"], "reason": "gates"}, headers=key).json()
    more = stranger.post("/v1/keys", json={"scopes": ["ledger:read"]}, headers=key)
    new = {"authorization": f"Bearer {made['secret']}"}
    weak = stranger.post("/v1/keys", json={"scopes": ["taps:write"]}, headers=new)
    listed = stranger.get("/v1/keys", headers=key).json()["keys"]
    end = f"/v1/keys/{made['key']['key_id']}/end"
    unfit = stranger.post(end, json={"reason": "x" * 501}, headers=key)
    assert (unfit.status_code, unfit.json()["param"]) == (422, "reason")
    ended = stranger.post(end, json={"reason": "it was in a log"}, headers=key).json()
    twice = stranger.post(f"/v1/keys/{made['key']['key_id']}/end", headers=key)

    assert made["key"]["person"] == "anna.berg" and made["key"]["scopes"] == ["taps:write"]
    assert (more.status_code, weak.status_code, twice.status_code) == (403, 403, 404)
    assert len(listed) == 2 and ended["ended_at"] and all("secret" not in one for one in listed)
    with ctx.tx() as tx, pytest.raises(trust.NotSignedIn):
        trust.caller_of_key(tx, made["secret"])
    with ctx.tx() as tx:
        told = [(act.action, act.reason) for act in audit.search(tx, action="api")]
    assert ("api.make-key", "gates") in told and ("api.end-key", "it was in a log") in told
