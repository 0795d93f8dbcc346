"""Deterministic CBOR: one byte string for each value, and no other is read.

Only what Hansa's wire forms are made of: whole numbers of 64 bits, byte strings, text, true and false, null,
arrays and maps. Source: RFC 8949 section 4.2.1 (core deterministic encoding).

The reader is our own and reads once, from left to right: it stops at the first byte that Hansa would not have
written. So no stranger's bytes make it work (a general decoder acts on tags), and every reader that goes by
docs/ride-code/verifying.md names the same fault.
"""

from typing import Any, cast

import cbor2

from hansa.kernel import HansaError

DEPTH_MAX = 8
"""Arrays and maps inside each other; ours are four deep at most."""

_LONG = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16), 27: (8, 1 << 32)}
_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}
_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP = range(6)


class MalformedCbor(HansaError):
    """These bytes are not CBOR of the kind Hansa writes."""

    code = "codes.malformed_cbor"
    status = 422


class NotCanonical(HansaError):
    """These bytes mean something, but they are not the one way to write it."""

    code = "codes.not_canonical"
    status = 422


def cbor_encode(value: object) -> bytes:
    """The deterministic bytes of a value: shortest heads, definite lengths, map keys in the order of their bytes.

    cbor2's own ``canonical`` is the older length-first order of RFC 7049, so the maps are put in order here.
    """
    return cbor2.dumps(_in_order(value))


def cbor_decode(data: bytes) -> Any:
    """The value of these bytes, if they are its deterministic bytes.

    Errors: MalformedCbor; NotCanonical for a length longer than needed, an indefinite length, a map's key that is
    not greater than the one before (so also a repeated one), or anything after the end. The first fault counts.
    """
    value, end = _item(data, 0, 0)
    if end != len(data):
        raise NotCanonical
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The value that begins here, and where it ends."""
    if data[at : at + 1] in (b"\xf4", b"\xf5", b"\xf6"):
        return _SIMPLE[data[at]], at + 1
    major, number, at = _head(data, at)
    if major == _UINT:
        return number, at
    if major == _NINT:
        return -1 - number, at
    if major in (_BYTES, _TEXT):
        end = at + number
        if end > len(data):
            raise MalformedCbor
        if major == _BYTES:
            return data[at:end], end
        try:
            return data[at:end].decode(), end
        except UnicodeDecodeError:
            raise MalformedCbor from None
    if depth == DEPTH_MAX:
        raise MalformedCbor
    return _array(data, at, number, depth + 1) if major == _ARRAY else _map(data, at, number, depth + 1)


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """The major type and the number of the head that begins here, and where it ends."""
    if at >= len(data):
        raise MalformedCbor
    major, info = data[at] >> 5, data[at] & 0x1F
    if major > _MAP:  # a tag, a float, a simple value, an end of nothing
        raise MalformedCbor
    at += 1
    if info < 24:
        return major, info, at
    if info == 31 and major in (_BYTES, _TEXT, _ARRAY, _MAP):
        raise NotCanonical
    if info not in _LONG:
        raise MalformedCbor
    size, least = _LONG[info]
    if at + size > len(data):
        raise MalformedCbor
    number = int.from_bytes(data[at : at + size], "big")
    if number < least:
        raise NotCanonical
    return major, number, at + size


def _array(data: bytes, at: int, length: int, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while len(items) < length:
        item, at = _item(data, at, depth)
        items.append(item)
    return items, at


def _map(data: bytes, at: int, length: int, depth: int) -> tuple[dict[Any, Any], int]:
    items: dict[Any, Any] = {}
    before = b""
    while len(items) < length:
        start = at
        if _head(data, at)[0] > _TEXT:
            raise MalformedCbor
        key, at = _item(data, at, depth)
        written = data[start:at]
        if written <= before:
            raise NotCanonical
        items[key], at = _item(data, at, depth)
        before = written
    return items, at


def _in_order(value: object) -> object:
    if isinstance(value, dict):
        items = [
            (cbor2.dumps(key), key, _in_order(item))
            for key, item in cast(dict[object, object], value).items()
        ]
        return {key: item for _, key, item in sorted(items, key=lambda entry: entry[0])}
    if isinstance(value, list | tuple):
        return [_in_order(item) for item in cast(list[object], value)]
    assert value is None or isinstance(value, int | bytes | str), f"no deterministic form for {type(value)}"
    return value
