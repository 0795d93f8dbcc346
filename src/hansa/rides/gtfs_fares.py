"""A tariff from a GTFS feed: its Fares v1 become the table of pairs, the operator's rules come from its folder."""

import csv
import io
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

from hansa.atlas import FaresV1
from hansa.fares import RIDER_CLASSES, Tariff, TariffSource, read_source, tariff_folder
from hansa.kernel import InvalidInput, Money, Problem


class CityFacts(Protocol):
    """What a plain tariff needs of a city; ``atlas.City`` is one."""

    @property
    def city_id(self) -> str: ...
    @property
    def tz(self) -> str: ...


def tariff_from_fares_v1(
    fares: FaresV1,
    *,
    operator_id: str,
    rules: Path | None = None,
    city: CityFacts | None = None,
    valid_from: date | None = None,
) -> Tariff:
    """The tariff of a feed with Fares v1.

    The form knows adult prices between zones and nothing else; classes, day start and missing taps are read from
    the ``tariff.toml`` in ``rules`` (else from the folder of this operator that comes with Hansa), whose basis
    names a table by zone. Without one, but with ``city``, every class pays the adult price.
    valid_from: the first service day it is in force, in the place of the one that the rules name.
    What the form says of transfers is not part of it: each journey is priced from where it begins to where it ends.
    Errors: InvalidInput when the feed has no fare between any two zones, when its fares hang on the line or on zones
    passed through, which a table of pairs cannot say (GTFS Reference, fare_rules.txt), or as read_tariff.
    """
    zones = sorted(
        {zone for rule in fares.rules for zone in (rule.origin_zone, rule.destination_zone) if zone}
    )
    _refuse_what_no_table_says(fares, zones)
    priced = _prices(fares, zones, None)
    currencies = {price.currency for price in priced.values()}
    if len(currencies) != 1:
        what = "has no fare between two zones" if not priced else "has fares in several currencies"
        raise InvalidInput(
            "The feed's fares make no tariff.",
            problems=(Problem("fare_rules.txt", what, "Give each pair of zones one fare in one currency"),),
        )
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["origin", "destination", "adult"])
    writer.writerows([*pair, priced[pair].minor] for pair in sorted(priced))
    toml = _plain(operator_id, city, currencies.pop()) if rules is None and city is not None else None
    if toml is None or _comes_with_hansa(operator_id):
        toml = ((rules or tariff_folder(operator_id)) / "tariff.toml").read_text(encoding="utf-8")
    if valid_from is not None:
        toml = re.sub(r"(?m)^valid_from\s*=.*$", f"valid_from = {valid_from}", toml, count=1)
    return read_source(TariffSource(toml, {"fares.csv": table.getvalue()}))


def _prices(fares: FaresV1, zones: Sequence[str], line_id: str | None) -> dict[tuple[str, str], Money]:
    """The cheapest fare of each pair of zones that has one, on one line; None takes the rules of every line.

    Errors: CurrencyMismatch when a pair has fares in several currencies.
    """
    prices = {attribute.fare_id: attribute.price for attribute in fares.attributes}
    ruled = {rule.fare_id for rule in fares.rules}
    everywhere = min((price for fare_id, price in prices.items() if fare_id not in ruled), default=None)
    found = {(a, b): everywhere for a in zones for b in zones} if everywhere is not None else {}
    for rule in fares.rules:
        if rule.contains_zone is not None or (line_id is not None and rule.line_id not in (None, line_id)):
            continue
        price = prices[rule.fare_id]
        for a in (rule.origin_zone,) if rule.origin_zone else zones:
            for b in (rule.destination_zone,) if rule.destination_zone else zones:
                known = found.get((a, b))
                if known is None or price < known:
                    found[a, b] = price
    return found


def _refuse_what_no_table_says(fares: FaresV1, zones: Sequence[str]) -> None:
    problems: list[Problem] = []
    remedy = "State this operator's fares in a tariff of its own, as docs/tariffs shows"
    through = sum(rule.contains_zone is not None for rule in fares.rules)
    if through:
        what = f"{through} rows hang on zones passed through"
        problems.append(Problem("fare_rules.txt, field contains_id", what, remedy))
    named = {rule.line_id for rule in fares.rules if rule.line_id is not None}
    lines = [line_id for line_id in fares.line_ids if line_id in named]
    lines += [line_id for line_id in fares.line_ids if line_id not in named][:1]
    first = _prices(fares, zones, lines[0]) if named and lines else {}
    for line_id in lines[1:] if named else ():
        other = _prices(fares, zones, line_id)
        pair = min(
            (pair for pair in first.keys() | other.keys() if first.get(pair) != other.get(pair)), default=None
        )
        if pair is not None:
            what = f"from zone {pair[0]} to {pair[1]} lines {lines[0]} and {line_id} do not cost the same"
            problems.append(Problem("fare_rules.txt, field route_id", what, remedy))
            break
    if problems:
        raise InvalidInput("The feed's fares make no table of pairs.", problems=tuple(problems))


def _comes_with_hansa(operator_id: str) -> bool:
    try:
        return (tariff_folder(operator_id) / "tariff.toml").is_file()
    except InvalidInput:
        return False


def _plain(operator_id: str, city: CityFacts, currency: str) -> str:
    classes = "\n".join(f"[classes.{rider_class}]\npercent = 100" for rider_class in RIDER_CLASSES)
    return f"""# From a GTFS feed's Fares v1, which says adult prices only.
format = 1
operator = "{operator_id}"
city = "{city.city_id}"
name = "Fares from GTFS"
currency = "{currency}"
valid_from = 2000-01-01
tz = "{city.tz}"
day_starts = "03:00"

{classes}

[basis]
kind = "pairs"
file = "fares.csv"
by = "zone"
amounts = "minor"
symmetric = false

[journey]
max_minutes = 240

[incomplete]
fare = "highest"
counts = true
"""
