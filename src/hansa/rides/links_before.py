"""The link before a tap in its gate's chain, so that the tap's own link can be checked by whoever has both."""

from collections.abc import Sequence
from uuid import UUID

from hansa.codes import CHAIN_START
from hansa.rides.model import TapLike
from hansa.rides.tap_runs_store import taps_by_number
from hansa.store import Tx


def links_before(tx: Tx, taps: Sequence[TapLike]) -> dict[UUID, bytes]:
    """The link before each of these taps, by its id; of a gate's first the chain's start, none where it is missing."""
    found: dict[UUID, bytes] = {one.tap_id: CHAIN_START for one in taps if one.sequence == 1}
    numbers = {(one.gate_id, one.sequence - 1): one.tap_id for one in taps}
    before = taps_by_number(tx, [gate_id for gate_id, _ in numbers], [number for _, number in numbers])
    return found | {numbers[one.gate_id, one.sequence]: bytes(one.chain) for one in before}
