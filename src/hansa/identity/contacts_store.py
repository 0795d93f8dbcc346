"""The SQL of contacts and of the codes that verify them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa.identity.contacts_model import ContactKind, ContactState
from hansa.identity.model import AccountId
from hansa.identity.sealing import Digest
from hansa.store import Tx

OF_ACCOUNT = """
select contact_id, account_id, kind, box, digest, state, asked_at, verified_at, ended_at, ended_for
from identity.contacts where account_id = %s
order by state = 'ended', asked_at, contact_id
limit 100
"""

LOCK = """
select contact_id, account_id, kind, box, digest, state, asked_at, verified_at, ended_at, ended_for
from identity.contacts where contact_id = %s for no key update
"""

ADD = """
insert into identity.contacts (contact_id, account_id, kind, box, digest, digest_version, state, asked_at)
values (%s, %s, %s, %s, %s, %s, 'asked', %s)
"""

PUT_CODE = """
insert into identity.contact_codes (contact_id, code_digest, digest_version, tries_left, sent_at, expires_at)
values (%s, %s, %s, %s, %s, %s)
on conflict (contact_id) do update set code_digest = excluded.code_digest, digest_version = excluded.digest_version,
    tries_left = excluded.tries_left, sent_at = excluded.sent_at, expires_at = excluded.expires_at
"""

TRY_CODE = """
update identity.contact_codes set tries_left = tries_left - 1
where contact_id = %s and tries_left > 0 and expires_at > %s
returning code_digest
"""

FORGET_CODE = "delete from identity.contact_codes where contact_id = %s"

VERIFY = "update identity.contacts set state = 'verified', verified_at = %s where contact_id = %s and state <> 'ended'"

# The upsert locks the value's row, so two who verify one number at once come one after the other.
TAKE = """
insert into identity.contact_directory (digest, contact_id) values (%s, %s)
on conflict (digest) do update set contact_id = excluded.contact_id
"""

END_OTHERS = """
update identity.contacts set state = 'ended', ended_at = %s, ended_for = 'recycled'
where digest = any(%s) and state = 'verified' and contact_id <> %s
returning account_id
"""

END = """
update identity.contacts set state = 'ended', ended_at = %s, ended_for = %s
where contact_id = any(%s) and state <> 'ended'
"""

FORGET_ENTRY = "delete from identity.contact_directory where contact_id = any(%s)"

TO_RENEW = """
select contact_id, account_id, kind, box, digest, state, asked_at, verified_at, ended_at, ended_for
from identity.contacts where digest_version <> %s and state <> 'ended'
order by contact_id
limit %s
for no key update skip locked
"""

RENEW = "update identity.contacts set digest = %s, digest_version = %s where contact_id = %s"
RENEW_ENTRY = "update identity.contact_directory set digest = %s where digest = %s"


class Row(NamedTuple):
    """A contact as it is kept; box is sealed."""

    contact_id: UUID
    account_id: AccountId
    kind: ContactKind
    box: bytes
    digest: bytes
    state: ContactState
    asked_at: datetime
    verified_at: datetime | None
    ended_at: datetime | None
    ended_for: str | None


def of_account(tx: Tx, account_id: AccountId) -> list[Row]:
    with tx.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(OF_ACCOUNT, (account_id,)).fetchall()


def lock(tx: Tx, contact_id: UUID) -> Row | None:
    with tx.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(LOCK, (contact_id,)).fetchone()


def add(
    tx: Tx,
    contact_id: UUID,
    account_id: AccountId,
    kind: ContactKind,
    box: bytes,
    digest: Digest,
    at: datetime,
) -> None:
    tx.execute(ADD, (contact_id, account_id, kind, box, digest.octets, digest.version, at))


def put_code(
    tx: Tx, contact_id: UUID, code: Digest, *, tries: int, at: datetime, expires_at: datetime
) -> None:
    """The code that this contact waits for; one before it counts no more."""
    tx.execute(PUT_CODE, (contact_id, code.octets, code.version, tries, at, expires_at))


def try_code(tx: Tx, contact_id: UUID, at: datetime) -> bytes | None:
    """Take one of the tries; the digest of the right code, or None when no try is left."""
    row = tx.execute(TRY_CODE, (contact_id, at)).fetchone()
    return None if row is None else bytes(row[0])


def verify(tx: Tx, row: Row, same: Sequence[bytes], at: datetime) -> list[AccountId]:
    """The contact is verified, and nobody else's; the accounts that lost it. same: its digests by every key."""
    tx.execute(TAKE, (row.digest, row.contact_id))
    lost = tx.execute(END_OTHERS, (at, list(same), row.contact_id)).fetchall()
    tx.execute(VERIFY, (at, row.contact_id))
    tx.execute(FORGET_CODE, (row.contact_id,))
    return [AccountId(one[0]) for one in lost]


def end(tx: Tx, contact_ids: Sequence[UUID], why: str, at: datetime) -> None:
    tx.execute(FORGET_ENTRY, (list(contact_ids),))
    for contact_id in contact_ids:
        tx.execute(FORGET_CODE, (contact_id,))
    tx.execute(END, (at, why, list(contact_ids)))


def to_renew(tx: Tx, newest: int, limit: int) -> list[Row]:
    with tx.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(TO_RENEW, (newest, limit)).fetchall()


def renew(tx: Tx, row: Row, digest: Digest) -> None:
    tx.execute(RENEW, (digest.octets, digest.version, row.contact_id))
    tx.execute(RENEW_ENTRY, (digest.octets, row.digest))
