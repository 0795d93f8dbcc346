"""Balances now and then, statements, postings and trial balances."""

from datetime import date, timedelta

import pytest

from hansa import ledger
from hansa.kernel import FixedClock
from hansa.ledger import Balance, Place, UnknownAccount, UnknownTransfer
from hansa.store import Context
from ledger.books import Books, a_transfer, account_id, transfer_id


@pytest.fixture
def clock(ctx: Context) -> FixedClock:
    assert isinstance(ctx.clock, FixedClock)
    return ctx.clock


@pytest.fixture
def books(ctx: Context, clock: FixedClock) -> Books:
    """Three blocks: 12:00 a top-up of 100; 13:00 fares of 30 and 5; 14:00 a hold of 20 and a refund of 5."""
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", metro="free", bus="free")
    books.fund("ann", 100)
    clock.at += timedelta(hours=1)
    books.post(a_transfer("metro", "ann", "metro", 30), a_transfer("bus", "ann", "bus", 5))
    clock.at += timedelta(hours=1)
    books.post(a_transfer("hold", "ann", "metro", 20, "pending"), a_transfer("back", "bus", "ann", 5))
    return books


def test_a_balance_is_known_at_every_past_instant(books: Books, ctx: Context, clock: FixedClock) -> None:
    second = timedelta(seconds=1)
    noon = clock.at - timedelta(hours=2)

    with ctx.tx() as tx:
        seen = [
            ledger.balance_at(tx, account_id("ann"), noon + after)
            for after in (
                -second,
                timedelta(0),
                timedelta(hours=1) - second,
                timedelta(hours=1),
                timedelta(hours=2),
            )
        ]
        now = ledger.balance(tx, account_id("ann"))

    assert seen == [
        Balance(),
        Balance(credits_posted=100),
        Balance(credits_posted=100),
        Balance(debits_posted=35, credits_posted=100),
        Balance(debits_pending=20, debits_posted=35, credits_posted=105),
    ]
    assert now == seen[-1]
    assert (now.credit_minor, now.available_minor) == (70, 50)


def test_booking_time_never_goes_back_though_the_clock_does(
    books: Books, ctx: Context, clock: FixedClock
) -> None:
    latest = clock.at

    clock.at -= timedelta(days=1)
    books.post(a_transfer("late", "ann", "metro", 1))

    with ctx.tx() as tx:
        assert ledger.get_transfer(tx, transfer_id("late")).booked_at == latest
        assert [block.booked_at for block in ledger.list_blocks(tx)] == sorted(
            block.booked_at for block in ledger.list_blocks(tx)
        )
    books.verify()


def test_a_statement_shows_each_line_with_the_balance_after_it(books: Books, ctx: Context) -> None:
    with ctx.tx() as tx:
        lines = ledger.statement(tx, account_id("ann"))

    assert [
        (line.credit_minor, line.balance.credit_minor, line.balance.available_minor) for line in lines
    ] == [
        (100, 100, 100),
        (-30, 70, 70),
        (-5, 65, 65),
        (0, 65, 45),
        (5, 70, 50),
    ]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_paging_through_a_statement_gives_each_line_once(
    books: Books, ctx: Context, limit: int, newest_first: bool
) -> None:
    with ctx.tx() as tx:
        whole = ledger.statement(tx, account_id("ann"), newest_first=newest_first)
        paged: list[ledger.Entry] = []
        after: Place | None = None
        while page := ledger.statement(
            tx, account_id("ann"), after=after, limit=limit, newest_first=newest_first
        ):
            assert len(page) <= limit
            paged += page
            after = page[-1].booked.place

    assert paged == whole
    assert len(whole) == 5
    assert [line.booked.place for line in whole] == sorted(
        (line.booked.place for line in whole), reverse=newest_first
    )


def test_postings_between_two_blocks_are_what_clearing_needs(books: Books, ctx: Context) -> None:
    operators = [account_id("metro"), account_id("bus")]

    with ctx.tx() as tx:
        number, _ = ledger.block_head(tx)
        first = ledger.postings(tx, operators, after_block=0, to_block=number - 1)
        second = ledger.postings(tx, operators, after_block=number - 1, to_block=number)
        paged = ledger.postings(
            tx, operators, after_block=0, to_block=number, after=first[0].booked.place, limit=2
        )
        sums = ledger.balances_at_block(tx, operators, number - 1)

    assert [(line.account_id, line.credit_minor) for line in first] == [(operators[0], 30), (operators[1], 5)]
    assert [(line.account_id, line.credit_minor) for line in second] == [
        (operators[0], 0),
        (operators[1], -5),
    ]
    assert paged == [first[1], second[0]]
    assert [sums[operator].credit_minor for operator in operators] == [30, 5]


def test_a_transfer_between_two_watched_accounts_is_a_line_on_each(books: Books, ctx: Context) -> None:
    books.post(a_transfer("swap", "metro", "bus", 3))

    with ctx.tx() as tx:
        number, _ = ledger.block_head(tx)
        lines = ledger.postings(
            tx, [account_id("metro"), account_id("bus")], after_block=number - 1, to_block=number
        )

    assert {line.account_id: line.credit_minor for line in lines} == {
        account_id("metro"): -3,
        account_id("bus"): 3,
    }


def test_transfers_of_a_stretch_of_time_include_its_start_and_not_its_end(
    books: Books, ctx: Context, clock: FixedClock
) -> None:
    everyone = list(books.accounts.values())
    end = clock.at

    with ctx.tx() as tx:
        found = ledger.transfers_of(tx, everyone, booked_from=end - timedelta(hours=1), booked_to=end)

    assert [booked.transfer.transfer_id for booked in found] == [transfer_id("metro"), transfer_id("bus")]


def test_the_trial_balance_is_even_now_and_at_any_instant(
    books: Books, ctx: Context, clock: FixedClock
) -> None:
    with ctx.tx() as tx:
        now = ledger.trial_balance(tx)
        then = ledger.trial_balance(tx, clock.at - timedelta(hours=2))
        of_day = ledger.trial_balance(tx, day=date(2026, 11, 17))
        before = ledger.trial_balance(tx, day=date(2026, 11, 16))

    assert now.totals == {"CNY": (140, 140)}
    assert now.is_even
    assert [(row.accounts, row.debits_pending, row.credits_pending) for row in now.rows] == [(4, 20, 20)]
    assert then.totals == {"CNY": (100, 100)}
    assert of_day.rows == now.rows
    assert before.rows == ()


def test_a_booked_transfer_is_found_by_its_id(books: Books, ctx: Context) -> None:
    with ctx.tx() as tx:
        booked = ledger.get_transfer(tx, transfer_id("bus"))
        assert ledger.find_transfer(tx, transfer_id("never")) is None
        with pytest.raises(UnknownTransfer):
            ledger.get_transfer(tx, transfer_id("never"))

    assert booked.transfer == a_transfer("bus", "ann", "bus", 5)
    assert booked.place == Place(2, 1)
    assert (booked.debit_after.debits_posted, booked.credit_after.credits_posted) == (35, 5)


def test_an_account_that_is_not_there_is_told(ctx: Context) -> None:
    nobody = account_id("nobody")
    with ctx.tx() as tx:
        for ask in (
            lambda: ledger.balance(tx, nobody),
            lambda: ledger.statement(tx, nobody),
            lambda: ledger.get_account(tx, nobody),
            lambda: ledger.balance_at(tx, nobody, ctx.clock.now()),
        ):
            with pytest.raises(UnknownAccount):
                ask()
        assert ledger.block_head(tx, 5) == (0, bytes(32))
