"""Receipts from the books: each proves its transfer, with our library and with the stranger's one file."""

import json
from pathlib import Path
from typing import Any

import pytest

from hansa import ledger
from hansa.store import Context
from hansa.trust import tlog
from ledger_log.log_books import LogBooks, books_on, fails, transfer, verifier, verify
from scratch import NOON
from trust.tlog_books import key_of, witness_key

BLOCKS = (1, 2, 255, 1, 40)
SIZE = sum(BLOCKS)


@pytest.fixture
def books(ctx: Context, tmp_path: Path) -> LogBooks:
    return books_on(ctx, tmp_path).post(*BLOCKS)


def test_every_transfer_has_a_receipt_that_proves_it(books: LogBooks) -> None:
    """Made all at once, in an order that is not the books', each is the one that would be made by itself."""
    numbers = sorted(range(SIZE), key=lambda number: number * 101 % SIZE)
    with books.ctx.tx() as tx:
        booked = [ledger.find_transfer(tx, transfer(number).transfer_id) for number in numbers]
        places = [one.place for one in booked if one is not None]
        log = ledger.LogReader(tx)
        receipts = dict(zip(numbers, log.receipts(places, books.signer), strict=True))
        assert list(log.receipts([], books.signer)) == []
        with pytest.raises(ledger.NoLog):
            list(log.receipts([ledger.Place(99, 0)], books.signer))

    assert len(receipts) == SIZE
    for number, receipt in receipts.items():
        assert number % 40 or receipt == books.receipt(number)
        given = transfer(number)

        proven = verify(receipt, books.key)

        row = tlog.decode_row(receipt.row)
        assert (proven.index, proven.checkpoint.size) == (number, SIZE)
        assert (row.transfer_id, row.amount, row.memo) == (given.transfer_id, given.amount, given.memo)
        assert (row.reference, row.tag, row.timeout_s) == (given.reference, given.tag, given.timeout_s)
        assert tlog.Receipt.parse(str(receipt)) == receipt


@pytest.mark.parametrize("number", [0, 1, 258, SIZE - 1])
def test_a_stranger_proves_it_with_one_file(books: LogBooks, tmp_path: Path, number: int) -> None:
    file = tmp_path / "receipt.json"
    file.write_text(str(books.receipt(number)), encoding="utf-8")

    told = verifier("receipt", file, "--log-key", str(books.key))

    assert told.returncode == 0, told.stdout + told.stderr
    assert str(transfer(number).transfer_id) in told.stdout


TAMPERED = [
    "update ledger.transfers set amount = amount + 1 where transfer_id = %s",
    "update ledger.transfers set memo = 'another' where transfer_id = %s",
    "update ledger.transfers set event_at = event_at - interval '1 day' where transfer_id = %s",
    "update ledger.transfers set debit_account = gen_random_uuid() where transfer_id = %s",
    "update ledger.blocks set salt_key = sha256(salt_key) where (partition, number) ="
    " (select partition, block from ledger.transfers where transfer_id = %s)",
]


@pytest.mark.parametrize("change", TAMPERED)
def test_a_row_that_was_changed_is_not_proven(books: LogBooks, tmp_path: Path, change: Any) -> None:
    with books.ctx.tx() as tx:
        tx.execute(change, (transfer(9).transfer_id,))
    receipt = books.receipt(9)

    with pytest.raises(tlog.NotIncluded):
        verify(receipt, books.key)
    file = tmp_path / "receipt.json"
    file.write_text(str(receipt), encoding="utf-8")
    assert fails(receipt, books.key) == ["The transfer is in the log"]
    assert verifier("receipt", file, "--log-key", str(books.key)).returncode == 1


def test_a_root_that_was_changed_with_the_row_is_signed_by_nobody(books: LogBooks) -> None:
    """Who changes row and log together needs the key, and then contradicts what was signed before."""
    kept = books.checkpoint()
    old = books.receipt(9)
    with books.ctx.tx() as tx:
        tx.execute(
            "update ledger.transfers set amount = 1 where transfer_id = %s", (transfer(9).transfer_id,)
        )
        log = ledger.LogReader(tx)
        tree = tlog.Tree()
        nodes = tree.append(log.entries(0, log.size))
        tx.execute("update ledger.blocks set root = %s where number = 5", (tree.root(),))
        for node in nodes:
            tx.execute("update ledger.nodes set hash = %s where level = %s", (node.hash, node.level))
        assert verify(ledger.receipt(tx, transfer(9).transfer_id, books.signer), books.key)
        with pytest.raises(ledger.LogDiffers):
            ledger.check_grown(tx, kept, books.signer)
    assert verify(old, books.key)


def test_a_receipt_gets_the_checkpoint_that_witnesses_signed(books: LogBooks) -> None:
    first = books.checkpoint()
    name = "paris.example/w"
    with books.ctx.tx() as tx:
        line = tlog.cosign(first.text, name=name, key=key_of(name), at=NOON)
        ledger.keep_cosignature(tx, 0, first.with_signatures([line]), witness_key(name))
    books.post(3)

    old, new = books.receipt(7), books.receipt(SIZE + 1)

    proven = verify(old, books.key, [witness_key(name)])
    assert (proven.checkpoint.size, [one.name for one in proven.witnessed]) == (SIZE, [name])
    assert verify(new, books.key).checkpoint.size == SIZE + 3
    with pytest.raises(tlog.QuorumMissed):
        verify(new, books.key, [witness_key(name)])


def test_a_signature_that_is_not_the_witnesss_is_not_kept(books: LogBooks) -> None:
    note = books.checkpoint()
    forged = tlog.cosign(note.text, name="paris.example/w", key=key_of("someone"), at=NOON)
    line = tlog.Signature("paris.example/w", witness_key("paris.example/w").key_id, forged.value)

    with books.ctx.tx() as tx:
        with pytest.raises(tlog.BadSignature):
            ledger.keep_cosignature(tx, 0, note.with_signatures([line]), witness_key("paris.example/w"))
        assert ledger.LogReader(tx).cosignatures() == []


def test_salts_of_one_block_do_not_repeat_and_say_nothing_of_their_key(books: LogBooks) -> None:
    receipts = [books.receipt(number) for number in range(3, 258)]

    assert len({receipt.salt for receipt in receipts}) == len(receipts)
    with books.ctx.tx() as tx:
        key = ledger.list_blocks(tx, 0)[2].salt_key
    assert not any(key.hex() in json.dumps(receipt.to_json()) for receipt in receipts[:5])


def test_an_engine_signs_each_block_and_its_receipts_carry_that_signature(
    committed_ctx: Context, tmp_path: Path
) -> None:
    books = books_on(committed_ctx, tmp_path)

    with ledger.Engine(committed_ctx, sign=books.signer):
        books.post(5, 2, 9)

    with committed_ctx.tx() as tx:
        signatures = [block.signature for block in ledger.list_blocks(tx, 0)]
    assert all(signatures)
    receipt = books.receipt(3)
    assert receipt.proof.checkpoint.signatures[0].value == signatures[-1]
    assert verify(receipt, books.key)
