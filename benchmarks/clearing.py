"""How long a window takes to close, and what posting feels of it.

    python benchmarks/clearing.py [--short] [--curve] [--only close_million_s,...]

Starts a PostgreSQL of its own in a temporary folder, fsync on, with an engine in this process, as a city has it.
Riders' wallets pay positions between 100 issuers and 100 operators (10,000 positions, 200 members); figures follow the
journal while it is written, as the worker has them do.

- ``close_million_s``: from the call that closes a window of 1,000,000 items (--short: 200,000) to its return: caught
  up, decided, 30,000 transfers posted, closed; median of three windows. Baseline: adding up the same items in one
  statement of PostgreSQL, by position, with nothing decided, checked or booked: what O(items) costs at least.
- ``posting_while_closing``: transfers a second that others get durable in the seconds around a close, against the same
  seconds without one, at a steady load of 10,000 a second sent in batches of 500; ``posting_p99_ms`` says how long one
  batch waited. ``posting_flat_out``: the same ratio with as much sent as the engine takes, which on few cores measures
  the cores that both want.
- ``followed_per_s``: transfers a second that the figures follow, alone. Baseline: what the engine books a second.

- ``hub_path``, ``hub_path_over_1s_percent``, ``statements_ten_million_s``: as ``hub.py`` and ``statements.py``, beside
  this file, measure them, each in a process and books of its own, one after the other (--short: their short forms;
  the figure for statements is then of fewer items).

--curve prints close times from 100,000 to 10,000,000 items, and nothing else is measured. At the end figures are
counted anew from all items, and the books are verified. The last line is JSON: name -> {value, unit, baseline, ratio}.
"""

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from _ledger_books import BATCH, Ids, Till, Town, a_town, book, wire
from hansa import clearing, ledger, trust
from hansa.apps.engines import collect_rarely
from hansa.clearing import running
from hansa.kernel import FixedClock
from hansa.store import Context, EmbeddedServer

CLOSING = ("close_million_s", "posting_while_closing", "posting_p99_ms", "posting_flat_out", "followed_per_s")
ELSEWHERE = {
    "hub_path": "hub.py",
    "hub_path_over_1s_percent": "hub.py",
    "statements_ten_million_s": "statements.py",
}
"""What is measured by another file here."""
NAMES = (*CLOSING, *ELSEWHERE)
ISSUERS, OPERATORS = 100, 100
FIRST_DAY = date(2026, 11, 17)
LOAD_PER_S, LOAD_BATCH = 10_000, 500


@dataclass
class League:
    """A town whose riders pay positions between members, and a calendar that goes on as days are closed."""

    town: Town
    positions: Ids
    till: Till
    day: date = FIRST_DAY

    @property
    def ctx(self) -> Context:
        return self.town.ctx

    def fares(self, count: int) -> list[bytes]:
        """So many fares, in full batches, on positions chosen at random."""
        found: list[bytes] = []
        while count > 0:
            some = min(BATCH, count)
            found.append(
                wire(
                    self.till.records(
                        self.till.choose(self.town.wallets, some), self.till.choose(self.positions, some)
                    )
                )
            )
            count -= some
        return found

    def ride(self, count: int) -> float:
        """Book so many items while figures follow; gives how many a second were booked and followed."""
        began, left = time.perf_counter(), count
        while left > 0:
            some = min(left, 10 * BATCH)
            book(self.town, self.fares(some))
            clearing.follow(self.ctx)
            left -= some
        return count / (time.perf_counter() - began)

    def close(self) -> tuple[float, clearing.Window, list[tuple[str, float]]]:
        """Close the next business day; gives seconds, window, and after how many seconds each step was durable."""
        clock = self.ctx.clock
        assert isinstance(clock, FixedClock)
        clock.at = datetime(self.day.year, self.day.month, self.day.day, 20, tzinfo=UTC)
        steps: list[tuple[str, float]] = []
        began = time.perf_counter()
        window = clearing.close_day(
            self.ctx, self.day, step=lambda name: steps.append((name, time.perf_counter() - began))
        )
        seconds = time.perf_counter() - began
        self.day += timedelta(days=1)
        return seconds, window, steps


def open_league(town: Town) -> League:
    issuers = [f"issuer-{number:03d}" for number in range(ISSUERS)]
    operators = [f"operator-{number:03d}" for number in range(OPERATORS)]
    roles = [(name, "issuer") for name in issuers] + [(name, "operator") for name in operators]
    with town.ctx.tx() as tx:
        trust.add_members(
            tx,
            [trust.Member(trust.MemberId("league"), "League", "league", None, trust.MemberId("league"), "")]
            + [
                trust.Member(trust.MemberId(name), name, role, None, trust.MemberId(name), "")  # type: ignore[arg-type]
                for name, role in roles
            ],
        )
    clearing.open_positions(
        town.ctx, [(issuer, operator, "CNY") for issuer in issuers for operator in operators]
    )
    ids = b"".join(
        clearing.position_account(issuer, operator, "CNY").bytes
        for issuer in issuers
        for operator in operators
    )
    with town.ctx.tx() as tx:
        tx.execute("analyze")
    return League(town, np.frombuffer(ids, "V16"), Till())


# --- the load of others


@dataclass(frozen=True)
class Load:
    """What others got durable meanwhile. waits_ms: of each batch, from when it was due."""

    per_s: float
    waits_ms: list[float]

    @property
    def p99_ms(self) -> float:
        return sorted(self.waits_ms)[int(len(self.waits_ms) * 0.99)]


def under_load(league: League, seconds: float, do: Callable[[], None], *, flat_out: bool) -> Load:
    """Post for so many seconds, and meanwhile, after a second of them, do something else."""
    engine, stop = league.town.engine, time.perf_counter() + seconds
    lock, done_count, waits = threading.Lock(), [0], list[float]()
    places = threading.Semaphore(8 if flat_out else 10_000)
    size = BATCH if flat_out else LOAD_BATCH
    ready = [
        wire(
            league.till.records(
                league.till.choose(league.town.wallets, size), league.till.choose(league.positions, size)
            )
        )
        for _ in range(int(seconds * (200_000 if flat_out else LOAD_PER_S) / size) + 1)
    ]

    def answered(due: float, count: int) -> Callable[[object], None]:
        def done(answer: object) -> None:
            assert not isinstance(answer, BaseException), answer
            now = time.perf_counter()
            with lock:
                waits.append((now - due) * 1_000)
                if now <= stop:
                    done_count[0] += count
            places.release()

        return done

    def send() -> None:
        due = time.perf_counter()
        for data in ready:
            places.acquire()
            now = time.perf_counter()
            if now >= stop:
                places.release()
                return
            if flat_out:
                due = now
            elif due > now:
                time.sleep(due - now)
            engine.submit(ledger.read_batch(data, count_max=BATCH), answered(due, size))
            due += size / LOAD_PER_S

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(1)
    do()
    sender.join()
    time.sleep(max(0.0, stop - time.perf_counter()))
    engine.settle()
    return Load(done_count[0] / seconds, waits)


# --- measuring


def plain_sum_s(league: League, window: clearing.Window) -> float:
    """How long PostgreSQL takes to count and add up a window's items by position, and nothing else."""
    [mark] = window.watermark
    began = time.perf_counter()
    with league.ctx.tx() as tx:
        rows = tx.execute(
            "select credit_account, count(*), sum(amount) from ledger.transfers"
            " where partition = 0 and block > %s and block <= %s and code = 2 group by 1",
            (mark.after_block, mark.up_to_block),
        ).fetchall()
    took = time.perf_counter() - began
    assert sum(row[1] for row in rows) == window.items
    return took


def measure(league: League, items: int, report: dict[str, dict[str, object]], names: set[str]) -> None:
    league.ride(BATCH)
    league.close()  # everything is warm
    if names & {"close_million_s", "followed_per_s"}:
        seconds: list[float] = []
        plain: list[float] = []
        for _ in range(3):
            league.ride(items - running.FOLLOW_TRANSFERS + 1)
            book(league.town, league.fares(running.FOLLOW_TRANSFERS - 1))  # what nobody has followed yet
            took, window, steps = league.close()
            assert window.items == items, window.items
            seconds.append(took)
            plain.append(plain_sum_s(league, window))
            told = ", ".join(f"{name} {at:.2f}" for name, at in (steps[0], steps[-2], steps[-1]))
            print(
                f"{items:,} items closed in {took:.2f} s ({told}); adding them up alone {plain[-1]:.2f} s",
                flush=True,
            )
        put(report, "close_million_s", statistics.median(seconds), "s", statistics.median(plain))
    if names & {"posting_while_closing", "posting_p99_ms"}:
        pairs: list[tuple[Load, Load]] = []
        for _ in range(3):
            league.ride(items // 5)
            alone = under_load(league, 6, lambda: None, flat_out=False)
            beside = under_load(league, 6, lambda: told_close(league), flat_out=False)
            pairs.append((alone, beside))
        ratio = statistics.median(beside.per_s / alone.per_s for alone, beside in pairs)
        put(
            report,
            "posting_while_closing",
            ratio,
            "of undisturbed",
            statistics.median(alone.per_s for alone, _ in pairs),
            ratio,
        )
        put(
            report,
            "posting_p99_ms",
            statistics.median(beside.p99_ms for _, beside in pairs),
            "ms",
            statistics.median(alone.p99_ms for alone, _ in pairs),
        )
    if "posting_flat_out" in names:
        loads: list[tuple[Load, Load]] = []
        for _ in range(3):
            league.ride(items // 5)
            alone = under_load(league, 6, lambda: None, flat_out=True)
            beside = under_load(league, 6, lambda: told_close(league), flat_out=True)
            loads.append((alone, beside))
        ratio = statistics.median(beside.per_s / alone.per_s for alone, beside in loads)
        put(
            report,
            "posting_flat_out",
            ratio,
            "of undisturbed",
            statistics.median(alone.per_s for alone, _ in loads),
            ratio,
        )
    if "followed_per_s" in names:
        booked = book(league.town, league.fares(items // 2))
        began = time.perf_counter()
        followed = clearing.follow(league.ctx)
        put(
            report,
            "followed_per_s",
            followed / (time.perf_counter() - began),
            "transfers/s",
            booked.per_second,
        )


def told_close(league: League) -> None:
    took, window, _ = league.close()
    print(f"under load: {window.items:,} items closed in {took:.2f} s", flush=True)


def put(
    report: dict[str, dict[str, object]],
    name: str,
    value: float,
    unit: str,
    baseline: float | None = None,
    ratio: float | None = None,
) -> None:
    def rounded(number: float | None) -> float | None:
        return None if number is None else round(number) if abs(number) >= 1_000 else round(number, 3)

    if ratio is None and baseline:
        ratio = value / baseline
    report[name] = {
        "value": rounded(value),
        "unit": unit,
        "baseline": rounded(baseline),
        "ratio": rounded(ratio),
    }


def measure_elsewhere(file: str, report: dict[str, dict[str, object]], *, short: bool) -> None:
    """Run another benchmark beside this one, let it speak, and take the figures of its last line."""
    words = [sys.executable, str(Path(__file__).with_name(file)), *(["--short"] if short else [])]
    last = ""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None, "it was asked for"
        try:
            for line in run.stdout:
                last = line
                if not line.startswith("{"):
                    print(f"{file}: {line}", end="", flush=True)
        except BaseException:
            run.send_signal(signal.SIGINT)  # so that its server is stopped, too
            raise
    if run.returncode:
        sys.exit(f"{file} ended with {run.returncode}; nothing of it is told.")
    report.update(json.loads(last))


def curve(league: League) -> None:
    for items in (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000):
        rate = league.ride(items - running.FOLLOW_TRANSFERS + 1)
        book(league.town, league.fares(running.FOLLOW_TRANSFERS - 1))
        took, window, steps = league.close()
        print(
            f"{window.items:>12,} items: closed in {took:.2f} s, decided after {steps[0][1]:.2f} s;"
            f" booked and followed at {rate:,.0f}/s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="fewer items: a minute instead of five")
    parser.add_argument("--curve", action="store_true", help="close times up to ten million items")
    parser.add_argument("--only", default="", help="these figures alone, parted by commas")
    options = parser.parse_args()
    names: set[str] = set(options.only.split(",")) if options.only else set(NAMES)
    if names - set(NAMES):
        sys.exit(f"There is no {', '.join(sorted(names - set(NAMES)))}. Choose from {', '.join(NAMES)}.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped in any case
    collect_rarely()
    report: dict[str, dict[str, object]] = {}
    if options.curve or names & set(CLOSING):
        close_windows(report, names, short=options.short, only_curve=options.curve)
    if not options.curve:
        for file in sorted({ELSEWHERE[name] for name in names & set(ELSEWHERE)}):
            measure_elsewhere(file, report, short=options.short)
    print(json.dumps({name: report[name] for name in NAMES if name in report and name in names}))


def close_windows(
    report: dict[str, dict[str, object]], names: set[str], *, short: bool, only_curve: bool
) -> None:
    """Whatever is measured on a town of this file's own."""
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    try:
        with (
            EmbeddedServer(home) as server,
            a_town(server.url, "clearing", rooms=("store", "trust", "ledger", "clearing")) as town,
        ):
            town.ctx = replace(town.ctx, clock=FixedClock(datetime(2026, 11, 17, 12, tzinfo=UTC)))
            league = open_league(town)
            if only_curve:
                curve(league)
            else:
                measure(league, 200_000 if short else 1_000_000, report, names)
            with town.ctx.tx() as tx:
                wrong = clearing.verify_figures(tx)
            assert wrong == [], wrong[:3]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print("every item is in one window or open; all books verified")


if __name__ == "__main__":
    main()
