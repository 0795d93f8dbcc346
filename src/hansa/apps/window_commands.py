"""``hansa clearing``: windows of settlement models, and models proposed by one person and approved by another."""

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from hansa import clearing
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home

out = Console(width=None if sys.stdout.isatty() else 120)

ModelName = Annotated[str, typer.Argument(help="The settlement model, such as hourly.")]
Why = Annotated[str, typer.Option(help="Why, in a few words.")]


def close_window(model: ModelName, home: Home = DEFAULT_HOME) -> None:
    """Close the window of a model that is over. The worker does so by itself where the model says so."""
    with opened(home, join=True) as ctx:
        window = clearing.close_window(ctx, model)
    out.print(f"{window.window_id} is {window.status}: {window.items:,} items.", highlight=False)


def windows(
    model: Annotated[str, typer.Option(help="Only of this model.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many, latest first.")] = 20,
    home: Home = DEFAULT_HOME,
) -> None:
    """Windows of all models, latest first, and how far each is."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = clearing.list_windows(tx, model_id=model or None, limit=limit)
    table = Table("window", "number", "ended", "status", "items", "to be paid", title_justify="left")
    for one in found:
        paid = ", ".join(str(total.to_pay) for total in one.totals)
        ended = f"{one.ends_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(one.window_id, str(one.number), ended, one.status.value, f"{one.items:,}", paid)
    out.print(table)


def check_model(
    file: Annotated[Path, typer.Argument(help="The model as TOML.")], home: Home = DEFAULT_HOME
) -> None:
    """Read a settlement model and hold it against those in force; every fault is told with its remedy."""
    with opened(home, join=True) as ctx:
        since = ctx.clock.now().date()
        found = clearing.propose_model(
            ctx, file.read_text("utf-8"), in_force_from=since, by=getpass.getuser(), why="", check=True
        )
    assert isinstance(found, clearing.Model), "it was only checked"
    out.print(f"{found.model_id}: no problem found.", highlight=False)
    for hint in clearing.model_hints(found, since):
        out.print(f"look at {hint}.", highlight=False)


def propose_model(
    file: Annotated[Path, typer.Argument(help="The model as TOML.")],
    why: Why,
    since: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="Its first business day.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Hand a settlement model in for a second person to decide on."""
    with opened(home, join=True) as ctx:
        found = clearing.propose_model(
            ctx, file.read_text("utf-8"), in_force_from=since.date(), by=getpass.getuser(), why=why
        )
    assert isinstance(found, clearing.Version), "it was not only checked"
    out.print(f"{found.model_id} version {found.version} waits for another person.", highlight=False)


def decide_model(
    model: ModelName,
    version: Annotated[int, typer.Argument(help="Which version.")],
    why: Why,
    refuse: Annotated[bool, typer.Option("--refuse", help="Refuse it instead of approving it.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Approve or refuse a settlement model that another person proposed."""
    decision: Literal["approved", "refused"] = "refused" if refuse else "approved"
    with opened(home, join=True) as ctx:
        found = clearing.decide_model(ctx, model, version, decision, by=getpass.getuser(), why=why)
    out.print(f"{model} version {version} is {found.decision}.", highlight=False)


def list_models(home: Home = DEFAULT_HOME) -> None:
    """Settlement models in force, what is open in each, and when its next window ends."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = clearing.standings(tx, ctx.clock.now())
    table = Table("model", "moves", "zone", "open", "next window ends", title_justify="left")
    for one in found:
        is_open = ", ".join(f"{count:,} items, {total}" for _, count, total in one.open) or "nothing"
        moves = f"{one.model.basis}, {one.model.sides}, {one.model.timing}"
        ends = f"{one.next_ends_at:%Y-%m-%d %H:%M} UTC" if one.next_ends_at else "-"
        table.add_row(one.model.model_id, moves, one.model.tz, is_open, ends)
    out.print(table)


COMMANDS = {
    "close-window": close_window,
    "windows": windows,
    "models": list_models,
    "model-check": check_model,
    "model-propose": propose_model,
    "model-decide": decide_model,
}
"""Beside ``hansa clearing close`` and ``show``, which are for business days."""
