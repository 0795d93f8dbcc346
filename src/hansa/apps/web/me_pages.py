"""The wallet's pages about oneself: how well one is known, what one agreed to, who looked, taking all along, going."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter

from hansa import identity
from hansa.apps import personal_data
from hansa.apps.web.callers import get_account, get_signed_in
from hansa.apps.web.languages import Words, words_for
from hansa.apps.web.me_export import archive
from hansa.apps.web.me_view import (
    LEVEL_NAMES,
    ME,
    go,
    me_page,
    means,
    reader_words,
    refuse_stale,
    verify_first,
)
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, Money, mark_text, new_id, paged, read_mark
from hansa.store import Tx
from hansa.store.throttle import Rate, refuse_too_often

Asked = Request[Any, Any, Any]
Done = Annotated[str, QueryParameter(max_length=20)]

ACCESSES_SHOWN = 30
EXPORTS = Rate(5, timedelta(hours=1))
"""How often one may take all of one's data along."""


@dataclass(frozen=True, slots=True)
class LevelView:
    """A level on the way up. state: ``held``, ``next`` or ``later``."""

    name: str
    state: str
    balance: Money | None
    year: Money | None


class ConsentForm(msgspec.Struct, frozen=True):
    """What is said of a purpose; text_version: of the text that stood on the page."""

    given: bool
    text_version: int


class DeletionForm(msgspec.Struct, frozen=True):
    """A wish to go. sure: ticked on purpose."""

    deletion_id: UUID
    sure: str = ""


# -- the hub ------------------------------------------------------------------------------------------------


@get(ME, sync_to_thread=True, include_in_schema=False)
def show_me(request: Asked, site: Here) -> Response[Any]:
    account = get_account(request, site)
    sealer = means(site).sealer
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        level = identity.proof_level(tx, account.account_id)
        contacts = identity.contact_of(tx, sealer, account.account_id)
        guardians = identity.guardian_of(tx, account.account_id)
        wards = identity.wards_of(tx, account.account_id)
        country = personal_data.country_of(tx, account)
        values: dict[str, Any] = {
            "level": level,
            "level_name": say(LEVEL_NAMES[level]),
            "levels": _levels(tx, account, level, say),
            "masked": identity.masked_name,
            "name": identity.proven_name(tx, sealer, account.account_id),
            "contacts": len(contacts),
            "guardians": len(guardians),
            "wards": len(wards),
            "lacks_guardian": identity.lacks_guardian(
                tx, sealer, account.account_id, country=country, day=site.ctx.clock.now().date()
            ),
            "agreed": sum(identity.may(tx, account.account_id, purpose) for purpose in identity.purposes()),
            "last_access": next(iter(identity.list_accesses(tx, account.account_id, limit=1)), None),
            "deletion": _open_deletion(tx, account),
        }
    return me_page(request, site, account, "wallet/me.html", **values)


def _levels(tx: Tx, account: identity.Account, held: identity.ProofLevel, say: Words) -> list[LevelView]:
    currency = personal_data.currency_of(tx, account)
    policy = identity.own_level_policy()
    views: list[LevelView] = []
    for level in identity.ProofLevel:
        caps = policy.caps(account.issuer_id, level, currency)
        state = "held" if level <= held else "next" if level == held + 1 else "later"
        views.append(LevelView(say(LEVEL_NAMES[level]), state, caps.balance, caps.year))
    return views


# -- consents -----------------------------------------------------------------------------------------------


@get(f"{ME}/consents", sync_to_thread=True, include_in_schema=False)
def show_consents(request: Asked, site: Here, done: Done = "") -> Response[Any]:
    return _consents_page(request, site, get_account(request, site), done=done)


@post(f"{ME}/consents/{{purpose:str}}", sync_to_thread=True, include_in_schema=False)
def say_consent(
    request: Asked,
    site: Here,
    purpose: FromPath[str],
    data: Annotated[ConsentForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    account = get_account(request, site)
    try:
        with site.ctx.tx() as tx:
            identity.say_consent(
                tx,
                account.account_id,
                purpose,
                given=data.given,
                text_version=data.text_version,
                language=words_for(request, account_language=account.language).language,
                channel="wallet",
                by_id=account.account_id,
                at=site.ctx.clock.now(),
            )
    except (identity.TextChanged, identity.GuardianAgrees) as refused:
        return _consents_page(request, site, account, refused=refused)
    return go(f"{ME}/consents?done={'given' if data.given else 'back'}")


def _consents_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    *,
    done: str = "",
    refused: HansaError | None = None,
) -> Response[Any]:
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        said = {one.purpose: one for one in identity.list_consents(tx, account.account_id)}
        views = [
            (
                name,
                purpose.said(say.language)[0],
                purpose.version,
                identity.may(tx, account.account_id, name),
                said.get(name),
            )
            for name, purpose in identity.purposes().items()
        ]
        history = identity.history_of_consents(tx, account.account_id)
    return me_page(
        request,
        site,
        account,
        "wallet/me_consents.html",
        refused=refused,
        purposes=views,
        history=history[:ACCESSES_SHOWN],
        texts={name: purpose.said(say.language)[0] for name, purpose in identity.purposes().items()},
        done=done if done in ("given", "back") else "",
    )


# -- who looked ---------------------------------------------------------------------------------------------


@get(f"{ME}/accesses", sync_to_thread=True, include_in_schema=False)
def show_accesses(
    request: Asked, site: Here, after: Annotated[str, QueryParameter(max_length=100)] = ""
) -> Response[Any]:
    account = get_account(request, site)
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        found = identity.list_accesses(
            tx, account.account_id, after=read_mark(after), limit=ACCESSES_SHOWN + 1
        )
        shown, older = paged(found, ACCESSES_SHOWN, lambda one: mark_text(*one.mark))
        rows = [(reader_words(tx, one.reader, say), say(identity.PARTS_READ[one.part]), one) for one in shown]
    return me_page(request, site, account, "wallet/me_accesses.html", rows=rows, older=older or "")


# -- taking along and going ---------------------------------------------------------------------------------


@get(f"{ME}/data", sync_to_thread=True, include_in_schema=False)
def show_data(request: Asked, site: Here, done: Done = "") -> Response[Any]:
    return _data_page(request, site, get_account(request, site), done=done)


@post(f"{ME}/data/export", sync_to_thread=True, include_in_schema=False, status_code=200)
def export(request: Asked, site: Here) -> Response[Any]:
    """All that is kept of a person, as a zip of JSON and a page to read."""
    session, account = get_signed_in(request, site)
    try:
        with site.ctx.tx() as tx:
            refuse_stale(tx, site, session)
    except identity.VerifyAnew:
        return verify_first(f"{ME}/data")
    refuse_too_often(site.ctx, f"export/{account.account_id}", EXPORTS)
    parts = personal_data.gather(site.ctx, account.account_id, means(site).sealer)
    say = words_for(request, account_language=account.language)
    at = site.ctx.clock.now()
    return Response(
        archive(parts, account, say, at),
        media_type="application/zip",
        headers={
            "content-disposition": f'attachment; filename="hansa-{at:%Y-%m-%d}.zip"',
            "cache-control": "no-store",
        },
    )


@post(f"{ME}/data/delete", sync_to_thread=True, include_in_schema=False)
def ask_deletion(
    request: Asked,
    site: Here,
    data: Annotated[DeletionForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    session, account = get_signed_in(request, site)
    if not data.sure:
        return go(f"{ME}/data?done=unsure")
    try:
        with site.ctx.tx() as tx:
            refuse_stale(tx, site, session)
        personal_data.ask_deletion(site.ctx, account.account_id, data.deletion_id)
    except identity.VerifyAnew:
        return verify_first(f"{ME}/data")
    except identity.DeletionBlocked as refused:
        return _data_page(request, site, account, refused=refused)
    return go(f"{ME}/data?done=asked")


@post(f"{ME}/data/keep", sync_to_thread=True, include_in_schema=False)
def cancel_deletion(request: Asked, site: Here) -> Response[Any]:
    account = get_account(request, site)
    try:
        with site.ctx.tx() as tx:
            identity.cancel_deletion(tx, account.account_id, site.ctx.clock.now())
    except identity.NoDeletion as refused:
        return _data_page(request, site, account, refused=refused)
    return go(f"{ME}/data?done=kept")


def _data_page(
    request: Asked,
    site: Site,
    account: identity.Account,
    *,
    done: str = "",
    refused: identity.DeletionBlocked | identity.NoDeletion | None = None,
) -> Response[Any]:
    say = words_for(request, account_language=account.language)
    with site.ctx.tx() as tx:
        partition = site.ctx.directory.partition_of(account.account_id)
        found = personal_data.obstacles(tx, account, partition=partition)
        deletion = _open_deletion(tx, account)
    return me_page(
        request,
        site,
        account,
        "wallet/me_data.html",
        refused=refused,
        obstacles=[(say(one.what, **one.facts), say(one.remedy), one.address) for one in found],
        deletion=deletion,
        deletion_id=new_id(),
        cooling_days=identity.COOLING.days,
        kinds=[say(part.title) for part in personal_data.PARTS],
        done=done if done in ("asked", "kept", "unsure") else "",
    )


def _open_deletion(tx: Tx, account: identity.Account) -> identity.Deletion | None:
    found = identity.find_deletion(tx, account.account_id)
    return found if found is not None and found.state == "asked" else None


ROUTES = [
    show_me,
    show_consents,
    say_consent,
    show_accesses,
    show_data,
    export,
    ask_deletion,
    cancel_deletion,
]
