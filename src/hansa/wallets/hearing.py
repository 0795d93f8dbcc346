"""What banks say by themselves, read once each: arrivals by reference, outcomes, returns."""

from hansa.store import Context, Tx
from hansa.wallets import bank_store as store
from hansa.wallets import top_ups, withdrawals
from hansa.wallets.rails import BankRail, Entry, EntryKind, RailAway

SOME = 200


def hear(ctx: Context, rail: BankRail, limit: int = SOME) -> int:
    """Read on what a bank says, and take it in; gives how many entries were new.

    Bookmark and entries are one commit, and an entry that comes twice counts once. One reads at a time. What belongs
    to nothing is kept as a stray, for the issuer's desk. A bank that is away is read later.
    """
    with ctx.tx() as tx:
        seen = store.lock_seen(tx, rail.rail_id)
        if seen is None:
            return 0
        try:
            entries = rail.entries(seen, limit)
        except RailAway:
            return 0
        new = sum(_take_in(tx, ctx, rail.rail_id, entry) for entry in entries)
        if entries:
            store.set_seen(tx, rail.rail_id, max(entry.number for entry in entries))
    return new


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
    return withdrawal is not None and withdrawals.hear(tx, withdrawal, entry, now)
