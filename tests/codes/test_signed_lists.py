"""Deny lists and settings on the wire: only as the league's list key signed them, and only forwards."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.codes import (
    DenyListRefused,
    DenyUpdate,
    Settings,
    SettingsRefused,
    TrustList,
    TrustListRefused,
    deny_update,
    read_deny_update,
    read_settings,
    read_trust_list,
    require_next,
    sign_deny_update,
    sign_settings,
    sign_trust_list,
)
from hansa.codes.vectors import example_issuer

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = example_issuer("lists")
UPDATE = deny_update(8, 5, NOW, [(b"revoked1", NOW + HOUR), (b"revoked2", NOW + 20 * HOUR)])
SIGNED = sign_deny_update(UPDATE, KEY)
SETTINGS = Settings("gate/1", 3, NOW, {"words": {"ok": "Bitte gehen Sie"}, "offline_after_s": 900})
SIGNED_SETTINGS = sign_settings(SETTINGS, KEY)

CTIS = st.binary(min_size=8, max_size=8)
ENDS = st.integers(1, 48 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(tokens=st.dictionaries(CTIS, ENDS, max_size=40), since=st.integers(0, 9), more=st.integers(0, 9))
@settings(max_examples=200, deadline=None)
def test_an_update_survives_the_wire(tokens: dict[bytes, datetime], since: int, more: int) -> None:
    update = deny_update(since + more, since, NOW, tokens.items())
    read = read_deny_update(sign_deny_update(update, KEY), KEY.public_key())

    assert read == update
    told = dict(read.tokens())
    assert set(told) == set(tokens)
    # Each stays on the list to its end, and less than an hour longer.
    assert all(timedelta(0) <= told[cti] - ends_at < HOUR for cti, ends_at in tokens.items())
    assert all(ends_at.timestamp() % 3600 == 0 for ends_at in told.values())


def test_a_token_costs_eight_bytes() -> None:
    tokens = [(number.to_bytes(8, "big"), NOW + (number % 24) * HOUR) for number in range(10_000)]

    assert len(sign_deny_update(deny_update(1, 0, NOW, tokens), KEY)) < 80_000 + 400


def test_an_update_without_tokens_says_that_nothing_is_new() -> None:
    read = read_deny_update(sign_deny_update(deny_update(8, 8, NOW, []), KEY), KEY.public_key())

    assert (read.version, read.since, read.groups, list(read.tokens())) == (8, 8, (), [])


@pytest.mark.parametrize(
    ("version", "issued_at", "why"),
    [
        (4, None, "a gap: the update goes on from version 5; 4 is in use"),
        (0, None, "a gap"),
        (9, None, "8 is older than 9"),
        (8, NOW + timedelta(seconds=1), "older than one that came before"),
    ],
)
def test_an_update_that_does_not_go_on_is_refused(version: int, issued_at: datetime | None, why: str) -> None:
    with pytest.raises(DenyListRefused, match=why):
        require_next(UPDATE, version=version, issued_at=issued_at)


@pytest.mark.parametrize(
    ("version", "issued_at"),
    [(5, None), (5, NOW + HOUR), (6, NOW), (7, None), (8, None), (8, NOW), (8, NOW - HOUR)],
)
def test_an_update_that_goes_on_is_taken(version: int, issued_at: datetime | None) -> None:
    require_next(UPDATE, version=version, issued_at=issued_at)


def test_no_list_can_be_taken_for_another() -> None:
    trust_list = sign_trust_list(TrustList(1, NOW, NOW + HOUR, ()), KEY)
    public = KEY.public_key()

    for data in (trust_list, SIGNED_SETTINGS):
        with pytest.raises(DenyListRefused, match="not signed by the league's list key"):
            read_deny_update(data, public)
    for data in (trust_list, SIGNED):
        with pytest.raises(SettingsRefused, match="not signed by the league's list key"):
            read_settings(data, public, device_id="gate/1")
    for data in (SIGNED, SIGNED_SETTINGS):
        with pytest.raises(TrustListRefused):
            read_trust_list(data, public)


def test_what_another_key_signed_is_refused() -> None:
    public = example_issuer("one").public_key()

    with pytest.raises(DenyListRefused):
        read_deny_update(SIGNED, public)
    with pytest.raises(SettingsRefused):
        read_settings(SIGNED_SETTINGS, public, device_id="gate/1")


@given(place=st.integers(0, max(len(SIGNED), len(SIGNED_SETTINGS)) - 1), bit=st.integers(0, 7))
@settings(max_examples=400, deadline=None)
def test_no_bit_flip_is_taken(place: int, bit: int) -> None:
    for data in (SIGNED, SIGNED_SETTINGS):
        spoilt = bytearray(data)
        spoilt[place % len(data)] ^= 1 << bit
        with pytest.raises(DenyListRefused):
            read_deny_update(bytes(spoilt), KEY.public_key())
        with pytest.raises(SettingsRefused):
            read_settings(bytes(spoilt), KEY.public_key(), device_id="gate/1")


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(values=st.dictionaries(WORDS, VALUES, max_size=4))
@settings(max_examples=200, deadline=None)
def test_settings_survive_the_wire(values: dict[str, Any]) -> None:
    told = Settings("gate/1", 4, NOW, values)

    read = read_settings(sign_settings(told, KEY), KEY.public_key(), device_id="gate/1", newer_than=3)

    assert read == told


@pytest.mark.parametrize(
    ("device_id", "newer_than", "why"),
    [
        ("gate/2", None, "for gate/1, not for gate/2"),
        ("gate/1", 3, "Settings 3 are not newer than 3"),
        ("gate/1", 4, "not newer than 4"),
    ],
)
def test_settings_of_another_device_and_older_ones_are_refused(
    device_id: str, newer_than: int | None, why: str
) -> None:
    with pytest.raises(SettingsRefused, match=why):
        read_settings(SIGNED_SETTINGS, KEY.public_key(), device_id=device_id, newer_than=newer_than)


def test_the_list_key_stands_in_the_trust_list() -> None:
    root, public = example_issuer("root"), KEY.public_key().public_bytes_raw()
    trust_list = TrustList(2, NOW, NOW + HOUR, (), public)

    assert read_trust_list(sign_trust_list(trust_list, root), root.public_key()).list_key == public


def test_tokens_of_an_update_stand_in_order() -> None:
    update = DenyUpdate(1, 0, NOW, ((NOW, b"aaaaaaaabbbbbbbb"), (NOW + HOUR, b"cccccccc")))

    assert list(update.tokens()) == [(b"aaaaaaaa", NOW), (b"bbbbbbbb", NOW), (b"cccccccc", NOW + HOUR)]
