"""Gates' chains: what is missing, altered or made twice is found whatever the order, and once; late taps heal."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import rides
from hansa.codes import CHAIN_START, tap_link
from hansa.kernel import FixedClock, fact_id
from hansa.rides import GAP_FILLS, ChainCounts, Tap
from hansa.store import Context
from rides.riding import League, account_of

EIGHT = datetime(2026, 11, 17, 0, tzinfo=UTC)
OPERATOR = "beijing-subway"
PLACE = "beijing/xizhimen"
GATE = f"{PLACE}/entry"
EXAMPLES = count()


@pytest.fixture
def league(committed_ctx: Context) -> League:
    return League(committed_ctx, OPERATOR)


def sealed(taps: Sequence[Tap]) -> list[Tap]:
    """Taps of one gate in order of their number, sealed as the gate does."""
    chain, done = CHAIN_START, list[Tap]()
    for tap in taps:
        chain = tap_link(
            chain,
            tap_id=tap.tap_id,
            gate_id=tap.gate_id,
            sequence=tap.sequence,
            action=tap.action,
            stop_id=tap.stop_id,
            tapped_at=tap.tapped_at,
            cti=tap.cti,
            counter=tap.counter,
            kid=tap.kid,
            made_at=tap.made_at,
            list_version=tap.list_version,
            companion=tap.companion,
        )
        done.append(replace(tap, chain=chain))
    return done


def some_taps(league: League, number: int, place: str = PLACE, **changes: object) -> list[Tap]:
    """The first taps of a gate, a minute apart."""
    cti = league.rider(1)
    taps = [
        league.tap(OPERATOR, place, "entry", EIGHT + timedelta(minutes=minute), cti, companion=minute % 3)
        for minute in range(number)
    ]
    return sealed([replace(tap, **changes) for tap in taps])  # pyright: ignore[reportArgumentType]


def breaks(league: League) -> list[tuple[int, str, bool]]:
    """What is kept: number, fault, and whether it was healed."""
    with league.ctx.tx() as tx:
        return [
            (row[0], row[1], row[2])
            for row in tx.execute(
                "select sequence, fault, healed_at is not null from rides.chain_breaks order by sequence, fault"
            )
        ]


def told(league: League) -> list[tuple[str, int, str]]:
    with league.ctx.tx() as tx:
        found, _ = rides.watch_chain_breaks(tx, None, 100)
    return sorted((one.gate_id, one.sequence, one.fault) for one in found)


def check(league: League) -> ChainCounts:
    counts = ChainCounts()
    while True:
        one = rides.check_chains(league.ctx, limit=3)
        counts = ChainCounts(
            counts.taps + one.taps,
            counts.broken + one.broken,
            counts.healed + one.healed,
            counts.told + one.told,
        )
        if not one.taps:
            return counts


def later(league: League, by: timedelta) -> None:
    clock = league.ctx.clock
    assert isinstance(clock, FixedClock)
    clock.at += by


def test_a_whole_chain_has_no_breaks(league: League) -> None:
    league.hand_in(some_taps(league, 7))

    assert check(league) == ChainCounts(taps=7)
    assert breaks(league) == []
    assert check(league) == ChainCounts()


def test_a_gate_that_leaves_its_stop_out_of_its_taps_has_a_whole_chain(league: League) -> None:
    league.hand_in(some_taps(league, 3, stop_id=None))

    assert check(league) == ChainCounts(taps=3)


def test_an_altered_tap_is_found_and_told(league: League) -> None:
    taps = some_taps(league, 5)
    league.hand_in([*taps[:2], replace(taps[2], counter=77), *taps[3:]])

    assert check(league) == ChainCounts(taps=5, broken=1)
    assert told(league) == [(GATE, 3, "mismatch")]


def test_a_device_that_makes_no_chain_leaves_one_break_an_hour(league: League) -> None:
    cti = league.rider(1)
    league.hand_in(
        [
            league.tap(OPERATOR, PLACE, "entry", EIGHT + timedelta(minutes=7 * number), cti)
            for number in range(20)
        ]
    )

    check(league)

    assert [(number, fault) for number, fault, _ in breaks(league)] == [
        (1, "mismatch"),
        (10, "mismatch"),
        (19, "mismatch"),
    ]


def test_a_gap_is_told_once_it_had_time_to_fill(league: League) -> None:
    taps = some_taps(league, 6)
    league.hand_in([*taps[:2], *taps[4:]])

    check(league)

    assert (breaks(league), told(league)) == ([(5, "gap", False)], [])
    later(league, GAP_FILLS)
    assert check(league).told == 1
    assert told(league) == [(GATE, 5, "gap")]
    assert check(league).told == 0


def test_a_gap_that_fills_is_healed_and_nobody_is_told(league: League) -> None:
    taps = some_taps(league, 6)
    league.hand_in([*taps[:2], *taps[4:]])
    check(league)

    league.hand_in([taps[3]])
    check(league)
    league.hand_in([taps[2]])
    check(league)
    later(league, 2 * GAP_FILLS)

    assert check(league).told == 0
    assert breaks(league) == [(4, "gap", True), (5, "gap", True)]
    assert told(league) == []


def test_two_taps_under_one_number_are_told_once_and_the_first_stays(league: League) -> None:
    taps = some_taps(league, 3)
    other = replace(taps[1], counter=99)
    league.hand_in(taps)

    for _ in range(2):
        receipt = league.hand_in([other])
        assert [one.code for one in receipt.refused] == ["rides.tap_conflict"]
    both = league.hand_in([taps[0], replace(taps[0], counter=5)])
    check(league)

    assert len(both.refused) == 1
    assert told(league) == [(GATE, 1, "two_taps"), (GATE, 2, "two_taps")]
    assert league.books("taps") == 3


def test_a_tap_with_a_made_up_id_is_no_second_tap(league: League) -> None:
    (tap,) = some_taps(league, 1)

    league.hand_in([replace(tap, tap_id=fact_id(None, "made up"))])

    assert breaks(league) == []


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000))
def test_any_order_of_arrival_finds_the_same_breaks(league: League, seed: int) -> None:
    dice, number = Random(seed), next(EXAMPLES)
    place = sorted({place for _, place, action in league.gates if place and action == "entry"})[number]
    taps = [
        replace(tap, counter=10_000) if dice.random() < 0.1 else tap
        for tap in some_taps(league, dice.randint(1, 12), place)
    ]
    kept = [tap for tap in taps if dice.random() < 0.8]
    whole = {tap.sequence: tap for tap in kept}
    expected_gaps = [one for one in whole if one > 1 and one - 1 not in whole]
    # the links were made before anything was altered: an altered tap's own link fails, the next one's does not
    altered = [
        tap.sequence
        for tap in kept
        if tap.counter == 10_000 and (tap.sequence == 1 or tap.sequence - 1 in whole)
    ]
    arriving = kept.copy()
    dice.shuffle(arriving)

    while arriving:
        some = dice.randint(1, len(arriving))
        league.hand_in(arriving[:some])
        arriving = arriving[some:]
        if dice.random() < 0.6:
            check(league)
    check(league)

    with league.ctx.tx() as tx:
        found = tx.execute(
            "select fault, sequence from rides.chain_breaks where gate_id = %s and healed_at is null order by 1, 2",
            (f"{place}/entry",),
        ).fetchall()
    assert [row[1] for row in found if row[0] == "gap"] == expected_gaps
    # one an hour is kept, and all of these are of one hour
    assert [row[1] for row in found if row[0] == "mismatch"] in ([], *([one] for one in altered))
    assert bool(altered) == any(row[0] == "mismatch" for row in found)


# -- taps whose token is told of later


def test_a_tap_of_an_unknown_token_is_kept_aside_and_taken_in_later(league: League) -> None:
    known = some_taps(league, 4)
    taps = sealed([known[0], replace(known[1], cti=b"stranger"), *known[2:]])

    first, again = league.hand_in(taps), league.hand_in(taps)
    check(league)
    nothing = rides.retry_taps(league.ctx)
    token = rides.Token(b"stranger", account_of(5), "beijing-card", "CNY", "adult", EIGHT + timedelta(days=1))
    with league.ctx.tx() as tx:
        rides.register_tokens(tx, [token])
    taken = rides.retry_taps(league.ctx), rides.retry_taps(league.ctx)
    counts = check(league)
    later(league, 2 * GAP_FILLS)

    assert [one.code for one in first.refused] == ["rides.unknown_token"]
    assert (again.recorded, again.duplicates, len(again.refused)) == (0, 3, 1)
    assert (nothing, taken) == (0, (1, 0))
    assert (counts.taps, counts.broken, check(league).told) == (1, 0, 0)
    assert breaks(league) == []  # a tap that waits is no gap
    assert league.hand_in(taps) == rides.TapReceipt(0, 4, ())
    rides.rate(league.ctx)
    assert league.books("taps") == 4


def test_a_tap_that_waited_and_may_not_be_taken_in_says_why(league: League) -> None:
    (tap,) = some_taps(league, 1, cti=b"stranger")
    league.hand_in([tap])
    ended = rides.Token(b"stranger", account_of(5), "beijing-card", "CNY", "adult", EIGHT - timedelta(days=1))
    with league.ctx.tx() as tx:
        rides.register_tokens(tx, [ended])

    assert (rides.retry_taps(league.ctx), rides.retry_taps(league.ctx)) == (1, 0)

    with league.ctx.tx() as tx:
        assert tx.execute("select refused from rides.waiting_taps").fetchall() == [("rides.token_expired",)]
    assert league.books("taps") == 0


def test_a_tap_that_waited_and_was_handed_in_again_meanwhile_is_kept_once(league: League) -> None:
    (tap,) = some_taps(league, 1, cti=b"stranger")
    league.hand_in([tap])
    token = rides.Token(b"stranger", account_of(5), "beijing-card", "CNY", "adult", EIGHT + timedelta(days=1))
    with league.ctx.tx() as tx:
        rides.register_tokens(tx, [token])
    assert league.hand_in([tap]).recorded == 1

    assert rides.retry_taps(league.ctx) == 1

    with league.ctx.tx() as tx:
        assert tx.execute("select count(*) from rides.waiting_taps").fetchone() == (0,)
    assert league.books("taps") == 1


def test_taps_of_another_operators_gate_are_not_kept_aside(league: League) -> None:
    (tap,) = some_taps(league, 1, cti=b"stranger")

    receipt = rides.record_taps(league.ctx, None, [tap], operator_id="london-tfl")

    with league.ctx.tx() as tx:
        assert tx.execute("select count(*) from rides.waiting_taps").fetchone() == (0,)
    assert [one.code for one in receipt.refused] == ["rides.unknown_gate"]
