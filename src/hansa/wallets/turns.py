"""What happens by itself: ends what a crash left, what has run out, and what banks said."""

from collections.abc import Callable

from hansa.store import Context
from hansa.wallets import automatic, hearing, requests, returns, top_ups, transfers, vouchers, withdrawals
from hansa.wallets.rails import BankRail

Rails = dict[str, BankRail]
"""Ways to people's banks, by their names."""


def finish(ctx: Context, *, limit: int = 1_000) -> int:
    """What needs no bank: transfers, requests and vouchers; gives how many moved. Again is harmless."""
    return transfers.finish(ctx, limit) + requests.expire(ctx, limit) + vouchers.finish(ctx, min(limit, 500))


def turn(ctx: Context, rails: Rails, *, limit: int = 500) -> int:
    """What banks are asked and told: entries heard, orders sent and asked after, low wallets topped up."""
    rail_of: Callable[[str], BankRail | None] = rails.get
    done = sum(hearing.hear(ctx, rail) for rail in rails.values())
    done += top_ups.finish(ctx, rail_of, limit)
    done += withdrawals.finish(ctx, rail_of, limit)
    done += returns.finish(ctx, rail_of, limit)
    return done + automatic.turn(ctx, rail_of, limit)
