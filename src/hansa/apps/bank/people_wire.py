"""A bank of people over HTTP: the door of the simulated one, and the rail that reaches any bank that speaks so.

Four calls, JSON in and out, a bearer token for who asks: ``POST /accounts`` (verify), ``PUT /orders/{id}``,
``GET /orders/{id}``, ``GET /entries?after=&limit=``. Anything but an answer in time is RailAway, and so unknown.
"""

import hmac
import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID

from hansa.kernel import Money
from hansa.wallets.model import NameMatch
from hansa.wallets.rails import (
    Answer,
    BadBankNumber,
    BankRail,
    Entry,
    EntryKind,
    Order,
    OrderKind,
    RailAway,
    Verdict,
    Verified,
)

BODY_MAX = 64 * 1024
ANSWER_MAX = 1024 * 1024


class HttpRail:
    """A rail over HTTP. url: its address, without a slash at the end. timeout_s: so long an answer is waited for."""

    def __init__(self, rail_id: str, url: str, token: str, *, timeout_s: float = 5.0) -> None:
        self._rail_id, self._url, self._token, self._timeout_s = rail_id, url.rstrip("/"), token, timeout_s

    @property
    def rail_id(self) -> str:
        """Its name."""
        return self._rail_id

    def verify(self, number: str, holder: str) -> Verified:
        """As ``BankRail``."""
        found = self._ask("POST", "/accounts", {"number": number, "holder": holder})
        return Verified(str(found["token"]), str(found["shown"]), NameMatch(found["match"]))

    def order(self, order: Order) -> Answer:
        """As ``BankRail``."""
        return _answer(self._ask("PUT", f"/orders/{order.order_id}", _order_body(order)))

    def ask(self, order_id: UUID) -> Answer:
        """As ``BankRail``."""
        return _answer(self._ask("GET", f"/orders/{order_id}"))

    def entries(self, after: int, limit: int) -> list[Entry]:
        """As ``BankRail``."""
        found = self._ask("GET", f"/entries?after={after}&limit={limit}")
        return [_entry(one) for one in found["entries"]]

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the operator's own address
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"authorization": f"Bearer {self._token}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as answer:  # noqa: S310
                return json.loads(answer.read(ANSWER_MAX))
        except urllib.error.HTTPError as error:
            if error.code == 422:
                raise BadBankNumber from error
            raise RailAway from error
        except (OSError, ValueError) as error:
            raise RailAway from error


class PeopleDoor:
    """The address of a bank of people. token: what whoever asks must show."""

    def __init__(self, bank: BankRail, token: str, *, host: str = "127.0.0.1", port: int = 0) -> None:
        door = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                door.serve(self)

            def do_PUT(self) -> None:
                door.serve(self)

            def do_POST(self) -> None:
                door.serve(self)

            def log_message(self, format: str, *args: object) -> None:
                """A bank keeps books, not a log of requests."""

        self._bank, self._token = bank, token
        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, name="people-bank", daemon=True)

    def __enter__(self) -> "PeopleDoor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request; one that the bank does not answer is closed without a word."""
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_MAX:
            request.close_connection = True
            return
        body = request.rfile.read(int(length))
        if not hmac.compare_digest(shown.encode(), self._token.encode()):
            status, answer = 401, {"detail": "show the token that the bank gave you"}
        else:
            try:
                status, answer = 200, self._do(request.command, request.path, body)
            except RailAway:
                request.close_connection = True
                return
            except BadBankNumber as error:
                status, answer = 422, {"detail": error.detail}
            except (KeyError, ValueError, TypeError) as error:
                status, answer = 400, {"detail": f"it cannot be read: {error}"[:300]}
        content = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _do(self, method: str, target: str, body: bytes) -> dict[str, Any]:
        parts = urllib.parse.urlsplit(target)
        _, name, *rest = parts.path.split("/")
        told: Any = json.loads(body) if body else {}
        if (method, name) == ("POST", "accounts"):
            found = self._bank.verify(str(told["number"]), str(told["holder"]))
            return {"token": found.token, "shown": found.shown, "match": found.match.value}
        if name == "orders" and rest:
            order_id = UUID(rest[0])
            answer = self._bank.order(_order(order_id, told)) if method == "PUT" else self._bank.ask(order_id)
            return {"verdict": answer.verdict.value, "reason": answer.reason}
        if (method, name) == ("GET", "entries"):
            asked = urllib.parse.parse_qs(parts.query)
            found = self._bank.entries(int(asked["after"][0]), min(1_000, int(asked["limit"][0])))
            return {"entries": [_entry_body(one) for one in found]}
        raise ValueError("there is no such call")


def _answer(found: Any) -> Answer:
    try:
        return Answer(Verdict(found["verdict"]), str(found.get("reason", "")))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise RailAway("The bank's answer cannot be read.") from error


def _order_body(order: Order) -> dict[str, Any]:
    return {
        "kind": order.kind.value,
        "token": order.token,
        "minor": order.amount.minor,
        "currency": order.amount.currency,
        "reference": order.reference,
        "mandate_id": order.mandate_id,
        "entry_id": order.entry_id,
    }


def _order(order_id: UUID, told: Any) -> Order:
    return Order(
        order_id,
        OrderKind(told["kind"]),
        str(told["token"]),
        Money(int(told["minor"]), str(told["currency"])),
        str(told["reference"]),
        str(told.get("mandate_id", "")),
        str(told.get("entry_id", "")),
    )


def _entry_body(one: Entry) -> dict[str, Any]:
    return {
        "number": one.number,
        "entry_id": one.entry_id,
        "kind": one.kind.value,
        "minor": one.amount.minor,
        "currency": one.amount.currency,
        "at": one.at.isoformat(),
        "order_id": str(one.order_id) if one.order_id else None,
        "reference": one.reference,
        "settled": one.settled,
        "reason": one.reason,
    }


def _entry(told: Any) -> Entry:
    try:
        return Entry(
            number=int(told["number"]),
            entry_id=str(told["entry_id"]),
            kind=EntryKind(told["kind"]),
            amount=Money(int(told["minor"]), str(told["currency"])),
            at=datetime.fromisoformat(str(told["at"])),
            order_id=UUID(told["order_id"]) if told["order_id"] else None,
            reference=str(told["reference"]),
            settled=bool(told["settled"]),
            reason=str(told["reason"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise RailAway("What the bank says cannot be read.") from error
