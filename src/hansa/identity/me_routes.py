"""HTTP for what concerns one's own data: consents, who read them, and how well one's name is proved."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from hansa import trust
from hansa.identity import accesses, consents, persons, proofing_store
from hansa.identity.actions import get_account
from hansa.identity.model import AccountId
from hansa.identity.persons_model import own_level_policy
from hansa.kernel import InvalidInput, mark_text, paged, read_mark
from hansa.store import Context

ACCESSES_MAX = 200


class ConsentView(msgspec.Struct, frozen=True):
    """A purpose, its text, and what was last said about it. given: whether it holds now. said_at: null before."""

    purpose: str
    text: str
    text_version: int
    language: str
    given: bool
    said_at: datetime | None


class ConsentList(msgspec.Struct, frozen=True):
    """Every purpose there is to agree to, in the order they are shown."""

    consents: list[ConsentView]


class ConsentSaid(msgspec.Struct, frozen=True):
    """What is said: given or not, and which version of the text was read."""

    given: bool
    text_version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    language: Annotated[str, msgspec.Meta(max_length=35)] = "en"


class AccessView(msgspec.Struct, frozen=True):
    """Somebody read a part of your data, so many times within an hour. reader: as the league knows them."""

    reader: str
    part: str
    why: str
    times: int
    first_at: datetime
    last_at: datetime


class AccessList(msgspec.Struct, frozen=True):
    """Who read your data, the latest first. next: what to send as ``after`` for older ones; null at the end."""

    accesses: list[AccessView]
    next: str | None


class CapView(msgspec.Struct, frozen=True):
    """What a level unlocks in a currency, in minor units; null: no cap of this kind."""

    level: str
    currency: str
    balance_minor: int | None
    year_minor: int | None


class ProofView(msgspec.Struct, frozen=True):
    """How well your name is proved, until when, and what each level unlocks at your issuer.

    level: none, contact, name, document. waits: a check waits for its provider's answer.
    """

    level: str
    good_until: str | None
    waits: bool
    caps: list[CapView]


@get(
    "/v1/me/consents",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (trust.NotSignedIn,)},
)
def list_consents(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    language: Annotated[str, QueryParameter(max_length=35)] = "en",
) -> ConsentList:
    """What you may agree to, and what you said. Nothing is agreed to by silence."""
    account_id = _own(caller)
    with ctx.tx() as tx:
        return ConsentList(
            _views({one.purpose: one for one in consents.list_consents(tx, account_id)}, language)
        )


@put(
    "/v1/me/consents/{purpose:str}",
    sync_to_thread=True,
    tags=["Identity"],
    opt={
        "who": ("session",),
        "refuses": (
            trust.NotSignedIn,
            consents.UnknownPurpose,
            consents.TextChanged,
            consents.GuardianAgrees,
        ),
    },
)
def say_consent(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    purpose: Annotated[str, PathParameter(max_length=40)],
    data: JSONBody[ConsentSaid],
) -> ConsentView:
    """Agree to a purpose, or take that back; it counts from this moment. Saying the same again changes nothing."""
    account_id = _own(caller)
    with ctx.tx() as tx:
        said = consents.say_consent(
            tx,
            account_id,
            purpose,
            given=data.given,
            text_version=data.text_version,
            language=data.language,
            channel="api",
            by_id=account_id,
            at=ctx.clock.now(),
        )
    return next(one for one in _views({purpose: said}, data.language) if one.purpose == purpose)


@get(
    "/v1/me/accesses",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (trust.NotSignedIn, InvalidInput)},
)
def list_accesses(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=ACCESSES_MAX)] = 50,
) -> AccessList:
    """Who read your data: members and operators by name, with the part and the reason."""
    account_id = _own(caller)
    with ctx.tx() as tx:
        found = accesses.list_accesses(tx, account_id, after=read_mark(after), limit=limit + 1)
    page, more = paged(found, limit, lambda one: mark_text(*one.mark))
    views = [AccessView(one.reader, one.part, one.why, one.times, one.first_at, one.last_at) for one in page]
    return AccessList(views, more)


@get(
    "/v1/me/proof",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (trust.NotSignedIn,)},
)
def read_proof_level(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> ProofView:
    """How well your name is proved, and what each level unlocks. Names and numbers are not told here."""
    account_id = _own(caller)
    with ctx.tx() as tx:
        account = get_account(tx, account_id)
        level = persons.proof_level(tx, account_id)
        rows = proofing_store.of_account(tx, account_id)
    good = [row.good_until for row in rows if row.state == "matched" and row.good_until is not None]
    caps = own_level_policy().caps_of(account.issuer_id)
    return ProofView(
        level.name.lower(),
        max(good).isoformat() if good else None,
        any(row.state == "asked" for row in rows),
        [
            CapView(
                one.level.name.lower(),
                currency,
                one.balance.minor if one.balance else None,
                one.year.minor if one.year else None,
            )
            for currency, one in caps
        ],
    )


def _views(said: dict[str, consents.Consent], language: str) -> list[ConsentView]:
    views: list[ConsentView] = []
    for name, purpose in consents.purposes().items():
        text, spoken = purpose.said(language)
        last = said.get(name)
        stands = last is not None and last.given
        if last is not None and purpose.anew:
            stands = stands and last.text_version == purpose.version
        views.append(ConsentView(name, text, purpose.version, spoken, stands, last.at if last else None))
    return views


def _own(caller: trust.Caller) -> AccountId:
    if caller.account_id is None:
        raise trust.NotSignedIn()
    return AccountId(UUID(str(caller.account_id)))


ROUTES = [list_consents, say_consent, list_accesses, read_proof_level]
