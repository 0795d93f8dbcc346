"""The words of webhooks: events, endpoints, attempts, which types there are, and when to try again. Pure."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

from hansa.kernel import HansaError, fact_id

EndpointState = Literal["unverified", "enabled", "disabled"]

VERSION = "2026-11-28"
"""The day from which the present form of events counts; each event says it. Fields may come, none changes or goes."""

RETRIES_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds after each failed attempt until the next: ten attempts in three days. Source: Standard Webhooks 1.0.0,
schedule of retries."""

JITTER = 0.2
"""A delay is made longer by up to this part of it, by chance, so that what failed together does not come together."""

ATTEMPTS_MAX = len(RETRIES_S) + 1
RETRY_AFTER_MAX_S = 86_400
"""Longest wait that an endpoint may ask for."""

DISABLE_AFTER = timedelta(days=5)
"""An endpoint that has taken nothing for so long is disabled."""

SECRET_LASTS = timedelta(hours=24)
"""So long an old secret signs beside the new one."""

ATTEMPTS_KEPT = timedelta(days=30)
BODY_KEPT = 1_024
"""Bytes of an answer that are kept."""

ENDPOINTS_MAX = 20
"""Endpoints of one member."""

URL_MAX, ABOUT_MAX, TYPES_MAX = 500, 200, 50

VERIFY, TEST, DISABLED = "webhooks.endpoint.verify", "webhooks.endpoint.test", "webhooks.endpoint.disabled"


@dataclass(frozen=True, slots=True)
class EventType:
    """A kind of event. data: the fields of its data, by name, and what they hold. since: the day it came to be."""

    name: str
    what: str
    data: Mapping[str, str]
    since: str = VERSION


_WINDOW = {
    "window_id": "the window",
    "model_id": "its settlement model",
    "business_day": "its business day",
    "status": "what it is now",
    "currency": "of which this is said; empty: all",
}
_DISPUTE = {
    "dispute_id": "the dispute",
    "n": "the number of this step",
    "action": "what was done",
    "state": "what the dispute is now",
}
_ALARM = {
    "kind": "warning, soft, hard, over or exposure",
    "currency": "of the position",
    "position_minor": "what the member owes and has reserved, minor units",
    "limit_minor": "the limit that it is held against, minor units",
}
_BANK = {"end_to_end_id": "the payment"}
_SENT = {
    "transfer_id": "the transfer",
    "amount_minor": "what was sent, minor units",
    "currency": "of the amount",
    "reason": "why it failed or came back; empty where it did not",
}
_TOP_UP = {
    "top_up_id": "the top-up",
    "account_id": "whose wallet",
    "amount_minor": "what it is, minor units",
    "currency": "of the amount",
    "way": "transfer, debit, instant, voucher or counter",
    "reason": "why it failed or went back; empty where it did not",
}
_RETURN = {
    "return_id": "the return",
    "top_up_id": "the top-up that the money was meant to be",
    "account_id": "whose wallet it was meant for",
    "amount_minor": "what goes back, minor units",
    "currency": "of the amount",
    "reason": "why it failed or came back; empty where it did not",
}
_WITHDRAWAL = {
    "withdrawal_id": "the withdrawal",
    "account_id": "whose wallet",
    "amount_minor": "what it is, minor units",
    "currency": "of the amount",
    "reason": "why it failed or came back; empty where it did not",
}
_STANDING = {"step": "what was decided", "from_at": "from when it counts"}
_MERCHANT = {"merchant_id": "the shop"}
_CARD = {
    "card_id": "the card",
    "product_id": "what card it is",
    "account_id": "whose it is",
    "state": "what it is now",
    "replaces": "the card that was lost, whose place it takes, or null",
}
_MANDATE = {
    "mandate_id": "the mandate",
    "account_id": "its payer",
    "payee_key": "who takes money by it",
    "reference": "the payee's own",
    "currency": "of all amounts",
    "each_minor": "one payment at most",
    "period": "day, week, month or year",
    "period_minor": "all of a period at most",
    "ends_at": "until when it holds",
    "by": "whose doing it is: owner or payee",
}
_DELEGATION = {
    "delegation_id": "the delegation",
    "owner_id": "whose wallet it is",
    "delegate_id": "who may spend from it",
    "kind": "carer, child, employee or other",
    "currency": "of all amounts",
    "payment_minor": "one payment at most",
    "day_minor": "all of a day at most",
    "month_minor": "all of a month at most",
    "holds_from": "when it begins, once it is given",
    "ends_at": "until when it holds",
    "by": "whose doing it is: owner, delegate or issuer",
}
_PULL = {
    "mandate_id": "the mandate",
    "pull_id": "the announced payment",
    "amount_minor": "what it is, minor units",
    "currency": "of the amount",
    "reference": "the payee's own",
    "reason": "why, as a code",
}
_ENDPOINT = {"endpoint_id": "the endpoint"}

_PAYMENT = {
    "payment_id": "the payment",
    "payee_id": "who is paid",
    "amount_minor": "what was asked, minor units",
    "currency": "of all amounts",
    "captured_minor": "what the payee was given so far",
    "refunded_minor": "what was given back so far",
    "reference": "the payee's own, as it was sent",
    "qr_order_id": "the QR order that it pays, or null",
    "reason": "why, as a code, where it was refused or has to be approved; else empty",
}
_REFUND = {
    "refund_id": "the refund",
    "payment_id": "the payment",
    "payee_id": "who gives back",
    "amount_minor": "how much, minor units",
    "currency": "of all amounts",
    "refunded_minor": "what was given back of the payment so far",
    "reason": "why it failed, as a code; else empty",
}

TYPES: tuple[EventType, ...] = (
    EventType("clearing.window.closed", "A window is closed: its positions and nets stand.", _WINDOW),
    EventType("clearing.window.settling", "Payments of a window in a currency are under way.", _WINDOW),
    EventType(
        "clearing.window.settled", "A window is settled in a currency: all its money has moved.", _WINDOW
    ),
    EventType("hub.alarm.raised", "A position came near its limit, or reached it.", _ALARM),
    EventType("hub.alarm.ended", "An alarm is over.", _ALARM),
    EventType("dispute.raised", "A refund was asked for, or an item was disputed.", _DISPUTE),
    EventType("dispute.moved", "A step was taken in a dispute, by a side or by its deadline.", _DISPUTE),
    EventType(
        "settlement.payment.answered",
        "A bank said something of a payment.",
        _BANK | {"answer": "received, pending, accepted or rejected"},
    ),
    EventType(
        "settlement.payment.booked",
        "A payment stands on a bank statement.",
        _BANK | {"booked_day": "the bank's day of booking"},
    ),
    EventType(
        "settlement.payment.returned",
        "Money of a payment came back.",
        _BANK | {"booked_day": "the bank's day of booking"},
    ),
    EventType(
        "mandate.pull.skipped",
        "A payer does not want an announced payment; it is not taken.",
        {
            "mandate_id": "the mandate",
            "pull_id": "the announced payment",
            "amount_minor": "what it was, minor units",
            "currency": "of the amount",
        },
    ),
    EventType(
        "mandate.pull.retrying",
        "An announced payment lacked money, and is tried again by its plan.",
        _PULL | {"tries": "how many were made", "next_at": "when it is tried next"},
    ),
    EventType("mandate.pull.failed", "An announced payment was not taken, and is not tried any more.", _PULL),
    EventType("mandate.given", "A payer signed a mandate: it holds.", _MANDATE),
    EventType("mandate.refused", "A payer said no to a mandate.", _MANDATE),
    EventType("mandate.expired", "A payer did not answer a mandate in time.", _MANDATE),
    EventType("mandate.revoked", "A mandate was taken back: nothing is taken by it any more.", _MANDATE),
    EventType("delegation.given", "An owner signed a delegation: it begins.", _DELEGATION),
    EventType("delegation.refused", "An owner said no to a delegation.", _DELEGATION),
    EventType("delegation.expired", "An owner did not answer a delegation in time.", _DELEGATION),
    EventType(
        "delegation.revoked", "A delegation was taken back: nothing is spent by it any more.", _DELEGATION
    ),
    EventType(
        "mandate.changed",
        "A payer paused a mandate, let it go on, or wants to know of payments sooner.",
        {
            "mandate_id": "the mandate",
            "lead_h": "how many hours before each payment it is announced",
            "paused_until": "nothing is taken before; null where it is not paused",
        },
    ),
    EventType("transfer.settled", "Money from one person to another arrived.", _SENT),
    EventType("transfer.failed", "Money from one person to another was not sent.", _SENT),
    EventType("transfer.returned", "Money from one person to another is back with its sender.", _SENT),
    EventType(
        "top_up.settled", "Money from a person's bank, a voucher or a counter is in the wallet.", _TOP_UP
    ),
    EventType("top_up.failed", "A top-up came to nothing.", _TOP_UP),
    EventType("top_up.returned", "A bank took a top-up back, and so did the wallet.", _TOP_UP),
    EventType(
        "top_up.automatic.stopped",
        "An automatic top-up stopped itself.",
        {"account_id": "whose wallet", "currency": "of the wallet", "why": "why"},
    ),
    EventType(
        "return.settled", "Money that a wallet could not take is back at the bank that it came from.", _RETURN
    ),
    EventType(
        "return.failed",
        "A bank did not return what a wallet could not take: the league's treasurers decide what becomes of it.",
        _RETURN,
    ),
    EventType("withdrawal.settled", "Money is at a person's bank.", _WITHDRAWAL),
    EventType("withdrawal.failed", "A withdrawal came to nothing, and its money is free again.", _WITHDRAWAL),
    EventType("withdrawal.returned", "A bank gave a withdrawal back.", _WITHDRAWAL),
    EventType("payment.created", "Somebody may pay it.", _PAYMENT),
    EventType("payment.requires_approval", "Its payer has to approve it.", _PAYMENT),
    EventType("payment.authorized", "Its money is held.", _PAYMENT),
    EventType("payment.captured", "The payee was given its money, or a part.", _PAYMENT),
    EventType("payment.settled", "What the payer's issuer owed for it is settled.", _PAYMENT),
    EventType("payment.unknown", "A connector gave no clear answer; it is asked again.", _PAYMENT),
    EventType("payment.failed", "It was refused; nothing moved.", _PAYMENT),
    EventType("payment.canceled", "It was called off.", _PAYMENT),
    EventType("payment.expired", "Its time was up.", _PAYMENT),
    EventType("payment.voided", "What was held for it was given back.", _PAYMENT),
    EventType("payment.reversed", "Money that came for it after its end was given back.", _PAYMENT),
    EventType("refund.settled", "Money of a payment was given back.", _REFUND),
    EventType("refund.failed", "A refund came to nothing.", _REFUND),
    EventType("merchant.decided", "A shop was opened or refused.", _MERCHANT | {"status": "open or refused"}),
    EventType(
        "qr_order.paid",
        "A QR order is paid.",
        _MERCHANT | {"qr_order_id": "the order", "payment_id": "the payment that paid it"},
    ),
    EventType(
        "qr_order.expired",
        "A QR order's time was up, and nobody has paid it.",
        _MERCHANT | {"qr_order_id": "the order"},
    ),
    EventType(
        "qr_order.canceled", "The shop took a QR order back.", _MERCHANT | {"qr_order_id": "the order"}
    ),
    EventType("ticket.refunded", "An entry ticket was given back.", _MERCHANT | {"ticket_id": "the ticket"}),
    EventType("card.issued", "A city card is in force.", _CARD),
    EventType("card.refused", "An application for a city card was refused.", _CARD),
    EventType("card.blocked", "A city card was suspended.", _CARD),
    EventType("card.unblocked", "A city card that was suspended is in force again.", _CARD),
    EventType("card.expiring", "A city card runs out within 30 days, or within 7.", _CARD),
    EventType("card.expired", "A city card has run out.", _CARD),
    EventType("card.ended", "A city card was lost, given back or ended, and is good no more.", _CARD),
    EventType("member.standing.changed", "A step was taken in a member's life in the league.", _STANDING),
    EventType(
        VERIFY,
        "Sent once to a new endpoint, and not numbered: show its code, and the endpoint is enabled.",
        _ENDPOINT | {"code": "the code"},
    ),
    EventType(TEST, "A test that someone asked for, sent to one endpoint alone.", _ENDPOINT),
    EventType(DISABLED, "An endpoint was disabled, and takes no more events.", _ENDPOINT | {"why": "why"}),
)
"""All types of events. docs/webhooks.md has the same table, and a test holds the two against each other."""

TYPES_BY_NAME = {one.name: one for one in TYPES}


class UnknownEndpoint(HansaError):
    """You have no such endpoint."""

    code: ClassVar[str] = "webhooks.unknown_endpoint"
    status: ClassVar[int] = 404


class UnknownEvent(HansaError):
    """You were sent no such event."""

    code: ClassVar[str] = "webhooks.unknown_event"
    status: ClassVar[int] = 404


class EndpointDiffers(HansaError):
    """An endpoint of this id is there already, and it is not the same. Make a new id for a new endpoint."""

    code: ClassVar[str] = "webhooks.differs"
    status: ClassVar[int] = 409


class TooManyEndpoints(HansaError):
    """You have as many endpoints as a member may have. Disabled ones do not count: disable one first."""

    code: ClassVar[str] = "webhooks.too_many"
    status: ClassVar[int] = 409


class NotVerified(HansaError):
    """This is not the code that was sent to the endpoint. Ask for the code again, and show what arrives there."""

    code: ClassVar[str] = "webhooks.not_verified"
    status: ClassVar[int] = 409


class NotEnabled(HansaError):
    """The endpoint is not enabled, so nothing can be sent to it. Verify it, or enable it again, first."""

    code: ClassVar[str] = "webhooks.not_enabled"
    status: ClassVar[int] = 409


class SecretIsNew(HansaError):
    """An older secret of this endpoint still counts. Wait until it ends before you rotate again."""

    code: ClassVar[str] = "webhooks.secret_is_new"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPerson:
    """What one person is told of a fact. kind: a kind of notice (hansa.notifications). at: when it happened.

    subject: what it is about; a later notice of the same subject takes an earlier one's place. facts: what its sentence
    needs, as JSON takes them. fact: what makes it this one and no other, beside its kind and the person.
    """

    account_id: UUID
    kind: str
    at: datetime
    subject: str
    facts: Mapping[str, Any]
    fact: tuple[object, ...]

    @property
    def notice_id(self) -> UUID:
        """The id of the notice, the same whoever works it out."""
        return fact_id(self.at, "notice", self.kind, self.account_id, *self.fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A fact that members are told. fact: what makes it this one and no other, beside its type.

    members: whom it is told; each has an event of its own. subject: what it is about; a member hears of one subject in
    order. data: the fields that the type states, as JSON takes them. people: what persons are told of it; members never
    see that.
    """

    type: str
    members: Sequence[str]
    at: datetime
    subject: str
    data: Mapping[str, Any]
    fact: tuple[object, ...]
    people: Sequence[ForPerson] = ()

    def id_for(self, member_id: str) -> UUID:
        """The id of this member's event, the same whoever works it out."""
        return fact_id(self.at, "event", self.type, member_id, *self.fact)


@dataclass(frozen=True, slots=True)
class Event:
    """What a member is told. seq: its number in the member's feed, from 1 without a gap."""

    member_id: str
    seq: int
    event_id: UUID
    type: str
    subject: str
    at: datetime
    data: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The event as it is sent: the same bytes each time."""
        return body_of(self.event_id, self.type, self.at, self.subject, self.data, seq=self.seq)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a member listens. types: which events it wants; none is all. Times in UTC; the rest as in its table."""

    endpoint_id: UUID
    member_id: str
    url: str
    about: str
    types: tuple[str, ...]
    made_by: str
    made_at: datetime
    first_seq: int
    state: EndpointState
    why: str
    changed_at: datetime
    seen_seq: int
    failing_since: datetime | None
    failures: int
    next_at: datetime
    versions: tuple[int, ...] = ()
    behind: int = 0

    def wants(self, event: Event) -> bool:
        """Whether an event is for this endpoint. A test is for the one that it names."""
        if event.type == TEST:
            return event.subject == str(self.endpoint_id)
        return not self.types or event.type in self.types


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of an event to an endpoint. status: None where no answer came, and ``fault`` says why.

    number: 1 is the first. next_at: when it is tried again, None where it is not. body: what the answer began with.
    """

    endpoint_id: UUID
    event_id: UUID
    seq: int
    number: int
    at: datetime
    took_ms: int
    status: int | None
    fault: str
    body: bytes
    next_at: datetime | None

    @property
    def taken(self) -> bool:
        """Whether the endpoint took the event."""
        return self.status is not None and 200 <= self.status < 300


def body_of(
    event_id: UUID, kind: str, at: datetime, subject: str, data: Mapping[str, Any], *, seq: int | None
) -> bytes:
    """An event as JSON, in the form that Standard Webhooks recommends, with its number and version beside."""
    told = {
        "type": kind,
        "timestamp": at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "data": dict(data),
        "id": str(event_id),
        "seq": seq,
        "subject": subject,
        "version": VERSION,
    }
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def next_attempt_at(now: datetime, attempts: int, *, retry_after_s: int | None = None) -> datetime | None:
    """When to try again after so many failed attempts; None: not any more.

    retry_after_s: what the endpoint asked for; it may make a wait longer, by a day at most, and never shorter.
    """
    if attempts >= ATTEMPTS_MAX:
        return None
    wait_s = RETRIES_S[attempts - 1] * (1 + JITTER * random.random())
    return now + timedelta(seconds=max(wait_s, min(retry_after_s or 0, RETRY_AFTER_MAX_S)))


def pause_until(now: datetime, failures: int, *, retry_after_s: int | None = None) -> datetime:
    """When to try an endpoint again that was away so many times in a row."""
    found = next_attempt_at(now, min(failures, len(RETRIES_S)), retry_after_s=retry_after_s)
    assert found is not None, "the last delay lasts"
    return found
