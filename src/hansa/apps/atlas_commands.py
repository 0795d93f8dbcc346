"""``hansa atlas``: read a city's network or a GTFS feed, say what is wrong with it, import it, try its fares."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from hansa import atlas, rides
from hansa.apps.open import opened
from hansa.apps.options import DEFAULT_HOME, Home
from hansa.kernel import InvalidInput, Problem
from hansa.rides import faresv2

atlas_app = typer.Typer(no_args_is_help=True, help="Cities and their networks: read, check, import.")

out = Console(width=None if sys.stdout.isatty() else 120)

Feed = Annotated[
    Path, typer.Argument(help="GTFS feed: a zip or a folder; or a city folder in Hansa's own format.")
]
CityToml = Annotated[
    Path | None, typer.Option("--city", help="For GTFS: the city.toml that says whose network this is.")
]
ValidFrom = Annotated[
    datetime | None,
    typer.Option(
        "--from",
        formats=["%Y-%m-%d"],
        help="First service day it holds, as 2027-01-01; else it takes the place of what holds today.",
    ),
]


@atlas_app.command()
def check(
    feed: Feed,
    city: CityToml = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON, for programs.")] = False,
    shown: Annotated[int, typer.Option(min=1, help="How many notices of each kind to show.")] = 10,
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Warn of a feed that has run out by then.")
    ] = None,
) -> None:
    """Read a feed whole and report everything that is wrong with it, with file, line, field and remedy.

    Kinds and severities are those of the canonical GTFS validator. One error, and the feed may not be imported: the
    command then ends with 1.
    """
    if (feed / "city.toml").is_file():
        read = atlas.read_city(feed)
        out.print(f"{read.city.name}: {len(read.stops)} stops, {len(read.lines)} lines. No problem found.")
        return
    facts = atlas.read_city_facts(city.parent) if city is not None else None
    report = atlas.check_gtfs(feed, city=facts, today=day.date() if day else None)
    text = report.as_json().decode() if as_json else report.as_text(shown_max=shown)
    print(text.rstrip("\n"), flush=True)
    if not report.ok:
        raise typer.Exit(1)


@atlas_app.command("import")
def import_(
    feed: Feed,
    city: CityToml = None,
    operator: Annotated[str | None, typer.Option(help="For GTFS: the member who operates it.")] = None,
    valid_from: ValidFrom = None,
    rules: Annotated[
        Path | None,
        typer.Option(help="Folder with the operator's tariff.toml: what the feed's fares do not say."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="For Fares v2: the feed's rider category of a class, as child=half."),
    ] = None,
    medium: Annotated[
        list[str] | None,
        typer.Option(help="For Fares v2: a fare medium that rides are paid with; all if none."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--check", help="Read and report; import nothing.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Import a city's network from a GTFS zip or folder, with its fares, or from a city folder.

    Fares of a feed become the operator's tariff: its Fares v2, priced by the feed itself, or else its Fares v1.

    Every problem is named with file, line, field and remedy; with one error nothing is imported.

    Example: [cyan]hansa atlas import feed.zip --city utsunomiya/city.toml --operator utsunomiya-lightline[/cyan]
    """
    begins = valid_from.date() if valid_from else None
    fares, tariff, warnings = None, None, 0
    if (feed / "city.toml").is_file():
        read = atlas.read_city(feed)
    else:
        if city is None or operator is None:
            raise typer.BadParameter("A GTFS feed does not say whose it is: name --city and --operator.")
        facts = atlas.read_city_facts(city.parent)
        gtfs = atlas.read_gtfs(feed, city=facts, operator_id=operator)
        read, fares = gtfs.city_file, gtfs.fares_v2
        warnings = gtfs.report.count("WARNING") if gtfs.report else 0
        if fares:
            tariff = rides.tariff_from_fares_v2(
                fares,
                operator_id=operator,
                city=facts,
                rules=rules,
                valid_from=begins,
                categories=_categories(category or []),
                media=medium or [],
            )
        elif gtfs.fares_v1:
            tariff = rides.tariff_from_fares_v1(
                gtfs.fares_v1, operator_id=operator, rules=rules, city=facts, valid_from=begins
            )
    found = f"{read.city.name}: {len(read.stops)} stops, {len(read.lines)} lines"
    if fares:
        found += f", {len(fares.leg_rules)} fare leg rules"
    if warnings:
        found += f", {warnings} warning{'s' if warnings > 1 else ''} (hansa atlas check shows them)"
    if dry_run:
        out.print(f"{found}. No problem found; nothing imported.")
        return
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        report = atlas.import_city(tx, read, valid_from=begins, fares=fares)
        if tariff is not None:
            rides.import_tariff(tx, tariff)
    said = (
        f"Imported{' with its fares' if tariff or fares else ''}"
        if report.changed
        else "It was there already"
    )
    out.print(f"{found}. {said}: version {report.version}, {_since(report.valid_from)}.")


@atlas_app.command()
def versions(
    city_id: Annotated[str, typer.Argument(help="The city, such as utsunomiya.")], home: Home = DEFAULT_HOME
) -> None:
    """List the versions of a city's network, and from which service day each holds."""
    with opened(home, join=True) as ctx, ctx.tx() as tx:
        found = atlas.list_versions(tx, city_id)
    table = Table("version", "holds", "imported", "Fares v2", "content", title=city_id, title_justify="left")
    for one in found:
        fares = "yes" if one.has_fares_v2 else ""
        imported = f"{one.imported_at:%Y-%m-%d %H:%M}"
        table.add_row(str(one.version), _since(one.valid_from), imported, fares, one.digest.hex()[:12])
    out.print(table)


@atlas_app.command()
def fare(
    feed: Annotated[Path, typer.Argument(help="GTFS feed with Fares v2: a zip or a folder.")],
    legs: Annotated[
        list[str],
        typer.Option(
            "--leg",
            help="A leg, in order of travel: ROUTE,FROM,TO,DEPARTURE,ARRIVAL, local times as 2026-11-17T08:00.",
        ),
    ],
    category: Annotated[
        str | None, typer.Option(help="Rider category; the feed's default if not named.")
    ] = None,
    medium: Annotated[
        list[str] | None, typer.Option(help="Fare medium the rider may use; all if not named.")
    ] = None,
    chinese: Annotated[bool, typer.Option("--zh", help="Tell the steps in Chinese.")] = False,
) -> None:
    """Work out what a journey costs by a feed's Fares v2, with every step, its clause and its row in the feed."""
    fares = atlas.read_fares_v2(feed)
    rider = faresv2.Rider(category, frozenset(medium) if medium else None)
    journey = [_leg(number, text, fares) for number, text in enumerate(legs, 1)]
    priced = faresv2.price(faresv2.FareBook(fares), journey, rider)
    for step in priced.steps:
        out.print(
            f"{step.amount!s:>10}  {faresv2.told(step, 'zh' if chinese else 'en')}",
            highlight=False,
            soft_wrap=True,
        )
    out.print(f"{priced.total!s:>10}  {', '.join(priced.products)}", highlight=False, soft_wrap=True)


def _categories(given: list[str]) -> dict[str, str]:
    """``child=half`` as the category of a class. Errors: typer.BadParameter."""
    pairs = [one.partition("=") for one in given]
    for (name, sign, one), text in zip(pairs, given, strict=True):
        if not sign or not one or name not in rides.RIDER_CLASSES:
            raise typer.BadParameter(
                f"{text!r}: write CLASS=CATEGORY, with one of {', '.join(rides.RIDER_CLASSES)}"
            )
    return {name: one for name, _, one in pairs}


def _leg(number: int, text: str, fares: atlas.FaresV2) -> faresv2.Leg:
    parts = [part.strip() for part in text.split(",")]
    try:
        route, start, end, departure, arrival = parts
        departs_at = datetime.fromisoformat(departure).replace(tzinfo=ZoneInfo(fares.tz_of(start)))
        arrives_at = datetime.fromisoformat(arrival).replace(tzinfo=ZoneInfo(fares.tz_of(end)))
    except ValueError:
        remedy = "Write ROUTE,FROM,TO,DEPARTURE,ARRIVAL, as Red,70061,70079,2026-11-17T08:00,2026-11-17T08:20"
        problem = Problem(f"leg {number}", f"{text!r} has another form", remedy)
        raise InvalidInput("A leg cannot be read.", problems=(problem,)) from None
    return faresv2.Leg(route, start, end, departs_at, arrives_at)


def _since(day: date) -> str:
    return "for ever" if day == date.min else f"from {day}"
