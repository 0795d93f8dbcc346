"""What a clerk's forms hand in: files and archives as a tariff's text and tables, and amounts changed line by line."""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from hansa.fares import TariffSource
from hansa.kernel import InvalidInput, Problem

FILE_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of all files of a tariff, unpacked."""

FILES_MAX = 60

AMOUNTS_MAX = 600
"""Amounts on one form; a tariff with more of them has them in a table."""

SKELETON = """# Fares of {operator}. Every line that begins with # is a remark.
format = 1
operator = "{operator}"
city = "{city}"
name = "Fares of {operator}"
currency = "{currency}"
valid_from = {valid_from}
tz = "{tz}"
day_starts = "04:00"

[classes.adult]
percent = 100
[classes.child]
percent = 50
[classes.student]
percent = 100
[classes.senior]
percent = 50

[basis]
kind = "flat"
fare = "2.00"

[journey]
max_minutes = 180

[incomplete]
fare = "2.00"
counts = true
"""
"""What an operator without a tariff begins with: everybody pays the same."""


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount in the text that a clerk may change. place: where its figures stand in the line, from 0.

    label: the heading it stands under and its field, in words.
    """

    line: int
    place: int
    label: str
    field: str
    value: str


def _refuse(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("The files cannot be read.", problems=(Problem(where, what, remedy),))


def read_files(files: Iterable[tuple[str, bytes]], base: TariffSource | None) -> TariffSource:
    """The tariff that these files make: one TOML file and tables as CSV, each by itself or in zip archives.

    Files that a form sends with no name and no bytes are left out. base: stands for what is not handed in.
    Errors: InvalidInput with file and remedy.
    """
    toml: str | None = None
    tables: dict[str, str] = dict(base.tables) if base is not None else {}
    left = FILE_BYTES_MAX
    for name, body in _unpacked(files):
        left -= len(body)
        if left < 0:
            raise _refuse(name, f"all files are larger than {FILE_BYTES_MAX >> 20} MB", "Leave some out")
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _refuse(name, f"is not UTF-8: {error.reason}", "Save it as UTF-8") from error
        if name.lower().endswith(".toml"):
            if toml is not None:
                raise _refuse(name, "is a second TOML file", "Hand in one tariff at a time")
            toml = text
        elif name.lower().endswith(".csv"):
            tables[name] = text
        else:
            raise _refuse(name, "is neither TOML nor CSV nor zip", "Hand in tariff.toml and its tables")
    if toml is None:
        if base is None:
            raise _refuse("tariff.toml", "is missing", "Hand in a TOML file, or write the text into the form")
        toml = base.toml
    return TariffSource(toml, tables)


def _unpacked(files: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, bytes]]:
    """Files by their names without folders."""
    for count, (path, body) in enumerate(files):
        if count >= FILES_MAX:
            raise _refuse(path, f"there are more than {FILES_MAX} files", "Leave some out")
        name = _base_name(path)
        if not name and not body:
            continue
        if not name.lower().endswith(".zip"):
            yield name, body
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                inner = [one for one in archive.infolist() if _is_wanted(one)]
                if len(inner) > FILES_MAX or sum(one.file_size for one in inner) > FILE_BYTES_MAX:
                    raise _refuse(
                        name,
                        f"holds more than {FILES_MAX} files or {FILE_BYTES_MAX >> 20} MB",
                        "Leave some out",
                    )
                for one in inner:
                    with archive.open(one) as opened:
                        yield _base_name(one.filename), opened.read(FILE_BYTES_MAX + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
            raise _refuse(name, f"is no zip archive that can be read: {error}", "Pack it anew") from error


def _is_wanted(one: zipfile.ZipInfo) -> bool:
    name = _base_name(one.filename)
    hidden = name.startswith(".") or "__MACOSX" in one.filename
    return not one.is_dir() and not hidden and name.lower().endswith((".toml", ".csv"))


def _base_name(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


# -- amounts and days, line by line -------------------------------------------------------------------------

_HEADING = re.compile(r"\s*\[{1,2}\s*([^\]]+?)\s*\]{1,2}")
_AMOUNT = re.compile(r"(?:(?P<name>[A-Za-z0-9_/-]+)\s*=\s*)?\"(?P<value>\d{1,9}(?:\.\d{1,6})?)\"")
_FIELD = re.compile(r"\s*(\"[^\"]+\"|[A-Za-z0-9_-]+)\s*=")
_NO_AMOUNTS = frozenset(
    {
        "order",
        "zones",
        "from_zones",
        "to_zones",
        "unless_into",
        "inside",
        "at",
        "name",
        "step",
        "operator",
        "city",
        "rounding",
    }
)
_NEW_VALUE = re.compile(r"\d{1,9}(?:\.\d{1,6})?")


def amounts_of(toml: str) -> list[Amount]:
    """The amounts of a tariff in the order of the text, at most ``AMOUNTS_MAX``."""
    found: list[Amount] = []
    heading = name = ""
    lines = toml.splitlines()
    for number, line in enumerate(lines, start=1):
        if (match := _HEADING.match(line)) and not _FIELD.match(line):
            heading = match[1]
            name = _name_below(lines, number)
            continue
        field = _FIELD.match(line)
        if field is None or field[1].strip('"') in _NO_AMOUNTS:
            continue
        for match in _AMOUNT.finditer(_without_remark(line)):
            if len(found) >= AMOUNTS_MAX:
                return found
            inner = match["name"] or ""
            told = field[1].strip('"')
            if inner and inner != told:
                told = f"{told}, {inner}"
            found.append(Amount(number, match.start("value"), _label(heading, name), told, match["value"]))
    return found


_SAID = {
    "basis": "Fare",
    "basis.band": "Fare",
    "basis.span": "Fare",
    "basis.set": "Fare",
    "basis.beyond": "Each further stretch",
    "classes": "Class",
    "incomplete": "A tap is missing",
    "journey": "In and out at one stop",
}
"""Headings by other words than their own."""


def _label(heading: str, name: str) -> str:
    said = _SAID.get(heading) or heading.partition(".")[0].replace("_", " ").capitalize()
    if heading.startswith("classes."):
        said = heading.partition(".")[2].capitalize()
    return f"{said}: {name}" if name else said


def _name_below(lines: list[str], number: int) -> str:
    """What tells a rule from its like: its name, or its period, zones or stretch."""
    found: list[str] = []
    for line in lines[number:]:
        if _HEADING.match(line) and not _FIELD.match(line):
            break
        match = re.match(r"\s*(name|period|zones|up_to_\w+|every_\w+)\s*=\s*(.+?)\s*$", line)
        if match is None:
            continue
        value = re.sub(r"[\[\]\"]", "", _without_remark(match[2])).strip()
        if match[1] == "name":
            return value
        stretch, _, unit = match[1].rpartition("_")
        if stretch in ("up_to", "every") and value.isdigit():
            length = f"{int(value) / 1000:g} km" if unit == "m" else f"{value} {unit}"
            found.append(f"up to {length}" if stretch == "up_to" else length)
        else:
            found.append(f"zones {value}" if match[1] == "zones" else f"a {value}")
    return ", ".join(found)


def _without_remark(line: str) -> str:
    """The line up to a remark; a # within quotes is none."""
    quoted = False
    for place, letter in enumerate(line):
        if letter == '"':
            quoted = not quoted
        elif letter == "#" and not quoted:
            return line[:place]
    return line


def with_amounts(toml: str, wanted: Mapping[tuple[int, int], str]) -> str:
    """The text with other amounts. wanted: the new figures by line and place, as ``amounts_of`` tells them.

    Errors: InvalidInput for what is no amount.
    """
    known = {(one.line, one.place): one for one in amounts_of(toml)}
    lines = toml.splitlines(keepends=True)
    problems: list[Problem] = []
    for (line, place), text in sorted(wanted.items(), reverse=True):
        amount = known.get((line, place))
        if amount is None or amount.value == text:
            continue
        if not _NEW_VALUE.fullmatch(text):
            where = f"tariff.toml line {line}, field {amount.field}"
            problems.append(Problem(where, f"{text[:40]!r} is no amount", "Write it like 2.50"))
            continue
        written = lines[line - 1]
        lines[line - 1] = written[:place] + text + written[place + len(amount.value) :]
    if problems:
        raise InvalidInput("An amount cannot be read.", problems=tuple(reversed(problems)))
    return "".join(lines)


def raised(toml: str, percent: Decimal) -> dict[tuple[int, int], str]:
    """All amounts raised (or lowered, below zero) by so many percent, with as many decimals as they have, half up."""
    found: dict[tuple[int, int], str] = {}
    for one in amounts_of(toml):
        value = Decimal(one.value)
        step = Decimal(1).scaleb(int(value.as_tuple().exponent))
        found[one.line, one.place] = str(
            (value * (100 + percent) / 100).quantize(step, rounding="ROUND_HALF_UP")
        )
    return found


def with_first_day(toml: str, day: date) -> str:
    """The text with another ``valid_from``; unchanged where there is none."""
    return re.sub(
        r"(?m)^(\s*valid_from\s*=\s*)\d{4}-\d{2}-\d{2}",
        lambda match: f"{match[1]}{day.isoformat()}",
        toml,
        count=1,
    )
