"""The life of a dispute: which state follows from which action, and who may do it. Pure, and in one place.

A rider's refund and a dispute between members are two tables of the same form. docs/disputes.md shows both as diagrams
that a test draws again from here. What silence does at a deadline is data (``rules.toml``) and is one of these actions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from hansa.kernel import HansaError


class Kind(StrEnum):
    """What is in dispute: a rider's journey, or an item between two members."""

    REFUND = "refund"
    ITEM = "item"


class State(StrEnum):
    """Where a dispute is."""

    ASKED = "asked"
    CORRECTED = "corrected"
    GRANTED = "granted"
    REFUSED = "refused"
    APPEALED = "appealed"
    RAISED = "raised"
    REPRESENTED = "represented"
    ESCALATED = "escalated"
    ARBITRATION = "arbitration"
    ACCEPTED = "accepted"
    DECIDED = "decided"
    CLOSED = "closed"


class Action(StrEnum):
    """What is done with a dispute."""

    RAISE = "raise"
    CORRECT = "correct"
    GRANT = "grant"
    REFUSE = "refuse"
    APPEAL = "appeal"
    UPHOLD = "uphold"
    REPRESENT = "represent"
    ACCEPT = "accept"
    WITHDRAW = "withdraw"
    ESCALATE = "escalate"
    TAKE = "take"
    DECIDE = "decide"
    BOOK = "book"


class Side(StrEnum):
    """Who acts. The claimant of a refund is the rider, or the issuer for the rider; Hansa acts by rule or deadline."""

    CLAIMANT = "claimant"
    RESPONDENT = "respondent"
    LEAGUE = "league"
    HANSA = "hansa"


class DisputeMoved(HansaError):
    """The dispute is in a state in which this cannot be done; read it again."""

    code: ClassVar[str] = "disputes.moved"
    status: ClassVar[int] = 409


class NotYourTurn(HansaError):
    """This is for another side of the dispute to do."""

    code: ClassVar[str] = "disputes.not_your_turn"
    status: ClassVar[int] = 403


@dataclass(frozen=True, slots=True)
class Next:
    """Where an action leads, and who may do it. Hansa may do all of them, by rule or when a deadline passes."""

    state: State
    side: Side


FIRST = {Kind.REFUND: State.ASKED, Kind.ITEM: State.RAISED}
"""The state a dispute begins in."""

PAYING = frozenset({State.GRANTED, State.ACCEPTED, State.DECIDED})
"""States from which money moves; it is booked, and the dispute is closed."""

FINAL = frozenset({State.CLOSED, State.CORRECTED})
"""States that nothing leads out of."""

LIFE: Mapping[Kind, Mapping[State, Mapping[Action, Next]]] = {
    Kind.REFUND: {
        State.ASKED: {
            Action.CORRECT: Next(State.CORRECTED, Side.HANSA),
            Action.GRANT: Next(State.GRANTED, Side.RESPONDENT),
            Action.REFUSE: Next(State.REFUSED, Side.RESPONDENT),
            Action.WITHDRAW: Next(State.CLOSED, Side.CLAIMANT),
        },
        State.REFUSED: {
            Action.APPEAL: Next(State.APPEALED, Side.CLAIMANT),
            Action.UPHOLD: Next(State.CLOSED, Side.HANSA),
        },
        State.APPEALED: {
            Action.GRANT: Next(State.GRANTED, Side.LEAGUE),
            Action.UPHOLD: Next(State.CLOSED, Side.LEAGUE),
            Action.WITHDRAW: Next(State.CLOSED, Side.CLAIMANT),
        },
        State.GRANTED: {Action.BOOK: Next(State.CLOSED, Side.HANSA)},
    },
    Kind.ITEM: {
        State.RAISED: {
            Action.REPRESENT: Next(State.REPRESENTED, Side.RESPONDENT),
            Action.ACCEPT: Next(State.ACCEPTED, Side.RESPONDENT),
            Action.WITHDRAW: Next(State.CLOSED, Side.CLAIMANT),
        },
        State.REPRESENTED: {
            Action.ESCALATE: Next(State.ESCALATED, Side.CLAIMANT),
            Action.WITHDRAW: Next(State.CLOSED, Side.CLAIMANT),
        },
        State.ESCALATED: {
            Action.TAKE: Next(State.ARBITRATION, Side.LEAGUE),
            Action.ACCEPT: Next(State.ACCEPTED, Side.RESPONDENT),
            Action.WITHDRAW: Next(State.CLOSED, Side.CLAIMANT),
        },
        State.ARBITRATION: {Action.DECIDE: Next(State.DECIDED, Side.LEAGUE)},
        State.ACCEPTED: {Action.BOOK: Next(State.CLOSED, Side.HANSA)},
        State.DECIDED: {Action.BOOK: Next(State.CLOSED, Side.HANSA)},
    },
}
"""From each state, what each action makes of it. What is not here cannot be done."""


def after(kind: Kind, state: State, action: Action, side: Side) -> State:
    """The state that an action of a side leads to. Errors: DisputeMoved; NotYourTurn."""
    step = LIFE[kind].get(state, {}).get(action)
    if step is None:
        may = ", ".join(LIFE[kind].get(state, {})) or "nothing"
        raise DisputeMoved(f"The dispute is {state}, so {action} cannot be done; what can: {may}.")
    if side not in (step.side, Side.HANSA):
        raise NotYourTurn(f"To {action} is for the {step.side}; you are the {side}.")
    return step.state


def diagram(kind: Kind) -> str:
    """The table as a Mermaid state diagram, line by line in the order of the table."""
    lines = ["stateDiagram-v2", f"    [*] --> {FIRST[kind]}"]
    for state, steps in LIFE[kind].items():
        lines += [f"    {state} --> {one.state}: {action} ({one.side})" for action, one in steps.items()]
    reached = {one.state for steps in LIFE[kind].values() for one in steps.values()}
    lines += [f"    {state} --> [*]" for state in State if state in FINAL & reached]
    return "\n".join(lines)
