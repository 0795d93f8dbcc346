"""The SQL of payments.

A plain fare in the wallet's own currency has no row here: ``plain_fares`` finds it on the wallet's statement.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa import ledger
from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.payments.model import (
    Charge,
    Mark,
    MovementKind,
    Plan,
    TopUp,
    fare_transfer,
    top_up_transfer,
    wallet_transfer_of,
)
from hansa.store import Tx

DebtKey = tuple[int, AccountId, str, str]
"""Partition, account, issuer, currency."""

SET_RATES = """
insert into payments.rates (rate_day, base, quote, numerator, denominator)
select %s, * from unnest(%s::char(3)[], %s::char(3)[], %s::bigint[], %s::bigint[])
on conflict (rate_day, base, quote) do nothing
"""

FETCH_RATES = """
select r.rate_day, r.base, r.quote, r.numerator, r.denominator
from payments.rates r
where r.rate_day = any(%s::date[])
"""

KEEP_WALLETS = """
insert into payments.wallets (partition, account_id, currency)
select * from unnest(%s::smallint[], %s::uuid[], %s::char(3)[])
on conflict do nothing
"""

WALLETS_OF = (
    "select currency from payments.wallets where partition = %s and account_id = %s order by currency"
)

INTEND_TOP_UPS = """
insert into payments.top_ups
    (partition, top_up_id, account_id, issuer_id, amount_minor, currency, top_up_at, state)
select *, 'intended' from unnest(
    %s::smallint[], %s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::char(3)[], %s::timestamptz[])
on conflict (partition, top_up_id) do nothing
"""

FETCH_TOP_UPS = """
select t.partition, t.top_up_id, t.account_id, t.issuer_id, t.amount_minor, t.currency, t.top_up_at, t.state
from payments.top_ups t
join unnest(%s::smallint[], %s::uuid[]) as asked (partition, top_up_id) using (partition, top_up_id)
"""

FORGET_TOP_UPS = """
delete from payments.top_ups t
using unnest(%s::smallint[], %s::uuid[]) as gone (partition, top_up_id)
where t.partition = gone.partition and t.top_up_id = gone.top_up_id and t.state = 'intended'
"""

FINISH_TOP_UPS = """
update payments.top_ups t set state = 'posted'
from unnest(%s::smallint[], %s::uuid[]) as done (partition, top_up_id)
where t.partition = done.partition and t.top_up_id = done.top_up_id and t.state = 'intended'
"""

UNFINISHED_TOP_UPS = """
select partition, top_up_id, account_id, issuer_id, amount_minor, currency, top_up_at, state
from payments.top_ups
where state = 'intended' and partition = any(%s::smallint[])
order by partition, top_up_id
limit %s
"""

INTEND_CHARGES = """
insert into payments.charges
    (partition, charge_id, account_id, issuer_id, wallet_currency, amount_minor, currency, payee, charge_at,
     rate_day, reference, code, wallet_minor, risk_minor, state)
select *, 'intended' from unnest(
    %s::smallint[], %s::uuid[], %s::uuid[], %s::text[], %s::char(3)[], %s::bigint[], %s::char(3)[], %s::uuid[],
    %s::timestamptz[], %s::date[], %s::uuid[], %s::smallint[], %s::bigint[], %s::bigint[])
on conflict (partition, charge_id) do nothing
returning charge_id
"""

FETCH_CHARGES = """
select c.partition, c.charge_id, c.account_id, c.issuer_id, c.wallet_currency, c.amount_minor, c.currency, c.payee,
    c.charge_at, c.rate_day, c.reference, c.code, c.wallet_minor, c.risk_minor, c.state
from payments.charges c
join unnest(%s::smallint[], %s::uuid[]) as asked (partition, charge_id) using (partition, charge_id)
"""

UNFINISHED_CHARGES = """
select partition, charge_id, account_id, issuer_id, wallet_currency, amount_minor, currency, payee,
    charge_at, rate_day, reference, code, wallet_minor, risk_minor, state
from payments.charges
where state = 'intended' and partition = any(%s::smallint[])
order by partition, charge_at, charge_id
limit %s
"""

# What went on risk becomes the rider's debt in the statement that records it, once, whoever records it.
FINISH_CHARGES = """
with done as (
    update payments.charges c
    set state = 'posted', wallet_minor = d.wallet_minor, risk_minor = d.risk_minor
    from unnest(%s::smallint[], %s::uuid[], %s::bigint[], %s::bigint[])
        as d (partition, charge_id, wallet_minor, risk_minor)
    where c.partition = d.partition and c.charge_id = d.charge_id and c.state = 'intended'
    returning c.partition, c.account_id, c.issuer_id, c.currency, c.risk_minor
), owed as (
    select partition, account_id, issuer_id, currency, sum(risk_minor) as minor
    from done
    where risk_minor > 0
    group by partition, account_id, issuer_id, currency
)
insert into payments.debts (partition, account_id, issuer_id, currency, owed_minor)
select partition, account_id, issuer_id, currency, minor from owed
order by partition, account_id, issuer_id, currency
on conflict (partition, account_id, issuer_id, currency)
    do update set owed_minor = payments.debts.owed_minor + excluded.owed_minor
"""

LOCK_DEBTS = """
select d.partition, d.account_id, d.issuer_id, d.currency, d.owed_minor
from payments.debts d
join unnest(%s::smallint[], %s::uuid[], %s::text[], %s::char(3)[])
    as asked (partition, account_id, issuer_id, currency) using (partition, account_id, issuer_id, currency)
order by d.partition, d.account_id, d.issuer_id, d.currency
for no key update of d
"""

WRITE_OFF_DEBTS = """
update payments.debts d set owed_minor = d.owed_minor - w.minor
from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::char(3)[], %s::bigint[])
    as w (partition, account_id, issuer_id, currency, minor)
where (d.partition, d.account_id, d.issuer_id, d.currency) = (w.partition, w.account_id, w.issuer_id, w.currency)
"""

DEBTS_OF = """
select currency, sum(owed_minor)::bigint
from payments.debts
where partition = %s and account_id = %s and owed_minor > 0
group by currency
order by currency
"""

OWED = """
select charge_at, reference, risk_minor, currency from payments.charges
where partition = %s and account_id = %s and charge_at >= %s and charge_at < %s and risk_minor <> 0 and state = 'posted'
order by charge_at, charge_id
"""

MOVEMENTS = """
(
    select top_up_at as at, 'top_up' as kind, amount_minor as wallet_minor, currency as wallet_currency,
        amount_minor as price_minor, currency as price_currency, 0::bigint as owed_minor, top_up_id as reference,
        state = 'posted' as finished, top_up_id as movement_id
    from payments.top_ups
    where partition = %(partition)s and account_id = %(account_id)s
        and (top_up_at, top_up_id) < (%(at)s::timestamptz, %(id)s::uuid)
    order by top_up_at desc, top_up_id desc
    limit %(limit)s
) union all (
    select charge_at, case code when 1 then 'top_up_returned' when 20 then 'withdrawal'
        else case when amount_minor > 0 then 'fare' else 'correction' end end, -wallet_minor, wallet_currency,
        amount_minor, currency, risk_minor, reference, state = 'posted', charge_id
    from payments.charges
    where partition = %(partition)s and account_id = %(account_id)s
        and (charge_at, charge_id) < (%(at)s::timestamptz, %(id)s::uuid)
    order by charge_at desc, charge_id desc
    limit %(limit)s
)
order by at desc, movement_id desc
limit %(limit)s
"""

# What the lines from one on, it and all newer, brought to each wallet: what they left is what there was before them.
GAINED_SINCE = """
select currency, sum(minor)::bigint
from (
    select currency, amount_minor as minor
    from payments.top_ups
    where partition = %(partition)s and account_id = %(account_id)s and state = 'posted'
        and (top_up_at, top_up_id) >= (%(at)s::timestamptz, %(id)s::uuid)
    union all
    select wallet_currency, -wallet_minor
    from payments.charges
    where partition = %(partition)s and account_id = %(account_id)s and state = 'posted'
        and (charge_at, charge_id) >= (%(at)s::timestamptz, %(id)s::uuid)
) as lines
group by currency
"""

ROWS_BETWEEN = """
select charge_id, charge_at, 'charge' from payments.charges
where partition = %(partition)s and account_id = %(account_id)s and charge_at between %(first)s and %(last)s
union all
select top_up_id, top_up_at, 'top_up' from payments.top_ups
where partition = %(partition)s and account_id = %(account_id)s and top_up_at between %(first)s and %(last)s
"""

END_OF_TIME = ("infinity", UUID(int=2**128 - 1))


class Line(NamedTuple):
    """A movement as it is read, before what the wallet held after it: amounts as in ``Movement``, in minor units."""

    at: datetime
    kind: MovementKind
    wallet_minor: int
    wallet_currency: str
    price_minor: int
    price_currency: str
    owed_minor: int
    reference: UUID
    finished: bool
    movement_id: UUID
    has_row: bool = True

    @property
    def transfer_id(self) -> UUID | None:
        """The transfer by which it moved the wallet; None where it has not, or the issuer carried it."""
        if not self.finished or not self.wallet_minor:
            return None
        if not self.has_row:
            return self.movement_id
        if self.kind is MovementKind.TOP_UP:
            return top_up_transfer(self.movement_id, self.at)
        same = self.price_currency == self.wallet_currency
        return (fare_transfer if same else wallet_transfer_of)(self.movement_id, self.at)


@dataclass(frozen=True, slots=True)
class TopUpRow:
    """A top-up as it is kept."""

    partition: int
    top_up_id: UUID
    account_id: UUID
    issuer_id: str
    amount_minor: int
    currency: str
    top_up_at: datetime
    state: str

    def body(self) -> TopUp:
        return TopUp(
            self.top_up_id,
            AccountId(self.account_id),
            self.issuer_id,
            Money(self.amount_minor, self.currency),
            self.top_up_at,
        )


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """A charge as it is kept: its body, how it is carried, how far it is."""

    partition: int
    charge_id: UUID
    account_id: UUID
    issuer_id: str
    wallet_currency: str
    amount_minor: int
    currency: str
    payee: UUID
    charge_at: datetime
    rate_day: date
    reference: UUID
    code: int
    wallet_minor: int
    risk_minor: int
    state: str

    def body(self) -> Charge:
        return Charge(
            charge_id=self.charge_id,
            account_id=AccountId(self.account_id),
            issuer_id=self.issuer_id,
            wallet_currency=self.wallet_currency,
            amount=Money(self.amount_minor, self.currency),
            payee=ledger.AccountId(self.payee),
            at=self.charge_at,
            rate_day=self.rate_day,
            reference=self.reference,
            code=ledger.TransferCode(self.code),
        )


def set_rates(tx: Tx, day: date, rates: Sequence[tuple[str, str, Fraction]]) -> None:
    """Keep the rates of a day that are not kept yet."""
    tx.execute(
        SET_RATES,
        (
            day,
            [base for base, _, _ in rates],
            [quote for _, quote, _ in rates],
            [rate.numerator for _, _, rate in rates],
            [rate.denominator for _, _, rate in rates],
        ),
    )


def fetch_rates(tx: Tx, days: Collection[date]) -> dict[tuple[date, str, str], Fraction]:
    """Every rate of these days, in the direction it was set."""
    rows = tx.execute(FETCH_RATES, (list(days),)).fetchall()
    return {
        (day, base, quote): Fraction(numerator, denominator)
        for day, base, quote, numerator, denominator in rows
    }


def keep_wallets(tx: Tx, wallets: Sequence[tuple[int, AccountId, str]]) -> None:
    """Remember which wallets an account has."""
    tx.execute(
        KEEP_WALLETS,
        (
            [p for p, _, _ in wallets],
            [account for _, account, _ in wallets],
            [unit for _, _, unit in wallets],
        ),
    )


def wallets_of(tx: Tx, partition: int, account_id: AccountId) -> list[str]:
    """The currencies an account has wallets in."""
    return [currency for (currency,) in tx.execute(WALLETS_OF, (partition, account_id)).fetchall()]


def intend_top_ups(tx: Tx, top_ups: Sequence[tuple[int, TopUp]]) -> None:
    """Write down top-ups that are about to be posted; known ones stay as they are."""
    tx.execute(
        INTEND_TOP_UPS,
        (
            [partition for partition, _ in top_ups],
            [top_up.top_up_id for _, top_up in top_ups],
            [top_up.account_id for _, top_up in top_ups],
            [top_up.issuer_id for _, top_up in top_ups],
            [top_up.amount.minor for _, top_up in top_ups],
            [top_up.amount.currency for _, top_up in top_ups],
            [top_up.at for _, top_up in top_ups],
        ),
    )


def fetch_top_ups(tx: Tx, keys: Sequence[tuple[int, UUID]]) -> dict[UUID, TopUpRow]:
    """The top-ups of these keys that are kept."""
    with tx.cursor(row_factory=class_row(TopUpRow)) as cursor:
        cursor.execute(FETCH_TOP_UPS, ([p for p, _ in keys], [top_up_id for _, top_up_id in keys]))
        return {row.top_up_id: row for row in cursor}


def unfinished_top_ups(tx: Tx, partitions: Collection[int], limit: int) -> list[TopUpRow]:
    """Top-ups that were written down and whose outcome was not."""
    with tx.cursor(row_factory=class_row(TopUpRow)) as cursor:
        return cursor.execute(UNFINISHED_TOP_UPS, (list(partitions), limit)).fetchall()


def finish_top_ups(tx: Tx, rows: Sequence[TopUpRow]) -> None:
    """Record that these are in the ledger."""
    tx.execute(FINISH_TOP_UPS, ([row.partition for row in rows], [row.top_up_id for row in rows]))


def forget_top_ups(tx: Tx, rows: Sequence[TopUpRow]) -> None:
    """Forget top-ups that were written down and can never be posted."""
    tx.execute(FORGET_TOP_UPS, ([row.partition for row in rows], [row.top_up_id for row in rows]))


def intend_charges(tx: Tx, charges: Sequence[tuple[int, Charge, Plan]]) -> set[UUID]:
    """Write down charges that are about to be posted; the ids of those that were not known."""
    cursor = tx.execute(
        INTEND_CHARGES,
        (
            [partition for partition, _, _ in charges],
            [charge.charge_id for _, charge, _ in charges],
            [charge.account_id for _, charge, _ in charges],
            [charge.issuer_id for _, charge, _ in charges],
            [charge.wallet_currency for _, charge, _ in charges],
            [charge.amount.minor for _, charge, _ in charges],
            [charge.amount.currency for _, charge, _ in charges],
            [charge.payee for _, charge, _ in charges],
            [charge.at for _, charge, _ in charges],
            [charge.rate_day for _, charge, _ in charges],
            [charge.reference for _, charge, _ in charges],
            [int(charge.code) for _, charge, _ in charges],
            [plan.wallet_minor for _, _, plan in charges],
            [plan.risk_minor for _, _, plan in charges],
        ),
    )
    return {charge_id for (charge_id,) in cursor.fetchall()}


def fetch_charges(tx: Tx, keys: Sequence[tuple[int, UUID]]) -> dict[UUID, ChargeRow]:
    """The charges of these keys that are kept."""
    with tx.cursor(row_factory=class_row(ChargeRow)) as cursor:
        cursor.execute(FETCH_CHARGES, ([p for p, _ in keys], [charge_id for _, charge_id in keys]))
        return {row.charge_id: row for row in cursor}


def unfinished_charges(tx: Tx, partitions: Collection[int], limit: int) -> list[ChargeRow]:
    """Charges that were written down and whose outcome was not."""
    with tx.cursor(row_factory=class_row(ChargeRow)) as cursor:
        return cursor.execute(UNFINISHED_CHARGES, (list(partitions), limit)).fetchall()


def finish_charges(tx: Tx, outcomes: Sequence[tuple[int, UUID, Plan]]) -> None:
    """Record how charges were carried, and what riders owe for those on risk."""
    tx.execute(
        FINISH_CHARGES,
        (
            [partition for partition, _, _ in outcomes],
            [charge_id for _, charge_id, _ in outcomes],
            [plan.wallet_minor for _, _, plan in outcomes],
            [plan.risk_minor for _, _, plan in outcomes],
        ),
    )


def lock_debts(tx: Tx, keys: Collection[DebtKey]) -> dict[DebtKey, int]:
    """What these riders owe these issuers; nobody else changes it until the transaction ends."""
    ordered = sorted(keys)
    rows = tx.execute(
        LOCK_DEBTS,
        (
            [partition for partition, _, _, _ in ordered],
            [account for _, account, _, _ in ordered],
            [issuer for _, _, issuer, _ in ordered],
            [currency for _, _, _, currency in ordered],
        ),
    ).fetchall()
    return {
        (partition, account, issuer, currency): owed for partition, account, issuer, currency, owed in rows
    }


def write_off_debts(tx: Tx, minors: dict[DebtKey, int]) -> None:
    """Take give-backs off debts that are locked."""
    keys = sorted(minors)
    tx.execute(
        WRITE_OFF_DEBTS,
        (
            [partition for partition, _, _, _ in keys],
            [account for _, account, _, _ in keys],
            [issuer for _, _, issuer, _ in keys],
            [currency for _, _, _, currency in keys],
            [minors[key] for key in keys],
        ),
    )


def debts_of(tx: Tx, partition: int, account_id: AccountId) -> list[Money]:
    """What an account owes for fares on risk, by currency; nothing where it owes nothing."""
    return [
        Money(owed, currency) for currency, owed in tx.execute(DEBTS_OF, (partition, account_id)).fetchall()
    ]


def gained_since(tx: Tx, partition: int, account_id: AccountId, mark: Mark) -> dict[str, int]:
    """What the line of this mark and all newer ones that have rows brought to the account's wallets, by currency."""
    at, movement_id = mark
    rows = tx.execute(
        GAINED_SINCE, {"partition": partition, "account_id": account_id, "at": at, "id": movement_id}
    ).fetchall()
    return dict(rows)


def list_lines(tx: Tx, partition: int, account_id: AccountId, limit: int, before: Mark | None) -> list[Line]:
    """Top-ups, and charges that have rows, newest first; those older than a mark."""
    at, movement_id = before or END_OF_TIME
    values = {"partition": partition, "account_id": account_id, "limit": limit, "at": at, "id": movement_id}
    return [Line(row[0], MovementKind(row[1]), *row[2:]) for row in tx.execute(MOVEMENTS, values)]


def rows_between(
    tx: Tx, partition: int, account_id: AccountId, first_at: datetime, last_at: datetime
) -> list[tuple[UUID, datetime, str]]:
    """An account's charges and top-ups that have rows, of two instants and in between: id, instant, ``charge`` or
    ``top_up``.
    """
    values = {"partition": partition, "account_id": account_id, "first": first_at, "last": last_at}
    return tx.execute(ROWS_BETWEEN, values).fetchall()


def list_owed(
    tx: Tx, partition: int, account_id: AccountId, first_at: datetime, end_at: datetime
) -> list[tuple[datetime, UUID, Money]]:
    """What the issuer carried or wrote off, from one instant until before another, oldest first."""
    rows = tx.execute(OWED, (partition, account_id, first_at, end_at))
    return [(at, reference, Money(minor, currency)) for at, reference, minor, currency in rows]
