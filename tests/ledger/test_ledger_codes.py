"""Every code that a transfer can be told, reached through the real database, in tables by group."""
# ruff: noqa: E501

from datetime import UTC, datetime

import pytest

from hansa.ledger import ResultCode
from hansa.store import Context
from ledger.books import Books, a_transfer, results_in
from ledger.test_ledger_misfits import MISFITS

# One bank and one shop that may stand as they like, two wallets that may not be overdrawn, a supplier that may not be
# paid in advance, and a till in another currency. Ann has 100.
BEFORE = """
event   | debit | credit | amount | flags                 | tag | memo  | reference | result
top-up  | bank  | ann    | 100    |                       |     |       |           | created
fare    | ann   | shop   | 10     |                       | 7   | bus   | ride      | created
open    | ann   | shop   | 20     | pending               | 7   | ferry | ride      | created
posted  | ann   | shop   | 5      | pending               |     |       |           | created
p-post  | ann   | shop   | 5      | post of:posted        |     |       |           | created
voided  | ann   | shop   | 5      | pending               |     |       |           | created
v-void  | ann   | shop   | 5      | void of:voided        |     |       |           | created
short   | ann   | shop   | 5      | pending 60s           |     |       |           | created
on-gone | bank  | gone   | 3      | pending               |     |       |           | created
by-gone | gone  | bank   | 3      | pending               |     |       |           | created
close   | gone  | bank   | 0      | pending closing_debit |     |       |           | created
"""

IDS_AND_FLAGS = """
event | debit | credit | amount | flags    | result
r1    | ann   | shop   | 1      | expired  | reserved_flag
r2    | ann   | shop   | 1      | imported | reserved_flag
0     | ann   | shop   | 1      |          | id_must_not_be_zero
max   | ann   | shop   | 1      |          | id_must_not_be_int_max
"""

USED_AGAIN = """
event  | debit | credit | amount | flags          | tag | memo | reference | second | currency | code | result
fare   | ann   | shop   | 10     | pending        | 7   | bus  | ride      |        | CNY      | 12   | exists_with_different_flags
p-post | ann   | shop   | 5      | post of:open   |     |      |           |        | CNY      | 12   | exists_with_different_pending_id
short  | ann   | shop   | 5      | pending 61s    |     |      |           |        | CNY      | 12   | exists_with_different_timeout
fare   | bob   | shop   | 10     |                | 7   | bus  | ride      |        | CNY      | 12   | exists_with_different_debit_account_id
fare   | ann   | bank   | 10     |                | 7   | bus  | ride      |        | CNY      | 12   | exists_with_different_credit_account_id
fare   | ann   | shop   | 11     |                | 7   | bus  | ride      |        | CNY      | 12   | exists_with_different_amount
fare   | ann   | shop   | 10     |                | 7   | bus  | other     |        | CNY      | 12   | exists_with_different_reference
fare   | ann   | shop   | 10     |                | 7   | bus  | ride      | 1      | CNY      | 12   | exists_with_different_event_at
fare   | ann   | shop   | 10     |                | 8   | bus  | ride      |        | CNY      | 12   | exists_with_different_tag
fare   | ann   | shop   | 10     |                | 7   | tram | ride      |        | CNY      | 12   | exists_with_different_memo
fare   | ann   | shop   | 10     |                | 7   | bus  | ride      |        | HKD      | 12   | exists_with_different_ledger
fare   | ann   | shop   | 10     |                | 7   | bus  | ride      |        | CNY      | 11   | exists_with_different_code
fare   | ann   | shop   | 10     |                | 7   | bus  | ride      |        | CNY      | 12   | exists
p-post | -     | -      | all    | post of:posted |     |      |           |        |          | 0    | exists
"""

OF_THE_FORM = """
event | debit | credit | amount | flags                   | currency | code | result
f1    | ann   | shop   | 1      | post void of:open       | CNY      | 12   | flags_are_mutually_exclusive
f2    | ann   | shop   | 1      | pending post of:open    | CNY      | 12   | flags_are_mutually_exclusive
f3    | ann   | shop   | 1      | pending void of:open    | CNY      | 12   | flags_are_mutually_exclusive
f4    | ann   | shop   | 1      | balancing_debit post of:open  | CNY | 12  | flags_are_mutually_exclusive
f5    | ann   | shop   | 1      | balancing_credit void of:open | CNY | 12  | flags_are_mutually_exclusive
f6    | ann   | shop   | 1      | closing_debit post of:open    | CNY | 12  | flags_are_mutually_exclusive
f7    | ann   | shop   | 1      | closing_credit void of:open   | CNY | 12  | flags_are_mutually_exclusive
f8    | -     | shop   | 1      |                         | CNY      | 12   | debit_account_id_must_not_be_zero
f9    | max   | shop   | 1      |                         | CNY      | 12   | debit_account_id_must_not_be_int_max
f10   | ann   | -      | 1      |                         | CNY      | 12   | credit_account_id_must_not_be_zero
f11   | ann   | max    | 1      |                         | CNY      | 12   | credit_account_id_must_not_be_int_max
f12   | ann   | ann    | 1      |                         | CNY      | 12   | accounts_must_be_different
f13   | ann   | shop   | 1      | of:open                 | CNY      | 12   | pending_id_must_be_zero
f14   | ann   | shop   | 1      | pending of:open         | CNY      | 12   | pending_id_must_be_zero
f15   | ann   | shop   | 1      | post                    | CNY      | 12   | pending_id_must_not_be_zero
f16   | ann   | shop   | 1      | void                    | CNY      | 12   | pending_id_must_not_be_zero
f17   | ann   | shop   | 1      | post of:max             | CNY      | 12   | pending_id_must_not_be_int_max
f18   | ann   | shop   | 1      | void of:f18             | CNY      | 12   | pending_id_must_be_different
f19   | ann   | shop   | 1      | 60s                     | CNY      | 12   | timeout_reserved_for_pending_transfer
f20   | ann   | shop   | 1      | post of:open 60s        | CNY      | 12   | timeout_reserved_for_pending_transfer
f21   | ann   | shop   | 1      | closing_debit           | CNY      | 12   | closing_transfer_must_be_pending
f22   | ann   | shop   | 1      | closing_credit          | CNY      | 12   | closing_transfer_must_be_pending
f23   | ann   | shop   | 1      |                         |          | 12   | ledger_must_not_be_zero
f24   | ann   | shop   | 1      |                         | CNY      | 0    | code_must_not_be_zero
"""

OF_THE_ACCOUNTS = """
event | debit  | credit | amount | flags           | currency | result
a1    | nobody | shop   | 1      |                 | CNY      | debit_account_not_found
a2    | ann    | nobody | 1      |                 | CNY      | credit_account_not_found
a3    | ann    | peak   | 1      |                 | CNY      | accounts_must_have_the_same_ledger
a4    | ann    | shop   | 1      |                 | HKD      | transfer_must_have_the_same_ledger_as_accounts
a5    | gone   | shop   | 1      |                 | CNY      | debit_account_already_closed
a6    | bank   | gone   | 1      |                 | CNY      | credit_account_already_closed
a7    | gone   | bank   | 3      | post of:by-gone | CNY      | debit_account_already_closed
a8    | bank   | gone   | 3      | post of:on-gone | CNY      | credit_account_already_closed
"""

OF_THE_HOLD = """
event | debit | credit | amount | flags          | currency | code | result
h1    | -     | -      | 0      | post of:nought |          | 0    | pending_transfer_not_found
h2    | -     | -      | 0      | void of:nought |          | 0    | pending_transfer_not_found
h3    | -     | -      | 0      | post of:fare   |          | 0    | pending_transfer_not_pending
h4    | -     | -      | 0      | void of:p-post |          | 0    | pending_transfer_not_pending
h5    | bob   | -      | 0      | post of:open   |          | 0    | pending_transfer_has_different_debit_account_id
h6    | -     | bank   | 0      | post of:open   |          | 0    | pending_transfer_has_different_credit_account_id
h7    | -     | -      | 0      | post of:open   | HKD      | 0    | pending_transfer_has_different_ledger
h8    | -     | -      | 0      | post of:open   |          | 11   | pending_transfer_has_different_code
h9    | -     | -      | 21     | post of:open   |          | 0    | exceeds_pending_transfer_amount
h10   | -     | -      | 21     | void of:open   |          | 0    | exceeds_pending_transfer_amount
h11   | -     | -      | all    | void of:open   |          | 0    | exceeds_pending_transfer_amount
h12   | -     | -      | 19     | void of:open   |          | 0    | pending_transfer_has_different_amount
h13   | -     | -      | 5      | post of:posted |          | 0    | pending_transfer_already_posted
h14   | -     | -      | 0      | void of:posted |          | 0    | pending_transfer_already_posted
h15   | -     | -      | 5      | post of:voided |          | 0    | pending_transfer_already_voided
h16   | -     | -      | 0      | void of:voided |          | 0    | pending_transfer_already_voided
"""

OF_THE_LIMITS = """
event | debit | credit   | amount | flags   | result
l1    | ann   | shop     | 61     |         | exceeds_credits
l2    | ann   | shop     | 61     | pending | exceeds_credits
l3    | bob   | shop     | 1      |         | exceeds_credits
l4    | bank  | supplier | 1      |         | exceeds_debits
l5    | bank  | supplier | 1      | pending | exceeds_debits
"""

OF_CHAINS = """
event | debit | credit | amount | flags  | result
c1    | bank  | shop   | 1      | linked | linked_event_failed
c2    | bob   | shop   | 1      |        | exceeds_credits
c3    | bank  | shop   | 1      | linked | linked_event_failed
c4    | bank  | shop   | 1      | linked | linked_event_chain_open
"""

REFUSALS = {
    "ids and flags": IDS_AND_FLAGS,
    "ids used again": USED_AGAIN,
    "the form": OF_THE_FORM,
    "the accounts": OF_THE_ACCOUNTS,
    "the hold": OF_THE_HOLD,
    "the limits": OF_THE_LIMITS,
}

# Three springs and three seas without limits: what is on the way from the full ones leaves room for 5, no more.
NEARLY_FULL = """
event | debit  | credit | amount | flags   | result
o1    | held   | shore  | max-5  | pending | created
o2    | shore  | basin  | max-5  | pending | created
o3    | spent  | dam    | max-5  |         | created
o4    | brook  | full   | max-5  |         | created
"""

OVERFLOWS = """
event | debit  | credit | amount | flags   | result
v1    | held   | sea    | 6      | pending | overflows_debits_pending
v2    | sea    | basin  | 6      | pending | overflows_credits_pending
v3    | spent  | sea    | 6      |         | overflows_debits_posted
v4    | sea    | full   | 6      |         | overflows_credits_posted
v5    | held   | sea    | 6      |         | overflows_debits
v6    | sea    | basin  | 6      |         | overflows_credits
v7    | spent  | sea    | 6      | pending | overflows_debits_posted
v8    | sea    | full   | 6      | pending | overflows_credits_posted
"""

STILL_FITS = """
event | debit  | credit | amount | flags   | result
w1    | held   | sea    | 5      |         | created
w2    | spent  | sea    | 5      | pending | created
w3    | brook  | basin  | 5      |         | created
w4    | brook  | full   | 0      |         | created
"""


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", bob="no overdraft", shop="free", supplier="no prepayment")
    books.open(gone="free")
    books.open("HKD", peak="free")
    return books


@pytest.mark.parametrize("group", REFUSALS)
def test_what_is_refused_is_told_by_name_and_changes_nothing(books: Books, group: str) -> None:
    books.post_table(BEFORE)

    books.refuse_table(REFUSALS[group])

    books.verify()


def test_a_chain_tells_which_member_was_refused_and_nothing_of_it_stays(books: Books) -> None:
    before = books.snapshot()

    books.post_table(OF_CHAINS)

    assert books.snapshot() == before


def test_a_hold_whose_time_is_up_is_expired_before_and_after_the_ledger_released_it(books: Books) -> None:
    late = """
        event | debit | credit | amount | flags         | result
        late  | -     | -      | all    | post of:short | pending_transfer_expired
        void  | -     | -      | 0      | void of:short | pending_transfer_expired
        """
    books.post_table(BEFORE)
    books.clock.at = datetime(2026, 11, 18, tzinfo=UTC)

    books.refuse_table(late.replace("| all ", "| 5   ").replace("| -     | -     ", "| ann   | shop  "))
    from hansa import ledger

    assert ledger.expire_pending(books.ctx) == 1
    books.refuse_table(late.replace("| all ", "| 5   ").replace("| -     | -     ", "| ann   | shop  "))


def test_no_sum_ever_passes_the_largest_number_and_the_last_place_can_be_used(books: Books) -> None:
    books.open(held="free", shore="free", basin="free", spent="free", dam="free", brook="free", full="free")
    books.open(sea="free")
    books.post_table(NEARLY_FULL)

    books.refuse_table(OVERFLOWS)
    books.post_table(STILL_FITS)

    books.compare(
        """
        account | debits | held debits | credits | held credits
        held    | 5      | max-5       | 0       | 0
        basin   | 0      | 0           | 5       | max-5
        spent   | max-5  | 5           | 0       | 0
        full    | 0      | 0           | max-5   | 0
        """
    )


def test_a_hold_cannot_end_after_the_last_year_that_has_four_digits(books: Books) -> None:
    books.clock.at = datetime(9999, 12, 31, 23, 59, 0, tzinfo=UTC)
    before = books.snapshot()

    assert books.post(a_transfer("late", "bank", "shop", 1, "pending 60s")) == ["overflows_timeout"]
    assert books.snapshot() == before
    assert books.post(a_transfer("soon", "bank", "shop", 1, "pending 59s")) == ["created"]
    books.verify()


def test_every_code_there_is_stands_in_one_of_these_tables() -> None:
    elsewhere = {"pending_transfer_expired", "overflows_timeout", "linked_event_crosses_partitions"}
    tables = [BEFORE, *REFUSALS.values(), OF_CHAINS, NEARLY_FULL, OVERFLOWS, STILL_FITS]

    reached = {*results_in(tables), *elsewhere, *(code for _, code in MISFITS.values())}

    assert {code.value for code in ResultCode} == reached


def test_every_result_code_is_named_as_its_value() -> None:
    assert [code.value for code in ResultCode] == [code.name.lower() for code in ResultCode]
