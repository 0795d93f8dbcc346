"""Coming back without a passkey: codes, the life of a request, and what may be refused."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, NewType
from uuid import UUID

from hansa.identity.model import AccountId
from hansa.kernel import HansaError

RecoveryId = NewType("RecoveryId", UUID)
RecoveryProof = Literal["code", "desk", "document"]
"""By what somebody comes back: a code alone, or a document that a desk or a provider looked at."""
RecoveryState = Literal["asked", "waiting", "ready", "finished", "canceled", "closed"]

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U."""
SELECTOR_LETTERS, SECRET_LETTERS = 8, 12
"""40 bits to find a code by, and 60 that only its hash is kept of."""
GROUP = 5
_READ_AS = str.maketrans("ILO", "110")


@dataclass(frozen=True, slots=True)
class Recovery:
    """Somebody's request to come back without a passkey.

    reference: what they say at the desk. account_id: whose account; None until a desk knows. said_name, said_issuer_id:
    who they say they are; empty by a code. ready_at: when a passkey may be made; None until it is approved. closes_at:
    until when. device: where it was asked, in words.
    """

    recovery_id: RecoveryId
    reference: str
    proof: RecoveryProof
    account_id: AccountId | None
    said_name: str
    said_issuer_id: str
    device: str
    asked_at: datetime
    approved_at: datetime | None
    approved_by: str | None
    ready_at: datetime | None
    closes_at: datetime
    canceled_at: datetime | None
    finished_at: datetime | None

    def state(self, at: datetime) -> RecoveryState:
        """How far it has come: ``asked`` at a desk, ``waiting`` out its time, ``ready`` for a passkey, or over."""
        if self.finished_at is not None:
            return "finished"
        if self.canceled_at is not None:
            return "canceled"
        if at >= self.closes_at:
            return "closed"
        if self.ready_at is None:
            return "asked"
        return "ready" if at >= self.ready_at else "waiting"


class CodeRefused(HansaError):
    """This recovery code opens nothing. It may be mistyped, used already, or replaced by newer ones."""

    code: ClassVar[str] = "identity.code_refused"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Type all 20 letters and digits of a code you have not used."


class UnknownRecovery(HansaError):
    """There is no such request to come back."""

    code: ClassVar[str] = "identity.unknown_recovery"
    status: ClassVar[int] = 404


class RecoveryNotReady(HansaError):
    """This request to come back is not ready, or is over."""

    code: ClassVar[str] = "identity.recovery_not_ready"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Wait until the time that the page tells; ask anew if the request is over."


class RecoveryOpen(HansaError):
    """This account has another request to come back that is still open."""

    code: ClassVar[str] = "identity.recovery_open"
    status: ClassVar[int] = 409


def new_letters(count: int) -> str:
    """So many letters at random, five bits each."""
    return "".join(secrets.choice(LETTERS) for _ in range(count))


def write_code(letters: str) -> str:
    """A code as people copy it: ``AB3DE-FGH1J-KMNPQ-RSTVW``."""
    return "-".join(letters[at : at + GROUP] for at in range(0, len(letters), GROUP))


def read_code(text: str) -> tuple[str, str] | None:
    """A code's selector and secret, however it was typed: small letters, blanks, O for 0; None where it is no code."""
    letters = "".join(text.upper().split()).replace("-", "").replace("–", "").translate(_READ_AS)
    if len(letters) != SELECTOR_LETTERS + SECRET_LETTERS or any(one not in LETTERS for one in letters):
        return None
    return letters[:SELECTOR_LETTERS], letters[SELECTOR_LETTERS:]
