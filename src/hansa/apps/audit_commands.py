"""``hansa audit``: the record of who did what, checked and read; and what keeps it sealed and signed in the worker."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa import audit
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.report_commands import audit_app
from hansa.apps.witnessing import log_signer
from hansa.kernel import Clock, HansaError
from hansa.store import Context, forget_throttles
from hansa.trust import KeyFolder
from hansa.trust.tlog import Checkpoint, Note, VerifierKey, sign_checkpoint

out = Console(width=None if sys.stdout.isatty() else 140)


NOTES = "audit-heads"
"""The file of the home folder to which each signed head is added. Copy it to where no administrator of ours writes."""

LOOK_EVERY_S = 60.0


@audit_app.command("check")
def check_record(
    heads: Annotated[
        list[Path] | None,
        typer.Option("--heads", help="A file of signed heads kept elsewhere; again for more."),
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Work out every seal of the audit record anew, against the signed heads too. Names the first broken place."""
    key = _verifier(home)
    with opened(home, join=True) as ctx:
        while audit.seal(ctx):
            pass
        with ctx.tx() as tx:
            notes = [one.note for one in audit.list_checkpoints(tx)]
            for file in (home / NOTES, *(heads or ())):
                if file.exists() or file in (heads or ()):
                    notes += [part for part in file.read_text("utf-8").split("\n\n\n") if part.strip()]
            checked = audit.check(tx, [_head_of(note, key) for note in notes])
    told = f"{checked.acts:,} acts in {len(checked.heads)} chains, {len(notes):,} signed heads"
    if checked.broken is not None:
        out.print(f"Broken after {told}: {checked.broken}", soft_wrap=True, markup=False, highlight=False)
        raise SystemExit(1)
    out.print(f"Whole: {told}.", highlight=False)


@audit_app.command("record")
def show_record(
    words: Annotated[str, typer.Argument(help="Some text of the acts.")] = "",
    actor: Annotated[str | None, typer.Option(help="Who did it, such as staff:….")] = None,
    action: Annotated[
        str | None, typer.Option(help="What was done: tariff.approve, or all of tariff.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    home: Home = DEFAULT_HOME,
) -> None:
    """Read the audit record, newest first."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = audit.search(tx, words=words or None, actor=actor, action=action, limit=limit)
    table = Table("at (UTC)", "chain", "no", "who", "did", "to", "why", box=None)
    for one in found:
        when, place = f"{one.at:%Y-%m-%d %H:%M:%S}", "" if one.place is None else str(one.place)
        table.add_row(when, one.chain, place, one.actor, one.action, one.subject, one.reason)
    out.print(table)


def keep_record(ctx: Context, home: Path) -> Callable[[], None]:
    """What the worker calls at each turn: each minute full buckets are forgotten, each hour heads are signed."""
    looked_at = -LOOK_EVERY_S

    def keep() -> None:
        nonlocal looked_at
        if monotonic() < looked_at + LOOK_EVERY_S:
            return
        looked_at = monotonic()
        with ctx.tx() as tx:
            forget_throttles(tx, ctx.clock.now())
        sign_heads(ctx, home, ctx.clock)

    return keep


def sign_heads(ctx: Context, home: Path, clock: Clock, *, every: timedelta = timedelta(hours=1)) -> int:
    """Sign the ends of chains that have grown, and add them to the home's file; gives how many.

    A head is in the file before it is in the database: a crash between the two signs it again, which harms nothing.
    """
    key, name = KeyFolder(home / "keys").log(), log_signer(home).name

    def sign(head: audit.Head) -> str:
        note = str(sign_checkpoint(Checkpoint(_origin(name, head.chain), head.place, head.hash), key))
        with (home / NOTES).open("a", encoding="utf-8") as file:
            file.write(f"{note}\n\n")
        return note

    with ctx.tx() as tx:
        return len(audit.keep_checkpoints(tx, sign, clock.now(), every=every))


def _origin(name: str, chain: str) -> str:
    return f"{name}/audit/{chain}"


class BadHead(HansaError):
    """A signed head is not by this house's key, or is damaged."""

    code = "audit.bad_head"
    status = 422


def _verifier(home: Path) -> Callable[[str], VerifierKey]:
    key, name = KeyFolder(home / "keys").log(), log_signer(home).name
    return lambda chain: VerifierKey.of(key, _origin(name, chain))


def _head_of(text: str, key_of: Callable[[str], VerifierKey]) -> audit.Head:
    note = Note.parse(text.strip("\n") + "\n")
    checkpoint = Checkpoint.parse(note.text)
    name, _, chain = checkpoint.origin.partition("/audit/")
    if not name or not chain:
        raise BadHead(f"{checkpoint.origin} is no chain of the audit record.")
    note.verify([key_of(chain)])
    return audit.Head(chain, checkpoint.size, checkpoint.root)
