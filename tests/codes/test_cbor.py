"""Deterministic CBOR: one byte string for each value, and no other is read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.codes import MalformedCbor, NotCanonical, cbor_decode, cbor_encode

KEYS = st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=5) | st.text(max_size=5)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.binary(max_size=20)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (65536, "1a00010000"),
        (-1, "20"),
        (-500, "3901f3"),
        (b"\x01\x02", "420102"),
        ("ü", "62c3bc"),
        ([1, [2, 3]], "8201820203"),
        (True, "f5"),
        (None, "f6"),
        ({}, "a0"),
        # RFC 8949 section 4.2.1: by the bytes of the keys; the length-first order would put -1 before 100.
        ({"aa": 5, 100: 2, -1: 3, 10: 1, "z": 4}, "a50a011864022003617a0462616105"),
    ],
)
def test_values_have_the_bytes_of_the_standard(value: object, data: str) -> None:
    assert cbor_encode(value).hex() == data
    assert cbor_decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("1817", "23 in two bytes"),
        ("1900ff", "255 in three bytes"),
        ("1a0000ffff", "65,535 in five bytes"),
        ("1b00000000ffffffff", "4,294,967,295 in nine bytes"),
        ("3817", "-24 in two bytes"),
        ("580100", "a length in two bytes"),
        ("9f01ff", "an array without a length"),
        ("bf0101ff", "a map without a length"),
        ("5f4101ff", "bytes in pieces"),
        ("7f6161ff", "text in pieces"),
        ("a202010102", "keys out of order"),
        ("a201010102", "a key twice"),
        ("a2200102ff", "-1 before 2"),
        ("0000", "something after the end"),
        ("9f1c", "the first of two faults counts"),
    ],
)
def test_another_way_of_writing_it_is_refused(data: str, why: str) -> None:
    with pytest.raises(NotCanonical):
        cbor_decode(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "nothing"),
        ("82", "an array cut short"),
        ("5bffffffffffffffff", "a length past all memory"),
        ("9bffffffffffffffff", "an array past all memory"),
        ("fb3ff8000000000000", "a float"),
        ("f7", "undefined"),
        ("f8ff", "a simple value"),
        ("61ff", "text that is not UTF-8"),
        ("a1f501", "a truth as a key"),
        ("a1810101", "an array as a key"),
        ("81" * 50 + "00", "arrays too deep"),
        ("ff", "an end of nothing"),
        ("1c", "a head of a kind to come"),
        ("1f", "a number without a length"),
        ("19ff", "a head cut short"),
        ("82ff1817", "the first of two faults counts"),
        ("a1f61817", "a key that is none, before its value"),
    ],
)
def test_what_hansa_never_writes_is_refused(data: str, why: str) -> None:
    with pytest.raises(MalformedCbor):
        cbor_decode(bytes.fromhex(data))


# Tags that a general decoder acts upon (dates, great numbers, regular expressions, shared values ...), and others.
TAGS = [
    0,
    1,
    2,
    3,
    4,
    5,
    18,
    24,
    25,
    28,
    29,
    30,
    35,
    36,
    37,
    52,
    54,
    99,
    100,
    256,
    258,
    260,
    1004,
    43000,
    55799,
    65537,
]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("content", [1, "a", b"\x01", [3, 1], [2**62, 1], {}])
def test_no_tag_is_read_nor_acted_upon(tag: int, content: object) -> None:
    head = {tag < 24: f"{0xC0 | tag & 0x1F:02x}", 24 <= tag < 256: f"d8{tag:02x}"}.get(True)
    head = head or (f"d9{tag:04x}" if tag < 65536 else f"da{tag:08x}")

    with pytest.raises(MalformedCbor):
        cbor_decode(bytes.fromhex(head) + cbor_encode(content))


@given(VALUES)
def test_values_survive(value: object) -> None:
    assert cbor_decode(cbor_encode(value)) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_the_one_writing_of_a_value_or_refused(data: bytes) -> None:
    try:
        value = cbor_decode(data)
    except (MalformedCbor, NotCanonical):
        return

    assert cbor_encode(value) == data
