"""The header Idempotency-Key on routes: sent again, a request gets its first answer, and its work is done once.

A route says ``opt={"idempotent": True}``, and no more: the key is claimed before it runs and settled after it
(``store.keys``); one that says ``"own"`` sees to its keys itself. What a route makes takes its id from the dependency
``asked_id``, which is the same each time, so that doing the work again after a crash is harmless. An answer is kept
where something was done (2xx) or a payment was refused (402); any other refusal changed nothing, and its key is free.
Whoever has lost the right to do it is told so, and not the answer of before.
"""

import asyncio
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from hansa import store, trust
from hansa.apps.web.callers import find_caller
from hansa.apps.web.problems import on_hansa_error
from hansa.apps.web.site import Site
from hansa.kernel import HansaError

HEADER = "idempotency-key"
REPLAYED = (b"idempotency-replayed", b"true")
ASKED = "hansa_asked_id"
"""Under this name a request's state holds the id of what it makes."""

KEEPS = (402,)
"""Answers that are kept though nothing was done: they say what was decided about money."""


def who_asks(caller: trust.Caller) -> str:
    """Whose keys these are: a person's, a member's with all its API keys, or a gate's; empty for nobody."""
    if caller.kind == "anonymous":
        return ""
    return caller.account_id or caller.member_id or caller.caller_id


def scope_of(caller: trust.Caller, path: str) -> str:
    """Where a key counts: for one asker and one address."""
    return f"{who_asks(caller)} {path}"


def with_key(handler: HTTPRouteHandler, site_name: str) -> HTTPRouteHandler:
    """The route as it is to be mounted: behind the keys, if it says so. site_name: where a request's state has Site."""
    if handler.opt.get("idempotent") is not True:
        return handler
    keyed = copy(handler)
    needs = str(handler.opt.get("needs", ""))
    by_sign_in = "session" in handler.opt.get("who", ())
    keyed.middleware = [
        *(handler.middleware or ()),
        DefineMiddleware(Keyed, site_name=site_name, needs=needs, by_sign_in=by_sign_in),
    ]
    return keyed


def asked_id(scope: Scope) -> UUID:
    """The id of what this request makes; the same whenever it is sent with the same key. Errors: trust.NotSignedIn."""
    found: UUID | None = scope["state"].get(ASKED)
    if found is None:  # nobody is signed in, so no key was claimed
        raise trust.NotSignedIn
    return found


class Keyed:
    """A route behind its keys. site_name: where a request's state holds the Site.

    needs: the scope that the route asks for, looked at before any answer of before is told: a key that lost its right
    reads nothing. by_sign_in: a person who is signed in needs none.
    """

    def __init__(self, app: ASGIApp, site_name: str, needs: str = "", *, by_sign_in: bool = False) -> None:
        self._app, self._site_name = app, site_name
        self._needs, self._by_sign_in = needs, by_sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        site: Site = scope["state"][self._site_name]
        request = Request[Any, Any, Any](cast(HTTPScope, scope), receive, send)
        caller = await asyncio.to_thread(find_caller, request, site)
        if caller.kind == "anonymous":
            await self._app(scope, receive, send)  # which says that nobody signed in
            return
        answer = await self._work(site, caller, request, scope, receive, send)
        if answer is not None:
            await send_whole(send, answer, [REPLAYED])

    async def _work(
        self,
        site: Site,
        caller: trust.Caller,
        request: Request[Any, Any, Any],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> store.Replay | None:
        """Do the work and send its answer; gives the answer that is to be sent instead, where there was one before."""
        try:
            if self._needs and not (self._by_sign_in and caller.account_id is not None):
                caller.require(self._needs)
            key = store.check_key(request.headers.get(HEADER, ""))
            body = await request.body()
            where = scope_of(caller, scope["path"])
            claim = store.Claim(where, key, store.request_digest(body))
            scope["state"][ASKED] = store.made_from(where, key)
            claimed = await asyncio.to_thread(_claim, site, claim)
            if isinstance(claimed, store.InFlight):
                raise store.KeyInFlight
            if isinstance(claimed, store.Differs):
                raise store.KeyReused
        except HansaError as error:
            await on_hansa_error(request, error).to_asgi_response(None, request)(
                cast(HTTPScope, scope), receive, send
            )
            return None
        if isinstance(claimed, store.Replay):
            return claimed
        told = _Told()
        try:
            await self._app(scope, receive, told.take)
        except BaseException:
            await asyncio.to_thread(_let_go, site, claim, claimed.owner)
            raise
        answer = told.answer()
        kept = await asyncio.to_thread(_settle, site, claim, claimed.owner, answer)
        if kept != answer:
            return kept
        for message in told.messages:
            await send(message)
        return None


@dataclass(slots=True)
class _Told:
    """What a route sends, kept until it is settled."""

    messages: list[Message]

    def __init__(self) -> None:
        self.messages = []

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    def answer(self) -> store.Replay:
        status, media_type, body = 500, "", b""
        for message in self.messages:
            if message["type"] == "http.response.start":
                status = message["status"]
                media_type = _media_type(message["headers"])
            elif message["type"] == "http.response.body":
                body += message["body"]
        return store.Replay(status, media_type, body)


def _claim(site: Site, claim: store.Claim) -> store.Claimed:
    with site.ctx.tx() as tx:
        return store.claim(tx, [claim], site.ctx.clock.now())[0]


def _let_go(site: Site, claim: store.Claim, owner: UUID) -> None:
    with site.ctx.tx() as tx:
        store.let_go(tx, [claim], owner, site.ctx.clock.now())


def _settle(site: Site, claim: store.Claim, owner: UUID, answer: store.Replay) -> store.Replay:
    """Keep the answer, or give the key back; gives the answer that counts."""
    with site.ctx.tx() as tx:
        if answer.status >= 500:
            store.let_go(tx, [claim], owner, site.ctx.clock.now())
        elif answer.status < 300 or answer.status in KEEPS:
            return store.settle(tx, [(claim, answer)], site.ctx.clock.now())[0]
        else:
            store.release(tx, [claim], owner)
    return answer


async def send_whole(send: Send, answer: store.Replay, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send an answer that was kept."""
    told = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": told})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _media_type(headers: Any) -> str:
    return next((value.decode() for name, value in headers if name.lower() == b"content-type"), "")
