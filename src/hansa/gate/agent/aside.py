"""Taps that the back office would not take: kept, shown, and offered again, so that none is ever lost."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock

from hansa.gate.model import Tap, tap_from_json
from hansa.gate.state import StateFailed, all_or_nothing, failed

_SCHEMA = """
create table if not exists aside (
    sequence integer primary key,
    body text not null,
    code text not null,
    detail text not null,
    refused_s integer not null
);
"""


@dataclass(frozen=True, slots=True)
class RefusedTap:
    """A tap that was refused, by which stable code, and in words."""

    tap: Tap
    code: str
    detail: str


class Aside:
    """The table of refused taps, in a SQLite file of its own. Errors: StateFailed, StateBroken from each call."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=full")
            self._db.executescript(_SCHEMA)
            (self._count,) = self._db.execute("select count(*) from aside").fetchone()
        except sqlite3.Error as error:
            raise failed(error, f"The taps put aside in {path.name} cannot be read: {error}.") from error

    def __len__(self) -> int:
        """How many are kept."""
        return self._count

    def keep(self, taps: Sequence[RefusedTap], at: datetime) -> None:
        """Keep these, all or none; one that is kept already gets the newer reason."""
        rows = [
            (one.tap.sequence, json.dumps(one.tap.json()), one.code, one.detail, int(at.timestamp()))
            for one in taps
        ]
        self._write("insert or replace into aside values (?, ?, ?, ?, ?)", rows)

    def list_refused_before(self, at: datetime, limit: int) -> list[RefusedTap]:
        """Those refused before this instant, the longest ago first: to be offered again."""
        try:
            with self._lock:
                rows = self._db.execute(
                    "select body, code, detail from aside where refused_s < ?"
                    " order by refused_s, sequence limit ?",
                    (int(at.timestamp()), limit),
                ).fetchall()
        except sqlite3.Error as error:
            raise StateFailed(f"The taps put aside cannot be read: {error}.") from error
        return [RefusedTap(tap_from_json(json.loads(body)), code, detail) for body, code, detail in rows]

    def reasons(self) -> dict[str, int]:
        """How many there are of each code."""
        try:
            with self._lock:
                return dict(self._db.execute("select code, count(*) from aside group by code").fetchall())
        except sqlite3.Error as error:
            raise StateFailed(f"The taps put aside cannot be read: {error}.") from error

    def let_go(self, taps: Sequence[Tap]) -> None:
        """The back office has these now."""
        self._write("delete from aside where sequence = ?", [(tap.sequence,) for tap in taps])

    def close(self) -> None:
        """Close the file. Nothing is lost without it."""
        with self._lock:
            self._db.close()

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._lock:
                with all_or_nothing(self._db) as cursor:
                    cursor.executemany(statement, rows)
                (self._count,) = self._db.execute("select count(*) from aside").fetchone()
        except sqlite3.Error as error:
            raise StateFailed(f"The taps put aside cannot be written: {error}.") from error
