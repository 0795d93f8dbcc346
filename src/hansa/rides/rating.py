"""Days are worked out from their taps, and what changed is written: journeys, fares, and charges for the ledger.

One transaction rates a chunk of days in one partition. A key is one account's service day with one operator; it is
always rated whole, so it does not matter how its taps arrived. What other days build on it is rated again when it
changes: later days that look back over sums or habits, a partner operator's days whose transfers its rides open, and a
neighbouring day that holds a journey near the edge otherwise than it comes out here. Each ride hangs only on rides that
began before it, so after each round of this at least the next ride of the account is final, and it comes to an end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from hansa import atlas
from hansa.fares import (
    Around,
    Counters,
    Fare,
    Journey,
    JourneyId,
    PairingRules,
    Step,
    Unpriceable,
)
from hansa.kernel import fact_id
from hansa.rides import looking_back, rating_store, store
from hansa.rides.evidence import Beside, load_beside
from hansa.rides.first_charges import charge_id, write_out
from hansa.rides.fresh_taps import give_all_rows, give_rows_around
from hansa.rides.looking_back import HABIT_DAYS, Asked, told
from hansa.rides.model import RateCounts
from hansa.rides.pairing import Evidence, Paired, decided, edge, pair
from hansa.rides.rating_store import (
    DayTaps,
    KeptJourney,
    LaterDays,
    NewCharge,
    NewSubsidy,
    Payer,
    RatedJourney,
)
from hansa.rides.store import DayKey, TariffVersion
from hansa.rides.tariffs import Tariffs
from hansa.rides.trips import trips_of
from hansa.store import Context, Tx

CHUNK = 4_000
"""Days in one transaction: some ten thousand rows, half a second."""


def rate(ctx: Context, limit: int = 100_000) -> RateCounts:
    """Rate up to ``limit`` days that wait for it. Safe to run again, to kill, and beside itself."""
    counts = RateCounts()
    with ctx.tx() as tx:
        partitions = rating_store.due_partitions(tx, ctx.clock.now())
    for partition in partitions:
        with ctx.tx() as tx:
            rating_store.lock_rater(tx, partition)
            give_all_rows(tx, partition, Tariffs(tx), ctx.clock.now())
        while counts.days < limit:
            done = _rate_chunk(ctx, partition, min(CHUNK, limit - counts.days))
            if not done.days:
                break
            counts += done
    return counts


def _rate_chunk(ctx: Context, partition: int, limit: int) -> RateCounts:
    with ctx.tx() as tx:
        rating_store.lock_rater(tx, partition)
        keys = rating_store.take_days(tx, partition, limit, ctx.clock.now())
        if not keys:
            return RateCounts()
        return rate_days(tx, partition, keys, ctx.clock.now())


def rate_days(tx: Tx, partition: int, keys: Mapping[DayKey, bool], at: datetime) -> RateCounts:
    """Rate these days as their partition's one rater, in the caller's transaction. keys: as ``take_days`` gives."""
    return _Chunk(tx, partition, keys, at).run() if keys else RateCounts()


class _Edge(NamedTuple):
    """A neighbouring day's journeys that start between two instants: (id, last tap, what was decided)."""

    key: DayKey
    low: datetime
    high: datetime
    found: set[tuple[JourneyId, UUID | None, tuple[object, ...]]]


@dataclass(slots=True)
class _Day:
    """One day while it is rated.

    kept: what the books hold. network_version: over which it is priced; None is the one that holds on the day.
    """

    key: DayKey
    version: TariffVersion | None
    taps: DayTaps
    beside: Beside
    kept: list[KeptJourney]
    network_version: int | None
    journeys: list[Journey] = field(default_factory=list[Journey])
    notes: Mapping[JourneyId, list[Any]] = field(default_factory=dict[JourneyId, list[Any]])
    counters: Counters = field(default_factory=Counters)
    around: Around | None = None
    opened: date | None = None
    why_not: Unpriceable | None = None
    priced_over: int | None = None
    turned_out: list[datetime] = field(default_factory=list[datetime])
    elsewhere: Mapping[UUID, KeptJourney] = field(default_factory=dict[UUID, KeptJourney])
    came_from: list[date] = field(default_factory=list[date])


class _Chunk:
    """Some days of one partition while they are rated."""

    def __init__(self, tx: Tx, partition: int, keys: Mapping[DayKey, bool], at: datetime) -> None:
        self.tx, self.partition, self.at = tx, partition, at
        self.keys, self.afresh = list(keys), keys
        self.tariffs = Tariffs(tx)
        self.added: list[RatedJourney] = []
        self.updated: list[RatedJourney] = []
        self.withdrawn: list[tuple[UUID, int]] = []
        self.charges: list[NewCharge] = []
        self.subsidies: list[NewSubsidy] = []
        self.changed: set[LaterDays] = set()
        self.edges: list[_Edge] = []
        self.postponed: dict[DayKey, datetime] = {}
        self.journeys = self.held = self.taps = 0

    def run(self) -> RateCounts:
        """Load, work out, write."""
        days = self._load()
        for day in days:
            self._pair(day)
        self._look_elsewhere(days)
        self._look_around(days)
        for day in days:
            self._rate(day)
        changing = [one.journey.journey_id for one in self.updated] + [one for one, _ in self.withdrawn]
        write_out(self.tx, self.partition, changing)
        rating_store.add_journeys(self.tx, self.added, self.at)
        rating_store.update_journeys(self.tx, self.updated, self.at)
        rating_store.withdraw_journeys(self.tx, self.partition, self.withdrawn, self.at)
        rating_store.add_charges(self.tx, self.charges, self.at)
        rating_store.add_subsidies(self.tx, self.subsidies, self.at)
        rating_store.mark_later_days(self.tx, self.partition, self.changed, self.at)
        self._mark_neighbours()
        store.postpone_days(self.tx, self.postponed.items())
        return RateCounts(
            len(days), self.taps, self.journeys, self.held, len(self.charges), len(self.subsidies)
        )

    # -- what a day is worked out from ---------------------------------------------------------------------

    def _load(self) -> list[_Day]:
        spans = [self._reach(key) for key in self.keys]
        give_rows_around(self.tx, self.partition, self.keys)
        taps = rating_store.load_taps(self.tx, self.partition, self.keys, spans)
        beside = load_beside(self.tx, self.partition, self.keys, spans)
        for n, one in beside.items():
            for touch, *payer in one.touches:
                taps[n].touches.append(touch)
                taps[n].payers.setdefault(touch.cti, Payer(*payer))
        kept = rating_store.load_journeys(self.tx, self.partition, self.keys)
        return [
            _Day(
                key,
                self.tariffs.version_on(key.operator_id, key.service_day),
                taps[n],
                beside.get(n) or Beside(),
                kept[n],
                None if self.afresh[key] else _network_of(kept[n]),
            )
            for n, key in enumerate(self.keys)
        ]

    def _reach(self, key: DayKey) -> tuple[datetime, datetime]:
        """The day, the neighbours' journeys that may touch it, and what pairing needs around those."""
        starts_at, ends_at = self.tariffs.bounds(key.operator_id, key.service_day)
        reach = self.tariffs.pairing_reach(key.operator_id, key.service_day)
        return starts_at - reach, ends_at + reach

    def _pair(self, day: _Day) -> None:
        """The day's journeys, and how the neighbours' nearest come out from here, each by its own day's rules."""
        key = day.key
        starts_at, ends_at = self.tariffs.bounds(key.operator_id, key.service_day)
        evidence = Evidence(day.beside.clocks, day.beside.stated, day.taps.received)
        known: dict[PairingRules, list[Paired]] = {}
        for step in (0, -1, 1):
            rules = self.tariffs.pairing(key.operator_id, key.service_day + timedelta(days=step))
            around = known.get(rules)
            if around is None:
                paired = pair(day.taps.touches, rules, evidence, name_of=partial(self._name_of, day))
                around = known[rules] = self._arrived(day, paired, rules.journey_max)
            if step == 0:
                own = [one for one in around if starts_at <= one.journey.started_at < ends_at]
                day.journeys = [one.journey for one in own]
                day.notes = {
                    one.journey.journey_id: [[note.rule, 0, dict(note.facts)] for note in one.notes]
                    for one in own
                    if one.notes
                }
                if all(starts_at <= tap.tapped_at < ends_at for tap in day.taps.touches):
                    return
                continue
            low, high = (starts_at - edge(rules), starts_at) if step < 0 else (ends_at, ends_at + edge(rules))
            found = {
                (
                    one.journey.journey_id,
                    one.journey.last_tap,
                    decided((note.rule, note.facts) for note in one.notes),
                )
                for one in around
                if low <= one.journey.started_at < high
            }
            neighbour = key._replace(service_day=key.service_day + timedelta(days=step))
            self.edges.append(_Edge(neighbour, low, high, found))

    def _name_of(self, day: _Day, stop_id: str) -> str:
        """What a stop is called on a day; by its id where no network tells."""
        if day.version is None:
            return stop_id
        try:
            pricer = self.tariffs.pricer(day.version, day.key.service_day, day.network_version)
        except atlas.UnknownCity:
            return stop_id
        stop = pricer.places.stops.get(stop_id)
        return stop_id if stop is None else stop.name

    def _arrived(self, day: _Day, around: Sequence[Paired], longest: timedelta) -> list[Paired]:
        """The journeys without those under way: nobody is charged the maximum fare while the exit can still come.

        Under way is an entry that is its rider's last tap on this token and younger than the longest journey; the day
        is rated again when that time is up. What was priced before stays priced.
        """
        last_taps = {
            (tap.cti, tap.companion): tap.tap_id
            for tap in sorted(day.taps.touches, key=lambda tap: tap.tapped_at)
        }
        priced = {one.journey_id for one in day.kept if one.status != "withdrawn"}
        arrived: list[Paired] = []
        for one in around:
            journey = one.journey
            up_at = journey.started_at + longest
            if (
                journey.kind != "no_exit"
                or journey.last_tap is not None
                or up_at <= self.at
                or journey.journey_id in priced
                or last_taps[journey.cti, journey.companion] not in (journey.first_tap, *one.beside)
            ):
                arrived.append(one)
            else:
                self.postponed[day.key] = min(up_at, self.postponed.get(day.key, up_at))
        return arrived

    def _look_elsewhere(self, days: Sequence[_Day]) -> None:
        """Journeys that a corrected clock brought here from another day, with what was charged for them there."""
        moved = [
            journey.journey_id
            for day in days
            for journey in day.journeys
            if day.beside.moved and journey.first_tap in day.beside.moved
        ]
        found = rating_store.load_elsewhere(self.tx, self.partition, moved)
        for day in days if found else ():
            day.elsewhere = found

    def _look_around(self, days: Sequence[_Day]) -> None:
        """Give each day what its tariff looks at beyond it; of a tariff that looks at nothing nothing is asked."""
        asked: list[Asked] = []
        for n, day in enumerate(days):
            look = None if day.version is None else self.tariffs.look(day.version)
            if look is not None and day.journeys and look.beyond:
                operator_id, service_day = day.key.operator_id, day.key.service_day
                before_at, _ = self.tariffs.bounds(operator_id, service_day - timedelta(days=1))
                bounds = self.tariffs.bounds(operator_id, service_day)
                currency = self.tariffs.latest(operator_id).currency
                asked.append(Asked(n, day.key, look, before_at, *bounds, currency, day.journeys))
        if not asked:
            return
        given = looking_back.load_counters(self.tx, self.partition, asked)
        rounds = looking_back.load_around(self.tx, self.partition, asked)
        for one in asked:
            day = days[one.n]
            day.counters = given.counters.get(one.n, day.counters)
            day.opened = given.opened.get(one.n)
            day.around = rounds.around.get(one.n)
            day.why_not = rounds.why_not.get(one.n)

    # -- what comes out ------------------------------------------------------------------------------------

    def _rate(self, day: _Day) -> None:
        fares = self._fares(day)
        window = day.opened or day.key.service_day
        prefix = "" if day.version is None else self.tariffs.look(day.version).prefix
        trips = trips_of(day.journeys, fares, () if day.around is None else day.around.others)
        before = {one.journey_id: one for one in day.kept}
        for journey, fare, trip_id in zip(day.journeys, fares, trips, strict=True):
            counts = bool(prefix) and any(name.startswith(prefix) for name in fare.counts)
            kept = before.pop(journey.journey_id, None) or day.elsewhere.get(journey.journey_id)
            self._compare(day, journey, fare, kept, window if counts else None, trip_id)
        for gone in before.values():
            if gone.status != "withdrawn":
                self._withdraw(day, gone)
        self.journeys += len(day.journeys)
        self.taps += sum(1 if journey.last_tap is None else 2 for journey in day.journeys)
        self.held += sum(fare.status == "held" for fare in fares)
        self._mark_later(day, fares, window, prefix)

    def _fares(self, day: _Day) -> list[Fare]:
        if not day.journeys:
            return []
        version, why = day.version, Unpriceable("no_tariff", {"day": str(day.key.service_day)})
        if version is not None:
            try:
                pricer = self.tariffs.pricer(version, day.key.service_day, day.network_version)
            except atlas.UnknownCity as error:
                why = Unpriceable(error.detail)
            else:
                places = pricer.places
                day.priced_over = places.version if isinstance(places, atlas.Network) else None
                look = self.tariffs.look(version)
                if look.tells:
                    day.journeys = told(day.journeys, day.key.operator_id, look, pricer)
                    if day.around is not None and day.around.earlier:
                        earlier = told(day.around.earlier, day.key.operator_id, look, pricer)
                        day.around = replace(day.around, earlier=tuple(earlier))
                why = day.why_not
                if why is None:
                    return pricer.price_day(day.journeys, day.counters, day.around)
        currency = self.tariffs.latest(day.key.operator_id).currency
        step = Step("held", 0, currency, why.facts)
        return [Fare(journey.journey_id, 0, currency, (step,), status="held") for journey in day.journeys]

    def _compare(
        self,
        day: _Day,
        journey: Journey,
        fare: Fare,
        kept: KeptJourney | None,
        window: date | None,
        trip_id: UUID | None,
    ) -> None:
        """Write a journey only where it differs, and charge only the difference."""
        key = day.key
        steps = [[step.rule, step.amount, dict(step.facts)] for step in fare.steps]
        notes = day.notes.get(journey.journey_id, [])
        valid_from = date.min if day.version is None else day.version.valid_from
        revision = charged = 0
        payer = day.taps.payers[journey.cti]
        subsidy = ("", 0) if fare.subsidy is None else (fare.subsidy.payer, fare.subsidy.amount_minor)
        paid = ("", 0)
        if kept is not None:
            paid = (kept.subsidy_payer or "", kept.subsidy_minor)
            same_ride = (
                kept.kind == journey.kind
                and kept.status == fare.status
                and kept.fare_minor == kept.charged_minor == fare.amount_minor
                and kept.last_tap == journey.last_tap
                and kept.destination == journey.destination
                and kept.origin == journey.origin
                and kept.started_at == journey.started_at
                and kept.service_day == key.service_day
                and paid == subsidy
            )
            if (
                same_ride
                and kept.zones == fare.zones
                and kept.counted_minor == fare.counted_minor
                and kept.tier_minor == fare.tier_minor
                and kept.tariff_from == valid_from
                and kept.steps == steps
                and kept.counts == fare.counts
                and kept.window_from == window
                and kept.notes == notes
                and kept.trip_id == trip_id
                and kept.network_version == day.priced_over
                and kept.medium == journey.medium
                and kept.distance_m == journey.distance_m
            ):
                return
            if not same_ride:
                day.turned_out.append(journey.started_at)
            if kept.service_day != key.service_day:
                day.came_from.append(kept.service_day)
            revision, charged = kept.revision, kept.charged_minor
            payer = Payer(kept.issuer_id, kept.wallet_currency)
        else:
            day.turned_out.append(journey.started_at)
        event_at = journey.ended_at if revision == 0 else self.at
        moved = self._charge(
            key, journey.journey_id, revision, fare.amount_minor - charged, fare.currency, event_at, payer
        )
        moved |= self._subsidise(key, journey.journey_id, revision, paid, subsidy, fare.currency, event_at)
        written = self.added if kept is None else self.updated
        written.append(
            RatedJourney(
                key,
                journey,
                fare,
                payer,
                steps,
                valid_from,
                revision + moved,
                notes,
                window,
                trip_id,
                day.priced_over,
            )
        )

    def _withdraw(self, day: _Day, gone: KeptJourney) -> None:
        """A journey that another took the place of: its charges are given back."""
        key, revision = day.key, gone.revision
        currency = self.tariffs.latest(key.operator_id).currency
        payer = Payer(gone.issuer_id, gone.wallet_currency)
        moved = self._charge(key, gone.journey_id, revision, -gone.charged_minor, currency, self.at, payer)
        paid = (gone.subsidy_payer or "", gone.subsidy_minor)
        moved |= self._subsidise(key, gone.journey_id, revision, paid, ("", 0), currency, self.at)
        self.withdrawn.append((gone.journey_id, revision + moved))
        day.turned_out.append(gone.started_at)

    def _charge(
        self,
        key: DayKey,
        journey_id: UUID,
        revision: int,
        amount_minor: int,
        currency: str,
        event_at: datetime,
        payer: Payer,
    ) -> bool:
        """Charge the rider what the fare came to more (or less); gives whether it did."""
        if not amount_minor:
            return False
        self.charges.append(
            NewCharge(
                partition=key.partition,
                journey_id=journey_id,
                revision=revision,
                charge_id=charge_id(event_at, journey_id, revision),
                account_id=key.account_id,
                issuer_id=payer.issuer_id,
                operator_id=key.operator_id,
                wallet_currency=payer.wallet_currency,
                amount_minor=amount_minor,
                currency=currency,
                event_at=event_at,
                service_day=key.service_day,
            )
        )
        return True

    def _subsidise(
        self,
        key: DayKey,
        journey_id: UUID,
        revision: int,
        paid: tuple[str, int],
        pays: tuple[str, int],
        currency: str,
        event_at: datetime,
    ) -> bool:
        """Have a member pay its part of the fare, or the difference; one that pays no more is given back all."""
        parts = [(pays[0], pays[1] - paid[1])] if paid[0] == pays[0] else [(paid[0], -paid[1]), pays]
        moves = [(payer_id, minor) for payer_id, minor in parts if minor]
        for payer_id, minor in moves:
            self.subsidies.append(
                NewSubsidy(
                    partition=key.partition,
                    journey_id=journey_id,
                    revision=revision,
                    payer_id=payer_id,
                    subsidy_id=fact_id(event_at, "rides.subsidy", journey_id, revision, payer_id),
                    operator_id=key.operator_id,
                    amount_minor=minor,
                    currency=currency,
                    event_at=event_at,
                    service_day=key.service_day,
                )
            )
        return bool(moves)

    # -- what else is rated again --------------------------------------------------------------------------

    def _mark_neighbours(self) -> None:
        """Neighbouring days that hold another journey at the edge than came out here are rated again."""
        if not self.edges:
            return
        asks = [(one.key.account_id, one.key.operator_id, one.low, one.high) for one in self.edges]
        held = rating_store.load_edges(self.tx, self.partition, asks)
        wrong = [edge.key for edge, there in zip(self.edges, held, strict=True) if edge.found != there]
        store.mark_days(self.tx, wrong, self.at)

    def _mark_later(self, day: _Day, fares: Sequence[Fare], window: date, prefix: str) -> None:
        """Days that build on this one are rated again where what they build on changed."""
        key = day.key
        who = key.account_id, key.operator_id
        for left in day.came_from:
            until = self.tariffs.last_day_that_looks(key.operator_id, left)
            self.changed.add(LaterDays(*who, left, max(until, key.service_day)))
        priced = [one for one in day.kept if one.status == "priced"]
        last = self.tariffs.last_day_that_looks(key.operator_id, key.service_day)
        if last > key.service_day:
            windows = {one.window_from for one in priced if one.window_from is not None}
            rolls = bool(prefix) and any(name.startswith(prefix) for fare in fares for name in fare.counts)
            if _sums(fares) != _sums(priced) or windows != ({window} if rolls else set[date]()):
                self.changed.add(LaterDays(*who, key.service_day, last))
        if self.tariffs.makes_habits(key.operator_id, key.service_day):
            kept = {_ends(one) for one in day.kept if one.status != "withdrawn" and one.kind == "complete"}
            now = {_ends(one) for one in day.journeys if one.kind == "complete"}
            if kept != now:
                until = key.service_day + timedelta(days=HABIT_DAYS)
                self.changed.add(LaterDays(*who, key.service_day, until, only_incomplete=True))
        tomorrow = key.service_day + timedelta(days=1)
        if day.turned_out and self.tariffs.goes_on(key.operator_id, tomorrow):
            self.changed.add(LaterDays(*who, key.service_day, tomorrow))
        for watcher in self.tariffs.watchers(key.operator_id):
            for theirs in {self.tariffs.day_of(watcher, at) for at in day.turned_out}:
                before = theirs - timedelta(days=1)
                self.changed.add(LaterDays(key.account_id, watcher, before, theirs))


def _network_of(kept: Iterable[KeptJourney]) -> int | None:
    """The network that a day is priced over already: a new version does not change what was priced."""
    versions = [
        one.network_version for one in kept if one.status == "priced" and one.network_version is not None
    ]
    return max(versions, default=None)


def _ends(one: Journey | KeptJourney) -> tuple[UUID, str | None, str | None]:
    return one.journey_id, one.origin, one.destination


def _sums(parts: Iterable[Fare | KeptJourney]) -> dict[str, int]:
    """What later days are given of a day: plain sums by zones, counters, and the single rides of carnets."""
    sums: dict[str, int] = {}
    for part in parts:
        named = {f"counted {part.zones}": part.counted_minor, "tier": part.tier_minor}
        for name, minor in part.counts.items():
            named[f"count {name}"] = minor
            if ":carnet " in name:
                named[f"ride {minor} {name}"] = 1
        for name, minor in named.items():
            sums[name] = sums.get(name, 0) + minor
    return {name: minor for name, minor in sums.items() if minor}
