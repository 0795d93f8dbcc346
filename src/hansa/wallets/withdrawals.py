"""Money from a person's wallet to their own bank account: held until the bank has booked it, back if it comes back."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from hansa import approval, identity, ledger, payments
from hansa.approval import ApprovalState
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Problem, fact_id
from hansa.ledger import AS_PENDING, ResultCode, TransferCode, TransferFlag, TransferId
from hansa.payments import Step, no_step
from hansa.store import Context, Tx
from hansa.wallets import approving, by_bank
from hansa.wallets import bank_store as store
from hansa.wallets.bank_model import (
    BankAccountCooling,
    NewWithdrawal,
    UnknownWithdrawal,
    Withdrawal,
    WithdrawalDiffers,
    WithdrawalMoved,
    WithdrawalState,
)
from hansa.wallets.model import APPROVAL_LASTS, InsufficientFunds, check_amount
from hansa.wallets.posting import POOR, give_up, post_chain
from hansa.wallets.rails import (
    BankRail,
    Entry,
    Order,
    OrderKind,
    Verdict,
)
from hansa.wallets.transfers import available

W = WithdrawalState

ENDS = (W.SETTLED, W.FAILED, W.RETURNED)
"""States that are told."""


def begin(
    ctx: Context,
    rail: BankRail | None,
    new: NewWithdrawal,
    *,
    session_at: datetime | None = None,
    step: Step = no_step,
) -> Withdrawal:
    """Withdraw to a bank account; gives how far it is. Safe to repeat by ``withdrawal_id``, also after a kill.

    Errors, and nothing is kept then: InvalidInput, WithdrawalDiffers, those of ``bank_accounts.get_own``,
    BankAccountCooling, AccountBlocked, InsufficientFunds, and what the approval forbids.
    """
    with approval.refusals_told(ctx), ctx.tx() as tx:
        kept = _keep(tx, ctx, new, session_at)
    step("begun")
    return advance(ctx, rail, kept.withdrawal_id, step=step)


def cancel(ctx: Context, account_id: AccountId, withdrawal_id: UUID) -> Withdrawal:
    """Take a withdrawal back that waits for its approval. Again is harmless.

    Errors: UnknownWithdrawal; WithdrawalMoved once the bank may know of it.
    """
    with ctx.tx() as tx:
        found = get(tx, account_id, withdrawal_id, partition=ctx.directory.partition_of(account_id))
        if found.state is W.REQUIRES_APPROVAL:
            _move(tx, found, W.CANCELED, ctx.clock.now())
        found = get(tx, account_id, withdrawal_id, partition=found.partition)
    if found.state is not W.CANCELED:
        raise WithdrawalMoved
    return found


def advance(ctx: Context, rail: BankRail | None, withdrawal_id: UUID, *, step: Step = no_step) -> Withdrawal:
    """Take a withdrawal as far as it goes now. rail: None leaves the bank to the worker. Errors: UnknownWithdrawal."""
    while True:
        with ctx.tx() as tx:
            found = store.find_withdrawal(tx, ctx.directory.partitions, withdrawal_id)
        if found is None:
            raise UnknownWithdrawal
        if not _step(ctx, rail, found, step):
            return found


def go_on(ctx: Context, withdrawal_id: UUID) -> Withdrawal:
    """Take a withdrawal on after its approval; its bank is left to the worker. Errors: UnknownWithdrawal."""
    return advance(ctx, None, withdrawal_id)


def get(tx: Tx, account_id: AccountId, withdrawal_id: UUID, *, partition: int = 0) -> Withdrawal:
    """A person's withdrawal. Errors: UnknownWithdrawal, for others' too."""
    found = store.find_withdrawal(tx, [partition], withdrawal_id)
    if found is None or found.account_id != account_id:
        raise UnknownWithdrawal
    return found


def get_of_issuer(
    tx: Tx, issuer_id: str | None, withdrawal_id: UUID, *, partitions: Collection[int]
) -> Withdrawal:
    """A withdrawal of this issuer's people; of anybody's where None is given. Errors: UnknownWithdrawal."""
    found = store.find_withdrawal(tx, partitions, withdrawal_id)
    if found is None or issuer_id not in (None, found.issuer_id):
        raise UnknownWithdrawal
    return found


def list_of(
    tx: Tx,
    account_id: AccountId,
    *,
    partition: int = 0,
    limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
) -> list[Withdrawal]:
    """A person's withdrawals, newest first."""
    return store.list_withdrawals(tx, partition, account_id, limit, before)


def finish(ctx: Context, rail_of: Callable[[str], BankRail | None], limit: int = 500) -> int:
    """Go on with what a crash left, what banks are to be asked about, what ran out; gives how many moved."""
    with ctx.tx() as tx:
        left = store.open_withdrawals(tx, ctx.directory.partitions, ctx.clock.now(), limit)
    return sum(advance(ctx, rail_of(one.rail_id), one.withdrawal_id).state is not one.state for one in left)


def hear(tx: Tx, one: Withdrawal, entry: Entry, at: datetime) -> bool:
    """Take in what a bank says of a withdrawal by itself; False where it belongs to nothing that may happen."""
    if entry.amount != one.amount:
        return False
    under_way = (W.HELD, W.SENT, W.UNKNOWN)
    if entry.kind == "return":
        if one.state is W.SETTLED:  # of somebody who is gone it is a stray: nobody opens that wallet any more
            gone = identity.is_closed(tx, AccountId(one.account_id))
            return not gone and _move(tx, one, W.RETURNING, at, reason=entry.reason)
        return one.state in under_way and _move(tx, one, W.RELEASING, at, reason=entry.reason)
    if entry.settled:
        if one.state is W.FAILED:  # refused, and paid nevertheless: the bank's customer has it
            return _move(tx, one, W.COLLECTING, at, reason="paid_late")
        return one.state in under_way and _move(tx, one, W.SETTLING, at)
    return one.state is W.FAILED or (
        one.state in under_way and _move(tx, one, W.RELEASING, at, reason=entry.reason)
    )


# --- inside


def _keep(tx: Tx, ctx: Context, new: NewWithdrawal, session_at: datetime | None) -> Withdrawal:
    now = ctx.clock.now()
    check_amount(new.amount)
    partition = ctx.directory.partition_of(new.account_id)
    known = store.find_withdrawal(tx, [partition], new.withdrawal_id)
    if known is not None:
        return _same(known, new)
    account, bank = by_bank.may_begin(tx, new.account_id, new.bank_account_id, new.amount)
    if bank.usable_at > now:
        raise BankAccountCooling(
            f"This bank account can be paid from {bank.usable_at:%Y-%m-%d %H:%M} UTC on."
        )
    held = payments.balance_of(tx, new.account_id, partition=partition)
    if new.amount.currency not in {one.currency for one in held}:
        problem = Problem("amount.currency", "you have no such wallet", "Choose a currency that you hold")
        raise InvalidInput("There is no such wallet.", problems=(problem,))
    left = available(tx, new.account_id, new.amount.currency)
    if left < new.amount:
        raise InsufficientFunds(f"Your wallet can pay {left} now, and this is {new.amount}.")
    goes_on = approving.may_begin(
        tx,
        approving.Asked(
            kind="withdrawal",
            subject_id=new.withdrawal_id,
            account_id=new.account_id,
            partition=partition,
            amount=new.amount,
            payee_key=f"bank:{bank.rail_id}:{bank.token}",
            payee_name=bank.shown,
            channel=approval.Channel.BANK,
            session_at=session_at,
            about="",
            details={},
            next_url=f"/wallet/withdraw/{new.withdrawal_id}",
        ),
        now,
    )
    one = Withdrawal(
        partition=partition,
        withdrawal_id=new.withdrawal_id,
        account_id=new.account_id,
        issuer_id=account.issuer_id,
        amount_minor=new.amount.minor,
        currency=new.amount.currency,
        bank_account_id=bank.bank_account_id,
        rail_id=bank.rail_id,
        token=bank.token,
        shown=bank.shown,
        state=W.PROCESSING if goes_on else W.REQUIRES_APPROVAL,
        reason="",
        tries=0,
        created_at=now,
        expires_at=now + APPROVAL_LASTS,
        changed_at=now,
        next_at=now,
    )
    if store.insert_withdrawal(tx, one):
        return one
    found = store.find_withdrawal(tx, [partition], new.withdrawal_id)
    assert found is not None, "what is in the way is there"
    return _same(found, new)


def _same(known: Withdrawal, new: NewWithdrawal) -> Withdrawal:
    if (known.account_id, known.amount, known.bank_account_id) != (
        new.account_id,
        new.amount,
        new.bank_account_id,
    ):
        raise WithdrawalDiffers(f"Withdrawal {new.withdrawal_id} is known with other content.")
    return known


def _step(ctx: Context, rail: BankRail | None, one: Withdrawal, step: Step) -> bool:
    """Do what the state asks for; whether it went on."""
    if one.state is W.REQUIRES_APPROVAL:
        return _hear_approval(ctx, one)
    if one.state is W.PROCESSING:
        return _hold(ctx, one, step)
    if one.state is W.SETTLING:
        return _booked(ctx, one, _resolve(one, "settle", TransferFlag.POST_PENDING), W.SETTLED, step)
    if one.state is W.RELEASING:
        return _booked(ctx, one, _resolve(one, "release", TransferFlag.VOID_PENDING), W.FAILED, step)
    if one.state is W.RETURNING:
        return _booked(ctx, one, _come_back(one), W.RETURNED, step)
    if one.state is W.COLLECTING:
        # What was released and paid nevertheless.
        by_bank.take_late(ctx, one, one.withdrawal_id, "withdrawal paid late", TransferCode.WITHDRAWAL)
        step("collected")
        return _record(ctx, one, W.SETTLED, step)
    if one.state in (W.HELD, W.SENT, W.UNKNOWN) and rail is not None and one.next_at <= ctx.clock.now():
        return _tell_bank(ctx, rail, one, step)
    return False


def _hear_approval(ctx: Context, one: Withdrawal) -> bool:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        answer = approving.find_answer(tx, one.withdrawal_id)
        if answer is ApprovalState.GIVEN:
            return _move(tx, one, W.PROCESSING, now)
        if answer is ApprovalState.REFUSED:
            return _move(tx, one, W.FAILED, now, reason="not_approved")
        if answer in (ApprovalState.EXPIRED, ApprovalState.NONE):
            return _move(tx, one, W.EXPIRED, now, reason="not_approved_in_time")
    return False


def _hold(ctx: Context, one: Withdrawal, step: Step) -> bool:
    code = post_chain(
        ctx,
        (_transfer(one, "hold", _wallet(one), _cash(one), one.amount_minor, flags=TransferFlag.PENDING),),
        open_accounts=lambda: payments.open_member_accounts(ctx, [one.issuer_id], [one.currency]),
    )
    step("held")
    if code is ResultCode.CREATED or not give_up(
        ctx,
        _id(one, "hold"),
        issuer_id=one.issuer_id,
        currency=one.currency,
        partition=one.partition,
        at=one.created_at,
    ):
        return _record(ctx, one, W.HELD, step)
    step("given up")
    reason = "insufficient_funds" if code is POOR else "refused_by_the_books"
    return _record(ctx, one, W.FAILED, step, reason=reason)


def _tell_bank(ctx: Context, rail: BankRail, one: Withdrawal, step: Step) -> bool:
    order = Order(
        order_id=one.withdrawal_id,
        kind=OrderKind.PAY_OUT,
        token=one.token,
        amount=one.amount,
        reference=by_bank.reference_of(one.withdrawal_id),
    )
    answer = by_bank.ask_bank(rail, order, is_new=one.state is W.HELD)
    step("asked")
    if answer.verdict is Verdict.SETTLED:
        return _record(ctx, one, W.SETTLING, step)
    if answer.verdict is Verdict.REFUSED:
        return _record(ctx, one, W.RELEASING, step, reason=answer.reason)
    now = ctx.clock.now()
    found = by_bank.waits(answer, was_sent=one.state is W.SENT, tries=one.tries, at=now)
    to = W.SENT if found.is_sent else W.UNKNOWN
    with ctx.tx() as tx:
        store.move_withdrawal(tx, one, to, now, tries=one.tries + 1, next_at=found.next_at)
    step("recorded")
    return True  # and then it waits, as the row says until when


def _booked(
    ctx: Context, one: Withdrawal, transfer: ledger.Transfer, to: WithdrawalState, step: Step
) -> bool:
    code = post_chain(ctx, (transfer,))
    step("posted")
    return code is ResultCode.CREATED and _record(ctx, one, to, step)


def _come_back(one: Withdrawal) -> ledger.Transfer:
    return _transfer(one, "return", _cash(one), _wallet(one), one.amount_minor)


def _id(one: Withdrawal, what: str) -> TransferId:
    return TransferId(fact_id(one.created_at, one.withdrawal_id, what))


def _wallet(one: Withdrawal) -> ledger.AccountId:
    return payments.wallet_id(AccountId(one.account_id), one.currency)


def _cash(one: Withdrawal) -> ledger.AccountId:
    return payments.cash_account(one.issuer_id, one.currency, one.partition)


def _transfer(
    one: Withdrawal,
    what: str,
    debit: ledger.AccountId,
    credit: ledger.AccountId,
    amount: int,
    *,
    flags: TransferFlag = TransferFlag.NONE,
) -> ledger.Transfer:
    return ledger.Transfer(
        transfer_id=_id(one, what),
        debit=debit,
        credit=credit,
        amount=amount,
        currency=one.currency,
        code=TransferCode.WITHDRAWAL,
        event_at=one.created_at,
        partition=one.partition,
        flags=flags,
        reference=one.withdrawal_id,
    )


def _resolve(one: Withdrawal, what: str, flag: TransferFlag) -> ledger.Transfer:
    return ledger.Transfer(
        transfer_id=_id(one, what),
        debit=AS_PENDING,
        credit=AS_PENDING,
        amount=ledger.AMOUNT_MAX if flag is TransferFlag.POST_PENDING else 0,
        currency="",
        code=0,
        event_at=one.created_at,
        partition=one.partition,
        flags=flag,
        pending_id=_id(one, "hold"),
    )


def _record(ctx: Context, one: Withdrawal, to: WithdrawalState, step: Step, *, reason: str = "") -> bool:
    with ctx.tx() as tx:
        _move(tx, one, to, ctx.clock.now(), reason=reason)
    step("recorded")
    return True  # where another one moved it, the next look sees to what


def _move(tx: Tx, one: Withdrawal, to: WithdrawalState, at: datetime, *, reason: str = "") -> bool:
    if not store.move_withdrawal(tx, one, to, at, reason=reason):
        return False
    one = replace(one, reason=reason or one.reason)
    if to in (W.FAILED, W.CANCELED, W.EXPIRED, W.RETURNED):
        approving.give_back(tx, one.withdrawal_id, at=at, partition=one.partition)
    if to in ENDS:
        person = by_bank.for_owner(
            one, "withdrawal", one.withdrawal_id, to.value, f"withdrawal.{to.value}", at
        )
        by_bank.record_end(tx, one, "withdrawal", one.withdrawal_id, to.value, person)
    return True
