"""The wallet's pages of entry tickets: what there is to enter, bought for a time, shown as a code, given back."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, JSONBody, QueryParameter
from litestar.response import Redirect

from hansa import atlas, identity, merchants
from hansa.apps.web.callers import find_signed_in, get_signed_in
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.pay_pages import told_of
from hansa.apps.web.site import Here, Site
from hansa.codes import RIDER_CLASSES, RiderClass
from hansa.kernel import HansaError, new_id, service_day, service_day_bounds
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Short = Annotated[str, QueryParameter(max_length=100)]
Count = Annotated[int, msgspec.Meta(ge=0, le=20)]
DAYS_AHEAD = 14


class BuyForm(msgspec.Struct, frozen=True):
    """Tickets to buy. order_id: made with the form, so that sending it twice takes places once."""

    order_id: UUID
    slot: UUID | None = None
    adult: Count = 0
    child: Count = 0
    senior: Count = 0
    student: Count = 0


class PhoneAsks(msgspec.Struct, frozen=True):
    """Which phone the ticket is put on."""

    phone_id: UUID


class TokenGiven(msgspec.Struct, frozen=True):
    """A ticket as a phone keeps it. cti: 16 hex digits. token: base64."""

    ticket_id: UUID
    cti: str
    token: str
    begins_at: datetime
    expires_at: datetime
    entries: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Something to enter, at whose shop."""

    product: merchants.Product
    shop: merchants.Merchant


@get("/wallet/tickets", sync_to_thread=True, include_in_schema=False)
def show_tickets(request: Asked, site: Here, city: Short = "") -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    account = found[1]
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        chosen = city or _city_with_offers(tx, account.home_city_id)
        held = merchants.list_tickets(tx, account.account_id)
        shops = {one.merchant_id: merchants.get_merchant(tx, one.merchant_id) for one in held}
        cities = atlas.list_cities(tx)
        offers = [
            Offer(one, merchants.get_merchant(tx, one.merchant_id))
            for one in merchants.list_products(tx, city_id=chosen)
        ]
    answer = page(
        "wallet/tickets.html",
        here="pay",
        account=account,
        say=say,
        held=held,
        shops=shops,
        cities=cities,
        chosen=chosen,
        offers=offers,
        now=site.ctx.clock.now(),
    )
    return spoken(answer, say, request)


def _city_with_offers(tx: Tx, home: str) -> str:
    """Home, or where nothing can be entered there the first city in which something can."""
    cities = [home, *(one.city_id for one in atlas.list_cities(tx) if one.city_id != home)]
    return next((one for one in cities if merchants.list_products(tx, city_id=one)), home)


@get("/wallet/tickets/buy/{product_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_offer(request: Asked, site: Here, product_id: FromPath[UUID], day: Short = "") -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    return _offer_page(request, site, found[1], product_id, day, BuyForm(order_id=new_id()))


@post("/wallet/tickets/buy/{product_id:uuid}", sync_to_thread=True, include_in_schema=False)
def buy(
    request: Asked,
    site: Here,
    product_id: FromPath[UUID],
    data: Annotated[BuyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
    day: Short = "",
) -> Response[Any]:
    """Take the places, and go on to pay for them."""
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    counts = (data.adult, data.child, data.senior, data.student)
    by_class: dict[RiderClass, int] = {
        "adult": counts[0],
        "child": counts[1],
        "senior": counts[2],
        "student": counts[3],
    }
    wanted: dict[RiderClass, int] = {one: count for one, count in by_class.items() if count}
    if data.slot is None or not wanted:
        told = say("Choose a time, and how many tickets.")
        return _offer_page(request, site, account, product_id, day, data, refused=told)
    try:
        order = merchants.order_tickets(
            site.ctx,
            data.order_id,
            data.slot,
            account_id=account.account_id,
            wanted=wanted,
            made_by=f"person:{account.account_id}",
        )
    except HansaError as refused:
        if refused.status >= 500:
            raise
        fresh = msgspec.structs.replace(data, order_id=new_id())
        return _offer_page(request, site, account, product_id, day, fresh, refused=told_of(refused, say))
    return Redirect(f"/wallet/pay/order/{order.order_id}", status_code=303)


@get("/wallet/tickets/{ticket_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_ticket(request: Asked, site: Here, ticket_id: FromPath[UUID]) -> Response[Any]:
    found = find_signed_in(request, site)
    if found is None:
        return Redirect("/wallet/")
    return _ticket_page(request, site, found[1], ticket_id)


@post("/wallet/tickets/{ticket_id:uuid}/return", sync_to_thread=True, include_in_schema=False)
def give_back(request: Asked, site: Here, ticket_id: FromPath[UUID]) -> Response[Any]:
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    try:
        merchants.return_ticket(site.ctx, ticket_id, account.account_id)
    except merchants.TicketNotRefundable as refused:
        return _ticket_page(request, site, account, ticket_id, refused=told_of(refused, say))
    return Redirect(f"/wallet/tickets/{ticket_id}", status_code=303)


@post("/wallet/tickets/{ticket_id:uuid}/token", sync_to_thread=True, include_in_schema=False, status_code=200)
def give_token(
    request: Asked, site: Here, ticket_id: FromPath[UUID], data: JSONBody[PhoneAsks]
) -> TokenGiven:
    """Put the ticket on a phone of its holder."""
    _, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        given = merchants.give_token(
            tx, site.keys, ticket_id, account.account_id, data.phone_id, site.ctx.clock.now()
        )
    return TokenGiven(
        given.ticket_id,
        given.cti.hex(),
        b64encode(given.token).decode(),
        given.begins_at,
        given.expires_at,
        given.entries,
    )


def _offer_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    product_id: UUID,
    day_text: str,
    form: BuyForm,
    *,
    refused: str = "",
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        product = merchants.get_offered(tx, product_id)
        shop = merchants.get_merchant(tx, product.merchant_id)
        today = service_day(now, shop.tz)
        last = now + timedelta(days=DAYS_AHEAD)
        ahead = merchants.list_slots(tx, product_id, first=now, last=last)
        days = sorted({service_day(one.starts_at, shop.tz) for one in ahead})
        day = _chosen(day_text, days, today)
        begins, ends = service_day_bounds(day, shop.tz)
        slots = [one for one in ahead if begins <= one.starts_at < ends]
    answer = page(
        "wallet/tickets_buy.html",
        here="pay",
        account=account,
        say=say,
        product=product,
        shop=shop,
        days=days,
        day=day,
        slots=slots,
        form=form,
        classes=[one for one in RIDER_CLASSES if one in product.prices],
        mine=account.rider_class,
        refused=refused,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


def _chosen(text: str, days: list[date], today: date) -> date:
    """The day that was asked for, else the first on which something is left."""
    try:
        asked = date.fromisoformat(text) if text else None
    except ValueError:
        asked = None
    return asked if asked in days and asked is not None else next(iter(days), today)


def _ticket_page(
    request: Asked, site: Site, account: identity.Account, ticket_id: UUID, *, refused: str = ""
) -> Response[str]:
    say = words_for(request, account_language=account.language)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        ticket = merchants.get_ticket(tx, ticket_id, account.account_id)
        shop = merchants.get_merchant(tx, ticket.merchant_id)
        others = [
            one
            for one in merchants.tickets_of_order(tx, ticket.order_id)
            if one.account_id == account.account_id and one.state == "valid"
        ]
    answer = page(
        "wallet/tickets_ticket.html",
        here="pay",
        account=account,
        say=say,
        ticket=ticket,
        shop=shop,
        others=others,
        may_return=ticket.may_return(now),
        over=now >= ticket.ends_at,
        refused=refused,
        status_code=409 if refused else 200,
    )
    return spoken(answer, say, request)


ROUTES = [show_tickets, show_offer, buy, show_ticket, give_back, give_token]
