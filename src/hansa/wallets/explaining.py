"""What sends between people say they added to what issuers owe each other: what reconciliation holds items against."""

from collections.abc import Collection, Iterable
from typing import NamedTuple
from uuid import UUID

from hansa.store import Tx

SENT = """
select transfer_id, sender_issuer_id, receiver_issuer_id, currency, amount_minor
from wallets.transfers
where partition = any(%s::int[]::smallint[]) and transfer_id = any(%s)
    and receiver_issuer_id <> sender_issuer_id and state in ('processing', 'in_transit', 'settled')
"""


class SendClaim(NamedTuple):
    """What a send added to what its sender's issuer owes its receiver's."""

    transfer_id: UUID
    issuer_id: str
    receiver_issuer_id: str
    currency: str
    minor: int


def send_claims(tx: Tx, partitions: Iterable[int], transfer_ids: Collection[UUID]) -> list[SendClaim]:
    """What these sends between issuers came to. partitions: in which sends are kept."""
    rows = tx.execute(SENT, (sorted(set(partitions)), list(transfer_ids))).fetchall()
    return [SendClaim(*row) for row in rows]
