"""Payees, payments and what becomes of them in the ledger: the types, the errors and the pure rules.

A payment takes money from a payer's wallet and gives it to a payee. Its payer's issuer owes the payee's acquirer for
it on their position, as an issuer owes an operator for a ride, and clearing's windows settle it; the acquirer credits
its payee at once and awaits the money. Where issuer and acquirer are one member nothing is owed between members.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar, Literal
from uuid import UUID

from hansa import ledger
from hansa.approval import Channel
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem, fact_id, fact_ids, fault_of_text
from hansa.payments.life import Action, PaymentState
from hansa.payments.model import exchange_account, position_account, wallet_id
from hansa.payments.quotes_model import Quote, Share, earned_account

Method = Literal["wallet", "mandate", "code", "connector"]
"""How the payer pays: from a wallet that they approve; by a mandate or a code given before; from outside of Hansa."""

Capture = Literal["automatic", "manual"]
PayeeStatus = Literal["open", "paused", "closed"]
RefundState = Literal["pending", "settled", "failed"]

AMOUNT_MAX = 10**12
"""Minor units of one payment."""

REFERENCE_MAX, DESCRIPTION_MAX, WORDS_MAX = 100, 200, 200

OPEN_FOR = timedelta(hours=1)
"""How long a payment waits for a payer or an approval, unless told."""

OPEN_MAX = timedelta(days=90)

HELD_FOR = timedelta(days=7)
"""How long money is held for a payment that is captured by hand."""

GRACE_S = 3_600
"""How much longer the ledger keeps a hold than we do, so that we end it first."""


# --- errors


class UnknownPayeeId(HansaError):
    """There is no such payee, or it takes no payments now. Nothing was done."""

    code: ClassVar[str] = "payments.unknown_payee_id"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Read /v1/payees for yours; one that is paused is opened again by its acquirer."


class PayeeDiffers(HansaError):
    """A payee of this id is open already and says something else."""

    code: ClassVar[str] = "payments.payee_differs"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Give another payee an id of its own."


class UnknownPayment(HansaError):
    """There is no such payment, or it is not yours."""

    code: ClassVar[str] = "payments.unknown_payment"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = (
        "Check the id. Payments are read by their payer, their payee's acquirer and the league."
    )


class UnknownRefund(HansaError):
    """There is no such refund, or it is not yours."""

    code: ClassVar[str] = "payments.unknown_refund"
    status: ClassVar[int] = 404
    remedy: ClassVar[str] = "Check the id. A payment lists its refunds."


class PaymentDiffers(HansaError):
    """This payment is known with other content; another payment needs a key of its own."""

    code: ClassVar[str] = "payments.differs"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Make a new Idempotency-Key for a new payment."


class PaymentInFlight(HansaError):
    """This payment is being worked on by another request. Send the same again a little later."""

    code: ClassVar[str] = "payments.in_flight"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Wait a second and send the same request again, with the same Idempotency-Key."


class InsufficientFunds(HansaError):
    """The payer's wallet holds too little. Nothing was taken."""

    code: ClassVar[str] = "payments.insufficient_funds"
    status: ClassVar[int] = 402
    remedy: ClassVar[str] = "The payer tops up, or pays in another way; then make a new payment."
    next_action: ClassVar[str] = "top_up"


class NoWallet(HansaError):
    """The payer has no wallet in the payee's currency. Nothing was taken."""

    code: ClassVar[str] = "payments.no_wallet"
    status: ClassVar[int] = 402
    remedy: ClassVar[str] = (
        "The payer opens a wallet in this currency, or pays from another one by a quote with a locked rate (quote_id)."
    )
    next_action: ClassVar[str] = "quote"


class NotConnected(HansaError):
    """The payer's issuer and the payee's acquirer do not settle in this currency with each other. Nothing was taken."""

    code: ClassVar[str] = "payments.not_connected"
    status: ClassVar[int] = 402
    remedy: ClassVar[str] = (
        "Both members agree on a position in this currency, or the payer pays in another way."
    )


class PayerRefused(HansaError):
    """The payer would not approve the payment. Nothing was taken."""

    code: ClassVar[str] = "payments.payer_refused"
    status: ClassVar[int] = 402
    remedy: ClassVar[str] = "Ask the payer; then make a new payment."


class ConnectorRefused(HansaError):
    """The payer's bank or card refused. Nothing was taken."""

    code: ClassVar[str] = "payments.connector_refused"
    status: ClassVar[int] = 402
    remedy: ClassVar[str] = "The payer asks the bank, or pays in another way."


class WrongPayeeCurrency(HansaError):
    """The payee takes another currency. Nothing was done."""

    code: ClassVar[str] = "payments.wrong_payee_currency"
    status: ClassVar[int] = 422
    remedy: ClassVar[str] = "Name the amount in the payee's own currency."


class MoreThanHeld(HansaError):
    """So much is not held for this payment. Nothing was captured."""

    code: ClassVar[str] = "payments.more_than_held"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Capture at most held_minor of the payment."


class MoreThanCaptured(HansaError):
    """So much is not left to refund: refunds, with those under way, never pass what was captured."""

    code: ClassVar[str] = "payments.more_than_captured"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Refund at most captured_minor less refunded_minor of the payment."


class PayeeShort(HansaError):
    """The money cannot be taken back from the payee now. Nothing was refunded."""

    code: ClassVar[str] = "payments.payee_short"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "The payee's account is closed or its acquirer no longer settles here; ask the acquirer."
    )


class PayerGone(HansaError):
    """Who paid has deleted their account, and nobody would open a wallet that got this. Nothing was refunded."""

    code: ClassVar[str] = "payments.payer_gone"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Give it back another way, in cash or to their bank account; the payment stays as it is."
    )
    next_action: ClassVar[str] = "none"
    user_message: ClassVar[str] = "Who paid has deleted their account here. Give the money back another way."


class NotThePayer(HansaError):
    """Somebody else is this payment's payer already. Nothing was done."""

    code: ClassVar[str] = "payments.not_the_payer"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = "Make a new payment; this one is another's."


class PaymentsBusy(HansaError):
    """More payments wait than can be taken in just now. Nothing was kept; send the same again a little later."""

    code: ClassVar[str] = "payments.busy"
    status: ClassVar[int] = 503
    remedy: ClassVar[str] = "Wait as long as Retry-After says and send the same again, with the same key."


REASONS: dict[str, type[HansaError]] = {
    one.code: one for one in (InsufficientFunds, NoWallet, NotConnected, PayerRefused, ConnectorRefused)
}
"""Why a payment fails in this room, by code; approval's refusals come with codes of their own."""


# --- payees


@dataclass(frozen=True, slots=True, kw_only=True)
class Payee:
    """Who can be paid. member_id: its acquirer, who owes it what was paid. category: ISO 18245, four digits, or empty.

    payee_id: 1 to 64 small letters, digits and hyphens. paused and closed ones take no new payments.
    """

    payee_id: str
    member_id: str
    name: str
    currency: str
    category: str = ""
    status: PayeeStatus = "open"

    @property
    def key(self) -> str:
        """What tells it from all other payees, for approval."""
        return payee_key(self.payee_id)


def payee_key(payee_id: str) -> str:
    """By which name approval knows a payee."""
    return f"payee:{payee_id}"


# --- payments


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """A payment as it is asked for.

    payment_id: the same for the same request (``store.made_from`` of its idempotency key), or given by the room above.
    amount: above zero, in the payee's currency. payer: None where whoever comes may pay (``offer``). evidence: of a
    code, what shows that the payer gave it; the room above has checked it. capture: ``manual`` only holds the money.
    expires_at: until when it can be paid or approved; an hour unless given. by: who asks, for the record. session_at,
    credential_at, spender: as approval's Spend takes them; a repeat may bring others. acquirer_id: whose payee it must
    be; None where the room above knows. next_url: where the payer goes on after approving it.
    """

    payment_id: UUID
    payee_id: str
    amount: Money
    by: str
    payer: AccountId | None = None
    method: Method = "wallet"
    channel: Channel = Channel.ONLINE
    mandate_id: UUID | None = None
    evidence: str = ""
    connector: str = ""
    capture: Capture = "automatic"
    reference: str = ""
    description: str = ""
    qr_order_id: UUID | None = None
    quote_id: UUID | None = None
    expires_at: datetime | None = None
    session_at: datetime | None = None
    credential_at: datetime | None = None
    spender: AccountId | None = None
    acquirer_id: str | None = None
    next_url: str = "/wallet/money"

    @property
    def digest(self) -> bytes:
        """What makes it this payment and no other: 32 bytes."""
        until = "" if self.expires_at is None else repr(self.expires_at.timestamp())
        parts = (
            self.payee_id,
            str(self.amount.minor),
            self.amount.currency,
            "" if self.payer is None else self.payer.hex,
            self.method,
            self.channel,
            "" if self.mandate_id is None else self.mandate_id.hex,
            self.evidence,
            self.connector,
            self.capture,
            self.reference,
            self.description,
            "" if self.qr_order_id is None else self.qr_order_id.hex,
            "" if self.quote_id is None else self.quote_id.hex,
            until,
        )
        return sha256("\0".join(parts).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who pays, on the attempt of this number: an account of an issuer, or somebody outside through a connector.

    partition: the ledger's, in which all of this attempt is booked. quote: by which the payer pays in another currency.
    """

    attempt: int
    account_id: AccountId | None
    issuer_id: str
    partition: int
    method: Method
    connector: str = ""
    mandate_id: UUID | None = None
    quote: Quote | None = None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a payment: what was done and how it stood then, all amounts in minor units.

    n: 1, 2, 3 ... subject_id: the capture or refund it was. holds: how many holds this attempt has had.
    """

    n: int
    action: Action
    state: PaymentState
    at: datetime
    by: str
    amount_minor: int = 0
    held_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    holds: int = 0
    subject_id: UUID | None = None
    reason: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment and where it stands. step: the last one; None while the first is under way, which is ``processing``.

    is_offer: whoever comes may pay it. is_replay: it was asked for before, and this is how it stood at first.
    """

    payment_id: UUID
    partition: int
    payee_id: str
    acquirer_id: str
    amount: Money
    method: Method
    channel: Channel
    capture: Capture
    reference: str
    description: str
    evidence: str
    qr_order_id: UUID | None
    quote_id: UUID | None
    by: str
    created_at: datetime
    expires_at: datetime
    digest: bytes
    payer: Payer | None
    is_offer: bool
    step: Step | None = None
    is_replay: bool = False

    def at_step(self, step: Step) -> "Payment":
        """The payment as it stands after this step."""
        return Payment(  # each by hand: a payment goes through here twice, and `replace` takes twice as long
            self.payment_id,
            self.partition,
            self.payee_id,
            self.acquirer_id,
            self.amount,
            self.method,
            self.channel,
            self.capture,
            self.reference,
            self.description,
            self.evidence,
            self.qr_order_id,
            self.quote_id,
            self.by,
            self.created_at,
            self.expires_at,
            self.digest,
            self.payer,
            self.is_offer,
            step,
            self.is_replay,
        )

    @property
    def state(self) -> PaymentState:
        """Where it stands."""
        return PaymentState.PROCESSING if self.step is None else self.step.state

    @property
    def held_minor(self) -> int:
        """What is held for it in the payer's wallet."""
        return 0 if self.step is None else self.step.held_minor

    @property
    def held(self) -> Money:
        """The same in the currency of that wallet."""
        quote = None if self.payer is None else self.payer.quote
        if quote is None or not self.held_minor:
            return Money(self.held_minor, self.amount.currency)
        return Money(quote.share(self.captured_minor, self.held_minor).pays_minor, quote.pays.currency)

    @property
    def paid(self) -> Money:
        """What its payer pays, in the payer's currency; the amount itself where no money is changed."""
        quote = None if self.payer is None else self.payer.quote
        return self.amount if quote is None else quote.pays

    @property
    def captured_minor(self) -> int:
        """What its payee was given so far."""
        return 0 if self.step is None else self.step.captured_minor

    @property
    def refunded_minor(self) -> int:
        """What was given back, with refunds that are under way."""
        return 0 if self.step is None else self.step.refunded_minor

    @property
    def spend_id(self) -> UUID:
        """What approval counts it as; each try counts by itself."""
        attempt = 1 if self.payer is None else self.payer.attempt
        return self.payment_id if attempt == 1 else fact_id(None, "payment try", self.payment_id, attempt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be done to a payment, written down before the ledger is asked; a payment has one at a time.

    amount_minor: of a capture or refund. subject_id: makes its transfers these. final: no more is captured after it.
    """

    action: Action
    at: datetime
    by: str
    subject_id: UUID
    amount_minor: int = 0
    final: bool = True
    reason: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money of a payment on its way back to where it came from. state: pending until the ledger has it."""

    refund_id: UUID
    payment_id: UUID
    partition: int
    amount: Money
    reference: str
    reason: str
    state: RefundState
    by: str
    asked_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Money of a wallet that is held for a payment. until: when it is given back by itself."""

    payment_id: UUID
    payee_id: str
    amount: Money
    until: datetime


Answer = Payment | HansaError
"""What became of one of a batch: the payment as it stands, or the refusal. A refusal changed nothing."""


def check_new(one: NewPayment, now: datetime) -> HansaError | None:
    """Why this cannot be taken, whoever pays; or None."""
    problem = None
    if not 0 < one.amount.minor <= AMOUNT_MAX:
        problem = Problem("amount.minor", f"it is {one.amount.minor}", f"Send 1 to {AMOUNT_MAX}")
    elif one.expires_at is not None and not now < one.expires_at <= now + OPEN_MAX:
        problem = Problem(
            "expires_at", "it has passed or is far away", f"Name an instant in the next {OPEN_MAX.days} days"
        )
    elif one.quote_id is not None and one.method != "wallet":
        problem = Problem(
            "quote_id",
            "a quote is shown to the payer before they approve",
            "Send it with method wallet alone",
        )
    elif one.quote_id is not None and one.payer is None:
        problem = Problem(
            "quote_id", "a quote is its payer's own", "Name the payer, or leave it to who comes"
        )
    elif one.method == "mandate" and (one.mandate_id is None or one.payer is None):
        problem = Problem("mandate_id", "the mandate or its payer is missing", "Send payer and mandate_id")
    elif one.method != "mandate" and one.mandate_id is not None:
        problem = Problem("mandate_id", f"it goes with another method than {one.method}", "Leave it out")
    elif one.method == "code" and (not one.evidence or one.payer is None):
        problem = Problem("evidence", "a code is paid with what shows it", "Send the code that was read")
    elif one.method == "connector" and (not one.connector or one.payer is not None):
        problem = Problem("connector", "a connector pays from outside", "Name the connector and no payer")
    elif one.method == "connector" and one.capture == "manual":
        problem = Problem("capture", "a connector takes money at once", "Send automatic")
    elif (place := _unfit_text(one)) is not None:
        problem = Problem(place, "it is too long or holds what cannot be seen", "Shorten it, on one line")
    if problem is None:
        return None
    return InvalidInput(f"{problem.where}: {problem.what}.", problems=(problem,))


def _unfit_text(one: NewPayment) -> str | None:
    texts = (
        ("reference", one.reference, REFERENCE_MAX),
        ("description", one.description, DESCRIPTION_MAX),
    )
    return next((name for name, text, most in texts if len(text) > most or fault_of_text(text)), None)


# --- the ledger


@lru_cache(maxsize=100_000)
def merchant_account(payee_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What a payee's acquirer owes it."""
    return ledger.AccountId(fact_id(None, "merchant", payee_id, currency, partition))


@lru_cache(maxsize=10_000)
def receivable_account(member_id: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What an acquirer gave its payees and awaits from clearing."""
    return ledger.AccountId(fact_id(None, "receivable", member_id, currency, partition))


@lru_cache(maxsize=10_000)
def connector_account(member_id: str, connector: str, currency: str, partition: int = 0) -> ledger.AccountId:
    """What an acquirer gave its payees and awaits from a connector."""
    return ledger.AccountId(fact_id(None, "connector", member_id, connector, currency, partition))


def transfers_of(payment: Payment, intent: Intent) -> tuple[ledger.Transfer, ...]:
    """What an intent is in the ledger: one chain, booked as a whole or not at all; empty where it moves nothing.

    All ids are worked out from the payment, the attempt and the intent's subject, so doing it again is harmless.
    """
    payer = payment.payer
    if payer is None:
        return ()
    book = _Book(payment, payer, intent)
    match intent.action:
        case Action.CAPTURE if payment.held_minor:
            return book.capture_held()
        case Action.CAPTURE:
            return book.take(payment.amount.minor)
        case Action.AUTHORIZE:
            return (book.hold(payment.amount.minor, 0),)
        case Action.VOID | Action.EXPIRE if payment.held_minor:
            return (book.end_hold(0, ledger.TransferFlag.VOID_PENDING),)
        case Action.REFUND:
            return book.give_back(intent.amount_minor)
        case _:
            return ()


_Move = tuple[str, ledger.AccountId, ledger.AccountId, int, str]
"""A part of a chain: its name, debit, credit, minor units and their currency."""


@dataclass(frozen=True, slots=True)
class _Book:
    """The transfers of one intent.

    Where a quote stands behind the payment, the payer's issuer changes the money within the same chain: the wallet pays
    the issuer's exchange account in its own currency, and the one in the payee's currency pays on.
    """

    payment: Payment
    payer: Payer
    intent: Intent

    @property
    def unit(self) -> str:
        """The payee's currency."""
        return self.payment.amount.currency

    @property
    def wallet(self) -> ledger.AccountId:
        """Whence the money comes."""
        payer, unit = self.payer, self.unit if self.payer.quote is None else self.payer.quote.pays.currency
        if payer.account_id is None:
            return connector_account(self.payment.acquirer_id, payer.connector, unit, payer.partition)
        return wallet_id(payer.account_id, unit)

    @property
    def merchant(self) -> ledger.AccountId:
        return merchant_account(self.payment.payee_id, self.unit, self.payer.partition)

    @property
    def receivable(self) -> ledger.AccountId:
        return receivable_account(self.payment.acquirer_id, self.unit, self.payer.partition)

    @property
    def between(self) -> ledger.AccountId | None:
        """The position that the payer's issuer owes on; None where nothing is owed between members."""
        payment, payer = self.payment, self.payer
        if payer.account_id is None or payer.issuer_id == payment.acquirer_id:
            return None
        return position_account(payer.issuer_id, payment.acquirer_id, self.unit, payer.partition)

    def take(self, minor: int) -> tuple[ledger.Transfer, ...]:
        """From the payer to the payee."""
        quote = self.payer.quote
        if quote is None:
            return self.chain(self.give(self.wallet, minor))
        share = quote.share(self.payment.captured_minor, minor)
        pay: _Move = (
            "pay",
            self.wallet,
            self.till(quote.pays.currency),
            share.pays_minor,
            quote.pays.currency,
        )
        return self.chain([pay, *self.change(quote, share, minor)])

    def give(self, source: ledger.AccountId, minor: int) -> list[_Move]:
        """From there to the payee, over the position where one stands between."""
        between = self.between
        if between is None:
            return [("take", source, self.merchant, minor, self.unit)]
        return [
            ("take", source, between, minor, self.unit),
            ("give", self.receivable, self.merchant, minor, self.unit),
        ]

    def change(self, quote: Quote, share: Share, minor: int) -> list[_Move]:
        """What the wallet paid the issuer is changed, less its fee, and given on."""
        till, unit = self.till(quote.pays.currency), quote.pays.currency
        fee: _Move = ("fee", till, self.earned(unit), share.fee_minor, unit)
        return [*([fee] if share.fee_minor else []), *self.give(self.till(self.unit), minor)]

    def till(self, currency: str) -> ledger.AccountId:
        """Where the payer's issuer changes money of this currency."""
        return exchange_account(self.payer.issuer_id, currency, self.payer.partition)

    def earned(self, currency: str) -> ledger.AccountId:
        """What the payer's issuer earned."""
        return earned_account(self.payer.issuer_id, currency, self.payer.partition)

    def give_back(self, minor: int) -> tuple[ledger.Transfer, ...]:
        """From the payee to the payer, the way that it came; changed money at the rate at which it was changed."""
        quote, between = self.payer.quote, self.between
        target = self.wallet if quote is None else self.till(self.unit)
        moves: list[_Move] = [("give back", between or self.merchant, target, minor, self.unit)]
        if between is not None:
            moves.insert(0, ("take back", self.merchant, self.receivable, minor, self.unit))
        if quote is not None:
            share, unit = quote.share(self.payment.refunded_minor, minor), quote.pays.currency
            till = self.till(unit)
            if share.fee_minor:
                moves.append(("fee back", self.earned(unit), till, share.fee_minor, unit))
            if share.pays_minor:
                moves.append(("pay back", till, self.wallet, share.pays_minor, unit))
        return self.chain(moves)

    def capture_held(self) -> tuple[ledger.Transfer, ...]:
        """Take a part or all of what is held, give it to the payee, and hold the rest anew if more may be captured."""
        minor, quote = self.intent.amount_minor, self.payer.quote
        rest = 0 if self.intent.final else self.payment.held_minor - minor
        if quote is None:
            taken = minor
            moves = [] if self.between is None else self.give(self.wallet, minor)[1:]
        else:
            share = quote.share(self.payment.captured_minor, minor)
            taken, moves = share.pays_minor, self.change(quote, share, minor)
        more = rest > 0 or bool(moves)
        chain = [self.end_hold(taken, ledger.TransferFlag.POST_PENDING, more=more)]
        if moves:
            chain += self.chain(moves, more=rest > 0)
        if rest:
            chain.append(self.hold(rest, self.holds, after_minor=self.payment.captured_minor + minor))
        return tuple(chain)

    @property
    def holds(self) -> int:
        return 0 if self.payment.step is None else self.payment.step.holds

    def hold(self, minor: int, number: int, *, after_minor: int = 0) -> ledger.Transfer:
        """Hold so much of the payer's money, as the hold of this number of the attempt, after so much was captured."""
        seconds = int((held_until(self.payment) - self.payer.at).total_seconds()) + GRACE_S
        quote = self.payer.quote
        unit, target, held = self.unit, self.between or self.merchant, minor
        if quote is not None:
            unit = quote.pays.currency
            target, held = self.till(unit), quote.share(after_minor, minor).pays_minor
        return ledger.Transfer(
            self.hold_id(number),
            self.wallet,
            target,
            held,
            unit,
            ledger.TransferCode.PURCHASE,
            self.payer.at,
            partition=self.payer.partition,
            flags=ledger.TransferFlag.PENDING,
            timeout_s=max(GRACE_S, seconds),
            reference=self.payment.payment_id,
        )

    def hold_id(self, number: int) -> ledger.TransferId:
        return ledger.TransferId(
            fact_id(self.payer.at, "payments.hold", self.payment.payment_id, self.payer.attempt, number)
        )

    def end_hold(self, minor: int, flag: ledger.TransferFlag, *, more: bool = False) -> ledger.Transfer:
        (end_id,) = self.ids_of(f"end {self.intent.action}")
        return ledger.Transfer(
            end_id,
            ledger.AS_PENDING,
            ledger.AS_PENDING,
            minor,
            "",
            0,
            self.intent.at,
            partition=self.payer.partition,
            flags=flag | ledger.TransferFlag.LINKED if more else flag,
            pending_id=self.hold_id(self.holds - 1),
        )

    def chain(self, moves: Sequence[_Move], *, more: bool = False) -> tuple[ledger.Transfer, ...]:
        """These moves as one chain. more: it goes on behind them."""
        refund = self.intent.action is Action.REFUND
        code = ledger.TransferCode.PURCHASE_REFUND if refund else ledger.TransferCode.PURCHASE
        partition = self.payer.partition
        ids = self.ids_of(*(one[0] for one in moves))
        last = len(moves) - 1
        return tuple(
            [
                ledger.Transfer(
                    ids[place],
                    debit,
                    credit,
                    minor,
                    currency,
                    code,
                    self.intent.at,
                    partition=partition,
                    flags=_LINKED if more or place < last else _ALONE,
                    reference=self.payment.payment_id,
                )
                for place, (_, debit, credit, minor, currency) in enumerate(moves)
            ]
        )

    def ids_of(self, *parts: str) -> list[ledger.TransferId]:
        """The ids of these parts of the intent."""
        found = fact_ids(
            self.payer.at, "payments", self.payment.payment_id, self.intent.subject_id, last=parts
        )
        return [ledger.TransferId(one) for one in found]


_LINKED, _ALONE = ledger.TransferFlag.LINKED, ledger.TransferFlag.NONE


def held_until(payment: Payment) -> datetime:
    """Until when money is held for it."""
    return payment.created_at + HELD_FOR
