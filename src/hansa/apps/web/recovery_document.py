"""The wallet's page for coming back by a document: presented anew, checked by a provider, and then waited out.

Nobody learns by it who has an account: a provider is asked in any case, and what is answered first is the same.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter

from hansa import identity
from hansa.apps.web.languages import spoken, words_for
from hansa.apps.web.me_view import means, told
from hansa.apps.web.pages import page
from hansa.apps.web.people_pages import homes_of, refuse_often, waiting
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Problem, new_id
from hansa.store import Rate, refuse_too_often

Asked = Request[Any, Any, Any]

PRESENTED = Rate(6, timedelta(hours=1))
"""Documents that one address may present."""
PRESENTED_BY_ALL = Rate(300, timedelta(minutes=15))

_Short = Annotated[str, msgspec.Meta(max_length=60)]


class DocumentForm(msgspec.Struct, frozen=True):
    """Who comes back, to which issuer, and their document."""

    kind: identity.DocumentKind = "resident"
    issuer_id: Annotated[str, msgspec.Meta(max_length=100)] = ""
    name: Annotated[str, msgspec.Meta(max_length=400)] = ""
    number: _Short = ""
    zone: Annotated[str, msgspec.Meta(max_length=300)] = ""
    country: Annotated[str, msgspec.Meta(max_length=3)] = ""
    words: _Short = ""
    born: Annotated[str, msgspec.Meta(max_length=10)] = ""
    expires: Annotated[str, msgspec.Meta(max_length=10)] = ""


@get("/wallet/recover/document", sync_to_thread=True, include_in_schema=False)
def show_document(
    request: Asked,
    site: Here,
    kind: Annotated[Literal["resident", "passport", "other"], QueryParameter()] = "resident",
) -> Response[Any]:
    return _page(request, site, DocumentForm(kind=kind))


@post("/wallet/recover/document", sync_to_thread=True, include_in_schema=False)
def present(
    request: Asked,
    site: Here,
    data: Annotated[DocumentForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Ask a provider; where it is the document of an account's person, the wait begins."""
    refuse_often(request, site, "recovery-document", PRESENTED)
    refuse_too_often(site.ctx, "recovery-document/all", PRESENTED_BY_ALL)
    now, secret = site.ctx.clock.now(), identity.new_secret()
    form = identity.DocumentForm(
        data.kind, data.number, data.zone, data.country, data.words, data.born, data.expires
    )
    try:
        document = identity.read_document(form, today=now.date())
        name = identity.real_name(data.name)
        if document.expires is None:
            problem = Problem("expires", "it is missing", "Say until when the document is valid")
            raise InvalidInput("The document cannot be taken.", problems=(problem,))
        with site.ctx.tx() as tx:
            if data.issuer_id not in {one.issuer_id for one in homes_of(tx)}:
                problem = Problem("issuer_id", "nobody is chosen", "Choose who issued your card")
                raise InvalidInput("Nobody is chosen.", problems=(problem,))
            recovery = identity.ask_at_desk(
                tx,
                name=name,
                issuer_id=data.issuer_id,
                secret=secret,
                at=now,
                device=identity.device_words(request.headers.get("user-agent", "")[:1_000]),
            )
            account_id = identity.find_proven(tx, means(site).sealer, document, data.issuer_id)
        _ask(site, recovery.recovery_id, account_id, name, document)
    except InvalidInput as refused:
        return _page(request, site, data, refused=refused)
    return waiting(request, secret, "?document=1")


def _ask(
    site: Site,
    recovery_id: UUID,
    account_id: identity.AccountId | None,
    name: str,
    document: identity.Presented,
) -> None:
    """Ask the provider: for an account with the request's id, kept and asked again by itself; else once, in vain."""
    own = means(site)
    if account_id is None:
        own.provider.check(identity.Question(new_id(), name, document, int(document.wanted)))
        return
    try:
        identity.ask_proofing(
            site.ctx,
            own.sealer,
            own.provider,
            proofing_id=recovery_id,
            account_id=account_id,
            name=name,
            document=document,
            policy=identity.own_level_policy(),
        )
    except (identity.ProofingWaits, identity.TooManyChecks, identity.AccountClosed):
        return  # told to nobody: the desk remains


def _page(
    request: Asked, site: Site, form: DocumentForm, *, refused: HansaError | None = None
) -> Response[Any]:
    say = words_for(request)
    with site.ctx.tx() as tx:
        homes = homes_of(tx)
    answer = page(
        "wallet/recover_document.html",
        say=say,
        kind=form.kind,
        form=form,
        homes=homes,
        today=site.ctx.clock.now().date(),
        refused="" if refused is None else told(refused, say),
        faults={}
        if refused is None
        else {one.where: (say(one.what), say(one.remedy)) for one in refused.problems},
        status_code=200 if refused is None else refused.status,
    )
    return spoken(answer, say, request)


ROUTES = [show_document, present]
