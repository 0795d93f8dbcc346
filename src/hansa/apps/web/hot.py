"""The short way for ``POST /v1/ledger/transfers``: the same answers as the route's, at a fraction of its cost.

Transfers flow in by the thousand here, so this one address is served by plain ASGI around the application: a body
becomes rows of the decider without an object for each transfer, and an engine's answers to a whole block wake the
event loop once. Types, checks and refusals are the route's own (``ledger.routes``); a body that does not fit is handed
on to the route, which says why. The route also stands for the description at /openapi.json.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import msgspec
from litestar.types import ASGIApp, HTTPScope

from hansa import ledger
from hansa.apps.web.callers import find_caller, refuse_cross_site
from hansa.apps.web.short_way import NotOurs, ShortWay, bearer, request_of
from hansa.apps.web.site import Site
from hansa.kernel import InvalidInput, Problem
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

PATH = "/v1/ledger/transfers"

WAITING_MAX = 16 * ledger.BATCH_MAX
"""Transfers of this process that may wait for their answers; it takes about a second to book so many."""

Shares = dict[int, tuple[Sequence[int], Batch]]
Codes = Sequence[ledger.ResultCode]


class HotTransfers(ShortWay):
    """The application with the short way in front of it. waiting_max: transfers that may wait for their answers."""

    path = PATH
    kinds = frozenset({b"application/json", BATCH_TYPE.encode()})
    busy = LedgerBusy

    def __init__(
        self,
        app: ASGIApp,
        site: Site,
        *,
        body_max: int,
        headers: Mapping[str, str],
        waiting_max: int = WAITING_MAX,
    ) -> None:
        super().__init__(app, site, body_max=body_max, headers=headers)
        self._waiting_max = waiting_max
        self._waiting = 0
        self._answers: _Answers | None = None

    async def answer(
        self, scope: HTTPScope, kind: bytes, authorization: bytes | None, body: bytes
    ) -> tuple[bytes, bytes]:
        """What became of the transfers, in the form they came in. Errors: as the route's; NotOurs for its own words."""
        if kind == b"application/json":
            return await self._book_json(scope, authorization, body), kind
        return await self._book_bytes(scope, authorization, body), RESULTS_TYPE.encode()

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


_DECODER = msgspec.json.Decoder(NewTransfers)
