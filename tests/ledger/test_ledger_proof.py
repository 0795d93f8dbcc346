"""Whoever tampers with the books is found out."""

from typing import LiteralString

import pytest

from hansa import ledger
from hansa.store import Context
from ledger.books import Books, a_transfer, transfer_id


@pytest.fixture
def books(ctx: Context) -> Books:
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", shop="free")
    for number in range(3):
        books.fund("ann", 100 + number)
        books.post(
            a_transfer(f"fare-{number}", "ann", "shop", 30),
            a_transfer(f"hold-{number}", "ann", "shop", 7, "pending"),
            a_transfer(f"kept-{number}", "ann", "shop", 5, "pending 600s"),
            a_transfer(f"post-{number}", "ann", "shop", 3, f"post of:hold-{number}"),
        )
    books.verify()
    return books


@pytest.mark.parametrize(
    "tampering",
    [
        "update ledger.transfers set amount = amount + 1 where transfer_id = %(fare)s",
        "update ledger.transfers set memo = 'a gift' where transfer_id = %(fare)s",
        "update ledger.transfers set event_at = event_at + interval '1 us' where transfer_id = %(fare)s",
        "update ledger.transfers set booked_at = booked_at + interval '1 us' where transfer_id = %(fare)s",
        "update ledger.transfers set reference = transfer_id where transfer_id = %(fare)s",
        "update ledger.transfers set debit_credits_posted = debit_credits_posted - 1 where transfer_id = %(fare)s",
        "update ledger.transfers set debit_account = credit_account, credit_account = debit_account"
        " where transfer_id = %(fare)s",
        "update ledger.transfers set position = 99 where transfer_id = %(fare)s",
        "update ledger.transfers set block = 99 where transfer_id = %(fare)s",
        "delete from ledger.transfers where transfer_id = %(fare)s",
        "delete from ledger.transfers where transfer_id = %(last)s",
        "update ledger.blocks set hash = sha256(hash) where number = 4",
        "update ledger.blocks set previous_hash = sha256(hash) where number = 4",
        "update ledger.blocks set booked_at = booked_at + interval '1 us' where number = 4",
        "update ledger.blocks set transfers = transfers + 1 where number = 6",
        "with gone as (delete from ledger.block_totals where number = 6) delete from ledger.blocks where number = 7",
        "update ledger.block_totals set debits = debits + 1, credits = credits + 1, moved = moved + 1 where number = 4",
        "delete from ledger.block_totals where number = 4",
        "update ledger.accounts set credits_posted = credits_posted + 1 where credits_posted > 300",
        "update ledger.accounts set credits_pending = credits_pending + 1 where credits_pending > 0",
        "update ledger.heads set hash = sha256(hash)",
        "update ledger.heads set number = number - 1",
        "update ledger.holds set state = 2 where state = 1",
        "update ledger.holds set state = 2, resolved_by = transfer_id where state = 0",
        "delete from ledger.holds where state = 0",
    ],
)
def test_a_changed_row_anywhere_is_found(books: Books, tampering: LiteralString) -> None:
    with books.ctx.tx() as tx:
        tx.execute(tampering, {"fare": transfer_id("fare-1"), "last": transfer_id("kept-2")})

        assert ledger.verify(tx) != []


def test_what_is_found_says_where(books: Books) -> None:
    with books.ctx.tx() as tx:
        tx.execute("update ledger.transfers set amount = 31 where transfer_id = %s", (transfer_id("fare-1"),))

        findings = [str(finding) for finding in ledger.verify(tx)]

    assert "partition 0, block 4: its transfers are not those that were hashed" in findings
    assert "partition 0, block 4: the block's totals are not what its transfers moved" in findings
    assert sum("is not what its journal says" in finding for finding in findings) == 2


def test_each_block_names_the_one_before_it(books: Books) -> None:
    with books.ctx.tx() as tx:
        blocks = ledger.list_blocks(tx)
        head = ledger.block_head(tx)

    assert [block.number for block in blocks] == [1, 2, 3, 4, 5, 6]
    assert [block.previous_hash for block in blocks] == [bytes(32), *(block.hash for block in blocks[:-1])]
    assert head == (6, blocks[-1].hash)
    assert [block.transfers for block in blocks] == [1, 4, 1, 4, 1, 4]


def test_the_same_transfers_at_the_same_time_give_the_same_hash(ctx: Context) -> None:
    hashes: list[bytes] = []
    for _ in range(2):
        with ctx.tx() as tx:
            savepoint = tx.transaction(force_rollback=True)
            with savepoint:
                books = Books(ctx)
                books.open(bank="free", ann="no overdraft")
                books.fund("ann", 100)
                hashes.append(ledger.block_head(tx)[1])

    assert hashes[0] == hashes[1]
