"""The link before a tap in its gate's chain, so that the tap's own link can be checked by whoever has both."""

from collections.abc import Sequence
from uuid import UUID

from hansa.codes import CHAIN_START
from hansa.rides.model import TapLike
from hansa.store import Tx

LINKS = """
select w.tap_id, t.chain
from unnest(%s::uuid[], %s::text[], %s::bigint[]) as w (tap_id, gate_id, sequence)
join rides.tap_numbers n on n.gate_id = w.gate_id and n.sequence = w.sequence - 1
join rides.taps t on t.partition = n.partition and t.tap_id = n.tap_id
"""


def links_before(tx: Tx, taps: Sequence[TapLike]) -> dict[UUID, bytes]:
    """The link before each of these taps, by its id; of a gate's first the chain's start, none where it is missing."""
    wanted = [one.tap_id for one in taps], [one.gate_id for one in taps], [one.sequence for one in taps]
    found: dict[UUID, bytes] = {one.tap_id: CHAIN_START for one in taps if one.sequence == 1}
    return found | dict(tx.execute(LINKS, wanted).fetchall())
