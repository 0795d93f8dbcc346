"""Blocks: one commit's transfers, sealed by hash to the block before and into the Merkle tree of all. Pure.

A transfer's log entry is SHA-256 over a salt of 16 bytes and the row's canonical bytes (``rows.CANON``), so that who
sees the tree learns nothing of a transfer, and who is given salt and row can check it. A block's hash covers the
hash before it, its own header, and the tree's root after it, and by that root every transfer there ever was.
Sources: RFC 9162 section 2.1 (the tree), C2SP tlog-checkpoint (what is signed); docs/tamper-evidence.md.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from struct import Struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hansa.ledger.batch import instant_of, microseconds
from hansa.ledger.model import Block, Head
from hansa.ledger.rows import Rows, salted_rows
from hansa.trust import tlog

GENESIS_HASH = bytes(32)
"""What the first block of a partition names as the hash before it."""

SALT_SIZE = 16
_HEADER = Struct(">HQQIq")

Sign = Callable[[int, int, bytes], bytes]
"""Signs a checkpoint: (partition, size, root) -> the Ed25519 signature of its text."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A block ready to be written, and what it adds to the tree: complete subtrees, and the tree's new right edge."""

    block: Block
    nodes: list[tlog.Node]
    tree: tlog.Tree


def seal(
    head: Head, tree: tlog.Tree, rows: Rows, *, sign: Sign | None = None, salt_key: bytes | None = None
) -> Sealed:
    """The block after ``head`` with these rows. tree: the tree up to ``head``; it is left as it is.

    salt_key: 32 bytes that nobody can guess; fresh ones unless given.
    """
    salt_key = os.urandom(32) if salt_key is None else salt_key
    grown = tree.copy()
    sha256 = hashlib.sha256
    nodes = grown.append([sha256(row).digest() for row in salted_rows(rows, salts(salt_key, len(rows)))])
    root = grown.root()
    digest = block_hash(
        head.hash,
        partition=rows.partition,
        number=rows.block,
        first=head.size,
        count=len(rows),
        booked_us=rows.booked_us,
        root=root,
    )
    block = Block(
        partition=rows.partition,
        number=rows.block,
        first=head.size,
        transfers=len(rows),
        previous_hash=head.hash,
        root=root,
        hash=digest,
        booked_at=instant_of(rows.booked_us),
        salt_key=salt_key,
        signature=sign(rows.partition, grown.size, root) if sign else None,
    )
    return Sealed(block, nodes, grown)


def entries(canon: Sequence[bytes], salt_key: bytes) -> list[bytes]:
    """The log entry of each row of a block, from its canonical bytes."""
    sha256 = hashlib.sha256
    stream = salts(salt_key, len(canon))
    return [
        sha256(stream[at : at + SALT_SIZE] + row).digest()
        for at, row in zip(range(0, len(stream), SALT_SIZE), canon, strict=True)
    ]


def salts(salt_key: bytes, count: int) -> bytes:
    """The salts of a block's transfers, 16 bytes each: AES-256 in counter mode. One tells nothing of the others.

    Source: NIST SP 800-38A section 6.5.
    """
    encryptor = Cipher(algorithms.AES256(salt_key), modes.CTR(bytes(16))).encryptor()
    return encryptor.update(bytes(SALT_SIZE * count))


def salt_of(salt_key: bytes, position: int) -> bytes:
    """The salt of the transfer at this position of the block."""
    counter = position.to_bytes(16, "big")
    return Cipher(algorithms.AES256(salt_key), modes.CTR(counter)).encryptor().update(bytes(SALT_SIZE))


def block_hash(
    previous: bytes, *, partition: int, number: int, first: int, count: int, booked_us: int, root: bytes
) -> bytes:
    """SHA-256 over the previous hash, the block's own header and the tree's root after it."""
    header = _HEADER.pack(partition, number, first, count, booked_us)
    return hashlib.sha256(previous + header + root).digest()


def hash_of(block: Block) -> bytes:
    """The hash that the block must have by its own words."""
    return block_hash(
        block.previous_hash,
        partition=block.partition,
        number=block.number,
        first=block.first,
        count=block.transfers,
        booked_us=microseconds(block.booked_at),
        root=block.root,
    )


def checkpoint_origin(city: str, partition: int) -> str:
    """The name of a partition's log in checkpoints: ``city/ledger/0``."""
    return f"{city}/ledger/{partition}"


def booking_time(now: datetime, head: Head) -> int:
    """When the next block is booked, in microseconds: now, but never before the block before it."""
    return max(microseconds(now), microseconds(head.booked_at))
