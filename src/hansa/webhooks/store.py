"""The SQL of webhooks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from hansa.store import START, Bookmark, Tx
from hansa.webhooks.model import Attempt, Endpoint, EndpointState, Event

# --- numbering

MAKE_BOOKMARK = """
insert into webhooks.bookmarks (topic, xid, seq) values (%s, 0, 0) on conflict (topic) do nothing
"""

LOCK_BOOKMARK = "select xid, seq from webhooks.bookmarks where topic = %s for no key update skip locked"

KEEP_BOOKMARK = "update webhooks.bookmarks set xid = %s, seq = %s where topic = %s"

KNOWN = "select event_id from webhooks.events where event_id = any(%s)"

LAST_SEQS = "select member_id, last_seq from webhooks.feeds where member_id = any(%s) for no key update"

KEEP_SEQS = """
insert into webhooks.feeds (member_id, last_seq) select * from unnest(%s::text[], %s::bigint[])
on conflict (member_id) do update set last_seq = excluded.last_seq
"""

ADD_EVENTS = """
insert into webhooks.events (member_id, seq, event_id, type, subject, at, data, recorded_at)
select e.*, %s
from unnest(%s::text[], %s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::json[]) e
"""

# --- the feed

FEED = """
select member_id, seq, event_id, type, subject, at, data from webhooks.events
where member_id = %(member)s and seq > %(after)s and (type = any(%(types)s) or cardinality(%(types)s::text[]) = 0)
order by seq limit %(limit)s
"""

EVENT = """
select member_id, seq, event_id, type, subject, at, data from webhooks.events
where event_id = %s and member_id = %s
"""

EVENTS_BY_SEQ = """
select member_id, seq, event_id, type, subject, at, data from webhooks.events
where member_id = %s and seq = any(%s) order by seq
"""

# --- endpoints

ENDPOINT_COLUMNS = """
select e.endpoint_id, e.member_id, e.url, e.about, e.types, e.made_by, e.made_at, e.first_seq, e.state, e.why,
    e.changed_at, e.seen_seq, e.failing_since, e.failures, e.next_at,
    array(select s.version from webhooks.secrets s where s.endpoint_id = e.endpoint_id
          and (s.ends_at is null or s.ends_at > %(now)s) order by s.version desc) as versions,
    coalesce((select last_seq from webhooks.feeds f where f.member_id = e.member_id), 0) - e.seen_seq
        + (select count(*) from webhooks.waiting w where w.endpoint_id = e.endpoint_id) as behind
from webhooks.endpoints e
where (e.endpoint_id = %(endpoint)s or %(endpoint)s::uuid is null)
  and (e.member_id = %(member)s or %(member)s::text is null)
order by e.made_at, e.endpoint_id
"""

LOCK_MEMBER = "select from trust.members where member_id = %s for no key update"

LOCK_ENDPOINT = "select from webhooks.endpoints where endpoint_id = %s for no key update"

COUNT_ENDPOINTS = "select count(*) from webhooks.endpoints where member_id = %s and state <> 'disabled'"

ADD_ENDPOINT = """
insert into webhooks.endpoints
    (endpoint_id, member_id, url, about, types, made_by, made_at, first_seq, state, changed_at, seen_seq, next_at)
select %(endpoint)s, %(member)s, %(url)s, %(about)s, %(types)s, %(by)s, %(now)s, s.last, 'unverified', %(now)s, s.last,
    %(now)s
from (select coalesce((select last_seq from webhooks.feeds where member_id = %(member)s), 0) as last) s
on conflict (endpoint_id) do nothing
"""

NEW_VERSION = "insert into webhooks.secrets (endpoint_id, version, made_at) values (%s, %s, %s)"

END_VERSIONS = "update webhooks.secrets set ends_at = %s where endpoint_id = %s and ends_at is null"

NEXT_VERSION = "select max(version) + 1 from webhooks.secrets where endpoint_id = %s"

SET_STATE = """
update webhooks.endpoints set state = %(state)s, why = %(why)s, changed_at = %(now)s, failing_since = null,
    failures = 0, next_at = %(now)s
where endpoint_id = %(endpoint)s and state <> %(state)s
"""

REDELIVER = """
insert into webhooks.waiting (endpoint_id, seq, subject, attempts, next_at)
select %(endpoint)s, e.seq, 'again:' || e.event_id, 0, %(now)s
from webhooks.events e where e.member_id = %(member)s and e.seq between %(first)s and %(last)s
on conflict (endpoint_id, seq) do nothing
"""

WAKE = """
update webhooks.endpoints set next_at = %(now)s where endpoint_id = %(endpoint)s and next_at > %(now)s
"""

# --- sending

LEASE = """
with due as (
    select e.endpoint_id from webhooks.endpoints e
    where e.state = 'enabled' and e.leased_until <= %(now)s and e.next_at <= %(now)s
      and not e.endpoint_id = any(%(but)s)
      and (e.seen_seq < coalesce((select f.last_seq from webhooks.feeds f where f.member_id = e.member_id), 0)
        or exists (select from webhooks.waiting w where w.endpoint_id = e.endpoint_id and w.next_at <= %(now)s))
    order by e.next_at, e.endpoint_id limit %(limit)s
    for no key update skip locked
)
update webhooks.endpoints e set leased_until = %(until)s, leased_by = %(lease)s from due
where e.endpoint_id = due.endpoint_id
returning e.endpoint_id
"""

DUE = """
select seq, attempts from webhooks.waiting
where endpoint_id = %s and next_at <= %s order by seq limit %s
"""

BLOCKED = "select distinct subject from webhooks.waiting where endpoint_id = %s"

HELD = "select from webhooks.endpoints where endpoint_id = %s and leased_by = %s for no key update"

GIVE_BACK = """
update webhooks.endpoints set leased_by = null, leased_until = 'epoch', seen_seq = greatest(seen_seq, %(seen)s),
    failing_since = case when %(took)s then null else coalesce(failing_since, %(failed_at)s) end,
    failures = %(failures)s, next_at = %(next_at)s
where endpoint_id = %(endpoint)s
"""

KEEP_WAITING = """
insert into webhooks.waiting (endpoint_id, seq, subject, attempts, next_at)
select %s, w.* from unnest(%s::bigint[], %s::text[], %s::integer[], %s::timestamptz[]) w
on conflict (endpoint_id, seq) do update set attempts = excluded.attempts, next_at = excluded.next_at
"""

END_WAITING = "delete from webhooks.waiting where endpoint_id = %s and seq = any(%s)"

# Of each subject the first one is tried; the others wait for it.
LET_ON = """
update webhooks.waiting w set next_at = %(now)s
where w.endpoint_id = %(endpoint)s and w.next_at is null and not exists (
    select from webhooks.waiting b where b.endpoint_id = w.endpoint_id and b.subject = w.subject and b.seq < w.seq)
"""

ADD_ATTEMPTS = """
insert into webhooks.attempts
    (endpoint_id, at, attempt_id, event_id, seq, number, took_ms, status, fault, body, next_at)
select %s, a.at, a.attempt_id, a.event_id, a.seq, a.number, a.took_ms, a.status, a.fault, a.body, a.next_at
from unnest(%s::timestamptz[], %s::uuid[], %s::uuid[], %s::bigint[], %s::integer[], %s::integer[], %s::integer[],
    %s::text[], %s::bytea[], %s::timestamptz[])
    as a (at, attempt_id, event_id, seq, number, took_ms, status, fault, body, next_at)
"""

ATTEMPTS = """
select endpoint_id, event_id, seq, number, at, took_ms, status, fault, body, next_at
from webhooks.attempts
where endpoint_id = %(endpoint)s and (event_id = %(event)s or %(event)s::uuid is null)
  and (at < %(before)s or %(before)s::timestamptz is null)
order by at desc, attempt_id desc limit %(limit)s
"""

FORGET = "delete from webhooks.attempts where at < %s"


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event that waits for its number."""

    event_id: UUID
    member_id: str
    type: str
    subject: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Due:
    """What an endpoint may be tried with again. attempts: failed ones."""

    seq: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What waits after a turn. next_at: None behind another one of its subject."""

    seq: int
    subject: str
    attempts: int
    next_at: datetime | None


def lock_bookmark(tx: Tx, topic: str) -> Bookmark | None:
    """How far this topic was read, for this transaction alone; None: another one is at it."""
    tx.execute(MAKE_BOOKMARK, (topic,))
    row = tx.execute(LOCK_BOOKMARK, (topic,)).fetchone()
    return None if row is None else (Bookmark(*row) if row[0] else START)


def keep_bookmark(tx: Tx, topic: str, mark: Bookmark) -> None:
    """This topic is read up to here."""
    tx.execute(KEEP_BOOKMARK, (mark.xid, mark.seq, topic))


def add_events(tx: Tx, fresh: Sequence[Numbered], at: datetime) -> int:
    """Number these in their order, each once; gives how many were new. Whoever calls holds the bookmark."""
    known = {row[0] for row in tx.execute(KNOWN, ([one.event_id for one in fresh],))}
    new = list({one.event_id: one for one in reversed(fresh) if one.event_id not in known}.values())[::-1]
    if not new:
        return 0
    last: dict[str, int] = dict(tx.execute(LAST_SEQS, (sorted({one.member_id for one in new}),)).fetchall())
    seqs: list[int] = []
    for one in new:
        last[one.member_id] = last.get(one.member_id, 0) + 1
        seqs.append(last[one.member_id])
    tx.execute(KEEP_SEQS, (list(last), list(last.values())))
    columns = (
        [one.member_id for one in new],
        seqs,
        [one.event_id for one in new],
        [one.type for one in new],
        [one.subject for one in new],
        [one.at for one in new],
        [json.dumps(one.data) for one in new],
    )
    tx.execute(ADD_EVENTS, (at, *columns))
    return len(new)


def feed(tx: Tx, member_id: str, after: int, limit: int, types: Sequence[str] = ()) -> list[Event]:
    """A member's events after a number, in order."""
    values = {"member": member_id, "after": after, "limit": limit, "types": list(types)}
    return tx.cursor(row_factory=class_row(Event)).execute(FEED, values).fetchall()


def find_event(tx: Tx, member_id: str, event_id: UUID) -> Event | None:
    """A member's event."""
    return tx.cursor(row_factory=class_row(Event)).execute(EVENT, (event_id, member_id)).fetchone()


def events_by_seq(tx: Tx, member_id: str, seqs: Sequence[int]) -> list[Event]:
    """A member's events of these numbers, in order."""
    return tx.cursor(row_factory=class_row(Event)).execute(EVENTS_BY_SEQ, (member_id, list(seqs))).fetchall()


def endpoints(
    tx: Tx, now: datetime, *, member_id: str | None = None, endpoint_id: UUID | None = None
) -> list[Endpoint]:
    """Endpoints, by age, with the versions of their secrets that count now."""
    values = {"now": now, "member": member_id, "endpoint": endpoint_id}
    found = tx.cursor(row_factory=class_row(_EndpointRow)).execute(ENDPOINT_COLUMNS, values).fetchall()
    return [one.as_endpoint() for one in found]


def lock_member(tx: Tx, member_id: str) -> None:
    """Let nobody else count this member's endpoints until this transaction ends."""
    tx.execute(LOCK_MEMBER, (member_id,))


def lock_endpoint(tx: Tx, endpoint_id: UUID) -> None:
    """Let nobody else change this endpoint until this transaction ends."""
    tx.execute(LOCK_ENDPOINT, (endpoint_id,))


def count_endpoints(tx: Tx, member_id: str) -> int:
    """A member's endpoints that are not disabled."""
    row = tx.execute(COUNT_ENDPOINTS, (member_id,)).fetchone()
    assert row is not None, "a count is a row"
    return int(row[0])


def add_endpoint(
    tx: Tx,
    *,
    endpoint_id: UUID,
    member_id: str,
    url: str,
    about: str,
    types: Sequence[str],
    by: str,
    now: datetime,
) -> None:
    """Keep a new endpoint and the first version of its secrets; one that is there stays as it is."""
    values = {
        "endpoint": endpoint_id,
        "member": member_id,
        "url": url,
        "about": about,
        "types": list(types),
        "by": by,
        "now": now,
    }
    if tx.execute(ADD_ENDPOINT, values).rowcount:
        tx.execute(NEW_VERSION, (endpoint_id, 1, now))


def rotate(tx: Tx, endpoint_id: UUID, *, now: datetime, old_ends_at: datetime) -> None:
    """The next version of an endpoint's secrets; those before it end."""
    row = tx.execute(NEXT_VERSION, (endpoint_id,)).fetchone()
    assert row is not None, "a maximum is a row"
    tx.execute(END_VERSIONS, (old_ends_at, endpoint_id))
    tx.execute(NEW_VERSION, (endpoint_id, row[0], now))


def set_state(tx: Tx, endpoint_id: UUID, state: EndpointState, *, why: str, now: datetime) -> bool:
    """Say what an endpoint is; whether that is news."""
    values = {"endpoint": endpoint_id, "state": state, "why": why, "now": now}
    return tx.execute(SET_STATE, values).rowcount == 1


def redeliver(tx: Tx, endpoint: Endpoint, first: int, last: int, now: datetime) -> int:
    """Send these of a member's events to an endpoint again, now; gives how many do not wait already."""
    values = {
        "endpoint": endpoint.endpoint_id,
        "member": endpoint.member_id,
        "first": first,
        "last": last,
        "now": now,
    }
    again = tx.execute(REDELIVER, values).rowcount
    tx.execute(WAKE, values)
    return again


def lease(
    tx: Tx, lease_id: UUID, *, now: datetime, until: datetime, limit: int, but: Sequence[UUID]
) -> list[UUID]:
    """Endpoints to which something is to be sent now, but for these: for this sender alone until an instant."""
    values = {"lease": lease_id, "now": now, "until": until, "limit": limit, "but": list(but)}
    return [row[0] for row in tx.execute(LEASE, values)]


def due(tx: Tx, endpoint_id: UUID, now: datetime, limit: int) -> list[Due]:
    """What waits at an endpoint and may be tried now, in order."""
    return tx.cursor(row_factory=class_row(Due)).execute(DUE, (endpoint_id, now, limit)).fetchall()


def blocked_subjects(tx: Tx, endpoint_id: UUID) -> set[str]:
    """Subjects of which something waits at an endpoint."""
    return {row[0] for row in tx.execute(BLOCKED, (endpoint_id,))}


def still_held(tx: Tx, endpoint_id: UUID, lease_id: UUID) -> bool:
    """Whether an endpoint is this sender's still; then it is locked."""
    return tx.execute(HELD, (endpoint_id, lease_id)).fetchone() is not None


def give_back(
    tx: Tx,
    endpoint_id: UUID,
    *,
    seen_seq: int,
    took: bool,
    failed_at: datetime | None,
    failures: int,
    next_at: datetime,
) -> None:
    """Say how far an endpoint is, and let others send to it. took: it took something."""
    values = {
        "endpoint": endpoint_id,
        "seen": seen_seq,
        "took": took,
        "failed_at": failed_at,
        "failures": failures,
        "next_at": next_at,
    }
    tx.execute(GIVE_BACK, values)


def keep_waiting(tx: Tx, endpoint_id: UUID, kept: Sequence[Kept]) -> None:
    """These wait."""
    if kept:
        columns = (
            [one.seq for one in kept],
            [one.subject for one in kept],
            [one.attempts for one in kept],
            [one.next_at for one in kept],
        )
        tx.execute(KEEP_WAITING, (endpoint_id, *columns))


def end_waiting(tx: Tx, endpoint_id: UUID, seqs: Sequence[int], now: datetime) -> None:
    """These wait no more, and what waited for them may go."""
    if seqs:
        tx.execute(END_WAITING, (endpoint_id, list(seqs)))
    tx.execute(LET_ON, {"endpoint": endpoint_id, "now": now})


def add_attempts(tx: Tx, endpoint_id: UUID, attempts: Sequence[tuple[UUID, Attempt]]) -> None:
    """Keep what was tried."""
    if attempts:
        columns = (
            [one.at for _, one in attempts],
            [attempt_id for attempt_id, _ in attempts],
            [one.event_id for _, one in attempts],
            [one.seq for _, one in attempts],
            [one.number for _, one in attempts],
            [one.took_ms for _, one in attempts],
            [one.status for _, one in attempts],
            [one.fault for _, one in attempts],
            [one.body for _, one in attempts],
            [one.next_at for _, one in attempts],
        )
        tx.execute(ADD_ATTEMPTS, (endpoint_id, *columns))


def attempts(
    tx: Tx,
    endpoint_id: UUID,
    *,
    event_id: UUID | None = None,
    before: datetime | None = None,
    limit: int = 100,
) -> list[Attempt]:
    """What was tried at an endpoint, latest first."""
    values = {"endpoint": endpoint_id, "event": event_id, "before": before, "limit": limit}
    return tx.cursor(row_factory=class_row(Attempt)).execute(ATTEMPTS, values).fetchall()


def forget_attempts(tx: Tx, before: datetime) -> int:
    """Delete attempts of before an instant; gives how many."""
    return tx.execute(FORGET, (before,)).rowcount


@dataclass(frozen=True, slots=True)
class _EndpointRow:
    endpoint_id: UUID
    member_id: str
    url: str
    about: str
    types: list[str]
    made_by: str
    made_at: datetime
    first_seq: int
    state: EndpointState
    why: str
    changed_at: datetime
    seen_seq: int
    failing_since: datetime | None
    failures: int
    next_at: datetime
    versions: list[int]
    behind: int

    def as_endpoint(self) -> Endpoint:
        return Endpoint(
            self.endpoint_id,
            self.member_id,
            self.url,
            self.about,
            tuple(self.types),
            self.made_by,
            self.made_at,
            self.first_seq,
            self.state,
            self.why,
            self.changed_at,
            self.seen_seq,
            self.failing_since,
            self.failures,
            self.next_at,
            tuple(self.versions),
            self.behind,
        )
