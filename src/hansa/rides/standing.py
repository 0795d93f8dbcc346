"""Charges of members that may not ride business now: kept as intents and shown, posted once they may again.

A ride that ended before a member was suspended, or before its business ended, is charged as ever: it is of the past.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from hansa import trust
from hansa.rides.rating_store import NewCharge
from hansa.store import Tx

HELD = """
select currency, count(*), coalesce(sum(amount_minor), 0)::bigint, min(event_at)
from rides.charges
where status = 'intent' and event_at >= %(since)s
    and (issuer_id = any(%(members)s::text[]) or operator_id = any(%(members)s::text[]))
group by currency
order by currency
"""


@dataclass(frozen=True, slots=True)
class HeldCharges:
    """Charges of a member that wait until it may go on, in one currency. first_at: the end of the earliest ride."""

    currency: str
    count: int
    minor: int
    first_at: datetime


def part_held(tx: Tx, charges: Iterable[NewCharge], at: datetime) -> list[NewCharge]:
    """Those of these charges that may be posted at an instant, in their order; the others wait for their members."""
    shut = trust.shut_out(tx, "ride", at)
    return [one for one in charges if not _holds(shut, one)]


def held_charges(tx: Tx, member_id: str, at: datetime) -> list[HeldCharges]:
    """Charges of a member, as issuer or operator, or of those that clear as it, that wait because of its standing."""
    shut = trust.shut_out(tx, "ride", at)
    members = [
        one.member_id
        for one in trust.list_members(tx)
        if member_id in (one.member_id, one.clears_as) and one.member_id in shut
    ]
    if not members:
        return []
    since = min(shut[one] for one in members)
    return [HeldCharges(*row) for row in tx.execute(HELD, {"since": since, "members": members})]


def _holds(shut: dict[str, datetime], charge: NewCharge) -> bool:
    return any(
        member in shut and charge.event_at >= shut[member]
        for member in (charge.issuer_id, charge.operator_id)
    )
