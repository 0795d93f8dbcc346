"""The SQL of payees, payments, their steps, and what is under way or waited for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg import Cursor
from psycopg.rows import class_row

from hansa.approval import Channel
from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.payments.life import Action, PaymentState
from hansa.payments.payment import Held, Intent, Payee, Payer, Payment, Refund, Step
from hansa.payments.quotes_model import Quote
from hansa.payments.quotes_store import COLUMNS as QUOTE
from hansa.payments.quotes_store import WIDTH as QUOTE_WIDTH
from hansa.payments.quotes_store import quote_of
from hansa.store import Bookmark, Rows, Tx
from hansa.store.copying import array_text, text_array_text, uuid_array_text

Key = tuple[int, UUID]
"""A payment's partition and id."""

ADD_PAYEES = """
insert into payments.payees (payee_id, member_id, name, category, currency, status, opened_at)
select a.payee_id, a.member_id, a.name, a.category, a.currency, a.status, %s
from jsonb_to_recordset(%s::text::jsonb) as a (payee_id text, member_id text, name text, category text,
    currency char(3), status text)
order by a.payee_id
on conflict (payee_id) do nothing
"""

PAYEES = """
select payee_id, member_id, name, currency, category, status from payments.payees
where payee_id = any(%s::text[])
"""

PAYEES_OF = """
select payee_id, member_id, name, currency, category, status from payments.payees
where (%(member)s::text is null or member_id = %(member)s) and payee_id > %(after)s
order by payee_id limit %(limit)s
"""

SET_PAYEE_STATUS = "update payments.payees set status = %s where payee_id = %s and status <> 'closed'"

# Columns travel as arrays in text, which PostgreSQL reads in a third of the time that JSON takes.
INSERT = """
with kept as (
    insert into payments.payments (partition, payment_id, payee_id, acquirer_id, amount_minor, currency, method,
        channel, capture, payer, issuer_id, payer_partition, mandate_id, connector, evidence, reference, description,
        qr_order_id, quote_id, asked_by, created_at, expires_at, digest)
    select * from unnest(%(partitions)s::smallint[], %(ids)s::uuid[], %(payees)s::text[], %(acquirers)s::text[],
        %(minors)s::bigint[], %(currencies)s::text[], %(methods)s::text[], %(channels)s::text[], %(captures)s::text[],
        %(payers)s::uuid[], %(issuers)s::text[], %(payer_partitions)s::smallint[], %(mandates)s::uuid[],
        %(connectors)s::text[], %(evidence)s::text[], %(references)s::text[], %(descriptions)s::text[],
        %(orders)s::uuid[], %(quotes)s::uuid[], %(bys)s::text[], %(created)s::timestamptz[],
        %(expires)s::timestamptz[], %(digests)s::bytea[])
        as r (partition, payment_id)
    order by partition, payment_id
    on conflict do nothing
    returning payment_id
), begun as (
    insert into payments.under_way (batch_id, partitions, payment_ids, begun_at)
    select %(batch)s, %(under_way_partitions)s::smallint[], %(under_way)s::uuid[], %(at)s
    where %(under_way)s <> '{}'
)
select payment_id from kept
"""

BEGIN_BATCH = """
insert into payments.under_way (batch_id, partitions, payment_ids, begun_at)
values (%s, %s::text::smallint[], %s::text::uuid[], %s)
"""

END_BATCH = "delete from payments.under_way where batch_id = %s"

BATCHES = """
select batch_id, partitions, payment_ids from payments.under_way where begun_at <= %s order by begun_at limit %s
"""

_FIELDS = """
select p.payment_id, p.partition, p.payee_id, p.acquirer_id, p.amount_minor, p.currency, p.method, p.channel, p.capture,
    p.reference, p.description, p.evidence, p.qr_order_id, p.quote_id, p.asked_by, p.created_at, p.expires_at, p.digest,
    p.payer, p.issuer_id, p.payer_partition, p.connector, p.mandate_id,
    c.attempt, c.account_id, c.issuer_id, c.payer_partition, c.method, c.connector, c.mandate_id, c.at,
    s.n, s.action, s.state, s.at, s.done_by, s.amount_minor, s.held_minor, s.captured_minor, s.refunded_minor, s.holds,
    s.subject_id, s.reason, s.words,
"""

_TABLES = """
from payments.payments p
left join lateral (
    select * from payments.payers c where c.partition = p.partition and c.payment_id = p.payment_id
    order by c.attempt desc limit 1
) c on true
left join payments.quotes q on q.partition = coalesce(c.payer_partition, p.payer_partition)
    and q.quote_id = coalesce(c.quote_id, p.quote_id)
"""

_PAYMENT = _FIELDS + QUOTE + _TABLES

_LAST = """
left join lateral (
    select * from payments.steps s where s.partition = p.partition and s.payment_id = p.payment_id
    order by s.n desc limit 1
) s on true
"""

_FIRST = """
left join payments.steps s on s.partition = p.partition and s.payment_id = p.payment_id and s.n = 1
"""

FIND = (
    _PAYMENT
    + _LAST
    + " where p.partition = any(%s::text::smallint[]) and p.payment_id = any(%s::text::uuid[])"
)

# As they were at their first step: what the first answer said.
FIND_FIRST = (
    _PAYMENT
    + _FIRST
    + " where p.partition = any(%s::text::smallint[]) and p.payment_id = any(%s::text::uuid[])"
)

KNOWN = """
select w.payment_id
from unnest(%s::text::smallint[], %s::text::uuid[]) as w (partition, payment_id)
join lateral (
    select from payments.payments p where p.partition = w.partition and p.payment_id = w.payment_id limit 1
) p on true
"""

LOCK = "select 1 from payments.payments where partition = %s and payment_id = %s for no key update"

_LIST = (
    _PAYMENT
    + _LAST
    + """
where (p.created_at, p.payment_id) < (%(at)s, %(id)s)
  and (%(state)s::text is null or coalesce(s.state, 'processing') = %(state)s)
  and """
)

_LATEST = " order by p.created_at desc, p.payment_id desc limit %(limit)s"

LISTS: dict[str, LiteralString] = {
    "payee": _LIST + "p.payee_id = %(payee)s" + _LATEST,
    "acquirer": _LIST + "p.acquirer_id = %(acquirer)s" + _LATEST,
    "order": _LIST + "p.qr_order_id = %(order)s" + _LATEST,
    "": _LIST + "true" + _LATEST,
}
"""By what they are looked for, one statement each, so that each has a plan of its own."""

LIST_OF_PAYER = (
    _PAYMENT  # noqa: S608 - of constants alone
    + _LAST
    + """
where (p.created_at, p.payment_id) < (%(at)s, %(id)s)
  and (p.payer = %(payer)s or c.account_id = %(payer)s)
  and (p.partition, p.payment_id) in (
    (select partition, payment_id from payments.payments
     where payer = %(payer)s and (created_at, payment_id) < (%(at)s, %(id)s)
     order by created_at desc, payment_id desc limit %(limit)s)
    union all
    (select partition, payment_id from payments.payers where account_id = %(payer)s order by at desc limit 1000))
order by p.created_at desc, p.payment_id desc limit %(limit)s
"""
)

ADD_PAYER = """
insert into payments.payers (partition, payment_id, attempt, account_id, issuer_id, payer_partition, method, connector,
    mandate_id, at, spend_id, quote_id)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

OF_SPEND = "select partition, payment_id from payments.payers where spend_id = %s"

PAYERS = (
    "select c.attempt, c.account_id, c.issuer_id, c.payer_partition, c.method, c.connector, c.mandate_id, c.at, "
    + QUOTE
    + """
from payments.payers c
left join payments.quotes q on q.partition = c.payer_partition and q.quote_id = c.quote_id
where c.partition = %s and c.payment_id = %s order by c.attempt
"""
)

STEPS = """
select n, action, state, at, done_by, amount_minor, held_minor, captured_minor, refunded_minor, holds, subject_id,
    reason, words
from payments.steps where partition = %s and payment_id = %s order by n
"""

# Steps, and that the batch of them is under way no more.
KEEP = """
with ended as (
    delete from payments.under_way where batch_id = %(batch)s
), asked as (
    select * from unnest(%(partitions)s::smallint[], %(ids)s::uuid[], %(ns)s::smallint[], %(actions)s::text[],
        %(states)s::text[], %(ats)s::timestamptz[], %(bys)s::text[], %(amounts)s::bigint[], %(held)s::bigint[],
        %(captured)s::bigint[], %(refunded)s::bigint[], %(holds)s::smallint[], %(subjects)s::uuid[],
        %(reasons)s::text[], %(words)s::text[]) as r (partition, payment_id, n, action, state, at, done_by,
        amount_minor, held_minor, captured_minor, refunded_minor, holds, subject_id, reason, words)
), kept as (
    insert into payments.steps (partition, payment_id, n, action, state, at, done_by, amount_minor, held_minor,
        captured_minor, refunded_minor, holds, subject_id, reason, words)
    select * from asked order by partition, payment_id
    on conflict do nothing
    returning payment_id
)
select payment_id from kept
"""

AWAIT = """
insert into payments.waiting (partition, payment_id, state, due_at, account_id, held_minor)
select * from jsonb_to_recordset(%s::text::jsonb) as r (partition smallint, payment_id uuid, state text,
    due_at timestamptz, account_id uuid, held_minor bigint)
order by partition, payment_id
on conflict (partition, payment_id) do update
set state = excluded.state, due_at = excluded.due_at, account_id = excluded.account_id, held_minor = excluded.held_minor
"""

AWAIT_NO_MORE = """
delete from payments.waiting w using unnest(%s::text::smallint[], %s::text::uuid[]) as a (partition, payment_id)
where w.partition = a.partition and w.payment_id = a.payment_id
"""

DUE = """
select partition, payment_id from payments.waiting where due_at <= %s order by due_at, payment_id limit %s
"""

HELD = """
select w.payment_id, p.payee_id, w.held_minor, coalesce(q.pays_currency, p.currency), w.due_at
from payments.waiting w
join payments.payments p on p.partition = w.partition and p.payment_id = w.payment_id
left join lateral (
    select * from payments.payers c where c.partition = p.partition and c.payment_id = p.payment_id
    order by c.attempt desc limit 1
) c on true
left join payments.quotes q on q.partition = coalesce(c.payer_partition, p.payer_partition)
    and q.quote_id = coalesce(c.quote_id, p.quote_id)
where w.account_id = %s and w.held_minor > 0
order by w.due_at, w.payment_id
"""

INTEND = """
insert into payments.intents (partition, payment_id, action, at, done_by, subject_id, amount_minor, final, reason,
    words)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

INTENTS = """
select partition, payment_id, action, at, done_by, subject_id, amount_minor, final, reason, words
from payments.intents i
where i.partition = any(%s::text::smallint[]) and i.payment_id = any(%s::text::uuid[])
"""

OLD_INTENTS = """
select partition, payment_id, action, at, done_by, subject_id, amount_minor, final, reason, words
from payments.intents where at <= %s order by at limit %s
"""

END_INTENTS = """
delete from payments.intents i
using unnest(%s::text::smallint[], %s::text::uuid[], %s::text::uuid[]) as a (partition, payment_id, subject_id)
where i.partition = a.partition and i.payment_id = a.payment_id and i.subject_id = a.subject_id
"""

ADD_REFUND = """
insert into payments.refunds (partition, refund_id, payment_id, amount_minor, currency, reference, reason, asked_by,
    asked_at, state)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'pending')
"""

END_REFUNDS = """
update payments.refunds r set state = a.state, ended_at = %(at)s
from unnest(%(partitions)s::smallint[], %(ids)s::uuid[], %(states)s::text[]) as a (partition, refund_id, state)
where r.partition = a.partition and r.refund_id = a.refund_id and r.state = 'pending'
"""

REFUNDS = """
select refund_id, payment_id, partition, amount_minor, currency, reference, reason, state, asked_by, asked_at, ended_at
from payments.refunds where partition = %s and payment_id = %s order by asked_at, refund_id
"""

REFUNDS_OF_ALL = """
select refund_id, payment_id, partition, amount_minor, currency, reference, reason, state, asked_by, asked_at, ended_at
from payments.refunds join unnest(%s::smallint[], %s::uuid[]) as w (partition, payment_id) using (partition, payment_id)
order by asked_at, refund_id
"""

REFUNDS_SETTLED = """
select r.refund_id, r.payment_id, r.partition, r.amount_minor, r.currency, r.reference, r.reason, r.state, r.asked_by,
    r.asked_at, r.ended_at
from payments.refunds r
join payments.payments p on p.partition = r.partition and p.payment_id = r.payment_id
where r.state = 'settled' and r.ended_at >= %(first)s and r.ended_at < %(end)s
  and (%(payee)s::text is null or p.payee_id = %(payee)s)
order by r.ended_at, r.refund_id limit %(limit)s
"""

FIND_REFUND = """
select refund_id, payment_id, partition, amount_minor, currency, reference, reason, state, asked_by, asked_at, ended_at
from payments.refunds where partition = any(%s) and refund_id = %s
"""

LIST_REFUNDS = """
select r.refund_id, r.payment_id, r.partition, r.amount_minor, r.currency, r.reference, r.reason, r.state, r.asked_by,
    r.asked_at, r.ended_at
from payments.refunds r
join payments.payments p on p.partition = r.partition and p.payment_id = r.payment_id
where (r.asked_at, r.refund_id) < (%(at)s, %(id)s)
  and (%(payee)s::text is null or p.payee_id = %(payee)s)
  and (%(acquirer)s::text is null or p.acquirer_id = %(acquirer)s)
order by r.asked_at desc, r.refund_id desc limit %(limit)s
"""


HEARD = "select xid, seq from payments.windows_heard"

HEAR = "update payments.windows_heard set xid = %(xid)s, seq = %(seq)s where (xid, seq) < (%(xid)s, %(seq)s)"

ACQUIRERS = "select distinct member_id, currency from payments.payees where status <> 'closed' order by 1, 2"


# --- windows


def heard(tx: Tx) -> Bookmark:
    """Up to where what becomes of windows was heard of."""
    row = tx.execute(HEARD).fetchone()
    assert row is not None, "the migration made it"
    return Bookmark(*row)


def hear(tx: Tx, bookmark: Bookmark) -> None:
    """What becomes of windows was heard of up to here."""
    tx.execute(HEAR, {"xid": bookmark.xid, "seq": bookmark.seq})


def acquirers(tx: Tx) -> list[tuple[str, str]]:
    """Members that have payees, by the currency of those."""
    return tx.execute(ACQUIRERS).fetchall()


# --- payees


def add_payees(tx: Tx, payees: Sequence[Payee], at: datetime) -> None:
    """Keep payees that are not kept yet."""
    rows = [
        {
            "payee_id": one.payee_id,
            "member_id": one.member_id,
            "name": one.name,
            "category": one.category,
            "currency": one.currency,
            "status": one.status,
        }
        for one in payees
    ]
    tx.execute(ADD_PAYEES, (at, _json(rows)))


def ask_for_payees(tx: Tx, payee_ids: Collection[str]) -> Cursor[Payee]:
    """Those of these payees that there are; fetching waits for them."""
    return tx.cursor(row_factory=class_row(Payee)).execute(PAYEES, (text_array_text(list(payee_ids)),))


def find_payees(tx: Tx, payee_ids: Collection[str]) -> dict[str, Payee]:
    """Those of these payees that there are."""
    return {one.payee_id: one for one in ask_for_payees(tx, payee_ids).fetchall()}


def list_payees(tx: Tx, member_id: str | None, after: str, limit: int) -> list[Payee]:
    """Payees of a member or of all, by id."""
    with tx.cursor(row_factory=class_row(Payee)) as cursor:
        return cursor.execute(PAYEES_OF, {"member": member_id, "after": after, "limit": limit}).fetchall()


def set_payee_status(tx: Tx, payee_id: str, status: str) -> None:
    """Open, pause or close a payee; a closed one stays closed."""
    tx.execute(SET_PAYEE_STATUS, (status, payee_id))


# --- payments


def ask_to_insert(
    tx: Tx, payments: Sequence[Payment], batch_id: UUID, under_way: Sequence[Key], at: datetime
) -> Rows:
    """Keep these payments, and which are under way together; ``inserted`` says which of the payments are new."""
    payers = [one.payer for one in payments]
    partitions, ids = _keys(under_way)
    values = {
        "batch": batch_id,
        "under_way_partitions": partitions,
        "under_way": ids,
        "at": at,
        "partitions": array_text([one.partition for one in payments]),
        "ids": uuid_array_text(b"".join([one.payment_id.bytes for one in payments])),
        "payees": text_array_text([one.payee_id for one in payments]),
        "acquirers": text_array_text([one.acquirer_id for one in payments]),
        "minors": array_text([one.amount.minor for one in payments]),
        "currencies": text_array_text([one.amount.currency for one in payments]),
        "methods": text_array_text([one.method for one in payments]),
        "channels": text_array_text([one.channel for one in payments]),
        "captures": text_array_text([one.capture for one in payments]),
        "payers": _ids([None if one is None else one.account_id for one in payers]),
        "issuers": text_array_text([None if one is None else one.issuer_id for one in payers]),
        "payer_partitions": array_text(
            [one.partition if one.payer is None else one.payer.partition for one in payments]
        ),
        "mandates": _ids([None if one is None else one.mandate_id for one in payers]),
        "connectors": text_array_text(["" if one is None else one.connector for one in payers]),
        "evidence": text_array_text([one.evidence for one in payments]),
        "references": text_array_text([one.reference for one in payments]),
        "descriptions": text_array_text([one.description for one in payments]),
        "orders": _ids([one.qr_order_id for one in payments]),
        "quotes": _ids([one.quote_id for one in payments]),
        "bys": text_array_text([one.by for one in payments]),
        "created": text_array_text([str(one.created_at) for one in payments]),
        "expires": text_array_text([str(one.expires_at) for one in payments]),
        "digests": text_array_text(["\\x" + one.digest.hex() for one in payments]),
    }
    return tx.execute(INSERT, values)


def inserted(asked: Rows) -> set[UUID]:
    """The payments that ``ask_to_insert`` found new."""
    return {row[0] for row in asked.fetchall()}


def begin_batch(tx: Tx, batch_id: UUID, keys: Sequence[Key], at: datetime) -> None:
    """Keep which payments are under way together, if any."""
    if keys:
        tx.execute(BEGIN_BATCH, (batch_id, *_keys(keys), at))


def end_batch(tx: Tx, batch_id: UUID) -> None:
    """These are under way no more."""
    tx.execute(END_BATCH, (batch_id,))


def list_batches(tx: Tx, begun_before: datetime, limit: int) -> list[tuple[UUID, list[Key]]]:
    """Batches that began so long ago, the oldest first."""
    rows = tx.execute(BATCHES, (begun_before, limit)).fetchall()
    return [(batch_id, list(zip(partitions, ids, strict=True))) for batch_id, partitions, ids in rows]


def ask_which_are_known(tx: Tx, keys: Sequence[Key]) -> Rows:
    """The ids of those of these payments that there are."""
    return tx.execute(KNOWN, _keys(keys))


def find(tx: Tx, keys: Collection[Key], *, first: bool = False) -> dict[UUID, Payment]:
    """Those of these payments that there are, as they stand, or as they stood after their first step."""
    if not keys:
        return {}
    partitions = "{" + ",".join(map(str, sorted({partition for partition, _ in keys}))) + "}"
    ids = uuid_array_text(b"".join([one.bytes for _, one in keys]))
    rows = tx.execute(FIND_FIRST if first else FIND, (partitions, ids))
    return {one.payment_id: one for one in map(_payment, rows)}


def lock(tx: Tx, key: Key) -> bool:
    """Lock a payment until the transaction ends; whether there is one."""
    return tx.execute(LOCK, key).fetchone() is not None


def list_payments(tx: Tx, by: str, values: Mapping[str, Any]) -> list[Payment]:
    """Payments, latest first. by: payee, acquirer, order or nothing. values: it, and at, id, state, limit."""
    return [_payment(row) for row in tx.execute(LISTS[by], values)]


def list_of_payer(tx: Tx, payer: UUID, before: tuple[datetime | str, UUID], limit: int) -> list[Payment]:
    """Payments of a payer, latest first."""
    at, payment_id = before
    values = {"payer": payer, "at": at, "id": payment_id, "limit": limit}
    return [_payment(row) for row in tx.execute(LIST_OF_PAYER, values)]


def add_payer(tx: Tx, key: Key, payer: Payer, spend_id: UUID) -> None:
    """Somebody came to pay. spend_id: as what approval knows it."""
    tx.execute(
        ADD_PAYER,
        (
            *key,
            payer.attempt,
            payer.account_id,
            payer.issuer_id,
            payer.partition,
            payer.method,
            payer.connector,
            payer.mandate_id,
            payer.at,
            spend_id,
            None if payer.quote is None else payer.quote.quote_id,
        ),
    )


def payment_of_spend(tx: Tx, spend_id: UUID) -> UUID | None:
    """The payment that this is a try of, where it is not the first; or None."""
    row = tx.execute(OF_SPEND, (spend_id,)).fetchone()
    return None if row is None else row[1]


def payers_of(tx: Tx, key: Key) -> list[Payer]:
    """Who came to pay, in order."""
    return [_payer(row, _quote(row[8:])) for row in tx.execute(PAYERS, key)]


def steps_of(tx: Tx, key: Key) -> list[Step]:
    """The steps of a payment, in order."""
    return [_step(row) for row in tx.execute(STEPS, key)]


def keep_steps(tx: Tx, steps: Sequence[tuple[Payment, Step]]) -> set[UUID]:
    """Keep these steps, one of each payment; gives the payments whose step is new."""
    return kept_steps(ask_to_keep(tx, step_rows(steps))) if steps else set()


def step_rows(steps: Sequence[tuple[Payment, Step]]) -> Mapping[str, Any]:
    """Make these steps ready for ``ask_to_keep``, for whoever has the time before there is a transaction."""
    new = [step for _, step in steps]
    return {
        "partitions": array_text([one.partition for one, _ in steps]),
        "ids": uuid_array_text(b"".join([one.payment_id.bytes for one, _ in steps])),
        "ns": array_text([one.n for one in new]),
        "actions": text_array_text([one.action for one in new]),
        "states": text_array_text([one.state for one in new]),
        "ats": text_array_text([str(one.at) for one in new]),
        "bys": text_array_text([one.by for one in new]),
        "amounts": array_text([one.amount_minor for one in new]),
        "held": array_text([one.held_minor for one in new]),
        "captured": array_text([one.captured_minor for one in new]),
        "refunded": array_text([one.refunded_minor for one in new]),
        "holds": array_text([one.holds for one in new]),
        "subjects": _ids([one.subject_id for one in new]),
        "reasons": text_array_text([one.reason for one in new]),
        "words": text_array_text([one.words for one in new]),
    }


def ask_to_keep(tx: Tx, rows: Mapping[str, Any], batch_id: UUID | None = None) -> Rows:
    """Keep what ``step_rows`` made ready, and that a batch is no more under way; ``kept_steps`` says whose is new."""
    return tx.execute(KEEP, {**rows, "batch": batch_id})


def kept_steps(asked: Rows) -> set[UUID]:
    """The payments whose step ``ask_to_keep`` found new."""
    return {row[0] for row in asked.fetchall()}


def wait(tx: Tx, payments: Sequence[tuple[Payment, datetime]]) -> None:
    """Somebody has to see to these by an instant."""
    if not payments:
        return
    rows = [
        {
            "partition": one.partition,
            "payment_id": one.payment_id,
            "state": one.state,
            "due_at": due,
            "account_id": None if one.payer is None else one.payer.account_id,
            "held_minor": one.held.minor,
        }
        for one, due in payments
    ]
    tx.execute(AWAIT, (_json(rows),))


def wait_no_more(tx: Tx, keys: Sequence[Key]) -> None:
    """Nobody has to see to these."""
    if keys:
        tx.execute(AWAIT_NO_MORE, _keys(keys))


def list_due(tx: Tx, now: datetime, limit: int) -> list[Key]:
    """Payments that somebody has to see to by now, the longest ago first."""
    return tx.execute(DUE, (now, limit)).fetchall()


def held_for(tx: Tx, account_id: AccountId) -> list[Held]:
    """What is held of an account, the first to end first."""
    rows = tx.execute(HELD, (account_id,)).fetchall()
    return [
        Held(payment_id, payee_id, Money(minor, currency), due)
        for payment_id, payee_id, minor, currency, due in rows
    ]


# --- intents


def intend(tx: Tx, key: Key, intent: Intent) -> None:
    """Write down what is about to be done; a payment has one intent at a time, so it must be locked."""
    tx.execute(
        INTEND,
        (
            *key,
            intent.action,
            intent.at,
            intent.by,
            intent.subject_id,
            intent.amount_minor,
            intent.final,
            intent.reason,
            intent.words,
        ),
    )


def intents_of(tx: Tx, keys: Collection[Key]) -> dict[UUID, Intent]:
    """What is about to be done to these, by payment."""
    rows = tx.execute(INTENTS, _keys(list(keys))) if keys else ()
    return {payment_id: intent for (_, payment_id), intent in map(_intent, rows)}


def list_intents(tx: Tx, at: datetime, limit: int) -> list[tuple[Key, Intent]]:
    """Intents as old as that, the oldest first."""
    return [_intent(row) for row in tx.execute(OLD_INTENTS, (at, limit))]


def end_intents(tx: Tx, ended: Sequence[tuple[Key, Intent]]) -> None:
    """What was about to be done is done, or was refused."""
    if ended:
        subjects = uuid_array_text(b"".join([intent.subject_id.bytes for _, intent in ended]))
        tx.execute(END_INTENTS, (*_keys([key for key, _ in ended]), subjects))


# --- refunds


def add_refund(tx: Tx, refund: Refund) -> None:
    """Keep a refund that is asked for."""
    tx.execute(
        ADD_REFUND,
        (
            refund.partition,
            refund.refund_id,
            refund.payment_id,
            refund.amount.minor,
            refund.amount.currency,
            refund.reference,
            refund.reason,
            refund.by,
            refund.asked_at,
        ),
    )


def end_refunds(tx: Tx, ended: Sequence[tuple[Key, str]], at: datetime) -> None:
    """Refunds, by partition and id, are settled or failed."""
    if ended:
        values = {
            "at": at,
            "partitions": [key[0] for key, _ in ended],
            "ids": [key[1] for key, _ in ended],
            "states": [state for _, state in ended],
        }
        tx.execute(END_REFUNDS, values)


def refunds_of(tx: Tx, key: Key) -> list[Refund]:
    """The refunds of a payment, in order."""
    return [_refund(row) for row in tx.execute(REFUNDS, key)]


def refunds_of_all(tx: Tx, keys: Collection[Key]) -> list[Refund]:
    """The refunds of these payments, in order."""
    values = ([partition for partition, _ in keys], [payment_id for _, payment_id in keys])
    return [_refund(row) for row in tx.execute(REFUNDS_OF_ALL, values)]


def refunds_settled(
    tx: Tx, first: datetime, end: datetime, payee_id: str | None, limit: int | None
) -> list[Refund]:
    """Refunds that were done from an instant on, before another, in order."""
    values = {"first": first, "end": end, "payee": payee_id, "limit": limit}
    return [_refund(row) for row in tx.execute(REFUNDS_SETTLED, values)]


def find_refund(tx: Tx, partitions: Iterable[int], refund_id: UUID) -> Refund | None:
    """A refund, or None."""
    row = tx.execute(FIND_REFUND, (sorted(set(partitions)), refund_id)).fetchone()
    return None if row is None else _refund(row)


def list_refunds(tx: Tx, values: Mapping[str, Any]) -> list[Refund]:
    """Refunds, latest first. values: at, id, limit, and what else is given of payee, acquirer."""
    asked = {"payee": None, "acquirer": None, **values}
    return [_refund(row) for row in tx.execute(LIST_REFUNDS, asked)]


# --- inside


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return msgspec.json.encode(rows).decode()


def _ids(ids: Sequence[UUID | None]) -> str:
    return "{" + ",".join(["NULL" if one is None else one.hex for one in ids]) + "}"


def _keys(keys: Sequence[Key]) -> tuple[str, str]:
    """Partitions and ids, as PostgreSQL reads arrays from text."""
    partitions = "{" + ",".join([str(partition) for partition, _ in keys]) + "}"
    return partitions, uuid_array_text(b"".join([one.bytes for _, one in keys]))


def _payment(row: Sequence[Any]) -> Payment:
    payer: Payer | None = None
    is_offer = row[18] is None and not row[21]
    if not is_offer:
        payer = Payer(
            attempt=1,
            account_id=row[18],
            issuer_id=row[19] or "",
            partition=row[20],
            method=row[6],
            connector=row[21],
            mandate_id=row[22],
            quote=_quote(row[44:]),
            at=row[15],
        )
    elif row[23] is not None:
        payer = _payer(row[23:31], _quote(row[44:]))
    return Payment(
        payment_id=row[0],
        partition=row[1],
        payee_id=row[2],
        acquirer_id=row[3],
        amount=Money(row[4], row[5]),
        method=row[6],
        channel=Channel(row[7]),
        capture=row[8],
        reference=row[9],
        description=row[10],
        evidence=row[11],
        qr_order_id=row[12],
        quote_id=row[13],
        by=row[14],
        created_at=row[15],
        expires_at=row[16],
        digest=bytes(row[17]),
        payer=payer,
        is_offer=is_offer,
        step=None if row[31] is None else _step(row[31:44]),
    )


def _quote(row: Sequence[Any]) -> Quote | None:
    assert len(row) == QUOTE_WIDTH, "a quote stands last"
    return None if row[0] is None else quote_of(row)


def _payer(row: Sequence[Any], quote: Quote | None) -> Payer:
    return Payer(
        attempt=row[0],
        account_id=row[1],
        issuer_id=row[2],
        partition=row[3],
        method=row[4],
        connector=row[5],
        mandate_id=row[6],
        quote=quote,
        at=row[7],
    )


def _step(row: Sequence[Any]) -> Step:
    return Step(
        n=row[0],
        action=Action(row[1]),
        state=PaymentState(row[2]),
        at=row[3],
        by=row[4],
        amount_minor=row[5],
        held_minor=row[6],
        captured_minor=row[7],
        refunded_minor=row[8],
        holds=row[9],
        subject_id=row[10],
        reason=row[11],
        words=row[12],
    )


def _intent(row: Sequence[Any]) -> tuple[Key, Intent]:
    return (row[0], row[1]), Intent(
        action=Action(row[2]),
        at=row[3],
        by=row[4],
        subject_id=row[5],
        amount_minor=row[6],
        final=row[7],
        reason=row[8],
        words=row[9],
    )


def _refund(row: Sequence[Any]) -> Refund:
    return Refund(
        refund_id=row[0],
        payment_id=row[1],
        partition=row[2],
        amount=Money(row[3], row[4]),
        reference=row[5],
        reason=row[6],
        state=row[7],
        by=row[8],
        asked_at=row[9],
        ended_at=row[10],
    )
