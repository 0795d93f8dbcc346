"""What disputes have moved for journeys and items: claims that reconciliation holds the ledger's items against."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from hansa import payments
from hansa.store import Tx

BOOKINGS_OF = """
select c.root_id, c.kind, c.issuer_id, c.operator_id, c.currency, c.sign, b.booking_id, b.amount_minor, b.at
from disputes.cases c
join disputes.bookings b using (dispute_id)
where c.root_id = any(%b) and b.posted_at is not null
"""


class DisputeClaim(NamedTuple):
    """What a dispute added to what an issuer owes an operator. minor: below zero where it took from it.

    transfer_ids: under which it may stand in the ledger, one or several of them.
    """

    root_id: UUID
    issuer_id: str
    operator_id: str
    currency: str
    minor: int
    transfer_ids: tuple[UUID, ...]


def dispute_claims(tx: Tx, root_ids: Collection[UUID]) -> list[DisputeClaim]:
    """What disputes about these journeys, or items, have moved."""
    found: list[DisputeClaim] = []
    for root, kind, issuer, operator, currency, sign, booking, minor, at in tx.execute(
        BOOKINGS_OF, (list(root_ids),)
    ):
        if kind == "refund":
            ids = (payments.fare_transfer(booking, at), payments.give_back_transfer(booking, at))
            found.append(DisputeClaim(root, issuer, operator, currency, -minor, ids))
        else:
            found.append(DisputeClaim(root, issuer, operator, currency, -sign * minor, (booking,)))
    return found
