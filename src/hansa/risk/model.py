"""The words of risk: what was seen at gates, what a rule found in it, and the case that is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, NewType
from uuid import UUID

from hansa.kernel import HansaError, fact_id

CaseId = NewType("CaseId", UUID)

Severity = Literal["low", "medium", "high"]
Does = Literal["rotate", "step_up", "block"]
Status = Literal["open", "confirmed", "dismissed"]
Verdict = Literal["confirmed", "dismissed"]
Figure = int | float | str

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")
STATUSES: tuple[Status, ...] = ("open", "confirmed", "dismissed")


@dataclass(frozen=True, slots=True)
class Seen:
    """A code that a gate accepted. station: the stop, or the vehicle's gate where there is no stop. cti, kid: hex."""

    tap_id: UUID
    gate_id: str
    operator_id: str
    city_id: str
    station: str
    action: str
    at: datetime
    kid: str
    cti: str
    companion: int
    counter: int
    made_at: datetime
    list_version: int
    received_at: datetime

    @property
    def code(self) -> tuple[str, str, int, int, datetime]:
        """Which code it was: the same one shown twice has the same."""
        return (self.kid, self.cti, self.companion, self.counter, self.made_at)

    @property
    def starts(self) -> bool:
        """Whether a ride begins with it."""
        return self.action != "exit"


@dataclass(frozen=True, slots=True)
class Turned:
    """A code with good signatures that a gate refused. reason: as in docs/ride-code/verifying.md."""

    gate_id: str
    operator_id: str
    city_id: str
    station: str
    at: datetime
    reason: str
    kid: str
    cti: str
    companion: int
    counter: int
    made_at: datetime

    @property
    def code(self) -> tuple[str, str, int, int, datetime]:
        """Which code it was."""
        return (self.kid, self.cti, self.companion, self.counter, self.made_at)

    @property
    def key(self) -> tuple[datetime, str, str, int, int, str]:
        """What makes this refusal the one it is."""
        return (self.at, self.gate_id, self.cti, self.companion, self.counter, self.reason)


@dataclass(frozen=True, slots=True)
class Revoked:
    """When a token was put on the deny list, and which version of the list says so."""

    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Point:
    """A place. within_m: how far from here the gate may be; a vehicle is somewhere in its city."""

    lat: float
    lon: float
    within_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one account, in order of time. places: by station, those that are known."""

    account_id: UUID
    taps: tuple[Seen, ...]
    refused: tuple[Turned, ...] = ()
    revoked: Mapping[str, Revoked] = field(default_factory=dict[str, Revoked])
    places: Mapping[str, Point] = field(default_factory=dict[str, Point])


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an arbiter needs: the taps, the refused codes, and figures, each named with its unit."""

    taps: tuple[Seen, ...] = ()
    refused: tuple[Turned, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found. subject: what it is about: a token, an account's day, a gate; one case for each."""

    rule: str
    subject: str
    evidence: Evidence

    @property
    def case_id(self) -> CaseId:
        """The case's id: the same whenever and in whatever order the facts are heard."""
        return case_id_of(self.rule, self.subject)


def case_id_of(rule: str, subject: str) -> CaseId:
    """The id of this rule's case about this subject."""
    return CaseId(fact_id(None, "hansa.risk.case", rule, subject))


@dataclass(frozen=True, slots=True)
class Taken:
    """Something done for a case without asking anybody. told: what came of it, in figures."""

    action: Does | Literal["clear"]
    at: datetime
    told: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Case:
    """What a rule found, its evidence, and what was made of it.

    rules_version: which rules judged it first. operators: whose gates saw it. first_at, last_at: the evidence's span.
    decided_by, reason: there once a person has decided.
    """

    case_id: CaseId
    rule: str
    rules_version: int
    severity: Severity
    subject: str
    account_id: UUID | None
    issuer_id: str | None
    operators: tuple[str, ...]
    opened_at: datetime
    first_at: datetime
    last_at: datetime
    status: Status
    evidence: Evidence
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None
    taken: tuple[Taken, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What a rule made of a day (UTC, by the evidence's last fact)."""

    rule: str
    day: datetime
    open: int
    confirmed: int
    dismissed: int


@dataclass(frozen=True, slots=True)
class WatchCounts:
    """What one turn of the watcher did."""

    taps: int = 0
    refused: int = 0
    opened: int = 0
    acted: int = 0

    @property
    def heard(self) -> int:
        """Facts taken in; zero means that nothing waits."""
        return self.taps + self.refused

    def __add__(self, other: "WatchCounts") -> "WatchCounts":
        return WatchCounts(
            self.taps + other.taps,
            self.refused + other.refused,
            self.opened + other.opened,
            self.acted + other.acted,
        )


class UnknownCase(HansaError):
    """There is no such case."""

    code: ClassVar[str] = "risk.unknown_case"
    status: ClassVar[int] = 404


class CaseDecided(HansaError):
    """This case is decided already, and otherwise; a decision stands."""

    code: ClassVar[str] = "risk.case_decided"
    status: ClassVar[int] = 409


class BadRules(HansaError):
    """These rules cannot be used; the rules in force stay."""

    code: ClassVar[str] = "risk.bad_rules"
    status: ClassVar[int] = 422
