"""What can be done with sessions: start one, find whose it is, prove anew in it, list and end them.

A session's secret is 256 random bits; we keep its SHA-256. It gets a new secret whenever the person proves who they
are, so one that leaked before is worth nothing after. Source: OWASP ASVS 5.0, V7.
"""

from datetime import datetime, timedelta
from uuid import UUID

from hansa.identity import session_store as store
from hansa.identity.actions import get_account
from hansa.identity.agents import device_words
from hansa.identity.model import Account, AccountId, hash_secret, new_secret
from hansa.identity.people_policy import PeoplePolicy, own_people_policy
from hansa.identity.persons_model import AccountClosed
from hansa.identity.persons_store import closed_at
from hansa.identity.security_events import add_security_event
from hansa.identity.session_model import Method, PasskeyId, Session, SessionId, UnknownSession, VerifyAnew
from hansa.kernel import new_id
from hansa.store import Tx


def start_session(
    tx: Tx,
    account_id: AccountId,
    at: datetime,
    *,
    method: Method = "demo",
    user_agent: str = "",
    shared: bool = False,
    passkey_id: PasskeyId | None = None,
    policy: PeoplePolicy | None = None,
) -> str:
    """Sign a person in: a secret to hand to their browser. We keep only its hash.

    shared: others use this device too, so the session is short. passkey_id: the passkey that verified the person.
    Errors: UnknownAccount, AccountClosed.
    """
    policy = policy or own_people_policy()
    get_account(tx, account_id)
    if closed_at(tx, account_id) is not None:
        raise AccountClosed
    secret = new_secret()
    session = Session(
        session_id=SessionId(new_id()),
        account_id=account_id,
        method=method,
        started_at=at,
        authenticated_at=at,
        verified_at=at if method == "passkey" else None,
        last_seen_at=at,
        expires_at=at + policy.absolute(shared=shared),
        idle_s=policy.idle_s(shared=shared),
        shared=shared,
        device=device_words(user_agent),
        phone_id=None,
        passkey_id=passkey_id,
    )
    store.start_session(tx, hash_secret(secret), session, sessions_max=policy.sessions_max)
    if method != "demo":
        add_security_event(tx, account_id, "signed_in", at=at, about=method, device=session.device)
    return secret


def find_signed_in(
    tx: Tx, secret: str, at: datetime, *, policy: PeoplePolicy | None = None
) -> tuple[Session, Account] | None:
    """The session of this secret and its person at that instant; None when it is unknown, ended, unused or expired.

    That it was used is written, at most once in ``policy.seen_s``.
    """
    if not secret:
        return None
    found = store.find_signed_in(tx, hash_secret(secret), at)
    if found is not None:
        policy = policy or own_people_policy()
        if at - found[0].last_seen_at >= timedelta(seconds=policy.seen_s):
            store.see_session(tx, hash_secret(secret), at)
    return found


def find_session(tx: Tx, secret: str, at: datetime) -> Session | None:
    """The session of this secret at that instant; None when it is unknown, ended, unused or expired."""
    found = find_signed_in(tx, secret, at)
    return None if found is None else found[0]


def session_of(tx: Tx, secret: str, at: datetime) -> Account | None:
    """Whose session this secret is at that instant; None when it is unknown, ended, unused or expired."""
    found = find_signed_in(tx, secret, at)
    return None if found is None else found[1]


def verify_session(tx: Tx, secret: str, account_id: AccountId, passkey_id: PasskeyId, at: datetime) -> str:
    """The person proved anew in this session who they are: its new secret. The old one is good no more.

    Errors: UnknownSession when it is not this account's.
    """
    fresh = new_secret()
    if not store.verify_session(tx, hash_secret(secret), hash_secret(fresh), account_id, passkey_id, at):
        raise UnknownSession
    return fresh


def refuse_stale(session: Session, at: datetime, *, has_passkey: bool, policy: PeoplePolicy) -> None:
    """Refuse a change of how an account is entered unless its person proved just before who they are.

    has_passkey: whether the account has one; without, a fresh sign-in will do. Errors: VerifyAnew.
    """
    proved_at = session.verified_at if has_passkey else session.authenticated_at
    if proved_at is None or not at - policy.fresh <= proved_at <= at:
        raise VerifyAnew


def list_sessions(tx: Tx, account_id: AccountId, at: datetime) -> list[Session]:
    """The sessions of this account that are open, the one used last first."""
    return store.list_sessions(tx, account_id, at)


def end_session(tx: Tx, secret: str) -> None:
    """Sign out. Ending a session again, or one that never was, is harmless."""
    store.end_session(tx, hash_secret(secret))


def end_session_by_id(
    tx: Tx, account_id: AccountId, session_id: UUID, *, at: datetime, device: str = ""
) -> None:
    """Sign out elsewhere. device: where its person says so. Errors: UnknownSession, also for another account's."""
    known = {one.session_id: one for one in store.list_sessions(tx, account_id, at)}
    ended = store.end_sessions(tx, account_id, [session_id])
    if not ended:
        raise UnknownSession
    about = known[SessionId(session_id)].device if session_id in known else ""
    add_security_event(tx, account_id, "session_ended", at=at, about=about, device=device)


def end_other_sessions(
    tx: Tx, account_id: AccountId, keep: SessionId | None, *, at: datetime, device: str = ""
) -> int:
    """Sign out everywhere but here, or everywhere; how many sessions ended."""
    ended = store.end_others(tx, account_id, keep)
    if ended:
        add_security_event(tx, account_id, "sessions_ended", at=at, about=str(ended), device=device)
    return ended
