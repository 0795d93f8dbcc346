"""What banks say by themselves, read once each: arrivals by reference, outcomes, returns."""

from hansa.store import Context, Tx
from hansa.wallets import bank_store as store
from hansa.wallets import returns, returns_store, top_ups, withdrawals
from hansa.wallets.bank_model import (
    BankTopUp,
    Return,
    ReturnState,
    TopUpState,
    Withdrawal,
    WithdrawalState,
)
from hansa.wallets.rails import BankRail, Entry, EntryKind, RailAway

SOME = 200

TOP_UP_STEPS = frozenset((TopUpState.SETTLING, TopUpState.RETURNING))
WITHDRAWAL_STEPS = frozenset((
    WithdrawalState.SETTLING,
    WithdrawalState.RELEASING,
    WithdrawalState.RETURNING,
    WithdrawalState.COLLECTING,
))  # fmt: skip
RETURN_STEPS = frozenset((ReturnState.SETTLING,))
"""States whose step the books do not have yet: no bank's word changes them, so it waits until they are over."""


def hear(ctx: Context, rail: BankRail, limit: int = SOME) -> int:
    """Read on what a bank says, and take it in; gives how many entries were new.

    Bookmark and entries are one commit, and an entry that comes twice counts once. One reads at a time. What belongs
    to nothing is kept as a stray, for the issuer's desk. A bank that is away is read later. An entry about an order
    that is between two states waits until the books have its step, and all after it wait too: what a bank pays after
    it refused must find the refusal done.
    """
    new = 0
    while True:
        heard, between = _read_on(ctx, rail, limit)
        new += heard
        if between is None or not _step_done(ctx, between):
            return new


def _read_on(ctx: Context, rail: BankRail, limit: int) -> tuple[int, BankTopUp | Withdrawal | Return | None]:
    """How many entries were new, and what is to be ended before the next one, if so."""
    with ctx.tx() as tx:
        seen = store.lock_seen(tx, rail.rail_id)
        if seen is None:
            return 0, None
        try:
            entries = rail.entries(seen, limit)
        except RailAway:
            return 0, None
        new, read, between = 0, seen, None
        for entry in entries:
            between = _between(tx, ctx, rail.rail_id, entry)
            if between is not None:
                break
            new += _take_in(tx, ctx, rail.rail_id, entry)
            read = max(read, entry.number)
        if read > seen:
            store.set_seen(tx, rail.rail_id, read)
    return new, between


def _between(tx: Tx, ctx: Context, rail_id: str, entry: Entry) -> BankTopUp | Withdrawal | Return | None:
    """The order of an entry that was not heard yet, where a step of it is not in the books yet."""
    if entry.order_id is None or store.is_heard(tx, rail_id, entry.entry_id):
        return None
    partitions = ctx.directory.partitions
    top_up = store.find_top_up(tx, partitions, entry.order_id)
    if top_up is not None:
        return top_up if top_up.state in TOP_UP_STEPS else None
    withdrawal = store.find_withdrawal(tx, partitions, entry.order_id)
    if withdrawal is not None:
        return withdrawal if withdrawal.state in WITHDRAWAL_STEPS else None
    back = returns_store.find(tx, entry.order_id)
    return back if back is not None and back.state in RETURN_STEPS else None


def _step_done(ctx: Context, one: BankTopUp | Withdrawal | Return) -> bool:
    """Whether what is between two states went on."""
    if isinstance(one, Withdrawal):
        return withdrawals.advance(ctx, None, one.withdrawal_id).state is not one.state
    if isinstance(one, Return):
        return returns.advance(ctx, None, one).state is not one.state
    return top_ups.advance(ctx, None, one).state is not one.state


def _take_in(tx: Tx, ctx: Context, rail_id: str, entry: Entry) -> bool:
    if not store.add_entry(tx, rail_id, entry, "taken"):
        return False
    now = ctx.clock.now()
    if entry.kind is EntryKind.ARRIVAL:
        taken = top_ups.arrived(tx, rail_id, entry, now, ctx.directory)
    else:
        taken = _of_order(tx, ctx, entry)
    if not taken:
        store.mark_stray(tx, rail_id, entry.entry_id)
    return True


def _of_order(tx: Tx, ctx: Context, entry: Entry) -> bool:
    if entry.order_id is None:
        return False
    now, partitions = ctx.clock.now(), ctx.directory.partitions
    top_up = store.find_top_up(tx, partitions, entry.order_id)
    if top_up is not None:
        return top_ups.hear(tx, top_up, entry, now)
    withdrawal = store.find_withdrawal(tx, partitions, entry.order_id)
    if withdrawal is not None:
        return withdrawals.hear(tx, withdrawal, entry, now)
    back = returns_store.find(tx, entry.order_id)
    return back is not None and returns.hear(tx, back, entry, now)
