"""What every test may ask for: a Context that rolls back, and a Context on a database of its own.

The tests run against real PostgreSQL: an embedded server in a temporary folder, or the server of
HANSA_TEST_DATABASE_URL or HANSA_DATABASE_URL, whose user must be allowed to create databases.
"""

import os
import shutil
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

import limits
from disks import SmallDisk, small_disks
from hansa.apps.rooms import SQL_FOLDERS
from hansa.kernel import FixedClock, HansaError
from hansa.store import Context, EmbeddedServer, Tx, migrate, open_context
from rolled_back import RolledBack, Shared
from scratch import NOON, ScratchServer, given_server

HOMES = "hansa-test-"

# Losing a test's data in a power cut is no loss. The store's own tests of crashes keep all of Hansa's settings.
TEST_SETTINGS = {
    "fsync": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "log_min_messages": "panic",
}

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_configure(config: pytest.Config) -> None:
    """A polite kill ends the run as Ctrl-C does, so that the server is stopped and its folder removed.

    Where it stood is told: who ends a run from outside does so because it hangs.
    """
    config.pluginmanager.register(limits, "limits")

    def end(_signal: int, frame: FrameType | None) -> None:
        here = "".join(traceback.format_stack(frame))
        raise KeyboardInterrupt(f"told to end.\n{limits.other_stacks()}\nThe main thread:\n{here}")

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what works on the given server as ``database``, and skip browser tests where there is no Chromium."""
    skip = pytest.mark.skip(reason="no Chromium here: `apt-get install chromium` runs the browser tests")
    for item in items:
        if "scratch_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)
        if CHROMIUM is None and item.get_closest_marker("browser"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the machine's Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    return CHROMIUM


@pytest.fixture(scope="session")
def scratch_server() -> Generator[ScratchServer]:
    """The server of this run, with its template migrated."""
    with _server_url() as admin:
        server = ScratchServer(admin, f"hansa_test_{os.getpid()}")
        server.make(server.template, template="template0")
        try:
            for room, folder in SQL_FOLDERS.items():
                try:
                    migrate(server.url_of(server.template), [folder])
                except HansaError as error:
                    server.broken[room] = error
            yield server
        finally:
            server.close()


@contextmanager
def _server_url() -> Generator[str]:
    given = given_server()
    if given:
        yield given
        return
    _sweep()
    home = Path(tempfile.mkdtemp(prefix=HOMES))
    home.chmod(0o755)  # the server's user passes through; what lies inside is its alone
    try:
        with EmbeddedServer(home, settings=TEST_SETTINGS) as server:
            yield server.url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _sweep() -> None:
    """Stop and remove servers of test runs that were killed an hour ago or more and could not do it themselves."""
    for home in Path(tempfile.gettempdir()).glob(f"{HOMES}*"):
        try:
            if time.time() - home.stat().st_mtime < 3600:
                continue
            with EmbeddedServer(home, settings=TEST_SETTINGS):
                pass
        except (HansaError, OSError):
            continue
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_connections(scratch_server: ScratchServer) -> Generator[Shared]:
    """The connections that the tests of this run share."""
    shared = Shared(scratch_server)
    with shared.closing:
        yield shared


@pytest.fixture(scope="session")
def shared_connection(shared_connections: Shared) -> Tx:
    """The connection on which the ``ctx`` of whoever asks for this makes its savepoints, at first an empty database."""
    return shared_connections.connection("")


@pytest.fixture
def ctx(
    scratch_server: ScratchServer, shared_connections: Shared, request: pytest.FixtureRequest
) -> Generator[Context]:
    """A Context of which nothing stays: one transaction around the test, each ``ctx.tx()`` a savepoint in it."""
    scratch_server.refuse_broken_rooms(request.path)
    rolled_back = RolledBack(shared_connections, stays="shared_connection" in request.fixturenames)
    try:
        yield Context(open_tx=rolled_back, clock=FixedClock(NOON))
    finally:
        rolled_back.end()


@pytest.fixture
def committed_ctx(scratch_server: ScratchServer, request: pytest.FixtureRequest) -> Generator[Context]:
    """A Context on a database of its own, for races and for what only a commit shows."""
    scratch_server.refuse_broken_rooms(request.path)
    name = scratch_server.make_migrated()
    context = open_context(scratch_server.url_of(name), clock=FixedClock(NOON))
    try:
        yield context
    finally:
        context.close()
        scratch_server.drop(name)


@pytest.fixture
def small_disk() -> Generator[SmallDisk]:
    """Makes a disk of so many megabytes and gives its folder; only root may."""
    with small_disks() as small_disk:
        yield small_disk
