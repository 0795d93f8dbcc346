"""The commands of ``hansa settlement``: bank files out, statements in."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hansa import settlement
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Day, Home
from hansa.kernel import Money

out = Console(width=None if sys.stdout.isatty() else 120)

settlement_app = typer.Typer(no_args_is_help=True, help="Bank files out, statements in.")


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
