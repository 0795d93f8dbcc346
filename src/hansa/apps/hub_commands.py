"""``hansa hub``: liquidity of members, caps, and funds in and out, at the machine of the league."""

import sys
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from hansa import hub
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.kernel import Money, new_id

out = Console(width=None if sys.stdout.isatty() else 140)
hub_app = typer.Typer(no_args_is_help=True, help="Payments between members: liquidity, caps, funds, alarms.")

Member = Annotated[str, typer.Argument(help="The member's id.")]
Currency = Annotated[str, typer.Argument(help="Its currency, such as CNY.")]
Minor = Annotated[int, typer.Argument(min=0, help="Minor units: 1250 is 12.50.")]
By = Annotated[str, typer.Option("--by", help="Who does it; funds need two persons.")]


@hub_app.command()
def liquidity(home: Home = DEFAULT_HOME) -> None:
    """Members by currency: cover, cap, position, what is reserved, headroom, and alarms that stand."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = hub.list_liquidity(tx)
        alarms = hub.standing_alarms(tx)
    table = Table("member", "cover", "cap", "position", "reserved", "headroom", "used", "alarms", box=None)
    for one in found:
        figures = (
            one.cover_minor,
            one.cap_minor,
            one.position_minor,
            one.reserved_minor,
            one.headroom_minor,
        )
        standing = [
            alarm.kind
            for alarm in alarms
            if (alarm.member_id, alarm.currency) == (one.member_id, one.currency)
        ]
        table.add_row(
            one.member_id,
            *(str(Money(minor, one.currency)) for minor in figures),
            f"{one.used_percent} %",
            ", ".join(standing),
        )
    out.print(table)


@hub_app.command("open")
def open_liquidity(member: Member, currency: Currency, home: Home = DEFAULT_HOME) -> None:
    """Let a member pay and be paid in a currency. Doing it again is harmless."""
    with opened(home, join=True) as ctx:
        hub.open_liquidity(ctx, [(member, currency)])
    out.print(f"{member} pays and is paid in {currency}. Bring funds in, and set a cap.")


@hub_app.command()
def cap(
    member: Member,
    currency: Currency,
    minor: Minor,
    by: By,
    soft: Annotated[
        int | None, typer.Option("--soft", min=0, help="From so much on an alarm is raised.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Set what a member may owe at most, from now on."""
    with opened(home, join=True) as ctx:
        hub.set_cap(
            ctx,
            cap_id=new_id(),
            member_id=member,
            currency=currency,
            cap_minor=minor,
            soft_minor=soft,
            by=by,
        )
    out.print(f"{member} may owe {Money(minor, currency)} at most.")


@hub_app.command()
def funds(
    way: Annotated[str, typer.Argument(help="in: the bank has it; out: it is to leave.")],
    member: Member,
    currency: Currency,
    minor: Minor,
    reference: Annotated[str, typer.Option("--reference", help="The bank's entry.")],
    by: By,
    home: Home = DEFAULT_HOME,
) -> None:
    """Propose funds in or out; a second person books them. What is to leave is held at once."""
    if way not in ("in", "out"):
        raise typer.BadParameter("Say in or out.", param_hint="way")
    with opened(home, join=True) as ctx:
        found = hub.propose_funds(
            ctx,
            funds_id=new_id(),
            member_id=member,
            currency=currency,
            way="in" if way == "in" else "out",
            amount_minor=minor,
            bank_reference=reference,
            by=by,
        )
    out.print(f"{found.funds_id} {found.state}", soft_wrap=True)


@hub_app.command()
def book(
    funds_id: Annotated[UUID, typer.Argument(help="The funds, as they were proposed.")],
    by: By,
    refuse: Annotated[bool, typer.Option("--refuse", help="Let them be instead.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Book funds as a second person, or let them be. Doing it again is harmless."""
    with opened(home, join=True) as ctx:
        decide = hub.refuse_funds if refuse else hub.confirm_funds
        found = decide(ctx, funds_id, by=by)
    out.print(f"{found.funds_id} {found.state}", soft_wrap=True)
