"""Time: an instant is an aware datetime in UTC; a service day is a date."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from hansa.kernel.errors import InvalidInput, Problem


class Clock(Protocol):
    """Where ``now`` comes from. The outside world, so it can be replaced."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True)
class FixedClock:
    """A clock that stands until it is set: for simulated days and for tests."""

    at: datetime

    def now(self) -> datetime:
        return self.at


def in_utc(instant: datetime, *, where: str = "instant") -> datetime:
    """The same instant in UTC.

    Errors: InvalidInput when it names no offset from UTC, or lies in UTC before the year 1 or after 9999.
    """
    if instant.tzinfo is None:
        raise InvalidInput(
            "An instant needs an offset from UTC.",
            problems=(Problem(where, f"{instant.isoformat()} has no offset", "End it with Z or +08:00"),),
        )
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        problem = Problem(where, f"{instant.isoformat()} is no instant in UTC", "Give one of our time")
        raise InvalidInput("An instant lies outside of time.", problems=(problem,)) from error


def service_day(instant: datetime, tz: str, starts: time = time(0)) -> date:
    """The service day an instant belongs to, for a city whose day starts at ``starts`` local wall time."""
    local = instant.astimezone(ZoneInfo(tz))
    return local.date() if local.time() >= starts else local.date() - timedelta(days=1)


def service_day_bounds(day: date, tz: str, starts: time = time(0)) -> tuple[datetime, datetime]:
    """The half-open interval of instants, in UTC, that make up a service day."""
    zone = ZoneInfo(tz)
    first = datetime.combine(day, starts, zone).astimezone(UTC)
    last = datetime.combine(day + timedelta(days=1), starts, zone).astimezone(UTC)
    return first, last
