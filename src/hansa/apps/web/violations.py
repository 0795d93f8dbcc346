"""What of a request does not fit, told to whoever wrote it: the field by its name, the fault, and what would fit.

msgspec says what it found in the words of Python (``Expected `int` >= 1``) and, of a field that lacks or is too much,
only where. Here it becomes a sentence, and the remedy is read off the types that the route reads its requests by.
"""

import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import inspect

from hansa.apps.web.bounds import name_of

Typed = inspect.Type | None

BODY = "body"
"""The name of the field, where the body as a whole is at fault."""

NEAR_ENOUGH = 0.75
"""How like a field's name another one must be for it to be the one that was meant (difflib's ratio)."""


class Violation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with what was sent. param: where, as in ``amount.minor`` or ``taps[3].tapped_at``.

    code: the kind of fault, where it is one of ``missing``, ``unknown``, ``type``, ``length``, ``range``, ``pattern``,
    ``value``. remedy: what to do.
    """

    param: str
    detail: str
    remedy: str
    code: str = ""


def violation_of(found: object, model: type[msgspec.Struct] | None = None) -> Violation:
    """What a route's reading of a request found. model: how it reads them, where a route was reached."""
    fields = cast(dict[str, Any], found) if isinstance(found, dict) else {"message": str(found)}
    message = str(fields.get("message", ""))
    key = str(fields.get("key", ""))
    types = _types(model) if model is not None else {}
    of_body = fields.get("source") == BODY
    path = ("" if key == "data" else key) if of_body else types.get(key, (key, None))[0]
    info = types.get("data" if of_body else key, ("", None))[1]
    if of_body:
        info = _at(info, path)
    for code, pattern, told in _FAULTS:
        match = pattern.search(message)
        if match is None:
            continue
        if code == "missing":
            name = match["name"]
            child = _at(info, name) or types.get(name, ("", None))[1]
            return Violation(_joined(path, name), "it is missing", _send(child), code)
        if code == "unknown":
            return Violation(
                _joined(path, match["name"]), "there is no such field", _instead(info, match["name"]), code
            )
        return Violation(path or BODY, told(match), _send(info), code)
    if message in ("'data'", "data"):
        return Violation(BODY, "it is missing", _send(info), "missing")
    return Violation(path or BODY, message or "it does not fit", _send(info))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@cache
def _types(model: type[msgspec.Struct]) -> dict[str, tuple[str, inspect.Type]]:
    """How a route reads a request: by the name it has in the code, the name that is sent, and its type."""
    info = inspect.type_info(model)
    assert isinstance(info, inspect.StructType)
    return {field.name: (name_of(field), field.type) for field in info.fields}


def _bare(info: Typed) -> Typed:
    """The type without its notes, and without the null that may stand instead."""
    while isinstance(info, inspect.Metadata | inspect.UnionType):
        if isinstance(info, inspect.Metadata):
            info = info.type
            continue
        some = [one for one in info.types if not isinstance(one, inspect.NoneType)]
        if len(some) != 1:
            return info
        info = some[0]
    return info


def _at(info: Typed, path: str) -> Typed:
    """The type of what lies at this path of a body; None where it cannot be told."""
    for step in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path):
        info = _bare(info)
        if isinstance(info, inspect.StructType):
            info = next((one.type for one in info.fields if one.encode_name == step), None)
        elif isinstance(info, inspect.DictType):
            info = info.value_type
        elif isinstance(
            info, inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType
        ):
            info = info.item_type
        else:
            return None
    return info


def _send(info: Typed) -> str:
    says = _said(info)
    return f"Send {says}" if says else "Look at its description at /openapi.json"


def _instead(info: Typed, name: str) -> str:
    bare = _bare(info)
    if not isinstance(bare, inspect.StructType):
        return "Leave it out"
    known = [one.encode_name for one in bare.fields]
    if not known:
        return "Leave it out; there are no fields here"
    near = get_close_matches(name, known, n=1, cutoff=NEAR_ENOUGH)
    return f"{f'Call it {near[0]}' if near else 'Leave it out'}; there is {', '.join(known)}"


def _said(info: Typed) -> str:
    """What fits this type: ``a whole number from 1 to 1,000``; empty where it cannot be said shortly."""
    bare = _bare(info)
    if isinstance(bare, inspect.IntType):
        return "a whole number" + _between(bare.ge, bare.le)
    if isinstance(bare, inspect.FloatType):
        return "a number" + _between(bare.ge, bare.le)
    if isinstance(bare, inspect.StrType):
        like = f" that matches {bare.pattern}" if bare.pattern else ""
        return f"a text{_long(bare.min_length, bare.max_length, 'character')}{like}"
    if isinstance(bare, inspect.ListType | inspect.VarTupleType):
        return f"a list{_long(bare.min_length, bare.max_length, 'item')}"
    if isinstance(bare, inspect.StructType):
        needed = [one.encode_name for one in bare.fields if one.required]
        return f"an object with {', '.join(needed)}" if needed else "an object; it may be empty: {}"
    if isinstance(bare, inspect.LiteralType):
        return f"one of {', '.join(str(one) for one in bare.values)}"
    if isinstance(bare, inspect.EnumType):
        return f"one of {', '.join(str(one.value) for one in bare.cls)}"
    return next((says for kind, says in _SIMPLE if isinstance(bare, kind)), "")


def _between(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    if least is not None:
        return f", at least {least:,}"
    return "" if most is None else f", at most {most:,}"


def _long(least: int | None, most: int | None, unit: str) -> str:
    if least and most is not None:
        return f" of {least:,} to {most:,} {unit}s"
    if least:
        return f" of at least {least:,} {unit}{'' if least == 1 else 's'}"
    return "" if most is None else f" of at most {most:,} {unit}s"


_SIMPLE: tuple[tuple[type[inspect.Type], str], ...] = (
    (inspect.BoolType, "true or false"),
    (inspect.DecimalType, "a number"),
    (inspect.UUIDType, "a UUID, as 3f1c9a52-6c1e-4f57-9d5e-0b8f5a7c2d11"),
    (inspect.DateTimeType, "an instant with its offset, as 2026-11-28T12:00:00Z"),
    (inspect.DateType, "a day, as 2026-11-28"),
    (inspect.DictType, "an object"),
)

_NAMES = {
    "int": "a whole number",
    "float": "a number with a fraction",
    "decimal": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    "uuid": "a UUID",
    "datetime": "an instant",
    "date": "a day",
}
"""What msgspec calls a thing, and what whoever writes JSON does."""


def _named(kinds: str) -> str:
    return " or ".join(_NAMES.get(one, one) for one in kinds.split(" | "))


def _of_length(match: re.Match[str]) -> str:
    count, most = int(match["count"]), match["sign"] == "<="
    if match["kind"] in ("str", "bytes"):
        unit = "character" if count == 1 else "characters"
        return f"it is {'longer' if most else 'shorter'} than {count:,} {unit}"
    unit = "item" if count == 1 else "items"
    return f"it has {'more' if most else 'fewer'} than {count:,} {unit}"


_RANGES = {">=": "below", "<=": "above", ">": "not above", "<": "not below"}

_FAULTS: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    ("missing", re.compile(r"missing required field `(?P<name>[^`]+)`"), lambda _: ""),
    ("missing", re.compile(r"Missing required \w+ parameter '(?P<name>[^']+)'"), lambda _: ""),
    ("unknown", re.compile(r"unknown field `(?P<name>.+)`"), lambda _: ""),
    (
        "length",
        re.compile(r"Expected `(?P<kind>[^`]+)` of length (?P<sign>[<>]=) (?P<count>\d+)"),
        _of_length,
    ),
    (
        "pattern",
        re.compile(r"matching regex '(?P<like>.+)'"),
        lambda found: f"it does not match {found['like']}",
    ),
    (
        "range",
        re.compile(r"Expected `(?:int|float|decimal)` (?P<sign>[<>]=?) (?P<bound>\S+)"),
        lambda found: f"it is {_RANGES[found['sign']]} {found['bound']}",
    ),
    (
        "range",
        re.compile(r"multiple of (?P<unit>\S+)"),
        lambda found: f"it is no multiple of {found['unit']}",
    ),
    (
        "type",
        re.compile(r"Expected `(?P<wanted>.+)`, got `(?P<got>.+)`"),
        lambda found: f"it is {_named(found['got'])}, not {_named(found['wanted'])}",
    ),
    (
        "value",
        re.compile(r"Invalid enum value (?P<value>.+)"),
        lambda found: f"{found['value']} is no choice here",
    ),
    ("value", re.compile(r"Invalid UUID"), lambda _: "it is no UUID"),
    ("value", re.compile(r"Invalid RFC3339"), lambda _: "it is not written as RFC 3339 has it"),
    ("value", re.compile(r"with a timezone component"), lambda _: "it has no offset from UTC"),
    ("value", re.compile(r"Invalid (?P<what>.+)"), lambda found: f"it is no {found['what']}"),
)
"""The kinds of faults by the words in which msgspec and Litestar tell them, and ours."""
