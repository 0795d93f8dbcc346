"""The canonical form: one way to write each subject, and nothing else is read."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import approval, identity
from hansa.approval import Channel, NotCanonical, Spend, challenge_of, read_canonical, write_canonical
from hansa.kernel import Money

EXAMPLE = Spend(
    spend_id=UUID("0198d1a4-0000-7000-8000-000000000001"),
    account_id=identity.AccountId(UUID("0198d1a4-0000-7000-8000-00000000000a")),
    amount=Money(12050, "CNY"),
    payee_key="merchant:0198d1a4-0000-7000-8000-0000000000ff",
    payee_name="茶馆 “Tea & Co”",
    channel=Channel.QR,
)
"""The worked example of docs/approval.md."""


def example() -> approval.Subject:
    return approval.subject_for(
        EXAMPLE,
        kind="payment",
        subject_id=EXAMPLE.spend_id,
        asked_at=datetime(2026, 11, 28, 12, 0, tzinfo=UTC),
        about="Table 4",
    )


def test_the_worked_example() -> None:
    octets = example().canonical

    assert octets.decode() == (
        '{"about":"Table 4","account":"0198d1a4-0000-7000-8000-00000000000a","amount":{"currency":"CNY","minor":12050},'
        '"asked_at":"2026-11-28T12:00:00.000000Z","channel":"qr","details":{},"form":"hansa approval 1",'
        '"id":"0198d1a4-0000-7000-8000-000000000001","kind":"payment",'
        '"payee":{"key":"merchant:0198d1a4-0000-7000-8000-0000000000ff","name":"茶馆 “Tea & Co”"}}'
    )
    assert challenge_of(octets) == sha256(octets).digest()
    assert challenge_of(octets).hex() == "57fa9950debd211155e6fc65ac6d04898c9cbf14ebdc152a3f04796393b431fe"


def test_a_subject_is_read_back_as_it_was_written() -> None:
    shown = example().shown

    assert (shown.amount, shown.payee_name, shown.about) == (EXAMPLE.amount, EXAMPLE.payee_name, "Table 4")
    assert (shown.subject_id, shown.account_id) == (EXAMPLE.spend_id, EXAMPLE.account_id)


def test_members_stand_in_the_order_of_utf_16() -> None:
    # The example of RFC 8785 section 3.2.3, in its order.
    names = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]

    octets = write_canonical(dict.fromkeys(reversed(names), 0))

    assert list(json.loads(octets)) == names


def test_letters_are_written_as_rfc_8785_asks() -> None:
    octets = write_canonical({"a": '\u20ac$\u000f\nA\'B"\\"/'})

    assert octets.decode() == '{"a":"€$\\u000f\\nA\'B\\"\\\\\\"/"}'


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_what_is_written_is_read_back_and_written_again_the_same(value: dict[str, Any]) -> None:
    try:
        octets = write_canonical(value)
    except NotCanonical:  # half a character, or nested too deep
        return

    assert read_canonical(octets) == value
    assert write_canonical(dict(reversed(value.items()))) == octets


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_bytes_that_differ_in_any_place_say_something_else_or_nothing(data: st.DataObject) -> None:
    octets = bytearray(example().canonical)
    place = data.draw(st.integers(0, len(octets) - 1))
    octets[place] ^= data.draw(st.integers(1, 255))

    try:
        found = approval.read_subject(bytes(octets))
    except NotCanonical:
        return
    assert approval.Subject("payment", found.subject_id, bytes(octets)).canonical != example().canonical
    assert challenge_of(bytes(octets)) != challenge_of(example().canonical)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(octets: bytes) -> None:
    try:
        approval.read_subject(octets)
    except NotCanonical:
        return


@pytest.mark.parametrize(
    "octets",
    [
        b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":1e3}', b'{"a":NaN}', b'[1]', b'"a"',
        b'{"a":"\\u0041"}', b'{"a":"\xff"}', b'{"a":9007199254740992}', b'{"a":"\\ud800"}', b"", b"{}x",
        b'{"a":' * 9 + b"1" + b"}" * 9, b'{"a":"' + b"x" * 17_000 + b'"}',
    ],
)  # fmt: skip
def test_what_is_not_the_one_way_is_refused(octets: bytes) -> None:
    with pytest.raises(NotCanonical):
        read_canonical(octets)


def test_a_second_person_signs_other_bytes() -> None:
    person = UUID(int=7)

    agreed = approval.agreed_by(example().canonical, person)

    assert read_canonical(agreed) == read_canonical(example().canonical) | {"agreed_by": str(person)}
