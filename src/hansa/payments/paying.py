"""Payments from their first request to their money: create, come to an offer, go on after an approval or an answer.

New ones are taken in batches, each three commits: what was asked is kept together with what policy said of it, the
ledger decides, and what it decided is kept with the events that tell of it. A kill between any two loses nothing: the
same request again, or ``finish``, ends it the same way.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from hansa import approval, identity, ledger, trust
from hansa.approval import Channel
from hansa.identity import AccountId
from hansa.kernel import HansaError, Money, fact_id, new_id
from hansa.payments import life_store
from hansa.payments.asking import refuse_asks
from hansa.payments.carrying import (
    ASK_AGAIN,
    First,
    carry,
    keep,
    refund_failed,
    refused_by_connector,
    step_of,
)
from hansa.payments.connectors import Connector, Connectors, Heard, Said
from hansa.payments.life import Action, PaymentState, StateForbids
from hansa.payments.life_store import Key
from hansa.payments.model import Step as Watch
from hansa.payments.model import no_step
from hansa.payments.payment import (
    OPEN_FOR,
    Answer,
    Intent,
    NewPayment,
    NotThePayer,
    Payee,
    Payer,
    PayerRefused,
    Payment,
    PaymentDiffers,
    PaymentInFlight,
    Step,
    UnknownPayeeId,
    UnknownPayment,
    WrongPayeeCurrency,
    check_new,
    connector_account,
    payee_key,
)
from hansa.payments.quotes_model import Quote, Use
from hansa.payments.quotes_using import use_quotes
from hansa.store import Context, Tx, commit_behind

TOGETHER_MAX = 2_000
"""Payments of one batch."""

SUBJECT: Final = "payment"
"""What kind of subject a payment is, when its payer is asked to approve it."""

LEASE = timedelta(seconds=30)
"""How long whoever took a payment in has it alone."""

GIVE_UP = timedelta(hours=24)
"""How long a connector is asked that gives no clear answer; then what may have come is given back."""

NEXT_URL = "/wallet/money"
"""Where a payer goes on after an approval, unless told."""

NOBODY: Connectors = {}
"""No connector is at hand."""


def create(ctx: Context, new: Sequence[NewPayment], *, watch: Watch = no_step) -> list[Answer]:
    """Take these payments in and, where policy lets them, pay them; an answer for each, in order.

    One that the payer has to approve is kept so, one that policy or the wallet refuses is kept as failed with the
    reason. The same again gives it as it stood after its first step (``is_replay``). Errors, given in place, of which
    nothing is kept: InvalidInput, UnknownPayeeId, WrongPayeeCurrency, identity.UnknownAccount, trust.MemberMayNot,
    PaymentDiffers, PaymentInFlight; of a quote UnknownQuote, QuoteExpired, QuoteUsed, QuoteDiffers.
    """
    assert len(new) <= TOGETHER_MAX, len(new)
    now = ctx.clock.now()
    firsts: dict[UUID, NewPayment] = {}
    for one in new:
        firsts.setdefault(one.payment_id, one)
    digests = {one.payment_id: one.digest for one in firsts.values()}
    partition_of = ctx.directory.partition_of
    partitions = {payment_id: partition_of(payment_id) for payment_id in firsts}
    batch_id = new_id()
    with ctx.tx() as tx:
        desk = _Desk(ctx, tx, now, partitions)
        known = desk.read(list(firsts.values()))
        fresh = list(firsts.values())
        if known:
            fresh = [one for one in fresh if one.payment_id not in known]
        late = [one for one in known.values() if one.step is None and one.created_at + LEASE <= now]
        late = [one for one in late if one.digest == digests[one.payment_id]]
        desk.take(fresh, digests, batch_id, late)
    found, first = desk.kept, desk.first
    watch("received")
    if first is not None:
        first.begin(ctx)
        found |= first.end(ctx, batch_id, watch)
        watch("recorded")
    told: set[UUID] = set()
    answers: list[Answer] = []
    for one in new:
        key = one.payment_id
        digest = digests[key] if firsts[key] is one else one.digest
        answers.append(_answer(key, digest, found, known, desk.refused, is_replay=key in told))
        told.add(key)
    return answers


def pay(
    ctx: Context,
    payment_id: UUID,
    payer: AccountId,
    *,
    by: str,
    session_at: datetime | None = None,
    credential_at: datetime | None = None,
    spender: AccountId | None = None,
    quote_id: UUID | None = None,
    next_url: str = NEXT_URL,
    watch: Watch = no_step,
) -> Payment:
    """This payer comes to pay an offer; gives it as it then stands. The same payer may come again.

    quote_id: by which they pay from a wallet in another currency. Errors: UnknownPayment, identity.UnknownAccount,
    NotThePayer where another came first, StateForbids; UnknownQuote, QuoteExpired, QuoteUsed, QuoteDiffers; and what
    policy refuses: the offer then stands as before.
    """
    now = ctx.clock.now()
    payment = settled(ctx, payment_id, watch=watch)
    key = (payment.partition, payment_id)
    with ctx.tx() as tx:
        payment = locked(tx, key)
        if payment.payer is not None and payment.state is not PaymentState.CREATED:
            if payment.payer.account_id != payer:
                raise NotThePayer
            return payment
        if now >= payment.expires_at:
            raise StateForbids("This payment's time is up. Make a new payment.")
        account = identity.get_account(tx, payer)
        tries = life_store.payers_of(tx, key)
        came = Payer(
            attempt=len(tries) + 1,
            account_id=payer,
            issuer_id=account.issuer_id,
            partition=ctx.directory.partition_of(payer),
            method="wallet",
            at=now,
        )
        payment = replace(payment, payer=came)
        if quote_id is not None:
            (quote,) = use_quotes(tx, [_use(payment, quote_id)], now)
            if isinstance(quote, HansaError):
                raise quote
            payment = replace(payment, payer=(came := replace(came, quote=quote)))
        spend = _spend(payment, get_name(tx, payment.payee_id), session_at, credential_at, spender)
        verdict = _in_time(payment, approval.decide(tx, [spend], now)[0])
        if isinstance(verdict, approval.Refused):
            raise verdict.error
        first = (
            _asked(payment, verdict, now, by)
            if isinstance(verdict, approval.Needs)
            else _begun(payment, now, by)
        )
        life_store.add_payer(tx, key, came, payment.spend_id)
        payment = keep(tx, [(payment, first)])[payment_id]
        if isinstance(verdict, approval.Needs):
            _open_approval(tx, payment, spend, verdict, next_url)
        intent = _intend(tx, payment, now, by)
    watch("received")
    return payment if intent is None else carry(ctx, [(payment, intent)], watch)[payment_id]


def advance(
    ctx: Context, payment_id: UUID, *, connectors: Connectors = NOBODY, watch: Watch = no_step
) -> Payment:
    """Bring a payment as far as it goes now; gives it as it then stands.

    For whoever hears that something may have happened: the page after an approval, the page to which a payer returns, a
    connector's webhook, the worker. Any number of them, in any order, have one effect. Errors: UnknownPayment.
    """
    payment = settled(ctx, payment_id, connectors=connectors, watch=watch)
    if payment.state is PaymentState.REQUIRES_APPROVAL:
        return _approved(ctx, payment, watch)
    if payment.payer is not None and payment.payer.connector in connectors:
        return _heard(ctx, payment, connectors[payment.payer.connector], connectors, watch)
    return payment


def advance_spend(ctx: Context, spend_id: UUID) -> None:
    """Go on with the payment whose approval ended. spend_id: as approval knows it."""
    with ctx.tx() as tx:
        payment_id = life_store.payment_of_spend(tx, spend_id) or spend_id
    advance(ctx, payment_id)


def refuse(ctx: Context, payment_id: UUID, *, by: str, watch: Watch = no_step) -> Payment:
    """The payer will not approve it. An offer waits for another; any other payment has failed.

    Errors: UnknownPayment, StateForbids.
    """
    payment = settled(ctx, payment_id, watch=watch)
    with ctx.tx() as tx:
        payment = locked(tx, (payment.partition, payment_id))
        if payment.step is not None and payment.step.action is Action.REFUSE:
            return payment
        action = Action.DECLINE if payment.is_offer else Action.REFUSE
        step = step_of(
            payment,
            action,
            at=ctx.clock.now(),
            by=by,
            reason="payments.payer_refused",
            words="The payer refused.",
        )
        return keep(tx, [(payment, step)])[payment_id]


def locked(tx: Tx, key: Key) -> Payment:
    """A payment as it stands, which nobody else changes until the transaction ends.

    Errors: UnknownPayment; PaymentInFlight where something is being done to it.
    """
    if not life_store.lock(tx, key):
        raise UnknownPayment(f"There is no payment {key[1]}.")
    if life_store.intents_of(tx, [key]):
        raise PaymentInFlight
    payment = life_store.find(tx, [key])[key[1]]
    if payment.step is None:
        raise PaymentInFlight
    return payment


def get_name(tx: Tx, payee_id: str) -> Payee:
    """The payee of a payment that is kept."""
    return life_store.find_payees(tx, [payee_id])[payee_id]


def finish_batches(ctx: Context, begun_before: datetime, *, watch: Watch = no_step, limit: int = 100) -> int:
    """End batches of new payments that a crash left; gives how many payments went on."""
    with ctx.tx() as tx:
        batches = life_store.list_batches(tx, begun_before, limit)
    done = 0
    for batch_id, keys in batches:
        with ctx.tx() as tx:
            found = [one for one in life_store.find(tx, keys).values() if one.step is None]
        to_do = [(one, _first_intent(one)) for one in found]
        carry(ctx, to_do, watch, batch_id=batch_id)
        if not to_do:
            with ctx.tx() as tx:
                life_store.end_batch(tx, batch_id)
        done += len(to_do)
    return done


# --- taking in


class _Desk:
    """New payments of a batch: what is kept of them, and what is said of the others."""

    def __init__(self, ctx: Context, tx: Tx, now: datetime, partitions: Mapping[UUID, int]) -> None:
        self._ctx = ctx
        self._partition_of = ctx.directory.partition_of
        self._partitions = partitions
        self._tx, self._now = tx, now
        self._asked: approval.Asked | None = None
        self._payees: Mapping[str, Payee] = {}
        self._issuers: Mapping[AccountId, str] = {}
        self._may: Container[str] = ()
        self.kept: dict[UUID, Payment] = {}
        self.allowed: list[Payment] = []
        self.first: First | None = None
        self.refused: dict[UUID, HansaError] = {}

    def read(self, new: Sequence[NewPayment]) -> dict[UUID, Payment]:
        """Read all that bears on these, in one way to the database and back; gives those that are known already.

        They stand as they did after their first step. Payers' accounts are locked from now on.
        """
        tx = self._tx
        readable = [one for one in new if "\0" not in one.payee_id]
        keys = [(self._partitions[one.payment_id], one.payment_id) for one in new]
        with tx.pipeline():
            # What is paid by a quote is in a currency that is not known yet.
            if not any(one.quote_id is not None for one in new):
                wanted = [self._wanted(one, one.payer) for one in readable if one.payer is not None]
                self._asked = approval.Asked(tx, wanted) if wanted else None
            asked_known = life_store.ask_which_are_known(tx, keys)
            asked_payees = life_store.ask_for_payees(tx, {one.payee_id for one in readable})
            asked_lives = trust.ask_for_lives(tx)
            lives = trust.lives_at(asked_lives, self._now)
            self._may = {one for one, life in lives.items() if life.may("transfer", self._now)}
            self._payees = {one.payee_id: one for one in asked_payees.fetchall()}
            known = {row[0] for row in asked_known.fetchall()}
            issuers = None if self._asked is None else self._asked.issuers
            if issuers is None:
                payers = {one.payer for one in new if one.payer is not None}
                accounts = identity.find_accounts(tx, list(payers)) if payers else {}
                issuers = {account_id: one.issuer_id for account_id, one in accounts.items()}
            self._issuers = issuers
        return life_store.find(tx, [key for key in keys if key[1] in known], first=True)

    def take(
        self,
        new: Sequence[NewPayment],
        digests: Mapping[UUID, bytes],
        batch_id: UUID,
        late: Sequence[Payment],
    ) -> None:
        """Keep what can be kept, with what policy says of it, and what is under way from now on, ``late`` ones too."""
        tx = self._tx
        fit = [one for one in new if self._fits(one, self._misfit(one))]
        quotes = self._quotes(fit)
        fit = [one for one in fit if one.payment_id not in self.refused]
        payments = [self._payment(one, digests, quotes.get(one.payment_id)) for one in fit]
        outside = {
            (one.acquirer_id, one.payer.connector, one.amount.currency, one.payer.partition)
            for one in payments
            if one.payer is not None and one.payer.connector
        }
        if outside:
            ledger.open_accounts(tx, [_transit(*one) for one in sorted(outside)], at=self._now)
        paying = [(one, payment) for one, payment in zip(fit, payments, strict=True) if one.payer is not None]
        spends = [
            _spend(payment, self._payees[one.payee_id], one.session_at, one.credential_at, one.spender)
            for one, payment in paying
        ]
        with tx.pipeline():
            said = approval.decide(tx, spends, self._now, self._asked)
            verdicts = {
                payment.payment_id: _in_time(payment, one)
                for (_, payment), one in zip(paying, said, strict=True)
            }
            if self._refuse_asks(paying, verdicts):
                payments = [one for one in payments if one.payment_id not in self.refused]
            steps: list[tuple[Payment, Step]] = []
            for one in payments:
                step = self._first_step(one, verdicts.get(one.payment_id))
                if step is None:
                    self.allowed.append(one)
                else:
                    steps.append((one, step))
            inserting = life_store.ask_to_insert(tx, payments, batch_id, self._under_way(late), self._now)
            self._make_ready(late)  # while PostgreSQL writes
            if self._is_followed(late):
                commit_behind(tx)  # the ledger's commit, or else that of what came of them, makes it durable
            new_ids = life_store.inserted(inserting)
        if len(new_ids) < len(payments):  # another took them in at the same time, and goes on with them
            for one in payments:
                if one.payment_id not in new_ids:
                    self.refused[one.payment_id] = PaymentInFlight()
            self.allowed = [one for one in self.allowed if one.payment_id in new_ids]
            steps = [both for both in steps if both[0].payment_id in new_ids]
            life_store.end_batch(tx, batch_id)
            life_store.begin_batch(tx, batch_id, self._under_way(late), self._now)
            self._make_ready(late)
            commit_behind(tx, behind=self._is_followed(late))
        if steps:
            self.kept |= keep(tx, steps)
            self._ask_payers(steps, paying, spends, verdicts)

    def _refuse_asks(
        self, paying: Sequence[tuple[NewPayment, Payment]], verdicts: Mapping[UUID, approval.Verdict]
    ) -> bool:
        """Refuse those whose payers were asked too often by who is not with them; whether there are any."""
        asking = [
            (one, one.payer)
            for one, _ in paying
            if one.payer is not None
            and one.session_at is None
            and one.method == "wallet"
            and isinstance(verdicts[one.payment_id], approval.Needs)
        ]
        if not asking:
            return False
        asks = [(self._payees[one.payee_id].member_id, one.payee_id, payer) for one, payer in asking]
        refused = refuse_asks(self._tx, asks, self._now)
        self.refused.update(
            (one.payment_id, error)
            for (one, _), error in zip(asking, refused, strict=True)
            if error is not None
        )
        return any(refused)

    def _under_way(self, late: Sequence[Payment]) -> list[Key]:
        """The payments that are under way from now on."""
        return [(one.partition, one.payment_id) for one in (*self.allowed, *late)]

    def _is_followed(self, late: Sequence[Payment]) -> bool:
        """Whether a commit that waits for the disk follows before anything is answered.

        Of late ones the ledger may have nothing to commit any more: they can be in its books already.
        """
        return not late and self.first is not None and self.first.hold_to(self._ctx)

    def _make_ready(self, late: Sequence[Payment]) -> None:
        """Make ready what the ledger is to be asked."""
        to_do = [(one, _first_intent(one)) for one in (*self.allowed, *late)]
        self.first = First(to_do) if to_do else None

    def _ask_payers(
        self,
        steps: Sequence[tuple[Payment, Step]],
        paying: Sequence[tuple[NewPayment, Payment]],
        spends: Sequence[approval.Spend],
        verdicts: Mapping[UUID, approval.Verdict],
    ) -> None:
        """Ask the payers of those that need it to approve them."""
        asked = {
            payment.payment_id: (spend, one.next_url)
            for spend, (one, payment) in zip(spends, paying, strict=True)
        }
        for one, _ in steps:
            verdict = verdicts.get(one.payment_id)
            if isinstance(verdict, approval.Needs):
                spend, next_url = asked[one.payment_id]
                _open_approval(self._tx, one, spend, verdict, next_url)

    def _wanted(self, one: NewPayment, payer: AccountId) -> approval.Wanted:
        return approval.Wanted(
            self._partition_of(payer),
            one.payment_id,
            payer,
            payee_key(one.payee_id),
            one.amount.currency,
            one.mandate_id,
            one.spender,
        )

    def _misfit(self, one: NewPayment) -> HansaError | None:
        """Why this cannot be kept, or None."""
        error = check_new(one, self._now)
        return error or _misfit(one, self._payees.get(one.payee_id), self._issuers, self._may)

    def _fits(self, one: NewPayment, error: HansaError | None) -> bool:
        if error is not None:
            self.refused[one.payment_id] = error
        return error is None

    def _quotes(self, new: Sequence[NewPayment]) -> dict[UUID, Quote]:
        """The quotes by which some of these are paid, used by them from now on."""
        quoted = [(one, one.quote_id, one.payer) for one in new if one.quote_id is not None]
        uses = [
            Use(
                quote_id=quote_id,
                subject=SUBJECT,
                subject_id=one.payment_id,
                account_id=payer,
                partition=self._partition_of(payer),
                payee_key=payee_key(one.payee_id),
                gets=one.amount,
            )
            for one, quote_id, payer in quoted
            if payer is not None
        ]
        found: dict[UUID, Quote] = {}
        for use, quote in zip(uses, use_quotes(self._tx, uses, self._now), strict=True):
            if isinstance(quote, HansaError):
                self.refused[use.subject_id] = quote
            else:
                found[use.subject_id] = quote
        return found

    def _payment(
        self,
        one: NewPayment,
        digests: Mapping[UUID, bytes],
        quote: Quote | None,
    ) -> Payment:
        partition = self._partitions[one.payment_id]
        payer: Payer | None = None
        if one.payer is not None or one.connector:
            payer = Payer(
                attempt=1,
                account_id=one.payer,
                issuer_id="" if one.payer is None else self._issuers[one.payer],
                partition=partition if one.payer is None else self._partition_of(one.payer),
                method=one.method,
                connector=one.connector,
                mandate_id=one.mandate_id,
                quote=quote,
                at=self._now,
            )
        expires_at = one.expires_at or self._now + OPEN_FOR
        return Payment(
            payment_id=one.payment_id,
            partition=partition,
            payee_id=one.payee_id,
            acquirer_id=self._payees[one.payee_id].member_id,
            amount=one.amount,
            method=one.method,
            channel=one.channel,
            capture=one.capture,
            reference=one.reference,
            description=one.description,
            evidence=one.evidence,
            qr_order_id=one.qr_order_id,
            quote_id=one.quote_id,
            by=one.by,
            created_at=self._now,
            expires_at=expires_at if quote is None else min(expires_at, quote.expires_at),
            digest=digests[one.payment_id],
            payer=payer,
            is_offer=payer is None,
        )

    def _first_step(self, one: Payment, verdict: approval.Verdict | None) -> Step | None:
        """What a new payment is kept as; None where the ledger is asked at once."""
        if one.is_offer:
            return step_of(one, Action.CREATE, at=self._now, by=one.by)
        if verdict is None:  # from outside: its connector is asked next
            return step_of(one, Action.BEGIN, at=self._now, by=one.by)
        if isinstance(verdict, approval.Needs):
            return _asked(one, verdict, self._now, one.by)
        if isinstance(verdict, approval.Refused):
            error = verdict.error
            return step_of(
                one, Action.FAIL, at=self._now, by="policy", reason=error.code, words=error.detail[:200]
            )
        return None


def _transit(acquirer_id: str, connector: str, currency: str, partition: int) -> ledger.Account:
    """What an acquirer awaits from a connector, as an account to be opened."""
    code = ledger.AccountCode.TRANSIT
    return ledger.Account(
        connector_account(acquirer_id, connector, currency, partition),
        currency,
        code,
        acquirer_id,
        partition=partition,
        path=ledger.account_path(code, acquirer_id, connector),
    )


def _misfit(
    one: NewPayment,
    payee: Payee | None,
    issuers: Mapping[AccountId, str],
    may: Container[str],
) -> HansaError | None:
    if payee is None or payee.status != "open" or one.acquirer_id not in (None, payee.member_id):
        return UnknownPayeeId(f"There is no payee {one.payee_id[:64]!r} that takes payments now.")
    if payee.currency != one.amount.currency:
        return WrongPayeeCurrency(f"Payee {payee.payee_id} takes {payee.currency}.")
    if one.payer is not None and one.payer not in issuers:
        return identity.UnknownAccount(f"No account {one.payer} is open here.")
    members = (payee.member_id,) if one.payer is None else (payee.member_id, issuers[one.payer])
    shut = next((member for member in members if member not in may), None)
    if shut is not None:
        return trust.MemberMayNot(f"{shut} may not pay or be paid now. Nothing was kept.")
    return None


def _spend(
    payment: Payment,
    payee: Payee,
    session_at: datetime | None,
    credential_at: datetime | None,
    spender: AccountId | None,
) -> approval.Spend:
    payer = payment.payer
    assert payer is not None and payer.account_id is not None, payment
    channel = {"mandate": Channel.MANDATE, "code": Channel.CODE}.get(payer.method, payment.channel)
    return approval.Spend(
        spend_id=payment.spend_id,
        account_id=payer.account_id,
        amount=payment.paid,
        payee_key=payee_key(payee.payee_id),
        payee_name=payee.name,
        channel=channel,
        category=payee.category,
        session_at=session_at,
        credential_at=credential_at,
        by=spender,
        mandate_id=payer.mandate_id,
        partition=payer.partition,
    )


def _use(payment: Payment, quote_id: UUID) -> Use:
    """What a try to pay wants of a quote."""
    payer = payment.payer
    assert payer is not None and payer.account_id is not None, payment
    return Use(
        quote_id=quote_id,
        subject=SUBJECT,
        subject_id=payment.spend_id,
        account_id=payer.account_id,
        partition=payer.partition,
        payee_key=payee_key(payment.payee_id),
        gets=payment.amount,
    )


def _in_time(payment: Payment, verdict: approval.Verdict) -> approval.Verdict:
    """What is said of it; refused where it would have to wait a day, and its quote holds for minutes."""
    if (
        isinstance(verdict, approval.Needs)
        and verdict.level is approval.ApprovalLevel.PASSKEY_DELAY
        and payment.payer is not None
        and payment.payer.quote is not None
    ):
        return approval.Refused(approval.WaitsTooLong())
    return verdict


def _open_approval(
    tx: Tx, payment: Payment, spend: approval.Spend, needs: approval.Needs, next_url: str
) -> None:
    """Ask the payer to approve this very payment."""
    payer = payment.payer
    assert payer is not None
    subject = approval.subject_for(
        spend,
        kind=SUBJECT,
        subject_id=payment.spend_id,
        asked_at=payer.at,
        about=payment.description or payment.reference,
        details=None if payer.quote is None else payer.quote.shown,
    )
    until = payment.expires_at if payer.quote is None else min(payment.expires_at, payer.quote.expires_at)
    approval.open_approval(
        tx,
        spend,
        needs.level,
        subject,
        next_url,
        payer.at,
        reasons=needs.reasons,
        expires_at=until,
    )


def _asked(payment: Payment, needs: approval.Needs, at: datetime, by: str) -> Step:
    """The step of a payment that its payer has to approve: at which level, and why."""
    reasons = ",".join(one.name for one in needs.reasons)[:200]
    return step_of(payment, Action.ASK, at=at, by=by, reason=needs.level.word, words=reasons)


def _begun(payment: Payment, at: datetime, by: str) -> Step:
    return step_of(payment, Action.BEGIN, at=at, by=by)


def _first_intent(payment: Payment) -> Intent:
    """What is done to a payment that may be paid: its amount is taken, or held."""
    return Intent(
        action=Action.CAPTURE if payment.capture == "automatic" else Action.AUTHORIZE,
        at=payment.created_at,
        by=payment.by,
        subject_id=payment.payment_id,
    )


def _intend(tx: Tx, payment: Payment, at: datetime, by: str) -> Intent | None:
    """Write down that the money of a payment in process is asked for; None where it is not to be."""
    payer = payment.payer
    if payment.state is not PaymentState.PROCESSING or payer is None or payer.connector:
        return None
    intent = replace(
        _first_intent(payment), at=at, by=by, subject_id=fact_id(None, "payment try", payment.spend_id)
    )
    life_store.intend(tx, (payment.partition, payment.payment_id), intent)
    return intent


def _answer(
    payment_id: UUID,
    digest: bytes,
    found: Mapping[UUID, Payment],
    known: Mapping[UUID, Payment],
    refused: Mapping[UUID, HansaError],
    *,
    is_replay: bool,
) -> Answer:
    payment = found.get(payment_id)
    if payment is None:
        payment = known.get(payment_id)
        is_replay = payment is not None
    if payment is None:
        return refused[payment_id]
    if payment.digest != digest:
        return PaymentDiffers(f"Payment {payment_id} is known with other content.")
    if payment.step is None:
        return PaymentInFlight()
    return replace(payment, is_replay=True) if is_replay else payment


# --- going on


def settled(
    ctx: Context, payment_id: UUID, *, connectors: Connectors = NOBODY, watch: Watch = no_step
) -> Payment:
    """A payment to which nothing is being done: what a crash left is ended first.

    Errors: UnknownPayment; PaymentInFlight where somebody is at it, or a connector has to be asked that is not given.
    """
    key = (ctx.directory.partition_of(payment_id), payment_id)
    now = ctx.clock.now()
    with ctx.tx() as tx:
        payment = life_store.find(tx, [key]).get(payment_id)
        intent = life_store.intents_of(tx, [key]).get(payment_id)
    if payment is None:
        raise UnknownPayment(f"There is no payment {payment_id}.")
    if intent is not None:
        return end_intent(ctx, payment, intent, connectors, watch)
    if payment.step is None:
        if payment.created_at + LEASE > now:
            raise PaymentInFlight
        return carry(ctx, [(payment, _first_intent(payment))], watch)[payment_id]
    return payment


def end_intent(
    ctx: Context, payment: Payment, intent: Intent, connectors: Connectors, watch: Watch
) -> Payment:
    """Do what is written down for a payment; gives it as it then stands. Whatever goes back outside goes there first.

    Errors: PaymentInFlight where the connector gives no clear answer or is not given; it stays to be done.
    """
    payer = payment.payer
    if payer is not None and payer.connector and intent.action in _GIVES_BACK:
        connector = connectors.get(payer.connector)
        if connector is None:
            raise PaymentInFlight
        minor = intent.amount_minor or payment.amount.minor
        said = connector.give_back(
            payment.payment_id, intent.subject_id, Money(minor, payment.amount.currency)
        )
        watch("given back")
        if said.heard is Heard.REFUSED and intent.action is Action.REFUND:
            step = refund_failed(payment, intent, said.words)
            with ctx.tx() as tx:
                return keep(tx, [(payment, step)], intents={payment.payment_id: intent})[payment.payment_id]
        if said.heard is not Heard.SUCCEEDED:
            raise PaymentInFlight
    return carry(ctx, [(payment, intent)], watch)[payment.payment_id]


_GIVES_BACK = (Action.REFUND, Action.REVERSE, Action.SUCCEED_LATE)


def _approved(ctx: Context, payment: Payment, watch: Watch) -> Payment:
    """Pay it, if it was approved; where its payer refused, say so."""
    now = ctx.clock.now()
    key = (payment.partition, payment.payment_id)
    with ctx.tx() as tx:
        payment = locked(tx, key)
        if payment.state is not PaymentState.REQUIRES_APPROVAL or now >= payment.expires_at:
            return payment
        spend = _spend(payment, get_name(tx, payment.payee_id), None, None, None)
        verdict = approval.decide(tx, [spend], now)[0]
        action = Action.DECLINE if payment.is_offer else Action.REFUSE
        if isinstance(verdict, approval.Needs):
            stands = approval.approval_state(tx, [payment.spend_id])[payment.spend_id]
            if stands not in (approval.ApprovalState.REFUSED, approval.ApprovalState.EXPIRED):
                return payment
            error: HansaError = PayerRefused()
            step = step_of(payment, action, at=now, by="payer", reason=error.code, words=error.detail)
            return keep(tx, [(payment, step)])[payment.payment_id]
        if isinstance(verdict, approval.Refused):
            error = verdict.error
            step = step_of(payment, action, at=now, by="policy", reason=error.code, words=error.detail[:200])
            return keep(tx, [(payment, step)])[payment.payment_id]
        evidence = verdict.evidence
        step = step_of(
            payment, Action.APPROVE, at=now, by="payer", subject_id=evidence, reason=verdict.level.word
        )
        payment = keep(tx, [(payment, step)])[payment.payment_id]
        intent = _intend(tx, payment, now, "payer")
    watch("received")
    return payment if intent is None else carry(ctx, [(payment, intent)], watch)[payment.payment_id]


_ASKED = (
    PaymentState.PROCESSING,
    PaymentState.UNKNOWN,
    PaymentState.FAILED,
    PaymentState.CANCELED,
    PaymentState.EXPIRED,
)
"""States in which a connector may still have something to say."""

PATIENCE_MAX = timedelta(hours=1)
"""How long at most until a connector is asked again."""


def _heard(
    ctx: Context, payment: Payment, connector: Connector, connectors: Connectors, watch: Watch
) -> Payment:
    """Ask the connector what became of a payment, and act on it once."""
    if payment.state not in _ASKED:
        return payment
    if payment.step is not None and payment.step.action is Action.BEGIN:
        said = connector.start(payment.payment_id, payment.amount, payment.description)
    else:
        said = connector.ask(payment.payment_id)
    watch("heard")
    now = ctx.clock.now()
    with ctx.tx() as tx:
        payment = locked(tx, (payment.partition, payment.payment_id))
        step = _step_heard(payment, said, now)
        if step is None:
            _ask_later(tx, payment, now)
            return payment
        if step.action not in (Action.CAPTURE, Action.SUCCEED_LATE, Action.REVERSE):
            return keep(tx, [(payment, step)])[payment.payment_id]
        intent = Intent(
            action=step.action,
            at=now,
            by=step.by,
            subject_id=fact_id(None, f"payment {step.action}", payment.spend_id),
            words=step.words,
        )
        life_store.intend(tx, (payment.partition, payment.payment_id), intent)
    watch("received")
    return end_intent(ctx, payment, intent, connectors, watch)


def _ask_later(tx: Tx, payment: Payment, now: datetime) -> None:
    """When the connector is asked next: ever later, and of what has ended only for a day."""
    if payment.step is None:
        return
    if payment.state in _ASKED[2:] and now >= payment.created_at + GIVE_UP:
        life_store.wait_no_more(tx, [(payment.partition, payment.payment_id)])
    else:
        waited = max(ASK_AGAIN, now - payment.step.at)
        life_store.wait(tx, [(payment, now + min(PATIENCE_MAX, waited))])


def _step_heard(payment: Payment, said: Said, at: datetime) -> Step | None:
    """What a connector's answer comes to in the state that the payment now has; None where it changes nothing."""
    by = f"connector:{'' if payment.payer is None else payment.payer.connector}"
    words = said.words[:200]
    match said.heard, payment.state:
        case Heard.SUCCEEDED, PaymentState.PROCESSING | PaymentState.UNKNOWN:
            return step_of(payment, Action.CAPTURE, at=at, by=by)
        case Heard.SUCCEEDED, PaymentState.FAILED | PaymentState.CANCELED | PaymentState.EXPIRED:
            return step_of(payment, Action.SUCCEED_LATE, at=at, by=by, words=words)
        case Heard.REFUSED, PaymentState.PROCESSING | PaymentState.UNKNOWN:
            return refused_by_connector(payment, at, words)
        case Heard.SILENT, PaymentState.PROCESSING:
            return step_of(payment, Action.DOUBT, at=at, by=by, words=words)
        case Heard.PENDING, PaymentState.PROCESSING if at >= payment.expires_at:
            return step_of(payment, Action.DOUBT, at=at, by=by, words=words)
        case Heard.SILENT | Heard.PENDING, PaymentState.UNKNOWN if at >= payment.created_at + GIVE_UP:
            return step_of(payment, Action.REVERSE, at=at, by=by, words="No clear answer came in time.")
        case _:
            return None
