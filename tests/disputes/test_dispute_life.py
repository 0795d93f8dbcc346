"""The table of what may be done, state by action by side; deadlines; rules that are no rules."""

from datetime import date, datetime, time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.clearing import Settings
from hansa.disputes.life import (
    FINAL,
    FIRST,
    LIFE,
    PAYING,
    Action,
    DisputeMoved,
    Kind,
    NotYourTurn,
    Side,
    State,
    diagram,
)
from hansa.disputes.life import after as next_state
from hansa.disputes.rules import BadDisputeRules, business_day_after, own_rules, read_rules

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "disputes.md"
TOML = (ROOT / "src" / "hansa" / "disputes" / "rules.toml").read_text(encoding="utf-8")

# kind | state | action | who | then
TABLE = """
refund | asked       | correct   | hansa      | corrected
refund | asked       | grant     | respondent | granted
refund | asked       | refuse    | respondent | refused
refund | asked       | withdraw  | claimant   | closed
refund | refused     | appeal    | claimant   | appealed
refund | refused     | uphold    | hansa      | closed
refund | appealed    | grant     | league     | granted
refund | appealed    | uphold    | league     | closed
refund | appealed    | withdraw  | claimant   | closed
refund | granted     | book      | hansa      | closed
item   | raised      | represent | respondent | represented
item   | raised      | accept    | respondent | accepted
item   | raised      | withdraw  | claimant   | closed
item   | represented | escalate  | claimant   | escalated
item   | represented | withdraw  | claimant   | closed
item   | escalated   | take      | league     | arbitration
item   | escalated   | accept    | respondent | accepted
item   | escalated   | withdraw  | claimant   | closed
item   | arbitration | decide    | league     | decided
item   | accepted    | book      | hansa      | closed
item   | decided     | book      | hansa      | closed
"""
ALLOWED = {
    (kind, state, action): (who, then)
    for kind, state, action, who, then in (
        [cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()
    )
}


def test_every_state_action_and_side_does_what_the_table_says_and_nothing_else() -> None:
    tried = 0
    for kind, state, action, side in product(Kind, State, Action, Side):
        tried += 1
        allowed = ALLOWED.get((kind, state, action))
        if allowed is None:
            with pytest.raises(DisputeMoved):
                next_state(kind, state, action, side)
        elif side not in (allowed[0], Side.HANSA):
            with pytest.raises(NotYourTurn):
                next_state(kind, state, action, side)
        else:
            assert next_state(kind, state, action, side) == allowed[1]
    assert tried == len(Kind) * len(State) * len(Action) * len(Side)


@pytest.mark.parametrize("kind", Kind)
def test_from_every_state_the_end_is_reached_by_silence_alone(kind: Kind) -> None:
    for start in LIFE[kind]:
        state, seen = start, set[State]()
        while state not in FINAL:
            assert state not in seen, f"silence goes in a circle at {state}"
            seen.add(state)
            action = Action.BOOK if state in PAYING else own_rules().silence(kind, state)
            state = next_state(kind, state, action, Side.HANSA)


@pytest.mark.parametrize("kind", Kind)
def test_the_page_shows_the_diagram_of_the_table(kind: Kind) -> None:
    assert f"```mermaid\n{diagram(kind)}\n```" in PAGE.read_text(encoding="utf-8")


def test_the_page_lists_every_reason() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rules = own_rules()

    for one in rules.refunds.reasons:
        assert f"| `{one.code}` | {one.en} | {one.does.replace('_', ' ')} |" in page
    for item in rules.items.reasons:
        needs = ", ".join(f"`{name}`" for name in item.needs) or "none"
        assert f"| `{item.code}` | {item.en} | {item.raised_by} | {needs} |" in page


# from | business days | to: Christmas, New Year, a leap day, both ends of daylight saving time
DAYS = [
    (date(2026, 11, 20), 1, date(2026, 11, 23)),
    (date(2026, 11, 21), 1, date(2026, 11, 23)),
    (date(2026, 12, 24), 1, date(2026, 12, 28)),
    (date(2026, 12, 24), 5, date(2027, 1, 4)),
    (date(2028, 2, 25), 2, date(2028, 2, 29)),
    (date(2027, 3, 26), 1, date(2027, 3, 29)),
    (date(2026, 10, 23), 1, date(2026, 10, 26)),
]


@pytest.mark.parametrize(("day", "number", "then"), DAYS)
def test_business_days_skip_rest_and_holidays(day: date, number: int, then: date) -> None:
    assert business_day_after(day, number, own_rules().calendar) == then


@given(
    day=st.dates(date(2026, 1, 1), date(2030, 12, 31)),
    one=st.integers(1, 30),
    more=st.integers(1, 30),
)
def test_business_days_add_up(day: date, one: int, more: int) -> None:
    calendar = own_rules().calendar

    then = business_day_after(day, one, calendar)

    assert then > day and then.isoweekday() < 6 and then not in calendar.holidays
    assert business_day_after(then, more, calendar) == business_day_after(day, one + more, calendar)


def test_a_deadline_is_the_cut_off_of_its_business_day_in_local_time() -> None:
    london = Settings("Europe/London", time(4))
    friday = datetime.fromisoformat("2027-03-26T12:00+00:00")

    due = own_rules().due_at(Kind.REFUND, FIRST[Kind.REFUND], "wrong_fare", since=friday, settings=london)

    assert due == datetime.fromisoformat("2027-04-03T04:00+01:00")


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('asked = "grant"', 'asked = "decide"', "refunds.silence.asked"),
        ("asked = 5, ", "", "refunds.days.asked"),
        ('code = "not_me"', 'code = "wrong_fare"', "refunds.reasons"),
        ("rest = [6, 7]", "rest = [1, 2, 3, 4, 5, 6, 7]", "calendar.rest"),
        ("version = 2", "version = 0", "rules.toml"),
        ("within_days = 60", "within = 60", "rules.toml"),
        ("[calendar]", "[calendar", "rules.toml"),
    ],
)
def test_rules_that_cannot_work_are_refused_where_they_fail(old: str, new: str, where: str) -> None:
    assert old in TOML

    with pytest.raises(BadDisputeRules) as refused:
        read_rules(TOML.replace(old, new))

    assert refused.value.problems[0].where == where
