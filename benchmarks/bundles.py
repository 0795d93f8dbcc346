"""How long a month's statement with its proof takes: made, and checked by the one-file verifier.

    python benchmarks/bundles.py [--lines 100 1000 10000] [--others 3]

A wallet with so many lines this month, each after ``--others`` transfers of other people, in blocks of 400. For each
size: processor seconds of this process for the table, the paper and the bundle, by the clock too, and of the verifier
in a process of its own. Baseline of ``bundle_ms_a_line``: 8.4, what one of 1,000 lines took when each receipt was made
by itself.

The last line is JSON: name -> {value, unit, baseline, ratio}.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hansa import identity, ledger, payments, trust
from hansa.apps.own_statement import read_statement
from hansa.apps.rooms import migrate_all
from hansa.apps.web.notice_words import words_in
from hansa.apps.web.own_papers import statement_csv, statement_pdf, write_bundle
from hansa.apps.web.seals import StatementSealer
from hansa.apps.witnessing import log_signer
from hansa.kernel import Money, fact_id, new_id
from hansa.ledger import TransferCode
from hansa.store import Context, EmbeddedServer, open_context
from hansa.trust.tlog.standalone import hansa_verify

MONEY = 10**10
BLOCK = 400
BASELINE_MS = 8.4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--others", type=int, default=3, help="transfers of others before each line")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is stopped in any case
    home = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    home.chmod(0o755)
    each_ms = 0.0
    try:
        with EmbeddedServer(home / "db") as server:
            migrate_all(server.url)
            with open_context(server.url) as ctx:
                people = open_people(ctx, [f"of {lines}" for lines in options.lines])
                for lines, account in zip(options.lines, people[1:], strict=True):
                    book(ctx, account, people[0], lines, options.others)
                for lines, account in zip(options.lines, people[1:], strict=True):
                    each_ms = measured(ctx, home, account, lines)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    value = {"value": round(each_ms, 2), "unit": "ms", "baseline": BASELINE_MS}
    print(json.dumps({"bundle_ms_a_line": value | {"ratio": round(each_ms / BASELINE_MS, 3)}}))


def open_people(ctx: Context, names: list[str]) -> list[identity.Account]:
    now = ctx.clock.now()
    with ctx.tx() as tx:
        card = trust.MemberId("card")
        trust.add_members(tx, [trust.Member(card, "Card", "issuer", None, card, "IBAN")])
        people = [
            identity.Account(
                identity.AccountId(fact_id(None, "bench", name)), name, "card", "nowhere", "adult", "en", now
            )
            for name in ("others", *names)
        ]
        identity.open_accounts(tx, people)
    payments.open_member_accounts(ctx, ["card"], ["CNY"])
    payments.open_wallets(ctx, [(one, "CNY") for one in people])
    payments.top_up(
        ctx,
        [
            payments.TopUp(new_id(), one.account_id, trust.MemberId("card"), Money(MONEY, "CNY"), now)
            for one in people
        ],
    )
    return people


def book(ctx: Context, account: identity.Account, other: identity.Account, lines: int, others: int) -> None:
    """So many lines on a wallet, each after some of another's."""
    cash = payments.cash_account("card", "CNY")

    def transfer(place: int) -> ledger.Transfer:
        payer = account if place % (others + 1) == others else other
        return ledger.Transfer(
            ledger.TransferId(fact_id(None, "bench line", account.account_id, place)),
            payments.wallet_id(payer.account_id, "CNY"),
            cash,
            100 + place % 900,
            "CNY",
            TransferCode.PURCHASE,
            ctx.clock.now(),
            reference=fact_id(None, "bench payment", place),
        )

    places = range(lines * (others + 1))
    for first in places[::BLOCK]:
        assert all(
            one.ok for one in ledger.post(ctx, [transfer(place) for place in places[first : first + BLOCK]])
        )


def measured(ctx: Context, home: Path, account: identity.Account, lines: int) -> float:
    """Tells how long each takes; gives the milliseconds of the processor for a line of the bundle."""
    say, signer = words_in("en"), log_signer(home)
    month = ctx.clock.now().astimezone(ZoneInfo("UTC")).date().replace(day=1)
    file = home / "statement.zip"
    with ctx.tx() as tx:
        statement = read_statement(ctx, tx, account, month, "UTC")

        def bundle() -> None:
            with file.open("w+b") as out:
                write_bundle(out, tx, ctx.directory, statement, signer, say)

        table = took(lambda: [len(piece) for piece in statement_csv(tx, ctx.directory, statement, say)])
        sealer = StatementSealer(tx, statement, signer)
        paper = took(lambda: statement_pdf(tx, ctx.directory, statement, say, sealer))
        whole = took(bundle)
    key = str(signer.verifier_key(statement.partition))
    words = [sys.executable, "-I", hansa_verify.__file__, "statement", str(file), "--log-key", key]
    checked = took(lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL))
    size_mb = file.stat().st_size / 1e6
    print(
        f"{lines:,} lines: table {said(table)}, paper {said(paper)}, bundle {said(whole)}, {size_mb:.1f} MB;"
        f" checked {said(checked)}",
        flush=True,
    )
    return whole[0] / lines * 1_000


def took(do: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the processor, with those of children, and by the clock."""
    used, began = os.times(), time.perf_counter()
    do()
    now = os.times()
    return sum(now[:4]) - sum(used[:4]), time.perf_counter() - began


def said(seconds: tuple[float, float]) -> str:
    return f"{seconds[0]:.2f} s ({seconds[1]:.2f} s by the clock)"


if __name__ == "__main__":
    main()
