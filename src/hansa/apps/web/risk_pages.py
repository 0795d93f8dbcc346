"""The console's pages of risk: cases with their evidence, a picture of it, and the form that decides them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from hansa import identity, rides, risk
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import reader_of
from hansa.apps.web.console import member_names
from hansa.apps.web.journey_views import ACTIONS, Places
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here
from hansa.kernel import HansaError, hex_id, mark_text, paged, read_mark
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=80)]

CASES_SHOWN = 50
RIDERS_TRIED = 200
OTHERS_SHOWN = 10
JOURNEYS_TRIED = 200

TITLES = {
    "copied_code": "Copied code",
    "copied_at_station": "Copied code within a station",
    "two_phones": "One key in two phones",
    "too_far": "Too far too fast",
    "too_often": "Too many rides at once",
    "too_many_a_day": "Too many rides in a day",
    "entered_twice": "In twice, or out twice",
    "picture": "Picture of a code",
    "revoked_offline": "Lost phone, gate not told",
    "revoked_accepted": "Lost phone, gate told",
    "offline_cap": "Too many rides without network",
    "many_tokens": "Too many tokens",
    "broken_chain": "Broken chain of taps",
}
"""Short titles of the rules that come with Hansa; another rule is called by its name."""

TAKEN = {
    "rotate": "Ended the rider’s tokens; their phones fetch new ones",
    "step_up": "Asked the rider to show who they are before new tokens",
    "block": "Stopped new tokens for this rider",
    "clear": "Took back what this case asked of the rider",
}


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case in a list."""

    case: risk.Case
    title: str
    rider: str
    where: str


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What a rule made of the days shown. share: of its decided cases, those that were false alarms."""

    name: str
    title: str
    does: str
    open: int
    confirmed: int
    dismissed: int
    share: str


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """A tap or a refused code, as the evidence table tells it. journey: there for taps that stand in one."""

    number: int
    at: datetime
    place: str
    city: str
    gate_id: str
    what: str
    accepted: bool
    counter: int
    made_at: datetime
    age: str
    detail: str
    journey: UUID | None


@dataclass(frozen=True, slots=True)
class Dot:
    """A fact on the picture."""

    x: float
    y: float
    accepted: bool
    number: int
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A station on the picture: a line over time."""

    y: float
    name: str


@dataclass(frozen=True, slots=True)
class Tick:
    """An instant on the picture's axis."""

    x: float
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The evidence over time, one lane a station, in the units of an SVG viewBox. steps: from fact to fact."""

    width: int
    height: int
    left: int
    lanes: tuple[Lane, ...]
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    steps: str


@dataclass(frozen=True)
class DecideForm:
    """What the form sends."""

    verdict: str
    reason: str = ""


@get("/console/risk", sync_to_thread=True, include_in_schema=False)
def show_risk(
    request: Asked,
    site: Here,
    q: Text = "",
    rule: Text = "",
    status: Text = "",
    severity: Text = "",
    day: FromQuery[date | None] = None,
    after: Annotated[str, QueryParameter(max_length=100)] = "",
) -> Response[str]:
    """Counts by rule, and cases by what is looked for."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        _, rules = risk.rules_in_force(tx)
        counts = risk.count_cases(tx)
        text, accounts = _looked_for(tx, q.strip())
        found = risk.list_cases(
            tx,
            risk.Asked(
                rule=rule or None,
                status=status or None,
                severity=severity or None,
                day=day,
                text=text,
                accounts=accounts,
                after=read_mark(after),
            ),
            limit=CASES_SHOWN + 1,
        )
        shown, older = paged(found, CASES_SHOWN, lambda one: mark_text(one.last_at, one.case_id))
        names = _riders(tx, shown)
        places = Places(tx)
        lines = [
            CaseLine(case, title_of(case.rule), _rider(case, names), _where(places, case)) for case in shown
        ]
    days = sorted({one.day.date() for one in counts}, reverse=True)
    asked = {"q": q, "rule": rule, "status": status, "severity": severity, "day": str(day or "")}
    return page(
        "console/risk.html",
        here="risk",
        rules=_rule_lines(rules, [one for one in counts if day is None or one.day.date() == day]),
        lines=lines,
        asked=asked,
        day=day,
        days=days,
        names={one.name: title_of(one.name) for one in rules.rules},
        severities=risk.SEVERITIES,
        statuses=risk.STATUSES,
        filtered=any(asked.values()),
        after=after,
        older=older or "",
    )


@get("/console/risk/rules", sync_to_thread=True, include_in_schema=False)
def show_rules(request: Asked, site: Here) -> Response[str]:
    """The rules that judge now, with their figures."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        version, rules = risk.rules_in_force(tx)
    lines = [
        (one, title_of(one.name), [f"{name} = {_said(value)}" for name, value in one.values.items()])
        for one in rules.rules
    ]
    return page("console/risk_rules.html", here="risk", version=version, rules=lines, taken=TAKEN)


@get("/console/risk/{case_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_case(request: Asked, site: Here, case_id: FromPath[UUID]) -> Response[str]:
    """A case: its story, its evidence, what was done, and the form that decides it."""
    return _case_page(site, case_id, by=reader_of(request, site))


@post("/console/risk/{case_id:uuid}/decide", sync_to_thread=True, include_in_schema=False)
def decide_case(
    request: Asked,
    site: Here,
    case_id: FromPath[UUID],
    data: Annotated[DecideForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Take the decision, or show the form again with what is wrong with it."""
    operator = get_operator(request, site)
    verdict = (
        "confirmed" if data.verdict == "confirmed" else "dismissed" if data.verdict == "dismissed" else None
    )
    if verdict is None:
        return _case_page(
            site,
            case_id,
            by=reader_of(request, site),
            fault="Choose what it was.",
            reason=data.reason,
            status_code=422,
        )
    try:
        risk.decide(
            site.ctx,
            risk.LEAGUE_HANDS,
            case_id,
            verdict=verdict,
            by=operator.caller_id,
            reason=data.reason.replace("\0", ""),
        )
    except risk.UnknownCase:
        raise
    except HansaError as error:
        told = error.problems[0].remedy if error.problems else error.detail
        return _case_page(
            site,
            case_id,
            by=reader_of(request, site),
            fault=told,
            reason=data.reason,
            status_code=error.status,
        )
    return Redirect(f"/console/risk/{case_id}", status_code=303)


def _case_page(
    site: Here, case_id: UUID, *, by: str, fault: str = "", reason: str = "", status_code: int = 200
) -> Response[str]:
    with site.ctx.tx() as tx:
        case = risk.get_case(tx, case_id)
        if case.account_id is not None:
            seen = identity.AccountId(case.account_id)
            identity.saw(tx, seen, by, "risk", f"case {case_id}", site.ctx.clock.now())
        rule = risk.rule_of(tx, case)
        names, members = _riders(tx, [case]), member_names(tx)
        places = Places(tx)
        lines = evidence_lines(tx, places, case)
        others = (
            [
                one
                for one in risk.list_cases(
                    tx, risk.Asked(accounts=(case.account_id,)), limit=OTHERS_SHOWN + 1
                )
                if one.case_id != case.case_id
            ]
            if case.account_id
            else []
        )
        waiting = [
            one
            for one in risk.list_cases(tx, risk.Asked(status="open"), limit=2)
            if one.case_id != case.case_id
        ]
    return page(
        "console/risk_case.html",
        status_code=status_code,
        here="risk",
        case=case,
        title=title_of(case.rule),
        words=rule.words if rule else "",
        story=story(case, lines),
        rider=_rider(case, names),
        known=case.account_id in names,
        issuer="" if case.issuer_id is None else members.get(case.issuer_id, case.issuer_id),
        lines=lines,
        picture=timeline(lines),
        figures=[(name, _said(value)) for name, value in case.evidence.figures.items()],
        taken=[(TAKEN.get(one.action, one.action), one) for one in case.taken],
        others=[(one, title_of(one.rule)) for one in others[:OTHERS_SHOWN]],
        next_open=waiting[0] if waiting else None,
        fault=fault,
        reason=reason,
    )


# -- words --------------------------------------------------------------------------------------------------


def title_of(rule: str) -> str:
    """A rule's short title."""
    return TITLES.get(rule, rule.replace("_", " ").capitalize())


def story(case: risk.Case, lines: list[EvidenceLine]) -> str:
    """What happened, in a sentence or two with the figures that matter."""
    figures = case.evidence.figures
    if not lines:
        return f"Gate {figures.get('gate', '')}, at its tap {figures.get('sequence', '')}."
    first, last = lines[0], lines[-1]
    told = f"It began at {first.place} ({first.city}) at {first.at:%H:%M:%S} UTC on {first.at:%-d %b %Y}"
    if len(lines) > 1:
        told += f" and ended at {last.place} ({last.city}) at {last.at:%H:%M:%S}"
    told += "."
    more = {
        "copied_code": "The same code was accepted at {stations} stations, {seconds_between} s apart.",
        "copied_at_station": "The same code was accepted by two gates, {seconds_between} s apart.",
        "two_phones": (
            "The code with counter {later_counter} was made {seconds_back} s before the one with counter {counter}; "
            "one phone only counts up."
        ),
        "too_far": "{metres} m in {seconds} s would be {m_per_s} m/s; nothing here goes faster than {m_per_s_max} m/s.",
        "too_often": "{starts} rides began within {window_s} s; one person takes at most {starts_max}.",
        "too_many_a_day": "{starts} rides began within {window_s} s; one person takes at most {starts_max}.",
        "entered_twice": "Two taps of the same kind ({twice}), {metres} m apart, within {seconds} s.",
        "picture": "It was tried {tries} times at {gates} gates, up to {seconds_old} s after it was made.",
        "revoked_offline": (
            "The phone was on deny list {revoked_in_version}; the gate had list {gate_had_version}, so it could not "
            "know. The last tap came {seconds_after} s after the report."
        ),
        "revoked_accepted": (
            "The phone was on deny list {revoked_in_version} and the gate had list {gate_had_version}: it was told."
        ),
        "offline_cap": "{starts} rides at {gates} gates without network; the issuer answers for {starts_max}.",
        "many_tokens": "{tokens} tokens were in use within {window_s} s; at most {tokens_max} are usual.",
    }.get(case.rule)
    if case.rule == "two_phones" and figures.get("counter") == figures.get("later_counter"):
        more = "Two different codes had counter {counter}, made {seconds_back} s apart; one phone never counts twice."
    if more is None:
        return told
    try:
        return f"{told} {more.format(**{name: _said(value) for name, value in figures.items()})}"
    except KeyError:
        return told


def _said(value: float | str | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, int):
        return f"{value:,}"
    return value if isinstance(value, str) else f"{value:,.1f}"


# -- what the pages are made from ---------------------------------------------------------------------------


def evidence_lines(tx: Tx, places: Places, case: risk.Case) -> list[EvidenceLine]:
    """The evidence in order of time, with names for ids and, for a tap that stands in a journey, its journey."""
    facts: list[risk.Seen | risk.Turned] = [*case.evidence.taps, *case.evidence.refused]
    facts.sort(key=lambda fact: (fact.at, fact.gate_id))
    journeys = _journeys(tx, case)
    lines: list[EvidenceLine] = []
    for number, fact in enumerate(facts, start=1):
        tap = fact if isinstance(fact, risk.Seen) else None
        lines.append(
            EvidenceLine(
                number=number,
                at=fact.at,
                place=_place(places, fact),
                city=places.network(fact.city_id).city.name,
                gate_id=fact.gate_id,
                what=_what(fact),
                accepted=tap is not None,
                counter=fact.counter,
                made_at=fact.made_at,
                age=_age(fact),
                detail=f"deny list {tap.list_version}" if tap is not None else "",
                journey=None if tap is None else journeys.get(tap.tap_id),
            )
        )
    return lines


def _journeys(tx: Tx, case: risk.Case) -> dict[UUID, UUID]:
    """The journey of each tap that stands in one: it is named by its first tap, and ends with its last."""
    taps = case.evidence.taps
    if case.account_id is None or not taps:
        return {}
    begun = rides.find_journeys(tx, [rides.JourneyId(tap.tap_id) for tap in taps])
    found: dict[UUID, UUID] = {journey_id: journey_id for journey_id in begun}
    ends = {(tap.at, tap.station): tap.tap_id for tap in taps if tap.action == "exit"}
    for journey in rides.journeys(tx, case.account_id, limit=JOURNEYS_TRIED) if ends else []:
        tap_id = ends.get((journey.ended_at, journey.destination or ""))
        if tap_id is not None:
            found[tap_id] = journey.journey_id
    return found


WIDTH, LEFT, LANE, TOP, FOOT = 640, 186, 32, 22, 34


def timeline(lines: list[EvidenceLine]) -> Timeline | None:
    """The evidence as a picture: time runs to the right, a lane for each station. None with fewer than two facts."""
    if len(lines) < 2:
        return None
    stations = list(dict.fromkeys((line.place, line.city) for line in lines))
    several = len({city for _, city in stations}) > 1
    heights = {station: TOP + LANE * place for place, station in enumerate(stations)}
    start, end = lines[0].at, lines[-1].at
    span = max((end - start).total_seconds(), 1.0)

    def x_of(at: datetime) -> float:
        return round(LEFT + 14 + (at - start).total_seconds() / span * (WIDTH - LEFT - 28), 1)

    dots = tuple(
        Dot(
            x_of(line.at),
            heights[line.place, line.city],
            line.accepted,
            line.number,
            f"{line.number}: {line.place}, {line.what}, {line.at:%H:%M:%S}, counter {line.counter}",
        )
        for line in lines
    )
    form = "%H:%M:%S" if span < 7200 else "%H:%M"
    parts = (0.0, 0.5, 1.0) if span >= 4 else (0.0, 1.0)
    ticks = tuple(
        Tick(
            round(LEFT + 14 + part * (WIDTH - LEFT - 28), 1),
            (start + (end - start) * part).strftime(form),
            "start" if part == 0 else "end" if part == 1 else "middle",
        )
        for part in parts
    )
    lanes = tuple(
        Lane(heights[station], _short(f"{station[0]}, {station[1]}" if several else station[0]))
        for station in stations
    )
    steps = "M" + "L".join(f"{dot.x} {dot.y}" for dot in dots)
    return Timeline(WIDTH, TOP + LANE * len(stations) + FOOT - LANE // 2, LEFT, lanes, dots, ticks, steps)


def _what(fact: risk.Seen | risk.Turned) -> str:
    if isinstance(fact, risk.Seen):
        return ACTIONS.get(fact.action, fact.action)
    return f"refused: {fact.reason.replace('_', ' ')}"


def _age(fact: risk.Seen | risk.Turned) -> str:
    """How old a code was when it was shown, by the phone's clock and the gate's."""
    seconds = round((fact.at - fact.made_at).total_seconds())
    if not seconds:
        return ""
    return f"{seconds:,} s old" if seconds > 0 else f"{-seconds:,} s ahead"


def _short(name: str) -> str:
    return name if len(name) <= 28 else name[:27] + "…"


def _place(places: Places, fact: risk.Seen | risk.Turned) -> str:
    network = places.network(fact.city_id)
    stop = network.stops.get(fact.station)
    return stop.name if stop is not None else f"vehicle {fact.gate_id.partition('.')[2] or fact.gate_id}"


def _where(places: Places, case: risk.Case) -> str:
    """Cities and the first two stations of a case."""
    facts = sorted((*case.evidence.taps, *case.evidence.refused), key=lambda fact: fact.at)
    if not facts:
        return str(case.evidence.figures.get("gate", ""))
    stations = list(dict.fromkeys(_place(places, fact) for fact in facts))
    cities = list(dict.fromkeys(places.network(fact.city_id).city.name for fact in facts))
    more = f" and {len(stations) - 2} more" if len(stations) > 2 else ""
    return f"{', '.join(stations[:2])}{more} · {' and '.join(cities)}"


def _looked_for(tx: Tx, q: str) -> tuple[str | None, tuple[UUID, ...] | None]:
    """The start of an id, or the accounts of people of that name."""
    plain = q.replace("\0", "")
    if not plain:
        return None, None
    if len(plain) >= 4 and all(letter in "0123456789abcdef-" for letter in plain.lower()):
        return plain.lower(), None
    people = identity.search_accounts(tx, plain, city_id="", limit=RIDERS_TRIED)
    return None, tuple(one.account_id for one in people)


def _riders(tx: Tx, cases: Sequence[risk.Case]) -> dict[UUID | None, str]:
    accounts = [identity.AccountId(case.account_id) for case in cases if case.account_id is not None]
    return {one.account_id: one.name for one in identity.find_accounts(tx, accounts).values()}


def _rider(case: risk.Case, names: dict[UUID | None, str]) -> str:
    if case.account_id is None:
        return str(case.evidence.figures.get("gate", "a gate"))
    return names.get(case.account_id, f"account …{hex_id(case.account_id)}")


def _rule_lines(rules: risk.RuleSet, counts: list[risk.RuleCount]) -> list[RuleLine]:
    opened, confirmed, dismissed = Counter[str](), Counter[str](), Counter[str]()
    for one in counts:
        opened[one.rule] += one.open
        confirmed[one.rule] += one.confirmed
        dismissed[one.rule] += one.dismissed
    does = {
        one.name: ", ".join(word.replace("_", " ") for word in one.does) or "watch" for one in rules.rules
    }
    names = list(dict.fromkeys([*does, *opened]))
    lines: list[RuleLine] = []
    for name in names:
        decided = confirmed[name] + dismissed[name]
        lines.append(
            RuleLine(
                name,
                title_of(name),
                does.get(name, "no longer judges"),
                opened[name],
                confirmed[name],
                dismissed[name],
                f"{dismissed[name] / decided:.0%} of {decided}" if decided else "",
            )
        )
    return lines


ROUTES = [show_risk, show_rules, show_case, decide_case]
