"""The short way for transfers: the route's own answers, engines' answers, bytes, keys that end, and senders that go."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from litestar.testing import TestClient
from litestar.types import ASGIApp, HTTPScope, Message

from hansa import ledger, trust
from hansa.apps.web import create_app
from hansa.apps.web.app import BODY_MAX
from hansa.apps.web.door import FrontDoor
from hansa.apps.web.hot import PATH, HotTransfers, _Answers
from hansa.apps.web.security_headers import SECURITY_HEADERS
from hansa.apps.web.short_way import KEY_LASTS_S, KnownKeys
from hansa.kernel import InvalidInput
from hansa.ledger import ResultCode
from hansa.ledger.batch import RESULT_NUMBERS, RESULTS, read_results, write_results
from hansa.ledger.routes import BATCH_TYPE, RESULTS_TYPE
from hansa.store import Context, Tx
from ledger.books import MORNING, Books, a_transfer, account_id, transfer_id
from loops import run_loop

LEAGUE, SHOP = trust.MemberId("league"), trust.MemberId("shop")


@dataclass
class Answer:
    """What came back. type: the media type."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def type(self) -> str:
        return self.headers["content-type"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        return [result["code"] for result in self.json["results"]]


@dataclass
class Door:
    """A Hansa's application with books behind it, and the league's key to it."""

    ctx: Context
    app: HotTransfers
    books: Books
    key: str
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}

    def scope(self, headers: dict[str, str] | None = None) -> HTTPScope:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or self.headers).items()],
            "client": ("203.0.113.9", 50_000),
            "server": ("hansa.example", 80),
            "extensions": {},
        }
        return cast(HTTPScope, scope)

    async def ask(self, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
        """One request as a server hands it on."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        inbox = [{"type": "http.request", "body": content, "more_body": False}]
        outbox: list[Any] = []

        async def receive() -> Any:
            return inbox.pop() if inbox else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            outbox.append(message)

        await self.app(self.scope(headers), receive, send)
        start, *rest = outbox
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(part["body"] for part in rest),
        )


def a_door(ctx: Context, home: Path, *, demo: bool = False) -> Door:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", shop="free")
    books.fund("ann", 1_000)
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                trust.Member(LEAGUE, "League", "league", None, LEAGUE, "TEST-league"),
                trust.Member(SHOP, "Shop", "operator", None, SHOP, "TEST-shop"),
            ],
        )
        key = trust.create_api_key(tx, LEAGUE, ["ledger:write"], at=ctx.clock.now())
    front = create_app(ctx, home=home, demo=demo)
    assert isinstance(front, FrontDoor)
    app = front.behind
    assert isinstance(app, HotTransfers)
    return Door(ctx, app, books, key)


@pytest.fixture
def door(committed_ctx: Context, tmp_path: Path) -> Door:
    return a_door(committed_ctx, tmp_path)


@pytest.fixture
def kept(door: Door) -> Generator[Door]:
    """A door whose books an engine of this process keeps."""
    with ledger.Engine(door.ctx):
        yield door


def fare(name: str, amount: Any = 3, **changes: Any) -> dict[str, Any]:
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


def fares(*transfers: dict[str, Any]) -> dict[str, Any]:
    return {"transfers": list(transfers)}


# --- the same answer as the route's

FITTING: dict[str, Any] = {
    "one": fares(fare("a")),
    "some, one refused": fares(fare("a"), fare("b", 5_000), fare("c", 0)),
    "twice the same": fares(fare("a"), fare("a")),
    "a chain": fares(fare("a", flags=["linked"]), fare("b", 5_000, flags=["linked"]), fare("c")),
    "an open chain": fares(fare("a"), fare("b", flags=["linked"])),
    "a hold and its end": fares(
        fare("a", flags=["pending"], timeout_s=2**32 - 1, tag=7, memo="票"),
        {
            "transfer_id": str(transfer_id("b")),
            "event_at": "2026-11-17T08:00:00Z",
            "amount": str(2**128 - 1),
            "flags": ["post_pending"],
            "pending_id": str(transfer_id("a")),
        },
    ),
    "balancing": fares(fare("a", 2**128 - 1, flags=["balancing_debit"])),
    "closing": fares(fare("a", 0, flags=["pending", "closing_debit", "closing_credit"]), fare("b")),
    "closing without a hold": fares(fare("a", flags=["closing_debit"])),
    "the ledger's own flag": fares(fare("a", flags=["expired"])),
    "two partitions": fares(fare("a"), fare("b", partition=1), fare("c")),
    "a chain across partitions": fares(fare("a", flags=["linked"]), fare("b", partition=1), fare("c")),
    "amount as text": fares(fare("a", "30")),
    "amount with zeros in front": fares(fare("a", "0030")),
    "amount of 39 digits": fares(fare("a", 2**128 - 1)),
    "amount as a whole float": fares(fare("a", 3.0)),
    "a number as text": fares(fare("a", code="12")),
    "a NUL in the memo": fares(fare("a", memo="a\0b"), fare("b")),
    "half of a currency": fares(fare("a", currency="CN")),
    "a currency of other letters": fares(fare("a", currency="元")),
    "no account": fares(fare("a", debit=str(account_id("nobody")))),
    "ids without hyphens": fares(fare("a", transfer_id=transfer_id("a").hex)),
    "another offset": fares(fare("a", event_at="2026-11-17T08:00:00.123456-11:30")),
    "spaces": b' \n{ "transfers" : [ ' + json.dumps(fare("a")).encode() + b" ] } ",
}

MISFITS: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"transfers": "\xff"}',
    "a list": b"[]",
    "null": b"null",
    "no transfers": fares(),
    "not a list": {"transfers": 5},
    "another name": {"transfers": [fare("a")], "surprise": 1},
    "a surprise": fares(fare("a"), fare("b", surprise=1)),
    "nested without end": b'{"transfers":' * 5_000,
    "an amount missing": fares({name: value for name, value in fare("a").items() if name != "amount"}),
    "an amount below zero": fares(fare("a", -1)),
    "an amount too large": fares(fare("a"), fare("b", 2**128)),
    "an amount too large as text": fares(fare("a", str(2**128))),
    "an amount of 40 digits": fares(fare("a", "1" * 40)),
    "an amount with a sign": fares(fare("a", "-3")),
    "an amount with a point": fares(fare("a", 3.5)),
    "an amount of nothing": fares(fare("a", "")),
    "an amount that is true": fares(fare("a", True)),
    "no instant": fares(fare("a", event_at="yesterday")),
    "no offset": fares(fare("a"), fare("b", event_at="2026-11-17T08:00:00")),
    "the year 1": fares(fare("a", event_at="0001-01-01T00:00:00+08:00")),
    "the year 9999": fares(fare("a", event_at="9999-12-31T23:59:59-08:00")),
    "no such flag": fares(fare("a"), fare("b", flags=["pending", "loudly"])),
    "too many flags": fares(fare("a", flags=["linked"] * 9)),
    "no such reason": fares(fare("a", code=999)),
    "a code too large": fares(fare("a", code=32_768)),
    "a tag too large": fares(fare("a", tag=2**32)),
    "a timeout too long": fares(fare("a", timeout_s=2**32)),
    "a partition too large": fares(fare("a", partition=32_768)),
    "a memo too long": fares(fare("a", memo="x" * 201)),
    "a currency too long": fares(fare("a", currency="YUAN")),
    "an id that is none": fares(fare("a", transfer_id="seven")),
    "too many": fares(*[fare("a")] * (ledger.BATCH_MAX + 1)),
    "too large": b" " * (BODY_MAX + 1),
}

WAYS_IN: dict[str, dict[str, str | None]] = {
    "no key": {"authorization": None},
    "an unknown key": {"authorization": "Bearer hansa_made_up"},
    "an empty key": {"authorization": "Bearer "},
    "another scheme": {"authorization": "Basic aGFuc2E6aGFuc2E="},
    "a key that may only read": {"authorization": "Bearer {reads}"},
    "a member's key": {"authorization": "Bearer {shop}"},
    "a key in small letters": {"authorization": "bearer  {league} "},
    "from another site": {"authorization": None, "sec-fetch-site": "cross-site"},
    "from another origin": {"authorization": None, "origin": "https://elsewhere.example"},
    "a charset": {"content-type": "Application/JSON; charset=utf-8"},
    "another media type": {"content-type": "text/plain"},
    "a form": {"content-type": "application/x-www-form-urlencoded"},
    "no media type": {"content-type": None},
    "a reader of pages": {"accept": "text/html"},
}


@dataclass
class BothWays:
    """One application asked by the short way and by the route, each time on the same books."""

    door: Door
    connection: Tx
    keys: dict[str, str]
    host: str = "203.0.113.9"

    def compare(self, body: Any, ways: dict[str, str | None] | None = None, path: str = PATH) -> Answer:
        headers = dict(self.door.headers)
        for name, value in (ways or {}).items():
            if value is None:
                del headers[name]
            else:
                headers[name] = value.format(**self.keys)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        short = self._ask(self.door.app, content, headers, path)
        route = self._ask(self.door.app._app, content, headers, path)
        assert short == route
        return short

    def _ask(self, app: ASGIApp, body: bytes, headers: dict[str, str], path: str) -> Answer:
        with self._undone(), TestClient(self._seen(app), raise_server_exceptions=False) as client:
            answer = client.post(path, content=body, headers=headers)
            told = answer.content
            if "problem" in answer.headers["content-type"]:
                problem = answer.json()
                assert problem.pop("instance").startswith("urn:uuid:")
                told = json.dumps(problem).encode()
            kept = {name: value for name, value in answer.headers.items() if name != "content-length"}
            assert int(answer.headers["content-length"]) == len(answer.content)
            return Answer(answer.status_code, kept, told)

    def _seen(self, app: ASGIApp) -> ASGIApp:
        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope["client"] = (self.host, 50_000)
            await app(scope, receive, send)

        return asgi

    @contextmanager
    def _undone(self) -> Generator[None]:
        with self.connection.transaction(force_rollback=True):
            yield


@pytest.fixture
def both(ctx: Context, tmp_path: Path, shared_connection: Tx) -> BothWays:
    door = a_door(ctx, tmp_path, demo=True)
    with ctx.tx() as tx:
        reads = trust.create_api_key(tx, LEAGUE, ["ledger:read"], at=ctx.clock.now())
        shop = trust.create_api_key(tx, SHOP, ["ledger:read", "ledger:write"], at=ctx.clock.now())
    return BothWays(door, shared_connection, {"league": door.key, "reads": reads, "shop": shop})


@pytest.mark.parametrize("name", FITTING)
def test_what_fits_is_answered_as_by_the_route(both: BothWays, name: str) -> None:
    answer = both.compare(FITTING[name])

    assert (answer.status, answer.type) == (200, "application/json")
    assert answer.headers.items() >= SECURITY_HEADERS.items()


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_answered_as_by_the_route(both: BothWays, name: str) -> None:
    before = both.door.books.balances()

    answer = both.compare(MISFITS[name])

    assert answer.status in (400, 413, 422)
    assert answer.type == "application/problem+json"
    assert both.door.books.balances() == before


@pytest.mark.parametrize("name", WAYS_IN)
def test_whoever_asks_is_answered_as_by_the_route(both: BothWays, name: str) -> None:
    answer = both.compare(FITTING["one"], WAYS_IN[name])
    both.compare(MISFITS["no such flag"], WAYS_IN[name])
    both.compare(MISFITS["no JSON"], WAYS_IN[name])

    refused = name.startswith(("no key", "an ", "another scheme", "a key that", "a member", "from"))
    assert (answer.status in (401, 403)) is refused, answer


def test_who_sits_at_a_demos_machine_is_the_league_here_too(both: BothWays) -> None:
    both.host = "127.0.0.1"

    answer = both.compare(FITTING["one"], {"authorization": None, "host": "localhost"})

    assert answer.codes == ["created"]


def test_a_query_is_the_routes_to_answer(both: BothWays) -> None:
    assert both.compare(FITTING["one"], path=f"{PATH}?day=9999-12-31").status == 422
    assert both.compare(FITTING["one"], path=f"{PATH}?so=what").status == 200
    assert both.compare(FITTING["one"], path=f"{PATH}/").status == 200


# --- engines


def test_an_engines_answers_are_those_of_the_books(kept: Door) -> None:
    async def run() -> list[Answer]:
        first = await kept.ask(fares(fare("a"), fare("b", 5_000), fare("c", partition=3)))
        again = await kept.ask(fares(fare("a"), fare("b", 5), fare("c", partition=3)))
        return [first, again]

    first, again = run_loop(run())

    assert first.codes == ["created", "exceeds_credits", "debit_account_not_found"]
    assert again.codes == ["exists", "created", "debit_account_not_found"]
    assert kept.books.balances()["shop"].credit_minor == 8
    assert kept.app._waiting == 0
    kept.books.verify()


def test_many_at_once_are_each_told_their_own(kept: Door) -> None:
    async def run() -> list[Answer]:
        asked = [kept.ask(fares(fare(f"n{n}", 1), fare(f"twice {n % 10}", 1))) for n in range(100)]
        return await asyncio.gather(*asked)

    answers = run_loop(run())

    assert [answer.codes[0] for answer in answers] == ["created"] * 100
    assert sorted(answer.codes[1] for answer in answers) == ["created"] * 10 + ["exists"] * 90
    assert {answer.json["results"][0]["transfer_id"] for answer in answers} == {
        str(transfer_id(f"n{n}")) for n in range(100)
    }
    assert kept.books.balances()["shop"].credit_minor == 110
    kept.books.verify()


def test_the_answers_of_one_block_wake_the_loop_once() -> None:
    class Handed:
        """Stands for an engine that answers when told to."""

        def __init__(self) -> None:
            self.dones: list[Callable[[Any], None]] = []

        def submit(self, batch: ledger.Batch, done: Callable[[Any], None]) -> None:
            self.dones.append(done)

    async def run() -> tuple[int, list[Any], list[int]]:
        loop = asyncio.get_running_loop()
        wakes, taken = 0, list[int]()
        answers, engine = _Answers(loop, taken.append), Handed()
        schedule = loop.call_soon_threadsafe

        def count(*work: Any, **options: Any) -> Any:
            nonlocal wakes
            wakes += 1
            return schedule(*work, **options)

        setattr(loop, "call_soon_threadsafe", count)  # noqa: B010
        batch = ledger.batch_of([a_transfer("a", "ann", "shop", 1)])
        futures = [answers.of(cast(ledger.Engine, engine), batch) for _ in range(50)]
        futures[7].cancel()
        block = threading.Thread(target=lambda: [done([ResultCode.CREATED]) for done in engine.dones])
        block.start()
        block.join()  # the loop stands still until the whole block is answered
        told = await asyncio.gather(*futures, return_exceptions=True)
        return wakes, told, taken

    wakes, told, taken = run_loop(run())

    assert wakes == 1
    assert [answer for answer in told if answer == [ResultCode.CREATED]] == [[ResultCode.CREATED]] * 49
    assert taken == [1] * 50


def test_a_sender_who_goes_loses_nothing_and_disturbs_nobody(kept: Door) -> None:
    async def run() -> list[Answer]:
        leaving = [asyncio.ensure_future(kept.ask(fares(fare(f"gone {n}", 1)))) for n in range(20)]
        staying = [asyncio.ensure_future(kept.ask(fares(fare(f"here {n}", 1)))) for n in range(20)]
        while kept.app._waiting < 40 and not all(task.done() for task in leaving):
            await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        return [*await asyncio.gather(*staying), *[await kept.ask(fares(fare("gone 3", 1)))]]

    *stayed, again = run_loop(run())

    assert [answer.codes for answer in stayed] == [["created"]] * 20
    assert again.codes == ["exists"]
    assert kept.books.balances()["shop"].credit_minor == 40
    assert kept.app._waiting == 0
    kept.books.verify()


def test_a_body_that_breaks_off_books_nothing(kept: Door) -> None:
    inbox: list[Any] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": b"{", "more_body": True},
    ]

    async def receive() -> Any:
        return inbox.pop()

    def send(_: Any) -> Awaitable[None]:
        raise AssertionError("there is nobody to answer")

    run_loop(kept.app(kept.scope(), receive, send))

    assert kept.books.balances()["shop"].credit_minor == 0


def test_a_body_in_pieces_is_one_body(kept: Door) -> None:
    content = json.dumps(fares(fare("a"))).encode()
    inbox: list[Any] = [
        {"type": "http.request", "body": content[at : at + 50], "more_body": at + 50 < len(content)}
        for at in range(0, len(content), 50)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return inbox.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    run_loop(kept.app(kept.scope(), receive, send))

    assert json.loads(sent[1]["body"])["results"][0]["code"] == "created"


def test_who_would_wait_too_long_is_told_to_come_again(kept: Door) -> None:
    kept.app._waiting_max = 2

    answer = run_loop(kept.ask(fares(fare("a"), fare("b"), fare("c"))))

    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "ledger.busy", "1")
    assert kept.books.balances()["shop"].credit_minor == 0
    assert run_loop(kept.ask(fares(fare("a"), fare("b")))).codes == ["created", "created"]


def test_a_stopping_engine_is_said_and_forgiven(kept: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ledger.find_engine(kept.ctx, 0)
    assert engine is not None
    engine.stop()

    def find_engine(*_: object) -> ledger.Engine:
        return engine

    monkeypatch.setattr(ledger, "find_engine", find_engine)

    answer = run_loop(kept.ask(fares(fare("a"))))

    assert (answer.status, answer.json["code"]) == (503, "store.unavailable")
    assert kept.app._waiting == 0


def test_a_bug_gives_an_id_and_no_details(kept: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the word is xyzzy")

    monkeypatch.setattr(ledger, "find_engine", broken)

    answer = run_loop(kept.ask(fares(fare("a"))))

    assert (answer.status, answer.json["code"]) == (500, "web.failed")
    assert b"xyzzy" not in answer.body and answer.json["instance"].startswith("urn:uuid:")


# --- bytes


def as_bytes(*transfers: ledger.Transfer) -> bytes:
    return ledger.write_batch(ledger.batch_of(transfers))


@pytest.fixture
def bytes_in(kept: Door) -> dict[str, str]:
    return {"authorization": f"Bearer {kept.key}", "content-type": BATCH_TYPE}


def test_a_batch_of_bytes_is_answered_in_bytes(kept: Door, bytes_in: dict[str, str]) -> None:
    batch = as_bytes(
        a_transfer("a", "ann", "shop", 4, memo="票"),
        a_transfer("b", "ann", "shop", 5_000),
        a_transfer("c", "ann", "nobody", 1),
    )

    answer = run_loop(kept.ask(batch, bytes_in))
    again = run_loop(kept.ask(batch, bytes_in))

    assert (answer.status, answer.type, len(answer.body)) == (200, RESULTS_TYPE, 6)
    assert answer.headers.items() >= SECURITY_HEADERS.items()
    assert read_results(answer.body) == ["created", "exceeds_credits", "credit_account_not_found"]
    assert read_results(again.body) == ["exists", "exceeds_credits", "credit_account_not_found"]
    kept.books.verify()


def test_bytes_for_several_partitions_find_each_its_own(kept: Door, bytes_in: dict[str, str]) -> None:
    transfers = [a_transfer(f"t{n}", "ann", "shop", 1, memo=f"m{n}") for n in range(4)]
    transfers.insert(1, a_transfer("chain", "ann", "shop", 1, "linked"))
    records = ledger.read_batch(as_bytes(*transfers), count_max=9).records
    assert records is not None
    records = records.copy()
    records["partition"] = [0, 0, 2, 0, 2]
    data = as_bytes(*transfers)
    data = data[:8] + records.tobytes() + data[8 + records.nbytes :]

    answer = run_loop(kept.ask(data, bytes_in))

    assert read_results(answer.body) == [
        "created",
        "linked_event_crosses_partitions",
        "linked_event_crosses_partitions",
        "created",
        "debit_account_not_found",
    ]
    kept.books.verify()


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"", "batch"),
        (b"HTB2" + bytes(4), "batch"),
        (b"HTB1" + bytes(4), "batch"),
        (b"HTB1" + (ledger.BATCH_MAX + 1).to_bytes(4, "big"), "batch"),
        (as_bytes(a_transfer("a", "ann", "shop", 1))[:-1], "batch"),
        (as_bytes(a_transfer("a", "ann", "shop", 1, memo="hello"))[:-1], "memo_bytes"),
        (as_bytes(a_transfer("a", "ann", "shop", 1))[:-1] + b"\1", "reserved"),
        (
            ledger.write_batch(ledger.batch_of([a_transfer("a", "ann", "shop", 1)]), partition=40_000),
            "partition",
        ),
    ],
)
def test_bytes_that_are_no_batch_are_refused(
    kept: Door, bytes_in: dict[str, str], data: bytes, where: str
) -> None:
    answer = run_loop(kept.ask(data, bytes_in))

    assert (answer.status, answer.type) == (422, "application/problem+json")
    assert (answer.json["code"], answer.json["violations"][0]["param"]) == ("hansa.invalid_input", where)
    assert kept.books.balances()["shop"].credit_minor == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"authorization": "Bearer hansa_no"}, 401), ({"origin": "http://x"}, 403)],
)
def test_bytes_need_a_key_too(kept: Door, headers: dict[str, str], status: int) -> None:
    data = as_bytes(a_transfer("a", "ann", "shop", 1))

    assert run_loop(kept.ask(data, {"content-type": BATCH_TYPE, **headers})).status == status
    assert kept.books.balances()["shop"].credit_minor == 0


def test_too_many_bytes_are_refused_as_any_body(kept: Door, bytes_in: dict[str, str]) -> None:
    assert run_loop(kept.ask(bytes(BODY_MAX + 1), bytes_in)).json["code"] == "web.too_large"


def test_every_result_has_its_number_and_keeps_it() -> None:
    assert set(RESULTS) == set(ResultCode)
    assert len(set(RESULTS)) == len(RESULTS)
    numbered = {"created": 0, "reserved_flag": 12, "exists": 27, "exceeds_credits": 66, "exceeds_debits": 67}
    assert {code: RESULT_NUMBERS[ResultCode(code)] for code in numbered} == numbered
    assert read_results(write_results(RESULTS)) == list(RESULTS)
    for broken in (b"\0", b"\xff\xff"):
        with pytest.raises(InvalidInput):
            read_results(broken)


# --- keys


def test_a_key_that_was_ended_stops_within_five_seconds(door: Door) -> None:
    now_s = 100.0
    door.app.keys = KnownKeys(door.ctx, now_s=lambda: now_s)
    assert run_loop(door.ask(fares(fare("a")))).status == 200
    with door.ctx.tx() as tx:
        ended = trust.caller_of_key(tx, door.key)
        trust.end_member_key(tx, ended.member_id or "", ended.key_id or "", door.ctx.clock.now())

    assert KEY_LASTS_S <= 5
    now_s += KEY_LASTS_S - 0.001
    assert run_loop(door.ask(fares(fare("b")))).status == 200
    now_s += 0.001
    answer = run_loop(door.ask(fares(fare("c"))))

    assert (answer.status, answer.json["code"]) == (401, "trust.not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert door.books.balances()["shop"].credit_minor == 6


def test_a_key_is_looked_up_once_however_many_use_it(door: Door) -> None:
    looked = 0

    class Counting(KnownKeys):
        def _find(self, secret: str) -> trust.Caller:
            nonlocal looked
            looked += 1
            return super()._find(secret)

    async def run() -> set[trust.Caller]:
        keys = Counting(door.ctx)
        return set(await asyncio.gather(*(keys.caller_of(door.key) for _ in range(20))))

    assert {caller.kind for caller in run_loop(run())} == {"league"}
    assert looked == 1


def test_only_so_many_keys_are_known_and_unknown_ones_never(door: Door) -> None:
    with door.ctx.tx() as tx:
        secrets = [trust.create_api_key(tx, LEAGUE, [], at=MORNING - timedelta(days=1)) for _ in range(5)]
    keys = KnownKeys(door.ctx, size_max=3)

    async def run() -> None:
        for secret in secrets:
            await keys.caller_of(secret)
        for _ in range(2):
            with pytest.raises(trust.NotSignedIn):
                await keys.caller_of("hansa_made_up")

    run_loop(run())

    assert len(keys._known) == 3
    assert keys._asked == {}
