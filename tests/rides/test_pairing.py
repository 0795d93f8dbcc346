"""Which taps belong together."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.rides import Touch, pair_taps
from rides.riding import random_day, touch

EIGHT = datetime(2026, 11, 17, 8, tzinfo=UTC)
TWO_HOURS = timedelta(hours=2)


def at(minutes: int) -> datetime:
    return EIGHT + timedelta(minutes=minutes)


def paired(taps: list[Touch]) -> list[tuple[str, str | None, str | None]]:
    return [(one.kind, one.origin, one.destination) for one in pair_taps(taps, journey_max=TWO_HOURS)]


@pytest.mark.parametrize(
    ("taps", "journeys"),
    [
        # minute and direction at each stop                 | what they make
        ([(0, "entry", "a"), (20, "exit", "b")], [("complete", "a", "b")]),
        ([(0, "entry", "a")], [("no_exit", "a", None)]),
        ([(0, "exit", "b")], [("no_entry", None, "b")]),
        ([(0, "entry", "a"), (9, "entry", "c")], [("no_exit", "a", None), ("no_exit", "c", None)]),
        (
            [(0, "entry", "a"), (9, "entry", "c"), (30, "exit", "b")],
            [("no_exit", "a", None), ("complete", "c", "b")],
        ),
        (
            [(0, "entry", "a"), (9, "exit", "b"), (30, "exit", "c")],
            [("complete", "a", "b"), ("no_entry", None, "c")],
        ),
        ([(0, "entry", "a"), (120, "exit", "b")], [("complete", "a", "b")]),
        ([(0, "entry", "a"), (121, "exit", "b")], [("no_exit", "a", None), ("no_entry", None, "b")]),
        ([(0, "entry", "a"), (3, "exit", "a")], [("complete", "a", "a")]),
        ([(0, "board", "a"), (5, "board", "c")], [("boarding", "a", None), ("boarding", "c", None)]),
        (
            [(0, "entry", "a"), (5, "board", "x"), (9, "exit", "b")],
            [("complete", "a", "b"), ("boarding", "x", None)],
        ),
    ],
)
def test_an_entry_is_answered_by_the_next_exit_in_time(
    taps: list[tuple[int, str, str]], journeys: list[tuple[str, str | None, str | None]]
) -> None:
    assert paired([touch(at(minute), action, stop) for minute, action, stop in taps]) == journeys


def test_two_phones_of_one_account_travel_side_by_side() -> None:
    taps = [
        touch(at(0), "entry", "a", cti=b"phone 01"),
        touch(at(1), "entry", "b", cti=b"phone 02"),
        touch(at(20), "exit", "c", cti=b"phone 01"),
        touch(at(21), "exit", "d", cti=b"phone 02"),
    ]

    assert paired(taps) == [("complete", "a", "c"), ("complete", "b", "d")]


def test_a_phone_whose_token_changed_on_the_way_still_ends_its_journey() -> None:
    taps = [touch(at(0), "entry", "a", cti=b"token 01"), touch(at(20), "exit", "b", cti=b"token 02")]

    assert paired(taps) == [("complete", "a", "b")]


def test_taps_of_one_instant_stand_in_the_order_of_gate_and_sequence() -> None:
    first = touch(at(0), "entry", "a", gate="g", sequence=1)
    second = touch(at(0), "exit", "b", gate="g", sequence=2)

    assert paired([second, first]) == [("complete", "a", "b")]


def test_a_journey_is_named_by_its_first_tap() -> None:
    entry, leave = touch(at(0), "entry", "a"), touch(at(20), "exit", "b")

    alone = pair_taps([entry], journey_max=TWO_HOURS)[0]
    whole = pair_taps([leave, entry], journey_max=TWO_HOURS)[0]

    assert alone.journey_id == whole.journey_id == entry.tap_id


@given(seed=st.integers(0, 10_000))
def test_the_order_of_arrival_does_not_matter_and_no_tap_is_lost(seed: int) -> None:
    taps = random_day(seed, ["a", "b", "c", "d"], EIGHT)
    shuffled = taps.copy()
    Random(seed).shuffle(shuffled)

    journeys = pair_taps(taps, journey_max=TWO_HOURS)

    assert pair_taps(shuffled, journey_max=TWO_HOURS) == journeys
    used = [tap for one in journeys for tap in (one.first_tap, one.last_tap) if tap is not None]
    assert sorted(used) == sorted(tap.tap_id for tap in taps)


@given(seed=st.integers(0, 10_000), cut=st.integers(0, 1_200))
def test_a_day_is_paired_right_with_twice_the_longest_journey_around_it(seed: int, cut: int) -> None:
    taps = random_day(seed, ["a", "b", "c", "d"], EIGHT, rides_max=12)
    starts_at, ends_at = at(cut), at(cut + 240)
    around = [t for t in taps if starts_at - 2 * TWO_HOURS <= t.tapped_at < ends_at + 2 * TWO_HOURS]

    whole = [j for j in pair_taps(taps, journey_max=TWO_HOURS) if starts_at <= j.started_at < ends_at]
    part = [j for j in pair_taps(around, journey_max=TWO_HOURS) if starts_at <= j.started_at < ends_at]

    assert part == whole
