"""Deletions: a person wants to go. Asked, thought over for 14 days, carried out, and then their data key is destroyed.

What the books hold stays, under an id that nobody can lead back to a person any more: sums, proofs and receipts keep
holding. What stands in the way (money, debts, disputes) is found by those who know it and handed in here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal, NewType
from uuid import UUID

from psycopg.rows import class_row

from hansa import webhooks
from hansa.identity import contacts_store, guardians_store, persons_store, proofing_store
from hansa.identity.actions import get_account
from hansa.identity.model import AccountId
from hansa.identity.persons_model import AccountClosed
from hansa.identity.phone_store import lock_account
from hansa.identity.proofing import leave_person
from hansa.kernel import HansaError
from hansa.store import Tx

DeletionId = NewType("DeletionId", UUID)
DeletionState = Literal["asked", "canceled", "closed", "erased"]

COOLING = timedelta(days=14)
"""How long a person has to think again."""

LOOK_AGAIN = timedelta(hours=6)
"""When a deletion that something stood in the way of is looked at again."""

NOBODY = "Deleted account"
"""What an account is called from then on."""

ASK = """
insert into identity.deletions (deletion_id, account_id, state, asked_at, due_at) values (%s, %s, 'asked', %s, %s)
on conflict do nothing
"""

LATEST = """
select deletion_id, account_id, state, asked_at, due_at, looked_at, obstacles, canceled_at, closed_at, erase_at,
    erased_at
from identity.deletions where account_id = %s order by state = 'canceled', asked_at desc, deletion_id limit 1
"""

CANCEL = """
update identity.deletions set state = 'canceled', canceled_at = %s where account_id = %s and state = 'asked'
"""

DUE = """
select deletion_id, account_id, state, asked_at, due_at, looked_at, obstacles, canceled_at, closed_at, erase_at,
    erased_at
from identity.deletions
where state = 'asked' and due_at <= %(at)s and (looked_at is null or looked_at <= %(again)s)
order by due_at, deletion_id limit %(limit)s
"""

TO_ERASE = """
select account_id from identity.deletions where state = 'closed' and erase_at <= %s order by erase_at limit %s
"""

LOOKED = (
    "update identity.deletions set looked_at = %s, obstacles = %s where account_id = %s and state = 'asked'"
)

CLOSED = """
update identity.deletions set state = 'closed', closed_at = %s, erase_at = %s, obstacles = '{}', looked_at = %s
where account_id = %s and state = 'asked'
"""

ERASED = "update identity.deletions set state = 'erased', erased_at = %s where account_id = %s and state = 'closed'"

CLOSE_ACCOUNT = (
    "update identity.accounts set name = %s, language = 'en', closed_at = %s where account_id = %s"
)

END_WAYS_IN = """
with nonces as (
    delete from identity.nonces where account_id = %(account)s
), challenges as (
    delete from identity.challenges where account_id = %(account)s
), codes as (
    delete from identity.recovery_codes where account_id = %(account)s
), recoveries as (
    update identity.recoveries set said_name = '', device = '',
        canceled_at = case when finished_at is null then coalesce(canceled_at, %(at)s) end
    where account_id = %(account)s
), passkeys as (
    update identity.passkeys set name = 'Passkey', ended_at = coalesce(ended_at, %(at)s),
        ended_for = coalesce(ended_for, 'deleted')
    where account_id = %(account)s
)
delete from identity.sessions where account_id = %(account)s
"""

UNNAME_PHONES = "update identity.phones set name = 'Phone' where account_id = %s"

ERASE_BOXES = """
with codes as (
    delete from identity.contact_codes where contact_id in (
        select contact_id from identity.contacts where account_id = %(account)s)
), births as (
    delete from identity.births where account_id = %(account)s
), questions as (
    update identity.proofings set question = null, evidence = null where account_id = %(account)s
), accesses as (
    delete from identity.accesses where account_id = %(account)s
), events as (
    delete from identity.security_events where account_id = %(account)s
), standings as (
    update identity.standings set reason = 'deleted' where account_id = %(account)s
)
delete from identity.contacts where account_id = %(account)s
"""


class DeletionBlocked(HansaError):
    """Something stands in the way of deleting this account; `problems` names each with what to do about it."""

    code: ClassVar[str] = "identity.deletion_blocked"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Settle each of them as `problems` says, then ask again."
    next_action: ClassVar[str] = "read_again"
    user_message: ClassVar[str] = "Something must be settled before your account can be deleted."


class NoDeletion(HansaError):
    """No deletion of this account waits that could be taken back."""

    code: ClassVar[str] = "identity.no_deletion"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Read GET /wallet/me/data: a deletion that was carried out stays."
    user_message: ClassVar[str] = "No deletion waits that could be taken back."


@dataclass(frozen=True, slots=True)
class Deletion:
    """How far a person's wish to go has come. obstacles: codes of what stood in the way when last looked at.

    closed_at: when nobody could sign in any more. erase_at: until when law wants the proof of the name kept, sealed.
    """

    deletion_id: DeletionId
    account_id: AccountId
    state: DeletionState
    asked_at: datetime
    due_at: datetime
    looked_at: datetime | None
    obstacles: list[str]
    canceled_at: datetime | None
    closed_at: datetime | None
    erase_at: datetime | None
    erased_at: datetime | None


def ask_deletion(tx: Tx, deletion_id: UUID, account_id: AccountId, at: datetime) -> Deletion:
    """Keep that this person wants to go. Again, while it waits, is harmless and moves nothing.

    What stands in the way is the caller's to look for first. Errors: UnknownAccount, AccountClosed.
    """
    get_account(tx, account_id)
    lock_account(tx, account_id)
    if persons_store.closed_at(tx, account_id) is not None:
        raise AccountClosed
    if tx.execute(ASK, (deletion_id, account_id, at, at + COOLING)).rowcount:
        told = webhooks.ForPerson(
            account_id=account_id,
            kind="security.deletion_asked",
            at=at,
            subject="deletion",
            facts={"until": {"at": (at + COOLING).isoformat()}},
            fact=(deletion_id,),
        )
        webhooks.tell(tx, told)
    found = find_deletion(tx, account_id)
    assert found is not None
    return found


def cancel_deletion(tx: Tx, account_id: AccountId, at: datetime) -> Deletion:
    """Take the wish back, while it has not been carried out. Errors: NoDeletion."""
    if tx.execute(CANCEL, (at, account_id)).rowcount == 0:
        raise NoDeletion
    found = find_deletion(tx, account_id)
    assert found is not None
    return found


def find_deletion(tx: Tx, account_id: AccountId) -> Deletion | None:
    """The latest wish of this person to go, whatever became of it."""
    return tx.cursor(row_factory=class_row(Deletion)).execute(LATEST, (account_id,)).fetchone()


def due_deletions(tx: Tx, at: datetime, *, limit: int = 50) -> list[Deletion]:
    """Those whose time to think is over, oldest first; one that was blocked comes again after six hours."""
    values = {"at": at, "again": at - LOOK_AGAIN, "limit": limit}
    return tx.cursor(row_factory=class_row(Deletion)).execute(DUE, values).fetchall()


def note_obstacles(tx: Tx, account_id: AccountId, codes: Sequence[str], at: datetime) -> None:
    """Keep what stands in the way of a deletion that is due."""
    tx.execute(LOOKED, (at, list(codes), account_id))


def close_account(tx: Tx, account_id: AccountId, *, at: datetime, erase_at: datetime) -> bool:
    """Carry a deletion out: names go, sign-ins, contacts and guardianships end. False when none waits any more.

    erase_at: when the data key is destroyed; now, or later where law wants the proof of the name kept.
    """
    lock_account(tx, account_id)
    if tx.execute(CLOSED, (at, erase_at, at, account_id)).rowcount == 0:
        return False
    tx.execute(CLOSE_ACCOUNT, (NOBODY, at, account_id))
    tx.execute(END_WAYS_IN, {"account": account_id, "at": at})
    tx.execute(UNNAME_PHONES, (account_id,))
    contacts_store.end(
        tx, [row.contact_id for row in contacts_store.of_account(tx, account_id)], "deleted", at
    )
    guardianships = guardians_store.of_account(tx, account_id)
    guardians_store.end(tx, [one.guardianship_id for one in guardianships], "deleted", at)
    if erase_at <= at:
        erase(tx, account_id, at)
    return True


def erase_due(tx: Tx, at: datetime, *, limit: int = 50) -> int:
    """Destroy the data keys of closed accounts whose proof need be kept no longer; how many."""
    due = [AccountId(row[0]) for row in tx.execute(TO_ERASE, (at, limit))]
    for account_id in due:
        erase(tx, account_id, at)
    return len(due)


def erase(tx: Tx, account_id: AccountId, at: datetime) -> None:
    """Destroy the data key and all that it sealed: nobody can read it any more, here or in a copy whose key is gone.

    What was agreed to stays, as an id and a day: a member must be able to show that it was.
    """
    proofing_store.end(tx, account_id, "deleted", at=at)
    leave_person(tx, account_id)
    tx.execute(ERASE_BOXES, {"account": account_id})
    persons_store.destroy_key(tx, account_id)
    tx.execute(ERASED, (at, account_id))
