"""What was found wrong with a feed: notices counted by code, a bounded number of each kept, told in five ways.

Codes and severities are those of the canonical GTFS validator wherever the same thing is meant
(MobilityData, https://gtfs-validator.mobilitydata.org/rules.html); docs/gtfs.md lists where ours differ.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from hansa.kernel import InvalidInput, Problem, cell_text

Severity = Literal["ERROR", "WARNING", "INFO"]
SEVERITIES: tuple[Severity, ...] = ("ERROR", "WARNING", "INFO")

ERRORS_KEPT_MAX = 1_000
"""Errors of a feed that are kept in full; all are counted."""

NOTICES_KEPT_MAX = 50
"""Warnings and notes kept of each code; all are counted."""


class Notice(NamedTuple):
    """One thing found in a feed.

    file: a file of the feed, or the feed's own name. row: the line of the file, from 1, the header's; None where
    the file as a whole is meant. value: what stands there, shortened and safe to show.
    """

    code: str
    severity: Severity
    file: str
    row: int | None
    field: str | None
    value: str | None
    message: str
    remedy: str

    @property
    def where(self) -> str:
        """The place, as ``stops.txt line 3, field stop_lat``."""
        line = "" if self.row is None else f" line {self.row}"
        return f"{self.file}{line}" + (f", field {self.field}" if self.field else "")


class Group(NamedTuple):
    """All notices of one code: how many there are, and the first of them."""

    code: str
    severity: Severity
    total: int
    notices: tuple[Notice, ...]


class ReportPage(NamedTuple):
    """A report as a page shows it. verdict: one sentence. files: (file, rows read)."""

    title: str
    verdict: str
    counts: tuple[tuple[Severity, int], ...]
    files: tuple[tuple[str, int], ...]
    groups: tuple[Group, ...]

    def among(self, *, severity: str = "", file: str = "", code: str = "") -> tuple[Group, ...]:
        """The kept notices of a severity, a file and a code; an empty one is any. Groups without any are left out."""
        return tuple(
            group._replace(notices=found)
            for group in self.groups
            if severity in ("", group.severity)
            and code in ("", group.code)
            and (found := tuple(one for one in group.notices if file in ("", one.file)))
        )

    def as_json(self) -> bytes:
        """The report as JSON, in the form of the canonical validator's ``report.json``, with our remedies."""
        notices = [
            {
                "code": group.code,
                "severity": group.severity,
                "totalNotices": group.total,
                "sampleNotices": [
                    {
                        "filename": notice.file,
                        "csvRowNumber": notice.row,
                        "fieldName": notice.field,
                        "fieldValue": notice.value,
                        "message": notice.message,
                        "remedy": notice.remedy,
                    }
                    for notice in group.notices
                ],
            }
            for group in self.groups
        ]
        files = [{"filename": name, "rows": rows} for name, rows in self.files]
        summary = {"feed": self.title, "verdict": self.verdict, "counts": dict(self.counts), "files": files}
        return msgspec.json.format(msgspec.json.encode({"summary": summary, "notices": notices}), indent=2)

    def as_csv(self) -> str:
        """One row for each kept notice: code, severity, file, line, field, value, what is wrong, remedy."""
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\r\n")
        writer.writerow(["code", "severity", "file", "line", "field", "value", "message", "remedy"])
        for group in self.groups:
            writer.writerows([_cell(value) for value in notice] for notice in group.notices)
        return table.getvalue()


@dataclass(slots=True)
class Report:
    """What was found in a feed so far. label: the feed's name. rows: how many rows each file was found to have."""

    label: str
    rows: dict[str, int] = field(default_factory=dict[str, int])
    _totals: dict[tuple[Severity, str], int] = field(default_factory=dict[tuple[Severity, str], int])
    _kept: dict[tuple[Severity, str], list[Notice]] = field(
        default_factory=dict[tuple[Severity, str], list[Notice]]
    )
    _errors: list[Notice] = field(default_factory=list[Notice])

    def add(
        self,
        code: str,
        severity: Severity,
        file: str,
        message: str,
        remedy: str,
        *,
        row: int | None = None,
        name: str | None = None,
        value: str | None = None,
    ) -> None:
        """Note one thing. name: the field. value: as it stands in the file; shortened here."""
        key = (severity, code)
        self._totals[key] = self._totals.get(key, 0) + 1
        kept = self._kept.setdefault(key, [])
        if len(kept) >= NOTICES_KEPT_MAX and (severity != "ERROR" or len(self._errors) >= ERRORS_KEPT_MAX):
            return
        safe = None if value is None else printable(value)
        notice = Notice(code, severity, file, row, name, safe, message, remedy)
        if len(kept) < NOTICES_KEPT_MAX:
            kept.append(notice)
        if severity == "ERROR" and len(self._errors) < ERRORS_KEPT_MAX:
            self._errors.append(notice)

    @property
    def groups(self) -> tuple[Group, ...]:
        """By severity, the gravest first, then by code."""
        keys = sorted(self._totals, key=lambda key: (SEVERITIES.index(key[0]), key[1]))
        return tuple(
            Group(code, severity, self._totals[severity, code], tuple(self._kept[severity, code]))
            for severity, code in keys
        )

    @property
    def errors(self) -> tuple[Notice, ...]:
        """The errors in the order in which they were found; the first thousand of them."""
        return tuple(self._errors)

    def count(self, severity: Severity, code: str | None = None) -> int:
        """How many notices of a severity there are, of one code or of all."""
        return sum(
            total for (one, named), total in self._totals.items() if one == severity and code in (None, named)
        )

    @property
    def ok(self) -> bool:
        """Whether the feed may be imported: it has no error."""
        return not self._errors

    @property
    def verdict(self) -> str:
        errors, warnings, notes = (self.count(severity) for severity in SEVERITIES)
        if errors:
            return f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}: refused; nothing is priced by it."
        return f"No error, {_counted(warnings, 'warning')}, {_counted(notes, 'note')}: it may be imported."

    def refuse_if_bad(self) -> None:
        """Errors: InvalidInput with every error that was kept, when there is one."""
        if self.ok:
            return
        count = self.count("ERROR")
        problems = [Problem(notice.where, notice.message, notice.remedy) for notice in self._errors]
        if count > len(problems):
            left = f"{count - len(problems)} more problems are not listed"
            problems.append(Problem("the rest", left, "Mend these and read it again"))
        raise InvalidInput(
            f"{self.label} has {_counted(count, 'problem')}; nothing was imported.", problems=tuple(problems)
        )

    def page(self) -> ReportPage:
        """The report as a page shows it."""
        counts: list[tuple[Severity, int]] = [(severity, self.count(severity)) for severity in SEVERITIES]
        return ReportPage(self.label, self.verdict, tuple(counts), tuple(self.rows.items()), self.groups)

    def as_json(self) -> bytes:
        """The report as JSON, in the form of the canonical validator's ``report.json``, with our remedies."""
        return self.page().as_json()

    def as_text(self, *, shown_max: int = 10) -> str:
        """The report as a table in plain text, with the first notices of each code."""
        lines = [f"{self.label}: {self.verdict}"]
        for group in self.groups:
            lines += ["", f"{group.severity}  {group.code}  ({group.total})"]
            rows = [
                (
                    notice.file,
                    _or(notice.row),
                    _or(notice.field),
                    _or(notice.value),
                    notice.message,
                    notice.remedy,
                )
                for notice in group.notices[:shown_max]
            ]
            lines += _table(("file", "line", "field", "value", "what is wrong", "remedy"), rows)
            if group.total > len(rows):
                lines.append(f"  ... and {group.total - len(rows)} more")
        return "\n".join(lines) + "\n"


def _cell(value: str | int | None) -> str | int:
    """A cell that no table program takes for a formula: a feed's words are anybody's."""
    return cell_text(value) if isinstance(value, str) else "" if value is None else value


def printable(value: str) -> str:
    """A value as a report shows it: short, and with nothing that could disturb a terminal."""
    short = value if len(value) <= 60 else f"{value[:57]}..."
    return short if short.isprintable() else ascii(short)[1:-1]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _or(value: object) -> str:
    return "" if value is None else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        ("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in (head, *rows)
    ]
