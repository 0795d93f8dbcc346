"""The SQL of passes that riders bought."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.kernel import Money
from hansa.store import Tx

ADD_BOUGHT = """
insert into rides.passes (partition, pass_id, account_id, operator_id, name, from_day, until_day, rider_class,
    issuer_id, wallet_currency, price_minor, currency, tariff_from, bought_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

# used, saved: rides that it made cheaper by now, and by how much.
LIST_PASSES = """
select p.pass_id, p.account_id, p.operator_id, p.name, p.from_day, p.until_day, p.rider_class, p.issuer_id,
    p.wallet_currency, p.price_minor, p.currency, p.tariff_from, p.bought_at, p.refunded_at,
    coalesce(u.rides, 0) as used, coalesce(u.saved, 0) as saved_minor
from rides.passes p
left join lateral (
    select count(*) as rides, -sum((step ->> 1)::bigint)::bigint as saved
    from rides.journeys j
    cross join lateral jsonb_array_elements(coalesce(j.steps, j.steps_text::jsonb)) as step
    where j.partition = p.partition and j.account_id = p.account_id and j.operator_id = p.operator_id
        and j.service_day between p.from_day and p.until_day and j.status = 'priced'
        and step ->> 0 = 'pass' and step -> 2 ->> 'name' = p.name
) u on p.refunded_at is null
where p.partition = %(partition)s and p.account_id = %(account_id)s
    and (%(pass_id)s::uuid is null or p.pass_id = %(pass_id)s::uuid)
order by p.from_day desc, p.bought_at desc, p.pass_id
"""

GIVE_BACK = """
update rides.passes set refunded_at = %s where partition = %s and pass_id = %s and refunded_at is null
"""

LIST_WAITING = """
select c.currency, sum(c.amount_minor)::bigint
from rides.passes p
join rides.charges c on c.partition = p.partition and c.journey_id = p.pass_id
where p.partition = %s and p.account_id = %s and p.wallet_currency = %s and c.status = 'intent'
group by c.currency
having sum(c.amount_minor) > 0
order by c.currency
"""


@dataclass(frozen=True, slots=True)
class PassRow:
    """A pass as it is kept, with the rides that it made cheaper by now."""

    pass_id: UUID
    account_id: UUID
    operator_id: str
    name: str
    from_day: date
    until_day: date
    rider_class: str
    issuer_id: str
    wallet_currency: str
    price_minor: int
    currency: str
    tariff_from: date
    bought_at: datetime
    refunded_at: datetime | None
    used: int
    saved_minor: int


def add_pass(tx: Tx, partition: int, one: PassRow) -> None:
    """Keep a pass that is bought."""
    row = (
        partition,
        one.pass_id,
        one.account_id,
        one.operator_id,
        one.name,
        one.from_day,
        one.until_day,
        one.rider_class,
        one.issuer_id,
        one.wallet_currency,
        one.price_minor,
        one.currency,
        one.tariff_from,
        one.bought_at,
    )
    tx.execute(ADD_BOUGHT, row)


def list_passes(tx: Tx, partition: int, account_id: UUID, pass_id: UUID | None = None) -> Sequence[PassRow]:
    """An account's passes, latest first; one of them where it is named."""
    values = {"partition": partition, "account_id": account_id, "pass_id": pass_id}
    return tx.cursor(row_factory=class_row(PassRow)).execute(LIST_PASSES, values).fetchall()


def refund_pass(tx: Tx, partition: int, pass_id: UUID, at: datetime) -> None:
    """Note that a pass is given back."""
    tx.execute(GIVE_BACK, (at, partition, pass_id))


def list_waiting(tx: Tx, partition: int, account_id: UUID, wallet_currency: str) -> list[Money]:
    """What passes cost that are bought from a wallet and not yet charged to it, by currency."""
    rows = tx.execute(LIST_WAITING, (partition, account_id, wallet_currency))
    return [Money(minor, currency) for currency, minor in rows]
