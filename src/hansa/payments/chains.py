"""Chains of transfers, and the one word the ledger has for each."""

from collections.abc import Sequence
from concurrent.futures import Future

from hansa import ledger
from hansa.store import Context


def post_chains(ctx: Context, chains: Sequence[Sequence[ledger.Transfer]]) -> list[ledger.ResultCode]:
    """Post chains; one code each: CREATED if it is in the books, else what stopped it. Errors: as ``ledger.post``."""
    posting = Chains(chains)
    posting.begin(ctx)
    return posting.words()


class Chains:
    """Chains on their way to the ledger: ``begin`` hands them in, and ``words`` waits for what it says."""

    def __init__(self, chains: Sequence[Sequence[ledger.Transfer]]) -> None:
        self._chains = chains
        self._transfers = [transfer for chain in chains for transfer in chain]
        self._said: Future[list[ledger.ResultCode]] | None = None
        self._batch: ledger.Batch | None = None
        self._term: int | None = None
        partitions = {one.partition for one in self._transfers}
        if len(partitions) == 1 and len(self._transfers) <= ledger.BATCH_MAX:
            # Those of one partition, as most are, go to it without a look at each.
            (self._partition,) = partitions
            self._batch = ledger.batch_of(self._transfers)

    def hold_to(self, ctx: Context) -> bool:
        """Let them be good only for the term of the engine in this process; whether there is one.

        A term ends where the database falls, and with it what was committed and not waited for. So they are booked only
        where all that is there too.
        """
        self._term = None if self._batch is None else ledger.term_here(ctx, self._partition)
        return self._term is not None

    def begin(self, ctx: Context) -> None:
        """Hand them in, without waiting where they are of one partition whose engine is in this process."""
        if self._batch is not None:
            self._said = ledger.begin_post(ctx, self._batch, partition=self._partition, term=self._term)
            return
        self._said = Future()
        self._said.set_result([one.code for one in ledger.post(ctx, self._transfers)])

    def words(self) -> list[ledger.ResultCode]:
        """One code for each chain: CREATED if it is in the books, else what stopped it. Errors: as ``ledger.post``."""
        assert self._said is not None, "they were handed in"
        said = iter(self._said.result())
        codes: list[ledger.ResultCode] = []
        for chain in self._chains:
            got = [next(said) for _ in chain]
            # A chain is booked as a whole: one member that exists says that all do (the others then say "linked").
            booked = ledger.ResultCode.EXISTS in got or all(code is ledger.ResultCode.CREATED for code in got)
            stopped = (code for code in got if code is not ledger.ResultCode.LINKED_EVENT_FAILED)
            codes.append(ledger.ResultCode.CREATED if booked else next(stopped))
        return codes
