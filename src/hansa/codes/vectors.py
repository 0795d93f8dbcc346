"""Example ride codes, byte by byte, for whoever writes a phone: ``python -m hansa.codes.vectors`` writes them anew.

The keys are made from public words and belong to nobody; the signatures use RFC 6979 nonces, so that the file
comes out the same each time.
"""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.codes.base45 import base45_decode
from hansa.codes.cose import sign_es256
from hansa.codes.model import Scope
from hansa.codes.ride import PREFIX, code_payload, code_protected, code_text, code_to_be_signed, make_token

FILE = Path(__file__).with_name("vectors.json")
_MADE_AT = datetime(2026, 11, 17, 12, 0, 0, tzinfo=UTC)
_CASES = ((1, "000000"), (23, "0a0b0c"), (24, "ffffff"), (255, "12ab34"), (256, "800001"), (65535, "7fffff"))


def example_issuer(name: str) -> Ed25519PrivateKey:
    """An issuer's key for examples and tests: everyone knows it."""
    return Ed25519PrivateKey.from_private_bytes(sha256(f"hansa example issuer {name}".encode()).digest())


def example_device(name: str) -> EllipticCurvePrivateKey:
    """A phone's key for examples and tests: everyone knows it."""
    return derive_private_key(
        int.from_bytes(sha256(f"hansa example device {name}".encode()).digest(), "big") >> 1, SECP256R1()
    )


def vectors() -> dict[str, object]:
    """All examples, ready for JSON: how each code's bytes come about from a token and a phone's key."""
    issuer, device = example_issuer("one"), example_device("one")
    token = make_token(
        issuer,
        kid=bytes.fromhex("68727a31"),
        cti=bytes.fromhex("0102030405060708"),
        expires_at=_MADE_AT + timedelta(hours=20),
        device_key=device.public_key(),
        scope=Scope(rider_class="adult", products=("metro", "bus", "tram", "rail"), modes=(), offline_cap=8),
    )
    return {
        "about": "HRC-1 example codes. Keys made from public words; see docs/ride-code.",
        "issuer_public_hex": issuer.public_key().public_bytes_raw().hex(),
        "device_private_jwk": _jwk(device),
        "token_hex": token.hex(),
        "codes": [_case(device, token, counter, bytes.fromhex(cell)) for counter, cell in _CASES],
    }


def _case(device: EllipticCurvePrivateKey, token: bytes, counter: int, cell: bytes) -> dict[str, object]:
    made_at = _MADE_AT + timedelta(seconds=counter)
    payload = code_payload(made_at=made_at, counter=counter, cell=cell)
    message = code_to_be_signed(token, payload)
    signature = sign_es256(device, message)
    text = code_text(token, payload, signature)
    return {
        "made_at": int(made_at.timestamp()),
        "counter": counter,
        "cell_hex": cell.hex(),
        "protected_hex": code_protected(token).hex(),
        "payload_hex": payload.hex(),
        "to_be_signed_hex": message.hex(),
        "signature_hex": signature.hex(),
        "code_hex": base45_decode(text[len(PREFIX) :]).hex(),
        "text": text,
    }


def _jwk(device: EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = device.private_numbers()
    public = numbers.public_numbers
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64url(public.x),
        "y": _base64url(public.y),
        "d": _base64url(numbers.private_value),
    }


def _base64url(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=2) + "\n")
