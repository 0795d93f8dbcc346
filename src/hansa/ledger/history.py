"""A partition's whole history as a file, and back: accounts, then every block with its transfers, checked by the chain.

The file is gzipped JSON Lines. The first line says what it is; each account is a line; each block is a line with its
header and, of each transfer, the canonical bytes that were hashed. Nothing that can be worked out is in it, so nothing
in it can disagree: sums, holds, the tree and the statements' places are made anew while it is read.
"""

import gzip
import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.ledger import store
from hansa.ledger.batch import microseconds
from hansa.ledger.blocks import GENESIS_HASH, Sealed, entries, hash_of
from hansa.ledger.chart import AccountCode, AccountFlag
from hansa.ledger.decide import PENDING, VOID, ZERO, Body
from hansa.ledger.model import Account, AccountId, Block, Head
from hansa.ledger.rows import Rows, body_of, canonical_rows, copy_rows
from hansa.store import Context, Tx
from hansa.trust import tlog

FORMAT = "hansa-ledger-history"
VERSION = 1


class HistoryBroken(HansaError):
    """This history is not one that a ledger wrote: a block does not follow from the ones before it."""

    code: ClassVar[str] = "ledger.history_broken"
    status: ClassVar[int] = 422


class PartitionInUse(HansaError):
    """A history is read into a partition that has none of its own yet."""

    code: ClassVar[str] = "ledger.partition_in_use"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class History:
    """What a file holds, or what was read from it. hash: of the last block."""

    partition: int
    accounts: int
    blocks: int
    transfers: int
    hash: bytes


def export_history(ctx: Context, path: Path, *, partition: int = 0) -> History:
    """Write a partition's history up to its present head. The file appears whole or not at all.

    Errors: InvalidInput for a partition that is not there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with ctx.tx() as tx:
            head = store.find_head(tx, partition)
            if head is None:
                problem = Problem(
                    "partition", f"there is no partition {partition}", "Name one that has accounts"
                )
                raise InvalidInput("These books have no such partition.", problems=(problem,))
            with gzip.open(draft, "wt", encoding="ascii", compresslevel=6) as file:
                accounts = 0
                told = {"format": FORMAT, "version": VERSION, "partition": partition, "blocks": head.number}
                file.write(json.dumps(told | {"hash": head.hash.hex()}) + "\n")
                for account, opened_at in store.read_accounts(tx, partition):
                    accounts += 1
                    file.write(json.dumps({"account": _account_line(account, opened_at)}) + "\n")
                for block, rows in _blocks_with_rows(tx, head):
                    file.write(json.dumps({"block": _block_line(block), "transfers": rows}) + "\n")
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return History(partition, accounts, head.number, head.size, head.hash)


def import_history(ctx: Context, path: Path) -> History:
    """Read a history into its partition, which must have no blocks yet; all of it in one transaction, or nothing.

    Every block's hash, the tree's root after it, and every sum are worked out from the transfers as they are read.
    Errors: InvalidInput for a file that is none of ours; HistoryBroken, with the block; PartitionInUse.
    """
    lines = _lines(path)
    first = next(lines, {})
    if first.get("format") != FORMAT or first.get("version") != VERSION:
        problem = Problem(
            path.name, "it does not begin as one", "Give a file that `hansa ledger export` wrote"
        )
        raise InvalidInput("This is no history of a ledger.", problems=(problem,))
    partition = int(first["partition"])
    with ctx.tx() as tx:
        store.make_heads(tx, [partition])
        locked = store.lock_head(tx, partition)
        if locked.head.number or (locked.writer is not None and store.engine_lives(tx, partition)):
            raise PartitionInUse(
                f"Partition {partition} has {locked.head.number} blocks, or an engine keeps it."
            )
        read = _Reading(tx, locked.head, locked.term)
        try:
            for line in lines:
                if "account" in line:
                    read.account(line["account"])
                elif "block" in line:
                    read.block(line["block"], line["transfers"])
            return read.finish(blocks=int(first["blocks"]), digest=bytes.fromhex(first["hash"]))
        except (KeyError, ValueError, TypeError, struct.error) as error:
            raise _damaged(path) from error


class _Reading:
    """A history on its way in."""

    def __init__(self, tx: Tx, head: Head, term: int) -> None:
        self._tx, self._head, self._term = tx, head, term
        self._tree = tlog.Tree()
        self._previous = GENESIS_HASH
        self._sums: dict[bytes, list[int]] = {}
        self._held: dict[bytes, int] = {}
        self._accounts: list[tuple[Account, datetime]] = []
        self._opened = 0

    def account(self, line: dict[str, Any]) -> None:
        self._accounts.append(_account_of(line, self._head.partition))
        if len(self._accounts) >= 10_000:
            self._open()

    def _open(self) -> None:
        for at, some in groupby(self._accounts, key=lambda pair: pair[1]):
            opened = [account for account, _ in some]
            store.insert_accounts(self._tx, opened, at)
            self._opened += len(opened)
        self._accounts.clear()

    def block(self, line: dict[str, Any], transfers: Sequence[str]) -> None:
        self._open()
        number = self._head.number + 1
        block = _block_of(line, self._head.partition)
        canon = [bytes.fromhex(row) for row in transfers]
        tree = self._tree.copy()
        nodes = tree.append(entries(canon, block.salt_key)) if canon else []
        if (
            block.number != number
            or block.previous_hash != self._previous
            or block.hash != hash_of(block)
            or (block.first, block.transfers) != (self._tree.size, len(canon))
            or tree.root() != block.root
        ):
            raise HistoryBroken(f"Block {number} of this history does not follow from the blocks before it.")
        bodies = [self._body(row, block, position) for position, row in enumerate(canon)]
        released = [self._held.pop(body[4], None) if body[4] != ZERO else None for body in bodies]
        sums = [
            total for body, held in zip(bodies, released, strict=True) for total in self._after(body, held)
        ]
        rows = Rows(block.partition, number, microseconds(block.booked_at), bodies, released, sums)
        sealed = Sealed(block, nodes, tree)
        store.write_rows(self._tx, sealed, copy_rows(rows))
        store.move_head(self._tx, sealed, term=self._term)
        self._tree, self._previous = tree, block.hash
        self._head = Head(block.partition, number, block.hash, block.booked_at, tree.size)

    def _body(self, row: bytes, block: Block, position: int) -> Body:
        place, body = body_of(row)
        if place != (block.partition, block.number, position, microseconds(block.booked_at)):
            raise HistoryBroken(f"Block {block.number} of this history holds a transfer of another place.")
        if body[11] & PENDING:
            self._held[body[0]] = body[3]
        return body

    def _after(self, body: Body, released: int | None) -> list[int]:
        moved = 0 if body[11] & (PENDING | VOID) else body[3]
        held = body[3] if body[11] & PENDING else -(released or 0)
        debit = self._sums.setdefault(body[1], [0, 0, 0, 0])
        credit = self._sums.setdefault(body[2], [0, 0, 0, 0])
        debit[0] += held
        debit[1] += moved
        credit[2] += held
        credit[3] += moved
        return [*debit, *credit]

    def finish(self, *, blocks: int, digest: bytes) -> History:
        self._open()
        head = self._head
        if (head.number, head.hash) != (blocks, digest if blocks else head.hash):
            raise HistoryBroken(f"This history ends at block {head.number}; it announced {blocks}.")
        if head.number:
            store.fold(self._tx, head.partition, previous=0, number=head.number)
        return History(head.partition, self._opened, head.number, head.size, head.hash)


def _blocks_with_rows(tx: Tx, head: Head) -> Iterator[tuple[Block, list[str]]]:
    journal = groupby(store.read_journal(tx, head.partition, head.number), key=lambda row: row.block)
    for block in store.read_blocks(tx, head.partition, head.number):
        _, written = next(journal, (0, iter(())))
        rows = Rows(
            block.partition,
            block.number,
            microseconds(block.booked_at),
            [row.body for row in written],
            [],
            [],
        )
        yield block, [row.hex() for row in canonical_rows(rows)]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Errors: InvalidInput for what is not gzipped JSON Lines."""
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            for line in file:
                yield json.loads(line)
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> InvalidInput:
    problem = Problem(path.name, "it is damaged or cut off", "Copy it again, whole")
    return InvalidInput("This history cannot be read.", problems=(problem,))


def _account_line(account: Account, opened_at: datetime) -> dict[str, Any]:
    return {
        "account_id": str(account.account_id),
        "currency": account.currency,
        "code": int(account.code),
        "holder": account.holder,
        "path": account.path,
        "labels": dict(account.labels),
        "flags": int(account.flags & ~AccountFlag.CLOSED),
        "opened_at": opened_at.isoformat(),
    }


def _account_of(line: dict[str, Any], partition: int) -> tuple[Account, datetime]:
    account = Account(
        AccountId(UUID(line["account_id"])),
        line["currency"],
        AccountCode(line["code"]),
        line["holder"],
        AccountFlag(line["flags"]),
        partition,
        line["path"],
        line["labels"],
    )
    return account, datetime.fromisoformat(line["opened_at"])


def _block_line(block: Block) -> dict[str, Any]:
    return {
        "number": block.number,
        "first": block.first,
        "transfers": block.transfers,
        "previous_hash": block.previous_hash.hex(),
        "root": block.root.hex(),
        "hash": block.hash.hex(),
        "booked_at": block.booked_at.isoformat(),
        "salt_key": block.salt_key.hex(),
        "signature": None if block.signature is None else block.signature.hex(),
    }


def _block_of(line: dict[str, Any], partition: int) -> Block:
    return Block(
        partition=partition,
        number=line["number"],
        first=line["first"],
        transfers=line["transfers"],
        previous_hash=bytes.fromhex(line["previous_hash"]),
        root=bytes.fromhex(line["root"]),
        hash=bytes.fromhex(line["hash"]),
        booked_at=datetime.fromisoformat(line["booked_at"]),
        salt_key=bytes.fromhex(line["salt_key"]),
        signature=None if line["signature"] is None else bytes.fromhex(line["signature"]),
    )
