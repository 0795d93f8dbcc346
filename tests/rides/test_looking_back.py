"""What the books keep so that days can be given it, and what is asked of the database for it."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from hansa import atlas, payments, rides
from hansa.rides import TariffSource, looking_back_store
from hansa.store import Context
from rides.books import HEAD, STOPS, open_operator, open_town
from rides.riding import League, account_of

OPERATOR = "town-metro"
FLAT = '[basis]\nkind = "flat"\nfare = "2.00"\n[incomplete]\nfare = "7.00"\n'
BY_METRES = '[basis]\nkind = "distance"\n[[basis.band]]\nup_to_m = 100000\nfare = "2.00"\n[incomplete]\nfare = "7.00"\n'
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = date(2026, 11, 30)


@pytest.fixture
def league(ctx: Context) -> League:
    ctx.clock.at = datetime(2026, 12, 20, tzinfo=UTC)  # type: ignore[attr-defined]
    return open_town(ctx)


def sell(league: League, rules: str, *, operator: str = OPERATOR, currency: str = "GBP") -> None:
    """Put a tariff of these rules in force for a new operator."""
    text = HEAD.format(operator=operator, currency=currency, top="", subsidy="") + rules
    open_operator(league, TariffSource(text, {}))


def ride(league: League, at: datetime, *, origin: int = 0, to: int = 1, number: int = 1) -> list[rides.Tap]:
    cti = league.rider(number, issuer="london-card", currency="GBP")
    return league.ride(OPERATOR, STOPS[origin], STOPS[to], at, cti, minutes=10)


def kept(league: League, number: int = 1) -> list[rides.JourneyRecord]:
    with league.ctx.tx() as tx:
        return rides.journeys(tx, account_of(number))[::-1]


def rate(league: League) -> None:
    while rides.rate(league.ctx).days:
        pass


# -- held ---------------------------------------------------------------------------------------------------


def test_a_ride_without_a_price_is_listed_with_the_reason_and_priced_once_it_can_be(league: League) -> None:
    sell(league, BY_METRES)
    city = atlas.read_city(atlas.city_folder("london"))
    gone = STOPS[1]
    without = replace(
        city,
        stops=tuple(stop for stop in city.stops if stop.stop_id != gone),
        lines=tuple(
            replace(line, stops=tuple(call for call in line.stops if call.stop_id != gone))
            for line in city.lines
        ),
    )
    with league.ctx.tx() as tx:
        atlas.import_city(tx, without, valid_from=DAY)
    league.hand_in([*ride(league, NOON), *ride(league, NOON, to=2, number=2)])
    rate(league)
    with league.ctx.tx() as tx:
        held = rides.list_held(tx, OPERATOR)
        none = rides.list_held(tx, OPERATOR, DAY - timedelta(days=1))
    assert [(one.service_day, one.why, one.count) for one in held] == [
        (DAY, f"{gone} is not on the network", 1)
    ]
    assert none == []
    assert kept(league)[0].journey_id == held[0].journeys[0]

    with league.ctx.tx() as tx:
        atlas.import_city(tx, city, valid_from=DAY)
        again = rides.rate_again(tx, OPERATOR, DAY, DAY, only_held=True)
    rate(league)

    assert again == 1
    assert (league.charged(1), league.charged(2)) == ([200], [200])
    with league.ctx.tx() as tx:
        assert rides.list_held(tx, OPERATOR) == []


def test_a_priced_day_keeps_its_network_until_it_is_rated_afresh(league: League) -> None:
    sell(
        league,
        BY_METRES.replace(
            "up_to_m = 100000", 'up_to_m = 6000\nfare = "1.50"\n[[basis.band]]\nup_to_m = 900000'
        ),
    )
    first, second = ride(league, NOON), ride(league, NOON + timedelta(hours=2))
    league.hand_in(first)
    rate(league)
    city = atlas.read_city(atlas.city_folder("london"))
    longer = replace(
        city,
        lines=tuple(
            replace(line, stops=tuple(call._replace(distance_m=9 * call.distance_m) for call in line.stops))
            for line in city.lines
        ),
    )
    with league.ctx.tx() as tx:
        report = atlas.import_city(tx, longer, valid_from=DAY)
    league.hand_in(second)
    rate(league)
    late = [(one.fare.minor, one.network_version) for one in kept(league)]

    with league.ctx.tx() as tx:
        rides.rate_again(tx, OPERATOR, DAY, DAY)
    rate(league)

    metres = [
        int(step.facts["distance_m"]) for one in kept(league) for step in one.steps if step.rule == "ride"
    ]
    assert {version for _, version in late} != {report.version}
    assert len({version for _, version in late}) == 1
    assert {one.network_version for one in kept(league)} == {report.version}
    assert metres[0] == metres[1] > 9_000
    assert _charges_differ(league) == 0


def _charges_differ(league: League) -> int:
    with league.ctx.tx() as tx:
        row = tx.execute(
            """
            select count(*) from rides.journeys j where j.fare_minor <>
                (select coalesce(sum(amount_minor), 0) from rides.charges c where c.journey_id = j.journey_id)
            """
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_ride_that_hangs_on_a_partners_fare_waits_for_the_rate_of_exchange(league: League) -> None:
    after = (
        '[[transfer]]\nbefore = { operators = ["town-tram"] }\nwindow_from = "exit"\nwindow_minutes = 60\n'
    )
    sell(league, FLAT + after + "difference = true\n")
    sell(league, FLAT.replace("2.00", "1.20"), operator="town-tram", currency="EUR")
    day = date(2026, 10, 1)
    at = datetime(2026, 10, 1, 12, tzinfo=UTC)
    cti = league.rider(1, issuer="london-card", currency="GBP")
    league.hand_in(league.ride("town-tram", STOPS[2], STOPS[0], at, cti, minutes=10))
    league.hand_in(ride(league, at + timedelta(minutes=20)))
    rate(league)
    with league.ctx.tx() as tx:
        held = rides.list_held(tx, OPERATOR)

    with league.ctx.tx() as tx:
        payments.set_rates(tx, day, [("EUR", "GBP", Fraction(5, 6))])
        rides.rate_again(tx, OPERATOR, day, day, only_held=True)
    rate(league)

    assert [one.why for one in held] == [f"no rate of exchange is set between EUR and GBP for {day}"]
    assert league.charged(1) == [120, 100]  # 2.00 less 1.20 euro, which are 1.00 pound


# -- trips --------------------------------------------------------------------------------------------------


def test_rides_that_go_on_name_the_first_of_their_trip(league: League) -> None:
    transfer = '[[transfer]]\nwindow_from = "first_tap"\nwindow_minutes = 60\npercent = 50\n'
    sell(league, FLAT + transfer)
    starts = [NOON + timedelta(minutes=minutes) for minutes in (0, 20, 40, 180)]
    league.hand_in([tap for at in starts for tap in ride(league, at)])

    rate(league)

    first, second, third, alone = kept(league)
    assert (first.trip_id, alone.trip_id) == (None, None)
    assert second.trip_id == third.trip_id == first.journey_id


# -- what it costs ------------------------------------------------------------------------------------------

RULES = {
    "sums": '[[cap]]\nperiod = "week"\namount = "20.00"\n',
    "counters": '[[tier]]\nname = "Often"\nperiod = "week"\nfrom_rides = 3\npercent = 60\n',
    "rolling": '[[cap]]\nperiod = "3 days"\nname = "Three days"\namount = "8.00"\n',
    "passes": '[[pass]]\nname = "Any"\n',
    "partners": '[[transfer]]\nbefore = { operators = ["town-tram"] }\nwindow_from = "exit"\nwindow_minutes = 60\n'
    "percent = 0\n",
}


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        ([], []),
        (["sums"], ["load_counters", "load_opening"]),
        (["counters"], ["load_counts"]),
        (["rolling"], ["load_counts", "load_windows"]),
        (["passes"], ["load_passes"]),
        (["partners"], ["load_rides"]),
    ],
)
def test_nothing_is_asked_for_that_a_tariff_does_not_look_at(
    league: League, monkeypatch: pytest.MonkeyPatch, rules: list[str], asked: list[str]
) -> None:
    sell(league, FLAT + "".join(RULES[name] for name in rules))
    league.hand_in([tap for number in range(5) for tap in ride(league, NOON, number=number)])

    with _noting(monkeypatch) as noted:
        rides.rate(league.ctx)

    assert sorted(noted) == asked  # once each, for five riders


@contextmanager
def _noting(monkeypatch: pytest.MonkeyPatch) -> Generator[list[str]]:
    """The statements of looking back, by the name of their function."""
    noted: list[str] = []
    for name in (
        "load_counters",
        "load_opening",
        "load_windows",
        "load_counts",
        "load_habits",
        "load_rides",
        "load_passes",
    ):
        real = getattr(looking_back_store, name)

        def note(*given: Any, name: str = name, real: Any = real) -> Any:
            noted.append(name)
            return real(*given)

        monkeypatch.setattr(looking_back_store, name, note)
    yield noted


def test_what_was_spent_before_the_books_counts_into_weekly_and_monthly_caps_by_its_period(
    league: League,
) -> None:
    caps = '[[cap]]\nperiod = "week"\namount = "9.00"\n[[cap]]\nperiod = "month"\namount = "20.00"\n'
    sell(league, FLAT + caps)
    month, week = DAY.replace(day=1), DAY  # a Monday, the last of its month
    with league.ctx.tx() as tx:
        rides.set_opening_spend(
            tx,
            [
                rides.OpeningSpend(account_of(1), OPERATOR, "week", week, 750),
                rides.OpeningSpend(account_of(2), OPERATOR, "month", month, 1_950),
                rides.OpeningSpend(account_of(3), OPERATOR, "month", month, 300),
                rides.OpeningSpend(account_of(3), OPERATOR, "week", week - timedelta(days=7), 900),
            ],
        )
    for number in (1, 2, 3):
        for day in (0, 1):
            league.hand_in(ride(league, NOON + timedelta(days=day), number=number))
    rate(league)

    # 1: 1.50 to the weekly cap; 2: 0.50 to that of November, then December; 3: neither is reached
    fares = [[one.fare.minor for one in kept(league, number)] for number in (1, 2, 3)]
    assert fares == [[150, 0], [50, 200], [200, 200]]
