"""How many payments between members a second the hub takes from end to end, durably, on this machine.

    python benchmarks/hub.py [--short | --minutes 10] [--in-flight 300] [--members 20]

Starts a PostgreSQL of its own in a temporary folder, fsync on, a Hansa in a second process, and all members in a third.
A payment is counted from its payer's request to the payer's notice that it is committed: prepare over HTTP, the hold
within the payer's headroom, the notice brought to the payee over HTTP, its fulfilment over HTTP, the posting, the
positions of both, and the notices brought to both. Each request carries one payment.

- ``hub_path``: payments a second, so many in flight at any time. Baseline, measured before and after in the same run:
  as many bare HTTP posts of the same size answered 202 by the same server without any work; a payment takes two.
- ``hub_path_over_1s_percent``: payments that took more than a second, and those that never ended, of all. Baseline: 1,
  what Mojaloop publishes for itself.

At the end positions sum to zero and the books are verified. The last line is JSON: name -> {value, unit,
baseline, ratio}.
"""

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hansa import hub, ledger, trust
from hansa.apps.rooms import migrate_all
from hansa.kernel import new_id
from hansa.store import Context, EmbeddedServer, open_context

COVER = 10**12
SHORT_S = 20.0


def main() -> None:
    options = arguments()
    seconds = SHORT_S if options.short else options.minutes * 60
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped in any case
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home / "db") as server:
            migrate_all(server.url)
            with open_context(server.url) as ctx:
                keys = open_members(ctx, options.members)
            members_port = free_port()
            with serving(server.url, home, members_port) as port:
                bare = [ask("post", keys, port, 32, 5)["per_second"]]
                told = ask("pay", keys, port, members_port, options.in_flight, seconds)
                bare.append(ask("post", keys, port, 32, 5)["per_second"])
            with open_context(server.url) as ctx:
                verify(ctx, told["payments"], books=seconds <= 120)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(
        f"{told['payments']:,} payments, {options.in_flight} in flight among {options.members} members:"
        f" {told['per_second']:,.0f}/s, median {told['p50_ms']:.0f} ms, 99 % within {told['p99_ms']:.0f} ms,"
        f" the slowest {told['most_ms']:.0f} ms; refused {told['refused']}, without an end {told['left']};"
        f" bare posts {bare[0]:,.0f}/s before and {bare[1]:,.0f}/s after"
    )
    print(f"payments a second in each ten seconds: {', '.join(map(str, told['each_10_s']))}")
    baseline = sum(bare) / len(bare)
    percent = told["over_1s_percent"]
    print(
        json.dumps(
            {
                "hub_path": {
                    "value": round(told["per_second"]),
                    "unit": "payments/s",
                    "baseline": round(baseline),
                    "ratio": round(told["per_second"] / baseline, 3),
                },
                "hub_path_over_1s_percent": {
                    "value": round(percent, 4),
                    "unit": "%",
                    "baseline": 1,
                    "ratio": round(percent, 4),
                },
            }
        )
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="20 seconds of payments")
    parser.add_argument("--minutes", type=float, default=10, help="of payments; ten unless given")
    parser.add_argument("--in-flight", type=int, default=300, help="payments under way at any time")
    parser.add_argument("--members", type=int, default=20, help="who pay one another")
    return parser.parse_args()


def open_members(ctx: Context, count: int) -> dict[str, str]:
    """Members with cover and cap enough, each with a key."""
    names = [f"member-{n:03}" for n in range(count)]
    keys: dict[str, str] = {}
    with ctx.tx() as tx:
        trust.add_members(
            tx,
            [
                trust.Member(trust.MemberId(name), name, "city", None, trust.MemberId(name), "IBAN")
                for name in names
            ],
        )
        league = trust.MemberId("league")  # with it payments go onto positions too, as in a league
        trust.add_members(tx, [trust.Member(league, "League", "league", None, league, "IBAN")])
        for name in names:
            keys[name] = trust.create_api_key(
                tx, trust.MemberId(name), ["hub:pay", "hub:read"], at=ctx.clock.now()
            )
    hub.open_liquidity(ctx, [(name, "CNY") for name in names])
    for name in names:
        funds_id = new_id()
        hub.propose_funds(
            ctx,
            funds_id=funds_id,
            member_id=name,
            currency="CNY",
            way="in",
            amount_minor=COVER,
            bank_reference="benchmark",
            by="league:anna",
        )
        hub.confirm_funds(ctx, funds_id, by="league:bo")
        hub.set_cap(ctx, cap_id=new_id(), member_id=name, currency="CNY", cap_minor=COVER, by="league:anna")
    return keys


@contextmanager
def serving(url: str, home: Path, members_port: int) -> Generator[int]:
    """A Hansa in another process; gives its port."""
    port = free_port()
    server = subprocess.Popen([*program(), "serve", url, str(home), str(port), str(members_port)])
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert server.poll() is None, "the server ended"
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
        ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        print(f"processor time of the server, with the bare posts: {sum(map(int, ticks)) / 100:.1f} s")
        peak = Path(f"/proc/{server.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
        print(f"peak memory of the server: {int(peak) / 1024:,.0f} MB")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def ask(what: str, keys: dict[str, str], *words: object) -> dict[str, Any]:
    lines = "\n".join(f"{member} {key}" for member, key in keys.items())
    answer = subprocess.run(
        [*program(), what, *map(str, words)], input=lines, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(answer.stdout)


def verify(ctx: Context, payments: int, *, books: bool) -> None:
    """Every payment that was told is in the books, and they are even. books: work every hash out again too."""
    hub.finish(ctx)
    with ctx.tx() as tx:
        everyone = hub.list_liquidity(tx)
        committed = tx.execute("select count(*) from hub.steps where state = 'COMMITTED'").fetchone()
        assert committed is not None and committed[0] >= payments, (committed, payments)
        assert sum(one.position_minor for one in everyone) == 0
        assert ledger.trial_balance(tx).is_even
        if books:
            assert ledger.verify(tx) == []
        begun = time.perf_counter()
        assert hub.verify_lots(tx) == []
        took_s = time.perf_counter() - begun
        lots = tx.execute("select count(*), coalesce(sum(payments), 0) from hub.lots").fetchone()
        assert lots is not None
    print(f"{committed[0]:,} payments committed in the books, positions sum to zero")
    print(f"{lots[1]:,} of them on positions in {lots[0]:,} lots; to count them again took {took_s:.2f} s")


def program() -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("_hub_members.py"))]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    main()
