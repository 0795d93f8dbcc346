"""Serving the application on a port of this machine."""

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar, Literal, cast

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hansa.apps.web.heads import HEAD_MAX, fault_of_head
from hansa.kernel import HansaError

BACKLOG = 512

NOT_HERE = (
    "{host} is no address of this machine. Leave out --host to serve this machine alone, or give --host 0.0.0.0 to"
    " serve its network too."
)


class PortTaken(HansaError):
    """Another program listens on this port."""

    code: ClassVar[str] = "web.port_taken"
    status: ClassVar[int] = 409


class BadAddress(HansaError):
    """This machine cannot listen on that address."""

    code: ClassVar[str] = "web.bad_address"
    status: ClassVar[int] = 422


class _Together(asyncio.Transport):
    """A transport that sends what is written in one turn of the loop as one piece.

    uvicorn writes an answer's head and its body apart; each would wake the other side, and cost it a turn of its own.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._send)
        self._parts.append(bytes(data))

    def _send(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            if not self._transport.is_closing():
                self._transport.write(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._send()
        self._transport.set_protocol(protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a connection may take. head: to send a head, the first one from when it is made. body: to send a
    body. stuck: to read some more of what is written to it.
    """

    head: float = 20.0
    body: float = 300.0
    stuck: float = 60.0


class NotTaken(Exception):
    """A head that is not taken, and why."""


class Protocol(HttpToolsProtocol):
    """uvicorn's, on httptools: a third of the cost of a request. It bounds what a connection may cost us.

    A head is held against ``heads`` before anything reads it, its bytes are counted as they come, and whoever sends or
    reads too slowly is cut off. No timer is started for what comes whole in one piece.
    """

    patience = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Together(transport))
        self._part: Literal["", "head", "body"] = ""
        self._size = 0
        self._status, self._why = b"400 Bad Request", ""
        self._late: asyncio.TimerHandle | None = self.loop.call_later(self.patience.head, self._give_up)
        self._stuck: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._moves()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._part == "head":
            self._size += len(data)
            if self._size > HEAD_MAX:
                self._refuse(b"431 Request Header Fields Too Large", "The head is too large.")
                return
        if self._part and self._late is None and not self.transport.is_closing():
            after_s = self.patience.head if self._part == "head" else self.patience.body
            self._late = self.loop.call_later(after_s, self._give_up)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part, self._size = "head", 0

    def on_headers_complete(self) -> None:
        self._in_time()
        parser = self.parser
        assert parser is not None, "it is gone only once the connection is"
        self._why = fault_of_head(self.url, self.headers, parser.get_http_version())
        if self._why:
            raise NotTaken(self._why)  # which the parser makes an error of its own, answered as below
        self._part = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_time()
        self._part = ""
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        told = (self._why or msg).encode()
        head = (
            b"HTTP/1.1 " + self._status + b"\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: "
            + str(len(told)).encode() + b"\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )  # fmt: skip
        self.transport.write(head + told)
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.patience.stuck, self.transport.abort)

    def resume_writing(self) -> None:
        self._moves()
        super().resume_writing()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _moves(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _give_up(self) -> None:
        self._late = None
        if self._part == "head":
            self._refuse(b"408 Request Timeout", "The head took too long.")
        else:
            self.transport.close()

    def _refuse(self, status: bytes, why: str) -> None:
        """Answer this and close, unless another request's answer is on its way on this connection."""
        self._in_time()
        if self.transport.is_closing():
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        if cycle is not None and not cycle.response_complete:
            self.transport.close()
            return
        self._status, self._why = status, why
        self.send_400_response(why)


def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 8017) -> None:
    """Serve until the process is told to stop (Ctrl-C, TERM or HUP), then finish what is under way.

    Errors: PortTaken, BadAddress, before anything is served.
    """
    listening = listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="auto",  # uvloop, wherever it can be installed
            http=Protocol,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )
    try:
        with _told_to_stop():
            server.run(sockets=[listening])
    finally:
        listening.close()


@contextmanager
def _told_to_stop() -> Generator[None]:
    """Let TERM, HUP and Ctrl-C end the serving and nothing else.

    uvicorn finishes what is under way and then sends the signal on. By default TERM would end the process on the
    spot, and whoever called us could not stop the database they started; Ctrl-C would cancel the loop's task, which
    now and then comes out as an error. HUP, a terminal that was closed, uvicorn does not know: it hears of that as
    TERM. Who ignores HUP, as nohup does, goes on doing so.
    """

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    def hung_up(_: int, __: FrameType | None) -> None:
        signal.raise_signal(signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.getsignal(signal.SIGHUP)
    if before[signal.SIGHUP] is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hung_up)
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. port 0 takes any free one. Errors: PortTaken, BadAddress."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortTaken(
                f"Port {port} on {host} is taken by another program. Stop that one, or choose another port: "
                f"--port {port + 1}."
            ) from error
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise BadAddress(NOT_HERE.format(host=host)) from error
        raise
    except UnicodeError as error:  # a name that no machine can have
        listening.close()
        raise BadAddress(NOT_HERE.format(host=host)) from error
    return listening
