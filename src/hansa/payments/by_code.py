"""Payments by the code that a payer shows: read, used up, and paid, by whichever way a shop sends it in."""

import json
from dataclasses import replace

from hansa.approval import Channel
from hansa.kernel import HansaError
from hansa.payments import payees, payment_codes
from hansa.payments.model import Step as Watch
from hansa.payments.model import no_step
from hansa.payments.paying import create
from hansa.payments.payment import Answer, NewPayment, UnknownPayeeId, WrongPayeeCurrency, check_new
from hansa.payments.payment_codes import PaymentCode
from hansa.store import Context


def by_code(new: NewPayment, code: PaymentCode) -> NewPayment:
    """This payment as the payer's of the code, with what shows that they gave it."""
    evidence = json.dumps(code.evidence(), sort_keys=True)
    return replace(
        new,
        payer=code.payer,
        spender=code.spender,
        method="code",
        channel=Channel.CODE,
        evidence=evidence,
    )


def create_by_code(ctx: Context, new: NewPayment, text: str, *, watch: Watch = no_step) -> Answer:
    """Take a payment by the code that its payer shows, as scanned; the answer, as ``create`` gives it.

    new: without payer and evidence. The code is used up by it, whatever becomes of the payment; one that cannot be
    taken at all uses none. The same again, with the same code, gives the first answer also when the code is old.
    Errors, given: those of ``create``, and the refusals of ``payment_codes``; nothing is kept then.
    """
    at = ctx.clock.now()
    try:
        with ctx.tx() as tx:
            payee = payees.get_payee(tx, new.payee_id)
            if new.acquirer_id not in (None, payee.member_id):
                raise UnknownPayeeId(f"There is no payee {new.payee_id[:64]!r}.")
            if payee.currency != new.amount.currency:
                raise WrongPayeeCurrency
            code = payment_codes.take_payment_code(tx, ctx.directory, text, new.payment_id, at)
            new = by_code(new, code)
            if (unfit := check_new(new, at)) is not None:
                raise unfit
    except HansaError as refused:
        return refused
    watch("code used")
    return create(ctx, [new], watch=watch)[0]
