"""``hansa members``: who belongs to the league, letting in, suspending, leaving, and what keeps a member from it."""

import getpass
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from hansa import clearing, trust
from hansa.apps import leaving
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.kernel import fact_id

members_app = typer.Typer(
    no_args_is_help=True, help="Members: let in by two persons, suspended, resumed, left."
)

out = Console(width=None if sys.stdout.isatty() else 120)

Member = Annotated[str, typer.Argument(help="The member, such as hangzhou.")]
Why = Annotated[str, typer.Option(help="Why, in a few words.")]


@members_app.command("list")
def list_(home: Home = DEFAULT_HOME) -> None:
    """Every member and where it stands."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        lives = trust.member_lives(tx, ctx.clock.now())
        members = trust.list_members(tx)
    table = Table("member", "role", "clears as", "standing", "why")
    for one in members:
        life = lives[one.member_id]
        why = life.why if life.standing != "active" else ""
        table.add_row(one.member_id, one.role, one.clears_as, life.standing, why)
    out.print(table)


@members_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The application, a TOML file.")], home: Home = DEFAULT_HOME
) -> None:
    """Check an application: names, roles, bank accounts, keys. Errors end with code 1."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        said = trust.check_application(tx, file.read_text(encoding="utf-8"))
    out.print(f"Nothing is wrong with it: {', '.join(said.names)}.", highlight=False)


@members_app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The application, a TOML file (docs/members.md).")],
    note: Annotated[str, typer.Option(help="How it came, in a few words.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Hand in an application for a second person to approve. Doing so again is harmless."""
    text, by = file.read_text(encoding="utf-8"), getpass.getuser()
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = trust.hand_in_application(
            tx,
            fact_id(None, "application handed in", text, note, by),
            text,
            by=by,
            at=ctx.clock.now(),
            note=note,
        )
    out.print(f"{found.application_id}: {found.state}.", highlight=False)


@members_app.command()
def approve(
    application: Annotated[UUID, typer.Argument(help="As `hansa members apply` told it.")],
    why: Why,
    home: Home = DEFAULT_HOME,
) -> None:
    """Let an applicant in; whoever handed the application in cannot."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = trust.approve_application(tx, application, by=getpass.getuser(), at=ctx.clock.now(), why=why)
    out.print(f"{', '.join(found.said.names)}: let in.", highlight=False)


@members_app.command()
def suspend(member: Member, why: Why, home: Home = DEFAULT_HOME) -> None:
    """Suspend a member, and those that clear as it, from now on."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        life = trust.suspend(tx, member, by=getpass.getuser(), at=ctx.clock.now(), why=why)
    out.print(f"{member}: {life.standing}.", highlight=False)


@members_app.command()
def resume(
    member: Member,
    why: Why,
    decide: Annotated[bool, typer.Option("--yes", help="Approve what another person proposed.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Propose that a suspended member goes on; with --yes approve it, as another person."""
    by = getpass.getuser()
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        now = ctx.clock.now()
        if decide:
            trust.decide_resume(tx, member, yes=True, by=by, at=now, why=why)
        else:
            trust.propose_resume(tx, member, by=by, at=now, why=why)
        life = trust.member_life(tx, member, now)
    out.print(f"{member}: {life.standing}.", highlight=False)


@members_app.command()
def leave(
    member: Member,
    why: Why,
    last_day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last business day of new business, to propose it."),
    ] = None,
    decide: Annotated[bool, typer.Option("--yes", help="Approve what another person proposed.")] = False,
    done: Annotated[
        bool, typer.Option("--done", help="Say that it has left, nothing of it being open.")
    ] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Let a member run down and leave: propose a day, approve it as another person, and say when it is done."""
    by = getpass.getuser()
    if (last_day is not None) + decide + done != 1:
        raise typer.BadParameter("Give one of --last-day, --yes and --done.")
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        now = ctx.clock.now()
        if last_day is not None:
            ends = clearing.get_settings(tx).ends_at(last_day.date())
            trust.propose_leave(tx, member, ends, by=by, at=now, why=why)
        elif decide:
            trust.decide_leave(tx, member, yes=True, by=by, at=now, why=why)
        else:
            leaving.finish_leave(tx, member, by=by, at=now, why=why)
        life = trust.member_life(tx, member, now)
    out.print(f"{member}: {life.standing}.", highlight=False)


@members_app.command("open")
def open_(member: Member, home: Home = DEFAULT_HOME) -> None:
    """What of a member does not stand at zero and keeps it from leaving."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = leaving.open_things(tx, member)
    table = Table("what", "how much", "what to do")
    for one in found:
        table.add_row(one.what, one.much, one.remedy)
    out.print(table if found else "Nothing is open.")
