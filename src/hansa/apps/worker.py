"""The worker: what must happen soon without anyone asking. It may be killed at any time and run beside others.

Taps that came in are priced, those that waited for their token are taken in, charges are sent to the ledger, what a
crash left half-way is finished, payments between members and holds whose time is up are released, what members paid one
another goes into settlement windows and out of them, members' limits are watched, gates' clocks and chains of taps are
checked, deadlines of disputes are kept, closed days are proved, the rules of risk judge what gates sent, persons are
told what concerns them, and acts of the audit record are sealed.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread

from hansa import (
    audit,
    cards,
    clearing,
    disputes,
    hub,
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
from hansa.apps import hub_clearing, payment_clearing
from hansa.apps.notices import payee_names
from hansa.apps.web import advancing
from hansa.kernel import HansaError
from hansa.store import Context

logger = logging.getLogger("hansa.worker")

SOME = 2_000
"""How much of each kind one turn takes on, so that no kind waits long for another."""

_watcher = risk.Watcher(risk.LEAGUE_FEED, risk.LEAGUE_HANDS)
_prover = reconciliation.Prover()
_connections = payment_clearing.Connections()


def work_once(ctx: Context) -> int:
    """One turn; gives how many things were done. Zero means that nothing waits.

    Errors: StoreUnavailable and the like; what was done before stays done.
    """
    with ctx.tx() as tx:
        done = len(trust.turn_members(tx, ctx.clock.now()))
    done += rides.retry_taps(ctx, limit=SOME)
    done += rides.check_clocks(ctx, limit=SOME).taps
    done += rides.rate(ctx, limit=SOME).days
    done += rides.post_charges(ctx, limit=SOME).charges
    done += payments.turn(ctx, limit=SOME)
    done += wallets.finish(ctx, limit=SOME)
    done += merchants.finish(ctx)
    done += cards.turn(ctx, limit=SOME)
    done += advancing.turn(ctx, limit=SOME)
    done += hub.turn(ctx, limit=SOME)
    done += ledger.expire_pending(ctx, limit=SOME)
    done += rides.check_chains(ctx, limit=SOME).taps
    done += disputes.turn(ctx)
    done += hub_clearing.carry(ctx)  # before windows close, so that one has what was paid before its cut-off
    done += clearing.follow(ctx)
    done += len(clearing.close_due(ctx))
    done += hub_clearing.hear(ctx)
    done += payment_clearing.hear(ctx)
    done += _connections.turn(ctx)
    done += payments.forget_quotes(ctx)
    done += _prover.turn(ctx)
    done += _watcher.turn(ctx, limit=SOME).heard
    done += _watcher.forget(ctx, limit=SOME)
    done += notifications.hear(ctx, payees=payee_names)
    done += audit.seal(ctx, limit=SOME)
    return done


def finish_what_was_left(ctx: Context) -> None:
    """Once, at the start: charges, payments and statements that a crash left between intent and outcome."""
    payments.finish(ctx)
    merchants.forget(ctx)
    clearing.finish_swaps(ctx)
    hub.finish(ctx)
    settlement.finish(ctx)


class Worker:
    """Turns in a thread of their own, until ``stop``.

    before: each is called at the start of each turn. An error is logged and the next turn tries again.
    """

    def __init__(
        self, ctx: Context, *, pause_s: float = 1.0, before: Sequence[Callable[[], None]] = ()
    ) -> None:
        self._ctx, self._pause_s, self._before = ctx, pause_s, before
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="hansa-worker", daemon=True)

    def __enter__(self) -> "Worker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish the turn under way and end."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        begun = False
        while not self._stopped.is_set():
            done = 0
            try:
                if not begun:
                    finish_what_was_left(self._ctx)
                    begun = True
                for do in self._before:
                    do()
                done = work_once(self._ctx)
            except HansaError as error:
                logger.warning("%s: %s", error.code, error.detail)
            except Exception:  # a fault of ours must not stop the rest of the work for good
                logger.exception("A turn of the worker failed; the next one tries again.")
            if not done:
                self._stopped.wait(self._pause_s)
