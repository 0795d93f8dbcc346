"""Taps whose token no issuer has told of yet: kept as the gate wrote them, and taken in once an issuer does."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from hansa.kernel import in_utc
from hansa.rides.model import Tap, TapLike, tap_digest
from hansa.store import Tx

INSERT_WAITING = """
insert into rides.waiting_taps (gate_id, sequence, digest, operator_id, cti, body, received_at)
select gate_id, sequence, digest, operator_id, cti, body, %s
from unnest(%s::text[], %s::bigint[], %s::bytea[], %s::text[], %s::bytea[], %s::jsonb[])
    as given (gate_id, sequence, digest, operator_id, cti, body)
order by gate_id, sequence, digest
on conflict do nothing
"""

TAKE_WAITING = """
select w.gate_id, w.sequence, w.digest, w.body
from rides.waiting_taps w
join rides.tokens o on o.cti = w.cti
where w.refused is null
order by w.gate_id, w.sequence, w.digest
limit %s
for no key update of w skip locked
"""

DROP_WAITING = """
delete from rides.waiting_taps w
using unnest(%s::text[], %s::bigint[], %s::bytea[]) as k (gate_id, sequence, digest)
where w.gate_id = k.gate_id and w.sequence = k.sequence and w.digest = k.digest
"""

REFUSE_WAITING = """
update rides.waiting_taps w set refused = k.refused
from unnest(%s::text[], %s::bigint[], %s::bytea[], %s::text[]) as k (gate_id, sequence, digest, refused)
where w.gate_id = k.gate_id and w.sequence = k.sequence and w.digest = k.digest
"""


class WaitingTap(NamedTuple):
    """A tap that waited, under the key of its row."""

    gate_id: str
    sequence: int
    digest: bytes
    tap: Tap


def keep_waiting(tx: Tx, taps: Sequence[tuple[TapLike, str]], at: datetime) -> None:
    """Keep these taps until their token is known. Again is harmless. taps: with their gates' operators."""
    rows = [
        (tap.gate_id, tap.sequence, tap_digest(tap), operator_id, tap.cti, Jsonb(_written(tap)))
        for tap, operator_id in taps
    ]
    if rows:
        tx.execute(INSERT_WAITING, (at, *(list(column) for column in zip(*rows, strict=True))))


def take_waiting(tx: Tx, limit: int) -> list[WaitingTap]:
    """Taps whose token is known by now, locked until the transaction ends."""
    return [
        WaitingTap(gate_id, sequence, bytes(digest), _read(body))
        for gate_id, sequence, digest, body in tx.execute(TAKE_WAITING, (limit,))
    ]


def end_waiting(tx: Tx, taken: Sequence[WaitingTap], refused: Sequence[tuple[WaitingTap, str]]) -> None:
    """Drop those that are in the books now; keep with the reason those that may not be."""
    if taken:
        tx.execute(DROP_WAITING, _keys(taken))
    if refused:
        tx.execute(REFUSE_WAITING, (*_keys([one for one, _ in refused]), [code for _, code in refused]))


def _keys(taps: Sequence[WaitingTap]) -> tuple[list[str], list[int], list[bytes]]:
    return [one.gate_id for one in taps], [one.sequence for one in taps], [one.digest for one in taps]


def _written(tap: TapLike) -> dict[str, Any]:
    return {
        "tap_id": str(tap.tap_id),
        "gate_id": tap.gate_id,
        "sequence": tap.sequence,
        "action": tap.action,
        "stop_id": tap.stop_id,
        "tapped_at": in_utc(tap.tapped_at).isoformat(),
        "cti": tap.cti.hex(),
        "counter": tap.counter,
        "kid": tap.kid.hex(),
        "made_at": in_utc(tap.made_at).isoformat(),
        "list_version": tap.list_version,
        "chain": tap.chain.hex(),
        "companion": tap.companion,
    }


def _read(body: dict[str, Any]) -> Tap:
    return Tap(
        tap_id=UUID(body["tap_id"]),
        gate_id=body["gate_id"],
        sequence=body["sequence"],
        action=body["action"],
        stop_id=body["stop_id"],
        tapped_at=datetime.fromisoformat(body["tapped_at"]),
        cti=bytes.fromhex(body["cti"]),
        counter=body["counter"],
        kid=bytes.fromhex(body["kid"]),
        made_at=datetime.fromisoformat(body["made_at"]),
        list_version=body["list_version"],
        chain=bytes.fromhex(body["chain"]),
        companion=body["companion"],
    )
