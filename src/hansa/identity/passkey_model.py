"""Passkeys: what one is, what using one gives, and what may be refused."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from hansa.identity.ceremony import Evidence
from hansa.identity.model import AccountId
from hansa.identity.session_model import PasskeyId
from hansa.kernel import HansaError

Purpose = Literal["join", "add", "recover", "sign_in", "verify", "bound"]
"""What a challenge was given for: it is good for nothing else. ``bound``: it stands for something, as a payment."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of an account.

    rp_id: the host it was made for, and works on. public_key: a COSE_Key. aaguid: which model made it, all zeros where
    it does not say. backup_eligible: it may be on several devices; backed_up: it was so when it was used last.
    ended_at, ended_for: when and why it was removed.
    """

    passkey_id: PasskeyId
    account_id: AccountId
    rp_id: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: UUID
    transports: list[str]
    backup_eligible: bool
    backed_up: bool
    name: str
    created_at: datetime
    last_used_at: datetime
    ended_at: datetime | None
    ended_for: str | None


@dataclass(frozen=True, slots=True)
class Asserted:
    """A passkey was used: which, whose, and what shows it for ever."""

    passkey_id: PasskeyId
    account_id: AccountId
    challenge: bytes
    evidence: Evidence


class ChallengeRefused(HansaError):
    """What the passkey signed was not asked by this page, was used already, or is too old. Try again."""

    code: ClassVar[str] = "identity.challenge_refused"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Open the page anew and use the passkey within five minutes."


class UnknownPasskey(HansaError):
    """This passkey opens no account here; it may have been removed. Use another one, or come back without."""

    code: ClassVar[str] = "identity.unknown_passkey"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Choose another passkey, or come back with a recovery code."


class PasskeyTaken(HansaError):
    """This passkey is or was connected already. Make one on another device."""

    code: ClassVar[str] = "identity.passkey_taken"
    status: ClassVar[int] = 409


class NoPasskey(HansaError):
    """This account has no passkey for this address. Sign in anew, and make one."""

    code: ClassVar[str] = "identity.no_passkey"
    status: ClassVar[int] = 409


class TooManyPasskeys(HansaError):
    """This account has as many passkeys as it may have. Remove one first."""

    code: ClassVar[str] = "identity.too_many_passkeys"
    status: ClassVar[int] = 409


class LastPasskey(HansaError):
    """This is your only passkey, and you have no recovery codes: without it nobody could sign in."""

    code: ClassVar[str] = "identity.last_passkey"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Add another passkey or make recovery codes first."
