"""Fares for everybody: what a ride costs, when, for whom and why; and the tariff as it was written, line by line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from litestar import Request, Response, get
from litestar.params import FromPath, QueryParameter

from hansa import atlas, rides
from hansa.apps.web.journey_views import (
    PRODUCTS,
    Priced,
    StepView,
    band_of,
    city_name,
    fare_sentence,
    view_clause,
)
from hansa.apps.web.languages import Words, spoken, words_for
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import InvalidInput, Money
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=200)]

TABLE_LINES_MAX = 30
"""Lines of a table beside a tariff that are shown; it is all at its address in the interface."""
MEANT_MAX = 6


@dataclass(frozen=True, slots=True)
class CityChoice:
    """A city whose fares can be asked for. name: with the operator's, where a city has several."""

    operator_id: str
    city_id: str
    name: str
    local_name: str
    tariff: str


@dataclass(frozen=True, slots=True)
class EndChoice:
    """One end of a ride in the form. text: what stands in the field. meant: (words, address) of what may be meant."""

    name: str
    label: str
    text: str
    wrong: str = ""
    meant: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the way on one line. more: stops and length."""

    color: str
    line: str
    origin: str
    destination: str
    more: str


@dataclass(frozen=True, slots=True)
class Option:
    """A fare at other hours or for another class. best: the cheapest. asked: what was asked about."""

    words: str
    fare: Money | None
    best: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True)
class FareView:
    """An answer on the page. way: empty where no line leads there. to_enter: what a wallet must hold, in words."""

    title: str
    why: str
    fare: Money | None
    held: str
    steps: Sequence[StepView]
    way: Sequence[Stage]
    hours: Sequence[Option]
    classes: Sequence[Option]
    cap: str
    to_enter: str
    tariff: str
    tariff_address: str


@get("/fares", sync_to_thread=True, include_in_schema=False)
def show_fares(
    request: Asked,
    site: Here,
    operator_id: Text = "",
    origin: Text = "",
    destination: Text = "",
    at: Text = "",
    rider_class: Text = "adult",
    medium: Text = "",
    product: Text = "",
    via: Text = "",
) -> Response[str]:
    say = words_for(request)
    with site.ctx.tx() as tx:
        cities = _cities(tx, say)
        city = next((one for one in cities if one.operator_id == operator_id), None)
        if city is None:
            return spoken(page("fares.html", here="fares", say=say, cities=cities), say, request)
        network = atlas.get_network(tx, city.city_id)
        form = _Form(request, site, say, network, city)
        form.read(tx, origin, destination, at, rider_class, medium, product, via)
        fare = form.answer(tx)
    answer = page(
        "fares_city.html",
        here="fares",
        say=say,
        city=city,
        form=form,
        stops=sorted(
            (rides.stop_name(network, one.stop_id, say.language), one.name) for one in network.stops.values()
        ),
        fare=fare,
        status_code=422 if form.wrong else 200,
    )
    return spoken(answer, say, request)


@get("/fares/{operator_id:str}/tariff", sync_to_thread=True, include_in_schema=False)
def show_tariff(
    request: Asked,
    site: Here,
    operator_id: FromPath[str],
    valid_from: Annotated[date | None, QueryParameter(name="from")] = None,
    clause: Text = "",
) -> Response[str]:
    say = words_for(request)
    with site.ctx.tx() as tx:
        versions = [one for one in rides.list_tariffs(tx) if one.operator_id == operator_id]
        day = valid_from or site.ctx.clock.now().date()
        tariff = rides.get_tariff(tx, operator_id, day)
        network = atlas.get_network(tx, tariff.city_id)
    marked = {number for number, _ in rides.clause_lines(tariff.source, clause).lines}
    row = rides.table_row(tariff.source, clause)
    answer = page(
        "fares_tariff.html",
        here="fares",
        say=say,
        tariff=tariff,
        city_name=city_name(network.city, say),
        versions=[one.valid_from for one in versions],
        lines=[(n, text, n in marked) for n, text in enumerate(tariff.source.toml.splitlines(), 1)],
        row=row,
        tables=[
            (name, text.splitlines()[:TABLE_LINES_MAX], text.count("\n"))
            for name, text in tariff.source.tables.items()
        ],
        clause=clause,
    )
    return spoken(answer, say, request)


ROUTES = [show_fares, show_tariff]


def fares_address(record: rides.JourneyRecord, zone: str) -> str:
    """The page on which the ride of a journey in the books is asked about once more."""
    asked = {
        "operator_id": record.operator_id,
        "origin": record.origin or "",
        "destination": record.destination or "",
        "at": record.started_at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M"),
        "rider_class": record.rider_class,
        "medium": record.medium,
    }
    return f"/fares?{urlencode({name: text for name, text in asked.items() if text})}"


class _Form:
    """What was asked on the page, as far as it could be read."""

    def __init__(
        self, request: Asked, site: Site, say: Words, network: atlas.Network, city: CityChoice
    ) -> None:
        self.request, self.site, self.say = request, site, say
        self.network, self.city = network, city
        self.ends: list[EndChoice] = []
        self.via: EndChoice | None = None
        self.at, self.at_wrong = "", ""
        self.rider_class, self.medium, self.product = "adult", "", ""
        self.classes: list[tuple[str, str]] = []
        self.media: list[str] = []
        self.products: list[tuple[str, str]] = []
        self.question: rides.Question | None = None
        self.refused = ""

    @property
    def wrong(self) -> bool:
        """Whether something on the form has to be put right."""
        fields = [*self.ends, self.via] if self.via else self.ends
        return bool(self.at_wrong or self.refused or any(one.wrong for one in fields))

    def read(
        self,
        tx: Tx,
        origin: str,
        destination: str,
        at: str,
        rider_class: str,
        medium: str,
        product: str,
        via: str,
    ) -> None:
        say, zone = self.say, ZoneInfo(self.network.city.tz)
        now = self.site.ctx.clock.now()
        when = self._when(at, now, zone)
        self.at = when.astimezone(zone).strftime("%Y-%m-%dT%H:%M")
        found = [self._end("origin", say("From"), origin), self._end("destination", say("To"), destination)]
        self.ends = [end for end, _ in found]
        try:
            tariff = rides.get_tariff(tx, self.city.operator_id, when.astimezone(zone).date())
        except rides.UnknownTariff:
            self.at_wrong = say("No tariff is in force on that day.")
            return
        self.classes = [(one, say(one)) for one in tariff.people.verified]
        self.media = list(tariff.media)
        modes = sorted({line.mode for line in self.network.lines.values()})
        self.products = [(mode, say(PRODUCTS[mode])) for mode in modes] if len(modes) > 1 else []
        self.rider_class = rider_class if rider_class in tariff.people.verified else "adult"
        self.medium = medium if medium in tariff.media else next(iter(tariff.media), "")
        self.product = product if product in dict(self.products) else ""
        ids = [stop_id for _, stop_id in found]
        passed = ""
        if "via" in tariff.asks:
            self.via, passed = self._end("via", say("Past a reader at"), via)
        if all(ids) and not self.at_wrong and not (self.via and self.via.wrong):
            self.question = rides.Question(
                operator_id=self.city.operator_id,
                origin=ids[0],
                destination=ids[1],
                at=when,
                rider_class=self.rider_class,
                product=self.product,
                medium=self.medium,
                via=(passed,) if passed else (),
            )

    def answer(self, tx: Tx) -> FareView | None:
        """The fare, where all of the question is there."""
        if self.question is None:
            return None
        try:
            answer = rides.ask(tx, self.question)
        except InvalidInput as refused:
            self.refused = "; ".join(str(one) for one in refused.problems) or refused.detail
            return None
        return _view_fare(tx, answer, self.say)

    def _when(self, text: str, now: datetime, zone: ZoneInfo) -> datetime:
        """The instant that a local time names, now for none."""
        if not text:
            return now
        try:
            local = datetime.fromisoformat(text)
        except ValueError:
            self.at_wrong = self.say("Write a day and a time: 2026-11-17T08:30")
            return now
        if not 2000 <= local.year < 2200:
            self.at_wrong = self.say("Name a day of the years 2000 to 2199")
            return now
        return (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(UTC)

    def _end(self, name: str, label: str, text: str) -> tuple[EndChoice, str]:
        """A field for a stop, and the stop's id; empty where none or several are meant."""
        text = text.strip()
        if not text:
            return EndChoice(name, label, ""), ""
        try:
            stop = atlas.get_stop(self.network, text, where=name)
        except InvalidInput:
            found = atlas.find_stops(self.network, text, limit=MEANT_MAX)
            kept = {key: value for key, value in self.request.query_params.items() if key != name}
            meant = [
                (
                    f"{rides.stop_name(self.network, one.stop_id, self.say.language)} "
                    f"({', '.join(line.name for line in self.network.lines_at(one.stop_id)[:3])})",
                    f"/fares?{urlencode({**kept, name: one.stop_id})}",
                )
                for one in found
            ]
            words = self.say("Which stop do you mean?") if found else self.say("There is no such stop here.")
            return EndChoice(name, label, text, words, meant), ""
        called = rides.stop_name(self.network, stop.stop_id, self.say.language)
        others = sum(
            called in (one.name, one.local_name) for one in self.network.stops.values() if one is not stop
        )
        return EndChoice(name, label, stop.stop_id if others else called), stop.stop_id


def _cities(tx: Tx, say: Words) -> list[CityChoice]:
    """Every operator with a tariff and a network, by city."""
    latest = {one.operator_id: one for one in rides.list_tariffs(tx)}
    cities = {one.city_id: one for one in atlas.list_cities(tx)}
    of_city: dict[str, int] = {}
    for one in latest.values():
        of_city[one.city_id] = of_city.get(one.city_id, 0) + 1
    return [
        CityChoice(
            one.operator_id,
            one.city_id,
            city_name(cities[one.city_id], say) + (f": {one.name}" if of_city[one.city_id] > 1 else ""),
            cities[one.city_id].local_name,
            one.name,
        )
        for one in sorted(latest.values(), key=lambda one: (one.city_id, one.operator_id))
        if one.city_id in cities
    ]


def _view_fare(tx: Tx, answer: rides.Answer, say: Words) -> FareView:
    question, fare, network = answer.question, answer.fare, answer.network
    origin, destination = (
        rides.stop_name(network, one, say.language) for one in (question.origin, question.destination)
    )
    valid_from = answer.tariff.valid_from.isoformat()
    priced = Priced(question.operator_id, valid_from)
    others = rides.alternatives(tx, answer)
    amount = None if answer.held else Money(fare.amount_minor, fare.currency)
    trip = say("from {origin} to {destination}", origin=origin, destination=destination)
    if amount is None:
        why = say(
            "The tariff has no fare for this: {why}.", why=rides.why_held(fare.steps, network, say.language)
        )
    else:
        why = fare_sentence(amount, question.rider_class, trip, band_of(fare.steps), say)
    return FareView(
        title=f"{origin} → {destination}",
        why=why,
        fare=amount,
        held=rides.why_held(fare.steps, network, say.language),
        steps=[
            StepView(
                rides.with_stop_names(step, network, say.language).said(say.language),
                Money(step.amount, step.currency),
                view_clause(step, priced, answer.tariff.source),
            )
            for step in fare.steps
            if step.rule != "held"
        ],
        way=_way(answer, say),
        hours=_hours(answer, others, say),
        classes=[
            Option(
                say(name),
                None if minor is None else Money(minor, fare.currency),
                asked=name == question.rider_class,
            )
            for name, minor in others.classes.items()
        ],
        cap=_cap(others, fare.currency, say),
        to_enter=say(
            "To enter, a wallet must hold {amount}.",
            amount=Money(answer.minimum_balance, answer.tariff.currency),
        )
        if answer.minimum_balance
        else "",
        tariff=answer.tariff.name,
        tariff_address=f"/fares/{question.operator_id}/tariff?{urlencode({'from': valid_from})}",
    )


def _hours(answer: rides.Answer, others: rides.Alternatives, say: Words) -> list[Option]:
    """The fares of the day by hour, the cheapest marked; none where all hours are the same."""
    if len(others.hours) < 2:
        return []
    zone = ZoneInfo(answer.network.city.tz)
    cheapest = min((one.minor for one in others.hours if one.minor is not None), default=None)
    return [
        Option(
            say(
                "{starts} to {ends}",
                starts=f"{one.starts_at.astimezone(zone):%H:%M}",
                ends=f"{one.ends_at.astimezone(zone):%H:%M}",
            ),
            None if one.minor is None else Money(one.minor, answer.fare.currency),
            best=one.minor is not None and one.minor == cheapest,
            asked=one.starts_at <= answer.question.at < one.ends_at,
        )
        for one in others.hours
    ]


def _cap(others: rides.Alternatives, currency: str, say: Words) -> str:
    if others.cap is None:
        return ""
    paid = Money(others.cap.minor, currency)
    words = say.count(
        others.cap.rides,
        "{n} such ride in a day reaches “{label}”: {paid}.",
        "{n} such rides in a day reach “{label}”: {paid} in all.",
        label=others.cap.label,
        paid=paid,
    )
    return f"{words} {say('The next one is free.')}" if others.cap.free else words


def _way(answer: rides.Answer, say: Words) -> list[Stage]:
    """The shortest way by lines; empty where no line leads there."""
    network, question = answer.network, answer.question
    try:
        stretches = atlas.stretches(network, question.origin, question.destination, question.product)
    except atlas.NotConnected:
        return []
    return [
        Stage(
            network.lines[one.line_id].color,
            network.lines[one.line_id].name,
            rides.stop_name(network, one.origin, say.language),
            rides.stop_name(network, one.destination, say.language),
            say("{km} km", km=f"{one.distance_m / 1000:.1f}"),
        )
        for one in stretches
    ]
