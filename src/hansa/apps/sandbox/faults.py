"""Faults on demand: the header ``Hansa-Fault`` lets one request of a sandbox go wrong in a way that is known."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, cast

from litestar import Request, Response
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import StoreBusy

FAULTS = {
    "busy": "503 `store.busy`: nothing was done; send the same again",
    "lost": "504 `sandbox.answer_lost`: it was carried out, and the answer was lost on the way; send the same again",
    "slow=1500": "the answer comes after so many milliseconds, 30,000 at most",
}
"""What the header may say."""

SLOW_MAX_MS = 30_000


class AnswerLost(HansaError):
    """It was carried out and its answer was lost on the way, as asked. Send the same again to get that answer."""

    code: ClassVar[str] = "sandbox.answer_lost"
    status: ClassVar[int] = 504
    next_action: ClassVar[str] = "retry"


class Faults:
    """The application of a sandbox, with faults in front. refuse: makes the answer of an error."""

    def __init__(self, app: ASGIApp, refuse: Callable[[HTTPScope, HansaError], Response[object]]) -> None:
        self._app, self._refuse = app, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = _fault(scope) if scope["type"] == "http" else ""
        if not fault:
            await self._app(scope, receive, send)
            return
        error: HansaError | None = None
        name, _, value = fault.partition("=")
        if name == "slow" and value.isascii() and value.isdigit() and int(value) <= SLOW_MAX_MS:
            await asyncio.sleep(int(value) / 1_000)
            await self._app(scope, receive, send)
            return
        if fault == "busy":
            error = StoreBusy()
        elif fault == "lost":
            await self._app(scope, receive, _nowhere)
            error = AnswerLost()
        else:
            problem = Problem("Hansa-Fault", f"{fault[:40]!r} is none", f"Choose from {', '.join(FAULTS)}")
            error = InvalidInput("There is no such fault.", problems=(problem,))
        told = self._refuse(cast(HTTPScope, scope), error)
        request = Request[Any, Any, Any](cast(HTTPScope, scope))
        await told.to_asgi_response(None, request)(cast(HTTPScope, scope), receive, send)


def _fault(scope: Scope) -> str:
    found = [value for name, value in scope["headers"] if name == b"hansa-fault"]
    return found[0].decode("latin-1").strip() if found else ""


async def _nowhere(_: Message) -> None:
    """Where a lost answer goes."""
