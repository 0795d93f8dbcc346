"""The SQL of rides. Sets, not loops: every statement takes a batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from hansa.fares import JourneyId, Payment, Step, Tariff, TariffSource
from hansa.kernel import Money
from hansa.rides import tap_runs_store
from hansa.rides.model import (
    HeldReason,
    JourneyRecord,
    OpeningSpend,
    RefusedCode,
    SubsidyRecord,
    Tap,
    TapLike,
)
from hansa.store import Tx

# -- tariffs ------------------------------------------------------------------------------------------------

LIST_TARIFFS = """
select operator_id, valid_from, valid_to, city_id, name, currency, tz, day_starts, journey_max, digest, partners
from rides.tariffs
order by operator_id, valid_from
"""

GET_TARIFF_SOURCE = "select toml, tables from rides.tariffs where operator_id = %s and valid_from = %s"

INSERT_TARIFF = """
insert into rides.tariffs (operator_id, valid_from, valid_to, city_id, name, currency, tz, day_starts, journey_max,
    toml, tables, digest, imported_at, partners)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

# A first tariff finds taps that came before it, and a later one changes days that are priced already.
# The instants stand beside the days so that the index of taps by time is used, with a day to spare at either end: where
# clocks go back, a service day is no interval. A day is due from its first tap on: at once, whatever clock the
# worker goes by.
MARK_DAYS_OF_OPERATOR = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at)
select partition, account_id, operator_id,
    ((tapped_at at time zone %(tz)s) - %(day_starts)s::time)::date as service_day, min(tapped_at)
from rides.taps
where operator_id = %(operator_id)s
    and ((tapped_at at time zone %(tz)s) - %(day_starts)s::time)::date >= %(valid_from)s
    and (%(valid_to)s::date is null
        or ((tapped_at at time zone %(tz)s) - %(day_starts)s::time)::date <= %(valid_to)s::date)
    and tapped_at >= (%(valid_from)s::date - 1)::timestamp at time zone %(tz)s
    and tapped_at < coalesce((%(valid_to)s::date + 3)::timestamp at time zone %(tz)s, 'infinity')
group by partition, account_id, operator_id, service_day
order by partition, account_id, operator_id, service_day
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = least(dirty_days.due_at, excluded.due_at)
"""


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """What is known of a stored tariff without reading it. partners: operators whose rides open its windows."""

    operator_id: str
    valid_from: date
    valid_to: date | None
    city_id: str
    name: str
    currency: str
    tz: str
    day_starts: time
    journey_max: timedelta
    digest: bytes
    partners: list[str]


def list_tariffs(tx: Tx) -> list[TariffVersion]:
    """All versions of all tariffs, by operator and first day."""
    return tx.cursor(row_factory=class_row(TariffVersion)).execute(LIST_TARIFFS).fetchall()


def get_tariff_source(tx: Tx, operator_id: str, valid_from: date) -> TariffSource:
    """The text of a stored tariff."""
    row = tx.execute(GET_TARIFF_SOURCE, (operator_id, valid_from)).fetchone()
    assert row is not None, "the version was listed in this transaction"
    return TariffSource(row[0], row[1])


def insert_tariff(tx: Tx, tariff: Tariff, digest: bytes, partners: Iterable[str], at: datetime) -> bool:
    """Keep a tariff; False when one of this operator begins on that day already."""
    row = (
        tariff.operator_id,
        tariff.valid_from,
        tariff.valid_to,
        tariff.city_id,
        tariff.name,
        tariff.currency,
        tariff.tz,
        tariff.day_starts,
        tariff.journey_max,
        tariff.source.toml,
        Jsonb(dict(tariff.source.tables)),
        digest,
        at,
        sorted(partners),
    )
    return tx.execute(INSERT_TARIFF, row).rowcount == 1


def mark_days_of_operator(tx: Tx, tariff: Tariff) -> None:
    """Have all days rated again that this tariff speaks for, each due from its first tap on."""
    values = {
        "tz": tariff.tz,
        "day_starts": tariff.day_starts,
        "operator_id": tariff.operator_id,
        "valid_from": tariff.valid_from,
        "valid_to": tariff.valid_to,
    }
    tx.execute(MARK_DAYS_OF_OPERATOR, values)
    for day in tap_runs_store.rated_days(tx, tariff.operator_id, tariff.valid_from, tariff.valid_to):
        accounts = {UUID(bytes=one) for one in day.accounts.tolist()}
        keys = [DayKey(day.partition, one, tariff.operator_id, day.service_day) for one in accounts]
        mark_days(tx, keys, day.first_at)


# -- taps ---------------------------------------------------------------------------------------------------

NUMBER_TAPS = """
insert into rides.tap_numbers (gate_id, sequence, digest, partition, tap_id)
select * from unnest(%s::text[], %s::bigint[], %s::bytea[], %s::smallint[], %s::uuid[])
    as given (gate_id, sequence, digest, partition, tap_id)
order by gate_id, sequence
on conflict do nothing
returning gate_id, sequence
"""

COPY_TAPS = """
copy rides.taps (partition, tap_id, account_id, operator_id, gate_id, sequence, action, stop_id, line_id, product,
    tapped_at, cti, counter, kid, made_at, list_version, chain, companion, received_at)
from stdin
"""

FIND_DIGESTS = """
select gate_id, sequence, digest
from unnest(%s::text[], %s::bigint[]) as asked (gate_id, sequence)
join rides.tap_numbers using (gate_id, sequence)
"""

MARK_DAYS = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at)
select partition, account_id, operator_id, service_day, %s
from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::date[])
    as given (partition, account_id, operator_id, service_day)
order by partition, account_id, operator_id, service_day
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = least(dirty_days.due_at, excluded.due_at)
"""


POSTPONE_DAYS = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at)
select * from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::date[], %s::timestamptz[])
    as given (partition, account_id, operator_id, service_day, due_at)
order by partition, account_id, operator_id, service_day
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = least(dirty_days.due_at, excluded.due_at)
"""


class KnownTap(NamedTuple):
    """A tap with what the directories know about it."""

    tap: TapLike
    digest: bytes
    partition: int
    account_id: UUID
    operator_id: str
    stop_id: str | None
    line_id: str | None
    product: str


class DayKey(NamedTuple):
    """What is rated as a whole: one account's service day with one operator."""

    partition: int
    account_id: UUID
    operator_id: str
    service_day: date


def add_taps(tx: Tx, taps: Sequence[KnownTap], at: datetime) -> set[tuple[str, int]]:
    """Keep the taps whose (gate, sequence) is new, and give those. The numbers decide; two batches cannot both win."""
    asked = [(known.tap.gate_id, known.tap.sequence) for known in taps]
    tap_runs_store.claim_numbers(tx, asked)
    in_runs = tap_runs_store.find_run_digests(tx, asked).keys()
    taps = [known for known in taps if (known.tap.gate_id, known.tap.sequence) not in in_runs]
    numbers = (
        [known.tap.gate_id for known in taps],
        [known.tap.sequence for known in taps],
        [known.digest for known in taps],
        [known.partition for known in taps],
        [known.tap.tap_id for known in taps],
    )
    fresh = {(row[0], row[1]) for row in tx.execute(NUMBER_TAPS, numbers)}
    if not fresh:
        return fresh
    with tx.cursor() as cursor, cursor.copy(COPY_TAPS) as copy:
        write = copy.write_row
        for tap, _, partition, account_id, operator_id, stop_id, line_id, product in taps:
            if (tap.gate_id, tap.sequence) in fresh:
                write(
                    (
                        partition,
                        tap.tap_id,
                        account_id,
                        operator_id,
                        tap.gate_id,
                        tap.sequence,
                        tap.action,
                        stop_id,
                        line_id,
                        product,
                        tap.tapped_at,
                        tap.cti,
                        tap.counter,
                        tap.kid,
                        tap.made_at,
                        tap.list_version,
                        tap.chain,
                        tap.companion,
                        at,
                    )
                )
    return fresh


def find_digests(tx: Tx, numbers: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
    """What is kept under these (gate, sequence) numbers."""
    gates, sequences = [gate for gate, _ in numbers], [sequence for _, sequence in numbers]
    rows = {(row[0], row[1]): bytes(row[2]) for row in tx.execute(FIND_DIGESTS, (gates, sequences))}
    return rows | tap_runs_store.find_run_digests(tx, numbers)


def mark_days(tx: Tx, keys: Iterable[DayKey], at: datetime) -> None:
    """Have these days rated (again)."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    if columns:
        tx.execute(MARK_DAYS, (at, *columns))


def postpone_days(tx: Tx, days: Iterable[tuple[DayKey, datetime]]) -> None:
    """Have these days rated from an instant on, or earlier if something else asks for it."""
    rows = [(*key, due_at) for key, due_at in days]
    if rows:
        tx.execute(POSTPONE_DAYS, [list(column) for column in zip(*rows, strict=True)])


# -- reading ------------------------------------------------------------------------------------------------

# Partitions are few and named in raters, so each is asked by its key.
GET_JOURNEYS = """
select j.journey_id, j.account_id, j.issuer_id, j.operator_id,
    (select city_id from rides.tariffs f where f.operator_id = j.operator_id order by valid_from desc limit 1),
    j.service_day, j.kind, j.product, j.rider_class, j.started_at, j.ended_at, j.origin, j.destination, j.line_id,
    j.status, j.fare_minor, j.currency, coalesce(j.steps, j.steps_text::jsonb), j.zones,
    j.tariff_from, j.first_tap, j.last_tap, j.companion,
    j.partition, j.subsidy_payer, j.subsidy_minor, j.notes, j.trip_id, j.network_version, j.medium, j.distance_m
from rides.raters r
join rides.journeys j on j.partition = r.partition and j.journey_id = any(%s)
"""

LIST_JOURNEYS = """
select j.journey_id, j.account_id, j.issuer_id, j.operator_id,
    (select city_id from rides.tariffs f where f.operator_id = j.operator_id order by valid_from desc limit 1),
    j.service_day, j.kind, j.product, j.rider_class, j.started_at, j.ended_at, j.origin, j.destination, j.line_id,
    j.status, j.fare_minor, j.currency, coalesce(j.steps, j.steps_text::jsonb), j.zones,
    j.tariff_from, j.first_tap, j.last_tap, j.companion,
    j.partition, j.subsidy_payer, j.subsidy_minor, j.notes, j.trip_id, j.network_version, j.medium, j.distance_m
from rides.raters r
join rides.journeys j on j.partition = r.partition and j.account_id = %(account_id)s
where (%(after_at)s::timestamptz is null or (j.started_at, j.journey_id) < (%(after_at)s, %(after_id)s))
    and j.status <> 'withdrawn'
order by j.started_at desc, j.journey_id desc
limit %(limit)s
"""

GET_TAPS = """
select tap_id, gate_id, sequence, action, stop_id, tapped_at, cti, counter, kid, made_at, list_version, chain,
    companion
from rides.taps
where partition = %s and tap_id = any(%s)
order by tapped_at, gate_id, sequence
"""

GET_SUBSIDIES = """
select subsidy_id, revision, payer_id, status, amount_minor, currency, transfer_id, made_at, posted_at
from rides.subsidies
where partition = %s and journey_id = %s
order by revision, amount_minor, payer_id
"""

# How many rides wait for a price, day by day, and why.
LIST_HELD = """
select service_day, coalesce(coalesce(steps, steps_text::jsonb) -> -1 -> 2 ->> 'why', ''), count(*), min(started_at),
    (array_agg(journey_id order by started_at, journey_id))[1:3]
from rides.journeys
where operator_id = %(operator_id)s and status = 'held' and (%(day)s::date is null or service_day = %(day)s::date)
group by 1, 2
order by 1 desc, 3 desc, 2
limit %(limit)s
"""

# Due from the day's first ride on: at once, whatever clock the worker goes by.
RATE_AGAIN = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at, afresh)
select partition, account_id, operator_id, service_day, min(started_at), %(afresh)s
from rides.journeys
where operator_id = %(operator_id)s and service_day between %(first_day)s and %(last_day)s and status <> 'withdrawn'
    and (not %(only_held)s or status = 'held')
group by partition, account_id, operator_id, service_day
order by partition, account_id, operator_id, service_day
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = least(dirty_days.due_at, excluded.due_at), afresh = dirty_days.afresh or excluded.afresh
"""


class FoundJourney(NamedTuple):
    """A journey with the keys under which its taps and charges lie."""

    record: JourneyRecord
    partition: int
    taps: tuple[UUID, ...]


def get_journeys(tx: Tx, ids: Sequence[JourneyId]) -> list[FoundJourney]:
    """Those of these journeys that there are."""
    return [_found(row) for row in tx.execute(GET_JOURNEYS, (list(ids),))]


def list_journeys(
    tx: Tx, account_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[JourneyRecord]:
    """An account's journeys, latest first, from before ``after`` on."""
    values = {
        "account_id": account_id,
        "after_at": after[0] if after else None,
        "after_id": after[1] if after else None,
        "limit": limit,
    }
    return [_found(row).record for row in tx.execute(LIST_JOURNEYS, values)]


def get_taps(tx: Tx, found: FoundJourney, ids: Sequence[UUID]) -> list[Tap]:
    """Taps of a journey by id, in order of time."""
    cursor = tx.cursor(row_factory=class_row(Tap))
    taps = cursor.execute(GET_TAPS, (found.partition, list(ids))).fetchall()
    missing = set(ids) - {tap.tap_id for tap in taps}
    if missing:
        taps += tap_runs_store.taps_of_rated(tx, found.partition, day_around(found), missing)
    return sorted(taps, key=lambda tap: (tap.tapped_at, tap.gate_id, tap.sequence))


def day_around(found: FoundJourney) -> tuple[UUID, str, date, date]:
    """Account and operator of a journey, and the days under which its taps may have been rated."""
    record, near = found.record, timedelta(days=2)
    return record.account_id, record.operator_id, record.service_day - near, record.service_day + near


def get_subsidies(tx: Tx, partition: int, journey_id: UUID) -> list[SubsidyRecord]:
    """What members pay of a journey, first to last."""
    return [
        SubsidyRecord(row[0], row[1], row[2], row[3], Money(row[4], row[5]), row[6], row[7], row[8])
        for row in tx.execute(GET_SUBSIDIES, (partition, journey_id))
    ]


def list_held(tx: Tx, operator_id: str, day: date | None, limit: int) -> list[HeldReason]:
    """An operator's rides without a price by day and reason, latest day first, most frequent reason first."""
    values = {"operator_id": operator_id, "day": day, "limit": limit}
    return [
        HeldReason(row[0], row[1], row[2], row[3], tuple(JourneyId(one) for one in row[4]))
        for row in tx.execute(LIST_HELD, values)
    ]


def rate_again(
    tx: Tx, operator_id: str, first_day: date, last_day: date, *, only_held: bool, afresh: bool
) -> int:
    """Have an operator's days with journeys rated again; gives how many."""
    values = {
        "operator_id": operator_id,
        "first_day": first_day,
        "last_day": last_day,
        "only_held": only_held,
        "afresh": afresh,
    }
    return tx.execute(RATE_AGAIN, values).rowcount


def _found(row: tuple[Any, ...]) -> FoundJourney:
    currency = row[16]
    record = JourneyRecord(
        journey_id=JourneyId(row[0]),
        account_id=row[1],
        issuer_id=row[2],
        operator_id=row[3],
        city_id=row[4] or "",
        service_day=row[5],
        kind=row[6],
        product=row[7],
        rider_class=row[8],
        started_at=row[9],
        ended_at=row[10],
        origin=row[11],
        destination=row[12],
        line_id=row[13],
        status=row[14],
        fare=Money(row[15], currency),
        steps=tuple(Step(rule, amount, currency, facts) for rule, amount, facts in row[17]),
        zones=row[18],
        tariff_valid_from=row[19],
        companion=row[22],
        subsidy=None if row[24] is None else Payment(row[24], row[25]),
        notes=tuple(Step(rule, amount, currency, facts) for rule, amount, facts in row[26]),
        trip_id=None if row[27] is None else JourneyId(row[27]),
        network_version=row[28],
        medium=row[29],
        distance_m=row[30],
    )
    return FoundJourney(record, row[23], tuple(tap for tap in row[20:22] if tap is not None))


# -- what stands beside rating ------------------------------------------------------------------------------

SET_OPENING_SPEND = """
insert into rides.opening_spend (account_id, operator_id, period, start_day, minor)
select * from unnest(%s::uuid[], %s::text[], %s::text[], %s::date[], %s::bigint[])
on conflict (account_id, operator_id, period, start_day) do update set minor = excluded.minor
"""

RECORD_REFUSALS = """
insert into rides.refusals (gate_id, minute, reason, operator_id, count)
select * from unnest(%s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::integer[])
    as given (gate_id, minute, reason, operator_id, count)
order by gate_id, minute, reason
on conflict (gate_id, minute, reason) do update set count = greatest(refusals.count, excluded.count)
"""

RECORD_REFUSED_CODES = """
insert into rides.refused_codes (refused_id, gate_id, operator_id, at, reason, kid, cti, companion, counter, made_at,
    received_at)
select refused_id, gate_id, operator_id, at, reason, kid, cti, companion, counter, made_at, %s
from unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::bytea[], %s::bytea[],
        %s::smallint[], %s::bigint[], %s::timestamptz[])
    as given (refused_id, gate_id, operator_id, at, reason, kid, cti, companion, counter, made_at)
order by refused_id
on conflict do nothing
"""

# All operators in one pass over the taps; the outer bounds let the time index skip other days.
FLOW_TAPS = """
select t.operator_id, extract(epoch from t.tapped_at - k.starts_at)::integer / 300, t.action, count(*)
from unnest(%(operators)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    as k (operator_id, starts_at, ends_at)
join rides.taps t on t.operator_id = k.operator_id and t.tapped_at >= k.starts_at and t.tapped_at < k.ends_at
where t.tapped_at >= %(first)s and t.tapped_at < %(last)s and t.run_id is null
group by 1, 2, 3
"""

FLOW_PLACES = """
select t.operator_id, t.stop_id, t.line_id, count(*)
from unnest(%(operators)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    as k (operator_id, starts_at, ends_at)
join rides.taps t on t.operator_id = k.operator_id and t.tapped_at >= k.starts_at and t.tapped_at < k.ends_at
where t.tapped_at >= %(first)s and t.tapped_at < %(last)s and t.action <> 'exit' and t.run_id is null
group by 1, 2, 3
"""

FLOW_REFUSALS = """
select r.operator_id, extract(epoch from r.minute - k.starts_at)::integer / 300, r.reason, sum(r.count)
from unnest(%(operators)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    as k (operator_id, starts_at, ends_at)
join rides.refusals r on r.operator_id = k.operator_id and r.minute >= k.starts_at and r.minute < k.ends_at
group by 1, 2, 3
"""

FLOW_JOURNEYS = """
select operator_id, count(*), count(distinct account_id), count(*) filter (where kind in ('no_exit', 'no_entry')),
    count(*) filter (where status = 'held'), coalesce(sum(fare_minor), 0)
from rides.journeys
where service_day = %s and status <> 'withdrawn'
group by operator_id
"""

FARES_BY_OPERATOR = """
select j.operator_id, j.currency, count(*) filter (where j.status <> 'withdrawn'),
    count(*) filter (where j.status <> 'withdrawn' and j.kind in ('no_exit', 'no_entry')),
    count(*) filter (where j.status = 'held'), count(*) filter (where j.revision > 1),
    coalesce(sum(j.charged_minor), 0)
from rides.journeys j
where j.service_day = %s
group by j.operator_id, j.currency
order by j.operator_id
"""


def find_last_tap(tx: Tx, gate_id: str) -> tuple[int, bytes] | None:
    """Sequence number and chain of the last tap that came from a gate."""
    found = tap_runs_store.last_tap(tx, gate_id)
    return None if found is None else (found.sequence, bytes(found.chain))


def set_opening_spend(tx: Tx, spends: Sequence[OpeningSpend]) -> None:
    """Write what was spent before the books began; again with another amount writes over it."""
    rows = [(s.account_id, s.operator_id, s.period, s.start_day, s.minor) for s in spends]
    if rows:
        tx.execute(SET_OPENING_SPEND, [list(column) for column in zip(*rows, strict=True)])


def record_refusals(tx: Tx, refusals: Sequence[tuple[str, datetime, str, str, int]]) -> None:
    """Write how often gates refused; hearing a count again changes nothing, a greater one replaces it.

    refusals: gate, minute, reason, operator, count.
    """
    if refusals:
        tx.execute(RECORD_REFUSALS, [list(column) for column in zip(*refusals, strict=True)])


def record_refused_codes(tx: Tx, codes: Sequence[tuple[UUID, str, RefusedCode]], at: datetime) -> int:
    """Keep refused codes and give how many are new. codes: id, operator, code."""
    rows = [
        (
            key,
            code.gate_id,
            operator_id,
            code.at,
            code.reason,
            code.kid,
            code.cti,
            code.companion,
            code.counter,
            code.made_at,
        )
        for key, operator_id, code in codes
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    return tx.execute(RECORD_REFUSED_CODES, (at, *columns)).rowcount


SLOT_S = 300


@dataclass(slots=True)
class FlowRows:
    """An operator's service day, counted: by (slot, action), (stop, line), (slot, reason), and journeys as a whole.

    Slots are five minutes, counted from the start of the day. journeys: all, riders, incomplete, held, fares.
    """

    taps: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    places: list[tuple[str | None, str | None, int]] = field(
        default_factory=list[tuple[str | None, str | None, int]]
    )
    refusals: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    journeys: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)


def flow_rows(tx: Tx, day: date, spans: dict[str, tuple[datetime, datetime]]) -> dict[str, FlowRows]:
    """Count a service day of these operators. spans: from when to when it lasts for each."""
    rows = {operator_id: FlowRows() for operator_id in spans}
    if not spans:
        return rows
    values = {
        "operators": list(spans),
        "starts": [span[0] for span in spans.values()],
        "ends": [span[1] for span in spans.values()],
        "first": min(span[0] for span in spans.values()),
        "last": max(span[1] for span in spans.values()),
    }
    for operator_id, slot, action, count in tx.execute(FLOW_TAPS, values):
        rows[operator_id].taps.append((slot, action, count))
    for operator_id, stop, line, count in tx.execute(FLOW_PLACES, values):
        rows[operator_id].places.append((stop, line, count))
    for operator_id, counted in tap_runs_store.count_of_runs(tx, spans, SLOT_S).items():
        for place, slot, count in counted:
            rows[operator_id].taps.append((slot, place.action, count))
            if place.action != "exit":
                rows[operator_id].places.append((place.stop_id, place.line_id, count))
    for operator_id, slot, reason, count in tx.execute(FLOW_REFUSALS, values):
        rows[operator_id].refusals.append((slot, reason, count))
    for operator_id, number, riders, incomplete, held, fares in tx.execute(FLOW_JOURNEYS, (day,)):
        if operator_id in rows:
            rows[operator_id].journeys = number, riders, incomplete, held, int(fares)
    return rows


def fares_by_operator(tx: Tx, day: date) -> list[tuple[str, str, int, int, int, int, int]]:
    """(operator, currency, journeys, incomplete, held, corrected, charged) of a service day."""
    return [
        (row[0], row[1], row[2], row[3], row[4], row[5], int(row[6]))
        for row in tx.execute(FARES_BY_OPERATOR, (day,))
    ]
