"""The OpenAPI description as it is given out: what Litestar reads off the routes, and what holds for every request.

Added here: the headers that every answer has and every request may have, an example of each body, and of each operation
how it is asked with curl and with our Python client.
"""

import copy
import json
import re
import shlex
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID, uuid5

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from hansa.apps.web.bounds import bound_operation, bound_struct, pushed_in
from hansa.apps.web.versions import NEWEST
from hansa.trust import API_VERSIONS

Json = dict[str, Any]

VERBS = ("get", "post", "put", "patch", "delete")
DEEP_MAX = 16
EXAMPLE_NAMES = UUID("6f1a5f0e-50aa-4f5e-9d0c-7a0e61b5a3c1")
"""Under this name examples get their ids: the same each time."""

PLACE = "https://hansa.example"
"""Where examples ask, if nobody says where this server is."""

PARAMETERS: Json = {
    "HansaVersion": {
        "name": "Hansa-Version",
        "in": "header",
        "required": False,
        "description": "Read and answer this request in another version than the key's own.",
        "schema": {"type": "string", "enum": [str(one) for one in API_VERSIONS]},
    },
    "RequestId": {
        "name": "Request-Id",
        "in": "header",
        "required": False,
        "description": "Your own id for this request, a UUID; without one it gets one of ours.",
        "schema": {"type": "string", "format": "uuid"},
    },
}

HEADERS: Json = {
    "Request-Id": {
        "description": "The id of this request; quote it when asking about it.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "Hansa-Version": {
        "description": "The version in which this was read and answered.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'The limit that this counts against: tokens `q`, which fill in `w` seconds: "key";q=50000;w=5.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "What is left of it: tokens `r`, and in how many seconds `t` all are there again.",
        "schema": {"type": "string"},
    },
}

_WORDS: Mapping[str, Any] = {
    "currency": "EUR",
    "minor": 1250,
    "amount_minor": 1250,
    "payer_id": "london-card",
    "payee_id": "shop-42",
    "member_id": "london-tfl",
    "issuer_id": "london-card",
    "operator_id": "london-tfl",
    "city_id": "london",
    "gate_id": "london-tfl.bank.in",
    "name": "Bank",
    "url": "https://city.example/hook",
    "types": ["payment.captured"],
    "scopes": ["payments:read"],
    "bic": "BNPAFRPPXXX",
    "why": "asked for by the member",
    "tz": "Europe/London",
    "language": "en",
    "country": "GB",
    "email": "claire.petit@example.org",
    "phone": "+33400000000",
    "label": "main",
    "reference": "invoice 2026-117",
    "description": "Two coffees",
    "words": "as agreed",
    "person": "anna.berg",
}
"""What stands for a field of this name in examples."""

_PATTERNS = (
    (re.compile(r"\[0-9\]\{2\}:\[0-9\]\{2\}"), "04:00:00"),
    (re.compile(r"\[0-9\]\{4\}"), "5814"),
    (re.compile(r"\[A-Z\]\{3\}"), "EUR"),
    (re.compile(r"\[A-Za-z0-9_-\]\{43\}"), "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"),
    (re.compile(r"\[0-9a-f\]\{64\}"), "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    (re.compile(r"\[0-9a-f\]\{16\}"), "9f86d081884c7d65"),
    (re.compile(r"\[0-9a-f\]\{8\}"), "9f86d081"),
    (re.compile(r"\[0-9a-f\]\{6\}"), "9f86d0"),
    (re.compile(r"\(\[0-9a-f\]\{2\}\)"), "9f86d081"),
    (re.compile(r"\[0-9\]\+\(\\\.\[0-9\]\+\)"), "1.25"),
    (re.compile(r"^\^\[0-9\]"), "12"),
    (re.compile(r"^\^\[A-Z\]\*"), "EUR"),
)
"""What fits a pattern, where the name says nothing."""

_described: dict[int, tuple[Litestar, Json]] = {}


def description_of(app: Litestar) -> Json:
    """The whole description, worked out once for each application. Nobody changes it: it is shared."""
    known = _described.get(id(app))
    if known is None:
        known = _described[id(app)] = (app, describe(app.openapi_schema.to_schema(), _asked(app)))
    return known[1]


def describe(schema: Json, asked: Mapping[str, HTTPRouteHandler]) -> Json:
    """This description with what holds everywhere, all bounds, examples, and samples of how to ask.

    asked: the route of each operation, by the operation's id.
    """
    told = copy.deepcopy(schema)
    components = cast(Json, told.setdefault("components", {}))
    _describe_schemas(cast(dict[str, Json], components.get("schemas", {})))
    for item in cast(dict[str, Json], told["paths"]).values():
        for verb in VERBS:
            handler = asked.get(str(item.get(verb, {}).get("operationId", "")))
            if handler is not None:
                bound_operation(item[verb], handler)
    told = cast(Json, _mended(told))
    told["info"]["version"] = str(NEWEST)
    components = cast(Json, told["components"])
    components.setdefault("parameters", {}).update(PARAMETERS)
    components.setdefault("headers", {}).update(HEADERS)
    for path, item in cast(dict[str, Json], told["paths"]).items():
        for verb in VERBS:
            if verb in item:
                _complete(told, path, verb, cast(Json, item[verb]))
    return told


def _asked(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """The routes that are described, by the id of their operation."""
    return {
        handler.operation_id: handler
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if isinstance(handler.operation_id, str)
    }


def _describe_schemas(schemas: dict[str, Json]) -> None:
    """Give each schema the docstring of its struct, which Litestar leaves out, and all bounds of its fields."""
    structs: dict[str, list[type[msgspec.Struct]]] = {}
    for one in _structs(msgspec.Struct):
        if one.__module__.startswith("hansa."):
            structs.setdefault(one.__name__, []).append(one)
    for name, schema in schemas.items():
        module, _, short = name.rpartition("_")
        fitting = [
            one
            for one in structs.get(name, structs.get(short, []))
            if not module or one.__module__.replace(".", "_").endswith(module)
        ]
        if len(fitting) != 1:
            continue
        bound_struct(schema, fitting[0])
        words = (fitting[0].__doc__ or "").strip()
        if words and "description" not in schema:
            schema["description"] = "\n\n".join(" ".join(part.split()) for part in words.split("\n\n"))


def _structs(struct: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    return [below for one in struct.__subclasses__() for below in (one, *_structs(one))]


def _mended(part: Any, name: str = "") -> Any:
    """Patterns as ECMA-262 has them, which JSON Schema speaks: Python's ``\\Z`` is its ``$``.

    A time of day, which Litestar calls a duration, is a text: the format ``time`` would want an offset. Bounds stand
    with what they bound, and those of whole numbers are whole.
    """
    if isinstance(part, dict):
        told = pushed_in({key: _mended(value, key) for key, value in cast(Json, part).items()})
        if told.get("format") == "duration":
            del told["format"]
            told["pattern"] = "^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]+)?)?$"
        return told
    if isinstance(part, list):
        return [_mended(one, name) for one in cast(list[Any], part)]
    if name == "pattern" and isinstance(part, str):
        return part.replace("\\Z", "$")
    if name in ("minimum", "maximum") and isinstance(part, float) and part.is_integer():
        return int(part)
    return part


def _complete(schema: Json, path: str, verb: str, operation: Json) -> None:
    operation.setdefault("parameters", []).extend(
        {"$ref": f"#/components/parameters/{name}"} for name in PARAMETERS
    )
    for answer in cast(dict[str, Json], operation["responses"]).values():
        answer["headers"] = {
            **(answer.get("headers") or {}),
            **{name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS},
        }
        for content in cast(dict[str, Json], answer.get("content", {})).values():
            if "schema" in content and "example" not in content and "examples" not in content:
                _give_example(content, schema)
    for content in cast(dict[str, Json], operation.get("requestBody", {}).get("content", {})).values():
        if "schema" in content and "example" not in content and "examples" not in content:
            _give_example(content, schema, needed=True)
    operation["x-codeSamples"] = [
        {"lang": "Shell", "label": "curl", "source": curl_of(path, verb, operation)},
        {"lang": "Python", "label": "Python", "source": python_of(path, operation)},
    ]


def _give_example(content: Json, schema: Json, *, needed: bool = False) -> None:
    reference = content["schema"].get("$ref", "")
    if reference.endswith("/ProblemDetails"):
        return  # the page of each code has it
    example = example_of(content["schema"], schema, needed=needed)
    if example is not None:
        content["example"] = example


def example_of(part: Json, schema: Json, name: str = "", *, deep: int = 0, needed: bool = False) -> Any:
    """A value that fits this schema, the same each time. name: the field it stands in, which may say what is usual.

    needed: of an object that has them, the fields that it needs alone: what is sent along by choice may shut out each
    other, as two ways to pay do, and what is copied is to be taken.
    """
    if "$ref" in part:
        found = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
        return example_of(cast(Json, found), schema, name, deep=deep + 1, needed=needed)
    if "const" in part:
        return part["const"]
    if "enum" in part:
        return next((one for one in part["enum"] if one not in (None, "")), part["enum"][0])
    for choice in ("oneOf", "anyOf"):
        if choice in part:
            options = [one for one in cast(list[Json], part[choice]) if one.get("type") != "null"]
            shared = {key: value for key, value in part.items() if key != choice}
            return (
                example_of({**shared, **options[0]}, schema, name, deep=deep, needed=needed)
                if options
                else None
            )
    kind = part.get("type", "object" if "properties" in part else "anything")
    if kind == "anything":
        return 1
    if kind == "object":
        if deep > DEEP_MAX:
            return {}
        fields = cast(dict[str, Json], part.get("properties", {}))
        kept = set(cast(list[str], part.get("required", []))) if needed else set[str]()
        fields = {key: value for key, value in fields.items() if not kept or key in kept}
        return {
            key: example_of(value, schema, key, deep=deep + 1, needed=needed) for key, value in fields.items()
        }
    if kind == "array":
        if deep > DEEP_MAX:
            return []
        known = _WORDS.get(name)
        if isinstance(known, list):
            return cast(list[Any], known)
        one = name[:-1] if name.endswith("s") else name
        item = example_of(cast(Json, part.get("items", {})), schema, one, deep=deep + 1, needed=needed)
        return [item] * max(1, int(part.get("minItems", 1)))
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        known = _WORDS.get(name)
        wanted = known if isinstance(known, int) else 1
        return min(max(wanted, int(part.get("minimum", wanted))), int(part.get("maximum", wanted)))
    return _text(part, name)


def _text(part: Json, name: str) -> str:
    form = part.get("format")
    if form == "uuid":
        return str(uuid5(EXAMPLE_NAMES, name))
    if form in ("date-time", "datetime"):
        return f"{NEWEST}T12:00:00Z"
    if form == "date":
        return str(NEWEST)
    pattern = str(part.get("pattern", ""))
    known = _WORDS.get(name)
    if isinstance(known, str) and (not pattern or re.search(pattern, known)):
        text = known
    else:
        text = next(
            (text for one, text in _PATTERNS if one.search(pattern)), name.replace("_", "-") or "text"
        )
        if pattern and not re.search(pattern, text):
            text = next((one for one in ("a", "A", "1", "") if re.search(pattern, one)), text)
    least = int(part.get("minLength", 0))
    most = int(part.get("maxLength", len(text) + least))
    return (text * (least // max(1, len(text)) + 1))[: max(least, min(len(text), most))]


def curl_of(path: str, verb: str, operation: Json, place: str = PLACE) -> str:
    """The operation as it is asked on a command line."""
    lines = [f"curl {place}{_filled(path, operation)}"]
    if verb != "get":
        lines[0] = f"curl -X {verb.upper()} {place}{_filled(path, operation)}"
    if any("key" in way for way in operation.get("security", [])):
        lines.append('-H "Authorization: Bearer $HANSA_KEY"')
    if needs_key(operation):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    for kind, content in cast(dict[str, Json], operation.get("requestBody", {}).get("content", {})).items():
        lines.append(f'-H "Content-Type: {kind}"')
        body = content.get("example")
        if kind == "application/json" and body is not None:
            lines.append(f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
        else:
            lines.append("--data-binary @file")
        break
    return " \\\n  ".join(lines)


def python_of(path: str, operation: Json) -> str:
    """The operation as our Python client asks it."""
    room, method = method_of(operation)
    given: list[str] = []
    for parameter in cast(list[Json], operation.get("parameters", [])):
        if parameter.get("in") == "path" or (parameter.get("in") == "query" and parameter.get("required")):
            value = example_of(
                cast(Json, parameter.get("schema", {})), {"components": {"schemas": {}}}, parameter["name"]
            )
            given.append(f"{_safe(parameter['name'])}={value!r}")
    body = next(
        (one.get("example") for one in operation.get("requestBody", {}).get("content", {}).values()), None
    )
    if isinstance(body, dict):
        given += [f"{_safe(name)}={value!r}" for name, value in cast(Json, body).items()]
    elif "requestBody" in operation:
        given.append("content=body")
    inner = ", ".join(given)
    call = f"hansa.{room}.{method}({inner})"
    if len(call) > 90:
        call = f"hansa.{room}.{method}(\n    " + ",\n    ".join(given) + ",\n)"
    del path
    return call


def method_of(operation: Json) -> tuple[str, str]:
    """The room and the method of the client: ``payments_top_up`` is ``payments.top_up``."""
    room, _, method = str(operation["operationId"]).partition("_")
    return room, method


def needs_key(operation: Json) -> bool:
    """Whether the operation asks for an Idempotency-Key."""
    return any(
        str(one.get("name", "")).lower() == "idempotency-key" for one in operation.get("parameters", [])
    )


def _filled(path: str, operation: Json) -> str:
    for parameter in cast(list[Json], operation.get("parameters", [])):
        if parameter.get("in") == "path":
            value = example_of(
                cast(Json, parameter.get("schema", {})), {"components": {"schemas": {}}}, parameter["name"]
            )
            path = path.replace("{" + parameter["name"] + "}", str(value))
    return path


def _safe(name: str) -> str:
    return f"{name}_" if name in ("from", "in", "is", "class", "type") and name != "type" else name
