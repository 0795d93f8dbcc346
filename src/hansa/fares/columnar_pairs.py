"""Pairs of stops that no rule tells apart: a fare worked out for one of them is every other's.

All that a tariff sees of two stops is their zones, the zones between, the band that their metres fall into or the row
of a table with the same amounts, and what it says of stops by name: stops that stand in the same lists are alike.
A city has a hundred thousand pairs and a few hundred sorts of them, so sorts are what ``columnar`` prices. What a fare
tells of the stops themselves, names, metres and lines of tables, is put in for each pair.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hansa.fares.model import HasMetres, Step
from hansa.fares.parts.basis import Basis, CheapestBasis
from hansa.fares.parts.distance import DistanceBasis, RateBasis
from hansa.fares.parts.extras import Override
from hansa.fares.parts.flat import FlatBasis, LineBasis
from hansa.fares.parts.pairs import PairBasis
from hansa.fares.parts.zones import ByZones, ZoneBasis, ZoneCountBasis, ZoneSetBasis
from hansa.fares.pricing import Pricer, conditions
from hansa.fares.tariff import Tariff

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]

STOPS_MAX = 2_000
"""Networks with more stops are priced pair by pair: the table of pairs would take too much memory."""

_FAR_M = 1 << 29
_ZONES_AT_ONCE = 30


class Pairs:
    """The sorts of pairs of one network under one tariff."""

    def __init__(self, pricer: Pricer) -> None:
        """pricer: of a tariff that ``goes_by_sorts`` allows."""
        self._pricer = pricer
        ways, tariff = pricer.ways, pricer.tariff
        self.stops: dict[str, int] = {stop: place for place, stop in enumerate(pricer.places.stops)}
        self._ids = tuple(self.stops)
        self.names = [ways.name(stop) for stop in self.stops]
        self._names_json = np.array([json.dumps(name).encode() for name in self.names], np.object_)
        self.metres = self._measured()
        self._zones = [pricer.places.zone_of(stop) or "" for stop in self.stops]
        self._lines = {
            basis.clause: self._lines_of(basis) for basis in _bases(tariff) if isinstance(basis, PairBasis)
        }
        self._overrides = {one.clause: one for one in tariff.overrides}
        self.sorts = self._sorted(tariff)

    def _measured(self) -> Int32:
        """Metres between all stops; ``_FAR_M`` where no way leads."""
        places, ways = self._pricer.places, self._pricer.ways
        if isinstance(places, HasMetres):
            metres = places.metres()
            return np.where(metres < 0, _FAR_M, metres).astype(np.int32)
        rows = [[min(ways.reach_m(one, other), _FAR_M) for other in self.stops] for one in self.stops]
        return np.array(rows, np.int32).reshape(len(self.stops), len(self.stops))

    # -- sorts -----------------------------------------------------------------------------------------------

    def _sorted(self, tariff: Tariff) -> Int64:
        """The sort of each pair, from 0."""
        listed = _listed(tariff)
        spans = _spans_alone(tariff)
        zones = self._zones if spans is None else [_zones_told(tariff, zone) for zone in self._zones]
        kinds = _codes([(zone, listed.get(stop, ())) for stop, zone in zip(self.stops, zones, strict=True)])
        sorts = kinds[:, None] * (int(kinds.max(initial=0)) + 1) + kinds[None, :]
        sorts = _dense(sorts * 2 + np.eye(len(self.stops), dtype=np.int64))
        if spans is not None:
            sorts = _with(sorts, self._spans(spans))
            if tariff.same_stop is not None:  # it counts in a zone of its stop
                sorts = _with(sorts, np.diag(_codes(list(self._zones)) + 1))
        bases = list(_bases(tariff))
        if spans is None and any(isinstance(one, ByZones) and one.through for one in bases):
            for masks in self._zones_between(sorted(set(self._zones))):
                sorts = _with(sorts, masks)
        for basis in bases:
            if isinstance(basis, DistanceBasis | RateBasis):
                sorts = _with(sorts, self._bands(basis))
            elif isinstance(basis, PairBasis):
                sorts = _with(sorts, self._rows(basis))
        return self._with_overrides(sorts)

    def _spans(self, basis: ZoneBasis) -> Int64:
        """A number for each choice of spans between which the cheapest is looked for, in their order."""
        labels = _codes(list(self._zones))
        between = np.zeros(self.metres.shape, np.int64)
        if basis.through:
            (between,) = self._zones_between(basis.order)
        alike = labels[:, None] * (int(labels.max(initial=0)) + 1) + labels[None, :]
        different, firsts, codes = np.unique(
            alike * (1 << _ZONES_AT_ONCE) + between, return_index=True, return_inverse=True
        )
        inner = [zone for zone in basis.order if zone in self._zones]  # as their bits are counted
        choices: list[tuple[tuple[int, int], ...]] = []
        for origin, destination in zip(*np.unravel_index(firsts, between.shape), strict=True):
            mask = int(between[origin, destination])
            passed = {basis.order.index(zone) for bit, zone in enumerate(inner) if mask >> bit & 1}
            spans: dict[tuple[int, int], None] = {}
            for first in self._zones[int(origin)].split("/"):
                for last in self._zones[int(destination)].split("/"):
                    if first in basis.order and last in basis.order:
                        at = {basis.order.index(first), basis.order.index(last), *passed}
                        spans[min(at), max(at)] = None
            choices.append(tuple(spans))
        assert len(choices) == len(different), "one of each"
        return _codes(choices)[codes].reshape(between.shape)

    def _zones_between(self, names: Sequence[str]) -> Iterator[Int64]:
        """Which of these zones shortest ways run through, as bits, boundary stops left open: some zones at a time."""
        metres, zones = self.metres, self._zones
        inner = [place for place, zone in enumerate(zones) if zone and "/" not in zone]
        names = [one for one in names if one in {zones[place] for place in inner}]
        for start in range(0, max(1, len(names)), _ZONES_AT_ONCE):
            rank = {zone: bit for bit, zone in enumerate(names[start : start + _ZONES_AT_ONCE])}
            stops = sorted(
                (place for place in inner if zones[place] in rank), key=lambda one: rank[zones[one]]
            )
            masks = np.zeros(metres.shape, np.int64)
            if stops:
                there = np.ascontiguousarray(metres[stops])
                starts = [
                    at for at in range(len(stops)) if not at or zones[stops[at]] != zones[stops[at - 1]]
                ]
                bits = np.int64(1) << np.arange(len(rank))
                for origin in range(len(metres)):
                    on_way = there[:, origin, None] + there == metres[origin]
                    masks[origin] = bits @ np.maximum.reduceat(on_way.view(np.int8), starts, axis=0)
            yield masks

    def _bands(self, basis: DistanceBasis | RateBasis) -> Int64:
        """A number for each band of distance, or stretch beyond them; where the fare goes by the metre, for each."""
        metres = self.metres.astype(np.int64)
        if isinstance(basis, RateBasis):
            return -(-metres // basis.every_m)
        paid = metres - basis.grace_m
        ends = np.array([band.up_to_m for band in basis.bands], np.int64)
        codes = np.searchsorted(ends, paid).astype(np.int64)
        low, longer = int(ends[-1]), paid > ends[-1]
        for part in basis.beyond:
            end = paid if part.up_to_m is None else np.minimum(paid, part.up_to_m)
            stretches = np.where(longer, -(-(end - low) // part.every_m), 0)
            codes += np.where(longer, stretches, 0)
            if part.up_to_m is None:
                break
            low, longer = part.up_to_m, paid > part.up_to_m
            codes += longer  # the last stretch may be cut short
        return np.where(self.metres >= _FAR_M, -1, codes) + 1

    def _rows(self, basis: PairBasis) -> Int64:
        """A number for each row of different amounts; 0 where there is none."""
        fares = np.array([0, *basis.fares], np.int64)
        lines = self._lines[basis.clause]
        return np.where(lines > 0, fares[lines + 1] + 1, 0)

    def _lines_of(self, basis: PairBasis) -> Int64:
        """The line of each pair's row in the file; -1 where it has none."""
        places: dict[str, int] = self.stops
        names: Sequence[str] = self._ids
        if basis.by_zone:
            places = {zone: place for place, zone in enumerate(dict.fromkeys(self._zones))}
            names = self._zones
        square = np.full((len(places), len(places)), -1, np.int64)
        rows = [
            (places[origin], places[destination], line)
            for (origin, destination), line in basis.rows.items()
            if origin in places and destination in places
        ]
        if rows:
            origins, destinations, lines = np.array(rows, np.int64).T
            if basis.symmetric:
                square[destinations, origins] = lines
            square[origins, destinations] = lines
        at = np.array([places[name] for name in names], np.int64)
        return square[at[:, None], at[None, :]]

    def _with_overrides(self, sorts: Int64) -> Int64:
        """Pairs with an override told further apart by the sort of the rest of their way."""
        apart = np.zeros_like(sorts)
        listed = frozenset[str]().union(*(one.stops for one in self._pricer.tariff.overrides))
        for place in [self.stops[stop] for stop in sorted(listed) if stop in self.stops]:
            for other in range(len(self.names)):
                for pair in ((place, other), (other, place)):
                    override = self._override(*pair)
                    rest = None if override is None else self._rest(override, *pair)
                    apart[pair] = 0 if rest is None else sorts[rest] + 1
        return _with(sorts, apart)

    def _override(self, origin: int, destination: int) -> Override | None:
        ends = {self._ids[origin], self._ids[destination]}
        return next((one for one in self._pricer.tariff.overrides if not ends.isdisjoint(one.stops)), None)

    def _rest(self, override: Override, origin: int, destination: int) -> tuple[int, int] | None:
        """Both ends of the way that the main fare is paid for beside an override; None where there is none."""
        inward = self._ids[origin] in override.stops
        inner = destination if inward else origin
        known = [(self.stops[stop], stop) for stop in override.gateways if stop in self.stops]
        if not known or self._ids[inner] in override.stops | set(override.gateways):
            return None
        _, _, gateway = min((int(self.metres[place, inner]), stop, place) for place, stop in known)
        return (gateway, inner) if inward else (inner, gateway)

    def one_of_each(self, stop: str, others: Sequence[str], outward: bool) -> Sequence[str]:
        """The first of those stops between which and a stop rides are of one sort. outward: they begin at the stop."""
        here = self.stops.get(stop)
        if here is None:
            return others
        row = (self.sorts[here] if outward else self.sorts[:, here]).tolist()
        firsts: dict[int, str] = {}
        for other in others:
            firsts.setdefault(row[self.stops[other]], other)
        return list(firsts.values())

    # -- what is told ----------------------------------------------------------------------------------------

    def told(self, steps: tuple[Step, ...], origin: int, destination: int) -> tuple[Step, ...]:
        """The steps of a fare of this sort, as they are told of one pair of stops."""
        ends: tuple[int, int] | None = origin, destination
        found: list[Step] = []
        for step in steps:
            if step.rule == "override":
                override = self._overrides.get(step.clause)
                ends = None if override is None else self._rest(override, origin, destination)
            elif step.rule in _OF_PAIRS and ends is not None:
                step = self._of_pair(step, *ends)
            found.append(step)
        return tuple(found)

    def _of_pair(self, step: Step, origin: int, destination: int) -> Step:
        facts = {**step.facts}
        if step.rule == "ride":
            facts["from"], facts["to"] = self.names[origin], self.names[destination]
            if "distance_m" in facts:
                facts["distance_m"] = int(self.metres[origin, destination])
        else:
            table, _, _ = step.clause.rpartition(" line ")
            facts["clause"] = f"{table} line {self._lines[table][origin, destination]}"
        return Step(step.rule, step.amount, step.currency, facts)

    def form(self, steps: tuple[Step, ...]) -> tuple[bytes | None, Sequence[str]]:
        """Steps of a fare of this sort as JSON, with a hole for each thing told of the pair, and which things they are.

        None where they tell of two ways: there is an override.
        """
        if any(step.rule == "override" for step in steps):
            return None, ()
        told: list[Step] = []
        for step in steps:
            facts = {**step.facts}
            if step.rule == "ride":
                facts |= {name: f"{_HOLE}{name}" for name in ("from", "to", "distance_m") if name in facts}
            elif step.rule == "pair":
                table, _, _ = step.clause.rpartition(" line ")
                facts["clause"] = f"{_HOLE}{table}"
            told.append(Step(step.rule, step.amount, step.currency, facts))
        parts = _HOLES.split(as_json(tuple(told)).replace(b"%", b"%%"))
        return b"%b".join(parts[::2]), [json.loads(b'"' + name + b'"') for name in parts[1::2]]

    def holes(self, origins: Int64, destinations: Int64) -> Callable[[str], list[bytes]]:
        """What stands in the holes of forms, by their name, of rides between these stops."""

        @cache
        def holes(name: str) -> list[bytes]:
            if name in ("from", "to"):
                places = origins if name == "from" else destinations
                return self._names_json[places].tolist()
            if name == "distance_m":
                return [b"%d" % one for one in self.metres[origins, destinations].tolist()]
            form = json.dumps(f"{name} line ").encode()[:-1].replace(b"%", b"%%") + b'%d"'
            return [form % one for one in self._lines[name][origins, destinations].tolist()]

        return holes


_OF_PAIRS = frozenset(["ride", "pair"])
"""Steps that tell of two stops."""

_HOLE = "\0"
_HOLES = re.compile(rb'"\\u0000([^"]*)"')


def as_json(steps: tuple[Step, ...]) -> bytes:
    """Steps as JSON, ``[[rule, amount, facts], ...``, still open at the end."""
    told = [[step.rule, step.amount, dict(step.facts)] for step in steps]
    return json.dumps(told, separators=(",", ":")).encode()[:-1]


def goes_by_sorts(pricer: Pricer) -> bool:
    """Whether all bases of the tariff go by zones, lines, tables of pairs, or metres over the network."""
    few = 0 < len(pricer.places.stops) <= STOPS_MAX
    tariff = pricer.tariff
    by_line = any(
        one.lines and one.gateways for one in tariff.overrides
    )  # its rest hangs on the stop of entry
    return few and not by_line and all(map(_goes_by_sorts, _bases(tariff)))


def names_lines(tariff: Tariff) -> bool:
    """Whether a ride by itself may cost something else on another line, under a tariff that goes by sorts."""
    named = any(part.lines for one in conditions(tariff) for part in one.parts)
    return (
        named
        or any(one.lines for one in tariff.overrides)
        or any(isinstance(one, LineBasis) for one in _bases(tariff))
    )


def _goes_by_sorts(basis: Basis) -> bool:
    """Whether it is of a known kind, with no more than it can say today: what is new is left to be priced by pairs."""
    known = _WORDS.get(type(basis))
    if known is None or {one.name for one in fields(basis)} - known:
        return False
    return not isinstance(basis, DistanceBasis | RateBasis) or basis.measure in _NETWORK


_NETWORK = ("network", "given")
"""Measures that are metres over the network: those given with a ride are, where ``columnar`` gives them."""

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
    PairBasis: frozenset(["rows", "fares", "prices", "symmetric", "by_zone", "clause", "ways"]),
    CheapestBasis: frozenset(["choices", "clause"]),
}


def _bases(tariff: Tariff) -> Iterable[Basis]:
    for basis in (tariff.basis, *(rule.basis for rule in tariff.fares)):
        yield basis
        if isinstance(basis, CheapestBasis):
            yield from basis.choices


def _spans_alone(tariff: Tariff) -> ZoneBasis | None:
    """The basis by which fares go by spans of nested zones, where nothing else asks which zones a ride touches."""
    bases = list(_bases(tariff))
    found = [one for one in bases if isinstance(one, ByZones) or (isinstance(one, PairBasis) and one.by_zone)]
    asked = any(part.zones for one in conditions(tariff) for part in one.parts)
    if len(found) != 1 or asked or any(cap.zone_set for cap in tariff.caps):
        return None
    basis = found[0]
    return basis if isinstance(basis, ZoneBasis) and len(basis.order) <= _ZONES_AT_ONCE else None


def _zones_told(tariff: Tariff, label: str) -> tuple[bool, ...]:
    """What the tariff's conditions see of a stop's zones: which of their lists name one of them."""
    zones = frozenset(label.split("/")) if label else frozenset[str]()
    parts = [part for one in conditions(tariff) for part in one.parts]
    lists = [*(one for part in parts for one in (part.from_zones, part.to_zones))]
    lists += [band.unless_into for band in tariff.time_bands]
    return (bool(zones), *(not one.isdisjoint(zones) for one in dict.fromkeys(lists)))


def _listed(tariff: Tariff) -> dict[str, tuple[int | str, ...]]:
    """For each name that some rule says, in which of the tariff's lists it stands: stops of the same lists are alike.

    A name that stands anywhere but in a list of names is like no other.
    """
    found: dict[str, dict[int | str, None]] = {}
    for number, names in enumerate(_lists_in([getattr(tariff, name) for name in _RULES])):
        for name in names:
            found.setdefault(name, {})[name if len(names) == 1 else number] = None
    return {name: tuple(lists) for name, lists in found.items()}


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


def _lists_in(value: Any) -> Iterator[frozenset[str]]:
    """All lists of names within a rule, at any depth, and every other text as a list of its own; but no bases."""
    if isinstance(value, str):
        yield frozenset([value])
    elif isinstance(value, Mapping):
        for key, one in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _lists_in(key)
            yield from _lists_in(one)
    elif isinstance(value, frozenset) and value and all(isinstance(one, str) for one in value):  # pyright: ignore[reportUnknownVariableType]
        yield value  # pyright: ignore[reportUnknownVariableType]
    elif isinstance(value, tuple | list | frozenset | set):
        for one in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _lists_in(one)
    elif type(value) not in _WORDS and hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _lists_in(getattr(value, name))


def _codes(values: list[Any]) -> Int64:
    """A number for each, the same for equal ones."""
    known: dict[Any, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def _dense(numbers: Int64) -> Int64:
    """The same, numbered from 0 without a gap."""
    return np.unique(numbers, return_inverse=True)[1].reshape(numbers.shape).astype(np.int64)


def _with(sorts: Int64, more: Int64) -> Int64:
    """Sorts told further apart. more: not below 0."""
    return _dense(sorts * (int(more.max(initial=0)) + 1) + more)
