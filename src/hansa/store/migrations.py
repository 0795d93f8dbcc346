"""Migrations: numbered SQL files, forward only, each applied in the transaction that also records it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, LiteralString, cast

import psycopg

from hansa.kernel import HansaError
from hansa.store.context import told_to_the_caller

ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('hansa migrations', 0))"

RECORD = """
create schema if not exists store;
create table if not exists store.migrations (
    name text primary key,
    sha256 bytea not null,
    applied_at timestamptz not null default now()
)
"""

APPLIED = "select name, sha256 from store.migrations"

MARK = "insert into store.migrations (name, sha256) values (%s, %s)"


class MigrationRefused(HansaError):
    """The migrations at hand do not continue what this database has."""

    code: ClassVar[str] = "store.migration_refused"
    status: ClassVar[int] = 500


def migrate(url: str, folders: Sequence[Path]) -> list[str]:
    """Bring a database up to date: each folder's files in order of their names. Gives the names applied just now.

    folders: one per room, lowest room first; files are ``0001_ledger.sql``. Names are unique across rooms.
    Safe to run again, by several at once, and after a kill: a file and its record are one transaction.
    Errors: MigrationRefused when an applied file was edited, when a file would slip in before an applied one of its
    folder, when the database has files of a newer Hansa, or when a file is not valid SQL (it names file and reason).
    """
    done: list[str] = []
    with told_to_the_caller(), psycopg.connect(url) as connection:
        with connection.transaction():
            connection.execute(ONE_AT_A_TIME)
            connection.execute(RECORD)
        for folder in folders:
            for file in sorted(folder.glob("*.sql")):
                if _apply(connection, file):
                    done.append(file.stem)
    return done


def _apply(connection: psycopg.Connection, file: Path) -> bool:
    text = file.read_bytes()
    digest = hashlib.sha256(text).digest()
    with connection.transaction():
        connection.execute(ONE_AT_A_TIME)
        applied = dict(connection.execute(APPLIED).fetchall())
        if file.stem in applied:
            if bytes(applied[file.stem]) != digest:
                raise MigrationRefused(
                    f"{file} was edited after this database had applied it. Put the old text back and write the change"
                    " as a new numbered file; a database that may be lost can be deleted instead."
                )
            return False
        try:
            connection.execute(cast("LiteralString", text.decode()))
        except psycopg.ProgrammingError as error:
            raise MigrationRefused(f"{file}: {error}") from error
        connection.execute(MARK, (file.stem, digest))
    return True
