"""How long it takes to hold a member's own file of a million rows against ours, and how much memory.

    python benchmarks/reconciliation.py [--short] [--items N]

One member with one business day of 1,000,000 items (--short: 50,000) in books of its own, closed. Its own file is CSV:
the same items, every thousandth with another amount and every thousandth left out. A process of its own reads it.

- ``file_million_s``: until the file is read, matched by id and kept, and the queue is known. Baseline: the same file
  read by Python's csv module alone, thrown away.
- ``proof_million_s``: the proof of the same day. Its items are no rides, so it names what it may and counts the rest.
  Baseline: the same rows of the journal read by the column, thrown away.
- ``memory_mb``: the peak of that process. Baseline: the same process over a day of a tenth as many items.

The last line is JSON: name -> {value, unit, baseline, ratio}.
"""

import argparse
import csv
import json
import multiprocessing
import resource
import shutil
import signal
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import statements
from _ledger_books import make_database
from hansa import clearing, ledger, reconciliation
from hansa.apps.rooms import SQL_FOLDERS
from hansa.kernel import Money
from hansa.reconciliation.proof import uuids
from hansa.store import EmbeddedServer, open_context

FULL, SHORT = 1_000_000, 50_000

PROFILE = """
member_id = "city-000"
currencies = ["CNY"]
id_is = "transfer"
columns = { id = "id", amount = "amount", currency = "currency", time = "time" }

[[rules]]
name = "same id"
by = "id"
days = 31

[[rules]]
name = "near"
by = "amount"
tolerance_minor = 1
days = 31
"""

Figures = tuple[float, float, float, float, float]
"""Seconds for the file, for csv alone, for the proof, for the journal alone; peak memory in MB."""


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped in any case
    options = arguments()
    items: int = options.items or (SHORT if options.short else FULL)
    statements.MEMBERS = statements.PARTNERS = 1
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home) as server:
            url = make_database(server.url, "reconciliation", list(SQL_FOLDERS.values()))
            with open_context(url) as ctx:
                day = ctx.clock.now().date() - timedelta(days=3)
                statements.found_league(ctx)
                statements.a_day(ctx, day, items // 10, "small")
                statements.a_day(ctx, day + timedelta(days=1), items, "large")
                with ctx.tx() as tx:
                    reconciliation.set_profile(tx, PROFILE, by="bench", at=ctx.clock.now())
            *_, little_mb = apart(url, day, home / "small.csv")
            file_s, csv_s, proof_s, journal_s, peak_mb = apart(
                url, day + timedelta(days=1), home / "large.csv"
            )
    finally:
        shutil.rmtree(home, ignore_errors=True)
    figures = {
        "file_million_s": statements.figure(file_s, "s", csv_s),
        "proof_million_s": statements.figure(proof_s, "s", journal_s),
        "memory_mb": statements.figure(peak_mb, "MB", little_mb),
    }
    print(json.dumps(figures))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help=f"a day of {SHORT:,} items")
    parser.add_argument("--items", type=int, help="how many items the day has")
    return parser.parse_args()


def apart(url: str, day: date, path: Path) -> Figures:
    """Write the member's file, and read it in a process of its own."""
    write_file(url, day, path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(compare, (url, day, path))


def write_file(url: str, day: date, path: Path) -> None:
    """The member's own list: of each thousand items one has another amount and one is left out."""
    at = 0
    with open_context(url) as ctx, ctx.tx() as tx, path.open("w", newline="") as file:
        (mark,) = clearing.get_window(tx, clearing.day_window(day)).watermark
        account = clearing.position_account("city-000", "city-000", "CNY").bytes
        writer = csv.writer(file)
        writer.writerow(["id", "amount", "currency", "time"])
        for rows in ledger.read_columns(tx, after_block=mark.after_block, to_block=mark.up_to_block):
            columns = (rows["amount"].tolist(), uuids(rows["credit"]), rows["code"].tolist())
            for transfer, minor, credit, code in zip(uuids(rows["transfer_id"]), *columns, strict=True):
                if code in (ledger.TransferCode.CLEARED, ledger.TransferCode.FEE):
                    continue
                at += 1
                if at % 1_000 == 1:
                    continue
                signed = minor if credit.bytes == account else -minor
                signed += 50_000 * (at % 1_000 == 2)
                writer.writerow([transfer, Money(signed, "CNY").decimal(), "CNY", f"{day}T12:00:00Z"])


def compare(url: str, day: date, path: Path) -> Figures:
    """The file and the proof, each with its baseline."""
    since = time.perf_counter()
    with path.open(newline="") as file:
        for _ in csv.reader(file):
            pass
    alone = time.perf_counter() - since
    with open_context(url) as ctx:
        since = time.perf_counter()
        made = reconciliation.read_file(ctx, path, "city-000", day, day, name=path.name, by="bench")
        file_s = time.perf_counter() - since
        print(
            f"{made.file.theirs:,} rows, {made.file.ours:,} items, {made.rules}; left: {made.left}",
            flush=True,
        )
        with ctx.tx() as tx:
            (mark,) = clearing.get_window(tx, clearing.day_window(day)).watermark
            since = time.perf_counter()
            for _ in ledger.read_columns(tx, after_block=mark.after_block, to_block=mark.up_to_block):
                pass
            journal_s = time.perf_counter() - since
        since = time.perf_counter()
        proof = reconciliation.prove_day(ctx, day, by="bench")
        proof_s = time.perf_counter() - since
    print(", ".join(f"{step.name.value} {step.verdict.value}" for step in proof.steps), flush=True)
    return file_s, alone, proof_s, journal_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
