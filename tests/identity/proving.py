"""A phone's key as Python has it, and the proofs that it makes."""

import json
from base64 import urlsafe_b64encode
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa.codes.cose import sign_es256


def base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


class PhoneKey:
    """A P-256 key that signs proofs."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())

    @property
    def point(self) -> bytes:
        """The public key, 65 bytes."""
        return self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def header(self) -> dict[str, Any]:
        """What stands in the header of each proof."""
        point = self.point
        jwk = {"kty": "EC", "crv": "P-256", "x": base64url(point[1:33]), "y": base64url(point[33:])}
        return {"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}

    def prove(self, method: str, address: str, nonce: str, at: datetime, /, **changed: Any) -> str:
        """A proof. changed: claims written otherwise; None leaves one out."""
        claims = {
            "jti": "a-number-of-its-own",
            "htm": method,
            "htu": address,
            "iat": int(at.timestamp()),
            "nonce": nonce,
            **changed,
        }
        return self.sign(self.header(), {name: one for name, one in claims.items() if one is not None})

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Any header and claims, signed."""
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
        return f"{signed}.{base64url(sign_es256(self.private, signed.encode()))}"
