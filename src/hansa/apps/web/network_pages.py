"""The console's pages of networks: maps with zones, lines stop by stop, feeds handed in, reported on, approved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any
from uuid import UUID, uuid4

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import atlas, trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError, InvalidInput, Problem, fact_id
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=200)]
Figure = Annotated[float, QueryParameter(ge=-50, le=50)]

WIDTH, HEIGHT = 960, 620
ZOOMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
LABELS = 34
LETTER = 1.15
NARROW_LABELS, NARROW_LETTER = 9, 2.3
"""The same on a phone, where the sheet is drawn at 40 % of its size."""
STOPS_FOUND = 12
ROW = 30
"""Height of a stop on a line's diagram."""
BODY_MAX = atlas.UPLOAD_MAX + 1024 * 1024

FIELDS = (
    "city_id", "operator_id", "valid_from", "note", "name", "country", "tz", "currency", "day_starts",
)  # fmt: skip
"""What the form sends beside the file; shown again where something is wrong with it."""

STATES = {
    "proposed": ("warm", "waits for a second person"),
    "refused": ("bad", "has errors"),
    "approved": ("", "approved"),
    "withdrawn": ("plain", "taken back"),
}


@dataclass(frozen=True, slots=True)
class CityLine:
    """A city in the list."""

    city: atlas.City
    stops: int
    lines: int
    version: int
    versions: int


@dataclass(frozen=True, slots=True)
class Call:
    """A stop on a line's diagram. metres: from the stop before; changes: other lines that call there."""

    y: int
    name: str
    stop_id: str
    zone: str
    metres: int
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LineDiagram:
    """A line stop by stop, from top to bottom."""

    line: atlas.Line
    height: int
    calls: tuple[Call, ...]
    metres: int


@dataclass(frozen=True)
class DecideForm:
    """What the form sends that decides a feed."""

    verdict: str
    why: str = ""


@get("/console/networks", sync_to_thread=True, include_in_schema=False)
def show_networks(request: Asked, site: Here) -> Response[str]:
    """The cities' networks, the feeds that were handed in, and the form that hands one in."""
    return _networks(request, site)


def _networks(
    request: Asked, site: Site, *, problems: tuple[Problem, ...] = (), asked: Mapping[str, str] | None = None
) -> Response[str]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        cities = [_city_line(tx, city) for city in atlas.list_cities(tx)]
        feeds = atlas.list_feeds(tx)
        operators = sorted(one.member_id for one in trust.list_members(tx) if one.role == "operator")
    return page(
        "console/networks.html",
        status_code=422 if problems else 200,
        here="networks",
        cities=cities,
        feeds=feeds,
        states=STATES,
        operators=operators,
        problems=problems,
        asked={name: (asked or {}).get(name, "") for name in FIELDS} | {"nonce": uuid4().hex},
        today=site.ctx.clock.now().date(),
        **_clerk_words(request, site),
    )


@post("/console/networks", sync_to_thread=True, include_in_schema=False, request_max_body_size=BODY_MAX)
def hand_in(
    request: Asked,
    site: Here,
    data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)],
) -> Response[Any]:
    """Keep a feed with its report, or show the form again with what is wrong with it."""
    by = clerk_of(request, site)
    words = {name: value.strip() for name, value in data.items() if isinstance(value, str)}
    try:
        archive, label = _file(data.get("feed"))
        first = _day(words.get("valid_from", ""))
        city_id, operator_id = words.get("city_id", ""), words.get("operator_id", "")
        with site.ctx.tx() as tx:
            trust.get_member(tx, trust.MemberId(operator_id))
            facts = {
                name: words.get(name, "") for name in ("name", "country", "tz", "currency", "day_starts")
            }
            city = atlas.city_for(tx, city_id, **facts)
        found = atlas.propose_feed(
            site.ctx,
            fact_id(
                None,
                "feed handed in",
                words.get("nonce", ""),
                city_id,
                operator_id,
                first.isoformat(),
                label,
                by,
            ),
            archive,
            city=city,
            operator_id=operator_id,
            label=label,
            valid_from=first,
            by=by,
            note=words.get("note", "")[:500],
        )
    except HansaError as error:
        told = error.problems or (Problem("", error.detail, ""),)
        return _networks(request, site, problems=told, asked=words)
    return Redirect(f"/console/networks/feeds/{found.feed_id}", status_code=303)


# -- a city -------------------------------------------------------------------------------------------------


@get("/console/networks/{city_id:str}", sync_to_thread=True, include_in_schema=False)
def show_network(
    request: Asked,
    site: Here,
    city_id: FromPath[str],
    q: Text = "",
    stop: Text = "",
    line: Text = "",
    zones: Annotated[str, QueryParameter(max_length=3)] = "on",
    zoom: Annotated[float, QueryParameter(ge=1, le=32)] = 1,
    x: Figure = 0,
    y: Figure = 0,
    version: Annotated[int | None, QueryParameter(ge=1, le=2_147_483_647)] = None,
) -> Response[str]:
    """A city's map with its zones, a line stop by stop, a stop that is looked for, and the versions."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        network = atlas.get_network(tx, city_id, version=version)
        versions = atlas.list_versions(tx, city_id)
        fares = atlas.get_fares_v2(tx, city_id, version=network.version)
    named = atlas.zones_of(network, fares)
    found = atlas.find_stops(network, q, limit=STOPS_FOUND) if q.strip() else []
    chosen = network.stops.get(stop) or (found[0] if found else None)
    around = chosen.stop_id if chosen is not None else None
    nearer = max(zoom, 4.0) if chosen is not None and "zoom" not in request.query_params else zoom
    drawn, narrow = (
        atlas.network_map(
            network,
            WIDTH,
            HEIGHT,
            zones=named if zones == "on" else {},
            around=around,
            zoom=nearer,
            moved=(x, y),
            labels=labels,
            letter=letter,
        )
        for labels, letter in ((LABELS, LETTER), (NARROW_LABELS, NARROW_LETTER))
    )
    shown = network.lines.get(line)
    if shown is None:
        at_stop = network.lines_at(chosen.stop_id) if chosen is not None else ()
        shown = next(iter(at_stop), None) or next(iter(network.lines.values()), None)
    asked = {
        "q": q,
        "stop": around or "",
        "line": line,
        "zones": zones,
        "zoom": f"{nearer:g}",
        "x": f"{x:g}",
        "y": f"{y:g}",
        "version": "" if version is None else str(version),
    }
    return page(
        "console/network.html",
        here="networks",
        city=network.city,
        network=network,
        map=drawn,
        narrow=narrow.stops,
        named=named,
        chosen=chosen,
        found=found,
        at_stop=network.lines_at(chosen.stop_id) if chosen is not None else (),
        diagram=_diagram(network, shown) if shown is not None else None,
        versions=versions[::-1],
        asked=asked,
        zooms=ZOOMS,
        first=date.min,
    )


@get("/console/networks/{city_id:str}/changes", sync_to_thread=True, include_in_schema=False)
def show_changes(
    request: Asked,
    site: Here,
    city_id: FromPath[str],
    before: Annotated[int, QueryParameter(ge=1, le=2_147_483_647)],
    after: Annotated[int, QueryParameter(ge=1, le=2_147_483_647)],
) -> Response[str]:
    """What changed between two versions."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        changes = atlas.version_changes(tx, city_id, before, after)
        city = atlas.get_network(tx, city_id, version=after).city
    return page(
        "console/network_changes.html",
        here="networks",
        city=city,
        before=before,
        after=after,
        changes=changes,
    )


# -- a feed -------------------------------------------------------------------------------------------------


@get("/console/networks/feeds/{feed_id:uuid}", sync_to_thread=True, include_in_schema=False)
def show_feed(
    request: Asked, site: Here, feed_id: FromPath[UUID], severity: Text = "", file: Text = "", code: Text = ""
) -> Response[str]:
    """A feed: its report, what it would change, and the form that decides it."""
    return _feed(request, site, feed_id, {"severity": severity, "file": file, "code": code})


def _feed(
    request: Asked, site: Site, feed_id: UUID, asked: Mapping[str, str], problems: tuple[Problem, ...] = ()
) -> Response[str]:
    get_operator(request, site)
    with site.ctx.tx() as tx:
        feed = atlas.get_feed(tx, feed_id)
        report = atlas.get_report(tx, feed_id)
        changes = atlas.feed_changes(tx, feed_id) if not feed.errors else None
    clerk = _clerk_words(request, site)
    return page(
        "console/network_feed.html",
        status_code=409 if problems else 200,
        here="networks",
        feed=feed,
        state=STATES[feed.state],
        report=report,
        groups=report.among(**asked),
        files=sorted({one.file for group in report.groups for one in group.notices}),
        codes=[group.code for group in report.groups],
        changes=changes,
        asked=asked,
        filtered=any(asked.values()),
        problems=problems,
        handed_in_myself=trust.is_same_person(clerk["by"], feed.made_by),
        **clerk,
    )


@get("/console/networks/feeds/{feed_id:uuid}/report", sync_to_thread=True, include_in_schema=False)
def give_report(
    request: Asked,
    site: Here,
    feed_id: FromPath[UUID],
    form: Annotated[str, QueryParameter(max_length=4)] = "json",
) -> Response[bytes]:
    """A feed's report as a file."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        report = atlas.get_report(tx, feed_id)
    body = report.as_csv().encode() if form == "csv" else report.as_json()
    kind = "text/csv; charset=utf-8" if form == "csv" else MediaType.JSON
    name = f'attachment; filename="report.{"csv" if form == "csv" else "json"}"'
    return Response(body, media_type=kind, headers={"content-disposition": name})


@post("/console/networks/feeds/{feed_id:uuid}", sync_to_thread=True, include_in_schema=False)
def decide(
    request: Asked,
    site: Here,
    feed_id: FromPath[UUID],
    data: Annotated[DecideForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Approve a feed, or take it back."""
    by, now = clerk_of(request, site), site.ctx.clock.now()
    try:
        with site.ctx.tx() as tx:
            if data.verdict == "approve":
                atlas.approve_feed(tx, feed_id, by=by, at=now, why=data.why[:500])
            else:
                atlas.withdraw_feed(tx, feed_id, by=by, at=now, why=data.why[:500])
    except atlas.UnknownFeed:
        raise
    except HansaError as error:
        told = error.problems or (Problem("", error.detail, ""),)
        return _feed(request, site, feed_id, {"severity": "", "file": "", "code": ""}, told)
    return Redirect(f"/console/networks/feeds/{feed_id}", status_code=303)


# -- small things -------------------------------------------------------------------------------------------


def _city_line(tx: Tx, city: atlas.City) -> CityLine:
    network = atlas.get_network(tx, city.city_id)
    versions = len(atlas.list_versions(tx, city.city_id))
    return CityLine(city, len(network.stops), len(network.lines), network.version, versions)


def _diagram(network: atlas.Network, line: atlas.Line) -> LineDiagram:
    calls = tuple(
        Call(
            ROW * number + ROW // 2,
            network.stops[call.stop_id].name,
            call.stop_id,
            network.stops[call.stop_id].zone or "",
            call.distance_m,
            tuple(
                (other.name, other.color)
                for other in network.lines_at(call.stop_id)
                if other.name.partition(" (")[0] != line.name.partition(" (")[0]
            )[:8],
        )
        for number, call in enumerate(line.stops)
    )
    return LineDiagram(line, ROW * len(calls), calls, sum(metres for _, _, metres in line.hops()))


def _file(value: object) -> tuple[bytes, str]:
    """The bytes and the name of a file that a form sent. Errors: InvalidInput where there is none."""
    if not isinstance(value, UploadFile) or not value.filename:
        problem = Problem("feed", "no file was chosen", "Choose the zip of the feed")
        raise InvalidInput("This feed cannot be taken.", problems=(problem,))
    name = value.filename.replace("\\", "/").rpartition("/")[2]
    return value.file.read(), "".join(letter for letter in name if letter.isprintable())[:100] or "feed.zip"


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        problem = Problem(
            "valid_from", "it is not a day", "Write the first service day it holds, as 2027-01-01"
        )
        raise InvalidInput("This feed cannot be taken.", problems=(problem,)) from None


def _clerk_words(request: Asked, site: Site) -> dict[str, Any]:
    path = request.url.path
    return clerk_words(
        request, site, back=path if request.method == "GET" or "/feeds/" in path else "/console/networks"
    )


ROUTES = [
    show_networks,
    hand_in,
    show_network,
    show_changes,
    show_feed,
    give_report,
    decide,
]
