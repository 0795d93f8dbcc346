"""The basis: what a ride costs before anything is added or taken off. One of several kinds."""

from dataclasses import dataclass

from hansa.fares.parts.condition import Condition, read_condition
from hansa.fares.parts.distance import DistanceBasis, RateBasis, read_distance, read_rate
from hansa.fares.parts.feed import KIND as FEED
from hansa.fares.parts.feed import FeedBasis, read_feed
from hansa.fares.parts.flat import FlatBasis, LineBasis, read_flat, read_lines
from hansa.fares.parts.pairs import PairBasis, read_pairs
from hansa.fares.parts.price import FREE
from hansa.fares.parts.ride import ANYWHERE, Found, Ride, Unpriceable
from hansa.fares.parts.zones import (
    ZoneBasis,
    ZoneCountBasis,
    ZoneSetBasis,
    read_zone_count,
    read_zone_sets,
    read_zones,
)
from hansa.fares.tables import Table

Single = (
    FlatBasis | LineBasis | DistanceBasis | RateBasis | ZoneBasis | ZoneSetBasis | ZoneCountBasis | PairBasis
)
SINGLE_KINDS = ("flat", "lines", "distance", "rate", "zones", "zone-sets", "zone-count", "pairs")
KINDS = (*SINGLE_KINDS, "cheapest", FEED)


@dataclass(frozen=True, slots=True)
class CheapestBasis:
    """The cheapest of several bases; one that has no fare for the ride is left out."""

    choices: tuple[Single, ...]
    clause: str = ""

    def find(self, ride: Ride) -> Found:
        """Of equal ones the first. Errors: Unpriceable when none has a fare."""
        best: tuple[int, Found] | None = None
        reasons: list[str] = []
        for basis in self.choices:
            try:
                found = basis.find(ride)
                amount = ride.pays(found.price)
            except Unpriceable as reason:
                reasons.append(str(reason))
                continue
            if best is None or amount < best[0]:
                best = amount, found
        if best is None:
            raise (
                Unpriceable("none_of", {"reasons": "; ".join(reasons)}) if reasons else Unpriceable("no_fare")
            )
        return best[1]


Basis = Single | CheapestBasis | FeedBasis


def read_basis(table: Table, classes: frozenset[str] = frozenset()) -> Basis:
    """The basis that a table's ``kind`` names. classes: it prices these only; the fields stay open for others."""
    kind = table.choice("kind", KINDS)
    if kind == FEED:
        return read_feed(table)
    if kind != "cheapest":
        return _single(table, kind, classes)
    choices: list[Single] = []
    for item in table.tables("either"):
        choices.append(_single(item, item.choice("kind", SINGLE_KINDS), classes))
        item.done()
    if len(choices) < 2:
        table.wrong(
            "either", "there are not two to choose from", f"Write two or more [[{table.path}.either]]"
        )
    return CheapestBasis(tuple(choices), table.clause)


def _single(table: Table, kind: str, classes: frozenset[str]) -> Single:
    match kind:
        case "lines":
            return read_lines(table, classes)
        case "distance":
            return read_distance(table, classes)
        case "rate":
            return read_rate(table, classes)
        case "zones":
            return read_zones(table, classes)
        case "zone-sets":
            return read_zone_sets(table, classes)
        case "zone-count":
            return read_zone_count(table, classes)
        case "pairs":
            return read_pairs(table, classes)
        case "flat":
            return read_flat(table, classes)
        case _:
            return FlatBasis(FREE)


@dataclass(frozen=True)
class FareRule:
    """A basis for some rides; the first rule that speaks of a ride prices it.

    A rule that names classes prices them as it says: no share of theirs is taken of it. joined: it prices joined
    rides that name it, and no ride by itself. zones: what its rides touch, where its basis tells none: ``*`` lies
    inside every cap by zones.
    """

    name: str
    condition: Condition
    basis: Basis
    joined: bool = False
    zones: str = ""
    clause: str = ""


def read_fare_rule(item: Table) -> FareRule:
    """One ``[[fare]]``: a condition and a basis in one table."""
    name = item.text("name")
    condition = read_condition(item)
    basis = read_basis(item, condition.classes)
    zones = item.text("inside", required=False)
    if zones not in ("", ANYWHERE) and not zones.replace("+", "").replace("-", "").isalnum():
        item.wrong("inside", f"{zones!r} is no zone", 'Write a zone, zones as "A+B", or "*" for all')
    rule = FareRule(name, condition, basis, item.flag("joined", default=False), zones, item.clause)
    item.done()
    return rule
