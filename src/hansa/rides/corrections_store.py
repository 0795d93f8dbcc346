"""Why a fare was put right: what came in between two charges of a journey."""

from datetime import date, datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.rides.corrections_model import LateTap
from hansa.store import Tx

TAPS_BETWEEN = """
select tap_id, gate_id, action, stop_id, line_id, tapped_at, received_at
from rides.taps
where partition = %(partition)s and account_id = %(account_id)s and operator_id = %(operator_id)s
    and companion = %(companion)s
    and tapped_at >= %(first)s and tapped_at <= %(last)s
    and received_at >= %(after)s
order by received_at, tapped_at, tap_id
"""

TARIFFS_BETWEEN = """
select imported_at, valid_from
from rides.tariffs
where operator_id = %(operator_id)s and valid_from <= %(day)s and (valid_to is null or valid_to >= %(day)s)
    and imported_at > %(after)s
order by imported_at
"""

STATED_BETWEEN = """
select stated_at, stated_by
from rides.stated_ends
where partition = %s and journey_id = %s and stated_at >= %s
order by stated_at, revision
"""


def taps_between(
    tx: Tx,
    *,
    partition: int,
    account_id: UUID,
    operator_id: str,
    companion: int,
    first: datetime,
    last: datetime,
    after: datetime,
) -> list[LateTap]:
    """Taps of a rider made from ``first`` to ``last`` and received from an instant on, in the order of receipt."""
    values = {
        "partition": partition,
        "account_id": account_id,
        "operator_id": operator_id,
        "companion": companion,
        "first": first,
        "last": last,
        "after": after,
    }
    return tx.cursor(row_factory=class_row(LateTap)).execute(TAPS_BETWEEN, values).fetchall()


def tariffs_between(tx: Tx, *, operator_id: str, day: date, after: datetime) -> list[tuple[datetime, date]]:
    """When tariffs that speak for a service day came in after an instant, and their first days."""
    values = {"operator_id": operator_id, "day": day, "after": after}
    return tx.execute(TARIFFS_BETWEEN, values).fetchall()


def stated_between(tx: Tx, partition: int, journey_id: UUID, after: datetime) -> list[tuple[datetime, str]]:
    """When a journey's missing end was stated, from an instant on, and by whom: ``rider`` or ``operator``."""
    return tx.execute(STATED_BETWEEN, (partition, journey_id, after)).fetchall()
