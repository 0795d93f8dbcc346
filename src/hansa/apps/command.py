"""The ``hansa`` command line. Each command does one thing, says what it did, and fails with a remedy."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa import __version__, clearing, ledger, settlement, trust
from hansa.apps.agreement_commands import agreements_app
from hansa.apps.approval_commands import approval_app
from hansa.apps.atlas_commands import atlas_app
from hansa.apps.audit_commands import keep_record
from hansa.apps.bank.command import bank_app
from hansa.apps.bank.links import Exchanging
from hansa.apps.bank.people_rails import keep_people_rails
from hansa.apps.demo.spec import DEMO_DAY, Spec
from hansa.apps.device_commands import device_app, gate_enrol, gate_renew
from hansa.apps.dispute_commands import dispute_app
from hansa.apps.engines import ledger_engines
from hansa.apps.fspiop.command import fspiop_app
from hansa.apps.gate_commands import gate_app
from hansa.apps.hub_commands import hub_app
from hansa.apps.log_commands import checkpoint, receipt, tiles, verify
from hansa.apps.member_commands import members_app
from hansa.apps.notices import keep_notices
from hansa.apps.open import opened
from hansa.apps.personal_means import keep_personal_data
from hansa.apps.privacy_commands import privacy_app
from hansa.apps.proofing_commands import proofing_app
from hansa.apps.reconcile_commands import compare_app, reconcile
from hansa.apps.report_commands import audit_app, report_app
from hansa.apps.sandbox.command import MARK as SANDBOX_MARK
from hansa.apps.sandbox.command import sandbox
from hansa.apps.secret_commands import secrets_app
from hansa.apps.staff_commands import staff_app
from hansa.apps.tariff_commands import tariff_app
from hansa.apps.trust_commands import keep_trust_list, trust_app
from hansa.apps.webhook_commands import courier, webhooks_app
from hansa.apps.window_commands import COMMANDS as WINDOW_COMMANDS
from hansa.apps.witness_command import witness
from hansa.apps.witnessing import Witnessing, log_signer
from hansa.apps.worker import Worker
from hansa.kernel import FixedClock, HansaError, Money, SystemClock
from hansa.store import Context, EmbeddedServer

if TYPE_CHECKING:
    from hansa.apps.web.origins import Origins

out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

app = typer.Typer(
    name="hansa",
    help="Hansa: one account, honoured in every city.\n\nStart with [bold]hansa demo[/bold]: six cities, a day of "
    "riding, and what they owe each other, in one command.",
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ledger_app = typer.Typer(no_args_is_help=True, help="The books: trial balance and proof.")
clearing_app = typer.Typer(no_args_is_help=True, help="Business days: close one, read its positions.")
settlement_app = typer.Typer(no_args_is_help=True, help="Bank files out, statements in.")
key_app = typer.Typer(no_args_is_help=True, help="API keys of members' programs and gates.")
for name, part in (
    ("atlas", atlas_app),
    ("tariff", tariff_app),
    ("members", members_app),
    ("agreements", agreements_app),
    ("ledger", ledger_app),
    ("clearing", clearing_app),
    ("settlement", settlement_app),
    ("bank", bank_app),
    ("dispute", dispute_app),
    ("hub", hub_app),
    ("webhooks", webhooks_app),
    ("fspiop", fspiop_app),
    ("report", report_app),
    ("compare", compare_app),
    ("audit", audit_app),
    ("secrets", secrets_app),
    ("staff", staff_app),
    ("key", key_app),
    ("gate", gate_app),
    ("device", device_app),
    ("trust", trust_app),
    ("privacy", privacy_app),
    ("approval", approval_app),
    ("proofing", proofing_app),
):
    app.add_typer(part, name=name)
app.command()(reconcile)
app.command()(verify)
app.command()(sandbox)

Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="HANSA_HOME",
        help="Folder of the embedded database, keys and bank files. HANSA_DATABASE_URL uses a server instead.",
    ),
]
WalletOrigin = Annotated[
    str,
    typer.Option(
        envvar="HANSA_WALLET_ORIGIN", help="Where browsers find all but the console: https://wallet.example."
    ),
]
ConsoleOrigin = Annotated[
    str,
    typer.Option(
        envvar="HANSA_CONSOLE_ORIGIN", help="Where browsers find the console: https://console.example."
    ),
]
Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"], help="Business day, as 2026-11-17.")]
DEFAULT_HOME = Path(".hansa")


@app.command()
def demo(
    riders: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people ride.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same cents.")] = 1,
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Which day they ride.")] = datetime(  # noqa: DTZ001 - a calendar day
        DEMO_DAY.year, DEMO_DAY.month, DEMO_DAY.day
    ),
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the closing page; do not serve the pages.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away an earlier demonstration in this folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with every figure of money as one line of JSON.")
    ] = False,
    host: Annotated[str, typer.Option(help="Address to serve the pages on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve the pages on.")] = 8_017,
    wallet_origin: WalletOrigin = "",
    console_origin: ConsoleOrigin = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Six cities, a day of riding, clearing between them, bank files; then the pages stay up.

    Killed half-way, the same command again finishes the day to the same cent.
    """
    from hansa.apps import web
    from hansa.apps.demo.run import DemoRun, claim_home
    from hansa.apps.demo.show import Bars, closing_page
    from hansa.apps.web.origins import origins_of

    spec = Spec(riders=riders, seed=seed, day=day.date())
    origins = origins_of(host, port, wallet_origin, console_origin, demo=True)
    if not once:
        web.listen(host, port).close()
    if fresh and home.exists():
        _throw_away(home)
    claim_home(home, spec)
    clock = FixedClock(SystemClock().now())
    out.print(f"[bold]Hansa {__version__}[/bold] · one account, honoured in every city", highlight=False)
    with opened(home, clock=clock) as ctx:
        bars = Bars(out)
        with ledger_engines(ctx, sign=log_signer(home)), bars.progress:
            summary = DemoRun(ctx, clock, spec, home, bars).run()
        here = None if once else f"http://{host}:{port}"
        closing_page(
            out, summary, home, here and (origins.wallet or here), here and (origins.console or here)
        )
        if as_json:
            print(json.dumps(summary.cents()), flush=True)
        if once and not all(check.holds for check in summary.checks):
            raise typer.Exit(1)
        if not once:
            _serve(replace(ctx, clock=SystemClock()), home, host, port, origins)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to serve the pages on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve the pages on.")] = 8_017,
    wallet_origin: WalletOrigin = "",
    console_origin: ConsoleOrigin = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Serve the wallet, the gate screen, the console and the API on what the home folder holds."""
    from hansa.apps import web
    from hansa.apps.web.origins import origins_of

    is_demo = (home / "demo.json").is_file()
    origins = origins_of(host, port, wallet_origin, console_origin, demo=is_demo)
    web.listen(host, port).close()
    with opened(home) as ctx:
        _serve(ctx, home, host, port, origins)


@app.command()
def work(home: Home = DEFAULT_HOME) -> None:
    """Price taps, post charges, release holds, until told to stop. ``hansa serve`` does so by itself."""
    with (
        opened(home, join=True) as ctx,
        ledger_engines(ctx, sign=log_signer(home)),
        Worker(
            ctx,
            before=[
                keep_trust_list(ctx, trust.KeyFolder(home / "keys")),
                keep_record(ctx, home),
                keep_personal_data(ctx, home, demo=(home / "demo.json").is_file()),
                keep_people_rails(ctx, home),
                keep_notices(ctx, home, demo=(home / "demo.json").is_file()),
            ],
        ),
        Witnessing(ctx, home),
        Exchanging(ctx, home),
        courier(ctx, home),
    ):
        out.print("Working. Stop with Ctrl-C.")
        stop = Event()
        for told in (signal.SIGINT, signal.SIGTERM):
            signal.signal(told, lambda _number, _frame: stop.set())
        stop.wait()


@ledger_app.command("trial-balance")
def trial_balance(home: Home = DEFAULT_HOME) -> None:
    """Debits and credits of every kind of account, by currency; they must agree."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        trial = ledger.trial_balance(tx)
    table = Table("currency", "account", "debits", "credits", title="Trial balance", title_justify="left")
    for row in trial.rows:
        kind = ledger.AccountCode(row.code).name.lower()
        sums = (Money(row.debits_posted, row.currency), Money(row.credits_posted, row.currency))
        table.add_row(row.currency, kind, *map(str, sums))
    out.print(table)
    if not trial.is_even:
        err.print("[bold red]Debits and credits differ.[/bold red]")
        raise typer.Exit(1)


@ledger_app.command("verify")
def ledger_verify(home: Home = DEFAULT_HOME) -> None:
    """Recompute every hash, the Merkle tree, every sum and every balance from the transfers."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        heads = ledger.list_heads(tx)
        findings = ledger.verify(tx)
    for finding in findings:
        err.print(f"[red]{finding}[/red]")
    blocks, transfers = sum(head.number for head in heads), sum(head.size for head in heads)
    out.print(f"{blocks:,} blocks with {transfers:,} transfers checked, {len(findings)} findings.")
    if findings:
        raise typer.Exit(1)


@ledger_app.command("rebuild")
def ledger_rebuild(
    partition: Annotated[int, typer.Argument(min=0, help="Which partition's books.")] = 0,
    home: Home = DEFAULT_HOME,
) -> None:
    """Make balances, holds and statements anew from the blocks alone. For books that verify found damaged."""
    with opened(home, join=True) as ctx:
        transfers = ledger.rebuild(ctx, partition)
    out.print(f"Partition {partition}: all of its {transfers:,} transfers folded anew.")


@ledger_app.command("export")
def ledger_export(
    file: Annotated[Path, typer.Argument(help="Where to write it, such as books-0.jsonl.gz.")],
    partition: Annotated[int, typer.Option(min=0, help="Which partition's books.")] = 0,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write a partition's whole history to a file, from which it can be read into empty books elsewhere."""
    with opened(home, join=True) as ctx:
        history = ledger.export_history(ctx, file, partition=partition)
    out.print(f"{file}: {_told_history(history)}")


@ledger_app.command("import")
def ledger_import(
    file: Annotated[Path, typer.Argument(help="What `hansa ledger export` wrote.")], home: Home = DEFAULT_HOME
) -> None:
    """Read a history into its partition, checking every hash on the way. The partition must have none yet."""
    with opened(home, join=True) as ctx:
        history = ledger.import_history(ctx, file)
    out.print(f"Partition {history.partition}: {_told_history(history)}")


def _told_history(history: ledger.History) -> str:
    return (
        f"{history.accounts:,} accounts, {history.blocks:,} blocks, {history.transfers:,} transfers,"
        f" chain ends in {history.hash.hex()[:16]}."
    )


@ledger_app.command("tree")
def ledger_tree(
    path: Annotated[str, typer.Argument(help="A place in the tree of accounts, such as beijing-card.")] = "",
    depth: Annotated[int, typer.Option(min=1, help="How many words of a path make a branch.")] = 1,
    home: Home = DEFAULT_HOME,
) -> None:
    """Accounts added up by branch of their tree and by currency."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        rows = ledger.tree(tx, path, depth=depth)
    table = Table("branch", "currency", "accounts", "debits", "credits", "held", title_justify="left")
    for row in rows:
        held = row.balance.debits_pending + row.balance.credits_pending
        sums = (row.balance.debits_posted, row.balance.credits_posted, held)
        money = [str(Money(total, row.currency)) for total in sums]
        table.add_row(row.branch, row.currency, f"{row.accounts:,}", *money)
    out.print(table)


for command in (receipt, checkpoint, tiles):
    ledger_app.command()(command)


for command_name, window_command in WINDOW_COMMANDS.items():
    clearing_app.command(command_name)(window_command)


@clearing_app.command("close")
def clearing_close(day: Day, home: Home = DEFAULT_HOME) -> None:
    """Close a business day: net what every city owes every other. Closing it again changes nothing."""
    with opened(home, join=True) as ctx:
        closed = clearing.close_day(ctx, day.date())
    out.print(f"{closed.day} is {closed.status}: {closed.items:,} items.")


@clearing_app.command("show")
def clearing_show(day: Day, home: Home = DEFAULT_HOME) -> None:
    """Net positions of a business day."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        nets = clearing.net_positions(tx, day.date())
    table = Table("member", "currency", "net", title=f"Net positions of {day:%Y-%m-%d}", title_justify="left")
    for net in nets:
        table.add_row(net.member_id, net.currency, str(Money(net.net, net.currency)))
    out.print(table)


@settlement_app.command("files")
def settlement_files(
    day: Day,
    folder: Annotated[Path, typer.Option("--out", help="Where the bank files go.")] = Path("bank-files"),
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the pain.001.001.09 files of a closed day, one per currency."""
    with opened(home, join=True) as ctx:
        files = settlement.write_files(ctx, day.date(), folder)
    for file in files:
        out.print(f"{file.path}  {Money(file.control_sum, file.currency)}  {file.transactions} payments")


@settlement_app.command("statement")
def settlement_statement(
    statement: Annotated[Path, typer.Argument(help="A bank's camt.053 statement.")], home: Home = DEFAULT_HOME
) -> None:
    """Read a bank statement, match its entries to our payments, and book what was paid."""
    with opened(home, join=True) as ctx:
        outcome = settlement.read_statement(ctx, statement)
    out.print(f"{len(outcome.matched)} entries matched, {len(outcome.breaks)} breaks.")


@key_app.command("create")
def key_create(
    member: Annotated[str, typer.Argument(help="Whose key it is, such as london-tfl.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, such as taps:write; may be given again.")],
    gate: Annotated[str | None, typer.Option(help="Make it the key of one gate.")] = None,
    person: Annotated[str, typer.Option(help="Who acts with it: all keys of anna are one person.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Make an API key. The secret is shown this once; only its hash is kept. In a sandbox's folder it is a test key.

    Example: [cyan]hansa key create london-tfl --scope taps:write[/cyan]
    """
    from hansa.apps.web.interface import every_scope

    if unknown := sorted(set(scope) - every_scope()):
        raise typer.BadParameter(
            f"No route asks for {', '.join(unknown)}. There are: {', '.join(sorted(every_scope()))}."
        )
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        secret = trust.create_api_key(
            tx,
            member,
            scope,
            at=ctx.clock.now(),
            gate_id=gate,
            person=person,
            test=(home / SANDBOX_MARK).is_file(),
        )
    out.print(secret, highlight=False, soft_wrap=True)


app.command()(witness)
gate_app.command("enrol")(gate_enrol)
gate_app.command("renew")(gate_renew)


@app.command()
def version() -> None:
    """Which Hansa this is."""
    out.print(__version__)


def main() -> None:
    """Run the command line; an expected failure is told in plain words and exits with 1."""
    with _told():
        app()


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except HansaError as error:
        err.print(f"[bold red]{error.code}[/bold red]", highlight=False)
        err.print(str(error), highlight=False, markup=False)
        raise SystemExit(1) from None
    except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as error:
        if error.filename is None:  # no file that someone named
            raise
        told = f"{error.filename}: {error.strerror}. Give the path of a file that this user can use."
        err.print(told, highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _throw_away(home: Path) -> None:
    """Remove an earlier demonstration; nothing else is ever removed."""
    if os.environ.get("HANSA_DATABASE_URL"):
        raise typer.BadParameter(
            "--fresh cannot empty the database of HANSA_DATABASE_URL; make a new one and name it."
        )
    if (home / "demo.json").is_file():
        EmbeddedServer(home).wipe()
        shutil.rmtree(
            home, ignore_errors=True
        )  # a server that is still going may remove its own files meanwhile
    elif any(home.iterdir()):
        raise typer.BadParameter(
            f"{home} holds no demonstration, so --fresh leaves it alone; choose another --home."
        )


def _serve(ctx: Context, home: Path, host: str, port: int, origins: "Origins") -> None:
    from hansa.apps import web

    demo = (home / "demo.json").is_file()
    out.print()
    pages = (("The wallet", "wallet"), ("A gate", "gate"), ("Fares", "fares"), ("The console", "console"))
    for name, path in pages:
        address = (origins.console if path == "console" else origins.wallet) or f"http://{host}:{port}"
        out.print(f"  {name:<13} [link={address}/{path}/]{address}/{path}/[/link]", highlight=False)
    out.print("  Stop with Ctrl-C; the same command starts it again with all its data.")
    boxes = _boxes(ctx, home) if demo else nullcontext()
    witnessing = Witnessing(ctx, home)
    app = web.create_app(ctx, home=home, demo=demo, witnessing=witnessing, origins=origins)
    before = [
        keep_trust_list(ctx, trust.KeyFolder(home / "keys")),
        keep_record(ctx, home),
        keep_personal_data(ctx, home, demo=demo),
        keep_people_rails(ctx, home),
        keep_notices(ctx, home, demo=demo),
    ]
    if demo:
        before.append(_rates_of_the_day(ctx))
    with (
        ledger_engines(ctx, sign=log_signer(home)),
        Worker(ctx, before=before),
        boxes,
        witnessing,
        Exchanging(ctx, home),
        courier(ctx, home),
    ):
        web.serve(app, host, port)


def _boxes(ctx: Context, home: Path) -> AbstractContextManager[None]:
    """Made-up gates for the console's page of devices, where there is a broker for them."""
    from hansa.apps.demo.boxes import living_boxes, make_broker
    from hansa.apps.devices.broker import NoMosquitto

    try:
        folder = make_broker(home, ctx)
    except NoMosquitto:
        out.print("  No Mosquitto here, so no devices report: sudo apt-get install mosquitto")
        return nullcontext()
    return living_boxes(home, ctx, folder)


def _rates_of_the_day(ctx: Context) -> Callable[[], None]:
    """In a demonstration the world goes on: each day that people try it on gets its exchange rates."""
    from hansa.apps.web.demo_rates import keep_rates

    kept: set[date] = set()

    def keep() -> None:
        today = ctx.clock.now().date()
        if today not in kept:
            keep_rates(ctx, today)
            kept.add(today)

    return keep
