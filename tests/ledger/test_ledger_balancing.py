"""Transfers that move as much as there is: what they move, by themselves, held, and in chains."""

import pytest

from hansa.store import Context
from ledger.books import Books, amount_of


@pytest.fixture
def books(ctx: Context) -> Books:
    """Ann has 100, of which 30 are held; the supplier is owed 50, of which 20 are on their way."""
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", supplier="no prepayment")
    books.post_table(
        """
        event | debit    | credit   | amount | flags   | result
        fund  | bank     | ann      | 100    |         | created
        taxi  | ann      | shop     | 30     | pending | created
        buy   | supplier | shop     | 50     |         | created
        pay   | bank     | supplier | 20     | pending | created
        """
    )
    return books


# Ann has 70 free, the supplier may be paid 30 more; the bank and the shop may stand as they like.
@pytest.mark.parametrize(
    ("debit", "credit", "amount", "flags", "moved"),
    [
        ("ann", "shop", "all", "balancing_debit", 70),
        ("ann", "shop", "71", "balancing_debit", 70),
        ("ann", "shop", "70", "balancing_debit", 70),
        ("ann", "shop", "69", "balancing_debit", 69),
        ("ann", "shop", "0", "balancing_debit", 0),
        ("bob", "shop", "all", "balancing_debit", 0),
        ("bank", "shop", "all", "balancing_debit", 0),
        ("shop", "bank", "all", "balancing_debit", 50),
        ("bank", "supplier", "all", "balancing_credit", 30),
        ("bank", "supplier", "31", "balancing_credit", 30),
        ("bank", "supplier", "29", "balancing_credit", 29),
        ("bank", "bob", "all", "balancing_credit", 0),
        ("ann", "bank", "all", "balancing_debit balancing_credit", 70),
        ("ann", "supplier", "all", "balancing_debit balancing_credit", 30),
        ("ann", "supplier", "20", "balancing_debit balancing_credit", 20),
        ("bob", "supplier", "all", "balancing_debit balancing_credit", 0),
    ],
)
@pytest.mark.parametrize("held", ["", "pending"])
def test_it_moves_as_much_as_there_is_and_no_more_than_asked(
    books: Books, debit: str, credit: str, amount: str, flags: str, moved: int, held: str
) -> None:
    before = books.balances()

    books.post_table(
        f"""
        event | debit   | credit   | amount   | flags          | result
        sweep | {debit} | {credit} | {amount} | {flags} {held} | created
        """
    )

    after = books.balances()
    at = "debits_pending" if held else "debits_posted"
    assert getattr(after[debit], at) - getattr(before[debit], at) == moved
    at = "credits_pending" if held else "credits_posted"
    assert getattr(after[credit], at) - getattr(before[credit], at) == moved
    books.verify()


def test_balancing_one_side_does_not_lift_the_limit_of_the_other(books: Books) -> None:
    books.refuse_table(
        """
        event | debit | credit   | amount | flags            | result
        s1    | ann   | supplier | all    | balancing_debit  | exceeds_debits
        s2    | ann   | bank     | all    | balancing_credit | exceeds_credits
        """
    )


def test_it_never_overflows_however_much_is_asked(books: Books) -> None:
    books.open(well="free", sea="free")

    books.post_table(
        """
        event | debit | credit | amount | flags            | result
        fill  | well  | sea    | max-5  |                  | created
        draw  | sea   | well   | all    | balancing_debit  | created
        again | sea   | well   | all    | balancing_debit  | created
        rest  | sea   | well   | 6      |                  | overflows_debits_posted
        """
    )

    stands = books.balances()
    assert stands["sea"].credit_minor == stands["well"].credit_minor == 0
    assert stands["sea"].debits_posted == amount_of("max-5")


def test_a_held_sweep_is_posted_in_part_and_the_rest_is_free_again(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags                   | result
        sweep | ann   | shop   | all    | balancing_debit pending | created
        none  | ann   | shop   | 1      |                         | exceeds_credits
        more  | ann   | shop   | 71     | post of:sweep           | exceeds_pending_transfer_amount
        post  | ann   | shop   | 45     | post of:sweep           | created
        rest  | ann   | bob    | all    | balancing_debit         | created
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 70     | 30          | 100     | 0
        bob     | 0      | 0           | 25      | 0
        """
    )


def test_a_chain_sweeps_what_its_members_before_left(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags                  | result
        fee   | ann   | bank   | 12     | linked                 | created
        s1    | ann   | bob    | all    | linked balancing_debit | created
        s2    | bob   | shop   | all    | balancing_debit        | created
        x1    | bank  | ann    | 9      | linked                 | linked_event_failed
        x2    | ann   | bob    | all    | linked balancing_debit | linked_event_failed
        x3    | bob   | shop   | 10     |                        | exceeds_credits
        s3    | ann   | bob    | all    | balancing_debit        | created
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 70     | 30          | 100     | 0
        bob     | 58     | 0           | 58      | 0
        shop    | 0      | 0           | 108     | 30
        """
    )


def test_sweeping_and_closing_in_one_transfer_leaves_the_account_empty_and_closed(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags                                 | result
        end   | ann   | bank   | all    | pending balancing_debit closing_debit | created
        fare  | ann   | shop   | 0      |                                       | debit_account_already_closed
        """
    )

    assert books.balances()["ann"].available_minor == 0
    assert books.closed() == ["ann"]
    books.verify()
