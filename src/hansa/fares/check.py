"""Is a tariff sound? Rules that can never hold, rules that contradict each other, rides that have no fare.

Reading refuses what is wrong in one place; this looks at the parts beside each other, and at the network they are for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Literal

from hansa.fares.gaps import Gap, find_gaps
from hansa.fares.model import HasLines, Places
from hansa.fares.parts.basis import Basis, CheapestBasis
from hansa.fares.parts.caps import Cap
from hansa.fares.parts.condition import Condition
from hansa.fares.parts.distance import DistanceBasis, RateBasis
from hansa.fares.parts.flat import FlatBasis, LineBasis
from hansa.fares.parts.hours import TimeBand
from hansa.fares.parts.pairs import PairBasis
from hansa.fares.parts.price import Price
from hansa.fares.parts.zones import ZoneBasis, ZoneCountBasis, ZoneSetBasis
from hansa.fares.tariff import Tariff
from hansa.kernel import InvalidInput, Problem

_TOLD_MAX = 20
"""Findings of one kind that are told one by one; the rest is a number."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong (``error``: the tariff may not price anything) or odd (``warning``) about a tariff.

    where: file, line and field, as of ``Problem``.
    """

    severity: Literal["error", "warning"]
    where: str
    what: str
    remedy: str


def check_tariff(
    tariff: Tariff, places: Places | None = None, *, file: str = "tariff.toml"
) -> tuple[Finding, ...]:
    """All that is unsound about a tariff, errors first. places: the network it is for; without it, less is known."""
    check = _Check(tariff, file)
    check.rules()
    check.hours()
    check.caps()
    check.cheaper_farther()
    if places is not None:
        check.names(places)
        if not check.errors:
            check.gaps(places)
    return tuple(sorted(check.found, key=lambda one: one.severity))


def refuse_unsound(tariff: Tariff, places: Places | None = None) -> None:
    """Errors: InvalidInput with every error that ``check_tariff`` finds; warnings pass."""
    errors = [one for one in check_tariff(tariff, places) if one.severity == "error"]
    if errors:
        raise InvalidInput(
            "The tariff is not sound; nothing of it was taken.",
            problems=tuple(Problem(one.where, one.what, one.remedy) for one in errors),
        )


def check_dates(tariffs: Sequence[Tariff]) -> tuple[Finding, ...]:
    """Versions of one operator's tariff that speak for the same days, or days between them for which none does."""
    found: list[Finding] = []
    ordered = sorted(tariffs, key=lambda one: (one.operator_id, one.valid_from))
    for before, after in pairwise(ordered):
        if before.operator_id != after.operator_id:
            continue
        if before.valid_from == after.valid_from:
            what = f"{after.operator_id} has two tariffs from {after.valid_from} on"
            found.append(
                Finding("error", "tariff.toml, field valid_from", what, "Give one of them another day")
            )
        elif before.valid_to is not None and before.valid_to >= after.valid_from:
            what = f"ends on {before.valid_to}, and the next begins on {after.valid_from}"
            remedy = "End it the day before, or leave valid_to out"
            found.append(Finding("error", "tariff.toml, field valid_to", what, remedy))
        elif before.valid_to is not None and before.valid_to + timedelta(days=1) < after.valid_from:
            what = f"ends on {before.valid_to}, and the next begins on {after.valid_from}: no fares between"
            remedy = "Leave valid_to out, or begin the next one earlier"
            found.append(Finding("warning", "tariff.toml, field valid_to", what, remedy))
    return tuple(found)


class _Check:
    """Gathers findings."""

    def __init__(self, tariff: Tariff, file: str) -> None:
        self.tariff, self.file = tariff, file
        self.found: list[Finding] = []

    @property
    def errors(self) -> bool:
        return any(one.severity == "error" for one in self.found)

    def _tell(
        self, severity: Literal["error", "warning"], clause: str, field: str, what: str, remedy: str
    ) -> None:
        path, _, line = clause.partition(" line ")
        where = f"{self.file} line {line}" if line else self.file
        self.found.append(
            Finding(severity, f"{where}, field {'.'.join(filter(None, (path, field)))}", what, remedy)
        )

    # -- rules beside each other ---------------------------------------------------------------------------

    def rules(self) -> None:
        """Rules that never come to hold, because one before them takes every ride."""
        tariff = self.tariff
        fares = [(one.condition, one.clause) for one in tariff.fares if not one.joined]
        self._hidden("this rule never prices a ride", fares)
        discounts = [(one.condition, one.clause) for one in tariff.discounts if not one.adds]
        self._hidden("this discount never counts", discounts)
        named = {join.fare for join in tariff.joins}
        for rule in tariff.fares:
            if rule.joined and rule.name not in named:
                remedy = "Name it in a [[join]], or leave joined out"
                self._tell("error", rule.clause, "joined", "no join names this rule", remedy)
        names = [rule.name for rule in tariff.fares]
        for rule in tariff.fares:
            if names.count(rule.name) > 1 and any(join.fare == rule.name for join in tariff.joins):
                what = f"a join names {rule.name!r}, and two rules have that name"
                self._tell("error", rule.clause, "name", what, "Give each a name of its own")
        for place, override in enumerate(tariff.overrides):
            for other in tariff.overrides[:place]:
                both = sorted((override.stops & other.stops) | (override.lines & other.lines))
                if both:
                    what = f"{both[0]} has a fare in {other.name!r} too"
                    self._tell("error", override.clause, "stops", what, "Leave it in one of the two")
        for place, transfer in enumerate(tariff.transfers):
            for other in tariff.transfers[:place]:
                if (
                    other.before.covers(transfer.before)
                    and other.after.covers(transfer.after)
                    and other.window >= transfer.window
                    and other.window_from == transfer.window_from
                    and other.count_max is None
                    and other.same_line == "allowed"
                    and not other.other_product
                    and not other.at
                ):
                    what = f"this transfer is never given: {other.clause} takes all of them"
                    self._tell("error", transfer.clause, "", what, "Put it first, or leave it out")

    def _hidden(self, what: str, rules: list[tuple[Condition, str]]) -> None:
        for place, (condition, clause) in enumerate(rules):
            for other, first in rules[:place]:
                if other.covers(condition):
                    why = "speaks of the same rides" if condition.covers(other) else "takes every ride of it"
                    self._tell(
                        "error", clause, "", f"{what}: {first} {why}", "Put it first, or leave one out"
                    )
                    break

    def hours(self) -> None:
        """Time bands of different names that hold at the same time."""
        bands = self.tariff.time_bands
        for place, band in enumerate(bands):
            for other in bands[:place]:
                if band.name != other.name and band.tap == other.tap and _overlap(band, other):
                    day = sorted(band.days & other.days)[0]
                    what = f"{band.name} and {other.name} both hold on {day}"
                    self._tell("error", band.clause, "from", what, "Let one end where the other begins")

    def caps(self) -> None:
        """Caps that can never matter, or that cost more than one that covers more."""
        for cap in self.tariff.caps:
            for other in self.tariff.caps:
                if other is cap or other.period != cap.period or not _within(cap, other):
                    continue
                for who in self.tariff.classes:
                    if cap.amount(who) >= other.amount(who):
                        what = f"costs {who} no less than {other.label}, which covers more"
                        self._tell("error", cap.clause, "amount", what, "Lower it, or leave it out")
                        break
            self._below_single(cap)

    def _below_single(self, cap: Cap) -> None:
        """A cap that the cheapest ride inside it reaches at once is most often a slip of the pen."""
        tariff = self.tariff
        if cap.products or cap.zone_set or not cap.condition.always or tariff.fares or tariff.discounts:
            return
        basis = tariff.basis
        if isinstance(basis, FlatBasis):
            prices = [basis.price]
        elif isinstance(basis, DistanceBasis):
            prices = [band.price for band in basis.bands]
        elif isinstance(basis, ZoneBasis):
            low, high = cap.zones or (0, len(basis.order) - 1)
            prices = [price for (a, b), price in basis.spans.items() if low <= a and b <= high]
        else:
            return
        least = min(
            (amount for price in prices for (_, who), amount in price.amounts.items() if who == "adult"),
            default=0,
        )
        if cap.amount("adult") < least:
            what = "is less than the cheapest single fare inside it"
            self._tell("error", cap.clause, "amount", what, "Raise it, or make it the fare")

    # -- the network ---------------------------------------------------------------------------------------

    def names(self, places: Places) -> None:
        """Stops, lines and zones that the tariff names and the network does not have."""
        zones = {zone for stop in places.stops for zone in (places.zone_of(stop) or "").split("/") if zone}
        known = {"stops": frozenset(places.stops), "zones": frozenset(zones)}
        if isinstance(places, HasLines):
            known["lines"] = frozenset(places.lines)
        remedy = "Write it as the network does, or bring the network up to date"
        for clause, kind, names in self._named():
            if kind not in known:
                continue
            for name in sorted(names - known[kind])[:_TOLD_MAX]:
                self._tell("error", clause, "", f"the network has no {kind.rstrip('s')} {name!r}", remedy)
        for file, kind, names in self._in_tables():
            there = known[kind]
            if kind == "zones":  # a stop on a boundary stands in a table as it does in the network
                there |= {places.zone_of(stop) or "" for stop in places.stops}
            for name in sorted(names - there)[:_TOLD_MAX]:
                where = f"{file} line {self._row_of(file, name)}, field origin"
                what = f"the network has no {kind.rstrip('s')} {name!r}"
                self.found.append(Finding("error", where, what, remedy))
        for basis, clause in self._bases():
            if isinstance(basis, ZoneBasis):
                for zone in [zone for zone in basis.order if zone not in zones][:_TOLD_MAX]:
                    what = f"no stop of the network is in zone {zone!r}"
                    self._tell("warning", clause, "order", what, "Leave it out, or give its stops the zone")

    def _row_of(self, file: str, name: str) -> int:
        """The first line of a table that names a stop or zone, its prefix aside."""
        lines = self.tariff.source.tables.get(file, "").splitlines()
        ends = (set(line.split(",")[:2]) for line in lines)
        return next((n for n, cells in enumerate(ends, 1) if any(c and name.endswith(c) for c in cells)), 1)

    def _named(self) -> Iterator[tuple[str, str, frozenset[str]]]:
        tariff = self.tariff
        for condition, clause in _conditions(tariff):
            yield clause, "stops", condition.stops | condition.from_stops | condition.to_stops | condition.via
            yield clause, "lines", condition.lines
            yield clause, "zones", condition.from_zones | condition.to_zones | condition.zones
        for cap in tariff.caps:
            yield cap.clause, "zones", cap.zone_set
        for band in tariff.time_bands:
            yield band.clause, "zones", band.unless_into
        for override in tariff.overrides:
            yield override.clause, "stops", override.stops | frozenset(override.gateways)
            yield override.clause, "lines", override.lines
        for one in tariff.passes:
            yield one.clause, "stops", one.within
        for link in (*tariff.joins, *tariff.transfers):
            yield link.clause, "stops", frozenset(stop for pair in link.at for stop in pair)
        yield tariff.pairing.clause, "stops", tariff.pairing.interchange
        for basis, clause in self._bases():
            if isinstance(basis, LineBasis):
                yield clause, "lines", frozenset(basis.prices)

    def _in_tables(self) -> Iterator[tuple[str, str, frozenset[str]]]:
        """What the rows of the tariff's tables name."""
        for basis, _ in self._bases():
            if isinstance(basis, PairBasis):
                names = frozenset(name for pair in basis.rows for name in pair)
                names |= frozenset(name for row in basis.ways for name in row)
                yield basis.clause.rsplit(", ", 1)[-1], "zones" if basis.by_zone else "stops", names
            elif isinstance(basis, DistanceBasis | RateBasis) and basis.table is not None:
                yield basis.table.file, "stops", frozenset(stop for pair in basis.table.rows for stop in pair)

    def _bases(self) -> list[tuple[Basis, str]]:
        tariff = self.tariff
        bases = [(rule.basis, rule.clause) for rule in tariff.fares] + [(tariff.basis, tariff.basis.clause)]
        either = [
            (one, clause)
            for basis, clause in bases
            if isinstance(basis, CheapestBasis)
            for one in basis.choices
        ]
        return bases + either

    def cheaper_farther(self) -> None:
        """A longer band, a wider span or more zones for less: allowed, and most often a slip of the pen."""
        for basis, clause in self._bases():
            for near, far, what, where in _rising(basis):
                for key in sorted(near.amounts.keys() & far.amounts.keys()):
                    if far.amounts[key] < near.amounts[key]:
                        who = " ".join(filter(None, key))
                        self._tell(
                            "warning",
                            where or clause,
                            "fare",
                            f"{what}, {who}",
                            "See whether the amounts are right",
                        )
                        break

    def gaps(self, places: Places) -> None:
        """Rides without a fare: see ``gaps``."""
        by_part: dict[tuple[str, str], list[Gap]] = {}
        for gap in find_gaps(self.tariff, places):
            by_part.setdefault((gap.clause, gap.field), []).append(gap)
        for (clause, name), found in by_part.items():
            for gap in found[:_TOLD_MAX]:
                if gap.file:
                    self.found.append(Finding("error", f"{gap.file}, field {name}", gap.what, gap.remedy))
                else:
                    self._tell("error", clause, name, gap.what, gap.remedy)
            if len(found) > _TOLD_MAX:
                what = f"{len(found) - _TOLD_MAX} more have no fare"
                self._tell("error", clause, name, what, "Mend those above first")


def _rising(basis: Basis) -> Iterator[tuple[Price, Price, str, str]]:
    """Prices of which the second should not be less than the first, what it is if it is, and its clause."""
    if isinstance(basis, DistanceBasis):
        for near, far in pairwise(basis.bands):
            yield (
                near.price,
                far.price,
                f"up to {far.up_to_m:,} costs less than up to {near.up_to_m:,}",
                far.clause,
            )
    elif isinstance(basis, ZoneCountBasis):
        for count, (near, far) in enumerate(pairwise(basis.prices), 2):
            yield near, far, f"{count} zones cost less than {count - 1}", ""
    elif isinstance(basis, ZoneBasis):
        for (low, high), wide in basis.spans.items():
            for inner in ((low + 1, high), (low, high - 1)):
                if inner in basis.spans:
                    what = f"zones {basis.label((low, high))} cost less than zones {basis.label(inner)}"
                    yield basis.spans[inner], wide, what, ""
    elif isinstance(basis, ZoneSetBasis):
        for wide in basis.sets:
            for one in basis.sets:
                if one.zones < wide.zones:
                    yield (
                        one.price,
                        wide.price,
                        f"set {wide.name} costs less than set {one.name}",
                        wide.clause,
                    )


def _overlap(one: TimeBand, other: TimeBand) -> bool:
    return bool(
        one.condition.meets(other.condition)
        and not one.unless_into
        and not other.unless_into
        and one.days & other.days
        and one.starts < other.ends
        and other.starts < one.ends
    )


def _within(one: Cap, other: Cap) -> bool:
    """Whether the other cap takes in every ride of this one, on every day that this one holds."""
    if other.days and not (one.days and one.days <= other.days):
        return False
    if not other.condition.covers(one.condition) or (one.extend and not other.extend):
        return False
    if other.products and not (one.products and one.products <= other.products):
        return False
    if other.zones is not None:
        return one.zones is not None and other.zones[0] <= one.zones[0] and one.zones[1] <= other.zones[1]
    return not other.zone_set or bool(one.zone_set and one.zone_set <= other.zone_set)


def _conditions(tariff: Tariff) -> Iterable[tuple[Condition, str]]:
    for part in (
        tariff.time_bands,
        tariff.fares,
        tariff.fees,
        tariff.joins,
        tariff.discounts,
        tariff.passes,
        tariff.tiers,
        tariff.caps,
        tariff.carnets,
    ):
        for one in part:
            for part in one.condition.parts:
                yield part, one.clause
    for transfer in tariff.transfers:
        for part in (*transfer.before.parts, *transfer.after.parts):
            yield part, transfer.clause
