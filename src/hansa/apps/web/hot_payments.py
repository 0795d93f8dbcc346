"""The short way for new payments: ``POST /v1/payments`` with a member's key, with the route's answers at less cost.

Requests come one by one and are taken in together (`payments.Intake`): all that wait share a batch of policy, of the
ledger and of its commits, and the answers to a batch wake the event loop once. What a body lacks, or who sends it, and
payments by riders or connectors are for the route.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import ClassVar

import msgspec
from litestar.types import ASGIApp, HTTPScope

from hansa import payments, store
from hansa.apps.web.idempotent import HEADER, REPLAYED
from hansa.apps.web.short_way import NotOurs, ShortWay, bearer
from hansa.apps.web.site import Site
from hansa.kernel import HansaError
from hansa.payments.payment_routes import PATH, NewPaymentRequest, answered, payment_answer, read_new
from hansa.store import Context


class Till:
    """An intake whose answers come to the event loop, all of a batch with one wake-up."""

    def __init__(self, ctx: Context) -> None:
        self._intake = payments.Intake(ctx, answered=self._wake)
        self._came: deque[tuple[asyncio.Future[payments.Answer], payments.Answer | BaseException]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def take(self, asked: payments.NewPayment) -> "asyncio.Future[payments.Answer]":
        """The answer to come. Who stops waiting for it takes nothing back. Errors: payments.PaymentsBusy."""
        self._loop = asyncio.get_running_loop()
        future: asyncio.Future[payments.Answer] = self._loop.create_future()
        self._intake.submit(asked, partial(self._keep, future))
        return future

    def stop(self) -> None:
        """Answer what was handed in, and end."""
        self._intake.stop()

    def _keep(
        self, future: "asyncio.Future[payments.Answer]", answer: payments.Answer | BaseException
    ) -> None:
        """Called from the intake's thread."""
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


class HotPayments(ShortWay):
    """``POST /v1/payments``."""

    path: ClassVar[str] = PATH
    kinds = frozenset({b"application/json"})
    busy = payments.PaymentsBusy

    def __init__(self, app: ASGIApp, site: Site, *, body_max: int, headers: Mapping[str, str]) -> None:
        super().__init__(app, site, body_max=body_max, headers=headers)
        self._till = Till(site.ctx)

    async def answer(
        self, scope: HTTPScope, kind: bytes, authorization: bytes | None, body: bytes
    ) -> tuple[bytes, bytes] | tuple[bytes, bytes, tuple[bytes, bytes]]:
        """The payment as it stands. Errors: NotOurs for the route to say why; else the refusal."""
        secret = None if authorization is None else bearer(authorization)
        if secret is None:
            raise NotOurs
        try:
            caller = await self.keys.caller_of(secret)
            data = _REQUEST.decode(body)
            if data.method == "code":
                raise NotOurs
            new = read_new(data, caller, store.check_key(_key_of(scope)))
        except (HansaError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NotOurs from error
        payment = answered(await self._till.take(new))
        told = _ENCODER.encode(payment_answer(payment))
        return (told, kind, REPLAYED) if payment.is_replay else (told, kind)


def _key_of(scope: HTTPScope) -> str:
    """The idempotency key; empty where there is none, or more than one."""
    found = [value for name, value in scope["headers"] if name == _HEADER]
    return found[0].decode("latin-1") if len(found) == 1 else ""


_HEADER = HEADER.encode()
_REQUEST = msgspec.json.Decoder(NewPaymentRequest)
_ENCODER = msgspec.json.Encoder()
