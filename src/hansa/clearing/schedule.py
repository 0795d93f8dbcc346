"""Settlement models: which positions clear together, how, and when their windows end. Pure; a model is data.

A business day's cut-offs are wall time in the model's zone, counted from that day's midnight, so that 28:00 is four
o'clock of the next morning, as in a timetable. Where the clocks go on, a cut-off that falls into the hour that is not
there is the moment of the change; where they go back, a cut-off that is there twice is the first of the two.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hansa.clearing.netting import ANYONE, Product
from hansa.kernel import CURRENCY_EXPONENTS, HansaError, Problem

DAILY = "daily"
"""The league's business day: it takes every position that no other model takes, and is no text."""

SPEC_BYTES_MAX = 64 * 1024
CALENDARS = Path(__file__).parent / "calendars"
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[str, ...] = get_args(Weekday)

_DAY = timedelta(days=1)
_LOOK_AHEAD = 400
"""Days within which a calendar must have a business day."""


class BadModel(HansaError):
    """This is not a settlement model; nothing of it was taken."""

    code: ClassVar[str] = "clearing.bad_model"
    status: ClassVar[int] = 422


class Takes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which positions a model takes: all that fit. ``*`` is any."""

    issuer: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = ANYONE
    operator: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = ANYONE
    currency: Annotated[str, msgspec.Meta(min_length=1, max_length=3)] = ANYONE
    product: Product | Literal["*"] = ANYONE

    def fits(self, issuer: str, operator: str, currency: str, product: Product) -> bool:
        """Whether items of this product on this position are taken."""
        return (
            self.issuer in (ANYONE, issuer)
            and self.operator in (ANYONE, operator)
            and self.currency in (ANYONE, currency)
            and self.product in (ANYONE, product)
        )

    def meets(self, other: "Takes") -> bool:
        """Whether some position could be taken by both."""
        pairs = (
            (self.issuer, other.issuer),
            (self.operator, other.operator),
            (self.currency, other.currency),
            (self.product, other.product),
        )
        return all(one == another or ANYONE in (one, another) for one, another in pairs)


CutOff = Annotated[str, msgspec.Meta(pattern=r"^[0-4][0-9]:[0-5][0-9]\Z")]


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How some positions clear. tz: the zone of its cut-offs and business days.

    basis, sides: what moves. ``net`` ``multilateral``: each member's net with all; ``net`` ``bilateral``: each pair's
    net; ``gross`` ``multilateral``: all that a member owes, and all that it is owed; ``gross`` ``bilateral``: each
    amount that one owes another. timing: ``deferred`` windows end at cut-offs; ``immediate`` ones every ``every_s``
    seconds, if anything was booked. cut_offs: rising, within one day of each other. weekend, holidays: days that are no
    business days; holidays are dates, or currencies whose calendar file is followed for positions in that currency.
    closes: whether the worker closes windows when they are due, or a person does.
    """

    model_id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9]{1,11}\Z")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*\Z")]
    tz: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    takes: Annotated[tuple[Takes, ...], msgspec.Meta(min_length=1, max_length=1000)]
    basis: Literal["net", "gross"] = "net"
    sides: Literal["multilateral", "bilateral"] = "multilateral"
    timing: Literal["deferred", "immediate"] = "deferred"
    cut_offs: Annotated[tuple[CutOff, ...], msgspec.Meta(max_length=96)] = ()
    every_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None
    weekend: tuple[str, ...] = ()
    holidays: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()
    closes: Literal["worker", "person"] = "worker"

    def takes_it(self, issuer: str, operator: str, currency: str, product: Product) -> bool:
        """Whether items of this product on this position are this model's."""
        return any(one.fits(issuer, operator, currency, product) for one in self.takes)

    def is_open(self, day: date, currency: str) -> bool:
        """Whether positions in a currency are cleared on a day."""
        if WEEKDAYS[day.weekday()] in self.weekend or day.isoformat() in self.holidays:
            return False
        return currency not in self.holidays or calendar_of(currency).is_open(day)

    def has_windows(self, day: date) -> bool:
        """Whether any window ends for this business day: it is one for some currency that the model may take."""
        if WEEKDAYS[day.weekday()] in self.weekend or day.isoformat() in self.holidays:
            return False
        named = {one.currency for one in self.takes}
        return ANYONE in named or any(self.is_open(day, currency) for currency in named)

    def ends(self, day: date) -> list[datetime]:
        """The instants, in UTC, at which the windows of a business day end, whether or not there are any that day."""
        return [_instant(day, text, self.tz) for text in self.cut_offs]


@dataclass(frozen=True, slots=True)
class Slot:
    """A window as the calendar has it: which of its business day, from one, and when it ends."""

    business_day: date
    part: int
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class BankCalendar:
    """When money in a currency moves. source: who says so. years: those it knows; in others only weekends are closed.

    workdays: days of a weekend on which money moves.
    """

    currency: str
    source: str
    years: tuple[int, ...]
    weekend: tuple[str, ...]
    holidays: frozenset[date]
    workdays: frozenset[date]

    def is_open(self, day: date) -> bool:
        """Whether money in the currency moves on this day."""
        if day in self.workdays:
            return True
        return WEEKDAYS[day.weekday()] not in self.weekend and day not in self.holidays


def daily_model(tz: str, cut_off: time) -> Model:
    """The league's business day as a model: one window, which ends on the next morning."""
    text = f"{24 + cut_off.hour:02d}:{cut_off.minute:02d}"
    return Model(DAILY, "Business day", tz, (Takes(),), cut_offs=(text,), closes="person")


def window_id_of(model_id: str, business_day: date, part: int, *, several: bool) -> str:
    """The id of a window: ``daily-20261117``, or ``hourly-20261117-3`` where a day has several."""
    return f"{model_id}-{business_day:%Y%m%d}" + (f"-{part}" if several else "")


def stamp_of(window_id: str) -> str:
    """What bank files say of a window: of a business day its date alone, else the date, the model and the part."""
    model_id, day, *part = window_id.split("-")
    return day if model_id == DAILY else "-".join((day, model_id, *part))


def slots(model: Model, *, after: datetime) -> Iterator[Slot]:
    """The windows of a deferred model that end after an instant, in order, without end.

    Ends where a calendar has no business day for more than a year.
    """
    day = after.astimezone(ZoneInfo(model.tz)).date() - 2 * _DAY
    idle = 0
    while idle < _LOOK_AHEAD and model.cut_offs:
        idle += 1
        if model.has_windows(day):
            for part, ends_at in enumerate(model.ends(day), start=1):
                if ends_at > after:
                    idle = 0
                    yield Slot(day, part, ends_at)
        day += _DAY


def due(model: Model, *, after: datetime, now: datetime) -> Slot | None:
    """The latest window that is over by now, of those that end after an instant; None where none is.

    Windows between that were never closed are not made up for: what they would have held clears with this one.
    """
    found = None
    for slot in slots(model, after=after):
        if slot.ends_at > now:
            break
        found = slot
    return found


def next_slot(model: Model, *, after: datetime) -> Slot | None:
    """The first window that ends after an instant."""
    return next(slots(model, after=after), None)


def read_model(text: str) -> Model:
    """A model from its TOML. Errors: BadModel with every fault, its field and what to write."""
    if len(text.encode()) > SPEC_BYTES_MAX:
        raise BadModel(
            problems=(Problem("model", f"more than {SPEC_BYTES_MAX} bytes", "Send a shorter one"),)
        )
    try:
        model = msgspec.toml.decode(text, type=Model)
    except (msgspec.DecodeError, ValueError) as error:
        what, _, where = str(error).partition(" - at `$")
        remedy = "Write it as docs/clearing.md says, and leave out the rest"
        raise BadModel(problems=(Problem(f"model{where.rstrip('`')}", what, remedy),)) from error
    if problems := tuple(_faults(model)):
        raise BadModel(problems=problems)
    return model


def hints(model: Model, today: date) -> list[Problem]:
    """What is not wrong with a model and yet may not be meant: days on which money in a currency does not move."""
    found: list[Problem] = []
    for currency in sorted({one.currency for one in model.takes} - {ANYONE}):
        known = calendars().get(currency)
        if known is None:
            what = f"no calendar of {currency} is known, so none of its bank holidays is left out"
            remedy = "List the dates in holidays, or add a calendar file as docs/clearing.md says"
            found.append(Problem("model.holidays", what, remedy))
        elif currency not in model.holidays:
            what = f"windows end on days on which no money in {currency} moves"
            found.append(Problem("model.holidays", what, f"Add {currency} to follow its calendar"))
    for currency in sorted(set(model.holidays) & set(calendars())):
        known = calendars()[currency]
        if today.year + (today.month == 12) not in known.years:
            what = f"the calendar of {currency} ends with {max(known.years)}; after it only weekends are left out"
            found.append(Problem("model.holidays", what, "Bring its file up to date"))
    return found


def overlap(model: Model, others: Sequence[Model]) -> tuple[Takes, Model] | None:
    """Which of what a model takes another takes too; None where all is its alone."""
    for one in model.takes:
        for other in others:
            if other.model_id != model.model_id and any(one.meets(its) for its in other.takes):
                return one, other
    return None


@cache
def calendars() -> Mapping[str, BankCalendar]:
    """The calendars that there are, by currency, read once. Errors: as read_calendars."""
    return read_calendars(calendar_folders())


def calendar_folders() -> list[Path]:
    """Where calendars lie: those that come along, then the folder that ``HANSA_CALENDARS`` names, if any."""
    own = os.environ.get("HANSA_CALENDARS")
    return [CALENDARS, Path(own)] if own else [CALENDARS]


def read_calendars(folders: Sequence[Path]) -> Mapping[str, BankCalendar]:
    """Calendars by currency; of the same currency that of the later folder. Errors: BadModel naming the file."""
    return {path.stem: _read_calendar(path) for folder in folders for path in sorted(folder.glob("*.toml"))}


def calendar_of(currency: str) -> BankCalendar:
    """The calendar of a currency; one that is not known has no holidays and no weekend."""
    return calendars().get(currency) or BankCalendar(currency, "", (), (), frozenset(), frozenset())


class _CalendarFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Annotated[str, msgspec.Meta(min_length=1)]
    years: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]
    weekend: tuple[Weekday, ...]
    holidays: frozenset[date]
    workdays: frozenset[date] = frozenset()


def _read_calendar(path: Path) -> BankCalendar:
    try:
        read = msgspec.toml.decode(path.read_bytes(), type=_CalendarFile)
    except (msgspec.DecodeError, ValueError) as error:
        problem = Problem(str(path), str(error), "Write it as docs/clearing.md says, or take it away")
        raise BadModel("A calendar cannot be read.", problems=(problem,)) from error
    return BankCalendar(path.stem, read.source, read.years, read.weekend, read.holidays, read.workdays)


def _instant(day: date, text: str, tz: str) -> datetime:
    """Wall time counted from a day's midnight, as an instant in UTC."""
    hours, minutes = int(text[:2]), int(text[3:])
    zone = ZoneInfo(tz)
    wall = datetime.combine(day + (hours // 24) * _DAY, time(hours % 24, minutes))
    first, later = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # It is not there. Before and after the change it would be these two instants; the change lies between them.
    low, high = sorted((first, later))
    offset = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == offset else (low, middle)
    return high.replace(microsecond=0)


def _faults(model: Model) -> Iterator[Problem]:
    try:
        ZoneInfo(model.tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Problem("model.tz", f"{model.tz!r} is no zone", "Give one such as Asia/Shanghai")
    if model.model_id == DAILY:
        yield Problem("model.model_id", "daily is the league's business day", "Give another name")
    for number, one in enumerate(model.takes):
        if one.currency not in (ANYONE, *CURRENCY_EXPONENTS):
            where = f"model.takes[{number}].currency"
            yield Problem(where, f"{one.currency!r} is no currency", "Give an ISO 4217 code, or *")
    if model.timing == "immediate":
        if model.every_s is None:
            yield Problem("model.every_s", "it is missing", "Say after how many seconds a window ends")
        if model.cut_offs:
            yield Problem("model.cut_offs", "an immediate model has none", "Leave them out, or say deferred")
    else:
        if model.every_s is not None:
            yield Problem("model.every_s", "a deferred model has none", "Leave it out, or say immediate")
        if not model.cut_offs:
            yield Problem("model.cut_offs", "there is none", 'Give wall times such as ["12:00", "28:00"]')
    if any(later <= earlier for earlier, later in zip(model.cut_offs, model.cut_offs[1:], strict=False)):
        yield Problem("model.cut_offs", "they do not rise", "Give them in order, each once")
    elif model.cut_offs and _minutes(model.cut_offs[-1]) - _minutes(model.cut_offs[0]) >= 24 * 60:
        yield Problem(
            "model.cut_offs", "they span more than a day", "Keep the last within 24 hours of the first"
        )
    if unknown := sorted(set(model.weekend) - set(WEEKDAYS)):
        yield Problem("model.weekend", f"{unknown[0][:20]!r} is no day", f"Give some of {WEEKDAYS}")
    if len(set(model.weekend)) == len(WEEKDAYS):
        yield Problem("model.weekend", "there is no business day", "Leave it a day")
    for text in model.holidays:
        if re.fullmatch(r"[A-Z]{3}", text):
            if text not in calendars():
                known = ", ".join(calendars())
                yield Problem(
                    "model.holidays", f"there is no calendar of {text}", f"Give dates, or one of {known}"
                )
        elif not _is_date(text):
            yield Problem("model.holidays", f"{text[:20]!r} is no date", "Give dates such as 2026-10-01")


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
