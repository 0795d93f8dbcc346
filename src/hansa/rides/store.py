"""The SQL of rides. Sets, not loops: every statement takes a batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from hansa.fares import Fare, Journey, JourneyId, Step, Tariff, TariffSource
from hansa.kernel import Money
from hansa.rides.model import ChargeRecord, JourneyRecord, OpeningSpend, RefusedCode, Tap, TapLike, Touch
from hansa.store import Tx

# -- tariffs ------------------------------------------------------------------------------------------------

LIST_TARIFFS = """
select operator_id, valid_from, valid_to, city_id, name, currency, tz, day_starts, journey_max, digest
from rides.tariffs
order by operator_id, valid_from
"""

GET_TARIFF_SOURCE = "select toml, tables from rides.tariffs where operator_id = %s and valid_from = %s"

INSERT_TARIFF = """
insert into rides.tariffs (operator_id, valid_from, valid_to, city_id, name, currency, tz, day_starts, journey_max,
    toml, tables, digest, imported_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

# A first tariff finds taps that came before it, and a later one changes days that are priced already.
MARK_DAYS_OF_OPERATOR = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at)
select distinct partition, account_id, operator_id,
    ((tapped_at at time zone %(tz)s) - %(day_starts)s::time)::date as service_day, %(at)s::timestamptz
from rides.taps
where operator_id = %(operator_id)s
    and ((tapped_at at time zone %(tz)s) - %(day_starts)s::time)::date >= %(valid_from)s
    and (%(valid_to)s::date is null
        or ((tapped_at at time zone %(tz)s) - %(day_starts)s::time)::date <= %(valid_to)s::date)
order by partition, account_id, operator_id, service_day
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = least(dirty_days.due_at, excluded.due_at)
"""


@dataclass(frozen=True, slots=True)
class TariffVersion:
    """What is known of a stored tariff without reading it."""

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


def list_tariffs(tx: Tx) -> list[TariffVersion]:
    """All versions of all tariffs, by operator and first day."""
    return tx.cursor(row_factory=class_row(TariffVersion)).execute(LIST_TARIFFS).fetchall()


def get_tariff_source(tx: Tx, operator_id: str, valid_from: date) -> TariffSource:
    """The text of a stored tariff."""
    row = tx.execute(GET_TARIFF_SOURCE, (operator_id, valid_from)).fetchone()
    assert row is not None, "the version was listed in this transaction"
    return TariffSource(row[0], row[1])


def insert_tariff(tx: Tx, tariff: Tariff, digest: bytes, at: datetime) -> bool:
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
    )
    return tx.execute(INSERT_TARIFF, row).rowcount == 1


def mark_days_of_operator(tx: Tx, tariff: Tariff, at: datetime) -> None:
    """Have all days rated again that this tariff speaks for."""
    values = {
        "tz": tariff.tz,
        "day_starts": tariff.day_starts,
        "operator_id": tariff.operator_id,
        "valid_from": tariff.valid_from,
        "valid_to": tariff.valid_to,
        "at": at,
    }
    tx.execute(MARK_DAYS_OF_OPERATOR, values)


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
    return {(row[0], row[1]): bytes(row[2]) for row in tx.execute(FIND_DIGESTS, (gates, sequences))}


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


# -- rating -------------------------------------------------------------------------------------------------

DIRTY_PARTITIONS = "select distinct partition from rides.dirty_days where due_at <= %s"

ADD_RATER = "insert into rides.raters (partition) values (%s) on conflict do nothing"

LOCK_RATER = "select 1 from rides.raters where partition = %s for no key update"

TAKE_DAYS = """
select partition, account_id, operator_id, service_day
from rides.dirty_days
where partition = %s and due_at <= %s
order by account_id, operator_id, service_day
limit %s
for no key update
"""

DROP_DAYS = """
delete from rides.dirty_days d
using unnest(%s::smallint[], %s::uuid[], %s::text[], %s::date[]) as k (partition, account_id, operator_id, service_day)
where d.partition = k.partition and d.account_id = k.account_id and d.operator_id = k.operator_id
    and d.service_day = k.service_day
"""

LOAD_TAPS = """
select k.n, t.tap_id, t.gate_id, t.sequence, t.action, t.stop_id, t.line_id, t.product, t.tapped_at, t.cti,
    case when t.companion = 0 then o.rider_class else 'adult' end, t.companion, o.issuer_id, o.wallet_currency
from unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[]) with ordinality
    as k (account_id, operator_id, starts_at, ends_at, n)
join rides.taps t on t.partition = %s and t.account_id = k.account_id and t.operator_id = k.operator_id
    and t.tapped_at >= k.starts_at and t.tapped_at < k.ends_at
join rides.tokens o on o.cti = t.cti
"""

LOAD_JOURNEYS = """
select k.n, j.journey_id, j.kind, j.destination, j.last_tap, j.status, j.fare_minor, j.zones, j.counted_minor,
    j.tier_minor, j.tariff_from, j.steps, j.charged_minor, j.revision, j.issuer_id, j.wallet_currency
from unnest(%s::uuid[], %s::text[], %s::date[]) with ordinality as k (account_id, operator_id, service_day, n)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day = k.service_day
"""

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

COPY_JOURNEYS = """
copy rides.journeys (partition, journey_id, account_id, operator_id, service_day, kind, product, rider_class, issuer_id,
    wallet_currency, started_at, ended_at, origin, destination, line_id, first_tap, last_tap, status, fare_minor,
    currency, steps, zones, counted_minor, tier_minor, tariff_from, charged_minor, revision, rated_at, companion)
from stdin
"""

UPDATE_JOURNEYS = """
update rides.journeys j
set kind = k.kind, ended_at = k.ended_at, destination = k.destination, last_tap = k.last_tap, status = k.status,
    fare_minor = k.fare_minor, steps = k.steps, zones = k.zones, counted_minor = k.counted_minor,
    tier_minor = k.tier_minor, tariff_from = k.tariff_from, charged_minor = k.fare_minor, revision = k.revision,
    rated_at = %s
from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::uuid[], %s::text[], %s::bigint[],
    %s::jsonb[], %s::text[], %s::bigint[], %s::bigint[], %s::date[], %s::integer[])
    as k (partition, journey_id, kind, ended_at, destination, last_tap, status, fare_minor, steps, zones, counted_minor,
        tier_minor, tariff_from, revision)
where j.partition = k.partition and j.journey_id = k.journey_id
"""

WITHDRAW_JOURNEYS = """
update rides.journeys j
set status = 'withdrawn', fare_minor = 0, charged_minor = 0, counted_minor = 0, tier_minor = 0, steps = '[]',
    revision = k.revision, rated_at = %s
from unnest(%s::uuid[], %s::integer[]) as k (journey_id, revision)
where j.partition = %s and j.journey_id = k.journey_id
"""

COPY_CHARGES = """
copy rides.charges (partition, journey_id, revision, charge_id, account_id, issuer_id, operator_id, wallet_currency,
    amount_minor, currency, event_at, service_day, status, on_risk, made_at)
from stdin
"""

MARK_LATER_DAYS = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at)
select distinct j.partition, j.account_id, j.operator_id, j.service_day, %s::timestamptz
from unnest(%s::uuid[], %s::text[], %s::date[], %s::date[])
    as k (account_id, operator_id, service_day, last_day)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day > k.service_day and j.service_day <= k.last_day and j.status <> 'withdrawn'
order by j.partition, j.account_id, j.operator_id, j.service_day
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = least(dirty_days.due_at, excluded.due_at)
"""


LOAD_EDGES = """
select k.n, j.journey_id, j.last_tap
from unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[]) with ordinality
    as k (account_id, operator_id, starts_at, ends_at, n)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.started_at >= k.starts_at and j.started_at < k.ends_at and j.status <> 'withdrawn'
"""


class KeptJourney(NamedTuple):
    """What the books hold of a journey that is being worked out again."""

    journey_id: UUID
    kind: str
    destination: str | None
    last_tap: UUID | None
    status: str
    fare_minor: int
    zones: str
    counted_minor: int
    tier_minor: int
    tariff_from: date
    steps: list[Any]
    charged_minor: int
    revision: int
    issuer_id: str
    wallet_currency: str


class Payer(NamedTuple):
    """Who pays for a token: the issuer, in the wallet's currency."""

    issuer_id: str
    wallet_currency: str


@dataclass(slots=True)
class DayTaps:
    """The taps around one day, and who pays for their tokens."""

    touches: list[Touch] = field(default_factory=list[Touch])
    payers: dict[bytes, Payer] = field(default_factory=dict[bytes, Payer])


class RatedJourney(NamedTuple):
    """A journey with its fare, ready to be written. revision: charges made for it, this one included."""

    key: DayKey
    journey: Journey
    fare: Fare
    payer: Payer
    steps: list[Any]
    tariff_from: date
    revision: int


class NewCharge(NamedTuple):
    """What is to be sent to the ledger for a journey."""

    partition: int
    journey_id: UUID
    revision: int
    charge_id: UUID
    account_id: UUID
    issuer_id: str
    operator_id: str
    wallet_currency: str
    amount_minor: int
    currency: str
    event_at: datetime
    service_day: date


def dirty_partitions(tx: Tx, now: datetime) -> list[int]:
    """Partitions in which days are due to be rated."""
    return sorted(row[0] for row in tx.execute(DIRTY_PARTITIONS, (now,)))


def lock_rater(tx: Tx, partition: int) -> None:
    """Be the one rater of this partition until the transaction ends."""
    tx.execute(ADD_RATER, (partition,))
    tx.execute(LOCK_RATER, (partition,))


def take_days(tx: Tx, partition: int, limit: int, now: datetime) -> list[DayKey]:
    """Days due to be rated, at most one of each account and operator: the earliest, since later ones build on it."""
    taken: dict[tuple[UUID, str], DayKey] = {}
    for row in tx.execute(TAKE_DAYS, (partition, now, limit)):
        taken.setdefault((row[1], row[2]), DayKey(*row))
    if taken:
        tx.execute(DROP_DAYS, [list(column) for column in zip(*taken.values(), strict=True)])
    return list(taken.values())


def load_taps(
    tx: Tx, partition: int, keys: Sequence[DayKey], spans: Sequence[tuple[datetime, datetime]]
) -> list[DayTaps]:
    """The taps of each key within its span of time."""
    days = [DayTaps() for _ in keys]
    values = (
        [key.account_id for key in keys],
        [key.operator_id for key in keys],
        [span[0] for span in spans],
        [span[1] for span in spans],
        partition,
    )
    for row in tx.execute(LOAD_TAPS, values, binary=True):
        day = days[row[0] - 1]
        cti = row[9]
        day.touches.append(Touch(*row[1:12]))
        if cti not in day.payers:
            day.payers[cti] = Payer(row[12], row[13])
    return days


def load_journeys(tx: Tx, partition: int, keys: Sequence[DayKey]) -> list[list[KeptJourney]]:
    """The journeys already kept for each key, withdrawn ones too."""
    kept: list[list[KeptJourney]] = [[] for _ in keys]
    values = (
        [key.account_id for key in keys],
        [key.operator_id for key in keys],
        [key.service_day for key in keys],
        partition,
    )
    for row in tx.execute(LOAD_JOURNEYS, values):
        kept[row[0] - 1].append(KeptJourney(*row[1:]))
    return kept


def load_edges(
    tx: Tx, partition: int, asks: Sequence[tuple[UUID, str, datetime, datetime]]
) -> list[set[tuple[UUID, UUID | None]]]:
    """The (journey, last tap) that start in each span. asks: account, operator, from, to."""
    held: list[set[tuple[UUID, UUID | None]]] = [set() for _ in asks]
    columns = [list(column) for column in zip(*asks, strict=True)]
    for n, journey_id, last_tap in tx.execute(LOAD_EDGES, (*columns, partition)):
        held[n - 1].add((journey_id, last_tap))
    return held


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


def add_journeys(tx: Tx, rated: Sequence[RatedJourney], at: datetime) -> None:
    """Write journeys that the books do not hold yet. The rater is alone in its partition, so none is there by now."""
    if not rated:
        return
    encode = msgspec.json.encode
    with tx.cursor() as cursor, cursor.copy(COPY_JOURNEYS) as copy:
        write = copy.write_row
        for key, journey, fare, payer, steps, tariff_from, revision in rated:
            write(
                (
                    key.partition,
                    journey.journey_id,
                    key.account_id,
                    key.operator_id,
                    key.service_day,
                    journey.kind,
                    journey.product,
                    journey.rider_class,
                    payer.issuer_id,
                    payer.wallet_currency,
                    journey.started_at,
                    journey.ended_at,
                    journey.origin,
                    journey.destination,
                    journey.line_id,
                    journey.first_tap,
                    journey.last_tap,
                    fare.status,
                    fare.amount_minor,
                    fare.currency,
                    encode(steps).decode(),
                    fare.zones,
                    fare.counted_minor,
                    fare.tier_minor,
                    tariff_from,
                    fare.amount_minor,
                    revision,
                    at,
                    journey.companion,
                )
            )


def update_journeys(tx: Tx, rated: Sequence[RatedJourney], at: datetime) -> None:
    """Write journeys over what the books hold of them."""
    if not rated:
        return
    rows = [
        (
            key.partition,
            journey.journey_id,
            journey.kind,
            journey.ended_at,
            journey.destination,
            journey.last_tap,
            fare.status,
            fare.amount_minor,
            msgspec.json.encode(steps).decode(),
            fare.zones,
            fare.counted_minor,
            fare.tier_minor,
            tariff_from,
            revision,
        )
        for key, journey, fare, _, steps, tariff_from, revision in rated
    ]
    tx.execute(UPDATE_JOURNEYS, (at, *(list(column) for column in zip(*rows, strict=True))))


def withdraw_journeys(tx: Tx, partition: int, journeys: Sequence[tuple[UUID, int]], at: datetime) -> None:
    """Take back journeys that turned out not to be ones. journeys: id, and charges made for it."""
    if journeys:
        ids, revisions = [one for one, _ in journeys], [revision for _, revision in journeys]
        tx.execute(WITHDRAW_JOURNEYS, (at, ids, revisions, partition))


def add_charges(tx: Tx, charges: Sequence[NewCharge], at: datetime) -> None:
    """Note what is to be sent to the ledger."""
    if charges:
        with tx.cursor() as cursor, cursor.copy(COPY_CHARGES) as copy:
            for charge in charges:
                copy.write_row((*charge, "intent", False, at))


def mark_later_days(
    tx: Tx, partition: int, changed: Sequence[tuple[UUID, str, date, date]], at: datetime
) -> None:
    """Have later days rated again that build on changed ones. changed: account, operator, day, last day of period."""
    if changed:
        columns = [list(column) for column in zip(*changed, strict=True)]
        tx.execute(MARK_LATER_DAYS, (at, *columns, partition))


# -- charges ------------------------------------------------------------------------------------------------

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


# -- reading ------------------------------------------------------------------------------------------------

# Partitions are few and named in raters, so each is asked by its key.
GET_JOURNEYS = """
select j.journey_id, j.account_id, j.issuer_id, j.operator_id,
    (select city_id from rides.tariffs f where f.operator_id = j.operator_id order by valid_from desc limit 1),
    j.service_day, j.kind, j.product, j.rider_class, j.started_at, j.ended_at, j.origin, j.destination, j.line_id,
    j.status, j.fare_minor, j.currency, j.steps, j.zones, j.tariff_from, j.first_tap, j.last_tap, j.companion,
    j.partition
from rides.raters r
join rides.journeys j on j.partition = r.partition and j.journey_id = any(%s)
"""

LIST_JOURNEYS = """
select j.journey_id, j.account_id, j.issuer_id, j.operator_id,
    (select city_id from rides.tariffs f where f.operator_id = j.operator_id order by valid_from desc limit 1),
    j.service_day, j.kind, j.product, j.rider_class, j.started_at, j.ended_at, j.origin, j.destination, j.line_id,
    j.status, j.fare_minor, j.currency, j.steps, j.zones, j.tariff_from, j.first_tap, j.last_tap, j.companion,
    j.partition
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

GET_CHARGES = """
select charge_id, revision, status, amount_minor, currency, wallet_minor, wallet_currency, on_risk, transfer_ids,
    made_at, posted_at
from rides.charges
where partition = %s and journey_id = %s
order by revision
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


def get_taps(tx: Tx, partition: int, ids: Sequence[UUID]) -> list[Tap]:
    """Taps by id, in order of time."""
    cursor = tx.cursor(row_factory=class_row(Tap))
    return cursor.execute(GET_TAPS, (partition, list(ids))).fetchall()


def get_charges(tx: Tx, partition: int, journey_id: UUID) -> list[ChargeRecord]:
    """A journey's postings, first to last."""
    return [
        ChargeRecord(
            charge_id=row[0],
            revision=row[1],
            status=row[2],
            amount=Money(row[3], row[4]),
            wallet_amount=None if row[5] is None else Money(row[5], row[6]),
            on_risk=row[7],
            transfer_ids=tuple(row[8] or ()),
            made_at=row[9],
            posted_at=row[10],
        )
        for row in tx.execute(GET_CHARGES, (partition, journey_id))
    ]


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
where t.tapped_at >= %(first)s and t.tapped_at < %(last)s
group by 1, 2, 3
"""

FLOW_PLACES = """
select t.operator_id, t.stop_id, t.line_id, count(*)
from unnest(%(operators)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    as k (operator_id, starts_at, ends_at)
join rides.taps t on t.operator_id = k.operator_id and t.tapped_at >= k.starts_at and t.tapped_at < k.ends_at
where t.tapped_at >= %(first)s and t.tapped_at < %(last)s and t.action <> 'exit'
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


LAST_TAP = """
select t.sequence, t.chain
from (
    select partition, tap_id from rides.tap_numbers where gate_id = %s order by sequence desc limit 1
) last
join rides.taps t on t.partition = last.partition and t.tap_id = last.tap_id
"""


def find_last_tap(tx: Tx, gate_id: str) -> tuple[int, bytes] | None:
    """Sequence number and chain of the last tap that came from a gate."""
    row = tx.execute(LAST_TAP, (gate_id,)).fetchone()
    return None if row is None else (row[0], bytes(row[1]))


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


POSTED_BY_CURRENCY = """
select currency, sum(amount_minor) from rides.charges where status = 'posted' group by currency order by currency
"""


def posted_by_currency(tx: Tx) -> dict[str, int]:
    """All charges ever posted, in minor units."""
    return {row[0]: int(row[1]) for row in tx.execute(POSTED_BY_CURRENCY)}
