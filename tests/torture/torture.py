"""Kill the ledger's engine and its database over and over while tellers post, then prove that nothing was lost.

    python tests/torture/torture.py [--kills 100] [--seed N] [--seconds-max S] [--short] [--rooms]

An embedded PostgreSQL with the settings of every day, an engine in a process of its own, and tellers in processes of
theirs, who write down durably what they send and what they are told. Killed with -9, as the seed says: the engine, the
server, both, one of the server's processes, a teller; and one of the engine's connections is cut now and then. With
``--rooms`` a process tops up wallets and charges rides instead, and must come out as an undisturbed one does. What is
proven is printed; on failure the folder is kept.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from types import FrameType

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

import psycopg  # noqa: E402
from finds import Finds, check_books  # noqa: E402
from parts import engine_process, teller_process  # noqa: E402
from psycopg import sql  # noqa: E402
from rooms import check_rooms, rooms_process, run_undisturbed  # noqa: E402

from hansa import ledger  # noqa: E402
from hansa.apps.rooms import migrate_all  # noqa: E402
from hansa.ledger.store import engine_lives  # noqa: E402
from hansa.store import EmbeddedServer, open_context  # noqa: E402
from simulator.traffic import accounts  # noqa: E402

PATIENCE_S = 240
"""How long the engine, or a room's work, may be away before that alone is a failure."""

KINDS = {
    "engine": 40,
    "database": 22,
    "engine and database": 16,
    "one backend": 10,
    "one connection": 8,
    "a teller": 10,
}
"""Who is killed, and how often of a hundred times."""

ROOM_KINDS = {"the work": 60, "database": 20, "the work and database": 20}

_FORK = get_context("fork")


@dataclass
class Tally:
    """What was done to it, and how long it was away."""

    kills: Counter[str] = field(default_factory=Counter[str])
    outages: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    recoveries_s: list[float] = field(default_factory=list[float])
    stuck: list[str] = field(default_factory=list[str])


class Arena:
    """The server, and the processes that live and die around it."""

    def __init__(self, home: Path, seed: int, tally: Tally) -> None:
        self.home, self.seed, self.tally = home, seed, tally
        self.dice = Random(f"{seed} kills")
        self.server = EmbeddedServer(home / "server")
        self.stop_file = home / "stop"
        self.processes: dict[str, BaseProcess] = {}
        self.down_since: float | None = None
        self.down_by = ""
        self.term = 0

    # --- births

    def start(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        process = _FORK.Process(target=target, args=arguments, name=name, daemon=True)
        process.start()
        self.processes[name] = process

    def start_engine(self) -> None:
        self.start("engine", engine_process, self.server.url, self.home, os.getpid())

    def start_teller(self, number: int) -> None:
        self.start(
            f"teller {number}", teller_process, self.server.url, self.home, os.getpid(), self.seed, number
        )

    # --- deaths

    def kill(self, kind: str, tellers: int) -> None:
        """Kill, and start again whoever is not started by someone else."""
        self.tally.kills[kind] += 1
        if self.down_since is None and kind != "a teller":
            self.down_since, self.down_by = time.monotonic(), ""
            self.term = self._heads_term() or self.term
        if self.down_since is not None and kind != "a teller":
            self.down_by += f", {kind}" if self.down_by else kind
        if kind == "a teller":
            number = self.dice.randrange(tellers)
            self.kill_process(f"teller {number}")
            self.start_teller(number)
        if kind.startswith("engine"):
            self.kill_process("engine")
        if "database" in kind:
            self.kill_database()
        if kind == "one backend":
            self.kill_backend()
        if kind == "one connection":
            self.cut_connection()
        if "database" in kind:
            self.dawdle(0.1)
            self.restart_database()
        if kind.startswith("engine"):
            self.dawdle(0.3)
            self.start_engine()

    def kill_process(self, name: str) -> None:
        process = self.processes[name]
        if process.pid is not None and process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()

    def kill_database(self) -> None:
        pid = self.server.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_backend(self) -> None:
        """Kill one of the server's processes; the server then ends all others and recovers by itself."""
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.server.url) as connection:
            rows = connection.execute(
                "select pid from pg_stat_activity where backend_type = 'client backend'"
                " and pid <> pg_backend_pid() order by pid"
            ).fetchall()
            self.dice.shuffle(rows)
            for (pid,) in rows:
                with contextlib.suppress(
                    ProcessLookupError
                ):  # it has ended by itself meanwhile; kill another
                    os.kill(pid, signal.SIGKILL)
                    return

    def cut_connection(self) -> None:
        """Cut one of the engine's connections; be it the one by whose lock it is known to live."""
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.server.url) as connection:
            rows = connection.execute(
                "select pid from pg_stat_activity where application_name = 'hansa ledger' order by pid"
            ).fetchall()
            if rows:
                connection.execute("select pg_terminate_backend(%s)", self.dice.choice(rows))

    def restart_database(self) -> None:
        began = time.monotonic()
        self.server.ensure_running()
        self.tally.recoveries_s.append(time.monotonic() - began)

    def dawdle(self, seconds_max: float) -> None:
        if self.dice.random() < 0.5:
            time.sleep(self.dice.uniform(0, seconds_max))

    # --- is it up?

    def _heads_term(self) -> int | None:
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.server.url) as connection:
            row = connection.execute("select term from ledger.heads where partition = 0").fetchone()
            return None if row is None else int(row[0])
        return None

    def engine_is_up(self) -> bool:
        """Whether this very engine process has been elected since the last death."""
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.server.url) as connection:
            row = connection.execute("select writer, term from ledger.heads where partition = 0").fetchone()
            pid = self.processes["engine"].pid
            return (
                row is not None
                and str(row[0]).endswith(f":{pid}")
                and row[1] > self.term
                and engine_lives(connection, 0)
            )
        return False

    def wait_for_engine(self) -> None:
        """Wait until the engine serves again; note how long it was away, or that it does not come back."""
        if self.down_since is None:
            return
        while not self.engine_is_up():
            if time.monotonic() - self.down_since > PATIENCE_S:
                self.tally.stuck.append(f"the engine has not come back in {PATIENCE_S} s")
                self.kill_process("engine")
                self.start_engine()
                self.down_since = None
                return
            if not self.processes["engine"].is_alive():  # it gave up; its log says why
                self.tally.stuck.append("the engine's process ended by itself")
                self.start_engine()
            time.sleep(0.02)
        self.tally.outages.append((time.monotonic() - self.down_since, self.down_by))
        self.down_since = None

    def end(self) -> None:
        """End every process, without mercy, and the server cleanly."""
        for name in self.processes:
            self.kill_process(name)
        self.server.stop()


def torture_books(arena: Arena, *, kills: int, seconds_max: float, tellers: int) -> Finds:
    """Let the tellers post while everything dies around them; then look into the books."""
    with open_context(arena.server.url) as ctx:
        ledger.open_accounts(ctx, accounts())
    arena.start_engine()
    for number in range(tellers):
        arena.start_teller(number)
    dice, tally = arena.dice, arena.tally
    arena.down_since = time.monotonic()
    arena.wait_for_engine()
    tally.outages.clear()
    ends_at = time.monotonic() + seconds_max
    while tally.kills.total() < kills and time.monotonic() < ends_at:
        time.sleep(dice.choice((0, 0.05, 0.3, 0.6, 1.0)) * dice.uniform(0.5, 1.5))
        arena.kill(dice.choices(list(KINDS), list(KINDS.values()))[0], tellers)
        if dice.random() < 0.75:  # else the next death comes while this one is being recovered from
            arena.wait_for_engine()
    arena.wait_for_engine()
    time.sleep(0.5)
    arena.stop_file.touch()
    for number in range(tellers):
        process = arena.processes[f"teller {number}"]
        process.join(PATIENCE_S)
        if process.is_alive():
            tally.stuck.append(f"teller {number} has waited {PATIENCE_S} s for an answer")
    arena.kill_process("engine")  # so that the books are read with blocks that are not folded yet
    with open_context(arena.server.url) as ctx:
        return check_books(ctx, arena.home, arena.seed, tellers)


def torture_rooms(arena: Arena, *, kills: int, seconds_max: float) -> Finds:
    """Let a process charge a day's rides while it and its database die; then compare with one that was left alone.

    Day after day, each in a database of its own, until there were kills enough.
    """
    finds = Finds()
    days, dies_until = 0, time.monotonic() + seconds_max
    while not days or (
        arena.tally.kills.total() < kills and time.monotonic() < dies_until and not finds.failed
    ):
        seed, home = arena.seed + days, arena.home / f"day {days}"
        home.mkdir()
        undisturbed = run_undisturbed(database(arena.server, f"undisturbed_{days}"), seed)
        url = database(arena.server, f"day_{days}")
        _torture_day(arena, url, home, seed, kills, dies_until)
        with open_context(url) as ctx:
            check_rooms(finds, ctx, home, seed, undisturbed)
        days += 1
    finds.figures = f"{days} days"
    return finds


def _torture_day(arena: Arena, url: str, home: Path, seed: int, kills: int, dies_until: float) -> None:
    dice, tally = arena.dice, arena.tally
    work = (url, home, os.getpid(), seed)
    arena.start("work", rooms_process, *work)
    ends_at = dies_until + PATIENCE_S
    while not (home / "done").exists():
        if time.monotonic() > ends_at:
            tally.stuck.append("the rooms' work does not come to its end")
            break
        if tally.kills.total() < kills and time.monotonic() < dies_until:
            arena.processes["work"].join(dice.choice((0.1, 0.3, 0.6, 1.0)) * dice.uniform(0.5, 1.5))
            if not (home / "done").exists():
                kind = dice.choices(list(ROOM_KINDS), list(ROOM_KINDS.values()))[0]
                tally.kills[kind] += 1
                if "work" in kind:
                    arena.kill_process("work")
                if "database" in kind:
                    arena.kill_database()
                    arena.restart_database()
        if not arena.processes["work"].is_alive():
            arena.start("work", rooms_process, *work)
        arena.processes["work"].join(0.1)
    arena.kill_process("work")


def database(server: EmbeddedServer, name: str) -> str:
    """Make a database with all tables and no rows; gives its address."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    migrate_all(server.url_of(name))
    return server.url_of(name)


def report(finds: Finds, tally: Tally) -> bool:
    """Print what was proven, what was found, and the figures; True when all holds."""
    for stuck in tally.stuck:
        finds.fail("everyone comes back and goes on", stuck)
    finds.proven.setdefault("everyone comes back and goes on", f"{tally.kills.total()} kills")
    width = max(map(len, [*finds.proven, *finds.failed]))
    for name, what in finds.proven.items():
        if name not in finds.failed:
            print(f"  ok    {name:<{width}}  {what}")
    for name, faults in finds.failed.items():
        print(f"  FAILS {name:<{width}}  {len(faults)} times, such as:")
        for fault in faults[:5]:
            print(f"          {fault}")
    killed = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.kills.items()))
    print(f"kills {tally.kills.total()} ({killed}); {finds.figures}")
    if tally.outages:
        away = sorted(tally.outages)
        longest_s, why = away[-1]
        print(
            f"engine away: median {away[len(away) // 2][0]:.2f} s, longest {longest_s:.2f} s (killed: {why})"
        )
    if tally.recoveries_s:
        took = sorted(tally.recoveries_s)
        print(f"database recovered in: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s")
    return not finds.failed


@contextlib.contextmanager
def _ended_by_term() -> Generator[None]:
    """A polite kill unwinds, so that the server is stopped."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> int:
    words = argparse.ArgumentParser(
        description="Kill the ledger and its database, and prove that nothing is lost."
    )
    words.add_argument("--kills", type=int, default=0, help="how many; 100, or 6 with --short")
    words.add_argument("--seed", type=int, default=0, help="which run; a fresh one unless given")
    words.add_argument("--seconds-max", type=float, default=0, help="kill nobody after so many seconds")
    words.add_argument("--short", action="store_true", help="a look of less than 40 s")
    words.add_argument("--rooms", action="store_true", help="torture payments and rides around the ledger")
    given = words.parse_args()
    seed = given.seed or int.from_bytes(os.urandom(3), "big")
    kills = given.kills or (6 if given.short else 100)
    seconds_max = given.seconds_max or (20 if given.short else 1_800)
    print(f"seed {seed}", flush=True)
    home = Path(tempfile.mkdtemp(prefix="hansa-torture-"))
    home.chmod(0o755)  # the server's user passes through; what lies inside is its alone
    tally = Tally()
    arena = Arena(home, seed, tally)
    holds = False
    with _ended_by_term():
        arena.server.start()
        try:
            migrate_all(arena.server.url)
            if given.rooms:
                finds = torture_rooms(arena, kills=kills, seconds_max=seconds_max)
            else:
                finds = torture_books(arena, kills=kills, seconds_max=seconds_max, tellers=4)
            holds = report(finds, tally)
        finally:
            arena.end()
            if holds:
                shutil.rmtree(home, ignore_errors=True)
            else:
                again = " ".join(word for word in sys.argv[1:] if not word.startswith("--seed"))
                print(f"All of it is kept in {home}. To run it again: {sys.argv[0]} --seed {seed} {again}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
