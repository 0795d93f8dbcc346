"""HTTP for issuers: what their people sent, paid in by bank and paid out, under the account's own address.

Each look at a person's money by a program is kept for the person to read (`identity.saw`).
"""

from datetime import datetime
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from hansa import identity, trust
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, read_mark
from hansa.store import Context, Tx
from hansa.wallets import bank_model as bank
from hansa.wallets import top_ups, transfers, withdrawals
from hansa.wallets.routes import (
    After,
    Limit,
    OwnTopUps,
    OwnTopUpView,
    TransferPage,
    Withdrawals,
    person_of,
    top_up_page,
    top_up_view,
    transfer_page,
    withdrawal_page,
)

LISTS = {"needs": "payments:read", "refuses": (identity.UnknownAccount, InvalidInput)}


@get("/v1/wallets/{account_id:uuid}/transfers", sync_to_thread=True, tags=["Wallets"], opt=LISTS)
def list_transfers_of(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: FromPath[UUID],
    after: After = "",
    limit: Limit = 50,
) -> TransferPage:
    """What one of your people sent to others, newest first."""
    caller.require("payments:read")
    before = read_mark(after)
    with ctx.tx() as tx:
        owner, partition = _account(ctx, tx, caller, account_id)
        found = transfers.list_sent(tx, owner, partition=partition, limit=limit + 1, before=before)
    return transfer_page(found, limit)


@get("/v1/wallets/{account_id:uuid}/withdrawals", sync_to_thread=True, tags=["Wallets"], opt=LISTS)
def list_withdrawals_of(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: FromPath[UUID],
    after: After = "",
    limit: Limit = 50,
) -> Withdrawals:
    """What one of your people took out to their bank, newest first."""
    caller.require("payments:read")
    before = read_mark(after)
    with ctx.tx() as tx:
        owner, partition = _account(ctx, tx, caller, account_id)
        found = withdrawals.list_of(tx, owner, partition=partition, limit=limit + 1, before=before)
    return withdrawal_page(found, limit)


@get("/v1/wallets/{account_id:uuid}/top-ups", sync_to_thread=True, tags=["Wallets"], opt=LISTS)
def list_top_ups_of(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    account_id: FromPath[UUID],
    after: After = "",
    limit: Limit = 50,
) -> OwnTopUps:
    """What came into a wallet of your people by bank, voucher and counter, newest first."""
    caller.require("payments:read")
    before = read_mark(after)
    with ctx.tx() as tx:
        owner, partition = _account(ctx, tx, caller, account_id)
        found = top_ups.list_of(tx, owner, partition=partition, limit=limit + 1, before=before)
    return top_up_page(found, limit)


@get(
    "/v1/me/top-ups/{top_up_id:uuid}",
    sync_to_thread=True,
    tags=["Wallets"],
    opt={"who": ("session",), "refuses": (bank.UnknownTopUp,)},
)
def read_own_top_up(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], top_up_id: FromPath[UUID]
) -> OwnTopUpView:
    """A top-up of your wallet, as it stands."""
    me = person_of(caller)
    with ctx.tx() as tx:
        return top_up_view(top_ups.get(tx, me, top_up_id, partition=ctx.directory.partition_of(me)))


ROUTES = [list_transfers_of, list_withdrawals_of, list_top_ups_of, read_own_top_up]


def _account(ctx: Context, tx: Tx, caller: trust.Caller, account_id: UUID) -> tuple[AccountId, int]:
    """An account of this issuer, and its partition; that it was looked at is kept. Errors: identity.UnknownAccount."""
    account = identity.get_account(tx, AccountId(account_id))
    if caller.kind != "league" and caller.member_id != account.issuer_id:
        raise identity.UnknownAccount(f"No account {account_id} is open here.")
    now: datetime = ctx.clock.now()
    identity.saw(tx, account.account_id, caller.who, "wallet", identity.BY_PROGRAM, now)
    return account.account_id, ctx.directory.partition_of(account.account_id)
