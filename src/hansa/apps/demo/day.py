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
from hansa.apps.demo.attacks import Attack, Kind, Planted, cloned_key
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

_ATTACKS: dict[str, Kind | None] = {
    "relay": "relay",
    "picture": "picture",
    "shared": "shared",
    "clone": "clone",
    "lost": "lost",
    "told": None,
}
"""Manners of a show that are no rider's own: the attack each belongs to. told: a gate gets a newer deny list."""

_MOVES: dict[Kind, int] = {"relay": 1, "picture": 1, "shared": 5, "clone": 1, "lost": 1}
"""Moves that must come off before an attack counts as carried out."""

_WITH_GOOD_SIGNATURES = frozenset(
    {
        "clock_skew",
        "companion_not_allowed",
        "wrong_challenge",
        "wrong_place",
        "revoked",
        "replay",
        "offline_cap",
    }
)
"""Reasons after both signatures were found good (docs/ride-code/verifying.md, steps 4 and 5)."""


@dataclass(frozen=True, slots=True)
class CityJob:
    """All a worker process needs to live one city's day.

    lost: riders whose phone was reported lost in the morning. attacks: what is to happen here. copied: riders whose
    phone's key is in a second phone. victims: such riders who spend the day elsewhere while the copy rides here, with
    their token's end. loss_version: of the deny list that names the phone that is lost during the day.
    """

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
    attacks: tuple[Attack, ...] = ()
    copied: frozenset[int] = frozenset()
    victims: tuple[tuple[Rider, datetime], ...] = ()
    loss_version: int = 2


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A ride token as its issuer remembers it: which rider stands behind which cti."""

    cti: bytes
    rider: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A code with good signatures that a gate refused."""

    gate_id: str
    at: datetime
    reason: str
    kid: bytes
    cti: bytes
    counter: int
    made_at: datetime
    cell: bytes


@dataclass(frozen=True, slots=True)
class Loss:
    """A phone reported lost during the day."""

    rider: int
    cti: bytes
    at: datetime
    expires_at: datetime


@dataclass(slots=True)
class CityDay:
    """What the gates of a city have to tell at the end of the day."""

    city_id: str
    tokens: list[IssuedToken] = field(default_factory=list[IssuedToken])
    taps: list[tuple[Arrival, gate.Tap]] = field(default_factory=list[tuple[Arrival, gate.Tap]])
    refusals: Counter[tuple[str, datetime, str]] = field(default_factory=Counter[tuple[str, datetime, str]])
    turned: list[TurnedAway] = field(default_factory=list[TurnedAway])
    planted: list[Planted] = field(default_factory=list[Planted])
    loss: Loss | None = None
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


@dataclass(frozen=True, slots=True)
class _Shown:
    """A code on a screen, and what it says."""

    text: str
    counter: int
    made_at: datetime
    cell: bytes


class _Phone:
    """A rider's phone: a P-256 key, a token from the issuer, a counter. last: the code it showed last."""

    __slots__ = ("counter", "cti", "key", "kid", "last", "skew", "token")

    def __init__(
        self, token: bytes, key: ec.EllipticCurvePrivateKey, skew: timedelta, *, cti: bytes, kid: bytes
    ) -> None:
        self.token, self.key, self.skew, self.cti, self.kid = token, key, skew, cti, kid
        self.counter = 0
        self.last: _Shown | None = None

    def show(self, at: datetime, cell: bytes) -> str:
        self.counter += 1
        made_at = (at + self.skew).replace(microsecond=0)
        text = codes.make_code(self.key, self.token, made_at=made_at, counter=self.counter, cell=cell)
        self.last = _Shown(text, self.counter, made_at, cell)
        return text


class _City:
    def __init__(self, job: CityJob) -> None:
        self.job = job
        self.dice = Random(f"hansa/{job.seed}/city/{job.role.city_id}/{job.day}")
        self.zone = ZoneInfo(job.network.city.tz)
        self.issuers = {
            issuer: Ed25519PrivateKey.from_private_bytes(raw) for issuer, raw in job.issuer_keys.items()
        }
        self.forger = Ed25519PrivateKey.generate()
        deny_list = gate.DenyList(version=job.deny_version, ctis=self._denied())
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
        self.clones: dict[int, _Phone] = {}
        self.prey: dict[int, Kind] = {
            one.rider: one.kind for one in job.attacks if one.kind in ("relay", "picture", "shared")
        }
        self.copies: dict[int, _Shown] = {}
        self.struck: Counter[tuple[Kind, int]] = Counter()

    def run(self) -> CityDay:
        """Play all shows in order of time; a refused honest rider tries again, a thief does not."""
        people = (*self.job.riders, *(rider for rider, _ in self.job.victims))
        queue: list[tuple[datetime, int, int, str, str]] = []
        for index, rider in enumerate(self.job.riders):
            for at, gate_id in self._plan(rider):
                queue.append((at, len(queue), index, gate_id, "honest"))
        for at, index, gate_id, manner in (*self._plant_clones(), *self._plant_loss()):
            queue.append((at, len(queue), index, gate_id, manner))
        heapify(queue)
        order = len(queue)
        while queue:
            at, _, index, gate_id, manner = heappop(queue)
            play = self._strike if manner in _ATTACKS else self._show
            for later, next_gate, next_manner in play(at, people[index], gate_id, manner):
                order += 1
                heappush(queue, (later, order, index, next_gate, next_manner))
        for gate_id, machine in self.gates.items():
            self.day.taps.extend((self._arrival(gate_id, tap), tap) for tap in machine.pending(1_000_000))
        self.day.taps.sort(
            key=lambda arrived: (arrived[1].tapped_at, arrived[1].gate_id, arrived[1].sequence)
        )
        return self.day

    def _denied(self) -> frozenset[bytes]:
        job = self.job
        return frozenset(
            reserved_cti(job.seed, job.day, rider.number) for rider in job.riders if rider.number in job.lost
        )

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
            key = self._key(rider.number)
            skewed = self.dice.random() < 0.004
            skew = (
                timedelta(seconds=self.dice.choice((-1, 1)) * self.dice.randint(90, 1_500))
                if skewed
                else timedelta()
            )
            cti = reserved_cti(self.job.seed, self.job.day, rider.number)
            expires_at = self._at(4.0, 0) + timedelta(hours=24)
            kid = self.job.issuer_kids[f"{rider.home}-card"]
            phone = _Phone(self._token(rider, key, cti, expires_at), key, skew, cti=cti, kid=kid)
            self.phones[rider.number] = phone
            self.day.tokens.append(IssuedToken(cti, rider.number, expires_at))
        return phone

    def _key(self, rider: int) -> ec.EllipticCurvePrivateKey:
        if rider in self.job.copied:
            return cloned_key(self.job.seed, self.job.day, rider)
        return ec.generate_private_key(ec.SECP256R1())

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

    def _show(
        self, at: datetime, rider: Rider, gate_id: str, manner: str
    ) -> Iterator[tuple[datetime, str, str]]:
        """One code held to one gate; yields what follows from it: when, at which gate, in what manner."""
        machine = self.gates[gate_id]
        cell = machine.identity.cell
        phone = self._phone(rider)
        honest = manner == "honest"
        if honest and self.prey.get(rider.number) == "relay":
            cell = bytes(3)  # a phone underground does not know where it is
        text = phone.show(at, cell) if honest else self._crooked(manner, rider, phone, at, cell)
        decision = self._decide(machine, text, at)
        if not decision.accepted:
            self.day.refusals[gate_id, at.replace(second=0), decision.reason] += 1
            if honest:
                self._turn_away(gate_id, at, decision.reason, phone, phone.last)
            if honest and decision.reason == "clock_skew":
                phone.skew = timedelta()
                yield at + timedelta(seconds=8), gate_id, "honest"
            return
        if honest:
            yield from self._prey_upon(at, rider, machine.identity, phone.last)
        chance = self.dice.random()
        if chance < 0.0022:
            later = at + timedelta(seconds=6)
            again = machine.decide(text, later)
            self.day.shown += 1
            self.day.refusals[gate_id, at.replace(second=0), again.reason] += 1
            self._turn_away(gate_id, later, again.reason, phone, phone.last)
        elif chance < 0.0060:
            crooked = self.dice.choice(("forged", "stranger", "expired", "tampered", "twin", "garbage"))
            yield at + timedelta(seconds=self.dice.randint(5, 40)), gate_id, crooked

    def _decide(self, machine: gate.Gate, text: str, at: datetime) -> gate.Decision:
        decision = machine.decide(text, at)
        self.day.shown += 1
        self.day.verify_ns += decision.took_ns
        if _shown is not None and self.day.shown % _PROGRESS_EVERY == 0:
            with _shown.get_lock():
                _shown.value += _PROGRESS_EVERY
        return decision

    def _turn_away(
        self, gate_id: str, at: datetime, reason: str, phone: _Phone, shown: _Shown | None
    ) -> None:
        """What a gate tells of a code that it refused though both signatures were good."""
        if shown is not None and reason in _WITH_GOOD_SIGNATURES:
            self.day.turned.append(
                TurnedAway(
                    gate_id, at, reason, phone.kid, phone.cti, shown.counter, shown.made_at, shown.cell
                )
            )

    # -- fraud ---------------------------------------------------------------------------------------------

    def _prey_upon(
        self, at: datetime, rider: Rider, where: gate.GateIdentity, shown: _Shown | None
    ) -> Iterator[tuple[datetime, str, str]]:
        """What somebody does with the code that has just opened this gate, if this rider is whom they are after."""
        kind = self.prey.get(rider.number)
        if kind is None or shown is None or where.action == "exit":
            return
        del self.prey[rider.number]
        self.copies[rider.number] = shown
        dice = Random(f"hansa/{self.job.seed}/{self.job.day}/attack/{rider.number}")
        others = [
            one.gate_id
            for one in self.job.gates
            if one.action == where.action and one.gate_id != where.gate_id
        ]
        match kind:
            case "relay":
                yield at + timedelta(seconds=6), dice.choice(others), kind
            case "picture":
                for minutes, gate_id in zip((4, 7), dice.sample(others, 2), strict=True):
                    yield at + timedelta(minutes=minutes), gate_id, kind
            case _:
                for turn in range(1, 7):
                    yield at + timedelta(seconds=12 * turn), where.gate_id, kind

    def _plant_clones(self) -> Iterator[tuple[datetime, int, str, str]]:
        """When and where copies of other cities' phones ride here: three rides, while their token lives."""
        for place, (rider, ends_at) in enumerate(self.job.victims):
            dice = Random(f"hansa/{self.job.seed}/{self.job.day}/clone/{rider.number}")
            start = max(self._at(9, 0), ends_at - timedelta(hours=23))
            for ride in range(3):
                begins = start + timedelta(hours=2 * ride, minutes=dice.randint(0, 30))
                if begins + timedelta(hours=1) > ends_at:
                    return
                index = len(self.job.riders) + place
                if self.validators:
                    yield begins, index, dice.choice(self.validators).gate_id, "clone"
                    continue
                origin, destination = dice.sample(self.stops, 2)
                lasts = timedelta(seconds=200 + round(self.job.network.distance_m(origin, destination) / 9.2))
                yield begins, index, self.entries[origin].gate_id, "clone"
                yield begins + lasts, index, self.exits[destination].gate_id, "clone"

    def _plant_loss(self) -> Iterator[tuple[datetime, int, str, str]]:
        """A phone is lost after its owner's last ride, reported at once, and used at a gate that cannot know it yet."""
        numbers = {rider.number: index for index, rider in enumerate(self.job.riders)}
        for attack in self.job.attacks:
            plan = list(self._plan(self.job.riders[numbers[attack.rider]])) if attack.kind == "lost" else []
            for gate_id in sorted(self.offline, key=lambda one: (self._identity(one).action == "exit", one)):
                starts, ends, _ = self.offline[gate_id]
                lost_at = max(max((at for at, _ in plan), default=ends) + timedelta(minutes=15), starts)
                used_at = (lost_at + timedelta(minutes=20)).replace(microsecond=0)
                if plan and used_at < min(ends, self._at(24, 0)):
                    cti = reserved_cti(self.job.seed, self.job.day, attack.rider)
                    expires_at = self._at(4.0, 0) + timedelta(hours=24)
                    self.day.loss = Loss(attack.rider, cti, lost_at.replace(microsecond=0), expires_at)
                    index = numbers[attack.rider]
                    yield used_at, index, gate_id, "lost"
                    for told in self.gates:
                        begins, over, _ = self.offline.get(told, (used_at, lost_at, "online"))
                        when = over if begins <= lost_at < over else lost_at + timedelta(seconds=30)
                        yield when, index, told, "told"
                    return

    def _identity(self, gate_id: str) -> gate.GateIdentity:
        return self.gates[gate_id].identity

    def _strike(
        self, at: datetime, rider: Rider, gate_id: str, manner: str
    ) -> Iterator[tuple[datetime, str, str]]:
        """One move of an attack. It throws no dice of the city's, so the honest day goes on as without it."""
        machine = self.gates[gate_id]
        if manner == "told":
            assert self.day.loss is not None, "a gate is told of a loss"
            denied = self._denied() | {self.day.loss.cti}
            machine.use_deny_list(gate.DenyList(self.job.loss_version, denied))
            return
        kind = _ATTACKS[manner]
        assert kind is not None, "only a told gate is no attack"
        phone = self._clone(rider) if kind == "clone" else self.phones[rider.number]
        if kind in ("relay", "picture"):
            shown = self.copies[rider.number]
        else:
            phone.show(at, machine.identity.cell)
            assert phone.last is not None, "it shows one"
            shown = phone.last
        decision = self._decide(machine, shown.text, at)
        if not decision.accepted:
            self.day.refusals[gate_id, at.replace(second=0), decision.reason] += 1
            self._turn_away(gate_id, at, decision.reason, phone, shown)
        if decision.accepted == (kind != "picture"):
            self.struck[kind, rider.number] += 1
            if self.struck[kind, rider.number] == _MOVES[kind]:
                self.day.planted.append(Planted(kind, rider.number, at))
        yield from ()

    def _clone(self, rider: Rider) -> _Phone:
        phone = self.clones.get(rider.number)
        if phone is None:
            ends_at = next(ends for one, ends in self.job.victims if one.number == rider.number)
            cti, key = reserved_cti(self.job.seed, self.job.day, rider.number), self._key(rider.number)
            token = self._token(rider, key, cti, ends_at)
            kid = self.job.issuer_kids[f"{rider.home}-card"]
            phone = self.clones[rider.number] = _Phone(token, key, timedelta(), cti=cti, kid=kid)
        return phone

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
