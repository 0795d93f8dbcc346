"""``hansa ledger receipt``, ``checkpoint``, ``tiles``, ``hansa verify``: the books as a log that others can check."""

import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from hansa import ledger
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.witnessing import log_signer
from hansa.trust.tlog.standalone import hansa_verify

out = Console(width=None if sys.stdout.isatty() else 120)

Partition = Annotated[int, typer.Option(min=0, max=32_767, help="Which partition's log.")]


def receipt(
    transfer: Annotated[UUID, typer.Argument(help="The transfer's id.")],
    file: Annotated[
        Path | None, typer.Option("--out", help="Write the receipt to this file instead of showing it.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Give a transfer's receipt: the row, its salt, and the proof that it stands in the log.

    Whoever has it can read the transfer. Check it with hansa_verify.py, which needs nothing else.
    """
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        text = str(ledger.receipt(tx, ledger.TransferId(transfer), log_signer(home)))
    if file is None:
        print(text)
    else:
        file.write_text(f"{text}\n", encoding="utf-8")
        out.print(f"{file}: the receipt of {transfer}.", soft_wrap=True)


def checkpoint(
    partition: Partition = 0,
    only_key: Annotated[
        bool, typer.Option("--key", help="Print the log's verifier key instead; give it to witnesses.")
    ] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Print a log's newest checkpoint, signed, with its witnesses' signatures; later books must continue it."""
    signer = log_signer(home)
    if only_key:
        print(signer.verifier_key(partition))
        return
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        note = ledger.LogReader(tx, partition).checkpoint(signer)
    print(note, end="")


def tiles(
    folder: Annotated[Path, typer.Option("--out", help="Folder to write to; one for each log.")],
    partition: Partition = 0,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write a log as files that any web server can serve: hashes and a checkpoint, nothing of any rider.

    Again writes only what is new. A folder with a checkpoint that these books do not continue is left alone.
    """
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        written = ledger.export_tiles(tx, partition, folder, log_signer(home))
    out.print(f"{folder}: {written.origin} at {written.size:,} entries.", soft_wrap=True)


def verify(
    file: Annotated[Path, typer.Argument(help="A receipt (JSON), or a statement: zip, pdf or csv.")],
    log_key: Annotated[
        str, typer.Option("--log", help="Verifier key of the log to believe (hansa ledger checkpoint --key).")
    ],
    seal: Annotated[Path | None, typer.Option("--seal", help="The seal of a table (csv).")] = None,
    witness: Annotated[
        list[str] | None, typer.Option("--witness", help="A witness's verifier key; may be repeated.")
    ] = None,
) -> None:
    """Check a receipt or a statement without network or database: the same as hansa_verify.py, which needs no Hansa."""
    question = "receipt" if file.suffix == ".json" else "statement"
    words = [question, str(file), "--log-key", log_key]
    words += [part for key in witness or () for part in ("--witness", key)]
    words += ["--seal", str(seal)] if seal else []
    raise SystemExit(hansa_verify.main(words))
