"""The gates this application stands in for: one gate program for each gate screen in use."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from hansa import codes, gate, rides, trust
from hansa.store import Context, Tx

HAND_IN_MAX = 1000
RATE_MAX = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gate said to a code, and when by its own clock."""

    decision: gate.Decision
    gate_time: datetime


class GateHouse:
    """Gate programs by gate id, made when a screen first needs one.

    folder: where each keeps its state, so that neither a restart nor a crash loses a tap or lets a code in twice.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gates: dict[str, gate.Gate] = {}
        self._tokens = codes.TokenCache()
        self._lock = Lock()

    def read(self, ctx: Context, gate_id: str, text: str) -> Reading:
        """Show this text to the gate's scanner. Errors: trust.UnknownGate, gate.StateFailed."""
        now = ctx.clock.now()
        with ctx.tx() as tx:
            device = self._device(tx, gate_id)
        return Reading(device.decide(text.strip(), now), now)

    def hand_in(self, ctx: Context, gate_id: str) -> int:
        """Hand in what the gate holds, price it and charge it; how many taps that were.

        Safe to run again and beside itself: taps, fares and charges are each recognised by their id.
        """
        device = self._gates.get(gate_id)
        handed_in = 0
        while device is not None and (taps := device.pending(HAND_IN_MAX)):
            rides.record_taps(ctx, gate_id, [rides.Tap.from_gate(tap) for tap in taps])
            device.acknowledge(taps[-1].sequence)
            handed_in += len(taps)
        if handed_in:
            rides.rate(ctx, limit=RATE_MAX)
            rides.post_charges(ctx, limit=RATE_MAX)
        return handed_in

    def _device(self, tx: Tx, gate_id: str) -> gate.Gate:
        trust_list = trust.current_trust_list(tx)
        deny_list = gate.DenyList(*trust.current_deny_list(tx))
        with self._lock:
            device = self._gates.get(gate_id)
            if device is None:
                device = self._make(trust.get_gate(tx, gate_id), trust_list, deny_list)
                self._gates[gate_id] = device
        if trust_list.version >= device.trust_list.version:
            device.use_trust_list(trust_list)
        device.use_deny_list(deny_list)
        return device

    def _make(
        self, record: trust.GateRecord, trust_list: codes.TrustList, deny_list: gate.DenyList
    ) -> gate.Gate:
        identity = gate.GateIdentity(
            gate_id=record.gate_id,
            operator_id=record.operator_id,
            stop_id=record.stop_id,
            action=record.action,
            product=record.product,
            cell=record.cell,
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(record.gate_id.encode()).hexdigest()[:24]
        return gate.Gate(
            identity,
            trust_list,
            deny_list=deny_list,
            state=gate.FileState(self._folder / f"{name}.sqlite"),
            tokens=self._tokens,
        )
