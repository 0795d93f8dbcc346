"""The short way for payments between members: prepare, fulfil and abort with the routes' answers at less cost.

Requests come one by one and are taken in together (`hub.Intake`): all that wait share a batch of the ledger and its
commits, and the answers to a batch wake the event loop once. What a body lacks, or who sends it, the route says.
"""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import ClassVar

import msgspec
from litestar.types import ASGIApp, HTTPScope

from hansa import hub
from hansa.apps.web.short_way import NotOurs, ShortWay, bearer
from hansa.apps.web.site import Site
from hansa.hub.routes import (
    AbortRequest,
    FulfilRequest,
    PrepareRequest,
    answered,
    payer_of,
    read_fulfil,
    read_prepare,
)
from hansa.kernel import HansaError
from hansa.store import Context

Asked = hub.Prepare | hub.Fulfil | hub.Abort


class Taker:
    """An intake whose answers come to the event loop, all of a batch with one wake-up."""

    def __init__(self, ctx: Context) -> None:
        self._intake = hub.Intake(ctx, answered=self._wake)
        self._came: deque[tuple[asyncio.Future[hub.Answer], hub.Answer | BaseException]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def take(self, asked: Asked) -> "asyncio.Future[hub.Answer]":
        """The answer to come. Who stops waiting for it takes nothing back. Errors: hub.HubBusy."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[hub.Answer] = self._loop.create_future()
        self._intake.submit(asked, partial(self._keep, future))
        return future

    def stop(self) -> None:
        """Answer what was handed in, and end."""
        self._intake.stop()

    def _keep(self, future: "asyncio.Future[hub.Answer]", answer: hub.Answer | BaseException) -> None:
        """Called from a thread of the intake."""
        self._came.append((future, answer))

    def _wake(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it everyone who waited
                self._loop.call_soon_threadsafe(self._give)

    def _give(self) -> None:
        while self._came:
            future, answer = self._came.popleft()
            if future.done():  # its request was given up; what was kept stays kept
                continue
            if isinstance(answer, BaseException) and not isinstance(answer, HansaError):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class _HotHub(ShortWay):
    """One of the addresses, in front of the application. taker: shared by all of them."""

    kinds = frozenset({b"application/json"})
    busy = hub.HubBusy

    def __init__(
        self, app: ASGIApp, site: Site, taker: Taker, *, body_max: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(app, site, body_max=body_max, headers=headers)
        self._taker = taker

    @abstractmethod
    def read(self, body: bytes, member_id: str) -> Asked:
        """What a member asks for. Errors: msgspec.MsgspecError, HansaError."""
        ...

    async def answer(
        self,
        scope: HTTPScope,  # noqa: ARG002 - the key alone says who asks
        kind: bytes,
        authorization: bytes | None,
        body: bytes,
    ) -> tuple[bytes, bytes]:
        """The payment as it stands. Errors: NotOurs for the route to say why; else the refusal."""
        secret = None if authorization is None else bearer(authorization)
        if secret is None:
            raise NotOurs
        try:
            caller = await self.keys.caller_of(secret)
            caller.require("hub:pay")
            asked = self.read(body, payer_of(caller))
        except (HansaError, msgspec.MsgspecError) as error:
            raise NotOurs from error
        return msgspec.json.encode(answered(await self._taker.take(asked))), kind


class HotPrepares(_HotHub):
    """``POST /v1/hub/payments``."""

    path: ClassVar[str] = "/v1/hub/payments"

    def read(self, body: bytes, member_id: str) -> Asked:
        return read_prepare(_PREPARE.decode(body), member_id)


class HotFulfilments(_HotHub):
    """``POST /v1/hub/fulfilments``."""

    path: ClassVar[str] = "/v1/hub/fulfilments"

    def read(self, body: bytes, member_id: str) -> Asked:
        return read_fulfil(_FULFIL.decode(body), member_id)


class HotAborts(_HotHub):
    """``POST /v1/hub/aborts``."""

    path: ClassVar[str] = "/v1/hub/aborts"

    def read(self, body: bytes, member_id: str) -> Asked:
        data = _ABORT.decode(body)
        return hub.Abort(data.payment_id, data.words, member_id)


def with_hub(app: ASGIApp, site: Site, *, body_max: int, headers: Mapping[str, str]) -> ASGIApp:
    """The application with the short ways of the hub in front of it."""
    taker = Taker(site.ctx)
    for way in (HotAborts, HotFulfilments, HotPrepares):
        app = way(app, site, taker, body_max=body_max, headers=headers)
    return app


_PREPARE = msgspec.json.Decoder(PrepareRequest)
_FULFIL = msgspec.json.Decoder(FulfilRequest)
_ABORT = msgspec.json.Decoder(AbortRequest)
