"""``hansa staff``: the first person of the console, and a way back in when no admin can come in any more."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.trust import MemberId, staff, staff_store

out = Console(width=None if sys.stdout.isatty() else 140)
staff_app = typer.Typer(no_args_is_help=True, help="Persons who work at the console.")

BY = "operator:this-machine"
"""By which name what is done here is kept: whoever may use this machine and its database."""


@staff_app.command()
def invite(
    handle: Annotated[str, typer.Argument(help="By which decisions are kept, such as ada.lovelace.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit record.")],
    role: Annotated[
        list[str], typer.Option(help="viewer, operator, treasurer, security or admin; again for more.")
    ],
    name: Annotated[str, typer.Option(help="The person's name; else the handle.")] = "",
    member: Annotated[str, typer.Option(help="Whose staff they are; else the league's.")] = "",
    again: Annotated[bool, typer.Option("--again", help="They lost their passkeys, or come back.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Print a code with which the person registers a passkey at /console/join, once, within three days."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        now = ctx.clock.now()
        if again:
            code = staff.invite_again(tx, handle, by=BY, at=now, reason=reason)
        else:
            code = staff.invite_staff(
                tx,
                handle,
                name=name or handle,
                roles=tuple(role),
                by=BY,
                at=now,
                reason=reason,
                member_id=MemberId(member) if member else None,
            )
    out.print(code, highlight=False, soft_wrap=True)


@staff_app.command("list")
def list_(home: Home = DEFAULT_HOME) -> None:
    """Everybody, with their roles and how many passkeys they have."""
    table = Table("kept as", "name", "works for", "roles", "passkeys", "state", box=None)
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        for one in staff_store.list_staff(tx):
            keys = len(staff_store.list_passkeys(tx, one.staff_id))
            state = "left" if one.ended_at else "works here" if keys else "invited"
            roles = ", ".join(one.roles)
            table.add_row(one.who, one.name, one.member_id or "the league", roles, str(keys), state)
    out.print(table)
