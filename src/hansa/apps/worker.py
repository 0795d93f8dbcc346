"""The worker: what must happen soon without anyone asking. It may be killed at any time and run beside others.

``JOBS`` is all of it, in order: taps are priced and charges sent to the ledger, what a crash left half-way is finished,
payments and holds whose time is up are released, what is owed goes into settlement windows and out of them, deadlines
are kept, days are proved, persons are told what concerns them, acts are sealed. ``SWEEPS`` lets go of what nobody needs
any more. A job that fails is told of and tried again, ever later, and holds up no other.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread
from time import monotonic

from hansa import (
    approval,
    audit,
    cards,
    clearing,
    disputes,
    hub,
    identity,
    ledger,
    merchants,
    notifications,
    payments,
    reconciliation,
    rides,
    risk,
    settlement,
    trust,
    wallets,
)
from hansa.apps import book_notices, hub_clearing, payment_clearing, pulling
from hansa.apps.notices import payee_names
from hansa.apps.web import advancing
from hansa.kernel import HansaError
from hansa.store import Context, StoreUnavailable, Tx, forget_keys

logger = logging.getLogger("hansa.worker")

SOME = 2_000
"""How much of each kind one turn takes on, so that no kind waits long for another."""

_watcher = risk.Watcher(risk.LEAGUE_FEED, risk.LEAGUE_HANDS)
_prover = reconciliation.Prover()
_connections = payment_clearing.Connections()


Job = Callable[[Context], int]
"""Does some of what waits, and gives how much; zero when nothing waits."""

JOBS: tuple[tuple[str, Job], ...] = (
    ("members", lambda ctx: _turn_members(ctx)),
    ("taps that waited", lambda ctx: rides.retry_taps(ctx, limit=SOME)),
    ("gates' clocks", lambda ctx: rides.check_clocks(ctx, limit=SOME).taps),
    ("fares", lambda ctx: rides.rate(ctx, limit=SOME).days),
    ("charges", lambda ctx: rides.post_charges(ctx, limit=SOME).charges),
    ("payments", lambda ctx: payments.turn(ctx, limit=SOME)),
    ("people's money", lambda ctx: wallets.finish(ctx, limit=SOME)),
    ("sales and tickets", merchants.finish),
    ("announced payments", lambda ctx: pulling.turn(ctx, limit=SOME)),
    ("approvals", lambda ctx: advancing.turn(ctx, limit=SOME)),
    ("city cards", cards.turn),
    ("payments of members", lambda ctx: hub.turn(ctx, limit=SOME)),
    ("holds", lambda ctx: ledger.expire_pending(ctx, limit=SOME)),
    ("chains of taps", lambda ctx: rides.check_chains(ctx, limit=SOME).taps),
    ("disputes", disputes.turn),
    (
        "payments of members into windows",
        hub_clearing.carry,
    ),  # before windows close, so that one has what was in time
    ("clearing", clearing.follow),
    ("windows that are due", lambda ctx: len(clearing.close_due(ctx))),
    ("windows, for members' payments", hub_clearing.hear),
    ("windows, for people's payments", payment_clearing.hear),
    ("positions for payees", lambda ctx: _connections.turn(ctx)),
    ("proofs of days", lambda ctx: _prover.turn(ctx)),
    ("risk", lambda ctx: _watcher.turn(ctx, limit=SOME).heard),
    ("what the books tell", book_notices.turn),
    ("notices", lambda ctx: notifications.hear(ctx, payees=payee_names)),
    ("audit record", lambda ctx: audit.seal(ctx, limit=SOME)),
)
"""What is done in each turn, in this order."""

SWEEPS: tuple[tuple[str, Job], ...] = (
    ("what risk remembers", lambda ctx: _watcher.forget(ctx, limit=SOME)),
    ("quotes", payments.forget_quotes),
    ("used payment codes", merchants.forget),
    ("idempotency keys", lambda ctx: _forget_keys(ctx)),
    ("sessions and challenges that ended", lambda ctx: _in_tx(ctx, identity.forget_ended)),
    ("spends of long ago", lambda ctx: _in_tx(ctx, approval.forget_uses)),
)
"""What is let go of in each turn: some of it, where there is any."""

WAIT_S, WAIT_MAX_S = 1.0, 60.0
"""How long a job that failed is left alone: twice as long each time it fails again, up to a minute."""


def work_once(ctx: Context) -> int:
    """One turn; gives how many things were done. Zero means that nothing waits.

    Errors: the first one of a job, once all others had their turn; StoreUnavailable at once. What was done stays done.
    """
    done, failed = 0, list[Exception]()
    for _, job in (*JOBS, *SWEEPS):
        try:
            done += job(ctx)
        except StoreUnavailable:
            raise
        except Exception as error:  # raised below: it must not keep the others from their turn
            failed.append(error)
    if failed:
        raise failed[0]
    return done


def finish_what_was_left(ctx: Context) -> None:
    """Once, at the start: charges, payments and statements that a crash left between intent and outcome."""
    payments.finish(ctx)
    clearing.finish_swaps(ctx)
    hub.finish(ctx)
    settlement.finish(ctx)


def _turn_members(ctx: Context) -> int:
    with ctx.tx() as tx:
        return len(trust.turn_members(tx, ctx.clock.now()))


def _in_tx(ctx: Context, forget: Callable[[Tx, datetime], int]) -> int:
    with ctx.tx() as tx:
        return forget(tx, ctx.clock.now())


def _forget_keys(ctx: Context) -> int:
    with ctx.tx() as tx:
        return forget_keys(tx, ctx.clock.now())


@dataclass(slots=True)
class _Patience:
    """How long a job is left alone, since it failed."""

    until: float = 0.0
    wait_s: float = WAIT_S

    def fail(self, now: float) -> None:
        self.until, self.wait_s = now + self.wait_s, min(2 * self.wait_s, WAIT_MAX_S)

    def succeed(self) -> None:
        self.until, self.wait_s = 0.0, WAIT_S


class Worker:
    """Turns in a thread of their own, until ``stop``.

    before: each is called at the start of each turn. Of these and of jobs, one that fails is told of in the log and
    left alone for a while, longer each time; the others go on. jobs: what is done in a turn; all, unless given.
    """

    def __init__(
        self,
        ctx: Context,
        *,
        pause_s: float = 1.0,
        before: Sequence[Callable[[], None]] = (),
        jobs: Sequence[tuple[str, Job]] = (*JOBS, *SWEEPS),
    ) -> None:
        self._ctx, self._pause_s = ctx, pause_s
        self._begun = False
        firsts: list[tuple[str, Job]] = [("what a crash left", self._begin)]
        firsts += [(getattr(do, "__qualname__", "before"), _as_job(do)) for do in before]
        self._jobs = [(name, job, _Patience()) for name, job in (*firsts, *jobs)]
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="hansa-worker", daemon=True)

    def __enter__(self) -> "Worker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish the job under way and end."""
        self._stopped.set()
        self._thread.join()

    def _begin(self, ctx: Context) -> int:
        if not self._begun:
            finish_what_was_left(ctx)
            self._begun = True
        return 0

    def _run(self) -> None:
        while not self._stopped.is_set():
            done = sum(self._try(*one) for one in self._jobs if not self._stopped.is_set())
            if not done:
                self._stopped.wait(self._pause_s)

    def _try(self, name: str, job: Job, patience: _Patience) -> int:
        """Do a job, unless it failed just now; how much was done."""
        if monotonic() < patience.until:
            return 0
        try:
            done = job(self._ctx)
        except HansaError as error:
            logger.warning("%s: %s: %s", name, error.code, error.detail)
        except Exception:  # a fault of ours must not stop the rest of the work
            logger.exception("The worker failed at %s; it is tried again, and the rest goes on.", name)
        else:
            patience.succeed()
            return done
        patience.fail(monotonic())
        return 0


def _as_job(do: Callable[[], None]) -> Job:
    def job(_: Context) -> int:
        do()
        return 0

    return job
