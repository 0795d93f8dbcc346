"""The trust list on the wire: only as the league's root signed it, only while it lasts, never an older one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.codes import TrustedKey, TrustList, TrustListRefused, cbor_encode, read_trust_list, sign_trust_list
from hansa.codes.cose import sign_eddsa
from hansa.codes.lists import TRUST_LIST_TYPE
from hansa.codes.vectors import example_issuer
from hansa.kernel import InvalidInput

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = example_issuer("root")
KEYS = tuple(
    TrustedKey(
        kid=bytes((0, 0, 0, number)),
        issuer_id=f"city-{number}-card",
        public_key=bytes((number,)) * 32,
        not_before=NOW - DAY,
        not_after=NOW + 90 * DAY,
        products=("metro", "bus"),
        status=status,
    )
    for number, status in enumerate(("active", "retired", "compromised"))
)
LIST = TrustList(version=7, issued_at=NOW, expires_at=NOW + 7 * DAY, keys=KEYS)
SIGNED = sign_trust_list(LIST, ROOT)


def test_a_list_survives_the_wire() -> None:
    read = read_trust_list(SIGNED, ROOT.public_key(), now=NOW, newer_than=6)

    assert read == LIST
    assert read.by_kid == {key.kid: key for key in KEYS}


def test_a_country_s_list_is_small() -> None:
    keys = tuple(
        TrustedKey(
            n.to_bytes(4, "big"),
            f"city-{n}-card",
            n.to_bytes(32, "big"),
            NOW,
            NOW + DAY,
            ("metro",),
            "active",
        )
        for n in range(352 * 3)
    )

    body = sign_trust_list(TrustList(1, NOW, NOW + DAY, keys), ROOT)

    assert len(body) < 80_000
    assert read_trust_list(body, ROOT.public_key()).keys == keys


@pytest.mark.parametrize(
    ("now", "newer_than", "why"),
    [
        (NOW + 7 * DAY, None, "ended"),
        (NOW, 7, "not newer"),
        (NOW, 8, "not newer"),
    ],
)
def test_an_old_list_is_refused(now: datetime, newer_than: int | None, why: str) -> None:
    with pytest.raises(TrustListRefused, match=why):
        read_trust_list(SIGNED, ROOT.public_key(), now=now, newer_than=newer_than)


def test_a_list_another_signed_is_refused() -> None:
    with pytest.raises(TrustListRefused, match="not signed by the league's root"):
        read_trust_list(sign_trust_list(LIST, example_issuer("one")), ROOT.public_key())


def test_another_thing_the_root_signed_is_no_list() -> None:
    payload = cbor_encode({1: 8, 2: 0, 3: 2**31, 4: []})

    headers: list[dict[int | str, object]] = [{}, {3: "text/plain"}, {3: TRUST_LIST_TYPE, 4: b"root"}]
    for header in headers:
        with pytest.raises(TrustListRefused):
            read_trust_list(sign_eddsa(ROOT, header, payload), ROOT.public_key())
    assert read_trust_list(sign_eddsa(ROOT, {3: TRUST_LIST_TYPE}, payload), ROOT.public_key()).version == 8


ROW = [b"kid1", "city", bytes(32), 0, 1, 1, 0]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        {1: 1, 2: 0, 3: 0},
        {1: "1", 2: 0, 3: 0, 4: []},
        [0, 1, 2, 3, []],
        {1: 1, 2: 0, 3: 0, 4: {}},
        {1: 1, 2: 0, 3: 0, 4: [], 5: 0},
        {1: True, 2: 0, 3: 0, 4: []},
        {1: 1, 2: 2**63, 3: 0, 4: []},
        {1: 1, 2: 0, 3: -1, 4: []},
        {1: 1, 2: 0, 3: 0, 4: [[]]},
        {1: 1, 2: 0, 3: 0, 4: [5]},
        {1: 1, 2: 0, 3: 0, 4: [ROW, ROW]},
        *(
            {1: 1, 2: 0, 3: 0, 4: [[*ROW[:place], odd, *ROW[place + 1 :]]]}
            for place, odd in enumerate([b"kid", 5, bytes(31), "x", None, 1 << 20, 3])
        ),
    ],
)
def test_a_signed_list_that_makes_no_sense_is_refused(fields: object) -> None:
    body = sign_eddsa(ROOT, {3: TRUST_LIST_TYPE}, cbor_encode(fields))

    with pytest.raises(TrustListRefused, match="cannot be read"):
        read_trust_list(body, ROOT.public_key())


@given(place=st.integers(0, len(SIGNED) - 1), bit=st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_no_bit_flip_of_a_list_is_accepted(place: int, bit: int) -> None:
    spoilt = bytearray(SIGNED)
    spoilt[place] ^= 1 << bit

    with pytest.raises(TrustListRefused):
        read_trust_list(bytes(spoilt), ROOT.public_key())


@given(st.binary(max_size=120) | st.binary(max_size=20).map(SIGNED.__add__))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    if data != SIGNED:
        with pytest.raises(TrustListRefused):
            read_trust_list(data, ROOT.public_key())


def test_a_key_id_stands_in_a_list_once() -> None:
    with pytest.raises(InvalidInput):
        TrustList(1, NOW, NOW + DAY, (KEYS[0], KEYS[0]))
