"""What every answer tells a browser about what may run, frame, send and remember.

Source: W3C Content Security Policy level 3, Trusted Types, Reporting API; RFC 6797 (HSTS).
"""

from collections.abc import Mapping
from typing import Any

from litestar.types import Scope

REPORTS = "/security/reports"
"""Where browsers say what they did not let a page do."""

HSTS = "max-age=63072000; includeSubDomains"
"""Two years. Sent where TLS is said, and never over plain http, where a browser would pass it over."""

POLICY_NAME = "hansa"
"""The one Trusted Types policy there may be: ``static/js/trusted.js`` makes it, for addresses of workers of ours."""

_POLICY = (
    "default-src 'none'; script-src 'self'{wasm}; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_OF_PAGES = (
    "; object-src 'none'; require-trusted-types-for 'script'; trusted-types {name}; "
    f"report-uri {REPORTS}; report-to security"
)

SECURITY_HEADERS: dict[str, str] = {
    "content-security-policy": _POLICY.format(wasm=""),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(self)",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Sent with every answer: only our own files run here, nobody frames a page, nothing is guessed."""


_SAYS_WHO = (b"cookie", b"authorization")


def headers_of(*, tls: bool) -> dict[str, str]:
    """What every answer has, of whatever kind."""
    return SECURITY_HEADERS | ({"strict-transport-security": HSTS} if tls else {})


def headers_of_page(opt: Mapping[str, Any]) -> dict[str, str]:
    """What an answer that a browser shows as a page has instead: no script makes markup or code out of text.

    opt: the route's own. ``wasm``: this page compiles WebAssembly (a camera's reader of codes). ``policies``: names of
    further Trusted Types policies that a library of this page makes.
    """
    wasm = " 'wasm-unsafe-eval'" if opt.get("wasm") else ""
    names = " ".join((POLICY_NAME, *opt.get("policies", ())))
    return {
        "content-security-policy": _POLICY.format(wasm=wasm) + _OF_PAGES.format(name=names),
        "reporting-endpoints": f'security="{REPORTS}"',
    }


def kept_by_nobody(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The header that keeps an answer out of all stores, where the request says who asks: it may be one person's."""
    if any(name in _SAYS_WHO for name, _ in scope["headers"]):
        return [(b"cache-control", b"no-store")]
    return []


def add_headers(headers: Any, scope: Scope, *, tls: bool) -> None:
    """Put these on an answer, where its route says nothing else. headers: the answer's, that may be added to."""
    if str(headers.get("content-type", "")).startswith("text/html"):
        handler = scope.get("route_handler")
        for name, value in headers_of_page(getattr(handler, "opt", {})).items():
            headers.setdefault(name, value)
    for name, value in kept_by_nobody(scope):
        headers.setdefault(name.decode(), value.decode())
    for name, value in headers_of(tls=tls).items():
        headers.setdefault(name, value)
