"""The page on which whoever comes pays what a shop asked for online: from their own wallet, or one they may spend from.

A shop sends its customer here by the address that `next_action` of its payment tells. Whoever has that address sees the
payment until somebody pays it; from then on its payer alone does, and who paid it in an owner's name. ``return_to`` in
that address is where the customer may go back to, on a site that the shop named before (`hansa.merchants.offers`).
"""

from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, identity, merchants, payments
from hansa.apps.web.callers import find_signed_in, get_signed_in
from hansa.apps.web.going_on import sign_in_first
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.lent_wallets import lent_wallets, name_of, owner_of
from hansa.apps.web.pages import page
from hansa.apps.web.pay_pages import offer_address, reason_of, told_of
from hansa.apps.web.site import Here, Site
from hansa.identity import AccountId
from hansa.kernel import HansaError
from hansa.merchants import RETURN_MAX
from hansa.payments import Payment, PaymentState
from hansa.store import Tx

Asked = Request[Any, Any, Any]

PAID = (PaymentState.AUTHORIZED, PaymentState.CAPTURED, PaymentState.SETTLED)
OPEN = (PaymentState.CREATED,)


class OfferForm(msgspec.Struct, frozen=True):
    """A payment to pay. owner_id: whose wallet pays it, where somebody lets the person spend; empty for their own.

    return_to: where they go back to, as the page before had it.
    """

    owner_id: Annotated[str, msgspec.Meta(max_length=36)] = ""
    return_to: Annotated[str, msgspec.Meta(max_length=RETURN_MAX)] = ""


@get("/wallet/pay/offer/{payment_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_offer(
    request: Asked,
    site: Here,
    payment_id: FromPath[UUID],
    return_to: Annotated[str, QueryParameter(max_length=RETURN_MAX)] = "",
) -> Response[Any]:
    """What is asked for, and the button that pays it."""
    found = find_signed_in(request, site)
    if found is None:
        return sign_in_first(request)
    return _offer_page(request, site, found[1], payment_id, return_to)


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
    me = account.account_id
    with site.ctx.tx() as tx:
        payment = visible_offer(tx, site, payment_id, me)
        returns = merchants.return_address(tx, payment.payee_id, data.return_to, payment_id)
    address = offer_address(payment_id, data.return_to if returns else "")
    try:
        owner = owner_of(site, me, data.owner_id)
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
        told = told_of(refused, say)
        return _offer_page(
            request, site, account, payment_id, data.return_to, refused=told, chosen=data.owner_id
        )
    if paid.state is PaymentState.REQUIRES_APPROVAL:
        address = f"/wallet/approvals/{approval.approval_id_of(payments.SUBJECT, paid.spend_id)}"
    return Redirect(address, status_code=303)


def visible_offer(tx: Tx, site: Site, payment_id: UUID, me: AccountId) -> Payment:
    """The payment, for whoever may pay it, or has. Errors: payments.UnknownPayment for all others."""
    payment = payments.get_payment(tx, payment_id, partition=site.ctx.directory.partition_of(payment_id))
    payer = None if payment.payer is None else payment.payer.account_id
    mine = payer == me or any(one.by == f"person:{me}" for one in payments.steps_of(tx, payment))
    if not mine and not (payment.is_offer and payment.state in OPEN):
        raise payments.UnknownPayment(f"There is no payment {payment_id}.")
    return payment


def _offer_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    payment_id: UUID,
    return_to: str,
    *,
    refused: str = "",
    chosen: str = "",
) -> Response[str]:
    say, now = words_for(request, account_language=account.language), site.ctx.clock.now()
    me = account.account_id
    with site.ctx.tx() as tx:
        payment = visible_offer(tx, site, payment_id, me)
        payee = payments.get_payee(tx, payment.payee_id)
        balances = payments.balance_of(tx, me, partition=site.ctx.directory.partition_of(me))
        lent = lent_wallets(tx, site, me)
        payer = None if payment.payer is None else payment.payer.account_id
        owner = "" if payer is None or payer == me else name_of(tx, payer)
        spender = _spender(tx, payment) if payer == me else ""
        returns = merchants.return_address(tx, payment.payee_id, return_to, payment_id)
    unit = payment.amount.currency
    held = next((one for one in balances if one.currency == unit), None)
    others = [one for one in balances if one.currency != unit] + [one for one in lent if one.currency != unit]
    reason = ""
    if payment.state is PaymentState.FAILED and payment.step is not None:
        reason = reason_of(payment.step.reason, say) or payment.step.words
    answer = page(
        "wallet/pay_offer.html",
        here="pay",
        account=account,
        say=say,
        payment=payment,
        payee=payee,
        held=held,
        lent=[one for one in lent if one.currency == unit],
        chosen=chosen,
        quotes=bool(others) and (held is None or held < payment.amount),
        paid=payment.state in PAID,
        open=payment.is_offer and payment.state in OPEN and now < payment.expires_at,
        approve=f"/wallet/approvals/{approval.approval_id_of(payments.SUBJECT, payment.spend_id)}"
        if payment.state is PaymentState.REQUIRES_APPROVAL
        else "",
        owner=owner,
        spender=spender,
        return_to=return_to if returns else "",
        returns=returns,
        returns_to=urlsplit(returns).netloc,
        refused=refused,
        reason=reason,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _spender(tx: Tx, payment: Payment) -> str:
    """Who paid it from the payer's wallet, by name; empty where the payer did."""
    if payment.payer is None:
        return ""
    found = approval.spent_by(tx, [(payment.payer.partition, payment.spend_id)])
    return name_of(tx, found[payment.spend_id]) if payment.spend_id in found else ""


ROUTES = [show_offer, pay_offer]
