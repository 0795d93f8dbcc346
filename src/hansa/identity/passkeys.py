"""What can be done with passkeys: make one, use one, name and remove them.

Making and using a passkey takes two steps: a challenge is given, and a browser's answer to it is taken. A challenge is
good once, for five minutes, for one purpose and for the session or browser that asked, and is kept as a hash.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hansa.identity import passkey_store as store
from hansa.identity.ceremony import (
    CeremonyRefused,
    Registered,
    RelyingParty,
    assertion_options,
    check_assertion,
    check_registration,
    evidence_of,
    hash_challenge,
    new_challenge,
    read_assertion,
    read_challenge_of_registration,
    registration_options,
)
from hansa.identity.model import AccountId, UnknownAccount, hash_secret
from hansa.identity.passkey_model import (
    Asserted,
    ChallengeRefused,
    LastPasskey,
    NoPasskey,
    Passkey,
    PasskeyTaken,
    Purpose,
    TooManyPasskeys,
    UnknownPasskey,
)
from hansa.identity.people_policy import PeoplePolicy, own_people_policy
from hansa.identity.phone_model import thing_name
from hansa.identity.phone_store import lock_account
from hansa.identity.recovery_store import codes_left
from hansa.identity.security_events import add_security_event
from hansa.identity.session_model import PasskeyId, Session
from hansa.identity.sessions import end_other_sessions
from hansa.kernel import Problem, new_id
from hansa.store import Tx

# -- making one ---------------------------------------------------------------------------------------------


def begin_registration(
    tx: Tx,
    account_id: AccountId,
    *,
    person: str,
    rp: RelyingParty,
    purpose: Purpose,
    owner: str,
    at: datetime,
    policy: PeoplePolicy | None = None,
) -> str:
    """What to ask a browser for a new passkey, as JSON.

    account_id: of one that joins, the id that it will have. person: their name, for their device to show. owner: the
    session's id or the browser's secret; only it may answer.
    """
    policy = policy or own_people_policy()
    challenge = new_challenge()
    _give(tx, challenge, purpose=purpose, owner=owner, account_id=account_id, at=at, policy=policy)
    mine = [one.credential_id for one in store.list_passkeys(tx, account_id) if one.rp_id == rp.rp_id]
    return registration_options(
        rp, user_handle=account_id.bytes, name=person, challenge=challenge, exclude=mine
    )


def read_registration(
    tx: Tx, credential: str, *, rp: RelyingParty, purpose: Purpose, owner: str, at: datetime
) -> AccountId:
    """Whose account the passkey in this answer is to be for, once all of it was found good. Changes nothing.

    Errors: CeremonyRefused, ChallengeRefused.
    """
    return _read_registration(tx, credential, rp=rp, purpose=purpose, owner=owner, at=at, use=False)[0]


def finish_registration(
    tx: Tx,
    credential: str,
    *,
    rp: RelyingParty,
    purpose: Purpose,
    owner: str,
    name: str,
    at: datetime,
    device: str = "",
    policy: PeoplePolicy | None = None,
) -> Passkey:
    """Keep the passkey in a browser's answer; its account must be open by now.

    name: what its person calls it. device: where it was made, in words. Errors: CeremonyRefused, ChallengeRefused,
    PasskeyTaken, TooManyPasskeys, UnknownAccount, InvalidInput for the name. Nothing is changed then, once the
    caller's transaction rolls back.
    """
    policy = policy or own_people_policy()
    name = thing_name(name, "passkey")
    account_id, made = _read_registration(
        tx, credential, rp=rp, purpose=purpose, owner=owner, at=at, use=True
    )
    if lock_account(tx, account_id) is None:
        raise UnknownAccount(f"No account {account_id} is open here.")
    if len(store.list_passkeys(tx, account_id)) >= policy.passkeys_max:
        raise TooManyPasskeys
    passkey = Passkey(
        passkey_id=PasskeyId(new_id()),
        account_id=account_id,
        rp_id=rp.rp_id,
        credential_id=made.credential_id,
        public_key=made.public_key,
        sign_count=made.sign_count,
        aaguid=made.aaguid,
        transports=list(made.transports),
        backup_eligible=made.backup_eligible,
        backed_up=made.backed_up,
        name=name,
        created_at=at,
        last_used_at=at,
        ended_at=None,
        ended_for=None,
    )
    if not store.add_passkey(tx, passkey):
        raise PasskeyTaken
    add_security_event(tx, account_id, "passkey_added", at=at, about=name, device=device)
    return passkey


# -- using one ----------------------------------------------------------------------------------------------


def begin_assertion(
    tx: Tx,
    *,
    rp: RelyingParty,
    purpose: Purpose,
    owner: str,
    at: datetime,
    account_id: AccountId | None = None,
    challenge: bytes | None = None,
    policy: PeoplePolicy | None = None,
) -> str:
    """What to ask a browser for a passkey it has, as JSON.

    account_id: whose it must be; without, whoever's the person chooses. challenge: 32 octets that stand for something,
    as the hash of a payment (purpose ``bound``); without, new ones. Errors: NoPasskey when that account has none for
    this party; ChallengeRefused when these octets were given to somebody else.
    """
    allow: list[bytes] = []
    if account_id is not None:
        allow = [one.credential_id for one in store.list_passkeys(tx, account_id) if one.rp_id == rp.rp_id]
        if not allow:
            raise NoPasskey
    policy = policy or own_people_policy()
    assert (challenge is None) == (purpose != "bound"), "only what is bound has octets of its own"
    challenge = challenge or new_challenge()
    _give(tx, challenge, purpose=purpose, owner=owner, account_id=account_id, at=at, policy=policy)
    return assertion_options(rp, challenge=challenge, allow=allow)


def finish_assertion(
    tx: Tx,
    credential: str,
    *,
    rp: RelyingParty,
    purpose: Purpose,
    owner: str,
    at: datetime,
    challenge: bytes | None = None,
) -> Asserted:
    """Which passkey a browser's answer is by, once all of it was found good.

    challenge: the octets that it must have signed, where they stand for something. Errors: CeremonyRefused,
    ChallengeRefused, UnknownPasskey, CounterWentBack. A challenge is taken when ``tx`` commits: an answer that was
    refused has proved nothing, and takes none.
    """
    assertion = read_assertion(credential)
    signed = assertion.challenge
    given = store.find_challenge(
        tx, hash_challenge(signed), purpose=purpose, owner_hash=hash_secret(owner), at=at, use=True
    )
    if given is None or (challenge is not None and challenge != signed):
        raise ChallengeRefused
    passkey = store.lock_passkey(tx, assertion.credential_id)
    if passkey is None or passkey.ended_at is not None or passkey.rp_id != rp.rp_id:
        raise UnknownPasskey
    if given.account_id not in (None, passkey.account_id):
        raise UnknownPasskey
    if assertion.user_handle not in (None, passkey.account_id.bytes):
        what = Problem("userHandle", "it is another person’s", "Use the passkey as its device offers it")
        raise CeremonyRefused("The passkey’s answer is not good.", problems=(what,))
    checked = check_assertion(
        assertion, public_key=passkey.public_key, challenge=signed, rp=rp, sign_count=passkey.sign_count
    )
    store.use_passkey(
        tx, passkey.passkey_id, sign_count=checked.sign_count, backed_up=checked.backed_up, at=at
    )
    evidence = evidence_of(assertion, passkey.public_key)
    return Asserted(passkey.passkey_id, passkey.account_id, signed, evidence)


def tell_copied(tx: Tx, credential: str, *, at: datetime, device: str = "") -> None:
    """Tell the person that a copy of this passkey may be about, after CounterWentBack."""
    passkey = store.lock_passkey(tx, read_assertion(credential).credential_id)
    if passkey is not None and passkey.ended_at is None:
        add_security_event(tx, passkey.account_id, "passkey_copied", at=at, about=passkey.name, device=device)


# -- keeping them -------------------------------------------------------------------------------------------


def list_passkeys(tx: Tx, account_id: AccountId) -> list[Passkey]:
    """The passkeys of this account that work, in the order they were made."""
    return store.list_passkeys(tx, account_id)


def name_passkey(tx: Tx, account_id: AccountId, passkey_id: UUID, name: str, *, at: datetime) -> Passkey:
    """Give a passkey another name. Errors: UnknownPasskey, also for another account's; InvalidInput."""
    name = thing_name(name, "passkey")
    if not store.name_passkey(tx, account_id, passkey_id, name):
        raise UnknownPasskey
    add_security_event(tx, account_id, "passkey_renamed", at=at, about=name)
    return next(one for one in store.list_passkeys(tx, account_id) if one.passkey_id == passkey_id)


def end_passkeys(
    tx: Tx, account_id: AccountId, passkeys: Sequence[Passkey], *, at: datetime, reason: str, device: str = ""
) -> None:
    """Have these passkeys open nothing any more. Who is signed in by them is the caller's to end."""
    store.end_passkeys(tx, account_id, [one.passkey_id for one in passkeys], at=at, reason=reason)
    for one in passkeys:
        add_security_event(tx, account_id, "passkey_removed", at=at, about=one.name, device=device)


def remove_passkey(
    tx: Tx, account_id: AccountId, passkey_id: UUID, *, by: Session, at: datetime, device: str = ""
) -> bool:
    """Have a passkey open nothing any more, and sign out everywhere but here; whether it is over here too.

    by: the session in which it is said; it ends as well where that passkey was used in it last. Errors:
    UnknownPasskey, also for another account's; LastPasskey where nothing would be left to come back by.
    """
    if lock_account(tx, account_id) is None:
        raise UnknownAccount(f"No account {account_id} is open here.")
    mine = {one.passkey_id: one for one in store.list_passkeys(tx, account_id)}
    passkey = mine.get(PasskeyId(passkey_id))
    if passkey is None:
        raise UnknownPasskey
    if len(mine) == 1 and codes_left(tx, account_id) == 0:
        raise LastPasskey
    end_passkeys(tx, account_id, [passkey], at=at, reason="removed", device=device)
    over = by.passkey_id == passkey.passkey_id
    end_other_sessions(tx, account_id, None if over else by.session_id, at=at, device=device)
    return over


def _give(
    tx: Tx,
    challenge: bytes,
    *,
    purpose: Purpose,
    owner: str,
    account_id: AccountId | None,
    at: datetime,
    policy: PeoplePolicy,
) -> None:
    new = store.add_challenge(
        tx,
        hash_challenge(challenge),
        purpose=purpose,
        owner_hash=hash_secret(owner),
        account_id=account_id,
        at=at,
        expires_at=at + timedelta(seconds=policy.challenge_s),
        keep=policy.challenges_max - 1,
    )
    if not new:
        raise ChallengeRefused


def _read_registration(
    tx: Tx, credential: str, *, rp: RelyingParty, purpose: Purpose, owner: str, at: datetime, use: bool
) -> tuple[AccountId, Registered]:
    challenge = read_challenge_of_registration(credential)
    given = store.find_challenge(
        tx, hash_challenge(challenge), purpose=purpose, owner_hash=hash_secret(owner), at=at, use=use
    )
    if given is None or given.account_id is None:
        raise ChallengeRefused
    return given.account_id, check_registration(credential, challenge=challenge, rp=rp)
