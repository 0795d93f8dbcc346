"""COSE_Sign1 with ES256 and EdDSA: the two signatures Hansa uses, and nothing else of COSE.

Source: RFC 9052 section 4.2 and 4.4 (COSE_Sign1, Sig_structure), RFC 9053 section 2 (algorithms).
"""

from dataclasses import dataclass
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from hansa.codes.cbor import MalformedCbor, cbor_decode, cbor_encode

ALG = 1
CONTENT_TYPE = 3
KID = 4
KCWT = 13
ES256 = -7
EDDSA = -8

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF_ORDER = P256_ORDER // 2
# Deterministic nonces (RFC 6979): a phone or a test machine with poor randomness does not give its key away.
_SIGNING = ECDSA(SHA256(), deterministic_signing=True)
_VERIFYING = ECDSA(SHA256())


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 message taken apart. protected: the header's bytes as they were signed."""

    protected: bytes
    unprotected: dict[int | str, Any]
    payload: bytes
    signature: bytes

    def header(self) -> dict[int | str, Any]:
        """The protected header. Errors: MalformedCbor, NotCanonical."""
        if not self.protected:
            return {}
        header = cbor_decode(self.protected)
        if not isinstance(header, dict):
            raise MalformedCbor
        return cast(dict[int | str, Any], header)


def read_sign1(data: bytes) -> Sign1:
    """A message from its bytes, tagged 18 or not; what it says is not believed yet.

    Errors: MalformedCbor, NotCanonical.
    """
    parts = cbor_decode(data[1:] if data[:1] == b"\xd2" else data)
    if not isinstance(parts, list) or [type(part) for part in cast(list[object], parts)] != [
        bytes,
        dict,
        bytes,
        bytes,
    ]:
        raise MalformedCbor
    return Sign1(*cast("tuple[bytes, dict[int | str, Any], bytes, bytes]", tuple(cast(list[object], parts))))


def write_sign1(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The message's bytes, untagged, with an empty unprotected header."""
    return cbor_encode([protected, {}, payload, signature])


def to_be_signed(protected: bytes, payload: bytes, external: bytes = b"") -> bytes:
    """The bytes a COSE_Sign1 signature is made over (Sig_structure); an empty header counts as no bytes."""
    if protected == b"\xa0":
        protected = b""
    return b"\x84\x6aSignature1" + bstr(protected) + bstr(external) + bstr(payload)


def bstr(data: bytes) -> bytes:
    """A byte string under 64 kB as CBOR: its head and itself."""
    length = len(data)
    if length < 24:
        return bytes((0x40 | length,)) + data
    if length < 256:
        return bytes((0x58, length)) + data
    if length < 65536:
        return b"\x59" + length.to_bytes(2, "big") + data
    return b"\x5a" + length.to_bytes(4, "big") + data


def sign_eddsa(key: Ed25519PrivateKey, header: dict[int | str, Any], payload: bytes) -> bytes:
    """A signed message: ``header`` (without alg) and the payload, by this key."""
    protected = cbor_encode({ALG: EDDSA, **header})
    return write_sign1(protected, payload, key.sign(to_be_signed(protected, payload)))


def sign_es256(key: EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Signature r || s over the message, with the lower of the two possible s."""
    r, s = decode_dss_signature(key.sign(message, _SIGNING))
    if s > _HALF_ORDER:
        s = P256_ORDER - s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def is_high_s(signature: bytes) -> bool:
    """Whether this is the twin (r, n - s) that anyone can make of a signature without the key."""
    return int.from_bytes(signature[32:], "big") > _HALF_ORDER


def check_es256(key: EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether r || s is this key's signature over the message (either s: see `is_high_s`)."""
    if len(signature) != 64:
        return False
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    try:
        key.verify(der, message, _VERIFYING)
    except InvalidSignature:
        return False
    return True


def check_eddsa(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether this is the key's signature over the message."""
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
