"""While nothing is folded every reading is exact; and what is folded leaves the engine's memory."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from hansa import ledger
from hansa.ledger import AccountCode, Balance, Engine, Pace, Place
from hansa.store import Context
from ledger.books import Books, a_transfer, account_id, an_end, transfer_id
from ledger.engines import HELD_OFF, stand, wait_until


@pytest.fixture
def books(committed_ctx: Context) -> Books:
    """One block is folded, at 12:00; ann has 100, of which 20 are held."""
    books = Books(committed_ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", idle="free")
    books.open("HKD", peak="free", harbour="free")
    assert books.post(
        a_transfer("fund", "bank", "ann", 100), a_transfer("taxi", "ann", "shop", 20, "pending")
    ) == ["created", "created"]
    return books


@pytest.fixture
def engine(books: Books) -> Iterator[Engine]:
    """An engine that folds nothing by itself; it booked fares at 13:00 and 14:00."""
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        books.clock.at += timedelta(hours=1)
        books.post_table(
            """
            event  | debit   | credit  | amount | flags                  | currency | result
            metro  | ann     | shop    | 30     |                        | CNY      | created
            bus    | ann     | bob     | 5      |                        | CNY      | created
            peak   | harbour | peak    | 7      |                        | HKD      | created
            """
        )
        books.clock.at += timedelta(hours=1)
        books.post_table(
            """
            event  | debit   | credit  | amount | flags                  | currency | result
            paid   | ann     | shop    | 12     | post of:taxi           | CNY      | created
            hold   | ann     | shop    | 9      | pending                | CNY      | created
            back   | bob     | ann     | 5      |                        | CNY      | created
            """
        )
        assert stand(books.ctx)[1:] == (3, 1)
        yield engine


def everything_read(books: Books, noon: datetime) -> dict[str, Any]:
    """All that can be asked of the books."""
    ann, ids = account_id("ann"), list(books.accounts.values())
    instants = [noon + timedelta(minutes=minutes) for minutes in (-1, 0, 59, 60, 61, 119, 120, 999)]
    with books.ctx.tx() as tx:
        return {
            "balances": ledger.balances(tx, ids),
            "balance_at": [[ledger.balance_at(tx, one, at) for one in ids] for at in instants],
            "balances_at_block": [ledger.balances_at_block(tx, ids, block) for block in range(5)],
            "statement": [ledger.statement(tx, one) for one in ids],
            "newest_first": [ledger.statement(tx, one, newest_first=True, limit=2) for one in ids],
            "after": [
                ledger.statement(tx, ann, after=Place(block, position), limit=2)
                for block in range(4)
                for position in range(3)
            ],
            "before": [
                ledger.statement(tx, ann, after=Place(block, position), limit=2, newest_first=True)
                for block in range(4)
                for position in range(3)
            ],
            "postings": [
                ledger.postings(tx, ids, after_block=first, to_block=last)
                for first in range(4)
                for last in range(first, 4)
            ],
            "transfers_of": ledger.transfers_of(
                tx, ids, booked_from=noon, booked_to=noon + timedelta(hours=2)
            ),
            "trial": [ledger.trial_balance(tx, at) for at in (None, *instants)],
            "tree": ledger.tree(tx),
            "found": ledger.get_transfer(tx, transfer_id("paid")),
            "verify": ledger.verify(tx),
        }


def test_every_reading_is_the_same_before_and_after_the_fold(books: Books, engine: Engine) -> None:
    noon = books.clock.at - timedelta(hours=2)
    before = everything_read(books, noon)

    engine.fold()

    assert stand(books.ctx)[1:] == (3, 3)
    after = everything_read(books, noon)
    for name, read in before.items():
        assert (name, read) == (name, after[name])
    assert before["verify"] == []


def test_unfolded_balances_are_what_the_bookkeeper_works_out(books: Books, engine: Engine) -> None:
    books.compare(
        """
        account | debits | held debits | credits | held credits
        bank    | 100    | 0           | 0       | 0
        ann     | 47     | 9           | 105     | 0
        bob     | 5      | 0           | 5       | 0
        shop    | 0      | 0           | 42      | 9
        peak    | 0      | 0           | 7       | 0
        idle    | 0      | 0           | 0       | 0
        """
    )
    assert stand(books.ctx)[1:] == (3, 1), "and asking folded nothing"


def test_an_unfolded_statement_shows_each_line_with_the_balance_after_it(
    books: Books, engine: Engine
) -> None:
    with books.ctx.tx() as tx:
        lines = ledger.statement(tx, account_id("ann"))

    assert [(one.credit_minor, one.balance.credit_minor, one.balance.available_minor) for one in lines] == [
        (100, 100, 100),
        (0, 100, 80),
        (-30, 70, 50),
        (-5, 65, 45),
        (-12, 53, 53),
        (0, 53, 44),
        (5, 58, 49),
    ]


def test_an_unfolded_trial_balance_is_even_in_each_currency(books: Books, engine: Engine) -> None:
    noon = books.clock.at - timedelta(hours=2)
    with books.ctx.tx() as tx:
        now, then = ledger.trial_balance(tx), ledger.trial_balance(tx, noon + timedelta(hours=1))

    assert now.totals == {"CNY": (152, 152), "HKD": (7, 7)}
    assert then.totals == {"CNY": (135, 135), "HKD": (7, 7)}
    assert now.is_even and then.is_even
    assert [(row.code, row.accounts) for row in now.rows] == [
        (AccountCode.WALLET, 5),
        (AccountCode.WALLET, 2),
    ]


# --- memory


def the_book(engine: Engine) -> Any:
    session = engine._session
    assert session is not None
    return session._writer.book


def test_accounts_leave_the_book_when_there_are_too_many_and_come_back_when_named(
    committed_ctx: Context,
) -> None:
    books = Books(committed_ctx)
    books.open(bank="free", **{f"rider-{n}": "no overdraft" for n in range(500)})
    most = 0
    with Engine(books.ctx, pace=Pace(fold_every_s=0.005, accounts_max=50)) as engine:
        for turn in range(3):
            for start in range(0, 500, 25):
                told = books.post(
                    *(a_transfer(f"{turn}-{n}", "bank", f"rider-{n}", 1) for n in range(start, start + 25))
                )
                assert set(told) == {"created"}
                engine.fold()
                most = max(most, len(the_book(engine).accounts))
        assert books.post(
            a_transfer("all", "rider-7", "bank", 3), a_transfer("more", "rider-7", "bank", 1)
        ) == [
            "created",
            "exceeds_credits",
        ]

    assert most <= 50 + 2 * 26, "those of the block before and of this one may stand beside the 50"
    stands = books.balances()
    assert {stands[f"rider-{n}"] for n in range(500) if n != 7} == {Balance(credits_posted=3)}
    books.verify()


def test_preloading_reads_in_as_many_accounts_as_may_be_kept(committed_ctx: Context) -> None:
    books = Books(committed_ctx)
    books.open(bank="free", **{f"rider-{n}": "no overdraft" for n in range(40)})

    for most, read in ((1_000, 41), (30, 30)):
        with Engine(books.ctx, pace=Pace(accounts_max=most), preload=True) as engine:
            assert engine.figures.accounts == read
            assert books.post(a_transfer(f"t{most}", "bank", "rider-3", 1)) == ["created"]


def test_transfers_and_holds_leave_the_book_once_they_are_folded(books: Books) -> None:
    """Open holds too: they are read in again by whoever ends them."""
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        for n in range(20):
            books.post(
                a_transfer(f"t{n}", "bank", "ann", 5),
                a_transfer(f"kept-{n}", "ann", "shop", 1, "pending"),
                a_transfer(f"ended-{n}", "ann", "shop", 1, "pending"),
                an_end(f"end-{n}", f"post of:ended-{n}"),
            )
        books.post(an_end("end-taxi", "void of:taxi"))
        assert len(the_book(engine).transfers) == 20 * 3 + 2, (
            "the unfolded of holds, and the hold that one of them ended"
        )

        engine.fold()
        books.post(a_transfer("next", "bank", "ann", 1))

        book = the_book(engine)
        assert not book.transfers and not book.holds
        assert books.post(an_end("late", "void of:ended-3"), an_end("kept", "void of:kept-3")) == [
            "pending_transfer_already_posted",
            "created",
        ]
        assert books.post(a_transfer("t3", "bank", "ann", 5), a_transfer("t3", "bank", "ann", 6)) == [
            "exists",
            "exists_with_different_amount",
        ]
        assert books.post(an_end("end-4", "post of:ended-4")) == ["exists"]
        assert {*book.transfers} == {transfer_id(name).bytes for name in ("kept", "kept-3")}
    books.verify()


def test_a_hold_folded_open_is_ended_from_an_unfolded_block_and_forgotten_with_it(books: Books) -> None:
    with Engine(books.ctx, pace=HELD_OFF) as engine:
        books.post(
            a_transfer("h1", "ann", "shop", 1, "pending"), a_transfer("h2", "ann", "shop", 1, "pending")
        )
        engine.fold()
        books.post(an_end("e1", "post of:h1"))
        assert books.post(an_end("e2", "post of:h1"), an_end("e1", "post of:h1")) == [
            "pending_transfer_already_posted",
            "exists",
        ]
        engine.fold()
        assert books.post(an_end("e2", "post of:h1"), an_end("e1", "post of:h1")) == [
            "pending_transfer_already_posted",
            "exists",
        ]
        assert not the_book(engine).transfers
    books.verify()


@pytest.mark.parametrize(
    ("pace", "folds_by_itself"),
    [(Pace(fold_every_s=0.02), True), (Pace(fold_every_s=3_600, fold_transfers=5), True), (HELD_OFF, False)],
)
def test_an_engine_folds_when_it_is_time_or_when_there_is_enough(
    books: Books, pace: Pace, folds_by_itself: bool
) -> None:
    with Engine(books.ctx, pace=pace) as engine:
        for n in range(6):
            books.post(a_transfer(f"t{n}", "bank", "ann", 1))
        if folds_by_itself:
            wait_until(lambda: engine.figures.folds > 0)
            wait_until(lambda: stand(books.ctx)[2] >= 5)
        else:
            assert (engine.figures.folds, engine.figures.unfolded, stand(books.ctx)[2]) == (0, 6, 1)


def test_an_engine_takes_no_more_than_it_can_fold(books: Books) -> None:
    """With room for 10 unfolded transfers and folding always due, it never runs away from the fold."""
    pace = Pace(fold_every_s=0.001, unfolded_max=10, block_max=5)
    with Engine(books.ctx, pace=pace) as engine:
        most = 0
        for n in range(60):
            books.post(*(a_transfer(f"{n}-{m}", "bank", "shop", 1) for m in range(5)))
            most = max(most, engine.figures.unfolded)

    assert most <= 10 + 3 * 5
    assert books.balances()["shop"].credits_posted == 300
