"""The SQL of staff."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from hansa.store import Tx
from hansa.trust.model import MemberId
from hansa.trust.staff_model import Decision, Proposal, Purpose, Staff, StaffPasskey, StaffSession

ADD_STAFF = """
insert into trust.staff (staff_id, handle, name, member_id, roles, user_handle, made_at, made_by)
values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (handle) do nothing
"""

STAFF = "select staff_id, handle, name, member_id, roles, user_handle, made_at, made_by, ended_at from trust.staff"
STAFF_BY_HANDLE = f"{STAFF} where handle = %s"
STAFF_BY_ID = f"{STAFF} where staff_id = %s"
STAFF_LOCKED = f"{STAFF} where handle = %s for no key update"
ALL_STAFF = f"""
{STAFF} where %(member_id)s::text is null or member_id = %(member_id)s order by ended_at nulls first, handle
"""

# Whoever takes away an admin's role or ends one holds this: two at once cannot leave the league without any.
LOCK_ADMINS = "select from trust.staff where 'admin' = any(roles) order by staff_id for no key update"

COUNT_ADMINS = """
select count(*) from trust.staff
where member_id is null and ended_at is null and 'admin' = any(roles) and staff_id <> %s
"""

SET_ROLES = "update trust.staff set roles = %s where staff_id = %s"
END_STAFF = "update trust.staff set ended_at = %s where staff_id = %s and ended_at is null"
BRING_BACK = "update trust.staff set ended_at = null where staff_id = %s"

ADD_INVITATION = """
insert into trust.staff_invitations (code_hash, staff_id, made_at, expires_at) values (%s, %s, %s, %s)
"""

END_INVITATIONS = """
update trust.staff_invitations set expires_at = %(at)s
where staff_id = %(staff_id)s and used_at is null and expires_at > %(at)s
"""

INVITED = """
select s.staff_id, handle, name, member_id, roles, user_handle, s.made_at, made_by, ended_at
from trust.staff_invitations i join trust.staff s using (staff_id)
where i.code_hash = %s and i.used_at is null and i.expires_at > %s and s.ended_at is null
"""

USE_INVITATION = """
update trust.staff_invitations set used_at = %(at)s
where code_hash = %(code_hash)s and used_at is null and expires_at > %(at)s
"""

OPEN_INVITATIONS = """
select staff_id, max(expires_at) from trust.staff_invitations
where used_at is null and expires_at > %s group by staff_id
"""

ADD_PASSKEY = """
insert into trust.staff_passkeys
    (credential_id, staff_id, public_key, sign_count, name, transports, backed_up, added_at)
values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing
"""

PASSKEYS = """
select credential_id, staff_id, public_key, sign_count, name, transports, backed_up, added_at, used_at
from trust.staff_passkeys where removed_at is null
"""
PASSKEYS_OF = f"{PASSKEYS} and staff_id = %s order by added_at, credential_id"
PASSKEY = f"{PASSKEYS} and credential_id = %s for no key update"

USE_PASSKEY = """
update trust.staff_passkeys set sign_count = %s, backed_up = %s, used_at = %s where credential_id = %s
"""

REMOVE_PASSKEYS = """
update trust.staff_passkeys set removed_at = %(at)s
where staff_id = %(staff_id)s and removed_at is null
  and (credential_id = %(credential_id)s or %(credential_id)s::bytea is null)
"""

ADD_CHALLENGE = """
insert into trust.staff_challenges (challenge_hash, purpose, bound_to, staff_id, expires_at)
values (%s, %s, %s, %s, %s)
"""

TAKE_CHALLENGE = """
delete from trust.staff_challenges where challenge_hash = %s returning purpose, bound_to, staff_id, expires_at
"""

FORGET_CHALLENGES = "delete from trust.staff_challenges where expires_at < %s"

ADD_SESSION = """
insert into trust.staff_sessions
    (session_id, secret_hash, staff_id, credential_id, started_at, seen_at, verified_at, agent)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""

SESSION = """
select session_id, staff_id, credential_id, started_at, seen_at, verified_at, agent from trust.staff_sessions
"""
SESSION_BY_SECRET = f"{SESSION} where secret_hash = %s and ended_at is null"
SESSIONS_OF = f"""
{SESSION} where staff_id = %(staff_id)s and ended_at is null
  and started_at > %(started_after)s and seen_at > %(seen_after)s
order by seen_at desc
"""

SEE_SESSION = "update trust.staff_sessions set seen_at = %s where session_id = %s"

VERIFY_SESSION = """
update trust.staff_sessions set secret_hash = %s, verified_at = %s, seen_at = %s, credential_id = %s
where session_id = %s and ended_at is null
"""

END_SESSIONS = """
update trust.staff_sessions set ended_at = %(at)s
where staff_id = %(staff_id)s and ended_at is null
  and (session_id = %(session_id)s or %(session_id)s::uuid is null)
  and (credential_id = %(credential_id)s or %(credential_id)s::bytea is null)
"""

ADD_PROPOSAL = """
insert into trust.staff_proposals
    (proposal_id, path, fields, member_id, needed, reason, made_by, made_at, expires_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""

PROPOSALS = """
select proposal_id, path, fields, member_id, needed, reason, made_by, made_at, expires_at, decision, decided_by,
    decided_at
from trust.staff_proposals
"""
PROPOSAL = f"{PROPOSALS} where proposal_id = %s for no key update"
NEWEST_PROPOSALS = f"{PROPOSALS} order by decision nulls first, made_at desc limit 100"

DECIDE_PROPOSAL = """
update trust.staff_proposals set decision = %s, decided_by = %s, decided_at = %s
where proposal_id = %s and decision is null
"""


def add_staff(tx: Tx, one: Staff) -> bool:
    """Keep a person; gives whether the handle was free."""
    values = (one.staff_id, one.handle, one.name, one.member_id, list(one.roles), one.user_handle)
    return tx.execute(ADD_STAFF, (*values, one.made_at, one.made_by)).rowcount == 1


def find_staff(tx: Tx, handle: str, *, lock: bool = False) -> Staff | None:
    """The person of this handle, whether they still work here or not."""
    return _staff(
        tx.cursor(row_factory=class_row(Staff))
        .execute(STAFF_LOCKED if lock else STAFF_BY_HANDLE, (handle,))
        .fetchone()
    )


def find_staff_by_id(tx: Tx, staff_id: UUID) -> Staff | None:
    """The person of this id."""
    return _staff(tx.cursor(row_factory=class_row(Staff)).execute(STAFF_BY_ID, (staff_id,)).fetchone())


def list_staff(tx: Tx, member_id: MemberId | None = None) -> list[Staff]:
    """Everybody, or all of a member; who left comes last."""
    rows = tx.cursor(row_factory=class_row(Staff)).execute(ALL_STAFF, {"member_id": member_id})
    return [found for row in rows if (found := _staff(row))]


def lock_admins(tx: Tx) -> None:
    """Nobody else changes who is an admin until this transaction ends."""
    tx.execute(LOCK_ADMINS)


def count_other_admins(tx: Tx, staff_id: UUID) -> int:
    """How many admins the league has besides this person."""
    row = tx.execute(COUNT_ADMINS, (staff_id,)).fetchone()
    assert row is not None
    return row[0]


def set_roles(tx: Tx, staff_id: UUID, roles: Sequence[str]) -> None:
    """Give a person these roles and no others."""
    tx.execute(SET_ROLES, (list(roles), staff_id))


def end_staff(tx: Tx, staff_id: UUID, at: datetime) -> bool:
    """The person works here no more; gives whether they did."""
    return tx.execute(END_STAFF, (at, staff_id)).rowcount == 1


def bring_back(tx: Tx, staff_id: UUID) -> None:
    """The person works here again."""
    tx.execute(BRING_BACK, (staff_id,))


def add_invitation(tx: Tx, code_hash: bytes, staff_id: UUID, at: datetime, expires_at: datetime) -> None:
    """Keep an invitation; those before it are good no more."""
    tx.execute(END_INVITATIONS, {"at": at, "staff_id": staff_id})
    tx.execute(ADD_INVITATION, (code_hash, staff_id, at, expires_at))


def find_invited(tx: Tx, code_hash: bytes, at: datetime) -> Staff | None:
    """Whom this invitation is for, if it is good."""
    return _staff(tx.cursor(row_factory=class_row(Staff)).execute(INVITED, (code_hash, at)).fetchone())


def use_invitation(tx: Tx, code_hash: bytes, at: datetime) -> bool:
    """Use an invitation up; gives whether it was good."""
    return tx.execute(USE_INVITATION, {"code_hash": code_hash, "at": at}).rowcount == 1


def open_invitations(tx: Tx, at: datetime) -> dict[UUID, datetime]:
    """Until when whoever was invited and has not come may do so."""
    return {row[0]: row[1] for row in tx.execute(OPEN_INVITATIONS, (at,))}


def add_passkey(tx: Tx, one: StaffPasskey) -> bool:
    """Keep a passkey; gives whether nobody had it."""
    values = (one.credential_id, one.staff_id, one.public_key, one.sign_count, one.name, list(one.transports))
    return tx.execute(ADD_PASSKEY, (*values, one.backed_up, one.added_at)).rowcount == 1


def list_passkeys(tx: Tx, staff_id: UUID) -> list[StaffPasskey]:
    """A person's passkeys, oldest first."""
    rows = tx.cursor(row_factory=class_row(StaffPasskey)).execute(PASSKEYS_OF, (staff_id,))
    return [_passkey(row) for row in rows]


def find_passkey(tx: Tx, credential_id: bytes) -> StaffPasskey | None:
    """The passkey of this id, locked."""
    row = tx.cursor(row_factory=class_row(StaffPasskey)).execute(PASSKEY, (credential_id,)).fetchone()
    return None if row is None else _passkey(row)


def use_passkey(tx: Tx, credential_id: bytes, sign_count: int, backed_up: bool, at: datetime) -> None:
    """Keep that a passkey was used."""
    tx.execute(USE_PASSKEY, (sign_count, backed_up, at, credential_id))


def remove_passkeys(tx: Tx, staff_id: UUID, at: datetime, credential_id: bytes | None = None) -> int:
    """Take away one passkey of a person, or all; gives how many."""
    values = {"staff_id": staff_id, "at": at, "credential_id": credential_id}
    return tx.execute(REMOVE_PASSKEYS, values).rowcount


def add_challenge(
    tx: Tx,
    challenge_hash: bytes,
    purpose: Purpose,
    bound_to: bytes,
    staff_id: UUID | None,
    expires_at: datetime,
) -> None:
    """Keep a challenge that was given."""
    tx.execute(ADD_CHALLENGE, (challenge_hash, purpose, bound_to, staff_id, expires_at))


def take_challenge(tx: Tx, challenge_hash: bytes) -> tuple[Purpose, bytes, UUID | None, datetime] | None:
    """What a challenge was given for; it is gone then."""
    row = tx.execute(TAKE_CHALLENGE, (challenge_hash,)).fetchone()
    return None if row is None else (row[0], bytes(row[1]), row[2], row[3])


def forget_challenges(tx: Tx, at: datetime) -> int:
    """Delete challenges that are too old."""
    return tx.execute(FORGET_CHALLENGES, (at,)).rowcount


def add_session(tx: Tx, one: StaffSession, secret_hash: bytes) -> None:
    """Keep a sign-in."""
    values = (one.session_id, secret_hash, one.staff_id, one.credential_id, one.started_at, one.seen_at)
    tx.execute(ADD_SESSION, (*values, one.verified_at, one.agent))


def find_session(tx: Tx, secret_hash: bytes) -> StaffSession | None:
    """The sign-in with this secret, however old."""
    return (
        tx.cursor(row_factory=class_row(StaffSession)).execute(SESSION_BY_SECRET, (secret_hash,)).fetchone()
    )


def list_sessions(
    tx: Tx, staff_id: UUID, *, started_after: datetime, seen_after: datetime
) -> list[StaffSession]:
    """A person's sign-ins that are alive, the one used last first."""
    values = {"staff_id": staff_id, "started_after": started_after, "seen_after": seen_after}
    return tx.cursor(row_factory=class_row(StaffSession)).execute(SESSIONS_OF, values).fetchall()


def see_session(tx: Tx, session_id: UUID, at: datetime) -> None:
    """Keep that a sign-in was used."""
    tx.execute(SEE_SESSION, (at, session_id))


def verify_session(tx: Tx, session_id: UUID, secret_hash: bytes, credential_id: bytes, at: datetime) -> bool:
    """Give a sign-in another secret because its person was just there."""
    return tx.execute(VERIFY_SESSION, (secret_hash, at, at, credential_id, session_id)).rowcount == 1


def end_sessions(
    tx: Tx,
    staff_id: UUID,
    at: datetime,
    *,
    session_id: UUID | None = None,
    credential_id: bytes | None = None,
) -> int:
    """End one sign-in of a person, those made with one passkey, or all; gives how many."""
    values = {"staff_id": staff_id, "at": at, "session_id": session_id, "credential_id": credential_id}
    return tx.execute(END_SESSIONS, values).rowcount


def add_proposal(tx: Tx, one: Proposal) -> None:
    """Keep what waits for a second person."""
    values = (
        one.proposal_id,
        one.path,
        Jsonb(one.fields),
        one.member_id,
        one.needed,
        one.reason,
        one.made_by,
    )
    tx.execute(ADD_PROPOSAL, (*values, one.made_at, one.expires_at))


def find_proposal(tx: Tx, proposal_id: UUID) -> Proposal | None:
    """The proposal of this id, locked."""
    return tx.cursor(row_factory=class_row(Proposal)).execute(PROPOSAL, (proposal_id,)).fetchone()


def list_proposals(tx: Tx) -> list[Proposal]:
    """The newest hundred, those that wait first."""
    return tx.cursor(row_factory=class_row(Proposal)).execute(NEWEST_PROPOSALS).fetchall()


def decide_proposal(tx: Tx, proposal_id: UUID, decision: Decision, by: str, at: datetime) -> bool:
    """Decide a proposal once; gives whether it was open."""
    return tx.execute(DECIDE_PROPOSAL, (decision, by, at, proposal_id)).rowcount == 1


def _staff(row: Staff | None) -> Staff | None:
    return None if row is None else replace(row, roles=tuple(row.roles))


def _passkey(row: StaffPasskey) -> StaffPasskey:
    return replace(row, transports=tuple(row.transports))
