"""Taps and journeys as docs/journeys.md writes them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from fares.cases import CLASSES, FLAT, HEAD
from hansa.fares import PairingRules, TariffSource, read_source
from hansa.kernel import fact_id
from hansa.rides.clocks import Corrected
from hansa.rides.model import Touch
from hansa.rides.pairing import Evidence, Paired, StatedEnd

PAGE = Path(__file__).parents[2] / "docs" / "journeys.md"
MIDNIGHT = datetime(2026, 11, 17, tzinfo=UTC)
_INCOMPLETE = '[incomplete]\nfare = "9.00"\n'
_TAP = re.compile(
    r"(?P<at>[\d:]+) (?P<verb>in|out|on|off|via) (?:(?P<product>tram) )?(?P<place>\w+)(?: at (?P<stop>\w+))?"
    r"(?: phone (?P<phone>\d))?(?: gate (?P<gate>\d))?(?: \+(?P<companion>\d))?"
    r"(?: came (?P<came>[\d:]+))?(?: really (?P<really>[\d:]+))?"
)
_STATED = re.compile(r"(?P<by>rider|operator) says (?P<stop>\w+) at (?P<at>[\d:]+), (?P<reason>.+)")
_ACTIONS = {"in": "entry", "out": "exit", "on": "board", "off": "exit", "via": "board"}


def clock(text: str) -> datetime:
    hours, minutes, *seconds = (int(part) for part in text.split(":"))
    return MIDNIGHT + timedelta(hours=hours, minutes=minutes, seconds=seconds[0] if seconds else 0)


def rules_of(block: str) -> PairingRules:
    """The pairing rules of a tariff in which this block stands."""
    top, *tables = re.split(r"(?=^\[)", block, flags=re.MULTILINE)
    text = "".join([HEAD, top, CLASSES, FLAT, _INCOMPLETE, *tables])
    return read_source(TariffSource(text, {})).pairing


@dataclass
class Row:
    """One row: taps with what else is known, and the journeys and notes that are to come of them."""

    taps: list[Touch] = field(default_factory=list[Touch])
    evidence: Evidence = field(default_factory=Evidence)
    journeys: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


def row_of(taps: str, journeys: str, notes: str) -> Row:
    row = Row(journeys=_parts(journeys), notes=_parts(notes, "<br>"))
    clocks, received, stated = (
        dict[UUID, Corrected](),
        dict[UUID, datetime](),
        dict[UUID, StatedEnd](),
    )
    for number, text in enumerate(_parts(taps), 1):
        if said := _STATED.fullmatch(text):
            tap = row.taps[-1]
            by = said["by"]
            assert by in ("rider", "operator")
            end = StatedEnd(tap.tap_id, said["stop"].lower(), clock(said["at"]), by, said["reason"])
            stated[tap.tap_id] = end
            continue
        match = _TAP.fullmatch(text)
        assert match is not None, text
        tap = _touch(match, number)
        row.taps.append(tap)
        if match["came"]:
            received[tap.tap_id] = clock(match["came"])
        if match["really"]:
            at = clock(match["really"])
            clocks[tap.tap_id] = Corrected(tap.tap_id, number, tap.tapped_at, at, "sequence", None, at)
    row.evidence = Evidence(clocks, stated, received)
    return row


def _touch(match: re.Match[str], number: int) -> Touch:
    at, verb = clock(match["at"]), match["verb"]
    on_board = verb in ("on", "off")
    stop = match["stop"] if on_board else match["place"]
    line = match["place"] if on_board else None
    action = _ACTIONS[verb]
    assert action in ("entry", "exit", "board")
    gate_id = f"{(stop or line or '').lower()}/{action}{match['gate'] or ''}"
    if on_board and not match["gate"]:
        gate_id = f"line {line}/{action}"
    return Touch(
        fact_id(at, gate_id, number),
        gate_id,
        number,
        action,
        stop.lower() if stop else None,
        line,
        match["product"] or ("bus" if on_board else "metro"),
        at,
        f"phone 0{match['phone'] or 1}".encode(),
        "adult",
        int(match["companion"] or 0),
    )


def _parts(cell: str, between: str = ";") -> list[str]:
    return [part.strip() for part in cell.split(between) if part.strip()]


def told(paired: Sequence[Paired]) -> tuple[list[str], list[str]]:
    """Journeys and notes as the page writes them."""
    journeys: list[str] = []
    for one in (each.journey for each in paired):
        at = one.started_at.strftime("%H:%M:%S").removesuffix(":00")
        ends = [(stop or "?").upper() for stop in (one.origin, one.destination)]
        journeys.append(f"{at} on {one.line_id}" if one.kind == "boarding" else f"{at} {' to '.join(ends)}")
    return journeys, [note.text for each in paired for note in each.notes]


def sections() -> list[tuple[str, PairingRules, list[Row]]]:
    """The tables of the page, each with its heading and the rules above it."""
    found: list[tuple[str, PairingRules, list[Row]]] = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        heading, _, rest = section.partition("\n")
        block = rest.split("```toml\n")[1].split("```")[0]
        rest = rest.split("\n### ")[0] if "\n### " in rest else rest
        cells = [line.strip("|").split("|") for line in rest.splitlines() if line.startswith("|")]
        rows = [row_of(*(cell.strip() for cell in line)) for line in cells[2:]]
        found.append((heading, rules_of(block), rows))
    return found


def clock_rows() -> list[tuple[str, str, str, str]]:
    """The table of clocks: by the gate, by codes, when the taps came, what is corrected."""
    section = PAGE.read_text(encoding="utf-8").split("\n### ")[1].split("\n## ")[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [(*(cell.strip() for cell in line),) for line in cells[2:]]  # type: ignore[misc]
