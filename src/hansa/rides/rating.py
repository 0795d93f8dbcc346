"""Days are worked out from their taps, and what changed is written: journeys, fares, and charges for the ledger.

One transaction rates a chunk of days in one partition. A key is one account's service day with one operator; it is
always rated whole, so it does not matter how its taps arrived. Where the tariff looks back over a week or month, a
change has the later days of that period rated again; where a journey near the edge of a day turns out otherwise than
the neighbouring day holds it, that day is rated again too.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID

from hansa import atlas
from hansa.fares import (
    Counters,
    Fare,
    Journey,
    JourneyId,
    Pricer,
    Step,
    Tariff,
    TariffSource,
    period_end,
    period_start,
    read_source,
)
from hansa.kernel import fact_id, service_day, service_day_bounds
from hansa.rides import store
from hansa.rides.faresv2 import pricer_of
from hansa.rides.model import RateCounts
from hansa.rides.pairing import pair_taps
from hansa.rides.store import CounterAsk, DayKey, DayTaps, KeptJourney, NewCharge, RatedJourney, TariffVersion
from hansa.store import Context, Tx

CHUNK = 4_000
"""Days in one transaction: some ten thousand rows, half a second."""


def digest_of(source: TariffSource) -> bytes:
    """What tells one tariff text from another."""
    digest = hashlib.sha256(source.toml.encode())
    for name in sorted(source.tables):
        digest.update(name.encode() + b"\0" + source.tables[name].encode())
    return digest.digest()


class Tariffs:
    """The tariffs in the books, as one transaction sees them."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._versions: dict[str, list[TariffVersion]] = {}
        for version in store.list_tariffs(tx):
            self._versions.setdefault(version.operator_id, []).append(version)
        self._bounds: dict[tuple[str, date], tuple[datetime, datetime]] = {}
        self._recent: dict[str, tuple[date, datetime, datetime]] = {}
        self._pricers: dict[tuple[bytes, date], Pricer] = {}

    def knows(self, operator_id: str) -> bool:
        """Whether this operator has any tariff."""
        return operator_id in self._versions

    def latest(self, operator_id: str) -> TariffVersion:
        """The operator's latest version; time zone and day start are the same in all."""
        return self._versions[operator_id][-1]

    def all_latest(self) -> list[TariffVersion]:
        """The latest version of each operator."""
        return [versions[-1] for versions in self._versions.values()]

    def version_on(self, operator_id: str, day: date) -> TariffVersion | None:
        """The version in force on a service day."""
        for version in reversed(self._versions.get(operator_id, [])):
            if version.valid_from <= day and (version.valid_to is None or day <= version.valid_to):
                return version
        return None

    def bounds(self, operator_id: str, day: date) -> tuple[datetime, datetime]:
        """The instants between which the operator's service day lies."""
        known = self._bounds.get((operator_id, day))
        if known is None:
            version = self.latest(operator_id)
            known = service_day_bounds(day, version.tz, version.day_starts)
            self._bounds[operator_id, day] = known
        return known

    def journey_max(self, operator_id: str) -> timedelta:
        """The longest journey of any version: how far apart two taps may be and still belong together."""
        return max(version.journey_max for version in self._versions[operator_id])

    def day_of(self, operator_id: str, instant: datetime) -> date:
        """The operator's service day in which an instant lies."""
        known = self._recent.get(operator_id)
        if known is not None and known[1] <= instant < known[2]:
            return known[0]
        version = self.latest(operator_id)
        day = service_day(instant, version.tz, version.day_starts)
        self._recent[operator_id] = day, *self.bounds(operator_id, day)
        return day

    def read(self, version: TariffVersion) -> Tariff:
        """The tariff itself."""
        return read_version(self._tx, version)

    def pricer(self, version: TariffVersion, day: date) -> Pricer:
        """A pricer for this version over the city's network as it holds on a service day.

        Errors: atlas.UnknownCity when it has none on that day.
        """
        pricer = self._pricers.get((version.digest, day))
        if pricer is None:
            network = atlas.get_network(self._tx, version.city_id, day=day)
            feed = partial(atlas.get_fares_v2, self._tx, version.city_id, version=network.version)
            pricer = _PRICERS.get(self.read(version), version.digest, network, feed)
            self._pricers[version.digest, day] = pricer
        return pricer


def read_version(tx: Tx, version: TariffVersion) -> Tariff:
    """A stored tariff, read once for as long as it is among the last hundred used."""
    with _PARSE:
        known = _PARSED.get(version.digest)
    if known is not None:
        return known
    tariff = read_source(store.get_tariff_source(tx, version.operator_id, version.valid_from))
    with _PARSE:
        if len(_PARSED) >= 100:
            _PARSED.pop(next(iter(_PARSED)))
        _PARSED[version.digest] = tariff
    return tariff


_PARSE = Lock()
_PARSED: dict[bytes, Tariff] = {}


@dataclass(slots=True)
class _Pricers:
    """Pricers by tariff and network: what they worked out once is true for as long as both stand."""

    lock: Lock = field(default_factory=Lock)
    known: dict[tuple[bytes, str, int], tuple[atlas.Network, Pricer]] = field(
        default_factory=dict[tuple[bytes, str, int], tuple[atlas.Network, Pricer]]
    )

    def get(
        self,
        tariff: Tariff,
        digest: bytes,
        network: atlas.Network,
        feed: Callable[[], atlas.FaresV2 | None],
    ) -> Pricer:
        with self.lock:
            name = digest, network.city.city_id, network.version
            found = self.known.get(name)
            if found is None or found[0] is not network:
                if len(self.known) >= 100:
                    self.known.clear()
                found = network, pricer_of(tariff, network, feed)
                self.known[name] = found
            return found[1]


_PRICERS = _Pricers()


def rate(ctx: Context, limit: int = 100_000) -> RateCounts:
    """Rate up to ``limit`` days that wait for it. Safe to run again, to kill, and beside itself."""
    counts = RateCounts()
    with ctx.tx() as tx:
        partitions = store.dirty_partitions(tx, ctx.clock.now())
    for partition in partitions:
        while counts.days < limit:
            done = _rate_chunk(ctx, partition, min(CHUNK, limit - counts.days))
            if not done.days:
                break
            counts += done
    return counts


def _rate_chunk(ctx: Context, partition: int, limit: int) -> RateCounts:
    with ctx.tx() as tx:
        store.lock_rater(tx, partition)
        keys = store.take_days(tx, partition, limit, ctx.clock.now())
        if not keys:
            return RateCounts()
        return _Chunk(tx, partition, keys, ctx.clock.now()).run()


class _Edge(NamedTuple):
    """A neighbouring day's journeys that start between two instants: (id, last tap)."""

    key: DayKey
    low: datetime
    high: datetime
    found: set[tuple[JourneyId, UUID | None]]


class _Chunk:
    """Some days of one partition while they are rated."""

    def __init__(self, tx: Tx, partition: int, keys: Sequence[DayKey], at: datetime) -> None:
        self.tx, self.partition, self.keys, self.at = tx, partition, keys, at
        self.tariffs = Tariffs(tx)
        self.versions = [self.tariffs.version_on(key.operator_id, key.service_day) for key in keys]
        self.added: list[RatedJourney] = []
        self.updated: list[RatedJourney] = []
        self.withdrawn: list[tuple[UUID, int]] = []
        self.charges: list[NewCharge] = []
        self.changed: list[tuple[UUID, str, date, date]] = []
        self.edges: list[_Edge] = []
        self.postponed: dict[DayKey, datetime] = {}
        self.journeys = self.held = self.taps = 0

    def run(self) -> RateCounts:
        """Load, work out, write."""
        taps = store.load_taps(self.tx, self.partition, self.keys, [self._reach(key) for key in self.keys])
        kept = store.load_journeys(self.tx, self.partition, self.keys)
        counters = self._counters()
        for n, key in enumerate(self.keys):
            self._rate(key, self.versions[n], taps[n], kept[n], counters.get(n) or Counters())
        store.add_journeys(self.tx, self.added, self.at)
        store.update_journeys(self.tx, self.updated, self.at)
        store.withdraw_journeys(self.tx, self.partition, self.withdrawn, self.at)
        store.add_charges(self.tx, self.charges, self.at)
        store.mark_later_days(self.tx, self.partition, self.changed, self.at)
        self._mark_neighbours()
        store.postpone_days(self.tx, self.postponed.items())
        return RateCounts(len(self.keys), self.taps, self.journeys, self.held, len(self.charges))

    def _reach(self, key: DayKey) -> tuple[datetime, datetime]:
        """The day, the neighbours' journeys that may touch it, and what pairing needs around those."""
        starts_at, ends_at = self.tariffs.bounds(key.operator_id, key.service_day)
        reach = 3 * self.tariffs.journey_max(key.operator_id)
        return starts_at - reach, ends_at + reach

    def _counters(self) -> dict[int, Counters]:
        """What earlier days used up, for those keys whose tariff looks back."""
        asks: list[CounterAsk] = []
        periods: dict[int, str | None] = {}
        for n, (key, version) in enumerate(zip(self.keys, self.versions, strict=True)):
            tariff = None if version is None else self.tariffs.read(version)
            if tariff is None or not (tariff.tiers or tariff.period):
                continue
            month_starts = period_start(key.service_day, "month")
            starts = period_start(key.service_day, tariff.period) if tariff.period else key.service_day
            if not tariff.tiers:
                month_starts = key.service_day
            asks.append(CounterAsk(n, key.account_id, key.operator_id, month_starts, starts, key.service_day))
            periods[n] = tariff.period
        if not asks:
            return {}
        month: dict[int, int] = {}
        period: dict[int, dict[tuple[str, str], int]] = {}
        opening: dict[int, int] = {}
        for n, product, zones, tier, counted in store.load_counters(self.tx, self.partition, asks):
            month[n] = month.get(n, 0) + tier
            period.setdefault(n, {})[product, zones] = counted
        spends = [
            (
                ask.n,
                ask.account_id,
                ask.operator_id,
                period_start(ask.service_day, "month"),
                period_start(ask.service_day, "week"),
            )
            for ask in asks
        ]
        for n, name, minor in store.load_opening(self.tx, spends):
            if name == "month":
                month[n] = month.get(n, 0) + minor
            if name == periods[n]:
                opening[n] = opening.get(n, 0) + minor
        return {
            ask.n: Counters(month.get(ask.n, 0), period.get(ask.n, {}), opening.get(ask.n, 0)) for ask in asks
        }

    def _rate(
        self,
        key: DayKey,
        version: TariffVersion | None,
        taps: DayTaps,
        kept: Sequence[KeptJourney],
        counters: Counters,
    ) -> None:
        starts_at, ends_at = self.tariffs.bounds(key.operator_id, key.service_day)
        longest = self.tariffs.journey_max(key.operator_id) if version is None else version.journey_max
        around = self._arrived(key, pair_taps(taps.touches, journey_max=longest), taps, kept, longest)
        journeys = [journey for journey in around if starts_at <= journey.started_at < ends_at]
        if len(journeys) < len(around):
            self._look_over_the_edge(key, around, starts_at - longest, ends_at + longest)
        fares = self._fares(key, version, journeys, counters)
        before = {one.journey_id: one for one in kept}
        for journey, fare in zip(journeys, fares, strict=True):
            self._compare(key, version, journey, fare, taps, before.pop(journey.journey_id, None))
        for gone in before.values():
            if gone.status != "withdrawn":
                self._withdraw(key, gone)
        self.journeys += len(journeys)
        self.taps += sum(1 if journey.last_tap is None else 2 for journey in journeys)
        self.held += sum(fare.status == "held" for fare in fares)
        self._mark_later(key, version, fares, kept)

    def _arrived(
        self,
        key: DayKey,
        around: Sequence[Journey],
        taps: DayTaps,
        kept: Sequence[KeptJourney],
        longest: timedelta,
    ) -> list[Journey]:
        """The journeys without those under way: nobody is charged the maximum fare while the exit can still come.

        Under way is an entry that is its rider's last tap on this token and younger than the longest journey; the day
        is rated again when that time is up. What was priced before stays priced.
        """
        last_taps = {
            (tap.cti, tap.companion): tap for tap in sorted(taps.touches, key=lambda tap: tap.tapped_at)
        }
        priced = {one.journey_id for one in kept if one.status != "withdrawn"}
        arrived: list[Journey] = []
        for journey in around:
            up_at = journey.started_at + longest
            if (
                journey.kind != "no_exit"
                or up_at <= self.at
                or journey.journey_id in priced
                or last_taps[journey.cti, journey.companion].tap_id != journey.first_tap
            ):
                arrived.append(journey)
            else:
                self.postponed[key] = min(up_at, self.postponed.get(key, up_at))
        return arrived

    def _fares(
        self, key: DayKey, version: TariffVersion | None, journeys: Sequence[Journey], counters: Counters
    ) -> list[Fare]:
        if not journeys:
            return []
        why = f"no tariff is in force on {key.service_day}"
        if version is not None:
            try:
                return self.tariffs.pricer(version, key.service_day).price_day(journeys, counters)
            except atlas.UnknownCity as error:
                why = error.detail
        currency = self.tariffs.latest(key.operator_id).currency
        step = Step("held", 0, currency, {"why": why})
        return [Fare(journey.journey_id, 0, currency, (step,), status="held") for journey in journeys]

    def _compare(
        self,
        key: DayKey,
        version: TariffVersion | None,
        journey: Journey,
        fare: Fare,
        taps: DayTaps,
        kept: KeptJourney | None,
    ) -> None:
        """Write a journey only where it differs, and charge only the difference."""
        steps = [[step.rule, step.amount, dict(step.facts)] for step in fare.steps]
        valid_from = date.min if version is None else version.valid_from
        revision = charged = 0
        payer = taps.payers[journey.cti]
        if kept is not None:
            same = (
                kept.kind == journey.kind
                and kept.status == fare.status
                and kept.fare_minor == kept.charged_minor == fare.amount_minor
                and kept.last_tap == journey.last_tap
                and kept.destination == journey.destination
                and kept.zones == fare.zones
                and kept.counted_minor == fare.counted_minor
                and kept.tier_minor == fare.tier_minor
                and kept.tariff_from == valid_from
                and kept.steps == steps
            )
            if same:
                return
            revision, charged = kept.revision, kept.charged_minor
            payer = store.Payer(kept.issuer_id, kept.wallet_currency)
        delta = fare.amount_minor - charged
        if delta:
            event_at = journey.ended_at if revision == 0 else self.at
            self._charge(key, journey.journey_id, revision, delta, fare.currency, event_at, payer)
            revision += 1
        written = self.added if kept is None else self.updated
        written.append(RatedJourney(key, journey, fare, payer, steps, valid_from, revision))

    def _withdraw(self, key: DayKey, gone: KeptJourney) -> None:
        """A journey that another took the place of: its charges are given back."""
        revision = gone.revision
        if gone.charged_minor:
            currency = self.tariffs.latest(key.operator_id).currency
            payer = store.Payer(gone.issuer_id, gone.wallet_currency)
            self._charge(key, gone.journey_id, revision, -gone.charged_minor, currency, self.at, payer)
            revision += 1
        self.withdrawn.append((gone.journey_id, revision))

    def _charge(
        self,
        key: DayKey,
        journey_id: UUID,
        revision: int,
        amount_minor: int,
        currency: str,
        event_at: datetime,
        payer: store.Payer,
    ) -> None:
        self.charges.append(
            NewCharge(
                partition=key.partition,
                journey_id=journey_id,
                revision=revision,
                charge_id=fact_id(event_at, "rides.charge", journey_id, revision),
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

    def _look_over_the_edge(
        self, key: DayKey, around: Sequence[Journey], first: datetime, last: datetime
    ) -> None:
        """Remember how the neighbours' nearest journeys come out from here, to compare with what they hold."""
        starts_at, ends_at = self.tariffs.bounds(key.operator_id, key.service_day)
        for day, low, high in (
            (key.service_day - timedelta(days=1), first, starts_at),
            (key.service_day + timedelta(days=1), ends_at, last),
        ):
            found = {(one.journey_id, one.last_tap) for one in around if low <= one.started_at < high}
            self.edges.append(_Edge(key._replace(service_day=day), low, high, found))

    def _mark_neighbours(self) -> None:
        """Neighbouring days that hold another journey at the edge than came out here are rated again."""
        if not self.edges:
            return
        asks = [(one.key.account_id, one.key.operator_id, one.low, one.high) for one in self.edges]
        held = store.load_edges(self.tx, self.partition, asks)
        wrong = [edge.key for edge, there in zip(self.edges, held, strict=True) if edge.found != there]
        store.mark_days(self.tx, wrong, self.at)

    def _mark_later(
        self, key: DayKey, version: TariffVersion | None, fares: Sequence[Fare], kept: Sequence[KeptJourney]
    ) -> None:
        """Later days of the week or month build on this one's sums; where these changed, they are rated again."""
        if version is None:
            return
        tariff = self.tariffs.read(version)
        if not (tariff.tiers or tariff.period):
            return
        if _sums(fares) == _sums(one for one in kept if one.status == "priced"):
            return
        last = key.service_day
        if tariff.period:
            last = max(last, period_end(key.service_day, tariff.period))
        if tariff.tiers:
            last = max(last, period_end(key.service_day, "month"))
        self.changed.append((key.account_id, key.operator_id, key.service_day, last))


def _sums(parts: Any) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for part in parts:
        counted, tier = sums.get(part.zones, (0, 0))
        sums[part.zones] = counted + part.counted_minor, tier + part.tier_minor
    return {zones: both for zones, both in sums.items() if both != (0, 0)}
