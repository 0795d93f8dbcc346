"""Letting go of what was allowed long ago: no limit counts it, and whatever repeats it is known by its own room."""

from datetime import datetime, timedelta

from hansa.store import Tx

KEPT = timedelta(days=400)
"""How long a use is kept: longer than a year, the longest time over which anything is counted."""

FORGET = """
delete from approval.uses u using (
    select o.partition, o.spend_id from approval.uses o
    where o.at < %s and (o.under_id is null or not exists (
        select from approval.delegations d where d.partition = o.partition and d.delegation_id = o.under_id))
    limit %s
) as old
where (u.partition, u.spend_id) = (old.partition, old.spend_id)
"""


def forget_uses(tx: Tx, at: datetime, *, limit: int = 5_000) -> int:
    """Let go of spends that were allowed more than 400 days ago, some of them; gives how many. Counters stay.

    What a delegate spent is kept: the owner's history names who spent.
    """
    return tx.execute(FORGET, (at - KEPT, limit)).rowcount
