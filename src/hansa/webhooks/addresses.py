"""Which addresses an event may be sent to: public ones, by HTTPS. Pure, but for one look at the environment.

A member names a URL, and this machine then calls it: whoever could name an address inside our own network could make
us speak to what stands there. So a URL is read strictly, and the address that its name leads to is judged when the
connection is made, and that very address is connected to.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import ClassVar
from urllib.parse import urlsplit

from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.webhooks.model import URL_MAX

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING = "HANSA_WEBHOOK_NETWORKS"

_UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that is given out to be reached from everywhere; site-local and what is yet to be used lie outside."""

_NOT_PUBLIC: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # of protocols: 192.0.0.9 and .10 are whatever router stands nearest
    IPv4Network("192.88.99.0/24"),  # the nearest relay of 6to4, given up by RFC 7526
    IPv6Network("3fff::/20"),  # for documentation, RFC 9637
)
"""What Python's own table, of whichever version, may call global. Source: IANA's registries of special addresses."""

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


class BadNetworks(HansaError):
    """HANSA_WEBHOOK_NETWORKS names no networks. One looks like 10.1.0.0/16; write a space between two."""

    code: ClassVar[str] = "webhooks.bad_networks"
    status: ClassVar[int] = 500


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be called, in parts. path: with its query. host: in ASCII."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far events may go. inside: networks that may be called although they are private, and without TLS."""

    inside: tuple[Network, ...] = ()

    def may_call(self, address: Address) -> bool:
        """Whether this address is public, or one of those allowed. What is wrapped into IPv6 is looked into."""
        if any(address in network for network in self.inside if network.version == address.version):
            return True
        inner = _inner(address)
        if inner is not None:
            return self.may_call(inner)
        if any(address in network for network in _NOT_PUBLIC):
            return False
        if isinstance(address, IPv6Address) and address not in _UNICAST:
            return False
        return address.is_global and not address.is_multicast and not address.is_reserved

    def read(self, url: str) -> Target:
        """The parts of a URL that may be called. Errors: InvalidInput, which says what to change."""
        target = _parts(url)
        literal = _literal(target.host)
        if literal is not None and not self.may_call(literal):
            raise _refused("its address is not public", "Name a host that the internet knows")
        if not target.secure and not self.inside:
            raise _refused("it is not https", "Begin it with https://")
        return target

    def judge(self, target: Target, addresses: Sequence[Address]) -> list[Address]:
        """Those of a host's addresses that may be called; without TLS only those inside."""
        allowed = [one for one in addresses if self.may_call(one)]
        if target.secure:
            return allowed
        return [
            one for one in allowed if any(one in net for net in self.inside if net.version == one.version)
        ]


def reach_from_environment() -> Reach:
    """What HANSA_WEBHOOK_NETWORKS allows beside public addresses: for closed networks. Errors: BadNetworks."""
    try:
        return Reach(tuple(ip_network(one) for one in os.environ.get(SETTING, "").split()))
    except ValueError as error:
        raise BadNetworks from error


def _inner(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped, compatible, 6to4 or NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _parts(url: str) -> Target:
    if len(url) > URL_MAX or not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise _refused(
            "it is too long or has characters that no URL has",
            f"Write at most {URL_MAX} of ASCII, without spaces",
        )
    try:
        split = urlsplit(url)
        host, port = split.hostname or "", split.port
    except ValueError as error:
        raise _refused("it cannot be read", "Write it like https://example.org/hansa") from error
    if split.scheme not in ("https", "http") or not host:
        raise _refused("it is not https", "Begin it with https:// and a host")
    if "@" in split.netloc:
        raise _refused("it names a user", "Leave user and password out; events are signed")
    if split.fragment or "#" in url:
        raise _refused("it has a fragment", "Leave out what stands after #")
    if port == 0 or "%" in host:
        raise _refused("its host or port cannot be called", "Write it like https://example.org:8443/hansa")
    if _literal(host) is None and host.rsplit(".", 1)[-1][:1].isdigit():
        raise _refused("its host is an oddly written address", "Write an address as 203.0.113.7")
    secure = split.scheme == "https"
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return Target(secure, host, port or (443 if secure else 80), path)


def _refused(what: str, remedy: str) -> InvalidInput:
    return InvalidInput("Events cannot be sent to this URL.", problems=(Problem("url", what, remedy),))
