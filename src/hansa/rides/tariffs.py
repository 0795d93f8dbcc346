"""The tariffs in the books as one transaction sees them: which holds on a day, what it looks at, and its pricer."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from threading import Lock

from hansa import atlas
from hansa.fares import PLAIN, PairingRules, Pricer, Tariff, TariffSource, read_source
from hansa.kernel import service_day, service_day_bounds
from hansa.rides import store
from hansa.rides.faresv2 import pricer_of
from hansa.rides.looking_back import HABIT_DAYS, LOOK_AHEAD, Look, last_day_that_looks
from hansa.rides.pairing import edge, reach
from hansa.rides.store import TariffVersion
from hansa.store import Tx


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
        self._pricers: dict[tuple[bytes, date, int | None], Pricer] = {}
        self._later: dict[tuple[str, date], date] = {}
        self._habits: dict[tuple[str, date], bool] = {}
        self._pairing: dict[tuple[str, date], PairingRules] = {}
        self._reaches: dict[tuple[str, date], timedelta] = {}
        self._watchers = {
            partner: sorted(
                operator_id
                for operator_id, versions in self._versions.items()
                if any(partner in version.partners for version in versions)
            )
            for partner in {
                one
                for versions in self._versions.values()
                for version in versions
                for one in version.partners
            }
        }

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

    def pairing(self, operator_id: str, day: date) -> PairingRules:
        """Which taps of a service day make one journey. Without a tariff: entry and exit, as far apart as any lets."""
        rules = self._pairing.get((operator_id, day))
        if rules is None:
            version = self.version_on(operator_id, day)
            if version is not None:
                rules = self.read(version).pairing
            else:
                longest = max(version.journey_max for version in self._versions[operator_id])
                rules = replace(PLAIN, journey_max=longest, currency=self.latest(operator_id).currency)
            self._pairing[operator_id, day] = rules
        return rules

    def pairing_reach(self, operator_id: str, day: date) -> timedelta:
        """How far around a day its taps must be known: for its journeys, and those next to it that may touch it."""
        known = self._reaches.get((operator_id, day))
        if known is None:
            rules = [self.pairing(operator_id, day + timedelta(days=step)) for step in (-1, 0, 1)]
            known = self._reaches[operator_id, day] = max(map(edge, rules)) + max(map(reach, rules))
        return known

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

    def look(self, version: TariffVersion) -> Look:
        """What this version looks at beyond the rides of a day."""
        look = _LOOKS.get(version.digest)
        if look is None:
            look = _LOOKS[version.digest] = Look.of(self.read(version))
        return look

    def last_day_that_looks(self, operator_id: str, day: date) -> date:
        """The last later day that may build on the sums of a service day; the day itself where none does."""
        last = self._later.get((operator_id, day))
        if last is None:
            last = self._later[operator_id, day] = last_day_that_looks(
                [(until, self.look(version)) for version, until in self._after(operator_id, day, LOOK_AHEAD)],
                day,
            )
        return last

    def makes_habits(self, operator_id: str, day: date) -> bool:
        """Whether later days may take the rider's usual way from the rides of a service day."""
        found = self._habits.get((operator_id, day))
        if found is None:
            later = self._after(operator_id, day, timedelta(days=HABIT_DAYS))
            found = self._habits[operator_id, day] = any(self.look(version).habits for version, _ in later)
        return found

    def goes_on(self, operator_id: str, day: date) -> bool:
        """Whether rides of the service day before may go on on this one."""
        version = self.version_on(operator_id, day)
        return version is not None and self.look(version).earlier

    def watchers(self, operator_id: str) -> Sequence[str]:
        """The operators with a tariff in which this one's rides open windows."""
        return self._watchers.get(operator_id, ())

    def _after(self, operator_id: str, day: date, within: timedelta) -> list[tuple[TariffVersion, date]]:
        """The versions that speak for days soon after a day, each with the last day it may speak for."""
        return [
            (version, version.valid_to or date.max)
            for version in self._versions.get(operator_id, [])
            if version.valid_from <= day + within and (version.valid_to is None or version.valid_to > day)
        ]

    def pricer(self, version: TariffVersion, day: date, network_version: int | None = None) -> Pricer:
        """A pricer for this version over the city's network as it holds on a service day, or at a version of it.

        Errors: atlas.UnknownCity when it has none on that day.
        """
        name = version.digest, day, network_version
        pricer = self._pricers.get(name)
        if pricer is None:
            if network_version is None:
                network = atlas.get_network(self._tx, version.city_id, day=day)
            else:
                network = atlas.get_network(self._tx, version.city_id, version=network_version)
            feed = partial(atlas.get_fares_v2, self._tx, version.city_id, version=network.version)
            pricer = _PRICERS.get(self.read(version), version.digest, network, feed)
            self._pricers[name] = pricer
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


_LOOKS: dict[bytes, Look] = {}
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
