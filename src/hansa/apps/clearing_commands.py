"""The commands of ``hansa clearing``: business days, and windows and models beside them."""

import sys

import typer
from rich.console import Console
from rich.table import Table

from hansa import clearing
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Day, Home
from hansa.apps.window_commands import COMMANDS as WINDOW_COMMANDS
from hansa.kernel import Money

out = Console(width=None if sys.stdout.isatty() else 120)

clearing_app = typer.Typer(no_args_is_help=True, help="Business days: close one, read its positions.")
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
