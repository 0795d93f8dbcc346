"""What cards cost: paid from the wallet or at a counter, and the deposit that comes back when a card is handed in.

A card that costs something is in force once its holder may have it and it is paid. Each way of money is written down
first, posted under ids worked out from it, and then its outcome: a kill between any two loses nothing, ``finish`` ends
it the same way. The price is the issuer's; a deposit stands on DEPOSIT, as what the issuer owes, until it goes back.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from hansa import approval, audit, clearing, identity, ledger, payments
from hansa.approval import ApprovalState
from hansa.cards import by_payment, fees_store, granting, store
from hansa.cards.model import (
    Card,
    Fee,
    FeeMoved,
    FeeNotCovered,
    NoDeposit,
    NotCleared,
    PaidAtCounter,
    Till,
    UnknownCard,
)
from hansa.cards.telling import tell
from hansa.identity import AccountId
from hansa.kernel import HansaError, Money, fact_id
from hansa.ledger import AccountCode, ResultCode, TransferCode, TransferFlag, TransferId
from hansa.payments import Step, no_step
from hansa.store import Context, Tx

UNPAID_LASTS = timedelta(days=30)
"""So long a card that its holder may have waits to be paid."""

DEPOSIT_KEPT = timedelta(days=400)
"""So long after a card ended its deposit can be fetched; then it is the issuer's."""

SUBJECT = "card"
"""The kind of approvals by which a holder pays from the wallet."""

_NOT_OPEN = (ResultCode.DEBIT_ACCOUNT_NOT_FOUND, ResultCode.CREDIT_ACCOUNT_NOT_FOUND)


def deposit_account(issuer_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What an issuer owes the holders of its cards for their deposits; the sum over all partitions counts."""
    return ledger.AccountId(fact_id(None, "card deposit", issuer_id, currency, partition))


def ask(tx: Tx, card: Card, partition: int, at: datetime, *, cleared: bool) -> None:
    """Keep what is to be paid for a card that costs something. cleared: its holder may have it."""
    one = card.product
    fee = Fee(
        card_id=card.card_id,
        partition=partition,
        account_id=card.account_id,
        issuer_id=one.issuer_id,
        currency=one.currency,
        price_minor=one.price_minor,
        deposit_minor=one.deposit_minor,
        state="due",
        cleared=cleared,
        attempt=1,
        way="",
        by_whom="",
        asked_at=at,
        moved_at=at,
        deposit="none",
        deposit_to="",
        deposit_by="",
    )
    fees_store.add(tx, fee)
    if cleared:
        tell(tx, granting.get(tx, card.card_id), "card.to_pay", at, amount=fee.total, members=False)


def clear(tx: Tx, card: Card, at: datetime) -> None:
    """Its holder may have the card, and is told to pay it."""
    assert card.fee is not None, "a card that is cleared costs something"
    fees_store.clear(tx, card.card_id, at)
    tell(tx, granting.get(tx, card.card_id), "card.to_pay", at, amount=card.fee.total, members=False)


def drop(tx: Tx, card_id: UUID, at: datetime) -> None:
    """The card comes to nothing, so nobody pays it. Errors: FeeMoved while its money is on its way."""
    fee = fees_store.lock(tx, card_id)
    if fee is None or fee.state in ("paid", "dropped"):
        return
    if fee.state == "paying":
        raise FeeMoved("This card is being paid just now. Try again in a moment.")
    if fee.state == "approving":
        _give_back(tx, fee, at)
    fees_store.move(tx, card_id, "dropped", at)


# --- paying


def pay(
    ctx: Context,
    account_id: AccountId,
    card_id: UUID,
    *,
    session_at: datetime | None,
    quote_id: UUID | None = None,
    step: Step = no_step,
) -> Card:
    """Pay a card from its holder's wallet; gives how far it is: in force, or waiting for an approval.

    Another issuer's card is paid by a payment to that issuer, from the wallet in the card's currency; any by a quote
    of its holder, from a wallet in another. An attempt that came to nothing used its quote up; the next needs one anew.

    Again is harmless. Errors, and nothing moves then: UnknownCard, FeeMoved, NotCleared, PaidAtCounter, FeeNotCovered,
    identity.AccountBlocked, and what the approval forbids.
    """
    at = ctx.clock.now()
    with approval.refusals_told(ctx), ctx.tx() as tx:
        card = _own(tx, account_id, card_id)
        fee = fees_store.lock(tx, card_id)
        if fee is None or fee.state == "dropped" or (fee.state == "paid" and fee.way == "counter"):
            raise FeeMoved
        if fee.state == "due" and _check(tx, fee, account_id, quoted=quote_id is not None) == "payment":
            by_payment.mark_begun(tx, fee, at, quote_id)
        elif fee.state == "due":
            goes_on = _may_begin(tx, card, fee, session_at, at)
            fees_store.move(tx, card_id, "paying" if goes_on else "approving", at, way="wallet")
    step("begun")
    _advance(ctx, card_id, step, session_at=session_at, asked=True)
    with ctx.tx() as tx:
        return _own(tx, account_id, card_id)


def to_quote(ctx: Context, account_id: AccountId, card_id: UUID) -> tuple[Card, Fee, str]:
    """A card of this holder that is due, and the payee for whom a quote of its fee is made.

    Errors: UnknownCard, FeeMoved, NotCleared.
    """
    with ctx.tx() as tx:
        card = _own(tx, account_id, card_id)
        fee = fees_store.find(tx, [card_id]).get(card_id)
    if fee is None or fee.state != "due":
        raise FeeMoved
    if not fee.cleared:
        raise NotCleared
    return card, fee, payments.payee_key(by_payment.payee_of(fee.issuer_id, fee.currency))


def go_on(ctx: Context, spend_id: UUID) -> None:
    """Go on with a payment from a wallet, once its approval ended."""
    with ctx.tx() as tx:
        card_id = fees_store.find_spend(tx, spend_id)
    if card_id is not None:
        _advance(ctx, card_id, no_step)


def spend_of(fee: Fee) -> UUID:
    """What this attempt to pay from the wallet is called where it is approved."""
    return fact_id(None, "card fee", fee.card_id, fee.attempt)


def take_at_counter(
    ctx: Context, issuers: Sequence[str], card_id: UUID, *, by: str, step: Step = no_step
) -> Card:
    """A clerk took the money for a card: it is in force. Again is harmless.

    Errors, and nothing moves then: UnknownCard; NotCleared; FeeMoved where it is paid from the wallet, or is free.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        card = _of(tx, issuers, card_id)
        fee = fees_store.lock(tx, card_id)
        if fee is None or (
            fee.state != "due" and not (fee.state in ("paying", "paid") and fee.way == "counter")
        ):
            raise FeeMoved
        if not fee.cleared:
            raise NotCleared
        if fee.state == "due":
            fees_store.move(tx, card_id, "paying", at, way="counter", by=by[:200])
            _audit(tx, card, by, "card.take-money", str(fee.total), at)
    step("begun")
    _advance(ctx, card_id, step)
    with ctx.tx() as tx:
        return _of(tx, issuers, card_id)


# --- deposits


def hand_in(
    ctx: Context, issuers: Sequence[str], card_id: UUID, *, to: Till, by: str, step: Step = no_step
) -> Card:
    """A clerk was given a card back: it ends, and its deposit goes to its holder's wallet, or over the counter.

    Again is harmless. Errors, and nothing moves then: UnknownCard; NoDeposit; PaidAtCounter where the wallet is another
    issuer's, so the deposit goes over the counter.
    """
    at = ctx.clock.now()
    with ctx.tx() as tx:
        card = _of(tx, issuers, card_id, lock=True)
        fee = fees_store.lock(tx, card_id)
        if fee is None or fee.deposit not in ("held", "returning", "returned"):
            raise NoDeposit
        if fee.deposit == "held":
            account = identity.get_account(tx, AccountId(card.account_id))
            if to == "wallet" and account.issuer_id != fee.issuer_id:
                raise PaidAtCounter("The wallet is another issuer's: give the deposit back over the counter.")
            if card.state in ("active", "suspended"):
                store.move(tx, card_id, "ended", at, by, "handed in")
                granting.follow(tx, AccountId(card.account_id), at)
                tell(tx, granting.get(tx, card_id), "card.ended", at, reason="handed in")
            fees_store.move_deposit(tx, card_id, "returning", at, to=to, by=by[:200])
            _audit(tx, card, by, "card.take-back", f"{Money(fee.deposit_minor, fee.currency)} to {to}", at)
    step("returning")
    _advance_deposit(ctx, card_id, step)
    with ctx.tx() as tx:
        return _of(tx, issuers, card_id)


# --- by itself


def finish(ctx: Context, *, limit: int = 500) -> int:
    """End what a crash left, drop what nobody paid, and keep deposits that nobody fetched; gives how many moved."""
    at = ctx.clock.now()
    with ctx.tx() as tx:
        left = fees_store.list_open(tx, limit)
        unpaid = fees_store.list_unpaid(tx, at - UNPAID_LASTS, limit)
        for fee in unpaid:
            card = granting.get(tx, fee.card_id, lock=True)
            drop(tx, fee.card_id, at)
            if card.state == "applied":
                store.move(tx, fee.card_id, "ended", at, "time", "nobody paid it")
        forgotten = fees_store.list_forgotten(tx, at - DEPOSIT_KEPT, limit)
        for card_id in forgotten:
            fees_store.move_deposit(tx, card_id, "keeping", at, by="time")
    for fee in left:
        if fee.state == "paying":
            _advance(ctx, fee.card_id, no_step)
        else:
            _advance_deposit(ctx, fee.card_id, no_step)
    for card_id in forgotten:
        _advance_deposit(ctx, card_id, no_step)
    return len(left) + len(unpaid) + len(forgotten)


# --- inside


def _check(tx: Tx, fee: Fee, account_id: AccountId, *, quoted: bool) -> Literal["wallet", "payment"]:
    """By which way its holder pays it; what a quote costs, the payment looks at. Errors: what forbids it."""
    if not fee.cleared:
        raise NotCleared
    account = identity.get_account(tx, account_id)
    held = {one.currency: one for one in payments.balance_of(tx, account_id, partition=fee.partition)}
    if fee.currency not in held and not quoted:
        raise PaidAtCounter
    if identity.standing_of(tx, account_id).level == "blocked":
        raise identity.AccountBlocked("Your account is blocked. Ask your issuer.")
    if quoted:
        return "payment"
    if held[fee.currency].minor < fee.total.minor:
        raise FeeNotCovered
    return "wallet" if account.issuer_id == fee.issuer_id else "payment"


def _may_begin(tx: Tx, card: Card, fee: Fee, session_at: datetime | None, at: datetime) -> bool:
    """Whether it is paid at once; False: its holder is asked to approve it. Errors: what forbids it."""
    spend_id = spend_of(fee)
    fees_store.set_spend(tx, fee.card_id, spend_id)
    spend = approval.Spend(
        spend_id=spend_id,
        account_id=AccountId(fee.account_id),
        amount=fee.total,
        payee_key=f"cards:{fee.issuer_id}",
        payee_name=card.product.name,
        channel=approval.Channel.ONLINE,
        category="4111",
        session_at=session_at,
        partition=fee.partition,
    )
    (verdict,) = approval.decide(tx, [spend], at)
    if isinstance(verdict, approval.Refused):
        raise approval.refused(verdict.error, spend)
    if isinstance(verdict, approval.Allowed):
        return True
    deposit = Money(fee.deposit_minor, fee.currency)
    subject = approval.subject_for(
        spend,
        kind=SUBJECT,
        subject_id=spend_id,
        asked_at=at,
        about=card.product.name,
        details={"deposit in it": str(deposit)} if deposit.minor else {},
    )
    approval.open_approval(
        tx, spend, verdict.level, subject, f"/wallet/cards/{fee.card_id}", at, reasons=verdict.reasons
    )
    return False


def _advance_payment(ctx: Context, fee: Fee, session_at: datetime | None, *, asked: bool) -> bool:
    """Go on with the payment of a card of another issuer: whether it is paid. One that came to nothing leaves it due.

    asked: its holder waits for the answer. Errors: those by which payments refuses, for them; it is due again then.
    """
    with ctx.tx() as tx:
        card = granting.get(tx, fee.card_id)
    refused: HansaError | None = None
    try:
        paid = by_payment.go_on(ctx, card, fee, session_at=session_at)
    except HansaError as error:
        if error.status >= 500:
            raise
        paid, refused = False, error
    if paid is False:
        with ctx.tx() as tx:
            now = fees_store.lock(tx, fee.card_id)
            if now is not None and (now.state, now.attempt) == ("paying", fee.attempt):
                fees_store.move(tx, fee.card_id, "due", ctx.clock.now(), next_attempt=True)
    if refused is not None and asked:
        raise refused
    return bool(paid)


def _advance(
    ctx: Context, card_id: UUID, step: Step, *, session_at: datetime | None = None, asked: bool = False
) -> None:
    at = ctx.clock.now()
    with ctx.tx() as tx:
        fee = fees_store.lock(tx, card_id)
        if fee is not None and fee.state == "approving":
            spend_id = spend_of(fee)
            answer = approval.approval_state(tx, [spend_id])[spend_id]
            if answer is ApprovalState.GIVEN:
                fees_store.move(tx, card_id, "paying", at)
                fee = replace(fee, state="paying")
            elif answer in (ApprovalState.REFUSED, ApprovalState.EXPIRED):
                _give_back(tx, fee, at)
                fees_store.move(tx, card_id, "due", at, next_attempt=True)
    if fee is None or fee.state != "paying":
        return
    if fee.way == "payment":
        if not _advance_payment(ctx, fee, session_at, asked=asked):
            return
        step("taken")
    code = _post(ctx, fee, _chain(fee))
    step("posted")
    if code is not ResultCode.CREATED and fee.way == "payment":
        return  # its money is the issuer's already: the next turn books it
    if code is not ResultCode.CREATED and _given_up(ctx, fee):
        with ctx.tx() as tx:
            now = fees_store.lock(tx, card_id)
            if now is not None and (now.state, now.attempt) == ("paying", fee.attempt):
                _give_back(tx, fee, at)
                fees_store.move(tx, card_id, "due", at, next_attempt=True)
        return
    with ctx.tx() as tx:
        card = granting.get(tx, card_id, lock=True)
        now = fees_store.lock(tx, card_id)
        if now is not None and now.state == "paying":
            fees_store.move(tx, card_id, "paid", at, deposit="held" if fee.deposit_minor else None)
            if card.state == "applied":
                granting.enforce(tx, card_id, at, now.by_whom or "holder", f"paid {fee.total}")
    step("paid")


def _advance_deposit(ctx: Context, card_id: UUID, step: Step) -> None:
    with ctx.tx() as tx:
        fee = fees_store.lock(tx, card_id)
    if fee is None or fee.deposit not in ("returning", "keeping"):
        return
    wallet = payments.wallet_id(AccountId(fee.account_id), fee.currency)
    if fee.deposit == "keeping":
        goes_to = clearing.earned_account(fee.issuer_id, fee.currency, fee.partition)
    elif fee.deposit_to == "wallet":
        goes_to = wallet
    else:
        goes_to = payments.cash_account(fee.issuer_id, fee.currency, fee.partition)
    back = _transfer(
        fee,
        "deposit back",
        deposit_account(fee.issuer_id, fee.currency, fee.partition),
        goes_to,
        fee.deposit_minor,
    )
    code = _post(ctx, fee, (back,))
    assert code is ResultCode.CREATED, code
    step("posted")
    at = ctx.clock.now()
    with ctx.tx() as tx:
        now = fees_store.lock(tx, card_id)
        if now is not None and now.deposit == "returning":
            fees_store.move_deposit(tx, card_id, "returned", at)
            amount = Money(fee.deposit_minor, fee.currency)
            tell(tx, granting.get(tx, card_id), "card.deposit_returned", at, amount=amount, members=False)
        elif now is not None and now.deposit == "keeping":
            fees_store.move_deposit(tx, card_id, "kept", at)
    step("returned")


def _chain(fee: Fee) -> tuple[ledger.Transfer, ...]:
    """Price and deposit, both or none."""
    if fee.way == "wallet":
        payer = payments.wallet_id(AccountId(fee.account_id), fee.currency)
    elif fee.way == "payment":
        payee_id = by_payment.payee_of(fee.issuer_id, fee.currency)
        payer = payments.merchant_account(payee_id, fee.currency, fee.partition)
    else:
        payer = payments.cash_account(fee.issuer_id, fee.currency, fee.partition)
    parts = [
        _transfer(fee, name, payer, account(fee.issuer_id, fee.currency, fee.partition), minor)
        for name, account, minor in (
            ("price", clearing.earned_account, fee.price_minor),
            ("deposit", deposit_account, fee.deposit_minor),
        )
        if minor
    ]
    last = len(parts) - 1
    return tuple(
        replace(one, flags=TransferFlag.LINKED) if place < last else one for place, one in enumerate(parts)
    )


def _transfer(
    fee: Fee, name: str, debit: ledger.AccountId, credit: ledger.AccountId, minor: int
) -> ledger.Transfer:
    return ledger.Transfer(
        transfer_id=TransferId(fact_id(fee.asked_at, "card fee", fee.card_id, fee.attempt, name)),
        debit=debit,
        credit=credit,
        amount=minor,
        currency=fee.currency,
        code=TransferCode.CARD,
        event_at=fee.moved_at if name == "deposit back" else fee.asked_at,
        partition=fee.partition,
        reference=fee.card_id,
    )


def _given_up(ctx: Context, fee: Fee) -> bool:
    """See to it that this attempt is never booked, however late a lost call arrives; False where it is booked.

    A transfer of nothing takes the id of its first one: the ledger lets only one of the two stand.
    """
    first = _chain(fee)[0]
    marker = replace(
        first,
        debit=clearing.earned_account(fee.issuer_id, fee.currency, fee.partition),
        credit=deposit_account(fee.issuer_id, fee.currency, fee.partition),
        amount=0,
        flags=TransferFlag.NONE,
        memo="given up",
    )
    return _post(ctx, fee, (marker,)) is ResultCode.CREATED


def _post(ctx: Context, fee: Fee, chain: Sequence[ledger.Transfer]) -> ResultCode:
    """CREATED if it is in the books, now or before; else what stopped it."""
    for opened in (False, True):
        got = [one.code for one in ledger.post(ctx, chain)]
        if ResultCode.EXISTS in got or all(one is ResultCode.CREATED for one in got):
            return ResultCode.CREATED
        code = next(one for one in got if one is not ResultCode.LINKED_EVENT_FAILED)
        if opened or code not in _NOT_OPEN:
            return code
        _open(ctx, fee)
    raise AssertionError("what was opened was tried again")


def _open(ctx: Context, fee: Fee) -> None:
    payments.open_member_accounts(ctx, [fee.issuer_id], [fee.currency])
    if fee.deposit_to == "wallet":
        with ctx.tx() as tx:
            account = identity.get_account(tx, AccountId(fee.account_id))
        payments.open_wallets(ctx, [(account, fee.currency)])
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(
                account_id=account_of(fee.issuer_id, fee.currency, fee.partition),
                currency=fee.currency,
                code=code,
                holder=fee.issuer_id,
                flags=ledger.CHART[code].flags,
                partition=fee.partition,
                path=ledger.account_path(code, fee.issuer_id),
            )
            for account_of, code in (
                (clearing.earned_account, AccountCode.EARNED),
                (deposit_account, AccountCode.DEPOSIT),
            )
        ],
    )


def _give_back(tx: Tx, fee: Fee, at: datetime) -> None:
    """It came to nothing: nobody is asked about it any more, and what it took of limits is free again."""
    if fee.way == "wallet":
        spend_id = spend_of(fee)
        approval.withdraw(tx, [spend_id], at)
        approval.give_back(tx, [spend_id], at=at, partition=fee.partition)


def _own(tx: Tx, account_id: AccountId, card_id: UUID) -> Card:
    card = store.find_card(tx, card_id)
    if card is None or card.account_id != account_id:
        raise UnknownCard
    return card


def _of(tx: Tx, issuers: Sequence[str], card_id: UUID, *, lock: bool = False) -> Card:
    card = store.find_card(tx, card_id, lock=lock)
    if card is None or card.product.issuer_id not in issuers:
        raise UnknownCard
    return card


def _audit(tx: Tx, card: Card, by: str, action: str, what: str, at: datetime) -> None:
    details = {"product": card.product.product_id}
    audit.record(tx, audit.Act(by, action, f"card:{card.card_id}", what, details, card.product.issuer_id), at)
