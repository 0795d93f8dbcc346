"""Chains of transfers, and the one word the ledger has for each."""

from collections.abc import Sequence

from hansa import ledger
from hansa.store import Context


def post_chains(ctx: Context, chains: Sequence[Sequence[ledger.Transfer]]) -> list[ledger.ResultCode]:
    """Post chains; one code each: OK if it is in the books, else what stopped it."""
    codes: list[ledger.ResultCode] = []
    said = iter(_codes(ctx, [transfer for chain in chains for transfer in chain]))
    for chain in chains:
        got = [next(said) for _ in chain]
        # A chain is booked as a whole: one member that exists says that all do (the others then say "linked").
        booked = ledger.ResultCode.EXISTS in got or all(code is ledger.ResultCode.CREATED for code in got)
        stopped = (code for code in got if code is not ledger.ResultCode.LINKED_EVENT_FAILED)
        codes.append(ledger.ResultCode.CREATED if booked else next(stopped))
    return codes


def _codes(ctx: Context, transfers: Sequence[ledger.Transfer]) -> list[ledger.ResultCode]:
    """One code for each. Those of one partition, as most are, go to it without a look at each."""
    partitions = {one.partition for one in transfers}
    if len(partitions) == 1 and len(transfers) <= ledger.BATCH_MAX:
        return ledger.post_batch(ctx, ledger.batch_of(transfers), partition=partitions.pop())
    return [one.code for one in ledger.post(ctx, transfers)]
