"""HTTP for tariffs on their way into force: propose, look, approve as a second person, compare over past journeys."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from hansa import trust
from hansa.fares import Finding, Tariff, TariffSource, read_source
from hansa.kernel import InvalidInput, Money, Problem, mark_text, paged, read_mark
from hansa.rides import actions, comparing, proposals
from hansa.rides.comparing import Comparison, TooManyJourneys
from hansa.rides.model import TariffConflict, UnknownTariff
from hansa.rides.proposals import (
    ProposalClosed,
    ProposalConflict,
    SamePerson,
    StartsInThePast,
    UnknownProposal,
)
from hansa.store import Context, Tx

NO_NUL = r"^[^\x00]*\Z"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*\Z")]
Note = Annotated[str, msgspec.Meta(max_length=500, pattern=NO_NUL)]
TextOf = Annotated[str, msgspec.Meta(max_length=proposals.PROPOSAL_BYTES_MAX, pattern=NO_NUL)]
FileName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.-]+\Z")]
Limit = Annotated[int, QueryParameter(ge=1, le=proposals.LISTED_MAX)]
Cursor = Annotated[str, QueryParameter(max_length=100, pattern=r"^[^\x00-\x1f]*$")]

BODY_MAX = 2 * proposals.PROPOSAL_BYTES_MAX
"""Bytes of a body: a text whose every second letter is written as two."""


class ProposalBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tariff as it was written. proposal_id: yours; sending it again is harmless.

    tables: CSV files by name. replaces: an open proposal that this one takes the place of. submit: false keeps it as a
    draft also where nothing is wrong with it.
    """

    proposal_id: UUID
    operator_id: Name
    toml: TextOf
    tables: Annotated[dict[FileName, TextOf], msgspec.Meta(max_length=proposals.TABLES_MAX)] = {}
    note: Note = ""
    replaces: UUID | None = None
    submit: bool = True


class WhyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, in a few words."""

    why: Note = ""


class ApprovalBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """days_again: for a first day that has begun, how many service days with taps you agree to rate again."""

    why: Note = ""
    days_again: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None


class FindingView(msgspec.Struct, frozen=True):
    """What checks found. severity: an error keeps a tariff from being proposed."""

    severity: str
    where: str
    what: str
    remedy: str


class ProposalFactView(msgspec.Struct, frozen=True):
    """What was done with a proposal, by whom, when and why."""

    step: str
    by: str
    at: datetime
    why: str


class ProposalView(msgspec.Struct, frozen=True):
    """A proposal and where it stands. name to valid_to: null where the text cannot be read.

    state: draft, proposed, scheduled, in_force, past, withdrawn, superseded.
    """

    proposal_id: UUID
    operator_id: str
    state: str
    name: str | None
    city_id: str | None
    currency: str | None
    valid_from: date | None
    valid_to: date | None
    digest: str
    note: str
    replaces: UUID | None
    made_by: str
    made_at: datetime
    findings: list[FindingView]
    facts: list[ProposalFactView]


class ProposalPage(msgspec.Struct, frozen=True):
    """Some proposals, newest first; ``next`` asks for those after them, null at the end."""

    proposals: list[ProposalView]
    next: str | None


class ProposalText(msgspec.Struct, frozen=True):
    """The text of a proposal (docs/tariffs), and what putting it in force now would have rated again."""

    toml: str
    tables: dict[str, str]
    days_again: int
    rider_days_again: int
    taps_again: int


class CheckBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tariff to be checked; nothing of it is kept."""

    operator_id: Name
    toml: TextOf
    tables: Annotated[dict[FileName, TextOf], msgspec.Meta(max_length=proposals.TABLES_MAX)] = {}


class Checks(msgspec.Struct, frozen=True):
    """What checks found, errors first. network_version: of the network it was held against; null for none."""

    findings: list[FindingView]
    network_version: int | None


class SideBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One side of a comparison, by one of three: the version that begins on ``valid_from``, a proposal, or a text."""

    valid_from: date | None = None
    proposal_id: UUID | None = None
    toml: TextOf | None = None
    tables: Annotated[dict[FileName, TextOf], msgspec.Meta(max_length=proposals.TABLES_MAX)] = {}


class ComparisonBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two tariffs of an operator, and the service days, inclusive, whose journeys they are held against."""

    operator_id: Name
    before: SideBody
    after: SideBody
    first_day: date
    last_day: date


class RowView(msgspec.Struct, frozen=True):
    """Journeys of one class, line, product or hour, and what they bring in under each tariff, whoever pays."""

    name: str
    journeys: int
    before: Money
    after: Money


class BinView(msgspec.Struct, frozen=True):
    """Riders whose journeys cost more (below zero: less) by these edges; the edge nearer to zero is left out."""

    over: Money
    up_to: Money
    riders: int


class TypicalView(msgspec.Struct, frozen=True):
    """A rider by the trip they made most, and nothing else of them. times: how often they made that trip."""

    rider_class: str
    product: str
    line_id: str | None
    origin: str | None
    destination: str | None
    times: int
    journeys: int
    before: Money
    after: Money


class UnpricedView(msgspec.Struct, frozen=True):
    """Journeys for which one side has no fare, by its reason, with the ends of one of them."""

    side: Literal["before", "after"]
    why: str
    journeys: int
    origin: str | None
    destination: str | None


class ComparisonView(msgspec.Struct, frozen=True):
    """What two tariffs make of the same journeys. books: what these journeys cost in the books.

    books_differ: journeys to which the first tariff gives another fare than the books hold. better, same, worse: riders
    by what they pay over the span, over journeys that both have a fare for. lines_by_way: journeys of which no tap
    tells the line, counted for the one on which the shortest way between their stops begins.
    """

    journeys: int
    riders: int
    before: Money
    after: Money
    subsidy_before: Money
    subsidy_after: Money
    books: Money
    books_differ: int
    by_class: list[RowView]
    by_line: list[RowView]
    lines_by_way: int
    by_product: list[RowView]
    by_hour: list[RowView]
    better: int
    same: int
    worse: int
    bins: list[BinView]
    losers: list[TypicalView]
    winners: list[TypicalView]
    unpriced_before: int
    unpriced_after: int
    unpriced: list[UnpricedView]


@post(
    "/v1/tariff-checks",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    request_max_body_size=BODY_MAX,
    opt={"needs": "tariffs:read"},
)
def check_tariff(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[CheckBody]
) -> Checks:
    """Check a tariff against its city's network and the operator's other tariffs. Needs `tariffs:read`.

    Nothing is kept: errors and warnings come with file, line, field and remedy.
    """
    caller.require("tariffs:read")
    _refuse_others(caller, data.operator_id)
    with ctx.tx() as tx:
        found = proposals.check_source(tx, data.operator_id, TariffSource(data.toml, data.tables))
    return Checks(_findings(found.findings), found.network_version)


@post(
    "/v1/tariff-proposals",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    request_max_body_size=BODY_MAX,
    opt={
        "needs": "tariffs:write",
        "refuses": (ProposalConflict, ProposalClosed, UnknownProposal, trust.UnknownMember, InvalidInput),
    },
)
def propose_tariff(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[ProposalBody]
) -> ProposalView:
    """Propose a tariff; one with errors is kept as a draft that tells them. Needs `tariffs:write`.

    A member proposes for its own lines, the league for anybody.
    """
    caller.require("tariffs:write")
    _refuse_others(caller, data.operator_id)
    with ctx.tx() as tx:
        found = proposals.propose_tariff(
            tx,
            data.proposal_id,
            operator_id=data.operator_id,
            source=TariffSource(data.toml, data.tables),
            by=caller.who,
            at=ctx.clock.now(),
            note=data.note,
            replaces=data.replaces,
            submit=data.submit,
        )
    return _view(found)


@get("/v1/tariff-proposals", sync_to_thread=True, tags=["Rides"], opt={"needs": "tariffs:read"})
def list_proposals(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    operator_id: Annotated[str | None, QueryParameter(max_length=200, pattern=r"^[^\x00-\x1f]*$")] = None,
    after: Cursor = "",
    limit: Limit = 50,
) -> ProposalPage:
    """Proposals, newest first: a member's own, all for the league. Needs `tariffs:read`."""
    caller.require("tariffs:read")
    if caller.kind != "league":
        operator_id = caller.member_id or ""
    with ctx.tx() as tx:
        found = proposals.list_proposals(
            tx, ctx.clock.now(), operator_id=operator_id, before=read_mark(after), limit=limit + 1
        )
    page, more = paged(found, limit, lambda one: mark_text(one.made_at, one.proposal_id))
    return ProposalPage([_view(one) for one in page], more)


@get(
    "/v1/tariff-proposals/{proposal_id:uuid}",
    sync_to_thread=True,
    tags=["Rides"],
    opt={"needs": "tariffs:read", "refuses": (UnknownProposal,)},
)
def get_proposal(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], proposal_id: FromPath[UUID]
) -> ProposalView:
    """A proposal, what the checks found, and what was done with it. Needs `tariffs:read`."""
    caller.require("tariffs:read")
    with ctx.tx() as tx:
        return _view(_mine(tx, caller, proposal_id, ctx.clock.now()))


@get(
    "/v1/tariff-proposals/{proposal_id:uuid}/source",
    sync_to_thread=True,
    tags=["Rides"],
    opt={"needs": "tariffs:read", "refuses": (UnknownProposal,)},
)
def get_proposal_source(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], proposal_id: FromPath[UUID]
) -> ProposalText:
    """The text of a proposal, and how many days would be rated again. Needs `tariffs:read`."""
    caller.require("tariffs:read")
    with ctx.tx() as tx:
        found = _mine(tx, caller, proposal_id, ctx.clock.now())
        source = proposals.proposal_source(tx, proposal_id)
        again = proposals.DaysAgain(0, 0, 0)
        if found.name is not None:
            again = proposals.days_to_rate_again(tx, read_source(source), ctx.clock.now())
    return ProposalText(source.toml, dict(source.tables), again.days, again.rider_days, again.taps)


@post(
    "/v1/tariff-proposals/{proposal_id:uuid}/propose",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"needs": "tariffs:write", "refuses": (UnknownProposal, ProposalClosed, InvalidInput)},
)
def submit_tariff(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    proposal_id: FromPath[UUID],
    data: JSONBody[WhyBody],
) -> ProposalView:
    """Let a draft be decided. Needs `tariffs:write`."""
    caller.require("tariffs:write")
    with ctx.tx() as tx:
        now = ctx.clock.now()
        _mine(tx, caller, proposal_id, now)
        return _view(proposals.submit_tariff(tx, proposal_id, by=caller.who, at=now, why=data.why))


@post(
    "/v1/tariff-proposals/{proposal_id:uuid}/approve",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={
        "needs": "tariffs:approve",
        "refuses": (
            UnknownProposal,
            ProposalClosed,
            SamePerson,
            StartsInThePast,
            TariffConflict,
            InvalidInput,
        ),
    },
)
def approve_tariff(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    proposal_id: FromPath[UUID],
    data: JSONBody[ApprovalBody],
) -> ProposalView:
    """Put a proposed tariff in force from its first day, as a second person. Needs `tariffs:approve`.

    Another person's key of the same member may, or the league's; all keys made for one person are one person's.
    Where its first day has begun, `days_again` says how many days are to be rated again.
    """
    caller.require("tariffs:approve")
    with ctx.tx() as tx:
        now = ctx.clock.now()
        _mine(tx, caller, proposal_id, now)
        return _view(
            proposals.approve_tariff(
                tx, proposal_id, by=caller.who, at=now, why=data.why, days_again=data.days_again
            )
        )


@post(
    "/v1/tariff-proposals/{proposal_id:uuid}/withdraw",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"needs": "tariffs:write", "refuses": (UnknownProposal, ProposalClosed, InvalidInput)},
)
def withdraw_tariff(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    proposal_id: FromPath[UUID],
    data: JSONBody[WhyBody],
) -> ProposalView:
    """Take a proposal back, with a reason. Needs `tariffs:write`, for an approved one `tariffs:approve`.

    An approved one can be taken back until an hour before its first day.
    """
    caller.require("tariffs:write")
    with ctx.tx() as tx:
        now = ctx.clock.now()
        _refuse_without_approval(caller, _mine(tx, caller, proposal_id, now))
        return _view(proposals.withdraw_tariff(tx, proposal_id, by=caller.who, at=now, why=data.why))


@post(
    "/v1/tariff-comparisons",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    request_max_body_size=BODY_MAX,
    opt={
        "needs": "tariffs:read",
        "refuses": (UnknownProposal, UnknownTariff, TooManyJourneys, InvalidInput),
    },
)
def compare_tariffs(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[ComparisonBody]
) -> ComparisonView:
    """Hold two tariffs against the journeys of past service days; nothing is changed. Needs `tariffs:read`."""
    caller.require("tariffs:read")
    _refuse_others(caller, data.operator_id)
    with ctx.tx() as tx:
        now = ctx.clock.now()
        before, after = (
            _side(tx, caller, data.operator_id, side, name, now)
            for name, side in (("before", data.before), ("after", data.after))
        )
        found = comparing.compare_tariffs(tx, before, after, first_day=data.first_day, last_day=data.last_day)
    return _compared(found)


# -- inside -------------------------------------------------------------------------------------------------


def _refuse_others(caller: trust.Caller, operator_id: str) -> None:
    """Only the league, and the operator itself. Errors: trust.NotAllowed."""
    if caller.kind != "league" and caller.member_id != operator_id:
        raise trust.NotAllowed("A member speaks for its own lines only.")


def _refuse_without_approval(caller: trust.Caller, found: proposals.Proposal) -> None:
    """What a second person put in force is taken back only by who might have. Errors: trust.NotAllowed."""
    if found.by("approved"):
        caller.require("tariffs:approve")


def _mine(tx: Tx, caller: trust.Caller, proposal_id: UUID, now: datetime) -> proposals.Proposal:
    """A proposal that the caller may know of. Errors: UnknownProposal."""
    found = proposals.get_proposal(tx, proposal_id, now)
    if caller.kind != "league" and caller.member_id != found.operator_id:
        raise UnknownProposal(f"There is no proposal {proposal_id}.")
    return found


def _side(tx: Tx, caller: trust.Caller, operator_id: str, side: SideBody, name: str, now: datetime) -> Tariff:
    if [side.valid_from is None, side.proposal_id is None, side.toml is None].count(False) != 1:
        problem = Problem(name, "it names no tariff, or several", "Name one of valid_from, proposal_id, toml")
        raise InvalidInput("These cannot be compared.", problems=(problem,))
    if side.valid_from is not None:
        found = actions.get_tariff(tx, operator_id, side.valid_from)
        if found.valid_from == side.valid_from:
            return found
        raise UnknownTariff(f"{operator_id} has no tariff that begins on {side.valid_from}.")
    if side.proposal_id is not None:
        _mine(tx, caller, side.proposal_id, now)
        return read_source(proposals.proposal_source(tx, side.proposal_id))
    return read_source(TariffSource(side.toml or "", side.tables))


def _view(found: proposals.Proposal) -> ProposalView:
    return ProposalView(
        proposal_id=found.proposal_id,
        operator_id=found.operator_id,
        state=found.state,
        name=found.name,
        city_id=found.city_id,
        currency=found.currency,
        valid_from=found.valid_from,
        valid_to=found.valid_to,
        digest=found.digest.hex(),
        note=found.note,
        replaces=found.replaces,
        made_by=found.made_by,
        made_at=found.made_at,
        findings=_findings(found.findings),
        facts=[ProposalFactView(one.step, one.by_whom, one.at, one.why) for one in found.facts],
    )


def _findings(findings: tuple[Finding, ...]) -> list[FindingView]:
    return [FindingView(one.severity, one.where, one.what, one.remedy) for one in findings]


def _compared(found: Comparison) -> ComparisonView:
    def money(minor: int) -> Money:
        return Money(minor, found.currency)

    def rows(some: tuple[comparing.Row, ...]) -> list[RowView]:
        return [
            RowView(one.name, one.journeys, money(one.before_minor), money(one.after_minor)) for one in some
        ]

    def people(some: tuple[comparing.TypicalRider, ...]) -> list[TypicalView]:
        return [
            TypicalView(
                one.rider_class,
                one.product,
                one.line_id,
                one.origin,
                one.destination,
                one.times,
                one.journeys,
                money(one.before_minor),
                money(one.after_minor),
            )
            for one in some
        ]

    return ComparisonView(
        journeys=found.journeys,
        riders=found.riders,
        before=money(found.before_minor),
        after=money(found.after_minor),
        subsidy_before=money(found.subsidy_before_minor),
        subsidy_after=money(found.subsidy_after_minor),
        books=money(found.books_minor),
        books_differ=found.books_differ,
        by_class=rows(found.by_class),
        by_line=rows(found.by_line),
        lines_by_way=found.lines_by_way,
        by_product=rows(found.by_product),
        by_hour=rows(found.by_hour),
        better=found.better,
        same=found.same,
        worse=found.worse,
        bins=[BinView(money(one.over_minor), money(one.up_to_minor), one.riders) for one in found.bins],
        losers=people(found.losers),
        winners=people(found.winners),
        unpriced_before=found.unpriced_before,
        unpriced_after=found.unpriced_after,
        unpriced=[
            UnpricedView(one.side, one.why, one.journeys, one.origin, one.destination)
            for one in found.unpriced
        ],
    )


ROUTES = [
    check_tariff,
    propose_tariff,
    list_proposals,
    get_proposal,
    get_proposal_source,
    submit_tariff,
    approve_tariff,
    withdraw_tariff,
    compare_tariffs,
]
