"""Wallet and console under names of their own: each page under its own alone, and neither acts in the other's."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa.apps.web import create_app
from hansa.apps.web.origins import Origins
from hansa.kernel import InvalidInput
from hansa.store import Context
from web.conftest import seen_from

WALLET, CONSOLE = "http://localhost:8017", "http://console.localhost:8017"
APART = Origins(WALLET, CONSOLE)
At = Callable[[str], TestClient[Any]]


@pytest.fixture
def at(ctx: Context, home: Path) -> Iterator[At]:
    """A browser at an origin of a demonstration whose wallet and console are apart."""
    app = seen_from(create_app(ctx, home=home, demo=True, origins=APART), "127.0.0.1")
    with ExitStack() as stack:

        def open_at(origin: str) -> TestClient[Any]:
            client = TestClient(app, base_url=origin, raise_server_exceptions=False)
            client.follow_redirects = False
            return stack.enter_context(client)

        yield open_at


@pytest.mark.parametrize(
    ("host", "path", "way"),
    [
        ("localhost:8017", "/wallet/", ""),
        ("LOCALHOST:8017", "/wallet/", ""),
        ("localhost:8017", "/console/tariffs", CONSOLE),
        ("localhost:8017", "/console", CONSOLE),
        ("localhost:8017", "/consoles", ""),
        ("console.localhost:8017", "/console/", ""),
        ("console.localhost:8017", "/wallet/", WALLET),
        ("console.localhost:8017", "/v1/taps", WALLET),
        ("console.localhost:8017", "/", WALLET),
        ("127.0.0.1:8017", "/", WALLET),
        ("127.0.0.1:8017", "/v1/taps", ""),
        ("127.0.0.1:8017", "/openapi.json", ""),
        ("127.0.0.1:8017", "/console/", CONSOLE),
        ("console.localhost:9000", "/console/", CONSOLE),
        ("evil.example", "/wallet/", WALLET),
        ("console.localhost:8017", "/static/hansa.css", ""),
        ("127.0.0.1:8017", "/.well-known/security.txt", ""),
    ],
)
def test_each_page_is_under_its_own_name(host: str, path: str, way: str) -> None:
    assert APART.way(host, path) == way
    assert Origins().way(host, path) == ""


@pytest.mark.parametrize(
    ("wallet", "console", "field"),
    [
        ("http://localhost:8017", "", "console_origin"),
        ("", "https://console.example", "wallet_origin"),
        ("https://a.example/", "https://b.example", "wallet_origin"),
        ("ftp://a.example", "https://b.example", "wallet_origin"),
        ("https://a.example", "https://user@b.example", "console_origin"),
        ("https://a.example", "https://b.example:x", "console_origin"),
        ("https://A.example", "https://b.example", "wallet_origin"),
        ("http://localhost:1", "http://localhost:2", "console_origin"),
    ],
)
def test_what_is_no_pair_of_origins_is_refused(wallet: str, console: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Origins(wallet, console)

    assert refused.value.problems[0].where == field


def test_a_page_asked_for_under_the_other_name_leads_there(at: At) -> None:
    to_console = at(WALLET).get("/console/tariffs?day=2026-11-17")
    to_wallet = at(CONSOLE).get("/wallet/")
    by_address = at("http://127.0.0.1:8017").get("/console/")

    assert [one.status_code for one in (to_console, to_wallet, by_address)] == [307] * 3
    assert to_console.headers["location"] == f"{CONSOLE}/console/tariffs?day=2026-11-17"
    assert to_wallet.headers["location"] == f"{WALLET}/wallet/"
    assert by_address.headers["location"] == f"{CONSOLE}/console/"
    assert at(CONSOLE).get("/console/").status_code == 200
    assert at(WALLET).get("/wallet/").status_code == 200


def test_a_form_sent_to_the_wrong_name_is_refused_and_does_nothing(at: At) -> None:
    sent = at(WALLET).post("/console/clerk", data={"clerk": "Bo"}, headers={"origin": WALLET})

    assert sent.status_code == 421
    assert sent.json()["code"] == "web.other_origin"
    assert CONSOLE in sent.json()["detail"]
    assert "set-cookie" not in sent.headers


@pytest.mark.parametrize(
    "said",
    [
        {"origin": WALLET},
        {"origin": WALLET, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null"},
    ],
)
def test_the_console_is_not_driven_from_the_wallets_pages(at: At, said: dict[str, str]) -> None:
    driven = at(CONSOLE).post("/console/clerk", data={"clerk": "Bo"}, headers=said)
    own = at(CONSOLE).post(
        "/console/clerk", data={"clerk": "Bo"}, headers={"origin": CONSOLE, "sec-fetch-site": "same-origin"}
    )

    assert (driven.status_code, driven.json()["code"]) == (403, "web.cross_site")
    assert "set-cookie" not in driven.headers
    assert own.status_code == 303


def test_cookies_are_for_the_host_that_set_them_alone(at: At) -> None:
    own = at(CONSOLE).post("/console/clerk", data={"clerk": "Bo"}, headers={"origin": CONSOLE})

    assert "domain" not in own.headers["set-cookie"].lower()


def test_behind_a_proxy_that_ends_tls_pages_are_as_their_origin_says(ctx: Context, home: Path) -> None:
    origins = Origins("https://wallet.example", "https://console.example")
    app = create_app(ctx, home=home, demo=True, origins=origins)

    with TestClient(app, base_url="http://wallet.example") as client:
        page = client.get("/.well-known/security.txt")
        other = client.get("/console/", follow_redirects=False)

    assert "max-age=63072000" in page.headers["strict-transport-security"]
    assert "https://wallet.example" in page.text
    assert other.headers["location"] == "https://console.example/console/"
