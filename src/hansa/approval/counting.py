"""Running use: what was spent in this hour and the one before, this day, this longer period, this year. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as counters see it. hour: hours since 1970. second: of it. day, month: of the account's zone."""

    hour: int
    second: int
    day: date
    month: date
    local_hour: int


@dataclass(frozen=True, slots=True)
class Counter:
    """What was spent, in minor units and payments. period: the first day of the month, or of a mandate's period.

    year_minor: what counts against a level's cap, in the calendar year in which the period begins.
    """

    hour: int
    hour_count: int
    hour_minor: int
    before_count: int
    before_minor: int
    day: date
    day_count: int
    day_minor: int
    period: date
    period_minor: int
    year_minor: int


def moment_of(at: datetime, zone: str) -> Moment:
    """This instant in the account's time zone."""
    seconds = int(at.timestamp())
    local = at.astimezone(_zone(zone))
    return Moment(seconds // HOUR_S, seconds % HOUR_S, local.date(), local.date().replace(day=1), local.hour)


def empty(moment: Moment, period: date) -> Counter:
    """Nothing spent yet."""
    return Counter(moment.hour, 0, 0, 0, 0, moment.day, 0, 0, period, 0, 0)


def rolled(counter: Counter, moment: Moment, period: date) -> Counter:
    """The counter at this moment: what belongs to hours, days and periods that are over is gone.

    A moment before the counter's own, from a clock behind, changes nothing.
    """
    if counter.hour >= moment.hour and counter.day >= moment.day and counter.period >= period:
        return counter
    now = counter
    if moment.hour == now.hour + 1:
        now = replace(
            now, hour=moment.hour, hour_count=0, hour_minor=0,
            before_count=now.hour_count, before_minor=now.hour_minor,
        )  # fmt: skip
    elif moment.hour > now.hour:
        now = replace(now, hour=moment.hour, hour_count=0, hour_minor=0, before_count=0, before_minor=0)
    if moment.day > now.day:
        now = replace(now, day=moment.day, day_count=0, day_minor=0)
    if period > now.period:
        year_minor = now.year_minor if period.year == now.period.year else 0
        now = replace(now, period=period, period_minor=0, year_minor=year_minor)
    return now


def added(counter: Counter, minor: int, *, in_year: bool = True) -> Counter:
    """The counter with one payment more; the counter has been rolled to its moment. in_year: it counts there too."""
    return Counter(
        counter.hour,
        counter.hour_count + 1,
        counter.hour_minor + minor,
        counter.before_count,
        counter.before_minor,
        counter.day,
        counter.day_count + 1,
        counter.day_minor + minor,
        counter.period,
        counter.period_minor + minor,
        counter.year_minor + minor if in_year else counter.year_minor,
    )


def taken_off(counter: Counter, minor: int, moment: Moment, period: date, *, in_year: bool = True) -> Counter:
    """The counter without a payment of that moment: taken off each hour, day, period and year that it still counts in.

    in_year: whether it counted there.
    """
    now = counter
    if moment.hour == now.hour:
        now = replace(now, hour_count=max(0, now.hour_count - 1), hour_minor=max(0, now.hour_minor - minor))
    elif moment.hour == now.hour - 1:
        now = replace(
            now, before_count=max(0, now.before_count - 1), before_minor=max(0, now.before_minor - minor)
        )
    if moment.day == now.day:
        now = replace(now, day_count=max(0, now.day_count - 1), day_minor=max(0, now.day_minor - minor))
    if period == now.period:
        now = replace(now, period_minor=max(0, now.period_minor - minor))
    if in_year and period.year == now.period.year:
        now = replace(now, year_minor=max(0, now.year_minor - minor))
    return now


def last_hour(counter: Counter, second: int) -> tuple[int, int]:
    """Payments and minor units of about the last hour: this hour, and the share of the one before that it overlaps.

    second: of this hour, 0 to 3599. The share is rounded up, so that nobody gains by the boundary.
    """
    left = HOUR_S - second
    return (
        counter.hour_count - (-counter.before_count * left // HOUR_S),
        counter.hour_minor - (-counter.before_minor * left // HOUR_S),
    )


def period_of(name: str, day: date) -> date:
    """The first day of the period that a day lies in: day, week (from Monday), month or year."""
    return _PERIODS[name](day)


_PERIODS: dict[str, Callable[[date], date]] = {
    "day": lambda day: day,
    "week": lambda day: day - timedelta(days=day.weekday()),
    "month": lambda day: day.replace(day=1),
    "year": lambda day: day.replace(month=1, day=1),
}


def hours_since(then: datetime | None, at: datetime) -> int | None:
    """Whole hours from then to now, not below zero; None where there is no then."""
    return None if then is None else max(0, int((at - then).total_seconds()) // HOUR_S)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
