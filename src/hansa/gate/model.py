"""The words of a gate: who it is, the tap it records, the decision it takes, the deny list it holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from hansa.codes import VerifiedCode
from hansa.kernel import in_utc

Action = Literal["entry", "exit", "board"]
OK = "ok"


@dataclass(frozen=True, slots=True)
class GateIdentity:
    """Which gate this is. stop_id: None on a vehicle. cell: 3 bytes, the place it stands at."""

    gate_id: str
    operator_id: str
    stop_id: str | None
    action: Action
    product: str
    cell: bytes


class Denied(Protocol):
    """Tokens that open no gate, wherever a gate keeps them: `DenyList` in memory, the agent's in a file."""

    @property
    def version(self) -> int:
        """The list's version; taps carry it."""
        ...

    @property
    def issued_at(self) -> datetime | None:
        """When the league last said that this is the list; None if it never did."""
        ...

    def __contains__(self, cti: object, /) -> bool:
        """Whether the token of this id, 8 bytes, opens no gate."""
        ...


@dataclass(frozen=True, slots=True)
class DenyList:
    """Tokens (their ``cti``) that open no gate. A later version replaces or grows an earlier one."""

    version: int
    ctis: frozenset[bytes]
    issued_at: datetime | None = None

    def __contains__(self, cti: object, /) -> bool:
        """Whether the token of this id opens no gate."""
        return cti in self.ctis

    def grown(self, version: int, added: Iterable[bytes], issued_at: datetime | None = None) -> "DenyList":
        """This list with more tokens on it: how a gate takes a delta."""
        return DenyList(version, self.ctis | frozenset(added), issued_at or self.issued_at)


@dataclass(frozen=True, slots=True)
class Tap:
    """One accepted code at one gate, sealed into the gate's chain.

    sequence: 1, 2, 3 ... without a gap, per gate. list_version: of the deny list in force.
    companion: 0 for the token's holder, 1 to 15 for who rides along. chain: SHA-256 over the link before and this tap
    (`codes.tap_link`).
    """

    tap_id: UUID
    gate_id: str
    sequence: int
    action: Action
    stop_id: str | None
    tapped_at: datetime
    cti: bytes
    counter: int
    kid: bytes
    made_at: datetime
    list_version: int
    chain: bytes
    companion: int = 0

    def json(self) -> dict[str, Any]:
        """The tap as ``POST /v1/taps`` takes it: hex for bytes, instants ending in Z; companion only where one rode."""
        return {
            "tap_id": str(self.tap_id),
            "gate_id": self.gate_id,
            "sequence": self.sequence,
            "action": self.action,
            "stop_id": self.stop_id,
            "tapped_at": _rfc3339(self.tapped_at),
            "cti": self.cti.hex(),
            "counter": self.counter,
            "kid": self.kid.hex(),
            "made_at": _rfc3339(self.made_at),
            "list_version": self.list_version,
            "chain": self.chain.hex(),
            **({"companion": self.companion} if self.companion else {}),
        }


def tap_from_json(value: dict[str, Any]) -> Tap:
    """The tap of `Tap.json`: what a gate reads back from its own storage."""
    return Tap(
        tap_id=UUID(value["tap_id"]),
        gate_id=value["gate_id"],
        sequence=value["sequence"],
        action=value["action"],
        stop_id=value["stop_id"],
        tapped_at=datetime.fromisoformat(value["tapped_at"]),
        cti=bytes.fromhex(value["cti"]),
        counter=value["counter"],
        kid=bytes.fromhex(value["kid"]),
        made_at=datetime.fromisoformat(value["made_at"]),
        list_version=value["list_version"],
        chain=bytes.fromhex(value["chain"]),
        companion=value.get("companion", 0),
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate does with a code.

    reason: ``ok`` or one of `codes.REASONS`. tap: there when accepted. shown: what the code says, there when both its
    signatures are good, also where it is refused for something else.
    """

    accepted: bool
    reason: str
    tap: Tap | None
    took_ns: int
    shown: VerifiedCode | None = None


def rider_of(code: VerifiedCode) -> bytes:
    """Whose counter it is, 12 or 13 bytes: the holder's (kid and cti), or that of the companion with this number."""
    return code.kid + code.cti + (bytes((code.companion,)) if code.companion else b"")


def _rfc3339(instant: datetime) -> str:
    return in_utc(instant).isoformat().replace("+00:00", "Z")
