"""The desk: the back office's end of the broker. Takes what devices say, answers, tells them lists and settings.

Several desks may work side by side: each hears every device's state, and the broker shares taps and telemetry out among
them. A message is acknowledged to the broker when its work has been committed, and no sooner, so that a desk is given
only what it can carry. A desk's session ends with its connection: what a dead one had in hand is sent again by the
devices, which let go of nothing without a receipt. Whatever is done twice by this is harmless.
"""

import logging
import queue
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread

import msgspec
import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hansa import rides, trust
from hansa.apps.devices.broker import MESSAGE_MAX, Access, BrokerFolder, ClientFiles
from hansa.apps.devices.chains import BrokenGates
from hansa.apps.devices.cutting import take_place
from hansa.apps.devices.messages import (
    Refused,
    Unreadable,
    read_refused,
    read_state,
    read_taps,
    read_telemetry,
    receipt,
)
from hansa.codes import Settings, sign_settings
from hansa.gate import Tap
from hansa.gate.agent.topics import DENY_LIST, TRUST_LIST, device_of, down
from hansa.kernel import InvalidInput
from hansa.store import Context, StoreBusy, StoreFull, StoreUnavailable

logger = logging.getLogger("hansa.desk")

IN_HAND_MAX = 200
"""Messages that the broker gives a desk before it has dealt with them: what holds a flood back."""

HEARTBEAT = timedelta(seconds=60)
LISTS_EVERY = timedelta(seconds=1)
SETTINGS_EVERY = timedelta(seconds=1)
SETTINGS_AGAIN = timedelta(minutes=10)
"""What a device does not follow is told anew so often; it has it already, as the message is retained."""
LIST_S = 900
"""A list's update is of no use to a device that gets it later: it must fetch the list."""
ACCESS_EVERY = timedelta(seconds=2)
ALERTS_EVERY = timedelta(seconds=15)
FORGET_EVERY = timedelta(hours=1)
CUT_EVERY = timedelta(seconds=2)
CUT_TIMES = 3
"""A device that is shut out is cut so often, as it may have come back before the broker had read of it."""
CUT_AT_ONCE = 50

FAILED = msgspec.json.encode({"error": "devices.failed", "retry_after_s": 30})
"""The answer to what we could not deal with: the device keeps it, and sends it again or by HTTP."""

AWAY_FOR_NOW = (StoreUnavailable, StoreBusy, StoreFull)


@dataclass(frozen=True, slots=True)
class Said:
    """A message in hand. connection: which of ours it came by; acknowledged on that one only."""

    device_id: str
    what: str
    data: bytes
    batch: bytes | None
    mid: int
    connection: int


class Desk:
    """Works in two threads between ``start`` and ``stop``: one for the network, one for the work."""

    def __init__(
        self,
        ctx: Context,
        *,
        host: str,
        port: int,
        files: ClientFiles,
        list_key: Ed25519PrivateKey,
        broker: BrokerFolder | None = None,
        ca: trust.DeviceCa | None = None,
    ) -> None:
        """broker, ca: given where the broker's folder is on this machine; the desk then keeps its access list."""
        self._ctx, self._host, self._port, self._files = ctx, host, port, files
        self._list_key, self._broker, self._ca = list_key, broker, ca
        self._inbox: queue.SimpleQueue[Said] = queue.SimpleQueue()
        self._stopped, self._up = Event(), Event()
        self._connection = 0
        self._due: dict[str, datetime] = {}
        self._deny_version: int | None = None
        self._trust_body = b""
        self._told_settings: dict[str, tuple[int, datetime]] = {}
        self._members = frozenset[str]() if broker is None else broker.members()
        self._chains = BrokenGates()
        self._to_cut: dict[str, int] = {}
        self._shut_out: frozenset[str] = frozenset()
        self._said_no_key = False
        self._client = self._make_client()
        self._thread = Thread(target=self._run, name="hansa-desk", daemon=True)
        self.taps = 0
        """Taps dealt with since the start."""
        self.messages = 0

    def __enter__(self) -> "Desk":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Connect, now or as soon as the broker can be reached, and work."""
        self._keep_access(self._ctx.clock.now())
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = IN_HAND_MAX
        self._client.connect_async(self._host, self._port, 20, clean_start=True, properties=properties)
        self._client.loop_start()
        self._thread.start()

    def wait_up(self, timeout_s: float) -> bool:
        """Wait until the broker has us, and gives us what devices say."""
        return self._up.wait(timeout_s)

    def stop(self) -> None:
        """Finish what is being worked on, and go; the broker keeps the rest."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def keep_access_now(self) -> None:
        """Bring the broker's access list up to date without waiting for the next look around."""
        self._due.pop("access", None)

    # -- the network's thread -------------------------------------------------------------------------------

    def _make_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._files.name,
            protocol=paho.MQTTv5,
            manual_ack=True,
        )
        client.tls_set_context(self._files.tls())
        client.reconnect_delay_set(1, 15)
        client.max_inflight_messages_set(IN_HAND_MAX)
        client.on_connect = self._connected
        client.on_subscribe = self._listening
        client.on_disconnect = self._disconnected
        client.on_message = self._message
        return client

    def _connected(
        self, client: paho.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            logger.warning("The broker refuses the desk: %s", reason)
            return
        self._connection += 1
        self._told_settings.clear()
        self._deny_version, self._trust_body = None, b""
        once = SubscribeOptions(qos=1)
        client.subscribe(
            [("hansa/up/+/state", once)]
            + [(f"$share/desks/hansa/up/+/{what}", once) for what in ("taps", "telemetry", "refused")]
        )

    def _listening(
        self,
        _client: paho.Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        """The broker gives us what devices say from here on."""
        if any(reason.is_failure for reason in reasons):
            logger.warning("The broker does not let the desk listen: %s", reasons)
            return
        self._up.set()

    def _disconnected(
        self, _client: paho.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._up.clear()
        logger.info("The broker is away: %s", reason)

    def _message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        device_id, what = device_of(message.topic)
        batch = getattr(message.properties, "CorrelationData", None)
        self._inbox.put(Said(device_id, what, bytes(message.payload), batch, message.mid, self._connection))

    # -- the work's thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        in_hand: list[Said] = []
        while not self._stopped.is_set():
            if not in_hand:
                in_hand = self._take()
            try:
                if in_hand:
                    self._deal_with(in_hand)
                    in_hand = []
                self._look_around(self._ctx.clock.now())
            except AWAY_FOR_NOW as error:
                logger.warning("%s: %s", error.code, error.detail)
                self._stopped.wait(1)
            except (
                Exception
            ):  # one fault of ours must not end the desk; the messages are tried once more below
                logger.exception("The desk could not deal with %s messages.", len(in_hand))
                in_hand = self._one_by_one(in_hand)
                self._stopped.wait(1)

    def _take(self) -> list[Said]:
        """What has come by now; waits a little for the first."""
        taken: list[Said] = []
        with suppress(queue.Empty):
            taken.append(self._inbox.get(timeout=0.2))
            while len(taken) < IN_HAND_MAX:
                taken.append(self._inbox.get_nowait())
        return taken

    def _one_by_one(self, messages: Sequence[Said]) -> list[Said]:
        """Deal with each alone, let go of what cannot be dealt with, and give what is still to be done."""
        for index, said in enumerate(messages):
            try:
                self._deal_with([said])
            except AWAY_FOR_NOW:
                return list(messages[index:])
            except Exception:  # logged, answered and let go: it would stop all that comes after it
                logger.exception("What %s said as %s is let go.", said.device_id, said.what)
                self._answer(said, FAILED)
                self._acknowledge(said)
        return []

    def _deal_with(self, messages: Sequence[Said]) -> None:
        """Keep what was said, answer, and only then tell the broker that it is done."""
        now = self._ctx.clock.now()
        reports: list[trust.StateReport] = []
        told: list[trust.Telemetry] = []
        refused: list[tuple[Said, Refused]] = []
        batches: list[tuple[Said, list[Tap]]] = []
        for said in messages:
            try:
                if said.what == "state" and said.data:
                    reports.append(read_state(said.device_id, said.data))
                elif said.what == "telemetry":
                    told.append(read_telemetry(said.device_id, said.data, now))
                elif said.what == "refused":
                    refused.append((said, read_refused(said.data)))
                elif said.what == "taps":
                    batches.append((said, read_taps(said.data)))
            except Unreadable as error:
                logger.warning("%s says %s that cannot be read: %s", said.device_id, said.what, error)
                self._answer(said, msgspec.json.encode({"error": f"devices.unreadable: {error}"}))
        self._keep_telemetry(reports, told, now)
        self._keep_refused(refused)
        for part in _parts(batches):
            self._keep_taps(part)
        for said in messages:
            self._acknowledge(said)
        self.messages += len(messages)

    def _keep_telemetry(
        self,
        reports: Sequence[trust.StateReport],
        told: Sequence[trust.Telemetry],
        now: datetime,
    ) -> None:
        if not reports and not told:
            return
        with self._ctx.tx() as tx:
            if reports:
                trust.record_states(tx, reports, now)
            if told:
                trust.record_telemetry(tx, told, now)

    def _keep_refused(self, refused: Sequence[tuple[Said, Refused]]) -> None:
        """Each device tells of its own gate and of no other; a message is kept whole or not at all."""
        if not refused:
            return
        with self._ctx.tx() as tx:
            devices = trust.find_devices(tx, {said.device_id for said, _ in refused})
        own: list[tuple[Said, Refused]] = []
        for said, told in refused:
            device = devices.get(said.device_id)
            if device is None or device.status != "active" or told.gates - {device.gate_id}:
                self._answer(said, msgspec.json.encode({"error": "devices.wrong_gate"}))
            else:
                own.append((said, told))
        with self._ctx.tx() as tx:
            rides.record_refusals(tx, [row for _, told in own for row in told.counts])
        for said, told in own:
            answer: dict[str, object] = {"taken": len(told.counts)}
            if told.codes:
                try:
                    got = rides.record_refused_codes(self._ctx, devices[said.device_id].gate_id, told.codes)
                    answer |= {"recorded": got.recorded, "duplicates": got.duplicates}
                except InvalidInput as error:
                    answer = {"error": f"{error.code}: {error.detail}"}
            self._answer(said, msgspec.json.encode(answer))

    def _keep_taps(self, batches: Sequence[tuple[Said, list[Tap]]]) -> None:
        """Several devices' batches in one commit; each device hands in for its own gate and for no other."""
        with self._ctx.tx() as tx:
            devices = trust.find_devices(tx, {said.device_id for said, _ in batches})
        taps: list[Tap] = []
        places: list[tuple[int, int]] = []
        refused: list[list[tuple[int, str, str]]] = [[] for _ in batches]
        for number, (said, batch) in enumerate(batches):
            device = devices.get(said.device_id)
            for index, tap in enumerate(batch):
                if device is None or device.status != "active" or tap.gate_id != device.gate_id:
                    detail = f"{said.device_id} does not speak for gate {tap.gate_id!r}."
                    refused[number].append((index, "devices.wrong_gate", detail))
                    continue
                taps.append(tap)
                places.append((number, index))
        duplicates = [0] * len(batches)
        if taps:
            got = rides.record_taps(self._ctx, None, taps)
            for one in got.refused:
                number, index = places[one.index]
                refused[number].append((index, one.code, one.detail))
            if got.duplicates:
                duplicates = self._share(got.duplicates, batches, refused)
        for number, (said, batch) in enumerate(batches):
            recorded = len(batch) - len(refused[number]) - duplicates[number]
            self._answer(said, receipt(recorded, duplicates[number], sorted(refused[number])))
        self.taps += sum(len(batch) for _, batch in batches)

    def _share(
        self,
        duplicates: int,
        batches: Sequence[tuple[Said, list[Tap]]],
        refused: Sequence[Sequence[object]],
    ) -> list[int]:
        """How the repeats are told to several devices: the sum is right, and each device's receipt adds up.

        Which batch a repeat was in is not told by the books and changes nothing for a gate: either way it is kept.
        """
        shares: list[int] = []
        for (_, batch), rows in zip(batches, refused, strict=True):
            share = min(duplicates, len(batch) - len(rows))
            shares.append(share)
            duplicates -= share
        return shares

    def _answer(self, said: Said, body: bytes) -> None:
        if said.batch is None:
            return
        about = Properties(PacketTypes.PUBLISH)
        about.CorrelationData = said.batch
        about.MessageExpiryInterval = 120
        self._client.publish(down(said.device_id, "acks"), body, qos=1, properties=about)

    def _acknowledge(self, said: Said) -> None:
        if said.connection == self._connection:
            self._client.ack(said.mid, 1)

    # -- what is told and kept --------------------------------------------------------------------------------

    def _look_around(self, now: datetime) -> None:
        if self._is_due("access", ACCESS_EVERY, now):
            self._keep_access(now)
        if self._to_cut and self._is_due("cut", CUT_EVERY, now):
            self._cut(now)
        if self._up.is_set():
            if self._is_due("lists", LISTS_EVERY, now):
                self._tell_lists(now)
            if self._is_due("settings", SETTINGS_EVERY, now):
                self._tell_settings(now)
        if self._is_due("alerts", ALERTS_EVERY, now):
            with self._ctx.tx() as tx:
                broken = self._chains.at(tx, now)
                opened, closed = trust.check_devices(tx, now, broken_gates=broken)
            for one in opened:
                logger.warning("%s: %s %s", one.device_id, one.rule, one.facts)
            for one in closed:
                logger.info("%s: %s is over", one.device_id, one.rule)
        if self._is_due("forget", FORGET_EVERY, now):
            with self._ctx.tx() as tx:
                trust.forget_telemetry(tx, now)

    def _is_due(self, what: str, every: timedelta, now: datetime) -> bool:
        if now < self._due.get(what, now):
            return False
        self._due[what] = now + every
        return True

    def _keep_access(self, now: datetime) -> None:
        if self._broker is None or self._ca is None:
            return
        with self._ctx.tx() as tx:
            access = Access.read(tx, now, self._members)
        lost = self._broker.write_access(self._ca, access, now)
        if lost is not None:
            self._broker.reload()
            self._shut_out = frozenset(access.shut_out)
            self._to_cut |= dict.fromkeys(lost, CUT_TIMES)
            self._due["cut"] = now + CUT_EVERY  # by then the broker has read its files

    def _cut(self, now: datetime) -> None:
        """End the connections of devices that lost a certificate: the broker asks for one only at the beginning."""
        assert self._broker is not None, "only who keeps the access list knows whom to cut"
        assert self._ca is not None, "only who keeps the access list knows whom to cut"
        for device_id in list(self._to_cut)[:CUT_AT_ONCE]:
            left = self._to_cut.pop(device_id) - 1
            if left and device_id in self._shut_out:
                self._to_cut[device_id] = left  # at the end: others first
            try:
                take_place(self._broker, self._ca, self._host, self._port, device_id, now)
            except OSError as error:
                logger.warning("The connection of %s could not be ended: %s", device_id, error)
                self._to_cut[device_id] = max(left, 1)
                return

    def _tell_lists(self, now: datetime) -> None:
        """The trust list when it is another; the deny list's change at once, and once a minute that it is fresh."""
        with self._ctx.tx() as tx:
            try:
                body = trust.signed_trust_list(tx)
            except trust.NoTrustList:
                body = b""
            version, _ = trust.deny_list_since(tx, 2**62, at=now)
            update = b""
            fresh = self._is_due("heartbeat", HEARTBEAT, now)
            if version != self._deny_version or fresh:
                since = version if self._deny_version is None else self._deny_version
                try:
                    update = trust.signed_deny_update(tx, self._list_key, since=since, at=now)
                except trust.NoListKey as error:
                    if not self._said_no_key:
                        logger.warning("%s: %s", error.code, error.detail)
                    self._said_no_key = True
        if body and body != self._trust_body:
            self._client.publish(TRUST_LIST, body, qos=1, retain=True)
            self._trust_body = body
        if update and len(update) < MESSAGE_MAX:
            about = Properties(PacketTypes.PUBLISH)
            about.MessageExpiryInterval = LIST_S
            self._client.publish(DENY_LIST, update, qos=1, retain=True, properties=about)
        if update:
            self._deny_version, self._said_no_key = version, False

    def _tell_settings(self, now: datetime) -> None:
        """Settings that a device does not say it follows."""
        with self._ctx.tx() as tx:
            behind = trust.settings_behind(tx)
        wanted = {one.device_id for one in behind}
        self._told_settings = {key: told for key, told in self._told_settings.items() if key in wanted}
        for one in behind:
            version, at = self._told_settings.get(one.device_id, (0, now))
            if version == one.version and now - at < SETTINGS_AGAIN:
                continue
            body = sign_settings(
                Settings(
                    device_id=one.device_id, version=one.version, issued_at=one.made_at, values=one.values
                ),
                self._list_key,
            )
            self._client.publish(down(one.device_id, "settings"), body, qos=1, retain=True)
            self._told_settings[one.device_id] = one.version, now


def _parts(
    batches: Sequence[tuple[Said, list[Tap]]],
) -> list[list[tuple[Said, list[Tap]]]]:
    """The batches in groups that fit into one call of the books."""
    parts: list[list[tuple[Said, list[Tap]]]] = []
    room = 0
    for one in batches:
        if not parts or len(one[1]) > room:
            parts.append([])
            room = rides.TAPS_MAX
        parts[-1].append(one)
        room -= len(one[1])
    return parts


def desk_of(
    ctx: Context, broker: BrokerFolder, ca: trust.DeviceCa, keys: trust.KeyFolder, *, name: str = "main"
) -> Desk:
    """A desk of this name for the broker in this folder. Two desks at once need two names. Errors: trust.NoBroker."""
    address = broker.address()
    return Desk(
        ctx,
        host=address.host,
        port=address.port,
        files=broker.desk_files(ca, name, ctx.clock.now()),
        list_key=keys.lists(),
        broker=broker,
        ca=ca,
    )
