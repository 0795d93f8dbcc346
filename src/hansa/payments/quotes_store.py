"""The SQL of quotes, of what they were used for, and of issuers' terms."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.payments.quotes_model import Quote, Terms, Use
from hansa.store import Tx

COLUMNS = """q.quote_id, q.partition, q.account_id, q.issuer_id, q.pays_minor, q.pays_currency, q.fee_minor,
    q.gets_minor, q.gets_currency, q.fixed, q.numerator, q.denominator, q.margin_bp, q.rate_day, q.payee_key,
    q.asked_by, q.made_at, q.expires_at"""
"""Of a quote, in the order in which ``quote_of`` reads them."""

WIDTH = 18

INSERT = """
insert into payments.quotes (partition, quote_id, account_id, issuer_id, pays_minor, pays_currency, fee_minor,
    gets_minor, gets_currency, fixed, numerator, denominator, margin_bp, rate_day, payee_key, asked_by, made_at,
    expires_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

FIND = (
    "select "
    + COLUMNS
    + """, u.subject_id
from payments.quotes q
left join payments.quote_uses u on u.partition = q.partition and u.quote_id = q.quote_id
where q.partition = any(%s) and q.quote_id = any(%s)
"""
)

LIST = (
    "select "
    + COLUMNS
    + """, u.subject_id
from payments.quotes q
left join payments.quote_uses u on u.partition = q.partition and u.quote_id = q.quote_id
where q.partition = %s and q.account_id = %s and (q.made_at, q.quote_id) < (%s::timestamptz, %s::uuid)
order by q.made_at desc, q.quote_id desc limit %s
"""
)

# Of two that want one quote, the second waits for the first, and then finds its use here.
USE = """
insert into payments.quote_uses (partition, quote_id, subject, subject_id, used_at)
select a.partition, a.quote_id, a.subject, a.subject_id, %s
from unnest(%s::smallint[], %s::uuid[], %s::text[], %s::uuid[]) as a (partition, quote_id, subject, subject_id)
order by a.partition, a.quote_id
on conflict do nothing
"""

SET_TERMS = """
insert into payments.quote_terms (issuer_id, currency, into_currency, set_at, margin_bp, fee_minor, lasts_s, set_by)
values (%s, %s, %s, %s, %s, %s, %s, %s)
on conflict (issuer_id, currency, into_currency, set_at) do nothing
"""

# What is said of these two currencies goes before what is said of any.
TERMS = """
select margin_bp, fee_minor, lasts_s from payments.quote_terms
where issuer_id = %s and currency = %s and into_currency in ('', %s)
order by into_currency desc, set_at desc limit 1
"""

LIST_TERMS = """
select distinct on (currency, into_currency) currency, into_currency, margin_bp, fee_minor, lasts_s, set_at, set_by
from payments.quote_terms where issuer_id = %s
order by currency, into_currency, set_at desc
"""

FORGET = """
delete from payments.quotes q
where (q.partition, q.quote_id) in (
    select o.partition, o.quote_id from payments.quotes o
    where o.expires_at < %(before)s and o.expires_at > %(before)s - interval '7 days' and not exists (
        select from payments.quote_uses u where u.partition = o.partition and u.quote_id = o.quote_id)
    limit %(limit)s)
"""


def insert(tx: Tx, quote: Quote) -> bool:
    """Keep a quote; whether it is new."""
    values = (
        quote.partition,
        quote.quote_id,
        quote.account_id,
        quote.issuer_id,
        quote.pays.minor,
        quote.pays.currency,
        quote.fee.minor,
        quote.gets.minor,
        quote.gets.currency,
        quote.fixed,
        quote.mid.numerator,
        quote.mid.denominator,
        quote.margin_bp,
        quote.rate_day,
        quote.payee_key,
        quote.by,
        quote.made_at,
        quote.expires_at,
    )
    return tx.execute(INSERT, values).rowcount == 1


def find(tx: Tx, partitions: Iterable[int], quote_ids: Collection[UUID]) -> dict[UUID, Quote]:
    """Those of these quotes that there are, with what they were used for."""
    rows = tx.execute(FIND, (sorted(set(partitions)), list(quote_ids))).fetchall()
    return {row[0]: quote_of(row, row[WIDTH]) for row in rows}


def list_of(
    tx: Tx, partition: int, account_id: UUID, before: tuple[datetime, UUID] | None, limit: int
) -> list[Quote]:
    """Quotes of an account, the latest first, with what they were used for."""
    at, last = before or ("infinity", UUID(int=2**128 - 1))
    rows = tx.execute(LIST, (partition, account_id, at, last, limit)).fetchall()
    return [quote_of(row, row[WIDTH]) for row in rows]


def use(tx: Tx, uses: Sequence[Use], at: datetime) -> None:
    """Keep what quotes are used for, each once; what was there stays."""
    tx.execute(
        USE,
        (
            at,
            [one.partition for one in uses],
            [one.quote_id for one in uses],
            [one.subject for one in uses],
            [one.subject_id for one in uses],
        ),
    )


def set_terms(
    tx: Tx, issuer_id: str, currency: str, into_currency: str, terms: Terms, at: datetime, by: str
) -> None:
    """From now on an issuer asks this."""
    lasts_s = int(terms.lasts.total_seconds())
    tx.execute(
        SET_TERMS,
        (issuer_id, currency, into_currency, at, terms.margin_bp, terms.fee_minor, lasts_s, by),
    )


def find_terms(tx: Tx, issuer_id: str, currency: str, into_currency: str) -> Terms | None:
    """What an issuer asks now, if it set anything."""
    row = tx.execute(TERMS, (issuer_id, currency, into_currency)).fetchone()
    return None if row is None else _terms(*row)


def list_terms(tx: Tx, issuer_id: str) -> list[tuple[str, str, Terms, datetime, str]]:
    """What an issuer asks now: currency, into which (empty: any), terms, since when, set by whom."""
    rows = tx.execute(LIST_TERMS, (issuer_id,)).fetchall()
    return [(row[0], row[1], _terms(*row[2:5]), row[5], row[6]) for row in rows]


def forget(tx: Tx, before: datetime, limit: int) -> int:
    """Forget quotes that ended in the week before an instant and were not used; gives how many."""
    return tx.execute(FORGET, {"before": before, "limit": limit}).rowcount


def quote_of(row: Sequence[Any], used_for: UUID | None = None) -> Quote:
    """The quote of a row of ``COLUMNS``."""
    return Quote(
        quote_id=row[0],
        partition=row[1],
        account_id=AccountId(row[2]),
        issuer_id=row[3],
        pays=Money(row[4], row[5]),
        fee=Money(row[6], row[5]),
        gets=Money(row[7], row[8]),
        fixed=row[9],
        mid=Fraction(row[10], row[11]),
        margin_bp=row[12],
        rate_day=row[13],
        payee_key=row[14],
        by=row[15],
        made_at=row[16],
        expires_at=row[17],
        used_for=used_for,
    )


def _terms(margin_bp: int, fee_minor: int, lasts_s: int) -> Terms:
    return Terms(margin_bp=margin_bp, fee_minor=fee_minor, lasts=timedelta(seconds=lasts_s))
