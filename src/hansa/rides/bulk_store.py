"""The SQL of rating and posting by the column: what comes and goes as bytes, many days at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt
from psycopg.types.json import Jsonb

from hansa.store import Tx
from hansa.store.copying import uuid_array_text

# At most one day of each account and operator: the earliest, since later ones build on it. Locked in the order of the
# key, as those who mark days do it; what is locked stays where it is, so it is deleted by its place.
TAKE_DAYS = """
with due as (
    select ctid as at, account_id, operator_id, service_day
    from rides.dirty_days
    where partition = %(partition)s and due_at <= %(now)s
    order by account_id, operator_id, service_day
    limit %(limit)s
    for no key update
), ranked as (
    select at, row_number() over (partition by account_id, operator_id order by service_day) as number from due
), gone as (
    delete from rides.dirty_days d
    where d.partition = %(partition)s and d.ctid = any(array(select at from ranked where number = 1))
    returning d.account_id, d.operator_id, d.service_day, d.afresh
)
select operator_id, service_day, afresh, string_agg(uuid_send(account_id), ''::bytea order by account_id)
from gone
group by operator_id, service_day, afresh
order by operator_id, service_day, afresh
"""

# Accounts with journeys of that day or later ones: their days are compared with the books, or change later days.
FIND_KEPT = """
select string_agg(int4send((k.n - 1)::integer), ''::bytea)
from unnest(%(accounts)s::uuid[]) with ordinality as k (account_id, n)
cross join lateral (
    select from rides.journeys j
    where j.partition = %(partition)s and j.account_id = k.account_id and j.operator_id = %(operator_id)s
        and j.service_day >= %(service_day)s
    limit 1
) as kept
"""

# Account by account (``offset 0`` keeps the planner from turning it round): what is read does not grow with the books.
# Places and payers are told apart by 64-bit digests: joins with a few hundred of them would be planned as loops.
LOAD_TAPS = """
with t as materialized (
    select
        int4send((k.n - 1)::integer) || uuid_send(t.tap_id) || timestamptz_send(t.tapped_at)
            || timestamptz_send(t.received_at) || t.cti || int2send(t.companion) as fixed,
        length(t.cti) = 8 as usual, t.action, t.stop_id, t.line_id, t.product, o.rider_class, o.issuer_id,
        o.wallet_currency,
        hashtextextended(
            t.action || e'\x1f' || coalesce(e'\x1e' || t.stop_id, '') || e'\x1f'
                || coalesce(e'\x1e' || t.line_id, '') || e'\x1f' || t.product, 0
        ) as place,
        hashtextextended(o.rider_class || e'\x1f' || o.issuer_id || e'\x1f' || o.wallet_currency, 0) as payer
    from unnest(%(accounts)s::uuid[]) with ordinality as k (account_id, n)
    cross join lateral (
        select *
        from rides.taps t
        where t.partition = %(partition)s and t.account_id = k.account_id
            and t.tapped_at >= %(starts_at)s and t.tapped_at < %(ends_at)s and t.operator_id = %(operator_id)s
        offset 0
    ) as t
    join rides.tokens o on o.cti = t.cti
)
select
    (
        select json_agg(json_build_array(place::text, action, stop_id, line_id, product) order by place)
        from (select distinct place, action, stop_id, line_id, product from t) as found
    ),
    (
        select json_agg(json_build_array(payer::text, rider_class, issuer_id, wallet_currency) order by payer)
        from (select distinct payer, rider_class, issuer_id, wallet_currency from t) as found
    ),
    (select bool_and(usual) from t),
    (select string_agg(fixed || int8send(place) || int8send(payer), ''::bytea) from t)
"""

# kept: as in FIND_KEPT, found in the same reading.
LOAD_SUMS = """
with s as materialized (
    select (k.n - 1)::integer as n, j.kept, j.tier, j.counted, j.product, j.zones,
        hashtextextended(j.product || e'\x1f' || j.zones, 0) as kind
    from unnest(%(accounts)s::uuid[]) with ordinality as k (account_id, n)
    cross join lateral (
        select j.product, j.zones, bool_or(j.service_day >= %(service_day)s) as kept,
            coalesce(sum(j.tier_minor) filter (
                where j.service_day >= %(month_starts)s and j.service_day < %(service_day)s and j.status = 'priced'
            ), 0)::bigint as tier,
            coalesce(sum(j.counted_minor) filter (
                where j.service_day >= %(period_starts)s and j.service_day < %(service_day)s and j.status = 'priced'
            ), 0)::bigint as counted
        from rides.journeys j
        where j.partition = %(partition)s and j.account_id = k.account_id and j.operator_id = %(operator_id)s
            and j.service_day >= least(%(month_starts)s::date, %(period_starts)s::date)
        group by j.product, j.zones
    ) as j
)
select
    (
        select json_agg(json_build_array(kind::text, product, zones) order by kind)
        from (select distinct kind, product, zones from s) as found
    ),
    (
        select string_agg(
            int4send(n) || boolsend(kept) || int8send(tier) || int8send(counted) || int8send(kind), ''::bytea)
        from s
    )
"""

LOAD_OPENING = """
select k.n - 1, s.period, s.minor
from unnest(%(accounts)s::uuid[]) with ordinality as k (account_id, n)
join rides.opening_spend s on s.account_id = k.account_id and s.operator_id = %(operator_id)s
    and s.start_day = case s.period when 'month' then %(month_starts)s else %(week_starts)s end
"""

ACCOUNTS_WAITING = """
select string_agg(uuid_send(account_id), ''::bytea)
from (select distinct account_id from rides.charges where status = 'intent' and partition = %s) as waiting
"""

# What is not named is as it is by default: no companion, no subsidy, no counters, no notes, no medium.
COPY_JOURNEYS = """
copy rides.journeys (partition, journey_id, account_id, service_day, started_at, ended_at, first_tap, fare_minor,
    counted_minor, tier_minor, tariff_from, charged_minor, revision, rated_at, network_version, operator_id, kind,
    currency, status, rider_class, issuer_id, wallet_currency, product, origin, destination, line_id, zones, last_tap,
    trip_id, steps_text)
from stdin (format binary)
"""

COPY_CHARGES = """
copy rides.charges (partition, journey_id, revision, charge_id, account_id, amount_minor, event_at, service_day,
    made_at, on_risk, issuer_id, operator_id, wallet_currency, currency, status)
from stdin (format binary)
"""

INSERT_RUN = """
insert into rides.charge_runs (partition, run_id, count, words, body, made_at) values (%s, %s, %s, %s, %s, %s)
"""

NEXT_RUN = """
select partition, run_id, words, body, made_at
from rides.charge_runs
where partition = %s
order by run_id
limit 1
for no key update
"""

LIST_RUNS = """
select partition, run_id, words, body, made_at from rides.charge_runs where partition = %s order by run_id
"""

LIST_RUN_PARTITIONS = "select distinct partition from rides.charge_runs order by partition"

GET_RUN = "select 1 from rides.charge_runs where partition = %s and run_id = %s for no key update"

DROP_RUN = "delete from rides.charge_runs where partition = %s and run_id = %s"

TAP = np.dtype(
    [
        ("n", ">i4"),
        ("tap_id", "V16"),
        ("tapped_at", ">i8"),
        ("received_at", ">i8"),
        ("cti", ">u8"),
        ("companion", ">i2"),
        ("place", ">i8"),
        ("payer", ">i8"),
    ]
)
"""A tap as it is read: n counts the accounts asked for; instants are microseconds since 2000; place and payer are
digests, and once read, places in the lists beside."""


CHARGE = np.dtype(
    [
        ("journey_id", "V16"),
        ("account_id", "V16"),
        ("charge_id", "V16"),
        ("amount", ">i8"),
        ("event_us", ">i8"),
        ("word", ">i4"),
    ]
)
"""A plain charge in a run. event_us: microseconds since 1970. word: place among the run's words."""


SUM = np.dtype([("n", ">i4"), ("kept", "?"), ("tier", ">i8"), ("counted", ">i8"), ("kind", ">i8")])
"""Sums of an account for one product and zones, in minor units. n: as in a tap. kept: there is a journey of the day
itself or a later one. kind: a digest, and once read, a place in the list beside."""


class DueDays(NamedTuple):
    """Days of one operator and date that are due. accounts: 16 bytes each, in order."""

    operator_id: str
    service_day: date
    afresh: bool
    accounts: bytes

    def __len__(self) -> int:
        return len(self.accounts) // 16


@dataclass(frozen=True, slots=True)
class LoadedTaps:
    """Taps around days. places: (action, stop, line, product); payers: (class, issuer, wallet currency)."""

    taps: npt.NDArray[Any]
    places: list[tuple[str, str | None, str | None, str]]
    payers: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Sums:
    """Earlier days' sums. kinds: (product, zones)."""

    rows: npt.NDArray[Any]
    kinds: list[tuple[str, str]]

    @property
    def kept(self) -> npt.NDArray[Any]:
        """Places of accounts that have journeys of the day itself or a later one, maybe more than once."""
        return self.rows["n"][self.rows["kept"]]


class Run(NamedTuple):
    """A run of charges as it is kept."""

    partition: int
    run_id: UUID
    words: list[tuple[str, str, str, str]]
    body: bytes
    made_at: datetime


def take_days(tx: Tx, partition: int, limit: int, now: datetime) -> list[DueDays]:
    """Days due to be rated, at most one of each account and operator, by operator and date."""
    values = {"partition": partition, "limit": limit, "now": now}
    return [DueDays(*row) for row in tx.execute(TAKE_DAYS, values, binary=True)]


def find_kept(tx: Tx, partition: int, days: DueDays) -> npt.NDArray[Any]:
    """Places of those accounts that have journeys of this day or a later one."""
    values = {
        "accounts": uuid_array_text(days.accounts),
        "partition": partition,
        "operator_id": days.operator_id,
        "service_day": days.service_day,
    }
    row = tx.execute(FIND_KEPT, values, binary=True).fetchone()
    return np.frombuffer(row[0] if row is not None and row[0] is not None else b"", ">i4")


def load_taps(
    tx: Tx, partition: int, days: DueDays, starts_at: datetime, ends_at: datetime
) -> LoadedTaps | None:
    """The taps of these accounts with the operator between two instants; None where they do not fit columns."""
    values = {
        "accounts": uuid_array_text(days.accounts),
        "partition": partition,
        "operator_id": days.operator_id,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    row = tx.execute(LOAD_TAPS, values, binary=True).fetchone()
    assert row is not None, "an aggregate has a row"
    places, payers, usual, read = row
    if usual is False:
        return None
    taps = np.frombuffer(read or b"", TAP).copy()
    for name, found in (("place", places or ()), ("payer", payers or ())):
        digests = np.array([int(one[0]) for one in found], np.int64)
        if len(np.unique(digests)) < len(digests):
            return None  # two share a digest
        taps[name] = np.searchsorted(digests, taps[name].astype(np.int64))
    return LoadedTaps(
        taps,
        [(one[1], one[2], one[3], one[4]) for one in places or ()],
        [(one[1], one[2], one[3]) for one in payers or ()],
    )


def load_sums(tx: Tx, partition: int, days: DueDays, month_starts: date, period_starts: date) -> Sums | None:
    """What earlier days add up to, towards tiers and caps; None where two kinds share a digest."""
    values = {
        "accounts": uuid_array_text(days.accounts),
        "partition": partition,
        "operator_id": days.operator_id,
        "service_day": days.service_day,
        "month_starts": month_starts,
        "period_starts": period_starts,
    }
    row = tx.execute(LOAD_SUMS, values, binary=True).fetchone()
    assert row is not None, "an aggregate has a row"
    kinds = row[0] or ()
    rows = np.frombuffer(row[1] or b"", SUM).copy()
    digests = np.array([int(one[0]) for one in kinds], np.int64)
    if len(np.unique(digests)) < len(digests):
        return None
    rows["kind"] = np.searchsorted(digests, rows["kind"].astype(np.int64))
    return Sums(rows, [(one[1], one[2]) for one in kinds])


def load_opening(tx: Tx, days: DueDays, month_starts: date, week_starts: date) -> list[tuple[int, str, int]]:
    """(account's place, period, minor) spent before Hansa kept the books."""
    values = {
        "accounts": uuid_array_text(days.accounts),
        "operator_id": days.operator_id,
        "month_starts": month_starts,
        "week_starts": week_starts,
    }
    return tx.execute(LOAD_OPENING, values).fetchall()


def accounts_waiting(tx: Tx, partition: int) -> npt.NDArray[Any]:
    """The accounts with single charges that the ledger may not have yet, 16 bytes each, in no order."""
    row = tx.execute(ACCOUNTS_WAITING, (partition,), binary=True).fetchone()
    return np.frombuffer(row[0] if row is not None and row[0] is not None else b"", "V16")


def copy_in(tx: Tx, statement: LiteralString, rows: bytes) -> None:
    """Write rows that are ready. Errors: UniqueViolation."""
    with tx.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rows)


def add_run(
    tx: Tx,
    partition: int,
    run_id: UUID,
    words: Sequence[tuple[str, str, str, str]],
    body: bytes,
    count: int,
    at: datetime,
) -> None:
    """Keep a run of charges until the ledger has them."""
    tx.execute(INSERT_RUN, (partition, run_id, count, Jsonb([list(one) for one in words]), body, at))


def run_partitions(tx: Tx) -> list[int]:
    """The partitions in which runs wait."""
    return [row[0] for row in tx.execute(LIST_RUN_PARTITIONS)]


def list_runs(tx: Tx, partition: int) -> Iterator[Run]:
    """All runs that wait in a partition, oldest first."""
    for row in tx.execute(LIST_RUNS, (partition,), binary=True):
        yield Run(row[0], row[1], [tuple(one) for one in row[2]], bytes(row[3]), row[4])


def next_run(tx: Tx, partition: int) -> Run | None:
    """The oldest run that waits."""
    row = tx.execute(NEXT_RUN, (partition,), binary=True).fetchone()
    return None if row is None else Run(row[0], row[1], [tuple(one) for one in row[2]], bytes(row[3]), row[4])


def lock_run(tx: Tx, partition: int, run_id: UUID) -> bool:
    """Whether a run still waits; nobody else ends it until the transaction does."""
    return tx.execute(GET_RUN, (partition, run_id)).fetchone() is not None


def drop_run(tx: Tx, partition: int, run_id: UUID) -> None:
    """The ledger has a run's charges, or they have rows of their own."""
    tx.execute(DROP_RUN, (partition, run_id))


def accounts_of(days: DueDays, places: Iterable[int]) -> list[UUID]:
    """Some of the accounts."""
    return [UUID(bytes=days.accounts[16 * n : 16 * n + 16]) for n in places]
