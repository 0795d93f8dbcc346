"""What can be done with phones and standings: connect a phone, end it, ask how far an account is trusted."""

from datetime import datetime, timedelta
from uuid import UUID

from hansa import webhooks
from hansa.identity import phone_store as store
from hansa.identity.actions import get_account
from hansa.identity.model import AccountId, UnknownAccount, hash_secret, new_secret
from hansa.identity.phone_model import (
    AccountBlocked,
    Enrolled,
    Level,
    NonceRefused,
    Phone,
    PhoneEnded,
    PhoneId,
    PhoneKeyTaken,
    PhonePolicy,
    PhoneStatus,
    ProofRefused,
    SignInAnew,
    Standing,
    TooManyPhones,
    UnknownPhone,
    phone_name,
)
from hansa.identity.proofs import Proof
from hansa.kernel import InvalidInput, Problem, fact_id
from hansa.store import Tx

LEVELS: tuple[Level, ...] = ("clear", "step_up", "blocked")
REASON_MAX = 500

# -- standings ----------------------------------------------------------------------------------------------


def standing_of(tx: Tx, account_id: AccountId) -> Standing:
    """How far this account is trusted now. Errors: UnknownAccount."""
    standing = store.find_standing(tx, account_id)
    if standing is not None:
        return standing
    return Standing("clear", "", get_account(tx, account_id).created_at)


def list_standings(tx: Tx, account_id: AccountId) -> list[Standing]:
    """All that was ever set for this account, oldest first; none when it was never anything but clear."""
    return store.list_standings(tx, account_id)


def set_standing(
    tx: Tx, account_id: AccountId, *, level: Level, reason: str, at: datetime, case_id: UUID | None = None
) -> Standing:
    """Say how far this account is trusted from now on. Saying the same again, for the same case, changes nothing.

    reason: 1 to 500 characters, for the issuer to read.
    Errors: UnknownAccount; InvalidInput for a level that is none, or without a reason.
    """
    problems: list[Problem] = []
    if level not in LEVELS:
        problems.append(Problem("level", f"{level!r} is none", f"Choose from {', '.join(LEVELS)}"))
    if not 1 <= len(reason.strip()) <= REASON_MAX:
        problems.append(Problem("reason", f"it has {len(reason)} characters", f"Give 1 to {REASON_MAX}"))
    if problems:
        raise InvalidInput("This standing cannot be set.", problems=tuple(problems))
    if store.lock_account(tx, account_id) is None:
        raise UnknownAccount(f"No account {account_id} is open here.")
    now = standing_of(tx, account_id)
    if (now.level, now.case_id) == (level, case_id):
        return now
    standing = Standing(level, reason.strip(), at, case_id)
    store.add_standing(tx, account_id, standing)
    return standing


# -- phones -------------------------------------------------------------------------------------------------


def give_nonce(
    tx: Tx, account_id: AccountId, session_secret: str, *, at: datetime, policy: PhonePolicy
) -> tuple[str, datetime]:
    """A number for the phone to sign, once and soon, and when it ends. It is good for this account only.

    Errors: UnknownAccount when the sign-in is not this account's.
    """
    if store.lock_account(tx, account_id) is None:
        raise UnknownAccount(f"No account {account_id} is open here.")
    nonce, expires_at = new_secret(), at + timedelta(seconds=policy.nonce_s)
    if not store.add_nonce(
        tx,
        hash_secret(nonce),
        account_id,
        hash_secret(session_secret),
        at=at,
        expires_at=expires_at,
        keep=policy.nonces_max - 1,
    ):
        raise UnknownAccount(f"Nobody is signed in to account {account_id} by this.")
    return nonce, expires_at


def phone_id_of(public_key: bytes) -> PhoneId:
    """The phone's id: its key's, whoever works it out."""
    return PhoneId(fact_id(None, "phone", public_key.hex()))


def enrol_phone(
    tx: Tx, account_id: AccountId, proof: Proof, *, name: str, at: datetime, policy: PhonePolicy
) -> Enrolled:
    """Connect the phone that made this proof. Again with the same key is harmless and changes nothing but the nonce.

    A sign-in connects one phone: whoever steals it afterwards connects none.

    Where the account stands at step_up, this clears it: its phones from before are ended, for the caller to end their
    tokens too. Errors: InvalidInput for the name; NonceRefused; AccountBlocked; SignInAnew when the sign-in is not
    fresh or has a phone already; PhoneKeyTaken; TooManyPhones. Nothing is changed then, once the caller's transaction
    rolls back.
    """
    name = phone_name(name)
    if store.lock_account(tx, account_id) is None:
        raise UnknownAccount(f"No account {account_id} is open here.")
    sign_in = _use_nonce(tx, account_id, proof, at)
    standing = standing_of(tx, account_id)
    if standing.level == "blocked":
        raise AccountBlocked
    phone_id = phone_id_of(proof.public_key)
    known = store.find_phone(tx, phone_id)
    if known is not None:
        if (known.account_id, known.status) != (account_id, "active") or standing.level == "step_up":
            raise PhoneKeyTaken
        store.put_session_on_phone(tx, sign_in.secret_hash, phone_id)
        return Enrolled(known)
    old = at - sign_in.started_at > policy.sign_in
    asked_since = standing.level == "step_up" and sign_in.started_at <= standing.since
    if old or asked_since or sign_in.phone_id is not None:
        raise SignInAnew
    active = [phone for phone in store.list_phones(tx, account_id) if phone.status == "active"]
    ended: tuple[Phone, ...] = ()
    if standing.level == "step_up":
        ended, active = tuple(active), []
    if len(active) >= policy.phones_max:
        raise TooManyPhones(
            f"This account has {len(active)} phones, as many as it may have. Remove one first."
        )
    if not store.add_phone(tx, phone_id, account_id, proof.public_key, name, at):
        raise PhoneKeyTaken
    store.put_session_on_phone(tx, sign_in.secret_hash, phone_id)
    _tell(tx, account_id, "security.phone_added", name, at, phone_id)
    if standing.level == "step_up":
        # The key may be in two phones: whoever proved who they are begins anew, all that was before ends.
        store.end_phones(tx, [one.phone_id for one in ended], "removed", at=at, reason="step_up")
        cleared = Standing("clear", "The rider signed in anew and connected a phone.", at)
        store.add_standing(tx, account_id, cleared)
    return Enrolled(_own(tx, account_id, phone_id), ended, cleared=standing.level == "step_up")


def prove_phone(tx: Tx, account_id: AccountId, phone_id: UUID, proof: Proof, *, at: datetime) -> Phone:
    """The phone, if this proof is by its own key; nobody else changes it until the transaction ends.

    Errors: UnknownPhone, also for another account's; PhoneEnded; ProofRefused for another key; NonceRefused.
    """
    phone = _own(tx, account_id, phone_id, lock=True)
    if phone.status != "active":
        raise PhoneEnded(_how_it_ended(phone))
    if phone.public_key != proof.public_key:
        problem = Problem("DPoP jwk", "it is another phone's key", "Sign with the key that was connected")
        raise ProofRefused("The proof is by another key.", problems=(problem,))
    sign_in = _use_nonce(tx, account_id, proof, at)
    store.put_session_on_phone(tx, sign_in.secret_hash, phone.phone_id)
    store.see_phone(tx, phone.phone_id, at)
    return phone


def list_phones(tx: Tx, account_id: AccountId) -> list[Phone]:
    """The phones of this account: those that are active, then those that were, the newest first; at most 100."""
    return store.list_phones(tx, account_id)


def find_phone_of_session(tx: Tx, session_secret: str, at: datetime) -> Phone | None:
    """The phone that has proved its key under this sign-in; None while there is none."""
    return store.find_phone_of_session(tx, hash_secret(session_secret), at)


def find_phone(tx: Tx, phone_id: UUID) -> Phone | None:
    """The phone of this id, whoever's it is and whether it ended; None where none was ever connected."""
    return store.find_phone(tx, phone_id)


def name_phone(tx: Tx, account_id: AccountId, phone_id: UUID, name: str) -> Phone:
    """Give a phone another name. Errors: UnknownPhone, InvalidInput."""
    name = phone_name(name)
    phone = _own(tx, account_id, phone_id, lock=True)
    store.name_phone(tx, phone.phone_id, name)
    return _own(tx, account_id, phone_id)


def end_phone(
    tx: Tx, account_id: AccountId, phone_id: UUID, status: PhoneStatus, *, at: datetime, reason: str
) -> Phone:
    """Have a phone make no codes any more: ``lost`` or ``removed``. Ending it again changes nothing.

    Whoever is signed in on it is so no more. Its tokens are the caller's to end, in the same transaction.
    Errors: UnknownPhone.
    """
    assert status != "active", "a phone that ended does not come back"
    known = _own(tx, account_id, phone_id, lock=True)
    store.end_phones(tx, [phone_id], status, at=at, reason=reason)
    if known.status == "active":
        _tell(tx, account_id, f"security.phone_{status}", known.name, at, phone_id)
    return _own(tx, account_id, phone_id)


def _tell(tx: Tx, account_id: AccountId, kind: str, name: str, at: datetime, phone_id: UUID) -> None:
    facts = {"about": name}
    one = webhooks.ForPerson(
        account_id=account_id, kind=kind, at=at, subject=f"phone {phone_id}", facts=facts, fact=(phone_id,)
    )
    webhooks.tell(tx, one)


def _own(tx: Tx, account_id: AccountId, phone_id: UUID, *, lock: bool = False) -> Phone:
    phone = store.find_phone(tx, phone_id, lock=lock)
    if phone is None or phone.account_id != account_id:
        raise UnknownPhone(f"You have no phone {phone_id}.")
    return phone


def _use_nonce(tx: Tx, account_id: AccountId, proof: Proof, at: datetime) -> store.SignIn:
    """The sign-in that the nonce was given to. Errors: NonceRefused."""
    found = store.use_nonce(tx, hash_secret(proof.nonce), account_id, at)
    if found is None:
        raise NonceRefused
    return found


def _how_it_ended(phone: Phone) -> str:
    if phone.status == "lost":
        return "This phone was reported lost. If it is back with you, sign in again and connect it anew."
    if phone.ended_for == "step_up":
        return "Another phone was connected in this one's place. To use this one too, sign in and connect it anew."
    return "This phone was removed from your account. To use it again, sign in and connect it anew."
