"""The SQL of recovery codes and of requests to come back."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from hansa.identity.model import AccountId
from hansa.identity.recovery_model import Recovery, RecoveryId, RecoveryOpen, RecoveryProof
from hansa.store import Tx

END_CODES = "update identity.recovery_codes set ended_at = %s where account_id = %s and ended_at is null"

ADD_CODES = """
insert into identity.recovery_codes (selector, account_id, code_hash, made_at)
select selector, %s, code_hash, %s from unnest(%s::text[], %s::text[]) as made (selector, code_hash)
"""

CODES_LEFT = """
select count(*) from identity.recovery_codes where account_id = %s and used_at is null and ended_at is null
"""

LOCK_CODE = """
select account_id, code_hash, used_at, ended_at from identity.recovery_codes where selector = %s for no key update
"""

USE_CODE = "update identity.recovery_codes set used_at = %s where selector = %s and used_at is null"

ADD_RECOVERY = """
insert into identity.recoveries (recovery_id, reference, secret_hash, proof, account_id, said_name, said_issuer_id,
    device, asked_at, ready_at, closes_at)
values (%(recovery_id)s, %(reference)s, %(secret_hash)s, %(proof)s, %(account_id)s, %(said_name)s, %(said_issuer_id)s,
    %(device)s, %(asked_at)s, %(ready_at)s, %(closes_at)s)
"""

# Whoever comes with a good code for a request that is open goes on with it, in the browser they are in now.
MOVE_RECOVERY = """
update identity.recoveries set secret_hash = %s, device = %s, ready_at = %s, closes_at = %s where recovery_id = %s
"""

RECOVERY_OF_BROWSER = """
select recovery_id, reference, proof, account_id, said_name, said_issuer_id, device, asked_at, approved_at, approved_by,
    ready_at, closes_at, canceled_at, finished_at
from identity.recoveries where secret_hash = %s
"""

LOCK_RECOVERY = """
select recovery_id, reference, proof, account_id, said_name, said_issuer_id, device, asked_at, approved_at, approved_by,
    ready_at, closes_at, canceled_at, finished_at
from identity.recoveries where recovery_id = %s for no key update
"""

OPEN_RECOVERY = """
select recovery_id, reference, proof, account_id, said_name, said_issuer_id, device, asked_at, approved_at, approved_by,
    ready_at, closes_at, canceled_at, finished_at
from identity.recoveries where account_id = %s and canceled_at is null and finished_at is null
"""

RECOVERIES_OF_ACCOUNT = """
select recovery_id, reference, proof, account_id, said_name, said_issuer_id, device, asked_at, approved_at, approved_by,
    ready_at, closes_at, canceled_at, finished_at
from identity.recoveries where account_id = %s order by asked_at, recovery_id
"""

LOCK_OPEN_RECOVERY = OPEN_RECOVERY + "for no key update"

RECOVERIES_FOR_DESK = """
select recovery_id, reference, proof, account_id, said_name, said_issuer_id, device, asked_at, approved_at, approved_by,
    ready_at, closes_at, canceled_at, finished_at
from identity.recoveries
where (%(issuer_id)s = '' or said_issuer_id = %(issuer_id)s) and approved_at is null
    and canceled_at is null and finished_at is null and closes_at > %(at)s and proof <> 'code'
order by asked_at, recovery_id limit %(limit)s
"""

APPROVE_RECOVERY = """
update identity.recoveries
set account_id = %(account_id)s, proof = %(proof)s, approved_at = %(at)s, approved_by = %(by)s,
    ready_at = least(ready_at, %(ready_at)s), closes_at = %(closes_at)s
where recovery_id = %(recovery_id)s
"""

CANCEL_RECOVERY = "update identity.recoveries set canceled_at = %s where recovery_id = %s"

FINISH_RECOVERY = "update identity.recoveries set finished_at = %s where recovery_id = %s"

RECOVERED_AT = "select max(finished_at) from identity.recoveries where account_id = %s"


class Code(NamedTuple):
    """What is kept of a code."""

    account_id: AccountId
    code_hash: str
    used_at: datetime | None
    ended_at: datetime | None


def end_codes(tx: Tx, account_id: AccountId, at: datetime) -> None:
    tx.execute(END_CODES, (at, account_id))


def add_codes(
    tx: Tx, account_id: AccountId, selectors: Sequence[str], hashes: Sequence[str], at: datetime
) -> None:
    tx.execute(ADD_CODES, (account_id, at, list(selectors), list(hashes)))


def codes_left(tx: Tx, account_id: AccountId) -> int:
    row = tx.execute(CODES_LEFT, (account_id,)).fetchone()
    assert row is not None
    return row[0]


def lock_code(tx: Tx, selector: str) -> Code | None:
    return tx.cursor(row_factory=class_row(Code)).execute(LOCK_CODE, (selector,)).fetchone()


def use_code(tx: Tx, selector: str, at: datetime) -> None:
    tx.execute(USE_CODE, (at, selector))


def add_recovery(tx: Tx, recovery: Recovery, secret_hash: bytes) -> None:
    values = {
        "recovery_id": recovery.recovery_id,
        "reference": recovery.reference,
        "secret_hash": secret_hash,
        "proof": recovery.proof,
        "account_id": recovery.account_id,
        "said_name": recovery.said_name,
        "said_issuer_id": recovery.said_issuer_id,
        "device": recovery.device,
        "asked_at": recovery.asked_at,
        "ready_at": recovery.ready_at,
        "closes_at": recovery.closes_at,
    }
    tx.execute(ADD_RECOVERY, values)


def move_recovery(
    tx: Tx,
    recovery_id: RecoveryId,
    secret_hash: bytes,
    *,
    device: str,
    ready_at: datetime,
    closes_at: datetime,
) -> None:
    tx.execute(MOVE_RECOVERY, (secret_hash, device, ready_at, closes_at, recovery_id))


def find_recovery(tx: Tx, secret_hash: bytes) -> Recovery | None:
    return tx.cursor(row_factory=class_row(Recovery)).execute(RECOVERY_OF_BROWSER, (secret_hash,)).fetchone()


def lock_recovery(tx: Tx, recovery_id: UUID) -> Recovery | None:
    return tx.cursor(row_factory=class_row(Recovery)).execute(LOCK_RECOVERY, (recovery_id,)).fetchone()


def find_open_recovery(tx: Tx, account_id: AccountId) -> Recovery | None:
    return tx.cursor(row_factory=class_row(Recovery)).execute(OPEN_RECOVERY, (account_id,)).fetchone()


def list_recoveries(tx: Tx, account_id: AccountId) -> list[Recovery]:
    return tx.cursor(row_factory=class_row(Recovery)).execute(RECOVERIES_OF_ACCOUNT, (account_id,)).fetchall()


def lock_open_recovery(tx: Tx, account_id: AccountId) -> Recovery | None:
    return tx.cursor(row_factory=class_row(Recovery)).execute(LOCK_OPEN_RECOVERY, (account_id,)).fetchone()


def list_for_desk(tx: Tx, issuer_id: str, at: datetime, limit: int) -> list[Recovery]:
    values = {"issuer_id": issuer_id, "at": at, "limit": limit}
    return tx.cursor(row_factory=class_row(Recovery)).execute(RECOVERIES_FOR_DESK, values).fetchall()


def approve_recovery(
    tx: Tx,
    recovery_id: RecoveryId,
    account_id: AccountId,
    *,
    proof: RecoveryProof,
    by: str,
    at: datetime,
    ready_at: datetime,
    closes_at: datetime,
) -> None:
    """Errors: RecoveryOpen when the account has another request."""
    values = {
        "recovery_id": recovery_id,
        "account_id": account_id,
        "proof": proof,
        "by": by,
        "at": at,
        "ready_at": ready_at,
        "closes_at": closes_at,
    }
    try:
        with tx.transaction():
            tx.execute(APPROVE_RECOVERY, values)
    except UniqueViolation as error:
        raise RecoveryOpen from error


def cancel_recovery(tx: Tx, recovery_id: RecoveryId, at: datetime) -> None:
    tx.execute(CANCEL_RECOVERY, (at, recovery_id))


def finish_recovery(tx: Tx, recovery_id: RecoveryId, at: datetime) -> None:
    tx.execute(FINISH_RECOVERY, (at, recovery_id))


def recovered_at(tx: Tx, account_id: AccountId) -> datetime | None:
    row = tx.execute(RECOVERED_AT, (account_id,)).fetchone()
    return None if row is None else row[0]
