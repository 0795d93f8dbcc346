"""Sales that come by no till: payments to a shop's payee that its acquirer's programs made.

They are payments and nothing beside: what a sale of them was is read from the payment, so there is one truth. A payment
that a till began has a sale of its own, and is none of these.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from hansa import payments
from hansa.kernel import Mark
from hansa.merchants import store
from hansa.merchants.model import Merchant, MerchantId, Sale
from hansa.payments import Captured, Payment
from hansa.store import Context, Tx

UNKNOWN_PAYER = UUID(int=0)
"""Stands for a payer who has no account here."""

PAGE = 100


def find_online(ctx: Context, tx: Tx, payment_id: UUID) -> Sale | None:
    """The sale that a payment to a shop is; None where it is to no shop, or came to nothing."""
    try:
        payment = payments.get_payment(tx, payment_id, partition=ctx.directory.partition_of(payment_id))
        merchant = store.find_merchant(tx, UUID(payment.payee_id))
    except (payments.UnknownPayment, ValueError):
        return None
    if merchant is None or not payments.is_counted(payment):
        return None
    return sales_of(tx, merchant, [payment])[0]


def sales_of(tx: Tx, merchant: Merchant, found: Sequence[Payment]) -> list[Sale]:
    """These payments to a shop as its sales. Of one that was captured in part, what was captured is the sale."""
    paid_at: dict[UUID, datetime] = {}
    for one in payments.captures_of(tx, [(one.partition, one.payment_id) for one in found]):
        paid_at.setdefault(one.payment_id, one.at)
    return [_sale(one, merchant, paid_at.get(one.payment_id)) for one in found]


def list_online(
    tx: Tx, merchant: Merchant, *, before: Mark | None, limit: int, since: datetime | None
) -> list[Sale]:
    """Sales of a shop that came by no till, the newest first; none older than ``since``, up to ``limit``."""
    kept: list[tuple[int, UUID]] = []
    mark = before
    while len(kept) < limit:
        page = payments.list_counted(tx, merchant.payee_id, before=mark, since=since, limit=PAGE)
        tills = store.known_sales(tx, [payment_id for _, payment_id, _ in page])
        kept += [(partition, payment_id) for partition, payment_id, _ in page if payment_id not in tills]
        if len(page) < PAGE:
            break
        mark = (page[-1][2], page[-1][1])
    found = payments.find_payments(tx, sorted(kept[:limit]))
    return sales_of(tx, merchant, [found[payment_id] for _, payment_id in kept[:limit]])


def captured_online(tx: Tx, merchant: Merchant, first: datetime, end: datetime) -> list[Captured]:
    """What a shop was given by no till from an instant on, before another, in order."""
    found = payments.captures_to(tx, merchant.payee_id, first=first, end=end)
    tills = store.known_sales(tx, [one.payment_id for one in found])
    return [one for one in found if one.payment_id not in tills]


def sales_by(tx: Tx, merchant: Merchant, keys: Collection[tuple[int, UUID]]) -> dict[UUID, Sale]:
    """The sales that these payments are, by payment."""
    known = payments.find_payments(tx, sorted(keys))
    return {one.payment_id: one for one in sales_of(tx, merchant, list(known.values()))}


def _sale(payment: Payment, merchant: Merchant, paid_at: datetime | None) -> Sale:
    payer = payment.payer
    account_id = None if payer is None else payer.account_id
    return Sale(
        payment_id=payment.payment_id,
        merchant_id=MerchantId(merchant.merchant_id),
        order_id=payment.qr_order_id,
        payer=account_id or UNKNOWN_PAYER,
        amount_minor=payment.captured_minor or payment.amount.minor,
        tip_minor=0,
        currency=payment.amount.currency,
        channel="online",
        bill_number=payment.reference,
        till="",
        made_by=payment.by,
        begun_at=payment.created_at,
        state="begun" if paid_at is None else "paid",
        paid_at=paid_at,
        refunded_minor=0 if payment.step is None else payment.step.refunded_minor,
        fee_bp=merchant.fee_bp,
    )
