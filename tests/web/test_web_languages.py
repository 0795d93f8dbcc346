"""The words of pages: every one of them in every language, and the reader's language found."""

import ast
import re
import tomllib
from collections import Counter
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from litestar.testing import TestClient

from hansa import codes, disputes, identity
from hansa.apps.web import gate_screen, languages
from hansa.apps.web.journey_views import ACTIONS, PERIODS, PRODUCTS, TAGS
from hansa.apps.web.languages import LANGUAGES
from hansa.apps.web.pages import CLASS_NAMES
from hansa.apps.web.problem_words import PATTERNS, in_words
from hansa.apps.web.wallet_phones import DONE
from hansa.fares import RIDER_CLASSES, Step, wording
from hansa.kernel import Problem
from hansa.store import Context
from web.little_league import LittleLeague

WEB = Path(languages.__file__).parent
TEMPLATES = WEB / "templates"
SAID = re.compile(r"""say\(\s*"((?:[^"\\]|\\.)*)"|say\(\s*'([^']*)'""")
COUNTED = re.compile(r'\.count\(\s*[^,"]+,\s*"([^"]+)",\s*"([^"]+)"')
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
SPOKEN = ("aria-label", "placeholder", "title", "alt")
OTHERS = (
    "console",
    "developers",
    "errors",
    "docs.html",
    "wallet/statement.html",
)
"""Templates of clerks and developers, which are in English."""
NAMES = {"Hansa", "API", "CSV", "PDF", "JSON", "tariff.toml", ".json", "narrow", "narrow spread"}
"""What is the same in every language."""
Client = TestClient[Any]


def sentences() -> set[str]:
    """What pages say, as it stands in templates, views and scripts; of a count its plural."""
    found: set[str] = {*ACTIONS.values(), *PERIODS.values(), *PRODUCTS.values(), *TAGS.values()}
    found |= {*RIDER_CLASSES, *CLASS_NAMES.values(), *DONE.values(), *PATTERNS}
    rules = disputes.own_rules()
    found |= {one.en for one in (*rules.refunds.reasons, *rules.items.reasons)}
    found |= {*codes.REASONS.values(), *gate_screen.OPEN_WORDS.values(), *gate_screen.DIRECTIONS.values()}
    for file in WEB.glob("static/js/*.js"):
        found |= set(languages.IN_SCRIPTS.findall(file.read_text(encoding="utf-8")))
    for file in (*WEB.glob("*.py"), *TEMPLATES.glob("**/*.html")):
        text = file.read_text(encoding="utf-8")
        found |= {one or other for one, other in SAID.findall(text)}
        found |= {many for _, many in COUNTED.findall(text)}
    for file in WEB.glob("*.py"):
        found |= set(_said_in_pieces(ast.parse(file.read_text(encoding="utf-8"))))
    return found


def _said_in_pieces(tree: ast.AST) -> list[str]:
    """What a view says in a text that is written over several lines, which no pattern finds."""
    found: list[str] = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        text = call.args[0]
        if name == "say" and isinstance(text, ast.Constant) and isinstance(text.value, str):
            found.append(text.value)
    return found


class _Plain(HTMLParser):
    """The words of a template that stand in it as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.passed = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.passed += tag in ("script", "style", "code", "pre")
        self.found += [text for name, text in attrs if name in SPOKEN and text]

    def handle_endtag(self, tag: str) -> None:
        self.passed -= tag in ("script", "style", "code", "pre")

    def handle_data(self, data: str) -> None:
        if not self.passed:
            self.found.append(data)

    def words(self) -> list[str]:
        told = [line.strip(" ·–,") for one in self.found for line in one.splitlines()]
        return [
            one
            for one in told
            if re.search(r"[A-Za-z]{3}", one)
            and one not in NAMES
            and one[0] != "/"
            and not re.search(r"aria-|hint-|\"", one)
        ]


def sign_in(client: Client, account: identity.Account) -> None:
    client.post("/wallet/sign-in", data={"account_id": str(account.account_id)})


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_every_sentence_of_a_page_is_in_every_language(language: str) -> None:
    catalogue = languages.catalogue(language)

    assert len(sentences()) > 1_000
    assert sorted(sentences() - catalogue.keys()) == []
    for english, text in catalogue.items():
        assert places(text) <= places(english), english
        assert text.strip() == text and text, english


def test_french_tells_one_from_many_wherever_a_page_counts() -> None:
    files = (*WEB.glob("*.py"), *TEMPLATES.glob("**/*.html"))
    counted = {one for file in files for one, _ in COUNTED.findall(file.read_text(encoding="utf-8"))}

    lacking = counted - languages.catalogue("fr").keys()

    assert not lacking, f"words/fr lacks the singular of {sorted(lacking)}"


@pytest.mark.parametrize(
    ("language", "what", "remedy", "words"),
    [
        ("fr", "'12,5x' is no amount of CNY", "Write it with at most 2 decimals",
         "'12,5x' n’est pas un montant en CNY. Écrivez-le avec 2 décimales au plus."),
        ("zh", "'12,5x' is no amount of CNY", "Write it with at most 2 decimals",
         "'12,5x' 不是有效的 CNY 金额。请最多写 2 位小数。"),
        ("fr", "is ¥0.00", "Give an amount above zero",
         "C’est ¥0.00. Donnez un montant au-dessus de zéro."),
        ("fr", "it is something new", "Do {this}", "It is something new. Do {this}."),
        ("en", "'{0}' is no amount of CNY", "Write it with at most 2 decimals",
         "'{0}' is no amount of CNY. Write it with at most 2 decimals."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_field_is_said_in_the_readers_language(
    language: str, what: str, remedy: str, words: str
) -> None:
    say = languages.Words(language, languages.catalogue(language))

    assert in_words([Problem("amount", what, remedy)], say) == words


FORMS = ("insight_pages", "merchant_pages", "money_bank_pages", "money_pages", "notice_pages", "quote_pages")
"""Views whose forms residents and shops fill in."""


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_what_a_form_finds_wrong_is_in_every_language(language: str) -> None:
    catalogue = languages.catalogue(language)
    told: set[str] = set()
    for file in FORMS:
        for call in ast.walk(ast.parse((WEB / f"{file}.py").read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("Problem", "_unfit"):
                texts = [one.value for one in call.args[1:3] if isinstance(one, ast.Constant)]
                told |= {one for one in texts if isinstance(one, str)}

    assert len(told) > 20
    assert [one for one in sorted(told) if not {one, one[:1].upper() + one[1:]} & catalogue.keys()] == []


def test_what_is_counted_has_a_singular_of_its_own() -> None:
    files = (*WEB.glob("*.py"), *TEMPLATES.glob("**/*.html"))
    counted = [pair for file in files for pair in COUNTED.findall(file.read_text(encoding="utf-8"))]

    assert len(counted) > 20
    assert [one for one, many in counted if one == many] == []


def test_no_line_of_french_begins_with_a_colon_and_its_apostrophes_are_round() -> None:
    for english, text in languages.catalogue("fr").items():
        assert not re.search(r" [:;?!»]|« |[A-Za-zÀ-ÿ]'[A-Za-zÀ-ÿ]", text), english


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_a_sentence_has_one_translation_in_one_file(language: str) -> None:
    files = (WEB / "words" / language).glob("*.toml")
    told = Counter(english for file in files for english in tomllib.loads(file.read_text(encoding="utf-8")))

    assert [english for english, times in told.items() if times > 1] == []


def test_no_page_of_the_wallet_or_for_everyone_holds_words_that_cannot_be_said_in_another_language() -> None:
    plain: dict[str, list[str]] = {}
    for file in sorted(TEMPLATES.glob("**/*.html")):
        name = file.relative_to(TEMPLATES).as_posix()
        if name.startswith(OTHERS):
            continue
        parser = _Plain()
        parser.feed(JINJA.sub("\n", file.read_text(encoding="utf-8")))
        if parser.words():
            plain[name] = parser.words()

    assert plain == {}


@pytest.mark.parametrize("rule", sorted(wording.RULES))
def test_every_rule_of_a_fare_has_words_in_every_language(rule: str) -> None:
    assert set(wording.en.WORDS) == set(wording.zh.WORDS)
    assert rule in wording.zh.WORDS


def test_what_has_no_words_is_said_by_its_name() -> None:
    assert Step("no_such_rule", 150, "GBP").said("zh") == "no_such_rule: £1.50"


def test_no_line_of_french_ends_before_a_mark_or_inside_quotation_marks() -> None:
    told = languages.catalogue("fr")

    assert told["Lost it?"] == "Perdue\u00a0?"
    assert [one for one in told.values() if re.search(r" [?!:;»]|« ", one)] == []


def test_days_moments_and_numbers_are_written_as_the_language_writes_them() -> None:
    english, chinese = languages.ENGLISH, languages.Words("zh", languages.catalogue("zh"))
    french = languages.Words("fr", languages.catalogue("fr"))
    at = datetime(2026, 11, 17, 0, 30, tzinfo=UTC)

    assert english.moment(at, "Asia/Shanghai") == "Tue 17 Nov, 08:30"
    assert chinese.moment(at, "Asia/Shanghai") == "11月17日 周二 08:30"
    assert french.moment(at, "Asia/Shanghai") == "mar. 17 nov., 08:30"
    assert french.day(date(2026, 8, 1)) == "sam. 1er août 2026"
    assert [french.count(n, "{n} day", "{n} days") for n in (0, 1, 2, 1200)] == [
        "0 jour",
        "1 jour",
        "2 jours",
        "1\u202f200 jours",
    ]
    assert (french.fares, chinese.fares) == ("fr", "zh")
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
        ("?language=fr", "zh", "fr"),
        ("", "fr-CH, en;q=0.5", "fr"),
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


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_wallet_speaks_one_language_throughout(
    client: Client, league: LittleLeague, language: str
) -> None:
    sign_in(client, league.riders["Gao Lan"])
    says = languages.Words(language, languages.catalogue(language))

    for path in ("/wallet/home", "/wallet/journeys", "/wallet/phones", "/wallet/money", "/wallet/me"):
        page = client.get(path, headers={"accept-language": language}).text
        assert f'<html lang="{language}">' in page, path
        assert says("Journeys") in page and says("Skip to content") in page, path


def test_a_language_that_a_person_chooses_goes_where_they_sign_in(
    ctx: Context, client: Client, league: LittleLeague
) -> None:
    account = league.riders["Gao Lan"]
    sign_in(client, account)

    answer = client.post(
        "/wallet/language",
        data={"language": "fr", "next": "/wallet/journeys?after="},
        follow_redirects=False,
    )

    with ctx.tx() as tx:
        assert identity.get_account(tx, account.account_id).language == "fr"
    assert answer.headers["location"] == "/wallet/journeys?after="
    assert "hansa_language=fr" in answer.headers["set-cookie"]
    assert '<html lang="fr">' in client.get("/wallet/journeys", headers={"accept-language": "en"}).text


@pytest.mark.parametrize("form", [{"language": "de"}, {"language": ""}, {"next": "/wallet/me"}])
def test_a_language_that_no_page_is_in_is_refused(
    ctx: Context, client: Client, league: LittleLeague, form: dict[str, str]
) -> None:
    account = league.riders["Gao Lan"]
    sign_in(client, account)

    answer = client.post("/wallet/language", data=form, follow_redirects=False)

    with ctx.tx() as tx:
        assert identity.get_account(tx, account.account_id).language == account.language
    assert answer.status_code in (400, 422)
    assert "hansa_language" not in answer.headers.get("set-cookie", "")


def test_after_choosing_a_language_nobody_is_led_elsewhere(client: Client, league: LittleLeague) -> None:
    sign_in(client, league.riders["Gao Lan"])

    for elsewhere in ("https://example.org/", "//example.org/wallet/", "/wallet/\\example.org", "/console/"):
        answer = client.post(
            "/wallet/language", data={"language": "fr", "next": elsewhere}, follow_redirects=False
        )
        assert answer.headers["location"] == "/wallet/home", elsewhere
