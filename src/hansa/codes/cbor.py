"""Deterministic CBOR: one byte string for each value, and no other is read.

Only what Hansa's wire forms are made of: whole numbers of 64 bits, byte strings, text, true and false, null,
arrays and maps. Source: RFC 8949 section 4.2.1 (core deterministic encoding).
"""

from typing import Any, NoReturn, cast

import cbor2

from hansa.kernel import HansaError

# cbor2 acts on these tags while it reads (dates, regular expressions, powers of two of any size ...): work that
# a stranger's bytes could ask of a gate. None of our forms has a tag, so reading one is the end of it.
_TAGS = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_DEPTH_MAX = 8


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

    Errors: MalformedCbor; NotCanonical when writing the value again gives other bytes (so also for a repeated
    key, an indefinite length, or anything after the end).
    """
    value = cbor_read(data)
    if cbor_encode(value) != data:
        raise NotCanonical
    return value


def cbor_read(data: bytes) -> Any:
    """The value of these bytes however it is written. Errors: MalformedCbor."""
    try:
        value = cbor2.loads(data, semantic_decoders=_NO_TAGS, max_depth=_DEPTH_MAX)
        _check(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, EOFError):
        raise MalformedCbor from None
    return value


def _refuse_tag(*_: object) -> NoReturn:
    raise MalformedCbor


_TagDecoder = cbor2.SemanticDecoderCallback | cbor2.ShareableDecoderInitializer
_NO_TAGS: dict[int, _TagDecoder] = dict.fromkeys(_TAGS, _refuse_tag)


def _check(value: object) -> None:
    kind = type(value)
    if kind is list:
        for item in cast(list[object], value):
            _check(item)
    elif kind is dict:
        for key, item in cast(dict[object, object], value).items():
            if type(key) not in (int, str, bytes):
                raise MalformedCbor
            _check(item)
    elif value is not None and kind not in (int, bytes, str, bool):
        raise MalformedCbor


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
