"""How this room posts: chains of transfers, ids that are taken so that what was given up can never be booked."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from hansa import clearing, ledger, trust
from hansa.ledger import AccountCode, ResultCode, TransferId
from hansa.store import Context
from hansa.wallets.model import receivable_account, transit_account

NOT_OPEN = (ResultCode.DEBIT_ACCOUNT_NOT_FOUND, ResultCode.CREDIT_ACCOUNT_NOT_FOUND)
"""An account of the chain is not there; open it and post again."""

POOR = ResultCode.EXCEEDS_CREDITS
"""The wallet holds too little."""


def linked(transfers: Sequence[ledger.Transfer]) -> tuple[ledger.Transfer, ...]:
    """These as one chain: all are booked or none."""
    last = len(transfers) - 1
    return tuple(
        replace(one, flags=one.flags | ledger.TransferFlag.LINKED) if place < last else one
        for place, one in enumerate(transfers)
    )


def post_chain(
    ctx: Context, chain: Sequence[ledger.Transfer], *, open_accounts: Callable[[], None] | None = None
) -> ResultCode:
    """Post one chain: CREATED if it is in the books, now or before; else what stopped it.

    open_accounts: called once where an account is not there, before the chain is posted again.
    """
    code = _post(ctx, chain)
    if code in NOT_OPEN and open_accounts is not None:
        open_accounts()
        code = _post(ctx, chain)
    return code


def _post(ctx: Context, chain: Sequence[ledger.Transfer]) -> ResultCode:
    got = [result.code for result in ledger.post(ctx, chain)]
    if ResultCode.EXISTS in got or all(code is ResultCode.CREATED for code in got):
        return ResultCode.CREATED
    return next(code for code in got if code is not ResultCode.LINKED_EVENT_FAILED)


def give_up(
    ctx: Context, transfer_id: TransferId, *, issuer_id: str, currency: str, partition: int, at: datetime
) -> bool:
    """See to it that a transfer is never booked, however late a lost call arrives; False where it is booked already.

    A transfer of nothing takes its id: the ledger lets only one of the two stand, whoever comes first. So what was
    refused can be given back, and nobody can be paid twice.
    """
    marker = ledger.Transfer(
        transfer_id=transfer_id,
        debit=transit_account(issuer_id, currency, partition),
        credit=receivable_account(issuer_id, currency, partition),
        amount=0,
        currency=currency,
        code=ledger.TransferCode.SEND,
        event_at=at,
        partition=partition,
        memo="given up",
    )
    code = post_chain(
        ctx, (marker,), open_accounts=lambda: open_transit(ctx, issuer_id, currency, [partition])
    )
    return code is ResultCode.CREATED


def open_transit(ctx: Context, issuer_id: str, currency: str, partitions: Sequence[int]) -> None:
    """Open an issuer's accounts of money on its way, and of what it awaits, in these partitions. Again is harmless."""
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=account_of(issuer_id, currency, partition),
                currency=currency,
                code=code,
                holder=issuer_id,
                partition=partition,
                path=ledger.account_path(code, issuer_id),
            )
            for partition in sorted(set(partitions))
            for account_of, code in (
                (transit_account, AccountCode.TRANSIT),
                (receivable_account, AccountCode.RECEIVABLE),
            )
        ],
    )


def open_between(ctx: Context, issuer_id: str, other_id: str, currency: str) -> bool:
    """Let one issuer owe another for what its people send; False where the league lets them do no such business."""
    try:
        clearing.open_positions(ctx, [(issuer_id, other_id, currency)])
    except (trust.MemberMayNot, trust.UnknownMember):
        return False
    return True
