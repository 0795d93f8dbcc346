"""What can be done with staff: invite, register, sign in, confirm, change, end; and what needs two of them.

Every change is kept in the audit record, in its own transaction. The ceremony of a passkey (whether a browser's answer
is good) is checked by whoever calls, with ``identity.ceremony``; here stands whose passkey it is and what it opens.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from hansa import audit
from hansa.audit import Act
from hansa.kernel import InvalidInput, Problem, new_id
from hansa.store import Tx
from hansa.trust import staff_store as store
from hansa.trust.actions import get_member
from hansa.trust.model import MemberId
from hansa.trust.staff_model import (
    AGENT_MAX,
    REASON_MAX,
    Decision,
    HandleTaken,
    InvitationRefused,
    LastOne,
    NewPasskey,
    PasskeyKnown,
    Proposal,
    Purpose,
    ReasonNeeded,
    RightMissing,
    SecondPersonNeeded,
    Staff,
    StaffChallengeRefused,
    StaffPasskey,
    StaffPolicy,
    StaffSession,
    StaffSignInRefused,
    UnknownProposal,
    UnknownStaff,
    check_person,
    own_staff_policy,
)

CODE_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Of which invitations are made: no two of them are mistaken for each other. 26 of 31 letters are 128 bits."""

CODE_LENGTH = 26


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is at the console, in which sign-in, and what they may do."""

    staff: Staff
    session: StaffSession
    rights: frozenset[str]

    def require(self, right: str) -> None:
        """Go on only with this right. Errors: RightMissing."""
        if right not in self.rights:
            raise RightMissing(f"None of your roles ({', '.join(self.staff.roles)}) has the right “{right}”.")


# -- persons ----------------------------------------------------------------------------------------------------


def invite_staff(
    tx: Tx,
    handle: str,
    *,
    name: str,
    roles: tuple[str, ...],
    by: str,
    at: datetime,
    reason: str,
    member_id: MemberId | None = None,
    policy: StaffPolicy | None = None,
) -> str:
    """Take a person in; gives the code with which they register a passkey, shown this once.

    member_id: whose staff they are; None for the league's.
    Errors: InvalidInput, HandleTaken, UnknownMember, ReasonNeeded.
    """
    policy = policy or own_staff_policy()
    check_person(handle, name, roles, policy)
    _check_reason(reason)
    if member_id is not None:
        get_member(tx, member_id)
    one = Staff(new_id(), handle, name.strip(), member_id, roles, secrets.token_bytes(32), at, by)
    if not store.add_staff(tx, one):
        raise HandleTaken
    _keep(tx, "staff.invite", one, by, at, reason, roles=list(roles), member=member_id or "")
    return _invitation(tx, one, at, policy)


def invite_again(
    tx: Tx, handle: str, *, by: str, at: datetime, reason: str, policy: StaffPolicy | None = None
) -> str:
    """A new code for a person who lost their passkeys, or comes back: what they had opens nothing from now on.

    Errors: UnknownStaff, ReasonNeeded; SecondPersonNeeded for oneself.
    """
    policy = policy or own_staff_policy()
    _check_reason(reason)
    one = get_staff(tx, handle, lock=True)
    _not_oneself(one, by)
    removed = store.remove_passkeys(tx, one.staff_id, at)
    ended = store.end_sessions(tx, one.staff_id, at)
    store.bring_back(tx, one.staff_id)
    _keep(tx, "staff.invite-again", one, by, at, reason, passkeys=removed, sessions=ended)
    return _invitation(tx, one, at, policy)


def set_roles(
    tx: Tx,
    handle: str,
    roles: tuple[str, ...],
    *,
    by: str,
    at: datetime,
    reason: str,
    policy: StaffPolicy | None = None,
) -> None:
    """Give a person these roles and no others.

    Errors: UnknownStaff, InvalidInput, ReasonNeeded, LastOne; SecondPersonNeeded for one's own roles.
    """
    store.lock_admins(tx)
    one = get_staff(tx, handle, lock=True)
    check_person(one.handle, one.name, roles, policy or own_staff_policy())
    _check_reason(reason)
    _not_oneself(one, by)
    if "admin" in one.roles and "admin" not in roles:
        _another_admin_stays(tx, one)
    store.set_roles(tx, one.staff_id, roles)
    _keep(tx, "staff.set-roles", one, by, at, reason, before=list(one.roles), after=list(roles))


def end_staff(tx: Tx, handle: str, *, by: str, at: datetime, reason: str) -> None:
    """The person works here no more: all their passkeys and sign-ins end at once. Doing it again changes nothing.

    Errors: UnknownStaff, ReasonNeeded, LastOne; SecondPersonNeeded for oneself.
    """
    _check_reason(reason)
    store.lock_admins(tx)
    one = get_staff(tx, handle, lock=True)
    _not_oneself(one, by)
    if one.ended_at is not None:
        return
    if "admin" in one.roles:
        _another_admin_stays(tx, one)
    store.end_staff(tx, one.staff_id, at)
    removed = store.remove_passkeys(tx, one.staff_id, at)
    ended = store.end_sessions(tx, one.staff_id, at)
    _keep(tx, "staff.end", one, by, at, reason, passkeys=removed, sessions=ended)


def get_staff(tx: Tx, handle: str, *, lock: bool = False) -> Staff:
    """The person of this handle. Errors: UnknownStaff."""
    found = store.find_staff(tx, handle, lock=lock)
    if found is None:
        raise UnknownStaff
    return found


# -- passkeys ---------------------------------------------------------------------------------------------------


def find_invited(tx: Tx, code: str, at: datetime) -> Staff:
    """Whom an invitation is for. Errors: InvitationRefused."""
    found = store.find_invited(tx, _code_hash(code), at)
    if found is None:
        raise InvitationRefused
    return found


def give_challenge(
    tx: Tx,
    challenge: bytes,
    purpose: Purpose,
    *,
    bound_to: str,
    at: datetime,
    staff_id: UUID | None = None,
    policy: StaffPolicy | None = None,
) -> None:
    """Keep a challenge that a browser is about to be given. bound_to: what only this browser has, a cookie's secret."""
    policy = policy or own_staff_policy()
    store.forget_challenges(tx, at)
    ends = at + timedelta(seconds=policy.passkeys.challenge_s)
    store.add_challenge(tx, sha256(challenge).digest(), purpose, _hash(bound_to), staff_id, ends)


def take_challenge(tx: Tx, challenge: bytes, purpose: Purpose, *, bound_to: str, at: datetime) -> UUID | None:
    """Take back a challenge that was answered; whose it was, if it was somebody's. It is good once.

    Errors: StaffChallengeRefused.
    """
    found = store.take_challenge(tx, sha256(challenge).digest())
    if found is None:
        raise StaffChallengeRefused
    was_for, bound, staff_id, expires_at = found
    if was_for != purpose or at >= expires_at or not hmac.compare_digest(bound, _hash(bound_to)):
        raise StaffChallengeRefused
    return staff_id


def register_by_code(tx: Tx, code: str, new: NewPasskey, *, name: str, at: datetime) -> Staff:
    """Register a person's first passkey; the invitation is used up. Errors: InvitationRefused, PasskeyKnown."""
    one = find_invited(tx, code, at)
    if not store.use_invitation(tx, _code_hash(code), at):
        raise InvitationRefused
    _add_passkey(tx, one, new, name, at)
    return one


def add_passkey(tx: Tx, who: SignedIn, new: NewPasskey, *, name: str, at: datetime) -> None:
    """Register a further passkey of one's own. Errors: PasskeyKnown, InvalidInput for too many."""
    policy = own_staff_policy()
    if len(store.list_passkeys(tx, who.staff.staff_id)) >= policy.passkeys.passkeys_max:
        told = f"there are {policy.passkeys.passkeys_max}"
        raise InvalidInput(
            "That is too many passkeys.", problems=(Problem("passkey", told, "Remove one first"),)
        )
    _add_passkey(tx, who.staff, new, name, at)


def remove_passkey(tx: Tx, who: SignedIn, credential_id: bytes, *, at: datetime) -> None:
    """Take away one passkey of one's own, and the sign-ins made with it. Errors: LastOne, UnknownStaff."""
    get_staff(tx, who.staff.handle, lock=True)
    mine = [one.credential_id for one in store.list_passkeys(tx, who.staff.staff_id)]
    if credential_id not in mine:
        return
    if len(mine) == 1:
        raise LastOne
    store.remove_passkeys(tx, who.staff.staff_id, at, credential_id)
    store.end_sessions(tx, who.staff.staff_id, at, credential_id=credential_id)
    _keep(tx, "staff.remove-passkey", who.staff, who.staff.who, at, "", passkey=_short(credential_id))


def get_passkey(tx: Tx, credential_id: bytes) -> tuple[Staff, StaffPasskey]:
    """A passkey and its person, who still works here. Errors: StaffSignInRefused."""
    passkey = store.find_passkey(tx, credential_id)
    one = None if passkey is None else store.find_staff_by_id(tx, passkey.staff_id)
    if passkey is None or one is None or one.ended_at is not None:
        raise StaffSignInRefused
    return one, passkey


# -- sign-ins ---------------------------------------------------------------------------------------------------


def sign_in(
    tx: Tx, one: Staff, passkey: StaffPasskey, *, sign_count: int, backed_up: bool, agent: str, at: datetime
) -> str:
    """Begin a sign-in of a person whose passkey was just checked; gives its secret, which is kept nowhere."""
    store.use_passkey(tx, passkey.credential_id, sign_count, backed_up, at)
    secret = secrets.token_urlsafe(32)
    session = StaffSession(
        new_id(), one.staff_id, passkey.credential_id, at, at, at, _printable(agent)[:AGENT_MAX]
    )
    store.add_session(tx, session, _hash(secret))
    _keep(tx, "staff.sign-in", one, one.who, at, "", passkey=_short(passkey.credential_id))
    return secret


def step_up(
    tx: Tx, who: SignedIn, passkey: StaffPasskey, *, sign_count: int, backed_up: bool, at: datetime
) -> str:
    """Keep that the person was there just now; the sign-in goes on under another secret, which is given.

    Errors: StaffSignInRefused for somebody else's passkey, or a sign-in that ended.
    """
    if passkey.staff_id != who.staff.staff_id:
        raise StaffSignInRefused
    store.use_passkey(tx, passkey.credential_id, sign_count, backed_up, at)
    secret = secrets.token_urlsafe(32)
    if not store.verify_session(tx, who.session.session_id, _hash(secret), passkey.credential_id, at):
        raise StaffSignInRefused
    _keep(tx, "staff.confirm", who.staff, who.staff.who, at, "", passkey=_short(passkey.credential_id))
    return secret


def find_signed_in(
    tx: Tx, secret: str, at: datetime, *, touch: bool = True, policy: StaffPolicy | None = None
) -> SignedIn | None:
    """Who is at the console with this secret; None when nobody is, was idle for too long, or works here no more.

    touch: whether this counts as use. A part of a page that renews itself does not, or nobody would ever be idle.
    """
    policy = policy or own_staff_policy()
    session = store.find_session(tx, _hash(secret))
    if session is None or at < session.started_at:
        return None
    sessions = policy.sessions
    is_idle = at - session.seen_at > timedelta(seconds=sessions.idle_s)
    if is_idle or at - session.started_at > timedelta(seconds=sessions.lasts_s):
        # Ended by its row too, so that no clock that is set back brings it to life.
        store.end_sessions(tx, session.staff_id, at, session_id=session.session_id)
        return None
    one = store.find_staff_by_id(tx, session.staff_id)
    if one is None or one.ended_at is not None:
        return None
    if touch and at - session.seen_at >= timedelta(seconds=sessions.seen_s):
        store.see_session(tx, session.session_id, at)
    return SignedIn(one, session, policy.rights_of(one.roles))


def list_staff_sessions(tx: Tx, one: Staff, at: datetime) -> list[StaffSession]:
    """A person's sign-ins that are alive."""
    sessions = own_staff_policy().sessions
    return store.list_sessions(
        tx,
        one.staff_id,
        started_after=at - timedelta(seconds=sessions.lasts_s),
        seen_after=at - timedelta(seconds=sessions.idle_s),
    )


def sign_out(tx: Tx, who: SignedIn, at: datetime, *, everywhere: bool = False) -> int:
    """End this sign-in, or all of the person's; gives how many."""
    ended = store.end_sessions(
        tx, who.staff.staff_id, at, session_id=None if everywhere else who.session.session_id
    )
    _keep(tx, "staff.sign-out", who.staff, who.staff.who, at, "", sessions=ended)
    return ended


# -- what needs two ---------------------------------------------------------------------------------------------


def propose(
    tx: Tx, path: str, fields: dict[str, str], *, who: SignedIn, needed: str, reason: str, at: datetime
) -> Proposal:
    """Keep a form that needs a second person. Errors: ReasonNeeded."""
    _check_reason(reason)
    ends = at + timedelta(seconds=own_staff_policy().proposals.lasts_s)
    one = Proposal(
        new_id(), path, fields, who.staff.member_id, needed, reason.strip(), who.staff.who, at, ends
    )
    store.add_proposal(tx, one)
    audit.record(
        tx, Act(one.made_by, "proposal.make", f"proposal:{one.proposal_id}", one.reason, {"path": path}), at
    )
    return one


def get_proposal(tx: Tx, proposal_id: UUID, who: SignedIn, at: datetime) -> Proposal:
    """A proposal that waits, for whoever may see it. Errors: UnknownProposal."""
    found = store.find_proposal(tx, proposal_id)
    if (
        found is None
        or found.decision is not None
        or at >= found.expires_at
        or found.member_id != who.staff.member_id
    ):
        raise UnknownProposal
    return found


def decide_proposal(
    tx: Tx, proposal_id: UUID, decision: Decision, *, who: SignedIn, at: datetime
) -> Proposal:
    """Confirm or refuse what another person proposed. Refusing one's own takes it back.

    Errors: UnknownProposal, RightMissing; SecondPersonNeeded for confirming one's own.
    """
    found = get_proposal(tx, proposal_id, who, at)
    who.require(found.needed)
    if found.made_by == who.staff.who:
        if decision == "confirmed":
            raise SecondPersonNeeded
        store.decide_proposal(tx, proposal_id, decision, f"{who.staff.who} (taken back)", at)
    elif not store.decide_proposal(tx, proposal_id, decision, who.staff.who, at):
        raise UnknownProposal
    told = {"path": found.path, "made_by": found.made_by}
    act = "proposal.confirm" if decision == "confirmed" else "proposal.refuse"
    audit.record(tx, Act(who.staff.who, act, f"proposal:{proposal_id}", found.reason, told), at)
    return found


def _invitation(tx: Tx, one: Staff, at: datetime, policy: StaffPolicy) -> str:
    code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    ends = at + timedelta(seconds=policy.passkeys.invitation_s)
    store.add_invitation(tx, _code_hash(code), one.staff_id, at, ends)
    return code


def _add_passkey(tx: Tx, one: Staff, new: NewPasskey, name: str, at: datetime) -> None:
    told = _printable(name).strip()[:80] or "Passkey"
    passkey = StaffPasskey(
        new.credential_id,
        one.staff_id,
        new.public_key,
        new.sign_count,
        told,
        new.transports,
        new.backed_up,
        at,
        None,
    )
    if not store.add_passkey(tx, passkey):
        raise PasskeyKnown
    _keep(tx, "staff.add-passkey", one, one.who, at, "", passkey=_short(new.credential_id))


def _another_admin_stays(tx: Tx, one: Staff) -> None:
    if one.member_id is None and not store.count_other_admins(tx, one.staff_id):
        raise LastOne


def _not_oneself(one: Staff, by: str) -> None:
    if one.who == by:
        raise SecondPersonNeeded(
            "Nobody changes their own roles, or takes themselves out: ask another admin."
        )


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > REASON_MAX:
        raise ReasonNeeded


def _keep(tx: Tx, action: str, one: Staff, by: str, at: datetime, reason: str, **details: object) -> None:
    audit.record(tx, Act(by, action, one.who, reason.strip(), details, one.member_id or audit.LEAGUE), at)


def _code_hash(code: str) -> bytes:
    return _hash("".join(code.lower().replace("-", "").split()))


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _short(credential_id: bytes) -> str:
    return sha256(credential_id).hexdigest()[:16]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
