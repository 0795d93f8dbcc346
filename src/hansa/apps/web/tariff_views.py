"""What the pages of tariffs show: a version or a proposal with its text, its words, its map and its fares."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from urllib.parse import quote
from uuid import UUID

from hansa import atlas, rides
from hansa.apps.web.tariff_pictures import (
    MATRIX_MAX,
    FareMap,
    fare_map,
    level_of,
    shades,
    zone_map,
)
from hansa.fares import LANGUAGES, Fare, FeedBasis, Finding
from hansa.kernel import HansaError, InvalidInput, Money, Problem, service_day
from hansa.store import Tx

LINES_SHOWN = 3_000
ROWS_SHOWN = 50
STATE_TONES = {
    "in_force": "",
    "scheduled": "warm",
    "proposed": "warm",
    "draft": "plain",
    "past": "plain",
    "withdrawn": "plain",
    "superseded": "plain",
}
STATE_WORDS = {
    "in_force": "in force",
    "scheduled": "scheduled",
    "proposed": "waits for a second person",
    "draft": "draft",
    "past": "past",
    "withdrawn": "withdrawn",
    "superseded": "superseded",
}
STEP_WORDS = {
    "checked": "Kept and checked",
    "proposed": "Proposed",
    "approved": "Approved",
    "withdrawn": "Withdrawn",
    "superseded": "Superseded",
    "cancelled": "Taken back before it began",
}


class UnknownVersion(HansaError):
    """There is no such version of this tariff."""

    code = "console.unknown_version"
    status = 404


@dataclass(frozen=True, slots=True)
class Shown:
    """A version or a proposal. ref: how a form names it. proposal: None for a version that was imported.

    tariff: None where the text cannot be read. network: the city's on its first day, or today where it has none then.
    feed: the fares that came with the network, for a tariff that leaves them there.
    """

    ref: str
    link: str
    operator_id: str
    name: str
    state: str
    source: rides.TariffSource
    tariff: rides.Tariff | None
    network: atlas.Network | None
    valid_from: date | None
    valid_to: date | None
    proposal: rides.Proposal | None = None
    feed: atlas.FaresV2 | None = None

    @property
    def tone(self) -> str:
        """The colour of its state's tag."""
        return STATE_TONES.get(self.state, "plain")

    @property
    def words(self) -> str:
        """Its state in words."""
        return STATE_WORDS.get(self.state, self.state)


def version_link(operator_id: str, valid_from: date) -> str:
    """Where a version opens."""
    return f"/console/tariffs/{quote(operator_id, safe='')}/{valid_from}"


def proposal_link(proposal_id: UUID) -> str:
    """Where a proposal opens."""
    return f"/console/tariffs/proposals/{proposal_id}"


def state_of(versions: Sequence[rides.TariffVersion], one: rides.TariffVersion, now: datetime) -> str:
    """A version of the books: past, in force, or scheduled."""
    today = service_day(now, one.tz, one.day_starts)
    if one.valid_from > today:
        return "scheduled"
    followed = any(
        other.operator_id == one.operator_id and one.valid_from < other.valid_from <= today
        for other in versions
    )
    ended = one.valid_to is not None and one.valid_to < today
    return "past" if followed or ended else "in_force"


def last_day_of(versions: Sequence[rides.TariffVersion], one: rides.TariffVersion) -> date | None:
    """The last day a version speaks for, as far as is known by now."""
    later = [
        other.valid_from - timedelta(days=1)
        for other in versions
        if other.operator_id == one.operator_id and other.valid_from > one.valid_from
    ]
    ends = [*later, *([one.valid_to] if one.valid_to else [])]
    return min(ends) if ends else None


def shown_version(tx: Tx, operator_id: str, valid_from: date, now: datetime) -> Shown:
    """Errors: UnknownVersion."""
    versions = rides.list_tariffs(tx)
    for one in versions:
        if (one.operator_id, one.valid_from) == (operator_id, valid_from):
            tariff = rides.get_tariff(tx, operator_id, valid_from)
            network = network_of(tx, one.city_id, valid_from)
            return Shown(
                ref=f"version:{valid_from}",
                link=version_link(operator_id, valid_from),
                operator_id=operator_id,
                name=one.name,
                state=state_of(versions, one, now),
                source=tariff.source,
                tariff=tariff,
                network=network,
                valid_from=valid_from,
                valid_to=last_day_of(versions, one),
                feed=_feed_of(tx, tariff, network),
            )
    raise UnknownVersion(f"{operator_id} has no tariff that begins on {valid_from}.")


def shown_proposal(tx: Tx, proposal_id: UUID, now: datetime) -> Shown:
    """Errors: rides.UnknownProposal."""
    found = rides.get_proposal(tx, proposal_id, now)
    source = rides.proposal_source(tx, proposal_id)
    tariff: rides.Tariff | None = None
    if found.name is not None:
        try:
            tariff = rides.read_source(source)
        except InvalidInput:  # it was read once; what is read today may be stricter
            tariff = None
    network = network_of(tx, found.city_id, found.valid_from)
    return Shown(
        ref=f"proposal:{proposal_id}",
        link=proposal_link(proposal_id),
        operator_id=found.operator_id,
        name=found.name or "A tariff that cannot be read yet",
        state=found.state,
        source=source,
        tariff=tariff,
        network=network,
        valid_from=found.valid_from,
        valid_to=found.valid_to,
        proposal=found,
        feed=_feed_of(tx, tariff, network),
    )


def shown_by_ref(tx: Tx, operator_id: str, ref: str, now: datetime) -> Shown:
    """What a form names: ``version:2026-01-01`` or ``proposal:`` and its id. Errors: as above; UnknownVersion."""
    kind, _, rest = ref.partition(":")
    try:
        if kind == "version":
            return shown_version(tx, operator_id, date.fromisoformat(rest), now)
        if kind == "proposal":
            found = shown_proposal(tx, UUID(rest), now)
            if found.operator_id == operator_id:
                return found
    except ValueError:
        pass
    raise UnknownVersion(f"{operator_id} has no tariff {ref[:60]!r}.")


def network_of(tx: Tx, city_id: str | None, day: date | None) -> atlas.Network | None:
    """The city's network on a day, else its latest, else None."""
    if city_id is None:
        return None
    for wanted in (day, None):
        try:
            return atlas.get_network(tx, city_id, day=wanted)
        except atlas.UnknownCity:
            continue
    return None


def _feed_of(tx: Tx, tariff: rides.Tariff | None, network: atlas.Network | None) -> atlas.FaresV2 | None:
    if tariff is None or network is None or not isinstance(tariff.basis, FeedBasis):
        return None
    return atlas.get_fares_v2(tx, network.city.city_id, version=network.version)


# -- pricers ------------------------------------------------------------------------------------------------

_PRICERS: dict[tuple[bytes, str, int], tuple[atlas.Network, rides.Pricer]] = {}
_LOCK = Lock()


def pricer_of(shown: Shown) -> rides.Pricer | None:
    """A pricer over the network that is shown; the last few are kept."""
    if shown.tariff is None or shown.network is None:
        return None
    network = shown.network
    key = rides.digest_of(shown.source), network.city.city_id, network.version
    with _LOCK:
        found = _PRICERS.get(key)
        if found is None or found[0] is not network:
            if len(_PRICERS) >= 8:
                _PRICERS.clear()
            found = _PRICERS[key] = network, rides.pricer_of(shown.tariff, network, lambda: shown.feed)
        return found[1]


# -- a journey that is tried --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """What a clerk asks: from where, to where, when, and as whom. at: local wall time as the form sends it."""

    origin: str = ""
    destination: str = ""
    at: str = ""
    rider_class: str = "adult"
    product: str = ""
    line: str = ""
    minutes: int = 30
    language: str = "en"


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of the fare with its line in the text. line: None where no clause tells one."""

    text: str
    amount: Money
    clause: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it. fault: why nothing did; held: the tariff has no fare for it."""

    title: str = ""
    steps: tuple[StepLine, ...] = ()
    fare: Money | None = None
    held: bool = False
    fault: str = ""


def asked_at(shown: Shown, text: str, now: datetime) -> datetime:
    """A form's wall time in the tariff's city; 08:30 on its first day, or today in what is in force, if none is given.

    Errors: ValueError.
    """
    assert shown.tariff is not None, "only a tariff that can be read is asked"
    tariff = shown.tariff
    if not text:
        today = service_day(now, tariff.tz, tariff.day_starts)
        day = max(today, tariff.valid_from)
        if tariff.valid_to is not None:
            day = min(day, tariff.valid_to)
        return datetime(day.year, day.month, day.day, 8, 30, tzinfo=tariff.zone_info).astimezone(UTC)
    local = datetime.fromisoformat(text)
    if local.tzinfo is not None or not 2000 <= local.year <= 2200:
        raise ValueError
    return local.replace(tzinfo=tariff.zone_info).astimezone(UTC)


def local_text(shown: Shown, at: datetime) -> str:
    """An instant as a form's field of date and time wants it."""
    assert shown.tariff is not None, "only a tariff that can be read is asked"
    return at.astimezone(shown.tariff.zone_info).strftime("%Y-%m-%dT%H:%M")


def find_stop(network: atlas.Network, text: str) -> str | None:
    """The stop that a clerk means: by id, by name, or by the only name that begins so."""
    wanted = text.strip().casefold()
    if not wanted:
        return None
    if text.strip() in network.stops:
        return text.strip()
    named = [
        stop_id
        for stop_id, stop in network.stops.items()
        if wanted in (stop.name.casefold(), stop.local_name.casefold())
    ]
    if named:
        return min(named)
    begun = [stop_id for stop_id, stop in network.stops.items() if stop.name.casefold().startswith(wanted)]
    return begun[0] if len(begun) == 1 else None


def try_journey(shown: Shown, asked: Question, now: datetime) -> Tried | None:
    """The fare of a journey and its steps; None when nothing is asked."""
    if not (asked.origin or asked.destination):
        return None
    pricer, network = pricer_of(shown), shown.network
    if pricer is None or network is None:
        return Tried(fault="There is no network of this city to try a journey in. Load one first.")
    ends: list[str] = []
    for word, text in (("From", asked.origin), ("To", asked.destination)):
        stop_id = find_stop(network, text)
        if stop_id is None:
            return Tried(
                fault=f"{word}: no stop, or more than one, is called “{text[:60]}”. Choose one of the list."
            )
        ends.append(stop_id)
    try:
        at = asked_at(shown, asked.at, now)
    except ValueError:
        return Tried(fault="When: write a date and a time of day.")
    fare = explain(pricer, ends[0], ends[1], at, asked)
    title = f"{network.stops[ends[0]].name} to {network.stops[ends[1]].name}"
    steps = tuple(
        StepLine(
            step.said(asked.language), Money(step.amount, step.currency), step.clause, line_in(step.clause)
        )
        for step in fare.steps
    )
    return Tried(title, steps, Money(fare.amount_minor, fare.currency), fare.status == "held")


def explain(pricer: rides.Pricer, origin: str, destination: str, at: datetime, asked: Question) -> Fare:
    """The first journey of a day between two stops. Held where there is no fare."""
    return pricer.explain(
        origin,
        destination,
        at,
        asked.rider_class,
        product=asked.product,
        line_id=asked.line or None,
        medium=pricer.tariff.media[0] if pricer.tariff.media else "",
        ended_at=at + timedelta(minutes=asked.minutes),
    )


def line_in(text: str) -> int | None:
    """The line that a clause or a finding names."""
    found = re.search(r"\bline (\d+)", text)
    return int(found[1]) if found else None


# -- fares over the network ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """A fare in the matrix. shade: from 0; -1 where there is none."""

    text: str
    shade: int


@dataclass(frozen=True, slots=True)
class FareGroup:
    """Stops that cost the same from one of them."""

    fare: str
    shade: int
    stops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Over:
    """Fares over a network: the map, and a matrix where the network is small, or groups from one stop."""

    map: FareMap
    names: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[Cell, ...]], ...] = ()
    groups: tuple[FareGroup, ...] = ()
    origin: str = ""


def over_network(shown: Shown, asked: Question, start: str, now: datetime) -> Over | None:
    """The map of zones, or of fares from one stop, and the fares as figures. None without a network."""
    network, pricer = shown.network, pricer_of(shown)
    if network is None:
        return None
    if pricer is None or shown.tariff is None:
        return Over(zone_map(network))
    try:
        at = asked_at(shown, asked.at, now)
    except ValueError:
        at = asked_at(shown, "", now)
    stops = _along_the_lines(network)
    origin = find_stop(network, start) if start else None
    if origin is not None:
        fares = _fares_from(pricer, origin, stops, at, asked)
        drawn = fare_map(network, origin, fares, shown.tariff.currency)
        return Over(
            drawn, groups=_groups(network, fares, shown.tariff.currency), origin=network.stops[origin].name
        )
    drawn = zone_map(network)
    if len(stops) > MATRIX_MAX:
        return Over(drawn)
    every = {one: _fares_from(pricer, one, stops, at, asked) for one in stops}
    edges = shades(amount for fares in every.values() for amount in fares.values())
    rows = tuple(
        (
            network.stops[one].name,
            tuple(
                Cell(
                    Money(every[one][other], shown.tariff.currency).decimal(),
                    level_of(every[one][other], edges),
                )
                if other in every[one]
                else Cell("–", -1)
                for other in stops
            ),
        )
        for one in stops
    )
    return Over(drawn, names=tuple(network.stops[one].name for one in stops), rows=rows)


def _along_the_lines(network: atlas.Network) -> list[str]:
    """The stops in the order in which the lines call at them, then those of no line, by name."""
    called = dict.fromkeys(stop_id for line in network.lines.values() for stop_id, _ in line.stops)
    rest = sorted(set(network.stops) - called.keys(), key=lambda stop_id: network.stops[stop_id].name)
    return [*(stop_id for stop_id in called if stop_id in network.stops), *rest]


def _fares_from(
    pricer: rides.Pricer, origin: str, stops: Sequence[str], at: datetime, asked: Question
) -> dict[str, int]:
    found: dict[str, int] = {}
    for stop in stops:
        fare = explain(pricer, origin, stop, at, asked)
        if fare.status == "priced":
            found[stop] = fare.amount_minor
    return found


def _groups(network: atlas.Network, fares: Mapping[str, int], currency: str) -> tuple[FareGroup, ...]:
    edges = shades(fares.values())
    by_fare: dict[int, list[str]] = {}
    for stop_id, amount in fares.items():
        by_fare.setdefault(amount, []).append(network.stops[stop_id].name)
    return tuple(
        FareGroup(str(Money(amount, currency)), level_of(amount, edges), tuple(names))
        for amount, names in sorted(by_fare.items())
    )


# -- the text -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a file, with what is wrong on it."""

    number: int
    text: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class TableView:
    """A table of the tariff: its head, some rows, and those with something wrong."""

    name: str
    rows: int
    bytes: int
    head: str
    lines: tuple[TextLine, ...]
    more: bool


def text_lines(source: rides.TariffSource, findings: Sequence[Finding]) -> list[TextLine]:
    """The lines of tariff.toml with what was found on each."""
    by_line = _by_line("tariff.toml", findings)
    lines = source.toml.splitlines()[:LINES_SHOWN]
    return [
        TextLine(number, text, tuple(by_line.get(number, ()))) for number, text in enumerate(lines, start=1)
    ]


def table_views(source: rides.TariffSource, findings: Sequence[Finding], looked_for: str) -> list[TableView]:
    """Each table: rows with something wrong, rows that hold what is looked for, or its first ones."""
    found: list[TableView] = []
    wanted = looked_for.strip().casefold()
    for name, text in sorted(source.tables.items()):
        lines = text.splitlines()
        by_line = _by_line(name, findings)
        numbers = [number for number in sorted(by_line) if 1 < number <= len(lines)]
        if wanted:
            numbers += [
                number
                for number, line in enumerate(lines[1:], start=2)
                if wanted in line.casefold() and number not in by_line
            ][: ROWS_SHOWN + 1]
        elif not numbers:
            numbers = list(range(2, min(len(lines), ROWS_SHOWN // 5 + 1) + 1))
        shown = [
            TextLine(number, lines[number - 1][:300], tuple(by_line.get(number, ())))
            for number in numbers[:ROWS_SHOWN]
        ]
        found.append(
            TableView(
                name,
                max(0, len(lines) - 1),
                len(text.encode()),
                lines[0][:300] if lines else "",
                tuple(shown),
                len(numbers) > ROWS_SHOWN,
            )
        )
    return found


def _by_line(name: str, findings: Sequence[Finding]) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    for one in findings:
        line = line_in(one.where)
        if line is not None and one.where.startswith(f"{name} "):
            found.setdefault(line, []).append(one)
    return found


def language_of(text: str) -> str:
    """A language that steps have words in; English for any other."""
    return text if text in LANGUAGES else "en"


def problems_of(error: HansaError) -> tuple[Problem, ...]:
    """What a refusal tells, as lines of a list."""
    return error.problems or (Problem("", error.detail, ""),)
