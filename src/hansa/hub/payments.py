"""What can be done with payments between members: prepare, fulfil, abort, expire, look.

Each is taken in batches, and each batch is three commits: what was asked is kept, the ledger decides, and what it
decided is kept together with the notices that tell of it. The ledger's ids are worked out from the payment, and a
commit's row in the books carries the fulfilment, so a kill between any two of these loses nothing: the same call
again, or ``finish_payments``, ends it the same way. Who of two that race has won is for the ledger to say, never us.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import ledger, trust
from hansa.hub import liquidity, payments_store
from hansa.hub import liquidity_store as lines
from hansa.hub.alarms import raise_hard
from hansa.hub.model import (
    GRACE_S,
    WORDS_MAX,
    Abort,
    Answer,
    Fulfil,
    NoticeKind,
    NotReserved,
    NotTheParty,
    Payment,
    PaymentAborted,
    PaymentCommitted,
    PaymentDiffers,
    PaymentExpired,
    Prepare,
    Reason,
    State,
    Step,
    UnknownLiquidity,
    UnknownPayment,
    WrongFulfilment,
    check_prepare,
    fulfils,
    no_step,
    paying_account,
)
from hansa.hub.payments_store import Stepped
from hansa.hub.standing import paying_members
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Context, Tx

TOGETHER_MAX = 4_000
"""Payments of one batch."""

_POOR = ledger.ResultCode.EXCEEDS_CREDITS
_POSTED = ledger.ResultCode.PENDING_TRANSFER_ALREADY_POSTED
_OVERDUE = ledger.ResultCode.PENDING_TRANSFER_EXPIRED
_VOIDED = (ledger.ResultCode.PENDING_TRANSFER_ALREADY_VOIDED, _OVERDUE)


def prepare(ctx: Context, prepares: Sequence[Prepare], *, step: Step = no_step) -> list[Answer]:
    """Reserve what these payments take from their payers' headroom; an answer for each, in order.

    A payment that its payer cannot afford is kept as ABORTED, with the reason. Asking again with the same content gives
    the payment as it stands; with other content, PaymentDiffers. Errors, given in place: InvalidInput,
    UnknownLiquidity, trust.MemberMayNot, PaymentDiffers; of those nothing is kept.
    """
    assert len(prepares) <= TOGETHER_MAX, len(prepares)
    now = ctx.clock.now()
    answers: list[Answer | None] = [None] * len(prepares)
    firsts: dict[UUID, Prepare] = {}
    for place, one in enumerate(prepares):
        if one != firsts.setdefault(one.payment_id, one):
            answers[place] = _differs(one.payment_id)
    refused: dict[UUID, HansaError] = {}
    with ctx.tx() as tx:
        new, short = _new_payments(tx, list(firsts.values()), now, refused)
        kept = payments_store.insert(tx, new)
        # What is not new may be known: it was asked before, or somebody else is at it.
        others = [key for key in firsts if key not in kept]
        known = payments_store.find(tx, set(ctx.directory.partitions), others)
    step("received")
    found = {one.payment_id: one for one in new if one.payment_id in kept} | known
    to_do = [one for one in found.values() if one.state is State.RECEIVED and _is_same(one, firsts)]
    found |= _reserve(ctx, to_do, short, step)
    for place, one in enumerate(prepares):
        if answers[place] is None:
            payment = found.get(one.payment_id)
            if payment is None:
                answers[place] = refused[one.payment_id]
            else:
                answers[place] = payment if payment.asked == one else _differs(one.payment_id)
    return [answer for answer in answers if answer is not None]


def fulfil(ctx: Context, fulfilments: Sequence[Fulfil], *, step: Step = no_step) -> list[Answer]:
    """Give payees what was reserved for them, for the fulfilments of their conditions; an answer for each, in order.

    Again with the same fulfilment gives the payment as it stands. A payment whose time is up is not committed: the
    refusal says so, the payee is told by a notice too, and the money is the payer's again. Errors, given in place:
    UnknownPayment, NotTheParty, WrongFulfilment, NotReserved, PaymentExpired, PaymentAborted.
    """
    assert len(fulfilments) <= TOGETHER_MAX, len(fulfilments)
    now = ctx.clock.now()
    found = _find_all(ctx, (one.payment_id for one in fulfilments))
    answers: list[Answer | None] = [None] * len(fulfilments)
    committing: dict[UUID, tuple[Payment, bytes]] = {}
    late: dict[UUID, Payment] = {}
    waiting: list[tuple[int, UUID]] = []
    for place, one in enumerate(fulfilments):
        payment = found.get(one.payment_id)
        error = _refusal_of_fulfil(one, payment, now)
        if isinstance(error, PaymentExpired) and payment is not None:
            late[one.payment_id] = payment
            waiting.append((place, one.payment_id))
        elif error is not None or payment is None:
            answers[place] = error
        elif payment.state is State.COMMITTED:
            answers[place] = payment
        else:
            committing[one.payment_id] = (payment, one.fulfilment)
            waiting.append((place, one.payment_id))
    ended = _commit(ctx, list(committing.values()), step)
    late |= {key: one for key, one in ended.items() if one.reason is Reason.EXPIRED}
    expired = [one for one in late.values() if one.state is State.RESERVED]
    ended = late | ended | _void(ctx, expired, Reason.EXPIRED, {}, step)
    for place, payment_id in waiting:
        payment = ended[payment_id]
        answers[place] = payment if payment.state is State.COMMITTED else _ended(payment)
    _tell_late(ctx, [one for key, one in ended.items() if key in late and one.state is State.ABORTED])
    return [answer for answer in answers if answer is not None]


def abort(ctx: Context, aborts: Sequence[Abort], *, step: Step = no_step) -> list[Answer]:
    """Give back to payers what was reserved, since their payees will not have it; an answer for each, in order.

    Again gives the payment as it stands. Errors, given in place: UnknownPayment, NotTheParty, NotReserved,
    PaymentCommitted, InvalidInput; these change nothing.
    """
    assert len(aborts) <= TOGETHER_MAX, len(aborts)
    found = _find_all(ctx, (one.payment_id for one in aborts))
    answers: list[Answer | None] = [None] * len(aborts)
    voiding: dict[UUID, Payment] = {}
    words: dict[UUID, str] = {}
    waiting: list[tuple[int, UUID]] = []
    for place, one in enumerate(aborts):
        payment = found.get(one.payment_id)
        error = _refusal_of_abort(one, payment)
        if error is not None or payment is None:
            answers[place] = error
        elif payment.state is State.ABORTED:
            answers[place] = payment
        else:
            voiding.setdefault(one.payment_id, payment)
            words.setdefault(one.payment_id, one.words)
            waiting.append((place, one.payment_id))
    ended = _void(ctx, list(voiding.values()), Reason.PAYEE, words, step)
    for place, payment_id in waiting:
        payment = ended[payment_id]
        answers[place] = payment if payment.state is State.ABORTED else PaymentCommitted()
    return [answer for answer in answers if answer is not None]


def expire(ctx: Context, *, limit: int = TOGETHER_MAX, step: Step = no_step) -> int:
    """Give back what was reserved by payments whose time is up; gives how many. Call again while some."""
    with ctx.tx() as tx:
        due = payments_store.list_due(tx, ctx.clock.now(), min(limit, TOGETHER_MAX))
    return _end(ctx, due, step) if due else 0


def finish_payments(ctx: Context, *, older_than: timedelta = timedelta(0), step: Step = no_step) -> int:
    """End what a crash left between the ledger's word and ours; gives how many payments went on.

    For the start of a process: each open payment is looked up in the books. older_than: leave younger ones to whoever
    is at them.
    """
    done, after = 0, (-1, UUID(int=0))
    while True:
        with ctx.tx() as tx:
            page = payments_store.list_open(tx, after, TOGETHER_MAX)
        if not page:
            return done
        after = page[-1]
        since = ctx.clock.now() - older_than
        found = _find_keys(ctx, page)
        received = [one for one in found if one.state is State.RECEIVED and one.received_at <= since]
        _reserve(ctx, received, set(), step)
        reserved = [one for one in found if one.state is State.RESERVED and one.received_at <= since]
        done += len(received) + len(_look_up(ctx, reserved))


def get_payment(tx: Tx, payment_id: UUID) -> Payment:
    """A payment as it stands. Errors: UnknownPayment."""
    found = find_payments(tx, [payment_id])
    if not found:
        raise UnknownPayment(f"There is no payment {payment_id}.")
    return found[0]


def find_payments(tx: Tx, payment_ids: Iterable[UUID]) -> list[Payment]:
    """Those of these payments that there are, as they stand."""
    partitions = [head.partition for head in ledger.list_heads(tx)]
    return list(payments_store.find(tx, partitions, payment_ids).values())


def list_payments(
    tx: Tx, member_id: str | None = None, *, before: tuple[datetime, UUID], limit: int = 100
) -> list[Payment]:
    """Payments of a member, or of all, latest first; before an instant and a payment of that instant."""
    return payments_store.list_payments(tx, member_id, before=before, limit=limit)


# --- prepare


def _new_payments(
    tx: Tx, prepares: Sequence[Prepare], now: datetime, refused: dict[UUID, HansaError]
) -> tuple[list[Payment], set[UUID]]:
    """The payments to keep, and which of them a lowered limit refuses; those that cannot be kept go to ``refused``."""
    fit: list[Prepare] = []
    for one in prepares:
        error = check_prepare(one, now)
        if error is None:
            fit.append(one)
        else:
            refused[one.payment_id] = error
    if not fit:
        return [], set()
    pairs = [(member, one.amount.currency) for one in fit for member in (one.payer_id, one.payee_id)]
    rows = lines.rows_of(tx, pairs)
    active = paying_members(tx, {member for member, _ in pairs}, now)
    payments: list[Payment] = []
    short: set[UUID] = set()
    for one in fit:
        payer = rows.get((one.payer_id, one.amount.currency))
        payee = rows.get((one.payee_id, one.amount.currency))
        if payer is None or payee is None:
            nobody = one.payer_id if payer is None else one.payee_id
            refused[one.payment_id] = UnknownLiquidity(
                f"{nobody} pays and is paid in no {one.amount.currency}."
            )
            continue
        if one.payer_id not in active or one.payee_id not in active:
            nobody = one.payer_id if one.payer_id not in active else one.payee_id
            refused[one.payment_id] = trust.MemberMayNot(
                f"{nobody} may not pay or be paid now. Nothing was kept."
            )
            continue
        if payer.short_minor:
            short.add(one.payment_id)
        payments.append(
            Payment(
                payment_id=one.payment_id,
                partition=payer.partition,
                payer_id=one.payer_id,
                payee_id=one.payee_id,
                amount=one.amount,
                model=payer.model,
                condition=one.condition,
                expires_at=one.expires_at,
                packet=one.packet,
                received_at=now,
                hold_s=int((one.expires_at - now).total_seconds()) + 1 + GRACE_S,
                state=State.RECEIVED,
            )
        )
    return payments, short


def _reserve(ctx: Context, payments: Sequence[Payment], short: set[UUID], step: Step) -> dict[UUID, Payment]:
    """Hold what received payments take, and keep what the ledger says; those that are ``short`` are not asked for."""
    if not payments:
        return {}
    asked = [one for one in payments if one.payment_id not in short]
    codes = _ask(ctx, asked, _hold)
    step("held")
    steps = [Stepped(one, 1, State.ABORTED, Reason.OVER_LIMIT) for one in payments if one.payment_id in short]
    for one in asked:
        code = codes[one.payment_id]
        if code in (ledger.ResultCode.CREATED, ledger.ResultCode.EXISTS):
            steps.append(Stepped(one, 1, State.RESERVED))
        else:
            assert code is _POOR, (code, one)
            steps.append(Stepped(one, 1, State.ABORTED, Reason.NO_HEADROOM))
    found = _keep(ctx, steps)
    step("reserved")
    # Where two were at one payment and the other was refused, the books may hold what nobody waits for.
    stray = [
        found[one.payment.payment_id]
        for one in steps
        if one.state is State.RESERVED and found[one.payment.payment_id].state is State.ABORTED
    ]
    if stray:
        _ask(ctx, stray, _release)
    return found


def _hold(payment: Payment) -> ledger.Transfer:
    currency, partition = payment.amount.currency, payment.partition
    return ledger.Transfer(
        payment.ledger_id("hold"),
        paying_account(payment.payer_id, currency, partition, payment.model),
        paying_account(payment.payee_id, currency, partition, payment.model),
        payment.amount.minor,
        currency,
        ledger.TransferCode.PAYMENT,
        payment.received_at,
        partition=partition,
        flags=ledger.TransferFlag.PENDING,
        timeout_s=payment.hold_s,
        reference=payment.payment_id,
    )


# --- ending


def _commit(ctx: Context, payments: Sequence[tuple[Payment, bytes]], step: Step) -> dict[UUID, Payment]:
    if not payments:
        return {}
    shown = {payment.payment_id: fulfilment for payment, fulfilment in payments}
    codes = _ask(ctx, [payment for payment, _ in payments], lambda one: _post(one, shown[one.payment_id]))
    step("committed")
    steps: list[Stepped] = []
    lost: list[Payment] = []
    for payment, fulfilment in payments:
        code = codes[payment.payment_id]
        if code in (ledger.ResultCode.CREATED, ledger.ResultCode.EXISTS):
            steps.append(Stepped(payment, 2, State.COMMITTED, fulfilment=fulfilment))
        else:
            assert code in _VOIDED, (code, payment)
            lost.append(payment)
    found = _keep(ctx, steps)
    step("told")
    _take_back(ctx, {one.payment.payee_id for one in steps if one.payment.model == "deferred"})
    ended = _look_up(
        ctx, lost
    )  # whom the payee refused meanwhile; all others the ledger let go when their time was up
    over = [one for one in lost if one.payment_id not in ended]
    return found | ended | _keep(ctx, [Stepped(one, 2, State.ABORTED, Reason.EXPIRED) for one in over])


def _void(
    ctx: Context, payments: Sequence[Payment], reason: Reason, words: dict[UUID, str], step: Step
) -> dict[UUID, Payment]:
    if not payments:
        return {}
    codes = _ask(ctx, payments, _release)
    step("voided")
    posted = [one for one in payments if codes[one.payment_id] is _POSTED]
    voided = [one for one in payments if codes[one.payment_id] is not _POSTED]
    for one in voided:
        code = codes[one.payment_id]
        assert code in (ledger.ResultCode.CREATED, ledger.ResultCode.EXISTS, *_VOIDED), (code, one)
    found = _keep(
        ctx,
        [Stepped(one, 2, State.ABORTED, reason, words.get(one.payment_id, "")) for one in voided],
    )
    step("told")
    return found | _look_up(ctx, posted)


def _look_up(ctx: Context, payments: Sequence[Payment]) -> dict[UUID, Payment]:
    """Keep as ended those that are in the books: committed with the fulfilment that stands there, or given back."""
    steps: list[Stepped] = []
    with ctx.tx() as tx:
        for one in payments:
            booked = ledger.find_transfer(tx, one.ledger_id("commit"))
            if booked is not None:
                fulfilment = urlsafe_b64decode(booked.transfer.memo)
                steps.append(Stepped(one, 2, State.COMMITTED, fulfilment=fulfilment))
                continue
            voided = ledger.find_transfer(tx, one.ledger_id("void"))
            if voided is not None:
                reason = Reason.EXPIRED if voided.booked_at >= one.expires_at else Reason.PAYEE
                steps.append(Stepped(one, 2, State.ABORTED, reason))
    return _keep(ctx, steps)


def _end(ctx: Context, keys: Sequence[tuple[int, UUID]], step: Step) -> int:
    """End open payments whose time is up, by what the books say."""
    found = _find_keys(ctx, keys)
    received = [one for one in found if one.state is State.RECEIVED]
    reserved = [one for one in found if one.state is State.RESERVED]
    answered = _reserve(ctx, received, set(), step)
    reserved += [one for one in answered.values() if one.state is State.RESERVED]
    _void(ctx, reserved, Reason.EXPIRED, {}, step)
    return len(found)


def _post(payment: Payment, fulfilment: bytes) -> ledger.Transfer:
    return ledger.Transfer(
        payment.ledger_id("commit"),
        ledger.AS_PENDING,
        ledger.AS_PENDING,
        ledger.AMOUNT_MAX,
        "",
        0,
        payment.received_at,
        partition=payment.partition,
        flags=ledger.TransferFlag.POST_PENDING,
        pending_id=payment.ledger_id("hold"),
        memo=urlsafe_b64encode(fulfilment).decode(),
    )


def _release(payment: Payment) -> ledger.Transfer:
    return ledger.Transfer(
        payment.ledger_id("void"),
        ledger.AS_PENDING,
        ledger.AS_PENDING,
        0,
        "",
        0,
        payment.received_at,
        partition=payment.partition,
        flags=ledger.TransferFlag.VOID_PENDING,
        pending_id=payment.ledger_id("hold"),
    )


def _ask(
    ctx: Context, payments: Sequence[Payment], transfer_of: Callable[[Payment], ledger.Transfer]
) -> dict[UUID, ledger.ResultCode]:
    """What the ledger says of a transfer for each payment."""
    codes: dict[UUID, ledger.ResultCode] = {}
    for start in range(0, len(payments), ledger.BATCH_MAX):
        some = payments[start : start + ledger.BATCH_MAX]
        results = ledger.post(ctx, [transfer_of(one) for one in some])
        codes |= {one.payment_id: result.code for one, result in zip(some, results, strict=True)}
    # A hold whose time is up can no longer be ended by us: the ledger gives it back, when somebody asks it to.
    overdue = {one.partition for one in payments if codes[one.payment_id] is _OVERDUE}
    for partition in sorted(overdue):
        ledger.expire_pending(ctx, partition=partition)
    return codes


def _keep(ctx: Context, steps: Sequence[Stepped]) -> dict[UUID, Payment]:
    """Keep steps and tell of them, in one commit; gives the payments as they stand, by whoever kept the step first."""
    if not steps:
        return {}
    at = ctx.clock.now()
    notices = [(member, kind, one.payment.payment_id) for one in steps for member, kind in _told(one)]
    with ctx.tx() as tx:
        new = payments_store.keep_steps(tx, steps, notices, at)
        kept = [one for one in steps if one.payment.payment_id in new]
        found = {one.payment.payment_id: _stepped(one, at) for one in kept}
        others = [one.payment for one in steps if one.payment.payment_id not in new]
        if others:
            found |= payments_store.find(
                tx, {one.partition for one in others}, [one.payment_id for one in others]
            )
    poor = [one.payment for one in kept if one.reason is Reason.NO_HEADROOM]
    if poor:
        raise_hard(ctx, {(one.payer_id, one.amount.currency) for one in poor})
    return found


def _told(one: Stepped) -> list[tuple[str, NoticeKind]]:
    """Who is told of a step, and how. Of one that never was reserved the payee never heard."""
    payer, payee = one.payment.payer_id, one.payment.payee_id
    if one.state is State.RESERVED:
        return [(payee, NoticeKind.RESERVED)]
    if one.state is State.COMMITTED:
        return [(payer, NoticeKind.COMMITTED), (payee, NoticeKind.COMMITTED)]
    return [(payer, NoticeKind.ABORTED)] + ([(payee, NoticeKind.ABORTED)] if one.step == 2 else [])


def _tell_late(ctx: Context, payments: Sequence[Payment]) -> None:
    if not payments:
        return
    with ctx.tx() as tx:
        last = payments_store.lock_feeds(tx, {one.payee_id for one in payments})
        notices = [(one.payee_id, NoticeKind.LATE, one.partition, one.payment_id) for one in payments]
        payments_store.insert_notices(tx, notices, last, ctx.clock.now())


def _take_back(ctx: Context, member_ids: set[str]) -> None:
    """What members were paid who are over a lowered limit is not theirs to send on."""
    if not member_ids:
        return
    with ctx.tx() as tx:
        uneven = lines.list_unequal(tx, sorted(member_ids))
    for member, currency in uneven:
        liquidity.level(ctx, member, currency)


def _stepped(one: Stepped, at: datetime) -> Payment:
    return replace(
        one.payment,
        state=one.state,
        reason=one.reason,
        words=one.words,
        fulfilment=one.fulfilment,
        answered_at=at if one.step == 1 else one.payment.answered_at,
        ended_at=None if one.state is State.RESERVED else at,
    )


# --- refusals


def _refusal_of_fulfil(one: Fulfil, payment: Payment | None, now: datetime) -> HansaError | None:
    if payment is None:
        return UnknownPayment(f"There is no payment {one.payment_id}.")
    if one.by not in (None, payment.payee_id):
        return NotTheParty("Only its payee may fulfil a payment.")
    if payment.state is State.RECEIVED:
        return NotReserved()
    if payment.state is State.ABORTED:
        return _ended(payment)
    if not fulfils(one.fulfilment, payment.condition):
        return WrongFulfilment()
    if payment.state is State.RESERVED and now >= payment.expires_at:
        return PaymentExpired()
    return None


def _refusal_of_abort(one: Abort, payment: Payment | None) -> HansaError | None:
    if payment is None:
        return UnknownPayment(f"There is no payment {one.payment_id}.")
    if one.by not in (None, payment.payee_id):
        return NotTheParty("Only its payee may abort a payment.")
    if len(one.words) > WORDS_MAX or "\0" in one.words:
        problem = Problem("words", "they are too long or hold a NUL", f"Send at most {WORDS_MAX} characters")
        return InvalidInput("These words cannot be kept.", problems=(problem,))
    if payment.state is State.RECEIVED:
        return NotReserved()
    if payment.state is State.COMMITTED:
        return PaymentCommitted()
    return None


def _ended(payment: Payment) -> HansaError:
    return PaymentExpired() if payment.reason is Reason.EXPIRED else PaymentAborted()


def _differs(payment_id: UUID) -> PaymentDiffers:
    return PaymentDiffers(f"Payment {payment_id} is known with other content.")


def _is_same(payment: Payment, asked: dict[UUID, Prepare]) -> bool:
    return payment.asked == asked[payment.payment_id]


# --- reading


def _find_all(ctx: Context, payment_ids: Iterable[UUID]) -> dict[UUID, Payment]:
    with ctx.tx() as tx:
        return payments_store.find(tx, set(ctx.directory.partitions), set(payment_ids))


def _find_keys(ctx: Context, keys: Sequence[tuple[int, UUID]]) -> list[Payment]:
    with ctx.tx() as tx:
        found = payments_store.find(tx, {key[0] for key in keys}, [key[1] for key in keys])
    return list(found.values())
