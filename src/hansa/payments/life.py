"""The life of a payment: one table of what may be done in which state, and what comes of it. Pure data.

Everything that moves a payment goes through ``after``; the diagram and the table in docs/payments.md are drawn from
here (``payments.diagram``), and a test tries every action in every state.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from hansa.kernel import HansaError


class PaymentState(StrEnum):
    """Where a payment stands."""

    CREATED = "created"
    REQUIRES_APPROVAL = "requires_approval"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    SETTLED = "settled"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    VOIDED = "voided"
    REVERSED = "reversed"


class Action(StrEnum):
    """What is done to a payment, by somebody or by what is heard."""

    CREATE = "create"
    ASK = "ask"
    BEGIN = "begin"
    APPROVE = "approve"
    REFUSE = "refuse"
    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    DECLINE = "decline"
    FAIL = "fail"
    DOUBT = "doubt"
    CANCEL = "cancel"
    VOID = "void"
    EXPIRE = "expire"
    REFUND = "refund"
    SETTLE = "settle"
    REVERSE = "reverse"
    SUCCEED_LATE = "succeed_late"


_S, _A = PaymentState, Action

STATES: Mapping[PaymentState, str] = {
    _S.CREATED: "It can be paid; nobody has come yet.",
    _S.REQUIRES_APPROVAL: "Its payer has to approve it.",
    _S.PROCESSING: "The money is being asked for.",
    _S.UNKNOWN: "A connector was asked and did not say what became of it; it is asked again.",
    _S.AUTHORIZED: "The money is held in the payer's wallet; the payee may capture it.",
    _S.CAPTURED: "The payee has the money, or a part of it.",
    _S.SETTLED: "What the payer's issuer owed for it is settled.",
    _S.FAILED: "It was refused; nothing moved.",
    _S.CANCELED: "It was called off before any money moved.",
    _S.EXPIRED: "Its time was up; what was held is the payer's again.",
    _S.VOIDED: "What was held was given back at the payee's word.",
    _S.REVERSED: "Money that came after the end, or without an answer, was given back by itself.",
}
"""What each state means, in a sentence for developers."""

ACTIONS: Mapping[Action, str] = {
    _A.CREATE: "somebody asks to be paid",
    _A.ASK: "policy wants the payer's approval",
    _A.BEGIN: "a payer came whom policy lets pay at once",
    _A.APPROVE: "the payer approved it",
    _A.REFUSE: "the payer would not",
    _A.AUTHORIZE: "the money is held",
    _A.CAPTURE: "the payee takes the money, or a part",
    _A.DECLINE: "this payer cannot pay; another try may",
    _A.FAIL: "the payer cannot pay, and no other may",
    _A.DOUBT: "a connector gives no clear answer",
    _A.CANCEL: "the payee calls it off",
    _A.VOID: "the payee gives back what is held",
    _A.EXPIRE: "its time is up",
    _A.REFUND: "the payee gives money back",
    _A.SETTLE: "the window that took it is settled",
    _A.REVERSE: "it is given back by itself",
    _A.SUCCEED_LATE: "success is heard after the end",
}
"""What each action is, in a few words."""

TABLE: Mapping[PaymentState, Mapping[Action, PaymentState]] = {
    _S.CREATED: {
        _A.ASK: _S.REQUIRES_APPROVAL,
        _A.BEGIN: _S.PROCESSING,
        _A.CANCEL: _S.CANCELED,
        _A.EXPIRE: _S.EXPIRED,
    },
    _S.REQUIRES_APPROVAL: {
        _A.APPROVE: _S.PROCESSING,
        _A.REFUSE: _S.FAILED,
        _A.DECLINE: _S.CREATED,
        _A.CANCEL: _S.CANCELED,
        _A.EXPIRE: _S.EXPIRED,
    },
    _S.PROCESSING: {
        _A.AUTHORIZE: _S.AUTHORIZED,
        _A.CAPTURE: _S.CAPTURED,
        _A.DECLINE: _S.CREATED,
        _A.FAIL: _S.FAILED,
        _A.DOUBT: _S.UNKNOWN,
        _A.CANCEL: _S.CANCELED,
    },
    _S.UNKNOWN: {
        _A.AUTHORIZE: _S.AUTHORIZED,
        _A.CAPTURE: _S.CAPTURED,
        _A.DECLINE: _S.CREATED,
        _A.FAIL: _S.FAILED,
        _A.CANCEL: _S.CANCELED,
        _A.REVERSE: _S.REVERSED,
    },
    _S.AUTHORIZED: {
        _A.CAPTURE: _S.CAPTURED,
        _A.VOID: _S.VOIDED,
        _A.EXPIRE: _S.EXPIRED,
    },
    _S.CAPTURED: {
        _A.CAPTURE: _S.CAPTURED,
        _A.VOID: _S.CAPTURED,
        _A.EXPIRE: _S.CAPTURED,
        _A.REFUND: _S.CAPTURED,
        _A.SETTLE: _S.SETTLED,
    },
    _S.SETTLED: {_A.REFUND: _S.SETTLED},
    _S.FAILED: {_A.SUCCEED_LATE: _S.REVERSED},
    _S.CANCELED: {_A.SUCCEED_LATE: _S.REVERSED},
    _S.EXPIRED: {_A.SUCCEED_LATE: _S.REVERSED},
    _S.VOIDED: {},
    _S.REVERSED: {},
}
"""The one table: what may be done in a state, and what the payment then is. All else is refused."""

BEGINNINGS: Mapping[Action, PaymentState] = {
    _A.CREATE: _S.CREATED,
    _A.ASK: TABLE[_S.CREATED][_A.ASK],
    _A.BEGIN: TABLE[_S.CREATED][_A.BEGIN],
    _A.AUTHORIZE: TABLE[_S.PROCESSING][_A.AUTHORIZE],
    _A.CAPTURE: TABLE[_S.PROCESSING][_A.CAPTURE],
    _A.FAIL: TABLE[_S.PROCESSING][_A.FAIL],
}
"""What the first step of a payment may be, and what the payment then is: it has passed the states before in one."""

ENDED = frozenset((_S.SETTLED, _S.FAILED, _S.CANCELED, _S.EXPIRED, _S.VOIDED, _S.REVERSED))
"""States in which nothing is waited for. A payment that is captured waits for its settlement alone."""

_REMEDIES: Mapping[Action, str] = {
    _A.CANCEL: "Void what is held, or refund what was captured.",
    _A.VOID: "Cancel a payment that nobody paid yet; refund one that was captured.",
    _A.CAPTURE: "Capture while it is authorized, once or in parts, up to what is held.",
    _A.REFUND: "Refund what was captured, up to what was not refunded yet.",
    _A.BEGIN: "Make a new payment.",
    _A.ASK: "Make a new payment.",
}


class StateForbids(HansaError):
    """The payment's state does not allow this now. Nothing was changed."""

    code: ClassVar[str] = "payments.state_forbids"
    status: ClassVar[int] = 409
    remedy: ClassVar[str] = (
        "Read the payment and look at its state: docs/payments.md has one table of what may be done in which. A payment"
        " that nobody paid is canceled, one that is held is voided, one that was captured is refunded."
    )


def after(state: PaymentState | None, action: Action) -> PaymentState:
    """The state after an action. state: None before the first. Errors: StateForbids, with what may be done instead."""
    found = BEGINNINGS.get(action) if state is None else TABLE[state].get(action)
    if found is None:
        remedy = _REMEDIES.get(action, "Read the payment again.")
        raise StateForbids(
            f"A payment that is {state or 'new'} does not take `{action}` ({ACTIONS[action]}). {remedy}"
        )
    return found
