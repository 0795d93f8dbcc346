"""Turns of a sandbox: what its worker does besides its own, and what its clock does at once when it is set."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from hansa import payments
from hansa.apps.sandbox.clock import SandboxClock
from hansa.apps.sandbox.connector import CONNECTOR, SandboxConnector
from hansa.apps.sandbox.people import act
from hansa.apps.worker import work_once
from hansa.payments import PaymentState
from hansa.store import Context

TURNS_MAX = 50
"""Turns at most for one setting of the clock: what does still more goes on in the worker."""

OPEN = (PaymentState.PROCESSING, PaymentState.UNKNOWN)
SOME = 500


@dataclass(frozen=True, slots=True)
class Turning:
    """Lets everything outside of Hansa do what it does. carry_on: goes on with what was approved or refused."""

    ctx: Context
    connector: SandboxConnector
    carry_on: Callable[[Context], int]

    def once(self) -> int:
        """People answer what they are asked, and the bank is asked; gives how many things were done."""
        done = act(self.ctx) + self.carry_on(self.ctx)
        connectors = {CONNECTOR: self.connector}
        with self.ctx.tx() as tx:
            found = [
                one
                for state in OPEN
                for one in payments.list_payments(tx, state=state, limit=SOME)
                if one.payer is not None and one.payer.connector == CONNECTOR
            ]
        for one in found:
            done += payments.advance(self.ctx, one.payment_id, connectors=connectors).state not in OPEN
        return done + payments.turn(self.ctx, connectors=connectors)

    def until_quiet(self) -> int:
        """Turns, and the worker's own, until nothing is due; gives how many things were done."""
        total = 0
        for _ in range(TURNS_MAX):
            done = self.once() + work_once(self.ctx)
            total += done
            if not done:
                break
        return total


TURNS: MutableMapping[SandboxClock, Turning] = WeakKeyDictionary()
"""By the clock of a running sandbox."""
