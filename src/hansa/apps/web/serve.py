"""Serving the application on a port of this machine."""

import asyncio
import errno
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, ClassVar

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


class _Protocol(HttpToolsProtocol):
    """uvicorn's, on httptools: a third of the cost of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_Together(transport))


def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 8017) -> None:
    """Serve until the process is told to stop (Ctrl-C, TERM or HUP), then finish what is under way.

    Errors: PortTaken, BadAddress, before anything is served.
    """
    listening = listen(host, port)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="auto",  # uvloop, wherever it can be installed
            http=_Protocol,
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
