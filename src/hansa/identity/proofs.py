"""Proof that a phone has its key: a signed note of what it asks, whom it asks, when, and with which number of ours.

The form is the DPoP proof of RFC 9449 section 4.2, a JWS (RFC 7515) with ES256 over P-256, with exactly the members
below: jti, htm, htu, iat and nonce. So a request that was overheard, or a sign-in that was stolen, is no use elsewhere.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from hansa.codes.cose import check_es256
from hansa.identity.phone_model import ProofRefused
from hansa.kernel import Problem

T = TypeVar("T")

PROOF_MAX = 2_000
"""Characters of a proof; one of ours has about 500."""

_Coordinate = Annotated[str, msgspec.Meta(min_length=43, max_length=43)]


class _Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: _Coordinate
    y: _Coordinate


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    typ: Literal["dpop+jwt"]
    alg: Literal["ES256"]
    jwk: _Key


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jti: Annotated[str, msgspec.Meta(min_length=8, max_length=64)]
    htm: Annotated[str, msgspec.Meta(max_length=10)]
    htu: Annotated[str, msgspec.Meta(max_length=500)]
    iat: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
    nonce: Annotated[str, msgspec.Meta(min_length=20, max_length=100)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived. host: as the caller named it, with its port. path: without the query."""

    method: str
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What a good proof says: the key that signed it (a point of P-256, 65 bytes), and the number it signed."""

    public_key: bytes
    nonce: str


def read_proof(text: str, asked: Asked, *, now: datetime, clock_s: int) -> Proof:
    """The proof in this text, if it was made for this request about now. Whether the nonce is good, the store knows.

    clock_s: how far its time may be from ``now``. Errors: ProofRefused, naming the part at fault.
    """
    if len(text) > PROOF_MAX or text.count(".") != 2 or not text.isascii():
        raise _refused("DPoP", "it is no compact JWS", "Send header.payload.signature in base64url")
    first, second, third = text.split(".")
    header = _read(first, _Header, "DPoP header")
    claims = _read(second, _Claims, "DPoP payload")
    point = b"\x04" + _octets(header.jwk.x, "jwk.x") + _octets(header.jwk.y, "jwk.y")
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError as error:
        raise _refused("DPoP jwk", "it is no point of P-256", "Send the phone's public key") from error
    if not check_es256(key, _octets(third, "signature"), f"{first}.{second}".encode()):
        raise _refused("DPoP signature", "it is not by the key in the header", "Sign header.payload (r || s)")
    _check_request(claims, asked)
    seconds = (datetime.fromtimestamp(claims.iat, UTC) - now).total_seconds()
    if abs(seconds) > clock_s:
        what = f"it is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} our clock"
        raise _refused("DPoP iat", what, "Correct the clock by GET /v1/clock and sign again")
    return Proof(point, claims.nonce)


def _check_request(claims: _Claims, asked: Asked) -> None:
    if claims.htm != asked.method:
        raise _refused("DPoP htm", f"it says {claims.htm!r}", f"Sign {asked.method}")
    try:
        meant = urlsplit(claims.htu)
    except ValueError:
        meant = urlsplit("")
    # TLS may end before us, so we cannot tell http from https; the browser and the cookie's `secure` can.
    right = meant.scheme in ("https", "http") and not meant.query and not meant.fragment
    if not right or (meant.netloc.lower(), meant.path) != (asked.host.lower(), asked.path):
        remedy = f"Sign the address that is asked, without its query: https://{asked.host}{asked.path}"
        raise _refused("DPoP htu", f"it says {claims.htu!r}", remedy)


def _read(part: str, kind: type[T], where: str) -> T:
    octets = _octets(part, where)
    try:
        return msgspec.json.decode(octets, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(where, str(error), "Send exactly the members of docs/phones.md") from error


def _octets(part: str, where: str) -> bytes:
    """The bytes of base64url without padding; each has one way to be written. Errors: ProofRefused."""
    try:
        octets = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        octets = b""
    if not octets or urlsafe_b64encode(octets).rstrip(b"=").decode() != part:
        raise _refused(where, "it is no base64url", "Write it without padding (RFC 7515 section 2)")
    return octets


def _refused(where: str, what: str, remedy: str) -> ProofRefused:
    return ProofRefused(f"{where}: {what}.", problems=(Problem(where, what, remedy),))
