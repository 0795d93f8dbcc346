"""A missing exit is priced by the rider's habit, says so, and is put right when the exit comes after all."""

from datetime import UTC, date, datetime, timedelta

import pytest

from hansa import rides
from hansa.kernel import FixedClock
from hansa.rides import JourneyRecord, TariffSource, read_source
from hansa.store import Context
from rides.riding import League, account_of, local, tariff_of

BEIJING = "beijing-subway"
HOME, WORK, ELSEWHERE = "beijing/xizhimen", "beijing/chegongzhuang", "beijing/tiantongyuanbei"
DAY = date(2026, 11, 17)


@pytest.fixture
def league(ctx: Context) -> League:
    clock = ctx.clock
    assert isinstance(clock, FixedClock)
    clock.at = datetime(2026, 11, 20, tzinfo=UTC)
    league = League(ctx, BEIJING)
    text = tariff_of(BEIJING).source.toml.replace("valid_from = 2025-01-01", "valid_from = 2026-11-01")
    text = text.replace("[incomplete]\n", "[incomplete]\nhabit = { percent = 80, rides = 4 }\n", 1)
    with ctx.tx() as tx:
        rides.import_tariff(tx, read_source(TariffSource(text, {})))
    return league


def at(day: date, clock: str = "08:00") -> datetime:
    return local(tariff_of(BEIJING), clock, day)


def last_journey(league: League) -> tuple[JourneyRecord, list[int]]:
    with league.ctx.tx() as tx:
        journey = rides.journeys(tx, account_of(1), limit=1)[0]
        charges = rides.journey(tx, journey.journey_id).charges
    return journey, [charge.amount.minor for charge in charges]


@pytest.mark.parametrize(("exit_at", "charges"), [(WORK, [300]), (ELSEWHERE, [300, 200])])
def test_a_forgotten_exit_costs_the_usual_ride_until_the_tap_comes(
    league: League, exit_at: str, charges: list[int]
) -> None:
    cti = league.rider(1)
    for days in range(1, 6):
        league.hand_in(league.ride(BEIJING, HOME, WORK, at(DAY - timedelta(days=days)), cti, minutes=20))
    entry, leave = league.ride(BEIJING, HOME, exit_at, at(DAY), cti, minutes=40)
    league.hand_in([entry])
    _rate(league)
    by_habit, first = last_journey(league)

    league.hand_in([leave])
    _rate(league)
    corrected, all_charges = last_journey(league)

    assert first == [300]
    assert (by_habit.kind, by_habit.destination) == ("no_exit", None)
    assert "pairing.no_exit" in [note.rule for note in by_habit.notes]
    habit = next(step for step in by_habit.steps if step.rule == "habit")
    assert habit.text == (
        "No exit tap; priced as usual to or from Chegongzhuang, as 5 of 5 earlier rides at Xizhimen; a tap that comes "
        "later corrects it"
    )
    assert (corrected.kind, corrected.destination) == ("complete", exit_at)
    assert "habit" not in [step.rule for step in corrected.steps]
    assert "pairing.late_tap" in [note.rule for note in corrected.notes]
    assert all_charges == charges
    assert sum(all_charges) == corrected.fare.minor


def _rate(league: League) -> None:
    while rides.rate(league.ctx).days:
        pass
