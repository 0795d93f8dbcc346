"""Some blocks of a log as an auditor is given them: the rows with their salts, the blocks, and the tree before them."""

from collections.abc import Iterator

from hansa.ledger.log import LogReader, canonical_row
from hansa.store import Tx
from hansa.trust.tlog import Tree

_SOME = 8_192


def salted_rows(tx: Tx, partition: int, begin: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """The salt and the canonical row of each entry of a log from one place until before another, in order.

    Whoever has them reads the transfers. Errors: NoLog; OutsideTree.
    """
    log = LogReader(tx, partition)
    for first in range(begin, end, _SOME):
        for salt, row in log._salted(first, min(first + _SOME, end)):
            yield salt, canonical_row(partition, row)


def tree_at(tx: Tx, partition: int, size: int) -> Tree:
    """The tree of a log's first ``size`` entries, as far as it takes to grow it. Errors: NoLog, OutsideTree."""
    return Tree.read(size, LogReader(tx, partition).reader(size))
