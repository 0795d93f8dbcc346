"""One day in one city: phones that make real ride codes, gates that verify them with the gate library.

Pure of any database: it gives the taps that the gates hand in later, and what they refused. The same spec gives
the same riders, times, token ids and counters; only keys and signatures differ from run to run.
"""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from heapq import heapify, heappop, heappush
from multiprocessing.sharedctypes import Synchronized
from random import Random
from threading import Thread
from typing import Literal
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import codes, gate
from hansa.apps.demo.people import Rider
from hansa.apps.demo.spec import CityRole
from hansa.atlas import Network
from hansa.kernel import fact_id

Arrival = Literal["online", "late", "after cut-off"]
"""When a gate's taps reach the back office: at once, before the cut-off, or on the next business day."""

OFFLINE_CAP = 12
LAST_START = 22.6
"""Local hour after which nobody sets out."""
_PROGRESS_EVERY = 200


@dataclass(frozen=True, slots=True)
class CityJob:
    """All a worker process needs to live one city's day. lost: riders whose phone was reported lost."""

    seed: int
    day: date
    role: CityRole
    network: Network
    gates: tuple[gate.GateIdentity, ...]
    riders: tuple[Rider, ...]
    lost: frozenset[int]
    issuer_kids: dict[str, bytes]
    issuer_keys: dict[str, bytes]
    trust_list: codes.TrustList
    deny_version: int


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A ride token as its issuer remembers it: which rider stands behind which cti."""

    cti: bytes
    rider: int
    expires_at: datetime


@dataclass(slots=True)
class CityDay:
    """What the gates of a city have to tell at the end of the day."""

    city_id: str
    tokens: list[IssuedToken] = field(default_factory=list[IssuedToken])
    taps: list[tuple[Arrival, gate.Tap]] = field(default_factory=list[tuple[Arrival, gate.Tap]])
    refusals: Counter[tuple[str, datetime, str]] = field(default_factory=Counter[tuple[str, datetime, str]])
    shown: int = 0
    verify_ns: int = 0


_shown: "Synchronized[int] | None" = None


def live_the_day(
    jobs: Sequence[CityJob], *, processes: int = 2, shown: "Synchronized[int] | None" = None
) -> Iterator[CityDay]:
    """Each city's day as it ends, largest first, spread over processes. shown: counts codes as they are shown."""
    ordered = sorted(jobs, key=lambda job: -len(job.riders))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _begin_worker, (shown,)) as pool:
        for done in as_completed([pool.submit(live, job) for job in ordered]):
            yield done.result()


def progress_counter() -> "Synchronized[int]":
    """A number that worker processes count up and the parent reads."""
    return multiprocessing.get_context("spawn").Value("q", 0)


def _begin_worker(shown: "Synchronized[int] | None") -> None:
    global _shown
    _shown = shown
    Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A parent that was killed cannot tell its workers; without this they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def live(job: CityJob) -> CityDay:
    """One city from its first train to its last."""
    return _City(job).run()


def reserved_cti(seed: int, day: date, rider: int) -> bytes:
    """The token id a rider's phone gets for the day: random to anyone without the seed's stream."""
    return fact_id(None, "hansa.demo.cti", seed, day, rider).bytes[8:]


class _Phone:
    """A rider's phone: a P-256 key of its own, a token from the issuer, a counter."""

    __slots__ = ("counter", "key", "skew", "token")

    def __init__(self, token: bytes, key: ec.EllipticCurvePrivateKey, skew: timedelta) -> None:
        self.token, self.key, self.skew, self.counter = token, key, skew, 0

    def show(self, at: datetime, cell: bytes) -> str:
        self.counter += 1
        return codes.make_code(self.key, self.token, made_at=at + self.skew, counter=self.counter, cell=cell)


class _City:
    def __init__(self, job: CityJob) -> None:
        self.job = job
        self.dice = Random(f"hansa/{job.seed}/city/{job.role.city_id}/{job.day}")
        self.zone = ZoneInfo(job.network.city.tz)
        self.issuers = {
            issuer: Ed25519PrivateKey.from_private_bytes(raw) for issuer, raw in job.issuer_keys.items()
        }
        self.forger = Ed25519PrivateKey.generate()
        denied = frozenset(
            reserved_cti(job.seed, job.day, rider.number) for rider in job.riders if rider.number in job.lost
        )
        deny_list = gate.DenyList(version=job.deny_version, ctis=denied)
        self.gates = {
            identity.gate_id: gate.Gate(identity, job.trust_list, deny_list=deny_list)
            for identity in job.gates
        }
        self.entries = {i.stop_id: i for i in job.gates if i.action == "entry" and i.stop_id is not None}
        self.exits = {i.stop_id: i for i in job.gates if i.action == "exit" and i.stop_id is not None}
        self.validators = tuple(i for i in job.gates if i.action == "board")
        self.stops = sorted(job.network.stops)
        self.weights = [1 + 3 * (len(job.network.lines_at(stop)) - 1) for stop in self.stops]
        self.offline = self._offline_gates()
        self.day = CityDay(job.role.city_id)
        self.phones: dict[int, _Phone] = {}

    def run(self) -> CityDay:
        """Play all shows in order of time; a refused honest rider tries again, a thief does not."""
        queue: list[tuple[datetime, int, int, str, str]] = []
        for index, rider in enumerate(self.job.riders):
            for at, gate_id in self._plan(rider):
                queue.append((at, len(queue), index, gate_id, "honest"))
        heapify(queue)
        order = len(queue)
        while queue:
            at, _, index, gate_id, manner = heappop(queue)
            for later, next_manner in self._show(at, self.job.riders[index], gate_id, manner):
                order += 1
                heappush(queue, (later, order, index, gate_id, next_manner))
        for gate_id, machine in self.gates.items():
            self.day.taps.extend((self._arrival(gate_id, tap), tap) for tap in machine.pending(1_000_000))
        self.day.taps.sort(
            key=lambda arrived: (arrived[1].tapped_at, arrived[1].gate_id, arrived[1].sequence)
        )
        return self.day

    # -- what people do ------------------------------------------------------------------------------------

    def _plan(self, rider: Rider) -> Iterator[tuple[datetime, str]]:
        """Where and when a rider means to pass a gate today."""
        dice = Random(f"hansa/{self.job.seed}/{self.job.day}/plan/{rider.number}")
        trips = dice.choices((1, 2, 3, 4, 6), (12, 56, 16, 12, 4))[0]
        home = self._stop(dice)
        work = self._stop(dice, near=home)
        hour = max(5.1, dice.gauss(8.1, 0.9))
        origin = home
        for trip in range(trips):
            if hour > LAST_START:
                return
            destination = work if trip == 0 else home if trip == 1 else self._stop(dice, near=origin)
            start = self._at(hour, dice.random() * 60)
            ride = timedelta(0)
            if self.validators:
                yield start, dice.choice(self.validators).gate_id
            elif origin != destination:
                ride = timedelta(seconds=200 + self.job.network.distance_m(origin, destination) / 9.2)
                missing = dice.random()
                if missing > 0.003:
                    yield start, self.entries[origin].gate_id
                if missing < 0.985:
                    yield (
                        start + ride + timedelta(seconds=dice.random() * 90),
                        self.exits[destination].gate_id,
                    )
            origin = destination
            stay = dice.gauss(18.0, 1.1) - hour if trip == 0 else 0.4 + dice.random() * 1.6
            hour += max(stay, 0.1 + ride / timedelta(hours=1))

    def _stop(self, dice: Random, *, near: str | None = None) -> str:
        """A stop, busier ones more often; near another one, the nearest of three, as most trips are short."""
        if near is None or self.validators:
            return dice.choices(self.stops, self.weights)[0]
        some = dice.choices(self.stops, self.weights, k=3)
        return min(some, key=lambda stop: self.job.network.distance_m(near, stop))

    def _at(self, hour: float, second: float) -> datetime:
        midnight = datetime(self.job.day.year, self.job.day.month, self.job.day.day, tzinfo=self.zone)
        return (midnight + timedelta(hours=hour, seconds=second)).astimezone(UTC).replace(microsecond=0)

    def _phone(self, rider: Rider) -> _Phone:
        phone = self.phones.get(rider.number)
        if phone is None:
            key = ec.generate_private_key(ec.SECP256R1())
            skewed = self.dice.random() < 0.004
            skew = (
                timedelta(seconds=self.dice.choice((-1, 1)) * self.dice.randint(90, 1_500))
                if skewed
                else timedelta()
            )
            cti = reserved_cti(self.job.seed, self.job.day, rider.number)
            expires_at = self._at(4.0, 0) + timedelta(hours=24)
            phone = _Phone(self._token(rider, key, cti, expires_at), key, skew)
            self.phones[rider.number] = phone
            self.day.tokens.append(IssuedToken(cti, rider.number, expires_at))
        return phone

    def _token(
        self,
        rider: Rider,
        key: ec.EllipticCurvePrivateKey,
        cti: bytes,
        expires_at: datetime,
        *,
        forged: bool = False,
    ) -> bytes:
        issuer = f"{rider.home}-card"
        return codes.make_token(
            self.forger if forged else self.issuers[issuer],
            kid=self.job.issuer_kids[issuer],
            cti=cti,
            expires_at=expires_at,
            device_key=key.public_key(),
            scope=codes.Scope(
                rider.rider_class, ("metro", "bus", "tram"), ("metro", "bus", "tram"), OFFLINE_CAP
            ),
        )

    # -- what happens at the gate --------------------------------------------------------------------------

    def _show(self, at: datetime, rider: Rider, gate_id: str, manner: str) -> Iterator[tuple[datetime, str]]:
        """One code held to one gate; yields what follows from it at the same gate."""
        machine = self.gates[gate_id]
        cell = machine.identity.cell
        phone = self._phone(rider)
        text = self._crooked(manner, rider, phone, at, cell) if manner != "honest" else phone.show(at, cell)
        decision = machine.decide(text, at)
        self.day.shown += 1
        self.day.verify_ns += decision.took_ns
        if _shown is not None and self.day.shown % _PROGRESS_EVERY == 0:
            with _shown.get_lock():
                _shown.value += _PROGRESS_EVERY
        if not decision.accepted:
            self.day.refusals[gate_id, at.replace(second=0), decision.reason] += 1
            if manner == "honest" and decision.reason == "clock_skew":
                phone.skew = timedelta()
                yield at + timedelta(seconds=8), "honest"
            return
        chance = self.dice.random()
        if chance < 0.0022:
            machine_text = text
            again = machine.decide(machine_text, at + timedelta(seconds=6))
            self.day.shown += 1
            self.day.refusals[gate_id, at.replace(second=0), again.reason] += 1
        elif chance < 0.0060:
            crooked = self.dice.choice(("forged", "stranger", "expired", "tampered", "twin", "garbage"))
            yield at + timedelta(seconds=self.dice.randint(5, 40)), crooked

    def _crooked(self, manner: str, rider: Rider, phone: _Phone, at: datetime, cell: bytes) -> str:
        """What a cheat holds to the gate."""
        fresh = ec.generate_private_key(ec.SECP256R1())
        cti = self.dice.randbytes(8)
        match manner:
            case "forged":  # the true key id, but signed by the forger
                token = self._token(rider, fresh, cti, at + timedelta(hours=8), forged=True)
            case "stranger":  # an issuer nobody has heard of
                token = codes.make_token(
                    self.forger,
                    kid=b"\xff\xff\xff\xfe",
                    cti=cti,
                    expires_at=at + timedelta(hours=8),
                    device_key=fresh.public_key(),
                    scope=codes.Scope(
                        "adult", ("metro", "bus", "tram"), ("metro", "bus", "tram"), OFFLINE_CAP
                    ),
                )
            case "expired":  # yesterday's token
                token = self._token(rider, fresh, cti, at - timedelta(hours=2))
            case "tampered":  # another phone's token under one's own signature
                token = phone.token
            case "twin":  # a code read from a picture and written a little differently
                text = phone.show(at, cell)
                return text[:-1] + ("A" if text[-1] != "A" else "B")
            case _:
                return "HR1:" + "".join(self.dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=120))
        return codes.make_code(fresh, token, made_at=at, counter=1, cell=cell)

    # -- gates without network -----------------------------------------------------------------------------

    def _offline_gates(self) -> dict[str, tuple[datetime, datetime, Arrival]]:
        """Some gates lose the network for hours; one hands in only after the league's cut-off."""
        dice = Random(f"hansa/{self.job.seed}/{self.job.day}/offline/{self.job.role.city_id}")
        ids = sorted(self.gates)
        dice.shuffle(ids)
        down: dict[str, tuple[datetime, datetime, Arrival]] = {}
        for gate_id in ids[: max(2, len(ids) // 14)]:
            start = self._at(5 + dice.random() * 13, 0)
            down[gate_id] = (start, start + timedelta(hours=2 + dice.random() * 6), "late")
        down[ids[0]] = (self._at(15, 0), self._at(24, 0), "after cut-off")
        return down

    def _arrival(self, gate_id: str, tap: gate.Tap) -> Arrival:
        window = self.offline.get(gate_id)
        return window[2] if window and window[0] <= tap.tapped_at < window[1] else "online"
