"""Ids are made by whoever first sees a fact, so that hearing of it twice is harmless."""

import hashlib
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID, SafeUUID

TAILS = 256
"""Random tails of new ids drawn at a time: each call of the system hands the interpreter to another thread."""

_tails: list[bytes] = []
os.register_at_fork(after_in_child=_tails.clear)  # a child that kept them would make its parent's ids again


def new_id() -> UUID:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, then randomness. Source: RFC 9562 section 5.7."""
    try:
        tail = _tails.pop()
    except IndexError:
        drawn = os.urandom(10 * TAILS)
        tail = drawn[:10]
        _tails.extend([drawn[at : at + 10] for at in range(10, len(drawn), 10)])
    return _shape(time.time_ns() // 1_000_000, tail, version=7)


def fact_id(at: datetime | None, *parts: object) -> UUID:
    """The one id of a fact, the same whoever works it out: a UUIDv8 (RFC 9562 section 5.8).

    at: when the fact happened (aware); it leads the id, so ids made in order stay in order in an index.
        None for timeless things such as an account.
    parts: what makes the fact this one and no other; each part's text is length-prefixed before hashing.
    """
    told = b"".join([_told(part) for part in parts])
    if at is None:
        digest = hashlib.sha256(told).digest()
        return _shape(int.from_bytes(digest[16:22], "big"), digest[:10], version=8)
    assert at.tzinfo is not None, "fact_id needs an aware instant"
    milliseconds, told_at = _told_instant(at)
    return _shape(milliseconds, hashlib.sha256(told + told_at).digest()[:10], version=8)


def fact_ids(at: datetime, *parts: object, last: Sequence[object]) -> list[UUID]:
    """The ids of facts that differ in their last part alone: ``fact_id(at, *parts, one)`` for each, in less time."""
    assert at.tzinfo is not None, "fact_ids needs an aware instant"
    milliseconds, told_at = _told_instant(at)
    digest = hashlib.sha256(b"".join(map(_told, parts)))
    found: list[UUID] = []
    for one in last:
        whole = digest.copy()
        whole.update(_told(one) + told_at)
        found.append(_shape(milliseconds, whole.digest()[:10], version=8))
    return found


def hex_id(value: UUID) -> str:
    """An id as a person reads it aloud: its last eight hex digits."""
    return value.hex[-8:]


def _told(part: object) -> bytes:
    kind = type(part)
    if kind is str:
        return _told_text(part)
    if kind is UUID:
        return _told_id(part)
    text = str(part).encode()
    return len(text).to_bytes(4, "big") + text


@lru_cache(maxsize=4_096)
def _told_id(part: UUID) -> bytes:
    """One subject has many facts, worked out one after another."""
    return b"\0\0\0$" + str(part).encode()


@lru_cache(maxsize=4_096)
def _told_text(part: str) -> bytes:
    """Most texts name a kind of fact, and come again and again."""
    text = part.encode()
    return len(text).to_bytes(4, "big") + text


def _told_instant(at: datetime) -> tuple[int, bytes]:
    """Milliseconds since 1970, and the instant as it is hashed."""
    if at.tzinfo is UTC:
        return _told_in_utc(at)
    seconds = at.timestamp()
    return int(seconds * 1000), repr(seconds).encode()


@lru_cache(maxsize=64)
def _told_in_utc(at: datetime) -> tuple[int, bytes]:
    """A batch of facts has one instant. In UTC alone: elsewhere two that are equal can lie an hour apart."""
    seconds = at.timestamp()
    return int(seconds * 1000), repr(seconds).encode()


def _shape(milliseconds: int, tail: bytes, *, version: int) -> UUID:
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(tail, "big")
    made = _blank(
        UUID
    )  # what UUID(int=...) comes to, without its checks of arguments: ids are made by the million
    _set(made, "int", number & _SHAPED | version << 76 | 0x2 << 62)
    _set(made, "is_safe", SafeUUID.unknown)
    return made


_SHAPED = ~(0xF << 76 | 0x3 << 62)
_blank, _set = object.__new__, object.__setattr__
