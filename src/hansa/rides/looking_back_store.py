"""The SQL of what a day is given from around it: earlier days, rides with partners, passes."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from hansa.fares import HeldPass, Journey, JourneyId
from hansa.rides.pairing import via_of
from hansa.store import Tx

LOAD_COUNTERS = """
select k.n, j.product, j.zones, coalesce(sum(j.tier_minor) filter (where j.service_day >= k.month_starts), 0),
    coalesce(sum(j.counted_minor) filter (where j.service_day >= k.period_starts), 0)
from unnest(%s::bigint[], %s::uuid[], %s::text[], %s::date[], %s::date[], %s::date[])
    as k (n, account_id, operator_id, month_starts, period_starts, service_day)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day >= least(k.month_starts, k.period_starts) and j.service_day < k.service_day
    and j.status = 'priced'
group by k.n, j.product, j.zones
"""

LOAD_OPENING = """
select k.n, s.period, sum(s.minor)
from unnest(%s::bigint[], %s::uuid[], %s::text[], %s::date[], %s::date[])
    as k (n, account_id, operator_id, month_starts, week_starts)
join rides.opening_spend s on s.account_id = k.account_id and s.operator_id = k.operator_id
    and ((s.period = 'month' and s.start_day = k.month_starts) or (s.period = 'week' and s.start_day = k.week_starts))
group by k.n, s.period
"""

# Of a rolling window: its first day, as the latest earlier day holds it on which its counter grew.
LOAD_WINDOWS = """
select k.n, latest.window_from
from unnest(%s::bigint[], %s::uuid[], %s::text[], %s::date[], %s::integer[], %s::text[])
    as k (n, account_id, operator_id, service_day, days, prefix)
join lateral (
    select j.window_from
    from rides.journeys j
    where j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
        and j.service_day < k.service_day and j.service_day > k.service_day - k.days
        and j.status = 'priced' and j.window_from is not null
        and exists (select from jsonb_object_keys(j.counts) as name where starts_with(name, k.prefix))
    order by j.service_day desc
    limit 1
) latest on true
"""

# Each counter over the days that its name begins with; of a carnet the single rides too.
LOAD_COUNTS = """
select k.n, c.name, sum(c.minor::bigint),
    array_agg(c.minor::bigint) filter (where split_part(c.name, ':', 2) like 'carnet %%')
from unnest(%s::bigint[], %s::uuid[], %s::text[], %s::date[], %s::date[], %s::date[], %s::date[], %s::date[],
    %s::text[]) as k (n, account_id, operator_id, service_day, week_starts, month_starts, window_starts, hours_start,
        prefix)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day >= least(k.week_starts, k.month_starts, k.window_starts, k.hours_start)
    and j.service_day < k.service_day and j.status = 'priced' and j.counts <> '{}'
cross join lateral jsonb_each_text(j.counts) as c (name, minor)
where j.service_day >= case
    when starts_with(c.name, 'week:') then k.week_starts
    when starts_with(c.name, 'month:') then k.month_starts
    when starts_with(c.name, k.prefix) then k.window_starts
    when c.name ~ '^[0-9]+h@' then k.hours_start
    else k.service_day
end
group by k.n, c.name
"""

LOAD_HABITS = """
select k.n, k.stop, case when j.origin = k.stop then j.destination else j.origin end, count(*)
from unnest(%s::bigint[], %s::uuid[], %s::text[], %s::date[], %s::text[])
    as k (n, account_id, operator_id, service_day, stop)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day >= k.service_day - %s::integer and j.service_day < k.service_day
    and j.kind = 'complete' and j.status <> 'withdrawn' and j.companion = 0
    and k.stop in (j.origin, j.destination) and j.origin is not null and j.destination is not null
group by 1, 2, 3
"""

LOAD_RIDES = """
select k.n, j.journey_id, j.kind, j.product, j.rider_class, j.started_at, j.ended_at, j.origin, j.destination,
    j.line_id, j.first_tap, j.last_tap, j.companion, j.operator_id, j.medium, j.distance_m,
    j.fare_minor + j.subsidy_minor, j.currency, j.notes
from unnest(%s::bigint[], %s::uuid[], %s::text[], %s::date[], %s::timestamptz[], %s::timestamptz[])
    as k (n, account_id, operator_id, service_day, starts_at, ends_at)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day between k.service_day - 2 and k.service_day + 2
    and j.started_at >= k.starts_at and j.started_at < k.ends_at and j.status <> 'withdrawn'
"""

LOAD_PASSES = """
select k.n, p.name, p.from_day, p.until_day
from unnest(%s::bigint[], %s::uuid[], %s::text[], %s::date[]) as k (n, account_id, operator_id, service_day)
join rides.passes p on p.partition = %s and p.account_id = k.account_id and p.operator_id = k.operator_id
    and p.until_day >= k.service_day and p.from_day <= k.service_day and p.refunded_at is null
order by k.n, p.pass_id
"""


class CounterAsk(NamedTuple):
    """Which earlier days count for a key: from the first of the month, and of the week or month of its caps."""

    n: int
    account_id: UUID
    operator_id: str
    month_starts: date
    period_starts: date
    service_day: date


def load_counters(tx: Tx, partition: int, asks: Sequence[CounterAsk]) -> list[tuple[int, str, str, int, int]]:
    """(n, product, zones, towards tiers, towards caps) of earlier days."""
    columns = [list(column) for column in zip(*asks, strict=True)]
    return [
        (n, product, zones, int(tier), int(counted))
        for n, product, zones, tier, counted in tx.execute(LOAD_COUNTERS, (*columns, partition))
    ]


def load_opening(tx: Tx, asks: Sequence[tuple[int, UUID, str, date, date]]) -> list[tuple[int, str, int]]:
    """(n, period, minor) spent before Hansa kept the books. asks: n, account, operator, month and week start."""
    columns = [list(column) for column in zip(*asks, strict=True)]
    return [(n, period, int(minor)) for n, period, minor in tx.execute(LOAD_OPENING, columns)]


class CountAsk(NamedTuple):
    """From which day on each kind of counter counts for a key; its own day where it is not asked.

    hours_start: of windows by hours. prefix: what counters of its rolling window begin with, such as ``7d:``.
    """

    n: int
    account_id: UUID
    operator_id: str
    service_day: date
    week_starts: date
    month_starts: date
    window_starts: date
    hours_start: date
    prefix: str


def load_windows(
    tx: Tx, partition: int, asks: Sequence[tuple[int, UUID, str, date, int, str]]
) -> dict[int, date]:
    """By n, the first day of the latest rolling window. asks: n, account, operator, day, days, prefix."""
    columns = [list(column) for column in zip(*asks, strict=True)]
    return dict(tx.execute(LOAD_WINDOWS, (*columns, partition)).fetchall())


def load_counts(
    tx: Tx, partition: int, asks: Sequence[CountAsk]
) -> list[tuple[int, str, int, list[int] | None]]:
    """(n, counter, sum, single rides of a carnet) of earlier days."""
    columns = [list(column) for column in zip(*asks, strict=True)]
    return [
        (n, name, int(total), rides)
        for n, name, total, rides in tx.execute(LOAD_COUNTS, (*columns, partition))
    ]


def load_habits(
    tx: Tx, partition: int, asks: Sequence[tuple[int, UUID, str, date, str]], days: int
) -> list[tuple[int, str, str, int]]:
    """(n, stop, other end, rides) of earlier days. asks: n, account, operator, day, stop."""
    columns = [list(column) for column in zip(*asks, strict=True)]
    return tx.execute(LOAD_HABITS, (*columns, partition, days)).fetchall()


class KeptRide(NamedTuple):
    """A ride of the account beside those of a day, and what it cost by now, whoever paid."""

    journey: Journey
    whole_minor: int
    currency: str


def load_rides(
    tx: Tx, partition: int, asks: Sequence[tuple[int, UUID, str, date, datetime, datetime]]
) -> dict[int, list[KeptRide]]:
    """By n, the rides that began between two instants. asks: n, account, operator, day, from, to."""
    columns = [list(column) for column in zip(*asks, strict=True)]
    found: dict[int, list[KeptRide]] = {}
    for row in tx.execute(LOAD_RIDES, (*columns, partition)):
        found.setdefault(row[0], []).append(KeptRide(_journey(row), row[16], row[17]))
    return found


def _journey(row: tuple[Any, ...]) -> Journey:
    return Journey(
        journey_id=JourneyId(row[1]),
        kind=row[2],
        product=row[3],
        rider_class=row[4],
        cti=b"",
        started_at=row[5],
        ended_at=row[6],
        origin=row[7],
        destination=row[8],
        line_id=row[9],
        first_tap=row[10],
        last_tap=row[11],
        companion=row[12],
        operator_id=row[13],
        medium=row[14],
        distance_m=row[15],
        via=via_of((rule, facts) for rule, _, facts in row[18]),
    )


def load_passes(
    tx: Tx, partition: int, asks: Sequence[tuple[int, UUID, str, date]]
) -> dict[int, list[HeldPass]]:
    """By n, the passes held on a day. asks: n, account, operator, day."""
    columns = [list(column) for column in zip(*asks, strict=True)]
    found: dict[int, list[HeldPass]] = {}
    for n, name, from_day, until_day in tx.execute(LOAD_PASSES, (*columns, partition)):
        found.setdefault(n, []).append(HeldPass(name, from_day, until_day))
    return found
