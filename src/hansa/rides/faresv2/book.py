"""The rules of a feed, laid out so that those which match a leg or a transfer are found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from hansa.atlas import FaresV2, JoinRule, LegRule, ProductPrice, TransferRule
from hansa.kernel import Money
from hansa.rides.faresv2.model import Leg, Rider


@dataclass(frozen=True, slots=True)
class EffectiveLeg:
    """Consecutive legs that count as one for fare_leg_rules.txt, with the join rules that make them so.

    first, last: which of the journey's legs, from 0. Source: fare_leg_join_rules.txt.
    """

    first: int
    last: int
    legs: tuple[Leg, ...]
    joins: tuple[JoinRule, ...] = ()

    @property
    def departs_at(self) -> datetime:
        return self.legs[0].departs_at

    @property
    def arrives_at(self) -> datetime:
        return self.legs[-1].arrives_at


@dataclass(frozen=True, slots=True)
class Option:
    """A way to pay for a leg: a rule that matches, and a price of its product."""

    rule: LegRule
    price: ProductPrice

    @property
    def money(self) -> Money:
        return self.price.price


class FareBook:
    """A feed's Fares v2 with its indexes; it never changes, and is worth keeping.

    edges_s: seconds of the day at which some timeframe begins or ends.
    """

    def __init__(self, fares: FaresV2) -> None:
        self.fares = fares
        self._networks = frozenset(rule.network_id for rule in fares.leg_rules if rule.network_id)
        self._from = frozenset(rule.from_area_id for rule in fares.leg_rules if rule.from_area_id)
        self._to = frozenset(rule.to_area_id for rule in fares.leg_rules if rule.to_area_id)
        self._by_network: dict[str | None, list[LegRule]] = {}
        for rule in fares.leg_rules:
            self._by_network.setdefault(rule.network_id, []).append(rule)
        self._prices: dict[str, list[ProductPrice]] = {}
        for price in fares.products:
            self._prices.setdefault(price.fare_product_id, []).append(price)
        self._groups = frozenset(rule.leg_group_id for rule in fares.leg_rules if rule.leg_group_id)
        self._from_groups = frozenset(
            t.from_leg_group_id for t in fares.transfer_rules if t.from_leg_group_id
        )
        self._to_groups = frozenset(t.to_leg_group_id for t in fares.transfer_rules if t.to_leg_group_id)
        self._transfers: dict[tuple[str | None, str | None], list[TransferRule]] = {}
        for transfer in fares.transfer_rules:
            key = (transfer.from_leg_group_id, transfer.to_leg_group_id)
            self._transfers.setdefault(key, []).append(transfer)
        self.edges_s = sorted(
            {edge for frame in fares.timeframes for edge in (frame.start_s, frame.end_s)} - {0, 86_400}
        )
        self._defaults = frozenset(c.rider_category_id for c in fares.rider_categories if c.is_default)

    # -- legs -----------------------------------------------------------------------------------------------

    def effective_legs(self, legs: Sequence[Leg]) -> list[EffectiveLeg]:
        """The legs with every chain of joined ones as one. Source: fare_leg_join_rules.txt."""
        found: list[EffectiveLeg] = []
        for number, leg in enumerate(legs):
            rule = self._join_rule(legs[number - 1], leg) if number else None
            if rule is None:
                found.append(EffectiveLeg(number, number, (leg,)))
            else:
                before = found.pop()
                found.append(EffectiveLeg(before.first, number, (*before.legs, leg), (*before.joins, rule)))
        return found

    def _join_rule(self, before: Leg, after: Leg) -> JoinRule | None:
        """The first rule all of whose fields that are not blank match this transfer."""
        fares = self.fares
        for rule in fares.join_rules:
            if rule.from_network_id and fares.networks.get(before.route_id) != rule.from_network_id:
                continue
            if rule.to_network_id and fares.networks.get(after.route_id) != rule.to_network_id:
                continue
            if rule.from_stop_id and rule.to_stop_id:
                ends = rule.from_stop_id in (before.to_stop_id, fares.station_of(before.to_stop_id))
                if ends and rule.to_stop_id in (after.from_stop_id, fares.station_of(after.from_stop_id)):
                    return rule
            elif fares.station_of(before.to_stop_id) == fares.station_of(after.from_stop_id):
                return rule
        return None

    def leg_rules(self, leg: EffectiveLeg, *, transferred: bool) -> list[LegRule]:
        """The rules of fare_leg_rules.txt that match, of these the ones with the highest rule_priority.

        transferred: whether a transfer rule leads to this leg; only then rules with transfer_only count.
        """
        networks = {self.fares.networks.get(one.route_id) for one in leg.legs}
        candidates = list(self._by_network.get(None, ())) if self._empty_network(networks) else []
        if len(networks) == 1 and (network := next(iter(networks))) is not None:
            candidates += self._by_network.get(network, ())
        first, last = leg.legs[0], leg.legs[-1]
        start, end = self.fares.areas_of(first.from_stop_id), self.fares.areas_of(last.to_stop_id)
        found = [
            rule
            for rule in candidates
            if (transferred or not rule.transfer_only)
            and self._area_fits(rule.from_area_id, start, self._from)
            and self._area_fits(rule.to_area_id, end, self._to)
            and self._time_fits(rule.from_timeframe_group_id, first.departs_at, first.from_stop_id)
            and self._time_fits(rule.to_timeframe_group_id, last.arrives_at, last.to_stop_id)
        ]
        if self.fares.by_priority and found:
            highest = max(rule.rule_priority for rule in found)
            found = [rule for rule in found if rule.rule_priority == highest]
        return sorted(found, key=lambda rule: rule.row)

    def _empty_network(self, networks: Iterable[str | None]) -> bool:
        """Whether an empty network_id matches: always with rule_priority, else where none is listed elsewhere."""
        return self.fares.by_priority or self._networks.isdisjoint(network for network in networks if network)

    def _area_fits(self, area_id: str | None, areas: frozenset[str], listed: frozenset[str]) -> bool:
        """Whether an area field matches a stop's areas; an empty one as ``_empty_network`` says."""
        if area_id is not None:
            return area_id in areas
        return self.fares.by_priority or areas.isdisjoint(listed)

    def _time_fits(self, group_id: str | None, at: datetime, stop_id: str) -> bool:
        """Whether a timeframe of the group holds at a fare event. Source: timeframes.txt, Local Time Semantics."""
        if group_id is None:
            return True
        local = at.astimezone(ZoneInfo(self.fares.tz_of(stop_id)))
        second = local.hour * 3600 + local.minute * 60 + local.second
        return any(
            frame.start_s <= second < frame.end_s
            and self.fares.services[frame.service_id].holds(local.date())
            for frame in self.fares.timeframes
            if frame.timeframe_group_id == group_id and frame.service_id in self.fares.services
        )

    # -- products -------------------------------------------------------------------------------------------

    def prices(self, fare_product_id: str, rider: Rider) -> list[ProductPrice]:
        """The prices at which a rider may have a product, the lowest first.

        A row without a rider category is for everybody, one without a medium for any medium. Source: fare_products.txt.
        """
        found = [
            price
            for price in self._prices.get(fare_product_id, ())
            if self._may_have(price.rider_category_id, rider)
            and (rider.media is None or price.fare_media_id is None or price.fare_media_id in rider.media)
            and rider.currency in (None, price.price.currency)
        ]
        return sorted(found, key=lambda price: (price.price.currency, price.price.minor, price.row))

    def _may_have(self, category: str | None, rider: Rider) -> bool:
        if category is None:
            return True
        return category in self._defaults if rider.category is None else category == rider.category

    def options(self, leg: EffectiveLeg, rider: Rider, *, transferred: bool) -> list[Option]:
        """The cheapest way to pay for a leg in each leg group and currency."""
        best: dict[tuple[str | None, str], Option] = {}
        for rule in self.leg_rules(leg, transferred=transferred):
            for price in self.prices(rule.fare_product_id, rider):
                key = (rule.leg_group_id, price.price.currency)
                known = best.get(key)
                if known is None or price.price.minor < known.money.minor:
                    best[key] = Option(rule, price)
        return list(best.values())

    # -- transfers ------------------------------------------------------------------------------------------

    def transfer_rules(self, before: str | None, after: str | None) -> Sequence[TransferRule]:
        """The rules of fare_transfer_rules.txt between two leg groups, whatever their counts and limits.

        An empty field stands for the leg groups that no rule names on that side. A leg whose rule has no leg group
        takes part in no transfer. Source: fare_transfer_rules.txt, steps 2 to 5.
        """
        if before not in self._groups or after not in self._groups:
            return ()
        exact = self._transfers.get((before, after))
        if exact:
            return exact
        key = (before if before in self._from_groups else None, after if after in self._to_groups else None)
        return self._transfers.get(key, ()) if None in key else ()
