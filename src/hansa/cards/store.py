"""The SQL of cards: products, cards, their numbers and what happened to them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg.errors

from hansa.cards.model import Card, CardHeld, Fee, Product, State
from hansa.identity import ProofLevel
from hansa.store import Tx

_PRODUCTS: LiteralString = (
    "select p.product_id, p.issuer_id, p.city_id, p.name, p.rider_class, p.face, p.min_level, p.min_age, p.max_age,"
    " p.document, p.valid_months, p.price_minor, p.deposit_minor, coalesce(p.currency, ''), p.status"
    " from cards.products p"
)

ADD_PRODUCT = """
insert into cards.products (product_id, issuer_id, city_id, name, rider_class, face, min_level, min_age, max_age,
    document, valid_months, price_minor, deposit_minor, currency, status, made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, nullif(%s, ''), 'offered', %s, %s)
on conflict (product_id) do nothing
"""
FIND_PRODUCT: LiteralString = _PRODUCTS + " where p.product_id = %s"
LIST_PRODUCTS: LiteralString = (
    _PRODUCTS + " where (%(issuer)s::text is null or p.issuer_id = %(issuer)s)"
    " and (%(status)s::text is null or p.status = %(status)s)"
    " order by p.city_id, array_position(array['adult', 'child', 'student', 'senior'], p.rider_class), p.product_id"
)
SET_STATUS = "update cards.products set status = %s where product_id = %s"

_C: LiteralString = (
    "select c.card_id, c.account_id, c.state, c.number_end, c.valid_until, c.applied_at, c.changed_at, c.reason,"
    " c.decided_by, p.product_id, p.issuer_id, p.city_id, p.name, p.rider_class, p.face, p.min_level, p.min_age,"
    " p.max_age, p.document, p.valid_months, p.price_minor, p.deposit_minor, coalesce(p.currency, ''), p.status,"
    " c.replaces, f.card_id, f.partition, f.account_id, f.issuer_id, f.currency, f.price_minor, f.deposit_minor,"
    " f.state, f.cleared, f.attempt, f.way, f.by_whom, f.asked_at, f.moved_at, f.deposit, f.deposit_to, f.deposit_by,"
    " f.quote_id"
    " from cards.cards c join cards.products p using (product_id) left join cards.fees f using (card_id) "
)
FIND_CARD: LiteralString = _C + "where c.card_id = %s"
LOCK_CARD: LiteralString = FIND_CARD + " for no key update of c"
OF_ACCOUNT: LiteralString = _C + "where c.account_id = %s order by c.applied_at, c.card_id"
LIST_CARDS: LiteralString = (
    _C + "where p.issuer_id = any(%(issuers)s) and (%(state)s::text is null or c.state = %(state)s)"
    " and (c.applied_at, c.card_id) > (%(at)s, %(id)s) order by c.applied_at, c.card_id limit %(limit)s"
)
DUE: LiteralString = (
    _C + "where c.state in ('active', 'suspended') and c.valid_until < %s"
    " order by c.valid_until, c.card_id limit %s for no key update of c skip locked"
)
TO_WARN = """
select card_id, warn_on from cards.cards where state = 'active' and warn_on <= %s order by warn_on, card_id limit %s
for no key update skip locked
"""
WARNED = "update cards.cards set warn_on = %s where card_id = %s"
ADD_CARD = """
insert into cards.cards (card_id, account_id, product_id, state, applied_at, changed_at, reason, decided_by, replaces)
values (%s, %s, %s, 'applied', %s, %s, '', '', %s)
on conflict (card_id) do nothing
"""
PREPARE = "update cards.cards set number_box = %s, number_end = %s, valid_until = %s where card_id = %s"
MOVE = """
update cards.cards set state = %(state)s, changed_at = %(at)s, reason = %(reason)s, decided_by = %(by)s,
    valid_until = coalesce(%(until)s, valid_until), warn_on = %(warn)s
where card_id = %(card_id)s
"""
ADD_EVENT = """
insert into cards.events (card_id, n, state, at, by_whom, reason)
select %(card_id)s, coalesce(max(n), 0) + 1, %(state)s, %(at)s, %(by)s, %(reason)s
from cards.events where card_id = %(card_id)s
"""
EVENTS = "select state, at, by_whom, reason from cards.events where card_id = %s order by n"
ADD_NUMBER = (
    "insert into cards.numbers (digest, digest_version, card_id) values (%s, %s, %s) on conflict do nothing"
)
FIND_NUMBER = "select card_id from cards.numbers where digest = any(%s)"
NUMBER_BOX = "select number_box from cards.cards where card_id = %s"


def add_product(tx: Tx, one: Product, by: str, at: datetime) -> None:
    """Keep a product; one that is known stays as it is."""
    tx.execute(
        ADD_PRODUCT,
        (
            one.product_id,
            one.issuer_id,
            one.city_id,
            one.name,
            one.rider_class,
            one.face,
            int(one.min_level),
            one.min_age,
            one.max_age,
            one.document,
            one.valid_months,
            one.price_minor,
            one.deposit_minor,
            one.currency,
            by,
            at,
        ),
    )


def find_product(tx: Tx, product_id: str) -> Product | None:
    """The product of this id."""
    row = tx.execute(FIND_PRODUCT, (product_id,)).fetchone()
    return None if row is None else _product(row)


def list_products(tx: Tx, *, issuer_id: str | None, status: str | None) -> list[Product]:
    """Products, by city and class."""
    return [_product(row) for row in tx.execute(LIST_PRODUCTS, {"issuer": issuer_id, "status": status})]


def set_status(tx: Tx, product_id: str, status: str) -> None:
    """Offer a product, or withdraw it."""
    tx.execute(SET_STATUS, (status, product_id))


def find_card(tx: Tx, card_id: UUID, *, lock: bool = False) -> Card | None:
    """The card of this id."""
    row = tx.execute(LOCK_CARD if lock else FIND_CARD, (card_id,)).fetchone()
    return None if row is None else _card(row)


def of_account(tx: Tx, account_id: UUID) -> list[Card]:
    """All cards of an account, the oldest first."""
    return [_card(row) for row in tx.execute(OF_ACCOUNT, (account_id,))]


def list_cards(
    tx: Tx, issuers: Sequence[str], state: State | None, after: tuple[datetime, UUID] | None, limit: int
) -> list[Card]:
    """Cards of these issuers, the oldest application first."""
    at, card_id = after or ("-infinity", UUID(int=0))
    values = {"issuers": list(issuers), "state": state, "at": at, "id": card_id, "limit": limit}
    return [_card(row) for row in tx.execute(LIST_CARDS, values)]


def due(tx: Tx, today: date, limit: int) -> list[Card]:
    """Cards whose last day is over, locked."""
    return [_card(row) for row in tx.execute(DUE, (today, limit))]


def to_warn(tx: Tx, today: date, limit: int) -> list[tuple[UUID, date]]:
    """Cards in force whose holders are to be told that they run out, and from which day on; locked."""
    return tx.execute(TO_WARN, (today, limit)).fetchall()


def warned(tx: Tx, card_id: UUID, again_on: date | None) -> None:
    """Its holder was told, and is told again on that day."""
    tx.execute(WARNED, (again_on, card_id))


def prepare(tx: Tx, card_id: UUID, box: bytes, end: str, until: date) -> None:
    """Give a card its number and its last day, before it is in force."""
    tx.execute(PREPARE, (box, end, until, card_id))


def add_card(
    tx: Tx, card_id: UUID, account_id: UUID, product_id: str, at: datetime, *, replaces: UUID | None = None
) -> bool:
    """Keep an application; whether it is new. Errors: CardHeld."""
    try:
        with tx.transaction():
            return tx.execute(ADD_CARD, (card_id, account_id, product_id, at, at, replaces)).rowcount == 1
    except psycopg.errors.UniqueViolation as error:
        raise CardHeld from error


def move(
    tx: Tx,
    card_id: UUID,
    state: State,
    at: datetime,
    by: str,
    reason: str,
    *,
    until: date | None = None,
    warn: date | None = None,
) -> None:
    """Write down how a card stands now, and that it came to stand so. warn: when its holder hears that it runs out."""
    values = {
        "card_id": card_id,
        "state": state,
        "at": at,
        "by": by,
        "reason": reason,
        "until": until,
        "warn": warn,
    }
    tx.execute(MOVE, values)
    tx.execute(ADD_EVENT, values)


def events(tx: Tx, card_id: UUID) -> list[tuple[State, datetime, str, str]]:
    """What happened to a card, in order: state, when, by whom, why."""
    return tx.execute(EVENTS, (card_id,)).fetchall()


def add_number(tx: Tx, digest: bytes, version: int, card_id: UUID) -> bool:
    """Keep whose a number is; False where it is another card's."""
    return tx.execute(ADD_NUMBER, (digest, version, card_id)).rowcount == 1


def find_number(tx: Tx, digests: Sequence[bytes]) -> UUID | None:
    """Whose a number is."""
    row = tx.execute(FIND_NUMBER, (list(digests),)).fetchone()
    return None if row is None else row[0]


def number_box(tx: Tx, card_id: UUID) -> bytes | None:
    """A card's number as it is kept."""
    row = tx.execute(NUMBER_BOX, (card_id,)).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


def _product(row: Sequence[Any]) -> Product:
    names = ("product_id", "issuer_id", "city_id", "name", "rider_class", "face")
    values = dict(zip(names, row[:6], strict=True))
    return Product(
        **values,
        min_level=ProofLevel(row[6]),
        min_age=row[7],
        max_age=row[8],
        document=row[9],
        valid_months=row[10],
        price_minor=row[11],
        deposit_minor=row[12],
        currency=row[13],
        status=row[14],
    )


def _card(row: Sequence[Any]) -> Card:
    return Card(
        card_id=row[0],
        account_id=row[1],
        product=_product(row[9:24]),
        state=row[2],
        number_end=row[3],
        valid_until=row[4],
        applied_at=row[5],
        changed_at=row[6],
        reason=row[7],
        decided_by=row[8],
        replaces=row[24],
        fee=None if row[25] is None else fee_of(row[25:]),
    )


def fee_of(row: Sequence[Any]) -> Fee:
    """What is paid for a card, as a row has it."""
    names = (
        "card_id", "partition", "account_id", "issuer_id", "currency", "price_minor", "deposit_minor", "state",
        "cleared", "attempt", "way", "by_whom", "asked_at", "moved_at", "deposit", "deposit_to", "deposit_by",
        "quote_id",
    )  # fmt: skip
    return Fee(**dict(zip(names, row, strict=True)))
