"""A tariff from a GTFS feed: its Fares v1 become the table of pairs, its Fares v2 are priced by as they are.

The operator's other rules come from its folder.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Protocol

from hansa.atlas import FaresV1, FaresV2
from hansa.fares import RIDER_CLASSES, FeedBasis, Tariff, TariffSource, read_source, tariff_folder
from hansa.kernel import InvalidInput, Money, Problem


class CityFacts(Protocol):
    """What a plain tariff needs of a city; ``atlas.City`` is one."""

    @property
    def city_id(self) -> str: ...
    @property
    def tz(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def day_starts(self) -> time: ...


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
    toml = None
    if rules is None and city is not None:
        toml = (
            _head("its Fares v1, which say adult prices only.", operator_id, city, currencies.pop()) + _PAIRS
        )
    if toml is None or _comes_with_hansa(operator_id):
        toml = ((rules or tariff_folder(operator_id)) / "tariff.toml").read_text(encoding="utf-8")
    if valid_from is not None:
        toml = re.sub(r"(?m)^valid_from\s*=.*$", f"valid_from = {valid_from}", toml, count=1)
    return read_source(TariffSource(toml, {"fares.csv": table.getvalue()}))


def tariff_from_fares_v2(
    fares: FaresV2,
    *,
    operator_id: str,
    city: CityFacts,
    rules: Path | None = None,
    valid_from: date | None = None,
    categories: Mapping[str, str] | None = None,
    media: Sequence[str] = (),
    apart_minutes: int = 120,
) -> Tariff:
    """The tariff of a feed with Fares v2: the basis ``gtfs-v2``, by which rides are priced from the feed itself.

    rules: a folder whose ``tariff.toml`` has that basis, with caps, passes and what else the feed cannot say; without
    one every class pays as its category, a ride after ``apart_minutes`` begins another journey, a missing tap is the
    highest fare. categories: rider_category_id by class. media: the fare_media_ids that count; none is any.
    valid_from: the first service day it is in force, in the place of the one that the rules name.
    Errors: InvalidInput when the feed has no Fares v2, when the rules have another basis, for a category or medium that
    the feed does not have, or as read_tariff.
    """
    toml = (rules / "tariff.toml").read_text(encoding="utf-8") if rules is not None else None
    if toml is None:
        feed = _FEED.format(
            apart=apart_minutes,
            media=f"fare_media = {_list(media)}\n" if media else "",
            categories="".join(f"{name} = {_text(one)}\n" for name, one in (categories or {}).items()),
        )
        toml = _head("Fares v2, priced by the feed itself.", operator_id, city, city.currency) + feed
    if valid_from is not None:
        toml = re.sub(r"(?m)^valid_from\s*=.*$", f"valid_from = {valid_from}", toml, count=1)
    tariff = read_source(TariffSource(toml, {}))
    if not isinstance(tariff.basis, FeedBasis):
        problem = Problem("tariff.toml, field basis.kind", "is another", 'Write kind = "gtfs-v2"')
        raise InvalidInput("These rules do not price by the feed.", problems=(problem,))
    refuse_unknown_names(tariff, fares)
    return tariff


def refuse_unknown_names(tariff: Tariff, fares: FaresV2) -> None:
    """Errors: InvalidInput when a tariff by the feed names what the feed does not have, or can price nobody by it."""
    basis = tariff.basis
    if not isinstance(basis, FeedBasis):
        return
    where = f"tariff.toml, {basis.clause}"
    problems: list[Problem] = []
    if not fares:
        problems.append(Problem("fare_leg_rules.txt", "the feed has no Fares v2", "Import a feed that has"))
    known = {one.rider_category_id for one in fares.rider_categories}
    for name, category in basis.categories.items():
        if category not in known:
            what = f"the feed has no rider category {category!r} for {name}"
            problems.append(Problem(where, what, f"Known: {', '.join(sorted(known)) or '-'}"))
    known = {one.fare_media_id for one in fares.media}
    for medium in sorted(basis.media.union(*basis.by_medium.values()) - known):
        what = f"the feed has no fare medium {medium!r}"
        problems.append(Problem(where, what, f"Known: {', '.join(sorted(known)) or '-'}"))
    currencies = {product.price.currency for product in fares.products}
    if fares and tariff.currency not in currencies:
        what = f"no product is sold in {tariff.currency}"
        problems.append(Problem("fare_products.txt, field currency", what, "Name the currency of the feed"))
    if problems:
        raise InvalidInput(
            "The tariff does not fit the feed; nothing of it was taken.", problems=tuple(problems)
        )


def _text(value: str) -> str:
    """A text as TOML has it; JSON's form of it is one of TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_text, values))}]"


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


def _head(what: str, operator_id: str, city: CityFacts, currency: str) -> str:
    classes = "\n".join(f"[classes.{rider_class}]\npercent = 100" for rider_class in RIDER_CLASSES)
    return f"""# From a GTFS feed: {what}
format = 1
operator = "{operator_id}"
city = "{city.city_id}"
name = "Fares from GTFS"
currency = "{currency}"
valid_from = 2000-01-01
tz = "{city.tz}"
day_starts = "{city.day_starts:%H:%M}"

{classes}
"""


_PAIRS = """
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

_FEED = """
[basis]
kind = "gtfs-v2"
apart_minutes = {apart}
{media}
[basis.categories]
{categories}
[journey]
max_minutes = 240

[incomplete]
fare = "highest"
counts = true
"""
