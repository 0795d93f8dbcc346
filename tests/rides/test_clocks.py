"""A gate's clock is judged by the numbers of its taps, by codes and by when taps came; the true instants come out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.kernel import fact_id
from hansa.rides.clocks import CLOCK_OFF, Corrected, GateTap, correct_clock

TEN = datetime(2026, 11, 17, 10, tzinfo=UTC)
NIGHT = datetime(2026, 11, 18, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return TEN + timedelta(minutes=minutes)


def taps_of(
    reads: Sequence[float],
    *,
    codes: Sequence[float] | None = None,
    phones: Sequence[int] | None = None,
    received: Sequence[float] | None = None,
) -> list[GateTap]:
    """Taps numbered from 1 at minutes after ten by the gate's clock; the codes say the same where nothing else."""
    return [
        GateTap(
            fact_id(None, "tap", number),
            number,
            at(minute),
            at(minute if codes is None else codes[number - 1]),
            bytes([number if phones is None else phones[number - 1]]),
            NIGHT if received is None else at(received[number - 1]),
        )
        for number, minute in enumerate(reads, 1)
    ]


def shown(found: Sequence[Corrected]) -> list[tuple[int, float, str]]:
    return [(one.sequence, (one.at - TEN) / MINUTE, one.why) for one in found]


@pytest.mark.parametrize(
    ("reads", "codes", "corrected"),
    [
        # minutes by the gate's clock | by the codes | (number, minute, why) of what is corrected
        ([0, 1, 2, 3], None, []),
        ([0, 1, 120, 3, 4], None, [(3, 3, "sequence")]),  # one leap forward: before the next right tap
        ([0, 1, -90, 3, 4], None, [(3, 1, "sequence")]),  # and back: after the one before
        ([0, 1, 2, 62, 63, 5, 6, 7, 8], None, [(4, 5, "sequence"), (5, 5, "sequence")]),
        ([0, 1, 2, 62, 63, 5, 6, 7, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8], [(4, 3, "code"), (5, 4, "code")]),
        ([0, 1, 1.5, 1.2, 2], None, []),  # set by the network, by seconds
        ([30, 31, 32, 33], [0, 1, 2, 3], [(1, 0, "code"), (2, 1, "code"), (3, 2, "code"), (4, 3, "code")]),
        ([0, 1, 32, 33], [0, 1, 2, 3], []),  # two phones may both be wrong
        ([0, 1, 32, 3, 4], [0, 1, 2, 3, 4], [(3, 2, "code")]),  # but not if the gate's own numbers say so too
        ([0, 10, 20], [0, 50, 20], []),  # one phone is wrong, the gate is not
    ],
)
def test_taps_are_put_where_numbers_and_codes_say(
    reads: list[float], codes: list[float] | None, corrected: list[tuple[int, float, str]]
) -> None:
    assert shown(correct_clock(taps_of(reads, codes=codes))) == corrected


def test_one_phone_alone_does_not_prove_a_clock_wrong() -> None:
    taps = taps_of([30, 31, 32, 33], codes=[0, 1, 2, 3], phones=[1, 1, 2, 2])

    assert correct_clock(taps) == []


def test_no_tap_was_made_after_it_was_received() -> None:
    taps = taps_of([0, 1, 200, 201], received=[5, 5, 60, 60])

    assert shown(correct_clock(taps)) == [(3, 60, "received"), (4, 60, "received")]


def test_a_correction_changes_when_more_taps_come() -> None:
    taps = taps_of([0, 1, 120, 121, 4, 5, 6, 7])

    few, many = correct_clock(taps[:5]), correct_clock(taps)

    assert shown(few) == [(5, 121, "sequence")]  # the most rise with their numbers up to here
    assert shown(many) == [(3, 4, "sequence"), (4, 4, "sequence")]


@settings(max_examples=200)
@given(seed=st.integers(0, 1_000_000))
def test_the_set_of_taps_decides_and_corrected_instants_rise_within_their_bounds(seed: int) -> None:
    dice = Random(seed)
    reads = [float(dice.choice((number, number, number, dice.randint(-90, 200)))) for number in range(20)]
    codes = [minute if dice.random() < 0.7 else float(number) for number, minute in enumerate(reads)]
    taps = taps_of(reads, codes=codes, phones=[dice.randint(1, 6) for _ in reads])
    shuffled = [*taps, *dice.choices(taps, k=3)]
    dice.shuffle(shuffled)

    found = correct_clock(taps)

    assert correct_clock(shuffled) == found
    for one in found:
        assert one.at <= one.not_after
        assert one.not_before is None or one.not_before <= one.at
        assert abs(one.at - one.read_at) > CLOCK_OFF


@settings(max_examples=200)
@given(seed=st.integers(0, 1_000_000))
def test_a_clock_that_ran_away_and_was_set_right_is_found_out(seed: int) -> None:
    """Fewer wrong taps than right ones around them: all wrong ones are found, and the right ones left alone."""
    dice = Random(seed)
    made = sorted(at(dice.uniform(0, 300)) for _ in range(24))
    begin, length = dice.randint(1, 12), dice.randint(1, 6)
    off = dice.choice((-1, 1)) * timedelta(minutes=dice.randint(310, 600))
    wrong = range(begin, begin + length)
    taps = [
        GateTap(fact_id(None, "tap", n), n, t + off * (n in wrong), t, bytes([n]), NIGHT + timedelta(days=1))
        for n, t in enumerate(made)
    ]

    found = {one.sequence: one.at for one in correct_clock(taps)}

    assert found == {n: made[n] for n in wrong}
