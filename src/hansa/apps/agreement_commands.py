"""``hansa agreements``: what members agreed on, checked, proposed, decided by another, and what a fare pays to whom."""

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Column, Table

from hansa import clearing
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.clearing.agreements_text import write_schema
from hansa.kernel import Money, fact_id

agreements_app = typer.Typer(
    no_args_is_help=True, help="Agreements between members: check, propose, decide, ask what holds."
)

out = Console(width=None if sys.stdout.isatty() else 120)

File = Annotated[Path, typer.Argument(help="The agreement, a TOML file (docs/agreements.md).")]
Id = Annotated[UUID, typer.Argument(help="As `hansa agreements propose` or `list` told it.")]
Why = Annotated[str, typer.Option(help="Why, in a few words.")]


@agreements_app.command()
def check(file: File, home: Home = DEFAULT_HOME) -> None:
    """Check an agreement against members, closed days and other agreements. Errors end with code 1."""
    text = file.read_text(encoding="utf-8")
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = clearing.check_agreement(tx, text)
    table = Table("", "where", "what", "what to do")
    for one in found.findings:
        table.add_row(one.severity, one.where, one.what, one.remedy)
    out.print(table if found.findings else "Nothing is wrong with it.")
    if found.errors:
        raise typer.Exit(1)


@agreements_app.command()
def propose(
    file: File,
    note: Annotated[str, typer.Option(help="What changes, in a few words.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Hand an agreement in for a second person to approve. Doing so again is harmless."""
    text, by = file.read_text(encoding="utf-8"), getpass.getuser()
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = clearing.propose_agreement(
            tx,
            fact_id(None, "agreement proposed", text, note, by),
            text,
            by=by,
            at=ctx.clock.now(),
            note=note,
        )
    _tell(found)


@agreements_app.command()
def approve(agreement: Id, why: Why, home: Home = DEFAULT_HOME) -> None:
    """Put an agreement in force from its first day; whoever proposed it cannot."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = clearing.approve_agreement(tx, agreement, by=getpass.getuser(), at=ctx.clock.now(), why=why)
    _tell(found)


@agreements_app.command()
def withdraw(agreement: Id, why: Why, home: Home = DEFAULT_HOME) -> None:
    """Take back a proposal, or an agreement that has not begun."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = clearing.withdraw_agreement(tx, agreement, by=getpass.getuser(), at=ctx.clock.now(), why=why)
    _tell(found)


@agreements_app.command("list")
def list_(home: Home = DEFAULT_HOME) -> None:
    """Every agreement with where it stands, newest first."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = clearing.list_agreed(tx, ctx.clock.now())
    table = Table(Column("agreement", no_wrap=True), "name", "between", "holds", "state")
    for one in found:
        until = "on" if one.ends_on is None else f"to {one.ends_on}"
        table.add_row(
            str(one.agreement_id),
            one.said.name,
            f"{one.said.issuer} and {one.said.operator}",
            f"from {one.said.valid_from} {until}",
            one.state.replace("_", " "),
        )
    out.print(table)


@agreements_app.command()
def terms(
    issuer: Annotated[str, typer.Argument(help="The issuer, such as beijing-card.")],
    operator: Annotated[str, typer.Argument(help="The operator, such as hangzhou-metro.")],
    currency: Annotated[str, typer.Argument(help="Currency of the item, such as CNY.")],
    minor: Annotated[int, typer.Option(help="The item, in minor units.")] = 300,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Business day; today, if left out.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """What an item pays to whom, by product, and by which agreement."""
    item = Money(minor, currency)
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        on = day.date() if day else clearing.get_settings(tx).day_of(ctx.clock.now())
        book = clearing.terms_on(tx, on)
    table = Table(
        "of",
        "operator",
        "issuer",
        "league",
        Column("by", no_wrap=True),
        title=f"{item} on {on}",
        title_justify="left",
    )
    for product in clearing.PRODUCTS:
        one = book.terms(issuer, operator, product, currency)
        shares = clearing.worked_shares(one, minor)
        amounts = (shares.operator_share, shares.issuer_fee, shares.league_fee)
        table.add_row(product, *(str(Money(amount, currency)) for amount in amounts), one.agreement_id)
    out.print(table)


@agreements_app.command()
def schema(folder: Annotated[Path, typer.Argument(help="Where agreements.schema.json goes.")]) -> None:
    """Write the JSON Schema of an agreement."""
    write_schema(folder)
    out.print(f"{folder / 'agreements.schema.json'}", highlight=False)


def _tell(found: clearing.AgreedText) -> None:
    state = found.state.replace("_", " ")
    out.print(f"{found.agreement_id}: {state}, from {found.said.valid_from}.", highlight=False)
