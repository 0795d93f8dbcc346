"""What a simulated bank does wrong, worked out from a seed: the same payment meets the same mishap in every run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Mishap(StrEnum):
    """What a bank does with a payment besides paying it on its day."""

    DELAY = "delay"
    REJECT = "reject"
    DUPLICATE = "duplicate"
    MISSTATE = "misstate"
    LOSE = "lose"
    RETURN = "return"
    CONTRADICT = "contradict"
    SILENT = "silent"


MEANING: dict[Mishap, str] = {
    Mishap.DELAY: "says that it waits, and pays a bank day later",
    Mishap.REJECT: "rejects it",
    Mishap.DUPLICATE: "books it twice, and puts one right on the next bank day",
    Mishap.MISSTATE: "books another amount, and puts it right on the next bank day",
    Mishap.LOSE: "accepts it and forgets it until somebody asks",
    Mishap.RETURN: "pays it, and the money comes back on the next bank day",
    Mishap.CONTRADICT: "accepts it and then rejects it, and knows the truth only when asked",
    Mishap.SILENT: "pays it and says nothing before the statement",
}


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a bank behaves.

    percent: of payments that meet each mishap. told: the mishap of single payments, by end-to-end id, instead.
    lost_receipts, lost_files, repeated, late: of messages in a hundred whose receipt is lost, that are lost before
    they are kept, of answers that come twice, of answers that come hours later. down: of hours in a hundred in which
    the bank answers nobody.
    """

    seed: int = 1
    percent: Mapping[Mishap, float] = field(default_factory=dict[Mishap, float])
    told: Mapping[str, Mishap] = field(default_factory=dict[str, Mishap])
    lost_receipts: float = 0.0
    lost_files: float = 0.0
    repeated: float = 0.0
    late: float = 0.0
    down: float = 0.0

    def mishap(self, end_to_end_id: str) -> Mishap | None:
        """What happens to this payment."""
        if end_to_end_id in self.told:
            return self.told[end_to_end_id]
        at = self.chance("payment", end_to_end_id) * 100
        for mishap in Mishap:
            share = self.percent.get(mishap, 0.0)
            if at < share:
                return mishap
            at -= share
        return None

    def happens(self, percent: float, *what: object) -> bool:
        """Whether something that so many in a hundred meet happens here."""
        return self.chance(*what) * 100 < percent

    def is_down(self, at: datetime) -> bool:
        """Whether the bank answers nobody in this hour."""
        return self.happens(self.down, "down", f"{at:%Y-%m-%dT%H}")

    def chance(self, *what: object) -> float:
        """A number from 0 to below 1 that belongs to this and no other thing."""
        text = "\0".join([str(self.seed), *map(str, what)])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def rough(seed: int) -> Conduct:
    """A bank on which something goes wrong with about every third payment."""
    return Conduct(
        seed=seed,
        percent=dict.fromkeys(Mishap, 4.0),
        lost_receipts=15.0,
        lost_files=10.0,
        repeated=20.0,
        late=20.0,
        down=10.0,
    )
