"""All that this room keeps of a person, for the person: read whole. No hash of a PIN, no secret of anybody else."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa import identity
from hansa.approval.delegations_used import code_wallet_of
from hansa.approval.grants import find_mandates
from hansa.approval.limits import Limit
from hansa.approval.mandates_pulls import Pull, list_pulls
from hansa.approval.standing import Delegation, Mandate
from hansa.approval.store import fetch_limits
from hansa.identity import AccountId
from hansa.store import Tx

PAGE = 500

SECOND_PEOPLE = """
select account_id, approver_id, since, holds_from, until from approval.co_approvers
where account_id = %(me)s or approver_id = %(me)s order by since, account_id, approver_id
"""

PAID = """
select payee_key, first_at from approval.payees
where partition = %s and account_id = %s order by first_at, payee_key
"""

APPROVALS = """
select a.approval_id, a.account_id, a.approver_id, a.kind, convert_from(a.canonical, 'UTF8') as shown, a.state,
    a.opened_at, a.ended_at, array(
        select concat_ws(', ', e.role, e.method, to_char(e.given_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'))
        from approval.evidence e
        where (e.partition, e.approval_id, e.account_id) = (a.partition, a.approval_id, %(me)s) order by e.n) as given
from approval.approvals a
where a.account_id = any(%(accounts)s) and (%(me)s in (a.account_id, a.approver_id) or exists (
    select from approval.evidence e
    where (e.partition, e.approval_id, e.account_id) = (a.partition, a.approval_id, %(me)s)))
order by a.opened_at, a.approval_id
"""

DELEGATIONS = """
select partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor, day_minor, month_minor,
    ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at, holds_from, ends_at,
    revoked_at, delegate_frozen, given_at, asked_by
from approval.delegations where (partition = %(partition)s and account_id = %(me)s) or delegate_id = %(me)s
order by granted_at, delegation_id
"""


@dataclass(frozen=True, slots=True)
class NamedPerson:
    """Whom an owner named to agree to large payments: you, or whom you named."""

    account_id: AccountId
    approver_id: AccountId
    since: datetime
    holds_from: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class PaidPayee:
    """Whom you paid, and since when."""

    payee_key: str
    first_at: datetime


@dataclass(frozen=True, slots=True)
class OwnApproval:
    """What you were asked to approve. shown: as it was shown and signed. given: by you, each with how and when."""

    approval_id: UUID
    account_id: AccountId
    approver_id: AccountId
    kind: str
    shown: str
    state: str
    opened_at: datetime
    ended_at: datetime | None
    given: list[str]


def second_people_of(tx: Tx, account_id: AccountId) -> list[NamedPerson]:
    """Whom the person named, and who named them."""
    with tx.cursor(row_factory=class_row(NamedPerson)) as cursor:
        return cursor.execute(SECOND_PEOPLE, {"me": account_id}).fetchall()


def limits(tx: Tx, account_id: AccountId, partition: int) -> list[Limit]:
    """What the person set themselves."""
    return fetch_limits(tx, [(partition, account_id)]).get(account_id, [])


def paid(tx: Tx, account_id: AccountId, partition: int) -> list[PaidPayee]:
    """Whom the person has paid."""
    with tx.cursor(row_factory=class_row(PaidPayee)) as cursor:
        return cursor.execute(PAID, (partition, account_id)).fetchall()


def approvals(tx: Tx, account_id: AccountId, partition: int) -> list[OwnApproval]:
    """What the person was asked to approve, for themselves, from others' wallets, or as a second person."""
    owners = {one.account_id for one in delegations(tx, account_id, partition)}
    owners |= {one.account_id for one in second_people_of(tx, account_id)}
    owners |= {one.ward_id for one in identity.list_guardianships(tx, account_id)}
    values = {"me": account_id, "accounts": sorted(owners | {account_id})}
    with tx.cursor(row_factory=class_row(OwnApproval)) as cursor:
        return cursor.execute(APPROVALS, values).fetchall()


def delegations(tx: Tx, account_id: AccountId, partition: int) -> list[Delegation]:
    """What the person let others spend, and others let them, whatever became of it."""
    with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        return cursor.execute(DELEGATIONS, {"me": account_id, "partition": partition}).fetchall()


def mandates(tx: Tx, account_id: AccountId) -> list[Mandate]:
    """What the person let payees take."""
    found: list[Mandate] = []
    while page := find_mandates(
        tx, payer=account_id, after=found[-1].mandate_id if found else None, limit=PAGE
    ):
        found += page
    return found


def pulls(tx: Tx, account_id: AccountId) -> list[Pull]:
    """What payees announced under them."""
    found: list[Pull] = []
    for mandate in mandates(tx, account_id):
        before: tuple[datetime, UUID] | None = None
        while page := list_pulls(tx, mandate.mandate_id, before=before, limit=PAGE):
            found += page
            before = (page[-1].due_at, page[-1].pull_id)
    return found


def code_wallet(tx: Tx, account_id: AccountId, partition: int) -> AccountId | None:
    """From whose wallet the person's codes pay; None: from their own."""
    return code_wallet_of(tx, partition, account_id)
