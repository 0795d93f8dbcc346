"""Running figures of positions: how many items, of what kind, and what they come to, without looking at them again.

They follow the ledger's blocks, some way behind, and are caught up when a window is decided. So a window costs what its
positions cost, and not what its items cost; postings never wait for it, since the ledger knows nothing of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hansa import ledger
from hansa.clearing import store
from hansa.store import Context, Tx

FOLLOW_TRANSFERS = 100_000
"""From so many transfers on it is worth following them now: a window then has at most about these to catch up with."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far figures are behind the journal of a partition. transfers: of all kinds, those on positions among them."""

    partition: int
    blocks: int
    transfers: int


def lags(tx: Tx) -> list[Lag]:
    """How far the figures of each partition are behind."""
    kept = store.followed(tx)
    found: list[Lag] = []
    for head in ledger.list_heads(tx):
        block, transfers = kept.get(head.partition, (0, 0))
        found.append(Lag(head.partition, head.number - block, head.size - transfers))
    return found


def follow(ctx: Context, *, at_least: int = FOLLOW_TRANSFERS) -> int:
    """Bring figures up to the journal where it is ahead by so many transfers; gives how many that were.

    Whoever runs it beside others, or again, changes nothing. May be killed at any time.
    """
    with ctx.tx() as tx:
        ahead = [lag for lag in lags(tx) if lag.blocks and lag.transfers >= at_least]
        if ahead:
            catch_up(tx, [lag.partition for lag in ahead])
    return sum(lag.transfers for lag in ahead)


def catch_up(tx: Tx, partitions: Sequence[int] | None = None) -> dict[int, int]:
    """Bring figures up to where the journal is now; that block, by partition. Others wait until the transaction ends.

    partitions: only these; None is all.
    """
    heads = ledger.list_heads(tx)
    blocks = store.lock_followed(tx, [head.partition for head in heads])
    for head in ledger.list_heads(tx):
        at = blocks.get(head.partition)
        if at is None or head.number <= at or (partitions is not None and head.partition not in partitions):
            continue
        # Positions are known here before the ledger opens them: none can have a posting up to that head and be missing.
        steps = store.steps(tx, head.partition)
        rows = ledger.turnover(tx, steps, after_block=at, to_block=head.number, partition=head.partition)
        store.add_tallies(tx, head.partition, rows, after_block=at)
        store.set_followed(tx, head.partition, head.number, head.size)
        blocks[head.partition] = head.number
    return blocks


def tell_apart(
    tx: Tx, partition: int, account_id: ledger.AccountId, steps: Sequence[int], *, followed: int
) -> None:
    """Count an account's open items by these steps of their sizes, from now on too.

    Costs a second look at them, once for each change of what was agreed. Only for who has caught up.
    """
    begun = store.set_steps(tx, partition, account_id, steps)
    for after in sorted(set(begun.values())):
        rows = ledger.turnover(
            tx, {account_id: steps}, after_block=after, to_block=followed, partition=partition
        )
        open_again = [row for row in rows if begun.get(row.code) == after]
        store.add_tallies(tx, partition, open_again, after_block=after)


def verify(tx: Tx) -> list[str]:
    """What does not agree between the journal and the figures, counted anew from all items; empty where all does.

    For each position account and transfer code: what windows took and what is open is what stands in the journal.
    """
    wrong: list[str] = []
    kept = store.followed(tx)
    figures = store.all_figures(tx)
    for partition, (block, _) in kept.items():
        accounts: Mapping[ledger.AccountId, Sequence[int]] = dict.fromkeys(store.steps(tx, partition), ())
        rows = ledger.turnover(tx, accounts, after_block=0, to_block=block, partition=partition)
        journal = {
            (row.account_id, row.code): (row.items, row.minor) for row in rows if row.code not in (5, 6)
        }
        for key in sorted({*journal, *figures.get(partition, {})}):
            told, booked = figures.get(partition, {}).get(key, (0, 0)), journal.get(key, (0, 0))
            if told != booked:
                wrong.append(
                    f"account {key[0]}, code {key[1]}: {told} in windows and open, {booked} in the journal"
                )
    return wrong
