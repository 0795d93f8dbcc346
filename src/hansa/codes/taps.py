"""The chain of a gate's taps: each link seals the tap and everything the gate recorded before it."""

from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import cbor2

from hansa.kernel import in_utc

CHAIN_START = bytes(32)
"""The link before a gate's first tap."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


def tap_link(
    previous: bytes,
    *,
    tap_id: UUID,
    gate_id: str,
    sequence: int,
    action: str,
    stop_id: str | None,
    tapped_at: datetime,
    cti: bytes,
    counter: int,
    kid: bytes,
    made_at: datetime,
    list_version: int,
    companion: int = 0,
) -> bytes:
    """SHA-256 of the link before and this tap's canonical bytes: a CBOR array of its fields in this order.

    Instants are whole microseconds since 1970. The array holds no map, so plain shortest-form CBOR is deterministic.
    A companion's number is a last field more; the holder's tap has none.
    """
    riding_along = [companion] if companion else []
    tap = cbor2.dumps(
        [
            tap_id.bytes,
            gate_id,
            sequence,
            action,
            stop_id,
            (in_utc(tapped_at) - _EPOCH) // _MICROSECOND,
            cti,
            counter,
            kid,
            (in_utc(made_at) - _EPOCH) // _MICROSECOND,
            list_version,
            *riding_along,
        ]
    )
    return sha256(previous + tap).digest()
