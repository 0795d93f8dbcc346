"""HTTP for people: who am I, where am I signed in, which passkeys are mine."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from hansa import trust
from hansa.identity import actions, passkeys, recovery, sessions
from hansa.identity.model import AccountId
from hansa.identity.passkey_model import LastPasskey, Passkey, UnknownPasskey
from hansa.identity.people_policy import own_people_policy
from hansa.identity.phone_model import NAME_MAX
from hansa.identity.session_model import Session, UnknownSession, VerifyAnew, secret_in
from hansa.kernel import InvalidInput
from hansa.store import Context, Tx

Asking = Request[Any, Any, Any]


class Me(msgspec.Struct, frozen=True):
    """The signed-in person's own account."""

    account_id: UUID
    name: Annotated[str, msgspec.Meta(max_length=200)]
    issuer_id: str
    home_city_id: str
    rider_class: str
    language: str
    created_at: datetime


@get(
    "/v1/me",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (trust.NotSignedIn,)},
)
def read_me(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> Me:
    """The account of the person who is signed in."""
    if caller.account_id is None:
        raise trust.NotSignedIn()
    with ctx.tx() as tx:
        account = actions.get_account(tx, AccountId(UUID(str(caller.account_id))))
    return Me(
        account.account_id,
        account.name,
        account.issuer_id,
        account.home_city_id,
        account.rider_class,
        account.language,
        account.created_at,
    )


class SessionView(msgspec.Struct, frozen=True):
    """One of your sessions. method: how it began, passkey, recovery or demo. device: what its browser says it is.

    verified_at: when a passkey last proved there that it is you. idle_s: after how many seconds without use it ends.
    current: it is the one that asks.
    """

    session_id: UUID
    method: str
    device: str
    shared: bool
    started_at: datetime
    last_seen_at: datetime
    verified_at: datetime | None
    expires_at: datetime
    idle_s: int
    current: bool


class SessionList(msgspec.Struct, frozen=True):
    """Where you are signed in, the session used last first."""

    sessions: list[SessionView]


class SessionsEnded(msgspec.Struct, frozen=True):
    """How many sessions ended."""

    ended: int


class PasskeyView(msgspec.Struct, frozen=True):
    """One of your passkeys. rp_id: the host it works on. backed_up: it is on several of your devices."""

    passkey_id: UUID
    name: str
    rp_id: str
    aaguid: UUID
    transports: list[str]
    backed_up: bool
    created_at: datetime
    last_used_at: datetime


class PasskeyList(msgspec.Struct, frozen=True):
    """Your passkeys in the order they were made, how many you may have, and how many recovery codes are good."""

    passkeys: list[PasskeyView]
    passkeys_max: int
    recovery_codes: int


class PasskeyNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What you call the passkey."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]


@get("/v1/me/sessions", sync_to_thread=True, tags=["Identity"], opt={"who": ("session",)})
def list_sessions(ctx: NamedDependency[Context], request: Asking) -> SessionList:
    """Where you are signed in."""
    with ctx.tx() as tx:
        mine = _session(tx, ctx, request)
        found = sessions.list_sessions(tx, mine.account_id, ctx.clock.now())
    return SessionList([_session_view(one, mine) for one in found])


@delete(
    "/v1/me/sessions/{session_id:uuid}",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (UnknownSession,)},
)
def end_session(ctx: NamedDependency[Context], request: Asking, session_id: FromPath[UUID]) -> None:
    """Sign out in that browser. Ending the session that asks is signing out."""
    with ctx.tx() as tx:
        mine = _session(tx, ctx, request)
        sessions.end_session_by_id(tx, mine.account_id, session_id, at=ctx.clock.now(), device=mine.device)


@post(
    "/v1/me/sessions/end-others",
    sync_to_thread=True,
    status_code=200,
    tags=["Identity"],
    opt={"who": ("session",)},
)
def end_other_sessions(ctx: NamedDependency[Context], request: Asking) -> SessionsEnded:
    """Sign out everywhere but here. Again is harmless."""
    with ctx.tx() as tx:
        mine = _session(tx, ctx, request)
        ended = sessions.end_other_sessions(
            tx, mine.account_id, mine.session_id, at=ctx.clock.now(), device=mine.device
        )
    return SessionsEnded(ended)


@get("/v1/me/passkeys", sync_to_thread=True, tags=["Identity"], opt={"who": ("session",)})
def list_passkeys(ctx: NamedDependency[Context], request: Asking) -> PasskeyList:
    """Your passkeys."""
    with ctx.tx() as tx:
        mine = _session(tx, ctx, request)
        found = passkeys.list_passkeys(tx, mine.account_id)
        codes = recovery.codes_left(tx, mine.account_id)
    return PasskeyList([_passkey_view(one) for one in found], own_people_policy().passkeys_max, codes)


@patch(
    "/v1/me/passkeys/{passkey_id:uuid}",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (UnknownPasskey, InvalidInput)},
)
def name_passkey(
    ctx: NamedDependency[Context], request: Asking, passkey_id: FromPath[UUID], data: JSONBody[PasskeyNamed]
) -> PasskeyView:
    """Give your passkey another name."""
    with ctx.tx() as tx:
        mine = _session(tx, ctx, request)
        named = passkeys.name_passkey(tx, mine.account_id, passkey_id, data.name, at=ctx.clock.now())
    return _passkey_view(named)


@delete(
    "/v1/me/passkeys/{passkey_id:uuid}",
    sync_to_thread=True,
    tags=["Identity"],
    opt={"who": ("session",), "refuses": (UnknownPasskey, LastPasskey, VerifyAnew)},
)
def remove_passkey(ctx: NamedDependency[Context], request: Asking, passkey_id: FromPath[UUID]) -> None:
    """Remove your passkey, within five minutes of proving at /wallet/verify who you are. You are signed out elsewhere.

    The session that asks ends too where that passkey was used in it last.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        mine = _session(tx, ctx, request)
        has_passkey = bool(passkeys.list_passkeys(tx, mine.account_id))
        sessions.refuse_stale(mine, now, has_passkey=has_passkey, policy=own_people_policy())
        passkeys.remove_passkey(tx, mine.account_id, passkey_id, by=mine, at=now, device=mine.device)


def _session(tx: Tx, ctx: Context, request: Asking) -> Session:
    """The session that asks. Errors: trust.NotSignedIn."""
    secret = secret_in(request.cookies, secure=request.url.scheme == "https")
    session = sessions.find_session(tx, secret, ctx.clock.now())
    if session is None:
        raise trust.NotSignedIn
    return session


def _session_view(session: Session, mine: Session) -> SessionView:
    return SessionView(
        session.session_id,
        session.method,
        session.device,
        session.shared,
        session.started_at,
        session.last_seen_at,
        session.verified_at,
        session.expires_at,
        session.idle_s,
        session.session_id == mine.session_id,
    )


def _passkey_view(passkey: Passkey) -> PasskeyView:
    return PasskeyView(
        passkey.passkey_id,
        passkey.name,
        passkey.rp_id,
        passkey.aaguid,
        passkey.transports,
        passkey.backed_up,
        passkey.created_at,
        passkey.last_used_at,
    )


ROUTES = [
    read_me,
    list_sessions,
    end_session,
    end_other_sessions,
    list_passkeys,
    name_passkey,
    remove_passkey,
]
