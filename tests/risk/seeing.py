"""Helpers for tests of risk: taps and refused codes at a few known places, and hands that remember what they did."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hansa import risk
from hansa.kernel import fact_id
from hansa.risk import Evidence, Facts, Finding, Point, Revoked, Rule, Seen, Turned
from hansa.store import Tx

NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
ACCOUNT = fact_id(None, "rider under suspicion")
CTI, KID = "aa" * 8, "0b" * 4

PLACES = {
    "hill": Point(51.5000, -0.1000),
    "near": Point(51.5040, -0.1000),  # 445 m north
    "dale": Point(51.5450, -0.1000),  # 5,004 m north
    "away": Point(39.9000, 116.4000),  # another city, 8,150 km
    "bus": Point(51.5000, -0.1000, 30_000),
}
CITY = {"hill": "london", "near": "london", "dale": "london", "away": "beijing", "bus": "london"}


def seen(
    station: str,
    seconds: float,
    counter: int,
    *,
    action: str = "entry",
    gate: str | None = None,
    cti: str = CTI,
    companion: int = 0,
    made: float | None = None,
    version: int = 1,
    late_s: float = 1,
) -> Seen:
    """A tap so many seconds after noon. made: when the code was made, two seconds before the tap if not said."""
    at = NOON + timedelta(seconds=seconds)
    gate_id = gate or f"{station}/{action}"
    return Seen(
        tap_id=fact_id(at, gate_id, counter, cti, companion),
        gate_id=gate_id,
        operator_id=f"{CITY[station]}-rail",
        city_id=CITY[station],
        station=station,
        action=action,
        at=at,
        kid=KID,
        cti=cti,
        companion=companion,
        counter=counter,
        made_at=NOON + timedelta(seconds=seconds - 2 if made is None else made),
        list_version=version,
        received_at=at + timedelta(seconds=late_s),
    )


def turned(
    station: str,
    seconds: float,
    counter: int,
    *,
    made: float,
    reason: str = "clock_skew",
    action: str = "entry",
    cti: str = CTI,
) -> Turned:
    """A refused code so many seconds after noon."""
    return Turned(
        gate_id=f"{station}/{action}",
        operator_id=f"{CITY[station]}-rail",
        city_id=CITY[station],
        station=station,
        at=NOON + timedelta(seconds=seconds),
        reason=reason,
        kid=KID,
        cti=cti,
        companion=0,
        counter=counter,
        made_at=NOON + timedelta(seconds=made),
    )


def facts(
    taps: Iterable[Seen] = (),
    refused: Iterable[Turned] = (),
    revoked: dict[str, Revoked] | None = None,
) -> Facts:
    """An account's facts in order of time."""
    return Facts(
        ACCOUNT,
        tuple(sorted(taps, key=lambda tap: (tap.at, tap.tap_id))),
        tuple(sorted(refused, key=lambda one: one.key)),
        revoked or {},
        PLACES,
    )


def rule(name: str) -> Rule:
    """A rule that comes with Hansa."""
    found = risk.own_rules().named(name)
    assert found is not None, name
    return found


@dataclass
class Hands:
    """Stands for the doors of rides and identity: what is asked of them, in order."""

    asked: list[tuple[str, UUID]] = field(default_factory=list[tuple[str, UUID]])
    standing: dict[UUID, tuple[str, UUID]] = field(default_factory=dict[UUID, tuple[str, UUID]])

    def rotate(self, tx: Tx, account_id: UUID, *, at: datetime, reason: str) -> int:
        self.asked.append(("rotate", account_id))
        return 2

    def raise_standing(
        self, tx: Tx, account_id: UUID, *, level: str, reason: str, at: datetime, case_id: UUID
    ) -> bool:
        self.asked.append((level, account_id))
        if account_id in self.standing:
            return False
        self.standing[account_id] = level, case_id
        return True

    def clear_standing(self, tx: Tx, account_id: UUID, *, reason: str, at: datetime, case_id: UUID) -> bool:
        if self.standing.get(account_id, ("", None))[1] != case_id:
            return False
        del self.standing[account_id]
        return True


@dataclass
class NoFeed:
    """A feed with nothing in it but a deny list: facts come by ``hear``."""

    denied: dict[str, Revoked] = field(default_factory=dict[str, Revoked])

    def taps(self, tx: Tx, after: object, limit: int) -> tuple[Sequence[tuple[UUID, Seen]], None]:
        return (), None

    def refused(self, tx: Tx, after: object, limit: int) -> tuple[Sequence[tuple[UUID, Turned]], None]:
        return (), None

    def broken(self, tx: Tx, after: object, limit: int) -> tuple[Sequence[risk.Broken], None]:
        return (), None

    def revoked(self, tx: Tx, ctis: Sequence[bytes]) -> dict[str, Revoked]:
        return {cti.hex(): self.denied[cti.hex()] for cti in ctis if cti.hex() in self.denied}


def one(findings: Sequence[Finding]) -> Evidence:
    """The evidence of the only finding."""
    assert len(findings) == 1
    return findings[0].evidence
