"""Staff at the console: the way in by passkey, one's own passkeys, colleagues, and what waits for a second person."""

import base64
import binascii
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID

from litestar import MediaType, Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, RawBody
from litestar.response import Redirect

from hansa import trust
from hansa.apps.web import own_desk
from hansa.apps.web.callers import demo_operator, get_operator
from hansa.apps.web.clerks import clerk_of
from hansa.apps.web.console_looks import desk_of
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.refusals import note_error
from hansa.apps.web.relying_party import by_its_name, find_rp
from hansa.apps.web.site import Here, Site
from hansa.apps.web.staff_door import (
    browser_of,
    check,
    find_staff,
    party_of,
    with_browser,
    with_sign_in,
    without_sign_in,
)
from hansa.apps.web.throttled import bucket_of_address
from hansa.identity import ceremony
from hansa.kernel import HansaError
from hansa.store import Rate, refuse_too_often
from hansa.trust import staff, staff_store
from hansa.trust.staff import SignedIn
from hansa.trust.staff_model import NewPasskey, own_of, own_staff_policy

Asked = Request[Any, Any, Any]
Form = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]

TRIES = Rate(20, timedelta(minutes=10))
"""How often one address may try a passkey or an invitation. A person needs three."""

_INSIDE = "/console"


# -- the way in -------------------------------------------------------------------------------------------------


@get("/console/sign-in", sync_to_thread=True, include_in_schema=False)
def show_sign_in(request: Asked, site: Here, next: FromQuery[str] = "") -> Response[Any]:
    """The way in, by passkey alone."""
    return way_in(request, site, next)


@post("/console/sign-in/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def ask_for_passkey(request: Asked, site: Here) -> Response[str]:
    """What to ask the browser for. Errors: store.TooOften, NoPasskeysHere."""
    _count_try(request, site)
    challenge = ceremony.new_challenge()
    options = ceremony.assertion_options(party_of(request, site), challenge=challenge)
    answer, browser = with_browser(_json(options), request)
    with site.ctx.tx() as tx:
        staff.give_challenge(tx, challenge, "sign-in", bound_to=browser, at=site.ctx.clock.now())
    return answer


@post("/console/sign-in", sync_to_thread=True, include_in_schema=False)
def come_in(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Sign in with the passkey that was used; with what is wrong, the page is shown again."""
    _count_try(request, site)
    now, back = site.ctx.clock.now(), data.get("next", "")
    try:
        assertion = ceremony.read_assertion(data.get("credential", ""))
        with site.ctx.tx() as tx:  # the challenge is used up, whatever comes of it
            staff.take_challenge(tx, assertion.challenge, "sign-in", bound_to=browser_of(request), at=now)
        with site.ctx.tx() as tx:
            one, passkey = staff.get_passkey(tx, assertion.credential_id)
            checked = check(request, site, assertion, passkey)
            secret = staff.sign_in(
                tx,
                one,
                passkey,
                sign_count=checked.sign_count,
                backed_up=checked.backed_up,
                agent=request.headers.get("user-agent", ""),
                at=now,
            )
    except HansaError as error:
        return way_in(request, site, back, error=error)
    return with_sign_in(Redirect(_inside(back), status_code=303), request, secret)


@post("/console/sign-out", sync_to_thread=True, include_in_schema=False)
def go_out(request: Asked, site: Here) -> Response[Any]:
    """End this sign-in. The browser forgets all it kept of the console."""
    who = find_staff(request, site)
    if who is not None:
        with site.ctx.tx() as tx:
            staff.sign_out(tx, who, site.ctx.clock.now())
    return without_sign_in(Redirect("/console/sign-in", status_code=303), request)


@get("/console/join", sync_to_thread=True, include_in_schema=False)
def show_join(request: Asked, site: Here) -> Response[Any]:
    """Where an invitation is written in."""
    return _join_page(request, site)


@post("/console/join", sync_to_thread=True, include_in_schema=False, status_code=200)
def read_invitation(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Whom an invitation is for, and the passkey it asks for."""
    _count_try(request, site)
    code = data.get("code", "")[:80]
    try:
        with site.ctx.tx() as tx:
            one = staff.find_invited(tx, code, site.ctx.clock.now())
    except HansaError as error:
        return _join_page(request, site, code=code, error=error)
    return _join_page(request, site, code=code, name=one.name, roles=one.roles)


@post("/console/join/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def ask_for_new_passkey(request: Asked, site: Here, data: Form) -> Response[str]:
    """What to ask the browser for, for whoever was invited. Errors: InvitationRefused, store.TooOften."""
    _count_try(request, site)
    now, challenge = site.ctx.clock.now(), ceremony.new_challenge()
    with site.ctx.tx() as tx:
        one = staff.find_invited(tx, data.get("code", ""), now)
        options = ceremony.registration_options(
            party_of(request, site), user_handle=one.user_handle, name=one.handle, challenge=challenge
        )
        answer, browser = with_browser(_json(options), request)
        staff.give_challenge(tx, challenge, "register", bound_to=browser, staff_id=one.staff_id, at=now)
    return answer


@post("/console/join/passkey", sync_to_thread=True, include_in_schema=False)
def join(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Register the first passkey; the invitation is used up, and the person signs in with what they made."""
    _count_try(request, site)
    now, code = site.ctx.clock.now(), data.get("code", "")[:80]
    try:
        new = _new_passkey(request, site, data.get("credential", ""), bound_to=browser_of(request))
        with site.ctx.tx() as tx:
            staff.register_by_code(tx, code, new, name=data.get("called", ""), at=now)
    except HansaError as error:
        return _join_page(request, site, code=code, error=error)
    return Redirect("/console/sign-in?next=/console/me", status_code=303)


# -- one's own --------------------------------------------------------------------------------------------------


@get("/console/me", sync_to_thread=True, include_in_schema=False)
def show_me(request: Asked, site: Here) -> Response[Any]:
    """One's own passkeys, sign-ins and rights."""
    return _me_page(request, site)


@post("/console/me/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def ask_for_another(request: Asked, site: Here) -> Response[str]:
    """What to ask the browser for, for a further passkey of one's own."""
    who, challenge = _get_staff(request, site), ceremony.new_challenge()
    with site.ctx.tx() as tx:
        mine = [one.credential_id for one in staff_store.list_passkeys(tx, who.staff.staff_id)]
        options = ceremony.registration_options(
            party_of(request, site),
            user_handle=who.staff.user_handle,
            name=who.staff.handle,
            challenge=challenge,
            exclude=mine,
        )
        bound_to, now = str(who.session.session_id), site.ctx.clock.now()
        staff.give_challenge(
            tx, challenge, "register", bound_to=bound_to, staff_id=who.staff.staff_id, at=now
        )
    return _json(options)


@post("/console/me/passkeys", sync_to_thread=True, include_in_schema=False)
def add_mine(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Register a further passkey of one's own."""
    who = _get_staff(request, site)
    try:
        new = _new_passkey(request, site, data.get("credential", ""), bound_to=str(who.session.session_id))
        with site.ctx.tx() as tx:
            staff.add_passkey(tx, who, new, name=data.get("called", ""), at=site.ctx.clock.now())
    except HansaError as error:
        return _me_page(request, site, error=error)
    return Redirect("/console/me", status_code=303)


@post("/console/me/passkeys/remove", sync_to_thread=True, include_in_schema=False)
def remove_mine(request: Asked, site: Here, data: Form) -> Response[Any]:
    """Take away a passkey of one's own, and the sign-ins made with it."""
    who = _get_staff(request, site)
    try:
        credential_id = base64.urlsafe_b64decode(data.get("passkey", "") + "==")
        with site.ctx.tx() as tx:
            staff.remove_passkey(tx, who, credential_id, at=site.ctx.clock.now())
    except (binascii.Error, ValueError):
        return Redirect("/console/me", status_code=303)
    except HansaError as error:
        return _me_page(request, site, error=error)
    return Redirect("/console/me", status_code=303)


@post("/console/me/sign-out-everywhere", sync_to_thread=True, include_in_schema=False)
def go_out_everywhere(request: Asked, site: Here) -> Response[Any]:
    """End all one's sign-ins."""
    who = _get_staff(request, site)
    with site.ctx.tx() as tx:
        staff.sign_out(tx, who, site.ctx.clock.now(), everywhere=True)
    return without_sign_in(Redirect("/console/sign-in", status_code=303), request)


@post("/console/confirm/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def ask_to_confirm(request: Asked, site: Here) -> Response[str]:
    """What to ask the browser for, of who is signed in, before something that needs them to be there."""
    who, challenge = _get_staff(request, site), ceremony.new_challenge()
    with site.ctx.tx() as tx:
        mine = [one.credential_id for one in staff_store.list_passkeys(tx, who.staff.staff_id)]
        options = ceremony.assertion_options(party_of(request, site), challenge=challenge, allow=mine)
        bound_to, now = str(who.session.session_id), site.ctx.clock.now()
        staff.give_challenge(tx, challenge, "step-up", bound_to=bound_to, staff_id=who.staff.staff_id, at=now)
    return _json(options)


@get("/console/mine", sync_to_thread=True, include_in_schema=False)
def show_mine(request: Asked, site: Here) -> Response[Any]:
    """What a member's staff may open: the pages about their member, its cities, operators and devices."""
    operator = get_operator(request, site)
    with site.ctx.tx() as tx:
        members = trust.list_members(tx)
        own = (
            own_of(operator.member_id, {one.member_id: one.clears_as for one in members})
            if operator.member_id is not None
            else {one.member_id for one in members}
        )
    mine = [one for one in members if one.member_id in own]
    return _say(
        request,
        site,
        "console/staff_mine.html",
        members=mine,
        cities=sorted((one.city_id, one.name) for one in mine if one.city_id and one.role == "city"),
        operators=[one for one in mine if one.role == "operator"],
        settles=[one for one in mine if one.clears_as == one.member_id],
        desk=desk_of(request, site),
    )


# -- colleagues -------------------------------------------------------------------------------------------------


@get("/console/staff", sync_to_thread=True, include_in_schema=False)
def show_staff(request: Asked, site: Here) -> Response[Any]:
    """Everybody who works at the console, and the form that invites another."""
    return _staff_page(request, site)


@post("/console/staff", sync_to_thread=True, include_in_schema=False, status_code=200)
def invite(request: Asked, site: Here, body: RawBody) -> Response[Any]:
    """Invite somebody; the code is shown this once."""
    by, form = clerk_of(request, site), _form(body)
    try:
        with site.ctx.tx() as tx:
            code = staff.invite_staff(
                tx,
                form.one("handle").strip(),
                name=form.one("name"),
                roles=form.many("roles"),
                by=by,
                at=site.ctx.clock.now(),
                reason=form.one("reason"),
                member_id=trust.MemberId(form.one("member")) if form.one("member") else None,
            )
    except HansaError as error:
        return _staff_page(request, site, form=form, error=error)
    return _staff_page(request, site, code=code, invited=form.one("name"))


@get("/console/staff/{handle:str}", sync_to_thread=True, include_in_schema=False)
def show_person(request: Asked, site: Here, handle: FromPath[str]) -> Response[Any]:
    """One person: roles, passkeys, sign-ins, and what can be done about them."""
    return _person_page(request, site, handle)


@post("/console/staff/{handle:str}", sync_to_thread=True, include_in_schema=False)
def change_person(request: Asked, site: Here, handle: FromPath[str], body: RawBody) -> Response[Any]:
    """Give other roles, invite again, or end."""
    by, form, now = clerk_of(request, site), _form(body), site.ctx.clock.now()
    code, reason = "", form.one("reason")
    try:
        with site.ctx.tx() as tx:
            if form.one("what") == "roles":
                staff.set_roles(tx, handle, form.many("roles"), by=by, at=now, reason=reason)
            elif form.one("what") == "again":
                code = staff.invite_again(tx, handle, by=by, at=now, reason=reason)
            elif form.one("what") == "end":
                staff.end_staff(tx, handle, by=by, at=now, reason=reason)
    except HansaError as error:
        return _person_page(request, site, handle, error=error, reason=reason)
    if code:
        return _person_page(request, site, handle, code=code)
    return Redirect(f"/console/staff/{handle}", status_code=303)


# -- what waits for a second person -----------------------------------------------------------------------------


@get("/console/proposals", sync_to_thread=True, include_in_schema=False)
def show_proposals(request: Asked, site: Here) -> Response[Any]:
    """What waits for a second person, and what was decided lately."""
    operator, now = get_operator(request, site), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        found = [one for one in staff_store.list_proposals(tx) if _may_see(operator, one.member_id)]
    waiting = [one for one in found if one.decision is None and one.expires_at > now]
    past = [one for one in found if one not in waiting]
    return _say(request, site, "console/staff_proposals.html", waiting=waiting, past=past, by=operator.who)


@get("/console/proposals/{proposal_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_proposal(request: Asked, site: Here, proposal_id: FromPath[UUID]) -> Response[Any]:
    """One proposal, with the form as it was sent, to be sent by another."""
    who, now = _get_staff(request, site), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        one = staff.get_proposal(tx, proposal_id, who, now)
    return _say(
        request,
        site,
        "console/staff_proposal.html",
        one=one,
        own=one.made_by == who.staff.who,
        may=one.needed in who.rights,
    )


@post("/console/proposals/{proposal_id:uuid}", sync_to_thread=True, include_in_schema=False)
def refuse_proposal(request: Asked, site: Here, proposal_id: FromPath[UUID]) -> Redirect:
    """Refuse a proposal, or take back one's own. It is confirmed by sending its form."""
    who = _get_staff(request, site)
    with site.ctx.tx() as tx:
        staff.decide_proposal(tx, proposal_id, "refused", who=who, at=site.ctx.clock.now())
    return Redirect("/console/proposals", status_code=303)


# -- pages ------------------------------------------------------------------------------------------------------


class _Sent:
    """A form's fields, of which some may come several times."""

    def __init__(self, body: bytes) -> None:
        self._pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)

    def one(self, name: str) -> str:
        """The field's value, without what no text of the database takes; empty when it was not sent."""
        return dict(self._pairs).get(name, "").replace("\0", "")

    def many(self, name: str) -> tuple[str, ...]:
        """All values of the field, each once."""
        return tuple(dict.fromkeys(value for given, value in self._pairs if given == name))


def _form(body: bytes) -> _Sent:
    return _Sent(body)


def _say(
    request: Asked, site: Site, template: str, /, *, status_code: int = 200, **values: Any
) -> Response[str]:
    say = words_for(request)
    who = find_staff(request, site, touch=False)
    own_desk.sit(None if who is None else who.staff.member_id)
    answer = page(
        template, say=say, status_code=status_code, here="staff", who=who, now=site.ctx.clock.now(), **values
    )
    spoken(answer, say, request)
    return answer


def way_in(
    request: Asked, site: Site, back: str, *, status_code: int = 200, error: HansaError | None = None
) -> Response[Any]:
    """The page with the way in. back: where to go on, if that is at the console."""
    if error is not None:
        note_error(request, error)
    return _say(
        request,
        site,
        "console/sign_in.html",
        status_code=status_code if error is None else error.status,
        next=_inside(back),
        party=find_rp(request, site),
        by_name=by_its_name(request),
        demo=demo_operator(request, site) is not None,
        error=error,
    )


def _join_page(
    request: Asked,
    site: Site,
    *,
    code: str = "",
    name: str = "",
    roles: tuple[str, ...] = (),
    error: HansaError | None = None,
) -> Response[Any]:
    if error is not None:
        note_error(request, error)
    return _say(
        request,
        site,
        "console/staff_join.html",
        status_code=200 if error is None else error.status,
        code=code,
        name=name,
        roles=roles,
        party=find_rp(request, site),
        by_name=by_its_name(request),
        error=error,
    )


def _me_page(request: Asked, site: Site, *, error: HansaError | None = None) -> Response[Any]:
    if error is not None:
        note_error(request, error)
    who, now = _get_staff(request, site), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        passkeys = staff_store.list_passkeys(tx, who.staff.staff_id)
        sessions = staff.list_staff_sessions(tx, who.staff, now)
    return _say(
        request,
        site,
        "console/staff_me.html",
        status_code=200 if error is None else error.status,
        passkeys=[
            (one, base64.urlsafe_b64encode(one.credential_id).decode().rstrip("=")) for one in passkeys
        ],
        sessions=sessions,
        rights=sorted(who.rights),
        error=error,
    )


def _staff_page(
    request: Asked,
    site: Site,
    *,
    form: _Sent | None = None,
    code: str = "",
    invited: str = "",
    error: HansaError | None = None,
) -> Response[Any]:
    get_operator(request, site)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        everybody = staff_store.list_staff(tx)
        invitations = staff_store.open_invitations(tx, now)
        members = trust.list_members(tx)
    return _say(
        request,
        site,
        "console/staff.html",
        status_code=200 if error is None else error.status,
        everybody=everybody,
        invitations=invitations,
        members=members,
        roles=own_staff_policy().roles,
        code=_spelt(code),
        invited=invited,
        form=form or _Sent(b""),
        may=_may_change(request, site),
        error=error,
    )


def _person_page(
    request: Asked,
    site: Site,
    handle: str,
    *,
    code: str = "",
    reason: str = "",
    error: HansaError | None = None,
) -> Response[Any]:
    get_operator(request, site)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        one = staff.get_staff(tx, handle)
        passkeys = staff_store.list_passkeys(tx, one.staff_id)
        sessions = staff.list_staff_sessions(tx, one, now)
        invited_until = staff_store.open_invitations(tx, now).get(one.staff_id)
    return _say(
        request,
        site,
        "console/staff_person.html",
        status_code=200 if error is None else error.status,
        one=one,
        passkeys=passkeys,
        sessions=sessions,
        invited_until=invited_until,
        roles=own_staff_policy().roles,
        code=_spelt(code),
        reason=reason,
        own=clerk_of(request, site) == one.who,
        may=_may_change(request, site),
        error=error,
    )


def _get_staff(request: Asked, site: Site) -> SignedIn:
    """Who is signed in with a passkey of the console. Errors: trust.NotSignedIn."""
    who = find_staff(request, site)
    if who is None:
        raise trust.NotSignedIn("Sign in to the console with a passkey first, at /console/sign-in.")
    return who


def _may_change(request: Asked, site: Site) -> bool:
    who = find_staff(request, site, touch=False)
    return "staff" in who.rights if who is not None else demo_operator(request, site) is not None


def _may_see(operator: trust.Caller, member_id: trust.MemberId | None) -> bool:
    return operator.member_id == member_id or (operator.caller_id == "demo:league")


def _new_passkey(request: Asked, site: Site, credential: str, *, bound_to: str) -> NewPasskey:
    """The passkey that was made for a challenge of ours. Errors: identity.CeremonyRefused, StaffChallengeRefused."""
    challenge = ceremony.read_challenge_of_registration(credential)
    with site.ctx.tx() as tx:
        staff.take_challenge(tx, challenge, "register", bound_to=bound_to, at=site.ctx.clock.now())
    made = ceremony.check_registration(credential, challenge=challenge, rp=party_of(request, site))
    return NewPasskey(made.credential_id, made.public_key, made.sign_count, made.transports, made.backed_up)


def _count_try(request: Asked, site: Site) -> None:
    """Errors: store.TooOften."""
    host = request.client.host if request.client is not None else ""
    refuse_too_often(site.ctx, f"console/{bucket_of_address(host)}", TRIES)


def _inside(back: str) -> str:
    """An address of the console to go on to, whatever a link asked for."""
    inside = (back == _INSIDE or back.startswith(f"{_INSIDE}/")) and "\\" not in back and back.isprintable()
    return back if inside and not back.startswith("/console/sign-in") else "/console/"


def _spelt(code: str) -> str:
    """An invitation in groups that are easily read aloud."""
    return "-".join(code[at : at + 5] for at in range(0, len(code), 5))


def _json(text: str) -> Response[str]:
    headers = {"cache-control": "no-store"}
    return Response(text.encode(), media_type=MediaType.JSON, headers=headers)  # pyright: ignore[reportReturnType]


ROUTES = [
    show_sign_in,
    ask_for_passkey,
    come_in,
    go_out,
    show_join,
    read_invitation,
    ask_for_new_passkey,
    join,
    show_me,
    ask_for_another,
    add_mine,
    remove_mine,
    go_out_everywhere,
    ask_to_confirm,
    show_mine,
    show_staff,
    invite,
    show_person,
    change_person,
    show_proposals,
    show_proposal,
    refuse_proposal,
]
