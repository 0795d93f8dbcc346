"""The bell in the head of the wallet's pages: how many notices are unread, asked for only where a page shows it.

Whoever finds out who is signed in hangs the bell for this request; a page that has a head rings it. Both happen in one
thread or task, whose context ends with the request, so nobody sees another's count.
"""

from collections.abc import Callable
from contextvars import ContextVar

from hansa import identity, notifications
from hansa.kernel import HansaError
from hansa.store import Context

_ASK: ContextVar[Callable[[], int] | None] = ContextVar("bell", default=None)


def hang(ctx: Context, account: identity.Account) -> None:
    """This person's notices are what pages of this request count."""

    def ask() -> int:
        with ctx.tx() as tx:
            partition = ctx.directory.partition_of(account.account_id)
            return notifications.count_unread(tx, account.account_id, partition=partition)

    _ASK.set(ask)


def unread() -> int:
    """How many notices of who is signed in are unread; zero for nobody, or where that cannot be said now."""
    ask = _ASK.get()
    if ask is None:
        return 0
    try:
        return ask()
    except HansaError:
        return 0
