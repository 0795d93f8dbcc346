"""The SQL of notifications."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from psycopg.rows import class_row

from hansa.identity import AccountId
from hansa.kernel import new_id
from hansa.notifications.model import Channel, Notice, Outcome, Settings
from hansa.store import START, Bookmark, Tx

# --- reading the outbox

MAKE_BOOKMARK = """
insert into notifications.bookmarks (topic, xid, seq) values (%s, 0, 0) on conflict (topic) do nothing
"""

LOCK_BOOKMARK = "select xid, seq from notifications.bookmarks where topic = %s for no key update skip locked"

KEEP_BOOKMARK = "update notifications.bookmarks set xid = %s, seq = %s where topic = %s"

# --- notices

KNOWN = """
select n.notice_id
from unnest(%s::integer[], %s::uuid[], %s::uuid[]) as w (partition, account_id, notice_id)
join notifications.notices n using (partition, account_id, notice_id)
"""

# Whoever hears facts holds the bookmark, so nobody else counts a person's notices meanwhile.
PEOPLE = """
select p.partition, p.account_id, p.last_seq, p.quiet_from, p.quiet_to, p.amounts, p.digest_at
from unnest(%s::integer[], %s::uuid[]) as w (partition, account_id)
join notifications.people p using (partition, account_id)
"""

COUNT_ON = """
insert into notifications.people (partition, account_id, last_seq)
select * from unnest(%s::integer[], %s::uuid[], %s::bigint[]) as w (partition, account_id, last_seq)
order by partition, account_id
on conflict (partition, account_id) do update set last_seq = excluded.last_seq
"""

ADD = """
insert into notifications.notices
    (partition, account_id, seq, notice_id, kind, at, subject, facts, made_at, read_at)
select partition, account_id, seq, notice_id, kind, at, subject, facts, %(made_at)s,
    case when read then %(made_at)s::timestamptz end
from jsonb_to_recordset(%(notices)s::text::jsonb) as w (partition integer, account_id uuid, seq bigint,
    notice_id uuid, kind text, at timestamptz, subject text, facts jsonb, read boolean)
"""

# What was told of a subject before is read by hearing how it went on.
TAKE_PLACE = """
update notifications.notices n set read_at = %s
from unnest(%s::integer[], %s::uuid[], %s::text[], %s::bigint[]) as w (partition, account_id, subject, seq)
where n.partition = w.partition and n.account_id = w.account_id and n.read_at is null and n.subject = w.subject
    and n.seq < w.seq
"""

LIST = """
select account_id, seq, notice_id, kind, at, subject, facts, made_at, read_at from notifications.notices
where partition = %(partition)s and account_id = %(account)s
    and (seq < %(before)s or %(before)s::bigint is null) and (not %(unread)s or read_at is null)
order by seq desc limit %(limit)s
"""

AFTER = """
select account_id, seq, notice_id, kind, at, subject, facts, made_at, read_at from notifications.notices
where partition = %s and account_id = %s and seq > %s order by seq limit %s
"""

UNREAD = """
select count(*) from (
    select from notifications.notices where partition = %s and account_id = %s and read_at is null limit %s
) as few
"""

LATEST = """
select p.account_id, p.last_seq
from unnest(%s::integer[], %s::uuid[]) as w (partition, account_id)
join notifications.people p using (partition, account_id)
"""

READ = """
update notifications.notices set read_at = %s
where partition = %s and account_id = %s and seq = any(%s) and read_at is null
"""

READ_ALL = """
update notifications.notices set read_at = %s
where partition = %s and account_id = %s and seq <= %s and read_at is null
"""

FORGET_NOTICES = """
delete from notifications.notices n using (
    select partition, account_id, seq from notifications.notices where made_at < %s order by made_at limit %s
) as old
where (n.partition, n.account_id, n.seq) = (old.partition, old.account_id, old.seq)
"""

FORGET_MESSAGES = """
delete from notifications.messages m using (
    select partition, account_id, seq, channel from notifications.messages
    where made_at < %s and next_at is null order by made_at limit %s
) as old
where (m.partition, m.account_id, m.seq, m.channel) = (old.partition, old.account_id, old.seq, old.channel)
"""

FORGET_PERSON = (
    "delete from notifications.messages where partition = %s and account_id = %s",
    "delete from notifications.notices where partition = %s and account_id = %s",
    "delete from notifications.settings where partition = %s and account_id = %s",
)

# --- settings

PERSON = """
select quiet_from, quiet_to, amounts, digest_at from notifications.people where partition = %s and account_id = %s
"""

WISHES = """
select s.account_id, s.kind, s.channel, s.wanted
from unnest(%s::integer[], %s::uuid[]) as w (partition, account_id)
join notifications.settings s using (partition, account_id)
"""

SET_PERSON = """
insert into notifications.people (partition, account_id, quiet_from, quiet_to, amounts, digest_at)
values (%(partition)s, %(account)s, %(quiet_from)s, %(quiet_to)s, %(amounts)s, %(digest_at)s)
on conflict (partition, account_id) do update
set quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, amounts = excluded.amounts,
    digest_at = excluded.digest_at
"""

SET_WISHES = """
insert into notifications.settings (partition, account_id, kind, channel, wanted, set_at)
select %s, %s, w.kind, w.channel, w.wanted, %s
from unnest(%s::text[], %s::text[], %s::boolean[]) as w (kind, channel, wanted)
order by w.kind, w.channel
on conflict (partition, account_id, kind, channel) do update
set wanted = excluded.wanted, set_at = excluded.set_at
"""

# --- messages

ADD_MESSAGES = """
insert into notifications.messages (partition, account_id, seq, channel, made_at, next_at, digest)
select w.partition, w.account_id, w.seq, w.channel, %s, w.next_at, w.digest
from unnest(%s::integer[], %s::uuid[], %s::bigint[], %s::text[], %s::timestamptz[], %s::boolean[])
    as w (partition, account_id, seq, channel, next_at, digest)
"""

LEASE = """
with due as (
    select partition, account_id, seq, channel from notifications.messages
    where next_at <= %(now)s and leased_until <= %(now)s and not digest
    order by next_at, account_id limit %(limit)s
    for no key update skip locked
)
update notifications.messages m set leased_until = %(until)s, tries = m.tries + 1
from due
join notifications.notices n using (partition, account_id, seq)
where (m.partition, m.account_id, m.seq, m.channel) = (due.partition, due.account_id, due.seq, due.channel)
returning m.partition, m.channel, m.tries, m.made_at, m.batch_id, n.account_id, n.seq, n.notice_id, n.kind, n.at,
    n.subject, n.facts, n.made_at, n.read_at
"""

# All of a person's that is due together is one sender's: whoever holds the person's row takes it whole.
LOCK_DIGESTS = """
select p.partition, p.account_id from notifications.people p
where (p.partition, p.account_id) in (
    select partition, account_id from notifications.messages
    where next_at <= %(now)s and leased_until <= %(now)s and digest
    order by next_at, account_id limit %(limit)s)
order by p.partition, p.account_id
for no key update skip locked
"""

LEASE_DIGESTS = """
update notifications.messages m
set leased_until = %(until)s, tries = m.tries + 1, batch_id = coalesce(m.batch_id, w.batch_id)
from unnest(%(partitions)s::integer[], %(accounts)s::uuid[], %(batches)s::uuid[])
    as w (partition, account_id, batch_id)
join notifications.notices n using (partition, account_id)
where (m.partition, m.account_id, m.seq) = (n.partition, n.account_id, n.seq)
    and m.next_at <= %(now)s and m.leased_until <= %(now)s and m.digest
returning m.partition, m.channel, m.tries, m.made_at, m.batch_id, n.account_id, n.seq, n.notice_id, n.kind, n.at,
    n.subject, n.facts, n.made_at, n.read_at
"""

END = """
update notifications.messages set next_at = null, outcome = %s, ended_at = %s
where partition = %s and account_id = %s and seq = %s and channel = %s and next_at is not null
"""

TRY_AGAIN = """
update notifications.messages set next_at = %s, leased_until = 'epoch'
where partition = %s and account_id = %s and seq = %s and channel = %s and next_at is not null
"""

Owner = tuple[int, UUID]
"""A person's ledger partition and account."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A notice on its way in. read: it is kept and not shown as unread, since its person wants it not in the wallet."""

    partition: int
    account_id: UUID
    seq: int
    notice_id: UUID
    kind: str
    at: datetime
    subject: str
    facts: dict[str, Any]
    read: bool


def lock_bookmark(tx: Tx, topic: str) -> Bookmark | None:
    """How far this topic was read, for this transaction alone; None: another one is at it."""
    tx.execute(MAKE_BOOKMARK, (topic,))
    row = tx.execute(LOCK_BOOKMARK, (topic,)).fetchone()
    return None if row is None else (Bookmark(*row) if row[0] else START)


def keep_bookmark(tx: Tx, topic: str, mark: Bookmark) -> None:
    """This topic is read up to here."""
    tx.execute(KEEP_BOOKMARK, (mark.xid, mark.seq, topic))


def known(tx: Tx, wanted: Sequence[tuple[int, UUID, UUID]]) -> set[UUID]:
    """Those of these notices (partition, account, id) that are kept already."""
    return {one for (one,) in tx.execute(KNOWN, _columns(wanted, 3)).fetchall()}


def people(tx: Tx, owners: Collection[Owner]) -> dict[UUID, tuple[int, Settings]]:
    """The last number and the settings of these persons; those who were never told anything are left out."""
    columns = _columns(sorted(owners), 2)
    wishes: dict[UUID, dict[tuple[str, Channel], bool]] = {}
    for account_id, kind, channel, wanted in tx.execute(WISHES, columns).fetchall():
        wishes.setdefault(account_id, {})[kind, channel] = wanted
    rows = tx.execute(PEOPLE, columns).fetchall()
    return {
        account_id: (
            last_seq,
            Settings(wishes.get(account_id, {}), quiet_from, quiet_to, amounts, digest_at),
        )
        for _, account_id, last_seq, quiet_from, quiet_to, amounts, digest_at in rows
    }


def count_on(tx: Tx, last: Sequence[tuple[int, UUID, int]]) -> None:
    """These (partition, account) have notices up to this number."""
    tx.execute(COUNT_ON, _columns(last, 3))


def add(tx: Tx, fresh: Sequence[Fresh], at: datetime) -> None:
    """Keep these; earlier ones of the same person and subject are read by that."""
    rows = [
        {
            "partition": one.partition,
            "account_id": str(one.account_id),
            "seq": one.seq,
            "notice_id": str(one.notice_id),
            "kind": one.kind,
            "at": one.at.isoformat(),
            "subject": one.subject,
            "facts": one.facts,
            "read": one.read,
        }
        for one in fresh
    ]
    tx.execute(ADD, {"made_at": at, "notices": json.dumps(rows)})
    last = {(one.partition, one.account_id, one.subject): one.seq for one in fresh if one.subject}
    tx.execute(TAKE_PLACE, (at, *_columns([(*key, seq) for key, seq in last.items()], 4)))


def add_messages(tx: Tx, wanted: Sequence[tuple[Fresh, Channel, datetime, bool]], at: datetime) -> None:
    """These notices go out by these channels, from these instants on; and whether together with others."""
    if wanted:
        rows = [
            (one.partition, one.account_id, one.seq, channel, next_at, digest)
            for one, channel, next_at, digest in wanted
        ]
        tx.execute(ADD_MESSAGES, (at, *_columns(rows, 6)))


def list_notices(tx: Tx, owner: Owner, *, before: int | None, only_unread: bool, limit: int) -> list[Notice]:
    """A person's notices, the latest first."""
    partition, account_id = owner
    values = {
        "partition": partition,
        "account": account_id,
        "before": before,
        "unread": only_unread,
        "limit": limit,
    }
    return tx.cursor(row_factory=class_row(Notice)).execute(LIST, values).fetchall()


def after(tx: Tx, owner: Owner, seq: int, limit: int) -> list[Notice]:
    """A person's notices after a number, in order."""
    return tx.cursor(row_factory=class_row(Notice)).execute(AFTER, (*owner, seq, limit)).fetchall()


def unread(tx: Tx, owner: Owner, most: int) -> int:
    """How many notices of a person are unread, counted up to so many."""
    row = tx.execute(UNREAD, (*owner, most)).fetchone()
    assert row is not None, "a count is a row"
    return int(row[0])


def latest(tx: Tx, owners: Collection[Owner]) -> dict[UUID, int]:
    """The last number of each of these persons; those who were never told anything are left out."""
    return dict(tx.execute(LATEST, _columns(sorted(owners), 2)).fetchall())


def read(tx: Tx, owner: Owner, seqs: Sequence[int], at: datetime) -> int:
    """These were read; how many were not before."""
    return tx.execute(READ, (at, *owner, list(seqs))).rowcount


def read_all(tx: Tx, owner: Owner, up_to: int, at: datetime) -> int:
    """All up to this number were read; how many were not before."""
    return tx.execute(READ_ALL, (at, *owner, up_to)).rowcount


def forget(tx: Tx, *, notices_before: datetime, messages_before: datetime, limit: int) -> int:
    """Delete what is older; how many rows."""
    gone = tx.execute(FORGET_MESSAGES, (messages_before, limit)).rowcount
    return gone + tx.execute(FORGET_NOTICES, (notices_before, limit)).rowcount


def forget_person(tx: Tx, owner: Owner) -> None:
    """Delete all that a person was told, and how they wanted to be told. Their last number stays."""
    for statement in FORGET_PERSON:
        tx.execute(statement, owner)


def settings(tx: Tx, owner: Owner) -> Settings:
    """How a person wants to be told; the kinds' own ways where they never said."""
    row = tx.execute(PERSON, owner).fetchone() or (None, None, False, None)
    quiet_from, quiet_to, amounts, digest_at = row
    found = tx.execute(WISHES, _columns([owner], 2)).fetchall()
    wishes: dict[tuple[str, Channel], bool] = {
        (kind, cast("Channel", channel)): wanted for _, kind, channel, wanted in found
    }
    return Settings(wishes, quiet_from, quiet_to, bool(amounts), digest_at)


def set_settings(tx: Tx, owner: Owner, wanted: Settings, at: datetime) -> None:
    """Keep how a person wants to be told; wishes that are not named stay."""
    values = {
        "partition": owner[0],
        "account": owner[1],
        "quiet_from": wanted.quiet_from,
        "quiet_to": wanted.quiet_to,
        "amounts": wanted.amounts,
        "digest_at": wanted.digest_at,
    }
    tx.execute(SET_PERSON, values)
    rows = [(kind, channel, wish) for (kind, channel), wish in wanted.wishes.items()]
    tx.execute(SET_WISHES, (*owner, at, *_columns(rows, 3)))


Leased = tuple[int, Channel, int, datetime, UUID | None, Notice]
"""Of a message: partition, channel, which try, when it was made, with which others it goes, its notice."""


def lease(tx: Tx, *, now: datetime, until: datetime, limit: int) -> list[Leased]:
    """Messages that are due by themselves, for this caller alone until then."""
    rows = tx.execute(LEASE, {"now": now, "until": until, "limit": limit}).fetchall()
    return [(row[0], row[1], row[2], row[3], None, Notice(*row[5:])) for row in rows]


def lease_digests(tx: Tx, *, now: datetime, until: datetime, limit: int) -> list[Leased]:
    """Messages that go together and are due, all of a person's at once, for this caller alone until then.

    Which go together is written down here, before any is handed over. limit: how many messages name their persons.
    """
    people = tx.execute(LOCK_DIGESTS, {"now": now, "limit": limit}).fetchall()
    if not people:
        return []
    values = {
        "now": now,
        "until": until,
        "partitions": [partition for partition, _ in people],
        "accounts": [account_id for _, account_id in people],
        "batches": [new_id() for _ in people],
    }
    rows = tx.execute(LEASE_DIGESTS, values).fetchall()
    return [(row[0], row[1], row[2], row[3], row[4], Notice(*row[5:])) for row in rows]


def end(tx: Tx, owner: Owner, seq: int, channel: Channel, outcome: Outcome, at: datetime) -> None:
    """This message is over."""
    tx.execute(END, (outcome, at, *owner, seq, channel))


def try_again(tx: Tx, owner: Owner, seq: int, channel: Channel, next_at: datetime) -> None:
    """This message is to be tried again from then on."""
    tx.execute(TRY_AGAIN, (next_at, *owner, seq, channel))


def owner_of(account_id: AccountId, partition: int) -> Owner:
    """A person by their ledger partition and account."""
    return partition, account_id


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as columns; as many empty ones where there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
