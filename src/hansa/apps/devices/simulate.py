"""Boxes made up for a show and for drills: they enrol, connect, drift, lose their network and come back.

They use the gate's own link, so that what they show of the broker and the desk is true. They let nobody in.
"""

import logging
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hansa import trust
from hansa.codes import (
    DenyListRefused,
    SettingsRefused,
    TrustListRefused,
    read_deny_update,
    read_settings,
    read_trust_list,
)
from hansa.gate.agent.enrol import device_file, make_key, request_by, write_whole
from hansa.gate.agent.mqtt import MqttConfig, MqttLink
from hansa.kernel import InvalidInput, Problem
from hansa.store import Context

logger = logging.getLogger("hansa.simulate")

FIRMWARE = ("2.3.1", "2.3.1", "2.3.1", "2.4.0", "1.9.7")
REASONS = ("replay", "token_expired", "clock_skew", "revoked", "product_not_allowed")
FLAP, BACK = 0.02, 0.25
"""How likely a box loses its network in a round, and how likely one without gets it back."""


@dataclass
class Habits:
    """What a box is like. drift_ms: how much its clock gains or loses in a round."""

    firmware: str
    offset_ms: float
    drift_ms: float
    rides: int
    battery_pct: int | None
    storage_free_pct: int


class MadeUpBox:
    """One box. It believes only what is signed, as a gate does."""

    def __init__(
        self,
        config: MqttConfig,
        root: Ed25519PublicKey,
        lists: Ed25519PublicKey,
        dice: random.Random,
        started_at: datetime,
    ) -> None:
        self.link = MqttLink(config, self, firmware=(firmware := dice.choice(FIRMWARE)))
        self.is_away = False
        self.device_id = config.device_id
        self._root, self._lists = root, lists
        self._dice, self._started_at = dice, started_at
        self._habits = Habits(
            firmware,
            dice.gauss(0, 150),
            dice.choice([0.0, 0.0, 0.0, 0.2, -0.3, 25.0]),
            dice.randrange(1, 12),
            dice.randrange(30, 100) if dice.random() < 0.3 else None,
            dice.randrange(5, 95),
        )
        self._versions: dict[str, int | None] = {"trust_list": None, "deny_list": None, "settings": None}
        self._deny_list_at: datetime | None = None
        self._tally: dict[str, int] = {}
        self._sequence = 0
        self._pending = 0
        self._last_tap_at: datetime | None = None

    def take_trust_list(self, data: bytes) -> None:
        """Use it if the root signed it."""
        try:
            self._versions["trust_list"] = read_trust_list(data, self._root).version
        except TrustListRefused as error:
            logger.warning("%s: %s", self.device_id, error.detail)

    def take_deny_update(self, data: bytes) -> None:
        """Use it if the list key signed it; a box of this kind holds no list, so that a gap does not matter."""
        try:
            update = read_deny_update(data, self._lists)
        except DenyListRefused as error:
            logger.warning("%s: %s", self.device_id, error.detail)
            return
        self._versions["deny_list"], self._deny_list_at = update.version, update.issued_at

    def take_settings(self, data: bytes) -> None:
        """Follow them if the list key signed them for this box and they are newer."""
        try:
            settings = read_settings(
                data, self._lists, device_id=self.device_id, newer_than=self._versions["settings"]
            )
        except SettingsRefused as error:
            logger.info("%s: %s", self.device_id, error.detail)
            return
        self._versions["settings"] = settings.version

    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        """It lets nobody in, so that nobody's counter matters to it."""

    def round(self, now: datetime) -> None:
        """Some riders pass, the clock drifts, the network comes and goes, and the box says how it is."""
        habits, dice = self._habits, self._dice
        habits.offset_ms += habits.drift_ms
        passed = dice.randrange(habits.rides)
        self._sequence += passed
        if passed:
            self._last_tap_at = now
            self._tally["ok"] = self._tally.get("ok", 0) + passed
        if dice.random() < 0.15:
            reason = dice.choice(REASONS)
            self._tally[reason] = self._tally.get(reason, 0) + 1
        if self.is_away:
            self._pending += passed
            if dice.random() < BACK:
                self.is_away = False
                self.link.start()
            return
        if dice.random() < FLAP:
            self.is_away = True
            self.link.break_off()
            return
        self._pending = 0
        self.link.tell(self.telemetry(now))

    def telemetry(self, now: datetime) -> dict[str, object]:
        """What it says of itself."""
        return {
            "clock_offset_ms": round(self._habits.offset_ms),
            **self._versions,
            "deny_list_at": None if self._deny_list_at is None else self._deny_list_at.isoformat(),
            "sequence": self._sequence,
            "last_tap_at": None if self._last_tap_at is None else self._last_tap_at.isoformat(),
            "pending": self._pending,
            "uptime_s": int((now - self._started_at).total_seconds()),
            "tally": self._tally,
            "storage_free_pct": self._habits.storage_free_pct,
            "battery_pct": self._habits.battery_pct,
            "temperature_c": 18 + self._sequence % 25,
        }


def make_boxes(
    ctx: Context, registrar: trust.Registrar, lists: Ed25519PublicKey, folder: Path, count: int, *, seed: int
) -> list[MadeUpBox]:
    """Register and enrol boxes for so many gates that have none, and give them; those of an earlier run are kept.

    lists: the league's list key. folder: where the boxes keep their keys.
    Errors: InvalidInput when there are not so many gates.
    """
    dice = random.Random(seed)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        gates = trust.list_gates(tx)
        taken = {gate_id for _, gate_id, _, _ in trust.active_device_gates(tx)}
    kept = {path.stem.removeprefix(SIMULATED): path for path in folder.glob(f"{SIMULATED}*.pem")}
    ours = [gate for gate in gates if gate.gate_id in kept or gate.gate_id not in taken]
    if len(ours) < count:
        problem = Problem("count", f"{len(ours)} gates have no box", f"Ask for at most {len(ours)}")
        raise InvalidInput("There are not so many gates.", problems=(problem,))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(folder / "broker-ca.pem", registrar.ca.certificate_pem)
    root = Ed25519PublicKey.from_public_bytes(registrar.root_public)
    boxes: list[MadeUpBox] = []
    for gate in dice.sample(ours, count):
        device_id = f"{SIMULATED}{gate.gate_id}"
        path = folder / f"{device_id}.pem"
        if gate.gate_id not in kept:
            _enrol(ctx, registrar, device_id, gate, path)
        config = MqttConfig(
            device_id=device_id,
            host=registrar.broker.host,
            port=registrar.broker.port,
            ca_file=folder / "broker-ca.pem",
            certificate_file=path,
            key_file=path,
            stop_id=gate.stop_id,
        )
        boxes.append(MadeUpBox(config, root, lists, random.Random(dice.random()), now))
    return boxes


SIMULATED = "sim-"
"""How the names of made-up boxes begin."""


def run(ctx: Context, boxes: list[MadeUpBox], stop: Event, *, every: timedelta) -> None:
    """Let the boxes live until told to stop: each has its round once in every so long, one after the other."""
    for box in boxes:
        box.link.start()
    try:
        while not stop.is_set():
            for box in boxes:
                box.round(ctx.clock.now())
                if stop.wait(every.total_seconds() / len(boxes)):
                    return
    finally:
        for box in boxes:
            if not box.is_away:
                box.link.close()


def _enrol(
    ctx: Context, registrar: trust.Registrar, device_id: str, gate: trust.GateRecord, path: Path
) -> None:
    key, now = make_key(), ctx.clock.now()
    new = trust.NewDevice(device_id, "gate", gate.operator_id, gate.gate_id, roles=("simulated",))
    with ctx.tx() as tx:
        trust.add_devices(tx, [new], now)
        code = trust.invite_device(tx, device_id, now)
        got = trust.enrol_device(tx, registrar, code=code, csr=request_by(key), at=now)
    write_whole(path, device_file(key, got.certificate))
