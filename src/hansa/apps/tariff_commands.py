"""``hansa tariff check`` and ``import``: an operator's fares as data, read, held against the network, put in force."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hansa import atlas, fares, rides
from hansa.apps.open import opened
from hansa.kernel import InvalidInput

tariff_app = typer.Typer(no_args_is_help=True, help="Tariffs as data: check and import.")

out = Console(width=None if sys.stdout.isatty() else 120)

Home = Annotated[Path, typer.Option("--home", envvar="HANSA_HOME", help="Folder of the embedded database.")]
Folder = Annotated[Path, typer.Argument(help="Folder with tariff.toml and its tables.")]
DEFAULT_HOME = Path(".hansa")


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
    if found:
        table = Table("severity", "where", "what", "remedy")
        for one in found:
            table.add_row(one.severity, one.where, one.what, one.remedy)
        out.print(table)
    held = "its network" if network is not None else "no network (name the city's folder with --city)"
    errors = sum(one.severity == "error" for one in found)
    out.print(
        f"{tariff.operator_id}: a tariff in {tariff.currency} from {tariff.valid_from}, held against {held}. "
        + (f"{errors:,} errors, {len(found) - errors:,} warnings." if found else "No problem found."),
        highlight=False,
    )
    if tariff.asks:
        out.print(
            f"The books do not keep yet what it needs: {', '.join(sorted(tariff.asks))}.", highlight=False
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


def _network(city_id: str, folder: Path | None) -> atlas.Network | None:
    if folder is None:
        try:
            folder = atlas.city_folder(city_id)
        except InvalidInput:
            return None
    return atlas.network_of(atlas.read_city(folder))
