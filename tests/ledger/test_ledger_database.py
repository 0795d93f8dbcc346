"""What the database itself refuses, whoever writes: limits at once, all else when it folds rows into the accounts."""

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
import pytest

from hansa import ledger
from hansa.ledger import AccountCode, AccountFlag, store
from hansa.store import Context, Tx
from ledger.books import Books, a_transfer, account_id, transfer_id

# A row as it would be after a payment of 1 from the bank to the shop; ``sums`` are the four posted ones after it.
ROW: dict[str, Any] = {
    "block": 4,
    "position": 0,
    "id": transfer_id("by hand"),
    "debit": account_id("bank"),
    "credit": account_id("shop"),
    "amount": 1,
    "currency": "CNY",
    "flags": 0,
    "pending_id": None,
    "released": None,
    "sums": (101, 0, 0, 6),
    "held": (0, 0, 0, 10),
}

INSERT = """
insert into ledger.transfers (partition, block, position, transfer_id, debit_account, credit_account, amount, currency,
    code, flags, event_at, booked_at, pending_id, released, debit_debits_posted, debit_credits_posted,
    credit_debits_posted, credit_credits_posted, debit_debits_pending, debit_credits_pending, credit_debits_pending,
    credit_credits_pending, memo)
values (0, %(block)s, %(position)s, %(id)s, %(debit)s, %(credit)s, %(amount)s, %(currency)s, 1, %(flags)s, now(), now(),
    %(pending_id)s, %(released)s, %(dd)s, %(dc)s, %(cd)s, %(cc)s, %(ddp)s, %(dcp)s, %(cdp)s, %(ccp)s, '')
"""

BLOCK = """
insert into ledger.blocks (partition, number, first, transfers, previous_hash, root, hash, booked_at, salt_key)
values (0, %s, %s, %s, sha256(''), sha256(''), sha256(''), now(), sha256(''))
"""


@pytest.fixture
def books(ctx: Context) -> Books:
    """Three folded blocks: ann has 100; two holds of 10 on her, of which one was posted with 5."""
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", shop="free", supplier="no prepayment")
    books.open("HKD", peak="free")
    books.fund("ann", 100)
    assert books.post(
        a_transfer("hold", "ann", "shop", 10, "pending"), a_transfer("kept", "ann", "shop", 10, "pending")
    ) == ["created", "created"]
    assert books.post(a_transfer("post", "ann", "shop", 5, "post of:hold")) == ["created"]
    return books


def insert(tx: Tx, row: dict[str, Any]) -> None:
    names = ("dd", "dc", "cd", "cc", "ddp", "dcp", "cdp", "ccp")
    tx.execute(INSERT, {**row, **dict(zip(names, (*row["sums"], *row["held"]), strict=True))})


def write(tx: Tx, rows: Sequence[dict[str, Any]], *, sealed: int | None = None) -> None:
    """Write the rows, and a block 4 that says it has so many."""
    for position, change in enumerate(rows):
        insert(tx, {**ROW, "position": position, "id": transfer_id(f"by hand {position}"), **change})
    tx.execute(BLOCK, (4, 4, len(rows) if sealed is None else sealed))


def write_and_fold(
    ctx: Context,
    rows: Sequence[dict[str, Any]],
    *,
    sealed: int | None = None,
    previous: int = 3,
    number: int = 4,
) -> int:
    with ctx.tx() as tx:
        write(tx, rows, sealed=sealed)
        return store.fold(tx, 0, previous=previous, number=number)


def test_rows_that_are_right_are_folded(books: Books) -> None:
    assert write_and_fold(books.ctx, [ROW]) == 1

    assert books.balances()["shop"].credits_posted == 6


FOLDS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "an account that is not there": ([{"debit": account_id("nobody"), "sums": (1, 0, 0, 6)}], "every_account_is_there"),
    "an account of another currency": (
        [{"credit": account_id("peak"), "sums": (101, 0, 0, 1), "held": (0, 0, 0, 0)}],
        "zero_sum",
    ),
    "another currency than its accounts'": ([{"currency": "HKD"}], "zero_sum"),
    "more on one side than on the other": ([{"sums": (101, 0, 0, 7)}], "zero_sum"),
    "more in the accounts than it moves": ([{"sums": (102, 0, 0, 7)}], "zero_sum"),
    "less in the accounts than it moves": ([{"sums": (100, 0, 0, 5)}], "zero_sum"),
    "held on one side alone": ([{"flags": 2, "sums": (100, 0, 0, 5), "held": (1, 0, 0, 10)}], "zero_sum"),
    "an amount below zero": ([{"amount": -1, "sums": (99, 0, 0, 4)}], "every_row_is_a_transfer"),
    "an end without a hold": ([{"flags": 4, "amount": 0, "sums": (100, 0, 0, 5)}], "every_row_is_a_transfer"),
    "a hold named without an end": (
        [{"pending_id": transfer_id("kept"), "released": 10}],
        "every_row_is_a_transfer",
    ),
    "an end of what is no hold": (
        [{"flags": 8, "pending_id": transfer_id("post"), "released": 0, "amount": 0, "sums": (100, 0, 0, 5)}],
        "a_hold_ends_once",
    ),
    "an end of what is not there": (
        [{"flags": 8, "pending_id": transfer_id("nought"), "released": 0, "amount": 0, "sums": (100, 0, 0, 5)}],
        "a_hold_ends_once",
    ),
    "an end of a hold that has ended": (
        [{"flags": 8, "pending_id": transfer_id("hold"), "released": 0, "amount": 0, "sums": (100, 0, 0, 5)}],
        "a_hold_ends_once",
    ),
    "two ends of one hold": (
        [
            {"flags": 8, "pending_id": transfer_id("kept"), "released": 0, "amount": 0, "sums": (100, 0, 0, 5)},
            {"flags": 8, "pending_id": transfer_id("kept"), "released": 0, "amount": 0, "sums": (100, 0, 0, 5)},
        ],
        "a_hold_ends_once",
    ),
    "a hold opened here and ended twice": (
        [
            {"flags": 2, "amount": 0, "sums": (100, 0, 0, 5)},
            *[
                {"flags": 8, "pending_id": transfer_id("by hand 0"), "released": 0, "amount": 0, "sums": (100, 0, 0, 5)}
            ]
            * 2,
        ],
        "a_hold_ends_once",
    ),
    "a wallet overdrawn": (
        [{"debit": account_id("ann"), "amount": 96, "sums": (101, 100, 0, 101), "held": (10, 0, 0, 10)}],
        "debits_must_not_exceed_credits",
    ),
    "a wallet overdrawn by what is held": (
        [{"debit": account_id("ann"), "amount": 86, "sums": (91, 100, 0, 91), "held": (10, 0, 0, 10)}],
        "debits_must_not_exceed_credits",
    ),
    "a supplier paid in advance": (
        [{"credit": account_id("supplier"), "sums": (101, 0, 0, 1), "held": (0, 0, 0, 0)}],
        "credits_must_not_exceed_debits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FOLDS)
def test_rows_that_no_ledger_would_write_are_refused_at_the_fold(books: Books, what: str) -> None:
    rows, constraint = FOLDS[what]
    before = books.snapshot()

    with pytest.raises(psycopg.IntegrityError) as refused:
        write_and_fold(books.ctx, rows)

    assert refused.value.diag.constraint_name == constraint
    assert books.snapshot() == before
    books.verify()


@pytest.mark.parametrize("sealed", [2, 5])
def test_rows_that_are_more_or_fewer_than_their_block_says_are_refused(books: Books, sealed: int) -> None:
    before = books.snapshot()
    rows = [{"amount": 0, "sums": (100, 0, 0, 5)}] * 3

    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        write_and_fold(books.ctx, rows, sealed=sealed)

    assert refused.value.diag.constraint_name == "every_transfer_is_in_a_block"
    assert books.snapshot() == before


def test_rows_in_no_block_at_all_are_refused(books: Books) -> None:
    before = books.snapshot()

    with books.ctx.tx() as tx, tx.transaction(force_rollback=True):
        insert(tx, ROW)
        with pytest.raises(psycopg.IntegrityError):
            store.fold(tx, 0, previous=3, number=4)

    assert books.snapshot() == before


def test_rows_that_were_slipped_in_are_refused_with_the_next_block(books: Books) -> None:
    before = books.snapshot()

    with books.ctx.tx() as tx, tx.transaction(force_rollback=True):
        insert(tx, {**ROW, "position": 900})
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            books.post(a_transfer("next", "bank", "shop", 3))

    assert refused.value.diag.constraint_name == "every_transfer_is_in_a_block"
    assert books.snapshot() == before
    assert books.post(a_transfer("next", "bank", "shop", 3)) == ["created"]


@pytest.mark.parametrize(("previous", "number"), [(2, 3), (2, 4), (0, 3), (0, 4)])
def test_who_folds_what_another_has_folded_is_deposed(books: Books, previous: int, number: int) -> None:
    before = books.snapshot()

    with pytest.raises(store.Deposed):
        write_and_fold(books.ctx, [ROW], previous=previous, number=number)

    assert books.snapshot() == before


@pytest.mark.parametrize(
    ("previous", "number", "constraint"),
    [
        (2, 9, "folded_once"),
        (1, 3, "folds_pkey"),
        (3, 3, "folds_check"),
        (4, 3, "folds_check"),
        (-1, 3, "folds_previous_check"),
    ],
)
def test_blocks_are_folded_once_and_in_order(
    books: Books, previous: int, number: int, constraint: str
) -> None:
    with pytest.raises(psycopg.IntegrityError) as refused, books.ctx.tx() as tx:
        tx.execute("insert into ledger.folds values (0, %s, %s, 0, 0, 0, 0, 0, 0, 0)", (number, previous))

    assert refused.value.diag.constraint_name == constraint
    books.verify()


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"credit": account_id("bank")}, "two_accounts"),
        ({"block": 1}, "transfers_place"),
        ({"id": transfer_id("hold")}, "transfers_pkey"),
    ],
)
def test_a_row_of_the_journal_has_two_accounts_a_place_and_an_id_of_its_own(
    books: Books, change: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(psycopg.IntegrityError) as refused, books.ctx.tx() as tx:
        write(tx, [change])

    assert refused.value.diag.constraint_name == constraint
    books.verify()


@pytest.mark.parametrize(
    ("name", "sums", "constraint"),
    [
        ("ann", "debits_posted = 101", "debits_must_not_exceed_credits"),
        ("ann", "debits_pending = 96", "debits_must_not_exceed_credits"),
        ("supplier", "credits_posted = 1", "credits_must_not_exceed_debits"),
        ("supplier", "credits_pending = 1", "credits_must_not_exceed_debits"),
        ("bank", "debits_posted = -1", "amount_check"),
        ("bank", "debits_posted = 340282366920938463463374607431768211456", "amount_check"),
        ("bank", "flags = 3", "accounts_flags_check"),
        ("bank", "flags = 16", "accounts_flags_check"),
        ("bank", "currency = 'cny'", "accounts_currency_check"),
        ("bank", "path = 'Not:A Path'", "accounts_path_check"),
    ],
)
def test_a_limit_holds_whatever_the_code_does(books: Books, name: str, sums: str, constraint: str) -> None:
    before = books.snapshot()

    with pytest.raises(psycopg.IntegrityError) as refused, books.ctx.tx() as tx:
        tx.execute(f"update ledger.accounts set {sums} where account_id = %s", (account_id(name),))  # pyright: ignore[reportCallIssue, reportArgumentType]

    assert refused.value.diag.constraint_name == constraint
    assert books.snapshot() == before


@pytest.mark.parametrize(
    "statement",
    [
        "insert into ledger.blocks select * from ledger.blocks where number = 1",
        "insert into ledger.blocks select partition, 9, first, transfers, previous_hash, root, hash, booked_at,"
        " salt_key, signature from ledger.blocks where number = 1",
        "insert into ledger.fold_totals values (0, 3, 'HKD', 5, 4, 5, 0, 0)",
        "insert into ledger.fold_totals values (0, 3, 'HKD', 5, 5, 4, 0, 0)",
        "insert into ledger.fold_totals values (0, 3, 'HKD', 0, 0, 0, 1, 0)",
        "insert into ledger.fold_totals values (0, 99, 'HKD', 0, 0, 0, 0, 0)",
        "delete from ledger.folds where number = 3",
        "update ledger.holds set state = 1 where state = 0",
        "update ledger.holds set state = 4",
    ],
)
def test_blocks_folds_and_holds_cannot_be_written_at_will(books: Books, statement: LiteralString) -> None:
    with pytest.raises(psycopg.IntegrityError), books.ctx.tx() as tx:
        tx.execute(statement)

    books.verify()


def test_opening_an_account_again_is_harmless_and_as_another_is_refused(books: Books) -> None:
    ann = ledger.Account(
        account_id("ann"), "CNY", AccountCode.WALLET, "someone", AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS
    )
    before = books.snapshot()

    ledger.open_accounts(books.ctx, [ann, ann])
    for other in (
        ledger.Account(ann.account_id, "HKD", ann.code, ann.holder, ann.flags),
        ledger.Account(ann.account_id, ann.currency, AccountCode.RISK, ann.holder, ann.flags),
        ledger.Account(ann.account_id, ann.currency, ann.code, "someone else", ann.flags),
        ledger.Account(ann.account_id, ann.currency, ann.code, ann.holder, AccountFlag.NONE),
        ledger.Account(ann.account_id, ann.currency, ann.code, ann.holder, ann.flags, path="league:ann"),
        ledger.Account(ann.account_id, ann.currency, ann.code, ann.holder, ann.flags, labels={"a": "b"}),
    ):
        new = ledger.Account(account_id("new"), "CNY", AccountCode.WALLET, "someone")
        with pytest.raises(ledger.AccountConflict):
            ledger.open_accounts(books.ctx, [new, other])

    assert books.snapshot() == before
    with books.ctx.tx() as tx, pytest.raises(ledger.UnknownAccount):
        ledger.balance(tx, account_id("new"))
