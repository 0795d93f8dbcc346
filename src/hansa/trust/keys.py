"""Private keys in a folder: the league's root and the issuers', made when first asked for."""

import os
import re
import secrets
from pathlib import Path
from typing import ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hansa.kernel import HansaError, InvalidInput, Problem

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class KeyUnfit(HansaError):
    """A key file cannot be used: it is damaged, or others than its owner may read it."""

    code: ClassVar[str] = "trust.key_unfit"
    status: ClassVar[int] = 500


class KeyFolder:
    """Ed25519 keys as PKCS#8 files that only their owner may read (0600, in a folder of 0700).

    A league keeps its root offline and its issuers' keys with the issuers; one folder for all is for the
    demonstration and for development.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Ed25519PrivateKey] = {}

    def league_root(self) -> Ed25519PrivateKey:
        """The key that signs trust lists. Errors: KeyUnfit."""
        return self._key("league-root")

    @property
    def has_league_root(self) -> bool:
        """Whether the root's key is here. A league keeps it offline and brings it to sign."""
        return (self._path / "league-root.pem").exists()

    def lists(self) -> Ed25519PrivateKey:
        """The key that signs deny lists and settings of devices, online. Errors: KeyUnfit."""
        return self._key("lists")

    def bank_files(self) -> Ed25519PrivateKey:
        """The key that signs what the league sends to its banks, online. Errors: KeyUnfit."""
        return self._key("bank-files")

    def issuer(self, issuer_id: str) -> Ed25519PrivateKey:
        """The key that signs this issuer's ride tokens. Errors: KeyUnfit, InvalidInput for an odd name."""
        if not _NAME.fullmatch(issuer_id):
            raise InvalidInput(
                "This cannot be an issuer's name.",
                problems=(Problem("issuer_id", repr(issuer_id), "Use small letters, digits and hyphens"),),
            )
        return self._key(f"issuer-{issuer_id}")

    def webhooks(self) -> Ed25519PrivateKey:
        """The key from which the secrets of members' endpoints are worked out, online. Errors: KeyUnfit."""
        return self._key("webhooks")

    def log(self) -> Ed25519PrivateKey:
        """The key with which a city signs the checkpoints of its ledger's logs. Errors: KeyUnfit."""
        return self._key("log")

    def witness(self) -> Ed25519PrivateKey:
        """The key with which a city cosigns the checkpoints of others, and nothing else. Errors: KeyUnfit."""
        return self._key("witness")

    def _key(self, name: str) -> Ed25519PrivateKey:
        key = self._known.get(name)
        if key is None:
            key = self._known[name] = self._read_or_make(self._path / f"{name}.pem")
        return key

    def _read_or_make(self, path: Path) -> Ed25519PrivateKey:
        if not path.exists():
            self._make(path)
        if path.stat().st_mode & 0o077:
            raise KeyUnfit(f"Others may read {path.name}. Run: chmod 600 on it, and think about a new key.")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyUnfit(f"{path.name} is damaged; put it back from its copy.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnfit(f"{path.name} is not an Ed25519 key.")
        return key

    def _make(self, path: Path) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        # Written whole under another name and then linked: whoever comes second, or dies half way, spoils nothing.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process made the key just now: that one counts
        finally:
            draft.unlink()
