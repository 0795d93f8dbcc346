"""One POST to an address that a stranger named: judged before it is connected to, timed, and never believed.

The host's name is looked up here, its addresses are judged, and the connection goes to the very address that was
judged: a name that leads elsewhere a moment later (DNS rebinding) changes nothing. A redirect is an answer like any
other and is not followed. Of an answer only the first kilobyte is read.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address

import httptools

from hansa.webhooks.addresses import Address, Reach, Target
from hansa.webhooks.model import BODY_KEPT

TIMEOUT_S = 15.0
"""For a whole attempt, from looking up the name to the last byte. Source: Standard Webhooks 1.0.0, 15 to 30 s."""

HEAD_MAX = 64 * 1024
LOOK_UPS_MAX = 32
"""Names that are looked up at once; a slow name server holds up no more than these."""

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a POST. status: None where no answer came; ``fault`` says why. took_ms: from start to end."""

    status: int | None
    fault: str
    body: bytes
    retry_after_s: int | None
    took_ms: int


class Resolver:
    """Looks names up in threads of its own, as the system does."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS_MAX, thread_name_prefix="hansa-names")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [ip_address(str(one[4][0]).partition("%")[0]) for one in found]

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class Line:
    """One connection to one endpoint, kept open while answers allow it; used by one at a time."""

    target: Target
    reach: Reach
    resolve: Resolve
    tls: ssl.SSLContext
    timeout_s: float = TIMEOUT_S
    _open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, init=False)

    async def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send this and hear what is answered. Errors: none; what went wrong is the answer's fault."""
        began = time.monotonic()
        heard = _Heard()
        fault = ""
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._exchange(_request(self.target, headers, body), heard)
        except TimeoutError:
            fault = f"no answer within {self.timeout_s:g} s"
        except _NotAllowed as error:
            fault = str(error)
        except ssl.SSLCertVerificationError as error:
            fault = f"its certificate is not valid: {error.verify_message}"
        except ssl.SSLError as error:
            fault = f"TLS failed: {error.reason or 'handshake'}"
        except socket.gaierror:
            fault = "its name leads nowhere"
        except httptools.HttpParserError:
            fault = "what it answers is not HTTP"
        except ConnectionRefusedError:
            fault = "the connection was refused"
        except (OSError, EOFError):
            fault = "the connection broke"
        if fault or not heard.is_whole or not heard.may_stay:
            await self.close()
        status = heard.status if heard.has_head else None
        return Answer(
            status,
            "" if status is not None else fault,
            bytes(heard.body[:BODY_KEPT]),
            heard.retry_after_s,
            int((time.monotonic() - began) * 1000),
        )

    async def close(self) -> None:
        """Drop the connection, if there is one."""
        if self._open is not None:
            writer = self._open[1]
            self._open = None
            writer.transport.abort()

    async def _exchange(self, request: bytes, heard: "_Heard") -> None:
        reused = self._open is not None
        try:
            await self._try(request, heard)
        except (OSError, EOFError, httptools.HttpParserError):
            # A connection that was kept may have been closed just as we wrote, or have left-over bytes in it.
            if not reused or heard.has_head:
                raise
            await self.close()
            heard.begin_anew()
            await self._try(request, heard)

    async def _try(self, request: bytes, heard: "_Heard") -> None:
        if self._open is None:
            self._open = await self._connect()
        reader, writer = self._open
        writer.write(request)
        await writer.drain()
        while not heard.is_whole and len(heard.body) <= BODY_KEPT:
            some = await reader.read(HEAD_MAX)
            if not some:
                if heard.has_head:
                    return
                raise EOFError
            heard.feed(some)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        found = await self.resolve(self.target.host, self.target.port)
        allowed = self.reach.judge(self.target, found)
        if not allowed:
            raise _NotAllowed("its name leads to an address that is not public")
        fault: OSError | None = None
        for address in allowed[:4]:
            try:
                return await asyncio.open_connection(
                    str(address),
                    self.target.port,
                    ssl=self.tls if self.target.secure else None,
                    server_hostname=self.target.host if self.target.secure else None,
                    limit=HEAD_MAX,
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                fault = error
        assert fault is not None, "one of them was tried"
        raise fault


class _NotAllowed(Exception):
    """The address may not be called."""


class _Heard:
    """An answer as its bytes come in; what httptools calls is named as it wants."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._bytes = 0
        self.status = 0
        self.body = bytearray()
        self.retry_after_s: int | None = None
        self.has_head = self.is_whole = self.may_stay = False

    def feed(self, some: bytes) -> None:
        self._bytes += len(some)
        if not self.has_head and self._bytes > HEAD_MAX:
            raise httptools.HttpParserError("a head without end")
        try:
            self._parser.feed_data(some)
        except httptools.HttpParserUpgrade:
            self.status, self.has_head, self.is_whole = self._parser.get_status_code(), True, True

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            with contextlib.suppress(ValueError):
                self.retry_after_s = max(0, int(value[:10]))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.has_head = self.status >= 200

    def on_body(self, some: bytes) -> None:
        self.body += some[: BODY_KEPT + 1]

    def on_message_complete(self) -> None:
        if self.has_head:
            self.is_whole = True
            self.may_stay = self._parser.should_keep_alive()


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: Hansa-Webhooks/1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
