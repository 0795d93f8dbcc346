"""A journey as Fares v2 sees it, and what came of pricing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple

from hansa.kernel import HansaError, Money


class FareUnknown(HansaError):
    """No rule of the feed gives a fare for a leg; the ride is held, and nobody is charged by guess."""

    code: ClassVar[str] = "rides.fare_unknown"
    status: ClassVar[int] = 409


class SeveralCurrencies(HansaError):
    """The feed prices this journey in several currencies; say which one the rider pays in."""

    code: ClassVar[str] = "rides.several_currencies"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Leg:
    """One vehicle from where the rider boards to where the rider alights. Ids are the feed's own.

    departs_at, arrives_at: aware instants of the fare events at the two ends. Source: Term Definitions, Leg;
    fare_leg_rules.txt, from_timeframe_group_id and to_timeframe_group_id.
    """

    route_id: str
    from_stop_id: str
    to_stop_id: str
    departs_at: datetime
    arrives_at: datetime


Journey = Sequence[Leg]
"""All legs in the order of travel, at least one."""


@dataclass(frozen=True, slots=True)
class Rider:
    """Who pays, and with what.

    category: a rider_category_id; None is whoever the feed marks as the default. media: the fare_media_ids the rider
    may use; None is all of them. currency: what the rider pays in, where a feed has several.
    """

    category: str | None = None
    media: frozenset[str] | None = None
    currency: str | None = None


class Step(NamedTuple):
    """One step of a fare. All steps of a fare add up to it.

    rule: join, leg, transfer, or dropped (a fare that a transfer of type 2 takes the place of).
    clause: file and field of the reference. row: file and line in the feed. legs: first and last leg, from 1.
    details: what decided it, as (field, value) pairs; an empty value is an empty field of the rule.
    """

    rule: Literal["join", "leg", "transfer", "dropped"]
    clause: str
    row: str
    amount: Money
    legs: tuple[int, int]
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Priced:
    """What a journey costs, and why. products: the fare products to hold, in the order they are needed."""

    total: Money
    steps: tuple[Step, ...]
    products: tuple[str, ...]
