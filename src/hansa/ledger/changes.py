"""The change stream: every booked transfer of a partition in order, from any place on, and then each new one.

A place in the journal is the resume position: whoever remembers the last one seen misses nothing and gets nothing
twice, across restarts of either side. Blocks are committed in order, so there is never one behind a place read.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hansa.kernel import InvalidInput, Problem
from hansa.ledger import store
from hansa.ledger.model import AccountId, Booked, Place, WalletMove
from hansa.store import Context, Tx

PAGE = 1_000
"""Transfers read at a time."""

_BEFORE_ALL = Place(0, -1)


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes in order. last: where to go on from. more: others are waiting already."""

    changes: list[Booked]
    last: Place
    more: bool


def read_changes(ctx: Context, *, partition: int = 0, after: Place | None = None, limit: int = PAGE) -> Page:
    """The next transfers after a place, as far as they are committed. after: None is from the beginning."""
    start = after or _BEFORE_ALL
    with ctx.tx() as tx:
        head = store.find_head(tx, partition)
        number = 0 if head is None else head.number
        changes = store.list_booked(tx, partition, after=start, to_block=number, limit=limit)
    last = changes[-1].place if changes else start
    return Page(changes, last, len(changes) == limit)


def wallet_moves(
    tx: Tx,
    *,
    partition: int,
    after_block: int,
    to_block: int,
    codes: Collection[int],
    wallets: Collection[AccountId],
) -> list[WalletMove]:
    """What moved wallets in these blocks: by transfers of these codes on any, by all others on these, in order.

    It reads a few columns and leaves the rest where it is, so following a partition so costs little.
    """
    return store.list_wallet_moves(tx, partition, after_block, to_block, codes, wallets)


def changes(
    ctx: Context,
    *,
    partition: int = 0,
    after: Place | None = None,
    follow: bool = True,
    pause_s: float = 0.2,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Booked]:
    """Every transfer after a place, in order.

    follow: wait for new ones for ever, looking every ``pause_s`` seconds, until ``stopped()``; else end at the last.
    Errors: StoreUnavailable; go on from the last place seen.
    """
    place = after
    while not stopped():
        page = read_changes(ctx, partition=partition, after=place)
        yield from page.changes
        place = page.last
        if page.more:
            continue
        if not follow:
            return
        time.sleep(pause_s)


def place_text(place: Place) -> str:
    """A place as it travels: ``block-position``."""
    return f"{place.block}-{place.position}"


def parse_place(text: str, *, where: str = "after") -> Place:
    """The place that this text names. Errors: InvalidInput."""
    block, dash, position = text.partition("-")
    if not (dash and _is_number(block, 14) and _is_number(position, 5) and int(position) < 65_536):
        what = f"{text[:40]!r} is no block and position"
        problem = Problem(where, what, "Send back the `next` or the event id that you were given")
        raise InvalidInput("That is not a place in the journal.", problems=(problem,))
    return Place(int(block), int(position))


def _is_number(text: str, digits_max: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= digits_max
