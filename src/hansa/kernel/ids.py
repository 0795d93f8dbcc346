"""Ids are made by whoever first sees a fact, so that hearing of it twice is harmless."""

import hashlib
import os
import time
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID


def new_id() -> UUID:
    """A fresh UUIDv7: 48 bits of Unix milliseconds, then randomness. Source: RFC 9562 section 5.7."""
    return _shape(time.time_ns() // 1_000_000, os.urandom(10), version=7)


def fact_id(at: datetime | None, *parts: object) -> UUID:
    """The one id of a fact, the same whoever works it out: a UUIDv8 (RFC 9562 section 5.8).

    at: when the fact happened (aware); it leads the id, so ids made in order stay in order in an index.
        None for timeless things such as an account.
    parts: what makes the fact this one and no other; each part's text is length-prefixed before hashing.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(_told(part))
    if at is None:
        milliseconds = int.from_bytes(digest.digest()[16:22], "big")
    else:
        assert at.tzinfo is not None, "fact_id needs an aware instant"
        digest.update(repr(at.timestamp()).encode())
        milliseconds = int(at.timestamp() * 1000)
    return _shape(milliseconds, digest.digest()[:10], version=8)


def fact_ids(at: datetime, *parts: object, last: Sequence[object]) -> list[UUID]:
    """The ids of facts that differ in their last part alone: ``fact_id(at, *parts, one)`` for each, in less time."""
    assert at.tzinfo is not None, "fact_ids needs an aware instant"
    seconds = at.timestamp()
    milliseconds, told_at = int(seconds * 1000), repr(seconds).encode()
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
    text = str(part).encode()
    return len(text).to_bytes(4, "big") + text


def _shape(milliseconds: int, tail: bytes, *, version: int) -> UUID:
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(tail, "big")
    number = number & ~(0xF << 76) | version << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=number)
