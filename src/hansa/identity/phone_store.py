"""The SQL of phones, of the numbers they sign, and of how accounts stand."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa.identity.model import AccountId
from hansa.identity.phone_model import Phone, PhoneId, PhoneStatus, Standing
from hansa.store import Tx

LOCK_ACCOUNT = "select created_at from identity.accounts where account_id = %s for no key update"

STANDING = """
select level, reason, since, case_id from identity.standings where account_id = %s order by revision desc limit 1
"""

STANDINGS = (
    "select level, reason, since, case_id from identity.standings where account_id = %s order by revision"
)

ADD_STANDING = """
insert into identity.standings (account_id, revision, level, reason, since, case_id)
select %(account_id)s, coalesce(max(revision), 0) + 1, %(level)s, %(reason)s, %(since)s, %(case_id)s
from identity.standings where account_id = %(account_id)s
"""

PHONES = """
select phone_id, account_id, public_key, name, status, enrolled_at, last_seen_at, ended_at, ended_for
from identity.phones where account_id = %s
order by status <> 'active', enrolled_at desc, phone_id
limit 100
"""

PHONE = """
select phone_id, account_id, public_key, name, status, enrolled_at, last_seen_at, ended_at, ended_for
from identity.phones where phone_id = %s
"""

LOCK_PHONE = """
select phone_id, account_id, public_key, name, status, enrolled_at, last_seen_at, ended_at, ended_for
from identity.phones where phone_id = %s for no key update
"""

PHONE_OF_SESSION = """
select p.phone_id, p.account_id, p.public_key, p.name, p.status, p.enrolled_at, p.last_seen_at, p.ended_at, p.ended_for
from identity.sessions s join identity.phones p using (phone_id)
where s.secret_hash = %s and s.started_at <= %s and s.expires_at > %s
"""

ADD_PHONE = """
insert into identity.phones (phone_id, account_id, public_key, name, enrolled_at, last_seen_at)
values (%s, %s, %s, %s, %s, %s)
on conflict do nothing
"""

NAME_PHONE = "update identity.phones set name = %s where phone_id = %s"

SEE_PHONE = "update identity.phones set last_seen_at = greatest(last_seen_at, %s) where phone_id = %s"

END_PHONES = """
update identity.phones set status = %s, ended_at = %s, ended_for = %s
where phone_id = any(%s) and status = 'active'
"""

FORGET_NONCES = """
delete from identity.nonces where account_id = %(account_id)s and (expires_at <= %(at)s or nonce_hash in (
    select nonce_hash from identity.nonces where account_id = %(account_id)s
    order by expires_at desc, nonce_hash offset %(keep)s))
"""

ADD_NONCE = """
insert into identity.nonces (nonce_hash, account_id, secret_hash, expires_at)
select %(nonce_hash)s, account_id, secret_hash, %(expires_at)s from identity.sessions
where secret_hash = %(secret_hash)s and account_id = %(account_id)s
    and started_at <= %(at)s and sessions.expires_at > %(at)s
for key share
"""

USE_NONCE = """
with used as (
    delete from identity.nonces where nonce_hash = %s and account_id = %s and expires_at > %s returning secret_hash
)
select s.secret_hash, s.started_at, s.phone_id from used join identity.sessions s using (secret_hash)
"""

PUT_SESSION_ON_PHONE = "update identity.sessions set phone_id = %s where secret_hash = %s"

END_SESSIONS_ON_PHONES = "delete from identity.sessions where phone_id = any(%s)"


class SignIn(NamedTuple):
    """A sign-in that is not over. phone_id: the phone that proved its key under it, if one has."""

    secret_hash: bytes
    started_at: datetime
    phone_id: UUID | None


def lock_account(tx: Tx, account_id: AccountId) -> datetime | None:
    """Be the one who changes this account's phones until the transaction ends; when it was opened."""
    row = tx.execute(LOCK_ACCOUNT, (account_id,)).fetchone()
    return None if row is None else row[0]


def find_standing(tx: Tx, account_id: AccountId) -> Standing | None:
    return tx.cursor(row_factory=class_row(Standing)).execute(STANDING, (account_id,)).fetchone()


def list_standings(tx: Tx, account_id: AccountId) -> list[Standing]:
    return tx.cursor(row_factory=class_row(Standing)).execute(STANDINGS, (account_id,)).fetchall()


def add_standing(tx: Tx, account_id: AccountId, standing: Standing) -> None:
    values = {
        "account_id": account_id,
        "level": standing.level,
        "reason": standing.reason,
        "since": standing.since,
        "case_id": standing.case_id,
    }
    tx.execute(ADD_STANDING, values)


def list_phones(tx: Tx, account_id: AccountId) -> list[Phone]:
    return tx.cursor(row_factory=class_row(Phone)).execute(PHONES, (account_id,)).fetchall()


def find_phone(tx: Tx, phone_id: UUID, *, lock: bool = False) -> Phone | None:
    sql = LOCK_PHONE if lock else PHONE
    return tx.cursor(row_factory=class_row(Phone)).execute(sql, (phone_id,)).fetchone()


def find_phone_of_session(tx: Tx, secret_hash: bytes, at: datetime) -> Phone | None:
    return tx.cursor(row_factory=class_row(Phone)).execute(PHONE_OF_SESSION, (secret_hash, at, at)).fetchone()


def add_phone(
    tx: Tx, phone_id: PhoneId, account_id: AccountId, public_key: bytes, name: str, at: datetime
) -> bool:
    """Whether it was new; False when its key is known."""
    return tx.execute(ADD_PHONE, (phone_id, account_id, public_key, name, at, at)).rowcount == 1


def name_phone(tx: Tx, phone_id: PhoneId, name: str) -> None:
    tx.execute(NAME_PHONE, (name, phone_id))


def see_phone(tx: Tx, phone_id: PhoneId, at: datetime) -> None:
    tx.execute(SEE_PHONE, (at, phone_id))


def end_phones(tx: Tx, phone_ids: Sequence[UUID], status: PhoneStatus, *, at: datetime, reason: str) -> None:
    """Those of these phones that are active are so no more, and nobody is signed in on any of them."""
    tx.execute(END_PHONES, (status, at, reason, list(phone_ids)))
    tx.execute(END_SESSIONS_ON_PHONES, (list(phone_ids),))


def add_nonce(
    tx: Tx,
    nonce_hash: bytes,
    account_id: AccountId,
    secret_hash: bytes,
    *,
    at: datetime,
    expires_at: datetime,
    keep: int,
) -> bool:
    """Keep a nonce beside at most ``keep`` others of this account; those that ended go. False without the sign-in."""
    tx.execute(FORGET_NONCES, {"account_id": account_id, "at": at, "keep": keep})
    values = {
        "nonce_hash": nonce_hash,
        "account_id": account_id,
        "secret_hash": secret_hash,
        "at": at,
        "expires_at": expires_at,
    }
    return tx.execute(ADD_NONCE, values).rowcount == 1


def use_nonce(tx: Tx, nonce_hash: bytes, account_id: AccountId, at: datetime) -> SignIn | None:
    """Take the nonce away; the sign-in that asked for it. None when it is not there for this account."""
    return (
        tx.cursor(row_factory=class_row(SignIn)).execute(USE_NONCE, (nonce_hash, account_id, at)).fetchone()
    )


def put_session_on_phone(tx: Tx, secret_hash: bytes, phone_id: UUID) -> None:
    """This sign-in is on that phone, and ends with it."""
    tx.execute(PUT_SESSION_ON_PHONE, (phone_id, secret_hash))
