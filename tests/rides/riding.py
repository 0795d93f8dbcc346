"""Helpers for tests of rides: a line of stops, journeys without a database, a league to ride in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from uuid import UUID

from hansa import atlas, identity, payments, rides, trust
from hansa.kernel import Money, fact_id
from hansa.rides import Counters, Fare, Journey, Pricer, RiderClass, Tap, Touch
from hansa.store import Context, Tx

TUESDAY = date(2026, 11, 17)
CITY_OF = {
    "beijing-subway": "beijing",
    "hong-kong-mtr": "hong-kong",
    "london-tfl": "london",
    "hangzhou-metro": "hangzhou",
    "toronto-ttc": "toronto",
    "utsunomiya-lightline": "utsunomiya",
}
OPERATORS = tuple(CITY_OF)


# -- without a database -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """A stop of the made-up line."""

    name: str
    zone: str | None = None


@dataclass(frozen=True)
class Street:
    """Stops along one straight line, at so many metres from its start."""

    at_m: dict[str, int]
    zones: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def stops(self) -> dict[str, Spot]:
        return {stop: Spot(stop.title(), self.zones.get(stop)) for stop in self.at_m}

    def distance_m(self, origin: str, destination: str, /) -> int:
        return abs(self.at_m[origin] - self.at_m[destination])

    def zone_of(self, stop_id: str, /) -> str | None:
        return self.zones.get(stop_id)


@cache
def tariff_of(operator_id: str) -> rides.Tariff:
    """A tariff that comes with Hansa."""
    if operator_id == "utsunomiya-lightline":
        folder = atlas.city_folder("utsunomiya")
        feed = atlas.read_gtfs(
            atlas.gtfs_zip("utsunomiya"), city=atlas.read_city_facts(folder), operator_id=operator_id
        )
        return rides.tariff_from_fares_v1(feed.fares_v1, operator_id=operator_id)
    return rides.read_tariff(rides.tariff_folder(operator_id))


@cache
def network_of(operator_id: str) -> atlas.Network:
    """The network of an operator's city."""
    city_id = CITY_OF[operator_id]
    if city_id == "utsunomiya":
        folder = atlas.city_folder(city_id)
        feed = atlas.read_gtfs(
            atlas.gtfs_zip(city_id), city=atlas.read_city_facts(folder), operator_id=operator_id
        )
        return atlas.network_of(feed.city_file)
    return atlas.network_of(atlas.read_city(atlas.city_folder(city_id)))


@cache
def pricer_of(operator_id: str) -> Pricer:
    """A pricer of a tariff that comes with Hansa, over its city."""
    return Pricer(tariff_of(operator_id), network_of(operator_id))


def local(tariff: rides.Tariff, clock: str, day: date = TUESDAY) -> datetime:
    """``"08:30"`` in the tariff's city, as an instant; hours past 24 are of the next morning."""
    hours, minutes = clock.split(":")
    midnight = datetime(day.year, day.month, day.day, tzinfo=tariff.zone_info)
    return (midnight + timedelta(hours=int(hours), minutes=int(minutes))).astimezone(UTC)


def touch(
    at: datetime,
    action: str,
    stop: str | None,
    *,
    cti: bytes = b"phone 01",
    rider_class: RiderClass = "adult",
    sequence: int = 1,
    gate: str | None = None,
    product: str = "metro",
    line: str | None = None,
    companion: int = 0,
) -> Touch:
    """A tap as pairing sees it."""
    gate_id = gate or f"{stop or line}/{action}"
    assert action in ("entry", "exit", "board")
    return Touch(
        fact_id(at, gate_id, sequence, cti.hex(), *((companion,) if companion else ())),
        gate_id,
        sequence,
        action,
        stop,
        line,
        product,
        at,
        cti,
        rider_class,
        companion,
    )


def ride(
    at: datetime,
    origin: str,
    destination: str | None,
    *,
    minutes: int = 30,
    rider_class: RiderClass = "adult",
) -> list[Touch]:
    """The taps of one ride; without a destination the exit is missing."""
    taps = [touch(at, "entry", origin, rider_class=rider_class)]
    if destination is not None:
        taps.append(touch(at + timedelta(minutes=minutes), "exit", destination, rider_class=rider_class))
    return taps


def journeys_of(pricer: Pricer, taps: Iterable[Touch]) -> list[Journey]:
    return rides.pair_taps(taps, journey_max=pricer.tariff.journey_max)


def fares_of(pricer: Pricer, taps: Iterable[Touch], counters: Counters | None = None) -> list[Fare]:
    """Pair and price one account's day."""
    return pricer.price_day(journeys_of(pricer, taps), counters or Counters())


def charged(fares: Sequence[Fare]) -> list[int]:
    return [fare.amount_minor for fare in fares]


# -- with a database ----------------------------------------------------------------------------------------


class League:
    """A league with gates at every stop, in which riders tap."""

    def __init__(self, ctx: Context, *operators: str) -> None:
        self.ctx = ctx
        self.sequences: dict[str, int] = {}
        self.first_sequence = 1
        self.gates: dict[tuple[str, str | None, str], str] = {}
        with ctx.tx() as tx:
            self._members(tx)
            for operator in operators:
                self._operator(tx, operator)

    def _members(self, tx: Tx) -> None:
        members: list[trust.Member] = []
        for operator, city in CITY_OF.items():
            clears_as = trust.MemberId(city)
            members.append(trust.Member(clears_as, city, "city", city, clears_as, f"bank-{city}"))
            for member_id, role in ((f"{city}-card", "issuer"), (operator, "operator")):
                assert role in ("issuer", "operator")
                members.append(
                    trust.Member(
                        trust.MemberId(member_id), member_id, role, city, clears_as, f"bank-{member_id}"
                    )
                )
        for member_id, role in (("league", "league"), ("league-bank", "bank")):
            assert role in ("league", "bank")
            own = trust.MemberId(member_id)
            members.append(trust.Member(own, member_id, role, None, own, f"bank-{member_id}"))
        trust.add_members(tx, members)

    def _operator(self, tx: Tx, operator: str) -> None:
        city = CITY_OF[operator]
        folder = atlas.city_folder(city)
        if city == "utsunomiya":
            feed = atlas.read_gtfs(
                atlas.gtfs_zip(city), city=atlas.read_city_facts(folder), operator_id=operator
            )
            atlas.import_city(tx, feed.city_file)
        else:
            atlas.import_city(tx, atlas.read_city(folder))
        rides.import_tariff(tx, tariff_of(operator))
        records: list[trust.GateRecord] = []
        member = trust.MemberId(operator)
        for stop in network_of(operator).stops:
            for action in ("entry", "exit"):
                assert action in ("entry", "exit")
                gate_id = f"{stop}/{action}"
                records.append(trust.GateRecord(gate_id, member, city, stop, None, action, "metro"))
                self.gates[operator, stop, action] = gate_id
        for line in network_of(operator).lines:
            gate_id = f"{line}/board"
            records.append(trust.GateRecord(gate_id, member, city, None, line, "board", "bus"))
            self.gates[operator, line, "board"] = gate_id
        trust.add_gates(tx, records)

    def rider(
        self,
        number: int,
        *,
        rider_class: RiderClass = "adult",
        issuer: str = "beijing-card",
        currency: str = "CNY",
        token: int = 0,
    ) -> bytes:
        """A token that stands for this rider's account."""
        cti = fact_id(None, "cti", number, token).bytes[:8]
        account = account_of(number)
        expires_at = datetime(2027, 1, 1, tzinfo=UTC)
        with self.ctx.tx() as tx:
            rides.register_tokens(tx, [rides.Token(cti, account, issuer, currency, rider_class, expires_at)])
        return cti

    def tap(
        self, operator: str, place: str, action: str, at: datetime, cti: bytes, *, companion: int = 0
    ) -> Tap:
        """A tap as this place's gate makes it."""
        gate_id = self.gates[operator, place, action]
        sequence = self.sequences[gate_id] = self.sequences.get(gate_id, self.first_sequence - 1) + 1
        assert action in ("entry", "exit", "board")
        return Tap(
            tap_id=fact_id(at, gate_id, sequence),
            gate_id=gate_id,
            sequence=sequence,
            action=action,
            stop_id=None if action == "board" else place,
            tapped_at=at,
            cti=cti,
            counter=sequence,
            kid=b"kid1",
            made_at=at,
            list_version=1,
            chain=bytes(32),
            companion=companion,
        )

    def ride(
        self,
        operator: str,
        origin: str,
        destination: str,
        at: datetime,
        cti: bytes,
        *,
        minutes: int = 30,
        companion: int = 0,
    ) -> list[Tap]:
        """Entry and exit."""
        return [
            self.tap(operator, origin, "entry", at, cti, companion=companion),
            self.tap(
                operator, destination, "exit", at + timedelta(minutes=minutes), cti, companion=companion
            ),
        ]

    def hand_in(self, taps: Sequence[Tap]) -> rides.TapReceipt:
        """Hand taps in, as a gateway of many gates does."""
        return rides.record_taps(self.ctx, None, taps)

    def charged(self, number: int) -> list[int]:
        """What the rider's journeys cost by now, first to last."""
        with self.ctx.tx() as tx:
            found = rides.journeys(tx, account_of(number), limit=1000)
        return [one.fare.minor for one in reversed(found)]

    def books(self, table: str) -> int:
        """How many rows a table of rides has."""
        with self.ctx.tx() as tx:
            counts = {
                "taps": "select count(*) from rides.every_tap",
                "journeys": "select count(*) from rides.journeys",
                "charges": "select count(*) from rides.charges",
                "dirty_days": "select count(*) from rides.dirty_days",
            }
            row = tx.execute(counts[table].encode()).fetchone()
        assert row is not None
        return int(row[0])

    def open_money(
        self, number: int, minor: int, *, issuer: str = "beijing-card", currency: str = "CNY"
    ) -> None:
        """A wallet with so much in it, and everything that a charge needs."""
        account = identity.Account(
            account_id=identity.AccountId(account_of(number)),
            name=f"Rider {number}",
            issuer_id=issuer,
            home_city_id=issuer.removesuffix("-card"),
            rider_class="adult",
            language="en",
            created_at=self.ctx.clock.now(),
        )
        with self.ctx.tx() as tx:
            identity.open_accounts(tx, [account])
        payments.open_wallets(self.ctx, [(account, currency)])
        payments.open_member_accounts(self.ctx, [issuer], ["CNY", "HKD", "GBP", "CAD", "JPY"])
        if minor:
            payments.top_up(
                self.ctx,
                [
                    payments.TopUp(
                        fact_id(None, "top up", number, minor),
                        account.account_id,
                        trust.MemberId(issuer),
                        Money(minor, currency),
                        self.ctx.clock.now(),
                    )
                ],
            )


def account_of(number: int) -> UUID:
    return fact_id(None, "rider of the tests", number)


def random_day(seed: int, stops: Sequence[str], starts_at: datetime, rides_max: int = 7) -> list[Touch]:
    """A day of rides with gaps: some taps missing, two phones. No tap stands there twice, as in the books."""
    dice = Random(seed)
    taps: dict[UUID, Touch] = {}
    at = starts_at
    for _ in range(dice.randint(1, rides_max)):
        at += timedelta(minutes=dice.randint(5, 150))
        origin, destination = dice.sample(list(stops), 2)
        cti = dice.choice((b"phone 01", b"phone 02"))
        pair = [
            touch(at, "entry", origin, cti=cti),
            touch(at + timedelta(minutes=dice.randint(3, 90)), "exit", destination, cti=cti),
        ]
        made = pair if dice.random() < 0.85 else [dice.choice(pair)]
        taps |= {tap.tap_id: tap for tap in made}
    return list(taps.values())
