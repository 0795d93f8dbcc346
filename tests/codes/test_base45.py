"""Base45 as RFC 9285 has it, and nothing beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.codes import base45_decode, base45_encode
from hansa.kernel import InvalidInput


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
        (b"\xff\xff", "FGW"),
        (b"\xff", "U5"),
        (b"\x00", "00"),
    ],
)
def test_the_examples_of_the_rfc(data: bytes, text: str) -> None:
    assert base45_encode(data) == text
    assert base45_decode(text) == data


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("GGW", "three characters worth 65,536"),
        (":::", "three characters worth 91,124"),
        ("V5", "two characters worth 256"),
        ("::", "two characters worth 2,024"),
        ("A", "no bytes are one character long"),
        ("BB8A", "no bytes are four characters long"),
        ("bb8", "small letters"),
        ("BB8\n", "a line end"),
        ("BB\u00a0", "a space that is not one"),
        ("B\uff228", "a full-width letter"),
        ("BB_", "a letter of another alphabet"),
        ("\udcff00", "half a character"),
    ],
)
def test_what_is_not_base45_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput):
        base45_decode(text)


@given(st.binary(max_size=400))
def test_bytes_survive(data: bytes) -> None:
    assert base45_decode(base45_encode(data)) == data


@given(st.text(alphabet="0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:", max_size=12))
def test_there_is_one_text_for_any_bytes(text: str) -> None:
    try:
        data = base45_decode(text)
    except InvalidInput:
        return

    assert base45_encode(data) == text
