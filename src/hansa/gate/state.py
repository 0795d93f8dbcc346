"""What a gate must not forget: its sequence, its chain, the counters it has seen, the taps not handed in yet."""

import json
import sqlite3
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Protocol

from hansa.codes import CHAIN_START
from hansa.gate.model import Tap, tap_from_json
from hansa.kernel import HansaError, InvalidInput, Problem

_SCHEMA = """
create table if not exists gate (gate_id text primary key) without rowid;
create table if not exists taps (sequence integer primary key, body text not null);
create table if not exists last_tap (gate_id text primary key, sequence integer not null, chain blob not null)
    without rowid;
create table if not exists counters (token blob primary key, counter integer not null, expires_s integer not null)
    without rowid;
create table if not exists offline_rides (token blob primary key, rides integer not null) without rowid;
"""

_PAGE = 500
_NOT_SQLITE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


class StateFailed(HansaError):
    """The gate cannot write down what it decides, so it decides nothing. Check the device's storage."""

    code: ClassVar[str] = "gate.state_failed"
    status: ClassVar[int] = 507


class StateBroken(StateFailed):
    """The gate's state file is damaged. Nothing may be decided on it: a used code would open again."""

    code: ClassVar[str] = "gate.state_broken"


class WrongGate(HansaError):
    """This state file belongs to another gate."""

    code: ClassVar[str] = "gate.wrong_gate"
    status: ClassVar[int] = 409


class Pending(Protocol):
    """Taps not handed in yet, in the order of their sequence; a deque is one."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Tap]: ...
    def __getitem__(self, place: int, /) -> Tap: ...
    def append(self, tap: Tap, /) -> None: ...
    def popleft(self) -> Tap: ...


@dataclass(slots=True)
class Memory:
    """A gate's state as it works with it.

    counters: by kid, cti and the number of a companion if one rides, the last counter and when the token ends.
    pending: in memory, or read from the file as they are asked for.
    offline_rides: by kid and cti, the rides let in since the gate last had its network.
    """

    sequence: int = 0
    chain: bytes = CHAIN_START
    counters: dict[bytes, tuple[int, datetime]] = field(default_factory=dict[bytes, tuple[int, datetime]])
    pending: Pending = field(default_factory=deque[Tap])
    offline_rides: dict[bytes, int] = field(default_factory=dict[bytes, int])


class State(Protocol):
    """Where a gate's state survives power loss. Each call has been written through when it returns."""

    def load(self, gate_id: str) -> Memory:
        """What was kept. Errors: WrongGate, StateFailed."""
        ...

    def record(
        self, tap: Tap, *, rider: bytes, expires_at: datetime, offline: tuple[bytes, int] | None
    ) -> None:
        """Keep an accepted tap with its rider's counter, and a token's rides without network where they grew.

        Errors: StateFailed, and nothing of it was kept.
        """
        ...

    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        """Keep a counter that a neighbour gate accepted. Errors: StateFailed."""
        ...

    def forget_offline_rides(self) -> None:
        """The gate has its network again. Errors: StateFailed."""
        ...

    def acknowledge(self, up_to_sequence: int) -> None:
        """Let go of taps that were handed in. Errors: StateFailed."""
        ...

    def forget(self, now: datetime) -> None:
        """Let go of counters of tokens that have ended. Errors: StateFailed."""
        ...


class FileState:
    """State in one SQLite file. Every tap is on the disk (``synchronous=full``) before the gate opens.

    Taps not handed in stay in the file, however many there are; counters are in memory too. Errors: StateBroken for a
    damaged file, StateFailed for one that cannot be used now.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=full")
            self._db.executescript(_SCHEMA)
            found = self._db.execute("pragma quick_check(1)").fetchone()
            (waiting,) = self._db.execute("select count(*) from taps").fetchone()
        except sqlite3.Error as error:
            raise failed(error, f"The gate's state file {path.name} cannot be used: {error}.") from error
        if found != ("ok",):
            raise StateBroken(f"The gate's state file {path.name} is damaged: {found}.")
        self._pending = _InFile(self._db, waiting)
        self.sequence = 0
        """Of the last tap, once the state is loaded."""
        self.last_tap_at: datetime | None = None
        """When the last tap was made; None when it was handed in before the start."""

    @property
    def waiting(self) -> int:
        """How many taps were not handed in yet."""
        return len(self._pending)

    def load(self, gate_id: str) -> Memory:
        """What was kept for this gate; a new file becomes this gate's.

        Errors: WrongGate; StateBroken when the last tap is not the end of the chain; StateFailed.
        """
        try:
            self._db.execute(
                "insert or ignore into gate select ? where not exists (select 1 from gate)", (gate_id,)
            )
            (owner,) = self._db.execute("select gate_id from gate").fetchone()
            last = self._db.execute("select sequence, chain from last_tap").fetchone()
            counters = self._db.execute("select token, counter, expires_s from counters").fetchall()
            newest = self._db.execute("select body from taps order by sequence desc limit 1").fetchone()
            offline_rides = self._db.execute("select token, rides from offline_rides").fetchall()
        except sqlite3.Error as error:
            raise failed(error, f"The gate's state cannot be read: {error}.") from error
        if owner != gate_id:
            raise WrongGate(f"This state file belongs to gate {owner}, not to {gate_id}.")
        memory = Memory(pending=self._pending)
        if last is not None:
            memory.sequence, memory.chain = last
        self.sequence = memory.sequence
        if newest is not None:
            tap = tap_from_json(json.loads(newest[0]))
            if (tap.sequence, tap.chain) != (memory.sequence, memory.chain):
                raise StateBroken("The gate's last tap is not the end of its chain.")
            self.last_tap_at = tap.tapped_at
        for rider, counter, expires_s in counters:
            memory.counters[rider] = counter, datetime.fromtimestamp(expires_s, UTC)
        memory.offline_rides.update(offline_rides)
        return memory

    def record(
        self, tap: Tap, *, rider: bytes, expires_at: datetime, offline: tuple[bytes, int] | None
    ) -> None:
        """Keep the tap, its counter, its ride without network and the chain's new end, all or nothing."""
        self._write(
            ("insert into taps values (?, ?)", (tap.sequence, json.dumps(tap.json()))),
            (
                "insert or replace into last_tap values (?, ?, ?)",
                (tap.gate_id, tap.sequence, tap.chain),
            ),
            (
                "insert or replace into counters values (?, ?, ?)",
                (rider, tap.counter, int(expires_at.timestamp())),
            ),
            *([("insert or replace into offline_rides values (?, ?)", offline)] if offline else []),
        )
        self.sequence, self.last_tap_at = tap.sequence, tap.tapped_at

    def hear(self, rider: bytes, counter: int, expires_at: datetime) -> None:
        """Keep a neighbour's counter."""
        self._write(
            (
                "insert or replace into counters values (?, ?, ?)",
                (rider, counter, int(expires_at.timestamp())),
            )
        )

    def go_on_from(self, gate_id: str, sequence: int, chain: bytes) -> None:
        """Go on from the last tap that the back office has of this gate: the device takes another's place.

        Errors: InvalidInput where taps were made here already; WrongGate, StateFailed. Nothing changed then.
        """
        if self.load(gate_id).sequence:
            problem = Problem("sequence", f"this state has tap {self.sequence}", "Begin with an empty folder")
            raise InvalidInput("This gate goes on from its own taps.", problems=(problem,))
        if sequence < 1 or len(chain) != len(CHAIN_START):
            problem = Problem(
                "chain", "it is no tap's number and link", "Give a number from 1, and 64 hex digits"
            )
            raise InvalidInput("This gate cannot go on from there.", problems=(problem,))
        self._write(("insert into last_tap values (?, ?, ?)", (gate_id, sequence, chain)))
        self.sequence = sequence

    def forget_offline_rides(self) -> None:
        """Begin to count anew."""
        self._write(("delete from offline_rides", ()))

    def acknowledge(self, up_to_sequence: int) -> None:
        """Let go of taps up to this sequence number."""
        before = self._db.total_changes
        self._write(("delete from taps where sequence <= ?", (up_to_sequence,)))
        self._pending.count -= self._db.total_changes - before

    def forget(self, now: datetime) -> None:
        """Let go of counters of tokens that have ended, and of a ticket's entries, which stand under the same name."""
        ended = (int(now.timestamp()),)
        self._write(
            (
                "delete from offline_rides where token in (select token from counters where expires_s <= ?)",
                ended,
            ),
            ("delete from counters where expires_s <= ?", ended),
        )

    def close(self) -> None:
        """Close the file. Nothing is lost without it."""
        self._db.close()

    def _write(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        try:
            with all_or_nothing(self._db) as cursor:
                for statement, values in statements:
                    cursor.execute(statement, values)
        except sqlite3.Error as error:
            raise failed(error, f"The gate's state cannot be written: {error}.") from error


class _InFile:
    """The taps of the file, read a page at a time. What the gate adds or lets go of is in the file already."""

    def __init__(self, db: sqlite3.Connection, count: int) -> None:
        self._db = db
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Tap]:
        after = 0
        while page := self._page(after, _PAGE):
            yield from page
            after = page[-1].sequence

    def __getitem__(self, place: int, /) -> Tap:
        assert place == 0, "only the oldest is asked for"
        return self._page(0, 1)[0]

    def append(self, tap: Tap, /) -> None:
        assert tap.sequence > 0
        self.count += 1

    def popleft(self) -> Tap:
        raise AssertionError("FileState.acknowledge lets go of taps")

    def _page(self, after: int, limit: int) -> list[Tap]:
        try:
            rows = self._db.execute(
                "select body from taps where sequence > ? order by sequence limit ?", (after, limit)
            ).fetchall()
        except sqlite3.Error as error:
            raise failed(error, f"The gate's taps cannot be read: {error}.") from error
        return [tap_from_json(json.loads(body)) for (body,) in rows]


@contextmanager
def all_or_nothing(db: sqlite3.Connection) -> Generator[sqlite3.Cursor]:
    """A transaction: committed when the block ends well, else rolled back. Errors: sqlite3.Error."""
    with closing(db.cursor()) as cursor:
        cursor.execute("begin immediate")
        try:
            yield cursor
            cursor.execute("commit")
        finally:
            if db.in_transaction:
                cursor.execute("rollback")


def failed(error: sqlite3.Error, detail: str) -> StateFailed:
    """A fault of SQLite as ours: StateBroken when the file is damaged, StateFailed when it cannot be used now."""
    is_broken = getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_SQLITE
    return StateBroken(detail) if is_broken else StateFailed(detail)
