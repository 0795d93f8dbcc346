"""Scratch databases for tests, and the instant at which their clocks stand."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

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


@dataclass
class ScratchServer:
    """A PostgreSQL server for this run of the tests, with a migrated database to copy from."""

    admin: str
    prefix: str
    broken: dict[str, HansaError] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def template(self) -> str:
        """The database that has all migrations and no rows."""
        return f"{self.prefix}_template"

    def url_of(self, database: str) -> str:
        """The address of a database on this server."""
        return make_conninfo(self.admin, dbname=database)

    def make(self, name: str, *, template: str) -> None:
        """Make a database as a copy of another to which nobody is connected."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )

    def make_migrated(self) -> str:
        """Make a migrated database; gives its name."""
        name = f"{self.prefix}_{next(self.numbers)}"
        self.make(name, template=self.template)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    def refuse_broken_rooms(self, test: Path) -> None:
        """A room whose SQL does not apply fails its own tests and those of no room, and lets the others work."""
        room = test.relative_to(TESTS).parts[0]
        for broken, error in self.broken.items():
            if room == broken or room not in SQL_FOLDERS:
                pytest.fail(f"The migrations of {broken} do not apply: {error}", pytrace=False)
