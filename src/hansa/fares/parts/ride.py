"""What the parts of a tariff may ask about the ride they price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from hansa.fares.parts.price import Price, Rate
from hansa.fares.wording.held import REASONS, why

if TYPE_CHECKING:
    from hansa.fares.parts.metres import MetresTable

Facts = dict[str, str | int]

ANYWHERE = "*"
"""The zones of a ride that lies inside every cap by zones."""


class Unpriceable(Exception):
    """The tariff has no answer for this journey; it is held, not guessed.

    cause: the name of the reason (``wording.held`` has its words), or the reason itself in English where it has none.
    figures: what the words say of it.
    """

    def __init__(self, cause: str, figures: Mapping[str, str | int] | None = None) -> None:
        told = {"cause": cause, **(figures or {})} if cause in REASONS["en"] else {"why": cause}
        super().__init__(why(told))
        self.facts: Mapping[str, str | int] = {"why": str(self), **told}

    def again(self) -> "Unpriceable":
        """The same, to be raised anew."""
        return Unpriceable(str(self.facts.get("cause", self)), self.facts)


@dataclass(frozen=True, slots=True)
class Found:
    """What a basis says: the rule and its price, the figures that led there, and the zones that are touched."""

    rule: str
    price: Price
    facts: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    zones: str = ""
    clause: str = ""


class Ride(Protocol):
    """A ride as a basis sees it. Every question may raise Unpriceable."""

    @property
    def origin(self) -> str | None: ...
    @property
    def destination(self) -> str | None: ...
    @property
    def line_id(self) -> str | None: ...
    @property
    def via(self) -> tuple[str, ...]: ...

    def ends(self) -> tuple[str, str]:
        """Both stops."""
        ...

    def distance_m(self, measure: str, table: "MetresTable | None" = None) -> int:
        """Metres from stop to stop: over the network, along the line, straight, as given, or by a table."""
        ...

    def zones_of(self, stop: str) -> tuple[str, ...]:
        """The zones of a stop; several on a boundary."""
        ...

    def zones_between(self) -> frozenset[str]:
        """Zones of the stops on the shortest way and of stops where a joined ride changed."""
        ...

    def pays(self, price: Price) -> int:
        """What this rider's column says, before any share."""
        ...

    def rate(self, rate: Rate) -> Fraction:
        """This rider's figure for each kilometre, as a Fraction."""
        ...

    def name_of(self, stop: str) -> str:
        """A stop's name for the explanation."""
        ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where, when and by whom: what conditions look at.

    zones: all that the ride touches; None where it has none. from_zones, to_zones: those of its ends.
    seasons: that hold on the service day of the first tap. via: stops that prove the way.
    times: (day type, wall time) at ``entry``, at ``exit``, and at the ``first`` tap of the trip.
    """

    product: str
    line_id: str | None
    operator_id: str
    origin: str | None
    destination: str | None
    rider_class: str
    medium: str
    band: str
    from_zones: frozenset[str]
    to_zones: frozenset[str]
    zones: frozenset[str] | None
    times: Mapping[str, tuple[str, time]]
    seasons: frozenset[str] = frozenset()
    via: frozenset[str] = frozenset()
