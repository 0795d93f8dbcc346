"""Blocks: salts, entries, the tree's root and the hash, worked out here a second time from docs/tamper-evidence.md."""

import hashlib
from struct import pack
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa import ledger
from hansa.ledger import blocks, store
from hansa.ledger.batch import batch_of, microseconds
from hansa.ledger.decide import Book, Standing, decide
from hansa.ledger.model import Head
from hansa.ledger.rows import Rows, canonical_rows
from hansa.store import Context
from hansa.trust import tlog
from ledger.books import MORNING, Books, a_transfer, account_id, transfer_id

KEY = bytes(range(32))
START = Head(5, 8, bytes(range(100, 132)), MORNING, 0, 8)


def two_rows(partition: int = 5, number: int = 9) -> Rows:
    book = Book(
        {account_id("bank").bytes: Standing(b"CNY"), account_id("ann").bytes: Standing(b"CNY", 1)}
        | {account_id("shop").bytes: Standing(b"CNY")}
    )
    batch = batch_of(
        [
            a_transfer("top-up", "bank", "ann", 100, memo="北京", tag=3),
            a_transfer("hold", "ann", "shop", 7, "pending 60s", reference="ride"),
        ]
    )
    decision = decide(book, batch.bodies, now_us=microseconds(MORNING))
    return Rows(partition, number, microseconds(MORNING), decision.rows, decision.released, decision.sums)


def the_row(position: int, name: str, debit: str, credit: str, amount: int, rest: bytes, memo: str) -> bytes:
    """The 141 bytes of docs/tamper-evidence.md, "The row, byte by byte", and the memo."""
    us = int(MORNING.timestamp()) * 1_000_000
    return (
        pack(">HQI", 5, 9, position)
        + transfer_id(name).bytes
        + account_id(debit).bytes
        + account_id(credit).bytes
        + amount.to_bytes(16, "big")
        + bytes(16)
        + rest
        + pack(">qq", us, us)
        + memo.encode()
    )


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def test_a_block_is_the_hash_that_the_documents_say() -> None:
    rest1 = bytes(16) + pack(">II3sHH", 3, 0, b"CNY", 12, 0)
    rest2 = transfer_id("ride").bytes + pack(">II3sHH", 0, 60, b"CNY", 12, 2)
    row1 = the_row(0, "top-up", "bank", "ann", 100, rest1, "北京")
    row2 = the_row(1, "hold", "ann", "shop", 7, rest2, "")
    # the salts are AES-256 over a counter from 0 on
    aes = Cipher(algorithms.AES256(KEY), modes.ECB()).encryptor()
    salt1, salt2 = aes.update((0).to_bytes(16, "big")), aes.update((1).to_bytes(16, "big"))
    leaf1, leaf2 = sha256(b"\0", sha256(salt1, row1)), sha256(b"\0", sha256(salt2, row2))
    root = sha256(b"\1", leaf1, leaf2)
    us = int(MORNING.timestamp()) * 1_000_000
    expected = sha256(START.hash, pack(">HQQIq", 5, 9, 0, 2, us), root)

    sealed = blocks.seal(START, tlog.Tree(), two_rows(), salt_key=KEY)

    assert (sealed.block.root, sealed.block.hash) == (root, expected)
    assert blocks.hash_of(sealed.block) == expected


def test_the_bytes_that_are_hashed_are_fixed_for_ever() -> None:
    """A change here would make every chain ever written unverifiable."""
    sealed = blocks.seal(START, tlog.Tree(), two_rows(), salt_key=KEY)

    assert sealed.block.root.hex() == "b96372c7d4c3f038c672518bae049c739e0d251dbaec1085344562bdf38a1820"
    assert sealed.block.hash.hex() == "23783b043a0e919d79e6494a6d77386fabd1862c1725635c03d103b841c336af"


@given(st.binary(min_size=32, max_size=32), st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_the_salt_of_one_transfer_is_its_part_of_the_salts_of_all(key: bytes, count: int) -> None:
    stream = blocks.salts(key, count)

    assert len(stream) == 16 * count
    assert [blocks.salt_of(key, at) for at in (0, count // 2, count - 1)] == [
        stream[16 * at : 16 * at + 16] for at in (0, count // 2, count - 1)
    ]
    assert len({stream[at : at + 16] for at in range(0, len(stream), 16)}) == count, "no salt twice"


def test_equal_transfers_give_unlike_hashes_unless_the_salts_are_given() -> None:
    fresh = [blocks.seal(START, tlog.Tree(), two_rows()).block for _ in range(2)]
    same = [blocks.seal(START, tlog.Tree(), two_rows(), salt_key=KEY).block for _ in range(2)]

    assert fresh[0].salt_key != fresh[1].salt_key
    assert fresh[0].root != fresh[1].root
    assert fresh[0].hash != fresh[1].hash
    assert same[0] == same[1]


HEADER = (bytes(32), 1, 2, 3, 4, 5, KEY)


@pytest.mark.parametrize("changed", range(7))
def test_every_part_of_a_header_changes_the_hash(changed: int) -> None:
    def digest(
        previous: bytes, partition: int, number: int, first: int, count: int, us: int, root: bytes
    ) -> bytes:
        return blocks.block_hash(
            previous, partition=partition, number=number, first=first, count=count, booked_us=us, root=root
        )

    other: list[Any] = list(HEADER)
    other[changed] = 99 if isinstance(other[changed], int) else bytes([7] * 32)

    assert digest(*other) != digest(*HEADER)


def test_sealing_leaves_the_tree_before_it_as_it_was() -> None:
    tree = tlog.Tree()
    tree.append([bytes(32)] * 5)
    before = (tree.size, tree.peaks)

    sealed = blocks.seal(START, tree, two_rows(), salt_key=KEY)

    assert (tree.size, tree.peaks) == before
    assert sealed.tree.size == 7


def test_a_signature_is_asked_for_the_tree_after_the_block() -> None:
    asked: list[tuple[int, int, bytes]] = []

    def sign(partition: int, size: int, root: bytes) -> bytes:
        asked.append((partition, size, root))
        return bytes(64)

    sealed = blocks.seal(START, tlog.Tree(), two_rows(), sign=sign, salt_key=KEY)

    assert asked == [(5, 2, sealed.block.root)]
    assert sealed.block.signature == bytes(64)
    assert blocks.seal(START, tlog.Tree(), two_rows(), salt_key=KEY).block.signature is None


def test_the_books_keep_a_tree_in_which_every_transfer_has_its_leaf(ctx: Context) -> None:
    books = Books(ctx)
    books.open(bank="free", shop="free")
    for size in (3, 1, 300, 700):  # beyond 256 leaves there are nodes to keep
        books.post(*(a_transfer(f"{size}-{n}", "bank", "shop", n) for n in range(size)))

    with ctx.tx() as tx:
        found = ledger.list_blocks(tx)
        journal = list(store.read_journal(tx, 0, found[-1].number))
        nodes = store.list_nodes(tx, 0, 1, begin=0, end=10)
        tree = store.lock_head(tx, 0).tree
    leaves: list[bytes] = []
    for block in found:
        rows = [row for row in journal if row.block == block.number]
        canon = canonical_rows(
            Rows(
                0,
                block.number,
                microseconds(block.booked_at),
                [row.body for row in rows],
                [None] * len(rows),
                [],
            )
        )
        leaves += (
            tlog.leaf_hash(sha256(blocks.salt_of(block.salt_key, at), row)) for at, row in enumerate(canon)
        )
        assert root_of(leaves) == block.root
    assert [block.first for block in found] == [0, 3, 4, 304]
    assert nodes == [(at, root_of(leaves[at * 256 : at * 256 + 256])) for at in range(3)]
    assert (tree.size, tree.root()) == (len(leaves), found[-1].root)


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, as it is written there: split at the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", root_of(leaves[:split]), root_of(leaves[split:]))
