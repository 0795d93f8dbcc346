"""Conditions: the rides that a rule of the tariff speaks of. What is left out holds for every ride."""

from dataclasses import dataclass, replace
from datetime import time
from functools import cached_property

from hansa.fares.parts.ride import Circumstances
from hansa.fares.tables import DAY_TYPES, Table

TAPS = ("entry", "exit", "first")


@dataclass(frozen=True, slots=True)
class Hours:
    """Wall times of some day types, at one of a ride's taps. starts is in, ends is out."""

    days: frozenset[str]
    starts: time = time(0)
    ends: time = time.max
    tap: str = "entry"

    def hold(self, day_type: str, clock: time) -> bool:
        """Whether a tap at this time is within."""
        if day_type not in self.days or clock < self.starts:
            return False
        return clock < self.ends or self.ends == time.max


@dataclass(frozen=True)
class Condition:
    """All that is named must hold; of the names in one set any will do.

    stops: either end. zones: all zones that are touched lie among these. seasons: of the service day of its first tap.
    via: a reader at one of these proves the way.
    unless: rides that this one speaks of are left out.
    """

    products: frozenset[str] = frozenset()
    lines: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    stops: frozenset[str] = frozenset()
    from_stops: frozenset[str] = frozenset()
    to_stops: frozenset[str] = frozenset()
    from_zones: frozenset[str] = frozenset()
    to_zones: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    media: frozenset[str] = frozenset()
    bands: frozenset[str] = frozenset()
    seasons: frozenset[str] = frozenset()
    via: frozenset[str] = frozenset()
    hours: Hours | None = None
    unless: "Condition | None" = None

    @cached_property
    def always(self) -> bool:
        """Whether nothing is asked."""
        return self == Condition()

    def holds(self, ride: Circumstances, *, places_only: bool = False) -> bool:
        """Whether the rule speaks of this ride. places_only: leave hours and bands aside."""
        if self.always:
            return True
        if not (
            (not self.products or ride.product in self.products)
            and (not self.lines or ride.line_id in self.lines)
            and (not self.operators or ride.operator_id in self.operators)
            and (not self.stops or ride.origin in self.stops or ride.destination in self.stops)
            and (not self.from_stops or ride.origin in self.from_stops)
            and (not self.to_stops or ride.destination in self.to_stops)
            and (not self.from_zones or not self.from_zones.isdisjoint(ride.from_zones))
            and (not self.to_zones or not self.to_zones.isdisjoint(ride.to_zones))
            and (not self.zones or (ride.zones is not None and ride.zones <= self.zones))
            and (not self.classes or ride.rider_class in self.classes)
            and (not self.media or ride.medium in self.media)
            and (not self.seasons or not self.seasons.isdisjoint(ride.seasons))
            and (not self.via or not self.via.isdisjoint(ride.via))
        ):
            return False
        left_out = self.unless is not None and not (places_only and self.unless.timed)
        if left_out and self.unless is not None and self.unless.holds(ride):
            return False
        if places_only:
            return True
        if self.bands and ride.band not in self.bands:
            return False
        if self.hours is None:
            return True
        at = ride.times.get(self.hours.tap)
        return at is not None and self.hours.hold(*at)

    def meets(self, other: "Condition") -> bool:
        """Whether some ride could be one of both, as far as the names of each set tell."""
        for name in _SETS:
            mine: frozenset[str] = getattr(self, name)
            theirs: frozenset[str] = getattr(other, name)
            if mine and theirs and mine.isdisjoint(theirs):
                return False
        return not any(
            one.unless is not None and one.unless.covers(two) for one, two in ((self, other), (other, self))
        )

    @property
    def timed(self) -> bool:
        """Whether it hangs on the time of day."""
        return bool(self.bands or self.hours is not None)

    @property
    def parts(self) -> tuple["Condition", ...]:
        """Itself, and what it leaves out."""
        return (self,) if self.unless is None else (self, self.unless)

    @cached_property
    def but_zones(self) -> "Condition":
        """The same, wherever it goes."""
        return replace(self, zones=frozenset()) if self.zones else self

    def covers(self, other: "Condition") -> bool:
        """Whether every ride the other speaks of is one of these, as far as the names tell."""
        for name in (*_SETS, "via"):
            mine: frozenset[str] = getattr(self, name)
            theirs: frozenset[str] = getattr(other, name)
            if mine and not (theirs and theirs <= mine):
                return False
        if self.unless is not None and self.unless != other.unless:
            return False
        return self.hours is None or self.hours == other.hours


_SETS = (
    "products",
    "lines",
    "operators",
    "stops",
    "from_stops",
    "to_stops",
    "from_zones",
    "to_zones",
    "zones",
    "classes",
    "media",
    "bands",
    "seasons",
)
"""Of a ride's zones and ways there may be several: so two sets apart of ``via`` may hold for one ride."""


def read_condition(item: Table, *, leave: frozenset[str] = frozenset()) -> Condition:
    """The condition that stands among a table's fields. leave: fields that mean something else in this table."""

    def words(key: str) -> frozenset[str]:
        return frozenset() if key in leave else frozenset(item.words(key))

    def texts(key: str) -> frozenset[str]:
        return frozenset() if key in leave else frozenset(item.texts(key, required=False))

    def names(key: str, known: tuple[str, ...], kind: str) -> frozenset[str]:
        return frozenset() if key in leave else item.names(key, known, kind)

    reading = item.reading
    return Condition(
        products=words("products"),
        lines=words("lines"),
        operators=words("operators"),
        stops=words("stops"),
        from_stops=words("from_stops"),
        to_stops=words("to_stops"),
        from_zones=texts("from_zones"),
        to_zones=texts("to_zones"),
        zones=texts("zones"),
        classes=names("classes", reading.classes, "rider class"),
        media=names("media", reading.media, "medium"),
        bands=names("bands", tuple(sorted(reading.bands)), "time band"),
        seasons=names("seasons", tuple(reading.seasons), "season"),
        via=words("via"),
        hours=_hours(item, leave),
        unless=_unless(item, leave),
    )


def _unless(item: Table, leave: frozenset[str]) -> Condition | None:
    if "unless" in leave or "unless" not in item:
        return None
    inner = item.table("unless")
    condition = read_condition(inner, leave=(leave & {"bands", "classes"}) | {"unless"})
    if inner.present and condition.always:
        inner.wrong("", "leaves out every ride", "Say which rides it is not for, or leave it out")
    inner.done()
    return condition


def _hours(item: Table, leave: frozenset[str]) -> Hours | None:
    if "days" in leave:
        return None
    timed = "from" in item and "from" not in leave
    told = "days" in item or timed
    for key in ("to", "tap"):
        if key in item and not (timed or (told and key == "tap")):
            item.wrong(key, "stands without from", "Write from and to, or leave it out")
    if not told:
        return None
    days = item.day_types("days", required=False) or frozenset(DAY_TYPES)
    starts, ends = time(0), time.max
    if timed:
        starts, ends = item.clock("from"), item.clock("to")
        if starts >= ends:
            item.wrong("to", "is not after from", "Split it at midnight into two")
    return Hours(days, starts, ends, item.choice("tap", TAPS, required=False, default="entry"))
