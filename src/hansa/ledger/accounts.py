"""The accounts that an engine keeps in memory: four sums, flags and a currency each, column by column. Pure.

Columns let a whole batch be measured at once (``ledger.columns``), and take an eighth of the memory of an object each.
``take`` hands accounts out as the decider knows them, and ``put`` takes them back. The few whose sums do not fit a
column stay objects all the time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.ledger.decide import Standing

LARGE = 2**62
"""From here on a sum does not go into a column: adding two of them must fit 63 bits."""

Slots = npt.NDArray[np.int64]
Sums = npt.NDArray[np.int64]

_FIRST_CAPACITY = 1_024


class Accounts:
    """Accounts by their ids of 16 bytes. Not for two threads at once, but for what is said to be.

    sums: debits_pending, debits_posted, credits_pending and credits_posted of each slot. ids: of each slot; while the
    account in it is kept, it may be read from other threads. touched: the last block that changed it.
    """

    def __init__(self) -> None:
        self.sums: Sums = np.zeros((_FIRST_CAPACITY, 4), np.int64)
        self.flags = np.zeros(_FIRST_CAPACITY, np.int16)
        self.currencies = np.zeros(_FIRST_CAPACITY, "S3")
        self.ids: npt.NDArray[np.void] = np.zeros(_FIRST_CAPACITY, "V16")
        self.touched = np.zeros(_FIRST_CAPACITY, np.int64)
        self._slots: dict[bytes, int] = {}
        self._free: list[int] = []
        self._used = 0
        self._large: dict[bytes, Standing] = {}

    def __len__(self) -> int:
        return len(self._slots) + len(self._large)

    def __contains__(self, account_id: object) -> bool:
        return account_id in self._slots or account_id in self._large

    def __iter__(self) -> Iterator[bytes]:
        yield from self._slots
        yield from self._large

    def slots_of(self, account_ids: Sequence[bytes]) -> Slots | None:
        """Where each of these is; None if one is not in a column."""
        try:
            return np.fromiter(map(self._slots.__getitem__, account_ids), np.int64, len(account_ids))
        except KeyError:
            return None

    def missing(self, account_ids: Iterable[bytes]) -> set[bytes]:
        """Those of the ids that are not here."""
        slots, large = self._slots, self._large
        return {one for one in account_ids if one not in slots and one not in large}

    def add(self, standings: Mapping[bytes, Standing], *, touched: int = 0) -> None:
        """Bring in accounts, or replace them. touched: the block that they are as of."""
        small = {
            account_id: standing for account_id, standing in standings.items() if max(standing.sums) < LARGE
        }
        for account_id, standing in standings.items():
            if account_id not in small:
                self._discard(account_id)
                self._large[account_id] = standing
        if not small:
            return
        for account_id in small.keys() & self._large.keys():
            del self._large[account_id]
        slots = self._room_for(list(small))
        self.sums[slots] = [standing.sums for standing in small.values()]
        self.flags[slots] = [standing.flags for standing in small.values()]
        self.currencies[slots] = [standing.currency for standing in small.values()]
        self.touched[slots] = touched

    def add_columns(
        self, ids: npt.NDArray[np.void], currencies: npt.NDArray[Any], flags: npt.NDArray[Any], sums: Sums
    ) -> None:
        """Bring in accounts that are not here yet, and whose sums are all below ``LARGE``."""
        slots = self._room_for(ids.tolist())
        self.sums[slots] = sums
        self.flags[slots] = flags
        self.currencies[slots] = currencies

    def take(self, account_ids: Iterable[bytes]) -> dict[bytes, Standing]:
        """Copies of these accounts, as far as they are here, as the decider takes them."""
        found = [account_id for account_id in account_ids if account_id in self._slots]
        taken: dict[bytes, Standing] = {}
        if found:
            slots = [self._slots[account_id] for account_id in found]
            sums: list[list[int]] = self.sums[slots].tolist()
            flags: list[int] = self.flags[slots].tolist()
            currencies: list[bytes] = self.currencies[slots].tolist()
            for account_id, currency, flag, four in zip(found, currencies, flags, sums, strict=True):
                taken[account_id] = Standing(currency, flag, *four)
        if self._large:
            for account_id in account_ids:
                if (large := self._large.get(account_id)) is not None:
                    taken[account_id] = Standing(large.currency, large.flags, *large.sums)
        return taken

    def put(self, standings: Mapping[bytes, Standing], *, touched: int) -> None:
        """Take accounts back after a block changed some of them."""
        if self._large or any(
            standing.debits_posted >= LARGE
            or standing.credits_posted >= LARGE
            or standing.debits_pending >= LARGE
            or standing.credits_pending >= LARGE
            for standing in standings.values()
        ):
            self.add(standings, touched=touched)
            return
        slots = [self._slots[account_id] for account_id in standings]
        self.sums[slots] = [standing.sums for standing in standings.values()]
        self.flags[slots] = [standing.flags for standing in standings.values()]
        self.touched[slots] = touched

    def shed(self, spare: int, *, folded: int) -> None:
        """Let so many accounts go that no block after ``folded`` changed, those first that came first."""
        slots, touched = self._slots, self.touched
        idle = (account_id for account_id, slot in slots.items() if touched[slot] <= folded)
        for account_id in list(islice(idle, spare)):
            self._discard(account_id)

    def count_touched_after(self, block: int) -> int:
        """How many accounts were changed after this block."""
        return int(np.count_nonzero(self.touched[: self._used] > block)) + len(self._large)

    def _discard(self, account_id: bytes) -> None:
        slot = self._slots.pop(account_id, None)
        if slot is not None:
            self.touched[slot] = 0
            self._free.append(slot)

    def _room_for(self, account_ids: Sequence[bytes]) -> Slots:
        """A slot for each, that which it has or a new one."""
        slots = self._slots
        for account_id in account_ids:
            if account_id not in slots:
                if self._free:
                    slots[account_id] = self._free.pop()
                else:
                    slots[account_id] = self._used
                    self._used += 1
        if self._used > len(self.flags):
            self._grow()
        found = np.fromiter(map(slots.__getitem__, account_ids), np.int64, len(account_ids))
        self.ids[found] = np.frombuffer(b"".join(account_ids), "V16")
        return found

    def _grow(self) -> None:
        more = max(self._used, len(self.flags) * 3 // 2) - len(self.flags)
        self.sums = np.concatenate((self.sums, np.zeros((more, 4), np.int64)))
        self.flags = np.concatenate((self.flags, np.zeros(more, np.int16)))
        self.currencies = np.concatenate((self.currencies, np.zeros(more, "S3")))
        self.ids = np.concatenate((self.ids, np.zeros(more, "V16")))
        self.touched = np.concatenate((self.touched, np.zeros(more, np.int64)))
