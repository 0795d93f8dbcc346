"""Entry tickets: what an attraction sells, bought by a QR order, put on a phone as a token, entered at a gate.

The places of a slot are taken when tickets are asked for, and stay taken while somebody pays (`seats`). A ticket's
token is signed by the attraction's acquirer; `hansa.gate.TicketGate` checks it without network.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Protocol, cast, runtime_checkable
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.rows import class_row

from hansa import audit, codes, identity, payments, trust, webhooks
from hansa.codes import RIDER_CLASSES, RiderClass, TicketScope, ticket_place
from hansa.codes.tickets import ENTRIES_MAX
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem, fact_id
from hansa.merchants import qr_orders, sales, seats, store
from hansa.merchants.actions import get_merchant, get_open_merchant
from hansa.merchants.model import CLAIM_LASTS, TEXT_MAX, Merchant, MerchantId, QrOrder, Refund, plain_text
from hansa.merchants.seats import Slot
from hansa.store import Context, Tx

TICKETS_MAX = 20
"""Tickets of one order."""
SLOTS_MAX = 500
ABOUT_MAX = 500
HELD_FOR = timedelta(minutes=15)
"""How long places are kept for somebody who pays."""
SECONDS_MAX = 366 * 86_400
LOOKED_BACK, REFUNDS_MAX = timedelta(hours=1), 10_000
"""How far back, and at how many, refunds are looked at for tickets that nobody has paid any more."""


class UnknownProduct(HansaError):
    """There is no such thing to enter, or it is sold no more."""

    code: ClassVar[str] = "merchants.unknown_product"
    status: ClassVar[int] = 404


class UnknownTicket(HansaError):
    """There is no such ticket, or it is not yours."""

    code: ClassVar[str] = "merchants.unknown_ticket"
    status: ClassVar[int] = 404


class TicketNotValid(HansaError):
    """This ticket is not paid, or was given back."""

    code: ClassVar[str] = "merchants.ticket_not_valid"
    status: ClassVar[int] = 409


class TicketBegun(HansaError):
    """The ticket's time has begun on another phone, so it stays there."""

    code: ClassVar[str] = "merchants.ticket_begun"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Show the phone that has it, or ask at the attraction's desk."


class TicketNotRefundable(HansaError):
    """This ticket cannot be given back any more: it was used, or it is too late by the attraction's rule."""

    code: ClassVar[str] = "merchants.ticket_not_refundable"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask the attraction; its owner may give the money back."


class NoSellerKey(HansaError):
    """The attraction's acquirer has no key in force here, so it can sign no ticket."""

    code: ClassVar[str] = "merchants.no_seller_key"
    status: ClassVar[int] = 409


class ProductDiffers(HansaError):
    """This id stands for something else already."""

    code: ClassVar[str] = "merchants.product_differs"
    status: ClassVar[int] = 409


@runtime_checkable
class SellerKeys(Protocol):
    """Where the acquirers' private keys are; ``trust.KeyFolder`` is one."""

    def issuer(self, issuer_id: str) -> Ed25519PrivateKey:
        """The key that signs this member's tickets."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A thing to enter. entries: how often one ticket lets in. early_s: how long before its slot a ticket is good.

    refund_before_s: how long before its slot a ticket may be given back; None for never. prices: by rider class.
    """

    product_id: UUID
    merchant_id: UUID
    name: str
    about: str
    entries: int
    early_s: int
    refund_before_s: int | None
    made_at: datetime
    ended_at: datetime | None
    prices: Mapping[RiderClass, Money]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket, with its slot and what it is for. state: held while it is paid, then valid; released or refunded."""

    ticket_id: UUID
    order_id: UUID
    slot_id: UUID
    product_id: UUID
    merchant_id: MerchantId
    account_id: UUID
    rider_class: RiderClass
    price_minor: int
    currency: str
    state: str
    bought_at: datetime
    name: str
    entries: int
    starts_at: datetime
    ends_at: datetime
    begins_at: datetime
    refund_before_s: int | None
    payment_id: UUID | None
    used: int

    @property
    def price(self) -> Money:
        return Money(self.price_minor, self.currency)

    def may_return(self, at: datetime) -> bool:
        """Whether its holder may give it back now."""
        if self.state != "valid" or self.used or self.refund_before_s is None:
            return False
        return at < self.starts_at - timedelta(seconds=self.refund_before_s)


@dataclass(frozen=True, slots=True)
class GivenTicket:
    """A ticket as a phone gets it. token: about 164 bytes; gates take it from begins_at until expires_at."""

    ticket_id: UUID
    cti: bytes
    token: bytes
    begins_at: datetime
    expires_at: datetime
    entries: int


@dataclass(frozen=True, slots=True)
class Entered:
    """What became of entries that a gate handed in. unknown: ids of tickets that were never given here."""

    recorded: int
    known_already: int
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as a gate recorded it. cti: 8 bytes."""

    tap_id: UUID
    gate_id: str
    cti: bytes
    counter: int
    entered_at: datetime


ADD_PRODUCT = """
insert into merchants.products (product_id, merchant_id, name, about, entries, early_s, refund_before_s, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict (product_id) do nothing
"""
ADD_PRICES = """
insert into merchants.prices (product_id, rider_class, amount_minor)
select %s, * from unnest(%s::text[], %s::bigint[])
on conflict do nothing
"""
END_PRODUCT = """
update merchants.products set ended_at = %s where product_id = %s and merchant_id = %s and ended_at is null
"""
FIND_PRODUCTS = """
select p.product_id, p.merchant_id, p.name, p.about, p.entries, p.early_s, p.refund_before_s, p.made_at, p.ended_at,
    array(select r.rider_class from merchants.prices as r where r.product_id = p.product_id order by 1),
    array(select r.amount_minor from merchants.prices as r where r.product_id = p.product_id order by r.rider_class),
    m.currency
from merchants.products as p
join merchants.merchants as m on m.merchant_id = p.merchant_id
where (%(product_id)s::uuid is null or p.product_id = %(product_id)s)
    and (%(merchant_id)s::uuid is null or p.merchant_id = %(merchant_id)s)
    and (%(city_id)s::text is null or (m.city_id = %(city_id)s and m.status = 'open'))
    and (%(product_id)s::uuid is not null or p.ended_at is null)
order by p.made_at, p.product_id
"""
ADD_SLOTS = """
insert into merchants.slots (slot_id, product_id, starts_at, ends_at, capacity)
select * from unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::int[])
on conflict do nothing
"""
LIST_SLOTS = """
select slot_id, product_id, starts_at, ends_at, capacity, taken from merchants.slots
where product_id = %s and ends_at > %s and starts_at < %s
order by starts_at
limit %s
"""
_TICKETS = """
select t.ticket_id, t.order_id, t.slot_id, t.product_id, p.merchant_id, t.account_id, t.rider_class, t.price_minor,
    t.currency, t.state, t.bought_at, p.name, p.entries, s.starts_at, s.ends_at,
    s.starts_at - p.early_s * interval '1 second' as begins_at, p.refund_before_s, o.payment_id,
    (select count(*)::int from merchants.entries as e where e.ticket_id = t.ticket_id) as used
from merchants.tickets as t
join merchants.slots as s on s.slot_id = t.slot_id
join merchants.products as p on p.product_id = t.product_id
join merchants.qr_orders as o on o.order_id = t.order_id
"""
OWN_TICKETS = (
    _TICKETS
    + """
where t.account_id = %s and t.state in ('valid', 'refunded')
order by s.starts_at desc, t.ticket_id
limit %s
"""
)
FIND_TICKET = _TICKETS + "where t.ticket_id = %s"
TICKETS_OF_ORDER = _TICKETS + "where t.order_id = %s order by t.rider_class, t.ticket_id"
LOCK_TICKET = "select 1 from merchants.tickets where ticket_id = %s for no key update"
WITH_TICKETS = """
select s.payment_id from merchants.sales s
where s.payment_id = any(%s)
    and exists (select 1 from merchants.tickets t where t.order_id = s.order_id and t.state = 'valid')
"""
REFUND_TICKET = "update merchants.tickets set state = 'refunded', refund_id = %s where ticket_id = %s"
FIND_GIVEN = """
select cti, phone_id, token from merchants.ticket_tokens where ticket_id = %s and ended_at is null
"""
ADD_GIVEN = """
insert into merchants.ticket_tokens (cti, ticket_id, phone_id, token, given_at) values (%s, %s, %s, %s, %s)
"""
END_GIVEN = """
update merchants.ticket_tokens set ended_at = %s where ticket_id = %s and ended_at is null returning cti
"""
TICKETS_OF_GIVEN = """
select k.cti, k.ticket_id from merchants.ticket_tokens as k
join merchants.tickets as t on t.ticket_id = k.ticket_id
join merchants.products as p on p.product_id = t.product_id
where k.cti = any(%s) and p.merchant_id = %s
"""
ADD_ENTRIES = """
insert into merchants.entries (tap_id, ticket_id, merchant_id, gate_id, counter, entered_at)
select e.tap_id, e.ticket_id, %s, e.gate_id, e.counter, e.entered_at
from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::int[], %s::timestamptz[])
    as e (tap_id, ticket_id, gate_id, counter, entered_at)
on conflict do nothing
"""
COUNT_ENTRIES = """
select count(*)::int from merchants.entries where merchant_id = %s and entered_at >= %s and entered_at < %s
"""
OVER_USED = """
select t.ticket_id, p.entries, count(*)::int
from merchants.entries as e
join merchants.tickets as t on t.ticket_id = e.ticket_id
join merchants.products as p on p.product_id = t.product_id
where e.merchant_id = %s
group by t.ticket_id, p.entries
having count(*) > p.entries
order by t.ticket_id
"""


# -- what is sold -------------------------------------------------------------------------------------------


def add_product(
    tx: Tx,
    product_id: UUID,
    merchant_id: UUID,
    *,
    name: str,
    prices: Mapping[RiderClass, int],
    at: datetime,
    about: str = "",
    entries: int = 1,
    early_s: int = 900,
    refund_before_s: int | None = 86_400,
) -> Product:
    """Offer something to enter. prices: minor units by rider class. Again with the same is harmless.

    Errors: UnknownMerchant, MerchantNotOpen, InvalidInput, ProductDiffers.
    """
    get_open_merchant(tx, merchant_id)
    problems: list[Problem] = []
    if not prices or any(one not in RIDER_CLASSES for one in prices) or min(prices.values()) <= 0:
        told = ", ".join(RIDER_CLASSES)
        problems.append(Problem("prices", "they are no prices by class", f"Price at least one of {told}"))
    if not 1 <= entries <= ENTRIES_MAX:
        problems.append(Problem("entries", f"it is {entries}", "Give 1 to 255"))
    seconds = [("early_s", early_s), ("refund_before_s", refund_before_s or 0)]
    problems += [
        Problem(where, f"it is {one}", "Give 0 to a year")
        for where, one in seconds
        if not 0 <= one <= SECONDS_MAX
    ]
    if problems:
        raise InvalidInput("This cannot be sold.", problems=tuple(problems))
    name = plain_text(name, "name", TEXT_MAX, least=1)
    about = plain_text(about, "about", ABOUT_MAX)
    tx.execute(ADD_PRODUCT, (product_id, merchant_id, name, about, entries, early_s, refund_before_s, at))
    tx.execute(ADD_PRICES, (product_id, list(prices), list(prices.values())))
    kept = get_product(tx, product_id)
    known = {rider_class: one.minor for rider_class, one in kept.prices.items()}
    if (kept.merchant_id, kept.name, known) != (merchant_id, name, dict(prices)):
        raise ProductDiffers
    return kept


def get_product(tx: Tx, product_id: UUID) -> Product:
    """What is sold under this id, also if it is sold no more. Errors: UnknownProduct."""
    found = _products(tx, product_id=product_id)
    if not found:
        raise UnknownProduct
    return found[0]


def get_offered(tx: Tx, product_id: UUID) -> Product:
    """What is sold under this id now. Errors: UnknownProduct, also for what is sold no more."""
    found = get_product(tx, product_id)
    if found.ended_at is not None:
        raise UnknownProduct("It is sold no more.")
    return found


def list_products(tx: Tx, *, merchant_id: UUID | None = None, city_id: str | None = None) -> list[Product]:
    """What a merchant sells, or all open ones of a city do, in the order in which it was offered."""
    return _products(tx, merchant_id=merchant_id, city_id=city_id)


def end_product(tx: Tx, product_id: UUID, merchant_id: UUID, *, by: str, at: datetime) -> Product:
    """Sell something no more; tickets that are sold, or kept for who is paying, stay good. Again changes nothing.

    by: who ends it, for the audit record. Errors: UnknownProduct, also for another shop's.
    """
    product = get_product(tx, product_id)
    if product.merchant_id != merchant_id:
        raise UnknownProduct
    if tx.execute(END_PRODUCT, (at, product_id, merchant_id)).rowcount:
        told = {"merchant": str(merchant_id), "name": product.name}
        audit.record(tx, audit.Act(by, "merchants.product-end", f"product:{product_id}", "", told), at)
    return get_product(tx, product_id)


def add_slots(tx: Tx, product_id: UUID, slots: Sequence[tuple[datetime, datetime, int]]) -> list[Slot]:
    """Offer times: (starts at, ends at, places). A time that is offered already stays as it is.

    Errors: UnknownProduct, also for what is sold no more; InvalidInput.
    """
    get_offered(tx, product_id)
    for place, (starts_at, ends_at, capacity) in enumerate(slots):
        if not starts_at < ends_at or capacity <= 0 or len(slots) > SLOTS_MAX:
            problem = Problem(
                f"slots[{place}]",
                "it ends before it begins, has no places, or they are too many",
                f"Give times in order, at least one place, and at most {SLOTS_MAX} at once",
            )
            raise InvalidInput("This time cannot be sold.", problems=(problem,))
    ids = [fact_id(starts_at, "slot", product_id) for starts_at, _, _ in slots]
    tx.execute(
        ADD_SLOTS,
        (
            ids,
            [product_id] * len(slots),
            [starts_at for starts_at, _, _ in slots],
            [ends_at for _, ends_at, _ in slots],
            [capacity for _, _, capacity in slots],
        ),
    )
    return [seats.find_slot(tx, slot_id) for slot_id in ids]


def list_slots(
    tx: Tx, product_id: UUID, *, first: datetime, last: datetime, limit: int = SLOTS_MAX
) -> list[Slot]:
    """The times of a product that are not over at ``first`` and begin before ``last``, in order."""
    with tx.cursor(row_factory=class_row(Slot)) as cursor:
        return cursor.execute(LIST_SLOTS, (product_id, first, last, limit)).fetchall()


def place_of(merchant: Merchant) -> bytes:
    """The 8 bytes by which gates know an attraction."""
    return ticket_place(merchant.payee_id)


def product_bytes(product_id: UUID) -> bytes:
    """The 4 bytes by which gates know what is entered."""
    return product_id.bytes[-4:]


# -- buying and giving back ---------------------------------------------------------------------------------


def order_tickets(
    ctx: Context,
    order_id: UUID,
    slot_id: UUID,
    *,
    account_id: AccountId,
    wanted: Mapping[RiderClass, int],
    made_by: str,
) -> QrOrder:
    """Take places and ask to be paid for them: a QR order that whoever pays within 15 minutes turns into tickets.

    account_id: whose tickets they will be. wanted: how many of each class. Again with the same id is harmless.
    Errors: UnknownSlot, SlotFull, UnknownProduct, MerchantNotOpen, InvalidInput, OrderDiffers; nothing is taken then.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        slot = seats.find_slot(tx, slot_id)
        product = get_product(tx, slot.product_id)
        places = _check_wanted(product, wanted)
        total = sum(product.prices[one].minor * count for one, count in wanted.items())
        currency = next(iter(product.prices.values())).currency
        before = store.find_order(tx, order_id)
        if before is None:
            get_offered(tx, product.product_id)
        order = qr_orders.make_order(
            tx,
            order_id,
            product.merchant_id,
            amount=Money(total, currency),
            made_by=made_by,
            at=at,
            description=product.name,
            bill_number=order_id.hex[-8:],
            lasts=min(HELD_FOR, max(timedelta(seconds=1), slot.ends_at - at)),
            kind="tickets",
        )
        if before is not None:
            return order
        seats.take(tx, slot_id, places, at)
        each: list[RiderClass] = [one for one in product.prices for _ in range(wanted.get(one, 0))]
        tickets = [
            (fact_id(at, "ticket", order_id, number), one, product.prices[one].minor)
            for number, one in enumerate(each)
        ]
        seats.hold(tx, order_id, slot, account_id=account_id, currency=currency, tickets=tickets, at=at)
    return order


def get_ticket(tx: Tx, ticket_id: UUID, account_id: AccountId) -> Ticket:
    """A ticket of this account. Errors: UnknownTicket, also for another's."""
    ticket = _find(tx, ticket_id)
    if ticket is None or ticket.account_id != account_id:
        raise UnknownTicket
    return ticket


def list_tickets(tx: Tx, account_id: AccountId, *, limit: int = 100) -> list[Ticket]:
    """An account's tickets that are good or were given back, the latest time first."""
    with tx.cursor(row_factory=class_row(Ticket)) as cursor:
        return cursor.execute(OWN_TICKETS, (account_id, limit)).fetchall()


def tickets_of_order(tx: Tx, order_id: UUID) -> list[Ticket]:
    """The tickets of an order, whatever they are by now."""
    with tx.cursor(row_factory=class_row(Ticket)) as cursor:
        return cursor.execute(TICKETS_OF_ORDER, (order_id,)).fetchall()


def give_token(
    tx: Tx, keys: SellerKeys, ticket_id: UUID, account_id: AccountId, phone_id: UUID, at: datetime
) -> GivenTicket:
    """The ticket's token for a phone of its holder. The same phone gets the same token again.

    Another phone gets a new one, and the old one goes on the deny list; that is for before the ticket's time begins
    only, since a gate counts entries by the token. Errors: UnknownTicket, TicketNotValid, TicketBegun, NoSellerKey,
    identity.UnknownPhone, identity.PhoneEnded.
    """
    tx.execute(LOCK_TICKET, (ticket_id,))
    ticket = get_ticket(tx, ticket_id, account_id)
    if ticket.state != "valid":
        raise TicketNotValid
    phone = identity.find_phone(tx, phone_id)
    if phone is None or phone.account_id != account_id:
        raise identity.UnknownPhone
    if phone.status != "active":
        raise identity.PhoneEnded
    row = tx.execute(FIND_GIVEN, (ticket_id,)).fetchone()
    if row is not None and row[1] == phone_id:
        return GivenTicket(ticket_id, row[0], row[2], ticket.begins_at, ticket.ends_at, ticket.entries)
    if row is not None:
        if at >= ticket.begins_at:
            raise TicketBegun
        _end_token(tx, ticket, at)
    merchant = get_merchant(tx, ticket.merchant_id)
    private, listed = _seller_key(tx, keys, merchant.member_id, at)
    cti = secrets.token_bytes(8)
    scope = TicketScope(
        place_of(merchant), product_bytes(ticket.product_id), ticket.rider_class, ticket.entries
    )
    token = codes.make_ticket_token(
        private,
        kid=listed.kid,
        cti=cti,
        begins_at=ticket.begins_at,
        expires_at=ticket.ends_at,
        device_key=EllipticCurvePublicKey.from_encoded_point(SECP256R1(), phone.public_key),
        scope=scope,
    )
    tx.execute(ADD_GIVEN, (cti, ticket_id, phone_id, token, at))
    return GivenTicket(ticket_id, cti, token, ticket.begins_at, ticket.ends_at, ticket.entries)


def return_ticket(ctx: Context, ticket_id: UUID, account_id: AccountId) -> Refund:
    """Give a ticket back by the attraction's rule: its price goes back, its place is free, its token is denied.

    Again is harmless. Errors: UnknownTicket, TicketNotRefundable; nothing is changed then.
    """
    at = ctx.clock.now()
    refund_id = fact_id(None, "ticket refund", ticket_id)
    with ctx.tx() as tx:
        tx.execute(LOCK_TICKET, (ticket_id,))
        ticket = get_ticket(tx, ticket_id, account_id)
        if ticket.state != "refunded" and not ticket.may_return(at):
            raise TicketNotRefundable
        assert ticket.payment_id is not None, "a ticket that is good was paid"
        asked = sales.ask_refund(
            ctx,
            tx,
            refund_id,
            ticket.payment_id,
            amount=ticket.price,
            reason="A ticket was given back",
            by=f"person:{account_id}",
            at=at,
        )
        if ticket.state != "refunded":
            tx.execute(REFUND_TICKET, (refund_id, ticket_id))
            seats.give_back(tx, ticket.slot_id)
            _end_token(tx, ticket, at)
            _tell(tx, ticket, "ticket.refunded", at)
    return sales.end_refund(ctx, asked)


def refund_sale(
    ctx: Context, refund_id: UUID, payment_id: UUID, *, amount: Money, reason: str, by: str
) -> Refund:
    """Give money of a sale back as `sales.refund` does; tickets of which nothing is left paid open no gate any more.

    Again with the same id is harmless, and ends what a crash left. Errors: as `sales.refund`.
    """
    back = sales.refund(ctx, refund_id, payment_id, amount=amount, reason=reason, by=by)
    if back.state != "failed":
        _end_unpaid(ctx, refund_id, payment_id)
    return back


def finish(ctx: Context, *, patience: timedelta = CLAIM_LASTS) -> int:
    """``sales.finish``; and tickets of which nothing is left paid, however it was given back, open no gate any more.

    Gives how many of all ended.
    """
    ended = sales.finish(ctx, patience=patience)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        done = payments.refunds_settled(tx, first=now - LOOKED_BACK, end=now + LOOKED_BACK, limit=REFUNDS_MAX)
        found = tx.execute(WITH_TICKETS, ([one.payment_id for one in done],)).fetchall() if done else []
    of_tickets = {payment_id for (payment_id,) in found}
    return ended + sum(
        _end_unpaid(ctx, one.refund_id, one.payment_id) for one in done if one.payment_id in of_tickets
    )


def _end_unpaid(ctx: Context, refund_id: UUID, payment_id: UUID) -> int:
    """End the valid tickets of a sale of which nothing is left paid; how many."""
    at, ended = ctx.clock.now(), 0
    with ctx.tx() as tx:
        sale = sales.get_sale(ctx, tx, payment_id)
        if sale.order_id is None or sale.left.minor:
            return 0
        for seen in tickets_of_order(tx, sale.order_id):
            tx.execute(LOCK_TICKET, (seen.ticket_id,))
            ticket = _find(tx, seen.ticket_id)
            if ticket is not None and ticket.state == "valid":
                tx.execute(REFUND_TICKET, (refund_id, ticket.ticket_id))
                seats.give_back(tx, ticket.slot_id)
                _end_token(tx, ticket, at)
                _tell(tx, ticket, "ticket.refunded", at)
                ended += 1
    return ended


# -- entries ------------------------------------------------------------------------------------------------


def record_entries(tx: Tx, merchant_id: UUID, entries: Iterable[Entry]) -> Entered:
    """Keep entries as a gate hands them in. Again is harmless."""
    handed = list(entries)
    known = dict(tx.execute(TICKETS_OF_GIVEN, ([one.cti for one in handed], merchant_id)).fetchall())
    kept = [one for one in handed if one.cti in known]
    added = tx.execute(
        ADD_ENTRIES,
        (
            merchant_id,
            [one.tap_id for one in kept],
            [known[one.cti] for one in kept],
            [one.gate_id for one in kept],
            [one.counter for one in kept],
            [one.entered_at for one in kept],
        ),
    ).rowcount
    unknown = tuple(sorted({one.cti.hex() for one in handed if one.cti not in known}))
    return Entered(added, len(kept) - added, unknown)


def count_entries(tx: Tx, merchant_id: UUID, first: datetime, last: datetime) -> int:
    """Entries from an instant on, before another."""
    row = tx.execute(COUNT_ENTRIES, (merchant_id, first, last)).fetchone()
    return 0 if row is None else row[0]


def over_used(tx: Tx, merchant_id: UUID) -> list[tuple[UUID, int, int]]:
    """Tickets that came in more often than they say, at gates that do not hear each other: id, entries, used."""
    return tx.execute(OVER_USED, (merchant_id,)).fetchall()


# -- inside -------------------------------------------------------------------------------------------------


def _products(
    tx: Tx, *, product_id: UUID | None = None, merchant_id: UUID | None = None, city_id: str | None = None
) -> list[Product]:
    values = {"product_id": product_id, "merchant_id": merchant_id, "city_id": city_id}
    return [
        Product(
            product_id=row[0],
            merchant_id=row[1],
            name=row[2],
            about=row[3],
            entries=row[4],
            early_s=row[5],
            refund_before_s=row[6],
            made_at=row[7],
            ended_at=row[8],
            prices={
                rider_class: Money(minor, row[11])
                for rider_class, minor in zip(cast(list[RiderClass], row[9]), row[10], strict=True)
            },
        )
        for row in tx.execute(FIND_PRODUCTS, values)
    ]


def _check_wanted(product: Product, wanted: Mapping[RiderClass, int]) -> int:
    places = sum(wanted.values())
    odd = [one for one, count in wanted.items() if one not in product.prices or count <= 0]
    if odd or not 1 <= places <= TICKETS_MAX:
        what = f"{odd[0]} is not sold so" if odd else f"they are {places}"
        problem = Problem("tickets", what, f"Take 1 to {TICKETS_MAX} of {', '.join(product.prices)}")
        raise InvalidInput("These tickets cannot be bought.", problems=(problem,))
    return places


def _find(tx: Tx, ticket_id: UUID) -> Ticket | None:
    with tx.cursor(row_factory=class_row(Ticket)) as cursor:
        return cursor.execute(FIND_TICKET, (ticket_id,)).fetchone()


def _end_token(tx: Tx, ticket: Ticket, at: datetime) -> None:
    ended = [cti for (cti,) in tx.execute(END_GIVEN, (at, ticket.ticket_id))]
    if ended:
        trust.revoke_tokens(tx, [(cti, ticket.ends_at) for cti in ended], at)


def _seller_key(
    tx: Tx, keys: SellerKeys, member_id: str, at: datetime
) -> tuple[Ed25519PrivateKey, codes.TrustedKey]:
    private = keys.issuer(member_id)
    public = private.public_key().public_bytes_raw()
    for key in trust.current_trust_list(tx).keys:
        good = key.status == "active" and key.not_before <= at < key.not_after
        if good and "attraction" in key.products and (key.issuer_id, key.public_key) == (member_id, public):
            return private, key
    raise NoSellerKey(f"{member_id} has no key in force here that may sign entry tickets.")


def _tell(tx: Tx, ticket: Ticket, kind: str, at: datetime) -> None:
    merchant = get_merchant(tx, ticket.merchant_id)
    webhooks.record(
        tx,
        webhooks.News(
            type=kind,
            members=[merchant.member_id],
            at=at,
            subject=f"ticket:{ticket.ticket_id}",
            data={"ticket_id": str(ticket.ticket_id), "merchant_id": str(ticket.merchant_id)},
            fact=(ticket.ticket_id,),
        ),
    )
