"""The SQL of comparing tariffs: past journeys as a stream, rider by rider. Only reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from hansa.fares import Journey, JourneyId
from hansa.rides.pairing import via_of
from hansa.store import Tx

ROWS_AT_ONCE = 5_000
"""Journeys fetched in one go."""

COUNT_JOURNEYS = """
select count(*) from rides.journeys
where operator_id = %s and service_day between %s and %s and status <> 'withdrawn'
"""

LATEST_DAY = """
select max(service_day) from rides.journeys where operator_id = %s and status <> 'withdrawn'
"""

PAST_RIDES = """
select account_id, service_day, journey_id, kind, product, rider_class, started_at, ended_at, origin, destination,
    line_id, first_tap, last_tap, companion, status, fare_minor + subsidy_minor, zones, counted_minor, tier_minor,
    medium, distance_m, counts, partition, notes
from rides.journeys
where operator_id = %s and service_day between %s and %s and status <> 'withdrawn'
order by account_id, service_day, started_at, journey_id
"""

OPENINGS = """
select account_id, period, start_day, minor from rides.opening_spend
where operator_id = %s and account_id = any(%s)
"""


@dataclass(frozen=True, slots=True)
class PastRide:
    """A journey of the books, as much of it as comparing needs.

    partition: of the account. whole_minor: its fare there, whoever pays. counted_minor, tier_minor, counts: as of a
    ``fares.Fare``.
    """

    account_id: UUID
    service_day: date
    journey: Journey
    status: str
    whole_minor: int
    zones: str
    counted_minor: int
    tier_minor: int
    counts: Mapping[str, int]
    partition: int = 0


def count_journeys(tx: Tx, operator_id: str, first_day: date, last_day: date) -> int:
    """How many journeys of an operator lie in these days."""
    row = tx.execute(COUNT_JOURNEYS, (operator_id, first_day, last_day)).fetchone()
    assert row is not None, "a count has a row"
    return int(row[0])


def latest_day_ridden(tx: Tx, operator_id: str) -> date | None:
    """The latest service day with journeys of an operator; None where there is none."""
    row = tx.execute(LATEST_DAY, (operator_id,)).fetchone()
    return None if row is None else row[0]


def past_rides(tx: Tx, operator_id: str, first_day: date, last_day: date) -> Iterator[PastRide]:
    """The journeys of these days, rider by rider, each in order of day and time; fetched some at a time."""
    with tx.cursor(name="past_rides") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        for row in cursor.execute(PAST_RIDES, (operator_id, first_day, last_day)):
            journey = Journey(
                journey_id=JourneyId(row[2]),
                kind=row[3],
                product=row[4],
                rider_class=row[5],
                cti=b"",
                started_at=row[6],
                ended_at=row[7],
                origin=row[8],
                destination=row[9],
                line_id=row[10],
                first_tap=row[11],
                last_tap=row[12],
                companion=row[13],
                medium=row[19],
                distance_m=row[20],
                via=via_of((rule, facts) for rule, _, facts in row[23]),
            )
            yield PastRide(
                account_id=row[0],
                service_day=row[1],
                journey=journey,
                status=row[14],
                whole_minor=int(row[15]),
                zones=row[16],
                counted_minor=int(row[17]),
                tier_minor=int(row[18]),
                counts=row[21],
                partition=row[22],
            )


def openings(tx: Tx, operator_id: str, accounts: Sequence[UUID]) -> dict[UUID, dict[tuple[str, date], int]]:
    """By account: (period, first day) -> minor units spent before the books began."""
    found: dict[UUID, dict[tuple[str, date], int]] = {}
    for account_id, period, start_day, minor in tx.execute(OPENINGS, (operator_id, list(accounts))):
        found.setdefault(account_id, {})[period, start_day] = int(minor)
    return found
