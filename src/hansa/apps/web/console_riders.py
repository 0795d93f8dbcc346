"""Riders at the console: found by what they have with them, looked at for a reason, each look kept for them to read.

The league's staff also find riders by name. A member's staff see their own issuers' riders whole but for what those did
elsewhere, and of others what they did with the member's own operators (``console_looks``).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, atlas, cards, identity, payments, rides
from hansa.apps.web.card_pages import STATE_WORDS
from hansa.apps.web.clerks import clerk_of
from hansa.apps.web.console import bookings_of, member_names
from hansa.apps.web.console_looks import (
    LOOKS,
    Desk,
    NobodyFound,
    ask_why,
    desk_of,
    find_look,
    find_rider,
    is_own,
    keep_look,
    rode_own,
)
from hansa.apps.web.journey_views import JourneyView, Places, tariff_text, view_detail, view_journey
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Problem, mark_text, read_mark
from hansa.rides import JourneyId, JourneyRecord
from hansa.store import Tx
from hansa.store.throttle import TooOften, refuse_too_often

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)

JOURNEYS_SHOWN = 40
RIDERS_SHOWN = 50
MOVEMENTS_SHOWN = 20
JOURNEYS_READ_MAX = 400
"""How many journeys are read to fill a page where only some may be shown."""

REASON_MAX = 500


class SpendingForm(msgspec.Struct, frozen=True):
    """Whether spending is stopped or goes on, and why."""

    do: Literal["freeze", "unfreeze"]
    reason: Annotated[str, msgspec.Meta(max_length=600)] = ""


class LookForm(msgspec.Struct, frozen=True):
    """What the rider has with them, and why somebody looks."""

    text: Annotated[str, msgspec.Meta(max_length=300)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=600)] = ""


@get("/console/riders", sync_to_thread=True, include_in_schema=False)
def show_riders(
    request: Asked,
    site: Here,
    q: Annotated[str, QueryParameter(max_length=80)] = "",
    city: Annotated[str, QueryParameter(max_length=80)] = "",
) -> Response[str]:
    """The form that finds a rider; for the league's staff, riders by name too, who read that they were found."""
    return _riders_page(site, desk_of(request, site), q=q, city=city)


@post("/console/riders/look", sync_to_thread=True, include_in_schema=False)
def look(request: Asked, site: Here, data: Annotated[LookForm, Form]) -> Response[Any]:
    """Find who stands at the counter, and keep why; leads to their page, or to the journey that was named."""
    desk, now = desk_of(request, site), site.ctx.clock.now()
    why = " ".join(data.reason.split())
    try:
        if not 1 <= len(why) <= REASON_MAX:
            problem = Problem("reason", "it is empty or too long", f"Say why in 1 to {REASON_MAX} characters")
            raise InvalidInput("Nobody was looked for.", problems=(problem,))
        refuse_too_often(site.ctx, f"look/{desk.by}", LOOKS)
        with site.ctx.tx() as tx:
            found = find_rider(tx, site, desk, data.text)
            keep_look(tx, desk, found.account_id, found.part, why, path=found.address, at=now)
    except (InvalidInput, NobodyFound, TooOften) as refused:
        return _riders_page(site, desk, text=data.text, reason=data.reason, refused=refused)
    return Redirect(found.address, status_code=303)


@get("/console/riders/{account_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_rider(
    request: Asked,
    site: Here,
    account_id: FromPath[UUID],
    after: Annotated[str, QueryParameter(max_length=100)] = "",
) -> Response[str]:
    """One rider, for the reason that was given within the last quarter of an hour; else it is asked for."""
    return _rider_page(site, desk_of(request, site), AccountId(account_id), after=after)


@post("/console/riders/{account_id:uuid}/spending", sync_to_thread=True, include_in_schema=False)
def decide_spending(
    request: Asked, site: Here, account_id: FromPath[UUID], data: Annotated[SpendingForm, Form]
) -> Response[Any]:
    """As the issuer, stop all spending from an account, or let it go on."""
    by, desk = clerk_of(request, site), desk_of(request, site)
    account = AccountId(account_id)
    with site.ctx.tx() as tx:
        _get_own(tx, desk, account)
    try:
        if not data.reason.strip():
            problem = Problem("reason", "it is empty", "Say why; the person reads it")
            raise InvalidInput("Nothing was changed.", problems=(problem,))
        do = approval.freeze if data.do == "freeze" else approval.unfreeze
        do(site.ctx, account, by="issuer", reason=data.reason, actor=by)
    except InvalidInput as refused:
        return _rider_page(site, desk, account, refused=refused)
    return Redirect(f"/console/riders/{account_id}#spending-title", status_code=303)


@get("/console/journeys/{journey_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_journey(request: Asked, site: Here, journey_id: FromPath[UUID]) -> Response[str]:
    """A journey down to its taps and up to its postings; a member's staff see those of their own operators."""
    desk, now = desk_of(request, site), site.ctx.clock.now()
    wanted = JourneyId(journey_id)
    with site.ctx.tx() as tx:
        detail = rides.journey(tx, wanted)
        if not rode_own(desk, detail.journey):
            raise rides.UnknownJourney(f"There is no journey {journey_id}.")
        account_id = AccountId(detail.journey.account_id)
        why = find_look(tx, desk, account_id, now)
        if why is None:
            return ask_why(desk, str(journey_id), "a journey")
        account = identity.find_account(tx, account_id)
        places = Places(tx)
        partition = site.ctx.directory.partition_of(detail.journey.account_id)
        journey = view_detail(
            places,
            detail,
            source=tariff_text(tx, detail.journey),
            corrections=rides.corrections(tx, detail, partition=partition),
            caps=rides.cap_progress(tx, detail.journey),
        )
        names = member_names(tx)
        bookings = bookings_of(tx, detail.charges)
        keep_look(tx, desk, account_id, "journeys", why, path=f"/console/journeys/{journey_id}", at=now)
    return page(
        "console/journey.html",
        here="riders" if desk.member_id else "days",
        desk=desk,
        journey=journey,
        detail=detail,
        rider=account if account is not None and is_own(desk, account) else None,
        names=names,
        bookings=bookings,
    )


def _riders_page(
    site: Site,
    desk: Desk,
    *,
    q: str = "",
    city: str = "",
    text: str = "",
    reason: str = "",
    refused: HansaError | None = None,
) -> Response[str]:
    league = desk.member_id is None
    with site.ctx.tx() as tx:
        cities = atlas.list_cities(tx) if league else []
        searched = league and bool(q.strip() or city or not desk.asks)
        riders = (
            identity.search_accounts(tx, q, city_id=city.replace("\0", ""), limit=RIDERS_SHOWN + 1)
            if searched
            else []
        )
        if q.strip():
            shown = [one.account_id for one in riders[:RIDERS_SHOWN]]
            identity.saw_all(tx, shown, desk.reader, "profile", "looked for by name", site.ctx.clock.now())
    return page(
        "console/riders.html",
        here="riders",
        desk=desk,
        q=q,
        city=city,
        text=text,
        reason=reason,
        refused=refused,
        cities=cities,
        searched=searched,
        riders=riders[:RIDERS_SHOWN],
        more=len(riders) > RIDERS_SHOWN,
        status_code=200 if refused is None else refused.status,
    )


def _get_own(tx: Tx, desk: Desk, account_id: AccountId) -> identity.Account:
    """The account, where this desk looks after it. Errors: identity.UnknownAccount."""
    account = identity.get_account(tx, account_id)
    if not is_own(desk, account):
        raise identity.UnknownAccount(f"There is no account {account_id}.")
    return account


def _rider_page(
    site: Site, desk: Desk, account_id: AccountId, *, after: str = "", refused: HansaError | None = None
) -> Response[str]:
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        account = identity.get_account(tx, account_id)
        own, why = is_own(desk, account), find_look(tx, desk, account_id, now)
        if why is None:
            _get_own(tx, desk, account_id)
            return ask_why(desk, str(account_id), "a rider’s page")
        part: identity.Part = "everything" if own else "journeys"
        keep_look(tx, desk, account_id, part, why, path=f"/console/riders/{account_id}", at=now)
        money = _money(tx, site, desk, account) if own else None
        journeys, older = _journeys(tx, desk, account_id, after)
        held = [one for one in cards.list_own(tx, account_id) if one.product.issuer_id in desk.own]
    return page(
        "console/rider.html",
        here="riders",
        desk=desk,
        rider=account,
        why=why,
        own=own,
        reason_max=REASON_MAX,
        refused=refused,
        status_code=200 if refused is None else refused.status,
        cards=held,
        card_words=STATE_WORDS,
        money_of=money,
        journeys=journeys,
        after=after,
        older=older,
    )


def _money(tx: Tx, site: Site, desk: Desk, account: identity.Account) -> dict[str, Any]:
    """What an issuer's desk sees of its own rider: money, phones, and how far the account is trusted."""
    account_id = account.account_id
    partition = site.ctx.directory.partition_of(account_id)
    balances = payments.balance_of(tx, account_id, partition=partition)
    movements = payments.movements(tx, account_id, MOVEMENTS_SHOWN + 1, partition=partition)
    shown = movements[:MOVEMENTS_SHOWN]
    ridden = rides.find_journeys(tx, [JourneyId(one.reference) for one in shown if one.reference])
    return {
        "balances": balances,
        "debts": payments.debts_of(tx, account_id, partition=partition),
        "wallets": [(one.currency, payments.wallet_id(account_id, one.currency)) for one in balances],
        "movements": shown,
        "more": len(movements) > MOVEMENTS_SHOWN,
        "passes": {one.pass_id: one.name for one in rides.list_passes(tx, account_id, partition=partition)},
        "elsewhere": {one.journey_id for one in ridden.values() if not rode_own(desk, one)},
        "freeze": approval.find_freeze(tx, partition, account_id),
        "standing": identity.standing_of(tx, account_id),
        "phones": identity.list_phones(tx, account_id),
    }


def _journeys(tx: Tx, desk: Desk, account_id: AccountId, after: str) -> tuple[list[JourneyView], str]:
    """A page of the journeys that this desk may see, and the mark behind which the older ones begin."""
    places, shown = Places(tx), list[JourneyRecord]()
    mark: tuple[datetime, UUID] | None = read_mark(after)
    read = 0
    while True:
        found: Sequence[JourneyRecord] = rides.journeys(tx, account_id, after=mark, limit=JOURNEYS_SHOWN + 1)
        for one in found[:JOURNEYS_SHOWN]:
            mark = (one.started_at, one.journey_id)
            read += 1
            if rode_own(desk, one):
                shown.append(one)
            if len(shown) == JOURNEYS_SHOWN:
                break
        more = len(found) > JOURNEYS_SHOWN or (bool(found) and mark != _mark(found[-1]))
        if not more or len(shown) == JOURNEYS_SHOWN or read >= JOURNEYS_READ_MAX:
            views = [view_journey(places, one) for one in shown]
            return views, mark_text(*mark) if more and mark is not None else ""


def _mark(one: JourneyRecord) -> tuple[datetime, UUID]:
    return (one.started_at, one.journey_id)


ROUTES = [show_riders, look, show_rider, decide_spending, show_journey]
