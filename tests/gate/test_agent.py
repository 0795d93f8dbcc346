"""The agent: opens by what it was told, goes out of order rather than open, and exchanges when somebody answers."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gate.agents import (
    KID,
    LIST_KEY,
    NOON,
    ROOT,
    Bench,
    SmallLeague,
    assert_chained,
    code,
    config_file,
    cti,
    settings,
    signed_trust_list,
)
from hansa.codes import deny_update, sign_deny_update
from hansa.gate import Tap
from hansa.gate.agent.actuators import ActuatorFailed, Notice
from hansa.gate.agent.command import go_on
from hansa.gate.agent.config import read_config
from hansa.gate.agent.folder import FolderTaken
from hansa.gate.agent.link import BatchRefused, HandedIn, LinkDown
from hansa.gate.agent.sources import Source
from hansa.kernel import InvalidInput


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_GATE_KEY", "key")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.agent.close()


def out_of_order(bench: Bench) -> set[str]:
    return set(bench.agent.health().out_of_order)


def alerts(bench: Bench) -> set[str]:
    return set(bench.agent.health().alerts)


# -- from unpacked to in service --------------------------------------------------------------------------------


def test_a_new_gate_opens_once_it_has_its_lists(bench: Bench) -> None:
    assert bench.show("ada", 1) == "out_of_order"
    assert out_of_order(bench) == {"no_trust_list"}

    bench.ready()

    assert bench.show("ada", 2) == "ok"
    assert [line["open"] for line in bench.lines()] == [False, True]
    assert bench.lines()[1]["words"] == [{"language": "en", "text": "Please enter"}]
    assert bench.agent.health().sequence == 1


def test_a_gate_with_a_trust_list_but_no_deny_list_stays_shut(bench: Bench) -> None:
    bench.agent.take_trust_list(signed_trust_list(1, NOON))

    assert bench.show("ada", 1) == "out_of_order"
    assert out_of_order(bench) == {"no_deny_list"}


def test_a_league_that_signs_no_deny_lists_has_gates_with_offline_caps(bench: Bench) -> None:
    bench.league.list_key = None
    bench.agent.exchange()

    assert (out_of_order(bench), alerts(bench)) == (set(), {"offline"})
    assert bench.show("ada", 1, offline_cap=1) == "ok"
    assert bench.show("ada", 2, offline_cap=1) == "offline_cap"


def test_lists_are_there_again_after_a_restart_without_network(bench: Bench) -> None:
    bench.league.deny(cti("eve"))
    bench.ready()
    assert bench.show("ada", 1) == "ok"
    bench.league.down = LinkDown("no network")

    bench.again()

    assert bench.show("ada", 1) == "replay"
    assert bench.show("ada", 2) == "ok"
    assert bench.show("eve", 1) == "revoked"
    assert (bench.agent.health().trust_list, bench.agent.health().deny_list) == (1, 1)


def test_two_programs_never_work_in_one_folder(bench: Bench) -> None:
    with pytest.raises(FolderTaken):
        bench._make()

    assert bench.ready().show("ada", 1) == "ok"


# -- the same text ----------------------------------------------------------------------------------------------


def test_a_phone_held_before_the_camera_is_one_attempt(bench: Bench) -> None:
    bench.ready()
    text = code("ada", 1, bench.time.at)

    notices: list[Notice | None] = []
    for _ in range(10):
        notices.append(bench.agent.show(text))
        bench.time.pass_by(seconds=1)
    bench.time.pass_by(seconds=3)
    notices.append(bench.agent.show(text))

    assert [notice.reason if notice else None for notice in notices] == ["ok", *[None] * 9, "replay"]
    assert len(bench.lines()) == 2


def test_a_code_that_could_not_be_written_down_may_be_shown_again_at_once(bench: Bench) -> None:
    bench.ready()
    assert bench.agent.state is not None
    bench.agent.state._db.execute("pragma query_only=1")
    text = code("ada", 1, bench.time.at)

    first = bench.agent.show(text)

    assert first is not None and first.reason == "out_of_order" and not first.opens
    assert out_of_order(bench) == {"state_failed"}
    bench.agent.state._db.execute("pragma query_only=0")
    second = bench.agent.show(text)
    assert second is not None and second.opens and second.sequence == 1
    assert out_of_order(bench) == set()


@pytest.mark.parametrize("text", ["x", "HR1:", "HR1:" + "A" * 2_000, "\x00", "é" * 300, "HR9:ABC", "{}"])
def test_nonsense_is_refused_and_counted(bench: Bench, text: str) -> None:
    notice = bench.ready().agent.show(text)

    assert notice is not None and not notice.opens
    assert sum(bench.agent.health().decisions.values()) == 1
    assert bench.agent.health().sequence == 0


# -- words and digits -------------------------------------------------------------------------------------------


def test_the_rider_reads_their_own_language_first(bench: Bench) -> None:
    bench.ready().agent.take_settings(settings(1, {"language": "zh-Hans", "languages": {"paris-card": "fr"}}))

    bench.show("ada", 1)
    bench.time.pass_by(seconds=1)
    assert bench.show("ada", 1) == "replay"
    bench.agent.show("nonsense")

    assert [[words["language"] for words in line["words"]] for line in bench.lines()] == [
        ["fr", "zh-Hans"],
        ["fr", "zh-Hans"],
        ["zh-Hans"],
    ]
    assert bench.lines()[0]["words"][0]["text"] == "Entrez"


def test_digits_are_shown_and_must_be_signed(bench: Bench) -> None:
    bench.ready().agent.take_settings(settings(1, {"digits": True}))
    bench.agent.exchange()
    (shown,) = bench.lines()
    digits = int(shown["digits"])

    assert len(shown["digits"]) == 4
    assert bench.show("ada", 1) == "wrong_challenge"
    after = bench.lines()[-1]["digits"]
    assert bench.show("ada", 2, challenge=int(after)) == "ok"
    bench.time.pass_by(seconds=31)
    bench.agent.exchange()
    assert len([line for line in bench.lines() if "digits" in line]) == 4
    bench.agent.take_settings(settings(2, {"digits": False}))
    bench.agent.exchange()
    assert bench.lines()[-1] == {"digits": None}
    assert bench.show("ada", 3) == "ok"
    assert 0 <= digits <= 9999


# -- lists ------------------------------------------------------------------------------------------------------


def test_a_revoked_token_is_refused_after_the_next_poll(bench: Bench) -> None:
    bench.ready()
    assert bench.show("eve", 1) == "ok"
    bench.league.deny(cti("eve"))

    bench.time.pass_by(seconds=31)
    bench.agent.exchange()

    assert bench.show("eve", 2) == "revoked"
    assert bench.agent.health().deny_list == 1


def test_a_pushed_delta_is_followed_at_once_and_a_gap_is_fetched(bench: Bench) -> None:
    bench.ready()
    bench.league.deny(cti("eve"))
    bench.agent.take_deny_update(bench.league.deny_update(0))
    assert bench.show("eve", 1) == "revoked"

    bench.league.deny(cti("mallory"))
    bench.league.deny(cti("trudy"))
    bench.agent.take_deny_update(bench.league.deny_update(2))  # 2 to 3, and the gate has 1

    assert alerts(bench) == {"list_refused"}
    assert bench.show("trudy", 1) == "ok"
    bench.agent.exchange()
    assert bench.show("trudy", 2) == "revoked"
    assert bench.show("mallory", 1) == "revoked"
    assert alerts(bench) == set()


def test_forged_and_older_lists_change_nothing(bench: Bench) -> None:
    bench.league.trust_version, stranger = 5, Ed25519PrivateKey.generate()
    bench.league.deny(cti("eve"))
    bench.ready()
    older = deny_update(0, 0, bench.time.at, [])

    for data in (
        signed_trust_list(9, NOON, root=stranger),
        signed_trust_list(4, NOON),
        signed_trust_list(9, NOON - timedelta(days=8)),
        b"",
        b"\xd2\x84",
    ):
        bench.agent.take_trust_list(data)
        assert alerts(bench) == {"list_refused"}
    for data in (
        sign_deny_update(older, LIST_KEY),
        sign_deny_update(deny_update(9, 0, NOON, []), stranger),
        signed_trust_list(9, NOON),
    ):
        bench.agent.take_deny_update(data)
        assert alerts(bench) == {"list_refused"}

    health = bench.agent.health()
    assert (health.trust_list, health.deny_list, health.denied) == (5, 1, 1)
    assert bench.show("eve", 1) == "revoked"
    assert bench.again().health().trust_list == 5


def test_either_root_is_believed_while_it_is_changed(tmp_path: Path) -> None:
    next_root = Ed25519PrivateKey.generate()
    roots = (
        f'{ROOT.public_key().public_bytes_raw().hex()}", "{next_root.public_key().public_bytes_raw().hex()}'
    )
    bench = Bench(tmp_path, root=roots)

    bench.agent.take_trust_list(signed_trust_list(1, NOON))
    bench.agent.take_trust_list(signed_trust_list(2, NOON, root=next_root))
    bench.agent.take_trust_list(signed_trust_list(3, NOON, root=Ed25519PrivateKey.generate()))

    assert bench.agent.health().trust_list == 2
    assert bench.again().health().trust_list == 2
    bench.agent.close()


def test_a_list_key_that_changed_has_the_whole_list_fetched(bench: Bench) -> None:
    bench.league.deny(cti("eve"))
    bench.ready()
    stolen, bench.league.list_key = bench.league.list_key, Ed25519PrivateKey.generate()
    assert stolen is not None
    bench.agent.take_deny_update(sign_deny_update(deny_update(10**9, 1, NOON, [(cti("ada"), NOON)]), stolen))
    assert bench.agent.health().deny_list == 10**9
    bench.league.trust_version = 2

    bench.time.pass_by(seconds=301)
    bench.agent.exchange()

    assert (bench.agent.health().deny_list, bench.agent.health().denied) == (1, 1)
    assert bench.show("eve", 1) == "revoked"
    assert bench.show("ada", 1) == "ok"


def test_settings_from_afar_are_followed_kept_and_never_rolled_back(bench: Bench) -> None:
    bench.ready().agent.take_settings(settings(3, {"deny_poll_s": 7, "of_a_later_version": 1}))
    assert bench.agent.lists.adjustable.deny_poll_s == 7

    for data in (
        settings(2, {"deny_poll_s": 9}),
        settings(4, {"deny_poll_s": 0}),
        settings(5, {"deny_poll_s": 9}, device_id="another"),
        b"nonsense",
    ):
        bench.agent.take_settings(data)
        assert alerts(bench) == {"settings_refused"}

    assert bench.agent.lists.adjustable.deny_poll_s == 7
    assert bench.again().lists.adjustable.deny_poll_s == 7
    assert bench.agent.health().settings == 3


def test_a_trust_list_that_has_ended_opens_nothing(bench: Bench) -> None:
    bench.ready()
    bench.league.down = LinkDown("no network")
    bench.time.pass_by(days=7)

    assert bench.show("ada", 1) == "out_of_order"
    assert "trust_list_ended" in out_of_order(bench)


@pytest.mark.parametrize("name", ["deny.db", "trust-list.cose", "settings.cose", "aside.db"])
def test_a_broken_list_is_put_aside_and_fetched_anew(bench: Bench, name: str) -> None:
    bench.league.deny(cti("eve"))
    bench.ready().agent.take_settings(settings(1, {"deny_poll_s": 7}))
    bench.agent.close()
    (bench.config.state_folder / name).write_bytes(b"broken" * 1_000)
    bench.agent = bench._make()

    assert "put_aside" in alerts(bench)
    if name in ("deny.db", "trust-list.cose"):
        assert bench.show("eve", 1) == "out_of_order"
    bench.agent.exchange()

    assert out_of_order(bench) == set()
    assert bench.show("eve", 2) == "revoked"
    kept = [path.name for path in (bench.config.state_folder / "broken").iterdir()]
    assert any(path.endswith(name) for path in kept)


def test_a_deny_list_that_breaks_while_it_works_shuts_the_gate_until_it_is_fetched(bench: Bench) -> None:
    bench.league.deny(cti("eve"))
    bench.ready()
    bench.agent.lists.deny_list._reader.close()

    assert bench.show("ada", 1) == "out_of_order"
    assert out_of_order(bench) == {"deny_list_broken"}
    bench.time.pass_by(seconds=31)
    bench.agent.exchange()

    assert bench.show("ada", 2) == "ok"
    assert bench.show("eve", 1) == "revoked"


def test_a_damaged_state_file_puts_the_gate_out_of_order_and_is_kept(bench: Bench) -> None:
    bench.ready().show("ada", 1)
    bench.agent.close()
    file = bench.config.state_folder / "gate.db"
    damaged = b"\xff" * 4096 + file.read_bytes()[4096:]
    file.write_bytes(damaged)

    bench.agent = bench._make()
    bench.agent.exchange()

    assert out_of_order(bench) == {"state_broken"}
    assert bench.show("ada", 1) == "out_of_order"
    assert file.read_bytes() == damaged
    assert any(path.name.endswith("gate.db") for path in (file.parent / "broken").iterdir())


# -- the clock --------------------------------------------------------------------------------------------------


def test_a_clock_that_lost_its_time_is_set_before_anything_opens(bench: Bench) -> None:
    bench.ready()
    bench.time.at -= timedelta(days=300)
    bench.time.start = bench.time.at
    bench.league.down = LinkDown("no network")
    bench.again()
    assert bench.show("ada", 1) == "out_of_order"
    assert "clock_unset" in out_of_order(bench)

    bench.league.down, bench.league.offset = None, timedelta(days=300, minutes=1)
    bench.time.pass_by(seconds=61)
    bench.agent.exchange()

    assert "clock_unset" not in out_of_order(bench)
    assert bench.agent.health().clock_offset_s == pytest.approx(300 * 86_400 + 60, abs=1)
    assert "clock_off" in alerts(bench)


def test_a_clock_that_is_off_is_set_and_told(bench: Bench) -> None:
    bench.league.offset = timedelta(seconds=90)
    bench.agent.exchange()

    assert alerts(bench) == {"clock_off"}
    assert bench.agent.clock.now() - bench.time.at == timedelta(seconds=90)
    bench.time.pass_by(seconds=61)
    bench.agent.exchange()
    assert alerts(bench) == set()


# -- taps up ----------------------------------------------------------------------------------------------------


def test_taps_wait_without_network_and_go_in_order_when_it_is_back(bench: Bench) -> None:
    bench.ready()
    bench.league.down = LinkDown("no network")
    for counter in range(1, 21):
        assert bench.show("ada", counter) == "ok"
        bench.time.pass_by(seconds=10)
        bench.agent.exchange()
    assert bench.agent.health().pending == 20
    assert "hand_in_failed" in alerts(bench)

    bench.league.down = None
    bench.time.pass_by(seconds=61)
    bench.agent.exchange()

    assert_chained(list(bench.league.taps.values()))
    assert (len(bench.league.taps), bench.agent.health().pending) == (20, 0)
    assert alerts(bench) == set()


def test_without_network_for_too_long_riders_have_their_offline_cap(bench: Bench) -> None:
    bench.ready()
    bench.league.down = LinkDown("no network")
    bench.time.pass_by(seconds=899)
    assert [bench.show("ada", counter, offline_cap=2) for counter in (1, 2, 3)] == ["ok"] * 3

    bench.time.pass_by(seconds=2)

    assert "offline" in alerts(bench)
    assert [bench.show("ada", counter, offline_cap=2) for counter in (4, 5, 6)] == ["ok", "ok", "offline_cap"]
    bench.league.down = None
    bench.time.pass_by(seconds=61)
    bench.agent.exchange()
    assert bench.show("ada", 7, offline_cap=2) == "ok"


def test_taps_that_wait_while_lists_are_fresh_are_offline_too(bench: Bench) -> None:
    bench.ready()

    def down(taps: Any) -> HandedIn:
        raise LinkDown("HTTP 503", retry_after_s=1)

    bench.league.hand_in = down
    bench.show("ada", 1)
    for _ in range(31):
        bench.time.pass_by(seconds=30)
        bench.agent.exchange()

    assert {"offline", "hand_in_failed"} <= alerts(bench)


def test_out_of_order_after_so_many_hours_where_it_was_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, more="[settings]\noffline_max_h = 2").ready()
    bench.league.down = LinkDown("no network")
    bench.time.pass_by(hours=2)
    assert bench.show("ada", 1) == "ok"

    bench.time.pass_by(seconds=1)

    assert bench.show("ada", 2) == "out_of_order"
    assert out_of_order(bench) == {"offline_too_long"}
    bench.agent.close()


def test_the_pause_that_the_back_office_asks_for_is_kept(bench: Bench) -> None:
    bench.ready().show("ada", 1)
    bench.league.down = LinkDown("HTTP 429", retry_after_s=40)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()
    bench.league.down = None

    for _ in range(38):
        bench.time.pass_by(seconds=1)
        bench.agent.exchange()
    assert bench.league.taps == {}
    for _ in range(13):
        bench.time.pass_by(seconds=1)
        bench.agent.exchange()

    assert len(bench.league.taps) == 1


def test_a_pause_of_days_is_not_believed(bench: Bench) -> None:
    bench.ready().show("ada", 1)
    bench.league.down = LinkDown("HTTP 503", retry_after_s=1e9)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()
    bench.league.down = None

    bench.time.pass_by(seconds=900 * 1.25)
    bench.agent.exchange()

    assert len(bench.league.taps) == 1


def test_a_batch_too_large_is_halved_until_it_fits(bench: Bench) -> None:
    bench.ready()
    whole = bench.league.hand_in

    def small_only(taps: Any) -> HandedIn:
        if len(taps) > 3:
            raise BatchRefused("HTTP 413")
        return whole(taps)

    bench.league.hand_in = small_only
    for counter in range(1, 31):
        bench.show("ada", counter)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()

    assert_chained(list(bench.league.taps.values()))
    assert (len(bench.league.taps), max(bench.league.batches)) == (30, 3)
    assert bench.agent.health().aside == {}


def test_a_tap_that_poisons_its_batch_is_put_aside_alone(bench: Bench) -> None:
    bench.ready()
    whole = bench.league.hand_in

    def not_the_fifth(taps: Any) -> HandedIn:
        if any(tap.sequence == 5 for tap in taps):
            raise BatchRefused("HTTP 422")
        return whole(taps)

    bench.league.hand_in = not_the_fifth
    for counter in range(1, 12):
        bench.show("ada", counter)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()

    assert sorted(bench.league.taps) == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert bench.agent.health().aside == {"gate.batch_refused": 1}
    bench.league.hand_in = whole
    bench.time.pass_by(hours=1, seconds=1)
    bench.agent.exchange()
    assert_chained([tap for _, tap in sorted(bench.league.taps.items())])
    assert bench.agent.health().aside == {}


def test_refused_taps_are_kept_shown_and_offered_again(bench: Bench) -> None:
    bench.league.refuse = {
        2: ("rides.unknown_token", "never heard of it"),
        3: ("rides.tap_from_future", "early"),
    }
    bench.ready()
    for counter in (1, 2, 3, 4):
        bench.show("ada", counter)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()

    health = bench.agent.health()
    assert (health.pending, dict(health.aside)) == (0, {"rides.unknown_token": 1, "rides.tap_from_future": 1})
    assert alerts(bench) == {"taps_refused"}
    bench.again()
    assert len(bench.agent.aside) == 2
    del bench.league.refuse[3]
    bench.time.pass_by(hours=1, seconds=1)
    bench.agent.exchange()
    assert dict(bench.agent.health().aside) == {"rides.unknown_token": 1}
    assert sorted(bench.league.taps) == [1, 3, 4]


def test_refusals_are_told_by_the_minute_and_codes_with_what_they_said(bench: Bench) -> None:
    bench.ready()
    for reason in ("ok", "replay", "replay"):
        assert bench.show("ada", 1) == reason
        bench.time.pass_by(seconds=1)
    bench.agent.show("nonsense")
    bench.league.down = LinkDown("no network")
    bench.time.pass_by(seconds=11)
    bench.agent.exchange()
    assert bench.league.refusals == []

    bench.league.down = None
    bench.time.pass_by(seconds=61)
    bench.agent.exchange()

    counts = {row["reason"]: row["count"] for row in bench.league.refusals}
    assert counts == {"malformed": 1, "replay": 2}
    assert len(bench.league.codes) == 2
    for row in bench.league.codes:
        assert (row["cti"], row["reason"], row["counter"]) == (cti("ada").hex(), "replay", 1)
    assert bench.agent.refusals.waiting == 0


def test_refusals_that_are_not_understood_hold_up_no_others(bench: Bench) -> None:
    bench.ready()
    whole = bench.league.tell_refusals

    def odd(rows: Any) -> None:
        raise BatchRefused("HTTP 422")

    bench.league.tell_refusals = odd
    bench.show("ada", 1)
    bench.time.pass_by(seconds=4)
    bench.show("ada", 1)
    bench.time.pass_by(seconds=61)
    bench.agent.exchange()
    assert (len(bench.league.codes), bench.agent.refusals.waiting) == (1, 0)

    bench.league.tell_refusals = whole
    bench.agent.show("nonsense")
    bench.time.pass_by(seconds=61)
    bench.agent.exchange()
    assert [row["reason"] for row in bench.league.refusals] == ["malformed"]


def test_what_was_refused_is_kept_within_bounds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.gate.agent.refusals.COUNTS_MAX", 10)
    bench.ready()
    bench.league.down = LinkDown("no network")
    for minute in range(30):
        bench.agent.show(f"nonsense {minute}")
        bench.time.pass_by(minutes=1)
    bench.league.down = None
    bench.time.pass_by(minutes=2)
    bench.agent.exchange()

    assert len(bench.league.refusals) == 10
    assert bench.league.refusals[-1]["minute"] == "2026-12-01T12:29:00Z"


def test_a_clock_that_lost_its_time_knows_the_last_tap(bench: Bench) -> None:
    bench.ready()
    bench.league.down = LinkDown("no network")
    bench.time.pass_by(days=1)
    assert bench.show("ada", 1) == "ok"
    bench.time.pass_by(hours=1)
    assert bench.show("ada", 2) == "ok"
    last_tap_at = bench.time.at

    bench.time.at -= timedelta(minutes=30)  # after both lists, before the last tap
    bench.time.start = bench.time.at
    bench.again()

    assert out_of_order(bench) == {"clock_unset"}
    assert bench.agent.clock.now() == last_tap_at
    assert bench.agent.health().last_tap_at == last_tap_at


# -- doors that fail --------------------------------------------------------------------------------------------


class BrokenDoor:
    is_broken = True

    def tell(self, notice: Notice) -> None:
        if self.is_broken:
            raise ActuatorFailed("The door is stuck.")

    def show_digits(self, digits: str | None) -> None:
        raise ActuatorFailed("There is no screen.")

    def close(self) -> None:
        pass


def test_a_door_that_is_stuck_loses_no_tap_and_is_told(bench: Bench) -> None:
    bench.ready()
    door = BrokenDoor()
    bench.agent._actuator = door

    assert bench.show("ada", 1) == "ok"

    assert alerts(bench) == {"actuator_failed"}
    assert bench.agent.health().pending == 1
    door.is_broken = False
    bench.show("ada", 2)
    assert alerts(bench) == set()


# -- running ----------------------------------------------------------------------------------------------------


class Texts:
    """A source of these texts."""

    is_there = True

    def __init__(self, *texts: str) -> None:
        self._texts = texts

    def texts(self, stopped: object) -> Iterator[str]:
        yield from self._texts


def test_the_end_of_the_source_hands_in_and_closes(bench: Bench) -> None:
    bench.ready()
    source: Source = Texts(*(code("ada", counter, bench.time.at) for counter in (1, 2, 2, 3)))

    bench.agent.run(source)

    assert sorted(bench.league.taps) == [1, 2, 3]
    bench.agent = bench._make()
    assert bench.agent.health().pending == 0


def test_health_is_json_and_metrics_are_prometheus(bench: Bench) -> None:
    bench.ready().show("ada", 1)
    health = bench.agent.health()

    told = json.loads(json.dumps(health.json()))
    metrics = health.metrics()

    assert (told["state"], told["pending"], told["decisions"]) == ("ok", 1, {"ok": 1})
    assert 'hansa_gate_decisions_total{reason="ok"} 1\n' in metrics
    assert "hansa_gate_in_service 1\n" in metrics
    assert 'hansa_gate_trouble{word="offline"} 0\n' in metrics
    names = [line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


# -- another device ---------------------------------------------------------------------------------------------


def test_a_new_device_goes_on_from_the_last_tap_that_is_known(bench: Bench, tmp_path: Path) -> None:
    bench.ready()
    for counter in (1, 2, 3):
        bench.show("ada", counter)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()
    bench.agent.close()
    shutil.rmtree(bench.config.state_folder)

    last = bench.league.taps[3]
    go_on(tmp_path / "gate.toml", 3, last.chain.hex())
    bench.agent = bench._make()
    bench.agent.exchange()
    assert bench.show("ada", 4) == "ok"
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()

    assert_chained([tap for _, tap in sorted(bench.league.taps.items())])
    assert len(bench.league.taps) == 4


@pytest.mark.parametrize(("sequence", "chain"), [(0, "00" * 32), (3, "00" * 31), (3, "x")])
def test_a_device_goes_on_from_no_nonsense(tmp_path: Path, sequence: int, chain: str) -> None:
    file = config_file(tmp_path)

    with pytest.raises(InvalidInput):
        go_on(file, sequence, chain)

    bench = Bench(tmp_path).ready()
    bench.show("ada", 1)
    assert bench.agent.health().sequence == 1
    bench.agent.close()
    with pytest.raises(InvalidInput, match="goes on from its own taps"):
        go_on(file, 3, "00" * 32)
    assert bench._make().health().sequence == 1


# -- with a link that is told at once ---------------------------------------------------------------------------


class SmallBroker:
    """The link over MQTT as the agent sees it, before the same league."""

    name = "mqtt"

    def __init__(self, league: SmallLeague) -> None:
        self.league, self.is_up, self.said = league, True, list[Any]()

    def start(self) -> None:
        self.said.append("start")

    def close(self) -> None:
        self.said.append("goodbye")

    def hand_in(self, taps: Sequence[Tap]) -> HandedIn:
        if not self.is_up:
            raise LinkDown("There is no connection to the broker.")
        return SmallLeague.hand_in(self.league, taps)

    def tell(self, telemetry: Mapping[str, Any]) -> None:
        self.said.append(telemetry)

    def tell_refusals(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.said.append(("refusals", len(rows)))

    def tell_refused_codes(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.said.append(("codes", len(rows)))

    def tell_seen(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        self.said.append((rider, counter, expires_at))


def test_taps_go_by_the_broker_and_over_http_while_it_is_away(bench: Bench) -> None:
    broker = SmallBroker(bench.league)
    bench.agent.join(broker)
    bench.ready()
    bench.show("ada", 1)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()
    broker.is_up = False
    bench.show("ada", 2)
    bench.time.pass_by(seconds=1)
    bench.agent.exchange()

    assert dict(bench.agent.health().handed_in) == {"mqtt": 1, "http": 1}
    assert_chained(list(bench.league.taps.values()))
    seen = [said for said in broker.said if isinstance(said, tuple)]
    ends_at = NOON + timedelta(hours=20)
    assert seen == [(KID + cti("ada"), 1, ends_at), (KID + cti("ada"), 2, ends_at)]
    bench.agent.close()
    assert broker.said[-1] == "goodbye"
    assert (broker.said[-2]["sequence"], broker.said[-2]["pending"]) == (2, 0)
    bench.agent = bench._make()


def test_a_deny_list_that_is_being_told_is_not_asked_for(bench: Bench) -> None:
    broker = SmallBroker(bench.league)
    bench.agent.join(broker)
    bench.ready()
    asked: list[int] = []
    whole = bench.league.deny_update
    bench.league.deny_update = lambda since: (asked.append(since), whole(since))[1]

    for _ in range(10):
        bench.time.pass_by(seconds=20)
        bench.agent.take_deny_update(whole(bench.league.deny_version))
        bench.agent.exchange()
    assert asked == []
    broker.is_up = False
    for _ in range(3):
        bench.time.pass_by(seconds=20)
        bench.agent.exchange()
    assert asked != []


def test_without_an_api_key_refusals_go_by_the_broker(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.agent.close()
    file = config_file(tmp_path, more='[mqtt]\nhost = "broker"')
    file.write_text(file.read_text().replace('api_key_env = "TEST_GATE_KEY"\n', ""))
    bench.config = read_config(file)
    assert bench.config.api_key is None
    bench.agent = bench._make()
    broker = SmallBroker(bench.league)
    bench.agent.join(broker)
    bench.ready().show("ada", 1)
    bench.time.pass_by(seconds=11)
    bench.show("ada", 1)
    bench.agent.exchange()

    assert ("refusals", 1) in broker.said and ("codes", 1) in broker.said
    assert bench.league.refusals == []
    bench.agent.close()


def test_a_counter_that_a_neighbour_heard_is_used_up_here(bench: Bench) -> None:
    bench.ready().agent.hear(KID + cti("ada"), 5, NOON + timedelta(hours=20))
    bench.agent.hear(b"nonsense", 5, NOON)

    assert bench.show("ada", 5) == "replay"
    bench.again()
    assert bench.show("ada", 6) == "ok"
    bench.time.pass_by(seconds=4)
    assert bench.show("ada", 5) == "replay"
