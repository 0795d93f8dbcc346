"""The SQL of requests for money and of splits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from hansa.store import Tx
from hansa.wallets.model import Request, RequestState, Share, Split, SplitState, SplitWay

INSERT_REQUESTS = """
insert into wallets.requests (request_id, asker_id, payer_id, amount_minor, currency, note, split_id, state,
    created_at, expires_at, changed_at)
select * from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::char(3)[], %s::text[], %s::uuid[],
    %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
on conflict (request_id) do nothing
"""

FIND_REQUEST = """
select request_id, asker_id, payer_id, amount_minor, currency, note, split_id, state, transfer_id, attempts, reminders,
    reminded_at, created_at, expires_at, changed_at
from wallets.requests where request_id = %s
"""

LOCK_REQUEST = FIND_REQUEST + " for no key update"

LIST_REQUESTS = """
select request_id, asker_id, payer_id, amount_minor, currency, note, split_id, state, transfer_id, attempts, reminders,
    reminded_at, created_at, expires_at, changed_at
from wallets.requests
where ((%(side)s <> 'asked' and payer_id = %(account_id)s) or (%(side)s <> 'received' and asker_id = %(account_id)s))
    and (not %(open)s or state in ('open', 'paying'))
    and (created_at, request_id) < (%(at)s, %(request_id)s)
order by created_at desc, request_id desc limit %(limit)s
"""

COUNT_OPEN = "select count(*) from wallets.requests where payer_id = %s and asker_id = %s and state = 'open'"

BEGIN_PAYING = """
update wallets.requests set state = 'paying', transfer_id = %s, attempts = attempts + 1, changed_at = %s
where request_id = %s and state = 'open'
"""

# A failed try leaves the request open for another; the try that this is not does not count.
HEARD = """
update wallets.requests set state = %s, changed_at = %s
where request_id = %s and transfer_id = %s and state = 'paying'
returning split_id
"""

END = """
update wallets.requests set state = %s, changed_at = %s where request_id = %s and state = 'open' returning split_id
"""

REMIND = """
update wallets.requests set reminders = reminders + 1, reminded_at = %s
where request_id = %s and state = 'open' and reminders < %s and (reminded_at is null or reminded_at <= %s)
    and created_at <= %s
"""

EXPIRED = """
select request_id from wallets.requests where state = 'open' and expires_at <= %s order by expires_at limit %s
"""

MUTE = "insert into wallets.muted (account_id, muted_id, since) values (%s, %s, %s) on conflict do nothing"
UNMUTE = "delete from wallets.muted where account_id = %s and muted_id = %s"
IS_MUTED = "select 1 from wallets.muted where account_id = %s and muted_id = %s"
LIST_MUTED = "select muted_id from wallets.muted where account_id = %s order by since desc"

INSERT_SPLIT = """
insert into wallets.splits (split_id, owner_id, title, total_minor, currency, way, source_kind, source_id, state,
    created_at, changed_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, 'open', %s, %s)
on conflict (split_id) do nothing
"""

INSERT_SHARES = """
insert into wallets.shares (split_id, place, account_id, weight, amount_minor, request_id)
select * from unnest(%s::uuid[], %s::smallint[], %s::uuid[], %s::bigint[], %s::bigint[], %s::uuid[])
"""

FIND_SPLIT = """
select split_id, owner_id, title, total_minor, currency, way, source_kind, source_id, state, created_at, changed_at
from wallets.splits where split_id = %s
"""

LOCK_SPLIT = FIND_SPLIT + " for no key update"

LIST_SPLITS = """
select split_id, owner_id, title, total_minor, currency, way, source_kind, source_id, state, created_at, changed_at
from wallets.splits where owner_id = %s and (created_at, split_id) < (%s, %s)
order by created_at desc, split_id desc limit %s
"""

SHARES = """
select s.split_id, s.account_id, s.weight, s.amount_minor, s.request_id, r.state
from wallets.shares s left join wallets.requests r using (request_id)
where s.split_id = any(%s) order by s.split_id, s.place
"""

NEW_REQUEST_OF_SHARE = "update wallets.shares set request_id = %s where split_id = %s and account_id = %s"

CLOSE_SPLIT = """
update wallets.splits s set state = 'closed', changed_at = %s
where split_id = %s and state = 'open' and not exists (
    select 1 from wallets.shares h join wallets.requests r using (request_id)
    where h.split_id = s.split_id and r.state in ('open', 'paying'))
"""

SET_SPLIT = "update wallets.splits set state = %s, changed_at = %s where split_id = %s and state = %s"

CANCEL_REQUESTS = """
update wallets.requests set state = 'canceled', changed_at = %s where split_id = %s and state = 'open'
"""

END_OF_TIME = ("infinity", UUID(int=2**128 - 1))


def insert_requests(tx: Tx, requests: Sequence[Request]) -> int:
    """Keep requests; how many were new."""
    values = (
        [one.request_id for one in requests],
        [one.asker_id for one in requests],
        [one.payer_id for one in requests],
        [one.amount_minor for one in requests],
        [one.currency for one in requests],
        [one.note for one in requests],
        [one.split_id for one in requests],
        [one.state for one in requests],
        [one.created_at for one in requests],
        [one.expires_at for one in requests],
        [one.changed_at for one in requests],
    )
    return tx.execute(INSERT_REQUESTS, values).rowcount


def find_request(tx: Tx, request_id: UUID) -> Request | None:
    """The request of this id."""
    return next(iter(_requests(tx, FIND_REQUEST, (request_id,))), None)


def lock_request(tx: Tx, request_id: UUID) -> Request | None:
    """The request, which nobody else moves until this transaction ends."""
    return next(iter(_requests(tx, LOCK_REQUEST, (request_id,))), None)


def list_requests(
    tx: Tx,
    account_id: UUID,
    *,
    side: str,
    only_open: bool,
    limit: int,
    before: tuple[datetime, UUID] | None,
) -> list[Request]:
    """Requests of a person, newest first. side: ``asked`` by, ``received`` by, or ``both``."""
    at, request_id = before or END_OF_TIME
    values = {
        "account_id": account_id,
        "side": side,
        "open": only_open,
        "at": at,
        "request_id": request_id,
        "limit": limit,
    }
    return _requests(tx, LIST_REQUESTS, values)


def count_open(tx: Tx, payer_id: UUID, asker_id: UUID) -> int:
    """How many requests one person has open with another."""
    row = tx.execute(COUNT_OPEN, (payer_id, asker_id)).fetchone()
    assert row is not None, "a count always answers"
    return int(row[0])


def begin_paying(tx: Tx, request_id: UUID, transfer_id: UUID, at: datetime) -> bool:
    """Let this transfer pay the request; False where it is not open."""
    return tx.execute(BEGIN_PAYING, (transfer_id, at, request_id)).rowcount == 1


def heard(tx: Tx, request_id: UUID, transfer_id: UUID, *, paid: bool, at: datetime) -> None:
    """The transfer that was to pay a request has ended; a request not paid is open again."""
    state = RequestState.PAID if paid else RequestState.OPEN
    row = tx.execute(HEARD, (state, at, request_id, transfer_id)).fetchone()
    if row is not None and row[0] is not None and paid:
        close_if_ended(tx, row[0], at)


def end(tx: Tx, request_id: UUID, state: RequestState, at: datetime) -> bool:
    """Decline, cancel or expire an open request; False where it is not open. Its split may close by it."""
    row = tx.execute(END, (state, at, request_id)).fetchone()
    if row is not None and row[0] is not None:
        close_if_ended(tx, row[0], at)
    return row is not None


def remind(tx: Tx, request_id: UUID, at: datetime, *, most: int, last_before: datetime) -> bool:
    """Count a reminder; False where there were enough, or the last one is too new."""
    return tx.execute(REMIND, (at, request_id, most, last_before, last_before)).rowcount == 1


def expired(tx: Tx, at: datetime, limit: int) -> list[UUID]:
    """Open requests whose time is up."""
    return [one for (one,) in tx.execute(EXPIRED, (at, limit)).fetchall()]


def mute(tx: Tx, account_id: UUID, muted_id: UUID, at: datetime) -> None:
    """This person wants no requests of that one."""
    tx.execute(MUTE, (account_id, muted_id, at))


def unmute(tx: Tx, account_id: UUID, muted_id: UUID) -> None:
    """This person takes requests of that one again."""
    tx.execute(UNMUTE, (account_id, muted_id))


def is_muted(tx: Tx, account_id: UUID, muted_id: UUID) -> bool:
    """Whether this person wants no requests of that one."""
    return tx.execute(IS_MUTED, (account_id, muted_id)).fetchone() is not None


def list_muted(tx: Tx, account_id: UUID) -> list[UUID]:
    """Whose requests a person does not want, the latest first."""
    return [one for (one,) in tx.execute(LIST_MUTED, (account_id,)).fetchall()]


def insert_split(tx: Tx, split: Split) -> bool:
    """Keep a split with its shares; False where one of this id is there."""
    values = (
        split.split_id,
        split.owner_id,
        split.title,
        split.total_minor,
        split.currency,
        split.way,
        split.source_kind,
        split.source_id,
        split.created_at,
        split.changed_at,
    )
    if not tx.execute(INSERT_SPLIT, values).rowcount:
        return False
    tx.execute(
        INSERT_SHARES,
        (
            [split.split_id for _ in split.shares],
            list(range(len(split.shares))),
            [one.account_id for one in split.shares],
            [one.weight for one in split.shares],
            [one.amount_minor for one in split.shares],
            [one.request_id for one in split.shares],
        ),
    )
    return True


def find_split(tx: Tx, split_id: UUID, *, lock: bool = False) -> Split | None:
    """The split of this id with its shares. lock: nobody else moves it until this transaction ends."""
    found = _splits(tx, LOCK_SPLIT if lock else FIND_SPLIT, (split_id,))
    return found[0] if found else None


def list_splits(tx: Tx, owner_id: UUID, limit: int, before: tuple[datetime, UUID] | None) -> list[Split]:
    """A person's splits, newest first."""
    at, split_id = before or END_OF_TIME
    return _splits(tx, LIST_SPLITS, (owner_id, at, split_id, limit))


def close_if_ended(tx: Tx, split_id: UUID, at: datetime) -> None:
    """Close a split of which no part is open. Of two parts that end at once, the second sees the first."""
    tx.execute(LOCK_SPLIT, (split_id,))
    tx.execute(CLOSE_SPLIT, (at, split_id))


def set_split(tx: Tx, split_id: UUID, was: SplitState, to: SplitState, at: datetime) -> bool:
    """Take a split from one state to another; False where it is in neither."""
    return tx.execute(SET_SPLIT, (to, at, split_id, was)).rowcount == 1


def cancel_requests(tx: Tx, split_id: UUID, at: datetime) -> int:
    """Take back a split's open requests; how many."""
    return tx.execute(CANCEL_REQUESTS, (at, split_id)).rowcount


def ask_share_again(tx: Tx, split_id: UUID, account_id: UUID, request_id: UUID) -> None:
    """Let a share be asked for by a new request."""
    tx.execute(NEW_REQUEST_OF_SHARE, (request_id, split_id, account_id))


def _requests(tx: Tx, query: LiteralString, values: Any) -> list[Request]:
    with tx.cursor(row_factory=class_row(Request)) as cursor:
        return [replace(row, state=RequestState(row.state)) for row in cursor.execute(query, values)]


def _splits(tx: Tx, query: LiteralString, values: Any) -> list[Split]:
    with tx.cursor(row_factory=class_row(Split)) as cursor:
        rows = cursor.execute(query, values).fetchall()
    shares: dict[UUID, list[Share]] = {row.split_id: [] for row in rows}
    for split_id, account_id, weight, minor, request_id, state in tx.execute(SHARES, (list(shares),)):
        shares[split_id].append(
            Share(account_id, weight, minor, request_id, RequestState(state) if state else None)
        )
    return [
        replace(row, way=SplitWay(row.way), state=SplitState(row.state), shares=tuple(shares[row.split_id]))
        for row in rows
    ]
