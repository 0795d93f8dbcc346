"""The commands of ``hansa ledger``: the books and their proof."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa import ledger
from hansa.apps.log_commands import checkpoint, receipt, tiles
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.kernel import Money

out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

ledger_app = typer.Typer(no_args_is_help=True, help="The books: trial balance and proof.")


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
