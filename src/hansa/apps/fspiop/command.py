"""``hansa fspiop``: Mojaloop's interfaces, served on a port of their own."""

from typing import Annotated

import typer
from rich.console import Console

from hansa.apps.engines import ledger_engines
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.witnessing import log_signer

out = Console()

fspiop_app = typer.Typer(no_args_is_help=True, help="Mojaloop's interfaces over the hub.")


@fspiop_app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve on.")] = 8_018,
    home: Home = DEFAULT_HOME,
    trusted_network: Annotated[
        bool,
        typer.Option(
            "--trusted-network", help="Whoever reaches this port is who it says: mutual TLS stands in front."
        ),
    ] = False,
    one_person: Annotated[
        bool, typer.Option("--one-person", help="Funds and members need no second person, as at Mojaloop.")
    ] = False,
    private_calls: Annotated[
        bool, typer.Option("--private-calls", help="Members may be called inside our own networks.")
    ] = False,
) -> None:
    """Serve members by FSPIOP 1.1, and the operator by the interfaces of central ledger and settlement."""
    from hansa.apps import fspiop
    from hansa.apps.web.serve import listen
    from hansa.apps.web.serve import serve as serve_app

    listen(host, port).close()
    choices = fspiop.Choices(
        trusted_network=trusted_network, one_person=one_person, private_calls=private_calls
    )
    with (
        opened(home, join=True) as ctx,
        ledger_engines(ctx, sign=log_signer(home)),
        fspiop.running(ctx, home / "keys", choices) as app,
    ):
        out.print(f"Mojaloop's interfaces on http://{host}:{port}. Stop with Ctrl-C.")
        serve_app(app, host, port)
