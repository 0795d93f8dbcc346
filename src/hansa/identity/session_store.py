"""The SQL of sessions."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row, dict_row

from hansa.identity.model import Account, AccountId
from hansa.identity.session_model import PasskeyId, Session, SessionId
from hansa.store import Tx

START_SESSION = """
insert into identity.sessions
    (secret_hash, session_id, account_id, method, started_at, authenticated_at, verified_at, last_seen_at, expires_at,
     idle_s, shared, device, passkey_id)
values (%(secret_hash)s, %(session_id)s, %(account_id)s, %(method)s, %(at)s, %(at)s, %(verified_at)s, %(at)s,
    %(expires_at)s, %(idle_s)s, %(shared)s, %(device)s, %(passkey_id)s)
"""

# Those that are over, and the ones unused for the longest time beyond as many as an account may have beside a new one.
MAKE_ROOM = """
delete from identity.sessions where account_id = %(account_id)s and (
    expires_at <= %(at)s
    or last_seen_at + make_interval(secs => idle_s) <= %(at)s
    or secret_hash in (select secret_hash from identity.sessions where account_id = %(account_id)s
        order by last_seen_at desc, secret_hash offset %(keep)s))
"""

SIGNED_IN = """
select s.session_id, s.account_id, s.method, s.started_at, s.authenticated_at, s.verified_at, s.last_seen_at,
    s.expires_at, s.idle_s, s.shared, s.device, s.phone_id, s.passkey_id,
    a.name, a.issuer_id, a.home_city_id, a.rider_class, a.language, a.created_at
from identity.sessions s join identity.accounts a using (account_id)
where s.secret_hash = %(secret_hash)s and s.started_at <= %(at)s and s.expires_at > %(at)s
    and s.last_seen_at + make_interval(secs => s.idle_s) > %(at)s
"""

SEE_SESSION = "update identity.sessions set last_seen_at = %s where secret_hash = %s and last_seen_at < %s"

SESSIONS = """
select session_id, account_id, method, started_at, authenticated_at, verified_at, last_seen_at, expires_at, idle_s,
    shared, device, phone_id, passkey_id
from identity.sessions
where account_id = %(account_id)s and started_at <= %(at)s and expires_at > %(at)s
    and last_seen_at + make_interval(secs => idle_s) > %(at)s
order by last_seen_at desc, session_id
"""

VERIFY_SESSION = """
update identity.sessions
set secret_hash = %(new_hash)s, authenticated_at = %(at)s, verified_at = %(at)s, passkey_id = %(passkey_id)s,
    last_seen_at = greatest(last_seen_at, %(at)s)
where secret_hash = %(old_hash)s and account_id = %(account_id)s
"""

END_SESSION = "delete from identity.sessions where secret_hash = %s"

END_SESSIONS = """
delete from identity.sessions where account_id = %s and session_id = any(%s) returning session_id
"""

END_OTHERS = """
delete from identity.sessions
where account_id = %(account_id)s and session_id is distinct from %(keep)s::uuid returning session_id
"""


def start_session(tx: Tx, secret_hash: bytes, session: Session, *, sessions_max: int) -> None:
    """Keep a new session; those that are over go, and the one unused for the longest time where there are too many."""
    room = {"account_id": session.account_id, "at": session.started_at, "keep": sessions_max - 1}
    tx.execute(MAKE_ROOM, room)
    values = {
        "secret_hash": secret_hash,
        "session_id": session.session_id,
        "account_id": session.account_id,
        "method": session.method,
        "at": session.started_at,
        "verified_at": session.verified_at,
        "expires_at": session.expires_at,
        "idle_s": session.idle_s,
        "shared": session.shared,
        "device": session.device,
        "passkey_id": session.passkey_id,
    }
    tx.execute(START_SESSION, values)


def find_signed_in(tx: Tx, secret_hash: bytes, at: datetime) -> tuple[Session, Account] | None:
    with tx.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(SIGNED_IN, {"secret_hash": secret_hash, "at": at}).fetchone()
    if row is None:
        return None
    account = Account(**{name: row[name] for name in Account.__dataclass_fields__})
    return Session(**{name: row[name] for name in Session.__dataclass_fields__}), account


def see_session(tx: Tx, secret_hash: bytes, at: datetime) -> None:
    tx.execute(SEE_SESSION, (at, secret_hash, at))


def list_sessions(tx: Tx, account_id: AccountId, at: datetime) -> list[Session]:
    cursor = tx.cursor(row_factory=class_row(Session))
    return cursor.execute(SESSIONS, {"account_id": account_id, "at": at}).fetchall()


def verify_session(
    tx: Tx, old_hash: bytes, new_hash: bytes, account_id: AccountId, passkey_id: PasskeyId, at: datetime
) -> bool:
    """Whether there was such a session of this account."""
    values = {
        "old_hash": old_hash,
        "new_hash": new_hash,
        "account_id": account_id,
        "passkey_id": passkey_id,
        "at": at,
    }
    return tx.execute(VERIFY_SESSION, values).rowcount == 1


def end_session(tx: Tx, secret_hash: bytes) -> None:
    tx.execute(END_SESSION, (secret_hash,))


def end_sessions(tx: Tx, account_id: AccountId, session_ids: Sequence[UUID]) -> int:
    return tx.execute(END_SESSIONS, (account_id, list(session_ids))).rowcount


def end_others(tx: Tx, account_id: AccountId, keep: SessionId | None) -> int:
    return tx.execute(END_OTHERS, {"account_id": account_id, "keep": keep}).rowcount
