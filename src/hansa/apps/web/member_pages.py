"""The console's desk of members: letting in, bank accounts, suspending, resuming, leaving; two persons who decide."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect

from hansa import clearing, rides, trust
from hansa.apps import leaving
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.apps.web.tariff_views import problems_of
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, InvalidInput, Problem, fact_id, new_id
from hansa.store import Tx
from hansa.trust.staff_model import ReasonNeeded

Asked = Request[Any, Any, Any]

TONES = {
    "active": "",
    "suspended": "bad",
    "leaving": "warm",
    "left": "plain",
    "applied": "warm",
    "approved": "",
    "refused": "bad",
    "withdrawn": "plain",
    "proposed": "warm",
    "in_force": "",
    "stopped": "bad",
}
STEP_WORDS = {
    "joined": "let in",
    "suspended": "suspended",
    "resume_proposed": "proposed that it goes on",
    "resume_refused": "said no to going on",
    "resumed": "let it go on",
    "leave_proposed": "proposed that it leaves",
    "leave_refused": "said no to leaving",
    "leaving": "let it run down",
    "stays": "called its leaving off",
    "left": "has left",
}

SKELETON = """member = "lyon"              # its name in the books, for good
name = "Lyon"
role = "city"                # city, bank; issuer or operator that clears by itself
tz = "Europe/Paris"
currencies = ["EUR"]

[contact]
name = "Claire Petit"
email = "claire.petit@example.org"
phone = "+33 4 00 00 00 00"

[[accounts]]                 # without a currency: for all that have none of their own
bic = "BNPAFRPPXXX"
iban = "FR14 2004 1010 0505 0001 3M02 606"

[[parts]]
member = "lyon-card"
name = "Lyon Card"
role = "issuer"
# key = "64 hex digits of the Ed25519 key that signs ride tokens"

[[parts]]
member = "lyon-tcl"
name = "TCL"
role = "operator"
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A member in the list, under the one it clears as."""

    member: trust.Member
    life: trust.MemberLife
    waiting: tuple[str, ...]


@dataclass(frozen=True)
class ApplicationForm:
    """What the form of an application sends. nonce: made with the form, so that sending it twice applies once."""

    toml: str = ""
    note: str = ""
    nonce: str = ""
    what: str = ""


@dataclass(frozen=True)
class DecideForm:
    """What the form of a decision on an application sends."""

    what: str = ""
    why: str = ""


@dataclass(frozen=True)
class KeyForm:
    """Which key ends, by its id, and why."""

    key_id: str = ""
    why: str = ""


@dataclass(frozen=True)
class MemberForm:
    """What a form on a member's page sends. day: the last day of new business. reserve: as ``500.00 EUR``."""

    what: str = ""
    why: str = ""
    day: str = ""
    bic: str = ""
    number: str = ""
    currency: str = ""
    change: str = ""
    nonce: str = ""
    reserve: str = ""


@get("/console/members", sync_to_thread=True, include_in_schema=False)
def show_members(request: Asked, site: Here) -> Response[str]:
    """Every member with its standing, and who waits to be let in."""
    get_operator(request, site)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        lines = _lines(tx, now)
        applications = trust.list_applications(tx)
        changes = [one for one in trust.list_account_changes(tx) if one.state in ("proposed", "approved")]
    return page(
        "console/members.html",
        here="members",
        lines=lines,
        applications=applications,
        changes=changes,
        tones=TONES,
        counts={
            standing: sum(one.life.standing == standing for one in lines)
            for standing in ("active", "suspended", "leaving", "left")
        },
        **clerk_words(request, site, back="/console/members"),
    )


@get("/console/members/apply", sync_to_thread=True, include_in_schema=False)
def show_form(request: Asked, site: Here) -> Response[str]:
    """The form in which an application is written."""
    get_operator(request, site)
    return _form_page(request, site, ApplicationForm(SKELETON, "", str(new_id())))


@post("/console/members/apply", sync_to_thread=True, include_in_schema=False)
def hand_in(
    request: Asked,
    site: Here,
    data: Annotated[ApplicationForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Check what the form sends, or hand it in; with what is wrong it is shown again, as it was written."""
    by, now = clerk_of(request, site), site.ctx.clock.now()
    toml = data.toml.replace("\r\n", "\n").replace("\0", "")
    form = ApplicationForm(toml, data.note.replace("\0", "")[:500], data.nonce[:80], data.what)
    application_id = fact_id(None, "application written", form.nonce, toml, form.note, by)
    try:
        with site.ctx.tx() as tx:
            if data.what != "apply":
                trust.check_application(tx, toml)
                return _form_page(request, site, form, checked=True)
            trust.hand_in_application(tx, application_id, toml, by=by, at=now, note=form.note)
    except HansaError as error:
        return _form_page(request, site, form, error=error)
    return Redirect(f"/console/members/applications/{application_id}", status_code=303)


@get("/console/members/applications/{application_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_application(request: Asked, site: Here, application_id: FromPath[UUID]) -> Response[str]:
    """An application: what it says, and what can be done with it."""
    get_operator(request, site)
    return _application_page(request, site, application_id)


@post(
    "/console/members/applications/{application_id:uuid}/decide", sync_to_thread=True, include_in_schema=False
)
def decide_application(
    request: Asked,
    site: Here,
    application_id: FromPath[UUID],
    data: Annotated[DecideForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Let the applicant in, refuse or withdraw; or show what stands in the way."""
    by, now = clerk_of(request, site), site.ctx.clock.now()
    why = data.why.replace("\0", "")[:500]
    decisions = {
        "approve": trust.approve_application,
        "refuse": trust.refuse_application,
        "withdraw": trust.withdraw_application,
    }
    try:
        with site.ctx.tx() as tx:
            if data.what in decisions:
                decisions[data.what](tx, application_id, by=by, at=now, why=why)
    except trust.UnknownApplication:
        raise
    except HansaError as error:
        return _application_page(request, site, application_id, why=why, error=error)
    return Redirect(f"/console/members/applications/{application_id}", status_code=303)


@get("/console/members/{member_id:str}", sync_to_thread=True, include_in_schema=False)
def show_member(request: Asked, site: Here, member_id: FromPath[str]) -> Response[str]:
    """A member: its standing, accounts, what was decided, what of it is open, what can be done."""
    get_operator(request, site)
    return _member_page(request, site, member_id)


@post("/console/members/{member_id:str}/decide", sync_to_thread=True, include_in_schema=False)
def decide_member(
    request: Asked,
    site: Here,
    member_id: FromPath[str],
    data: Annotated[MemberForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Do what a form of the page asks for, or show what stands in the way."""
    by, now = clerk_of(request, site), site.ctx.clock.now()
    try:
        with site.ctx.tx() as tx:
            _do(tx, member_id, data, by, now, data.why.replace("\0", "")[:500])
    except trust.UnknownMember:
        raise
    except HansaError as error:
        return _member_page(request, site, member_id, form=data, error=error)
    return Redirect(f"/console/members/{member_id}", status_code=303)


@post("/console/members/{member_id:str}/keys", sync_to_thread=True, include_in_schema=False)
def end_key(
    request: Asked,
    site: Here,
    member_id: FromPath[str],
    data: Annotated[KeyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """End a key of the member's programs, with the reason; the league's staff for all, a member's for their own."""
    by, at = clerk_of(request, site), site.ctx.clock.now()
    try:
        with site.ctx.tx() as tx:
            why = data.why.replace("\0", "")
            trust.end_member_key(tx, member_id, data.key_id, at, by=by, reason=why)
    except (trust.UnknownKey, ReasonNeeded) as error:
        return _member_page(request, site, member_id, error=error)
    return Redirect(f"/console/members/{member_id}#keys", status_code=303)


# -- pages ----------------------------------------------------------------------------------------------------


def _do(tx: Tx, member_id: str, data: MemberForm, by: str, at: datetime, why: str) -> None:
    what = data.what
    if what == "suspend":
        trust.suspend(tx, member_id, by=by, at=at, why=why)
    elif what == "resume":
        trust.propose_resume(tx, member_id, by=by, at=at, why=why)
    elif what in ("resume_yes", "resume_no"):
        trust.decide_resume(tx, member_id, yes=what == "resume_yes", by=by, at=at, why=why)
    elif what == "leave":
        trust.propose_leave(tx, member_id, _ends_at(tx, data.day), by=by, at=at, why=why)
    elif what in ("leave_yes", "leave_no"):
        trust.decide_leave(tx, member_id, yes=what == "leave_yes", by=by, at=at, why=why)
    elif what == "stay":
        trust.stay(tx, member_id, by=by, at=at, why=why)
    elif what == "finish":
        leaving.finish_leave(tx, member_id, by=by, at=at, why=why, reserve=_reserve(data.reserve))
    elif what == "account":
        account = trust.account_of(data.bic.strip(), data.number.strip(), data.currency.strip() or None)
        change_id = fact_id(None, "account written", data.nonce[:80], member_id, account.written, why, by)
        trust.propose_account(tx, change_id, member_id, account, by=by, at=at, why=why)
    elif what in ("account_yes", "account_no", "account_stop"):
        change = _change_id(data.change)
        if what == "account_stop":
            trust.stop_account(tx, change, by=by, at=at, why=why)
        else:
            trust.decide_account(tx, change, yes=what == "account_yes", by=by, at=at, why=why)


def _lines(tx: Tx, now: datetime) -> list[Line]:
    lives = trust.member_lives(tx, now)
    asked = {
        one.member_id: f"account in {one.currency}" if one.currency else "account"
        for one in trust.list_account_changes(tx)
        if one.state in ("proposed", "approved")
    }
    lines: list[Line] = []
    members = trust.list_members(tx)
    for one in sorted(
        members, key=lambda one: (one.clears_as, one.clears_as != one.member_id, one.member_id)
    ):
        waiting = [asked[one.member_id]] if one.member_id in asked else []
        facts = trust.member_facts(tx, one.member_id) if one.member_id in lives else ()
        if facts and facts[-1].step in ("resume_proposed", "leave_proposed"):
            waiting.append(facts[-1].step.removesuffix("_proposed"))
        lines.append(Line(one, lives[one.member_id], tuple(waiting)))
    return lines


def _form_page(
    request: Asked,
    site: Site,
    form: ApplicationForm,
    *,
    checked: bool = False,
    error: HansaError | None = None,
) -> Response[str]:
    return page(
        "console/member_apply.html",
        status_code=200 if error is None else error.status,
        here="members",
        form=form,
        checked=checked,
        problems=[] if error is None else problems_of(error),
        fault="" if error is None else error.detail,
        **clerk_words(request, site, back="/console/members/apply"),
    )


def _application_page(
    request: Asked, site: Site, application_id: UUID, *, why: str = "", error: HansaError | None = None
) -> Response[str]:
    with site.ctx.tx() as tx:
        found = trust.get_application(tx, application_id)
    return page(
        "console/member_application.html",
        status_code=200 if error is None else error.status,
        here="members",
        found=found,
        said=found.said,
        tones=TONES,
        same=trust.is_same_person(clerk_of(request, site), found.made_by),
        why=why,
        problems=[] if error is None else problems_of(error),
        fault="" if error is None else error.detail,
        **clerk_words(request, site, back=f"/console/members/applications/{application_id}"),
    )


def _member_page(
    request: Asked,
    site: Site,
    member_id: str,
    *,
    form: MemberForm | None = None,
    error: HansaError | None = None,
) -> Response[str]:
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        member = trust.get_member(tx, member_id)
        life = trust.member_life(tx, member_id, now)
        facts = trust.member_facts(tx, member_id)
        changes = trust.list_account_changes(tx, member_id)
        accounts = {
            currency: account
            for (owner, currency), account in trust.member_accounts(tx).items()
            if owner == member_id
        }
        parts = [
            (one, trust.member_life(tx, one.member_id, now))
            for one in trust.list_members(tx)
            if one.clears_as == member_id and one.member_id != member_id
        ]
        runs = life.business_ends_at is not None and life.standing != "left"
        open_things = leaving.open_things(tx, member_id) if runs else []
        last_deadline = leaving.last_deadline(tx, member_id) if runs else None
        profile = trust.find_profile(tx, member_id)
        keys = trust.list_api_keys(tx, member_id)
        held = rides.held_charges(tx, member_id, now)
        tz = clearing.get_settings(tx).tz
    by = clerk_of(request, site)
    own = trust.life_at(member_id, facts, now)
    resume = trust.pending(facts, "resume_proposed", "resume_refused", "resumed")
    leave = trust.pending(facts, "leave_proposed", "leave_refused", "leaving", "stays", "left")
    return page(
        "console/member.html",
        status_code=200 if error is None else error.status,
        here="members",
        member=member,
        life=life,
        own=own,
        facts=tuple(reversed(facts)),
        changes=changes,
        accounts=accounts,
        parts=parts,
        profile=profile,
        keys=keys,
        held=held,
        resume=resume,
        leave=leave,
        runs=runs,
        open_things=open_things,
        last_deadline=last_deadline,
        business_over=life.business_ends_at is not None and now >= life.business_ends_at,
        same_resume=resume is not None and trust.is_same_person(by, resume.by_whom),
        same_leave=leave is not None and trust.is_same_person(by, leave.by_whom),
        own_changes={one.change_id for one in changes if trust.is_same_person(by, one.made_by)},
        cooling_h=int(trust.COOLING.total_seconds() // 3600),
        tones=TONES,
        steps=STEP_WORDS,
        tz=tz,
        form=form or MemberForm(),
        nonce=str(new_id()),
        tomorrow=now.date() + timedelta(days=1),
        problems=[] if error is None else problems_of(error),
        fault="" if error is None else error.detail,
        **clerk_words(request, site, back=f"/console/members/{member_id}"),
    )


def _ends_at(tx: Tx, text: str) -> datetime:
    """When new business ends: with the business day that is named. Errors: InvalidInput."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        problem = Problem("day", "is no date", "Choose the last day of new business")
        raise InvalidInput("The last day cannot be read.", problems=(problem,)) from error
    if not 2000 <= day.year <= 2200:
        problem = Problem("day", f"is {day}", "Choose a day from 2000 to 2200")
        raise InvalidInput("The last day is out of range.", problems=(problem,))
    return clearing.get_settings(tx).ends_at(day)


def _change_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise trust.UnknownChange from error


def _reserve(text: str) -> dict[str, int]:
    """``500.00 EUR, 20 CHF`` as minor units by currency. Errors: InvalidInput."""
    found: dict[str, int] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        amount, _, currency = part.partition(" ")
        if currency.strip() not in CURRENCY_EXPONENTS:
            problem = Problem("reserve", f"{part[:40]!r} is no amount", "Write it like 500.00 EUR")
            raise InvalidInput("This is no reserve.", problems=(problem,))
        found[currency.strip()] = read_minor(amount, currency.strip(), where="reserve")
    return found


ROUTES = [
    show_members,
    show_form,
    hand_in,
    show_application,
    decide_application,
    show_member,
    decide_member,
    end_key,
]
