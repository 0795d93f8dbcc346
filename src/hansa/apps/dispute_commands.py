"""``hansa dispute``: the evidence of a dispute as a file, checked without a database; requests taken at the edge."""

import sys
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from hansa import disputes
from hansa.apps.dispute_intake import Http, KeptOtherwise, Outbox, read_lines
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.witnessing import log_signer
from hansa.kernel import InvalidInput, Problem, SystemClock

out = Console(width=None if sys.stdout.isatty() else 120)
dispute_app = typer.Typer(
    no_args_is_help=True, help="Disputes: their evidence, checked offline; requests taken at the edge."
)

WAITS = 75
"""How the program ends while requests still wait (EX_TEMPFAIL of sysexits.h)."""

SIGNS = {True: "yes ", False: "NO  ", None: "open"}


@dispute_app.command()
def bundle(
    dispute: Annotated[UUID, typer.Argument(help="The dispute's id.")],
    file: Annotated[Path, typer.Argument(help="The zip to write.")],
    home: Home = DEFAULT_HOME,
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


@dispute_app.command()
def intake(
    outbox: Annotated[Path, typer.Option("--outbox", help="Folder that keeps what was taken.")],
    url: Annotated[str, typer.Option("--url", help="The league's address, such as https://league.example.")],
    key_file: Annotated[Path, typer.Option("--key-file", help="File with the member's API key.")],
    file: Annotated[
        Path | None, typer.Argument(help="Requests as JSON lines; - for standard input; none only sends.")
    ] = None,
    taken_with: Annotated[
        list[Path] | None,
        typer.Option("--taken-with", help="File with an older key, under which requests were taken."),
    ] = None,
    every: Annotated[
        float | None, typer.Option("--every", min=0.1, help="Go on sending, every so many seconds.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="Certificates to believe.")] = None,
) -> None:
    """Take requests about disputes, keep them on the disk, and send them as soon as the league answers.

    Ends with 0 when nothing waits any more, with 75 while something waits, with 1 where the league refused a request.
    """
    key = _key(key_file)
    box = Outbox(outbox, key, SystemClock(), older_keys=[_key(one) for one in taken_with or ()])
    door = Http(url, key, ca_file=ca_file)
    if file is not None:
        lines = sys.stdin.readlines() if str(file) == "-" else file.read_text(encoding="utf-8").splitlines()
        for request in read_lines(lines):
            try:
                fresh = box.keep(request)
            except KeptOtherwise as refused:
                _say(f"not taken {request.request_id}: {refused.detail}")
                raise SystemExit(1) from refused
            _say(f"{'taken' if fresh else 'known'} {request.request_id}")
    refused = False
    while True:
        refused |= _send(box, door)
        if every is None:
            break
        time.sleep(every)
    raise SystemExit(1 if refused else WAITS if box.waiting() else 0)


def _send(box: Outbox, door: Http) -> bool:
    """Send once and say what came of it; whether anything was refused."""
    told = box.send(door)
    for one in told:
        _say(f"{one.outcome} {one.request_id}{': ' if one.words else ''}{one.words}")
    return any(one.outcome == "refused" for one in told)


def _key(file: Path) -> str:
    try:
        key = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem("key-file", str(error), "Put the API key there, on one line")
        raise InvalidInput("The key cannot be read.", problems=(problem,)) from error
    return key


def _say(text: str) -> None:
    out.print(text, soft_wrap=True, markup=False, highlight=False)
