"""Telling members: a feed to read by number, and a sender that brings it to them.

Every notice is written in the commit that makes it true, numbered without a gap for each member. A member may read
its feed at any time, from any number on. A sender brings each notice at least once, and those of one payment in
order: what a member does not take is tried again, later and later, and what concerns the same payment waits behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from hansa.hub import notices_store as store
from hansa.hub.model import Notice
from hansa.store import Context, Tx

SOME = 500
"""Notices in one call of a sender."""

LEASE_S = 60
"""How long a sender may take over what it has, before another one does it again."""

BACK_OFF_S = (1, 2, 5, 15, 60, 300)
"""Seconds until a notice, or a member that took nothing, is tried again; the last for ever."""


class Sender(Protocol):
    """Brings notices to a member; the outside world."""

    def send(self, member_id: str, notices: Sequence[Notice]) -> Sequence[bool]:
        """Which of these the member took, in order. It may be sent one again that it took before.

        After one that the member did not take, none of the same payment is brought to it in this call. An address
        that cannot be reached takes none. Errors: none; whatever is raised counts as none taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a turn of delivery did. sent: notices taken. kept: notices that were not."""

    sent: int
    kept: int


def read_notices(tx: Tx, member_id: str, *, after: int = 0, limit: int = 100) -> list[Notice]:
    """A member's notices after a number, in order; each with its payment as it stands now."""
    return store.read(tx, member_id, after, limit)


def feed_states(tx: Tx, member_id: str | None = None) -> list[store.FeedState]:
    """How far each member's feed has been brought to it."""
    return store.feed_states(tx, member_id)


def deliver(ctx: Context, sender: Sender, *, members_max: int = 50) -> Delivered:
    """Bring what waits to as many members; call again while something is sent."""
    now = ctx.clock.now()
    until = now + timedelta(seconds=LEASE_S)
    with ctx.tx() as tx:
        feeds = store.lease(tx, now, until, members_max)
    sent = kept = 0
    for feed in feeds:
        done = _deliver_one(ctx, sender, feed, until)
        sent += done.sent
        kept += done.kept
    return Delivered(sent, kept)


def _deliver_one(ctx: Context, sender: Sender, feed: store.Feed, until: datetime) -> Delivered:
    member, now = feed.member_id, ctx.clock.now()
    with ctx.tx() as tx:
        behind = store.undelivered(tx, member)
        due = _first_of_each(behind, now)
        again = store.read_these(tx, member, [one.seq for one in due])
        fresh = store.read(tx, member, feed.delivered_seq, SOME) if feed.next_at <= now else []
    blocked = {one.subject_id for one in behind}
    to_send = [*again, *(one for one in fresh if _subject(one) not in blocked)]
    taken = _send(sender, member, to_send)
    tries = {one.seq: one.attempts for one in behind}
    kept: list[store.Kept] = []
    if any(one.seq in taken for one in fresh) and not any(
        taken.values()
    ):  # nobody is there: the feed stays where it is
        attempts = feed.attempts + 1
        kept = [
            store.Kept(one.seq, one.subject_id, one.attempts + 1, _later(now, one.attempts)) for one in due
        ]
        with ctx.tx() as tx:
            store.keep_back(tx, member, kept)
            store.give_back(
                tx,
                member,
                until,
                delivered=feed.delivered_seq,
                attempts=attempts,
                next_at=_later(now, feed.attempts),
            )
        return Delivered(0, len(to_send))
    refused = {_subject(one) for one in to_send if not taken[one.seq]}
    for one in (*again, *fresh):
        subject = _subject(one)
        if taken.get(one.seq, False):
            continue
        tried = one.seq in taken
        attempts = tries.get(one.seq, 0) + tried
        next_at = _later(now, attempts - 1) if tried else now
        kept.append(store.Kept(one.seq, subject, attempts, next_at))
    with ctx.tx() as tx:
        store.keep_back(tx, member, kept)
        store.delivered(tx, member, [one.seq for one in again if taken[one.seq]])
        store.give_back(
            tx,
            member,
            until,
            delivered=fresh[-1].seq if fresh else feed.delivered_seq,
            attempts=0 if fresh else feed.attempts,
            next_at=now if fresh else feed.next_at,
        )
    return Delivered(sum(taken.values()), len(refused))


def _send(sender: Sender, member: str, notices: Sequence[Notice]) -> dict[int, bool]:
    """Which were taken, by number; of one payment none after one that was not."""
    if not notices:
        return {}
    try:
        took = list(sender.send(member, notices))
    except Exception:  # whatever goes wrong outside is a member that took nothing
        took = []
    took += [False] * (len(notices) - len(took))
    taken: dict[int, bool] = {}
    stopped: set[UUID] = set()
    for one, was_taken in zip(notices, took, strict=False):
        taken[one.seq] = was_taken and _subject(one) not in stopped
        if not taken[one.seq]:
            stopped.add(_subject(one))
    return taken


def _first_of_each(behind: Sequence[store.Kept], now: datetime) -> list[store.Kept]:
    """What is to be tried again now: of each payment the first that was not taken."""
    firsts: dict[UUID, store.Kept] = {}
    for one in behind:
        firsts.setdefault(one.subject_id, one)
    return [one for one in firsts.values() if one.next_at <= now]


def _subject(notice: Notice) -> UUID:
    if notice.payment is not None:
        return notice.payment.payment_id
    assert notice.alarm is not None, "a notice is about something"
    return notice.alarm.alarm_id


def _later(now: datetime, attempts: int) -> datetime:
    return now + timedelta(seconds=BACK_OFF_S[min(attempts, len(BACK_OFF_S) - 1)])
