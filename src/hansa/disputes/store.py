"""Disputes in SQL: cases, their facts, what they move."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import class_row, kwargs_row

from hansa.disputes.life import Action, Kind, Side, State
from hansa.disputes.model import (
    AlreadyAsked,
    Booking,
    Case,
    DisputeId,
    Fact,
    Outcomes,
    Proposal,
    Waiting,
    Wanted,
)
from hansa.store import Event, Tx, write_outbox

TOPIC = "disputes"
"""Where others read what happens to disputes."""

ADD_CASE = """
insert into disputes.cases (dispute_id, kind, root_id, subject_id, partition, account_id, issuer_id, operator_id,
    currency, sign, claim_minor, reason, words, evidence, rules_version, raised_by, raised_at, state, due_at,
    holds_minor, at_most_minor, look_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (dispute_id) do nothing
"""

FIND_CASE = """
select dispute_id, kind, root_id, subject_id, partition, account_id, issuer_id, operator_id, currency, sign,
    claim_minor, reason, words, evidence, rules_version, raised_by, raised_at, state, due_at, holds_minor,
    at_most_minor, look_at
from disputes.cases
where dispute_id = %s
"""

LOCK_CASE = "select from disputes.cases where dispute_id = %s for no key update"

LIST_CASES = """
select dispute_id, kind, root_id, subject_id, partition, account_id, issuer_id, operator_id, currency, sign,
    claim_minor, reason, words, evidence, rules_version, raised_by, raised_at, state, due_at, holds_minor,
    at_most_minor, look_at
from disputes.cases
where (%(member)s::text is null or %(member)s::text in (issuer_id, operator_id))
    and (%(account)s::uuid is null or account_id = %(account)s::uuid)
    and (%(kind)s::text is null or kind = %(kind)s::text)
    and (%(states)s::text[] is null or state = any(%(states)s::text[]))
    and (%(reason)s::text is null or reason = %(reason)s::text)
    and (%(subject)s::uuid is null or subject_id = %(subject)s::uuid)
    and (%(low)s::uuid is null or dispute_id between %(low)s::uuid and %(high)s::uuid
        or subject_id between %(low)s::uuid and %(high)s::uuid or root_id between %(low)s::uuid and %(high)s::uuid)
    and (raised_at, dispute_id) < (%(before_at)s::timestamptz, %(before_id)s::uuid)
order by raised_at desc, dispute_id desc
limit %(limit)s
"""

QUEUE = """
select dispute_id, kind, root_id, subject_id, partition, account_id, issuer_id, operator_id, currency, sign,
    claim_minor, reason, words, evidence, rules_version, raised_by, raised_at, state, due_at, holds_minor,
    at_most_minor, look_at
from disputes.cases
where due_at is not null
    and (%(member)s::text is null or %(member)s::text in (issuer_id, operator_id))
    and (%(account)s::uuid is null or account_id = %(account)s::uuid)
    and (%(kind)s::text is null or kind = %(kind)s::text)
    and (%(states)s::text[] is null or state = any(%(states)s::text[]))
    and (%(reason)s::text is null or reason = %(reason)s::text)
    and (%(subject)s::uuid is null or subject_id = %(subject)s::uuid)
    and (%(low)s::uuid is null or dispute_id between %(low)s::uuid and %(high)s::uuid
        or subject_id between %(low)s::uuid and %(high)s::uuid or root_id between %(low)s::uuid and %(high)s::uuid)
    and (due_at, dispute_id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
order by due_at, dispute_id
limit %(limit)s
"""

COUNT_WAITING = """
select kind, state, count(*), count(*) filter (where due_at <= %(soon)s), min(due_at)
from disputes.cases
where due_at is not null and (%(member)s::text is null or %(member)s::text in (issuer_id, operator_id))
group by kind, state
order by kind desc, min(due_at), state
"""

OUTCOMES = """
select c.operator_id, c.kind, c.reason, count(*), count(*) filter (where o.at is null),
    count(*) filter (where o.action in ('grant', 'accept', 'decide') and o.amount_minor >= c.claim_minor),
    count(*) filter (where o.action in ('grant', 'accept', 'decide')
        and o.amount_minor > 0 and o.amount_minor < c.claim_minor),
    count(*) filter (where o.action = 'correct'),
    count(*) filter (where o.action = 'uphold' or o.amount_minor = 0 or (o.action = 'withdraw' and o.side = 'hansa')),
    count(*) filter (where o.action = 'withdraw' and o.side <> 'hansa'),
    count(*) filter (where o.side = 'hansa' and o.at = c.raised_at),
    count(*) filter (where o.side = 'hansa' and o.at > c.raised_at),
    percentile_cont(0.5) within group (order by extract(epoch from o.at - c.raised_at)::float8 / 86400)
from disputes.cases c
left join lateral (
    select f.action, f.side, f.amount_minor, f.at from disputes.facts f
    where f.dispute_id = c.dispute_id and f.state in ('granted', 'accepted', 'decided', 'corrected', 'closed')
    order by f.n limit 1
) o on true
where c.raised_at >= %s and c.raised_at < %s
group by c.operator_id, c.kind, c.reason
order by c.operator_id, c.kind desc, c.reason
"""

ENTERED = """
select dispute_id, max(at) from disputes.facts where dispute_id = any(%s) group by dispute_id
"""

ADD_PROPOSAL = """
insert into disputes.proposals (dispute_id, n, action_id, action, side, caller_id, at, words, amount_minor)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

PROPOSALS = """
select n, action_id, action, side, caller_id, at, words, amount_minor
from disputes.proposals where dispute_id = %s order by at, n, action_id
"""

CHANGE_CASE = """
update disputes.cases set state = %s, due_at = %s, holds_minor = %s, at_most_minor = %s, look_at = %s
where dispute_id = %s
"""

ADD_FACT = """
insert into disputes.facts (dispute_id, n, action_id, action, side, caller_id, at, words, amount_minor, state, due_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

FACTS = """
select n, action_id, action, side, caller_id, at, words, amount_minor, state, due_at
from disputes.facts where dispute_id = %s order by n
"""

ADD_BOOKING = """
insert into disputes.bookings (dispute_id, revision, booking_id, amount_minor, at) values (%s, %s, %s, %s, %s)
"""

BOOKINGS = """
select revision, booking_id, amount_minor, at, posted_at from disputes.bookings where dispute_id = %s order by revision
"""

MARK_POSTED = """
update disputes.bookings set posted_at = %s where dispute_id = %s and revision = %s and posted_at is null
"""

HELD_BY_ROOT = """
select coalesce(sum(holds_minor), 0)::bigint
from disputes.cases where root_id = %s and sign = 1 and dispute_id <> %s
"""

HELD_BY_SUBJECT = """
select coalesce(sum(holds_minor), 0)::bigint
from disputes.cases where root_id = %s and subject_id = %s and kind = 'item' and dispute_id <> %s
"""

LOCK_ROOT = "select from disputes.roots where root_id = %s for no key update"

GRANTED_AT_ONCE = """
select count(*) from disputes.facts f join disputes.cases c using (dispute_id)
where c.account_id = %s and f.action = 'grant' and f.side = 'hansa' and f.n = 1 and f.at >= %s and f.at = c.raised_at
"""

DUE = "select dispute_id from disputes.cases where due_at <= %s order by due_at, dispute_id limit %s"

TO_POST = """
select b.dispute_id from disputes.bookings b where b.posted_at is null order by b.at, b.dispute_id limit %s
"""

TO_CLOSE = """
select dispute_id from disputes.cases where state in ('granted', 'accepted', 'decided') order by dispute_id limit %s
"""

TO_LOOK_AT = "select dispute_id from disputes.cases where look_at <= %s order by look_at, dispute_id limit %s"


def lock_root(tx: Tx, root_id: UUID) -> None:
    """Nobody else claims anything of this journey or item until the transaction ends."""
    tx.execute("insert into disputes.roots (root_id) values (%s) on conflict do nothing", (root_id,))
    tx.execute(LOCK_ROOT, (root_id,))


def held_minor(tx: Tx, case: Case) -> tuple[int, int]:
    """What other disputes hold of the same root, and of the same item. Lock the root first."""
    by_root = tx.execute(HELD_BY_ROOT, (case.root_id, case.dispute_id)).fetchone()
    by_item = tx.execute(HELD_BY_SUBJECT, (case.root_id, case.subject_id, case.dispute_id)).fetchone()
    assert by_root is not None and by_item is not None, "a sum has a row"
    return by_root[0], by_item[0]


def add_case(tx: Tx, case: Case) -> bool:
    """Keep a new dispute; False where its id is known. Errors: AlreadyAsked for a second refund of a journey."""
    values = (
        *(case.dispute_id, case.kind, case.root_id, case.subject_id, case.partition, case.account_id),
        *(case.issuer_id, case.operator_id, case.currency, case.sign, case.claim_minor, case.reason),
        *(case.words, json.dumps(dict(case.evidence)), case.rules_version, case.raised_by, case.raised_at),
        *(case.state, case.due_at, case.holds_minor, case.at_most_minor, case.look_at),
    )
    try:
        with tx.transaction():
            return tx.execute(ADD_CASE, values).rowcount == 1
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name != "one_refund_per_journey":
            raise
        raise AlreadyAsked from error


def find_case(tx: Tx, dispute_id: UUID, *, lock: bool = False) -> Case | None:
    """A dispute, or None. lock: nobody else changes it until the transaction ends."""
    if lock:
        tx.execute(LOCK_CASE, (dispute_id,))
    with tx.cursor(row_factory=kwargs_row(_row_case)) as cursor:
        return cursor.execute(FIND_CASE, (dispute_id,)).fetchone()


def list_cases(tx: Tx, wanted: Wanted, *, before: tuple[datetime, UUID] | None, limit: int) -> list[Case]:
    """Disputes, latest first."""
    asked = _asked(wanted, limit) | {
        "before_at": before[0] if before else "infinity",
        "before_id": before[1] if before else UUID(int=2**128 - 1),
    }
    with tx.cursor(row_factory=kwargs_row(_row_case)) as cursor:
        return cursor.execute(LIST_CASES, asked).fetchall()


def queue(tx: Tx, wanted: Wanted, *, after: tuple[datetime, UUID] | None, limit: int) -> list[Case]:
    """Disputes that somebody must act on, the nearest deadline first."""
    asked = _asked(wanted, limit) | {
        "after_at": after[0] if after else "-infinity",
        "after_id": after[1] if after else UUID(int=0),
    }
    with tx.cursor(row_factory=kwargs_row(_row_case)) as cursor:
        return cursor.execute(QUEUE, asked).fetchall()


def count_waiting(tx: Tx, member: str | None, soon: datetime) -> list[Waiting]:
    """How many disputes wait, by kind and state."""
    return [
        Waiting(Kind(kind), State(state), number, late, first)
        for kind, state, number, late, first in tx.execute(
            COUNT_WAITING, {"member": member, "soon": soon}
        ).fetchall()
    ]


def entered_at(tx: Tx, dispute_ids: Sequence[UUID]) -> dict[DisputeId, datetime]:
    """When each dispute came into the state it is in."""
    return {DisputeId(which): at for which, at in tx.execute(ENTERED, (list(dispute_ids),)).fetchall()}


def outcomes(tx: Tx, first: datetime, end: datetime) -> list[Outcomes]:
    """What became of disputes raised from an instant to before another, by operator, kind and reason."""
    return [
        Outcomes(operator, Kind(kind), reason, *figures)
        for operator, kind, reason, *figures in tx.execute(OUTCOMES, (first, end)).fetchall()
    ]


def add_proposal(tx: Tx, dispute_id: UUID, one: Proposal) -> None:
    """Keep what waits for a second person."""
    values = one.n, one.action_id, one.action, one.side, one.caller_id, one.at, one.words, one.amount_minor
    tx.execute(ADD_PROPOSAL, (dispute_id, *values))


def proposals(tx: Tx, dispute_id: UUID) -> list[Proposal]:
    """What was ever proposed of a dispute, in order."""
    return [
        Proposal(n, action_id, Action(action), Side(side), caller, at, words, amount)
        for n, action_id, action, side, caller, at, words, amount in tx.execute(
            PROPOSALS, (dispute_id,)
        ).fetchall()
    ]


def facts(tx: Tx, dispute_id: UUID) -> list[Fact]:
    """What was done about a dispute, in order."""
    return [
        Fact(n, action_id, Action(action), Side(side), caller, at, words, amount, State(state), due_at)
        for n, action_id, action, side, caller, at, words, amount, state, due_at in tx.execute(
            FACTS, (dispute_id,)
        ).fetchall()
    ]


def add_fact(tx: Tx, case: Case, fact: Fact) -> Case:
    """Keep a fact of a locked dispute, what it makes of it, and the event for others; the case after it."""
    values = (
        *(case.dispute_id, fact.n, fact.action_id, fact.action, fact.side, fact.caller_id, fact.at),
        *(fact.words, fact.amount_minor, fact.state, fact.due_at),
    )
    tx.execute(ADD_FACT, values)
    after = replace(case, state=fact.state, due_at=fact.due_at)
    body = {"dispute_id": str(case.dispute_id), "n": fact.n, "action": fact.action, "state": fact.state}
    write_outbox(tx, TOPIC, [Event(fact.action_id, body | {"at": fact.at.isoformat()})])
    return change_case(tx, after)


def change_case(tx: Tx, case: Case) -> Case:
    """Keep what a dispute's facts come to."""
    values = (case.state, case.due_at, case.holds_minor, case.at_most_minor, case.look_at, case.dispute_id)
    tx.execute(CHANGE_CASE, values)
    return case


def bookings(tx: Tx, dispute_id: UUID) -> list[Booking]:
    """What a dispute moves, in order."""
    with tx.cursor(row_factory=class_row(Booking)) as cursor:
        return cursor.execute(BOOKINGS, (dispute_id,)).fetchall()


def add_booking(tx: Tx, dispute_id: UUID, booking: Booking) -> None:
    """Keep what is about to be moved."""
    values = dispute_id, booking.revision, booking.booking_id, booking.amount_minor, booking.at
    tx.execute(ADD_BOOKING, values)


def mark_posted(tx: Tx, dispute_id: UUID, revision: int, at: datetime) -> None:
    """The books have it; once marked it keeps its instant."""
    tx.execute(MARK_POSTED, (at, dispute_id, revision))


def granted_at_once(tx: Tx, account_id: UUID, since: datetime) -> int:
    """Refunds that a rider was given without a person since an instant."""
    row = tx.execute(GRANTED_AT_ONCE, (account_id, since)).fetchone()
    assert row is not None, "a count has a row"
    return row[0]


def list_due(tx: Tx, now: datetime, limit: int) -> list[DisputeId]:
    """Disputes whose deadline has passed, oldest first."""
    return _ids(tx, DUE, (now, limit))


def list_to_post(tx: Tx, limit: int) -> list[DisputeId]:
    """Disputes with something to send to the books, or that only wait to be closed."""
    return list(dict.fromkeys([*_ids(tx, TO_POST, (limit,)), *_ids(tx, TO_CLOSE, (limit,))]))


def list_to_look_at(tx: Tx, now: datetime, limit: int) -> list[DisputeId]:
    """Granted refunds whose journey may have another fare by now."""
    return _ids(tx, TO_LOOK_AT, (now, limit))


def _asked(wanted: Wanted, limit: int) -> dict[str, object]:
    low, high = wanted.range or (None, None)
    return {
        "member": wanted.member,
        "account": wanted.account,
        "kind": wanted.kind,
        "states": list(wanted.states) or None,
        "reason": wanted.reason,
        "subject": wanted.subject,
        "low": low,
        "high": high,
        "limit": limit,
    }


def _ids(tx: Tx, query: LiteralString, values: Sequence[object]) -> list[DisputeId]:
    return [DisputeId(row[0]) for row in tx.execute(query, values).fetchall()]


def _row_case(**row: Any) -> Case:
    row["kind"], row["state"] = Kind(row["kind"]), State(row["state"])
    return Case(**row)
