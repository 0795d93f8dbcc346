"""The console's one gate: who comes in, what they may open and do, and that it is kept.

Before any page of the console runs, the request is held against the table (``console_rights``): a person must be signed
in with a passkey and hold the right; a member's staff come in only where it is their member's own; what decides
something says why, what is marked fresh asks for the passkey again, and what is over a threshold waits for a second
person. What is missing is asked for on a page in between, which sends the same form on. Every deed is in the audit
record twice: before it is tried, and what became of it. The person at the machine of a demonstration is let through,
and kept in the record too.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from litestar import Request, Response
from litestar.enums import RequestEncodingType
from litestar.response import Redirect
from litestar.types import Scope
from litestar.utils.scope.state import ScopeState

from hansa import audit, identity, trust
from hansa.apps.web.callers import OPERATOR, demo_operator, find_caller
from hansa.apps.web.clerks import clerk_of
from hansa.apps.web.console_rights import CREDENTIAL, PAGE, PROPOSAL, REASON, Rule, own_rights, without_ours
from hansa.apps.web.interface import every_scope
from hansa.apps.web.languages import words_for
from hansa.apps.web.pages import page
from hansa.apps.web.problems import TooLarge, wants_page
from hansa.apps.web.site import Site
from hansa.apps.web.staff_door import check_step_up, find_staff, keep_secret
from hansa.apps.web.staff_pages import way_in
from hansa.audit import Act
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Rate, Tx, throttle
from hansa.trust import staff
from hansa.trust.staff import SignedIn
from hansa.trust.staff_model import (
    OutsideOwn,
    ReasonNeeded,
    StepUpNeeded,
    UnknownProposal,
    own_of,
    own_staff_policy,
)

logger = logging.getLogger("hansa.console")

Asked = Request[Any, Any, Any]
Fields = dict[str, str]
Pairs = list[tuple[str, str]]

FORM_MAX = 1024 * 1024
CHOICES = ("what", "verdict", "status", "action", "decide", "do", "way")
"""Fields whose value says what was chosen; kept with a deed. Others may be about persons."""

ACT = "hansa_act"
"""Under this name a request's state holds the deed that it tries, until its outcome is kept."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it was sent. plain: as text, so that our own fields can be taken out. files: it has files too."""

    pairs: Pairs
    plain: bool = False
    files: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """A deed that is being tried. chain: of the audit record. is_page: a page that is done leads on to another."""

    act_id: UUID
    by: str
    chain: str
    site: Site
    is_page: bool = True


async def guard(request: Asked, site: Site) -> Response[Any] | None:
    """Go on to the page, with who asks in the request's state; or the page that stands before it.

    Errors: trust.NotSignedIn, trust.NotAllowed, trust.staff_model's RightMissing, OutsideOwn, StepUpNeeded and others.
    """
    path = request.scope["path"].rstrip("/") or "/"
    if own_rights().is_open(path):
        return None
    sent = None if request.method in ("GET", "HEAD") else await _read_form(request)
    answer = await asyncio.to_thread(_guard, request, site, path, sent)
    if (
        answer is None
        and sent is not None
        and sent.plain
        and len(rest := without_ours(sent.pairs)) < len(sent.pairs)
    ):
        cleaned = urlencode(rest).encode()
        ScopeState.from_scope(request.scope).body = cleaned
        request._body = cleaned  # pyright: ignore[reportPrivateUsage]
    return answer


async def _read_form(request: Asked) -> Sent:
    """The text fields of a form, in whichever of the two ways browsers send one. What is neither has no fields.

    Pages read both, so a form that is sent the other way is asked for the same. Errors: TooLarge.
    """
    kind = request.content_type[0]
    if kind == RequestEncodingType.MULTI_PART:
        fields = (await request.form()).multi_items()
        pairs = [(name, value) for name, value in fields if isinstance(value, str)]
        return Sent(pairs, files=any(not isinstance(value, str) for _, value in fields))
    if kind != RequestEncodingType.URL_ENCODED:
        return Sent([])
    body = await request.body()
    if len(body) > FORM_MAX:
        raise TooLarge
    return Sent(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True), plain=True)


async def keep_outcome(scope: Scope, status: int) -> None:
    """Keep what became of the deed that this request tried. A page that answers a deed leads on when it is done."""
    tried: Tried | None = scope.get("state", {}).pop(ACT, None)
    if tried is None:
        return

    def keep() -> None:
        ctx = tried.site.ctx
        done = 300 <= status < 400 if tried.is_page else 200 <= status < 300
        told = {"status": status, "done": done}
        action = "console.outcome" if tried.is_page else "api.outcome"
        with ctx.tx() as tx:
            act = Act(tried.by, action, f"act:{tried.act_id}", "", told, tried.chain)
            audit.record(tx, act, ctx.clock.now())

    try:
        await asyncio.to_thread(keep)
    except HansaError as error:
        logger.warning("What became of act %s was not kept: %s", tried.act_id, error)


def _guard(request: Asked, site: Site, path: str, sent: Sent | None) -> Response[Any] | None:
    fields = None if sent is None else dict(sent.pairs)
    rule = own_rights().find_rule(request.method, path, fields)
    who = find_staff(request, site, touch=not path.endswith("/live"))
    state = request.scope.setdefault("state", {})
    if who is None:
        answer = _without_staff(request, site)
        if answer is not None:
            return answer
        by, chain = clerk_of(request, site), audit.LEAGUE
    else:
        state[OPERATOR] = caller_of(who)
        if who.staff.member_id is not None and path == "/console" and request.method == "GET":
            return Redirect("/console/mine", status_code=303)
        by, chain = who.staff.who, who.staff.member_id or audit.LEAGUE
        if rule is None:
            raise trust.NotAllowed("Nobody may do this at the console.")
        who.require(rule.right)
        with site.ctx.tx() as tx:
            _require_own(tx, who, rule, request, fields)
    if rule is None:
        return None
    if request.method in ("GET", "HEAD"):
        if rule.person and not rule.looks and not path.endswith("/live"):
            _keep_reading(request, site, rule, by, chain, path, who)
        return None
    given = fields or {}
    if who is not None and sent is not None:
        answer = _before_deed(request, site, who, rule, path, sent)
        if answer is not None:
            return answer
    if rule.act:
        _keep_deed(request, site, rule, by, chain, path, given)
    return None


def caller_of(who: SignedIn) -> trust.Caller:
    """A person of the console as pages know callers: the league's by all scopes, a member's as that member."""
    kind: trust.CallerKind = "league" if who.staff.member_id is None else "member"
    return trust.Caller(who.staff.who, kind, every_scope(), who.staff.member_id)


def _without_staff(request: Asked, site: Site) -> Response[Any] | None:
    """The way in for who is not signed in; None for the person at the machine of a demonstration.

    Errors: trust.NotSignedIn; trust.NotAllowed for a program's key, which opens the interface and no page.
    """
    if "authorization" in request.headers:
        find_caller(request, site)
        raise trust.NotAllowed(
            "The console is opened by a person's passkey. Programs use the interface, /v1."
        )
    if demo_operator(request, site) is not None:
        return None
    if wants_page(request) and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return way_in(request, site, here, status_code=401)
    raise trust.NotSignedIn("Sign in to the console first, at /console/sign-in.")


def _require_own(tx: Tx, who: SignedIn, rule: Rule, request: Asked, fields: Fields | None) -> None:
    """Go on only where this is the league's staff, or it is their member's own. Errors: OutsideOwn.

    Of a page the address or its query says whose it is, of a deed the address or its form. What is said twice is not
    taken: the page might read the other one.
    """
    member_id = who.staff.member_id
    if member_id is None or PAGE in rule.own:
        return
    if rule.offers and fields is None and not any(name in request.query_params for name in rule.own):
        return
    members = trust.list_members(tx)
    own = own_of(member_id, {one.member_id: one.clears_as for one in members})
    cities = {one.city_id for one in members if one.member_id in own}
    for name in rule.own:
        said = request.query_params.getall(name, []) if request.method in ("GET", "HEAD") else []
        value = str(request.path_params.get(name) or (said[0] if len(said) == 1 else ""))
        if not value and fields is not None:
            value = fields.get(name, "")
        if name == "city_id":
            found = value in cities
        elif name == "device_id":
            found = any(one.member_id in own for one in trust.find_devices(tx, [value]).values())
        else:
            found = value in own
        if found:
            return
    raise OutsideOwn


def _before_deed(
    request: Asked, site: Site, who: SignedIn, rule: Rule, path: str, sent: Sent
) -> Response[Any] | None:
    """The page that asks for what is missing before this form does anything; None when nothing is.

    Errors: ReasonNeeded and StepUpNeeded where the form has files, which no page in between could send on.
    """
    pairs = sent.pairs
    ctx, now, fields = site.ctx, site.ctx.clock.now(), dict(pairs)
    if len(fields) < len(pairs) and (rule.two is not None or rule.own or rule.when):
        raise InvalidInput(problems=(Problem("form", "it has a field twice", "Send each field once"),))
    fresh = not rule.fresh or who.session.is_fresh(now, own_staff_policy())
    if not fresh and fields.get(CREDENTIAL):
        keep_secret(request, check_step_up(request, site, who, fields[CREDENTIAL]))
        fresh = True
    reason, plain = rule.reason_in(fields), dict(without_ours(pairs))
    asks = (rule.asks or rule.needs_two(plain)) and not reason
    if sent.files and asks:
        raise ReasonNeeded
    if sent.files and not fresh:
        raise StepUpNeeded
    if asks or not fresh:
        return _asking_page(request, path, pairs, asks=asks, confirms=not fresh)
    if fields.get(PROPOSAL):
        with ctx.tx() as tx:
            proposal_id = _uuid(fields[PROPOSAL])
            found = staff.get_proposal(tx, proposal_id, who, now)
            if found.path != path or found.fields != plain:
                raise UnknownProposal("This is not the form that was proposed.")
            staff.decide_proposal(tx, proposal_id, "confirmed", who=who, at=now)
        return None
    if rule.needs_two(plain) or not _within_a_day(site, who, rule, plain):
        if not reason:
            if sent.files:
                raise ReasonNeeded
            return _asking_page(request, path, pairs, asks=True, confirms=False)
        with ctx.tx() as tx:
            made = staff.propose(tx, path, plain, who=who, needed=rule.right, reason=reason, at=now)
        return Redirect(f"/console/proposals/{made.proposal_id}", status_code=303)
    return None


def _within_a_day(site: Site, who: SignedIn, rule: Rule, fields: Fields) -> bool:
    """Whether this person may decide so much alone, with all that they decided alone within a day; it counts then.

    What a page refuses afterwards has counted too: whoever is over it goes on with a second person.
    """
    stake = rule.stake_in(fields)
    if stake is None or rule.two is None or not rule.two.together or stake.minor <= 0:
        return True
    rate = Rate(rule.limit_of(stake.currency) * rule.two.together, timedelta(days=1))
    with site.ctx.tx() as tx:
        bucket = f"console.alone/{rule.act}/{who.staff.who}/{stake.currency}"
        return throttle(tx, bucket, rate, site.ctx.clock.now(), stake.minor).allowed


def _asking_page(request: Asked, path: str, pairs: Pairs, *, asks: bool, confirms: bool) -> Response[Any]:
    kept = [(name, value) for name, value in pairs if name not in (CREDENTIAL, REASON)]
    return page(
        "console/staff_before.html",
        say=words_for(request),
        action=path,
        fields=kept,
        asks=asks,
        confirms=confirms,
        status_code=200,
    )


def _keep_deed(
    request: Asked, site: Site, rule: Rule, by: str, chain: str, path: str, fields: Fields
) -> None:
    chosen = {name: fields[name][:100] for name in CHOICES if name in fields}
    asked = f"?{request.url.query}" if request.url.query else ""
    with site.ctx.tx() as tx:
        act = Act(by, rule.act, f"{path}{asked}"[:300], rule.reason_in(fields), chosen, chain)
        act_id = audit.record(tx, act, site.ctx.clock.now())
    request.scope["state"][ACT] = Tried(act_id, by, chain, site)


def _keep_reading(
    request: Asked, site: Site, rule: Rule, by: str, chain: str, path: str, who: SignedIn | None
) -> None:
    """Keep that somebody's data were read: in the audit record, and where that person sees who read what."""
    now = site.ctx.clock.now()
    account_id = request.path_params.get("account_id")
    with site.ctx.tx() as tx:
        audit.record(tx, Act(by, "person.read", path[:300], "", {"part": rule.person}, chain), now)
        if isinstance(account_id, UUID) and rule.person:
            reader = f"{chain}:{by}" if who is not None and who.staff.member_id is not None else by
            identity.saw(tx, identity.AccountId(account_id), reader, rule.person, "at the console", now)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UnknownProposal from None
