"""The two other processes of the ledger's benchmark: a Hansa that serves its books, and one that asks it for postings.

    python _ledger_http.py serve URL HOME PORT
    python _ledger_http.py ask PORT KEY CONNECTIONS REQUESTS SIZE < accounts

`ask` keeps so many connections busy, each with one request at a time of so many transfers, all made beforehand. It
speaks HTTP/1.1 over plain sockets: a client library would cost more than the server. accounts: lines "debit credit".
"""

import asyncio
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import cast

import uvloop

from hansa import ledger
from hansa.apps.engines import collect_rarely
from hansa.apps.web import create_app, serve
from hansa.kernel import new_id
from hansa.store import open_context


def main() -> None:
    if sys.argv[1] == "serve":
        url, home, port = sys.argv[2:5]
        with open_context(url) as ctx, ledger.Engine(ctx, preload=True):
            collect_rarely()
            serve(create_app(ctx, home=Path(home), demo=False), port=int(port))
        return
    port, key, connections, requests, size = sys.argv[2:7]
    pairs = [line.split() for line in sys.stdin]
    work = [request(key, pairs, int(size)) for _ in range(int(requests))]
    print(json.dumps(uvloop.run(ask(int(port), work, int(connections), int(size)))))


def request(key: str, pairs: list[list[str]], size: int) -> bytes:
    transfers = ",".join(
        f'{{"transfer_id":"{new_id()}","debit":"{debit}","credit":"{credit}","amount":{random.randint(100, 899)},'
        f'"currency":"CNY","code":2,"event_at":"2026-11-17T08:00:{random.randrange(60):02}Z",'
        f'"reference":"{new_id()}"}}'
        for debit, credit in random.choices(pairs, k=size)
    )
    body = f'{{"transfers":[{transfers}]}}'
    head = (
        "POST /v1/ledger/transfers HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


class Caller(asyncio.Protocol):
    """One connection: sends a request, waits for its whole answer, sends the next."""

    def __init__(self, work: list[bytes], size: int, took: list[float], ended: asyncio.Future[None]) -> None:
        self._work, self._size, self._took, self._ended = work, size, took, ended
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._send()

    def _send(self) -> None:
        if self._work:
            self._since = time.perf_counter()
            self._transport.write(self._work.pop())
        else:
            self._ended.set_result(None)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, parted, body = self._came.partition(b"\r\n\r\n")
        if not parted:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._took.append(time.perf_counter() - self._since)
        if not head.startswith(b"HTTP/1.1 200") or body.count(b'"code":"created"') != self._size:
            self._ended.set_exception(RuntimeError(self._came[:600].decode()))
            self._transport.close()
            return
        self._came = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(exc or ConnectionError("the server hung up"))


async def ask(port: int, work: list[bytes], connections: int, size: int) -> dict[str, float]:
    """Requests a second, and how long they took in milliseconds."""
    loop, count, took = asyncio.get_running_loop(), len(work), list[float]()
    ended = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for end in ended:
        await loop.create_connection(lambda end=end: Caller(work, size, took, end), "127.0.0.1", port)
    async with asyncio.timeout(300):
        await asyncio.gather(*ended)
    per_second = count / (time.perf_counter() - began)
    cuts = statistics.quantiles(took, n=100)
    return {"per_second": per_second, "p50_ms": cuts[49] * 1_000, "p99_ms": cuts[98] * 1_000}


if __name__ == "__main__":
    main()
