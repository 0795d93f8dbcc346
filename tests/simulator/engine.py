"""The ledger's engine, taken apart: the same writer and the same SQL, and chance says when each step is done.

    take -> decide (in memory) -> rows -> head -> commit -> answer -> fold

The real one (``hansa.ledger.engine``) does these steps in threads of its own; here a step is an event, so that it can
die between any two of them, or go on as if it still were the engine after another was elected.
"""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from hansa.kernel import HansaError
from hansa.ledger import store
from hansa.ledger.batch import Batch
from hansa.ledger.engine import _as_told
from hansa.ledger.model import ResultCode
from hansa.ledger.writer import Made, Writer, fold_all
from hansa.store import Context, StoreUnavailable
from simulator.world import Actor, Died, World

AHEAD_MAX = 2
"""Blocks decided and not committed."""

Codes = list[ResultCode]
Done = Callable[[Codes | BaseException], None]


@dataclass(frozen=True)
class Request:
    batch: Batch
    done: Done
    expiring: bool


@dataclass(frozen=True)
class Decided:
    made: Made | None
    answers: list[tuple[Request, Codes]]
    at: datetime


class SimulatedEngine(Actor):
    """An engine of partition 0. told: whom it tells each batch with its codes once that is durable."""

    name = "engine"
    partition = 0

    def __init__(self, world: World, told: Callable[[Batch, Codes, datetime, bool], None]) -> None:
        super().__init__(world)
        self.told = told
        self.is_superseded = False
        self.waiting: deque[Request] = deque()
        self.decided: deque[Decided] = deque()
        self.committed: list[int] = []
        self.news: list[int] = []
        self.writer: Writer | None = None
        self.term = -1
        self.folded = 0
        self.ticking = False

    @property
    def serves(self) -> Context:
        return self.world.ctx

    # --- life

    def forget(self) -> None:
        """A death or a broken session: nothing of this memory is used again."""
        self.abandon(None)

    def abandon(self, error: BaseException | None) -> None:
        """Whoever waits is told, or finds out by not being told."""
        requests = [*self.waiting, *(request for one in self.decided for request, _ in one.answers)]
        self.waiting.clear()
        self.decided.clear()
        self.committed, self.news, self.writer = [], [], None
        for request in requests:
            if error is not None:
                request.done(error)

    def wake(self) -> None:
        if not self.is_superseded:
            self.world.attempt(self, self.take_over)
            self._tick()

    def take_over(self) -> None:
        """Be elected, fold what is not folded, and begin with an empty memory."""
        with self.world.ctx.tx() as tx:
            locked = store.lock_head(tx, self.partition)
            term = store.elect(tx, self.partition, "simulated:1")
            head = fold_all(tx, locked.head)
        self.term, self.folded = term, head.number
        self.writer = Writer(head, locked.tree, accounts_max=8)
        self.world.note("engine elected", term, "at", head.number)

    # --- doors

    def submit(self, batch: Batch, done: Done, *, expiring: bool = False) -> None:
        self.waiting.append(Request(batch, done, expiring))
        self._tick()

    def begin_post(self, batch: Batch, *, expiring: bool = False, term: int | None = None) -> "Future[Codes]":
        done: Future[Codes] = Future()
        try:
            done.set_result(self.post(batch, expiring=expiring, term=term))
        except StoreUnavailable as died:
            done.set_exception(died)
        return done

    def post(self, batch: Batch, *, expiring: bool = False, term: int | None = None) -> Codes:
        """Work until this batch is answered. Errors: StoreUnavailable."""
        answer: list[Codes | BaseException] = []
        self.submit(batch, answer.append, expiring=expiring)
        self.world.faults["engine used in process"] += 1
        for _ in range(200):
            if answer:
                if isinstance(answer[0], BaseException):
                    raise answer[0]
                return answer[0]
            self.world.attempt(self, self.turn)
            if not self.is_up:
                break
        raise StoreUnavailable("The engine died.")

    def fold(self) -> None:
        if self.committed:
            self.world.attempt(self, lambda: self._step(lambda: self._fold(len(self.committed))))

    # --- steps

    def _tick(self) -> None:
        if not self.ticking:
            self.ticking = True
            delay = timedelta(milliseconds=self.world.dice.randint(1, 40))
            self.world.later(delay, self, "turns", self._ticked, whatever_life=True)

    def _ticked(self) -> None:
        self.ticking = False
        self.turn()
        if self.waiting or self.decided or self.committed:
            self._tick()

    def turn(self) -> None:
        """One step, whichever chance says, of those that can be done."""
        if self.writer is None:
            if self.is_superseded:
                self.abandon(StoreUnavailable("Another engine keeps the ledger now."))
                return
            self.take_over()
        can: list[Callable[[], None]] = []
        if self.waiting and len(self.decided) < AHEAD_MAX:
            can += [self._decide, self._decide]
        if self.decided:
            can += [self._commit, self._commit]
        if self.committed:
            can.append(lambda: self._fold(self.world.dice.randint(1, len(self.committed))))
        if can:
            self._step(self.world.dice.choice(can))

    def _step(self, do: Callable[[], None]) -> None:
        """Do it; if it goes wrong, all memory is thrown away, as the real engine does."""
        try:
            do()
        except Died:
            raise
        except BaseException as error:
            told = _as_told(error)
            if not isinstance(told, HansaError):
                raise
            self.world.note("engine begins anew:", told.code)
            self.world.faults["engine begun anew"] += 1
            self.abandon(told)

    def _decide(self) -> None:
        dice, writer = self.world.dice, self.writer
        assert writer is not None, "there is a session"
        news, self.news = self.news, []
        for number in news:
            writer.folded(number)
        requests = [self.waiting.popleft()]
        while (
            self.waiting
            and not requests[0].expiring
            and not self.waiting[0].expiring
            and not requests[-1].batch.is_open
            and dice.random() < 0.7
        ):
            requests.append(self.waiting.popleft())
        try:
            for request in requests:
                writer.load(self.world.connection, [request.batch])
            now = self.world.clock.now()
            self.world.misfortune("while deciding")
            answers, made = writer.decide(
                [request.batch for request in requests], now, expiring=requests[0].expiring
            )
        except BaseException:
            self.waiting.extendleft(reversed(requests))
            raise
        self.decided.append(Decided(made, list(zip(requests, answers, strict=True)), self._booked_at(made)))
        self.world.note("engine decided", made and made.number, [len(codes) for codes in answers])

    def _booked_at(self, made: Made | None) -> datetime:
        return self.world.clock.now() if made is None else made.sealed.block.booked_at

    def _commit(self) -> None:
        one = self.decided[0]
        if one.made is not None:
            with self.world.ctx.tx() as tx:
                store.write_rows(tx, one.made.sealed, one.made.rows)
                self.world.misfortune("between rows and head")
                store.move_head(tx, one.made.sealed, term=self.term)
                self.world.on_commit(lambda: self._is_durable(one))
            self.committed.append(one.made.number)
            self.world.note("engine committed", one.made.number)
        elif not self._is_stale():
            self._is_durable(one)
        self.decided.popleft()
        self.world.misfortune("between commit and answer")
        for request, codes in one.answers:
            request.done(codes)

    def _is_stale(self) -> bool:
        """Another writes by now, and this one does not know yet: what it refuses it refuses by an old book."""
        return store.lock_head(self.world.connection, self.partition).term != self.term

    def _is_durable(self, one: Decided) -> None:
        for request, codes in one.answers:
            self.told(request.batch, codes, one.at, request.expiring)

    def _fold(self, blocks: int) -> None:
        number = self.committed[blocks - 1]
        with self.world.ctx.tx() as tx:
            store.fold(tx, self.partition, previous=self.folded, number=number)
            self.world.misfortune("while folding")
        self.folded = number
        del self.committed[:blocks]
        self.news.append(number)
        self.world.note("engine folded up to", number)


class Registry:
    """Which engine the processes of the city find, as ``find_engine`` tells them."""

    def __init__(self) -> None:
        self.engine: SimulatedEngine | None = None
        self._is_hidden = False

    def find(self) -> SimulatedEngine | None:
        engine = self.engine
        return engine if engine is not None and engine.is_up and not self._is_hidden else None

    @contextmanager
    def hidden(self) -> Generator[None]:
        """While this lasts, nobody finds the engine."""
        self._is_hidden = True
        try:
            yield
        finally:
            self._is_hidden = False
