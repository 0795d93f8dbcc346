"""A partition's journal as a transparency log: its tiles, its signed checkpoints, and receipts from it.

Nothing is kept for it but the roots of complete subtrees and a signature for each block. Entries and leaves are worked
out from the journal's rows when somebody asks, so what the log says is what the rows say now. Tiles and entries hold
hashes alone and are anybody's; a receipt holds a row and its salt, and is given only to who may see the transfer.
Sources: C2SP tlog-tiles, tlog-checkpoint, tlog-proof; docs/tamper-evidence.md.
"""

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.ledger import store
from hansa.ledger.blocks import SALT_SIZE, checkpoint_origin, salt_of
from hansa.ledger.chart import AccountCode
from hansa.ledger.model import Account, Block, Booked, Place, TransferId, UnknownTransfer
from hansa.ledger.rows import CANON
from hansa.ledger.store import JournalRow
from hansa.store import Tx
from hansa.trust import Caller, KeyFolder, tlog
from hansa.trust.tlog import Checkpoint, Note, Proof, Receipt, Signature, TileReader, Tree, VerifierKey

TILE_WIDTH = 256
EXPORT_ENTRIES = 32 * TILE_WIDTH
"""How many entries are worked out at a time while tiles are written."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?(/[a-z0-9.-]{1,60}){0,3}", re.ASCII)


class NoLog(HansaError):
    """The ledger has no such partition, so it has no such log."""

    code: ClassVar[str] = "ledger.no_log"
    status: ClassVar[int] = 404


class LogDiffers(HansaError):
    """What was signed before is not the beginning of these books: another log's, or a history that was rewritten."""

    code: ClassVar[str] = "ledger.log_differs"
    status: ClassVar[int] = 409


def log_origin(name: str, partition: int) -> str:
    """What a partition's log is called: ``hansa.example/ledger/0``.

    name: the city's, a domain it holds, such as ``london.example``; it is kept for good, since every checkpoint
    begins with it. Errors: InvalidInput.
    """
    if not _NAME.fullmatch(name):
        problem = Problem(
            "name", f"{name[:80]!r} does not fit", "Give a domain in small letters, without https://"
        )
        raise InvalidInput("A log cannot have this name.", problems=(problem,))
    return checkpoint_origin(name, partition)


class Signer:
    """A city's hand under its logs: one key for all its partitions, each log under a name of its own.

    It is what an ``Engine`` takes as ``sign``. Errors, when first used: KeyUnfit; InvalidInput for the name.
    """

    def __init__(self, keys: KeyFolder, name: str) -> None:
        self.name = name
        self._keys = keys

    def __call__(self, partition: int, size: int, root: bytes) -> bytes:
        """The signature of the checkpoint's text, as a block keeps it."""
        checkpoint = Checkpoint(log_origin(self.name, partition), size, root)
        return self._keys.log().sign(checkpoint.text.encode())

    def verifier_key(self, partition: int) -> VerifierKey:
        """The key that others verify this partition's checkpoints with."""
        return VerifierKey.of(self._keys.log(), log_origin(self.name, partition))

    def seal(self, what: str, lines: Sequence[str]) -> Note:
        """A note of the city's that is no checkpoint, such as a seal under a statement: ``what`` names its kind.

        Its first line is ``city/what``, which is no log's name, so none can be taken for a checkpoint.
        """
        assert re.fullmatch(r"[a-z]{3,30}", what) and what != "ledger", "a kind of note is one word"
        name = f"{self.name}/{what}"
        text = "\n".join([name, *lines, ""])
        return Note(text, (tlog.sign(text, name=name, key=self._keys.log()),))

    def note(self, partition: int, size: int, root: bytes, signature: bytes | None = None) -> Note:
        """The signed checkpoint. signature: as it was given before; one that is not ours by now is made anew."""
        key = self.verifier_key(partition)
        text = Checkpoint(key.name, size, root).text
        if signature is not None:
            note = Note(text, (Signature(key.name, key.key_id, signature),))
            try:
                note.verify([key])
            except tlog.BadSignature:  # the log was renamed, or its key changed
                pass
            else:
                return note
        return Note(text, (Signature(key.name, key.key_id, self(partition, size, root)),))


def signer_for(keys: KeyFolder, name: str) -> Signer:
    """Who signs a city's checkpoints with the log key of this folder, under this name."""
    return Signer(keys, name)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The newest checkpoint that a witness signed. line: its signature line. at: when it signed, by its own word."""

    witness: str
    size: int
    line: str
    at: datetime


class LogReader:
    """One partition's log as it stood when this reader was made. Errors: NoLog."""

    def __init__(self, tx: Tx, partition: int = 0) -> None:
        head = store.find_head(tx, partition)
        if head is None:
            raise NoLog(f"The ledger has no partition {partition}.")
        self.partition = partition
        self.size = head.size
        self._tx = tx

    # --- hashes

    def entries(self, begin: int, end: int) -> list[bytes]:
        """The log's entries from one place until before another, from the rows and salts. Errors: OutsideTree."""
        return [
            sha256(salt + canonical_row(self.partition, row)).digest()
            for salt, row in self._salted(begin, end)
        ]

    def tile(self, level: int, index: int, width: int) -> bytes:
        """The hashes of a tile, one after the other. Errors: OutsideTree where the log is not so large."""
        if not 0 < width <= tlog.tile_width(level, index, self.size):
            raise tlog.OutsideTree(
                f"The log of {self.size} entries has no tile {index} of level {level} of {width}."
            )
        begin = index * TILE_WIDTH
        if level == 0:
            return b"".join(map(tlog.leaf_hash, self.entries(begin, begin + width)))
        nodes = store.list_nodes(self._tx, self.partition, level, begin=begin, end=begin + width)
        return b"".join(node for _, node in sorted(nodes))

    def bundle(self, index: int, width: int) -> bytes:
        """A bundle of entries as tlog-tiles has it. Errors: OutsideTree."""
        if not 0 < width <= tlog.tile_width(0, index, self.size):
            raise tlog.OutsideTree(f"The log of {self.size} entries has no bundle {index} of {width}.")
        return tlog.encode_bundle(self.entries(index * TILE_WIDTH, index * TILE_WIDTH + width))

    def reader(self, size: int | None = None) -> TileReader:
        """Reads the tree of the first ``size`` entries, all unless given: what proofs are made through."""
        return TileReader(self.tile, self.size if size is None else size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path from an entry to the root of the first ``size`` entries. Errors: OutsideTree."""
        return tlog.inclusion_proof(index, size, self.reader(size))

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """The hashes that show the first ``size`` entries to begin with the first ``old_size``. Errors: OutsideTree."""
        return tlog.consistency_proof(old_size, size, self.reader(size))

    def root(self, size: int) -> bytes:
        """The root over the first ``size`` entries: as its block says, or worked out between two blocks' ends."""
        if size == 0:
            return tlog.EMPTY_ROOT
        block = self._block_ending(size)
        return block.root if block else Tree.read(size, self.reader(size)).root()

    def state_after(self, block: int) -> tuple[int, bytes]:
        """The log's size and root after a block; before the first one it is empty. Errors: NoLog."""
        if block == 0:
            return 0, tlog.EMPTY_ROOT
        found = store.find_block(self._tx, self.partition, block)
        if found is None:
            raise NoLog(f"The log has no block {block}.")
        return found.first + found.transfers, found.root

    # --- checkpoints

    def checkpoint(self, signer: Signer, size: int | None = None) -> Note:
        """The signed checkpoint at this size, the newest unless given, with all cosignatures that are of this size.

        Its signature is the block's own where there is one that verifies, or else made now.
        """
        size = self.size if size is None else size
        block = self._block_ending(size) if size else None
        note = signer.note(
            self.partition, size, block.root if block else self.root(size), block.signature if block else None
        )
        lines = [one.line for one in self.cosignatures() if one.size == size]
        return note.with_signatures(each for line in lines for each in tlog.parse_signatures(line))

    def cosignatures(self) -> list[Cosigned]:
        """The newest checkpoint of each witness, by the witness's name."""
        return [Cosigned(*row) for row in store.list_cosignatures(self._tx, self.partition)]

    def witnessed_size(self, index: int) -> int:
        """Whose checkpoint to give with a receipt for this entry: the one that most witnesses signed, then the newest.

        The log's own size where no witness has signed since the entry was booked.
        """
        sizes = [one.size for one in self.cosignatures() if index < one.size <= self.size]
        return max(sizes, key=lambda size: (sizes.count(size), size), default=self.size)

    # --- receipts

    def receipt(self, index: int, signer: Signer) -> Receipt:
        """The receipt for an entry, under the checkpoint that most witnesses signed. Errors: OutsideTree.

        It holds row and salt: give it only to who may see the transfer.
        """
        salt, row = next(self._salted(index, index + 1))
        size = self.witnessed_size(index)
        note = self.checkpoint(signer, size)
        return Receipt(
            log_origin(signer.name, self.partition),
            self.partition,
            index,
            salt,
            canonical_row(self.partition, row),
            Proof(index, tuple(self.inclusion(index, size)), note),
        )

    def receipts(self, places: Sequence[Place], signer: Signer) -> Iterator[Receipt]:
        """The receipts for the transfers at these places, in the order given, all under one checkpoint.

        That is the one which most witnesses signed since the last of them. Every tile is worked out once where places
        come in the order of the books; a thousand cost little more than the tiles they lie in. They hold rows and
        salts, as ``receipt`` says. Errors: NoLog for a block that is not there.
        """
        if not places:
            return
        firsts = store.firsts_of_blocks(self._tx, self.partition, sorted({place.block for place in places}))
        if missing := {place.block for place in places} - firsts.keys():
            raise NoLog(f"The log has no block {min(missing)}.")
        indexes = [firsts[place.block] + place.position for place in places]
        size = self.witnessed_size(max(indexes))
        note = self.checkpoint(signer, size)
        origin = log_origin(signer.name, self.partition)
        near = _Near(self)
        read = TileReader(near.tile, size)
        for at, index in enumerate(indexes):
            salt, row = near.salted(index, indexes, at)
            proof = Proof(index, tuple(tlog.inclusion_proof(index, size, read)), note)
            yield Receipt(origin, self.partition, index, salt, row, proof)

    def index_of(self, place: Place) -> int:
        """Where in the log the transfer at this place stands."""
        block = store.find_block(self._tx, self.partition, place.block)
        assert block is not None, "each row has its block"
        return block.first + place.position

    # --- rows

    def _salted(self, begin: int, end: int) -> Iterator[tuple[bytes, JournalRow]]:
        """The rows of these entries in order, each with its salt. Errors: OutsideTree."""
        if not 0 <= begin < end <= self.size:
            raise tlog.OutsideTree(f"The log of {self.size} entries has none from {begin} to {end}.")
        blocks = store.list_blocks_holding(self._tx, self.partition, begin=begin, end=end)
        start = Place(blocks[0].number, begin - blocks[0].first - 1)
        rows = store.list_journal(
            self._tx, self.partition, after=start, to_block=blocks[-1].number, limit=end - begin
        )
        by_number = {block.number: block for block in blocks}
        for number, group in groupby(rows, key=lambda row: row.block):
            of_block = list(group)
            salts = _salts(by_number[number].salt_key, of_block[0].position, len(of_block))
            for at, row in zip(range(0, len(salts), SALT_SIZE), of_block, strict=True):
                yield salts[at : at + SALT_SIZE], row

    def salted_rows(self, begin: int, end: int) -> list[tuple[bytes, bytes]]:
        """The salts and canonical rows of these entries: what only who may see the transfers is given."""
        return [(salt, canonical_row(self.partition, row)) for salt, row in self._salted(begin, end)]

    def _block_ending(self, size: int) -> Block | None:
        """The block after which the log had this size."""
        if not 0 < size <= self.size:
            raise tlog.OutsideTree(f"The log of {self.size} entries never had {size}.")
        (block,) = store.list_blocks_holding(self._tx, self.partition, begin=size - 1, end=size)
        return block if block.first + block.transfers == size else None


class _Near:
    """The rows of a run of tiles, read at once: where a row is asked for, its neighbours are wanted for its path."""

    RUN = 16
    """Tiles that are read at once at most, where each of them holds a row that is asked for."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._begin = 0
        self._rows: list[tuple[bytes, bytes]] = []

    def salted(self, index: int, indexes: Sequence[int], at: int) -> tuple[bytes, bytes]:
        """The salt and row of an entry. indexes, at: all that is asked for, and which of it this one is."""
        if not self._begin <= index < self._begin + len(self._rows):
            first = last = index // TILE_WIDTH
            for other in islice(indexes, at + 1, None):
                tile = other // TILE_WIDTH
                if tile not in (last, last + 1) or tile - first >= self.RUN:
                    break
                last = tile
            self._begin = first * TILE_WIDTH
            end = min(self._log.size, (last + 1) * TILE_WIDTH)
            self._rows = self._log.salted_rows(self._begin, end)
        return self._rows[index - self._begin]

    def tile(self, level: int, number: int, width: int) -> bytes:
        """A tile's hashes; of level 0 from the rows at hand, where they are these."""
        first = number * TILE_WIDTH - self._begin
        if level == 0 and first >= 0 and first + width <= len(self._rows):
            some = self._rows[first : first + width]
            return b"".join(tlog.leaf_hash(sha256(salt + row).digest()) for salt, row in some)
        return self._log.tile(level, number, width)


def canonical_row(partition: int, row: JournalRow) -> bytes:
    """The bytes of a journal's row that are hashed: ``rows.CANON``, then the memo."""
    body = row.body
    return (
        CANON.pack(
            *(partition, row.block, row.position, body[0], body[1], body[2], body[3].to_bytes(16, "big")),
            *(body[4], body[5], body[7], body[8], body[9], body[10], body[11], body[6], row.booked_us),
        )
        + body[12].encode()
    )


def _salts(salt_key: bytes, first: int, count: int) -> bytes:
    """The salts of ``count`` transfers of a block from position ``first``, as ``blocks.salts`` has them from 0."""
    if count == 1:
        return salt_of(salt_key, first)
    counter = modes.CTR(first.to_bytes(16, "big"))
    return Cipher(algorithms.AES256(salt_key), counter).encryptor().update(bytes(SALT_SIZE * count))


# --- receipts, and for whom


def is_open_to(caller: Caller, account: Account) -> bool:
    """Whether this caller may see what moves on the account: the league, the member that holds it, its rider."""
    if caller.kind == "league":
        return True
    if caller.kind == "person":
        return account.code is AccountCode.WALLET and account.holder == caller.account_id
    return caller.kind != "gate" and caller.member_id is not None and caller.member_id == account.holder


def open_transfer(tx: Tx, caller: Caller, transfer_id: TransferId) -> Booked:
    """The transfer, for who may see one of its accounts. Errors: UnknownTransfer, for everybody else too."""
    booked = store.find_transfer(tx, transfer_id)
    sides = () if booked is None else (booked.transfer.debit, booked.transfer.credit)
    if booked is None or not any(is_open_to(caller, account) for account in store.list_accounts(tx, sides)):
        raise UnknownTransfer(f"There is no transfer {transfer_id} in the books.")
    return booked


def receipt(tx: Tx, transfer_id: TransferId, signer: Signer) -> Receipt:
    """The transfer's receipt. Whoever has it can read the transfer, so ask first: ``open_transfer``.

    Errors: UnknownTransfer.
    """
    booked = store.find_transfer(tx, transfer_id)
    if booked is None:
        raise UnknownTransfer(f"There is no transfer {transfer_id} in the books.")
    log = LogReader(tx, booked.transfer.partition)
    return log.receipt(log.index_of(booked.place), signer)


def block_transfers(
    tx: Tx, partition: int, number: int, *, after: int = -1, limit: int = 100
) -> list[Booked]:
    """A block's transfers after a position, in order. What stands in the books is not for everybody's eyes."""
    return store.list_booked(tx, partition, after=Place(number, after), to_block=number, limit=limit)


# --- witnesses


def keep_cosignature(tx: Tx, partition: int, note: Note, witness: VerifierKey) -> Cosigned:
    """Keep a witness's signature under a checkpoint of ours; an older one of the same witness gives way to it.

    Errors: NotSigned, BadSignature: then nothing is kept.
    """
    (signed,) = note.verify([witness])
    assert signed.at is not None, "a cosignature says when"
    kept = Cosigned(witness.name, Checkpoint.parse(note.text).size, str(signed.signature), signed.at)
    store.keep_cosignature(tx, partition, kept.witness, kept.size, kept.line, kept.at)
    return kept


def check_grown(tx: Tx, old: Note, signer: Signer) -> tuple[Checkpoint, Checkpoint, list[bytes]]:
    """Go on only if the present books begin with those of a checkpoint we signed; gives both, and the proof.

    Errors: BadCheckpoint; NotSigned, BadSignature when it is not ours; LogDiffers when the books are not those.
    """
    then = Checkpoint.parse(old.text)
    partition = _partition_of(then.origin, signer.name)
    old.verify([signer.verifier_key(partition)])
    log = LogReader(tx, partition)
    now = Checkpoint(then.origin, log.size, log.root(log.size))
    if then.size > now.size:
        raise LogDiffers(
            f"The checkpoint counts {then.size} entries, the books hold {now.size}: some are gone."
        )
    proof = log.consistency(then.size, now.size)
    try:
        tlog.verify_consistency(then.size, then.root, now.size, now.root, proof)
    except tlog.NotConsistent as error:
        raise LogDiffers(f"The first {then.size} entries are not those that were signed.") from error
    return then, now, proof


def partitions(tx: Tx) -> list[int]:
    """The partitions that have a log, in order."""
    return [head.partition for head in store.list_heads(tx)]


def _partition_of(origin: str, name: str) -> int:
    partition = origin.removeprefix(f"{name}/ledger/")
    if not re.fullmatch(r"0|[1-9][0-9]{0,4}", partition, re.ASCII) or int(partition) > 2**15 - 1:
        raise NoLog(f"There is no log {origin[:80]!r} here; ours are called {name}/ledger/0 and so on.")
    return int(partition)


# --- files


def export_tiles(tx: Tx, partition: int, folder: Path, signer: Signer) -> Checkpoint:
    """Write the log as files that any web server can serve, laid out as tlog-tiles says; gives what they are of.

    Full tiles never change: those that are there are left alone, so a run that broke off is finished by the next. The
    checkpoint comes last, when all that it promises is there.
    Errors: NoLog; LogDiffers when the folder holds another log, or a checkpoint that these books do not continue.
    """
    log = LogReader(tx, partition)
    note = log.checkpoint(signer)
    _refuse_another_log(tx, folder, signer, partition)
    _write_leaves(log, folder)
    level = 1
    while tlog.tile_width(level, 0, log.size):
        _write_level(log, level, folder)
        level += 1
    _write(folder / tlog.CHECKPOINT_PATH, str(note).encode())
    return Checkpoint.parse(note.text)


def _refuse_another_log(tx: Tx, folder: Path, signer: Signer, partition: int) -> None:
    file = folder / tlog.CHECKPOINT_PATH
    if not file.exists():
        return
    try:
        then, _, _ = check_grown(tx, Note.parse(file.read_bytes()), signer)
    except HansaError as error:
        raise LogDiffers(f"{file} is not of these books. {error.detail}") from error
    if then.origin != log_origin(signer.name, partition):
        raise LogDiffers(f"{folder} holds the log {then.origin}; give each log a folder of its own.")


def _write_leaves(log: LogReader, folder: Path) -> None:
    """Level 0 and the entries themselves, which both come from the rows."""
    for begin in range(0, log.size, EXPORT_ENTRIES):
        tiles = [
            (index, tlog.tile_width(0, index, log.size))
            for index in range(begin // TILE_WIDTH, -(-min(log.size, begin + EXPORT_ENTRIES) // TILE_WIDTH))
        ]
        wanted = [(index, width) for index, width in tiles if not _is_there(folder, index, width)]
        if not wanted:
            continue
        first = wanted[0][0] * TILE_WIDTH
        entries = log.entries(first, min(log.size, begin + EXPORT_ENTRIES))
        for index, width in wanted:
            some = entries[index * TILE_WIDTH - first :][:width]
            _write(folder / tlog.tile_path(0, index, width), b"".join(map(tlog.leaf_hash, some)))
            _write(folder / tlog.entries_path(index, width), tlog.encode_bundle(some))


def _write_level(log: LogReader, level: int, folder: Path) -> None:
    index = 0
    while width := tlog.tile_width(level, index, log.size):
        file = folder / tlog.tile_path(level, index, width)
        if not _has(file, width * 32):
            _write(file, log.tile(level, index, width))
        index += 1


def _is_there(folder: Path, index: int, width: int) -> bool:
    return _has(folder / tlog.tile_path(0, index, width), width * 32) and _has(
        folder / tlog.entries_path(index, width), width * 34
    )


def _has(file: Path, size: int) -> bool:
    """Whether the file is there and whole: after a crash of the machine one may have a name and no content."""
    return file.exists() and file.stat().st_size == size


def _write(file: Path, data: bytes) -> None:
    """The file as a whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    draft.write_bytes(data)
    os.replace(draft, file)
