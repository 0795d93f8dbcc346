"""HTTP for members' life: applications, standing, bank accounts, suspending, resuming, leaving. For the league."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter

from hansa.kernel import InvalidInput, in_utc
from hansa.store import Context
from hansa.trust import members
from hansa.trust.members_model import (
    TEXT_BYTES_MAX,
    AccountChange,
    Application,
    BadApplication,
    MemberConflict,
    MemberDecided,
    MemberFact,
    MemberLife,
    SamePerson,
    UnknownApplication,
    UnknownChange,
    account_of,
)
from hansa.trust.model import Caller, UnknownMember

NO_NUL = r"^[^\x00]*\Z"
MemberPath = Annotated[str, PathParameter(max_length=100, pattern=r"^[^\x00-\x1f]+$")]
Toml = Annotated[str, msgspec.Meta(max_length=TEXT_BYTES_MAX, pattern=NO_NUL)]
Note = Annotated[str, msgspec.Meta(max_length=500, pattern=NO_NUL)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=NO_NUL)]
Limit = Annotated[int, QueryParameter(ge=1, le=500)]


class ApplicationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An application as docs/members.md tells. application_id: yours; sending it again is harmless."""

    application_id: UUID
    toml: Toml
    note: Note = ""


class ApplicationDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided about an application, and why."""

    decision: Literal["approve", "refuse", "withdraw"]
    why: Why


class DecidedView(msgspec.Struct, frozen=True):
    """What was done, by whom, when and why."""

    step: str
    by: str
    at: datetime
    why: str


class ApplicationView(msgspec.Struct, frozen=True):
    """An application. state: applied, approved, refused or withdrawn. members: who comes of it."""

    application_id: UUID
    state: str
    name: str
    role: str
    members: list[str]
    toml: str
    note: str
    facts: list[DecidedView]


class Applications(msgspec.Struct, frozen=True):
    """Applications, newest first."""

    applications: list[ApplicationView]


class FactView(msgspec.Struct, frozen=True):
    """What was decided about a member. from_at: from when it counts."""

    step: str
    from_at: datetime
    by: str
    at: datetime
    why: str
    facts: Mapping[str, str]


class LifeView(msgspec.Struct, frozen=True):
    """Where a member stands. by: whose standing it is, its own or that of the member it clears as.

    standing: active, suspended, leaving or left. business_ends_at: of one that leaves.
    """

    member_id: str
    standing: str
    since: datetime | None
    why: str
    by: str
    business_ends_at: datetime | None
    facts: list[FactView]


class SuspensionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, and from when; left out, from now on."""

    why: Why
    from_at: datetime | None = None


class StepBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of two: propose, then another person says yes or no. business_ends_at: of a proposal to leave."""

    step: Literal["propose", "yes", "no"]
    why: Why
    business_ends_at: datetime | None = None


class AccountBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another bank account. change_id: yours. number: an IBAN, or the bank's own. currency: none is for all others."""

    change_id: UUID
    bic: Annotated[str, msgspec.Meta(max_length=11, pattern=NO_NUL)]
    number: Annotated[str, msgspec.Meta(max_length=42, pattern=NO_NUL)]
    why: Why
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}\Z")] | None = None


class AccountDecision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided about a change of a bank account, and why."""

    decision: Literal["approve", "refuse", "stop"]
    why: Why


class ChangeView(msgspec.Struct, frozen=True):
    """A change of a bank account. state: proposed, approved (it cools until from_at), in_force, refused, stopped."""

    change_id: UUID
    member_id: str
    currency: str | None
    account: str
    state: str
    from_at: datetime | None
    made_by: str
    facts: list[DecidedView]


class Changes(msgspec.Struct, frozen=True):
    """Changes of bank accounts, newest first."""

    changes: list[ChangeView]


DECIDING = (MemberDecided, SamePerson, InvalidInput)


@post(
    "/v1/member-applications",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "members:write", "refuses": (BadApplication, InvalidInput, MemberConflict)},
)
def hand_in_application(
    ctx: NamedDependency[Context], caller: NamedDependency[Caller], data: JSONBody[ApplicationBody]
) -> ApplicationView:
    """Hand in an application for another person to approve. Needs `members:write` of the league."""
    caller.require_league("members:write")
    with ctx.tx() as tx:
        found = members.hand_in_application(
            tx, data.application_id, data.toml, by=caller.who, at=ctx.clock.now(), note=data.note
        )
    return _application(found)


@get("/v1/member-applications", sync_to_thread=True, tags=["Trust"], opt={"needs": "members:read"})
def list_applications(
    ctx: NamedDependency[Context], caller: NamedDependency[Caller], limit: Limit = 100
) -> Applications:
    """Applications, newest first. Needs `members:read` of the league."""
    caller.require_league("members:read")
    with ctx.tx() as tx:
        return Applications([_application(one) for one in members.list_applications(tx, limit=limit)])


@post(
    "/v1/member-applications/{application_id:uuid}/decision",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "members:approve", "refuses": (UnknownApplication, *DECIDING)},
)
def decide_application(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    application_id: FromPath[UUID],
    data: JSONBody[ApplicationDecision],
) -> ApplicationView:
    """Let an applicant in, refuse it, or withdraw it. Needs `members:approve` of another person of the league.

    Again is harmless.
    """
    caller.require_league("members:approve")
    do = {
        "approve": members.approve_application,
        "refuse": members.refuse_application,
        "withdraw": members.withdraw_application,
    }[data.decision]
    with ctx.tx() as tx:
        return _application(do(tx, application_id, by=caller.who, at=ctx.clock.now(), why=data.why))


@get(
    "/v1/members/{member_id:str}/standing",
    sync_to_thread=True,
    tags=["Trust"],
    opt={"needs": "members:read", "refuses": (UnknownMember,)},
)
def get_standing(
    ctx: NamedDependency[Context], caller: NamedDependency[Caller], member_id: MemberPath
) -> LifeView:
    """Where a member stands, and what was decided about it. Needs `members:read`; a member sees its own."""
    caller.require("members:read")
    if caller.kind != "league" and caller.member_id != member_id:
        raise UnknownMember(f"The league has no member {member_id!r} that you may look at.")
    with ctx.tx() as tx:
        return _life(members.member_life(tx, member_id, ctx.clock.now()), members.member_facts(tx, member_id))


@post(
    "/v1/members/{member_id:str}/suspension",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "members:write", "refuses": (UnknownMember, MemberDecided, InvalidInput)},
)
def suspend(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    member_id: MemberPath,
    data: JSONBody[SuspensionBody],
) -> LifeView:
    """Suspend a member, and those that clear as it. Needs `members:write` of the league. Again is harmless."""
    caller.require_league("members:write")
    from_at = None if data.from_at is None else in_utc(data.from_at)
    with ctx.tx() as tx:
        life = members.suspend(
            tx, member_id, by=caller.who, at=ctx.clock.now(), why=data.why, from_at=from_at
        )
        return _life(life, members.member_facts(tx, member_id))


@post(
    "/v1/members/{member_id:str}/resumption",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "members:approve", "refuses": (UnknownMember, *DECIDING)},
)
def resume(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    member_id: MemberPath,
    data: JSONBody[StepBody],
) -> LifeView:
    """Let a suspended member go on: one person proposes, another decides. Needs `members:approve` of the league."""
    caller.require_league("members:approve")
    by, now = caller.who, ctx.clock.now()
    with ctx.tx() as tx:
        if data.step == "propose":
            members.propose_resume(tx, member_id, by=by, at=now, why=data.why)
        else:
            members.decide_resume(tx, member_id, yes=data.step == "yes", by=by, at=now, why=data.why)
        return _life(members.member_life(tx, member_id, now), members.member_facts(tx, member_id))


@post(
    "/v1/members/{member_id:str}/leaving",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "members:approve", "refuses": (UnknownMember, *DECIDING)},
)
def leave(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    member_id: MemberPath,
    data: JSONBody[StepBody],
) -> LifeView:
    """Let a member run down and leave: one person proposes, another decides. Needs `members:approve` of the league.

    That it has left is said at the console, once nothing of it is open.
    """
    caller.require_league("members:approve")
    by, now = caller.who, ctx.clock.now()
    with ctx.tx() as tx:
        if data.step == "propose":
            ends = now if data.business_ends_at is None else in_utc(data.business_ends_at)
            members.propose_leave(tx, member_id, ends, by=by, at=now, why=data.why)
        else:
            members.decide_leave(tx, member_id, yes=data.step == "yes", by=by, at=now, why=data.why)
        return _life(members.member_life(tx, member_id, now), members.member_facts(tx, member_id))


@post(
    "/v1/members/{member_id:str}/account-changes",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "members:write", "refuses": (UnknownMember, MemberConflict, MemberDecided, InvalidInput)},
)
def propose_account(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    member_id: MemberPath,
    data: JSONBody[AccountBody],
) -> ChangeView:
    """Propose another bank account. Needs `members:write`: the league for anybody, a member for itself."""
    caller.require("members:write")
    if caller.kind != "league" and caller.member_id != member_id:
        raise UnknownMember(f"The league has no member {member_id!r} that you may speak for.")
    account = account_of(data.bic, data.number, data.currency)
    with ctx.tx() as tx:
        found = members.propose_account(
            tx, data.change_id, member_id, account, by=caller.who, at=ctx.clock.now(), why=data.why
        )
    return _changed(found)


@get("/v1/account-changes", sync_to_thread=True, tags=["Trust"], opt={"needs": "members:read"})
def list_account_changes(ctx: NamedDependency[Context], caller: NamedDependency[Caller]) -> Changes:
    """Changes of bank accounts, newest first: a member's own, all for the league. Needs `members:read`."""
    caller.require("members:read")
    own = None if caller.kind == "league" else caller.member_id or ""
    with ctx.tx() as tx:
        return Changes([_changed(one) for one in members.list_account_changes(tx, own)])


@post(
    "/v1/account-changes/{change_id:uuid}/decision",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "members:approve", "refuses": (UnknownChange, *DECIDING)},
)
def decide_account(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    change_id: FromPath[UUID],
    data: JSONBody[AccountDecision],
) -> ChangeView:
    """Approve, refuse or stop a change of a bank account. Needs `members:approve` of another person of the league."""
    caller.require_league("members:approve")
    by, now = caller.who, ctx.clock.now()
    with ctx.tx() as tx:
        if data.decision == "stop":
            return _changed(members.stop_account(tx, change_id, by=by, at=now, why=data.why))
        yes = data.decision == "approve"
        return _changed(members.decide_account(tx, change_id, yes=yes, by=by, at=now, why=data.why))


def _application(found: Application) -> ApplicationView:
    facts = [DecidedView(one.step, one.by_whom, one.at, one.why) for one in found.facts]
    said = found.said
    return ApplicationView(
        found.application_id,
        found.state,
        said.name,
        said.role,
        list(said.names),
        found.toml,
        found.note,
        facts,
    )


def _life(life: MemberLife, facts: tuple[MemberFact, ...]) -> LifeView:
    return LifeView(
        life.member_id,
        life.standing,
        life.since,
        life.why,
        life.by,
        life.business_ends_at,
        [FactView(one.step, one.from_at, one.by_whom, one.at, one.why, one.facts) for one in facts],
    )


def _changed(found: AccountChange) -> ChangeView:
    return ChangeView(
        found.change_id,
        found.member_id,
        found.currency,
        found.account,
        found.state,
        found.from_at,
        found.made_by,
        [DecidedView(one.step, one.by_whom, one.at, one.why) for one in found.facts],
    )


ROUTES = [
    hand_in_application,
    list_applications,
    decide_application,
    get_standing,
    suspend,
    resume,
    leave,
    propose_account,
    list_account_changes,
    decide_account,
]
