"""Languages of pages: which one a reader gets, and the words of pages in it.

A page says what it says in English, ``say("Journeys")``, and the catalogue of another language (the files of
``words/zh``, one for each part of the pages) has the same sentence in that language. What a catalogue lacks is said in
English, and a test finds it. Fares are told in the languages of ``hansa.fares``; what they say has a ``lang`` of
its own, since a language may be spoken by pages before fares speak it.
"""

import re
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

from hansa import fares
from hansa.kernel import accepted_languages, choose_language

WORDS = Path(__file__).resolve().parent / "words"
SCRIPTS = Path(__file__).resolve().parent / "static" / "js"
IN_SCRIPTS = re.compile(r'inWords\(\s*"((?:[^"\\]|\\.)*)"')
"""A sentence in a script."""
NAMES = {"en": "English", "zh": "中文", "fr": "Français"}
"""What each language of pages calls itself."""
LANGUAGES = tuple(NAMES)
"""Languages of pages, BCP 47; the first is that of whoever asks for none of them."""

COOKIE = "hansa_language"
ASKED = "language"
"""The query that chooses a language."""
REMEMBERED = timedelta(days=365)

_WEEKDAYS_ZH = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")
_WEEKDAYS_FR = ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim.")
_MONTHS_FR = (
    "janv.",
    "févr.",
    "mars",
    "avr.",
    "mai",
    "juin",
    "juil.",
    "août",
    "sept.",
    "oct.",
    "nov.",
    "déc.",
)
_NARROW_SPACE = "\u202f"
"""Between thousands, as French groups them."""
_HARD_SPACE = "\u00a0"
_BY_MARKS = re.compile(r" (?=[?!:;»])|(?<=«) ")
"""Spaces of French that no line ends at: before marks of two parts, and inside quotation marks."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A language to switch to: its code, what it calls itself, where that page is."""

    code: str
    name: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True)
class Words:
    """What pages say in one language. language: BCP 47, for ``lang``; ``switch`` leads to the same page in others.

    here: the address of this page, to come back to.
    """

    language: str = "en"
    catalogue: Mapping[str, str] = field(default_factory=dict[str, str])
    switch: tuple[Choice, ...] = ()
    here: str = ""

    def __call__(self, english: str, /, **facts: object) -> str:
        """A sentence in this language, with its figures in the places that it names: ``{fare}``."""
        text = self.catalogue.get(english, english)
        return text.format(**facts) if facts else text

    def count(self, number: int, one: str, many: str, /, **facts: object) -> str:
        """A sentence about a number, ``{n}``, in its singular or plural.

        The catalogue knows it by its plural, and by its singular too where the language tells them apart. In French
        nothing and one are singular.
        """
        singular = number in (0, 1) if self.language == "fr" else number == 1
        english = one if number == 1 else many
        text = self.catalogue.get(many, english)
        return (self.catalogue.get(one, text) if singular else text).format(n=self.number(number), **facts)

    def number(self, number: int) -> str:
        """A count: ``12,345``; ``12 345`` in French."""
        grouped = f"{number:,}"
        return grouped.replace(",", _NARROW_SPACE) if self.language == "fr" else grouped

    @property
    def fares(self) -> str:
        """The language in which fares are told to this reader, BCP 47."""
        return choose_language([self.language], fares.LANGUAGES)

    def moment(self, instant: datetime, zone: str) -> str:
        """A day and a time there: ``Tue 17 Nov, 08:30``; ``11月17日 周二 08:30``; ``mar. 17 nov., 08:30``."""
        local = instant.astimezone(ZoneInfo(zone))
        if self.language == "fr":
            return f"{_day_fr(local)}, {local:%H:%M}"
        if self.language == "zh":
            return f"{local.month}月{local.day}日 {_WEEKDAYS_ZH[local.weekday()]} {local:%H:%M}"
        return f"{local:%a} {local.day} {local:%b}, {local:%H:%M}"

    def day(self, day: date, *, year: bool = True) -> str:
        """A day: ``Tue 17 Nov 2026``; ``2026年11月17日 周二``; ``mar. 17 nov. 2026``. year: whether it is told."""
        if self.language == "zh":
            of_year = f"{day.year}年" if year else ""
            return f"{of_year}{day.month}月{day.day}日 {_WEEKDAYS_ZH[day.weekday()]}"
        told = _day_fr(day) if self.language == "fr" else f"{day:%a} {day.day} {day:%b}"
        return f"{told} {day.year}" if year else told


def _day_fr(day: date) -> str:
    number = "1er" if day.day == 1 else str(day.day)
    return f"{_WEEKDAYS_FR[day.weekday()]} {number} {_MONTHS_FR[day.month - 1]}"


ENGLISH = Words()


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """The sentences of a language by their English; none for English itself."""
    if language == "en":
        return {}
    found: dict[str, str] = {}
    for file in sorted((WORDS / language).glob("*.toml")):
        found |= tomllib.loads(file.read_text(encoding="utf-8"))
    if language == "fr":
        return {english: _BY_MARKS.sub(_HARD_SPACE, told) for english, told in found.items()}
    return found


@cache
def _said_by_scripts(names: tuple[str, ...]) -> frozenset[str]:
    """The sentences of these files of ``static/js``: what stands in ``inWords("…")``."""
    texts = [(SCRIPTS / name).read_text(encoding="utf-8") for name in names]
    return frozenset(one for text in texts for one in IN_SCRIPTS.findall(text))


def words_of_scripts(words: Words, *names: str) -> dict[str, str]:
    """What these scripts of ``static/js`` say in this language, by its English; empty for English.

    A page hands it to them as data, ``<script type="application/json" id="words">`` (``static/js/words.js``).
    """
    return {
        english: words.catalogue[english]
        for english in sorted(_said_by_scripts(names))
        if english in words.catalogue
    }


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
    return Words(language, catalogue(language), _switch(request, language), _address(request, _kept(request)))


def spoken(answer: Response[Any], words: Words, request: Request[Any, Any, Any]) -> Response[Any]:
    """The answer with its language named, and remembered where it was chosen here."""
    answer.headers["content-language"] = words.language
    answer.headers["vary"] = "Accept-Language, Cookie"
    return remembering(answer, words.language, request) if _asked(request) else answer


def remembering(answer: Response[Any], language: str, request: Request[Any, Any, Any]) -> Response[Any]:
    """The answer that has the browser ask for this language from now on."""
    answer.set_cookie(
        Cookie(
            key=COOKIE,
            value=language,
            max_age=int(REMEMBERED.total_seconds()),
            path="/",
            samesite="lax",
            secure=request.url.scheme == "https",
        )
    )
    return answer


def in_language_of(answer: Response[Any], language: str, request: Request[Any, Any, Any]) -> Response[Any]:
    """The answer to who just signed in, that has a browser in which nobody chose a language speak their account's."""
    if request.cookies.get(COOKIE):
        return answer
    return remembering(answer, choose_language([language], LANGUAGES), request)


def _asked(request: Request[Any, Any, Any]) -> str:
    return request.query_params.get(ASKED, "")[:35]


def _kept(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    return [
        (name, text)
        for name, text in parse_qsl(request.scope["query_string"].decode("latin-1"))
        if name != ASKED
    ]


def _address(request: Request[Any, Any, Any], query: list[tuple[str, str]]) -> str:
    return f"{request.url.path}?{urlencode(query)}" if query else request.url.path


def _switch(request: Request[Any, Any, Any], language: str) -> tuple[Choice, ...]:
    kept = _kept(request)
    return tuple(
        Choice(code, NAMES[code], _address(request, [*kept, (ASKED, code)]), code == language)
        for code in LANGUAGES
    )
