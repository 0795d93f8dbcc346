"""How the simulated provider of proofs behaves: by the document's number alone, so that everybody can make each case.

Of a resident identity number the three digits before the check character decide, of any other number its last three
characters. 990 to 996 are the cases below; every other number matches whatever name it is asked with.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from uuid import UUID

import msgspec

from hansa.apps.proofing.wire import LEVELS, Answered, Asked, asked
from hansa.identity import Answer, Match, NoMatch, Question, Unavailable

NAME = "simulated-register"


class Conduct(StrEnum):
    """What a number brings about."""

    MATCH = "match"
    NO_MATCH = "no_match"
    SLOW = "slow"
    DOWN = "down"
    DOWN_TWICE = "down_twice"
    NONSENSE = "nonsense"
    OTHER_REFERENCE = "other_reference"
    NAME_ONLY = "name_only"


BY_ENDING: dict[str, Conduct] = {
    "990": Conduct.NO_MATCH,
    "991": Conduct.SLOW,
    "992": Conduct.DOWN,
    "993": Conduct.DOWN_TWICE,
    "994": Conduct.NONSENSE,
    "995": Conduct.OTHER_REFERENCE,
    "996": Conduct.NAME_ONLY,
}


def conduct_of(question: Asked) -> Conduct:
    """What this document's number brings about."""
    number = question.number
    ending = number[14:17] if question.kind == "resident" else number[-3:]
    return BY_ENDING.get(ending, Conduct.MATCH)


@dataclass
class Memory:
    """What a simulated provider remembers: how often it was asked each reference."""

    asked: dict[UUID, int] = field(default_factory=dict[UUID, int])
    lock: Lock = field(default_factory=Lock)

    def count(self, reference: UUID) -> int:
        """How often this was asked, now included."""
        with self.lock:
            self.asked[reference] = self.asked.get(reference, 0) + 1
            return self.asked[reference]


def answered(question: Asked, conduct: Conduct, times: int) -> Answered | None:
    """The answer, or None for none at all. times: how often this was asked, now included."""
    if conduct is Conduct.DOWN or (conduct is Conduct.DOWN_TWICE and times <= 2):
        return None
    if conduct is Conduct.NO_MATCH:
        return Answered(question.reference, "no_match", reason="name and number do not belong together")
    reference = (
        UUID(int=question.reference.int ^ 1) if conduct is Conduct.OTHER_REFERENCE else question.reference
    )
    level = "name" if conduct is Conduct.NAME_ONLY else question.wanted
    return Answered(reference, "match", level)


class SimulatedProvider:
    """The simulated register in this very process: what a demonstration asks unless a provider is named."""

    name = NAME

    def __init__(self) -> None:
        self._memory = Memory()

    def check(self, question: Question) -> Answer:
        """As ProofProvider. A number that is slow over HTTP is answered at once here."""
        sent = asked(question)
        conduct = conduct_of(sent)
        told = answered(sent, conduct, self._memory.count(sent.reference))
        if told is None or conduct in (Conduct.NONSENSE, Conduct.OTHER_REFERENCE):
            return Unavailable(f"simulated: {conduct}")
        said = msgspec.json.encode(told)
        if told.outcome == "no_match" or told.level is None:
            return NoMatch(said)
        return Match(LEVELS[told.level], said)
