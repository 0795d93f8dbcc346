"""The console's page of money that found no wallet: banks' entries that belong to nothing, and what becomes of each.

They lie at the bank and are of no member, so the league's treasurers decide: over an amount two of them, each with a
reason. What a form says of the amount is held against the entry, so nobody stays under the threshold by saying less.
"""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect

from hansa import audit, identity, wallets
from hansa.apps.web.amounts import read_minor
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.money_means import outside_of
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem
from hansa.wallets import finding, returns, strays

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
Text = Annotated[str, msgspec.Meta(max_length=600)]
STRAYS = "/console/strays"
LISTED, DECIDED_SHOWN = 200, 20
DONE = {
    "assigned": "It goes into the wallet; its holder is told.",
    "sent_back": "The bank is told to return it. What it does not return waits here again.",
    "given_back": "It is kept that the bank gave it back.",
    "closed": "It is closed.",
}
ACTIONS = {
    "stray.assign": "into a wallet",
    "stray.send-back": "to be returned by the bank",
    "stray.give-back": "given back",
    "stray.close": "closed",
}
ON_THEIR_WAY = {
    wallets.ReturnState.PROCESSING: "the bank is told next",
    wallets.ReturnState.SENT: "the bank has the order",
    wallets.ReturnState.UNKNOWN: "the bank gave no answer yet; it is asked again",
    wallets.ReturnState.SETTLING: "the bank returned it",
}


class StrayForm(msgspec.Struct, frozen=True):
    """What becomes of an entry. amount: in major units, as the list shows it. to: a person's code or account's id."""

    rail_id: Text = ""
    entry_id: Text = ""
    amount: Text = ""
    currency: Text = ""
    do: Text = ""
    to: Text = ""
    bank_reference: Text = ""
    reason: Text = ""


@get(STRAYS, sync_to_thread=True, include_in_schema=False)
def show_strays(
    request: Asked, site: Here, done: Annotated[str, QueryParameter(max_length=20)] = ""
) -> Response[str]:
    """What waits for somebody to decide, the oldest first, and what was decided lately."""
    return _page(request, site, StrayForm(), done=done)


@post(STRAYS, sync_to_thread=True, include_in_schema=False)
def decide(request: Asked, site: Here, data: Annotated[StrayForm, Form]) -> Response[Any]:
    """Put money into a wallet, have it returned, keep that it was given back, or close what brought none."""
    by = clerk_of(request, site)
    try:
        done = _decide(site, data, by)
    except (InvalidInput, strays.UnknownStray, identity.UnknownAccount, wallets.UnknownReceiver) as refused:
        return _page(request, site, data, refused=refused)
    return Redirect(f"{STRAYS}?done={done}", status_code=303)


def _decide(site: Site, data: StrayForm, by: str) -> str:
    currency = data.currency.strip().upper()
    expected = Money(read_minor(data.amount, currency, where="amount"), currency)
    rail_id, entry_id, reason = data.rail_id, data.entry_id, data.reason
    if data.do == "assign":
        to = _person(site, data.to)
        strays.assign(site.ctx, rail_id, entry_id, to, expected=expected, by=by, reason=reason)
        return "assigned"
    if data.do == "send_back":
        if rail_id not in outside_of(site).rails:
            problem = Problem(
                "do", "this bank is not connected now", "Have it return the money, and keep its reference"
            )
            raise InvalidInput("Nothing was decided.", problems=(problem,))
        strays.send_back(site.ctx, rail_id, entry_id, expected=expected, by=by, reason=reason)
        return "sent_back"
    if data.do == "give_back":
        told = data.bank_reference
        strays.give_back(
            site.ctx, rail_id, entry_id, expected=expected, bank_reference=told, by=by, reason=reason
        )
        return "given_back"
    if data.do == "close":
        strays.close(site.ctx, rail_id, entry_id, expected=expected, by=by, reason=reason)
        return "closed"
    problem = Problem("do", "nothing was chosen", "Choose what becomes of it")
    raise InvalidInput("Nothing was decided.", problems=(problem,))


def _person(site: Site, text: str) -> AccountId:
    """The account of a person's code, or of its id. Errors: wallets.UnknownReceiver."""
    found = finding.account_of_code(site.ctx, text)
    if found is not None:
        return found
    try:
        account_id = AccountId(UUID(text.strip()))
    except ValueError as error:
        raise wallets.UnknownReceiver from error
    with site.ctx.tx() as tx:
        if identity.find_account(tx, account_id) is None:
            raise wallets.UnknownReceiver
    return account_id


def _page(
    request: Asked, site: Site, form: StrayForm, *, done: str = "", refused: HansaError | None = None
) -> Response[str]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        waiting = strays.list_strays(tx, limit=LISTED)
        under_way = returns.list_under_way(tx, LISTED)
        decided = audit.search(tx, action="stray", limit=DECIDED_SHOWN)
    return page(
        "console/strays.html",
        here="strays",
        **clerk_words(request, site, back=STRAYS),
        waiting=waiting,
        most=LISTED,
        under_way=under_way,
        on_their_way=ON_THEIR_WAY,
        decided=[one for one in decided if one.action in ACTIONS],
        actions=ACTIONS,
        form=form,
        done=DONE.get(done, ""),
        refused=_told(refused),
        status_code=200 if refused is None else refused.status,
    )


def _told(refused: HansaError | None) -> str:
    if refused is None:
        return ""
    if isinstance(refused, wallets.UnknownReceiver):
        return "Nobody has this code. Ask for the code on their page of money, or give the account's id."
    return " ".join(f"{one.where}: {one.what}. {one.remedy}." for one in refused.problems) or refused.detail


ROUTES = [show_strays, decide]
