"""A city's log in memory, for tests: entries, tiles, signed checkpoints, receipts, and witnesses that sign."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.trust import tlog
from hansa.trust.tlog import Checkpoint, KeyKind, Note, Proof, Receipt, Row, TileReader, Tree, VerifierKey

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
ORIGIN = "london.example/ledger/0"


def key_of(word: str) -> Ed25519PrivateKey:
    """A key that a test can make again."""
    return Ed25519PrivateKey.from_private_bytes(sha256(word.encode()).digest())


def root_by_definition(entries: Sequence[bytes]) -> bytes:
    """The root as the standard defines it, with no thought of speed."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    half = 1
    while half * 2 < len(entries):
        half *= 2
    return sha256(b"\x01" + root_by_definition(entries[:half]) + root_by_definition(entries[half:])).digest()


def row_of(number: int, memo: str = "Ride from Bank to Angel · £2.80") -> Row:
    """The row of a transfer; each number has its own."""
    return Row(
        partition=0,
        block=number // 3,
        position=number % 3,
        transfer_id=UUID(int=2**120 + number),
        debit_account=UUID(int=2**121 + number % 7),
        credit_account=UUID(int=2**122),
        amount=280 + number,
        pending_id=UUID(int=2**119 + number) if number % 5 == 0 else None,
        reference=UUID(int=2**118 + number) if number % 2 else None,
        tag=number,
        timeout_s=0,
        currency="GBP",
        code=7,
        flags=2,
        event_at=1_794_916_800_000_001 + number,
        booked_at=1_794_916_801_999_999 + number,
        memo=memo,
    )


class Books:
    """A log of ``size`` transfers, kept whole."""

    def __init__(self, size: int, *, origin: str = ORIGIN, key: str = "london", salted: str = "") -> None:
        self.origin = origin
        self.key = key_of(key)
        self.verifier_key = VerifierKey.of(self.key, origin)
        self.salts = [sha256(f"{salted}{number}".encode()).digest()[:16] for number in range(size)]
        self.rows = [tlog.encode_row(row_of(number)) for number in range(size)]
        self.entries = [tlog.entry_of(salt, row) for salt, row in zip(self.salts, self.rows, strict=True)]
        self.levels = [[tlog.leaf_hash(entry) for entry in self.entries]]
        tree = Tree()
        complete = tree.append(self.entries)
        for level in range(1, 8):
            self.levels.append([node.hash for node in complete if node.level == level])

    def tile(self, level: int, index: int, width: int) -> bytes:
        return b"".join(self.levels[level][index * 256 : index * 256 + width])

    def reader(self, size: int) -> TileReader:
        return TileReader(self.tile, size)

    def root(self, size: int) -> bytes:
        return Tree.read(size, self.reader(size)).root()

    def checkpoint(self, size: int) -> Note:
        return tlog.sign_checkpoint(Checkpoint(self.origin, size, self.root(size)), self.key)

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        return tlog.consistency_proof(old_size, new_size, self.reader(new_size))

    def receipt(self, index: int, size: int, *, witnesses: Sequence[str] = ()) -> Receipt:
        path = tuple(tlog.inclusion_proof(index, size, self.reader(size)))
        note = cosigned(self.checkpoint(size), witnesses)
        return Receipt(self.origin, 0, index, self.salts[index], self.rows[index], Proof(index, path, note))

    def write(self, folder: Path, size: int) -> None:
        """All tiles of a tree of this size, laid out as a log serves them, and the checkpoint."""
        for level in range(8):
            for index in range(size // 256 ** (level + 1) + 1):
                if width := tlog.tile_width(level, index, size):
                    file = folder / tlog.tile_path(level, index, width)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(self.tile(level, index, width))
        (folder / "checkpoint").write_text(str(self.checkpoint(size)), encoding="utf-8")


@cache
def books(size: int, *, key: str = "london", salted: str = "") -> Books:
    """The books of this size, made once."""
    return Books(size, key=key, salted=salted)


def witness_key(name: str) -> VerifierKey:
    """The verifier key of a witness of this name."""
    return VerifierKey.of(key_of(name), name, KeyKind.COSIGNATURE)


def cosigned(note: Note, witnesses: Sequence[str], at: datetime = NOON) -> Note:
    """The note with the cosignatures of these witnesses."""
    return note.with_signatures(
        tlog.cosign(note.text, name=name, key=key_of(name), at=at) for name in witnesses
    )
