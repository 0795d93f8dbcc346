"""The two other processes of the hub's benchmark: a Hansa that serves the hub, and the members that pay one another.

    python _hub_members.py serve URL HOME PORT MEMBERS_PORT
    python _hub_members.py pay PORT MEMBERS_PORT IN_FLIGHT SECONDS < keys
    python _hub_members.py post PORT CONNECTIONS SECONDS < keys

`serve` keeps the ledger's engine, the worker and a courier that brings notices to the members' port, a POST for each
member and turn. `pay` is all members in one: it keeps so many payments in flight, each from the payer's request to the
payer's notice that it is committed; a payee sends its fulfilment when the notice of the reservation comes. `post` asks
the same server for what it answers without doing anything. keys: lines "member key".
"""

import asyncio
import json
import os
import sys
import time
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import local
from typing import Any, cast
from uuid import UUID

import msgspec
import uvloop
from litestar.types import Receive, Scope, Send

from hansa import hub, ledger
from hansa.apps.engines import collect_rarely
from hansa.apps.web import create_app, serve
from hansa.apps.worker import Worker
from hansa.hub.routes import notice_view
from hansa.kernel import new_id
from hansa.store import open_context

CONNECTIONS = 256
LASTS = timedelta(seconds=60)


def main() -> None:
    match sys.argv[1]:
        case "serve":
            keep_serving(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
        case "pay":
            port, members_port, in_flight = map(int, sys.argv[2:5])
            members = Members(port, dict(line.split() for line in sys.stdin), in_flight)
            print(json.dumps(uvloop.run(members.pay(members_port, float(sys.argv[5])))))
        case _:
            keys = dict(line.split() for line in sys.stdin)
            port, connections = int(sys.argv[2]), int(sys.argv[3])
            print(json.dumps(uvloop.run(post_bare(port, keys, connections, float(sys.argv[4])))))


# --- the server


class Posts:
    """Brings notices to the members' port: a POST of all that a member is told in this turn."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._mine = local()

    def send(self, member_id: str, notices: Sequence[hub.Notice]) -> Sequence[bool]:
        body = msgspec.json.encode([notice_view(one) for one in notices])
        for _ in range(2):  # a connection that was closed meanwhile is opened anew, once
            connection = getattr(self._mine, "connection", None)
            if connection is None:
                connection = self._mine.connection = HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                connection.request("POST", f"/{member_id}", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, HTTPException):
                self._mine.connection = None
                continue
            return [answer.status == 204] * len(notices)
        return []


def keep_serving(url: str, home: Path, port: int, members_port: int) -> None:
    with open_context(url) as ctx, ledger.Engine(ctx), hub.Courier(ctx, Posts(members_port)) as courier:
        collect_rarely()
        app = create_app(ctx, home=home, demo=False)

        async def and_wake(scope: Scope, receive: Receive, send: Send) -> None:
            """Answers at once what is posted to /bare; after all else there may be something to bring."""
            if scope["type"] == "http" and scope["path"] == "/bare":
                while (await receive()).get("more_body", False):
                    pass
                await send(
                    {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
                )
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await app(scope, receive, send)
            courier.wake()

        with Worker(ctx):
            serve(and_wake, port=port)


# --- the members


class Pipe(asyncio.Protocol):
    """One connection to the server: requests wait in a queue that all connections share; one at a time is under way."""

    def __init__(self, queue: deque[bytes], idle: "deque[Pipe]", answered: Any) -> None:
        self._queue, self._idle, self._answered = queue, idle, answered
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.go_on()

    def go_on(self) -> None:
        if self._queue:
            self._transport.write(self._queue.popleft())
        else:
            self._idle.append(self)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, parted, body = self._came.partition(b"\r\n\r\n")
        if not parted:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._came = b""
        self._answered(int(head[9:12]), body)
        self.go_on()


class Endpoint(asyncio.Protocol):
    """Where notices come: a POST is answered 204 when all of it was taken."""

    def __init__(self, take: Any) -> None:
        self._take = take
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, parted, body = self._came.partition(b"\r\n\r\n")
        if not parted:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._came = b""
        self._take(head.split(b" ", 2)[1][1:].decode(), _NOTICES.decode(body))
        self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


class Told(msgspec.Struct):
    """What a member reads of a payment."""

    payment_id: str
    payer_id: str
    payee_id: str
    state: str


class Note(msgspec.Struct):
    """What a member reads of a notice."""

    kind: str
    seq: int
    payment: Told | None


_NOTICES = msgspec.json.Decoder(list[Note])


class Members:
    """All members: they keep so many payments in flight among them."""

    def __init__(self, port: int, keys: dict[str, str], in_flight: int) -> None:
        self._port, self._keys, self._in_flight = port, keys, in_flight
        self._names = sorted(keys)
        self._queue: deque[bytes] = deque()
        self._idle: deque[Pipe] = deque()
        self._begun: dict[str, float] = {}
        self._seen: dict[str, int] = {}
        self._took: list[tuple[float, float]] = []
        self._shown: set[str] = set()
        self._refused = 0
        self._n = 0
        self._is_over = False

    async def pay(self, members_port: int, seconds: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        endpoint = await loop.create_server(lambda: Endpoint(self._take), "127.0.0.1", members_port)
        for _ in range(CONNECTIONS):
            await loop.create_connection(
                lambda: Pipe(self._queue, self._idle, self._answered), "127.0.0.1", self._port
            )
        began = time.perf_counter()
        for n in range(self._in_flight):  # not all at one instant
            loop.call_later(n / self._in_flight, self._begin)
        await asyncio.sleep(seconds)
        ended = time.perf_counter()
        self._is_over = True
        while self._begun and time.perf_counter() < ended + 30:
            await asyncio.sleep(0.05)
        endpoint.close()
        took = [one for at, one in self._took if began + 2 <= at <= ended]
        slow = sum(one > 1 for one in took)
        left = [time.perf_counter() - since for since in self._begun.values()]
        took.sort()
        return {
            "per_second": len(took) / (ended - began - 2),
            "payments": len(self._took),
            "over_1s_percent": 100 * (slow + len(left)) / max(1, len(took) + len(left)),
            "p50_ms": 1_000 * took[len(took) // 2] if took else None,
            "p99_ms": 1_000 * took[len(took) * 99 // 100] if took else None,
            "most_ms": 1_000 * took[-1] if took else None,
            "each_10_s": [
                sum(began + at <= when < began + at + 10 for when, _ in self._took) // 10
                for at in range(0, int(ended - began), 10)
            ],
            "refused": self._refused,
            "left": len(left),
        }

    def _begin(self) -> None:
        if self._is_over:
            return
        self._n += 1
        payer = self._names[self._n % len(self._names)]
        payee = self._names[(self._n * 7 + 3) % len(self._names)]
        if payer == payee:
            payee = self._names[(self._n + 1) % len(self._names)]
        payment_id = str(new_id())
        condition = urlsafe_b64encode(sha256(_secret(payment_id)).digest()).rstrip(b"=").decode()
        until = (datetime.now(UTC) + LASTS).isoformat()
        self._begun[payment_id] = time.perf_counter()
        self._ask(
            "/v1/hub/payments",
            payer,
            f'{{"payment_id":"{payment_id}","payee_id":"{payee}","amount":{{"minor":100,"currency":"CNY"}},'
            f'"condition":"{condition}","expires_at":"{until}"}}',
        )

    def _ask(self, path: str, member: str, body: str) -> None:
        self._queue.append(_request(path, self._keys[member], body))
        if self._idle:
            self._idle.popleft().go_on()

    def _answered(self, status: int, body: bytes) -> None:
        if status != 200 or b'"state":"ABORTED"' in body:
            self._refused += 1
            if self._refused < 4:
                print(status, body[:500], file=sys.stderr)

    def _take(self, member: str, notices: list[Note]) -> None:
        for one in notices:
            if one.seq <= self._seen.get(member, 0):
                continue  # brought again
            assert one.seq == self._seen.get(member, 0) + 1, (member, one)
            self._seen[member] = one.seq
            told = one.payment
            if told is None:
                continue
            if one.kind == "reserved":
                fulfilment = urlsafe_b64encode(_secret(told.payment_id)).rstrip(b"=").decode()
                self._ask(
                    "/v1/hub/fulfilments",
                    member,
                    f'{{"payment_id":"{told.payment_id}","fulfilment":"{fulfilment}"}}',
                )
            elif member == told.payer_id and told.payment_id in self._begun:
                now = time.perf_counter()
                self._took.append((now, now - self._begun.pop(told.payment_id)))
                self._begin()


def _secret(payment_id: str) -> bytes:
    return sha256(b"benchmark" + UUID(payment_id).bytes).digest()


def _request(path: str, key: str, body: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def post_bare(port: int, keys: dict[str, str], connections: int, seconds: float) -> dict[str, float]:
    """Requests a second of the size of a payment that the server answers and does nothing with."""
    loop, count = asyncio.get_running_loop(), 0
    queue: deque[bytes] = deque()
    idle: deque[Pipe] = deque()
    wire = _request("/bare", next(iter(keys.values())), "x" * 260)

    def answered(_: int, __: bytes) -> None:
        nonlocal count
        count += 1
        queue.append(wire)

    queue.extend([wire] * connections)
    began = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Pipe(queue, idle, answered), "127.0.0.1", port)
    await asyncio.sleep(seconds)
    return {"per_second": count / (time.perf_counter() - began)}


if __name__ == "__main__":
    os.nice(0)
    main()
