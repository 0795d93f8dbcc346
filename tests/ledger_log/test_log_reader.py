"""The log read back from the journal's rows is the very log whose roots the blocks have."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import ledger
from hansa.kernel import InvalidInput
from hansa.ledger import blocks, store
from hansa.ledger.log import canonical_row
from hansa.ledger.rows import Rows, canonical_rows
from hansa.store import Context
from hansa.trust import tlog
from hansa.trust.tlog import OutsideTree, Tree
from ledger_log.log_books import NAME, LogBooks, books_on

BLOCKS = (1, 1, 3, 250, 2, 1, 300, 5, 1, 130)
SIZE = sum(BLOCKS)


@pytest.fixture
def books(ctx: Context, tmp_path: Path) -> LogBooks:
    return books_on(ctx, tmp_path).post(*BLOCKS)


def all_entries(books: LogBooks) -> list[bytes]:
    """Every entry as the writer makes it: block by block, with the salts of the whole block."""
    with books.ctx.tx() as tx:
        found: list[bytes] = []
        for block in store.list_blocks(tx, 0, after=0, limit=1_000):
            rows = store.list_journal(
                tx, 0, after=ledger.Place(block.number, -1), to_block=block.number, limit=block.transfers
            )
            whole = Rows(
                0, block.number, rows[0].booked_us, [row.body for row in rows], [None] * len(rows), []
            )
            assert canonical_rows(whole) == [canonical_row(0, row) for row in rows]
            found += blocks.entries(canonical_rows(whole), block.salt_key)
    return found


def test_its_tree_is_the_tree_of_all_entries(books: LogBooks) -> None:
    entries = all_entries(books)
    tree = Tree()
    tree.append(entries)

    with books.ctx.tx() as tx:
        log = ledger.LogReader(tx)
        assert log.size == SIZE == len(entries)
        assert log.entries(0, SIZE) == entries
        assert Tree.read(SIZE, log.reader()).root() == tree.root() == log.root(SIZE)


def test_any_stretch_of_entries_is_that_stretch(books: LogBooks) -> None:
    entries = all_entries(books)

    with books.ctx.tx() as tx:
        log = ledger.LogReader(tx)

        @settings(max_examples=60, deadline=None)
        @given(st.integers(0, SIZE - 1), st.integers(1, SIZE))
        def check(begin: int, count: int) -> None:
            end = min(SIZE, begin + count)
            assert log.entries(begin, end) == entries[begin:end]

        check()


def test_tiles_of_every_level_are_those_of_the_tree(books: LogBooks) -> None:
    entries = all_entries(books)
    leaves = [tlog.leaf_hash(entry) for entry in entries]

    with books.ctx.tx() as tx:
        log = ledger.LogReader(tx)
        assert log.tile(0, 1, 256) == b"".join(leaves[256:512])
        assert log.tile(0, 2, 100) == b"".join(leaves[512:612])
        assert log.tile(1, 0, 2) == _perfect(leaves, 8, 0) + _perfect(leaves, 8, 1)
        assert tlog.decode_bundle(log.bundle(2, 100), 100) == entries[512:612]


def _perfect(leaves: list[bytes], height: int, index: int) -> bytes:
    """The root over so many leaves, by the definition."""
    nodes = leaves[index << height : (index + 1) << height]
    while len(nodes) > 1:
        nodes = [tlog.node_hash(left, right) for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]


@pytest.mark.parametrize(
    ("level", "index", "width"), [(0, 2, 183), (0, 3, 1), (1, 0, 3), (2, 0, 1), (0, 0, 0), (0, 2**60, 256)]
)
def test_what_the_log_does_not_have_yet_is_told(books: LogBooks, level: int, index: int, width: int) -> None:
    with books.ctx.tx() as tx, pytest.raises(OutsideTree):
        ledger.LogReader(tx).tile(level, index, width)


def test_a_partition_that_is_not_there_has_no_log(books: LogBooks) -> None:
    with books.ctx.tx() as tx, pytest.raises(ledger.NoLog):
        ledger.LogReader(tx, 9)


def test_the_root_at_any_size_is_that_of_so_many_entries(books: LogBooks) -> None:
    entries = all_entries(books)

    with books.ctx.tx() as tx:
        log = ledger.LogReader(tx)
        for size in (0, 1, 2, 100, 255, 256, 257, 558, SIZE):
            tree = Tree()
            tree.append(entries[:size])
            assert log.root(size) == tree.root()


def test_a_checkpoint_is_signed_by_the_citys_key_under_the_logs_name(books: LogBooks) -> None:
    note = books.checkpoint()

    checkpoint, _ = tlog.verify_checkpoint(note, tlog.Policy((books.key,)))

    assert (checkpoint.origin, checkpoint.size) == (f"{NAME}/ledger/0", SIZE)


def test_a_blocks_own_signature_is_used_while_it_verifies(ctx: Context, books: LogBooks) -> None:
    with ctx.tx() as tx:
        head = ledger.list_heads(tx)[0]
        log = ledger.LogReader(tx)
        kept = books.signer(0, SIZE, log.root(SIZE))
        for signature in (kept, bytes(64)):
            tx.execute("update ledger.blocks set signature = %s where number = %s", (signature, head.number))
            note = ledger.LogReader(tx).checkpoint(books.signer)
            assert note.signatures[0].value == kept  # Ed25519 signs the same text the same way


def test_an_empty_log_has_a_checkpoint_too(ctx: Context, tmp_path: Path) -> None:
    books = books_on(ctx, tmp_path)

    checkpoint = tlog.Checkpoint.parse(books.checkpoint().text)

    assert (checkpoint.size, checkpoint.root) == (0, hashlib.sha256(b"").digest())


def test_growth_is_shown_from_every_checkpoint(books: LogBooks) -> None:
    kept = [books.checkpoint()]
    for count in (1, 300, 7):
        books.post(count)
        kept.append(books.checkpoint())

    with books.ctx.tx() as tx:
        for note in kept:
            then, now, _ = ledger.check_grown(tx, note, books.signer)
            assert then.size <= now.size == books.size


def test_a_checkpoint_of_other_books_is_told_from_ours(books: LogBooks) -> None:
    with books.ctx.tx() as tx:
        root = ledger.LogReader(tx).root(SIZE)
        twisted = bytes([root[0] ^ 1]) + root[1:]
        for size, wrong in ((SIZE, twisted), (SIZE - 3, root), (SIZE + 1, root)):
            with pytest.raises(ledger.LogDiffers):
                ledger.check_grown(tx, books.signer.note(0, size, wrong), books.signer)
        forged = tlog.Signature(books.key.name, books.key.key_id, bytes(64))
        with pytest.raises(tlog.BadSignature):
            ledger.check_grown(tx, tlog.Note(books.checkpoint().text, (forged,)), books.signer)


@pytest.mark.parametrize(
    "name", ["", "London", "a b", "https://a.example", "a+b", "a\n", "-a", "a/", "x" * 300]
)
def test_a_name_that_no_log_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        ledger.log_origin(name, 0)


def test_a_log_is_named_after_its_city_and_partition() -> None:
    assert ledger.log_origin("hansa.example", 12) == "hansa.example/ledger/12"
