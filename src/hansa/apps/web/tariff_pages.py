"""The console's tariff desk: versions and proposals in words, a journey tried, two compared, two persons who decide."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.response import Redirect

from hansa import atlas, rides, trust
from hansa.apps.web import tariff_views as views
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.journey_views import PRODUCTS
from hansa.apps.web.pages import page
from hansa.apps.web.recovery_desk import own_members
from hansa.apps.web.site import Here, Site
from hansa.apps.web.tariff_forms import (
    FILE_BYTES_MAX,
    SKELETON,
    amounts_of,
    raised,
    read_files,
    with_amounts,
    with_first_day,
)
from hansa.apps.web.tariff_pictures import Timeline, change_words, columns, histogram, timeline
from hansa.apps.web.tariff_views import Question, Shown, proposal_link, version_link
from hansa.apps.web.tariff_words import tariff_in_words
from hansa.fares import TariffSource, check_dates
from hansa.kernel import HansaError, InvalidInput, Problem, fact_id, new_id, service_day
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=200)]
Ref = Annotated[str, QueryParameter(max_length=80)]

COMPARE_WAIT_S, TABLE_WAIT_S = 1.0, 120.0
"""How long a page with a comparison, and a table of it, wait for its end."""

AT_ONCE_MAX = 10_000
"""Journeys that are compared while the page is asked for; more are compared beside it, and the page tells how far."""

BODY_MAX = FILE_BYTES_MAX + 2 * 1024 * 1024
PROPOSALS_SHOWN = 200
STOPS_OFFERED = 700
"""Stops in the list that a field of a form offers; of larger networks a clerk types the name."""


@dataclass(frozen=True, slots=True)
class Line:
    """A version or a proposal in the list."""

    name: str
    state: str
    tone: str
    words: str
    valid_from: date | None
    valid_to: date | None
    by: str
    link: str
    errors: int


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator with all that is known of its tariffs. in_force: how forms name what holds now."""

    operator_id: str
    name: str
    city: str
    lines: tuple[Line, ...]
    picture: Timeline | None
    in_force: str
    newest: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class DecideForm:
    """What the form of a decision sends. days_again: how many days it was told would be rated again."""

    what: str = ""
    why: str = ""
    days_again: str = ""
    agreed: str = ""


@get("/console/tariffs", sync_to_thread=True, include_in_schema=False)
def show_tariffs(request: Asked, site: Here) -> Response[str]:
    """Every operator with its versions on a timeline."""
    get_operator(request, site)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        found = _operators(tx, now)
        networks = {city.city_id: city.name for city in atlas.list_cities(tx)}
    return page(
        "console/tariffs.html",
        here="tariffs",
        operators=[one for one in found if one.lines],
        without=[one for one in found if not one.lines],
        waiting=sum(line.state == "proposed" for one in found for line in one.lines),
        cities=networks,
        **_clerk_words(request, site),
    )


# -- one tariff ---------------------------------------------------------------------------------------------


@get("/console/tariffs/{operator_id:str}/{valid_from:date}", sync_to_thread=True, include_in_schema=False)
def show_version(
    request: Asked,
    site: Here,
    operator_id: FromPath[str],
    valid_from: FromPath[date],
    origin: Text = "",
    destination: Text = "",
    at: Text = "",
    rider_class: Text = "adult",
    product: Text = "",
    line: Text = "",
    minutes: FromQuery[int] = 30,
    language: Text = "en",
    start: Text = "",
    rows: Text = "",
) -> Response[str]:
    """A version of the books."""
    get_operator(request, site)
    asked = _question(origin, destination, at, rider_class, product, line, minutes, language)
    with site.ctx.tx() as tx:
        shown = views.shown_version(tx, operator_id, valid_from, site.ctx.clock.now())
        told = _told(tx, site, shown, asked, start, rows)
    return page("console/tariff.html", **told, **_clerk_words(request, site))


@get("/console/tariffs/proposals/{proposal_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_proposal(
    request: Asked,
    site: Here,
    proposal_id: FromPath[UUID],
    origin: Text = "",
    destination: Text = "",
    at: Text = "",
    rider_class: Text = "adult",
    product: Text = "",
    line: Text = "",
    minutes: FromQuery[int] = 30,
    language: Text = "en",
    start: Text = "",
    rows: Text = "",
) -> Response[str]:
    """A proposal: what is wrong with it, what it says, and what can be done with it."""
    own = own_members(request, site)
    asked = _question(origin, destination, at, rider_class, product, line, minutes, language)
    with site.ctx.tx() as tx:
        shown = views.shown_proposal(tx, proposal_id, site.ctx.clock.now())
        _refuse_others(own, shown)
        told = _told(tx, site, shown, asked, start, rows)
    return page("console/tariff.html", **told, **_clerk_words(request, site))


@get("/console/tariffs/files/{name:str}", sync_to_thread=True, include_in_schema=False)
def give_file(request: Asked, site: Here, name: FromPath[str], operator: Ref, ref: Ref) -> Response[str]:
    """The text of a tariff, or one of its tables, to keep."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        shown = views.shown_by_ref(tx, operator, ref, site.ctx.clock.now())
    text = shown.source.toml if name == "tariff.toml" else shown.source.tables.get(name)
    if text is None:
        raise views.UnknownVersion(f"This tariff has no file {name[:60]!r}.")
    return Response(
        text,
        media_type="text/csv; charset=utf-8" if name.endswith(".csv") else "application/toml",
        headers={"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"},
    )


# -- writing one --------------------------------------------------------------------------------------------


@get("/console/tariffs/new", sync_to_thread=True, include_in_schema=False)
def show_form(request: Asked, site: Here, operator: Ref = "", base: Ref = "") -> Response[str]:
    """The forms in which a tariff is written: amounts, files, or the text itself; first, whose."""
    get_operator(request, site)
    if not operator:
        return _choice_page(request, site, "new")
    return _form_page(request, site, operator, base)


@post(
    "/console/tariffs/new",
    sync_to_thread=True,
    include_in_schema=False,
    request_max_body_size=BODY_MAX,
)
def write_tariff(
    request: Asked,
    site: Here,
    data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)],
) -> Response[Any]:
    """Keep what the form sends as a draft, or show the form again with what is wrong with it."""
    by = clerk_of(request, site)
    operator, base_ref = _field(data, "operator"), _field(data, "base")
    toml = _field(data, "toml").replace("\r\n", "\n")
    try:
        with site.ctx.tx() as tx:
            now = site.ctx.clock.now()
            base = views.shown_by_ref(tx, operator, base_ref, now) if base_ref else None
            source = _written(data, toml, None if base is None else base.source)
            open_one = base is not None and base.proposal is not None and base.state in ("draft", "proposed")
            note = _said(_field(data, "note"), "note", "Say what changes and why; whoever approves reads it")
            nonce = _field(data, "nonce")[:80]
            told = rides.propose_tariff(
                tx,
                fact_id(None, "tariff written", nonce, operator, rides.digest_of(source).hex(), note, by),
                operator_id=operator,
                source=source,
                by=by,
                at=now,
                note=note,
                replaces=base.proposal.proposal_id
                if base is not None and base.proposal and open_one
                else None,
                submit=False,
            )
    except (trust.UnknownMember, views.UnknownVersion, rides.UnknownProposal):
        raise
    except HansaError as error:
        return _form_page(
            request,
            site,
            operator,
            base_ref,
            problems=views.problems_of(error),
            toml=toml or None,
            way=_field(data, "way"),
            note=_field(data, "note")[:500],
            status_code=error.status,
        )
    return Redirect(proposal_link(told.proposal_id), status_code=303)


def _written(data: dict[str, Any], toml: str, base: TariffSource | None) -> TariffSource:
    """The text and tables that a form sends, by which of its ways was taken. Errors: InvalidInput."""
    tables = {} if base is None else dict(base.tables)
    for name in tables:
        if (edited := data.get(f"table:{name}")) is not None and isinstance(edited, str):
            tables[name] = edited.replace("\r\n", "\n")
    way = _field(data, "way")
    if way == "files":
        return read_files(_uploads(data), base)
    if way == "amounts" and base is not None:
        return TariffSource(_with_figures(data, base.toml), tables)
    if way == "day" and base is not None:
        return TariffSource(with_first_day(base.toml, _day_of(data)), tables)
    return TariffSource(toml, tables)


def _with_figures(data: dict[str, Any], toml: str) -> str:
    wanted: dict[tuple[int, int], str] = {}
    if percent := _field(data, "percent"):
        try:
            wanted = raised(toml, Decimal(percent.replace(",", ".").rstrip("% ")))
        except (InvalidOperation, ValueError) as error:
            problem = Problem("percent", f"{percent[:40]!r} is no number", "Write it like 2.5, or -10")
            raise InvalidInput("The amounts cannot be raised.", problems=(problem,)) from error
    else:
        for name, value in data.items():
            parts = name.split("-")
            if parts[0] == "amount" and len(parts) == 3 and all(one.isdigit() for one in parts[1:]):
                wanted[int(parts[1]), int(parts[2])] = str(value).strip().replace(",", ".")
    return with_first_day(with_amounts(toml, wanted), _day_of(data))


def _day_of(data: dict[str, Any]) -> date:
    try:
        day = date.fromisoformat(_field(data, "first_day"))
    except ValueError as error:
        problem = Problem("first_day", "is no date", "Choose the day on which it begins")
        raise InvalidInput("The first day cannot be read.", problems=(problem,)) from error
    if not 2000 <= day.year <= 2200:
        problem = Problem("first_day", f"is {day}", "Choose a day from 2000 to 2200")
        raise InvalidInput("The first day is out of range.", problems=(problem,))
    return day


def _uploads(data: dict[str, Any]) -> list[tuple[str, bytes]]:
    sent = data.get("files")
    files: list[Any] = sent if isinstance(sent, list) else [sent]
    return [(one.filename, one.file.read()) for one in files if isinstance(one, UploadFile)]


def _said(text: str, where: str, remedy: str) -> str:
    """A reason, as it is kept. Errors: InvalidInput where none is given."""
    said = " ".join(text.split())[:500]
    if not said:
        raise InvalidInput(
            "A tariff is decided for a reason.", problems=(Problem(where, "is missing", remedy),)
        )
    return said


def _field(data: dict[str, Any], name: str) -> str:
    value = data.get(name, "")
    return value.replace("\0", "") if isinstance(value, str) else ""


def _form_page(
    request: Asked,
    site: Site,
    operator: str,
    base_ref: str,
    *,
    problems: Sequence[Problem] = (),
    toml: str | None = None,
    way: str = "",
    note: str = "",
    status_code: int = 200,
) -> Response[str]:
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        member = trust.get_member(tx, operator)
        base = views.shown_by_ref(tx, operator, base_ref, now) if base_ref else None
        text = toml if toml is not None else base.source.toml if base else _skeleton(tx, member, now)
        findings = base.proposal.findings if base is not None and base.proposal is not None else ()
    marked = [one for one in findings if toml is None or text == (base.source.toml if base else "")]
    source = TariffSource(text, base.source.tables if base else {})
    editable = base is not None and base.tariff is not None
    return page(
        "console/tariff_new.html",
        status_code=status_code,
        here="tariffs",
        member=member,
        base=base,
        text=text,
        amounts=amounts_of(base.source.toml) if base is not None and editable else [],
        first_day=_next_day(base, now) if base is not None and editable else None,
        lines=[one for one in views.text_lines(source, marked) if one.findings],
        findings=marked,
        tables=views.table_views(source, marked, ""),
        small={name: table for name, table in source.tables.items() if len(table) <= 60_000},
        problems=problems,
        way=way or ("amounts" if editable else "text"),
        note_text=note,
        nonce=str(new_id()),
        **_clerk_words(request, site),
    )


def _choice_page(request: Asked, site: Site, what: str) -> Response[str]:
    """Whose tariff: the operators that the reader may choose from."""
    own = own_members(request, site)
    with site.ctx.tx() as tx:
        versions = rides.list_tariffs(tx)
        cities = {city.city_id: city.name for city in atlas.list_cities(tx)}
        found = [one for one in trust.list_members(tx) if one.role == "operator" and one.member_id in own]
    counts = {one.member_id: sum(v.operator_id == one.member_id for v in versions) for one in found}
    offered = [one for one in found if what == "new" or counts[one.member_id]]
    return page(
        "console/tariff_choose.html",
        here="tariffs",
        what=what,
        operators=sorted(offered, key=lambda one: one.name),
        counts=counts,
        cities=cities,
        **_clerk_words(request, site),
    )


def _next_day(base: Shown, now: datetime) -> date:
    """The first day a form offers: that of an open proposal, else the first of the month after next week."""
    assert base.tariff is not None, "only a tariff that can be read has amounts to change"
    today = service_day(now, base.tariff.tz, base.tariff.day_starts)
    if base.proposal is not None and base.state in ("draft", "proposed") and base.tariff.valid_from > today:
        return base.tariff.valid_from
    soon = today + timedelta(days=7)
    return date(soon.year + soon.month // 12, soon.month % 12 + 1, 1)


def _skeleton(tx: Tx, member: trust.Member, now: datetime) -> str:
    cities = {city.city_id: city for city in atlas.list_cities(tx)}
    city = cities.get(member.city_id or "")
    return SKELETON.format(
        operator=member.member_id,
        city=city.city_id if city else "city",
        currency=city.currency if city else "EUR",
        tz=city.tz if city else "UTC",
        valid_from=now.date() + timedelta(days=30),
    )


# -- deciding -----------------------------------------------------------------------------------------------


@get("/console/tariffs/proposals/{proposal_id:uuid}/decide", sync_to_thread=True, include_in_schema=False)
def show_decision(request: Asked, site: Here, proposal_id: FromPath[UUID], what: Text) -> Response[str]:
    """What will happen, before it does."""
    get_operator(request, site)
    return _decision_page(request, site, proposal_id, what)


@post("/console/tariffs/proposals/{proposal_id:uuid}/decide", sync_to_thread=True, include_in_schema=False)
def decide(
    request: Asked,
    site: Here,
    proposal_id: FromPath[UUID],
    data: Annotated[DecideForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Propose, approve or withdraw, or show the question again with what stands in the way."""
    by, now = clerk_of(request, site), site.ctx.clock.now()
    why = data.why.replace("\0", "")[:500]
    own = own_members(request, site)
    try:
        _said(why, "why", "Say why, in a few words")
        with site.ctx.tx() as tx:
            _refuse_others(own, views.shown_proposal(tx, proposal_id, now))
            if data.what == "propose":
                rides.submit_tariff(tx, proposal_id, by=by, at=now, why=why)
            elif data.what == "approve":
                again = int(data.days_again) if data.agreed and data.days_again.isdigit() else None
                rides.approve_tariff(tx, proposal_id, by=by, at=now, why=why, days_again=again)
            elif data.what == "withdraw":
                rides.withdraw_tariff(tx, proposal_id, by=by, at=now, why=why)
    except rides.UnknownProposal:
        raise
    except HansaError as error:
        return _decision_page(
            request, site, proposal_id, data.what, why=why, error=error, status_code=error.status
        )
    return Redirect(proposal_link(proposal_id), status_code=303)


def _decision_page(
    request: Asked,
    site: Site,
    proposal_id: UUID,
    what: str,
    *,
    why: str = "",
    error: HansaError | None = None,
    status_code: int = 200,
) -> Response[str]:
    now, own = site.ctx.clock.now(), own_members(request, site)
    what = what if what in ("propose", "approve", "withdraw") else "approve"
    with site.ctx.tx() as tx:
        shown = views.shown_proposal(tx, proposal_id, now)
        _refuse_others(own, shown)
        again = rides.DaysAgain(0, 0, 0)
        begun = False
        if shown.tariff is not None:
            again = rides.days_to_rate_again(tx, shown.tariff, now)
            begun = shown.tariff.valid_from <= service_day(now, shown.tariff.tz, shown.tariff.day_starts)
        before = _in_force(tx, shown, now)
        rivals = [
            one
            for one in rides.list_proposals(tx, now, operator_id=shown.operator_id, limit=PROPOSALS_SHOWN)
            if one.valid_from == shown.valid_from
            and one.proposal_id != proposal_id
            and one.state in ("draft", "proposed")
        ]
    by = clerk_of(request, site)
    proposal = shown.proposal
    same = proposal is not None and any(
        trust.is_same_person(by, one) for one in (proposal.made_by, proposal.by("proposed"))
    )
    return page(
        "console/tariff_decide.html",
        status_code=status_code,
        here="tariffs",
        what=what,
        shown=shown,
        before=before,
        again=again,
        begun=begun,
        rivals=[(one, proposal_link(one.proposal_id)) for one in rivals],
        same=same,
        why=why,
        problems=[] if error is None else views.problems_of(error),
        fault="" if error is None else error.detail,
        **_clerk_words(request, site),
    )


def _refuse_others(own: frozenset[str], shown: Shown) -> None:
    """Go on only with a proposal of one's own operators; for the league's staff all are. Errors: UnknownProposal."""
    if shown.operator_id not in own:
        raise rides.UnknownProposal("There is no such proposal.")


def _in_force(tx: Tx, shown: Shown, now: datetime) -> Shown | None:
    """What a proposal would follow: the version that holds on the day before its first one."""
    if shown.valid_from is None:
        return None
    versions = [one for one in rides.list_tariffs(tx) if one.operator_id == shown.operator_id]
    earlier = [one for one in versions if one.valid_from < shown.valid_from]
    if not earlier:
        return None
    return views.shown_version(tx, shown.operator_id, earlier[-1].valid_from, now)


# -- comparing ----------------------------------------------------------------------------------------------


@get("/console/tariffs/compare", sync_to_thread=True, include_in_schema=False)
def show_comparison(
    request: Asked,
    site: Here,
    operator: Ref = "",
    before: Ref = "",
    after: Ref = "",
    first: FromQuery[date | None] = None,
    last: FromQuery[date | None] = None,
    form: Text = "",
) -> Response[str]:
    """Two tariffs over past journeys: first whose, then the question, and once it is asked, what came of it."""
    get_operator(request, site)
    if not operator:
        return _choice_page(request, site, "compare")
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        member = trust.get_member(tx, operator)
        choices = _choices(tx, operator, now)
        latest = rides.latest_day_ridden(tx, operator)
        refs = [ref for ref, _ in choices]
        asked = bool(before and after and first)
        if not before:
            before = next((ref for ref, name in choices if "in force" in name), refs[-1] if refs else "")
        if not after:
            after = next((ref for ref in refs if ref != before), before)
        first = first or latest
        last = last or first
        fault: HansaError | None = None
        sides: list[rides.Tariff] = []
        try:
            sides = [_side(tx, operator, ref, now) for ref in (before, after)] if asked else []
        except HansaError as error:
            fault = error
    found: rides.Comparison | None = None
    progress: rides.ComparisonProgress | None = None
    names: dict[str, str] = {}
    if sides and first is not None and last is not None:
        try:
            wait_s = TABLE_WAIT_S if form == "csv" else COMPARE_WAIT_S
            outcome = _compared(site, sides[0], sides[1], first, last, wait_s)
            if isinstance(outcome, rides.Comparison):
                found = outcome
                with site.ctx.tx() as tx:
                    names = _place_names(tx, found.city_id)
            else:
                progress = outcome
        except HansaError as error:
            fault = error
    if form == "csv" and found is not None:
        return Response(
            rides.comparison_csv(found),
            media_type="text/csv; charset=utf-8",
            headers={
                "content-disposition": f'attachment; filename="{operator}-{first}-{last}.csv"',
                "cache-control": "no-store",
            },
        )
    return page(
        "console/tariff_compare.html",
        status_code=200 if fault is None else fault.status,
        here="tariffs",
        member=member,
        choices=choices,
        before=before,
        after=after,
        first=first,
        last=last,
        latest=latest,
        found=found,
        progress=progress,
        names=names,
        hours=None if found is None else columns(found.by_hour, found.currency),
        riders=None if found is None else histogram(found.bins, found.currency),
        change_words=change_words,
        products=PRODUCTS,
        problems=[] if fault is None else views.problems_of(fault),
        fault="" if fault is None else fault.detail,
        query=request.scope["query_string"].decode("latin-1"),
        **_clerk_words(request, site),
    )


def _compared(
    site: Site, before: rides.Tariff, after: rides.Tariff, first: date, last: date, wait_s: float
) -> rides.Comparison | rides.ComparisonProgress:
    """Both over the journeys of these days, or how far that is. Errors: those of ``compare_tariffs``."""
    with site.ctx.tx() as tx:
        if rides.count_journeys(tx, before.operator_id, first, last) <= AT_ONCE_MAX:
            return rides.compare_tariffs(tx, before, after, first_day=first, last_day=last)

    def work(told: Callable[[int, int], None]) -> rides.Comparison:
        with site.ctx.tx() as tx:
            return rides.compare_tariffs(tx, before, after, first_day=first, last_day=last, told=told)

    question = (site.ctx.url, rides.digest_of(before.source), rides.digest_of(after.source), first, last)
    return _RUNS.ask(question, work, wait_s=wait_s)


_RUNS = rides.ComparisonRuns()


def _side(tx: Tx, operator: str, ref: str, now: datetime) -> rides.Tariff:
    shown = views.shown_by_ref(tx, operator, ref, now)
    if shown.tariff is None:
        problem = Problem("tariff.toml", "has errors that keep it from being read", "Mend it first")
        raise InvalidInput(f"{shown.name} cannot be compared.", problems=(problem,))
    return shown.tariff


def _choices(tx: Tx, operator: str, now: datetime) -> list[tuple[str, str]]:
    """What can be compared, as (ref, name): proposals first, then versions, newest first."""
    found: list[tuple[str, str]] = []
    for one in rides.list_proposals(tx, now, operator_id=operator, limit=PROPOSALS_SHOWN):
        if one.name is not None and one.state in ("draft", "proposed", "withdrawn"):
            words = views.STATE_WORDS[one.state]
            found.append(
                (f"proposal:{one.proposal_id}", f"{one.name}, from {one.valid_from} ({words}, {one.made_by})")
            )
    versions = rides.list_tariffs(tx)
    for version in reversed(versions):
        if version.operator_id == operator:
            words = views.STATE_WORDS[views.state_of(versions, version, now)]
            found.append(
                (f"version:{version.valid_from}", f"{version.name}, from {version.valid_from} ({words})")
            )
    return found


def _place_names(tx: Tx, city_id: str) -> dict[str, str]:
    network = views.network_of(tx, city_id, None)
    if network is None:
        return {}
    return {one: stop.name for one, stop in network.stops.items()} | {
        one: line.name for one, line in network.lines.items()
    }


# -- what pages share ---------------------------------------------------------------------------------------


def _question(
    origin: str,
    destination: str,
    at: str,
    rider_class: str,
    product: str,
    line: str,
    minutes: int,
    language: str,
) -> Question:
    return Question(
        origin,
        destination,
        at,
        rider_class,
        product,
        line,
        min(max(minutes, 0), 24 * 60),
        views.language_of(language),
    )


def _told(tx: Tx, site: Site, shown: Shown, asked: Question, start: str, rows: str) -> dict[str, Any]:
    """Everything a tariff's page shows."""
    now = site.ctx.clock.now()
    network = shown.network
    findings = shown.proposal.findings if shown.proposal is not None else ()
    if shown.tariff is not None and asked.rider_class not in shown.tariff.classes:
        asked = replace(asked, rider_class="adult")
    if shown.tariff is not None and not asked.at:
        asked = replace(asked, at=views.local_text(shown, views.asked_at(shown, "", now)))
    names = _place_names(tx, network.city.city_id) if network is not None else {}
    stops = sorted((stop.name for stop in network.stops.values()), key=str.casefold) if network else []
    versions = rides.list_tariffs(tx)
    in_force = next(
        (
            f"version:{one.valid_from}"
            for one in versions
            if one.operator_id == shown.operator_id and views.state_of(versions, one, now) == "in_force"
        ),
        "",
    )
    return {
        "here": "tariffs",
        "shown": shown,
        "operator_name": trust.get_member(tx, shown.operator_id).name,
        "in_force": in_force,
        "findings": findings,
        "loose": [one for one in findings if views.line_in(one.where) is None],
        "sections": tariff_in_words(shown.source, names),
        "asked": asked,
        "tried": views.try_journey(shown, asked, now) if shown.tariff else None,
        "over": views.over_network(shown, asked, start, now),
        "start": start,
        "stops": sorted(set(stops), key=str.casefold)[:STOPS_OFFERED],
        "lines_of_city": sorted(
            ((one, line.name) for one, line in network.lines.items()), key=lambda one: one[1]
        )[:300]
        if network
        else [],
        "classes": list(shown.tariff.classes) if shown.tariff else [],
        "products": _products(shown, network),
        "text": views.text_lines(shown.source, findings),
        "tables": views.table_views(shown.source, findings, rows),
        "rows": rows,
        "step_words": views.STEP_WORDS,
    }


def _products(shown: Shown, network: atlas.Network | None) -> list[tuple[str, str]]:
    named = {line.mode for line in network.lines.values()} if network else set[str]()
    if shown.tariff is not None:
        named |= {name for rule in shown.tariff.fares for name in rule.condition.products}
    return [(one, PRODUCTS.get(one, one.capitalize())) for one in sorted(named)]


def _operators(tx: Tx, now: datetime) -> list[Operator]:
    versions = rides.list_tariffs(tx)
    proposals = rides.list_proposals(tx, now, limit=PROPOSALS_SHOWN)
    places = {city.city_id: city.name for city in atlas.list_cities(tx)}
    found: list[Operator] = []
    for member in trust.list_members(tx):
        own = [one for one in versions if one.operator_id == member.member_id]
        proposed = [one for one in proposals if one.operator_id == member.member_id]
        if member.role != "operator" and not own and not proposed:
            continue
        found.append(_operator(tx, member, own, proposed, places, now))
    return sorted(found, key=lambda one: one.name)


def _operator(
    tx: Tx,
    member: trust.Member,
    own: Sequence[rides.TariffVersion],
    proposed: Sequence[rides.Proposal],
    places: dict[str, str],
    now: datetime,
) -> Operator:
    operator_id = member.member_id
    by = {one.digest: one for one in proposed if one.by("approved") and not one.by("cancelled")}
    lines: list[Line] = []
    spans: list[tuple[date, date | None, str, str, str]] = []
    in_force = ""
    for version in own:
        state, until = views.state_of(own, version, now), views.last_day_of(own, version)
        maker = by.get(version.digest)
        link = proposal_link(maker.proposal_id) if maker else version_link(operator_id, version.valid_from)
        told = f"{maker.made_by}, approved by {maker.by('approved')}" if maker else "imported"
        lines.append(_line(version.name, state, version.valid_from, until, told, link, 0))
        spans.append((version.valid_from, until, state, version.name, link))
        if state == "in_force":
            in_force = f"version:{version.valid_from}"
    for one in proposed:
        if one.digest in by and one.by("approved"):
            continue
        link = proposal_link(one.proposal_id)
        name = one.name or "A tariff that cannot be read yet"
        lines.append(_line(name, one.state, one.valid_from, one.valid_to, one.made_by, link, one.errors))
        if one.state in ("draft", "proposed") and one.valid_from is not None:
            spans.append((one.valid_from, one.valid_to, one.state, name, link))
    newest = f"version:{own[-1].valid_from}" if own else ""
    today = now.date()
    if own:
        today = service_day(now, own[-1].tz, own[-1].day_starts)
    tariffs = [rides.get_tariff(tx, operator_id, one.valid_from) for one in own[-6:]]
    warnings = tuple(f"{one.where}: {one.what}. {one.remedy}." for one in check_dates(tariffs))
    return Operator(
        operator_id,
        member.name,
        places.get(member.city_id or "", ""),
        tuple(lines),
        timeline(spans, today),
        in_force,
        newest,
        warnings,
    )


def _line(
    name: str, state: str, starts: date | None, ends: date | None, by: str, link: str, errors: int
) -> Line:
    return Line(
        name,
        state,
        views.STATE_TONES.get(state, "plain"),
        views.STATE_WORDS.get(state, state),
        starts,
        ends,
        by,
        link,
        errors,
    )


def _clerk_words(request: Asked, site: Site) -> dict[str, Any]:
    if request.method != "GET":
        return clerk_words(request, site, back="/console/tariffs")
    query = request.scope["query_string"].decode("latin-1")
    return clerk_words(request, site, back=f"{request.url.path}?{query}" if query else request.url.path)


ROUTES = [
    show_tariffs,
    show_form,
    write_tariff,
    show_comparison,
    give_file,
    show_proposal,
    show_decision,
    decide,
    show_version,
]
