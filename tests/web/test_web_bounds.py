"""Every text, number and list that is asked for has a bound, the description tells it, and it is held to."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, cast

import msgspec
from litestar.testing import TestClient

from hansa.apps.web.app import _application
from hansa.apps.web.bounds import bound_struct
from hansa.apps.web.description import VERBS, description_of
from web.little_league import LittleLeague

Client = TestClient[Any]
Json = dict[str, Any]

FIXED = ("uuid", "date", "date-time")
"""Formats that bound a text by themselves."""

ENDLESS = re.compile(r"(?<!\\)[*+]|,\}")
"""What a pattern holds that fits texts of any length."""


Short = Annotated[str, msgspec.Meta(min_length=1, max_length=5)]


class Asked(msgspec.Struct):
    """Each kind of bound."""

    names: Annotated[list[Short], msgspec.Meta(max_length=3)]
    counts: Annotated[dict[Short, Annotated[int, msgspec.Meta(ge=0, lt=9)]], msgspec.Meta(max_length=2)]
    sum: Annotated[int, msgspec.Meta(ge=0, le=7)] | Short | None = None


def gaps(description: Json) -> dict[str, str]:
    """What a request may send without a bound, by where, with what lacks."""
    schemas = cast(dict[str, Json], description["components"]["schemas"])
    found: dict[str, str] = {}
    for path, item in cast(dict[str, Json], description["paths"]).items():
        for verb in VERBS:
            for where, part in _asked(description, item.get(verb, {})):
                for place, lacks in _unbounded(part, where, schemas, frozenset()):
                    found.setdefault(place, f"{lacks} ({verb} {path})")
    return found


def _asked(description: Json, operation: Json) -> Iterator[tuple[str, Json]]:
    for one in cast(list[Json], operation.get("parameters", [])):
        told = (
            description["components"]["parameters"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        )
        yield f"{told['in']} {told['name']}", told["schema"]
    for kind, content in cast(dict[str, Json], operation.get("requestBody", {}).get("content", {})).items():
        yield f"body {kind}", content["schema"]


def _unbounded(
    part: Json, where: str, schemas: dict[str, Json], seen: frozenset[str]
) -> Iterator[tuple[str, str]]:
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        if name not in seen:
            yield from _unbounded(schemas[name], name, schemas, seen | {name})
        return
    for choice in ("oneOf", "anyOf", "allOf"):
        for one in cast(list[Json], part.get(choice, [])):
            yield from _unbounded(one, where, schemas, seen)
    if "enum" in part or "const" in part:
        return
    kind = part.get("type")
    lacks = {
        "string": {"maxLength"} - part.keys() if not _is_short(part) else set[str](),
        "integer": {"minimum", "maximum"} - {name.replace("exclusiveM", "m") for name in part},
        "number": {"minimum", "maximum"} - {name.replace("exclusiveM", "m") for name in part},
        "array": {"maxItems"} - part.keys(),
        "object": {"maxProperties"} - part.keys() if part.get("additionalProperties") else set[str](),
        None: set[str]() if part.keys() & {"oneOf", "anyOf", "allOf"} else {"type"},
    }.get(cast(str | None, kind), set[str]())
    if lacks:
        yield where, f"{kind} without {', '.join(sorted(lacks))}"
    if "items" in part:
        yield from _unbounded(part["items"], f"{where}[]", schemas, seen)
    for name, one in cast(dict[str, Json], part.get("properties", {})).items():
        yield from _unbounded(one, f"{where}.{name}", schemas, seen)
    if isinstance(part.get("additionalProperties"), dict):
        yield from _unbounded(part["additionalProperties"], f"{where}{{}}", schemas, seen)
        yield from _unbounded(part.get("propertyNames", {"type": "string"}), f"{where} names", schemas, seen)


def _is_short(part: Json) -> bool:
    pattern = str(part.get("pattern", "*"))
    return part.get("format") in FIXED or not ENDLESS.search(re.sub(r"\[[^\]]*\]", "x", pattern))


def test_all_that_a_request_may_send_has_a_bound() -> None:
    found = gaps(description_of(_application(None)))

    assert found == {}, (
        "Give each a true bound (msgspec.Meta or a parameter's max_length, ge, le, max_items)."
    )


def test_the_bounds_of_a_struct_are_told_where_they_count() -> None:
    text, whole, null = {"type": "string"}, {"type": "integer"}, {"type": "null"}
    schema: Json = {
        "properties": {
            "names": {"type": "array", "items": text},
            "counts": {"type": "object", "additionalProperties": whole},
            "sum": {"oneOf": [whole, text, null], "maximum": 7},
        }
    }
    bound_struct(schema, Asked)

    told = text | {"minLength": 1, "maxLength": 5}
    assert schema["properties"] == {
        "names": {"type": "array", "items": told, "maxItems": 3},
        "counts": {
            "type": "object",
            "additionalProperties": whole | {"minimum": 0, "exclusiveMaximum": 9},
            "maxProperties": 2,
            "propertyNames": told,
        },
        "sum": {"oneOf": [whole | {"minimum": 0, "maximum": 7}, told, null]},
    }


PAST: list[tuple[str, str, Json | None, str]] = [
    ("get", "/v1/events?event_type=" + "x" * 81, None, "event_type"),
    ("get", "/v1/devices?status=" + "x" * 101, None, "status"),
    ("get", "/v1/ledger/accounts?label=a=" + "x" * 500, None, "label"),
    ("get", "/v1/clearing/windows?model=rail&after=-1", None, "after"),
    ("get", "/v1/payees/" + "x" * 65, None, "payee_id"),
    ("put", "/v1/me/automatic-top-ups/EURO", {}, "currency"),
    ("post", "/v1/keys/zz/end", None, "key_id"),
    ("put", "/v1/devices/a/settings", {"values": {"volume": 2**53}}, "values[...]"),
    ("put", "/v1/devices/a/settings", {"values": {f"s{number}": 1 for number in range(51)}}, "values"),
    (
        "post",
        "/v1/settlement/files/a/release",
        {"count": 1, "control_sum": {"minor": 2**63, "currency": "EUR"}},
        "control_sum.minor",
    ),
]
"""What is a little too much, and the field that is to blame."""


def test_what_is_past_a_bound_is_refused_by_name(client: Client, league: LittleLeague) -> None:
    for verb, path, body, param in PAST:
        answer = client.request(verb, path, json=body)
        told = answer.json()

        assert (answer.status_code, told["code"]) == (422, "web.does_not_fit"), answer.text
        assert told["violations"][0]["param"] == param, path
        assert told["violations"][0]["remedy"], path
