"""The ledger's engines of this process: one for each partition that its directory names."""

import gc
import logging
from collections.abc import Generator
from contextlib import contextmanager
from threading import Event, Thread

from hansa import ledger
from hansa.kernel import HansaError
from hansa.store import Context

log = logging.getLogger("hansa.engines")

TRY_AGAIN_S = 2.0
"""How often a process looks whether a partition that another one kept is free."""


@contextmanager
def ledger_engines(ctx: Context, *, sign: ledger.Sign | None = None) -> Generator[None]:
    """Keep the partitions in memory for as long as the block lasts.

    A partition that an engine in another process keeps is left to it, and what is posted here is handed over to there;
    should it end or die, this process takes the partition up. sign: signs each block's checkpoint with the city's key.
    Errors: StoreUnavailable.
    """
    collect_rarely()
    keeper = _Keeper(ctx, sign)
    try:
        keeper.take_up_all()
        thread = Thread(target=keeper.stand_by, name="hansa-engines", daemon=True)
        thread.start()
        try:
            yield
        finally:
            keeper.stopped.set()
            thread.join()
    finally:
        keeper.give_up()


class _Keeper:
    """The engines that run here, and the partitions that wait for one."""

    def __init__(self, ctx: Context, sign: ledger.Sign | None) -> None:
        self.stopped = Event()
        self._ctx, self._sign = ctx, sign
        self._partitions = sorted(set(ctx.directory.partitions))
        self._engines: dict[int, ledger.Engine] = {}

    def take_up_all(self) -> None:
        for partition in self._partitions:
            self._take_up(partition)

    def _take_up(self, partition: int) -> None:
        """Start the partition's engine, unless one runs here or elsewhere."""
        if partition in self._engines and self._engines[partition].lives:
            return
        engine = ledger.Engine(self._ctx, partition, sign=self._sign)
        try:
            engine.start()
        except ledger.EngineTaken:
            return
        self._engines[partition] = engine

    def stand_by(self) -> None:
        while not self.stopped.wait(TRY_AGAIN_S):
            for partition in self._partitions:
                try:
                    self._take_up(partition)
                except HansaError as error:
                    log.warning("Partition %s: %s: %s", partition, error.code, error.detail)
                except Exception:  # one partition's broken books must not keep the others from being taken up
                    log.exception("Partition %s cannot be taken up; it is tried again.", partition)

    def give_up(self) -> None:
        for engine in self._engines.values():
            engine.stop()


def collect_rarely() -> None:
    """Look for cycles a hundred times less often: a ledger in memory is millions of objects that form none.

    With Python's own thresholds, walking through them took a tenth of the engine's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(70_000, 20, 100)
