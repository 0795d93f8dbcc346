"""What the pages about oneself share: their frame, refusals in the reader's words, and who read what."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response
from litestar.response import Redirect

from hansa import atlas, identity, trust
from hansa.apps.personal_means import Means, means_of
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.remedies import user_message_of
from hansa.apps.web.site import Site
from hansa.kernel import HansaError
from hansa.store import Tx

Asked = Request[Any, Any, Any]

ME = "/wallet/me"

LEVEL_NAMES: Mapping[identity.ProofLevel, str] = {
    identity.ProofLevel.NONE: "Not proved",
    identity.ProofLevel.CONTACT: "Reachable",
    identity.ProofLevel.NAME: "Name proved",
    identity.ProofLevel.DOCUMENT: "Document proved",
}


def means(site: Site) -> Means:
    """Keys, provider and messenger of this site. Errors: store.SecretMissing, store.SecretUnfit."""
    return means_of(site.home, demo=site.demo)


def me_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    template: str,
    *,
    refused: HansaError | None = None,
    **values: Any,
) -> Response[Any]:
    """A page about oneself. refused: why the last form was not taken; its fields are marked."""
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        zone = zone_of(tx, account)
    faults = (
        {problem.where: (say(problem.what), say(problem.remedy)) for problem in refused.problems}
        if refused
        else {}
    )
    answer = page(
        template,
        status_code=refused.status if refused is not None else 200,
        here="me",
        account=account,
        say=say,
        zone=zone,
        demo=site.demo,
        refused="" if refused is None else told(refused, say),
        faults=faults,
        **values,
    )
    return spoken(answer, say, request)


def told(error: HansaError, say: Words) -> str:
    """Why something was refused, in the reader's language."""
    return say(user_message_of(type(error)))


def zone_of(tx: Tx, account: identity.Account) -> str:
    """The time zone of an account's home city."""
    try:
        return atlas.get_city(tx, account.home_city_id).tz
    except atlas.UnknownCity:
        return "UTC"


def go(address: str) -> Redirect:
    """To another page, after a form was taken."""
    return Redirect(address, status_code=303)


def verify_first(next_address: str) -> Redirect:
    """To prove anew who one is, and back."""
    return go(f"/wallet/verify?next={quote(next_address)}")


def refuse_stale(tx: Tx, site: Site, session: identity.Session) -> None:
    """Refuse what takes data along or away unless its person proved just before who they are. Errors: VerifyAnew."""
    identity.refuse_stale(
        session,
        site.ctx.clock.now(),
        has_passkey=bool(identity.list_passkeys(tx, session.account_id)),
        policy=identity.own_people_policy(),
    )


def reader_words(tx: Tx, reader: str, say: Words) -> str:
    """Who read something, as its person knows them: a member by its name, an operator of the league, a guardian."""
    kind, _, rest = reader.partition(":")
    if kind == "person":
        try:
            account = identity.find_account(tx, identity.AccountId(UUID(rest)))
        except ValueError:
            account = None
        name = identity.masked_name(account.name) if account else ""
        return say("{name}, who answers for you", name=name) if name else say("Somebody who answers for you")
    if kind in ("demo", "staff", "league", "desk"):
        return say("{name}, who runs the league", name=rest or kind)
    name = kind if kind != "member" else rest.partition(":")[0]
    try:
        return trust.get_member(tx, trust.MemberId(name)).name
    except trust.UnknownMember:
        return reader
