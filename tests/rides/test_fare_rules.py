"""What is true of every fare, whatever the tariff and the day."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.fares.tariff import Cap, Price, Rounding, ZoneBasis
from hansa.rides import Counters, Pricer, Tariff, price_day
from rides.riding import (
    OPERATORS,
    Street,
    charged,
    fares_of,
    journeys_of,
    local,
    network_of,
    pricer_of,
    random_day,
    ride,
    tariff_of,
)

SEEDS = st.integers(0, 1_000_000)
COUNTERS = st.builds(
    Counters,
    month_minor=st.integers(0, 50_000),
    opening_minor=st.integers(0, 10_000),
)


@pytest.mark.parametrize("operator", OPERATORS)
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, counters=COUNTERS)
def test_the_steps_add_up_to_the_fare(operator: str, seed: int, counters: Counters) -> None:
    stops = sorted(network_of(operator).stops)[:40]
    taps = random_day(seed, stops, local(tariff_of(operator), "05:00"), rides_max=12)

    for fare in fares_of(pricer_of(operator), taps, counters):
        assert sum(step.amount for step in fare.steps) == fare.amount_minor
        assert fare.amount_minor >= 0
        assert all(step.text and step.currency == fare.currency for step in fare.steps)


@pytest.mark.parametrize("operator", OPERATORS)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS)
def test_any_order_of_arrival_gives_the_same_day(operator: str, seed: int) -> None:
    stops = sorted(network_of(operator).stops)[:40]
    taps = random_day(seed, stops, local(tariff_of(operator), "05:00"), rides_max=12)
    shuffled = taps.copy()
    Random(seed).shuffle(shuffled)

    assert fares_of(pricer_of(operator), shuffled) == fares_of(pricer_of(operator), taps)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, opening=st.integers(0, 6_000))
def test_a_day_never_costs_more_than_its_caps(seed: int, opening: int) -> None:
    pricer = pricer_of("london-tfl")
    tariff = pricer.tariff
    stops = sorted(network_of("london-tfl").stops)
    taps = random_day(seed, stops, local(tariff, "05:00"), rides_max=15)
    journeys = journeys_of(pricer, taps)

    fares = pricer.price_day(journeys, Counters(opening_minor=opening))

    whole = [fare for fare, one in zip(fares, journeys, strict=True) if one.kind == "complete"]
    for cap in tariff.caps:
        inside = [fare for fare in whole if cap.covers("metro", tariff.zone_span(fare.zones))]
        assert sum(charged(inside)) <= cap.amount("adult")


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_one_more_ride_never_makes_the_day_cheaper(seed: int) -> None:
    pricer = pricer_of("london-tfl")
    stops = sorted(network_of("london-tfl").stops)
    journeys = journeys_of(pricer, random_day(seed, stops, local(pricer.tariff, "05:00"), rides_max=12))
    left_out = Random(seed).randrange(len(journeys))

    fewer = pricer.price_day(journeys[:left_out] + journeys[left_out + 1 :], Counters())

    assert sum(charged(pricer.price_day(journeys, Counters()))) >= sum(charged(fewer))


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    caps=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(200, 1_500)), min_size=1, max_size=5
    ),
)
def test_caps_find_the_cheapest_cover_of_all(seed: int, caps: list[tuple[int, int, int]]) -> None:
    """Against trying out every choice of caps, crossing ones among them."""
    tariff = _with_caps(caps)
    basis = tariff.basis
    assert isinstance(basis, ZoneBasis)
    street = Street({zone: 1_000 * int(zone) for zone in basis.order}, {zone: zone for zone in basis.order})
    pricer = Pricer(tariff, street)
    journeys = [
        one
        for one in journeys_of(
            pricer, random_day(seed, list(basis.order), local(tariff, "05:00"), rides_max=9)
        )
        if one.kind == "complete"
    ]

    fares = pricer.price_day(journeys, Counters())

    singles = [(sum(s.amount for s in fare.steps if s.rule != "cap"), fare.zones) for fare in fares]
    best = min(
        sum(cap.amount("adult") for cap in chosen)
        + sum(
            amount
            for amount, zones in singles
            if not any(cap.covers("metro", tariff.zone_span(zones)) for cap in chosen)
        )
        for chosen in _subsets(tariff.caps)
    )
    assert sum(charged(fares)) == best


def _with_caps(caps: list[tuple[int, int, int]]) -> Tariff:
    return replace(
        tariff_of("london-tfl"),
        caps=tuple(
            Cap("day", "Daily cap", Price({("", "adult"): amount}), (min(a, b), max(a, b)))
            for a, b, amount in caps
        ),
    )


def _subsets(caps: tuple[Cap, ...]) -> list[tuple[Cap, ...]]:
    return [
        tuple(cap for index, cap in enumerate(caps) if bits >> index & 1) for bits in range(1 << len(caps))
    ]


@pytest.mark.parametrize(
    ("amount", "step", "mode", "brought"),
    [
        # half a step goes to the even one, up, away, down
        (Fraction(25, 2), 1, "half_even", 12),
        (Fraction(25, 2), 1, "half_up", 13),
        (Fraction(121, 10), 1, "up", 13),
        (Fraction(129, 10), 1, "down", 12),
        (Fraction(75), 10, "up", 80),
        (Fraction(75), 10, "down", 70),
        (Fraction(75), 10, "half_even", 80),
        (Fraction(145), 5, "down", 145),
    ],
)
def test_rounding_brings_an_amount_to_the_step(amount: Fraction, step: int, mode: str, brought: int) -> None:
    assert mode in ("half_even", "half_up", "up", "down")
    assert Rounding(step, mode).bring(amount) == brought


def test_the_steps_of_a_ride_read_as_plain_sentences() -> None:
    beijing = tariff_of("beijing-subway")
    street = Street({"xizhimen": 0, "guomao": 11_923})
    taps = ride(local(beijing, "12:00"), "xizhimen", "guomao")
    fare = price_day(
        journeys_of(Pricer(beijing, street), taps), beijing, street, Counters(month_minor=11_200)
    )[0]

    assert [step.text for step in fare.steps] == [
        "Xizhimen to Guomao: 11,923 m over the network",
        "6–12 km band, adult: ¥4.00",
        "¥112.00 paid this month; from ¥100.00 on, rides cost 80 %: −¥0.80",
    ]


def test_the_steps_of_a_capped_day_name_the_cap() -> None:
    london = tariff_of("london-tfl")
    street = Street({"a": 0, "b": 1_000}, {"a": "1", "b": "2"})
    start = local(london, "10:00")
    taps = [tap for hour in range(4) for tap in ride(start + timedelta(hours=hour), "a", "b")]

    fares = fares_of(Pricer(london, street), taps)

    assert [step.text for step in fares[3].steps] == [
        "A to B",
        "Zones 1–2, off-peak adult: £2.90",
        "Daily cap zones 1–2 £8.90 reached: −£2.70",
    ]
