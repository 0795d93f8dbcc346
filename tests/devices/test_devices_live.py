"""Devices at a real broker: they come and go, hand in, are told and are cut off."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import pytest

from devices.conftest import Box, Town, wait_for
from hansa import trust
from hansa.codes import read_deny_update, read_settings
from hansa.gate import Tap
from hansa.gate.agent.link import BatchRefused, HandedIn, HttpLink, LinkDown


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
