"""Taps are kept exactly once; what may not be kept is named, and holds up nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hansa import rides, trust
from hansa.kernel import UnknownCurrency
from hansa.rides import TapBatchTooLarge, TapReceipt, TokenConflict
from hansa.store import Context
from rides.riding import League, account_of

EIGHT = datetime(2026, 11, 17, 0, tzinfo=UTC)
"""Eight in the morning in Beijing."""

A, B = "beijing/xizhimen", "beijing/chegongzhuang"
OPERATOR = "beijing-subway"


@pytest.fixture
def league(ctx: Context) -> League:
    return League(ctx, OPERATOR)


def test_a_batch_sent_twice_is_kept_once(league: League) -> None:
    cti = league.rider(1)
    taps = league.ride(OPERATOR, A, B, EIGHT, cti)

    first, second = league.hand_in(taps), league.hand_in(taps)

    assert first == TapReceipt(recorded=2, duplicates=0, refused=())
    assert second == TapReceipt(recorded=0, duplicates=2, refused=())
    assert league.books("taps") == 2


def test_a_batch_that_overlaps_another_adds_only_what_is_new(league: League) -> None:
    cti = league.rider(1)
    taps = league.ride(OPERATOR, A, B, EIGHT, cti) + league.ride(
        OPERATOR, B, A, EIGHT + timedelta(hours=1), cti
    )
    league.hand_in(taps[:3])

    receipt = league.hand_in([*taps[1:], taps[3]])

    assert receipt == TapReceipt(recorded=1, duplicates=3, refused=())


def test_an_empty_batch_is_taken(league: League) -> None:
    assert league.hand_in([]) == TapReceipt(0, 0, ())


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("rides.unknown_gate", {"gate_id": "beijing/nowhere/entry"}),
        ("rides.unknown_token", {"cti": b"stranger"}),
        ("rides.tap_from_future", {"tapped_at": datetime(2026, 11, 17, 12, 5, 1, tzinfo=UTC)}),
        ("rides.tap_conflict", {"sequence": 99}),
        ("rides.wrong_action", {"action": "entry"}),
        ("rides.wrong_stop", {"stop_id": A}),
        ("rides.wrong_stop", {"stop_id": "beijing/nowhere"}),
    ],
)
def test_a_refused_tap_is_named_and_holds_up_no_other(
    league: League, code: str, change: dict[str, object]
) -> None:
    cti = league.rider(1)
    good, bad = league.ride(OPERATOR, A, B, EIGHT, cti)

    receipt = league.hand_in([replace(bad, **change), good])  # pyright: ignore[reportArgumentType]

    assert (receipt.recorded, receipt.duplicates) == (1, 0)
    assert [(one.index, one.code) for one in receipt.refused] == [(0, code)]
    assert receipt.refused[0].detail
    assert league.books("taps") == 1


@pytest.mark.parametrize(("stop_id", "codes"), [(None, []), (A, []), ("london/bank", ["rides.wrong_stop"])])
def test_a_gate_on_board_names_stops_of_its_city_only(
    league: League, stop_id: str | None, codes: list[str]
) -> None:
    (line,) = [place for _, place, action in league.gates if action == "board"][:1]
    assert line is not None
    tap = league.tap(OPERATOR, line, "board", EIGHT, league.rider(1))

    receipt = league.hand_in([replace(tap, stop_id=stop_id)])

    assert [one.code for one in receipt.refused] == codes
    assert league.books("taps") == 1 - len(codes)


@pytest.mark.parametrize(("late_s", "codes"), [(30, []), (31, ["rides.token_expired"])])
def test_an_ended_token_makes_no_taps(league: League, late_s: int, codes: list[str]) -> None:
    cti = b"ended 01"
    token = rides.Token(cti, account_of(1), "beijing-card", "CNY", "adult", EIGHT)
    with league.ctx.tx() as tx:
        rides.register_tokens(tx, [token])
    tap = league.tap(OPERATOR, A, "entry", EIGHT + timedelta(seconds=late_s), cti)

    receipt = league.hand_in([tap])

    assert [one.code for one in receipt.refused] == codes
    assert league.books("taps") == 1 - len(codes)


def test_a_gate_clock_may_run_five_minutes_ahead(league: League) -> None:
    cti = league.rider(1)
    at = league.ctx.clock.now() + timedelta(minutes=5)

    assert league.hand_in([league.tap(OPERATOR, A, "entry", at, cti)]).recorded == 1


def test_another_body_under_a_known_number_is_refused_and_the_first_stays(league: League) -> None:
    cti, other = league.rider(1), league.rider(2)
    tap = league.tap(OPERATOR, A, "entry", EIGHT, cti)
    league.hand_in([tap])

    receipt = league.hand_in([replace(tap, cti=other)])

    assert [one.code for one in receipt.refused] == ["rides.tap_conflict"]
    assert league.books("taps") == 1


def test_two_bodies_under_one_number_in_one_batch_keep_the_first(league: League) -> None:
    cti, other = league.rider(1), league.rider(2)
    tap = league.tap(OPERATOR, A, "entry", EIGHT, cti)

    receipt = league.hand_in([tap, tap, replace(tap, cti=other)])

    assert (receipt.recorded, receipt.duplicates) == (1, 1)
    assert [(one.index, one.code) for one in receipt.refused] == [(2, "rides.tap_conflict")]


def test_a_gate_hands_in_its_own_taps_only(league: League) -> None:
    cti = league.rider(1)
    entry, leave = league.ride(OPERATOR, A, B, EIGHT, cti)

    receipt = rides.record_taps(league.ctx, entry.gate_id, [entry, leave])

    assert receipt.recorded == 1
    assert [(one.index, one.code) for one in receipt.refused] == [(1, "rides.unknown_gate")]


def test_an_operator_hands_in_its_own_gates_taps_only(league: League) -> None:
    tap = league.tap(OPERATOR, A, "entry", EIGHT, league.rider(1))

    receipt = rides.record_taps(league.ctx, None, [tap], operator_id="hong-kong-mtr")

    assert [one.code for one in receipt.refused] == ["rides.unknown_gate"]
    assert league.books("taps") == 0


def test_a_batch_of_more_than_five_thousand_is_refused_whole(league: League) -> None:
    tap = league.tap(OPERATOR, A, "entry", EIGHT, league.rider(1))

    with pytest.raises(TapBatchTooLarge):
        league.hand_in([tap] * 5_001)

    assert league.books("taps") == 0


def test_a_token_stands_for_one_account_for_ever(league: League) -> None:
    cti = league.rider(1)
    token = rides.Token(cti, account_of(2), "beijing-card", "CNY", "adult", datetime(2027, 1, 1, tzinfo=UTC))

    with pytest.raises(TokenConflict), league.ctx.tx() as tx:
        rides.register_tokens(tx, [token])

    assert league.rider(1) == cti  # again with the same is harmless


def test_a_token_for_a_wallet_in_no_currency_is_refused(league: League) -> None:
    expires_at = datetime(2027, 1, 1, tzinfo=UTC)
    tokens = [
        rides.Token(cti, account_of(1), "beijing-card", currency, "adult", expires_at)
        for cti, currency in ((b"in yuan.", "CNY"), (b"in shell", "ZZZ"))
    ]

    with pytest.raises(UnknownCurrency), league.ctx.tx() as tx:
        rides.register_tokens(tx, tokens)

    receipt = league.hand_in([league.tap(OPERATOR, A, "entry", EIGHT, b"in yuan.")])
    assert [one.code for one in receipt.refused] == ["rides.unknown_token"]


def test_a_replaced_gate_learns_where_its_numbers_stand(league: League) -> None:
    entry, again = (league.tap(OPERATOR, A, "entry", EIGHT, league.rider(number)) for number in (1, 2))
    league.hand_in([again, entry])

    with league.ctx.tx() as tx:
        assert rides.find_last_tap(tx, entry.gate_id) == (2, bytes(32))
        assert rides.find_last_tap(tx, "beijing/chegongzhuang/entry") is None


def test_refusals_are_counted_once_however_often_they_are_told(league: League) -> None:
    told = [rides.Refusals("beijing/xizhimen/entry", EIGHT, "replay", 3)]
    more = [rides.Refusals("beijing/xizhimen/entry", EIGHT, "replay", 5)]

    with league.ctx.tx() as tx:
        for refusals in (told, told, more, told):
            rides.record_refusals(tx, refusals)
        flow = rides.flow(tx, EIGHT.date())

    assert flow.cities[0].refusals == {"replay": 5}


def test_refusals_of_an_unknown_gate_are_not_taken(league: League) -> None:
    told = [rides.Refusals("beijing/nowhere/entry", EIGHT, "replay", 3)]

    with pytest.raises(trust.UnknownGate), league.ctx.tx() as tx:
        rides.record_refusals(tx, told)
