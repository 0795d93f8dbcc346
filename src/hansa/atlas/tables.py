"""Reading tables that others wrote: every fault is noted with file, line, field and remedy; none stops the reading."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from hansa.kernel import InvalidInput, Problem

PROBLEMS_MAX = 1_000
"""A table whose every line is wrong is told by its first thousand faults."""

FIELD_MAX = 2_000
_WHOLE = re.compile(r"[0-9]{1,12}")
_COLOR = re.compile(r"#?([0-9A-Fa-f]{6})")


@dataclass(slots=True)
class Problems:
    """What was found wrong so far."""

    found: list[Problem] = field(default_factory=list[Problem])
    left_out: int = 0

    def add(self, where: str, what: str, remedy: str) -> None:
        if len(self.found) < PROBLEMS_MAX:
            self.found.append(Problem(where, what, remedy))
        else:
            self.left_out += 1

    def refuse(self, what: str) -> NoReturn:
        found = list(self.found)
        if self.left_out:
            found.append(
                Problem(
                    "the rest",
                    f"{self.left_out} more problems are not listed",
                    "Mend these and read it again",
                )
            )
        count = len(self.found) + self.left_out
        raise InvalidInput(
            f"{what} has {count} problem{'s' if count != 1 else ''}; nothing was imported.",
            problems=tuple(found),
        )

    def refuse_if_any(self, what: str) -> None:
        """Errors: InvalidInput with every problem found, when there is one."""
        if self.found:
            self.refuse(what)


@dataclass(slots=True)
class Row:
    """One line of a table; each method gives a field's value, or notes what is wrong with it and gives None."""

    file: str
    line: int
    values: dict[str, str]
    problems: Problems

    def where(self, name: str) -> str:
        return f"{self.file} line {self.line}, field {name}"

    def wrong(self, name: str, what: str, remedy: str) -> None:
        self.problems.add(self.where(name), what, remedy)

    def raw(self, name: str) -> str:
        return self.values.get(name, "")

    def text(self, name: str, *, max_length: int = 200) -> str | None:
        """Text that must be there."""
        value = self.raw(name)
        if not value:
            self.wrong(name, "it is empty", "Fill it in")
            return None
        return self._clean(name, value, max_length)

    def optional(self, name: str, *, max_length: int = 200) -> str | None:
        """Text that may be missing; None where it is."""
        value = self.raw(name)
        return self._clean(name, value, max_length) if value else None

    def matching(self, name: str, pattern: re.Pattern[str], form: str) -> str | None:
        value = self.text(name)
        if value is not None and not pattern.fullmatch(value):
            self.wrong(name, f"{shown(value)} has another form", f"Write it as {form}")
            return None
        return value

    def whole(
        self, name: str, *, least: int = 0, most: int = 10**9, default: int | None = None
    ) -> int | None:
        """A whole number; the default where it is empty."""
        value = self.raw(name)
        if not value and default is not None:
            return default
        if not _WHOLE.fullmatch(value) or not least <= int(value) <= most:
            what = f"{shown(value)} is not a whole number" if value else "it is empty"
            if _WHOLE.fullmatch(value):
                what = f"{value} is out of range"
            self.wrong(name, what, f"Write a whole number from {least} to {most}")
            return None
        return int(value)

    def degrees(self, name: str, *, most: int) -> float | None:
        """A latitude or longitude in degrees, within ± most; None where it is empty."""
        value = self.raw(name)
        if not value:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or abs(number) > most:
            self.wrong(
                name, f"{shown(value)} is not degrees", f"Write decimal degrees from -{most} to {most}"
            )
            return None
        return float(number)

    def choice(self, name: str, options: Sequence[str], *, default: str | None = None) -> str | None:
        value = self.raw(name) or default or ""
        if value not in options:
            what = f"{shown(value)} is none of them" if value else "it is empty"
            self.wrong(name, what, f"Write one of: {', '.join(options)}")
            return None
        return value

    def color(self, name: str, *, default: str | None = None) -> str | None:
        value = self.raw(name)
        if not value and default is not None:
            return default
        match = _COLOR.fullmatch(value)
        if match is None:
            self.wrong(name, f"{shown(value)} is not a colour", "Write six hexadecimal digits, as #1077B5")
            return None
        return f"#{match[1].upper()}"

    def _clean(self, name: str, value: str, max_length: int) -> str | None:
        if len(value) > max_length:
            self.wrong(name, f"it has {len(value)} characters", f"Keep it to {max_length}")
            return None
        if not value.isprintable():
            self.wrong(name, f"{shown(value)} holds control characters", "Take them out")
            return None
        return value


def shown(value: str) -> str:
    """A value as a problem quotes it: short, and with nothing that could disturb a terminal."""
    return (
        ascii(value) if not value.isprintable() else repr(value if len(value) <= 60 else f"{value[:57]}...")
    )


def decode(file: str, content: bytes, problems: Problems) -> str | None:
    """The text of a file in UTF-8, with or without a byte order mark; a problem is noted where it is not."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add(
            f"{file} line {line}",
            f"the byte 0x{content[error.start]:02x} is not UTF-8",
            "Save the file as UTF-8",
        )
        return None
    return text


def read_table(
    file: str,
    content: bytes,
    problems: Problems,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    closed: bool = False,
    rows_max: int = 1_000_000,
) -> Iterator[Row]:
    """The rows of a CSV file with a header (RFC 4180), blanks around values taken off.

    required, optional: the columns. closed: a column of another name is a problem (else it is passed over).
    A line with more or fewer fields than the header is noted and left out.
    """
    text = decode(file, content, problems)
    if text is None:
        return
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        problems.add(
            f"{file} line {line}", "it holds a NUL character", "Save the file as plain text in UTF-8"
        )
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line, count = 0, 0
    try:
        for cells in reader:
            first_line, line = line + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                if not _header_fits(file, header, problems, required, optional, closed=closed):
                    return
                continue
            count += 1
            if count > rows_max:
                problems.add(
                    f"{file} line {first_line}", f"there are more than {rows_max} rows", "Split the feed"
                )
                return
            if len(cells) != len(header):
                problems.add(
                    f"{file} line {first_line}",
                    f"it has {len(cells)} fields, the header {len(header)}",
                    "Give every line as many fields as the header",
                )
                continue
            yield Row(file, first_line, dict(zip(header, map(str.strip, cells), strict=True)), problems)
    except csv.Error as error:
        problems.add(
            f"{file} line {line + 1}",
            f"it is not CSV ({error})",
            "Close every quote and double quotes inside",
        )
        return
    if header is None:
        problems.add(file, "it is empty", f"Begin it with the header {','.join(required)}")


def _header_fits(
    file: str,
    header: Sequence[str],
    problems: Problems,
    required: Sequence[str],
    optional: Sequence[str],
    *,
    closed: bool,
) -> bool:
    before = len(problems.found)
    for name in required:
        if name not in header:
            problems.add(f"{file} line 1, field {name}", "the column is missing", f"Add the column {name}")
    for name in sorted({name for name in header if header.count(name) > 1}):
        problems.add(f"{file} line 1, field {shown(name)}", "the column is there twice", "Keep one of them")
    if closed:
        known = (*required, *optional)
        for name in header:
            if name not in known:
                problems.add(
                    f"{file} line 1, field {shown(name)}",
                    "no such column is known",
                    f"Take it out; known are {', '.join(known)}",
                )
    return len(problems.found) == before
