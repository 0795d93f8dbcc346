"""One partition in memory: what its next transfers must be measured by, and the block that comes of them.

A writer reads what a batch names, decides in memory, and seals a block; someone else commits it. What is in the book
and what is in the database may differ only by blocks that are not folded yet, and all of those are in the book.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

import numpy as np

from hansa.ledger import store
from hansa.ledger.batch import Batch, Records
from hansa.ledger.blocks import Sealed, Sign, booking_time, seal
from hansa.ledger.decide import PENDING, RESOLVES, ZERO, Body, Book, Decision, HoldState, decide
from hansa.ledger.model import Head, ResultCode
from hansa.ledger.rows import Rows, copy_rows
from hansa.store import Tx
from hansa.trust import tlog

_OF_HOLDS = PENDING | RESOLVES

ACCOUNTS_MAX = 1_000_000
"""Accounts kept in memory unless said otherwise: about 300 bytes each."""


@dataclass(frozen=True, slots=True)
class Made:
    """A block to be committed: sealed, and its rows as COPY takes them."""

    sealed: Sealed
    rows: bytes

    @property
    def number(self) -> int:
        return self.sealed.block.number

    @property
    def transfers(self) -> int:
        return self.sealed.block.transfers


@dataclass(slots=True)
class _Unfolded:
    """A block whose effects are not in the accounts' rows yet."""

    number: int
    rows: list[Body]


class Writer:
    """A partition's book from ``head`` on. Not for two threads at once."""

    def __init__(
        self, head: Head, tree: tlog.Tree, *, sign: Sign | None = None, accounts_max: int = ACCOUNTS_MAX
    ) -> None:
        assert head.folded == head.number, "a writer begins where everything is folded"
        self.head = head
        self.book = Book()
        self._tree = tree
        self._sign = sign
        self._accounts_max = accounts_max
        self._unfolded: deque[_Unfolded] = deque()
        self._guests: list[bytes] = []

    # --- reading in

    def load(self, tx: Tx, bodies: Sequence[Body]) -> None:
        """Read into the book what these transfers name and it does not have."""
        book, partition = self.book, self.head.partition
        transfers, accounts = book.transfers, book.accounts
        asked = {body[0] for body in bodies} - transfers.keys()
        found = set(store.find_known(tx, partition, asked)) if asked and self.head.number else set[bytes]()
        pending_ids = {body[4] for body in bodies if body[11] & RESOLVES} - {ZERO}
        wanted = found | (pending_ids - transfers.keys())
        if wanted:
            existing = store.load_transfers(tx, partition, wanted)
            # An earlier resolution is compared by what its hold says; and a hold that is repeated in this batch may
            # be ended by another batch of the same block.
            holds = pending_ids | {body[4] for body in existing.values() if body[4] != ZERO}
            holds.update(known for known, body in existing.items() if body[11] & PENDING)
            missing = holds - existing.keys() - transfers.keys()
            if missing:
                existing |= store.load_transfers(tx, partition, missing)
            for pending_id, hold in store.load_holds(
                tx, partition, existing, holds & existing.keys()
            ).items():
                book.holds.setdefault(pending_id, hold)
            transfers |= existing
            self._guests += existing
        needed = {body[1] for body in bodies}
        needed.update(body[2] for body in bodies)
        for pending_id in pending_ids & book.holds.keys():
            pending = book.holds[pending_id].pending
            needed.update((pending[1], pending[2]))
        needed -= accounts.keys()
        needed.discard(ZERO)
        if needed:
            accounts |= store.load_standings(tx, partition, needed)

    def preload(self, tx: Tx) -> int:
        """Read in accounts until the book is full of them; gives how many there are."""
        for account_id, standing in store.read_standings(tx, self.head.partition, self._accounts_max):
            self.book.accounts.setdefault(account_id, standing)
        return len(self.book.accounts)

    # --- deciding

    def decide(
        self, batches: Sequence[Batch], now: datetime, *, expiring: bool = False
    ) -> tuple[list[list[ResultCode]], Made | None]:
        """What becomes of the batches, one after another as one block, and the block if anything is booked.

        Everything they name has been loaded. The book goes on from after the block. Only the last may be open.
        """
        assert not any(batch.is_open for batch in batches[:-1]), "a chain ends with its batch"
        bodies = (
            batches[0].bodies if len(batches) == 1 else list(chain.from_iterable(b.bodies for b in batches))
        )
        booked_us = booking_time(now, self.head)
        decision = decide(self.book, bodies, now_us=booked_us, refused=_refused(batches), expiring=expiring)
        self._let_guests_go(decision.rows)
        made = self._make(batches, decision, booked_us) if decision.rows else None
        codes = iter(decision.codes)
        return [list(islice(codes, len(batch))) for batch in batches], made

    def _make(self, batches: Sequence[Batch], decision: Decision, booked_us: int) -> Made:
        head = self.head
        rows = Rows(
            head.partition,
            head.number + 1,
            booked_us,
            decision.rows,
            decision.released,
            decision.sums,
            _records(batches) if decision.as_given else None,
        )
        sealed = seal(head, self._tree, rows, sign=self._sign)
        block = sealed.block
        self.head = Head(
            head.partition, block.number, block.hash, block.booked_at, sealed.tree.size, head.folded
        )
        self._tree = sealed.tree
        self._unfolded.append(_Unfolded(block.number, decision.rows))
        return Made(sealed, copy_rows(rows))

    # --- forgetting

    def folded(self, number: int) -> None:
        """Blocks up to this one are folded: what only they needed in memory can go."""
        book = self.book
        transfers = book.transfers
        while self._unfolded and self._unfolded[0].number <= number:
            for body in self._unfolded.popleft().rows:
                if body[11] & _OF_HOLDS:
                    self._forget_hold(body)
                else:
                    del transfers[body[0]]
        if len(book.accounts) > self._accounts_max:
            self._shed_accounts()

    def _forget_hold(self, body: Body) -> None:
        """A folded hold goes, unless a later, unfolded transfer has ended it: with that one it goes."""
        book = self.book
        if body[11] & RESOLVES:
            book.transfers.pop(body[4], None)
            book.holds.pop(body[4], None)
        elif book.holds[body[0]].state is not HoldState.OPEN:
            return
        else:
            del book.holds[body[0]]
        del book.transfers[body[0]]

    def _let_guests_go(self, rows: Sequence[Body]) -> None:
        """What was read in for one batch goes after it, unless the batch ended it: then with the block that did."""
        if not self._guests:
            return
        book, ended = self.book, {body[4] for body in rows}
        for transfer_id in self._guests:
            if transfer_id not in ended:
                book.holds.pop(transfer_id, None)
                book.transfers.pop(transfer_id, None)
        self._guests.clear()

    def _shed_accounts(self) -> None:
        """Let accounts go that no unfolded block touched, until there is room again."""
        accounts = self.book.accounts
        busy = {side for unfolded in self._unfolded for body in unfolded.rows for side in (body[1], body[2])}
        spare = len(accounts) - self._accounts_max * 3 // 4
        for account_id in list(islice((one for one in accounts if one not in busy), spare)):
            del accounts[account_id]


def _refused(batches: Sequence[Batch]) -> dict[int, ResultCode]:
    if not any(batch.refused for batch in batches):
        return {}
    found: dict[int, ResultCode] = {}
    start = 0
    for batch in batches:
        found |= {start + index: code for index, code in batch.refused.items()}
        start += len(batch)
    return found


def _records(batches: Sequence[Batch]) -> Records | None:
    """The batches' arrays in one, if they all have one."""
    arrays = [batch.records for batch in batches if batch.records is not None]
    if len(arrays) < len(batches):
        return None
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def write_now(
    tx: Tx, partition: int, batch: Batch, now: datetime, *, sign: Sign | None = None, expiring: bool = False
) -> list[ResultCode] | None:
    """Decide and book a batch within this transaction, folded at once. None: an engine keeps this partition.

    The lock on the head makes this the partition's only writer until the transaction ends.
    """
    locked = store.lock_head(tx, partition)
    term = locked.term
    if locked.writer is not None:
        if store.engine_lives(tx, partition):
            return None
        term = store.elect(
            tx, partition, None
        )  # it died: what it committed stands, what it promised was nothing
    head = fold_all(tx, locked.head)
    writer = Writer(head, locked.tree, sign=sign)
    writer.load(tx, batch.bodies)
    (codes,), made = writer.decide([batch], now, expiring=expiring)
    if made is not None:
        store.write_rows(tx, made.sealed, made.rows)
        store.move_head(tx, made.sealed, term=term)
        store.fold(tx, partition, previous=head.number, number=made.number)
    return codes


def fold_all(tx: Tx, head: Head) -> Head:
    """Fold all that is not folded; gives the head as it is then. Only for who locks it."""
    folded = head.folded
    while folded < head.number and (last := store.lock_fold(tx, head.partition, folded)) != folded:
        folded = last
    if folded < head.number:
        store.fold(tx, head.partition, previous=folded, number=head.number)
    return Head(head.partition, head.number, head.hash, head.booked_at, head.size, head.number)
