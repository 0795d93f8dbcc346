"""HTTP for disputes: riders and issuers ask for refunds, members dispute items, and each side acts in its turn."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import identity, rides, trust
from hansa.disputes import actions
from hansa.disputes.life import LIFE, Action, DisputeMoved, Kind, NotYourTurn, Side, State
from hansa.disputes.model import (
    WORDS_MAX,
    AlreadyAsked,
    AskedTooLate,
    Case,
    Dispute,
    DisputeConflict,
    UnknownDispute,
    UnknownItem,
)
from hansa.disputes.rules import own_rules
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, Money, in_utc, mark_text, paged, read_mark
from hansa.store import Context, Tx

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=WORDS_MAX, pattern=r"^[^\x00]*$")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=r"^[^\x00]*$")]
Evidence = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00]*$")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Cursor = Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=500)]


class RefundRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refund. amount: minor units of the fare's currency; null for all of it.

    stop_id, at: where and when a journey with a missing tap really ended, or began.
    """

    dispute_id: UUID
    journey_id: UUID
    reason: Name
    words: Words
    amount: Minor | None = None
    stop_id: Name | None = None
    at: datetime | None = None


class DisputeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dispute of an item. item_id: its transfer. other_id: the member on its other side. amount: minor units."""

    dispute_id: UUID
    item_id: UUID
    other_id: Name
    reason: Name
    words: Words
    amount: Minor
    evidence: Annotated[dict[Name, Evidence], msgspec.Meta(max_length=20)] = msgspec.field(
        default_factory=dict[Name, Evidence]
    )


class ActionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to do. amount: minor units, of ``grant`` (null is all of the claim) and ``decide``."""

    action_id: UUID
    action: Action
    words: Words
    amount: Minor | None = None


class FactView(msgspec.Struct, frozen=True):
    """What was done, by which side, and what it made of the dispute. side ``hansa``: by rule, or by a deadline."""

    n: int
    action: Action
    side: Side
    caller_id: str
    at: datetime
    words: str
    amount: Money | None
    state: State
    due_at: datetime | None


class BookingView(msgspec.Struct, frozen=True):
    """What it moved, as seen from the claimant. posted_at: null while it is on its way to the books."""

    booking_id: UUID
    amount: Money
    at: datetime
    posted_at: datetime | None


class ProposalView(msgspec.Struct, frozen=True):
    """An action that gives more than one person may: it waits until another of the same side does the same."""

    action_id: UUID
    action: Action
    side: Side
    caller_id: str
    at: datetime
    words: str
    amount: Money | None


class CaseView(msgspec.Struct, frozen=True):
    """A dispute. subject_id: the journey of a refund, the transfer of an item. root_id: the journey behind an item.

    due_at: until when somebody must act, else null. can: what may be done now, by the side that may.
    """

    dispute_id: UUID
    kind: Kind
    subject_id: UUID
    root_id: UUID
    issuer_id: str
    operator_id: str
    claim: Money
    reason: str
    raised_at: datetime
    state: State
    due_at: datetime | None
    can: dict[str, Side]


class DisputeView(msgspec.Struct, frozen=True):
    """A dispute with all that was done about it, in order, and what it moved."""

    case: CaseView
    evidence: dict[str, str]
    facts: list[FactView]
    bookings: list[BookingView]
    waiting: list[ProposalView]


class CasePage(msgspec.Struct, frozen=True):
    """Disputes, latest first; ``next`` asks for those before them, null at the end."""

    disputes: list[CaseView]
    next: str | None


class ReasonView(msgspec.Struct, frozen=True):
    """A reason. raised_by: ``rider``, ``issuer`` or ``operator``. needs: evidence to send with it."""

    kind: Kind
    code: str
    words: str
    raised_by: str
    needs: list[str]


class Reasons(msgspec.Struct, frozen=True):
    """The reasons of the rules in force."""

    version: int
    reasons: list[ReasonView]


@post(
    "/v1/refunds",
    sync_to_thread=True,
    status_code=200,
    tags=["Disputes"],
    opt={
        "needs": "disputes:write",
        "who": ("key", "session"),
        "refuses": (rides.UnknownJourney, InvalidInput, AskedTooLate, AlreadyAsked, DisputeConflict),
    },
)
def ask_refund(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[RefundRequest]
) -> DisputeView:
    """Ask for a journey's fare back. Sending it again is harmless. Needs `disputes:write`, or the rider's sign-in."""
    _whose(caller, "disputes:write")
    found = actions.ask_refund(
        ctx,
        caller,
        dispute_id=data.dispute_id,
        journey_id=data.journey_id,
        reason=data.reason,
        words=data.words,
        amount_minor=data.amount,
        stop_id=data.stop_id,
        at=None if data.at is None else in_utc(data.at, where="at"),
    )
    return _view(found)


@post(
    "/v1/disputes",
    sync_to_thread=True,
    status_code=200,
    tags=["Disputes"],
    opt={"needs": "disputes:write", "refuses": (UnknownItem, InvalidInput, AskedTooLate, DisputeConflict)},
)
def raise_dispute(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[DisputeRequest]
) -> DisputeView:
    """Dispute an item with the member on its other side. Sending it again is harmless. Needs `disputes:write`."""
    caller.require("disputes:write")
    found = actions.raise_dispute(
        ctx,
        caller,
        dispute_id=data.dispute_id,
        item_id=data.item_id,
        other_id=data.other_id,
        amount_minor=data.amount,
        reason=data.reason,
        words=data.words,
        evidence=data.evidence,
    )
    return _view(found)


@get(
    "/v1/disputes",
    sync_to_thread=True,
    tags=["Disputes"],
    opt={"needs": "disputes:read", "who": ("key", "session"), "refuses": (InvalidInput,)},
)
def list_disputes(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    kind: FromQuery[Kind | None] = None,
    in_state: FromQuery[State | None] = None,
    subject: FromQuery[UUID | None] = None,
    after: Cursor = "",
    limit: Limit = 50,
) -> CasePage:
    """Your disputes, latest first; the league's are all. Needs `disputes:read`, or the rider's sign-in.

    subject: a journey of a refund, or the transfer of an item.
    """
    _whose(caller, "disputes:read")
    with ctx.tx() as tx:
        found = actions.list_disputes(
            tx,
            member=None if caller.kind in ("league", "person") else (caller.member_id or ""),
            account=UUID(caller.account_id) if caller.kind == "person" and caller.account_id else None,
            kind=kind,
            state=in_state,
            subject=subject,
            before=read_mark(after),
            limit=limit + 1,
        )
        _note_reading(ctx, tx, caller, found[:limit])
    page, more = paged(found, limit, lambda one: mark_text(one.raised_at, one.dispute_id))
    return CasePage([_case(one) for one in page], more)


@get(
    "/v1/disputes/{dispute_id:uuid}",
    sync_to_thread=True,
    tags=["Disputes"],
    opt={"needs": "disputes:read", "who": ("key", "session"), "refuses": (UnknownDispute,)},
)
def read_dispute(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], dispute_id: FromPath[UUID]
) -> DisputeView:
    """A dispute that you are a side of. Needs `disputes:read`, or the rider's sign-in."""
    _whose(caller, "disputes:read")
    with ctx.tx() as tx:
        found = actions.get_dispute(tx, dispute_id)
    if found.case.side_of(caller) is None:
        raise UnknownDispute(f"There is no dispute {dispute_id}.")
    with ctx.tx() as tx:
        _note_reading(ctx, tx, caller, [found.case])
    return _view(found)


@post(
    "/v1/disputes/{dispute_id:uuid}/actions",
    sync_to_thread=True,
    status_code=200,
    tags=["Disputes"],
    opt={
        "needs": "disputes:write",
        "who": ("key", "session"),
        "refuses": (UnknownDispute, DisputeMoved, NotYourTurn, DisputeConflict, InvalidInput),
    },
)
def act(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    dispute_id: FromPath[UUID],
    data: JSONBody[ActionRequest],
) -> DisputeView:
    """Answer, appeal, escalate, decide. Sending it again is harmless.

    What gives more than one person may stands in `waiting`, until a key of another person does the same.
    Needs `disputes:write`, or the rider's sign-in.
    """
    _whose(caller, "disputes:write")
    found = actions.act(
        ctx,
        caller,
        dispute_id,
        action_id=data.action_id,
        action=data.action,
        words=data.words,
        amount_minor=data.amount,
    )
    return _view(found)


@get("/v1/dispute-reasons", tags=["Disputes"], sync_to_thread=False)
def list_reasons() -> Reasons:
    """The reasons for which a ride or an item may be disputed."""
    rules = own_rules()
    riders = [ReasonView(Kind.REFUND, one.code, one.en, "rider", []) for one in rules.refunds.reasons]
    members = [
        ReasonView(Kind.ITEM, one.code, one.en, one.raised_by, list(one.needs)) for one in rules.items.reasons
    ]
    return Reasons(rules.version, riders + members)


def _whose(caller: trust.Caller, scope: str) -> None:
    """Go on for a rider, who sees only what is theirs, and for a key with this scope."""
    if caller.kind != "person":
        caller.require(scope)


def _note_reading(ctx: Context, tx: Tx, caller: trust.Caller, cases: Sequence[Case]) -> None:
    """Keep for each rider that somebody else read their request for money back."""
    seen = [AccountId(one.account_id) for one in cases if one.account_id is not None]
    if caller.account_id is None:
        identity.saw_all(tx, seen, caller.who, "disputes", identity.BY_PROGRAM, ctx.clock.now())


def _case(case: Case) -> CaseView:
    return CaseView(
        dispute_id=case.dispute_id,
        kind=case.kind,
        subject_id=case.subject_id,
        root_id=case.root_id,
        issuer_id=case.issuer_id,
        operator_id=case.operator_id,
        claim=case.claim,
        reason=case.reason,
        raised_at=case.raised_at,
        state=case.state,
        due_at=case.due_at,
        can={
            action.value: step.side
            for action, step in LIFE[case.kind].get(case.state, {}).items()
            if step.side is not Side.HANSA
        },
    )


def _view(found: Dispute) -> DisputeView:
    unit = found.case.currency
    return DisputeView(
        case=_case(found.case),
        evidence=dict(found.case.evidence),
        facts=[
            FactView(
                n=one.n,
                action=one.action,
                side=one.side,
                caller_id=one.caller_id,
                at=one.at,
                words=one.words,
                amount=None if one.amount_minor is None else Money(one.amount_minor, unit),
                state=one.state,
                due_at=one.due_at,
            )
            for one in found.facts
        ],
        bookings=[
            BookingView(one.booking_id, Money(one.amount_minor, unit), one.at, one.posted_at)
            for one in found.bookings
        ],
        waiting=[
            ProposalView(
                one.action_id,
                one.action,
                one.side,
                one.caller_id,
                one.at,
                one.words,
                None if one.amount_minor is None else Money(one.amount_minor, unit),
            )
            for one in found.waiting
        ],
    )


ROUTES = [ask_refund, raise_dispute, list_disputes, read_dispute, act, list_reasons]
