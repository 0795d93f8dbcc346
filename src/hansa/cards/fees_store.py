"""The SQL of what is paid for cards."""

from collections.abc import Collection
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from hansa.cards.model import DepositState, Fee, FeeState
from hansa.cards.store import fee_of
from hansa.store import Tx

_F: LiteralString = (
    "select card_id, partition, account_id, issuer_id, currency, price_minor, deposit_minor, state, cleared, attempt,"
    " way, by_whom, asked_at, moved_at, deposit, deposit_to, deposit_by, quote_id from cards.fees "
)
LOCK: LiteralString = _F + "where card_id = %s for no key update"
FIND: LiteralString = _F + "where card_id = any(%s)"
ADD = """
insert into cards.fees (card_id, partition, account_id, issuer_id, currency, price_minor, deposit_minor, state, cleared,
    asked_at, moved_at)
values (%s, %s, %s, %s, %s, %s, %s, 'due', %s, %s, %s)
on conflict (card_id) do nothing
"""
CLEAR = "update cards.fees set cleared = true, moved_at = %s where card_id = %s"
MOVE = """
update cards.fees set state = %(state)s, moved_at = %(at)s, way = coalesce(%(way)s, way),
    by_whom = coalesce(%(by)s, by_whom), attempt = attempt + %(more)s, deposit = coalesce(%(deposit)s, deposit),
    quote_id = case when %(more)s = 0 then coalesce(%(quote)s, quote_id) end
where card_id = %(card_id)s
"""
SET_SPEND = "update cards.fees set spend_id = %s where card_id = %s"
FIND_SPEND = "select card_id from cards.fees where spend_id = %s"
MOVE_DEPOSIT = """
update cards.fees set deposit = %(deposit)s, moved_at = %(at)s, deposit_to = coalesce(%(to)s, deposit_to),
    deposit_by = coalesce(%(by)s, deposit_by)
where card_id = %(card_id)s
"""
OPEN: LiteralString = (
    _F + "where state = 'paying' or deposit in ('returning', 'keeping') order by moved_at, card_id limit %s"
)
UNPAID: LiteralString = (
    _F + "where state in ('due', 'approving') and moved_at < %s order by moved_at limit %s"
)
FORGOTTEN = """
select f.card_id from cards.fees f join cards.cards c using (card_id)
where f.deposit = 'held' and c.state in ('ended', 'expired') and c.changed_at < %s order by f.moved_at limit %s
"""


def add(tx: Tx, one: Fee) -> None:
    """Keep what is to be paid for a card."""
    tx.execute(
        ADD,
        (
            *(one.card_id, one.partition, one.account_id, one.issuer_id, one.currency),
            *(one.price_minor, one.deposit_minor, one.cleared, one.asked_at, one.asked_at),
        ),
    )


def lock(tx: Tx, card_id: UUID) -> Fee | None:
    """What is paid for a card, for this transaction alone."""
    row = tx.execute(LOCK, (card_id,)).fetchone()
    return None if row is None else fee_of(row)


def find(tx: Tx, card_ids: Collection[UUID]) -> dict[UUID, Fee]:
    """What is paid for each of these cards; those that cost nothing are left out."""
    return {row[0]: fee_of(row) for row in tx.execute(FIND, (list(card_ids),))}


def clear(tx: Tx, card_id: UUID, at: datetime) -> None:
    """Its holder may have it."""
    tx.execute(CLEAR, (at, card_id))


def move(
    tx: Tx,
    card_id: UUID,
    state: FeeState,
    at: datetime,
    *,
    way: str | None = None,
    by: str | None = None,
    deposit: DepositState | None = None,
    next_attempt: bool = False,
    quote_id: UUID | None = None,
) -> None:
    """How it stands now. quote_id: by which this attempt is paid; the next one has none before it begins."""
    values = {
        "card_id": card_id,
        "state": state,
        "at": at,
        "way": way,
        "by": by,
        "deposit": deposit,
        "more": int(next_attempt),
        "quote": quote_id,
    }
    tx.execute(MOVE, values)


def move_deposit(
    tx: Tx,
    card_id: UUID,
    deposit: DepositState,
    at: datetime,
    *,
    to: str | None = None,
    by: str | None = None,
) -> None:
    """Where its deposit is now."""
    tx.execute(MOVE_DEPOSIT, {"card_id": card_id, "deposit": deposit, "at": at, "to": to, "by": by})


def set_spend(tx: Tx, card_id: UUID, spend_id: UUID) -> None:
    """What this attempt to pay is called where it is approved."""
    tx.execute(SET_SPEND, (spend_id, card_id))


def find_spend(tx: Tx, spend_id: UUID) -> UUID | None:
    """The card whose last attempt to pay is called so."""
    row = tx.execute(FIND_SPEND, (spend_id,)).fetchone()
    return None if row is None else row[0]


def list_open(tx: Tx, limit: int) -> list[Fee]:
    """Those whose money is on its way, the oldest first."""
    return [fee_of(row) for row in tx.execute(OPEN, (limit,))]


def list_unpaid(tx: Tx, before: datetime, limit: int) -> list[Fee]:
    """Those that nobody paid since before then."""
    return [fee_of(row) for row in tx.execute(UNPAID, (before, limit))]


def list_forgotten(tx: Tx, before: datetime, limit: int) -> list[UUID]:
    """The cards that ended before then, and whose deposit nobody fetched."""
    return [card_id for (card_id,) in tx.execute(FORGOTTEN, (before, limit))]
