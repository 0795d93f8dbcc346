"""The engine: one partition's writer, kept in memory, committing blocks of whatever arrived meanwhile.

    submit -> [decide block n+1 in memory] -> [commit block n] -> answers
                                                 \\-> every second or so: fold into accounts, holds and entries,
                                                     or, where very many accounts are touched, into a run

Deciding and committing overlap, so PostgreSQL and Python work at the same time; an answer is given only after the
commit of all that it rests on. An engine is elected by a lock that dies with its connection, and fenced by the
head's number and term: a block counts only if it moved the head of this very term on by one. When anything goes
wrong between memory and database, the memory is thrown away and read again from what was committed.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Queue
from typing import ClassVar

import psycopg

from hansa.kernel import HansaError
from hansa.ledger import store
from hansa.ledger.batch import Batch
from hansa.ledger.blocks import Sign
from hansa.ledger.folding import Sides, folding, run_rows
from hansa.ledger.mail import answer_waiting_mail
from hansa.ledger.model import ResultCode
from hansa.ledger.store import Deposed
from hansa.ledger.writer import ACCOUNTS_MAX, Made, Writer, fold_all
from hansa.store import SESSION, Context, StoreUnavailable, Tx, told_to_the_caller

log = logging.getLogger(__name__)

BLOCK_MAX = 32_768
"""Transfers of one block, unless a single batch has more."""

LANES = 2
"""Connections that write blocks: the rows of one go in while the one before is being made durable."""

BIG = 1_024
"""From so many transfers on a block's rows go in before its turn; a smaller one gains more by gathering a while."""

Codes = list[ResultCode]
Done = Callable[[Codes | BaseException], None]


class EngineTaken(HansaError):
    """Another engine keeps this partition. Stop that one first, or hand transfers to it: ``ledger.post`` does."""

    code: ClassVar[str] = "ledger.engine_taken"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How an engine folds and how much it keeps.

    fold_every_s, fold_transfers: fold when the oldest unfolded block is so old, or when so many transfers wait.
    fold_accounts, fold_touches: beyond so many touched accounts write a run instead, until there are so many sides of
    transfers for each of them on average, or ``runs_max`` transfers in runs, or nothing else to do for ``idle_s``.
    unfolded_max: take no more while so many transfers wait to be folded or for a run. accounts_max: accounts kept in
    memory. wait_s: how long a batch waits while the database is away before it is told so.
    """

    fold_every_s: float = 2.0
    fold_transfers: int = 400_000
    fold_accounts: int = 50_000
    fold_touches: int = 16
    runs_max: int = 4_000_000
    idle_s: float = 5.0
    unfolded_max: int = 2_000_000
    accounts_max: int = ACCOUNTS_MAX
    block_max: int = BLOCK_MAX
    wait_s: float = 10.0


@dataclass(frozen=True, slots=True)
class _Request:
    """A batch that waits for its answer.

    expiring: the ledger's own, ending holds. term: the only one that it is good for; None is any. sent: set once
    PostgreSQL has its block and writes it.
    """

    batch: Batch
    done: Done
    expiring: bool = False
    term: int | None = None
    sent: threading.Event | None = None
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Decided:
    """A block on its way to the disk, if anything is booked, and the answers that wait for it.

    turn: its place in the order in which blocks are committed and answers given.
    """

    turn: int
    made: Made | None
    answers: list[tuple[_Request, Codes]]

    def tell_sent(self) -> None:
        """Tell whoever waits for it that PostgreSQL has the block and writes it."""
        for request, _ in self.answers:
            if request.sent is not None:
                request.sent.set()


@dataclass(slots=True)
class Figures:
    """What an engine has done since it began, and how it stands. unfolded: transfers neither folded nor in a run."""

    blocks: int = 0
    transfers: int = 0
    folds: int = 0
    runs: int = 0
    unfolded: int = 0
    waiting: int = 0
    restarts: int = 0
    accounts: int = 0


class Engine:
    """A partition's one writer. Start it, submit or post, stop it; or use it in a ``with``.

    sign: signs each block's checkpoint with the city's key. preload: read the accounts in at the start.
    """

    def __init__(
        self,
        ctx: Context,
        partition: int = 0,
        *,
        sign: Sign | None = None,
        pace: Pace | None = None,
        preload: bool = False,
    ) -> None:
        self.partition = partition
        self.figures = Figures()
        self._ctx = ctx
        self._sign = sign
        self._pace = pace or Pace()
        self._preload = preload
        self._waiting: deque[_Request] = deque()
        self._arrived = threading.Condition()
        self._stopping = False
        self._running = False
        self._threads: list[threading.Thread] = []
        self._session: _Session | None = None

    # --- life

    def __enter__(self) -> "Engine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Become the partition's writer and read in where it stands.

        Errors: EngineTaken; StoreUnavailable.
        """
        assert not self._running, "an engine starts once"
        self._session = self._open()
        self._running = True
        register(self)
        self._threads = [
            threading.Thread(target=work, name=f"ledger-{self.partition}-{name}", daemon=True)
            for name, work in (("writer", self._write), ("mail", self._read_mail))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Answer what was submitted, fold everything, and give the partition up. Stopping again does nothing."""
        with self._arrived:
            if self._stopping or not self._running:
                return
            self._stopping = True
            self._arrived.notify_all()
        unregister(self)
        for thread in self._threads:
            thread.join()
        self._running = False

    # --- doors

    def submit(
        self,
        batch: Batch,
        done: Done,
        *,
        expiring: bool = False,
        term: int | None = None,
        sent: threading.Event | None = None,
    ) -> None:
        """Hand a batch in; ``done`` is called once, from a thread of the engine, with its codes or an error.

        sent: set between, once PostgreSQL has its block and writes it; not of a large one, nor where nothing is booked.
        Errors, given to ``done``: StoreUnavailable, StoreFull; then post the same again.
        """
        request = _Request(batch, done, expiring, term, sent)
        with self._arrived:
            if self._running and not self._stopping:
                self._waiting.append(request)
                self._arrived.notify()
                return
        done(StoreUnavailable("The ledger is stopping. Send the same request again."))

    def post(self, batch: Batch, *, expiring: bool = False, term: int | None = None) -> Codes:
        """Hand a batch in and wait for its codes. Errors: StoreUnavailable, StoreFull; then post the same again.

        term: refuse it in any other term of this engine.
        """
        return self.begin_post(batch, expiring=expiring, term=term).result()

    def begin_post(self, batch: Batch, *, expiring: bool = False, term: int | None = None) -> "Future[Codes]":
        """Hand a batch in; comes back when PostgreSQL has its block; its codes, or an error as of ``post``, come later.

        So whoever has something to do meanwhile does it while PostgreSQL writes, and does not keep the engine from
        deciding: Python computes in one thread at a time.
        """
        future: Future[Codes] = Future()
        sent = threading.Event()

        def done(answer: Codes | BaseException) -> None:
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
            sent.set()

        self.submit(batch, done, expiring=expiring, term=term, sent=sent)
        sent.wait()
        return future

    def fold(self) -> None:
        """Have all that is committed now folded, and wait for it."""
        session = self._session
        if session is not None:
            session.fold_now()

    def settle(self) -> None:
        """Have all that is committed now folded or, with very many accounts, in a run, and wait for it."""
        session = self._session
        if session is not None:
            session.settle_now()

    @property
    def lives(self) -> bool:
        """Whether it still takes batches: it was started, and neither stopped nor gave its partition up."""
        return self._running and not self._stopping

    @property
    def term(self) -> int | None:
        """The number of the election that it works by; None while it has none."""
        session = self._session
        return None if session is None else session.term

    @property
    def serves(self) -> Context:
        """The database, and the clock, that this engine is for."""
        return self._ctx

    # --- the writer's thread

    def _write(self) -> None:
        """Serve one session after another until told to stop: a broken one is replaced by a fresh one."""
        pause_s = 0.05
        while True:
            session = self._session
            try:
                if session is None:
                    session = self._session = self._open()
                    self.figures.restarts += 1
                    pause_s = 0.05
                self._serve(session)
                session.close()
                self._refuse_waiting(StoreUnavailable("The ledger is stopping."))
                return
            except EngineTaken:
                log.error("Partition %s has another engine now; this one ends.", self.partition)
                self._end()
                return
            except Exception as error:
                told = _as_told(error)
                if session is not None:
                    session.abandon(told)
                self._session = None
                if not isinstance(told, HansaError):
                    log.exception("The engine of partition %s begins anew.", self.partition)
                self._refuse_waiting(told, older_than_s=0 if self._stopping else self._pace.wait_s)
                if self._stopping:
                    return
                time.sleep(pause_s)
                pause_s = min(1.0, pause_s * 2)

    def _open(self) -> "_Session":
        return _Session(self)

    def _serve(self, session: "_Session") -> None:
        while True:
            session.wait_for_room()
            requests = self._take(session)
            if requests is None:
                session.finish()
                return
            session.decide(requests)

    def _take(self, session: "_Session") -> list[_Request] | None:
        """Whatever has arrived, up to a block; waits for the first. None: there is nothing more to come."""
        with self._arrived:
            while not self._waiting:
                if self._stopping:
                    return None
                session.check()
                self._arrived.wait(0.2)
            session.check()
            taken = [self._waiting.popleft()]
            count = len(taken[0].batch)
            while self._waiting and not taken[0].expiring and not taken[-1].batch.is_open:
                request = self._waiting[0]
                count += len(request.batch)
                if count > self._pace.block_max or request.expiring:
                    break
                taken.append(self._waiting.popleft())
            self.figures.waiting = len(self._waiting)
            return taken

    def _refuse_waiting(self, error: BaseException, older_than_s: float = 0) -> None:
        with self._arrived:
            now = time.monotonic()
            old = [request for request in self._waiting if now - request.since >= older_than_s]
            self._waiting = deque(request for request in self._waiting if now - request.since < older_than_s)
        for request in old:
            request.done(error)

    def _end(self) -> None:
        """Stop without a session: someone else is the writer."""
        unregister(self)
        with self._arrived:
            self._stopping = True
        self._refuse_waiting(StoreUnavailable("Another engine keeps the ledger now. Send the same again."))

    # --- the mail's thread

    def _read_mail(self) -> None:
        """Take in batches from other processes, woken by a notice, or by the clock should one be missed."""
        while not self._stopping:
            try:
                with psycopg.connect(self._ctx.url, autocommit=True) as connection:
                    while not self._stopping:
                        answer_waiting_mail(connection, self)
            except psycopg.Error:
                time.sleep(0.2)
            except Exception:
                log.exception("Reading the mail of partition %s failed; it is tried again.", self.partition)
                time.sleep(1.0)


class _Session:
    """From an election to the next misfortune: connections, the book in memory, the block under way, the fold."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pace = engine._pace
        self._error: BaseException | None = None
        self._room = threading.Semaphore(1)
        self._decided: Queue[_Decided | None] = Queue()
        self._lock = threading.Condition()
        self._committed_news = 0
        self._folded_news = 0
        self._turns_given = 0
        self._turns_done = 0
        self._reads: Tx | None = None
        self._folds: Tx | None = None
        with told_to_the_caller():
            self._lanes = [_connect(engine.serves)]
            try:
                self._lanes += [_connect(engine.serves) for _ in range(LANES - 1)]
                self._reads, self._folds = _connect(engine.serves), _connect(engine.serves)
                for lane in self._lanes:
                    store.prepare_commits(lane)
                # While statistics are young, a plan made for one array of ids reads a whole index, not each by itself.
                self._reads.execute("set plan_cache_mode to 'force_generic_plan'")
                self._take_over()
            except BaseException:
                self.close()
                raise
        name = f"ledger-{engine.partition}"
        self._committers = [
            threading.Thread(target=self._commit, args=(lane,), name=f"{name}-commit", daemon=True)
            for lane in self._lanes
        ]
        self._folder = threading.Thread(target=self._fold, name=f"{name}-fold", daemon=True)
        for thread in (*self._committers, self._folder):
            thread.start()

    def _take_over(self) -> None:
        engine = self._engine
        first = self._lanes[0]
        if not store.try_engine_lock(first, engine.partition):
            raise EngineTaken
        with first.transaction():
            locked = store.lock_head(first, engine.partition)
            self.term = store.elect(first, engine.partition, _name())
            head = fold_all(first, locked.head)
            store.forget_mail(first, engine.partition)
        self._writer = Writer(head, locked.tree, sign=engine._sign, accounts_max=self._pace.accounts_max)
        if engine._preload and self._reads is not None:
            with self._reads.transaction():
                self._writer.preload(self._reads)
        engine.figures.unfolded = 0
        engine.figures.accounts = len(self._writer.accounts)
        self._folded = self._settled = head.number
        self._committed: deque[_Committed] = deque()  # neither folded nor in a run
        self._in_runs: deque[_Committed] = deque()  # not folded yet
        self._wanted_fold = self._wanted_settled = 0
        self._ending = False

    # --- called by the writer's thread

    def wait_for_room(self) -> None:
        """Wait until the block decided last has begun its commit, and until the fold has come near."""
        while not self._room.acquire(timeout=0.2):
            self.check()
        with self._lock:
            while self._engine.figures.unfolded > self._pace.unfolded_max and self._error is None:
                self._lock.wait(0.2)
        self.check()

    def check(self) -> None:
        """Errors: whatever went wrong in the other threads."""
        if self._error is not None:
            raise self._error

    def decide(self, requests: Sequence[_Request]) -> None:
        writer, reads = self._writer, self._reads
        assert reads is not None, "the session is open"
        with self._lock:
            committed, folded = self._committed_news, self._folded_news
            self._folded_news = 0
        if folded:
            writer.folded(folded)
        writer.committed(committed)
        for request in requests:
            if request.term not in (None, self.term):
                request.done(StoreUnavailable("The ledger began anew. Send the same request again."))
        requests = [request for request in requests if request.term in (None, self.term)]
        if not requests:
            self._room.release()
            return
        batches = [request.batch for request in requests]
        try:
            writer.load(reads, batches)
            answers, made = writer.decide(
                batches, self._engine.serves.clock.now(), expiring=requests[0].expiring
            )
        except BaseException as error:
            for request in requests:
                request.done(_as_told(error))
            raise
        self._engine.figures.accounts = len(writer.accounts)
        self._decided.put(_Decided(self._turns_given, made, list(zip(requests, answers, strict=True))))
        self._turns_given += 1

    def finish(self) -> None:
        """All is decided: commit it, fold it, and give the partition up."""
        for _ in self._committers:
            self._decided.put(None)
        for thread in self._committers:
            thread.join()
        self.check()
        self.fold_now()
        self.check()
        with self._lock:
            self._ending = True
            self._lock.notify_all()
        self._folder.join()
        with self._lanes[0].transaction():
            store.resign(self._lanes[0], self._engine.partition, self.term)

    def close(self) -> None:
        for connection in (*self._lanes, self._reads, self._folds):
            if connection is not None:
                connection.close()

    def abandon(self, error: BaseException) -> None:
        """Something went wrong: whatever is under way is told, and nothing of this memory is used again."""
        self._break(error)
        for _ in self._committers:
            self._decided.put(None)
        for thread in (*self._committers, self._folder):
            thread.join(timeout=30)
        self.close()

    def _break(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
            self._lock.notify_all()
        self._room.release()

    # --- the committers' threads

    def _commit(self, lane: Tx) -> None:
        while (decided := self._decided.get()) is not None:
            made = decided.made
            try:
                if made is not None and made.transfers >= BIG:
                    self._room.release()
                    with lane.transaction():
                        store.write_rows(lane, made.sealed, made.rows)
                        self._wait_for_turn(decided)
                        store.move_head(lane, made.sealed, term=self.term)
                else:
                    self._wait_for_turn(decided)
                    self._room.release()
                    if made is not None:
                        store.commit_block(
                            lane, made.sealed, made.rows, term=self.term, sent=decided.tell_sent
                        )
                    else:  # a refusal rests on the book too, which is worth nothing once another is the writer
                        store.check_term(lane, self._engine.partition, self.term)
            except Exception as error:
                self._break(_as_told(error))
            self._done(decided)

    def _wait_for_turn(self, decided: _Decided) -> None:
        """Wait until all that was decided before is committed and answered. Errors: what stopped it from being so."""
        with self._lock:
            while self._turns_done < decided.turn and self._error is None:
                self._lock.wait(0.2)
        self.check()

    def _done(self, decided: _Decided) -> None:
        """Let the next one have its turn, then answer: with codes, or with what went wrong."""
        made, figures = decided.made, self._engine.figures
        with self._lock:
            error = self._error
            self._turns_done = max(self._turns_done, decided.turn + 1)
            if error is None and made is not None:
                figures.blocks += 1
                figures.transfers += made.transfers
                figures.unfolded += made.transfers
                self._committed.append(
                    _Committed(made.number, made.transfers, time.monotonic(), made.sides, made.holds)
                )
                self._committed_news = made.number
            self._lock.notify_all()
        for request, codes in decided.answers:
            request.done(codes if error is None else error)

    # --- the folder's thread

    def fold_now(self) -> None:
        with self._lock:
            last = self._last()
            self._wanted_fold = max(self._wanted_fold, last)
            self._lock.notify_all()
            while self._folded < last and self._error is None:
                self._lock.wait(0.2)

    def settle_now(self) -> None:
        with self._lock:
            last = self._last()
            self._wanted_settled = max(self._wanted_settled, last)
            self._lock.notify_all()
            while self._settled < last and self._error is None:
                self._lock.wait(0.2)

    def _last(self) -> int:
        """The last block that is committed."""
        return self._committed[-1].number if self._committed else self._settled

    def _fold(self) -> None:
        while True:
            with self._lock:
                step = self._next_step()
                while step is None and self._error is None and not self._ending:
                    self._lock.wait(0.05)
                    step = self._next_step()
                if step is None:
                    return
            try:
                step.work(step.blocks)
            except Exception as error:
                log.exception("Folding partition %s failed.", self._engine.partition)
                self._break(_as_told(error))
                return

    def _next_step(self) -> "_Step | None":
        """What to fold now, or to write a run of, or None. At most about ``fold_transfers`` of new ones at a time."""
        pace, unfolded = self._pace, self._engine.figures.unfolded
        settled = [*self._in_runs]
        wanted = self._wanted_fold > self._folded
        if not self._committed:
            if not settled:
                return None
            idle = time.monotonic() - settled[-1].since >= pace.fold_every_s + pace.idle_s
            return _Step(self._fold_blocks, _up_to(settled, pace.fold_transfers)) if wanted or idle else None
        old = time.monotonic() - self._committed[0].since >= pace.fold_every_s
        if not (old or unfolded >= pace.fold_transfers or wanted or self._wanted_settled > self._settled):
            return None
        new = _up_to(self._committed, pace.fold_transfers)
        transfers = sum(block.transfers for block in (*settled, *new))
        accounts = self._writer.accounts.count_touched_after(self._folded)
        if (
            wanted
            or accounts <= max(pace.fold_accounts, 2 * transfers // pace.fold_touches)
            or any(block.sides is None for block in new)
        ):
            return _Step(self._fold_blocks, [*settled, *new])
        holds = any(
            block.holds for block in (*settled, *new)
        )  # they are kept in memory until they are folded
        if settled and transfers > (pace.runs_max // 8 if holds else pace.runs_max):
            return _Step(self._fold_blocks, settled)
        return _Step(self._write_run, new)

    def _fold_blocks(self, blocks: "Sequence[_Committed]") -> None:
        folds, partition, number = self._folds, self._engine.partition, blocks[-1].number
        assert folds is not None, "the session is open"
        known = [(block.number, block.sides) for block in blocks if block.sides is not None]
        with folds.transaction():
            if len(known) == len(blocks):
                store.fold_given(
                    folds,
                    partition,
                    folding(partition, known, self._writer.accounts.ids),
                    previous=self._folded,
                    number=number,
                    holds=any(block.holds for block in blocks),
                )
            else:
                store.fold(folds, partition, previous=self._folded, number=number)
        with self._lock:
            self._folded = self._folded_news = number
            while self._in_runs and self._in_runs[0].number <= number:
                self._in_runs.popleft()
            self._settle_up_to(number)
            self._engine.figures.folds += 1
            self._lock.notify_all()

    def _write_run(self, blocks: "Sequence[_Committed]") -> None:
        folds, partition, number = self._folds, self._engine.partition, blocks[-1].number
        assert folds is not None, "the session is open"
        known = [(block.number, block.sides) for block in blocks if block.sides is not None]
        rows = run_rows(partition, number, known, self._writer.accounts.ids)
        with folds.transaction():
            store.write_run(
                folds, partition, rows, previous=self._settled, number=number, folded=self._folded
            )
        transfers = sum(block.transfers for block in blocks)
        with self._lock:
            in_runs = sum(block.transfers for block in self._in_runs)
            keep = in_runs + transfers <= self._pace.unfolded_max  # what is known of them takes memory
            holds = any(block.holds for block in blocks)
            if keep:
                self._in_runs += blocks
            else:
                self._in_runs.append(_Committed(number, transfers, blocks[-1].since, None, holds))
            self._settle_up_to(number)
            self._engine.figures.runs += 1
            self._lock.notify_all()

    def _settle_up_to(self, number: int) -> None:
        self._settled = max(self._settled, number)
        while self._committed and self._committed[0].number <= number:
            self._engine.figures.unfolded -= self._committed.popleft().transfers


@dataclass(frozen=True, slots=True)
class _Committed:
    """A block that is durable, and when it came to be so. sides, holds: as in ``Made``."""

    number: int
    transfers: int
    since: float
    sides: Sides | None
    holds: bool


@dataclass(frozen=True, slots=True)
class _Step:
    """What the folder's thread does next."""

    work: "Callable[[Sequence[_Committed]], None]"
    blocks: "Sequence[_Committed]"


def _up_to(blocks: "Iterable[_Committed]", transfers: int) -> "list[_Committed]":
    """The first of the blocks, until they have so many transfers."""
    found: list[_Committed] = []
    for block in blocks:
        found.append(block)
        transfers -= block.transfers
        if transfers <= 0:
            break
    return found


def _connect(ctx: Context) -> Tx:
    connection = psycopg.connect(ctx.url, autocommit=True, application_name="hansa ledger")
    connection.execute(SESSION)
    return connection


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _as_told(error: BaseException) -> BaseException:
    """The error in the words that callers know."""
    if isinstance(error, Deposed):
        return StoreUnavailable("Another engine keeps the ledger now. Send the same request again.")
    try:
        with told_to_the_caller():
            raise error
    except BaseException as told:
        return told


# --- which engines run in this process

_engines: dict[tuple[str, int], Engine] = {}
_engines_lock = threading.Lock()


def register(engine: Engine) -> None:
    with _engines_lock:
        _engines[engine.serves.url, engine.partition] = engine


def unregister(engine: Engine) -> None:
    with _engines_lock:
        if _engines.get((engine.serves.url, engine.partition)) is engine:
            del _engines[engine.serves.url, engine.partition]


def find_engine(ctx: Context, partition: int) -> Engine | None:
    """The engine in this process that keeps this partition of this database, or None."""
    return _engines.get((ctx.url, partition)) if ctx.url else None
