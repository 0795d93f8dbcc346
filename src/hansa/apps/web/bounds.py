"""Bounds of what is asked, as the description tells them: those that msgspec holds each request to, and no others.

What Litestar reads off a struct or a route lacks some: those of a list's items and of a table, and 0 as the least of
what may be null. It also tells some that it does not hold anybody to. Here they are taken from the types that requests
are read by, so that what is described is what is enforced.
"""

from typing import Any, cast

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import inspect

Json = dict[str, Any]

OUTER = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
)
"""What Litestar puts beside the choices of what may be null, and belongs into the choice that it bounds."""

_NUMBERS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
_TEXTS = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
_LISTS = {"min_length": "minItems", "max_length": "maxItems"}
_TABLES = {"min_length": "minProperties", "max_length": "maxProperties"}

_Texts = inspect.StrType | inspect.BytesType
_Numbers = inspect.IntType | inspect.FloatType | inspect.DecimalType
_Lists = (
    inspect.ListType | inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType | inspect.CollectionType
)


def bound_struct(schema: Json, struct: type[msgspec.Struct]) -> None:
    """Put the bounds of this struct's fields into its schema."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    properties = cast(dict[str, Json], schema.get("properties", {}))
    for field in info.fields:
        if field.encode_name in properties:
            properties[field.encode_name] = bounded(properties[field.encode_name], field.type)


def bound_operation(operation: Json, handler: HTTPRouteHandler) -> None:
    """Put a route's bounds into what it takes in address, query and headers, and into a body that is one text."""
    info = inspect.type_info(handler.signature_model)
    assert isinstance(info, inspect.StructType)
    types = {name_of(field).lower(): field.type for field in info.fields}
    for one in cast(list[Json], operation.get("parameters", [])):
        known = types.get(str(one.get("name", "")).lower())
        if known is not None and "schema" in one:
            one["schema"] = bounded(one["schema"], known)
    for content in cast(dict[str, Json], operation.get("requestBody", {}).get("content", {})).values():
        if content.get("schema", {}).get("type") == "string" and isinstance(
            handler.request_max_body_size, int
        ):
            content["schema"]["maxLength"] = handler.request_max_body_size


def bounded(part: Json, info: inspect.Type) -> Json:
    """This part of a schema with the bounds of its type; a reference as it is, for what it names has its own."""
    if isinstance(info, inspect.Metadata):
        more = {name: value for name, value in (info.extra_json_schema or {}).items() if name in OUTER}
        return bounded(part, info.type) | more
    if "$ref" in part:
        return part
    if isinstance(info, inspect.UnionType):
        return _of_choices(part, info)
    if isinstance(info, _Numbers):
        return _told(part, info, _NUMBERS)
    if isinstance(info, _Texts):
        return _told(part, info, _TEXTS)
    if isinstance(info, _Lists):
        items = {"items": bounded(part["items"], info.item_type)} if "items" in part else {}
        return _told(part, info, _LISTS) | items
    if isinstance(info, inspect.DictType):
        values = part.get("additionalProperties")
        inner = {"additionalProperties": bounded(values, info.value_type)} if isinstance(values, dict) else {}
        return _told(part, info, _TABLES) | {"propertyNames": _names(info.key_type)} | inner
    return part


def pushed_in(part: Json) -> Json:
    """Bounds that stand beside ``oneOf``, moved into the choices that they bound; any other part as it is."""
    if "oneOf" not in part or not part.keys() & set(OUTER):
        return part
    outer = {name: part[name] for name in OUTER if name in part}
    choices = [{**_fitting(outer, one), **one} for one in cast(list[Json], part["oneOf"])]
    return {name: value for name, value in part.items() if name not in outer} | {"oneOf": choices}


def _names(info: inspect.Type) -> Json:
    """What the names of a table may be."""
    if isinstance(info, inspect.LiteralType):
        return {"enum": list(info.values)}
    return bounded({"type": "string"}, info)


def _of_choices(part: Json, info: inspect.UnionType) -> Json:
    types = [one for one in info.types if not isinstance(one, inspect.NoneType)]
    if "oneOf" not in part:
        return bounded(part, types[0]) if len(types) == 1 else part
    part = {name: value for name, value in part.items() if name not in OUTER}
    choices = [
        next((bounded(choice, one) for one in types if _is_of(choice, one)), choice)
        for choice in cast(list[Json], part["oneOf"])
    ]
    return part | {"oneOf": choices}


def _is_of(choice: Json, info: inspect.Type) -> bool:
    while isinstance(info, inspect.Metadata):
        info = info.type
    kind = choice.get("type")
    return (
        (kind == "string" and isinstance(info, _Texts) and "enum" not in choice)
        or (kind in ("integer", "number") and isinstance(info, _Numbers))
        or (kind == "array" and isinstance(info, _Lists))
        or (kind == "object" and isinstance(info, inspect.DictType))
    )


def _told(part: Json, info: inspect.Type, names: dict[str, str]) -> Json:
    """The part with these bounds as the type has them, and none where it has none."""
    found = {told: getattr(info, ours, None) for ours, told in names.items()}
    kept = {name: value for name, value in part.items() if name not in found}
    return kept | {told: value for told, value in found.items() if value is not None}


def name_of(field: inspect.Field) -> str:
    """By which name a request gives it: the field's, or another that the route says."""
    choices = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    for one in choices:
        extra = (one.extra or {}) if isinstance(one, inspect.Metadata) else {}
        if extra.get("name") or extra.get("header"):
            return str(extra.get("name") or extra.get("header"))
    return field.name


def _fitting(outer: Json, choice: Json) -> Json:
    kind = choice.get("type")
    fits = {
        "string": ("minLength", "maxLength", "pattern"),
        "array": ("minItems", "maxItems"),
        "integer": OUTER[:5],
        "number": OUTER[:5],
    }.get(str(kind), ())
    return {name: value for name, value in outer.items() if name in fits}
