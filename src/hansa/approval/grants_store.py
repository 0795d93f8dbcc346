"""The SQL of delegations and mandates."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from hansa.approval.standing import Delegation, Mandate
from hansa.store import Tx

ADD_DELEGATION = """
insert into approval.delegations (partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor,
    day_minor, month_minor, ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at,
    holds_from, ends_at, given_at, asked_by, replaces, delegate_frozen)
values (%(partition)s, %(delegation_id)s, %(account_id)s, %(delegate_id)s, %(kind)s, %(currency)s, %(payment_minor)s,
    %(day_minor)s, %(month_minor)s, %(ask_above_minor)s, %(categories)s, %(categories_denied)s, %(payees)s,
    %(from_hour)s, %(to_hour)s, %(granted_at)s, %(holds_from)s,
    %(ends_at)s, %(given_at)s, %(asked_by)s, %(replaces)s, exists (
        select from approval.accounts f
        where (f.partition, f.account_id) = (%(delegate_partition)s, %(delegate_id)s) and f.frozen_at is not null))
on conflict (partition, delegation_id) do nothing
"""

DELEGATION = """
select partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor, day_minor, month_minor,
    ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at, holds_from, ends_at,
    revoked_at, delegate_frozen, given_at, asked_by, replaces, replaced_at
from approval.delegations where partition = %s and delegation_id = %s
"""

DELEGATIONS_OF = """
select partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor, day_minor, month_minor,
    ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at, holds_from, ends_at,
    revoked_at, delegate_frozen, given_at, asked_by, replaces, replaced_at
from approval.delegations where partition = %s and account_id = %s
order by granted_at desc, delegation_id limit 100
"""

DELEGATIONS_TO = """
select partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor, day_minor, month_minor,
    ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at, holds_from, ends_at,
    revoked_at, delegate_frozen, given_at, asked_by, replaces, replaced_at
from approval.delegations where delegate_id = %s and revoked_at is null and given_at is not null
order by granted_at desc, delegation_id limit 100
"""

DELEGATIONS_WITH = """
select partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor, day_minor, month_minor,
    ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at, holds_from, ends_at,
    revoked_at, delegate_frozen, given_at, asked_by, replaces, replaced_at
from approval.delegations
where ((partition = %(partition)s and account_id = %(person)s)
        or (delegate_id = %(person)s and revoked_at is null and given_at is not null))
    and (%(only)s::uuid is null or delegation_id = %(only)s)
    and (%(at)s::timestamptz is null or (granted_at, delegation_id) < (%(at)s, %(which)s::uuid))
order by granted_at desc, delegation_id desc limit %(limit)s
"""

DELEGATIONS_ASKED = """
select partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor, day_minor, month_minor,
    ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at, holds_from, ends_at,
    revoked_at, delegate_frozen, given_at, asked_by, replaces, replaced_at
from approval.delegations
where asked_by = %(member)s and asked_by <> ''
    and (%(only)s::uuid is null or delegation_id = %(only)s)
    and (%(at)s::timestamptz is null or (granted_at, delegation_id) < (%(at)s, %(which)s::uuid))
order by granted_at desc, delegation_id desc limit %(limit)s
"""

REVOKE_DELEGATION = """
update approval.delegations set revoked_at = %s, revoked_by = %s
where partition = %s and delegation_id = %s and revoked_at is null
"""

LIVE_DELEGATIONS = """
select partition, delegation_id, account_id, delegate_id, kind, currency, payment_minor, day_minor, month_minor,
    ask_above_minor, categories, categories_denied, payees, from_hour, to_hour, granted_at, holds_from, ends_at,
    revoked_at, delegate_frozen, given_at, asked_by, replaces, replaced_at
from approval.delegations
where partition = %(partition)s and account_id = %(account_id)s and delegate_id = %(delegate_id)s
    and currency = %(currency)s and delegation_id <> %(delegation_id)s
    and revoked_at is null and given_at is not null and least(ends_at, replaced_at) > %(at)s
order by granted_at desc, delegation_id
"""

REPLACE_DELEGATION = """
update approval.delegations set replaced_at = least(replaced_at, %s) where partition = %s and delegation_id = %s
"""

GIVE_DELEGATION = """
update approval.delegations set given_at = %s, holds_from = %s
where partition = %s and delegation_id = %s and given_at is null and revoked_at is null
"""

MARK_FROZEN = (
    "update approval.delegations set delegate_frozen = %s where delegate_id = %s and delegate_frozen <> %s"
)

ADD_MANDATE = """
insert into approval.mandates (partition, mandate_id, account_id, payee_key, payee_name, member_id, reference,
    currency, each_minor, period, period_minor, asked_at, holds_from, ends_at, notice_h, lead_h, retry_d)
values (%(partition)s, %(mandate_id)s, %(account_id)s, %(payee_key)s, %(payee_name)s, %(member_id)s, %(reference)s,
    %(currency)s, %(each_minor)s, %(period)s, %(period_minor)s, %(asked_at)s, %(holds_from)s, %(ends_at)s,
    %(notice_h)s, %(lead_h)s, %(retry_d)s)
on conflict (partition, mandate_id) do nothing
"""

MANDATE = """
select partition, mandate_id, account_id, payee_key, payee_name, member_id, reference, currency, each_minor, period,
    period_minor, asked_at, holds_from, ends_at, revoked_at, revoked_by, notice_h, lead_h, paused_until, retry_d
from approval.mandates where mandate_id = %s
"""

FIND_MANDATES = """
select partition, mandate_id, account_id, payee_key, payee_name, member_id, reference, currency, each_minor, period,
    period_minor, asked_at, holds_from, ends_at, revoked_at, revoked_by, notice_h, lead_h, paused_until, retry_d
from approval.mandates
where (%(account_id)s::uuid is null or account_id = %(account_id)s)
    and (%(member_id)s::text is null or member_id = %(member_id)s)
    and (%(payee_key)s::text is null or payee_key = %(payee_key)s)
    and (%(after)s::uuid is null or (asked_at, mandate_id) < (
        select asked_at, mandate_id from approval.mandates where mandate_id = %(after)s limit 1))
order by asked_at desc, mandate_id desc limit %(limit)s
"""

GIVE_MANDATE = """
update approval.mandates set holds_from = %s where partition = %s and mandate_id = %s and holds_from is null
    and revoked_at is null
"""

REVOKE_MANDATE = """
update approval.mandates set revoked_at = %s, revoked_by = %s
where partition = %s and mandate_id = %s and revoked_at is null
"""

# What a mandate that is over leaves: a try that was counted against limits is under way, and ends by itself.
CALL_OFF = """
update approval.pulls p set state = 'called_off', ended_at = %(at)s, reason = %(reason)s, remind_at = null
where p.partition = %(partition)s and p.mandate_id = %(mandate_id)s and p.state = 'announced'
    and not exists (select from approval.uses u
        where u.partition = p.partition and u.spend_id = p.payment_id and u.given_back_at is null)
"""
_DELEGATION_FIELDS = tuple(
    one for one in Delegation.__slots__ if one not in ("revoked_at", "delegate_frozen", "replaced_at")
)
_MANDATE_FIELDS = tuple(
    one for one in Mandate.__slots__ if one not in ("revoked_at", "revoked_by", "paused_until", "unannounced")
)


def add_delegation(tx: Tx, delegation: Delegation, *, delegate_partition: int) -> bool:
    """Whether it was new. A delegate who froze their own spending begins frozen here too."""
    values = {name: getattr(delegation, name) for name in _DELEGATION_FIELDS}
    values |= {name: list(values[name]) for name in ("categories", "categories_denied", "payees")}
    values["delegate_partition"] = delegate_partition
    return tx.execute(ADD_DELEGATION, values).rowcount == 1


def find_delegation(tx: Tx, partition: int, delegation_id: UUID) -> Delegation | None:
    with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        return cursor.execute(DELEGATION, (partition, delegation_id)).fetchone()


def delegations_of(tx: Tx, partition: int, account_id: UUID) -> list[Delegation]:
    with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        return cursor.execute(DELEGATIONS_OF, (partition, account_id)).fetchall()


def delegations_to(tx: Tx, delegate_id: UUID) -> list[Delegation]:
    """What others let this person spend, and did not revoke."""
    with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        return cursor.execute(DELEGATIONS_TO, (delegate_id,)).fetchall()


def live_delegations(tx: Tx, one: Delegation, at: datetime) -> list[Delegation]:
    """The others from the same wallet to the same person, in the same currency, that were given and are not over."""
    values = {
        "partition": one.partition,
        "account_id": one.account_id,
        "delegate_id": one.delegate_id,
        "currency": one.currency,
        "delegation_id": one.delegation_id,
        "at": at,
    }
    with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        return cursor.execute(LIVE_DELEGATIONS, values).fetchall()


def replace_delegation(tx: Tx, one: Delegation, at: datetime) -> None:
    """From then on another holds in its place, or from before, where that was said already."""
    tx.execute(REPLACE_DELEGATION, (at, one.partition, one.delegation_id))


def find_delegations(
    tx: Tx,
    *,
    person: tuple[int, UUID] | None,
    member: str,
    only: UUID | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Delegation]:
    """Those of a person, by partition and account, or those that a member asked for."""
    partition, account_id = (None, None) if person is None else person
    at, which = (None, None) if before is None else before
    values = {
        "partition": partition,
        "person": account_id,
        "member": member,
        "only": only,
        "at": at,
        "which": which,
    }
    with tx.cursor(row_factory=class_row(Delegation)) as cursor:
        return cursor.execute(
            DELEGATIONS_ASKED if person is None else DELEGATIONS_WITH, values | {"limit": limit}
        ).fetchall()


def revoke_delegation(tx: Tx, partition: int, delegation_id: UUID, by: UUID, at: datetime) -> bool:
    return tx.execute(REVOKE_DELEGATION, (at, by, partition, delegation_id)).rowcount == 1


def give_delegation(tx: Tx, delegation: Delegation, at: datetime, holds_from: datetime) -> bool:
    """Whether its owner gives it now, and did not before."""
    values = (at, holds_from, delegation.partition, delegation.delegation_id)
    return tx.execute(GIVE_DELEGATION, values).rowcount == 1


def mark_delegate_frozen(tx: Tx, delegate_id: UUID, *, frozen: bool) -> None:
    """A delegate who froze their own spending spends from nobody else's wallet either."""
    tx.execute(MARK_FROZEN, (frozen, delegate_id, frozen))


def add_mandate(tx: Tx, mandate: Mandate) -> bool:
    """Whether it was new."""
    values = {name: getattr(mandate, name) for name in _MANDATE_FIELDS}
    return tx.execute(ADD_MANDATE, values | {"retry_d": list(mandate.retry_d)}).rowcount == 1


def find_mandate(tx: Tx, mandate_id: UUID) -> Mandate | None:
    with tx.cursor(row_factory=class_row(Mandate)) as cursor:
        return cursor.execute(MANDATE, (mandate_id,)).fetchone()


def find_mandates(
    tx: Tx,
    *,
    account_id: UUID | None,
    member_id: str | None,
    payee_key: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Mandate]:
    values = {
        "account_id": account_id, "member_id": member_id, "payee_key": payee_key, "after": after, "limit": limit,
    }  # fmt: skip
    with tx.cursor(row_factory=class_row(Mandate)) as cursor:
        return cursor.execute(FIND_MANDATES, values).fetchall()


def give_mandate(tx: Tx, partition: int, mandate_id: UUID, at: datetime) -> bool:
    return tx.execute(GIVE_MANDATE, (at, partition, mandate_id)).rowcount == 1


def revoke_mandate(tx: Tx, partition: int, mandate_id: UUID, by: str, at: datetime) -> bool:
    return tx.execute(REVOKE_MANDATE, (at, by, partition, mandate_id)).rowcount == 1


def call_off_pulls(tx: Tx, mandate: Mandate, at: datetime, reason: str) -> int:
    """End what waits under a mandate that was taken back, so that none of it is tried again; gives how many."""
    values = {"at": at, "reason": reason, "partition": mandate.partition, "mandate_id": mandate.mandate_id}
    return tx.execute(CALL_OFF, values).rowcount
