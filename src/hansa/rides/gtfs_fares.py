"""A tariff from a GTFS feed: its Fares v1 become the table of pairs, the operator's rules come from its folder."""

import csv
import io
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Protocol

from hansa.fares import RIDER_CLASSES, Tariff, TariffSource, read_source, tariff_folder
from hansa.kernel import InvalidInput, Money, Problem


class FareRule(Protocol):
    """A row of fare_rules.txt."""

    @property
    def origin_zone(self) -> str | None: ...
    @property
    def destination_zone(self) -> str | None: ...


class FaresV1(Protocol):
    """Fares as a GTFS feed states them; ``atlas.FaresV1`` is one."""

    @property
    def rules(self) -> Iterable[FareRule]: ...

    def between(self, origin_zone: str, destination_zone: str, /) -> Money | None:
        """The cheapest fare between two zones."""
        ...


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
    Fares that hang on zones passed through or on transfers are not part of it (GTFS Reference, fare_rules.txt).
    Errors: InvalidInput when the feed has no fare between any two zones, or as read_tariff.
    """
    zones = sorted(
        {zone for rule in fares.rules for zone in (rule.origin_zone, rule.destination_zone) if zone}
    )
    pairs = {(a, b): fares.between(a, b) for a in zones for b in zones}
    priced = {pair: price for pair, price in pairs.items() if price is not None}
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
    writer.writerows([*pair, price.minor] for pair, price in priced.items())
    toml = _plain(operator_id, city, currencies.pop()) if rules is None and city is not None else None
    if toml is None or _comes_with_hansa(operator_id):
        toml = ((rules or tariff_folder(operator_id)) / "tariff.toml").read_text(encoding="utf-8")
    if valid_from is not None:
        toml = re.sub(r"(?m)^valid_from\s*=.*$", f"valid_from = {valid_from}", toml, count=1)
    return read_source(TariffSource(toml, {"fares.csv": table.getvalue()}))


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
