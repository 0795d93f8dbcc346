"""Where the pages are: the wallet under one name, the console under another, so that neither can act in the other's.

Browsers keep cookies, scripts and storage of different hosts apart. With both names given, each page is served under
its own alone: asked for under the other it leads there, and a form that is sent to the wrong one is refused. With none
given, as in tests and on a machine of one's own, all pages are under whatever name is asked.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import SplitResult, urlsplit

from litestar.types import Scope

from hansa.kernel import HansaError, InvalidInput, Problem

Place = Literal["wallet", "console", "elsewhere"]

CONSOLE = "/console"
"""Below this path are the console's pages."""

EVERYWHERE = ("/static/", "/vendor/", "/healthz", "/favicon.ico", "/.well-known/", "/security/")
"""Beginnings of addresses that are the same under each name."""

FOR_PROGRAMS = ("/v1/", "/openapi", "/verify/", "/disputes/statistics", "/errors", "/developers")
"""Beginnings of addresses that programs ask, by whatever name they know us. The console's name does not answer them."""


class OtherOrigin(HansaError):
    """This page is under another address. Open it there, and send what you want to send from it."""

    code: ClassVar[str] = "web.other_origin"
    status: ClassVar[int] = 421
    remedy: ClassVar[str] = "Open the page at the address that the answer names; nothing was done here."


@dataclass(frozen=True, slots=True)
class Origins:
    """wallet, console: ``https://wallet.city.example``, ``https://console.city.example``; both empty for one name.

    Their hosts differ: cookies do not tell ports apart. Errors: InvalidInput.
    """

    wallet: str = ""
    console: str = ""

    def __post_init__(self) -> None:
        if not self.wallet and not self.console:
            return
        wallet, console = _split("wallet_origin", self.wallet), _split("console_origin", self.console)
        if wallet.hostname == console.hostname:
            raise _unfit("console_origin", "it has the wallet's host", "Give the console a host of its own")

    @property
    def apart(self) -> bool:
        """Whether wallet and console are under names of their own."""
        return bool(self.wallet)

    @property
    def tls(self) -> bool:
        """Whether browsers reach both by TLS."""
        return self.wallet.startswith("https:") and self.console.startswith("https:")

    def place_of(self, host: str) -> Place:
        """Which of them a request's Host header names."""
        asked = host.lower().removesuffix(".")
        if self.apart and asked == urlsplit(self.wallet).netloc:
            return "wallet"
        if self.apart and asked == urlsplit(self.console).netloc:
            return "console"
        return "elsewhere"

    def scheme_of(self, host: str) -> str:
        """How this host is asked by browsers, whatever a proxy before us speaks with us; empty for an unknown one."""
        place = self.place_of(host)
        return (
            ""
            if place == "elsewhere"
            else urlsplit(self.wallet if place == "wallet" else self.console).scheme
        )

    def way(self, host: str, path: str) -> str:
        """Where this path is to be asked: empty for here, else the origin of the name it is under."""
        if not self.apart or path.startswith(EVERYWHERE):
            return ""
        place = self.place_of(host)
        if path == CONSOLE or path.startswith(f"{CONSOLE}/"):
            return "" if place == "console" else self.console
        if place == "elsewhere" and path.startswith(FOR_PROGRAMS):
            return ""
        return "" if place == "wallet" else self.wallet


ONE_NAME = Origins()


def origins_of(host: str, port: int, wallet: str, console: str, *, demo: bool) -> Origins:
    """The origins that were given; where none were, those of a demonstration on this very machine, else one name.

    Browsers reach every name that ends in .localhost on the machine itself (RFC 6761), and passkeys work there, which
    they do not at an address such as 127.0.0.1. Errors: InvalidInput.
    """
    if not wallet and not console and demo and host in ("127.0.0.1", "localhost"):
        return Origins(f"http://localhost:{port}", f"http://console.localhost:{port}")
    return Origins(wallet, console)


def host_of(scope: Scope) -> str:
    """The host and port that a request asks for, empty where it names none."""
    for name, value in scope["headers"]:
        if name == b"host":
            return value.decode("latin-1")
    return ""


def is_console(path: str) -> bool:
    """Whether this is one of the console's addresses."""
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def _split(where: str, origin: str) -> SplitResult:
    try:
        parts = urlsplit(origin)
        whole = f"{parts.scheme}://{parts.netloc}"
        fits = (
            parts.scheme in ("https", "http") and bool(parts.hostname) and whole == origin == origin.lower()
        )
        fits = fits and "@" not in parts.netloc and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
        parts = urlsplit("")
    if not fits:
        example = "https://" + where.replace("_origin", ".city.example")
        raise _unfit(
            where, f"{origin!r} is no origin", f"Give scheme and host, and a port if need be: {example}"
        )
    return parts


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("Wallet and console need an origin each.", problems=(Problem(where, what, remedy),))
