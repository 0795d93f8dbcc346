"""``hansa sandbox``: a Hansa to develop against, on a port and in a folder of its own."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from rich.console import Console

from hansa import trust
from hansa.apps.engines import ledger_engines
from hansa.apps.open import opened
from hansa.apps.sandbox.clock import SandboxClock
from hansa.apps.sandbox.connector import CONNECTOR, SandboxConnector
from hansa.apps.sandbox.faults import Faults
from hansa.apps.sandbox.people import PEOPLE
from hansa.apps.sandbox.seed import CARD, PAYEE, SHOPS, Seeded, is_seeded, seed
from hansa.apps.sandbox.turning import TURNS, Turning
from hansa.apps.trust_commands import keep_trust_list
from hansa.apps.webhook_commands import courier
from hansa.apps.witnessing import log_signer
from hansa.apps.worker import Worker
from hansa.kernel import HansaError
from hansa.store import EmbeddedServer

out = Console(width=None if sys.stdout.isatty() else 120)

MARK = "sandbox.json"
"""The file by which a folder is known as a sandbox's."""

NETWORKS = "HANSA_WEBHOOK_NETWORKS"


class NotASandbox(HansaError):
    """This folder or database is not a sandbox's, and a sandbox mixes with nothing. Choose another --home."""

    code: ClassVar[str] = "sandbox.not_one"
    status: ClassVar[int] = 409


def sandbox(
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve on.")] = 8_018,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away the sandbox in this folder first.")
    ] = False,
    home: Annotated[
        Path, typer.Option("--home", envvar="HANSA_SANDBOX", help="Folder of the sandbox's own database.")
    ] = Path(".hansa-sandbox"),
) -> None:
    """A Hansa to develop against: test keys, people who approve by themselves, faults on demand, a clock to set."""
    from hansa.apps import web
    from hansa.apps.web.advancing import turn as carry_on
    from hansa.apps.web.interface import every_scope
    from hansa.apps.web.problems import on_hansa_error
    from hansa.apps.web.short_way import request_of

    _claim(home, fresh=fresh)
    web.listen(host, port).close()
    os.environ.setdefault(NETWORKS, "127.0.0.0/8")
    clock = SandboxClock(home / "clock.json")
    connector = SandboxConnector(home / "connector.json", clock.now)
    with opened(home, clock=clock) as ctx:
        keys = trust.KeyFolder(home / "keys")
        signer = log_signer(home)
        with ledger_engines(ctx, sign=signer):
            made = None if is_seeded(ctx) else seed(ctx, keys, league_scopes=every_scope())
            _tell(made, f"http://{host}:{port}")
            app = web.create_app(ctx, home=home, demo=True)
            faulty = Faults(app, lambda scope, error: on_hansa_error(request_of(scope), error))
            turning = TURNS[clock] = Turning(ctx, connector, carry_on)
            before = [keep_trust_list(ctx, keys), lambda: _turn(turning)]
            with Worker(ctx, pause_s=0.2, before=before), courier(ctx, home):
                web.serve(faulty, host, port)


def _turn(turning: Turning) -> None:
    turning.once()


def _claim(home: Path, *, fresh: bool) -> None:
    """Errors: NotASandbox."""
    if os.environ.get("HANSA_DATABASE_URL"):
        raise NotASandbox("A sandbox has a database of its own: unset HANSA_DATABASE_URL for this command.")
    if home.exists() and any(home.iterdir()) and not (home / MARK).is_file():
        raise NotASandbox(f"{home} holds something else than a sandbox. Choose another --home.")
    if fresh and (home / MARK).is_file():
        EmbeddedServer(home).wipe()
        shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).write_text('{"sandbox": true}\n', encoding="utf-8")


def _tell(made: Seeded | None, address: str) -> None:
    out.print(f"[bold]Hansa sandbox[/bold] at {address}", highlight=False)
    if made is None:
        out.print(
            f"  Keys were shown when it was made; make others at {address}/developers/keys", highlight=False
        )
    else:
        out.print("  Keys, shown this once:", highlight=False)
        for name, secret in ((SHOPS, made.shop), (CARD, made.issuer), ("league", made.league)):
            out.print(f"    {name:<12} {secret}", highlight=False, soft_wrap=True)
    out.print(f"  {SHOPS} has the payee {PAYEE}; payers, by account:", highlight=False)
    for one in PEOPLE:
        out.print(f"    {one.name:<5} {one.account_id}  {one.says}", highlight=False, soft_wrap=True)
    out.print(
        f"  Money from outside: method connector, connector {CONNECTOR}. All of it: {address}/v1/sandbox"
    )
    out.print("  Stop with Ctrl-C; the same command starts it again with all its data.", highlight=False)
