"""QR orders: what a shop asks to be paid, shown as a code, paid once however many scan it."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import atlas, webhooks
from hansa.kernel import InvalidInput, Money, Problem
from hansa.merchants import paying, seats, store
from hansa.merchants.actions import get_merchant, get_open_merchant
from hansa.merchants.model import (
    CLAIM_LASTS,
    ORDER_LASTS,
    ORDER_LASTS_MAX,
    TEXT_MAX,
    Merchant,
    OrderBeingPaid,
    OrderDiffers,
    OrderKind,
    OrderNotOpen,
    OrderOver,
    OrderPaid,
    QrOrder,
    TipKind,
    UnknownOrder,
    bill_text,
    order_text,
    plain_text,
    static_text,
)
from hansa.store import Context, Tx

AMOUNT_MAX = 10**13
TIP_BP_MAX = 9_999


def make_order(
    tx: Tx,
    order_id: UUID,
    merchant_id: UUID,
    *,
    amount: Money,
    made_by: str,
    at: datetime,
    tip_kind: TipKind = "none",
    tip_value: int = 0,
    bill_number: str = "",
    description: str = "",
    till: str = "",
    lasts: timedelta = ORDER_LASTS,
    kind: OrderKind = "sale",
) -> QrOrder:
    """Ask to be paid, once. Asking again with the same id and content gives the same order.

    tip_value: minor units where fixed, basis points where a percentage. lasts: at most 31 days.
    Errors: UnknownMerchant, MerchantNotOpen, InvalidInput, OrderDiffers.
    """
    merchant = get_open_merchant(tx, merchant_id)
    _check(merchant, amount, tip_kind, tip_value, lasts)
    order = QrOrder(
        order_id=order_id,
        merchant_id=merchant.merchant_id,
        kind=kind,
        amount_minor=amount.minor,
        currency=amount.currency,
        tip_kind=tip_kind,
        tip_value=tip_value,
        bill_number=bill_text(bill_number),
        description=plain_text(description, "description", TEXT_MAX),
        till=bill_text(till, "till"),
        made_by=made_by,
        made_at=at,
        expires_at=at + lasts,
    )
    store.add_order(tx, order)
    known = get_order(tx, order_id)
    if known.body() != order.body():
        raise OrderDiffers
    return known


def get_order(tx: Tx, order_id: UUID) -> QrOrder:
    """The order of this id, as it was last written down. Errors: UnknownOrder."""
    order = store.find_order(tx, order_id)
    if order is None:
        raise UnknownOrder
    return order


def list_orders(
    tx: Tx, merchant_id: UUID, *, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[QrOrder]:
    """A shop's orders, the newest first; those before a mark."""
    return store.list_orders(tx, merchant_id, before=before, limit=limit)


def code_of_order(tx: Tx, order: QrOrder) -> str:
    """The order as a merchant-presented code, which any reader of the standard reads."""
    merchant = get_merchant(tx, order.merchant_id)
    return order_text(merchant, order, atlas.get_city(tx, merchant.city_id).name)


def code_of_shop(tx: Tx, merchant: Merchant, *, till: str = "", amount: Money | None = None) -> str:
    """The code that stands on the shop's counter. Errors: InvalidInput, emvco.PaymentCodeRefused."""
    if amount is not None:
        _check(merchant, amount, "none", 0, ORDER_LASTS)
    city = atlas.get_city(tx, merchant.city_id).name
    return static_text(merchant, city, till=bill_text(till, "till"), amount=amount)


def cancel_order(tx: Tx, order_id: UUID, at: datetime) -> QrOrder:
    """Take an order back. Again is harmless. Errors: UnknownOrder; OrderNotOpen once it is paid or being paid."""
    order = lock_order(tx, order_id)
    if order.state == "canceled":
        return order
    if order.state != "open":
        raise OrderNotOpen
    return end_order(tx, order, "canceled", at)


def lock_order(tx: Tx, order_id: UUID) -> QrOrder:
    """The order; nobody else claims or ends it until the transaction does. Errors: UnknownOrder."""
    order = store.find_order(tx, order_id, lock=True)
    if order is None:
        raise UnknownOrder
    return order


def claim_order(
    ctx: Context, tx: Tx, order_id: UUID, payer: UUID, at: datetime, *, spender: UUID | None = None
) -> tuple[QrOrder, Merchant]:
    """Let one payer pay the order; its ``payment_id`` is the payment to make, the same for the same claim.

    spender: who pays from the payer's wallet, where it is not the payer; the claim is theirs then. A claim whose
    payment came to nothing, or was never made, goes to whoever comes next.
    Errors: UnknownOrder, MerchantNotOpen, OrderPaid, OrderBeingPaid, OrderOver.
    """
    order = lock_order(tx, order_id)
    merchant = get_open_merchant(tx, order.merchant_id)
    if order.state == "claimed":
        assert order.payment_id is not None and order.claimed_at is not None, "a claim has a payment"
        standing = paying.standing_of(ctx, tx, order.payment_id)
        sale = store.find_sale(tx, order.payment_id)
        assert sale is not None, "a claim is written with its sale"
        same = (sale.payer, sale.spender) == (payer, spender)
        if standing == "paid":
            raise OrderPaid
        if standing == "none" and (same or at < order.claimed_at + CLAIM_LASTS):
            standing = "alive"
        if standing == "alive":
            if not same:
                raise OrderBeingPaid
            return order, merchant
        store.set_sale(tx, replace(sale, state="failed"))
        order = replace(order, state="open", payment_id=None, claimed_at=None)
    if order.state == "paid":
        raise OrderPaid
    if order.state != "open" or at >= order.expires_at:
        raise OrderOver
    attempts = order.attempts + 1
    payment_id = paying.payment_id_of("order", order.order_id, attempts)
    claimed = replace(order, state="claimed", attempts=attempts, payment_id=payment_id, claimed_at=at)
    store.set_order(tx, claimed)
    return claimed, merchant


def release_order(tx: Tx, order: QrOrder, at: datetime) -> QrOrder:
    """The payment of a claim came to nothing: the order is open again, or over where its time is up."""
    if at >= order.expires_at:
        return end_order(tx, order, "expired", at)
    released = replace(order, state="open", payment_id=None, claimed_at=None)
    store.set_order(tx, released)
    return released


def end_order(tx: Tx, order: QrOrder, state: str, at: datetime) -> QrOrder:
    """Write down that a locked order is paid, expired or canceled, and what that means for its tickets."""
    assert state in ("paid", "expired", "canceled"), state
    paid = state == "paid"
    payment_id = order.payment_id if paid else None
    ended = replace(order, state=state, payment_id=payment_id, claimed_at=order.claimed_at if paid else None)
    ended = replace(ended, ended_at=at)
    store.set_order(tx, ended)
    if order.kind == "tickets":
        if paid:
            seats.issue(tx, order.order_id)
        else:
            seats.release(tx, order.order_id)
    data = {"qr_order_id": str(order.order_id), "merchant_id": str(order.merchant_id)}
    webhooks.record(
        tx,
        webhooks.News(
            type=f"qr_order.{state}",
            members=[get_merchant(tx, order.merchant_id).member_id],
            at=at,
            subject=f"qr_order:{order.order_id}",
            data=data | ({"payment_id": str(payment_id)} if paid else {}),
            fact=(order.order_id,),
        ),
    )
    return ended


def _check(merchant: Merchant, amount: Money, tip_kind: TipKind, tip_value: int, lasts: timedelta) -> None:
    problems: list[Problem] = []
    if amount.currency != merchant.currency:
        problems.append(
            Problem("amount.currency", f"it is {amount.currency}", f"This shop takes {merchant.currency}")
        )
    if not 0 < amount.minor <= AMOUNT_MAX:
        problems.append(Problem("amount", f"it is {amount}", "Ask for more than nothing"))
    fits = {
        "none": tip_value == 0,
        "prompt": tip_value == 0,
        "fixed": 0 < tip_value <= amount.minor,
        "percentage": 0 < tip_value <= TIP_BP_MAX,
    }
    if not fits[tip_kind]:
        remedy = "Give a tip up to the amount, or 0.01 to 99.99 percent; nothing where the payer names it"
        problems.append(Problem("tip", f"{tip_value} is no {tip_kind} tip", remedy))
    if not timedelta(0) < lasts <= ORDER_LASTS_MAX:
        problems.append(Problem("expires_in_s", "it is not within 31 days", "Give 1 second to 31 days"))
    if problems:
        raise InvalidInput("This cannot be asked for.", problems=tuple(problems))
