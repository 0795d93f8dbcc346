"""What taking taps in left, however they were kept: tests hold both ways equal by it."""

from typing import Any

from psycopg import Rollback

from hansa import gate, rides
from hansa.rides import store
from hansa.rides.fresh_taps import give_all_rows
from hansa.rides.tap_runs_store import fresh_partitions
from hansa.rides.tariffs import Tariffs
from hansa.store import Context, Tx


def written(tap: rides.Tap) -> dict[str, Any]:
    """The tap as the gate library writes it."""
    return gate.Tap(
        *(
            tap.tap_id,
            tap.gate_id,
            tap.sequence,
            tap.action,
            tap.stop_id,
            tap.tapped_at,
            tap.cti,
            tap.counter,
        ),
        *(tap.kid, tap.made_at, tap.list_version, tap.chain, tap.companion),
    ).json()


def numbers_of(tx: Tx) -> list[tuple[object, ...]]:
    """Every number that is taken, with the digest of its tap."""
    numbers = tx.execute("select gate_id, sequence from rides.every_tap order by 1, 2").fetchall()
    digests = store.find_digests(tx, numbers)
    return [(*number, digests[number]) for number in numbers]


def days_of(ctx: Context, tx: Tx) -> list[tuple[object, ...]]:
    """Which days wait to be rated, once rating has looked at all that came in."""
    query = "select * from rides.dirty_days order by account_id, operator_id, service_day"
    days: list[tuple[object, ...]] = []
    with tx.transaction():
        for partition in fresh_partitions(tx, ctx.clock.now()):
            give_all_rows(tx, partition, Tariffs(tx), ctx.clock.now())
        days = tx.execute(query).fetchall()
        raise Rollback
    return days
