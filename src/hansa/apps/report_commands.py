"""``hansa report`` and ``hansa audit``: statements of a day as files, and audit packs, written and checked."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hansa import clearing, reports
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.apps.witnessing import log_signer
from hansa.trust import KeyFolder

out = Console(width=None if sys.stdout.isatty() else 120)
report_app = typer.Typer(no_args_is_help=True, help="Reports: statements of members as files.")
audit_app = typer.Typer(
    no_args_is_help=True,
    help="The record of who did what, and audit packs: a window that proves itself without us.",
)

SIGNS = {True: "yes ", False: "NO  ", None: "open"}

Window = Annotated[
    str, typer.Argument(help="A business day, as 2026-11-17, or a window's id, as hourly-20261117-3.")
]


@report_app.command()
def statements(
    window: Window,
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    member: Annotated[
        list[str] | None, typer.Option("--member", help="Only this member; again for more.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Items as CSV instead of Parquet.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the statements of a window, for all who settle: PDF in English and Chinese, CSV, Parquet, and items."""
    with opened(home, join=True) as ctx:
        written = reports.write_statements(
            ctx,
            window_of(window),
            folder,
            members=member,
            languages=reports.LANGUAGES,
            item_form="csv" if csv else "parquet",
        )
    out.print(
        f"{folder}: statements of {written.members:,} members over {written.items:,} items.", soft_wrap=True
    )


@audit_app.command()
def pack(
    window: Window,
    file: Annotated[
        Path | None, typer.Option("--out", help="The zip to write; else audit-WINDOW.zip here.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the audit pack of a closed window. Whoever has it reads the window's items: give it to auditors alone."""
    window_id = window_of(window)
    with opened(home, join=True) as ctx:
        made = reports.audit_pack(
            ctx,
            window_id,
            file or Path(f"audit-{window_id}.zip"),
            log_signer(home),
            KeyFolder(home / "keys").log(),
        )
    out.print(
        f"{made.path}: {made.files:,} files, {made.items:,} items, digest {made.digest}.", soft_wrap=True
    )


@audit_app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The zip.")],
    log: Annotated[
        list[str] | None,
        typer.Option("--log", help="Verifier key of a log to believe (hansa ledger checkpoint --key)."),
    ] = None,
) -> None:
    """Check an audit pack without any database. Fails where something in it does not hold."""
    checked = reports.check_pack(file, log_keys=tuple(log or ()))
    for one in checked:
        out.print(f"{SIGNS[one.ok]} {one.what}: {one.told}", soft_wrap=True, markup=False, highlight=False)
    if any(one.ok is False for one in checked):
        raise SystemExit(1)


def window_of(text: str) -> str:
    """A window's id; a day stands for the league's business day."""
    try:
        return clearing.day_window(date.fromisoformat(text))
    except ValueError:
        return text
