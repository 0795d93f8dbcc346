"""The shops' pages: ask to be paid, scan a payer's code, see money arrive, give it back, read the day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Redirect

from hansa import atlas, identity, merchants, payments
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.approval_pages import is_fresh
from hansa.apps.web.callers import find_signed_in, get_signed_in
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import in_zone, page
from hansa.apps.web.pay_pages import told_of
from hansa.apps.web.qr_pictures import picture_of
from hansa.apps.web.shop_paper import day_pdf
from hansa.apps.web.site import Here, Site
from hansa.apps.web.ticket_gates import decide_entry
from hansa.codes import RIDER_CLASSES, RiderClass
from hansa.kernel import HansaError, InvalidInput, Money, Problem, new_id, service_day, service_day_bounds
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Line = Annotated[str, msgspec.Meta(max_length=300)]
Short = Annotated[str, QueryParameter(max_length=100)]
SALES_SHOWN = 12
DAYS_SHOWN = 14
SLOTS_AHEAD = timedelta(days=14)
SLOTS_OF_FORM = 200


class ApplyForm(msgspec.Struct, frozen=True):
    """A shop that somebody would like to open. merchant_id: made with the form."""

    merchant_id: UUID
    member_id: Line = ""
    name: Line = ""
    local_name: Line = ""
    category: Line = ""
    address: Line = ""


class OrderForm(msgspec.Struct, frozen=True):
    """What a customer is to pay. order_id: made with the form, so that sending it twice asks once."""

    order_id: UUID
    amount: Line = ""
    bill: Line = ""
    till: Line = ""
    tip: Literal["none", "prompt"] = "none"


class CodeForm(msgspec.Struct, frozen=True):
    """A payer's code and what they are to pay."""

    form_id: UUID
    amount: Line = ""
    text: Annotated[str, msgspec.Meta(max_length=5_000)] = ""
    bill: Line = ""
    till: Line = ""


class RefundForm(msgspec.Struct, frozen=True):
    """Money to give back."""

    refund_id: UUID
    amount: Line = ""
    reason: Line = ""


class PersonForm(msgspec.Struct, frozen=True):
    """Somebody to invite, or to end."""

    role: Literal["owner", "cashier"] = "cashier"
    account_id: UUID | None = None


class TillForm(msgspec.Struct, frozen=True):
    """A till to open or to close."""

    label: Line = ""
    close: Line = ""


class ProductForm(msgspec.Struct, frozen=True):
    """Something to enter. Prices as people write them; empty for a class that is not sold."""

    product_id: UUID
    name: Line = ""
    about: Line = ""
    adult: Line = ""
    child: Line = ""
    senior: Line = ""
    student: Line = ""
    entries: Line = "1"
    refund_hours: Line = ""


class SlotsForm(msgspec.Struct, frozen=True):
    """Times to offer on a day: from, until, how long each, how many places in each."""

    day: Line = ""
    first: Line = ""
    last: Line = ""
    minutes: Line = "60"
    capacity: Line = ""


class TextRead(msgspec.Struct, frozen=True):
    """What the camera read at the entry."""

    text: Annotated[str, msgspec.Meta(max_length=5_000)] = ""


class SitesForm(msgspec.Struct, frozen=True):
    """Sites to go back to, one a line; or an answer to those that another owner named."""

    origins: Annotated[str, msgspec.Meta(max_length=4_000)] = ""
    asked_id: UUID | None = None
    agree: Annotated[str, msgspec.Meta(max_length=3)] = ""


SITES_DONE = {
    "set": "These sites hold from now on.",
    "asked": "Another owner has to agree first. Until then the sites of before hold.",
    "dropped": "These sites are not asked for any more.",
}


class EntryAnswer(msgspec.Struct, frozen=True):
    """What the gate did with a ticket."""

    accepted: bool
    reason: str
    title: str
    words: str


@dataclass(frozen=True, slots=True)
class Desk:
    """Who is at which shop's page."""

    session: identity.Session
    account: identity.Account
    shop: merchants.Merchant
    role: merchants.Role
    say: Words

    @property
    def who(self) -> str:
        return f"person:{self.account.account_id}"


def _desk(request: Asked, site: Site, merchant_id: UUID, *, owner: bool = False) -> Desk:
    """The shop, for somebody who acts for it. Errors: trust.NotSignedIn, merchants.UnknownMerchant, OwnersOnly."""
    session, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        role = merchants.role_of(tx, merchant_id, account.account_id)
        if owner:
            merchants.require_owner(tx, merchant_id, account.account_id)
        shop = merchants.get_merchant(tx, merchant_id)
    return Desk(session, account, shop, role, words_for(request, account_language=account.language))


def _page(
    desk: Desk, request: Asked, template: str, /, *, status_code: int = 200, **values: Any
) -> Response[str]:
    answer = page(
        f"merchant/{template}",
        account=desk.account,
        say=desk.say,
        shop=desk.shop,
        role=desk.role,
        status_code=status_code,
        **values,
    )
    return spoken(answer, desk.say, request)


# -- shops of a person --------------------------------------------------------------------------------------


@get("/merchant/", sync_to_thread=True, include_in_schema=False)
def show_shops(request: Asked, site: Here) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    account = found[1]
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        shops = merchants.list_own(tx, account.account_id)
    answer = page("merchant/shops.html", account=account, say=say, shops=shops, demo=site.demo)
    return spoken(answer, say, request)


@get("/merchant/apply", sync_to_thread=True, include_in_schema=False)
def show_apply(request: Asked, site: Here) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    return _apply_page(request, site, found[1], ApplyForm(merchant_id=new_id()))


@post("/merchant/apply", sync_to_thread=True, include_in_schema=False)
def apply(
    request: Asked,
    site: Here,
    data: Annotated[ApplyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    try:
        with site.ctx.tx() as tx:
            merchants.apply(
                tx,
                data.merchant_id,
                account_id=account.account_id,
                member_id=data.member_id,
                name=data.name,
                local_name=data.local_name,
                category=data.category,
                address=data.address,
                at=site.ctx.clock.now(),
            )
    except (InvalidInput, merchants.MerchantDiffers) as refused:
        return _apply_page(request, site, account, data, refused=told_of(refused, say))
    return Redirect(f"/merchant/{data.merchant_id}", status_code=303)


def _apply_page(
    request: Asked, site: Site, account: identity.Account, form: ApplyForm, *, refused: str = ""
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        cities = {one.city_id: one for one in atlas.list_cities(tx)}
        members = [
            (member, cities[member.city_id].name)
            for city_id in cities
            for member in merchants.acquirers(tx, city_id)
            if member.city_id is not None
        ]
    home = next((one.member_id for one, _ in members if one.city_id == account.home_city_id), "")
    answer = page(
        "merchant/apply.html",
        account=account,
        say=say,
        form=form,
        members=members,
        chosen=form.member_id or home,
        categories=merchants.CATEGORIES,
        refused=refused,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


# -- the till -----------------------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_till(request: Asked, site: Here, merchant_id: FromPath[UUID], till: Short = "") -> Response[Any]:
    if find_signed_in(request, site) is None:
        return Redirect("/wallet/")
    desk = _desk(request, site, merchant_id)
    return _till_page(request, site, desk, OrderForm(order_id=new_id(), till=till))


def _till_page(
    request: Asked, site: Site, desk: Desk, form: OrderForm, *, refused: str = ""
) -> Response[str]:
    with site.ctx.tx() as tx:
        tills = merchants.list_tills(tx, desk.shop.merchant_id)
        sales = merchants.list_sales(site.ctx, tx, desk.shop.merchant_id, limit=SALES_SHOWN)
    return _page(
        desk,
        request,
        "till.html",
        here="till",
        form=form,
        tills=tills,
        sales=sales,
        today=_today(site, desk),
        refused=refused,
        status_code=422 if refused else 200,
    )


@get("/merchant/{merchant_id:uuid}/sales", sync_to_thread=True, include_in_schema=False)
def show_sales(request: Asked, site: Here, merchant_id: FromPath[UUID]) -> Response[str]:
    """The part of the till's page that keeps itself fresh."""
    desk = _desk(request, site, merchant_id)
    with site.ctx.tx() as tx:
        sales = merchants.list_sales(site.ctx, tx, merchant_id, limit=SALES_SHOWN)
    for one in sales:
        if one.state == "begun":
            merchants.sync_sale(site.ctx, one.payment_id)
    with site.ctx.tx() as tx:
        sales = merchants.list_sales(site.ctx, tx, merchant_id, limit=SALES_SHOWN)
    return page("merchant/_sales.html", say=desk.say, shop=desk.shop, sales=sales, today=_today(site, desk))


def _today(site: Site, desk: Desk) -> str:
    """The day it is at the shop, as ``2026-11-29``."""
    return in_zone(site.ctx.clock.now(), desk.shop.tz, "%F")


@post("/merchant/{merchant_id:uuid}/orders", sync_to_thread=True, include_in_schema=False)
def make_order(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[OrderForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    desk = _desk(request, site, merchant_id)
    try:
        minor = read_minor(data.amount, desk.shop.currency, where="amount")
        with site.ctx.tx() as tx:
            merchants.make_order(
                tx,
                data.order_id,
                merchant_id,
                amount=Money(minor, desk.shop.currency),
                made_by=desk.who,
                at=site.ctx.clock.now(),
                tip_kind=data.tip,
                bill_number=data.bill,
                till=data.till,
            )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _till_page(request, site, desk, data, refused=told_of(refused, desk.say))
    return Redirect(f"/merchant/{merchant_id}/orders/{data.order_id}", status_code=303)


@get("/merchant/{merchant_id:uuid}/orders/{order_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_order(
    request: Asked, site: Here, merchant_id: FromPath[UUID], order_id: FromPath[UUID]
) -> Response[str]:
    desk = _desk(request, site, merchant_id)
    order = _own_order(site, desk, order_id)
    with site.ctx.tx() as tx:
        text = merchants.code_of_order(tx, order)
    return _page(
        desk,
        request,
        "order.html",
        here="till",
        order=order,
        code=picture_of(text),
        text=text,
        seen=_seen(site, order),
    )


@get(
    "/merchant/{merchant_id:uuid}/orders/{order_id:uuid}/state",
    sync_to_thread=True,
    include_in_schema=False,
)
def show_order_state(
    request: Asked, site: Here, merchant_id: FromPath[UUID], order_id: FromPath[UUID]
) -> Response[str]:
    desk = _desk(request, site, merchant_id)
    order = _own_order(site, desk, order_id)
    return page("merchant/_order.html", say=desk.say, shop=desk.shop, order=order, seen=_seen(site, order))


@post(
    "/merchant/{merchant_id:uuid}/orders/{order_id:uuid}/cancel",
    sync_to_thread=True,
    include_in_schema=False,
)
def cancel_order(
    request: Asked, site: Here, merchant_id: FromPath[UUID], order_id: FromPath[UUID]
) -> Redirect:
    desk = _desk(request, site, merchant_id)
    _own_order(site, desk, order_id)
    with site.ctx.tx() as tx:
        merchants.cancel_order(tx, order_id, site.ctx.clock.now())
    return Redirect(f"/merchant/{merchant_id}/orders/{order_id}", status_code=303)


def _own_order(site: Site, desk: Desk, order_id: UUID) -> merchants.QrOrder:
    """An order of this shop, with what came of its payment. Errors: merchants.UnknownOrder."""
    with site.ctx.tx() as tx:
        order = merchants.get_order(tx, order_id)
    if order.merchant_id != desk.shop.merchant_id:
        raise merchants.UnknownOrder
    if order.state == "claimed" and order.payment_id is not None:
        merchants.sync_sale(site.ctx, order.payment_id)
        with site.ctx.tx() as tx:
            order = merchants.get_order(tx, order_id)
    return order


def _seen(site: Site, order: merchants.QrOrder) -> str:
    """How the order is for whoever stands at the till: open, claimed, paid, expired or canceled."""
    over = order.state == "open" and site.ctx.clock.now() >= order.expires_at
    return "expired" if over else order.state


# -- codes on the counter -----------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}/poster", sync_to_thread=True, include_in_schema=False)
def show_poster(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    till: Short = "",
    size: Annotated[Literal["a4", "a6"], QueryParameter()] = "a4",
) -> Response[str]:
    desk = _desk(request, site, merchant_id)
    with site.ctx.tx() as tx:
        text = merchants.code_of_shop(tx, desk.shop, till=till)
        tills = merchants.list_tills(tx, merchant_id)
    return _page(
        desk,
        request,
        "poster.html",
        here="poster",
        code=picture_of(text),
        text=text,
        till=till,
        size=size,
        tills=tills,
    )


@get(
    "/merchant/{merchant_id:uuid}/code.svg",
    sync_to_thread=True,
    include_in_schema=False,
    media_type="image/svg+xml",
)
def give_code_svg(request: Asked, site: Here, merchant_id: FromPath[UUID], till: Short = "") -> Response[str]:
    """The counter's code as a picture of its own, for a printer's shop."""
    desk = _desk(request, site, merchant_id)
    with site.ctx.tx() as tx:
        code = picture_of(merchants.code_of_shop(tx, desk.shop, till=till))
    size = code.size
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size * 8}" height="{size * 8}">'
        f'<rect width="{size}" height="{size}" fill="#fff"/><path d="{code.path}" fill="#000"/></svg>'
    )
    headers = {"content-disposition": 'attachment; filename="hansa-code.svg"', "cache-control": "no-store"}
    return Response(svg, media_type="image/svg+xml", headers=headers)


# -- payers' codes ------------------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}/scan", sync_to_thread=True, include_in_schema=False, opt={"wasm": True})
def show_scan(request: Asked, site: Here, merchant_id: FromPath[UUID], till: Short = "") -> Response[str]:
    desk = _desk(request, site, merchant_id)
    return _page(
        desk, request, "scan.html", here="scan", form=CodeForm(form_id=new_id(), till=till), refused=""
    )


@post("/merchant/{merchant_id:uuid}/scan", sync_to_thread=True, include_in_schema=False, opt={"wasm": True})
def take_code(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[CodeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    desk = _desk(request, site, merchant_id)
    try:
        bought = merchants.pay_by_code(
            site.ctx,
            data.form_id,
            merchant_id,
            data.text,
            amount_minor=read_minor(data.amount, desk.shop.currency, where="amount"),
            made_by=desk.who,
            bill_number=data.bill,
            till=data.till,
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        fresh = msgspec.structs.replace(data, form_id=new_id(), text="")
        told = told_of(refused, desk.say)
        return _page(desk, request, "scan.html", here="scan", form=fresh, refused=told, status_code=422)
    return Redirect(f"/merchant/{merchant_id}/sales/{bought.sale.payment_id}", status_code=303)


# -- sales and refunds --------------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}/sales/{payment_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_sale(
    request: Asked, site: Here, merchant_id: FromPath[UUID], payment_id: FromPath[UUID]
) -> Response[str]:
    desk = _desk(request, site, merchant_id)
    return _sale_page(request, site, desk, payment_id, RefundForm(refund_id=new_id()))


def _sale_page(
    request: Asked, site: Site, desk: Desk, payment_id: UUID, form: RefundForm, *, refused: str = ""
) -> Response[str]:
    sale = _own_sale(site, desk, payment_id)
    with site.ctx.tx() as tx:
        back = merchants.list_refunds(site.ctx, tx, sale)
        waits = _waits(site, tx, sale)
    return _page(
        desk,
        request,
        "sale.html",
        here="till",
        sale=sale,
        back=back,
        waits=waits,
        form=form,
        refused=refused,
        status_code=422 if refused else 200,
    )


@get(
    "/merchant/{merchant_id:uuid}/sales/{payment_id:uuid}/state",
    sync_to_thread=True,
    include_in_schema=False,
)
def show_sale_state(
    request: Asked, site: Here, merchant_id: FromPath[UUID], payment_id: FromPath[UUID]
) -> Response[str]:
    desk = _desk(request, site, merchant_id)
    sale = _own_sale(site, desk, payment_id)
    with site.ctx.tx() as tx:
        waits = _waits(site, tx, sale)
    return page("merchant/_sale.html", say=desk.say, shop=desk.shop, sale=sale, waits=waits)


@post(
    "/merchant/{merchant_id:uuid}/sales/{payment_id:uuid}/refund",
    sync_to_thread=True,
    include_in_schema=False,
)
def refund(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    payment_id: FromPath[UUID],
    data: Annotated[RefundForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    desk = _desk(request, site, merchant_id, owner=True)
    sale = _own_sale(site, desk, payment_id)
    try:
        minor = read_minor(data.amount, sale.currency, where="amount")
        merchants.refund_sale(
            site.ctx,
            data.refund_id,
            payment_id,
            amount=Money(minor, sale.currency),
            reason=data.reason,
            by=desk.who,
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _sale_page(request, site, desk, payment_id, data, refused=told_of(refused, desk.say))
    return Redirect(f"/merchant/{merchant_id}/sales/{payment_id}", status_code=303)


def _own_sale(site: Site, desk: Desk, payment_id: UUID) -> merchants.Sale:
    with site.ctx.tx() as tx:
        sale = merchants.get_sale(site.ctx, tx, payment_id)
    if sale.merchant_id != desk.shop.merchant_id:
        raise merchants.UnknownSale
    return merchants.sync_sale(site.ctx, payment_id) if sale.state == "begun" else sale


def _waits(site: Site, tx: Tx, sale: merchants.Sale) -> bool:
    """Whether the payer has to approve it on their phone."""
    if sale.state != "begun":
        return False
    try:
        payment = payments.get_payment(
            tx, sale.payment_id, partition=site.ctx.directory.partition_of(sale.payment_id)
        )
    except payments.UnknownPayment:
        return False
    return payment.state is payments.PaymentState.REQUIRES_APPROVAL


# -- the day ------------------------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}/day", sync_to_thread=True, include_in_schema=False)
def show_day(request: Asked, site: Here, merchant_id: FromPath[UUID], day: Short = "") -> Response[str]:
    desk = _desk(request, site, merchant_id, owner=True)
    today = service_day(site.ctx.clock.now(), desk.shop.tz)
    with site.ctx.tx() as tx:
        found = merchants.shop_day(tx, desk.shop, _day(day, today))
        entries = merchants.count_entries(tx, merchant_id, *_bounds(found))
        over = merchants.over_used(tx, merchant_id)
    days = [today - timedelta(days=number) for number in range(DAYS_SHOWN)]
    return _page(
        desk, request, "day.html", here="day", found=found, today=today, days=days, entries=entries, over=over
    )


@get("/merchant/{merchant_id:uuid}/day.csv", sync_to_thread=True, include_in_schema=False)
def give_day_csv(request: Asked, site: Here, merchant_id: FromPath[UUID], day: Short = "") -> Response[str]:
    desk = _desk(request, site, merchant_id, owner=True)
    found = _found_day(site, desk, day)
    return Response(
        merchants.day_csv(found), media_type="text/csv; charset=utf-8", headers=_attached(found, "csv")
    )


@get("/merchant/{merchant_id:uuid}/day.pdf", sync_to_thread=True, include_in_schema=False)
def give_day_pdf(request: Asked, site: Here, merchant_id: FromPath[UUID], day: Short = "") -> Response[bytes]:
    desk = _desk(request, site, merchant_id, owner=True)
    found = _found_day(site, desk, day)
    return Response(day_pdf(found, desk.say), media_type="application/pdf", headers=_attached(found, "pdf"))


def _found_day(site: Site, desk: Desk, text: str) -> merchants.ShopDay:
    today = service_day(site.ctx.clock.now(), desk.shop.tz)
    with site.ctx.tx() as tx:
        return merchants.shop_day(tx, desk.shop, _day(text, today))


def _attached(found: merchants.ShopDay, ending: str) -> dict[str, str]:
    name = f"hansa-{found.day}.{ending}"
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}


def _bounds(found: merchants.ShopDay) -> tuple[datetime, datetime]:
    return service_day_bounds(found.day, found.merchant.tz)


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text) if text else today
    except ValueError as fault:
        raise _unfit("day", "it is no day", "Write it as 2026-11-17") from fault
    return min(day, today)


# -- people and tills ---------------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}/people", sync_to_thread=True, include_in_schema=False)
def show_people(request: Asked, site: Here, merchant_id: FromPath[UUID]) -> Response[str]:
    return _people_page(request, site, _desk(request, site, merchant_id, owner=True))


def _people_page(
    request: Asked, site: Site, desk: Desk, *, link: str = "", refused: str = ""
) -> Response[str]:
    with site.ctx.tx() as tx:
        people = merchants.list_people(tx, desk.shop.merchant_id)
        ids = [identity.AccountId(one.account_id) for one in people]
        names = {one.account_id: one.name for one in identity.find_accounts(tx, ids).values()}
        tills = merchants.list_tills(tx, desk.shop.merchant_id)
    return _page(
        desk,
        request,
        "people.html",
        here="people",
        people=people,
        names=names,
        tills=tills,
        link=link,
        refused=refused,
        status_code=422 if refused else 200,
    )


@post("/merchant/{merchant_id:uuid}/people", sync_to_thread=True, include_in_schema=False, status_code=200)
def invite(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[PersonForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Make an invitation, which is shown once; or end somebody."""
    desk = _desk(request, site, merchant_id, owner=True)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        if data.account_id is not None:
            merchants.end_person(
                tx, merchant_id, identity.AccountId(data.account_id), by=desk.account.account_id, at=now
            )
            return Redirect(f"/merchant/{merchant_id}/people", status_code=303)
        secret = merchants.invite(tx, merchant_id, by=desk.account.account_id, role=data.role, at=now)
    link = f"{request.url.scheme}://{request.headers.get('host', '')}/merchant/join/{secret}"
    return _people_page(request, site, desk, link=link)


@post("/merchant/{merchant_id:uuid}/tills", sync_to_thread=True, include_in_schema=False)
def change_tills(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[TillForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    desk = _desk(request, site, merchant_id, owner=True)
    try:
        with site.ctx.tx() as tx:
            if data.close:
                merchants.close_till(tx, merchant_id, data.close, site.ctx.clock.now())
            else:
                merchants.add_till(tx, merchant_id, data.label, site.ctx.clock.now())
    except InvalidInput as refused:
        return _people_page(request, site, desk, refused=told_of(refused, desk.say))
    return Redirect(f"/merchant/{merchant_id}/people", status_code=303)


@get("/merchant/join/{secret:str}", sync_to_thread=True, include_in_schema=False)
def show_join(request: Asked, site: Here, secret: FromPath[str]) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    say = words_for(request, account_language=found[1].language)
    with site.ctx.tx() as tx:
        shop, role = merchants.read_invite(tx, secret, site.ctx.clock.now())
    answer = page("merchant/join.html", account=found[1], say=say, shop=shop, role=role, secret=secret)
    return spoken(answer, say, request)


@post("/merchant/join/{secret:str}", sync_to_thread=True, include_in_schema=False)
def join(request: Asked, site: Here, secret: FromPath[str]) -> Redirect:
    _, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        shop = merchants.join(tx, secret, account.account_id, site.ctx.clock.now())
    return Redirect(f"/merchant/{shop.merchant_id}", status_code=303)


# -- sites to go back to ------------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}/sites", sync_to_thread=True, include_in_schema=False)
def show_sites(request: Asked, site: Here, merchant_id: FromPath[UUID], done: Short = "") -> Response[str]:
    """To which sites customers may go back, and those that wait for another owner."""
    return _sites_page(request, site, _desk(request, site, merchant_id, owner=True), done=done)


@post("/merchant/{merchant_id:uuid}/sites", sync_to_thread=True, include_in_schema=False)
def change_sites(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[SitesForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Name the sites, or answer those of another owner; whoever does proved just now who they are."""
    desk = _desk(request, site, merchant_id, owner=True)
    at, me = site.ctx.clock.now(), desk.account.account_id
    address = f"/merchant/{merchant_id}/sites"
    with site.ctx.tx() as tx:
        if not is_fresh(tx, site, desk.session):
            return Redirect(f"/wallet/verify?next={address}", status_code=303)
    try:
        with site.ctx.tx() as tx:
            if data.asked_id is not None:
                merchants.answer_sites(
                    tx, merchant_id, data.asked_id, agree=data.agree == "yes", by=me, at=at
                )
                done = "set" if data.agree == "yes" else "dropped"
            else:
                asked = merchants.name_sites(tx, merchant_id, data.origins.split(), by=me, at=at)
                done = "set" if asked is None else "asked"
    except (InvalidInput, merchants.UnknownSitesAsked, merchants.SecondOwnerNeeded) as refused:
        return _sites_page(request, site, desk, written=data.origins, refused=told_of(refused, desk.say))
    return Redirect(f"{address}?done={done}", status_code=303)


def _sites_page(
    request: Asked, site: Site, desk: Desk, *, done: str = "", written: str = "", refused: str = ""
) -> Response[str]:
    merchant_id = desk.shop.merchant_id
    with site.ctx.tx() as tx:
        origins = merchants.list_return_origins(tx, desk.shop.payee_id)
        asked = merchants.find_sites_asked(tx, merchant_id, site.ctx.clock.now())
        asker = None if asked is None else identity.find_account(tx, identity.AccountId(asked.asked_by))
        second_owner = merchants.needs_second_owner(tx, merchant_id)
    return _page(
        desk,
        request,
        "sites.html",
        here="sites",
        origins=origins,
        written=written or "\n".join(origins),
        asked=asked,
        asker=asker,
        second_owner=second_owner,
        most=merchants.ORIGINS_MAX,
        done=desk.say(SITES_DONE[done]) if done in SITES_DONE else "",
        refused=refused,
        status_code=422 if refused else 200,
    )


# -- entry tickets ------------------------------------------------------------------------------------------


@get("/merchant/{merchant_id:uuid}/tickets", sync_to_thread=True, include_in_schema=False)
def show_tickets(
    request: Asked, site: Here, merchant_id: FromPath[UUID], ended: FromQuery[UUID | None] = None
) -> Response[str]:
    desk = _desk(request, site, merchant_id, owner=True)
    return _tickets_page(request, site, desk, ended=ended)


def _tickets_page(
    request: Asked, site: Site, desk: Desk, *, refused: str = "", ended: UUID | None = None
) -> Response[str]:
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        products = merchants.list_products(tx, merchant_id=desk.shop.merchant_id)
        slots = {
            one.product_id: merchants.list_slots(
                tx, one.product_id, first=now, last=now + SLOTS_AHEAD, limit=SLOTS_OF_FORM
            )
            for one in products
        }
        gone = None if ended is None else merchants.get_product(tx, ended)
    return _page(
        desk,
        request,
        "tickets.html",
        gone=gone if gone is not None and gone.merchant_id == desk.shop.merchant_id else None,
        here="tickets",
        products=products,
        slots=slots,
        product_id=new_id(),
        today=service_day(now, desk.shop.tz),
        classes=RIDER_CLASSES,
        refused=refused,
        status_code=422 if refused else 200,
    )


@post("/merchant/{merchant_id:uuid}/tickets", sync_to_thread=True, include_in_schema=False)
def add_product(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[ProductForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    desk = _desk(request, site, merchant_id, owner=True)
    written = {"adult": data.adult, "child": data.child, "senior": data.senior, "student": data.student}
    try:
        prices: dict[RiderClass, int] = {
            one: read_minor(written[one], desk.shop.currency, where=one)
            for one in RIDER_CLASSES
            if written[one].strip()
        }
        hours = _number(data.refund_hours, "refund_hours") if data.refund_hours.strip() else None
        with site.ctx.tx() as tx:
            merchants.add_product(
                tx,
                data.product_id,
                merchant_id,
                name=data.name,
                about=data.about,
                prices=prices,
                at=site.ctx.clock.now(),
                entries=_number(data.entries, "entries"),
                refund_before_s=None if hours is None else hours * 3600,
            )
    except InvalidInput as refused:
        return _tickets_page(request, site, desk, refused=told_of(refused, desk.say))
    return Redirect(f"/merchant/{merchant_id}/tickets", status_code=303)


@post(
    "/merchant/{merchant_id:uuid}/tickets/{product_id:uuid}/slots",
    sync_to_thread=True,
    include_in_schema=False,
)
def add_slots(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    product_id: FromPath[UUID],
    data: Annotated[SlotsForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    desk = _desk(request, site, merchant_id, owner=True)
    try:
        with site.ctx.tx() as tx:
            product = merchants.get_product(tx, product_id)
            if product.merchant_id != merchant_id:
                raise merchants.UnknownProduct
            merchants.add_slots(tx, product_id, _slots(data, desk.shop.tz))
    except InvalidInput as refused:
        return _tickets_page(request, site, desk, refused=told_of(refused, desk.say))
    return Redirect(f"/merchant/{merchant_id}/tickets", status_code=303)


@post(
    "/merchant/{merchant_id:uuid}/tickets/{product_id:uuid}/end",
    sync_to_thread=True,
    include_in_schema=False,
)
def end_product(
    request: Asked, site: Here, merchant_id: FromPath[UUID], product_id: FromPath[UUID]
) -> Redirect:
    """Sell something no more; tickets that are sold stay good."""
    desk = _desk(request, site, merchant_id, owner=True)
    with site.ctx.tx() as tx:
        merchants.end_product(tx, product_id, merchant_id, by=desk.who, at=site.ctx.clock.now())
    return Redirect(f"/merchant/{merchant_id}/tickets?ended={product_id}", status_code=303)


def _slots(form: SlotsForm, tz: str) -> list[tuple[datetime, datetime, int]]:
    """The times of a form, one after another. Errors: InvalidInput."""
    try:
        first = datetime.fromisoformat(f"{form.day}T{form.first}").replace(tzinfo=ZoneInfo(tz))
        last = datetime.fromisoformat(f"{form.day}T{form.last}").replace(tzinfo=ZoneInfo(tz))
    except ValueError as fault:
        raise _unfit("first", "it is no time of a day", "Write them as 09:00 and 17:00") from fault
    minutes, capacity = _number(form.minutes, "minutes"), _number(form.capacity, "capacity")
    if not 5 <= minutes <= 1_440 or (last - first) / timedelta(minutes=minutes) > SLOTS_OF_FORM:
        raise _unfit("minutes", "it makes too many times, or none", "Give 5 minutes to a day")
    found: list[tuple[datetime, datetime, int]] = []
    while first + timedelta(minutes=minutes) <= last:
        found.append((first, first + timedelta(minutes=minutes), capacity))
        first += timedelta(minutes=minutes)
    if not found:
        raise _unfit("last", "no time fits between the two", "Give a later end")
    return found


@get("/merchant/{merchant_id:uuid}/entry", sync_to_thread=True, include_in_schema=False, opt={"wasm": True})
def show_entry(request: Asked, site: Here, merchant_id: FromPath[UUID]) -> Response[str]:
    desk = _desk(request, site, merchant_id)
    return _page(desk, request, "entry.html", here="entry", answer=None)


@post(
    "/merchant/{merchant_id:uuid}/entry",
    sync_to_thread=True,
    include_in_schema=False,
    status_code=200,
    opt={"wasm": True},
)
def read_ticket(
    request: Asked,
    site: Here,
    merchant_id: FromPath[UUID],
    data: Annotated[TextRead, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """The form's way, without JavaScript."""
    desk = _desk(request, site, merchant_id)
    answer = _entry(site, desk, data.text)
    return _page(desk, request, "entry.html", here="entry", answer=answer)


@post(
    "/merchant/{merchant_id:uuid}/entry/read", sync_to_thread=True, include_in_schema=False, status_code=200
)
def scan_ticket(
    request: Asked, site: Here, merchant_id: FromPath[UUID], data: JSONBody[TextRead]
) -> EntryAnswer:
    """Show a ticket to this attraction's gate: what it decided, in words for its screen."""
    return _entry(site, _desk(request, site, merchant_id), data.text)


def _entry(site: Site, desk: Desk, text: str) -> EntryAnswer:
    decision = decide_entry(site, desk.shop, text.strip())
    say = desk.say
    if decision.accepted:
        rider_class = say(decision.ticket.scope.rider_class) if decision.ticket else ""
        left = say.count(decision.left, "{n} entry left", "{n} entries left")
        words = f"{rider_class} · {left}"
        return EntryAnswer(True, "ok", say("Welcome"), words)
    return EntryAnswer(False, decision.reason, say("Not in"), say(decision.words))


def _number(text: str, where: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or len(text.strip()) > 9:
        raise _unfit(where, "it is no whole number", "Write digits only")
    return int(text.strip())


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where} {what}.", problems=(Problem(where, what, remedy),))


ROUTES = [
    show_shops,
    show_apply,
    apply,
    show_till,
    show_sales,
    make_order,
    show_order,
    show_order_state,
    cancel_order,
    show_poster,
    give_code_svg,
    show_scan,
    take_code,
    show_sale,
    show_sale_state,
    refund,
    show_day,
    give_day_csv,
    give_day_pdf,
    show_people,
    invite,
    change_tills,
    show_join,
    join,
    show_sites,
    change_sites,
    show_tickets,
    end_product,
    add_product,
    add_slots,
    show_entry,
    read_ticket,
    scan_ticket,
]
