"""How long the statements of a whole league take, and how much memory.

    python benchmarks/statements.py [--short] [--items N]

352 members that each issue and operate, 30 partners each, one business day of 10,000,000 items (--short: 300,000) in
books of its own, durable and folded; then the day is closed. A process of its own writes, for each member, the
statement as PDF, CSV and Parquet, and its items as Parquet: each item twice, once for either side.

- ``statements_ten_million_s``: until all files are written, every position checked against the ledger. Baseline:
  the same rows of the journal by binary COPY, thrown away, in the same run; the mean of before and after.
- ``memory_mb``: the peak of that process. Baseline: the same process over a day of a tenth as many items.

The last line is JSON: name -> {value, unit, baseline, ratio}.
"""

import argparse
import json
import multiprocessing
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from _ledger_books import BATCH, Till, Town, an_engine, book, make_database, wire
from hansa import clearing, ledger, reports, trust
from hansa.apps.rooms import SQL_FOLDERS
from hansa.ledger import TransferCode
from hansa.store import Context, EmbeddedServer, open_context

MEMBERS, PARTNERS = 352, 30
FULL, SHORT = 10_000_000, 300_000
WIRES = 100


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped in any case
    options = arguments()
    items: int = options.items or (SHORT if options.short else FULL)
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    began = time.perf_counter()
    try:
        with EmbeddedServer(home) as server:
            url = make_database(server.url, "statements", list(SQL_FOLDERS.values()))
            with open_context(url) as ctx:
                day = ctx.clock.now().date() - timedelta(days=3)
                found_league(ctx)
                small = a_day(ctx, day, items // 10, "small")
                large = a_day(ctx, day + timedelta(days=1), items, "large")
            _, little_mb, _ = written(url, small, home / "small")
            before = read_raw(url, large)
            seconds, peak_mb, lines = written(url, large, home / "large")
            after = read_raw(url, large)
            size_mb = sum(file.stat().st_size for file in (home / "large").iterdir()) / 1e6
    finally:
        shutil.rmtree(home, ignore_errors=True)
    raw = (before + after) / 2
    print(
        f"{lines:,} lines of {items:,} items for {MEMBERS} members in {seconds:.1f} s, {size_mb:,.0f} MB of files; "
        f"COPY alone {before:.1f} s and {after:.1f} s; {time.perf_counter() - began:,.0f} s with the making"
    )
    figures = {
        "statements_ten_million_s": figure(seconds, "s", raw),
        "memory_mb": figure(peak_mb, "MB", little_mb),
    }
    print(json.dumps(figures))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help=f"a day of {SHORT:,} items")
    parser.add_argument("--items", type=int, help="how many items the day has")
    return parser.parse_args()


def figure(value: float, unit: str, baseline: float) -> dict[str, object]:
    return {
        "value": round(value, 1),
        "unit": unit,
        "baseline": round(baseline, 1),
        "ratio": round(value / baseline, 2),
    }


def member(number: int) -> str:
    return f"city-{number:03d}"


def pairs() -> list[tuple[str, str, str]]:
    """Whose riders ride with whom: at home, and with those who come next."""
    return [
        (member(one), member((one + step) % MEMBERS), "CNY")
        for one in range(MEMBERS)
        for step in range(PARTNERS)
    ]


def found_league(ctx: Context) -> None:
    """Members, positions, and for each member an account from which fares come."""
    names = [member(number) for number in range(MEMBERS)]
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                trust.Member(
                    trust.MemberId(name),
                    name.title(),
                    "league" if name == clearing.LEAGUE else "city",
                    None,
                    trust.MemberId(name),
                    f"HNSACNBJXXX/{number:010d}",
                )
                for number, name in enumerate([*names, clearing.LEAGUE])
            ],
        )
    clearing.open_positions(ctx, pairs())
    ledger.open_accounts(
        ctx,
        [
            ledger.Account(source_of(name), "CNY", ledger.AccountCode.OPENING, f"riders of {name}")
            for name in names
        ],
    )


def source_of(name: str) -> ledger.AccountId:
    return clearing.position_account(name, "riders", "CNY")


def a_day(ctx: Context, day: date, items: int, name: str) -> str:
    """Book so many items and close the day: fares, of a hundred three corrections and two subsidies."""
    since = time.perf_counter()
    till, rng = Till(), np.random.default_rng(items)
    nothing = np.empty(0, "V16")
    engine = an_engine(ctx, MEMBERS)
    engine.start()
    town = Town(ctx, nothing, nothing, nothing, engine, MEMBERS)
    among = pairs()
    positions = ids(clearing.position_account(*pair) for pair in among)
    sources = ids(source_of(issuer) for issuer, _, _ in among)
    left = items
    while left:
        wires: list[bytes] = []
        while left and len(wires) < WIRES:
            count = min(BATCH, left)
            left -= count
            which = rng.integers(0, len(among), count)
            records = till.records(sources[which], positions[which])
            odd = rng.random(count)
            records["code"] = np.where(odd < 0.02, int(TransferCode.SUBSIDY), int(TransferCode.FARE))
            back = odd > 0.97
            records["code"][back] = int(TransferCode.FARE_CORRECTION)
            records["amount_low"][back] = 50
            records["debit"][back], records["credit"][back] = positions[which[back]], sources[which[back]]
            wires.append(wire(records))
        book(town, wires)
    engine.stop()
    with ctx.tx() as tx:
        tx.execute("analyze")
    booked = time.perf_counter()
    closed = clearing.close_day(ctx, day)
    assert closed.items == items, closed
    print(
        f"{name} day: {items:,} items booked in {booked - since:.0f} s, closed in "
        f"{time.perf_counter() - booked:.1f} s",
        flush=True,
    )
    return closed.window_id


def ids(accounts: Iterable[ledger.AccountId]) -> Any:
    return np.frombuffer(b"".join(account.bytes for account in accounts), "V16")


def written(url: str, window_id: str, folder: Path) -> tuple[float, float, int]:
    """Write a day's statements in a process of its own: seconds, its peak memory in MB, lines of items."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(write, (url, window_id, folder))


def write(url: str, window_id: str, folder: Path) -> tuple[float, float, int]:
    with open_context(url) as ctx:
        since = time.perf_counter()
        steps: dict[str, float] = {}

        def watch(step: str, _: int) -> None:
            steps[step] = time.perf_counter() - since

        made = reports.write_statements(ctx, window_id, folder, watch=watch)
        seconds = time.perf_counter() - since
    print(", ".join(f"{step} after {at:.1f} s" for step, at in steps.items()), flush=True)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, made.lines


def read_raw(url: str, window_id: str) -> float:
    """The same rows by one COPY, as they lie, thrown away."""
    with open_context(url) as ctx, ctx.tx() as tx:
        (mark,) = clearing.get_window(tx, window_id).watermark
        since = time.perf_counter()
        with (
            tx.cursor() as cursor,
            cursor.copy(
                "copy (select block << 16 | position, transfer_id, debit_account, credit_account, amount::bigint, code,"
                " event_at, booked_at, reference from ledger.transfers"
                " where partition = 0 and block > %s and block <= %s) to stdout (format binary)",
                (mark.after_block, mark.up_to_block),
            ) as copied,
        ):
            for _ in copied:
                pass
        return time.perf_counter() - since


if __name__ == "__main__":
    main()
