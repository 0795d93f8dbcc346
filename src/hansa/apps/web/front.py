"""The front door: what Hansa is, the description of its interface, and whether it is well."""

import json
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from litestar import Request, Response, get
from litestar.response import Redirect

from hansa import atlas
from hansa.apps.web.description import description_of
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here

VERBS = ("get", "post", "put", "patch", "delete")


@get("/", sync_to_thread=True, include_in_schema=False)
def show_front(site: Here) -> Response[str]:
    with site.ctx.tx() as tx:
        cities = atlas.list_cities(tx)
    return page("landing.html", cities=cities)


@get("/healthz", sync_to_thread=True, include_in_schema=False)
def show_health(site: Here) -> dict[str, str]:
    """Well when the database answers; a problem with status 503 otherwise."""
    with site.ctx.tx() as tx:
        tx.execute("select 1")
    return {"status": "ok"}


@get(
    "/openapi.json",
    sync_to_thread=False,
    include_in_schema=False,
    media_type="application/vnd.oai.openapi+json",
)
def show_openapi(request: Request[Any, Any, Any]) -> bytes:
    return msgspec.json.encode(description_of(request.app))  # a default may be a UUID or a date


@get("/docs", sync_to_thread=True, include_in_schema=False)
def show_docs(request: Request[Any, Any, Any]) -> Response[str]:
    schema = description_of(request.app)
    groups: dict[str, list[Operation]] = {}
    for path, item in sorted(cast(dict[str, dict[str, Any]], schema["paths"]).items()):
        for verb in VERBS:
            if verb in item:
                operation = read_operation(verb, path, item[verb], schema)
                groups.setdefault(operation.group, []).append(operation)
    told = {tag["name"]: tag.get("description", "") for tag in schema["tags"]}
    rooms = [(name, words, groups[name]) for name, words in told.items() if name in groups]
    return page("docs.html", here="docs", schema=schema, groups=rooms)


@get("/favicon.ico", sync_to_thread=False, include_in_schema=False)
def show_favicon() -> Redirect:
    return Redirect("/static/icon.svg")


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an address or a query takes."""

    name: str
    place: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing the interface does, as the documentation page shows it."""

    group: str
    verb: str
    path: str
    summary: str
    description: str
    ways_in: list[str]
    parameters: list[Parameter]
    body: str
    answers: list[tuple[str, list[str]]]


def read_operation(verb: str, path: str, spec: dict[str, Any], schema: dict[str, Any]) -> Operation:
    """An operation of the OpenAPI description in the words of the page."""
    parameters = [
        Parameter(p["name"], p["in"], _type(p.get("schema", {})), bool(p.get("required")))
        for p in spec.get("parameters", [])
    ]
    body = ""
    for content in spec.get("requestBody", {}).get("content", {}).values():
        body = json.dumps(_sketch(content["schema"], schema, depth=4), indent=2, ensure_ascii=False)
    words = " ".join(str(spec.get("description") or "").split())
    return Operation(
        group=(spec.get("tags") or ["Hansa"])[0],
        verb=verb.upper(),
        path=path,
        summary=str(spec["summary"]),
        description=words,
        ways_in=[_way_in(way) for way in spec.get("security", [])],
        parameters=parameters,
        body=body,
        answers=[
            (status, str(answer.get("description", "")).split("\n\n"))
            for status, answer in sorted(spec["responses"].items())
        ],
    )


def _way_in(way: dict[str, list[str]]) -> str:
    scopes = " ".join(way.get("key", []))
    if scopes:
        return f"a key of scope {scopes}"
    return "a key" if "key" in way else "a rider’s sign-in"


def _type(schema: dict[str, Any]) -> str:
    options = schema.get("oneOf") or schema.get("anyOf")
    if options:
        return " or ".join(_type(option) for option in options)
    return str(schema.get("format") or schema.get("type") or "value")


def _sketch(part: dict[str, Any], schema: dict[str, Any], *, depth: int) -> Any:
    """The shape of a body: names, and in place of values what kind they are."""
    if "$ref" in part:
        part = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    if depth and part.get("type") == "array":
        return [_sketch(part.get("items", {}), schema, depth=depth - 1)]
    if depth and "properties" in part:
        return {name: _sketch(value, schema, depth=depth - 1) for name, value in part["properties"].items()}
    if "enum" in part:
        return " | ".join(str(value) for value in part["enum"])
    return _type(part)


ROUTES = [show_front, show_health, show_openapi, show_docs, show_favicon]
