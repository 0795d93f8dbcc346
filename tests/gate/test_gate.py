"""A gate: opens once for a code, numbers and chains its taps, and forgets nothing it must know."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gate.agents import link
from hansa.codes import (
    CHAIN_START,
    Scope,
    TrustedKey,
    TrustList,
    TrustListRefused,
    make_code,
    make_token,
)
from hansa.codes.vectors import example_device, example_issuer
from hansa.gate import (
    OK,
    DenyList,
    FileState,
    Gate,
    GateIdentity,
    StateFailed,
    Tap,
    WrongGate,
    rider_of,
    tap_from_json,
)
from hansa.gate.conformance import NOW
from hansa.kernel import InvalidInput, fact_id

SECOND = timedelta(seconds=1)
SCOPE = Scope("adult", ("metro",), (), 8)
ENTRY = GateIdentity("beijing/xizhimen/01", "beijing-subway", "beijing/xizhimen", "entry", "metro", b"abc")


def trust_list() -> TrustList:
    keys = tuple(
        TrustedKey(
            kid=bytes.fromhex(kid),
            issuer_id=f"{name}-card",
            public_key=example_issuer(name).public_key().public_bytes_raw(),
            not_before=NOW - timedelta(days=90),
            not_after=NOW + timedelta(days=90),
            products=("metro", "bus"),
            status="active",
        )
        for kid, name in (("48524330", "one"), ("48524331", "two"))
    )
    return TrustList(7, NOW - timedelta(days=1), NOW + timedelta(days=6), keys)


def code(
    rider: str,
    counter: int,
    *,
    at: datetime = NOW,
    expires_at: datetime = NOW + timedelta(hours=20),
    scope: Scope = SCOPE,
    companion: int = 0,
    challenge: int | None = None,
) -> str:
    device = example_device(rider)
    token = make_token(
        example_issuer("one"),
        kid=bytes.fromhex("48524330"),
        cti=cti(rider),
        expires_at=expires_at,
        device_key=device.public_key(),
        scope=scope,
    )
    return make_code(
        device, token, made_at=at, counter=counter, cell=b"abc", companion=companion, challenge=challenge
    )


def cti(rider: str) -> bytes:
    return rider.encode().ljust(8, b"-")


def gate(state: FileState | None = None, deny_list: DenyList | None = None) -> Gate:
    return Gate(ENTRY, trust_list(), state=state, deny_list=deny_list)


def test_a_good_code_becomes_a_tap() -> None:
    entry = gate(deny_list=DenyList(12, frozenset()))

    decision = entry.decide(code("ada", 7), NOW + SECOND)

    assert (decision.accepted, decision.reason) == (True, OK)
    assert decision.took_ns > 0
    assert decision.tap == Tap(
        tap_id=fact_id(NOW + SECOND, ENTRY.gate_id, 1),
        gate_id=ENTRY.gate_id,
        sequence=1,
        action="entry",
        stop_id="beijing/xizhimen",
        tapped_at=NOW + SECOND,
        cti=cti("ada"),
        counter=7,
        kid=bytes.fromhex("48524330"),
        made_at=NOW,
        list_version=12,
        chain=decision.tap.chain if decision.tap else b"",
    )
    assert entry.pending() == [decision.tap]


def test_a_companion_has_a_counter_of_their_own() -> None:
    entry = gate()
    scope = Scope("adult", ("metro",), (), 8, companions=2)

    reasons = [
        entry.decide(code("ada", counter, companion=companion, scope=scope), NOW).reason
        for companion, counter in ((0, 5), (1, 5), (1, 5), (2, 1), (0, 5), (1, 6), (0, 6), (3, 1))
    ]

    assert reasons == [OK, OK, "replay", OK, "replay", OK, OK, "companion_not_allowed"]
    assert [(tap.companion, tap.counter) for tap in entry.pending()] == [
        (0, 5),
        (1, 5),
        (2, 1),
        (1, 6),
        (0, 6),
    ]
    previous = CHAIN_START
    for tap in entry.pending():
        assert tap_from_json(tap.json()) == tap
        assert tap.chain == link(previous, tap)
        previous = tap.chain


def test_digits_on_the_screen_must_be_answered() -> None:
    entry = gate()

    assert entry.decide(code("ada", 1), NOW, challenge=42).reason == "wrong_challenge"
    assert entry.decide(code("ada", 2, challenge=43), NOW, challenge=42).reason == "wrong_challenge"
    assert entry.decide(code("ada", 3, challenge=42), NOW).reason == "wrong_challenge"
    assert entry.decide(code("ada", 4, challenge=42), NOW, challenge=42).accepted


def test_without_network_a_token_rides_as_often_as_its_issuer_answers_for(tmp_path: Path) -> None:
    scope = Scope("adult", ("metro",), (), 2, companions=1)
    file = tmp_path / "gate.db"

    def show(counter: int, *, online: bool, companion: int = 0) -> str:
        """To a gate whose power failed just before."""
        text = code("ada", counter, scope=scope, companion=companion)
        return gate(FileState(file)).decide(text, NOW, online=online).reason

    assert [show(1, online=False), show(1, online=False, companion=1)] == [OK, OK]
    assert show(2, online=False) == "offline_cap"
    assert show(2, online=False) == "offline_cap"  # it was not let in, so it is no replay
    assert show(1, online=False) == "replay"
    assert show(2, online=True) == OK
    assert [show(counter, online=False) for counter in (3, 4, 5)] == [OK, OK, "offline_cap"]


def test_the_way_out_is_no_ride_to_be_counted() -> None:
    way_out = Gate(replace(ENTRY, action="exit"), trust_list())
    scope = Scope("adult", ("metro",), (), 0)

    for counter in range(1, 4):
        assert way_out.decide(code("ada", counter, scope=scope), NOW, online=False).accepted
    assert gate().decide(code("ada", 1, scope=scope), NOW, online=False).reason == "offline_cap"


def test_a_refused_code_leaves_only_a_tally() -> None:
    entry = gate()
    entry.decide(code("ada", 7), NOW)
    before = entry.pending()

    for text in (code("ada", 7), code("ada", 6), "nonsense"):
        assert not entry.decide(text, NOW).accepted

    assert entry.pending() == before
    assert dict(entry.tally) == {OK: 1, "replay": 2, "malformed": 1}
    assert entry.decide(code("ada", 8), NOW).tap is not None
    assert [tap.sequence for tap in entry.pending()] == [1, 2]


def test_each_tap_seals_all_before_it() -> None:
    entry = gate()
    for counter in range(1, 6):
        entry.decide(code("ada", counter), NOW + counter * SECOND)

    taps = entry.pending()

    previous = CHAIN_START
    for tap in taps:
        assert tap.chain == link(previous, tap)
        previous = tap.chain
    assert [tap.sequence for tap in taps] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("field", ["gate_id", "sequence", "counter", "stop_id", "tapped_at", "list_version"])
def test_a_changed_tap_breaks_the_chain(field: str) -> None:
    tap = gate().decide(code("ada", 1), NOW).tap
    assert tap is not None
    other = {
        "gate_id": "elsewhere",
        "sequence": 2,
        "counter": 2,
        "stop_id": None,
        "tapped_at": NOW + timedelta(microseconds=1),
        "list_version": 1,
    }[field]
    spoilt = tap_from_json(tap.json())
    object.__setattr__(spoilt, field, other)

    assert link(CHAIN_START, tap) == tap.chain
    assert link(CHAIN_START, spoilt) != tap.chain


def test_a_tap_survives_json() -> None:
    tap = gate().decide(code("ada", 1), NOW + timedelta(microseconds=123456)).tap
    assert tap is not None

    assert tap.json()["tapped_at"] == "2026-11-17T12:00:00.123456Z"
    assert tap_from_json(tap.json()) == tap


def test_acknowledged_taps_are_let_go_in_order() -> None:
    entry = gate()
    for counter in range(1, 6):
        entry.decide(code("ada", counter), NOW)

    entry.acknowledge(2)
    entry.acknowledge(2)
    entry.acknowledge(0)

    assert [tap.sequence for tap in entry.pending()] == [3, 4, 5]
    assert [tap.sequence for tap in entry.pending(limit=1)] == [3]


def test_taps_never_made_cannot_be_acknowledged() -> None:
    entry = gate()
    entry.decide(code("ada", 1), NOW)

    with pytest.raises(InvalidInput):
        entry.acknowledge(2)

    assert len(entry.pending()) == 1


def test_a_revoked_token_is_refused_from_the_list_that_names_it() -> None:
    entry = gate()
    assert entry.decide(code("ada", 1), NOW).accepted

    assert entry.use_deny_list(DenyList(3, frozenset()).grown(5, [cti("ada")]))

    assert entry.decide(code("ada", 2), NOW).reason == "revoked"
    assert not entry.use_deny_list(DenyList(4, frozenset()))
    assert entry.decide(code("ada", 3), NOW).reason == "revoked"
    assert entry.decide(code("bea", 1), NOW).tap is not None
    assert entry.pending()[-1].list_version == 5


def test_what_a_neighbour_let_in_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    state = FileState(tmp_path / "gate")
    entry, neighbour = gate(state), gate()
    used = neighbour.decide(code("ada", 7), NOW)
    assert used.shown is not None and used.tap is not None

    entry.hear(rider_of(used.shown), used.tap.counter, used.shown.token_expires_at)
    entry.hear(rider_of(used.shown), 3, used.shown.token_expires_at)  # late: nothing changes
    state.close()
    entry = gate(FileState(tmp_path / "gate"))

    assert entry.decide(code("ada", 7), NOW).reason == "replay"
    assert entry.decide(code("ada", 7, companion=1), NOW).reason == "companion_not_allowed"
    assert entry.decide(code("bea", 7), NOW).accepted
    assert entry.decide(code("ada", 8), NOW).accepted


@pytest.mark.parametrize(
    ("rider", "counter"), [(b"short", 1), (bytes(14), 1), (bytes(12), -1), (bytes(13), 2**32)]
)
def test_what_no_neighbour_can_say_changes_nothing(tmp_path: Path, rider: bytes, counter: int) -> None:
    state = FileState(tmp_path / "gate")
    entry = gate(state)

    with pytest.raises(InvalidInput):
        entry.hear(rider, counter, NOW + SECOND)

    assert state.load(ENTRY.gate_id).counters == {}


def test_a_decision_says_what_was_shown_where_both_signatures_are_good() -> None:
    entry = gate()
    assert entry.decide(code("ada", 2), NOW).shown is not None

    replayed = entry.decide(code("ada", 2), NOW)
    old = entry.decide(code("ada", 3, at=NOW - timedelta(minutes=5)), NOW)
    forged = entry.decide(code("ada", 4)[:-8] + "00000000", NOW)

    assert replayed.shown is not None and (replayed.reason, replayed.shown.counter) == ("replay", 2)
    assert old.shown is not None and (old.reason, old.shown.counter) == ("clock_skew", 3)
    assert forged.shown is None


def test_a_compromised_key_is_refused_though_its_token_is_known() -> None:
    entry = gate()
    assert entry.decide(code("ada", 1), NOW).accepted
    old = entry.trust_list

    entry.use_trust_list(TrustList(old.version + 1, NOW, old.expires_at, old.keys[1:]))

    assert entry.decide(code("ada", 2), NOW).reason == "untrusted_issuer"
    with pytest.raises(TrustListRefused):
        entry.use_trust_list(old)
    assert entry.decide(code("ada", 2), NOW).reason == "untrusted_issuer"


def test_an_ended_trust_list_opens_for_nobody() -> None:
    entry = gate()
    end = entry.trust_list.expires_at

    decision = entry.decide(code("ada", 1, at=end, expires_at=end + timedelta(hours=9)), end)

    assert decision.reason == "trust_list_expired"


def test_a_gate_goes_on_where_the_power_failed(tmp_path: Path) -> None:
    file = tmp_path / "gate.db"
    before = gate(FileState(file))
    for counter in (1, 2, 3):
        before.decide(code("ada", counter), NOW)
    before.acknowledge(1)
    kept = before.pending()

    after = gate(FileState(file))  # the first one was never closed

    assert after.pending() == kept
    assert after.decide(code("ada", 3), NOW).reason == "replay"
    decision = after.decide(code("ada", 4), NOW)
    assert decision.tap is not None
    assert decision.tap.sequence == 4
    assert decision.tap.chain == link(kept[-1].chain, decision.tap)


def test_a_state_file_serves_one_gate(tmp_path: Path) -> None:
    gate(FileState(tmp_path / "gate.db"))

    with pytest.raises(WrongGate):
        FileState(tmp_path / "gate.db").load("another/gate")


def test_a_gate_that_cannot_write_does_not_open(tmp_path: Path) -> None:
    state = FileState(tmp_path / "gate.db")
    entry = gate(state)
    entry.decide(code("ada", 1), NOW)
    state.close()

    with pytest.raises(StateFailed):
        entry.decide(code("ada", 2), NOW)

    assert entry.tally == {OK: 1}
    assert [tap.sequence for tap in gate(FileState(tmp_path / "gate.db")).pending()] == [1]


def test_a_damaged_state_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "gate.db").write_bytes(b"not a database" * 100)

    with pytest.raises(StateFailed):
        FileState(tmp_path / "gate.db")


def test_counters_of_ended_tokens_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.gate.keeping._FORGET_EVERY", 3)
    entry = gate(FileState(tmp_path / "gate.db"))
    entry.decide(code("ada", 1, expires_at=NOW + timedelta(minutes=1)), NOW)
    later = NOW + timedelta(minutes=2)
    for rider in ("bea", "cyd"):
        entry.decide(code(rider, 1, at=later), later)

    assert {token[4:] for token in entry._memory.counters} == {cti("bea"), cti("cyd")}
    assert {token[4:] for token in FileState(tmp_path / "gate.db").load(ENTRY.gate_id).counters} == {
        cti("bea"),
        cti("cyd"),
    }
    assert (
        entry.decide(code("ada", 1, expires_at=NOW + timedelta(minutes=1)), later).reason == "token_expired"
    )


WORK = """
import sys
from pathlib import Path

from hansa.gate import FileState, Gate
from test_gate import ENTRY, NOW, code, trust_list

gate = Gate(ENTRY, trust_list(), state=FileState(Path(sys.argv[1])))
for counter in range(1, 60_000):
    assert gate.decide(code("ada", counter), NOW).accepted
    print(counter, flush=True)
"""


def test_what_a_killed_gate_told_a_rider_it_still_knows(tmp_path: Path) -> None:
    file = tmp_path / "gate.db"
    search = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(file)], stdout=subprocess.PIPE, env=search, text=True
    ) as work:
        assert work.stdout is not None
        told = [int(work.stdout.readline()) for _ in range(50)][-1]
        work.kill()
        told = max([told, *(int(line) for line in work.stdout if line.endswith("\n"))])

    taps = gate(FileState(file)).pending(limit=60_000)

    assert told <= len(taps) <= told + 1
    assert [tap.sequence for tap in taps] == list(range(1, len(taps) + 1))
    previous = CHAIN_START
    for tap in taps:
        assert tap.chain == link(previous, tap)
        previous = tap.chain
