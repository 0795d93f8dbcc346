"""Devices at a real broker: they come and go, hand in, are told and are cut off."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from devices.conftest import WAIT_S, Box, Town, wait_for
from hansa import trust
from hansa.apps.devices.broker import registrar_of
from hansa.apps.devices.simulate import make_boxes, run
from hansa.codes import read_deny_update, read_settings
from hansa.gate import Tap
from hansa.gate.agent.enrol import enrol
from hansa.gate.agent.link import BatchRefused, HandedIn, HttpLink, LinkDown
from hansa.gate.agent.topics import DENY_LIST, TRUST_LIST, down, station_topic, up
from hansa.kernel import InvalidInput
from web.little_league import Phone

NAMES = ("Gao Lan", "Qian Qing", "Emily Tremblay")


def test_a_box_enrols_connects_is_seen_and_its_last_will_tells_that_it_is_gone(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    wait_for(lambda: town.state("xianghu-in").connected, "online")

    box.link.tell({"clock_offset_ms": 12, "pending": 3, "settings": 1, "tally": {"ok": 5, "replay": 1}})

    state = wait_for(lambda: (one := town.state("xianghu-in")).pending == 3 and one, "telemetry")
    assert (state.clock_offset_ms, state.firmware, state.accepted, state.refused) == (12, "1.0.0", 5, 1)
    box.drop()
    wait_for(lambda: not town.state("xianghu-in").connected, "offline by the last will")


def test_taps_by_the_broker_equal_taps_by_http_in_the_books(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    taps = town.taps(box.gate_id, 6)

    assert box.link.hand_in(taps[:4]).recorded == 4
    assert box.link.hand_in(taps[:4]).duplicates == 4
    by_http = HttpLink(town.url, (box.folder / "api-key").read_text().strip()).hand_in(taps)

    assert (by_http.recorded, by_http.duplicates, by_http.refused) == (2, 4, ())
    assert town.kept() == [(box.gate_id, number) for number in range(1, 7)]


def test_settings_are_signed_pushed_and_followed_and_kept_for_who_comes_later(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    with town.ctx.tx() as tx:
        wanted = trust.set_device_settings(
            tx, "xianghu-in", {"language": "zh"}, at=town.ctx.clock.now(), made_by="test"
        )

    body = wait_for(lambda: [one for one in box.heard.settings if _version(town, one) == 2], "settings")[-1]

    settings = read_settings(body, town.keys.lists().public_key(), device_id="xianghu-in", newer_than=1)
    assert (settings.version, settings.values) == (wanted.version, {"language": "zh"})
    box.link.tell({"settings": settings.version})
    wait_for(lambda: town.state("xianghu-in").settings == 2, "the device follows")
    box.drop()
    again = town.reconnected(box)
    assert _version(town, wait_for(lambda: again.heard.settings, "retained settings")[0]) == 2


def _version(town: Town, body: bytes) -> int:
    return read_settings(body, town.keys.lists().public_key(), device_id="xianghu-in").version


def test_a_lost_phone_is_told_to_gates_by_a_signed_delta_that_continues_the_list(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    key = town.keys.lists().public_key()
    first = read_deny_update(wait_for(lambda: box.heard.deny_updates, "the first update")[-1], key)
    wait_for(lambda: box.heard.trust_lists, "the trust list")
    before = town.ctx.clock.now()
    with town.ctx.tx() as tx:
        version = trust.revoke_token(tx, b"lostlost", before)

    def told() -> object:
        updates = [read_deny_update(one, key) for one in list(box.heard.deny_updates)]
        return next((one for one in updates if one.version == version), None)

    update = wait_for(told, "the delta")

    took = town.ctx.clock.now() - before
    print(f"revoked to heard at the gate: {took / timedelta(milliseconds=1):.0f} ms")
    assert (update.since, [cti for cti, _ in update.tokens()]) == (first.version, [b"lostlost"])


def test_a_device_that_is_suspended_is_cut_and_cannot_come_back_until_it_enrols_anew(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    other = town.box("binkanglu-out").up()
    taps = town.taps(box.gate_id, 1)

    town.set_status("xianghu-in", "suspended")

    wait_for(lambda: not box.link.is_up, "cut off")
    with pytest.raises(LinkDown):
        box.link.hand_in(taps)
    assert not town.reconnected(box, must=False).link.wait_up(3)
    with pytest.raises(LinkDown, match="401"):
        HttpLink(town.url, (box.folder / "api-key").read_text().strip()).hand_in(taps)
    assert town.kept() == []
    assert other.link.hand_in(town.taps(other.gate_id, 1, "Qian Qing")).recorded == 1
    town.set_status("xianghu-in", "invited")
    repaired = town.box("xianghu-in", place="repaired").up()
    assert wait_for(lambda: handed_in(repaired, taps), "let in again").recorded == 1


def handed_in(box: Box, taps: Sequence[Tap]) -> HandedIn | None:
    """The receipt; None while the broker does not know yet that the device may speak again."""
    with suppress(LinkDown):
        return box.link.hand_in(taps)
    return None


def test_messages_that_cannot_be_read_or_speak_for_others_change_nothing(town: Town) -> None:
    town.desk()
    box: Box = town.box("xianghu-in").up()
    others = town.taps(town.box("binkanglu-out").gate_id, 2)
    before = town.state("xianghu-in")

    refused = box.link.hand_in(others).refused
    for body in (
        b"",
        b"{",
        b"[1",
        b"null",
        json.dumps({"taps": []}).encode(),
        b'{"taps": [{}]}',
        b"\xff" * 9,
    ):
        with pytest.raises(BatchRefused, match="unreadable"):
            box.ask("taps", body)
    with pytest.raises(BatchRefused, match="wrong_gate"):
        box.link.tell_refusals(
            [{"gate_id": others[0].gate_id, "minute": "2026-11-17T12:00:00Z", "reason": "replay", "count": 1}]
        )
    with pytest.raises(BatchRefused, match="at most"):
        box.link.hand_in(others * 501)
    box.say("telemetry", b'{"pending": -1}')
    box.say("telemetry", b'{"tally": {"ok": "many"}}')
    box.say("state", b'{"online": "yes"}')
    box.say("nonsense", b"{}")

    assert [code for _, code, _ in refused] == ["devices.wrong_gate"] * 2
    assert box.link.hand_in(town.taps(box.gate_id, 1, "Qian Qing")).recorded == 1
    assert town.kept() == [(box.gate_id, 1)]
    after = town.state("xianghu-in")
    assert (after.pending, after.tally, after.connected) == (before.pending, before.tally, True)


def test_no_device_can_write_or_read_what_is_anothers(town: Town) -> None:
    desk = town.desk()
    box, other = town.box("xianghu-in").up(), town.box("dufferin").up()
    wait_for(lambda: town.state("dufferin").connected, "the other is online")
    mine = [up("xianghu-in", what) for what in ("state", "telemetry", "taps", "refused")]
    others = [
        *(up("dufferin", what) for what in ("state", "telemetry", "taps", "refused")),
        *(down(device_id, what) for device_id in ("dufferin", "xianghu-in") for what in ("acks", "settings")),
        *(
            TRUST_LIST,
            DENY_LIST,
            "hansa/down/all/other",
            "hansa/up/xianghu-in/taps/more",
            "hansa/up/xianghu-in",
        ),
        *(
            station_topic("toronto/union"),
            "$SYS/broker/clients/total",
            "anything",
            "hansa/up/hansa-desk-main/taps",
        ),
    ]

    assert {
        topic: box.allowed(topic) for topic in [*mine, station_topic("hangzhou/xianghu")]
    } == dict.fromkeys([*mine, station_topic("hangzhou/xianghu")], True)
    assert {topic: box.allowed(topic) for topic in others} == dict.fromkeys(others, False)

    overheard = box.overhear(
        "#", "+/+/+/+", "$SYS/#", up("dufferin", "#"), down("dufferin", "#"), "$share/desks/hansa/up/+/taps"
    )
    assert other.link.hand_in(town.taps(other.gate_id, 2, "Emily Tremblay")).recorded == 2
    with town.ctx.tx() as tx:
        trust.set_device_settings(tx, "dufferin", {"language": "fr"}, at=town.ctx.clock.now(), made_by="test")
    wait_for(lambda: any(b"fr" in one for one in other.heard.settings), "the other heard its settings")
    other.link.tell({"pending": 1})
    wait_for(lambda: town.state("dufferin").pending == 1, "the desk heard the other")
    with town.ctx.tx() as tx:
        marked = trust.revoke_token(tx, b"markmark", town.ctx.clock.now())
    key = town.keys.lists().public_key()
    wait_for(
        lambda: any(read_deny_update(one, key).version == marked for one in list(box.heard.deny_updates)),
        "what is for all came after it",
    )
    assert {topic for topic in overheard if "dufferin" in topic or topic.startswith("$")} == set()
    assert town.state("dufferin").connected
    assert desk.taps == 2


def test_gates_of_a_station_hear_each_others_counters_and_no_other_station_does(town: Town) -> None:
    desk = town.desk()
    with town.ctx.tx() as tx:
        gate = trust.get_gate(tx, "hangzhou-metro.xianghu.in")
        trust.add_gates(tx, [replace(gate, gate_id="hangzhou-metro.xianghu.in2")])
        trust.add_devices(
            tx,
            [trust.NewDevice("xianghu-in-2", "gate", gate.operator_id, "hangzhou-metro.xianghu.in2")],
            town.ctx.clock.now(),
        )
    box, neighbour, far = town.box("xianghu-in"), town.box("xianghu-in-2"), town.box("binkanglu-out")
    desk.keep_access_now()
    for one in (box, neighbour, far):
        one.up()
    expires_at = town.ctx.clock.now().replace(microsecond=0) + timedelta(hours=1)

    def told() -> bool:
        box.link.tell_seen(bytes(range(12)), 7, expires_at)
        time.sleep(0.2)
        return bool(neighbour.heard.seen)

    wait_for(told, "the neighbour hears")
    box.say_on(station_topic("hangzhou/xianghu"), b'{"rider": "00", "counter": 1, "expires_s": 0}')
    box.say_on(station_topic("hangzhou/xianghu"), b"no json")
    box.link.tell_seen(bytes(13), 8, expires_at)

    wait_for(lambda: (bytes(13), 8, expires_at) in neighbour.heard.seen, "the companion's counter")
    assert set(neighbour.heard.seen) == {(bytes(range(12)), 7, expires_at), (bytes(13), 8, expires_at)}
    assert (box.heard.seen, far.heard.seen) == ([], [])


def test_the_broker_is_restarted_and_killed_and_all_goes_on(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    taps = town.taps(box.gate_id, 4)
    assert box.link.hand_in(taps[:1]).recorded == 1
    wait_for(lambda: box.heard.settings and box.heard.trust_lists, "lists")

    for kill, batch in ((False, taps[1:2]), (True, taps[2:3])):
        town.broker.stop(kill=kill)
        wait_for(lambda: not box.link.is_up, "the link knows")
        with pytest.raises(LinkDown):
            box.link.hand_in(batch)
        town.broker.start()
        assert wait_for(lambda batch=batch: handed_in(box, batch), "handed in").recorded == 1

    wait_for(lambda: town.state("xianghu-in").connected, "online")
    again = town.reconnected(box)
    wait_for(lambda: again.heard.settings and again.heard.trust_lists, "lists are there anew")
    assert again.link.hand_in(taps).recorded == 1
    assert town.kept() == [(box.gate_id, number) for number in (1, 2, 3, 4)]


@pytest.mark.slow
def test_the_broker_reads_who_may_speak_anew_while_devices_come_and_go(town: Town) -> None:
    """Mosquitto 2.0.11 ends when it reads its files anew while a session waits for a device: ours never wait."""
    town.desk()
    boxes = [town.box(device_id).up() for device_id in ("xianghu-in", "binkanglu-out", "dufferin")]

    for number in range(6):
        gone = boxes[number % 3]
        gone.drop()
        town.broker.folder.reload()
        wait_for(lambda gone=gone: not town.state(gone.device_id).connected, "offline")
        gone.link.start()
        assert gone.link.wait_up(WAIT_S)
        town.broker.folder.reload()

    assert all(
        handed_in(box, town.taps(box.gate_id, 1, name)) for box, name in zip(boxes, NAMES, strict=True)
    )
    assert len(town.kept()) == 3


@pytest.mark.slow
def test_a_desk_that_is_killed_in_the_middle_of_taps_loses_none_and_doubles_none(town: Town) -> None:
    box = town.box("xianghu-in", answer_s=3.0).up()
    gate = town.gate(box.gate_id)
    taps = town.taps(box.gate_id, 400, gate=gate)
    desk = town.desk_process()
    told = 0

    killed = 0
    while gate.pending(1):
        batch = gate.pending(20)
        receipt = handed_in(box, batch)
        if receipt is None:
            continue
        told += receipt.recorded
        gate.acknowledge(batch[-1].sequence)
        if told >= (killed + 1) * 100 and killed < 2:
            box.say("taps", json.dumps({"taps": [tap.json() for tap in gate.pending(40)]}).encode())
            desk.kill()
            desk.wait()
            desk = town.desk_process()
            killed += 1
    desk.terminate()
    assert desk.wait(WAIT_S) == 0

    assert killed == 2
    assert town.kept() == [(box.gate_id, tap.sequence) for tap in taps]


def test_without_a_desk_a_gate_is_told_at_once_that_nobody_listens(town: Town) -> None:
    box = town.box("xianghu-in").up()
    taps = town.taps(box.gate_id, 1)

    with pytest.raises(LinkDown, match="No matching subscribers"):
        box.link.hand_in(taps)

    town.desk()
    assert box.link.hand_in(taps).recorded == 1


def test_a_question_asked_while_the_broker_refuses_another_message_is_answered(town: Town) -> None:
    """MQTT's client tells us of a refusal with its own lock held, and takes the same lock when we send."""
    box = town.box("xianghu-in").up()
    taps = town.taps(box.gate_id, 1)
    inner: Any = box.link
    told = inner._client.on_publish
    refusing, asking = threading.Event(), threading.Event()
    ends: list[LinkDown] = []

    def slowly(*words: object) -> None:
        refusing.set()
        asking.wait(WAIT_S)
        time.sleep(0.2)  # by now the question waits for the client's lock
        told(*words)

    def ask() -> None:
        asking.set()
        try:
            box.link.hand_in(taps)
        except LinkDown as error:
            ends.append(error)

    inner._client.on_publish = slowly
    box.link.tell({"pending": 1})  # there is no desk, so the broker says that nobody listens
    assert refusing.wait(WAIT_S)
    question = threading.Thread(target=ask, daemon=True)
    question.start()
    question.join(WAIT_S)

    assert not question.is_alive(), "the link and the client wait for each other"
    assert [error.detail for error in ends] == ["The broker says: No matching subscribers"]


def test_two_desks_share_the_taps_and_when_one_goes_the_other_has_all(town: Town) -> None:
    first = town.desk()
    town.broker.folder.desk_files(town.ca, "second", town.ctx.clock.now())
    first.keep_access_now()
    second = town.desk("second")
    box = town.box("xianghu-in").up()
    taps = town.taps(box.gate_id, 30)

    for tap in taps[:20]:
        assert wait_for(lambda tap=tap: handed_in(box, [tap]), "handed in")
    shares = first.taps, second.taps
    second.stop()
    for tap in taps[20:]:
        assert wait_for(lambda tap=tap: handed_in(box, [tap]), "handed in")

    assert min(shares) > 0
    assert town.kept() == [(box.gate_id, tap.sequence) for tap in taps]


def test_refusals_and_refused_codes_are_kept_once(town: Town) -> None:
    town.desk()
    box = town.box("xianghu-in").up()
    minute = town.ctx.clock.now().replace(second=0, microsecond=0)
    at = minute.isoformat()
    code = {"kid": "0b" * 4, "cti": "5a" * 8, "counter": 3, "made_at": at, "companion": 1}

    for _ in range(2):
        box.link.tell_refusals([{"gate_id": box.gate_id, "minute": at, "reason": "replay", "count": 4}])
        box.link.tell_refused_codes([{"gate_id": box.gate_id, "at": at, "reason": "replay", **code}])
    ahead = (minute + timedelta(hours=1)).isoformat()
    with pytest.raises(BatchRefused, match="invalid_input"):
        box.link.tell_refused_codes([{"gate_id": box.gate_id, "at": ahead, "reason": "replay", **code}])

    with town.ctx.tx() as tx:
        assert tx.execute("select reason, count from rides.refusals").fetchall() == [("replay", 4)]
        assert tx.execute("select reason, counter, companion from rides.refused_codes").fetchall() == [
            ("replay", 3, 1)
        ]


def test_made_up_boxes_connect_drift_and_flap_and_are_seen(town: Town) -> None:
    town.desk()
    registrar = registrar_of(town.home, town.ctx.clock.now())
    assert registrar is not None
    lists = town.keys.lists().public_key()
    boxes = make_boxes(town.ctx, registrar, lists, town.home / "simulated", 3, seed=5)
    again = make_boxes(town.ctx, registrar, lists, town.home / "simulated", 3, seed=5)
    assert [box.device_id for box in again] == [box.device_id for box in boxes]
    stop = threading.Event()
    living = threading.Thread(
        target=run, args=(town.ctx, boxes, stop), kwargs={"every": timedelta(seconds=0.3)}
    )
    living.start()

    try:
        for box in boxes:
            wait_for(lambda box=box: town.state(box.device_id).clock_offset_ms is not None, "heard of")
            wait_for(lambda box=box: town.state(box.device_id).settings == 1, "follows its settings")
    finally:
        stop.set()
        living.join()
    with pytest.raises(InvalidInput):
        make_boxes(town.ctx, registrar, lists, town.home / "simulated", 4, seed=5)


def test_hansa_gate_run_hands_in_by_the_broker_and_is_seen_in_the_console(town: Town) -> None:
    desk = town.desk()
    folder = town.home / "gate"
    box = enrol(town.url, town.invite("xianghu-in"), folder)
    with box.config.open("a", encoding="utf-8") as config:
        config.write("\n[health]\nport = 0\n")
    phone = Phone(town.ctx, town.league, "Gao Lan")
    command = [sys.executable, "-c", "from hansa.apps.command import main; main()"]
    command += ["gate", "run", "--config", str(box.config)]
    log = (town.home / "gate.log").open("ab")
    gate = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    town.processes.append(gate)
    assert gate.stdin is not None

    try:
        state = wait_for(
            lambda: (one := town.state("xianghu-in")).connected and one.trust_list and one, "seen"
        )
        assert state.deny_list is not None
        gate.stdin.write(phone.show().encode() + b"\n")
        gate.stdin.flush()
        wait_for(town.kept, "the tap is in the books")
        with town.ctx.tx() as tx:
            trust.set_device_settings(
                tx, "xianghu-in", {"language": "zh-Hans"}, at=town.ctx.clock.now(), made_by="test"
            )
        gate.terminate()
        assert gate.wait(WAIT_S) == 0
    finally:
        gate.stdin.close()
        log.close()

    assert desk.taps == 1
    assert town.kept() == [(box.gate_id, 1)]
    wait_for(lambda: not town.state("xianghu-in").connected, "it said goodbye")
    assert (town.state("xianghu-in").pending, town.state("xianghu-in").sequence) == (0, 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_taken_back_certificate_does_not_come_in_by_a_session_from_before(
    town: Town, version: ssl.TLSVersion
) -> None:
    town.desk()
    box = town.box("xianghu-in")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.load_verify_locations(box.config.ca_file)
    context.load_cert_chain(box.config.certificate_file)

    def greeted(session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
        """What the broker answers to MQTT 5's CONNECT without a name, and the session for the next time."""
        with (
            suppress(OSError),
            socket.create_connection(("localhost", box.config.port), WAIT_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
        ):
            tls.sendall(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x1e\x00\x00\x00")
            return tls.recv(100), tls.session
        return b"", None

    first, session = greeted(None)
    assert first[:1] == b"\x20"
    assert first[3] == 0

    town.set_status("xianghu-in", "suspended")

    wait_for(lambda: greeted(None)[0] == b"", "refused with a full handshake")
    assert greeted(session)[0] == b""
