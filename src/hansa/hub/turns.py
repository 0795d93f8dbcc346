"""What the hub does without being asked: a turn of the worker, and what a start finishes."""

from hansa.hub.alarms import watch
from hansa.hub.liquidity import apply_caps, finish_liquidity
from hansa.hub.payments import expire, finish_payments
from hansa.store import Context


def turn(ctx: Context, *, limit: int = 2_000) -> int:
    """Let due caps count, end payments whose time is up, take back what can be, raise alarms; gives how much was done.

    Zero means that nothing waits. It may be killed at any time, and run beside others.
    """
    done = apply_caps(ctx)
    done += expire(ctx, limit=limit)
    done += finish_liquidity(ctx)
    done += watch(ctx)
    return done


def finish(ctx: Context) -> int:
    """Once, at the start of a process: what a crash left between the ledger's word and ours.

    Payments whose time is up are ended too: of a hold that the ledger let go by itself it keeps no word to find.
    """
    return finish_liquidity(ctx) + finish_payments(ctx) + expire(ctx)
