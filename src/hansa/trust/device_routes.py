"""The HTTP face of devices: boxes enrol here, operators look at theirs, set them and shut them out."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from hansa.kernel import InvalidInput, Problem, paged
from hansa.store import Context
from hansa.trust import devices
from hansa.trust.actions import get_gate
from hansa.trust.device_model import (
    SETTING_ROWS_MAX,
    SETTING_TEXT_MAX,
    SETTINGS_MAX,
    DeviceDiffers,
    DeviceNotActive,
    DeviceState,
    EnrolmentRefused,
    NewDevice,
    NoBroker,
    RenewalRefused,
    UnknownDevice,
    WantedSettings,
)
from hansa.trust.model import Caller, GateRecord, NotAllowed, UnknownGate

Pem = Annotated[str, msgspec.Meta(max_length=8_000)]
Name = Annotated[str, QueryParameter(max_length=100)]
MaybeName = Annotated[str | None, QueryParameter(max_length=100)]
DeviceId = Annotated[str, PathParameter(max_length=64)]
SettingText = Annotated[str, msgspec.Meta(max_length=SETTING_TEXT_MAX)]
Setting = (
    bool
    | Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)]
    | SettingText
    | Annotated[dict[SettingText, SettingText], msgspec.Meta(max_length=SETTING_ROWS_MAX)]
)
"""What a setting may be: as ``check_settings`` has it."""


class Enrolment(msgspec.Struct, frozen=True):
    """code: from the operator, good once and for a day. csr: PKCS#10 by the box's own P-256 key, PEM."""

    code: Annotated[str, msgspec.Meta(min_length=8, max_length=100)]
    csr: Pem


class Renewal(msgspec.Struct, frozen=True):
    """at: the box's time in whole seconds since 1970. signature: hex of DER, by the certificate's key."""

    certificate: Pem
    csr: Pem
    at: Annotated[int, msgspec.Meta(ge=0, le=4_000_000_000)]
    signature: Annotated[str, msgspec.Meta(max_length=200, pattern="^([0-9a-f]{2})+$")]


class BrokerView(msgspec.Struct, frozen=True):
    """Where the broker is."""

    host: str
    port: int


class GateIdentityView(msgspec.Struct, frozen=True):
    """The gate that the box is. cell: hex, 3 bytes."""

    gate_id: str
    operator_id: str
    city_id: str
    stop_id: str | None
    line_id: str | None
    action: str
    product: str
    cell: str


class SettingsView(msgspec.Struct, frozen=True):
    """Settings as they are wanted. made_by: the caller who said so."""

    version: int
    values: dict[str, Any]
    made_at: datetime
    made_by: str


class EnrolledView(msgspec.Struct, frozen=True):
    """What a box needs. root, list_key: Ed25519 public keys, hex. api_key is shown this once."""

    device_id: str
    certificate: str
    ca: str
    root: str
    list_key: str
    broker: BrokerView
    api_key: str
    gate: GateIdentityView
    settings: SettingsView


class RenewedView(msgspec.Struct, frozen=True):
    """The next certificate, PEM."""

    certificate: str


class DeviceView(msgspec.Struct, frozen=True):
    """A device and what it said last; null is what it never said."""

    device_id: str
    kind: str
    member_id: str
    city_id: str
    gate_id: str
    stop_id: str | None
    vehicle: str | None
    roles: list[str]
    status: str
    registered_at: datetime
    connected: bool
    since: datetime | None
    last_seen_at: datetime | None
    clock_offset_ms: int | None
    trust_list: int | None
    deny_list: int | None
    deny_list_at: datetime | None
    settings: int | None
    settings_wanted: int | None
    sequence: int | None
    last_tap_at: datetime | None
    pending: int | None
    uptime_s: int | None
    firmware: str | None
    tally: dict[str, int]
    storage_free_pct: int | None
    battery_pct: int | None
    temperature_c: int | None
    certificate_ends_at: datetime | None
    alerts: int


class AlertView(msgspec.Struct, frozen=True):
    """Something that is the matter."""

    rule: str
    words: str
    opened_at: datetime
    facts: dict[str, Any]


class DevicePage(msgspec.Struct, frozen=True):
    """Some devices by id; ``next`` asks for those after them, null at the end."""

    devices: list[DeviceView]
    next: str | None


class DeviceDetail(msgspec.Struct, frozen=True):
    """A device with its alerts and its newest settings."""

    device: DeviceView
    alerts: list[AlertView]
    settings: SettingsView | None


class NewDeviceBody(msgspec.Struct, frozen=True):
    """A box to be. kind: what it is. vehicle: what it rides on."""

    device_id: Annotated[str, msgspec.Meta(max_length=64)]
    gate_id: Annotated[str, msgspec.Meta(max_length=200, pattern="^[^\\x00]+$")]
    kind: Literal["gate", "vehicle", "validator"] = "gate"
    vehicle: Annotated[str, msgspec.Meta(max_length=100, pattern="^[^\\x00]*$")] | None = None
    roles: Annotated[
        list[Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,40}$")]], msgspec.Meta(max_length=20)
    ] = []


class InvitedView(msgspec.Struct, frozen=True):
    """code: good once and for a day; shown this once."""

    device_id: str
    code: str


class WantedBody(msgspec.Struct, frozen=True):
    """The settings, whole: what is not named is left to the device."""

    values: Annotated[
        dict[Annotated[str, msgspec.Meta(max_length=40)], Setting], msgspec.Meta(max_length=SETTINGS_MAX)
    ]


class StatusBody(msgspec.Struct, frozen=True):
    """suspended: shut out until it is invited again. retired: for good. invited: may enrol with a new code."""

    status: Literal["suspended", "retired", "invited"]
    reason: Annotated[str, msgspec.Meta(max_length=500, pattern="^[^\\x00]*$")] = ""


class Changed(msgspec.Struct, frozen=True):
    """Whether it was otherwise before."""

    changed: bool


@post(
    "/v1/devices/enrol",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"refuses": (EnrolmentRefused, NoBroker, InvalidInput)},
)
def enrol(
    ctx: NamedDependency[Context],
    registrar: NamedDependency[devices.Registrar | None],
    data: JSONBody[Enrolment],
) -> EnrolledView:
    """Enrol a box with its one-time code and the key that it made itself.

    Gives its certificate, the authority's, the league's root and list keys, the broker, the gate it is, its first
    settings, and an API key for HTTP. A refused request does not use the code up.
    """
    if registrar is None:
        raise NoBroker
    with ctx.tx() as tx:
        got = devices.enrol_device(tx, registrar, code=data.code, csr=data.csr, at=ctx.clock.now())
    return EnrolledView(
        got.device.device_id,
        got.certificate,
        got.ca,
        registrar.root_public.hex(),
        registrar.list_public.hex(),
        BrokerView(registrar.broker.host, registrar.broker.port),
        got.api_key,
        _gate(got.gate),
        _settings(got.settings),
    )


@post(
    "/v1/devices/renew",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"refuses": (RenewalRefused, NoBroker, InvalidInput)},
)
def renew(
    ctx: NamedDependency[Context],
    registrar: NamedDependency[devices.Registrar | None],
    data: JSONBody[Renewal],
) -> RenewedView:
    """Give a box its next certificate, asked for with the key of the present one.

    The signature is over `hansa device renewal`, a line feed, the device's id, a line feed, `at`, a line feed, and the
    request as it is sent.
    """
    if registrar is None:
        raise NoBroker
    with ctx.tx() as tx:
        certificate = devices.renew_device(
            tx,
            registrar,
            certificate=data.certificate,
            csr=data.csr,
            said_at=datetime.fromtimestamp(data.at, UTC),
            signature=bytes.fromhex(data.signature),
            at=ctx.clock.now(),
        )
    return RenewedView(certificate)


@get(
    "/v1/devices",
    sync_to_thread=True,
    tags=["Trust"],
    opt={"needs": "devices:read", "refuses": (InvalidInput,)},
)
def list_devices(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    city_id: MaybeName = None,
    status: MaybeName = None,
    connected: FromQuery[bool | None] = None,
    q: Name = "",
    after: Name = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
) -> DevicePage:
    """Your devices by id, with what they said last; the league sees all. Needs `devices:read`.

    q: part of a name: the device's, its gate's, stop's, line's, vehicle's or member's, or its firmware's.
    """
    member_id = _whose(caller, "devices:read")
    for name, text in (("city_id", city_id or ""), ("status", status or ""), ("after", after)):
        if "\0" in text:
            raise InvalidInput(
                "A name holds no NUL.", problems=(Problem(name, "it holds a NUL", "Take it out"),)
            )
    with ctx.tx() as tx:
        found = devices.list_device_states(
            tx,
            member_id=member_id,
            city_id=city_id,
            status=status,
            connected=connected,
            text=q or None,
            after=after,
            limit=limit + 1,
        )
    page, more = paged(found, limit, lambda one: one.device.device_id)
    return DevicePage([_device(one) for one in page], more)


@get(
    "/v1/devices/{device_id:str}",
    sync_to_thread=True,
    tags=["Trust"],
    opt={"needs": "devices:read", "refuses": (UnknownDevice,)},
)
def get_device(
    ctx: NamedDependency[Context], caller: NamedDependency[Caller], device_id: DeviceId
) -> DeviceDetail:
    """A device of yours: what it said last, its open alerts, the settings it is to follow. Needs `devices:read`."""
    member_id = _whose(caller, "devices:read")
    with ctx.tx() as tx:
        state = devices.get_device_state(tx, device_id, member_id=member_id)
        alerts = devices.open_device_alerts(tx, device_id=device_id)
        wanted = devices.device_settings(tx, device_id, 1)
    return DeviceDetail(
        _device(state),
        [AlertView(one.rule, one.words, one.opened_at, one.facts) for one in alerts],
        _settings(wanted[0]) if wanted else None,
    )


@post(
    "/v1/devices",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "devices:write", "refuses": (UnknownGate, DeviceDiffers, InvalidInput)},
)
def add_device(
    ctx: NamedDependency[Context], caller: NamedDependency[Caller], data: JSONBody[NewDeviceBody]
) -> DeviceView:
    """Register a box for a gate of yours. Again with the same words is harmless. Needs `devices:write`."""
    member_id = _whose(caller, "devices:write")
    with ctx.tx() as tx:
        gate = get_gate(tx, data.gate_id)
        if member_id is not None and gate.operator_id != member_id:
            raise UnknownGate(f"You have no gate {data.gate_id!r}.")
        new = NewDevice(
            data.device_id, data.kind, gate.operator_id, data.gate_id, data.vehicle, tuple(data.roles)
        )
        devices.add_devices(tx, [new], ctx.clock.now())
        state = devices.get_device_state(tx, data.device_id)
    return _device(state)


@post(
    "/v1/devices/{device_id:str}/invite",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "devices:write", "refuses": (UnknownDevice, DeviceNotActive)},
)
def invite_device(
    ctx: NamedDependency[Context], caller: NamedDependency[Caller], device_id: DeviceId
) -> InvitedView:
    """Make a one-time code with which a box of yours enrols within a day. Needs `devices:write`.

    Each call makes another code, and earlier ones stay good until they are used or end.
    """
    member_id = _whose(caller, "devices:write")
    with ctx.tx() as tx:
        devices.get_device(tx, device_id, member_id=member_id)
        code = devices.invite_device(tx, device_id, ctx.clock.now())
    return InvitedView(device_id, code)


@put(
    "/v1/devices/{device_id:str}/settings",
    sync_to_thread=True,
    tags=["Trust"],
    opt={"needs": "devices:write", "refuses": (UnknownDevice, InvalidInput)},
)
def put_settings(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    device_id: DeviceId,
    data: JSONBody[WantedBody],
) -> SettingsView:
    """Say what a device of yours is to be set to. The same again makes no new version. Needs `devices:write`."""
    member_id = _whose(caller, "devices:write")
    with ctx.tx() as tx:
        wanted = devices.set_device_settings(
            tx,
            device_id,
            dict(data.values),
            at=ctx.clock.now(),
            made_by=caller.caller_id,
            member_id=member_id,
        )
    return _settings(wanted)


@post(
    "/v1/devices/{device_id:str}/status",
    sync_to_thread=True,
    status_code=200,
    tags=["Trust"],
    opt={"needs": "devices:write", "refuses": (UnknownDevice, DeviceNotActive)},
)
def post_status(
    ctx: NamedDependency[Context],
    caller: NamedDependency[Caller],
    device_id: DeviceId,
    data: JSONBody[StatusBody],
) -> Changed:
    """Suspend a device of yours, retire it, or let it enrol again. Needs `devices:write`.

    A suspended or retired device loses its certificate and its API key at once. Again is harmless.
    """
    member_id = _whose(caller, "devices:write")
    with ctx.tx() as tx:
        changed = devices.set_device_status(
            tx,
            device_id,
            data.status,
            ctx.clock.now(),
            made_by=caller.caller_id,
            reason=data.reason,
            member_id=member_id,
        )
    return Changed(changed)


def _whose(caller: Caller, scope: str) -> str | None:
    """The member whose devices a caller may see; None for the league, which may see all."""
    caller.require(scope)
    if caller.kind == "league":
        return None
    if caller.member_id is None or caller.gate_id is not None:
        raise NotAllowed("Only a member of the league may do this.")
    return caller.member_id


def _gate(gate: GateRecord) -> GateIdentityView:
    return GateIdentityView(
        gate.gate_id,
        gate.operator_id,
        gate.city_id,
        gate.stop_id,
        gate.line_id,
        gate.action,
        gate.product,
        gate.cell.hex(),
    )


def _settings(wanted: WantedSettings) -> SettingsView:
    return SettingsView(wanted.version, wanted.values, wanted.made_at, wanted.made_by)


def _device(one: DeviceState) -> DeviceView:
    device = one.device
    return DeviceView(
        device_id=device.device_id,
        kind=device.kind,
        member_id=device.member_id,
        city_id=one.city_id,
        gate_id=device.gate_id,
        stop_id=one.stop_id,
        vehicle=device.vehicle,
        roles=list(device.roles),
        status=device.status,
        registered_at=device.registered_at,
        connected=one.connected,
        since=one.since,
        last_seen_at=one.last_seen_at,
        clock_offset_ms=one.clock_offset_ms,
        trust_list=one.trust_list,
        deny_list=one.deny_list,
        deny_list_at=one.deny_list_at,
        settings=one.settings,
        settings_wanted=one.settings_wanted,
        sequence=one.sequence,
        last_tap_at=one.last_tap_at,
        pending=one.pending,
        uptime_s=one.uptime_s,
        firmware=one.firmware,
        tally=one.tally,
        storage_free_pct=one.storage_free_pct,
        battery_pct=one.battery_pct,
        temperature_c=one.temperature_c,
        certificate_ends_at=one.certificate_ends_at,
        alerts=one.alerts,
    )


ROUTES = [enrol, renew, list_devices, add_device, get_device, invite_device, put_settings, post_status]
