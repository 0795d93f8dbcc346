"""Tokens whose issuer's signature was found good, kept so that the next code of the same phone is cheaper."""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from hansa.codes.model import Scope


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token as its issuer signed it. issuer_key: the key it was checked with, so a changed list is noticed."""

    kid: bytes
    issuer_key: bytes
    cti: bytes
    expires_at: datetime
    device_key: EllipticCurvePublicKey
    scope: Scope


class TokenCache:
    """Verified tokens by their bytes; the oldest goes when ``size_max`` are kept. Safe to share between threads."""

    def __init__(self, size_max: int = 4096) -> None:
        assert size_max > 0, "a cache keeps at least one"
        self._size_max = size_max
        self._tokens: dict[bytes, VerifiedToken] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, token: bytes) -> VerifiedToken | None:
        """The verified token of exactly these bytes, if it is kept."""
        return self._tokens.get(token)

    def put(self, token: bytes, verified: VerifiedToken) -> None:
        """Keep a token that has just been verified."""
        with self._lock:
            if len(self._tokens) >= self._size_max:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[token] = verified
