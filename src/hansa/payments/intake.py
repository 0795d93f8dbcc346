"""Taking payments in together: what waits while a batch is written becomes the next batch.

A commit costs the same for one payment as for a thousand, so requests that come one by one share theirs. One thread
takes them in and answers: a process of Python computes on one core, and two threads that hand it to each other took
half as much again for each payment. Whoever was answered just now comes again soon, so while others keep coming a
batch waits for them: full batches cost a quarter less for each payment than small and large ones by turns
(docs/payments.md).
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

LULL_S = 0.001
"""A batch is closed when nobody has come for so long ..."""

GATHER_S = 0.015
"""... and at the latest after so long."""

CROWD = 4
"""After a batch of no more than so many nobody is waited for: there is no crowd that would come."""

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
            self._arrived.notify()

    def stop(self) -> None:
        """Answer what was handed in, and end."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        size = 0
        while batch := self._take(size):
            size = len(batch)
            try:
                answers: list[Answer] | list[Exception] = create(self._ctx, [one for one, _ in batch])
            except Exception as error:  # told to each who waits; sending again is harmless
                answers = [error] * len(batch)
            with self._arrived:
                self._count -= len(batch)
            for (_, done), answer in zip(batch, answers, strict=True):
                done(answer)
            self._answered()

    def _take(self, before: int) -> list[tuple[NewPayment, Done]]:
        """What waits, up to a batch; waits for the first. Nothing: there is no more to come. before: the last batch."""
        with self._arrived:
            while not self._waiting and not self._stopping:
                self._arrived.wait()
        if before > CROWD:
            self._gather()
        with self._arrived:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER_MAX))]

    def _gather(self) -> None:
        """Wait until nobody comes any more."""
        until = time.monotonic() + GATHER_S
        came = 0
        while came < len(self._waiting) < TOGETHER_MAX and not self._stopping and time.monotonic() < until:
            came = len(self._waiting)
            time.sleep(LULL_S)
