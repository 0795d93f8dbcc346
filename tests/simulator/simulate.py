"""Simulate a league under every misfortune that a seed can think of, and find what it breaks.

    python tests/simulator/simulate.py --seeds 1-200      a line for each seed that fails, and what was done to them
    python tests/simulator/simulate.py --seed 17 --trace  the story of one seed, event by event

The whole world is one thread with a clock of its own; the database is real. The same seed gives the same story.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

import psycopg  # noqa: E402

from hansa.apps.rooms import migrate_all  # noqa: E402
from hansa.kernel import FixedClock  # noqa: E402
from hansa.store import Context, EmbeddedServer, Tx  # noqa: E402
from simulator.league import MORNING, open_league, simulate  # noqa: E402


def context_on(connection: Tx) -> Context:
    """A Context whose transactions are savepoints on this connection."""

    @contextmanager
    def savepoint() -> Generator[Tx]:
        with connection.transaction():
            yield connection

    return Context(open_tx=savepoint, clock=FixedClock(MORNING))


@contextmanager
def scratch_league() -> Generator[tuple[Tx, Context]]:
    """A connection to a database in a temporary folder, with the league in a transaction that never commits."""
    home = Path(tempfile.mkdtemp(prefix="hansa-simulator-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home, settings={"fsync": "off"}) as server:
            migrate_all(server.url)
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("set timezone to 'UTC'")
                with connection.transaction(force_rollback=True):
                    ctx = context_on(connection)
                    open_league(ctx)
                    yield connection, ctx
    finally:
        shutil.rmtree(home, ignore_errors=True)


def seeds_of(words: str) -> range:
    first, _, last = words.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> int:
    words = argparse.ArgumentParser(
        description="Simulate a league under misfortune; the same seed, the same story."
    )
    words.add_argument("--seeds", default="1-50", help="from which to which, such as 1-200")
    words.add_argument("--seed", type=int, help="only this one")
    words.add_argument("--trace", action="store_true", help="print the event log")
    given = words.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill stops the server too
    seeds = range(given.seed, given.seed + 1) if given.seed is not None else seeds_of(given.seeds)
    faults: Counter[str] = Counter()
    failed: list[int] = []
    steps = transfers = 0
    began = time.monotonic()
    with scratch_league() as (connection, ctx):
        for seed in seeds:
            try:
                story = simulate(connection, ctx, seed, trace=given.trace)
            except Exception as error:
                failed.append(seed)
                print(f"seed {seed} FAILS: {type(error).__name__}: {error}", flush=True)
                if given.seed is not None:
                    traceback.print_exc()
                continue
            faults += story.faults
            steps += story.steps
            transfers += story.transfers
            if given.seed is not None:
                print(f"seed {seed} holds; its story is {story.digest}")
    for name, count in sorted(faults.items()):
        print(f"{count:8,}  {name}")
    took_s = time.monotonic() - began
    print(
        f"{len(seeds):,} seeds in {took_s:.0f} s: {steps:,} events, {transfers:,} transfers,"
        f" {faults.total():,} faults; {len(failed)} failed"
    )
    if failed:
        print(f"To see one: python tests/simulator/simulate.py --seed {failed[0]} --trace")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
