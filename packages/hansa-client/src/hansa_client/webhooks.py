"""Events that Hansa sends, verified. Source: Standard Webhooks 1.0.0."""

import base64
import binascii
import hmac
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256

TOLERANCE_S = 300


class BadSignature(Exception):
    """This event was not sent by whoever holds the secret, or not just now. Do not act on it."""


def verify_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Iterable[str],
    *,
    now_s: float | None = None,
    tolerance_s: int = TOLERANCE_S,
) -> str:
    """The event's id, if it was signed with one of these secrets within ``tolerance_s`` of now. Errors: BadSignature.

    body: the bytes as they came. secrets: ``whsec_...``, or ``whpk_...`` which can verify and not sign (it needs
    ``hansa-client[ed25519]``); give the old and the new one while you rotate.
    """
    given = {name.lower(): value for name, value in headers.items()}
    event_id, at, signatures = (given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not event_id or not (at.isascii() and at.isdigit()) or len(at) > 12 or not signatures:
        raise BadSignature("The headers webhook-id, webhook-timestamp or webhook-signature are missing.")
    if abs((time.time() if now_s is None else now_s) - int(at)) > tolerance_s:
        raise BadSignature("It was signed too long ago, or in the future.")
    signed = f"{event_id}.{at}.".encode() + body
    told = [one.partition(",") for one in signatures.split(" ")]
    for secret in [secrets] if isinstance(secrets, str) else secrets:
        for kind, _, signature in told:
            if _fits(secret, kind, signature, signed):
                return event_id
    raise BadSignature("No signature fits.")


def _fits(secret: str, kind: str, signature: str, signed: bytes) -> bool:
    name, _, text = secret.partition("_")
    try:
        key, told = base64.b64decode(text), base64.b64decode(signature, validate=True)
    except binascii.Error:
        return False
    if kind == "v1" and name == "whsec":
        return hmac.compare_digest(hmac.new(key, signed, sha256).digest(), told)
    if kind == "v1a" and name == "whpk":
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(key).verify(told, signed)
        except (InvalidSignature, ValueError):
            return False
        return True
    return False
