"""Charges posted by the run: what rating wrote in one piece goes to the ledger in one batch, and becomes rows.

A run is the intent of its charges: it stays until their rows say that they are posted, so a kill anywhere only has the
same run posted again, and the ledger knows each transfer by its id. What the wallets cannot carry becomes intents of
its own, which ``actions.post_charges`` takes to payments one by one.
"""

import numpy as np
import numpy.typing as npt
from psycopg.errors import UniqueViolation

from hansa import clearing, payments
from hansa.rides import actions, bulk_store
from hansa.rides.bulk import CHARGE, CHARGE_COLUMNS, charge_tails, days_of, fill_charges, intent_rows
from hansa.rides.bulk_store import Run
from hansa.rides.model import PostCounts
from hansa.store import Context, Tx
from hansa.store.copying import POSTGRES_EPOCH_US, head_of, heads, rows_of, us_of


def post_charges(ctx: Context, limit: int = 100_000) -> PostCounts:
    """Send charges to the ledger, through payments: runs first, then single ones in the order in which rides ended.

    Safe to run again, to kill, and beside itself. limit: charges, a run more at most. What payments will not take, such
    as for want of an exchange rate, waits for a later call and holds up nothing else.
    """
    with ctx.tx() as tx:
        partitions = bulk_store.run_partitions(tx)
    by_run = 0
    for partition in partitions:
        by_run += post_runs(ctx, partition, limit - by_run)
    counts = actions.post_charges(ctx, max(0, limit - by_run))
    return PostCounts(counts.charges + by_run, counts.on_risk, counts.waiting, counts.subsidies)


def post_runs(ctx: Context, partition: int, limit: int) -> int:
    """Post a partition's runs, oldest first, until so many charges are posted; gives how many are."""
    posted = 0
    opened: set[tuple[str, str, str]] = set()
    while posted < limit:
        with ctx.tx() as tx:
            run = bulk_store.next_run(tx, partition)
        if run is None:
            break
        positions = {(issuer, operator, currency) for issuer, operator, currency, _ in run.words} - opened
        if positions:
            clearing.open_positions(ctx, sorted(positions))
            opened |= positions
        posted += _post_run(ctx, run)
    return posted


def _post_run(ctx: Context, run: Run) -> int:
    """Have the ledger carry a run, and end it; gives how many charges are posted now."""
    fares = _fares(run)
    carried = payments.carry_fares(ctx, fares)
    booked = carried.booked
    try:
        with ctx.tx() as tx:
            if not bulk_store.lock_run(tx, run.partition, run.run_id):
                return 0  # somebody else posted it meanwhile
            payments.keep_fares(tx, fares, booked)
            _write_posted(tx, run, booked, carried.transfer_ids, us_of(ctx.clock.now()))
            if not booked.all():
                _write_intents(tx, run, ~booked)
            bulk_store.drop_run(tx, run.partition, run.run_id)
    except UniqueViolation:  # payments has some of these already; it is asked for each of them
        with ctx.tx() as tx:
            if bulk_store.lock_run(tx, run.partition, run.run_id):
                _write_intents(tx, run, np.ones(len(fares), np.bool_))
                bulk_store.drop_run(tx, run.partition, run.run_id)
        return 0
    return int(booked.sum())


def _fares(run: Run) -> payments.FareColumns:
    records = np.frombuffer(run.body, CHARGE)
    places = records["word"].astype(np.int64)
    payees = [
        clearing.position_account(issuer, operator, currency, run.partition).bytes
        for issuer, operator, currency, _ in run.words
    ]
    return payments.FareColumns(
        partition=run.partition,
        charge_ids=records["charge_id"],
        accounts=records["account_id"],
        payees=np.frombuffer(b"".join(payees), "V16")[places],
        references=records["journey_id"],
        amounts=records["amount"].astype(np.int64),
        at_us=records["event_us"].astype(np.int64),
        rate_days=days_of(run.words)[places],
        parties=places,
        words=[(issuer, currency) for issuer, _, currency, _ in run.words],
    )


def _write_posted(
    tx: Tx, run: Run, booked: npt.NDArray[np.bool_], transfer_ids: npt.NDArray[np.void], at_us: int
) -> None:
    records = np.frombuffer(run.body, CHARGE)[booked]
    rows = heads(_POSTED, _POSTED_LENGTHS, len(records))
    places = records["word"].astype(np.int64)
    fill_charges(rows, records, run.partition, days_of(run.words)[places], run.made_at)
    rows["wallet"] = records["amount"]
    for name, value in (("dimensions", 1), ("of", _UUID), ("length", 1), ("lowest", 1), ("id_size", 16)):
        rows["transfer_ids"][name] = value
    rows["transfer_ids"]["id"] = transfer_ids[booked]
    rows["posted_at"] = at_us - POSTGRES_EPOCH_US
    bulk_store.copy_in(
        tx, bulk_store.COPY_POSTED_CHARGES, rows_of(rows, charge_tails(run.words, places, "posted"))
    )


def _write_intents(tx: Tx, run: Run, some: npt.NDArray[np.bool_]) -> None:
    """Make single intents of some of the charges."""
    records = np.frombuffer(run.body, CHARGE)[some]
    rows = intent_rows(run.partition, records, run.words, run.made_at)
    bulk_store.copy_in(tx, bulk_store.COPY_CHARGES, rows)


_UUID = 2950
"""The number of PostgreSQL's type ``uuid`` (pg_type.dat)."""

_ARRAY = np.dtype(
    [
        ("dimensions", ">i4"),
        ("nulls", ">i4"),
        ("of", ">i4"),
        ("length", ">i4"),
        ("lowest", ">i4"),
        ("id_size", ">i4"),
        ("id", "V16"),
    ]
)
"""An array of one uuid, as ``array_recv`` reads it."""

_POSTED, _POSTED_LENGTHS = head_of(
    [*CHARGE_COLUMNS, ("wallet", ">i8"), ("transfer_ids", _ARRAY), ("posted_at", ">i8")], 5
)
