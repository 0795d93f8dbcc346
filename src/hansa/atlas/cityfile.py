"""A city in Hansa's own format: a folder with city.toml, stops.csv and lines.csv. docs/cities.md shows it."""

import re
import tomllib
from collections.abc import Mapping
from datetime import time
from importlib.resources import files
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hansa.atlas.model import MODES, Call, City, CityFile, Line, Mode, Operator, Stop
from hansa.atlas.tables import Problems, Row, decode, read_table, shown
from hansa.kernel import CURRENCY_EXPONENTS, InvalidInput, Problem

FILE_MAX = 20_000_000
HOP_MAX_M = 200_000

_CITY_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PLACE_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*")
_COUNTRY = re.compile(r"[A-Z]{2}")

_CITY_FIELDS = (
    "city_id",
    "name",
    "local_name",
    "country",
    "tz",
    "currency",
    "day_starts",
    "character",
)
_STOP_COLUMNS = ("stop_id", "name", "local_name", "lat", "lon", "zone")
_LINE_COLUMNS = (
    "line_id",
    "line_name",
    "mode",
    "color",
    "loop",
    "sequence",
    "stop_id",
    "distance_from_previous_m",
)


def city_folder(city_id: str) -> Path:
    """The folder of a city that comes with Hansa. Errors: InvalidInput when none of this name does."""
    home = cities_home()
    folder = home / city_id
    if not _CITY_ID.fullmatch(city_id) or not (folder / "city.toml").is_file():
        known = ", ".join(sorted(path.parent.name for path in home.glob("*/city.toml")))
        raise InvalidInput(
            "No such city comes with Hansa.",
            problems=(Problem("city_id", f"{shown(city_id)} is unknown", f"Name one of: {known}"),),
        )
    return folder


def cities_home() -> Path:
    """The folder with the cities that come with Hansa."""
    return Path(str(files("hansa.atlas"))) / "cities"


def read_city_facts(folder: Path) -> City:
    """The city that a folder's city.toml states, without its network; for a network that comes as GTFS.

    Errors: InvalidInput naming every problem.
    """
    return read_city_toml(folder)[0]


def read_city_toml(folder: Path) -> tuple[City, tuple[Operator, ...]]:
    """The city and its operators as city.toml states them. Errors: InvalidInput naming every problem."""
    problems = Problems()
    read = _read_toml(folder, problems)
    problems.refuse_if_any(str(folder))
    assert read is not None, "no problem was noted, so there is a city"
    return read


def read_city(folder: Path) -> CityFile:
    """A city's folder, read and checked whole.

    Errors: InvalidInput naming every problem found, each with file, line, field and remedy.
    """
    problems = Problems()
    read = _read_toml(folder, problems)
    if read is None:
        problems.refuse(str(folder))
    city, operators = read
    stops = _read_stops(folder, city, problems)
    lines = _read_lines(folder, city, operators, stops, problems)
    problems.refuse_if_any(str(folder))
    return CityFile(city, operators, tuple(stops.values()), tuple(lines))


def _read_file(folder: Path, name: str, problems: Problems) -> bytes | None:
    path = folder / name
    if not path.is_file():
        problems.add(name, "the file is missing", f"Put {name} into {folder}")
        return None
    if path.stat().st_size > FILE_MAX:
        problems.add(name, f"it has more than {FILE_MAX} bytes", "A city's network is smaller than that")
        return None
    return path.read_bytes()


def _read_toml(folder: Path, problems: Problems) -> tuple[City, tuple[Operator, ...]] | None:
    name = "city.toml"
    content = _read_file(folder, name, problems)
    text = decode(name, content, problems) if content is not None else None
    if text is None:
        return None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        problems.add(
            f"{name} line {line[1]}" if line else name, f"it is not TOML ({error})", "Mend that line"
        )
        return None
    facts = _Facts(raw, name, text, problems)
    for key in raw:
        if key not in (*_CITY_FIELDS, "operator"):
            problems.add(
                facts.where(key),
                "no such field is known",
                f"Take it out; known are {', '.join(_CITY_FIELDS)}",
            )
    city_id = facts.text("city_id", 60)
    if city_id and not _CITY_ID.fullmatch(city_id):
        problems.add(facts.where("city_id"), f"{shown(city_id)} has another form", "Write it as hong-kong")
    country = facts.text("country", 2)
    if country and not _COUNTRY.fullmatch(country):
        problems.add(facts.where("country"), f"{shown(country)} is no country", "Write ISO 3166-1, as JP")
    tz = facts.text("tz", 60)
    if tz and not is_time_zone(tz):
        problems.add(facts.where("tz"), f"{shown(tz)} is no time zone", "Write an IANA name, as Asia/Tokyo")
    currency = facts.text("currency", 3)
    if currency and currency not in CURRENCY_EXPONENTS:
        problems.add(facts.where("currency"), f"{shown(currency)} is no currency", "Write ISO 4217, as JPY")
    starts = raw.get("day_starts")
    if not isinstance(starts, time):
        problems.add(facts.where("day_starts"), "it is not a time", "Write it without quotes, as 04:30:00")
    before = len(problems.found)
    city = City(
        city_id,
        facts.text("name", 100),
        facts.text("local_name", 100),
        country,
        tz,
        currency,
        starts if isinstance(starts, time) else time(),
        facts.text("character", 300),
    )
    operators = _read_operators(raw, problems)
    return (city, operators) if before == len(problems.found) else None


def is_time_zone(name: str) -> bool:
    """Whether this is a time zone by its IANA name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


class _Facts:
    """The fields of a TOML table; a field that does not fit is noted and comes out empty."""

    def __init__(self, raw: Mapping[str, object], file: str, text: str, problems: Problems) -> None:
        self.raw, self.file, self.text_of_file, self.problems = raw, file, text, problems

    def where(self, key: str) -> str:
        match = re.search(rf"^\s*{re.escape(key)}\s*=", self.text_of_file, re.MULTILINE)
        line = self.text_of_file.count("\n", 0, match.start()) + 1 if match else 1
        return f"{self.file} line {line}, field {key}"

    def text(self, key: str, max_length: int) -> str:
        value = self.raw.get(key)
        if not isinstance(value, str) or not value.strip():
            self.problems.add(self.where(key), "it is missing or not text", f'Write {key} = "..."')
            return ""
        if len(value) > max_length or not value.isprintable():
            self.problems.add(
                self.where(key),
                "it is too long or holds control characters",
                f"Keep to {max_length} plain letters",
            )
            return ""
        return value


def _read_operators(raw: Mapping[str, object], problems: Problems) -> tuple[Operator, ...]:
    tables = raw.get("operator")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        problems.add(
            "city.toml", "it names no operator", "Add a table [[operator]] with operator_id and name"
        )
        return ()
    found: list[Operator] = []
    for number, table in enumerate(cast("list[dict[str, object]]", tables), 1):
        place = f"city.toml, operator {number}"
        values = {key: table.get(key) for key in ("operator_id", "name", "local_name")}
        for key in table:
            if key not in values:
                problems.add(
                    f"{place}, field {key}", "no such field is known", f"Known are {', '.join(values)}"
                )
        texts: dict[str, str] = {}
        for key, value in values.items():
            if not isinstance(value, str) or not value or len(value) > 100 or not value.isprintable():
                problems.add(f"{place}, field {key}", "it is missing or not text", f'Write {key} = "..."')
            else:
                texts[key] = value
        if len(texts) < len(values):
            continue
        if not _CITY_ID.fullmatch(texts["operator_id"]):
            problems.add(f"{place}, field operator_id", "it has another form", "Write it as hong-kong-mtr")
        if texts["operator_id"] in [operator.operator_id for operator in found]:
            problems.add(f"{place}, field operator_id", "it is there twice", "Name each operator once")
        found.append(Operator(texts["operator_id"], texts["name"], texts["local_name"]))
    return tuple(found)


def _read_stops(folder: Path, city: City, problems: Problems) -> dict[str, Stop]:
    name = "stops.csv"
    content = _read_file(folder, name, problems)
    stops: dict[str, Stop] = {}
    first_seen: dict[str, int] = {}
    if content is None:
        return stops
    for row in read_table(name, content, problems, required=_STOP_COLUMNS, optional=("code",), closed=True):
        stop_id = _place_id(row, "stop_id", city)
        lat, lon = row.degrees("lat", most=90), row.degrees("lon", most=180)
        if bool(row.raw("lat")) != bool(row.raw("lon")):
            row.wrong(
                "lon" if row.raw("lat") else "lat", "one of lat and lon is empty", "Give both or neither"
            )
        label, local = row.text("name"), row.text("local_name")
        zone, code = row.optional("zone", max_length=20), row.optional("code", max_length=40)
        if stop_id is None:
            continue
        if stop_id in stops:
            row.wrong("stop_id", f"{stop_id} stands on line {first_seen[stop_id]} too", "List each stop once")
            continue
        first_seen[stop_id] = row.line
        stops[stop_id] = Stop(stop_id, city.city_id, label or "", local or "", lat, lon, zone, code)
    if not stops and not problems.found:
        problems.add(name, "it lists no stop", "Add the city's stops")
    return stops


def _place_id(row: Row, field_name: str, city: City) -> str | None:
    value = row.matching(field_name, _PLACE_ID, f"{city.city_id}/lower-case-words")
    if value is not None and not value.startswith(f"{city.city_id}/"):
        row.wrong(field_name, f"{value} belongs to another city", f"Begin it with {city.city_id}/")
        return None
    return value


def _read_lines(
    folder: Path,
    city: City,
    operators: tuple[Operator, ...],
    stops: Mapping[str, Stop],
    problems: Problems,
) -> list[Line]:
    name = "lines.csv"
    content = _read_file(folder, name, problems)
    if content is None:
        return []
    columns = _LINE_COLUMNS if len(operators) < 2 else (*_LINE_COLUMNS, "operator_id")
    table = read_table(
        name, content, problems, required=columns, optional=("own_fare", "operator_id"), closed=True
    )
    by_line: dict[str, list[Row]] = {}
    for row in table:
        line_id = _place_id(row, "line_id", city)
        if line_id is not None:
            by_line.setdefault(line_id, []).append(row)
    lines = [_line(line_id, rows, city, operators, stops) for line_id, rows in by_line.items()]
    if not by_line and not problems.found:
        problems.add(name, "it lists no line", "Add the city's lines")
    served = {call.stop_id for line in lines for call in line.stops}
    if lines and not problems.found:
        for stop_id in stops:
            if stop_id not in served:
                problems.add("stops.csv", f"no line calls at {stop_id}", "Add it to a line, or take it out")
    return lines


def _line(
    line_id: str,
    rows: list[Row],
    city: City,
    operators: tuple[Operator, ...],
    stops: Mapping[str, Stop],
) -> Line:
    first = rows[0]
    loop = first.choice("loop", ("yes", "no")) == "yes"
    known = [operator.operator_id for operator in operators] or [""]
    operator_id = first.choice("operator_id", known, default=known[0] if len(known) == 1 else None)
    for row in rows[1:]:
        for same in ("line_name", "mode", "color", "loop", "own_fare", "operator_id"):
            if row.raw(same) != first.raw(same):
                row.wrong(
                    same,
                    f"{shown(row.raw(same))} differs from {shown(first.raw(same))} on line {first.line}",
                    "Write the same on every line of this line_id",
                )
    calls: list[Call] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        sequence = row.whole("sequence", least=1, most=10_000)
        if sequence is not None and sequence != number:
            row.wrong("sequence", f"it is {sequence}, the stop before was {number - 1}", f"Write {number}")
        stop_id = row.text("stop_id")
        if stop_id is not None and stop_id not in stops:
            row.wrong("stop_id", f"stops.csv has no {shown(stop_id)}", "Add it there, or mend the name here")
        if stop_id in seen:
            row.wrong(
                "stop_id", f"the line called there on line {seen[stop_id]}", "List a stop once for each line"
            )
        least, most = (1, HOP_MAX_M) if number > 1 or loop else (0, 0)
        metres = row.whole("distance_from_previous_m", least=least, most=most)
        seen[stop_id or ""] = row.line
        calls.append(Call(stop_id or "", metres or 0))
    if len(rows) < (3 if loop else 2):
        first.wrong("sequence", f"the line has {len(rows)} stops", "Give a line two stops, a loop three")
    return Line(
        line_id,
        city.city_id,
        operator_id or "",
        first.text("line_name") or "",
        cast("Mode", first.choice("mode", MODES) or "metro"),
        first.color("color") or "",
        tuple(calls),
        loop,
        first.choice("own_fare", ("yes", "no"), default="no") == "yes",
    )
