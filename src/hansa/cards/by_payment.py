"""Cards of other issuers, paid from the holder's wallet by a payment like any other: to a payee that the issuer is.

What moves between two issuers moves as payments do: the holder's issuer owes the card's on a position, which clears.
The payment's id is worked out from the card and the attempt, so it is made once whatever is killed; the money that the
payee was given is then the price and the deposit, as at a counter.
"""

from datetime import datetime
from uuid import UUID

from hansa import clearing, identity, payments, trust
from hansa.approval import Channel
from hansa.cards import fees_store
from hansa.cards.model import Card, Fee
from hansa.identity import AccountId
from hansa.kernel import HansaError, fact_id
from hansa.payments import NewPayment, Payee, Payment, PaymentState
from hansa.store import Context, Tx

TRANSPORT = "4111"
"""The merchant category of city cards: local transport (ISO 18245)."""

PAID = (PaymentState.CAPTURED, PaymentState.SETTLED)
UNDER_WAY = (
    PaymentState.PROCESSING,
    PaymentState.REQUIRES_APPROVAL,
    PaymentState.UNKNOWN,
    PaymentState.AUTHORIZED,
)


def payee_of(issuer_id: str, currency: str) -> str:
    """The payee that an issuer is for its cards."""
    return f"cards-{issuer_id}"[:60] + f"-{currency.lower()}"


def payment_of(fee: Fee) -> UUID:
    """The payment of this attempt."""
    return fact_id(None, "card payment", fee.card_id, fee.attempt)


def find(ctx: Context, tx: Tx, fee: Fee) -> Payment | None:
    """The payment of this attempt, if it was made."""
    payment_id = payment_of(fee)
    try:
        return payments.get_payment(tx, payment_id, partition=ctx.directory.partition_of(payment_id))
    except payments.UnknownPayment:
        return None


def go_on(ctx: Context, card: Card, fee: Fee, *, session_at: datetime | None = None) -> bool | None:
    """Make the payment of this attempt, or look how it stands. True: paid; None: under way; False: it came to nothing.

    Again is harmless. Errors: those by which payments refuses before a payment is made; none was made then, and none
    will be by this id.
    """
    with ctx.tx() as tx:
        known = find(ctx, tx, fee)
    if known is None:
        _open(ctx, fee)
        (answer,) = payments.create(
            ctx,
            [
                NewPayment(
                    payment_id=payment_of(fee),
                    payee_id=payee_of(fee.issuer_id, fee.currency),
                    amount=fee.total,
                    by=f"person:{fee.account_id}",
                    payer=AccountId(fee.account_id),
                    channel=Channel.ONLINE,
                    reference=str(fee.card_id),
                    description=card.product.name,
                    next_url=f"/wallet/cards/{fee.card_id}",
                    session_at=session_at,
                    quote_id=fee.quote_id,
                )
            ],
        )
        if isinstance(answer, HansaError):
            raise answer
        known = answer
    if known.state in PAID:
        return True
    if known.state in UNDER_WAY:
        return None
    if known.state is PaymentState.CREATED:  # declined: it waits for a try that nobody will make
        payments.cancel(ctx, known.payment_id, by=known.by)
    return False


def _open(ctx: Context, fee: Fee) -> None:
    """Let the issuer be paid for its cards, by the holder's issuer. Again is harmless."""
    with ctx.tx() as tx:
        payer_issuer = identity.get_account(tx, AccountId(fee.account_id)).issuer_id
        name = trust.get_member(tx, trust.MemberId(fee.issuer_id)).name
        known = payments.find_payees(tx, [payee_of(fee.issuer_id, fee.currency)])
    if payer_issuer != fee.issuer_id:
        clearing.open_positions(ctx, [(payer_issuer, fee.issuer_id, fee.currency)])
    if not known:
        payee = Payee(
            payee_id=payee_of(fee.issuer_id, fee.currency),
            member_id=fee.issuer_id,
            name=name[:100],
            currency=fee.currency,
            category=TRANSPORT,
        )
        payments.open_payees(ctx, [payee])


def mark_begun(tx: Tx, fee: Fee, at: datetime, quote_id: UUID | None = None) -> None:
    """Write down that this attempt is paid by a payment, and by which quote, before that is made."""
    fees_store.move(tx, fee.card_id, "paying", at, way="payment", quote_id=quote_id)
