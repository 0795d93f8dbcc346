"""Finding accounts, adding up branches of their tree, and hearing of every change, over HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from hansa import trust
from hansa.kernel import InvalidInput, Problem, paged
from hansa.ledger import actions
from hansa.ledger.changes import PAGE, parse_place, place_text, read_changes
from hansa.ledger.model import LABELS_MAX, PATH_MAX, Account, AccountId, Booked, Place
from hansa.ledger.routes import (
    BalanceView,
    Limit,
    Partition,
    TransferView,
    balance_view,
    is_open_to,
    transfer_view,
)
from hansa.store import Context

LOOK_EVERY_S = 0.25
SIGN_OF_LIFE_S = 15.0

Ctx = NamedDependency[Context]
Caller = NamedDependency[trust.Caller]
Words = Annotated[str, QueryParameter(max_length=PATH_MAX)]
Labels = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=2 * PATH_MAX + 1)]] | None,
    QueryParameter(max_items=LABELS_MAX),
]
PlaceText = Annotated[
    str, QueryParameter(max_length=24, description="the place of the last one seen: block-position")
]


class FoundAccount(msgspec.Struct, frozen=True):
    """An account, as it was opened. path: its place in the tree of accounts, empty for none."""

    account_id: UUID
    currency: str
    code: int
    holder: str
    flags: int
    partition: int
    path: str
    labels: dict[str, str]


class FoundAccounts(msgspec.Struct, frozen=True):
    """Some accounts by id; ``next`` is the ``after`` of the page after, null at the end."""

    accounts: list[FoundAccount]
    next: UUID | None


class BranchView(msgspec.Struct, frozen=True):
    """All accounts of one currency at and under a branch, added up."""

    branch: str
    currency: str
    accounts: int
    balance: BalanceView


class TreeView(msgspec.Struct, frozen=True):
    """The branches, by name and currency."""

    branches: list[BranchView]


class JournalPage(msgspec.Struct, frozen=True):
    """Some transfers in the order they were booked. next: the ``after`` to go on with, now or when there are more."""

    transfers: list[TransferView]
    next: str
    more: bool


@get(
    "/v1/ledger/accounts",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (InvalidInput,)},
)
def find_accounts(
    ctx: Ctx,
    caller: Caller,
    holder: Words = "",
    code: Annotated[int, QueryParameter(ge=0, le=32_767)] = 0,
    currency: Annotated[str, QueryParameter(max_length=3)] = "",
    path: Words = "",
    label: Labels = None,
    after: FromQuery[UUID | None] = None,
    limit: Limit = 100,
) -> FoundAccounts:
    """Accounts for which all that is given is true, by id. A member finds those it holds.

    path: this place in the tree and all below it. label: ``name=value``, and may be given again.
    """
    caller.require("ledger:read")
    if caller.kind != "league":
        holder = caller.member_id or "-"
    labels = dict(_label(one) for one in label or [])
    with ctx.tx() as tx:
        found = actions.search_accounts(
            tx,
            holder=holder or None,
            code=code or None,
            currency=currency or None,
            path=path or None,
            labels=labels or None,
            after=None if after is None else AccountId(after),
            limit=limit + 1,
        )
    page, more = paged(found, limit, lambda one: one.account_id)
    return FoundAccounts([_found(account) for account in page if is_open_to(caller, account)], more)


@get(
    "/v1/ledger/tree",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (InvalidInput,)},
)
def read_tree(
    ctx: Ctx, caller: Caller, path: Words = "", depth: Annotated[int, QueryParameter(ge=1, le=20)] = 1
) -> TreeView:
    """The tree of accounts at and below a place, added up by branch and currency, for the league.

    depth: how many words of a path make a branch, counted from the root.
    """
    caller.require_league("ledger:read")
    with ctx.tx() as tx:
        rows = actions.tree(tx, path, depth=depth)
    return TreeView(
        [BranchView(row.branch, row.currency, row.accounts, balance_view(row.balance)) for row in rows]
    )


@get(
    "/v1/ledger/journal",
    sync_to_thread=True,
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (InvalidInput,)},
)
def read_journal(
    ctx: Ctx, caller: Caller, partition: Partition = 0, after: PlaceText = "", limit: Limit = 100
) -> JournalPage:
    """The transfers of a partition in the order they were booked, after a place. A member reads those of its accounts.

    Ask again with ``next``: whoever keeps the last one misses nothing and gets nothing twice.
    """
    caller.require("ledger:read")
    page = read_changes(ctx, partition=partition, after=_after(after), limit=limit)
    transfers = _open_to(ctx, caller, page.changes)
    return JournalPage([transfer_view(booked) for booked in transfers], place_text(page.last), page.more)


@get(
    "/v1/ledger/changes",
    tags=["Ledger"],
    opt={"needs": "ledger:read", "refuses": (InvalidInput,)},
    media_type="text/event-stream",
)
async def stream_changes(
    ctx: Ctx,
    caller: Caller,
    partition: Partition = 0,
    after: PlaceText = "",
    last_event_id: Annotated[str, HeaderParameter(name="Last-Event-ID", max_length=24)] = "",
) -> ServerSentEvent:
    """The same as a stream of server-sent events that goes on with each new transfer.

    Each event's id is its place; a reader that lost the stream sends the last one as ``Last-Event-ID``, as browsers do
    by themselves, and goes on from there.
    """
    caller.require("ledger:read")
    start = _after(last_event_id or after)
    return ServerSentEvent(_events(ctx, caller, partition, start), headers={"cache-control": "no-store"})


async def _events(
    ctx: Context, caller: trust.Caller, partition: int, after: Place | None
) -> AsyncGenerator[ServerSentEventMessage]:
    quiet_s = SIGN_OF_LIFE_S  # a first sign at once, so that the reader knows it is through
    while True:
        page = await asyncio.to_thread(read_changes, ctx, partition=partition, after=after, limit=PAGE)
        after = page.last
        for booked in await asyncio.to_thread(_open_to, ctx, caller, page.changes):
            quiet_s = 0.0
            body = msgspec.json.encode(transfer_view(booked)).decode()
            yield ServerSentEventMessage(data=body, event="transfer", id=place_text(booked.place))
        if page.more:
            continue
        if quiet_s >= SIGN_OF_LIFE_S:
            quiet_s = 0.0
            yield ServerSentEventMessage(data=None, comment="here")
        await asyncio.sleep(LOOK_EVERY_S)
        quiet_s += LOOK_EVERY_S


def _open_to(ctx: Context, caller: trust.Caller, changes: Sequence[Booked]) -> Sequence[Booked]:
    """Those of the transfers that this caller may see."""
    if caller.kind == "league" or not changes:
        return changes
    sides = {side for booked in changes for side in (booked.transfer.debit, booked.transfer.credit)}
    with ctx.tx() as tx:
        accounts = actions.find_accounts(tx, sides)
    own = {account.account_id for account in accounts if is_open_to(caller, account)}
    return [booked for booked in changes if booked.transfer.debit in own or booked.transfer.credit in own]


def _after(text: str) -> Place | None:
    return parse_place(text) if text else None


def _label(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise InvalidInput(
            "That is no label.",
            problems=(Problem("label", f"{text[:40]!r} is not name=value", "Give a name, = and a value"),),
        )
    return name, value


def _found(account: Account) -> FoundAccount:
    return FoundAccount(
        account.account_id,
        account.currency,
        int(account.code),
        account.holder,
        int(account.flags),
        account.partition,
        account.path,
        dict(account.labels),
    )


ROUTES = [find_accounts, read_tree, read_journal, stream_changes]
