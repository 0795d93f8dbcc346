"""Test helper: processes that keep the ledger as `hansa serve` does, post through it, and note what they are told."""

import os
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from subprocess import Popen

from hansa import ledger
from hansa.apps.engines import ledger_engines
from hansa.apps.witnessing import log_signer
from hansa.store import open_context
from ledger.books import a_transfer
from ledger.engines import post_until_told, run_python, wait_until

PATIENCE_S = 120
"""How long a machine may take that measures something else meanwhile."""

PROGRAM = "from apps.keeping import keep; keep(*sys.argv[1:])"


def keep(url: str, folder: str, name: str, parent: str) -> None:
    """Keep the ledger, or stand by, and post one transfer after another, until killed or left without a parent."""
    with (
        open_context(url, connections_max=4) as ctx,
        Path(folder, f"{name}.log").open("a") as log,
        ledger_engines(ctx, sign=log_signer(Path(folder, "home"))),
    ):
        for number in count():
            (code,) = post_until_told(
                ctx, [a_transfer(f"{name} {number}", "bank", "ann", 1)], most_s=PATIENCE_S
            )
            engine = ledger.find_engine(ctx, 0)
            term = engine.term if engine is not None and engine.lives else None
            log.write(f"{time.monotonic()} {term or 0} {number} {code}\n")
            log.flush()
            if os.getppid() != int(parent):
                return
            time.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that a process was given. term: the election by which it held the partition then; 0 if it did not."""

    at_s: float
    term: int
    number: int
    code: str


@dataclass
class Keepers:
    """Processes by name, and what each was told."""

    url: str
    folder: Path
    processes: dict[str, Popen[str]] = field(default_factory=dict[str, Popen[str]])

    def start(self, *names: str) -> None:
        for name in names:
            self.processes[name] = run_python(PROGRAM, self.url, str(self.folder), name, str(os.getpid()))

    def kill(self, name: str) -> float:
        """Kill it with -9; gives when."""
        process = self.processes[name]
        process.send_signal(signal.SIGKILL)
        process.wait()
        return time.monotonic()

    def pause(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGCONT)

    def told(self, name: str) -> list[Told]:
        """Its answers so far, up to the last whole line."""
        log = self.folder / f"{name}.log"
        text = log.read_text() if log.exists() else ""
        lines = [line.split(" ") for line in text[: text.rfind("\n") + 1].splitlines()]
        return [Told(float(at_s), int(term), int(number), code) for at_s, term, number, code in lines]

    def wait_for(self, name: str, answers: int, *, holding: bool, after_s: float | None = None) -> list[Told]:
        """Wait until it was told so many answers, from now or an instant on, while it held the partition or not."""
        begin_s = time.monotonic() if after_s is None else after_s
        found: list[Told] = []

        def is_told() -> bool:
            assert self.processes[name].poll() is None, f"{name} has ended by itself"
            found[:] = [one for one in self.told(name) if one.at_s > begin_s and bool(one.term) is holding]
            return len(found) >= answers

        wait_until(is_told, most_s=PATIENCE_S)
        return found

    def wait_for_holder(self, names: Sequence[str], *, after_s: float) -> str:
        """Wait until one of these holds the partition, and all others have been told something while it did."""
        holders: set[str] = set()

        def is_held() -> bool:
            told = {name: [one for one in self.told(name) if one.at_s > after_s] for name in names}
            begun = [one.at_s for answers in told.values() for one in answers if one.term]
            holders.update(name for name, answers in told.items() if any(one.term for one in answers))
            return bool(begun) and all(any(one.at_s > min(begun) for one in told[name]) for name in names)

        wait_until(is_held, most_s=PATIENCE_S)
        (holder,) = holders
        return holder


@contextmanager
def keepers(url: str, folder: Path) -> Generator[Keepers]:
    """Keepers that are all killed in the end."""
    these = Keepers(url, folder)
    try:
        yield these
    finally:
        for name in these.processes:
            these.kill(name)
