"""What can be done with devices: register, enrol, renew, suspend, hear of their state, set them, watch over them."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from hansa.audit import Act, record
from hansa.kernel import InvalidInput, Problem, fact_id, in_utc
from hansa.store import Event, Tx, write_outbox
from hansa.trust import actions, device_store, store
from hansa.trust.device_ca import (
    DeviceCa,
    name_of,
    pem,
    read_certificate,
    read_request,
    serial_of,
    spki,
)
from hansa.trust.device_model import (
    CODE_LIFE,
    REASON_MAX,
    Broker,
    Certificate,
    Device,
    DeviceAlert,
    DeviceChange,
    DeviceCounts,
    DeviceDiffers,
    DeviceNotActive,
    DeviceRule,
    DeviceState,
    DeviceStatus,
    EnrolmentRefused,
    NewDevice,
    RenewalRefused,
    StateReport,
    Telemetry,
    TelemetrySlot,
    UnknownDevice,
    WantedSettings,
    check_settings,
)
from hansa.trust.model import GateRecord, UnknownGate

TELEMETRY_KEPT = timedelta(days=7)
ALERTS = "device-alerts"
"""The outbox topic on which alerts are told as they open and close."""

THRESHOLD_MAX = 1_000_000_000
"""The largest threshold of a rule, in whatever unit."""

RENEWAL = b"hansa device renewal\n"
RENEWAL_SKEW = timedelta(minutes=10)
"""How far the clock of a box that renews may be off."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """What enrolment needs of this Hansa. root_public: the league's root key, 32 bytes. list_public: its list key."""

    ca: DeviceCa
    root_public: bytes
    list_public: bytes
    broker: Broker


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a box gets. certificate, ca: PEM. api_key: for HTTP, its gate's taps only; shown this once."""

    device: Device
    gate: GateRecord
    certificate: str
    ca: str
    api_key: str
    settings: WantedSettings


# -- who there is -------------------------------------------------------------------------------------------


def add_devices(tx: Tx, devices: Sequence[NewDevice], at: datetime) -> None:
    """Register these boxes. Again with the same is harmless.

    Errors: UnknownGate for a gate that is not the member's; DeviceDiffers when one is there with other words.
    """
    gates = actions.find_gates(tx, {one.gate_id for one in devices})
    for one in devices:
        gate = gates.get(one.gate_id)
        if gate is None or gate.operator_id != one.member_id:
            raise UnknownGate(f"{one.member_id} has no gate {one.gate_id!r}.")
    device_store.insert_devices(tx, devices, at)
    kept = device_store.find_devices(tx, [one.device_id for one in devices])
    for one in devices:
        there = kept[one.device_id]
        said = (there.kind, there.member_id, there.gate_id, there.vehicle, there.roles)
        if said != (one.kind, one.member_id, one.gate_id, one.vehicle, one.roles):
            raise DeviceDiffers(f"{one.device_id} is there already with other words.")


def get_device(tx: Tx, device_id: str, *, member_id: str | None = None) -> Device:
    """The device; with ``member_id``, if it is that member's. Errors: UnknownDevice."""
    device = device_store.find_devices(tx, [device_id]).get(device_id)
    if device is None or (member_id is not None and device.member_id != member_id):
        raise UnknownDevice(f"There is no device {device_id!r}.")
    return device


def find_devices(tx: Tx, ids: Iterable[str]) -> dict[str, Device]:
    """Those of these devices that there are, by id."""
    return device_store.find_devices(tx, ids)


def invite_device(tx: Tx, device_id: str, at: datetime) -> str:
    """A one-time code with which the box enrols within a day. It is shown this once; its hash is kept.

    Errors: UnknownDevice; DeviceNotActive for one that is suspended or retired.
    """
    device = get_device(tx, device_id)
    if device.status not in ("invited", "active"):
        raise DeviceNotActive(f"{device_id} is {device.status}.")
    code = "-".join(secrets.token_hex(4) for _ in range(4))
    device_store.insert_code(tx, _hash(code), device_id, at=at, ends_at=at + CODE_LIFE)
    return code


def enrol_device(tx: Tx, registrar: Registrar, *, code: str, csr: str, at: datetime) -> Enrolled:
    """Let a box in: its key from the request, a certificate for a year, an API key for its gate's taps.

    A box that enrols anew, as after a repair, ends its earlier certificates and its earlier API key.
    Errors: EnrolmentRefused; InvalidInput for a request that cannot be read. The code is used up in neither case.
    """
    public_key = read_request(csr)
    device_id = device_store.use_code(tx, _hash(code), at)
    if device_id is None or device_store.lock_device(tx, device_id) not in ("invited", "active"):
        raise EnrolmentRefused
    _shut_out(tx, device_id, at)
    device = get_device(tx, device_id)
    api_key = actions.create_api_key(tx, device.member_id, ["taps:write"], at=at, gate_id=device.gate_id)
    device_store.set_enrolled(tx, device_id, public_key=spki(public_key), api_key_hash=_hash(api_key), at=at)
    device_store.insert_change(tx, device_id, DeviceChange(at, "active", "enrolment", ""))
    certificate = _certify(tx, registrar.ca, device_id, public_key, at)
    wanted = device_store.settings(tx, device_id, 1)
    if not wanted:
        wanted = [device_store.insert_settings(tx, device_id, {}, at=at, made_by="enrolment")]
    return Enrolled(
        get_device(tx, device_id),
        actions.get_gate(tx, device.gate_id),
        certificate,
        registrar.ca.certificate_pem,
        api_key,
        wanted[0],
    )


def renewal_words(device_id: str, at_s: int, csr: str) -> bytes:
    """What a box signs with its present key to get its next certificate."""
    return RENEWAL + f"{device_id}\n{at_s}\n".encode() + csr.encode()


def renew_device(
    tx: Tx,
    registrar: Registrar,
    *,
    certificate: str,
    csr: str,
    said_at: datetime,
    signature: bytes,
    at: datetime,
) -> str:
    """The device's next certificate, as PEM, asked for with the present one's key.

    said_at: the box's own time, whole seconds. signature: ECDSA (DER) over `renewal_words`.
    Errors: RenewalRefused; InvalidInput for a request or certificate that cannot be read.
    """
    present, public_key = read_certificate(certificate), read_request(csr)
    device_id = name_of(present)
    if not registrar.ca.signed(present):
        raise RenewalRefused
    if abs(in_utc(said_at) - at) > RENEWAL_SKEW or at >= present.not_valid_after_utc:
        raise RenewalRefused("The request is too old, or the certificate has ended: enrol again with a code.")
    key = cast(ec.EllipticCurvePublicKey, present.public_key())
    try:
        key.verify(signature, renewal_words(device_id, int(said_at.timestamp()), csr), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise RenewalRefused("The certificate's own key did not sign this request.") from None
    if device_store.lock_device(tx, device_id) != "active":
        raise RenewalRefused
    kept = device_store.find_certificate(tx, serial_of(present))
    if kept is None or kept.device_id != device_id or kept.revoked_at is not None:
        raise RenewalRefused
    device_store.set_public_key(tx, device_id, spki(public_key), at)
    return _certify(tx, registrar.ca, device_id, public_key, at)


def set_device_status(
    tx: Tx,
    device_id: str,
    status: DeviceStatus,
    at: datetime,
    *,
    made_by: str,
    reason: str = "",
    member_id: str | None = None,
) -> bool:
    """Suspend a device, retire it for good, or let a suspended one enrol again. Gives whether that changed anything.

    A device that is suspended or retired loses its certificates and its API key at once; one that is let back enrols
    with a new code (``invited``). made_by, reason: kept with the change.
    Errors: UnknownDevice; DeviceNotActive for what was retired; InvalidInput for a reason that is too long.
    """
    get_device(tx, device_id, member_id=member_id)
    if len(reason) > REASON_MAX or "\0" in reason:
        problem = Problem("reason", "it is too long or holds a NUL", f"Use at most {REASON_MAX} characters")
        raise InvalidInput("This reason cannot be kept.", problems=(problem,))
    if status == "active":
        raise InvalidInput(
            "A device becomes active by enrolling.",
            problems=(Problem("status", "it is active", "Set it to invited, and give the box a new code"),),
        )
    before = device_store.lock_device(tx, device_id)
    if before == status:
        return False
    if before == "retired":
        raise DeviceNotActive(f"{device_id} was retired for good; register the box under another name.")
    if before == "active" and status == "invited":
        raise DeviceNotActive(f"{device_id} is active; suspend it first.")
    _shut_out(tx, device_id, at)
    device_store.insert_change(tx, device_id, DeviceChange(at, status, made_by, reason))
    return device_store.set_status(tx, device_id, status, at)


def device_changes(tx: Tx, device_id: str, limit: int = 20) -> list[DeviceChange]:
    """Who let the device in or shut it out, and why, newest first."""
    return device_store.changes(tx, device_id, limit)


# -- what they say ------------------------------------------------------------------------------------------


def record_states(tx: Tx, reports: Iterable[StateReport], at: datetime) -> None:
    """Take what devices say of being there. Of a device that says several things, the last counts.

    What suspended or unknown devices say is dropped; so is the last will of a connection that another has followed.
    """
    last: dict[str, StateReport] = {}
    for report in reports:
        before = last.get(report.device_id)
        if report.online or before is None or before.session == report.session:
            last[report.device_id] = report
    device_store.upsert_states(tx, list(last.values()), at)


def record_telemetry(tx: Tx, told: Iterable[Telemetry], at: datetime) -> None:
    """Take what devices say of themselves; of several things from one, the last. at: when we heard it."""
    last = {one.device_id: one for one in told}
    device_store.upsert_telemetry(tx, list(last.values()), at)


def forget_telemetry(tx: Tx, at: datetime) -> int:
    """Let go of what is older than a week; gives how many rows."""
    return device_store.forget_telemetry(tx, at - TELEMETRY_KEPT)


def list_device_states(
    tx: Tx,
    *,
    member_id: str | None = None,
    city_id: str | None = None,
    status: str | None = None,
    connected: bool | None = None,
    alerted: bool = False,
    text: str | None = None,
    after: str = "",
    limit: int = 100,
) -> list[DeviceState]:
    """Devices by id with what they said last; after an id, at most so many.

    text: part of a name: the device's, its gate's, stop's, line's, vehicle's or member's, or its firmware's.
    """
    return device_store.states(
        tx,
        member_id=member_id,
        city_id=city_id,
        status=status,
        connected=connected,
        alerted=alerted,
        text=text,
        after=after,
        limit=limit,
    )


def get_device_state(tx: Tx, device_id: str, *, member_id: str | None = None) -> DeviceState:
    """A device with what it said last. Errors: UnknownDevice, also for another member's."""
    found = device_store.states(tx, device_id=device_id, member_id=member_id, limit=1)
    if not found:
        raise UnknownDevice(f"There is no device {device_id!r}.")
    return found[0]


def count_devices(tx: Tx, member_id: str | None = None) -> DeviceCounts:
    """How many there are, of all or of a member, and how many alerts are open."""
    return device_store.counts(tx, member_id)


def telemetry_since(tx: Tx, device_id: str, since: datetime) -> list[TelemetrySlot]:
    """A device's telemetry in slots of five minutes, oldest first."""
    return device_store.telemetry(tx, device_id, since)


# -- what is asked of them ----------------------------------------------------------------------------------


def set_device_settings(
    tx: Tx,
    device_id: str,
    values: dict[str, Any],
    *,
    at: datetime,
    made_by: str,
    member_id: str | None = None,
) -> WantedSettings:
    """The device's next settings, whole. The same as they are changes nothing.

    Errors: UnknownDevice; InvalidInput for what cannot be settings.
    """
    get_device(tx, device_id, member_id=member_id)
    values = check_settings(values)
    device_store.lock_device(tx, device_id)
    newest = device_store.settings(tx, device_id, 1)
    if newest and newest[0].values == values:
        return newest[0]
    return device_store.insert_settings(tx, device_id, values, at=at, made_by=made_by)


def device_settings(tx: Tx, device_id: str, limit: int = 20) -> list[WantedSettings]:
    """What was asked of a device, newest first."""
    return device_store.settings(tx, device_id, limit)


def settings_behind(tx: Tx) -> list[WantedSettings]:
    """The newest settings of those devices that do not say yet that they follow them."""
    return device_store.settings_behind(tx)


# -- what the broker needs to know --------------------------------------------------------------------------


def active_device_gates(tx: Tx) -> list[tuple[str, str, str | None, str]]:
    """Active devices, each with its gate, the gate's stop and its operator."""
    return device_store.active_gates(tx)


def shut_out_devices(tx: Tx) -> list[str]:
    """Devices that are suspended or retired."""
    return device_store.shut_out(tx)


def revoked_certificates(tx: Tx, at: datetime) -> list[Certificate]:
    """Certificates taken back before their end."""
    return device_store.revoked_certificates(tx, at)


def device_certificates(tx: Tx, device_id: str, limit: int = 5) -> list[Certificate]:
    """Certificates that a device was given, newest first."""
    return device_store.certificates(tx, device_id, limit)


# -- what is the matter -------------------------------------------------------------------------------------


def check_devices(
    tx: Tx, at: datetime, *, broken_gates: Sequence[str] = ()
) -> tuple[list[DeviceAlert], list[DeviceAlert]]:
    """Open an alert for what is the matter and close those that are over; gives both. Each is told in the outbox.

    broken_gates: gates whose taps do not continue their chain. Two may check at once: an alert opens once.
    """
    now = device_store.findings(tx, at, broken_gates)
    before = {(one.rule, one.device_id): one for one in device_store.open_alerts(tx)}
    opened: list[DeviceAlert] = []
    for (rule, device_id), facts in sorted(now.items(), key=lambda item: item[0]):
        if (rule, device_id) in before:
            continue
        alert = DeviceAlert(
            fact_id(at, "device alert", rule, device_id), rule, device_id, at, None, facts, ""
        )
        if device_store.open_alert(tx, alert):
            opened.append(alert)
    closed = [one for key, one in before.items() if key not in now]
    if closed:
        device_store.close_alerts(tx, [one.alert_id for one in closed], at)
    if opened or closed:
        write_outbox(
            tx,
            ALERTS,
            [_told(one, "opened", at) for one in opened] + [_told(one, "closed", at) for one in closed],
        )
    return opened, closed


def open_device_alerts(
    tx: Tx, *, device_id: str | None = None, member_id: str | None = None, limit: int = 200
) -> list[DeviceAlert]:
    """Alerts that are not over, newest first."""
    return device_store.open_alerts(tx, device_id=device_id, member_id=member_id, limit=limit)


def device_alerts(tx: Tx, device_id: str, limit: int = 20) -> list[DeviceAlert]:
    """A device's alerts, also those that are over, newest first."""
    return device_store.open_alerts(tx, device_id=device_id, closed=True, limit=limit)


def list_device_rules(tx: Tx) -> list[DeviceRule]:
    """When somebody is told of a device, by name of the rule."""
    return device_store.rules(tx)


def set_device_rule(
    tx: Tx, rule: str, *, threshold: int, is_on: bool = True, by: str, reason: str, at: datetime
) -> DeviceRule:
    """When to be told, from the next check on; an alert of a rule that is off is over then. Again changes nothing.

    threshold: 0 to THRESHOLD_MAX, in the unit that the rule's words say. by, reason: for the audit record.
    Errors: InvalidInput naming the rule, the threshold or the reason at fault. Nothing is changed then.
    """
    known = {one.rule: one for one in device_store.rules(tx)}
    problems: list[Problem] = []
    if rule not in known:
        problems.append(Problem("rule", f"{rule[:40]!r} is none", f"Name one of {', '.join(known)}"))
    if not 0 <= threshold <= THRESHOLD_MAX:
        problems.append(Problem("threshold", f"it is {threshold}", f"Give 0 to {THRESHOLD_MAX:,}"))
    if not reason.strip():
        problems.append(Problem("reason", "there is none", "Say why in a few words"))
    if problems:
        raise InvalidInput("The rule was not changed.", problems=tuple(problems))
    new = replace(known[rule], threshold=threshold, is_on=is_on)
    if new != known[rule]:
        device_store.set_rule(tx, rule, threshold=threshold, is_on=is_on)
        told = {"before": known[rule].threshold, "threshold": threshold, "is_on": is_on}
        record(tx, Act(by, "device.set-rule", f"device-rule:{rule}", reason.strip()[:500], told), at)
    return new


def _told(alert: DeviceAlert, what: str, at: datetime) -> Event:
    body = {
        "alert_id": str(alert.alert_id),
        "what": what,
        "rule": alert.rule,
        "device_id": alert.device_id,
        "at": at.isoformat(),
        "facts": alert.facts,
    }
    return Event(fact_id(at, "device alert told", alert.alert_id, what), body)


def _certify(
    tx: Tx, ca: DeviceCa, device_id: str, public_key: ec.EllipticCurvePublicKey, at: datetime
) -> str:
    made, kept = ca.device(device_id, public_key, at)
    device_store.insert_certificate(tx, kept)
    return pem(made)


def _shut_out(tx: Tx, device_id: str, at: datetime) -> None:
    device_store.revoke_certificates(tx, device_id, at)
    device_store.set_disconnected(tx, device_id, at)
    key_hash = device_store.api_key_hash(tx, device_id)
    if key_hash is not None:
        store.revoke_api_key(tx, key_hash, at)


def _hash(secret: str) -> bytes:
    return sha256(secret.strip().encode("utf-8", "surrogatepass")).digest()
