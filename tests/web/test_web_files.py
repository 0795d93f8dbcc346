"""Files of pages: under a version they are kept for ever, packed for whoever takes it; nothing else is given."""

import gzip
import re
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa.apps.web import script_packs
from hansa.apps.web.pages import STATIC, VERSION

Client = TestClient[Any]
SHEET = STATIC / "hansa.css"


def test_a_page_asks_for_every_file_under_its_version_and_browsers_keep_it(client: Client) -> None:
    page = client.get("/wallet/").text
    asked = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)

    assert len(asked) >= 3
    for path in asked:
        assert path.startswith(f"/static/{VERSION}/"), path
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/static/hansa.css", "/static/000000000000/hansa.css"])
def test_a_file_under_another_version_is_that_of_today_and_asked_after(client: Client, path: str) -> None:
    answer = client.get(path)

    assert answer.content == SHEET.read_bytes()
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [("gzip, br", True), ("*", True), ("br", False), ("gzip;q=0", False), ("", False)],
)
def test_files_are_packed_for_whoever_takes_it(client: Client, accepts: str, packed: bool) -> None:
    with client.stream("GET", "/static/hansa.css", headers={"accept-encoding": accepts}) as answer:
        body = b"".join(answer.iter_raw())

    assert (answer.headers.get("content-encoding") == "gzip") is packed
    assert (gzip.decompress(body) if packed else body) == SHEET.read_bytes()
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/js",
        "/static/../pages.py",
        "/static/%2e%2e/pages.py",
        f"/static/{VERSION}/%2e%2e/pages.py",
        f"/static/{VERSION}/",
        "/static/nothing.js",
        "/vendor/qr/../../package.json",
        "/vendor/qr/%2e%2e/%2e%2e/package.json",
    ],
)
def test_nothing_beside_these_files_is_given(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_itself_is_not_packed(client: Client) -> None:
    answer = client.get("/wallet/", headers={"accept-encoding": "gzip"})

    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("name", sorted(script_packs.PACKS))
def test_a_pack_holds_each_script_once_after_what_it_needs(client: Client, name: str) -> None:
    modules = script_packs.modules_of(script_packs.PACKS[name], STATIC / "js")

    text = client.get(f"/static/{VERSION}/js/packs/{name}").text

    wrapped = re.findall(r"^const \$(\w+) = \(\(\) => \{$", text, re.MULTILINE)
    assert wrapped == [one.removesuffix(".js").replace("-", "_") for one in modules]
    assert not re.search(r"^(?:import|export) ", text, re.MULTILINE)
    assert set(re.findall(r"= \$(\w+);$", text, re.MULTILINE)) <= set(wrapped)


def test_comments_of_scripts_are_not_sent_and_licences_are() -> None:
    text = '/*! MIT */\n// why\nconst a = "// no comment"; // stays\n\n  /** What.\n   * More. */\nb();\n'

    assert script_packs.without_comments(text) == '/*! MIT */\nconst a = "// no comment"; // stays\nb();\n'
