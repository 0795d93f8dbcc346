"""Carrying out what is intended for payments: the ledger is asked, and what it says is kept as their next steps.

All that happens to a payment once it is written down goes through ``carry``: a batch is one call to the ledger and one
commit. Running it again, by whoever, is harmless: the ledger's ids are worked out from the payment and the intent, and
a step's number can be taken once.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hansa import approval, ledger, webhooks
from hansa.identity import AccountId
from hansa.kernel import HansaError, Money, fact_id
from hansa.payments import life_store
from hansa.payments.chains import Chains, post_chains
from hansa.payments.life import Action, PaymentState, after
from hansa.payments.model import Step as Watch
from hansa.payments.payment import (
    ConnectorRefused,
    InsufficientFunds,
    Intent,
    NotConnected,
    NoWallet,
    PayeeShort,
    Payment,
    Step,
    held_until,
    transfers_of,
)
from hansa.store import Context, Tx, commit_behind

ASK_AGAIN = timedelta(seconds=10)
"""How soon a connector that gave no clear answer is asked again, at first; each time it is twice as long."""

_BOOKED = ledger.ResultCode.CREATED
_OVERDUE = ledger.ResultCode.PENDING_TRANSFER_EXPIRED
_WHY: Mapping[ledger.ResultCode, type[HansaError]] = {
    ledger.ResultCode.EXCEEDS_CREDITS: InsufficientFunds,
    ledger.ResultCode.DEBIT_ACCOUNT_NOT_FOUND: NoWallet,
    ledger.ResultCode.DEBIT_ACCOUNT_ALREADY_CLOSED: NoWallet,
    ledger.ResultCode.CREDIT_ACCOUNT_NOT_FOUND: NotConnected,
    ledger.ResultCode.CREDIT_ACCOUNT_ALREADY_CLOSED: NotConnected,
}

Doing = tuple[Payment, Intent]
"""A payment, and what is about to be done to it."""


def carry(
    ctx: Context, doing: Sequence[Doing], watch: Watch, *, batch_id: UUID | None = None
) -> dict[UUID, Payment]:
    """Do what is written down; gives the payments as they then stand. batch_id: of new ones, which have no intent."""
    if not doing:
        return {}
    codes = _ask(ctx, doing)
    watch("posted")
    steps = _outcomes(doing, codes)
    if batch_id is not None:
        found = _keep_batch(ctx, batch_id, steps)
    else:
        with ctx.tx() as tx:
            found = keep(tx, steps, intents={payment.payment_id: intent for payment, intent in doing})
    watch("recorded")
    _undo_strays(ctx, steps, found)
    return found


class First:
    """New payments for which the ledger is asked the first time: ``carry`` in parts, most of it done beforehand.

    Nearly all are paid as they come. So transfers are made ready while PostgreSQL still writes that the payments came,
    and while the ledger is at work, all is written that is kept of payments that are paid: only to be committed after
    its word. Where it says anything else of one of them, that is rolled back. In this order: ``begin``, ``end``.
    """

    def __init__(self, doing: Sequence[Doing]) -> None:
        self._doing = doing
        self._codes: Sequence[ledger.ResultCode] = ()
        chains = [transfers_of(*one) for one in doing]
        fit = all(chains) and sum(map(len, chains)) <= ledger.BATCH_MAX
        self._chains = Chains(chains) if fit else None

    def hold_to(self, ctx: Context) -> bool:
        """Whether the ledger will book these only if all that was committed until then outlasts a power cut with it."""
        return self._chains is not None and self._chains.hold_to(ctx)

    def begin(self, ctx: Context) -> None:
        """Ask the ledger, without waiting for its commit where its engine is in this process."""
        if self._chains is None:
            self._codes = _ask(ctx, self._doing)
        else:
            self._chains.begin(ctx)

    def end(self, ctx: Context, batch_id: UUID, watch: Watch) -> dict[UUID, Payment]:
        """Keep what came of them, and that they are under way no more; gives them as they then stand.

        Errors: as ``ledger.post``; whoever sends the same again then ends it.
        """
        if all(intent.action is Action.CAPTURE for _, intent in self._doing):
            with suppress(_NotForeseen), ctx.tx() as tx, tx.pipeline():
                # Money has moved for good by then: what is kept here would be found again from the ledger's books.
                commit_behind(tx)
                return self._keep_as_paid(tx, batch_id, watch)
        else:
            self._hear(watch)
        steps = _outcomes(self._doing, self._codes)
        found = _keep_batch(ctx, batch_id, steps)
        _undo_strays(ctx, steps, found)
        return found

    def _hear(self, watch: Watch) -> None:
        """Wait for the ledger's word."""
        if self._chains is not None:
            self._codes = self._chains.words()
        watch("posted")

    def _keep_as_paid(self, tx: Tx, batch_id: UUID, watch: Watch) -> dict[UUID, Payment]:
        """Write that all are paid, in a pipeline, and then hear whether they are. Errors: _NotForeseen."""
        steps = [(payment, _paid_at_once(payment, intent)) for payment, intent in self._doing]
        asked = life_store.ask_to_keep(tx, life_store.step_rows(steps), batch_id)
        kept = [(payment.at_step(step), payment) for payment, step in steps]
        _tell(tx, kept)
        self._hear(watch)
        if any(code is not _BOOKED for code in self._codes) or len(life_store.kept_steps(asked)) < len(kept):
            raise _NotForeseen
        return {one.payment_id: one for one, _ in kept}


class _NotForeseen(Exception):
    """Not all are paid, or somebody else kept a step of one of these first; nothing of the transaction may stay."""


def _outcomes(doing: Sequence[Doing], codes: Sequence[ledger.ResultCode]) -> list[tuple[Payment, Step]]:
    return [
        (payment, _outcome(payment, intent, code))
        for (payment, intent), code in zip(doing, codes, strict=True)
    ]


def _keep_batch(ctx: Context, batch_id: UUID, steps: Sequence[tuple[Payment, Step]]) -> dict[UUID, Payment]:
    """Keep the first steps of a batch, and that it is no longer under way."""
    is_plain = all(step.action is Action.CAPTURE for _, step in steps)
    with ctx.tx() as tx, tx.pipeline() if is_plain else nullcontext():
        life_store.end_batch(tx, batch_id)
        return keep(tx, steps)


def _undo_strays(ctx: Context, steps: Sequence[tuple[Payment, Step]], found: Mapping[UUID, Payment]) -> None:
    """Where two were at one payment and the other was refused first, the books may have what no payment tells of."""
    stray: list[Doing] = []
    for payment, step in steps:
        stands = found[payment.payment_id]
        if stands.step is step or payment.held_minor or stands.captured_minor or stands.held_minor:
            continue
        if step.action in (Action.CAPTURE, Action.AUTHORIZE) and stands.state in _CAME_TO_NOTHING:
            back = Action.REFUND if step.action is Action.CAPTURE else Action.VOID
            subject = fact_id(None, "payment stray", payment.spend_id)
            intent = Intent(
                action=back, at=step.at, by=step.by, subject_id=subject, amount_minor=step.amount_minor
            )
            stray.append((replace(payment, step=step), intent))
    if stray:
        _ask(ctx, stray)


def keep(
    tx: Tx, steps: Sequence[tuple[Payment, Step]], *, intents: Mapping[UUID, Intent] | None = None
) -> dict[UUID, Payment]:
    """Keep steps and all that goes with them, in the caller's transaction; gives the payments as they then stand.

    A step that somebody else kept first stays theirs.
    """
    if not steps:
        return {}
    new = life_store.keep_steps(tx, steps)
    lost: list[Payment] = []
    if len(new) < len(steps):
        lost = [one for one, _ in steps if one.payment_id not in new]
        steps = [both for both in steps if both[0].payment_id in new]
    kept = [(one.at_step(step), one) for one, step in steps]
    if intents:
        ended = [*lost, *(one for one, _ in steps)]
        life_store.end_intents(
            tx, [((one.partition, one.payment_id), intents[one.payment_id]) for one in ended]
        )
    _see_to(tx, kept)
    _end_refunds(tx, [one for one, _ in kept])
    # Withdrawn first: whoever is approving it just now ends before us or finds it ended, so what they took is seen.
    _withdraw(tx, kept)
    _give_back(tx, [one for one, _ in kept])
    _tell(tx, kept)
    found = {one.payment_id: one for one, _ in kept}
    if lost:
        found |= life_store.find(tx, [(one.partition, one.payment_id) for one in lost])
    return found


def step_of(payment: Payment, action: Action, *, at: datetime, by: str, **more: object) -> Step:
    """The payment's next step, its sums as they were unless told. Errors: StateForbids."""
    last = payment.step
    base = Step(n=0, action=action, state=payment.state, at=at, by=by) if last is None else last
    state = after(None if last is None else payment.state, action)
    told = {"amount_minor": 0, "subject_id": None, "reason": "", "words": "", **more}
    return replace(base, n=base.n + 1, action=action, state=state, at=at, by=by, **told)


# --- what the ledger says


def _ask(ctx: Context, doing: Sequence[Doing]) -> list[ledger.ResultCode]:
    """What the ledger says of each, in order; booked where there is nothing to book."""
    codes = [_BOOKED] * len(doing)
    chains: list[tuple[ledger.Transfer, ...]] = []
    places: list[int] = []
    size = 0
    for place, (payment, intent) in enumerate(doing):
        chain = transfers_of(payment, intent)
        if not chain:
            continue
        if size + len(chain) > ledger.BATCH_MAX:
            _post(ctx, chains, places, codes)
            chains, places, size = [], [], 0
        chains.append(chain)
        places.append(place)
        size += len(chain)
    _post(ctx, chains, places, codes)
    if _OVERDUE in codes:
        # A hold whose time is up can no longer be ended by us: the ledger gives it back, when somebody asks it to.
        for partition in sorted({one.payer.partition for one, _ in doing if one.payer is not None}):
            ledger.expire_pending(ctx, partition=partition)
    return codes


def _post(
    ctx: Context,
    chains: Sequence[Sequence[ledger.Transfer]],
    places: Sequence[int],
    codes: list[ledger.ResultCode],
) -> None:
    if chains:
        for place, code in zip(places, post_chains(ctx, chains), strict=True):
            codes[place] = code


def _outcome(payment: Payment, intent: Intent, code: ledger.ResultCode) -> Step:
    """The step that the ledger's word comes to."""
    if code is _BOOKED:
        if payment.step is None and intent.action is Action.CAPTURE:
            return _paid_at_once(payment, intent)
        return _booked(payment, intent)
    if intent.action is Action.REFUND:
        return refund_failed(payment, intent, code.value)
    if payment.held_minor:
        assert code is _OVERDUE, (code, payment, intent)
        return step_of(payment, Action.EXPIRE, at=intent.at, by="ledger", held_minor=0)
    error = _WHY.get(code)
    assert error is not None, (code, payment, intent)
    return _refused(payment, intent.at, intent.by, error())


def refund_failed(payment: Payment, intent: Intent, words: str) -> Step:
    """The step of a refund that came to nothing. words: what was said."""
    return step_of(
        payment,
        Action.REFUND,
        at=intent.at,
        by=intent.by,
        subject_id=intent.subject_id,
        reason=PayeeShort.code,
        words=words[:200],
    )


def _refused(payment: Payment, at: datetime, by: str, error: HansaError) -> Step:
    """This try came to nothing: an offer waits for another, any other payment has failed."""
    action = Action.DECLINE if payment.is_offer else Action.FAIL
    return step_of(payment, action, at=at, by=by, reason=error.code, words=error.detail)


def refused_by_connector(payment: Payment, at: datetime, words: str) -> Step:
    """The step of a payment that its connector refused. words: what it said."""
    return _refused(payment, at, f"connector:{_connector(payment)}", ConnectorRefused(words))


def _connector(payment: Payment) -> str:
    return "" if payment.payer is None else payment.payer.connector


def _paid_at_once(payment: Payment, intent: Intent) -> Step:
    """The one step of a payment that is paid as it comes: most are."""
    minor = payment.amount.minor
    return Step(
        n=1,
        action=Action.CAPTURE,
        state=_PAID,
        at=intent.at,
        by=intent.by,
        amount_minor=minor,
        captured_minor=minor,
        subject_id=intent.subject_id,
        words=intent.words,
    )


_PAID = after(None, Action.CAPTURE)


def _booked(payment: Payment, intent: Intent) -> Step:
    more: dict[str, object] = {"subject_id": intent.subject_id, "words": intent.words}
    match intent.action:
        case Action.AUTHORIZE:
            more |= {"amount_minor": payment.amount.minor, "held_minor": payment.amount.minor, "holds": 1}
        case Action.CAPTURE if payment.held_minor:
            minor = intent.amount_minor
            rest = 0 if intent.final else payment.held_minor - minor
            more |= {
                "amount_minor": minor,
                "captured_minor": payment.captured_minor + minor,
                "held_minor": rest,
                "holds": _holds(payment) + (1 if rest else 0),
            }
        case Action.CAPTURE:
            more |= {"amount_minor": payment.amount.minor, "captured_minor": payment.amount.minor}
        case Action.VOID | Action.EXPIRE:
            more |= {"amount_minor": payment.held_minor, "held_minor": 0}
        case Action.REFUND:
            minor = intent.amount_minor
            more |= {"amount_minor": minor, "refunded_minor": payment.refunded_minor + minor}
        case _:
            pass
    return step_of(payment, intent.action, at=intent.at, by=intent.by, **more)


def _holds(payment: Payment) -> int:
    return 0 if payment.step is None else payment.step.holds


# --- what goes with a step


def _see_to(tx: Tx, kept: Sequence[tuple[Payment, Payment]]) -> None:
    """Keep which of these somebody has to see to again, and which no more."""
    waits: list[tuple[Payment, datetime]] = []
    ends: list[life_store.Key] = []
    for one, before in kept:
        due = due_at(one)
        if due is not None:
            waits.append((one, due))
        elif before.step is not None:
            ends.append((one.partition, one.payment_id))
    life_store.wait(tx, waits)
    life_store.wait_no_more(tx, ends)


def due_at(payment: Payment) -> datetime | None:
    """When somebody has to see to a payment again; None where nobody has to."""
    step = payment.step
    if step is None:
        return None
    match step.state:
        case PaymentState.CREATED | PaymentState.REQUIRES_APPROVAL:
            return payment.expires_at
        case PaymentState.AUTHORIZED | PaymentState.CAPTURED if step.held_minor:
            return held_until(payment)
        case PaymentState.PROCESSING if _connector(payment):
            return step.at + ASK_AGAIN
        case PaymentState.UNKNOWN:
            return step.at + ASK_AGAIN
        case PaymentState.FAILED | PaymentState.CANCELED | PaymentState.EXPIRED if _connector(payment):
            return step.at + ASK_AGAIN  # it may have succeeded all the same
        case _:
            return None


def _end_refunds(tx: Tx, payments: Sequence[Payment]) -> None:
    for one in payments:
        step = one.step
        if step is not None and step.action is Action.REFUND and step.subject_id is not None:
            state = "failed" if step.reason else "settled"
            life_store.end_refunds(tx, [((one.partition, step.subject_id), state)], step.at)


def _give_back(tx: Tx, payments: Sequence[Payment]) -> None:
    """Take what came to nothing off the payers' limits."""
    spends: dict[int, list[UUID]] = {}
    at: datetime | None = None
    for one in payments:
        step, payer = one.step, one.payer
        if (
            step is None
            or payer is None
            or payer.account_id is None
            or step.captured_minor
            or step.held_minor
        ):
            continue
        if step.state in _CAME_TO_NOTHING:
            spends.setdefault(payer.partition, []).append(one.spend_id)
            at = step.at
    for partition, ids in sorted(spends.items()):
        assert at is not None
        approval.give_back(tx, ids, at=at, partition=partition)


def _withdraw(tx: Tx, kept: Sequence[tuple[Payment, Payment]]) -> None:
    """Ask payers no more to approve what is called off or out of time."""
    over = [
        (one.spend_id, one.step.at)
        for one, before in kept
        if before.state is PaymentState.REQUIRES_APPROVAL
        and one.step is not None
        and one.step.action in (Action.CANCEL, Action.EXPIRE)
    ]
    if over:
        approval.withdraw(tx, [spend_id for spend_id, _ in over], over[0][1])


_CAME_TO_NOTHING = frozenset(
    {
        PaymentState.CREATED,
        PaymentState.FAILED,
        PaymentState.CANCELED,
        PaymentState.EXPIRED,
        PaymentState.VOIDED,
    }
)


def _tell(tx: Tx, kept: Sequence[tuple[Payment, Payment]]) -> None:
    """Tell payees' acquirers and payers of these steps."""
    spenders = _spenders(tx, [one for one, _ in kept])
    webhooks.record(tx, *[news for one, before in kept for news in _news(one, before, spenders)])


_LENT = ("wallet", "code")
"""How a delegate can pay from another's wallet; a mandate is never used by one."""


def _spenders(tx: Tx, payments: Sequence[Payment]) -> dict[UUID, AccountId]:
    """Which delegate pays, by payment, for those that one pays; a mandate's are never paid by one."""
    wanted = {
        one.spend_id: one
        for one in payments
        if one.step is not None and one.step.action is Action.CAPTURE and one.method in _LENT
    }
    keys = [(one.payer.partition, key) for key, one in wanted.items() if one.payer is not None]
    return {wanted[key].payment_id: who for key, who in approval.spent_by(tx, keys).items()}


def _news(payment: Payment, before: Payment, spenders: Mapping[UUID, AccountId]) -> list[webhooks.News]:
    """What the payee's acquirer is told of a step."""
    step = payment.step
    assert step is not None
    people = _for_payer(payment, before, spenders.get(payment.payment_id))
    if step.action is Action.REFUND:
        return [_refund_news(payment, step, people)]
    stands = before.step is not None and step.state is before.state and not step.amount_minor
    if step.state is PaymentState.PROCESSING or stands:
        return []
    return [
        webhooks.News(
            type=f"payment.{step.state}",
            members=(payment.acquirer_id,),
            at=step.at,
            subject=f"payment:{payment.payment_id}",
            data={
                "payment_id": payment.payment_id,
                "payee_id": payment.payee_id,
                "amount_minor": payment.amount.minor,
                "currency": payment.amount.currency,
                "captured_minor": step.captured_minor,
                "refunded_minor": step.refunded_minor,
                "reference": payment.reference,
                "qr_order_id": payment.qr_order_id,
                "reason": step.reason,
            },
            fact=(payment.payment_id, step.n),
            people=people,
        )
    ]


def _for_payer(payment: Payment, before: Payment, spender: AccountId | None) -> list[webhooks.ForPerson]:
    """What the payer is told of a step, in the currency of the wallet that pays. spender: the delegate who paid."""
    step, payer = payment.step, payment.payer
    if step is None or payer is None or payer.account_id is None:
        return []
    kind, amount = _told_payer(payment, step, before)
    if not kind:
        return []
    if spender is not None and kind == "payment.paid":
        kind = "payment.delegate"
    who = {} if spender is None else {"person": str(spender)}
    return [
        webhooks.ForPerson(
            account_id=payer.account_id,
            kind=kind,
            at=step.at,
            subject=str(payment.payment_id),
            facts={
                "payee_id": payment.payee_id,
                "amount": {"minor": amount.minor, "currency": amount.currency},
                "payment_id": str(payment.payment_id),
                **({"reason": step.reason} if kind == "payment.failed" else {}),
                **who,
            },
            fact=(payment.payment_id, step.n),
        )
    ]


def _told_payer(payment: Payment, step: Step, before: Payment) -> tuple[str, Money]:
    """The kind of notice that a step is to its payer, and of how much; none for steps that they need not hear of."""
    minor, asked = step.amount_minor, payment.paid
    if step.action is Action.REFUND:
        kind = "" if step.reason else "payment.refunded"
        return kind, _of_wallet(payment, step.refunded_minor - minor if kind else 0, minor)
    if step.action is Action.CAPTURE:
        kind = "payment.mandate" if payment.method == "mandate" else "payment.paid"
        return kind, _of_wallet(payment, step.captured_minor - minor, minor)
    if step.action is Action.AUTHORIZE:
        return "payment.held", asked
    if step.action in (Action.VOID, Action.EXPIRE):
        kind = "payment.released" if before.held_minor else ""
        return kind, _of_wallet(payment, before.captured_minor, before.held_minor)
    if step.action in (Action.FAIL, Action.DECLINE):
        return "payment.failed", asked
    return ("payment.reversed", asked) if step.state is PaymentState.REVERSED else ("", asked)


def _of_wallet(payment: Payment, before_minor: int, minor: int) -> Money:
    """What of the payer's money goes with so much of the payment, after so much of it went."""
    quote = None if payment.payer is None else payment.payer.quote
    if quote is None:
        return Money(minor, payment.amount.currency)
    return Money(quote.share(before_minor, minor).pays_minor, quote.pays.currency)


def _refund_news(payment: Payment, step: Step, people: Sequence[webhooks.ForPerson]) -> webhooks.News:
    return webhooks.News(
        type="refund.failed" if step.reason else "refund.settled",
        members=(payment.acquirer_id,),
        at=step.at,
        subject=f"payment:{payment.payment_id}",
        data={
            "refund_id": str(step.subject_id),
            "payment_id": str(payment.payment_id),
            "payee_id": payment.payee_id,
            "amount_minor": step.amount_minor,
            "currency": payment.amount.currency,
            "refunded_minor": step.refunded_minor,
            "reason": step.reason,
        },
        fact=(payment.payment_id, step.n),
        people=people,
    )
