"""The SQL of returns: money that came from a bank and goes back the way it came."""

from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from hansa.store import Tx
from hansa.wallets.bank_model import Return, ReturnState

_RETURN = """
select return_id, rail_id, entry_id, partition, holder, top_up_id, account_id, amount_minor, currency, state, reason,
    tries, created_at, changed_at, next_at
from wallets.returns
"""

INSERT = """
insert into wallets.returns (return_id, rail_id, entry_id, partition, holder, top_up_id, account_id, amount_minor,
    currency, state, reason, tries, created_at, changed_at, next_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
FIND = _RETURN + "where return_id = %s"
OPEN = (
    _RETURN
    + """where state in ('processing', 'sent', 'unknown', 'settling')
    and (%(at)s::timestamptz is null or next_at <= %(at)s)
order by next_at, return_id limit %(limit)s"""
)
OF_ENTRY = _RETURN + "where rail_id = %s and entry_id = %s order by created_at, return_id"
OF_ACCOUNT = _RETURN + "where account_id = %s order by created_at desc, return_id desc"
MOVE = """
update wallets.returns set state = %s, reason = %s, tries = %s, next_at = %s, changed_at = %s
where return_id = %s and state = %s
"""


def insert(tx: Tx, one: Return) -> None:
    """Keep a return."""
    values = (
        one.return_id,
        one.rail_id,
        one.entry_id,
        one.partition,
        one.holder,
        one.top_up_id,
        one.account_id,
        one.amount_minor,
        one.currency,
        one.state,
        one.reason,
        one.tries,
        one.created_at,
        one.changed_at,
        one.next_at,
    )
    tx.execute(INSERT, values)


def find(tx: Tx, return_id: UUID) -> Return | None:
    """The return of this id."""
    return next(iter(_returns(tx, FIND, (return_id,))), None)


def list_open(tx: Tx, limit: int, *, at: datetime | None = None) -> list[Return]:
    """Returns that are not over; at: those alone that are to be looked at by then."""
    return _returns(tx, OPEN, {"at": at, "limit": limit})


def list_of_account(tx: Tx, account_id: UUID) -> list[Return]:
    """Those of a person's top-ups, latest first."""
    return _returns(tx, OF_ACCOUNT, (account_id,))


def list_of_entry(tx: Tx, rail_id: str, entry_id: str) -> list[Return]:
    """Each time that a bank was told to return the money of this entry, in order."""
    return _returns(tx, OF_ENTRY, (rail_id, entry_id))


def move(
    tx: Tx,
    one: Return,
    to: ReturnState,
    at: datetime,
    *,
    reason: str = "",
    tries: int = 0,
    next_at: datetime | None = None,
) -> bool:
    """Take a return from the state in which it was read to another; False where it is in another by now."""
    values = (to, reason or one.reason, tries, next_at or at, at, one.return_id, one.state)
    return tx.execute(MOVE, values).rowcount == 1


def _returns(tx: Tx, query: LiteralString, values: Any) -> list[Return]:
    with tx.cursor(row_factory=class_row(Return)) as cursor:
        return [replace(row, state=ReturnState(row.state)) for row in cursor.execute(query, values)]
