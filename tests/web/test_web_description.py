"""The OpenAPI description: whole, and true of what the routes do."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from litestar.testing import TestClient

from hansa import trust
from hansa.apps.web.description import example_of
from hansa.apps.web.interface import PROBLEM, every_scope, room_routes
from hansa.store import Context
from web.little_league import LittleLeague

Client = TestClient[Any]
Json = dict[str, Any]

API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ASKED_FOR = re.compile(r'(?:require(?:_league)?\(|(?:speaks_for|_whose)\(caller, )"([a-z:]+)"')
"""How a route asks for a scope."""


@pytest.fixture
def schema(client: Client, league: LittleLeague) -> Json:
    return client.get("/openapi.json").json()


def operations(schema: Json) -> Iterator[tuple[str, Json]]:
    for path, item in schema["paths"].items():
        for verb, operation in item.items():
            yield f"{verb.upper()} {path}", operation


def test_every_operation_says_what_it_does_and_what_it_refuses(schema: Json) -> None:
    told = {tag["name"]: tag["description"] for tag in schema["tags"]}
    ids = [operation["operationId"] for _, operation in operations(schema)]

    assert len(ids) == len(set(ids)) > 30
    assert all(told.values())
    for name, operation in operations(schema):
        (tag,) = operation["tags"]
        assert tag in told and tag[0].isupper(), name
        assert operation["operationId"].startswith(f"{tag.lower()}_"), name
        assert len(operation["summary"].split()) > 1 and operation["description"], name
        refusals = {status: one for status, one in operation["responses"].items() if int(status) >= 400}
        assert refusals, name
        for status, refusal in refusals.items():
            assert list(refusal["content"]) == [PROBLEM], (name, status)
            assert refusal["content"][PROBLEM]["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}
            assert re.match(r"`[a-z]+\.[a-z_]+`: [A-Z]", refusal["description"]), (name, status)
        if operation.get("security"):
            assert "401" in refusals, name


def test_every_reference_leads_somewhere(schema: Json) -> None:
    def references(part: object) -> Iterator[str]:
        if isinstance(part, dict):
            for name, value in cast(Json, part).items():
                if name == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(part, list):
            for value in cast(list[object], part):
                yield from references(value)

    found = set(references(schema))

    assert found
    for reference in found:
        at: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]


def test_no_route_asks_for_a_scope_that_it_does_not_state() -> None:
    for handler in room_routes():
        asked = set(ASKED_FOR.findall(inspect.getsource(handler.fn)))
        stated = {handler.opt["needs"]} if "needs" in handler.opt else set[str]()
        assert asked <= stated, handler.handler_name


def test_a_key_without_the_scope_that_a_route_states_is_refused(
    ctx: Context, stranger: Client, league: LittleLeague, schema: Json
) -> None:
    with ctx.tx() as tx:
        key = trust.create_api_key(tx, "toronto-ttc", ["no:scope"], at=ctx.clock.now())
    let_in: dict[str, str] = {}
    for path, item in schema["paths"].items():
        for verb, operation in item.items():
            if not any(way.get("key") for way in operation.get("security", [])):
                continue
            asked = [one for one in operation["parameters"] if "$ref" not in one and one.get("required")]
            told = {one["name"]: str(example_of(one["schema"], schema, one["name"])) for one in asked}
            place = path.format(**{one["name"]: told[one["name"]] for one in asked if one["in"] == "path"})
            query = {one["name"]: told[one["name"]] for one in asked if one["in"] == "query"}
            headers = {"authorization": f"Bearer {key}", "idempotency-key": place}
            contents = operation.get("requestBody", {}).get("content", {})
            body: dict[str, Any] = {}
            for kind, content in contents.items():
                headers["content-type"] = kind
                example = content.get("example")
                body = {"content": b"{}" if example is None else json.dumps(example).encode()}
            answer = stranger.request(verb, place, params=query, headers=headers, **body)
            refused = (answer.status_code, answer.json().get("code")) == (403, "trust.not_allowed")
            if not refused and answer.status_code != 404:  # what is nobody's is not there for this key either
                let_in[f"{verb} {path}"] = f"{answer.status_code} {answer.text[:200]}"

    assert let_in == {}, let_in


def test_the_operator_of_a_demo_may_do_what_any_key_may(
    ctx: Context, client: Client, league: LittleLeague, schema: Json
) -> None:
    stated = {
        scope
        for _, operation in operations(schema)
        for way in operation.get("security", [])
        for scope in way.get("key", [])
    }

    assert stated == every_scope()
    for path in ("/v1/ledger/trial-balance", f"/v1/flow/{ctx.clock.now().date()}", "/v1/settlement/breaks"):
        assert client.get(path).status_code == 200, path


def test_the_page_about_the_interface_names_every_scope() -> None:
    named = set(re.findall(r"`([a-z]+:[a-z]+)`", API_PAGE.read_text()))

    assert named == every_scope()


def test_what_cannot_be_read_is_answered_as_described(
    client: Client, league: LittleLeague, schema: Json
) -> None:
    refused = client.post("/v1/taps", content=b"{", headers={"content-type": "application/json"})

    assert refused.headers["content-type"] == PROBLEM
    assert str(refused.status_code) in schema["paths"]["/v1/taps"]["post"]["responses"]
    assert set(refused.json()) >= {"type", "title", "status", "detail", "code", "instance"}
