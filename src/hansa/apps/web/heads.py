"""The head of a request, before anything believes it: what two readers could understand in two ways is refused.

A proxy in front of us may take the first of two headers, and we the second; it may go by the address, and we by the
host. Source: RFC 9110, section 7.2; RFC 9112, sections 3.2 and 11.2.
"""

import re
from collections.abc import Sequence

HEAD_MAX = 64 * 1024
"""Bytes of a head: the address and all headers."""

ADDRESS_MAX = 16 * 1024
"""Bytes of an address with its query."""

HEADERS_MAX = 100

ONCE = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"origin",
        b"sec-fetch-site",
        b"transfer-encoding",
    }
)
"""Headers that decide something. Two of one are not joined and not chosen from."""

_HOST = re.compile(rb"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?")


def fault_of_head(address: bytes, headers: Sequence[tuple[bytes, bytes]], version: str) -> str:
    """What is wrong with a head, or empty. address: as the first line has it. headers: names in small letters.

    version: ``1.1``, or ``1.0``, which may come without a host.
    """
    if len(headers) > HEADERS_MAX or len(address) > ADDRESS_MAX:
        return "The address is too long, or there are too many headers."
    once = [name for name, _ in headers if name in ONCE]
    if len(once) != len(set(once)):
        return "A header that decides something comes twice."
    if b"transfer-encoding" in once and (
        b"content-length" in once or dict(headers)[b"transfer-encoding"].strip().lower() != b"chunked"
    ):
        return "How long the body is can be understood in two ways."
    host = next((value for name, value in headers if name == b"host"), None)
    if host is None:
        return "" if version == "1.0" else "There is no host."
    found = _HOST.fullmatch(host)
    if found is None or int(found[1] or 0) > 65_535:
        return "The host is none."
    if not address.startswith(b"/") and address != b"*" and _host_in(address) != host.lower():
        return "The address names another host than the host."
    return ""


def _host_in(address: bytes) -> bytes:
    """The host and port in an absolute address, small; empty where there is none."""
    scheme, _, rest = address.partition(b"://")
    return (
        rest.partition(b"/")[0].partition(b"?")[0].lower() if scheme.lower() in (b"http", b"https") else b""
    )
