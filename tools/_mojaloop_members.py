"""Simulated members for the collections: they answer what the hub brings them, and show it to who watches.

Each lives under ``/sim/<name>``. It knows parties that were put into its repository, quotes what is asked, and fulfils
transfers that it quoted. Whoever opens a WebSocket on ``/sim/<name>/requests/<id>`` or ``.../callbacks/<id>`` is sent
what came about that id, as the members' own test interfaces do.
"""

import json
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hansa.apps.fspiop import signing, wire

WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PACKET = urlsafe_b64encode(b"simulated packet").decode().rstrip("=")


class Members:
    """All simulated members, on one port. keys: private keys in PEM by name; others are made."""

    def __init__(self, hub: str, keys: Mapping[str, str]) -> None:
        self._hub = urlsplit(hub)
        self._keys: dict[str, RSAPrivateKey] = {}
        for name, pem in keys.items():
            key = load_pem_private_key(pem.encode(), password=None)
            assert isinstance(key, RSAPrivateKey)
            self._keys[name] = key
        self._parties: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._fulfilments: dict[str, str] = {}
        self._watching: dict[str, list[Callable[[bytes], None]]] = {}
        self._seen: dict[str, bytes] = {}
        self._waiting: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(16)
        members = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                members.handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - as the library names them

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.port = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._pool.shutdown(wait=False)

    def handle(self, ask: BaseHTTPRequestHandler) -> None:
        parts = ask.path.partition("?")[0].strip("/").split("/")
        size = int(ask.headers.get("content-length") or 0)
        body = json.loads(ask.rfile.read(size) or b"null") if size else None
        headers = {name.lower(): value for name, value in ask.headers.items()}
        if len(parts) < 3 or parts[0] != "sim":
            _reply(ask, 404)
            return
        name, what, names = parts[1], parts[2], parts[3:]
        if what in ("requests", "callbacks") and headers.get("upgrade", "").lower() == "websocket":
            self._watch(ask, headers, f"{name}/{what}/{names[0]}")
            return
        if what in ("requests", "callbacks"):
            seen = self._seen.get(f"{name}/{what}/{names[0]}")
            _reply(ask, 200 if seen else 404, seen or b"")
            return
        if what == "repository":
            self._repository(ask, name, names, body)
            return
        _reply(ask, 202 if ask.command in ("POST", "GET") else 200)
        topic = (
            names[-2]
            if names and names[-1] == "error"
            else (names[1] if what == "parties" else (names or [""])[0])
        )
        if ask.command == "PUT" or ask.command == "PATCH":
            self._tell(f"{name}/callbacks/{topic}", headers, body)
            waiting = self._waiting.pop(f"{name}/{topic}", None)
            if waiting is not None and isinstance(body, dict):
                waiting("/".join(parts[2:]), {"body": body, "headers": headers})
            return
        if ask.command == "POST":
            ids = {
                "quotes": "quoteId",
                "transfers": "transferId",
                "transactionRequests": "transactionRequestId",
            }
            assert isinstance(body, dict), body
            topic = str(body[ids[what]])
        self._tell(f"{name}/requests/{topic}", headers, body)
        self._pool.submit(self._answer, name, ask.command, what, names, headers, body)

    def _repository(self, ask: BaseHTTPRequestHandler, name: str, names: list[str], body: Any) -> None:
        if ask.command == "POST":
            self._parties[name, body["idType"], body["idValue"]] = body
        elif ask.command == "DELETE":
            self._parties.pop((name, names[1], names[2]), None)
        _reply(ask, 204)

    def _answer(
        self, name: str, method: str, what: str, names: list[str], headers: dict[str, str], body: Any
    ) -> None:
        to = headers.get("fspiop-source", "")
        version = headers.get("content-type", "version=1.0").rpartition("=")[2]
        if what == "parties" and method == "GET":
            party = self._parties.get((name, names[0], names[1]))
            if party is not None and len(names) > 2 and party.get("idSubValue", names[2]) != names[2]:
                party = None
            if party is None:
                told: Any = {"errorInformation": {"errorCode": "3204", "errorDescription": "Party not found"}}
                self._send(name, to, f"/parties/{'/'.join(names)}/error", "parties", version, told)
                return
            info = {"partyIdType": names[0], "partyIdentifier": names[1], "fspId": name}
            if len(names) > 2:
                info["partySubIdOrType"] = names[2]
            complex_name = {
                key: party[key] for key in ("firstName", "middleName", "lastName") if party.get(key)
            }
            told = {
                "party": {
                    "partyIdInfo": info,
                    "name": party.get("displayName", "")[:128],
                    "personalInfo": {"complexName": complex_name, "dateOfBirth": party.get("dateOfBirth")},
                }
            }
            self._send(name, to, f"/parties/{'/'.join(names)}", "parties", version, told)
            return
        if what == "quotes" and method == "POST":
            fulfilment = sha256(f"{name} {body['quoteId']}".encode()).digest()
            condition = _text(sha256(fulfilment).digest())
            self._fulfilments[condition] = _text(fulfilment)
            amount = body["amount"]
            none = {"amount": "0", "currency": amount["currency"]}
            told = {
                "transferAmount": amount,
                "payeeReceiveAmount": amount,
                "payeeFspFee": none,
                "payeeFspCommission": none,
                "expiration": wire.said(datetime.now(UTC) + timedelta(seconds=60)),
                "ilpPacket": PACKET,
                "condition": condition,
            }
            self._send(name, to, f"/quotes/{body['quoteId']}", "quotes", version, told)
            return
        if what == "transfers" and method == "POST":
            fulfilment = self._fulfilments.get(body["condition"])
            path = f"/transfers/{body['transferId']}"
            if fulfilment is None:
                told = {"errorInformation": {"errorCode": "5105", "errorDescription": "It was not quoted"}}
                self._send(name, to, f"{path}/error", "transfers", version, told)
                return
            told = {
                "transferState": "COMMITTED",
                "fulfilment": fulfilment,
                "completedTimestamp": wire.said(datetime.now(UTC)),
            }
            self._send(name, to, path, "transfers", version, told)
            return
        if what == "transactionRequests" and method == "POST":
            told = {"transactionId": str(uuid4()), "transactionRequestState": "RECEIVED"}
            path = f"/transactionRequests/{body['transactionRequestId']}"
            self._send(name, to, path, "transactionRequests", version, told)
            return
        if what == "authorizations" and method == "GET":
            told = {
                "responseType": "ENTERED",
                "authenticationInfo": {"authentication": "OTP", "authenticationValue": "1234"},
            }
            self._send(name, to, f"/authorizations/{names[0]}", "authorizations", version, told)
            return

    def _send(
        self, name: str, to: str, path: str, resource: str, version: str, body: Any, method: str = "PUT"
    ) -> int:
        text = json.dumps(body, ensure_ascii=False).encode()
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = generate_private_key(65_537, 2048)
        date = wire.http_date(datetime.now(UTC))
        headers = {
            "content-type": wire.content_type(resource, version),
            "date": date,
            "fspiop-source": name,
            "fspiop-destination": to,
            "fspiop-uri": path,
            "fspiop-http-method": method,
            "fspiop-signature": signing.sign(
                key, method=method, uri=path, source=name, destination=to, date=date, body=text
            ),
        }
        if method == "POST":
            headers["accept"] = wire.content_type(resource, version)
        connection = HTTPConnection(self._hub.hostname or "", self._hub.port, timeout=10)
        try:
            connection.request(method, path, text, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _tell(self, topic: str, headers: dict[str, str], body: Any) -> None:
        text = json.dumps({"headers": headers, "data": body}, ensure_ascii=False).encode()
        with self._lock:
            self._seen[topic] = text
            watching = self._watching.pop(topic, [])
        for one in watching:
            one(text)

    def _watch(self, ask: BaseHTTPRequestHandler, headers: dict[str, str], topic: str) -> None:
        accept = b64encode(sha1(headers["sec-websocket-key"].encode() + WEBSOCKET).digest()).decode()  # noqa: S324
        ask.send_response(101)
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept),
        ):
            ask.send_header(name, value)
        ask.end_headers()
        ask.wfile.flush()
        ask.close_connection = True

        def send(text: bytes) -> None:
            size = len(text)
            head = b"\x81" + (
                bytes([size])
                if size < 126
                else b"\x7e" + size.to_bytes(2)
                if size < 65_536
                else b"\x7f" + size.to_bytes(8)
            )
            try:
                ask.wfile.write(head + text)
                ask.wfile.flush()
            except OSError:
                pass

        with self._lock:
            self._watching.setdefault(topic, []).append(send)
        try:
            while ask.rfile.read(1):  # until it closes
                pass
        except OSError:
            pass


def _reply(ask: BaseHTTPRequestHandler, status: int, body: bytes = b"") -> None:
    ask.send_response(status)
    if body:
        ask.send_header("content-type", "application/json")
    ask.send_header("content-length", str(len(body)))
    ask.end_headers()
    ask.wfile.write(body)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
