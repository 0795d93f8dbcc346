"""The SQL of rating: what a day is worked out from, and what is written of it. Sets, not loops."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from hansa.fares import Fare, Journey
from hansa.rides import tap_runs_store
from hansa.rides.model import Touch
from hansa.rides.pairing import decided
from hansa.rides.store import DayKey
from hansa.store import Tx

DIRTY_PARTITIONS = "select distinct partition from rides.dirty_days where due_at <= %s"

ADD_RATER = "insert into rides.raters (partition) values (%s) on conflict do nothing"

LOCK_RATER = "select 1 from rides.raters where partition = %s for no key update"

TAKE_DAYS = """
select partition, account_id, operator_id, service_day, afresh
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
    case when t.companion = 0 then o.rider_class else 'adult' end, t.companion, o.issuer_id, o.wallet_currency,
    case when t.received_at - t.tapped_at > interval '1 minute' then t.received_at end
from unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[]) with ordinality
    as k (account_id, operator_id, starts_at, ends_at, n)
join rides.taps t on t.partition = %s and t.account_id = k.account_id and t.operator_id = k.operator_id
    and t.tapped_at >= k.starts_at and t.tapped_at < k.ends_at
join rides.tokens o on o.cti = t.cti
"""

LOAD_JOURNEYS = """
select k.n, j.journey_id, j.kind, j.destination, j.last_tap, j.status, j.fare_minor, j.zones, j.counted_minor,
    j.tier_minor, j.tariff_from, coalesce(j.steps_text, j.steps::text), j.charged_minor, j.revision, j.issuer_id,
    j.wallet_currency, j.origin,
    nullif(j.counts, '{}')::text, j.window_from, j.subsidy_payer, j.subsidy_minor, nullif(j.notes, '[]')::text,
    j.trip_id, j.network_version, j.medium, j.distance_m, j.started_at, j.service_day
from unnest(%s::uuid[], %s::text[], %s::date[]) with ordinality as k (account_id, operator_id, service_day, n)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day = k.service_day
"""

# Journeys by themselves, whichever day they stand under: a corrected clock takes a journey to another.
LOAD_ELSEWHERE = """
select 0, j.journey_id, j.kind, j.destination, j.last_tap, j.status, j.fare_minor, j.zones, j.counted_minor,
    j.tier_minor, j.tariff_from, coalesce(j.steps_text, j.steps::text), j.charged_minor, j.revision, j.issuer_id,
    j.wallet_currency, j.origin,
    nullif(j.counts, '{}')::text, j.window_from, j.subsidy_payer, j.subsidy_minor, nullif(j.notes, '[]')::text,
    j.trip_id, j.network_version, j.medium, j.distance_m, j.started_at, j.service_day
from rides.journeys j
where j.partition = %s and j.journey_id = any(%s)
"""

COPY_JOURNEYS = """
copy rides.journeys (partition, journey_id, account_id, operator_id, service_day, kind, product, rider_class, issuer_id,
    wallet_currency, started_at, ended_at, origin, destination, line_id, first_tap, last_tap, status, fare_minor,
    currency, steps, zones, counted_minor, tier_minor, tariff_from, charged_minor, revision, rated_at, companion,
    counts, window_from, subsidy_payer, subsidy_minor, notes, trip_id, network_version, medium, distance_m)
from stdin
"""

UPDATE_JOURNEYS = """
update rides.journeys j
set service_day = k.service_day, started_at = k.started_at, origin = k.origin, kind = k.kind, ended_at = k.ended_at,
    destination = k.destination, last_tap = k.last_tap, status = k.status,
    fare_minor = k.fare_minor, steps = k.steps, steps_text = null, zones = k.zones, counted_minor = k.counted_minor,
    tier_minor = k.tier_minor, tariff_from = k.tariff_from, charged_minor = k.fare_minor, revision = k.revision,
    rated_at = %s, counts = k.counts, window_from = k.window_from, subsidy_payer = k.subsidy_payer,
    subsidy_minor = k.subsidy_minor, notes = k.notes, trip_id = k.trip_id, network_version = k.network_version,
    medium = k.medium, distance_m = k.distance_m
from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::uuid[], %s::text[], %s::bigint[],
    %s::jsonb[], %s::text[], %s::bigint[], %s::bigint[], %s::date[], %s::integer[], %s::jsonb[], %s::date[], %s::text[],
    %s::bigint[], %s::jsonb[], %s::uuid[], %s::integer[], %s::text[], %s::integer[], %s::date[], %s::timestamptz[],
    %s::text[])
    as k (partition, journey_id, kind, ended_at, destination, last_tap, status, fare_minor, steps, zones, counted_minor,
        tier_minor, tariff_from, revision, counts, window_from, subsidy_payer, subsidy_minor, notes, trip_id,
        network_version, medium, distance_m, service_day, started_at, origin)
where j.partition = k.partition and j.journey_id = k.journey_id
"""

WITHDRAW_JOURNEYS = """
update rides.journeys j
set status = 'withdrawn', fare_minor = 0, charged_minor = 0, counted_minor = 0, tier_minor = 0, steps = '[]',
    steps_text = null, counts = '{}', window_from = null, subsidy_payer = null, subsidy_minor = 0, notes = '[]',
    trip_id = null, revision = k.revision, rated_at = %s
from unnest(%s::uuid[], %s::integer[]) as k (journey_id, revision)
where j.partition = %s and j.journey_id = k.journey_id
"""

COPY_CHARGES = """
copy rides.charges (partition, journey_id, revision, charge_id, account_id, issuer_id, operator_id, wallet_currency,
    amount_minor, currency, event_at, service_day, status, on_risk, made_at)
from stdin
"""

COPY_SUBSIDIES = """
copy rides.subsidies (partition, journey_id, revision, payer_id, subsidy_id, operator_id, amount_minor, currency,
    event_at, service_day, status, made_at)
from stdin
"""

# only_incomplete: of those days only the ones on which a tap is missing.
MARK_LATER_DAYS = """
insert into rides.dirty_days (partition, account_id, operator_id, service_day, due_at)
select distinct j.partition, j.account_id, j.operator_id, j.service_day, %s::timestamptz
from unnest(%s::uuid[], %s::text[], %s::date[], %s::date[], %s::boolean[])
    as k (account_id, operator_id, after_day, last_day, only_incomplete)
join rides.journeys j on j.partition = %s and j.account_id = k.account_id and j.operator_id = k.operator_id
    and j.service_day > k.after_day and j.service_day <= k.last_day and j.status <> 'withdrawn'
    and (not k.only_incomplete or j.kind in ('no_exit', 'no_entry'))
order by j.partition, j.account_id, j.operator_id, j.service_day
on conflict (partition, account_id, operator_id, service_day)
    do update set due_at = least(dirty_days.due_at, excluded.due_at)
"""


LOAD_EDGES = """
select k.n, j.journey_id, j.last_tap, j.notes
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
    origin: str | None
    counts: dict[str, int]
    window_from: date | None
    subsidy_payer: str | None
    subsidy_minor: int
    notes: list[Any]
    trip_id: UUID | None
    network_version: int | None
    medium: str
    distance_m: int | None
    started_at: datetime
    service_day: date


class Payer(NamedTuple):
    """Who pays for a token: the issuer, in the wallet's currency."""

    issuer_id: str
    wallet_currency: str


@dataclass(slots=True)
class DayTaps:
    """The taps around one day, who pays for their tokens, and when those reached us that were not handed in at once."""

    touches: list[Touch] = field(default_factory=list[Touch])
    payers: dict[bytes, Payer] = field(default_factory=dict[bytes, Payer])
    received: dict[UUID, datetime] = field(default_factory=dict[UUID, datetime])


class RatedJourney(NamedTuple):
    """A journey with its fare, ready to be written.

    revision: charges made for it, this one included. notes: what pairing decided, as ``steps``. window_from: first
    day of the rolling window it counts in. trip_id: first journey of the trip it goes on with. network_version: of the
    city's network that it was priced over.
    """

    key: DayKey
    journey: Journey
    fare: Fare
    payer: Payer
    steps: list[Any]
    tariff_from: date
    revision: int
    notes: list[Any]
    window_from: date | None
    trip_id: UUID | None
    network_version: int | None


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


class NewSubsidy(NamedTuple):
    """What is to be sent to the ledger for the part of a fare that a member pays; below zero it is given back."""

    partition: int
    journey_id: UUID
    revision: int
    payer_id: str
    subsidy_id: UUID
    operator_id: str
    amount_minor: int
    currency: str
    event_at: datetime
    service_day: date


class LaterDays(NamedTuple):
    """Days of an account with an operator that build on something that changed: after one, up to and with the other.

    only_incomplete: of these only days on which a tap is missing.
    """

    account_id: UUID
    operator_id: str
    after_day: date
    last_day: date
    only_incomplete: bool = False


def due_partitions(tx: Tx, now: datetime) -> list[int]:
    """Partitions in which days are due to be rated, or taps came that rating has not looked at."""
    marked = {row[0] for row in tx.execute(DIRTY_PARTITIONS, (now,))}
    return sorted({*marked, *tap_runs_store.fresh_partitions(tx, now)})


def lock_rater(tx: Tx, partition: int) -> None:
    """Be the one rater of this partition until the transaction ends."""
    tx.execute(ADD_RATER, (partition,))
    tx.execute(LOCK_RATER, (partition,))


def take_days(tx: Tx, partition: int, limit: int, now: datetime) -> dict[DayKey, bool]:
    """Days due to be rated, at most one of each account and operator: the earliest, since later ones build on it.

    The value says whether the day is to be priced afresh, over the network that holds on it now.
    """
    taken: dict[tuple[UUID, str], tuple[DayKey, bool]] = {}
    for row in tx.execute(TAKE_DAYS, (partition, now, limit)):
        taken.setdefault((row[1], row[2]), (DayKey(*row[:4]), row[4]))
    days = dict(taken.values())
    if days:
        tx.execute(DROP_DAYS, [list(column) for column in zip(*days, strict=True)])
    return days


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
        if row[14] is not None:
            day.received[row[1]] = row[14]
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
        kept[row[0] - 1].append(_kept(row))
    return kept


def _kept(row: tuple[Any, ...]) -> KeptJourney:
    """Its JSON comes as text, since most of it is empty and reading it is what a day rated again costs most."""
    values = list(row[1:])
    values[_STEPS] = msgspec.json.decode(values[_STEPS])
    values[_COUNTS] = msgspec.json.decode(values[_COUNTS]) if values[_COUNTS] else {}
    values[_NOTES] = msgspec.json.decode(values[_NOTES]) if values[_NOTES] else []
    return KeptJourney(*values)


_STEPS, _COUNTS, _NOTES = (KeptJourney._fields.index(name) for name in ("steps", "counts", "notes"))


def load_elsewhere(tx: Tx, partition: int, ids: Sequence[UUID]) -> dict[UUID, KeptJourney]:
    """Those of these journeys that there are, withdrawn ones too, whichever day they stand under."""
    if not ids:
        return {}
    return {row[1]: _kept(row) for row in tx.execute(LOAD_ELSEWHERE, (partition, list(ids)))}


def load_edges(
    tx: Tx, partition: int, asks: Sequence[tuple[UUID, str, datetime, datetime]]
) -> list[set[tuple[UUID, UUID | None, tuple[object, ...]]]]:
    """The (journey, last tap, what was decided) that start in each span. asks: account, operator, from, to."""
    held: list[set[tuple[UUID, UUID | None, tuple[object, ...]]]] = [set() for _ in asks]
    columns = [list(column) for column in zip(*asks, strict=True)]
    for n, journey_id, last_tap, notes in tx.execute(LOAD_EDGES, (*columns, partition)):
        held[n - 1].add((journey_id, last_tap, decided((rule, facts) for rule, _, facts in notes)))
    return held


def add_journeys(tx: Tx, rated: Sequence[RatedJourney], at: datetime) -> None:
    """Write journeys that the books do not hold yet. The rater is alone in its partition, so none is there by now."""
    if not rated:
        return
    encode = msgspec.json.encode
    with tx.cursor() as cursor, cursor.copy(COPY_JOURNEYS) as copy:
        write = copy.write_row
        for one in rated:
            key, journey, fare, payer, steps, tariff_from, revision = one[:7]
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
                    *_beyond(one, encode),
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
            *_beyond(one, msgspec.json.encode),
            *(key.service_day, journey.started_at, journey.origin),
        )
        for one in rated
        for key, journey, fare, _, steps, tariff_from, revision in (one[:7],)
    ]
    tx.execute(UPDATE_JOURNEYS, (at, *(list(column) for column in zip(*rows, strict=True))))


def _beyond(one: RatedJourney, encode: Callable[[Any], bytes]) -> tuple[Any, ...]:
    """What is kept beyond the fare and its sums, in the order of the columns."""
    fare, journey = one.fare, one.journey
    return (
        encode(fare.counts).decode() if fare.counts else "{}",
        one.window_from,
        None if fare.subsidy is None else fare.subsidy.payer,
        0 if fare.subsidy is None else fare.subsidy.amount_minor,
        encode(one.notes).decode() if one.notes else "[]",
        one.trip_id,
        one.network_version,
        journey.medium,
        journey.distance_m,
    )


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


def add_subsidies(tx: Tx, subsidies: Sequence[NewSubsidy], at: datetime) -> None:
    """Note what members are to pay of fares."""
    if subsidies:
        with tx.cursor() as cursor, cursor.copy(COPY_SUBSIDIES) as copy:
            for subsidy in subsidies:
                copy.write_row((*subsidy, "intent", at))


def mark_later_days(tx: Tx, partition: int, changed: Collection[LaterDays], at: datetime) -> None:
    """Have days with journeys rated again that build on what changed."""
    if changed:
        columns = [list(column) for column in zip(*sorted(changed), strict=True)]
        tx.execute(MARK_LATER_DAYS, (at, *columns, partition))
