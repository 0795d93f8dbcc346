"""HTTP for API keys: a member's program lists them, makes another, and ends one."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from hansa.kernel import InvalidInput
from hansa.store import Context
from hansa.trust import actions
from hansa.trust.model import ApiKey, Caller, NotAllowed, UnknownKey

Scope = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+:[a-z]+$", max_length=40)]
Reason = Annotated[str, msgspec.Meta(max_length=500)]
KeyId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{16}$")]


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that is asked for. scopes: some of those that your own key holds. version: of the interface; the newest.

    reason: why it is made, for the audit record.
    """

    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1, max_length=100)]
    version: date | None = None
    reason: Reason = ""


class KeyEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a key ends, for the audit record."""

    reason: Reason = ""


class KeyView(msgspec.Struct, frozen=True):
    """A key. key_id names it and tells nothing of its secret. person: who acts with it. ended_at: null while alive."""

    key_id: str
    scopes: list[str]
    person: str
    gate_id: str | None
    version: date
    test: bool
    created_at: datetime
    ended_at: datetime | None


class KeyList(msgspec.Struct, frozen=True):
    """All keys of a member, the newest first."""

    keys: list[KeyView]


class KeyMade(msgspec.Struct, frozen=True):
    """A new key. secret: shown this once; nobody can tell it again."""

    key: KeyView
    secret: str


@get("/v1/keys", sync_to_thread=True, tags=["Trust"], opt={"needs": "keys:write"})
def list_keys(ctx: NamedDependency[Context], caller: NamedDependency[Caller]) -> KeyList:
    """Your member's keys, alive and ended. Their secrets are kept nowhere."""
    caller.require("keys:write")
    with ctx.tx() as tx:
        return KeyList([_view(one) for one in actions.list_api_keys(tx, _member(caller))])


@post(
    "/v1/keys",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "keys:write", "refuses": (InvalidInput,)},
)
def make_key(
    ctx: NamedDependency[Context], caller: NamedDependency[Caller], data: JSONBody[KeyRequest]
) -> KeyMade:
    """Make another key of your member, with scopes that yours holds. It acts for the same person as yours.

    To roll a key: make a second, change over, end the first. An answer that was lost leaves a key that nobody has the
    secret of: end it.
    """
    caller.require("keys:write")
    member = _member(caller)
    more = sorted(set(data.scopes) - caller.scopes)
    if more:
        raise NotAllowed(f"Your own key does not hold {', '.join(more)}.")
    at = ctx.clock.now()
    with ctx.tx() as tx:
        secret = actions.create_api_key(
            tx,
            member,
            data.scopes,
            at=at,
            person=caller.person or caller.key_id or "",
            version=data.version,
            test=caller.test,
        )
        key_id = actions.caller_of_key(tx, secret).key_id
        made = next(one for one in actions.list_api_keys(tx, member) if one.key_id == key_id)
    return KeyMade(_view(made), secret)


@post(
    "/v1/keys/{key_id:str}/end",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "keys:write", "refuses": (UnknownKey,)},
)
def end_key(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    key_id: KeyId,
    data: JSONBody[KeyEnd | None] = None,
) -> KeyView:
    """End a key of your member: it is good for nothing any more, at some addresses 5 seconds later.

    Say why; the audit record keeps it with the call.
    """
    del data  # who keeps acts reads the reason out of the body
    caller.require("keys:write")
    member = _member(caller)
    with ctx.tx() as tx:
        actions.end_member_key(tx, member, key_id, ctx.clock.now())
        return _view(next(one for one in actions.list_api_keys(tx, member) if one.key_id == key_id))


def _member(caller: Caller) -> str:
    if caller.member_id is None or caller.gate_id is not None:
        raise NotAllowed("Keys are made with a key of the member itself.")
    return caller.member_id


def _view(one: ApiKey) -> KeyView:
    return KeyView(
        one.key_id,
        list(one.scopes),
        one.person,
        one.gate_id,
        one.version,
        one.test,
        one.created_at,
        one.ended_at,
    )


ROUTES = [list_keys, make_key, end_key]
