"""The deny list in a file of its own: a million tokens on the disk, and next to nothing of it in memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from heapq import merge
from pathlib import Path
from threading import Lock
from typing import ClassVar

from hansa.codes import DenyListRefused, DenyUpdate
from hansa.gate.state import StateFailed, all_or_nothing

_CTI = 8
_HOUR_S = 3600
_CACHE_KIB = 1024

_SCHEMA = """
create table if not exists denied (cti integer primary key, ends_h integer not null);
create table if not exists list (
    one integer primary key check (one = 1),
    version integer not null,
    issued_s integer not null,
    list_key blob not null,
    tokens integer not null
);
"""


class DenyListBroken(StateFailed):
    """The file of the deny list cannot be read or written, so no code can be judged. It is fetched anew."""

    code: ClassVar[str] = "gate.deny_list_broken"


class DenyFile:
    """A `hansa.gate.Denied` in one SQLite file, kept by version. Threads may share it.

    A token's id is kept as the 64-bit number that its 8 bytes are, with the hour of its end: a look-up is one search in
    a tree on the disk. Errors: DenyListBroken, here and from each call.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading, self._writing = Lock(), Lock()
        self._version, self._issued_at, self._list_key, self._tokens = 0, None, b"", 0
        self._open()

    @property
    def version(self) -> int:
        """The version in use; 0 before the first."""
        return self._version

    @property
    def issued_at(self) -> datetime | None:
        """When the league last said that this is the list; None before the first."""
        return self._issued_at

    def __len__(self) -> int:
        """How many tokens stand on it."""
        return self._tokens

    def __contains__(self, cti: object, /) -> bool:
        """Whether the token of this id, 8 bytes, opens no gate."""
        if not isinstance(cti, bytes) or len(cti) != _CTI:
            return False
        try:
            with self._reading:
                found = self._reader.execute("select 1 from denied where cti = ?", (_number(cti),)).fetchone()
        except sqlite3.Error as error:
            raise DenyListBroken(f"The deny list cannot be read: {error}.") from error
        return found is not None

    def is_by(self, list_key: bytes) -> bool:
        """Whether this key signed the list in use."""
        return self._list_key == list_key

    def version_by(self, list_key: bytes) -> int:
        """The version to ask from: 0 (for the whole list) when the one in use was signed by another key."""
        return self._version if self._list_key == list_key else 0

    def take(self, update: DenyUpdate, *, list_key: bytes) -> bool:
        """Take an update that `codes.read_deny_update` checked with this key: all of it, or nothing.

        It must begin at the version in use or before it, for a token that is named again is no harm. By a new key only
        a whole list is taken, whatever its version: the old key's word is worth nothing. Gives whether it said more
        than was known. Errors: DenyListRefused for a gap, an older version, or an older word on the same version.
        """
        with self._writing:
            in_use = self.version_by(list_key)
            if update.since > in_use:
                raise DenyListRefused(
                    f"The deny list has a gap: the update goes on from version {update.since}, in use is {in_use}."
                )
            if update.version < in_use:
                raise DenyListRefused(f"Deny list {update.version} is older than {in_use}, which is in use.")
            is_same = update.version == in_use and self._list_key == list_key
            if is_same and self._issued_at is not None and update.issued_at <= self._issued_at:
                if update.issued_at < self._issued_at:
                    raise DenyListRefused(
                        f"The word on deny list {update.version} is older than one that came before."
                    )
                return False
            issued_at = update.issued_at
            if self._list_key == list_key and self._issued_at is not None:
                issued_at = max(issued_at, self._issued_at)
            self._write(update, issued_at, list_key)
            return True

    def forget_ended(self, now: datetime) -> int:
        """Let go of tokens that have ended; gives how many."""
        try:
            with self._writing:
                with all_or_nothing(self._writer) as cursor:
                    cursor.execute("delete from denied where ends_h <= ?", (int(now.timestamp()) // _HOUR_S,))
                    gone = max(cursor.rowcount, 0)
                    cursor.execute("update list set tokens = tokens - ?", (gone,))
                self._tokens -= gone
                return gone
        except sqlite3.Error as error:
            raise DenyListBroken(f"The deny list cannot be written: {error}.") from error

    def begin_anew(self) -> None:
        """Open the file again, which was put aside: there is no list until the whole one has come."""
        self.close()
        self._version, self._issued_at, self._list_key, self._tokens = 0, None, b"", 0
        self._open()

    def close(self) -> None:
        """Close the file. Nothing is lost without it."""
        with self._reading, self._writing:
            for connection in (self._reader, self._writer):
                with suppress(sqlite3.Error):
                    connection.close()

    def _open(self) -> None:
        try:
            self._writer = _connect(self._path)
            self._writer.execute("pragma journal_mode=wal")
            self._writer.execute("pragma synchronous=full")
            self._writer.execute("pragma journal_size_limit=0")
            self._writer.executescript(_SCHEMA)
            self._reader = _connect(self._path)
            row = self._reader.execute("select version, issued_s, list_key, tokens from list").fetchone()
            self._reader.execute("select 1 from denied where cti = 0").fetchone()
        except sqlite3.Error as error:
            raise DenyListBroken(f"The deny list {self._path.name} cannot be used: {error}.") from error
        if row is not None:
            self._version, issued_s, self._list_key, self._tokens = row
            self._issued_at = datetime.fromtimestamp(issued_s, UTC)

    def _write(self, update: DenyUpdate, issued_at: datetime, list_key: bytes) -> None:
        whole = update.since == 0
        try:
            with all_or_nothing(self._writer) as cursor:
                if whole:
                    cursor.execute("delete from denied")
                before = self._writer.total_changes
                cursor.executemany("insert or ignore into denied values (?, ?)", _rows(update))
                tokens = (0 if whole else self._tokens) + self._writer.total_changes - before
                cursor.execute(
                    "insert or replace into list values (1, ?, ?, ?, ?)",
                    (update.version, int(issued_at.timestamp()), list_key, tokens),
                )
            self._version, self._issued_at = update.version, issued_at
            self._list_key, self._tokens = list_key, tokens
            if whole:
                self._writer.execute("pragma wal_checkpoint(truncate)")
        except sqlite3.Error as error:
            raise DenyListBroken(f"The deny list cannot be written: {error}.") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"pragma cache_size=-{_CACHE_KIB}")
    return connection


def _rows(update: DenyUpdate) -> Iterator[tuple[int, int]]:
    """Each token's number and the hour of its end, in the tree's order, so that it is written page after page."""
    groups = [_group(ctis, int(ends_at.timestamp()) // _HOUR_S) for ends_at, ctis in update.groups]
    return merge(*groups)


def _group(ctis: bytes, ends_h: int) -> Iterator[tuple[int, int]]:
    """A group is in the order of its bytes; as signed numbers, those with the highest bit set come first."""
    half = len(ctis) // _CTI
    low, high = 0, half
    while low < high:
        middle = (low + high) // 2
        if ctis[middle * _CTI] < 0x80:
            low = middle + 1
        else:
            high = middle
    for place in (*range(low, half), *range(low)):
        yield _number(ctis[place * _CTI : (place + 1) * _CTI]), ends_h


def _number(cti: bytes) -> int:
    return int.from_bytes(cti, "big", signed=True)
