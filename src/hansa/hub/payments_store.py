"""The SQL of payments between members, and of the notices written with each of their steps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hansa.hub.model import NoticeKind, Payment, Reason, State
from hansa.kernel import Money
from hansa.store import Tx

INSERT = """
insert into hub.payments (partition, payment_id, payer_id, payee_id, amount_minor, currency, model, condition,
    expires_at, packet, received_at, hold_s)
select * from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[],
    %s::bytea[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::integer[])
on conflict do nothing
returning payment_id
"""

INSERT_OPEN = """
insert into hub.open_payments (partition, payment_id, expires_at)
select * from unnest(%s::smallint[], %s::uuid[], %s::timestamptz[])
"""

_PAYMENT = """
select p.payment_id, p.partition, p.payer_id, p.payee_id, p.amount_minor, p.currency, p.model, p.condition,
    p.expires_at, p.packet, p.received_at, p.hold_s,
    a.state, a.reason, a.words, a.at, e.state, e.reason, e.words, e.at, e.fulfilment
from hub.payments p
left join hub.steps a on a.partition = p.partition and a.payment_id = p.payment_id and a.step = 1
left join hub.steps e on e.partition = p.partition and e.payment_id = p.payment_id and e.step = 2
"""

FIND = _PAYMENT + " where p.partition = any(%s) and p.payment_id = any(%s)"

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

INSERT_STEPS = """
insert into hub.steps (partition, payment_id, step, state, reason, words, fulfilment, at)
select * from unnest(%s::smallint[], %s::uuid[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::bytea[],
    %s::timestamptz[])
on conflict do nothing
returning payment_id
"""

CLOSE = """
delete from hub.open_payments o using unnest(%s::smallint[], %s::uuid[]) as ended (partition, payment_id)
where o.partition = ended.partition and o.payment_id = ended.payment_id
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
        (
            one.partition,
            one.payment_id,
            one.payer_id,
            one.payee_id,
            one.amount.minor,
            one.amount.currency,
            one.model,
            one.condition,
            one.expires_at,
            one.packet,
            one.received_at,
            one.hold_s,
        )
        for one in sorted(payments, key=lambda one: one.payment_id)
    ]
    new: set[UUID] = {row[0] for row in tx.execute(INSERT, _columns(rows)).fetchall()}
    opened = [(row[0], row[1], row[8]) for row in rows if row[1] in new]
    if opened:
        tx.execute(INSERT_OPEN, _columns(opened))
    return new


def find(tx: Tx, partitions: Iterable[int], payment_ids: Iterable[UUID]) -> dict[UUID, Payment]:
    """Those of these payments that there are in these partitions, as they stand."""
    asked = (sorted(set(partitions)), list(payment_ids))
    return {one.payment_id: one for one in map(_payment, tx.execute(FIND, asked))} if asked[1] else {}


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


def insert_steps(tx: Tx, steps: Sequence[Stepped], at: datetime) -> set[UUID]:
    """Keep these steps, one of each payment; gives the payments of those that are new. Ended ones are open no more."""
    if not steps:
        return set()
    rows = [
        (
            one.payment.partition,
            one.payment.payment_id,
            one.step,
            one.state,
            one.reason,
            one.words,
            one.fulfilment,
            at,
        )
        for one in sorted(steps, key=lambda one: one.payment.payment_id)
    ]
    new: set[UUID] = {row[0] for row in tx.execute(INSERT_STEPS, _columns(rows)).fetchall()}
    ended = [(row[0], row[1]) for row in rows if row[3] != State.RESERVED]
    if ended:
        tx.execute(CLOSE, _columns(ended))
    return new


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


def payment_of(row: Sequence[Any]) -> Payment:
    """A row of the columns of ``_PAYMENT``."""
    return _payment(row)


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
