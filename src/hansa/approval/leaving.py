"""What ends with an account that is deleted: delegations of both sides, mandates, second people, the PIN."""

from uuid import UUID

from hansa.approval import approvals_store, own_data
from hansa.approval.changes import add_change
from hansa.approval.grants import revoke_delegation, revoke_mandate
from hansa.identity import AccountId
from hansa.store import Context

NAMED_BY = """
delete from approval.co_approvers where account_id = %(me)s or approver_id = %(me)s
returning partition, account_id, approver_id
"""

FORGET = """
with codes as (
    delete from approval.code_wallets where partition = %(partition)s and account_id = %(me)s
)
delete from approval.pins where partition = %(partition)s and account_id = %(me)s
"""


def leave(ctx: Context, account_id: AccountId) -> None:
    """End all that this account let others do and was let do itself; each who is concerned is told. Again is harmless.

    What was spent stays, with who spent it. Killed anywhere, it is done again from the beginning.
    """
    at, partition = ctx.clock.now(), ctx.directory.partition_of(account_id)
    with ctx.tx() as tx:
        grants = own_data.delegations(tx, account_id, partition)
        mandates = own_data.mandates(tx, account_id)
    for one in grants:
        if one.state(at) in ("asked", "waiting", "active"):
            revoke_delegation(ctx, one.delegation_id, account_id, one.account_id)
    for one in mandates:
        if one.state(at) in ("asked", "active"):
            revoke_mandate(ctx, one.mandate_id, payer=account_id)
    with ctx.tx() as tx:
        gone: list[tuple[int, UUID, UUID]] = tx.execute(NAMED_BY, {"me": account_id}).fetchall()
        for owner_partition, owner_id, approver_id in sorted(gone):
            owner = AccountId(owner_id)
            approvals_store.mark_co_approved(tx, owner_partition, owner)
            if owner != account_id:
                add_change(
                    tx,
                    owner_partition,
                    owner,
                    "co_approver_removed",
                    at=at,
                    by="delegate",
                    other_id=AccountId(approver_id),
                )
        tx.execute(FORGET, {"me": account_id, "partition": partition})
