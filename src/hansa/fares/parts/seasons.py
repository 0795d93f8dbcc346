"""Seasons: parts of the year, and days that are named, for which rules may hold."""

import re
from dataclasses import dataclass
from datetime import date

from hansa.fares.tables import Table

_MONTH_DAY = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


@dataclass(frozen=True, slots=True)
class Season:
    """Days of one name. starts, ends: month and day, both in; a season may go over the new year. dates: single days."""

    name: str
    starts: tuple[int, int] | None = None
    ends: tuple[int, int] | None = None
    dates: frozenset[date] = frozenset()
    clause: str = ""

    def holds(self, day: date) -> bool:
        """Whether a service day is in it."""
        if day in self.dates:
            return True
        if self.starts is None or self.ends is None:
            return False
        at = day.month, day.day
        if self.starts <= self.ends:
            return self.starts <= at <= self.ends
        return at >= self.starts or at <= self.ends


def read_seasons(top: Table) -> tuple[Season, ...]:
    """The ``[[season]]`` tables; several of one name add up."""
    seasons: list[Season] = []
    for item in top.tables("season"):
        name, dates = item.word("name"), item.days("dates")
        spanned = "from" in item or "until" in item
        if not spanned and not dates:
            item.wrong(
                "from", "is missing, and no dates stand", 'Write from = "06-15" and until = "09-15", or dates'
            )
        starts, ends = (_month_day(item, "from"), _month_day(item, "until")) if spanned else (None, None)
        seasons.append(Season(name, starts, ends, dates, item.clause))
        item.done()
    top.reading.seasons = tuple(dict.fromkeys(season.name for season in seasons))
    return tuple(seasons)


def _month_day(item: Table, key: str) -> tuple[int, int] | None:
    text = item.text(key)
    found = _MONTH_DAY.fullmatch(text)
    if text and found is None:
        item.wrong(key, f"{text!r} is not a day of the year", 'Write month and day: "06-15"')
    return None if found is None else (int(found[1]), int(found[2]))
