"""HTTP for risk: members and the league read cases, decide them, and read the rules."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from hansa import identity, trust
from hansa.identity import AccountId
from hansa.kernel import InvalidInput, mark_text, paged, read_mark
from hansa.risk import actions
from hansa.risk.doors import LEAGUE_HANDS
from hansa.risk.model import Case, CaseDecided, Figure, Seen, Severity, Status, Turned, UnknownCase, Verdict
from hansa.risk.rules import Value
from hansa.risk.store import Asked
from hansa.store import Context, Tx

Cursor = Annotated[str, QueryParameter(max_length=100, description="`next` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=500)]
RuleName = Annotated[str | None, QueryParameter(max_length=80, pattern=r"^[a-z0-9_]*$")]
Reason = Annotated[str, msgspec.Meta(min_length=3, max_length=2_000, pattern=r"^[^\x00]*$")]


class ActionView(msgspec.Struct, frozen=True):
    """Something done without asking: ``rotate``, ``step_up``, ``block``; ``clear`` when a dismissal took it back."""

    action: str
    at: datetime
    told: dict[str, Figure]


class CaseView(msgspec.Struct, frozen=True):
    """A case with its evidence. figures: each named with its unit. decided_by, reason: once a person has decided."""

    case_id: UUID
    rule: str
    rules_version: int
    severity: Severity
    status: Status
    account_id: UUID | None
    issuer_id: str | None
    operators: list[str]
    opened_at: datetime
    first_at: datetime
    last_at: datetime
    figures: dict[str, Figure]
    taps: list[Seen]
    refused: list[Turned]
    actions: list[ActionView]
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None


class CasePage(msgspec.Struct, frozen=True):
    """Cases, newest evidence first; ``next`` asks for those after them, null at the end."""

    cases: list[CaseView]
    next: str | None


class RuleView(msgspec.Struct, frozen=True):
    """A rule: what it looks for, how grave it is, what is done at once."""

    name: str
    kind: str
    severity: Severity
    does: list[str]
    words: str
    values: dict[str, Value]


class RulesView(msgspec.Struct, frozen=True):
    """The rules that judge now. version: 0 before anything was judged."""

    version: int
    rules: list[RuleView]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person makes of a case, and why."""

    verdict: Verdict
    reason: Reason


@get(
    "/v1/risk/cases",
    sync_to_thread=True,
    tags=["Risk"],
    opt={"needs": "risk:read", "refuses": (InvalidInput,)},
)
def list_cases(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    rule: RuleName = None,
    status: FromQuery[Status | None] = None,
    severity: FromQuery[Severity | None] = None,
    account: FromQuery[UUID | None] = None,
    day: FromQuery[date | None] = None,
    after: Cursor = "",
    limit: Limit = 50,
) -> CasePage:
    """Cases that concern your riders or your gates; the league sees all. Needs `risk:read`.

    day: in UTC, by the last fact of the evidence.
    """
    caller.require("risk:read")
    asked = Asked(
        member=_member(caller),
        rule=rule,
        status=status,
        severity=severity,
        accounts=None if account is None else (account,),
        day=day,
        after=read_mark(after),
    )
    with ctx.tx() as tx:
        found = actions.list_cases(tx, asked, limit=limit + 1)
        _note_reading(ctx, tx, caller, found[:limit])
    page, more = paged(found, limit, lambda one: mark_text(one.last_at, one.case_id))
    return CasePage([_view(case) for case in page], more)


@get(
    "/v1/risk/cases/{case_id:uuid}",
    sync_to_thread=True,
    tags=["Risk"],
    opt={"needs": "risk:read", "refuses": (UnknownCase,)},
)
def read_case(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], case_id: FromPath[UUID]
) -> CaseView:
    """A case with its evidence. Needs `risk:read`. `risk.unknown_case` also for one that is not yours to see."""
    caller.require("risk:read")
    with ctx.tx() as tx:
        found = actions.get_case(tx, case_id, member=_member(caller))
        _note_reading(ctx, tx, caller, [found])
        return _view(found)


@post(
    "/v1/risk/cases/{case_id:uuid}/decide",
    sync_to_thread=True,
    status_code=200,
    tags=["Risk"],
    opt={"needs": "risk:write", "refuses": (UnknownCase, CaseDecided, InvalidInput)},
)
def decide_case(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    case_id: FromPath[UUID],
    data: JSONBody[Decision],
) -> CaseView:
    """Confirm or dismiss a case, with a reason. Needs `risk:write`.

    Dismissing takes back what the case asked of the rider. Sending the same verdict again gives the first decision;
    another one is `risk.case_decided`.
    """
    caller.require("risk:write")
    decided = actions.decide(
        ctx,
        LEAGUE_HANDS,
        case_id,
        verdict=data.verdict,
        by=caller.caller_id,
        reason=data.reason,
        member=_member(caller),
    )
    return _view(decided)


@get("/v1/risk/rules", sync_to_thread=True, tags=["Risk"], opt={"needs": "risk:read"})
def read_rules(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> RulesView:
    """The rules that judge now, with their figures. Needs `risk:read`."""
    caller.require("risk:read")
    with ctx.tx() as tx:
        version, rules = actions.rules_in_force(tx)
    return RulesView(
        version,
        [
            RuleView(one.name, one.kind, one.severity, list(one.does), one.words, dict(one.values))
            for one in rules.rules
        ],
    )


def _member(caller: trust.Caller) -> str | None:
    """Whose cases the caller sees: a member its own, the league all."""
    return None if caller.kind == "league" else (caller.member_id or "")


def _note_reading(ctx: Context, tx: Tx, caller: trust.Caller, cases: Sequence[Case]) -> None:
    """Keep for each rider that somebody read a case about their account."""
    seen = [AccountId(one.account_id) for one in cases if one.account_id is not None]
    identity.saw_all(tx, seen, caller.who, "risk", identity.BY_PROGRAM, ctx.clock.now())


def _view(case: Case) -> CaseView:
    return CaseView(
        case_id=case.case_id,
        rule=case.rule,
        rules_version=case.rules_version,
        severity=case.severity,
        status=case.status,
        account_id=case.account_id,
        issuer_id=case.issuer_id,
        operators=list(case.operators),
        opened_at=case.opened_at,
        first_at=case.first_at,
        last_at=case.last_at,
        figures=dict(case.evidence.figures),
        taps=list(case.evidence.taps),
        refused=list(case.evidence.refused),
        actions=[ActionView(one.action, one.at, dict(one.told)) for one in case.taken],
        decided_at=case.decided_at,
        decided_by=case.decided_by,
        reason=case.reason,
    )


ROUTES = [list_cases, read_case, decide_case, read_rules]
