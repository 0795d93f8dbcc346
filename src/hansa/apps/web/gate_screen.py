"""The gate screen: choose a gate, show it a code, see it open or say why not."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.background_tasks import BackgroundTask
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, JSONBody, QueryParameter

from hansa import atlas, codes, trust
from hansa.apps.web.callers import find_account
from hansa.apps.web.journey_views import Places, city_name
from hansa.apps.web.languages import Words, spoken, words_for, words_of_scripts
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.kernel import HansaError
from hansa.store import Tx

Asked = Request[Any, Any, Any]

logger = logging.getLogger("hansa.web.gates")

GATES_SHOWN = 60
STATIONS_AT_ONCE = 5
GATES_AT_ONCE = 10
TEXT_MAX = 2000
OPEN_WORDS = {"entry": "Go in", "exit": "Go out", "board": "Welcome aboard"}
DIRECTIONS = {"entry": "way in", "exit": "way out", "board": "aboard"}


class TextRead(msgspec.Struct, frozen=True):
    """What the scanner read."""

    text: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]


class GateAnswer(msgspec.Struct, frozen=True):
    """What the gate did. reason: ``ok``, or the stable word of the refusal. gate_time: by the gate's clock.

    companion: which of the token's riders it let in or refused; 0 for the holder, and where the code says nothing.
    """

    accepted: bool
    reason: str
    title: str
    words: str
    gate_time: datetime
    companion: int = 0


@dataclass(frozen=True, slots=True)
class GateView:
    """A gate by the names people use."""

    gate_id: str
    place: str
    detail: str
    city: str
    zone: str
    lines: int


@get("/gate/", sync_to_thread=True, include_in_schema=False)
def choose_gate(
    request: Asked,
    site: Here,
    city: Annotated[str, QueryParameter(max_length=80)] = "",
    q: Annotated[str, QueryParameter(max_length=80)] = "",
) -> Response[str]:
    """The gates of one city whose name or id holds the words; some of its large stations to click at once.

    Without a city it is the home of whoever is signed in, else the first.
    """
    account = find_account(request, site)
    say = words_for(request, account_language=account.language if account else "")
    with site.ctx.tx() as tx:
        cities = atlas.list_cities(tx)
        wanted_city = city or (account.home_city_id if account else "")
        chosen = next((one for one in cities if one.city_id == wanted_city), cities[0] if cities else None)
        gates = _gates_of(tx, chosen.city_id) if chosen else []
    wanted = q.casefold().split()
    found = [one for one in gates if all(word in _words_of(one, say) for word in wanted)]
    answer = page(
        "gate/choose.html",
        say=say,
        city_name=city_name,
        cities=cities,
        chosen=chosen,
        q=q,
        at_once=[] if wanted else _at_once(gates),
        gates=found[:GATES_SHOWN],
        names=sorted({one.place for one in gates}),
        more=max(0, len(found) - GATES_SHOWN),
    )
    return spoken(answer, say, request)


def _words_of(gate: GateView, say: Words) -> str:
    """What a search for this gate may say."""
    return f"{gate.place} {gate.detail} {say(gate.detail)}".casefold()


@get("/gate/{gate_id:str}", sync_to_thread=True, include_in_schema=False)
def show_screen(request: Asked, site: Here, gate_id: FromPath[str]) -> Response[str]:
    return _screen(request, site, gate_id, None)


@post("/gate/{gate_id:str}/show", sync_to_thread=True, include_in_schema=False, status_code=200)
def show_reading(
    request: Asked,
    site: Here,
    gate_id: FromPath[str],
    data: Annotated[TextRead, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """The form's way, without JavaScript: the same screen with the gate's answer on it."""
    answer = _read(site, gate_id, data.text, words_for(request))
    screen = _screen(request, site, gate_id, answer)
    screen.background = BackgroundTask(_hand_in, site, gate_id)
    return screen


@post("/gate/{gate_id:str}/read", sync_to_thread=True, include_in_schema=False, status_code=200)
def read_code(
    request: Asked, site: Here, gate_id: FromPath[str], data: JSONBody[TextRead]
) -> Response[GateAnswer]:
    """Show a text to the gate's scanner: what it decided, in words for its screen."""
    answer = _read(site, gate_id, data.text, words_for(request))
    return Response(answer, background=BackgroundTask(_hand_in, site, gate_id))


def _read(site: Site, gate_id: str, text: str, say: Words) -> GateAnswer:
    reading = site.gates.read(site.ctx, gate_id, text)
    decision = reading.decision
    if decision.tap is not None:
        with site.ctx.tx() as tx:
            view = _view(Places(tx), trust.get_gate(tx, gate_id))
        companion = decision.tap.companion
        words = say("{place}, companion {n}", place=view.place, n=companion) if companion else view.place
        title = say(OPEN_WORDS[decision.tap.action])
        return GateAnswer(True, decision.reason, title, words, reading.gate_time, companion)
    companion = 0 if decision.shown is None else decision.shown.companion
    words = say(codes.REASONS[decision.reason])
    if companion:
        words += " " + say("It is the code of companion {n}.", n=companion)
    return GateAnswer(False, decision.reason, say("Please wait"), words, reading.gate_time, companion)


def _hand_in(site: Site, gate_id: str) -> None:
    """After the gate has answered, its taps go to the back office; the rider does not wait for that."""
    try:
        for refused in site.gates.hand_in(site.ctx, gate_id).refused:
            logger.warning("A tap of gate %s was refused: %s %s", gate_id, refused.code, refused.detail)
    except HansaError as error:  # the gate keeps its taps and hands them in with the next one
        logger.warning("Gate %s could not hand in its taps: %s", gate_id, error)


def _screen(request: Asked, site: Site, gate_id: str, answer: GateAnswer | None) -> Response[str]:
    say = words_for(request)
    with site.ctx.tx() as tx:
        record = trust.get_gate(tx, gate_id)
        view = _view(Places(tx), record)
        root = site.keys.league_root().public_key().public_bytes_raw().hex() if _has_lists(tx) else ""
    shown = page(
        "gate/screen.html",
        say=say,
        gate=view,
        record=record,
        root=root,
        answer=answer,
        now=site.ctx.clock.now(),
        words_of_scripts=words_of_scripts(say, "gate.js"),
    )
    return spoken(shown, say, request)


def _has_lists(tx: Tx) -> bool:
    """Whether the league signed a trust list: before that, the page has nothing to fetch and checks nothing itself."""
    try:
        trust.signed_trust_list(tx)
    except trust.NoTrustList:
        return False
    return True


def _gates_of(tx: Tx, city_id: str) -> list[GateView]:
    places = Places(tx)
    operators = [operator.operator_id for operator in places.network(city_id).operators]
    views = [
        _view(places, record)
        for operator_id in operators
        for record in trust.list_gates(tx, operator_id)
        if record.city_id == city_id
    ]
    return sorted(views, key=lambda view: (view.place, view.detail))


def _view(places: Places, record: trust.GateRecord) -> GateView:
    city = places.network(record.city_id).city
    if record.stop_id is not None:
        place = places.stop_name(record.city_id, record.stop_id)
    else:
        place = f"{record.product.capitalize()} {places.line_name(record.city_id, record.line_id)}"
    lines = len(places.network(record.city_id).lines_at(record.stop_id)) if record.stop_id else 0
    return GateView(record.gate_id, place, DIRECTIONS[record.action], city.name, city.tz, lines)


def _at_once(gates: list[GateView]) -> list[GateView]:
    """A gate in and a gate out of the stations where most lines meet, or the first lines one boards."""
    places = sorted({(-one.lines, one.place) for one in gates})
    chosen: list[GateView] = []
    for _, place in places[:STATIONS_AT_ONCE] if any(one.lines for one in gates) else places[:GATES_AT_ONCE]:
        by_direction = {one.detail: one for one in reversed(gates) if one.place == place}
        chosen += [by_direction[detail] for detail in DIRECTIONS.values() if detail in by_direction]
    return chosen[:GATES_AT_ONCE]


ROUTES = [choose_gate, show_screen, show_reading, read_code]
