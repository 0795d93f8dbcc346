"""Money from outside of Hansa: what a connector to a card scheme or a bank has to do, and one that is simulated.

A connector's answer is never taken from what a browser or a webhook brings: those only say that it is time to ask. What
it says when it is asked is the truth, and a question may be asked again and again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from hansa.kernel import Money


class Heard(StrEnum):
    """What a connector says of a payment: PENDING asks for patience, SILENT is no answer at all."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Said:
    """What was heard. words: for people. url: where the payer has to go first, or empty."""

    heard: Heard
    words: str = ""
    url: str = ""


class Connector(Protocol):
    """A way to money outside. Every call may be made again with the same id and then does nothing new.

    Implementations turn time-outs and broken connections into SILENT; they raise nothing.
    """

    def start(self, payment_id: UUID, amount: Money, description: str) -> Said:
        """Ask for the money."""
        ...

    def ask(self, payment_id: UUID) -> Said:
        """What became of it."""
        ...

    def give_back(self, payment_id: UUID, give_back_id: UUID, amount: Money) -> Said:
        """Give back so much of what came, or see to it that it never comes."""
        ...


Connectors = Mapping[str, Connector]
"""Those of this Hansa, by name."""


@dataclass(slots=True)
class SimulatedConnector:
    """A connector whose answers a test or a sandbox writes: slow, unclear, late, twice, or in any order.

    says: what it answers to each of the next calls about a payment, in order; the last one stands. By default all is
    paid at once. The simulator keeps what it truly took and gave back, for whoever checks.
    """

    says: dict[UUID, list[Heard]] = field(default_factory=dict[UUID, list[Heard]])
    taken: dict[UUID, int] = field(default_factory=dict[UUID, int])
    given_back: dict[UUID, dict[UUID, int]] = field(default_factory=dict[UUID, dict[UUID, int]])

    def start(self, payment_id: UUID, amount: Money, description: str) -> Said:  # noqa: ARG002 - the simulator shows none
        said = self._next(payment_id)
        self.taken.setdefault(payment_id, amount.minor)
        return said

    def ask(self, payment_id: UUID) -> Said:
        if payment_id not in self.taken:
            return Said(Heard.REFUSED, "Nobody asked for it.")
        return self._next(payment_id)

    def give_back(self, payment_id: UUID, give_back_id: UUID, amount: Money) -> Said:
        self.given_back.setdefault(payment_id, {})[give_back_id] = amount.minor
        return Said(Heard.SUCCEEDED)

    def _next(self, payment_id: UUID) -> Said:
        script = self.says.get(payment_id)
        if not script:
            return Said(Heard.SUCCEEDED)
        heard = script.pop(0) if len(script) > 1 else script[0]
        return Said(heard, "The card was refused." if heard is Heard.REFUSED else "")
