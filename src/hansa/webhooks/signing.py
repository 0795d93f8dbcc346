"""Signatures of Standard Webhooks: how an event is signed, and how a receiver verifies it. Pure.

A receiver needs three lines::

    from hansa.webhooks.signing import verify

    verify(body, headers, "whsec_...")  # or "whpk_...", or several of them; raises BadSignature

Source: Standard Webhooks 1.0.0, signature scheme: HMAC-SHA256 (``v1``) and Ed25519 (``v1a``) over
``id.timestamp.body``, several signatures with a space between.
"""

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hansa.kernel import HansaError

TOLERANCE_S = 300
"""An event whose attempt is further from the receiver's clock than this is refused: it may be a replay."""

SHARED, PUBLIC = "whsec_", "whpk_"


class BadSignature(HansaError):
    """This event was not sent by whoever holds the secret, or not just now. Do not act on it."""

    code: ClassVar[str] = "webhooks.bad_signature"
    status: ClassVar[int] = 401


@dataclass(frozen=True, slots=True)
class Secret:
    """What signs one endpoint's events: 32 bytes that the receiver shares, and an Ed25519 key that it does not."""

    shared: bytes
    private: Ed25519PrivateKey

    @property
    def shared_text(self) -> str:
        """``whsec_...``: who knows it can verify, and sign."""
        return SHARED + b64encode(self.shared).decode()

    @property
    def public_text(self) -> str:
        """``whpk_...``: who knows it can only verify."""
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return PUBLIC + b64encode(raw).decode()


class Secrets:
    """Endpoints' secrets, worked out from one key: the database holds none, and asking again gives the same."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._master = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())

    def secret(self, endpoint_id: UUID, version: int) -> Secret:
        """The secret of this version of an endpoint's."""
        return Secret(
            self._derive("v1", endpoint_id, version),
            Ed25519PrivateKey.from_private_bytes(self._derive("v1a", endpoint_id, version)),
        )

    def code(self, endpoint_id: UUID, url: str) -> str:
        """What is shown to prove that one receives what is sent to this address."""
        return self._derive(f"code {url}", endpoint_id, 0)[:12].hex()

    def _derive(self, use: str, endpoint_id: UUID, version: int) -> bytes:
        info = f"hansa webhooks {use} {endpoint_id} {version}".encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._master)


def sign(secrets: Sequence[Secret], event_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of an attempt that is made now. secrets: all that count, the newest first."""
    timestamp = int(at.timestamp())
    signed = _signed(event_id, str(timestamp), body)
    signatures = [f"v1,{_text(_hmac(one.shared, signed))}" for one in secrets]
    signatures += [f"v1a,{_text(one.private.sign(signed))}" for one in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def verify(
    body: bytes,
    headers: Mapping[str, str],
    *secrets: str,
    now_s: float | None = None,
    tolerance_s: int = TOLERANCE_S,
) -> str:
    """The id of an event that was surely sent by whoever holds one of these secrets. Keep it: it comes again.

    body: the bytes as they came, not read and written anew. headers: by name, in any case. secrets: ``whsec_...`` or
    ``whpk_...``; several while one is rotated. now_s: Unix seconds, else this machine's clock.
    Errors: BadSignature, which names what does not fit; ValueError for a secret that is none.
    """
    keys = [_key(one) for one in secrets]
    named = {name.lower(): value for name, value in headers.items()}
    event_id, timestamp, signatures = (
        named.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not event_id or not timestamp or not signatures:
        raise BadSignature("webhook-id, webhook-timestamp or webhook-signature is missing.")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise BadSignature("webhook-timestamp is no number of seconds.")
    if abs(int(timestamp) - (time.time() if now_s is None else now_s)) > tolerance_s:
        raise BadSignature("webhook-timestamp is too far from this clock.")
    signed = _signed(event_id, timestamp, body)
    for one in signatures.split(" "):
        scheme, _, text = one.partition(",")
        if any(_fits(key, scheme, text, signed) for key in keys):
            return event_id
    raise BadSignature("No signature fits the body and any of the secrets.")


def _fits(key: bytes | Ed25519PublicKey, scheme: str, text: str, signed: bytes) -> bool:
    try:
        signature = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return False
    if isinstance(key, bytes):
        return scheme == "v1" and hmac.compare_digest(signature, _hmac(key, signed))
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return scheme == "v1a"


def _key(text: str) -> bytes | Ed25519PublicKey:
    try:
        if text.startswith(PUBLIC):
            return Ed25519PublicKey.from_public_bytes(b64decode(text[len(PUBLIC) :], validate=True))
        shared = b64decode(text.removeprefix(SHARED), validate=True)
    except ValueError as error:
        raise ValueError("A secret looks like whsec_... or whpk_..., and then base64.") from error
    if len(shared) < 24:
        raise ValueError("A shared secret has 24 bytes at least.")
    return shared


def _signed(event_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{event_id}.{timestamp}.".encode() + body


def _hmac(secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
