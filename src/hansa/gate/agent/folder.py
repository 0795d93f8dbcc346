"""The folder that a gate keeps: one program at a time owns it, files are written whole, broken ones are kept aside."""

import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from hansa.kernel import HansaError

BROKEN_MAX = 5
"""Broken files that are kept to be looked at; more are let go, the oldest first."""

_WITH_SQLITE = ("", "-wal", "-shm")


class FolderTaken(HansaError):
    """Another gate program works in this folder. Stop it first, or give this one a folder of its own."""

    code: ClassVar[str] = "gate.folder_taken"
    status: ClassVar[int] = 409


class FolderUnusable(HansaError):
    """The gate's folder cannot be made or written. Check the path, its owner and the disk."""

    code: ClassVar[str] = "gate.folder_unusable"
    status: ClassVar[int] = 507


class Folder:
    """A gate's folder, owned until ``close`` or the end of the process. Errors: FolderTaken, FolderUnusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderUnusable(f"The gate's folder {path} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise FolderTaken(f"Another gate program works in {path}. Stop it first.") from error

    def close(self) -> None:
        """Let another program have it."""
        os.close(self._lock)

    def file(self, name: str) -> Path:
        """Where a file of this name lies."""
        return self.path / name

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None where there is none. Errors: FolderUnusable."""
        try:
            return self.file(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FolderUnusable(f"{self.file(name)} cannot be read: {error.strerror}.") from error

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole: after a power cut there is the old one or the new one. Errors: FolderUnusable."""
        draft = self.file(f"{name}.draft")
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.file(name))
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise FolderUnusable(f"{self.file(name)} cannot be written: {error.strerror}.") from error

    def put_aside(self, name: str, stamp: int) -> None:
        """Move a broken file, with what SQLite keeps beside it, to ``broken/``.

        stamp: seconds since 1970, part of its new name. Errors: FolderUnusable.
        """
        self._keep_broken(name, stamp, lambda here, there: here.replace(there))

    def copy_aside(self, name: str, stamp: int) -> None:
        """Copy a broken file to ``broken/``, and leave it where it is. Errors: FolderUnusable."""
        self._keep_broken(name, stamp, lambda here, there: shutil.copy2(here, there))

    def _keep_broken(self, name: str, stamp: int, keep: Callable[[Path, Path], object]) -> None:
        broken = self.path / "broken"
        try:
            broken.mkdir(mode=0o700, exist_ok=True)
            for ending in _WITH_SQLITE:
                with suppress(FileNotFoundError):
                    keep(self.file(name + ending), broken / f"{stamp:012}.{name}{ending}")
            stamps = sorted({path.name.partition(".")[0] for path in broken.iterdir()})
            for old in stamps[:-BROKEN_MAX]:
                for path in broken.glob(f"{old}.*"):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise FolderUnusable(f"{self.file(name)} cannot be put aside: {error.strerror}.") from error
