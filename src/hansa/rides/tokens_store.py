"""The SQL of ride tokens."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa.fares import RiderClass
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


# -- tokens of phones ---------------------------------------------------------------------------------------

INSERT_ISSUED = """
insert into rides.tokens (cti, account_id, issuer_id, wallet_currency, rider_class, expires_at, begins_at, phone_id,
    companions, issued_at, policy)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

LIVE_OF_PHONE = """
select cti, rider_class, coalesce(begins_at, expires_at - interval '24 hours') as begins_at, expires_at,
    coalesce(issued_at, expires_at - interval '24 hours') as issued_at
from rides.tokens where phone_id = %s and ended_at is null and expires_at > %s
order by expires_at, cti
"""

# In the order of their ids, so that two who end the same tokens wait for each other and do not lock each other out.
LOCK_LIVE = """
select cti, rider_class, coalesce(begins_at, expires_at - interval '24 hours') as begins_at, expires_at,
    coalesce(issued_at, expires_at - interval '24 hours') as issued_at
from rides.tokens
where (account_id = %(account_id)s or %(account_id)s::uuid is null)
    and (phone_id = %(phone_id)s or %(phone_id)s::uuid is null)
    and ended_at is null and expires_at > %(at)s
order by cti
for no key update
"""

END_TOKENS = "update rides.tokens set ended_at = %s, ended_for = %s where cti = any(%s) and ended_at is null"

COUNT_ENDED = """
select count(*) from rides.tokens where account_id = %(account_id)s and expires_at > %(since)s and ended_at > %(since)s
"""


COUNT_LIVE = """
select phone_id, count(*) from rides.tokens
where phone_id = any(%s) and ended_at is null and expires_at > %s
group by phone_id
"""


class LiveToken(NamedTuple):
    """A token that gates take, now or on a day to come."""

    cti: bytes
    rider_class: RiderClass
    begins_at: datetime
    expires_at: datetime
    issued_at: datetime


class NewToken(NamedTuple):
    """A token just issued. policy: the version it was issued under."""

    token: Token
    issued_at: datetime
    policy: int


def insert_issued(tx: Tx, tokens: Sequence[NewToken]) -> None:
    """Keep tokens that were issued here. Their ids are random and new."""
    with tx.cursor() as cursor:
        cursor.executemany(
            INSERT_ISSUED,
            [
                (
                    one.cti,
                    one.account_id,
                    one.issuer_id,
                    one.wallet_currency,
                    one.rider_class,
                    one.expires_at,
                    one.begins_at,
                    one.phone_id,
                    one.companions,
                    issued_at,
                    policy,
                )
                for one, issued_at, policy in tokens
            ],
        )


def live_of_phone(tx: Tx, phone_id: UUID, at: datetime) -> list[LiveToken]:
    """A phone's tokens that have not ended, those of days to come too, by their end."""
    with tx.cursor(row_factory=class_row(LiveToken)) as cursor:
        return cursor.execute(LIVE_OF_PHONE, (phone_id, at)).fetchall()


def lock_live(tx: Tx, *, account_id: UUID | None, phone_id: UUID | None, at: datetime) -> list[LiveToken]:
    """Live tokens of an account or a phone, which nobody else ends until the transaction does."""
    with tx.cursor(row_factory=class_row(LiveToken)) as cursor:
        values = {"account_id": account_id, "phone_id": phone_id, "at": at}
        return cursor.execute(LOCK_LIVE, values).fetchall()


def count_live(tx: Tx, phone_ids: Sequence[UUID], at: datetime) -> dict[UUID, int]:
    """How many live tokens each of these phones has; one that has none is left out."""
    return {row[0]: row[1] for row in tx.execute(COUNT_LIVE, (list(phone_ids), at)).fetchall()}


def end_tokens(tx: Tx, ctis: Sequence[bytes], *, at: datetime, reason: str) -> None:
    """Mark these as ended before their time."""
    tx.execute(END_TOKENS, (at, reason, list(ctis)))


def count_ended(tx: Tx, account_id: UUID, since: datetime) -> int:
    """How many of an account's tokens were ended before their time, since then."""
    row = tx.execute(COUNT_ENDED, {"account_id": account_id, "since": since}).fetchone()
    assert row is not None, "count has a row"
    return row[0]
