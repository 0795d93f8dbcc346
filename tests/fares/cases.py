"""Helpers for tests of fares: made-up towns, and days of rides written as tables.

A table of days is a text. A line that begins with a word sets the scene; one that begins with a time is a ride:

    place a at=0 zone=1          a stop: metres along the street, fare zone, and lat, lon where they matter
    day 2024-07-08 adult         a rider's day: the date, the class, and month=, residence=, pass=, count= as they stand
    08:00-08:25 metro a>b 12.0km line=7 medium=card = 4.36
    partner 08:00-08:25 ...      a ride with another operator, which is not charged here

What stands after the last equals sign is the charge in major units, or ``held``; what stands after # is for readers.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from hansa.fares import (
    Around,
    Counters,
    Fare,
    HeldPass,
    Journey,
    JourneyId,
    Pricer,
    Tariff,
    TariffSource,
    read_source,
    read_tariff,
)
from hansa.kernel import CURRENCY_EXPONENTS, fact_id

CITIES = Path(__file__).parent / "cities"
TUESDAY = date(2026, 11, 17)


@dataclass(frozen=True)
class Spot:
    """A stop of the made-up town."""

    name: str
    lat: float | None = None
    lon: float | None = None


@dataclass(frozen=True)
class Track:
    """A line: (stop, metres from the one before)."""

    stops: tuple[tuple[str, int], ...]
    loop: bool = False


@dataclass(frozen=True)
class Town:
    """Stops along one street, at so many metres from its start; zones as written, ``1/2`` on a boundary."""

    at_m: dict[str, int]
    zones: dict[str, str] = field(default_factory=dict[str, str])
    spots: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    lines: dict[str, Track] = field(default_factory=dict[str, Track])

    @property
    def stops(self) -> dict[str, Spot]:
        return {stop: Spot(stop.title(), *self.spots.get(stop, (None, None))) for stop in self.at_m}

    def distance_m(self, origin: str, destination: str, /) -> int:
        return abs(self.at_m[origin] - self.at_m[destination])

    def zone_of(self, stop_id: str, /) -> str | None:
        return self.zones.get(stop_id)


HEAD = """format = 1
operator = "town-lines"
city = "town"
name = "Town fares"
currency = "EUR"
valid_from = 2020-01-01
tz = "Europe/Paris"
day_starts = "04:00"
"""
CLASSES = """
[classes.adult]
percent = 100
[classes.child]
percent = 50
[classes.student]
percent = 100
[classes.senior]
percent = 100
"""
END = """
[journey]
max_minutes = 240
[incomplete]
fare = "10.00"
"""
FLAT = """
[basis]
kind = "flat"
fare = "2.00"
"""


def source_of(
    rules: str = "",
    *,
    basis: str = FLAT,
    top: str = "",
    classes: str = CLASSES,
    end: str = END,
    table: str = "",
) -> TariffSource:
    """A whole tariff around some rules."""
    text = "\n".join([HEAD, top, classes, basis, rules, end])
    return TariffSource(text, {"fares.csv": table} if table else {})


def tariff_with(rules: str = "", **parts: str) -> Tariff:
    """A tariff with these rules. Errors: as read_source."""
    return read_source(source_of(rules, **parts))


@dataclass
class Said:
    """A day of a table: who rides, when, and what each ride should cost."""

    title: str
    day: date
    rider_class: str
    journeys: list[Journey] = field(default_factory=list[Journey])
    others: list[Journey] = field(default_factory=list[Journey])
    charges: list[int | None] = field(default_factory=list[int | None])
    month_minor: int = 0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    passes: list[HeldPass] = field(default_factory=list[HeldPass])
    residence: str = ""

    def fares(self, pricer: Pricer) -> list[Fare]:
        around = Around(others=tuple(self.others), passes=tuple(self.passes), residence=self.residence)
        counters = Counters(month_minor=self.month_minor, counts=self.counts)
        return pricer.price_day(self.journeys, counters, around)


def ride(
    tariff: Tariff,
    text: str,
    *,
    day: date = TUESDAY,
    rider_class: str = "adult",
    number: int = 0,
) -> Journey:
    """``08:00-08:25 metro a>b 12.0km line=7`` as a journey; a single time is a boarding."""
    clock, product, *rest = text.split()
    starts, _, ends = clock.partition("-")
    words = dict(word.split("=") for word in rest if "=" in word)
    origin, _, destination = next((word for word in rest if ">" in word), ">").partition(">")
    metres = next((word for word in rest if word[0].isdigit() and word.endswith("m")), None)
    tap = fact_id(_at(tariff, day, starts), "tap", number, text)
    kind = "complete" if ends else "boarding"
    if ends and (origin == "?" or destination == "?"):
        kind = "no_entry" if origin == "?" else "no_exit"
    assert kind in ("complete", "boarding", "no_entry", "no_exit")
    return Journey(
        journey_id=JourneyId(tap),
        kind=kind,
        product=product,
        rider_class=words.get("class", rider_class),
        cti=b"",
        started_at=_at(tariff, day, starts),
        ended_at=_at(tariff, day, ends or starts),
        origin=None if origin in ("", "?") else origin,
        destination=None if destination in ("", "?") else destination,
        line_id=words.get("line"),
        first_tap=tap,
        last_tap=UUID(int=number + 1),
        companion=int(words.get("companion", "0")),
        operator_id=words.get("operator", ""),
        medium=words.get("medium", ""),
        distance_m=None if metres is None else _metres(metres),
    )


def charges(pricer: Pricer, table: str, **scene: str) -> list[int]:
    """What the rides of a table cost, and an assertion that it is what the table says."""
    text = "day 2026-11-17 adult\n" + table if "day " not in table else table
    day = days_of(pricer.tariff, text)[1][0]
    fares = day.fares(pricer)
    assert [shown(fare) for fare in fares] == day.charges, [[s.text for s in fare.steps] for fare in fares]
    return [fare.amount_minor for fare in fares]


def shown(fare: Fare) -> int | None:
    """What is charged; None where it is held."""
    return None if fare.status == "held" else fare.amount_minor


def days_of(tariff: Tariff, text: str) -> tuple[Town, list[Said]]:
    """The town and the days of a table."""
    town, days = Town({}), list[Said]()
    for line in text.splitlines():
        said = line.split("#")[0].strip()
        if not said:
            continue
        word, _, rest = said.partition(" ")
        if word == "place":
            name, *words = rest.split()
            facts = dict(one.split("=") for one in words)
            town.at_m[name] = int(facts.get("at", "0"))
            if "zone" in facts:
                town.zones[name] = facts["zone"]
            if "lat" in facts:
                town.spots[name] = float(facts["lat"]), float(facts["lon"])
        elif word == "day":
            days.append(_day(tariff, rest))
        elif word == "partner":
            days[-1].others.append(ride(tariff, rest, day=days[-1].day, number=len(days[-1].others) + 900))
        else:
            what, _, charge = said.rpartition("=")
            day = days[-1]
            journey = ride(tariff, what, day=day.day, rider_class=day.rider_class, number=len(day.journeys))
            day.journeys.append(journey)
            day.charges.append(None if charge.strip() == "held" else minor(tariff, charge))
    return town, days


def _day(tariff: Tariff, rest: str) -> Said:
    day, rider_class, *words = rest.split()
    said = Said(rest, date.fromisoformat(day), rider_class)
    for word in words:
        key, _, value = word.partition("=")
        if key == "month":
            said.month_minor = minor(tariff, value)
        elif key == "residence":
            said.residence = value
        elif key == "pass":
            said.passes.append(HeldPass(value.replace("_", " "), said.day, said.day))
        else:
            name, _, amount = value.rpartition(":")
            said.counts[name.replace("_", " ")] = int(amount)
    return said


def city(name: str) -> tuple[Tariff, Town, list[Said]]:
    """A city of the tests: its tariff, its places, its days."""
    tariff = read_tariff(CITIES / name)
    town, days = days_of(tariff, (CITIES / name / "days.txt").read_text(encoding="utf-8"))
    return tariff, town, days


def minor(tariff: Tariff, text: str) -> int:
    """``1.25`` in minor units."""
    return int(Decimal(text.strip()) * 10 ** CURRENCY_EXPONENTS[tariff.currency])


def _metres(text: str) -> int:
    return int(Decimal(text[:-2]) * 1000) if text.endswith("km") else int(text[:-1])


def _at(tariff: Tariff, day: date, clock: str) -> datetime:
    hours, minutes = clock.split(":")
    midnight = datetime(day.year, day.month, day.day, tzinfo=tariff.zone_info)
    return (midnight + timedelta(hours=int(hours), minutes=int(minutes))).astimezone(UTC)
