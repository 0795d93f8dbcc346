"""Over HTTP: accounts found, branches added up, the journal in pages and as a stream; each to whom it is open."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any

import msgspec
import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.response import ServerSentEventMessage
from litestar.testing import TestClient

from hansa import ledger, trust
from hansa.kernel import HansaError
from hansa.ledger import Account, AccountCode, Place, reading_routes
from hansa.store import Context
from ledger.books import Books, a_transfer, account_id, transfer_id
from loops import run_loop

Client = TestClient[Litestar]
READS = frozenset({"ledger:read"})
LEAGUE = trust.Caller("league", "league", READS, trust.MemberId("league"))
SHOP = trust.Caller("shop", "operator", READS, trust.MemberId("shop-holder"))
GATE = trust.Caller("gate", "gate", READS, trust.MemberId("shop-holder"))
NOBODY = trust.Caller("anonymous", "anonymous")
NO_SCOPE = trust.Caller("league", "league", frozenset({"taps:write"}), trust.MemberId("league"))


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, object]]:
    return Response(
        {"code": error.code, "where": [p.where for p in error.problems]}, status_code=error.status
    )


@pytest.fixture
def books(ctx: Context) -> Books:
    def account(name: str, code: AccountCode, path: str, **labels: str) -> Account:
        return Account(account_id(name), "CNY", code, f"{name}-holder", path=path, labels=labels)

    ledger.open_accounts(
        ctx,
        [
            account("bank", AccountCode.CASH, "cash:bank"),
            account("ann", AccountCode.WALLET, "wallet", kind="rider"),
            account("shop", AccountCode.POSITION, "position:bank:shop"),
        ],
    )
    books = Books(ctx)
    for name in ("ann", "shop"):
        books.post(a_transfer(f"to {name}", "bank", name, 50), a_transfer(f"{name} again", "bank", name, 5))
    return books


@pytest.fixture
def client_of(books: Books) -> Iterator[Callable[[trust.Caller], Client]]:
    open_clients: list[Client] = []

    def client_of(caller: trust.Caller) -> Client:
        app = Litestar(
            reading_routes.ROUTES,
            dependencies={
                "ctx": Provide(lambda: books.ctx, sync_to_thread=False),
                "caller": Provide(lambda: caller, sync_to_thread=False),
            },
            exception_handlers={HansaError: problem},
        )
        open_clients.append(TestClient(app).__enter__())
        return open_clients[-1]

    yield client_of
    for client in open_clients:
        client.__exit__(None, None, None)


def names(answer: Any) -> list[str]:
    by_id = {str(account_id(name)): name for name in ("bank", "ann", "shop")}
    return sorted(by_id[account["account_id"]] for account in answer.json()["accounts"])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["ann", "bank", "shop"]),
        ("?holder=ann-holder", ["ann"]),
        ("?code=30", ["shop"]),
        ("?path=position:bank", ["shop"]),
        ("?label=kind=rider", ["ann"]),
        ("?label=kind=driver", []),
        ("?currency=HKD", []),
    ],
)
def test_accounts_are_found(
    client_of: Callable[[trust.Caller], Client], query: str, found: list[str]
) -> None:
    assert names(client_of(LEAGUE).get(f"/v1/ledger/accounts{query}")) == found


def test_a_member_finds_its_own_accounts_whatever_it_asks(
    client_of: Callable[[trust.Caller], Client],
) -> None:
    client = client_of(SHOP)

    assert names(client.get("/v1/ledger/accounts")) == ["shop"]
    assert names(client.get("/v1/ledger/accounts?holder=ann-holder")) == ["shop"]
    assert names(client_of(GATE).get("/v1/ledger/accounts")) == []


def test_a_search_goes_on_where_it_ended(client_of: Callable[[trust.Caller], Client]) -> None:
    client = client_of(LEAGUE)

    first = client.get("/v1/ledger/accounts?limit=2")
    rest = client.get(f"/v1/ledger/accounts?limit=2&after={first.json()['next']}")

    assert sorted(names(first) + names(rest)) == ["ann", "bank", "shop"]
    assert rest.json()["next"] is None


def test_branches_are_added_up_for_the_league(client_of: Callable[[trust.Caller], Client]) -> None:
    answer = client_of(LEAGUE).get("/v1/ledger/tree?path=position&depth=2").json()

    assert [
        (row["branch"], row["currency"], row["balance"]["credits_posted"]) for row in answer["branches"]
    ] == [("position:bank", "CNY", 55)]


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("/v1/ledger/tree?path=No", "path"),
        ("/v1/ledger/accounts?label=rider", "label"),
        ("/v1/ledger/journal?after=here", "after"),
        ("/v1/ledger/changes?after=1-70000", "after"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    client_of: Callable[[trust.Caller], Client], address: str, where: str
) -> None:
    answer = client_of(LEAGUE).get(address)

    assert (answer.status_code, answer.json()["where"]) == (422, [where])


@pytest.mark.parametrize("address", ["accounts", "tree", "journal", "changes"])
@pytest.mark.parametrize(("caller", "status"), [(NOBODY, 401), (NO_SCOPE, 403)])
def test_who_may_not_read_is_told_so(
    client_of: Callable[[trust.Caller], Client], address: str, caller: trust.Caller, status: int
) -> None:
    assert client_of(caller).get(f"/v1/ledger/{address}").status_code == status


def test_the_tree_is_the_leagues(client_of: Callable[[trust.Caller], Client]) -> None:
    assert client_of(SHOP).get("/v1/ledger/tree").status_code == 403


def test_the_journal_is_read_in_pages(client_of: Callable[[trust.Caller], Client]) -> None:
    client = client_of(LEAGUE)

    first = client.get("/v1/ledger/journal?limit=3").json()
    rest = client.get(f"/v1/ledger/journal?limit=3&after={first['next']}").json()
    end = client.get(f"/v1/ledger/journal?after={rest['next']}").json()

    found = [transfer["transfer_id"] for transfer in first["transfers"] + rest["transfers"]]
    assert found == [str(transfer_id(name)) for name in ("to ann", "ann again", "to shop", "shop again")]
    assert (first["more"], rest["more"], end) == (
        True,
        False,
        {"transfers": [], "next": rest["next"], "more": False},
    )


def test_a_member_reads_the_transfers_of_its_accounts(client_of: Callable[[trust.Caller], Client]) -> None:
    answer = client_of(SHOP).get("/v1/ledger/journal").json()

    assert [transfer["amount"] for transfer in answer["transfers"]] == [50, 5]
    assert answer["next"] == "2-1"


def heard(
    books: Books, caller: trust.Caller, after: Place | None, count: int
) -> list[ServerSentEventMessage]:
    async def listen() -> list[ServerSentEventMessage]:
        found: list[ServerSentEventMessage] = []
        async with aclosing(reading_routes._events(books.ctx, caller, 0, after)) as events:
            async for event in events:
                found.append(event)
                if len(found) == count:
                    return found
        return found

    return run_loop(asyncio.wait_for(listen(), 60))


def test_the_stream_tells_each_transfer_with_its_place(books: Books) -> None:
    events = heard(books, LEAGUE, None, 4)

    assert [event.id for event in events] == ["1-0", "1-1", "2-0", "2-1"]
    told = [msgspec.json.decode(str(event.data)) for event in events]
    assert [one["transfer_id"] for one in told] == [
        str(transfer_id(name)) for name in ("to ann", "ann again", "to shop", "shop again")
    ]


def test_the_stream_goes_on_after_the_last_event(books: Books) -> None:
    assert [event.id for event in heard(books, LEAGUE, Place(1, 1), 2)] == ["2-0", "2-1"]


def test_a_quiet_stream_gives_a_sign_of_life(books: Books) -> None:
    (event,) = heard(books, LEAGUE, Place(2, 1), 1)

    assert (event.comment, event.data, event.id) == ("here", None, None)


def test_a_member_hears_of_its_own_accounts_only(books: Books) -> None:
    assert [event.id for event in heard(books, SHOP, None, 2)] == ["2-0", "2-1"]
