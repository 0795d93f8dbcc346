"""HTTP for payments: ask for one, look at it, capture, void, cancel, refund; and who can be paid.

``POST /v1/payments`` is also served by a short way in front of the application, with the same bodies, checks and
answers; what stands here describes it. It sees to its idempotency keys itself: a payment's id is worked out from the
key, so a key names its payment for ever.
"""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from hansa import approval, identity, store, trust
from hansa.approval import Channel, NextAction, approval_id_of
from hansa.identity import AccountId
from hansa.kernel import HansaError, InvalidInput, Money, Problem, in_utc, mark_text, paged, read_mark
from hansa.payments import changing, payees, paying, payment_codes
from hansa.payments.by_code import create_by_code
from hansa.payments.life import PaymentState, StateForbids
from hansa.payments.paying import SUBJECT
from hansa.payments.payment import (
    AMOUNT_MAX,
    DESCRIPTION_MAX,
    REFERENCE_MAX,
    WORDS_MAX,
    Answer,
    Capture,
    Held,
    Method,
    MoreThanCaptured,
    MoreThanHeld,
    NewPayment,
    Payee,
    PayeeDiffers,
    PayeeStatus,
    Payer,
    PayerGone,
    Payment,
    PaymentDiffers,
    PaymentInFlight,
    PaymentsBusy,
    Refund,
    RefundState,
    Step,
    UnknownPayeeId,
    UnknownPayment,
    UnknownRefund,
    WrongPayeeCurrency,
)
from hansa.payments.quotes_model import QuoteDiffers, QuoteExpired, QuoteUsed, UnknownQuote
from hansa.store import Context, Tx

PATH = "/v1/payments"
REPLAYED = "idempotency-replayed"
CODE_MAX = 5_000
"""Characters of a payer's code, with room to spare."""

Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
After = Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX)]
PayeeId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
PayeePath = Annotated[str, PathParameter(max_length=64)]
Words = Annotated[str, msgspec.Meta(max_length=WORDS_MAX)]
Reference = Annotated[str, msgspec.Meta(max_length=REFERENCE_MAX)]
Asked = Request[Any, Any, Any]


# --- what is sent


class PaymentAmount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much, in whole minor units of the payee's currency."""

    minor: Minor
    currency: Currency


class NewPaymentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment that is asked for.

    payer: whose wallet; without it anybody may come and pay. method: `wallet` waits for the payer's approval, `mandate`
    takes what the payer allowed before, `code` what the payer shows on their phone (payment_code, as it was scanned; it
    is used up whatever comes of it), `connector` takes money from outside. capture: `manual` only holds the money,
    for seven days. quote_id: by which the payer pays from a wallet in another currency, to be approved before it
    ends. expires_at: until when it can be paid or approved; an hour unless given.
    """

    payee_id: PayeeId
    amount: PaymentAmount
    payer: UUID | None = None
    method: Literal["wallet", "mandate", "code", "connector"] = "wallet"
    mandate_id: UUID | None = None
    payment_code: Annotated[str, msgspec.Meta(max_length=CODE_MAX)] = ""
    connector: Annotated[str, msgspec.Meta(max_length=50)] = ""
    capture: Capture = "automatic"
    channel: Literal["online", "qr"] = "online"
    reference: Reference = ""
    description: Annotated[str, msgspec.Meta(max_length=DESCRIPTION_MAX)] = ""
    quote_id: UUID | None = None
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class CaptureRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of what is held; all of it unless given. final: give the rest back to the payer."""

    minor: Minor | None = None
    final: bool = True


class EndRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, for people."""

    words: Words = ""


class PaymentRefundRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of what was captured; all that is left unless given. reference: your own. reason: for people."""

    minor: Minor | None = None
    reference: Reference = ""
    reason: Words = ""


class NewPayee(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be paid by you. payee_id: small letters, digits and hyphens. category: ISO 18245, or empty."""

    payee_id: PayeeId
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=payees.NAME_MAX)]
    currency: Currency
    category: Annotated[str, msgspec.Meta(max_length=4)] = ""


class PayeeChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a payee is to be: `paused` ones take no new payments, `closed` ones never again."""

    status: PayeeStatus


# --- what is answered


class PaymentAnswer(msgspec.Struct, frozen=True):
    """A payment as it stands. held_minor, captured_minor, refunded_minor: of its amount's currency.

    reason: where it was refused, the code of why, with a page at /errors; where it has to be approved, at which level.
    """

    payment_id: UUID
    state: PaymentState
    payee_id: str
    amount: Money
    held_minor: int
    captured_minor: int
    refunded_minor: int
    method: Method
    capture: Capture
    channel: str
    reference: str
    description: str
    reason: str
    message: str
    next_action: NextAction | None
    qr_order_id: UUID | None
    quote_id: UUID | None
    created_at: datetime
    expires_at: datetime
    changed_at: datetime


class PaymentStep(msgspec.Struct, frozen=True):
    """One step of a payment, with its sums as they were after it."""

    n: int
    action: str
    state: PaymentState
    at: datetime
    amount_minor: int
    held_minor: int
    captured_minor: int
    refunded_minor: int
    reason: str
    message: str


class Attempt(msgspec.Struct, frozen=True):
    """One try to pay. outcome: what became of it; `open` while nothing has."""

    n: int
    method: Method
    connector: str
    at: datetime
    outcome: Literal["open", "succeeded", "declined"]
    reason: str


class CaptureAnswer(msgspec.Struct, frozen=True):
    """What the payee was given at once."""

    capture_id: UUID
    amount: Money
    at: datetime


class RefundAnswer(msgspec.Struct, frozen=True):
    """Money of a payment on its way back. state: `pending`, `settled` or `failed`."""

    refund_id: UUID
    payment_id: UUID
    amount: Money
    state: RefundState
    reference: str
    reason: str
    asked_at: datetime
    ended_at: datetime | None


class WholePayment(msgspec.Struct, frozen=True):
    """A payment with all that was done to it."""

    payment: PaymentAnswer
    steps: list[PaymentStep]
    attempts: list[Attempt]
    captures: list[CaptureAnswer]
    refunds: list[RefundAnswer]


class Payments(msgspec.Struct, frozen=True):
    """Some payments, latest first; `next` asks for those before them, null at the end."""

    payments: list[PaymentAnswer]
    next: str | None


class Refunds(msgspec.Struct, frozen=True):
    """Some refunds, latest first; `next` asks for those before them, null at the end."""

    refunds: list[RefundAnswer]
    next: str | None


class PayeeAnswer(msgspec.Struct, frozen=True):
    """Who can be paid. member_id: its acquirer."""

    payee_id: str
    member_id: str
    name: str
    currency: str
    category: str
    status: PayeeStatus


class Payees(msgspec.Struct, frozen=True):
    """Some payees, by id; `next` asks for those after them, null at the end."""

    payees: list[PayeeAnswer]
    next: str | None


class HoldAnswer(msgspec.Struct, frozen=True):
    """Money of a wallet that is held for a payment. until: when it is given back by itself."""

    payment_id: UUID
    payee_id: str
    amount: Money
    until: datetime


class Holds(msgspec.Struct, frozen=True):
    """What is held of an account's wallets, the first to end first."""

    holds: list[HoldAnswer]


# --- payments


@post(
    PATH,
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={
        "needs": "payments:write",
        "who": ("key", "session"),
        "idempotent": "own",
        "refuses": (
            InvalidInput,
            UnknownPayeeId,
            WrongPayeeCurrency,
            identity.UnknownAccount,
            trust.MemberMayNot,
            PaymentsBusy,
            UnknownQuote,
            QuoteExpired,
            QuoteUsed,
            QuoteDiffers,
            approval.NotDelegated,
            store.TooOften,
            *payment_codes.REFUSALS,
        ),
    },
)
def create_payment(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    request: Asked,
    data: JSONBody[NewPaymentRequest],
) -> Response[PaymentAnswer]:
    """Ask for a payment, and pay it where its payer allowed that before.

    With a member's key: to one of its own payees. With a sign-in: to anybody, from one's own wallet, or from that of a
    `payer` who lets one spend. Sent again with
    the same key it gives the first answer. Look at `state`: `captured` is paid, `requires_approval` waits for the
    payer, `failed` says in `reason` why the wallet or the payer's limits refused.
    """
    if caller.account_id is None:
        caller.require("payments:write")
    key = store.check_key(request.headers.get("idempotency-key", ""))
    new = read_new(data, caller, key)
    if new.payer is not None and new.spender is not None:
        with ctx.tx() as tx:
            if approval.use_delegation(tx, new.payer, new.spender, ctx.clock.now()) is None:
                raise approval.NotDelegated
    by_code = data.method == "code"
    answer = create_by_code(ctx, new, data.payment_code) if by_code else paying.create(ctx, [new])[0]
    payment = answered(answer)
    headers = {REPLAYED: "true"} if payment.is_replay else None
    return Response(payment_answer(payment), status_code=200, headers=headers)


@get(
    PATH,
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (InvalidInput, UnknownPayeeId)},
)
def list_payments(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    payee_id: Annotated[str, QueryParameter(max_length=64)] = "",
    payment_state: Annotated[PaymentState | None, QueryParameter(name="state")] = None,
    after: After = "",
    limit: Limit = 100,
) -> Payments:
    """Payments, latest first: to your payees with a key, from your own wallet with a sign-in."""
    before = read_mark(after)
    with ctx.tx() as tx:
        if caller.account_id is not None:
            found = changing.list_payments(
                tx, payer=AccountId(UUID(caller.account_id)), before=before, limit=limit + 1
            )
        else:
            acquirer = _whose(caller, "payments:read")
            if payee_id:
                _own_payee(tx, payee_id, acquirer)
            found = changing.list_payments(
                tx,
                payee_id=payee_id or None,
                acquirer_id=None if payee_id else acquirer,
                state=payment_state,
                before=before,
                limit=limit + 1,
            )
    page, more = paged(found, limit, lambda one: mark_text(one.created_at, one.payment_id))
    return Payments([payment_answer(one) for one in page], more)


@get(
    "/v1/payments/{payment_id:uuid}",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (UnknownPayment,)},
)
def read_payment(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], payment_id: FromPath[UUID]
) -> WholePayment:
    """A payment with its steps, attempts, captures and refunds."""
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        payment = own_payment(ctx, tx, caller, payment_id)
        return _whole(tx, payment)


@post(
    "/v1/payments/{payment_id:uuid}/capture",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={
        "needs": "payments:write",
        "idempotent": True,
        "refuses": (UnknownPayment, MoreThanHeld, StateForbids, PaymentInFlight, InvalidInput),
    },
)
def capture_payment(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    payment_id: FromPath[UUID],
    data: JSONBody[CaptureRequest],
) -> PaymentAnswer:
    """Take what is held, or a part of it. With `final` false the rest stays held for further captures."""
    caller.require("payments:write")
    _check_owner(ctx, caller, payment_id)
    with _said_of_keys():
        payment = changing.capture(
            ctx, payment_id, capture_id=asked_id, by=caller.who, minor=data.minor, final=data.final
        )
    return payment_answer(payment)


@post(
    "/v1/payments/{payment_id:uuid}/void",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={
        "needs": "payments:write",
        "idempotent": True,
        "refuses": (UnknownPayment, StateForbids, PaymentInFlight),
    },
)
def void_payment(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    payment_id: FromPath[UUID],
    data: JSONBody[EndRequest],
) -> PaymentAnswer:
    """Give back what is held. What was captured stays yours; refund it."""
    caller.require("payments:write")
    _check_owner(ctx, caller, payment_id)
    return payment_answer(changing.void(ctx, payment_id, by=caller.who, words=data.words))


@post(
    "/v1/payments/{payment_id:uuid}/cancel",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={
        "needs": "payments:write",
        "idempotent": True,
        "refuses": (UnknownPayment, StateForbids, PaymentInFlight),
    },
)
def cancel_payment(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    payment_id: FromPath[UUID],
    data: JSONBody[EndRequest],
) -> PaymentAnswer:
    """Call off a payment that nobody paid yet."""
    caller.require("payments:write")
    _check_owner(ctx, caller, payment_id)
    return payment_answer(changing.cancel(ctx, payment_id, by=caller.who, words=data.words))


@post(
    "/v1/payments/{payment_id:uuid}/refunds",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={
        "needs": "payments:write",
        "idempotent": True,
        "refuses": (UnknownPayment, MoreThanCaptured, PayerGone, StateForbids, PaymentInFlight, InvalidInput),
    },
)
def refund_payment(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    asked_id: NamedDependency[UUID],
    payment_id: FromPath[UUID],
    data: JSONBody[PaymentRefundRequest],
) -> RefundAnswer:
    """Give back what was captured, or a part, to where it came from."""
    caller.require("payments:write")
    _check_owner(ctx, caller, payment_id)
    with _said_of_keys():
        refund = changing.refund(
            ctx,
            payment_id,
            refund_id=asked_id,
            by=caller.who,
            minor=data.minor,
            reference=data.reference,
            reason=data.reason,
        )
    return _refund(refund)


# --- refunds


@get(
    "/v1/refunds",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "refuses": (InvalidInput, UnknownPayeeId)},
)
def list_refunds(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    payee_id: Annotated[str, QueryParameter(max_length=64)] = "",
    after: After = "",
    limit: Limit = 100,
) -> Refunds:
    """Refunds of payments to your payees, latest first."""
    acquirer = _whose(caller, "payments:read")
    with ctx.tx() as tx:
        if payee_id:
            _own_payee(tx, payee_id, acquirer)
        found = changing.list_refunds(
            tx,
            payee_id=payee_id or None,
            acquirer_id=acquirer,
            before=read_mark(after),
            limit=limit + 1,
        )
    page, more = paged(found, limit, lambda one: mark_text(one.asked_at, one.refund_id))
    return Refunds([_refund(one) for one in page], more)


@get(
    "/v1/refunds/{refund_id:uuid}",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (UnknownRefund,)},
)
def read_refund(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], refund_id: FromPath[UUID]
) -> RefundAnswer:
    """A refund as it stands."""
    if caller.account_id is None:
        caller.require("payments:read")
    with ctx.tx() as tx:
        found = changing.get_refund(ctx, tx, refund_id)
        try:
            own_payment(ctx, tx, caller, found.payment_id)
        except UnknownPayment as error:
            raise UnknownRefund(f"There is no refund {refund_id}.") from error
    return _refund(found)


# --- payees


@get("/v1/payees", sync_to_thread=True, tags=["Payments"], opt={"needs": "payments:read"})
def list_payees(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: Annotated[str, QueryParameter(max_length=64, description="`next` of the page before")] = "",
    limit: Limit = 100,
) -> Payees:
    """Your payees, by id."""
    acquirer = _whose(caller, "payments:read")
    with ctx.tx() as tx:
        found = payees.list_payees(tx, acquirer, after=after, limit=limit + 1)
    page, more = paged(found, limit, lambda one: one.payee_id)
    return Payees([_payee(one) for one in page], more)


@post(
    "/v1/payees",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={"needs": "payments:write", "refuses": (PayeeDiffers, InvalidInput)},
)
def open_payee(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[NewPayee]
) -> PayeeAnswer:
    """Let one of your customers be paid. Sending it again is harmless. Members only; the league opens none."""
    caller.require("payments:write")
    if caller.member_id is None or caller.kind == "league":
        raise trust.NotAllowed("A payee belongs to the member whose key opens it.")
    payee = Payee(
        payee_id=data.payee_id,
        member_id=caller.member_id,
        name=data.name,
        currency=data.currency,
        category=data.category,
    )
    payees.open_payees(ctx, [payee])
    with ctx.tx() as tx:
        return _payee(payees.get_payee(tx, data.payee_id))


@get(
    "/v1/payees/{payee_id:str}",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "refuses": (UnknownPayeeId,)},
)
def read_payee(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], payee_id: PayeePath
) -> PayeeAnswer:
    """One of your payees."""
    acquirer = _whose(caller, "payments:read")
    with ctx.tx() as tx:
        return _payee(_own_payee(tx, payee_id, acquirer))


@post(
    "/v1/payees/{payee_id:str}/status",
    sync_to_thread=True,
    status_code=200,
    tags=["Payments"],
    opt={"needs": "payments:write", "refuses": (UnknownPayeeId,)},
)
def change_payee(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    payee_id: PayeePath,
    data: JSONBody[PayeeChange],
) -> PayeeAnswer:
    """Pause one of your payees, open it again, or close it for good. Payments that were made stay as they are."""
    acquirer = _whose(caller, "payments:write")
    with ctx.tx() as tx:
        _own_payee(tx, payee_id, acquirer)
        return _payee(payees.set_payee_status(tx, payee_id, data.status))


# --- holds


@get(
    "/v1/wallets/{account_id:uuid}/holds",
    sync_to_thread=True,
    tags=["Payments"],
    opt={"needs": "payments:read", "who": ("key", "session"), "refuses": (identity.UnknownAccount,)},
)
def list_holds(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], account_id: FromPath[UUID]
) -> Holds:
    """What of an account's wallets is held for payments: for its rider, its issuer and the league."""
    with ctx.tx() as tx:
        account = identity.find_account(tx, AccountId(account_id))
        if caller.account_id is None:
            caller.require("payments:read")
        mine = caller.account_id == str(account_id)
        if account is None or not (mine or _is_issuer(caller, account)):
            raise identity.UnknownAccount(f"No account {account_id} is open here.")
        if not mine:
            identity.saw(tx, account.account_id, caller.who, "wallet", identity.BY_PROGRAM, ctx.clock.now())
        return Holds([_hold(one) for one in changing.holds_of(tx, account.account_id)])


# --- shared with the short way


def read_new(data: NewPaymentRequest, caller: trust.Caller, key: str) -> NewPayment:
    """The payment that this caller asks for. Errors: trust.NotSignedIn, trust.NotAllowed, InvalidInput.

    Whether a person may spend from another's wallet, the route sees to, before anything is kept.
    A sign-in over the interface approves nothing by itself: the payer does so on the page of the approval.
    """
    payer, spender = None if data.payer is None else AccountId(data.payer), None
    if caller.account_id is not None:
        me = AccountId(UUID(caller.account_id))
        payer, spender = payer or me, None if payer in (None, me) else me
        if data.method != "wallet":
            raise _unfit(
                "method", "it is for a member's key", "Leave it out: who is signed in pays, from a wallet"
            )
        acquirer, who = None, caller.account_id
    else:
        acquirer = _whose(caller, "payments:write")
        who = caller.member_id or caller.caller_id
    if (data.method == "code") != bool(data.payment_code):
        raise _unfit("payment_code", f"it does not go with method {data.method}", "Send both, or neither")
    if data.method == "code" and payer is not None:
        raise _unfit("payer", "the code says who pays", "Leave it out")
    return NewPayment(
        payment_id=store.made_from(f"{who} {PATH}", key),
        payee_id=data.payee_id,
        amount=Money(data.amount.minor, data.amount.currency),
        by=caller.who,
        payer=payer,
        spender=spender,
        method=data.method,
        channel=Channel(data.channel),
        mandate_id=data.mandate_id,
        connector=data.connector,
        capture=data.capture,
        reference=data.reference,
        description=data.description,
        quote_id=data.quote_id,
        expires_at=None if data.expires_at is None else in_utc(data.expires_at, where="expires_at"),
        acquirer_id=acquirer,
    )


@contextmanager
def _said_of_keys() -> Generator[None]:
    """What a key made for another body, longer ago than its answer is kept: told in the words of keys, as sooner.

    Errors: store.KeyReused.
    """
    try:
        yield
    except PaymentDiffers as error:
        raise store.KeyReused from error


def answered(answer: Answer) -> Payment:
    """The payment. Errors: the refusal; what is said of keys, in their own words."""
    if isinstance(answer, PaymentDiffers):
        raise store.KeyReused
    if isinstance(answer, PaymentInFlight):
        raise store.KeyInFlight
    if isinstance(answer, HansaError):
        raise answer
    return answer


def payment_answer(one: Payment) -> PaymentAnswer:
    """A payment as it is answered."""
    step = one.step
    state = one.state
    next_action: NextAction | None = None
    if state is PaymentState.REQUIRES_APPROVAL:
        next_action = NextAction("approve", f"/wallet/approvals/{approval_id_of(SUBJECT, one.spend_id)}")
    elif state is PaymentState.CREATED:
        next_action = NextAction("pay", f"/wallet/pay?payment={one.payment_id}")
    return PaymentAnswer(
        one.payment_id,
        state,
        one.payee_id,
        one.amount,
        one.held_minor,
        one.captured_minor,
        one.refunded_minor,
        one.method,
        one.capture,
        one.channel,
        one.reference,
        one.description,
        "" if step is None else step.reason,
        "" if step is None else step.words,
        next_action,
        one.qr_order_id,
        one.quote_id,
        one.created_at,
        one.expires_at,
        one.created_at if step is None else step.at,
    )


# --- inside


def _whose(caller: trust.Caller, scope: str) -> str | None:
    """Whose payees these are; None for the league, which sees all. Errors: trust.NotSignedIn, trust.NotAllowed."""
    caller.require(scope)
    if caller.kind == "league":
        return None
    if caller.member_id is None:
        raise trust.NotAllowed("Only a member has payees.")
    return caller.member_id


def _own_payee(tx: Tx, payee_id: str, acquirer: str | None) -> Payee:
    found = payees.get_payee(tx, payee_id)
    if acquirer not in (None, found.member_id):
        raise UnknownPayeeId(f"There is no payee {payee_id[:64]!r}.")
    return found


def own_payment(ctx: Context, tx: Tx, caller: trust.Caller, payment_id: UUID) -> Payment:
    """The payment, for its payer and who asked for it from the payer's wallet, its payee's acquirer and the league.

    Errors: UnknownPayment for anyone else.
    """
    payment = changing.get_payment(tx, payment_id, partition=ctx.directory.partition_of(payment_id))
    if caller.account_id is not None:
        payer = None if payment.payer is None else payment.payer.account_id
        is_own = (payer is not None and caller.account_id == str(payer)) or payment.by == caller.who
    else:
        is_own = caller.kind == "league" or caller.member_id == payment.acquirer_id
    if not is_own:
        raise UnknownPayment(f"There is no payment {payment_id}.")
    return payment


def _check_owner(ctx: Context, caller: trust.Caller, payment_id: UUID) -> None:
    """Go on only for the payee's acquirer, or the league. Errors: UnknownPayment."""
    with ctx.tx() as tx:
        own_payment(ctx, tx, caller, payment_id)


def _is_issuer(caller: trust.Caller, account: identity.Account) -> bool:
    return caller.account_id is None and (caller.kind == "league" or caller.member_id == account.issuer_id)


def _whole(tx: Tx, payment: Payment) -> WholePayment:
    steps = changing.steps_of(tx, payment)
    return WholePayment(
        payment_answer(payment),
        [_step(one) for one in steps],
        attempts_of(changing.payers_of(tx, payment), steps),
        captures_of(payment, steps),
        [_refund(one) for one in changing.refunds_of(tx, payment)],
    )


def captures_of(payment: Payment, steps: list[Step]) -> list[CaptureAnswer]:
    """What was captured of a payment, part by part."""
    currency = payment.amount.currency
    return [
        CaptureAnswer(one.subject_id, Money(one.amount_minor, currency), one.at)
        for one in steps
        if one.action == "capture" and one.subject_id is not None
    ]


def attempts_of(payers: list[Payer], steps: list[Step]) -> list[Attempt]:
    """Each try with what became of it: the first step after it began that says so."""
    attempts: list[Attempt] = []
    for place, payer in enumerate(payers):
        until = payers[place + 1].at if place + 1 < len(payers) else None
        mine = [one for one in steps if payer.at <= one.at and (until is None or one.at < until)]
        ends = [one for one in mine if one.action in _ENDS]
        outcome: Literal["open", "succeeded", "declined"] = "open"
        if ends:
            outcome = "succeeded" if ends[0].action in ("authorize", "capture") else "declined"
        reason = ends[0].reason if ends else ""
        attempts.append(Attempt(payer.attempt, payer.method, payer.connector, payer.at, outcome, reason))
    return attempts


_ENDS = ("authorize", "capture", "decline", "fail", "refuse", "cancel", "expire", "reverse")


def _step(one: Step) -> PaymentStep:
    return PaymentStep(
        one.n,
        one.action,
        one.state,
        one.at,
        one.amount_minor,
        one.held_minor,
        one.captured_minor,
        one.refunded_minor,
        one.reason,
        one.words,
    )


def _refund(one: Refund) -> RefundAnswer:
    return RefundAnswer(
        one.refund_id,
        one.payment_id,
        one.amount,
        one.state,
        one.reference,
        one.reason,
        one.asked_at,
        one.ended_at,
    )


def _payee(one: Payee) -> PayeeAnswer:
    return PayeeAnswer(one.payee_id, one.member_id, one.name, one.currency, one.category, one.status)


def _hold(one: Held) -> HoldAnswer:
    return HoldAnswer(one.payment_id, one.payee_id, one.amount, one.until)


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{where}: {what}.", problems=(Problem(where, what, remedy),))


ROUTES = [
    create_payment,
    list_payments,
    read_payment,
    capture_payment,
    void_payment,
    cancel_payment,
    refund_payment,
    list_refunds,
    read_refund,
    list_payees,
    open_payee,
    read_payee,
    change_payee,
    list_holds,
]
