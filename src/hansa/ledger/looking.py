"""Many transfers looked up by their ids at once: what reconciliation holds other rooms' records against."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from hansa.ledger.model import AccountId
from hansa.store import Tx

MOVED_AMONG = """
select transfer_id, debit_account, credit_account, amount::bigint
from ledger.transfers
where partition = %s and transfer_id = any(%b) and flags & 10 = 0
"""


class Moved(NamedTuple):
    """What a transfer moved, in minor units."""

    debit: AccountId
    credit: AccountId
    minor: int


def moved_among(tx: Tx, partition: int, transfer_ids: Collection[UUID]) -> dict[UUID, Moved]:
    """What each of these transfers of a partition moved; those not in the books, or that only hold, are left out."""
    rows = tx.execute(MOVED_AMONG, (partition, list(transfer_ids)), binary=True)
    return {row[0]: Moved(AccountId(row[1]), AccountId(row[2]), row[3]) for row in rows}
