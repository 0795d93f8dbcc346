"""Is a tariff sound? Rules that can never hold, rules that contradict each other, rides that have no fare.

Reading refuses what is wrong in one place; this looks at the parts beside each other, and at the network they are for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from itertools import product as product_of
from typing import Literal

from hansa.fares.legs import question
from hansa.fares.model import HasLines, Places
from hansa.fares.parts.basis import Basis
from hansa.fares.parts.caps import Cap
from hansa.fares.parts.condition import Condition
from hansa.fares.parts.distance import DistanceBasis
from hansa.fares.parts.flat import FlatBasis
from hansa.fares.parts.hours import TimeBand
from hansa.fares.parts.pairs import PairBasis
from hansa.fares.parts.ride import Unpriceable
from hansa.fares.parts.zones import ZoneBasis
from hansa.fares.pricing import Pricer
from hansa.fares.tariff import Tariff
from hansa.kernel import InvalidInput, Problem

PAIRS_MAX = 20_000
"""Pairs of stops that are tried for each class, hour and product; of larger networks an even part."""

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
        stops = set(places.stops)
        lines = set(places.lines) if isinstance(places, HasLines) else None
        zones = {zone for stop in stops for zone in (places.zone_of(stop) or "").split("/") if zone}
        for clause, field, names in self._named():
            if field == "lines":
                missing = sorted(names - lines) if lines is not None else []
            elif field == "zones":
                missing = sorted(names - zones) if zones else []
            else:
                missing = sorted(names - stops)
            for name in missing[:_TOLD_MAX]:
                what = f"the network has no {field.rstrip('s')} {name!r}"
                self._tell(
                    "error", clause, "", what, "Write it as the network does, or bring the network up to date"
                )

    def _named(self) -> Iterator[tuple[str, str, frozenset[str]]]:
        tariff = self.tariff
        for condition, clause in _conditions(tariff):
            yield clause, "stops", condition.stops | condition.from_stops | condition.to_stops
            yield clause, "lines", condition.lines
            yield clause, "zones", condition.from_zones | condition.to_zones | condition.zones
        for override in tariff.overrides:
            yield override.clause, "stops", override.stops | frozenset(override.gateways)
            yield override.clause, "lines", override.lines
        for one in tariff.passes:
            yield one.clause, "stops", one.within
        for link in (*tariff.joins, *tariff.transfers):
            yield link.clause, "stops", frozenset(stop for pair in link.at for stop in pair)
        for basis, clause in self._bases():
            if isinstance(basis, PairBasis) and not basis.by_zone:
                yield clause, "stops", frozenset(stop for pair in basis.rows for stop in pair)

    def _bases(self) -> list[tuple[Basis, str]]:
        tariff = self.tariff
        return [(rule.basis, rule.clause) for rule in tariff.fares] + [(tariff.basis, tariff.basis.clause)]

    def gaps(self, places: Places) -> None:
        """Pairs of stops without a fare.

        Every price has an amount for every class, hour and medium: reading saw to that. So it is enough to try those
        by which rules are chosen.
        """
        pricer, tariff = Pricer(tariff=self.tariff, places=places), self.tariff
        products = sorted({name for rule in tariff.fares for name in rule.condition.products} | {""})
        holes: dict[str, dict[tuple[str, str], str]] = {}
        chosen = [rule.condition for rule in tariff.fares]
        riders = ["adult", *sorted({name for one in chosen for name in one.classes})]
        media = ["", *sorted({name for one in chosen for name in one.media})]
        rides = list(product_of(products, _instants(tariff), riders, media))
        for pair in _pairs(sorted(places.stops)):
            for product, at, who, medium in rides:
                try:
                    pricer.leg(question(*pair, at, who, product, None, medium))
                except Unpriceable as reason:
                    holes.setdefault(str(reason), {}).setdefault(pair, who)
        clause = tariff.basis.clause
        for reason, pairs in list(holes.items())[:_TOLD_MAX]:
            if "given with the ride" in reason or "has no fare for line" in reason:
                continue  # metres and lines come with rides; a network does not tell them
            (origin, destination), who = next(iter(pairs.items()))
            what = (
                f"no fare for {len(pairs)} pairs of stops, such as {origin} to {destination}, {who}: {reason}"
            )
            self._tell("error", clause, "", what, "Give them a fare, or leave the stop out of the network")
        if len(holes) > _TOLD_MAX:
            what = f"{len(holes) - _TOLD_MAX} more kinds of ride have no fare"
            self._tell("error", clause, "", what, "Mend those above first")


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


def _pairs(stops: Sequence[str]) -> Iterator[tuple[str, str]]:
    """All pairs, or an even part of them."""
    step = max(1, len(stops) ** 2 // PAIRS_MAX)
    for number in range(0, len(stops) ** 2, step):
        origin, destination = divmod(number, len(stops))
        yield stops[origin], stops[destination]


def _instants(tariff: Tariff) -> list[datetime]:
    """One instant in each time band, and one outside all of them."""
    if all(rule.condition.hours is None and not rule.condition.bands for rule in tariff.fares):
        return [datetime.combine(tariff.valid_from, time(12), tariff.zone_info)]
    found: dict[tuple[str, ...], datetime] = {}
    hours = [rule.condition.hours for rule in tariff.fares if rule.condition.hours is not None]
    for day in range(8):
        for minute in range(0, 24 * 60, 15):
            at = datetime.combine(tariff.valid_from, time(0), tariff.zone_info) + timedelta(
                days=day, minutes=minute
            )
            day_type, clock = tariff.day_type(at), at.time()
            names = [band.name for band in tariff.time_bands if band.hold(day_type, clock)]
            names += [str(place) for place, one in enumerate(hours) if one.hold(day_type, clock)]
            found.setdefault(tuple(names), at)
    return list(found.values())
