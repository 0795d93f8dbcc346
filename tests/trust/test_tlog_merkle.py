"""The tree: every entry proves, every later tree shows the earlier one in it, and nothing else does."""

import pickle
import random
from hashlib import sha256
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.trust import tlog
from hansa.trust.tlog import (
    BadTile,
    BadTree,
    NotConsistent,
    NotIncluded,
    OutsideTree,
    TileReader,
    Tree,
)
from trust.tlog_books import books, root_by_definition

SIZE = 70
ENTRIES = [sha256(bytes([number])).digest() for number in range(SIZE)]
ROOTS = [root_by_definition(ENTRIES[:size]) for size in range(SIZE + 1)]
LEAVES = [tlog.leaf_hash(entry) for entry in ENTRIES]

# The tree of eight leaves by which implementations of the standard have been compared since the first of them.
WELL_KNOWN = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
WELL_KNOWN_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def read(height: int, index: int, /) -> bytes:
    """Perfect subtrees of ENTRIES by the definition; a subtree that does not exist yet is a fault of the proof."""
    begin, end = index << height, (index + 1) << height
    assert end <= SIZE
    return root_by_definition(ENTRIES[begin:end])


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit % (8 * len(value))).to_bytes(len(value), "big")


@pytest.mark.parametrize(("size", "root"), list(enumerate(WELL_KNOWN_ROOTS)))
def test_the_well_known_tree_has_its_well_known_roots(size: int, root: str) -> None:
    tree = Tree()

    tree.append(WELL_KNOWN[:size])

    assert tree.root().hex() == root


def test_every_size_has_the_root_of_the_definition() -> None:
    tree = Tree()

    for size, entry in enumerate(ENTRIES, start=1):
        tree.append([entry])
        assert (tree.size, tree.root()) == (size, ROOTS[size])


@given(st.lists(st.integers(0, 700), max_size=6))
@settings(deadline=None)
def test_it_does_not_matter_in_which_batches_entries_come(batches: list[int]) -> None:
    entries = [number.to_bytes(4, "big") for number in range(sum(batches))]
    whole, parts = Tree(), Tree()

    at_once = whole.append(entries)
    one_by_one = [
        node
        for number, batch in enumerate(batches)
        for node in parts.append(entries[sum(batches[:number]) : sum(batches[:number]) + batch])
    ]

    assert parts == whole
    assert sorted(one_by_one, key=lambda node: (node.level, node.index)) == at_once


def test_an_append_gives_the_subtrees_that_became_complete() -> None:
    entries = [number.to_bytes(4, "big") for number in range(66_000)]
    tree = Tree()

    first = tree.append(entries[:300])
    rest = tree.append(entries[300:])

    assert [(node.level, node.index) for node in first] == [(1, 0)]
    assert [(node.level, node.index) for node in rest] == [*((1, index) for index in range(1, 257)), (2, 0)]
    assert first[0].hash == root_by_definition(entries[:256])
    assert rest[41].hash == root_by_definition(entries[42 * 256 : 43 * 256])
    assert rest[-1].hash == root_by_definition(entries[:65_536])


def test_a_tree_goes_on_from_its_size_and_peaks() -> None:
    tree = Tree()
    tree.append(ENTRIES[:37])

    again = [
        Tree(tree.size, tree.peaks),
        Tree.from_bytes(tree.to_bytes()),
        pickle.loads(pickle.dumps(tree)),
        Tree.read(37, read),
        tree.copy(),
    ]
    for each in again:
        each.append(ENTRIES[37:])

    assert {each.root() for each in again} == {ROOTS[SIZE]}
    assert tree.root() == ROOTS[37]


@pytest.mark.parametrize(
    ("size", "peaks"), [(-1, ()), (1, ()), (2**63, (bytes(32),)), (1, (bytes(31),)), (3, (bytes(32),) * 3)]
)
def test_hashes_that_are_no_tree_are_refused(size: int, peaks: tuple[bytes, ...]) -> None:
    with pytest.raises(BadTree):
        Tree(size, peaks)


@pytest.mark.parametrize(
    "data", [b"", bytes(7), bytes(7) + b"\x01", bytes(8) + b"\x00", bytes(7) + b"\x01" + bytes(31)]
)
def test_bytes_that_are_no_tree_are_refused(data: bytes) -> None:
    with pytest.raises(BadTree):
        Tree.from_bytes(data)


def test_an_entry_that_is_none_leaves_the_tree_as_it_was() -> None:
    tree = Tree()
    tree.append(ENTRIES[:5])

    with pytest.raises(TypeError):
        tree.append([ENTRIES[5], "no bytes"])  # pyright: ignore[reportArgumentType]

    assert tree == Tree.read(5, read)


def test_every_entry_of_every_size_proves() -> None:
    for size in range(1, SIZE + 1):
        for index in range(size):
            proof = tlog.inclusion_proof(index, size, read)
            tlog.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_nothing_proves_but_the_entry_in_its_place(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE))
    index = data.draw(st.integers(0, size - 1))
    bit = data.draw(st.integers(0, 255))
    proof = tlog.inclusion_proof(index, size, read)
    root = ROOTS[size]

    wrong = [
        (flipped(LEAVES[index], bit), index, size, proof, root),
        (LEAVES[index], index, size, proof, flipped(root, bit)),
        (LEAVES[index], index, size, [*proof, root], root),
        (LEAVES[index], size, size, proof, root),
        (LEAVES[index], -1, size, proof, root),
    ]
    for number in range(len(proof)):
        wrong.append(
            (
                LEAVES[index],
                index,
                size,
                [*proof[:number], flipped(proof[number], bit), *proof[number + 1 :]],
                root,
            )
        )
        wrong.append((LEAVES[index], index, size, proof[:number] + proof[number + 1 :], root))
    wrong += [(LEAVES[index], other, size, proof, root) for other in range(size) if other != index]
    for case in wrong:
        with pytest.raises(NotIncluded):
            tlog.verify_inclusion(*case)


def test_every_size_shows_every_earlier_one() -> None:
    for new in range(SIZE + 1):
        for old in range(new + 1):
            proof = tlog.consistency_proof(old, new, read)
            tlog.verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)
            assert (proof == []) == (old in (0, new))


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_no_other_history_is_shown(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, SIZE))
    old = data.draw(st.integers(1, new - 1))
    bit = data.draw(st.integers(0, 255))
    proof = tlog.consistency_proof(old, new, read)

    wrong = [
        (old, flipped(ROOTS[old], bit), new, ROOTS[new], proof),
        (old, ROOTS[old], new, flipped(ROOTS[new], bit), proof),
        (old, ROOTS[old], new, ROOTS[new], [*proof, ROOTS[new]]),
        (old, ROOTS[old], new, ROOTS[new], []),
        (old, ROOTS[old], old, ROOTS[new], []),
        (old, ROOTS[old], old, ROOTS[old], proof),
        (new, ROOTS[new], old, ROOTS[old], proof),
        (0, ROOTS[0], new, ROOTS[new], proof),
        (0, ROOTS[old], new, ROOTS[new], []),
    ]
    for number, node in enumerate(proof):
        spoilt = [*proof[:number], flipped(node, bit), *proof[number + 1 :]]
        wrong += [(old, ROOTS[old], new, ROOTS[new], spoilt)]
    for case in wrong:
        with pytest.raises(NotConsistent):
            tlog.verify_consistency(*case)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 70_000])
def test_tiles_tell_the_same_as_the_tree(size: int) -> None:
    city = books(70_000)
    tree = Tree()
    tree.append(city.entries[:size])
    chance = random.Random(size)

    assert city.root(size) == tree.root()
    for index in {0, size - 1, *(chance.randrange(size) for _ in range(20))}:
        proof = tlog.inclusion_proof(index, size, city.reader(size))
        tlog.verify_inclusion(city.levels[0][index], index, size, proof, tree.root())
    for old in {0, 1, size, *(chance.randrange(size) for _ in range(20))}:
        proof = tlog.consistency_proof(old, size, city.reader(size))
        tlog.verify_consistency(old, city.root(old), size, tree.root(), proof)


def test_a_proof_reads_each_tile_once() -> None:
    city, asked = books(70_000), list[tuple[int, int, int]]()

    def tile(level: int, index: int, width: int) -> bytes:
        asked.append((level, index, width))
        return city.tile(level, index, width)

    tlog.inclusion_proof(12_345, 70_000, TileReader(tile, 70_000))

    assert sorted(asked) == [(0, 48, 256), (0, 273, 112), (1, 0, 256), (1, 1, 17)]


def test_a_tile_of_the_wrong_length_is_not_used() -> None:
    with pytest.raises(BadTile):
        TileReader(lambda level, index, width: bytes(32 * width - 1), 300)(0, 0)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_there_is_no_proof_of_an_entry_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(OutsideTree):
        tlog.inclusion_proof(index, size, read)


def test_there_is_no_proof_from_a_later_size() -> None:
    with pytest.raises(OutsideTree):
        tlog.consistency_proof(6, 5, read)
    with pytest.raises(OutsideTree):
        TileReader(lambda level, index, width: bytes(32 * width), 5)(1, 2)


def test_appending_costs_little_more_than_the_hashing() -> None:
    """Measured as 0.74 µs an entry; the bound is wide, since other programs share the machine."""
    entries = [number.to_bytes(32, "big") for number in range(8192)]

    def took() -> float:
        begin = perf_counter()
        Tree().append(entries)
        return perf_counter() - begin

    assert min(took() for _ in range(5)) < 8192 * 4e-6
