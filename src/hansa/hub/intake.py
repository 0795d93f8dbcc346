"""Taking payments in together: what waits while a batch is written becomes the next batch.

A commit costs the same for one payment as for a thousand, so requests that come one by one share theirs. Two threads
work: one prepares, the other fulfils and aborts. Answers come back from these threads.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hansa.hub.model import Abort, Answer, Fulfil, HubBusy, Prepare
from hansa.hub.payments import abort, fulfil, prepare
from hansa.store import Context

TOGETHER_MAX = 1_000
"""Payments of one batch."""

WAITING_MAX = 20_000
"""Requests that may wait for their answers, a few seconds' worth; more are told to come again."""

Done = Callable[[Answer | BaseException], None]


def _nobody() -> None:
    """Nobody wants to know that a batch is answered."""


class Intake:
    """Payments of a process, in batches. Submit, and stop it in the end; its threads begin with the first submission.

    answered: called after all answers of a batch were given, so that a loop is woken once for all.
    """

    def __init__(
        self, ctx: Context, *, waiting_max: int = WAITING_MAX, answered: Callable[[], None] = _nobody
    ) -> None:
        self._ctx = ctx
        self._waiting_max = waiting_max
        self._answered = answered
        self._count = 0
        self._arrived = threading.Condition()
        self._stopping = False
        self._prepares: deque[tuple[Prepare, Done]] = deque()
        self._ends: deque[tuple[Fulfil | Abort, Done]] = deque()
        self._threads: list[threading.Thread] = []

    def submit(self, asked: Prepare | Fulfil | Abort, done: Done) -> None:
        """Hand one in; ``done`` is called once, from a thread of ours, with its answer, or with an error of the store.

        Errors: HubBusy, and then ``done`` is not called.
        """
        with self._arrived:
            if self._count >= self._waiting_max or self._stopping:
                raise HubBusy
            self._count += 1
            if isinstance(asked, Prepare):
                self._prepares.append((asked, done))
            else:
                self._ends.append((asked, done))
            if not self._threads:
                self._start()
            self._arrived.notify_all()

    def stop(self) -> None:
        """Answer what was handed in, and end."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify_all()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        self._threads = [
            threading.Thread(target=work, name=f"hub-{name}", daemon=True)
            for name, work in (("prepares", self._prepare), ("ends", self._end))
        ]
        for thread in self._threads:
            thread.start()

    def _prepare(self) -> None:
        while batch := self._take(self._prepares):
            self._answer(batch, lambda asked: prepare(self._ctx, asked))

    def _end(self) -> None:
        while batch := self._take(self._ends):
            fulfils = [(one, done) for one, done in batch if isinstance(one, Fulfil)]
            aborts = [(one, done) for one, done in batch if isinstance(one, Abort)]
            if fulfils:
                self._answer(fulfils, lambda asked: fulfil(self._ctx, asked))
            if aborts:
                self._answer(aborts, lambda asked: abort(self._ctx, asked))

    def _take(self, waiting: deque[tuple[Any, Done]]) -> list[tuple[Any, Done]]:
        """What waits, up to a batch; waits for the first. Nothing: there is no more to come."""
        with self._arrived:
            while not waiting and not self._stopping:
                self._arrived.wait()
            return [waiting.popleft() for _ in range(min(len(waiting), TOGETHER_MAX))]

    def _answer(
        self, batch: Sequence[tuple[Any, Done]], work: Callable[[list[Any]], Sequence[Answer]]
    ) -> None:
        try:
            answers: Sequence[Answer | BaseException] = work([one for one, _ in batch])
        except Exception as error:  # told to each who waits; sending again is harmless
            answers = [error] * len(batch)
        with self._arrived:
            self._count -= len(batch)
        for (_, done), answer in zip(batch, answers, strict=True):
            done(answer)
        self._answered()
