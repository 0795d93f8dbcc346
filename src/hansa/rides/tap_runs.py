"""Taps as they lie in runs: records of one size, sealed together, each readable without the rest. Pure.

A run holds the plain taps that one commit took in for one partition, in order of gate and number. What they have in
common (places, payers) is told once for all runs and named in the record by a number made from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa.rides.model import Action

RECORD = np.dtype(
    [
        ("account", "V16"),
        ("tap_id", "V16"),
        ("place", ">i8"),
        ("payer", ">i8"),
        ("tapped_at", ">i8"),
        ("made_at", ">i8"),
        ("sequence", ">i8"),
        ("cti", ">u8"),
        ("counter", ">i4"),
        ("kid", "V4"),
        ("list_version", ">i4"),
        ("chain", "V32"),
        ("digest", "V16"),
        ("companion", ">i2"),
    ]
)
"""A tap in a run. Instants are microseconds since 2000; place and payer are ids of ``rides.tap_places`` and
``rides.tap_payers``; digest is ``tap_digest`` of the tap as it was handed in."""

SIZE = RECORD.itemsize

SPOT = np.dtype([("partition", ">u2"), ("number", ">u4")])
"""Where a gate's tap lies: the partition of its run, and its number in the run from 0."""

FENCED = np.dtype([("account", "V16"), ("run", ">u2"), ("number", ">u4")])
"""Where an account's tap lies: which of the runs listed beside, and its number in the run from 0."""

RIDER_DAY = np.dtype([("high", ">u8"), ("low", ">u8"), ("day", ">i4")])
"""An account's id in two halves, and a service day since 2000."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Place(NamedTuple):
    """Where a tap was made, and what its gate stood for then."""

    gate_id: str
    operator_id: str
    action: Action
    stop_id: str | None
    line_id: str | None
    product: str


class KeptTap(NamedTuple):
    """A tap in the books, wherever it lies, with what was known about it when it came. digest: None of a row."""

    partition: int
    tap_id: UUID
    account_id: UUID
    operator_id: str
    gate_id: str
    sequence: int
    action: Action
    stop_id: str | None
    line_id: str | None
    product: str
    tapped_at: datetime
    cti: bytes
    counter: int
    kid: bytes
    made_at: datetime
    list_version: int
    chain: bytes
    companion: int
    received_at: datetime
    xid: int
    digest: bytes | None = None


class Lying(NamedTuple):
    """Records of one run, and what all of them have in common. records: bytes of whole records."""

    partition: int
    run_id: UUID
    received_at: datetime
    xid: int
    records: bytes


@lru_cache(65_536)
def place_id_of(place: Place) -> int:
    """The id of a place: the first 64 bits of the SHA-256 of its texts, each behind its length, as a signed number."""
    parts = [b"-" if text is None else b"%d:%s" % (len(encoded := text.encode()), encoded) for text in place]
    return int.from_bytes(sha256(b"".join(parts)).digest()[:8], "big", signed=True)


def records_of(data: bytes) -> npt.NDArray[Any]:
    """The records of a run, or of a piece of one."""
    return np.frombuffer(data, RECORD)


def kept_taps(found: Iterable[Lying], places: Mapping[int, Place]) -> list[KeptTap]:
    """The taps in these records, in the order given. places: by id, those of all of them."""
    return [tap for part in found for tap in _kept(records_of(part.records), part, places)]


def _kept(records: npt.NDArray[Any], part: Lying, places: Mapping[int, Place]) -> Iterable[KeptTap]:
    columns: dict[str, Sequence[Any]] = {
        name: records[name].tolist()
        for name in (
            *("account", "tap_id", "place", "tapped_at", "made_at", "sequence", "counter", "kid"),
            *("list_version", "chain", "digest", "companion"),
        )
    }
    ctis: list[bytes] = np.ascontiguousarray(records["cti"]).view("V8").tolist()
    for n, cti in enumerate(ctis):
        place = places[columns["place"][n]]
        yield KeptTap(
            partition=part.partition,
            tap_id=UUID(bytes=columns["tap_id"][n]),
            account_id=UUID(bytes=columns["account"][n]),
            operator_id=place.operator_id,
            gate_id=place.gate_id,
            sequence=columns["sequence"][n],
            action=place.action,
            stop_id=place.stop_id,
            line_id=place.line_id,
            product=place.product,
            tapped_at=_EPOCH + timedelta(microseconds=columns["tapped_at"][n]),
            cti=cti,
            counter=columns["counter"][n],
            kid=columns["kid"][n],
            made_at=_EPOCH + timedelta(microseconds=columns["made_at"][n]),
            list_version=columns["list_version"][n],
            chain=columns["chain"][n],
            companion=columns["companion"][n],
            received_at=part.received_at,
            xid=part.xid,
            digest=columns["digest"][n],
        )
