"""The command ``hansa witness``: follow the logs of other cities and sign what has only grown."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hansa.apps.options import DEFAULT_HOME
from hansa.kernel import SystemClock
from hansa.trust import KeyFolder
from hansa.trust.tlog import BadPolicy, KeyKind, VerifierKey, Witness

out = Console(width=None if sys.stdout.isatty() else 120)


def read_logs(file: Path) -> list[VerifierKey]:
    """The verifier keys of a file, one a line; empty lines and lines that begin with # count for nothing.

    Errors: BadVerifierKey.
    """
    lines = (line.strip() for line in file.read_text(encoding="utf-8").split("\n"))
    return [VerifierKey.parse(line) for line in lines if line and not line.startswith("#")]


def witness(
    name: Annotated[
        str,
        typer.Option(help="Under which name to sign, such as utsunomiya.example/witness; keep it for good."),
    ],
    log: Annotated[
        list[str] | None, typer.Option(help="Verifier key of a log to follow; may be given again.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to serve on.")] = 8_018,
    home: Annotated[
        Path,
        typer.Option(
            "--home",
            envvar="HANSA_HOME",
            help="Folder with the key, in keys; with the followed logs in witness/logs, a verifier key a line; and "
            "with what was signed last, in witness.",
        ),
    ] = DEFAULT_HOME,
    only_key: Annotated[
        bool, typer.Option("--key", help="Print the verifier key of this witness and stop.")
    ] = False,
) -> None:
    """Be a witness: sign other cities' checkpoints, and only those that continue what was signed before.

    Example: [cyan]hansa witness --name utsunomiya.example/witness --log london.example/ledger/0+…[/cyan]
    """
    from hansa.apps.witness import serve_witness

    key = KeyFolder(home / "keys").witness()
    verifier_key = VerifierKey.of(key, name, KeyKind.COSIGNATURE)
    out.print(str(verifier_key), highlight=False, markup=False, soft_wrap=True)
    if only_key:
        return
    followed = home / "witness" / "logs"
    logs = [VerifierKey.parse(text) for text in log or []] + (
        read_logs(followed) if followed.exists() else []
    )
    if not logs:
        raise BadPolicy(
            f"This witness follows no log. Name one with --log, or put its verifier key into {followed}."
        )
    with Witness(home / "witness", name=name, key=key, logs=logs, clock=SystemClock()) as running:
        for origin in running.origins:
            out.print(f"  follows {origin}", highlight=False, markup=False)
        out.print(
            f"  at http://{host}:{port}/add-checkpoint. Stop with Ctrl-C.", highlight=False, markup=False
        )
        serve_witness(running, host, port)
