"""Who is told that a limit forbade what they wanted to spend: themselves, and so whoever answers for them.

A refusal undoes the transaction that asked, so it is told in one of its own. Told twice, it is one notice.
"""

from collections.abc import Generator
from contextlib import contextmanager

from hansa import webhooks
from hansa.approval.model import LimitReached, Spend
from hansa.store import Context


def refused(error: Exception, spend: Spend) -> Exception:
    """The refusal of this spend, which ``refusals_told`` tells where a limit forbade it."""
    if isinstance(error, LimitReached):
        error.spend = spend
    return error


@contextmanager
def refusals_told(ctx: Context) -> Generator[None]:
    """Tell of what a limit forbids inside, once its transaction is undone; the refusal goes on to the caller."""
    try:
        yield
    except LimitReached as error:
        spend = error.spend
        if spend is not None:
            with ctx.tx() as tx:
                amount = {"minor": spend.amount.minor, "currency": spend.amount.currency}
                told = webhooks.ForPerson(
                    account_id=spend.by or spend.account_id,
                    kind="spending.refused",
                    at=ctx.clock.now(),
                    subject=f"refused {spend.spend_id}",
                    facts={"payee": spend.payee_name, "amount": amount},
                    fact=(spend.spend_id,),
                )
                webhooks.tell(tx, told)
        raise
