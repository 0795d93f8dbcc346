"""The embedded server starts, stops cleanly, survives kills, and says clearly why it cannot start."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from hansa.store import (
    DataFolderTaken,
    DataFolderUnfit,
    EmbeddedServer,
    ServerFailed,
    StoreUnavailable,
    embedded,
    open_context,
)
from hansa.store.embedded import SETTINGS
from hansa.store.places import SETTLED_HOME

# These servers die by kill -9 and not by a power cut, so what the system holds in its memory survives.
SMALL = {"shared_buffers": "16MB", "wal_buffers": "1MB", "fsync": "off"}

QUICKLY = ((signal.SIGINT, 0.2), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 10))
"""How a server that hangs is ended in a test that need not wait."""


def _folder() -> Path:
    """A folder with a short path that the server's user can go to."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-store-"))
    folder.chmod(0o755)
    return folder


def _stop(folder: Path) -> None:
    server = EmbeddedServer(folder, settings=SMALL)
    if server.pid is not None:  # a test left it running
        server.start()
        server.stop()


@pytest.fixture(scope="module")
def shared_home() -> Generator[Path]:
    """A home whose server has run once and was stopped."""
    folder = _folder()
    with EmbeddedServer(folder, settings=SMALL):
        pass
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(shared_home: Path) -> Generator[Path]:
    """A home whose server has run before and was stopped; the tests of this file share it."""
    yield shared_home
    _stop(shared_home)


@pytest.fixture
def new_home() -> Generator[Path]:
    """A home that no server has seen."""
    folder = _folder()
    yield folder
    _stop(folder)
    shutil.rmtree(folder)


def _until_dead(pid: int) -> None:
    """Wait until a killed process does nothing any more; it may stay listed until its parent collects it."""
    stat = Path(f"/proc/{pid}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)


def _kill(server: EmbeddedServer) -> int:
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _until_dead(pid)
    return pid


def test_it_starts_stops_and_starts_again_with_its_data(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server, psycopg.connect(server.url) as connection:
        connection.execute("create table city (name text primary key)")
        connection.execute("insert into city values ('Utsunomiya')")
        connection.commit()
    assert server.pid is None

    with EmbeddedServer(home, settings=SMALL) as server, psycopg.connect(server.url) as connection:
        rows = connection.execute("select name from city").fetchall()

    assert rows == [("Utsunomiya",)]


def test_it_keeps_every_commit_through_a_power_cut(home: Path) -> None:
    with EmbeddedServer(home) as server, psycopg.connect(server.url) as connection:
        shown = dict(connection.execute("select name, setting from pg_settings").fetchall())

    assert [
        shown[name] for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
    ] == ["on"] * 4
    assert [SETTINGS[name] for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3
    assert shown["server_encoding"] == "UTF8"
    assert shown["TimeZone"] == "UTC"
    assert shown["jit"] == "off"
    assert shown["listen_addresses"] == ""


def test_nobody_but_its_user_can_enter_its_folders(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server:
        folders = [server.data, server.data.parent, server.data.parent / "socket", server.data.parent / "log"]

        assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other users to become")
def test_another_user_of_the_machine_cannot_sign_in(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server:
        (server.data.parent / "socket").chmod(0o755)
        server.data.parent.chmod(0o755)
        (server.data.parent / "socket/.s.PGSQL.5432").chmod(0o777)
        asked = [server.programs / "psql", server.url, "-c", "select 1"]
        done = subprocess.run(asked, user="nobody", capture_output=True, text=True, check=False, cwd="/")

    assert done.returncode != 0
    assert "Peer authentication failed" in done.stderr


def test_a_killed_server_comes_back_with_all_that_was_committed_and_the_same_context_works(
    home: Path,
) -> None:
    with EmbeddedServer(home, settings=SMALL) as server, open_context(server.url, wait_s=20) as context:
        with context.tx() as tx:
            tx.execute("create table payment (id int primary key)")
            tx.execute("insert into payment select generate_series(1, 5000)")

        with pytest.raises(StoreUnavailable), context.tx() as tx:  # noqa: PT012 - the kill comes inside it
            tx.execute("insert into payment select generate_series(5001, 9000)")
            _kill(server)
            tx.execute("insert into payment values (9001)")
        assert server.ensure_running()
        with context.tx() as tx:
            found = tx.execute("select count(*), max(id) from payment").fetchone()

        assert found == (5000, 5000)


def test_a_server_told_to_keep_running_is_started_again_when_it_dies(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server, open_context(server.url, wait_s=30) as context:
        server.keep_running(look_every_s=0.05)
        first = _kill(server)

        with context.tx() as tx:
            answer = tx.execute("select 42").fetchone()

        assert answer == (42,)
        assert server.pid not in (None, first)


def test_a_second_start_on_the_same_folder_is_refused_and_disturbs_nothing(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server:
        pid = server.pid

        with pytest.raises(DataFolderTaken) as refused:
            EmbeddedServer(home, settings=SMALL).start()

        assert str(home) in str(refused.value)
        assert str(os.getpid()) in str(refused.value)
        assert "HANSA_HOME" in str(refused.value)
        assert server.pid == pid
        with psycopg.connect(server.url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)


OWNER = """
import sys, time
from pathlib import Path
from hansa.store import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), settings={"shared_buffers": "16MB"})
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def _owner(home: Path) -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OWNER), str(home)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def test_a_live_owner_in_another_process_is_named(home: Path) -> None:
    owner, _ = _owner(home)

    with pytest.raises(DataFolderTaken) as refused:
        EmbeddedServer(home, settings=SMALL).start()

    owner.kill()
    owner.wait()
    assert f"process {owner.pid}" in str(refused.value)


def test_the_server_of_a_killed_owner_is_taken_over_running(home: Path) -> None:
    owner, pid = _owner(home)
    owner.kill()
    owner.wait()

    server = EmbeddedServer(home, settings=SMALL)
    server.start()
    taken_over = server.pid
    server.stop()

    assert taken_over == pid
    assert server.pid is None


def test_owner_and_server_both_killed_start_again(home: Path) -> None:
    owner, pid = _owner(home)
    owner.kill()
    os.kill(pid, signal.SIGKILL)
    owner.wait()

    with EmbeddedServer(home, settings=SMALL) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_forked_child_does_not_hold_the_folder_after_us(home: Path) -> None:
    server = EmbeddedServer(home, settings=SMALL)
    server.start()
    to_child, from_parent = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(from_parent)
        server.stop()  # a child stops nothing
        os.read(to_child, 1)
        os._exit(0)

    still_runs = server.pid is not None
    server.stop()
    with EmbeddedServer(home, settings=SMALL) as again:
        runs_again = again.pid is not None

    os.close(from_parent)
    os.close(to_child)
    os.waitpid(child, 0)
    assert (still_runs, runs_again) == (True, True)


def test_a_process_number_that_went_to_another_program_does_not_keep_it_from_starting(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server:
        _kill(server)
        file = server.data / "postmaster.pid"
        file.write_text("\n".join([str(os.getppid()), *file.read_text().split("\n")[1:]]))

        assert server.ensure_running()


def test_data_of_another_postgresql_version_are_refused_and_left_alone(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server:
        pass
    (server.data / "PG_VERSION").write_text("16\n")

    with pytest.raises(DataFolderUnfit) as refused:
        server.start()

    (server.data / "PG_VERSION").write_text("18\n")
    assert "PostgreSQL 16" in str(refused.value)
    assert "docs/operating/database.md" in str(refused.value)


def test_an_interrupted_first_start_is_begun_anew(new_home: Path) -> None:
    unfinished = new_home / "postgresql" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    with EmbeddedServer(new_home, settings=SMALL) as server:
        assert server.pid is not None


def test_a_folder_of_something_else_is_refused(new_home: Path) -> None:
    (new_home / "postgresql" / "data").mkdir(parents=True)
    (new_home / "postgresql" / "data" / "thesis.txt").write_text("years of work")

    with pytest.raises(DataFolderUnfit, match="holds no PostgreSQL database"):
        EmbeddedServer(new_home, settings=SMALL).start()

    assert (new_home / "postgresql" / "data" / "thesis.txt").read_text() == "years of work"


def test_a_home_that_is_a_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")

    with pytest.raises(DataFolderUnfit, match="HANSA_HOME"):
        EmbeddedServer(tmp_path / "home").start()


def test_a_setting_that_postgresql_refuses_is_told_with_its_own_words(home: Path) -> None:
    with pytest.raises(ServerFailed, match="work_memory"):
        EmbeddedServer(home, settings={"work_memory": "much"}).start()


def test_a_long_path_gets_a_short_socket(new_home: Path) -> None:
    deep = new_home / ("a-very-long-name" * 4) / ("and-another-one" * 4)

    with EmbeddedServer(deep, settings=SMALL) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
        assert len(server.url) < len(str(deep)) + 40


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
def test_a_home_that_the_servers_user_cannot_reach_is_kept_elsewhere_and_says_so(new_home: Path) -> None:
    closed = new_home / "root"
    closed.mkdir(mode=0o700)

    with EmbeddedServer(closed / "league", settings=SMALL) as server:
        data, notes = server.data, server.notes
    was_there = data.is_dir()
    server.wipe()

    assert was_there
    assert not data.parent.exists()
    assert not server.home.exists()
    assert SETTLED_HOME in data.parents
    assert str(data.parent) in notes[0]


def test_wiping_a_folder_in_use_is_refused(home: Path) -> None:
    with EmbeddedServer(home, settings=SMALL) as server:
        with pytest.raises(DataFolderTaken):
            EmbeddedServer(home, settings=SMALL).wipe()

        assert server.pid is not None


def _hang(server: EmbeddedServer) -> int:
    """Make a server deaf to all but force, as a full disk can."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_a_server_that_hangs_is_stopped_by_force_and_loses_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "STOPS", QUICKLY)
    with EmbeddedServer(home, settings=SMALL) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("create table fare (minor int)")
            connection.execute("insert into fare values (250)")
        pid = _hang(server)

    _until_dead(pid)
    with EmbeddedServer(home, settings=SMALL) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("select minor from fare").fetchall() == [(250,)]


def test_a_leaked_server_that_never_ends_its_stop_is_replaced(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "STOPS", QUICKLY)
    monkeypatch.setattr(embedded, "SILENCE_S", 0.5)
    owner, pid = _owner(home)
    file = home / "postgresql" / "data" / "postmaster.pid"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:7], "stopping", ""]))
    os.kill(pid, signal.SIGSTOP)
    owner.kill()
    owner.wait()

    with EmbeddedServer(home, settings=SMALL) as server:
        assert server.pid not in (None, pid)


def test_a_leaked_server_that_recovers_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedServer(home, settings=SMALL) as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("create table much as select repeat('x', 500) from generate_series(1, 200000)")
        _kill(server)
    time.sleep(0.5)  # the dead server's last processes let go of the data
    for lock in (server.data / "postmaster.pid", server.data.parent / "socket/.s.PGSQL.5432.lock"):
        lock.unlink()
    start = [server.programs / "postgres", "-D", server.data]
    user = server.data.owner()

    def leak() -> subprocess.Popen[bytes]:
        return subprocess.Popen(start, user=user, cwd="/", stderr=subprocess.DEVNULL, start_new_session=True)

    leaked = leak()
    while server.pid is None:
        if leaked.poll() is not None:  # the dead server's memory was in use yet
            leaked = leak()
        time.sleep(0.01)
    monkeypatch.setattr(embedded, "SILENCE_S", 0)

    with EmbeddedServer(home, settings=SMALL) as again:
        taken_over = again.pid
    leaked.wait()

    assert taken_over == leaked.pid


def test_an_interrupted_start_leaves_no_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedServer(home, settings=SMALL)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "_make_database", interrupt)
    with pytest.raises(KeyboardInterrupt):
        server.start()

    assert server.pid is None


def test_joining_uses_the_server_of_a_live_owner_and_leaves_it_running(home: Path) -> None:
    owner, pid = _owner(home)
    try:
        joined = EmbeddedServer(home, settings=SMALL)
        with psycopg.connect(joined.join()) as connection:
            answer = connection.execute("select 1").fetchone()
        joined.stop()

        assert answer == (1,)
        assert joined.pid == pid
    finally:
        owner.kill()
        owner.wait()


def test_joining_where_no_server_answers_is_refused(home: Path) -> None:
    with pytest.raises(DataFolderTaken, match="does not answer"):
        EmbeddedServer(home, settings=SMALL).join(wait_s=0.2)
