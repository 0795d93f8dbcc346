"""A phone's proof of its key: taken when made for this request about now, else refused by the part at fault."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa import identity
from identity.proving import PhoneKey, base64url

NOW = datetime(2026, 11, 17, 12, tzinfo=UTC)
ASKED = identity.Asked("POST", "hansa.example", "/v1/me/phones")
ADDRESS = "https://hansa.example/v1/me/phones"
NONCE = "n" * 43
KEY = PhoneKey()
GOOD = KEY.prove("POST", ADDRESS, NONCE, NOW)


def read(text: str) -> identity.Proof:
    return identity.read_proof(text, ASKED, now=NOW, clock_s=60)


def test_a_proof_tells_key_and_nonce() -> None:
    assert read(GOOD) == identity.Proof(KEY.point, NONCE)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"htm": "GET"}, "DPoP htm"),
        ({"htu": "https://hansa.example/v1/me/nonces"}, "DPoP htu"),
        ({"htu": "https://other.example/v1/me/phones"}, "DPoP htu"),
        ({"htu": ADDRESS + "?a=1"}, "DPoP htu"),
        ({"htu": ADDRESS + "#a"}, "DPoP htu"),
        ({"htu": "/v1/me/phones"}, "DPoP htu"),
        ({"htu": "https://[/"}, "DPoP htu"),
        ({"iat": int(NOW.timestamp()) - 61}, "DPoP iat"),
        ({"iat": int(NOW.timestamp()) + 61}, "DPoP iat"),
        ({"iat": 1.5}, "DPoP payload"),
        ({"iat": None}, "DPoP payload"),
        ({"iat": 2**60}, "DPoP payload"),
        ({"nonce": None}, "DPoP payload"),
        ({"nonce": ""}, "DPoP payload"),
        ({"jti": None}, "DPoP payload"),
        ({"ath": "x"}, "DPoP payload"),
    ],
)
def test_a_proof_for_anything_else_is_refused_by_name(changed: dict[str, Any], where: str) -> None:
    with pytest.raises(identity.ProofRefused) as refused:
        read(KEY.prove("POST", ADDRESS, NONCE, NOW, **changed))

    assert refused.value.problems[0].where == where and refused.value.problems[0].remedy


@pytest.mark.parametrize(
    "changed",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"typ": "JWT"},
        {"kid": "one of ours"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": {**KEY.header()["jwk"], "d": "A" * 43}},
        {"jwk": {**KEY.header()["jwk"], "crv": "P-384"}},
        {"jwk": {**KEY.header()["jwk"], "x": "A" * 43}},
        {"jwk": {**KEY.header()["jwk"], "x": "!" * 43}},
        {"jwk": PhoneKey().header()["jwk"]},
    ],
)
def test_a_header_of_another_kind_or_key_is_refused(changed: dict[str, Any]) -> None:
    claims = {"jti": "12345678", "htm": "POST", "htu": ADDRESS, "iat": int(NOW.timestamp()), "nonce": NONCE}

    with pytest.raises(identity.ProofRefused):
        read(KEY.sign({**KEY.header(), **changed}, claims))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        GOOD + ".",
        GOOD + "=",
        GOOD.replace(".", "=.", 1),
        GOOD[:-2],
        "ä" + GOOD,
        "A" * 3000,
        ".".join((GOOD.split(".")[0], base64url(b"[" * 1400), GOOD.split(".")[2])),
    ],
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(identity.ProofRefused):
        read(text)


@given(place=st.integers(0, len(GOOD) - 1), letter=st.sampled_from("AZaz09-_.=+/ \x00é"))
def test_a_proof_with_any_letter_changed_is_refused(place: int, letter: str) -> None:
    changed = GOOD[:place] + letter + GOOD[place + 1 :]
    if changed == GOOD:
        return

    with pytest.raises(identity.ProofRefused):
        read(changed)


@given(st.text(max_size=300))
def test_any_text_is_refused_and_nothing_breaks(text: str) -> None:
    with pytest.raises(identity.ProofRefused):
        read(text)


@pytest.mark.parametrize("seconds", [-60, 0, 60])
def test_the_clock_may_be_off_by_a_minute(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)

    assert read(KEY.prove("POST", ADDRESS, NONCE, at)).nonce == NONCE


def test_tls_may_end_before_us_and_hosts_have_no_case() -> None:
    assert read(KEY.prove("POST", "http://Hansa.EXAMPLE/v1/me/phones", NONCE, NOW)).nonce == NONCE
