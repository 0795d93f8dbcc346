"""The commands of ``hansa key``: API keys of members' programs and gates."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa import trust
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.staff_commands import BY

out = Console(width=None if sys.stdout.isatty() else 120)

Member = Annotated[str, typer.Argument(help="Whose key it is, such as london-tfl.")]

key_app = typer.Typer(no_args_is_help=True, help="API keys of members' programs and gates.")


@key_app.command("create")
def key_create(
    member: Member,
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


@key_app.command("list")
def key_list(
    member: Member,
    ended: Annotated[bool, typer.Option("--ended", help="Those that have ended too.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Show a member's keys, the newest first: their ids tell nothing of their secrets."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = trust.list_api_keys(tx, member)
    table = Table("id", "scopes", "person", "gate", "version", "made", "ended", box=None)
    for one in found:
        if one.ended_at is None or ended:
            until = "" if one.ended_at is None else f"{one.ended_at:%Y-%m-%d %H:%M}Z"
            kind = " (test)" if one.test else ""
            made = f"{one.created_at:%Y-%m-%d %H:%M}Z"
            scopes = " ".join(one.scopes) + kind
            table.add_row(one.key_id, scopes, one.person, one.gate_id or "", str(one.version), made, until)
    out.print(table)


@key_app.command("end")
def key_end(
    member: Member,
    key_id: Annotated[str, typer.Argument(help="Its id, 16 hex digits, as the list shows it.")],
    reason: Annotated[str, typer.Option(help="Why it ends, for the audit record.", prompt="Why")],
    home: Home = DEFAULT_HOME,
) -> None:
    """End a key: it is good for nothing any more, at some addresses 5 seconds later.

    Example: [cyan]hansa key end london-tfl 0f1e2d3c4b5a6978 --reason "it was in a log"[/cyan]
    """
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        trust.end_member_key(tx, member, key_id, ctx.clock.now(), by=BY, reason=reason)
    out.print(f"The key {key_id} of {member} has ended.", highlight=False)
