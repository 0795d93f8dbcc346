"""The words of disputes: what is disputed, what was done about it, what it moved. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, NewType
from uuid import UUID

from hansa import ledger, payments, rides, trust
from hansa.clearing import earned_account, position_account
from hansa.disputes.life import Action, Kind, Side, State
from hansa.identity import AccountId
from hansa.kernel import HansaError, Money, fact_id

DisputeId = NewType("DisputeId", UUID)

WORDS_MAX = 1_000
"""Characters that a side may write with an action."""


class UnknownDispute(HansaError):
    """There is no such dispute."""

    code: ClassVar[str] = "disputes.unknown"
    status: ClassVar[int] = 404


class UnknownItem(HansaError):
    """There is no such item between these two members."""

    code: ClassVar[str] = "disputes.unknown_item"
    status: ClassVar[int] = 404


class DisputeConflict(HansaError):
    """This id is known with other content; another request needs an id of its own."""

    code: ClassVar[str] = "disputes.conflict"
    status: ClassVar[int] = 409


class AlreadyAsked(HansaError):
    """A refund of this journey is asked for, or given, already."""

    code: ClassVar[str] = "disputes.already_asked"
    status: ClassVar[int] = 409


class AskedTooLate(HansaError):
    """It is too long ago to be disputed."""

    code: ClassVar[str] = "disputes.too_late"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was done. n: its place among the dispute's. amount: minor units, where the action names one.

    state, due_at: what it made of the dispute, and until when somebody must act.
    """

    n: int
    action_id: UUID
    action: Action
    side: Side
    caller_id: str
    at: datetime
    words: str
    amount_minor: int | None
    state: State
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Booking:
    """What a dispute moved, or is about to. amount_minor: signed as seen from the claimant.

    posted_at: when the books had it; None until then.
    """

    revision: int
    booking_id: UUID
    amount_minor: int
    at: datetime
    posted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action that gives more than one person may, and waits for a second person of the same side.

    n: how many facts the dispute had; after the next fact the proposal no longer counts. caller_id: who proposed it.
    """

    n: int
    action_id: UUID
    action: Action
    side: Side
    caller_id: str
    at: datetime
    words: str
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Case:
    """A dispute as its facts make it.

    subject_id: a refund's journey, or the item's transfer. root_id: the journey behind it, else the item. sign: 1 where
    money goes back to the issuer's side. holds_minor: what it may still cost, or did. at_most_minor: of a granted
    refund, what the rider shall pay for the journey at most. partition: of the ledger.
    """

    dispute_id: DisputeId
    kind: Kind
    root_id: UUID
    subject_id: UUID
    partition: int
    account_id: UUID | None
    issuer_id: str
    operator_id: str
    currency: str
    sign: int
    claim_minor: int
    reason: str
    words: str
    evidence: Mapping[str, str]
    rules_version: int
    raised_by: str
    raised_at: datetime
    state: State
    due_at: datetime | None
    holds_minor: int
    at_most_minor: int | None
    look_at: datetime | None

    @property
    def claim(self) -> Money:
        """What the claimant wants."""
        return Money(self.claim_minor, self.currency)

    def side_of(self, caller: trust.Caller) -> Side | None:
        """On which side a caller stands; None where the dispute is none of theirs."""
        claimant, respondent = self.issuer_id, self.operator_id
        if self.sign < 0:
            claimant, respondent = respondent, claimant
        if caller.kind == "gate":
            return None
        if caller.kind == "league":
            return Side.LEAGUE
        if caller.kind == "person":
            return Side.CLAIMANT if caller.account_id == str(self.account_id) else None
        return {claimant: Side.CLAIMANT, respondent: Side.RESPONDENT}.get(caller.member_id or "")


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute with all that was done about it, in order, what it moved, and what was ever proposed."""

    case: Case
    facts: tuple[Fact, ...]
    bookings: tuple[Booking, ...]
    proposals: tuple[Proposal, ...] = ()

    @property
    def waiting(self) -> tuple[Proposal, ...]:
        """Proposals that a second person can still join."""
        return tuple(one for one in self.proposals if one.n == len(self.facts))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which disputes are looked for; what is not named does not narrow. member: on either side. states: any of them.

    text: the first digits of the id of a dispute, of its item or of its journey, at least 4, with or without hyphens.
    """

    member: str | None = None
    account: UUID | None = None
    kind: Kind | None = None
    states: frozenset[State] = frozenset()
    reason: str | None = None
    subject: UUID | None = None
    text: str | None = None

    @property
    def range(self) -> tuple[UUID, UUID] | None:
        """The least and the greatest id that begin with the text; None without a text.

        A text that is no beginning of an id gives a range that holds none.
        """
        if not self.text:
            return None
        digits = self.text.lower().replace("-", "")
        if not 4 <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
            return UUID(int=1), UUID(int=0)
        return UUID(hex=digits.ljust(32, "0")), UUID(hex=digits.ljust(32, "f"))


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many disputes wait for somebody in a state. soon: those with a near deadline. first_due_at: the nearest."""

    kind: Kind
    state: State
    number: int
    soon: int
    first_due_at: datetime


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of an operator's disputes of one kind and reason that were raised in a time.

    raised: all. open: not decided yet. in_full, in_part: given back. corrected: rated again instead. nothing: lost,
    also by silence. withdrawn: by who claimed. at_once: decided by rule when raised. by_silence: by a deadline
    that passed. median_days: from raised to decided; None where none is.
    """

    operator_id: str
    kind: Kind
    reason: str
    raised: int
    open: int
    in_full: int
    in_part: int
    corrected: int
    nothing: int
    withdrawn: int
    at_once: int
    by_silence: int
    median_days: float | None

    @property
    def decided(self) -> int:
        """How many have an outcome."""
        return self.raised - self.open


def stands_minor(case: Case, granted_minor: int, charged_minor: int) -> int:
    """What of a granted refund is due, given what the journey costs now: nobody is given back more than was charged.

    A fare that is corrected after the refund takes the place of the refund, so that the rider pays what was agreed, or
    less. charged_minor: the sum of the journey's charges. The answer lies between 0 and granted_minor.
    """
    assert case.at_most_minor is not None, "only a granted refund stands"
    return min(granted_minor, max(0, charged_minor - case.at_most_minor))


def booking_id_of(dispute_id: UUID, revision: int) -> UUID:
    """The id of what a dispute moves: a charge of payments, or a transfer of the ledger."""
    return fact_id(None, "hansa.disputes.booking", dispute_id, revision)


def refund_charge(case: Case, booking: Booking, journey: rides.JourneyRecord) -> payments.Charge:
    """A refund as payments carries it: back to the wallet out of the pair's position, at the rate of the fare's day."""
    return payments.Charge(
        charge_id=booking.booking_id,
        account_id=AccountId(journey.account_id),
        issuer_id=case.issuer_id,
        wallet_currency=_wallet_currency(case),
        amount=Money(-booking.amount_minor, case.currency),
        payee=position_account(case.issuer_id, case.operator_id, case.currency, case.partition),
        at=booking.at,
        rate_day=journey.service_day,
        reference=case.root_id,
        code=ledger.TransferCode.REFUND,
    )


def chargeback(case: Case, booking: Booking) -> ledger.Transfer:
    """A chargeback: an item of its own on the position of the two, against what the issuer has earned."""
    position = position_account(case.issuer_id, case.operator_id, case.currency, case.partition)
    earned = earned_account(case.issuer_id, case.currency, case.partition)
    back = case.sign * booking.amount_minor > 0
    return ledger.Transfer(
        transfer_id=ledger.TransferId(booking.booking_id),
        debit=position if back else earned,
        credit=earned if back else position,
        amount=abs(booking.amount_minor),
        currency=case.currency,
        code=ledger.TransferCode.CHARGEBACK,
        partition=case.partition,
        event_at=booking.at,
        reference=case.root_id,
        memo=f"dispute {case.dispute_id}",
    )


def _wallet_currency(case: Case) -> str:
    return case.evidence["wallet_currency"]
