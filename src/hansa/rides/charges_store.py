"""The SQL of what was sent to the ledger for rides, or still has to be.

What a journey was charged beyond its rows of charges is its first charge, which went to the ledger as part of a run:
it has a row only once something else happens to the journey (``first_charges``).
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from hansa.kernel import Money
from hansa.rides.model import ChargeRecord
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
from rides.subsidies s
where status = 'intent' and not exists (
    select from unnest(%s::text[], %s::timestamptz[]) as held (member_id, since)
    where held.member_id in (s.payer_id, s.operator_id) and s.event_at >= held.since)
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

# All that journeys were charged, less what still waits of it: corrections that wait count for journeys already.
CHARGED_BY_CURRENCY = """
select currency, sum(minor)
from (
    select currency, charged_minor as minor from rides.journeys
    union all
    select c.currency, -c.amount_minor
    from rides.charges c
    where c.status = 'intent'
        and not exists (select from rides.passes p where p.partition = c.partition and p.pass_id = c.journey_id)
    union all
    select c.currency, c.amount_minor
    from rides.passes p
    join rides.charges c on c.partition = p.partition and c.journey_id = p.pass_id
    where c.status = 'posted'
    union all
    select currency, amount_minor from rides.subsidies where status = 'posted'
) as moved
group by currency
order by currency
"""

LOAD_WITHOUT_ROWS = """
select j.journey_id, j.account_id, j.issuer_id, j.operator_id, j.wallet_currency,
    j.charged_minor - coalesce(c.minor, 0), j.currency, j.ended_at, j.service_day, j.rated_at
from rides.journeys j
left join lateral (
    select sum(c.amount_minor)::bigint as minor
    from rides.charges c
    where c.partition = j.partition and c.journey_id = j.journey_id
) as c on true
where j.partition = %s and j.journey_id = any(%s) and j.charged_minor <> coalesce(c.minor, 0)
"""

ADD_FIRST_CHARGES = """
insert into rides.charges (partition, journey_id, revision, charge_id, account_id, issuer_id, operator_id,
    wallet_currency, amount_minor, currency, event_at, service_day, made_at, on_risk, status, wallet_minor,
    transfer_ids, posted_at)
select %s, k.journey_id, 0, k.charge_id, k.account_id, k.issuer_id, k.operator_id, k.currency, k.amount_minor,
    k.currency, k.event_at, k.service_day, k.made_at, false,
    case when k.posted_at is null then 'intent' else 'posted' end,
    case when k.posted_at is null then null else k.amount_minor end,
    case when k.posted_at is null then null else array[k.transfer_id] end, k.posted_at
from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::char(3)[], %s::timestamptz[],
    %s::date[], %s::timestamptz[], %s::uuid[], %s::timestamptz[])
    as k (journey_id, charge_id, account_id, issuer_id, operator_id, amount_minor, currency, event_at, service_day,
        made_at, transfer_id, posted_at)
on conflict (partition, journey_id, revision) do nothing
"""

FIRST_ROWS = """
select journey_id from rides.charges where partition = %s and journey_id = any(%s) and revision = 0
"""

GET_CHARGES = """
select journey_id, charge_id, revision, status, amount_minor, currency, wallet_minor, wallet_currency, on_risk,
    transfer_ids, made_at, posted_at
from rides.charges
where partition = %s and journey_id = any(%s)
order by journey_id, revision
"""


class WithoutRow(NamedTuple):
    """A first charge that has no row: its journey says all of it."""

    journey_id: UUID
    account_id: UUID
    issuer_id: str
    operator_id: str
    wallet_currency: str
    amount_minor: int
    currency: str
    event_at: datetime
    service_day: date
    made_at: datetime


class FirstCharge(NamedTuple):
    """A first charge as a row is made of it. posted_at: when the ledger booked it; None if it has not."""

    journey_id: UUID
    charge_id: UUID
    account_id: UUID
    issuer_id: str
    operator_id: str
    amount_minor: int
    currency: str
    event_at: datetime
    service_day: date
    made_at: datetime
    transfer_id: UUID | None
    posted_at: datetime | None


def load_subsidy_intents(tx: Tx, limit: int, held: Mapping[str, datetime]) -> list[NewSubsidy]:
    """Subsidies that the ledger may not have yet, in the order in which the rides ended.

    held: members whose subsidies of rides since an instant wait, on either side.
    """
    values = list(held), list(held.values()), limit
    return [NewSubsidy(*row) for row in tx.execute(LOAD_SUBSIDY_INTENTS, values)]


def mark_subsidies_posted(tx: Tx, posted: Sequence[tuple[NewSubsidy, UUID]], at: datetime) -> None:
    """Note what the ledger has: subsidy and transfer."""
    if posted:
        rows = [
            (one.partition, one.journey_id, one.revision, one.payer_id, transfer_id)
            for one, transfer_id in posted
        ]
        tx.execute(MARK_SUBSIDIES_POSTED, (at, *(list(column) for column in zip(*rows, strict=True))))


def charged_by_currency(tx: Tx) -> dict[str, int]:
    """All that was charged for rides and that no row of charges says to wait: runs that wait are in it."""
    return {row[0]: int(row[1]) for row in tx.execute(CHARGED_BY_CURRENCY)}


def load_without_rows(tx: Tx, partition: int, journey_ids: Sequence[UUID]) -> list[WithoutRow]:
    """The first charges of these journeys that have no rows."""
    return [WithoutRow(*row) for row in tx.execute(LOAD_WITHOUT_ROWS, (partition, list(journey_ids)))]


def add_first_charges(tx: Tx, partition: int, charges: Sequence[FirstCharge]) -> None:
    """Make rows of first charges; those that have one by now keep it."""
    if charges:
        tx.execute(ADD_FIRST_CHARGES, (partition, *(list(column) for column in zip(*charges, strict=True))))


def with_first_rows(tx: Tx, partition: int, journey_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these journeys whose first charge has a row."""
    return {row[0] for row in tx.execute(FIRST_ROWS, (partition, list(journey_ids)))}


def get_charges(tx: Tx, partition: int, journey_ids: Sequence[UUID]) -> list[tuple[UUID, ChargeRecord]]:
    """The charges of these journeys that have rows, each journey's first to last."""
    return [
        (
            row[0],
            ChargeRecord(
                charge_id=row[1],
                revision=row[2],
                status=row[3],
                amount=Money(row[4], row[5]),
                wallet_amount=None if row[6] is None else Money(row[6], row[7]),
                on_risk=row[8],
                transfer_ids=tuple(row[9] or ()),
                made_at=row[10],
                posted_at=row[11],
            ),
        )
        for row in tx.execute(GET_CHARGES, (partition, list(journey_ids)))
    ]
