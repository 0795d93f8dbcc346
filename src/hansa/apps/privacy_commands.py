"""The commands of ``hansa privacy``: which keys wrap personal data, and whether an old one may be destroyed."""

import typer
from rich.console import Console
from rich.table import Table

from hansa import identity
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.store import read_secret

out = Console(width=120)

privacy_app = typer.Typer(no_args_is_help=True, help="Personal data: the keys that wrap them.")


@privacy_app.command()
def keys(home: Home = DEFAULT_HOME) -> None:
    """How many accounts each version of the key-encryption key serves. One that serves none may be destroyed.

    After `hansa secrets rotate personal-data` the worker wraps all data keys anew. Once an old version is destroyed,
    copies of the database from before open no more, so keep copies no longer than versions.
    """
    secret = read_secret(identity.PERSONAL_DATA, home / "keys")
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        wrapped = identity.count_data_keys(tx)
    table = Table("version", "accounts", "what to do", box=None)
    for version in sorted(secret.versions.keys() | wrapped.keys()):
        count = wrapped.get(version, 0)
        if version not in secret.versions:
            words = "put it back: these accounts cannot be read"
        elif version == secret.newest:
            words = "wraps"
        else:
            words = "wait for the worker" if count else "may be destroyed"
        table.add_row(str(version), f"{count:,}", words)
    out.print(table)
