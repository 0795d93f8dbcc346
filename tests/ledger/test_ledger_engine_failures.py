"""What happens to an engine: lost connections, a rival, a full disk, a kill. Nothing is doubled, nothing is lost."""

import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from disks import SmallDisk
from hansa import ledger
from hansa.ledger import Engine, Pace, ResultCode, store
from hansa.ledger.batch import batch_of
from hansa.ledger.mail import hand_over
from hansa.store import Context, StoreFull, StoreUnavailable
from ledger.books import Books, a_transfer, account_id, an_end
from ledger.engines import (
    BUSY,
    HELD_OFF,
    another_process,
    crash,
    post_until_told,
    run_python,
    stand,
    terminate_engines,
    wait_until,
)
from scratch import given_server


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free")
    return books


def test_an_engine_whose_connections_are_cut_says_so_begins_anew_and_loses_nothing(books: Books) -> None:
    with Engine(books.ctx, pace=BUSY) as engine:
        books.fund("ann", 100)
        terminate_engines(books.ctx)

        told = post_until_told(books.ctx, [a_transfer("fare", "ann", "shop", 10)])

        assert told in (["created"], ["exists"])
        assert books.post(a_transfer("fare", "ann", "shop", 10)) == ["exists"]
        assert engine.figures.restarts >= 1
        assert ledger.find_engine(books.ctx, 0) is engine
    assert books.balances()["ann"].credit_minor == 90
    books.verify()


def is_held_up(ctx: Context) -> bool:
    """Whether an engine waits for a lock that another has."""
    with ctx.tx() as tx:
        return tx.execute(HELD_UP).fetchone() is not None


HELD_UP = """
select 1 from pg_stat_activity
 where datname = current_database() and application_name = 'hansa ledger' and wait_event_type = 'Lock'
"""


def is_read(ctx: Context) -> bool:
    """Whether no letter waits for an engine."""
    with ctx.tx() as tx:
        return store.waiting_mail(tx, 0) == []


def test_a_batch_under_way_when_the_connection_is_cut_is_told_unavailable(books: Books) -> None:
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        with psycopg.connect(books.ctx.url) as blocker:
            blocker.execute("select 1 from ledger.heads for no key update")
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(engine.post, batch_of([a_transfer("t", "bank", "ann", 5)]))
                wait_until(lambda: is_held_up(books.ctx))
                terminate_engines(books.ctx)
                blocker.rollback()
                with pytest.raises(StoreUnavailable):
                    answer.result(timeout=60)
        assert post_until_told(books.ctx, [a_transfer("t", "bank", "ann", 5)]) == ["created"]
    books.verify()


@pytest.mark.slow
def test_callers_who_post_again_are_booked_once_however_often_the_connections_are_cut(books: Books) -> None:
    books.fund("ann", 15)
    done = threading.Event()

    def call(caller: int) -> list[str]:
        told: list[str] = []
        while not done.is_set():
            name = f"{caller}-{len(told)}"
            told += post_until_told(
                books.ctx,
                [
                    a_transfer(f"{name} top-up", "bank", "shop", 1),
                    a_transfer(f"{name} fare", "ann", "shop", 1),
                ],
            )
        return told

    with Engine(books.ctx, pace=BUSY) as engine, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(call, caller) for caller in range(3)]
        try:
            for _ in range(6):
                seen = engine.figures.blocks + 3
                wait_until(lambda seen=seen: engine.figures.blocks > seen)
                terminate_engines(books.ctx)
        finally:
            done.set()
        answers = [future.result(timeout=60) for future in calls]
        assert engine.figures.restarts > 0

    told = [code for answer in answers for code in answer]
    assert set(told) <= {"created", "exists", "exceeds_credits"}
    stands = books.balances()
    assert stands["ann"].credit_minor == 0, "15 fares, and not one more"
    assert stands["shop"].credits_posted == len(told) // 2 + 15, "each top-up once"
    books.verify()


def test_a_deposed_engine_cannot_commit_and_is_elected_anew(books: Books) -> None:
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        books.post(a_transfer("before", "bank", "ann", 1))
        with books.ctx.tx() as tx:
            tx.execute("update ledger.heads set term = term + 1")
        before = stand(books.ctx)

        with pytest.raises(StoreUnavailable):
            engine.post(batch_of([a_transfer("t", "bank", "ann", 5)]))

        assert stand(books.ctx)[1] == before[1], "its block does not count"
        assert post_until_told(books.ctx, [a_transfer("t", "bank", "ann", 5)]) == ["created"]
    assert books.balances()["ann"].credits_posted == 6
    books.verify()


def test_a_block_written_behind_an_engines_back_makes_it_read_everything_anew(books: Books) -> None:
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        books.fund("ann", 10)
        with books.ctx.tx() as tx:
            tx.execute(
                "update ledger.heads set writer = null"
            )  # as if there were none; then someone writes here
        with another_process(books.ctx) as other:
            assert Books(other).post(a_transfer("theirs", "ann", "shop", 7)) == ["created"]

        told = post_until_told(books.ctx, [a_transfer("ours", "ann", "shop", 7)])

        assert told == ["exceeds_credits"], "what it held for true was not"
        assert engine.figures.restarts == 1
    books.verify()


def test_an_engine_that_finds_another_in_its_place_ends_and_posting_goes_to_that_one(books: Books) -> None:
    old = Engine(books.ctx, pace=HELD_OFF)
    old.start()
    books.fund("ann", 10)
    with another_process(books.ctx) as other:
        new = Engine(other, pace=HELD_OFF)
        terminate_engines(books.ctx)
        new.start()  # before the old one has noticed anything
        told = post_until_told(books.ctx, [a_transfer("t", "ann", "shop", 7)])
        assert told == ["created"]
        assert new.figures.transfers == 1
        new.stop()
    old.stop()
    books.verify()


def test_a_deposed_engine_tells_no_refusal_from_its_old_memory(books: Books) -> None:
    """The wallet was filled by whoever writes now; that it is empty is no longer true."""
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        assert books.post(a_transfer("fare", "ann", "shop", 5)) == ["exceeds_credits"]
        with books.ctx.tx() as tx:
            tx.execute("update ledger.heads set writer = null")
        with another_process(books.ctx) as other:
            with other.tx() as tx:
                store.elect(tx, 0, None)
            Books(other).fund("ann", 5)

        with pytest.raises(StoreUnavailable):
            engine.post(batch_of([a_transfer("fare", "ann", "shop", 5)]))

        assert post_until_told(books.ctx, [a_transfer("fare", "ann", "shop", 5)]) == ["created"]
    books.verify()


def test_an_engine_can_start_while_others_look_whether_one_lives(books: Books) -> None:
    """Asking must not take the lock, be it for a moment: the engine would find it taken."""
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        books.fund("ann", 10)
        crash(engine)

    with books.ctx.tx() as tx:
        assert not store.engine_lives(tx, 0)
        with Engine(books.ctx):
            assert store.engine_lives(tx, 0)
    books.verify()


def test_a_crash_leaves_what_was_answered_and_inline_posting_takes_over(books: Books) -> None:
    engine = Engine(books.ctx, pace=HELD_OFF)
    engine.start()
    books.fund("ann", 100)
    books.post(
        a_transfer("hold", "ann", "shop", 40, "pending"),
        a_transfer("shut", "bank", "bob", 0, "pending closing_credit"),
    )
    crash(engine)
    writer, number, folded = stand(books.ctx)
    assert writer is not None and (number, folded) == (2, 0), "nothing was folded and nobody resigned"
    assert books.balances()["ann"].available_minor == 60, "reading sees the tail all the same"

    told = books.post(
        an_end("post", "post of:hold"),
        a_transfer("much", "ann", "shop", 61),
        a_transfer("gift", "bank", "bob", 1),
        a_transfer("fund ann 100", "bank", "ann", 100),
    )

    assert told == ["created", "exceeds_credits", "credit_account_already_closed", "exists"]
    assert stand(books.ctx) == (None, 3, 3)
    assert books.closed() == ["bob"]
    books.verify()


def test_a_crash_leaves_what_was_answered_and_the_next_engine_takes_over(books: Books) -> None:
    engine = Engine(books.ctx, pace=HELD_OFF)
    engine.start()
    books.fund("ann", 100)
    books.post(a_transfer("hold", "ann", "shop", 40, "pending"))
    crash(engine)

    with Engine(books.ctx, pace=HELD_OFF):
        assert stand(books.ctx)[1:] == (2, 2)
        assert books.post(a_transfer("much", "ann", "shop", 61), an_end("void", "void of:hold")) == [
            "exceeds_credits",
            "created",
        ]
    books.verify()


ENGINE = """
from ledger.books import Books, a_transfer
from hansa.ledger import Engine, Pace
from hansa.store import open_context
ctx = open_context(sys.argv[1])
engine = Engine(ctx, pace=Pace(fold_every_s=3600))
engine.start()
books = Books(ctx)
number = 0
while True:
    assert books.post(a_transfer(f"k{number}", "bank", "ann", 1)) == ["created"]
    number += 1
    print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("next_writer", ["inline", "engine"])
def test_an_engine_that_is_killed_leaves_all_it_answered_and_the_next_folds_it(
    books: Books, next_writer: str
) -> None:
    with run_python(ENGINE, books.ctx.url) as process:
        assert process.stdout is not None
        answered = [int(process.stdout.readline()) for _ in range(30)]
        process.send_signal(signal.SIGKILL)
        answered += [int(line) for line in process.stdout if line.strip().isdigit()]
    writer, number, folded = stand(books.ctx)
    assert writer is not None and folded == 0 and number >= answered[-1]

    if next_writer == "engine":

        def is_free() -> bool:
            with books.ctx.tx() as tx:
                return not store.engine_lives(tx, 0)

        wait_until(is_free)
        with Engine(books.ctx):
            told = books.post(*(a_transfer(f"k{n}", "bank", "ann", 1) for n in range(answered[-1])))
    else:
        told = post_until_told(
            books.ctx, [a_transfer(f"k{n}", "bank", "ann", 1) for n in range(answered[-1])]
        )

    assert set(told) == {"exists"}
    assert books.balances()["ann"].credits_posted in (answered[-1], answered[-1] + 1)
    assert stand(books.ctx)[1] == stand(books.ctx)[2]
    books.verify()


def test_a_letter_to_an_engine_that_died_is_not_booked_after_its_sender_was_told_otherwise(
    books: Books,
) -> None:
    """What was refused stays refused, though the letter that asked for it is found by the next engine."""
    engine = Engine(books.ctx, pace=HELD_OFF)
    engine.start()
    books.fund("bob", 1)
    crash(engine)
    fare = a_transfer("fare", "ann", "shop", 5)
    with another_process(books.ctx) as other:
        assert hand_over(other, 0, batch_of([fare])) is None
    assert books.post(fare) == ["exceeds_credits"]
    books.fund("ann", 5)

    with Engine(books.ctx):
        wait_until(lambda: is_read(books.ctx))

    assert books.balances()["ann"].credit_minor == 5
    books.verify()


# --- a full disk


def a_thousand(turn: int) -> list[ledger.Transfer]:
    return [a_transfer(f"{turn}-{n}", "bank", "shop", 1, memo="x" * 200) for n in range(1_000)]


def test_a_full_disk_is_told_nothing_is_half_done_and_it_works_again_with_room(
    books: Books, small_disk: SmallDisk
) -> None:
    if given_server():
        pytest.skip("the server of HANSA_TEST_DATABASE_URL is not ours to give a small disk to")
    disk = small_disk(8)
    shutil.chown(disk, "hansa", "hansa")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(5 * 2**20))
    space = sql.Identifier(f"small_{time.time_ns()}")
    with psycopg.connect(books.ctx.url, autocommit=True) as connection:
        connection.execute(sql.SQL("create tablespace {} location {}").format(space, sql.Literal(str(disk))))
        connection.execute(sql.SQL("alter table ledger.transfers set tablespace {}").format(space))
        connection.execute(sql.SQL("alter index ledger.transfers_place set tablespace {}").format(space))
    booked: list[int] = []
    try:
        with Engine(books.ctx, pace=replace(HELD_OFF, wait_s=0.2)):

            def fill() -> None:
                for _ in range(40):
                    assert set(books.post(*a_thousand(len(booked)))) == {"created"}
                    booked.append(1_000)

            with pytest.raises(StoreFull):
                fill()
            assert booked
            assert books.balances()["shop"].credits_posted == sum(booked), "all of a batch or nothing of it"
            ballast.unlink()

            assert set(post_until_told(books.ctx, a_thousand(len(booked)))) == {"created"}
            books.verify()
        assert books.balances()["shop"].credits_posted == sum(booked) + 1_000
        assert stand(books.ctx)[0] is None
    finally:
        with psycopg.connect(books.ctx.url, autocommit=True) as connection:
            connection.execute("alter table ledger.transfers set tablespace pg_default")
            connection.execute("alter index ledger.transfers_place set tablespace pg_default")
            connection.execute(sql.SQL("drop tablespace {}").format(space))


def test_a_fault_in_one_batch_is_told_to_its_caller_and_the_engine_goes_on(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = store.load_standings

    def fails(tx: psycopg.Connection[tuple[object, ...]], partition: int, ids: set[bytes]) -> object:
        if account_id("bob").bytes in ids:
            raise RuntimeError("a bug of ours")
        return really(tx, partition, ids)

    with Engine(books.ctx, pace=Pace(fold_every_s=0.01)) as engine:
        with monkeypatch.context() as patched:
            patched.setattr(store, "load_standings", fails)
            with pytest.raises(RuntimeError):
                engine.post(batch_of([a_transfer("t", "bank", "bob", 1)]))
            assert post_until_told(books.ctx, [a_transfer("u", "bank", "ann", 1)]) == ["created"]
        assert engine.post(batch_of([a_transfer("t", "bank", "bob", 1)])) == [ResultCode.CREATED]
    books.verify()
