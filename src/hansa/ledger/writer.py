"""One partition in memory: what its next transfers must be measured by, and the block that comes of them.

A writer reads what a batch names, decides in memory, and seals a block; someone else commits it. What is in the book
and what is in the database may differ only by blocks that are not folded yet, and all of those are in the book.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

import numpy as np

from hansa.ledger import store
from hansa.ledger.accounts import Accounts, Sums
from hansa.ledger.batch import Batch, RecordBodies, Records, records_of
from hansa.ledger.blocks import Sealed, Sign, booking_time, seal
from hansa.ledger.columns import Moves, decide_columns, is_plain
from hansa.ledger.decide import (
    INSTANT_MAX_US,
    PENDING,
    RESOLVES,
    ZERO,
    Body,
    Book,
    Decision,
    Hold,
    HoldState,
    decide,
)
from hansa.ledger.folding import Sides
from hansa.ledger.model import TIMEOUT_MAX_S, Head, ResultCode
from hansa.ledger.rows import FEW, Rows, copy_rows, sums_array
from hansa.store import Tx
from hansa.trust import tlog

_OF_HOLDS = PENDING | RESOLVES
_FAR_US = INSTANT_MAX_US - (TIMEOUT_MAX_S + 1) * 1_000_000
"""Until then no hold can end after the last instant there is."""

ACCOUNTS_MAX = 1_000_000
"""Accounts kept in memory unless said otherwise: about 250 bytes each."""


@dataclass(frozen=True, slots=True)
class Made:
    """A block to be committed: sealed, and its rows as COPY takes them.

    sides: None where a sum is too large for a column. holds: whether it opens or ends any.
    """

    sealed: Sealed
    rows: bytes
    sides: Sides | None
    holds: bool

    @property
    def number(self) -> int:
        return self.sealed.block.number

    @property
    def transfers(self) -> int:
        return self.sealed.block.transfers


@dataclass(frozen=True, slots=True)
class _Uncommitted:
    """A block whose rows may not be in the database yet, and which transfers are in it, but for those of holds."""

    number: int
    ids: AbstractSet[bytes]
    bodies: Sequence[Body]


@dataclass(frozen=True, slots=True)
class _OfHolds:
    """A block's transfers that open or end holds, whose effects are not in the holds' rows yet."""

    number: int
    rows: list[Body]


@dataclass(frozen=True, slots=True)
class _Part:
    """Some batches of a block, decided. moves: if that was by column; else decision. opened: holds among the moves."""

    batches: Sequence[Batch]
    moves: Moves | None
    decision: Decision | None
    opened: Sequence[Body] = ()

    @property
    def count(self) -> int:
        """How many transfers are booked."""
        if self.moves is not None:
            return len(self.moves.debits)
        return 0 if self.decision is None else len(self.decision.rows)


class Writer:
    """A partition's book from ``head`` on. Not for two threads at once.

    accounts: those in memory, as of the last block. book: holds that are not folded, with their transfers.
    """

    def __init__(
        self, head: Head, tree: tlog.Tree, *, sign: Sign | None = None, accounts_max: int = ACCOUNTS_MAX
    ) -> None:
        assert head.folded == head.number, "a writer begins where everything is folded"
        self.head = head
        self.accounts = Accounts()
        self.book = Book()
        self._tree = tree
        self._sign = sign
        self._accounts_max = accounts_max
        self._uncommitted: deque[_Uncommitted] = deque()
        self._of_holds: deque[_OfHolds] = deque()
        self._guests: list[bytes] = []

    # --- reading in

    def load(self, tx: Tx, batches: Sequence[Batch]) -> None:
        """Read in what these batches name and is not in memory."""
        ids = _column(batches, 0)
        partition, transfers = self.head.partition, self.book.transfers
        found = store.find_known(tx, partition, ids) if ids and self.head.number else []
        wanted = {known for known in found if known not in transfers}
        ends = {
            body[4]
            for batch in batches
            if batch.records is None or batch.records["pending_id"].tobytes().strip(b"\0")
            for body in batch.bodies
            if body[11] & RESOLVES
        } - {ZERO}
        self._recall(chain(ids, ends))
        wanted |= ends - transfers.keys()
        if wanted:
            self._load_transfers(tx, wanted, ends)
        named = chain(_column(batches, 1), _column(batches, 2))
        holds = self.book.holds
        of_holds = (side for one in ends if one in holds for side in holds[one].pending[1:3])
        needed = self.accounts.missing(chain(named, of_holds))
        needed.discard(ZERO)
        if needed:
            self.accounts.add(store.load_standings(tx, partition, needed))

    def _load_transfers(self, tx: Tx, wanted: set[bytes], ends: set[bytes]) -> None:
        book, partition = self.book, self.head.partition
        existing = store.load_transfers(tx, partition, wanted)
        # An earlier resolution is compared by what its hold says; and a hold that is repeated in this batch may be
        # ended by another batch of the same block.
        holds = ends | {body[4] for body in existing.values() if body[4] != ZERO}
        holds.update(known for known, body in existing.items() if body[11] & PENDING)
        missing = holds - existing.keys() - book.transfers.keys()
        if missing:
            existing |= store.load_transfers(tx, partition, missing)
        for pending_id, hold in store.load_holds(tx, partition, existing, holds & existing.keys()).items():
            book.holds.setdefault(pending_id, hold)
        book.transfers |= existing
        self._guests += existing

    def _recall(self, ids: Iterable[bytes]) -> None:
        """Bring transfers of blocks that may not be committed yet back into the book, if they are named again."""
        if not self._uncommitted:
            return
        asked = set(ids)
        for block in self._uncommitted:
            if not block.ids.isdisjoint(asked):
                again = {body[0]: body for body in block.bodies if body[0] in asked}
                new = again.keys() - self.book.transfers.keys()
                self.book.transfers |= {transfer_id: again[transfer_id] for transfer_id in new}
                self._guests += new

    def preload(self, tx: Tx) -> int:
        """Read in accounts until there are as many as are kept; gives how many there are."""
        store.read_standings(tx, self.head.partition, self.accounts, self._accounts_max)
        return len(self.accounts)

    # --- deciding

    def decide(
        self, batches: Sequence[Batch], now: datetime, *, expiring: bool = False
    ) -> tuple[list[list[ResultCode]], Made | None]:
        """What becomes of the batches, one after another as one block, and the block if anything is booked.

        Everything they name has been loaded. The book goes on from after the block. Only the last may be open.
        """
        assert not any(batch.is_open for batch in batches[:-1]), "a chain ends with its batch"
        booked_us = booking_time(now, self.head)
        parts = self._decide_parts(batches, booked_us, expiring=expiring)
        booked = [part for part in parts if part.count]
        made = self._make(booked, booked_us) if booked else None
        self._let_guests_go(made)
        codes = [
            some
            for part in parts
            for some in (
                _all_created(part.batches)
                if part.decision is None
                else _parted_codes(part.decision.codes, part.batches)
            )
        ]
        return codes, made

    def _decide_parts(self, batches: Sequence[Batch], booked_us: int, *, expiring: bool) -> list[_Part]:
        """The whole block by column; if that cannot be, each batch by column; else one transfer after another."""
        if expiring or sum(map(len, batches)) <= FEW or booked_us > _FAR_US:
            return [self._decide_each(batches, booked_us, expiring=expiring)]
        part = self._decide_columns(batches, booked_us)
        if part is not None:
            return [part]
        if len(batches) == 1:
            return [self._decide_each(batches, booked_us, expiring=False)]
        parts: list[_Part] = []
        for batch in batches:
            part = self._decide_columns([batch], booked_us, [part.moves.ids for part in parts if part.moves])
            parts.append(part or self._decide_each([batch], booked_us, earlier=parts, expiring=False))
        return parts

    def _decide_columns(
        self, batches: Sequence[Batch], booked_us: int, earlier: Sequence[set[bytes]] = ()
    ) -> _Part | None:
        if (len(batches) == 1 and len(batches[0]) <= FEW) or any(batch.refused for batch in batches):
            return None
        records = _records(batches)
        if not is_plain(records):
            return None
        debits = self.accounts.slots_of(_column(batches, 1))
        credits = self.accounts.slots_of(_column(batches, 2))
        if debits is None or credits is None:
            return None
        known = [self.book.transfers.keys(), *(block.ids for block in self._uncommitted), *earlier]
        moves = decide_columns(self.accounts, records, _column(batches, 0), debits, credits, known)
        if moves is None:
            return None
        self.accounts.touched[debits] = self.accounts.touched[credits] = self.head.number + 1
        return _Part(batches, moves, None, self._open_holds(batches, moves, booked_us))

    def _decide_each(
        self,
        batches: Sequence[Batch],
        booked_us: int,
        *,
        earlier: Sequence[_Part] = (),
        expiring: bool,
    ) -> _Part:
        bodies = _bodies(batches)
        held, transfers = self.book.holds, self.book.transfers
        for part in earlier:  # a repeat of what this very block books
            if part.moves and not part.moves.ids.isdisjoint(body[0] for body in bodies):
                again = {body[0]: body for batch in part.batches for body in batch.bodies}
                repeated = (again.keys() & {body[0] for body in bodies}) - transfers.keys()
                transfers |= {transfer_id: again[transfer_id] for transfer_id in repeated}
                self._guests += repeated
        named = set(chain(_column(batches, 1), _column(batches, 2)))
        for body in bodies:
            if body[11] & RESOLVES and (hold := held.get(body[4])) is not None:
                named.update(hold.pending[1:3])
        standings = self.accounts.take(named)
        decision = decide(
            Book(standings, transfers, held),
            bodies,
            now_us=booked_us,
            refused=_refused(batches),
            expiring=expiring,
        )
        if decision.rows:
            changed = {side for row in decision.rows for side in (row[1], row[2])}
            self.accounts.put({side: standings[side] for side in changed}, touched=self.head.number + 1)
        return _Part(batches, None, decision)

    def _make(self, parts: Sequence[_Part], booked_us: int) -> Made:
        head = self.head
        number = head.number + 1
        rows, sides = self._rows(parts, number, booked_us)
        sealed = seal(head, self._tree, rows, sign=self._sign)
        block = sealed.block
        self.head = Head(head.partition, number, block.hash, block.booked_at, sealed.tree.size, head.folded)
        self._tree = sealed.tree
        plain = set[bytes]()
        of_holds: list[Body] = []
        for part in parts:
            if part.decision is None:
                assert part.moves is not None, "a part was decided one way or the other"
                of_holds += part.opened
                ids = part.moves.ids - {body[0] for body in part.opened} if part.opened else part.moves.ids
                plain = plain | ids if plain else ids
                continue
            for body in part.decision.rows:
                if body[11] & _OF_HOLDS:
                    of_holds.append(body)
                else:
                    del self.book.transfers[body[0]]
                    plain.add(body[0])
        self._uncommitted.append(_Uncommitted(number, plain, rows.bodies))
        if of_holds:
            self._of_holds.append(_OfHolds(number, of_holds))
        return Made(sealed, copy_rows(rows), sides, bool(of_holds))

    def _open_holds(self, batches: Sequence[Batch], moves: Moves, booked_us: int) -> list[Body]:
        """Note the holds among what was decided by column; gives them."""
        if moves.holds is None:
            return []
        book, bodies = self.book, _bodies(batches)
        new = [bodies[index] for index in np.flatnonzero(moves.holds).tolist()]
        for body in new:
            book.transfers[body[0]] = body
            book.holds[body[0]] = Hold(body, booked_us + body[8] * 1_000_000 if body[8] else None)
        return new

    def _rows(self, parts: Sequence[_Part], number: int, booked_us: int) -> tuple[Rows, Sides | None]:
        """The block's rows, and what they did to accounts."""
        place = self.head.partition, number, booked_us
        if len(parts) > 1:
            rows = _rows_together(parts, *place)
            return rows, self._sides(rows)
        part = parts[0]
        if part.moves is not None:
            moves, memos = part.moves, _memos(part)
            rows = Rows(*place, RecordBodies(moves.records, memos), (), moves.sums, moves.records)
            return rows, Sides(moves.debits, moves.credits, moves.sums)
        decision = part.decision
        assert decision is not None, "a part was decided one way or the other"
        given = _given_records(part.batches) if decision.as_given else None
        if given is None and len(decision.rows) > FEW:
            given = records_of(decision.rows)
        rows = Rows(*place, decision.rows, decision.released, decision.sums, given)
        return rows, self._sides(rows)

    def _sides(self, rows: Rows) -> Sides | None:
        debits = self.accounts.slots_of([body[1] for body in rows.bodies])
        credits = self.accounts.slots_of([body[2] for body in rows.bodies])
        if debits is None or credits is None:
            return None
        try:
            return Sides(debits, credits, sums_array(rows.sums))
        except OverflowError:
            return None

    # --- forgetting

    def committed(self, number: int) -> None:
        """Blocks up to this one are in the database: it is asked for their transfers from now on."""
        while self._uncommitted and self._uncommitted[0].number <= number:
            self._uncommitted.popleft()

    def folded(self, number: int) -> None:
        """Blocks up to this one are folded: what only they needed in memory can go."""
        self.committed(number)
        while self._of_holds and self._of_holds[0].number <= number:
            for body in self._of_holds.popleft().rows:
                self._forget_hold(body)
        if len(self.accounts) > self._accounts_max:
            self.accounts.shed(len(self.accounts) - self._accounts_max * 3 // 4, folded=number)

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

    def _let_guests_go(self, made: Made | None) -> None:
        """What was read in for one batch goes after it, unless the batch ended it: then with the block that did."""
        if not self._guests:
            return
        book = self.book
        ended = (
            {body[4] for body in self._of_holds[-1].rows} if made is not None and made.holds else set[bytes]()
        )
        for transfer_id in self._guests:
            if transfer_id not in ended:
                book.holds.pop(transfer_id, None)
                book.transfers.pop(transfer_id, None)
        self._guests.clear()


def _column(batches: Sequence[Batch], place: int) -> list[bytes]:
    """One id of each transfer of the batches, in order."""
    if len(batches) == 1:
        return batches[0].column(place)
    return list(chain.from_iterable(batch.column(place) for batch in batches))


def _all_created(batches: Sequence[Batch]) -> list[list[ResultCode]]:
    return [[ResultCode.CREATED] * len(batch) for batch in batches]


def _parted_codes(codes: Sequence[ResultCode], batches: Sequence[Batch]) -> list[list[ResultCode]]:
    rest = iter(codes)
    return [list(islice(rest, len(batch))) for batch in batches]


def _rows_together(parts: Sequence[_Part], partition: int, number: int, booked_us: int) -> Rows:
    """The rows of parts that were decided in different ways."""
    records = np.concatenate([_part_records(part) for part in parts])
    memos = [_memos(part) for part in parts]
    texts = [memo for part, some in zip(parts, memos, strict=True) for memo in some or [""] * part.count]
    bodies = RecordBodies(records, texts if any(memos) else None)
    released: list[int | None] = []
    for part in parts:
        released += part.decision.released if part.decision else [None] * part.count
    try:
        sums = np.concatenate([sums_array(_part_sums(part)) for part in parts])
    except OverflowError:
        flat = [some if isinstance(some, list) else some.ravel().tolist() for some in map(_part_sums, parts)]
        return Rows(partition, number, booked_us, bodies, released, list(chain.from_iterable(flat)), records)
    return Rows(partition, number, booked_us, bodies, released, sums, records)


def _part_records(part: _Part) -> Records:
    if part.moves is not None:
        return part.moves.records
    assert part.decision is not None, "a part was decided one way or the other"
    given = _given_records(part.batches) if part.decision.as_given else None
    return records_of(part.decision.rows) if given is None else given


def _part_sums(part: _Part) -> list[int] | Sums:
    if part.moves is not None:
        return part.moves.sums
    assert part.decision is not None, "a part was decided one way or the other"
    return part.decision.sums


def _memos(part: _Part) -> list[str] | None:
    """The memos of what is booked; None if all are empty."""
    if part.decision is not None:
        return [body[12] for body in part.decision.rows]
    if not any(batch.has_memos for batch in part.batches):
        return None
    return [body[12] for body in _bodies(part.batches)]


def _bodies(batches: Sequence[Batch]) -> Sequence[Body]:
    """The transfers of the batches, in order."""
    return batches[0].bodies if len(batches) == 1 else list(chain.from_iterable(b.bodies for b in batches))


def _refused(batches: Sequence[Batch]) -> dict[int, ResultCode]:
    if not any(batch.refused for batch in batches):
        return {}
    found: dict[int, ResultCode] = {}
    start = 0
    for batch in batches:
        found |= {start + index: code for index, code in batch.refused.items()}
        start += len(batch)
    return found


def _given_records(batches: Sequence[Batch]) -> Records | None:
    """The batches' arrays in one, if they all have one."""
    arrays = [batch.records for batch in batches if batch.records is not None]
    if len(arrays) < len(batches):
        return None
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _records(batches: Sequence[Batch]) -> Records:
    """The batches' transfers as one array."""
    if all(batch.records is None for batch in batches):
        return records_of(list(chain.from_iterable(batch.bodies for batch in batches)))
    arrays = [records_of(batch.bodies) if batch.records is None else batch.records for batch in batches]
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
    writer.load(tx, [batch])
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
