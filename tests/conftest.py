"""What every test may ask for: a Context that rolls back, and a Context on a database of its own.

The tests run against real PostgreSQL: an embedded server in a temporary folder, or the server of
HANSA_TEST_DATABASE_URL or HANSA_DATABASE_URL, whose user must be allowed to create databases.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from hansa.apps.rooms import SQL_FOLDERS
from hansa.kernel import FixedClock
from hansa.store import Context, EmbeddedServer, Tx, migrate, open_context

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
"""The instant at which the clock of every test stands until the test sets it."""

TESTS = Path(__file__).parent

# Losing a test's data in a power cut is no loss; the tests of the store start servers of their own, which keep them.
TEST_SETTINGS = {"fsync": "off", "shared_buffers": "256MB", "log_min_messages": "panic"}


@dataclass
class League:
    """A PostgreSQL server for this run of the tests, with a migrated database to copy from."""

    admin: str
    prefix: str
    broken: dict[str, Exception] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def template(self) -> str:
        return f"{self.prefix}_template"

    def url_of(self, database: str) -> str:
        return urlunsplit(urlsplit(self.admin)._replace(path=f"/{database}"))

    def make_database(self, template: str | None = None) -> str:
        name = self.template if template is None else f"{self.prefix}_{next(self.numbers)}"
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(
                    sql.Identifier(name), sql.Identifier(template or "template0")
                )
            )
        return name

    def drop_database(self, name: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def league() -> Iterator[League]:
    """The server of this run, its template migrated room by room; a room's broken SQL fails that room's tests only."""
    with _server_url() as admin:
        league = League(admin, f"hansa_test_{os.getpid()}")
        league.make_database()
        try:
            for room, folder in SQL_FOLDERS.items():
                try:
                    migrate(league.url_of(league.template), [folder])
                except Exception as error:  # noqa: BLE001: told to the tests of that room, see `database_url`
                    league.broken[room] = error
            yield league
        finally:
            league.drop_database(league.template)


@contextmanager
def _server_url() -> Iterator[str]:
    given = os.environ.get("HANSA_TEST_DATABASE_URL") or os.environ.get("HANSA_DATABASE_URL")
    if given:
        yield given
        return
    home = Path(tempfile.mkdtemp(prefix="hansa-test-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home, settings=TEST_SETTINGS) as server:
            yield server.url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _refuse_broken_rooms(league: League, request: pytest.FixtureRequest) -> None:
    room = request.path.relative_to(TESTS).parts[0]
    for broken, error in league.broken.items():
        if room == broken or room not in SQL_FOLDERS:
            pytest.fail(f"The migrations of {broken} do not apply: {error}", pytrace=False)


@pytest.fixture(scope="session")
def _shared_connection(league: League) -> Iterator[Tx]:
    name = league.make_database(league.template)
    with psycopg.connect(league.url_of(name), autocommit=True) as connection:
        yield connection
    league.drop_database(name)


@pytest.fixture
def ctx(league: League, _shared_connection: Tx, request: pytest.FixtureRequest) -> Iterator[Context]:
    """A Context of which nothing stays: one transaction around the test, each ``ctx.tx()`` a savepoint in it."""
    _refuse_broken_rooms(league, request)
    one_at_a_time = threading.RLock()

    @contextmanager
    def savepoint() -> Iterator[Tx]:
        with one_at_a_time, _shared_connection.transaction():
            yield _shared_connection

    with _shared_connection.transaction(force_rollback=True):
        yield Context(open_tx=savepoint, clock=FixedClock(NOON))


@pytest.fixture
def committed_ctx(league: League, request: pytest.FixtureRequest) -> Iterator[Context]:
    """A Context on a database of its own, for races and for what only a commit shows."""
    _refuse_broken_rooms(league, request)
    name = league.make_database(league.template)
    context = open_context(league.url_of(name), clock=FixedClock(NOON))
    try:
        yield context
    finally:
        context.close()
        league.drop_database(name)
