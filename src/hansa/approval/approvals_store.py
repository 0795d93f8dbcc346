"""The SQL of approvals and their evidence."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from hansa.approval.approvals_model import Approval, Phase, Proof, SecondPerson
from hansa.approval.model import ApprovalLevel, Channel, Spend
from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.store import Tx

OPEN = """
insert into approval.approvals (partition, approval_id, account_id, approver_id, kind, subject_id, canonical, spend,
    level, reasons, next_url, state, opened_at, expires_at)
values (%(partition)s, %(approval_id)s, %(account_id)s, %(approver_id)s, %(kind)s, %(subject_id)s, %(canonical)s,
    %(spend)s, %(level)s, %(reasons)s, %(next_url)s, 'waiting', %(opened_at)s, %(expires_at)s)
on conflict (partition, approval_id) do nothing
"""

FIND = """
select partition, approval_id, account_id, approver_id, kind, subject_id, canonical, spend, level, reasons, next_url,
    state, opened_at, expires_at, executes_at, ended_at, given_level
from approval.approvals where approval_id = %s
"""

LOCK = """
select partition, approval_id, account_id, approver_id, kind, subject_id, canonical, spend, level, reasons, next_url,
    state, opened_at, expires_at, executes_at, ended_at, given_level
from approval.approvals where approval_id = %s for no key update
"""

STATES = """
select distinct on (subject_id) subject_id, state
from approval.approvals where subject_id = any(%s::uuid[])
order by subject_id, opened_at desc
"""

OPEN_OF = """
select partition, approval_id, account_id, approver_id, kind, subject_id, canonical, spend, level, reasons, next_url,
    state, opened_at, expires_at, executes_at, ended_at, given_level
from approval.approvals
where subject_id = any(%s::uuid[]) and state in ('waiting', 'second', 'cooling')
order by partition, account_id, approval_id
"""

FOR_PERSON = """
select partition, approval_id, account_id, approver_id, kind, subject_id, canonical, spend, level, reasons, next_url,
    state, opened_at, expires_at, executes_at, ended_at, given_level
from approval.approvals
where state in ('waiting', 'second', 'cooling') and account_id = any(%(accounts)s::uuid[])
    and (state = 'cooling' or expires_at > %(at)s)
order by opened_at desc, approval_id
limit 100
"""

PUT = """
update approval.approvals set state = %(state)s, level = %(level)s, expires_at = %(expires_at)s,
    executes_at = %(executes_at)s, ended_at = %(ended_at)s, given_level = %(given_level)s
where partition = %(partition)s and approval_id = %(approval_id)s
"""

ADD_PROOF = """
insert into approval.evidence (partition, approval_id, n, account_id, role, method, given_at, session_id, passkey_id,
    signed, rp_id, origin, credential_id, public_key, authenticator_data, client_data, signature)
select %(partition)s, %(approval_id)s, coalesce(max(n), 0) + 1, %(account_id)s, %(role)s, %(method)s, %(given_at)s,
    %(session_id)s, %(passkey_id)s, %(signed)s, %(rp_id)s, %(origin)s, %(credential_id)s, %(public_key)s,
    %(authenticator_data)s, %(client_data)s, %(signature)s
from approval.evidence where partition = %(partition)s and approval_id = %(approval_id)s
"""

PROOFS = """
select n, account_id, role, method, given_at, session_id, passkey_id, signed, rp_id, origin, credential_id, public_key,
    authenticator_data, client_data, signature
from approval.evidence where partition = %s and approval_id = %s order by n
"""

EXPIRE = """
update approval.approvals set state = 'expired', ended_at = %(at)s
where (partition, approval_id) in (
    select partition, approval_id from approval.approvals
    where state in ('waiting', 'second') and expires_at <= %(at)s
    order by expires_at limit %(limit)s for no key update skip locked)
"""

COOLED = """
select approval_id from approval.approvals
where state = 'cooling' and executes_at <= %s order by executes_at limit %s
"""

TO_TELL = """
select partition, approval_id, kind, subject_id from approval.approvals
where ended_at is not null and advanced_at is null
order by ended_at limit %s
"""

TOLD = "update approval.approvals set advanced_at = %s where partition = %s and approval_id = %s"

CO_APPROVERS = """
select approver_id, holds_from, until from approval.co_approvers
where partition = %s and account_id = %s order by approver_id
"""

CO_APPROVED = "select account_id from approval.co_approvers where approver_id = %s order by account_id"

PUT_CO_APPROVER = """
insert into approval.co_approvers (partition, account_id, approver_id, since, holds_from) values (%s, %s, %s, %s, %s)
on conflict (partition, account_id, approver_id) do update set until = null
where approval.co_approvers.until is not null
"""

LEAVE_CO_APPROVER = """
update approval.co_approvers set until = %s
where partition = %s and account_id = %s and approver_id = %s and until is null
"""

REMOVE_CO_APPROVER = """
delete from approval.co_approvers where partition = %s and account_id = %s and approver_id = %s
"""

CO_APPROVERS_GONE = """
select partition, account_id, approver_id from approval.co_approvers where until <= %s order by until limit %s
"""

MARK_CO_APPROVED = """
update approval.accounts a set co_approved = exists (
    select 1 from approval.co_approvers c where c.partition = a.partition and c.account_id = a.account_id)
where partition = %s and account_id = %s
"""


def open_approval(tx: Tx, approval: Approval) -> bool:
    """Whether it was new."""
    values: dict[str, Any] = {
        "partition": approval.partition,
        "approval_id": approval.approval_id,
        "account_id": approval.account_id,
        "approver_id": approval.approver_id,
        "kind": approval.kind,
        "subject_id": approval.subject_id,
        "canonical": approval.canonical,
        "spend": None if approval.spend is None else json.dumps(_spend_text(approval.spend)),
        "level": int(approval.level),
        "reasons": list(approval.reasons),
        "next_url": approval.next_url,
        "opened_at": approval.opened_at,
        "expires_at": approval.expires_at,
    }
    return tx.execute(OPEN, values).rowcount == 1


def find_approval(tx: Tx, approval_id: UUID, *, lock: bool = False) -> Approval | None:
    row = tx.execute(LOCK if lock else FIND, (approval_id,)).fetchone()
    return None if row is None else _approval(row)


def fetch_states(tx: Tx, subject_ids: Collection[UUID]) -> dict[UUID, Phase]:
    return dict(tx.execute(STATES, (list(subject_ids),)).fetchall())


def list_open_of(tx: Tx, subject_ids: Collection[UUID]) -> list[Approval]:
    """Approvals of these subjects that stand open, in the order in which they are to be locked."""
    return [_approval(row) for row in tx.execute(OPEN_OF, (list(subject_ids),)).fetchall()]


def list_for(tx: Tx, account_ids: Collection[UUID], at: datetime) -> list[Approval]:
    """What stands open on these accounts, the newest first; at most 100."""
    values = {"accounts": list(account_ids), "at": at}
    return [_approval(row) for row in tx.execute(FOR_PERSON, values).fetchall()]


def put_approval(tx: Tx, approval: Approval) -> None:
    """Where an approval stands now."""
    values = {
        "partition": approval.partition,
        "approval_id": approval.approval_id,
        "state": approval.phase,
        "level": int(approval.level),
        "expires_at": approval.expires_at,
        "executes_at": approval.executes_at,
        "ended_at": approval.ended_at,
        "given_level": None if approval.given_level is None else int(approval.given_level),
    }
    assert tx.execute(PUT, values).rowcount == 1


def add_proof(tx: Tx, approval: Approval, proof: Proof) -> None:
    values = {field: getattr(proof, field) for field in Proof.__slots__ if field != "n"}
    tx.execute(ADD_PROOF, values | {"partition": approval.partition, "approval_id": approval.approval_id})


def list_proofs(tx: Tx, approval: Approval) -> list[Proof]:
    with tx.cursor(row_factory=class_row(Proof)) as cursor:
        return cursor.execute(PROOFS, (approval.partition, approval.approval_id)).fetchall()


def expire(tx: Tx, at: datetime, limit: int) -> int:
    """End those whose time is over; gives how many."""
    return tx.execute(EXPIRE, {"at": at, "limit": limit}).rowcount


def list_cooled(tx: Tx, at: datetime, limit: int) -> list[UUID]:
    return [row[0] for row in tx.execute(COOLED, (at, limit)).fetchall()]


def list_to_tell(tx: Tx, limit: int) -> list[tuple[int, UUID, str, UUID]]:
    """Those that ended and whose subject was not told: partition, approval, kind, subject."""
    return [(row[0], row[1], row[2], row[3]) for row in tx.execute(TO_TELL, (limit,)).fetchall()]


def mark_told(tx: Tx, partition: int, approval_id: UUID, at: datetime) -> None:
    tx.execute(TOLD, (at, partition, approval_id))


def co_approvers(tx: Tx, partition: int, account_id: UUID) -> list[SecondPerson]:
    """Whom this owner named, in the order of their ids."""
    with tx.cursor(row_factory=class_row(SecondPerson)) as cursor:
        return cursor.execute(CO_APPROVERS, (partition, account_id)).fetchall()


def co_approved_by(tx: Tx, approver_id: UUID) -> list[AccountId]:
    """The accounts whose owners want this person to agree."""
    return [AccountId(row[0]) for row in tx.execute(CO_APPROVED, (approver_id,)).fetchall()]


def put_co_approver(
    tx: Tx, partition: int, account_id: UUID, approver_id: UUID, at: datetime, holds_from: datetime
) -> bool:
    """Whether it was new, or was about to end."""
    values = (partition, account_id, approver_id, at, holds_from)
    new = tx.execute(PUT_CO_APPROVER, values).rowcount == 1
    tx.execute(MARK_CO_APPROVED, (partition, account_id))
    return new


def leave_co_approver(tx: Tx, partition: int, account_id: UUID, approver_id: UUID, until: datetime) -> None:
    tx.execute(LEAVE_CO_APPROVER, (until, partition, account_id, approver_id))


def remove_co_approver(tx: Tx, partition: int, account_id: UUID, approver_id: UUID) -> None:
    tx.execute(REMOVE_CO_APPROVER, (partition, account_id, approver_id))
    tx.execute(MARK_CO_APPROVED, (partition, account_id))


def mark_co_approved(tx: Tx, partition: int, account_id: UUID) -> None:
    """Work out anew whether this account has a second person."""
    tx.execute(MARK_CO_APPROVED, (partition, account_id))


def list_gone_co_approvers(tx: Tx, at: datetime, limit: int) -> list[tuple[int, AccountId, AccountId]]:
    """Those whose time is over: partition, owner, second person."""
    rows = tx.execute(CO_APPROVERS_GONE, (at, limit)).fetchall()
    return [(row[0], AccountId(row[1]), AccountId(row[2])) for row in rows]


def _approval(row: Sequence[Any]) -> Approval:
    return Approval(
        partition=row[0],
        approval_id=row[1],
        account_id=row[2],
        approver_id=row[3],
        kind=row[4],
        subject_id=row[5],
        canonical=row[6],
        spend=None if row[7] is None else _spend(row[7], row[0]),
        level=ApprovalLevel(row[8]),
        reasons=tuple(row[9]),
        next_url=row[10],
        phase=row[11],
        opened_at=row[12],
        expires_at=row[13],
        executes_at=row[14],
        ended_at=row[15],
        given_level=None if row[16] is None else ApprovalLevel(row[16]),
    )


def _spend_text(spend: Spend) -> dict[str, Any]:
    return {
        "spend_id": str(spend.spend_id),
        "account_id": str(spend.account_id),
        "minor": spend.amount.minor,
        "currency": spend.amount.currency,
        "payee_key": spend.payee_key,
        "payee_name": spend.payee_name,
        "channel": spend.channel.value,
        "category": spend.category,
        "credential_at": None if spend.credential_at is None else spend.credential_at.isoformat(),
        "by": None if spend.by is None else str(spend.by),
        "mandate_id": None if spend.mandate_id is None else str(spend.mandate_id),
    }


def _spend(said: dict[str, Any], partition: int) -> Spend:
    return Spend(
        spend_id=UUID(said["spend_id"]),
        account_id=AccountId(UUID(said["account_id"])),
        amount=Money(said["minor"], said["currency"]),
        payee_key=said["payee_key"],
        payee_name=said["payee_name"],
        channel=Channel(said["channel"]),
        category=said["category"],
        credential_at=None
        if said["credential_at"] is None
        else datetime.fromisoformat(said["credential_at"]),
        by=None if said["by"] is None else AccountId(UUID(said["by"])),
        mandate_id=None if said["mandate_id"] is None else UUID(said["mandate_id"]),
        partition=partition,
    )
