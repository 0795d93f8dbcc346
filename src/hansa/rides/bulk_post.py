"""Charges posted by the run: what rating wrote in one piece goes to the ledger in one batch.

A run is the intent of its charges: it stays until the ledger has answered for all of them, so a kill anywhere only has
the same run posted again, and the ledger knows each transfer by its id. The charges need no rows then, for their
journeys and the ledger say all of them (``first_charges``). What the wallets cannot carry, and what a member's standing
holds up, becomes rows of intents, which ``actions.post_charges`` takes to payments one by one.
"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa import clearing, payments, trust
from hansa.rides import actions, bulk_store, charges_store
from hansa.rides.bulk_store import CHARGE, Run
from hansa.rides.charges_store import FirstCharge
from hansa.rides.model import PostCounts
from hansa.store import Context, Tx
from hansa.store.copying import instant_of, us_of

Flags = npt.NDArray[np.bool_]


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
            due = None if run is None else _may_be_posted(tx, run, ctx.clock.now())
        if run is None or due is None:
            break
        places = np.unique(np.frombuffer(run.body, CHARGE)["word"][due]).tolist()
        positions = {run.words[place][:3] for place in places} - opened
        if positions:
            clearing.open_positions(ctx, sorted(positions), for_the_past=True)
            opened |= positions
        posted += _post_run(ctx, run, due)
    return posted


def _may_be_posted(tx: Tx, run: Run, at: datetime) -> Flags:
    """Which charges the standing of issuer and operator lets through; the others become rows that wait."""
    records = np.frombuffer(run.body, CHARGE)
    due = np.ones(len(records), np.bool_)
    shut = trust.shut_out(tx, "ride", at)
    for word, (issuer_id, operator_id, _, _) in enumerate(run.words) if shut else ():
        for since in (shut[one] for one in (issuer_id, operator_id) if one in shut):
            due &= (records["word"] != word) | (records["event_us"] < us_of(since))
    return due


def _post_run(ctx: Context, run: Run, due: Flags) -> int:
    """Have the ledger carry the charges of a run that are due, and end it; gives how many are posted now."""
    booked = due.copy()
    if due.any():
        booked[due] = payments.carry_fares(ctx, _fares(run, due)).booked
    with ctx.tx() as tx:
        if not bulk_store.lock_run(tx, run.partition, run.run_id):
            return 0  # somebody else posted it meanwhile
        charges_store.add_first_charges(tx, run.partition, _intents(run, ~booked))
        bulk_store.drop_run(tx, run.partition, run.run_id)
    return int(booked.sum())


def _fares(run: Run, due: Flags) -> payments.FareColumns:
    records = np.frombuffer(run.body, CHARGE)[due]
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
        parties=places,
        words=[(issuer, currency) for issuer, _, currency, _ in run.words],
    )


def _intents(run: Run, some: Flags) -> Sequence[FirstCharge]:
    """Some of the charges as rows that wait."""
    charges: list[FirstCharge] = []
    for journey, account, charge, amount, event_us, word in np.frombuffer(run.body, CHARGE)[some].tolist():
        issuer_id, operator_id, currency, day = run.words[word]
        charges.append(
            FirstCharge(
                journey_id=UUID(bytes=journey),
                charge_id=UUID(bytes=charge),
                account_id=UUID(bytes=account),
                issuer_id=issuer_id,
                operator_id=operator_id,
                amount_minor=amount,
                currency=currency,
                event_at=instant_of(event_us),
                service_day=date.fromisoformat(day),
                made_at=run.made_at,
                transfer_id=None,
                posted_at=None,
            )
        )
    return charges
