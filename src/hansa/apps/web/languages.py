"""Languages of pages: which one a reader gets, and the words of pages in it.

A page says what it says in English, ``say("Journeys")``, and the catalogue of another language (the files of
``words/zh``, one for each part of the pages) has the same sentence in that language. What a catalogue lacks is said in
English, and a test finds it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from litestar import Request, Response
from litestar.datastructures import Cookie

from hansa.fares import LANGUAGES
from hansa.kernel import accepted_languages, choose_language

WORDS = Path(__file__).resolve().parent / "words"
NAMES = {"en": "English", "zh": "中文"}
"""What each language calls itself."""

COOKIE = "hansa_language"
ASKED = "language"
"""The query that chooses a language."""
REMEMBERED = timedelta(days=365)

_WEEKDAYS_ZH = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")


@dataclass(frozen=True, slots=True)
class Choice:
    """A language to switch to: its code, what it calls itself, where that page is."""

    code: str
    name: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True)
class Words:
    """What pages say in one language. language: BCP 47, for ``lang``; ``switch`` leads to the same page in others."""

    language: str = "en"
    catalogue: Mapping[str, str] = field(default_factory=dict[str, str])
    switch: tuple[Choice, ...] = ()

    def __call__(self, english: str, /, **facts: object) -> str:
        """A sentence in this language, with its figures in the places that it names: ``{fare}``."""
        text = self.catalogue.get(english, english)
        return text.format(**facts) if facts else text

    def count(self, number: int, one: str, many: str, /, **facts: object) -> str:
        """A sentence about a number, ``{n}``, in its singular or plural; the catalogue knows it by its plural."""
        english = one if number == 1 else many
        return self.catalogue.get(many, english).format(n=f"{number:,}", **facts)

    def moment(self, instant: datetime, zone: str) -> str:
        """A day and a time there: ``Tue 17 Nov, 08:30``; ``11月17日 周二 08:30``."""
        local = instant.astimezone(ZoneInfo(zone))
        if self.language == "zh":
            return f"{local.month}月{local.day}日 {_WEEKDAYS_ZH[local.weekday()]} {local:%H:%M}"
        return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"

    def day(self, day: date) -> str:
        """A day: ``Tue 17 Nov 2026``; ``2026年11月17日 周二``."""
        if self.language == "zh":
            return f"{day.year}年{day.month}月{day.day}日 {_WEEKDAYS_ZH[day.weekday()]}"
        return f"{day:%a} {day.day} {day:%b} {day.year}"


ENGLISH = Words()


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """The sentences of a language by their English; none for English itself."""
    if language == "en":
        return {}
    found: dict[str, str] = {}
    for file in sorted((WORDS / language).glob("*.toml")):
        found |= tomllib.loads(file.read_text(encoding="utf-8"))
    return found


def words_for(request: Request[Any, Any, Any], *, account_language: str = "") -> Words:
    """What a page says to whoever asks for it: in the language of ``?language=``, else the one chosen before, else
    what the browser wants, else the account's; English where none of these is served.
    """
    wanted = [
        *(text for text in (_asked(request), request.cookies.get(COOKIE, "")) if text),
        *accepted_languages(request.headers.get("accept-language", "")),
        *([account_language] if account_language else []),
    ]
    language = choose_language(wanted, LANGUAGES)
    return Words(language, catalogue(language), _switch(request, language))


def spoken(answer: Response[Any], words: Words, request: Request[Any, Any, Any]) -> Response[Any]:
    """The answer with its language named, and remembered where it was chosen here."""
    answer.headers["content-language"] = words.language
    answer.headers["vary"] = "Accept-Language, Cookie"
    if _asked(request):
        answer.set_cookie(
            Cookie(
                key=COOKIE,
                value=words.language,
                max_age=int(REMEMBERED.total_seconds()),
                path="/",
                samesite="lax",
                secure=request.url.scheme == "https",
            )
        )
    return answer


def _asked(request: Request[Any, Any, Any]) -> str:
    return request.query_params.get(ASKED, "")[:35]


def _switch(request: Request[Any, Any, Any], language: str) -> tuple[Choice, ...]:
    kept = [
        (name, text)
        for name, text in parse_qsl(request.scope["query_string"].decode("latin-1"))
        if name != ASKED
    ]
    return tuple(
        Choice(code, NAMES[code], f"{request.url.path}?{urlencode([*kept, (ASKED, code)])}", code == language)
        for code in LANGUAGES
    )
