"""Sending events to endpoints: at least once, those of one subject in order, a slow endpoint holding up no other.

Each endpoint has a task of its own and is leased to one sender. What it does not take is tried again, later and
later, and what is about the same waits behind it while the rest goes on; when the endpoint seems to be away, all of it
waits. Killed, a sender's endpoints are followed when their lease is over, and what it had sent is sent again.
"""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from hansa.kernel import HansaError, InvalidInput, new_id
from hansa.store import Context, Tx
from hansa.webhooks import store
from hansa.webhooks.actions import forget, get_endpoint, number, tell_disabled
from hansa.webhooks.addresses import Reach, Target
from hansa.webhooks.model import (
    DISABLE_AFTER,
    VERIFY,
    Attempt,
    Endpoint,
    Event,
    body_of,
    next_attempt_at,
    pause_until,
)
from hansa.webhooks.posting import TIMEOUT_S, Answer, Line, Resolve, Resolver
from hansa.webhooks.signing import Secret, Secrets, sign

logger = logging.getLogger("hansa.webhooks")

T = TypeVar("T")

SOME = 50
"""Events that one task sends to an endpoint before it says how far it is."""

READ = 500
"""Events that it looks at for those that the endpoint wants."""

TURN_S = 20.0
"""A task begins no more attempts after so long."""

LEASE_S = 90
"""How long an endpoint is a sender's: longer than ``TURN_S`` and a whole attempt."""

AT_ONCE = 200
"""Endpoints that one sender sends to at the same time."""

AWAY_AFTER = 3
"""Events that fail one after another, in one turn, from which on an endpoint counts as away."""

AWAY_STATUS = (429, 502, 503, 504)
"""Answers by which an endpoint says that it is away. Source: Standard Webhooks 1.0.0, delivery success and failure."""

GONE = 410
FORGET_EVERY_S = 3_600.0


@dataclass(slots=True)
class Outcome:
    """What became of one endpoint in a turn. seen_seq: events up to it were sent, or wait, or were not wanted."""

    endpoint: Endpoint
    seen_seq: int
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    kept: list[store.Kept] = field(default_factory=list[store.Kept])
    ended: list[int] = field(default_factory=list[int])
    in_row: int = 0
    next_at: datetime | None = None
    gone: bool = False

    @property
    def failures(self) -> int:
        """In how many turns, one after another, the endpoint was away."""
        before = 0 if self.took else self.endpoint.failures
        return before + (self.next_at is not None)

    @property
    def took(self) -> int:
        """Events that the endpoint took."""
        return sum(one.taken for one in self.attempts)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be sent. again: with its failed attempts. blocked: subjects of which something waits already."""

    endpoint: Endpoint
    again: list[tuple[Event, int]]
    fresh: list[Event]
    blocked: set[str]


class Sender:
    """How events are sent: which addresses may be called, and who looks names up.

    tls: which certificates are believed; None: those that the system believes.
    """

    def __init__(
        self,
        ctx: Context,
        secrets: Secrets,
        reach: Reach,
        *,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._ctx, self._secrets, self._reach = ctx, secrets, reach
        self._resolver = Resolver()
        self._resolve: Resolve = resolve or self._resolver
        self._tls = tls or ssl.create_default_context()
        self._timeout_s = timeout_s
        self._database = ThreadPoolExecutor(4, thread_name_prefix="hansa-webhooks-db")

    def close(self) -> None:
        """Give the threads back."""
        self._database.shutdown(wait=True)
        self._resolver.close()

    async def lease(self, lease_id: UUID, *, limit: int, but: Sequence[UUID] = ()) -> list[UUID]:
        """Endpoints that have something to be sent now."""

        def take() -> list[UUID]:
            now = self._ctx.clock.now()
            until = now + timedelta(seconds=LEASE_S)
            with self._ctx.tx() as tx:
                return store.lease(tx, lease_id, now=now, until=until, limit=limit, but=but)

        return await self.in_database(take)

    async def serve(self, endpoint_id: UUID, lease_id: UUID) -> int:
        """Send a leased endpoint what waits for it; gives how many events it took."""
        work = await self.in_database(lambda: self._work(endpoint_id))
        outcome = await self._send(work)
        await self.in_database(lambda: self._keep(outcome, lease_id))
        return outcome.took

    async def verify(self, endpoint: Endpoint) -> Answer:
        """Send a new endpoint its code."""
        now = self._ctx.clock.now()
        data = {
            "endpoint_id": str(endpoint.endpoint_id),
            "code": self._secrets.code(endpoint.endpoint_id, endpoint.url),
        }
        event_id = new_id()
        body = body_of(event_id, VERIFY, now, str(endpoint.endpoint_id), data, seq=None)
        line = self._line(self._reach.read(endpoint.url))
        try:
            return await line.post(sign(self._secrets_of(endpoint), str(event_id), now, body), body)
        finally:
            await line.close()

    async def in_database(self, do: Callable[[], T]) -> T:
        """Do this in a thread for the database, of which there are few."""
        return await asyncio.get_running_loop().run_in_executor(self._database, do)

    def _work(self, endpoint_id: UUID) -> _Work:
        now = self._ctx.clock.now()
        with self._ctx.tx() as tx:
            endpoint = get_endpoint(tx, endpoint_id, now)
            due = {one.seq: one.attempts for one in store.due(tx, endpoint_id, now, SOME)}
            again = store.events_by_seq(tx, endpoint.member_id, list(due))
            fresh = store.feed(tx, endpoint.member_id, endpoint.seen_seq, READ)
            blocked = store.blocked_subjects(tx, endpoint_id)
        return _Work(endpoint, [(one, due[one.seq]) for one in again], fresh, blocked)

    async def _send(self, work: _Work) -> Outcome:
        endpoint = work.endpoint
        outcome = Outcome(endpoint, endpoint.seen_seq)
        try:
            line = self._line(self._reach.read(endpoint.url))
        except InvalidInput as error:  # what may be called has become narrower
            line = _NoLine("; ".join(one.what for one in error.problems))
        until = time.monotonic() + TURN_S
        try:
            for event, tried in work.again:
                if not self._goes_on(outcome, until):
                    break
                await self._try(line, outcome, event, tried)
            blocked = set(work.blocked)
            for event in work.fresh:
                if not self._goes_on(outcome, until):
                    break
                if not endpoint.wants(event):
                    pass
                elif event.subject in blocked:
                    outcome.kept.append(store.Kept(event.seq, event.subject, 0, None))
                elif not await self._try(line, outcome, event, 0):
                    blocked.add(event.subject)
                outcome.seen_seq = event.seq
        finally:
            await line.close()
        return outcome

    @staticmethod
    def _goes_on(outcome: Outcome, until: float) -> bool:
        busy = len(outcome.attempts) < SOME and time.monotonic() < until
        return busy and outcome.next_at is None and not outcome.gone

    async def _try(self, line: "Line | _NoLine", outcome: Outcome, event: Event, tried: int) -> bool:
        """One attempt; whether it was taken."""
        now = self._ctx.clock.now()
        body = event.body
        headers = sign(self._secrets_of(outcome.endpoint), str(event.event_id), now, body)
        answer = await line.post(headers, body)
        taken = answer.status is not None and 200 <= answer.status < 300
        after = self._ctx.clock.now()
        next_at = None
        if taken:
            outcome.in_row = 0
            outcome.ended.append(event.seq)
        else:
            outcome.in_row += 1
            outcome.gone = answer.status == GONE
            next_at = next_attempt_at(after, tried + 1, retry_after_s=answer.retry_after_s)
            if next_at is None:
                outcome.ended.append(event.seq)
            else:
                outcome.kept.append(store.Kept(event.seq, event.subject, tried + 1, next_at))
            if answer.status is None or answer.status in AWAY_STATUS or outcome.in_row >= AWAY_AFTER:
                times = 1 if outcome.took else outcome.endpoint.failures + 1
                outcome.next_at = pause_until(after, times, retry_after_s=answer.retry_after_s)
        outcome.attempts.append(
            Attempt(
                outcome.endpoint.endpoint_id,
                event.event_id,
                event.seq,
                tried + 1,
                now,
                answer.took_ms,
                answer.status,
                answer.fault,
                answer.body,
                next_at,
            )
        )
        return taken

    def _keep(self, outcome: Outcome, lease_id: UUID) -> None:
        now = self._ctx.clock.now()
        endpoint = outcome.endpoint
        with self._ctx.tx() as tx:
            held = store.still_held(tx, endpoint.endpoint_id, lease_id)
            store.add_attempts(tx, endpoint.endpoint_id, [(new_id(), one) for one in outcome.attempts])
            if not held:
                return  # another sender has it; what was taken will come again
            store.keep_waiting(tx, endpoint.endpoint_id, outcome.kept)
            store.end_waiting(tx, endpoint.endpoint_id, outcome.ended, now)
            failed = bool(outcome.attempts) and not outcome.took
            store.give_back(
                tx,
                endpoint.endpoint_id,
                seen_seq=outcome.seen_seq,
                took=outcome.took > 0,
                failed_at=now if failed else None,
                failures=outcome.failures,
                next_at=outcome.next_at or now,
            )
            self._disable(tx, outcome, failed=failed, now=now)

    @staticmethod
    def _disable(tx: Tx, outcome: Outcome, *, failed: bool, now: datetime) -> None:
        since = outcome.endpoint.failing_since
        if outcome.gone:
            tell_disabled(tx, outcome.endpoint, "it answered 410 Gone", now)
        elif failed and since is not None and now - since >= DISABLE_AFTER:
            tell_disabled(tx, outcome.endpoint, f"it has taken nothing for {DISABLE_AFTER.days} days", now)

    def _line(self, target: Target) -> Line:
        return Line(target, self._reach, self._resolve, self._tls, self._timeout_s)

    def _secrets_of(self, endpoint: Endpoint) -> list[Secret]:
        return [self._secrets.secret(endpoint.endpoint_id, version) for version in endpoint.versions]


@dataclass(frozen=True, slots=True)
class _NoLine:
    """To an address that may not be called."""

    why: str

    async def post(self, headers: object, body: object) -> Answer:
        del headers, body
        return Answer(None, self.why, b"", None, 0)

    async def close(self) -> None: ...


def turn(ctx: Context, sender: Sender) -> int:
    """Number what was recorded and send what is due, once to each endpoint; gives how many events were taken.

    It waits for the slowest; a ``Courier`` does not.
    """
    number(ctx)

    async def once() -> int:
        lease_id = new_id()
        leased = await sender.lease(lease_id, limit=AT_ONCE)
        return sum(await asyncio.gather(*(sender.serve(one, lease_id) for one in leased)))

    return asyncio.run(once())


def send_code(sender: Sender, endpoint: Endpoint) -> Answer:
    """Send a new endpoint the code that its owner is to show. Errors: InvalidInput when its URL may not be called."""
    return asyncio.run(sender.verify(endpoint))


class Courier:
    """Numbers and sends in a thread of its own, until ``stop``. An error is logged, and the next turn tries again.

    pause_s: how often it looks. Each endpoint that has something due gets a task; the others do not wait for it.
    also: called with each look, for what else becomes events.
    """

    def __init__(
        self, ctx: Context, sender: Sender, *, pause_s: float = 1.0, also: Callable[[], object] | None = None
    ) -> None:
        self._ctx, self._sender, self._pause_s, self._also = ctx, sender, pause_s, also
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hansa-webhooks", daemon=True)

    def __enter__(self) -> "Courier":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish what is under way, fifteen seconds at most, and end."""
        self._stopped.set()
        self._thread.join()
        self._sender.close()

    def _run(self) -> None:
        asyncio.run(self._look_and_send())

    async def _look_and_send(self) -> None:
        under_way: dict[UUID, asyncio.Task[None]] = {}
        forget_at = time.monotonic()
        while not self._stopped.is_set():
            busy = False
            try:
                busy = bool(await self._sender.in_database(self._look))
                if time.monotonic() >= forget_at:
                    await self._sender.in_database(lambda: forget(self._ctx))
                    forget_at = time.monotonic() + FORGET_EVERY_S
                lease_id = new_id()
                free = AT_ONCE - len(under_way)
                leased = await self._sender.lease(lease_id, limit=free, but=list(under_way)) if free else []
                for one in leased:
                    under_way[one] = asyncio.create_task(self._serve(one, lease_id))
            except HansaError as error:
                logger.warning("%s: %s", error.code, error.detail)
            except Exception:  # a fault of ours must not stop delivery for good
                logger.exception("A turn of webhooks failed; the next one tries again.")
            if not busy:
                await asyncio.sleep(self._pause_s if not under_way else min(0.05, self._pause_s))
            under_way = {one: task for one, task in under_way.items() if not task.done()}
        if under_way:
            await asyncio.wait(under_way.values(), timeout=TIMEOUT_S)

    def _look(self) -> int:
        numbered = number(self._ctx)
        if self._also is not None:
            self._also()
        return numbered

    async def _serve(self, endpoint_id: UUID, lease_id: UUID) -> None:
        try:
            await self._sender.serve(endpoint_id, lease_id)
        except HansaError as error:
            logger.warning("%s: %s", error.code, error.detail)
        except Exception:  # a fault of ours must not stop delivery for good; the lease ends by itself
            logger.exception("Sending to an endpoint failed; it is tried again.")
