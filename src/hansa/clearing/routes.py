"""HTTP for clearing: business days, what they came to, and the way down from a figure to its items."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from hansa import trust
from hansa.clearing import actions
from hansa.clearing.model import ClearingDay, DayClosed, DayNotOver, Item, Position, UnknownDay, Window
from hansa.kernel import InvalidInput, Money, Problem, paged
from hansa.store import Context, Tx

MemberName = Annotated[str, QueryParameter(max_length=100)]
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


class Total(msgspec.Struct, frozen=True):
    """A day in one currency. to_pay: what all net debtors pay together."""

    currency: str
    items: int
    gross: Money
    issuer_fees: Money
    league_fees: Money
    to_pay: Money


class Blocks(msgspec.Struct, frozen=True):
    """The ledger blocks of a partition that make up the day: after the one, up to and with the other."""

    partition: int
    after_block: int
    up_to_block: int


class Day(msgspec.Struct, frozen=True):
    """A business day. status: ``closing`` while booked, ``closed`` for good, then ``settling`` and ``settled``."""

    day: date
    status: str
    ends_at: datetime
    decided_at: datetime
    closed_at: datetime | None
    items: int
    totals: list[Total]
    watermark: list[Blocks]


class DayPage(msgspec.Struct, frozen=True):
    """Some days, latest first; ``next`` asks for those before them, null at the end."""

    days: list[Day]
    next: date | None


class PositionView(msgspec.Struct, frozen=True):
    """What an issuer owes an operator for a day: gross = operator_share + issuer_fee + league_fee."""

    issuer_id: str
    operator_id: str
    debtor_id: str
    creditor_id: str
    items: int
    gross: Money
    operator_share: Money
    issuer_fee: Money
    league_fee: Money


class Positions(msgspec.Struct, frozen=True):
    """All positions of a day."""

    day: date
    positions: list[PositionView]


class NetView(msgspec.Struct, frozen=True):
    """What a member receives (above zero) or pays (below zero) for a day."""

    member_id: str
    net: Money


class Cell(msgspec.Struct, frozen=True):
    """What one member owes another before netting."""

    debtor_id: str
    creditor_id: str
    owed: Money


class NetPositions(msgspec.Struct, frozen=True):
    """A day's nets, each currency summing to zero, and the matrix of what they were netted from."""

    day: date
    net_positions: list[NetView]
    matrix: list[Cell]


class ItemView(msgspec.Struct, frozen=True):
    """One posting of a position. reference: what it was for, such as a journey."""

    transfer_id: UUID
    reference: UUID | None
    amount: Money
    code: int
    event_at: datetime
    booked_at: datetime


class ItemPage(msgspec.Struct, frozen=True):
    """Some items in order of booking; ``next`` asks for those after them, null at the end."""

    items: list[ItemView]
    next: str | None


@get("/v1/clearing/days", sync_to_thread=True, tags=["Clearing"], opt={"needs": "clearing:read"})
def list_days(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    after: FromQuery[date | None] = None,
    limit: Limit = 50,
) -> DayPage:
    """Clearing days, latest first, with what the whole league came to."""
    caller.require("clearing:read")
    with ctx.tx() as tx:
        found = actions.list_days(tx, before=after, limit=limit + 1)
    page, more = paged(found, limit, lambda one: one.day)
    return DayPage([_day(one) for one in page], more)


@get(
    "/v1/clearing/days/{day:date}",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownDay,)},
)
def get_day(ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]) -> Day:
    """A clearing day. `clearing.unknown_day` if it was not closed."""
    caller.require("clearing:read")
    with ctx.tx() as tx:
        return _day(actions.get_day(tx, day))


@get(
    "/v1/clearing/days/{day:date}/positions",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownDay,)},
)
def positions(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> Positions:
    """What each issuer owes each operator for a day, and how it is shared out. A member sees its own."""
    caller.require("clearing:read")
    with ctx.tx() as tx:
        return Positions(day, [position_view(one) for one in seen_by(caller, actions.positions(tx, day))])


@get(
    "/v1/clearing/days/{day:date}/net-positions",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownDay,)},
)
def net_positions(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> NetPositions:
    """What each member pays or receives for a day, and who owed whom before netting.

    A member sees the lines of the one as which it clears: itself, or its city.
    """
    caller.require("clearing:read")
    with ctx.tx() as tx:
        window = actions.get_day(tx, day)
        return NetPositions(day, *nets_seen_by(tx, caller, window.window_id))


@get(
    "/v1/clearing/days/{day:date}/items",
    sync_to_thread=True,
    tags=["Clearing"],
    opt={"needs": "clearing:read", "refuses": (UnknownDay, InvalidInput)},
)
def items(
    ctx: NamedDependency[Context],
    caller: NamedDependency[trust.Caller],
    day: FromPath[date],
    issuer_id: MemberName,
    operator_id: MemberName,
    currency: Annotated[str, QueryParameter(min_length=3, max_length=3)],
    after: Annotated[str, QueryParameter(max_length=60, description="`next` of the page before")] = "",
    limit: Limit = 100,
) -> ItemPage:
    """The postings that make up a position of a day, page by page. A member sees those of its own positions.

    Of another's position there are none to see.
    """
    caller.require("clearing:read")
    refuse_nul(issuer_id=issuer_id, operator_id=operator_id, currency=currency)
    with ctx.tx() as tx:
        found = actions.items(tx, day, issuer_id, operator_id, currency, after=after, limit=limit + 1)
        seen = seen_by(caller, actions.positions(tx, day))
    return item_page(found, seen, (issuer_id, operator_id, currency), limit)


@post(
    "/v1/clearing/days/{day:date}/close",
    sync_to_thread=True,
    status_code=200,
    tags=["Clearing"],
    opt={"needs": "clearing:close", "refuses": (DayNotOver, DayClosed)},
)
def close_day(
    ctx: NamedDependency[Context], caller: NamedDependency[trust.Caller], day: FromPath[date]
) -> Day:
    """Close a business day after its cut-off. Needs `clearing:close`; closing it again gives the same day.

    `clearing.day_not_over` before the cut-off, `clearing.day_closed` if a later day is closed.
    """
    caller.require_league("clearing:close")
    return _day(actions.close_day(ctx, day))


def refuse_nul(**texts: str) -> None:
    """Errors: InvalidInput for a name with a NUL, which the database cannot hold."""
    for name, text in texts.items():
        if "\0" in text:
            raise InvalidInput(
                "A name holds no NUL.", problems=(Problem(name, "it holds a NUL", "Take it out"),)
            )


def seen_by(caller: trust.Caller, positions: Sequence[Position]) -> list[Position]:
    """Positions as this caller may see them: the league all, a member those it is a party to.

    Errors: trust.NotAllowed for who is no member, such as a gate.
    """
    if caller.kind == "league":
        return list(positions)
    member = _member_of(caller)
    return [
        one for one in positions if member in (one.issuer_id, one.operator_id, one.debtor_id, one.creditor_id)
    ]


def nets_seen_by(tx: Tx, caller: trust.Caller, window_id: str) -> tuple[list[NetView], list[Cell]]:
    """Nets of a window, and what they were netted from, as far as they are the caller's."""
    own = None if caller.kind == "league" else trust.get_member(tx, _member_of(caller)).clears_as
    nets = actions.window_nets(tx, window_id)
    cells = actions.window_matrix(tx, window_id)
    return (
        [
            NetView(one.member_id, Money(one.net, one.currency))
            for one in nets
            if own in (None, one.member_id)
        ],
        [
            Cell(debtor, creditor, Money(minor, unit))
            for (debtor, creditor, unit), minor in sorted(cells.items())
            if own in (None, debtor, creditor)
        ],
    )


def position_view(one: Position) -> PositionView:
    """A position as it travels."""
    return PositionView(
        issuer_id=one.issuer_id,
        operator_id=one.operator_id,
        debtor_id=one.debtor_id,
        creditor_id=one.creditor_id,
        items=one.items,
        gross=Money(one.gross, one.currency),
        operator_share=Money(one.operator_share, one.currency),
        issuer_fee=Money(one.issuer_fee, one.currency),
        league_fee=Money(one.league_fee, one.currency),
    )


def item_page(
    found: Sequence[Item], seen: Sequence[Position], wanted: tuple[str, str, str], limit: int
) -> ItemPage:
    """A page of items, if their position is one that the caller may see."""
    if wanted not in {(one.issuer_id, one.operator_id, one.currency) for one in seen}:
        return ItemPage([], None)
    page, more = paged(found, limit, lambda one: one.cursor)
    return ItemPage(
        [
            ItemView(one.transfer_id, one.reference, one.amount, one.code, one.event_at, one.booked_at)
            for one in page
        ],
        more,
    )


def _member_of(caller: trust.Caller) -> str:
    """The member that asks. Errors: trust.NotAllowed for who is none, such as a gate."""
    if caller.kind == "gate" or caller.member_id is None:
        raise trust.NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def totals_view(found: Window) -> list[Total]:
    """What a window came to, by currency."""
    return [
        Total(one.currency, one.items, one.gross, one.issuer_fees, one.league_fees, one.to_pay)
        for one in found.totals
    ]


def blocks_view(found: Window) -> list[Blocks]:
    """The blocks in which a window's items stand."""
    return [Blocks(one.partition, one.after_block, one.up_to_block) for one in found.watermark]


def _day(found: ClearingDay) -> Day:
    return Day(
        day=found.day,
        status=found.status.value,
        ends_at=found.ends_at,
        decided_at=found.decided_at,
        closed_at=found.closed_at,
        items=found.items,
        totals=totals_view(found),
        watermark=blocks_view(found),
    )


ROUTES = [list_days, get_day, positions, net_positions, items, close_day]
