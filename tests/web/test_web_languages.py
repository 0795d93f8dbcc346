"""The words of pages: every one of them in every language, and the reader's language found."""

import re
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa.apps.web import languages
from hansa.apps.web.journey_views import ACTIONS, PERIODS, PRODUCTS, TAGS
from hansa.fares import LANGUAGES, RIDER_CLASSES, Step, wording

WEB = Path(languages.__file__).parent
SAID = re.compile(r"""say\(\s*"((?:[^"\\]|\\.)*)"|say\(\s*'([^']*)'""")
COUNTED = re.compile(r'\.count\(\s*[^,"]+,\s*"([^"]+)",\s*"([^"]+)"')
Client = TestClient[Any]


def sentences() -> set[str]:
    """What pages say, as it stands in templates and views; of a count its plural."""
    found: set[str] = {*ACTIONS.values(), *PERIODS.values(), *PRODUCTS.values(), *TAGS.values()}
    found |= set(RIDER_CLASSES)
    for file in (*WEB.glob("*.py"), *WEB.glob("templates/**/*.html")):
        text = file.read_text(encoding="utf-8")
        found |= {one or other for one, other in SAID.findall(text)}
        found |= {many for _, many in COUNTED.findall(text)}
    return found


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_every_sentence_of_a_page_is_in_every_language(language: str) -> None:
    catalogue = tomllib.loads((WEB / "words" / f"{language}.toml").read_text(encoding="utf-8"))

    assert len(sentences()) > 80
    assert sorted(sentences() - catalogue.keys()) == []
    for english, text in catalogue.items():
        assert places(text) <= places(english), english
        assert text.strip() == text and text, english


@pytest.mark.parametrize("rule", sorted(wording.RULES))
def test_every_rule_of_a_fare_has_words_in_every_language(rule: str) -> None:
    assert set(wording.en.WORDS) == set(wording.zh.WORDS)
    assert rule in wording.zh.WORDS


def test_what_has_no_words_is_said_by_its_name() -> None:
    assert Step("no_such_rule", 150, "GBP").said("zh") == "no_such_rule: £1.50"


def test_days_moments_and_numbers_are_written_as_the_language_writes_them() -> None:
    english, chinese = languages.ENGLISH, languages.Words("zh", languages.catalogue("zh"))
    at = datetime(2026, 11, 17, 0, 30, tzinfo=UTC)

    assert english.moment(at, "Asia/Shanghai") == "Tue 17 Nov, 08:30"
    assert chinese.moment(at, "Asia/Shanghai") == "11月17日 周二 08:30"
    assert english.day(date(2026, 11, 7)) == "Sat 7 Nov 2026"
    assert chinese.day(date(2026, 11, 7)) == "2026年11月7日 周六"
    assert [english.count(n, "{n} line", "{n} lines") for n in (1, 2, 1200)] == [
        "1 line",
        "2 lines",
        "1,200 lines",
    ]
    assert chinese.count(1, "{n} line", "{n} lines") == "1 行"
    assert chinese("a sentence nobody has written") == "a sentence nobody has written"


@pytest.mark.parametrize(
    ("query", "header", "language"),
    [
        ("", "", "en"),
        ("", "zh-CN,zh;q=0.9", "zh"),
        ("?language=zh", "en", "zh"),
        ("?language=de", "zh", "zh"),
    ],
)
def test_a_page_says_in_which_language_it_speaks(
    client: Client, query: str, header: str, language: str
) -> None:
    answer = client.get(f"/fares{query}", headers={"accept-language": header})

    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}">' in answer.text


def test_a_language_once_chosen_is_remembered(client: Client) -> None:
    client.get("/fares?language=zh")

    again = client.get("/fares", headers={"accept-language": "en"})

    assert again.headers["content-language"] == "zh"
    assert 'href="/fares?language=en" lang="en"' in again.text
