"""How many transfers a second the books take, durably, on this machine.

    python benchmarks/ledger.py [--short] [--only rows,of_copy] [--plot FILE.svg] [--profile]

Starts a PostgreSQL of its own in a temporary folder, fsync on, and hands batches to an engine as they travel between
processes, as bytes, eight in flight; the time ends when all are durable and folded into every account and statement.

- ``rows``: batches of 8,192 over 10,000 wallets that must not be overdrawn, paying 200 operators. Its baseline is our
  own plain ledger in PL/pgSQL: one transaction for each transfer, two rows locked, limit checked, called straight
  through libpq over one connection and over eight; the better of the two.
- ``hot_account``: the same, all paying one account. Baseline: ``rows``.
- ``of_copy``: ``rows`` again; its baseline is raw binary COPY of the very same rows, 8,192 at a time, one commit
  each, into a table of the same columns and indexes over one connection.
- ``two_phase``: a hold and its posting for each; both are counted. Baseline: ``rows``.
- ``ten_million_accounts``: money put on and spent from any of 10,000,000 wallets (--short: 100,000), all in memory.
  Baseline: the same over 10,000. Settled here means: in the accounts' rows or, with many, in runs; how long the fold of
  those runs takes then is told beside it.
- ``http_single``, ``http_single_p99_ms``: one transfer for each request, 64 connections, a client of our own in another
  process on the same machine. Baselines: the plain ledger without any HTTP; the median request.
- ``http_hundred``: transfers a second in requests of 100, 64 connections. Baseline: ``http_single``.
- ``bytes_per_transfer``: journal, blocks, tree and statements with all indexes. Baseline: the plain ledger's transfers.
- ``memory_per_account_bytes``: of the engine's memory, with the accounts of ``ten_million_accounts``.
- ``restart_s``: until an engine has folded what another left, and has all those accounts in memory.

Rounds are interleaved, so that a noisy neighbour disturbs all alike; medians are given, and the median of the rounds'
own ratios. At the end all books are verified. The last line is JSON: name -> {value, unit, baseline, ratio}.
"""

import argparse
import gc
import json
import math
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

from _ledger_books import (
    BATCH,
    OPERATORS,
    CopyOnly,
    Ids,
    PlainLedger,
    Till,
    Town,
    a_town,
    an_engine,
    book,
    one,
    resident_bytes,
    sampled,
)
from hansa import ledger, trust
from hansa.apps.engines import collect_rarely
from hansa.apps.rooms import ROOMS_WITH_TABLES
from hansa.ledger.writer import Writer
from hansa.store import EmbeddedServer, open_context
from hansa.trust import tlog

NAMES = (
    "rows",
    "hot_account",
    "of_copy",
    "two_phase",
    "bytes_per_transfer",
    "ten_million_accounts",
    "memory_per_account_bytes",
    "restart_s",
    "http_single",
    "http_single_p99_ms",
    "http_hundred",
)
BOOKS, MANY, HTTP = set(NAMES[:5]), set(NAMES[5:8]), set(NAMES[8:])
PLAIN = ("plain ledger, 1 connection", "plain ledger, 8 connections")


@dataclass(frozen=True)
class Size:
    """How much is done. batches, singles, hundreds: of each round. tail: batches left for a restart."""

    rounds: int
    batches: int
    plain: int
    many: int
    restarts: int
    tail: int
    singles: int
    hundreds: int
    curve: int


SHORT = Size(5, 8, 300, 100_000, 3, 3, 5_000, 300, 1_000_000)
FULL = Size(5, 50, 8_000, 10_000_000, 3, 24, 40_000, 3_000, 10_000_000)


@dataclass
class Seen:
    """Figures by name, one for each round."""

    rounds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, value: float) -> None:
        self.rounds.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        return statistics.median(self.rounds[name])

    def told(self, names: tuple[str, ...] | None = None) -> str:
        """The last figure of each."""
        return ", ".join(
            f"{name} {values[-1]:,.0f}" for name, values in self.rounds.items() if not names or name in names
        )


@dataclass
class Report:
    """What is printed in the end."""

    figures: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])

    def put(
        self, name: str, value: float, unit: str, baseline: float | None = None, ratio: float | None = None
    ) -> None:
        def rounded(number: float | None) -> float | None:
            if number is None or abs(number) >= 1_000:
                return None if number is None else round(number)
            return round(number, 3 if abs(number) < 10 else 1)

        if ratio is None and baseline:
            ratio = value / baseline
        self.figures[name] = {
            "value": rounded(value),
            "unit": unit,
            "baseline": rounded(baseline),
            "ratio": rounded(ratio),
        }

    def compare(self, seen: Seen, name: str, unit: str, baseline: str, as_name: str = "") -> None:
        ratios = [mine / other for mine, other in zip(seen.rounds[name], seen.rounds[baseline], strict=True)]
        self.put(as_name or name, seen.median(name), unit, seen.median(baseline), statistics.median(ratios))


def main() -> None:
    options = arguments()
    size = SHORT if options.short else FULL
    names: set[str] = set(options.only.split(",")) if options.only else set(NAMES)
    if names - set(NAMES):
        sys.exit(f"There is no {', '.join(sorted(names - set(NAMES)))}. Choose from {', '.join(NAMES)}.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped in any case
    report, began = Report(), time.perf_counter()
    collect_rarely()  # as whoever keeps an engine does
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home) as server:
            if options.profile:
                profile(server.url, size)
                return
            if options.plot:
                options.plot.write_text(svg(cost_curve(server.url, size)))
                print(f"the curve is in {options.plot}")
                if not options.only:
                    names = set()
            for wanted, measure in (
                (BOOKS | {"http_single"}, measure_books),
                (MANY, measure_many),
                (HTTP, measure_http),
            ):
                if names & wanted:
                    since = time.perf_counter()
                    measure(server.url, size, names, report)
                    print(f"{measure.__name__}, verified: {time.perf_counter() - since:.0f} s", flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"all books verified; peak memory {peak:,.0f} MB with all batches; {time.perf_counter() - began:,.0f} s"
    )
    print(
        json.dumps({name: report.figures[name] for name in NAMES if name in report.figures and name in names})
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="about a minute instead of half an hour")
    parser.add_argument("--only", default="", help="these figures alone, parted by commas")
    parser.add_argument("--plot", type=Path, help="draw the cost of a transfer as the journal grows")
    parser.add_argument("--profile", action="store_true", help="tell where the time of `rows` goes")
    return parser.parse_args()


# --- the books


def measure_books(url: str, size: Size, names: set[str], report: Report) -> None:
    """``rows`` and all that is measured beside it."""
    seen, till = Seen(), Till()
    with ExitStack() as stack:
        uniform = stack.enter_context(a_town(url, "uniform"))
        plain = PlainLedger(uniform)
        stack.callback(plain.close)
        copied = CopyOnly(uniform)
        stack.callback(copied.close)
        runs: dict[str, Callable[[], None]] = {}

        def rows() -> None:
            before = copied.last_block()
            seen.add("rows", book(uniform, till.fares(uniform, size.batches)).per_second)
            if "of_copy" in names:
                blocks = copied.read(before)
                seen.add("copy", size.batches * BATCH / copied.write(blocks))

        def plain_ledger() -> None:
            seen.add(PLAIN[0], plain.per_second(1, size.plain))
            seen.add(PLAIN[1], plain.per_second(8, size.plain * 3))

        runs["rows"] = rows
        if names & {"rows", "bytes_per_transfer", "http_single"}:
            runs["plain"] = plain_ledger
        if "hot_account" in names:
            hot = stack.enter_context(a_town(url, "hot"))
            runs["hot_account"] = lambda: seen.add(
                "hot_account", book(hot, till.fares(hot, size.batches, hot.operators[:1])).per_second
            )
        if "two_phase" in names:
            holds = stack.enter_context(a_town(url, "holds"))
            runs["two_phase"] = lambda: seen.add(
                "two_phase", book(holds, till.holds_and_postings(holds, size.batches)).per_second
            )
        if not names & BOOKS:
            del runs["rows"]
        in_rounds(size.rounds, runs, seen)
        if "plain" in runs:
            best = max(PLAIN, key=seen.median)
            report.put("plain", seen.median(best), "transfers/s")
            print(f"baseline of rows: {best}, {seen.median(best):,.0f}/s")
            if "rows" in runs:
                report.compare(seen, "rows", "transfers/s", best)
        if "of_copy" in names:
            report.compare(seen, "rows", "transfers/s", "copy", "of_copy")
        for name in names & {"hot_account", "two_phase"}:
            report.compare(seen, name, "transfers/s", "rows")
        if "bytes_per_transfer" in names:
            report.put("bytes_per_transfer", bytes_per_transfer(uniform), "bytes", plain.bytes_per_transfer())


def in_rounds(rounds: int, runs: dict[str, Callable[[], None]], seen: Seen) -> None:
    for number in range(rounds):
        for run in runs.values():
            run()
        print(f"round {number + 1}, per second: {seen.told()}", flush=True)


def bytes_per_transfer(town: Town) -> float:
    with town.ctx.tx() as tx:
        total = one(
            tx.execute(
                "select sum(pg_total_relation_size(name)) from unnest(array['ledger.transfers', 'ledger.blocks',"
                " 'ledger.nodes', 'ledger.entries', 'ledger.folds', 'ledger.fold_totals']::regclass[]) as u (name)"
            )
        )
    return float(total) / town.count()


# --- many accounts


def measure_many(url: str, size: Size, names: set[str], report: Report) -> None:
    seen, till = Seen(), Till()
    left, fold_s = list[float](), list[float]()
    with (
        a_town(url, "few", funded=False) as few,
        a_town(url, "many", wallets=size.many, funded=False) as many,
    ):
        gc.collect()
        gc.freeze()  # ten million accounts are not to be looked through for garbage
        if "memory_per_account_bytes" in names:
            memory, seconds = in_another_process(preload_alone, many.ctx.url, size.many)
            report.put("memory_per_account_bytes", memory / size.many, "bytes")
            print(f"{size.many:,} accounts in memory: {memory / 2**20:,.0f} MB, read in {seconds:,.1f} s")
        if "ten_million_accounts" in names:
            earlier: dict[str, list[Ids]] = {"few": [], "many": []}

            def one_round(name: str, town: Town) -> None:
                booked = book(town, till.in_and_out(town, size.batches, earlier[name]))
                seen.add(name, booked.per_second)
                if name == "many":
                    left.append(booked.left)
                    fold_s.append(booked.fold_s)

            for name, town in (("few", few), ("many", many)):  # so that every round has wallets to spend from
                book(town, till.in_and_out(town, 2, earlier[name]))
            in_rounds(
                size.rounds,
                {"few": lambda: one_round("few", few), "many": lambda: one_round("many", many)},
                seen,
            )
            report.compare(seen, "many", "transfers/s", "few", "ten_million_accounts")
            print(
                f"{size.many:,} accounts: {statistics.median(left):,.0f} transfers were not settled when the last was"
                f" durable; settling them took {statistics.median(fold_s):.1f} s"
            )
            began, runs = time.perf_counter(), many.engine.figures.runs
            many.engine.fold()
            print(
                f"{runs} runs were written; folding what is left of them took {time.perf_counter() - began:.1f} s"
            )
        if "restart_s" in names:
            report.put("restart_s", statistics.median(restarts(many, till, size)), "s")


def restarts(town: Town, till: Till, size: Size) -> list[float]:
    """Seconds until an engine stands again after one that folded nothing, each time anew."""
    took: list[float] = []
    for _ in range(size.restarts):
        town.engine.stop()
        wires = [
            bytes(one_wire)
            for one_wire in till.in_and_out(town, size.tail, [])  # money put on wallets
        ]
        in_another_process(leave_a_tail, town.ctx.url, town.size, wires)
        gc.collect()
        town.engine = an_engine(town.ctx, town.size)
        began = time.perf_counter()
        town.engine.start()
        took.append(time.perf_counter() - began)
        print(
            f"restart with {size.tail * BATCH:,} transfers to fold and {town.size:,} accounts: {took[-1]:.2f} s"
        )
    return took


def in_another_process(work: Callable[..., tuple[float, float]], *given: object) -> tuple[float, float]:
    """What the work tells there. It has a process, and so a memory, of its own."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=tell_and_go, args=(theirs, work, given))
    child.start()
    theirs.close()
    told: tuple[float, float] = ours.recv()
    child.join()
    return told


def tell_and_go(
    told: Connection, work: Callable[..., tuple[float, float]], given: tuple[object, ...]
) -> None:
    """Go without a word to the database: what an engine left unfolded stays so."""
    told.send(work(*given))
    told.close()
    os._exit(0)


def preload_alone(url: str, accounts: int) -> tuple[float, float]:
    """Bytes and seconds that it takes to read the accounts in."""
    ctx = open_context(url)
    gc.collect()
    memory, began = resident_bytes(), time.perf_counter()
    with ctx.tx() as tx:
        head = ledger.list_heads(tx)[0]
        writer = Writer(head, tlog.Tree(), accounts_max=accounts)
        assert writer.preload(tx) == accounts
    return resident_bytes() - memory, time.perf_counter() - began


def leave_a_tail(url: str, wallets: int, wires: list[bytes]) -> tuple[float, float]:
    """Book these in an engine that never folds; gives how many it left so."""
    engine = ledger.Engine(
        open_context(url),
        pace=ledger.Pace(
            fold_every_s=math.inf,
            fold_transfers=2**62,
            unfolded_max=2**62,
            accounts_max=wallets + OPERATORS + 1,
        ),
    )
    engine.start()
    for data in wires:
        codes = engine.post(ledger.read_batch(data, count_max=BATCH))
        assert set(codes) == {ledger.ResultCode.CREATED}
    return engine.figures.unfolded, 0


# --- over HTTP


def measure_http(url: str, size: Size, _: set[str], report: Report) -> None:
    rooms = [room for room in ROOMS_WITH_TABLES if room in ("store", "trust", "identity", "ledger")]
    seen = Seen()
    with a_town(url, "http", rooms=rooms) as town:
        with town.ctx.tx() as tx:
            league = trust.MemberId("league")
            trust.add_members(tx, [trust.Member(league, "League", "league", None, league, "BENCH-league")])
            key = trust.create_api_key(tx, league, ["ledger:write"])
        town.engine.stop()
        pairs = "\n".join(
            f"{UUID(bytes=wallet.tobytes())} {UUID(bytes=town.operators[index % len(town.operators)].tobytes())}"
            for index, wallet in enumerate(town.wallets)
        )
        with serving(town) as port:

            def asked(name: str, connections: int, requests: int, transfers: int) -> None:
                told = ask(port, key, pairs, connections, requests, transfers)
                seen.add(name, told["per_second"] * transfers)
                seen.add(f"{name} p50 ms", told["p50_ms"])
                seen.add(f"{name} p99 ms", told["p99_ms"])

            ask(
                port, key, pairs, 64, size.singles // 10, 1
            )  # the server's first requests are not the measured ones
            in_rounds(
                size.rounds,
                {
                    "single": lambda: asked("http_single", 64, size.singles, 1),
                    "hundred": lambda: asked("http_hundred", 64, size.hundreds, 100),
                },
                seen,
            )
    plain = report.figures.pop("plain", None)
    baseline = None if plain is None else float(str(plain["value"]))
    report.put("http_single", seen.median("http_single"), "requests/s", baseline)
    report.put(
        "http_single_p99_ms", seen.median("http_single p99 ms"), "ms", seen.median("http_single p50 ms")
    )
    report.compare(seen, "http_hundred", "transfers/s", "http_single")


@contextmanager
def serving(town: Town) -> Generator[int]:
    """A Hansa in another process; gives its port."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as home:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        server = subprocess.Popen([*program(), "serve", town.ctx.url, home, str(port)])
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                assert server.poll() is None, "the server ended"
                with socket.socket() as door:
                    if door.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
            peak = Path(f"/proc/{server.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
            print(f"peak memory of the server: {int(peak) / 1024:,.0f} MB")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def ask(port: int, key: str, pairs: str, connections: int, requests: int, transfers: int) -> dict[str, float]:
    words = map(str, (port, key, connections, requests, transfers))
    answer = subprocess.run(
        [*program(), "ask", *words], input=pairs, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(answer.stdout)


def program() -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("_ledger_http.py"))]


# --- how the cost grows


def cost_curve(url: str, size: Size) -> list[tuple[int, float]]:
    """(transfers in the journal, microseconds for each more), while it grows."""
    points: list[tuple[int, float]] = []
    till = Till()
    with a_town(url, "curve") as town:
        total = town.count()
        while total < size.curve:
            booked = book(town, till.fares(town, max(4, min(24, total // 4 // BATCH))))
            total += booked.transfers
            points.append((total, 1e6 / booked.per_second))
            print(f"{total:>12,} transfers in the journal: {points[-1][1]:.1f} us for each", flush=True)
    return points


def svg(points: list[tuple[int, float]]) -> str:
    """The points, and a line through the median of each third of a decade."""
    width, height, left, below, right = 640, 320, 56, 44, 44
    first = 10 ** math.floor(math.log10(points[0][0]))
    last = max(10 ** math.ceil(math.log10(points[-1][0]) - 0.05), points[-1][0])
    top = math.ceil(max(cost for _, cost in points) / 5) * 5

    def x(transfers: float) -> float:
        return left + (width - left - right) * math.log(transfers / first) / math.log(last / first)

    def y(cost: float) -> float:
        return height - below - (height - below - 20) * cost / top

    steps: dict[int, list[tuple[int, float]]] = {}
    for transfers, cost in points:
        steps.setdefault(math.floor(3 * math.log10(transfers)), []).append((transfers, cost))
    line = " ".join(
        f"{x(statistics.median(t for t, _ in step)):.1f},{y(statistics.median(c for _, c in step)):.1f}"
        for step in steps.values()
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        "<title>Microseconds for each transfer as the journal grows</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for cost in range(0, top + 1, 5):
        parts.append(f'<path d="M{left} {y(cost):.1f}H{width - right}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y(cost) + 4:.1f}" text-anchor="end">{cost}</text>')
    for power in range(round(math.log10(first)), math.floor(math.log10(last)) + 1):
        at = x(10**power)
        parts.append(f'<path d="M{at:.1f} 20V{height - below}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{height - below + 18}" text-anchor="middle">{10**power:,}</text>'
        )
    parts += [
        f'<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">transfers in the journal</text>',
        f'<text x="{left}" y="13">microseconds for each transfer, durable and folded</text>',
        *(f'<circle cx="{x(t):.1f}" cy="{y(c):.1f}" r="2.5" fill="#9ab"/>' for t, c in points),
        f'<polyline points="{line}" fill="none" stroke="#0a4a7a" stroke-width="2"/>',
        "</svg>\n",
    ]
    return "\n".join(parts)


# --- where the time goes


def profile(url: str, size: Size) -> None:
    till = Till()
    with a_town(url, "uniform") as town:
        book(town, till.fares(town, 6))
        wires = till.fares(town, size.batches)
        before, cpu = server_cpu(town), time.process_time()
        with sampled() as told:
            booked = book(town, wires)
        cpu = time.process_time() - cpu
        after = server_cpu(town)
        print(told())
        print(f"\n{booked.per_second:,.0f}/s under the sampler; CPU for each transfer, in us:")
        print(f"  {'Python':<10} {cpu * 1e6 / booked.transfers:5.2f}")
        for name, seconds in after.items():
            print(f"  {name:<10} {(seconds - before[name]) * 1e6 / booked.transfers:5.2f}")
    print(f"resident {resident_bytes() / 2**20:,.0f} MB")


def server_cpu(town: Town) -> dict[str, float]:
    """Seconds of processor that each of the engine's connections has used, by what it is for."""
    session = town.engine._session
    assert session is not None
    assert session._reads is not None
    assert session._folds is not None
    connections = {f"lane {number}": lane for number, lane in enumerate(session._lanes)}
    connections |= {"reads": session._reads, "folds": session._folds}
    found: dict[str, float] = {}
    for name, connection in connections.items():
        words = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
        found[name] = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return found


if __name__ == "__main__":
    main()
