"""What merchants ask of payments: open a payee, make a payment, see how it stands, give money back."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from hansa import payments
from hansa.approval import Channel as ApprovalChannel
from hansa.identity import AccountId
from hansa.kernel import HansaError, fact_id
from hansa.merchants.model import Channel, Merchant, MerchantId, Refund, Sale
from hansa.payments import NewPayment, Payee, Payment, PaymentState
from hansa.store import Context, Tx

Standing = Literal["none", "alive", "paid", "dead"]
"""How a payment stands for a shop: never made; may still be paid; paid; came to nothing."""

PAY_WITHIN = timedelta(minutes=5)
"""How long a payer has to approve what they scanned; a claim on an order lasts no longer."""

CHANNELS: dict[Channel, ApprovalChannel] = {
    "order": ApprovalChannel.QR,
    "static": ApprovalChannel.QR,
    "code": ApprovalChannel.CODE,
    "online": ApprovalChannel.ONLINE,
}

_PAID = (PaymentState.CAPTURED, PaymentState.SETTLED)
_DEAD = (
    PaymentState.FAILED,
    PaymentState.CANCELED,
    PaymentState.EXPIRED,
    PaymentState.VOIDED,
    PaymentState.REVERSED,
)


def payment_id_of(kind: str, subject: UUID, attempt: int = 1) -> UUID:
    """The payment of an order's claim or of a form, the same whoever works it out."""
    return fact_id(None, "merchants payment", kind, subject, attempt)


def open_payee(ctx: Context, merchant: Merchant) -> None:
    """Let a shop be paid. Again is harmless. Errors: payments.PayeeDiffers."""
    payments.open_payees(
        ctx,
        [
            Payee(
                payee_id=merchant.payee_id,
                member_id=merchant.member_id,
                name=merchant.shown_name,
                currency=merchant.currency,
                category=merchant.category,
            )
        ],
    )


def begin(
    ctx: Context,
    sale: Sale,
    merchant: Merchant,
    *,
    until: datetime,
    evidence: str = "",
    session_at: datetime | None = None,
    credential_at: datetime | None = None,
    quote_id: UUID | None = None,
) -> Payment:
    """Make the sale's payment, or find it made, by whichever quote it was.

    Errors: those by which payments refuses; nothing moved then.
    """
    (answer,) = payments.create(
        ctx,
        [
            NewPayment(
                payment_id=sale.payment_id,
                payee_id=merchant.payee_id,
                amount=sale.total,
                by=sale.made_by,
                payer=AccountId(sale.payer),
                method="code" if sale.channel == "code" else "wallet",
                channel=CHANNELS[sale.channel],
                evidence=evidence,
                reference=sale.bill_number,
                description=merchant.shown_name,
                qr_order_id=sale.order_id,
                quote_id=quote_id,
                expires_at=until,
                next_url=f"/wallet/pay/done/{sale.payment_id}",
                session_at=session_at,
                credential_at=credential_at,
                spender=None if sale.spender is None else AccountId(sale.spender),
            )
        ],
    )
    if isinstance(answer, payments.PaymentDiffers):
        with ctx.tx() as tx:
            known = find_payment(ctx, tx, sale.payment_id)
        if known is not None and _is_but_for_its_quote(known, sale, quote_id):
            return known
    if isinstance(answer, HansaError):
        raise answer
    return answer


def _is_but_for_its_quote(known: Payment, sale: Sale, quote_id: UUID | None) -> bool:
    """Whether the payment is the sale's, begun by another quote, or by one where now there is none."""
    payer = None if known.payer is None else known.payer.account_id
    return (payer, known.amount) == (sale.payer, sale.total) and known.quote_id != quote_id


def find_payment(ctx: Context, tx: Tx, payment_id: UUID) -> Payment | None:
    """The payment as it stands; None where it was never made."""
    try:
        return payments.get_payment(tx, payment_id, partition=ctx.directory.partition_of(payment_id))
    except payments.UnknownPayment:
        return None


def standing_of(ctx: Context, tx: Tx, payment_id: UUID) -> Standing:
    """How a payment stands for a shop."""
    payment = find_payment(ctx, tx, payment_id)
    return "none" if payment is None else standing(payment)


def standing(payment: Payment) -> Standing:
    """How this payment stands for a shop."""
    if payment.state in _PAID:
        return "paid"
    return "dead" if payment.state in _DEAD else "alive"


def cancel(ctx: Context, payment_id: UUID, by: str) -> None:
    """Call a payment off that is not paid. Where it is too late for that, nothing is done."""
    try:
        payments.cancel(ctx, payment_id, by=by)
    except (payments.StateForbids, payments.UnknownPayment):
        return


_STATES: dict[payments.RefundState, Literal["asked", "done", "failed"]] = {
    "pending": "asked",
    "settled": "done",
    "failed": "failed",
}


def refunds_of(ctx: Context, tx: Tx, sales: Sequence[Sale]) -> list[Refund]:
    """What was given back of these sales, or is on its way back, however it was asked for; in order."""
    merchants = {one.payment_id: one.merchant_id for one in sales}
    keys = [(ctx.directory.partition_of(payment_id), payment_id) for payment_id in merchants]
    return [_refund(one, merchants[one.payment_id]) for one in payments.refunds_of_all(tx, keys)]


def refunds_done(
    tx: Tx, merchant: Merchant, first: datetime, end: datetime
) -> tuple[list[Refund], list[Refund], dict[UUID, int]]:
    """What a shop gave back from an instant on, before another, however it was asked for; and all that was ever given
    back of the same payments; both in order; and the partitions of these payments.
    """
    done = payments.refunds_settled(tx, first=first, end=end, payee_id=merchant.payee_id)
    ever = payments.refunds_of_all(tx, {(one.partition, one.payment_id) for one in done})
    mine = merchant.merchant_id
    partitions = {one.payment_id: one.partition for one in done}
    return [_refund(one, mine) for one in done], [_refund(one, mine) for one in ever], partitions


def refunds_of_keys(tx: Tx, merchant: Merchant, keys: Collection[tuple[int, UUID]]) -> list[Refund]:
    """What was given back of a shop's payments, by partition and id; in order."""
    return [_refund(one, merchant.merchant_id) for one in payments.refunds_of_all(tx, keys)]


def _refund(one: payments.Refund, merchant_id: MerchantId) -> Refund:
    return Refund(
        one.refund_id,
        one.payment_id,
        merchant_id,
        one.amount.minor,
        one.reason,
        one.by,
        one.asked_at,
        _STATES[one.state],
        one.ended_at,
    )


def give_back(ctx: Context, refund: Refund) -> bool | None:
    """Give money of a payment back to where it came from. True: done; None: under way; False: it cannot be.

    Errors: those by which payments refuses for good, with nothing moved.
    """
    answer = payments.refund(
        ctx,
        refund.payment_id,
        refund_id=refund.refund_id,
        minor=refund.amount_minor,
        reason=refund.reason,
        by=refund.made_by,
    )
    return {"settled": True, "pending": None, "failed": False}[answer.state]
