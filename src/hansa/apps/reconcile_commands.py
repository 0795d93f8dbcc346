"""``hansa reconcile``: a day proved step by step. ``hansa compare``: members' own files held against ours."""

import getpass
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hansa import reconciliation
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.kernel import Money
from hansa.reconciliation import Verdict

out = Console(width=None if sys.stdout.isatty() else 120)
compare_app = typer.Typer(no_args_is_help=True, help="Members' own files held against our items.")

SIGNS = {
    Verdict.HOLDS: "[green]holds[/]",
    Verdict.WAITS: "[yellow]waits[/]",
    Verdict.FAILS: "[red]FAILS[/]",
}

FINDINGS_SHOWN = 20

Day = Annotated[str, typer.Argument(help="A business day, as 2026-11-17.")]


def reconcile(day: Day, home: Home = DEFAULT_HOME) -> None:
    """Prove a day: taps, charges, ledger, positions, nets, payments, bank. Fails where something is not explained."""
    with opened(home, join=True) as ctx:
        proof = reconciliation.prove_day(ctx, date.fromisoformat(day), by=getpass.getuser())
    table = Table(
        "", "step", "looked at", "comes to", "waits", "not explained", title=f"{day}, proof {proof.number}"
    )
    for step in proof.steps:
        sums = "\n".join(str(Money(minor, currency)) for currency, minor in step.sums.items())
        table.add_row(
            SIGNS[step.verdict],
            step.question,
            f"{step.counted:,}",
            sums,
            f"{step.waiting:,}" if step.waiting else "",
            f"{step.unexplained:,}" if step.unexplained else "",
        )
    out.print(table)
    for step in proof.steps:
        for one in step.findings[:FINDINGS_SHOWN]:
            amount = "" if one.minor is None else f" {Money(one.minor, one.currency)}"
            out.print(
                f"[red]{step.name.value}[/] {escape(one.ref)}: {escape(one.words)}{amount}", soft_wrap=True
            )
        if step.unexplained > FINDINGS_SHOWN:
            out.print(f"  and {step.unexplained - FINDINGS_SHOWN:,} more.")
    if not proof.windows:
        out.print("No window of this day is closed yet.")
    out.print(f"The day {SIGNS[proof.verdict]}.")
    if proof.verdict is Verdict.FAILS:
        raise SystemExit(1)


@compare_app.command()
def profile(
    file: Annotated[Path, typer.Argument(help="A TOML text: how the member's files are read.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Let a member's files be read so from now on."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        now = ctx.clock.now()
        made = reconciliation.set_profile(tx, file.read_text(), by=getpass.getuser(), at=now)
    out.print(f"Files of {made.member_id} are read by {len(made.rules)} rules.")


@compare_app.command("file")
def compare(
    member: Annotated[str, typer.Argument(help="Whose file it is.")],
    file: Annotated[Path, typer.Argument(help="The file, CSV or Parquet.")],
    day: Day,
    last: Annotated[
        str | None, typer.Option("--to", help="The last business day, if there are more.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Hold a member's own file against our items. Fails where rows on either side have no partner."""
    first_day = date.fromisoformat(day)
    last_day = first_day if last is None else date.fromisoformat(last)
    with opened(home, join=True) as ctx:
        made = reconciliation.read_file(
            ctx, file, member, first_day, last_day, name=file.name, by=getpass.getuser()
        )
    out.print(f"{made.file.theirs:,} rows of {member}, {made.file.ours:,} items of ours.")
    for rule, count, apart in made.rules:
        out.print(
            f"  {count:,} matched by {escape(rule)}" + (f", {apart:,} minor units apart" if apart else "")
        )
    theirs, ours = made.left_of("t"), made.left_of("o")
    out.print(
        f"Without a partner: {theirs:,} of theirs, {ours:,} of ours. File {made.file.file_id}", soft_wrap=True
    )
    if theirs or ours:
        raise SystemExit(1)
