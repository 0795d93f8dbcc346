"""Where this room asks whether a person may do what they ask for, and by which approval."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hansa import approval
from hansa.approval import ApprovalState
from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person wants done with their money, and what they are shown of it.

    kind: ``transfer`` or ``withdrawal``. about, details: what the approval's page shows beside amount and payee; all of
    it is what is signed. session_at: when the person last proved who they are. spender: who spends from the account's
    wallet, where that is not its owner; they approve it then. next_url: where the page goes on.
    expires_at: until when it may be approved, where that is not for the approval to say.
    """

    kind: str
    subject_id: UUID
    account_id: AccountId
    partition: int
    amount: Money
    payee_key: str
    payee_name: str
    channel: approval.Channel
    session_at: datetime | None
    about: str
    details: Mapping[str, str]
    next_url: str
    expires_at: datetime | None = None
    spender: AccountId | None = None


def may_begin(tx: Tx, asked: Asked, at: datetime) -> bool:
    """Whether it may go on at once; False: it waits for its approval, which is open now.

    Errors: what forbids it, whoever approves; nothing is kept.
    """
    spend = approval.Spend(
        spend_id=asked.subject_id,
        account_id=asked.account_id,
        amount=asked.amount,
        payee_key=asked.payee_key,
        payee_name=asked.payee_name,
        channel=asked.channel,
        session_at=asked.session_at,
        by=asked.spender,
        partition=asked.partition,
    )
    (verdict,) = approval.decide(tx, [spend], at)
    if isinstance(verdict, approval.Refused):
        raise approval.refused(verdict.error, spend)
    if isinstance(verdict, approval.Allowed):
        return True
    subject = approval.subject_for(
        spend,
        kind=asked.kind,
        subject_id=asked.subject_id,
        asked_at=at,
        about=asked.about,
        details=asked.details,
    )
    approval.open_approval(
        tx,
        spend,
        verdict.level,
        subject,
        asked.next_url,
        at,
        reasons=verdict.reasons,
        expires_at=asked.expires_at,
    )
    return False


def find_answer(tx: Tx, subject_id: UUID) -> ApprovalState:
    """What became of its approval."""
    return approval.approval_state(tx, [subject_id])[subject_id]


def give_back(tx: Tx, subject_id: UUID, *, at: datetime, partition: int) -> None:
    """It came to nothing: nobody is asked about it any more, and what it took of limits is free again."""
    approval.withdraw(tx, [subject_id], at)
    approval.give_back(tx, [subject_id], at=at, partition=partition)


def page_of(kind: str, subject_id: UUID) -> str:
    """Where a person approves it."""
    return f"/wallet/approvals/{approval.approval_id_of(kind, subject_id)}"
