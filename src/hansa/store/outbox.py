"""The outbox: facts for others, written with what makes them true, read in an order that loses none.

A reader that remembers the highest number it has seen loses events: numbers are given out before the commit, so a
slow transaction commits a low one after a fast one's high one was read. Here the order is (transaction id, place
in it), and a reader stops below the oldest transaction that is still running, so nothing can appear behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.rows import class_row

from hansa.store.context import Tx

WRITE = """
insert into store.outbox (partition, topic, seq, event_id, body)
select %(partition)s, %(topic)s, written.highest + fresh.place, fresh.event_id, fresh.body
from jsonb_to_recordset(%(events)s::text::jsonb) as fresh (place integer, event_id uuid, body jsonb),
     (select coalesce(max(seq), 0) as highest from store.outbox
      where partition = %(partition)s and topic = %(topic)s and xid = pg_current_xact_id()) as written
"""

READ = """
select event_id, body, written_at, xid::text::bigint as xid, seq
from store.outbox
where partition = %(partition)s and topic = %(topic)s
  and (xid, seq) > (%(xid)s::text::xid8, %(seq)s)
  and xid < pg_snapshot_xmin(pg_current_snapshot())
order by xid, seq
limit %(limit)s
"""

FORGET = """
delete from store.outbox
where partition = %(partition)s and topic = %(topic)s and (xid, seq) <= (%(xid)s::text::xid8, %(seq)s)
"""

BEGIN_ANEW = """
with gone as (
    delete from store.outbox returning *
)
insert into store.outbox (partition, topic, xid, seq, event_id, body, written_at)
select partition, topic, pg_current_xact_id(), row_number() over (partition by partition, topic order by xid, seq),
       event_id, body, written_at
from gone
"""


@dataclass(frozen=True, slots=True, order=True)
class Bookmark:
    """How far a reader of a topic has come. It keeps its own place, in the transaction that did the work."""

    xid: int
    seq: int


START = Bookmark(0, 0)
"""Before the first event."""


@dataclass(frozen=True, slots=True)
class Event:
    """A fact for others. event_id: made by whoever made the fact, so hearing of it twice is harmless."""

    event_id: UUID
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WrittenEvent:
    """An event as it stands in the outbox."""

    event_id: UUID
    body: dict[str, Any]
    written_at: datetime
    xid: int
    seq: int

    @property
    def bookmark(self) -> Bookmark:
        """Where to go on reading after this event."""
        return Bookmark(self.xid, self.seq)


_ENCODER = msgspec.json.Encoder()
"""Events travel as one JSON text: an array of texts costs several times as much to write."""


def write_outbox(tx: Tx, topic: str, events: Sequence[Event], *, partition: int = 0) -> None:
    """Tell these facts to the readers of a topic, in this order, if and only if this transaction commits."""
    body = _ENCODER.encode(
        [
            {"place": place, "event_id": event.event_id, "body": event.body}
            for place, event in enumerate(events, 1)
        ]
    ).decode()
    tx.execute(WRITE, {"partition": partition, "topic": topic, "events": body})


def read_outbox(
    tx: Tx, topic: str, after: Bookmark = START, limit: int = 1000, *, partition: int = 0
) -> list[WrittenEvent]:
    """The next events of a topic, oldest transaction first; an event is never before one already read.

    Events of transactions younger than the oldest one still running, on the whole server, wait for it to end.
    """
    values = {"partition": partition, "topic": topic, "xid": str(after.xid), "seq": after.seq, "limit": limit}
    return tx.cursor(row_factory=class_row(WrittenEvent)).execute(READ, values).fetchall()


def forget_outbox(tx: Tx, topic: str, up_to: Bookmark, *, partition: int = 0) -> int:
    """Delete what every reader has read; gives how many events that were."""
    values = {"partition": partition, "topic": topic, "xid": str(up_to.xid), "seq": up_to.seq}
    return tx.execute(FORGET, values).rowcount


def begin_outbox_anew(tx: Tx) -> int:
    """After loading a dump into another server, whose transaction ids begin anew: make all events of the present.

    They keep their order, and each reader must go back to START. Gives how many events there are.
    """
    return tx.execute(BEGIN_ANEW).rowcount
