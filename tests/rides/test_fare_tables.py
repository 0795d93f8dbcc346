"""What rides cost, city by city, in tables that a fare clerk can check."""

import pytest

from hansa.fares.tariff import TariffSource
from hansa.rides import Counters, Pricer, RiderClass, read_source
from rides.riding import (
    OPERATORS,
    Street,
    charged,
    fares_of,
    local,
    network_of,
    pricer_of,
    ride,
    tariff_of,
    touch,
)

NOON = "12:00"


def street_fare(operator: str, distance_m: int, *, month: int = 0, rider_class: RiderClass = "adult") -> int:
    """A ride of so many metres under the distance tariff of an operator."""
    tariff = tariff_of(operator)
    pricer = Pricer(tariff, Street({"a": 0, "b": distance_m}))
    taps = ride(local(tariff, NOON), "a", "b", rider_class=rider_class)
    return fares_of(pricer, taps, Counters(month_minor=month))[0].amount_minor


@pytest.mark.parametrize(
    ("distance_m", "month_so_far", "charged_fen"),
    [
        # metres | paid this month, fen | charged, fen
        (800, 0, 300),
        (6_000, 0, 300),
        (6_099, 0, 300),  # 99 m are given free
        (6_100, 0, 400),
        (12_099, 0, 400),
        (12_100, 0, 500),
        (14_233, 0, 500),
        (22_099, 0, 500),
        (22_100, 0, 600),
        (32_099, 0, 600),
        (32_100, 0, 700),  # from here one yuan for each 20 km begun
        (52_099, 0, 700),
        (52_100, 0, 800),
        (72_100, 0, 900),
        (92_099, 0, 900),
        (92_100, 0, 1_000),
        (14_233, 9_999, 500),
        (14_233, 10_000, 400),  # from 100 yuan on 20 % off
        (14_233, 14_999, 400),
        (14_233, 15_000, 250),  # from 150 yuan on half price
        (14_233, 39_999, 250),
        (14_233, 40_000, 500),  # from 400 yuan on full price again
        (800, 10_000, 240),
        (800, 15_000, 150),
    ],
)
def test_beijing_by_distance_and_month(distance_m: int, month_so_far: int, charged_fen: int) -> None:
    assert street_fare("beijing-subway", distance_m, month=month_so_far) == charged_fen


def test_beijing_tiers_begin_with_the_ride_after_the_threshold() -> None:
    pricer = Pricer(tariff_of("beijing-subway"), Street({"a": 0, "b": 14_233}))
    taps = [tap for hour in range(8, 14) for tap in ride(local(pricer.tariff, f"{hour}:00"), "a", "b")]

    fares = fares_of(pricer, taps, Counters(month_minor=9_100))

    # 91, 96 -> full price; 101 is reached by the second ride, so the third pays 80 %.
    assert charged(fares) == [500, 500, 400, 400, 400, 400]


@pytest.mark.parametrize(
    ("origin", "destination", "rider_class", "charged_fen"),
    [
        # The express is 25 yuan by itself; beyond its three stations in town the rest is paid by distance.
        ("terminal-3", "dongzhimen", "adult", 2_500),
        ("terminal-3", "terminal-2", "adult", 2_500),
        ("sanyuanqiao", "terminal-2", "adult", 2_500),
        ("sanyuanqiao", "dongzhimen", "adult", 300),
        ("terminal-3", "xizhimen", "adult", 2_500 + 400),
        ("xizhimen", "terminal-3", "adult", 2_500 + 400),
        ("terminal-3", "xizhimen", "child", 0),
        ("terminal-3", "xizhimen", "senior", 2_500 + 400),
    ],
)
def test_beijing_airport_express_is_paid_apart(
    origin: str, destination: str, rider_class: RiderClass, charged_fen: int
) -> None:
    pricer = pricer_of("beijing-subway")
    taps = ride(
        local(pricer.tariff, NOON), f"beijing/{origin}", f"beijing/{destination}", rider_class=rider_class
    )

    assert charged(fares_of(pricer, taps)) == [charged_fen]


def test_beijing_airport_express_stays_out_of_the_monthly_tiers() -> None:
    pricer = pricer_of("beijing-subway")
    taps = ride(local(pricer.tariff, NOON), "beijing/terminal-3", "beijing/xizhimen")

    fare = fares_of(pricer, taps, Counters(month_minor=15_000))[0]

    assert (fare.amount_minor, fare.tier_minor) == (2_500 + 200, 200)


@pytest.mark.parametrize(
    ("clock", "origin", "charged_fen"),
    [
        ("06:59", "beijing/tuqiao", 150),
        ("07:00", "beijing/tuqiao", 300),
        ("06:59", "beijing/xizhimen", 300),
    ],
)
def test_beijing_early_birds_pay_half_at_the_outer_stations(
    clock: str, origin: str, charged_fen: int
) -> None:
    pricer = pricer_of("beijing-subway")
    neighbour = {"beijing/tuqiao": "beijing/linheli", "beijing/xizhimen": "beijing/chegongzhuang"}[origin]

    assert charged(fares_of(pricer, ride(local(pricer.tariff, clock), origin, neighbour))) == [charged_fen]


@pytest.mark.parametrize(
    ("distance_m", "rider_class", "charged_fen"),
    [
        (1, "adult", 200),
        (4_000, "adult", 200),
        (4_001, "adult", 300),
        (8_000, "adult", 300),
        (8_001, "adult", 400),
        (12_000, "adult", 400),
        (12_001, "adult", 500),
        (18_001, "adult", 600),
        (24_000, "adult", 600),
        (24_001, "adult", 700),
        (32_001, "adult", 800),
        (40_001, "adult", 900),
        (8_001, "student", 200),
        (4_001, "senior", 150),
        (40_001, "child", 0),
    ],
)
def test_hangzhou_by_distance_and_class(distance_m: int, rider_class: RiderClass, charged_fen: int) -> None:
    assert street_fare("hangzhou-metro", distance_m, rider_class=rider_class) == charged_fen


@pytest.mark.parametrize(
    ("origin", "destination", "adult", "student", "child", "senior"),
    [
        # published Octopus fares, HK cents
        ("central", "admiralty", 490, 320, 320, 200),
        ("admiralty", "central", 490, 320, 320, 200),
        ("central", "tsim-sha-tsui", 1_060, 540, 540, 200),
        ("central", "jordan", 1_060, 540, 540, 200),
        ("airport", "hong-kong", 11_000, 5_500, 5_500, 5_500),
        ("kowloon", "asiaworld-expo", 10_000, 5_000, 5_000, 5_000),
        ("central", "central", 0, 0, 0, 0),
    ],
)
def test_hong_kong_by_pair_and_class(
    origin: str, destination: str, adult: int, student: int, child: int, senior: int
) -> None:
    pricer = pricer_of("hong-kong-mtr")
    at = local(pricer.tariff, NOON)
    prices = {"adult": adult, "student": student, "child": child, "senior": senior}

    for rider_class, cents in prices.items():
        assert rider_class in ("adult", "student", "child", "senior")
        quote = pricer.quote(f"hong-kong/{origin}", f"hong-kong/{destination}", at, rider_class)
        assert quote.amount == cents, rider_class


@pytest.mark.parametrize(
    ("zones", "clock", "peak"),
    [
        # Tuesday | from zone to zone | peak?
        (("1", "1"), "06:29", False),
        (("1", "1"), "06:30", True),
        (("1", "1"), "09:29", True),
        (("1", "1"), "09:30", False),
        (("1", "1"), "16:00", True),
        (("1", "3"), "18:59", True),
        (("1", "3"), "19:00", False),
        (("3", "1"), "08:00", True),
        (("3", "1"), "17:00", False),  # into zone 1 in the afternoon
        (("3", "3"), "17:00", True),
    ],
)
def test_london_peak_hours(zones: tuple[str, str], clock: str, peak: bool) -> None:
    tariff = tariff_of("london-tfl")
    street = Street({"a": 0, "b": 9_000}, {"a": zones[0], "b": zones[1]})
    fare = {("1", "1"): (290, 280), ("1", "3"): (380, 310), ("3", "1"): (380, 310), ("3", "3"): (210, 200)}

    quote = Pricer(tariff, street).quote("a", "b", local(tariff, clock), "adult")

    assert quote.amount == fare[zones][0 if peak else 1]


def test_london_has_no_peak_on_weekends_and_holidays() -> None:
    tariff = tariff_of("london-tfl")
    pricer = Pricer(tariff, Street({"a": 0, "b": 9_000}, {"a": "1", "b": "1"}))
    saturday, holiday = (
        tariff.valid_from.replace(year=2026, month=11, day=14),
        tariff.valid_from.replace(year=2026, month=5, day=25),
    )

    assert pricer.quote("a", "b", local(tariff, "08:00", saturday), "adult").amount == 280
    assert pricer.quote("a", "b", local(tariff, "08:00", holiday), "adult").amount == 280


@pytest.mark.parametrize(
    ("stops", "peak_pence", "zones"),
    [
        # zones along the way          | peak | what is charged
        ("1 1", 290, "1"),
        ("1 2", 350, "1-2"),
        ("1 2 3 4 5 6", 580, "1-6"),
        ("2 1 2", 350, "1-2"),  # through the centre
        ("2 2", 210, "2"),
        ("2 2/3", 210, "2"),  # a boundary counts in the cheaper zone
        ("3 2/3", 210, "3"),
        ("1 2/3", 350, "1-2"),
        ("2/3 2/3", 210, "2"),
        ("4 3 2/3", 230, "3-4"),
        ("6 5 4 3 2", 360, "2-6"),
        ("3 4 5", 300, "3-5"),
    ],
)
def test_london_by_zones_along_the_way(stops: str, peak_pence: int, zones: str) -> None:
    tariff = tariff_of("london-tfl")
    along = stops.split()
    names = [f"s{index}" for index in range(len(along))]
    street = Street(
        {name: 1_000 * index for index, name in enumerate(names)}, dict(zip(names, along, strict=True))
    )

    quote = Pricer(tariff, street).quote(names[0], names[-1], local(tariff, "08:00"), "adult")

    assert (quote.amount, quote.zones) == (peak_pence, zones)


@pytest.mark.parametrize(
    ("rider_class", "clock", "pence"),
    [
        ("child", "08:00", 145),
        ("child", "12:00", 140),
        ("student", "08:00", 290),
        ("senior", "08:00", 290),
        ("senior", "12:00", 0),
    ],
)
def test_london_concessions(rider_class: RiderClass, clock: str, pence: int) -> None:
    tariff = tariff_of("london-tfl")
    pricer = Pricer(tariff, Street({"a": 0, "b": 9_000}, {"a": "1", "b": "1"}))

    assert pricer.quote("a", "b", local(tariff, clock), rider_class).amount == pence


def london_day(rides: str, counters: Counters | None = None, rider_class: RiderClass = "adult") -> list[int]:
    """Rides from zone 1 to the named zones, an hour apart from 10:00, so off-peak until 16:00."""
    tariff = tariff_of("london-tfl")
    street = Street(
        {"1": 0, "1b": 500, "2": 1_000, "3": 2_000, "4": 3_000, "5": 4_000, "6": 5_000},
        {"1": "1", "1b": "1", "2": "2", "3": "3", "4": "4", "5": "5", "6": "6"},
    )
    taps = [
        tap
        for index, zone in enumerate(rides.split())
        for tap in ride(local(tariff, f"{6 + index}:00"), "1", zone, minutes=20, rider_class=rider_class)
    ]
    return charged(fares_of(Pricer(tariff, street), taps, counters))


@pytest.mark.parametrize(
    ("rides", "charged_pence"),
    [
        # the first ride is at 06:00 (off-peak), those of 07:00 to 09:00 are peak
        ("2", [290]),
        ("2 2", [290, 350]),
        ("2 2 2", [290, 350, 250]),  # 8.90 for zones 1-2 reached
        ("2 2 2 2", [290, 350, 250, 0]),
        ("2 2 2 3", [290, 350, 250, 160]),  # 10.50 for zones 1-3
        ("2 2 2 3 2", [290, 350, 250, 160, 0]),
        ("6 6 6 6", [380, 580, 580, 90]),  # 16.30 for zones 1-6
        ("6 6 6 6 2", [380, 580, 580, 90, 0]),
        ("2 2 2 6", [290, 350, 250, 580]),  # 8.90 and one fare are less than 16.30
        ("2 2 2 6 6", [290, 350, 250, 580, 160]),  # now 16.30 is less
    ],
)
def test_london_daily_caps_are_the_cheapest_cover(rides: str, charged_pence: list[int]) -> None:
    assert london_day(rides) == charged_pence


def test_london_children_have_caps_of_their_own() -> None:
    assert sum(london_day("2 2 2 2 2", rider_class="child")) == 445


@pytest.mark.parametrize(
    ("spent_in_zones", "opening", "rides", "charged_pence"),
    [
        # counted this week, pence, by zones | before the books | rides | charged
        ({}, 0, "2", [290]),
        ({"1-2": 4_300}, 0, "2", [170]),  # 44.70 for zones 1-2
        ({"1-2": 4_470}, 0, "2", [0]),
        ({"1-2": 6_000}, 0, "2", [0]),
        ({"1-2": 4_470}, 0, "3", [310]),  # outside the zones of that cap
        ({"1-2": 4_470, "1-3": 700}, 0, "3", [80]),  # 52.50 for zones 1-3
        ({}, 4_300, "2", [170]),  # what was spent before counts inside every cap
        ({}, 4_470, "2 2", [0, 0]),
    ],
)
def test_london_weekly_caps_look_back_to_monday(
    spent_in_zones: dict[str, int], opening: int, rides: str, charged_pence: list[int]
) -> None:
    period = {("metro", zones): pence for zones, pence in spent_in_zones.items()}

    assert london_day(rides, Counters(period_minor=period, opening_minor=opening)) == charged_pence


def test_london_maximum_fares_stand_outside_all_caps() -> None:
    tariff = tariff_of("london-tfl")
    street = Street({"a": 0, "b": 9_000}, {"a": "1", "b": "2"})
    taps = ride(local(tariff, "06:00"), "a", None)
    for hour in range(10, 16):
        taps += ride(local(tariff, f"{hour}:00"), "a", "b")

    fares = fares_of(Pricer(tariff, street), taps)

    assert charged(fares) == [940, 290, 290, 290, 20, 0, 0]


@pytest.mark.parametrize(
    ("minutes_after_first", "rider_class", "charged_cents"),
    [
        ([0], "adult", [330]),
        ([0, 30, 60, 120], "adult", [330, 0, 0, 0]),
        ([0, 121], "adult", [330, 330]),
        ([0, 119, 121, 200], "adult", [330, 0, 330, 0]),  # the window is counted from the ride that was paid
        ([0, 60], "student", [235, 0]),
        ([0, 60], "senior", [225, 0]),
        ([0, 60], "child", [0, 0]),
    ],
)
def test_toronto_two_hours_from_the_first_tap(
    minutes_after_first: list[int], rider_class: RiderClass, charged_cents: list[int]
) -> None:
    pricer = pricer_of("toronto-ttc")
    taps = [
        touch(
            local(pricer.tariff, f"9:{minute}"),
            "board",
            None,
            line="toronto/29-dufferin",
            product="bus",
            rider_class=rider_class,
            sequence=index,
        )
        for index, minute in enumerate(minutes_after_first)
    ]

    assert charged(fares_of(pricer, taps)) == charged_cents


@pytest.mark.parametrize(
    ("origin", "destination", "adult_yen", "child_yen"),
    [
        ("utsunomiya-eki-higashiguchi", "higashi-shukugo", 150, 80),
        ("utsunomiya-eki-higashiguchi", "eki-higashi-koen-mae", 150, 80),
        ("utsunomiya-eki-higashiguchi", "haga-takanezawa-kogyo-danchi", 400, 200),
        ("haga-takanezawa-kogyo-danchi", "utsunomiya-eki-higashiguchi", 400, 200),
    ],
)
def test_utsunomiya_children_pay_half_rounded_up_to_ten(
    origin: str, destination: str, adult_yen: int, child_yen: int
) -> None:
    pricer = pricer_of("utsunomiya-lightline")
    at = local(pricer.tariff, NOON)
    ends = f"utsunomiya/{origin}", f"utsunomiya/{destination}"

    assert pricer.quote(*ends, at, "adult").amount == adult_yen
    assert pricer.quote(*ends, at, "child").amount == child_yen


@pytest.mark.parametrize(
    ("operator", "stop", "no_exit", "no_entry"),
    [
        ("beijing-subway", "beijing/xizhimen", 800, 800),
        ("beijing-subway", "beijing/terminal-3", 3_300, 3_300),
        ("hong-kong-mtr", "hong-kong/central", 6_080, 6_080),
        ("london-tfl", "london/bank", 940, 940),
        ("hangzhou-metro", "hangzhou/xianghu", 900, 900),
        ("utsunomiya-lightline", "utsunomiya/utsunomiya-eki-higashiguchi", 400, 400),
    ],
)
def test_a_missing_tap_costs_the_maximum(operator: str, stop: str, no_exit: int, no_entry: int) -> None:
    pricer = pricer_of(operator)
    at = local(pricer.tariff, NOON)

    assert charged(fares_of(pricer, [touch(at, "entry", stop)])) == [no_exit]
    assert charged(fares_of(pricer, [touch(at, "exit", stop)])) == [no_entry]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_tariff_and_its_city_agree_on_the_day(operator: str) -> None:
    tariff, city = tariff_of(operator), network_of(operator).city

    assert (tariff.city_id, tariff.tz, tariff.day_starts, tariff.currency) == (
        city.city_id,
        city.tz,
        city.day_starts,
        city.currency,
    )


@pytest.mark.parametrize("operator", OPERATORS)
def test_there_is_a_fare_between_any_two_stops(operator: str) -> None:
    pricer = pricer_of(operator)
    at = local(pricer.tariff, NOON)
    stops = sorted(network_of(operator).stops)
    some = stops[:: max(1, len(stops) // 60)]

    for origin in some:
        for destination in stops:
            assert pricer.quote(origin, destination, at, "adult").amount >= 0


def test_a_ride_without_a_fare_is_held_and_not_charged_by_guess() -> None:
    pricer = pricer_of("hong-kong-mtr")
    at = local(pricer.tariff, NOON)
    taps = [
        touch(at, "entry", "hong-kong/central"),
        touch(local(pricer.tariff, "12:30"), "exit", "beijing/xizhimen"),
    ]

    fare = fares_of(pricer, taps)[0]

    assert (fare.status, fare.amount_minor) == ("held", 0)
    assert "no row from hong-kong/central to beijing/xizhimen" in fare.steps[-1].text


def test_a_flat_amount_for_a_class_and_a_discounted_transfer() -> None:
    text = tariff_of("toronto-ttc").source.toml
    text = text.replace("[classes.senior]\ncolumn = true", '[classes.senior]\nfare = "2.00"').replace(
        "window_minutes = 120", "window_minutes = 120\npercent = 50\ncount_max = 1"
    )
    tariff = read_source(TariffSource(text, {}))
    taps = [
        touch(local(tariff, f"9:{minute}"), "board", None, line="29", rider_class="senior", sequence=minute)
        for minute in (10, 20, 30, 40)
    ]

    fares = fares_of(Pricer(tariff, network_of("toronto-ttc")), taps)

    assert charged(fares) == [200, 100, 200, 100]
    assert fares[0].steps[-1].text == "Senior fare is CA$2.00: −CA$1.30"
