"""Of several faults in one transfer, the one that stands first in the list of result codes is told."""
# ruff: noqa: E501

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from hansa.ledger import ResultCode, Transfer, TransferFlag
from hansa.store import Context
from ledger.books import Books, a_transfer, cells

ORDER = [code.value for code in ResultCode]

# Each transfer has the fault that is told and, beside it, the one that would be told if that were mended.
TWO_FAULTS = """
event | debit  | credit   | amount | flags                        | currency | code | told                                             | else
t1    | -      | shop     | 1      | expired                      | CNY      | 12   | reserved_flag                                    | debit_account_id_must_not_be_zero
0     | ann    | shop     | 1      | imported                     | CNY      | 12   | reserved_flag                                    | id_must_not_be_zero
0     | -      | shop     | 1      |                              | CNY      | 12   | id_must_not_be_zero                              | debit_account_id_must_not_be_zero
max   | -      | shop     | 1      | post void                    | CNY      | 12   | id_must_not_be_int_max                           | flags_are_mutually_exclusive
fare  | ann    | shop     | 11     | pending                      | CNY      | 12   | exists_with_different_flags                      | exists_with_different_amount
posts | ann    | shop     | 4      | post of:open 60s             | CNY      | 12   | exists_with_different_pending_id                 | exists_with_different_timeout
short | bob    | shop     | 5      | pending 61s                  | CNY      | 12   | exists_with_different_timeout                    | exists_with_different_debit_account_id
fare  | bob    | bank     | 10     |                              | CNY      | 12   | exists_with_different_debit_account_id           | exists_with_different_credit_account_id
fare  | ann    | bank     | 11     |                              | CNY      | 12   | exists_with_different_credit_account_id          | exists_with_different_amount
fare  | ann    | shop     | 11     |                              | HKD      | 12   | exists_with_different_amount                     | exists_with_different_ledger
fare  | ann    | shop     | 10     |                              | HKD      | 11   | exists_with_different_ledger                     | exists_with_different_code
fare  | nobody | shop     | 500    |                              | CNY      | 12   | exists_with_different_debit_account_id           | debit_account_not_found
t2    | ann    | shop     | 1      | pending post                 | CNY      | 12   | flags_are_mutually_exclusive                     | pending_id_must_not_be_zero
t3    | -      | shop     | 1      | post 60s                     | CNY      | 12   | pending_id_must_not_be_zero                      | timeout_reserved_for_pending_transfer
t4    | ann    | shop     | 1      | post of:max 60s              | CNY      | 12   | pending_id_must_not_be_int_max                   | timeout_reserved_for_pending_transfer
t5    | ann    | shop     | 1      | void of:t5 60s               | CNY      | 12   | pending_id_must_be_different                     | timeout_reserved_for_pending_transfer
t6    | ann    | shop     | 1      | post of:nought 60s           | CNY      | 12   | timeout_reserved_for_pending_transfer            | pending_transfer_not_found
t7    | -      | -        | 1      |                              | CNY      | 12   | debit_account_id_must_not_be_zero                | credit_account_id_must_not_be_zero
t8    | max    | -        | 1      |                              | CNY      | 12   | debit_account_id_must_not_be_int_max             | credit_account_id_must_not_be_zero
t9    | ann    | -        | 1      | of:open                      | CNY      | 12   | credit_account_id_must_not_be_zero               | pending_id_must_be_zero
t10   | ann    | max      | 1      | of:open                      | CNY      | 12   | credit_account_id_must_not_be_int_max            | pending_id_must_be_zero
t11   | ann    | ann      | 1      | of:open                      | CNY      | 12   | accounts_must_be_different                       | pending_id_must_be_zero
t12   | ann    | shop     | 1      | of:open 60s                  | CNY      | 12   | pending_id_must_be_zero                          | timeout_reserved_for_pending_transfer
t13   | ann    | shop     | 1      | closing_debit 60s            | CNY      | 12   | timeout_reserved_for_pending_transfer            | closing_transfer_must_be_pending
t14   | ann    | shop     | 1      | closing_debit                |          | 12   | closing_transfer_must_be_pending                 | ledger_must_not_be_zero
t15   | ann    | shop     | 1      |                              |          | 0    | ledger_must_not_be_zero                          | code_must_not_be_zero
t16   | nobody | shop     | 1      |                              | CNY      | 0    | code_must_not_be_zero                            | debit_account_not_found
t17   | nobody | nowhere  | 1      |                              | CNY      | 12   | debit_account_not_found                          | credit_account_not_found
t18   | gone   | nowhere  | 1      |                              | CNY      | 12   | credit_account_not_found                         | debit_account_already_closed
t19   | gone   | peak     | 1      |                              | CNY      | 12   | accounts_must_have_the_same_ledger               | debit_account_already_closed
t20   | gone   | shop     | 1      |                              | HKD      | 12   | transfer_must_have_the_same_ledger_as_accounts   | debit_account_already_closed
t21   | gone   | lost     | 1      |                              | CNY      | 12   | debit_account_already_closed                     | credit_account_already_closed
t22   | bob    | gone     | 1      |                              | CNY      | 12   | credit_account_already_closed                    | exceeds_credits
t23   | bob    | -        | 0      | post of:fare                 | HKD      | 11   | pending_transfer_not_pending                     | pending_transfer_has_different_debit_account_id
t24   | bob    | bank     | 0      | post of:open                 | HKD      | 11   | pending_transfer_has_different_debit_account_id  | pending_transfer_has_different_credit_account_id
t25   | -      | bank     | 0      | post of:open                 | HKD      | 11   | pending_transfer_has_different_credit_account_id | pending_transfer_has_different_ledger
t26   | -      | -        | 99     | post of:open                 | HKD      | 11   | pending_transfer_has_different_ledger            | pending_transfer_has_different_code
t27   | -      | -        | 99     | post of:open                 |          | 11   | pending_transfer_has_different_code              | exceeds_pending_transfer_amount
t28   | -      | -        | 99     | post of:held                 |          | 0    | exceeds_pending_transfer_amount                  | pending_transfer_already_posted
t29   | -      | -        | 4      | void of:held                 |          | 0    | pending_transfer_has_different_amount            | pending_transfer_already_posted
t30   | -      | -        | 4      | void of:kept                 |          | 0    | pending_transfer_has_different_amount            | pending_transfer_already_voided
t31   | -      | -        | 9      | post of:by-gone              |          | 0    | exceeds_pending_transfer_amount                  | debit_account_already_closed
t32   | held-b | basin    | max    | pending                      | CNY      | 12   | overflows_debits_pending                         | overflows_credits_pending
t33   | sea    | basin    | max    | pending                      | CNY      | 12   | overflows_credits_pending                        | overflows_credits
t34   | spent  | full     | max    |                              | CNY      | 12   | overflows_debits_posted                          | overflows_credits_posted
t35   | bob    | full     | max    |                              | CNY      | 12   | overflows_credits_posted                         | exceeds_credits
t36   | held-b | basin    | 6      |                              | CNY      | 12   | overflows_debits                                 | overflows_credits
t37   | bob    | basin    | 6      |                              | CNY      | 12   | overflows_credits                                | exceeds_credits
t38   | bob    | supplier | 1      |                              | CNY      | 12   | exceeds_credits                                  | exceeds_debits
"""

BEFORE = """
event   | debit  | credit | amount | flags                                | result
top-up  | bank   | ann    | 100    |                                      | created
fare    | ann    | shop   | 10     |                                      | created
open    | ann    | shop   | 20     | pending                              | created
held    | ann    | shop   | 5      | pending                              | created
posts   | ann    | shop   | 5      | post of:held                         | created
kept    | ann    | shop   | 5      | pending                              | created
voids   | ann    | shop   | 5      | void of:kept                         | created
short   | ann    | shop   | 5      | pending 60s                          | created
by-gone | gone   | bank   | 3      | pending                              | created
close   | gone   | lost   | 0      | pending closing_debit closing_credit | created
o1      | held-b | sea    | max-5  | pending                              | created
o2      | brook  | basin  | max-5  | pending                              | created
o3      | spent  | dam    | max-5  |                                      | created
o4      | well   | full   | max-5  |                                      | created
"""


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", supplier="no prepayment")
    books.open(gone="free", lost="free", sea="free", basin="free", spent="free", dam="free", brook="free")
    books.open(full="free", well="free", **{"held-b": "free"})
    books.open("HKD", peak="free")
    books.post_table(BEFORE)
    return books


def test_of_two_faults_the_one_listed_first_is_told(books: Books) -> None:
    books.refuse_table(TWO_FAULTS.replace(" told ", "result", 1))

    books.verify()


def test_the_table_above_follows_the_list_of_codes_but_where_a_hold_is_read_only_after_its_form() -> None:
    for row in cells(TWO_FAULTS):
        assert ORDER.index(row["told"]) < ORDER.index(row["else"]), row["event"]


# A transfer that is wrong in every way, mended fault by fault: each time the next fault is told, the first one first.
EVERYTHING_WRONG: dict[str, Any] = {
    "amount": 2**128,
    "timeout_s": -1,
    "tag": -1,
    "code": 2**15,
    "event_at": datetime(2026, 11, 17),  # noqa: DTZ001
    "currency": "YUAN",
    "memo": "a\0b",
    "flags": TransferFlag.EXPIRED | 1024,
}
MENDED_ONE_BY_ONE: list[tuple[str, Any, str]] = [
    ("amount", 1, "amount_out_of_range"),
    ("timeout_s", 0, "timeout_out_of_range"),
    ("tag", 0, "tag_out_of_range"),
    ("code", 12, "code_out_of_range"),
    ("flags", TransferFlag.EXPIRED, "flags_out_of_range"),
    ("event_at", a_transfer("t", "a", "b", 1).event_at, "event_at_out_of_range"),
    ("currency", "CNY", "currency_must_be_a_code"),
    ("memo", "", "memo_must_be_short_text"),
    ("flags", TransferFlag.NONE, "reserved_flag"),
]


def test_a_transfer_wrong_in_every_way_tells_its_faults_in_order(books: Books) -> None:
    transfer: Transfer = replace(a_transfer("wrong", "ann", "shop", 1), **EVERYTHING_WRONG)
    told: list[str] = []
    before = books.snapshot()

    for field, mended, _ in MENDED_ONE_BY_ONE:
        told += books.post(transfer)
        transfer = replace(transfer, **{field: mended})

    assert told == [code for _, _, code in MENDED_ONE_BY_ONE]
    assert told == sorted(told, key=ORDER.index)
    assert books.snapshot() == before
    assert books.post(transfer) == ["created"]
