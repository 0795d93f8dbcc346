"""Pages of people: join, sign in by a passkey, prove it anew, see and end what opens an account, come back without."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import atlas, identity, payments, rides, trust
from hansa.apps.personal_data import country_of
from hansa.apps.web.callers import (
    find_account,
    find_signed_in,
    get_signed_in,
    secret_of,
    session_secret,
    with_secret,
    with_session,
    without_session,
)
from hansa.apps.web.going_on import gone_on, is_inside
from hansa.apps.web.languages import NAMES, Words, in_language_of, spoken, words_for
from hansa.apps.web.me_view import means
from hansa.apps.web.pages import page
from hansa.apps.web.refusals import note_error
from hansa.apps.web.relying_party import by_its_name, find_rp, rp_of
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Problem, new_id
from hansa.store import Rate, Tx, refuse_too_often

Asked = Request[Any, Any, Any]

BROWSER, RECOVERY = "hansa_browser", "hansa_recovery"
"""Cookies of a browser that is not signed in: it asked for a challenge; it asked to come back."""
BROWSER_LASTS_S = 3_600

SIGN_INS = Rate(60, timedelta(minutes=5))
"""Tries of one address to sign in, or to prove anew: a household's, an office's."""
JOINS = Rate(40, timedelta(hours=1))
CODES_TRIED = Rate(10, timedelta(minutes=15))
"""Recovery codes that one address may try. A code has 60 bits to be guessed."""
CODES_TRIED_BY_ALL = Rate(600, timedelta(minutes=15))
ASKED_AT_DESKS = Rate(10, timedelta(hours=1))
HAPPENED_SHOWN = 12
SECURITY = "/wallet/security"

Credential = Annotated[str, msgspec.Meta(max_length=identity.CREDENTIAL_MAX)]
_Text = Annotated[str, msgspec.Meta(max_length=1_000)]


class AskForm(msgspec.Struct, frozen=True):
    """A passkey's answer, and whether others use this device too."""

    credential: Credential = ""
    shared: Annotated[str, msgspec.Meta(max_length=1)] = ""


class JoinForm(msgspec.Struct, frozen=True):
    """Who joins, where, and in which language. credential: of the passkey, at the second step.

    born: their day of birth, as a date field sends it.
    """

    name: _Text = ""
    issuer_id: _Text = ""
    language: _Text = ""
    born: Annotated[str, msgspec.Meta(max_length=20)] = ""
    shared: Annotated[str, msgspec.Meta(max_length=1)] = ""
    credential: Credential = ""


class VerifyForm(msgspec.Struct, frozen=True):
    """A passkey's answer, and where to go on."""

    credential: Credential = ""
    next: _Text = ""


class PasskeyForm(msgspec.Struct, frozen=True):
    """A new passkey's answer, and what it is called."""

    credential: Credential = ""
    name: _Text = ""


class CodeForm(msgspec.Struct, frozen=True):
    """A recovery code."""

    code: Annotated[str, msgspec.Meta(max_length=100)] = ""


class DeskForm(msgspec.Struct, frozen=True):
    """Who comes back, to say at the desk of an issuer."""

    name: _Text = ""
    issuer_id: _Text = ""


@dataclass(frozen=True, slots=True)
class Home:
    """Where one may join: an issuer and its city."""

    issuer_id: str
    issuer: str
    city: atlas.City


@dataclass(frozen=True, slots=True)
class Note:
    """Something about how an account is entered that its person should do. address: where; words: what to press."""

    text: str
    address: str
    words: str
    bad: bool = False


# -- signing in ---------------------------------------------------------------------------------------------


@post("/wallet/passkey/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def begin_sign_in(request: Asked, site: Here) -> Response[Any]:
    rp = rp_of(request, site)
    refuse_often(request, site, "sign-in", SIGN_INS)
    browser = _browser(request)
    with site.ctx.tx() as tx:
        options = identity.begin_assertion(
            tx, rp=rp, purpose="sign_in", owner=browser, at=site.ctx.clock.now()
        )
    return with_secret(_json(options), request, BROWSER, browser, lasts_s=BROWSER_LASTS_S)


@post("/wallet/passkey", sync_to_thread=True, include_in_schema=False)
def sign_in_by_passkey(
    request: Asked,
    site: Here,
    data: Annotated[AskForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    rp = rp_of(request, site)
    refuse_often(request, site, "sign-in", SIGN_INS)
    now, shared = site.ctx.clock.now(), bool(data.shared)
    try:
        with site.ctx.tx() as tx:
            asserted = identity.finish_assertion(
                tx, data.credential, rp=rp, purpose="sign_in", owner=_browser(request), at=now
            )
            secret = identity.start_session(
                tx,
                asserted.account_id,
                now,
                method="passkey",
                user_agent=_agent(request),
                shared=shared,
                passkey_id=asserted.passkey_id,
            )
            identity.end_session(tx, session_secret(request))
            language = identity.get_account(tx, asserted.account_id).language
    except PASSKEY_REFUSALS as refused:
        return _refused_passkey(request, site, refused, data.credential, again="/wallet/?again=1")
    answer = with_session(gone_on(request), request, secret, shared=shared)
    return in_language_of(answer, language, request)


@get("/wallet/verify", sync_to_thread=True, include_in_schema=False)
def show_verify(
    request: Asked, site: Here, to: Annotated[str, QueryParameter(name="next", max_length=300)] = ""
) -> Response[Any]:
    """Prove anew who one is, and go on."""
    _, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        passkeys = identity.list_passkeys(tx, account.account_id)
    answer = page(
        "wallet/verify.html",
        here="security",
        account=account,
        say=say,
        rp=find_rp(request, site),
        by_name=by_its_name(request),
        passkeys=passkeys,
        next=_inside(to),
        demo=site.demo,
    )
    return spoken(answer, say, request)


@post("/wallet/verify/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def begin_verify(request: Asked, site: Here) -> Response[Any]:
    session, account = get_signed_in(request, site)
    rp = rp_of(request, site)
    refuse_often(request, site, "sign-in", SIGN_INS)
    with site.ctx.tx() as tx:
        options = identity.begin_assertion(
            tx,
            rp=rp,
            purpose="verify",
            owner=str(session.session_id),
            account_id=account.account_id,
            at=site.ctx.clock.now(),
        )
    return _json(options)


@post("/wallet/verify", sync_to_thread=True, include_in_schema=False)
def verify(
    request: Asked,
    site: Here,
    data: Annotated[VerifyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    rp, now = rp_of(request, site), site.ctx.clock.now()
    refuse_often(request, site, "sign-in", SIGN_INS)
    try:
        with site.ctx.tx() as tx:
            asserted = identity.finish_assertion(
                tx, data.credential, rp=rp, purpose="verify", owner=str(session.session_id), at=now
            )
            secret = identity.verify_session(
                tx, session_secret(request), account.account_id, asserted.passkey_id, now
            )
    except PASSKEY_REFUSALS as refused:
        again = f"/wallet/verify?next={_inside(data.next)}"
        return _refused_passkey(request, site, refused, data.credential, again=again)
    return with_session(Redirect(_inside(data.next), status_code=303), request, secret, shared=session.shared)


# -- joining ------------------------------------------------------------------------------------------------


@get("/wallet/join", sync_to_thread=True, include_in_schema=False)
def show_join(request: Asked, site: Here) -> Response[Any]:
    if find_account(request, site) is not None:
        return Redirect("/wallet/home")
    say = words_for(request)
    return _join_page(request, site, say, JoinForm(language=say.language))


@post("/wallet/join", sync_to_thread=True, include_in_schema=False, status_code=200)
def say_who_joins(
    request: Asked,
    site: Here,
    data: Annotated[JoinForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """The first step: who, where, which language; the second is the passkey."""
    say = words_for(request, account_language=data.language)
    try:
        with site.ctx.tx() as tx:
            _joining(tx, site, data, identity.AccountId(new_id()), say)
    except InvalidInput as refused:
        return _join_page(request, site, say, data, problems=refused.problems)
    return _join_page(request, site, say, data, ready=True)


@post("/wallet/join/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def begin_join(
    request: Asked,
    site: Here,
    data: Annotated[JoinForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    rp, browser = rp_of(request, site), _browser(request)
    refuse_often(request, site, "join", JOINS)
    account_id = identity.AccountId(new_id())
    with site.ctx.tx() as tx:
        account, _ = _joining(tx, site, data, account_id, words_for(request))
        options = identity.begin_registration(
            tx,
            account_id,
            person=account.name,
            rp=rp,
            purpose="join",
            owner=browser,
            at=site.ctx.clock.now(),
        )
    return with_secret(_json(options), request, BROWSER, browser, lasts_s=BROWSER_LASTS_S)


@post("/wallet/join/passkey", sync_to_thread=True, include_in_schema=False)
def join(
    request: Asked,
    site: Here,
    data: Annotated[JoinForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Open an account with its passkey and its wallet, and sign in.

    The wallet is opened first, when all else is known to be good: left over by a crash it is an empty one of nobody,
    while an account without one could hold nothing.
    """
    rp, browser, now = rp_of(request, site), _browser(request), site.ctx.clock.now()
    say = words_for(request, account_language=data.language)
    shared, agent = bool(data.shared), _agent(request)
    try:
        with site.ctx.tx() as tx:
            account_id = identity.read_registration(
                tx, data.credential, rp=rp, purpose="join", owner=browser, at=now
            )
            account, currency = _joining(tx, site, data, account_id, say)
        payments.open_wallets(site.ctx, [(account, currency)])
        with site.ctx.tx() as tx:
            identity.open_accounts(tx, [account])
            minor = _state_birth(tx, site, account, data)
            passkey = identity.finish_registration(
                tx,
                data.credential,
                rp=rp,
                purpose="join",
                owner=browser,
                name=identity.device_words(agent) or say("My device"),
                at=now,
                device=identity.device_words(agent),
            )
            secret = identity.start_session(
                tx,
                account_id,
                now,
                method="passkey",
                user_agent=agent,
                shared=shared,
                passkey_id=passkey.passkey_id,
            )
            identity.end_session(tx, session_secret(request))
    except InvalidInput as refused:
        return _join_page(request, site, say, data, problems=refused.problems)
    except PASSKEY_REFUSALS as refused:
        note_error(request, refused)
        return _join_page(request, site, say, data, ready=True, refused=_told(refused, say))
    onward = "/wallet/me/guardians" if minor else f"{SECURITY}?done=joined"
    answer = Redirect(onward, status_code=303)
    return with_session(answer, request, secret, shared=shared)


def _joining(
    tx: Tx, site: Site, form: JoinForm, account_id: identity.AccountId, say: Words
) -> tuple[identity.Account, str]:
    """The account that would open, and its wallet's currency. Errors: InvalidInput, naming the fields."""
    problems: list[Problem] = []
    name = " ".join(form.name.split())
    if not 1 <= len(name) <= 200 or not name.isprintable():
        problems.append(
            Problem("name", say("there is no name here"), say("Write your name as on your document"))
        )
    home = next((one for one in homes_of(tx) if one.issuer_id == form.issuer_id), None)
    if home is None:
        problems.append(Problem("issuer_id", say("no city is chosen"), say("Choose where you live")))
    if form.language not in NAMES:
        problems.append(
            Problem("language", say("no language is chosen"), say("Choose the language you read"))
        )
    if (wrong := _born_problem(site, form, say)) is not None:
        problems.append(wrong)
    if problems or home is None:
        raise InvalidInput("This account cannot be opened.", problems=tuple(problems))
    account = identity.Account(
        account_id=account_id,
        name=name,
        issuer_id=home.issuer_id,
        home_city_id=home.city.city_id,
        rider_class="adult",
        language=form.language,
        created_at=site.ctx.clock.now(),
    )
    return account, home.city.currency


def _born_problem(site: Site, form: JoinForm, say: Words) -> Problem | None:
    """What is wrong with the day of birth in this form."""
    if not form.born.strip():
        if form.issuer_id in identity.own_people_policy().birth_optional_at:
            return None
        return Problem("born", say("there is no day of birth"), say("Say when you were born"))
    try:
        identity.read_birth(form.born, site.ctx.clock.now().date())
    except InvalidInput:
        return Problem("born", say("nobody was born on that day"), say("Write it as on your document"))
    return None


def _state_birth(tx: Tx, site: Site, account: identity.Account, form: JoinForm) -> bool:
    """Keep when they were born, where it is said; whether a guardian must answer for them."""
    if not form.born.strip():
        return False
    now, country = site.ctx.clock.now(), country_of(tx, account)
    born = identity.read_birth(form.born, now.date())
    identity.state_birth(tx, means(site).sealer, account.account_id, born, country=country, at=now)
    return identity.needs_guardian(born, country, now.date())


def homes_of(tx: Tx) -> list[Home]:
    """Where one may live: the issuers and their cities, by the cities' names."""
    cities = {one.city_id: one for one in atlas.list_cities(tx)}
    found = [
        Home(one.member_id, one.name, cities[one.city_id])
        for one in trust.list_members(tx)
        if one.role == "issuer" and one.city_id in cities
    ]
    return sorted(found, key=lambda one: (one.city.name, one.issuer))


def _join_page(
    request: Asked,
    site: Site,
    say: Words,
    form: JoinForm,
    *,
    problems: tuple[Problem, ...] = (),
    ready: bool = False,
    refused: str = "",
) -> Response[Any]:
    with site.ctx.tx() as tx:
        homes = homes_of(tx)
    answer = page(
        "wallet/join.html",
        say=say,
        form=form,
        homes=homes,
        home=next((one for one in homes if one.issuer_id == form.issuer_id), None),
        languages=NAMES,
        wrong={one.where: one for one in problems},
        born_optional=bool(identity.own_people_policy().birth_optional_at),
        today=site.ctx.clock.now().date(),
        ready=ready,
        refused=refused,
        rp=find_rp(request, site),
        by_name=by_its_name(request),
        status_code=422 if problems or refused else 200,
    )
    return spoken(answer, say, request)


# -- what opens an account ----------------------------------------------------------------------------------


@get(SECURITY, sync_to_thread=True, include_in_schema=False)
def show_security(
    request: Asked, site: Here, done: Annotated[str, QueryParameter(max_length=20)] = ""
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    return _security_page(request, site, session, account, say, done=_done(done, say))


def _security_page(
    request: Asked,
    site: Site,
    session: identity.Session,
    account: identity.Account,
    say: Words,
    *,
    done: str = "",
    refused: str = "",
    codes: list[str] | None = None,
) -> Response[Any]:
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        passkeys = identity.list_passkeys(tx, account.account_id)
        answer = page(
            "wallet/security.html",
            here="security",
            account=account,
            say=say,
            session=session,
            passkeys=passkeys,
            keepers={one.passkey_id: identity.keeper_of(one.aaguid) for one in passkeys},
            sessions=identity.list_sessions(tx, account.account_id, now),
            phones=[one for one in identity.list_phones(tx, account.account_id) if one.status == "active"],
            codes_left=identity.codes_left(tx, account.account_id),
            codes=codes or [],
            recovery=identity.find_open_recovery(tx, account.account_id, now),
            lowered=identity.lowered_until(tx, account.account_id, now),
            happened=[
                (one, _happened(one, say))
                for one in identity.list_security_events(tx, account.account_id, limit=HAPPENED_SHOWN)
            ],
            zone=atlas.get_city(tx, account.home_city_id).tz,
            rp=find_rp(request, site),
            by_name=by_its_name(request),
            device=identity.device_words(_agent(request)) or say("My device"),
            name_max=identity.NAME_MAX,
            demo=site.demo,
            done=done,
            refused=refused,
            status_code=409 if refused else 200,
        )
    return spoken(answer, say, request)


@post(f"{SECURITY}/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def begin_passkey(request: Asked, site: Here) -> Response[Any]:
    session, account = get_signed_in(request, site)
    rp, now = rp_of(request, site), site.ctx.clock.now()
    refuse_often(request, site, "sign-in", SIGN_INS)
    with site.ctx.tx() as tx:
        _refuse_stale(tx, site, session)
        options = identity.begin_registration(
            tx,
            account.account_id,
            person=account.name,
            rp=rp,
            purpose="add",
            owner=str(session.session_id),
            at=now,
        )
    return _json(options)


@post(f"{SECURITY}/passkeys", sync_to_thread=True, include_in_schema=False)
def add_passkey(
    request: Asked,
    site: Here,
    data: Annotated[PasskeyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Keep another passkey of whoever is signed in. What was asked for fresh stays good while it is made."""
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    agent = identity.device_words(_agent(request))
    try:
        with site.ctx.tx() as tx:
            identity.finish_registration(
                tx,
                data.credential,
                rp=rp_of(request, site),
                purpose="add",
                owner=str(session.session_id),
                name=data.name.strip() or agent or say("My device"),
                at=site.ctx.clock.now(),
                device=agent,
            )
    except (*PASSKEY_REFUSALS, InvalidInput) as refused:
        note_error(request, refused)
        return _security_page(request, site, session, account, say, refused=_told(refused, say))
    return Redirect(f"{SECURITY}?done=added", status_code=303)


@post(f"{SECURITY}/passkeys/{{passkey_id:uuid}}/name", sync_to_thread=True, include_in_schema=False)
def name_passkey(
    request: Asked,
    site: Here,
    passkey_id: FromPath[UUID],
    data: Annotated[PasskeyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    try:
        with site.ctx.tx() as tx:
            identity.name_passkey(tx, account.account_id, passkey_id, data.name, at=site.ctx.clock.now())
    except InvalidInput as refused:
        return _security_page(request, site, session, account, say, refused=_told(refused, say))
    return Redirect(f"{SECURITY}?done=named", status_code=303)


@post(f"{SECURITY}/passkeys/{{passkey_id:uuid}}/remove", sync_to_thread=True, include_in_schema=False)
def remove_passkey(request: Asked, site: Here, passkey_id: FromPath[UUID]) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    try:
        with site.ctx.tx() as tx:
            _refuse_stale(tx, site, session)
            over = identity.remove_passkey(
                tx,
                account.account_id,
                passkey_id,
                by=session,
                at=site.ctx.clock.now(),
                device=identity.device_words(_agent(request)),
            )
    except identity.VerifyAnew:
        return _verify_first()
    except identity.LastPasskey as refused:
        return _security_page(request, site, session, account, say, refused=_told(refused, say))
    if over:
        return without_session(Redirect("/wallet/", status_code=303), request)
    return Redirect(f"{SECURITY}?done=removed", status_code=303)


@post(f"{SECURITY}/sessions/{{session_id:uuid}}/end", sync_to_thread=True, include_in_schema=False)
def end_session(request: Asked, site: Here, session_id: FromPath[UUID]) -> Response[Any]:
    session, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        identity.end_session_by_id(
            tx, account.account_id, session_id, at=site.ctx.clock.now(), device=session.device
        )
    if session_id == session.session_id:
        return without_session(Redirect("/wallet/", status_code=303), request)
    return Redirect(f"{SECURITY}?done=ended", status_code=303)


@post(f"{SECURITY}/sessions/end", sync_to_thread=True, include_in_schema=False)
def end_other_sessions(request: Asked, site: Here) -> Redirect:
    session, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        identity.end_other_sessions(
            tx, account.account_id, session.session_id, at=site.ctx.clock.now(), device=session.device
        )
    return Redirect(f"{SECURITY}?done=ended", status_code=303)


@post(f"{SECURITY}/codes", sync_to_thread=True, include_in_schema=False, status_code=200)
def make_codes(request: Asked, site: Here) -> Response[Any]:
    """New recovery codes, shown this once."""
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    refuse_often(request, site, "codes", JOINS)
    try:
        with site.ctx.tx() as tx:
            _refuse_stale(tx, site, session)
            made = identity.make_codes(
                tx,
                account.account_id,
                at=site.ctx.clock.now(),
                device=identity.device_words(_agent(request)),
            )
    except identity.VerifyAnew:
        return _verify_first()
    return _security_page(request, site, session, account, say, codes=made)


@post(f"{SECURITY}/recovery/cancel", sync_to_thread=True, include_in_schema=False)
def cancel_recovery(request: Asked, site: Here) -> Response[Any]:
    """Say no to whoever wants to come back to this account."""
    session, account = get_signed_in(request, site)
    try:
        with site.ctx.tx() as tx:
            _refuse_stale(tx, site, session)
            identity.cancel_recovery(
                tx,
                account.account_id,
                at=site.ctx.clock.now(),
                device=identity.device_words(_agent(request)),
            )
    except identity.VerifyAnew:
        return _verify_first()
    return Redirect(f"{SECURITY}?done=canceled", status_code=303)


# -- coming back --------------------------------------------------------------------------------------------


@get("/wallet/recover", sync_to_thread=True, include_in_schema=False)
def show_recover(
    request: Asked,
    site: Here,
    anew: Annotated[str, QueryParameter(max_length=1)] = "",
    document: Annotated[str, QueryParameter(max_length=1)] = "",
) -> Response[Any]:
    say, now = words_for(request), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        recovery = identity.find_recovery(tx, secret_of(request, RECOVERY))
        if recovery is not None and recovery.state(now) == "asked":
            recovery = identity.approve_by_document(tx, recovery.recovery_id, at=now) or recovery
    state = None if recovery is None else recovery.state(now)
    if recovery is None or anew or state in ("finished", "closed"):
        return _recover_page(request, site, say)
    answer = page(
        "wallet/recover_wait.html",
        say=say,
        recovery=recovery,
        state=state,
        document=bool(document),
        rp=find_rp(request, site),
        by_name=by_its_name(request),
        device=identity.device_words(_agent(request)) or say("My device"),
        name_max=identity.NAME_MAX,
    )
    return spoken(answer, say, request)


@post("/wallet/recover/code", sync_to_thread=True, include_in_schema=False)
def recover_by_code(
    request: Asked,
    site: Here,
    data: Annotated[CodeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    say, secret = words_for(request), identity.new_secret()
    refuse_often(request, site, "recovery-code", CODES_TRIED)
    refuse_too_often(site.ctx, "recovery-code/all", CODES_TRIED_BY_ALL)
    try:
        with site.ctx.tx() as tx:
            identity.ask_by_code(
                tx,
                data.code,
                secret=secret,
                at=site.ctx.clock.now(),
                device=identity.device_words(_agent(request)),
            )
    except (identity.CodeRefused, identity.AccountBlocked) as refused:
        note_error(request, refused)
        return _recover_page(request, site, say, refused=_told(refused, say))
    return waiting(request, secret)


@post("/wallet/recover/desk", sync_to_thread=True, include_in_schema=False)
def recover_at_desk(
    request: Asked,
    site: Here,
    data: Annotated[DeskForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    say, secret = words_for(request), identity.new_secret()
    refuse_often(request, site, "recovery-desk", ASKED_AT_DESKS)
    with site.ctx.tx() as tx:
        if data.issuer_id not in {one.issuer_id for one in homes_of(tx)} or not data.name.strip():
            told = say("Write your name and choose who issued your card.")
            return _recover_page(request, site, say, desk_refused=told, desk=data)
        identity.ask_at_desk(
            tx,
            name=data.name,
            issuer_id=data.issuer_id,
            secret=secret,
            at=site.ctx.clock.now(),
            device=identity.device_words(_agent(request)),
        )
    return waiting(request, secret)


@post("/wallet/recover/options", sync_to_thread=True, include_in_schema=False, status_code=200)
def begin_recovered(request: Asked, site: Here) -> Response[Any]:
    rp = rp_of(request, site)
    refuse_often(request, site, "sign-in", SIGN_INS)
    with site.ctx.tx() as tx:
        secret = secret_of(request, RECOVERY)
        return _json(identity.begin_recovered_passkey(tx, secret, rp=rp, at=site.ctx.clock.now()))


@post("/wallet/recover/passkey", sync_to_thread=True, include_in_schema=False)
def recover(
    request: Asked,
    site: Here,
    data: Annotated[PasskeyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Come back: a new passkey, and nothing else opens the account any more; its phones make no codes."""
    rp, now, agent = rp_of(request, site), site.ctx.clock.now(), _agent(request)
    say = words_for(request)
    try:
        with site.ctx.tx() as tx:
            passkey = identity.finish_recovery(
                tx,
                data.credential,
                rp=rp,
                secret=secret_of(request, RECOVERY),
                name=data.name.strip() or identity.device_words(agent) or say("My device"),
                at=now,
                device=identity.device_words(agent),
            )
            for phone in identity.list_phones(tx, passkey.account_id):
                if phone.status == "active":
                    rides.end_phone(tx, passkey.account_id, phone.phone_id, "lost", at=now)
            secret = identity.start_session(
                tx,
                passkey.account_id,
                now,
                method="recovery",
                user_agent=agent,
                passkey_id=passkey.passkey_id,
            )
    except PASSKEY_REFUSALS as refused:
        return _refused_passkey(request, site, refused, data.credential, again="/wallet/recover")
    answer = Redirect(f"{SECURITY}?done=recovered", status_code=303)
    with_secret(answer, request, RECOVERY, "", lasts_s=0)
    return with_session(answer, request, secret)


def waiting(request: Asked, secret: str, more: str = "") -> Response[Any]:
    """On to the page where one waits; this browser alone may go on. more: of its address."""
    policy = identity.own_people_policy()
    lasts = policy.code_wait_s + 2 * policy.recovery_open_s
    return with_secret(
        Redirect(f"/wallet/recover{more}", status_code=303), request, RECOVERY, secret, lasts_s=lasts
    )


def _recover_page(
    request: Asked,
    site: Site,
    say: Words,
    *,
    refused: str = "",
    desk_refused: str = "",
    desk: DeskForm | None = None,
) -> Response[Any]:
    with site.ctx.tx() as tx:
        homes = homes_of(tx)
    policy = identity.own_people_policy()
    answer = page(
        "wallet/recover.html",
        say=say,
        homes=homes,
        refused=refused,
        desk_refused=desk_refused,
        desk=desk or DeskForm(),
        code_wait_h=policy.code_wait_s // 3_600,
        proofed_wait_h=policy.proofed_wait_s // 3_600,
        lowered_h=policy.lowered_s // 3_600,
        status_code=422 if refused or desk_refused else 200,
    )
    return spoken(answer, say, request)


# -- words --------------------------------------------------------------------------------------------------


def notes_for(
    tx: Tx, account: identity.Account, session: identity.Session, site: Site, say: Words
) -> list[Note]:
    """What this person should do about how their account is entered, the most pressing first; for the wallet's home."""
    notes: list[Note] = []
    now = site.ctx.clock.now()
    if identity.find_open_recovery(tx, account.account_id, now) is not None:
        text = say("Somebody wants to come back to your account without a passkey. If it is not you, say no.")
        notes.append(Note(text, SECURITY, say("Look at it"), bad=True))
    passkeys = len(identity.list_passkeys(tx, account.account_id))
    if passkeys == 1 and session.method != "demo":
        text = say("You have one passkey. With a second one, a lost phone locks nobody out.")
        notes.append(Note(text, SECURITY, say("Add a passkey")))
    return notes


def _done(done: str, say: Words) -> str:
    """What was just done, in words."""
    return {
        "joined": say("Welcome. Your account and your wallet are open, and this device has your passkey."),
        "added": say("The passkey was added. It opens your account from now on."),
        "named": say("The passkey has its new name."),
        "removed": say("The passkey was removed, and you were signed out everywhere but here."),
        "ended": say("Signed out there."),
        "canceled": say("Nobody comes back by that request. Make new recovery codes if one was found."),
        "recovered": say(
            "You are back. What opened your account before does so no more; make recovery codes anew."
        ),
    }.get(done, "")


def _told(refused: HansaError, say: Words) -> str:
    """A refusal in the reader's language."""
    words: dict[type[HansaError], str] = {
        identity.ChallengeRefused: say("That took too long, or came from another page. Please try again."),
        identity.CeremonyRefused: say("The passkey’s answer was not good. Please try again."),
        identity.UnknownPasskey: say("This passkey opens no account here. It may have been removed."),
        identity.CounterWentBack: say(
            "This passkey may have been copied, so it opens nothing now. Use another one, then remove it."
        ),
        identity.NoPasskey: say("This account has no passkey for this address."),
        identity.PasskeyTaken: say("This device’s passkey is connected already."),
        identity.TooManyPasskeys: say("You have as many passkeys as you may have. Remove one first."),
        identity.LastPasskey: say(
            "This is your only passkey. Add another one or make recovery codes first, or nobody could sign in."
        ),
        identity.CodeRefused: say(
            "This code opens nothing. Look at each letter again; a code is good once, and new ones replace old ones."
        ),
        identity.AccountBlocked: say("Your issuer has blocked this account. Please ask them."),
        identity.RecoveryNotReady: say("This request is not ready, or is over."),
        InvalidInput: say("A passkey needs a name of 1 to 60 characters that can be seen."),
    }
    return words.get(type(refused), refused.detail)


def _happened(event: identity.SecurityEvent, say: Words) -> str:
    """What happened, as a sentence."""
    about = event.about
    return {
        "joined": say("You joined"),
        "signed_in": say("Signed in"),
        "passkey_added": say("Passkey “{name}” added", name=about),
        "passkey_renamed": say("A passkey is called “{name}” now", name=about),
        "passkey_removed": say("Passkey “{name}” removed", name=about),
        "passkey_copied": say("Passkey “{name}” refused: it may have been copied", name=about),
        "session_ended": say("Signed out of {device}", device=about or say("another device")),
        "sessions_ended": say("Signed out elsewhere"),
        "codes_made": say("Recovery codes made"),
        "recovery_asked": say("Somebody asked to come back by a recovery code"),
        "recovery_approved": say("A provider said that your document is yours, so you may come back")
        if about == "document"
        else say("A desk approved that you come back"),
        "recovery_canceled": say("Coming back was refused"),
        "recovered": say("Came back without a passkey"),
    }[event.kind]


PASSKEY_REFUSALS = (
    identity.ChallengeRefused,
    identity.CeremonyRefused,
    identity.UnknownPasskey,
    identity.CounterWentBack,
    identity.NoPasskey,
    identity.PasskeyTaken,
    identity.TooManyPasskeys,
    identity.RecoveryNotReady,
    identity.AccountBlocked,
)


def _refused_passkey(
    request: Asked, site: Site, refused: HansaError, credential: str, *, again: str
) -> Response[Any]:
    """Why a passkey did not do, and what else there is; the browser is told of one that is known here no more."""
    note_error(request, refused)
    signed_in = find_signed_in(request, site)
    account = None if signed_in is None else signed_in[1]
    say = words_for(request, account_language=account.language if account else "")
    unknown = ""
    if isinstance(refused, identity.UnknownPasskey) and account is None:
        unknown = _credential_id(credential)
    if isinstance(refused, identity.CounterWentBack):
        with site.ctx.tx() as tx:
            device = identity.device_words(_agent(request))
            identity.tell_copied(tx, credential, at=site.ctx.clock.now(), device=device)
    rp = find_rp(request, site)
    answer = page(
        "wallet/passkey_refused.html",
        account=account,
        say=say,
        refused=_told(refused, say),
        again=again,
        unknown=unknown,
        rp_id="" if rp is None else rp.rp_id,
        status_code=refused.status,
    )
    return spoken(answer, say, request)


def _credential_id(credential: str) -> str:
    try:
        return msgspec.json.decode(credential, type=dict[str, Any]).get("id", "")
    except msgspec.DecodeError:
        return ""


# -- small things -------------------------------------------------------------------------------------------


def _refuse_stale(tx: Tx, site: Site, session: identity.Session) -> None:
    """Errors: identity.VerifyAnew."""
    identity.refuse_stale(
        session,
        site.ctx.clock.now(),
        has_passkey=bool(identity.list_passkeys(tx, session.account_id)),
        policy=identity.own_people_policy(),
    )


def _verify_first() -> Response[Any]:
    return Redirect(f"/wallet/verify?next={SECURITY}", status_code=303)


def refuse_often(request: Asked, site: Site, what: str, rate: Rate) -> None:
    """Refuse what this address does too often. Errors: store.TooOften."""
    refuse_too_often(site.ctx, f"{what}/{request.client.host if request.client else ''}", rate)


def _browser(request: Asked) -> str:
    """The secret of this browser, known or new."""
    return secret_of(request, BROWSER) or identity.new_secret()


def _agent(request: Asked) -> str:
    return request.headers.get("user-agent", "")[:1_000]


def _json(text: str) -> Response[Any]:
    return Response(text.encode(), media_type="application/json", headers={"cache-control": "no-store"})


def _inside(address: str) -> str:
    """This address if it is one of the wallet's, else the page of what opens an account."""
    return address if is_inside(address) else SECURITY


ROUTES = [
    begin_sign_in,
    sign_in_by_passkey,
    show_verify,
    begin_verify,
    verify,
    show_join,
    say_who_joins,
    begin_join,
    join,
    show_security,
    begin_passkey,
    add_passkey,
    name_passkey,
    remove_passkey,
    end_session,
    end_other_sessions,
    make_codes,
    cancel_recovery,
    show_recover,
    recover_by_code,
    recover_at_desk,
    begin_recovered,
    recover,
]
