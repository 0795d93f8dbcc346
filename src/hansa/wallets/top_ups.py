"""Money from a person's bank into their wallet: collected under a mandate, at once as from a card, or by reference.

The wallet has it once the bank has booked it, and not before. A bank that says nothing is asked again, under the same
id, for as long as it takes. What a bank takes back later is taken from the wallet; where that holds too little, the
issuer carries it and the person owes it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import approval, identity, ledger, payments, webhooks
from hansa.identity import AccountId
from hansa.kernel import Directory, InvalidInput, Problem, fact_id
from hansa.payments import Step, no_step
from hansa.store import Context, Tx
from hansa.wallets import bank_accounts, by_bank, returns
from hansa.wallets import bank_store as store
from hansa.wallets.bank_model import (
    ASIDE_LOOKS,
    BankTopUp,
    NewTopUp,
    NoMandate,
    TopUpDiffers,
    TopUpState,
    UnknownTopUp,
    Way,
)
from hansa.wallets.model import check_amount
from hansa.wallets.rails import (
    HARD_REASONS,
    Answer,
    BankRail,
    Entry,
    Order,
    OrderKind,
    Verdict,
)

REFUSALS_MAX = 3
"""Refusals in a row after which an automatic top-up stops itself."""

ENDS = (TopUpState.SETTLED, TopUpState.FAILED, TopUpState.RETURNED)
"""States that are told."""

NO_ROOM = "balance_cap"
"""Why money waits aside: the wallet may not hold so much, by how well its holder is known."""

CLOSED = "wallet_closed"
"""Why money of a bank finds no wallet any more."""

GOES_BACK = (NO_ROOM, CLOSED)
"""Why a top-up fails whose money the bank has moved already: it is told to return it."""

ASIDE_AFTER = timedelta(hours=1)


def begin(ctx: Context, rail: BankRail, new: NewTopUp, *, step: Step = no_step) -> BankTopUp:
    """Top up from a bank account; gives how far it is. Safe to repeat by ``top_up_id``, also after a kill.

    Errors, and nothing is kept then: InvalidInput, TopUpDiffers, those of ``bank_accounts.get_own``, NoMandate,
    AccountBlocked, approval.BalanceCapReached.
    """
    with ctx.tx() as tx:
        kept = keep(tx, new, at=ctx.clock.now(), directory=ctx.directory)
    step("begun")
    return advance(ctx, rail, kept, step=step)


def keep(
    tx: Tx, new: NewTopUp, *, at: datetime, directory: Directory, is_automatic: bool = False
) -> BankTopUp:
    """Keep a top-up; it moves by ``advance`` once this transaction is committed. Errors: as ``begin``."""
    check_amount(new.amount)
    if new.way not in (Way.DEBIT, Way.INSTANT):
        raise InvalidInput(problems=(Problem("way", f"is {new.way}", "Choose debit or instant"),))
    partition = directory.partition_of(new.account_id)
    known = store.find_top_up(tx, [partition], new.top_up_id)
    if known is not None:
        if (known.account_id, known.amount, known.bank_account_id, known.way) != (
            new.account_id,
            new.amount,
            new.bank_account_id,
            new.way,
        ):
            raise TopUpDiffers(f"Top-up {new.top_up_id} is known with other content.")
        return known
    account, bank = by_bank.may_begin(tx, new.account_id, new.bank_account_id, new.amount)
    if new.way is Way.DEBIT and not bank.may_pull:
        raise NoMandate
    one = BankTopUp(
        partition=partition,
        top_up_id=new.top_up_id,
        account_id=new.account_id,
        issuer_id=account.issuer_id,
        amount_minor=new.amount.minor,
        currency=new.amount.currency,
        way=new.way,
        bank_account_id=bank.bank_account_id,
        rail_id=bank.rail_id,
        token=bank.token,
        words=bank.shown,
        is_automatic=is_automatic,
        state=TopUpState.PROCESSING,
        reason="",
        tries=0,
        created_at=at,
        changed_at=at,
        next_at=at,
    )
    refused = _admit(tx, one, at) if store.insert_top_up(tx, one) else None
    if refused is not None:
        raise refused
    return one


def credit(ctx: Context, one: BankTopUp, *, step: Step = no_step) -> BankTopUp:
    """Take in money that is there already, from a counter, a voucher or an arrival. Safe to repeat by its id.

    one: in the state ``settling``. Errors, and nothing is kept then: TopUpDiffers; approval.BalanceCapReached at a
    counter, where the clerk gives the money back. A voucher had its place before it was used up.
    """
    assert one.state is TopUpState.SETTLING, "it is there already"
    with ctx.tx() as tx:
        if store.insert_top_up(tx, one):
            refused = _admit(tx, one, one.created_at) if one.way is Way.COUNTER else None
            if refused is not None:
                raise refused
        else:
            known = store.find_top_up(tx, [one.partition], one.top_up_id)
            assert known is not None, "what is in the way is there"
            if (known.account_id, known.amount, known.way) != (one.account_id, one.amount, one.way):
                raise TopUpDiffers(f"Top-up {one.top_up_id} is known with other content.")
    step("kept")
    return advance(ctx, None, one, step=step)


def advance(ctx: Context, rail: BankRail | None, one: BankTopUp, *, step: Step = no_step) -> BankTopUp:
    """Take a top-up as far as it goes now. Again, or by several at once, is harmless."""
    while True:
        with ctx.tx() as tx:
            found = store.find_top_up(tx, [one.partition], one.top_up_id)
        assert found is not None, "a top-up that was kept stays"
        if not _step(ctx, rail, found, step):
            return found


def get(tx: Tx, account_id: AccountId, top_up_id: UUID, *, partition: int = 0) -> BankTopUp:
    """A person's top-up. Errors: UnknownTopUp, for others' too."""
    found = store.find_top_up(tx, [partition], top_up_id)
    if found is None or found.account_id != account_id:
        raise UnknownTopUp
    return found


def list_of(
    tx: Tx,
    account_id: AccountId,
    *,
    partition: int = 0,
    limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
) -> list[BankTopUp]:
    """A person's top-ups, newest first."""
    return store.list_top_ups(tx, partition, account_id, limit, before)


def finish(ctx: Context, rail_of: Callable[[str], BankRail | None], limit: int = 500) -> int:
    """Go on with what a crash left and what banks are to be asked about; gives how many moved."""
    with ctx.tx() as tx:
        left = store.open_top_ups(tx, ctx.directory.partitions, ctx.clock.now(), limit)
    return sum(advance(ctx, rail_of(one.rail_id), one).state is not one.state for one in left)


# --- what banks say


def hear(tx: Tx, one: BankTopUp, entry: Entry, at: datetime) -> bool:
    """Take in what a bank says of a top-up by itself; False where it belongs to nothing that may happen."""
    if entry.amount != one.amount:
        return False
    if entry.kind == "return":
        if one.state is TopUpState.SETTLED:
            return _move(tx, one, TopUpState.RETURNING, at, reason=entry.reason)
        if one.state is TopUpState.ASIDE:  # the wallet never had it
            return _move(tx, one, TopUpState.FAILED, at, reason=entry.reason or "returned")
        return False
    if one.state is TopUpState.FAILED and one.reason in GOES_BACK:
        return entry.settled and _goes_back_by(tx, one, entry, at)
    if entry.settled and one.state in (
        TopUpState.PROCESSING,
        TopUpState.SENT,
        TopUpState.UNKNOWN,
        TopUpState.FAILED,
    ):
        store.set_entry_of(tx, one.rail_id, entry.entry_id, one.top_up_id)
        if identity.is_closed(tx, AccountId(one.account_id)):
            return _move(tx, one, TopUpState.FAILED, at, reason=CLOSED)
        return _move(tx, one, TopUpState.SETTLING, at)
    if not entry.settled and one.state in (TopUpState.PROCESSING, TopUpState.SENT, TopUpState.UNKNOWN):
        return _move(tx, one, TopUpState.FAILED, at, reason=entry.reason)
    return not entry.settled and one.state is TopUpState.FAILED


def _goes_back_by(tx: Tx, one: BankTopUp, entry: Entry, at: datetime) -> bool:
    """The entry under which money goes back that the bank had told by an answer alone; False where it does already."""
    if store.lock_entry_of(tx, one.rail_id, one.top_up_id) is not None:
        return False
    store.set_entry_of(tx, one.rail_id, entry.entry_id, one.top_up_id)
    returns.keep_of(tx, one, at)
    return True


def arrived(tx: Tx, rail_id: str, entry: Entry, at: datetime, directory: Directory) -> bool:
    """Take in a credit transfer; False where its reference leads to nobody, to an account that was deleted, or to a
    wallet in another currency. What the wallet may not hold waits aside.
    """
    reference = bank_accounts.read_reference(entry.reference)
    found = store.account_of_reference(tx, reference) if reference else None
    if found is None or found[1] != entry.amount.currency:
        return False
    account = identity.get_account(tx, AccountId(found[0]))
    if identity.is_closed(tx, account.account_id):
        return False
    take_arrival(tx, rail_id, entry, account, at, directory)
    return True


def take_arrival(
    tx: Tx, rail_id: str, entry: Entry, account: identity.Account, at: datetime, directory: Directory
) -> BankTopUp:
    """Take in a credit transfer for this account, in a currency that its wallet has; gives how far it is.

    The entry is kept already. It moves by ``advance`` once this transaction is committed. What the wallet may not hold
    waits aside. What its bank did not return may be put into a wallet again: as a top-up of its own.
    """
    again = returns.count(tx, rail_id, entry.entry_id)
    one = BankTopUp(
        partition=directory.partition_of(account.account_id),
        top_up_id=fact_id(entry.at, "arrival", rail_id, entry.entry_id, *([again] if again else [])),
        account_id=account.account_id,
        issuer_id=account.issuer_id,
        amount_minor=entry.amount.minor,
        currency=entry.amount.currency,
        way=Way.TRANSFER,
        bank_account_id=None,
        rail_id=rail_id,
        token="",
        words=entry.reference[:35],
        is_automatic=False,
        state=TopUpState.SETTLING,
        reason="",
        tries=0,
        created_at=at,
        changed_at=at,
        next_at=at,
    )
    if _admit(tx, one, at) is not None:
        one = replace(one, state=TopUpState.ASIDE, reason=NO_ROOM, next_at=at + ASIDE_AFTER)
    store.set_entry_of(tx, rail_id, entry.entry_id, one.top_up_id)
    if store.insert_top_up(tx, one) and one.state is TopUpState.ASIDE:
        webhooks.tell(tx, _for_owner(one, TopUpState.ASIDE, at))
    return one


# --- the steps


def _step(ctx: Context, rail: BankRail | None, one: BankTopUp, step: Step) -> bool:
    """Do what the state asks for; whether it went on."""
    if one.state is TopUpState.SETTLING:
        top_up = payments.TopUp(
            one.top_up_id, AccountId(one.account_id), one.issuer_id, one.amount, one.created_at
        )
        try:
            payments.top_up(ctx, [top_up], capped=True)
        except payments.WalletClosed:
            return _record(ctx, one, TopUpState.FAILED, step, reason=CLOSED)
        except (
            approval.BalanceCapReached
        ):  # only what had no place: its bank said no, and moved the money after all
            return _put_aside(ctx, one, step)
        step("credited")
        return _record(ctx, one, TopUpState.SETTLED, step)
    if one.state is TopUpState.ASIDE:
        return _look_for_room(ctx, one, step)
    if one.state is TopUpState.RETURNING:
        by_bank.take_late(ctx, one, one.top_up_id, "top-up returned", ledger.TransferCode.TOP_UP)
        step("taken back")
        return _record(ctx, one, TopUpState.RETURNED, step)
    if one.state not in (TopUpState.PROCESSING, TopUpState.SENT, TopUpState.UNKNOWN) or rail is None:
        return False
    if one.next_at > ctx.clock.now():
        return False
    answer = by_bank.ask_bank(rail, _order(one), is_new=one.state is TopUpState.PROCESSING)
    step("asked")
    return _answered(ctx, one, answer, step)


def _admit(tx: Tx, one: BankTopUp, at: datetime) -> approval.BalanceCapReached | None:
    """Give a top-up its place under the cap of the wallet; why not, where there is none."""
    account_id = AccountId(one.account_id)
    incoming = approval.Incoming(
        incoming_id=one.top_up_id,
        account_id=account_id,
        wallet=payments.wallet_id(account_id, one.currency),
        amount=one.amount,
        partition=one.partition,
    )
    return approval.admit(tx, [incoming], at)[0]


def _put_aside(ctx: Context, one: BankTopUp, step: Step) -> bool:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        if store.move_top_up(tx, one, TopUpState.ASIDE, now, reason=NO_ROOM, next_at=now + ASIDE_AFTER):
            webhooks.tell(tx, _for_owner(one, TopUpState.ASIDE, now))
    step("aside")
    return True


def _look_for_room(ctx: Context, one: BankTopUp, step: Step) -> bool:
    """Let what waits aside in where there is room by now; after a week its issuer gives it back."""
    now = ctx.clock.now()
    if one.next_at > now:
        return False
    with ctx.tx() as tx:
        if identity.is_closed(tx, AccountId(one.account_id)):
            return _move(tx, one, TopUpState.FAILED, now)
        # Moved first, which locks it: of several who look, one alone gives it its place.
        if not store.move_top_up(tx, replace(one, reason=""), TopUpState.SETTLING, now):
            return True
        if _admit(tx, one, now) is not None:
            again = replace(one, state=TopUpState.SETTLING)
            if one.tries >= ASIDE_LOOKS:
                _move(tx, again, TopUpState.FAILED, now)
            else:
                next_at = now + ASIDE_AFTER
                store.move_top_up(tx, again, TopUpState.ASIDE, now, tries=one.tries + 1, next_at=next_at)
                return False
    step("looked for room")
    return True


def _answered(ctx: Context, one: BankTopUp, answer: Answer, step: Step) -> bool:
    now = ctx.clock.now()
    if answer.verdict is Verdict.SETTLED:
        return _record(ctx, one, TopUpState.SETTLING, step)
    if answer.verdict is Verdict.REFUSED:
        return _record(ctx, one, TopUpState.FAILED, step, reason=answer.reason)
    found = by_bank.waits(answer, was_sent=one.state is TopUpState.SENT, tries=one.tries, at=now)
    to = TopUpState.SENT if found.is_sent else TopUpState.UNKNOWN
    with ctx.tx() as tx:
        store.move_top_up(tx, one, to, now, tries=one.tries + 1, next_at=found.next_at)
    step("recorded")
    return True  # and then it waits, as the row says until when


def _order(one: BankTopUp) -> Order:
    return Order(
        order_id=one.top_up_id,
        kind=OrderKind.DEBIT if one.way is Way.DEBIT else OrderKind.INSTANT,
        token=one.token,
        amount=one.amount,
        reference=by_bank.reference_of(one.top_up_id),
        mandate_id=f"HANSA-{one.bank_account_id.hex[-12:].upper()}" if one.bank_account_id else "",
    )


def _record(ctx: Context, one: BankTopUp, to: TopUpState, step: Step, *, reason: str = "") -> bool:
    with ctx.tx() as tx:
        _move(tx, one, to, ctx.clock.now(), reason=reason)
    step("recorded")
    return True  # where another one moved it, the next look sees to what


def _move(tx: Tx, one: BankTopUp, to: TopUpState, at: datetime, *, reason: str = "") -> bool:
    if not store.move_top_up(tx, one, to, at, reason=reason):
        return False
    one = replace(one, reason=reason or one.reason)
    if to is TopUpState.FAILED:
        approval.end_incoming(tx, [one.top_up_id], partition=one.partition)
        if one.reason in GOES_BACK:
            returns.keep_of(tx, one, at)
    if one.is_automatic and to in ENDS:
        _count(tx, one, to, at)
    if to in ENDS:
        person = _for_owner(one, to, at)
        by_bank.record_end(tx, one, "top_up", one.top_up_id, to.value, person, way=one.way.value)
    return True


def _count(tx: Tx, one: BankTopUp, to: TopUpState, at: datetime) -> None:
    """An automatic top-up that is refused for good, again and again, or taken back, stops itself."""
    settled = to is TopUpState.SETTLED
    refusals = store.count_refusal(tx, one.partition, one.account_id, one.currency, settled=settled)
    hard = to is TopUpState.RETURNED or one.reason in HARD_REASONS
    if not settled and (hard or refusals >= REFUSALS_MAX):
        stop_automatic(
            tx, one.partition, one.account_id, one.currency, one.reason or to.value, one.issuer_id, at
        )


def stop_automatic(
    tx: Tx, partition: int, account_id: UUID, currency: str, why: str, issuer_id: str, at: datetime
) -> None:
    """Stop an automatic top-up, and say so. Where it is stopped or off already, nothing is said."""
    if not store.end_automatic(tx, partition, account_id, currency, "stopped", why, at):
        return
    webhooks.record(
        tx,
        webhooks.News(
            type="top_up.automatic.stopped",
            members=(issuer_id,),
            at=at,
            subject=f"account {account_id}",
            data={"account_id": str(account_id), "currency": currency, "why": why},
            fact=(str(account_id), currency, at.isoformat()),
            people=[
                webhooks.ForPerson(
                    account_id=account_id,
                    kind="top_up.stopped",
                    at=at,
                    subject="",
                    facts={"why": why},
                    fact=(currency, at.isoformat()),
                )
            ],
        ),
    )


def _for_owner(one: BankTopUp, to: TopUpState, at: datetime) -> webhooks.ForPerson:
    """What the wallet's owner is told."""
    kind = f"top_up.{to.value}"
    if one.is_automatic and to is TopUpState.SETTLED:
        kind = "top_up.automatic"
    if to is TopUpState.FAILED and one.reason == NO_ROOM:
        kind = "top_up.given_back"
    return by_bank.for_owner(one, "top_up", one.top_up_id, to.value, kind, at)
