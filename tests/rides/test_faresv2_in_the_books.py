"""Fares v2 in force: from taps to charges by the feed's own rules, figures worked out by hand from its rows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID

import pytest

from hansa import atlas, clearing, ledger, rides
from hansa.fares import Counters, Journey, JourneyId, Pricer, check_tariff
from hansa.kernel import InvalidInput, fact_id
from hansa.rides import Tap, faresv2
from hansa.rides.asking import Question, WhatIfRide, ask
from hansa.store import Context
from rides.feed_town import CITY, OPERATOR, feed_of, open_town, tariff_of, town_of
from rides.riding import League, account_of

TUESDAY, SATURDAY = date(2026, 11, 17), date(2026, 11, 21)


class Town(NamedTuple):
    """A town to price rides in."""

    network: atlas.Network
    feed: atlas.FaresV2
    pricer: Pricer


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    network, feed = town_of(tmp_path_factory.mktemp("town"))
    return Town(network, feed, faresv2.pricer_of(tariff_of(feed), network, lambda: feed))


def day_of(pricer: Pricer, told: str, *, rider_class: str = "adult", day: date = TUESDAY) -> list[Journey]:
    """Rides from ``08:00-08:10 s1>s2`` through gates, ``08:20 B`` boarded, ``08:00 s1>?`` without an exit."""
    found: list[Journey] = []
    for number, one in enumerate(told.split(" | ")):
        clock, where = one.split(" ")
        start, _, end = clock.partition("-")
        at, until = (
            datetime.fromisoformat(f"{day} {text}").replace(tzinfo=pricer.tariff.zone_info).astimezone(UTC)
            for text in (start, end or start)
        )
        origin, _, destination = where.partition(">")
        line = None if destination else f"town/{where}"
        kind = (
            "boarding"
            if line
            else "no_exit"
            if destination == "?"
            else "no_entry"
            if origin == "?"
            else "complete"
        )
        tap = fact_id(at, "tap", number)
        found.append(
            Journey(
                JourneyId(tap),
                kind,
                "bus" if line else "metro",
                rider_class,
                b"phone 01",
                at,
                until,
                None if line or origin == "?" else f"town/{origin}",
                f"town/{destination}" if destination not in ("", "?") else None,
                line,
                tap,
                None if line or kind != "complete" else UUID(int=number + 1),
            )
        )
    return found


def shown(pricer: Pricer, told: str, *, rider_class: str = "adult", day: date = TUESDAY) -> list[int | None]:
    """What each ride costs; None is held."""
    priced = pricer.price_day(day_of(pricer, told, rider_class=rider_class, day=day), Counters())
    for fare in priced:
        assert sum(step.amount for step in fare.steps) == fare.amount_minor >= 0
    return [fare.amount_minor if fare.status == "priced" else None for fare in priced]


# rides | class | cents of each | why, by the rows of the feed
WORKED = [
    ("10:00-10:10 s1>s3", "adult", [200], "inner to inner: in, rule_priority 1 over 0"),
    ("10:00-10:10 s1>s5", "adult", [300], "far: empty areas do not matter where rule_priority is there"),
    ("10:00-10:20 s1>s7", "adult", [300], "M and T are one network: one leg between the gates"),
    ("10:00-10:10 s1>s3", "child", [100], "category half"),
    ("10:00-10:10 s1>s3", "senior", [200], "no category of its own: the feed's default, full"),
    ("10:00 B", "adult", [150], "bus by card; cash is dearer and not taken"),
    ("08:59:59 B", "adult", [180], "peak holds to the second before 9:00"),
    ("09:00 B", "adult", [150], "the end of a timeframe is not in it"),
    ("07:00 B", "adult", [180], "its start is"),
    ("08:00 B", "child", [180], "the rush product is without category: for everybody"),
    ("10:00-10:20 s1>s3 | 10:40 B", "adult", [200, 30], "A + AB: fare_transfer_type 0"),
    ("10:00-10:20 s1>s3 | 11:00 B", "adult", [200, 30], "3,600 s from departure to departure are in time"),
    ("10:00-10:20 s1>s3 | 11:00:01 B", "adult", [200, 150], "a second later is not"),
    ("10:00 B | 10:30-10:50 s2>s5", "adult", [150, 250], "A + AB + B with AB = -0.50: fare_transfer_type 1"),
    ("10:00 B | 10:30 B | 11:00 B", "adult", [150, 0, 0], "two changes within 90 minutes of the first"),
    ("10:00 B | 10:30 B | 11:00 B | 11:10 B", "adult", [150, 0, 0, 150], "transfer_count 2 is used up"),
    ("10:00 B | 11:00 B | 11:31 B", "adult", [150, 0, 150], "91 minutes after the first of the run"),
    ("10:00-10:20 s1>s3 | 10:40 B | 11:00-11:20 s2>s4", "adult", [200, 30, 250], "0.30, then -0.50 + 3.00"),
    ("10:00-10:20 s1>s3 | 14:00-14:20 s3>s1", "adult", [200, 200], "apart: another journey"),
    ("10:00 F", "adult", [None], "the ferry is in no network: no rule, no fare, nothing charged"),
    ("10:00 F | 10:40 B", "adult", [None, 150], "what is held leads to nothing"),
    ("10:00-10:20 s1>s3 | 10:25 F | 10:40 B", "adult", [200, None, 150], "nor over it"),
    ("10:00 X", "adult", [None], "2.50, or 6.00 to the airport: the tap does not tell"),
    ("10:00 s1>?", "adult", [300], "no exit: the dearest there is from there"),
    ("10:00 s1>? | 10:10 B", "adult", [300, 150], "a missing tap ends the journey"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "rider_class", "cents", "why"), WORKED)
def test_rides_cost_what_the_feed_says(
    town: Town, told: str, rider_class: str, cents: list[int | None], why: str
) -> None:
    assert shown(town.pricer, told, rider_class=rider_class) == cents, why


def test_timeframes_follow_the_calendar(town: Town) -> None:
    assert shown(town.pricer, "08:00 B", day=SATURDAY) == [150]


def test_a_boarding_may_be_priced_by_its_dearest_exit(town: Town) -> None:
    text = tariff_of(town.feed).source.toml.replace(
        "apart_minutes", 'exit_unknown = "dearest"\napart_minutes'
    )
    tariff = rides.read_source(rides.TariffSource(text, {}))
    pricer = faresv2.pricer_of(tariff, town.network, lambda: town.feed)

    fare = pricer.price_day(day_of(pricer, "10:00 X"), Counters())[0]

    assert [step.said("en") for step in fare.steps] == [
        "Where you got off is not known; the dearest ride on line town/X",
        "Airport express: €6.00",
    ]


def test_no_ride_costs_less_than_nothing_and_the_day_is_exact(town: Town) -> None:
    """Express 2.50, then the bus for a day ticket of 2.20 in its place: 30 cents come off the first ride."""
    text = tariff_of(town.feed).source.toml.replace(
        "apart_minutes", 'exit_unknown = "dearest"\napart_minutes'
    )
    tariff = rides.read_source(rides.TariffSource(text, {}))
    pricer = faresv2.pricer_of(tariff, town.network, lambda: town.feed)
    journeys = day_of(pricer, "10:00 X | 10:30 B")
    journeys[0] = replace(
        journeys[0], kind="complete", origin="town/b1", destination="town/s5", last_tap=UUID(int=9)
    )

    before = pricer.price_day(journeys[:1], Counters())
    after = pricer.price_day(journeys, Counters())

    assert [fare.amount_minor for fare in (*before, *after)] == [250, 220, 0]
    assert [step.text for step in after[0].steps][-1] == "Less, for a later ride of the same journey: −€0.30"
    assert all(sum(step.amount for step in fare.steps) == fare.amount_minor for fare in after)


def test_each_step_names_its_row_in_both_languages(town: Town) -> None:
    fare = town.pricer.price_day(day_of(town.pricer, "10:00-10:20 s1>s3 | 10:40 B"), Counters())

    said = [(step.said("en"), step.said("zh"), step.clause) for one in fare for step in one.steps]

    assert said == [
        ("Port to Centre", "Port 至 Centre", ""),
        ("Inner single: €2.00", "Inner single：€2.00", "fare_leg_rules.txt row 3"),
        (
            "Change to Change to the bus: €0.30",
            "换乘 Change to the bus：€0.30",
            "fare_transfer_rules.txt row 2",
        ),
    ]


def test_the_sum_of_a_day_is_the_cheapest_sum_of_its_legs(town: Town) -> None:
    """Random days of rail and bus: what the rides are charged is what the evaluation of all legs at once gives."""
    dice = Random(5)
    book = faresv2.FareBook(town.feed)
    for _ in range(150):
        at, told = 600, list[str]()
        for _ in range(dice.randint(1, 6)):
            at += dice.randint(1, 60)
            start = f"{at // 60:02}:{at % 60:02}"
            at += dice.randint(1, 20)
            if dice.random() < 0.5:
                told.append(f"{start} B")
            else:
                one, other = dice.sample(["s1", "s2", "s3", "s4", "s5"], 2)
                told.append(f"{start}-{at // 60:02}:{at % 60:02} {one}>{other}")
        journeys = day_of(town.pricer, " | ".join(told))

        charged = sum(fare.amount_minor for fare in town.pricer.price_day(journeys, Counters()))

        legs = [
            faresv2.Leg(
                one.line_id.removeprefix("town/") if one.line_id else "M",
                (one.origin or "town/s2").removeprefix("town/"),
                (one.destination or "town/b1").removeprefix("town/"),
                one.started_at,
                one.ended_at,
            )
            for one in journeys
        ]
        rider = faresv2.Rider(None, frozenset({"card"}), "EUR")
        assert charged == sum(
            faresv2.price(book, part, rider).total.minor for part in _apart(legs, timedelta(hours=2))
        ), told


def _apart(legs: Sequence[faresv2.Leg], apart: timedelta) -> list[list[faresv2.Leg]]:
    parts = [[legs[0]]]
    for before, leg in pairwise(legs):
        if leg.departs_at - before.arrives_at < apart:
            parts[-1].append(leg)
        else:
            parts.append([leg])
    return parts


def test_caps_of_the_tariff_stand_above_the_feed(town: Town, tmp_path: Path) -> None:
    text = tariff_of(town.feed).source.toml + '\n[[cap]]\nperiod = "day"\namount = "5.00"\n'
    (tmp_path / "tariff.toml").write_text(text, encoding="utf-8")
    tariff = tariff_of(town.feed, rules=tmp_path)
    pricer = faresv2.pricer_of(tariff, town.network, lambda: town.feed)

    assert shown(pricer, "06:00-06:20 s1>s5 | 10:00-10:20 s1>s3 | 15:00 B") == [300, 200, 0]


REFUSED = [
    ({"categories": {"child": "baby"}}, "no rider category 'baby' for child"),
    ({"media": ["ring"]}, "no fare medium 'ring'"),
]


@pytest.mark.parametrize(("options", "what"), REFUSED)
def test_names_that_the_feed_does_not_have_are_refused(
    town: Town, options: dict[str, object], what: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        tariff_of(town.feed, **options)

    assert what in refused.value.problems[0].what


# what is added to the tariff | where it is refused
BESIDE = [
    ('[[join]]\nname = "x"\nwithin_minutes = 5\n', "field join"),
    ('[[discount]]\nname = "x"\npercent = 50\nproducts = ["bus"]\n', "field discount"),
    ('[[fare]]\nname = "x"\nproducts = ["bus"]\nkind = "flat"\nfare = "1.00"\n', "field fare"),
]


@pytest.mark.parametrize(("more", "where"), BESIDE)
def test_what_the_feed_says_already_is_refused_beside_it(town: Town, more: str, where: str) -> None:
    text = tariff_of(town.feed).source.toml + more

    with pytest.raises(InvalidInput) as refused:
        rides.read_source(rides.TariffSource(text, {}))

    assert any(where in problem.where for problem in refused.value.problems)


def test_the_checks_of_tariffs_leave_its_gaps_to_the_feed(town: Town) -> None:
    assert check_tariff(tariff_of(town.feed), town.network) == ()


def test_without_a_feed_every_ride_is_held(town: Town) -> None:
    pricer = faresv2.pricer_of(tariff_of(town.feed), town.network, lambda: None)

    fare = pricer.price_day(day_of(pricer, "10:00-10:10 s1>s3"), Counters())[0]

    assert (fare.status, fare.steps[-1].facts["why"]) == (
        "held",
        "the city's feed has no Fares v2 on that day",
    )


# -- in the books -------------------------------------------------------------------------------------------


class Books(NamedTuple):
    league: League
    network: atlas.Network


@pytest.fixture
def books(ctx: Context, tmp_path: Path) -> Books:
    ctx.clock.at = datetime(2026, 11, 18, 14, tzinfo=UTC)  # type: ignore[attr-defined]
    league = League(ctx)
    atlas.import_gtfs(ctx, feed_of(tmp_path), city=CITY, operator_id=OPERATOR, valid_from=date(2026, 1, 1))
    with ctx.tx() as tx:
        network = atlas.get_network(tx, "town")
        feed = atlas.get_fares_v2(tx, "town")
        assert feed is not None
        rides.import_tariff(tx, tariff_of(feed))
        open_town(league, tx, network)
    return Books(league, network)


def at(clock: str) -> datetime:
    """By the town's clocks, which are Berlin's."""
    return datetime.fromisoformat(f"{TUESDAY} {clock}+01:00").astimezone(UTC)


def taps_of(league: League, cti: bytes) -> list[Tap]:
    """A morning: rail, bus within the hour, and back by rail."""
    return [
        *league.ride(OPERATOR, "town/s1", "town/s3", at("10:00"), cti, minutes=20),
        league.tap(OPERATOR, "town/B", "board", at("10:40"), cti),
        *league.ride(OPERATOR, "town/s2", "town/s4", at("11:00"), cti, minutes=20),
    ]


def test_from_taps_to_charges_by_the_feed(books: Books) -> None:
    """2.00 + 0.30 + (3.00 - 0.50) = 4.80, in the wallet, in the position, and per journey."""
    league = books.league
    league.open_money(1, 2_000, currency="EUR")
    league.hand_in(taps_of(league, league.rider(1, currency="EUR")))

    rides.rate(league.ctx)
    posted = rides.post_charges(league.ctx)

    assert league.charged(1) == [200, 30, 250]
    assert (posted.charges, posted.waiting) == (3, 0)
    with league.ctx.tx() as tx:
        found = rides.journeys(tx, account_of(1))[::-1]
        assert [one.trip_id for one in found] == [None, found[0].journey_id, found[0].journey_id]
        assert {one.network_version for one in found} == {books.network.version}
        balance = ledger.balance(tx, clearing.position_account("beijing-card", OPERATOR, "EUR"))
    assert balance.credits_posted - balance.debits_posted == 480


@pytest.mark.parametrize("seed", range(2))
def test_taps_in_any_order_come_to_the_same_day(books: Books, seed: int) -> None:
    league = books.league
    taps = taps_of(league, league.rider(1, currency="EUR"))
    Random(seed).shuffle(taps)

    for tap in taps:
        league.hand_in([tap])
        rides.rate(league.ctx)
    again = rides.rate(league.ctx)

    assert league.charged(1) == [200, 30, 250]
    assert again.charges == 0


def test_what_if_sees_the_rides_before(books: Books) -> None:
    before = WhatIfRide("town/s1", "town/s3", at("10:00"), at("10:20"))
    bus = Question(OPERATOR, "town/s2", "town/b1", at("10:40"), product="bus", line_id="town/B")

    with books.league.ctx.tx() as tx:
        alone, after = ask(tx, bus).fare, ask(tx, replace(bus, after=(before,))).fare
        child = ask(tx, Question(OPERATOR, "town/s1", "town/s3", at("10:00"), "child")).fare

    assert (alone.amount_minor, after.amount_minor, child.amount_minor) == (150, 30, 100)
    assert [step.clause for step in after.steps if step.clause] == ["fare_transfer_rules.txt row 2"]


def test_a_tariff_proposed_by_the_feed_is_held_against_it(books: Books) -> None:
    with books.league.ctx.tx() as tx:
        feed = atlas.get_fares_v2(tx, "town")
        assert feed is not None
        sound = tariff_of(feed, valid_from=date(2027, 1, 1)).source
        good = rides.check_source(tx, OPERATOR, sound)
        text = rides.TariffSource(sound.toml.replace('"half"', '"baby"'), {})
        bad = rides.check_source(tx, OPERATOR, text)

    assert not good.errors
    assert [one.what for one in bad.errors] == ["the feed has no rider category 'baby' for child"]


def test_a_new_feed_prices_its_days_and_leaves_the_others(books: Books, tmp_path: Path) -> None:
    league = books.league
    cti = league.rider(1, currency="EUR")
    league.hand_in(taps_of(league, cti))
    rides.rate(league.ctx)
    products = (tmp_path / "fare_products.txt").read_text().replace("full,,2.00", "full,,2.40")
    (tmp_path / "fare_products.txt").write_text(products)

    atlas.import_gtfs(league.ctx, tmp_path, city=CITY, operator_id=OPERATOR, valid_from=date(2026, 11, 18))
    league.hand_in(league.ride(OPERATOR, "town/s1", "town/s3", at("10:00") + timedelta(days=1), cti))
    rides.rate(league.ctx)

    assert league.charged(1) == [200, 30, 250, 240]
