"""What is published of disputes: right counts, and none from which a small one can be worked out."""

from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disputes.disputing import CARD, SUBWAY, ask, claim, do, item_of, open_books, pass_days, ride
from hansa import disputes
from hansa.disputes.life import Kind
from hansa.disputes.model import Outcomes
from hansa.disputes.statistics import PARTS, hidden_parts, publish
from hansa.store import Context

COUNTS = st.lists(st.integers(0, 30), min_size=6, max_size=6).filter(lambda parts: sum(parts) >= 5)


def outcomes(reason: str, parts: list[int], operator: str = "metro") -> Outcomes:
    return Outcomes(
        operator, Kind.REFUND, reason, sum(parts), *parts, at_once=0, by_silence=0, median_days=1.5
    )


@given(COUNTS)
def test_no_small_count_can_be_worked_out_from_a_line(parts: list[int]) -> None:
    told = hidden_parts(parts)

    hidden = [count for count, shown in zip(parts, told, strict=True) if shown is None]
    assert not any(shown is not None and 0 < shown < disputes.HIDDEN_BELOW for shown in told)
    assert not hidden or (len(hidden) >= 2 and sum(hidden) >= disputes.HIDDEN_BELOW)
    assert [shown for shown in told if shown is not None] == [
        count for count, shown in zip(parts, told, strict=True) if shown is not None
    ]


@given(st.lists(COUNTS | st.just([1, 0, 0, 0, 0, 0]) | st.just([0, 2, 1, 0, 0, 0]), max_size=6))
def test_lines_tell_all_that_is_large_enough_and_nothing_small(rows: list[list[int]]) -> None:
    found = [outcomes(f"reason {n}", parts) for n, parts in enumerate(rows)]

    lines, untold = publish(found)

    small = [one for one in found if one.raised < disputes.HIDDEN_BELOW]
    assert all(one.raised >= disputes.HIDDEN_BELOW for one in lines)
    assert [one.reason for one in lines if one.reason != "others"] == [
        one.reason for one in found if one.raised >= disputes.HIDDEN_BELOW
    ]
    together = [one.raised for one in lines if one.reason == "others"]
    assert together == ([sum(one.raised for one in small)] if not untold and small else [])


def test_quarters_follow_one_another_without_a_gap() -> None:
    for year, number in product((2026, 2027), (1, 2, 3, 4)):
        quarter = disputes.Quarter(year, number)
        assert quarter.next().before() == quarter == disputes.Quarter.of(quarter.last_day)
        assert (quarter.next().first_day - quarter.last_day).days == 1
    assert disputes.Quarter.of(date(2026, 11, 20)) == disputes.Quarter(2026, 4)
    assert str(disputes.Quarter(2026, 4)) == "2026-Q4"


@pytest.fixture
def busy(ctx: Context) -> Context:
    """Six refunds are asked for: the desk grants three wholly and one by half, refuses one, and lets one run out."""
    league = open_books(ctx)
    for n in range(6):
        ask(ctx, ride(league, f"{8 + n:02d}:00", exit_at=f"{8 + n:02d}:20"), number=10 + n)
    pass_days(ctx, 2)
    for n in range(3):
        do(ctx, SUBWAY, "grant", number=10 + n)
    do(ctx, SUBWAY, "grant", number=13, amount=50)
    do(ctx, SUBWAY, "refuse", number=14)
    claim(ctx, item_of(ctx, ride(league, "20:00", exit_at="20:20")), number=30)
    do(ctx, CARD, "withdraw", number=30)
    pass_days(ctx, 25)
    disputes.turn(ctx)
    return ctx


def test_the_figures_of_a_quarter_are_counted_from_the_facts(busy: Context) -> None:
    told = disputes.statistics(busy, disputes.Quarter(2026, 4))

    (line,) = told.lines
    assert (line.operator_id, line.kind, line.reason, line.raised) == (
        "beijing-subway",
        "refund",
        "charged_twice",
        6,
    )
    # Four were given back wholly, one in part, one not: each is too few to be told.
    assert {name: getattr(line, name) for name in PARTS} == dict.fromkeys(PARTS, 0) | dict.fromkeys(
        ("in_full", "in_part", "nothing")
    )
    assert line.median_days == 2.0 and line.by_silence is None and line.at_once == 0
    assert told.untold == 1, "a single dispute of an item is not told"
    assert told.runs and told.up_to == date(2026, 12, 17)
    assert disputes.statistics(busy, disputes.Quarter(2026, 3)).lines == ()
