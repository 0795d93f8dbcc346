"""What a writer knows of its blocks, folded or in runs: the same as what the database works out from the rows."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from hansa import ledger
from hansa.ledger import Engine, Pace, Transfer, store
from hansa.ledger.batch import batch_of, read_batch, write_batch
from hansa.ledger.folding import BUCKETS, Sides, folding, run_rows
from hansa.ledger.writer import Writer, fold_all
from hansa.store import Context, Tx
from ledger.books import Books, a_transfer, an_end
from ledger.engines import wait_until

FOLDED = (
    "select * from ledger.accounts order by account_id",
    "select partition, account_id, first, array(select one from unnest(places) as one order by one)"
    " from ledger.entries order by account_id, first",
    "select * from ledger.holds order by transfer_id",
    "select * from ledger.folds order by number",
    "select * from ledger.fold_totals order by number, currency",
)
NEVER = 10**9


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    books = Books(committed_ctx)
    books.open(bank="free", shop="free", **{f"rider-{n}": "no overdraft" for n in range(60)})
    books.open("HKD", peak="free", harbour="free")
    books.fund("rider-0", 500)
    return books


def a_day(dice: random.Random, name: str) -> list[Transfer]:
    """Some of all: money put on, fares, holds and their ends, another currency, refusals."""
    found = [a_transfer(f"{name}-in-{n}", "bank", f"rider-{dice.randrange(60)}", 50) for n in range(40)]
    found += [a_transfer(f"{name}-hk-{n}", "harbour", "peak", 7) for n in range(3)]
    found += [a_transfer(f"{name}-hold-{n}", "rider-0", "shop", 2, "pending") for n in range(6)]
    found += [
        an_end(f"{name}-end-{n}", f"{dice.choice(('post', 'void'))} of:{name}-hold-{n}") for n in range(4)
    ]
    found += [a_transfer(f"{name}-fare-{n}", f"rider-{dice.randrange(60)}", "shop", 30) for n in range(40)]
    return found


def blocks_of(tx: Tx, books: Books, days: list[list[Transfer]]) -> tuple[Writer, list[tuple[int, Sides]]]:
    """Write these days as blocks that are not folded; the writer, and what it knows of them."""
    locked = store.lock_head(tx, 0)
    writer = Writer(fold_all(tx, locked.head), locked.tree)
    known: list[tuple[int, Sides]] = []
    for day in days:
        batch = read_batch(write_batch(batch_of(day)), count_max=1_000)
        writer.load(tx, [batch])
        _, made = writer.decide([batch], books.clock.now())
        assert made is not None
        assert made.sides is not None
        store.write_rows(tx, made.sealed, made.rows)
        store.move_head(tx, made.sealed, term=locked.term)
        known.append((made.number, made.sides))
    return writer, known


def read(tx: Tx, statements: tuple[str, ...]) -> list[list[Any]]:
    return [tx.execute(statement).fetchall() for statement in statements]  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_a_fold_of_what_the_writer_knows_is_the_fold_of_the_rows(books: Books, seed: int) -> None:
    dice = random.Random(seed)
    plain = [a_transfer(f"plain-{n}", "bank", f"rider-{dice.randrange(60)}", n) for n in range(50)]
    days = [a_day(dice, "mon"), plain, a_day(dice, "tue")]
    with books.ctx.tx() as tx:
        writer, known = blocks_of(tx, books, days)
        previous, last = known[0][0] - 1, known[-1][0]
        with tx.transaction(force_rollback=True):
            store.fold(tx, 0, previous=previous, number=last)
            from_rows = read(tx, FOLDED)

        given = folding(0, known, writer.accounts.ids)
        store.fold_given(tx, 0, given, previous=previous, number=last, holds=True)

        assert read(tx, FOLDED) == from_rows
        assert ledger.verify(tx) == []


def test_a_fold_that_would_give_an_account_other_sums_than_its_rows_is_refused(books: Books) -> None:
    with books.ctx.tx() as tx:
        writer, known = blocks_of(tx, books, [a_day(random.Random(1), "mon")])
        given = folding(0, known, writer.accounts.ids)
        wrong = given.sums.copy()
        wrong[0, 1] += 1
        before = read(tx, FOLDED)

        with pytest.raises(Exception, match="zero_sum"), tx.transaction():
            store.fold_given(
                tx,
                0,
                type(given)(given.ids, wrong, given.entries),
                previous=known[0][0] - 1,
                number=known[0][0],
                holds=True,
            )
        assert read(tx, FOLDED) == before


@pytest.fixture
def running(books: Books) -> Iterator[Engine]:
    """An engine to which every account is one too many: it writes runs, and folds only when told."""
    pace = Pace(fold_every_s=0.05, fold_accounts=0, fold_touches=NEVER, idle_s=NEVER)
    with Engine(books.ctx, pace=pace) as engine:
        yield engine


def everything_read(books: Books) -> dict[str, Any]:
    ids = list(books.accounts.values())
    now = books.clock.now()
    with books.ctx.tx() as tx:
        last = ledger.block_head(tx)[0]
        return {
            "balances": ledger.balances(tx, ids),
            "at_block": [ledger.balances_at_block(tx, ids, block) for block in range(last + 1)],
            "at": [ledger.balance_at(tx, one, now - timedelta(hours=1)) for one in ids],
            "statements": [ledger.statement(tx, one) for one in ids],
            "newest": [ledger.statement(tx, one, newest_first=True, limit=3) for one in ids],
            "postings": ledger.postings(tx, ids, after_block=1, to_block=last),
            "trial": ledger.trial_balance(tx),
            "tree": ledger.tree(tx),
            "verify": ledger.verify(tx),
        }


def test_every_reading_is_the_same_from_rows_from_runs_and_folded(books: Books, running: Engine) -> None:
    """Some blocks in runs, some after them, then all folded; and nobody can tell."""
    dice = random.Random(3)
    for day in ("mon", "tue"):
        books.post(*a_day(dice, day))
        books.clock.at += timedelta(hours=1)
        running.settle()
    in_runs = everything_read(books)
    books.post(*a_day(dice, "wed"))
    with books.ctx.tx() as tx:
        assert tx.execute("select count(*) from ledger.runs").fetchone() == (2,)
        assert tx.execute("select max(number) from ledger.folds").fetchone() == (1,)
    mixed = everything_read(books)

    running.fold()

    with books.ctx.tx() as tx:
        for table in ("runs", "run_places"):
            assert tx.execute(f"select count(*) from ledger.{table}").fetchone() == (0,)  # type: ignore[arg-type]
    folded = everything_read(books)
    for name, told in mixed.items():
        assert (name, told) == (name, folded[name])
    assert in_runs["at_block"] == folded["at_block"][: len(in_runs["at_block"])]
    assert in_runs["verify"] == folded["verify"] == []


@pytest.mark.parametrize(
    "tampering",
    [
        "delete from ledger.run_places where ctid = (select min(ctid) from ledger.run_places)",
        "delete from ledger.runs where number = (select min(number) from ledger.runs)",
        "update ledger.run_places set places[1] = places[1] + 1",
        "update ledger.run_places set account_ids[1] = gen_random_uuid()",
        "update ledger.run_places set bucket = (bucket + 1) % 4096"
        " where number = (select min(number) from ledger.runs)",
        "update ledger.runs set previous = previous - 1",
        "update ledger.runs set number = number + 7 where number = (select max(number) from ledger.runs)",
        "insert into ledger.runs values (0, 4000, 3999)",
        "update ledger.run_places set places = places || places[1], account_ids = account_ids || account_ids[1]",
    ],
)
def test_a_run_that_was_tampered_with_is_found(books: Books, running: Engine, tampering: str) -> None:
    for day in ("mon", "tue"):
        books.post(*a_day(random.Random(8), day))
        running.settle()
    with books.ctx.tx() as tx, tx.transaction(force_rollback=True):
        assert ledger.verify(tx) == []
        tx.execute(tampering)  # type: ignore[arg-type]

        assert {finding.what for finding in ledger.verify(tx)} >= {"the run is not of its blocks' transfers"}


def test_runs_are_folded_in_quiet_times_and_when_there_are_too_many(books: Books) -> None:
    quiet = Pace(fold_every_s=0.02, fold_accounts=0, fold_touches=NEVER, idle_s=0.1)
    crowded = Pace(fold_every_s=0.02, fold_accounts=0, fold_touches=NEVER, idle_s=NEVER, runs_max=800)
    for number, pace in enumerate((quiet, crowded)):
        with Engine(books.ctx, pace=pace) as engine:
            for day in range(12):
                books.post(*a_day(random.Random(day), f"{number}-{day}"))
                engine.settle()
            wait_until(lambda at_work=engine: at_work.figures.folds > 0)
            assert engine.figures.runs > 0
        books.verify()


def test_what_an_engine_left_in_runs_is_folded_by_who_comes_after_it(books: Books) -> None:
    pace = Pace(fold_every_s=0.05, fold_accounts=0, fold_touches=NEVER, idle_s=NEVER)
    engine = Engine(books.ctx, pace=pace)
    engine.start()
    books.post(*a_day(random.Random(5), "mon"))
    engine.settle()
    session = engine._session
    assert session is not None
    session.close()  # as if the process had died

    before = dict(books.balances())
    with Engine(books.ctx) as after:
        assert books.balances() == before
        assert books.post(a_transfer("next", "bank", "rider-1", 1)) == ["created"]
        after.fold()
    with books.ctx.tx() as tx:
        assert tx.execute("select count(*) from ledger.runs").fetchone() == (0,)
    books.verify()
    engine.stop()


def test_a_bucket_is_the_same_in_python_and_in_sql(books: Books) -> None:
    dice = np.random.default_rng(4)
    ids = np.frombuffer(dice.bytes(16 * 200), "V16")
    sides = Sides(np.arange(0, 100), np.arange(100, 200), np.zeros((100, 8), np.int64))
    rows = run_rows(0, 5, [(5, sides)], ids)

    with books.ctx.tx() as tx:
        tx.execute("insert into ledger.runs values (0, 5, 1)")
        with tx.cursor().copy(store.COPY_RUN) as copy:
            copy.write(store.COPY_HEADER + rows + store.COPY_TRAILER)
        told = tx.execute(
            "select r.bucket, ledger.bucket_of(u.id), u.id, u.place from ledger.run_places r"
            " cross join lateral unnest(r.account_ids, r.places) as u (id, place)"
        ).fetchall()

    assert len(told) == 200 and all(bucket == by_sql < BUCKETS for bucket, by_sql, _, _ in told)
    assert {(one.bytes, place) for _, _, one, place in told} == {
        (ids[index].tobytes(), 5 << 16 | index % 100) for index in range(200)
    }
