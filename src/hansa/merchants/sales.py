"""Sales: a payer pays a shop by its order, by its counter's code, or by a code of their own; and gets money back.

Each writes down its intent, has payments make the payment of an id worked out from it, and writes down what came of
it. A kill between any two loses nothing: whoever looks next, or ``finish``, ends it the same way.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import approval
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem
from hansa.merchants import online, paying, qr_orders, store
from hansa.merchants.actions import get_merchant, get_open_merchant
from hansa.merchants.model import (
    CLAIM_LASTS,
    REASON_MAX,
    Channel,
    Merchant,
    MerchantId,
    Refund,
    RefundDiffers,
    RefundTooLarge,
    Sale,
    UnknownSale,
    bill_text,
    plain_text,
    tip_minor_of,
)
from hansa.payments import Payment, PaymentState, payment_codes
from hansa.store import Context, Tx

FINISHED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who pays. account_id: whose wallet. by: for the record. session_at, credential_at: as approval takes them.

    spender: who pays from that wallet, where its owner lets another spend. quote_id: by which a wallet in another
    currency pays; to what is under way it changes nothing.
    """

    account_id: AccountId
    by: str
    session_at: datetime | None = None
    credential_at: datetime | None = None
    quote_id: UUID | None = None
    spender: AccountId | None = None

    @property
    def buyer(self) -> AccountId:
        """Who buys: the owner of the wallet, or who spends from it."""
        return self.spender or self.account_id


@dataclass(frozen=True, slots=True)
class Bought:
    """A sale and its payment, as they stand: paid, or waiting for the payer's approval."""

    sale: Sale
    payment: Payment


def pay_order(ctx: Context, order_id: UUID, asker: Asker, *, tip_minor: int = 0) -> Bought:
    """Pay a QR order. The same payer again, while it is under way, goes on with the same payment.

    Errors: UnknownOrder, MerchantNotOpen, OrderPaid, OrderBeingPaid, OrderOver, InvalidInput for the tip;
    approval.NotDelegated; those by which payments refuses, and then the order is open again.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        _check_spender(tx, asker, at)
        claimed_by = qr_orders.get_order(tx, order_id).payment_id
    if claimed_by is not None:
        sync_sale(ctx, claimed_by)
    with ctx.tx() as tx:
        order, merchant = qr_orders.claim_order(
            ctx, tx, order_id, asker.account_id, at, spender=asker.spender
        )
        assert order.payment_id is not None, "a claim has a payment"
        sale = store.find_sale(tx, order.payment_id)
        if sale is None:
            sale = _sale(
                merchant,
                order.payment_id,
                asker,
                amount_minor=order.amount_minor,
                tip_minor=tip_minor_of(order, tip_minor),
                channel="order",
                order_id=order.order_id,
                bill_number=order.bill_number,
                till=order.till,
                at=at,
            )
            store.add_sale(tx, sale)
    until = min(order.expires_at, sale.begun_at + paying.PAY_WITHIN)
    return _begin(ctx, sale, merchant, until, asker)


def pay_shop(
    ctx: Context,
    form_id: UUID,
    merchant_id: UUID,
    asker: Asker,
    *,
    amount_minor: int,
    tip_minor: int = 0,
    bill_number: str = "",
    till: str = "",
) -> Bought:
    """Pay the code that stands on a shop's counter. form_id: made with the form, so that sending it twice pays once.

    Errors: UnknownMerchant, MerchantNotOpen, InvalidInput; approval.NotDelegated; those by which payments refuses.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        _check_spender(tx, asker, at)
        merchant = get_open_merchant(tx, merchant_id)
        wanted = _sale(
            merchant,
            paying.payment_id_of("static", form_id),
            asker,
            amount_minor=amount_minor,
            tip_minor=tip_minor,
            channel="static",
            bill_number=bill_text(bill_number),
            till=bill_text(till, "till"),
            at=at,
        )
        sale = _kept(tx, wanted)
    return _begin(ctx, sale, merchant, sale.begun_at + paying.PAY_WITHIN, asker)


def pay_by_code(
    ctx: Context,
    form_id: UUID,
    merchant_id: UUID,
    text: str,
    *,
    amount_minor: int,
    made_by: str,
    bill_number: str = "",
    till: str = "",
) -> Bought:
    """Take money by the code that a payer shows, which their phone may have made without network.

    The code is used up with this sale, whatever comes of it. Up to the policy's amount for codes it is paid at once;
    above, the payer approves it on the phone. Errors: UnknownMerchant, MerchantNotOpen, InvalidInput; the refusals of
    `payment_codes`; those by which payments refuses.
    """
    at = ctx.clock.now()
    payment_id = paying.payment_id_of("code", form_id)
    with ctx.tx() as tx:
        merchant = get_open_merchant(tx, merchant_id)
        code = payment_codes.take_payment_code(tx, ctx.directory, text, payment_id, at)
        asker = Asker(account_id=code.payer, by=made_by, spender=code.spender)
        wanted = _sale(
            merchant,
            payment_id,
            asker,
            amount_minor=amount_minor,
            tip_minor=0,
            channel="code",
            bill_number=bill_text(bill_number),
            till=bill_text(till, "till"),
            at=at,
        )
        sale = _kept(tx, wanted)
    evidence = json.dumps(code.evidence(), sort_keys=True)
    return _begin(ctx, sale, merchant, sale.begun_at + paying.PAY_WITHIN, asker, evidence)


def cancel_sale(ctx: Context, payment_id: UUID, *, by: str) -> Sale:
    """Call off a sale that is not paid. Where it is paid already it stays so. Errors: UnknownSale."""
    paying.cancel(ctx, payment_id, by)
    return sync_sale(ctx, payment_id)


def get_sale(ctx: Context, tx: Tx, payment_id: UUID) -> Sale:
    """The sale of a payment, with what was given back of it by now; of one that no till began, too.

    Errors: UnknownSale.
    """
    found = store.find_sale(tx, payment_id) or online.find_online(ctx, tx, payment_id)
    if found is None:
        raise UnknownSale
    return _with_refunds(ctx, tx, [found])[0]


def _written(tx: Tx, payment_id: UUID) -> Sale:
    """The sale of a payment, as it was last written down. Errors: UnknownSale."""
    sale = store.find_sale(tx, payment_id)
    if sale is None:
        raise UnknownSale
    return sale


def _with_refunds(ctx: Context, tx: Tx, sales: Sequence[Sale]) -> list[Sale]:
    """These sales with what was given back of them, or is on its way back, however that was asked for."""
    refunded: dict[UUID, int] = {}
    for one in _refunds(ctx, tx, sales):
        if one.state != "failed":
            refunded[one.payment_id] = refunded.get(one.payment_id, 0) + one.amount_minor
    return [replace(one, refunded_minor=refunded.get(one.payment_id, 0)) for one in sales]


def _refunds(ctx: Context, tx: Tx, sales: Sequence[Sale]) -> list[Refund]:
    """The refunds of these sales: those that payments knows, and those asked for here of which it does not know yet."""
    known = paying.refunds_of(ctx, tx, sales)
    ids = {one.refund_id for one in known}
    asked = store.list_refunds(tx, [one.payment_id for one in sales])
    return sorted(
        [*known, *(one for one in asked if one.refund_id not in ids)],
        key=lambda one: (one.asked_at, one.refund_id),
    )


def list_sales(
    ctx: Context, tx: Tx, merchant_id: UUID, *, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Sale]:
    """A shop's sales that are paid or under way, however they came, the newest first; those before a mark."""
    tills = store.list_sales(tx, merchant_id, before=before, limit=limit)
    since = tills[-1].begun_at if len(tills) == limit else None
    others = online.list_online(tx, get_merchant(tx, merchant_id), before=before, limit=limit, since=since)
    found = sorted([*tills, *others], key=lambda one: (one.begun_at, one.payment_id), reverse=True)
    return _with_refunds(ctx, tx, found[:limit])


def sync_sale(ctx: Context, payment_id: UUID) -> Sale:
    """Write down what came of a sale's payment, where that is known now; the sale as it stands. Again is harmless.

    Errors: UnknownSale.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        sale = get_sale(ctx, tx, payment_id)
        if sale.channel == "online":
            return sale
        if sale.state != "begun":
            return _with_refunds(ctx, tx, [sale])[0]
        payment = paying.find_payment(ctx, tx, payment_id)
    if payment is not None and payment.state is PaymentState.CREATED:
        paying.cancel(ctx, payment_id, sale.made_by)  # declined: it waits for a try that nobody will make
    with ctx.tx() as tx:
        # The order before the sale, as whoever claims locks them.
        order = None if sale.order_id is None else qr_orders.lock_order(tx, sale.order_id)
        locked = store.find_sale(tx, payment_id, lock=True)
        assert locked is not None, "a sale does not go"
        payment = paying.find_payment(ctx, tx, payment_id)
        standing = "none" if payment is None else paying.standing(payment)
        if locked.state != "begun" or standing == "alive":
            return locked
        if standing == "none" and at < locked.begun_at + CLAIM_LASTS:
            return locked
        if standing == "paid":
            assert payment is not None and payment.step is not None, "what is paid was made"
            done = replace(locked, state="paid", paid_at=payment.step.at)
        else:
            done = replace(locked, state="failed")
        store.set_sale(tx, done)
        if order is not None and order.payment_id == payment_id and order.state == "claimed":
            if done.state == "paid":
                qr_orders.end_order(tx, order, "paid", at)
            else:
                qr_orders.release_order(tx, order, at)
        return done


def refund(ctx: Context, refund_id: UUID, payment_id: UUID, *, amount: Money, reason: str, by: str) -> Refund:
    """Give money of a sale back to where it came from, in parts or whole. Again with the same id gives the same.

    Errors: UnknownSale; RefundTooLarge for more than is left, with refunds under way; RefundDiffers; InvalidInput.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        sale = get_sale(ctx, tx, payment_id)
    if sale.channel == "online":
        return _refund_online(ctx, sale, refund_id, amount=amount, reason=reason, by=by)
    with ctx.tx() as tx:
        asked = ask_refund(ctx, tx, refund_id, payment_id, amount=amount, reason=reason, by=by, at=at)
    return end_refund(ctx, asked)


def _refund_online(
    ctx: Context, sale: Sale, refund_id: UUID, *, amount: Money, reason: str, by: str
) -> Refund:
    """Give money of a sale back that no till began: payments keeps the refund, and is asked for it by the same id."""
    reason = plain_text(reason, "reason", REASON_MAX, least=1)
    with ctx.tx() as tx:
        known = next((one for one in _refunds(ctx, tx, [sale]) if one.refund_id == refund_id), None)
    if known is not None and known.amount_minor != amount.minor:
        raise RefundDiffers
    if known is not None and known.state != "asked":
        return known
    if sale.state != "paid":
        raise UnknownSale
    _check_back(amount, sale)
    if known is None and amount.minor > sale.left.minor:
        raise RefundTooLarge(f"{sale.left} is left of this sale.")
    asked = Refund(
        refund_id,
        sale.payment_id,
        sale.merchant_id,
        amount.minor,
        reason,
        by,
        ctx.clock.now(),
        "asked",
        None,
    )
    paying.give_back(ctx, asked)
    with ctx.tx() as tx:
        return next(
            (one for one in _refunds(ctx, tx, [sale]) if one.refund_id == refund_id),
            asked,
        )


def _check_back(amount: Money, sale: Sale) -> None:
    """Errors: InvalidInput for nothing, or money of another currency."""
    if amount.currency != sale.currency or amount.minor <= 0:
        problem = Problem("amount", f"it is {amount}", f"Give back more than nothing, in {sale.currency}")
        raise InvalidInput("This cannot be given back.", problems=(problem,))


def ask_refund(
    ctx: Context,
    tx: Tx,
    refund_id: UUID,
    payment_id: UUID,
    *,
    amount: Money,
    reason: str,
    by: str,
    at: datetime,
) -> Refund:
    """Write down a refund that ``end_refund`` then makes. Errors: as `refund`."""
    sale = store.find_sale(tx, payment_id, lock=True)
    if sale is None or sale.state != "paid":
        raise UnknownSale
    reason = plain_text(reason, "reason", REASON_MAX, least=1)
    known = store.find_refund(tx, refund_id)
    if known is not None:
        if (known.payment_id, known.amount_minor) != (payment_id, amount.minor):
            raise RefundDiffers
        return known
    _check_back(amount, sale)
    sale = _with_refunds(ctx, tx, [sale])[0]
    if amount.minor > sale.left.minor:
        raise RefundTooLarge(f"{sale.left} is left of this sale.")
    store.set_sale(tx, replace(sale, refunded_minor=sale.refunded_minor + amount.minor))
    asked = Refund(
        refund_id, payment_id, MerchantId(sale.merchant_id), amount.minor, reason, by, at, "asked", None
    )
    store.add_refund(tx, asked)
    return asked


def end_refund(ctx: Context, asked: Refund) -> Refund:
    """Have payments give the money back, and write down what came of it. Again is harmless."""
    if asked.state != "asked":
        return asked
    failed: HansaError | None = None
    try:
        done = paying.give_back(ctx, asked)
    except HansaError as error:
        if error.status >= 500:
            raise  # not known: whoever comes next, or finish, does it again
        done, failed = False, error
    at = ctx.clock.now()
    with ctx.tx() as tx:
        sale = store.find_sale(tx, asked.payment_id, lock=True)
        assert sale is not None, "a sale does not go"
        told = {None: "", True: "done", False: "failed"}[done]
        if told and store.end_refund(tx, asked.refund_id, told, at) and not done:
            store.set_sale(tx, replace(sale, refunded_minor=max(0, sale.refunded_minor - asked.amount_minor)))
        ended = store.find_refund(tx, asked.refund_id)
        assert ended is not None, "a refund does not go"
    if failed is not None:
        raise failed
    return ended


def list_refunds(ctx: Context, tx: Tx, sale: Sale) -> list[Refund]:
    """The refunds of a sale, however they were asked for, the oldest first."""
    return _refunds(ctx, tx, [sale])


def finish(ctx: Context, *, patience: timedelta = CLAIM_LASTS) -> int:
    """End what a crash, or a payer who walked away, left: sales, refunds, orders whose time is up; gives how many.

    patience: how old a sale must be, so that nobody is at it any more.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        sales = store.unfinished_sales(tx, at - patience, FINISHED_AT_ONCE)
        refunds = store.unfinished_refunds(tx, FINISHED_AT_ONCE)
    ended = sum(sync_sale(ctx, payment_id).state != "begun" for payment_id in sales)
    for one in refunds:
        if one.asked_at <= at - patience:
            try:
                ended += end_refund(ctx, one).state != "asked"
            except HansaError as error:
                if error.status >= 500:
                    raise
                ended += 1
    with ctx.tx() as tx:
        due = store.due_orders(tx, at, FINISHED_AT_ONCE)
    for order_id in due:
        with ctx.tx() as tx:
            order = qr_orders.lock_order(tx, order_id)
            if order.state == "open" and at >= order.expires_at:
                qr_orders.end_order(tx, order, "expired", at)
                ended += 1
    return ended


def forget(ctx: Context) -> int:
    """Let go of used payment codes whose tokens have ended; gives how many."""
    with ctx.tx() as tx:
        return payment_codes.forget_used_codes(tx, ctx.clock.now())


def _begin(
    ctx: Context, sale: Sale, merchant: Merchant, until: datetime, asker: Asker, evidence: str = ""
) -> Bought:
    try:
        payment = paying.begin(
            ctx,
            sale,
            merchant,
            until=until,
            evidence=evidence,
            session_at=asker.session_at,
            credential_at=asker.credential_at,
            quote_id=asker.quote_id,
        )
    except HansaError as refused:
        if refused.status < 500:
            _fail(ctx, sale.payment_id)
        raise
    return Bought(sync_sale(ctx, sale.payment_id), payment)


def _fail(ctx: Context, payment_id: UUID) -> None:
    """The payment was refused before it was made, or came to nothing: the order is open again at once."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        sale = _written(tx, payment_id)
        order = None if sale.order_id is None else qr_orders.lock_order(tx, sale.order_id)
        locked = store.find_sale(tx, payment_id, lock=True)
        assert locked is not None, "a sale does not go"
        if locked.state != "begun" or paying.standing_of(ctx, tx, payment_id) in ("alive", "paid"):
            return
        store.set_sale(tx, replace(locked, state="failed"))
        if order is not None and order.payment_id == payment_id and order.state == "claimed":
            qr_orders.release_order(tx, order, at)


def _check_spender(tx: Tx, asker: Asker, at: datetime) -> None:
    """Go on where nobody spends from another's wallet whom its owner does not let. Errors: approval.NotDelegated."""
    if asker.spender is None or asker.spender == asker.account_id:
        return
    if approval.use_delegation(tx, asker.account_id, asker.spender, at) is None:
        raise approval.NotDelegated


def _kept(tx: Tx, wanted: Sale) -> Sale:
    """The sale as it is kept under its id. Errors: InvalidInput where that is another one."""
    store.add_sale(tx, wanted)
    kept = _written(tx, wanted.payment_id)
    said = (wanted.merchant_id, wanted.payer, wanted.spender, wanted.total)
    if (kept.merchant_id, kept.payer, kept.spender, kept.total) != said:
        problem = Problem("form_id", "it stands for another payment", "Open the form again")
        raise InvalidInput("This was sent before with other figures.", problems=(problem,))
    return kept


def _sale(
    merchant: Merchant,
    payment_id: UUID,
    asker: Asker,
    *,
    amount_minor: int,
    tip_minor: int,
    channel: Channel,
    at: datetime,
    order_id: UUID | None = None,
    bill_number: str = "",
    till: str = "",
) -> Sale:
    if not 0 < amount_minor <= qr_orders.AMOUNT_MAX or not 0 <= tip_minor <= amount_minor:
        where = "tip" if 0 < amount_minor <= qr_orders.AMOUNT_MAX else "amount"
        problem = Problem(
            where, "it is not within what can be paid", "Give more than nothing, and a smaller tip"
        )
        raise InvalidInput("This cannot be paid.", problems=(problem,))
    return Sale(
        payment_id=payment_id,
        merchant_id=merchant.merchant_id,
        order_id=order_id,
        payer=asker.account_id,
        amount_minor=amount_minor,
        tip_minor=tip_minor,
        currency=merchant.currency,
        channel=channel,
        bill_number=bill_number,
        till=till,
        made_by=asker.by,
        begun_at=at,
        state="begun",
        paid_at=None,
        refunded_minor=0,
        fee_bp=merchant.fee_bp,
        spender=asker.spender,
    )
