"""``hansa webhooks``: endpoints of members, their deliveries, tests and sending again, at the machine of the league."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from hansa import trust, webhooks
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.telling import tell_members
from hansa.kernel import new_id
from hansa.store import Context

out = Console(width=None if sys.stdout.isatty() else 140)
webhooks_app = typer.Typer(
    no_args_is_help=True, help="Webhooks: endpoints of members, and what was sent to them."
)

Id = Annotated[UUID, typer.Argument(help="The endpoint's id.")]


def courier(ctx: Context, home: Path) -> webhooks.Courier:
    """What sends events beside a worker. Errors: webhooks.BadNetworks, trust.KeyUnfit."""
    sender = webhooks.Sender(ctx, _secrets(home), webhooks.reach_from_environment())
    return webhooks.Courier(ctx, sender, also=lambda: tell_members(ctx))


@contextmanager
def _sender(ctx: Context, home: Path) -> Generator[webhooks.Sender]:
    sender = webhooks.Sender(ctx, _secrets(home), webhooks.reach_from_environment())
    try:
        yield sender
    finally:
        sender.close()


def _secrets(home: Path) -> webhooks.Secrets:
    return webhooks.Secrets(trust.KeyFolder(home / "keys").webhooks())


@webhooks_app.command("list")
def list_(home: Home = DEFAULT_HOME) -> None:
    """Every endpoint: whose, where, what it is, and how far behind."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = webhooks.list_endpoints(tx, ctx.clock.now())
    table = Table("endpoint", "member", "url", "state", "behind", "fails since", box=None)
    for one in found:
        since = f"{one.failing_since:%Y-%m-%d %H:%M}" if one.failing_since else ""
        state = f"{one.state}: {one.why}" if one.why else one.state
        table.add_row(str(one.endpoint_id), one.member_id, one.url, state, str(one.behind), since)
    out.print(table)


@webhooks_app.command()
def add(
    member: Annotated[str, typer.Argument(help="The member's id.")],
    url: Annotated[str, typer.Argument(help="Where it listens, https.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type; may be repeated.")
    ] = None,
    about: Annotated[str, typer.Option("--about", help="A few words.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Add an endpoint and send it its code; ``verify`` takes the code and enables it. Prints the secret."""
    with opened(home, join=True) as ctx, _sender(ctx, home) as sender:
        made = webhooks.add_endpoint(
            ctx,
            endpoint_id=new_id(),
            member_id=member,
            url=url,
            about=about,
            types=types or (),
            by="hansa webhooks",
            reach=webhooks.reach_from_environment(),
        )
        answer = webhooks.send_code(sender, made)
        secret = _secrets(home).secret(made.endpoint_id, 1)
    out.print(f"{made.endpoint_id} {made.state}", soft_wrap=True)
    out.print(secret.shared_text, soft_wrap=True)
    out.print(secret.public_text, soft_wrap=True)
    out.print(f"The code was sent; it answered {answer.status or answer.fault}.", soft_wrap=True)


@webhooks_app.command()
def verify(
    endpoint: Id, code: Annotated[str, typer.Argument(help="What came to it.")], home: Home = DEFAULT_HOME
) -> None:
    """Enable an endpoint by the code that came to it."""
    with opened(home, join=True) as ctx:
        found = webhooks.verify_endpoint(ctx, endpoint, code, _secrets(home))
    out.print(f"{found.endpoint_id} {found.state}", soft_wrap=True)


@webhooks_app.command()
def disable(
    endpoint: Id,
    why: Annotated[str, typer.Option("--why", help="Why; its member is told.")] = "by the league",
    home: Home = DEFAULT_HOME,
) -> None:
    """Send nothing more to an endpoint. Doing it again is harmless."""
    with opened(home, join=True) as ctx:
        found = webhooks.disable_endpoint(ctx, endpoint, why=why)
    out.print(f"{found.endpoint_id} {found.state}", soft_wrap=True)


@webhooks_app.command()
def enable(endpoint: Id, home: Home = DEFAULT_HOME) -> None:
    """Send to a disabled endpoint again, beginning with what it missed."""
    with opened(home, join=True) as ctx:
        found = webhooks.enable_endpoint(ctx, endpoint)
    out.print(f"{found.endpoint_id} {found.state}", soft_wrap=True)


@webhooks_app.command()
def rotate(endpoint: Id, home: Home = DEFAULT_HOME) -> None:
    """Give an endpoint a new secret; the one before signs beside it for a day."""
    with opened(home, join=True) as ctx:
        found = webhooks.rotate_secret(ctx, endpoint)
    out.print(_secrets(home).secret(endpoint, found.versions[0]).shared_text, soft_wrap=True)


@webhooks_app.command("test")
def send_test(endpoint: Id, home: Home = DEFAULT_HOME) -> None:
    """Send an endpoint a test event, in its turn."""
    with opened(home, join=True) as ctx:
        webhooks.send_test(ctx, endpoint)
    out.print(
        "A test event is on its way; `hansa webhooks deliveries` shows what came of it.", soft_wrap=True
    )


@webhooks_app.command()
def redeliver(
    endpoint: Id,
    first: Annotated[int, typer.Argument(min=1, help="Number of the first event.")],
    last: Annotated[int, typer.Argument(min=1, help="Number of the last event.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Send events of a member's feed to an endpoint again, a thousand at most."""
    with opened(home, join=True) as ctx:
        again = webhooks.redeliver(ctx, endpoint, first=first, last=last)
    out.print(f"{again} events are sent again.")


@webhooks_app.command()
def deliveries(
    endpoint: Id,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 50,
    home: Home = DEFAULT_HOME,
) -> None:
    """What was tried at an endpoint, latest first."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = webhooks.list_attempts(tx, endpoint, limit=limit)
    table = Table("at", "event", "attempt", "answer", "ms", "again", box=None)
    for one in found:
        again = f"{one.next_at:%Y-%m-%d %H:%M:%S}" if one.next_at else ""
        answer = str(one.status or one.fault)
        at = f"{one.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, str(one.seq), str(one.number), answer, str(one.took_ms), again)
    out.print(table)


@webhooks_app.command()
def send(home: Home = DEFAULT_HOME) -> None:
    """Send what is due, once. ``hansa serve`` and ``hansa work`` do so all the time."""
    with opened(home, join=True) as ctx, _sender(ctx, home) as sender:
        tell_members(ctx)
        took = webhooks.turn(ctx, sender)
    out.print(f"{took} events were taken.")
