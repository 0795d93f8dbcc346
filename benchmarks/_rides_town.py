"""What the benchmark of rides is made of: riders of four cities, their rides as columns, and their taps."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from hansa import atlas, identity, payments, rides, trust
from hansa.fares.columnar import RideColumns
from hansa.kernel import Directory, FixedClock, Money, bucket_of, fact_id, service_day_bounds
from hansa.rides.columns import PlainBatch, TapColumns
from hansa.store import Context, open_context

Int64 = npt.NDArray[np.int64]

CITIES = {
    "hong-kong-mtr": ("hong-kong", "HKD"),
    "beijing-subway": ("beijing", "CNY"),
    "london-tfl": ("london", "GBP"),
    "toronto-ttc": ("toronto", "CAD"),
}
"""Operators with city and currency: a table of pairs, bands with monthly tiers, zones with daily and weekly caps, and a
flat fare with transfers."""

OPERATORS = tuple(CITIES)
CLASSES = ("adult", "child", "senior", "student")
SHARES = (0.8, 0.05, 0.1, 0.05)
FIRST_DAY = date(2026, 11, 17)
HALVES = Directory(1, tuple(bucket % 2 for bucket in range(4096)))
"""Two partitions, one for each of two processes."""

PURSE_MINOR = 100_000_000
PER_BATCH = 5_000
WAIT_US = 20 * 60 * 1_000_000
"""Gateways hand in what was tapped since the last time, at most so long ago."""

VISITORS = 0.01
"""Riders who travel in a city whose currency is not their wallet's: they are charged one by one."""


@cache
def tariff_of(operator_id: str) -> rides.Tariff:
    return rides.read_tariff(rides.tariff_folder(operator_id))


@cache
def network_of(operator_id: str) -> atlas.Network:
    return atlas.network_of(atlas.read_city(atlas.city_folder(CITIES[operator_id][0])))


@cache
def stops_of(operator_id: str) -> tuple[str, ...]:
    return tuple(sorted(network_of(operator_id).stops))


def days_of(
    operator_id: str, riders: int, seed: int, *, rides_each: float = 2.5, day: date = FIRST_DAY
) -> RideColumns:
    """A day of so many riders, each with one to twice ``rides_each`` rides, from and to any stops."""
    dice = np.random.default_rng(seed)
    most = max(1, round(2 * rides_each - 1))
    numbers = np.repeat(np.arange(riders), dice.integers(1, most + 1, riders))
    count = len(numbers)
    rank = np.arange(count) - np.searchsorted(numbers, numbers)
    tariff, stops = tariff_of(operator_id), stops_of(operator_id)
    starts_at, _ = service_day_bounds(day, tariff.tz, tariff.day_starts)
    first = int((starts_at + timedelta(hours=2)).timestamp()) * 1_000_000
    apart = 4_200_000_000 if most < 12 else 60_000_000_000 // most
    started = first + dice.integers(0, 3 * 3_600_000_000, riders)[numbers] + rank * apart
    started += dice.integers(0, 600_000_000 if most < 12 else 1_000_000, count)
    boards = operator_id == "toronto-ttc"
    origins = dice.integers(0, len(stops), count)
    destinations = (origins + dice.integers(1, len(stops), count)) % len(stops)
    lines = tuple(sorted(network_of(operator_id).lines))
    lasts = dice.integers(180, 3_000, count) * 1_000_000 if most < 12 else np.full(count, 30_000_000)
    return RideColumns(
        numbers,
        started,
        started if boards else started + lasts,
        np.full(count, 1 if boards else 0),
        np.full(count, -1) if boards else origins,
        np.full(count, -1) if boards else destinations,
        dice.integers(0, len(lines), count) if boards else np.full(count, -1),
        np.zeros(count, np.int64),
        dice.choice(4, riders, p=SHARES)[numbers],
        stops,
        lines,
        ("bus" if boards else "metro",),
        CLASSES,
    )


# -- a league to ride in --------------------------------------------------------------------------------------


def build(ctx: Context) -> None:
    """Members, cities, tariffs, gates and rates."""
    members = [
        trust.Member(
            trust.MemberId("league"), "league", "league", None, trust.MemberId("league"), "bank-league"
        ),
        trust.Member(trust.MemberId("bank"), "bank", "bank", None, trust.MemberId("bank"), "bank-bank"),
    ]
    for operator_id, (city, _) in CITIES.items():
        own = trust.MemberId(city)
        members.append(trust.Member(own, city, "city", city, own, f"bank-{city}"))
        members.append(
            trust.Member(trust.MemberId(f"{city}-card"), city, "issuer", city, own, f"bank-{city}-card")
        )
        members.append(
            trust.Member(trust.MemberId(operator_id), city, "operator", city, own, f"bank-{operator_id}")
        )
    currencies = [currency for _, currency in CITIES.values()]
    with ctx.tx() as tx:
        trust.add_members(tx, members)
        for operator_id, (city, _) in CITIES.items():
            atlas.import_city(tx, atlas.read_city(atlas.city_folder(city)))
            rides.import_tariff(tx, tariff_of(operator_id))
            trust.add_gates(
                tx,
                [
                    trust.GateRecord(gate_id, trust.MemberId(operator_id), city, stop, line, action, product)
                    for side in (0, 1)
                    for gate_id, action, stop, line, product in gates_of(operator_id, side)
                ],
            )
        for day in range(40):
            pairs = [(one, two, Fraction(3, 2)) for n, one in enumerate(currencies) for two in currencies[:n]]
            payments.set_rates(tx, FIRST_DAY + timedelta(days=day), pairs)
    payments.open_member_accounts(ctx, [f"{city}-card" for city, _ in CITIES.values()], currencies)


def gates_of(operator_id: str, side: int) -> Iterator[tuple[str, rides.Action, str | None, str | None, str]]:
    """(gate, action, stop, line, product): an entry and an exit for each stop, a reader on board for each line.

    side: each process hands in for gates of its own, since a gate has one gateway.
    """
    for stop in stops_of(operator_id):
        ends: tuple[rides.Action, ...] = ("entry", "exit")
        for action in ends:
            yield f"{stop}/{side}/{action}", action, stop, None, "metro"
    for line in sorted(network_of(operator_id).lines):
        yield f"{line}/{side}/board", "board", None, line, "bus"


@dataclass(frozen=True)
class Riders:
    """Some riders of one partition. cities: place of the operator they ride with; homes: of the wallet's city."""

    accounts: bytes
    ctis: bytes
    cities: Int64
    homes: Int64
    classes: Int64

    def __len__(self) -> int:
        return len(self.cities)


def riders_of(partition: int, count: int) -> Riders:
    """The first so many riders of a partition."""
    accounts, ctis, number = bytearray(), bytearray(), 0
    while len(accounts) < 16 * count:
        account = fact_id(None, "benchmark rider", number)
        number += 1
        if HALVES.partitions[bucket_of(account)] == partition:
            accounts += account.bytes
            ctis += account.bytes[:4] + account.bytes[9:13]
    dice = np.random.default_rng(partition)
    cities = dice.integers(0, 4, count)
    homes = np.where(dice.random(count) < VISITORS, (cities + 1) % 4, cities)
    return Riders(bytes(accounts), bytes(ctis), cities, homes, dice.choice(4, count, p=SHARES))


def settle(ctx: Context, riders: Riders) -> None:
    """Tokens, wallets and money for all of them, as an issuer's office does it."""
    places = list(CITIES.values())
    for start in range(0, len(riders), 4_000):
        accounts: list[tuple[identity.Account, str]] = []
        tokens: list[rides.Token] = []
        for n in range(start, min(start + 4_000, len(riders))):
            account_id = UUID(bytes=riders.accounts[16 * n : 16 * n + 16])
            city, currency = places[int(riders.homes[n])]
            rider_class = CLASSES[int(riders.classes[n])]
            tokens.append(
                rides.Token(
                    riders.ctis[8 * n : 8 * n + 8],
                    account_id,
                    f"{city}-card",
                    currency,
                    rider_class,
                    datetime(2027, 1, 1, tzinfo=UTC),
                )
            )
            accounts.append(
                (
                    identity.Account(
                        identity.AccountId(account_id),
                        "",
                        f"{city}-card",
                        city,
                        rider_class,
                        "en",
                        ctx.clock.now(),
                    ),
                    currency,
                )
            )
        with ctx.tx() as tx:
            rides.register_tokens(tx, tokens)
        payments.open_wallets(ctx, accounts)
        payments.top_up(
            ctx,
            [
                payments.TopUp(
                    fact_id(None, "benchmark purse", account.account_id),
                    account.account_id,
                    account.issuer_id,
                    Money(PURSE_MINOR, currency),
                    ctx.clock.now(),
                )
                for account, currency in accounts
            ],
        )


@dataclass(frozen=True)
class _Taps:
    """Taps as columns. cities and gates: places in the lists of them."""

    tapped: Int64
    cities: Int64
    gates: Int64
    sequences: Int64
    ids: npt.NDArray[Any]
    ctis: npt.NDArray[Any]


class Tapping:
    """Gates that make the taps of rides, each with its own numbers."""

    def __init__(self, partition: int) -> None:
        self._sequences = [np.zeros(len(list(gates_of(one, partition))), np.int64) for one in OPERATORS]
        self._gates = [list(gates_of(one, partition)) for one in OPERATORS]

    def batches(
        self, riders: Riders, some: slice, day: date, seed: int
    ) -> tuple[list[list[PlainBatch]], int, int]:
        """The taps of a day of some riders, as gateways hand them in; how many rides; and the last tap's instant."""
        parts: list[tuple[Int64, Int64, Int64, Int64, Int64]] = []
        count = 0
        numbers = np.arange(len(riders))[some]
        for city, operator_id in enumerate(OPERATORS):
            own = numbers[riders.cities[numbers] == city]
            if not len(own):
                continue
            day_rides = days_of(operator_id, len(own), seed * 7 + city, day=day)
            count += len(day_rides)
            who = own[day_rides.riders]
            stops = len(day_rides.stops)
            if operator_id == "toronto-ttc":
                gates = 2 * stops + day_rides.lines
                parts.append(
                    (day_rides.started_us, who, np.full(len(who), city), gates, np.zeros(len(who), np.int64))
                )
            else:
                parts.append((day_rides.started_us, who, np.full(len(who), city), 2 * day_rides.origins, who))
                parts.append(
                    (day_rides.ended_us, who, np.full(len(who), city), 2 * day_rides.destinations + 1, who)
                )
        tapped, who, cities, gates = (np.concatenate([part[n] for part in parts]) for n in range(4))
        order = np.argsort(tapped, kind="stable")
        tapped, who, cities, gates = tapped[order], who[order], cities[order], gates[order]
        tapped += np.arange(len(tapped)) % 1_000  # no two at one instant
        dice = np.random.default_rng(seed)
        sequences = np.zeros(len(tapped), np.int64)
        for city in range(4):
            of_city = np.flatnonzero(cities == city)
            by_gate = of_city[np.argsort(gates[of_city], kind="stable")]
            own, starts, lengths = np.unique(gates[by_gate], return_index=True, return_counts=True)
            within = np.arange(len(by_gate)) - np.repeat(starts, lengths)
            sequences[by_gate] = self._sequences[city][gates[by_gate]] + within + 1
            self._sequences[city][own] += lengths
        ids = payments.shaped_ids(dice.bytes(32 * len(tapped)), tapped)
        accounts = np.frombuffer(riders.ctis, "V8")[who]
        taps = _Taps(tapped, cities, gates, sequences, ids, accounts)
        made: list[list[PlainBatch]] = []
        edges = np.searchsorted(tapped, np.arange(tapped[0], tapped[-1] + WAIT_US, WAIT_US)).tolist()
        for start, end in zip(edges, [*edges[1:], len(tapped)], strict=True):
            handed_in = [
                self._batch(taps, slice(at, min(at + PER_BATCH, end)), dice)
                for at in range(start, end, PER_BATCH)
            ]
            if handed_in:
                made.append(handed_in)
        return made, count, int(tapped[-1])

    def _batch(self, taps: "_Taps", some: slice, dice: np.random.Generator) -> PlainBatch:
        count = some.stop - some.start
        keys, places = np.unique(taps.cities[some] * 100_000 + taps.gates[some], return_inverse=True)
        named = [self._gates[key // 100_000][key % 100_000][:3] for key in keys.tolist()]
        return PlainBatch(
            TapColumns(
                places=tuple(named),
                gates=places,
                sequences=taps.sequences[some],
                tap_ids=taps.ids[some].tobytes(),
                tapped_us=taps.tapped[some],
                ctis=taps.ctis[some].tobytes(),
                counters=np.arange(count),
                kids=b"kid1" * count,
                made_us=taps.tapped[some] - 1_000_000,
                list_versions=np.ones(count, np.int64),
                chains=dice.bytes(32 * count),
                companions=np.zeros(count, np.int64),
                digests=dice.bytes(16 * count),
            ),
            None,
            None,
        )


def opened(url: str) -> Context:
    return open_context(
        url,
        clock=FixedClock(datetime.combine(FIRST_DAY - timedelta(days=1), datetime.min.time(), UTC)),
        directory=HALVES,
    )
