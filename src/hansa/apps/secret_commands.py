"""``hansa secrets``: the secrets that seal personal data and pepper digests, told and rotated, never printed."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa.apps.options import DEFAULT_HOME, Home
from hansa.store import list_secrets, rotate_secret

out = Console(width=None if sys.stdout.isatty() else 140)
secrets_app = typer.Typer(
    no_args_is_help=True, help="Secrets by file or environment: which there are, and the next version."
)


@secrets_app.command("list")
def list_(home: Home = DEFAULT_HOME) -> None:
    """Which secrets there are, in which versions, and where from. No value is shown."""
    table = Table("secret", "versions", "written with", "where", box=None)
    for secret in list_secrets(home / "keys"):
        versions = ", ".join(map(str, sorted(secret.versions)))
        table.add_row(secret.name, versions, str(secret.newest), secret.where)
    out.print(table)


@secrets_app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="Which secret, such as sealing.")], home: Home = DEFAULT_HOME
) -> None:
    """Make a secret's next version, or its first. What older ones sealed is still read; restart to write with it."""
    secret = rotate_secret(name, home / "keys")
    out.print(f"{name}: version {secret.newest} is written with from the next start on.", highlight=False)
