"""The sandbox's clock: this machine's own time, and as much more as its developer set it on."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import ClassVar

from hansa.kernel import HansaError, InvalidInput, Problem

AHEAD_MAX = timedelta(days=3_660)


class NoSandbox(HansaError):
    """This Hansa is no sandbox, so its clock cannot be set. Start one with ``hansa sandbox``."""

    code: ClassVar[str] = "sandbox.none_here"
    status: ClassVar[int] = 404


class SandboxClock:
    """A clock that goes on by itself and is set on by hand, never back. file: keeps how far, so that a restart does."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock()
        self._ahead = timedelta()
        if file.exists():
            self._ahead = timedelta(seconds=float(json.loads(file.read_text(encoding="utf-8"))["ahead_s"]))

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of this machine's time."""
        return self._ahead

    def advance(self, by: timedelta) -> datetime:
        """Set it on; gives the time then. Errors: InvalidInput for less than nothing, or for ten years altogether."""
        with self._lock:
            if by < timedelta() or self._ahead + by > AHEAD_MAX:
                problem = Problem(
                    "advance_s", f"it would be {self._ahead + by} ahead", "Set it on, by ten years at most"
                )
                raise InvalidInput("The clock cannot be set so.", problems=(problem,))
            ahead = self._ahead + by
            self._file.parent.mkdir(parents=True, exist_ok=True)
            written = self._file.with_suffix(".new")
            written.write_text(json.dumps({"ahead_s": ahead.total_seconds()}), encoding="utf-8")
            os.replace(written, self._file)
            self._ahead = ahead
            return self.now()
