"""In which of the ledger's blocks a window's items stand, for all positions at once: for readers by the column."""

from hansa.store import Tx

WINDOW_BLOCKS = """
select issuer_id, operator_id, currency, partition, code, min(after_block)
from clearing.window_tallies
where window_id = %s
group by issuer_id, operator_id, currency, partition, code
"""


def window_blocks(tx: Tx, window_id: str) -> dict[tuple[str, str, str, int], dict[int, int]]:
    """After which block the items of each position stand, by transfer code; up to the window's watermark.

    Keys are issuer, operator, currency and partition. A position's code that is not among them is another window's.
    Empty for a window that was closed before figures were kept: it has all of its watermark's blocks.
    """
    found: dict[tuple[str, str, str, int], dict[int, int]] = {}
    for issuer, operator, currency, partition, code, after in tx.execute(WINDOW_BLOCKS, (window_id,)):
        found.setdefault((issuer, operator, currency, partition), {})[code] = after
    return found
