"""First charges without rows of their own: carried as part of a run, and said by their journeys alone.

Nearly every charge is the first of its journey, in the wallet's own currency, and nothing ever happens to it again. All
of it follows from the journey as it was rated: its id, amount, instant and transfer. So it is an intent for as long as
its run waits, posted once the ledger has its transfer, and needs no row. Before anything else is written of such a
journey, its charge is written out, so that the journey may change and the charge stays what it was.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import numpy as np

from hansa import ledger, payments
from hansa.kernel import Money, fact_id
from hansa.rides import bulk_store, charges_store
from hansa.rides.bulk_store import CHARGE
from hansa.rides.charges_store import FirstCharge
from hansa.rides.model import ChargeRecord
from hansa.store import Tx


def charge_id(event_at: datetime, journey_id: UUID, revision: int) -> UUID:
    """The id of a journey's charge. event_at: when the ride ended; of a correction, when it was found."""
    return fact_id(event_at, "rides.charge", journey_id, revision)


def write_out(tx: Tx, partition: int, journey_ids: Sequence[UUID]) -> None:
    """Give the first charges of these journeys rows, before the journeys change. Those that have one keep it."""
    charges_store.add_first_charges(tx, partition, _without_rows(tx, partition, journey_ids))


def charges_of(tx: Tx, partition: int, journey_ids: Sequence[UUID]) -> dict[UUID, list[ChargeRecord]]:
    """All charges of each of these journeys of a partition, first to last; nothing of a journey that has none."""
    found: dict[UUID, list[ChargeRecord]] = {}
    for one in _without_rows(tx, partition, journey_ids):
        amount = Money(one.amount_minor, one.currency)
        posted = one.posted_at is not None
        found[one.journey_id] = [
            ChargeRecord(
                charge_id=one.charge_id,
                revision=0,
                status="posted" if posted else "intent",
                amount=amount,
                wallet_amount=amount if posted else None,
                on_risk=False,
                transfer_ids=(one.transfer_id,) if one.transfer_id and posted else (),
                made_at=one.made_at,
                posted_at=one.posted_at,
            )
        ]
    for journey_id, record in charges_store.get_charges(tx, partition, journey_ids):
        found.setdefault(journey_id, []).append(record)
    return found


def posted_by_currency(tx: Tx) -> dict[str, int]:
    """All that ever was posted for rides: charges and subsidies, in minor units. Runs that wait are not posted."""
    posted = charges_store.charged_by_currency(tx)
    for partition in bulk_store.run_partitions(tx):
        for run in bulk_store.list_runs(tx, partition):
            records = np.frombuffer(run.body, CHARGE)
            ids = [UUID(bytes=one) for one in records["journey_id"].tolist()]
            said = charges_store.with_first_rows(tx, partition, ids)
            alone = np.array([one not in said for one in ids], np.bool_)
            for word, (_, _, currency, _) in enumerate(run.words):
                posted[currency] -= int(records["amount"][alone & (records["word"] == word)].sum())
    return {currency: minor for currency, minor in posted.items() if minor}


def _without_rows(tx: Tx, partition: int, journey_ids: Sequence[UUID]) -> list[FirstCharge]:
    found: list[FirstCharge] = []
    for one in charges_store.load_without_rows(tx, partition, journey_ids) if journey_ids else ():
        own = charge_id(one.event_at, one.journey_id, 0)
        transfer_id = payments.fare_transfer(own, one.event_at)
        booked = ledger.find_transfer(tx, transfer_id)
        found.append(
            FirstCharge(
                journey_id=one.journey_id,
                charge_id=own,
                account_id=one.account_id,
                issuer_id=one.issuer_id,
                operator_id=one.operator_id,
                amount_minor=one.amount_minor,
                currency=one.currency,
                event_at=one.event_at,
                service_day=one.service_day,
                made_at=one.made_at,
                transfer_id=transfer_id,
                posted_at=None if booked is None else booked.booked_at,
            )
        )
    return found
