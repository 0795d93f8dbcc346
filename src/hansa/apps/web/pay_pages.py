"""The wallet's pages to pay a shop: scan, see who is paid and how much, approve, done; and the payer's own code."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, identity, merchants, payments
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import find_signed_in, get_signed_in
from hansa.apps.web.code_reading import TEXT_MAX, Reading, read_text
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.pictures_read import BYTES_MAX, read_picture
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Money, new_id
from hansa.payments import payment_codes
from hansa.store import Rate, Tx, refuse_too_often

Asked = Request[Any, Any, Any]
Short = Annotated[str, QueryParameter(max_length=100)]
Line = Annotated[str, msgspec.Meta(max_length=100)]
LAST_PAID = 3
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
    """An order to pay. tip: as people write it; empty for none."""

    tip: Line = ""


class PayShopForm(msgspec.Struct, frozen=True):
    """A shop to pay. form_id: made with the form, so that sending it twice pays once."""

    form_id: UUID
    amount: Line = ""
    tip: Line = ""
    bill: Line = ""
    till: Line = ""


@dataclass(frozen=True, slots=True)
class SaleView:
    """A payment as its payer sees it. reason: why it came to nothing, in a sentence."""

    sale: merchants.Sale
    shop: merchants.Merchant
    state: str
    approve: str
    reason: str


@get("/wallet/pay", sync_to_thread=True, include_in_schema=False, opt={"wasm": True})
def show_scan(
    request: Asked,
    site: Here,
    text: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "",
    payment: Annotated[UUID | None, QueryParameter()] = None,
) -> Response[Any]:
    """Ways to pay. payment: what a shop asked for online, by the address that it was given for its customer."""
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    if payment is not None:
        return Redirect(f"/wallet/pay/offer/{payment}", status_code=303)
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
        return Redirect("/wallet/")
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
        bought = merchants.pay_order(site.ctx, order_id, _asker(session, account), tip_minor=tip)
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _order_page(request, site, account, order_id, refused=told_of(refused, say), tip=data.tip)
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
        return Redirect("/wallet/")
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
            _asker(session, account),
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
        return Redirect("/wallet/")
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
        return Redirect("/wallet/")
    say = words_for(request, account_language=found[1].language)
    answer = page(
        "wallet/my_code.html", here="pay", account=found[1], say=say, paid=_paid_by_code(site, found[1], say)
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


# -- inside -------------------------------------------------------------------------------------------------


def told_of(refused: HansaError, say: Words) -> str:
    """A refusal as a sentence for whoever sent the form: what is wrong and what to do."""
    if refused.problems:
        return " ".join(
            f"{say(one.what[:1].upper() + one.what[1:])}. {say(one.remedy)}." for one in refused.problems
        )
    told = say(refused.detail)
    remedy = getattr(refused, "remedy", "")
    return f"{told} {say(remedy)}" if remedy else told


def _asker(session: identity.Session, account: identity.Account) -> merchants.Asker:
    return merchants.Asker(
        account_id=account.account_id,
        by=f"person:{account.account_id}",
        session_at=session.authenticated_at,
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
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        order = merchants.get_order(tx, order_id)
        shop = merchants.get_merchant(tx, order.merchant_id)
        held = _held(tx, site, account, shop.currency)
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
        refused=refused,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _held(tx: Tx, site: Site, account: identity.Account, currency: str) -> Money | None:
    """What the account holds in a currency; None where it has no such wallet."""
    partition = site.ctx.directory.partition_of(account.account_id)
    held = payments.balance_of(tx, account.account_id, partition=partition)
    return next((one for one in held if one.currency == currency), None)


def _own_sale(site: Site, account: identity.Account, payment_id: UUID) -> merchants.Sale:
    """A sale that this account pays. Errors: merchants.UnknownSale, also for another's."""
    with site.ctx.tx() as tx:
        sale = merchants.get_sale(tx, payment_id)
    if sale.payer != account.account_id:
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
    waits = payment is not None and payment.state is payments.PaymentState.REQUIRES_APPROVAL
    approve = f"/wallet/approvals/{approval.approval_id_of('payment', payment_id)}" if waits else ""
    reason = ""
    if sale.state == "failed":
        kind = payments.REASONS.get(payment.step.reason) if payment is not None and payment.step else None
        reason = told_of(kind(), say) if kind is not None else say("It was called off. Nothing was paid.")
    state = {"paid": "paid", "failed": "failed", "begun": "waiting"}[sale.state]
    return SaleView(sale, shop, state, approve, reason)


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
    show_paid,
]
