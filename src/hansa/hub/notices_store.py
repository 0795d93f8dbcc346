"""The SQL of feeds and their delivery."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.hub.model import Alarm, Notice, NoticeKind
from hansa.hub.payments_store import find
from hansa.store import Tx

READ = """
select member_id, seq, kind, partition, subject_id, at from hub.notices
where member_id = %s and seq > %s order by seq limit %s
"""

READ_THESE = """
select member_id, seq, kind, partition, subject_id, at from hub.notices
where member_id = %s and seq = any(%s) order by seq
"""

ALARMS = """
select alarm_id, member_id, currency, kind, raised, at, place, position_minor, limit_minor from hub.alarms
where alarm_id = any(%s)
"""

# One sender at a time for each member; who died with its lease is followed when that is over.
LEASE = """
with due as (
    select f.member_id from hub.feeds f
    where f.leased_until <= %(now)s
      and ((f.last_seq > f.delivered_seq and f.next_at <= %(now)s)
        or exists (select from hub.undelivered u where u.member_id = f.member_id and u.next_at <= %(now)s))
    order by f.next_at, f.member_id limit %(limit)s
    for no key update skip locked
)
update hub.feeds f set leased_until = %(until)s from due where f.member_id = due.member_id
returning f.member_id, f.last_seq, f.delivered_seq, f.attempts, f.next_at
"""

GIVE_BACK = """
update hub.feeds set leased_until = 'epoch', delivered_seq = %(delivered)s, attempts = %(attempts)s,
    next_at = %(next_at)s
where member_id = %(member_id)s and leased_until = %(until)s
"""

UNDELIVERED = """
select seq, subject_id, attempts, next_at from hub.undelivered where member_id = %s order by seq
"""

KEEP_BACK = """
insert into hub.undelivered (member_id, seq, subject_id, attempts, next_at)
select %s, * from unnest(%s::bigint[], %s::uuid[], %s::integer[], %s::timestamptz[])
on conflict (member_id, seq) do update set attempts = excluded.attempts, next_at = excluded.next_at
"""

DELIVERED = "delete from hub.undelivered where member_id = %s and seq = any(%s)"

STANDING = """
select f.member_id, f.last_seq, f.delivered_seq, f.attempts, f.next_at,
    (select count(*) from hub.undelivered u where u.member_id = f.member_id) as kept_back
from hub.feeds f where f.member_id = %(member_id)s or %(member_id)s::text is null order by f.member_id
"""


@dataclass(frozen=True, slots=True)
class Feed:
    """A member's feed as a sender finds it."""

    member_id: str
    last_seq: int
    delivered_seq: int
    attempts: int
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A notice that was not taken, though others after it were."""

    seq: int
    subject_id: UUID
    attempts: int
    next_at: datetime


@dataclass(frozen=True, slots=True)
class FeedState:
    """How far a member's feed is. kept_back: notices that were not taken, though later ones were."""

    member_id: str
    last_seq: int
    delivered_seq: int
    attempts: int
    next_at: datetime
    kept_back: int


def read(tx: Tx, member_id: str, after: int, limit: int) -> list[Notice]:
    """A member's notices after a number, in order."""
    return _with_subjects(tx, tx.execute(READ, (member_id, after, limit)).fetchall())


def read_these(tx: Tx, member_id: str, numbers: Sequence[int]) -> list[Notice]:
    """A member's notices of these numbers, in order."""
    return _with_subjects(tx, tx.execute(READ_THESE, (member_id, list(numbers))).fetchall())


def lease(tx: Tx, now: datetime, until: datetime, limit: int) -> list[Feed]:
    """Feeds that have something to be sent by now, for this sender alone until an instant."""
    values = {"now": now, "until": until, "limit": limit}
    return tx.cursor(row_factory=class_row(Feed)).execute(LEASE, values).fetchall()


def give_back(
    tx: Tx, member_id: str, until: datetime, *, delivered: int, attempts: int, next_at: datetime
) -> bool:
    """Say how far the feed is; False if the lease was over and is somebody else's."""
    values = {
        "member_id": member_id,
        "until": until,
        "delivered": delivered,
        "attempts": attempts,
        "next_at": next_at,
    }
    return tx.execute(GIVE_BACK, values).rowcount == 1


def undelivered(tx: Tx, member_id: str) -> list[Kept]:
    """What a member did not take, in order."""
    return tx.cursor(row_factory=class_row(Kept)).execute(UNDELIVERED, (member_id,)).fetchall()


def keep_back(tx: Tx, member_id: str, kept: Sequence[Kept]) -> None:
    """Keep these to be tried again."""
    if kept:
        columns = (
            [one.seq for one in kept],
            [one.subject_id for one in kept],
            [one.attempts for one in kept],
            [one.next_at for one in kept],
        )
        tx.execute(KEEP_BACK, (member_id, *columns))


def delivered(tx: Tx, member_id: str, numbers: Sequence[int]) -> None:
    """Of what was kept back these were taken now."""
    if numbers:
        tx.execute(DELIVERED, (member_id, list(numbers)))


def feed_states(tx: Tx, member_id: str | None) -> list[FeedState]:
    """How far feeds are, by member."""
    cursor = tx.cursor(row_factory=class_row(FeedState))
    return cursor.execute(STANDING, {"member_id": member_id}).fetchall()


def _with_subjects(tx: Tx, rows: Sequence[tuple[str, int, str, int, UUID, datetime]]) -> list[Notice]:
    about = [row for row in rows if row[2] != NoticeKind.ALARM]
    payments = find(tx, {row[3] for row in about}, {row[4] for row in about})
    ids = [row[4] for row in rows if row[2] == NoticeKind.ALARM]
    alarms: dict[UUID, Alarm] = {}
    if ids:
        found = tx.cursor(row_factory=class_row(Alarm)).execute(ALARMS, (ids,))
        alarms = {one.alarm_id: one for one in found}
    return [
        Notice(member, seq, NoticeKind(kind), at, payments.get(subject), alarms.get(subject))
        for member, seq, kind, _, subject, at in rows
    ]
