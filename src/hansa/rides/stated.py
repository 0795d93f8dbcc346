"""Where a journey with a missing tap really ended or began, as its rider or a clerk of its operator states.

What is stated is a fact of its own: appended, with who said it and why. It must be possible on the network and in time,
and riders may make so many a month as the tariff says. The day is rated again with it, and when the missing tap comes
after all, the tap stands (``pairing``).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple
from uuid import UUID

from hansa import atlas
from hansa.fares import JourneyId, PairingRules
from hansa.kernel import HansaError, InvalidInput, Problem, in_utc
from hansa.rides import rating_store, store
from hansa.rides.fresh_taps import give_rows_around
from hansa.rides.model import JourneyRecord, UnknownJourney
from hansa.rides.pairing import StatedBy
from hansa.rides.store import DayKey
from hansa.rides.tariffs import Tariffs
from hansa.store import Tx

REASON_MAX = 300
"""Characters of the reason; it is shown with the journey."""

LAST_STATED = """
select revision, stop_id, at, stated_by, reason from rides.stated_ends
where partition = %s and journey_id = %s
order by revision desc
limit 1
"""

COUNT_STATED = """
select count(*) from rides.stated_ends
where partition = %s and account_id = %s and operator_id = %s and stated_by = 'rider' and stated_at >= %s
"""

# The rider's taps on this token next to the one of the journey, save its doubles and interchanges.
NEXT_TAPS = """
select min(t.tapped_at) filter (where t.tapped_at > own.tapped_at),
    max(t.tapped_at) filter (where t.tapped_at < own.tapped_at)
from rides.taps own
join rides.taps t on t.partition = own.partition and t.account_id = own.account_id
    and t.operator_id = own.operator_id and t.cti = own.cti and t.companion = own.companion
    and t.tapped_at between own.tapped_at - interval '2 days' and own.tapped_at + interval '2 days'
    and not (t.action = 'board' and t.line_id is null)
    and not (t.action = own.action and t.stop_id is not distinct from own.stop_id
        and t.tapped_at between own.tapped_at - interval '5 minutes' and own.tapped_at + interval '5 minutes')
where own.partition = %s and own.tap_id = %s
"""

INSERT_STATED = """
insert into rides.stated_ends (partition, journey_id, revision, account_id, operator_id, tapped_at, stop_id, at,
    stated_by, caller_id, reason, stated_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


class JourneyNotOpen(HansaError):
    """This journey misses no tap, so there is nothing to state; dispute it if it is wrong."""

    code: ClassVar[str] = "rides.journey_not_open"
    status: ClassVar[int] = 409


class StatedTooOften(HansaError):
    """The operator lets riders state no more ends than that; ask the operator."""

    code: ClassVar[str] = "rides.stated_too_often"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Stated:
    """What was stated of a journey. revision: 1 for the first time; the last one counts."""

    journey_id: UUID
    revision: int
    stop_id: str
    at: datetime
    by: StatedBy
    reason: str


class _Open(NamedTuple):
    """A journey that misses a tap. tapped_at: of the one it has, as corrected. missing: which end."""

    partition: int
    record: JourneyRecord
    tap_id: UUID
    tapped_at: datetime
    missing: str


def state_end(
    tx: Tx,
    journey_id: UUID,
    *,
    stop_id: str,
    at: datetime,
    by: StatedBy,
    caller_id: str,
    reason: str,
    now: datetime,
) -> Stated:
    """Keep where and when a journey with a missing tap ended (or began), and have its day rated again.

    by: the rider, within the tariff's limits, or the operator, whose word replaces the rider's. caller_id: who it was,
    for the record. Stating the same again is harmless. Whether the caller may speak for either is not checked here.
    Errors: UnknownJourney; JourneyNotOpen; StatedTooOften; InvalidInput naming ``stop_id``, ``at`` or ``reason``.
    Nothing is kept then.
    """
    at = in_utc(at)
    found = store.get_journeys(tx, [JourneyId(journey_id)])
    if not found or found[0].record.status == "withdrawn":
        raise UnknownJourney(f"There is no journey {journey_id}.")
    partition = found[0].partition
    rating_store.lock_rater(tx, partition)  # one at a time, and none while its day is rated
    record = found[0].record
    own_day = DayKey(partition, record.account_id, record.operator_id, record.service_day)
    give_rows_around(tx, partition, [own_day])
    last = _last(tx, partition, journey_id)
    journey = _open(tx, journey_id, last)
    if last is not None and (last.stop_id, last.at, last.by, last.reason) == (stop_id, at, by, reason):
        return last
    if last is not None and last.by == "operator" and by == "rider":
        raise JourneyNotOpen("The operator has stated this end already; dispute it if it is wrong.")
    tariffs = Tariffs(tx)
    record = journey.record
    rules = tariffs.pairing(record.operator_id, record.service_day)
    _check(tx, tariffs, journey, rules, stop_id, at, reason, now)
    if by == "rider":
        _check_limits(tx, tariffs, journey, rules, now)
    stated = Stated(journey_id, 1 if last is None else last.revision + 1, stop_id, at, by, reason)
    row = (
        *(
            partition,
            journey_id,
            stated.revision,
            record.account_id,
            record.operator_id,
            journey.tapped_at,
        ),
        *(stop_id, at, by, caller_id, reason, now),
    )
    tx.execute(INSERT_STATED, row)
    store.mark_days(tx, [DayKey(partition, record.account_id, record.operator_id, record.service_day)], now)
    return stated


def _last(tx: Tx, partition: int, journey_id: UUID) -> Stated | None:
    row = tx.execute(LAST_STATED, (partition, journey_id)).fetchone()
    return None if row is None else Stated(journey_id, *row)


def _open(tx: Tx, journey_id: UUID, last: Stated | None) -> _Open:
    """The journey as it is now, if it misses a tap; one that only what was stated completed still does."""
    found = store.get_journeys(tx, [JourneyId(journey_id)])[0]
    record = found.record
    taps = store.get_taps(tx, found, found.taps)
    if len(taps) != 1 or record.kind == "boarding" or (record.kind == "complete" and last is None):
        raise JourneyNotOpen
    missing = "entry" if taps[0].action == "exit" else "exit"
    tapped_at = record.ended_at if missing == "entry" else record.started_at
    return _Open(found.partition, record, taps[0].tap_id, tapped_at, missing)


def _check(
    tx: Tx,
    tariffs: Tariffs,
    journey: _Open,
    rules: PairingRules,
    stop_id: str,
    at: datetime,
    reason: str,
    now: datetime,
) -> None:
    """Refuse what cannot have been."""
    problems = [
        *_problems_of_reason(reason),
        *_problems_of_time(tx, tariffs, journey, rules, at, now),
    ]
    problems += _problems_of_place(tx, journey, rules, stop_id, at)
    if problems:
        raise InvalidInput("This journey cannot have ended so.", problems=tuple(problems))


def _problems_of_reason(reason: str) -> list[Problem]:
    if reason.strip() and len(reason) <= REASON_MAX and reason.isprintable():
        return []
    return [Problem("reason", "it is empty or too long", f"Write one line of 1 to {REASON_MAX} characters")]


def _problems_of_time(
    tx: Tx, tariffs: Tariffs, journey: _Open, rules: PairingRules, at: datetime, now: datetime
) -> list[Problem]:
    record, own, longest = journey.record, journey.tapped_at, rules.journey_max
    minutes = int(longest.total_seconds()) // 60
    if at > now:
        return [Problem("at", "it has not been yet", "Say when the journey ended")]
    row = tx.execute(NEXT_TAPS, (journey.partition, journey.tap_id)).fetchone()
    assert row is not None, "an aggregate has a row"
    after, before = row
    if journey.missing == "exit":
        if not timedelta() < at - own <= longest:
            what = f"it is not within {minutes} minutes after the entry"
            return [Problem("at", what, "Say when the journey ended")]
        if after is not None and at > after:
            return [Problem("at", "the rider had tapped elsewhere by then", "Say an earlier time")]
        return []
    if not timedelta() < own - at <= longest:
        what = f"it is not within {minutes} minutes before the exit"
        return [Problem("at", what, "Say when the journey began")]
    if before is not None and at < before:
        return [Problem("at", "the rider tapped elsewhere after it", "Say a later time")]
    if tariffs.day_of(record.operator_id, at) != record.service_day:
        return [Problem("at", "it is on another service day", "Ask the operator, who can correct both days")]
    return []


def _problems_of_place(
    tx: Tx, journey: _Open, rules: PairingRules, stop_id: str, at: datetime
) -> list[Problem]:
    record = journey.record
    try:
        network = atlas.get_network(tx, record.city_id, day=record.service_day)
    except atlas.UnknownCity as error:
        return [Problem("stop_id", error.detail, "Wait until the operator has loaded its network")]
    if stop_id not in network.stops:
        return [Problem("stop_id", f"{record.city_id} has no stop {stop_id!r}", "Name a stop of its network")]
    known = record.origin if journey.missing == "exit" else record.destination
    if known is None or known == stop_id:
        return []
    try:
        metres = network.distance_m(known, stop_id)
    except HansaError as error:
        return [Problem("stop_id", error.detail, "Name a stop that a line leads to")]
    seconds = abs((at - journey.tapped_at).total_seconds())
    if metres * 3_600 > rules.stated.speed_max_kmh * 1_000 * seconds:
        what = (
            f"{metres:,} m in {int(seconds) // 60} minutes is faster than {rules.stated.speed_max_kmh} km/h"
        )
        return [
            Problem("at", what, "Say a later time" if journey.missing == "exit" else "Say an earlier time")
        ]
    return []


def _check_limits(tx: Tx, tariffs: Tariffs, journey: _Open, rules: PairingRules, now: datetime) -> None:
    """Refuse a rider who comes too late or too often."""
    record, stated = journey.record, rules.stated
    if not stated.per_month:
        raise StatedTooOften(f"{record.operator_id} does not take it from riders; ask the operator.")
    if now - journey.tapped_at > stated.within:
        raise StatedTooOften(f"It can be stated within {stated.within.days} days; ask the operator.")
    first = tariffs.day_of(record.operator_id, now).replace(day=1)
    month_starts, _ = tariffs.bounds(record.operator_id, first)
    values = journey.partition, record.account_id, record.operator_id, month_starts
    row = tx.execute(COUNT_STATED, values).fetchone()
    assert row is not None, "a count has a row"
    if row[0] >= stated.per_month:
        raise StatedTooOften(
            f"{record.operator_id} takes {stated.per_month} a month, and there were as many; ask the operator."
        )
