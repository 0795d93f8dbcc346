"""Many at once, and deaths in mid batch: nothing doubled, no limit broken, nothing half done."""

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier
from typing import TypeVar

import pytest

from hansa import ledger
from hansa.ledger import store
from hansa.ledger.blocks import Sealed
from hansa.store import Context, Tx
from ledger.books import Books, a_transfer

T = TypeVar("T")


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free")
    return books


def at_once(count: int, work: Callable[[int], T]) -> list[T]:
    """The work of each number, all started at the same moment."""
    start = Barrier(count)

    def one(number: int) -> T:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_the_same_batch_from_eight_callers_is_booked_once(books: Books) -> None:
    books.fund("ann", 1_000)
    batch = [a_transfer(f"fare {number}", "ann", "shop", 2) for number in range(50)]

    answers = at_once(8, lambda _: books.post(*batch))

    assert sorted(set(answer) == {"created"} for answer in map(tuple, answers)) == [False] * 7 + [True]
    assert sum(code == "created" for answer in answers for code in answer) == 50
    assert {code for answer in answers for code in answer} == {"created", "exists"}
    assert books.balances()["shop"].credit_minor == 100
    books.verify()


def test_a_limit_is_never_broken_however_many_spend_at_once(books: Books) -> None:
    books.fund("ann", 100)

    answers = at_once(
        8, lambda caller: [books.post(a_transfer(f"{caller}-{n}", "ann", "shop", 7)) for n in range(5)]
    )

    codes = [code for answer in answers for (code,) in answer]
    assert (codes.count("created"), codes.count("exceeds_credits")) == (14, 26)
    assert books.balances()["ann"].credit_minor == 2
    books.verify()


def test_money_going_round_between_hot_accounts_is_conserved_without_deadlock(books: Books) -> None:
    books.fund("ann", 500)
    books.fund("bob", 500)

    def work(caller: int) -> list[str]:
        there, back = ("ann", "bob") if caller % 2 else ("bob", "ann")
        return books.post(
            *(
                a_transfer(f"{caller}-{n}", there if n % 3 else back, back if n % 3 else there, 11)
                for n in range(60)
            )
        )

    answers = at_once(6, work)

    assert {code for answer in answers for code in answer} <= {"created", "exceeds_credits"}
    stands = books.balances()
    assert stands["ann"].credit_minor + stands["bob"].credit_minor == 1_000
    with books.ctx.tx() as tx:
        assert [block.number for block in ledger.list_blocks(tx)] == list(range(1, 9))
    books.verify()


def test_a_hold_is_ended_once_though_many_try(books: Books) -> None:
    books.fund("ann", 100)
    books.post(a_transfer("hold", "ann", "shop", 60, "pending"))

    answers = at_once(
        6,
        lambda caller: books.post(
            a_transfer(
                f"end {caller}",
                "-",
                "-",
                0,
                f"{'post' if caller % 2 else 'void'} of:hold",
                currency="",
                code=0,
            )
        ),
    )

    codes = [code for (code,) in answers]
    assert codes.count("created") == 1
    assert set(codes) - {"created"} <= {"pending_transfer_already_posted", "pending_transfer_already_voided"}
    assert books.balances()["ann"].debits_pending == 0
    books.verify()


def test_accounts_opened_by_many_at_once_are_opened_once(books: Books) -> None:
    at_once(6, lambda _: books.open(**{f"rider {number}": "no overdraft" for number in range(40)}))

    with books.ctx.tx() as tx:
        assert sum(row.accounts for row in ledger.trial_balance(tx).rows) == 44


def test_first_posts_into_a_new_partition_do_not_collide(committed_ctx: Context) -> None:
    books = Books(committed_ctx, 9)

    def work(caller: int) -> list[str]:
        books.open(bank="free", ann="no overdraft")
        return books.post(a_transfer(f"t{caller}", "bank", "ann", 1, partition=9))

    assert at_once(6, work) == [["created"]] * 6
    books.verify()


class Died(Exception):
    """The process was killed here."""


@pytest.mark.parametrize(
    "step", ["lock_head", "find_known", "load_standings", "write_rows", "move_head", "fold"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_anywhere_in_a_batch_leaves_nothing_and_trying_again_finishes(
    books: Books, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    books.fund("ann", 100)
    before = books.balances()
    batch = [a_transfer("hold", "ann", "shop", 60, "pending"), a_transfer("fare", "ann", "shop", 10)]
    really = getattr(store, step)

    def dies(*given: object, **named: object) -> None:
        if when == "after":
            really(*given, **named)
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(store, step, dies)
        with pytest.raises(Died):
            books.post(*batch)
    assert books.balances() == before
    books.verify()

    assert books.post(*batch) == ["created", "created"]
    books.verify()


def test_a_lost_answer_is_found_by_posting_again(books: Books) -> None:
    """The commit went through, the connection died before the answer came."""
    books.fund("ann", 100)
    batch = [a_transfer("fare", "ann", "shop", 10)]

    @contextmanager
    def loses_the_answer() -> Generator[Tx]:
        with books.ctx.open_tx() as tx:
            yield tx
        raise Died

    with pytest.raises(Died):
        ledger.post(replace(books.ctx, open_tx=loses_the_answer), batch)

    assert books.post(*batch) == ["exists"]
    assert books.balances()["ann"].credit_minor == 90


def test_a_server_that_ends_the_connection_in_mid_batch_leaves_nothing(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hansa.store import StoreUnavailable

    books.fund("ann", 100)
    before = books.balances()
    really = store.write_rows

    def terminated(tx: Tx, sealed: Sealed, rows: bytes) -> None:
        really(tx, sealed, rows)
        with books.ctx.open_tx() as other:
            other.execute("select pg_terminate_backend(%s)", (tx.info.backend_pid,))
        tx.execute("select 1")

    with monkeypatch.context() as patched:
        patched.setattr(store, "write_rows", terminated)
        with pytest.raises(StoreUnavailable):
            books.post(a_transfer("fare", "ann", "shop", 10))

    assert books.balances() == before
    assert books.post(a_transfer("fare", "ann", "shop", 10)) == ["created"]
    books.verify()


def test_an_account_closed_while_others_post_takes_nothing_more(books: Books) -> None:
    def work(caller: int) -> list[str]:
        if caller == 0:
            return books.post(a_transfer("close", "bank", "shop", 0, "pending closing_credit"))
        return [books.post(a_transfer(f"{caller}-{n}", "bank", "shop", 1))[0] for n in range(10)]

    answers = at_once(4, work)

    assert answers[0] == ["created"]
    codes = [code for answer in answers[1:] for code in answer]
    assert set(codes) <= {"created", "credit_account_already_closed"}
    assert books.balances()["shop"].credit_minor == codes.count("created")
    assert books.post(a_transfer("more", "bank", "shop", 1)) == ["credit_account_already_closed"]
    books.verify()
