"""What can be done by those who lost all their passkeys: come back by a code, or by a proof, after a time to object.

A code found on paper must not be an account: coming back waits, everybody who is signed in is told, and any passkey
that still works says no. After it nobody is signed in who was before, and limits are lowered for a while. No message to
a phone number opens anything.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from hansa import audit
from hansa.identity import passkeys, proofing_store, sessions
from hansa.identity import recovery_store as store
from hansa.identity.actions import get_account
from hansa.identity.ceremony import RelyingParty
from hansa.identity.model import AccountId, UnknownAccount, hash_secret
from hansa.identity.passkey_model import Passkey
from hansa.identity.people_policy import PeoplePolicy, own_people_policy
from hansa.identity.persons import is_closed
from hansa.identity.persons_model import ProofLevel
from hansa.identity.phone_model import AccountBlocked
from hansa.identity.phone_store import lock_account
from hansa.identity.phones import standing_of
from hansa.identity.recovery_model import (
    SECRET_LETTERS,
    SELECTOR_LETTERS,
    CodeRefused,
    Recovery,
    RecoveryId,
    RecoveryNotReady,
    RecoveryOpen,
    RecoveryProof,
    UnknownRecovery,
    new_letters,
    read_code,
    write_code,
)
from hansa.identity.security_events import add_security_event
from hansa.kernel import InvalidInput, Problem, new_id
from hansa.store import Tx

NAME_SAID_MAX = 200

# -- codes --------------------------------------------------------------------------------------------------


def make_codes(
    tx: Tx, account_id: AccountId, *, at: datetime, device: str = "", policy: PeoplePolicy | None = None
) -> list[str]:
    """New recovery codes, to be shown once; those of before end. Each has 20 letters, in groups of five.

    Errors: UnknownAccount.
    """
    policy = policy or own_people_policy()
    get_account(tx, account_id)
    lock_account(tx, account_id)
    made = [(new_letters(SELECTOR_LETTERS), new_letters(SECRET_LETTERS)) for _ in range(policy.codes)]
    store.end_codes(tx, account_id, at)
    store.add_codes(
        tx, account_id, [selector for selector, _ in made], [_hasher().hash(secret) for _, secret in made], at
    )
    add_security_event(tx, account_id, "codes_made", at=at, about=str(len(made)), device=device)
    return [write_code(selector + secret) for selector, secret in made]


def codes_left(tx: Tx, account_id: AccountId) -> int:
    """How many recovery codes of this account are good."""
    return store.codes_left(tx, account_id)


# -- asking -------------------------------------------------------------------------------------------------


def ask_by_code(
    tx: Tx,
    text: str,
    *,
    secret: str,
    at: datetime,
    device: str = "",
    policy: PeoplePolicy | None = None,
) -> Recovery:
    """Begin to come back by a recovery code; with one that is open already, go on with it in this browser.

    secret: of the browser, which alone may go on. The code is used up by it, but for going on with the same request.
    Errors: CodeRefused, the same for every reason; AccountBlocked.
    """
    policy = policy or own_people_policy()
    parts = read_code(text)
    code = None if parts is None else store.lock_code(tx, parts[0])
    # A code that is not there costs as long as one that is wrong.
    good = _fits(_nobodys_hash() if code is None else code.code_hash, parts[1] if parts else "")
    if parts is None or code is None or not good or code.ended_at is not None:
        raise CodeRefused
    lock_account(tx, code.account_id)
    if standing_of(tx, code.account_id).level == "blocked":
        raise AccountBlocked
    known = _open(tx, code.account_id, at)
    if code.used_at is not None and (known is None or known.asked_at != code.used_at):
        raise CodeRefused
    store.use_code(tx, parts[0], at if known is None else known.asked_at)
    if known is not None:
        # Another code than the one that asked waits anew: whoever found it gains no time by the owner's wait.
        ready_at = known.ready_at
        if code.used_at is None or ready_at is None:
            ready_at = max(ready_at or at, at + timedelta(seconds=policy.code_wait_s))
        closes_at = max(known.closes_at, ready_at + timedelta(seconds=policy.recovery_open_s))
        store.move_recovery(
            tx,
            known.recovery_id,
            hash_secret(secret),
            device=device,
            ready_at=ready_at,
            closes_at=closes_at,
        )
        return replace(known, device=device, ready_at=ready_at, closes_at=closes_at)
    recovery = Recovery(
        recovery_id=RecoveryId(new_id()),
        reference=new_letters(8),
        proof="code",
        account_id=code.account_id,
        said_name="",
        said_issuer_id="",
        device=device,
        asked_at=at,
        approved_at=None,
        approved_by=None,
        ready_at=at + timedelta(seconds=policy.code_wait_s),
        closes_at=at + timedelta(seconds=policy.code_wait_s + policy.recovery_open_s),
        canceled_at=None,
        finished_at=None,
    )
    store.add_recovery(tx, recovery, hash_secret(secret))
    add_security_event(tx, code.account_id, "recovery_asked", at=at, about="code", device=device)
    return recovery


def ask_at_desk(
    tx: Tx,
    *,
    name: str,
    issuer_id: str,
    secret: str,
    at: datetime,
    device: str = "",
    policy: PeoplePolicy | None = None,
) -> Recovery:
    """Begin to come back by a proof: who they say they are, and a reference to say at the issuer's desk.

    Nothing is looked up by it, so it tells nobody whether there is such an account. Errors: InvalidInput.
    """
    policy = policy or own_people_policy()
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_SAID_MAX or "\0" in name:
        problem = Problem("name", f"it has {len(name)} characters", "Give the name on your document")
        raise InvalidInput("A desk needs a name to look for.", problems=(problem,))
    recovery = Recovery(
        recovery_id=RecoveryId(new_id()),
        reference=new_letters(8),
        proof="desk",
        account_id=None,
        said_name=name,
        said_issuer_id=issuer_id,
        device=device,
        asked_at=at,
        approved_at=None,
        approved_by=None,
        ready_at=None,
        closes_at=at + timedelta(seconds=policy.recovery_open_s),
        canceled_at=None,
        finished_at=None,
    )
    store.add_recovery(tx, recovery, hash_secret(secret))
    return recovery


def approve_by_document(
    tx: Tx, recovery_id: UUID, *, at: datetime, policy: PeoplePolicy | None = None
) -> Recovery | None:
    """Let whoever asked come back once a provider said that their document is the account's person's.

    The check of the document has the request's id; it is of an account that the same document had proved before. None
    where there is no such check, it did not match the document itself, or the account may not be come back to.
    """
    check = proofing_store.find(tx, recovery_id)
    if check is None or check.state != "matched" or check.level < ProofLevel.DOCUMENT:
        return None
    reason = (
        "A provider said that the name and the document belong together; the account had been proved by it."
    )
    try:
        with tx.transaction():
            return approve_recovery(
                tx,
                recovery_id,
                check.account_id,
                proof="document",
                by=f"provider:{check.provider}",
                reason=reason,
                at=at,
                policy=policy,
            )
    except (UnknownRecovery, UnknownAccount, RecoveryNotReady, RecoveryOpen, AccountBlocked):
        return None


def approve_recovery(
    tx: Tx,
    recovery_id: UUID,
    account_id: AccountId,
    *,
    proof: RecoveryProof,
    by: str,
    reason: str,
    at: datetime,
    policy: PeoplePolicy | None = None,
) -> Recovery:
    """A desk or a provider has looked at the person's document: whose account it is, and that they may come back.

    by: who looked. reason: what they saw, 1 to 500 characters, kept in the audit. The wait begins now: a desk's is
    short, for it saw the person; a provider saw a document that may be in other hands, so one waits as by a code.
    Errors: UnknownRecovery, UnknownAccount, RecoveryNotReady when it is over or is another account's; RecoveryOpen;
    InvalidInput without a reason; AccountBlocked.
    """
    assert proof != "code", "a code needs nobody's approval"
    policy = policy or own_people_policy()
    if not 1 <= len(reason.strip()) <= 500:
        problem = Problem(
            "reason", f"it has {len(reason.strip())} characters", "Say what you saw, in 1 to 500"
        )
        raise InvalidInput("Say what the person showed.", problems=(problem,))
    recovery = store.lock_recovery(tx, recovery_id)
    if recovery is None:
        raise UnknownRecovery
    if recovery.state(at) not in ("asked", "waiting") or recovery.account_id not in (None, account_id):
        raise RecoveryNotReady
    account = get_account(tx, account_id)
    lock_account(tx, account_id)
    if is_closed(tx, account_id):
        raise UnknownAccount(f"Account {account_id} was deleted.")
    if standing_of(tx, account_id).level == "blocked":
        raise AccountBlocked
    _open(tx, account_id, at)
    ready_at = at + timedelta(seconds=policy.proofed_wait_s if proof == "desk" else policy.code_wait_s)
    store.approve_recovery(
        tx,
        recovery.recovery_id,
        account_id,
        proof=proof,
        by=by,
        at=at,
        ready_at=ready_at,
        closes_at=max(ready_at, recovery.ready_at or ready_at) + timedelta(seconds=policy.recovery_open_s),
    )
    add_security_event(tx, account_id, "recovery_approved", at=at, about=proof, device=recovery.device)
    audit.record(
        tx,
        audit.Act(
            actor=by,
            action="recovery.approve",
            subject=f"account:{account_id}",
            reason=reason.strip(),
            details={"recovery_id": str(recovery_id), "proof": proof, "issuer_id": account.issuer_id},
        ),
        at,
    )
    approved = store.lock_recovery(tx, recovery_id)
    assert approved is not None
    return approved


# -- the wait, and its end ----------------------------------------------------------------------------------


def find_recovery(tx: Tx, secret: str) -> Recovery | None:
    """The request that this browser made; None when it made none."""
    return store.find_recovery(tx, hash_secret(secret)) if secret else None


def find_open_recovery(tx: Tx, account_id: AccountId, at: datetime) -> Recovery | None:
    """Somebody's request to come back to this account, for whoever is signed in to see."""
    recovery = store.find_open_recovery(tx, account_id)
    return None if recovery is None or recovery.state(at) == "closed" else recovery


def list_recoveries(tx: Tx, account_id: AccountId) -> list[Recovery]:
    """Every time that somebody asked to come back to this account, the first one first."""
    return store.list_recoveries(tx, account_id)


def list_recoveries_for_desk(
    tx: Tx, *, issuer_id: str = "", at: datetime, limit: int = 100
) -> list[Recovery]:
    """Requests that wait for a desk, of one issuer or of all, the oldest first."""
    return store.list_for_desk(tx, issuer_id, at, limit)


def cancel_recovery(tx: Tx, account_id: AccountId, *, at: datetime, device: str = "") -> None:
    """Whoever holds a passkey says no: nobody comes back by this request. Errors: UnknownRecovery."""
    lock_account(tx, account_id)
    recovery = _open(tx, account_id, at)
    if recovery is None:
        raise UnknownRecovery
    store.cancel_recovery(tx, recovery.recovery_id, at)
    add_security_event(tx, account_id, "recovery_canceled", at=at, about=recovery.proof, device=device)


def begin_recovered_passkey(tx: Tx, secret: str, *, rp: RelyingParty, at: datetime) -> str:
    """What to ask this browser for the passkey that the person comes back with. Errors: RecoveryNotReady."""
    recovery = _ready(tx, secret, at)
    account = get_account(tx, recovery[1])
    return passkeys.begin_registration(
        tx, account.account_id, person=account.name, rp=rp, purpose="recover", owner=secret, at=at
    )


def finish_recovery(
    tx: Tx,
    credential: str,
    *,
    rp: RelyingParty,
    secret: str,
    name: str,
    at: datetime,
    device: str = "",
    policy: PeoplePolicy | None = None,
) -> Passkey:
    """Come back: the new passkey is the only one; every session and code of before is over.

    Ending the phones of before is the caller's, in the same transaction. Errors: RecoveryNotReady, and as
    ``finish_registration``.
    """
    recovery, account_id = _ready(tx, secret, at)
    lock_account(tx, account_id)
    old = passkeys.list_passkeys(tx, account_id)
    passkeys.end_passkeys(tx, account_id, old, at=at, reason="recovery", device=device)
    passkey = passkeys.finish_registration(
        tx,
        credential,
        rp=rp,
        purpose="recover",
        owner=secret,
        name=name,
        at=at,
        device=device,
        policy=policy,
    )
    if passkey.account_id != account_id:
        raise RecoveryNotReady
    sessions.end_other_sessions(tx, account_id, None, at=at, device=device)
    store.end_codes(tx, account_id, at)
    store.finish_recovery(tx, recovery.recovery_id, at)
    add_security_event(tx, account_id, "recovered", at=at, about=recovery.proof, device=device)
    return passkey


def recovered_at(tx: Tx, account_id: AccountId) -> datetime | None:
    """When this person last came back without a passkey; None when they never did."""
    return store.recovered_at(tx, account_id)


def lowered_until(
    tx: Tx, account_id: AccountId, at: datetime, *, policy: PeoplePolicy | None = None
) -> datetime | None:
    """Until when limits are lowered because the person came back without a passkey; None when they are not."""
    back = store.recovered_at(tx, account_id)
    until = None if back is None else back + (policy or own_people_policy()).lowered
    return until if until is not None and at < until else None


def _ready(tx: Tx, secret: str, at: datetime) -> tuple[Recovery, AccountId]:
    found = find_recovery(tx, secret)
    recovery = None if found is None else store.lock_recovery(tx, found.recovery_id)
    if recovery is None or recovery.state(at) != "ready" or recovery.account_id is None:
        raise RecoveryNotReady
    if standing_of(tx, recovery.account_id).level == "blocked":
        raise AccountBlocked
    return recovery, recovery.account_id


def _open(tx: Tx, account_id: AccountId, at: datetime) -> Recovery | None:
    """The account's open request; one whose time has passed is closed by it."""
    recovery = store.lock_open_recovery(tx, account_id)
    if recovery is not None and recovery.state(at) == "closed":
        store.cancel_recovery(tx, recovery.recovery_id, at)
        return None
    return recovery


@cache
def _hasher() -> PasswordHasher:
    """Argon2id (RFC 9106) with 19 MiB and two passes: the least that OWASP names for passwords. These are 60 bits."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(new_letters(SECRET_LETTERS))


def _fits(code_hash: str, secret: str) -> bool:
    try:
        return _hasher().verify(code_hash, secret)
    except VerifyMismatchError:
        return False
