"""Where a simulated bank is reached: a folder that both sides see, and HTTP. Both know the league by its key."""

import json
import re
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hansa.apps.bank.books import Bank, BankDown
from hansa.kernel import Clock, SystemClock
from hansa.settlement import BadSignature
from hansa.settlement.delivery import (
    ANSWER_BYTES_MAX,
    FROM_BANK,
    RECEIPTS,
    TAKEN,
    TO_BANK,
    receipt_of,
    write_whole,
)
from hansa.settlement.signing import sign_answer, sign_file, verify_file, verify_request

_MESSAGE = re.compile(r"/messages/([A-Za-z0-9%._+-]{1,105})")
_ANSWER = re.compile(r"/answers/([A-Za-z0-9][A-Za-z0-9._+-]{0,79}?)(\.sig)?")


@dataclass(frozen=True, slots=True)
class FolderDoor:
    """A file drop as the bank works it: what lies in ``to-bank`` is taken, receipts and answers are put there.

    key: the bank's own. league: the key of who may send.
    """

    bank: Bank
    folder: Path
    key: Ed25519PrivateKey
    league: Ed25519PublicKey

    def look(self, clock: Clock) -> int:
        """Take what came and put out what waits; how many files that were."""
        for name in (TO_BANK, RECEIPTS, FROM_BANK, TAKEN):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        done = 0
        for path in sorted((self.folder / TO_BANK).glob("*.xml")):
            receipt = self.folder / RECEIPTS / f"{path.stem}.json"
            if receipt.exists() or path.name.startswith("."):
                continue
            try:
                told = self._receipt(path, clock)
            except BankDown:
                continue
            write_whole(receipt.with_name(f"{receipt.name}.sig"), sign_file(self.key, told))
            write_whole(receipt, told)
            done += 1
        try:
            waiting = self.bank.answers(clock.now())
        except BankDown:
            return done
        for name, body in waiting:
            place = self.folder / FROM_BANK / name
            if not place.exists():
                write_whole(place.with_name(f"{name}.sig"), sign_file(self.key, body))
                write_whole(place, body)
                done += 1
            self.bank.fetched(name)
        return done

    def _receipt(self, path: Path, clock: Clock) -> bytes:
        document = path.read_bytes()
        signature = path.with_name(f"{path.name}.sig")
        try:
            verify_file(self.league, document, signature.read_bytes() if signature.exists() else b"")
        except BadSignature as error:
            return receipt_of(path.stem, document, clock.now(), refused=error.detail)
        return self.bank.receive(path.stem, document, clock.now())


class HttpDoor:
    """The bank's address. Who does not sign as the league gets 401; while the bank is down, nobody gets an answer."""

    def __init__(
        self,
        bank: Bank,
        *,
        host: str,
        port: int,
        key: Ed25519PrivateKey,
        league: Ed25519PublicKey,
        clock: Clock | None = None,
        address: str | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        door = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                door.serve(self, bank, key, league)

            def do_GET(self) -> None:
                door.serve(self, bank, key, league)

            def do_DELETE(self) -> None:
                door.serve(self, bank, key, league)

            def log_message(self, format: str, *args: object) -> None:
                """A bank keeps books, not a log of requests."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.url = address or f"http://{host}:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, name="bank-door", daemon=True)

    def __enter__(self) -> "HttpDoor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(
        self,
        request: BaseHTTPRequestHandler,
        bank: Bank,
        key: Ed25519PrivateKey,
        league: Ed25519PublicKey,
    ) -> None:
        """Answer one request, signed; or close the connection without a word."""
        target = self.url + request.path
        length = request.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > ANSWER_BYTES_MAX:
            status, content = 413, b"{}"
            request.close_connection = True
            body = b""
        else:
            body = request.rfile.read(int(length))
            headers = {name.lower(): value for name, value in request.headers.items()}
            try:
                verify_request(
                    league,
                    headers,
                    method=request.command,
                    target=target,
                    body=body,
                    now=self._clock.now(),
                )
                status, content = self._answer(bank, request.command, request.path, body, key)
            except BadSignature as error:
                status, content = 401, json.dumps({"detail": error.detail}).encode()
            except BankDown:
                request.close_connection = True
                return
        signed = sign_answer(
            key,
            "bank",
            status=status,
            body=content,
            request={"method": request.command, "target": target},
            at=self._clock.now(),
        )
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **signed}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    def _answer(
        self, bank: Bank, method: str, path: str, body: bytes, key: Ed25519PrivateKey
    ) -> tuple[int, bytes]:
        now = self._clock.now()
        message = _MESSAGE.fullmatch(path)
        if method == "PUT" and message:
            receipt = bank.receive(urllib.parse.unquote(message[1]), body, now)
            return (409 if json.loads(receipt).get("refused") else 200), receipt
        if method == "GET" and path == "/answers":
            return 200, json.dumps({"answers": [name for name, _ in bank.answers(now)]}).encode()
        answer = _ANSWER.fullmatch(path)
        if answer and method == "GET":
            found = dict(bank.answers(now)).get(answer[1])
            if found is None:
                return 404, b"{}"
            return 200, sign_file(key, found) if answer[2] else found
        if answer and method == "DELETE":
            bank.fetched(answer[1])
            return 200, b"{}"
        return 404, b"{}"
