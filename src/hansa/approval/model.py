"""Spends, the levels at which they are approved, and what may be refused: the types of approval."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import ClassVar, NamedTuple
from uuid import UUID

from hansa.identity import AccountId
from hansa.kernel import HansaError, Money


class ApprovalLevel(IntEnum):
    """How a person approves, weakest first: each level does for all before it.

    NONE: nothing was given. CODE: a code or a mandate that was given before. SESSION: a sign-in, one click. PIN: the
    payment PIN. PASSKEY: a passkey signs this very payment. PASSKEY_DELAY: that, and a wait in which it can be called
    off. SECOND_PERSON: that passkey, and another person who agrees.
    """

    NONE = 0
    CODE = 1
    SESSION = 2
    PIN = 3
    PASSKEY = 4
    PASSKEY_DELAY = 5
    SECOND_PERSON = 6

    @property
    def word(self) -> str:
        """As the policy and the API write it: ``passkey_delay``."""
        return self.name.lower()


class Channel(StrEnum):
    """How a payment comes about, the least risky first."""

    MANDATE = "mandate"
    CODE = "code"
    QR = "qr"
    ONLINE = "online"
    PERSON = "person"
    BANK = "bank"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Something that is to be paid from an account's wallet.

    spend_id: made by whoever first sees it; it counts once, however often it is asked about. account_id: whose money.
    amount: above zero. payee_key: what tells this payee from all others, such as ``merchant:0198…``. category: merchant
    category code (ISO 18245), four digits, or empty. session_at: when whoever asks last proved who they are; None
    where nobody is signed in, as when a shop asks. credential_at: since when the passkey or phone that asks is theirs;
    None where that shows only when they approve. by: the account of a delegate, where not the owner spends.
    mandate_id: the mandate under which a payee pulls. partition: the ledger partition of the account.
    """

    spend_id: UUID
    account_id: AccountId
    amount: Money
    payee_key: str
    payee_name: str
    channel: Channel
    category: str = ""
    session_at: datetime | None = None
    credential_at: datetime | None = None
    by: AccountId | None = None
    mandate_id: UUID | None = None
    partition: int = 0

    @property
    def brings(self) -> ApprovalLevel:
        """What was given before anybody is asked."""
        if self.channel in (Channel.CODE, Channel.MANDATE):
            return ApprovalLevel.CODE
        return ApprovalLevel.NONE if self.session_at is None else ApprovalLevel.SESSION


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a level is asked for. name: stable, one of ``policy.REASONS``; its sentence is there. level: what it asks."""

    name: str
    level: ApprovalLevel


@dataclass(frozen=True, slots=True)
class Allowed:
    """It may be paid, and counts against the limits from now on.

    level: how it was approved. evidence: the approval or the mandate that says so; None for a code or a sign-in.
    """

    level: ApprovalLevel
    evidence: UUID | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """A person must approve it first, at this level or a higher one. Nothing is counted until they do."""

    level: ApprovalLevel
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not be paid, whoever approves; the error says why and what would help. Nothing is counted."""

    error: HansaError


Verdict = Allowed | Needs | Refused


class BadPolicy(HansaError):
    """This policy cannot be used; each fault is named with its remedy."""

    code: ClassVar[str] = "approval.bad_policy"
    status: ClassVar[int] = 422


class SpendingFrozen(HansaError):
    """All spending from this account is frozen."""

    code: ClassVar[str] = "approval.frozen"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Whoever froze it lifts the freeze: the owner with a passkey, or the issuer's desk."
    )
    next_action: ClassVar[str] = "unfreeze"


class LimitReached(HansaError):
    """This payment is more than a limit of the account leaves."""

    code: ClassVar[str] = "approval.limit_reached"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Pay less, wait for the next day or month, or raise the limit, which takes a while."
    )
    next_action: ClassVar[str] = "see_limits"

    spend: "Spend | None" = None


class YearCapReached(LimitReached):
    """This is more than is left of what the account may pay in a calendar year, by how well its holder is known."""

    code: ClassVar[str] = "approval.year_cap_reached"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Prove your name, or your document, for a higher level; or pay less, or wait for the new year."
    )
    next_action: ClassVar[str] = "prove_name"


class UnratedCurrency(HansaError):
    """The account's issuer has not said how much of this currency is a small amount, so nothing is paid in it."""

    code: ClassVar[str] = "approval.unrated_currency"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "The issuer adds the currency to its policy, under units."


class SpendDiffers(HansaError):
    """A spend of this id is known and says something else."""

    code: ClassVar[str] = "approval.spend_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give another spend an id of its own."


class SpendEnded(HansaError):
    """This spend came to nothing before and its limits were given back; it is not taken up again."""

    code: ClassVar[str] = "approval.spend_ended"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Begin anew, with a new id."


class UnknownMandate(HansaError):
    """There is no such mandate for this payer and payee."""

    code: ClassVar[str] = "approval.unknown_mandate"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Ask the payer for a mandate, or let them approve this payment."


class MandateEnded(HansaError):
    """This mandate does not hold at this time."""

    code: ClassVar[str] = "approval.mandate_ended"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Ask the payer for a new mandate, or let them approve this payment."


class MandateExceeded(HansaError):
    """This payment is more than the mandate leaves."""

    code: ClassVar[str] = "approval.mandate_exceeded"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Take less, wait for the next period, or let the payer approve this payment."


class MandatePaused(HansaError):
    """The payer wants nothing to be taken under this mandate for now."""

    code: ClassVar[str] = "approval.mandate_paused"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Read the mandate: after its paused_until payments are taken again."


class MandateUnannounced(HansaError):
    """Payments under this mandate are announced to the payer first, and this one was not."""

    code: ClassVar[str] = "approval.mandate_unannounced"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Announce it at POST /v1/mandates/{mandate_id}/pulls; it is taken by itself when it is due."
    )
    next_action: ClassVar[str] = "announce"


class NotDelegated(HansaError):
    """Whoever asks may not spend from this account now."""

    code: ClassVar[str] = "approval.not_delegated"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "The owner of the account lets them, under delegated spending."


class DelegationExceeded(HansaError):
    """This payment is outside of what the owner lets this person spend."""

    code: ClassVar[str] = "approval.delegation_exceeded"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Pay less, or elsewhere, or ask the owner to pay or to let more be spent."


class Holder(NamedTuple):
    """What a limit's use is counted for: an account, a mandate or a delegation; and for which part of it.

    scope: empty for all of it; ``channel:qr`` or ``category:5411`` for a part.
    """

    partition: int
    holder_id: UUID
    currency: str
    scope: str = ""
