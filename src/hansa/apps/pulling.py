"""Announced payments that are due: taken as payments of the same ids under their mandates, once whatever breaks.

One that lacked money is tried again on the days that its payer signed, each time as a payment of its own.

The payment is made first and what became of it is kept after it; a kill between the two makes the same payment again,
which payments answers with what it came to.
"""

from hansa import approval, payments
from hansa.kernel import HansaError
from hansa.payments import NewPayment, Payment, PaymentState
from hansa.store import Context

PAYEE = "payee:"
TAKEN = (PaymentState.CAPTURED, PaymentState.SETTLED)
UNDER_WAY = (PaymentState.PROCESSING, PaymentState.REQUIRES_APPROVAL)
"""A large one may need its payer's approval all the same."""


def turn(ctx: Context, *, limit: int = 500) -> int:
    """Remind payers, and take what is due; gives how many things were done."""
    done = approval.remind_of_pulls(ctx, limit=limit)
    at = ctx.clock.now()
    with ctx.tx() as tx:
        due = approval.due_pulls(tx, at, limit=limit)
    new = [
        NewPayment(
            payment_id=pull.payment_id,
            payee_id=mandate.payee_key.removeprefix(PAYEE),
            amount=pull.amount,
            by=f"mandate:{mandate.mandate_id}",
            payer=mandate.account_id,
            method="mandate",
            mandate_id=mandate.mandate_id,
            reference=pull.reference,
            description=mandate.reference,
        )
        for pull, mandate in due
    ]
    answers = payments.create(ctx, new) if new else []
    partition_of = ctx.directory.partition_of
    keys = [(partition_of(pull.payment_id), pull.payment_id) for pull, _ in due]
    with ctx.tx() as tx:
        # As they stand now: a payment that was made before is answered as it was then.
        stand = payments.find_payments(tx, keys)
    for (pull, mandate), answer in zip(due, answers, strict=True):
        outcome = _outcome(stand.get(pull.payment_id, answer))
        if outcome is not None:
            done += _keep(ctx, pull, mandate, *outcome)
    return done


def _keep(ctx: Context, pull: approval.Pull, mandate: approval.Mandate, taken: bool, reason: str) -> int:
    """Keep what became of one: it was taken, is tried again on a later day, or failed; gives how many were kept."""
    at = ctx.clock.now()
    lacked = reason == payments.InsufficientFunds.code
    with ctx.tx() as tx:
        if not taken and lacked and approval.retry_pull(tx, pull, mandate, at, reason=reason) is not None:
            return 1
        return approval.end_pull(tx, pull, mandate, "taken" if taken else "failed", at, reason=reason)


def _outcome(answer: payments.Answer) -> tuple[bool, str] | None:
    """Whether it was taken, and why not; None where that is not known yet."""
    if isinstance(answer, Payment):
        if answer.state in TAKEN:
            return True, ""
        reason = "" if answer.step is None else answer.step.reason
        return None if answer.state in UNDER_WAY else (False, reason)
    assert isinstance(answer, HansaError), answer
    if isinstance(answer, payments.PaymentInFlight) or answer.status >= 500:
        return None
    return False, answer.code
