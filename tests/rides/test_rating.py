"""A day is always worked out whole: a late tap gives what it would have given in time; the difference is charged."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import atlas, rides
from hansa.kernel import InvalidInput
from hansa.rides import JourneyId, OpeningSpend, TariffConflict, TariffSource, UnknownJourney, read_source
from hansa.store import Context
from rides.riding import League, account_of, local, network_of, tariff_of

BEIJING, LONDON = "beijing-subway", "london-tfl"
NEAR = ("beijing/xizhimen", "beijing/chegongzhuang")
DAY = date(2026, 11, 17)


def at(clock: str, operator: str = BEIJING, day: date = DAY) -> datetime:
    return local(tariff_of(operator), clock, day)


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
    return League(ctx, BEIJING, LONDON)


def charges_of(league: League, number: int = 1) -> list[list[int]]:
    """The charges of each of a rider's journeys, first to last."""
    with league.ctx.tx() as tx:
        found = rides.journeys(tx, account_of(number), limit=100)
        details = [rides.journey(tx, one.journey_id) for one in reversed(found)]
    return [[charge.amount.minor for charge in detail.charges] for detail in details]


def test_a_ride_becomes_a_journey_with_a_fare_and_one_charge(league: League) -> None:
    taps = league.ride(BEIJING, *NEAR, at("12:00"), league.rider(1))
    league.hand_in(taps)

    counts = rides.rate(league.ctx)

    assert (counts.days, counts.taps, counts.journeys, counts.held, counts.charges) == (1, 2, 1, 0, 1)
    with league.ctx.tx() as tx:
        detail = rides.journey(tx, JourneyId(taps[0].tap_id))
    journey = detail.journey
    assert (journey.kind, journey.origin, journey.destination) == ("complete", *NEAR)
    assert (journey.city_id, journey.service_day, journey.issuer_id) == ("beijing", DAY, "beijing-card")
    assert str(journey.fare) == "¥3.00"
    assert [step.text for step in journey.steps] == [
        "Xizhimen to Chegongzhuang: 910 m over the network",
        "Up to 6 km, adult: ¥3.00",
    ]
    assert [tap.tap_id for tap in detail.taps] == [tap.tap_id for tap in taps]
    assert [(charge.revision, charge.status, charge.amount.minor) for charge in detail.charges] == [
        (0, "intent", 300)
    ]


def test_rating_again_changes_nothing(league: League) -> None:
    taps = league.ride(BEIJING, *NEAR, at("12:00"), league.rider(1))
    league.hand_in(taps)
    rides.rate(league.ctx)

    league.hand_in(taps)
    again = rides.rate(league.ctx)
    with league.ctx.tx() as tx:
        tx.execute(
            "insert into rides.dirty_days select 0, account_id, operator_id, service_day, now() from rides.journeys"
        )
    forced = rides.rate(league.ctx)

    assert again.days == 0
    assert (forced.days, forced.charges) == (1, 0)
    assert charges_of(league) == [[300]]


def test_a_day_is_priced_over_the_network_of_that_day(league: League) -> None:
    city = atlas.read_city(atlas.city_folder("beijing"))
    longer = replace(
        city,
        lines=tuple(
            replace(line, stops=tuple(call._replace(distance_m=20 * call.distance_m) for call in line.stops))
            for line in city.lines
        ),
    )
    next_day = DAY + timedelta(days=1)
    with league.ctx.tx() as tx:
        atlas.import_city(tx, longer, valid_from=next_day)
    for number, day in enumerate((DAY, next_day), 1):
        league.hand_in(league.ride(BEIJING, *NEAR, at("12:00", day=day), league.rider(number)))

    rides.rate(league.ctx)

    assert charges_of(league, 1) == [[300]]  # 910 m
    assert charges_of(league, 2) == [[500]]  # 18,200 m


def test_a_late_exit_turns_a_maximum_fare_into_the_fare(league: League) -> None:
    entry, leave = league.ride(BEIJING, *NEAR, at("12:00"), league.rider(1))
    league.hand_in([entry])
    rides.rate(league.ctx)
    before = charges_of(league)

    league.hand_in([leave])
    rides.rate(league.ctx)

    assert before == [[800]]
    assert charges_of(league) == [[800, -500]]


def test_a_late_entry_takes_the_place_of_the_journey_that_had_only_an_exit(league: League) -> None:
    entry, leave = league.ride(BEIJING, *NEAR, at("12:00"), league.rider(1))
    league.hand_in([leave])
    rides.rate(league.ctx)

    league.hand_in([entry])
    rides.rate(league.ctx)

    assert charges_of(league) == [[300]]
    with league.ctx.tx() as tx:
        gone = rides.journey(tx, JourneyId(leave.tap_id))
        fares = rides.fares_by_city(tx, DAY)
    assert gone.journey.status == "withdrawn"
    assert [charge.amount.minor for charge in gone.charges] == [800, -800]
    assert [(one.city_id, one.journeys, one.charged_minor) for one in fares] == [("beijing", 1, 300)]


def test_a_journey_over_the_start_of_the_day_belongs_to_the_day_of_its_entry(league: League) -> None:
    entry, leave = league.ride(BEIJING, *NEAR, at("27:50"), league.rider(1), minutes=30)
    league.hand_in([leave])
    rides.rate(league.ctx)
    league.hand_in([entry])
    rides.rate(league.ctx)

    with league.ctx.tx() as tx:
        found = rides.journeys(tx, account_of(1))
    assert [(one.kind, one.service_day, one.fare.minor) for one in found] == [("complete", DAY, 300)]


def test_the_months_tiers_look_back_and_a_late_tap_rates_the_later_days_again(league: League) -> None:
    cti = league.rider(1)
    with league.ctx.tx() as tx:
        rides.set_opening_spend(tx, [OpeningSpend(account_of(1), BEIJING, "month", date(2026, 11, 1), 9_500)])
    days = [date(2026, 11, day) for day in (3, 4, 5)]
    taps = [league.ride(BEIJING, *NEAR, at("12:00", day=day), cti) for day in days]
    league.hand_in([*taps[1], *taps[2]])
    rides.rate(league.ctx)
    before = charges_of(league)

    league.hand_in(taps[0])
    rides.rate(league.ctx)

    # 95 before the books: the 3rd and 4th are full price, 101 is reached, the 5th pays 80 %.
    assert before == [[300], [300]]
    assert charges_of(league) == [[300], [300], [300, -60]]


def test_a_month_begins_anew(league: League) -> None:
    cti = league.rider(1)
    with league.ctx.tx() as tx:
        rides.set_opening_spend(
            tx, [OpeningSpend(account_of(1), BEIJING, "month", date(2026, 10, 1), 20_000)]
        )
    for day in (date(2026, 10, 31), date(2026, 11, 1)):
        league.hand_in(league.ride(BEIJING, *NEAR, at("12:00", day=day), cti))

    rides.rate(league.ctx)

    assert league.charged(1) == [150, 300]


def test_the_weekly_cap_looks_back_to_monday_and_not_beyond(league: League) -> None:
    cti = league.rider(1)
    stops = ("london/oxford-circus", "london/brixton")
    sunday, monday = date(2026, 11, 15), date(2026, 11, 16)
    with league.ctx.tx() as tx:
        rides.set_opening_spend(tx, [OpeningSpend(account_of(1), LONDON, "week", monday, 4_300)])
    for day in (sunday, monday, monday + timedelta(days=1)):
        league.hand_in(league.ride(LONDON, *stops, at("12:00", LONDON, day), cti))

    rides.rate(league.ctx)

    assert league.charged(1) == [290, 170, 0]


def test_a_tariff_from_a_later_day_prices_the_rides_of_its_days(league: League) -> None:
    cti = league.rider(1)
    for day in (date(2026, 11, 16), date(2026, 11, 17)):
        league.hand_in(league.ride(BEIJING, *NEAR, at("12:00", day=day), cti))
    rides.rate(league.ctx)
    source = tariff_of(BEIJING).source
    text = source.toml.replace("valid_from = 2025-01-01", "valid_from = 2026-11-17").replace(
        '"3.00"', '"3.50"'
    )
    dearer = read_source(TariffSource(text, {}))

    with league.ctx.tx() as tx:
        assert rides.import_tariff(tx, dearer)
        assert not rides.import_tariff(tx, dearer)
        assert rides.get_tariff(tx, BEIJING, date(2026, 11, 16)) == tariff_of(BEIJING)
    rides.rate(league.ctx)

    assert charges_of(league) == [[300], [300, 50]]


def test_another_text_for_the_same_first_day_is_refused(league: League) -> None:
    source = tariff_of(BEIJING).source
    other = read_source(TariffSource(source.toml.replace('"3.00"', '"3.50"'), {}))

    with pytest.raises(TariffConflict), league.ctx.tx() as tx:
        rides.import_tariff(tx, other)

    with league.ctx.tx() as tx:
        assert rides.get_tariff(tx, BEIJING, DAY) == tariff_of(BEIJING)


def test_a_ride_before_any_tariff_is_held_and_priced_when_there_is_one(league: League) -> None:
    cti = league.rider(1)
    day = date(2024, 5, 7)
    league.hand_in(league.ride(BEIJING, *NEAR, at("12:00", day=day), cti))
    counts = rides.rate(league.ctx)
    source = tariff_of(BEIJING).source
    text = source.toml.replace("valid_from = 2025-01-01", "valid_from = 2024-01-01\nvalid_to = 2024-12-31")

    with league.ctx.tx() as tx:
        rides.import_tariff(tx, read_source(TariffSource(text, {})))
    rides.rate(league.ctx)

    assert (counts.held, counts.charges) == (1, 0)
    assert charges_of(league) == [[300]]


def test_a_tariffs_days_are_due_by_the_workers_clock_whatever_the_databases_says(ctx: Context) -> None:
    ctx.clock.at = at("12:30", day=date(2024, 5, 7))  # type: ignore[attr-defined]
    league = League(ctx, BEIJING)
    cti = league.rider(1)
    league.hand_in(league.ride(BEIJING, *NEAR, at("12:00", day=date(2024, 5, 7)), cti))
    ctx.clock.at = at("23:00", day=date(2024, 5, 7))  # type: ignore[attr-defined]
    counts = rides.rate(ctx)
    text = tariff_of(BEIJING).source.toml
    text = text.replace("valid_from = 2025-01-01", "valid_from = 2024-01-01\nvalid_to = 2024-12-31")

    with ctx.tx() as tx:
        assert rides.import_tariff(tx, read_source(TariffSource(text, {})))
    rides.rate(ctx)

    assert (counts.held, counts.charges) == (1, 0)
    assert charges_of(league) == [[300]]


def test_a_day_is_rated_again_at_once_also_where_it_began_before_that_of_utc(ctx: Context) -> None:
    """Half past six in Beijing: in Greenwich it is the evening before."""
    ctx.clock.at = at("06:30")  # type: ignore[attr-defined]
    league = League(ctx, BEIJING)
    league.hand_in(league.ride(BEIJING, *NEAR, at("06:00"), league.rider(1)))
    ctx.clock.at = at("07:30")  # type: ignore[attr-defined]
    while rides.rate(ctx).days:
        pass

    with ctx.tx() as tx:
        assert rides.rate_again(tx, BEIJING, DAY, DAY) == 1

    assert rides.rate(ctx).days == 1
    assert len(charges_of(league)) == 1


def test_two_phones_of_one_account_share_a_cap(league: League) -> None:
    one, two = league.rider(1, token=1), league.rider(1, token=2)
    stops = ("london/oxford-circus", "london/brixton")
    for cti in (one, two):
        for hour in (11, 12):
            league.hand_in(league.ride(LONDON, *stops, at(f"{hour}:00", LONDON), cti))

    rides.rate(league.ctx)

    assert sum(league.charged(1)) == 890


def test_riders_do_not_touch_each_other(league: League) -> None:
    for number in (1, 2):
        league.hand_in(league.ride(BEIJING, *NEAR, at("12:00"), league.rider(number)))

    rides.rate(league.ctx)

    assert (league.charged(1), league.charged(2)) == ([300], [300])


def test_rating_stops_at_its_limit_and_goes_on(league: League) -> None:
    for number in range(5):
        league.hand_in(league.ride(BEIJING, *NEAR, at("12:00"), league.rider(number)))

    first, rest = rides.rate(league.ctx, limit=2), rides.rate(league.ctx)

    assert (first.days, rest.days) == (2, 3)


def test_an_unknown_journey_is_told(league: League) -> None:
    with pytest.raises(UnknownJourney), league.ctx.tx() as tx:
        rides.journey(tx, JourneyId(account_of(1)))


def test_journeys_are_listed_latest_first_page_by_page(league: League) -> None:
    cti = league.rider(1)
    for hour in range(8, 13):
        league.hand_in(league.ride(BEIJING, *NEAR, at(f"{hour}:00"), cti))
    rides.rate(league.ctx)

    with league.ctx.tx() as tx:
        first = rides.journeys(tx, account_of(1), limit=2)
        rest = rides.journeys(tx, account_of(1), after=(first[-1].started_at, first[-1].journey_id), limit=10)
        found = rides.find_journeys(tx, [one.journey_id for one in first])

    starts = [one.started_at for one in [*first, *rest]]
    assert len(starts) == 5
    assert starts == sorted(starts, reverse=True)
    assert sorted(found) == sorted(one.journey_id for one in first)


def test_the_flow_of_a_day_counts_taps_by_time_stop_and_line(league: League) -> None:
    cti = league.rider(1)
    league.hand_in(league.ride(BEIJING, *NEAR, at("12:01"), cti, minutes=4))
    league.hand_in([league.tap(BEIJING, NEAR[0], "entry", at("13:00"), cti)])
    rides.rate(league.ctx)

    with league.ctx.tx() as tx:
        flow = rides.flow(tx, DAY)

    beijing = next(one for one in flow.cities if one.city_id == "beijing")
    assert (beijing.taps, beijing.journeys, beijing.riders, beijing.incomplete) == (3, 2, 1, 1)
    assert [(slot.minute, slot.entries, slot.exits) for slot in beijing.slots] == [
        (720, 1, 0),
        (725, 0, 1),
        (780, 1, 0),
    ]
    assert beijing.stops == {NEAR[0]: 2}
    assert beijing.lines["beijing/line-2"] == 2
    assert str(beijing.fares) == "¥11.00"


EXAMPLES = count(1)
"""Each example has riders and sequence numbers of its own, since all share one database."""


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000), operator=st.sampled_from([BEIJING, LONDON]))
def test_any_order_and_delay_of_arrival_comes_to_the_same_cents(
    ctx: Context, seed: int, operator: str
) -> None:
    """Three days at a month's turn, handed in at once, and in random pieces with ratings between."""
    dice, number = Random(seed), 2 * next(EXAMPLES)
    ctx.clock.at = datetime(2026, 12, 10, tzinfo=UTC)  # type: ignore[attr-defined]
    league = League(ctx, operator)
    league.first_sequence = 1_000 * number
    stops = dice.sample(sorted(network_of(operator).stops), 6)
    at_once = _three_days(league, operator, seed, stops, number)
    in_pieces = _three_days(league, operator, seed, stops, number + 1)

    assert league.hand_in(at_once).refused == ()
    rides.rate(ctx)
    dice.shuffle(in_pieces)
    while in_pieces:
        some = dice.randint(1, len(in_pieces))
        assert league.hand_in(in_pieces[:some]).recorded == some
        in_pieces = in_pieces[some:]
        rides.rate(ctx)

    assert league.charged(number + 1) == league.charged(number)
    assert _journeys_charged_otherwise(league) == 0


def _three_days(league: League, operator: str, seed: int, stops: list[str], number: int) -> list[rides.Tap]:
    """The taps of a rider who is close to a tier or a cap; the same rides for every number.

    No two rides have a tap at one instant: of such, the ids decide which comes first, and those differ by the number.
    """
    dice, cti = Random(seed), league.rider(number)
    spent = (
        OpeningSpend(account_of(number), BEIJING, "month", date(2026, 12, 1), 13_000)
        if operator == BEIJING
        else OpeningSpend(account_of(number), LONDON, "week", date(2026, 11, 30), 3_500)
    )
    with league.ctx.tx() as tx:
        rides.set_opening_spend(tx, [spent])
    taps: list[rides.Tap] = []
    for day in (date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 2)):
        clock = at(dice.choice(("05:30", "22:30")), operator, day)
        for second in range(dice.randint(0, 6)):
            clock += timedelta(minutes=dice.randint(5, 200))
            origin, destination = dice.sample(stops, 2)
            at_second = clock + timedelta(seconds=second)
            pair = league.ride(operator, origin, destination, at_second, cti, minutes=dice.randint(3, 100))
            taps += pair if dice.random() < 0.85 else [dice.choice(pair)]
    return taps


def _journeys_charged_otherwise(league: League) -> int:
    """Journeys whose charges do not add up to their fare."""
    with league.ctx.tx() as tx:
        row = tx.execute(
            """
            select count(*) from rides.journeys j
            where j.charged_minor <> j.fare_minor or j.fare_minor <>
                (select coalesce(sum(amount_minor), 0) from rides.charges c where c.journey_id = j.journey_id)
            """
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_ride_under_way_costs_nothing_until_the_exit_can_no_longer_come(league: League) -> None:
    clock = league.ctx.clock
    first = league.ride(BEIJING, *NEAR, at("09:00"), league.rider(1))
    under_way = league.ride(BEIJING, *NEAR, at("12:00"), league.rider(1))[:1]
    other_phone = league.ride(BEIJING, *NEAR, at("12:05"), league.rider(1, token=1))[:1]
    clock.at = at("12:30")  # type: ignore[attr-defined]
    league.hand_in([*first, *under_way, *other_phone])

    rides.rate(league.ctx)

    assert charges_of(league) == [[300]]
    assert rides.rate(league.ctx).days == 0
    clock.at = at("12:00") + tariff_of(BEIJING).journey_max - timedelta(seconds=1)  # type: ignore[attr-defined]
    assert rides.rate(league.ctx).days == 0
    clock.at = at("12:06") + tariff_of(BEIJING).journey_max  # type: ignore[attr-defined]
    while rides.rate(league.ctx).days:
        pass
    kinds = [len(charges) for charges in charges_of(league)]
    assert kinds == [1, 1, 1]
    assert charges_of(league)[1][0] > 300


def test_the_exit_of_a_ride_under_way_prices_it_at_once(league: League) -> None:
    taps = league.ride(BEIJING, *NEAR, at("12:00"), league.rider(1))
    league.ctx.clock.at = at("12:10")  # type: ignore[attr-defined]
    league.hand_in(taps[:1])
    rides.rate(league.ctx)
    league.ctx.clock.at = at("12:40")  # type: ignore[attr-defined]

    league.hand_in(taps[1:])
    counts = rides.rate(league.ctx)

    assert (counts.journeys, counts.charges) == (1, 1)
    assert charges_of(league) == [[300]]


def test_an_entry_that_another_entry_follows_is_not_under_way(league: League) -> None:
    phone = league.rider(1)
    forgotten = league.ride(BEIJING, *NEAR, at("12:00"), phone)[:1]
    next_ride = league.ride(BEIJING, *NEAR, at("12:30"), phone)
    league.ctx.clock.at = at("13:10")  # type: ignore[attr-defined]
    league.hand_in([*forgotten, *next_ride])

    rides.rate(league.ctx)

    assert [len(charges) for charges in charges_of(league)] == [1, 1]


def test_a_tariff_whose_subsidy_nobody_of_the_league_pays_is_refused(league: League) -> None:
    text = tariff_of(LONDON).source.toml.replace("valid_from = ", "valid_from = 2031-01-01 #", 1)
    text += '\n[classes.senior.subsidy]\npayer = "atlantis"\npercent = 50\n'
    tariff = read_source(TariffSource(text, dict(tariff_of(LONDON).source.tables)))
    with league.ctx.tx() as tx:
        before = rides.list_tariffs(tx)

        with pytest.raises(InvalidInput) as refusal:
            rides.import_tariff(tx, tariff)

        assert rides.list_tariffs(tx) == before
    assert [problem.where for problem in refusal.value.problems] == [
        "tariff.toml: classes.senior.subsidy.payer"
    ]
