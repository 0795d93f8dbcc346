"""How many payments a second Hansa takes over HTTP from end to end, durably, on this machine.

    python benchmarks/wallet.py [--short | --seconds 60] [--connections 64] [--people 2000]

Starts a PostgreSQL of its own in a temporary folder, fsync on and its log as that of a server that has run for a while,
a Hansa in a second process, and all shops in a third. A payment is counted from the shop's request to its answer that
the money is the shop's: HTTP, the idempotency key, policy with limits and a mandate, the ledger's chain between two
members, its outcome and the event that tells of it.

- ``payment_http``: payments a second, so many connections with one request each. Baseline, measured before and after in
  the same run: as many bare HTTP posts of the same size, answered 202 by the same server without any work.
- ``payment_http_p99_ms``: within this 99 % of them were answered. Baseline: 60, the goal.
- ``first_page_kb``, ``first_page_usable_ms``, ``offline_code_ms``: the wallet's pages in Chromium, as
  ``_wallet_pages.py`` says; left out where there is no Chromium.

At the end every payment that was answered is in the books, and they prove themselves. The last line is JSON: name ->
{value, unit, baseline, ratio}.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from hansa import clearing, identity, ledger, payments, trust
from hansa.apps.rooms import migrate_all
from hansa.kernel import Money, fact_id, new_id
from hansa.store import Context, EmbeddedServer, open_context

SHORT_S = 10.0
P99_GOAL_MS = 60
MONEY = 10**9
SHOPS = 20
LOG_FILES = 64

MANDATES = """
insert into approval.mandates (partition, mandate_id, account_id, payee_key, payee_name, member_id, reference, currency,
    each_minor, period, period_minor, asked_at, holds_from, ends_at)
select 0, m, a, 'payee:' || p, p, 'shop-bank', '', 'CNY', 1000000, 'month', 1000000000000, %(at)s, %(at)s, %(end)s
from unnest(%(mandates)s::uuid[], %(accounts)s::uuid[], %(payees)s::text[]) as x (m, a, p)
"""


def main() -> None:
    options = arguments()
    seconds = SHORT_S if options.short else options.seconds
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped in any case
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home / "db") as server:
            migrate_all(server.url)
            with open_context(server.url) as ctx:
                what = open_town(ctx, options.people)
            run_in(server.url)
            with serving(server.url, home) as (port, used_s):
                bare = [ask("post", what, port, options.connections, 5)["per_second"]]
                before_s = used_s()
                told = ask("pay", what, port, options.connections, seconds)
                each_us = (used_s() - before_s) / told["payments"] * 1e6
                print(f"processor time of the server: {each_us:,.0f} microseconds a payment")
                bare.append(ask("post", what, port, options.connections, 5)["per_second"])
            with open_context(server.url) as ctx:
                verify(ctx, told["payments"] - told["refused"])
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(
        f"{told['payments']:,} payments on {options.connections} connections among {options.people:,} people:"
        f" {told['per_second']:,.0f}/s, median {told['p50_ms']:.0f} ms, 99 % within {told['p99_ms']:.0f} ms, the"
        f" slowest {told['most_ms']:.0f} ms; refused {told['refused']};"
        f" bare posts {bare[0]:,.0f}/s before and {bare[1]:,.0f}/s after"
    )
    baseline = sum(bare) / len(bare)
    figures = {
        "payment_http": figure(told["per_second"], "payments/s", baseline),
        "payment_http_p99_ms": figure(told["p99_ms"], "ms", P99_GOAL_MS),
    }
    print(json.dumps(figures | pages()))


def pages() -> dict[str, Any]:
    """What the wallet's pages weigh and how soon they can be used; nothing where no Chromium is installed."""
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        return {}
    lines = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("_wallet_pages.py"))],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    print("\n".join(lines[:-1]))
    return json.loads(lines[-1])


def figure(value: float, unit: str, baseline: float) -> dict[str, Any]:
    return {
        "value": round(value),
        "unit": unit,
        "baseline": round(baseline),
        "ratio": round(value / baseline, 3),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="10 seconds of payments")
    parser.add_argument("--seconds", type=float, default=60, help="of payments; sixty unless given")
    parser.add_argument("--connections", type=int, default=64, help="each with one request under way")
    parser.add_argument("--people", type=int, default=2_000, help="who pay, each with a mandate")
    return parser.parse_args()


def open_town(ctx: Context, people: int) -> list[str]:
    """People with money and a mandate each, shops of another member; lines "key payee account mandate"."""
    now = ctx.clock.now()
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                trust.Member(
                    trust.MemberId(name),
                    name.title(),
                    "league" if name == "league" else "issuer",
                    None,
                    trust.MemberId(name),
                    "IBAN",
                )
                for name in ("card", "shop-bank", "league")
            ],
        )
        key = trust.create_api_key(tx, trust.MemberId("shop-bank"), ["payments:write"], at=now)
        accounts = [
            identity.Account(
                identity.AccountId(fact_id(None, "bench", n)),
                f"Person {n}",
                "card",
                "nowhere",
                "adult",
                "en",
                now - timedelta(days=400),
            )
            for n in range(people)
        ]
        identity.open_accounts(tx, accounts)
        payees = [f"shop-{n % SHOPS}" for n in range(people)]
        mandates = [new_id() for _ in accounts]
        tx.execute(
            MANDATES,
            {
                "at": now - timedelta(days=1),
                "end": now + timedelta(days=300),
                "mandates": mandates,
                "accounts": [one.account_id for one in accounts],
                "payees": payees,
            },
        )
    payments.open_member_accounts(ctx, ["card"], ["CNY"])
    payments.open_wallets(ctx, [(one, "CNY") for one in accounts])
    clearing.open_positions(ctx, [("card", "shop-bank", "CNY")])
    payments.open_payees(
        ctx,
        [
            payments.Payee(payee_id=f"shop-{n}", member_id="shop-bank", name=f"Shop {n}", currency="CNY")
            for n in range(SHOPS)
        ],
    )
    payments.top_up(
        ctx,
        [
            payments.TopUp(new_id(), one.account_id, trust.MemberId("card"), Money(MONEY, "CNY"), now)
            for one in accounts
        ],
    )
    return [
        f"{key} {payee} {one.account_id} {mandate}"
        for payee, one, mandate in zip(payees, accounts, mandates, strict=True)
    ]


def run_in(url: str) -> None:
    """Bring the database's log to where a server is that has run for a while: its files are there to be used again.

    A new server makes and zeroes each file of 16 MB when it comes to it, for which all commits wait, and longer
    where others write to the same disk. From its first checkpoint on it takes those that it needs no more.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(LOG_FILES):
            connection.execute("select pg_logical_emit_message(false, 'benchmark', ''), pg_switch_wal()")
        connection.execute("checkpoint")


@contextmanager
def serving(url: str, home: Path) -> Generator[tuple[int, Callable[[], float]]]:
    """A Hansa in another process; gives its port, and a look at the processor time it has used so far."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = subprocess.Popen([*program(), "serve", url, str(home), str(port)])
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert server.poll() is None, "the server ended"
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, lambda: _used_s(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def _used_s(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def ask(how: str, what: list[str], *words: object) -> dict[str, Any]:
    answer = subprocess.run(
        [*program(), how, *map(str, words)],
        input="\n".join(what),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(answer.stdout)


def verify(ctx: Context, answered: int) -> None:
    """Every payment that was answered is in the books, payees have what was captured, and the books are whole."""
    payments.finish(ctx)
    with ctx.tx() as tx:
        row = tx.execute(
            "select count(*), coalesce(sum(captured_minor), 0) from payments.steps where state = 'captured'"
        ).fetchone()
        assert row is not None and row[0] >= answered, (row, answered)
        accounts = [payments.merchant_account(f"shop-{n}", "CNY") for n in range(SHOPS)]
        found = ledger.balances(tx, accounts)
        assert sum(one.credit_minor for one in found.values()) == row[1]
        events = tx.execute("select count(*) from store.outbox where topic = 'webhooks'").fetchone()
        assert events is not None
        assert ledger.trial_balance(tx).is_even
        assert ledger.verify(tx) == []
    print(f"{row[0]:,} payments in the books, {events[0]:,} events to be told; the books are whole")


def program() -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("_wallet_clients.py"))]


if __name__ == "__main__":
    main()
