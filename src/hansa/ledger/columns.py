"""Plain transfers decided by the column: what ``decide`` says of a whole batch, at a tenth of its cost. Pure.

Most transfers are plain: between two open accounts, at once or as a hold, and within every limit. If each of a batch
is, and all of them together stay within the limits at every step, then each is booked, whatever the order of the
questions; so it is enough to add up, account by account in their order, and to look whether any step breaks a limit.
At the least doubt nothing is said here, and ``decide`` asks one by one. The tests hold the two equal.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hansa.ledger.accounts import LARGE, Accounts, Slots, Sums
from hansa.ledger.batch import RECORD, Records
from hansa.ledger.decide import ID_MAX, PENDING, ZERO

_NO_DEBIT_OVERDRAFT, _NO_CREDIT_OVERDRAFT, _CLOSED = 1, 2, 4
_WORDS = RECORD.itemsize // 8


@dataclass(frozen=True, slots=True)
class Moves:
    """A batch of which every transfer is booked as it was given.

    records: the batch. debits, credits: the accounts' slots. sums: eight for each transfer after it, in the order of
    ``Decision.sums``. holds: which of them are holds; None if none is.
    """

    ids: set[bytes]
    records: Records
    debits: Slots
    credits: Slots
    sums: Sums
    holds: npt.NDArray[np.bool_] | None


def is_plain(records: Records) -> bool:
    """Whether these say nothing but: move this amount from one account to another, or hold it."""
    words = records.view(np.uint64).reshape(len(records), _WORDS)
    flags = records["flags"]
    return not (
        words[:, 8:10].any()  # pending_id
        or (flags & ~np.uint16(PENDING)).any()
        or (records["timeout_s"].any() and (records["timeout_s"][flags == 0]).any())
        or words[:, 6].any()  # the upper half of the amount
        or not records["code"].all()
    )


def decide_columns(
    accounts: Accounts,
    records: Records,
    ids: Sequence[bytes],
    debits: Slots,
    credits: Slots,
    known: Sequence[AbstractSet[bytes]],
) -> Moves | None:
    """Book a batch of plain transfers (``is_plain``), or None: then nothing is changed, and ``decide`` must say.

    ids: of the transfers. debits, credits: where their accounts are. known: ids that are in the books already.
    """
    count = len(records)
    unique = set(ids)
    if len(unique) < count or ZERO in unique or ID_MAX in unique:
        return None
    if any(not some.isdisjoint(unique) for some in known):
        return None
    if (debits == credits).any():
        return None
    currency = records["currency"]
    if (accounts.currencies[debits] != currency).any() or (accounts.currencies[credits] != currency).any():
        return None
    debit_flags, credit_flags = accounts.flags[debits], accounts.flags[credits]
    if ((debit_flags | credit_flags) & _CLOSED).any():
        return None
    low = records["amount_low"]
    if int(low.max()) >= LARGE:
        return None
    amounts = low.astype(np.int64)
    if float(amounts.sum(dtype=np.float64)) >= LARGE / 2:
        return None

    # Both sides of all transfers, in order; then sorted by account, each account's still in order.
    sides = np.empty(2 * count, np.int64)
    sides[0::2], sides[1::2] = debits, credits
    order = np.argsort(sides, kind="stable")
    by_account = sides[order]
    starts = np.flatnonzero(np.concatenate(([True], by_account[1:] != by_account[:-1])))
    lengths = np.diff(np.append(starts, 2 * count))
    slots = by_account[starts]
    before = accounts.sums[slots]
    if int(before.max()) >= LARGE / 2:
        return None
    is_debit = (order & 1) == 0
    moved = amounts[order >> 1]
    held = records["flags"] != 0
    holds = held if held.any() else None
    after = np.repeat(before, lengths, axis=0)

    def add(column: int, which: npt.NDArray[np.bool_]) -> None:
        added = np.where(which, moved, 0)
        running = np.cumsum(added)
        # What had been added before each account's first: its own running sum starts from nothing.
        running -= np.repeat(running[starts] - added[starts], lengths)
        after[:, column] += running

    if holds is None:
        add(1, is_debit)
        add(3, ~is_debit)
    else:
        is_hold = holds[order >> 1]
        add(0, is_debit & is_hold)
        add(1, is_debit & ~is_hold)
        add(2, ~is_debit & is_hold)
        add(3, ~is_debit & ~is_hold)
    flags = accounts.flags[slots]
    limited = np.repeat(flags & (_NO_DEBIT_OVERDRAFT | _NO_CREDIT_OVERDRAFT), lengths)
    if limited.any():
        overdrawn = (
            is_debit & ((limited & _NO_DEBIT_OVERDRAFT) != 0) & (after[:, 0] + after[:, 1] > after[:, 3])
        )
        if overdrawn.any():
            return None
        overdrawn = (
            ~is_debit & ((limited & _NO_CREDIT_OVERDRAFT) != 0) & (after[:, 2] + after[:, 3] > after[:, 1])
        )
        if overdrawn.any():
            return None

    accounts.sums[slots] = after[starts + lengths - 1]
    sums = np.empty((2 * count, 4), np.int64)
    sums[order] = after
    return Moves(unique, records, debits, credits, sums.reshape(count, 8), holds)
