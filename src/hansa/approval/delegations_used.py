"""What delegates spent from owners' wallets, what is left to them, and from whose wallet a person's codes pay."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from hansa.approval import store
from hansa.approval.counting import empty, moment_of, rolled
from hansa.approval.deciding import lock_account
from hansa.approval.grants import use_delegation
from hansa.approval.model import Holder, NotDelegated
from hansa.approval.standing import Delegation
from hansa.identity import AccountId
from hansa.kernel import Money
from hansa.store import Context, Tx

SPENT_BY = """
select u.spend_id, d.delegate_id
from unnest(%s::integer[], %s::uuid[]) as w (partition, spend_id)
join approval.uses u on u.partition = w.partition and u.spend_id = w.spend_id
join approval.delegations d on d.partition = u.partition and d.delegation_id = u.under_id
"""

LIST_SPENT = """
select u.spend_id, u.account_id, d.delegate_id, d.delegation_id, u.at, u.minor, u.currency, u.payee_key, u.channel
from approval.uses u
join approval.delegations d on d.partition = u.partition and d.delegation_id = u.under_id
where u.partition = %(partition)s and u.account_id = %(owner)s and u.at > %(since)s and u.given_back_at is null
    and (%(delegate)s::uuid is null or d.delegate_id = %(delegate)s)
order by u.at desc, u.spend_id desc limit %(limit)s
"""

SET_CODE_WALLET = """
insert into approval.code_wallets (partition, account_id, owner_id, set_at) values (%s, %s, %s, %s)
on conflict (partition, account_id) do update set owner_id = excluded.owner_id, set_at = excluded.set_at
"""
CLEAR_CODE_WALLET = "delete from approval.code_wallets where partition = %s and account_id = %s"
ZONE = "select zone from approval.accounts where partition = %s and account_id = %s"
CODE_WALLET = "select owner_id from approval.code_wallets where partition = %s and account_id = %s"

SHOWN_FOR = timedelta(days=92)
"""How far back what delegates spent is listed."""


@dataclass(frozen=True, slots=True)
class DelegatedSpend:
    """Something that a delegate spent from an owner's wallet, and that was not given back.

    spend_id: of the payment's try or the transfer. payee_key: ``payee:…`` or ``account:…``.
    """

    spend_id: UUID
    account_id: AccountId
    delegate_id: AccountId
    delegation_id: UUID
    at: datetime
    minor: int
    currency: str
    payee_key: str
    channel: str

    @property
    def amount(self) -> Money:
        """What left the wallet."""
        return Money(self.minor, self.currency)


@dataclass(frozen=True, slots=True)
class DelegationLeft:
    """What a delegation leaves now: of one payment, of today, of this month. The owner's own limits may leave less."""

    payment: Money
    day: Money
    month: Money


def spent_by(tx: Tx, spends: Collection[tuple[int, UUID]]) -> dict[UUID, AccountId]:
    """Which delegate spent each of these, for those that one did. spends: partition of the wallet, and spend."""
    if not spends:
        return {}
    values = ([partition for partition, _ in spends], [spend_id for _, spend_id in spends])
    return {spend_id: AccountId(one) for spend_id, one in tx.execute(SPENT_BY, values).fetchall()}


def list_spent(
    tx: Tx,
    partition: int,
    owner_id: AccountId,
    at: datetime,
    *,
    delegate_id: AccountId | None = None,
    limit: int = 50,
) -> list[DelegatedSpend]:
    """What delegates spent from this wallet in the last 92 days, the latest first; of one of them, if named."""
    values = {
        "partition": partition, "owner": owner_id, "delegate": delegate_id, "since": at - SHOWN_FOR, "limit": limit,
    }  # fmt: skip
    with tx.cursor(row_factory=class_row(DelegatedSpend)) as cursor:
        return cursor.execute(LIST_SPENT, values).fetchall()


def left_of(tx: Tx, delegation: Delegation, at: datetime) -> DelegationLeft:
    """What this delegation leaves now, by its owner's days and months."""
    holder = Holder(delegation.partition, delegation.delegation_id, delegation.currency)
    found = store.fetch_counters(tx, [(delegation.partition, delegation.delegation_id)]).get(holder)
    row = tx.execute(ZONE, (delegation.partition, delegation.account_id)).fetchone()
    moment = moment_of(at, "UTC" if row is None else row[0])
    counter = empty(moment, moment.month) if found is None else rolled(found, moment, moment.month)

    def money(minor: int) -> Money:
        return Money(max(0, minor), delegation.currency)

    day = delegation.day_minor - counter.day_minor
    month = delegation.month_minor - counter.period_minor
    return DelegationLeft(
        money(min(delegation.payment_minor, day, month)), money(min(day, month)), money(month)
    )


def set_code_wallet(ctx: Context, person_id: AccountId, owner_id: AccountId | None) -> None:
    """From now on this person's codes pay from that owner's wallet; None: from their own. Again is harmless.

    Errors: NotDelegated where the owner does not let them spend now; nothing is changed then.
    """
    at = ctx.clock.now()
    partition = ctx.directory.partition_of(person_id)
    with ctx.tx() as tx:
        lock_account(tx, partition, person_id)
        if owner_id is None or owner_id == person_id:
            tx.execute(CLEAR_CODE_WALLET, (partition, person_id))
            return
        if use_delegation(tx, owner_id, person_id, at) is None:
            raise NotDelegated
        tx.execute(SET_CODE_WALLET, (partition, person_id, owner_id, at))


def code_wallet_of(tx: Tx, partition: int, person_id: AccountId) -> AccountId | None:
    """From whose wallet this person's codes pay; None: from their own. It stays when the owner ends it: codes are
    refused then, rather than paid from another wallet than was chosen.
    """
    row = tx.execute(CODE_WALLET, (partition, person_id)).fetchone()
    return None if row is None else AccountId(row[0])
