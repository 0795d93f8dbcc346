"""The short way for taps: the route's own answers and books, many batches in one commit, and nothing lost by a kill."""

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient
from litestar.types import ASGIApp, HTTPScope, Message

from hansa import gate, rides, trust
from hansa.apps.web import create_app, hot_taps
from hansa.apps.web.app import BODY_MAX
from hansa.apps.web.door import FrontDoor
from hansa.apps.web.hot import HotTransfers
from hansa.apps.web.hot_taps import PATH, HotTaps
from hansa.apps.web.security_headers import SECURITY_HEADERS
from hansa.kernel import HansaError
from hansa.store import Context, StoreUnavailable, Tx
from loops import run_loop
from rides.riding import League
from rides.taken_in import days_of, numbers_of

BEIJING, LONDON = "beijing-subway", "london-tfl"
A, B = "beijing/xizhimen", "beijing/chegongzhuang"
EIGHT = datetime(2026, 11, 17, 0, 0, 3, 250_001, tzinfo=UTC)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Door:
    """A Hansa's application with a league behind it, and keys to it."""

    ctx: Context
    short: HotTaps
    league: League
    keys: dict[str, str]

    @property
    def route(self) -> ASGIApp:
        return self.short._app  # pyright: ignore[reportPrivateUsage]

    def scope(self, key: str = "operator") -> HTTPScope:
        headers = {"authorization": f"Bearer {self.keys[key]}", "content-type": "application/json"}
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
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("203.0.113.9", 50_000),
            "server": ("hansa.example", 80),
            "extensions": {},
        }
        return cast(HTTPScope, scope)

    async def ask(self, taps: list[dict[str, Any]], key: str = "operator") -> Answer:
        """One request as a server hands it on."""
        inbox: list[Any] = [{"type": "http.request", "body": body(taps), "more_body": False}]
        outbox: list[Any] = []

        async def receive() -> Any:
            return inbox.pop() if inbox else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            outbox.append(message)

        await self.short(self.scope(key), receive, send)
        start, *rest = outbox
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(part["body"] for part in rest),
        )


def a_door(ctx: Context, home: Path) -> Door:
    league = League(ctx, BEIJING, LONDON)
    with ctx.tx() as tx:
        at = ctx.clock.now()
        keys = {
            "operator": trust.create_api_key(tx, trust.MemberId(BEIJING), ["taps:write"], at=at),
            "other": trust.create_api_key(tx, trust.MemberId(LONDON), ["taps:write"], at=at),
            "league": trust.create_api_key(tx, trust.MemberId("league"), ["taps:write"], at=at),
            "reads": trust.create_api_key(tx, trust.MemberId("league"), ["league:read"], at=at),
            "gate": trust.create_api_key(
                tx, trust.MemberId(BEIJING), ["taps:write"], at=at, gate_id=f"{A}/entry"
            ),
            "nobody": "hansa_made_up",
        }
    front = create_app(ctx, home=home, demo=False)
    assert isinstance(front, FrontDoor)
    app = front.behind
    assert isinstance(app, HotTransfers)
    short = app._app  # pyright: ignore[reportPrivateUsage]
    assert isinstance(short, HotTaps)
    return Door(ctx, short, league, keys)


@pytest.fixture
def door(committed_ctx: Context, tmp_path: Path) -> Door:
    return a_door(committed_ctx, tmp_path)


def written(tap: rides.Tap) -> dict[str, Any]:
    """The tap as the gate library writes it."""
    return gate.Tap(
        tap.tap_id,
        tap.gate_id,
        tap.sequence,
        tap.action,
        tap.stop_id,
        tap.tapped_at,
        tap.cti,
        tap.counter,
        tap.kid,
        tap.made_at,
        tap.list_version,
        tap.chain,
        tap.companion,
    ).json()


def body(taps: list[dict[str, Any]]) -> bytes:
    return json.dumps({"taps": taps}).encode()


def a_ride(door: Door, hour: int = 0) -> list[dict[str, Any]]:
    taps = door.league.ride(BEIJING, A, B, EIGHT + timedelta(hours=hour), door.league.rider(1))
    return [written(tap) for tap in taps]


# -- the same answers and the same books as the route's


@dataclass
class BothWays:
    """One application asked by the short way and by the route, each time on the same books."""

    door: Door
    connection: Tx

    def compare(self, sent: list[bytes], key: str = "operator", **headers: str) -> list[Answer]:
        """Both ways' answers and books, which must be equal, for some bodies one after another."""
        short = self._ask(self.door.short, sent, key, headers)
        route = self._ask(self.door.route, sent, key, headers)
        assert short == route
        return short[0]

    def _ask(
        self, app: ASGIApp, sent: list[bytes], key: str, headers: dict[str, str]
    ) -> tuple[list[Answer], list[object]]:
        said = {
            "authorization": f"Bearer {self.door.keys[key]}",
            "content-type": "application/json",
            **headers,
        }
        with (
            self.connection.transaction(force_rollback=True),
            TestClient(app, raise_server_exceptions=False) as client,
        ):
            answers: list[Answer] = []
            for content in sent:
                answer = client.post(PATH, content=content, headers=said)
                told = answer.content
                if "problem" in answer.headers["content-type"]:
                    problem = answer.json()
                    assert problem.pop("instance").startswith("urn:uuid:")
                    told = json.dumps(problem).encode()
                kept = {name: value for name, value in answer.headers.items() if name != "content-length"}
                answers.append(Answer(answer.status_code, kept, told))
            return answers, self._books()

    def _books(self) -> list[object]:
        queries = (
            "select partition, tap_id, account_id, operator_id, gate_id, sequence, action, stop_id, line_id, product,"
            " tapped_at, cti, counter, kid, made_at, list_version, chain, companion, received_at"
            " from rides.every_tap order by tap_id",
            "select gate_id, sequence, digest, operator_id, cti, body, refused from rides.waiting_taps"
            " order by gate_id, sequence, digest",
            "select break_id, fault from rides.chain_breaks order by break_id",
        )
        books = [self.connection.execute(query.encode()).fetchall() for query in queries]
        return [*books, numbers_of(self.connection), days_of(self.door.ctx, self.connection)]


@pytest.fixture
def both(ctx: Context, tmp_path: Path, shared_connection: Tx) -> BothWays:
    return BothWays(a_door(ctx, tmp_path), shared_connection)


def random_batches(door: Door, seed: int) -> list[bytes]:
    """Batches of good taps and all sorts of others, some sent again, some overlapping, some not fit to be read."""
    dice = Random(seed)
    door.league.sequences.clear()
    door.league.first_sequence = dice.choice((1, 50_000))
    places = dice.sample([place for place in door.league.gates if place[0] == BEIJING], 4)
    made: list[dict[str, Any]] = []
    for _ in range(dice.randint(1, 14)):
        operator, place, action = dice.choice(places)
        assert place is not None
        at = EIGHT - timedelta(days=dice.randint(0, 2), microseconds=dice.randint(0, 50_000_000_000))
        tap = door.league.tap(operator, place, action, at, door.league.rider(dice.randint(1, 3)))
        tap = replace(tap, companion=dice.choice((0, 0, 0, 1, 15)), chain=dice.randbytes(32))
        made.append(written(tap))
    for tap in made:
        if dice.random() < 0.08:
            field, value = dice.choice(
                (
                    ("cti", "00" * 8),
                    ("gate_id", "beijing/nowhere"),
                    ("action", "exit"),
                    ("stop_id", B),
                    ("counter", 9_999),
                    ("tap_id", str(tap["tap_id"])[:-4] + "0000"),
                    ("tapped_at", "2026-11-18T00:00:00Z"),
                    ("made_at", "2026-11-17T08:00:00+08:00"),
                    ("chain", "00"),
                    ("surprise", 1),
                )
            )
            tap[field] = value
    batches: list[bytes] = []
    while made:
        some = dice.randint(1, len(made))
        batch = made[:some]
        made = made[some:]
        if dice.random() < 0.2:
            batch.append(dict(dice.choice(batch), **({} if dice.random() < 0.5 else {"counter": 7})))
        batches.append(body(batch))
        if dice.random() < 0.3:
            batches.append(batches[dice.randrange(len(batches))])
    return batches


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000), key=st.sampled_from(["operator", "league", "gate", "other"]))
def test_any_batches_are_answered_and_kept_as_by_the_route(both: BothWays, seed: int, key: str) -> None:
    for answer in both.compare(random_batches(both.door, seed), key):
        assert answer.headers.items() >= SECURITY_HEADERS.items()


MISFITS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no taps": b'{"taps": []}',
    "no list": b'{"taps": 5}',
    "no UTF-8": b'{"taps": [{"tap_id": "\xff"}]}',
    "nested without end": b'{"tap_id":' * 5_000,
    "too large": b'{"tap_id": "' + b" " * BODY_MAX + b'"}',
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_answered_by_the_route(both: BothWays, name: str) -> None:
    both.compare([MISFITS[name]])


def test_too_many_taps_are_refused_whole(both: BothWays) -> None:
    (answer,) = both.compare([body(a_ride(both.door)[:1] * 5_001)])

    assert (answer.status, answer.json["code"]) == (413, "rides.batch_too_large")


@pytest.mark.parametrize(
    ("key", "headers"),
    [
        ("nobody", {}),
        ("reads", {}),
        ("operator", {"authorization": "Basic aGFuc2E6aGFuc2E="}),
        ("operator", {"authorization": ""}),
        ("operator", {"content-type": "text/plain"}),
        ("operator", {"content-type": "Application/JSON; charset=utf-8"}),
        ("operator", {"accept": "text/html"}),
    ],
)
def test_whoever_asks_is_answered_as_by_the_route(both: BothWays, key: str, headers: dict[str, str]) -> None:
    both.compare([body(a_ride(both.door)), b'{"tap_id":'], key, **headers)


def test_the_route_is_not_asked_about_a_plain_batch(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("the route was asked")

    monkeypatch.setattr(door.short, "_app", never)

    answer = run_loop(door.ask(a_ride(door)))

    assert (answer.status, answer.json) == (200, {"recorded": 2, "duplicates": 0, "refused": []})
    assert door.league.books("taps") == 2


# -- together


def test_batches_that_come_together_share_commits_and_each_has_its_own_answer(door: Door) -> None:
    batches = [a_ride(door, hour) for hour in range(-9, 3)]
    batches[3][0]["cti"] = "00" * 8
    batches[7] = batches[6]

    async def run() -> list[Answer]:
        return list(await asyncio.gather(*(door.ask(batch) for batch in batches)))

    answers = run_loop(run())

    told = [(one.json["recorded"], one.json["duplicates"], len(one.json["refused"])) for one in answers]
    assert told[:3] == [(2, 0, 0)] * 3 and told[4:6] == [(2, 0, 0)] * 2 and told[8:] == [(2, 0, 0)] * 4
    assert told[3] == (1, 0, 1)
    assert sorted(told[6:8]) == [(0, 2, 0), (2, 0, 0)]
    with door.ctx.tx() as tx:
        row = tx.execute("select count(*), count(distinct xid) from rides.every_tap").fetchone()
    assert row is not None
    assert row[0] == 21 and row[1] < 12


def test_whoever_would_wait_too_long_is_told_to_come_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.short, "_waiting_max", 3)
    first, second = a_ride(door), a_ride(door, 1)

    async def run() -> list[Answer]:
        return list(await asyncio.gather(door.ask(first), door.ask(second)))

    told = run_loop(run())
    again = run_loop(door.ask(second))

    busy = next(one for one in told if one.status == 503)
    assert (busy.json["code"], busy.headers["retry-after"]) == ("rides.busy", "1")
    assert sorted(one.status for one in told) == [200, 503]
    assert again.json["recorded"] in (0, 2)
    assert door.league.books("taps") == 4


@pytest.mark.parametrize("error", [StoreUnavailable(), RuntimeError("a bug")])
def test_what_goes_wrong_is_told_and_the_next_batch_is_taken(
    door: Door, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> list[int | None]:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(hot_taps, "take_in", fail)
        answer = run_loop(door.ask(a_ride(door)))
    assert door.league.books("taps") == 0
    later = run_loop(door.ask(a_ride(door)))

    assert answer.status == (error.status if isinstance(error, HansaError) else 500)
    assert "a bug" not in answer.body.decode()
    assert later.json["recorded"] == 2


def test_a_sender_who_goes_takes_nothing_back_and_keeps_nobody_waiting(door: Door) -> None:
    first, second = a_ride(door), a_ride(door, 1)

    async def run() -> Answer:
        gone = asyncio.ensure_future(door.ask(first))
        await asyncio.sleep(0.02)
        gone.cancel()
        told = await door.ask(second)
        async with asyncio.timeout(30):  # the batch of who went may take longer than that of who stayed
            while door.short._count:  # pyright: ignore[reportPrivateUsage]
                await asyncio.sleep(0.01)
        return told

    answer = run_loop(run())

    assert answer.json["recorded"] == 2
    assert door.short._count == 0  # pyright: ignore[reportPrivateUsage]
    assert run_loop(door.ask(first)).json["refused"] == []
    assert door.league.books("taps") == 4


def test_a_body_that_breaks_off_keeps_nothing(door: Door) -> None:
    inbox: list[Any] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": body(a_ride(door))[:200], "more_body": True},
    ]

    async def receive() -> Any:
        return inbox.pop()

    async def send(_: Message) -> None:
        raise AssertionError("nobody is there to hear it")

    run_loop(_run(door.short, door.scope(), receive, send))

    assert door.league.books("taps") == 0


async def _run(app: ASGIApp, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)
