"""What devices say at the broker, read and bounded; what is out of bounds is nobody's fault but the device's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from hansa import rides, trust
from hansa.gate import Tap
from hansa.kernel import InvalidInput, in_utc

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Bytes4 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}$")]
Bytes8 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
Bytes32 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern="^[^\\x00]*$")]
Short = Annotated[str, msgspec.Meta(max_length=64, pattern="^[^\\x00]*$")]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]

TAPS_MAX = 1_000
"""Taps of one message, so that some devices' messages make one batch for the books."""


class StateMessage(msgspec.Struct, frozen=True):
    """A device is there or gone."""

    online: bool
    session: Short = ""
    firmware: Short = ""


class TelemetryMessage(msgspec.Struct, frozen=True):
    """How a device is. clock_offset_ms: how far its clock runs ahead, where it knows."""

    session: Short = ""
    at: datetime | None = None
    clock_offset_ms: Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)] | None = None
    trust_list: Count | None = None
    deny_list: Count | None = None
    deny_list_at: datetime | None = None
    settings: Count | None = None
    sequence: Count | None = None
    last_tap_at: datetime | None = None
    pending: Count | None = None
    uptime_s: Count | None = None
    firmware: Short = ""
    tally: Annotated[dict[Short, Count], msgspec.Meta(max_length=100)] = msgspec.field(
        default_factory=dict[str, int]
    )
    storage_free_pct: Percent | None = None
    battery_pct: Percent | None = None
    temperature_c: Annotated[int, msgspec.Meta(ge=-100, le=200)] | None = None


class TapMessage(msgspec.Struct, frozen=True):
    """A tap, as ``POST /v1/taps`` takes it."""

    tap_id: UUID
    gate_id: Id
    sequence: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    action: Literal["entry", "exit", "board"]
    stop_id: Id | None
    tapped_at: datetime
    cti: Bytes8
    counter: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    kid: Bytes4
    made_at: datetime
    list_version: Count
    chain: Bytes32
    companion: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0


class TapsMessage(msgspec.Struct, frozen=True):
    """A batch of taps."""

    taps: Annotated[list[TapMessage], msgspec.Meta(min_length=1, max_length=TAPS_MAX)]


class RefusalMessage(msgspec.Struct, frozen=True):
    """How often a gate refused for a reason in a minute."""

    gate_id: Id
    minute: datetime
    reason: Annotated[str, msgspec.Meta(max_length=40, pattern="^[a-z_]+$")]
    count: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class RefusedCodeMessage(msgspec.Struct, frozen=True):
    """A code that a gate refused, as ``POST /v1/refused-codes`` takes it."""

    gate_id: Id
    at: datetime
    reason: Annotated[str, msgspec.Meta(max_length=40, pattern="^[a-z_]+$")]
    kid: Bytes4
    cti: Bytes8
    counter: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    made_at: datetime
    companion: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0


class RefusedMessage(msgspec.Struct, frozen=True):
    """What a gate refused: how often, and which codes."""

    refusals: Annotated[list[RefusalMessage], msgspec.Meta(max_length=1_000)] = msgspec.field(
        default_factory=list[RefusalMessage]
    )
    codes: Annotated[list[RefusedCodeMessage], msgspec.Meta(max_length=1_000)] = msgspec.field(
        default_factory=list[RefusedCodeMessage]
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """What a gate refused, read."""

    counts: list[rides.Refusals]
    codes: list[rides.RefusedCode]

    @property
    def gates(self) -> set[str]:
        """The gates it is told of."""
        return {one.gate_id for one in self.counts} | {one.gate_id for one in self.codes}


class Unreadable(Exception):
    """A device says what cannot be read."""


_STATE = msgspec.json.Decoder(StateMessage)
_TELEMETRY = msgspec.json.Decoder(TelemetryMessage)
_TAPS = msgspec.json.Decoder(TapsMessage)
_REFUSED = msgspec.json.Decoder(RefusedMessage)


def read_state(device_id: str, data: bytes) -> trust.StateReport:
    """Errors: Unreadable."""
    told = _decoded(_STATE, data)
    return trust.StateReport(device_id, told.online, told.session, told.firmware or None)


def read_telemetry(device_id: str, data: bytes, heard_at: datetime) -> trust.Telemetry:
    """What a device says of itself. A clock that it does not compare is compared with ours. Errors: Unreadable."""
    told = _decoded(_TELEMETRY, data)
    offset_ms = told.clock_offset_ms
    if offset_ms is None and told.at is not None:
        offset_ms = round((_utc(told.at) - heard_at).total_seconds() * 1000)
    return trust.Telemetry(
        device_id=device_id,
        session=told.session,
        clock_offset_ms=offset_ms,
        trust_list=told.trust_list,
        deny_list=told.deny_list,
        deny_list_at=None if told.deny_list_at is None else _utc(told.deny_list_at),
        settings=told.settings,
        sequence=told.sequence,
        last_tap_at=None if told.last_tap_at is None else _utc(told.last_tap_at),
        pending=told.pending,
        uptime_s=told.uptime_s,
        firmware=told.firmware or None,
        tally=told.tally,
        storage_free_pct=told.storage_free_pct,
        battery_pct=told.battery_pct,
        temperature_c=told.temperature_c,
    )


def read_taps(data: bytes) -> list[Tap]:
    """The taps of a batch. Errors: Unreadable."""
    return [
        Tap(
            tap_id=tap.tap_id,
            gate_id=tap.gate_id,
            sequence=tap.sequence,
            action=tap.action,
            stop_id=tap.stop_id,
            tapped_at=_utc(tap.tapped_at),
            cti=bytes.fromhex(tap.cti),
            counter=tap.counter,
            kid=bytes.fromhex(tap.kid),
            made_at=_utc(tap.made_at),
            list_version=tap.list_version,
            chain=bytes.fromhex(tap.chain),
            companion=tap.companion,
        )
        for tap in _decoded(_TAPS, data).taps
    ]


def read_refused(data: bytes) -> Refused:
    """What was refused. Errors: Unreadable."""
    told = _decoded(_REFUSED, data)
    return Refused(
        [rides.Refusals(one.gate_id, _utc(one.minute), one.reason, one.count) for one in told.refusals],
        [
            rides.RefusedCode(
                gate_id=one.gate_id,
                at=_utc(one.at),
                reason=one.reason,
                kid=bytes.fromhex(one.kid),
                cti=bytes.fromhex(one.cti),
                companion=one.companion,
                counter=one.counter,
                made_at=_utc(one.made_at),
            )
            for one in told.codes
        ],
    )


def receipt(recorded: int, duplicates: int, refused: Sequence[tuple[int, str, str]]) -> bytes:
    """The answer to a batch, in the words of ``POST /v1/taps``."""
    rows = [{"index": index, "code": code, "detail": detail} for index, code, detail in refused]
    return msgspec.json.encode({"recorded": recorded, "duplicates": duplicates, "refused": rows})


def _decoded(decoder: "msgspec.json.Decoder[Any]", data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)[:300]) from error


def _utc(instant: datetime) -> datetime:
    """The instant in UTC, of our time. Errors: Unreadable."""
    try:
        at = in_utc(instant)
    except (InvalidInput, OverflowError) as error:
        raise Unreadable("an instant names no offset") from error
    if not 2000 <= at.year < 2200:
        raise Unreadable("an instant is not of the years 2000 to 2199")
    return at
