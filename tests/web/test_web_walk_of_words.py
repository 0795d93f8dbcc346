"""Every page that the wallet leads to, in each language beside English: what stands in it word for word is a name."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa.store import Context
from web.little_league import LittleLeague
from web.test_web_console import ridden as ridden
from web.test_web_wallet import sign_in

Client = TestClient[Any]
BEGIN = (
    "/wallet/home",
    "/wallet/me",
    "/wallet/money",
    "/fares",
    "/wallet/notices/settings",
    "/wallet/insight",
)
PAGES_MAX = 90
SAME = {
    *("API", "CSV", "PDF", "JSON", "English", "Français", "Hansa", "tariff.toml", "PIN"),
    *(
        "Position",
        "Place",
        "Transit",
        "Train",
        "Voucher",
        "Services",
        "Versions",
        "bars",
        "restaurants",
        "taxis",
    ),
    *("Console", "Code", "E-mail", "Senior", "senior", "part", "Message", "Bus", "bus", "minutes"),
}
"""Names, and words that are the same in French."""
NAMED = re.compile(
    r"Hangzhou|Toronto|Ttc|TTC|Gao|Dufferin|Xianghu|Binkang|CN¥|CNY|CAD|example|[0-9a-f]{8}"
    r"|[A-Z0-9]{4,}[ -][A-Z0-9]{4,}|hansa_|\[[0-9]\]|\.toml| line [0-9]|HRC|Test"
)
"""What a text has in it that is somebody's, some place's or some file's name."""


class _Texts(HTMLParser):
    """The words of a page as people read or hear them, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self.links: list[str] = []
        self._passed = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._passed += tag in ("script", "style", "code", "pre")
        if tag == "a" and (told.get("href") or "").startswith(("/wallet", "/fares")):
            self.links.append(str(told["href"]).partition("#")[0])
        self.texts |= {
            text for name in ("aria-label", "placeholder", "title", "alt") if (text := told.get(name))
        }

    def handle_endtag(self, tag: str) -> None:
        self._passed -= tag in ("script", "style", "code", "pre")

    def handle_data(self, data: str) -> None:
        if not self._passed:
            self.texts.add(" ".join(data.split()).strip(" ·–,→"))


def _read(client: Client, path: str, language: str) -> _Texts | None:
    answer = client.get(path, headers={"accept-language": language, "accept": "text/html"})
    if answer.status_code != 200 or "text/html" not in answer.headers["content-type"]:
        return None
    found = _Texts()
    found.feed(answer.text)
    return found


@pytest.mark.slow
def test_no_page_of_the_wallet_leaves_english_in_another_language(
    ctx: Context, client: Client, ridden: LittleLeague
) -> None:
    sign_in(client, ridden.riders["Gao Lan"])
    waiting, seen, kinds = list(BEGIN), set[str](), set[str]()
    left: dict[tuple[str, str], str] = {}
    riders = set(ridden.riders)

    while waiting and len(seen) < PAGES_MAX:
        path = waiting.pop(0)
        kind = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9]{4}-[0-9]{2}(-[0-9]{2})?|[?].*", "*", path)
        if kind in kinds or "sign-out" in path or "language=" in path or "again=" in path:
            continue
        kinds.add(kind)
        english = _read(client, path, "en")
        if english is None:
            continue
        seen.add(path)
        waiting += english.links
        for language in ("fr", "zh"):
            other = _read(client, path, language)
            assert other is not None, path
            for text in other.texts & english.texts:
                if re.search(r"[A-Za-z]{3}", text) and text not in SAME | riders and not NAMED.search(text):
                    left.setdefault((language, text), path)

    assert len(seen) > 35
    assert left == {}
