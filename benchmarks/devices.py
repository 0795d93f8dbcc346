"""Devices at a real broker: how soon a lost phone is heard of, how much a desk keeps, what a new access list costs.

    python benchmarks/devices.py [--short]

``push``: from the commit that revokes a token to the signed update at every box, p95 in milliseconds; a desk looks at
the list once a second. ``telemetry``: messages that a desk takes from the broker and commits, per second; baseline
``committed_alone``: the same, in batches of the same size, without a broker (of several messages of a box in one batch
the last is written in both). ``reload``: how long the broker answers
nobody while it reads who may speak, in milliseconds, with a list of many devices; baseline ``answer``: an answer when
it reads nothing. It needs Debian's mosquitto.
"""

import argparse
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from threading import Event

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hansa import trust
from hansa.apps.devices.broker import Access, BrokerFolder, ClientFiles, find_mosquitto
from hansa.apps.devices.desk import IN_HAND_MAX, desk_of
from hansa.apps.open import opened
from hansa.gate.agent.enrol import device_file, make_key, request_by
from hansa.gate.agent.mqtt import MqttConfig, MqttLink
from hansa.store import Context
from hansa.trust import Broker, GateRecord, Member, MemberId, NewDevice, Registrar, Telemetry

OPERATOR = MemberId("metro")
WAIT_S = 120.0


class Box:
    """A device that notes when it heard of which version of the deny list."""

    def __init__(self, config: MqttConfig) -> None:
        self.link = MqttLink(config, self)
        self.heard_at: list[float] = []

    def take_deny_update(self, data: bytes) -> None:
        if data:
            self.heard_at.append(time.perf_counter())

    def take_trust_list(self, data: bytes) -> None: ...
    def take_settings(self, data: bytes) -> None: ...
    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer boxes, for a quick look")
    short = parser.parse_args().short
    find_mosquitto()
    count, each, pushes, listed = (20, 100, 8, 2_000) if short else (100, 400, 40, 10_000)
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        with opened(home) as ctx:
            figures = measure(ctx, home, count, each, pushes, listed)
    print(f"{'name':<12}{'value':>12}  {'unit':<12}{'baseline':<18}{'ratio':>8}")
    for name, one in figures.items():
        print(
            f"{name:<12}{one['value']:>12,}  {one['unit']:<12}{one['baseline'] or '':<18}{one['ratio'] or '':>8}"
        )
    print(json.dumps(figures))


def measure(
    ctx: Context, home: Path, count: int, each: int, pushes: int, listed: int
) -> "dict[str, dict[str, float | str | None]]":
    """The figures. count: boxes that are connected. each: messages of each. listed: devices on the access list."""
    now, keys = ctx.clock.now(), trust.KeyFolder(home / "keys")
    ca, folder = trust.DeviceCa.in_folder(home / "keys", now), BrokerFolder(home / "broker")
    port = _free_port()
    root = keys.league_root().public_key().public_bytes_raw()
    folder.make(ca, root_public=root, host="localhost", port=port, names=[], at=now, bind="127.0.0.1")
    files = folder.desk_files(ca, "main", now)
    folder.write_access(ca, Access((), (), ()), now)
    broker = folder.start()
    boxes = _boxes(ctx, home, keys, Registrar(ca, root, bytes(32), Broker("localhost", port)), count)
    try:
        _until(lambda: _listens(port))
        with desk_of(ctx, folder, ca, keys) as desk:
            for box in boxes:
                box.link.start()
            assert all(box.link.wait_up(WAIT_S) for box in boxes)
            _until(lambda: desk.messages >= count)
            heard_ms = _push(ctx, boxes, pushes)
            by_desk = _telemetry(boxes, each, lambda: desk.messages)
        for box in boxes:
            box.link.close()
        alone = _alone(ctx, count, each)
        answer_ms, reload_ms = _reload(folder, ca, files, listed, now)
    finally:
        broker.terminate()
        broker.wait()
    return {
        "push": _figure(statistics.quantiles(heard_ms, n=20)[-1], "ms p95", None, None),
        "telemetry": _figure(by_desk, "messages/s", "committed_alone", by_desk / alone),
        "reload": _figure(reload_ms, "ms", "answer", reload_ms / answer_ms),
    }


def _push(ctx: Context, boxes: list[Box], pushes: int) -> list[float]:
    """Milliseconds from the commit to each box, for each of so many revocations."""
    took: list[float] = []
    _until(lambda: all(box.heard_at for box in boxes))
    for number in range(pushes):
        for box in boxes:
            box.heard_at.clear()
        with ctx.tx() as tx:
            trust.revoke_token(tx, number.to_bytes(8, "big"), ctx.clock.now())
        committed_at = time.perf_counter()
        _until(lambda: all(box.heard_at for box in boxes))
        took += [(box.heard_at[0] - committed_at) * 1000 for box in boxes]
        time.sleep(0.137 * (number % 8))  # so that commits fall on all parts of the desk's second
    return took


def _telemetry(boxes: list[Box], each: int, dealt_with: Callable[[], int]) -> float:
    """Messages per second from the first sent to the last committed; boxes send a few, then wait for the desk."""
    before, sent = dealt_with(), 0
    started = time.perf_counter()
    for number in range(each):
        for box in boxes:
            box.link.tell({"pending": number, "tally": {"ok": number}, "clock_offset_ms": 12})
            sent += 1
        _until(lambda sent=sent: dealt_with() - before > sent - 4 * IN_HAND_MAX)
    _until(lambda: dealt_with() - before >= sent)
    return sent / (time.perf_counter() - started)


def _alone(ctx: Context, count: int, each: int) -> float:
    """Telemetry per second where it is at hand in batches as large as a desk's."""
    told = [
        Telemetry(f"box-{box}", "s", pending=number, tally={"ok": number}, clock_offset_ms=12)
        for number in range(each)
        for box in range(count)
    ]
    started = time.perf_counter()
    for at in range(0, len(told), IN_HAND_MAX):
        with ctx.tx() as tx:
            trust.record_telemetry(tx, told[at : at + IN_HAND_MAX], ctx.clock.now())
    return len(told) / (time.perf_counter() - started)


def _reload(
    folder: BrokerFolder, ca: trust.DeviceCa, files: ClientFiles, listed: int, now: datetime
) -> tuple[float, float]:
    """Milliseconds until the broker answers: as it is, and after it was told to read a list of so many devices."""
    stations = tuple((f"box-{number}", f"city/stop-{number // 4}") for number in range(listed))
    told, up = Event(), Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=files.name, protocol=paho.MQTTv5)
    client.tls_set_context(files.tls())
    client.on_connect = lambda *_: up.set()  # pyright: ignore[reportUnknownLambdaType]
    client.on_publish = lambda *_: told.set()  # pyright: ignore[reportUnknownLambdaType]
    address = folder.address()
    client.connect(address.host, address.port, 60, clean_start=True)
    client.loop_start()
    assert up.wait(WAIT_S)

    def answer_ms() -> float:
        told.clear()
        started = time.perf_counter()
        client.publish("hansa/down/all/test", b"", qos=1)
        assert told.wait(WAIT_S)
        return (time.perf_counter() - started) * 1000

    idle = statistics.median(answer_ms() for _ in range(50))
    slow: list[float] = []
    for number in range(5):
        shut_out = tuple(f"box-{one}" for one in range(number + 1))
        folder.write_access(ca, Access(stations, shut_out, ()), now)
        folder.reload()
        slow.append(max(answer_ms() for _ in range(20)))
    client.disconnect()
    client.loop_stop()
    return idle, statistics.median(slow)


def _boxes(ctx: Context, home: Path, keys: trust.KeyFolder, registrar: Registrar, count: int) -> list[Box]:
    """Boxes of one operator, enrolled."""
    now = ctx.clock.now()
    names = [f"box-{number}" for number in range(count)]
    with ctx.tx() as tx:
        trust.add_members(tx, [Member(OPERATOR, "Metro", "operator", "city", OPERATOR, "TEST-metro")])
        trust.add_gates(
            tx,
            [
                GateRecord(f"gate-{one}", OPERATOR, "city", f"city/{number // 4}", None, "entry", "metro")
                for number, one in enumerate(names)
            ],
        )
        trust.add_devices(tx, [NewDevice(one, "gate", OPERATOR, f"gate-{one}") for one in names], now)
        trust.set_list_key(tx, keys.lists().public_key().public_bytes_raw(), now)
        trust.publish_trust_list(tx, keys.league_root(), at=now)
    boxes: list[Box] = []
    ca_file = home / "boxes" / "ca.pem"
    trust.write_private(ca_file, registrar.ca.certificate_pem)
    for one in names:
        key = make_key()
        with ctx.tx() as tx:
            code = trust.invite_device(tx, one, now)
            got = trust.enrol_device(tx, registrar, code=code, csr=request_by(key), at=now)
        path = home / "boxes" / f"{one}.pem"
        trust.write_private(path, device_file(key, got.certificate))
        boxes.append(Box(MqttConfig(one, "localhost", registrar.broker.port, ca_file, path, path)))
    return boxes


def _figure(
    value: float, unit: str, baseline: str | None, ratio: float | None
) -> "dict[str, float | str | None]":
    return {
        "value": round(value, 1),
        "unit": unit,
        "baseline": baseline,
        "ratio": None if ratio is None else round(ratio, 2),
    }


def _until(what: Callable[[], bool]) -> None:
    until = time.perf_counter() + WAIT_S
    while not what():
        assert time.perf_counter() < until, "it did not come about"
        time.sleep(0.002)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
