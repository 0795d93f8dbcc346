"""What goes on once a person has approved it, or has not: each kind of subject, and who carries it on.

A page calls ``carry_on`` right after an approval ended; the worker calls ``turn``, which also does so for what a crash
left, for what cooled and for what nobody approved in time. Whoever carries on must be harmless when called again, and
looks itself at how the approval ended (``approval.approval_state``).
"""

import logging
from collections.abc import Callable
from uuid import UUID

from hansa import approval, cards, payments, wallets
from hansa.kernel import HansaError
from hansa.store import Context

logger = logging.getLogger("hansa.approval")

ADVANCE: dict[str, Callable[[Context, UUID], object]] = {
    "mandate": approval.advance_mandate,
    "delegation": approval.advance_delegation,
    payments.SUBJECT: payments.advance_spend,
    "transfer": wallets.transfers.advance,
    "card": cards.go_on,
    "withdrawal": wallets.withdrawals.go_on,
}
"""By the kind of an approval's subject: who goes on with the subject of this id."""


def advance(ctx: Context, kind: str, subject_id: UUID) -> bool:
    """Go on with one subject; False where nobody waits for this kind."""
    go_on = ADVANCE.get(kind)
    if go_on is None:
        return False
    go_on(ctx, subject_id)
    return True


def carry_on(ctx: Context, kind: str, subject_id: UUID) -> bool:
    """Go on with what was just approved or refused; False when that has to wait for the worker's next turn."""
    try:
        advance(ctx, kind, subject_id)
    except HansaError as error:
        logger.warning("%s %s: %s: %s", kind, subject_id, error.code, error.detail)
        return False
    return True


def turn(ctx: Context, *, limit: int = 500) -> int:
    """Expire, give what has cooled, ask no more who left, and tell whoever waits; gives how many things were done."""
    done = approval.turn(ctx, limit=limit) + approval.end_co_approvers(ctx, limit=limit)
    return done + approval.tell(ctx, advance, limit=limit)
