"""Places of slots: taken when tickets are asked for, given back when they are not paid. Never more than there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from psycopg.rows import class_row

from hansa.kernel import HansaError
from hansa.store import Tx

# The condition and the count are one statement, so of two buyers of the last place one finds no row.
TAKE = """
update merchants.slots set taken = taken + %(places)s
where slot_id = %(slot_id)s and taken + %(places)s <= capacity and ends_at > %(at)s
returning slot_id
"""

FIND_SLOT = """
select slot_id, product_id, starts_at, ends_at, capacity, taken from merchants.slots where slot_id = %s
"""

ADD_TICKETS = """
insert into merchants.tickets (ticket_id, order_id, slot_id, product_id, account_id, rider_class, price_minor, currency,
    state, bought_at)
select t.ticket_id, %(order_id)s, %(slot_id)s, %(product_id)s, %(account_id)s, t.rider_class, t.price_minor,
    %(currency)s, 'held', %(at)s
from unnest(%(ids)s::uuid[], %(classes)s::text[], %(prices)s::bigint[]) as t (ticket_id, rider_class, price_minor)
"""

ISSUE = "update merchants.tickets set state = 'valid' where order_id = %s and state = 'held'"

RELEASE = """
with released as (
    update merchants.tickets set state = 'released' where order_id = %s and state = 'held' returning slot_id
), counted as (
    select slot_id, count(*) as places from released group by slot_id
)
update merchants.slots as s set taken = s.taken - c.places from counted as c where s.slot_id = c.slot_id
"""

GIVE_BACK = "update merchants.slots set taken = taken - 1 where slot_id = %s"


class SlotFull(HansaError):
    """So many places are not left in this slot, or it is over."""

    code: ClassVar[str] = "merchants.slot_full"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Take fewer tickets, or another time."


class UnknownSlot(HansaError):
    """There is no such slot."""

    code: ClassVar[str] = "merchants.unknown_slot"
    status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class Slot:
    """A time for which places are sold. taken: sold, or held while somebody pays."""

    slot_id: UUID
    product_id: UUID
    starts_at: datetime
    ends_at: datetime
    capacity: int
    taken: int

    @property
    def left(self) -> int:
        return self.capacity - self.taken


def find_slot(tx: Tx, slot_id: UUID) -> Slot:
    """The slot of this id. Errors: UnknownSlot."""
    with tx.cursor(row_factory=class_row(Slot)) as cursor:
        slot = cursor.execute(FIND_SLOT, (slot_id,)).fetchone()
    if slot is None:
        raise UnknownSlot
    return slot


def take(tx: Tx, slot_id: UUID, places: int, at: datetime) -> None:
    """Take places of a slot. Errors: UnknownSlot, SlotFull."""
    assert places > 0, "nobody takes no place"
    if tx.execute(TAKE, {"slot_id": slot_id, "places": places, "at": at}).fetchone() is None:
        find_slot(tx, slot_id)
        raise SlotFull


def hold(
    tx: Tx,
    order_id: UUID,
    slot: Slot,
    *,
    account_id: UUID,
    currency: str,
    tickets: Sequence[tuple[UUID, str, int]],
    at: datetime,
) -> None:
    """Keep tickets (id, class, price in minor units) for an order that is being paid."""
    tx.execute(
        ADD_TICKETS,
        {
            "order_id": order_id,
            "slot_id": slot.slot_id,
            "product_id": slot.product_id,
            "account_id": account_id,
            "currency": currency,
            "at": at,
            "ids": [ticket_id for ticket_id, _, _ in tickets],
            "classes": [rider_class for _, rider_class, _ in tickets],
            "prices": [price for _, _, price in tickets],
        },
    )


def issue(tx: Tx, order_id: UUID) -> int:
    """The order is paid: its tickets are good. Gives how many."""
    return tx.execute(ISSUE, (order_id,)).rowcount


def release(tx: Tx, order_id: UUID) -> None:
    """The order came to nothing: its places are free again. Again is harmless."""
    tx.execute(RELEASE, (order_id,))


def give_back(tx: Tx, slot_id: UUID) -> None:
    """A ticket was given back: one place is free again."""
    tx.execute(GIVE_BACK, (slot_id,))
