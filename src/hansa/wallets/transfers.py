"""Money from one person to another: sent once, arrived once, or back with its sender.

Each step is written down by its state, posted to the ledger under an id worked out from the transfer, and then the
next state is written. A kill between any two of these loses nothing: ``advance`` or ``finish`` ends it the same way.
What was refused has its id in the ledger taken first, so that no late call can book it after the money went back.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import approval, identity, ledger, payments, webhooks
from hansa.approval import ApprovalState
from hansa.identity import AccountId
from hansa.kernel import Directory, HansaError, InvalidInput, Money, Problem
from hansa.ledger import ResultCode
from hansa.payments import Step, no_step
from hansa.store import Context, Tx
from hansa.wallets import approving, legs, requests_store
from hansa.wallets import transfers_store as store
from hansa.wallets.model import (
    APPROVAL_LASTS,
    BY_ITSELF,
    LINK_LASTS,
    Arrival,
    CannotReceive,
    InsufficientFunds,
    NewTransfer,
    State,
    Transfer,
    TransferDiffers,
    TransferMoved,
    UnknownLink,
    UnknownTransfer,
    check_amount,
    hash_secret,
    new_secret,
    read_note,
)
from hansa.wallets.posting import POOR, give_up, open_between, open_transit, post_chain

LINKS_MAX = 20
"""Links of one person that wait to be claimed."""

RECEIVER_FULL = "receiver_full"
FULL_MAX, FULL_WITHIN = 3, timedelta(days=1)
"""How often in a day a sender may find one receiver's wallet full: how much another's holds is not to be tried out."""

SOME = 1_000

TOLD = {
    State.SETTLED: "transfer.settled",
    State.FAILED: "transfer.failed",
    State.RETURNED: "transfer.returned",
}
"""Which ends members are told."""


# --- what a person does


def send(ctx: Context, new: NewTransfer, *, step: Step = no_step) -> Transfer:
    """Send money to a person, or hold it for whoever has the link; gives how far it is.

    Safe to repeat by ``transfer_id``, also after a kill. Errors, and nothing is kept then: InvalidInput,
    TransferDiffers, UnknownAccount, AccountBlocked, CannotReceive, InsufficientFunds, payments' of quotes,
    approval.NotDelegated for who may not spend from the sender's wallet, and what the approval forbids.
    """
    with approval.refusals_told(ctx), ctx.tx() as tx:
        transfer = begin(tx, new, at=ctx.clock.now(), directory=ctx.directory)
    step("begun")
    return _advance(ctx, transfer, step)


def begin(tx: Tx, new: NewTransfer, *, at: datetime, directory: Directory) -> Transfer:
    """Keep a transfer; it moves by ``advance`` once this transaction is committed. Errors: as ``send``."""
    check_amount(new.amount)
    new = replace(new, note=read_note(new.note))
    partition = directory.partition_of(new.sender_id)
    known = store.find(tx, [partition], new.transfer_id)
    if known is not None:
        return _same(known, new)
    sender = identity.get_account(tx, new.sender_id)
    for one in (new.sender_id, new.spender_id):
        if one is not None and identity.standing_of(tx, one).level == "blocked":
            raise identity.AccountBlocked("Your account is blocked. Ask your issuer.")
    if new.spender_id is not None and approval.use_delegation(tx, new.sender_id, new.spender_id, at) is None:
        raise approval.NotDelegated
    receiver = _receiver(tx, new) if new.receiver_id is not None else None
    if receiver is not None and store.count_full(tx, partition, new, at - FULL_WITHIN) >= FULL_MAX:
        raise CannotReceive("Their wallet could not hold what you sent before. Try again tomorrow.")
    quote = _quote(tx, new, at=at, partition=partition) if new.quote_id is not None else None
    _check_funds(tx, new, new.amount if quote is None else quote.pays, partition)
    if receiver is None and store.count_links(tx, partition, new.sender_id) >= LINKS_MAX:
        problem = Problem("receiver", f"{LINKS_MAX} of your links wait already", "Take one back first")
        raise InvalidInput("There are too many links.", problems=(problem,))
    shown = identity.masked_name(receiver.name) if receiver else "whoever has the link"
    goes_on = approving.may_begin(
        tx,
        approving.Asked(
            kind="transfer",
            subject_id=new.transfer_id,
            account_id=new.sender_id,
            partition=partition,
            amount=new.amount if quote is None else quote.pays,
            payee_key=payee_key(new),
            payee_name=shown,
            channel=approval.Channel.PERSON,
            session_at=new.session_at,
            about=new.note,
            details=quote.shown if quote else {"link": "whoever has it first"} if receiver is None else {},
            expires_at=None if quote is None else quote.expires_at,
            next_url=f"/wallet/transfers/{new.transfer_id}",
            spender=new.spender_id,
        ),
        at,
    )
    transfer = Transfer(
        partition=partition,
        transfer_id=new.transfer_id,
        sender_id=new.sender_id,
        sender_issuer_id=sender.issuer_id,
        receiver_id=receiver.account_id if receiver else None,
        receiver_issuer_id=receiver.issuer_id if receiver else None,
        receiver_partition=directory.partition_of(receiver.account_id) if receiver else None,
        amount_minor=new.amount.minor,
        currency=new.amount.currency,
        note=new.note,
        request_id=new.request_id,
        is_link=receiver is None,
        state=State.PROCESSING if goes_on else State.REQUIRES_APPROVAL,
        reason="",
        created_at=at,
        expires_at=quote.expires_at if quote else at + (LINK_LASTS if receiver is None else APPROVAL_LASTS),
        changed_at=at,
        quote_id=new.quote_id,
        pays_minor=quote.pays.minor if quote else None,
        pays_currency=quote.pays.currency if quote else None,
        fee_minor=quote.fee.minor if quote else None,
        spender_id=new.spender_id,
    )
    if store.insert(tx, transfer):
        return transfer
    found = store.find(tx, [partition], new.transfer_id)
    assert found is not None, "what is in the way is there"
    return _same(found, new)


def cancel(ctx: Context, sender_id: AccountId, transfer_id: UUID, *, step: Step = no_step) -> Transfer:
    """Take a transfer back that waits for its approval, or a link that nobody has claimed. Again is harmless.

    Errors: UnknownTransfer, TransferMoved once the money has gone.
    """
    transfer = get(ctx, sender_id, transfer_id)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        if transfer.state is State.REQUIRES_APPROVAL:
            _move(tx, transfer, State.CANCELED, now, reason="canceled")
        elif transfer.state is State.HELD:
            store.move(tx, transfer, State.VOIDING, now, reason="canceled")
    step("cancelled")
    found = _advance(ctx, transfer, step)
    if found.state is not State.CANCELED:
        raise TransferMoved
    return found


def renew_link(ctx: Context, sender_id: AccountId, transfer_id: UUID) -> str:
    """The secret of a held link, told once; whatever secret led there before leads nowhere now.

    Errors: UnknownTransfer; TransferMoved where nothing is held.
    """
    transfer = get(ctx, sender_id, transfer_id)
    if transfer.state is not State.HELD:
        raise TransferMoved("There is a link only while the money waits for whoever claims it.")
    secret = new_secret()
    with ctx.tx() as tx:
        store.set_link(tx, hash_secret(secret), transfer)
    return secret


def look_at_link(ctx: Context, secret: str) -> Transfer:
    """What a link holds. Errors: UnknownLink."""
    with ctx.tx() as tx:
        place = store.find_link(tx, hash_secret(secret))
        transfer = store.find(tx, [place[0]], place[1]) if place else None
    if transfer is None or transfer.state is not State.HELD or transfer.expires_at <= ctx.clock.now():
        raise UnknownLink
    return transfer


def claim(ctx: Context, receiver_id: AccountId, secret: str, *, step: Step = no_step) -> Transfer:
    """Take the money that a link holds; the first who claims it has it, and may ask again.

    Errors: UnknownLink; CannotReceive; InvalidInput for the sender's own link; approval.BalanceCapReached, and the link
    can be claimed when there is room for it.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        place = store.find_link(tx, hash_secret(secret))
        transfer = store.find(tx, [place[0]], place[1]) if place else None
        if transfer is None:
            raise UnknownLink
        if transfer.receiver_id != receiver_id:
            if transfer.sender_id == receiver_id:
                problem = Problem("link", "is your own", "Take the money back instead")
                raise InvalidInput("Your own link is for somebody else.", problems=(problem,))
            receiver = identity.get_account(tx, receiver_id)
            _check_receives(tx, receiver_id)
            home = ctx.directory.partition_of(receiver_id)
            if not store.claim(tx, transfer, receiver_id, receiver.issuer_id, home, now):
                raise UnknownLink
            refused = _admit(tx, replace(transfer, receiver_id=receiver_id, receiver_partition=home), now)
            if refused is not None:
                raise refused
    step("claimed")
    return _advance(ctx, transfer, step)


def advance(ctx: Context, transfer_id: UUID, *, step: Step = no_step) -> Transfer:
    """Take a transfer as far as it goes now, such as after its approval. Again, or by several at once, is harmless.

    Errors: UnknownTransfer.
    """
    with ctx.tx() as tx:
        transfer = store.find(tx, ctx.directory.partitions, transfer_id)
    if transfer is None:
        raise UnknownTransfer
    return _advance(ctx, transfer, step)


def finish(ctx: Context, limit: int = SOME) -> int:
    """End what a crash left, and what has run out of time; gives how many transfers moved."""
    with ctx.tx() as tx:
        left = store.list_open(tx, ctx.directory.partitions, BY_ITSELF, ctx.clock.now(), limit)
    moved = 0
    for transfer in left:
        if transfer.state is State.HELD:
            with ctx.tx() as tx:
                store.move(tx, transfer, State.VOIDING, ctx.clock.now(), reason="expired")
        moved += _advance(ctx, transfer, no_step).state is not transfer.state
    return moved


# --- reading


def get(ctx: Context, account_id: AccountId, transfer_id: UUID) -> Transfer:
    """A transfer for its sender, or for who sent it from the sender's wallet. Errors: UnknownTransfer, else too."""
    with ctx.tx() as tx:
        found = find(tx, account_id, transfer_id, directory=ctx.directory)
    if found is None:
        raise UnknownTransfer
    return found


def find(tx: Tx, account_id: AccountId, transfer_id: UUID, *, directory: Directory) -> Transfer | None:
    """A transfer of this sender, or that this person sent from another's wallet; or None."""
    found = store.find(tx, directory.partitions, transfer_id)
    return found if found is not None and account_id in (found.sender_id, found.spender_id) else None


def find_of_issuer(
    tx: Tx, issuer_id: str | None, transfer_id: UUID, *, directory: Directory
) -> Transfer | None:
    """A transfer that people of this issuer sent or received; of any issuer where None is given. Else None."""
    found = store.find(tx, directory.partitions, transfer_id)
    if found is None or issuer_id in (None, found.sender_issuer_id, found.receiver_issuer_id):
        return found
    return None


def list_sent(
    tx: Tx,
    account_id: AccountId,
    *,
    partition: int = 0,
    limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
) -> list[Transfer]:
    """What a person sent, newest first. before: instant and id of the last one already seen."""
    return store.of_sender(tx, partition, account_id, limit, before)


def list_sent_for_others(
    tx: Tx, account_id: AccountId, *, limit: int = 50, before: tuple[datetime, UUID] | None = None
) -> list[Transfer]:
    """What a person sent from the wallets of others, who let them; newest first."""
    return store.of_spender(tx, account_id, limit, before)


def list_arrivals(
    tx: Tx,
    account_id: AccountId,
    *,
    partition: int = 0,
    limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
) -> list[Arrival]:
    """What came to a person, newest first. before: instant and id of the last one already seen."""
    return store.arrivals(tx, partition, account_id, limit, before)


def find_arrival(tx: Tx, account_id: AccountId, transfer_id: UUID, *, partition: int = 0) -> Arrival | None:
    """What came to a person by this transfer."""
    return store.find_arrival(tx, partition, account_id, transfer_id)


def list_recent(tx: Tx, account_id: AccountId, *, partition: int = 0, limit: int = 6) -> list[AccountId]:
    """Whom a person paid, the latest first."""
    return [AccountId(one) for one in store.recent(tx, partition, account_id, limit)]


# --- the steps


def _advance(ctx: Context, transfer: Transfer, step: Step) -> Transfer:
    while True:
        with ctx.tx() as tx:
            found = store.find(tx, [transfer.partition], transfer.transfer_id)
        assert found is not None, "a transfer that was kept stays"
        take_step = _STEPS.get(found.state)
        if take_step is None or not take_step(ctx, found, step):
            return found


def _hear(ctx: Context, transfer: Transfer, _: Step) -> bool:
    """What became of the approval it waits for."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        answer = approving.find_answer(tx, transfer.transfer_id)
        if answer is ApprovalState.GIVEN:
            return store.move(tx, transfer, State.PROCESSING, now)
        if answer is ApprovalState.REFUSED:
            return _move(tx, transfer, State.FAILED, now, reason="not_approved")
        if answer in (ApprovalState.EXPIRED, ApprovalState.NONE):
            return _move(tx, transfer, State.EXPIRED, now, reason="not_approved_in_time")
    return False


def _take(ctx: Context, transfer: Transfer, step: Step) -> bool:
    """Take the money from the sender's wallet, or hold it there for a link; not where the receiver's has no room."""
    if not _has_room(ctx, transfer) and _give_up(ctx, transfer, legs.take_id(transfer), transfer.partition):
        return _record(ctx, transfer, State.FAILED, step, reason=RECEIVER_FULL)
    step("room made")
    went = State.SETTLED if transfer.is_direct else State.HELD if transfer.is_link else State.IN_TRANSIT
    code = post_chain(ctx, legs.take(transfer), open_accounts=lambda: _open(ctx, transfer))
    step("taken")
    if code is ResultCode.CREATED or not _give_up(ctx, transfer, legs.take_id(transfer), transfer.partition):
        return _record(ctx, transfer, went, step)
    step("given up")
    reason = "insufficient_funds" if code is POOR else _REASONS.get(code, "refused_by_the_books")
    return _record(ctx, transfer, State.FAILED, step, reason=reason)


def _has_room(ctx: Context, transfer: Transfer) -> bool:
    """Whether the receiver's wallet may hold it, so that it has its place there; where nobody is known yet, or another
    went on with it meanwhile, nothing speaks against it.
    """
    if transfer.receiver_id is None:
        return True
    now = ctx.clock.now()
    with ctx.tx() as tx:
        # Written as it is, which locks it: what was ended meanwhile gets no place that nobody would give back.
        if not store.move(tx, transfer, transfer.state, now):
            return True
        return _admit(tx, transfer, now) is None


def _admit(tx: Tx, transfer: Transfer, at: datetime) -> approval.BalanceCapReached | None:
    assert transfer.receiver_id is not None and transfer.receiver_partition is not None, "a receiver is known"
    receiver_id = AccountId(transfer.receiver_id)
    incoming = approval.Incoming(
        incoming_id=transfer.transfer_id,
        account_id=receiver_id,
        wallet=payments.wallet_id(receiver_id, transfer.currency),
        amount=transfer.amount,
        partition=transfer.receiver_partition,
    )
    return approval.admit(tx, [incoming], at)[0]


def _claim(ctx: Context, transfer: Transfer, step: Step) -> bool:
    """What the link held is on its way."""
    code = post_chain(ctx, legs.claim(transfer))
    step("claim posted")
    return code is ResultCode.CREATED and _record(ctx, transfer, State.IN_TRANSIT, step)


def _give(ctx: Context, transfer: Transfer, step: Step) -> bool:
    """Give what is in transit to the receiver; where the receiver's wallet refuses, or is nobody's any more, it goes
    back. An account is deleted once: whoever sees that it was not, gives as before.
    """
    assert transfer.receiver_partition is not None, "what is in transit has a receiver"
    assert transfer.receiver_id is not None, "what is in transit has a receiver"
    with ctx.tx() as tx:
        closed = identity.is_closed(tx, AccountId(transfer.receiver_id))
    if closed and _give_up(ctx, transfer, legs.give_id(transfer), transfer.receiver_partition):
        return _record(ctx, transfer, State.RETURNING, step, reason="receiver_closed")
    code = post_chain(ctx, legs.give(transfer), open_accounts=lambda: _open(ctx, transfer))
    step("given")
    if code is ResultCode.CREATED or not _give_up(
        ctx, transfer, legs.give_id(transfer), transfer.receiver_partition
    ):
        return _record(ctx, transfer, State.SETTLED, step)
    step("given up")
    reason = _REASONS.get(code, "refused_by_the_books")
    return _record(ctx, transfer, State.RETURNING, step, reason=reason)


def _return(ctx: Context, transfer: Transfer, step: Step) -> bool:
    code = post_chain(ctx, legs.give_back(transfer))
    step("return posted")
    return code is ResultCode.CREATED and _record(ctx, transfer, State.RETURNED, step)


def _void(ctx: Context, transfer: Transfer, step: Step) -> bool:
    code = post_chain(ctx, legs.void(transfer))
    step("void posted")
    to = State.EXPIRED if transfer.reason == "expired" else State.CANCELED
    return code is ResultCode.CREATED and _record(ctx, transfer, to, step)


_STEPS: dict[State, Callable[[Context, Transfer, Step], bool]] = {
    State.REQUIRES_APPROVAL: _hear,
    State.PROCESSING: _take,
    State.CLAIMED: _claim,
    State.IN_TRANSIT: _give,
    State.RETURNING: _return,
    State.VOIDING: _void,
}
"""What is done in a state; whether it went on. A state that is not here waits for somebody, or is an end."""

_REASONS = {
    ResultCode.CREDIT_ACCOUNT_ALREADY_CLOSED: "receiver_closed",
    ResultCode.DEBIT_ACCOUNT_ALREADY_CLOSED: "sender_closed",
    ResultCode.DEBIT_ACCOUNT_NOT_FOUND: "issuers_do_no_business",
    ResultCode.CREDIT_ACCOUNT_NOT_FOUND: "issuers_do_no_business",
}


def _record(ctx: Context, transfer: Transfer, to: State, step: Step, *, reason: str = "") -> bool:
    with ctx.tx() as tx:
        _move(tx, transfer, to, ctx.clock.now(), reason=reason)
    step("recorded")
    return True  # where another one moved it, the next look sees to what


def _move(tx: Tx, transfer: Transfer, to: State, at: datetime, *, reason: str = "") -> bool:
    """Write the next state, with all that becomes true by it."""
    if not store.move(tx, transfer, to, at, reason=reason):
        return False
    if to is State.SETTLED:
        store.add_arrival(tx, transfer, at)
    if transfer.receiver_partition is not None and to in _FOR_REQUESTS:
        approval.end_incoming(tx, [transfer.transfer_id], partition=transfer.receiver_partition)
    if to in (State.FAILED, State.CANCELED, State.EXPIRED, State.RETURNED):
        approving.give_back(tx, transfer.transfer_id, at=at, partition=transfer.partition)
    if transfer.request_id is not None and to in _FOR_REQUESTS:
        requests_store.heard(tx, transfer.request_id, transfer.transfer_id, paid=to is State.SETTLED, at=at)
    if to in TOLD:
        members = {transfer.sender_issuer_id, transfer.receiver_issuer_id or transfer.sender_issuer_id}
        webhooks.record(
            tx,
            webhooks.News(
                type=TOLD[to],
                members=sorted(members),
                at=at,
                subject=f"transfer {transfer.transfer_id}",
                data={
                    "transfer_id": str(transfer.transfer_id),
                    "amount_minor": transfer.amount_minor,
                    "currency": transfer.currency,
                    "reason": reason or transfer.reason,
                },
                fact=(str(transfer.transfer_id),),
                people=_for_people(transfer, to, at),
            ),
        )
    return True


def _for_people(transfer: Transfer, to: State, at: datetime) -> list[webhooks.ForPerson]:
    """What sender and receiver are told of an end."""

    def one(account_id: UUID, kind: str, other: UUID | None) -> webhooks.ForPerson:
        person = {} if other is None else {"person": str(other)}
        return webhooks.ForPerson(
            account_id=account_id,
            kind=kind,
            at=at,
            subject=f"transfer {transfer.transfer_id}",
            facts={"amount": {"minor": transfer.amount_minor, "currency": transfer.currency}} | person,
            fact=(transfer.transfer_id,),
        )

    if to is not State.SETTLED:
        return [one(transfer.sender_id, TOLD[to], transfer.receiver_id)]
    assert transfer.receiver_id is not None, "what settled has a receiver"
    told = [one(transfer.receiver_id, "transfer.received", transfer.sender_id)]
    if transfer.spender_id is not None:
        pays = {"minor": transfer.pays.minor, "currency": transfer.pays.currency}
        owner = one(transfer.sender_id, "transfer.delegate", transfer.spender_id)
        told.append(replace(owner, facts={**owner.facts, "amount": pays}))
    if transfer.is_link:
        told.append(one(transfer.sender_id, "transfer.claimed", transfer.receiver_id))
    return told


_FOR_REQUESTS = (State.SETTLED, State.FAILED, State.CANCELED, State.EXPIRED, State.RETURNED)


def _give_up(ctx: Context, transfer: Transfer, transfer_id: ledger.TransferId, partition: int) -> bool:
    return give_up(
        ctx,
        transfer_id,
        issuer_id=transfer.sender_issuer_id,
        currency=transfer.currency,
        partition=partition,
        at=transfer.created_at,
    )


def _open(ctx: Context, transfer: Transfer) -> None:
    """Open what the chain needs: the receiver's wallet, the issuers' transit, and a position between the two."""
    issuer, other, unit = transfer.sender_issuer_id, transfer.receiver_issuer_id, transfer.currency
    ends = [transfer.partition]
    if transfer.receiver_id is not None and transfer.receiver_partition is not None and other is not None:
        ends.append(transfer.receiver_partition)
        open_transit(ctx, other, unit, ends)
        if other != issuer and not open_between(ctx, issuer, other, unit):
            return
        with ctx.tx() as tx:
            receiver = identity.get_account(tx, AccountId(transfer.receiver_id))
        payments.open_member_accounts(ctx, [other], [unit])
        payments.open_wallets(ctx, [(receiver, unit)])
    open_transit(ctx, issuer, unit, ends)


# --- checks


def _same(known: Transfer, new: NewTransfer) -> Transfer:
    if not known.is_of(new):
        raise TransferDiffers(f"Transfer {new.transfer_id} is known with other content.")
    return known


def _receiver(tx: Tx, new: NewTransfer) -> identity.Account:
    assert new.receiver_id is not None, "a link has no receiver yet"
    if new.receiver_id == new.sender_id:
        problem = Problem("receiver", "is yourself", "Choose somebody else")
        raise InvalidInput("Nobody sends money to themselves.", problems=(problem,))
    receiver = identity.get_account(tx, new.receiver_id)
    _check_receives(tx, new.receiver_id)
    return receiver


def _check_receives(tx: Tx, receiver_id: AccountId) -> None:
    if identity.standing_of(tx, receiver_id).level == "blocked" or identity.is_closed(tx, receiver_id):
        raise CannotReceive


def payee_key(new: NewTransfer) -> str:
    """By which name approval knows who is sent money. Nobody knows who takes a link: it is a new payee each time."""
    return f"link:{new.transfer_id}" if new.receiver_id is None else f"account:{new.receiver_id}"


def _quote(tx: Tx, new: NewTransfer, *, at: datetime, partition: int) -> payments.Quote:
    """The quote by which this is sent, used by it from now on. Errors: those of quotes; InvalidInput for a link."""
    assert new.quote_id is not None, new
    if new.receiver_id is None:
        problem = Problem(
            "quote_id", "a link waits for days, a quote for minutes", "Send it in your own currency"
        )
        raise InvalidInput("A link holds your own money.", problems=(problem,))
    use = payments.Use(
        quote_id=new.quote_id,
        subject="transfer",
        subject_id=new.transfer_id,
        account_id=new.sender_id,
        partition=partition,
        payee_key=payee_key(new),
        gets=new.amount,
    )
    (quote,) = payments.use_quotes(tx, [use], at)
    if isinstance(quote, HansaError):
        raise quote
    return quote


def _check_funds(tx: Tx, new: NewTransfer, amount: Money, partition: int) -> None:
    """Tell at once what the ledger would refuse; the ledger still decides. Who spends for another learns no balance."""
    sender_id = new.sender_id
    held = payments.balance_of(tx, sender_id, partition=partition)
    if amount.currency not in {one.currency for one in held}:
        units = ", ".join(one.currency for one in held) or "no currency"
        problem = Problem(
            "amount.currency",
            f"you have no wallet in {amount.currency}",
            f"Choose {units}, or send by a quote with a locked rate (quote_id)",
        )
        raise InvalidInput("There is no such wallet.", problems=(problem,))
    left = available(tx, sender_id, amount.currency)
    if left < amount and new.spender_id is not None:
        raise InsufficientFunds("That wallet holds too little.")
    if left < amount:
        raise InsufficientFunds(f"Your wallet can pay {left} now, and this is {amount}.")


def available(tx: Tx, account_id: AccountId, currency: str) -> Money:
    """What a wallet can pay now: what it holds, less what is held for something."""
    wallet = payments.wallet_id(account_id, currency)
    return Money(ledger.balance(tx, wallet).available_minor, currency)


def names_of(tx: Tx, account_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The names of these accounts as others may see them."""
    found = identity.find_accounts(tx, [AccountId(one) for one in account_ids])
    return {account_id: identity.masked_name(account.name) for account_id, account in found.items()}
