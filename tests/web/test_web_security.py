"""What browsers are told on every route, what they tell us, and where finders of faults turn to."""

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from hansa.apps.web.app import _application  # pyright: ignore[reportPrivateUsage]
from hansa.apps.web.browser_files import find_browser_files
from hansa.apps.web.pages import STATIC
from hansa.apps.web.security_headers import headers_of_page
from hansa.apps.web.security_routes import read_reports

Client = TestClient[Any]
REPORT = {
    "type": "csp-violation",
    "url": "https://wallet.example/wallet/",
    "body": {
        "effectiveDirective": "script-src-elem",
        "blockedURL": "https://evil.example/x.js",
        "lineNumber": 3,
        "x": 1,
    },
}


SAID = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(self)",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""What every answer says, in words of the test's own: a change of ours is to be seen here."""

DIRECTIVES = {
    "default-src": "'none'", "style-src": "'self'", "img-src": "'self' data: blob:", "media-src": "'self' blob:",
    "connect-src": "'self'", "font-src": "'self'", "manifest-src": "'self'", "worker-src": "'self'",
    "form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'",
}  # fmt: skip
OF_PAGES = {"object-src": "'none'", "require-trusted-types-for": "'script'"}

NAMED = re.compile(r'(attachment|inline); filename="[A-Za-z0-9._-]+"')
"""How a file is named to whoever saves it: by us, in letters that end no header and lead to no folder."""

OPEN_DATA = ("/v1/ledger/log/", "/disputes/statistics.")
"""Beginnings of addresses whose answers are for everybody's pages: the log's tiles, and figures."""


def _paths() -> list[str]:
    """An address of every route; where it takes something, something that is not there."""
    found: list[str] = []
    for route in _application(find_browser_files()).routes:
        if isinstance(route, HTTPRoute):
            path = route.path
            for part in ("{day:date}", "{valid_from:date}"):
                path = path.replace(part, "2026-11-17")
            while "{" in path:
                start, end = path.index("{"), path.index("}")
                kind = path[start:end].rpartition(":")[2]
                value = {"uuid": "0191d9f0-0000-7000-8000-000000000001", "int": "1", "path": "nothing"}.get(
                    kind, "nothing"
                )
                path = path[:start] + value + path[end + 1 :]
            found.append(path)
    return found


def test_every_answer_says_what_may_run_and_who_may_frame(client: Client, stranger: Client) -> None:
    paths = _paths()
    assert len(paths) > 200

    for path in [*paths, "/nothing", "/static/hansa.css", "/static/nothing.js"]:
        asked = [(stranger, "GET")] + ([(client, "PATCH")] if path.startswith("/console") else [])
        for asker, method in asked:
            sent = {"accept": "text/html"} | ({"origin": "https://evil.example"} if method == "GET" else {})
            answer = asker.request(method, path, headers=sent, follow_redirects=False)
            headers = answer.headers
            kind = headers.get("content-type", "")
            assert kind or not answer.content, path
            assert "charset=utf-8" in kind or not kind.startswith("text/"), (path, kind)
            if "content-disposition" in headers:
                assert NAMED.fullmatch(headers["content-disposition"]), (path, headers["content-disposition"])
            for name, value in SAID.items():
                open_to_all = path.startswith(OPEN_DATA) and name == "cross-origin-resource-policy"
                assert open_to_all or headers[name] == value, (method, path, name)
            parts = [part.strip().partition(" ") for part in headers["content-security-policy"].split(";")]
            policy = {name: value for name, _, value in parts}
            assert policy.items() >= DIRECTIVES.items(), (method, path)
            assert policy["script-src"] in ("'self'", "'self' 'wasm-unsafe-eval'"), path
            assert "access-control-allow-origin" not in headers or path.startswith(OPEN_DATA), path
            if kind.startswith("text/html"):
                assert policy.items() >= OF_PAGES.items(), path
            if answer.status_code < 400 and method == "GET" and path.startswith(("/console", "/wallet")):
                is_file = path.endswith(("sw.js", "manifest.webmanifest"))
                assert is_file or "no-store" in headers.get("cache-control", "no-store"), path


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fpages.py", "/static/%2e%2e/pages.py", "/static/js/..%2f..%2fpages.py",
        "/static/..%5cpages.py", "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/vendor/..%2fpackage.json",
        "/static/", "/static/js", "/static/js/", "/vendor/", "/.git/config", "/.git/HEAD", "/pyproject.toml",
        "/.hansa/keys/lists.pem", "/static/.hidden",
    ],
)  # fmt: skip
def test_no_address_leads_out_of_our_files_or_lists_them(client: Client, path: str) -> None:
    answer = client.get(path, headers={"accept": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (404, "web.not_found")


def test_nothing_is_a_debugger_and_nothing_is_sent_back_as_it_came(client: Client) -> None:
    answers = [
        client.request("TRACE", path, headers={"x-mine": "secret"})
        for path in ("/", "/v1/me", "/wallet/", "/static/hansa.css")
    ]

    assert not _application(find_browser_files()).debug
    assert [one.status_code for one in answers] == [405] * 4
    assert not any("secret" in one.text for one in answers)


def test_a_page_is_let_to_compile_webassembly_only_where_its_route_says_so() -> None:
    plain, scan = headers_of_page({}), headers_of_page({"wasm": True, "policies": ("reader",)})

    assert "wasm-unsafe-eval" not in plain["content-security-policy"]
    assert "script-src 'self' 'wasm-unsafe-eval';" in scan["content-security-policy"]
    assert "trusted-types hansa reader;" in scan["content-security-policy"]


def test_no_script_of_ours_makes_markup_or_code_out_of_text() -> None:
    sinks = (
        ".innerHTML =",
        ".outerHTML =",
        "insertAdjacentHTML",
        "document.write",
        "parseFromString",
        "eval(",
        "new Function",
        "createContextualFragment",
        "srcdoc",
        "javascript:",
    )
    for file in (STATIC / "js").rglob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not [sink for sink in sinks if sink in text], file.name


def test_no_page_has_script_or_style_in_it() -> None:
    templates = STATIC.parent / "templates"
    for file in templates.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        scripts = [part for part in text.split("<script")[1:] if " src=" not in part.split(">")[0]]
        assert all('type="application/json"' in part.split(">")[0] for part in scripts), file.name
        assert "<style" not in text and ' style="' not in text and " onclick=" not in text, file.name


def test_reports_are_heard_cut_down_and_not_without_end(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hansa.security")
    kinds = {"content-type": "application/reports+json"}

    heard = client.post("/security/reports", json=[REPORT], headers=kinds)
    old = {
        "csp-report": {"violated-directive": "img-src", "blocked-uri": "https://evil.example/" + "x" * 999}
    }
    client.post("/security/reports", json=old, headers={"content-type": "application/csp-report"})
    big = client.post("/security/reports", content=b"[" + b" " * 17_000 + b"]", headers=kinds)
    statuses = [
        client.post("/security/reports", content=b"\xff[", headers=kinds).status_code for _ in range(20)
    ]

    assert (heard.status_code, big.status_code) == (204, 413)
    assert '"effectiveDirective":"script-src-elem"' in caplog.messages[0] and '"x"' not in caplog.messages[0]
    assert '"blockedURL":"https://evil.example/xxx' in caplog.messages[1] and len(caplog.messages[1]) < 350
    assert statuses[0] == 204 and statuses[-1] == 429


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b'{"body": 3}', b'{"csp-report": []}', b"[" * 5_000, b'[{"body": {}}]']
)
def test_what_is_no_report_is_passed_over(body: bytes) -> None:
    assert read_reports(body) == []


def test_finders_of_faults_are_told_where_to_turn(client: Client, home: Path) -> None:
    demo = client.get("/.well-known/security.txt")
    (home / "security-contact").write_text(
        "mailto:faults@city.example\nnonsense\nhttps://city.example/faults\n"
    )
    told = client.get("/.well-known/security.txt")
    (home / "security-contact").write_text("")
    none = client.get("/.well-known/security.txt")

    assert "mailto:security@hansa.example" in demo.text
    assert told.headers["content-type"] == "text/plain; charset=utf-8"
    assert told.text.splitlines() == [
        "Contact: mailto:faults@city.example",
        "Contact: https://city.example/faults",
        "Expires: 2027-05-16T00:00:00Z",
        "Preferred-Languages: en, zh, fr",
        "Canonical: http://127.0.0.1/.well-known/security.txt",
    ]
    assert (none.status_code, none.json()["code"]) == (404, "web.no_security_contact")
