"""What tests of devices share: a real broker with a league behind it, and boxes that enrol with it."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import uvicorn
from litestar.types import ASGIApp
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hansa import trust
from hansa.apps.devices.broker import Access, BrokerFolder
from hansa.apps.devices.desk import Desk, desk_of
from hansa.apps.web import create_app, listen
from hansa.codes import read_trust_list
from hansa.gate import Gate, GateIdentity, Tap
from hansa.gate.agent import enrol
from hansa.gate.agent.mqtt import MqttConfig, MqttLink
from hansa.gate.agent.topics import up
from hansa.kernel import SystemClock
from hansa.store import Context
from web import little_league
from web.little_league import BUS, WAY_IN, WAY_OUT, LittleLeague, Phone

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
WAIT_S = 90.0
"""How long a test waits for what must come: a busy machine is no failure."""

DEVICES = {"xianghu-in": WAY_IN, "binkanglu-out": WAY_OUT, "dufferin": BUS}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a broker are skipped, with one line that says how to run them, where there is no Mosquitto."""
    if MOSQUITTO is None:
        skip = pytest.mark.skip(
            reason="no mosquitto here: `apt-get install mosquitto` runs the tests of devices"
        )
        for item in items:
            if "broker" in getattr(item, "fixturenames", ()):
                item.add_marker(skip)


def wait_for(what: Callable[[], Any], words: str) -> Any:
    """What ``what`` gives, once it gives something."""
    until = time.monotonic() + WAIT_S
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < until, f"{words}: not within {WAIT_S:.0f} s"
        time.sleep(0.02)


@dataclass
class Heard:
    """What came down to a box."""

    trust_lists: list[bytes] = field(default_factory=list[bytes])
    deny_updates: list[bytes] = field(default_factory=list[bytes])
    settings: list[bytes] = field(default_factory=list[bytes])
    seen: list[tuple[bytes, int, datetime]] = field(default_factory=list[tuple[bytes, int, datetime]])

    def take_trust_list(self, data: bytes) -> None:
        self.trust_lists.append(data)

    def take_deny_update(self, data: bytes) -> None:
        self.deny_updates.append(data)

    def take_settings(self, data: bytes) -> None:
        self.settings.append(data)

    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        self.seen.append((rider, counter, expires_at))


@dataclass
class Box:
    """A device with its folder, its link and what it heard."""

    device_id: str
    gate_id: str
    folder: Path
    config: MqttConfig
    heard: Heard
    link: MqttLink

    def up(self) -> "Box":
        self.link.start()
        assert self.link.wait_up(WAIT_S)
        return self

    def drop(self) -> None:
        """Lose the connection as a cut cable does: no goodbye, and it does not come back."""
        self.link.break_off()

    def ask(self, what: str, body: bytes) -> bytes:
        """Send these bytes and wait for the answer."""
        inner: Any = self.link
        batch = os.urandom(8)
        return inner._answered(batch, self.say(what, body, batch))

    def say(self, what: str, body: bytes, batch: bytes | None = None) -> int:
        """Send these bytes on a topic of ours; gives the message's number."""
        return self.say_on(up(self.device_id, what), body, batch)

    def say_on(self, topic: str, body: bytes, batch: bytes | None = None) -> int:
        """Send these bytes on this topic; gives the message's number."""
        inner: Any = self.link
        about = Properties(PacketTypes.PUBLISH)
        if batch is not None:
            about.CorrelationData = batch
        return inner._client.publish(topic, body, qos=1, properties=about).mid

    def allowed(self, topic: str) -> bool:
        """Whether the broker takes a message on this topic from this box."""
        told: list[ReasonCode] = []
        inner: Any = self.link
        client: paho.Client = inner._client
        before = client.on_publish
        client.on_publish = lambda _client, _userdata, _mid, reason, _properties: told.append(reason)
        try:
            client.publish(topic, b"", qos=1)
            return not wait_for(lambda: told, f"an answer on {topic}")[0].is_failure
        finally:
            client.on_publish = before

    def overhear(self, *topics: str) -> list[str]:
        """Ask for these topics; what comes is written down in the list by its topic."""
        heard: list[str] = []
        inner: Any = self.link
        client: paho.Client = inner._client
        before = client.on_message
        assert before is not None

        def message(client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
            heard.append(message.topic)
            before(client, userdata, message)

        client.on_message = message
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])
        return heard


@dataclass
class Broker:
    """A Mosquitto of this test's own."""

    folder: BrokerFolder
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def port(self) -> int:
        return self.folder.address().port

    def start(self) -> None:
        self.process = self.folder.start()
        wait_for(self._listens, "the broker listens")

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            try:
                self.process.wait(WAIT_S)
            finally:
                self.process.kill()
                self.process.wait(WAIT_S)
                self.process = None

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder.path / "mosquitto.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass
class Town:
    """A league with a broker, a web application and, once started, a desk."""

    ctx: Context
    home: Path
    league: LittleLeague
    keys: trust.KeyFolder
    ca: trust.DeviceCa
    broker: Broker
    url: str
    boxes: list[Box] = field(default_factory=list[Box])
    desks: list[Desk] = field(default_factory=list[Desk])
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list["subprocess.Popen[bytes]"])

    def desk(self, name: str = "main") -> Desk:
        desk = desk_of(self.ctx, self.broker.folder, self.ca, self.keys, name=name)
        self.desks.append(desk)
        desk.start()
        assert desk.wait_up(WAIT_S)
        return desk

    def reconnected(self, box: Box, *, must: bool = True) -> Box:
        """The same box, started anew."""
        heard = Heard()
        again = replace(box, heard=heard, link=MqttLink(box.config, heard, firmware="1.0.1"))
        self.boxes.append(again)
        again.link.start()
        assert not must or again.link.wait_up(WAIT_S)
        return again

    def invite(self, device_id: str) -> str:
        with self.ctx.tx() as tx:
            return trust.invite_device(tx, device_id, self.ctx.clock.now())

    def desk_process(self) -> "subprocess.Popen[bytes]":
        """A desk as a process of its own, with the broker's folder and the keys of this town."""
        command = [sys.executable, "-c", "from hansa.apps.command import main; main()", "device", "desk"]
        environ = {**os.environ, "HANSA_DATABASE_URL": self.ctx.url, "HANSA_HOME": str(self.home)}
        with (self.home / "desk.log").open("ab") as log:
            process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def box(self, device_id: str, *, place: str = "", answer_s: float = WAIT_S) -> Box:
        """A box that enrols over HTTP. place: where, so that one device may have two boxes."""
        folder = self.home / "boxes" / (place or device_id)
        enrolled = enrol.enrol(self.url, self.invite(device_id), folder)
        read = enrol.read_config(enrolled.config)
        assert read.mqtt is not None
        config = replace(
            MqttConfig.read(
                read.mqtt, device_id=read.device_id, stop_id=read.identity.stop_id, folder=folder
            ),
            answer_s=answer_s,
        )
        heard = Heard()
        box = Box(
            device_id, enrolled.gate_id, folder, config, heard, MqttLink(config, heard, firmware="1.0.0")
        )
        self.boxes.append(box)
        return box

    def gate(self, gate_id: str) -> Gate:
        with self.ctx.tx() as tx:
            body = trust.signed_trust_list(tx)
            record = trust.get_gate(tx, gate_id)
        trust_list = read_trust_list(body, self.keys.league_root().public_key())
        identity = GateIdentity(
            record.gate_id, record.operator_id, record.stop_id, record.action, record.product, record.cell
        )
        return Gate(identity, trust_list)

    def taps(self, gate_id: str, count: int, name: str = "Gao Lan", *, gate: Gate | None = None) -> list[Tap]:
        """So many codes shown to a gate and let in."""
        phone, gate = Phone(self.ctx, self.league, name), gate or self.gate(gate_id)
        for _ in range(count):
            now = self.ctx.clock.now()
            assert gate.decide(phone.show(at=now), now, online=True).reason == "ok"
        return gate.pending(count)

    def kept(self) -> list[tuple[str, int]]:
        """Gate and sequence of every tap in the books, in order."""
        with self.ctx.tx() as tx:
            return tx.execute(
                "select gate_id, sequence from rides.every_tap order by gate_id, sequence"
            ).fetchall()

    def state(self, device_id: str) -> trust.DeviceState:
        with self.ctx.tx() as tx:
            return trust.get_device_state(tx, device_id)

    def set_status(self, device_id: str, status: trust.DeviceStatus) -> None:
        with self.ctx.tx() as tx:
            trust.set_device_status(tx, device_id, status, self.ctx.clock.now(), made_by="test")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def add_devices(ctx: Context) -> None:
    """The league's three boxes, registered."""
    with ctx.tx() as tx:
        gates = trust.find_gates(tx, DEVICES.values())
        trust.add_devices(
            tx,
            [
                trust.NewDevice(device_id, "gate", gates[gate_id].operator_id, gate_id, roles=("taps",))
                for device_id, gate_id in DEVICES.items()
            ],
            ctx.clock.now(),
        )


@contextmanager
def served(app: ASGIApp) -> Generator[str]:
    """The application on a port of its own; gives its address."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, "the server has started")
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)


@pytest.fixture
def broker(tmp_path: Path) -> Generator[Broker]:
    """A broker's folder, made by a fresh authority; the broker is running."""
    now = SystemClock().now()
    keys = trust.KeyFolder(tmp_path / "keys")
    ca = trust.DeviceCa.in_folder(tmp_path / "keys", now)
    folder = BrokerFolder(tmp_path / "broker")
    folder.make(
        ca,
        root_public=keys.league_root().public_key().public_bytes_raw(),
        host="localhost",
        port=free_port(),
        names=["127.0.0.1"],
        at=now,
        bind="127.0.0.1",
    )
    folder.desk_files(ca, "main", now)
    folder.write_access(ca, Access((), (), ()), now)
    broker = Broker(folder)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def town(committed_ctx: Context, tmp_path: Path, broker: Broker) -> Generator[Town]:
    """The little league with three devices, a broker and an HTTP server, on the real clock."""
    ctx = replace(committed_ctx, clock=SystemClock())
    keys = trust.KeyFolder(tmp_path / "keys")
    league = little_league.build(ctx, keys)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.set_list_key(tx, keys.lists().public_key().public_bytes_raw(), now)
        trust.publish_trust_list(tx, keys.league_root(), at=now)
    add_devices(ctx)
    ca = trust.DeviceCa.in_folder(tmp_path / "keys", now)
    with served(create_app(ctx, home=tmp_path, demo=True)) as url:
        town = Town(ctx, tmp_path, league, keys, ca, broker, url)
        yield town
        for box in town.boxes:
            box.link.close()
        for desk in town.desks:
            desk.stop()
        for process in town.processes:
            process.kill()
            process.wait(WAIT_S)
