"""The wallet's page of a ward, for who answers for them: money, journeys, limits, the freeze, uses of data.

Each right is looked at anew with each request. What a guardian reads, the ward reads that they did; what they set or
stop stands among the ward's own changes, with their name.
"""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import approval, identity, payments, rides
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.approval_pages import is_fresh
from hansa.apps.web.callers import get_account, get_signed_in
from hansa.apps.web.journey_views import Places, view_journey
from hansa.apps.web.languages import words_for
from hansa.apps.web.me_view import ME, go, me_page, verify_first
from hansa.apps.web.own_words import KIND_WORDS
from hansa.apps.web.site import Here, Site
from hansa.apps.web.spending_pages import LimitForm, currencies_of, limit_line, parts_of, spans_of
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput

Asked = Request[Any, Any, Any]
Done = Annotated[str, QueryParameter(max_length=20)]

LINES_OF_A_WARD = 10
AS_GUARDIAN = "as your guardian"

WARD_DONE: dict[str, str] = {
    "lowered": "The limit holds from now on.",
    "raised": "The higher limit is asked for. Until it holds you can call it off by setting a lower one.",
    "frozen": "Nothing is paid from their wallet any more. Rides go on.",
    "unfrozen": "Their wallet pays again.",
}


class WardConsentForm(msgspec.Struct, frozen=True):
    """What a guardian says of a purpose for their ward; text_version: of the text that stood on the page."""

    given: bool
    text_version: int


@get(f"{ME}/wards/{{account_id:uuid}}", sync_to_thread=True, include_in_schema=False)
def show_ward(request: Asked, site: Here, account_id: FromPath[UUID], done: Done = "") -> Response[Any]:
    """What a guardian may see of a ward; the ward reads that they looked."""
    return _ward_page(request, site, AccountId(account_id), done=done)


@post(f"{ME}/wards/{{account_id:uuid}}/limits", sync_to_thread=True, include_in_schema=False)
def set_limit_of_ward(
    request: Asked,
    site: Here,
    account_id: FromPath[UUID],
    data: Annotated[LimitForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Set a limit for a ward: lower at once, higher after a day and with the guardian's passkey."""
    session, account = get_signed_in(request, site)
    ward_id, here = AccountId(account_id), f"{ME}/wards/{account_id}"
    _require(site, account.account_id, ward_id, "limit")
    try:
        minor = read_minor(data.amount, data.currency, where="amount") if data.amount.strip() else None
        if approval.raises(
            site.ctx, ward_id, currency=data.currency, span=data.span, minor=minor, scope=data.scope
        ):
            with site.ctx.tx() as tx:
                if not is_fresh(tx, site, session):
                    return verify_first(here)
        limit = approval.set_limit(
            site.ctx,
            ward_id,
            currency=data.currency,
            span=data.span,
            minor=minor,
            scope=data.scope,
            guardian_id=account.account_id,
        )
    except InvalidInput as refused:
        return _ward_page(request, site, ward_id, refused=refused)
    return go(f"{here}?done={'raised' if limit.waits(site.ctx.clock.now()) else 'lowered'}")


@post(f"{ME}/wards/{{account_id:uuid}}/freeze", sync_to_thread=True, include_in_schema=False)
def freeze_ward(request: Asked, site: Here, account_id: FromPath[UUID]) -> Redirect:
    """Stop all of a ward's spending at once."""
    me = get_account(request, site).account_id
    approval.freeze(site.ctx, AccountId(account_id), by="guardian", guardian_id=me)
    return go(f"{ME}/wards/{account_id}?done=frozen")


@post(f"{ME}/wards/{{account_id:uuid}}/unfreeze", sync_to_thread=True, include_in_schema=False)
def unfreeze_ward(request: Asked, site: Here, account_id: FromPath[UUID]) -> Response[Any]:
    """Let a ward's spending go on, with the guardian's passkey just before."""
    session, account = get_signed_in(request, site)
    ward_id, here = AccountId(account_id), f"{ME}/wards/{account_id}"
    _require(site, account.account_id, ward_id, "freeze")
    with site.ctx.tx() as tx:
        if not is_fresh(tx, site, session):
            return verify_first(here)
    try:
        approval.unfreeze(site.ctx, ward_id, by="guardian", guardian_id=account.account_id)
    except approval.FrozenByIssuer as refused:
        return _ward_page(request, site, ward_id, refused=refused)
    return go(f"{here}?done=unfrozen")


@post(
    f"{ME}/wards/{{account_id:uuid}}/consents/{{purpose:str}}", sync_to_thread=True, include_in_schema=False
)
def agree_for_ward(
    request: Asked,
    site: Here,
    account_id: FromPath[UUID],
    purpose: FromPath[str],
    data: Annotated[WardConsentForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    ward_id = identity.AccountId(account_id)
    with site.ctx.tx() as tx:
        if not identity.guardian_may(tx, account.account_id, ward_id, "consent"):
            raise identity.UnknownGuardianship(f"You do not agree for {account_id}.")
        identity.say_consent(
            tx,
            ward_id,
            purpose,
            given=data.given,
            text_version=data.text_version,
            language=words_for(request, account_language=account.language).language,
            channel="wallet",
            by_id=account.account_id,
            at=site.ctx.clock.now(),
        )
    return go(f"{ME}/wards/{account_id}")


def _require(site: Site, me: AccountId, ward_id: AccountId, right: identity.Right) -> None:
    """Errors: identity.UnknownGuardianship where this is no ward of theirs, before anything is told of it."""
    with site.ctx.tx() as tx:
        if not identity.guardian_may(tx, me, ward_id, right):
            raise identity.UnknownGuardianship(f"You have no ward {ward_id}.")


def _ward_page(
    request: Asked, site: Site, ward_id: AccountId, *, done: str = "", refused: HansaError | None = None
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    say = words_for(request, account_language=account.language)
    me, at = account.account_id, site.ctx.clock.now()
    partition = site.ctx.directory.partition_of(ward_id)
    with site.ctx.tx() as tx:
        if ward_id not in identity.wards_of(tx, me):
            raise identity.UnknownGuardianship(f"You have no ward {ward_id}.")
        ward = identity.get_account(tx, ward_id)
        may = {right: identity.guardian_may(tx, me, ward_id, right) for right in identity.RIGHTS}
        sees_money, sees_journeys = may["see_money"], may["see_journeys"]
        balances = payments.balance_of(tx, ward_id, partition=partition) if sees_money else []
        movements = (
            payments.movements(tx, ward_id, LINES_OF_A_WARD, partition=partition) if sees_money else []
        )
        found = rides.journeys(tx, ward_id, limit=LINES_OF_A_WARD) if sees_journeys else []
        places = Places(tx)
        journeys = [view_journey(places, one, say) for one in found]
        views = (
            approval.view_spending(site.ctx, tx, ward_id, currencies_of(site, tx, ward))
            if may["limit"]
            else []
        )
        consents = [
            (name, purpose.said(say.language)[0], purpose.version, identity.may(tx, ward_id, name))
            for name, purpose in identity.purposes().items()
            if may["consent"]
        ]
        frozen = approval.find_freeze(tx, partition, ward_id)
        fresh = is_fresh(tx, site, session)
        if sees_money or may["limit"]:
            identity.saw(tx, ward_id, f"person:{me}", "wallet", AS_GUARDIAN, at)
        if sees_journeys:
            identity.saw(tx, ward_id, f"person:{me}", "journeys", AS_GUARDIAN, at)
    return me_page(
        request,
        site,
        account,
        "wallet/me_ward.html",
        refused=refused,
        ward=ward,
        balances=balances,
        movements=movements,
        kind_words=KIND_WORDS,
        journeys=journeys,
        may=may,
        views=[(one, [limit_line(limit, say, at) for limit in one.limits]) for one in views],
        spans=spans_of(say),
        parts=parts_of(say),
        freeze=frozen,
        fresh=fresh,
        now=at,
        consents=consents,
        done=say(WARD_DONE[done]) if done in WARD_DONE else "",
    )


ROUTES = [show_ward, set_limit_of_ward, freeze_ward, unfreeze_ward, agree_for_ward]
