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
    _collect_rarely()
    keeper = _Keeper(ctx, sign)
    keeper.take_up()
    thread = Thread(target=keeper.stand_by, name="hansa-engines", daemon=True)
    thread.start()
    try:
        yield
    finally:
        keeper.stopped.set()
        thread.join()
        keeper.give_up()


class _Keeper:
    """The engines that run here, and the partitions that wait for one."""

    def __init__(self, ctx: Context, sign: ledger.Sign | None) -> None:
        self.stopped = Event()
        self._ctx, self._sign = ctx, sign
        self._engines: dict[int, ledger.Engine] = {}

    def take_up(self) -> None:
        """Start an engine for each partition that has none."""
        for partition in sorted(set(self._ctx.directory.partitions)):
            if partition in self._engines and self._engines[partition].lives:
                continue
            engine = ledger.Engine(self._ctx, partition, sign=self._sign)
            try:
                engine.start()
            except ledger.EngineTaken:
                continue
            self._engines[partition] = engine

    def stand_by(self) -> None:
        while not self.stopped.wait(TRY_AGAIN_S):
            try:
                self.take_up()
            except HansaError as error:
                log.warning("%s: %s", error.code, error.detail)

    def give_up(self) -> None:
        for engine in self._engines.values():
            engine.stop()


def _collect_rarely() -> None:
    """Look for cycles a hundred times less often: a ledger in memory is millions of objects that form none.

    With Python's own thresholds, walking through them took a tenth of the engine's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(70_000, 20, 100)
