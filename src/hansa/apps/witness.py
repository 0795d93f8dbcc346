"""A witness over HTTP (tlog-witness), and how a log asks one.

Plain ASGI: two addresses, a bounded body, and the answers of the protocol. What is signed, and when it is not, is
decided in `hansa.trust.tlog`.
"""

import asyncio
import http.client
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, ClassVar
from urllib.parse import urlsplit

import uvicorn

from hansa.apps.web import listen
from hansa.kernel import HansaError
from hansa.trust import tlog
from hansa.trust.tlog import Note, StaleSize, VerifierKey, Witness

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]

SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"
BODY_BYTES_MAX = tlog.REQUEST_BYTES_MAX
ANSWER_BYTES_MAX = 2**16


class WitnessSilent(HansaError):
    """The witness cannot be reached, or did not answer in time. It may have signed: ask again."""

    code: ClassVar[str] = "witness.silent"
    status: ClassVar[int] = 504


class WitnessRefused(HansaError):
    """The witness answered, and did not sign."""

    code: ClassVar[str] = "witness.refused"
    status: ClassVar[int] = 502


def witness_asgi(witness: Witness) -> Asgi:
    """The witness as an ASGI application: ``POST /add-checkpoint`` and ``GET /<hash of origin>/checkpoint``."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            return
        status, content_type, body = await _answer(witness, scope, receive)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if status == 405:
            headers.append((b"allow", b"POST" if scope["path"] == "/add-checkpoint" else b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


def serve_witness(witness: Witness, host: str = "127.0.0.1", port: int = 8_018) -> None:
    """Serve until told to stop, then finish what is under way.

    Errors: PortTaken, BadAddress, before anything is served.
    """
    listening = listen(host, port)
    config = uvicorn.Config(
        witness_asgi(witness),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        limit_concurrency=256,
    )
    try:
        with _told_to_stop():
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()


@contextmanager
def _told_to_stop() -> Generator[None]:
    """Let Ctrl-C and TERM end the serving and nothing else.

    uvicorn finishes what is under way and then sends the signal on. Python's own answer to Ctrl-C in a running loop
    is to cancel the task, which now and then came out as an error; a handler of ours is simply raised through.
    """

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ask_witness(
    url: str,
    old_size: int,
    proof: Sequence[bytes],
    checkpoint: Note,
    *,
    key: VerifierKey,
    timeout_s: float = 10.0,
) -> str:
    """Ask a witness to sign; gives its signature's line, verified, to stand under the checkpoint.

    url: the witness's submission prefix. old_size: where the proof starts. key: the witness's; lines of others are
    passed over. Asking again is harmless.
    Errors: StaleSize with the size from which the witness wants the proof; WitnessRefused; WitnessSilent.
    """
    status, content_type, answer = _post(
        f"{url.rstrip('/')}/add-checkpoint", tlog.add_checkpoint_body(old_size, proof, checkpoint), timeout_s
    )
    if status == 409 and content_type == SIZE_TYPE and answer.endswith("\n"):
        raise StaleSize(tlog.parse_number(answer[:-1], WitnessRefused))
    if status != 200:
        raise WitnessRefused(f"{url} answered {status}: {answer[:200]!r}")
    try:
        signed = Note(checkpoint.text, tlog.parse_signatures(answer)).verify([key])
    except HansaError as error:
        raise WitnessRefused(f"{url} answered with no signature of {key.name}: {error.detail}") from error
    return str(signed[0].signature)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _answer(witness: Witness, scope: Message, receive: Receive) -> tuple[int, str, bytes]:
    method, path = scope["method"], scope["path"]
    try:
        if path == "/add-checkpoint":
            if method != "POST":
                return 405, TEXT_TYPE, b"Post a checkpoint here.\n"
            body = await _body(receive)
            if body is None:
                return 413, TEXT_TYPE, b"This is longer than any request to a witness.\n"
            line = await asyncio.to_thread(witness.add_checkpoint, body)
            return 200, TEXT_TYPE, line.encode()
        match path.split("/"):
            case ["", origin_hash, "checkpoint"]:
                if method not in ("GET", "HEAD"):
                    return 405, TEXT_TYPE, b"Checkpoints are read here.\n"
                note = await asyncio.to_thread(witness.latest_by_hash, origin_hash)
                return 200, TEXT_TYPE, str(note).encode()
            case _:
                return 404, TEXT_TYPE, b"There is nothing here.\n"
    except StaleSize as error:
        return error.status, SIZE_TYPE, f"{error.size}\n".encode()
    except HansaError as error:
        return error.status, TEXT_TYPE, f"{error.detail}\n".encode()


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None when it is longer than we read, or was broken off."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _post(url: str, body: bytes, timeout_s: float) -> tuple[int, str, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise WitnessSilent(f"{url} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise WitnessSilent(f"{url} is no address of http or https.")
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(host, port, timeout=timeout_s)
    try:
        connection.request("POST", parts.path, body, {"content-type": TEXT_TYPE})
        answer = connection.getresponse()
        text = answer.read(ANSWER_BYTES_MAX).decode("utf-8", "replace")
        return answer.status, answer.getheader("content-type", ""), text
    except (OSError, http.client.HTTPException) as error:
        raise WitnessSilent(f"{url} did not answer: {error}") from error
    finally:
        connection.close()
