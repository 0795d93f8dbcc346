"""The application: the interface of every room, the wallet, the gate screen and the console, in one process."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from litestar import Litestar, Request, Response, Router
from litestar.config.response_cache import ResponseCacheConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.events import BaseEventEmitterBackend
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme
from litestar.response import Redirect
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from hansa import ledger, trust
from hansa.apps.devices.broker import registrar_of
from hansa.apps.personal_means import means_of
from hansa.apps.web import (
    agreement_pages,
    approval_pages,
    audit_pages,
    card_pages,
    clerks,
    console,
    console_riders,
    console_tables,
    counter_pages,
    developer_pages,
    device_pages,
    dispute_desk,
    dispute_figures,
    dispute_pages,
    fare_pages,
    front,
    gate_screen,
    held_pages,
    hub_pages,
    insight_pages,
    kit_routes,
    me_pages,
    me_people_pages,
    member_pages,
    merchant_pages,
    model_pages,
    money_bank_pages,
    money_pages,
    network_pages,
    notice_pages,
    offer_pages,
    paper_pages,
    pass_pages,
    pay_pages,
    people_pages,
    proofs,
    quote_pages,
    reconcile_pages,
    recovery_desk,
    recovery_document,
    report_pages,
    risk_pages,
    security_routes,
    shop_desk,
    spending_pages,
    staff_pages,
    stray_pages,
    tariff_pages,
    ticket_pages,
    wallet,
    wallet_phones,
    ward_pages,
    webhook_pages,
)
from hansa.apps.web.api_acts import keep_act
from hansa.apps.web.approval_desk import desk_of
from hansa.apps.web.browser_files import PACKAGES, find_browser_files
from hansa.apps.web.callers import find_caller, refuse_cross_site
from hansa.apps.web.console_guard import guard, keep_outcome
from hansa.apps.web.door import FrontDoor
from hansa.apps.web.gatehouse import GateHouse
from hansa.apps.web.hot import HotTransfers
from hansa.apps.web.hot_hub import with_hub
from hansa.apps.web.hot_payments import HotPayments
from hansa.apps.web.hot_taps import HotTaps
from hansa.apps.web.idempotent import asked_id, with_key
from hansa.apps.web.interface import room_routes, tags
from hansa.apps.web.money_means import outside_of
from hansa.apps.web.origins import ONE_NAME, Origins, OtherOrigin, host_of, is_console
from hansa.apps.web.problems import EXCEPTION_HANDLERS
from hansa.apps.web.security_headers import add_headers, headers_of
from hansa.apps.web.site import Site
from hansa.apps.web.staff_door import secret_to_set
from hansa.apps.web.static_files import file_routes
from hansa.apps.witnessing import Witnessing, log_signer
from hansa.identity import Sealer
from hansa.kernel import InvalidInput, Problem
from hansa.store import Context
from hansa.wallets.routes import Outside

BODY_MAX = 4 * 1024 * 1024
"""Bytes of a request's body: a full batch of 5,000 taps has 2 MB."""

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2200, 12, 31)
"""Days that may be asked for: where a calendar ends, the day before or after is no date any more."""

SITE = "hansa_site"
"""Under this name a request's state holds the site that it is asked of."""

DAYS_ASKED = ("day", "after")
"""Names of queries that name a day."""


def create_app(
    ctx: Context,
    *,
    home: Path,
    demo: bool,
    witnessing: Witnessing | None = None,
    origins: Origins = ONE_NAME,
) -> ASGIApp:
    """The whole web application on this Context.

    home: the folder of this Hansa, for issuer keys (``keys/``), gate states (``gates/``) and bank files.
    demo: riders sign in with one click, and the console is open to whoever sits at this machine.
    witnessing: who asks witnesses in this process; the console tells what they said.
    origins: under which names wallet and console are, where each has its own.
    """
    keys = trust.KeyFolder(home / "keys")
    site = Site(
        ctx=ctx,
        home=home,
        demo=demo,
        keys=keys,
        gates=GateHouse(home / "gates", demo=demo),
        browser_files=find_browser_files(),
        signer=log_signer(home),
        list_signer=trust.ListSigner(keys.lists()),
        witnessing=witnessing,
        origins=origins,
    )
    headers = headers_of(tls=origins.tls)
    members = with_hub(_on(site), site, body_max=BODY_MAX, headers=headers)
    tills = HotPayments(members, site, body_max=BODY_MAX, headers=headers)
    taps = HotTaps(tills, site, body_max=BODY_MAX, headers=headers)
    transfers = HotTransfers(taps, site, body_max=BODY_MAX, headers=headers)
    return FrontDoor(transfers, site, headers=headers)


def _on(site: Site) -> ASGIApp:
    """The application, each of whose requests is told that it is this site's."""
    application = _application(site.browser_files)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[SITE] = site
        if site.origins.apart and scope["type"] == "http":
            scope["scheme"] = site.origins.scheme_of(host_of(scope)) or scope["scheme"]
        await application(scope, receive, send)

    return app


@cache
def _application(browser_files: Path | None) -> Litestar:
    """All routes and pages, which take most of a second to make ready: so once in a process, for any number of sites.

    Nothing of a site is in it; each request brings its own.
    """
    return Litestar(
        route_handlers=[_everything(), *file_routes(browser_files, PACKAGES)],
        dependencies={
            "site": Provide(_site, sync_to_thread=False),
            "ctx": Provide(_ctx, sync_to_thread=False),
            "log_signer": Provide(_log_signer, sync_to_thread=False),
            "list_signer": Provide(_list_signer, sync_to_thread=False),
            "token_signer": Provide(_token_signer, sync_to_thread=False),
            "registrar": Provide(_registrar, sync_to_thread=True),
            "caller": Provide(find_caller, sync_to_thread=True),
            "desk": Provide(desk_of, sync_to_thread=True),
            "outside": Provide(_outside, sync_to_thread=True),
            "asked_id": Provide(asked_id, sync_to_thread=False),
            "sealer": Provide(_sealer, sync_to_thread=True),
        },
        event_emitter_backend=_NoEvents,
        exception_handlers=EXCEPTION_HANDLERS,
        before_request=_before_request,
        before_send=[_add_security_headers],
        request_max_body_size=BODY_MAX,
        response_cache_config=ResponseCacheConfig(default_expiration=None),
        openapi_config=_openapi(),
        logging_config=None,
    )


def _site(scope: Scope) -> Site:
    site: Site = scope["state"][SITE]
    return site


def _ctx(scope: Scope) -> Context:
    return _site(scope).ctx


def _log_signer(scope: Scope) -> ledger.Signer:
    return _site(scope).signer


def _list_signer(scope: Scope) -> trust.ListSigner:
    return _site(scope).list_signer


def _token_signer(scope: Scope) -> trust.KeyFolder:
    return _site(scope).keys


def _registrar(scope: Scope) -> trust.Registrar | None:
    site = _site(scope)
    return registrar_of(site.home, site.ctx.clock.now())


def _outside(scope: Scope) -> Outside:
    """The way to people's banks, and what finds proved contacts."""
    return outside_of(_site(scope))


def _sealer(scope: Scope) -> Sealer:
    """What seals personal data here. Errors: store.SecretMissing, store.SecretUnfit."""
    site = _site(scope)
    return means_of(site.home, demo=site.demo).sealer


class _NoEvents(BaseEventEmitterBackend):
    """Nobody sends events here. Litestar's own emitter belongs to one event loop; the application serves many."""

    def emit(self, event_id: str, *_: object, **__: object) -> None:
        raise AssertionError(event_id)

    async def __aexit__(self, *_: object) -> None: ...


def _everything() -> Router:
    """All routes and pages, handed to the application as one.

    One by one, a GET and a POST of the same address would be registered twice, and Litestar 2.25 wraps a sync
    handler anew at each registration: its second wrapping returns a coroutine that nobody awaits.
    """
    handlers = [
        *(with_key(handler, SITE) for handler in room_routes()),
        *front.ROUTES,
        *developer_pages.ROUTES,
        *fare_pages.ROUTES,
        *wallet.ROUTES,
        *wallet_phones.ROUTES,
        *paper_pages.ROUTES,
        *card_pages.ROUTES,
        *me_pages.ROUTES,
        *me_people_pages.ROUTES,
        *ward_pages.ROUTES,
        *people_pages.ROUTES,
        *recovery_desk.ROUTES,
        *shop_desk.ROUTES,
        *recovery_document.ROUTES,
        *money_pages.ROUTES,
        *money_bank_pages.ROUTES,
        *counter_pages.ROUTES,
        *stray_pages.ROUTES,
        *pass_pages.ROUTES,
        *pay_pages.ROUTES,
        *offer_pages.ROUTES,
        *quote_pages.ROUTES,
        *ticket_pages.ROUTES,
        *merchant_pages.ROUTES,
        *notice_pages.ROUTES,
        *insight_pages.ROUTES,
        *approval_pages.ROUTES,
        *spending_pages.ROUTES,
        *gate_screen.ROUTES,
        *console.ROUTES,
        *console_riders.ROUTES,
        *console_tables.ROUTES,
        *clerks.ROUTES,
        *network_pages.ROUTES,
        *proofs.ROUTES,
        *risk_pages.ROUTES,
        *report_pages.ROUTES,
        *reconcile_pages.ROUTES,
        *dispute_pages.ROUTES,
        *dispute_desk.ROUTES,
        *dispute_figures.ROUTES,
        *tariff_pages.ROUTES,
        *member_pages.ROUTES,
        *agreement_pages.ROUTES,
        *model_pages.ROUTES,
        *held_pages.ROUTES,
        *hub_pages.ROUTES,
        *webhook_pages.ROUTES,
        *device_pages.ROUTES,
        *kit_routes.ROUTES,
        *security_routes.ROUTES,
        *staff_pages.ROUTES,
        *audit_pages.ROUTES,
    ]
    return Router(path="/", route_handlers=handlers)


async def _before_request(request: Request[Any, Any, Any]) -> Response[Any] | None:
    refuse_cross_site(request)
    _refuse_what_no_address_holds(request)
    elsewhere = _to_its_own_name(request)
    if elsewhere is None and is_console(request.scope["path"]):
        return await guard(request, _site(request.scope))
    if elsewhere is None:
        await keep_act(request, _site(request.scope))
    return elsewhere


def _to_its_own_name(request: Request[Any, Any, Any]) -> Redirect | None:
    """Lead who asks for a page under another name than its own. Errors: OtherOrigin for what is more than asking."""
    path = request.scope["path"]
    way = _site(request.scope).origins.way(host_of(request.scope), path)
    if not way:
        return None
    if request.method not in ("GET", "HEAD"):
        raise OtherOrigin(f"This is under another address, {way}. Open it there, and send it from there.")
    query = request.scope["query_string"].decode("latin-1")
    raw = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    return Redirect(f"{way}{raw}{'?' if query else ''}{query}", status_code=307)


def _refuse_what_no_address_holds(request: Request[Any, Any, Any]) -> None:
    """Refuse a NUL, which no name has and no database text takes, and days at the ends of the calendar.

    Errors: NotFoundException for a path with a NUL; InvalidInput for such a query, or for a day out of range.
    """
    if "\0" in request.scope["path"]:
        raise NotFoundException
    asked = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for name, text in asked:
        if "\0" in name or "\0" in text:
            problem = Problem(name.replace("\0", ""), "it holds a NUL", "Take it out")
            raise InvalidInput("A name holds no NUL.", problems=(problem,))
    days = [(name, _day(text)) for name, text in asked if name in DAYS_ASKED]
    days += [(name, one) for name, one in request.path_params.items() if isinstance(one, date)]
    for name, day in days:
        if day is not None and not FIRST_DAY <= day <= LAST_DAY:
            problem = Problem(name, f"it is {day}", f"Name a day from {FIRST_DAY} to {LAST_DAY}")
            raise InvalidInput("Hansa knows the years 2000 to 2200.", problems=(problem,))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


async def _add_security_headers(message: Message, scope: Scope) -> None:
    if message["type"] == "http.response.start":
        tls = _site(scope).origins.tls or scope["scheme"] == "https"
        headers = MutableScopeHeaders.from_message(message)
        add_headers(headers, scope, tls=tls)
        cookie = secret_to_set(scope)
        if cookie is not None:
            headers.add("set-cookie", cookie)
        await keep_outcome(scope, message["status"])


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Hansa",
        version="1",
        summary="One account, honoured in every city.",
        description=(
            "Taps in, journeys, fares, ledger, clearing and settlement out. Refusals are application/problem+json "
            "(RFC 9457) with a stable `code`. Amounts are whole minor units with an ISO 4217 currency. Instants are "
            "RFC 3339 and name their offset. Every POST that moves something carries the caller's own id for it: "
            "repeating it gives the first answer again."
        ),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        path="/openapi",
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
        tags=tags(),
        components=Components(
            security_schemes={
                "key": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description=(
                        "A member's API key, made by the league operator. It holds scopes; an operation names the "
                        "one it needs."
                    ),
                ),
                "session": SecurityScheme(
                    type="apiKey",
                    name="hansa_session",
                    security_scheme_in="cookie",
                    description="A rider's sign-in in this browser.",
                ),
            }
        ),
    )
