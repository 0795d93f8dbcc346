"""What passed between the league and its banks about a window, byte for byte: for who audits it."""

from collections.abc import Iterator
from dataclasses import dataclass

from hansa.store import Tx

ABOUT = """
select distinct m.bank_id, m.direction, m.message_id, m.digest, m.form, m.at, m.taken, m.body, m.signature
from settlement.messages m
where m.message_id in (select message_id from settlement.files where window_id = %(window)s)
    or m.about in (select message_id from settlement.files where window_id = %(window)s)
    or m.direction = 'in' and m.message_id in (
        select t.statement_id from settlement.matches t join settlement.instructions i using (end_to_end_id)
        where i.window_id = %(window)s)
order by m.bank_id, m.at, m.message_id, m.direction, m.digest
"""


@dataclass(frozen=True, slots=True)
class Paper:
    """A message to a bank or from one. taken: whether anything was taken of it."""

    bank_id: str
    direction: str
    message_id: str
    form: str
    taken: bool
    body: bytes
    signature: bytes


def papers_of(tx: Tx, window_id: str) -> Iterator[Paper]:
    """The messages about a window: its files, what banks said of them, and statements that booked its payments.

    A statement that was handed in by a person is known by its hash alone, and is not among them.
    """
    for bank_id, direction, message_id, _, form, _, taken, body, signature in tx.execute(
        ABOUT, {"window": window_id}
    ):
        yield Paper(bank_id, direction, message_id, form, taken, bytes(body), bytes(signature))
