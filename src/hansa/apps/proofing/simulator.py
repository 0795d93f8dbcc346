"""The simulated provider of proofs as a server of its own, for those who build theirs, or test what ours does."""

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import compare_digest
from threading import Thread
from types import TracebackType

import msgspec

from hansa.apps.proofing.conduct import Conduct, Memory, answered, conduct_of
from hansa.apps.proofing.wire import BYTES_MAX, Asked

SLOW_S = 3.0


class ProofingDoor:
    """Answers ``POST /checks`` on a port, from ``with`` to its end.

    key: what callers must bring as bearer. port: 0 takes a free one. slow_s: how long a slow number takes.
    """

    def __init__(self, *, key: str, host: str = "127.0.0.1", port: int = 0, slow_s: float = SLOW_S) -> None:
        memory = Memory()

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                status, body = _answer(self, memory, key, slow_s)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Names are not for a log."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, name="proofing-door", daemon=True)

    def __enter__(self) -> "ProofingDoor":
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer(request: BaseHTTPRequestHandler, memory: Memory, key: str, slow_s: float) -> tuple[int, bytes]:
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > BYTES_MAX:
        return 413, b'{"fault":"send at most 16,384 bytes, with their length"}'
    body = request.rfile.read(int(length))
    if not compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {key}".encode()):
        return 401, b'{"fault":"bring the key of this provider as a bearer"}'
    if request.path != "/checks":
        return 404, b'{"fault":"ask POST /checks"}'
    try:
        question = msgspec.json.decode(body, type=Asked)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return 422, msgspec.json.encode({"fault": str(error)})
    conduct = conduct_of(question)
    told = answered(question, conduct, memory.count(question.reference))
    if conduct is Conduct.SLOW:
        time.sleep(slow_s)
    if told is None:
        return 503, b'{"fault":"down"}'
    return 200, b'{"outcome": "mat' if conduct is Conduct.NONSENSE else msgspec.json.encode(told)
