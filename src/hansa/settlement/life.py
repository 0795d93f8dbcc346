"""The life of a payment: which facts there are, and what they make of it. Pure.

A payment has no field that is changed. Its state is what its facts come to, so the order in which they are heard and
how often does not matter: a late or repeated answer of the bank changes nothing twice. ``STEPS`` is the same as a
table from state to state; docs/settlement.md shows it, and a test holds the two against each other.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class State(StrEnum):
    """Where a payment is."""

    PREPARED = "prepared"
    RELEASED = "released"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    BOOKED = "booked"
    RETURNED = "returned"


class Step(StrEnum):
    """What is done with a file, and so with each payment in it."""

    PREPARED = "prepared"
    APPROVED = "approved"
    RELEASED = "released"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"


class Answer(StrEnum):
    """What the bank says of a payment; and that we have asked."""

    RECEIVED = "received"
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, or a question of ours, and the instant at which it was made. heard: when we had it; None: at once."""

    answer: Answer
    at: datetime
    heard: datetime | None = None

    @property
    def heard_at(self) -> datetime:
        """When we had it."""
        return self.heard or self.at


FINAL = frozenset({State.BOOKED, State.RETURNED, State.REJECTED})
"""States in which nothing more is expected of the bank. What comes all the same is kept, and shown if it differs."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def state_of(
    steps: Collection[Step], said: Collection[Said] = (), *, booked: bool = False, returned: bool = False
) -> State:
    """What all that is known of a payment comes to.

    A statement outweighs every answer, for it is money that moved. Among answers those count that the bank made after
    the last question it has answered; if they disagree, nobody knows.
    """
    if returned:
        return State.RETURNED
    if booked:
        return State.BOOKED
    answers = _that_count(said)
    if Step.REFUSED in steps:
        answers = answers | {Answer.REJECTED}
    if {Answer.ACCEPTED, Answer.REJECTED} <= answers:
        return State.UNKNOWN
    for answer, state in (
        (Answer.REJECTED, State.REJECTED),
        (Answer.ACCEPTED, State.ACCEPTED),
        (Answer.PENDING, State.PENDING),
    ):
        if answer in answers:
            return state
    if any(one.answer is Answer.ASKED for one in said):
        return State.UNKNOWN
    if Step.ACKNOWLEDGED in steps or Answer.RECEIVED in answers:
        return State.ACKNOWLEDGED
    for step, state in ((Step.SENT, State.SENT), (Step.RELEASED, State.RELEASED)):
        if step in steps:
            return state
    return State.PREPARED


def may_be_paid_anew(
    steps: Collection[Step], said: Collection[Said], *, booked: bool = False, returned: bool = False
) -> bool:
    """Whether the money surely stays where it is, so that another payment may take this one's place.

    It has come back; or the bank turned the whole file away; or it rejected the payment, was asked once we had heard
    so, and says so still. A rejection that was not asked after is not enough: it may have crossed an acceptance on the
    way, and one that happens to be younger than some earlier question answers nothing.
    """
    state = state_of(steps, said, booked=booked, returned=returned)
    if state is not State.REJECTED:
        return state is State.RETURNED
    asked = asked_after_rejection(said)
    return Step.REFUSED in steps or any(
        one.answer is Answer.REJECTED and asked is not None and one.at >= asked for one in said
    )


def asked_after_rejection(said: Collection[Said]) -> datetime | None:
    """When we first asked after we had heard that the payment is rejected; None while we have not."""
    heard = min((one.heard_at for one in said if one.answer is Answer.REJECTED), default=None)
    return min(
        (one.at for one in said if one.answer is Answer.ASKED and heard is not None and one.at >= heard),
        default=None,
    )


def contradicts(
    steps: Collection[Step], said: Collection[Said], *, booked: bool = False, returned: bool = False
) -> str:
    """Why what is known of a payment does not go together, for a person; empty where it does."""
    answers = _that_count(said) | ({Answer.REJECTED} if Step.REFUSED in steps else set())
    if booked and not returned and Answer.REJECTED in answers:
        return "the bank rejected it and booked it"
    if {Answer.ACCEPTED, Answer.REJECTED} <= answers and not booked:
        return "the bank accepted it and rejected it"
    if (booked or answers) and Step.SENT not in steps and Step.RELEASED in steps:
        return "the bank speaks of it and it was never sent"
    return ""


def _that_count(said: Collection[Said]) -> frozenset[Answer]:
    asked = sorted((one.at for one in said if one.answer is Answer.ASKED), reverse=True)
    for since in (*asked, _LONG_AGO):
        answers = frozenset(
            one.answer
            for one in said
            if one.answer not in (Answer.ASKED, Answer.RECEIVED) and one.at >= since
        )
        if answers:
            return answers
    return frozenset(one.answer for one in said if one.answer is Answer.RECEIVED)


def steps_between_states() -> dict[State, dict[str, State]]:
    """For each state, what each fact makes of it; facts that change nothing are left out.

    Worked out from ``state_of`` by one typical history of each state, so it cannot differ from it.
    """
    at = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(8)]
    sent = frozenset({Step.PREPARED, Step.APPROVED, Step.RELEASED, Step.SENT})
    known = sent | {Step.ACKNOWLEDGED}
    histories: dict[State, tuple[frozenset[Step], tuple[Said, ...], bool, bool]] = {
        State.PREPARED: (frozenset({Step.PREPARED, Step.APPROVED}), (), False, False),
        State.RELEASED: (frozenset({Step.PREPARED, Step.APPROVED, Step.RELEASED}), (), False, False),
        State.SENT: (sent, (), False, False),
        State.ACKNOWLEDGED: (known, (), False, False),
        State.PENDING: (known, (Said(Answer.PENDING, at[1]),), False, False),
        State.ACCEPTED: (known, (Said(Answer.ACCEPTED, at[1]),), False, False),
        State.REJECTED: (known, (Said(Answer.REJECTED, at[1]),), False, False),
        State.UNKNOWN: (known, (Said(Answer.ASKED, at[1]),), False, False),
        State.BOOKED: (known, (), True, False),
        State.RETURNED: (known, (), True, True),
    }
    table: dict[State, dict[str, State]] = {}
    for state, (steps, said, booked, returned) in histories.items():
        assert state_of(steps, said, booked=booked, returned=returned) is state, state
        after: dict[str, State] = {}
        for step in Step:
            if _may_follow(step, steps):
                after[step.value] = state_of({*steps, step}, said, booked=booked, returned=returned)
        if Step.SENT in steps:
            for answer in Answer:
                heard = (*said, Said(answer, at[2]))
                after[answer.value] = state_of(steps, heard, booked=booked, returned=returned)
            after["booked"] = state_of(steps, said, booked=True, returned=returned)
        if booked:
            after["returned"] = state_of(steps, said, booked=True, returned=True)
        table[state] = {fact: then for fact, then in after.items() if then is not state}
    return table


def _may_follow(step: Step, steps: Collection[Step]) -> bool:
    order = [Step.PREPARED, Step.APPROVED, Step.RELEASED, Step.SENT, Step.ACKNOWLEDGED]
    before = order.index(step) if step in order else order.index(Step.ACKNOWLEDGED)
    return all(one in steps for one in order[:before]) and step not in steps
