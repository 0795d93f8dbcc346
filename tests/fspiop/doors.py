"""The facade over HTTP, with members that keep what they are told."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uvicorn

from hansa import hub
from hansa.apps import fspiop
from hansa.apps.fspiop import wire
from hansa.kernel import FixedClock
from hansa.store import Context

NOW = datetime(2026, 11, 20, 2, tzinfo=UTC)
SECRET = bytes(range(32))
FULFILMENT = urlsafe_b64encode(SECRET).decode().rstrip("=")
CONDITION = urlsafe_b64encode(sha256(SECRET).digest()).decode().rstrip("=")


@dataclass
class Told:
    """A call that a member was made."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    text: bytes


@dataclass
class Member:
    """A simulated member: it keeps what it is told, and answers with a status."""

    name: str
    status: int = 202
    told: list[Told] = field(default_factory=list)

    def wait_for(self, method: str, path: str) -> Told:
        """The first such call; fails where none comes in time."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for one in list(self.told):
                if (one.method, one.path) == (method, path):
                    return one
            time.sleep(0.01)
        raise AssertionError(
            f"{self.name} was never told {method} {path}: {[(t.method, t.path) for t in self.told]}"
        )


@dataclass
class Doors:
    """A facade that is served, and who lives behind it."""

    ctx: Context
    app: fspiop.App
    url: str
    members: dict[str, Member]
    client: httpx.Client

    def send(self, source: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask as a member. headers: with ``_`` for ``-``; an empty one is left out."""
        resource = path.strip("/").partition("/")[0]
        kind = wire.content_type(resource)
        told = {"fspiop-source": source, "date": wire.http_date(NOW), "content-type": kind}
        if method in ("GET", "POST", "DELETE"):
            told["accept"] = kind
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        told = {name: value for name, value in told.items() if value}
        return self.client.request(method, self.url + path, content=text, headers=told)

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask as the operator."""
        return self.client.request(method, self.url + path, json=body)

    def pay(
        self, n: int, *, amount: str = "10", payee: str = "bo", lasts_s: float = 30, **changes: Any
    ) -> str:
        """Prepare a transfer from ``anna``; gives its id."""
        transfer_id = str(UUID(int=n))
        body = {
            "transferId": transfer_id,
            "payerFsp": "anna",
            "payeeFsp": payee,
            "amount": {"amount": amount, "currency": "USD"},
            "ilpPacket": "AAAA",
            "condition": CONDITION,
            "expiration": wire.said(self.ctx.clock.now() + timedelta(seconds=lasts_s)),
        }
        answer = self.send("anna", "POST", "/transfers", body | changes)
        assert answer.status_code == 202, answer.text
        return transfer_id

    def position(self, name: str) -> float:
        """What a member owes, with what is reserved."""
        return self.admin("GET", f"/admin/participants/{name}/positions").json()[0]["value"]

    def states(self) -> dict[str, str]:
        """All payments of the hub, by id."""
        with self.ctx.tx() as tx:
            found = hub.list_payments(tx, before=(NOW + timedelta(days=2), UUID(int=2**128 - 1)))
        return {str(one.payment_id): one.state.value for one in found}

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and the facade look at it."""
        assert isinstance(self.ctx.clock, FixedClock)
        self.ctx.clock.at += timedelta(seconds=seconds)
        fspiop.turn(self.app.site)


@contextmanager
def open_doors(
    ctx: Context,
    home: Path,
    *,
    cover: int = 1_000,
    cap: int = 500,
    private: bool = True,
    trusted: bool = True,
) -> Generator[Doors]:
    """A facade with ``anna``, ``bo`` and ``cy``, each with so much cover and cap, in USD."""
    assert isinstance(ctx.clock, FixedClock)
    ctx.clock.at = NOW
    members = {name: Member(name) for name in ("anna", "bo", "cy")}
    with _members(members) as port:
        choices = fspiop.Choices(trusted_network=True, one_person=True, private_calls=private)
        with (
            fspiop.running(ctx, home, choices, turns=False) as app,
            _served(app) as url,
            httpx.Client(timeout=60) as client,
        ):
            del client.headers["accept"]
            doors = Doors(ctx, app, url, members, client)
            _provision(doors, f"http://127.0.0.1:{port}", cover, cap)
            app.site.choices = fspiop.Choices(trusted_network=trusted, one_person=True, private_calls=private)
            yield doors


def _provision(doors: Doors, base: str, cover: int, cap: int) -> None:
    for kind in ("HUB_RECONCILIATION", "HUB_MULTILATERAL_SETTLEMENT"):
        answer = doors.admin("POST", "/admin/participants/Hub/accounts", {"type": kind, "currency": "USD"})
        assert answer.status_code == 201, answer.text
    model = {
        "name": "NETUSD",
        "settlementGranularity": "NET",
        "settlementInterchange": "MULTILATERAL",
        "settlementDelay": "DEFERRED",
        "ledgerAccountType": "POSITION",
        "currency": "USD",
    }
    assert doors.admin("POST", "/admin/settlementModels", model).status_code == 201
    for n, name in enumerate(doors.members):
        place = f"/admin/participants/{name}"
        asked = doors.admin("POST", "/admin/participants", {"name": name, "currency": "USD"})
        assert asked.status_code == 201, asked.text
        limit = {"currency": "USD", "limit": {"type": "NET_DEBIT_CAP", "value": cap}, "initialPosition": 0}
        assert doors.admin("POST", f"{place}/initialPositionAndLimits", limit).status_code == 201
        account = next(
            one["id"]
            for one in doors.admin("GET", f"{place}/accounts").json()
            if one["ledgerAccountType"] == "SETTLEMENT"
        )
        funds = {
            "transferId": str(UUID(int=10_000 + n)),
            "action": "recordFundsIn",
            "reason": "deposit",
            "amount": {"amount": str(cover), "currency": "USD"},
        }
        assert doors.admin("POST", f"{place}/accounts/{account}", funds).status_code == 202
        for kind, path in (
            ("TRANSFER_POST", "/transfers"),
            ("TRANSFER_PUT", "/transfers/{{transferId}}"),
            ("TRANSFER_ERROR", "/transfers/{{transferId}}/error"),
            ("PARTIES_GET", "/parties/{{partyIdType}}/{{partyIdentifier}}"),
            ("PARTIES_PUT", "/parties/{{partyIdType}}/{{partyIdentifier}}"),
            ("PARTIES_PUT_ERROR", "/parties/{{partyIdType}}/{{partyIdentifier}}/error"),
            ("PARTICIPANT_PUT", "/participants/{{partyIdType}}/{{partyIdentifier}}"),
            ("PARTICIPANT_PUT_ERROR", "/participants/{{partyIdType}}/{{partyIdentifier}}/error"),
            ("QUOTES", ""),
        ):
            body = {"type": f"FSPIOP_CALLBACK_URL_{kind}", "value": f"{base}/{name}{path}"}
            assert doors.admin("POST", f"{place}/endpoints", body).status_code == 201


@contextmanager
def _members(members: dict[str, Member]) -> Generator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            name, _, path = self.path.lstrip("/").partition("/")
            size = int(self.headers.get("content-length") or 0)
            text = self.rfile.read(size)
            headers = {key.lower(): value for key, value in self.headers.items()}
            member = members[name]
            member.told.append(
                Told(self.command, f"/{path}", headers, json.loads(text) if text else None, text)
            )
            self.send_response(member.status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST = do_PUT = do_PATCH = handle_any  # noqa: N815 - as the library names them

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _served(app: fspiop.App) -> Generator[str]:
    from hansa.apps.web.serve import listen

    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
