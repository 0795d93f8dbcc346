"""What becomes of a transfer, in tables a bookkeeper can check, through the real database."""
# ruff: noqa: E501

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from hansa import ledger
from hansa.kernel import FixedClock
from hansa.ledger import AMOUNT_MAX, BatchTooLarge, ResultCode, TransferCode
from hansa.store import Context
from ledger.books import Books, a_transfer, account_id, transfer_id


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", supplier="no prepayment")
    books.open("HKD", peak="free")
    books.fund("ann", 100)
    return books


def test_a_transfer_debits_one_account_and_credits_another(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags | result
        fare  | ann   | shop   | 30     |       | ok
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


def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(books: Books) -> None:
    before = books.balances()

    books.post_table(
        """
        event | debit  | credit   | amount              | currency | flags               | result
        r1    | ann    | shop     | 1                   | CNY      | expired             | reserved_flag
        0     | ann    | shop     | 1                   | CNY      |                     | id_must_not_be_zero
        max   | ann    | shop     | 1                   | CNY      |                     | id_must_not_be_int_max
        r2    | ann    | shop     | 1                   | CNY      | pending post        | flags_are_mutually_exclusive
        r3    | ann    | shop     | 1                   | CNY      | post void of:x      | flags_are_mutually_exclusive
        r4    | -      | shop     | 1                   | CNY      |                     | debit_account_id_must_not_be_zero
        r5    | ann    | -        | 1                   | CNY      |                     | credit_account_id_must_not_be_zero
        r6    | ann    | ann      | 1                   | CNY      |                     | accounts_must_be_different
        r7    | ann    | shop     | 1                   | CNY      | of:x                | pending_id_must_be_zero
        r8    | ann    | shop     | 1                   | CNY      | post                | pending_id_must_not_be_zero
        r9    | ann    | shop     | 1                   | CNY      | void of:r9          | pending_id_must_be_different
        r10   | ann    | shop     | 1                   | CNY      | 60s                 | timeout_reserved_for_pending_transfer
        r11   | ann    | shop     | 1                   | CNY      | post of:x 60s       | timeout_reserved_for_pending_transfer
        r12   | ann    | shop     | 0                   | CNY      |                     | amount_must_not_be_zero
        r13   | ann    | shop     | -1                  | CNY      |                     | amount_out_of_range
        r14   | ann    | shop     | 9223372036854775808 | CNY      |                     | amount_out_of_range
        r15   | nobody | shop     | 1                   | CNY      |                     | debit_account_not_found
        r16   | ann    | nobody   | 1                   | CNY      |                     | credit_account_not_found
        r17   | ann    | peak     | 1                   | CNY      |                     | accounts_must_have_the_same_ledger
        r18   | ann    | shop     | 1                   | HKD      |                     | transfer_must_have_the_same_ledger_as_accounts
        r19   | ann    | shop     | 1                   |          |                     | transfer_must_have_the_same_ledger_as_accounts
        r20   | ann    | shop     | 1                   | CNY      | post of:x           | pending_transfer_not_found
        r21   | ann    | shop     | 1                   | CNY      | pending -1s         | overflows_timeout
        r22   | ann    | shop     | 1                   | CNY      | pending 9999999999s | overflows_timeout
        r23   | bank   | shop     | 9223372036854775800 | CNY      |                     | overflows_debits
        r24   | shop   | ann      | 9223372036854775800 | CNY      |                     | overflows_credits
        r25   | ann    | shop     | 101                 | CNY      |                     | exceeds_credits
        r26   | bank   | supplier | 1                   | CNY      |                     | exceeds_debits
        """
    )

    assert books.balances() == before
    with books.ctx.tx() as tx:
        assert ledger.block_head(tx)[0] == 1, "a batch of refusals leaves no block"


def test_the_first_applicable_result_is_the_one_told(books: Books) -> None:
    wrong_in_every_way = a_transfer("w", "-", "-", 0, "pending post of:x 5s", currency="???")

    assert books.post(wrong_in_every_way) == ["flags_are_mutually_exclusive"]
    assert books.post(replace(wrong_in_every_way, transfer_id=transfer_id("0"))) == ["id_must_not_be_zero"]
    assert books.post(replace(wrong_in_every_way, code=0)) == ["flags_are_mutually_exclusive"]
    assert books.post(a_transfer("c", "nobody", "shop", 1, code=0)) == ["code_must_not_be_zero"]


@pytest.mark.parametrize("memo", ["x" * 201, "a\0b", "half \ud83d of a pair"])
def test_a_memo_the_books_cannot_hold_is_refused_alone(books: Books, memo: str) -> None:
    results = books.post(
        a_transfer("memo", "ann", "shop", 1, memo=memo), a_transfer("plain", "ann", "shop", 1, memo="北京 🚇")
    )

    assert results == ["memo_must_be_short_text", "ok"]
    with books.ctx.tx() as tx:
        assert ledger.get_transfer(tx, transfer_id("plain")).transfer.memo == "北京 🚇"


def test_sending_a_transfer_again_is_recognised_also_within_one_batch(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags | result
        fare  | ann   | shop   | 60     |       | ok
        fare  | ann   | shop   | 60     |       | exists
        """
    )
    books.post_table(
        """
        event | debit | credit | amount | flags | result
        fare  | ann   | shop   | 60     |       | exists
        other | ann   | shop   | 40     |       | ok
        more  | ann   | shop   | 1      |       | exceeds_credits
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
    ("change", "code"),
    [
        ({"flags": ledger.TransferFlag.PENDING}, "exists_with_different_flags"),
        ({"pending_id": transfer_id("x")}, "exists_with_different_pending_id"),
        ({"timeout_s": 5}, "exists_with_different_timeout"),
        ({"debit": account_id("bob")}, "exists_with_different_debit_account_id"),
        ({"credit": account_id("bank")}, "exists_with_different_credit_account_id"),
        ({"amount": 31}, "exists_with_different_amount"),
        ({"reference": UUID(int=7)}, "exists_with_different_reference"),
        (
            {"event_at": a_transfer("t", "a", "b", 1).event_at + timedelta(microseconds=1)},
            "exists_with_different_event_at",
        ),
        ({"memo": "another"}, "exists_with_different_memo"),
        ({"currency": "HKD"}, "exists_with_different_ledger"),
        ({"code": TransferCode.REFUND}, "exists_with_different_code"),
        ({}, "exists"),
    ],
)
def test_an_id_used_again_for_something_else_is_told_what_differs(
    books: Books, change: dict[str, object], code: str
) -> None:
    fare = a_transfer("fare", "ann", "shop", 30)
    assert books.post(fare) == ["ok"]
    before = books.balances()

    assert books.post(replace(fare, **change)) == [code]  # pyright: ignore[reportArgumentType]

    assert books.balances() == before


def test_a_hold_counts_in_the_limit_and_moves_money_only_when_posted(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags   | result
        hold  | ann   | shop   | 70     | pending | ok
        fare  | ann   | shop   | 31     |         | exceeds_credits
        fare2 | ann   | shop   | 30     |         | ok
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
        post  | -     | -      | 50     |          | post of:hold | ok
        post  | ann   | shop   | 50     | CNY      | post of:hold | exists
        again | ann   | shop   | 50     | CNY      | post of:hold | pending_transfer_already_posted
        undo  | ann   | shop   | 0      | CNY      | void of:hold | pending_transfer_already_posted
        fare3 | ann   | shop   | 20     | CNY      |              | ok
        """
    )
    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 100    | 0           | 100     | 0
        shop    | 0      | 0           | 100     | 0
        """
    )


def test_posting_or_voiding_must_fit_its_hold(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | currency | flags         | result
        plain | ann   | shop   | 1      | CNY      |               | ok
        hold  | ann   | shop   | 40     | CNY      | pending       | ok
        p1    | ann   | shop   | 1      | CNY      | post of:plain | pending_transfer_not_pending
        p2    | bob   | shop   | 1      | CNY      | post of:hold  | pending_transfer_has_different_debit_account_id
        p3    | ann   | bob    | 1      | CNY      | post of:hold  | pending_transfer_has_different_credit_account_id
        p4    | ann   | shop   | 1      | HKD      | post of:hold  | pending_transfer_has_different_ledger
        p5    | ann   | shop   | 41     | CNY      | post of:hold  | exceeds_pending_transfer_amount
        p6    | ann   | shop   | 39     | CNY      | void of:hold  | pending_transfer_has_different_amount
        p7    | ann   | shop   | -1     | CNY      | post of:hold  | amount_out_of_range
        void  | -     | -      | 0      |          | void of:hold  | ok
        void  | ann   | shop   | 40     | CNY      | void of:hold  | exists
        late  | -     | -      | 0      |          | post of:hold  | pending_transfer_already_voided
        """
    )
    other_code = replace(a_transfer("p8", "ann", "shop", 1, "post of:hold"), code=TransferCode.REFUND)
    assert books.post(other_code) == ["pending_transfer_has_different_code"]

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 1      | 0           | 100     | 0
        shop    | 0      | 0           | 1       | 0
        """
    )


def test_posting_amount_zero_takes_all_of_the_hold(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags        | result
        hold  | ann   | shop   | 40     | pending      | ok
        post  | ann   | shop   | 0      | post of:hold | ok
        post  | ann   | shop   | 0      | post of:hold | exists
        post  | ann   | shop   | 40     | post of:hold | exists
        post  | ann   | shop   | 39     | post of:hold | exists_with_different_amount
        half  | ann   | shop   | 40     | pending      | ok
        part  | ann   | shop   | 15     | post of:half | ok
        part  | ann   | shop   | 0      | post of:half | exists_with_different_amount
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 55     | 0           | 100     | 0
        shop    | 0      | 0           | 55      | 0
        """
    )


def test_a_hold_falls_away_when_its_time_is_up(books: Books, ctx: Context) -> None:
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    books.post_table(
        """
        event | debit | credit | amount | flags       | result
        short | ann   | shop   | 60     | pending 60s | ok
        long  | ann   | shop   | 10     | pending 90s | ok
        ever  | ann   | shop   | 5      | pending     | ok
        """
    )

    assert ledger.expire_pending(ctx) == 0
    clock.at += timedelta(seconds=60)
    books.post_table(
        """
        event | debit | credit | amount | flags         | result
        late  | ann   | shop   | 60     | post of:short | pending_transfer_expired
        """
    )
    assert ledger.expire_pending(ctx) == 1
    assert ledger.expire_pending(ctx) == 0

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
        fare  | ann   | shop   | 85     |               | ok
        """
    )
    with ctx.tx() as tx:
        release = ledger.statement(tx, account_id("ann"), newest_first=True, limit=2)[1].booked.transfer
    assert release.flags == ledger.TransferFlag.VOID_PENDING | ledger.TransferFlag.EXPIRED


def test_linked_transfers_stand_or_fall_together(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags  | result
        a1    | ann   | shop   | 60     | linked | linked_event_failed
        a2    | ann   | shop   | 60     | linked | exceeds_credits
        a3    | bank  | shop   | 1      |        | linked_event_failed
        b1    | bank  | bob    | 7      | linked | ok
        b2    | bob   | shop   | 7      |        | ok
        c1    | ann   | bob    | 100    |        | ok
        d1    | bob   | shop   | 1      | linked | linked_event_failed
        d2    | bob   | shop   | 1      | linked | linked_event_chain_open
        """
    )
    books.post_table(
        """
        event | debit | credit | amount | flags  | result
        b1    | bank  | bob    | 7      | linked | exists
        b2    | bob   | shop   | 7      |        | exists
        a3    | bank  | shop   | 1      | linked | linked_event_failed
        b1    | bank  | bob    | 7      | linked | exists
        e1    | bank  | shop   | 1      |        | linked_event_failed
        f1    | bank  | shop   | 1      | linked | linked_event_failed
        b2    | bob   | shop   | 8      |        | exists_with_different_amount
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


def test_a_failed_chain_takes_back_its_holds_and_their_ends(books: Books) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags               | result
        hold  | ann   | shop   | 40     | pending             | ok
        n1    | ann   | shop   | 20     | linked pending      | linked_event_failed
        n2    | ann   | shop   | 20     | linked post of:n1   | linked_event_failed
        n3    | ann   | shop   | 15     | linked post of:hold | linked_event_failed
        n4    | ann   | shop   | 500    |                     | exceeds_credits
        v1    | ann   | shop   | 0      | linked void of:hold | linked_event_failed
        v2    | ann   | shop   | 500    |                     | exceeds_credits
        late  | ann   | shop   | 20     | post of:n1          | pending_transfer_not_found
        post  | ann   | shop   | 0      | post of:hold        | ok
        """
    )

    books.compare(
        """
        account | debits | held debits | credits | held credits
        ann     | 40     | 0           | 100     | 0
        shop    | 0      | 0           | 40      | 0
        """
    )


def test_a_refused_transfer_may_be_tried_again_under_the_same_id(books: Books) -> None:
    fare = a_transfer("fare", "bob", "shop", 30)

    assert books.post(fare) == ["exceeds_credits"]
    books.fund("bob", 30)

    assert books.post(fare) == ["ok"]


def test_nothing_is_booked_on_a_closed_account_but_the_release_of_a_hold(books: Books, ctx: Context) -> None:
    books.post_table(
        """
        event | debit | credit | amount | flags   | result
        hold  | ann   | shop   | 40     | pending | ok
        """
    )

    ledger.close_accounts(ctx, [account_id("ann")])
    ledger.close_accounts(ctx, [account_id("ann")])

    books.post_table(
        """
        event | debit | credit | amount | flags        | result
        fare  | ann   | shop   | 1      |              | debit_account_already_closed
        gift  | bank  | ann    | 1      |              | credit_account_already_closed
        post  | ann   | shop   | 40     | post of:hold | debit_account_already_closed
        void  | ann   | shop   | 40     | void of:hold | ok
        """
    )
    books.open(ann="no overdraft")
    with ctx.tx() as tx:
        assert ledger.AccountFlag.CLOSED in ledger.get_account(tx, account_id("ann")).flags


def test_the_largest_amount_is_taken_and_not_one_more(books: Books) -> None:
    books.open(well="free", sea="free")

    results = books.post(
        a_transfer("all", "well", "sea", AMOUNT_MAX - 5),
        a_transfer("held", "well", "sea", 5, "pending"),
        a_transfer("one more", "well", "sea", 1),
        a_transfer("post", "well", "sea", 0, "post of:held"),
    )

    assert results == ["ok", "ok", "overflows_debits", "ok"]
    books.verify()


def test_every_result_code_is_named_as_its_value() -> None:
    assert [code.value for code in ResultCode] == [code.name.lower() for code in ResultCode]


def test_a_call_may_carry_8192_transfers_and_not_one_more(books: Books) -> None:
    before = books.balances()
    many = [a_transfer(f"n{number}", "bank", "shop", 1) for number in range(ledger.BATCH_MAX + 1)]

    with pytest.raises(BatchTooLarge):
        books.post(*many)

    assert books.balances() == before
    assert books.post() == []


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
    )

    assert results == [
        "ok",
        "ok",
        "linked_event_crosses_partitions",
        "linked_event_crosses_partitions",
        "exceeds_credits",
        "credit_account_not_found",
        "ok",
    ]
    with ctx.tx() as tx:
        assert [(head.partition, head.number) for head in ledger.list_heads(tx)] == [(0, 1), (3, 1)]
        assert ledger.verify(tx) == []


def test_a_partition_without_accounts_refuses_everything(ctx: Context) -> None:
    assert Books(ctx).post(a_transfer("t", "ann", "shop", 1, partition=77)) == ["debit_account_not_found"]
