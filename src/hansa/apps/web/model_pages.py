"""The console's desk of settlement models: what holds, what waits, two persons who decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import clearing, trust
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of, clerk_words
from hansa.apps.web.pages import page
from hansa.apps.web.site import Here, Site
from hansa.apps.web.tariff_views import problems_of
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Tx

Asked = Request[Any, Any, Any]
ModelName = Annotated[str, QueryParameter(max_length=20, pattern=r"^[a-z0-9]*$")]

TONES = {"proposed": "warm", "scheduled": "plain", "in_force": "", "past": "plain", "refused": "bad"}
SLOTS_SHOWN = 6
VERSIONS_SHOWN = 200

SKELETON = """model_id = "twice"
name = "Fares of one pair, twice a day"
tz = "{tz}"
# What it takes: positions that fit one of the lines; what a line leaves out is any.
takes = [{{ issuer = "{issuer}", operator = "{operator}" }}]
basis = "net"                 # or "gross"
sides = "multilateral"        # or "bilateral"
cut_offs = ["12:00", "28:00"] # wall time; 28:00 is four o'clock of the next morning
# timing = "immediate"        # in place of cut_offs: a window every so many seconds
# every_s = 600
# weekend = ["saturday", "sunday"]
# holidays = ["CNY", "2026-12-24"]
closes = "worker"             # or "person"
"""


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version of a model, where it stands, and what a person should know of it.

    takes: in words. slots: business day and instant of the next windows' ends; none for an immediate model.
    """

    version: clearing.Version
    model: clearing.Model
    state: str
    takes: tuple[str, ...]
    slots: tuple[clearing.Slot, ...]
    hints: tuple[Problem, ...]


@dataclass(frozen=True)
class ModelForm:
    """What the form of a model sends. since: its first business day, as a date field writes it."""

    toml: str = ""
    since: str = ""
    why: str = ""
    what: str = ""


@dataclass(frozen=True)
class DecideForm:
    """What the form of a decision sends."""

    what: str = ""
    why: str = ""


@get("/console/models", sync_to_thread=True, include_in_schema=False)
def show_models(request: Asked, site: Here) -> Response[str]:
    """Every version of every model: what waits for a second person, what holds, and what held."""
    get_operator(request, site)
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        views = _views(tx, now)
    return page(
        "console/models.html",
        here="days",
        views=views[:VERSIONS_SHOWN],
        waiting=[one for one in views if one.state == "proposed"],
        tones=TONES,
        **clerk_words(request, site, back="/console/models"),
    )


@get("/console/models/new", sync_to_thread=True, include_in_schema=False)
def show_form(request: Asked, site: Here, base: ModelName = "") -> Response[str]:
    """The form in which a model is written: from the newest version of one, or from a skeleton."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        settings = clearing.get_settings(tx)
        since = settings.day_of(site.ctx.clock.now()) + timedelta(days=1)
        found = clearing.list_model_versions(tx, base) if base else []
        members = trust.list_members(tx)
    toml = found[-1].spec if found else _skeleton(members, settings.tz)
    return _form_page(request, site, ModelForm(toml, since.isoformat()))


@post("/console/models/new", sync_to_thread=True, include_in_schema=False)
def write_model(
    request: Asked,
    site: Here,
    data: Annotated[ModelForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Check what the form sends, or propose it; with what is wrong it is shown again, as it was written."""
    by = clerk_of(request, site)
    toml = data.toml.replace("\r\n", "\n").replace("\0", "")
    form = ModelForm(toml, data.since[:20], data.why.replace("\0", "")[:500], data.what)
    check = form.what != "propose"
    try:
        since = _day(form.since)
        found = clearing.propose_model(site.ctx, toml, in_force_from=since, by=by, why=form.why, check=check)
    except HansaError as error:
        return _form_page(request, site, form, error=error)
    if isinstance(found, clearing.Version):
        return Redirect(_link(found), status_code=303)
    return _form_page(request, site, form, checked=found)


@get("/console/models/{model_id:str}/{version:int}", sync_to_thread=True, include_in_schema=False)
def show_model(request: Asked, site: Here, model_id: FromPath[str], version: FromPath[int]) -> Response[str]:
    """A version of a model: what it takes, when its windows end, and what can be done."""
    get_operator(request, site)
    return _model_page(request, site, model_id, version)


@post("/console/models/{model_id:str}/{version:int}/decide", sync_to_thread=True, include_in_schema=False)
def decide_model(
    request: Asked,
    site: Here,
    model_id: FromPath[str],
    version: FromPath[int],
    data: Annotated[DecideForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Approve or refuse it, or show what stands in the way."""
    by = clerk_of(request, site)
    why = data.why.replace("\0", "")[:500]
    decision: Literal["approved", "refused"] = "approved" if data.what == "approve" else "refused"
    try:
        found = clearing.decide_model(site.ctx, model_id, version, decision, by=by, why=why)
    except clearing.UnknownModel:
        raise
    except HansaError as error:
        return _model_page(request, site, model_id, version, why=why, error=error)
    return Redirect(_link(found), status_code=303)


# -- pages ----------------------------------------------------------------------------------------------------


def _form_page(
    request: Asked,
    site: Site,
    form: ModelForm,
    *,
    checked: clearing.Model | None = None,
    error: HansaError | None = None,
) -> Response[str]:
    now = site.ctx.clock.now()
    return page(
        "console/model_new.html",
        status_code=200 if error is None else error.status,
        here="days",
        form=form,
        checked=checked,
        slots=() if checked is None else _slots(checked, max(now, _begins(checked, _day(form.since)))),
        hints=() if checked is None else clearing.model_hints(checked, now.date()),
        takes=() if checked is None else _takes(checked),
        problems=[] if error is None else problems_of(error),
        fault="" if error is None else error.detail,
        **clerk_words(request, site, back="/console/models/new"),
    )


def _model_page(
    request: Asked, site: Site, model_id: str, version: int, *, why: str = "", error: HansaError | None = None
) -> Response[str]:
    by, now = clerk_of(request, site), site.ctx.clock.now()
    with site.ctx.tx() as tx:
        views = _views(tx, now, model_id)
    found = next((one for one in views if one.version.version == version), None)
    if found is None:
        raise clearing.UnknownModel(f"There is no version {version} of a model {model_id[:20]!r}.")
    return page(
        "console/model.html",
        status_code=200 if error is None else error.status,
        here="days",
        found=found,
        others=[one for one in views if one is not found],
        tones=TONES,
        same=trust.is_same_person(by, found.version.proposed_by),
        why=why,
        problems=[] if error is None else problems_of(error),
        fault="" if error is None else error.detail,
        **clerk_words(request, site, back=_link(found.version)),
    )


def _views(tx: Tx, now: datetime, model_id: str | None = None) -> list[VersionView]:
    """Versions with their states, the newest of each model first."""
    found: list[VersionView] = []
    replaced: set[str] = set()
    versions = clearing.list_model_versions(tx, model_id)
    for one in sorted(versions, key=lambda one: (one.model_id, -one.version)):
        if one.decision is None:
            state = "proposed"
        elif one.decision == "refused":
            state = "refused"
        elif one.since > now:
            state = "scheduled"
        else:
            state = "past" if one.model_id in replaced else "in_force"
            replaced.add(one.model_id)
        model = one.model
        later = max(now, one.since if one.decision == "approved" else _begins(model, one.in_force_from))
        found.append(
            VersionView(
                one,
                model,
                state,
                _takes(model),
                _slots(model, later) if state in ("proposed", "scheduled", "in_force") else (),
                tuple(clearing.model_hints(model, now.date())),
            )
        )
    return found


def _slots(model: clearing.Model, after: datetime) -> tuple[clearing.Slot, ...]:
    return tuple(islice(clearing.window_slots(model, after=after), SLOTS_SHOWN))


def _begins(model: clearing.Model, day: date) -> datetime:
    """When a day begins in the model's zone."""
    return datetime.combine(day, time(), ZoneInfo(model.tz))


def _takes(model: clearing.Model) -> tuple[str, ...]:
    return tuple(
        f"{'any issuer' if one.issuer == '*' else one.issuer} to "
        f"{'any operator' if one.operator == '*' else one.operator}, "
        f"{'every currency' if one.currency == '*' else one.currency}, "
        f"{'every product' if one.product == '*' else one.product}"
        for one in model.takes
    )


def _skeleton(members: Sequence[trust.Member], tz: str) -> str:
    issuer = next((str(one.member_id) for one in members if one.role == "issuer"), "*")
    city = next((one.clears_as for one in members if one.member_id == issuer), "")
    operators = [one for one in members if one.role == "operator" and one.clears_as != city]
    return SKELETON.format(tz=tz, issuer=issuer, operator=operators[0].member_id if operators else "*")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        problem = Problem("since", "is no date", "Choose the first business day on which it holds")
        raise InvalidInput("The first day cannot be read.", problems=(problem,)) from error


def _link(found: clearing.Version) -> str:
    return f"/console/models/{found.model_id}/{found.version}"


ROUTES = [show_models, show_form, write_model, show_model, decide_model]
