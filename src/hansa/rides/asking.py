"""What if: what a journey nobody has made would cost, why, and what would change it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from uuid import UUID

from hansa import atlas
from hansa.fares import Counters, Fare, Journey, JourneyId, Pricer, Tariff
from hansa.kernel import InvalidInput, Problem
from hansa.rides.entering import entry_minimum
from hansa.rides.looking_back import Look, told
from hansa.rides.model import UnknownTariff
from hansa.rides.store import TariffVersion
from hansa.rides.tariffs import Tariffs
from hansa.store import Tx

SAMPLE = timedelta(minutes=15)
"""How far apart a day is sampled for its fares by hour; where two samples differ, the minute between is found."""

RIDES_TRIED_MAX = 12
"""Rides of one day among which the one is looked for that reaches a cap."""


@dataclass(frozen=True, slots=True)
class WhatIfRide:
    """A ride made before the one that is asked about, that day. ended_at: None is at once. via: as in Question."""

    origin: str
    destination: str
    at: datetime
    ended_at: datetime | None = None
    product: str = ""
    line_id: str | None = None
    medium: str = ""
    via: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A journey to ask about. at: the instant of entry. product: as taps name it; empty is that of the lines there.

    via: stops of readers inside the network that were passed, in order. after: rides made already that day, in order,
    by the same rider.
    """

    operator_id: str
    origin: str
    destination: str
    at: datetime
    rider_class: str = "adult"
    ended_at: datetime | None = None
    product: str = ""
    line_id: str | None = None
    medium: str = ""
    via: tuple[str, ...] = ()
    after: tuple[WhatIfRide, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """The fare of a question, and what it was worked out from.

    product: what was priced. held: why there is no fare, in words; empty where there is one.
    """

    question: Question
    fare: Fare
    tariff: Tariff
    network: atlas.Network
    service_day: date

    @property
    def held(self) -> str:
        return next((one.why("en") for one in self.fare.steps if one.rule == "held"), "")

    @property
    def minimum_balance(self) -> int:
        """What a wallet must hold to enter, in minor units of the tariff; zero where it asks for nothing."""
        return entry_minimum(self.tariff, self.question.rider_class, self.question.medium)


@dataclass(frozen=True, slots=True)
class HourlyFare:
    """A fare that holds for who enters from ``starts_at`` until ``ends_at``. minor: None where there is none."""

    starts_at: datetime
    ends_at: datetime
    minor: int | None


@dataclass(frozen=True, slots=True)
class CapReached:
    """How many such rides in a day reach a cap or a carnet, what they cost then, and what it is called.

    free: whether the next such ride that day costs nothing.
    """

    rides: int
    minor: int
    label: str
    clause: str
    free: bool


@dataclass(frozen=True, slots=True)
class Alternatives:
    """What would change a fare. classes: by the league's classes, in minor units; None where there is no fare."""

    hours: tuple[HourlyFare, ...]
    classes: dict[str, int | None]
    cap: CapReached | None


def ask(tx: Tx, question: Question) -> Answer:
    """The fare of a journey with its steps, or the reason why there is none.

    origin, destination, via: stop ids, or whole names of stops.
    Errors: UnknownTariff; InvalidInput naming the field and what may have been meant.
    """
    tariffs, version, day = _version(tx, question)
    pricer = tariffs.pricer(version, day)
    tariff, network = pricer.tariff, pricer.places
    assert isinstance(network, atlas.Network), "a pricer of the books prices over a city's network"
    question = _known(question, tariff, network)
    return Answer(question, _explained(pricer, question), tariff, network, day)


def alternatives(tx: Tx, answer: Answer) -> Alternatives:
    """The same journey at other hours of its service day and for other classes, and when a cap is reached."""
    tariffs, version, day = _version(tx, answer.question)
    pricer = tariffs.pricer(version, day)
    starts_at, ends_at = tariffs.bounds(version.operator_id, day)
    question = answer.question
    classes = {
        one: _minor(pricer, replace(question, rider_class=one)) for one in answer.tariff.people.verified
    }
    return Alternatives(
        tuple(_hours(pricer, question, starts_at, ends_at)),
        classes,
        _cap_reached(pricer, question, ends_at),
    )


def _explained(pricer: Pricer, question: Question) -> Fare:
    rides = [
        _journey(one, place, one.at, one.ended_at or one.at, question.rider_class)
        for place, one in enumerate(question.after)
    ]
    asked = _journey(question, len(rides), question.at, question.ended_at or question.at)
    return _fares(pricer, [*rides, asked])[-1]


def _fares(pricer: Pricer, rides: Sequence[Journey]) -> list[Fare]:
    """The fares of a day of rides, each told what the tariff asks of it."""
    tariff = pricer.tariff
    return pricer.price_day(told(rides, tariff.operator_id, Look.of(tariff), pricer), Counters())


def _version(tx: Tx, question: Question) -> tuple[Tariffs, TariffVersion, date]:
    tariffs = Tariffs(tx)
    if not tariffs.knows(question.operator_id):
        known = sorted(one.operator_id for one in tariffs.all_latest())
        near = get_close_matches(question.operator_id, known, n=3, cutoff=0.5) or known
        remedy = f"Did you mean {', '.join(near)}?" if near else "No operator has a tariff yet"
        problem = Problem("operator_id", "it has no tariff", remedy)
        raise UnknownTariff(f"{question.operator_id} has no tariff.", problems=(problem,))
    day = tariffs.day_of(question.operator_id, question.at)
    version = tariffs.version_on(question.operator_id, day)
    if version is None:
        problem = Problem("at", f"no tariff is in force on {day}", "Ask for another day; see /v1/tariffs")
        raise UnknownTariff(f"{question.operator_id} has no tariff in force on {day}.", problems=(problem,))
    return tariffs, version, day


def _known(question: Question, tariff: Tariff, network: atlas.Network) -> Question:
    """The question with ids for names and its product named. Errors: InvalidInput for what the tariff does not know."""
    _one_of("rider_class", question.rider_class, tariff.people.verified)
    if question.medium:
        _one_of("medium", question.medium, tariff.media)
    if question.line_id is not None:
        _one_of("line_id", question.line_id, network.lines)
    origin = atlas.get_stop(network, question.origin, where="origin").stop_id
    destination = atlas.get_stop(network, question.destination, where="destination").stop_id
    via = _readers(question.via, tariff, network, where="via")
    after: list[WhatIfRide] = []
    for place, ride in enumerate(question.after):
        for field, stop in (("origin", ride.origin), ("destination", ride.destination)):
            atlas.get_stop(network, stop, where=f"after[{place}].{field}")
        after.append(replace(ride, via=_readers(ride.via, tariff, network, where=f"after[{place}].via")))
        if ride.at > question.at:
            what = "it begins after the journey that is asked about"
            raise InvalidInput(
                "A ride before cannot be later.",
                problems=(Problem(f"after[{place}].at", what, "Name rides made earlier that day"),),
            )
    product = question.product or product_between(network, origin, destination, question.line_id)
    return replace(
        question, origin=origin, destination=destination, product=product, via=via, after=tuple(after)
    )


def _readers(stops: Sequence[str], tariff: Tariff, network: atlas.Network, *, where: str) -> tuple[str, ...]:
    """The stops of readers passed, by id. Errors: InvalidInput where the tariff looks at none."""
    if stops and "via" not in tariff.asks:
        problem = Problem(where, "this tariff does not look at the way that was taken", "Leave it out")
        raise InvalidInput("The tariff does not know this.", problems=(problem,))
    return tuple(
        atlas.get_stop(network, stop, where=f"{where}[{place}]").stop_id for place, stop in enumerate(stops)
    )


def product_between(network: atlas.Network, origin: str, destination: str, line_id: str | None) -> str:
    """What taps on the way would name as product: the mode of the line, or the one mode at both ends; else empty."""
    if line_id is not None:
        return network.lines[line_id].mode
    modes = [{line.mode for line in network.lines_at(stop)} for stop in (origin, destination)]
    common = sorted(modes[0] & modes[1])
    return common[0] if len(common) == 1 else ""


def _one_of(where: str, asked: str, known: Iterable[str]) -> None:
    names = list(known)
    if asked in names:
        return
    near = get_close_matches(asked, names, n=3, cutoff=0.5) or names
    remedy = f"Did you mean {', '.join(near[:12])}?" if near else "Leave it out: this tariff has none"
    raise InvalidInput(
        "The tariff does not know this.", problems=(Problem(where, f"{asked!r} is not known", remedy),)
    )


def _priced(pricer: Pricer, question: Question) -> Fare:
    """The fare of a journey as the first of its day."""
    return _explained(pricer, replace(question, after=()))


def _minor(pricer: Pricer, question: Question) -> int | None:
    fare = _priced(pricer, question)
    return fare.amount_minor if fare.status == "priced" else None


def _hours(
    pricer: Pricer, question: Question, starts_at: datetime, ends_at: datetime
) -> Iterable[HourlyFare]:
    """The service day cut where its fare changes, to the minute."""
    lasts = (question.ended_at - question.at) if question.ended_at else timedelta()

    def at(instant: datetime) -> int | None:
        return _minor(pricer, replace(question, at=instant, ended_at=instant + lasts))

    changes = pricer.changes(starts_at, ends_at, lasts)
    if changes is not None:
        begun, minor = starts_at, at(starts_at)
        for instant in changes:
            there = at(instant)
            if there != minor:
                yield HourlyFare(begun, instant, minor)
                begun, minor = instant, there
        yield HourlyFare(begun, ends_at, minor)
        return
    begun, minor, sample = starts_at, at(starts_at), starts_at
    while sample < ends_at:
        following = min(sample + SAMPLE, ends_at)
        there = at(following) if following < ends_at else minor
        if there != minor:
            low, high = sample, following
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // 2
                middle = middle.replace(second=0, microsecond=0)
                low, high = (middle, high) if at(middle) == minor else (low, middle)
            yield HourlyFare(begun, high, minor)
            begun, minor = high, at(high)
            sample = high
            continue
        sample = following
    yield HourlyFare(begun, ends_at, minor)


def _cap_reached(pricer: Pricer, question: Question, ends_at: datetime) -> CapReached | None:
    """The first of some such rides, one after the other, for which a cap or a carnet takes something off."""
    tariff = pricer.tariff
    if not (tariff.caps or tariff.carnets):
        return None
    asked = _priced(pricer, question)
    if asked.status != "priced" or not asked.amount_minor:
        return None
    fares = _day_of(pricer, question, ends_at)
    spent = 0
    for place, fare in enumerate(fares, 1):
        spent += fare.amount_minor
        for step in fare.steps:
            if step.rule in ("cap", "carnet"):
                label = str(step.facts.get("label") or step.facts.get("name") or "")
                free = place < len(fares) and not fares[place].amount_minor
                return CapReached(place, spent, label, step.clause, free)
    return None


def _day_of(pricer: Pricer, question: Question, ends_at: datetime) -> Sequence[Fare]:
    """So many of the same ride, minutes apart, priced as one day."""
    apart = min(timedelta(minutes=1), (ends_at - question.at) / (RIDES_TRIED_MAX + 1))
    rides = [
        _journey(question, place, question.at + place * apart, question.at + place * apart)
        for place in range(RIDES_TRIED_MAX)
    ]
    return _fares(pricer, rides)


def _journey(
    ride: "Question | WhatIfRide", place: int, started_at: datetime, ended_at: datetime, rider_class: str = ""
) -> Journey:
    """A journey nobody has made. place: which of its day, from 0."""
    journey_id = JourneyId(UUID(int=place + 1))
    return Journey(
        journey_id=journey_id,
        kind="complete",
        product=ride.product,
        rider_class=ride.rider_class if isinstance(ride, Question) else rider_class,
        cti=b"",
        started_at=started_at,
        ended_at=ended_at,
        origin=ride.origin,
        destination=ride.destination,
        line_id=ride.line_id,
        first_tap=journey_id,
        last_tap=journey_id,
        medium=ride.medium,
        via=ride.via,
    )
