"""The SQL of merchants: shops, people, QR orders, sales, refunds."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.merchants.model import ActedFor, Merchant, Person, QrOrder, Refund, Role, Sale
from hansa.store import Tx

# -- shops --------------------------------------------------------------------------------------------------

ADD_MERCHANT = """
insert into merchants.merchants (merchant_id, member_id, name, local_name, category, city_id, country, currency, tz,
    address, status, applied_by, applied_at)
values (%(merchant_id)s, %(member_id)s, %(name)s, %(local_name)s, %(category)s, %(city_id)s, %(country)s, %(currency)s,
    %(tz)s, %(address)s, 'applied', %(applied_by)s, %(applied_at)s)
on conflict (merchant_id) do nothing
"""

FIND_MERCHANT = """
select merchant_id, member_id, name, local_name, category, city_id, country, currency, tz, address, fee_bp,
    status, applied_by, applied_at, decided_by, decided_at, reason
from merchants.merchants where merchant_id = %s
"""
LOCK_MERCHANT = """
select merchant_id, member_id, name, local_name, category, city_id, country, currency, tz, address, fee_bp,
    status, applied_by, applied_at, decided_by, decided_at, reason
from merchants.merchants where merchant_id = %s
for no key update
"""

LIST_MERCHANTS = """
select merchant_id, member_id, name, local_name, category, city_id, country, currency, tz, address, fee_bp,
    status, applied_by, applied_at, decided_by, decided_at, reason
from merchants.merchants
where (%(member_id)s::text is null or member_id = %(member_id)s)
    and (%(status)s::text is null or status = %(status)s)
    and (applied_at, merchant_id) < (%(at)s::timestamptz, %(id)s::uuid)
order by applied_at desc, merchant_id desc
limit %(limit)s
"""

LIST_OWN = """
select merchant_id, member_id, name, local_name, category, city_id, country, currency, tz, address, fee_bp,
    status, applied_by, applied_at, decided_by, decided_at, reason
from merchants.merchants
where merchant_id in (select merchant_id from merchants.people where account_id = %s and ended_at is null)
order by applied_at, merchant_id
"""

DECIDE_MERCHANT = """
update merchants.merchants
set status = %s, decided_by = %s, decided_at = %s, reason = %s, fee_bp = %s
where merchant_id = %s
"""

ADD_PERSON = """
insert into merchants.people (merchant_id, account_id, role, added_at) values (%s, %s, %s, %s)
on conflict (merchant_id, account_id) do update set role = excluded.role, ended_at = null
"""
END_PERSON = """
update merchants.people set ended_at = %s where merchant_id = %s and account_id = %s and ended_at is null
"""
LIST_PEOPLE = """
select merchant_id, account_id, role, added_at from merchants.people
where merchant_id = %s and ended_at is null
order by role desc, added_at, account_id
"""
ACTED_FOR = """
select p.merchant_id, m.name, p.role, p.added_at, p.ended_at
from merchants.people p join merchants.merchants m using (merchant_id)
where p.account_id = %s order by p.added_at, p.merchant_id
"""
OWNED_ALONE = """
select m.name from merchants.people p join merchants.merchants m using (merchant_id)
where p.account_id = %(me)s and p.role = 'owner' and p.ended_at is null and m.status in ('applied', 'open')
    and not exists (
        select from merchants.people o where o.merchant_id = p.merchant_id and o.account_id <> %(me)s
            and o.role = 'owner' and o.ended_at is null)
order by m.applied_at, m.merchant_id
"""
LEAVE_SHOPS = "update merchants.people set ended_at = %s where account_id = %s and ended_at is null"
FIND_ROLE = """
select role from merchants.people where merchant_id = %s and account_id = %s and ended_at is null
"""

ADD_INVITE = """
insert into merchants.invites (secret_hash, merchant_id, role, made_by, expires_at) values (%s, %s, %s, %s, %s)
"""
FIND_INVITE = """
select merchant_id, role from merchants.invites where secret_hash = %s and used_by is null and expires_at > %s
"""
USE_INVITE = """
update merchants.invites set used_by = %s
where secret_hash = %s and used_by is null and expires_at > %s
returning merchant_id, role
"""

ADD_TILL = """
insert into merchants.tills (merchant_id, label, opened_at) values (%s, %s, %s)
on conflict (merchant_id, label) do update set closed_at = null
"""
CLOSE_TILL = """
update merchants.tills set closed_at = %s where merchant_id = %s and label = %s and closed_at is null
"""
LIST_TILLS = """
select label from merchants.tills where merchant_id = %s and closed_at is null order by opened_at, label
"""


def add_merchant(tx: Tx, merchant: Merchant) -> None:
    """Keep a shop that applies; one that is known stays as it is."""
    tx.execute(
        ADD_MERCHANT,
        {
            "merchant_id": merchant.merchant_id,
            "member_id": merchant.member_id,
            "name": merchant.name,
            "local_name": merchant.local_name,
            "category": merchant.category,
            "city_id": merchant.city_id,
            "country": merchant.country,
            "currency": merchant.currency,
            "tz": merchant.tz,
            "address": merchant.address,
            "applied_by": merchant.applied_by,
            "applied_at": merchant.applied_at,
        },
    )


def find_merchant(tx: Tx, merchant_id: UUID, *, lock: bool = False) -> Merchant | None:
    """The shop of this id."""
    with tx.cursor(row_factory=class_row(Merchant)) as cursor:
        return cursor.execute(LOCK_MERCHANT if lock else FIND_MERCHANT, (merchant_id,)).fetchone()


def list_merchants(
    tx: Tx, *, member_id: str | None, status: str | None, before: tuple[datetime, UUID] | None, limit: int
) -> list[Merchant]:
    """Shops, the newest first."""
    at, merchant_id = before or ("infinity", UUID(int=2**128 - 1))
    values = {"member_id": member_id, "status": status, "at": at, "id": merchant_id, "limit": limit}
    with tx.cursor(row_factory=class_row(Merchant)) as cursor:
        return cursor.execute(LIST_MERCHANTS, values).fetchall()


def list_own(tx: Tx, account_id: UUID) -> list[Merchant]:
    """The shops that this account acts for."""
    with tx.cursor(row_factory=class_row(Merchant)) as cursor:
        return cursor.execute(LIST_OWN, (account_id,)).fetchall()


def decide_merchant(
    tx: Tx, merchant_id: UUID, status: str, *, by: str, at: datetime, reason: str, fee_bp: int
) -> None:
    """Write down what was decided."""
    tx.execute(DECIDE_MERCHANT, (status, by, at, reason, fee_bp, merchant_id))


def add_person(tx: Tx, merchant_id: UUID, account_id: UUID, role: Role, at: datetime) -> None:
    """Let an account act for a shop; one that did before gets this role."""
    tx.execute(ADD_PERSON, (merchant_id, account_id, role, at))


def end_person(tx: Tx, merchant_id: UUID, account_id: UUID, at: datetime) -> bool:
    """Let an account act for a shop no more; whether it did."""
    return tx.execute(END_PERSON, (at, merchant_id, account_id)).rowcount == 1


def list_people(tx: Tx, merchant_id: UUID) -> list[Person]:
    """Who acts for a shop, the first one first."""
    with tx.cursor(row_factory=class_row(Person)) as cursor:
        return cursor.execute(LIST_PEOPLE, (merchant_id,)).fetchall()


def acted_for(tx: Tx, account_id: UUID) -> list[ActedFor]:
    """The shops that an account acts for, or did."""
    with tx.cursor(row_factory=class_row(ActedFor)) as cursor:
        return cursor.execute(ACTED_FOR, (account_id,)).fetchall()


def owned_alone(tx: Tx, account_id: UUID) -> list[str]:
    """The names of shops that would have no owner without this account."""
    return [row[0] for row in tx.execute(OWNED_ALONE, {"me": account_id}).fetchall()]


def leave_shops(tx: Tx, account_id: UUID, at: datetime) -> None:
    tx.execute(LEAVE_SHOPS, (at, account_id))


def find_role(tx: Tx, merchant_id: UUID, account_id: UUID) -> Role | None:
    """What an account is in a shop; None where it is nobody there."""
    row = tx.execute(FIND_ROLE, (merchant_id, account_id)).fetchone()
    return None if row is None else row[0]


def add_invite(
    tx: Tx, secret_hash: bytes, merchant_id: UUID, role: Role, *, by: UUID, expires_at: datetime
) -> None:
    """Keep an invitation."""
    tx.execute(ADD_INVITE, (secret_hash, merchant_id, role, by, expires_at))


def find_invite(tx: Tx, secret_hash: bytes, at: datetime) -> tuple[UUID, Role] | None:
    """To which shop and role this invitation leads, while it is good."""
    return tx.execute(FIND_INVITE, (secret_hash, at)).fetchone()


def use_invite(tx: Tx, secret_hash: bytes, account_id: UUID, at: datetime) -> tuple[UUID, Role] | None:
    """Use up an invitation; None where it is good no more."""
    return tx.execute(USE_INVITE, (account_id, secret_hash, at)).fetchone()


def add_till(tx: Tx, merchant_id: UUID, label: str, at: datetime) -> None:
    """Open a till, again if it was closed."""
    tx.execute(ADD_TILL, (merchant_id, label, at))


def close_till(tx: Tx, merchant_id: UUID, label: str, at: datetime) -> bool:
    """Close a till; whether it was open."""
    return tx.execute(CLOSE_TILL, (at, merchant_id, label)).rowcount == 1


def list_tills(tx: Tx, merchant_id: UUID) -> list[str]:
    """The labels of a shop's open tills, the oldest first."""
    return [label for (label,) in tx.execute(LIST_TILLS, (merchant_id,))]


# -- QR orders ----------------------------------------------------------------------------------------------

ADD_ORDER = """
insert into merchants.qr_orders (order_id, merchant_id, kind, amount_minor, currency, tip_kind, tip_value, bill_number,
    description, till, made_by, made_at, expires_at, state)
values (%(order_id)s, %(merchant_id)s, %(kind)s, %(amount_minor)s, %(currency)s, %(tip_kind)s, %(tip_value)s,
    %(bill_number)s, %(description)s, %(till)s, %(made_by)s, %(made_at)s, %(expires_at)s, 'open')
on conflict (order_id) do nothing
"""

FIND_ORDER = """
select order_id, merchant_id, kind, amount_minor, currency, tip_kind, tip_value, bill_number, description, till,
    made_by, made_at, expires_at, state, attempts, payment_id, claimed_at, ended_at
from merchants.qr_orders where order_id = %s
"""
LOCK_ORDER = """
select order_id, merchant_id, kind, amount_minor, currency, tip_kind, tip_value, bill_number, description, till,
    made_by, made_at, expires_at, state, attempts, payment_id, claimed_at, ended_at
from merchants.qr_orders where order_id = %s
for no key update
"""

LIST_ORDERS = """
select order_id, merchant_id, kind, amount_minor, currency, tip_kind, tip_value, bill_number, description, till,
    made_by, made_at, expires_at, state, attempts, payment_id, claimed_at, ended_at
from merchants.qr_orders
where merchant_id = %(merchant_id)s and (made_at, order_id) < (%(at)s::timestamptz, %(id)s::uuid)
order by made_at desc, order_id desc
limit %(limit)s
"""

SET_ORDER = """
update merchants.qr_orders
set state = %s, attempts = %s, payment_id = %s, claimed_at = %s, ended_at = %s
where order_id = %s
"""

DUE_ORDERS = """
select order_id
from merchants.qr_orders
where state in ('open', 'claimed') and expires_at <= %s
order by expires_at
limit %s
"""


def add_order(tx: Tx, order: QrOrder) -> None:
    """Keep an order; one that is known stays as it is."""
    tx.execute(
        ADD_ORDER,
        {
            "order_id": order.order_id,
            "merchant_id": order.merchant_id,
            "kind": order.kind,
            "amount_minor": order.amount_minor,
            "currency": order.currency,
            "tip_kind": order.tip_kind,
            "tip_value": order.tip_value,
            "bill_number": order.bill_number,
            "description": order.description,
            "till": order.till,
            "made_by": order.made_by,
            "made_at": order.made_at,
            "expires_at": order.expires_at,
        },
    )


def find_order(tx: Tx, order_id: UUID, *, lock: bool = False) -> QrOrder | None:
    """The order of this id; locked, nobody else claims or ends it until the transaction does."""
    with tx.cursor(row_factory=class_row(QrOrder)) as cursor:
        return cursor.execute(LOCK_ORDER if lock else FIND_ORDER, (order_id,)).fetchone()


def list_orders(
    tx: Tx, merchant_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[QrOrder]:
    """A shop's orders, the newest first."""
    at, order_id = before or ("infinity", UUID(int=2**128 - 1))
    values = {"merchant_id": merchant_id, "at": at, "id": order_id, "limit": limit}
    with tx.cursor(row_factory=class_row(QrOrder)) as cursor:
        return cursor.execute(LIST_ORDERS, values).fetchall()


def set_order(tx: Tx, order: QrOrder) -> None:
    """Write down how an order stands."""
    tx.execute(
        SET_ORDER,
        (
            order.state,
            order.attempts,
            order.payment_id,
            order.claimed_at,
            order.ended_at,
            order.order_id,
        ),
    )


def due_orders(tx: Tx, at: datetime, limit: int) -> list[UUID]:
    """Orders whose time is up and which are not ended."""
    return [order_id for (order_id,) in tx.execute(DUE_ORDERS, (at, limit))]


# -- sales and refunds --------------------------------------------------------------------------------------

ADD_SALE = """
insert into merchants.sales (payment_id, merchant_id, order_id, payer, amount_minor, tip_minor, currency, channel,
    bill_number, till, made_by, begun_at, state, fee_bp, spender)
values (%(payment_id)s, %(merchant_id)s, %(order_id)s, %(payer)s, %(amount_minor)s, %(tip_minor)s, %(currency)s,
    %(channel)s, %(bill_number)s, %(till)s, %(made_by)s, %(begun_at)s, 'begun', %(fee_bp)s,
    %(spender)s)
on conflict (payment_id) do nothing
"""

FIND_SALE = """
select payment_id, merchant_id, order_id, payer, amount_minor, tip_minor, currency, channel, bill_number, till,
    made_by, begun_at, state, paid_at, refunded_minor, fee_bp, spender
from merchants.sales where payment_id = %s
"""
LOCK_SALE = """
select payment_id, merchant_id, order_id, payer, amount_minor, tip_minor, currency, channel, bill_number, till,
    made_by, begun_at, state, paid_at, refunded_minor, fee_bp, spender
from merchants.sales where payment_id = %s
for no key update
"""

LIST_SALES = """
select payment_id, merchant_id, order_id, payer, amount_minor, tip_minor, currency, channel, bill_number, till,
    made_by, begun_at, state, paid_at, refunded_minor, fee_bp, spender
from merchants.sales
where merchant_id = %(merchant_id)s and (begun_at, payment_id) < (%(at)s::timestamptz, %(id)s::uuid)
    and state <> 'failed'
order by begun_at desc, payment_id desc
limit %(limit)s
"""

SALES_PAID = """
select payment_id, merchant_id, order_id, payer, amount_minor, tip_minor, currency, channel, bill_number, till,
    made_by, begun_at, state, paid_at, refunded_minor, fee_bp, spender
from merchants.sales
where merchant_id = %s and state = 'paid' and paid_at >= %s and paid_at < %s
order by paid_at, payment_id
"""

KNOWN_SALES = "select payment_id from merchants.sales where payment_id = any(%s)"

SET_SALE = "update merchants.sales set state = %s, paid_at = %s, refunded_minor = %s where payment_id = %s"

UNFINISHED_SALES = """
select payment_id
from merchants.sales where state = 'begun' and begun_at <= %s order by begun_at limit %s
"""

ADD_REFUND = """
insert into merchants.refunds (refund_id, payment_id, merchant_id, amount_minor, reason, made_by, asked_at, state)
values (%s, %s, %s, %s, %s, %s, %s, 'asked')
on conflict (refund_id) do nothing
"""
FIND_REFUND = """
select refund_id, payment_id, merchant_id, amount_minor, reason, made_by, asked_at, state, done_at
from merchants.refunds where refund_id = %s
"""
LIST_REFUNDS = """
select refund_id, payment_id, merchant_id, amount_minor, reason, made_by, asked_at, state, done_at
from merchants.refunds where payment_id = any(%s) order by asked_at, refund_id
"""
END_REFUND = "update merchants.refunds set state = %s, done_at = %s where refund_id = %s and state = 'asked'"
UNFINISHED_REFUNDS = """
select refund_id, payment_id, merchant_id, amount_minor, reason, made_by, asked_at, state, done_at
from merchants.refunds where state = 'asked' order by asked_at limit %s
"""


def add_sale(tx: Tx, sale: Sale) -> None:
    """Write down a sale that is about to be paid; one that is known stays as it is."""
    tx.execute(
        ADD_SALE,
        {
            "payment_id": sale.payment_id,
            "merchant_id": sale.merchant_id,
            "order_id": sale.order_id,
            "payer": sale.payer,
            "amount_minor": sale.amount_minor,
            "tip_minor": sale.tip_minor,
            "currency": sale.currency,
            "channel": sale.channel,
            "bill_number": sale.bill_number,
            "till": sale.till,
            "made_by": sale.made_by,
            "begun_at": sale.begun_at,
            "fee_bp": sale.fee_bp,
            "spender": sale.spender,
        },
    )


def find_sale(tx: Tx, payment_id: UUID, *, lock: bool = False) -> Sale | None:
    """The sale of this payment."""
    with tx.cursor(row_factory=class_row(Sale)) as cursor:
        return cursor.execute(LOCK_SALE if lock else FIND_SALE, (payment_id,)).fetchone()


def list_sales(
    tx: Tx, merchant_id: UUID, *, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Sale]:
    """A shop's sales that are paid or under way, the newest first."""
    at, payment_id = before or ("infinity", UUID(int=2**128 - 1))
    values = {"merchant_id": merchant_id, "at": at, "id": payment_id, "limit": limit}
    with tx.cursor(row_factory=class_row(Sale)) as cursor:
        return cursor.execute(LIST_SALES, values).fetchall()


def sales_paid(tx: Tx, merchant_id: UUID, first: datetime, last: datetime) -> list[Sale]:
    """Sales that were paid from an instant on, before another, in order."""
    with tx.cursor(row_factory=class_row(Sale)) as cursor:
        return cursor.execute(SALES_PAID, (merchant_id, first, last)).fetchall()


def known_sales(tx: Tx, payment_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these payments that a till began."""
    if not payment_ids:
        return set()
    return {payment_id for (payment_id,) in tx.execute(KNOWN_SALES, (list(payment_ids),))}


def set_sale(tx: Tx, sale: Sale) -> None:
    """Write down how a sale stands."""
    tx.execute(SET_SALE, (sale.state, sale.paid_at, sale.refunded_minor, sale.payment_id))


def unfinished_sales(tx: Tx, begun_before: datetime, limit: int) -> list[UUID]:
    """Sales whose outcome is not written down."""
    return [payment_id for (payment_id,) in tx.execute(UNFINISHED_SALES, (begun_before, limit))]


def add_refund(tx: Tx, refund: Refund) -> None:
    """Write down a refund that is about to be made; one that is known stays as it is."""
    tx.execute(
        ADD_REFUND,
        (
            refund.refund_id,
            refund.payment_id,
            refund.merchant_id,
            refund.amount_minor,
            refund.reason,
            refund.made_by,
            refund.asked_at,
        ),
    )


def find_refund(tx: Tx, refund_id: UUID) -> Refund | None:
    """The refund of this id."""
    with tx.cursor(row_factory=class_row(Refund)) as cursor:
        return cursor.execute(FIND_REFUND, (refund_id,)).fetchone()


def list_refunds(tx: Tx, payment_ids: Sequence[UUID]) -> list[Refund]:
    """The refunds of these sales, the oldest first."""
    with tx.cursor(row_factory=class_row(Refund)) as cursor:
        return cursor.execute(LIST_REFUNDS, (list(payment_ids),)).fetchall()


def end_refund(tx: Tx, refund_id: UUID, state: str, at: datetime) -> bool:
    """Write down what came of a refund; whether that was not known yet."""
    return tx.execute(END_REFUND, (state, at, refund_id)).rowcount == 1


def unfinished_refunds(tx: Tx, limit: int) -> list[Refund]:
    """Refunds whose outcome is not written down."""
    with tx.cursor(row_factory=class_row(Refund)) as cursor:
        return cursor.execute(UNFINISHED_REFUNDS, (limit,)).fetchall()
