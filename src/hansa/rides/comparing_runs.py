"""Comparisons of tariffs that take a while: each runs in a thread of its own, and who asks again is told how far it is.

What is asked while it runs is not begun twice. What somebody had to wait for is kept for a few minutes, so that the
page that was waited for, and its table beside it, are there at once; what came at once is worked out anew each time.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Event, Lock, Semaphore, Thread
from typing import ClassVar

from hansa.kernel import HansaError
from hansa.rides.comparing import Comparison

AT_ONCE_MAX = 2
"""Comparisons that run at the same time; others wait for their turn."""

UNDER_WAY_MAX = 8
"""Comparisons that run or wait; one more is refused."""

KEPT_S = 300
"""How long a comparison that was waited for is kept after its end."""

Told = Callable[[int, int], None]
"""Told as it goes: journeys that are done, and of how many."""


class ComparisonsBusy(HansaError):
    """Too many comparisons are under way. Ask again when one has ended."""

    code: ClassVar[str] = "rides.comparisons_busy"
    status: ClassVar[int] = 429


@dataclass(frozen=True, slots=True)
class ComparisonProgress:
    """How far a comparison is. of: 0 while it waits for its turn."""

    done: int
    of: int


@dataclass(slots=True)
class _Run:
    progress: ComparisonProgress = ComparisonProgress(0, 0)
    ended: Event = field(default_factory=Event)
    ended_at: float = 0.0
    waited_for: bool = False
    result: Comparison | None = None
    error: Exception | None = None

    def told(self, done: int, of: int) -> None:
        self.progress = ComparisonProgress(done, of)


class ComparisonRuns:
    """The comparisons of one process that are under way, and those that ended a short while ago."""

    def __init__(self) -> None:
        self._lock, self._turns = Lock(), Semaphore(AT_ONCE_MAX)
        self._runs: dict[Hashable, _Run] = {}

    def ask(
        self, question: Hashable, work: Callable[[Told], Comparison], *, wait_s: float
    ) -> Comparison | ComparisonProgress:
        """The comparison, if it is there within ``wait_s`` seconds; else how far it is.

        question: the same for the same comparison. work: does it, in a thread of its own.
        Errors: those of the work; ComparisonsBusy.
        """
        with self._lock:
            self._forget_old()
            run = self._runs.get(question)
            if run is None:
                if sum(not one.ended.is_set() for one in self._runs.values()) >= UNDER_WAY_MAX:
                    raise ComparisonsBusy
                run = self._runs[question] = _Run()
                Thread(target=self._work, args=(run, work), daemon=True, name="comparison").start()
        if not run.ended.wait(wait_s):
            run.waited_for = True
            return run.progress
        if not run.waited_for:
            with self._lock:
                self._runs.pop(question, None)
        if run.error is not None:
            raise run.error
        assert run.result is not None, "a comparison ends with a result or an error"
        return run.result

    def _work(self, run: _Run, work: Callable[[Told], Comparison]) -> None:
        try:
            with self._turns:
                run.result = work(run.told)
        except Exception as error:
            run.error = error
        finally:
            run.ended_at = time.monotonic()
            run.ended.set()

    def _forget_old(self) -> None:
        now = time.monotonic()
        for question in [key for key, run in self._runs.items() if run.ended.is_set()]:
            if now - self._runs[question].ended_at > KEPT_S:
                del self._runs[question]
