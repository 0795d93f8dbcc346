"""The SQL of accounts."""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import class_row

from hansa.identity.model import Account
from hansa.store import Tx

OPEN_ACCOUNTS = """
insert into identity.accounts
    (account_id, name, issuer_id, home_city_id, rider_class, language, created_at)
select * from unnest(
    %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
on conflict (account_id) do nothing
returning account_id
"""

SET_RIDER_CLASS = "update identity.accounts set rider_class = %s where account_id = %s and closed_at is null"
SET_LANGUAGE = "update identity.accounts set language = %s where account_id = %s and closed_at is null"

FETCH_ACCOUNTS = """
select account_id, name, issuer_id, home_city_id, rider_class, language, created_at
from identity.accounts
where account_id = any(%s::uuid[])
order by account_id
"""

LIST_ACCOUNTS = """
select account_id, name, issuer_id, home_city_id, rider_class, language, created_at
from identity.accounts
where %(after)s::uuid is null or account_id > %(after)s::uuid
order by account_id
limit %(limit)s
"""

SEARCH_ACCOUNTS = """
select account_id, name, issuer_id, home_city_id, rider_class, language, created_at
from identity.accounts
where (%(text)s = '' or position(lower(%(text)s) in lower(name)) > 0
    or starts_with(account_id::text, lower(%(text)s)))
    and (%(city)s = '' or home_city_id = %(city)s)
order by name, account_id
limit %(limit)s
"""

SAMPLE_ACCOUNTS = """
select account_id, name, issuer_id, home_city_id, rider_class, language, created_at
from (
    select *, row_number() over (partition by home_city_id, rider_class order by account_id) as place
    from identity.accounts where closed_at is null
) as placed
where place <= %s
order by home_city_id, rider_class, account_id
"""


def open_accounts(tx: Tx, accounts: Sequence[Account]) -> int:
    """Insert the accounts that are not there yet; how many that were."""
    cursor = tx.execute(
        OPEN_ACCOUNTS,
        (
            [account.account_id for account in accounts],
            [account.name for account in accounts],
            [account.issuer_id for account in accounts],
            [account.home_city_id for account in accounts],
            [account.rider_class for account in accounts],
            [account.language for account in accounts],
            [account.created_at for account in accounts],
        ),
    )
    return cursor.rowcount


def set_rider_class(tx: Tx, account_id: UUID, rider_class: str) -> int:
    return tx.execute(SET_RIDER_CLASS, (rider_class, account_id)).rowcount


def set_language(tx: Tx, account_id: UUID, language: str) -> int:
    return tx.execute(SET_LANGUAGE, (language, account_id)).rowcount


def fetch_accounts(tx: Tx, account_ids: Sequence[UUID]) -> list[Account]:
    with tx.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(FETCH_ACCOUNTS, (list(account_ids),)).fetchall()


def list_accounts(tx: Tx, *, after: UUID | None, limit: int) -> list[Account]:
    with tx.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(LIST_ACCOUNTS, {"after": after, "limit": limit}).fetchall()


def search_accounts(tx: Tx, *, text: str, city_id: str, limit: int) -> list[Account]:
    with tx.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(SEARCH_ACCOUNTS, {"text": text, "city": city_id, "limit": limit}).fetchall()


def sample_accounts(tx: Tx, *, each: int) -> list[Account]:
    with tx.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(SAMPLE_ACCOUNTS, (each,)).fetchall()
