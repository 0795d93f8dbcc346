"""HTTP for agreements: check, propose, decide as a second person, ask what holds, and a window's fees."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from hansa import trust
from hansa.clearing import agreements
from hansa.clearing.agreements import (
    AgreedText,
    AgreementConflict,
    AgreementDecided,
    AgreementNote,
    SamePerson,
    UnknownAgreement,
)
from hansa.clearing.agreements_text import TEXT_BYTES_MAX, AgreementText
from hansa.clearing.model import UnknownWindow
from hansa.clearing.netting import PRODUCTS, Fee
from hansa.kernel import InvalidInput, Money
from hansa.store import Context, Tx

NO_NUL = r"^[^\x00]*\Z"
Toml = Annotated[str, msgspec.Meta(max_length=TEXT_BYTES_MAX, pattern=NO_NUL)]
Note = Annotated[str, msgspec.Meta(max_length=500, pattern=NO_NUL)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=NO_NUL)]
Name = Annotated[str, QueryParameter(max_length=60, pattern=r"^[^\x00-\x1f]+$")]
Code = Annotated[str, QueryParameter(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, QueryParameter(ge=-(10**15), le=10**15)]
WindowName = Annotated[str, PathParameter(max_length=60, pattern=r"^[^\x00-\x1f]+$")]


class TextBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agreement to be checked; nothing of it is kept."""

    toml: Toml


class AgreementBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agreement as docs/agreements.md tells. agreement_id: yours; sending it again is harmless."""

    agreement_id: UUID
    toml: Toml
    note: Note = ""


class DecisionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided, and why. end_yes, end_no: about a proposal that it ends."""

    decision: Literal["approve", "refuse", "withdraw", "end_yes", "end_no"]
    why: Why


class EndBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last day on which it is to hold, and why."""

    last_day: date
    why: Why


class FindingView(msgspec.Struct, frozen=True):
    """What checks found. severity: an error keeps it from being proposed, a note is to be known."""

    severity: str
    where: str
    what: str
    remedy: str


class Checks(msgspec.Struct, frozen=True):
    """What checks found, errors first."""

    findings: list[FindingView]


class AgreementFactView(msgspec.Struct, frozen=True):
    """What was done with an agreement, by whom, when and why. last_day: of steps about an end."""

    step: str
    by: str
    at: datetime
    why: str
    last_day: date | None


class AgreementView(msgspec.Struct, frozen=True):
    """An agreement and where it stands today. ends_on: its last day, null while it has none.

    state: proposed, refused, withdrawn, scheduled, in_force, past.
    """

    agreement_id: UUID
    name: str
    state: str
    issuer: str
    operator: str
    both_ways: bool
    currency: str | None
    products: list[str]
    valid_from: date
    ends_on: date | None
    toml: str
    note: str
    facts: list[AgreementFactView]


class AgreementList(msgspec.Struct, frozen=True):
    """Agreements, newest first."""

    agreements: list[AgreementView]


class FeeView(msgspec.Struct, frozen=True):
    """What one party keeps of each item: basis points within floor and cap, all above an amount, and a fixed part."""

    bp: int
    fixed: Money
    floor: Money
    cap: Money | None
    all_above: Money | None


class TermsView(msgspec.Struct, frozen=True):
    """What holds for a product, by which agreement, and what one item of it pays to whom.

    interchange_paid_by: operator or issuer, null where none passes.
    """

    product: str
    agreement_id: str
    issuer: FeeView
    league: FeeView
    interchange: FeeView
    interchange_paid_by: str | None
    chargeback_fee: Money
    chargeback_borne_by: str
    item: Money
    operator_share: Money
    issuer_fee: Money
    league_fee: Money


class TermsOf(msgspec.Struct, frozen=True):
    """What holds between two members on a business day, by product."""

    issuer_id: str
    operator_id: str
    day: date
    terms: list[TermsView]


class FeeLineView(msgspec.Struct, frozen=True):
    """What a window paid between two members for one product, by which agreement; the lines of a position add up to it.

    interchange: how much of the issuer's fee it is; below zero where the issuer pays it.
    """

    issuer_id: str
    operator_id: str
    product: str
    agreement_id: str
    items: int
    gross: Money
    operator_share: Money
    issuer_fee: Money
    league_fee: Money
    interchange: Money


class WindowFees(msgspec.Struct, frozen=True):
    """A window's fees: a member's own lines, all for the league."""

    window_id: str
    fees: list[FeeLineView]


@post(
    "/v1/agreement-checks",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={"needs": "agreements:read"},
)
def check_agreement(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[TextBody]
) -> Checks:
    """Check an agreement against members, windows and other agreements. Needs `agreements:read`. Nothing is kept."""
    caller.require("agreements:read")
    with ctx.tx() as tx:
        return Checks([_finding(one) for one in agreements.check_agreement(tx, data.toml).findings])


@post(
    "/v1/agreements",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={
        "needs": "agreements:write",
        "refuses": (AgreementConflict, trust.MemberMayNot, trust.NotAllowed, InvalidInput),
    },
)
def propose_agreement(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[AgreementBody]
) -> AgreementView:
    """Propose an agreement for another person of the league to approve. Needs `agreements:write`.

    The league proposes any, a member those that name it or its city.
    """
    caller.require("agreements:write")
    now = ctx.clock.now()
    with ctx.tx() as tx:
        found = agreements.propose_agreement(
            tx, data.agreement_id, data.toml, by=caller.who, at=now, note=data.note
        )
        if caller.kind != "league" and not _names(tx, found.said, caller):
            raise trust.NotAllowed("This agreement does not name you.")
    return _view(found)


@get("/v1/agreements", sync_to_thread=True, tags=["Clearing"], opt={"needs": "agreements:read"})
def list_agreements(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 500,
) -> AgreementList:
    """Agreements, newest first. Needs `agreements:read`; a member sees those for all, and those with it or its city."""
    caller.require("agreements:read")
    with ctx.tx() as tx:
        found = [
            one
            for one in agreements.list_agreed(tx, ctx.clock.now(), limit=limit)
            if _may_see(tx, one, caller)
        ]
    return AgreementList([_view(one) for one in found])


@get(
    "/v1/agreements/{agreement_id:uuid}",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "agreements:read", "refuses": (UnknownAgreement,)},
)
def get_agreement(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], agreement_id: FromPath[UUID]
) -> AgreementView:
    """An agreement and what was done with it. Needs `agreements:read`."""
    caller.require("agreements:read")
    with ctx.tx() as tx:
        found = agreements.get_agreement(tx, agreement_id, ctx.clock.now())
        if not _may_see(tx, found, caller):
            raise UnknownAgreement(f"There is no agreement {agreement_id}.")
    return _view(found)


@post(
    "/v1/agreements/{agreement_id:uuid}/decision",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={
        "needs": "agreements:approve",
        "refuses": (UnknownAgreement, AgreementDecided, SamePerson, InvalidInput),
    },
)
def decide_agreement(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    agreement_id: FromPath[UUID],
    data: JSONBody[DecisionBody],
) -> AgreementView:
    """Approve, refuse or withdraw an agreement, or decide on its end. Needs `agreements:approve` of the league.

    Another person than who proposed it. Again is harmless.
    """
    caller.require_league("agreements:approve")
    by, now = caller.who, ctx.clock.now()
    with ctx.tx() as tx:
        if data.decision in ("end_yes", "end_no"):
            yes = data.decision == "end_yes"
            return _view(agreements.decide_end(tx, agreement_id, yes=yes, by=by, at=now, why=data.why))
        do = {
            "approve": agreements.approve_agreement,
            "refuse": agreements.refuse_agreement,
            "withdraw": agreements.withdraw_agreement,
        }[data.decision]
        return _view(do(tx, agreement_id, by=by, at=now, why=data.why))


@post(
    "/v1/agreements/{agreement_id:uuid}/end",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={"needs": "agreements:write", "refuses": (UnknownAgreement, AgreementDecided, InvalidInput)},
)
def propose_end(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    agreement_id: FromPath[UUID],
    data: JSONBody[EndBody],
) -> AgreementView:
    """Propose that an agreement ends, for another person to decide. Needs `agreements:write` of the league."""
    caller.require_league("agreements:write")
    with ctx.tx() as tx:
        return _view(
            agreements.propose_end(
                tx, agreement_id, data.last_day, by=caller.who, at=ctx.clock.now(), why=data.why
            )
        )


@get(
    "/v1/terms",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "agreements:read", "refuses": (trust.UnknownMember,)},
)
def terms(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    issuer_id: Name,
    operator_id: Name,
    currency: Code,
    day: Annotated[date, QueryParameter(description="the business day")],
    minor: Minor = 300,
) -> TermsOf:
    """What holds between an issuer and an operator on a business day, and what one item pays. Needs `agreements:read`.

    minor: the item, in minor units.
    """
    caller.require("agreements:read")
    Money(minor, currency)
    with ctx.tx() as tx:
        for member_id in (issuer_id, operator_id):
            trust.get_member(tx, member_id)
        book = agreements.terms_on(tx, day)
    found: list[TermsView] = []
    for product in PRODUCTS:
        one = book.terms(issuer_id, operator_id, product, currency)
        shares = agreements.worked_shares(one, minor)
        found.append(
            TermsView(
                product,
                one.agreement_id,
                _fee(one.issuer, currency),
                _fee(one.league, currency),
                _fee(one.interchange, currency),
                {1: "operator", -1: "issuer", 0: None}[one.interchange_sign],
                Money(one.chargeback.fee_minor, currency),
                one.chargeback.borne_by,
                Money(minor, currency),
                Money(shares.operator_share, currency),
                Money(shares.issuer_fee, currency),
                Money(shares.league_fee, currency),
            )
        )
    return TermsOf(issuer_id, operator_id, day, found)


@get(
    "/v1/window-fees/{window_id:str}",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "agreements:read", "refuses": (UnknownWindow,)},
)
def window_fees(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], window_id: WindowName
) -> WindowFees:
    """A window's fees by position, product and agreement. Needs `agreements:read`; a member sees its own."""
    caller.require("agreements:read")
    with ctx.tx() as tx:
        found = agreements.window_fees(tx, window_id)
    own = caller.member_id or ""
    return WindowFees(
        window_id,
        [
            FeeLineView(
                one.issuer_id,
                one.operator_id,
                one.product,
                one.agreement_id,
                one.items,
                *(
                    Money(minor, one.currency)
                    for minor in (
                        one.gross,
                        one.operator_share,
                        one.issuer_fee,
                        one.league_fee,
                        one.interchange,
                    )
                ),
            )
            for one in found
            if caller.kind == "league" or own in (one.issuer_id, one.operator_id)
        ],
    )


def _names(tx: Tx, said: AgreementText, caller: trust.Caller) -> bool:
    """Whether an agreement names the caller's member or its city."""
    if caller.member_id is None:
        return False
    member = trust.get_member(tx, caller.member_id)
    return bool({member.member_id, member.clears_as} & {said.issuer, said.operator})


def _may_see(tx: Tx, found: AgreedText, caller: trust.Caller) -> bool:
    if caller.kind == "league":
        return True
    for_all = (found.said.issuer, found.said.operator) == ("*", "*")
    return (for_all and found.state in ("scheduled", "in_force", "past")) or _names(tx, found.said, caller)


def _view(found: AgreedText) -> AgreementView:
    said = found.said
    return AgreementView(
        found.agreement_id,
        said.name,
        found.state,
        said.issuer,
        said.operator,
        said.both_ways,
        said.currency,
        list(said.products),
        said.valid_from,
        found.ends_on,
        found.toml,
        found.note,
        [AgreementFactView(one.step, one.by_whom, one.at, one.why, one.last_day) for one in found.facts],
    )


def _finding(one: AgreementNote) -> FindingView:
    return FindingView(one.severity, one.where, one.what, one.remedy)


def _fee(fee: Fee, currency: str) -> FeeView:
    return FeeView(
        fee.bp,
        Money(fee.fixed_minor, currency),
        Money(fee.floor_minor, currency),
        None if fee.cap_minor is None else Money(fee.cap_minor, currency),
        None if fee.all_above_minor is None else Money(fee.all_above_minor, currency),
    )


ROUTES = [
    check_agreement,
    propose_agreement,
    list_agreements,
    get_agreement,
    decide_agreement,
    propose_end,
    terms,
    window_fees,
]
