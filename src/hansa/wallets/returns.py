"""Money that came from a bank and goes back the way it came: what found no wallet, and what a wallet may not hold.

The bank is told under one id for as long as it takes, as of any order. The books have it once the bank has booked it:
that it came in, and that it went back, in one chain. What a bank does not return, or what comes back to us, waits for a
treasurer as money without a wallet.
"""

from collections.abc import Callable
from datetime import datetime

from hansa import audit, ledger, payments, webhooks
from hansa.kernel import Money, fact_id
from hansa.ledger import ResultCode, TransferCode, TransferId
from hansa.payments import Step, no_step
from hansa.store import Context, Tx
from hansa.wallets import bank_store, by_bank
from hansa.wallets import returns_store as store
from hansa.wallets.bank_model import BankTopUp, Return, ReturnState
from hansa.wallets.model import transit_account
from hansa.wallets.posting import linked, open_transit, post_chain
from hansa.wallets.rails import BankRail, Entry, EntryKind, Order, OrderKind, Verdict

R = ReturnState

UNDER_WAY = (R.PROCESSING, R.SENT, R.UNKNOWN)
"""States in which a bank may still say how it ends."""


def keep(
    tx: Tx, rail_id: str, entry_id: str, amount: Money, at: datetime, *, of: BankTopUp | None = None
) -> Return:
    """Keep that the money of a bank's entry goes back; it moves by ``advance`` once this transaction is committed.

    The entry is locked by whoever calls, and waits for nobody from now on. of: the top-up that it was meant to be;
    where none is given, that of the time before, if its bank was told before.
    """
    before = store.list_of_entry(tx, rail_id, entry_id)
    last = before[-1] if before else None
    one = Return(
        return_id=fact_id(at, "return", rail_id, entry_id, len(before)),
        rail_id=rail_id,
        entry_id=entry_id,
        partition=of.partition if of else last.partition if last else 0,
        holder=of.issuer_id if of else last.holder if last else audit.LEAGUE,
        top_up_id=of.top_up_id if of else last.top_up_id if last else None,
        account_id=of.account_id if of else last.account_id if last else None,
        amount_minor=amount.minor,
        currency=amount.currency,
        state=R.PROCESSING,
        reason="",
        tries=0,
        created_at=at,
        changed_at=at,
        next_at=at,
    )
    store.insert(tx, one)
    bank_store.set_outcome(tx, rail_id, entry_id, "returning")
    return one


def keep_of(tx: Tx, one: BankTopUp, at: datetime) -> None:
    """Keep that a top-up's money goes back to its bank, where the bank named an entry that brought it."""
    entry_id = bank_store.lock_entry_of(tx, one.rail_id, one.top_up_id)
    if entry_id is not None:
        keep(tx, one.rail_id, entry_id, one.amount, at, of=one)


def count(tx: Tx, rail_id: str, entry_id: str) -> int:
    """How often a bank was told to return the money of this entry."""
    return len(store.list_of_entry(tx, rail_id, entry_id))


def list_under_way(tx: Tx, limit: int = 200) -> list[Return]:
    """Returns whose end no bank has said yet."""
    return store.list_open(tx, limit)


def finish(ctx: Context, rail_of: Callable[[str], BankRail | None], limit: int = 500) -> int:
    """Go on with what a crash left and what banks are to be told or asked; gives how many moved."""
    with ctx.tx() as tx:
        left = store.list_open(tx, limit, at=ctx.clock.now())
    return sum(advance(ctx, rail_of(one.rail_id), one).state is not one.state for one in left)


def advance(ctx: Context, rail: BankRail | None, one: Return, *, step: Step = no_step) -> Return:
    """Take a return as far as it goes now. rail: None leaves the bank to the worker. Again is harmless."""
    while True:
        with ctx.tx() as tx:
            found = store.find(tx, one.return_id)
        assert found is not None, "a return that was kept stays"
        if found.state is R.SETTLING:
            went_on = _book(ctx, found, step)
        elif found.state in UNDER_WAY and rail is not None and found.next_at <= ctx.clock.now():
            went_on = _tell_bank(ctx, rail, found, step)
        else:
            went_on = False
        if not went_on:
            return found


def hear(tx: Tx, one: Return, entry: Entry, at: datetime) -> bool:
    """Take in what a bank says of a return by itself; False where it belongs to nothing that may happen."""
    if entry.amount != one.amount:
        return False
    if entry.kind is EntryKind.RETURN:
        return one.state is R.SETTLED and _move(tx, one, R.RETURNED, at, reason=entry.reason or "returned")
    if entry.settled:
        if one.state is R.FAILED:  # refused, and returned nevertheless: if nobody put the money elsewhere
            goes = bank_store.lock_outcome(tx, one.rail_id, one.entry_id) in ("stray", "returning")
            return goes and _move(tx, one, R.SETTLING, at)
        return one.state in UNDER_WAY and _move(tx, one, R.SETTLING, at)
    return one.state is R.FAILED or (
        one.state in UNDER_WAY and _move(tx, one, R.FAILED, at, reason=entry.reason or "refused")
    )


# --- inside


def _tell_bank(ctx: Context, rail: BankRail, one: Return, step: Step) -> bool:
    order = Order(
        order_id=one.return_id,
        kind=OrderKind.RETURN,
        token="",
        amount=one.amount,
        reference=by_bank.reference_of(one.return_id),
        entry_id=one.entry_id,
    )
    answer = by_bank.ask_bank(rail, order, is_new=one.state is R.PROCESSING)
    step("asked")
    now = ctx.clock.now()
    with ctx.tx() as tx:
        if answer.verdict is Verdict.SETTLED:
            _move(tx, one, R.SETTLING, now)
        elif answer.verdict is Verdict.REFUSED:
            _move(tx, one, R.FAILED, now, reason=answer.reason or "refused")
        else:
            found = by_bank.waits(answer, was_sent=one.state is R.SENT, tries=one.tries, at=now)
            to = R.SENT if found.is_sent else R.UNKNOWN
            store.move(tx, one, to, now, tries=one.tries + 1, next_at=found.next_at)
    step("recorded")
    return True  # where it waits, the row says until when


def _book(ctx: Context, one: Return, step: Step) -> bool:
    cash = payments.cash_account(one.holder, one.currency, one.partition)
    transit = transit_account(one.holder, one.currency, one.partition)
    chain = linked([_transfer(one, "came", cash, transit), _transfer(one, "went", transit, cash)])
    code = post_chain(ctx, chain, open_accounts=lambda: _open(ctx, one))
    step("posted")
    if code is not ResultCode.CREATED:
        return False
    with ctx.tx() as tx:
        _move(tx, one, R.SETTLED, ctx.clock.now())
    step("recorded")
    return True


def _transfer(one: Return, what: str, debit: ledger.AccountId, credit: ledger.AccountId) -> ledger.Transfer:
    return ledger.Transfer(
        transfer_id=TransferId(fact_id(one.created_at, one.return_id, what)),
        debit=debit,
        credit=credit,
        amount=one.amount_minor,
        currency=one.currency,
        code=TransferCode.TOP_UP,
        event_at=one.created_at,
        partition=one.partition,
        reference=one.return_id,
    )


def _open(ctx: Context, one: Return) -> None:
    if one.top_up_id is None:
        payments.open_cash_accounts(ctx, [(one.holder, one.currency)])
    else:
        payments.open_member_accounts(ctx, [one.holder], [one.currency])
    open_transit(ctx, one.holder, one.currency, [one.partition])


def _move(tx: Tx, one: Return, to: ReturnState, at: datetime, *, reason: str = "") -> bool:
    if not store.move(tx, one, to, at, reason=reason):
        return False
    if to is R.SETTLING:
        bank_store.set_outcome(tx, one.rail_id, one.entry_id, "returning")
    elif to is R.SETTLED:
        bank_store.set_outcome(tx, one.rail_id, one.entry_id, "given_back")
    elif to in (R.FAILED, R.RETURNED) and not _is_gone(tx, one):
        bank_store.mark_stray(tx, one.rail_id, one.entry_id)
    if to in (R.SETTLED, R.FAILED, R.RETURNED):
        _tell(tx, one, to, at, reason or one.reason)
    return True


def _is_gone(tx: Tx, one: Return) -> bool:
    """Whether the money went back by another return after all, which its bank had refused first."""
    others = store.list_of_entry(tx, one.rail_id, one.entry_id)
    return any(other.state in (R.SETTLING, R.SETTLED) for other in others if other.return_id != one.return_id)


def _tell(tx: Tx, one: Return, to: ReturnState, at: datetime, reason: str) -> None:
    """Tell the issuer how it ended, and the person whose top-up it was that it went back."""
    if one.account_id is None:
        return
    owner = webhooks.ForPerson(
        account_id=one.account_id,
        kind="top_up.went_back",
        at=at,
        subject=f"top_up {one.top_up_id}",
        facts={"amount": {"minor": one.amount.minor, "currency": one.currency}},
        fact=(one.return_id, to.value),
    )
    webhooks.record(
        tx,
        webhooks.News(
            type="return.settled" if to is R.SETTLED else "return.failed",
            members=(one.holder,),
            at=at,
            subject=f"return {one.return_id}",
            data={
                "return_id": str(one.return_id),
                "top_up_id": str(one.top_up_id),
                "account_id": str(one.account_id),
                "amount_minor": one.amount.minor,
                "currency": one.currency,
                "reason": reason,
            },
            fact=(str(one.return_id), to.value),
            people=[owner] if to is R.SETTLED else [],
        ),
    )
