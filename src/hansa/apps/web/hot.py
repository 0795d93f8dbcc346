"""The short way for ``POST /v1/ledger/transfers``: the same answers as the route's, at a fraction of its cost.

Transfers flow in by the thousand here, so this one address is served by plain ASGI around the application: a body
becomes rows of the decider without an object for each transfer, and an engine's answers to a whole block wake the
event loop once. Types, checks and refusals are the route's own (``ledger.routes``); a body that does not fit is handed
on to the route, which says why. The route also stands for the description at /openapi.json.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from hansa import ledger, trust
from hansa.apps.web.callers import find_caller, refuse_cross_site
from hansa.apps.web.problems import on_hansa_error, on_unexpected
from hansa.apps.web.site import Site
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.ledger.batch import Batch, parted, read_batch, write_results
from hansa.ledger.routes import (
    BATCH_TYPE,
    PARTITION_MAX,
    POST_MAX,
    RESULTS_TYPE,
    LedgerBusy,
    NewTransfers,
    gathered,
    new_batch,
    results_of,
)
from hansa.store import Context

PATH = "/v1/ledger/transfers"

WAITING_MAX = 16 * ledger.BATCH_MAX
"""Transfers of this process that may wait for their answers; it takes about a second to book so many."""

RETRY_AFTER_S = 1

KEY_LASTS_S = 5.0
"""How long a key that was looked up is known; one that was ended meanwhile is good for so long."""

KEYS_MAX = 1_000

Shares = dict[int, tuple[Sequence[int], Batch]]
Codes = Sequence[ledger.ResultCode]


class HotTransfers:
    """The application with the short way in front of it.

    app: answers all else. body_max: bytes of a body, as the application takes them. headers: sent with every answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        site: Site,
        *,
        body_max: int,
        headers: Mapping[str, str],
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.keys = KnownKeys(site.ctx)
        self._app = app
        self._site = site
        self._body_max = body_max
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._waiting_max = waiting_max
        self._waiting = 0
        self._answers: _Answers | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["path"] == PATH
            and scope["method"] == "POST"
            and not scope["query_string"]
        ):
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        kind, authorization, length = headers_of(scope)
        if kind not in (b"application/json", BATCH_TYPE.encode()) or length > self._body_max:
            await self._app(scope, receive, send)
            return
        body, is_whole = await whole_body(receive, self._body_max)
        if body is None:
            return  # whoever sent it has gone
        try:
            if not is_whole:
                raise NotOurs
            if kind == b"application/json":
                answer, answer_type = await self._book_json(scope, authorization, body), b"application/json"
            else:
                answer, answer_type = (
                    await self._book_bytes(scope, authorization, body),
                    RESULTS_TYPE.encode(),
                )
        except NotOurs:
            await self._app(scope, again(body, receive, is_whole=is_whole), send)
        except HansaError as error:
            refusal = on_hansa_error(request_of(scope), error)
            if isinstance(error, LedgerBusy):
                refusal.headers["retry-after"] = str(RETRY_AFTER_S)
            await self._refuse(send, refusal)
        except Exception as error:
            await self._refuse(send, on_unexpected(request_of(scope), error))
        else:
            await self._send(send, 200, [(b"content-type", answer_type)], answer)

    async def _book_json(self, scope: HTTPScope, authorization: bytes | None, body: bytes) -> bytes:
        try:
            transfers = _DECODER.decode(body).transfers
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotOurs from error
        await self._check(scope, authorization)
        shares = parted(new_batch(transfers), [new.partition for new in transfers])
        codes = await self._post(len(transfers), shares)
        return msgspec.json.encode(results_of(transfers, codes))

    async def _book_bytes(self, scope: HTTPScope, authorization: bytes | None, body: bytes) -> bytes:
        await self._check(scope, authorization)
        batch = read_batch(body, count_max=POST_MAX)
        assert batch.records is not None, "what was read has records"
        partitions: list[int] = batch.records["partition"].tolist()
        if not partitions or max(partitions) > PARTITION_MAX:
            problem = (
                Problem("partition", "one is over 32,767", "Send partitions from 0 to 32,767")
                if partitions
                else Problem("batch", "it has no transfers", "Send at least one")
            )
            raise InvalidInput("This batch cannot be read.", problems=(problem,))
        return write_results(await self._post(len(batch), parted(batch, partitions)))

    async def _check(self, scope: HTTPScope, authorization: bytes | None) -> None:
        """Go on only for the league. Errors: as the route's."""
        secret = None if authorization is None else bearer(authorization)
        if secret is not None:
            caller = await self.keys.caller_of(secret)
        else:
            request = request_of(scope)
            refuse_cross_site(request)
            caller = await asyncio.to_thread(find_caller, request, self._site)
        caller.require_league("ledger:write")

    async def _post(self, count: int, shares: Shares) -> Codes:
        """Hand each share to its partition's engine, or book it here where this process has none."""
        if self._waiting + count > self._waiting_max:
            raise LedgerBusy
        decided = [self._hand_in(partition, batch) for partition, (_, batch) in shares.items()]
        if len(decided) == 1:
            codes = [await decided[0]]
        else:
            codes = await asyncio.gather(*decided)
        return gathered(
            count, [(indexes, share) for (indexes, _), share in zip(shares.values(), codes, strict=True)]
        )

    def _hand_in(self, partition: int, batch: Batch) -> "asyncio.Future[Codes]":
        """The codes to come. Who stops waiting for them takes nothing back."""
        count = len(batch)
        self._waiting += count
        engine = ledger.find_engine(self._site.ctx, partition)
        if engine is None:
            future = asyncio.ensure_future(self._post_here(partition, batch))
            future.add_done_callback(lambda _: self._answered(count))
            return future
        loop = asyncio.get_running_loop()
        if self._answers is None or self._answers.loop is not loop:
            self._answers = _Answers(loop, self._answered)
        return self._answers.of(engine, batch)

    async def _post_here(self, partition: int, batch: Batch) -> Codes:
        return await asyncio.to_thread(ledger.post_batch, self._site.ctx, batch, partition=partition)

    def _answered(self, count: int) -> None:
        self._waiting -= count

    async def _refuse(self, send: Send, refusal: Response[Any]) -> None:
        headers = [(name.encode(), str(value).encode()) for name, value in refusal.headers.items()]
        headers.append((b"content-type", str(refusal.media_type).encode()))
        await self._send(send, refusal.status_code or 500, headers, refusal.content)

    async def _send(self, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers + self._headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class NotOurs(Exception):
    """The route is to answer this."""


class _Answers:
    """Brings the engines' answers to the event loop: all that come together with one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answered: Callable[[int], None]) -> None:
        self.loop = loop
        self._answered = answered
        self._came: deque[tuple[asyncio.Future[Codes], int, Codes | BaseException]] = deque()
        self._is_woken = False

    def of(self, engine: ledger.Engine, batch: Batch) -> "asyncio.Future[Codes]":
        future: asyncio.Future[Codes] = self.loop.create_future()
        engine.submit(batch, partial(self._take, future, len(batch)))
        return future

    def _take(self, future: "asyncio.Future[Codes]", count: int, answer: Codes | BaseException) -> None:
        """Called from an engine's thread."""
        self._came.append((future, count, answer))
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):  # the loop has ended, and with it everyone who waited
                self.loop.call_soon_threadsafe(self._give)

    def _give(self) -> None:
        self._is_woken = False  # before the first look: what comes after the last look wakes again
        while self._came:
            future, count, answer = self._came.popleft()
            self._answered(count)
            if future.done():  # its request was given up
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)


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


_DECODER = msgspec.json.Decoder(NewTransfers)


def request_of(scope: HTTPScope) -> Request[Any, Any, Any]:
    return Request(scope)


def headers_of(scope: HTTPScope) -> tuple[bytes, bytes | None, int]:
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
    scheme, _, secret = authorization.decode("latin-1").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


async def whole_body(receive: Receive, size_max: int) -> tuple[bytes | None, bool]:
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


def again(body: bytes, receive: Receive, *, is_whole: bool) -> Receive:
    """What was received, to be received again, and then what follows."""
    before = [{"type": "http.request", "body": body, "more_body": not is_whole}]

    async def receive_again() -> Any:
        return before.pop() if before else await receive()

    return receive_again
