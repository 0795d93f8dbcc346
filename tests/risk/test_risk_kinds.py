"""Each kind of rule by a table: what it finds, what it lets pass, and the figures it leaves."""

from datetime import timedelta

import pytest

from hansa.risk import Revoked, Seen, Turned
from hansa.risk.kinds import EVIDENCE_MAX, judge
from risk.seeing import ACCOUNT, CTI, NOON, facts, one, rule, seen, turned

# -- one code, two gates ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "copied_code", "copied_at_station"),
    [
        (seen("dale", 7, 5, made=-2), True, False),
        (seen("near", 7, 5, made=-2), True, False),
        (seen("hill", 7, 5, made=-2, gate="hill/entry/2"), False, True),
        (seen("dale", 700, 6, made=698), False, False),
        (seen("dale", 7, 5, made=-1), False, False),  # same counter, another code: two phones
        (seen("dale", 7, 5, made=-2, companion=1), False, False),
        (seen("dale", 7, 5, made=-2, cti="bb" * 8), False, False),
    ],
)
def test_one_code_that_opened_two_gates(second: Seen, copied_code: bool, copied_at_station: bool) -> None:
    known = facts([seen("hill", 0, 5, made=-2), second])

    assert bool(judge(rule("copied_code"), known)) == copied_code
    assert bool(judge(rule("copied_at_station"), known)) == copied_at_station


def test_a_copied_code_tells_where_and_how_soon() -> None:
    told = one(judge(rule("copied_code"), facts([seen("hill", 0, 5, made=-2), seen("dale", 7, 5, made=-2)])))

    assert [tap.station for tap in told.taps] == ["hill", "dale"]
    assert told.figures == {"stations": 2, "seconds_between": 7, "counter": 5, "metres_between": 5004}


# -- counters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taps", "found"),
    [
        ([seen("hill", 0, 1), seen("hill", 600, 2), seen("hill", 1200, 3)], False),
        ([seen("hill", 0, 7), seen("hill", 600, 3)], True),
        ([seen("hill", 0, 1), seen("hill", 600, 9), seen("dale", 300, 12)], True),
        ([seen("hill", 0, 4), seen("dale", 600, 4)], True),
        ([seen("hill", 0, 4, made=-2), seen("dale", 5, 4, made=-2)], False),  # one code twice: another rule
        ([seen("hill", 0, 2, made=50), seen("hill", 20, 3, made=-5)], False),  # a clock put right
        ([seen("hill", 0, 2, made=59), seen("hill", 20, 3, made=-2)], True),
        ([seen("hill", 0, 7), seen("hill", 600, 3, companion=1)], False),
        ([seen("hill", 0, 7), seen("hill", 600, 3, cti="bb" * 8)], False),
        ([seen("hill", 0, 5), seen("dale", 100, 1), seen("hill", 200, 6), seen("dale", 300, 2)], True),
    ],
)
def test_a_counter_that_ran_twice(taps: list[Seen], found: bool) -> None:
    assert bool(judge(rule("two_phones"), facts(taps))) == found


def test_late_taps_are_no_second_phone() -> None:
    late = seen("hill", 60, 2, late_s=90_000)

    assert not judge(rule("two_phones"), facts([seen("hill", 0, 1), seen("dale", 700, 3), late]))


def test_two_phones_tell_both_counters() -> None:
    told = one(judge(rule("two_phones"), facts([seen("hill", 0, 7), seen("dale", 600, 3)])))

    assert told.figures == {"seconds_back": 600, "counter": 3, "later_counter": 7}
    assert len(told.taps) == 2


# -- travel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then", "seconds", "found"),
    [
        ("hill", "dale", 1, True),  # 5,004 m - 1,500 m > 55 m/s x 61 s
        ("hill", "dale", 3, True),
        ("hill", "dale", 4, False),
        ("hill", "near", 0, False),  # neighbours: within what is near
        ("hill", "away", 8 * 3600 - 600, False),  # 8,150 km by air
        ("hill", "away", 7 * 3600, True),
        ("bus", "dale", 1, False),  # a bus may be anywhere in its city
        ("bus", "away", 600, True),
        ("hill", "hill", 0, False),
    ],
)
def test_farther_than_anything_carries(first: str, then: str, seconds: int, found: bool) -> None:
    known = facts([seen(first, 0, 1), seen(then, seconds, 2)])

    assert bool(judge(rule("too_far"), known)) == found


def test_travel_looks_past_the_next_tap() -> None:
    bus = seen("bus", 300, 2, action="board")

    told = one(judge(rule("too_far"), facts([seen("away", 0, 1), bus, seen("dale", 600, 3)])))

    assert len(told.taps) == 3
    assert told.figures["m_per_s_max"] == 290


# -- velocity, pairing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "every_s", "found"), [(4, 10, False), (5, 10, True), (5, 151, False), (40, 700, False)]
)
def test_more_rides_than_one_person_takes(starts: int, every_s: int, found: bool) -> None:
    known = facts([seen("hill", n * every_s, n + 1) for n in range(starts)])

    assert bool(judge(rule("too_often"), known)) == found


def test_exits_and_companions_are_no_rides_of_the_holder() -> None:
    family = [seen("hill", n, 1, companion=n) for n in range(5)]
    exits = [seen("hill", 10 * n, n + 2, action="exit") for n in range(5)]

    assert not judge(rule("too_often"), facts([*family, *exits]))


@pytest.mark.parametrize(
    ("second", "found"),
    [
        (seen("dale", 170, 2), True),
        (seen("dale", 190, 2), False),
        (seen("near", 100, 2), False),  # changed their mind and walked
        (seen("dale", 170, 2, action="exit"), False),
        (seen("dale", 170, 2, companion=1), False),
    ],
)
def test_two_entries_within_minutes(second: Seen, found: bool) -> None:
    assert bool(judge(rule("entered_twice"), facts([seen("hill", 0, 1), second]))) == found


# -- refused codes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "found"),
    [
        ([turned("dale", 240, 5, made=-2)], True),
        ([turned("hill", 240, 5, made=-2, action="exit")], True),  # passed back, minutes later
        ([turned("hill", 6, 5, made=-2, reason="replay")], False),  # held there a second too long
        ([turned("dale", 6, 5, made=-2, reason="wrong_place")], True),
        ([turned("hill", -8, 4, made=-500)], False),  # a phone whose clock is wrong
        ([turned("dale", 240, 4, made=-500), turned("hill", 250, 4, made=-500)], True),
        ([turned("dale", 6, 5, made=-2, reason="revoked")], False),
    ],
)
def test_a_picture_of_a_code(refused: list[Turned], found: bool) -> None:
    known = facts([seen("hill", 0, 5, made=-2)], refused)

    assert bool(judge(rule("picture"), known)) == found


def test_a_picture_tells_its_age_and_its_gates() -> None:
    tries = [turned("dale", 240, 5, made=-2), turned("near", 420, 5, made=-2)]

    told = one(judge(rule("picture"), facts([seen("hill", 0, 5, made=-2)], tries)))

    assert told.figures == {"tries": 2, "gates": 2, "seconds_old": 422}
    assert (len(told.taps), len(told.refused)) == (1, 2)


# -- lost phones, offline gates, tokens ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "version", "offline", "accepted"),
    [
        (50, 1, False, False),
        (61, 1, True, False),
        (61, 4, False, True),
        (61, 5, False, True),
        (-100, 5, False, False),
    ],
)
def test_rides_on_a_lost_phone(seconds: int, version: int, offline: bool, accepted: bool) -> None:
    known = facts([seen("hill", seconds, 1, version=version)], revoked={CTI: Revoked(4, NOON)})

    assert bool(judge(rule("revoked_offline"), known)) == offline
    assert bool(judge(rule("revoked_accepted"), known)) == accepted


def test_a_lost_phone_tells_which_list_the_gate_had() -> None:
    known = facts([seen("hill", 900, 1, version=2)], revoked={CTI: Revoked(4, NOON)})

    told = one(judge(rule("revoked_offline"), known))

    assert told.figures["revoked_in_version"] == 4
    assert told.figures["gate_had_version"] == 2
    assert told.figures["seconds_after"] == 900


@pytest.mark.parametrize(
    ("starts", "gates", "late_s", "found"),
    [(13, 2, 1000, True), (12, 2, 1000, False), (13, 1, 1000, False), (13, 2, 800, False)],
)
def test_the_offline_cap_over_several_gates(starts: int, gates: int, late_s: int, found: bool) -> None:
    taps = [seen("hill", 1800 * n, n + 1, gate=f"hill/{n % gates}", late_s=late_s) for n in range(starts)]

    assert bool(judge(rule("offline_cap"), facts(taps))) == found


@pytest.mark.parametrize(("number", "every_s", "found"), [(4, 60, False), (5, 60, True), (5, 1000, False)])
def test_many_tokens_in_a_short_time(number: int, every_s: int, found: bool) -> None:
    taps = [seen("hill", every_s * n, 1, cti=f"{n:016x}") for n in range(number)]

    findings = judge(rule("many_tokens"), facts(taps))

    assert [finding.subject for finding in findings] == ([f"{ACCOUNT}/2026-11-17"] if found else [])


# -- bounds -------------------------------------------------------------------------------------------------


def test_evidence_stays_short_enough_to_read() -> None:
    taps = [seen("hill", 2 * n, n + 1) for n in range(5 * EVIDENCE_MAX)]

    told = one(judge(rule("too_often"), facts(taps)))

    assert len(told.taps) == EVIDENCE_MAX
    assert told.figures["starts"] == 300
    assert told.taps[0].at == NOON + timedelta(0)
