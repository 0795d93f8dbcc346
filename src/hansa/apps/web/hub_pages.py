"""The console's page of liquidity: what stands behind members' payments, alarms, caps, and the desk of funds."""

from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import hub, trust
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Money, Problem, new_id

Asked = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]

LIQUIDITY = "/console/liquidity"
FUNDS_MAX = 50
ALARMS_MAX = 30
PAYMENTS_ON_PAGE = 100
FIELD_MAX = 200

ALARM_WORDS = {
    "warning": "near its limit",
    "soft": "at its soft limit",
    "hard": "payments refused",
    "over": "over a lowered limit",
    "exposure": "exposed beyond its limit",
}
ALARM_TONES = {"warning": "warm", "soft": "warm", "hard": "bad", "over": "bad", "exposure": "warm"}
FUNDS_WORDS = {
    "asked": "the ledger is asked",
    "proposed": "waits for a second person",
    "booking": "is being booked",
    "voiding": "is being given back",
    "booked": "booked",
    "refused": "refused",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A member in a currency as the page shows it. tone: of the bar. position, headroom ...: amounts."""

    one: hub.Liquidity
    name: str
    tone: str
    used: int
    held: int
    alarms: list[tuple[str, str]]
    cover: Money
    limit: Money
    cap: Money
    position: Money
    parts: list[tuple[str, Money]]
    reserved: Money
    headroom: Money
    short: Money | None


@get(LIQUIDITY, sync_to_thread=True, include_in_schema=False)
def show_liquidity(request: Asked, site: Here) -> Response[str]:
    """Members by currency: cover, cap, position and how much of the limit is used; alarms; the desk of funds."""
    get_operator(request, site)
    return _liquidity(request, site)


@get("/console/liquidity/lots/{lot_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_lot(
    request: Asked,
    site: Here,
    lot_id: FromPath[UUID],
    after: Annotated[str, QueryParameter(max_length=40)] = "",
) -> Response[str]:
    """The payments behind an item of a position between two members."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        lot = hub.get_lot(tx, lot_id)
        payments, following = hub.lot_payments(tx, lot_id, after=after, limit=PAYMENTS_ON_PAGE)
        names: dict[str, str] = {one.member_id: one.name for one in trust.list_members(tx)}
    return page(
        "console/lot.html",
        here="liquidity",
        lot=lot,
        payer=names.get(lot.payer_id, lot.payer_id),
        payee=names.get(lot.payee_id, lot.payee_id),
        amount=Money(lot.amount_minor, lot.currency),
        payments=payments,
        next_after=following or "",
    )


@post("/console/liquidity/open", sync_to_thread=True, include_in_schema=False)
def open_liquidity(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Let a member pay and be paid in a currency."""
    get_operator(request, site)

    def do() -> None:
        hub.open_liquidity(site.ctx, [(_field(data, "member"), _field(data, "currency").upper())])

    return _done(request, site, do, data)


@post("/console/liquidity/cap", sync_to_thread=True, include_in_schema=False)
def set_cap(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Set what a member may owe at most, from now on."""
    by = clerk_of(request, site)

    def do() -> None:
        member, currency = _whose(data)
        soft = _field(data, "soft")
        hub.set_cap(
            site.ctx,
            cap_id=_id(data),
            member_id=member,
            currency=currency,
            cap_minor=read_minor(_field(data, "cap"), currency, where="cap"),
            soft_minor=read_minor(soft, currency, where="soft limit") if soft else None,
            by=by,
        )

    return _done(request, site, do, data)


@post("/console/liquidity/funds", sync_to_thread=True, include_in_schema=False)
def propose_funds(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Say that money came to the settlement bank, or is to leave it."""
    by = clerk_of(request, site)

    def do() -> None:
        member, currency = _whose(data)
        hub.propose_funds(
            site.ctx,
            funds_id=_id(data),
            member_id=member,
            currency=currency,
            way="out" if _field(data, "way") == "out" else "in",
            amount_minor=read_minor(_field(data, "amount"), currency, where="amount"),
            bank_reference=_field(data, "reference"),
            by=by,
        )

    return _done(request, site, do, data)


@post("/console/liquidity/funds/{funds_id:uuid}", sync_to_thread=True, include_in_schema=False)
def decide_funds(request: Asked, site: Here, funds_id: FromPath[UUID], data: Form) -> Response[Any]:
    """Book funds as a second person, or let them be."""
    by = clerk_of(request, site)

    def do() -> None:
        decide = hub.confirm_funds if _field(data, "decide") == "book" else hub.refuse_funds
        decide(site.ctx, funds_id, by=by)

    return _done(request, site, do, data)


def _done(request: Asked, site: Site, do: Any, data: dict[str, str]) -> Response[Any]:
    """Do it and go back, or show the page with what was wrong and what was written."""
    try:
        do()
    except HansaError as error:
        told = error.problems or (Problem("", error.detail, ""),)
        return _liquidity(request, site, problems=told, asked=data)
    return Redirect(LIQUIDITY, status_code=303)


def _liquidity(
    request: Asked,
    site: Site,
    *,
    problems: tuple[Problem, ...] = (),
    asked: dict[str, str] | None = None,
) -> Response[str]:
    with site.ctx.tx() as tx:
        names: dict[str, str] = {one.member_id: one.name for one in trust.list_members(tx)}
        everyone = hub.list_liquidity(tx)
        standing = hub.standing_alarms(tx)
        told = hub.list_alarms(tx, limit=ALARMS_MAX)
        waiting = hub.list_funds(tx, under_way=True, limit=FUNDS_MAX)
        decided = [one for one in hub.list_funds(tx, limit=FUNDS_MAX) if one.state in ("booked", "refused")]
    raised: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for one in standing:
        words = (ALARM_WORDS[one.kind], ALARM_TONES[one.kind])
        raised.setdefault((one.member_id, one.currency), []).append(words)
    lines = sorted(
        (_line(one, names, raised) for one in everyone), key=lambda line: (line.one.currency, line.name)
    )
    words = clerk_words(request, site, back=LIQUIDITY)
    by = words["by"]
    return page(
        "console/liquidity.html",
        here="liquidity",
        status_code=409 if problems else 200,
        problems=problems,
        fault="",
        asked=asked or {},
        new_id=str(new_id()),
        currencies=[
            (currency, list(some)) for currency, some in groupby(lines, key=lambda line: line.one.currency)
        ],
        pairs=[(f"{line.one.member_id}|{line.one.currency}", line) for line in lines],
        members=sorted(names.items(), key=lambda one: one[1]),
        codes=sorted(CURRENCY_EXPONENTS),
        counts={
            "lines": len(lines),
            "alarms": len(standing),
            "waiting": len(waiting),
            "short": sum(line.one.short_minor > 0 for line in lines),
        },
        waiting=[(one, trust.is_same_person(by, one.proposed_by)) for one in waiting],
        decided=decided,
        told=told,
        alarm_words=ALARM_WORDS,
        alarm_tones=ALARM_TONES,
        funds_words=FUNDS_WORDS,
        names=names,
        **words,
    )


def _line(
    one: hub.Liquidity, names: dict[str, str], raised: dict[tuple[str, str], list[tuple[str, str]]]
) -> Line:
    unit = one.currency
    tone = "bad" if one.short_minor or one.used_percent >= 100 else ""
    if not tone and one.used_minor and one.used_percent >= one.warn_percent:
        tone = "warm"
    limit = max(1, one.limit_minor)
    used = min(100, max(0, one.position_minor) * 100 // limit)
    return Line(
        one,
        names.get(one.member_id, one.member_id),
        tone or "calm",
        used,
        min(100 - used, one.used_minor * 100 // limit - used) if one.used_minor else 0,
        raised.get((one.member_id, unit), []),
        Money(one.cover_minor, unit),
        Money(one.limit_minor, unit),
        Money(one.cap_minor, unit),
        Money(one.position_minor, unit),
        _parts(one),
        Money(one.reserved_minor, unit),
        Money(one.headroom_minor, unit),
        Money(one.short_minor, unit) if one.short_minor else None,
    )


def _parts(one: hub.Liquidity) -> list[tuple[str, Money]]:
    """Where a member's position stands on its way through settlement, in words, and what has settled so far.

    Nothing where windows have no part.
    """
    if not (one.on_positions_minor or one.in_windows_minor or one.released_minor):
        return []
    parts = (
        ("before the next minute", one.coming_minor),
        ("for the next window", one.on_positions_minor),
        ("in windows not settled", one.in_windows_minor),
        ("settled so far", one.released_minor),
    )
    return [(words, Money(minor, one.currency)) for words, minor in parts if minor]


def _whose(data: dict[str, str]) -> tuple[str, str]:
    member, _, currency = _field(data, "whose").partition("|")
    if not member or not currency:
        problem = Problem("member", "none is chosen", "Choose a member and a currency")
        raise InvalidInput("Nothing was chosen.", problems=(problem,))
    return member, currency


def _field(data: dict[str, str], name: str) -> str:
    text = data.get(name, "").strip()
    if len(text) > FIELD_MAX or "\0" in text:
        problem = Problem(name, "it is too long or holds a NUL", f"Write at most {FIELD_MAX} characters")
        raise InvalidInput("This form cannot be read.", problems=(problem,))
    return text


def _id(data: dict[str, str]) -> UUID:
    """The id that was made with the form, so that sending it twice does it once."""
    try:
        return UUID(data.get("id", ""))
    except ValueError as error:
        problem = Problem("form", "its id is missing", "Open the page again")
        raise InvalidInput("This form cannot be read.", problems=(problem,)) from error


ROUTES = [show_liquidity, show_lot, open_liquidity, set_cap, propose_funds, decide_funds]
