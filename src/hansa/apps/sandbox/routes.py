"""HTTP for the sandbox: its clock, its people and faults, and hooks that keep what they are sent.

Anywhere but in a sandbox these answer that there is none.
"""

import asyncio
import re
from collections import deque
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar
from weakref import WeakKeyDictionary

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from hansa import trust
from hansa.apps.sandbox.clock import NoSandbox, SandboxClock
from hansa.apps.sandbox.connector import CONNECTOR, FAULTY_AMOUNTS
from hansa.apps.sandbox.faults import FAULTS
from hansa.apps.sandbox.people import PEOPLE
from hansa.apps.sandbox.turning import TURNS
from hansa.kernel import InvalidInput, Problem
from hansa.store import Context

HOOK_ANSWERS = {"ok": 200, "down": 503, "gone": 410, "slow": 200}
"""What a hook answers, by its name; ``slow`` does so after 20 seconds, which is too late."""

SLOW_S = 20.0
KEPT_MAX = 100

HOOK = re.compile(r"(ok|down|gone|slow)(-[a-z0-9]{1,20})?")
Hook = Annotated[str, PathParameter(pattern=r"^(ok|down|gone|slow)(-[a-z0-9]{1,20})?$")]


class PersonView(msgspec.Struct, frozen=True):
    """Someone of the sandbox, with the account that pays."""

    name: str
    account_id: str
    does: str


class SandboxView(msgspec.Struct, frozen=True):
    """What there is. faults: by the header Hansa-Fault. amounts: by the last two digits of the minor units, for
    payments by the connector. hooks: by name, the status that each answers.
    """

    now: datetime
    ahead_s: float
    people: list[PersonView]
    connector: str
    amounts: dict[str, str]
    faults: dict[str, str]
    hooks: dict[str, int]


class ClockRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far to set the clock on, in seconds; 0 only lets everybody do what waits for them."""

    advance_s: Annotated[int, msgspec.Meta(ge=0, le=316_224_000)]


class ClockSet(msgspec.Struct, frozen=True):
    """The sandbox's time, and how many things were done because of it: expired, paid, settled, told."""

    now: datetime
    ahead_s: float
    done: int


class Kept(msgspec.Struct, frozen=True):
    """What a hook was sent. body: as it came."""

    at: datetime
    headers: dict[str, str]
    body: str


class HookView(msgspec.Struct, frozen=True):
    """What a hook was sent since the sandbox started, the newest first."""

    url: str
    answers: int
    received: list[Kept]


class HookSilent(NoSandbox):
    """This hook of the sandbox is down, as its name says. Register ``ok`` for one that answers."""

    code: ClassVar[str] = "sandbox.hook_down"
    status: ClassVar[int] = 503


_kept: WeakKeyDictionary[SandboxClock, dict[str, deque[Kept]]] = WeakKeyDictionary()


@get("/v1/sandbox", sync_to_thread=False, tags=["Sandbox"], opt={"refuses": (NoSandbox,)})
def show_sandbox(ctx: NamedDependency[Context]) -> SandboxView:
    """What this sandbox has: its time, people, faults and hooks. Open to everyone."""
    clock = _clock(ctx)
    return SandboxView(
        now=clock.now(),
        ahead_s=clock.ahead.total_seconds(),
        people=[PersonView(one.name, str(one.account_id), one.says) for one in PEOPLE],
        connector=CONNECTOR,
        amounts={f"…{digits}": says for digits, says in FAULTY_AMOUNTS.items()},
        faults=dict(FAULTS),
        hooks=HOOK_ANSWERS,
    )


@post(
    "/v1/sandbox/clock",
    sync_to_thread=True,
    status_code=200,
    tags=["Sandbox"],
    opt={"who": ("key",), "refuses": (NoSandbox, InvalidInput)},
)
def set_clock(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[ClockRequest]
) -> ClockSet:
    """Set the sandbox's clock on, and do at once what has become due: holds end, banks answer, people approve.

    The clock goes on from there by itself, and never back. Any test key may set it.
    """
    clock = _clock(ctx)
    if caller.kind == "anonymous":
        raise trust.NotSignedIn
    turning = TURNS.get(clock)
    done = 0 if turning is None else turning.until_quiet()  # what is asked now is answered before time is up
    clock.advance(timedelta(seconds=data.advance_s))
    done += 0 if turning is None or not data.advance_s else turning.until_quiet()
    return ClockSet(clock.now(), clock.ahead.total_seconds(), done)


@post(
    "/v1/sandbox/hooks/{name:str}",
    status_code=200,
    tags=["Sandbox"],
    opt={"refuses": (NoSandbox, HookSilent, InvalidInput)},
)
async def take_hook(
    ctx: NamedDependency[Context], name: Hook, request: Request[Any, Any, Any]
) -> Response[dict[str, str]]:
    """A receiver of webhooks to register: it keeps what it is sent, and answers as its name says.

    `ok` takes, `down` answers 503, `gone` 410, `slow` after 20 seconds; `ok-2` and the like are further ones.
    """
    clock = _clock(ctx)
    _check_hook(name)
    body = (await request.body()).decode("utf-8", "replace")
    told = {key: value for key, value in request.headers.items() if key.startswith("webhook-")}
    kept = _kept.setdefault(clock, {}).setdefault(name, deque(maxlen=KEPT_MAX))
    kept.appendleft(Kept(clock.now(), told, body[:20_000]))
    kind = name.partition("-")[0]
    if kind == "slow":
        await asyncio.sleep(SLOW_S)
    if kind == "down":
        raise HookSilent
    return Response({"taken": name}, status_code=HOOK_ANSWERS[kind])


@get(
    "/v1/sandbox/hooks/{name:str}",
    sync_to_thread=False,
    tags=["Sandbox"],
    opt={"refuses": (NoSandbox, InvalidInput)},
)
def read_hook(ctx: NamedDependency[Context], name: Hook, request: Request[Any, Any, Any]) -> HookView:
    """What a hook was sent, the newest first: also the code that verifies an endpoint. Open to everyone."""
    clock = _clock(ctx)
    _check_hook(name)
    kept = _kept.get(clock, {}).get(name, ())
    url = f"{request.url.scheme}://{request.url.netloc}/v1/sandbox/hooks/{name}"
    return HookView(url, HOOK_ANSWERS[name.partition("-")[0]], list(kept))


def _check_hook(name: str) -> None:
    if not HOOK.fullmatch(name):
        problem = Problem("name", f"{name[:40]!r} is none", "Take ok, down, gone or slow, or one like ok-2")
        raise InvalidInput("There is no such hook.", problems=(problem,))


def _clock(ctx: Context) -> SandboxClock:
    if not isinstance(ctx.clock, SandboxClock):
        raise NoSandbox
    return ctx.clock


ROUTES = [show_sandbox, set_clock, take_hook, read_hook]
