"""The two other processes of the wallet's benchmark: a Hansa that serves payments, and the shops that ask for them.

    python _wallet_clients.py serve URL HOME PORT
    python _wallet_clients.py pay PORT CONNECTIONS SECONDS < what
    python _wallet_clients.py post PORT CONNECTIONS SECONDS < what

`serve` keeps the ledger's engine and the worker. `pay` keeps so many connections busy, each with one request for one
payment at a time, under a new idempotency key. `post` asks the same server for what it answers without doing anything,
with bodies of the same size. what: lines "key payee account mandate", by turns.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import uvloop
from litestar.types import Receive, Scope, Send

from hansa import ledger
from hansa.apps.engines import collect_rarely
from hansa.apps.web import create_app, serve
from hansa.apps.worker import Worker
from hansa.store import open_context

WARM_S = 2.0


def main() -> None:
    if sys.argv[1] == "serve":
        keep_serving(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    lines = [line.split() for line in sys.stdin]
    port, connections, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    shops = Shops(lines, bare=sys.argv[1] == "post")
    print(json.dumps(uvloop.run(shops.ask(port, connections, seconds))))


def keep_serving(url: str, home: Path, port: int) -> None:
    with open_context(url) as ctx, ledger.Engine(ctx):
        collect_rarely()
        app = create_app(ctx, home=home, demo=False)

        async def or_bare(scope: Scope, receive: Receive, send: Send) -> None:
            """Answers at once what is posted to /bare."""
            if scope["type"] == "http" and scope["path"] == "/bare":
                while (await receive()).get("more_body", False):
                    pass
                await send(
                    {"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]}
                )
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await app(scope, receive, send)

        with Worker(ctx):
            serve(or_bare, port=port)


class Shops:
    """All shops in one: each connection has one request under way."""

    def __init__(self, lines: list[list[str]], *, bare: bool) -> None:
        self._bare = bare
        self._templates = [_template(*line, bare=bare) for line in lines]
        self._n = 0
        self.took: list[tuple[float, float]] = []
        self.refused = 0
        self.over = False
        self._salt = f"{time.time_ns():x}".encode()

    async def ask(self, port: int, connections: int, seconds: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        for _ in range(connections):
            await loop.create_connection(lambda: Line(self), "127.0.0.1", port)
        await asyncio.sleep(seconds)
        ended = time.perf_counter()
        self.over = True
        await asyncio.sleep(1)
        took = sorted(one for at, one in self.took if began + WARM_S <= at <= ended)
        return {
            "per_second": len(took) / (ended - began - WARM_S),
            "payments": len(self.took),
            "p50_ms": 1_000 * took[len(took) // 2],
            "p99_ms": 1_000 * took[len(took) * 99 // 100],
            "most_ms": 1_000 * took[-1],
            "refused": self.refused,
        }

    def next(self) -> bytes:
        self._n += 1
        head, rest = self._templates[self._n % len(self._templates)]
        return b"%s%s%08x%s" % (head, self._salt, self._n, rest)

    def answered(self, began: float, answer: bytes) -> None:
        now = time.perf_counter()
        self.took.append((now, now - began))
        if not self._bare and b'"state":"captured"' not in answer:
            self.refused += 1
            if self.refused < 4:
                print(answer[:1_500].decode(errors="replace"), file=sys.stderr)


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, shops: Shops) -> None:
        self._shops = shops
        self._came = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        came = self._came = self._came + data if self._came else data
        end = came.find(b"\r\n\r\n")
        if end < 0:
            return
        at = came.lower().find(b"content-length:", 0, end)
        length = int(came[at + 15 : came.index(b"\r", at)])
        if len(came) < end + 4 + length:
            return
        self._came = b""
        self._shops.answered(self._began, came)
        if not self._shops.over:
            self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._shops.next())


def _template(key: str, payee: str, account: str, mandate: str, *, bare: bool) -> tuple[bytes, bytes]:
    """A request, parted where its idempotency key goes."""
    body = (
        f'{{"payee_id":"{payee}","amount":{{"minor":100,"currency":"CNY"}},"payer":"{account}","method":"mandate",'
        f'"mandate_id":"{mandate}","reference":"order 1"}}'
    )
    head = (
        f"POST {'/bare' if bare else '/v1/payments'} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"content-type: application/json\r\nauthorization: Bearer {key}\r\nidempotency-key: "
    )
    return head.encode(), f"\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


if __name__ == "__main__":
    main()
