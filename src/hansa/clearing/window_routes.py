"""HTTP for windows and settlement models: what they came to, models proposed by one person and approved by another."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from hansa import trust
from hansa.clearing import actions, models
from hansa.clearing.agreements import SamePerson
from hansa.clearing.model import NoWindowDue, UnknownModel, UnknownWindow, Window
from hansa.clearing.routes import (
    Blocks,
    Cell,
    ItemPage,
    Limit,
    MemberName,
    NetView,
    PositionView,
    Total,
    blocks_view,
    item_page,
    nets_seen_by,
    position_view,
    refuse_nul,
    seen_by,
    totals_view,
)
from hansa.clearing.schedule import SPEC_BYTES_MAX, BadModel
from hansa.kernel import InvalidInput, paged
from hansa.store import Context

WindowName = Annotated[str, PathParameter(max_length=60)]
ModelName = Annotated[str, PathParameter(max_length=20)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*\Z")]


class Moved(msgspec.Struct, frozen=True):
    """How far a window's money in a currency is: when a bank was told, and when all had moved; null before."""

    currency: str
    settling_at: datetime | None
    settled_at: datetime | None


class WindowView(msgspec.Struct, frozen=True):
    """A window of a settlement model. number: counts the model's windows. part: which of its business day.

    status: ``closing`` while it is booked, ``closed`` for good, then ``settling`` and ``settled``.
    """

    window_id: str
    model_id: str
    model_version: int
    number: int
    business_day: date
    part: int
    basis: str
    sides: str
    timing: str
    status: str
    ends_at: datetime
    decided_at: datetime
    closed_at: datetime | None
    items: int
    totals: list[Total]
    money: list[Moved]
    watermark: list[Blocks]


class WindowPage(msgspec.Struct, frozen=True):
    """Some windows, latest first; of one model, ``next`` asks for those before them, null at the end."""

    windows: list[WindowView]
    next: int | None


class WindowPositions(msgspec.Struct, frozen=True):
    """All positions of a window."""

    window_id: str
    positions: list[PositionView]


class WindowNets(msgspec.Struct, frozen=True):
    """A window's nets, each currency summing to zero, and the matrix of what they were netted from."""

    window_id: str
    net_positions: list[NetView]
    matrix: list[Cell]


class ModelView(msgspec.Struct, frozen=True):
    """A version of a settlement model. spec: its TOML. decision: null while it waits."""

    model_id: str
    version: int
    in_force_from: date
    proposed_by: str
    proposed_at: datetime
    why: str
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    decided_why: str | None
    spec: str


class Models(msgspec.Struct, frozen=True):
    """Every version of every model. The league's business day is none of them."""

    models: list[ModelView]


class Proposal(msgspec.Struct, frozen=True):
    """A settlement model as TOML, from which day on, and why."""

    spec: Annotated[str, msgspec.Meta(min_length=1, max_length=SPEC_BYTES_MAX, pattern=r"^[^\x00]*\Z")]
    in_force_from: date
    why: Why


class Decision(msgspec.Struct, frozen=True):
    """What a second person says to a proposal."""

    decision: Literal["approved", "refused"]
    why: Why


@get("/v1/clearing/windows", sync_to_thread=True, tags=["Clearing"], opt={"needs": "clearing:read"})
def list_windows(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    model: Annotated[str | None, QueryParameter(max_length=20, pattern=r"^[a-z0-9]*$")] = None,
    after: Annotated[int | None, QueryParameter(ge=0, le=2**31 - 1)] = None,
    limit: Limit = 50,
) -> WindowPage:
    """Windows of all models, or of one, latest first. after: a number of that one model, to read on."""
    caller.require("clearing:read")
    with ctx.tx() as tx:
        found = actions.list_windows(
            tx, model_id=model, before_number=after if model else None, limit=limit + 1
        )
    page, more = paged(found, limit, lambda one: one.number)
    return WindowPage([_window(one) for one in page], more if model else None)


@get(
    "/v1/clearing/windows/{window_id:str}",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownWindow, InvalidInput)},
)
def get_window(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], window_id: WindowName
) -> WindowView:
    """A window. `clearing.unknown_window` if there is none of this id."""
    caller.require("clearing:read")
    refuse_nul(window_id=window_id)
    with ctx.tx() as tx:
        return _window(actions.get_window(tx, window_id))


@get(
    "/v1/clearing/windows/{window_id:str}/positions",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownWindow, InvalidInput)},
)
def window_positions(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], window_id: WindowName
) -> WindowPositions:
    """What each issuer owes each operator for a window, and how it is shared out. A member sees its own."""
    caller.require("clearing:read")
    refuse_nul(window_id=window_id)
    with ctx.tx() as tx:
        seen = seen_by(caller, actions.window_positions(tx, window_id))
    return WindowPositions(window_id, [position_view(one) for one in seen])


@get(
    "/v1/clearing/windows/{window_id:str}/net-positions",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownWindow, InvalidInput)},
)
def window_nets(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], window_id: WindowName
) -> WindowNets:
    """What each member pays or receives for a window, and who owed whom before netting.

    A member sees the lines of the one as which it clears: itself, or its city.
    """
    caller.require("clearing:read")
    refuse_nul(window_id=window_id)
    with ctx.tx() as tx:
        return WindowNets(window_id, *nets_seen_by(tx, caller, window_id))


@get(
    "/v1/clearing/windows/{window_id:str}/items",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownWindow, InvalidInput)},
)
def window_items(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    window_id: WindowName,
    issuer_id: MemberName,
    operator_id: MemberName,
    currency: Annotated[str, QueryParameter(min_length=3, max_length=3)],
    after: Annotated[str, QueryParameter(max_length=60, description="`next` of the page before")] = "",
    limit: Limit = 100,
) -> ItemPage:
    """The postings that make up a position of a window, page by page. A member sees those of its own positions.

    Of another's position there are none to see.
    """
    caller.require("clearing:read")
    refuse_nul(window_id=window_id, issuer_id=issuer_id, operator_id=operator_id, currency=currency)
    with ctx.tx() as tx:
        found = actions.window_items(
            tx, window_id, issuer_id, operator_id, currency, after=after, limit=limit + 1
        )
        seen = seen_by(caller, actions.window_positions(tx, window_id))
    return item_page(found, seen, (issuer_id, operator_id, currency), limit)


@post(
    "/v1/clearing/models/{model_id:str}/close",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={"needs": "clearing:close", "refuses": (UnknownModel, NoWindowDue, InvalidInput)},
)
def close_window(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], model_id: ModelName
) -> WindowView:
    """Close the window of a model that is over. Needs `clearing:close`.

    `clearing.no_window_due` while none is: so sending it twice closes it once.
    """
    caller.require_league("clearing:close")
    refuse_nul(model_id=model_id)
    return _window(actions.close_window(ctx, model_id))


@get("/v1/clearing/models", sync_to_thread=True, tags=["Clearing"], opt={"needs": "clearing:read"})
def list_models(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller]) -> Models:
    """The settlement models, every version, and who proposed and decided."""
    caller.require("clearing:read")
    with ctx.tx() as tx:
        return Models([_model(one) for one in models.list_versions(tx)])


@post(
    "/v1/clearing/models",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={
        "needs": "clearing:models",
        "refuses": (BadModel, trust.UnknownMember, models.ModelsOverlap, InvalidInput),
    },
)
def propose_model(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[Proposal]
) -> ModelView:
    """Propose a settlement model; another person decides. Needs `clearing:models`; sending it again is harmless.

    `clearing.bad_model` names each field at fault, `clearing.models_overlap` the model that takes a position too.
    """
    caller.require_league("clearing:models")
    found = models.propose(ctx, data.spec, in_force_from=data.in_force_from, by=caller.who, why=data.why)
    assert isinstance(found, models.Version), "it was not only checked"
    return _model(found)


@post(
    "/v1/clearing/models/{model_id:str}/versions/{version:int}/decision",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={
        "needs": "clearing:models",
        "refuses": (UnknownModel, SamePerson, models.ModelDecided, models.ModelsOverlap, InvalidInput),
    },
)
def decide_model(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    model_id: ModelName,
    version: Annotated[int, PathParameter(ge=1, le=2**31 - 1)],
    data: JSONBody[Decision],
) -> ModelView:
    """Approve or refuse a settlement model that another person proposed. Needs `clearing:models`."""
    caller.require_league("clearing:models")
    refuse_nul(model_id=model_id)
    return _model(models.decide(ctx, model_id, version, data.decision, by=caller.who, why=data.why))


def _window(found: Window) -> WindowView:
    return WindowView(
        window_id=found.window_id,
        model_id=found.model_id,
        model_version=found.model_version,
        number=found.number,
        business_day=found.business_day,
        part=found.part,
        basis=found.basis,
        sides=found.sides,
        timing=found.timing,
        status=found.status.value,
        ends_at=found.ends_at,
        decided_at=found.decided_at,
        closed_at=found.closed_at,
        items=found.items,
        totals=totals_view(found),
        money=[Moved(one.currency, one.settling_at, one.settled_at) for one in found.totals],
        watermark=blocks_view(found),
    )


def _model(found: models.Version) -> ModelView:
    return ModelView(
        found.model_id,
        found.version,
        found.in_force_from,
        found.proposed_by,
        found.proposed_at,
        found.why,
        found.decision,
        found.decided_by,
        found.decided_at,
        found.decided_why,
        found.spec,
    )


ROUTES = [
    list_windows,
    get_window,
    window_positions,
    window_nets,
    window_items,
    close_window,
    list_models,
    propose_model,
    decide_model,
]
