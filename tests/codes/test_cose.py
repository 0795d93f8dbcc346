"""COSE_Sign1 against the published examples of the COSE working group."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hansa.codes import MalformedCbor, NotCanonical
from hansa.codes.cose import (
    ALG,
    EDDSA,
    ES256,
    P256_ORDER,
    Sign1,
    check_eddsa,
    check_es256,
    is_high_s,
    read_sign1,
    sign_eddsa,
    sign_es256,
    to_be_signed,
)
from hansa.codes.vectors import example_device
from published import HOME

EXAMPLES = HOME / "cose"
needs_examples = pytest.mark.skipif(
    not EXAMPLES.is_dir(),
    reason="the COSE working group's examples are not here; set HANSA_SHARED_DATA to a folder with cose/ in it",
)

# name | whether a verifier that knows ES256 and Ed25519 takes it
FILES = [
    ("sign1-tests/sign-pass-01.json", True),
    ("sign1-tests/sign-pass-02.json", True),
    ("sign1-tests/sign-pass-03.json", True),
    ("sign1-tests/sign-fail-01.json", False),
    ("sign1-tests/sign-fail-02.json", False),
    ("sign1-tests/sign-fail-03.json", False),
    ("sign1-tests/sign-fail-04.json", False),
    ("sign1-tests/sign-fail-06.json", False),
    ("sign1-tests/sign-fail-07.json", False),
    ("ecdsa-examples/ecdsa-sig-01.json", True),
    ("eddsa-examples/eddsa-sig-01.json", True),
    ("CWT/A_3.json", True),
]


def verified(message: Sign1, key: dict[str, Any], external: bytes) -> bool:
    try:
        algorithm = message.header().get(ALG, message.unprotected.get(ALG))
    except (MalformedCbor, NotCanonical):
        return False
    signed = to_be_signed(message.protected, message.payload, external)
    if algorithm == ES256 and key["kty"] == "EC":
        x, y = (int.from_bytes(coordinate(key, name), "big") for name in "xy")
        public = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        return check_es256(public, message.signature, signed)
    if algorithm == EDDSA and key["kty"] == "OKP":
        public = Ed25519PublicKey.from_public_bytes(coordinate(key, "x"))
        return check_eddsa(public, message.signature, signed)
    return False


def coordinate(key: dict[str, Any], name: str) -> bytes:
    if f"{name}_hex" in key:
        return bytes.fromhex(key[f"{name}_hex"])
    return urlsafe_b64decode(key[name] + "=")


@needs_examples
@pytest.mark.parametrize(("name", "good"), FILES)
def test_published_examples_get_their_verdict(name: str, good: bool) -> None:
    example = json.loads((EXAMPLES / name).read_text())
    sign0 = example["input"]["sign0"]
    data = bytes.fromhex(example["output"]["cbor"])

    try:
        message = read_sign1(data)
    except (MalformedCbor, NotCanonical):
        assert not good
        return

    external = bytes.fromhex(sign0.get("external", ""))
    assert verified(message, sign0["key"], external) is good
    if good:
        wanted = example["intermediates"]["ToBeSign_hex"].lower()
        assert to_be_signed(message.protected, message.payload, external).hex() == wanted


def test_a_signature_is_low_and_its_twin_is_known_as_such() -> None:
    key = example_device("cose")
    for number in range(40):
        message = str(number).encode()

        signature = sign_es256(key, message)

        s = int.from_bytes(signature[32:], "big")
        twin = signature[:32] + (P256_ORDER - s).to_bytes(32, "big")
        assert check_es256(key.public_key(), signature, message)
        assert check_es256(key.public_key(), twin, message)
        assert not is_high_s(signature)
        assert is_high_s(twin)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
def test_a_signature_that_is_none_is_refused(signature: bytes) -> None:
    key = example_device("cose").public_key()
    ed = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()

    assert not check_es256(key, signature, b"message")
    assert not check_eddsa(ed, signature, b"message")


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 65535, 65536])
def test_a_message_of_any_length_is_signed_and_read(length: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))

    message = read_sign1(sign_eddsa(key, {3: "text/plain"}, b"x" * length))

    assert message.payload == b"x" * length
    assert message.header() == {ALG: EDDSA, 3: "text/plain"}
    assert check_eddsa(key.public_key(), message.signature, to_be_signed(message.protected, message.payload))


@pytest.mark.parametrize("data", ["", "80", "a0", "84404040", "d28440a0f640", "8340a040", "c18440a04040"])
def test_what_is_no_message_is_refused(data: str) -> None:
    with pytest.raises(MalformedCbor):
        read_sign1(bytes.fromhex(data))
