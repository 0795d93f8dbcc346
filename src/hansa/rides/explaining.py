"""What rides say they sent to the ledger, and whether the taps behind it are there: what items are held against."""

from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa import payments
from hansa.rides import bulk_store, charges_store
from hansa.rides.bulk_store import CHARGE
from hansa.rides.first_charges import charge_id
from hansa.rides.tap_runs import records_of
from hansa.store import Tx

CHARGES = """
select journey_id, issuer_id, operator_id, currency, amount_minor, charge_id, event_at, status
from rides.charges
where partition = %s and journey_id = any(%b)
"""

SUBSIDIES = """
select journey_id, payer_id, operator_id, currency, amount_minor, transfer_id, status
from rides.subsidies
where partition = %s and journey_id = any(%b)
"""

JOURNEYS = """
select journey_id, first_tap, last_tap, started_at, ended_at
from rides.journeys
where partition = %s and journey_id = any(%b)
"""

PASSES = "select pass_id from rides.passes where partition = %s and pass_id = any(%b)"

JOURNEYS_OF_DAY = """
select journey_id from rides.journeys
where partition = %s and service_day = %s and (charged_minor <> 0 or revision > 0 or subsidy_minor <> 0)
"""

DAY_SPAN = """
select count(*), min(started_at), max(ended_at), count(*) filter (where rated_at > %(late)s), max(rated_at)
from rides.journeys
where service_day = %(day)s and status <> 'withdrawn'
"""

TAPS = "select tap_id from rides.taps where partition = %s and tap_id = any(%b)"

RUNS = "select body from rides.tap_runs where partition = %s and last_at >= %s and first_at <= %s"

_AROUND = timedelta(days=2)
"""How far a plain tap's own clock may be from the journey that it stands in, to be on the safe side."""


class RideClaim(NamedTuple):
    """What rides say they added to what an issuer, or who pays a subsidy, owes an operator.

    reference: of a journey or a pass. minor: below zero where it gave back. transfer_ids: under which it stands in the
    ledger, one or several of them. posted: whether the ledger should have it by now.
    """

    reference: UUID
    issuer_id: str
    operator_id: str
    currency: str
    minor: int
    transfer_ids: tuple[UUID, ...]
    posted: bool


class Grounds(NamedTuple):
    """What stands behind references. unknown: neither journeys nor passes. lacking: (journey, tap that is not there).

    taps: how many were looked for.
    """

    unknown: list[UUID]
    lacking: list[tuple[UUID, UUID]]
    taps: int


def ride_claims(
    tx: Tx, partition: int, references: Collection[UUID], waiting: Collection[UUID]
) -> list[RideClaim]:
    """All that was ever charged for these journeys and passes. waiting: those whose first charge waits in a run."""
    ids = list(references)
    found: list[RideClaim] = []
    # A charge that is given a row meanwhile is seen twice, under one id, and never not at all.
    for one in charges_store.load_without_rows(tx, partition, ids):
        transfer = payments.fare_transfer(charge_id(one.event_at, one.journey_id, 0), one.event_at)
        posted = one.journey_id not in waiting
        found.append(
            RideClaim(
                one.journey_id,
                one.issuer_id,
                one.operator_id,
                one.currency,
                one.amount_minor,
                (transfer,),
                posted,
            )
        )
    for row in tx.execute(CHARGES, (partition, ids), binary=True):
        reference, issuer, operator, currency, minor, own, at, status = row
        transfers = (payments.fare_transfer(own, at), payments.give_back_transfer(own, at))
        found.append(RideClaim(reference, issuer, operator, currency, minor, transfers, status == "posted"))
    for reference, payer, operator, currency, minor, transfer, status in tx.execute(
        SUBSIDIES, (partition, ids), binary=True
    ):
        known = () if transfer is None else (transfer,)
        found.append(RideClaim(reference, payer, operator, currency, minor, known, status == "posted"))
    return found


def waiting_in_runs(tx: Tx, partition: int) -> set[UUID]:
    """Journeys whose first charge waits in a run for the ledger."""
    return {
        UUID(bytes=one)
        for run in bulk_store.list_runs(tx, partition)
        for one in np.frombuffer(run.body, CHARGE)["journey_id"].tolist()
    }


def journeys_of_day(tx: Tx, partition: int, day: date, *, some: int) -> Iterator[list[UUID]]:
    """The journeys of a service day, each city's own, for which something was charged, some at a time."""
    rows = tx.execute(JOURNEYS_OF_DAY, (partition, day), binary=True)
    while page := rows.fetchmany(some):
        yield [row[0] for row in page]


class DaySpan(NamedTuple):
    """Journeys of a service day, each city's own. late: those that were last priced after an instant."""

    journeys: int
    first_at: datetime | None
    last_at: datetime | None
    late: int
    last_rated_at: datetime | None


def day_span(tx: Tx, day: date, *, late_after: datetime) -> DaySpan:
    """From when to when a service day was ridden, and how much of it was priced late."""
    row = tx.execute(DAY_SPAN, {"day": day, "late": late_after}).fetchone()
    assert row is not None, "an aggregate returns a row"
    return DaySpan(*row)


class TapsOfRuns:
    """Which taps lie in runs of a partition, for a span of time. 16 bytes of memory for each tap of the span."""

    def __init__(self, tx: Tx, partition: int, first_at: datetime, last_at: datetime) -> None:
        parts = [
            _halves(np.ascontiguousarray(records_of(bytes(row[0]))["tap_id"]))
            for row in tx.execute(RUNS, (partition, first_at - _AROUND, last_at + _AROUND), binary=True)
        ]
        both = np.concatenate(parts) if parts else np.zeros((0, 2), np.uint64)
        order = np.argsort(both[:, 1], kind="stable")
        self._high, self._low = both[order, 0], both[order, 1]

    def __contains__(self, tap_id: UUID) -> bool:
        """A tap's lower half is random: that two agree in it does not happen."""
        high, low = tap_id.int >> 64, tap_id.int & 0xFFFF_FFFF_FFFF_FFFF
        at = int(np.searchsorted(self._low, np.uint64(low)))
        return at < len(self._low) and int(self._low[at]) == low and int(self._high[at]) == high


def grounds(tx: Tx, partition: int, references: Collection[UUID]) -> Grounds:
    """Whether the first and the last tap of each of these journeys is there."""
    ids = list(references)
    unknown = set(ids)
    wanted: list[tuple[UUID, UUID]] = []
    first_at: datetime | None = None
    last_at: datetime | None = None
    for journey_id, first, last, started_at, ended_at in tx.execute(JOURNEYS, (partition, ids), binary=True):
        unknown.discard(journey_id)
        wanted.append((journey_id, first))
        if last is not None and last != first:
            wanted.append((journey_id, last))
        first_at = started_at if first_at is None else min(first_at, started_at)
        last_at = ended_at if last_at is None else max(last_at, ended_at)
    if unknown:
        unknown -= {row[0] for row in tx.execute(PASSES, (partition, list(unknown)), binary=True)}
    in_rows = {row[0] for row in tx.execute(TAPS, (partition, [tap for _, tap in wanted]), binary=True)}
    lacking = [(journey_id, tap) for journey_id, tap in wanted if tap not in in_rows]
    if lacking and first_at is not None and last_at is not None:
        in_runs = TapsOfRuns(tx, partition, first_at, last_at)
        lacking = [(journey_id, tap) for journey_id, tap in lacking if tap not in in_runs]
    return Grounds(sorted(unknown), sorted(lacking), len(wanted))


def _halves(ids: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    return ids.view(">u8").astype(np.uint64).reshape(-1, 2)
