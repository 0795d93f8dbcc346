"""Holds: what they count in, how they end, and accounts that are closed by one and opened again by its release."""

from datetime import timedelta

import pytest

from hansa import ledger
from hansa.ledger import TransferFlag
from hansa.store import Context
from ledger.books import MORNING, Books, a_transfer, account_id, an_end, transfer_id


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", supplier="no prepayment")
    books.fund("ann", 100)
    return books


def test_a_hold_counts_in_the_limit_and_moves_money_only_when_posted(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags   | result
        hold  | ann   | shop   | 70     | pending | created
        fare  | ann   | shop   | 31     |         | exceeds_credits
        fare2 | ann   | shop   | 30     |         | created
        """
    )
    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 30     | 70          | 100     | 0
        shop    | 0      | 0           | 30      | 70
        """
    )

    books.post_table(
        """
        event | debit | credit | amount | currency | flags        | result
        post  | -     | -      | 50     |          | post of:hold | created
        again | ann   | shop   | 50     | CNY      | post of:hold | pending_transfer_already_posted
        undo  | ann   | shop   | 0      | CNY      | void of:hold | pending_transfer_already_posted
        fare3 | ann   | shop   | 20     | CNY      |              | created
        """
    )
    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 100    | 0           | 100     | 0
        shop    | 0      | 0           | 100     | 0
        """
    )


@pytest.mark.parametrize(
    ("amount", "moved", "left"),
    [("all", 40, 60), ("40", 40, 60), ("39", 39, 61), ("1", 1, 99), ("0", 0, 100)],
)
def test_posting_moves_the_amount_and_gives_the_rest_back(
    books: Books, amount: str, moved: int, left: int
) -> None:
    books.post_table(
        f"""
        event | debit | credit | amount   | flags        | result
        hold  | ann   | shop   | 40       | pending      | created
        post  | ann   | shop   | {amount} | post of:hold | created
        """
    )

    books.compare(
        f"""
        account | debits  | held debits | credits | held credits
        ann     | {moved} | 0           | 100     | 0
        shop    | 0       | 0           | {moved} | 0
        """
    )
    assert books.balances()["ann"].available_minor == left
    with books.ctx.tx() as tx:
        booked = ledger.get_transfer(tx, transfer_id("post"))
    assert (booked.transfer.amount, booked.released) == (moved, 40)


def test_what_an_end_leaves_out_it_takes_from_its_hold(books: Books) -> None:
    hold = a_transfer("hold", "ann", "shop", 40, "pending 60s", tag=7, memo="ferry", reference="ride")
    said = a_transfer("hold2", "ann", "shop", 40, "pending", tag=7, memo="ferry", reference="ride")
    books.post(hold, said)

    books.post(
        an_end("post", "post of:hold"),
        a_transfer("post2", "-", "-", 3, "post of:hold2", tag=8, memo="tram", reference="walk"),
    )

    with books.ctx.tx() as tx:
        left, told = (ledger.get_transfer(tx, transfer_id(name)).transfer for name in ("post", "post2"))
    assert left == a_transfer(
        "post", "ann", "shop", 40, "post of:hold", tag=7, memo="ferry", reference="ride"
    )
    assert told == a_transfer(
        "post2", "ann", "shop", 3, "post of:hold2", tag=8, memo="tram", reference="walk"
    )


def test_a_hold_counts_in_the_limit_of_the_other_side_too(books: Books) -> None:
    books.post_table(
        """
        event | debit    | credit   | amount | flags        | result
        buy   | supplier | shop     | 50     |              | created
        hold  | bank     | supplier | 40     | pending      | created
        more  | bank     | supplier | 11     |              | exceeds_debits
        fits  | bank     | supplier | 10     |              | created
        void  | -        | -        | 0      | void of:hold | created
        more  | bank     | supplier | 40     |              | created
        """
    )


# --- time


def test_a_hold_falls_away_when_its_time_is_up(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags       | result
        short | ann   | shop   | 60     | pending 60s | created
        long  | ann   | shop   | 10     | pending 90s | created
        ever  | ann   | shop   | 5      | pending     | created
        """
    )

    assert ledger.expire_pending(books.ctx) == 0
    books.clock.at += timedelta(seconds=60) - timedelta(microseconds=1)
    assert ledger.expire_pending(books.ctx) == 0
    books.clock.at += timedelta(microseconds=1)
    assert books.post(an_end("late", "post of:short")) == ["pending_transfer_expired"]
    assert ledger.expire_pending(books.ctx) == 1
    assert ledger.expire_pending(books.ctx) == 0

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 0      | 15          | 100     | 0
        shop    | 0      | 0           | 0       | 15
        """
    )
    books.post_table(
        """
        event | debit | credit | amount | flags         | result
        late  | ann   | shop   | 60     | post of:short | pending_transfer_expired
        void  | ann   | shop   | 60     | void of:short | pending_transfer_expired
        fare  | ann   | shop   | 85     |               | created
        """
    )


def test_a_release_is_a_transfer_like_any_other_and_says_what_it_is(books: Books) -> None:
    books.post(a_transfer("hold", "ann", "shop", 60, "pending 60s", tag=7, memo="taxi"))
    books.clock.at += timedelta(seconds=61)

    ledger.expire_pending(books.ctx)

    with books.ctx.tx() as tx:
        (line,) = ledger.statement(tx, account_id("ann"), newest_first=True, limit=1)
    release = line.booked
    assert release.transfer.flags == TransferFlag.VOID_PENDING | TransferFlag.EXPIRED
    assert (release.transfer.pending_id, release.transfer.amount) == (transfer_id("hold"), 60)
    assert (release.transfer.tag, release.transfer.memo) == (7, "taxi")
    assert (release.released, release.moves_minor) == (60, 0)
    assert release.transfer.event_at == books.clock.at - timedelta(seconds=1), "when its time was up"


def test_holds_fall_away_oldest_first_and_as_many_as_are_asked_for(books: Books) -> None:
    # event | falls away after; posted in this order
    for name, seconds in (("c", 30), ("a", 10), ("never", 0), ("d", 40), ("b", 20), ("later", 90)):
        books.post(a_transfer(name, "ann", "shop", 1, f"pending {seconds}s"))
    books.clock.at += timedelta(seconds=60)

    found = [ledger.expire_pending(books.ctx, limit=3), ledger.expire_pending(books.ctx, limit=3)]

    with books.ctx.tx() as tx:
        lines = ledger.statement(tx, account_id("ann"))[7:]
    ended = [line.booked.transfer.pending_id for line in lines]
    assert found == [3, 1]
    assert ended == [transfer_id(name) for name in ("a", "b", "c", "d")]
    assert books.balances()["ann"].debits_pending == 2
    books.verify()


def test_nobody_else_may_say_that_a_hold_has_expired(books: Books) -> None:
    books.post(a_transfer("hold", "ann", "shop", 60, "pending 60s"))
    before = books.snapshot()

    for flags in ("void expired of:hold", "post expired of:hold", "expired", "pending expired"):
        assert books.post(a_transfer("x", "-", "-", 0, flags)) == ["reserved_flag"]

    assert books.snapshot() == before


def test_a_hold_ended_in_time_is_not_released_again(books: Books) -> None:
    books.post(
        a_transfer("h1", "ann", "shop", 10, "pending 60s"),
        a_transfer("h2", "ann", "shop", 10, "pending 60s"),
        an_end("post", "post of:h1"),
        an_end("void", "void of:h2"),
    )
    books.clock.at += timedelta(hours=1)

    assert ledger.expire_pending(books.ctx) == 0
    books.verify()


# --- closing


def test_a_closing_hold_closes_an_account_to_all_but_the_release_of_holds(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags                 | result
        hold  | ann   | shop   | 40     | pending               | created
        back  | shop  | ann    | 5      | pending               | created
        close | ann   | bank   | 60     | pending closing_debit | created
        """
    )
    assert books.closed() == ["ann"]

    books.refuse_table(
        """
        event | debit | credit | amount | flags                 | result
        fare  | ann   | shop   | 1      |                       | debit_account_already_closed
        none  | ann   | shop   | 0      |                       | debit_account_already_closed
        gift  | bank  | ann    | 1      |                       | credit_account_already_closed
        more  | ann   | shop   | 1      | pending               | debit_account_already_closed
        twice | ann   | bank   | 0      | pending closing_debit | debit_account_already_closed
        post  | ann   | shop   | 40     | post of:hold          | debit_account_already_closed
        get   | shop  | ann    | 5      | post of:back          | credit_account_already_closed
        done  | ann   | bank   | 60     | post of:close         | debit_account_already_closed
        """
    )
    books.post_table(
        """
        event | debit | credit | amount | flags        | result
        void  | ann   | shop   | 40     | void of:hold | created
        """
    )
    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 0      | 60          | 100     | 5
        """
    )
    assert books.closed() == ["ann"]


def test_voiding_the_closing_hold_opens_the_account_again(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags                                | result
        close | ann   | bob    | 0      | pending closing_debit closing_credit | created
        fare  | ann   | shop   | 1      |                                      | debit_account_already_closed
        gift  | bank  | bob    | 1      |                                      | credit_account_already_closed
        open  | -     | -      | 0      | void of:close                        | created
        fare  | ann   | shop   | 1      |                                      | created
        gift  | bank  | bob    | 1      |                                      | created
        """
    )

    assert books.closed() == []
    books.verify()


def test_an_account_closed_opened_and_closed_again_in_one_block_stays_closed(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags                  | result
        c1    | ann   | bob    | 0      | pending closing_debit  | created
        o1    | -     | -      | 0      | void of:c1             | created
        c2    | bob   | ann    | 0      | pending closing_credit | created
        c3    | bob   | shop   | 0      | pending closing_credit | created
        o3    | -     | -      | 0      | void of:c3             | created
        """
    )

    assert books.closed() == ["ann"]
    books.verify()


def test_a_closing_hold_that_expires_opens_the_account_again(books: Books) -> None:
    books.post(a_transfer("close", "bank", "ann", 3, "pending closing_credit 60s"))
    books.clock.at += timedelta(seconds=60)
    assert books.closed() == ["ann"]
    assert books.post(a_transfer("fare", "ann", "shop", 1)) == ["debit_account_already_closed"]

    assert ledger.expire_pending(books.ctx) == 1

    assert books.closed() == []
    assert books.post(a_transfer("fare", "ann", "shop", 1)) == ["created"]
    books.verify()


def test_opening_a_closed_account_again_by_its_first_words_is_harmless(books: Books) -> None:
    books.post(a_transfer("close", "ann", "bank", 0, "pending closing_debit"))

    books.open(ann="no overdraft")

    assert books.closed() == ["ann"]
    with books.ctx.tx() as tx:
        assert ledger.get_transfer(tx, transfer_id("close")).transfer.event_at == MORNING
