"""Whoever tampers with the books is found out."""

from typing import Any, LiteralString

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import ledger
from hansa.ledger import blocks, store
from hansa.ledger.batch import batch_of, microseconds
from hansa.ledger.rows import Rows
from hansa.ledger.writer import write_now
from hansa.store import Context, Tx
from hansa.trust import tlog
from ledger.books import Books, a_transfer, transfer_id


@pytest.fixture
def books(ctx: Context) -> Books:
    """Ten blocks with transfers of every kind; 300 in the last, so that the tree has a node to keep."""
    books = Books(ctx)
    books.open(bank="free", ann="no overdraft", shop="free", gone="free")
    for number in range(3):
        books.fund("ann", 100 + number)
        books.post(
            a_transfer(f"fare-{number}", "ann", "shop", 30),
            a_transfer(f"hold-{number}", "ann", "shop", 7, "pending"),
            a_transfer(f"kept-{number}", "ann", "shop", 5, "pending 600s"),
            a_transfer(f"post-{number}", "ann", "shop", 3, f"post of:hold-{number}"),
        )
    books.post(a_transfer("close", "gone", "bank", 0, "pending closing_debit"))
    books.post(*(a_transfer(f"n{number}", "bank", "shop", 1) for number in range(300)))
    books.verify()
    return books


TAMPERINGS: dict[str, list[LiteralString]] = {
    "a transfer": [
        "update ledger.transfers set amount = amount + 1 where transfer_id = %(fare)s",
        "update ledger.transfers set amount = -5 where transfer_id = %(fare)s",
        "update ledger.transfers set amount = 10::numeric ^ 38 * 9 where transfer_id = %(fare)s",
        "update ledger.transfers set memo = 'a gift' where transfer_id = %(fare)s",
        "update ledger.transfers set code = code + 1 where transfer_id = %(fare)s",
        "update ledger.transfers set code = -1 where transfer_id = %(fare)s",
        "update ledger.transfers set flags = 512 where transfer_id = %(fare)s",
        "update ledger.transfers set flags = -1 where transfer_id = %(fare)s",
        "update ledger.transfers set tag = 1 where transfer_id = %(fare)s",
        "update ledger.transfers set tag = -1 where transfer_id = %(fare)s",
        "update ledger.transfers set timeout_s = 601 where transfer_id = %(kept)s",
        "update ledger.transfers set timeout_s = 2::bigint ^ 40 where transfer_id = %(kept)s",
        "update ledger.transfers set currency = 'HKD' where transfer_id = %(fare)s",
        "update ledger.transfers set event_at = event_at + interval '1 us' where transfer_id = %(fare)s",
        "update ledger.transfers set booked_at = booked_at + interval '1 us' where transfer_id = %(fare)s",
        "update ledger.transfers set reference = transfer_id where transfer_id = %(fare)s",
        "update ledger.transfers set pending_id = transfer_id where transfer_id = %(fare)s",
        "update ledger.transfers set pending_id = %(kept)s where transfer_id = %(post)s",
        "update ledger.transfers set transfer_id = gen_random_uuid() where transfer_id = %(fare)s",
        "update ledger.transfers set debit_account = credit_account, credit_account = debit_account"
        " where transfer_id = %(fare)s",
        "update ledger.transfers set position = 99 where transfer_id = %(fare)s",
        "update ledger.transfers set block = 99 where transfer_id = %(fare)s",
        "update ledger.transfers set position = position + 1 where block = 4 and position = 3",
        "delete from ledger.transfers where transfer_id = %(fare)s",
        "delete from ledger.transfers where transfer_id = %(last)s",
        "delete from ledger.transfers where block = 8",
    ],
    "a sum after a transfer": [
        "update ledger.transfers set debit_debits_posted = debit_debits_posted + 1 where transfer_id = %(fare)s",
        "update ledger.transfers set debit_credits_posted = debit_credits_posted - 1 where transfer_id = %(fare)s",
        "update ledger.transfers set credit_debits_posted = credit_debits_posted + 1 where transfer_id = %(fare)s",
        "update ledger.transfers set credit_credits_posted = credit_credits_posted + 1 where transfer_id = %(last)s",
        "update ledger.transfers set debit_debits_pending = debit_debits_pending + 1 where transfer_id = %(kept)s",
        "update ledger.transfers set debit_credits_pending = 1 where transfer_id = %(kept)s",
        "update ledger.transfers set credit_debits_pending = 1 where transfer_id = %(kept)s",
        "update ledger.transfers set credit_credits_pending = null where transfer_id = %(kept)s",
        "update ledger.transfers set released = released - 1 where transfer_id = %(post)s",
    ],
    "a block": [
        "update ledger.blocks set hash = sha256(hash) where number = 4",
        "update ledger.blocks set previous_hash = sha256(hash) where number = 4",
        "update ledger.blocks set root = sha256(root) where number = 4",
        "update ledger.blocks set salt_key = sha256(salt_key) where number = 4",
        "update ledger.blocks set first = first + 1 where number = 8",
        "update ledger.blocks set booked_at = booked_at + interval '1 us' where number = 4",
        "update ledger.blocks set transfers = transfers + 1 where number = 6",
        "update ledger.blocks set number = 9 where number = 8",
        "delete from ledger.blocks where number = 4",
        "delete from ledger.blocks where number = 8",
    ],
    "the tree": [
        "update ledger.nodes set hash = sha256(hash)",
        "update ledger.nodes set index = index + 1",
        "delete from ledger.nodes",
        "insert into ledger.nodes select partition, level, index + 1, hash from ledger.nodes",
        "update ledger.heads set peaks = sha256(peaks) || substr(peaks, 33)",
        "update ledger.heads set peaks = ''",
        "update ledger.heads set size = size - 1",
    ],
    "the head": [
        "update ledger.heads set hash = sha256(hash)",
        "update ledger.heads set number = number - 1",
        "update ledger.heads set number = number + 1",
        "update ledger.heads set booked_at = booked_at + interval '1 hour'",
    ],
    "an account": [
        "update ledger.accounts set credits_posted = credits_posted + 1 where credits_posted > 300",
        "update ledger.accounts set debits_posted = debits_posted - 1, credits_posted = credits_posted - 1"
        " where debits_posted > 0 and credits_posted > 0",
        "update ledger.accounts set credits_pending = credits_pending + 1 where credits_pending > 0",
        "update ledger.accounts set flags = flags & ~4 where flags & 4 <> 0",
        "update ledger.accounts set flags = flags | 4 where flags = 0",
        "delete from ledger.accounts where account_id = %(shop)s",
    ],
    "a hold": [
        "update ledger.holds set state = 2 where state = 1",
        "update ledger.holds set state = 2, resolved_by = transfer_id where state = 0",
        "update ledger.holds set resolved_by = transfer_id where state = 1",
        "update ledger.holds set state = 0, resolved_by = null where state = 1",
        "update ledger.holds set expires_at = expires_at + interval '1 hour' where transfer_id = %(kept)s",
        "delete from ledger.holds where state = 0",
        "insert into ledger.holds values (0, %(fare)s, null, 0, null)",
    ],
    "a list of places": [
        "delete from ledger.entries where account_id = %(shop)s and first < 200000",
        "update ledger.entries set places = places[2:] where account_id = %(shop)s and cardinality(places) > 1",
        "update ledger.entries set places = places || places[1] where account_id = %(shop)s",
        "update ledger.entries set places[1] = places[1] + 1 where account_id = %(shop)s",
        "update ledger.entries set first = first - 1 where account_id = %(shop)s",
        "update ledger.entries set account_id = gen_random_uuid() where account_id = %(shop)s",
    ],
    "a fold": [
        "update ledger.fold_totals set debits = debits + 1, credits = credits + 1, moved = moved + 1 where number = 4",
        "update ledger.fold_totals set held_debits = held_debits + 1, held_credits = held_credits + 1 where number = 4",
        "update ledger.fold_totals set currency = 'HKD' where number = 4",
        "delete from ledger.fold_totals where number = 4",
        "update ledger.folds set transfers = transfers + 1, sealed = sealed + 1 where number = 4",
        "with gone as (delete from ledger.fold_totals where number = 8) delete from ledger.folds where number = 8",
        "with gone as (delete from ledger.fold_totals where number = 4) delete from ledger.folds where number = 4",
    ],
}
CASES = [(what, statement) for what, statements in TAMPERINGS.items() for statement in statements]


def tamper(tx: Tx, statement: LiteralString) -> None:
    names: dict[str, Any] = {
        "fare": transfer_id("fare-1"),
        "kept": transfer_id("kept-1"),
        "post": transfer_id("post-1"),
        "last": transfer_id("n299"),
        "shop": ledger.get_transfer(tx, transfer_id("fare-1")).transfer.credit,
    }
    assert tx.execute(statement, names).rowcount > 0, "something was tampered with"


@pytest.mark.parametrize("statement", [statement for _, statement in CASES])
def test_a_changed_row_anywhere_is_found(books: Books, statement: LiteralString) -> None:
    with books.ctx.tx() as tx:
        tx.execute("alter table ledger.blocks drop constraint blocks_partition_fkey")
        tx.execute("alter table ledger.fold_totals drop constraint fold_totals_partition_number_fkey")
        tamper(tx, statement)

        assert ledger.verify(tx) != []


def test_what_is_found_says_where(books: Books) -> None:
    with books.ctx.tx() as tx:
        tx.execute("update ledger.transfers set amount = 31 where transfer_id = %s", (transfer_id("fare-1"),))

        findings = [str(finding) for finding in ledger.verify(tx)]

    assert "partition 0, block 4: its transfers are not those that were hashed" in findings
    assert "partition 0, block 4: the sums after transfer 0 do not follow" in findings
    assert "partition 0, block 4: the fold's totals are not what its transfers moved" in findings
    assert sum("is not what its journal says" in finding for finding in findings) == 2


def test_only_the_partition_that_was_tampered_with_is_blamed(books: Books) -> None:
    other = Books(books.ctx, 3)
    other.open(far_bank="free", far_ann="free")
    other.post(a_transfer("far", "far_bank", "far_ann", 5, partition=3))
    with books.ctx.tx() as tx:
        tx.execute("update ledger.transfers set amount = 6 where partition = 3")

        assert ledger.verify(tx, 0) == []
        assert ledger.verify(tx, 3) != []
        assert {finding.partition for finding in ledger.verify(tx)} == {3}


def test_each_block_names_the_one_before_it(books: Books) -> None:
    with books.ctx.tx() as tx:
        found = ledger.list_blocks(tx)
        head = ledger.block_head(tx)

    assert [block.number for block in found] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [block.previous_hash for block in found] == [bytes(32), *(block.hash for block in found[:-1])]
    assert head == (8, found[-1].hash)
    assert [block.transfers for block in found] == [1, 4, 1, 4, 1, 4, 1, 300]
    assert [block.first for block in found] == [0, 1, 5, 6, 10, 11, 15, 16]


# --- what only the city's signature stops


def test_whoever_rewrites_the_whole_chain_lacks_the_citys_signature(ctx: Context) -> None:
    """With the database in one's hands all hashes can be made anew; the checkpoints that were given out stay."""
    key = Ed25519PrivateKey.generate()

    def text_of(partition: int, size: int, root: bytes) -> bytes:
        return tlog.Checkpoint(blocks.checkpoint_origin("city", partition), size, root).text.encode()

    def sign(partition: int, size: int, root: bytes) -> bytes:
        return key.sign(text_of(partition, size, root))

    books = Books(ctx)
    books.open(bank="free", shop="free")
    with ctx.tx() as tx:
        batch = batch_of([a_transfer("a", "bank", "shop", 5)])
        write_now(tx, 0, batch, ctx.clock.now(), sign=sign)
    with ctx.tx() as tx:
        (signed,) = ledger.list_blocks(tx)
    assert signed.signature is not None
    key.public_key().verify(signed.signature, text_of(0, 1, signed.root))

    with ctx.tx() as tx:
        tx.execute(
            "update ledger.transfers set amount = 6, debit_debits_posted = 6, credit_credits_posted = 6;"
            "update ledger.accounts set debits_posted = debits_posted / 5 * 6, credits_posted = credits_posted / 5 * 6;"
            "update ledger.fold_totals set debits = 6, credits = 6, moved = 6"
        )
        assert ledger.verify(tx) != []
        (row,) = store.read_journal(tx, 0, 1)
        rows = Rows(0, 1, microseconds(signed.booked_at), [row.body], [None], list(row.sums))
        start = ledger.Head(0, 0, bytes(32), store.BEFORE_ALL)
        forged = blocks.seal(start, tlog.Tree(), rows, salt_key=signed.salt_key).block
        tx.execute("update ledger.blocks set root = %s, hash = %s", (forged.root, forged.hash))
        tx.execute("update ledger.heads set hash = %s, peaks = %s", (forged.hash, forged.root))

        assert ledger.verify(tx) == [], "the books agree with themselves again"
        (rewritten,) = ledger.list_blocks(tx)
    assert rewritten.signature is not None
    with pytest.raises(InvalidSignature):
        key.public_key().verify(rewritten.signature, text_of(0, 1, rewritten.root))
