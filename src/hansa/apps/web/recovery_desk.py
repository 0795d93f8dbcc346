"""The console's desk for people who come back without a passkey: who waits, whose account it is, what they showed."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import identity, trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, reader_of
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.trust.staff_model import own_of

Asked = Request[Any, Any, Any]

LISTED_MAX = 50
CANDIDATES_MAX = 6
"""Accounts of a name and an issuer that are offered for one request."""


class ApproveForm(msgspec.Struct, frozen=True):
    """Whose account it is, and what the person showed."""

    account_id: Annotated[str, msgspec.Meta(max_length=40)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=600)] = ""


@get("/console/recoveries", sync_to_thread=True, include_in_schema=False)
def show_recoveries(
    request: Asked,
    site: Here,
    reference: Annotated[str, QueryParameter(max_length=20)] = "",
    approved: Annotated[str, QueryParameter(max_length=1)] = "",
) -> Response[str]:
    """Who waits at a desk, the oldest first, each with the accounts that it may be."""
    return _page(site, own_members(request, site), reference=reference, approved=bool(approved))


@post("/console/recoveries/{recovery_id:uuid}", sync_to_thread=True, include_in_schema=False)
def approve(
    request: Asked,
    site: Here,
    recovery_id: FromPath[UUID],
    data: Annotated[ApproveForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Say whose account it is and that the person may come back; they wait, and whoever holds it may say no."""
    own = own_members(request, site)
    by, reader, now = clerk_of(request, site), reader_of(request, site), site.ctx.clock.now()
    try:
        account_id = identity.AccountId(UUID(data.account_id))
    except ValueError:
        what = Problem("account_id", "no account is chosen", "Choose the one on the person’s document")
        return _page(site, own, refused=InvalidInput("Nobody was approved.", problems=(what,)))
    try:
        with site.ctx.tx() as tx:
            if identity.get_account(tx, account_id).issuer_id not in own:
                raise identity.UnknownAccount
            identity.approve_recovery(
                tx, recovery_id, account_id, proof="desk", by=by, reason=data.reason, at=now
            )
            identity.saw(tx, account_id, reader, "profile", "coming back without a passkey", now)
    except (
        InvalidInput,
        identity.AccountBlocked,
        identity.RecoveryNotReady,
        identity.RecoveryOpen,
        identity.UnknownAccount,
    ) as refused:
        return _page(site, own, refused=refused)
    return Redirect("/console/recoveries?approved=1", status_code=303)


def own_members(request: Asked, site: Site) -> frozenset[str]:
    """The members whose people and shops this desk looks after: a member's own, or for the league's staff all.

    Errors: trust.NotSignedIn, trust.NotAllowed.
    """
    operator = get_operator(request, site)
    with site.ctx.tx() as tx:
        members = trust.list_members(tx)
    if operator.member_id is None or operator.kind == "league":
        return frozenset(one.member_id for one in members)
    return own_of(operator.member_id, {one.member_id: one.clears_as for one in members})


def _page(
    site: Site,
    own: frozenset[str],
    *,
    reference: str = "",
    approved: bool = False,
    refused: HansaError | None = None,
) -> Response[str]:
    wanted = "".join(reference.upper().split())
    with site.ctx.tx() as tx:
        waiting = identity.list_recoveries_for_desk(tx, at=site.ctx.clock.now(), limit=LISTED_MAX)
        shown = [one for one in waiting if one.said_issuer_id in own and one.reference.startswith(wanted)]
        candidates = {
            one.recovery_id: [
                account
                for account in identity.search_accounts(tx, one.said_name)
                if account.issuer_id == one.said_issuer_id
            ][:CANDIDATES_MAX]
            for one in shown
        }
        issuers = {one.member_id: one.name for one in trust.list_members(tx)}
    return page(
        "console/recoveries.html",
        here="recoveries",
        reference=reference,
        recoveries=shown,
        candidates=candidates,
        issuers=issuers,
        approved=approved,
        refused=refused,
        wait_h=identity.own_people_policy().proofed_wait_s // 3_600,
        status_code=200 if refused is None else refused.status,
    )


ROUTES = [show_recoveries, approve]
