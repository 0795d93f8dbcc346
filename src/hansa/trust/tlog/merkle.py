"""The Merkle tree of a log (RFC 9162 section 2.1): growing it, and proving what is in it.

A tree is kept as its peaks: the roots of the perfect subtrees that its size is made of, largest first, one for each
bit set in the size. With them it can grow and give its root; everything older is read, when a proof asks for it,
through a `Reader`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Protocol, Self

from hansa.trust.tlog.errors import BadTile, BadTree, NotConsistent, NotIncluded, OutsideTree
from hansa.trust.tlog.tiles import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH, tile_width

SIZE_MAX = 2**63 - 1
"""No log is larger. A path from leaf to root then has at most 63 steps."""

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without entries."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf that holds this entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node over these two."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """The root of a complete subtree: of the leaves from index * 256**level, 256**level of them."""

    level: int
    index: int
    hash: bytes


class Reader(Protocol):
    """Where a proof finds what it needs of a tree."""

    def __call__(self, height: int, index: int, /) -> bytes:
        """The root of the perfect subtree over the leaves from index * 2**height, 2**height of them."""
        ...


@dataclass(slots=True)
class Tree:
    """A log's tree as it stands. It grows in place; a copy costs no more than its few peaks.

    peaks: the roots of the perfect subtrees, largest first. Errors: BadTree when they do not fit the size.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_MAX:
            raise BadTree(f"A tree cannot have {self.size} entries.")
        if len(self.peaks) != self.size.bit_count():
            raise BadTree(f"{self.size} entries have {self.size.bit_count()} peaks, not {len(self.peaks)}.")
        if any(len(peak) != HASH_BYTES for peak in self.peaks):
            raise BadTree("A peak is a SHA-256 hash of 32 bytes.")

    @classmethod
    def read(cls, size: int, read: Reader) -> Self:
        """The tree of the first ``size`` entries, its peaks found through ``read``."""
        return cls(size, tuple(read(height, index) for height, index in _perfect(0, size)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What ``to_bytes`` gave. Errors: BadTree."""
        hashes = data[8:]
        peaks = tuple(hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
        if len(data) < 8:
            raise BadTree("A tree begins with eight bytes of size.")
        return cls(int.from_bytes(data[:8], "big"), peaks)

    def to_bytes(self) -> bytes:
        """The size in eight bytes, big-endian, and the peaks."""
        return self.size.to_bytes(8, "big") + b"".join(self.peaks)

    def copy(self) -> Self:
        """A tree that grows on its own from here."""
        return type(self)(self.size, self.peaks)

    def root(self) -> bytes:
        """The hash that stands for all entries in their order."""
        return _fold(self.peaks)

    def append(self, entries: Sequence[bytes]) -> list[Node]:
        """Add entries at the end; gives the subtrees of 256, 65,536, ... leaves that became complete by it.

        They come lowest level first, and in order within a level: what tiles of level 1 and above hold. Works level
        by level over all new nodes at once, which is what keeps it near the cost of the hashing alone.
        """
        size, peaks = self.size, list(self.peaks)
        if size + len(entries) > SIZE_MAX:
            raise BadTree(f"A tree cannot have more than {SIZE_MAX} entries.")
        sha = sha256
        nodes = [sha(b"\x00" + entry).digest() for entry in entries]
        complete: list[Node] = []
        new_peaks: list[bytes] = []
        height = 0
        while nodes:
            if size >> height & 1:
                nodes.insert(0, peaks.pop())
            if len(nodes) & 1:
                new_peaks.append(nodes.pop())
            if len(nodes) == 2:  # the way up of a single entry, or of what is left of many
                nodes = [sha(b"\x01" + nodes[0] + nodes[1]).digest()]
            else:
                pairs = iter(nodes)
                nodes = [
                    sha(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)
                ]
            height += 1
            if nodes and not height % TILE_HEIGHT:
                level = height // TILE_HEIGHT
                complete += [Node(level, index, node) for index, node in enumerate(nodes, size >> height)]
        self.size = size + len(entries)
        self.peaks = (*peaks, *reversed(new_peaks))
        return complete


def inclusion_proof(index: int, size: int, read: Reader) -> list[bytes]:
    """The hashes that lead from entry ``index`` to the root of the first ``size`` entries, from the leaf upwards.

    Errors: OutsideTree; whatever ``read`` raises. Source: RFC 9162 section 2.1.3.1.
    """
    _entry_of(index, size)
    return [_root(begin, end, read) for begin, end in _beside(index, size)]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Go on only if the leaf of this hash is number ``index`` of the ``size`` leaves under ``root``.

    Errors: NotIncluded. Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise NotIncluded(f"A log of {size} entries has no entry {index}.")
    beside = _beside(index, size)
    if len(proof) != len(beside):
        raise NotIncluded(f"This proof has {len(proof)} hashes; entry {index} of {size} needs {len(beside)}.")
    node = leaf
    for (_, end), other in zip(beside, proof, strict=True):
        node = node_hash(other, node) if end <= index else node_hash(node, other)
    if node != root:
        raise NotIncluded


def consistency_proof(old_size: int, new_size: int, read: Reader) -> list[bytes]:
    """The hashes that show the first ``new_size`` entries to begin with the first ``old_size``; lowest first.

    Empty where there is nothing to show: from the empty tree, and to the same size.
    Errors: OutsideTree; whatever ``read`` raises. Source: RFC 9162 section 2.1.4.1.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise OutsideTree(f"A log of {new_size} entries never had {old_size}.")
    if old_size in (0, new_size):
        return []
    return [_root(begin, end, read) for begin, end in _between(old_size, new_size)]


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Go on only if the tree of ``new_root`` begins with the entries of the tree of ``old_root``.

    Errors: NotConsistent. Source: RFC 9162 section 2.1.4.2.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise NotConsistent(f"A log of {new_size} entries never had {old_size}.")
    for size, root in ((old_size, old_root), (new_size, new_root)):
        if size == 0 and root != EMPTY_ROOT:
            raise NotConsistent("The root of an empty log is the hash of nothing.")
    if old_size in (0, new_size):
        if proof:
            raise NotConsistent("There is nothing to prove here, so the proof must be empty.")
        if old_size == new_size and old_root != new_root:
            raise NotConsistent(f"Two roots are given for the same {old_size} entries.")
        return
    parts = _between(old_size, new_size)
    if len(proof) != len(parts):
        raise NotConsistent(
            f"This proof has {len(proof)} hashes; from {old_size} to {new_size} needs {len(parts)}."
        )
    # The lowest part ends where the old tree ends. Is the old tree one perfect subtree, its root starts both ways.
    if old_size & (old_size - 1) == 0:
        old = new = old_root
        steps = zip(parts, proof, strict=True)
    else:
        old = new = proof[0]
        steps = zip(parts[1:], proof[1:], strict=True)
    for (_, end), other in steps:
        if end <= old_size:
            old = node_hash(other, old)
            new = node_hash(other, new)
        else:
            new = node_hash(new, other)
    if old != old_root or new != new_root:
        raise NotConsistent


class TileReader:
    """Reads a tree of ``size`` entries from its tiles. Make one for a proof, or for many whose entries come in order.

    Of each tile it keeps every node above the hashes, so many proofs from one tile cost little more than one; it keeps
    the ``TILES_KEPT`` tiles that it read last, so a long row of proofs takes no more memory than a short one.
    tile: gives the hashes of a tile, one after the other, by level, index and width (256 when it is full).
    Errors: BadTile when a tile has not 32 bytes for each of its hashes.
    """

    TILES_KEPT = 512

    def __init__(self, tile: Callable[[int, int, int], bytes], size: int) -> None:
        self._tile = tile
        self._size = size
        self._kept: dict[tuple[int, int], list[list[bytes]]] = {}

    def __call__(self, height: int, index: int, /) -> bytes:
        if (index + 1) << height > self._size:
            raise OutsideTree(f"The log of {self._size} entries has no subtree {index} of height {height}.")
        level, above = divmod(height, TILE_HEIGHT)
        number, first = divmod(index << above, TILE_WIDTH)
        rows = self._kept.get((level, number)) or self._read(level, number)
        return rows[above][first >> above]

    def _read(self, level: int, number: int) -> list[list[bytes]]:
        """A tile's hashes and, row by row, the nodes over them."""
        width = tile_width(level, number, self._size)
        data = self._tile(level, number, width)
        if len(data) != width * HASH_BYTES:
            raise BadTile(f"Tile {number} of level {level} has {len(data)} bytes, not {width * HASH_BYTES}.")
        row = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        rows = [row]
        while len(row) > 1 and len(rows) < TILE_HEIGHT:
            row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=False)]
            rows.append(row)
        if len(self._kept) >= self.TILES_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[level, number] = rows
        return rows


def _fold(peaks: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees that stand side by side, largest first."""
    if not peaks:
        return EMPTY_ROOT
    node = peaks[-1]
    for peak in islice(reversed(peaks), 1, None):
        node = node_hash(peak, node)
    return node


def _perfect(begin: int, end: int) -> Iterable[tuple[int, int]]:
    """The perfect subtrees, as (height, index), that a subtree over these leaves is made of; largest first."""
    while begin < end:
        height = (end - begin).bit_length() - 1
        yield height, begin >> height
        begin += 1 << height


def _root(begin: int, end: int, read: Reader) -> bytes:
    return _fold([read(height, index) for height, index in _perfect(begin, end)])


def _split(begin: int, end: int) -> int:
    """Where the left child of a node over two leaves or more ends: after the largest power of two below their count."""
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def _entry_of(index: int, size: int) -> None:
    if not 0 <= index < size <= SIZE_MAX:
        raise OutsideTree(f"A log of {size} entries has no entry {index}.")


def _beside(index: int, size: int) -> list[tuple[int, int]]:
    """The leaves under each sibling of the path from leaf ``index`` to the root, from the leaf upwards."""
    begin, end = 0, size
    beside: list[tuple[int, int]] = []
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            beside.append((middle, end))
            end = middle
        else:
            beside.append((begin, middle))
            begin = middle
    return beside[::-1]


def _between(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """The leaves under each hash of a consistency proof, in its order. 0 < old_size < new_size.

    Descends to the node that ends where the old tree ends. That node itself is left out where it is the whole old
    tree, since the verifier has its root already.
    """
    begin, end = 0, new_size
    parts: list[tuple[int, int]] = []
    while end != old_size:
        middle = _split(begin, end)
        if old_size <= middle:
            parts.append((middle, end))
            end = middle
        else:
            parts.append((begin, middle))
            begin = middle
    if begin:
        parts.append((begin, end))
    return parts[::-1]
