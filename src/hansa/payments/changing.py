"""What is done to payments afterwards: capture, void, cancel, refund; what time does to them; and looking at them.

A payment has one thing done to it at a time: what is intended is written down as its one intent, the ledger is asked,
and what it says is the next step. Whoever comes meanwhile ends that first, so a crash holds up nobody.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from hansa import identity
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Money, Problem, fact_id, fault_of_text
from hansa.payments import life_store
from hansa.payments.carrying import Doing, carry, keep, step_of
from hansa.payments.connectors import Connectors
from hansa.payments.life import Action, PaymentState, after
from hansa.payments.model import Step as Watch
from hansa.payments.model import no_step
from hansa.payments.paying import LEASE, NOBODY, advance, end_intent, finish_batches, locked, settled
from hansa.payments.payment import (
    REFERENCE_MAX,
    WORDS_MAX,
    Held,
    Intent,
    MoreThanCaptured,
    MoreThanHeld,
    Payer,
    PayerGone,
    Payment,
    PaymentDiffers,
    PaymentInFlight,
    Refund,
    Step,
    UnknownPayment,
    UnknownRefund,
)
from hansa.store import Bookmark, Context, Tx


def capture(
    ctx: Context,
    payment_id: UUID,
    *,
    capture_id: UUID,
    by: str,
    minor: int | None = None,
    final: bool = True,
    watch: Watch = no_step,
) -> Payment:
    """Give the payee what is held, or a part of it; gives the payment as it then stands.

    capture_id: the same for the same capture. minor: all that is held unless given. final: give the rest back to the
    payer; else it stays held for more captures. Errors: UnknownPayment, MoreThanHeld, StateForbids, InvalidInput;
    PaymentDiffers where the id is another capture's.
    """
    if minor is not None and minor < 1:
        raise _unfit("amount.minor", f"it is {minor}", "Capture at least 1")
    payment = settled(ctx, payment_id, watch=watch)
    key = (payment.partition, payment_id)
    with ctx.tx() as tx:
        payment = locked(tx, key)
        known = _find_step(tx, payment, capture_id)
        if known is not None:
            if minor not in (None, known.amount_minor):
                raise PaymentDiffers(f"Capture {capture_id} is known with other content.")
            return payment
        after(payment.state, Action.CAPTURE)
        if not payment.held_minor or (minor or 0) > payment.held_minor:
            raise MoreThanHeld(
                f"{payment.held_minor} is held for this payment, and {payment.captured_minor} captured, in minor units."
            )
        intent = Intent(
            action=Action.CAPTURE,
            at=ctx.clock.now(),
            by=by,
            subject_id=capture_id,
            amount_minor=minor or payment.held_minor,
            final=final,
        )
        life_store.intend(tx, key, intent)
    watch("intended")
    return carry(ctx, [(payment, intent)], watch)[payment_id]


def void(ctx: Context, payment_id: UUID, *, by: str, words: str = "", watch: Watch = no_step) -> Payment:
    """Give back what is held; what was captured stays the payee's. Again is harmless.

    Errors: UnknownPayment, StateForbids where nothing is held.
    """
    payment = settled(ctx, payment_id, watch=watch)
    key = (payment.partition, payment_id)
    with ctx.tx() as tx:
        payment = locked(tx, key)
        if payment.state is PaymentState.VOIDED or _was_last(payment, Action.VOID):
            return payment
        after(payment.state, Action.VOID)
        if not payment.held_minor:
            after(PaymentState.REVERSED, Action.VOID)  # which says what to do instead
        intent = _end_of_hold(payment, Action.VOID, ctx.clock.now(), by, words)
        life_store.intend(tx, key, intent)
    watch("intended")
    return carry(ctx, [(payment, intent)], watch)[payment_id]


def cancel(ctx: Context, payment_id: UUID, *, by: str, words: str = "", watch: Watch = no_step) -> Payment:
    """Call off a payment that nobody paid yet. Again is harmless.

    Should a connector bring its money all the same, that goes back by itself. Errors: UnknownPayment, StateForbids.
    """
    payment = settled(ctx, payment_id, watch=watch)
    with ctx.tx() as tx:
        payment = locked(tx, (payment.partition, payment_id))
        if payment.state is PaymentState.CANCELED:
            return payment
        step = step_of(payment, Action.CANCEL, at=ctx.clock.now(), by=by, words=words[:WORDS_MAX])
        return keep(tx, [(payment, step)])[payment_id]


def refund(
    ctx: Context,
    payment_id: UUID,
    *,
    refund_id: UUID,
    by: str,
    minor: int | None = None,
    reference: str = "",
    reason: str = "",
    connectors: Connectors = NOBODY,
    watch: Watch = no_step,
) -> Refund:
    """Give back what was captured, or a part, to where it came from; gives the refund as it then stands.

    refund_id: the same for the same refund. minor: all that is left unless given. One whose connector gives no clear
    answer stays pending and is ended later. Errors: UnknownPayment, MoreThanCaptured, PayerGone, StateForbids,
    InvalidInput; PaymentDiffers where the id is another refund's.
    """
    _check_refund(minor, reference, reason)
    payment = settled(ctx, payment_id, connectors=connectors, watch=watch)
    key = (payment.partition, payment_id)
    with ctx.tx() as tx:
        payment = locked(tx, key)
        known = life_store.find_refund(tx, [payment.partition], refund_id)
        if known is not None:
            if known.payment_id != payment_id or minor not in (None, known.amount.minor):
                raise PaymentDiffers(f"Refund {refund_id} is known with other content.")
            return known
        after(payment.state, Action.REFUND)
        left = payment.captured_minor - payment.refunded_minor
        if (minor or 1) > left:
            raise MoreThanCaptured(f"{left} of this payment is left to refund, in minor units.")
        payer = payment.payer
        if payer is not None and payer.account_id is not None and identity.is_closed(tx, payer.account_id):
            raise PayerGone
        intent = Intent(
            action=Action.REFUND,
            at=ctx.clock.now(),
            by=by,
            subject_id=refund_id,
            amount_minor=minor or left,
        )
        life_store.intend(tx, key, intent)
        asked = Refund(
            refund_id=refund_id,
            payment_id=payment_id,
            partition=payment.partition,
            amount=Money(intent.amount_minor, payment.amount.currency),
            reference=reference,
            reason=reason,
            state="pending",
            by=by,
            asked_at=intent.at,
        )
        life_store.add_refund(tx, asked)
    watch("intended")
    try:
        end_intent(ctx, payment, intent, connectors, watch)
    except PaymentInFlight:
        return asked
    with ctx.tx() as tx:
        return life_store.find_refund(tx, [payment.partition], refund_id) or asked


def settle(tx: Tx, keys: list[life_store.Key], *, at: datetime, by: str) -> int:
    """What these payments' issuers owed is settled: those that are captured and hold nothing more are so; how many."""
    found = life_store.find(tx, keys).values()
    ready = [one for one in found if one.state is PaymentState.CAPTURED and not one.held_minor]
    return len(keep(tx, [(one, step_of(one, Action.SETTLE, at=at, by=by)) for one in ready]))


def heard_to(tx: Tx) -> Bookmark:
    """Up to where what becomes of settlement windows was heard of."""
    return life_store.heard(tx)


def hear_to(tx: Tx, bookmark: Bookmark) -> None:
    """What becomes of settlement windows was heard of up to here; never back."""
    life_store.hear(tx, bookmark)


def acquirers(tx: Tx) -> list[tuple[str, str]]:
    """Members that have payees, by the currency of those."""
    return life_store.acquirers(tx)


def turn(ctx: Context, *, connectors: Connectors = NOBODY, limit: int = 1_000, watch: Watch = no_step) -> int:
    """What time does: offers and approvals end, holds are given back, connectors are asked again, what a crash left
    is ended; gives how much was done. It may be killed at any time, and run beside others.
    """
    now = ctx.clock.now()
    done = finish_payments(ctx, older_than=LEASE, connectors=connectors, watch=watch)
    with ctx.tx() as tx:
        due = life_store.list_due(tx, now, limit)
        found = life_store.find(tx, due)
    doing: list[Doing] = []
    for one in found.values():
        done += _expire(ctx, one, now, doing, connectors, watch)
    with ctx.tx() as tx:
        doing = [(one, intent) for one, intent in doing if _intends(tx, one, intent)]
    carry(ctx, doing, watch)
    return done + len(doing)


def finish_payments(
    ctx: Context,
    *,
    older_than: timedelta = timedelta(0),
    connectors: Connectors = NOBODY,
    watch: Watch = no_step,
) -> int:
    """End what a crash left between the ledger's word and ours; gives how many payments went on.

    older_than: leave younger ones to whoever is at them.
    """
    since = ctx.clock.now() - older_than
    done = finish_batches(ctx, since, watch=watch)
    with ctx.tx() as tx:
        intents = life_store.list_intents(tx, since, 1_000)
        found = life_store.find(tx, [key for key, _ in intents])
    for (_, payment_id), intent in intents:
        try:
            end_intent(ctx, found[payment_id], intent, connectors, watch)
        except PaymentInFlight:
            continue
        done += 1
    return done


# --- looking


def get_payment(tx: Tx, payment_id: UUID, *, partition: int = 0) -> Payment:
    """A payment as it stands. partition: of its id, by the directory. Errors: UnknownPayment."""
    found = life_store.find(tx, [(partition, payment_id)]).get(payment_id)
    if found is None:
        raise UnknownPayment(f"There is no payment {payment_id}.")
    return found


def find_payments(tx: Tx, keys: list[life_store.Key]) -> dict[UUID, Payment]:
    """Those of these payments, by partition and id, that there are."""
    return life_store.find(tx, keys)


def list_payments(
    tx: Tx,
    *,
    payee_id: str | None = None,
    acquirer_id: str | None = None,
    payer: AccountId | None = None,
    qr_order_id: UUID | None = None,
    state: PaymentState | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 100,
) -> list[Payment]:
    """Payments of which all that is given is true, latest first; before an instant and a payment of that instant.

    At most one of payee_id, acquirer_id, payer and qr_order_id; of a payer, all states.
    """
    at, last = before or ("infinity", UUID(int=2**128 - 1))
    if payer is not None:
        return life_store.list_of_payer(tx, payer, (at, last), limit)
    values = {"at": at, "id": last, "limit": limit, "state": state}
    wanted = {"payee": payee_id, "acquirer": acquirer_id, "order": qr_order_id}
    by = next((name for name, one in wanted.items() if one is not None), "")
    return life_store.list_payments(tx, by, values | wanted)


def steps_of(tx: Tx, payment: Payment) -> list[Step]:
    """All steps of a payment, in order."""
    return life_store.steps_of(tx, (payment.partition, payment.payment_id))


def payers_of(tx: Tx, payment: Payment) -> list[Payer]:
    """Who came to pay it, try by try."""
    own = [] if payment.is_offer or payment.payer is None else [payment.payer]
    return own + life_store.payers_of(tx, (payment.partition, payment.payment_id))


def refunds_of(tx: Tx, payment: Payment) -> list[Refund]:
    """The refunds of a payment, in order."""
    return life_store.refunds_of(tx, (payment.partition, payment.payment_id))


def refunds_of_all(tx: Tx, keys: Collection[tuple[int, UUID]]) -> list[Refund]:
    """The refunds of several payments, in order. keys: partition and id of each."""
    return life_store.refunds_of_all(tx, keys) if keys else []


def refunds_settled(
    tx: Tx, *, first: datetime, end: datetime, payee_id: str | None = None, limit: int | None = None
) -> list[Refund]:
    """Refunds that were done from an instant on, before another, in order; of one payee, or of all."""
    return life_store.refunds_settled(tx, first, end, payee_id, limit)


def get_refund(ctx: Context, tx: Tx, refund_id: UUID) -> Refund:
    """A refund. Errors: UnknownRefund."""
    found = life_store.find_refund(tx, ctx.directory.partitions, refund_id)
    if found is None:
        raise UnknownRefund(f"There is no refund {refund_id}.")
    return found


def list_refunds(
    tx: Tx,
    *,
    payee_id: str | None = None,
    acquirer_id: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 100,
) -> list[Refund]:
    """Refunds of which all that is given is true, latest first; before an instant and a refund of that instant."""
    at, last = before or ("infinity", UUID(int=2**128 - 1))
    values = {"at": at, "id": last, "limit": limit, "payee": payee_id, "acquirer": acquirer_id}
    return life_store.list_refunds(tx, values)


def holds_of(tx: Tx, account_id: AccountId) -> list[Held]:
    """What is held of an account's wallets for payments, the first to end first."""
    return life_store.held_for(tx, account_id)


# --- inside


def _find_step(tx: Tx, payment: Payment, subject_id: UUID) -> Step | None:
    """The step of this capture, where it was made."""
    return next((one for one in steps_of(tx, payment) if one.subject_id == subject_id), None)


def _was_last(payment: Payment, action: Action) -> bool:
    return payment.step is not None and payment.step.action is action


def _end_of_hold(payment: Payment, action: Action, at: datetime, by: str, words: str = "") -> Intent:
    holds = 0 if payment.step is None else payment.step.holds
    subject = fact_id(None, f"payment {action}", payment.spend_id, holds)
    return Intent(action=action, at=at, by=by, subject_id=subject, words=words[:WORDS_MAX])


def _expire(
    ctx: Context, payment: Payment, now: datetime, doing: list[Doing], connectors: Connectors, watch: Watch
) -> int:
    """See to a payment whose time has come; holds are added to ``doing``, to be ended together."""
    match payment.state:
        case PaymentState.CREATED | PaymentState.REQUIRES_APPROVAL:
            with ctx.tx() as tx:
                try:
                    payment = locked(tx, (payment.partition, payment.payment_id))
                except PaymentInFlight:
                    return 0
                if payment.state not in (PaymentState.CREATED, PaymentState.REQUIRES_APPROVAL):
                    return 0
                keep(tx, [(payment, step_of(payment, Action.EXPIRE, at=now, by="time"))])
            return 1
        case PaymentState.AUTHORIZED | PaymentState.CAPTURED:
            doing.append((payment, _end_of_hold(payment, Action.EXPIRE, now, "time")))
            return 0
        case _:
            try:
                advance(ctx, payment.payment_id, connectors=connectors, watch=watch)
            except PaymentInFlight:
                return 0
            return 0


def _intends(tx: Tx, payment: Payment, intent: Intent) -> bool:
    """Write down that a hold ends, if nobody is at the payment and it is as it was."""
    key = (payment.partition, payment.payment_id)
    try:
        now = locked(tx, key)
    except PaymentInFlight:
        return False
    if now.step != payment.step or not now.held_minor:
        return False
    life_store.intend(tx, key, intent)
    return True


def _check_refund(minor: int | None, reference: str, reason: str) -> None:
    if minor is not None and minor < 1:
        raise _unfit("amount.minor", f"it is {minor}", "Refund at least 1")
    for name, text, most in (("reference", reference, REFERENCE_MAX), ("reason", reason, WORDS_MAX)):
        what = f"it has {len(text)} characters" if len(text) > most else fault_of_text(text)
        if what:
            raise _unfit(name, what, f"Send at most {most} characters, on one line")


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}.", problems=(Problem(where, what, remedy),))
