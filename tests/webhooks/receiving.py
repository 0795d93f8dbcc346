"""A receiver of webhooks on a port of its own, that answers as it is told; and a league with members that listen."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import trust, webhooks
from hansa.kernel import FixedClock, fact_id
from hansa.store import Context
from hansa.trust import MemberId
from hansa.webhooks import News

A, B = MemberId("amsterdam"), MemberId("beijing")
INSIDE = webhooks.Reach((ip_network("127.0.0.0/8"),))
SECRETS = webhooks.Secrets(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@dataclass(frozen=True)
class Got:
    """What came: the event's number and body, and its headers."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Keeps what comes and answers by ``answers``: a status, with headers and seconds to wait first."""

    port: int = 0
    got: list[Got] = field(default_factory=list[Got])
    answers: Callable[[Got], tuple[int, dict[str, str], float]] = lambda _: (200, {}, 0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def seqs(self) -> list[int]:
        return [one.told["seq"] for one in self.got]


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Generator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            one = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.got.append(one)
            status, headers, wait_s = receiver.answers(one)
            time.sleep(wait_s)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"seen")

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def join_league(ctx: Context) -> None:
    """Two members."""
    with ctx.tx() as tx:
        trust.add_members(tx, [trust.Member(one, one.title(), "operator", None, one, "") for one in (A, B)])


def step(n: int, *, subject: str = "", to: tuple[str, ...] = (A,), at: Context) -> News:
    """The n-th fact: a step of a dispute."""
    subject = subject or f"dispute-{n}"
    return News(
        type="dispute.moved",
        members=to,
        at=at.clock.now(),
        subject=subject,
        data={"dispute_id": subject, "n": n, "action": "answer", "state": "open"},
        fact=(subject, n),
    )


def tell(ctx: Context, *news: News) -> None:
    """Record these in one transaction, and number them."""
    with ctx.tx() as tx:
        webhooks.record(tx, *news)
    number_all(ctx)


def number_all(ctx: Context) -> None:
    """Number what was recorded; transactions of others on this server may hold it up for a moment."""
    while True:
        webhooks.number(ctx)
        with ctx.tx() as tx:
            if tx.execute("select 1 from store.outbox where topic = 'webhooks' limit 1").fetchone() is None:
                return
        time.sleep(0.01)


def endpoint_id(n: int = 1) -> UUID:
    return fact_id(None, "endpoint", n)


def listen(
    ctx: Context, url: str, n: int = 1, *, member: str = A, types: tuple[str, ...] = ()
) -> webhooks.Endpoint:
    """A verified endpoint."""
    made = webhooks.add_endpoint(
        ctx, endpoint_id=endpoint_id(n), member_id=member, url=url, types=types, by="anna", reach=INSIDE
    )
    return webhooks.verify_endpoint(ctx, made.endpoint_id, SECRETS.code(made.endpoint_id, url), SECRETS)


def now_is(ctx: Context, endpoint: UUID) -> webhooks.Endpoint:
    with ctx.tx() as tx:
        return webhooks.get_endpoint(tx, endpoint, ctx.clock.now())


def attempts_of(ctx: Context, endpoint: UUID) -> list[webhooks.Attempt]:
    """Oldest first."""
    with ctx.tx() as tx:
        return webhooks.list_attempts(tx, endpoint, limit=1000)[::-1]


def pass_time(ctx: Context, delay: timedelta) -> None:
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at += delay


@contextmanager
def sending(ctx: Context, reach: webhooks.Reach = INSIDE, **how: Any) -> Generator[webhooks.Sender]:
    sender = webhooks.Sender(ctx, SECRETS, reach, **how)
    try:
        yield sender
    finally:
        sender.close()


def send_all(ctx: Context, sender: webhooks.Sender, *, turns: int = 50) -> int:
    """Turns until nothing is taken; gives how many events were."""
    sent = 0
    for _ in range(turns):
        took = webhooks.turn(ctx, sender)
        sent += took
        if not took:
            break
    return sent
