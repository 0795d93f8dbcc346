"""Money that people ask of each other: requests, and bills split among several.

A request is paid by one transfer at a time. A try that fails leaves it open for another; two that press "pay" at once
pay once, since the database lets one of them begin.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hansa import identity, webhooks
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Money, Problem, fact_id, split_minor
from hansa.payments import Step, no_step
from hansa.store import Context, Rate, Tx, refuse_too_often
from hansa.wallets import requests_store as store
from hansa.wallets import transfers
from hansa.wallets.model import (
    NOTE_MAX,
    OPEN_REQUESTS_MAX,
    REMIND_AFTER,
    REMINDERS_MAX,
    REQUEST_LASTS,
    SHARES_MAX,
    SPLIT_AMONG_MAX,
    CannotAsk,
    NewRequest,
    NewSplit,
    NewTransfer,
    RemindedEnough,
    Request,
    RequestDiffers,
    RequestMoved,
    RequestState,
    Share,
    Split,
    SplitDiffers,
    SplitState,
    SplitWay,
    Transfer,
    UnknownRequest,
    UnknownSplit,
    check_amount,
    read_note,
)

ASKING = Rate(60, timedelta(days=1))
"""How many people one person may ask in a day."""

SOURCES = ("bill", "payment", "journey")


# --- requests


def ask(ctx: Context, new: NewRequest) -> Request:
    """Ask a person for money. Safe to repeat by ``request_id``.

    Errors: InvalidInput, RequestDiffers, UnknownAccount; CannotAsk where too many are open, the payer wants none, or
    an account was deleted.
    """
    now = ctx.clock.now()
    request = _request(new, now)
    with ctx.tx() as tx:
        known = store.find_request(tx, new.request_id)
    if known is None:
        refuse_too_often(ctx, f"wallets.ask/{new.asker_id}", ASKING)
    with ctx.tx() as tx:
        return (known and _same(known, request)) or _ask(tx, [request])[0]


def _ask(tx: Tx, requests: Sequence[Request]) -> list[Request]:
    for one in requests:
        for account_id in (one.payer_id, one.asker_id):
            identity.get_account(tx, AccountId(account_id))
            if identity.is_closed(tx, AccountId(account_id)):
                raise CannotAsk
        if store.is_muted(tx, one.payer_id, one.asker_id):
            raise CannotAsk
        if store.count_open(tx, one.payer_id, one.asker_id) >= OPEN_REQUESTS_MAX:
            raise CannotAsk(f"{OPEN_REQUESTS_MAX} of your requests wait with this person already.")
    if store.insert_requests(tx, requests) == len(requests):
        webhooks.tell(tx, *(_for_payer(one, "request.received", one.created_at) for one in requests))
        return list(requests)
    kept: list[Request] = []
    for one in requests:
        found = store.find_request(tx, one.request_id)
        assert found is not None, "what is in the way is there"
        kept.append(_same(found, one))
    return kept


def pay(
    ctx: Context,
    payer_id: AccountId,
    request_id: UUID,
    *,
    owner_id: AccountId | None = None,
    quote_id: UUID | None = None,
    session_at: datetime | None = None,
    step: Step = no_step,
) -> Transfer:
    """Pay a request; gives the transfer. Paying again gives the same transfer, while it pays or has paid.

    owner_id: from whose wallet, where another lets the payer spend. quote_id: by which a wallet in another currency
    pays. Errors: UnknownRequest, RequestMoved, and those of ``transfers.send``; the request stays open then.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        request = store.lock_request(tx, request_id)
        if request is None or request.payer_id != payer_id:
            raise UnknownRequest
        if request.state in (RequestState.PAYING, RequestState.PAID) and request.transfer_id is not None:
            transfer_id = request.transfer_id
        elif request.state is not RequestState.OPEN or request.expires_at <= now:
            raise RequestMoved
        else:
            transfer_id = fact_id(request.created_at, "pay", request_id, request.attempts)
            new = NewTransfer(
                transfer_id=transfer_id,
                sender_id=owner_id or payer_id,
                spender_id=None if owner_id in (None, payer_id) else payer_id,
                receiver_id=AccountId(request.asker_id),
                amount=request.amount,
                note=request.note,
                request_id=request_id,
                quote_id=quote_id,
                session_at=session_at,
            )
            transfers.begin(tx, new, at=now, directory=ctx.directory)
            begun = store.begin_paying(tx, request_id, transfer_id, now)
            assert begun, "the row is locked and open"
    step("paying")
    return transfers.advance(ctx, transfer_id, step=step)


def decline(ctx: Context, payer_id: AccountId, request_id: UUID, *, mute: bool = False) -> Request:
    """Say no to a request. mute: and to every later one of the same person. Again is harmless.

    Errors: UnknownRequest, RequestMoved.
    """
    with ctx.tx() as tx:
        request = _of(tx, request_id, payer_id=payer_id)
        if mute:
            store.mute(tx, payer_id, request.asker_id, ctx.clock.now())
        return _end(tx, request, RequestState.DECLINED, ctx.clock.now())


def cancel(ctx: Context, asker_id: AccountId, request_id: UUID) -> Request:
    """Take a request back. Again is harmless. Errors: UnknownRequest, RequestMoved."""
    with ctx.tx() as tx:
        return _end(tx, _of(tx, request_id, asker_id=asker_id), RequestState.CANCELED, ctx.clock.now())


def remind(ctx: Context, asker_id: AccountId, request_id: UUID) -> Request:
    """Remind the payer: three times at most, a day apart. Errors: UnknownRequest, RequestMoved, RemindedEnough."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        request = _of(tx, request_id, asker_id=asker_id)
        if request.state is not RequestState.OPEN:
            raise RequestMoved
        if not store.remind(tx, request_id, now, most=REMINDERS_MAX, last_before=now - REMIND_AFTER):
            raise RemindedEnough
        webhooks.tell(tx, _for_payer(request, "request.reminded", now))
        return _of(tx, request_id, asker_id=asker_id)


def unmute(tx: Tx, account_id: AccountId, muted_id: AccountId) -> None:
    """Take requests of this person again. Again is harmless."""
    store.unmute(tx, account_id, muted_id)


def list_muted(tx: Tx, account_id: AccountId) -> list[AccountId]:
    """Whose requests a person does not want, the latest first."""
    return [AccountId(one) for one in store.list_muted(tx, account_id)]


def get(tx: Tx, account_id: AccountId, request_id: UUID) -> Request:
    """A request for one of its two sides. Errors: UnknownRequest, for everyone else too."""
    request = store.find_request(tx, request_id)
    if request is None or account_id not in (request.asker_id, request.payer_id):
        raise UnknownRequest
    return request


def list_requests(
    tx: Tx,
    account_id: AccountId,
    *,
    side: str = "both",
    only_open: bool = False,
    limit: int = 50,
    before: tuple[datetime, UUID] | None = None,
) -> list[Request]:
    """Requests of a person, newest first. side: those ``asked`` by, ``received`` by the person, or ``both``."""
    return store.list_requests(tx, account_id, side=side, only_open=only_open, limit=limit, before=before)


def expire(ctx: Context, limit: int = 1_000) -> int:
    """End requests whose time is up; gives how many."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        return sum(store.end(tx, one, RequestState.EXPIRED, now) for one in store.expired(tx, now, limit))


# --- splits


def share_out(new: NewSplit) -> tuple[Share, ...]:
    """What each bears of a bill: shares that come to its total, by largest remainder. Pure.

    Each share's request has an id worked out from the split. Errors: InvalidInput.
    """
    check_amount(new.total, where="total")
    people = [account_id for account_id, _ in new.among]
    weights = [weight for _, weight in new.among]
    if not 2 <= len(people) <= SPLIT_AMONG_MAX or len(set(people)) != len(people):
        raise _unfit("among", f"names {len(set(people))} people", f"Name 2 to {SPLIT_AMONG_MAX}, each once")
    if not set(people) - {new.owner_id}:
        raise _unfit("among", "names nobody but you", "Name those who are to pay you")
    if min(weights) < 0 or sum(weights) <= 0:
        raise _unfit("among", "a share is below zero, or all are nothing", "Give whole shares above zero")
    if new.way is not SplitWay.AMOUNTS and max(weights) > SHARES_MAX:
        raise _unfit("among", f"one bears {max(weights):,} shares", f"Give at most {SHARES_MAX:,}")
    if new.way is SplitWay.AMOUNTS:
        if sum(weights) != new.total.minor:
            given = Money(sum(weights), new.total.currency)
            raise _unfit("among", f"the amounts come to {given}, the bill to {new.total}", "Make them equal")
        minors: Sequence[int] = weights
    else:
        minors = split_minor(new.total.minor, [1] * len(weights) if new.way is SplitWay.EQUAL else weights)
    return tuple(
        Share(
            account_id,
            weight,
            minor,
            None
            if account_id == new.owner_id or not minor
            else fact_id(None, "share", new.split_id, account_id, 0),
        )
        for account_id, weight, minor in zip(people, weights, minors, strict=True)
    )


def split(ctx: Context, new: NewSplit) -> Split:
    """Split a bill: ask each but the owner for their share. Safe to repeat by ``split_id``.

    Errors: InvalidInput, SplitDiffers, UnknownAccount, CannotAsk; then nobody was asked.
    """
    now = ctx.clock.now()
    title = read_note(new.title, where="title")
    if not title:
        raise _unfit("title", "is empty", f"Say what it is for, in at most {NOTE_MAX} characters")
    if new.source_kind not in SOURCES:
        raise _unfit("source_kind", f"is {new.source_kind[:20]!r}", f"Choose one of {', '.join(SOURCES)}")
    shares = share_out(new)
    with ctx.tx() as tx:
        known = store.find_split(tx, new.split_id)
    if known is None:
        for _ in (one for one in shares if one.request_id):
            refuse_too_often(ctx, f"wallets.ask/{new.owner_id}", ASKING)
    wanted = Split(
        new.split_id,
        new.owner_id,
        title,
        new.total.minor,
        new.total.currency,
        new.way,
        new.source_kind,
        new.source_id,
        SplitState.OPEN,
        now,
        now,
        shares,
    )
    with ctx.tx() as tx:
        if not store.insert_split(tx, wanted):
            found = store.find_split(tx, new.split_id)
            assert found is not None, "what is in the way is there"
            if _body(found) != _body(wanted):
                raise SplitDiffers(f"Split {new.split_id} is known with other content.")
            return found
        _ask(
            tx,
            [
                _request(_new_request(wanted, one), now, split_id=new.split_id)
                for one in shares
                if one.request_id
            ],
        )
        store.close_if_ended(tx, new.split_id, now)
        return _get_split(tx, new.owner_id, new.split_id)


def ask_share_again(ctx: Context, owner_id: AccountId, split_id: UUID, account_id: AccountId) -> Split:
    """Ask again for a share that was declined, taken back or ran out; a share that is open or paid stays as it is.

    Errors: UnknownSplit, CannotAsk.
    """
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = _get_split(tx, owner_id, split_id, lock=True)
        share = next((one for one in found.shares if one.account_id == account_id), None)
        if share is None or share.request_id is None:
            raise UnknownSplit("This person bears no share of it.")
        if share.state in (RequestState.OPEN, RequestState.PAYING, RequestState.PAID):
            return found
        request_id = fact_id(now, "share", split_id, account_id, share.request_id)
        again = Share(share.account_id, share.weight, share.amount_minor, request_id)
        _ask(tx, [_request(_new_request(found, again), now, split_id=split_id)])
        store.ask_share_again(tx, split_id, account_id, request_id)
        store.set_split(tx, split_id, SplitState.CLOSED, SplitState.OPEN, now)
        return _get_split(tx, owner_id, split_id)


def cancel_split(ctx: Context, owner_id: AccountId, split_id: UUID) -> Split:
    """Take back what is open of a split; what was paid stays paid. Again is harmless. Errors: UnknownSplit."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        _get_split(tx, owner_id, split_id)
        store.cancel_requests(
            tx, split_id, now
        )  # requests before splits, as everywhere, so that nobody waits round
        store.set_split(tx, split_id, SplitState.OPEN, SplitState.CANCELED, now)
        return _get_split(tx, owner_id, split_id)


def get_split(tx: Tx, owner_id: AccountId, split_id: UUID) -> Split:
    """A person's split. Errors: UnknownSplit, for everyone else too."""
    return _get_split(tx, owner_id, split_id)


def list_splits(
    tx: Tx, owner_id: AccountId, *, limit: int = 50, before: tuple[datetime, UUID] | None = None
) -> list[Split]:
    """A person's splits, newest first."""
    return store.list_splits(tx, owner_id, limit, before)


# --- inside


def _get_split(tx: Tx, owner_id: UUID, split_id: UUID, *, lock: bool = False) -> Split:
    found = store.find_split(tx, split_id, lock=lock)
    if found is None or found.owner_id != owner_id:
        raise UnknownSplit
    return found


def _of(
    tx: Tx, request_id: UUID, *, payer_id: AccountId | None = None, asker_id: AccountId | None = None
) -> Request:
    request = store.lock_request(tx, request_id)
    if (
        request is None
        or payer_id not in (None, request.payer_id)
        or asker_id not in (None, request.asker_id)
    ):
        raise UnknownRequest
    return request


def _end(tx: Tx, request: Request, state: RequestState, at: datetime) -> Request:
    if request.state is not state:
        if not store.end(tx, request.request_id, state, at):
            raise RequestMoved
        if state is RequestState.DECLINED:
            webhooks.tell(
                tx, _for_person(request, request.asker_id, request.payer_id, "request.declined", at)
            )
    found = store.find_request(tx, request.request_id)
    assert found is not None, "a request that was kept stays"
    return found


def _for_payer(request: Request, kind: str, at: datetime) -> webhooks.ForPerson:
    return _for_person(request, request.payer_id, request.asker_id, kind, at)


def _for_person(
    request: Request, account_id: UUID, other: UUID, kind: str, at: datetime
) -> webhooks.ForPerson:
    """What one side of a request is told of the other."""
    return webhooks.ForPerson(
        account_id=account_id,
        kind=kind,
        at=at,
        subject=f"request {request.request_id}",
        facts={
            "person": str(other),
            "amount": {"minor": request.amount_minor, "currency": request.currency},
            "note": request.note,
        },
        fact=(request.request_id, request.reminders),
    )


def _request(new: NewRequest, at: datetime, *, split_id: UUID | None = None) -> Request:
    check_amount(new.amount)
    if new.payer_id == new.asker_id:
        raise _unfit("payer", "is yourself", "Ask somebody else")
    return Request(
        request_id=new.request_id,
        asker_id=new.asker_id,
        payer_id=new.payer_id,
        amount_minor=new.amount.minor,
        currency=new.amount.currency,
        note=read_note(new.note),
        split_id=split_id,
        state=RequestState.OPEN,
        transfer_id=None,
        attempts=0,
        reminders=0,
        reminded_at=None,
        created_at=at,
        expires_at=at + REQUEST_LASTS,
        changed_at=at,
    )


def _new_request(of: Split, share: Share) -> NewRequest:
    assert share.request_id is not None, "only shares of others are asked for"
    return NewRequest(
        request_id=share.request_id,
        asker_id=AccountId(of.owner_id),
        payer_id=AccountId(share.account_id),
        amount=Money(share.amount_minor, of.currency),
        note=of.title,
    )


def _same(known: Request, wanted: Request) -> Request:
    def body(one: Request) -> tuple[object, ...]:
        return (one.asker_id, one.payer_id, one.amount, one.note, one.split_id)

    if body(known) != body(wanted):
        raise RequestDiffers(f"Request {wanted.request_id} is known with other content.")
    return known


def _body(one: Split) -> tuple[object, ...]:
    among = [(share.account_id, share.weight, share.amount_minor) for share in one.shares]
    return (one.owner_id, one.title, one.total, one.way, one.source_kind, one.source_id, among)


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where} {what}.", problems=(Problem(where, what, remedy),))
