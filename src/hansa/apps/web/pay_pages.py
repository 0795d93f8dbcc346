"""The wallet's pages to pay a shop: scan, see who is paid and how much, approve, done; and the payer's own code."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, identity, merchants, payments
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.approval_pages import REFUSALS
from hansa.apps.web.callers import find_signed_in, get_signed_in
from hansa.apps.web.code_reading import TEXT_MAX, Reading, read_text
from hansa.apps.web.going_on import sign_in_first
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.lent_wallets import lent_wallets, name_of, owner_of
from hansa.apps.web.pages import page
from hansa.apps.web.pictures_read import BYTES_MAX, read_picture
from hansa.apps.web.problem_words import in_words
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Money, new_id
from hansa.payments import payment_codes
from hansa.store import Rate, Tx, refuse_too_often

Asked = Request[Any, Any, Any]
Short = Annotated[str, QueryParameter(max_length=100)]
Line = Annotated[str, msgspec.Meta(max_length=100)]
Whose = Annotated[str, msgspec.Meta(max_length=36)]
LAST_PAID = 3
NEXT_MAX = 500
"""Characters of an address to which an approval leads on."""
FORBIDDEN = {kind.code: words for kind, words in REFUSALS.items()}
"""What approval refuses, by code, in words."""
PICTURES = Rate(20, timedelta(minutes=1))
"""How often somebody may have a picture read here: it costs a processor more than a page does."""


class TextForm(msgspec.Struct, frozen=True):
    """What was scanned, typed or pasted."""

    text: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] = ""


@dataclass
class PictureForm:
    """A photograph of a code."""

    picture: UploadFile


class PayOrderForm(msgspec.Struct, frozen=True):
    """An order to pay. tip: as people write it; empty for none. owner_id: whose wallet pays; empty for one's own."""

    tip: Line = ""
    owner_id: Whose = ""


class PayShopForm(msgspec.Struct, frozen=True):
    """A shop to pay. form_id: made with the form, so that sending it twice pays once. owner_id: whose wallet pays."""

    form_id: UUID
    amount: Line = ""
    tip: Line = ""
    bill: Line = ""
    till: Line = ""
    owner_id: Whose = ""


class CodeWalletForm(msgspec.Struct, frozen=True):
    """From whose wallet the person's codes pay; empty for their own."""

    owner_id: Whose = ""


@dataclass(frozen=True, slots=True)
class SaleView:
    """A payment as its buyer, or the owner of the wallet, sees it. reason: why it came to nothing, in a sentence.

    left_wallet: what left the wallet, in its own currency. owner: whose wallet it is, where the reader spent from
    another's; spender: who spent, where the reader is the owner and somebody else did. Else empty.
    """

    sale: merchants.Sale
    shop: merchants.Merchant
    state: str
    approve: str
    reason: str
    left_wallet: Money
    owner: str = ""
    spender: str = ""


@get("/wallet/pay", sync_to_thread=True, include_in_schema=False, opt={"wasm": True})
def show_scan(
    request: Asked,
    site: Here,
    text: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "",
    payment: Annotated[UUID | None, QueryParameter()] = None,
    return_to: Annotated[str, QueryParameter(max_length=merchants.RETURN_MAX)] = "",
) -> Response[Any]:
    """Ways to pay. payment: what a shop asked for online, by the address that it was given for its customer.

    return_to: where the customer goes back to then.
    """
    found = find_signed_in(request, site)
    if found is None:
        return sign_in_first(request)
    if payment is not None:
        return Redirect(offer_address(payment, return_to), status_code=303)
    say = words_for(request, account_language=found[1].language)
    if text:
        return _read(request, site, found[1], say, text)
    return spoken(_scan_page(found[1], say), say, request)


@post("/wallet/pay/read", sync_to_thread=True, include_in_schema=False, opt={"wasm": True})
def read_code(
    request: Asked,
    site: Here,
    data: Annotated[TextForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    _, account = get_signed_in(request, site)
    return _read(request, site, account, words_for(request, account_language=account.language), data.text)


@post(
    "/wallet/pay/picture",
    include_in_schema=False,
    request_max_body_size=BYTES_MAX + 100_000,
    opt={"wasm": True},
)
async def read_pictured_code(
    request: Asked,
    site: Here,
    data: Annotated[PictureForm, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> Response[Any]:
    return await asyncio.to_thread(_read_picture, request, site, await data.picture.read(BYTES_MAX + 1))


def _read_picture(request: Asked, site: Site, picture: bytes) -> Response[Any]:
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    refuse_too_often(site.ctx, f"pay.picture/{account.account_id}", PICTURES)
    try:
        texts = read_picture(picture)
    except InvalidInput:
        return _told(
            request, account, say, say("This picture cannot be read. Choose a JPEG, PNG or WebP picture.")
        )
    if not texts:
        told = say(
            "No code was found in the picture. Photograph it closer and straight, with the light behind you."
        )
        return _told(request, account, say, told)
    if len(texts) > 1:
        answer = _scan_page(account, say, choices=texts, status_code=200)
        return spoken(answer, say, request)
    return _read(request, site, account, say, texts[0])


def _told(request: Asked, account: identity.Account, say: Words, words: str) -> Response[Any]:
    reading = Reading("broken", say("The code cannot be read"), words)
    return spoken(_scan_page(account, say, reading=reading, status_code=422), say, request)


def _read(request: Asked, site: Site, account: identity.Account, say: Words, text: str) -> Response[Any]:
    with site.ctx.tx() as tx:
        reading = read_text(tx, text, say, host=request.headers.get("host", ""))
    if reading.next:
        return Redirect(reading.next, status_code=303)
    status = 422 if reading.kind == "broken" else 200
    return spoken(_scan_page(account, say, reading=reading, text=text, status_code=status), say, request)


def _scan_page(
    account: identity.Account,
    say: Words,
    *,
    reading: Reading | None = None,
    text: str = "",
    choices: list[str] | None = None,
    status_code: int = 200,
) -> Response[str]:
    return page(
        "wallet/pay.html",
        here="pay",
        account=account,
        say=say,
        reading=reading,
        text=text,
        choices=choices or [],
        status_code=status_code,
    )


# -- paying -------------------------------------------------------------------------------------------------


@get("/wallet/pay/order/{order_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_order(request: Asked, site: Here, order_id: FromPath[UUID]) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return sign_in_first(request)
    return _order_page(request, site, found[1], order_id)


@post("/wallet/pay/order/{order_id:uuid}", sync_to_thread=True, include_in_schema=False)
def pay_order(
    request: Asked,
    site: Here,
    order_id: FromPath[UUID],
    data: Annotated[PayOrderForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        order = merchants.get_order(tx, order_id)
    try:
        tip = (
            _tip(data.tip, order.currency) if order.tip_kind == "prompt" else merchants.tip_minor_of(order, 0)
        )
        asker = _asker(site, session, account, data.owner_id)
        bought = merchants.pay_order(site.ctx, order_id, asker, tip_minor=tip)
    except HansaError as refused:
        if refused.status >= 500:
            raise
        told = told_of(refused, say)
        return _order_page(request, site, account, order_id, refused=told, tip=data.tip, owner=data.owner_id)
    return _onward(bought)


@get("/wallet/pay/shop/{merchant_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_shop(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    amount: Short = "",
    till: Short = "",
    bill: Short = "",
) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return sign_in_first(request)
    form = PayShopForm(form_id=new_id(), amount=amount, till=till, bill=bill)
    return _shop_page(request, site, found[1], merchant_id, form, fixed=bool(amount))


@post("/wallet/pay/shop/{merchant_id:uuid}", sync_to_thread=True, include_in_schema=False)
def pay_shop(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[PayShopForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        shop = merchants.get_merchant(tx, merchant_id)
    try:
        bought = merchants.pay_shop(
            site.ctx,
            data.form_id,
            merchant_id,
            _asker(site, session, account, data.owner_id),
            amount_minor=read_minor(data.amount, shop.currency, where="amount"),
            tip_minor=_tip(data.tip, shop.currency),
            bill_number=data.bill,
            till=data.till,
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _shop_page(request, site, account, merchant_id, data, refused=told_of(refused, say))
    return _onward(bought)


@get("/wallet/pay/done/{payment_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_done(request: Asked, site: Here, payment_id: FromPath[UUID]) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return sign_in_first(request)
    say = words_for(request, account_language=found[1].language)
    view = _sale(site, found[1], payment_id, say)
    bought = _tickets(site, view.sale)
    answer = page("wallet/pay_done.html", here="pay", account=found[1], say=say, view=view, tickets=bought)
    return spoken(answer, say, request)


@get("/wallet/pay/done/{payment_id:uuid}/state", sync_to_thread=True, include_in_schema=False)
def show_done_state(request: Asked, site: Here, payment_id: FromPath[UUID]) -> Response[str]:
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    view = _sale(site, account, payment_id, say)
    return page("wallet/pay_state.html", say=say, view=view, tickets=_tickets(site, view.sale))


@post("/wallet/pay/done/{payment_id:uuid}/cancel", sync_to_thread=True, include_in_schema=False)
def cancel_payment(request: Asked, site: Here, payment_id: FromPath[UUID]) -> Redirect:
    _, account = get_signed_in(request, site)
    _own_sale(site, account, payment_id)
    merchants.cancel_sale(site.ctx, payment_id, by=f"person:{account.account_id}")
    return Redirect(f"/wallet/pay/done/{payment_id}", status_code=303)


# -- the payer's code ---------------------------------------------------------------------------------------


@get("/wallet/pay/code", sync_to_thread=True, include_in_schema=False)
def show_code(request: Asked, site: Here) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return sign_in_first(request)
    return _code_page(request, site, found[1])


@post("/wallet/pay/code/from", sync_to_thread=True, include_in_schema=False)
def choose_code_wallet(
    request: Asked,
    site: Here,
    data: Annotated[CodeWalletForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Have one's codes pay from another's wallet, or from one's own again."""
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    try:
        owner = owner_of(site, account.account_id, data.owner_id)
        approval.set_code_wallet(site.ctx, account.account_id, owner)
    except approval.NotDelegated as refused:
        return _code_page(request, site, account, refused=told_of(refused, say))
    return Redirect("/wallet/pay/code", status_code=303)


def _code_page(request: Asked, site: Site, account: identity.Account, *, refused: str = "") -> Response[str]:
    say = words_for(request, account_language=account.language)
    me = account.account_id
    with site.ctx.tx() as tx:
        lent = lent_wallets(tx, site, me)
        chosen = approval.code_wallet_of(tx, site.ctx.directory.partition_of(me), me)
        ended = chosen is not None and chosen not in {one.owner_id for one in lent}
        answer = page(
            "wallet/my_code.html",
            here="pay",
            account=account,
            say=say,
            lent=list({one.owner_id: one for one in lent}.values()),
            owner="" if chosen is None else str(chosen),
            owner_name="" if chosen is None else name_of(tx, chosen),
            ended=ended,
            refused=refused,
            paid=_paid_by_code(site, account, say),
            status_code=409 if refused else 200,
        )
    return spoken(answer, say, request)


@get("/wallet/pay/code/paid", sync_to_thread=True, include_in_schema=False)
def show_paid(request: Asked, site: Here) -> Response[str]:
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    return page("wallet/my_code_paid.html", say=say, paid=_paid_by_code(site, account, say))


def _paid_by_code(site: Site, account: identity.Account, say: Words) -> list[SaleView]:
    """What the account's codes paid lately, or wait to."""
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        used = payment_codes.list_used_codes(tx, account.account_id, partition=partition, limit=LAST_PAID)
    return [_sale(site, account, one.payment_id, say) for one in used]


def offer_address(payment_id: UUID, return_to: str = "") -> str:
    """The page on which a shop's customer pays what it asked for online, with where they go back to.

    One that is longer than an approval can lead on to goes without.
    """
    address = f"/wallet/pay/offer/{payment_id}"
    with_return = f"{address}?{urlencode({'return_to': return_to})}" if return_to else address
    return with_return if len(with_return) <= NEXT_MAX else address


# -- inside -------------------------------------------------------------------------------------------------


def told_of(refused: HansaError, say: Words) -> str:
    """A refusal as a sentence for whoever sent the form: what is wrong and what to do."""
    if type(refused) in REFUSALS:
        return say(REFUSALS[type(refused)])
    if refused.problems:
        return in_words(refused.problems, say)
    told = say(refused.detail)
    remedy = getattr(refused, "remedy", "")
    return f"{told} {say(remedy)}" if remedy else told


def reason_of(code: str, say: Words) -> str:
    """Why a payment came to nothing, in a sentence; empty for a code that has none."""
    kind = payments.REASONS.get(code)
    if kind is not None:
        return told_of(kind(), say)
    return say(FORBIDDEN[code]) if code in FORBIDDEN else ""


def _asker(
    site: Site, session: identity.Session, account: identity.Account, owner_id: str
) -> merchants.Asker:
    """Who pays, from their own wallet or an owner's. Errors: approval.NotDelegated."""
    me = account.account_id
    owner = owner_of(site, me, owner_id)
    return merchants.Asker(
        account_id=owner or me,
        by=f"person:{me}",
        session_at=session.authenticated_at,
        spender=me if owner else None,
    )


def _onward(bought: merchants.Bought) -> Redirect:
    """To the page of approval where one is asked for, else to what came of it."""
    payment_id = bought.sale.payment_id
    if bought.payment.state is payments.PaymentState.REQUIRES_APPROVAL:
        return Redirect(
            f"/wallet/approvals/{approval.approval_id_of('payment', payment_id)}", status_code=303
        )
    return Redirect(f"/wallet/pay/done/{payment_id}", status_code=303)


def _tip(text: str, currency: str) -> int:
    return read_minor(text, currency, where="tip") if text.strip() else 0


def _order_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    order_id: UUID,
    *,
    refused: str = "",
    tip: str = "",
    owner: str = "",
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        order = merchants.get_order(tx, order_id)
        shop = merchants.get_merchant(tx, order.merchant_id)
        held = _held(tx, site, account, shop.currency)
        lent = lent_wallets(tx, site, account.account_id, currency=shop.currency)
        quotes = _holds_another(tx, site, account, shop.currency)
    asked_tip = Money(0, order.currency)
    if order.tip_kind != "prompt":
        wanted = merchants.tip_minor_of(order, 0) if order.tip_kind in ("fixed", "percentage") else 0
        asked_tip = Money(wanted, order.currency)
    answer = page(
        "wallet/pay_order.html",
        here="pay",
        account=account,
        say=say,
        order=order,
        shop=shop,
        category=merchants.CATEGORIES.get(shop.category, ""),
        asked_tip=asked_tip,
        total=order.amount + asked_tip,
        held=held,
        lent=lent,
        quotes=quotes,
        owner=owner,
        open=_is_open(order, now),
        refused=refused,
        tip=tip,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _is_open(order: merchants.QrOrder, now: datetime) -> bool:
    return order.state in ("open", "claimed") and now < order.expires_at


def _shop_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    merchant_id: UUID,
    form: PayShopForm,
    *,
    fixed: bool = False,
    refused: str = "",
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        shop = merchants.get_merchant(tx, merchant_id)
        held = _held(tx, site, account, shop.currency)
        lent = lent_wallets(tx, site, account.account_id, currency=shop.currency)
        quotes = _holds_another(tx, site, account, shop.currency)
    answer = page(
        "wallet/pay_shop.html",
        here="pay",
        account=account,
        say=say,
        shop=shop,
        category=merchants.CATEGORIES.get(shop.category, ""),
        form=form,
        fixed=fixed,
        held=held,
        lent=lent,
        quotes=quotes,
        owner=form.owner_id,
        refused=refused,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _holds_another(tx: Tx, site: Site, account: identity.Account, currency: str) -> bool:
    """Whether there is a wallet in another currency that the account may pay from."""
    me = account.account_id
    own = payments.balance_of(tx, me, partition=site.ctx.directory.partition_of(me))
    return any(one.currency != currency for one in (*own, *lent_wallets(tx, site, me)))


def _held(tx: Tx, site: Site, account: identity.Account, currency: str) -> Money | None:
    """What the account holds in a currency; None where it has no such wallet."""
    partition = site.ctx.directory.partition_of(account.account_id)
    held = payments.balance_of(tx, account.account_id, partition=partition)
    return next((one for one in held if one.currency == currency), None)


def _own_sale(site: Site, account: identity.Account, payment_id: UUID) -> merchants.Sale:
    """A sale that this account pays, or bought from another's wallet. Errors: merchants.UnknownSale for all others."""
    with site.ctx.tx() as tx:
        sale = merchants.get_sale(site.ctx, tx, payment_id)
    if account.account_id not in (sale.payer, sale.spender):
        raise merchants.UnknownSale
    return sale


def _sale(site: Site, account: identity.Account, payment_id: UUID, say: Words) -> SaleView:
    sale = _own_sale(site, account, payment_id)
    if sale.state == "begun":
        sale = merchants.sync_sale(site.ctx, payment_id)
    with site.ctx.tx() as tx:
        shop = merchants.get_merchant(tx, sale.merchant_id)
        try:
            payment = payments.get_payment(
                tx, payment_id, partition=site.ctx.directory.partition_of(payment_id)
            )
        except payments.UnknownPayment:
            payment = None
        other = sale.payer if sale.payer != account.account_id else sale.spender
        name = "" if other is None else name_of(tx, other)
    waits = payment is not None and payment.state is payments.PaymentState.REQUIRES_APPROVAL
    approve = f"/wallet/approvals/{approval.approval_id_of('payment', payment_id)}" if waits else ""
    reason = ""
    if sale.state == "failed":
        code = payment.step.reason if payment is not None and payment.step is not None else ""
        reason = reason_of(code, say) or say("It was called off. Nothing was paid.")
    state = {"paid": "paid", "failed": "failed", "begun": "waiting"}[sale.state]
    return SaleView(
        sale,
        shop,
        state,
        approve,
        reason,
        sale.total if payment is None else payment.paid,
        owner=name if sale.payer != account.account_id else "",
        spender=name if sale.payer == account.account_id else "",
    )


def _tickets(site: Site, sale: merchants.Sale) -> list[merchants.Ticket]:
    """The entry tickets that this sale bought, where it did."""
    if sale.order_id is None or sale.state != "paid":
        return []
    with site.ctx.tx() as tx:
        return merchants.tickets_of_order(tx, sale.order_id)


ROUTES = [
    show_scan,
    read_code,
    read_pictured_code,
    show_order,
    pay_order,
    show_shop,
    pay_shop,
    show_done,
    show_done_state,
    cancel_payment,
    show_code,
    choose_code_wallet,
    show_paid,
]
