"""What was changed about an account's spending, kept for its owner to read: who, what, when."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa import webhooks
from hansa.identity import AccountId
from hansa.kernel import new_id
from hansa.store import Tx

ADD = """
insert into approval.changes (partition, account_id, change_id, at, kind, about, by, other_id)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""

LIST = """
select change_id, at, kind, about, by, other_id from approval.changes
where partition = %s and account_id = %s order by at desc, change_id desc limit %s
"""

KINDS: dict[str, str] = {
    "pin_set": "The payment PIN was set.",
    "frozen": "Spending was frozen.",
    "unfrozen": "Spending was freed again.",
    "limit_lowered": "A limit was lowered.",
    "limit_raise_asked": "A higher limit was asked for.",
    "limit_raise_canceled": "A higher limit was called off.",
    "delegation_asked": "The issuer asked to let somebody spend from this wallet.",
    "delegation_granted": "Somebody was let spend from this wallet.",
    "delegation_revoked": "Somebody may no longer spend from this wallet.",
    "mandate_asked": "A payee asked for a standing approval.",
    "mandate_given": "A payee was given a standing approval.",
    "mandate_revoked": "A standing approval was revoked.",
    "mandate_paused": "A standing approval was paused.",
    "mandate_resumed": "A standing approval goes on.",
    "mandate_notice_set": "How long before a payment its payee says so was changed.",
    "pull_skipped": "An announced payment was skipped.",
    "co_approver_named": "A second person was named.",
    "co_approver_leaves": "A second person is asked no more after a wait.",
    "co_approver_removed": "A second person was removed.",
}
"""What happened, by its name: the sentences that a person reads."""


@dataclass(frozen=True, slots=True)
class SpendingChange:
    """One change. kind: a name of KINDS. about: what it is about, in words. by: owner, issuer, payee, delegate.

    other_id: the other person whom it is about: a delegate, a second person.
    """

    change_id: UUID
    at: datetime
    kind: str
    about: str
    by: str
    other_id: UUID | None = None


def add_change(
    tx: Tx,
    partition: int,
    account_id: AccountId,
    kind: str,
    *,
    at: datetime,
    about: str = "",
    by: str = "owner",
    other_id: AccountId | None = None,
) -> None:
    """Keep what was changed, and tell the account's owner."""
    assert kind in KINDS, kind
    change_id = new_id()
    tx.execute(ADD, (partition, account_id, change_id, at, kind, about[:200], by, other_id))
    webhooks.tell(
        tx,
        webhooks.ForPerson(
            account_id=account_id,
            kind=f"spending.{kind}",
            at=at,
            subject="",
            facts={"about": about[:200]} | ({} if other_id is None else {"person": str(other_id)}),
            fact=(change_id,),
        ),
    )


def list_changes(tx: Tx, partition: int, account_id: AccountId, *, limit: int = 20) -> list[SpendingChange]:
    """What was changed about this account's spending, the latest first."""
    with tx.cursor(row_factory=class_row(SpendingChange)) as cursor:
        return cursor.execute(LIST, (partition, account_id, limit)).fetchall()
