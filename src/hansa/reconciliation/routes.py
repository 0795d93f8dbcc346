"""HTTP for reconciliation: proofs and stories of days, members' files and what of them has no partner."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import trust
from hansa.kernel import InvalidInput, Money, paged
from hansa.reconciliation import actions, matching
from hansa.reconciliation.matching import (
    Compared,
    Decided,
    RowsTaken,
    SamePerson,
    UnknownFile,
    UnknownMatch,
    UnknownProposal,
)
from hansa.reconciliation.matching_store import Proposal
from hansa.reconciliation.model import Proof, UnknownProof
from hansa.reconciliation.timeline import timeline
from hansa.store import Context

Words = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Rows = Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]], msgspec.Meta(max_length=100)]
SideName = Literal["ours", "theirs"]


class FindingView(msgspec.Struct, frozen=True):
    """One thing that is not explained."""

    ref: str
    words: str
    amount: Money | None


class StepView(msgspec.Struct, frozen=True):
    """A step of a proof. sums: what it looked at comes to. findings: the first of what is not explained."""

    name: str
    holds_that: str
    verdict: str
    counted: int
    sums: list[Money]
    waiting: int
    unexplained: int
    findings: list[FindingView]


class ProofView(msgspec.Struct, frozen=True):
    """A day as it was proved at one instant."""

    day: date
    number: int
    made_at: datetime
    made_by: str
    verdict: str
    windows: list[str]
    steps: list[StepView]


class EventView(msgspec.Struct, frozen=True):
    """One thing that happened to a day."""

    at: datetime
    lane: str
    words: str
    ref: str
    by: str
    trouble: bool


class ProofPage(msgspec.Struct, frozen=True):
    """The latest proof of some days, latest day first; ``next`` asks for those before them, null at the end."""

    proofs: list[ProofView]
    next: date | None


class FileView(msgspec.Struct, frozen=True):
    """A member's file as it stands. rules: how many matches each made. left: rows without a partner."""

    file_id: UUID
    member_id: str
    first_day: date
    last_day: date
    name: str
    read_at: datetime
    superseded: bool
    theirs: int
    ours: int
    rules: dict[str, int]
    theirs_left: int
    ours_left: int


class RowView(msgspec.Struct, frozen=True):
    """A row without a partner. row: its number, by which it is matched by hand."""

    row: int
    ref: str
    amount: Money
    at: datetime


class ProposeMatch(msgspec.Struct, frozen=True):
    """Rows that belong together. proposal_id: the caller's; sending it again changes nothing."""

    proposal_id: UUID
    ours: Rows
    theirs: Rows
    why: Words


class ProposeUndo(msgspec.Struct, frozen=True):
    """A match that is wrong."""

    proposal_id: UUID
    match_no: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    why: Words


class Decide(msgspec.Struct, frozen=True):
    """A second person's word."""

    decision: Literal["approved", "refused"]
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ProposalView(msgspec.Struct, frozen=True):
    """What waits for a second person, or what came of it. decision: empty while it waits."""

    proposal_id: UUID
    file_id: UUID
    what: str
    ours: list[int]
    theirs: list[int]
    match_no: int | None
    why: str
    made_by: str
    decision: str
    decided_by: str


@get(
    "/v1/reconciliation/days",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={"needs": "reconciliation:read"},
)
def list_proofs(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: FromQuery[date | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 60,
) -> ProofPage:
    """The latest proof of each day, latest day first. Needs `reconciliation:read`, of the league."""
    caller.require("reconciliation:read")
    _league(caller)
    with ctx.tx() as tx:
        found = actions.list_proofs(tx, before=after, limit=limit + 1)
    page, more = paged(found, limit, lambda one: one.day)
    return ProofPage([_proof(one) for one in page], more)


@get(
    "/v1/reconciliation/days/{day:date}",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={"needs": "reconciliation:read", "refuses": (UnknownProof,)},
)
def get_proof(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> ProofView:
    """A day's latest proof. Needs `reconciliation:read`, of the league."""
    caller.require("reconciliation:read")
    _league(caller)
    with ctx.tx() as tx:
        return _proof(actions.get_proof(tx, day))


@post(
    "/v1/reconciliation/days/{day:date}/proofs",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={"needs": "reconciliation:write"},
)
def prove_day(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> ProofView:
    """Prove a day as the books stand now; each time is a fact of its own. Needs `reconciliation:write`."""
    caller.require("reconciliation:write")
    _league(caller)
    return _proof(actions.prove_day(ctx, day, by=caller.who))


@get(
    "/v1/reconciliation/days/{day:date}/timeline",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={"needs": "reconciliation:read"},
)
def get_timeline(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> list[EventView]:
    """What became of a day, in order. Needs `reconciliation:read`, of the league."""
    caller.require("reconciliation:read")
    _league(caller)
    with ctx.tx() as tx:
        found = timeline(tx, day)
    return [EventView(one.at, one.lane, one.words, one.ref, one.by, one.wrong) for one in found]


@get(
    "/v1/reconciliation/files",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={"needs": "reconciliation:read"},
)
def list_files(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 30,
) -> list[FileView]:
    """Members' files, latest first; a member sees its own. Needs `reconciliation:read`."""
    caller.require("reconciliation:read")
    member_id = None if caller.kind == "league" else _own(caller)
    with ctx.tx() as tx:
        now = ctx.clock.now()
        files = matching.list_files(tx, member_id=member_id, limit=limit)
        return [_file(matching.compared(tx, one.file_id, now)) for one in files]


@get(
    "/v1/reconciliation/files/{file_id:uuid}/unmatched",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={"needs": "reconciliation:read", "refuses": (UnknownFile,)},
)
def list_unmatched(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    file_id: FromPath[UUID],
    side: Annotated[SideName, QueryParameter(description="Whose rows")],
    after: Annotated[int, QueryParameter(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> list[RowView]:
    """Rows of a side without a partner, in order; `after` is the last row seen. A member asks about its own files."""
    caller.require("reconciliation:read")
    with ctx.tx() as tx:
        file = matching.get_file(tx, file_id)
        if caller.kind != "league" and _own(caller) != file.member_id:
            raise UnknownFile(f"There is no file {file_id}.")
        rows = matching.list_free(tx, file_id, "o" if side == "ours" else "t", after=after, limit=limit)
    return [RowView(one.key, one.ref, Money(one.minor, one.currency), one.at) for one in rows]


@post(
    "/v1/reconciliation/files/{file_id:uuid}/matches",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={
        "needs": "reconciliation:write",
        "refuses": (
            UnknownFile,
            RowsTaken,
            InvalidInput,
        ),
    },
)
def propose_match(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    file_id: FromPath[UUID],
    data: JSONBody[ProposeMatch],
) -> ProposalView:
    """Say that rows belong together; somebody else decides. Needs `reconciliation:write`, of the league."""
    caller.require("reconciliation:write")
    _league(caller)
    return _proposal(
        matching.propose_match(
            ctx,
            data.proposal_id,
            file_id,
            ours=data.ours,
            theirs=data.theirs,
            why=data.why,
            by=caller.who,
        )
    )


@post(
    "/v1/reconciliation/files/{file_id:uuid}/undone",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={
        "needs": "reconciliation:write",
        "refuses": (
            UnknownFile,
            UnknownMatch,
            InvalidInput,
        ),
    },
)
def propose_undo(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    file_id: FromPath[UUID],
    data: JSONBody[ProposeUndo],
) -> ProposalView:
    """Say that a match is wrong; somebody else decides. Needs `reconciliation:write`, of the league."""
    caller.require("reconciliation:write")
    _league(caller)
    return _proposal(
        matching.propose_undo(ctx, data.proposal_id, file_id, data.match_no, why=data.why, by=caller.who)
    )


@post(
    "/v1/reconciliation/proposals/{proposal_id:uuid}/decision",
    sync_to_thread=True,
    tags=["Reconciliation"],
    opt={
        "needs": "reconciliation:write",
        "refuses": (
            UnknownProposal,
            UnknownMatch,
            Decided,
            SamePerson,
            RowsTaken,
        ),
    },
)
def decide(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    proposal_id: FromPath[UUID],
    data: JSONBody[Decide],
) -> ProposalView:
    """Approve what another person proposed, or refuse it. Needs `reconciliation:write`, of the league."""
    caller.require("reconciliation:write")
    _league(caller)
    return _proposal(matching.decide(ctx, proposal_id, data.decision, why=data.why, by=caller.who))


def _league(caller: trust.Caller) -> None:
    """Errors: trust.NotAllowed."""
    if caller.kind != "league":
        raise trust.NotAllowed("Only the league reconciles its days.")


def _own(caller: trust.Caller) -> str:
    """The member that asks. Errors: trust.NotAllowed for who is none."""
    if caller.kind == "gate" or caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def _proof(one: Proof) -> ProofView:
    steps = [
        StepView(
            step.name.value,
            step.question,
            step.verdict.value,
            step.counted,
            [Money(minor, currency) for currency, minor in step.sums.items()],
            step.waiting,
            step.unexplained,
            [
                FindingView(
                    found.ref,
                    found.words,
                    None if found.minor is None else Money(found.minor, found.currency),
                )
                for found in step.findings
            ],
        )
        for step in one.steps
    ]
    return ProofView(
        one.day, one.number, one.made_at, one.made_by, one.verdict.value, list(one.windows), steps
    )


def _file(one: Compared) -> FileView:
    file = one.file
    return FileView(
        file.file_id,
        file.member_id,
        file.first_day,
        file.last_day,
        file.name,
        file.read_at,
        file.superseded,
        file.theirs,
        file.ours,
        {rule: count for rule, count, _ in one.rules},
        one.left_of("t"),
        one.left_of("o"),
    )


def _proposal(one: Proposal) -> ProposalView:
    return ProposalView(
        one.proposal_id,
        one.file_id,
        one.what,
        one.ours,
        one.theirs,
        one.match_no,
        one.why,
        one.made_by,
        one.decision,
        one.decided_by,
    )


ROUTES = [
    list_proofs,
    get_proof,
    prove_day,
    get_timeline,
    list_files,
    list_unmatched,
    propose_match,
    propose_undo,
    decide,
]
