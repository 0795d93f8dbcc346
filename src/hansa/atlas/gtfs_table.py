"""Reading a table of a GTFS feed against the specification: every fault is noted with file, line, field and remedy.

Rows come one by one, whatever the size of the file. A field that does not fit is noted once, here; whoever uses the
row finds None in its place and need not complain again.
"""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import chain
from urllib.parse import urlsplit

from hansa.atlas.cityfile import is_time_zone
from hansa.atlas.feed import Feed
from hansa.atlas.gtfs_spec import EXPERIMENTAL, FILES, Field, File, Kind
from hansa.atlas.report import Report, Severity
from hansa.atlas.tables import shown
from hansa.kernel import CURRENCY_EXPONENTS, Money

ID_MAX = 200
TEXT_MAX = 4_000

_TIME = re.compile(r"([0-9]{1,3}):([0-5][0-9]):([0-5][0-9])")
_DAY = re.compile(r"[0-9]{8}")
_NATURAL = re.compile(r"[0-9]{1,12}")
_INTEGER = re.compile(r"-?[0-9]{1,12}")
_COLOR = re.compile(r"#?[0-9A-Fa-f]{6}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")

_SHOWN: frozenset[Kind] = frozenset({"url", "email", "phone", "language"})
"""Kinds that are only shown to people: a fault in one is a warning here, since no fare and no place hangs on it."""


@dataclass(slots=True)
class Known:
    """The values of the fields that others refer to, such as ``stops.stop_id``, and the columns of each file.

    broken: files that could not be read at all; what refers to them is not held against the row that does.
    """

    values: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    broken: set[str] = field(default_factory=set[str])

    def of(self, ref: str) -> set[str]:
        return self.values.setdefault(ref, set())

    def has(self, file: str, column: str) -> bool:
        """Whether a file is there and has this column."""
        return column in self.columns.get(file, ())


@dataclass(slots=True)
class Row:
    """One row of a table. line: of the file, from 1. Values are without blanks around them; missing ones are empty."""

    file: str
    line: int
    cells: list[str]
    at: dict[str, int]
    report: Report

    def get(self, name: str) -> str:
        """A field's value as it stands; empty where the column or the value is missing."""
        place = self.at.get(name)
        return "" if place is None else self.cells[place]

    def find(self, name: str) -> str | None:
        """A field's value, or None where it is empty."""
        return self.get(name) or None

    def wrong(self, code: str, name: str, message: str, remedy: str, severity: Severity = "ERROR") -> None:
        """Note that a field of this row does not fit."""
        self.report.add(
            code, severity, self.file, message, remedy, row=self.line, name=name, value=self.get(name)
        )

    def seconds(self, name: str) -> int | None:
        """A time as seconds after the service day's start, or None where it is empty or no time."""
        return seconds_of(self.get(name))

    def day(self, name: str) -> date | None:
        return day_of(self.get(name))

    def number(self, name: str) -> int | None:
        value = self.get(name)
        return int(value) if _INTEGER.fullmatch(value) else None

    def degrees(self, name: str) -> float | None:
        return degrees_of(self.get(name), 180)

    def money(self, amount: str, currency: str) -> Money | None:
        """An amount in major units, of any sign, exact to the minor unit of the currency that another field names."""
        return money_of(self.get(amount), self.get(currency))


@lru_cache(maxsize=200_000)
def seconds_of(value: str) -> int | None:
    """``HH:MM:SS`` as seconds; 24:00:00 and later are allowed. None where it is no time."""
    match = _TIME.fullmatch(value)
    if match is None:
        return None
    hours, minutes, seconds = map(int, match.groups())
    return hours * 3600 + minutes * 60 + seconds


def day_of(value: str) -> date | None:
    if _DAY.fullmatch(value):
        try:
            return date(int(value[:4]), int(value[4:6]), int(value[6:]))
        except ValueError:
            return None
    return None


def degrees_of(value: str, most: int) -> float | None:
    """Degrees within ± most, or None."""
    try:
        number = float(value) if len(value) <= 40 and value.isascii() else float("nan")
    except ValueError:
        return None
    return number if -most <= number <= most and "_" not in value else None


def money_of(amount: str, currency: str) -> Money | None:
    """An amount in major units as money, or None where it is not exact in this currency."""
    decimals = CURRENCY_EXPONENTS.get(currency)
    if decimals is None or not _AMOUNT.fullmatch(amount):
        return None
    scaled = Decimal(amount).scaleb(decimals)
    return Money(int(scaled), currency) if scaled == scaled.to_integral_value() else None


def read_rows(feed: Feed, name: str, report: Report, known: Known) -> Iterator[Row]:
    """The rows of a file that the feed has, each checked field by field; values others refer to go to ``known``.

    A file whose header does not serve gives no row. A row with too many or too few fields is noted and left out.
    """
    file = FILES[name]
    opened = open_table(feed, name, report)
    if opened is None:
        known.broken.add(name)
        return
    header, records = opened
    known.columns[name] = tuple(header)
    at = {column: place for place, column in enumerate(header)}
    checks = [
        (place, file.fields[column], _CHECKS[file.fields[column].kind])
        for column, place in at.items()
        if column in file.fields
    ]
    stem = name.removesuffix(".txt")
    gives = [
        (place, known.of(f"{stem}.{column}"))
        for column, place in at.items()
        if f"{stem}.{column}" in REFERRED
    ]
    key = [at[column] for column in file.key if column in at]
    seen: dict[tuple[str, ...], int] = {}
    count = 0
    for line, cells in records:
        count += 1
        row = Row(name, line, cells, at, report)
        for place, spec, check in checks:
            _check(row, spec, cells[place], check, known)
        for place, values in gives:
            if cells[place]:
                values.add(cells[place])
        if not file.key and count == 2:
            what, remedy = "the file has more than one row", "Keep one"
            report.add("more_than_one_entity", "WARNING", name, what, remedy, row=line)
        if key and any(cells[place] for place in key):
            values = tuple(cells[place] for place in key)
            first = seen.setdefault(values, line)
            if first != line:
                last = file.key[-1] if file.key[-1] in at else header[key[-1]]
                what = f"{shown(', '.join(values))} stands on line {first} too"
                row.wrong("duplicate_key", last, what, "List it once")
                continue
        yield row
    report.rows[name] = count


def open_table(
    feed: Feed, name: str, report: Report
) -> tuple[list[str], Iterator[tuple[int, list[str]]]] | None:
    """The header of a file and its records as (line, cells), or None where the header does not serve."""
    file = FILES[name]
    at_line = [0]

    def texts() -> Iterator[str]:
        for number, text in feed.lines(name):
            at_line[0] = number
            yield text

    reader = csv.reader(texts(), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                header = [cell.strip() for cell in cells]
                break
    except csv.Error as error:
        _not_csv(report, name, at_line[0], error)
        return None
    if not header:
        if not any(notice.file == name for notice in report.errors):
            first = [one.name for one in file.fields.values() if one.presence == "required"]
            report.add(
                "empty_file", "ERROR", name, "it is empty", f"Begin it with the header {','.join(first)}"
            )
        return None
    if not _header_fits(file, header, report):
        return None
    return header, _records(reader, name, len(header), at_line, report)


def _records(
    reader: Iterator[list[str]], name: str, width: int, at_line: list[int], report: Report
) -> Iterator[tuple[int, list[str]]]:
    try:
        before = at_line[0]
        for cells in reader:
            line, before = before + 1, at_line[0]
            stripped = [cell.strip() for cell in cells]
            if len(cells) != width:
                if not any(stripped):
                    continue
                what = f"it has {len(cells)} fields, the header {width}"
                remedy = "Give every line as many fields as the header"
                report.add("invalid_row_length", "ERROR", name, what, remedy, row=line)
                continue
            if stripped != cells:
                what, remedy = "blanks stand around a value", "Take them out; they are passed over here"
                report.add("leading_or_trailing_whitespaces", "WARNING", name, what, remedy, row=line)
                if not any(stripped):
                    continue
            yield line, stripped
    except csv.Error as error:
        _not_csv(report, name, at_line[0], error)


def _not_csv(report: Report, name: str, line: int, error: csv.Error) -> None:
    remedy = "Close every quote and double quotes inside"
    report.add("csv_parsing_failed", "ERROR", name, f"it is not CSV ({error})", remedy, row=line)


def _header_fits(file: File, header: Sequence[str], report: Report) -> bool:
    fits = True
    for spec in file.fields.values():
        if spec.name in header:
            continue
        if spec.presence == "required":
            what, remedy = "the column is missing", f"Add the column {spec.name}"
            report.add("missing_required_column", "ERROR", file.name, what, remedy, row=1, name=spec.name)
            fits = False
        elif spec.presence == "recommended":
            what, remedy = "the column is missing", f"Add the column {spec.name}"
            report.add(
                "missing_recommended_column", "WARNING", file.name, what, remedy, row=1, name=spec.name
            )
    for column in dict.fromkeys(header):
        if not column:
            what, remedy = "a column has no name", "Name it, or take it out"
            report.add("empty_column_name", "ERROR", file.name, what, remedy, row=1)
            fits = False
        elif header.count(column) > 1:
            what, remedy = "the column is there twice", "Keep one of them"
            report.add("duplicated_column", "ERROR", file.name, what, remedy, row=1, name=column)
            fits = False
        elif column not in file.fields:
            what, remedy = "no such column is known", "It is passed over"
            report.add("unknown_column", "INFO", file.name, what, remedy, row=1, name=column)
        elif EXPERIMENTAL.get(file.name) == column:
            what, remedy = "the reference has no such column", "It is a proposed extension, and obeyed here"
            report.add("experimental_column", "INFO", file.name, what, remedy, row=1, name=column)
    return fits


Check = Callable[[Field, str], tuple[str, str, str] | None]
"""Of a field and its value: None, or (code, what is wrong, remedy)."""


def _check(row: Row, spec: Field, value: str, check: Check, known: Known) -> None:
    if not value:
        if spec.presence == "required" and spec.name != "transfers":
            row.wrong("missing_required_field", spec.name, "it is empty", "Fill it in")
        elif spec.presence == "recommended":
            row.wrong("missing_recommended_field", spec.name, "it is empty", "Fill it in", "WARNING")
        return
    found = check(spec, value)
    if found is not None:
        soft = spec.kind in _SHOWN or spec.loose
        row.wrong(found[0], spec.name, found[1], found[2], "WARNING" if soft else "ERROR")
    elif spec.refs and all(value not in known.of(ref) for ref in spec.refs):
        names = [f"{ref.partition('.')[0]}.txt" for ref in spec.refs]
        if not known.broken.isdisjoint(names):
            return
        files = " or ".join(names)
        what = f"{files} has no {shown(value)}"
        if any(ref.endswith(".zone_id") for ref in spec.refs):
            what = f"no stop has the zone {shown(value)}"
        row.wrong("foreign_key_violation", spec.name, what, "Add it there, or mend it here")


def _text(_: Field, value: str) -> tuple[str, str, str] | None:
    if len(value) > TEXT_MAX:
        return "text_too_long", f"it has {len(value)} characters", f"Keep it to {TEXT_MAX}"
    if "\n" in value or "\r" in value:
        return "new_line_in_value", "it holds a line break", "Keep a value on one line"
    if "\ufffd" in value or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        return "invalid_character", f"{shown(value)} holds control characters", "Take them out"
    return None


def _id(spec: Field, value: str) -> tuple[str, str, str] | None:
    if len(value) > ID_MAX or not value.isprintable():
        what = f"{shown(value)} does not serve as an id"
        return "invalid_id", what, f"Use at most {ID_MAX} printable characters"
    return _text(spec, value)


def _matching(code: str, pattern: re.Pattern[str], form: str) -> Check:
    def check(_: Field, value: str) -> tuple[str, str, str] | None:
        return (
            None if pattern.fullmatch(value) else (code, f"{shown(value)} has another form", f"Write {form}")
        )

    return check


def _whole(least: int | None, pattern: re.Pattern[str], form: str) -> Check:
    def check(_: Field, value: str) -> tuple[str, str, str] | None:
        if not pattern.fullmatch(value):
            return "invalid_integer", f"{shown(value)} is not a whole number", f"Write {form}"
        if least is not None and int(value) < least:
            return "number_out_of_range", f"{value} is out of range", f"Write {form}"
        return None

    return check


def _count(_: Field, value: str) -> tuple[str, str, str] | None:
    if not _INTEGER.fullmatch(value):
        return "invalid_integer", f"{shown(value)} is not a whole number", "Write -1, or 1 or more"
    if int(value) < -1 or int(value) == 0:
        return (
            "fare_transfer_rule_invalid_transfer_count",
            f"{value} is out of range",
            "Write -1, or 1 or more",
        )
    return None


def _float(least: float | None) -> Check:
    def check(_: Field, value: str) -> tuple[str, str, str] | None:
        number = _decimal(value)
        if number is None:
            return "invalid_float", f"{shown(value)} is not a number", "Write decimal digits"
        if least is not None and number < least:
            return "number_out_of_range", f"{shown(value)} is out of range", f"Write {least:g} or more"
        return None

    return check


def _decimal(value: str) -> Decimal | None:
    try:
        number = Decimal(value) if len(value) <= 40 else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _degrees(most: int) -> Check:
    def check(_: Field, value: str) -> tuple[str, str, str] | None:
        if degrees_of(value, most) is not None:
            return None
        code = "invalid_float" if _decimal(value) is None else "number_out_of_range"
        return code, f"{shown(value)} is not degrees", f"Write decimal degrees from -{most} to {most}"

    return check


def _enum(spec: Field, value: str) -> tuple[str, str, str] | None:
    if value in spec.options:
        return None
    return (
        "unexpected_enum_value",
        f"{shown(value)} is none of them",
        f"Write one of: {', '.join(spec.options)}",
    )


def _date(_: Field, value: str) -> tuple[str, str, str] | None:
    if day_of(value) is not None:
        return None
    return "invalid_date", f"{shown(value)} is not a day", "Write it as YYYYMMDD, as 20261117"


def _time(_: Field, value: str) -> tuple[str, str, str] | None:
    if seconds_of(value) is not None:
        return None
    return (
        "invalid_time",
        f"{shown(value)} is not a time",
        "Write HH:MM:SS; after midnight count on, as 25:10:00",
    )


def _local_time(spec: Field, value: str) -> tuple[str, str, str] | None:
    if (seconds_of(value) or 0) > 24 * 3600:
        code = "timeframe_start_or_end_time_greater_than_twenty_four_hours"
        return code, f"{value} is after 24:00:00", "Write a time of day, up to 24:00:00"
    return _time(spec, value)


def _timezone(_: Field, value: str) -> tuple[str, str, str] | None:
    if is_time_zone(value):
        return None
    return "invalid_timezone", f"{shown(value)} is no time zone", "Write an IANA name, as Asia/Tokyo"


def _url(_: Field, value: str) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.netloc) and " " not in value
    except ValueError:
        good = False
    return None if good else ("invalid_url", f"{shown(value)} is no URL", "Write it whole, with https://")


def _currency(_: Field, value: str) -> tuple[str, str, str] | None:
    if value in CURRENCY_EXPONENTS:
        return None
    return "invalid_currency", f"{shown(value)} is no currency", "Write ISO 4217, as EUR"


def _amount(_: Field, value: str) -> tuple[str, str, str] | None:
    if _AMOUNT.fullmatch(value):
        return None
    return "invalid_currency_amount", f"{shown(value)} is not an amount", "Write digits, as 2.50"


_CHECKS: dict[Kind, Check] = {
    "id": _id,
    "text": _text,
    "url": _url,
    "email": _matching("invalid_email", _EMAIL, "an address, as desk@example.org"),
    "phone": _text,
    "language": _matching("invalid_language_code", _LANGUAGE, "IETF BCP 47, as en or zh-Hant"),
    "timezone": _timezone,
    "color": _matching("invalid_color", _COLOR, "six hexadecimal digits, as 1077B5"),
    "date": _date,
    "time": _time,
    "localtime": _local_time,
    "latitude": _degrees(90),
    "longitude": _degrees(180),
    "enum": _enum,
    "natural": _whole(0, _NATURAL, "a whole number from 0"),
    "positive": _whole(1, _INTEGER, "a whole number from 1"),
    "integer": _whole(None, _INTEGER, "a whole number"),
    "count": _count,
    "float": _float(None),
    "length": _float(0.0),
    "amount": _amount,
    "price": _amount,
    "currency": _currency,
}

REFERRED = frozenset(
    chain.from_iterable(one.refs for file in FILES.values() for one in file.fields.values())
) | {"stops.zone_id", "calendar_dates.service_id"}
"""The fields that others refer to, whose values are remembered."""
