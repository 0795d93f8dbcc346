"""The commands of ``hansa key``: API keys of members' programs and gates."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from hansa import trust
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.staff_commands import BY

out = Console(width=None if sys.stdout.isatty() else 120)

key_app = typer.Typer(no_args_is_help=True, help="API keys of members' programs and gates.")


@key_app.command("create")
def key_create(
    member: Annotated[str, typer.Argument(help="Whose key it is, such as london-tfl.")],
    scope: Annotated[list[str], typer.Option(help="What it may do, such as taps:write; may be given again.")],
    reason: Annotated[str, typer.Option(help="Why it is made, for the audit record.", prompt="Why")],
    gate: Annotated[str | None, typer.Option(help="Make it the key of one gate.")] = None,
    person: Annotated[str, typer.Option(help="Who acts with it: all keys of anna are one person.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Make an API key. The secret is shown this once; only its hash is kept. In a sandbox's folder it is a test key.

    Example: [cyan]hansa key create london-tfl --scope taps:write --reason "gates of the Northern line"[/cyan]
    """
    from hansa.apps.sandbox.command import MARK as SANDBOX_MARK
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
            by=BY,
            reason=reason,
        )
    out.print(secret, highlight=False, soft_wrap=True)
