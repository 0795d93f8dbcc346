"""The SQL of feeds and their delivery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
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
select n.member_id, n.seq, n.kind, n.partition, n.subject_id, n.at
from unnest(%s::text[], %s::bigint[]) as asked (member_id, seq)
join hub.notices n using (member_id, seq)
order by n.member_id, n.seq
"""

READ_MANY = """
select n.member_id, n.seq, n.kind, n.partition, n.subject_id, n.at
from unnest(%s::text[], %s::bigint[]) as asked (member_id, after)
cross join lateral (
    select * from hub.notices f where f.member_id = asked.member_id and f.seq > asked.after order by f.seq limit %s
) n
order by n.member_id, n.seq
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
update hub.feeds f set leased_until = 'epoch', delivered_seq = n.delivered, attempts = n.attempts, next_at = n.next_at
from unnest(%s::text[], %s::bigint[], %s::integer[], %s::timestamptz[]) as n (member_id, delivered, attempts, next_at)
where f.member_id = n.member_id and f.leased_until = %s
"""

LOCK = "select from hub.feeds where member_id = any(%s) order by member_id for no key update"

UNDELIVERED = """
select member_id, seq, subject_id, attempts, next_at from hub.undelivered where member_id = any(%s)
order by member_id, seq
"""

KEEP_BACK = """
insert into hub.undelivered (member_id, seq, subject_id, attempts, next_at)
select * from unnest(%s::text[], %s::bigint[], %s::uuid[], %s::integer[], %s::timestamptz[])
on conflict (member_id, seq) do update set attempts = excluded.attempts, next_at = excluded.next_at
"""

DELIVERED = """
delete from hub.undelivered u using unnest(%s::text[], %s::bigint[]) as taken (member_id, seq)
where u.member_id = taken.member_id and u.seq = taken.seq
"""

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


def read_these(tx: Tx, asked: Sequence[tuple[str, int]]) -> dict[str, list[Notice]]:
    """The notices of these (member, number), by member and in order."""
    if not asked:
        return {}
    columns = ([member for member, _ in asked], [seq for _, seq in asked])
    return _by_member(_with_subjects(tx, tx.execute(READ_THESE, columns).fetchall()))


def read_many(tx: Tx, after: Mapping[str, int], limit: int) -> dict[str, list[Notice]]:
    """Notices of these members, each after its number and so many at most, by member and in order."""
    if not after:
        return {}
    rows = tx.execute(READ_MANY, (list(after), list(after.values()), limit)).fetchall()
    return _by_member(_with_subjects(tx, rows))


def lease(tx: Tx, now: datetime, until: datetime, limit: int) -> list[Feed]:
    """Feeds that have something to be sent by now, for this sender alone until an instant."""
    values = {"now": now, "until": until, "limit": limit}
    return tx.cursor(row_factory=class_row(Feed)).execute(LEASE, values).fetchall()


def give_back(tx: Tx, feeds: Sequence[tuple[str, int, int, datetime]], until: datetime) -> None:
    """Say how far feeds are: (member, delivered, attempts, next). One whose lease was over stays as it is."""
    ordered = sorted(feeds)
    tx.execute(LOCK, ([member for member, *_ in ordered],))  # in the order of whoever adds to them
    tx.execute(GIVE_BACK, (*(list(column) for column in zip(*ordered, strict=True)), until))


def undelivered(tx: Tx, member_ids: Sequence[str]) -> dict[str, list[Kept]]:
    """What these members did not take, by member and in order."""
    found: dict[str, list[Kept]] = {}
    for member, *rest in tx.execute(UNDELIVERED, (list(member_ids),)):
        found.setdefault(member, []).append(Kept(*rest))
    return found


def keep_back(tx: Tx, kept: Sequence[tuple[str, Kept]]) -> None:
    """Keep these of these members to be tried again."""
    if kept:
        columns = (
            [member for member, _ in kept],
            [one.seq for _, one in kept],
            [one.subject_id for _, one in kept],
            [one.attempts for _, one in kept],
            [one.next_at for _, one in kept],
        )
        tx.execute(KEEP_BACK, columns)


def delivered(tx: Tx, taken: Sequence[tuple[str, int]]) -> None:
    """Of what was kept back, these (member, number) were taken now."""
    if taken:
        tx.execute(DELIVERED, ([member for member, _ in taken], [seq for _, seq in taken]))


def feed_states(tx: Tx, member_id: str | None) -> list[FeedState]:
    """How far feeds are, by member."""
    cursor = tx.cursor(row_factory=class_row(FeedState))
    return cursor.execute(STANDING, {"member_id": member_id}).fetchall()


def _by_member(notices: Sequence[Notice]) -> dict[str, list[Notice]]:
    return {member: list(some) for member, some in groupby(notices, key=lambda one: one.member_id)}


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
