"""The console's pages of devices: every box with what it said last, and one with its past and its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast
from urllib.parse import urlencode

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Redirect

from hansa import atlas, trust
from hansa.apps.device_commands import setting_of
from hansa.apps.web.callers import get_operator
from hansa.apps.web.clerks import clerk_of
from hansa.apps.web.pages import page
from hansa.apps.web.pictures import BarChart, bar_chart
from hansa.apps.web.site import Here, Site
from hansa.gate.agent.config import Adjustable, adjusted
from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.store import Tx

Asked = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(max_length=80)]

ON_PAGE = 50
ALERTS_SHOWN = 8
SILENT_AFTER = timedelta(minutes=3)
"""A device says how it is once a minute; one that misses three is shown as silent."""

SLOT_MIN = 5
DAY = timedelta(hours=24)

ALERT_TITLES = {
    "offline": "Offline",
    "clock": "Clock is off",
    "list_old": "Deny list is old",
    "pending": "Taps not handed in",
    "certificate": "Certificate ends soon",
    "refusals": "Many codes refused",
    "storage": "Storage nearly full",
    "chain": "Chain of taps is broken",
}
"""Short titles of the rules that come with Hansa; another rule is called by its name."""

FACTS = {
    "since": "not heard since",
    "clock_offset_ms": "off by",
    "deny_list_at": "fresh at",
    "pending": "waiting:",
    "ends_at": "ends",
    "refused": "refused:",
    "storage_free_pct": "free:",
    "gate_id": "gate",
}
"""What a figure of an alert is called; another is called by its name."""

NETWORKS = {"online": "Online", "silent": "Silent", "offline": "Offline", "": "Never seen"}


@dataclass(frozen=True, slots=True)
class Line:
    """A device in the list. tone: of its tag. behind: how many versions behind a list is, None if it never said."""

    state: trust.DeviceState
    network: str
    tone: str
    seen: str
    offset: str
    is_off: bool
    trust_behind: int | None
    deny_behind: int | None
    settings_behind: int


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert as it is shown. over: how long it lasted, or empty while it is open."""

    alert: trust.DeviceAlert
    title: str
    facts: str
    over: str


@dataclass(frozen=True, slots=True)
class OffsetPicture:
    """The clock's offset over a day as a line, in the units of an SVG viewBox. zero: where no offset is."""

    width: int
    height: int
    path: str
    zero: float
    most: str
    least: str


@dataclass(frozen=True, slots=True)
class SettingsLine:
    """A version of the settings in words."""

    version: int
    text: str
    made_at: datetime
    made_by: str
    follows: bool


@dataclass(frozen=True)
class RegisterForm:
    """What the form to register a box sends."""

    device_id: str = ""
    gate_id: str = ""
    kind: str = "gate"
    vehicle: str = ""


@dataclass(frozen=True)
class SettingsForm:
    """A setting a line: name = value."""

    values: str = ""


@dataclass(frozen=True)
class RuleForm:
    """When to be told, and why that changes. is_on: ``yes`` where it is ticked."""

    threshold: str = ""
    is_on: str = ""
    reason: str = ""


@dataclass(frozen=True)
class StatusForm:
    """What the forms that let in and shut out send."""

    status: str = ""
    reason: str = ""


@get("/console/devices", sync_to_thread=True, include_in_schema=False)
def show_devices(
    request: Asked,
    site: Here,
    q: Text = "",
    city: Text = "",
    status: Text = "",
    network: Text = "",
    after: Annotated[str, QueryParameter(max_length=64)] = "",
) -> Response[str]:
    """Every device, or those that are looked for."""
    get_operator(request, site)
    return _list_page(site, _filters(q, city, status, network), after)


@get("/console/devices/live", sync_to_thread=True, include_in_schema=False)
def show_live(
    request: Asked,
    site: Here,
    q: Text = "",
    city: Text = "",
    status: Text = "",
    network: Text = "",
    after: Annotated[str, QueryParameter(max_length=64)] = "",
) -> Response[str]:
    """The part of the list that keeps itself fresh."""
    get_operator(request, site)
    return page("console/_devices.html", **_live(site, _filters(q, city, status, network), after))


@post("/console/devices", sync_to_thread=True, include_in_schema=False)
def register(
    request: Asked,
    site: Here,
    data: Annotated[RegisterForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """Register a box and show its code, or the form again with what is wrong with it."""
    get_operator(request, site)
    kinds: dict[str, trust.DeviceKind] = {one: one for one in trust.DEVICE_KINDS}
    try:
        with site.ctx.tx() as tx:
            gate = trust.get_gate(tx, data.gate_id.replace("\0", ""))
            kind = kinds.get(data.kind, "gate")
            new = trust.NewDevice(
                data.device_id, kind, gate.operator_id, gate.gate_id, data.vehicle.replace("\0", "") or None
            )
            trust.add_devices(tx, [new], site.ctx.clock.now())
            code = trust.invite_device(tx, new.device_id, site.ctx.clock.now())
    except HansaError as error:
        return _list_page(site, _filters(), "", form=data, fault=_said(error), status_code=error.status)
    return _device_page(site, new.device_id, code=code)


@post("/console/device-rules/{rule:str}", sync_to_thread=True, include_in_schema=False)
def set_rule(
    request: Asked,
    site: Here,
    rule: FromPath[str],
    data: Annotated[RuleForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Say when somebody is told of a device, or show the rules again with what is wrong."""
    by, at = clerk_of(request, site), site.ctx.clock.now()
    digits = data.threshold.strip()
    try:
        if not (digits.isascii() and digits.isdigit() and len(digits) < 12):
            raise _unfit("threshold", f"{digits[:20]!r} is no number", "Write digits alone")
        with site.ctx.tx() as tx:
            reason, is_on = data.reason.replace("\0", ""), data.is_on == "yes"
            trust.set_device_rule(tx, rule, threshold=int(digits), is_on=is_on, by=by, reason=reason, at=at)
    except InvalidInput as error:
        return _list_page(site, _filters(), "", rule_fault=_said(error), status_code=error.status)
    return Redirect("/console/devices#rules", status_code=303)


@get("/console/devices/{device_id:str}", sync_to_thread=True, include_in_schema=False)
def show_device(request: Asked, site: Here, device_id: FromPath[str]) -> Response[str]:
    """A device: what it said, what is the matter, what it is set to, and the forms that change it."""
    get_operator(request, site)
    return _device_page(site, device_id)


@get("/console/devices/{device_id:str}/live", sync_to_thread=True, include_in_schema=False)
def show_device_live(request: Asked, site: Here, device_id: FromPath[str]) -> Response[str]:
    """The part of a device's page that keeps itself fresh."""
    get_operator(request, site)
    with site.ctx.tx() as tx:
        told = _device_live(tx, site, device_id)
    return page("console/_device.html", **told)


@post("/console/devices/{device_id:str}/settings", sync_to_thread=True, include_in_schema=False)
def set_settings(
    request: Asked,
    site: Here,
    device_id: FromPath[str],
    data: Annotated[SettingsForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Say what the device is to be set to, or show the form again with what is wrong with it."""
    operator = get_operator(request, site)
    try:
        values = read_settings_text(data.values)
        adjusted(Adjustable(), values, unknown=[])
        with site.ctx.tx() as tx:
            trust.set_device_settings(
                tx, device_id, values, at=site.ctx.clock.now(), made_by=operator.caller_id
            )
    except trust.UnknownDevice:
        raise
    except HansaError as error:
        told = {"settings_fault": _said(error), "settings_text": data.values}
        return _device_page(site, device_id, status_code=error.status, **told)
    return Redirect(f"/console/devices/{device_id}#settings", status_code=303)


@post("/console/devices/{device_id:str}/status", sync_to_thread=True, include_in_schema=False)
def set_status(
    request: Asked,
    site: Here,
    device_id: FromPath[str],
    data: Annotated[StatusForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Suspend, retire or invite the device; a reason is wanted for the first two. An invitation's code is shown."""
    operator = get_operator(request, site)
    wanted: dict[str, trust.DeviceStatus] = {
        "suspended": "suspended",
        "retired": "retired",
        "invited": "invited",
    }
    try:
        status = wanted.get(data.status)
        if status is None:
            raise _unfit("status", "it is none of ours", "Choose what to do")
        if status != "invited" and len(data.reason.strip()) < 3:
            raise _unfit("reason", "it is missing", "Say why, in three letters at least")
        with site.ctx.tx() as tx:
            code = _change(tx, site, device_id, status, operator.caller_id, data.reason.strip())
    except trust.UnknownDevice:
        raise
    except HansaError as error:
        told = {"status_fault": _said(error), "reason": data.reason}
        return _device_page(site, device_id, status_code=error.status, **told)
    if code:
        return _device_page(site, device_id, code=code)
    return Redirect(f"/console/devices/{device_id}#access", status_code=303)


def _change(tx: Tx, site: Site, device_id: str, status: trust.DeviceStatus, made_by: str, reason: str) -> str:
    """Change the device's status; gives the code of an invitation."""
    now = site.ctx.clock.now()
    if status == "invited" and trust.get_device(tx, device_id).status in ("invited", "active"):
        return trust.invite_device(tx, device_id, now)
    trust.set_device_status(tx, device_id, status, now, made_by=made_by, reason=reason)
    return trust.invite_device(tx, device_id, now) if status == "invited" else ""


# -- what the pages are made from ---------------------------------------------------------------------------


def _filters(q: str = "", city: str = "", status: str = "", network: str = "") -> dict[str, str]:
    return {"q": q.strip(), "city": city, "status": status, "network": network}


def _list_page(
    site: Site,
    asked: dict[str, str],
    after: str,
    *,
    form: RegisterForm | None = None,
    fault: str = "",
    rule_fault: str = "",
    status_code: int = 200,
) -> Response[str]:
    live = _live(site, asked, after)
    with site.ctx.tx() as tx:
        cities = atlas.list_cities(tx)
        rules = trust.list_device_rules(tx)
    return page(
        "console/devices.html",
        status_code=status_code,
        here="devices",
        cities=cities,
        statuses=trust.DEVICE_STATUSES,
        kinds=trust.DEVICE_KINDS,
        form=form or RegisterForm(),
        fault=fault,
        rules=rules,
        rule_titles=ALERT_TITLES,
        rule_fault=rule_fault,
        **live,
    )


def _live(site: Site, asked: dict[str, str], after: str) -> dict[str, Any]:
    now = site.ctx.clock.now()
    with site.ctx.tx() as tx:
        found = trust.list_device_states(
            tx,
            text=asked["q"] or None,
            city_id=asked["city"] or None,
            status=asked["status"] or None,
            connected={"online": True, "offline": False}.get(asked["network"]),
            alerted=asked["network"] == "alerts",
            after=after,
            limit=ON_PAGE + 1,
        )
        versions = _versions(tx)
        counts = trust.count_devices(tx)
        alerts = trust.open_device_alerts(tx, limit=ALERTS_SHOWN)
    shown = found[:ON_PAGE]
    query = {**asked, "after": after}
    return {
        "lines": [line_of(one, versions, now) for one in shown],
        "counts": counts,
        "alerts": [alert_line(one) for one in alerts],
        "asked": asked,
        "filtered": any(asked.values()),
        "after": after,
        "next_after": shown[-1].device.device_id if len(found) > ON_PAGE else "",
        "live": urlencode({name: value for name, value in query.items() if value}),
        "as_of": now,
    }


def _versions(tx: Tx) -> tuple[int, int]:
    """The versions of the trust list and of the deny list that devices should have."""
    return trust.current_trust_list(tx).version, trust.deny_list_since(tx, 2**62)[0]


def line_of(state: trust.DeviceState, versions: tuple[int, int], now: datetime) -> Line:
    """A device as the list shows it, now."""
    network = "" if state.since is None else "offline"
    if state.connected:
        quiet = state.last_seen_at is None or now - state.last_seen_at > SILENT_AFTER
        network = "silent" if quiet else "online"
    offset_ms = state.clock_offset_ms
    return Line(
        state=state,
        network=NETWORKS[network],
        tone={"online": "", "silent": "warm", "offline": "bad", "": "plain"}[network],
        seen="" if state.last_seen_at is None else ago(now - state.last_seen_at),
        offset="" if offset_ms is None else offset_text(offset_ms),
        is_off=offset_ms is not None and abs(offset_ms) > 2000,
        trust_behind=None if state.trust_list is None else max(0, versions[0] - state.trust_list),
        deny_behind=None if state.deny_list is None else max(0, versions[1] - state.deny_list),
        settings_behind=max(0, (state.settings_wanted or 0) - (state.settings or 0)),
    )


def ago(passed: timedelta) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, int(passed.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def offset_text(offset_ms: int) -> str:
    """A clock's offset with its sign: ``+12 ms``, ``−2.5 s``."""
    sign, size = ("+" if offset_ms >= 0 else "−"), abs(offset_ms)
    return f"{sign}{size} ms" if size < 1000 else f"{sign}{size / 1000:,.1f} s"


def alert_line(alert: trust.DeviceAlert) -> AlertLine:
    """An alert in words."""
    facts = ", ".join(
        f"{FACTS.get(name, name.replace('_', ' '))} {_fact(name, value)}"
        for name, value in alert.facts.items()
    )
    over = "" if alert.closed_at is None else ago(alert.closed_at - alert.opened_at).removesuffix(" ago")
    return AlertLine(alert, ALERT_TITLES.get(alert.rule, alert.rule.replace("_", " ")), facts, over)


def _fact(name: str, value: object) -> str:
    if name == "clock_offset_ms" and isinstance(value, int):
        return offset_text(value)
    if name.endswith("_pct"):
        return f"{value} %"
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return value
        return f"{at.astimezone(UTC):%-d %b %H:%M} UTC"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _device_page(
    site: Site, device_id: str, *, code: str = "", status_code: int = 200, **told: str
) -> Response[str]:
    with site.ctx.tx() as tx:
        live = _device_live(tx, site, device_id)
        state: trust.DeviceState = live["line"].state
        history = trust.device_settings(tx, device_id, 20)
        certificates = trust.device_certificates(tx, device_id)
        changes = trust.device_changes(tx, device_id)
    newest = history[0].values if history else {}
    return page(
        "console/device.html",
        status_code=status_code,
        here="devices",
        code=code,
        settings_text=told.get("settings_text", settings_text(newest)),
        settings_fault=told.get("settings_fault", ""),
        status_fault=told.get("status_fault", ""),
        reason=told.get("reason", ""),
        history=[
            SettingsLine(
                one.version,
                settings_text(one.values).replace("\n", ", "),
                one.made_at,
                one.made_by,
                one.version == state.settings,
            )
            for one in history
        ],
        certificates=[(one, one.serial.hex()) for one in certificates],
        changes=changes,
        **live,
    )


def _device_live(tx: Tx, site: Site, device_id: str) -> dict[str, Any]:
    now = site.ctx.clock.now()
    state = trust.get_device_state(tx, device_id)
    slots = trust.telemetry_since(tx, device_id, _day_begins(now))
    alerts = trust.device_alerts(tx, device_id)
    return {
        "line": line_of(state, _versions(tx), now),
        "alerts": [alert_line(one) for one in alerts],
        "accepted": _chart(slots, now, "let in", [one.accepted for one in slots]),
        "refused": _chart(slots, now, "refused", [one.refused for one in slots]),
        "offsets": offset_picture(slots, now),
        "slots": list(reversed(slots))[:24],
        "tally": sorted(state.tally.items(), key=lambda one: (one[0] != "ok", -one[1], one[0])),
        "as_of": now,
    }


def _day_begins(now: datetime) -> datetime:
    """A day before the end of the present five minutes."""
    return now.replace(minute=now.minute // SLOT_MIN * SLOT_MIN, second=0, microsecond=0) - DAY


def _chart(slots: Sequence[trust.TelemetrySlot], now: datetime, what: str, counts: list[int]) -> BarChart:
    """Counts of a day in bars of five minutes."""
    begin = _day_begins(now)
    bars = [0] * (int(DAY / timedelta(minutes=SLOT_MIN)) + 1)
    for slot, count in zip(slots, counts, strict=True):
        bars[min(len(bars) - 1, int((slot.slot - begin) / timedelta(minutes=SLOT_MIN)))] = count
    return bar_chart(
        bars, minutes=SLOT_MIN, first_minute=begin.hour * 60 + begin.minute, what=what, height=120
    )


WIDTH, HEIGHT, EDGE = 760, 90, 8


def offset_picture(slots: Sequence[trust.TelemetrySlot], now: datetime) -> OffsetPicture | None:
    """The clock's offset as a line over a day; None where it was said less than twice."""
    begin = _day_begins(now)
    told = [(one.slot, one.clock_offset_ms) for one in slots if one.clock_offset_ms is not None]
    if len(told) < 2:
        return None
    most, least = max(0, *(ms for _, ms in told)), min(0, *(ms for _, ms in told))
    span = max(1, most - least)

    def y_of(offset_ms: int) -> float:
        return round(EDGE + (most - offset_ms) / span * (HEIGHT - 2 * EDGE), 1)

    points = [f"{round((at - begin) / DAY * WIDTH, 1)} {y_of(ms)}" for at, ms in told]
    return OffsetPicture(
        WIDTH, HEIGHT, "M" + " L".join(points), y_of(0), offset_text(most), offset_text(least)
    )


def settings_text(values: dict[str, Any]) -> str:
    """Settings as they are typed: a line for each, ``name = value``; a table's as ``name.key = value``."""
    lines: list[str] = []
    for name, value in sorted(values.items()):
        if isinstance(value, dict):
            table = cast(dict[str, str], value)
            lines += [f"{name}.{key} = {text}" for key, text in sorted(table.items())]
        elif isinstance(value, bool):
            lines.append(f"{name} = {str(value).lower()}")
        else:
            lines.append(f"{name} = {value}")
    return "\n".join(lines)


def read_settings_text(text: str) -> dict[str, Any]:
    """The settings of such lines. Errors: InvalidInput, naming the line."""
    values: dict[str, Any] = {}
    for number, line in enumerate(text.replace("\0", "").splitlines(), start=1):
        if not line.strip():
            continue
        name, sign, value = line.partition("=")
        name, value = name.strip(), value.strip()
        table, dot, key = name.partition(".")
        if not sign or not table or (dot and not key):
            raise _unfit(f"line {number}", repr(line[:60]), "Write name = value")
        if dot:
            inner = values.setdefault(table, {})
            if not isinstance(inner, dict):
                raise _unfit(f"line {number}", repr(line[:60]), f"{table} is a value above; give it once")
            inner[key] = value
        elif table in values:
            raise _unfit(f"line {number}", repr(line[:60]), f"{table} is given above; give it once")
        else:
            values[table] = setting_of(value)
    return values


def _unfit(where: str, what: str, remedy: str) -> InvalidInput:
    return InvalidInput("This cannot be done.", problems=(Problem(where, what, remedy),))


def _said(error: HansaError) -> str:
    if error.problems:
        return " ".join(f"{one.where}: {one.what}. {one.remedy}." for one in error.problems)
    return error.detail


ROUTES = [
    show_devices,
    show_live,
    register,
    set_rule,
    show_device,
    show_device_live,
    set_settings,
    set_status,
]
