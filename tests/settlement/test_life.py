"""A payment's life: what its facts come to, in whatever order and however often they are heard."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hansa.settlement.life import (
    Answer,
    Said,
    State,
    Step,
    contradicts,
    may_be_paid_anew,
    state_of,
    steps_between_states,
)

PAGE = Path(__file__).parents[2] / "docs" / "settlement.md"
T0 = datetime(2026, 11, 17, tzinfo=UTC)
SENT = frozenset({Step.PREPARED, Step.APPROVED, Step.RELEASED, Step.SENT})


def at(hour: int) -> datetime:
    return T0 + timedelta(hours=hour)


def test_the_page_shows_the_table_that_the_program_keeps() -> None:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    shown = {
        (cells[0].strip("`"), fact): then.strip("`")
        for cells in rows
        if len(cells) == 3 and cells[2].startswith("`") and cells[0].strip("`") in set(State)
        for fact, then in [(cells[1], cells[2])]
    }

    kept = {
        (state.value, fact): then.value
        for state, after in steps_between_states().items()
        for fact, then in after.items()
    }
    assert shown == kept


# what was said, in hours | what it comes to
HEARD: list[tuple[list[tuple[Answer, int]], State]] = [
    ([], State.SENT),
    ([(Answer.RECEIVED, 1)], State.ACKNOWLEDGED),
    ([(Answer.PENDING, 1)], State.PENDING),
    ([(Answer.PENDING, 1), (Answer.ACCEPTED, 2)], State.ACCEPTED),
    ([(Answer.ACCEPTED, 1), (Answer.REJECTED, 2)], State.UNKNOWN),
    ([(Answer.ASKED, 3)], State.UNKNOWN),
    ([(Answer.ACCEPTED, 1), (Answer.ASKED, 3)], State.ACCEPTED),
    ([(Answer.ACCEPTED, 1), (Answer.REJECTED, 2), (Answer.ASKED, 3)], State.UNKNOWN),
    ([(Answer.ACCEPTED, 1), (Answer.REJECTED, 2), (Answer.ASKED, 3), (Answer.ACCEPTED, 4)], State.ACCEPTED),
    ([(Answer.ACCEPTED, 1), (Answer.ASKED, 3), (Answer.REJECTED, 4)], State.REJECTED),
    ([(Answer.ASKED, 1), (Answer.ASKED, 3), (Answer.REJECTED, 2)], State.REJECTED),
]


def test_the_order_in_which_answers_are_heard_does_not_matter() -> None:
    for heard, state in HEARD:
        said = [Said(answer, at(hour)) for answer, hour in heard]
        for order in permutations(said):
            assert state_of(SENT, [*order, *order]) is state, heard


SAIDS = st.lists(st.builds(Said, st.sampled_from(Answer), st.integers(0, 9).map(at)), max_size=6)
STEPS = st.sets(st.sampled_from(Step))


@given(steps=STEPS, said=SAIDS, twice=st.integers(0, 5), booked=st.booleans(), returned=st.booleans())
def test_hearing_anything_again_changes_nothing(
    steps: set[Step], said: list[Said], twice: int, booked: bool, returned: bool
) -> None:
    again = [*said[::-1], *said[:twice]]

    for rule in (state_of, contradicts, may_be_paid_anew):
        assert rule(steps, said, booked=booked, returned=returned) == rule(
            steps, again, booked=booked, returned=returned
        )


@given(steps=STEPS, said=SAIDS)
def test_what_is_booked_is_booked_whatever_was_said(steps: set[Step], said: list[Said]) -> None:
    assert state_of(steps, said, booked=True) is State.BOOKED
    assert state_of(steps, said, booked=True, returned=True) is State.RETURNED
    assert not may_be_paid_anew(steps, said, booked=True)


@given(steps=STEPS.map(lambda steps: steps - {Step.REFUSED}), said=SAIDS)
def test_nothing_is_paid_anew_before_the_bank_was_asked_and_said_no(
    steps: set[Step], said: list[Said]
) -> None:
    if may_be_paid_anew(steps, said):
        first = min(one.at for one in said if one.answer is Answer.REJECTED)
        asked = min(one.at for one in said if one.answer is Answer.ASKED and one.at >= first)
        last = max(one.at for one in said if one.answer is Answer.ASKED)
        assert any(one.answer is Answer.REJECTED and one.at >= asked for one in said)
        assert not any(one.answer is Answer.ACCEPTED and one.at >= last for one in said)


def test_a_rejection_that_is_younger_than_an_earlier_question_answers_nothing() -> None:
    """What a run of the simulator found: silence was asked after, and then a rejection overtook an acceptance."""
    early = [Said(Answer.ASKED, at(1)), Said(Answer.REJECTED, at(2), heard=at(5))]
    asked = [*early, Said(Answer.ASKED, at(6))]

    assert state_of(SENT, early) is State.REJECTED and not may_be_paid_anew(SENT, early)
    assert not may_be_paid_anew(SENT, asked)
    assert may_be_paid_anew(SENT, [*asked, Said(Answer.REJECTED, at(7), heard=at(8))])
    assert not may_be_paid_anew(SENT, [*asked, Said(Answer.ACCEPTED, at(7), heard=at(8))])


# what was done, what was said, whether it is booked | what a person reads
CONTRADICTIONS = [
    (SENT, [(Answer.REJECTED, 1)], True, "the bank rejected it and booked it"),
    (SENT, [(Answer.ACCEPTED, 1), (Answer.REJECTED, 2)], False, "the bank accepted it and rejected it"),
    (SENT, [(Answer.ACCEPTED, 1), (Answer.REJECTED, 2)], True, "the bank rejected it and booked it"),
    (SENT - {Step.SENT}, [], True, "the bank speaks of it and it was never sent"),
    (SENT, [(Answer.ACCEPTED, 1)], True, ""),
]


def test_what_does_not_go_together_is_told() -> None:
    for steps, heard, booked, told in CONTRADICTIONS:
        assert contradicts(steps, [Said(answer, at(hour)) for answer, hour in heard], booked=booked) == told
