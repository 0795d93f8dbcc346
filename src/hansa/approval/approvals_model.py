"""Approvals: what a person is asked, where it stands, and what may be refused."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from hansa.approval.canonical import Shown, read_subject
from hansa.approval.model import ApprovalLevel, Spend
from hansa.identity import AccountId
from hansa.kernel import HansaError, fact_id

Phase = Literal["waiting", "second", "cooling", "given", "refused", "canceled", "expired"]
"""Where an approval stands: it waits for its approver, for a second person, or for its time; or how it ended."""

OPEN: tuple[Phase, ...] = ("waiting", "second", "cooling")
Role = Literal["payer", "second"]
ApprovalMethod = Literal["session", "pin", "passkey"]


class ApprovalState(StrEnum):
    """An approval as whoever waits for it needs to know: not asked, waiting, given, refused, or out of time."""

    NONE = "none"
    WAITING = "waiting"
    GIVEN = "given"
    REFUSED = "refused"
    EXPIRED = "expired"


STATES: dict[Phase, ApprovalState] = {
    "waiting": ApprovalState.WAITING,
    "second": ApprovalState.WAITING,
    "cooling": ApprovalState.WAITING,
    "given": ApprovalState.GIVEN,
    "refused": ApprovalState.REFUSED,
    "canceled": ApprovalState.REFUSED,
    "expired": ApprovalState.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class SecondPerson:
    """Whom an owner named to agree to large payments. holds_from: when they are asked from: at once for the first one,
    after a wait for another beside them. until: when they are asked no more; None for good.
    """

    approver_id: AccountId
    holds_from: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a person is asked to approve, once.

    account_id: whose money, or whose mandate. approver_id: who is asked, the owner or a delegate. canonical: what is
    shown and signed. spend: None where nothing is spent by it. executes_at: when one that cools becomes given.
    """

    partition: int
    approval_id: UUID
    account_id: AccountId
    approver_id: AccountId
    kind: str
    subject_id: UUID
    canonical: bytes
    spend: Spend | None
    level: ApprovalLevel
    reasons: tuple[str, ...]
    next_url: str
    phase: Phase
    opened_at: datetime
    expires_at: datetime
    executes_at: datetime | None
    ended_at: datetime | None
    given_level: ApprovalLevel | None

    @property
    def state(self) -> ApprovalState:
        return STATES[self.phase]

    @property
    def shown(self) -> Shown:
        """What a page shows of it, from the very bytes that are signed."""
        return read_subject(self.canonical)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one person gave for an approval. signed: the bytes whose SHA-256 the passkey signed; None without one."""

    n: int
    account_id: AccountId
    role: Role
    method: ApprovalMethod
    given_at: datetime
    session_id: UUID | None
    passkey_id: UUID | None
    signed: bytes | None
    rp_id: str | None
    origin: str | None
    credential_id: bytes | None
    public_key: bytes | None
    authenticator_data: bytes | None
    client_data: bytes | None
    signature: bytes | None


def approval_id_of(kind: str, subject_id: UUID) -> UUID:
    """The approval of this subject: there is one, so asking again finds it."""
    return fact_id(None, "approval", kind, subject_id)


class UnknownApproval(HansaError):
    """There is nothing here for you to approve."""

    code: ClassVar[str] = "approval.unknown"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Open the address that you were given, signed in as the person who is asked."


class ApprovalEnded(HansaError):
    """This was approved, refused or called off already."""

    code: ClassVar[str] = "approval.ended"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Look at where it stands; for another payment, begin anew."


class ApprovalExpired(HansaError):
    """The time to approve this is over, and nothing was paid. Begin anew."""

    code: ClassVar[str] = "approval.expired"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Begin the payment anew."


class LevelTooLow(HansaError):
    """This needs a stronger approval than the one that was given."""

    code: ClassVar[str] = "approval.level_too_low"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Approve with the PIN or the passkey that the page asks for."
    next_action: ClassVar[str] = "approve"


class WaitsTooLong(HansaError):
    """So much waits a day before it is made, and this holds for minutes only, as a locked rate does."""

    code: ClassVar[str] = "approval.waits_too_long"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Pay it in smaller parts, or from a wallet in the currency that is asked for."
    next_action: ClassVar[str] = "fix_request"
    user_message: ClassVar[str] = (
        "So much waits a day before it is paid, and the rate holds for minutes. Pay it in smaller parts."
    )


class NotYours(HansaError):
    """This passkey is another person's than the one who is asked."""

    code: ClassVar[str] = "approval.not_yours"
    status: ClassVar[int] = 403
    remedy: ClassVar[str] = "Use your own passkey, signed in as yourself."


class EvidenceBroken(HansaError):
    """The evidence of this approval does not show what it should."""

    code: ClassVar[str] = "approval.evidence_broken"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Compare it with a copy from before; the row was changed since it was written."
