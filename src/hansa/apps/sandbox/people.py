"""The people of a sandbox: each does one thing with what they are asked to approve, by themselves."""

from dataclasses import dataclass
from typing import Literal

from hansa import approval, identity
from hansa.identity import AccountId
from hansa.kernel import HansaError, fact_id
from hansa.store import Context

Habit = Literal["approves", "refuses", "waits"]


@dataclass(frozen=True, slots=True)
class TestPerson:
    """Someone of the sandbox. habit: what they do when they are asked. minor: what their wallet holds at first."""

    name: str
    habit: Habit
    minor: int
    says: str

    @property
    def account_id(self) -> AccountId:
        """The same in every sandbox."""
        return AccountId(fact_id(None, "sandbox person", self.name))


PEOPLE = (
    TestPerson("Ada", "approves", 1_000_000, "approves at once"),
    TestPerson("Bo", "refuses", 1_000_000, "refuses at once: `failed`, `payments.payer_refused`"),
    TestPerson("Cleo", "waits", 1_000_000, "never answers: the payment expires, once the clock is set on"),
    TestPerson(
        "Dora", "approves", 100, "approves, and has 1.00 alone: `failed`, `payments.insufficient_funds`"
    ),
)


def account_of(name: str) -> AccountId:
    """The account of this person. Errors: StopIteration for nobody."""
    return next(one.account_id for one in PEOPLE if one.name == name)


def act(ctx: Context) -> int:
    """Let each do what they do with what waits for them; gives how many answers were given."""
    done = 0
    for person in PEOPLE:
        if person.habit == "waits":
            continue
        now = ctx.clock.now()
        with ctx.tx() as tx:
            waiting = [
                one for one in approval.list_open(tx, person.account_id, now) if one.phase == "waiting"
            ]
            secret = identity.start_session(tx, person.account_id, now) if waiting else ""
            session = identity.find_session(tx, secret, now) if waiting else None
        for one in waiting:
            assert session is not None, "it was begun just now"
            try:
                if person.habit == "approves":
                    approval.give_by_session(ctx, one.approval_id, session)
                else:
                    approval.refuse(ctx, one.approval_id, person.account_id)
                done += 1
            except HansaError:
                continue  # ended meanwhile, or asks for more than a sign-in: the page shows it
    return done
