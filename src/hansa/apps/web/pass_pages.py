"""The wallet's page of passes: what each city sells, and what that covers; bought once confirmed, given back unused."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import atlas, identity, payments, rides, trust
from hansa.apps.web.callers import find_account, get_account
from hansa.apps.web.journey_views import PRODUCTS, Places
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.fares import Pass
from hansa.kernel import InvalidInput, Money, new_id, service_day
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=200)]
NAMES_SHOWN = 12
"""Names of lines or stops told of one pass; of more, how many there are."""


@dataclass(frozen=True, slots=True)
class OfferView:
    """A pass on sale. covers: a line for each thing that must hold. tariff: its clause's page. buy: its sale's."""

    name: str
    price: Money
    lasts: str
    until_day: date
    covers: tuple[str, ...]
    tariff: str
    buy: str


@dataclass(frozen=True, slots=True)
class CityOffers:
    """What one operator sells."""

    city: str
    operator: str
    offers: tuple[OfferView, ...]


@dataclass(frozen=True, slots=True)
class HeldView:
    """A pass of the rider. state: ``held``, ``later``, ``over`` or ``given back``. days_left: with today."""

    bought: rides.BoughtPass
    operator: str
    state: str
    tone: str
    days_left: int
    may_return: bool


@dataclass(frozen=True, slots=True)
class Sale:
    """What a rider is asked before a pass is bought. debit: the price from their wallet, None where no rate is set."""

    offer: OfferView
    operator_id: str
    city: str
    operator: str
    from_day: date
    today: date
    last_start: date
    debit: Money | None
    balance: Money
    enough: bool
    zone: str


class BuyForm(msgspec.Struct, frozen=True):
    """A pass to buy at the price that was shown. pass_id: made with the form, so that sending it twice buys once."""

    pass_id: UUID
    operator_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    from_day: date
    price: int


@get("/wallet/passes", sync_to_thread=True, include_in_schema=False)
def show_passes(
    request: Asked, site: Here, done: Annotated[str, QueryParameter(max_length=10)] = ""
) -> Response[Any]:
    account = find_account(request, site)
    if account is None:
        return Redirect("/wallet/")
    return _passes_page(request, site, account, done=done)


@get("/wallet/passes/buy", sync_to_thread=True, include_in_schema=False)
def show_sale(
    request: Asked,
    site: Here,
    operator_id: Text = "",
    name: Text = "",
    from_day: Annotated[str, QueryParameter(max_length=20)] = "",
) -> Response[Any]:
    account = get_account(request, site)
    if not operator_id or not name:
        return Redirect("/wallet/passes")
    say = words_for(request, account_language=account.language)
    try:
        day = date.fromisoformat(from_day) if from_day else None
    except ValueError:
        day = None
    return _sale_page(request, site, account, say, operator_id, name, day)


@post("/wallet/passes", sync_to_thread=True, include_in_schema=False)
def buy_pass(
    request: Asked,
    site: Here,
    data: Annotated[BuyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        known = {one.pass_id for one in _bought(tx, site, account)}
        price = _price(tx, account, data)
        currency = _wallet(tx, site, account).currency
    if data.pass_id not in known and price != data.price:
        refused = say("The price has changed since you looked. Please look again.")
        return _sale_page(
            request, site, account, say, data.operator_id, data.name, data.from_day, refused, 409
        )
    try:
        rides.buy_pass(
            site.ctx,
            pass_id=data.pass_id,
            account_id=account.account_id,
            operator_id=data.operator_id,
            name=data.name,
            from_day=data.from_day,
            wallet_currency=currency,
        )
    except rides.PassNotPaid as refused:
        told, status = say("Your wallet holds less than this pass costs. Top it up first."), refused.status
    except rides.PassHeld as refused:
        told, status = say("You hold this pass already on some of these days."), refused.status
    except (InvalidInput, payments.NoRate, rides.PassConflict) as refused:
        told, status = say("This pass cannot be bought for that day."), refused.status
    else:
        return Redirect("/wallet/passes?done=bought", status_code=303)
    return _sale_page(request, site, account, say, data.operator_id, data.name, data.from_day, told, status)


@post("/wallet/passes/{pass_id:uuid}/refund", sync_to_thread=True, include_in_schema=False)
def give_back(request: Asked, site: Here, pass_id: FromPath[UUID]) -> Response[Any]:
    account = get_account(request, site)
    try:
        rides.refund_pass(site.ctx, pass_id=pass_id, account_id=account.account_id)
    except rides.PassUsed as refused:
        return _passes_page(request, site, account, done="used", status=refused.status)
    return Redirect("/wallet/passes?done=back", status_code=303)


ROUTES = [show_passes, show_sale, buy_pass, give_back]


def covers_in_words(one: Pass, network: atlas.Network, operator: str, say: Words) -> tuple[str, ...]:
    """Which rides a pass covers, a line for each thing that must hold, and what such a ride still costs."""
    asked = one.condition

    def called(names: Iterable[str], words: Callable[[str], str] = str) -> str:
        found = sorted({words(name) for name in names})
        if len(found) > NAMES_SHOWN:
            shown, more = ", ".join(found[:NAMES_SHOWN]), len(found) - NAMES_SHOWN
            return say("{names} and {n} more", names=shown, n=more)
        return ", ".join(found)

    def stop(stop_id: str) -> str:
        return rides.stop_name(network, stop_id, say.language)

    def line(line_id: str) -> str:
        return network.lines[line_id].name if line_id in network.lines else line_id

    def product(name: str) -> str:
        return say(PRODUCTS.get(name, name))

    told = (
        (asked.products, say("By {names}", names=called(asked.products, product))),
        (asked.lines, say("On {names}", names=called(asked.lines, line))),
        (asked.operators, say("With {names}", names=called(asked.operators))),
        (one.within, say("Between {names}", names=called(one.within, stop))),
        (asked.stops, say("From or to {names}", names=called(asked.stops, stop))),
        (asked.from_stops, say("From {names}", names=called(asked.from_stops, stop))),
        (asked.to_stops, say("To {names}", names=called(asked.to_stops, stop))),
        (asked.from_zones, say("From zone {names}", names=called(asked.from_zones))),
        (asked.to_zones, say("To zone {names}", names=called(asked.to_zones))),
        (asked.zones, say("Inside zones {names}", names=called(asked.zones))),
        (asked.classes, say("For {names}", names=called(asked.classes, say))),
        (asked.media, say("Paid with {names}", names=called(asked.media, say))),
        (asked.bands, say("At these hours: {names}", names=called(asked.bands, say))),
        (asked.seasons, say("In {names}", names=called(asked.seasons))),
    )
    lines = [sentence for names, sentence in told if names]
    if asked.hours is not None:
        lines.append(say("At some hours only; see the tariff"))
    if asked.unless is not None:
        lines.append(say("With some exceptions; see the tariff"))
    if not lines:
        lines.append(say("Every ride with {operator}", operator=operator))
    if one.extend:
        lines.append(say("A ride that goes further pays only for the part beyond"))
    lines.append(
        say("Such a ride costs {percent} % of its fare", percent=one.percent)
        if one.percent
        else say("Such a ride costs nothing")
    )
    return tuple(lines)


def _passes_page(
    request: Asked, site: Site, account: identity.Account, *, done: str = "", status: int = 200
) -> Response[Any]:
    say = words_for(request, account_language=account.language)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        places = Places(tx)
        operators = _operators(tx)
        names = {one.member_id: one.name for one in trust.list_members(tx)}
        held = [
            _held(one, operators, names.get(trust.MemberId(one.operator_id), one.operator_id), now)
            for one in _bought(tx, site, account)
        ]
        cities = [
            found
            for version in sorted(
                operators.values(), key=lambda one: (one.city_id != account.home_city_id, one.city_id)
            )
            if (found := _city_offers(tx, places, version, account, now, names, say)) is not None
        ]
    answer = page(
        "wallet/passes.html",
        here="passes",
        account=account,
        say=say,
        held=[one for one in held if one.state in ("held", "later")],
        past=[one for one in held if one.state not in ("held", "later")],
        cities=cities,
        done=done,
        status_code=status,
    )
    return spoken(answer, say, request)


def _sale_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    say: Words,
    operator_id: str,
    name: str,
    from_day: date | None,
    refused: str = "",
    status: int = 200,
) -> Response[Any]:
    with site.ctx.tx() as tx:
        sale = _sale(tx, site, account, say, operator_id, name, from_day)
    if sale is None:
        return _passes_page(request, site, account, done="gone", status=404)
    answer = page(
        "wallet/pass_buy.html",
        here="passes",
        account=account,
        say=say,
        sale=sale,
        pass_id=new_id(),
        refused=refused,
        status_code=status,
    )
    return spoken(answer, say, request)


def _sale(
    tx: Tx,
    site: Site,
    account: identity.Account,
    say: Words,
    operator_id: str,
    name: str,
    from_day: date | None,
) -> Sale | None:
    """What is sold from the day asked for on, where a pass may begin on it, else from today; None for nothing."""
    now, version = site.ctx.clock.now(), _operators(tx).get(operator_id)
    if version is None:
        return None
    today = service_day(now, version.tz, version.day_starts)
    last_start = today + rides.PASS_AHEAD_MAX
    day = from_day if from_day is not None and today <= from_day <= last_start else today
    found = next((one for one in _offers(tx, operator_id, account, day) if one.name == name), None)
    if found is None:
        return None
    network = Places(tx).network(version.city_id)
    operator = trust.get_member(tx, operator_id).name
    balance = _wallet(tx, site, account)
    debit = _exchanged(tx, found.price, balance.currency, now.date())
    return Sale(
        _offer(found, network, operator, say),
        operator_id,
        network.city.name,
        operator,
        day,
        today,
        last_start,
        debit,
        balance,
        debit is not None and debit.minor <= balance.minor,
        version.tz,
    )


def _city_offers(
    tx: Tx,
    places: Places,
    version: rides.TariffVersion,
    account: identity.Account,
    now: datetime,
    names: dict[trust.MemberId, str],
    say: Words,
) -> CityOffers | None:
    today = service_day(now, version.tz, version.day_starts)
    offers = _offers(tx, version.operator_id, account, today)
    if not offers:
        return None
    network = places.network(version.city_id)
    operator = names.get(trust.MemberId(version.operator_id), version.operator_id)
    return CityOffers(
        network.city.name,
        operator,
        tuple(_offer(one, network, operator, say) for one in offers),
    )


def _offers(tx: Tx, operator_id: str, account: identity.Account, day: date) -> list[rides.PassOffer]:
    """What is sold to this rider; not what is free of charge, since who gets that rides for nothing anyway."""
    try:
        found = rides.offer_passes(tx, operator_id=operator_id, rider_class=account.rider_class, from_day=day)
    except rides.UnknownTariff:  # its tariff begins later, or is over
        return []
    return [one for one in found if one.price.minor]


def _offer(one: rides.PassOffer, network: atlas.Network, operator: str, say: Words) -> OfferView:
    days = (one.until_day - one.from_day).days + 1
    lasts = say("One month") if one.terms.lasts == "month" else say.count(days, "{n} day", "{n} days")
    clause = urlencode({"from": one.from_day.isoformat(), "clause": one.clause})
    number = rides.line_of(one.clause)
    return OfferView(
        one.name,
        one.price,
        lasts,
        one.until_day,
        covers_in_words(one.terms, network, operator, say),
        f"/fares/{one.operator_id}/tariff?{clause}" + (f"#L{number}" if number else ""),
        f"/wallet/passes/buy?{urlencode({'operator_id': one.operator_id, 'name': one.name})}",
    )


def _held(
    one: rides.BoughtPass, operators: dict[str, rides.TariffVersion], operator: str, now: datetime
) -> HeldView:
    version = operators[one.operator_id]
    today = service_day(now, version.tz, version.day_starts)
    if one.refunded_at is not None:
        state, tone = "given back", "plain"
    elif one.until_day < today:
        state, tone = "over", "plain"
    elif one.from_day > today:
        state, tone = "later", "warm"
    else:
        state, tone = "held", ""
    days_left = (one.until_day - max(today, one.from_day)).days + 1
    return HeldView(one, operator, state, tone, days_left, state in ("held", "later") and not one.used)


def _operators(tx: Tx) -> dict[str, rides.TariffVersion]:
    """Each operator's latest version: its city, and when its days begin."""
    return {one.operator_id: one for one in rides.list_tariffs(tx)}


def _bought(tx: Tx, site: Site, account: identity.Account) -> list[rides.BoughtPass]:
    partition = site.ctx.directory.partition_of(account.account_id)
    return rides.list_passes(tx, account.account_id, partition=partition)


def _price(tx: Tx, account: identity.Account, wanted: BuyForm) -> int | None:
    """What the pass costs by now; None where it is not on sale on that day."""
    if not 2000 <= wanted.from_day.year < 2200:
        return None
    offers = _offers(tx, wanted.operator_id, account, wanted.from_day)
    return next((one.price.minor for one in offers if one.name == wanted.name), None)


def _wallet(tx: Tx, site: Site, account: identity.Account) -> Money:
    """The wallet that pays: of the home city's currency, else the first there is."""
    home = Places(tx).network(account.home_city_id).city.currency
    partition = site.ctx.directory.partition_of(account.account_id)
    held = payments.balance_of(tx, account.account_id, partition=partition)
    return next((one for one in held if one.currency == home), held[0] if held else Money(0, home))


def _exchanged(tx: Tx, price: Money, currency: str, day: date) -> Money | None:
    if price.currency == currency:
        return price
    try:
        return payments.quote(price, currency, payments.rate(tx, day, price.currency, currency))
    except payments.NoRate:
        return None
