"""HTTP for rides that wait for a price: an operator reads why, and has them rated again once that is put right."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from hansa import trust
from hansa.kernel import InvalidInput, Problem
from hansa.rides import actions
from hansa.store import Context

LISTED_MAX = 1_000
DAYS_MAX = 366
NO_CONTROL = r"^[^\x00-\x1f]*$"
AskedOperator = Annotated[str, QueryParameter(max_length=200, pattern=NO_CONTROL)]
Limit = Annotated[int, QueryParameter(ge=1, le=LISTED_MAX)]
Name = Annotated[str, msgspec.Meta(max_length=200, pattern=NO_CONTROL)]


class HeldView(msgspec.Struct, frozen=True):
    """Rides of a service day that are held for one reason. journeys: the first three of them."""

    operator_id: str
    service_day: date
    why: str
    count: int
    first_at: datetime
    journeys: list[UUID]


class HeldRides(msgspec.Struct, frozen=True):
    """What is held, latest day first."""

    held: list[HeldView]


class HeldAgain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which days to rate again, both in. operator_id: the league's must say whose; a member's are its own."""

    first_day: date
    last_day: date
    operator_id: Name = ""


class RatedAgain(msgspec.Struct, frozen=True):
    """How many days of riders wait to be rated again now."""

    rider_days: int


@get("/v1/held-journeys", sync_to_thread=True, tags=["Rides"], opt={"needs": "tariffs:read"})
def list_held(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    operator_id: AskedOperator = "",
    day: FromQuery[date | None] = None,
    limit: Limit = 200,
) -> HeldRides:
    """Rides without a price, by service day and reason: a member's own, for the league those of the operator named.

    Nothing is charged for them. Needs `tariffs:read`.
    """
    caller.require("tariffs:read")
    own = _operator(caller, operator_id)
    with ctx.tx() as tx:
        found = actions.list_held(tx, own, day, limit=limit)
    return HeldRides(
        [
            HeldView(own, one.service_day, one.why, one.count, one.first_at, list(one.journeys))
            for one in found
        ]
    )


@post(
    "/v1/held-journeys/rate-again",
    sync_to_thread=True,
    status_code=200,
    tags=["Rides"],
    opt={"needs": "tariffs:write", "refuses": (InvalidInput,)},
)
def rate_held_again(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], data: JSONBody[HeldAgain]
) -> RatedAgain:
    """Have days with a held ride rated again, once tariff or network are put right. Again is harmless.

    They are rated over the network that holds on each day by now. Needs `tariffs:write`.
    """
    caller.require("tariffs:write")
    if not 0 <= (data.last_day - data.first_day).days < DAYS_MAX:
        problem = Problem(
            "last_day", f"{data.first_day} to {data.last_day} is no such span", "Name 1 to 366 days"
        )
        raise InvalidInput("These days cannot be rated again.", problems=(problem,))
    with ctx.tx() as tx:
        days = actions.rate_again(
            tx, _operator(caller, data.operator_id), data.first_day, data.last_day, only_held=True
        )
    return RatedAgain(days)


ROUTES = [list_held, rate_held_again]


def _operator(caller: trust.Caller, operator_id: str) -> str:
    """Whose rides: a member's own. Errors: InvalidInput where the league names nobody."""
    if caller.kind != "league":
        return caller.member_id or ""
    if not operator_id:
        problem = Problem("operator_id", "nobody is named", "Name the operator whose rides you mean")
        raise InvalidInput("Whose rides?", problems=(problem,))
    return operator_id
