"""The front door: what holds for every request, before anything looks at what it asks.

It gives the request its id, says who asks as far as limits go, takes what the request costs from their limit, and reads
and answers in the version of the interface that the key was made for. Everything else is behind it, the short ways too.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from hashlib import sha256
from uuid import UUID

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from hansa import identity, trust
from hansa.apps.web.callers import demo_operator, find_account
from hansa.apps.web.problems import on_hansa_error, on_unexpected
from hansa.apps.web.request_ids import REQUEST_ID
from hansa.apps.web.short_way import KnownKeys, bearer, request_of
from hansa.apps.web.site import Site
from hansa.apps.web.throttled import (
    ADDRESS,
    KEY,
    SESSION,
    TEST_KEY,
    Admission,
    Leases,
    TooManyRequests,
    bucket_of_address,
    cost_of,
)
from hansa.apps.web.versions import (
    HEADER,
    NEWEST,
    Change,
    changes_since,
    older_answer,
    read_version,
    todays_query,
)
from hansa.kernel import HansaError, new_id

KNOWN_S = 60.0
"""How long a sign-in that was looked up is known here; it decides nothing but whose limit it is."""

KNOWN_MAX = 10_000
JSON_TYPES = (b"application/json", b"application/problem+json")


class TestKeyHere(HansaError):
    """A test key was sent to a Hansa where money is real. Use it in a sandbox, or a live key here."""

    code = "web.test_key"
    status = 401
    next_action = "sign_in"


class FrontDoor:
    """The application behind its door, ``behind``. headers: sent with the answers that the door itself gives."""

    def __init__(
        self, app: ASGIApp, site: Site, *, headers: Mapping[str, str], leases: Leases | None = None
    ) -> None:
        self.behind, self._site = app, site
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._leases = leases or Leases(site.ctx)
        self._keys = KnownKeys(site.ctx)
        self._sign_ins: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.behind(scope, receive, send)
            return
        given = _given(scope)
        request_id = _fitting(given.get(b"request-id")) or new_id()
        scope.setdefault("state", {})[REQUEST_ID] = request_id
        more = [(b"request-id", str(request_id).encode())]
        cost = cost_of(scope["method"], scope["path"])
        if cost == 0:
            await self.behind(scope, receive, _with(send, more))
            return
        changes: list[Change] = []
        try:
            caller, admission = await self._admit(scope, given, cost)
            version = self._version(scope, given, caller, more)
            changes = changes_since(version, scope["path"]) if version is not None else []
            if admission is not None:
                more += admission.headers
                if not admission.allowed:
                    wait_s = admission.retry_after_s
                    raise TooManyRequests(
                        f"This {admission.limit.name} has used up its limit. Come again in {wait_s} s.",
                        retry_after=timedelta(seconds=wait_s),
                    )
            if changes:
                scope["query_string"] = todays_query(scope["query_string"], changes)
        except HansaError as error:
            await self._refuse(scope, receive, _with(_older(send, changes), more), error)
            return
        if changes:
            send = _older(send, changes)
        await self.behind(scope, receive, _with(send, more))

    async def _admit(
        self, scope: HTTPScope, given: dict[bytes, bytes], cost: int
    ) -> tuple[trust.Caller | None, Admission | None]:
        """Whose key it is, if one was sent and is known, and what became of the request at its limit.

        What is not known yet is looked up at the cost of the address it comes from, so that made-up keys and
        sign-ins cost whoever makes them up. Errors: TestKeyHere.
        """
        authorization, cookie = given.get(b"authorization"), given.get(b"cookie")
        secret = None if authorization is None else bearer(authorization)
        if secret is not None:
            caller = self._keys.find_known(secret)
            if caller is None:
                admission = await self._by_address(scope, cost)
                if not admission.allowed:
                    return None, admission
                try:
                    caller = await self._keys.caller_of(secret)
                except trust.NotSignedIn:
                    return None, admission  # whom it concerns says so
                except HansaError:
                    return None, None  # the database is away; whom it concerns says so
            if caller.test and not self._site.demo:
                raise TestKeyHere
            limit = TEST_KEY if caller.test else KEY
            return caller, await self._leases.take(limit, caller.key_id or caller.caller_id, cost)
        sign_in = None if cookie is None else _cookie(cookie)
        if sign_in is not None:
            account = self._known_sign_in(sign_in)
            if account is None:
                admission = await self._by_address(scope, cost)
                if not admission.allowed:
                    return None, admission
                account = await asyncio.to_thread(self._look_up_sign_in, scope, sign_in)
                if account is None:
                    return None, admission
            return None, await self._leases.take(SESSION, account, cost)
        if self._site.demo and demo_operator(request_of(scope), self._site) is not None:
            return None, None  # whoever sits at this machine
        return None, await self._by_address(scope, cost)

    async def _by_address(self, scope: HTTPScope, cost: int) -> Admission:
        client = scope.get("client")
        return await self._leases.take(ADDRESS, bucket_of_address(client[0] if client else "nowhere"), cost)

    def _known_sign_in(self, sign_in: bytes) -> str | None:
        known = self._sign_ins.get(sha256(sign_in).digest())
        return known[0] if known is not None and time.monotonic() < known[1] else None

    def _look_up_sign_in(self, scope: HTTPScope, sign_in: bytes) -> str | None:
        try:
            account = find_account(request_of(scope), self._site)
        except HansaError:
            return None
        if account is None:
            return None
        name = str(account.account_id)
        self._sign_ins[sha256(sign_in).digest()] = (name, time.monotonic() + KNOWN_S)
        if len(self._sign_ins) > KNOWN_MAX:
            self._sign_ins.popitem(last=False)
        return name

    def _version(
        self,
        scope: HTTPScope,
        given: dict[bytes, bytes],
        caller: trust.Caller | None,
        more: list[tuple[bytes, bytes]],
    ) -> date | None:
        """The version to read and answer in; None outside of the interface. Errors: UnknownVersion."""
        if not scope["path"].startswith("/v1/"):
            return None
        named = given.get(_VERSION)
        if named is not None:
            version = read_version(named.decode("latin-1"))
        else:
            version = (caller.version if caller is not None else None) or NEWEST
        more.append(_told(version))
        return version

    async def _refuse(self, scope: HTTPScope, receive: Receive, send: Send, error: HansaError) -> None:
        request = request_of(scope)
        try:
            answer = on_hansa_error(request, error)
        except Exception as broken:
            answer = on_unexpected(request, broken)
        for name, value in self._headers:
            answer.headers.setdefault(name.decode(), value.decode())
        await answer.to_asgi_response(None, request)(scope, receive, send)


def _given(scope: HTTPScope) -> dict[bytes, bytes]:
    """The headers that the door reads; of two of a name the last."""
    return {name: value for name, value in scope["headers"] if name in _READ}


_VERSION = HEADER.encode()
_READ = frozenset({b"authorization", b"cookie", b"request-id", _VERSION})


@cache
def _told(version: date) -> tuple[bytes, bytes]:
    """The header that says in which version is answered; there are a few."""
    return (_VERSION, str(version).encode())


def _fitting(text: bytes | None) -> UUID | None:
    """An id that the caller gave the request, where it is a UUID."""
    if text is None or len(text) > 45:
        return None
    try:
        return UUID(text.decode("latin-1"))
    except ValueError:
        return None


def _cookie(header: bytes) -> bytes | None:
    """The value of the sign-in's cookie, with or without its ``__Host-``."""
    for part in header.split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name in _COOKIES and value:
            return value
    return None


_COOKIES = (identity.SESSION_COOKIE.encode(), b"__Host-" + identity.SESSION_COOKIE.encode())


def _with(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    """Send, with these headers in each answer."""

    async def send_more(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return send_more


def _older(send: Send, changes: list[Change]) -> Send:
    """Send JSON as an older version told it; anything else as it comes."""
    begun: list[Message] = []
    parts: list[bytes] = []

    async def send_older(message: Message) -> None:
        if message["type"] == "http.response.start":
            kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            if kinds and kinds[0].partition(b";")[0].strip() in JSON_TYPES:
                begun.append(message)
            else:
                await send(message)
        elif message["type"] == "http.response.body" and begun:
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                start = begun.pop()
                assert start["type"] == "http.response.start", "it was put there"
                body = b"".join(parts)
                if body:
                    body = older_answer(start["status"], body, changes)
                start["headers"] = [
                    (name, str(len(body)).encode() if name.lower() == b"content-length" else value)
                    for name, value in start["headers"]
                ]
                await send(start)
                await send({"type": "http.response.body", "body": body, "more_body": False})
        else:
            await send(message)

    return send_older
