"""The SQL of what was sent to the ledger for rides, or still has to be."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from hansa.rides.rating_store import NewCharge, NewSubsidy
from hansa.store import Tx

LOAD_INTENTS = """
select partition, journey_id, revision, charge_id, account_id, issuer_id, operator_id, wallet_currency, amount_minor,
    currency, event_at, service_day
from rides.charges
where status = 'intent'
    and (%(at)s::timestamptz is null or (event_at, journey_id, revision) > (%(at)s, %(journey_id)s, %(revision)s))
order by event_at, journey_id, revision
limit %(limit)s
"""

MARK_POSTED = """
update rides.charges c
set status = 'posted', wallet_minor = k.wallet_minor, on_risk = k.on_risk,
    transfer_ids = string_to_array(k.transfer_ids, ' ')::uuid[], posted_at = %s
from unnest(%s::smallint[], %s::uuid[], %s::integer[], %s::bigint[], %s::boolean[], %s::text[])
    as k (partition, journey_id, revision, wallet_minor, on_risk, transfer_ids)
where c.partition = k.partition and c.journey_id = k.journey_id and c.revision = k.revision and c.status = 'intent'
"""


class PostedCharge(NamedTuple):
    """What became of a charge."""

    partition: int
    journey_id: UUID
    revision: int
    wallet_minor: int
    on_risk: bool
    transfer_ids: str


def load_intents(tx: Tx, limit: int, *, after: NewCharge | None = None) -> list[NewCharge]:
    """Charges that the ledger may not have yet, in the order in which the rides ended, those after one."""
    values = {
        "at": after.event_at if after else None,
        "journey_id": after.journey_id if after else None,
        "revision": after.revision if after else None,
        "limit": limit,
    }
    return [NewCharge(*row) for row in tx.execute(LOAD_INTENTS, values)]


def mark_posted(tx: Tx, posted: Sequence[PostedCharge], at: datetime) -> None:
    """Note what the ledger has."""
    if posted:
        tx.execute(MARK_POSTED, (at, *(list(column) for column in zip(*posted, strict=True))))


LOAD_SUBSIDY_INTENTS = """
select partition, journey_id, revision, payer_id, subsidy_id, operator_id, amount_minor, currency, event_at, service_day
from rides.subsidies
where status = 'intent'
order by event_at, subsidy_id
limit %s
"""

MARK_SUBSIDIES_POSTED = """
update rides.subsidies s
set status = 'posted', transfer_id = k.transfer_id, posted_at = %s
from unnest(%s::smallint[], %s::uuid[], %s::integer[], %s::text[], %s::uuid[])
    as k (partition, journey_id, revision, payer_id, transfer_id)
where s.partition = k.partition and s.journey_id = k.journey_id and s.revision = k.revision and s.payer_id = k.payer_id
    and s.status = 'intent'
"""

POSTED_BY_CURRENCY = """
select currency, sum(amount_minor)
from (
    select currency, amount_minor from rides.charges where status = 'posted'
    union all
    select currency, amount_minor from rides.subsidies where status = 'posted'
) as moved
group by currency
order by currency
"""


def load_subsidy_intents(tx: Tx, limit: int) -> list[NewSubsidy]:
    """Subsidies that the ledger may not have yet, in the order in which the rides ended."""
    return [NewSubsidy(*row) for row in tx.execute(LOAD_SUBSIDY_INTENTS, (limit,))]


def mark_subsidies_posted(tx: Tx, posted: Sequence[tuple[NewSubsidy, UUID]], at: datetime) -> None:
    """Note what the ledger has: subsidy and transfer."""
    if posted:
        rows = [
            (one.partition, one.journey_id, one.revision, one.payer_id, transfer_id)
            for one, transfer_id in posted
        ]
        tx.execute(MARK_SUBSIDIES_POSTED, (at, *(list(column) for column in zip(*rows, strict=True))))


def posted_by_currency(tx: Tx) -> dict[str, int]:
    """All that ever was posted for rides: charges and subsidies, in minor units."""
    return {row[0]: int(row[1]) for row in tx.execute(POSTED_BY_CURRENCY)}
