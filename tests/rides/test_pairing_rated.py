"""Every kind of tap through the books: however late and in any order, days equal those that were told as they went."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import rides, trust
from hansa.kernel import FixedClock, fact_id
from hansa.rides import JourneyId, JourneyRecord, Tap, TariffSource, read_source
from hansa.rides.comparing_store import past_rides
from hansa.rides.looking_back_store import load_rides
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of

BEIJING = "beijing-subway"
STOPS = ("beijing/xizhimen", "beijing/chegongzhuang", "beijing/fuchengmen")
LINE = "beijing/line-2"
RULES = f"""
[pairing]
double_seconds = 60
vehicle_change_minutes = 20
reentry_minutes = 30
same_stop_minutes = 40
tap_off = ["bus"]
interchange_stops = ["{STOPS[2]}"]
"""
LAST = datetime(2026, 11, 30, tzinfo=UTC)
NUMBERS = count(1)


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = LAST  # type: ignore[attr-defined]
    league = League(ctx, BEIJING)
    text = tariff_of(BEIJING).source.toml.replace("valid_from = 2025-01-01", "valid_from = 2026-01-01")
    operator = trust.MemberId(BEIJING)
    gates = [
        trust.GateRecord(f"bus {number}/{action}", operator, "beijing", None, LINE, action, "bus")
        for number in (1, 2)
        for action in ("board", "exit")
    ]
    gates.append(trust.GateRecord("way", operator, "beijing", STOPS[2], None, "board", "metro"))
    with ctx.tx() as tx:
        rides.import_tariff(tx, read_source(TariffSource(text + RULES, {})))
        trust.add_gates(tx, gates)
    return league


def at(clock: str, day: date = date(2026, 11, 17)) -> datetime:
    return local(tariff_of(BEIJING), clock, day)


def tap_at(league: League, gate_id: str, stop: str, action: str, when: datetime, cti: bytes) -> Tap:
    sequence = league.sequences[gate_id] = league.sequences.get(gate_id, 0) + 1
    assert action in ("entry", "exit", "board")
    tap_id = fact_id(when, gate_id, sequence)
    return Tap(tap_id, gate_id, sequence, action, stop, when, cti, sequence, b"kid1", when, 1, bytes(32))


def some_taps(league: League, dice: Random, ctis: Sequence[bytes]) -> list[Tap]:
    """Two days of taps, many close together, over the start of a service day too."""
    taps: list[Tap] = []
    when, inside, last = at("22:00"), False, STOPS[0]
    for _ in range(dice.randint(1, 14)):
        when = at("22:00") + dice.random() * timedelta(hours=30) if dice.random() < 0.3 else when
        when += timedelta(seconds=dice.choice((15, 50, 300, 900, 1_500, 4_000)))
        cti, stop = dice.choices(ctis, (4, 1))[0], dice.choice(STOPS)
        kind = dice.random()
        if kind < 0.15:
            taps.append(tap_at(league, "way", STOPS[2], "board", when, cti))
        elif kind < 0.4:
            action = dice.choice(("board", "board", "exit"))
            taps.append(tap_at(league, f"bus {dice.randint(1, 2)}/{action}", stop, action, when, cti))
        else:
            action = dice.choice(("entry", "exit")) if dice.random() < 0.2 else "exit" if inside else "entry"
            stop = last if action == "entry" and dice.random() < 0.5 else stop
            inside, last = action == "entry", stop
            taps.append(tap_at(league, f"{stop}/{action}", stop, action, when, cti))
    return sorted(taps, key=lambda tap: tap.tapped_at)


def told(league: League, number: int) -> list[tuple[object, ...]]:
    """Journeys with fares and notes; what reached us when is no matter of the day."""
    with league.ctx.tx() as tx:
        found = rides.journeys(tx, account_of(number), limit=100)
        charges = {one.journey_id: rides.journey(tx, one.journey_id).charges for one in found}
    return [_told(one, sum(charge.amount.minor for charge in charges[one.journey_id])) for one in found]


def _told(one: JourneyRecord, charged: int) -> tuple[object, ...]:
    notes = [note.text for note in one.notes if note.rule != "pairing.late_tap"]
    steps = [step.text for step in one.steps]
    ends = one.started_at, one.ended_at, one.origin, one.destination
    return one.kind, *ends, one.service_day, one.status, one.fare.minor, charged, notes, steps


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000))
def test_late_taps_in_any_order_give_the_days_that_taps_in_time_gave(league: League, seed: int) -> None:
    dice = Random(seed)
    in_time, late = (next(NUMBERS) for _ in range(2))
    tokens = [[league.rider(number, token=token) for token in (0, 1)] for number in (in_time, late)]
    taps = some_taps(league, dice, tokens[0])

    _tell_as_it_goes(league, taps)
    _hand_in_pieces(league, dice, _of_another(league, taps, dict(zip(*tokens, strict=True))))

    assert told(league, late) == told(league, in_time)
    totals = [_charged(league, number) for number in (in_time, late)]
    assert totals[0] == totals[1] == sum(one[7] for one in told(league, late))  # type: ignore[misc]


def _of_another(league: League, taps: Sequence[Tap], tokens: dict[bytes, bytes]) -> list[Tap]:
    """The same taps by the same gates, made by another rider."""
    return [
        tap_at(league, tap.gate_id, tap.stop_id or "", tap.action, tap.tapped_at, tokens[tap.cti])
        for tap in taps
    ]


def _tell_as_it_goes(league: League, taps: Sequence[Tap]) -> None:
    """Each tap handed in and rated the second after it was made."""
    clock = league.ctx.clock
    assert isinstance(clock, FixedClock)
    for tap in taps:
        clock.at = tap.tapped_at + timedelta(seconds=1)
        league.hand_in([tap])
        rides.rate(league.ctx)
    clock.at = LAST
    _finish(league)


def _hand_in_pieces(league: League, dice: Random, taps: Sequence[Tap]) -> None:
    waiting = [*taps, *dice.choices(taps, k=2)]
    dice.shuffle(waiting)
    while waiting:
        size = dice.randint(1, 4)
        league.hand_in(waiting[:size])
        waiting = waiting[size:]
        if dice.random() < 0.5:
            rides.rate(league.ctx)
    _finish(league)


def _finish(league: League) -> None:
    for _ in range(50):
        if not rides.rate(league.ctx).days:
            return
    raise AssertionError("days are rated again and again")


def _charged(league: League, number: int) -> int:
    with league.ctx.tx() as tx:
        row = tx.execute(
            "select coalesce(sum(amount_minor), 0) from rides.charges where account_id = %s",
            (account_of(number),),
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_double_tap_while_the_ride_is_under_way_is_charged_nothing_yet(league: League) -> None:
    cti = league.rider(1_000)
    stop = STOPS[0]
    taps = [
        tap_at(league, f"{stop}/entry", stop, "entry", at("08:00") + timedelta(seconds=s), cti)
        for s in (0, 9)
    ]
    league.ctx.clock.at = at("08:01")  # type: ignore[attr-defined]
    league.hand_in(taps)
    rides.rate(league.ctx)

    assert told(league, 1_000) == []

    league.ctx.clock.at = at("13:00")  # type: ignore[attr-defined]
    rides.rate(league.ctx)

    assert [(one[0], one[7]) for one in told(league, 1_000)] == [("no_exit", 800)]
    with league.ctx.tx() as tx:
        detail = rides.journey(tx, JourneyId(taps[0].tap_id))
    assert [tap.tap_id for tap in detail.taps] == [tap.tap_id for tap in taps]


@pytest.mark.parametrize("first", ["entry", "exit"])
def test_a_ride_over_the_start_of_the_service_day_is_one_whichever_tap_comes_first(
    league: League, first: str
) -> None:
    cti = league.rider(2_000)
    starts_at = at("00:00") + timedelta(
        hours=tariff_of(BEIJING).day_starts.hour, minutes=tariff_of(BEIJING).day_starts.minute
    )
    entry = tap_at(league, f"{STOPS[0]}/entry", STOPS[0], "entry", starts_at - timedelta(minutes=10), cti)
    leave = tap_at(league, f"{STOPS[1]}/exit", STOPS[1], "exit", starts_at + timedelta(minutes=10), cti)

    for tap in (entry, leave) if first == "entry" else (leave, entry):
        league.hand_in([tap])
        _finish(league)

    assert [(one[0], one[7]) for one in told(league, 2_000)] == [("complete", 300)]
    assert _charged(league, 2_000) == 300


def test_a_new_version_with_other_rules_pairs_each_day_by_its_own_and_comes_to_an_end(league: League) -> None:
    """From the 18th on, doubles count twice: the day before still counts them once."""
    source = tariff_of(BEIJING).source.toml.replace("valid_from = 2025-01-01", "valid_from = 2026-11-18")
    with league.ctx.tx() as tx:
        rides.import_tariff(tx, read_source(TariffSource(source, {})))
    cti, stop = league.rider(3_000), STOPS[0]
    for day in (17, 18):
        for seconds in (0, 9):
            when = at("08:00", date(2026, 11, day)) + timedelta(seconds=seconds)
            league.hand_in([tap_at(league, f"{stop}/entry", stop, "entry", when, cti)])
    late = at("03:00", date(2026, 11, 18))
    league.hand_in(
        [tap_at(league, f"{stop}/entry", stop, "entry", late + timedelta(hours=h), cti) for h in (0, 2)]
    )
    _finish(league)

    kinds = [(one[5], one[0]) for one in told(league, 3_000)]
    assert kinds.count((date(2026, 11, 17), "no_exit")) + kinds.count((date(2026, 11, 18), "no_exit")) == 5


def test_a_reader_on_the_way_changes_the_fare_and_is_kept_with_the_journey(league: League) -> None:
    number = next(NUMBERS)
    cti = league.rider(number)
    there, back, way = at("09:00"), at("09:30"), at("09:10")
    taps = [
        tap_at(league, f"{STOPS[0]}/entry", STOPS[0], "entry", there, cti),
        tap_at(league, f"{STOPS[1]}/exit", STOPS[1], "exit", back, cti),
    ]
    league.hand_in(taps)
    rides.rate(league.ctx)
    (before,) = told(league, number)

    league.hand_in([tap_at(league, "way", STOPS[2], "board", way, cti)])  # comes in late
    rides.rate(league.ctx)
    (after,) = told(league, number)
    with league.ctx.tx() as tx:
        past = list(past_rides(tx, BEIJING, date(2026, 11, 17), date(2026, 11, 17)))
        key = 1, account_of(number), BEIJING, date(2026, 11, 17), there, back
        partition = next(one.partition for one in past if one.account_id == account_of(number))
        (loaded,) = load_rides(tx, partition, [key])[1]

    assert before[-1] != after[-1]
    assert "via Fuchengmen" in str(after[-1]) and "via" not in str(before[-1])
    assert [one.journey.via for one in past if one.account_id == account_of(number)] == [(STOPS[2],)]
    assert loaded.journey.via == (STOPS[2],)
