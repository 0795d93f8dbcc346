"""The simulated world: virtual time, chance, a network that cannot be trusted, and a database that may go away.

One thread and one seed decide everything, so the same seed gives the same story. An actor that dies loses what it had
in memory and begins again from the database; a transaction under way is rolled back.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import psycopg

from hansa.kernel import FixedClock, HansaError
from hansa.store import Context, Tx
from hansa.store.context import told_to_the_caller

STEPS_MAX = 50_000
"""Events of one seed; a world that has more does not come to rest, and that is a failure."""


class Died(BaseException):
    """The actor at work was killed here."""


@dataclass(frozen=True)
class Chances:
    """How likely each misfortune is, each time it could happen; a seed draws its own."""

    lost: float
    doubled: float
    slow: float
    died: float
    cut: float

    @classmethod
    def drawn(cls, dice: Random) -> "Chances":
        return cls(
            lost=dice.choice((0, 0.05, 0.2)),
            doubled=dice.choice((0, 0.05, 0.2)),
            slow=dice.choice((0.1, 0.5)),
            died=dice.choice((0, 0.004, 0.015)),
            cut=dice.choice((0, 0.004, 0.015)),
        )


@dataclass(order=True)
class _Event:
    at: datetime
    number: int
    whom: "Actor" = field(compare=False)
    what: str = field(compare=False)
    do: Callable[[], None] = field(compare=False)
    life: int = field(compare=False)


class Actor:
    """Someone with a memory that a death wipes. Subclasses say what is lost and how life begins again."""

    name = "actor"

    def __init__(self, world: "World") -> None:
        self.world = world
        self.life = 0
        self.is_up = True

    def die(self) -> None:
        """Lose the memory, and everything that was under way with it; come back after a while."""
        self.life += 1
        self.is_up = False
        self.forget()
        pause = timedelta(seconds=self.world.dice.choice((0, 1, 20, 300)))
        self.world.later(pause, self, "comes back", self.begin, whatever_life=True)

    def begin(self) -> None:
        self.is_up = True
        self.wake()

    def forget(self) -> None:
        """What is only in memory."""

    def wake(self) -> None:
        """The first thing to do in a new life."""


class World:
    """Time, chance and the event queue. is_calm: nothing goes wrong (again)."""

    def __init__(self, connection: Tx, seed: int, starts_at: datetime, *, trace: bool = False) -> None:
        self.connection = connection
        self.dice = Random(f"{seed} world")
        self.chances = Chances.drawn(self.dice)
        self.clock = FixedClock(starts_at)
        self.is_calm = False
        self.faults: Counter[str] = Counter()
        self.uncommitted: list[Callable[[], None]] = []
        self.at_work: Actor | None = None
        self.steps = 0
        self.ctx = Context(open_tx=self._open_tx, clock=self.clock, url="simulated")
        self._queue: list[_Event] = []
        self._numbers = count()
        self._trace = trace
        self._digest = hashlib.sha256()

    # --- the log

    def note(self, *words: object) -> None:
        """A line of the event log."""
        line = f"{self.clock.at.isoformat()} {' '.join(map(str, words))}"
        self._digest.update(line.encode() + b"\n")
        if self._trace:
            print(line)

    @property
    def digest(self) -> str:
        """What tells one story from another."""
        return self._digest.hexdigest()

    # --- chance

    def happens(self, chance: float) -> bool:
        return not self.is_calm and self.dice.random() < chance

    def misfortune(self, where: str) -> None:
        """Perhaps the actor at work dies here, or its connection to the database is cut."""
        if self.happens(self.chances.died):
            self.faults[f"died {where}"] += 1
            self.note("DIED", where)
            raise Died
        if self.happens(self.chances.cut):
            self.faults[f"cut {where}"] += 1
            self.note("CUT", where)
            raise psycopg.OperationalError(f"simulated: {where}")

    # --- the database

    @contextmanager
    def _open_tx(self) -> Generator[Tx]:
        self.misfortune("before a transaction")
        outer, self.uncommitted = self.uncommitted, []
        try:
            with self.connection.transaction():
                yield self.connection
                self.misfortune("before a commit")
            mine = self.uncommitted
        finally:
            self.uncommitted = outer
        for told in mine:
            told()
        self.misfortune("after a commit")

    @contextmanager
    def unfailing_tx(self) -> Generator[Tx]:
        """For those who only look on."""
        with self.connection.transaction():
            yield self.connection

    def on_commit(self, told: Callable[[], None]) -> None:
        """Do this when, and only if, the transaction under way is committed."""
        self.uncommitted.append(told)

    # --- time and the network

    def later(
        self, delay: timedelta, whom: Actor, what: str, do: Callable[[], None], *, whatever_life: bool = False
    ) -> None:
        """Have an actor do something later, if it lives that long."""
        life = -1 if whatever_life else whom.life
        heapq.heappush(self._queue, _Event(self.clock.at + delay, next(self._numbers), whom, what, do, life))

    def send(self, whom: Actor, what: str, do: Callable[[], None]) -> None:
        """A message: it may be lost, come twice, late, or after one that was sent later."""
        copies = 1
        if self.happens(self.chances.lost):
            self.faults["lost"] += 1
            copies = 0
        elif self.happens(self.chances.doubled):
            self.faults["doubled"] += 1
            copies = 2
        for _ in range(copies):
            delay = timedelta(milliseconds=self.dice.randint(1, 80))
            if self.happens(self.chances.slow):
                self.faults["slow"] += 1
                delay = timedelta(seconds=self.dice.choice((1, 10, 60, 900)) * self.dice.uniform(0.1, 1))
            self.later(delay, whom, what, do, whatever_life=True)

    def run(self, until: Callable[[], bool], *, ends_at: datetime | None = None) -> None:
        """Let time pass until so, or until an instant, or until nothing waits any more."""
        while self._queue and not until():
            if ends_at is not None and self._queue[0].at > ends_at:
                self.clock.at = ends_at
                return
            self.steps += 1
            assert self.steps < STEPS_MAX, "the world does not come to rest"
            event = heapq.heappop(self._queue)
            self.clock.at = max(self.clock.at, event.at)
            if event.life not in (-1, event.whom.life) or (
                not event.whom.is_up and event.what != "comes back"
            ):
                continue
            self.note(event.whom.name, event.what)
            self.attempt(event.whom, event.do)

    def attempt(self, whom: Actor, do: Callable[[], Any]) -> None:
        """Let an actor do it, and perhaps die of it. What it is told by the database it is told as in real life."""
        before, self.at_work = self.at_work, whom
        try:
            with told_to_the_caller():
                do()
        except Died:
            whom.die()
        except HansaError as error:
            if error.status < 500:
                raise
            self.note(whom.name, "was told", error.code)
        finally:
            self.at_work = before
