"""Taking payments in together: what waits while a batch is written becomes the next batch.

A commit costs the same for one payment as for a thousand, so requests that come one by one share theirs. One thread
takes them in and answers: a process of Python computes on one core, and two threads that hand it to each other took
half as much again for each payment. Whoever was answered just now comes again soon, so a batch waits for as many as
were there before, while they keep coming: full batches cost a quarter less for each payment than small and large ones
by turns (docs/payments.md).
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from hansa.payments.paying import create
from hansa.payments.payment import Answer, NewPayment, PaymentsBusy
from hansa.store import Context

TOGETHER_MAX = 1_000
"""Payments of one batch."""

WAITING_MAX = 20_000
"""Requests that may wait for their answers, a few seconds' worth; more are told to come again."""

LULL_S = 0.004
"""A batch is closed when all of the crowd have come, or nobody has come for so long ..."""

GATHER_S = 0.015
"""... and at the latest after so long."""

CROWD = 4
"""So many or fewer are no crowd: nobody is waited for."""

Done = Callable[[Answer | BaseException], None]


def _nobody() -> None:
    """Nobody wants to know that a batch is answered."""


class Intake:
    """New payments of a process, in batches. Submit, and stop it in the end; its thread begins with the first one.

    answered: called after all answers of a batch were given, so that a loop is woken once for all.
    """

    def __init__(
        self, ctx: Context, *, waiting_max: int = WAITING_MAX, answered: Callable[[], None] = _nobody
    ) -> None:
        self._ctx = ctx
        self._waiting_max = waiting_max
        self._answered = answered
        self._count = 0
        self._crowd = 0  # who were answered last, and who waited by then: as many may come now
        self._wanted = 1  # from so many who wait on the thread is woken
        self._arrived = threading.Condition()
        self._stopping = False
        self._waiting: deque[tuple[NewPayment, Done]] = deque()
        self._thread: threading.Thread | None = None

    def submit(self, asked: NewPayment, done: Done) -> None:
        """Hand one in; ``done`` is called once, from our thread, with its answer, or with an error of the store.

        Errors: PaymentsBusy, and then ``done`` is not called.
        """
        with self._arrived:
            if self._count >= self._waiting_max or self._stopping:
                raise PaymentsBusy
            self._count += 1
            self._waiting.append((asked, done))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="payments", daemon=True)
                self._thread.start()
            if len(self._waiting) >= self._wanted:
                self._arrived.notify()

    def stop(self) -> None:
        """Answer what was handed in, and end."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while batch := self._take():
            try:
                answers: list[Answer] | list[Exception] = create(self._ctx, [one for one, _ in batch])
            except Exception as error:  # told to each who waits; sending again is harmless
                answers = [error] * len(batch)
            with self._arrived:
                self._crowd = self._count
                self._count -= len(batch)
            for (_, done), answer in zip(batch, answers, strict=True):
                done(answer)
            self._answered()

    def _take(self) -> list[tuple[NewPayment, Done]]:
        """What waits, up to a batch; waits for the first. Nothing: there is no more to come."""
        with self._arrived:
            self._wanted = 1
            while not self._waiting and not self._stopping:
                self._arrived.wait()
            if self._crowd > CROWD:
                self._gather()
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER_MAX))]

    def _gather(self) -> None:
        """Wait until all of the crowd are here, or nobody comes any more."""
        until = time.monotonic() + GATHER_S
        self._wanted = min(self._crowd, TOGETHER_MAX)
        while len(self._waiting) < self._wanted and not self._stopping and time.monotonic() < until:
            here = len(self._waiting)
            if not self._arrived.wait(LULL_S) and len(self._waiting) == here:
                break
