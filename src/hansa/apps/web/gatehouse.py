"""The gates this application stands in for: one gate program for each gate screen in use."""

import hashlib
from collections import Counter, deque
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from threading import Lock

from hansa import codes, gate, rides, trust
from hansa.apps.web.demo_rates import keep_rates
from hansa.kernel import HansaError
from hansa.store import Context, Tx

HAND_IN_MAX = 1000
RATE_MAX = 200
REFUSED_MAX = 10_000
"""Refused codes kept until they are told of; beyond that the oldest are let go, and stand in the counts alone."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gate said to a code, and when by its own clock."""

    decision: gate.Decision
    gate_time: datetime


class GateHouse:
    """Gate programs by gate id, made when a screen first needs one.

    folder: where each keeps its state, so that neither a restart nor a crash loses a tap or lets a code in twice.
    demo: days without exchange rates get the demonstration's.
    """

    def __init__(self, folder: Path, *, demo: bool) -> None:
        self._folder = folder
        self._demo = demo
        self._gates: dict[str, gate.Gate] = {}
        self._tokens = codes.TokenCache()
        self._refused: Counter[tuple[str, datetime, str]] = Counter()
        self._refused_codes: deque[rides.RefusedCode] = deque(maxlen=REFUSED_MAX)
        self._days_with_rates: set[date] = set()
        self._lock = Lock()
        self._handing_in = Lock()

    def read(self, ctx: Context, gate_id: str, text: str) -> Reading:
        """Show this text to the gate's scanner. Errors: trust.UnknownGate, gate.StateFailed."""
        now = ctx.clock.now()
        with ctx.tx() as tx:
            device = self._device(tx, gate_id)
        decision = device.decide(text.strip(), now)
        if not decision.accepted:
            with self._lock:
                self._refused[gate_id, now.replace(second=0, microsecond=0), decision.reason] += 1
                if decision.shown is not None:
                    self._refused_codes.append(_refused_code(gate_id, now, decision.reason, decision.shown))
        return Reading(decision, now)

    def hand_in(self, ctx: Context, gate_id: str) -> rides.TapReceipt:
        """Hand in what the gate holds, price it and charge it.

        Safe to run again and after a kill: taps, fares and charges are each recognised by their id. A tap the back
        office refuses is told in the receipt; sending it again would not change that, so the gate lets it go.
        """
        with self._handing_in:
            return self._hand_in(ctx, gate_id)

    def _hand_in(self, ctx: Context, gate_id: str) -> rides.TapReceipt:
        self._tell_refusals(ctx)
        device = self._gates.get(gate_id)
        recorded = duplicates = 0
        ended = False
        refused: list[rides.RefusedTap] = []
        while device is not None and (taps := device.pending(HAND_IN_MAX)):
            receipt = rides.record_taps(ctx, gate_id, [rides.Tap.from_gate(tap) for tap in taps])
            device.acknowledge(taps[-1].sequence)
            ended = ended or any(tap.action != "entry" for tap in taps)
            recorded += receipt.recorded
            duplicates += receipt.duplicates
            refused += receipt.refused
        # Somebody who has just gone in is still under way: priced now, they would pay for a missing tap out.
        if ended:
            today = ctx.clock.now().date()
            if self._demo and today not in self._days_with_rates:
                keep_rates(ctx, today)
                self._days_with_rates.add(today)
            rides.rate(ctx, limit=RATE_MAX)
            rides.post_charges(ctx, limit=RATE_MAX)
        return rides.TapReceipt(recorded, duplicates, tuple(refused))

    def _tell_refusals(self, ctx: Context) -> None:
        """Counts are told whole, minute by minute, so telling one again is harmless; minutes gone by are let go."""
        self._tell_refused_codes(ctx)
        with self._lock:
            counted = [rides.Refusals(*key, count) for key, count in self._refused.items()]
        if not counted:
            return
        with ctx.tx() as tx:
            rides.record_refusals(tx, counted)
        this_minute = ctx.clock.now().replace(second=0, microsecond=0)
        with self._lock:
            for told in counted:
                key = (told.gate_id, told.minute, told.reason)
                if told.minute < this_minute and self._refused[key] == told.count:
                    del self._refused[key]

    def _tell_refused_codes(self, ctx: Context) -> None:
        """What somebody's codes said that were refused: the rules of risk look at these."""
        with self._lock:
            told = [self._refused_codes.popleft() for _ in range(min(len(self._refused_codes), HAND_IN_MAX))]
        if not told:
            return
        try:
            rides.record_refused_codes(ctx, None, told)
        except HansaError:
            with self._lock:
                self._refused_codes.extendleft(reversed(told))
            raise

    def _device(self, tx: Tx, gate_id: str) -> gate.Gate:
        trust_list = trust.current_trust_list(tx)
        deny_list = gate.DenyList(*trust.current_deny_list(tx))
        with self._lock:
            device = self._gates.get(gate_id)
            if device is None:
                device = self._make(tx, trust.get_gate(tx, gate_id), trust_list, deny_list)
                self._gates[gate_id] = device
        if trust_list.version >= device.trust_list.version:
            device.use_trust_list(trust_list)
        device.use_deny_list(deny_list)
        return device

    def _make(
        self, tx: Tx, record: trust.GateRecord, trust_list: codes.TrustList, deny_list: gate.DenyList
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
        state = _GoingOn(self._folder / f"{name}.sqlite", rides.find_last_tap(tx, record.gate_id))
        return gate.Gate(identity, trust_list, deny_list=deny_list, state=state, tokens=self._tokens)


def _refused_code(gate_id: str, at: datetime, reason: str, shown: codes.VerifiedCode) -> rides.RefusedCode:
    return rides.RefusedCode(
        gate_id, at, reason, shown.kid, shown.cti, shown.companion, shown.counter, shown.made_at
    )


class _GoingOn(gate.FileState):
    """The state of a device that takes another's place: it goes on from the last tap the back office has."""

    def __init__(self, path: Path, last_tap: tuple[int, bytes] | None) -> None:
        super().__init__(path)
        self._last_tap = last_tap

    def load(self, gate_id: str):
        memory = super().load(gate_id)
        if self._last_tap is not None and memory.sequence < self._last_tap[0]:
            memory.sequence, memory.chain = self._last_tap
        return memory
