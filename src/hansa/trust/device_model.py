"""The words of devices: the boxes of the league, what they say of themselves, what is asked of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, cast, get_args
from uuid import UUID

from hansa.kernel import HansaError, InvalidInput, Problem
from hansa.trust.model import MemberId

DeviceKind = Literal["gate", "vehicle", "validator"]
DeviceStatus = Literal["invited", "active", "suspended", "retired"]

DEVICE_KINDS: tuple[DeviceKind, ...] = get_args(DeviceKind)
DEVICE_STATUSES: tuple[DeviceStatus, ...] = get_args(DeviceStatus)

CODE_LIFE = timedelta(days=1)
"""How long a box may enrol with its code."""

CERTIFICATE_LIFE = timedelta(days=365)

REASON_MAX = 500
"""Characters of the reason why a device is shut out."""

SETTINGS_MAX = 50
SETTING_TEXT_MAX = 500
SETTING_ROWS_MAX = 1_000
"""Names in one set of settings."""

OURS = "hansa-"
"""Names that begin so are the league's own programs at the broker, never a device's."""

_DEVICE_ID = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_SETTING = re.compile(r"[a-z][a-z0-9_]{0,39}")


class UnknownDevice(HansaError):
    """The league has no such device, or it is another member's."""

    code: ClassVar[str] = "trust.unknown_device"
    status: ClassVar[int] = 404


class DeviceDiffers(HansaError):
    """A device of this name is there already, and it is not the same."""

    code: ClassVar[str] = "trust.device_differs"
    status: ClassVar[int] = 409


class EnrolmentRefused(HansaError):
    """This code enrols no device: it is unknown, used or has ended. Ask the operator for a new one."""

    code: ClassVar[str] = "trust.enrolment_refused"
    status: ClassVar[int] = 403


class RenewalRefused(HansaError):
    """This certificate cannot be renewed: it is not the league's, has ended, or its device is not active."""

    code: ClassVar[str] = "trust.renewal_refused"
    status: ClassVar[int] = 403


class DeviceNotActive(HansaError):
    """This device is not active, so that cannot be done with it."""

    code: ClassVar[str] = "trust.device_not_active"
    status: ClassVar[int] = 409


class NoBroker(HansaError):
    """This Hansa keeps no broker for devices. Make one with: hansa device broker."""

    code: ClassVar[str] = "trust.no_broker"
    status: ClassVar[int] = 404


@dataclass(frozen=True, slots=True)
class Device:
    """A box of the league. gate_id: the gate it acts for. vehicle: what it rides on. roles: what it is used for."""

    device_id: str
    kind: DeviceKind
    member_id: MemberId
    gate_id: str
    vehicle: str | None
    roles: tuple[str, ...]
    status: DeviceStatus
    registered_at: datetime
    changed_at: datetime
    public_key: bytes | None = None
    firmware: str | None = None


@dataclass(frozen=True, slots=True)
class NewDevice:
    """What an operator says of a box before it enrols."""

    device_id: str
    kind: DeviceKind
    member_id: MemberId
    gate_id: str
    vehicle: str | None = None
    roles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Errors: InvalidInput for a name that no certificate and no topic takes."""
        unfit = not _DEVICE_ID.fullmatch(self.device_id) or len(self.device_id) > 64
        if unfit or self.device_id.startswith(OURS):
            raise InvalidInput(
                "This cannot be a device's name.",
                problems=(
                    Problem(
                        "device_id",
                        repr(self.device_id[:80]),
                        f"Use at most 64 small letters, digits, hyphens and dots, and do not begin with {OURS}",
                    ),
                ),
            )


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that was given out. serial: big-endian bytes."""

    serial: bytes
    device_id: str
    begins_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StateReport:
    """A device came online, or its last will says that it is gone. session: names the connection."""

    device_id: str
    online: bool
    session: str
    firmware: str | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a device says of itself once a minute.

    clock_offset_ms: how far its clock runs ahead. deny_list_at: when the league last said that the list is fresh.
    pending: taps not handed in. tally: decisions since it started, by reason. None: it did not say.
    """

    device_id: str
    session: str
    clock_offset_ms: int | None = None
    trust_list: int | None = None
    deny_list: int | None = None
    deny_list_at: datetime | None = None
    settings: int | None = None
    sequence: int | None = None
    last_tap_at: datetime | None = None
    pending: int | None = None
    uptime_s: int | None = None
    firmware: str | None = None
    tally: Mapping[str, int] = field(default_factory=dict[str, int])
    storage_free_pct: int | None = None
    battery_pct: int | None = None
    temperature_c: int | None = None

    @property
    def accepted(self) -> int:
        """Codes let in since it started."""
        return self.tally.get("ok", 0)

    @property
    def refused(self) -> int:
        """Codes refused since it started."""
        return sum(self.tally.values()) - self.accepted


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What a device said last, and what the league asks of it.

    since: when it came or went. settings_wanted: the newest version; settings: the one it says it follows.
    certificate_ends_at: of its newest certificate.
    """

    device: Device
    city_id: str
    stop_id: str | None
    line_id: str | None
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
    accepted: int
    refused: int
    tally: dict[str, int]
    storage_free_pct: int | None
    battery_pct: int | None
    temperature_c: int | None
    certificate_ends_at: datetime | None
    alerts: int


@dataclass(frozen=True, slots=True)
class TelemetrySlot:
    """Five minutes of a device."""

    slot: datetime
    messages: int
    accepted: int
    refused: int
    pending_max: int | None
    clock_offset_ms: int | None


@dataclass(frozen=True, slots=True)
class WantedSettings:
    """Settings that a device is to follow. made_by: the caller who said so."""

    device_id: str
    version: int
    values: dict[str, Any]
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True)
class DeviceAlert:
    """Something that is the matter with a device. closed_at: when it was over."""

    alert_id: UUID
    rule: str
    device_id: str
    opened_at: datetime
    closed_at: datetime | None
    facts: dict[str, Any]
    words: str


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """When somebody is told of a device. words: with ``%s`` where the threshold stands, if it has one."""

    rule: str
    threshold: int
    words: str
    is_on: bool

    @property
    def told(self) -> str:
        """The rule in words, as ``offline for more than 600 s``."""
        return self.words.replace("%s", f"{self.threshold:,}")


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A device was let in or shut out. made_by: the caller who did it, ``enrolment`` for the box itself."""

    at: datetime
    status: DeviceStatus
    made_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceCounts:
    """How many devices there are, of which kind of state."""

    devices: int
    active: int
    connected: int
    suspended: int
    alerts: int


@dataclass(frozen=True, slots=True)
class Broker:
    """Where devices find the broker."""

    host: str
    port: int


def check_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, if they are small and plain. Errors: InvalidInput."""
    problems: list[Problem] = []
    if len(values) > SETTINGS_MAX:
        problems.append(Problem("values", f"{len(values)} names", f"Give at most {SETTINGS_MAX}"))
    for name, value in values.items():
        if not _SETTING.fullmatch(name):
            problems.append(Problem("values", f"{name[:60]!r}", "Use small letters, digits and underscores"))
        elif not _is_plain(value) and not _is_table(value):
            remedy = f"Give text of at most {SETTING_TEXT_MAX}, a number below 2^53, true or false, or a table of texts"
            problems.append(Problem(f"values.{name}", "it cannot be sent", remedy))
    if problems:
        raise InvalidInput("These cannot be settings.", problems=tuple(problems))
    return dict(values)


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= SETTING_TEXT_MAX and "\0" not in value
    return isinstance(value, bool) or (type(value) is int and -(2**53) < value < 2**53)


def _is_table(value: object) -> bool:
    if not isinstance(value, dict) or len(cast(dict[object, object], value)) > SETTING_ROWS_MAX:
        return False
    rows = cast(dict[object, object], value).items()
    return all(
        isinstance(name, str) and isinstance(text, str) and _is_plain(name) and _is_plain(text)
        for name, text in rows
    )
