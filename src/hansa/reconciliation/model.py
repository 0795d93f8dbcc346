"""What a day's proof is: steps from taps to the bank's money, each with what it counted and what it cannot explain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar

from hansa.kernel import HansaError

FINDINGS_MAX = 200
"""How many findings of a step are kept by name; all are counted."""


class UnknownProof(HansaError):
    """This day was not proved yet. Run ``hansa reconcile DAY``."""

    code: ClassVar[str] = "reconciliation.unknown_proof"
    status: ClassVar[int] = 404


class Verdict(StrEnum):
    """How a step stands: all explained; something is still to come; something is not explained."""

    HOLDS = "holds"
    WAITS = "waits"
    FAILS = "fails"


class StepName(StrEnum):
    """The steps of a proof, in the order in which money comes about."""

    TAPS = "taps"
    CHARGES = "charges"
    POSTED = "posted"
    ITEMS = "items"
    CLEARED = "cleared"
    NETS = "nets"
    PAYMENTS = "payments"
    BANK = "bank"
    BOOKED = "booked"
    EARNED = "earned"


QUESTIONS: Mapping[StepName, str] = {
    StepName.TAPS: "Each journey behind an item has its taps",
    StepName.CHARGES: "Each item is one charge, to the cent",
    StepName.POSTED: "Each charge of the service day is in the ledger",
    StepName.ITEMS: "Each position is the sum of its items",
    StepName.CLEARED: "Each position is shared out in the ledger as decided",
    StepName.NETS: "Each net is the sum of its positions; all sum to zero",
    StepName.PAYMENTS: "Payments come to the nets",
    StepName.BANK: "Each movement at the bank is a payment of ours",
    StepName.BOOKED: "Each movement at the bank is in the ledger, and no other",
    StepName.EARNED: "What has settled is earned",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not explained. ref: an id to look for. minor: what it comes to, if it is an amount."""

    step: StepName
    ref: str
    words: str
    currency: str = ""
    minor: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a proof. counted: things looked at. sums: what they come to, by currency, in minor units.

    waiting: things that are still to come. unexplained: how many are not explained; the first of them are findings.
    """

    name: StepName
    counted: int
    sums: Mapping[str, int]
    waiting: int
    unexplained: int
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """How it stands."""
        if self.unexplained:
            return Verdict.FAILS
        return Verdict.WAITS if self.waiting else Verdict.HOLDS

    @property
    def question(self) -> str:
        """What it holds to be so."""
        return QUESTIONS[self.name]


@dataclass(frozen=True, slots=True)
class Proof:
    """A day proved at one instant. number: counts the proofs of a day from one; the latest counts.

    windows: of all models, that belong to the business day; none while nothing of it is decided.
    """

    day: date
    number: int
    made_at: datetime
    made_by: str
    windows: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its steps'; it waits where no window is decided."""
        verdicts = {step.verdict for step in self.steps}
        if Verdict.FAILS in verdicts:
            return Verdict.FAILS
        return Verdict.WAITS if Verdict.WAITS in verdicts or not self.windows else Verdict.HOLDS


@dataclass(slots=True)
class Tally:
    """A step while it is made."""

    name: StepName
    counted: int = 0
    sums: dict[str, int] = field(default_factory=dict[str, int])
    waiting: int = 0
    unexplained: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])

    def add(self, currency: str, minor: int, count: int = 1) -> None:
        """Count things that come to an amount."""
        self.counted += count
        self.sums[currency] = self.sums.get(currency, 0) + minor

    def find(self, ref: object, words: str, currency: str = "", minor: int | None = None) -> None:
        """Keep what is not explained."""
        self.unexplained += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(self.name, str(ref), words, currency, minor))

    def step(self) -> Step:
        """The step as it came out."""
        return Step(
            self.name,
            self.counted,
            dict(sorted(self.sums.items())),
            self.waiting,
            self.unexplained,
            tuple(self.findings),
        )
