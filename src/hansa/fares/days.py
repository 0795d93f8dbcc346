"""A rider's day with one operator, journey by journey in order of time.

The day is always worked out from all its journeys, so it does not matter when or in which order their taps arrived.
Order of rules: what the journey costs by itself (``pricing``), join or transfer, pass, fees, tiers, daily caps and
carnets, longer caps, rolling caps, subsidy.

Who rides along is a rider of their own for as long as a day lasts: with transfers and daily caps of their own. From
one day to the next a companion's number names nobody, so nothing is carried over: no tiers, no longer caps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hansa.fares.covers import Cover, Covers
from hansa.fares.legs import Leg
from hansa.fares.model import Around, Counters, Fare, Journey, Payment, Step
from hansa.fares.parts.caps import hours_of
from hansa.fares.parts.links import Join, Transfer
from hansa.fares.parts.reductions import Pass
from hansa.fares.parts.ride import Facts, Unpriceable

if TYPE_CHECKING:
    from hansa.fares.pricing import Pricer

Each = TypeVar("Each")
_RIDDEN = ("complete", "boarding")
_NO_COUNTS: Mapping[str, int] = {}


@dataclass(slots=True)
class _Chain:
    """Journeys that are joined into one fare.

    paid: what they have been priced at so far. singles: each by itself. transfer: what takes off from the whole, where
    the first of them is a transfer; charged: what is left of it so far. kept: it began on an earlier day.
    """

    journeys: list[Journey]
    legs: list[Leg]
    paid: int
    singles: int
    transfer: "_Taken | None" = None
    charged: int = 0
    kept: bool = False


@dataclass(slots=True)
class _Window:
    """What one transfer rule remembers of the ride that opened it and of those since."""

    first_at: datetime
    last_at: datetime
    exit_at: datetime
    stop: str | None
    lines: list[str | None]
    product: str
    count: int = 0
    dearest: int = 0
    paid: int = 0


class _Taken(NamedTuple):
    """A transfer that was given: the rule, how many and how much the window held before it, and its figures."""

    rule: Transfer
    number: int
    dearest: int
    paid: int
    facts: Mapping[str, str | int]


@dataclass(slots=True)
class _Working:
    """A fare while rules change it. Each rule that changes the amount leaves a step."""

    amount: int
    steps: list[Step]
    free_of_tiers: int
    free_of_caps: int
    zones: str
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def less(self, step: Step) -> None:
        """Take off (or add) what a step says; what stands outside other rules is never more than all."""
        self.amount += step.amount
        self.steps.append(step)
        self.free_of_tiers = min(self.free_of_tiers, self.amount)
        self.free_of_caps = min(self.free_of_caps, self.amount)

    def count(self, key: str, amount: int) -> None:
        if amount:
            self.counts[key] = self.counts.get(key, 0) + amount


class Day:
    """One rider's day. companion: 0 for the account's holder; a companion's day knows no other day."""

    def __init__(
        self, pricer: "Pricer", counters: Counters, around: Around | None, *, companion: int = 0
    ) -> None:
        self.pricer = pricer
        self.tariff = tariff = pricer.tariff
        self.counters = counters
        self.around = around
        self.month_minor = counters.month_minor
        self.counts: dict[str, int] = dict(counters.counts) if counters.counts else {}
        self.chain: _Chain | None = None
        self.windows: list[_Window | None] = [None] * len(tariff.transfers)
        self.trip_from: datetime | None = None
        self.trip_fees: set[int] = set()
        self.day_fees: set[int] = set()
        self._covers: dict[tuple[str, str], Covers] = {}
        self._hours: dict[str, datetime] = {}
        self._companion = companion
        self._dated = bool(tariff.passes or any(cap.days for cap in tariff.caps))
        self._first_steps: tuple[Step, ...] = ()
        if companion:
            facts: Facts = {"number": companion, "class": tariff.companions}
            self._first_steps = (Step("companion", 0, tariff.currency, facts),)

    # -- one journey ---------------------------------------------------------------------------------------

    def go_on_from(self, earlier: Sequence[Journey]) -> None:
        """The rider's own rides of the days before: they are not priced, but open windows and may be joined to."""
        day: date | None = None
        for journey in earlier:
            on = self.tariff.service_day(self.pricer.local(journey.started_at))
            if day is not None and on != day:
                self._begin_day()
            day = on
            try:
                leg = self.pricer.leg(journey)
                quote = leg.quote
                work = _Working(quote.amount, [], quote.free_of_tiers, quote.free_of_caps, quote.zones)
                _, leg, _ = self._linked(journey, leg, work, [])
                self.trip_fees |= {place for place, _ in leg.fees}
            except Unpriceable:
                self.chain = None
        self._begin_day()

    def _begin_day(self) -> None:
        """Over the edge of a service day go only the rules that say so."""
        for place, rule in enumerate(self.tariff.transfers):
            if not rule.across_days:
                self.windows[place] = None
        if self.chain is not None:
            self.chain.kept = True

    def see(self, journey: Journey) -> None:
        """A ride with a partner operator: it opens windows and costs nothing here."""
        if journey.kind not in _RIDDEN:
            return
        try:
            leg = self.pricer.about(journey)
        except Unpriceable:
            return
        paid = self.around.paid.get(journey.journey_id, 0) if self.around is not None else 0
        self._remember(journey, leg, paid, None, joined=False)

    def price(self, journey: Journey) -> Fare:
        """What this journey costs after those before it."""
        tariff, steps = self.tariff, list(self._first_steps)
        if self._companion and journey.rider_class != tariff.companions:
            journey = replace(journey, rider_class=tariff.companions)
        if journey.kind not in _RIDDEN and self.around is not None and self.around.habits:
            usual = self.pricer.missing.by_habit(journey, self.around.habits)
            if usual is not None:
                journey, step = usual
                steps.append(step)
        try:
            return self._price(journey, steps)
        except Unpriceable as reason:
            self.chain = None  # nothing is joined across a ride of which the price is not known
            held = Step("held", 0, tariff.currency, reason.facts)
            return Fare(journey.journey_id, 0, tariff.currency, (*steps, held), status="held")

    def _price(self, journey: Journey, steps: list[Step]) -> Fare:
        tariff, pricer = self.tariff, self.pricer
        leg = pricer.leg(journey)
        quote = leg.quote
        if pricer.alone:
            told = (*steps, *quote.steps) if steps else quote.steps
            tiered = 0 if self._companion else quote.amount - quote.free_of_tiers
            return Fare(
                journey.journey_id,
                quote.amount,
                tariff.currency,
                told,
                "priced",
                quote.zones,
                0,
                tiered,
                _NO_COUNTS,
            )
        work = _Working(
            quote.amount, [*steps, *quote.steps], quote.free_of_tiers, quote.free_of_caps, quote.zones
        )
        new_trip = True
        if pricer.linked:
            work, leg, new_trip = self._linked(journey, leg, work, steps)
        if tariff.passes and not self._companion:
            self._take_pass(journey, leg, work)
        if leg.fees:
            self._add_fees(leg, work)
        return self._over_the_day(journey, leg, work, new_trip=new_trip)

    def _linked(
        self, journey: Journey, leg: Leg, work: _Working, steps: list[Step]
    ) -> tuple[_Working, Leg, bool]:
        """What comes of the rides before: a join, or a transfer. The last says whether a new trip begins."""
        tariff, pricer = self.tariff, self.pricer
        if journey.kind not in _RIDDEN:
            self.chain = None
            self.trip_from, self.trip_fees = journey.started_at, set()
            return work, leg, True
        join = self._join_of(journey, leg) if tariff.joins else None
        transfer = self._transfer_of(journey, leg) if join is None else None
        goes_on = join is not None or transfer is not None
        if pricer.by_first and goes_on:
            leg = pricer.leg(journey, self.trip_from)
            quote = leg.quote
            work = _Working(
                quote.amount, [*steps, *quote.steps], quote.free_of_tiers, quote.free_of_caps, quote.zones
            )
        if join is not None:
            work, leg = self._joined(join, journey, leg, steps)
        elif tariff.joins:
            self.chain = _Chain([journey], [leg], leg.quote.amount, leg.quote.amount)
        if not goes_on:
            self.trip_from, self.trip_fees = journey.started_at, set()
        if transfer is not None:
            self._take_transfer(transfer, journey, leg, work)
        if self.chain is not None and join is None:
            self.chain.charged = work.amount
        if tariff.transfers:
            self._remember(journey, leg, work.amount, transfer, joined=join is not None)
        return work, leg, not goes_on

    def _over_the_day(self, journey: Journey, leg: Leg, work: _Working, *, new_trip: bool) -> Fare:
        """Tiers, caps and subsidy: what looks at sums."""
        tariff, own = self.tariff, not self._companion
        if tariff.tiers and own:
            self._take_tiers(leg, work, new_trip=new_trip)
        counted = 0
        if tariff.caps or tariff.carnets:
            day_type = ""
            if self._dated:
                day_type = tariff.service_day_type(tariff.service_day(self.pricer.local(journey.started_at)))
            for period in tariff.hour_periods:
                self._take_hours(period, journey, leg, work)
            self._take_caps("day", day_type, leg, work)
            counted = work.amount - work.free_of_caps
            if own:
                for period in tariff.long_periods:
                    self._take_caps(period, "", leg, work)
        tiered = min(work.amount - work.free_of_tiers, work.amount)
        if not own:
            counted = tiered = 0
        self.month_minor += tiered
        for ladder in self.pricer.ladders if own else ():
            if ladder.name and not ladder.by_rides and leg.tiers >> ladder.place & 1:
                self._count(work, ladder.name, tiered)
        subsidy = self._take_subsidy(leg, work) if own and self.pricer.subsidised else None
        return Fare(
            journey.journey_id,
            work.amount,
            tariff.currency,
            tuple(work.steps),
            "priced",
            work.zones,
            counted,
            tiered,
            work.counts or _NO_COUNTS,
            subsidy,
        )

    def _step(self, rule: str, amount: int, facts: Mapping[str, str | int], clause: str) -> Step:
        return self.pricer.step(rule, amount, facts, clause)

    def _count(self, work: _Working, key: str, amount: int) -> None:
        work.count(key, amount)
        self.counts[key] = self.counts.get(key, 0) + amount

    # -- joins ---------------------------------------------------------------------------------------------

    def _join_of(self, journey: Journey, leg: Leg) -> int | None:
        """The place of the first join rule by which this journey goes on with those before it."""
        chain = self.chain
        if chain is None:
            return None
        last = chain.legs[-1]
        for place, join in enumerate(self.tariff.joins):
            if not leg.joins >> place & 1 or (chain.kept and not join.across_days):
                continue
            if join.before is None:
                fits = bool(last.joins_at >> place & 1)
            else:
                fits = join.before.holds(last.about, places_only=True)
            if fits and _joins(join, chain.journeys, journey):
                return place
        return None

    def _joined(self, place: int, journey: Journey, leg: Leg, steps: list[Step]) -> tuple[_Working, Leg]:
        """The whole of the joined journeys, less what those before were priced at."""
        chain = self.chain
        assert chain is not None, "a join goes on with a chain"
        join = self.tariff.joins[place]
        journeys, abouts = [*chain.journeys, journey], [one.about for one in (*chain.legs, leg)]
        each = join.hour == "each"
        whole = self.pricer.joined(place, journeys, abouts, journey if each else None)
        quote = whole.quote
        facts: Facts = {"name": join.name, "rides": len(journeys)}
        if each:  # what those before come to at this hour is not what they were priced at
            before = self.pricer.joined(place, journeys[:-1], abouts[:-1], journey).quote.amount
            facts["before_minor"] = before
        else:
            before = facts["paid_minor"] = chain.paid
        chain.singles += leg.quote.amount
        in_all = chain.paid + quote.amount - before
        adds = max(0, (min(in_all, chain.singles) if join.never_more else in_all) - chain.paid)
        steps = [*steps, *quote.steps, self._step("join", adds - quote.amount, facts, join.clause)]
        chain.journeys, chain.legs, chain.kept = journeys, [*chain.legs, leg], False
        chain.paid += adds
        taken = chain.transfer
        if taken is not None:  # it takes off from the one fare that they are
            after = max(0, self._after_transfer(taken, chain.paid, leg)[0] - chain.charged)
            if after < adds:
                steps.append(self._step("transfer", after - adds, taken.facts, taken.rule.clause))
                adds = after
        chain.charged += adds
        work = _Working(
            adds, steps, min(quote.free_of_tiers, adds), min(quote.free_of_caps, adds), quote.zones
        )
        return work, replace(whole, fees=leg.fees, before=leg.before, after=leg.after)

    # -- transfers -----------------------------------------------------------------------------------------

    def _transfer_of(self, journey: Journey, leg: Leg) -> int | None:
        for place, rule in enumerate(self.tariff.transfers):
            if leg.after >> place & 1 and _takes(rule, self.windows[place], journey):
                return place
        return None

    def _take_transfer(self, place: int, journey: Journey, leg: Leg, work: _Working) -> None:
        rule, window = self.tariff.transfers[place], self.windows[place]
        assert window is not None, "a transfer has a window"
        facts = _told(rule, window, journey)
        taken = _Taken(rule, window.count, window.dearest, window.paid, facts)
        after, figures = self._after_transfer(taken, work.amount, leg)
        facts |= figures
        work.less(self._step("transfer", after - work.amount, facts, rule.clause))
        if self.chain is not None:
            self.chain.transfer = taken

    def _after_transfer(self, taken: _Taken, amount: int, leg: Leg) -> tuple[int, Facts]:
        """What is left of an amount, and the figures that say so."""
        rule = taken.rule
        if rule.less is not None:
            return amount - min(amount, self.pricer.of_class(rule.less, leg.pays_as)), {}
        if rule.difference:
            return max(0, amount - taken.dearest), {"dearest_minor": taken.dearest}
        if rule.chain_max is not None:
            most = self.pricer.of_class(rule.chain_max, leg.pays_as)
            return min(amount, max(0, most - taken.paid)), {"most_minor": most}
        if rule.fares:
            return min(amount, self.pricer.of_class(_nth(rule.fares, taken.number), leg.pays_as)), {}
        percent = _nth(rule.percent, taken.number)
        return self.pricer.share(amount, percent), {"percent": percent}

    def _remember(
        self, journey: Journey, leg: Leg, amount: int, transfer: int | None, *, joined: bool
    ) -> None:
        """Open windows, and move those on that this ride lies in."""
        for place, rule in enumerate(self.tariff.transfers):
            window = self.windows[place]
            inside = place == transfer or (
                transfer is not None and leg.after >> place & 1 and _takes(rule, window, journey)
            )
            if window is not None and (inside or (joined and leg.before >> place & 1)):
                window.count += 0 if joined else 1
                window.last_at, window.exit_at = journey.started_at, journey.ended_at
                window.stop = journey.destination
                window.lines.append(journey.line_id)
                window.product = journey.product
                window.dearest = max(window.dearest, amount if joined else leg.quote.amount)
                window.paid += amount
            elif leg.before >> place & 1:
                self.windows[place] = _Window(
                    journey.started_at,
                    journey.started_at,
                    journey.ended_at,
                    journey.destination,
                    [journey.line_id],
                    journey.product,
                    dearest=amount,
                    paid=amount,
                )

    # -- passes and fees -----------------------------------------------------------------------------------

    def _take_pass(self, journey: Journey, leg: Leg, work: _Working) -> None:
        if self.around is None or not self.around.passes or not work.amount:
            return
        day = self.tariff.service_day(self.pricer.local(journey.started_at))
        held = {one.name for one in self.around.passes if one.good(day, journey.started_at)}
        best: tuple[int, Pass] | None = None
        for place, one in enumerate(self.tariff.passes):
            if one.name in held and leg.passes >> place & 1:
                after = self._by_pass(one, journey, leg, work.amount)
                if after is not None and (best is None or after < best[0]):
                    best = after, one
        if best is not None and best[0] < work.amount:
            after, one = best
            step = self._step(
                "pass", after - work.amount, {"name": one.name, "percent": one.percent}, one.clause
            )
            work.less(step)

    def _by_pass(self, one: Pass, journey: Journey, leg: Leg, amount: int) -> int | None:
        """What is still paid with a pass, or None where it is not good for the ride."""
        zones, within = one.condition.zones, one.within
        touched = self.tariff.zone_names(leg.quote.zones)
        inside = not zones or (touched is not None and touched <= zones)
        if inside and (not within or {journey.origin, journey.destination} <= within):
            return self.pricer.share(amount, one.percent)
        if not one.extend:
            return None
        rests = [
            self.pricer.beyond(leg, zones) if not inside else None,
            self.pricer.rest_of_way(journey, within) if within else None,
        ]
        return min((min(amount, rest) for rest in rests if rest is not None), default=None)

    def _add_fees(self, leg: Leg, work: _Working) -> None:
        for place, amount in leg.fees:
            fee = self.tariff.fees[place]
            if (fee.per == "trip" and place in self.trip_fees) or (
                fee.per == "day" and place in self.day_fees
            ):
                continue
            self.trip_fees.add(place)
            self.day_fees.add(place)
            paid = amount
            work.steps.append(self._step("fee", amount, {"name": fee.name}, fee.clause))
            if fee.most is not None:
                key = f"{fee.most_period}:fee {fee.name}"
                most = self.pricer.of_class(fee.most, leg.pays_as)
                paid = min(amount, max(0, most - self.counts.get(key, 0)))
                if paid < amount:
                    facts: Facts = {"name": fee.name, "most_minor": most, "period": fee.most_period}
                    work.steps.append(self._step("fee_most", paid - amount, facts, fee.clause))
                if fee.most_period == "day" or self._companion:
                    self.counts[key] = self.counts.get(key, 0) + paid
                else:
                    self._count(work, key, paid)
            work.amount += paid
            work.free_of_tiers += 0 if fee.tiers else paid
            work.free_of_caps += 0 if fee.caps else paid

    # -- sums ----------------------------------------------------------------------------------------------

    def _take_tiers(self, leg: Leg, work: _Working, *, new_trip: bool) -> None:
        for ladder in self.pricer.ladders:
            if not leg.tiers >> ladder.place & 1:
                continue
            used = self.counts.get(ladder.name, 0) if ladder.name else self.month_minor
            if ladder.by_rides and not new_trip:
                used -= 1  # the trip counts once, and began before it was counted
            tier = None
            for one in ladder.tiers:
                if one.from_minor > used:
                    break
                tier = one
            tiered = work.amount - work.free_of_tiers
            if tier is not None and tier.percent != 100 and tiered:
                less = self.pricer.share(tiered, tier.percent) - tiered
                facts: Facts = {"percent": tier.percent}
                if ladder.by_rides:
                    facts |= {"rides": used, "from_rides": tier.from_minor, "period": tier.period}
                else:
                    facts |= {"month_minor": used, "from_minor": tier.from_minor}
                    if tier.period != "month":
                        facts["period"] = tier.period
                work.amount += less
                work.steps.append(self._step("tier", less, facts, tier.clause))
                work.free_of_caps = min(work.free_of_caps, work.amount)
            if ladder.by_rides and new_trip:
                self._count(work, ladder.name, 1)

    def _take_hours(self, period: str, journey: Journey, leg: Leg, work: _Working) -> None:
        """What is left under the caps of so many hours; a ride that one holds and that costs something begins them."""
        hours = timedelta(hours=hours_of(period))
        opened = self._hours.get(period)
        if opened is None and not self._companion:
            opened = last_window(self.counters.counts, period)
            self._hours |= {} if opened is None else {period: opened}
        if opened is None or journey.started_at >= opened + hours:
            held = self.pricer.covered(leg, period, "")
            if work.amount == work.free_of_caps or all(cap is None for cap, _ in held):
                return
            opened = self._hours[period] = journey.started_at
            for key in [key for key in self._covers if key[0] == period]:
                del self._covers[key]
        self._take_caps(period, "", leg, work, window=window_key(period, opened))

    def _take_caps(self, period: str, day_type: str, leg: Leg, work: _Working, window: str = "") -> None:
        """What is left to charge under the caps of this period, and a carnet. window: of so many hours, its name."""
        pricer = self.pricer
        carnet = self.tariff.carnet_of.get(period)
        covers = pricer.covers(period, day_type)
        if len(covers) == 1 and carnet is None:
            return
        who = leg.pays_as
        sums = self._covers.get((period, who))
        if sums is None:
            sums = self._covers[period, who] = self._opened(period, day_type, who, window)
        amount = work.amount - work.free_of_caps
        held = pricer.covered(leg, period, day_type)
        eligible = carnet is not None and carnet.condition.holds(leg.about)
        costs = [amount if cap is None else 0 if rest is None else min(amount, rest) for cap, rest in held]
        charged, choice = sums.add(costs, eligible=eligible)
        if period != "day" and not self._companion:
            if window or self.tariff.wide(period):
                for cover, cost in zip(covers, costs, strict=True):
                    self._count(work, cover_key(window or period, cover), cost)
                if window:  # the ride that begins a window names it, even where it costs nothing
                    work.counts.setdefault(cover_key(window, ()), 0)
            if eligible and carnet is not None:
                self._count(work, f"{period}:carnet {carnet.name}", amount)
        if charged == amount:
            return
        cap, rest = held[choice]
        if cap is not None:
            facts: Facts = {"label": cap.label, "cap_minor": cap.amount(who)}
            if rest is not None:
                facts["beyond_minor"] = rest
            step = self._step("cap", charged - amount, facts, cap.clause)
        else:
            assert carnet is not None, "without a cap only a carnet takes something off"
            facts = {"name": carnet.name, "rides": carnet.rides, "fare_minor": carnet.amount(who)}
            step = self._step("carnet", charged - amount, facts, carnet.clause)
        work.amount += step.amount
        work.steps.append(step)
        work.free_of_tiers = min(work.free_of_tiers, work.amount)

    def _opened(self, period: str, day_type: str, who: str, window: str) -> Covers:
        """The sums of a period as earlier days left them."""
        tariff, counters = self.tariff, self.counters
        covers = self.pricer.covers(period, day_type)
        carnet = tariff.carnet_of.get(period)
        price = (carnet.rides, carnet.amount(who)) if carnet is not None else None
        sums = Covers(self.pricer.caps_minor(period, day_type, who), price)
        if period == "day":
            return sums
        if window:
            found = counters.counts if not self._companion else _NO_COUNTS
            sums.add([found.get(cover_key(window, cover), 0) for cover in covers])
            return sums
        if carnet is not None:
            for amount in counters.carnet.get(f"{period}:carnet {carnet.name}", ()):
                sums.add([amount] * len(covers), eligible=True)
        elif tariff.wide(period):
            sums.add([counters.counts.get(cover_key(period, cover), 0) for cover in covers])
        else:
            for (product, zones), minor in counters.period_minor.items():
                span = tariff.zone_span(zones)
                inside = (any(cap.covers(product, span) for cap in cover) for cover in covers)
                sums.add([0 if held else minor for held in inside])
        if period in ("week", "month"):
            opening = counters.openings.get(period, counters.opening_minor)
            sums.add([0 if cover else opening for cover in covers])
        return sums

    def _take_subsidy(self, leg: Leg, work: _Working) -> Payment | None:
        rule = self.tariff.classes[leg.pays_as].subsidy
        if rule is None or not work.amount:
            return None
        if rule.residents and (self.around is None or self.around.residence not in rule.residents):
            return None
        if rule.percent is not None:
            paid = min(work.amount, self.pricer.share(work.amount, rule.percent))
        else:
            paid = min(work.amount, rule.minor)
        if not paid:
            return None
        facts: Facts = {"payer": rule.payer, "percent": rule.percent if rule.percent is not None else ""}
        work.steps.append(self._step("subsidy", -paid, facts, rule.clause))
        work.amount -= paid
        return Payment(rule.payer, paid)


def window_key(period: str, opened: datetime) -> str:
    """What the counters of a window of so many hours begin with: ``24h@2026-11-17T07:05:00+00:00``."""
    return f"{hours_of(period)}h@{opened.astimezone(UTC).isoformat()}"


def last_window(counts: Mapping[str, int], period: str) -> datetime | None:
    """When the latest window of so many hours began, by the counters of the days before."""
    begins = f"{hours_of(period)}h@"
    found = [key[len(begins) :].split(":cover", 1)[0] for key in counts if key.startswith(begins)]
    return max((datetime.fromisoformat(one) for one in found), default=None)


def cover_key(period: str, cover: Cover) -> str:
    """The counter of what rides cost beside a choice of long caps: ``week:cover Weekly cap``."""
    length = period.removesuffix(" days")
    name = f"{length}d" if length != period else period
    return f"{name}:cover {' + '.join(cap.label for cap in cover)}"


def _joins(join: Join, before: list[Journey], journey: Journey) -> bool:
    first, last = before[0], before[-1]
    gap = journey.started_at - last.ended_at
    walk = (last.destination, journey.origin)
    return (
        gap <= join.within
        and (join.legs_max is None or len(before) < join.legs_max)
        and (join.long_max is None or journey.started_at - first.started_at <= join.long_max)
        and (not join.same_product or journey.product == last.product)
        and _line_may(join.same_line, journey.line_id, [one.line_id for one in before])
        and (journey.product not in join.once or all(one.product != journey.product for one in before))
        and (
            (not join.at and not join.same_stop) or walk in join.at or (join.same_stop and walk[0] == walk[1])
        )
    )


def _line_may(rule: str, line_id: str | None, before: list[str | None]) -> bool:
    """Whether a line may be ridden after these. A ride on no known line is never the same."""
    if rule == "allowed" or line_id is None:
        return True
    return line_id != before[-1] if rule == "not_next" else line_id not in before


def _takes(rule: Transfer, window: _Window | None, journey: Journey) -> bool:
    """Whether a ride that the rule speaks of lies in its window."""
    if window is None or (rule.count_max is not None and window.count >= rule.count_max):
        return False
    if not _line_may(rule.same_line, journey.line_id, window.lines):
        return False
    if (rule.other_product and journey.product == window.product) or (
        rule.same_product and journey.product != window.product
    ):
        return False
    if rule.at and (window.stop, journey.origin) not in rule.at:
        return False
    return journey.started_at - _window_from(rule, window) <= rule.window


def _nth(of: tuple[Each, ...], number: int) -> Each:
    """What holds for the transfer of this number; the last stands for all that follow."""
    return of[min(number, len(of) - 1)]


def _window_from(rule: Transfer, window: _Window) -> datetime:
    match rule.window_from:
        case "last_tap":
            return window.last_at
        case "exit":
            return window.exit_at
        case "next_hour":
            return window.first_at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        case _:
            return window.first_at


def _told(rule: Transfer, window: _Window, journey: Journey) -> Facts:
    since = journey.started_at - _window_from(rule, window)
    facts: Facts = {
        "since_minutes": max(0, int(since.total_seconds()) // 60),
        "window_minutes": int(rule.window.total_seconds()) // 60,
    }
    if rule.window_from != "first_tap":
        facts["window_from"] = rule.window_from
    if rule.name:
        facts["name"] = rule.name
    return facts
