"""A passkey authenticator in software: it makes credentials and signs, by W3C Web Authentication level 3.

Written from the standard on `cryptography` and `cbor2` alone, so that it checks the library we verify with.
"""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any, Literal

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

Kind = Literal["ES256", "EdDSA", "RS256"]
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

PRESENT, VERIFIED, MAY_BE_BACKED_UP, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def octets_of(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Credential:
    """One passkey. count: of signatures; None for an authenticator that does not count."""

    rp_id: str
    user_handle: bytes
    key: Key
    kind: Kind
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    count: int | None = 0


@dataclass
class Authenticator:
    """A device with passkeys. origin: of the page it is used from. flags: what it says of its owner."""

    origin: str = "http://localhost"
    kind: Kind = "ES256"
    flags: int = PRESENT | VERIFIED
    counts: bool = True
    credentials: list[Credential] = field(default_factory=list[Credential])

    def create(self, options: str, **changed: Any) -> str:
        """Make a passkey for these options, as `navigator.credentials.create` does. changed: see `_client_data`."""
        asked = json.loads(options)
        assert asked["authenticatorSelection"]["residentKey"] == "required"
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        excluded = {one["id"] for one in asked.get("excludeCredentials", [])}
        assert not excluded & {base64url(one.credential_id) for one in self.credentials}, "InvalidStateError"
        made = Credential(
            changed.pop("rp_id", asked["rp"]["id"]),
            octets_of(asked["user"]["id"]),
            _new_key(self.kind),
            self.kind,
            count=0 if self.counts else None,
        )
        self.credentials.append(made)
        client_data = self._client_data("webauthn.create", asked["challenge"], **changed)
        attested = (
            bytes(16)
            + len(made.credential_id).to_bytes(2, "big")
            + made.credential_id
            + cbor2.dumps(cose_key(made.key))
        )
        data = self._authenticator_data(made, self.flags | ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return json.dumps(
            {
                "id": base64url(made.credential_id),
                "rawId": base64url(made.credential_id),
                "type": "public-key",
                "clientExtensionResults": {},
                "response": {
                    "clientDataJSON": base64url(client_data),
                    "attestationObject": base64url(attestation),
                    "transports": ["internal", "hybrid"],
                },
            }
        )

    def get(self, options: str, *, which: int = -1, **changed: Any) -> str:
        """Use a passkey for these options, as `navigator.credentials.get` does. which: of those that will do."""
        asked = json.loads(options)
        assert asked["userVerification"] == "required"
        allowed = {one["id"] for one in asked.get("allowCredentials", [])}
        fit = [
            one
            for one in self.credentials
            if (not allowed or base64url(one.credential_id) in allowed)
            and one.rp_id == changed.get("rp_id", asked["rpId"])
        ]
        used = fit[which]
        if used.count is not None:
            used.count += 1
        client_data = self._client_data("webauthn.get", asked["challenge"], **changed)
        data = self._authenticator_data(used, self.flags)
        signature = _sign(used.key, data + hashlib.sha256(client_data).digest())
        return json.dumps(
            {
                "id": base64url(used.credential_id),
                "rawId": base64url(used.credential_id),
                "type": "public-key",
                "clientExtensionResults": {},
                "response": {
                    "clientDataJSON": base64url(client_data),
                    "authenticatorData": base64url(data),
                    "signature": base64url(signature),
                    "userHandle": base64url(used.user_handle),
                },
            }
        )

    def _client_data(self, kind: str, challenge: str, /, **changed: Any) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(told | {name: one for name, one in changed.items() if name in told}).encode()

    def _authenticator_data(self, credential: Credential, flags: int) -> bytes:
        count = (credential.count or 0).to_bytes(4, "big")
        return hashlib.sha256(credential.rp_id.encode()).digest() + bytes([flags]) + count


def cose_key(key: Key) -> dict[int, Any]:
    """The public half as a COSE_Key (RFC 9052 section 7, RFC 9053, RFC 8230)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}
    numbers = key.public_key().public_numbers()
    return {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")}


def _new_key(kind: Kind) -> Key:
    if kind == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def _sign(key: Key, content: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(content, ec.ECDSA(SHA256()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    return key.sign(content, padding.PKCS1v15(), SHA256())
