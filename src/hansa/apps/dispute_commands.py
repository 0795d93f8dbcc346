"""``hansa dispute bundle`` and ``verify``: the evidence of a dispute as a file, and checking it without a database."""

import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from hansa import disputes
from hansa.apps.open import opened
from hansa.apps.witnessing import log_signer

out = Console(width=None if sys.stdout.isatty() else 120)
dispute_app = typer.Typer(no_args_is_help=True, help="Disputes: their evidence, and checking it offline.")

SIGNS = {True: "yes ", False: "NO  ", None: "open"}


@dispute_app.command()
def bundle(
    dispute: Annotated[UUID, typer.Argument(help="The dispute's id.")],
    file: Annotated[Path, typer.Argument(help="The zip to write.")],
    home: Annotated[
        Path,
        typer.Option("--home", envvar="HANSA_HOME", help="Folder of the database, and of the log's key."),
    ] = Path(".hansa"),
) -> None:
    """Write the evidence of a dispute as one zip. Whoever has it can read the ride: give it to the two sides alone."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        data = disputes.evidence_bundle(tx, dispute, log_signer(home))
    file.write_bytes(data)
    out.print(f"{file}: the evidence of {dispute}.", soft_wrap=True)


@dispute_app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The zip.")],
    log: Annotated[
        list[str] | None,
        typer.Option("--log", help="Verifier key of a log to believe (hansa ledger checkpoint --key)."),
    ] = None,
) -> None:
    """Check an evidence bundle without any database. Fails where something in it does not hold."""
    checked = disputes.check_bundle(file.read_bytes(), log_keys=tuple(log or ()))
    for one in checked:
        out.print(f"{SIGNS[one.ok]} {one.what}: {one.told}", soft_wrap=True, markup=False, highlight=False)
    if any(one.ok is False for one in checked):
        raise SystemExit(1)
