"""The HTTP face of the books."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.di import Provide
from litestar.testing import TestClient

from hansa import ledger, trust
from hansa.kernel import HansaError
from hansa.ledger.routes import POST_MAX, ROUTES
from hansa.store import Context
from ledger.books import Books, a_transfer, account_id, transfer_id

Client = TestClient[Litestar]
BOTH = frozenset({"ledger:read", "ledger:write"})
LEAGUE = trust.Caller("league", "league", BOTH, trust.MemberId("league"))
MEMBER = trust.Caller("london-tfl", "operator", BOTH, trust.MemberId("london-tfl"))


def problem(_: Request[object, object, State], error: HansaError) -> Response[dict[str, object]]:
    body: dict[str, object] = {"code": error.code, "problems": [p.where for p in error.problems]}
    return Response(body, status_code=error.status)


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", shop="free")
    books.fund("ann", 100)
    return books


@pytest.fixture
def client_of(books: Books) -> Iterator[Callable[[trust.Caller], Client]]:
    open_clients: list[Client] = []

    def client_of(caller: trust.Caller) -> Client:
        app = Litestar(
            ROUTES,
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


@pytest.fixture
def client(client_of: Callable[[trust.Caller], Client]) -> Client:
    return client_of(LEAGUE)


def body(name: str, amount: float | str = 30, **changes: Any) -> dict[str, Any]:
    return {
        "transfer_id": str(transfer_id(name)),
        "debit": str(account_id("ann")),
        "credit": str(account_id("shop")),
        "amount": amount,
        "currency": "CNY",
        "code": 12,
        "event_at": "2026-11-17T16:00:00+08:00",
        **changes,
    }


def test_transfers_are_booked_and_each_gets_its_result(client: Client, books: Books) -> None:
    sent = {
        "transfers": [
            body("fare"),
            body("hold", 50, flags=["pending"], timeout_s=60),
            body("much", 21),
            {
                "transfer_id": str(transfer_id("post")),
                "event_at": "2026-11-17T08:00:00Z",
                "amount": 50,
                "flags": ["post_pending"],
                "pending_id": str(transfer_id("hold")),
            },
        ]
    }

    answer = client.post("/v1/ledger/transfers", json=sent)
    again = client.post("/v1/ledger/transfers", json=sent)

    assert answer.status_code == 200
    assert [(r["code"], r["ok"]) for r in answer.json()["results"]] == [
        ("created", True),
        ("created", True),
        ("exceeds_credits", False),
        ("created", True),
    ]
    assert [r["code"] for r in again.json()["results"]] == ["exists", "exists", "exceeds_credits", "exists"]
    assert books.balances()["ann"].credit_minor == 20


@pytest.mark.parametrize(
    ("transfers", "status"),
    [
        ([], 400),
        ([body("t", -1)], 400),
        ([body("t", 2**63)], 200),
        ([body("t", str(2**128 - 1))], 200),
        ([body("t", 2**128)], 422),
        ([body("t", str(2**128))], 422),
        ([body("t", "1" * 40)], 400),
        ([body("t", "-3")], 400),
        ([body("t", 3.5)], 400),
        ([body("t", tag=2**32)], 400),
        ([body("t", timeout_s=2**32)], 400),
        ([body("t", flags=["closing_debit"])], 200),
        ([body("t", event_at="yesterday")], 400),
        ([body("t", event_at="2026-11-17T08:00:00")], 422),
        ([body("t", event_at="0001-01-01T00:00:00+08:00")], 422),
        ([body("t", event_at="9999-12-31T23:59:59-08:00")], 422),
        ([body("t", flags=["expired"])], 200),
        ([body("t", flags=["loudly"])], 422),
        ([body("t", code=999)], 422),
        ([body("t", memo="x" * 201)], 400),
        ([body("t", memo="a\0b")], 200),
        ([body("t", currency="YUAN")], 400),
        ([body("t", surprise=1)], 400),
        ([body("t", transfer_id="seven")], 400),
        ([body(f"t{n}", 1) for n in range(POST_MAX + 1)], 400),
    ],
)
def test_what_does_not_fit_books_nothing(
    client: Client, books: Books, transfers: list[object], status: int
) -> None:
    before = books.balances()

    answer = client.post("/v1/ledger/transfers", json={"transfers": transfers})

    assert answer.status_code == status
    assert books.balances() == before


def test_what_a_javascript_number_cannot_hold_is_told_as_text(client: Client, books: Books) -> None:
    exact, beyond, most = 2**53 - 1, 2**53, 2**128 - 1
    sent = [
        body("exact", exact, debit=str(account_id("bank"))),
        body("beyond", str(beyond), debit=str(account_id("bank"))),
        body("most", most, debit=str(account_id("bank")), credit=str(account_id("ann")), tag=2**32 - 1),
        body("rest", most, flags=["balancing_credit"], debit=str(account_id("bank"))),
    ]

    results = client.post("/v1/ledger/transfers", json={"transfers": sent}).json()["results"]
    told = {
        name: client.get(f"/v1/ledger/transfers/{transfer_id(name)}").json()
        for name, result in zip(("exact", "beyond", "most", "rest"), results, strict=True)
        if result["ok"]
    }
    balance = client.get(f"/v1/ledger/accounts/{account_id('shop')}").json()["balance"]

    assert {name: transfer["amount"] for name, transfer in told.items()} == {
        "exact": exact,
        "beyond": str(beyond),
        "rest": 0,
    }
    assert [result["code"] for result in results[2:]] == ["overflows_debits_posted", "created"]
    assert told["rest"]["flags"] == ["balancing_credit"]
    assert balance["credits_posted"] == str(exact + beyond)


def test_a_tag_and_closing_flags_come_back_as_sent(client: Client) -> None:
    sent = body("close", 0, flags=["pending", "closing_debit", "closing_credit"], tag=2**32 - 1)

    codes = [
        result["code"]
        for result in client.post(
            "/v1/ledger/transfers", json={"transfers": [sent, body("late"), body("u", tag=2**32 - 1)]}
        ).json()["results"]
    ]
    kept = client.get(f"/v1/ledger/transfers/{transfer_id('close')}").json()

    assert codes == ["created", "debit_account_already_closed", "debit_account_already_closed"]
    assert (kept["tag"], kept["flags"]) == (2**32 - 1, ["pending", "closing_debit", "closing_credit"])


def test_a_refusal_of_the_form_names_the_field(client: Client) -> None:
    answer = client.post(
        "/v1/ledger/transfers", json={"transfers": [body("t"), body("u", event_at="2026-11-17T08:00:00")]}
    )

    assert answer.json() == {"code": "hansa.invalid_input", "problems": ["transfers[1].event_at"]}


@pytest.mark.parametrize(
    ("caller", "read", "write"),
    [
        (trust.ANONYMOUS, 401, 401),
        (trust.Caller("key", "league"), 403, 403),
        (trust.Caller("key", "league", frozenset({"ledger:read"})), 200, 403),
        (trust.Caller("key", "league", frozenset({"ledger:write"})), 403, 200),
    ],
)
def test_the_books_are_open_to_those_with_the_scope(
    client_of: Callable[[trust.Caller], Client], caller: trust.Caller, read: int, write: int
) -> None:
    client = client_of(caller)
    account = account_id("ann")

    paths = [f"accounts/{account}", f"accounts/{account}/statement", "trial-balance", "blocks"]
    paths.append(f"transfers/{transfer_id('fund ann 100')}")
    assert {client.get(f"/v1/ledger/{path}").status_code for path in paths} == {read}
    assert client.post("/v1/ledger/transfers", json={"transfers": [body("t")]}).status_code == write


@pytest.mark.parametrize(
    "caller",
    [
        MEMBER,
        trust.Caller("someone", "member", BOTH, trust.MemberId("someone")),
        trust.Caller("bank", "member", BOTH, trust.MemberId("bank")),
        trust.Caller("gate", "gate", BOTH, trust.MemberId("someone")),
    ],
)
def test_nobody_but_the_league_moves_money_by_hand(
    client_of: Callable[[trust.Caller], Client], books: Books, caller: trust.Caller
) -> None:
    before = books.balances()

    answer = client_of(caller).post("/v1/ledger/transfers", json={"transfers": [body("taken")]})

    assert (answer.status_code, answer.json()["code"]) == (403, "trust.not_allowed")
    assert books.balances() == before


# who | status of ann's account, its statement, a transfer of hers, the trial balance
@pytest.mark.parametrize(
    ("caller", "statuses"),
    [
        (LEAGUE, [200, 200, 200, 200]),
        (trust.Caller("someone", "member", BOTH, trust.MemberId("someone")), [200, 200, 200, 403]),
        (trust.Caller("gate", "gate", BOTH, trust.MemberId("someone")), [404, 404, 404, 403]),
        (trust.Caller("person", "person", BOTH), [404, 404, 404, 403]),
        (MEMBER, [404, 404, 404, 403]),
    ],
)
def test_a_member_reads_the_accounts_it_holds(
    client_of: Callable[[trust.Caller], Client], caller: trust.Caller, statuses: list[int]
) -> None:
    client = client_of(caller)
    account = account_id("ann")
    paths = [f"accounts/{account}", f"accounts/{account}/statement"]
    paths += [f"transfers/{transfer_id('fund ann 100')}", "trial-balance"]

    answers = [client.get(f"/v1/ledger/{path}") for path in paths]

    assert [answer.status_code for answer in answers] == statuses
    if statuses[0] == 404:
        codes = [answer.json()["code"] for answer in answers[:3]]
        assert codes == ["ledger.unknown_account"] * 2 + ["ledger.unknown_transfer"]


def test_an_account_shows_its_balance_now_and_then(client: Client, books: Books) -> None:
    now = client.get(f"/v1/ledger/accounts/{account_id('ann')}").json()
    then = client.get(
        f"/v1/ledger/accounts/{account_id('ann')}", params={"at": "2026-11-17T11:00:00Z"}
    ).json()

    assert (now["currency"], now["flags"], now["balance"]["credits_posted"]) == ("CNY", 1, 100)
    assert then["balance"]["credits_posted"] == 0
    assert client.get(f"/v1/ledger/accounts/{UUID(int=9)}").json()["code"] == "ledger.unknown_account"
    assert (
        client.get(
            f"/v1/ledger/accounts/{account_id('ann')}", params={"at": "2026-11-17T11:00:00"}
        ).status_code
        == 422
    )


def test_a_statement_is_read_page_by_page(client: Client, books: Books) -> None:
    for number in range(4):
        books.post(a_transfer(f"f{number}", "ann", "shop", 10))
    path = f"/v1/ledger/accounts/{account_id('ann')}/statement"

    seen: list[tuple[int, int]] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = client.get(path, params=query).json()
        seen += [
            (e["credit_minor"], e["balance"]["credits_posted"] - e["balance"]["debits_posted"])
            for e in page["entries"]
        ]
        if page["next"] is None:
            break
        query["after"] = page["next"]

    assert seen == [(100, 100), (-10, 90), (-10, 80), (-10, 70), (-10, 60)]
    assert client.get(path, params={"after": "first"}).status_code == 422
    assert client.get(path, params={"limit": 100_000}).status_code == 400


def test_a_transfer_a_block_and_the_trial_balance_are_read(client: Client, books: Books) -> None:
    transfer = client.get(f"/v1/ledger/transfers/{transfer_id('fund ann 100')}").json()
    blocks = client.get("/v1/ledger/blocks").json()
    trial = client.get("/v1/ledger/trial-balance", params={"day": "2026-11-17"}).json()

    assert (transfer["amount"], transfer["block"], transfer["position"], transfer["flags"]) == (100, 1, 0, [])
    with books.ctx.tx() as tx:
        number, digest = ledger.block_head(tx)
    assert blocks["blocks"][-1]["hash"] == digest.hex()
    assert (number, blocks["next"]) == (1, None)
    assert trial["is_even"]
    assert trial["totals"] == [{"currency": "CNY", "debits_posted": 100, "credits_posted": 100}]
    assert client.get("/v1/ledger/trial-balance", params={"day": "9999-12-31"}).status_code == 422
    assert client.get(f"/v1/ledger/transfers/{UUID(int=9)}").json()["code"] == "ledger.unknown_transfer"
