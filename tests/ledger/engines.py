"""Test helper: engines, what may happen to them, and callers in other processes."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hansa import ledger
from hansa.ledger import Engine, Pace, Transfer, store
from hansa.store import Context, StoreFull, StoreUnavailable, open_context

HELD_OFF = Pace(fold_every_s=3_600)
"""Nothing is folded until somebody asks for it."""

BUSY = Pace(fold_every_s=0.005, fold_transfers=3, accounts_max=3, block_max=6)
"""Folding, forgetting and letting accounts go all the time."""

SRC, TESTS = (Path(__file__).parents[2] / folder for folder in ("src", "tests"))

LEDGER_BACKENDS = """
select pid from pg_stat_activity where datname = current_database() and application_name = 'hansa ledger'
"""


@contextmanager
def another_process(ctx: Context) -> Generator[Context]:
    """A Context as another process would have it: the same database, and no engine of this process is found by it."""
    with open_context(f"{ctx.url} connect_timeout=9", clock=ctx.clock) as other:
        assert ledger.find_engine(other, 0) is None
        yield other


def terminate_engines(ctx: Context) -> None:
    """End all connections of engines in the server, and wait until they are gone."""
    with ctx.tx() as tx:
        gone = [row[0] for row in tx.execute(LEDGER_BACKENDS)]
        tx.execute("select pg_terminate_backend(pid) from unnest(%s::int[]) as pid", (gone,))

    def are_gone() -> bool:
        with ctx.tx() as tx:
            return not set(gone) & {row[0] for row in tx.execute(LEDGER_BACKENDS)}

    wait_until(are_gone)


def crash(engine: Engine) -> None:
    """What a death leaves: connections gone in the midst, nothing folded, nothing given up."""
    engine._stopping = True
    terminate_engines(engine.serves)
    engine._stopping = False
    engine.stop()


def wait_until(true: Callable[[], bool], *, most_s: float = 60) -> None:
    deadline = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < deadline, "it should have happened by now"
        time.sleep(0.01)


def post_until_told(ctx: Context, transfers: Sequence[Transfer], *, most_s: float = 60) -> list[str]:
    """Post as a good caller does: the same again for as long as the store is not to be had."""
    deadline = time.monotonic() + most_s
    while True:
        try:
            return [result.code.value for result in ledger.post(ctx, transfers)]
        except (StoreUnavailable, StoreFull):
            assert time.monotonic() < deadline, "the ledger should be back by now"
            time.sleep(0.02)


def run_python(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that runs this program with Hansa and the tests' helpers on its path."""
    path = f"import sys; sys.path[:0] = [{str(SRC)!r}, {str(TESTS)!r}]\n"
    return subprocess.Popen(
        [sys.executable, "-c", path + program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def stand(ctx: Context, partition: int = 0) -> tuple[str | None, int, int]:
    """Who keeps the partition, its last block, and up to where it is folded."""
    with ctx.tx() as tx:
        head = store.find_head(tx, partition)
        row = tx.execute("select writer from ledger.heads where partition = %s", (partition,)).fetchone()
    assert head is not None and row is not None
    return row[0], head.number, head.folded
