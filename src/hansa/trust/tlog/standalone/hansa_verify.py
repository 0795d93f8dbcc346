#!/usr/bin/env python3
"""Check for yourself that a transfer stands in a city's books, and that the books were never rewritten.

One file, Python 3.11 or newer, nothing to install: it can be read in one sitting, and needs no word of ours.

    python hansa_verify.py receipt RECEIPT.json --log-key VKEY [--witness VKEY ... --quorum N]
    python hansa_verify.py statement STATEMENT.zip --log-key VKEY [--witness VKEY ... --quorum N]
    python hansa_verify.py statement STATEMENT.pdf --log-key VKEY
    python hansa_verify.py statement STATEMENT.csv --seal SEAL.txt --log-key VKEY
    python hansa_verify.py history --tiles FOLDER_OR_URL --old CHECKPOINT --log-key VKEY [--new CHECKPOINT]

Each step is printed as it passes or fails, and then in words what was proven and what was not. Ends with 0 only when
everything asked for was proven, with 1 when something was not, with 2 when the question could not be understood.

A log key is the text by which a city makes its key known: name, plus, id, plus, base64. Take it from somewhere else
than the receipt: the city's own pages, another city's list, a newspaper. Formats: docs/tamper-evidence.md; C2SP
tlog-proof, tlog-checkpoint, tlog-cosignature, tlog-tiles, signed-note; RFC 9162 section 2.1; RFC 8032.
"""

import argparse
import base64
import binascii
import csv
import functools
import hashlib
import http.client
import io
import json
import re
import struct
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID

UTC = timezone.utc  # noqa: UP017 - the short name came with Python 3.11; nothing else here needs it


class Unproven(Exception):
    """Something does not hold; the text says what."""


# The row of a transfer -------------------------------------------------------------------------------------------

ROW = struct.Struct(">HQI16s16s16s16s16s16sII3sHHqq")
"""Partition, block, position, transfer, debit and credit account, amount, pending, reference, tag, timeout, currency,
code, flags, event, booked: 141 bytes, big-endian, without gaps. The memo follows in UTF-8, to the row's end."""

_NONE = bytes(16)
_CURRENCY = re.compile(rb"[A-Z]{3}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A transfer as the books have it. Times are microseconds since 1970 began, in UTC."""

    partition: int
    block: int
    position: int
    transfer_id: UUID
    debit_account: UUID
    credit_account: UUID
    amount: int
    pending_id: UUID | None
    reference: UUID | None
    tag: int
    timeout_s: int
    currency: str
    code: int
    flags: int
    event_at: int
    booked_at: int
    memo: str = ""


def encode_row(row: Row) -> bytes:
    """The one byte string of a row. Errors: Unproven when a field does not fit its place."""
    try:
        data = ROW.pack(
            row.partition,
            row.block,
            row.position,
            row.transfer_id.bytes,
            row.debit_account.bytes,
            row.credit_account.bytes,
            row.amount.to_bytes(16, "big"),
            row.pending_id.bytes if row.pending_id else _NONE,
            row.reference.bytes if row.reference else _NONE,
            row.tag,
            row.timeout_s,
            row.currency.encode("ascii"),
            row.code,
            row.flags,
            row.event_at,
            row.booked_at,
        ) + row.memo.encode("utf-8")
    except (struct.error, OverflowError, UnicodeError) as error:
        raise Unproven(f"this transfer does not fit a row: {error}") from error
    if decode_row(data) != row:
        raise Unproven(
            "this transfer does not fit a row: its currency is not three capital letters, or an id is zero"
        )
    return data


def decode_row(data: bytes) -> Row:
    """The transfer that these bytes say. Errors: Unproven."""
    if len(data) < ROW.size:
        raise Unproven(f"a row has at least {ROW.size} bytes, this one {len(data)}")
    fields: tuple[Any, ...] = ROW.unpack_from(data)
    partition, block, position, transfer, debit, credit, amount, pending, reference = fields[:9]
    tag, timeout_s, currency, code, flags, event_at, booked_at = fields[9:]
    if not _CURRENCY.fullmatch(currency):
        raise Unproven("the row's currency is not three capital letters")
    try:
        memo = data[ROW.size :].decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unproven("the row's memo is not text in UTF-8") from error
    return Row(
        partition=partition,
        block=block,
        position=position,
        transfer_id=UUID(bytes=transfer),
        debit_account=UUID(bytes=debit),
        credit_account=UUID(bytes=credit),
        amount=int.from_bytes(amount, "big"),
        pending_id=None if pending == _NONE else UUID(bytes=pending),
        reference=None if reference == _NONE else UUID(bytes=reference),
        tag=tag,
        timeout_s=timeout_s,
        currency=currency.decode("ascii"),
        code=code,
        flags=flags,
        event_at=event_at,
        booked_at=booked_at,
        memo=memo,
    )


def readable_row(row: Row) -> dict[str, Any]:
    """The row as a receipt shows it to a person. Errors: Unproven for a time outside the years 1 to 9999.

    Block and amount are text, since many programs cannot hold such numbers exactly.
    """
    return {
        "partition": row.partition,
        "block": str(row.block),
        "position": row.position,
        "transfer_id": str(row.transfer_id),
        "debit_account": str(row.debit_account),
        "credit_account": str(row.credit_account),
        "amount": str(row.amount),
        "pending_id": None if row.pending_id is None else str(row.pending_id),
        "reference": None if row.reference is None else str(row.reference),
        "tag": row.tag,
        "timeout_s": row.timeout_s,
        "currency": row.currency,
        "code": row.code,
        "flags": row.flags,
        "event_at": _instant(row.event_at),
        "booked_at": _instant(row.booked_at),
        "memo": row.memo,
    }


def _instant(microseconds: int) -> str:
    try:
        at = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise Unproven("the row has a time that no calendar has") from error
    return f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


# Receipts --------------------------------------------------------------------------------------------------------

RECEIPT_BYTES_MAX = 2**20
SALT_BYTES = 16
_RECEIPT_FIELDS = {"version", "origin", "partition", "index", "salt", "row", "transfer", "proof"}


@dataclass(frozen=True)
class Receipt:
    """A receipt whose readable part says what its row says, and whose proof is for its own place in its own log."""

    origin: str
    partition: int
    index: int
    salt: bytes
    row: bytes
    transfer: Row
    proof: str

    @property
    def entry(self) -> bytes:
        """What the log has of this transfer."""
        return hashlib.sha256(self.salt + self.row).digest()


def read_receipt(text: str | bytes) -> Receipt:
    """The receipt of this JSON. Errors: Unproven when it is none, or does not agree with itself."""
    if len(text) > RECEIPT_BYTES_MAX:
        raise Unproven(f"a receipt has at most {RECEIPT_BYTES_MAX} bytes")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unproven("this is no JSON") from error
    if not isinstance(told, dict) or cast("dict[str, object]", told).keys() != _RECEIPT_FIELDS:
        raise Unproven(f"a receipt has exactly these fields: {', '.join(sorted(_RECEIPT_FIELDS))}")
    fields = cast("dict[str, object]", told)
    version, partition, index = (_whole_number(fields, name) for name in ("version", "partition", "index"))
    if version != 1:
        raise Unproven(f"this receipt is of version {version}; version 1 is known here")
    salt, row = _hex(fields, "salt"), _hex(fields, "row")
    if len(salt) != SALT_BYTES:
        raise Unproven(f"a salt has {SALT_BYTES} bytes")
    transfer = decode_row(row)
    _compare(readable_row(transfer), fields["transfer"])
    if partition != transfer.partition:
        raise Unproven(f"the receipt says partition {partition}, its row {transfer.partition}")
    origin, proof = _text(fields, "origin"), _text(fields, "proof")
    parsed = parse_proof(proof)
    if index != parsed.index:
        raise Unproven(f"the receipt says entry {index}, its proof {parsed.index}")
    if origin != parsed.checkpoint.origin:
        raise Unproven(
            f"the receipt says the books of {shown(origin)}, its proof {shown(parsed.checkpoint.origin)}"
        )
    return Receipt(origin, partition, index, salt, row, transfer, proof)


def _compare(row: dict[str, Any], told: object) -> None:
    if not isinstance(told, dict):
        raise Unproven("the receipt has no readable transfer")
    said = cast("dict[str, object]", told)
    for name in sorted(row.keys() | said.keys()):
        if (
            name not in row
            or name not in said
            or type(row[name]) is not type(said[name])
            or row[name] != said[name]
        ):
            raise Unproven(
                f"the receipt shows {shown(name)} as {shown(said.get(name))}, the row says {shown(row.get(name))}"
            )


def _whole_number(fields: dict[str, object], name: str) -> int:
    value = fields[name]
    if type(value) is not int or not 0 <= value < 2**53:
        raise Unproven(f"{name} is no whole number")
    return value


def _text(fields: dict[str, object], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise Unproven(f"{name} is no text")
    return value


def _hex(fields: dict[str, object], name: str) -> bytes:
    text = _text(fields, name)
    try:
        value = bytes.fromhex(text)
    except ValueError as error:
        raise Unproven(f"{name} is not hexadecimal") from error
    if value.hex() != text:
        raise Unproven(f"{name} is hexadecimal, but not in small letters without gaps")
    return value


# Notes, checkpoints and proofs -----------------------------------------------------------------------------------

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_SIGNATURES_MAX = 64
_ED25519, _COSIGNATURE = 1, 4


class Key(NamedTuple):
    """Somebody's verifier key. kind: 1 signs checkpoints as a log, 4 cosigns them as a witness."""

    name: str
    key_id: bytes
    kind: int
    public: bytes


class Line(NamedTuple):
    """A signature line of a note."""

    name: str
    key_id: bytes
    value: bytes


class Checkpoint(NamedTuple):
    """A log's size and root, the text that was signed, and the signatures under it."""

    origin: str
    size: int
    root: bytes
    text: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Proof:
    """The place of an entry, the hashes from it up to the root, and the checkpoint of that root."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint


def parse_key(text: str) -> Key:
    """The key of its text. Errors: Unproven, also when its id is not the one worked out from its name and bytes."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    material = _base64(encoded)
    if not _is_name(name) or len(material) != 33 or material[0] not in (_ED25519, _COSIGNATURE):
        raise Unproven(f"{shown(text)} is no Ed25519 verifier key: name+id+base64")
    worked_out = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if worked_out.hex() != key_id:
        raise Unproven(f"the id of the key of {shown(name)} is {worked_out.hex()}, not {shown(key_id)}")
    return Key(name, worked_out, material[0], material[1:])


def parse_checkpoint(note: str) -> Checkpoint:
    """A signed checkpoint; nothing of it is verified yet. Errors: Unproven."""
    body, lines = _parse_note(note)
    return Checkpoint(body[0], _number(body[1]), _root(body[2]), "".join(f"{one}\n" for one in body), lines)


def _parse_note(note: str) -> tuple[list[str], tuple[Line, ...]]:
    """The lines of a note's text, three at least, and its signatures. Errors: Unproven."""
    text, empty_line, tail = note.rpartition("\n\n")
    if not empty_line or not tail.endswith("\n") or _CONTROL.search(note):
        raise Unproven("this is no signed note")
    body = text.split("\n")
    if len(body) < 3 or not all(body):
        raise Unproven("a checkpoint has at least three lines, and no empty one")
    rows = tail[:-1].split("\n")
    if len(rows) > _SIGNATURES_MAX:
        raise Unproven(f"there are more than {_SIGNATURES_MAX} signatures")
    return body, tuple(map(_line, rows))


def _root(text: str) -> bytes:
    root = _base64(text)
    if len(root) != 32:
        raise Unproven("a root has 32 bytes")
    return root


def parse_proof(text: str) -> Proof:
    """A proof; nothing of it is verified yet. Errors: Unproven."""
    head, _, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != "c2sp.org/tlog-proof@v1":
        raise Unproven("the proof is of a kind not known here")
    if lines and lines[0].startswith("extra ") and not _base64(lines.pop(0)[6:]):
        raise Unproven("the proof's extra data are not base64")
    if not lines or not lines[0].startswith("index "):
        raise Unproven("the proof names no index")
    path = tuple(map(_base64, lines[1:]))
    if len(path) > 63 or any(len(node) != 32 for node in path):
        raise Unproven("the proof's path is not made of hashes")
    return Proof(_number(lines[0][6:]), path, parse_checkpoint(note))


@functools.lru_cache(maxsize=64)
def verify_signature(checkpoint: Checkpoint, key: Key) -> datetime | None:
    """Go on only if this key signed the checkpoint; gives the time of a witness's signature.

    Errors: Unproven, also when another line in this key's name was not made by it.
    """
    at: datetime | None = None
    found = False
    for line in checkpoint.lines:
        if (line.name, line.key_id) != (key.name, key.key_id):
            continue
        value, message, seconds = line.value, checkpoint.text, 0
        if key.kind == _COSIGNATURE:
            seconds = int.from_bytes(value[:8], "big")
            value, message = value[8:], f"cosignature/v1\ntime {seconds}\n{checkpoint.text}"
        if not ed25519_verify(key.public, message.encode(), value):
            raise Unproven(f"a signature in the name of {shown(key.name)} was not made by its key")
        if key.kind == _COSIGNATURE and not found:
            try:
                at = _EPOCH + timedelta(seconds=seconds)
            except OverflowError as error:
                raise Unproven(f"{shown(key.name)} signed at no time that a calendar has") from error
        found = True
    if not found:
        raise Unproven(f"{shown(key.name)} has not signed this checkpoint")
    return at


def _line(text: str) -> Line:
    dash, _, rest = text.partition(" ")
    name, _, encoded = rest.partition(" ")
    value = _base64(encoded)
    if dash != "—" or not _is_name(name) or len(value) <= 4:
        raise Unproven("a line under the checkpoint is no signature")
    return Line(name, value[:4], value[4:])


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not _CONTROL.search(name) and not any(map(str.isspace, name))


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= 2**63:
        raise Unproven(f"{shown(text[:40])} is no number below 2^63")
    return int(text)


def _base64(text: str) -> bytes:
    """The bytes of standard base64 in its one right form; of anything else, none."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return value if base64.b64encode(value).decode() == text else b""


# The Merkle tree (RFC 9162, section 2.1) ---------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf with this entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over these two."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which a path leads from the leaf in this place. Errors: Unproven for a path of the wrong length.

    On each level a node with an odd number is a right child, and its left neighbour comes from the path. So is the
    last node of a level, unless it has no neighbour: then it stands for itself one level up.
    """
    if index >= size:
        raise Unproven(f"a log of {size} entries has no entry {index}")
    node, last = leaf, size - 1
    steps = iter(path)
    try:
        while last:
            if index & 1:
                node = node_hash(next(steps), node)
            elif index < last:
                node = node_hash(node, next(steps))
            index, last = index >> 1, last >> 1
    except StopIteration:
        raise Unproven("the proof's path is too short") from None
    if next(steps, None) is not None:
        raise Unproven("the proof's path is too long")
    return node


def subtree_root(begin: int, end: int, hash_at: Callable[[int, int], bytes]) -> bytes:
    """The root over the leaves from ``begin`` to before ``end``; ``hash_at`` knows the perfect subtrees."""
    if begin == end:
        return hashlib.sha256(b"").digest()
    peaks: list[bytes] = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        peaks.append(hash_at(height, begin >> height))
        begin += 1 << height
    node = peaks.pop()
    while peaks:
        node = node_hash(peaks.pop(), node)
    return node


def roots_before_and_after(
    old_size: int, new_size: int, hash_at: Callable[[int, int], bytes]
) -> tuple[bytes, bytes]:
    """The roots of the first ``old_size`` and the first ``new_size`` leaves, put together from the same hashes.

    That they are the same is the point: if the second is the root that was signed, then the first is what the older
    tree must have been. 0 < old_size <= new_size.
    """

    def descend(begin: int, end: int) -> tuple[bytes, bytes]:
        if end == old_size:
            node = subtree_root(begin, end, hash_at)
            return node, node
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if old_size <= middle:
            old, new = descend(begin, middle)
            return old, node_hash(new, subtree_root(middle, end, hash_at))
        left = subtree_root(begin, middle, hash_at)
        old, new = descend(middle, end)
        return node_hash(left, old), node_hash(left, new)

    return descend(0, new_size)


class Tiles:
    """A log's tiles in a folder or behind an address."""

    def __init__(self, place: str, size: int) -> None:
        self._place = place
        self._size = size
        self._known: dict[tuple[int, int], bytes] = {}

    def hash_at(self, height: int, index: int) -> bytes:
        """The root of a perfect subtree, worked out from the tile that has its lowest row. Errors: Unproven."""
        level, above = divmod(height, 8)
        number, first = divmod(index << above, 256)
        if (level, number) not in self._known:
            self._known[level, number] = self._fetch(level, number)
        tile = self._known[level, number]
        nodes = [tile[at * 32 : at * 32 + 32] for at in range(first, first + (1 << above))]
        while len(nodes) > 1:
            nodes = [node_hash(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
        return nodes[0]

    def _fetch(self, level: int, number: int) -> bytes:
        width = min(256, (self._size >> 8 * level) - number * 256)
        digits = str(number).zfill(-(-len(str(number)) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        path = f"tile/{level}/" + "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        # A partial tile may be taken away once the full one is there, which begins with the same hashes.
        for name in (path,) if width == 256 else (f"{path}.p/{width}", path):
            tile = fetch(self._place, name, 256 * 32)
            if tile is not None:
                if len(tile) < width * 32:
                    raise Unproven(f"{name} is too short")
                return tile[: width * 32]
        raise Unproven(f"{path} is missing from the tiles")


def fetch(place: str, name: str, size_max: int) -> bytes | None:
    """A file of a folder or an address, or None when it is not there. Errors: Unproven."""
    if not place.startswith(("http://", "https://")):
        file = Path(place) / name
        if not file.is_file():
            return None
        with file.open("rb") as opened:
            data = opened.read(size_max + 1)
    else:
        address = f"{place.rstrip('/')}/{name}"
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - http or https, see above
                data = answer.read(size_max + 1)
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                return None
            raise Unproven(f"{shown(address)} answered {error.code}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unproven(f"{shown(address)} did not answer: {error}") from error
    if len(data) > size_max:
        raise Unproven(f"{name} is longer than such a file can be")
    return data


# Ed25519 (RFC 8032, section 5.1), verification only ------------------------------------------------------------------

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

Point = tuple[int, int, int, int]
"""X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z."""


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of this public key signed this message. Takes some milliseconds."""
    if len(public) != 32 or len(signature) != 64:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    key = _decompress(public)
    if key is None or scalar >= _ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _ORDER
    x, y, z, t = key
    minus_key = (_P - x, y, z, _P - t)
    return _compress(_add(_times(scalar, _BASE), _times(challenge, minus_key))) == signature[:32]


def _add(a: Point, b: Point) -> Point:
    """Both points together, by the formulas for extended coordinates; they hold for equal points too."""
    left = (a[1] - a[0]) * (b[1] - b[0]) % _P
    right = (a[1] + a[0]) * (b[1] + b[0]) % _P
    third = 2 * a[3] * b[3] * _D % _P
    fourth = 2 * a[2] * b[2] % _P
    e, f, g, h = right - left, fourth - third, fourth + third, right + left
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(number: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = _add(total, point)
        point = _add(point, point)
        number >>= 1
    return total


def _compress(point: Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decompress(data: bytes) -> Point | None:
    """The point of these bytes, or None when there is none. Only the shortest form of y counts."""
    packed = int.from_bytes(data, "little")
    sign, y = packed >> 255, packed & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if x * x % _P != square or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _base_point() -> Point:
    base = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    assert base is not None, "the base point is on the curve"
    return base


_BASE = _base_point()


# The two questions -------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One thing that was looked at. ok: None where the question did not ask for it, or could not be answered."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Policy:
    """Whom the asker believes. Errors: Unproven when it cannot be kept."""

    log: Key | None
    witnesses: tuple[Key, ...]
    quorum: int

    def __post_init__(self) -> None:
        if self.log is not None and self.log.kind != _ED25519:
            raise Unproven("the log key is a witness's: a log signs with a key of type 1")
        if any(key.kind != _COSIGNATURE for key in self.witnesses):
            raise Unproven("a witness key is of the wrong kind: a witness signs with a key of type 4")
        keys = [key.public for key in self.witnesses] + ([self.log.public] if self.log else [])
        if len(set(keys)) != len(keys):
            raise Unproven("the same key is given twice; under two names it is still one signer")
        if not 0 <= self.quorum <= len(self.witnesses):
            raise Unproven(f"a quorum of {self.quorum} cannot be had from {len(self.witnesses)} witnesses")


def check_receipt(text: str | bytes, policy: Policy) -> Iterator[Step]:
    """The steps from a receipt to signed and witnessed books, one after the other."""
    try:
        receipt = read_receipt(text)
        proof = parse_proof(receipt.proof)
    except Unproven as error:
        yield Step("The receipt agrees with itself", False, str(error))
        return
    yield Step(
        "The receipt agrees with itself",
        True,
        "what it shows is what its row says, and the proof is for its place",
    )
    checkpoint = proof.checkpoint
    name = "The transfer is in the log"
    try:
        root = root_of_path(leaf_hash(receipt.entry), proof.index, checkpoint.size, proof.path)
        if root != checkpoint.root:
            raise Unproven("the row and its salt do not lead to the root of the checkpoint")
    except Unproven as error:
        yield Step(name, False, str(error))
    else:
        yield Step(
            name, True, f"entry {proof.index} of {checkpoint.size}; {len(proof.path)} hashes lead to the root"
        )
    yield _check_log(checkpoint, policy)
    yield _check_witnesses(checkpoint, policy)


# Statements --------------------------------------------------------------------------------------------------------

STATEMENT_FORM = "hansa-statement-1"
STATEMENT_BYTES_MAX = 64 * 2**20
"""Of any one file of a statement, unpacked."""

SEAL_MARK = b"%hansa-seal "
"""Begins the line after a paper's last one: zlib and base64 of the seal over all bytes before it."""

SEAL_BYTES_MAX = 2**16
_SEALED_WALLET = re.compile(r"wallet ([A-Z]{3}) (-?[0-9]{1,24}) (-?[0-9]{1,24}) ([0-9]{1,9})", re.ASCII)
_SEALED_FILE = re.compile(r"sha256 ([0-9a-f]{64}) (statement\.[a-z]{3,4})", re.ASCII)


class SealedWallet(NamedTuple):
    """A wallet as a seal has it: what it held before and after, in minor units, and how many lines lie between."""

    currency: str
    opening_minor: int
    closing_minor: int
    lines: int


@dataclass(frozen=True)
class Seal:
    """What a city has signed of a statement. size, root: of its log, where the statement's last block ends.

    files: SHA-256 by name, hexadecimal. note: what was signed, and by whom.
    """

    month: str
    account: str
    log: str
    size: int
    root: bytes
    wallets: tuple[SealedWallet, ...]
    files: dict[str, str]
    note: Checkpoint


def read_seal(text: str) -> Seal:
    """A statement's seal; nothing of it is verified yet. Errors: Unproven."""
    if len(text) > SEAL_BYTES_MAX:
        raise Unproven("this is no seal of a statement: it is too long")
    body, lines = _parse_note(text)
    wallets = [found for line in body if (found := _SEALED_WALLET.fullmatch(line))]
    files = [found for line in body if (found := _SEALED_FILE.fullmatch(line))]
    head = body[: len(body) - len(wallets) - len(files)]
    log = head[-1].split(" ") if head else []
    if len(head) != 5 or head[1] != STATEMENT_FORM or len(log) != 4 or log[0] != "log" or not files:
        raise Unproven("this is no seal of a statement")
    size, root = _number(log[2]), _root(log[3])
    return Seal(
        month=head[2],
        account=head[3],
        log=log[1],
        size=size,
        root=root,
        wallets=tuple(SealedWallet(one[1], int(one[2]), int(one[3]), int(one[4])) for one in wallets),
        files={one[2]: one[1] for one in files},
        note=Checkpoint(head[0], size, root, "".join(f"{one}\n" for one in body), lines),
    )


def seal_key(log: Key) -> Key:
    """The key under which the city of a log seals statements: the same one, by the name ``city/statements``."""
    name = f"{log.name.rpartition('/ledger/')[0]}/statements"
    material = bytes([log.kind]) + log.public
    return Key(name, hashlib.sha256(name.encode() + b"\n" + material).digest()[:4], log.kind, log.public)


def unpack_seal(text: str) -> str:
    """The seal of its short form, zlib and base64, as papers and QR codes carry it. Errors: Unproven."""
    try:
        packed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        unpacked = zlib.decompressobj().decompress(packed, SEAL_BYTES_MAX)
        return unpacked.decode("utf-8")
    except (ValueError, zlib.error) as error:
        raise Unproven("this is no seal of a statement") from error


def check_seal(text: str, policy: Policy) -> Iterator[Step]:
    """The step that shows a seal to be the city's, and the log that it speaks of to be the one that is believed."""
    name = "The city has sealed this statement"
    try:
        seal = read_seal(text)
        if policy.log is None:
            raise Unproven("no --log-key was given, so nobody answers for it")
        if seal.log != policy.log.name:
            raise Unproven(f"it speaks of the log {shown(seal.log)}, the key is of {shown(policy.log.name)}")
        verify_signature(seal.note, seal_key(policy.log))
    except Unproven as error:
        yield Step(name, False, str(error))
        return
    told = "; ".join(
        f"{one.currency} {one.opening_minor} to {one.closing_minor} minor units by {one.lines} lines"
        for one in seal.wallets
    )
    yield Step(
        name,
        True,
        f"{shown(seal.month)}, account {shown(seal.account)}, {told or 'no wallet'}; the log had {seal.size} entries",
    )


def check_statement(file: str, policy: Policy, seal: str | None = None) -> Iterator[Step]:
    """The steps from a statement's file to signed books.

    A bundle (zip): its files, its seal, each line's receipt, the table and the sums. A paper (pdf): its own seal. A
    table (csv): the seal that is given with it. Of receipts that pass, the last one's steps are told; the first that
    does not pass is told, and ends it.
    """
    with open(file, "rb") as opened:
        first = opened.read(4)
    if first[:2] == b"PK":
        yield from _check_bundle(file, policy)
        return
    try:
        data = _read(file, STATEMENT_BYTES_MAX)
        name = "statement.csv"
        if first == b"%PDF":
            name = "statement.pdf"
            data, mark, tail = data.rpartition(SEAL_MARK)
            if not mark:
                raise Unproven("this paper has no seal at its end")
            seal = unpack_seal(tail.decode("ascii", "replace").strip())
        elif seal is None:
            raise Unproven("a table has its seal in a file of its own: name it with --seal")
        yield from check_seal(seal, policy)
        if read_seal(seal).files.get(name) != hashlib.sha256(data).hexdigest():
            raise Unproven("it was changed since, or the seal is of another statement")
        yield Step("It is the file that was sealed", True, "no byte of it was changed since")
    except Unproven as error:
        yield Step("It is the file that was sealed", False, str(error))


def _check_bundle(file: str, policy: Policy) -> Iterator[Step]:
    try:
        with zipfile.ZipFile(file) as bundle:
            told = json.loads(_unpack(bundle, "statement.json", STATEMENT_BYTES_MAX))
            if not isinstance(told, dict) or cast("dict[str, Any]", told).get("form") != STATEMENT_FORM:
                raise Unproven("statement.json is of no form that this file knows")
            fields = cast("dict[str, Any]", told)
            for name, digest in sorted(fields["sha256"].items()):
                if hashlib.sha256(_unpack(bundle, name, STATEMENT_BYTES_MAX)).hexdigest() != digest:
                    raise Unproven(f"{shown(name)} is not the file that statement.json names")
            yield Step("The files are those that are named", True, f"{', '.join(sorted(fields['sha256']))}")
            text = _unpack(bundle, "seal.txt", SEAL_BYTES_MAX).decode("utf-8")
            yield from check_seal(text, policy)
            _compare_with_seal(read_seal(text), fields)
            table = _unpack(bundle, "statement.csv", STATEMENT_BYTES_MAX).decode("utf-8")
            rows = csv.DictReader(io.StringIO(table, newline=""))
            yield from _check_lines(bundle, fields["wallets"], rows, policy)
    except Unproven as error:
        yield Step("The bundle agrees with itself", False, str(error))
    except (KeyError, TypeError, ValueError, AttributeError, csv.Error, zipfile.BadZipFile) as error:
        yield Step("The bundle can be read", False, f"it is not a statement's bundle: {shown(str(error))}")


def _compare_with_seal(seal: Seal, fields: dict[str, Any]) -> None:
    """Go on only if the figures of a bundle are those that were sealed. Errors: Unproven."""
    wallets = tuple(
        SealedWallet(one["currency"], int(one["opening_minor"]), int(one["closing_minor"]), len(one["lines"]))
        for one in fields["wallets"]
    )
    if (seal.month, seal.account, seal.files, seal.wallets) != (
        fields["month"],
        fields["account_id"],
        fields["sha256"],
        wallets,
    ):
        raise Unproven("the seal is of another statement, or its figures were changed")


class _Table:
    """The rows of a bundle's table, held against what the receipts say, one after the other."""

    def __init__(self, rows: Iterator[dict[str, str]]) -> None:
        self._rows = rows
        self._decimals: int | None = None

    def balance(self, kind: str, currency: str, minor: int) -> None:
        """The next row is this balance. Errors: Unproven."""
        row = next(self._rows, {})
        self._decimals = None if kind == "opening_balance" else self._decimals
        if (row.get("kind"), row.get("currency"), self._minor(row.get("balance", ""))) != (
            kind,
            currency,
            minor,
        ):
            raise Unproven(f"the table has another {kind.replace('_', ' ')} in {shown(currency)}")

    def line(self, row: Row, currency: str, minor: int, held: int) -> None:
        """The next row is this transfer. Errors: Unproven."""
        told = next(self._rows, {})
        figures = (self._minor(told.get("amount", "")), self._minor(told.get("balance", "")))
        instants = tuple(f"{_instant(at)[:-4]}Z" for at in (row.booked_at, row.event_at))
        reference = "" if row.reference is None else str(row.reference)
        said = tuple(
            told.get(name) for name in ("booked_at", "happened_at", "currency", "transfer_id", "reference")
        )
        if figures != (minor, held) or said != (*instants, currency, str(row.transfer_id), reference):
            raise Unproven(f"the table says something else of the transfer {row.transfer_id}")

    def end(self) -> None:
        """There is no further row. Errors: Unproven."""
        if next(self._rows, None) is not None:
            raise Unproven("the table has more rows than there are receipts")

    def _minor(self, text: str) -> int | None:
        """A decimal in minor units; all of a wallet have as many decimals."""
        whole, _, decimals = text.partition(".")
        if self._decimals is None:
            self._decimals = len(decimals)
        if len(decimals) != self._decimals or not re.fullmatch(r"-?[0-9]{1,24}", whole + decimals, re.ASCII):
            return None
        return int(whole + decimals)


def _check_lines(
    bundle: zipfile.ZipFile, wallets: list[dict[str, Any]], rows: Iterator[dict[str, str]], policy: Policy
) -> Iterator[Step]:
    table = _Table(rows)
    last: list[Step] = []
    seen: set[UUID] = set()
    for wallet in wallets:
        own, currency = UUID(wallet["wallet"]), str(wallet["currency"])
        held = int(wallet["opening_minor"])
        place = (-1, -1)
        table.balance("opening_balance", currency, held)
        for line in wallet["lines"]:
            text = _unpack(bundle, line["receipt"], RECEIPT_BYTES_MAX)
            last = list(check_receipt(text, policy))
            if any(step.ok is False for step in last):
                yield from last
                raise Unproven(f"the receipt {shown(line['receipt'])} proves nothing")
            row = read_receipt(text).transfer
            minor = row.amount * ((row.credit_account == own) - (row.debit_account == own))
            held += minor
            if (str(row.transfer_id), row.currency) != (line["transfer_id"], currency) or row.flags & 10:
                raise Unproven(f"the receipt {shown(line['receipt'])} is of another transfer than its line")
            if row.transfer_id in seen or (row.block, row.position) <= place:
                raise Unproven(
                    f"the line {shown(line['receipt'])} stands twice, or in another order than booked"
                )
            if not minor or (minor, held) != (int(line["minor"]), int(line["balance_minor"])):
                raise Unproven(f"the line {shown(line['receipt'])} has another amount or balance")
            table.line(row, currency, minor, held)
            seen.add(row.transfer_id)
            place = (row.block, row.position)
        if held != int(wallet["closing_minor"]):
            raise Unproven(f"the lines in {shown(currency)} do not come to the closing balance")
        table.balance("closing_balance", currency, held)
        count = len(wallet["lines"])
        yield Step(
            f"The lines in {shown(currency)} are in the books, and add up",
            True,
            f"{count} {'line' if count == 1 else 'lines'}, each with its receipt, and the table says the same",
        )
    table.end()
    yield from last[2:]


def _unpack(bundle: zipfile.ZipFile, name: str, size_max: int) -> bytes:
    with bundle.open(name) as opened:
        data = opened.read(size_max + 1)
    if len(data) > size_max:
        raise Unproven(f"{shown(name)} is longer than such a file can be")
    return data


def check_history(old_note: str, new_note: str, place: str, policy: Policy) -> Iterator[Step]:
    """The steps that show the books of a new checkpoint to begin with those of an old one."""
    try:
        old, new = parse_checkpoint(old_note), parse_checkpoint(new_note)
    except Unproven as error:
        yield Step("Both checkpoints can be read", False, str(error))
        return
    if old.origin != new.origin:
        yield Step(
            "Both checkpoints are of one log",
            False,
            f"they are of {shown(old.origin)} and {shown(new.origin)}",
        )
        return
    yield Step(
        "Both checkpoints are of one log", True, f"{shown(new.origin)}: {old.size} entries, then {new.size}"
    )
    signed = [
        _check_log(old, policy, "older "),
        _check_log(new, policy, "newer "),
        _check_witnesses(new, policy),
    ]
    yield from signed
    if all(
        step.ok is not False for step in signed
    ):  # tiles are asked for only on the word of a signed checkpoint
        yield _check_growth(old, new, place)


def _check_growth(old: Checkpoint, new: Checkpoint, place: str) -> Step:
    name = "Nothing was rewritten"
    if old.size > new.size:
        return Step(
            name, False, f"the log shrank from {old.size} entries to {new.size}, or the newer one is stale"
        )
    empty = hashlib.sha256(b"").digest()
    if any(each.size == 0 and each.root != empty for each in (old, new)):
        return Step(name, False, "a checkpoint gives an empty log a root that it cannot have")
    if old.size == 0:
        return Step(name, True, "the older log was empty, and every log begins so")
    if old.size == new.size:
        if old.root == new.root:
            return Step(name, True, f"both have the same root over the same {old.size} entries")
        return Step(name, False, _REWRITTEN)
    try:
        before, after = roots_before_and_after(old.size, new.size, Tiles(place, new.size).hash_at)
    except Unproven as error:
        return Step(name, False, f"the tiles cannot be read: {error}")
    if after != new.root:
        return Step(
            name,
            False,
            "the tiles are not those of the newer checkpoint; this says nothing of the history itself",
        )
    if before != old.root:
        return Step(name, False, _REWRITTEN)
    return Step(
        name, True, f"the first {old.size} of {new.size} entries are the same ones, in the same order"
    )


_REWRITTEN = (
    "THE HISTORY WAS REWRITTEN: the same key signed two checkpoints that cannot both be true. Keep both files: "
    "together they prove it to anyone"
)


def _check_log(checkpoint: Checkpoint, policy: Policy, which: str = "") -> Step:
    name = f"The {which}checkpoint is signed by its log"
    if policy.log is None:
        return Step(name, False, "no --log-key was given, so nobody answers for these books")
    if policy.log.name != checkpoint.origin:
        return Step(
            name,
            False,
            f"the log key is of {shown(policy.log.name)}, the books of {shown(checkpoint.origin)}",
        )
    try:
        verify_signature(checkpoint, policy.log)
    except Unproven as error:
        return Step(name, False, str(error))
    return Step(name, True, shown(policy.log.name))


def _check_witnesses(checkpoint: Checkpoint, policy: Policy) -> Step:
    name = "Witnesses saw the same books"
    if not policy.witnesses:
        return Step(name, None, "no --witness was given")
    signed = 0
    told: list[str] = []
    forged = False
    for key in policy.witnesses:
        try:
            at = verify_signature(checkpoint, key)
        except Unproven as error:
            forged = forged or any(line[:2] == key[:2] for line in checkpoint.lines)
            told.append(str(error))
        else:
            signed += 1
            told.append(f"{shown(key.name)} at {at:%Y-%m-%d %H:%M:%S} UTC")
    detail = f"{signed} signed, {policy.quorum} asked for: {'; '.join(told)}"
    return Step(name, signed >= policy.quorum and not forged, detail)


# The command line --------------------------------------------------------------------------------------------------


def shown(value: object) -> str:
    """Text that came from a stranger, with what could fool a terminal or a reader made visible."""
    return "".join(sign if sign.isprintable() else f"\\u{{{ord(sign):x}}}" for sign in str(value))


def main(words: Sequence[str] | None = None) -> int:
    """Answer one question; gives the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    asked = _arguments().parse_args(words)
    try:
        keys = tuple(parse_key(text) for text in asked.witness)
        policy = Policy(
            parse_key(asked.log_key) if asked.log_key else None,
            keys,
            len(keys) if asked.quorum is None else asked.quorum,
        )
        if asked.question == "receipt":
            return _tell_receipt(_read(asked.receipt, RECEIPT_BYTES_MAX), policy)
        if asked.question == "statement":
            seal = _read(asked.seal, SEAL_BYTES_MAX).decode() if asked.seal else None
            return _tell_statement(asked.statement, policy, seal)
        old = _read(asked.old, 2**20).decode()
        new = _read(asked.new, 2**20) if asked.new else fetch(asked.tiles, "checkpoint", 2**20)
        if new is None:
            raise Unproven(f"there is no checkpoint in {shown(asked.tiles)}; name one with --new")
        return _tell_history(old, new.decode(), asked.tiles, policy)
    except (Unproven, OSError, UnicodeError) as error:
        print(f"Cannot check this: {error}", file=sys.stderr)
        return 2


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    questions = parser.add_subparsers(dest="question", required=True)
    receipt = questions.add_parser("receipt", help="Does this transfer stand in the books?")
    receipt.add_argument("receipt", help="the receipt, a JSON file")
    statement = questions.add_parser("statement", help="Do the lines of this statement stand in the books?")
    statement.add_argument("statement", help="a statement: its bundle (zip), paper (pdf) or table (csv)")
    statement.add_argument("--seal", help="the seal of a table, a file")
    history = questions.add_parser(
        "history", help="Do the present books begin with those of an old checkpoint?"
    )
    history.add_argument("--tiles", required=True, help="the log: a folder, or an address of http or https")
    history.add_argument("--old", required=True, help="a checkpoint kept from earlier, a file")
    history.add_argument("--new", help="the present checkpoint, a file; else the log's own")
    for question in (receipt, statement, history):
        question.add_argument("--log-key", required=question is history, help="the verifier key of the log")
        question.add_argument(
            "--witness", action="append", default=[], help="a witness's verifier key; may be repeated"
        )
        question.add_argument(
            "--quorum", type=int, help="how many of the witnesses must have signed; all, if not given"
        )
    return parser


def _read(file: str, size_max: int) -> bytes:
    with open(file, "rb") as opened:
        data = opened.read(size_max + 1)
    if len(data) > size_max:
        raise Unproven(f"{shown(file)} is longer than such a file can be")
    return data


def _tell(steps: Iterator[Step]) -> list[Step]:
    told: list[Step] = []
    for step in steps:
        word = {True: "ok  ", False: "FAIL", None: "--  "}[step.ok]
        print(f"{word}  {step.name}: {step.detail}", flush=True)
        told.append(step)
    print()
    return told


def _tell_receipt(text: bytes, policy: Policy) -> int:
    steps = _tell(check_receipt(text, policy))
    if any(step.ok is False for step in steps):
        print(
            "NOT PROVEN. This receipt does not show that the transfer stands in books that someone answers for."
        )
        return 1
    receipt = read_receipt(text)
    row = readable_row(receipt.transfer)
    print(f"PROVEN. The log of {shown(receipt.origin)} has this transfer, and its city has signed for it:\n")
    for name, value in row.items():
        if value is not None and value != "":
            print(f"  {name:<15} {shown(value)}")
    print(
        "\nNot shown by this: that the amount was the right one; that no other transfer was left out; that books"
    )
    print("signed later still have this one (ask `history` with the checkpoint of this receipt).")
    if not policy.quorum:
        print("Nor that the city shows everyone the same books: no witness was asked for. Give --witness.")
    return 0


def _tell_statement(file: str, policy: Policy, seal: str | None) -> int:
    steps = _tell(check_statement(file, policy, seal))
    if any(step.ok is False for step in steps):
        print("NOT PROVEN. See the line that says FAIL.")
        return 1
    if not any(step.name.startswith("The lines in") for step in steps):
        print(
            "PROVEN. This is the statement as the city has sealed it, and it cannot deny that. Not shown by this"
        )
        print("file: that each line stands in the books. The bundle with proof (zip) has their receipts.")
        return 0
    print(
        "PROVEN. Every line of this statement stands in the books, and they lead from the opening to the closing"
    )
    print("balance. Not shown by this: that no other transfer was left out on either side of a balance.")
    if not policy.quorum:
        print("Nor that the city shows everyone the same books: no witness was asked for. Give --witness.")
    return 0


def _tell_history(old: str, new: str, place: str, policy: Policy) -> int:
    steps = _tell(check_history(old, new, place, policy))
    if any(step.ok is False for step in steps):
        print("NOT PROVEN. See the line that says FAIL.")
        return 1
    print("PROVEN. Every entry that the older checkpoint counted is still there, unchanged and in its place.")
    print("Not shown by this: what the entries say, or that nothing was left out when they were written.")
    if not policy.quorum:
        print("Nor that others are shown the same books: no witness was asked for. Give --witness.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
