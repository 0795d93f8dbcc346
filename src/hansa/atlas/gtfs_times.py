"""Stop times: the largest table of a feed, checked trip by trip in memory that does not grow with its rows.

Each row is put down as six whole numbers of 32 bits. What does not fit into ``ROWS_KEPT_MAX`` rows is laid into files
without a name, by trip, and each of these is then worked on by itself; so a country's timetable takes disk and time.
"""

import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hansa.atlas.gtfs_table import seconds_of
from hansa.atlas.report import Report
from hansa.atlas.tables import shown

ROWS_KEPT_MAX = 1_000_000
"""Rows held in memory before they are laid aside: 24 million bytes."""

SEQUENCE_MAX = 2_000_000_000
_PARTS = 64
_WIDTH = 6
_NONE = -1
_NAME = "stop_times.txt"

_Rows = NDArray[np.int32]


class Pattern(NamedTuple):
    """An order in which trips call at stations, as their numbers."""

    route: int
    direction: int
    shape: int
    stations: tuple[int, ...]


@dataclass(slots=True)
class TripTable:
    """The trips by number: their route, direction and shape as numbers, -1 for none, and their line in trips.txt."""

    ids: dict[str, int] = field(default_factory=dict[str, int])
    route: "array[int]" = field(default_factory=lambda: array("i"))
    direction: "array[int]" = field(default_factory=lambda: array("b"))
    shape: "array[int]" = field(default_factory=lambda: array("i"))
    line: "array[int]" = field(default_factory=lambda: array("i"))

    def add(self, trip_id: str, *, route: int, direction: int, shape: int, line: int) -> None:
        self.ids[trip_id] = len(self.ids)
        self.route.append(route)
        self.direction.append(direction)
        self.shape.append(shape)
        self.line.append(line)


@dataclass(slots=True)
class StopTable:
    """The stops by number, the number of each one's station, and whether trips may call there."""

    ids: dict[str, int] = field(default_factory=dict[str, int])
    station: list[int] = field(default_factory=list[int])
    callable: list[bool] = field(default_factory=list[bool])
    name: list[str] = field(default_factory=list[str])


class Spilled:
    """Rows of whole numbers that keep to a bound in memory, given back part by part, a trip whole in one part."""

    def __init__(self, kept_max: int) -> None:
        self._kept = array("i")
        self._max = kept_max * _WIDTH
        self._files: list[IO[bytes]] = []
        self._stack = ExitStack()

    def add(self, trip: int, sequence: int, stop: int, line: int, arrival: int, departure: int) -> None:
        self._kept.extend((trip, sequence, stop, line, arrival, departure))
        if len(self._kept) >= self._max:
            self._lay_aside()

    def parts(self) -> Iterator[_Rows]:
        """All rows, those of a trip together, the trips in the order of their number within a part."""
        if not self._files:
            yield _ordered(np.frombuffer(self._kept, np.int32).reshape(-1, _WIDTH))
            return
        self._lay_aside()
        for file in self._files:
            file.seek(0)
            yield _ordered(np.frombuffer(file.read(), np.int32).reshape(-1, _WIDTH))
            file.close()

    def close(self) -> None:
        self._stack.close()

    def _lay_aside(self) -> None:
        if not self._files:
            self._files = [self._stack.enter_context(tempfile.TemporaryFile()) for _ in range(_PARTS)]  # noqa: SIM115 - the stack is it
        rows = np.frombuffer(self._kept, np.int32).reshape(-1, _WIDTH)
        part_of = rows[:, 0] % _PARTS
        for part, file in enumerate(self._files):
            file.write(rows[part_of == part].tobytes())
        del rows
        self._kept = array("i")


def read_times(
    header: Sequence[str],
    records: Iterator[tuple[int, list[str]]],
    report: Report,
    trips: TripTable,
    stops: StopTable,
) -> tuple[dict[Pattern, int], frozenset[int]]:
    """The patterns of all trips with how many trips follow each, and the stops that are called at, by number.

    Errors and warnings about single rows, and about the order of a trip's calls, are noted.
    """
    spilled = Spilled(ROWS_KEPT_MAX)
    try:
        called = _read(header, records, report, trips, stops, spilled.add)
        patterns: dict[Pattern, int] = {}
        met = np.zeros(len(trips.ids), np.bool_)
        names = list(trips.ids)
        for rows in spilled.parts():
            if len(rows):
                _check_order(rows, report, names)
                _count_patterns(rows, trips, stops, patterns, met, report, names)
        for trip in np.flatnonzero(~met).tolist():
            what = f"{shown(names[trip])} has no rows in {_NAME}"
            line, remedy = trips.line[trip], "Give it two or more, or take it out"
            report.add(
                "unused_trip",
                "WARNING",
                "trips.txt",
                what,
                remedy,
                row=line,
                name="trip_id",
                value=names[trip],
            )
        return patterns, called
    finally:
        spilled.close()


def _read(
    header: Sequence[str],
    records: Iterator[tuple[int, list[str]]],
    report: Report,
    trips: TripTable,
    stops: StopTable,
    put: Callable[[int, int, int, int, int, int], None],
) -> frozenset[int]:
    at = {name: place for place, name in enumerate(header)}
    trip_at, sequence_at = at["trip_id"], at["stop_sequence"]
    stop_at, arrival_at, departure_at = (at.get(n) for n in ("stop_id", "arrival_time", "departure_time"))
    places = [at[name] for name in ("location_group_id", "location_id") if name in at]
    windows = [
        at[name] for name in ("start_pickup_drop_off_window", "end_pickup_drop_off_window") if name in at
    ]
    trip_of, stop_of, can_call = trips.ids.get, stops.ids.get, stops.callable
    called: set[int] = set()
    count = 0
    for line, cells in records:
        count += 1
        trip, stop_id = trip_of(cells[trip_at]), cells[stop_at] if stop_at is not None else ""
        stop = stop_of(stop_id, _NONE)
        arrival = _moment(cells, arrival_at, line, "arrival_time", report)
        departure = _moment(cells, departure_at, line, "departure_time", report)
        text = cells[sequence_at]
        sequence = int(text) if text.isascii() and text.isdigit() and len(text) < 11 else SEQUENCE_MAX + 1
        if trip is None:
            _unknown(report, line, "trip_id", cells[trip_at], "trips.txt")
        if stop == _NONE:
            if not stop_id and any(cells[place] for place in places):
                continue  # on demand, without a stop: no line is drawn by it
            _unknown(report, line, "stop_id", stop_id, "stops.txt")
        elif can_call[stop]:
            called.add(stop)
        else:
            what, remedy = f"{shown(stop_id)} is not a stop or platform", "Name one with location_type 0"
            _wrong(report, "location_with_unexpected_stop_time", line, "stop_id", stop_id, what, remedy)
        if sequence > SEQUENCE_MAX:
            code = "invalid_integer" if text else "missing_required_field"
            what = f"{shown(text)} is not a whole number" if text else "it is empty"
            _wrong(
                report,
                code,
                line,
                "stop_sequence",
                text,
                what,
                f"Write a whole number from 0 to {SEQUENCE_MAX}",
            )
            continue
        if arrival > departure >= 0:
            what, remedy = "it is before the arrival", "Leave when or after arriving"
            value = cells[departure_at or 0]
            _wrong(report, "start_and_end_range_out_of_order", line, "departure_time", value, what, remedy)
        if (arrival < 0) != (departure < 0):
            name = "arrival_time" if arrival < 0 else "departure_time"
            what, remedy = "only the other of the two times is given", "Give both, or neither"
            code = "stop_time_with_only_arrival_or_departure_time"
            report.add(code, "WARNING", _NAME, what, remedy, row=line, name=name)
        if trip is not None and stop != _NONE:
            window = any(cells[place] for place in windows)
            put(trip, sequence, stop, -line if window else line, arrival, departure)
    report.rows[_NAME] = count
    return frozenset(called)


def _moment(cells: Sequence[str], place: int | None, line: int, name: str, report: Report) -> int:
    text = cells[place] if place is not None else ""
    if not text:
        return _NONE
    seconds = seconds_of(text)
    if seconds is None:
        remedy = "Write HH:MM:SS; after midnight count on, as 25:10:00"
        _wrong(report, "invalid_time", line, name, text, f"{shown(text)} is not a time", remedy)
        return _NONE
    return seconds


def _ordered(rows: _Rows) -> _Rows:
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _check_order(rows: _Rows, report: Report, names: Sequence[str]) -> None:
    """Of each trip: no sequence twice, both ends timed, and no time before one ahead of it."""
    trip, sequence, line, arrival, departure = (rows[:, column] for column in (0, 1, 3, 4, 5))
    same = trip[1:] == trip[:-1]
    for at in (np.flatnonzero(same & (sequence[1:] == sequence[:-1])) + 1).tolist():
        what = f"{sequence[at]} is there twice in {shown(names[int(trip[at])])}"
        _order(report, "duplicate_key", line[at], "stop_sequence", what, "Number the calls upwards")
    begins = np.concatenate(([True], ~same))
    ends = np.concatenate((~same, [True]))
    timed = (arrival >= 0) | (departure >= 0) | (line < 0)
    for at in np.flatnonzero((begins | ends) & ~timed).tolist():
        side = "first" if begins[at] else "last"
        what = f"the {side} call of {shown(names[int(trip[at])])} has no time"
        _order(
            report,
            "missing_trip_edge",
            line[at],
            "arrival_time",
            what,
            "Give the first and the last call times",
        )
    _check_times(rows, report, begins)


def _check_times(rows: _Rows, report: Report, begins: NDArray[np.bool_]) -> None:
    """No arrival or departure may be before any time ahead of it in the trip."""
    flat = np.empty(2 * len(rows), np.int64)
    flat[0::2], flat[1::2] = rows[:, 4], rows[:, 5]
    number = np.repeat(np.cumsum(begins), 2).astype(np.int64)
    floor = number * (1 << 32)
    latest = np.maximum.accumulate(np.where(flat >= 0, flat, 0) + floor) - floor
    before = np.concatenate(([0], latest[:-1]))
    before[np.flatnonzero(np.repeat(begins, 2))[::2]] = 0
    departs = np.arange(len(flat)) % 2 == 1
    own = departs & (rows[:, 4].repeat(2) > flat) & (flat >= 0)
    for at in np.flatnonzero((flat >= 0) & (flat < before) & ~own).tolist():
        name = "departure_time" if at % 2 else "arrival_time"
        what, remedy = (
            "it is before the call ahead of it",
            "After midnight count on: 25:10:00 is ten past one",
        )
        code = "stop_time_with_arrival_before_previous_departure_time"
        _order(report, code, rows[at // 2, 3], name, what, remedy)


def _count_patterns(
    rows: _Rows,
    trips: TripTable,
    stops: StopTable,
    patterns: dict[Pattern, int],
    met: NDArray[np.bool_],
    report: Report,
    names: Sequence[str],
) -> None:
    station = np.asarray(stops.station, np.int32)[rows[:, 2]]
    edges = np.flatnonzero(np.concatenate(([True], rows[1:, 0] != rows[:-1, 0]))).tolist()
    known: dict[tuple[int, int, int, bytes], Pattern] = {}
    for start, end in zip(edges, [*edges[1:], len(rows)], strict=True):
        trip = int(rows[start, 0])
        met[trip] = True
        calls = station[start:end]
        if len(calls) < 2:
            what = f"{shown(names[trip])} has 1 row in {_NAME}"
            line, remedy = trips.line[trip], "Give it two or more"
            report.add(
                "unusable_trip",
                "WARNING",
                "trips.txt",
                what,
                remedy,
                row=line,
                name="trip_id",
                value=names[trip],
            )
        key = (trips.route[trip], trips.direction[trip], trips.shape[trip], calls.tobytes())
        pattern = known.get(key)
        if pattern is None:
            kept = calls[np.concatenate(([True], calls[1:] != calls[:-1]))]
            pattern = known[key] = Pattern(*key[:3], tuple(kept.tolist()))
        if len(pattern.stations) > 1:
            patterns[pattern] = patterns.get(pattern, 0) + 1


def _order(report: Report, code: str, line: int, name: str, what: str, remedy: str) -> None:
    report.add(code, "ERROR", _NAME, what, remedy, row=abs(int(line)), name=name)


def _unknown(report: Report, line: int, name: str, value: str, file: str) -> None:
    if not value:
        _wrong(report, "missing_required_field", line, name, value, "it is empty", "Fill it in")
        return
    what, remedy = f"{file} has no {shown(value)}", "Add it there, or mend the id"
    _wrong(report, "foreign_key_violation", line, name, value, what, remedy)


def _wrong(report: Report, code: str, line: int, name: str, value: str, what: str, remedy: str) -> None:
    report.add(code, "ERROR", _NAME, what, remedy, row=line, name=name, value=value)
