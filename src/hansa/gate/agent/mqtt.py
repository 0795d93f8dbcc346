"""The link over MQTT 5: taps and telemetry up; receipts, lists and settings down; counters between a station's gates.

One connection by the device's own certificate, made anew with growing pauses when it is lost. The broker tells
everyone by the last will when the device is gone. A session ends with its connection, so that nothing is queued for one
that is away: lists and settings are retained messages, which a device that comes back gets, and what was handed in
counts only when the back office's receipt is there. What comes down is signed and handed on as it came: the agent
checks it. Source: MQTT 5.0 (OASIS), sections 3.1.2.5 (will), 3.1.2.11.2 (session expiry), 3.1.2.11.3 (receive maximum),
3.3.1.3 (retained), 3.4.2.1 (who confirms), 3.8.3.1 (no local), 4.10 (request and answer).
"""

import json
import logging
import secrets
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock
from typing import Any, ClassVar, Protocol, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hansa.gate.agent.clock import steady_s
from hansa.gate.agent.link import BatchRefused, HandedIn, LinkDown, receipt_of
from hansa.gate.agent.topics import DENY_LIST, TRUST_LIST, down, station_topic, up
from hansa.gate.model import Tap
from hansa.kernel import HansaError

logger = logging.getLogger("hansa.gate.mqtt")

NOBODY_LISTENS = 0x10
"""The broker took a message, and there is nobody to give it to."""

BATCH_MAX = 1_000
"""Taps of one message: the back office reads no more, and a broker cuts who sends a message that is too long."""

SEEN_S = 60
"""How long it is of use to hear of a neighbour's counter: a code opens for 50 seconds."""

KEPT_MAX = 100
"""Answers and refusals kept for who asked: there is one question at a time, and it is answered by the newest."""

RECEIVE_MAX = 20
RETRY_MIN_S, RETRY_MAX_S = 1, 60


class MqttConfigRefused(HansaError):
    """The section [mqtt] of the gate's settings cannot be used."""

    code: ClassVar[str] = "gate.mqtt_config_refused"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """Where the broker is and who we are. certificate, key: PEM files; the certificate's name is the device's id."""

    device_id: str
    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path
    stop_id: str | None = None
    keepalive_s: int = 30
    answer_s: float = 10.0

    @staticmethod
    def read(
        section: Mapping[str, Any], *, device_id: str, stop_id: str | None, folder: Path
    ) -> "MqttConfig":
        """The section [mqtt] of a gate's settings; paths begin in the folder. Errors: MqttConfigRefused."""
        wanted = {"host": str, "port": int, "ca_file": str, "certificate_file": str, "key_file": str}
        for name, kind in wanted.items():
            if type(section.get(name)) is not kind:
                raise MqttConfigRefused(
                    f"mqtt.{name} is missing or does not fit. Run `hansa gate enrol` again."
                )
        keepalive_s = section.get("keepalive_s", 30)
        unknown = section.keys() - wanted.keys() - {"keepalive_s"}
        if unknown or type(keepalive_s) is not int or not 5 <= keepalive_s <= 120:
            raise MqttConfigRefused(f"mqtt: {', '.join(sorted(unknown)) or 'keepalive_s'} does not fit.")
        return MqttConfig(
            device_id=device_id,
            host=section["host"],
            port=section["port"],
            ca_file=folder / section["ca_file"],
            certificate_file=folder / section["certificate_file"],
            key_file=folder / section["key_file"],
            stop_id=stop_id,
            keepalive_s=keepalive_s,
        )


class Feed(Protocol):
    """Whom what comes down is handed to, in the link's thread. Each call must be quick and must not raise."""

    def take_trust_list(self, data: bytes) -> None:
        """A signed trust list."""
        ...

    def take_deny_update(self, data: bytes) -> None:
        """A signed update of the deny list."""
        ...

    def take_settings(self, data: bytes) -> None:
        """Signed settings for this device."""
        ...

    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        """A neighbour gate of the station let this counter in."""
        ...


class MqttLink:
    """The device's connection. ``start`` it; it goes on by itself until ``close``."""

    name = "mqtt"

    def __init__(self, config: MqttConfig, feed: Feed, *, firmware: str = "") -> None:
        self._config, self._feed, self._firmware = config, feed, firmware
        self._lock = Lock()
        """Never held while we send: the client tells us of a refusal with a lock held that sending takes too."""
        self._receipts: dict[bytes, bytes] = {}
        """Answers that came, by the batch they are to."""
        self._refused: dict[int, ReasonCode] = {}
        """What the broker did not give to anybody since we last asked: why, by the number of the message."""
        self._state_mid = 0
        self._state_is_told = False
        self._came = Event()
        self._up = Event()
        self._session = secrets.token_hex(8)
        self._client = self._make_client()

    def start(self) -> None:
        """Connect, now or as soon as the broker can be reached."""
        config = self._config
        self._client.connect_async(
            config.host, config.port, config.keepalive_s, clean_start=True, properties=_session()
        )
        self._client.loop_start()

    @property
    def is_up(self) -> bool:
        """Whether the broker has us now."""
        return self._up.is_set()

    @property
    def session(self) -> str:
        """Names this connection in what we say."""
        return self._session

    def wait_up(self, timeout_s: float) -> bool:
        """Wait until connected; gives whether that came about."""
        return self._up.wait(timeout_s)

    def hand_in(self, taps: Sequence[Tap]) -> HandedIn:
        """Hand in taps and wait for the back office's own receipt: the broker's is not enough to let go of a tap.

        Errors: LinkDown without a connection or an answer in time; BatchRefused.
        """
        if len(taps) > BATCH_MAX:
            raise BatchRefused(f"{len(taps):,} taps; by the broker at most {BATCH_MAX:,} at a time.")
        return receipt_of(self._ask("taps", {"taps": [tap.json() for tap in taps]}), len(taps))

    def tell(self, telemetry: Mapping[str, Any]) -> None:
        """Say how the device is; dropped without a connection, as the next one says it anew."""
        if self._up.is_set():
            if not self._state_is_told:
                self._tell_state()
            body = {"session": self._session, "at": _now(), "firmware": self._firmware, **telemetry}
            self._client.publish(up(self._config.device_id, "telemetry"), _text(body), qos=1)

    def tell_refusals(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say how often codes were refused, as ``POST /v1/refusals`` takes it. Errors: LinkDown, BatchRefused."""
        self._ask("refused", {"refusals": list(rows)})

    def tell_refused_codes(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Say which codes were refused, as ``POST /v1/refused-codes`` takes it. Errors: LinkDown, BatchRefused."""
        self._ask("refused", {"codes": list(rows)})

    def tell_seen(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        """Tell the station's other gates of an accepted counter, where there is a station and a connection."""
        if self._config.stop_id is not None and self._up.is_set():
            body = {"rider": rider.hex(), "counter": counter, "expires_s": int(expires_at.timestamp())}
            about = Properties(PacketTypes.PUBLISH)
            about.MessageExpiryInterval = SEEN_S
            self._client.publish(station_topic(self._config.stop_id), _text(body), qos=1, properties=about)

    def close(self) -> None:
        """Say that we go, and go."""
        if self._up.is_set():
            told = self._client.publish(self._state_topic, self._state(online=False), qos=1, retain=True)
            with suppress(ValueError, RuntimeError):
                told.wait_for_publish(2)
        self._client.disconnect()
        self._client.loop_stop()
        self._up.clear()

    def break_off(self) -> None:
        """Lose the connection as a cut cable does, without a goodbye, until ``start``: for drills."""
        self._client.loop_stop()
        socket = self._client.socket()
        if socket is not None:
            socket.close()
        self._end_session(self._client)

    @property
    def _state_topic(self) -> str:
        return up(self._config.device_id, "state")

    def _make_client(self) -> paho.Client:
        config = self._config
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=config.device_id, protocol=paho.MQTTv5, manual_ack=False
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(config.ca_file)
        context.load_cert_chain(config.certificate_file, config.key_file)
        client.tls_set_context(context)
        self._tls = context
        client.reconnect_delay_set(RETRY_MIN_S, RETRY_MAX_S)
        client.max_queued_messages_set(1_000)
        client.will_set(self._state_topic, self._state(online=False), qos=1, retain=True)
        client.on_pre_connect = self._before_connecting
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_message = self._message
        return client

    def _before_connecting(self, _client: paho.Client, _userdata: object) -> None:
        """A certificate that was renewed meanwhile is used from the next connection on."""
        try:
            self._tls.load_cert_chain(self._config.certificate_file, self._config.key_file)
        except OSError as error:
            logger.warning("The certificate cannot be read, so the one before is used: %s", error)

    def _connected(
        self, client: paho.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:
            logger.warning("The broker refuses %s: %s", self._config.device_id, reason)
            return
        wanted = [
            (down(self._config.device_id, "acks"), SubscribeOptions(qos=1)),
            (TRUST_LIST, SubscribeOptions(qos=0)),
            (DENY_LIST, SubscribeOptions(qos=0)),
            (down(self._config.device_id, "settings"), SubscribeOptions(qos=0)),
        ]
        if self._config.stop_id is not None:
            wanted.append((station_topic(self._config.stop_id), SubscribeOptions(qos=0, noLocal=True)))
        client.subscribe(wanted)
        self._tell_state()
        self._up.set()

    def _tell_state(self) -> None:
        told = self._client.publish(self._state_topic, self._state(online=True), qos=1, retain=True)
        with self._lock:  # the broker may have refused it by now
            refused = self._refused.get(told.mid)
            self._state_mid, self._state_is_told = told.mid, refused is None or not refused.is_failure

    def _published(
        self, _client: paho.Client, _userdata: object, mid: int, reason: ReasonCode, _properties: object
    ) -> None:
        """The broker says what it does with a message: it may refuse it, or know nobody to give it to."""
        if not reason.is_failure and reason.value != NOBODY_LISTENS:
            return
        with self._lock:
            if len(self._refused) >= KEPT_MAX:
                del self._refused[next(iter(self._refused))]
            self._refused[mid] = reason
            if mid == self._state_mid and reason.is_failure:
                self._state_is_told = False
            self._came.set()

    def _disconnected(
        self, client: paho.Client, _userdata: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._end_session(client)
        logger.info("The broker is away: %s", reason)

    def _end_session(self, client: paho.Client) -> None:
        """The next connection has another name, so that the last will of this one says nothing of it."""
        self._up.clear()
        self._session = secrets.token_hex(8)
        client.will_set(self._state_topic, self._state(online=False), qos=1, retain=True)

    def _message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        topic, data = message.topic, bytes(message.payload)
        if topic == TRUST_LIST:
            self._feed.take_trust_list(data)
        elif topic == DENY_LIST:
            self._feed.take_deny_update(data)
        elif topic == down(self._config.device_id, "settings"):
            self._feed.take_settings(data)
        elif topic == down(self._config.device_id, "acks"):
            batch = getattr(message.properties, "CorrelationData", None)
            with self._lock:
                if isinstance(batch, bytes) and len(self._receipts) < KEPT_MAX:
                    self._receipts[batch] = data
                self._came.set()
        elif self._config.stop_id is not None and topic == station_topic(self._config.stop_id):
            self._heard(data)

    def _heard(self, data: bytes) -> None:
        try:
            told = json.loads(data)
            rider, counter, expires_s = bytes.fromhex(told["rider"]), told["counter"], told["expires_s"]
            if not 12 <= len(rider) <= 13 or type(counter) is not int or not 0 < counter < 2**32:
                raise ValueError
            expires_at = datetime.fromtimestamp(int(expires_s), UTC)
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            logger.warning("A neighbour gate says what cannot be read.")
            return
        self._feed.hear(rider, counter, expires_at)

    def _ask(self, what: str, body: Mapping[str, Any]) -> bytes:
        """Send, and wait for the back office's answer. Errors: LinkDown, BatchRefused."""
        if not self._up.is_set():
            raise LinkDown("There is no connection to the broker.")
        batch = secrets.token_bytes(8)
        about = Properties(PacketTypes.PUBLISH)
        about.CorrelationData = batch
        about.MessageExpiryInterval = max(1, int(self._config.answer_s * 6))
        with self._lock:
            self._refused.clear()
        told = self._client.publish(up(self._config.device_id, what), _text(body), qos=1, properties=about)
        return self._answered(batch, told.mid)

    def _answered(self, batch: bytes, mid: int) -> bytes:
        answer = self._receipt(batch, mid)
        with suppress(ValueError):
            told = json.loads(answer)
            if isinstance(told, dict) and "error" in told:
                fault = str(cast(dict[str, object], told)["error"])[:300]
                wait_s = cast(dict[str, object], told).get("retry_after_s")
                if isinstance(wait_s, int | float):
                    raise LinkDown(fault, retry_after_s=float(wait_s))
                raise BatchRefused(fault)
        return answer

    def _receipt(self, batch: bytes, mid: int) -> bytes:
        deadline = steady_s() + self._config.answer_s
        while True:
            with self._lock:
                self._came.clear()
                answer = self._receipts.pop(batch, None)
                if answer is not None:
                    self._receipts.clear()
                    return answer
                refused = self._refused.get(mid)
                if refused is not None:
                    raise LinkDown(f"The broker says: {refused}", retry_after_s=5)
            left_s = deadline - steady_s()
            if left_s <= 0 or not self._came.wait(left_s):
                raise LinkDown("The back office did not answer by the broker in time.")

    def _state(self, *, online: bool) -> bytes:
        return _text({"online": online, "session": self._session, "firmware": self._firmware})


def _session() -> Properties:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0
    properties.ReceiveMaximum = RECEIVE_MAX
    return properties


def _text(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
