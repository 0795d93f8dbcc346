"""Telling members: a feed to read by number, and a sender that brings it to them.

Every notice is written in the commit that makes it true, numbered without a gap for each member. A member may read
its feed at any time, from any number on. A sender brings each notice at least once, and those of one payment in
order: what a member does not take is tried again, later and later, and what concerns the same payment waits behind it.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from hansa.hub import notices_store as store
from hansa.hub.model import Notice
from hansa.kernel import HansaError
from hansa.store import Context, Tx

logger = logging.getLogger("hansa.hub")

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
    if not feeds:
        return Delivered(0, 0)
    with ctx.tx() as tx:  # whoever adds to a feed waits for its lease to be written, not for its reading
        waiting = _waiting(tx, feeds, now)
    outcomes = [_outcome(one, _send(sender, one.feed.member_id, one.to_send), now) for one in waiting]
    with ctx.tx() as tx:
        store.keep_back(tx, [(one.member_id, kept) for one in outcomes for kept in one.kept])
        store.delivered(tx, [(one.member_id, seq) for one in outcomes for seq in one.caught_up])
        store.give_back(
            tx,
            [(one.member_id, one.delivered_seq, one.attempts, one.next_at) for one in outcomes],
            until,
        )
    return Delivered(sum(one.sent for one in outcomes), sum(len(one.kept) for one in outcomes))


class Courier:
    """Delivers in threads of its own, until ``stop``. An error is logged, and the next turn tries again.

    threads: so many members may be slow at once before others wait. pause_s: how often it looks by itself. gather_s:
    how long it lets notices come together before it brings them; a turn costs much the same for one as for a hundred.
    """

    def __init__(
        self,
        ctx: Context,
        sender: Sender,
        *,
        threads: int = 2,
        pause_s: float = 0.5,
        gather_s: float = 0.03,
    ) -> None:
        self._ctx, self._sender, self._pause_s, self._gather_s = ctx, sender, pause_s, gather_s
        self._stopped = False
        self._woken = threading.Condition()
        self._news = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"hub-courier-{n}", daemon=True) for n in range(threads)
        ]

    def __enter__(self) -> "Courier":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wake(self) -> None:
        """There is something to bring."""
        with self._woken:
            self._news += 1
            self._woken.notify()

    def stop(self) -> None:
        """Finish what is under way, and end."""
        with self._woken:
            self._stopped = True
            self._woken.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopped:
            time.sleep(self._gather_s)
            seen = self._news
            sent = 0
            try:
                sent = deliver(self._ctx, self._sender).sent
            except HansaError as error:
                logger.warning("%s: %s", error.code, error.detail)
            except Exception:  # a fault of ours must not stop delivery for good
                logger.exception("A turn of delivery failed; the next one tries again.")
            with self._woken:
                if not sent and self._news == seen and not self._stopped:
                    self._woken.wait(self._pause_s)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What waits for a member. behind: all that it did not take before; again: of it what is due now."""

    feed: store.Feed
    behind: list[store.Kept]
    again: list[Notice]
    fresh: list[Notice]

    @property
    def to_send(self) -> list[Notice]:
        """What is due, and what is new and does not wait behind something."""
        blocked = {one.subject_id for one in self.behind}
        return [*self.again, *(one for one in self.fresh if _subject(one) not in blocked)]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a member's feed stands after a turn. caught_up: of what was kept back, what was taken now."""

    member_id: str
    delivered_seq: int
    attempts: int
    next_at: datetime
    kept: list[store.Kept]
    caught_up: list[int]
    sent: int


def _waiting(tx: Tx, feeds: Sequence[store.Feed], now: datetime) -> list[_Waiting]:
    behind = store.undelivered(tx, [feed.member_id for feed in feeds])
    again = [(member, one.seq) for member, kept in behind.items() for one in _first_of_each(kept, now)]
    fresh_after = {feed.member_id: feed.delivered_seq for feed in feeds if feed.next_at <= now}
    due = store.read_these(tx, again)
    fresh = store.read_many(tx, fresh_after, SOME)
    return [
        _Waiting(
            feed, behind.get(feed.member_id, []), due.get(feed.member_id, []), fresh.get(feed.member_id, [])
        )
        for feed in feeds
    ]


def _outcome(waiting: _Waiting, taken: dict[int, bool], now: datetime) -> _Outcome:
    feed = waiting.feed
    tries = {one.seq: one.attempts for one in waiting.behind}
    is_away = any(one.seq in taken for one in waiting.fresh) and not any(taken.values())
    kept: list[store.Kept] = []
    for one in (*waiting.again, *(() if is_away else waiting.fresh)):
        if taken.get(one.seq, False):
            continue
        tried = one.seq in taken
        attempts = tries.get(one.seq, 0) + tried
        next_at = _later(now, attempts - 1) if tried else now
        kept.append(store.Kept(one.seq, _subject(one), attempts, next_at))
    caught_up = [one.seq for one in waiting.again if taken.get(one.seq, False)]
    if is_away:  # nobody is there: the feed stays where it is
        return _Outcome(
            feed.member_id,
            feed.delivered_seq,
            feed.attempts + 1,
            _later(now, feed.attempts),
            kept,
            caught_up,
            0,
        )
    went_on = bool(waiting.fresh)
    return _Outcome(
        feed.member_id,
        waiting.fresh[-1].seq if went_on else feed.delivered_seq,
        0 if went_on else feed.attempts,
        now if went_on else feed.next_at,
        kept,
        caught_up,
        sum(taken.values()),
    )


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
