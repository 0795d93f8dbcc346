"""What the torture and the simulator have found, each with the least that shows it."""

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psycopg
import pytest

from hansa import ledger
from hansa.ledger import mail, store
from hansa.ledger.batch import batch_of
from hansa.store import Context, StoreUnavailable, Tx
from ledger.books import Books, a_transfer

Codes = list[ledger.ResultCode]


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft", shop="free")
    return books


@pytest.fixture
def hung_engine(books: Books) -> Generator[Tx]:
    """A connection that is the partition's engine and does nothing; closing it is its death."""
    with psycopg.connect(books.ctx.url, autocommit=True) as connection:
        assert store.try_engine_lock(connection, 0)
        store.elect(connection, 0, "hung:1")
        yield connection


def test_a_transfer_refused_in_the_end_is_not_booked_by_an_old_letter(books: Books, hung_engine: Tx) -> None:
    fare = a_transfer("fare", "ann", "shop", 50)
    with pytest.raises(StoreUnavailable):
        mail.hand_over(books.ctx, 0, batch_of([fare]), wait_s=0.1)
    hung_engine.close()
    while books.post(fare) != ["exceeds_credits"]:
        time.sleep(0.01)
    books.fund("ann", 100)

    with ledger.Engine(books.ctx) as engine:
        time.sleep(0.3)
        engine.fold()

    with books.ctx.tx() as tx:
        assert ledger.find_transfer(tx, fare.transfer_id) is None


def test_whoever_looks_for_an_engine_does_not_keep_one_from_starting(books: Books) -> None:
    with books.ctx.tx() as tx:
        assert not store.engine_lives(tx, 0)

        with ledger.Engine(books.ctx) as engine:
            assert ledger.find_engine(books.ctx, 0) is engine


def test_a_chain_left_open_takes_nobody_elses_transfer_into_it(books: Books) -> None:
    """Batches that arrive together become one block, and are decided as if each were alone."""
    answers: list[Codes | BaseException] = []
    told = Event()

    def done(answer: Codes | BaseException) -> None:
        answers.append(answer)
        if len(answers) == 80:
            told.set()

    with ledger.Engine(books.ctx) as engine:
        for number in range(40):
            engine.submit(batch_of([a_transfer(f"open {number}", "bank", "ann", 1, "linked")]), done)
            engine.submit(batch_of([a_transfer(f"alone {number}", "bank", "ann", 1)]), done)
        assert told.wait(60)

    assert answers == [["linked_event_chain_open"], ["created"]] * 40


def test_a_fold_waits_for_another_and_does_not_repeat_it(books: Books) -> None:
    """An engine that was killed may still be folding, in the server, when the next writer begins."""
    with ledger.Engine(books.ctx, pace=ledger.Pace(fold_every_s=60)) as engine:
        engine.post(batch_of([a_transfer("hold", "bank", "ann", 7, "pending")]))
        engine.fold()
        engine.post(batch_of([a_transfer("end", "-", "-", 0, "void of:hold", currency="", code=0)]))
        with psycopg.connect(books.ctx.url) as dying, psycopg.connect(books.ctx.url) as next_one:
            store.fold(dying, 0, previous=1, number=2)
            with ThreadPoolExecutor(1) as pool:
                second = pool.submit(store.fold, next_one, 0, previous=1, number=2)
                time.sleep(0.1)
                assert not second.done()
                dying.commit()
                with pytest.raises(store.Deposed):
                    second.result()


def test_a_hold_sent_again_beside_its_end_is_still_a_hold(books: Books) -> None:
    """Read in for its repeat in one batch, it must be known as a hold to the next batch of the same block."""
    holds = [a_transfer(f"hold-{number}", "bank", "ann", 1, "pending") for number in range(20)]
    ends = [
        a_transfer(f"end {number}", "-", "-", 0, f"void of:hold-{number}", currency="", code=0)
        for number in range(20)
    ]
    answers: list[Codes | BaseException] = []
    told = Event()

    def done(answer: Codes | BaseException) -> None:
        answers.append(answer)
        if len(answers) == 40:
            told.set()

    with ledger.Engine(books.ctx) as engine:
        engine.post(batch_of(holds))
        engine.fold()
        for hold, end in zip(holds, ends, strict=True):
            engine.submit(batch_of([hold]), done)
            engine.submit(batch_of([end]), done)
        assert told.wait(60)

    assert answers == [["exists"], ["created"]] * 20
