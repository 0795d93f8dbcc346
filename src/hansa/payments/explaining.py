"""What payments say they added to what issuers owe acquirers: what reconciliation holds the ledger's items against."""

from collections.abc import Collection, Iterable
from typing import NamedTuple
from uuid import UUID

from hansa.store import Tx

# A payment's issuer is that of the last who came to pay it.
BOOKED = """
select p.payment_id, coalesce(c.issuer_id, p.issuer_id), p.acquirer_id, p.currency,
    case s.action when 'capture' then s.amount_minor else -s.amount_minor end
from payments.payments p
join payments.steps s on s.partition = p.partition and s.payment_id = p.payment_id
left join lateral (
    select issuer_id from payments.payers c where c.partition = p.partition and c.payment_id = p.payment_id
    order by c.attempt desc limit 1
) c on true
where p.partition = any(%s::int[]::smallint[]) and p.payment_id = any(%s) and s.action in ('capture', 'refund')
order by p.payment_id, s.n
"""


class PurchaseClaim(NamedTuple):
    """What a capture of a payment added to what its issuer owes its acquirer. minor: below zero for a refund."""

    payment_id: UUID
    issuer_id: str
    acquirer_id: str
    currency: str
    minor: int


def purchase_claims(tx: Tx, partitions: Iterable[int], payment_ids: Collection[UUID]) -> list[PurchaseClaim]:
    """What captures and refunds of these payments came to, in order. partitions: in which payments are kept."""
    rows = tx.execute(BOOKED, (sorted(set(partitions)), list(payment_ids))).fetchall()
    return [PurchaseClaim(*row) for row in rows]
