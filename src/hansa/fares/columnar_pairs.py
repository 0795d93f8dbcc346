"""Pairs of stops that no rule tells apart: a fare worked out for one of them is every other's.

Where fares go by zones or by metres over the network, all that the tariff sees of two stops is their zones, the zones
between, and the band that their distance falls into; unless it names a stop, which is then like no other. A city has a
hundred thousand pairs and a few hundred sorts of them, so sorts are what ``columnar`` prices. What a fare tells of the
stops themselves, names and metres, is put in for each pair.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.fares.model import Step
from hansa.fares.parts.basis import Basis, CheapestBasis
from hansa.fares.parts.condition import Condition
from hansa.fares.parts.distance import DistanceBasis, RateBasis
from hansa.fares.parts.flat import FlatBasis, LineBasis
from hansa.fares.parts.ride import Unpriceable
from hansa.fares.parts.zones import ZoneBasis, ZoneCountBasis, ZoneSetBasis
from hansa.fares.pricing import Pricer
from hansa.fares.tariff import Tariff
from hansa.fares.ways import NOWHERE_M

Int64 = npt.NDArray[np.int64]

STOPS_MAX = 2_000
"""Networks with more stops are priced pair by pair: the table of pairs would take too much memory."""


class Pairs:
    """The sorts of pairs of one network under one tariff."""

    def __init__(self, pricer: Pricer) -> None:
        """pricer: of a tariff that ``goes_by_sorts`` allows."""
        self._pricer = pricer
        ways = pricer.ways
        self.stops: dict[str, int] = {stop: place for place, stop in enumerate(pricer.places.stops)}
        self.names = [ways.name(stop) for stop in self.stops]
        count = len(self.stops)
        self.metres = np.array(
            [[ways.reach_m(one, other) for other in self.stops] for one in self.stops], np.int64
        ).reshape(count, count)
        self.sorts = self._sorted(pricer.tariff)

    def _sorted(self, tariff: Tariff) -> Int64:
        """The sort of each pair; -1 where it is of a sort of its own."""
        count = len(self.stops)
        named = _named(tariff)
        zones_of = [self._pricer.places.zone_of(stop) or "" for stop in self.stops]
        own = [place + 1 if stop in named else 0 for stop, place in self.stops.items()]
        kinds = _codes(list(zip(zones_of, own, strict=True)))
        sorts = kinds[:, None] * (int(kinds.max(initial=0)) + 1) + kinds[None, :]
        sorts = _dense(sorts * 2 + np.eye(count, dtype=np.int64))
        bases = list(_bases(tariff))
        if any(isinstance(one, ZoneBasis | ZoneSetBasis | ZoneCountBasis) and one.through for one in bases):
            sorts = _with(sorts, self._zones_between(zones_of))
        for basis in bases:
            if isinstance(basis, DistanceBasis | RateBasis):
                sorts = _with(sorts, self._bands(basis))
        apart = frozenset[str]().union(*(one.stops for one in tariff.overrides))
        alone = np.array([stop in apart for stop in self.stops], np.bool_)
        return np.where(alone[:, None] | alone[None, :] | (self.metres >= NOWHERE_M), -1, sorts)

    def _zones_between(self, zones_of: list[str]) -> Int64:
        """A number for each set of zones that shortest ways run through, boundary stops left open."""
        count = len(self.stops)
        between = np.zeros((count, count), np.int64)
        for zone in sorted({zone for zone in zones_of if zone and "/" not in zone}):
            inside = np.zeros((count, count), np.bool_)
            for place, own in enumerate(zones_of):
                if own == zone:
                    there = self.metres[:, place]
                    inside |= there[:, None] + there[None, :] == self.metres
            between = _with(between, inside.astype(np.int64))
        return between

    def _bands(self, basis: DistanceBasis | RateBasis) -> Int64:
        """A number for each band of distance; for each distance, where the fare goes by the metre."""
        different, inverse = np.unique(self.metres, return_inverse=True)
        if isinstance(basis, RateBasis):
            return inverse.reshape(self.metres.shape).astype(np.int64)
        return _codes([_band(basis, metres) for metres in different.tolist()])[inverse].reshape(
            self.metres.shape
        )

    def told(self, steps: tuple[Step, ...], origin: int, destination: int) -> tuple[Step, ...]:
        """The steps of a fare of this sort, as they are told of one pair of stops."""
        if not steps or steps[0].rule != "ride":
            return steps
        facts: dict[str, str | int] = {**steps[0].facts}
        facts["from"], facts["to"] = self.names[origin], self.names[destination]
        if "distance_m" in facts:
            facts["distance_m"] = int(self.metres[origin, destination])
        return (Step("ride", 0, steps[0].currency, facts), *steps[1:])


def goes_by_sorts(pricer: Pricer) -> bool:
    """Whether all bases of the tariff go by zones, lines, or metres over the network."""
    few = 0 < len(pricer.places.stops) <= STOPS_MAX
    return few and all(map(_goes_by_sorts, _bases(pricer.tariff)))


def _goes_by_sorts(basis: Basis) -> bool:
    """Whether it is of a known kind, with no more than it can say today: what is new is left to be priced by pairs."""
    known = _WORDS.get(type(basis))
    if known is None or {one.name for one in fields(basis)} - known:
        return False
    return not isinstance(basis, DistanceBasis | RateBasis) or basis.measure == "network"


_WORDS: dict[type, frozenset[str]] = {
    FlatBasis: frozenset(["price", "clause"]),
    LineBasis: frozenset(["prices", "clause"]),
    ZoneBasis: frozenset(["order", "spans", "through", "clause", "clauses"]),
    ZoneSetBasis: frozenset(["sets", "through", "clause"]),
    ZoneCountBasis: frozenset(["prices", "through", "highest_stays", "clause"]),
    DistanceBasis: frozenset(["bands", "grace_m", "beyond", "measure", "clause", "table"]),
    RateBasis: frozenset(
        ["base", "parts", "rounding", "every_m", "least", "most", "measure", "clause", "table"]
    ),
    CheapestBasis: frozenset(["choices", "clause"]),
}


def _bases(tariff: Tariff) -> Iterable[Basis]:
    for basis in (tariff.basis, *(rule.basis for rule in tariff.fares)):
        yield basis
        if isinstance(basis, CheapestBasis):
            yield from basis.choices


class _Metres:
    """A ride of which only its metres are known."""

    def __init__(self, metres: int) -> None:
        self._metres = metres

    def distance_m(self, _measure: str, _table: object = None) -> int:
        return self._metres


def _band(basis: DistanceBasis, metres: int) -> object:
    asked: Any = _Metres(metres)
    try:
        found = basis.find(asked)
    except Unpriceable:
        return metres  # the reason names the metres
    return (
        tuple(sorted(found.price.amounts.items())),
        found.rule,
        tuple(sorted(found.facts.items(), key=str)),
        found.clause,
        found.zones,
    )


def _named(tariff: Tariff) -> frozenset[str]:
    """Every stop that some rule names."""
    return frozenset(_texts_in([getattr(tariff, name) for name in _RULES]))


_RULES = (
    "time_bands",
    "fares",
    "overrides",
    "fees",
    "joins",
    "transfers",
    "discounts",
    "passes",
    "tiers",
    "caps",
    "carnets",
)


def _texts_in(value: Any) -> Iterable[str]:
    """All texts within a rule, at any depth: whichever of them is a stop is a stop that it names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, one in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _texts_in(key)
            yield from _texts_in(one)
    elif isinstance(value, tuple | list | frozenset | set):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _texts_in(one)
    elif isinstance(value, Condition) or hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _texts_in(getattr(value, name))


def _codes(values: list[Any]) -> Int64:
    """A number for each, the same for equal ones."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def _dense(numbers: Int64) -> Int64:
    """The same, numbered from 0 without a gap."""
    return np.unique(numbers, return_inverse=True)[1].reshape(numbers.shape).astype(np.int64)


def _with(sorts: Int64, more: Int64) -> Int64:
    """Sorts told further apart."""
    return _dense(sorts * (int(more.max(initial=0)) + 1) + more)
