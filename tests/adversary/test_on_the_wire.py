"""What is sent to the socket itself: heads that two readers understand in two ways, without end, or without haste."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest
import uvicorn

from hansa.apps.web import listen
from hansa.apps.web.serve import Patience, Protocol

HOST = b"Host: a.example\r\n"
POST = b"POST /pay HTTP/1.1\r\n" + HOST
GET = b"GET / HTTP/1.1\r\n"


class Hasty(Protocol):
    """The server's own, with less patience."""

    patience = Patience(head=0.4, body=0.4, stuck=0.4)


class Till:
    """An application that counts what it is asked, once it is whole; ``/much`` has more than anybody reads."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.seen = ""
        self.cut = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.cut.set()
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.asked.append(f"{scope['method']} {scope['path']}")
        self.seen = f"{scope['scheme']} {scope['client'][0]}"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/much":
            for _ in range(400):
                await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            self.cut.set()
        await send({"type": "http.response.body", "body": b"took " + body, "more_body": False})


@pytest.fixture(scope="module")
def till() -> Iterator[tuple[Till, int]]:
    listening, app = listen("127.0.0.1", 0), Till()
    config = uvicorn.Config(
        cast(Any, app), http=cast(Any, Hasty), ws="none", log_level="critical", lifespan="off", server_header=False
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield app, listening.getsockname()[1]
    server.should_exit = True
    thread.join(60)


def ask(port: int, sent: bytes, *, wait_s: float = 60.0) -> bytes:
    """What is answered until the connection is closed; what is sent asks for that, or does not deserve better."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as line:
        answered = b""
        try:
            line.sendall(sent)
            while part := line.recv(65_536):
                answered += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answered


TWO_READERS = {
    "a length and pieces": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "one length twice": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nabcde",
    "pieces of no known kind": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "pieces and then none": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a piece of less than nothing": POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
    "pieces by line feeds": POST + b"Transfer-Encoding: chunked\r\n\r\n5\nabcde\n0\n\n",
    "a space before the colon": GET + HOST + b"Content-Length : 5\r\n\r\nabcde",
    "a header over two lines": GET + HOST + b"X-A: b\r\n c\r\n\r\n",
    "line feeds alone": b"GET / HTTP/1.1\nHost: a.example\n\n",
    "a NUL": GET + HOST + b"X-A: a\0b\r\n\r\n",
    "no host": GET + b"\r\n",
    "two hosts": GET + HOST + b"Host: b.example\r\n\r\n",
    "a host that is none": GET + b'Host: a"><script>\r\n\r\n',
    "a host with somebody before it": GET + b"Host: a.example@b.example\r\n\r\n",
    "a port that is none": GET + b"Host: a.example:99999\r\n\r\n",
    "half an address of six": GET + b"Host: [::1\r\n\r\n",
    "another host in the address": b"GET http://b.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "two keys": POST + b"Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 0\r\n\r\n",
    "two bearers": POST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 0\r\n\r\n",
    "two origins": POST + b"Origin: https://a.example\r\nOrigin: https://b.example\r\nContent-Length: 0\r\n\r\n",
    "another version": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT b.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "letters that no address has": b"GET /\xe4\xbd\xa0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a hundred headers and one": GET + HOST + b"X: a\r\n" * 100 + b"\r\n",
    "a long address": b"GET /?" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
}  # fmt: skip


@pytest.mark.parametrize("sent", TWO_READERS.values(), ids=TWO_READERS.keys())
def test_what_two_readers_could_understand_in_two_ways_reaches_nobody(
    till: tuple[Till, int], sent: bytes
) -> None:
    app, port = till
    app.asked.clear()

    answered = ask(port, sent)

    assert answered.startswith(b"HTTP/1.1 400 ") and answered.count(b"HTTP/1.1 ") == 1, answered
    assert b"connection: close" in answered
    assert app.asked == []


@pytest.mark.parametrize(
    "sent",
    [
        GET + HOST + b"Connection: close\r\n\r\n",
        b"GET http://a.example/ HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        GET + b"Host: [2001:db8::1]:8017\r\nConnection: close\r\n\r\n",
        GET + b"Host: console.localhost:8017\r\nConnection: close\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n",
    ],
)
def test_what_is_plain_is_answered(till: tuple[Till, int], sent: bytes) -> None:
    assert ask(till[1], sent).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("headers", "seen"),
    [
        (b"X-Forwarded-For: 203.0.113.9\r\n", "http 203.0.113.9"),
        (
            b"X-Forwarded-For: 127.0.0.1, 203.0.113.9\r\n",
            "http 203.0.113.9",
        ),  # the first one is the caller's own word
        (b"X-Forwarded-Proto: https\r\n", "https 127.0.0.1"),
        (b"X-Forwarded-Proto: javascript\r\n", "http 127.0.0.1"),
        (
            b"X-Forwarded-Host: evil.example\r\nForwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n",
            "http 127.0.0.1",
        ),
    ],
)
def test_only_what_the_proxy_of_this_machine_adds_is_believed(
    till: tuple[Till, int], headers: bytes, seen: str
) -> None:
    app, port = till

    assert ask(port, GET + HOST + headers + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert app.seen == seen
    believed = uvicorn.Config(cast(Any, app)).forwarded_allow_ips
    assert set(str(believed).split(",")) <= {"127.0.0.1", "::1"}, "of another machine nothing is"


def test_what_follows_the_last_request_of_a_connection_is_not_done(till: tuple[Till, int]) -> None:
    app, port = till
    app.asked.clear()

    answered = ask(port, GET + HOST + b"Connection: close\r\n\r\n" + POST + b"Content-Length: 0\r\n\r\n")

    assert answered.count(b"HTTP/1.1 ") == 1 and app.asked == ["GET /"]


@pytest.mark.parametrize("piece", [b"a" * 100_000, b"X: a\r\n" * 20_000], ids=["one header", "many headers"])
def test_a_head_without_end_is_cut_off(till: tuple[Till, int], piece: bytes) -> None:
    app, port = till
    app.asked.clear()

    answered = ask(port, GET + HOST + b"X: " + piece * 20)

    assert answered == b"" or answered.startswith(b"HTTP/1.1 431 "), answered
    assert app.asked == []


@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (b"", b""),
        (b"GET / HT", b"HTTP/1.1 408 "),
        (GET + HOST + b"\r\nGET / HTTP/1.1\r\nHost:", b"HTTP/1.1 200 "),  # the second one of a connection
        (POST + b"Content-Length: 9\r\n\r\nabc", b""),
    ],
    ids=["nothing", "half a line", "half a second request", "half a body"],
)  # fmt: skip
def test_whoever_says_no_more_is_not_waited_for(till: tuple[Till, int], begun: bytes, answer: bytes) -> None:
    app, port = till
    app.cut.clear()

    answered = ask(port, begun)  # which waits until it is closed

    assert answered.startswith(answer) and (answer or answered == b"")
    if b"Content-Length: 9" in begun:
        assert app.cut.wait(60), "whoever reads the body is told"


def test_whoever_does_not_read_is_cut_off(till: tuple[Till, int]) -> None:
    app, port = till
    app.cut.clear()

    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        line.sendall(b"GET /much HTTP/1.1\r\n" + HOST + b"\r\n")

        assert app.cut.wait(60), "its answer is given up"


def test_a_connection_that_is_used_starts_no_clock(till: tuple[Till, int]) -> None:
    async def many() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", till[1])
        for _ in range(3):
            writer.write(GET + HOST + b"\r\n")
            await writer.drain()
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"took \r\n0\r\n\r\n")
            await asyncio.sleep(0.5)  # longer than the patience with a head that has begun
        writer.close()
        return 3

    assert asyncio.run(many()) == 3
