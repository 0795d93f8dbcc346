"""The SQL of invoices and of who members are to a tax office."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from psycopg.rows import class_row

from hansa.reports.invoices import Invoice, Party, invoice_json, read_invoice
from hansa.store import Tx

ADD_PARTY = """
insert into reports.parties
    (member_id, valid_from, legal_name, street, city, post_code, country, tax_number, set_by, set_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

PARTIES = """
select distinct on (member_id) member_id, legal_name, street, city, post_code, country, tax_number, valid_from
from reports.parties
where valid_from <= %(on)s and (%(member)s::text is null or member_id = %(member)s)
order by member_id, valid_from desc
"""

ADD_SELLER = "insert into reports.sellers (seller_id) values (%s) on conflict do nothing"

LOCK_SELLER = "select invoices from reports.sellers where seller_id = %s for no key update"

COUNT_ON = "update reports.sellers set invoices = %s where seller_id = %s"

ADD_INVOICE = """
insert into reports.invoices
    (seller_id, n, number, kind, buyer_id, currency, first_day, last_day, issued_on, net_minor, tax_minor, body,
    digest, made_by, made_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

BODIES_OF_PERIOD = """
select body from reports.invoices
where seller_id = %s and buyer_id = %s and currency = %s and first_day = %s and last_day = %s
order by n
"""

LAST_NUMBER = """
select number from reports.invoices
where seller_id = %s and buyer_id = %s and currency = %s and kind = 'invoice'
order by n desc
limit 1
"""

OVERLAPPING = """
select first_day, last_day from reports.invoices
where seller_id = any(%(sellers)s::text[]) and first_day <= %(last)s and last_day >= %(first)s
    and (first_day, last_day) <> (%(first)s, %(last)s)
limit 1
"""

FIND = "select body from reports.invoices where number = %s"

LIST = """
select seller_id, n, number, kind, buyer_id, currency, first_day, last_day, issued_on, net_minor, tax_minor
from reports.invoices
where (%(member)s::text is null or seller_id = %(member)s or buyer_id = %(member)s)
    and (%(before)s::text = '' or (issued_on, number) < (
        select issued_on, number from reports.invoices where number = %(before)s))
order by issued_on desc, number desc
limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """An invoice as a list shows it. net_minor: as it adds to what the buyer owes."""

    seller_id: str
    n: int
    number: str
    kind: str
    buyer_id: str
    currency: str
    first_day: date
    last_day: date
    issued_on: date
    net_minor: int
    tax_minor: int


def add_party(tx: Tx, party: Party, *, by: str, at: datetime) -> bool:
    """Keep who a member is from a day on; False where that day has one already."""
    return (
        tx.execute(
            ADD_PARTY,
            (
                party.member_id,
                party.valid_from,
                party.legal_name,
                party.street,
                party.city,
                party.post_code,
                party.country,
                party.tax_number,
                by,
                at,
            ),
        ).rowcount
        == 1
    )


def parties(tx: Tx, on: date, member_id: str | None = None) -> dict[str, Party]:
    """Who members are on a day."""
    with tx.cursor(row_factory=class_row(Party)) as cursor:
        return {
            one.member_id: one for one in cursor.execute(PARTIES, {"on": on, "member": member_id}).fetchall()
        }


def lock_seller(tx: Tx, seller_id: str) -> int:
    """How many documents a seller has; nobody else gives it a number until the transaction ends."""
    tx.execute(ADD_SELLER, (seller_id,))
    row = tx.execute(LOCK_SELLER, (seller_id,)).fetchone()
    assert row is not None, "it was put there"
    return row[0]


def invoices_of_period(
    tx: Tx, seller_id: str, buyer_id: str, currency: str, first_day: date, last_day: date
) -> list[Invoice]:
    """The documents of one period between two, in order."""
    rows = tx.execute(BODIES_OF_PERIOD, (seller_id, buyer_id, currency, first_day, last_day)).fetchall()
    return [read_invoice(bytes(body)) for (body,) in rows]


def find_last_number(tx: Tx, seller_id: str, buyer_id: str, currency: str) -> str:
    """The latest invoice between two; empty where there is none."""
    row = tx.execute(LAST_NUMBER, (seller_id, buyer_id, currency)).fetchone()
    return "" if row is None else row[0]


def find_overlapping(
    tx: Tx, sellers: Sequence[str], first_day: date, last_day: date
) -> tuple[date, date] | None:
    """Another period that one of these was invoiced for and that shares a day with this one."""
    values = {"sellers": list(sellers), "first": first_day, "last": last_day}
    row = tx.execute(OVERLAPPING, values).fetchone()
    return None if row is None else (row[0], row[1])


def add_invoice(tx: Tx, n: int, invoice: Invoice, *, by: str, at: datetime) -> None:
    """Keep a document under the next number of its seller, who is locked."""
    body = invoice_json(invoice)
    seller = invoice.seller.member_id
    tx.execute(
        ADD_INVOICE,
        (
            seller,
            n,
            invoice.number,
            invoice.kind,
            invoice.buyer.member_id,
            invoice.currency,
            invoice.first_day,
            invoice.last_day,
            invoice.issued_on,
            invoice.sign * invoice.net,
            invoice.sign * invoice.tax_minor,
            body,
            sha256(body).digest(),
            by,
            at,
        ),
    )
    tx.execute(COUNT_ON, (n, seller))


def find_invoice(tx: Tx, number: str) -> Invoice | None:
    """A document by its number."""
    row = tx.execute(FIND, (number,)).fetchone()
    return None if row is None else read_invoice(bytes(row[0]))


def list_invoices(
    tx: Tx, *, member_id: str | None = None, before: str = "", limit: int = 100
) -> Sequence[InvoiceRow]:
    """Documents, latest first; of one member as seller or buyer. before: the number of the last one seen."""
    with tx.cursor(row_factory=class_row(InvoiceRow)) as cursor:
        values = {"member": member_id, "before": before, "limit": limit}
        return cursor.execute(LIST, values).fetchall()
