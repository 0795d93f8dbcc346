"""The commands of ``hansa approval``: check the evidence of one again, from what is stored."""

from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from hansa import approval
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home

out = Console(width=120)

approval_app = typer.Typer(no_args_is_help=True, help="Approvals: what a person approved, checked again.")


@approval_app.callback()
def approvals() -> None:
    """What people approved, and what shows it."""


@approval_app.command()
def check(
    approval_id: Annotated[UUID, typer.Argument(help="Which approval, as its page's address says.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Verify an approval from the stored bytes alone: each signature, what was shown, what was spent, the level."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found, proofs = approval.check(tx, approval_id)
    shown = found.shown
    amount = "" if shown.amount is None else f"{shown.amount} to "
    out.print(f"{shown.kind} {shown.subject_id}: {amount}{shown.payee_name}", highlight=False)
    level = "" if found.given_level is None else f", by {found.given_level.word}"
    out.print(f"{found.phase}{level}", highlight=False)
    table = Table("who", "as", "how", "when", "page", box=None)
    for one in proofs:
        when = f"{one.given_at:%Y-%m-%d %H:%M:%S}Z"
        table.add_row(str(one.account_id), one.role, one.method, when, one.origin)
    out.print(table)
    digest = approval.challenge_of(found.canonical).hex()
    out.print(f"SHA-256 of what was shown: {digest}", highlight=False)
    out.print("All of it is good.", highlight=False)
