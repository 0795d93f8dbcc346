"""Scratch databases for tests, and the instant at which their clocks stand.

To copy the template costs PostgreSQL hundreds of files, so a database that a test gives back is emptied and given to
another test: under a new name, that nothing left over from the first can reach it, and only where its schema is what
it was. What was changed in it more than by rows is dropped and copied anew.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from hansa.apps.rooms import SQL_FOLDERS
from hansa.kernel import HansaError

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
"""The instant at which the clock of every test stands until the test sets it."""

TESTS = Path(__file__).parent


def given_server() -> str | None:
    """The address of the server that the tests are told to use; without one they start their own."""
    return os.environ.get("HANSA_TEST_DATABASE_URL") or os.environ.get("HANSA_DATABASE_URL")


TABLES = """
select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema$)' and pg_relation_size(c.oid) > 0 order by 1
"""
SEQUENCES = """
select setval(format('%I.%I', schemaname, sequencename), start_value, false)
  from pg_sequences where last_value is not null
"""
SCHEMA = """
select md5(string_agg(what, ' ' order by what)) from (
    select format('class %s %s', oid, xmin) from pg_class
    union all select format('column %s %s %s', attrelid, attnum, xmin) from pg_attribute
    union all select format('default %s %s', oid, xmin) from pg_attrdef
    union all select format('type %s %s', oid, xmin) from pg_type
    union all select format('constraint %s %s', oid, xmin) from pg_constraint
    union all select format('index %s %s', indexrelid, xmin) from pg_index
    union all select format('trigger %s %s', oid, xmin) from pg_trigger
    union all select format('function %s %s', oid, xmin) from pg_proc
    union all select format('rule %s %s', oid, xmin) from pg_rewrite
    union all select format('policy %s %s', oid, xmin) from pg_policy
    union all select format('schema %s %s', oid, xmin) from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
    union all select format('setting %s %s', setrole, setconfig) from pg_db_role_setting
               where setdatabase = (select oid from pg_database where datname = current_database())
) as schema (what)
"""


@dataclass(frozen=True)
class Migrated:
    """What a migrated database is before a test has used it."""

    schema: str
    """The hash of its catalogues."""
    rows: dict[str, tuple[str, bytes]]
    """Tables that migrations put rows in: the hash of these and the rows, as COPY writes them."""


@dataclass
class ScratchServer:
    """A PostgreSQL server for this run of the tests, with a migrated database to copy from."""

    admin: str
    prefix: str
    broken: dict[str, HansaError] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    migrated: Migrated | None = None
    lent: set[str] = field(default_factory=set)
    free: list[str] = field(default_factory=list)

    @property
    def template(self) -> str:
        """The database that has all migrations and no rows but theirs."""
        return f"{self.prefix}_template"

    def url_of(self, database: str) -> str:
        """The address of a database on this server."""
        return make_conninfo(self.admin, dbname=database)

    def make(self, name: str, *, template: str) -> None:
        """Make a database as a copy of another to which nobody is connected."""
        self._administer("create database {} template {}", name, template)

    def make_migrated(self) -> str:
        """A migrated database that has no rows but those of the migrations; gives its name."""
        name = f"{self.prefix}_{next(self.numbers)}"
        if self.free:
            self._administer("alter database {} rename to {}", self.free.pop(), name)
        else:
            if self.migrated is None:
                self.migrated = look(self.url_of(self.template))
            self.make(name, template=self.template)
        self.lent.add(name)
        return name

    def drop(self, name: str) -> None:
        """Take a database away from whoever is still connected to it; a migrated one is kept for the next test."""
        if name in self.lent:
            self.lent.remove(name)
            kept = f"{self.prefix}_free_{next(self.numbers)}"
            try:
                self._part(name)
                self._administer("alter database {} rename to {}", name, kept)
            except psycopg.Error:
                kept = ""
            if kept and self._emptied(kept):
                self.free.append(kept)
                return
            name = kept or name
        self._administer("drop database if exists {} with (force)", name)

    def close(self) -> None:
        """Drop the template and what is kept for a next test."""
        for name in (self.template, *self.free):
            self.drop(name)
        self.free.clear()

    def _administer(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _part(self, name: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s", (name,)
            )

    def _emptied(self, name: str) -> bool:
        """Whether the database is as the template again."""
        assert self.migrated is not None
        try:
            with psycopg.connect(self.url_of(name), autocommit=True) as connection:
                return _empty(connection, self.migrated)
        except psycopg.Error:
            return False

    def refuse_broken_rooms(self, test: Path) -> None:
        """A room whose SQL does not apply fails its own tests and those of no room, and lets the others work."""
        room = test.relative_to(TESTS).parts[0]
        for broken, error in self.broken.items():
            if room == broken or room not in SQL_FOLDERS:
                pytest.fail(f"The migrations of {broken} do not apply: {error}", pytrace=False)


def look(url: str) -> Migrated:
    """What a database holds: the same for two that no test can tell apart."""
    with psycopg.connect(url, autocommit=True) as connection:
        tables = [str(table) for (table,) in connection.execute(TABLES)]
        return Migrated(
            _schema(connection),
            {table: (_hash(connection, table), _rows(connection, table)) for table in tables},
        )


def _empty(connection: psycopg.Connection, migrated: Migrated) -> bool:
    """Bring the rows to what they were, which no trigger hears; False where more than rows was changed."""
    if _schema(connection) != migrated.schema:
        return False
    connection.execute("set session_replication_role = replica")
    used: list[str] = []
    with connection.transaction():
        for table in {str(table) for (table,) in connection.execute(TABLES)} | migrated.rows.keys():
            was = migrated.rows.get(table)
            if was is None or was[0] != _hash(connection, table):
                connection.execute(f"delete from {table}".encode())
                used.append(table)
        for table in migrated.rows.keys() & used:
            with connection.cursor().copy(f"copy {table} from stdin".encode()) as copy:
                copy.write(migrated.rows[table][1])
        connection.execute(SEQUENCES)
    if used:
        connection.execute(f"vacuum {', '.join(used)}".encode())
    return True


def _schema(connection: psycopg.Connection) -> str:
    row = connection.execute(SCHEMA).fetchone()
    assert row is not None
    return str(row[0])


def _hash(connection: psycopg.Connection, table: str) -> str:
    row = connection.execute(
        f"select md5(string_agg(a_row::text, ' ' order by a_row::text)) from {table} a_row".encode()
    ).fetchone()
    assert row is not None
    return str(row[0])


def _rows(connection: psycopg.Connection, table: str) -> bytes:
    with connection.cursor().copy(f"copy {table} to stdout".encode()) as copy:
        return b"".join(bytes(block) for block in copy)
