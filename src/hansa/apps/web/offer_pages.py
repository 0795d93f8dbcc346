"""The page on which whoever comes pays what a shop asked for online: from their own wallet, or one they may spend from.

A shop sends its customer here by the address that `next_action` of its payment tells. Whoever has that address sees the
payment until somebody pays it; from then on its payer alone does, and who paid it in an owner's name.
"""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from hansa import approval, identity, payments
from hansa.apps.web.callers import find_signed_in, get_signed_in
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.pay_pages import told_of
from hansa.apps.web.site import Here, Site
from hansa.identity import AccountId
from hansa.kernel import HansaError
from hansa.payments import Payment, PaymentState
from hansa.store import Tx

Asked = Request[Any, Any, Any]

PAID = (PaymentState.AUTHORIZED, PaymentState.CAPTURED, PaymentState.SETTLED)
OPEN = (PaymentState.CREATED,)


class OfferForm(msgspec.Struct, frozen=True):
    """A payment to pay. owner_id: whose wallet pays it, where somebody lets the person spend; empty for their own."""

    owner_id: Annotated[str, msgspec.Meta(max_length=36)] = ""


@get("/wallet/pay/offer/{payment_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_offer(request: Asked, site: Here, payment_id: FromPath[UUID]) -> Response[Any]:
    """What is asked for, and the button that pays it."""
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    return _offer_page(request, site, found[1], payment_id)


@post("/wallet/pay/offer/{payment_id:uuid}", sync_to_thread=True, include_in_schema=False)
def pay_offer(
    request: Asked,
    site: Here,
    payment_id: FromPath[UUID],
    data: Annotated[OfferForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Pay it, once however often the button is pressed."""
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    me, address = account.account_id, f"/wallet/pay/offer/{payment_id}"
    with site.ctx.tx() as tx:
        _visible(tx, site, payment_id, me)
    try:
        owner = _owner(site, me, data.owner_id)
        paid = payments.pay(
            site.ctx,
            payment_id,
            owner or me,
            by=f"person:{me}",
            session_at=session.authenticated_at,
            spender=me if owner else None,
            next_url=address,
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _offer_page(request, site, account, payment_id, refused=told_of(refused, say))
    if paid.state is PaymentState.REQUIRES_APPROVAL:
        address = f"/wallet/approvals/{approval.approval_id_of(payments.SUBJECT, paid.spend_id)}"
    return Redirect(address, status_code=303)


def _owner(site: Site, me: AccountId, text: str) -> AccountId | None:
    """Whose wallet pays, if not one's own. Errors: approval.NotDelegated where they do not let one spend now."""
    if not text:
        return None
    try:
        owner = AccountId(UUID(text))
    except ValueError as error:
        raise approval.NotDelegated from error
    if owner == me:
        return None
    with site.ctx.tx() as tx:
        if approval.use_delegation(tx, owner, me, site.ctx.clock.now()) is None:
            raise approval.NotDelegated
    return owner


def _visible(tx: Tx, site: Site, payment_id: UUID, me: AccountId) -> Payment:
    """The payment, for whoever may pay it, or has. Errors: payments.UnknownPayment for all others."""
    payment = payments.get_payment(tx, payment_id, partition=site.ctx.directory.partition_of(payment_id))
    payer = None if payment.payer is None else payment.payer.account_id
    mine = payer == me or any(one.by == f"person:{me}" for one in payments.steps_of(tx, payment))
    if not mine and not (payment.is_offer and payment.state in OPEN):
        raise payments.UnknownPayment(f"There is no payment {payment_id}.")
    return payment


def _offer_page(
    request: Asked, site: Site, account: identity.Account, payment_id: UUID, *, refused: str = ""
) -> Response[str]:
    say, now = words_for(request, account_language=account.language), site.ctx.clock.now()
    me = account.account_id
    with site.ctx.tx() as tx:
        payment = _visible(tx, site, payment_id, me)
        payee = payments.get_payee(tx, payment.payee_id)
        held = payments.balance_of(tx, me, partition=site.ctx.directory.partition_of(me))
        lent = [
            one
            for one in approval.list_delegations_to(tx, me)
            if one.state(now) == "active" and one.currency == payment.amount.currency
        ]
        owners = identity.find_accounts(tx, [one.account_id for one in lent])
    reason = ""
    if payment.state is PaymentState.FAILED and payment.step is not None:
        kind = payments.REASONS.get(payment.step.reason)
        reason = told_of(kind(), say) if kind is not None else payment.step.words
    answer = page(
        "wallet/pay_offer.html",
        here="pay",
        account=account,
        say=say,
        payment=payment,
        payee=payee,
        held=next((one for one in held if one.currency == payment.amount.currency), None),
        owners=[(one.account_id, one.name) for one in owners.values()],
        paid=payment.state in PAID,
        open=payment.is_offer and payment.state in OPEN and now < payment.expires_at,
        approve=f"/wallet/approvals/{approval.approval_id_of(payments.SUBJECT, payment.spend_id)}"
        if payment.state is PaymentState.REQUIRES_APPROVAL
        else "",
        refused=refused,
        reason=reason,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


ROUTES = [show_offer, pay_offer]
