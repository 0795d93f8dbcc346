"""Transfers, repeats and chains as a bookkeeper sees them, through the real database."""

from dataclasses import replace

import pytest

from hansa import ledger
from hansa.ledger import BatchTooLarge
from hansa.store import Context
from ledger.books import Books, a_transfer, transfer_id


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", supplier="no prepayment")
    books.fund("ann", 100)
    return books


def test_a_transfer_debits_one_account_and_credits_another(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags | result
        fare  | ann   | shop   | 30     |       | created
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        bank    | 100    | 0           | 0       | 0
        ann     | 30     | 0           | 100     | 0
        shop    | 0      | 0           | 30      | 0
        """
    )


def test_a_transfer_of_nothing_is_booked_as_a_fact_and_moves_nothing(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit   | amount | flags        | result
        free  | ann   | shop     | 0      |              | created
        free  | ann   | shop     | 0      |              | exists
        late  | bank  | supplier | 0      |              | created
        hold  | bob   | shop     | 0      | pending      | created
        post  | bob   | shop     | 0      | post of:hold | created
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 0      | 0           | 100     | 0
        bob     | 0      | 0           | 0       | 0
        shop    | 0      | 0           | 0       | 0
        """
    )
    with books.ctx.tx() as tx:
        assert len(ledger.statement(tx, books.accounts["shop"])) == 3


def test_the_limits_are_met_to_the_last_cent_and_from_both_sides(books: Books) -> None:
    books.post_table(
        """
        event | debit    | credit   | amount | flags | result
        all   | ann      | bob      | 100    |       | created
        more  | ann      | bob      | 1      |       | exceeds_credits
        buy   | supplier | shop     | 40     |       | created
        pay   | bank     | supplier | 40     |       | created
        early | bank     | supplier | 1      |       | exceeds_debits
        """
    )

    books.compare(
        """
        account  | debits | held debits | credits | held credits
        ann      | 100    | 0           | 100     | 0
        supplier | 40     | 0           | 40      | 0
        """
    )


# --- repeats

KINDS = """
event | debit    | credit | amount | flags                  | tag | memo | currency | code | result
plain | ann      | shop   | 10     |                        | 3   | bus  | CNY      | 12   | created
hold1 | ann      | shop   | 10     | pending                | 4   | taxi | CNY      | 12   | created
hold2 | ann      | shop   | 10     | pending 60s            | 5   | taxi | CNY      | 12   | created
hold3 | ann      | shop   | 10     | pending                | 6   |      | CNY      | 12   | created
part  | ann      | shop   | 4      | post of:hold1          | 4   | taxi | CNY      | 12   | created
whole | -        | -      | all    | post of:hold2          |     |      |          | 0    | created
void  | -        | -      | 0      | void of:hold3          | 9   | back |          | 0    | created
sweep | ann      | bob    | all    | balancing_debit        |     |      | CNY      | 12   | created
settl | bank     | bob    | 5      | balancing_credit       |     |      | CNY      | 12   | created
keep  | bob      | shop   | all    | pending balancing_debit |    |      | CNY      | 12   | created
close | shop     | bank   | 0      | pending closing_debit  |     |      | CNY      | 12   | created
"""


def test_a_repeat_of_any_kind_of_transfer_is_recognised_and_changes_nothing(books: Books) -> None:
    books.post_table(KINDS)

    books.refuse_table(KINDS.replace("created", "exists"))

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 100    | 0           | 100     | 0
        bob     | 0      | 76          | 76      | 0
        shop    | 0      | 0           | 24      | 76
        """
    )


# What was left to the hold may be said in full when it is sent again, and the other way round.
SAID_OTHERWISE = """
event | debit | credit | amount | flags         | tag | memo | currency | code | result
part  | -     | -      | 4      | post of:hold1 |     |      |          | 0    | exists
part  | -     | -      | all    | post of:hold1 |     |      |          | 0    | exists_with_different_amount
part  | -     | -      | 10     | post of:hold1 |     |      |          | 0    | exists_with_different_amount
part  | -     | -      | 0      | post of:hold1 |     |      |          | 0    | exists_with_different_amount
part  | -     | shop   | 4      | post of:hold1 | 5   |      |          | 0    | exists_with_different_tag
part  | -     | shop   | 4      | post of:hold1 |     | tram |          | 0    | exists_with_different_memo
part  | bob   | shop   | 4      | post of:hold1 |     |      |          | 0    | exists_with_different_debit_account_id
part  | -     | bank   | 4      | post of:hold1 |     |      |          | 0    | exists_with_different_credit_account_id
part  | -     | -      | 4      | post of:hold1 |     |      | HKD      | 0    | exists_with_different_ledger
part  | -     | -      | 4      | post of:hold1 |     |      |          | 11   | exists_with_different_code
part  | -     | -      | 4      | void of:hold1 |     |      |          | 0    | exists_with_different_flags
whole | ann   | shop   | 10     | post of:hold2 | 5   | taxi | CNY      | 12   | exists
whole | ann   | shop   | all    | post of:hold2 | 5   | taxi | CNY      | 12   | exists
whole | ann   | shop   | 9      | post of:hold2 | 5   | taxi | CNY      | 12   | exists_with_different_amount
void  | ann   | shop   | 10     | void of:hold3 | 9   | back | CNY      | 12   | exists
void  | ann   | shop   | 0      | void of:hold3 | 9   | back | CNY      | 12   | exists
void  | ann   | shop   | 0      | void of:hold3 |     | back | CNY      | 12   | exists_with_different_tag
void  | ann   | shop   | 0      | void of:hold3 | 9   |      | CNY      | 12   | exists_with_different_memo
void  | ann   | shop   | 9      | void of:hold3 | 9   | back | CNY      | 12   | exists_with_different_amount
sweep | ann   | bob    | 71     | balancing_debit |   |      | CNY      | 12   | exists
sweep | ann   | bob    | 70     | balancing_debit |   |      | CNY      | 12   | exists_with_different_amount
settl | bank  | bob    | 0      | balancing_credit |  |      | CNY      | 12   | exists
"""


def test_what_a_repeat_leaves_out_or_says_in_full_is_the_same_where_the_books_say_the_same(
    books: Books,
) -> None:
    books.post_table(KINDS)
    with books.ctx.tx() as tx:
        swept = ledger.get_transfer(tx, transfer_id("sweep")).transfer.amount
    assert swept == 76, "what the wallet had left"

    books.refuse_table(SAID_OTHERWISE.replace("| 71 ", "| 76 ").replace("| 70 ", "| 75 "))


def test_a_repeat_within_the_same_batch_is_recognised(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags        | result
        fare  | ann   | shop   | 60     |              | created
        fare  | ann   | shop   | 60     |              | exists
        fare  | ann   | shop   | 61     |              | exists_with_different_amount
        hold  | ann   | shop   | 40     | pending      | created
        hold  | ann   | shop   | 40     | pending      | exists
        post  | ann   | shop   | 30     | post of:hold | created
        post  | ann   | shop   | 30     | post of:hold | exists
        hold  | ann   | shop   | 40     | pending      | exists
        other | ann   | shop   | 30     | post of:hold | pending_transfer_already_posted
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 90     | 0           | 100     | 0
        """
    )


def test_a_refused_transfer_may_be_tried_again_under_the_same_id(books: Books) -> None:
    fare = a_transfer("fare", "bob", "shop", 30)

    assert books.post(fare) == ["exceeds_credits"]
    books.fund("bob", 30)

    assert books.post(fare) == ["created"]


# --- chains


def test_linked_transfers_stand_or_fall_together(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags  | result
        a1    | ann   | shop   | 60     | linked | linked_event_failed
        a2    | ann   | shop   | 60     | linked | exceeds_credits
        a3    | bank  | shop   | 1      |        | linked_event_failed
        b1    | bank  | bob    | 7      | linked | created
        b2    | bob   | shop   | 7      |        | created
        c1    | ann   | bob    | 100    |        | created
        d1    | bob   | shop   | 1      | linked | linked_event_failed
        d2    | bob   | shop   | 1      | linked | linked_event_chain_open
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 100    | 0           | 100     | 0
        bob     | 7      | 0           | 107     | 0
        shop    | 0      | 0           | 7       | 0
        """
    )


CHAIN = """
event | debit | credit | amount | flags                  | result
b1    | bank  | bob    | 7      | linked                 | created
b2    | bob   | shop   | all    | linked balancing_debit | created
b3    | ann   | shop   | 9      | linked pending         | created
b4    | -     | -      | all    | linked post of:b3      | created
b5    | bank  | bob    | 1      |                        | created
"""


def test_a_chain_sent_again_whole_is_there_also_where_amounts_are_said_otherwise(books: Books) -> None:
    books.post_table(CHAIN)

    books.refuse_table(
        """
        event | debit | credit | amount | flags | result
        b5    | bank  | bob    | 1      |       | exists
        """
    )
    before = books.snapshot()
    books.post_table(CHAIN.replace("created", "exists"))
    books.post_table(
        """
        event | debit | credit | amount | flags                  | result
        b3    | ann   | shop   | 9      | linked pending         | exists
        b4    | ann   | shop   | 9      | linked post of:b3      | exists
        b1    | bank  | bob    | 7      | linked                 | exists
        b2    | bob   | shop   | 7      | linked balancing_debit | exists
        b5    | bank  | bob    | 1      |                        | exists
        """
    )

    assert books.snapshot() == before
    books.verify()


@pytest.mark.parametrize(
    "table",
    [
        """
        event | debit | credit | amount | flags  | result
        b1    | bank  | bob    | 7      | linked | exists
        b5    | bank  | bob    | 2      |        | linked_event_failed
        """,
        """
        event | debit | credit | amount | flags                  | result
        b1    | bank  | bob    | 8      | linked                 | exists_with_different_amount
        b2    | bob   | shop   | 6      | linked balancing_debit | linked_event_failed
        b5    | bank  | bob    | 1      |                        | linked_event_failed
        """,
        """
        event | debit | credit | amount | flags  | result
        n1    | bank  | shop   | 1      | linked | linked_event_failed
        b1    | bank  | bob    | 7      | linked | exists
        b5    | bank  | bob    | 1      |        | linked_event_failed
        """,
        """
        event | debit | credit | amount | flags  | result
        b1    | bank  | bob    | 7      | linked | exists
        n1    | bank  | shop   | 1      |        | linked_event_failed
        """,
        """
        event | debit | credit | amount | flags                  | result
        b1    | bank  | bob    | 7      | linked                 | exists
        b2    | bob   | shop   | 7      | linked balancing_debit | linked_event_chain_open
        """,
    ],
    ids=["last differs", "first differs", "new one first", "new one last", "left open"],
)
def test_a_chain_that_is_not_in_the_books_whole_breaks_at_the_member_that_is(
    books: Books, table: str
) -> None:
    books.post_table(CHAIN)
    before = books.snapshot()

    books.post_table(table)

    assert books.snapshot() == before


def test_a_failed_chain_takes_back_its_holds_and_their_ends(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags                        | result
        hold  | ann   | shop   | 40     | pending                      | created
        n1    | ann   | shop   | 20     | linked pending               | linked_event_failed
        n2    | ann   | shop   | 20     | linked post of:n1            | linked_event_failed
        n3    | ann   | shop   | 15     | linked post of:hold          | linked_event_failed
        n4    | ann   | shop   | 500    |                              | exceeds_credits
        v1    | ann   | shop   | 0      | linked void of:hold          | linked_event_failed
        v2    | ann   | shop   | 500    |                              | exceeds_credits
        x1    | shop  | bank   | 0      | linked pending closing_debit | linked_event_failed
        x2    | shop  | bank   | 1      |                              | debit_account_already_closed
        late  | ann   | shop   | 20     | post of:n1                   | pending_transfer_not_found
        post  | ann   | shop   | all    | post of:hold                 | created
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 40     | 0           | 100     | 0
        shop    | 0      | 0           | 40      | 0
        """
    )
    assert books.closed() == []


def test_a_repeat_inside_a_new_chain_breaks_it(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags  | result
        fare  | ann   | shop   | 5      |        | created
        a1    | ann   | shop   | 1      | linked | linked_event_failed
        fare  | ann   | shop   | 5      |        | exists
        b1    | ann   | shop   | 1      | linked | linked_event_failed
        b1    | ann   | shop   | 1      | linked | exists
        b2    | ann   | shop   | 1      |        | linked_event_failed
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 5      | 0           | 100     | 0
        """
    )


# --- calls


def test_a_call_may_carry_8192_transfers_and_not_one_more(books: Books) -> None:
    before = books.snapshot()
    many = [a_transfer(f"n{number}", "bank", "shop", 1) for number in range(ledger.BATCH_MAX + 1)]

    with pytest.raises(BatchTooLarge):
        books.post(*many)

    assert books.snapshot() == before
    assert books.post() == []
    assert set(books.post(*many[1:])) == {"created"}
    books.verify()


def test_each_partition_has_books_of_its_own_and_a_chain_stays_in_one(ctx: Context) -> None:
    here, there = Books(ctx, 0), Books(ctx, 3)
    here.open(bank="free", ann="no overdraft")
    there.open(far_bank="free", far_ann="no overdraft")

    results = here.post(
        a_transfer("h1", "bank", "ann", 5),
        a_transfer("t1", "far_bank", "far_ann", 7, partition=3),
        a_transfer("x1", "bank", "ann", 5, "linked"),
        a_transfer("x2", "far_bank", "far_ann", 7, partition=3),
        a_transfer("t2", "far_ann", "far_bank", 8, partition=3),
        a_transfer("x3", "bank", "far_ann", 5),
        a_transfer("h2", "ann", "bank", 5),
        a_transfer("y1", "far_bank", "far_ann", 1, "linked", partition=3),
        a_transfer("y2", "far_bank", "far_ann", 1, "linked", partition=3),
    )

    assert results == [
        "created",
        "created",
        "linked_event_crosses_partitions",
        "linked_event_crosses_partitions",
        "exceeds_credits",
        "credit_account_not_found",
        "created",
        "linked_event_failed",
        "linked_event_chain_open",
    ]
    with ctx.tx() as tx:
        assert [(head.partition, head.number) for head in ledger.list_heads(tx)] == [(0, 1), (3, 1)]
        assert ledger.verify(tx) == []


def test_the_same_id_may_stand_in_two_partitions(ctx: Context) -> None:
    here, there = Books(ctx, 0), Books(ctx, 3)
    here.open(bank="free", ann="no overdraft")
    there.open(far_bank="free", far_ann="no overdraft")
    fare = a_transfer("fare", "bank", "ann", 5)

    told = here.post(fare, a_transfer("fare", "far_bank", "far_ann", 5, partition=3))

    assert told == ["created", "created"]
    assert here.post(fare, replace(fare, partition=3)) == ["exists", "exists_with_different_debit_account_id"]


def test_a_partition_without_accounts_refuses_everything(ctx: Context) -> None:
    assert Books(ctx).post(a_transfer("t", "ann", "shop", 1, partition=77)) == ["debit_account_not_found"]
