"""The short way around the application for one address that is asked by the thousand, in plain ASGI.

What it cannot answer is handed on to the route with the body as it came, so that the route's checks and words stand.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar

from litestar import Request, Response
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from hansa import trust
from hansa.apps.web.problems import on_hansa_error, on_unexpected
from hansa.apps.web.security_headers import kept_by_nobody
from hansa.apps.web.site import Site
from hansa.kernel import HansaError
from hansa.store import Context

RETRY_AFTER_S = 1

KEY_LASTS_S = 5.0
"""How long a key that was looked up is known; one that was ended meanwhile is good for so long."""

KEYS_MAX = 1_000


class NotOurs(Exception):
    """The route is to answer this."""


class ShortWay(ABC):
    """An application with a short way in front of it.

    path: the address, asked by POST without a query. kinds: media types of bodies it takes. busy: the error that says
    to come again in ``RETRY_AFTER_S``. app: answers all else. body_max: bytes of a body, as the application takes them.
    headers: sent with every answer.
    """

    path: ClassVar[str]
    kinds: ClassVar[frozenset[bytes]]
    busy: ClassVar[type[HansaError]]

    def __init__(self, app: ASGIApp, site: Site, *, body_max: int, headers: Mapping[str, str]) -> None:
        self.keys = KnownKeys(site.ctx)
        self._app = app
        self._site = site
        self._body_max = body_max
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    @abstractmethod
    async def answer(
        self, scope: HTTPScope, kind: bytes, authorization: bytes | None, body: bytes
    ) -> tuple[bytes, bytes] | tuple[bytes, bytes, tuple[bytes, bytes]]:
        """The answer's body, media type and, if it has one, a header of its own.

        Errors: NotOurs where the route is to answer; else they are the answer.
        """
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["path"] == self.path
            and scope["method"] == "POST"
            and not scope["query_string"]
        ):
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        kind, authorization, length = _headers_of(scope)
        if kind not in self.kinds or length > self._body_max:
            await self._app(scope, receive, send)
            return
        body, is_whole = await _whole_body(receive, self._body_max)
        if body is None:
            return  # whoever sent it has gone
        try:
            if not is_whole:
                raise NotOurs
            answer, answer_type, *own = await self.answer(scope, kind, authorization, body)
        except NotOurs:
            await self._app(scope, _again(body, receive, is_whole=is_whole), send)
        except HansaError as error:
            refusal = on_hansa_error(request_of(scope), error)
            if isinstance(error, self.busy):
                refusal.headers["retry-after"] = str(RETRY_AFTER_S)
            await self._refuse(scope, send, refusal)
        except Exception as error:
            await self._refuse(scope, send, on_unexpected(request_of(scope), error))
        else:
            await self._send(
                send, 200, [(b"content-type", answer_type), *own, *kept_by_nobody(scope)], answer
            )

    async def _refuse(self, scope: HTTPScope, send: Send, refusal: Response[Any]) -> None:
        headers = [(name.encode(), str(value).encode()) for name, value in refusal.headers.items()]
        if "cache-control" not in refusal.headers:
            headers += kept_by_nobody(scope)
        headers.append((b"content-type", str(refusal.media_type).encode()))
        await self._send(send, refusal.status_code or 500, headers, refusal.content)

    async def _send(self, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers + self._headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


@dataclass(frozen=True, slots=True)
class _Known:
    """Whose key it is, and until when we need not look again."""

    caller: trust.Caller
    until_s: float


class KnownKeys:
    """API keys and whose they are, looked up once and known for ``KEY_LASTS_S``. Unknown keys are looked up each time.

    now_s: a clock that only goes forward.
    """

    def __init__(
        self, ctx: Context, *, now_s: Callable[[], float] = time.monotonic, size_max: int = KEYS_MAX
    ) -> None:
        self._ctx = ctx
        self._now_s = now_s
        self._size_max = size_max
        self._known: dict[bytes, _Known] = {}
        self._asked: dict[bytes, asyncio.Future[trust.Caller]] = {}

    def find_known(self, secret: str) -> trust.Caller | None:
        """Who sent this key, where it was looked up within ``KEY_LASTS_S``."""
        known = self._known.get(sha256(secret.encode("utf-8", "surrogatepass")).digest())
        return known.caller if known is not None and self._now_s() < known.until_s else None

    async def caller_of(self, secret: str) -> trust.Caller:
        """Who sent this key. Errors: trust.NotSignedIn, StoreUnavailable."""
        name = sha256(secret.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(name)
        if known is not None and self._now_s() < known.until_s:
            return known.caller
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = asyncio.ensure_future(self._look_up(name, secret))
            asked.add_done_callback(partial(self._looked_up, name))
        return await asyncio.shield(asked)

    async def _look_up(self, name: bytes, secret: str) -> trust.Caller:
        asked_s = self._now_s()
        caller = await asyncio.to_thread(self._find, secret)
        self._known.pop(name, None)
        if len(self._known) >= self._size_max:
            del self._known[next(iter(self._known))]  # the one looked up longest ago
        self._known[name] = _Known(caller, asked_s + KEY_LASTS_S)
        return caller

    def _find(self, secret: str) -> trust.Caller:
        with self._ctx.tx() as tx:
            return trust.caller_of_key(tx, secret)

    def _looked_up(self, name: bytes, asked: "asyncio.Future[trust.Caller]") -> None:
        del self._asked[name]
        if not asked.cancelled():
            asked.exception()  # whoever waits has been told


def request_of(scope: HTTPScope) -> Request[Any, Any, Any]:
    """The request, as the application's own handlers take it."""
    return Request(scope)


def _headers_of(scope: HTTPScope) -> tuple[bytes, bytes | None, int]:
    """The body's media type, who is said to send it, and its announced length (0 if none)."""
    kind, authorization, length = b"", None, 0
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
        elif name == b"authorization":
            if authorization is not None:
                return b"", None, 0  # two of them: not for the short way
            authorization = value
        elif name == b"content-length" and value.isdigit():
            length = int(value)
    return kind, authorization, length


def bearer(authorization: bytes) -> str | None:
    """The secret of a bearer's header; None for another scheme (RFC 6750 section 2.1)."""
    scheme, _, secret = authorization.decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


async def _whole_body(receive: Receive, size_max: int) -> tuple[bytes | None, bool]:
    """The body, and whether that is all of it: no more is read than fits. None: the sender went away."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None, False
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > size_max:
            return b"".join(parts), False
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts), True


def _again(body: bytes, receive: Receive, *, is_whole: bool) -> Receive:
    """What was received, to be received again, and then what follows."""
    before = [{"type": "http.request", "body": body, "more_body": not is_whole}]

    async def receive_again() -> Any:
        return before.pop() if before else await receive()

    return receive_again
