"""The engine at work: one writer per partition, reached from everywhere, answering only what is on the disk."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from hansa import ledger
from hansa.ledger import Engine, EngineTaken, Pace, ResultCode
from hansa.ledger.batch import batch_of
from hansa.ledger.engine import BIG
from hansa.store import Context, StoreUnavailable
from ledger.books import Books, a_transfer, account_id, an_end, transfer_id
from ledger.engines import BUSY, HELD_OFF, another_process, run_python, stand, wait_until


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free")
    return books


@pytest.fixture
def engine(books: Books) -> Iterator[Engine]:
    with Engine(books.ctx, pace=Pace(fold_every_s=0.02)) as engine:
        yield engine


# --- one writer


def test_a_partition_has_one_engine_and_a_second_is_refused(books: Books, engine: Engine) -> None:
    before = stand(books.ctx)

    for ctx in (books.ctx, replace(books.ctx, url=f"{books.ctx.url} connect_timeout=9")):
        with pytest.raises(EngineTaken):
            Engine(ctx).start()

    assert stand(books.ctx) == before
    assert ledger.find_engine(books.ctx, 0) is engine
    assert books.post(a_transfer("t", "bank", "ann", 1)) == ["created"]


def test_each_partition_may_have_an_engine_of_its_own(books: Books, engine: Engine) -> None:
    far = Books(books.ctx, 3)
    far.open(far_bank="free", far_ann="free")
    with Engine(books.ctx, 3) as other:
        told = books.post(
            a_transfer("t", "bank", "ann", 1), a_transfer("t", "far_bank", "far_ann", 1, partition=3)
        )

        assert told == ["created", "created"]
        assert (engine.figures.transfers, other.figures.transfers) == (1, 1)


def test_posting_while_an_engine_runs_in_this_process_goes_through_it(books: Books, engine: Engine) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags        | result
        fund  | bank  | ann    | 100    |              | created
        fare  | ann   | shop   | 30     |              | created
        much  | ann   | shop   | 71     |              | exceeds_credits
        hold  | ann   | shop   | 20     | pending      | created
        post  | ann   | shop   | 15     | post of:hold | created
        fare  | ann   | shop   | 30     |              | exists
        """
    )

    assert engine.figures.transfers == 4
    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 45     | 0           | 100     | 0
        shop    | 0      | 0           | 45      | 0
        """
    )


def test_stopping_answers_everything_folds_everything_and_gives_the_partition_up(books: Books) -> None:
    engine = Engine(books.ctx, pace=HELD_OFF)
    engine.start()
    answers: list[object] = []
    for number in range(40):
        engine.submit(batch_of([a_transfer(f"t{number}", "bank", "shop", 1)]), answers.append)

    engine.stop()
    engine.stop()

    assert answers == [[ResultCode.CREATED]] * 40
    writer, number, folded = stand(books.ctx)
    assert (writer, folded) == (None, number)
    assert ledger.find_engine(books.ctx, 0) is None
    with pytest.raises(StoreUnavailable):
        engine.post(batch_of([a_transfer("late", "bank", "shop", 1)]))
    assert books.post(a_transfer("inline", "bank", "shop", 1)) == ["created"]
    books.verify()


def test_an_engine_goes_on_where_inline_posting_and_another_engine_stopped(books: Books) -> None:
    books.fund("ann", 100)
    books.post(a_transfer("hold", "ann", "shop", 40, "pending"))

    for turn in range(3):
        with Engine(books.ctx, pace=HELD_OFF, preload=bool(turn % 2)) as engine:
            assert engine.figures.accounts == (len(books.accounts) if turn % 2 else 0)
            assert books.post(a_transfer(f"e{turn}", "ann", "shop", 10)) == ["created"]
            assert books.post(a_transfer(f"m{turn}", "ann", "shop", 99)) == ["exceeds_credits"]
        assert books.post(a_transfer(f"i{turn}", "ann", "shop", 5)) == ["created"]
        assert books.post(a_transfer(f"e{turn}", "ann", "shop", 10)) == ["exists"]
    with Engine(books.ctx):
        assert books.post(an_end("post", "post of:hold"), an_end("again", "void of:hold")) == [
            "created",
            "pending_transfer_already_posted",
        ]

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 85     | 0           | 100     | 0
        shop    | 0      | 0           | 85      | 0
        """
    )


# --- answers


def test_a_batch_is_answered_after_its_commit_and_not_before(books: Books, engine: Engine) -> None:
    told: Future[object] = Future()

    with psycopg.connect(books.ctx.url) as blocker:
        blocker.execute("select 1 from ledger.heads for no key update")  # the commit waits for this row
        engine.submit(batch_of([a_transfer("t", "bank", "ann", 5)]), told.set_result)
        with pytest.raises(TimeoutError):
            told.result(timeout=0.3)
        with books.ctx.tx() as tx:
            assert ledger.find_transfer(tx, transfer_id("t")) is None

    assert told.result(timeout=60) == [ResultCode.CREATED]
    with books.ctx.tx() as tx:
        assert ledger.balance(tx, account_id("ann")).credits_posted == 5


def test_what_many_submit_at_once_is_decided_in_the_order_in_which_it_came(books: Books) -> None:
    """With money for one of them each time, the one that was first has it."""
    with Engine(books.ctx, pace=BUSY) as engine:
        answers: dict[int, Future[object]] = {}
        books.fund("ann", 10)
        for number in range(60):
            answers[number] = Future()
            engine.submit(batch_of([a_transfer(f"t{number}", "ann", "shop", 1)]), answers[number].set_result)
        told = [future.result(timeout=60) for future in answers.values()]

    assert told == [[ResultCode.CREATED]] * 10 + [[ResultCode.EXCEEDS_CREDITS]] * 50
    books.verify()


def test_a_chain_left_open_does_not_take_in_the_batch_after_it(books: Books, engine: Engine) -> None:
    told: list[Future[object]] = [Future() for _ in range(4)]
    with psycopg.connect(books.ctx.url) as blocker:
        blocker.execute("select 1 from ledger.heads for no key update")
        for number, future in enumerate(
            told
        ):  # the first is on its way, the others wait and become one block
            flags = "linked" if number == 2 else ""
            engine.submit(batch_of([a_transfer(f"t{number}", "bank", "shop", 1, flags)]), future.set_result)

    assert [future.result(timeout=60) for future in told] == [
        [ResultCode.CREATED],
        [ResultCode.CREATED],
        [ResultCode.LINKED_EVENT_CHAIN_OPEN],
        [ResultCode.CREATED],
    ]
    books.verify()


def test_a_hold_repeated_by_one_caller_and_ended_by_another_in_the_same_block_is_ended(books: Books) -> None:
    """Both are read from the books for one block: what the repeat read in must do for the end."""
    books.fund("ann", 100)
    hold, post = a_transfer("hold", "ann", "shop", 40, "pending"), an_end("post", "post of:hold")
    kept, void = a_transfer("kept", "ann", "shop", 40, "pending"), an_end("void", "void of:kept")
    books.post(hold, kept)
    books.post(void)
    with Engine(books.ctx) as engine:
        told: list[Future[object]] = [Future() for _ in range(6)]
        with psycopg.connect(books.ctx.url) as blocker:
            blocker.execute("select 1 from ledger.heads for no key update")
            plain = a_transfer("plain", "bank", "shop", 1)
            for one, future in zip((plain, plain, hold, post, kept, void), told, strict=True):
                engine.submit(batch_of([one]), future.set_result)

    assert [future.result(timeout=60) for future in told] == [
        [ResultCode.CREATED],
        [ResultCode.EXISTS],
        [ResultCode.EXISTS],
        [ResultCode.CREATED],
        [ResultCode.EXISTS],
        [ResultCode.EXISTS],
    ]
    books.verify()


def test_large_and_small_blocks_are_committed_in_order(books: Books) -> None:
    with Engine(books.ctx, pace=Pace(fold_every_s=0.01)) as engine:
        told: list[Future[object]] = []
        for turn in range(12):
            size = BIG + 100 if turn % 3 == 0 else 1
            batch = batch_of([a_transfer(f"{turn}-{n}", "bank", "shop", 1) for n in range(size)])
            told.append(Future())
            engine.submit(batch, told[-1].set_result)
        counts = [len(future.result(timeout=60)) for future in told]  # pyright: ignore[reportArgumentType]

    assert sum(counts) == books.balances()["shop"].credits_posted == 4 * (BIG + 100) + 8
    books.verify()


def test_misfits_are_told_alone_also_through_an_engine(books: Books, engine: Engine) -> None:
    transfers = [a_transfer(f"t{n}", "bank", "shop", 2**128 if n == 1 else 1) for n in range(3)]

    assert books.post(*transfers) == ["created", "amount_out_of_range", "created"]
    with another_process(books.ctx) as other:
        told = [result.code.value for result in ledger.post(other, transfers)]
    assert told == ["exists", "amount_out_of_range", "exists"]


# --- other processes


def test_what_another_process_posts_goes_by_mail_through_the_engine(books: Books, engine: Engine) -> None:
    with another_process(books.ctx) as other:
        far = Books(other)
        far.post_table(
            """
            event | debit | credit | amount | flags         | result
            fund  | bank  | ann    | 100    |               | created
            hold  | ann   | shop   | 20     | pending 60s   | created
            much  | ann   | shop   | 81     |               | exceeds_credits
            a     | ann   | shop   | 1      | linked        | linked_event_failed
            b     | ann   | shop   | 500    |               | exceeds_credits
            post  | -     | -      | all    | post of:hold  | created
            fund  | bank  | ann    | 100    |               | exists
            """
        )

    assert engine.figures.transfers == 3, "it was the engine that booked them"
    with books.ctx.tx() as tx:
        assert tx.execute("select count(*) from ledger.mail").fetchone() == (0,)
    books.verify()


def test_many_processes_and_threads_post_at_once_and_each_transfer_is_booked_once(
    books: Books, engine: Engine
) -> None:
    batch = [a_transfer(f"t{number}", "bank", "shop", 1) for number in range(20)]
    start = threading.Barrier(6)
    with another_process(books.ctx) as other:

        def post(caller: int) -> list[str]:
            start.wait()
            return Books(other if caller % 2 else books.ctx).post(*batch)

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(post, range(6)))

    assert sorted(set(answer) == {"created"} for answer in answers) == [False] * 5 + [True]
    assert {code for answer in answers for code in answer} == {"created", "exists"}
    assert books.balances()["shop"].credits_posted == 20


POSTER = """
import json
from ledger.books import Books, a_transfer
from hansa.store import open_context
with open_context(sys.argv[1]) as ctx:
    print(json.dumps(Books(ctx).post(*(a_transfer(f"p{n}", "bank", "shop", 2) for n in range(50)))))
"""


def test_a_process_of_its_own_posts_to_this_ones_engine(books: Books, engine: Engine) -> None:
    with run_python(POSTER, books.ctx.url) as process:
        told, _ = process.communicate(timeout=60)

    assert json.loads(told) == ["created"] * 50
    assert engine.figures.transfers == 50
    assert books.balances()["shop"].credits_posted == 100
    books.verify()


def test_holds_are_released_through_the_engine_from_here_and_from_elsewhere(
    books: Books, engine: Engine
) -> None:
    books.fund("ann", 100)
    books.post(
        a_transfer("h1", "ann", "shop", 10, "pending 30s"), a_transfer("h2", "ann", "shop", 20, "pending 60s")
    )
    books.clock.at += timedelta(seconds=30)

    assert ledger.expire_pending(books.ctx) == 1
    assert ledger.expire_pending(books.ctx) == 0
    books.clock.at += timedelta(seconds=30)
    with another_process(books.ctx) as other:
        wait_until(lambda: stand(books.ctx)[1] == stand(books.ctx)[2])
        assert ledger.expire_pending(other) == 1

    assert engine.figures.transfers == 5
    assert books.balances()["ann"].debits_pending == 0
    books.verify()


# --- time


def test_booking_time_never_goes_back_though_the_clock_does(books: Books, engine: Engine) -> None:
    noon = books.clock.at
    books.post(a_transfer("t1", "bank", "shop", 1))
    for days, name in ((1, "t2"), (-3, "t3"), (2, "t4")):
        books.clock.at += timedelta(days=days)
        books.post(a_transfer(name, "bank", "shop", 1))

    with books.ctx.tx() as tx:
        booked = [ledger.get_transfer(tx, transfer_id(f"t{n}")).booked_at - noon for n in range(1, 5)]
    assert booked == [timedelta(days=days) for days in (0, 1, 1, 1)]
    books.verify()


def test_a_hold_is_measured_from_when_it_was_booked_not_from_a_clock_that_went_back(
    books: Books, engine: Engine
) -> None:
    books.fund("ann", 100)
    books.clock.at -= timedelta(hours=1)
    books.post(a_transfer("hold", "ann", "shop", 10, "pending 60s"))

    books.clock.at += timedelta(hours=1, seconds=59)
    assert ledger.expire_pending(books.ctx) == 0
    books.clock.at += timedelta(seconds=1)
    assert ledger.expire_pending(books.ctx) == 1
