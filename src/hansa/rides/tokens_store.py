"""The SQL of ride tokens."""

from collections.abc import Iterable, Sequence

from psycopg.rows import class_row

from hansa.rides.model import Token
from hansa.store import Tx

INSERT_TOKENS = """
insert into rides.tokens
    (cti, account_id, issuer_id, wallet_currency, rider_class, expires_at, begins_at, phone_id, companions)
select * from unnest(%s::bytea[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
    %s::timestamptz[], %s::uuid[], %s::smallint[])
    as given (cti, account_id, issuer_id, wallet_currency, rider_class, expires_at, begins_at, phone_id, companions)
order by cti
on conflict do nothing
"""

FIND_TOKENS = """
select cti, account_id, issuer_id, wallet_currency, rider_class, expires_at, begins_at, phone_id, companions
from rides.tokens where cti = any(%s)
"""


def insert_tokens(tx: Tx, tokens: Sequence[Token]) -> None:
    """Keep these tokens, leaving known ones as they are."""
    tx.execute(
        INSERT_TOKENS,
        (
            [one.cti for one in tokens],
            [one.account_id for one in tokens],
            [one.issuer_id for one in tokens],
            [one.wallet_currency for one in tokens],
            [one.rider_class for one in tokens],
            [one.expires_at for one in tokens],
            [one.begins_at for one in tokens],
            [one.phone_id for one in tokens],
            [one.companions for one in tokens],
        ),
    )


def find_tokens(tx: Tx, ctis: Iterable[bytes]) -> dict[bytes, Token]:
    """The known ones among these token ids."""
    rows = tx.cursor(row_factory=class_row(Token)).execute(FIND_TOKENS, (list(set(ctis)),)).fetchall()
    return {row.cti: row for row in rows}
