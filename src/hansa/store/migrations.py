"""Migrations: numbered SQL files, forward only, each applied in the transaction that also records it."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, LiteralString, cast

import psycopg

from hansa.kernel import HansaError
from hansa.store.context import Tx, told_to_the_caller

ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('hansa migrations', 0))"

RECORD = """
create schema if not exists store;
create table if not exists store.migrations (
    name text primary key,
    room text not null,
    sha256 bytea not null,
    applied_at timestamptz not null default now()
)
"""

APPLIED = "select name, sha256 from store.migrations where room = %s"

# A migration that has to wait for a lock makes everyone behind it wait; rather give up and be run again.
DO_NOT_BLOCK_THE_CITY = "set local lock_timeout = '10s'"

MARK = "insert into store.migrations (name, room, sha256) values (%s, %s, %s)"

_NAME = re.compile(r"\d{4}_[a-z0-9_]+")


class MigrationRefused(HansaError):
    """The migrations at hand do not continue what this database has."""

    code: ClassVar[str] = "store.migration_refused"
    status: ClassVar[int] = 500


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    text: bytes

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.text).digest()


def migrate(url: str, folders: Sequence[Path]) -> list[str]:
    """Bring a database up to date: each folder's files in the order of their names; gives those applied just now.

    folders: one ``<room>/sql`` per room, lowest room first; its files are ``0001_<room>.sql``, unique across rooms.
    Safe to run again, by several at once, and after a kill: a file and its record are one transaction.
    Errors: MigrationRefused when an applied file was edited or is missing (a newer Hansa made it), when a new file
    sorts before an applied one, or when a file does not run; nothing of that file was applied then.
    """
    applied: list[str] = []
    with told_to_the_caller(), psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction():
            connection.execute(ONE_AT_A_TIME)
            connection.execute(RECORD)
        for folder in folders:
            files = [_read(path) for path in sorted(folder.glob("*.sql"))]
            for file in files:
                # One transaction for each file, and the check in each: another process may be at it too.
                with connection.transaction():
                    connection.execute(ONE_AT_A_TIME)
                    if file in _left_to_apply(connection, folder.parent.name, files):
                        _apply(connection, folder.parent.name, file)
                        applied.append(file.name)
    return applied


def _read(path: Path) -> _File:
    if not _NAME.fullmatch(path.stem):
        raise MigrationRefused(f"{path}: name it like 0002_fares.sql: four digits, then small letters.")
    return _File(path, path.read_bytes())


def _left_to_apply(tx: Tx, room: str, files: Sequence[_File]) -> list[_File]:
    """The files that this database has not had. Errors: MigrationRefused when they do not continue what it had."""
    had = {str(name): bytes(digest) for name, digest in tx.execute(APPLIED, (room,)).fetchall()}
    missing = had.keys() - {file.name for file in files}
    if missing:
        raise MigrationRefused(
            f"This database has {', '.join(sorted(missing))} of {room}, which this Hansa does not know. It was made by"
            " a newer one; run that one."
        )
    for file in files:
        if file.name in had and had[file.name] != file.digest:
            raise MigrationRefused(
                f"{file.path} was edited after this database had applied it. Put the old text back and write the"
                " change as a new numbered file. If the data may be lost, delete the data folder instead."
            )
        if file.name not in had and any(later > file.name for later in had):
            raise MigrationRefused(f"{file.path} would slip in before {max(had)}. Give it the next number.")
    return [file for file in files if file.name not in had]


def _apply(tx: Tx, room: str, file: _File) -> None:
    tx.execute(DO_NOT_BLOCK_THE_CITY)
    try:
        # Our own file and no one's input, so it may be more than the type checker's literal.
        tx.execute(cast("LiteralString", file.text.decode()))
        tx.execute(MARK, (file.name, room, file.digest))
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, UnicodeDecodeError) as error:
        raise MigrationRefused(f"{file.path} does not run: {error}") from error
