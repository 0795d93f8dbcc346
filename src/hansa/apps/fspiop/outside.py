"""Calling members: HTTP to the addresses they gave, and never into a network of our own unless the operator says so.

A name is looked up once, every address it has is looked at, and the connection goes to the very address that was
looked at; an answer that sends elsewhere is not followed.
"""

import socket
import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from urllib.parse import urlsplit

TIMEOUT_S = 5.0
ANSWER_MAX = 64 * 1024
IDLE_MAX = 8
"""Connections that are kept open to one address."""


class Unreachable(Exception):
    """A member's address does not answer, or may not be called."""


class Outside:
    """Connections to members, kept open. private: whether addresses inside our own networks may be called."""

    def __init__(self, *, private: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        self._private, self._timeout_s = private, timeout_s
        self._idle: dict[tuple[str, str, int], list[HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._tls = ssl.create_default_context()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Call a member; gives the status of its answer. Errors: Unreachable."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(f"{url} is no address of HTTP.")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise Unreachable(f"{url} names no port.") from error
        where = (parts.scheme, parts.hostname, port)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        for fresh in (False, True):
            connection = None if fresh else self._take(where)
            if connection is None:
                if not fresh:
                    continue
                connection = self._connect(where)
            try:
                connection.request(method, path, body or None, dict(headers))
                answer = connection.getresponse()
                answer.read(ANSWER_MAX)
            except (OSError, HTTPException, ValueError) as error:
                connection.close()
                if fresh:
                    raise Unreachable(f"{where[1]}:{port} does not answer: {error}") from error
                continue  # it was kept open too long; what it carried, if anything, is harmless twice
            if answer.will_close or not answer.isclosed():
                connection.close()
            else:
                self._keep(where, connection)
            return answer.status
        raise AssertionError(url)

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _take(self, where: tuple[str, str, int]) -> HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(where)
            return idle.pop() if idle else None

    def _keep(self, where: tuple[str, str, int], connection: HTTPConnection) -> None:
        with self._lock:
            idle = self._idle.setdefault(where, [])
            if len(idle) < IDLE_MAX:
                idle.append(connection)
                return
        connection.close()

    def _connect(self, where: tuple[str, str, int]) -> HTTPConnection:
        scheme, host, port = where
        address = self._address(host, port)
        try:
            plain = socket.create_connection((address, port), self._timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                secure = HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls)
                secure.sock = self._tls.wrap_socket(plain, server_hostname=host)
                return secure
        except OSError as error:
            raise Unreachable(f"{host}:{port} does not answer: {error}") from error
        connection = HTTPConnection(host, port, timeout=self._timeout_s)
        connection.sock = plain
        return connection

    def _address(self, host: str, port: int) -> str:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"There is no {host}.") from error
        addresses = [str(one[4][0]).partition("%")[0] for one in found]
        if not self._private and not all(ip_address(one).is_global for one in addresses):
            raise Unreachable(
                f"{host} is an address inside a network of ours; the operator has not allowed it."
            )
        return addresses[0]
