"""Signed notes, and the two that matter here: a log's checkpoint, and a witness's cosignature on it.

A note is text, an empty line, and a line for each signature (signed-note). A checkpoint is a note that says a log's
name, size and root (tlog-checkpoint). A cosignature is a signature under a checkpoint by someone else who saw that
the log had only grown, with the time at which it was given (tlog-cosignature, version 1 for Ed25519).
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hansa.kernel import HansaError, in_utc
from hansa.trust.tlog.errors import BadCheckpoint, BadNote, BadSignature, BadVerifierKey, NotSigned
from hansa.trust.tlog.merkle import SIZE_MAX
from hansa.trust.tlog.tiles import HASH_BYTES

SIGNATURES_MAX = 64
"""More lines than this under a note are refused. The specification asks for room for 16."""

NOTE_BYTES_MAX = 2**19

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_TIME_BYTES = 8
_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)


class KeyKind(IntEnum):
    """What a key signs: notes as they are, or checkpoints with the time. The numbers are the signature types' own."""

    ED25519 = 1
    COSIGNATURE = 4


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that verifies notes, under its owner's name. Errors: BadVerifierKey for an unfit name or length."""

    name: str
    kind: KeyKind
    public: bytes

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise BadVerifierKey(
                f"A key cannot be named {self.name!r}: no spaces, no plus sign, and not nothing."
            )
        if len(self.public) != _KEY_BYTES:
            raise BadVerifierKey("An Ed25519 public key has 32 bytes.")

    @classmethod
    def of(cls, key: Ed25519PrivateKey, name: str, kind: KeyKind = KeyKind.ED25519) -> Self:
        """The key that verifies what ``key`` signs as ``name``."""
        return cls(name, kind, key.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key of its text, ``name+id+base64``. Errors: BadVerifierKey, also for an id that is not this key's."""
        name, first, rest = text.partition("+")
        key_id, second, encoded = rest.partition("+")
        material = decode_base64(encoded)
        if not first or not second or not _KEY_ID.fullmatch(key_id) or not material:
            raise BadVerifierKey("A verifier key reads: name, plus, 8 hexadecimal digits, plus, base64.")
        try:
            kind = KeyKind(material[0])
        except ValueError as error:
            raise BadVerifierKey(f"Keys of signature type {material[0]} are not used here.") from error
        key = cls(name, kind, material[1:])
        if key.key_id.hex() != key_id:
            raise BadVerifierKey(f"The id of this key of {name} is {key.key_id.hex()}, not {key_id}.")
        return key

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line tells which key made it."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_encode(bytes([self.kind]) + self.public)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """A line under a note: who says to have signed, with which key, and the signature's bytes."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {_encode(self.key_id + self.value)}\n"


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was verified. at: when it was given; None where its kind does not say."""

    key: VerifierKey
    signature: Signature
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Note:
    """Text that ends in a line end, and the signatures under it."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def __str__(self) -> str:
        return self.text + "\n" + "".join(map(str, self.signatures))

    @classmethod
    def parse(cls, whole: str | bytes) -> Self:
        """A note as it came. Its text says nothing yet: see ``verify``. Errors: BadNote."""
        text, lines = _split(_as_text(whole))
        if len(lines) > SIGNATURES_MAX:
            raise BadNote(f"This note has more than {SIGNATURES_MAX} signatures.")
        return cls(text, tuple(map(_parse_signature, lines)))

    def with_signatures(self, signatures: Iterable[Signature]) -> Self:
        """The same note with these signatures after its own; one that is there already is not put there again."""
        return type(self)(self.text, tuple(dict.fromkeys((*self.signatures, *signatures))))

    def verify(self, keys: Iterable[VerifierKey]) -> tuple[Signed, ...]:
        """The signatures by these keys, one for each key at most. Signatures of others are passed over.

        Errors: NotSigned when none of the keys has signed; BadSignature when a signature that bears a key's name and
        id is not the key's: such a note is refused whole.
        """
        known = {(key.name, key.key_id): key for key in keys}
        signed: dict[VerifierKey, Signed] = {}
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is not None:
                verified = _verify(self.text, key, signature)
                signed.setdefault(key, verified)
        if not signed:
            raise NotSigned
        return tuple(signed.values())


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its name, how many entries it has, the root over them. Errors: BadCheckpoint.

    extensions: further lines, which are signed but prove nothing; ours have none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_MAX or len(self.root) != HASH_BYTES:
            raise BadCheckpoint("A checkpoint has a size below 2^63 and a root of 32 bytes.")
        if any(not line or "\n" in line or _CONTROL.search(line) for line in (self.origin, *self.extensions)):
            raise BadCheckpoint("Each line of a checkpoint has text and no control characters.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint of a note's text. Errors: BadCheckpoint."""
        if not text.endswith("\n"):
            raise BadCheckpoint("A checkpoint ends with a line end.")
        lines = text[:-1].split("\n")
        if len(lines) < 3:
            raise BadCheckpoint("A checkpoint has three lines: whose it is, the size, the root.")
        origin, size, root, *extensions = lines
        return cls(
            origin, parse_number(size, BadCheckpoint), parse_hash(root, BadCheckpoint), tuple(extensions)
        )

    @property
    def text(self) -> str:
        """What is signed."""
        return "\n".join([self.origin, str(self.size), _encode(self.root), *self.extensions, ""])


def sign(text: str, *, name: str, key: Ed25519PrivateKey) -> Signature:
    """This key's signature under a text. Errors: BadNote when the text could not be a note's."""
    _check_text(text)
    return Signature(name, VerifierKey.of(key, name).key_id, key.sign(text.encode()))


def sign_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> Note:
    """The checkpoint signed by its log, under the log's own name. Errors: BadVerifierKey for a name with spaces."""
    return Note(checkpoint.text, (sign(checkpoint.text, name=checkpoint.origin, key=key),))


def cosign(text: str, *, name: str, key: Ed25519PrivateKey, at: datetime) -> Signature:
    """A witness's signature under a checkpoint's text: at this time, this was the largest consistent tree it knew.

    at: counts in whole seconds, and must lie after 1970 began.
    """
    seconds = int(in_utc(at, where="at").timestamp())
    assert seconds > 0, "a cosignature without a time says nothing of a witness"
    signature = key.sign(_cosigned(text, seconds))
    key_id = VerifierKey.of(key, name, KeyKind.COSIGNATURE).key_id
    return Signature(name, key_id, seconds.to_bytes(_TIME_BYTES, "big") + signature)


def parse_signatures(text: str) -> tuple[Signature, ...]:
    """Signature lines alone, as a witness answers them. Errors: BadNote."""
    if not text.endswith("\n") or _CONTROL.search(text):
        raise BadNote("Each signature is a line of its own.")
    return tuple(map(_parse_signature, text[:-1].split("\n")))


def parse_number(text: str, error: type[HansaError]) -> int:
    """A decimal number below 2^63 without leading zeros; anything else raises ``error``."""
    if not _NUMBER.fullmatch(text) or int(text) > SIZE_MAX:
        raise error(f"{text[:40]!r} is no number below 2^63 as it is written here.")
    return int(text)


def parse_hash(text: str, error: type[HansaError]) -> bytes:
    """A SHA-256 hash in base64; anything else raises ``error``."""
    value = decode_base64(text)
    if value is None or len(value) != HASH_BYTES:
        raise error(f"{text[:60]!r} is no hash of 32 bytes in base64.")
    return value


def decode_base64(text: str) -> bytes | None:
    """The bytes of standard, padded base64, or None. Of the texts that some decoders take, only the one right one."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if _encode(value) == text else None


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not _CONTROL.search(name) and not any(map(str.isspace, name))


def _as_text(whole: str | bytes) -> str:
    try:
        data, text = (whole, whole.decode()) if isinstance(whole, bytes) else (whole.encode(), whole)
    except UnicodeError as error:
        raise BadNote("A note is text in UTF-8.") from error
    if len(data) > NOTE_BYTES_MAX:
        raise BadNote(f"This note has more than {NOTE_BYTES_MAX} bytes.")
    return text


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise BadNote("A note's text ends with a line end.")
    if _CONTROL.search(text):
        raise BadNote("A note has no control characters but line ends.")


def _split(whole: str) -> tuple[str, list[str]]:
    """A note's text and its signature lines: the last empty line stands between them."""
    _check_text(whole)
    text, empty_line, signatures = whole.rpartition("\n\n")
    if not empty_line or not signatures:
        raise BadNote("A note has an empty line between its text and its signatures.")
    return text + "\n", signatures[:-1].split("\n")


def _parse_signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    value = decode_base64(encoded)
    if not line.startswith(_DASH) or not space or not _is_key_name(name) or value is None or len(value) <= 4:
        raise BadNote("A signature reads: dash, space, name, space, base64 of a key's id and the signature.")
    return Signature(name, value[:4], value[4:])


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _verify(text: str, key: VerifierKey, signature: Signature) -> Signed:
    if key.kind == KeyKind.COSIGNATURE:
        seconds = int.from_bytes(signature.value[:_TIME_BYTES], "big")
        value, message = signature.value[_TIME_BYTES:], _cosigned(text, seconds)
    else:
        seconds, value, message = None, signature.value, text.encode()
    try:
        if len(value) != _SIGNATURE_BYTES:
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(key.public).verify(value, message)
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(f"The signature of {key.name} is not by its key {key.key_id.hex()}.") from error
    if seconds is None:
        return Signed(key, signature, None)
    try:
        return Signed(key, signature, datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError, ValueError) as error:
        raise BadSignature(f"{key.name} signed at no time that a calendar has.") from error
