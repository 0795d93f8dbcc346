"""The short way for ``POST /v1/taps``: the same answers as the route's, at a fraction of its cost.

Gates of a whole country hand in here, so this one address is served by plain ASGI around the application. Batches that
wait are taken in together, one commit for all (`rides.columns`), with at most two such commits under way: while one is
being written, the next is made ready. A batch that is not plain is handed on to the route, which decides tap by tap;
so is whatever is not for the short way. The route also stands for the description at /openapi.json.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from litestar.types import ASGIApp, HTTPScope

from hansa.apps.web.short_way import NotOurs, ShortWay, bearer
from hansa.apps.web.site import Site
from hansa.kernel import HansaError
from hansa.rides.columns import PlainBatch, read_columns, take_in
from hansa.rides.model import TapsBusy
from hansa.rides.routes import Receipt, speaks_for

PATH = "/v1/taps"

TOGETHER_MAX = 10_000
"""Taps in one commit; a single batch may be of half as many."""

UNDER_WAY_MAX = 2
"""Commits under way."""

WAITING_MAX = 100_000
"""Taps of this process that may wait for their answers; a few seconds' worth."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A body that waits to be taken in, how many taps it is held to have, and who is told what became of it."""

    body: bytes
    count: int
    gate_id: str | None
    operator_id: str | None
    kept: "asyncio.Future[int | None]"


class HotTaps(ShortWay):
    """The application with the short way in front of it. waiting_max: taps that may wait for their answers."""

    path = PATH
    kinds = frozenset({b"application/json"})
    busy = TapsBusy

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
        self._waiting: deque[_Waiting] = deque()
        self._count = 0
        self._under_way = 0
        self._threads = ThreadPoolExecutor(UNDER_WAY_MAX, thread_name_prefix="hansa-taps")

    async def answer(
        self,
        scope: HTTPScope,  # noqa: ARG002 - the key alone says who hands in
        kind: bytes,
        authorization: bytes | None,
        body: bytes,
    ) -> tuple[bytes, bytes]:
        """The receipt of a plain batch. Errors: NotOurs for any other; TapsBusy; of the store."""
        return await self._take(authorization, body), kind

    async def _take(self, authorization: bytes | None, body: bytes) -> bytes:
        """The answer to a plain batch of who may hand it in. Errors: NotOurs for any other; TapsBusy; of the store."""
        secret = None if authorization is None else bearer(authorization)
        if secret is None:  # a rider, or in a demo the person at this machine: never by the thousand
            raise NotOurs
        count = body.count(b'"tap_id"')
        if count == 0:
            raise NotOurs
        try:
            caller = await self.keys.caller_of(secret)
            operator_id = speaks_for(caller, "taps:write")
        except HansaError as error:
            raise NotOurs from error
        if self._count + count > self._waiting_max:
            raise TapsBusy
        kept: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(body, count, caller.gate_id, operator_id, kept))
        self._count += count
        self._set_off()
        recorded = await kept
        if recorded is None:
            raise NotOurs
        return msgspec.json.encode(Receipt(recorded, 0, []))

    def _set_off(self) -> None:
        """Take in what waits, as much as may be under way."""
        while self._waiting and self._under_way < UNDER_WAY_MAX:
            together = [self._waiting.popleft()]
            count = together[0].count
            while self._waiting and count + self._waiting[0].count <= TOGETHER_MAX:
                together.append(self._waiting.popleft())
                count += together[-1].count
            self._under_way += 1
            taking = asyncio.get_running_loop().run_in_executor(self._threads, self._take_in, together)
            taking.add_done_callback(lambda done, these=together: self._taken(these, done))

    def _take_in(self, together: list[_Waiting]) -> list[int | None]:
        """In a thread: what became of each. Errors: as of ``take_in``, and nothing is kept."""
        kept: list[int | None] = [None] * len(together)
        plain: list[tuple[int, PlainBatch]] = []
        for place, one in enumerate(together):
            columns = read_columns(one.body)
            if columns is not None:
                plain.append((place, PlainBatch(columns, one.gate_id, one.operator_id)))
        if plain:
            taken = take_in(self._site.ctx, [batch for _, batch in plain])
            for (place, _), count in zip(plain, taken, strict=True):
                kept[place] = count
        return kept

    def _taken(self, together: list[_Waiting], done: "asyncio.Future[list[int | None]]") -> None:
        self._under_way -= 1
        self._count -= sum(one.count for one in together)
        error = None if done.cancelled() else done.exception()
        for place, one in enumerate(together):
            if one.kept.done():  # its request was given up; what was kept stays kept
                continue
            if error is not None:
                one.kept.set_exception(error)
            elif done.cancelled():
                one.kept.cancel()
            else:
                one.kept.set_result(done.result()[place])
        self._set_off()
