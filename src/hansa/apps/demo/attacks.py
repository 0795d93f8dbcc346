"""Fraud planted in the demonstration's day: who is attacked, how and where, so that finding it can be measured.

Drawn from dice of its own, so that everybody else's day stays what it is without it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from random import Random
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec

from hansa.apps.demo.people import Rider

Kind = Literal["relay", "clone", "picture", "shared", "lost"]

KINDS: dict[Kind, str] = {
    "relay": "a code sent on, accepted at a second station within seconds",
    "clone": "a copied phone key rides in another city",
    "picture": "a picture of a code is tried at other gates",
    "shared": "one phone is passed back along a queue",
    "lost": "a lost phone is used at a gate without network",
}

FOUND_BY: dict[Kind, frozenset[str]] = {
    "relay": frozenset({"copied_code"}),
    "clone": frozenset({"two_phones", "too_far"}),
    "picture": frozenset({"picture"}),
    "shared": frozenset({"too_often"}),
    "lost": frozenset({"revoked_offline"}),
}
"""The rules that are meant for each: another rule's case does not count as found."""

ONE_IN = 2_000
"""Of so many riders, one is attacked in each way; at least one is."""
LOST_CANDIDATES = 8

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class Attack:
    """What is to happen to a rider in a city. For a clone, city is where the copy rides."""

    kind: Kind
    rider: int
    city_id: str


@dataclass(frozen=True, slots=True)
class Planted:
    """An attack that was carried out. at: when its first tap or refusal was."""

    kind: Kind
    rider: int
    at: datetime


def plan_attacks(
    seed: int, day: date, riders: Sequence[Rider], cities: Sequence[str], lost: frozenset[int]
) -> list[Attack]:
    """Who is attacked today: nobody twice, and nobody whose phone was reported lost in the morning.

    Of the lost ones there are more than will be: the first in each city whose day leaves room for it is taken.
    """
    dice = Random(f"hansa/{seed}/{day}/attacks")
    pool = [rider for rider in riders if rider.number not in lost]
    dice.shuffle(pool)
    attacks: list[Attack] = []
    many = max(1, len(riders) // ONE_IN)
    for kind in ("relay", "clone", "picture", "shared"):
        for rider in pool[:many]:
            city_id = rider.here
            if kind == "clone":
                city_id = dice.choice([city for city in cities if city != rider.here])
            attacks.append(Attack(kind, rider.number, city_id))
        pool = pool[many:]
    for city_id in cities:
        some = [rider for rider in pool if rider.here == city_id][:LOST_CANDIDATES]
        attacks += [Attack("lost", rider.number, city_id) for rider in some]
    return attacks


def cloned_key(seed: int, day: date, rider: int) -> ec.EllipticCurvePrivateKey:
    """The one key that is in two phones."""
    number = int.from_bytes(sha256(f"hansa/{seed}/{day}/clone/{rider}".encode()).digest(), "big")
    return ec.derive_private_key(number % (P256_ORDER - 1) + 1, ec.SECP256R1())
