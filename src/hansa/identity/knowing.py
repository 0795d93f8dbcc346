"""How well people are known, for many accounts in one statement: what limits and approvals hang on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from hansa.identity.model import AccountId
from hansa.identity.persons_model import ProofLevel
from hansa.store import Rows, Tx
from hansa.store.copying import uuid_array_text

KNOWN = """
select a.account_id,
    greatest(
        (select max(p.level) from identity.proofings p where p.account_id = a.account_id and p.state = 'matched'),
        (select 1 from identity.contacts c where c.account_id = a.account_id and c.state = 'verified' limit 1),
        0)::integer,
    (select max(r.finished_at) from identity.recoveries r where r.account_id = a.account_id),
    exists (select 1 from identity.guardianships g where g.ward_id = a.account_id and g.state = 'accepted'),
    exists (select 1 from identity.births b where b.account_id = a.account_id and b.guardian_needed),
    exists (select 1 from identity.accounts c where c.account_id = a.account_id and c.closed_at is not null)
from unnest(%s::uuid[]) as a (account_id)
"""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """How well a person is known. recovered_at: when they last came back without a passkey. guarded: a guardian
    answers for them. guardian_needed: at their age somebody must. closed: the account was deleted.
    """

    level: ProofLevel = ProofLevel.NONE
    recovered_at: datetime | None = None
    guarded: bool = False
    guardian_needed: bool = False
    closed: bool = False

    @property
    def lacks_guardian(self) -> bool:
        """Whether nobody answers for them, though somebody must."""
        return self.guardian_needed and not self.guarded


def knowledge_of(tx: Tx, account_ids: Collection[AccountId]) -> dict[AccountId, Knowledge]:
    """What is known of the people of these accounts; of one that is not open, nothing."""
    return knowledge(ask_for_knowledge(tx, account_ids)) if account_ids else {}


def ask_for_knowledge(tx: Tx, account_ids: Collection[AccountId]) -> Rows:
    """Have read what is known of them, beside other questions of a pipeline; ``knowledge`` has the answer."""
    return tx.execute(KNOWN, (uuid_array_text(b"".join([one.bytes for one in account_ids])),))


def knowledge(asked: Rows) -> dict[AccountId, Knowledge]:
    """``knowledge_of`` from what ``ask_for_knowledge`` asked."""
    return {
        AccountId(account_id): Knowledge(ProofLevel(level), recovered_at, guarded, needed, closed)
        for account_id, level, recovered_at, guarded, needed, closed in asked.fetchall()
    }
