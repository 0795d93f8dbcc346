"""The wallet's pages of spending: limits and the freeze, second people, delegated spending, mandates."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from hansa import approval, atlas, identity, payments, rides, wallets
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.approval_pages import is_fresh
from hansa.apps.web.callers import get_signed_in
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.identity import Account, AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem, new_id
from hansa.store import TooOften, Tx

Asked = Request[Any, Any, Any]
Done = Annotated[str, QueryParameter(max_length=20)]
Text = Annotated[str, msgspec.Meta(max_length=400)]
Short = Annotated[str, msgspec.Meta(max_length=40)]

LIMITS_DONE: dict[str, str] = {
    "lowered": "The limit holds from now on.",
    "raised": "The higher limit is asked for. Until it holds you can call it off by setting a lower one.",
    "frozen": "Nothing is paid from your wallet any more. Rides go on.",
    "stopped": "Nothing is paid from your wallet any more, and your phones’ ride codes end.",
    "unfrozen": "Your wallet pays again.",
    "named": "From now on this person is asked about large payments.",
    "named_later": "This person is asked about large payments too, after a wait.",
    "leaves": "This person is asked no more after a wait. Until then you can name them again.",
    "removed": "This person is asked no more.",
}
GRANTS_DONE: dict[str, str] = {
    "ended": "It has ended.",
    "skipped": "This payment is not taken. The standing approval holds for others.",
    "paused": "Nothing is taken for now.",
    "resumed": "Payments are taken again.",
    "lead": "From now on you are told so long before.",
}
SPAN_WORDS: dict[approval.Span, str] = {"payment": "one payment", "day": "a day", "month": "a month"}
CHANNEL_WORDS: dict[str, str] = {
    "code": "codes you show",
    "qr": "codes you scan",
    "online": "online shops",
    "person": "people",
    "bank": "bank accounts",
    "mandate": "standing approvals",
}
CATEGORY_WORDS: dict[str, str] = {
    "5411": "groceries",
    "5812": "restaurants",
    "5813": "bars",
    "5921": "drink",
    "7995": "betting",
    "7994": "games",
}
"""Merchant categories (ISO 18245) that people set limits on."""
KIND_WORDS: dict[str, str] = {
    "carer": "a carer",
    "child": "a child",
    "employee": "an employee",
    "other": "somebody else",
}
STATE_WORDS: dict[str, str] = {
    "waiting": "holds soon",
    "active": "holds",
    "asked": "waits for you",
    "ended": "over",
    "revoked": "ended",
}
PAUSE_WORDS: dict[str, str] = {
    "day": "Take nothing today",
    "week": "Take nothing this week",
    "month": "Take nothing this month",
    "year": "Take nothing this year",
}
LEADS_H = (0, 24, 72, 168, 336)
"""Hours before a payment from which a payer chooses when to be told."""

SPENT_SHOWN = 5
"""Lines of what was spent under a delegation that the page shows."""

PERIOD_WORDS: dict[str, str] = {
    "day": "each day",
    "week": "each week",
    "month": "each month",
    "year": "each year",
}


class LimitForm(msgspec.Struct, frozen=True):
    """A limit. amount: in major units; empty takes it away."""

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    span: Literal["payment", "day", "month"]
    amount: Short = ""
    scope: Short = ""


class FreezeForm(msgspec.Struct, frozen=True):
    """Stop spending. rides: ticked where the phones' ride codes are to end too."""

    rides: Annotated[str, msgspec.Meta(max_length=3)] = ""


class PersonForm(msgspec.Struct, frozen=True):
    """Another person: their code for being paid."""

    person: Text = ""


class RemoveForm(msgspec.Struct, frozen=True):
    """A person who is named already."""

    account_id: UUID


class DelegationForm(msgspec.Struct, frozen=True):
    """What another person may spend. Amounts in major units; days and hours as the form writes them. replaces: the one
    that it changes, whose person it is for.
    """

    delegation_id: UUID
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    person: Text = ""
    kind: Literal["carer", "child", "employee", "other"] = "other"
    payment: Short = ""
    day: Short = ""
    month: Short = ""
    ask_above: Short = ""
    categories: Text = ""
    from_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 0
    to_hour: Annotated[int, msgspec.Meta(ge=1, le=24)] = 24
    until: Annotated[str, msgspec.Meta(max_length=10)] = ""
    replaces: UUID | None = None


class LeadForm(msgspec.Struct, frozen=True):
    """How many hours before a payment its payer is told."""

    lead_h: Annotated[int, msgspec.Meta(ge=0, le=720)]


class RevokeForm(msgspec.Struct, frozen=True):
    """Whose wallet it is."""

    owner_id: UUID


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit as a line. part: which part of spending, in words. spent: so far, where it counts."""

    limit: approval.Limit
    part: str
    span: str
    now: Money | None
    then: Money | None


@dataclass(frozen=True, slots=True)
class MandateLine:
    """A mandate as its payer sees it. words, period, pause: in words. pulls: what was announced, the next first.

    leads: hours before a payment at which the payer may be told, with their words.
    """

    mandate: approval.Mandate
    state: str
    words: str
    period: str
    is_paused: bool
    pause: str
    pulls: list[approval.Pull]
    leads: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class SpentLine:
    """Something that was spent from an owner's wallet by another: when, to whom, how much."""

    at: datetime
    name: str
    amount: Money


@dataclass(frozen=True, slots=True)
class GrantView:
    """A delegation as a line. other: the delegate to its owner, the owner to its delegate. as_children: what is denied
    is what a child is denied where nothing else is said. decide_at: where its owner signs it, empty once they did.
    left: while it holds. spent: under it lately, latest first.
    """

    delegation: approval.Delegation
    other: str
    kind: str
    state: str
    tone: str
    open: bool
    as_children: bool
    decide_at: str
    left: approval.DelegationLeft | None
    spent: list[SpentLine]


# -- limits and the freeze ----------------------------------------------------------------------------------


@get("/wallet/limits", sync_to_thread=True, include_in_schema=False)
def show_limits(request: Asked, site: Here, done: Done = "") -> Response[Any]:
    return _limits_page(request, site, done=done)


@post("/wallet/limits", sync_to_thread=True, include_in_schema=False)
def set_limit(
    request: Asked,
    site: Here,
    data: Annotated[LimitForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    account_id, span = account.account_id, data.span
    try:
        minor = read_minor(data.amount, data.currency, where="amount") if data.amount.strip() else None
        if approval.raises(
            site.ctx, account_id, currency=data.currency, span=span, minor=minor, scope=data.scope
        ):
            with site.ctx.tx() as tx:
                if not is_fresh(tx, site, session):
                    return Redirect("/wallet/verify?next=/wallet/limits", status_code=303)
        limit = approval.set_limit(
            site.ctx, account_id, currency=data.currency, span=span, minor=minor, scope=data.scope
        )
    except (InvalidInput, approval.GuardianRaises) as refused:
        return _limits_page(request, site, refused=refused)
    done = "raised" if limit.waits(site.ctx.clock.now()) else "lowered"
    return Redirect(f"/wallet/limits?done={done}", status_code=303)


@post("/wallet/limits/freeze", sync_to_thread=True, include_in_schema=False)
def freeze(
    request: Asked,
    site: Here,
    data: Annotated[FreezeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Stop all spending; any sign-in may. Ride codes end too where that was asked for."""
    _, account = get_signed_in(request, site)
    approval.freeze(site.ctx, account.account_id)
    if not data.rides:
        return Redirect("/wallet/limits?done=frozen", status_code=303)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        for phone in identity.list_phones(tx, account.account_id):
            if phone.status == "active":
                rides.end_phone(tx, account.account_id, phone.phone_id, "lost", at=now)
    return Redirect("/wallet/limits?done=stopped", status_code=303)


@post("/wallet/limits/unfreeze", sync_to_thread=True, include_in_schema=False)
def unfreeze(request: Asked, site: Here) -> Response[Any]:
    session, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        fresh = is_fresh(tx, site, session)
    if not fresh:
        return Redirect("/wallet/verify?next=/wallet/limits", status_code=303)
    try:
        approval.unfreeze(site.ctx, account.account_id)
    except (approval.FrozenByIssuer, approval.FrozenByGuardian) as refused:
        return _limits_page(request, site, refused=refused)
    return Redirect("/wallet/limits?done=unfrozen", status_code=303)


@post("/wallet/limits/people", sync_to_thread=True, include_in_schema=False)
def name_person(
    request: Asked,
    site: Here,
    data: Annotated[PersonForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    now, partition = site.ctx.clock.now(), site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        easier = bool(approval.list_co_approvers(tx, partition, account.account_id))
        if easier and not is_fresh(tx, site, session):
            return Redirect("/wallet/verify?next=/wallet/limits", status_code=303)
    try:
        other = wallets.finding.find_receiver(site.ctx, account.account_id, data.person)
        named = approval.name_co_approver(site.ctx, account.account_id, other.account_id)
    except (InvalidInput, wallets.UnknownReceiver) as refused:
        return _limits_page(request, site, refused=refused)
    done = "named" if named.holds_from <= now else "named_later"
    return Redirect(f"/wallet/limits?done={done}", status_code=303)


@post("/wallet/limits/people/remove", sync_to_thread=True, include_in_schema=False)
def remove_person(
    request: Asked,
    site: Here,
    data: Annotated[RemoveForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        fresh = is_fresh(tx, site, session)
    if not fresh:
        return Redirect("/wallet/verify?next=/wallet/limits", status_code=303)
    leaves = approval.remove_co_approver(site.ctx, account.account_id, AccountId(data.account_id))
    return Redirect(f"/wallet/limits?done={'leaves' if leaves else 'removed'}", status_code=303)


def _limits_page(
    request: Asked, site: Site, *, done: str = "", refused: HansaError | None = None
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say, now = words_for(request, account_language=account.language), site.ctx.clock.now()
    partition = site.ctx.directory.partition_of(account.account_id)
    with site.ctx.tx() as tx:
        currencies = currencies_of(site, tx, account)
        views = approval.view_spending(site.ctx, tx, account.account_id, currencies)
        answer = page(
            "wallet/limits.html",
            status_code=200 if refused is None else refused.status,
            here="limits",
            account=account,
            say=say,
            freeze=approval.find_freeze(tx, partition, account.account_id),
            views=[(one, [limit_line(limit, say, now) for limit in one.limits]) for one in views],
            parts=parts_of(say),
            spans=spans_of(say),
            people=[
                (identity.get_account(tx, one.approver_id), one)
                for one in approval.list_co_approvers(tx, partition, account.account_id)
            ],
            guarded=bool(identity.guardian_of(tx, account.account_id)),
            pin=approval.find_pin(tx, partition, account.account_id, now),
            changes=(changes := approval.list_changes(tx, partition, account.account_id, limit=8)),
            people_of_changes={
                one.account_id: one.name
                for one in identity.find_accounts(
                    tx, [AccountId(each.other_id) for each in changes if each.other_id is not None]
                ).values()
            },
            change_words={kind: say(words) for kind, words in approval.KINDS.items()},
            waiting=len(approval.list_open(tx, account.account_id, now)),
            fresh=is_fresh(tx, site, session),
            zone=atlas.get_city(tx, account.home_city_id).tz,
            now=now,
            done=say(LIMITS_DONE[done]) if done in LIMITS_DONE else "",
            refused=_told(refused, say),
        )
    return spoken(answer, say, request)


# -- delegated spending -------------------------------------------------------------------------------------


@get("/wallet/delegations", sync_to_thread=True, include_in_schema=False)
def show_delegations(
    request: Asked, site: Here, done: Done = "", change: FromQuery[UUID | None] = None
) -> Response[Any]:
    """Who may spend for one, and a form: for somebody new, or filled in to change what there is."""
    return _delegations_page(request, site, done=done, change=change)


@post("/wallet/delegations", sync_to_thread=True, include_in_schema=False)
def grant(
    request: Asked,
    site: Here,
    data: Annotated[DelegationForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Let somebody spend: the page after it shows what the owner's passkey signs. Nothing is given before."""
    _, account = get_signed_in(request, site)
    with site.ctx.tx() as tx:
        zone = atlas.get_city(tx, account.home_city_id).tz
    try:
        if data.replaces is None:
            delegate_id = wallets.finding.find_receiver(site.ctx, account.account_id, data.person).account_id
        else:
            delegate_id = _changed(site, account.account_id, data.replaces).delegate_id
        new = _new(data, delegate_id, zone)
        _, asked = approval.ask_delegation(site.ctx, account.account_id, new)
    except approval.GrantDiffers as refused:  # the form was sent before, with something else in it
        another = msgspec.structs.replace(data, delegation_id=new_id())
        return _delegations_page(request, site, form=another, refused=refused)
    except (InvalidInput, wallets.UnknownReceiver, TooOften, approval.DelegationOverlaps) as refused:
        return _delegations_page(request, site, form=data, refused=refused)
    return Redirect(f"/wallet/approvals/{asked.approval_id}", status_code=303)


def _changed(site: Site, owner_id: AccountId, delegation_id: UUID) -> approval.Delegation:
    """What this owner is about to change. Errors: approval.UnknownDelegation."""
    with site.ctx.tx() as tx:
        own = approval.list_delegations(tx, site.ctx.directory.partition_of(owner_id), owner_id)
    found = next((one for one in own if one.delegation_id == delegation_id), None)
    if found is None:
        raise approval.UnknownDelegation
    return found


def _form_of(one: approval.Delegation, zone: str) -> DelegationForm:
    """A form that says what this delegation says."""
    return DelegationForm(
        new_id(),
        one.currency,
        kind=one.kind,
        payment=one.payment.decimal(),
        day=one.day.decimal(),
        month=one.month.decimal(),
        ask_above="" if one.ask_above is None else one.ask_above.decimal(),
        categories=", ".join(one.categories),
        from_hour=one.from_hour,
        to_hour=one.to_hour,
        until=(one.ends_at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date().isoformat(),
        replaces=one.delegation_id,
    )


@post("/wallet/delegations/{delegation_id:uuid}/revoke", sync_to_thread=True, include_in_schema=False)
def revoke_delegation(
    request: Asked,
    site: Here,
    delegation_id: FromPath[UUID],
    data: Annotated[RevokeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    _, account = get_signed_in(request, site)
    approval.revoke_delegation(site.ctx, delegation_id, account.account_id, AccountId(data.owner_id))
    return Redirect("/wallet/delegations?done=ended", status_code=303)


def _new(data: DelegationForm, delegate_id: AccountId, zone: str) -> approval.NewDelegation:
    """Errors: InvalidInput for an amount or a day that cannot be read."""
    unit = data.currency
    try:
        last = date.fromisoformat(data.until)
    except ValueError as error:
        problem = Problem("until", f"{data.until!r} is no day", "Choose the last day on which it holds")
        raise InvalidInput("Say until when it holds.", problems=(problem,)) from error
    return approval.NewDelegation(
        delegation_id=data.delegation_id,
        delegate_id=delegate_id,
        kind=data.kind,
        currency=unit,
        payment_minor=read_minor(data.payment, unit, where="payment"),
        day_minor=read_minor(data.day, unit, where="day"),
        month_minor=read_minor(data.month, unit, where="month"),
        ask_above_minor=read_minor(data.ask_above, unit, where="ask_above")
        if data.ask_above.strip()
        else None,
        categories=data.categories.replace(",", " ").split(),
        from_hour=data.from_hour,
        to_hour=data.to_hour,
        replaces=data.replaces,
        ends_at=datetime.combine(last + timedelta(days=1), time(0), ZoneInfo(zone)),
    )


def _delegations_page(
    request: Asked,
    site: Site,
    *,
    done: str = "",
    form: DelegationForm | None = None,
    change: UUID | None = None,
    refused: HansaError | None = None,
) -> Response[Any]:
    _, account = get_signed_in(request, site)
    say, now = words_for(request, account_language=account.language), site.ctx.clock.now()
    partition = site.ctx.directory.partition_of(account.account_id)
    changed_id = change if form is None else form.replaces
    changed = None if changed_id is None else _changed(site, account.account_id, changed_id)
    with site.ctx.tx() as tx:
        currencies = currencies_of(site, tx, account)
        zone = atlas.get_city(tx, account.home_city_id).tz
        if changed is not None and form is None:
            form = _form_of(changed, zone)
        own = approval.list_delegations(tx, partition, account.account_id)
        theirs = approval.list_delegations_to(tx, account.account_id)
        until = (now + timedelta(days=365)).astimezone(ZoneInfo(zone)).date().isoformat()
        answer = page(
            "wallet/delegations.html",
            status_code=200 if refused is None else refused.status,
            here="limits",
            account=account,
            say=say,
            granted=[_grant_view(tx, one, one.delegate_id, say, now) for one in own],
            received=[_grant_view(tx, one, one.account_id, say, now) for one in theirs],
            currencies=currencies,
            changed=None if changed is None else _grant_view(tx, changed, changed.delegate_id, say, now),
            form=form or DelegationForm(new_id(), currencies[0] if currencies else "CNY", until=until),
            kinds=[(name, say(words)) for name, words in KIND_WORDS.items()],
            has_passkey=bool(identity.list_passkeys(tx, account.account_id)),
            zone=zone,
            done=say(GRANTS_DONE[done]) if done in GRANTS_DONE else "",
            refused=_told(refused, say),
            problems={one.where: one for one in refused.problems} if refused is not None else {},
        )
    return spoken(answer, say, request)


# -- mandates -----------------------------------------------------------------------------------------------


@get("/wallet/mandates", sync_to_thread=True, include_in_schema=False)
def show_mandates(request: Asked, site: Here, done: Done = "") -> Response[Any]:
    _, account = get_signed_in(request, site)
    say, now = words_for(request, account_language=account.language), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        found = approval.find_mandates(tx, payer=account.account_id, limit=100)
        pulls = approval.waiting_pulls(tx, account.account_id, [one.mandate_id for one in found])
        answer = page(
            "wallet/mandates.html",
            here="limits",
            account=account,
            say=say,
            mandates=[
                MandateLine(
                    one,
                    one.state(now),
                    say(STATE_WORDS[one.state(now)]),
                    say(PERIOD_WORDS[one.period]),
                    one.is_paused(now),
                    say(PAUSE_WORDS[one.period]),
                    [pull for pull in pulls if pull.mandate_id == one.mandate_id],
                    [(hours, _lead_words(hours, say)) for hours in _leads(one)],
                )
                for one in found
            ],
            approval_of=lambda one: approval.approval_id_of("mandate", one.mandate_id),  # pyright: ignore
            zone=atlas.get_city(tx, account.home_city_id).tz,
            done=say(GRANTS_DONE[done]) if done in GRANTS_DONE else "",
        )
    return spoken(answer, say, request)


@post("/wallet/mandates/{mandate_id:uuid}/revoke", sync_to_thread=True, include_in_schema=False)
def revoke_mandate(request: Asked, site: Here, mandate_id: FromPath[UUID]) -> Response[Any]:
    _, account = get_signed_in(request, site)
    approval.revoke_mandate(site.ctx, mandate_id, payer=account.account_id)
    return Redirect("/wallet/mandates?done=ended", status_code=303)


@post(
    "/wallet/mandates/{mandate_id:uuid}/pulls/{pull_id:uuid}/skip",
    sync_to_thread=True,
    include_in_schema=False,
)
def skip_pull(
    request: Asked, site: Here, mandate_id: FromPath[UUID], pull_id: FromPath[UUID]
) -> Response[Any]:
    """Have one announced payment not taken."""
    _, account = get_signed_in(request, site)
    approval.skip_pull(site.ctx, mandate_id, pull_id, payer=account.account_id)
    return Redirect("/wallet/mandates?done=skipped", status_code=303)


@post("/wallet/mandates/{mandate_id:uuid}/pause", sync_to_thread=True, include_in_schema=False)
def pause_mandate(request: Asked, site: Here, mandate_id: FromPath[UUID]) -> Response[Any]:
    """Have nothing taken for the rest of the period."""
    _, account = get_signed_in(request, site)
    approval.pause_mandate(site.ctx, mandate_id, payer=account.account_id)
    return Redirect("/wallet/mandates?done=paused", status_code=303)


@post("/wallet/mandates/{mandate_id:uuid}/resume", sync_to_thread=True, include_in_schema=False)
def resume_mandate(request: Asked, site: Here, mandate_id: FromPath[UUID]) -> Response[Any]:
    """Have payments taken again."""
    _, account = get_signed_in(request, site)
    approval.resume_mandate(site.ctx, mandate_id, payer=account.account_id)
    return Redirect("/wallet/mandates?done=resumed", status_code=303)


@post("/wallet/mandates/{mandate_id:uuid}/lead", sync_to_thread=True, include_in_schema=False)
def set_lead(
    request: Asked,
    site: Here,
    mandate_id: FromPath[UUID],
    data: Annotated[LeadForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """How long before a payment its payee has to say so."""
    _, account = get_signed_in(request, site)
    approval.set_lead(site.ctx, mandate_id, data.lead_h, payer=account.account_id)
    return Redirect("/wallet/mandates?done=lead", status_code=303)


def _leads(mandate: approval.Mandate) -> list[int]:
    """The leads, in hours, that a payer may choose from: none shorter than was signed."""
    return sorted({mandate.lead_h, *(hours for hours in LEADS_H if hours >= mandate.notice_h)})


def _lead_words(hours: int, say: Words) -> str:
    if hours == 0:
        return say("not before it is taken")
    if hours % 24:
        return say.count(hours, "{n} hour before", "{n} hours before")
    return say.count(hours // 24, "{n} day before", "{n} days before")


# -- shared -------------------------------------------------------------------------------------------------


def currencies_of(site: Site, tx: Tx, account: Account) -> list[str]:
    partition = site.ctx.directory.partition_of(account.account_id)
    return [one.currency for one in payments.balance_of(tx, account.account_id, partition=partition)]


def limit_line(limit: approval.Limit, say: Words, now: datetime) -> LimitLine:
    def money(minor: int | None) -> Money | None:
        return None if minor is None else Money(minor, limit.currency)

    holds = limit.holds(now)
    then = money(limit.next_minor) if limit.waits(now) else None
    return LimitLine(limit, _part(limit.scope, say), say(SPAN_WORDS[limit.span]), money(holds), then)


def _part(scope: str, say: Words) -> str:
    kind, _, name = scope.partition(":")
    if not scope:
        return say("everything")
    words = CHANNEL_WORDS.get(name) if kind == "channel" else CATEGORY_WORDS.get(name)
    return say(words) if words else name


def spans_of(say: Words) -> list[tuple[str, str]]:
    """For what a limit may be, with the words of each."""
    return [(name, say(words)) for name, words in SPAN_WORDS.items()]


def parts_of(say: Words) -> list[tuple[str, str]]:
    return [
        ("", say("everything")),
        *((f"channel:{name}", say(words)) for name, words in CHANNEL_WORDS.items()),
        *((f"category:{name}", say(words)) for name, words in CATEGORY_WORDS.items()),
    ]


def _grant_view(
    tx: Tx, delegation: approval.Delegation, other: AccountId, say: Words, now: datetime
) -> GrantView:
    state = delegation.state(now)
    account = identity.find_account(tx, other)
    tone = {"active": "", "waiting": "warm", "asked": "warm"}.get(state, "plain")
    return GrantView(
        delegation,
        account.name if account is not None else str(other),
        say(KIND_WORDS[delegation.kind]),
        say(STATE_WORDS[state]),
        tone,
        state in ("asked", "active", "waiting"),
        tuple(delegation.categories_denied) == approval.NOT_FOR_CHILDREN,
        f"/wallet/approvals/{approval.approval_id_of('delegation', delegation.delegation_id)}"
        if state == "asked"
        else "",
        approval.left_of(tx, delegation, now) if state == "active" else None,
        _spent_lines(tx, delegation, say, now),
    )


def _spent_lines(tx: Tx, delegation: approval.Delegation, say: Words, now: datetime) -> list[SpentLine]:
    """What was spent under a delegation lately, the latest first."""
    found = approval.list_spent(
        tx, delegation.partition, delegation.account_id, now, delegate_id=delegation.delegate_id
    )
    mine = [one for one in found if one.delegation_id == delegation.delegation_id][:SPENT_SHOWN]
    keys = [one.payee_key.partition(":") for one in mine]
    payees = payments.find_payees(tx, [key for kind, _, key in keys if kind == "payee"])
    people = wallets.transfers.names_of(tx, [UUID(key) for kind, _, key in keys if kind == "account"])
    lines: list[SpentLine] = []
    for one, (kind, _, key) in zip(mine, keys, strict=True):
        payee = payees.get(key) if kind == "payee" else None
        name = payee.name if payee is not None else people.get(UUID(key), "") if kind == "account" else ""
        lines.append(SpentLine(one.at, name or say("Somebody"), one.amount))
    return lines


def _told(refused: HansaError | None, say: Words) -> str:
    if refused is None:
        return ""
    if isinstance(refused, wallets.UnknownReceiver):
        return say("Nobody has this code. Ask the person for the code by which they are paid.")
    if isinstance(refused, approval.GrantDiffers):
        return say(
            "You asked for this one before, with other caps. Send it once more to ask for another one."
        )
    if isinstance(refused, approval.DelegationOverlaps):
        return say(
            "They may spend for some of the same things already. Change what there is, or name other things."
        )
    if isinstance(refused, TooOften):
        return say("You asked for too many of these. Try again tomorrow.")
    if isinstance(refused, approval.FrozenByIssuer):
        return say("Your issuer froze this wallet, and only its desk lifts that.")
    if isinstance(refused, approval.FrozenByGuardian | approval.GuardianRaises):
        return say(refused.user_message)
    fields = {one.where for one in refused.problems}
    if "payment" in fields:
        return say("Let one payment be no more than a day, and a day no more than a month.")
    if "until" in fields or "ends_at" in fields:
        return say("Choose a last day within the next five years.")
    if "from_hour" in fields:
        return say("Let the first hour come before the last.")
    if "replaces" in fields:
        return say("What you wanted to change is over, or changes already. Look at what there is.")
    if "categories" in fields:
        return say("Write categories as four digits or ranges: 5411, 5811-5814.")
    return say("An amount cannot be read. Write it as 12.50.")


ROUTES = [
    show_limits, set_limit, freeze, unfreeze, name_person, remove_person, show_delegations, grant, revoke_delegation,
    show_mandates, revoke_mandate, skip_pull, pause_mandate, resume_mandate, set_lead,
]  # fmt: skip
