"""The database itself refuses what must not be, also to someone who writes SQL by hand."""

import psycopg
import pytest

from hansa import ledger
from hansa.ledger import AccountCode, AccountFlag
from hansa.store import Context
from ledger.books import Books, a_transfer, account_id, transfer_id

INSERT = """
insert into ledger.transfers (partition, block, position, transfer_id, debit_account, credit_account, amount, currency,
    code, flags, timeout_s, event_at, booked_at, debit_debits_posted, debit_credits_posted, credit_debits_posted,
    credit_credits_posted, pending_id, memo)
values (0, 900, %(position)s, gen_random_uuid(), %(debit)s, %(credit)s, %(amount)s, %(currency)s, 1, %(flags)s, 0,
    now(), now(), 0, 0, 0, 0, %(pending_id)s, '')
"""

GOOD = {
    "position": 0,
    "debit": account_id("bank"),
    "credit": account_id("shop"),
    "amount": 1,
    "currency": "CNY",
    "flags": 0,
    "pending_id": None,
}


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", shop="free", supplier="no prepayment")
    books.open("HKD", peak="free")
    books.fund("ann", 100)
    assert books.post(
        a_transfer("hold", "ann", "shop", 10, "pending"), a_transfer("post", "ann", "shop", 5, "post of:hold")
    ) == ["ok", "ok"]
    return books


def test_a_good_row_is_taken(books: Books) -> None:
    with books.ctx.tx() as tx:
        tx.execute(INSERT, GOOD)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"amount": 0}, "transfers_amount_check"),
        ({"amount": -1}, "transfers_amount_check"),
        ({"credit": account_id("bank")}, "two_accounts"),
        ({"currency": "HKD"}, "debit_account_of_the_currency"),
        ({"credit": account_id("peak")}, "credit_account_of_the_currency"),
        ({"debit": account_id("nobody")}, "debit_account_of_the_currency"),
        ({"flags": 4}, "resolves_a_hold"),
        ({"pending_id": transfer_id("hold")}, "resolves_a_hold"),
        ({"flags": 8, "pending_id": transfer_id("hold")}, "one_resolution"),
        ({"flags": 8, "pending_id": transfer_id("fund ann 100")}, "pending_transfer"),
        ({"position": -1}, "transfers_position_check"),
    ],
)
def test_a_wrong_row_is_refused(books: Books, change: dict[str, object], constraint: str) -> None:
    before = books.balances()

    with pytest.raises(psycopg.IntegrityError) as refused, books.ctx.tx() as tx:
        tx.execute(INSERT, GOOD | change)

    assert refused.value.diag.constraint_name == constraint
    assert books.balances() == before


@pytest.mark.parametrize(
    ("name", "sums", "constraint"),
    [
        ("ann", "debits_posted = 101", "debits_must_not_exceed_credits"),
        ("ann", "debits_pending = 96", "debits_must_not_exceed_credits"),
        ("supplier", "credits_posted = 1", "credits_must_not_exceed_debits"),
        ("supplier", "credits_pending = 1", "credits_must_not_exceed_debits"),
        ("bank", "debits_posted = -1", "accounts_debits_posted_check"),
        ("bank", "currency = 'HKD'", "debit_account_of_the_currency"),
    ],
)
def test_a_limit_holds_whatever_the_code_does(books: Books, name: str, sums: str, constraint: str) -> None:
    before = books.balances()

    with pytest.raises(psycopg.IntegrityError) as refused, books.ctx.tx() as tx:
        tx.execute(f"update ledger.accounts set {sums} where account_id = %s", (account_id(name),))  # pyright: ignore[reportCallIssue, reportArgumentType]

    assert refused.value.diag.constraint_name == constraint
    assert books.balances() == before


def test_a_block_that_is_not_zero_sum_cannot_be_written(books: Books) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as refused, books.ctx.tx() as tx:
        tx.execute(
            "insert into ledger.block_totals (partition, number, currency, debits, credits, moved)"
            " values (0, 2, 'HKD', 5, 4, 5)"
        )

    assert refused.value.diag.constraint_name == "zero_sum"


def test_a_block_number_is_used_once(books: Books) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation), books.ctx.tx() as tx:
        tx.execute("insert into ledger.blocks select * from ledger.blocks where number = 1")


def test_opening_an_account_again_is_harmless_and_as_another_is_refused(books: Books) -> None:
    ann = ledger.Account(
        account_id("ann"), "CNY", AccountCode.WALLET, "someone", AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS
    )
    before = books.balances()

    ledger.open_accounts(books.ctx, [ann, ann])
    for other in (
        ledger.Account(ann.account_id, "HKD", ann.code, ann.holder, ann.flags),
        ledger.Account(ann.account_id, ann.currency, AccountCode.RISK, ann.holder, ann.flags),
        ledger.Account(ann.account_id, ann.currency, ann.code, "someone else", ann.flags),
        ledger.Account(ann.account_id, ann.currency, ann.code, ann.holder, AccountFlag.NONE),
    ):
        new = ledger.Account(account_id("new"), "CNY", AccountCode.WALLET, "someone")
        with pytest.raises(ledger.AccountConflict):
            ledger.open_accounts(books.ctx, [new, other])

    assert books.balances() == before
    with books.ctx.tx() as tx, pytest.raises(ledger.UnknownAccount):
        ledger.balance(tx, account_id("new"))
