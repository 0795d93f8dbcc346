"""The SQL of passkeys and of what they are asked to sign."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from hansa.identity.model import AccountId
from hansa.identity.passkey_model import Passkey, Purpose
from hansa.identity.session_model import PasskeyId
from hansa.store import Tx

ADD_PASSKEY = """
insert into identity.passkeys (passkey_id, account_id, rp_id, credential_id, public_key, sign_count, aaguid, transports,
    backup_eligible, backed_up, name, created_at, last_used_at)
values (%(passkey_id)s, %(account_id)s, %(rp_id)s, %(credential_id)s, %(public_key)s, %(sign_count)s, %(aaguid)s,
    %(transports)s, %(backup_eligible)s, %(backed_up)s, %(name)s, %(created_at)s, %(last_used_at)s)
on conflict (credential_id) do nothing
"""

PASSKEYS = """
select passkey_id, account_id, rp_id, credential_id, public_key, sign_count, aaguid, transports, backup_eligible,
    backed_up, name, created_at, last_used_at, ended_at, ended_for
from identity.passkeys where account_id = %s and ended_at is null
order by created_at, passkey_id
"""

PASSKEY_BY_CREDENTIAL = """
select passkey_id, account_id, rp_id, credential_id, public_key, sign_count, aaguid, transports, backup_eligible,
    backed_up, name, created_at, last_used_at, ended_at, ended_for
from identity.passkeys where credential_id = %s for no key update
"""

USE_PASSKEY = """
update identity.passkeys
set sign_count = %s, backed_up = %s, last_used_at = greatest(last_used_at, %s) where passkey_id = %s
"""

NAME_PASSKEY = """
update identity.passkeys set name = %s where passkey_id = %s and account_id = %s and ended_at is null
"""

END_PASSKEYS = """
update identity.passkeys set ended_at = %s, ended_for = %s
where account_id = %s and passkey_id = any(%s) and ended_at is null
"""

# Those that ended go a few at a time, whoever's they were: most browsers that asked never come again.
FORGET_CHALLENGES = """
delete from identity.challenges where challenge_hash in (
    select challenge_hash from identity.challenges where expires_at <= %s
    order by expires_at limit 50 for update skip locked)
"""

FORGET_OWN_CHALLENGES = """
delete from identity.challenges where challenge_hash in (
    select challenge_hash from identity.challenges where owner_hash = %s
    order by expires_at desc, challenge_hash offset %s)
"""

ADD_CHALLENGE = """
insert into identity.challenges as held (challenge_hash, purpose, owner_hash, account_id, expires_at)
values (%(challenge_hash)s, %(purpose)s, %(owner_hash)s, %(account_id)s, %(expires_at)s)
on conflict (challenge_hash) do update set owner_hash = excluded.owner_hash, expires_at = excluded.expires_at
where held.purpose = 'bound' and excluded.purpose = 'bound' and held.account_id = excluded.account_id
"""

CHALLENGE = """
select purpose, account_id from identity.challenges
where challenge_hash = %(challenge_hash)s and purpose = %(purpose)s and owner_hash = %(owner_hash)s
    and expires_at > %(at)s
"""

USE_CHALLENGE = """
delete from identity.challenges
where challenge_hash = %(challenge_hash)s and purpose = %(purpose)s and owner_hash = %(owner_hash)s
    and expires_at > %(at)s
returning purpose, account_id
"""


class Challenge(NamedTuple):
    """What was given to sign, and for whose account, if for one."""

    purpose: Purpose
    account_id: AccountId | None


def add_passkey(tx: Tx, passkey: Passkey) -> bool:
    """Whether its credential was new."""
    return tx.execute(ADD_PASSKEY, asdict(passkey)).rowcount == 1


def list_passkeys(tx: Tx, account_id: AccountId) -> list[Passkey]:
    return tx.cursor(row_factory=class_row(Passkey)).execute(PASSKEYS, (account_id,)).fetchall()


def lock_passkey(tx: Tx, credential_id: bytes) -> Passkey | None:
    """The passkey of this credential, nobody else's to change until the transaction ends."""
    return (
        tx.cursor(row_factory=class_row(Passkey)).execute(PASSKEY_BY_CREDENTIAL, (credential_id,)).fetchone()
    )


def use_passkey(tx: Tx, passkey_id: PasskeyId, *, sign_count: int, backed_up: bool, at: datetime) -> None:
    tx.execute(USE_PASSKEY, (sign_count, backed_up, at, passkey_id))


def name_passkey(tx: Tx, account_id: AccountId, passkey_id: UUID, name: str) -> bool:
    """Whether there is such a passkey."""
    return tx.execute(NAME_PASSKEY, (name, passkey_id, account_id)).rowcount == 1


def end_passkeys(
    tx: Tx, account_id: AccountId, passkey_ids: Sequence[UUID], *, at: datetime, reason: str
) -> int:
    return tx.execute(END_PASSKEYS, (at, reason, account_id, list(passkey_ids))).rowcount


def add_challenge(
    tx: Tx,
    challenge_hash: bytes,
    *,
    purpose: Purpose,
    owner_hash: bytes,
    account_id: AccountId | None,
    at: datetime,
    expires_at: datetime,
    keep: int,
) -> bool:
    """Keep a challenge beside at most ``keep`` others of this owner. False when it is given to somebody else."""
    tx.execute(FORGET_CHALLENGES, (at,))
    tx.execute(FORGET_OWN_CHALLENGES, (owner_hash, keep))
    values = {
        "challenge_hash": challenge_hash,
        "purpose": purpose,
        "owner_hash": owner_hash,
        "account_id": account_id,
        "expires_at": expires_at,
    }
    return tx.execute(ADD_CHALLENGE, values).rowcount == 1


def find_challenge(
    tx: Tx, challenge_hash: bytes, *, purpose: Purpose, owner_hash: bytes, at: datetime, use: bool
) -> Challenge | None:
    """The challenge that this owner was given for this purpose, if it is good; ``use`` takes it away."""
    values = {"challenge_hash": challenge_hash, "purpose": purpose, "owner_hash": owner_hash, "at": at}
    cursor = tx.cursor(row_factory=class_row(Challenge))
    return cursor.execute(USE_CHALLENGE if use else CHALLENGE, values).fetchone()
