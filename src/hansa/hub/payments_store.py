"""The SQL of payments between members, and of the notices written with each of their steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from hansa.hub.model import NoticeKind, Payment, Reason, State
from hansa.kernel import Money
from hansa.store import Tx
from hansa.store.copying import uuid_array_text

# Rows travel as one JSON text: to write an array for each column costs several times as much.
INSERT = """
with asked as (
    select * from jsonb_to_recordset(%s::text::jsonb) as r (partition smallint, payment_id uuid, payer_id text,
        payee_id text, amount_minor bigint, currency char(3), model text, condition bytea, expires_at timestamptz,
        packet text, received_at timestamptz, hold_s integer)
), kept as (
    insert into hub.payments (partition, payment_id, payer_id, payee_id, amount_minor, currency, model, condition,
        expires_at, packet, received_at, hold_s)
    select partition, payment_id, payer_id, payee_id, amount_minor, currency, model, condition, expires_at, packet,
        received_at, hold_s
    from asked order by partition, payment_id
    on conflict do nothing
    returning partition, payment_id, expires_at
), opened as (
    insert into hub.open_payments (partition, payment_id, expires_at) select * from kept
)
select payment_id from kept
"""

_PAYMENT = """
select p.payment_id, p.partition, p.payer_id, p.payee_id, p.amount_minor, p.currency, p.model, p.condition,
    p.expires_at, p.packet, p.received_at, p.hold_s,
    a.state, a.reason, a.words, a.at, e.state, e.reason, e.words, e.at, e.fulfilment
from hub.payments p
left join hub.steps a on a.partition = p.partition and a.payment_id = p.payment_id and a.step = 1
left join hub.steps e on e.partition = p.partition and e.payment_id = p.payment_id and e.step = 2
"""

FIND = _PAYMENT + " where p.partition = any(%s) and p.payment_id = any(%s::text::uuid[])"

LIST = (
    _PAYMENT
    + """
where (p.received_at, p.payment_id) < (%(at)s, %(payment_id)s)
  and (%(member_id)s::text is null or p.payer_id = %(member_id)s or p.payee_id = %(member_id)s)
order by p.received_at desc, p.payment_id desc limit %(limit)s
"""
)

DUE = """
select partition, payment_id from hub.open_payments where expires_at <= %s order by expires_at, payment_id limit %s
"""

OPEN = """
select partition, payment_id from hub.open_payments
where (partition, payment_id) > (%s, %s) order by partition, payment_id limit %s
"""

LOCK_FEEDS = (
    "select member_id, last_seq from hub.feeds where member_id = any(%s) order by member_id for no key update"
)

# Feeds are locked first, in the order of their members, so that two who are at the same payments wait and do not
# deadlock; a member's notices are numbered on from its feed, and the feed goes on, all in the one statement.
KEEP = """
with asked as (
    select * from jsonb_to_recordset(%(steps)s::text::jsonb) as r (partition smallint, payment_id uuid, step smallint,
        state text, reason text, words text, fulfilment bytea)
), locked as materialized (
    select member_id, last_seq from hub.feeds where member_id = any(%(members)s) order by member_id for no key update
), kept as (
    insert into hub.steps (partition, payment_id, step, state, reason, words, fulfilment, at)
    select a.partition, a.payment_id, a.step, a.state, a.reason, a.words, a.fulfilment, %(at)s
    from asked a, (select count(*) as feeds from locked) first
    where first.feeds >= 0
    order by a.partition, a.payment_id
    on conflict do nothing
    returning partition, payment_id, state
), told as (
    select t.member_id, l.last_seq + row_number() over (partition by t.member_id order by t.place) as seq, t.kind,
        k.partition, k.payment_id
    from jsonb_to_recordset(%(notices)s::text::jsonb) as t (member_id text, kind text, payment_id uuid, place integer)
    join kept k using (payment_id)
    join locked l using (member_id)
), written as (
    insert into hub.notices (member_id, seq, kind, partition, subject_id, at)
    select member_id, seq, kind, partition, payment_id, %(at)s from told
), moved as (
    update hub.feeds f set last_seq = t.seq
    from (select member_id, max(seq) as seq from told group by member_id) t where f.member_id = t.member_id
), closed as (
    delete from hub.open_payments o using asked a
    where a.state <> 'RESERVED' and o.partition = a.partition and o.payment_id = a.payment_id
)
select payment_id from kept
"""

INSERT_NOTICES = """
insert into hub.notices (member_id, seq, kind, partition, subject_id, at)
select * from unnest(%s::text[], %s::bigint[], %s::text[], %s::smallint[], %s::uuid[], %s::timestamptz[])
"""

MOVE_FEEDS = """
update hub.feeds f set last_seq = n.seq from unnest(%s::text[], %s::bigint[]) as n (member_id, seq)
where f.member_id = n.member_id
"""


@dataclass(frozen=True, slots=True)
class Stepped:
    """A step that a payment takes. step: 1 the ledger's word on the reservation, 2 the end."""

    payment: Payment
    step: int
    state: State
    reason: Reason = Reason.NONE
    words: str = ""
    fulfilment: bytes | None = None


def insert(tx: Tx, payments: Sequence[Payment]) -> set[UUID]:
    """Keep these payments as open; gives those that are new."""
    if not payments:
        return set()
    rows = [
        {
            "partition": one.partition,
            "payment_id": one.payment_id,
            "payer_id": one.payer_id,
            "payee_id": one.payee_id,
            "amount_minor": one.amount.minor,
            "currency": one.amount.currency,
            "model": one.model,
            "condition": _bytea(one.condition),
            "expires_at": one.expires_at,
            "packet": one.packet,
            "received_at": one.received_at,
            "hold_s": one.hold_s,
        }
        for one in payments
    ]
    return {row[0] for row in tx.execute(INSERT, (_json(rows),)).fetchall()}


def find(tx: Tx, partitions: Iterable[int], payment_ids: Iterable[UUID]) -> dict[UUID, Payment]:
    """Those of these payments that there are in these partitions, as they stand."""
    ids = b"".join([one.bytes for one in payment_ids])
    if not ids:
        return {}
    rows = tx.execute(FIND, (sorted(set(partitions)), uuid_array_text(ids)))
    return {one.payment_id: one for one in map(_payment, rows)}


def list_payments(
    tx: Tx, member_id: str | None, *, before: tuple[datetime, UUID], limit: int
) -> list[Payment]:
    """Payments of a member or of all, latest first."""
    at, payment_id = before
    values = {"at": at, "payment_id": payment_id, "member_id": member_id, "limit": limit}
    return [_payment(row) for row in tx.execute(LIST, values)]


def list_due(tx: Tx, now: datetime, limit: int) -> list[tuple[int, UUID]]:
    """Open payments whose time is up: (partition, payment), the longest ago first."""
    return tx.execute(DUE, (now, limit)).fetchall()


def list_open(tx: Tx, after: tuple[int, UUID], limit: int) -> list[tuple[int, UUID]]:
    """Open payments by partition and id, after one."""
    return tx.execute(OPEN, (*after, limit)).fetchall()


def lock_feeds(tx: Tx, member_ids: Iterable[str]) -> dict[str, int]:
    """The last number of these members' feeds, to which nobody else adds until this transaction ends."""
    return dict(tx.execute(LOCK_FEEDS, (sorted(set(member_ids)),)).fetchall())


def keep_steps(
    tx: Tx, steps: Sequence[Stepped], notices: Sequence[tuple[str, NoticeKind, UUID]], at: datetime
) -> set[UUID]:
    """Keep these steps, one of each payment, and tell members of those that are new, whose payments are given.

    notices: (member, kind, payment), in the order in which a member is told. Ended payments are open no more.
    """
    rows = [
        {
            "partition": one.payment.partition,
            "payment_id": one.payment.payment_id,
            "step": one.step,
            "state": one.state,
            "reason": one.reason,
            "words": one.words,
            "fulfilment": None if one.fulfilment is None else _bytea(one.fulfilment),
        }
        for one in steps
    ]
    told = [
        {"member_id": member, "kind": kind, "payment_id": payment_id, "place": place}
        for place, (member, kind, payment_id) in enumerate(notices)
    ]
    members = {member for one in steps for member in (one.payment.payer_id, one.payment.payee_id)}
    values = {"steps": _json(rows), "notices": _json(told), "members": sorted(members), "at": at}
    return {row[0] for row in tx.execute(KEEP, values).fetchall()}


def insert_notices(
    tx: Tx,
    notices: Sequence[tuple[str, NoticeKind, int, UUID]],
    last: Mapping[str, int],
    at: datetime,
) -> None:
    """Tell members: (member, kind, partition, subject), in this order. last: their feeds' numbers, which are locked."""
    if not notices:
        return
    numbers = dict(last)
    rows: list[tuple[Any, ...]] = []
    for member, kind, partition, subject in notices:
        numbers[member] += 1
        rows.append((member, numbers[member], kind, partition, subject, at))
    moved = sorted({member for member, *_ in notices})
    tx.execute(INSERT_NOTICES, _columns(rows))
    tx.execute(MOVE_FEEDS, (moved, [numbers[member] for member in moved]))


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return msgspec.json.encode(rows).decode()


def _bytea(raw: bytes) -> str:
    return "\\x" + raw.hex()


def _columns(rows: Sequence[Sequence[Any]]) -> tuple[list[Any], ...]:
    return tuple(list(column) for column in zip(*rows, strict=True))


def _payment(row: Sequence[Any]) -> Payment:
    state, reason, words, answered_at = row[12:16]
    end_state, end_reason, end_words, ended_at, fulfilment = row[16:21]
    if end_state is not None:
        state, reason, words = end_state, end_reason, end_words
    elif state == State.ABORTED:
        ended_at = answered_at
    return Payment(
        payment_id=row[0],
        partition=row[1],
        payer_id=row[2],
        payee_id=row[3],
        amount=Money(row[4], row[5]),
        model=row[6],
        condition=row[7],
        expires_at=row[8],
        packet=row[9],
        received_at=row[10],
        hold_s=row[11],
        state=State.RECEIVED if state is None else State(state),
        reason=Reason.NONE if reason is None else Reason(reason),
        words=words or "",
        fulfilment=fulfilment,
        answered_at=answered_at,
        ended_at=ended_at,
    )
