"""``hansa tariff``: an operator's fares as data, checked, proposed, approved by another, compared, put in force."""

import getpass
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from hansa import atlas, fares, rides
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.kernel import InvalidInput, Money, fact_id

tariff_app = typer.Typer(
    no_args_is_help=True, help="Tariffs as data: check, propose, approve, compare, import."
)

out = Console(width=None if sys.stdout.isatty() else 120)

Folder = Annotated[Path, typer.Argument(help="Folder with tariff.toml and its tables.")]


@tariff_app.command()
def check(
    folder: Folder,
    city: Annotated[
        Path | None, typer.Option(help="The city's folder; one that comes with Hansa is found by itself.")
    ] = None,
) -> None:
    """Read a tariff and report every problem with file, line, field and remedy.

    Held against the city's network it also tells of pairs of stops without a fare. Errors end with code 1.
    """
    tariff = rides.read_tariff(folder)
    network = _network(tariff.city_id, city)
    found = fares.check_tariff(tariff, network)
    _tell(found)
    held = "its network" if network is not None else "no network (name the city's folder with --city)"
    errors = sum(one.severity == "error" for one in found)
    out.print(
        f"{tariff.operator_id}: a tariff in {tariff.currency} from {tariff.valid_from}, held against {held}. "
        + (f"{errors:,} errors, {len(found) - errors:,} warnings." if found else "No problem found."),
        highlight=False,
    )
    if errors:
        raise typer.Exit(1)


@tariff_app.command("import")
def import_(folder: Folder, home: Home = DEFAULT_HOME) -> None:
    """Import a tariff version. One with errors is refused whole; versions already priced by stay as they are."""
    tariff = rides.read_tariff(folder)
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        fares.refuse_unsound(tariff, atlas.get_network(tx, tariff.city_id, day=tariff.valid_from))
        rides.import_tariff(tx, tariff)
    out.print(f"{tariff.operator_id}: tariff from {tariff.valid_from} imported.")


@tariff_app.command()
def propose(
    folder: Folder,
    note: Annotated[str, typer.Option(help="What changes, in a few words.")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Hand a tariff in for a second person to approve. One with errors is kept as a draft and ends with code 1."""
    tariff = rides.read_tariff(folder)
    digest, by = rides.digest_of(tariff.source), getpass.getuser()
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = rides.propose_tariff(
            tx,
            fact_id(None, "tariff proposed", tariff.operator_id, digest.hex(), by, note),
            operator_id=tariff.operator_id,
            source=tariff.source,
            by=by,
            at=ctx.clock.now(),
            note=note,
        )
    _tell(found.findings)
    out.print(f"{found.proposal_id}: {found.state}, from {found.valid_from}.", highlight=False)
    if found.state == "draft":
        raise typer.Exit(1)


@tariff_app.command()
def approve(
    proposal_id: Annotated[UUID, typer.Argument(help="As `hansa tariff propose` told it.")],
    why: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    days_again: Annotated[
        int | None,
        typer.Option(help="Where its first day has begun: how many service days are to be rated again."),
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Put a proposed tariff in force from its first day; whoever wrote or proposed it cannot."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = rides.approve_tariff(
            tx, proposal_id, by=getpass.getuser(), at=ctx.clock.now(), why=why, days_again=days_again
        )
    out.print(f"{proposal_id}: {found.state}, from {found.valid_from}.", highlight=False)


@tariff_app.command()
def withdraw(
    proposal_id: Annotated[UUID, typer.Argument(help="The proposal.")],
    why: Annotated[str, typer.Option(help="Why, in a few words.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Take a proposal back, or an approved tariff until an hour before it begins."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = rides.withdraw_tariff(tx, proposal_id, by=getpass.getuser(), at=ctx.clock.now(), why=why)
    out.print(f"{proposal_id}: {found.state}.", highlight=False)


@tariff_app.command()
def compare(
    after: Annotated[Path, typer.Argument(help="Folder with the tariff that is held against past journeys.")],
    first_day: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First service day.")],
    last_day: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last one; the first, if left out.")
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(help="Folder of the other; the tariff in force on the first day, if left out."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every figure to this file too.")] = None,
    journeys_max: Annotated[int, typer.Option(help="Refuse more journeys than this.")] = 10_000_000,
    home: Home = DEFAULT_HOME,
) -> None:
    """What two tariffs make of the journeys of past days: fares by class and line, riders better and worse off."""
    new = rides.read_tariff(after)
    first, last = first_day.date(), (last_day or first_day).date()
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        old = rides.get_tariff(tx, new.operator_id, first) if before is None else rides.read_tariff(before)
        found = rides.compare_tariffs(tx, old, new, first_day=first, last_day=last, journeys_max=journeys_max)
    _tell_comparison(found)
    if csv is not None:
        csv.write_text(rides.comparison_csv(found), encoding="utf-8")
        out.print(f"Every figure: {csv}", highlight=False)


def _tell(findings: Sequence[fares.Finding]) -> None:
    if not findings:
        return
    table = Table("severity", "where", "what", "remedy")
    for one in findings:
        table.add_row(one.severity, one.where, one.what, one.remedy)
    out.print(table)


def _tell_comparison(found: rides.Comparison) -> None:
    def money(minor: int) -> str:
        return str(Money(minor, found.currency))

    table = Table("", "journeys", "before", "after", "change")
    rows = [("all", found.journeys, found.before_minor, found.after_minor)]
    for kind, some in (("class", found.by_class), ("product", found.by_product), ("line", found.by_line)):
        rows += [
            (f"{kind} {row.name or '-'}", row.journeys, row.before_minor, row.after_minor) for row in some
        ]
    for name, journeys, one, other in rows:
        table.add_row(name, f"{journeys:,}", money(one), money(other), money(other - one))
    out.print(table)
    out.print(
        f"{found.riders:,} riders: {found.better:,} better off, {found.same:,} the same, {found.worse:,} worse. "
        f"The books hold {money(found.books_minor)} for these journeys.",
        highlight=False,
    )
    if found.lines_by_way:
        out.print(
            f"{found.lines_by_way:,} journeys whose taps tell no line count for that on which the shortest way begins.",
            highlight=False,
        )
    for reason in found.unpriced:
        out.print(f"No fare {reason.side}, {reason.journeys:,} journeys: {reason.why}", highlight=False)


def _network(city_id: str, folder: Path | None) -> atlas.Network | None:
    if folder is None:
        try:
            folder = atlas.city_folder(city_id)
        except InvalidInput:
            return None
    return atlas.network_of(atlas.read_city(folder))
