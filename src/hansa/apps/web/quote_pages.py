"""Pages of quotes: paying a shop and sending to a person from a wallet in another currency.

A page shows what is paid, what arrives, the rate, what the issuer asks for it and until when it holds; pressing the
button pays exactly that. Each form carries what it is for, so a quote that ended is made anew by the same form, and all
of it works without JavaScript, which only shows the time that is left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from hansa import approval, cards, merchants, payments, wallets
from hansa.apps.personal_data import country_of
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.lent_wallets import lent_wallets, name_of, owner_of
from hansa.apps.web.me_view import means
from hansa.apps.web.money_means import outside_of
from hansa.apps.web.money_pages import Seen, balances_of, seen, told
from hansa.apps.web.offer_pages import visible_offer
from hansa.apps.web.pay_pages import offer_address
from hansa.apps.web.site import Here
from hansa.identity import AccountId
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem, new_id
from hansa.store import Tx
from hansa.wallets import approving, finding, requests, transfers

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Short = Annotated[str, msgspec.Meta(max_length=36)]
Unit = Annotated[str, msgspec.Meta(max_length=3)]
Line = Annotated[str, msgspec.Meta(max_length=400)]

_GONE = (payments.QuoteExpired, payments.QuoteUsed, payments.QuoteDiffers, payments.UnknownQuote)
"""What a new quote mends."""


class QuoteForm(msgspec.Struct, frozen=True):
    """What a quote is for, as the form before it said: a shop's order or counter, a person, a request, an offer.

    pays_currency: from which wallet, ``CNY`` or, of an owner who lets the person spend, ``CNY:`` and their account;
    empty is the first that has money. owner_id: the owner, where the form before asked for that. gets_currency,
    fixed: of money for a person. return_to: where the customer of a shop goes back to.
    quote_id: of the quote that was shown, where it is now used.
    """

    quote_id: Short = ""
    pays_currency: Annotated[str, msgspec.Meta(max_length=40)] = ""
    owner_id: Short = ""
    tip: Line = ""
    form_id: Short = ""
    amount: Line = ""
    bill: Annotated[str, msgspec.Meta(max_length=25)] = ""
    till: Short = ""
    currency: Unit = ""
    note: Line = ""
    receiver_id: Short = ""
    transfer_id: Short = ""
    gets_currency: Unit = ""
    fixed: Annotated[str, msgspec.Meta(max_length=4)] = "pays"
    to: Line = ""
    by_link: Annotated[str, msgspec.Meta(max_length=5)] = ""
    return_to: Annotated[str, msgspec.Meta(max_length=merchants.RETURN_MAX)] = ""


Kind = Literal["order", "shop", "person", "request", "offer", "card"]


@dataclass(frozen=True, slots=True)
class Source:
    """The wallet that pays. owner_id: whose, where it is another's who lets the person spend; else None.

    others: all wallets that may pay, as options of the form: value, words.
    """

    currency: str
    owner_id: AccountId | None = None
    others: tuple[tuple[str, str], ...] = ()

    @property
    def value(self) -> str:
        """As the form says it."""
        return self.currency if self.owner_id is None else f"{self.currency}:{self.owner_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a quote is asked for. gets: exact for a shop; of money for a person one of the two amounts may be open.

    address: of the forms; fields: what they carry. name: who is paid. source: from which wallet.
    """

    kind: Kind
    address: str
    fields: Mapping[str, str]
    name: str
    payee_key: str
    pays: Money | str
    gets: Money | str
    source: Source


# -- shops --------------------------------------------------------------------------------------------------


@post("/wallet/quote/order/{order_id:uuid}", sync_to_thread=True, include_in_schema=False, status_code=200)
def quote_order(
    request: Asked, site: Here, order_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """What an order costs in a wallet's own currency."""
    who = seen(request, site)
    return _quote_page(request, who, _order(who, order_id, data))


@post("/wallet/quote/order/{order_id:uuid}/pay", sync_to_thread=True, include_in_schema=False)
def pay_order_by_quote(
    request: Asked, site: Here, order_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """Pay an order by the quote that was shown."""
    who = seen(request, site)
    wanted = _order(who, order_id, data)
    with site.ctx.tx() as tx:
        tip_minor = _tip(merchants.get_order(tx, order_id), data.tip)
    try:
        bought = merchants.pay_order(site.ctx, order_id, _asker(who, wanted, data), tip_minor=tip_minor)
    except HansaError as refused:
        return _refused(request, who, wanted, refused)
    return _bought(bought)


@post("/wallet/quote/shop/{merchant_id:uuid}", sync_to_thread=True, include_in_schema=False, status_code=200)
def quote_shop(
    request: Asked, site: Here, merchant_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """What an amount at a shop's counter costs in a wallet's own currency."""
    who = seen(request, site)
    return _quote_page(request, who, _shop(who, merchant_id, data))


@post("/wallet/quote/shop/{merchant_id:uuid}/pay", sync_to_thread=True, include_in_schema=False)
def pay_shop_by_quote(
    request: Asked, site: Here, merchant_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """Pay at a shop's counter by the quote that was shown."""
    who = seen(request, site)
    wanted = _shop(who, merchant_id, data)
    assert isinstance(wanted.gets, Money), wanted
    try:
        bought = merchants.pay_shop(
            site.ctx,
            _uuid(data.form_id, "form_id"),
            merchant_id,
            _asker(who, wanted, data),
            amount_minor=wanted.gets.minor,
            bill_number=data.bill,
            till=data.till,
        )
    except HansaError as refused:
        return _refused(request, who, wanted, refused)
    return _bought(bought)


@post("/wallet/quote/offer/{payment_id:uuid}", sync_to_thread=True, include_in_schema=False, status_code=200)
def quote_offer(
    request: Asked, site: Here, payment_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """What a shop asks for online costs in a wallet's own currency."""
    who = seen(request, site)
    return _quote_page(request, who, _offer(who, payment_id, data))


@post("/wallet/quote/offer/{payment_id:uuid}/pay", sync_to_thread=True, include_in_schema=False)
def pay_offer_by_quote(
    request: Asked, site: Here, payment_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """Pay what a shop asks for online by the quote that was shown."""
    who = seen(request, site)
    wanted = _offer(who, payment_id, data)
    back = offer_address(payment_id, data.return_to)
    try:
        paid = payments.pay(
            site.ctx,
            payment_id,
            wanted.source.owner_id or who.me,
            by=f"person:{who.me}",
            session_at=who.session.authenticated_at,
            spender=who.me if wanted.source.owner_id else None,
            quote_id=_uuid(data.quote_id, "quote_id"),
            next_url=back,
        )
    except HansaError as refused:
        return _refused(request, who, wanted, refused)
    if paid.state is payments.PaymentState.REQUIRES_APPROVAL:
        back = f"/wallet/approvals/{approval.approval_id_of(payments.SUBJECT, paid.spend_id)}"
    return Redirect(back, status_code=303)


# -- city cards ---------------------------------------------------------------------------------------------


@get("/wallet/cards/{card_id:uuid}/quote", sync_to_thread=True, include_in_schema=False)
def show_card_again(request: Asked, site: Here, card_id: FromPath[UUID]) -> Redirect:
    """A quote is asked for on the card's page. Errors: cards.UnknownCard for another's."""
    own = cards.own_cards(site.ctx, means(site).sealer, seen(request, site).me)
    if card_id not in {one.card_id for one in own}:
        raise cards.UnknownCard
    return Redirect(f"/wallet/cards/{card_id}")


@post("/wallet/cards/{card_id:uuid}/quote", sync_to_thread=True, include_in_schema=False, status_code=200)
def quote_card(
    request: Asked, site: Here, card_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """What a city card costs in a wallet's own currency."""
    who = seen(request, site)
    return _quote_page(request, who, _card(who, card_id, data))


@post("/wallet/cards/{card_id:uuid}/quote/pay", sync_to_thread=True, include_in_schema=False)
def pay_card_by_quote(
    request: Asked, site: Here, card_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """Pay a city card by the quote that was shown, once however often it is sent."""
    who = seen(request, site)
    try:
        wanted = _card(who, card_id, data)
    except cards.FeeMoved:
        return Redirect(f"/wallet/cards/{card_id}", status_code=303)
    try:
        card = cards.pay(
            site.ctx,
            who.me,
            card_id,
            session_at=who.session.authenticated_at,
            quote_id=_uuid(data.quote_id, "quote_id"),
        )
    except cards.UnknownCard:
        raise
    except HansaError as refused:
        return _refused(request, who, wanted, refused)
    if card.fee is not None and card.fee.state == "due":
        why = who.say("It was not paid, and nothing was taken.")
        return _quote_page(request, who, wanted, refused=why)
    return Redirect(f"/wallet/cards/{card_id}", status_code=303)


# -- people -------------------------------------------------------------------------------------------------


@post("/wallet/quote/send", sync_to_thread=True, include_in_schema=False, status_code=200)
def quote_send(request: Asked, site: Here, data: Annotated[QuoteForm, Form]) -> Response[Any]:
    """What a person gets in another currency; asks in which, where that was not said."""
    who = seen(request, site)
    try:
        wanted = _person(who, data)
    except HansaError as refused:
        if refused.status >= 500:
            raise
        return _choose(request, who, data, told(refused, who.say))
    if not data.gets_currency:
        return _choose(request, who, data)
    return _quote_page(request, who, wanted, form=data)


@post("/wallet/quote/send/pay", sync_to_thread=True, include_in_schema=False)
def send_by_quote(request: Asked, site: Here, data: Annotated[QuoteForm, Form]) -> Response[Any]:
    """Send by the quote that was shown."""
    who = seen(request, site)
    wanted = _person(who, data)
    try:
        quote_id = _uuid(data.quote_id, "quote_id")
        with site.ctx.tx() as tx:
            quote = payments.get_quote(site.ctx, tx, quote_id)
        sent = transfers.send(
            site.ctx,
            wallets.NewTransfer(
                transfer_id=_uuid(data.transfer_id, "transfer_id"),
                sender_id=wanted.source.owner_id or who.me,
                spender_id=who.me if wanted.source.owner_id else None,
                receiver_id=AccountId(_uuid(data.receiver_id, "receiver")),
                amount=quote.gets,
                note=data.note,
                quote_id=quote_id,
                session_at=who.session.authenticated_at,
            ),
        )
    except HansaError as refused:
        return _refused(request, who, wanted, refused)
    return _sent(sent)


@post(
    "/wallet/quote/request/{request_id:uuid}", sync_to_thread=True, include_in_schema=False, status_code=200
)
def quote_request(
    request: Asked, site: Here, request_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """What a request costs in a wallet's own currency."""
    who = seen(request, site)
    return _quote_page(request, who, _asked_of(who, request_id, data))


@post("/wallet/quote/request/{request_id:uuid}/pay", sync_to_thread=True, include_in_schema=False)
def pay_request_by_quote(
    request: Asked, site: Here, request_id: FromPath[UUID], data: Annotated[QuoteForm, Form]
) -> Response[Any]:
    """Pay a request by the quote that was shown."""
    who = seen(request, site)
    wanted = _asked_of(who, request_id, data)
    try:
        sent = requests.pay(
            site.ctx,
            who.me,
            request_id,
            owner_id=wanted.source.owner_id,
            quote_id=_uuid(data.quote_id, "quote_id"),
            session_at=who.session.authenticated_at,
        )
    except HansaError as refused:
        return _refused(request, who, wanted, refused)
    return _sent(sent)


# -- inside -------------------------------------------------------------------------------------------------


def _order(who: Seen, order_id: UUID, data: QuoteForm) -> Wanted:
    with who.site.ctx.tx() as tx:
        order = merchants.get_order(tx, order_id)
        shop = merchants.get_merchant(tx, order.merchant_id)
        source = _from(tx, who, data, order.currency)
    tip = Money(_tip(order, data.tip), order.currency)
    return Wanted(
        kind="order",
        address=f"/wallet/quote/order/{order_id}",
        fields={"tip": data.tip},
        name=shop.shown_name,
        payee_key=payments.payee_key(shop.payee_id),
        pays=source.currency,
        gets=order.amount + tip,
        source=source,
    )


def _shop(who: Seen, merchant_id: UUID, data: QuoteForm) -> Wanted:
    with who.site.ctx.tx() as tx:
        shop = merchants.get_merchant(tx, merchant_id)
        source = _from(tx, who, data, shop.currency)
    return Wanted(
        kind="shop",
        address=f"/wallet/quote/shop/{merchant_id}",
        fields={"form_id": data.form_id, "amount": data.amount, "bill": data.bill, "till": data.till},
        name=shop.shown_name,
        payee_key=payments.payee_key(shop.payee_id),
        pays=source.currency,
        gets=Money(read_minor(data.amount, shop.currency, where="amount"), shop.currency),
        source=source,
    )


def _offer(who: Seen, payment_id: UUID, data: QuoteForm) -> Wanted:
    with who.site.ctx.tx() as tx:
        payment = visible_offer(tx, who.site, payment_id, who.me)
        payee = payments.get_payee(tx, payment.payee_id)
        source = _from(tx, who, data, payment.amount.currency)
    return Wanted(
        kind="offer",
        address=f"/wallet/quote/offer/{payment_id}",
        fields={"return_to": data.return_to},
        name=payee.name,
        payee_key=payee.key,
        pays=source.currency,
        gets=payment.amount,
        source=source,
    )


def _card(who: Seen, card_id: UUID, data: QuoteForm) -> Wanted:
    """Errors: cards.UnknownCard, cards.FeeMoved, cards.NotCleared."""
    card, fee, payee = cards.to_quote(who.site.ctx, who.me, card_id)
    with who.site.ctx.tx() as tx:
        own = [one for one, _ in balances_of(tx, who) if one.currency != fee.currency]
    options = tuple((one.currency, str(one)) for one in own)
    chosen = next((one for one in own if one.currency == data.pays_currency), None)
    first = chosen or next((one for one in own if one.minor > 0), None)
    source = Source(who.currency if first is None else first.currency, None, options)
    return Wanted(
        kind="card",
        address=f"/wallet/cards/{card_id}/quote",
        fields={},
        name=who.say(card.product.name),
        payee_key=payee,
        pays=source.currency,
        gets=fee.total,
        source=source,
    )


def _asked_of(who: Seen, request_id: UUID, data: QuoteForm) -> Wanted:
    with who.site.ctx.tx() as tx:
        found = requests.get(tx, who.me, request_id)
        if found.payer_id != who.me:
            raise wallets.UnknownRequest
        source = _from(tx, who, data, found.currency)
        name = transfers.names_of(tx, [found.asker_id]).get(found.asker_id, "")
    return Wanted(
        kind="request",
        address=f"/wallet/quote/request/{request_id}",
        fields={},
        name=name,
        payee_key=f"account:{found.asker_id}",
        pays=source.currency,
        gets=found.amount,
        source=source,
    )


def _person(who: Seen, data: QuoteForm) -> Wanted:
    if data.by_link:
        problem = Problem("by_link", "a link holds your own money", "Name a receiver")
        raise InvalidInput("A link holds your own money.", problems=(problem,))
    receiver = _receiver(who, data)
    currency = data.currency or who.currency
    owner = owner_of(who.site, who.me, data.owner_id)
    gets_currency = data.gets_currency if data.gets_currency in CURRENCY_EXPONENTS else "XXX"
    fixed = data.fixed if data.fixed in ("pays", "gets") else "pays"
    unit = currency if fixed == "pays" or not data.gets_currency else gets_currency
    amount = Money(read_minor(data.amount, unit, where="amount"), unit)
    return Wanted(
        kind="person",
        address="/wallet/quote/send",
        fields={
            "receiver_id": str(receiver.account_id),
            "transfer_id": data.transfer_id or str(new_id()),
            "amount": data.amount,
            "currency": currency,
            "owner_id": data.owner_id,
            "gets_currency": data.gets_currency,
            "fixed": fixed,
            "note": data.note,
        },
        name=receiver.shown,
        payee_key=f"account:{receiver.account_id}",
        pays=amount if fixed == "pays" else currency,
        gets=gets_currency if fixed == "pays" else amount,
        source=Source(currency, owner),
    )


def _receiver(who: Seen, data: QuoteForm) -> wallets.Receiver:
    if data.receiver_id and not data.to.strip():
        with who.site.ctx.tx() as tx:
            return finding.receiver_of(tx, AccountId(_uuid(data.receiver_id, "receiver")))
    with who.site.ctx.tx() as tx:
        country = country_of(tx, who.account)
    sealer = outside_of(who.site).sealer
    return finding.find_receiver(who.site.ctx, who.me, data.to, sealer=sealer, country=country)


def _from(tx: Tx, who: Seen, data: QuoteForm, besides: str) -> Source:
    """From which wallet: the one that was chosen, else the first that has money. besides: what the receiver takes.

    Where an owner lets the person spend no other currency, their own wallets are offered: the page shows which pays.

    Errors: approval.NotDelegated.
    """
    own = [one for one, _ in balances_of(tx, who) if one.currency != besides]
    lent = [one for one in lent_wallets(tx, who.site, who.me) if one.currency != besides]
    options = [(one.currency, str(one)) for one in own]
    options += [
        (
            f"{one.currency}:{one.owner_id}",
            who.say("The wallet of {name}: up to {amount}", name=one.name, amount=one.left),
        )
        for one in lent
    ]
    others = tuple(options)
    unit, _, owner_text = data.pays_currency.partition(":")
    owner = owner_of(who.site, who.me, owner_text or ("" if unit else data.owner_id))
    if owner is not None:
        theirs = [one for one in lent if one.owner_id == owner and unit in ("", one.currency)]
        if theirs:
            return Source(theirs[0].currency, owner, others)
    if unit and unit in {one.currency for one in own}:
        return Source(unit, None, others)
    first = next((one for one in own if one.minor > 0), own[0] if own else None)
    return Source(who.currency if first is None else first.currency, None, others)


def _tip(order: merchants.QrOrder, text: str) -> int:
    if order.tip_kind != "prompt":
        return merchants.tip_minor_of(order, 0) if order.tip_kind in ("fixed", "percentage") else 0
    return read_minor(text, order.currency, where="tip") if text.strip() else 0


def _asker(who: Seen, wanted: Wanted, data: QuoteForm) -> merchants.Asker:
    owner = wanted.source.owner_id
    return merchants.Asker(
        account_id=owner or who.me,
        spender=who.me if owner else None,
        by=f"person:{who.me}",
        session_at=who.session.authenticated_at,
        quote_id=_uuid(data.quote_id, "quote_id"),
    )


def _sent(sent: wallets.Transfer) -> Redirect:
    waits = sent.state is wallets.State.REQUIRES_APPROVAL
    place = (
        approving.page_of("transfer", sent.transfer_id) if waits else f"/wallet/transfers/{sent.transfer_id}"
    )
    return Redirect(place, status_code=303)


def _bought(bought: merchants.Bought) -> Redirect:
    payment_id = bought.sale.payment_id
    if bought.payment.state is payments.PaymentState.REQUIRES_APPROVAL:
        place = f"/wallet/approvals/{approval.approval_id_of(payments.SUBJECT, payment_id)}"
    else:
        place = f"/wallet/pay/done/{payment_id}"
    return Redirect(place, status_code=303)


def _refused(request: Asked, who: Seen, wanted: Wanted, refused: HansaError) -> Response[Any]:
    """The page again: with a new quote where the old one is what was refused."""
    if refused.status >= 500:
        raise refused
    say = who.say
    if isinstance(refused, _GONE):
        words = say("That quote does not hold any more. This is a new one: nothing was paid.")
    else:
        words = told(refused, say)
    return _quote_page(request, who, wanted, refused=words)


def _quote_page(
    request: Asked, who: Seen, wanted: Wanted, *, refused: str = "", form: QuoteForm | None = None
) -> Response[Any]:
    """The page of a new quote, or why there is none."""
    now = who.site.ctx.clock.now()
    quote: payments.Quote | None = None
    try:
        new = payments.NewQuote(
            quote_id=new_id(),
            account_id=wanted.source.owner_id or who.me,
            pays=wanted.pays,
            gets=wanted.gets,
            payee_key=wanted.payee_key,
            by=f"person:{who.me}",
        )
        quote = payments.make_quote(who.site.ctx, new)
    except (payments.NoRate, payments.WrongCurrency, InvalidInput) as error:
        if form is not None:
            return _choose(request, who, form, told(error, who.say))
        refused = refused or told(error, who.say)
    with who.site.ctx.tx() as tx:
        balances = [one for one, _ in balances_of(tx, who)]
        owner = "" if wanted.source.owner_id is None else name_of(tx, wanted.source.owner_id)
    own = not owner
    held = next((one for one in balances if own and quote and one.currency == quote.pays.currency), None)
    return who.show(
        request,
        "wallet/quote.html",
        wanted=wanted,
        quote=quote,
        rate=payments.rate_text(quote.rate) if quote else "",
        day_rate=payments.rate_text(quote.mid) if quote else "",
        lasts_s=int((quote.expires_at - now).total_seconds()) if quote else 0,
        source=wanted.source,
        owner=owner,
        held=held,
        short=bool(quote and held and held < quote.pays),
        refused=refused,
        status_code=422 if refused else 200,
    )


def _choose(request: Asked, who: Seen, form: QuoteForm, refused: str = "") -> Response[Any]:
    """In which currency a person is to get money, and which of the two amounts is meant."""
    with who.site.ctx.tx() as tx:
        balances = balances_of(tx, who)
        lent = lent_wallets(tx, who.site, who.me) if form.owner_id else []
        rates = payments.list_rates(tx, who.site.ctx.clock.now().date())
    units = sorted({unit for base, quote, _ in rates for unit in (base, quote)})
    return who.show(
        request,
        "wallet/quote_send.html",
        form=form,
        currency=form.currency or who.currency,
        balances=[(one.left, one.left) for one in lent if str(one.owner_id) == form.owner_id] or balances,
        owner=next((one.name for one in lent if str(one.owner_id) == form.owner_id), ""),
        units=units,
        refused=refused,
        status_code=422 if refused else 200,
    )


def _uuid(text: str, where: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        problem = Problem(where, "the form is damaged", "Open it again")
        raise InvalidInput("The form is damaged.", problems=(problem,)) from error


ROUTES = [
    quote_order,
    pay_order_by_quote,
    quote_shop,
    pay_shop_by_quote,
    quote_offer,
    pay_offer_by_quote,
    show_card_again,
    quote_card,
    pay_card_by_quote,
    quote_send,
    send_by_quote,
    quote_request,
    pay_request_by_quote,
]
