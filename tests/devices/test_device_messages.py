"""What devices say, read: whatever comes is either words of ours, in bounds, or refused; nothing else happens."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.apps.devices.messages import (
    TAPS_MAX,
    Unreadable,
    read_refused,
    read_state,
    read_taps,
    read_telemetry,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TAP: dict[str, Any] = {
    "tap_id": "01890000-0000-7000-8000-000000000001",
    "gate_id": "g",
    "sequence": 1,
    "action": "entry",
    "stop_id": None,
    "tapped_at": "2026-11-28T12:00:00Z",
    "cti": "5a" * 8,
    "counter": 1,
    "kid": "0b" * 4,
    "made_at": "2026-11-28T12:00:00Z",
    "list_version": 0,
    "chain": "00" * 32,
}
CODE: dict[str, Any] = {
    "gate_id": "g",
    "at": "2026-11-28T12:00:00Z",
    "reason": "replay",
    "kid": "0b" * 4,
    "cti": "5a" * 8,
    "counter": 1,
    "made_at": "2026-11-28T12:00:00Z",
}
NAMES = sorted(
    TAP.keys()
    | {"taps", "refusals", "codes", "online", "session", "tally", "pending", "at", "firmware", "count"}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([TAP, CODE]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=20,
)


def all_read(data: bytes) -> list[object]:
    """What each reader makes of these bytes; nothing where it refuses."""
    made: list[object] = []
    for read in (
        lambda: read_state("box", data),
        lambda: read_telemetry("box", data, NOW),
        lambda: read_taps(data),
        lambda: read_refused(data),
    ):
        try:
            made.append(read())
        except Unreadable:
            continue
    return made


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    all_read(data)


@given(JSON)
def test_any_json_is_read_or_refused(value: object) -> None:
    all_read(json.dumps(value).encode())


@given(st.sampled_from(sorted(TAP)), JSON)
def test_a_tap_with_any_one_field_changed_is_in_bounds_or_refused(name: str, value: object) -> None:
    body = json.dumps({"taps": [{**TAP, name: value}]}).encode()

    try:
        (tap,) = read_taps(body)
    except Unreadable:
        return

    assert 1 <= tap.sequence <= 2**53
    assert (len(tap.cti), len(tap.kid), len(tap.chain)) == (8, 4, 32)
    assert 0 <= tap.counter < 2**32
    assert "\0" not in tap.gate_id + (tap.stop_id or "")
    assert tap.tapped_at.tzinfo is UTC
    assert 2000 <= tap.tapped_at.year < 2200


@pytest.mark.parametrize(
    "body",
    [
        {"taps": []},
        {"taps": [TAP] * (TAPS_MAX + 1)},
        {"taps": [{**TAP, "tapped_at": "2026-11-28T12:00:00"}]},
        {"taps": [{**TAP, "tapped_at": "1999-12-31T23:59:59Z"}]},
        {"taps": [{**TAP, "cti": "5A" * 8}]},
        {"taps": [{**TAP, "companion": 16}]},
        {"taps": [{name: value for name, value in TAP.items() if name != "chain"}]},
    ],
)
def test_batches_out_of_bounds_are_refused(body: object) -> None:
    with pytest.raises(Unreadable):
        read_taps(json.dumps(body).encode())


def test_what_is_in_bounds_is_read() -> None:
    (tap,) = read_taps(json.dumps({"taps": [{**TAP, "companion": 2}]}).encode())
    told = read_refused(json.dumps({"codes": [CODE]}).encode())
    telemetry = read_telemetry(
        "box", b'{"at": "2026-11-28T12:00:02.5Z", "tally": {"ok": 3, "replay": 1}}', NOW
    )

    assert (tap.companion, tap.gate_id) == (2, "g")
    assert (told.gates, told.codes[0].companion) == ({"g"}, 0)
    assert (telemetry.clock_offset_ms, telemetry.accepted, telemetry.refused) == (2500, 3, 1)


def test_json_nested_beyond_reason_is_refused() -> None:
    assert all_read(b'{"tally": ' + b"[" * 100_000 + b"]" * 100_000 + b"}") == []
