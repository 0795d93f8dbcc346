"""Sealing: personal data as they lie in the database, readable only with keys that lie elsewhere.

Each account has a data key of its own, which seals what is known of its holder (AES-256-GCM). The data key is itself
wrapped by a key-encryption key, of which a new version may be made at any time. What is sealed is bound to the account
and the field that it was sealed for, so a box moved to another row does not open. Destroying an account's data key
makes all its boxes unreadable for good. What must be found without being opened (a document's number, a telephone
number) is found by a keyed digest (HMAC-SHA-256), with a key that serves nothing else.

It knows no tables and no files. Source: NIST SP 800-38D (GCM), RFC 2104 (HMAC), RFC 5869 (HKDF).
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hansa.kernel import HansaError
from hansa.store.secrets import Secret

PERSONAL_DATA, LOOKUPS = "personal-data", "personal-lookups"
"""Names of the secrets: what wraps data keys, and what makes digests."""

KEY_BYTES = 32
NONCE_BYTES = 12
BOX = b"\x01"
"""A box begins with its form. 1: a nonce of 12 bytes, then AES-256-GCM's ciphertext with its tag of 16."""
BOX_MIN = len(BOX) + NONCE_BYTES + 16


class BoxDamaged(HansaError):
    """Sealed data do not open: they were changed, or moved from another row. Put them back from a copy."""

    code: ClassVar[str] = "identity.box_damaged"
    status: ClassVar[int] = 500


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key as it is kept: by which version of the key-encryption key, and the box that holds it."""

    version: int
    box: bytes


@dataclass(frozen=True, slots=True)
class Digest:
    """By what a value is found without being opened: 32 bytes, and the version of the key that made them."""

    version: int
    octets: bytes


class Sealer:
    """Seals and opens, wraps and unwraps, and makes digests to look things up by.

    wrapping, lookups: read the secrets PERSONAL_DATA and LOOKUPS, neither of which is ever in the database. They are
    read again when something was written with a version that was not there before, and by ``look_again``: a rotation
    needs no process to start anew.
    """

    def __init__(self, wrapping: Callable[[], Secret], lookups: Callable[[], Secret]) -> None:
        self._wrapping, self._lookups = _Ring(wrapping), _Ring(lookups)

    def look_again(self) -> None:
        """Read the secrets anew, for new versions. Errors: store.SecretMissing, store.SecretUnfit."""
        self._wrapping.read()
        self._lookups.read()

    @property
    def newest(self) -> int:
        """The version of the key-encryption key that data keys should be wrapped with."""
        return self._wrapping.newest

    @property
    def newest_lookup(self) -> int:
        """The version of the key that digests should be made with."""
        return self._lookups.newest

    def new_key(self, owner: UUID) -> tuple[bytes, Wrapped]:
        """A fresh data key for an account, and how it is kept."""
        key = secrets.token_bytes(KEY_BYTES)
        return key, self.wrap(key, owner)

    def wrap(self, key: bytes, owner: UUID) -> Wrapped:
        """A data key as it is kept, by the newest version."""
        version = self._wrapping.newest
        return Wrapped(version, _seal(self._wrapping.key(version), key, _wrapped_for(owner, version)))

    def unwrap(self, wrapped: Wrapped, owner: UUID) -> bytes:
        """The data key. Errors: store.SecretMissing, BoxDamaged."""
        key = self._wrapping.key(wrapped.version)
        return _open(key, wrapped.box, _wrapped_for(owner, wrapped.version))

    def digest(self, kind: str, text: str) -> Digest:
        """By what a value of this kind (``document``, ``phone``) is found, by the newest key.

        text: in the one form that all who mean the same write: upper case, E.164.
        """
        version = self._lookups.newest
        return Digest(version, _digest(self._lookups.key(version), kind, text))

    def digests(self, kind: str, text: str) -> list[Digest]:
        """The same by every version that is here, the newest first: what was kept before a rotation is found too."""
        return [
            Digest(version, _digest(key, kind, text))
            for version, key in sorted(self._lookups.keys.items(), reverse=True)
        ]


class _Ring:
    """The versions of a secret, each made into a key of its own for this use (HKDF, RFC 5869)."""

    def __init__(self, source: Callable[[], Secret]) -> None:
        self._source = source
        self.keys: dict[int, bytes] = {}
        self.newest = 0
        self.read()

    def read(self) -> Secret:
        secret = self._source()
        self.keys = {number: _derived(value, secret.name) for number, value in secret.versions.items()}
        self.newest = secret.newest
        return secret

    def key(self, version: int) -> bytes:
        if version not in self.keys:
            self.read().version(version)  # says what is missing, and where it was
        return self.keys[version]


def _derived(value: bytes, name: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"hansa {name} 1".encode()).derive(value)


def seal(key: bytes, content: bytes, *, owner: UUID, field: str) -> bytes:
    """A box that only this key opens, and only for this account's field: ``contact/<its id>``, one for each row."""
    return _seal(key, content, _bound(owner, field))


def open_box(key: bytes, box: bytes, *, owner: UUID, field: str) -> bytes:
    """What the box holds. Errors: BoxDamaged where the box, the key, the account or the field is another one."""
    return _open(key, box, _bound(owner, field))


def _bound(owner: UUID, field: str) -> bytes:
    return b"hansa sealed 1\0" + owner.bytes + field.encode()


def _wrapped_for(owner: UUID, version: int) -> bytes:
    return b"hansa data key 1\0" + owner.bytes + version.to_bytes(4, "big")


def _digest(key: bytes, kind: str, text: str) -> bytes:
    return hmac.new(key, f"{kind}\0{text}".encode(), hashlib.sha256).digest()


def _seal(key: bytes, content: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return BOX + nonce + AESGCM(key).encrypt(nonce, content, bound)


def _open(key: bytes, box: bytes, bound: bytes) -> bytes:
    if len(box) < BOX_MIN or box[:1] != BOX:
        raise BoxDamaged
    nonce, sealed = box[1 : 1 + NONCE_BYTES], box[1 + NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, sealed, bound)
    except InvalidTag as error:
        raise BoxDamaged from error
