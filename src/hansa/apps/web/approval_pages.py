"""The wallet's pages of approvals and of the payment PIN: what is asked, byte for byte, and the ways to give it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, atlas, identity, store
from hansa.apps.web import advancing
from hansa.apps.web.callers import find_account, get_account, get_signed_in
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.me_view import means
from hansa.apps.web.pages import page
from hansa.apps.web.refusals import note_error
from hansa.apps.web.relying_party import by_its_name, find_rp, rp_of
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput
from hansa.store import Secret, Tx

Asked = Request[Any, Any, Any]

PASSKEY_REFUSALS = (
    identity.CeremonyRefused,
    identity.ChallengeRefused,
    identity.CounterWentBack,
    identity.UnknownPasskey,
    identity.NoPasskey,
    approval.NotYours,
)
REFUSALS: dict[type[HansaError], str] = {
    approval.PinWrong: "This is not your PIN. After five wrong tries you have to wait.",
    approval.PinLocked: "The PIN was wrong too often. Wait a while, or use your passkey.",
    approval.NoPin: "You have no payment PIN yet.",
    approval.LevelTooLow: "This needs more than that by now. Look below for what it needs.",
    approval.WaitsTooLong: "So much waits a day before it is paid, and the rate holds for minutes. Pay it in smaller"
    " parts.",
    identity.AccountClosed: "This account was deleted, so nothing is paid from it.",
    identity.GuardianNeeded: "Until a guardian has accepted you, nothing is paid from your wallet.",
    approval.SpendingFrozen: "Your spending is frozen, so nothing is paid.",
    approval.LimitReached: "This is more than your limits leave.",
    approval.YearCapReached: "This is more than you may still pay this year. You may pay more once your name, or your"
    " document, is proved.",
    approval.BalanceCapReached: "Your wallet may hold more once your name, or your document, is proved.",
    approval.DelegationExceeded: "This is more than the owner lets you spend.",
    approval.NotDelegated: "The owner does not let you spend from this wallet now.",
    approval.ApprovalEnded: "This was answered already.",
    approval.ApprovalExpired: "The time to approve this is over, and nothing was paid.",
}
"""Why it was not taken, in words that a person reads."""

VERBS: dict[str, str] = {
    "payment": "Pay {amount}",
    "transfer": "Send {amount}",
    "withdrawal": "Withdraw {amount}",
    "mandate": "Allow it",
    "delegation": "Allow it",
    "card": "Pay {amount}",
}
TITLES: dict[str, str] = {
    "payment": "Approve a payment",
    "transfer": "Approve sending money",
    "withdrawal": "Approve a withdrawal",
    "mandate": "Let a payee take payments",
    "delegation": "Let somebody spend from your wallet",
    "card": "Approve a city card",
}

Credential = Annotated[str, msgspec.Meta(max_length=identity.CREDENTIAL_MAX)]
Pin = Annotated[str, msgspec.Meta(max_length=40)]


class GiveForm(msgspec.Struct, frozen=True):
    """An approval by a sign-in or a PIN."""

    method: Literal["session", "pin"]
    pin: Pin = ""


class PasskeyForm(msgspec.Struct, frozen=True):
    """A passkey's answer."""

    credential: Credential = ""


class PinForm(msgspec.Struct, frozen=True):
    """A new payment PIN, twice."""

    pin: Pin = ""
    again: Pin = ""


@dataclass(frozen=True, slots=True)
class WaitingView:
    """Something that waits for an approval, as a line of a list. mine: waits for this person."""

    asked: approval.Approval
    shown: approval.Shown
    mine: bool


# -- what waits ---------------------------------------------------------------------------------------------


@get("/wallet/approvals", sync_to_thread=True, include_in_schema=False)
def show_approvals(request: Asked, site: Here) -> Response[Any]:
    account = find_account(request, site)
    if account is None:
        return Redirect("/wallet/")
    say = words_for(request, account_language=account.language)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        found = approval.list_open(tx, account.account_id, now)
        answer = page(
            "wallet/approvals.html",
            here="approvals",
            account=account,
            say=say,
            waiting=[_waiting(one, account.account_id) for one in found],
            zone=atlas.get_city(tx, account.home_city_id).tz,
        )
    return spoken(answer, say, request)


@get("/wallet/approvals/{approval_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_approval(request: Asked, site: Here, approval_id: FromPath[UUID]) -> Response[Any]:
    return _approval_page(request, site, approval_id)


@post("/wallet/approvals/{approval_id:uuid}", sync_to_thread=True, include_in_schema=False)
def give(
    request: Asked,
    site: Here,
    approval_id: FromPath[UUID],
    data: Annotated[GiveForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, _ = get_signed_in(request, site)
    try:
        if data.method == "pin":
            approval.give_by_pin(site.ctx, approval_id, session, data.pin.strip(), pepper_of(site))
        else:
            approval.give_by_session(site.ctx, approval_id, session)
    except tuple(REFUSALS) as refused:
        return _approval_page(request, site, approval_id, refused=refused)
    return _go_on(request, site, approval_id)


@post(
    "/wallet/approvals/{approval_id:uuid}/options",
    sync_to_thread=True,
    include_in_schema=False,
    status_code=200,
)
def begin_passkey(request: Asked, site: Here, approval_id: FromPath[UUID]) -> Response[Any]:
    session, _ = get_signed_in(request, site)
    options = approval.begin_passkey(site.ctx, approval_id, session, rp_of(request, site))
    return Response(options.encode(), media_type="application/json", headers={"cache-control": "no-store"})


@post("/wallet/approvals/{approval_id:uuid}/passkey", sync_to_thread=True, include_in_schema=False)
def give_passkey(
    request: Asked,
    site: Here,
    approval_id: FromPath[UUID],
    data: Annotated[PasskeyForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, _ = get_signed_in(request, site)
    try:
        approval.give_by_passkey(site.ctx, approval_id, session, data.credential, rp_of(request, site))
    except (*PASSKEY_REFUSALS, *REFUSALS) as refused:
        return _approval_page(request, site, approval_id, refused=refused)
    return _go_on(request, site, approval_id)


@post("/wallet/approvals/{approval_id:uuid}/refuse", sync_to_thread=True, include_in_schema=False)
def refuse(request: Asked, site: Here, approval_id: FromPath[UUID]) -> Response[Any]:
    account = get_account(request, site)
    try:
        approval.refuse(site.ctx, approval_id, account.account_id)
    except approval.ApprovalEnded as refused:
        return _approval_page(request, site, approval_id, refused=refused)
    return _go_on(request, site, approval_id)


def _go_on(request: Asked, site: Site, approval_id: UUID) -> Response[Any]:
    """Have whoever waits go on, then show what it came to."""
    account = get_account(request, site)
    with site.ctx.tx() as tx:
        found, _ = approval.get_approval(tx, approval_id, account.account_id, site.ctx.clock.now())
    if found.phase not in ("waiting", "second", "cooling"):
        advancing.carry_on(site.ctx, found.kind, found.subject_id)
    return Redirect(f"/wallet/approvals/{approval_id}", status_code=303)


def _approval_page(
    request: Asked, site: Site, approval_id: UUID, *, refused: HansaError | None = None
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say, now = words_for(request, account_language=account.language), site.ctx.clock.now()
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        found, role = approval.get_approval(tx, approval_id, account.account_id, now)
        shown = found.shown
        owner = identity.get_account(tx, found.account_id)
        policy = approval.policy_of(tx, owner.issuer_id)
        pin = approval.find_pin(tx, partition, account.account_id, now)
        passkeys = identity.list_passkeys(tx, account.account_id)
        others = [identity.get_account(tx, one).name for one in approval.second_people(tx, found, now)]
        zone = atlas.get_city(tx, account.home_city_id).tz
    if refused is not None:
        note_error(request, refused)
    level = found.level
    answer = page(
        "wallet/approval.html",
        status_code=200 if refused is None else refused.status,
        here="approvals",
        account=account,
        say=say,
        approval=found,
        shown=shown,
        role=role,
        title=say(TITLES.get(found.kind, "Approve it")),
        verb=say(VERBS.get(found.kind, "Approve {amount}"), amount=shown.amount),
        reasons=[say(approval.REASONS[one]) for one in found.reasons if one != "any"],
        details=[(say(name), text) for name, text in shown.details.items()],
        owner=owner,
        others=others,
        delay_h=policy.waits.delay_h,
        by_click=role == "payer" and level <= approval.ApprovalLevel.SESSION,
        by_pin=role == "payer" and level == approval.ApprovalLevel.PIN,
        waits_after=role == "payer" and level == approval.ApprovalLevel.PASSKEY_DELAY,
        asks_second=role == "payer" and level == approval.ApprovalLevel.SECOND_PERSON,
        pin=pin,
        passkeys=passkeys,
        rp=find_rp(request, site),
        by_name=by_its_name(request),
        zone=zone,
        now=now,
        refused=_told(refused, say),
        session=session,
    )
    return spoken(answer, say, request)


# -- the payment PIN ----------------------------------------------------------------------------------------


@get("/wallet/pin", sync_to_thread=True, include_in_schema=False)
def show_pin(
    request: Asked,
    site: Here,
    done: Annotated[str, QueryParameter(max_length=1)] = "",
    to: Annotated[str, QueryParameter(name="next", max_length=500)] = "",
) -> Response[Any]:
    return _pin_page(request, site, done=bool(done), to=to)


@post("/wallet/pin", sync_to_thread=True, include_in_schema=False)
def set_pin(
    request: Asked,
    site: Here,
    data: Annotated[PinForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        fresh = is_fresh(tx, site, session)
        birth = identity.find_birth(tx, means(site).sealer, account.account_id)
    if not fresh:
        return Redirect("/wallet/verify?next=/wallet/pin", status_code=303)
    pin = data.pin.strip()
    if pin != data.again.strip():
        return _pin_page(request, site, refused=say("The two are not the same. Write the PIN twice."))
    try:
        born = birth.born if birth is not None else None
        approval.set_pin(site.ctx, account.account_id, pin, pepper_of(site), born=born)
    except InvalidInput as refused:
        why = say("This PIN is easily guessed. Choose six digits that are no date, no pattern and no repeat.")
        return _pin_page(request, site, refused=why, status_code=refused.status)
    return Redirect("/wallet/pin?done=1", status_code=303)


def _pin_page(
    request: Asked, site: Site, *, done: bool = False, refused: str = "", to: str = "", status_code: int = 200
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say, now = words_for(request, account_language=account.language), site.ctx.clock.now()
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        answer = page(
            "wallet/pin.html",
            status_code=status_code,
            here="limits",
            account=account,
            say=say,
            pin=approval.find_pin(tx, partition, account.account_id, now),
            fresh=is_fresh(tx, site, session),
            zone=atlas.get_city(tx, account.home_city_id).tz,
            done=done,
            refused=refused,
            back=_inside(to),
        )
    return spoken(answer, say, request)


# -- shared -------------------------------------------------------------------------------------------------


def is_fresh(tx: Tx, site: Site, session: identity.Session) -> bool:
    """Whether this person proved just now who they are: by a passkey, or where they have none, by signing in."""
    has_passkey = bool(identity.list_passkeys(tx, session.account_id))
    try:
        identity.refuse_stale(
            session, site.ctx.clock.now(), has_passkey=has_passkey, policy=identity.own_people_policy()
        )
    except identity.VerifyAnew:
        return False
    return True


def pepper_of(site: Site) -> Secret:
    """The pepper of PINs; a demonstration makes it when it is first wanted. Errors: store.SecretMissing."""
    return store.read_secret(approval.PEPPER, site.home / "keys", make=site.demo)


def _inside(address: str) -> str:
    """A path of this site, or empty."""
    try:
        return approval.check_next(address)
    except InvalidInput:
        return ""


def _told(refused: HansaError | None, say: Words) -> str:
    if refused is None:
        return ""
    if isinstance(refused, PASSKEY_REFUSALS):
        return say(
            "The passkey’s answer is not good, so nothing was approved. Try again, or use another one."
        )
    return say(REFUSALS[type(refused)])


def _waiting(found: approval.Approval, person_id: UUID) -> WaitingView:
    mine = (found.phase == "waiting" and found.approver_id == person_id) or (
        found.phase == "second" and found.approver_id != person_id
    )
    return WaitingView(found, found.shown, mine)


ROUTES = [
    show_approvals, show_approval, give, begin_passkey, give_passkey, refuse, show_pin, set_pin,
]  # fmt: skip
