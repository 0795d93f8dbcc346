"""How many transfers a second the books take, durably, on this machine.

    python benchmarks/ledger.py [--short]

Starts a PostgreSQL of its own in a temporary folder, fsync on, and posts through ``ledger.post``:

- ``rows``: batches of 8,192 over 10,000 wallets that must not be overdrawn, paying 200 operators' accounts.
- ``hot_account``: the same, all paying one account. Its baseline is ``rows``.
- ``one_by_one``: the baseline of ``rows``: one transaction per transfer, one connection, same ``post``.
- ``two_phase``: a hold and its posting for each; counted in transfers. Its baseline is ``rows``.

Rounds are interleaved and the median is given. The books are verified at the end. The last line is JSON:
name -> {value, unit, baseline, ratio}.
"""

import argparse
import gc
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from hansa import ledger
from hansa.apps.rooms import SQL_FOLDERS
from hansa.kernel import fact_id, new_id
from hansa.ledger import (
    Account,
    AccountCode,
    AccountFlag,
    AccountId,
    Transfer,
    TransferCode,
    TransferFlag,
    TransferId,
)
from hansa.store import Context, EmbeddedServer, migrate, open_context

WALLETS = 10_000
OPERATORS = 200
START = datetime(2026, 11, 17, 4, tzinfo=UTC)
FREE = AccountFlag.NONE
NO_OVERDRAFT = AccountFlag.DEBITS_MUST_NOT_EXCEED_CREDITS


@dataclass(frozen=True)
class Town:
    """The accounts money moves between."""

    ctx: Context
    bank: AccountId
    wallets: list[AccountId]
    operators: list[AccountId]


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--short", action="store_true", help="a few seconds instead of a few minutes")
    arguments.add_argument(
        "--profile", action="store_true", help="print where the time of one round of rows goes"
    )
    options = arguments.parse_args()
    rounds, batches, singles = (3, 6, 400) if options.short else (5, 24, 3_000)

    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home) as server:
            migrate(server.url, [SQL_FOLDERS["ledger"]])
            ctx = open_context(server.url)
            try:
                town = found_town(ctx)
                if options.profile:
                    profile(town)
                    return
                measured = measure(town, rounds=rounds, batches=batches, singles=singles)
                with ctx.tx() as tx:
                    findings = ledger.verify(tx)
                    assert findings == [], findings
                    size = tx.execute(
                        "select pg_total_relation_size('ledger.transfers')::float8 / count(*) from ledger.transfers"
                    ).fetchone()
                    print(
                        f"books verified; {size[0]:.0f} bytes per transfer with all indexes" if size else ""
                    )
            finally:
                ctx.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(json.dumps(report(measured)))


def found_town(ctx: Context) -> Town:
    """Open the accounts and give every wallet more than it will spend."""
    bank = AccountId(fact_id(None, "bank"))
    wallets = [AccountId(fact_id(None, "wallet", number)) for number in range(WALLETS)]
    operators = [AccountId(fact_id(None, "operator", number)) for number in range(OPERATORS)]
    accounts = [Account(bank, "CNY", AccountCode.CASH, "bank")]
    accounts += [Account(wallet, "CNY", AccountCode.WALLET, "rider", NO_OVERDRAFT) for wallet in wallets]
    accounts += [Account(operator, "CNY", AccountCode.POSITION, "operator") for operator in operators]
    ledger.open_accounts(ctx, accounts)
    top_ups = [
        Transfer(
            TransferId(fact_id(START, "top-up", number)),
            bank,
            wallet,
            100_000_000,
            "CNY",
            TransferCode.TOP_UP,
            START,
        )
        for number, wallet in enumerate(wallets)
    ]
    for first in range(0, WALLETS, ledger.BATCH_MAX):
        check(ledger.post(ctx, top_ups[first : first + ledger.BATCH_MAX]))
    with ctx.tx() as tx:
        tx.execute("analyze")
    return Town(ctx, bank, wallets, operators)


def fares(town: Town, count: int, payees: Sequence[AccountId]) -> list[Transfer]:
    return [
        Transfer(
            transfer_id=TransferId(new_id()),
            debit=random.choice(town.wallets),
            credit=random.choice(payees),
            amount=random.randint(100, 900),
            currency="CNY",
            code=TransferCode.FARE,
            event_at=START + timedelta(seconds=random.randrange(60_000)),
            reference=UUID(int=random.getrandbits(128)),
        )
        for _ in range(count)
    ]


def holds_and_postings(town: Town, count: int) -> list[list[Transfer]]:
    holds = [
        Transfer(
            transfer_id=TransferId(new_id()),
            debit=random.choice(town.wallets),
            credit=random.choice(town.operators),
            amount=700,
            currency="CNY",
            code=TransferCode.PAYMENT,
            event_at=START,
            flags=TransferFlag.PENDING,
            timeout_s=86_400,
        )
        for _ in range(count)
    ]
    postings = [
        Transfer(
            transfer_id=TransferId(new_id()),
            debit=ledger.AS_PENDING,
            credit=ledger.AS_PENDING,
            amount=random.choice((0, 450)),
            currency="",
            code=0,
            event_at=START,
            flags=TransferFlag.POST_PENDING,
            pending_id=hold.transfer_id,
        )
        for hold in holds
    ]
    return [holds, postings]


def check(results: Sequence[ledger.Result]) -> None:
    refused = [result for result in results if not result.ok]
    assert not refused, refused[:3]


def per_second(town: Town, batches: Sequence[Sequence[Transfer]]) -> float:
    gc.collect()
    gc.freeze()  # the work waiting to be posted is not the ledger's to walk through
    began = time.perf_counter()
    for batch in batches:
        check(ledger.post(town.ctx, batch))
    return sum(len(batch) for batch in batches) / (time.perf_counter() - began)


def measure(town: Town, *, rounds: int, batches: int, singles: int) -> dict[str, float]:
    size = ledger.BATCH_MAX
    runs: dict[str, Callable[[], list[list[Transfer]]]] = {
        "rows": lambda: [fares(town, size, town.operators) for _ in range(batches)],
        "hot_account": lambda: [fares(town, size, town.operators[:1]) for _ in range(batches)],
        "two_phase": lambda: [b for _ in range(max(1, batches // 2)) for b in holds_and_postings(town, size)],
        "one_by_one": lambda: [[fare] for fare in fares(town, singles, town.operators)],
    }
    per_second(town, runs["rows"]()[:2])  # warm the server's cache and psycopg's statements
    seen: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, make in runs.items():
            work = make()
            seen[name].append(per_second(town, work))
        print(
            f"round {number + 1}: "
            + ", ".join(f"{name} {values[-1]:,.0f}/s" for name, values in seen.items())
        )
    return {name: statistics.median(values) for name, values in seen.items()}


def report(measured: dict[str, float]) -> dict[str, dict[str, object]]:
    baselines = {"rows": "one_by_one", "hot_account": "rows", "two_phase": "rows"}
    return {
        name: {
            "value": round(measured[name]),
            "unit": "transfers/s",
            "baseline": round(measured[baseline]),
            "ratio": round(measured[name] / measured[baseline], 2),
        }
        for name, baseline in baselines.items()
    }


def profile(town: Town) -> None:
    import cProfile
    import pstats

    work = [fares(town, ledger.BATCH_MAX, town.operators) for _ in range(8)]
    per_second(town, work[:2])
    profiler = cProfile.Profile()
    profiler.enable()
    speed = per_second(town, work[2:])
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(20)
    print(f"{speed:,.0f}/s under the profiler")


if __name__ == "__main__":
    main()
