"""The wallet: a rider's phone. Balance, a live ride code that needs no network, journeys, money, top-up."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, JSONBody, QueryParameter
from litestar.response import Redirect

from hansa import atlas, clearing, identity, merchants, payments, rides, trust
from hansa.apps.web.callers import (
    find_account,
    find_signed_in,
    get_account,
    session_secret,
    with_session,
    without_session,
)
from hansa.apps.web.dispute_pages import REFUNDS_ON_HOME, refund_lines
from hansa.apps.web.fare_pages import fares_address
from hansa.apps.web.going_on import HOME, gone_on, is_inside
from hansa.apps.web.journey_views import (
    JourneyView,
    Places,
    city_name,
    tariff_text,
    view_detail,
    view_journey,
)
from hansa.apps.web.languages import (
    ENGLISH,
    LANGUAGES,
    Words,
    remembering,
    spoken,
    words_for,
    words_of_scripts,
)
from hansa.apps.web.pages import STATIC, in_zone, page, static_address
from hansa.apps.web.people_pages import notes_for
from hansa.apps.web.proofs import own_bookings
from hansa.apps.web.qr_pictures import Picture, picture_of
from hansa.apps.web.relying_party import by_its_name, find_rp
from hansa.apps.web.script_packs import PACKS, modules_of
from hansa.apps.web.site import Here, Site
from hansa.kernel import InvalidInput, Money, Problem, mark_text, paged, read_mark
from hansa.store import Tx

Asked = Request[Any, Any, Any]
After = Annotated[str, QueryParameter(max_length=100)]

RIDERS_SHOWN = 24
RIDERS_OF_A_CITY = 4
SHOPKEEPERS = 2
ITEMS_LOOKED_AT = 8
"""Rides of each pair of cities among which the sign-in page looks for riders worth choosing."""
RIDERS_LOOKED_AT = 6
JOURNEYS_COUNTED = 30
JOURNEYS_ON_HOME = 4
JOURNEYS_ON_PAGE = 25
REASON_MAX = 300
"""Characters that a reason for a stated end may have, as ``rides`` takes it."""


HOME_SCRIPTS = tuple(modules_of(PACKS["home.js"], STATIC / "js"))
NEEDED_AT_ONCE = ", ".join(
    f"<{static_address(name)}>; rel={rel}"
    for name, rel in (
        ("hansa.css", "preload; as=style"),
        ("js/packs/home.js", "modulepreload"),
        ("disputes.css", "preload; as=style"),
    )
)
"""What the page of the ride code needs: a browser asks for it while the page is still on its way (RFC 8288)."""
"""Scripts of the page with the ride code, and all that they import."""


@dataclass(frozen=True, slots=True)
class RiderChoice:
    """A rider to sign in as. words: what there is to see in their wallet."""

    account: identity.Account
    words: str


class SignInForm(msgspec.Struct, frozen=True):
    """Whom to sign in as."""

    account_id: UUID


class LanguageForm(msgspec.Struct, frozen=True):
    """In which language to speak. next: the wallet's page to come back to."""

    language: Annotated[str, msgspec.Meta(max_length=35)]
    next: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class EndForm(msgspec.Struct, frozen=True):
    """Where and when a journey with a missing tap really ended or began. at: local time, as the form writes it."""

    stop: Annotated[str, msgspec.Meta(max_length=200)] = ""
    at: Annotated[str, msgspec.Meta(max_length=40)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


class TextToDraw(msgspec.Struct, frozen=True):
    """A ride code's text, in the characters of QR's alphanumeric mode."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=400, pattern=r"^[0-9A-Z $%*+\-./:]+$")]


@get("/wallet/", sync_to_thread=True, include_in_schema=False)
def show_sign_in(
    request: Asked, site: Here, again: Annotated[str, QueryParameter(max_length=1)] = ""
) -> Response[Any]:
    # again: whoever is signed in proves anew who they are, to connect a phone.
    if not again and find_account(request, site) is not None:
        return Redirect("/wallet/home")
    say = words_for(request)
    with site.ctx.tx() as tx:
        choices = _choices(tx, say) if site.demo else []
        cities = {one.city_id: one.name for one in atlas.list_cities(tx)}
    answer = page(
        "wallet/sign_in.html",
        say=say,
        riders=[(one.account, one.words) for one in choices],
        city_names=cities,
        demo=site.demo,
        rp=find_rp(request, site),
        by_name=by_its_name(request),
    )
    return spoken(answer, say, request)


@post("/wallet/sign-in", sync_to_thread=True, include_in_schema=False)
def sign_in(
    request: Asked,
    site: Here,
    data: Annotated[SignInForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    if not site.demo:
        raise trust.NotAllowed("One-click sign-in works in a demo league only.")
    with site.ctx.tx() as tx:
        secret = identity.start_session(
            tx,
            identity.AccountId(data.account_id),
            site.ctx.clock.now(),
            user_agent=request.headers.get("user-agent", ""),
        )
        identity.end_session(tx, session_secret(request))
    return with_session(gone_on(request), request, secret)


@post("/wallet/sign-out", sync_to_thread=True, include_in_schema=False)
def sign_out(request: Asked, site: Here) -> Response[Any]:
    secret = session_secret(request)
    if secret:
        now = site.ctx.clock.now()
        with site.ctx.tx() as tx:
            phone = identity.find_phone_of_session(tx, secret, now)
            if phone is not None:  # its key goes from the phone just now, so nobody can end its tokens later
                rides.end_phone(tx, phone.account_id, phone.phone_id, "removed", at=now)
            identity.end_session(tx, secret)
    # The phone forgets its key, its token and the pages it kept for reading offline.
    answer = Redirect("/wallet/", status_code=303, headers={"clear-site-data": '"storage"'})
    return without_session(answer, request)


@get("/wallet/home", sync_to_thread=True, include_in_schema=False)
def show_home(request: Asked, site: Here) -> Response[Any]:
    signed_in = find_signed_in(request, site)
    if signed_in is None:
        return Redirect("/wallet/")
    session, account = signed_in
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        issuer = trust.get_member(tx, trust.MemberId(account.issuer_id))
        balances = _balances(tx, site, account)
        answer = page(
            "wallet/home.html",
            here="home",
            account=account,
            say=say,
            issuer_name=issuer.name,
            balances=balances,
            lacking=_lacking(tx, site, account, balances, say),
            journeys=_last_journeys(tx, account, JOURNEYS_ON_HOME, say=say)[0],
            refunds=refund_lines(tx, account, say, limit=REFUNDS_ON_HOME),
            demo=site.demo,
            notes=notes_for(tx, account, session, site, say),
            words_of_scripts=words_of_scripts(say, *HOME_SCRIPTS),
            qr_script="/vendor/qr/index.js" if site.browser_files else "",
        )
    answer.headers["link"] = NEEDED_AT_ONCE
    return spoken(answer, say, request)


@get("/wallet/home/balance", sync_to_thread=True, include_in_schema=False)
def show_balance(request: Asked, site: Here) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        return page("wallet/_balance.html", say=say, balances=_balances(tx, site, account))


@get("/wallet/home/journeys", sync_to_thread=True, include_in_schema=False)
def show_last_journeys(request: Asked, site: Here) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        journeys = _last_journeys(tx, account, JOURNEYS_ON_HOME, say=say)[0]
        return page("wallet/_journeys.html", say=say, journeys=journeys)


@post("/wallet/language", sync_to_thread=True, include_in_schema=False)
def choose_language(
    request: Asked,
    site: Here,
    data: Annotated[LanguageForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Speak this language to me from now on: in this browser, and wherever I sign in."""
    account = get_account(request, site)
    if data.language not in LANGUAGES:
        raise _unfit("language", "is none that pages are in", f"Choose one of {', '.join(LANGUAGES)}")
    with site.ctx.tx() as tx:
        identity.set_language(tx, account.account_id, data.language)
    answer = Redirect(data.next if is_inside(data.next) else HOME, status_code=303)
    return remembering(answer, data.language, request)


@get("/wallet/journeys", sync_to_thread=True, include_in_schema=False)
def show_journeys(request: Asked, site: Here, after: After = "") -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        journeys, older = _last_journeys(tx, account, JOURNEYS_ON_PAGE, after, say)
    answer = page(
        "wallet/journeys.html",
        here="journeys",
        account=account,
        say=say,
        journeys=journeys,
        after=after,
        older=older,
    )
    return spoken(answer, say, request)


@get("/wallet/journeys/{journey_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_journey(
    request: Asked,
    site: Here,
    journey_id: FromPath[UUID],
    stated: Annotated[str, QueryParameter(max_length=1)] = "",
) -> Response[str]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    return _journey_page(request, site, account, journey_id, say, EndForm(), stated=bool(stated))


@post("/wallet/journeys/{journey_id:uuid}/end", sync_to_thread=True, include_in_schema=False)
def state_end(
    request: Asked,
    site: Here,
    journey_id: FromPath[UUID],
    data: Annotated[EndForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    try:
        with site.ctx.tx() as tx:
            record = rides.journey(tx, rides.JourneyId(journey_id)).journey
            if record.account_id != account.account_id:
                raise rides.UnknownJourney()
            network = atlas.get_network(tx, record.city_id, day=record.service_day)
            rides.state_end(
                tx,
                journey_id,
                stop_id=atlas.get_stop(network, data.stop, where="stop").stop_id,
                at=_local(data.at, network.city.tz),
                by="rider",
                caller_id=f"person:{account.account_id}",
                reason=data.reason.strip(),
                now=site.ctx.clock.now(),
            )
    except (InvalidInput, rides.JourneyNotOpen, rides.StatedTooOften) as refused:
        told = "; ".join(str(one) for one in refused.problems) or refused.detail
        return _journey_page(request, site, account, journey_id, say, data, refused=told)
    return Redirect(f"/wallet/journeys/{journey_id}?stated=1", status_code=303)


def _journey_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    journey_id: UUID,
    say: Words,
    form: EndForm,
    *,
    stated: bool = False,
    refused: str = "",
) -> Response[str]:
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        detail = rides.journey(tx, rides.JourneyId(journey_id))
        record = detail.journey
        if record.account_id != account.account_id:
            raise rides.UnknownJourney()  # somebody else's journey is not there for this rider
        places = Places(tx)
        journey = view_detail(
            places,
            detail,
            say,
            source=tariff_text(tx, record),
            corrections=rides.corrections(tx, detail, partition=partition),
            caps=rides.cap_progress(tx, record),
        )
        bookings = own_bookings(tx, account, detail.charges)
        missing = record.kind if _may_state(tx, record) else ""
        network = places.network(record.city_id)
    answer = page(
        "wallet/journey.html",
        here="journeys",
        account=account,
        say=say,
        journey=journey,
        bookings=bookings,
        again=fares_address(record, journey.zone),
        missing=missing,
        stops=sorted(rides.stop_name(network, one, say.language) for one in network.stops) if missing else [],
        form=form,
        at=form.at or in_zone(record.started_at, journey.zone, "%Y-%m-%dT%H:%M"),
        stated=stated,
        refused=refused,
        reason_max=REASON_MAX,
        status_code=422 if refused else 200,
    )
    return spoken(answer, say, request)


@post("/wallet/qr", sync_to_thread=True, include_in_schema=False, status_code=200)
def draw_qr(data: JSONBody[TextToDraw]) -> Picture:
    """The picture of a code, for phones whose QR library is not installed."""
    return picture_of(data.text, level="L")


@get("/wallet/sw.js", sync_to_thread=True, include_in_schema=False)
def give_worker() -> Response[bytes]:
    """The service worker. It stands here because a worker serves what lies beside and below it."""
    return Response(
        (STATIC / "js" / "sw.js").read_bytes(),
        media_type="text/javascript",
        headers={"cache-control": "no-cache"},
    )


@get("/wallet/manifest.webmanifest", sync_to_thread=False, include_in_schema=False)
def give_manifest() -> Response[bytes]:
    """What makes the wallet installable on a phone (W3C Web Application Manifest)."""
    manifest = {
        "name": "Hansa wallet",
        "short_name": "Hansa",
        "id": "/wallet/",
        "start_url": "/wallet/home",
        "scope": "/wallet/",
        "display": "standalone",
        "background_color": "#0a2f46",
        "theme_color": "#0a2f46",
        "icons": [
            {"src": static_address("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
            {
                "src": static_address("icon-maskable.svg"),
                "sizes": "any",
                "type": "image/svg+xml",
                "purpose": "maskable",
            },
        ],
    }
    return Response(msgspec.json.encode(manifest), media_type="application/manifest+json")


def _choices(tx: Tx, say: Words) -> list[RiderChoice]:
    """Riders of every city for the visitor of a demo: those who rode abroad and at home on the last closed day.

    Before a day is closed, or in a city whose riders did not ride, a few of each class.
    """
    cities = {one.city_id: one for one in atlas.list_cities(tx)}
    away, at_home = _riders_of_the_day(tx)
    chosen: list[RiderChoice] = []
    names: set[str] = set()
    for city_id in cities:
        abroad = _best(tx, cities, away.get(city_id, ()), names, RIDERS_OF_A_CITY // 2, say)
        home = _best(tx, cities, at_home.get(city_id, ()), names, RIDERS_OF_A_CITY - len(abroad), say)
        chosen += abroad + home
    covered = {one.account.home_city_id for one in chosen}
    for account in identity.sample_accounts(tx):
        if account.home_city_id not in covered and account.name not in names:
            names.add(account.name)
            chosen.append(RiderChoice(account, ""))
    return [*_shopkeepers(tx, names, say), *chosen][:RIDERS_SHOWN]


def _shopkeepers(tx: Tx, names: set[str], say: Words) -> list[RiderChoice]:
    """Who keeps a shop, so that a visitor is paid as well as pays: one a city, the oldest shops first."""
    kept: dict[str, RiderChoice] = {}
    for shop in reversed(merchants.list_merchants(tx, status="open")):
        account = identity.find_account(tx, identity.AccountId(shop.applied_by))
        if account is not None and account.name not in names:
            kept[shop.city_id] = RiderChoice(account, say("keeps {shop}", shop=shop.name))
    return list(kept.values())[:SHOPKEEPERS]


def _riders_of_the_day(
    tx: Tx,
) -> tuple[dict[str, list[identity.Account]], dict[str, list[identity.Account]]]:
    """Some who rode abroad and some who rode at home on the last closed day, by home city."""
    days = [one for one in clearing.list_days(tx, limit=2) if one.closed_at is not None]
    if not days:
        return {}, {}
    day = days[0].day
    wanted = [
        rides.JourneyId(item.reference)
        for one in clearing.positions(tx, day)
        for item in clearing.items(
            tx, day, one.issuer_id, one.operator_id, one.currency, limit=ITEMS_LOOKED_AT
        )
        if item.reference is not None
    ]
    records = rides.find_journeys(tx, wanted)
    accounts = identity.find_accounts(
        tx, list({identity.AccountId(one.account_id) for one in records.values()})
    )
    away: dict[str, list[identity.Account]] = {}
    at_home: dict[str, list[identity.Account]] = {}
    for wish in dict.fromkeys(wanted):
        record = records.get(wish)
        account = accounts.get(identity.AccountId(record.account_id)) if record else None
        if record is None or account is None:
            continue
        of_city = (at_home if record.city_id == account.home_city_id else away).setdefault(
            account.home_city_id, []
        )
        if account not in of_city:
            of_city.append(account)
    return away, at_home


def _best(
    tx: Tx,
    cities: dict[str, atlas.City],
    riders: Iterable[identity.Account],
    names: set[str],
    most: int,
    say: Words,
) -> list[RiderChoice]:
    """Those with most to see, each under a name of its own; the names are added to those taken."""
    spread = list(riders)
    step = max(1, len(spread) // RIDERS_LOOKED_AT)  # across all the cities they rode in
    found = [
        _told(account, cities, rides.journeys(tx, account.account_id, limit=JOURNEYS_COUNTED), say)
        for account in spread[::step][:RIDERS_LOOKED_AT]
    ]
    chosen: list[RiderChoice] = []
    found.sort(key=lambda one: -one[0])
    while found and len(chosen) < most:
        told = {one.words for one in chosen}
        _, choice = next((one for one in found if one[1].words not in told), found[0])
        found = [one for one in found if one[1] is not choice and one[1].account.name != choice.account.name]
        if choice.account.name not in names:
            names.add(choice.account.name)
            chosen.append(choice)
    return chosen


def _told(
    account: identity.Account,
    cities: dict[str, atlas.City],
    journeys: list[rides.JourneyRecord],
    say: Words,
) -> tuple[int, RiderChoice]:
    """How much there is to see, and what: ``4 journeys in London, paid in CNY``."""
    abroad = [one for one in journeys if one.city_id != account.home_city_id]
    shown = abroad or journeys
    words = [say.count(len(shown), "{n} journey", "{n} journeys")]
    worth = len(shown)
    if abroad:
        visited = list(dict.fromkeys(city_name(cities[one.city_id], say) for one in abroad))
        places = visited.pop(0)
        for name in visited:
            places = say("{names} and {name}", names=places, name=name)
        words = [say("{journeys} in {places}", journeys=words[0], places=places)]
        home = cities[account.home_city_id].currency
        if home != cities[abroad[0].city_id].currency:
            words.append(say("paid in {currency}", currency=home))
            worth += 1
    if any("cap" in step.rule for one in shown for step in one.steps):
        words.append(say("capped"))
        worth += 3
    if any(one.kind in ("no_exit", "no_entry") for one in shown):
        words.append(say("one incomplete"))
        worth += 1
    return worth, RiderChoice(account, ("，" if say.language == "zh" else ", ").join(words))


def _balances(tx: Tx, site: Site, account: identity.Account) -> list[Money]:
    partition = site.ctx.directory.partition_of(account.account_id)
    held = payments.balance_of(tx, account.account_id, partition=partition)
    return held or [Money(0, _currency(tx, account))]


def _lacking(tx: Tx, site: Site, account: identity.Account, balances: list[Money], say: Words) -> list[str]:
    """What operators want the wallet to hold before a rider enters, where it holds less, a sentence each."""
    currency = _currency(tx, account)
    held = next((one for one in balances if one.currency == currency), Money(0, currency))
    return [
        say(
            "To ride in {place}, your wallet must hold {wanted}: top up {lacking} before you enter.",
            place=city_name(Places(tx).network(one.city_id).city, say),
            wanted=one.wanted,
            lacking=one.lacking,
        )
        for one in rides.entries_lacking(tx, held, account.rider_class, site.ctx.clock.now())
    ]


def _may_state(tx: Tx, record: rides.JourneyRecord) -> bool:
    """Whether a tap is missing and the operator takes it from riders where it was."""
    if record.kind not in ("no_exit", "no_entry") or record.status == "withdrawn":
        return False
    try:
        tariff = rides.get_tariff(tx, record.operator_id, record.service_day)
    except rides.UnknownTariff:
        return False
    return tariff.pairing.stated.per_month > 0


def _local(text: str, tz: str) -> datetime:
    """A form's local time as an instant. Errors: InvalidInput."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise _unfit("at", "is no day and time", "Write it as 2026-11-17T08:30") from error
    if not 2000 <= at.year < 2200:
        raise _unfit("at", "is of no year we know", "Name a day of the years 2000 to 2199")
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(tz))).astimezone(UTC)


def _last_journeys(
    tx: Tx, account: identity.Account, limit: int, after: str = "", say: Words = ENGLISH
) -> tuple[list[JourneyView], str]:
    """Journeys, latest first, and where the older ones begin; empty when there are none."""
    places = Places(tx)
    found = rides.journeys(tx, account.account_id, after=read_mark(after), limit=limit + 1)
    shown, older = paged(found, limit, lambda one: mark_text(one.started_at, one.journey_id))
    return [view_journey(places, one, say) for one in shown], older or ""


def _currency(tx: Tx, account: identity.Account) -> str:
    return Places(tx).network(account.home_city_id).city.currency


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where} {what}.", problems=(Problem(where, what, remedy),))


ROUTES = [
    show_sign_in,
    sign_in,
    sign_out,
    show_home,
    show_balance,
    show_last_journeys,
    choose_language,
    show_journeys,
    show_journey,
    state_end,
    draw_qr,
    give_worker,
    give_manifest,
]
