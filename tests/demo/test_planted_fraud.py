"""Fraud is planted beside the honest day, and the rules find all of it and nobody else."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa import atlas, codes, risk
from hansa.apps.demo.attacks import FOUND_BY, KINDS, Attack, plan_attacks
from hansa.apps.demo.day import CityDay, CityJob, live
from hansa.apps.demo.league import gates_of
from hansa.apps.demo.people import Rider, make_riders
from hansa.apps.demo.run import DemoRun, Fraud
from hansa.apps.demo.spec import DEMO_DAY, Spec, league_facts
from hansa.apps.open import opened
from hansa.kernel import CURRENCY_EXPONENTS, FixedClock, SystemClock

CITY = "london"
RIDERS = 160
KEY = Ed25519PrivateKey.generate()
KID = b"kid1"


def riders() -> list[Rider]:
    facts = league_facts()
    currencies = {city.city_id: "CNY" for city in facts.cities}
    return make_riders(Spec(riders=RIDERS), facts, CURRENCY_EXPONENTS, currencies)


def a_day(attacks: tuple[Attack, ...], victims: tuple[Rider, ...] = ()) -> CityDay:
    """A day in one city with these attacks."""
    facts = league_facts()
    network = atlas.network_of(atlas.read_city(atlas.city_folder(CITY)))
    role = facts.role(CITY)
    midnight = datetime(2026, 11, 17, tzinfo=UTC)
    ends_at = midnight + timedelta(hours=28)
    trusted = codes.TrustedKey(
        kid=KID,
        issuer_id=f"{CITY}-card",
        public_key=KEY.public_key().public_bytes_raw(),
        not_before=midnight - timedelta(days=9),
        not_after=midnight + timedelta(days=9),
        products=("metro", "bus", "tram"),
        status="active",
    )
    issuers = [f"{city.city_id}-card" for city in facts.cities]
    return live(
        CityJob(
            seed=1,
            day=DEMO_DAY,
            role=role,
            network=network,
            gates=gates_of(role, network),
            riders=tuple(rider for rider in riders() if rider.here == CITY),
            lost=frozenset(),
            issuer_kids=dict.fromkeys(issuers, KID),
            issuer_keys=dict.fromkeys(issuers, KEY.private_bytes_raw()),
            trust_list=codes.TrustList(1, midnight, midnight + timedelta(days=7), (trusted,)),
            deny_version=1,
            attacks=attacks,
            copied=frozenset(rider.number for rider in victims),
            victims=tuple((rider, ends_at) for rider in victims),
        )
    )


def test_everybody_elses_day_is_what_it_is_without_attacks() -> None:
    here = [rider.number for rider in riders() if rider.here == CITY]
    elsewhere = next(rider for rider in riders() if rider.here != CITY)
    attacks = (
        Attack("relay", here[0], CITY),
        Attack("picture", here[1], CITY),
        Attack("shared", here[2], CITY),
        *(Attack("lost", number, CITY) for number in here[3:9]),
    )

    calm, attacked = a_day(()), a_day(attacks, (elsewhere,))

    struck = {one.rider for one in attacked.planted}
    ctis = {token.cti: token.rider for token in attacked.tokens}
    assert {one.kind for one in attacked.planted} == set(KINDS)
    assert len(attacked.taps) > len(calm.taps) > 100
    assert rides_of(attacked, ctis, struck) == rides_of(calm, ctis, struck)


def rides_of(day: CityDay, ctis: dict[bytes, int], but: set[int]) -> list[tuple[bytes, str, datetime, int]]:
    """Who passed which gate when, with which counter; but for these riders."""
    return [
        (tap.cti, tap.gate_id, tap.tapped_at, tap.counter)
        for _, tap in day.taps
        if tap.cti in ctis and ctis[tap.cti] not in but
    ]


def test_a_lost_phone_opens_only_a_gate_that_could_not_know() -> None:
    here = [rider.number for rider in riders() if rider.here == CITY]

    day = a_day(tuple(Attack("lost", number, CITY) for number in here[:9]))

    assert day.loss is not None
    after = [tap for _, tap in day.taps if tap.cti == day.loss.cti and tap.tapped_at > day.loss.at]
    assert [tap.list_version for tap in after] == [1]
    others = [tap for _, tap in day.taps if tap.tapped_at > day.loss.at + timedelta(minutes=1)]
    assert {tap.list_version for tap in others} == {1, 2}


def test_nobody_is_attacked_twice() -> None:
    people = riders()

    attacks = plan_attacks(
        1, DEMO_DAY, people, [city.city_id for city in league_facts().cities], frozenset({7})
    )

    numbers = [one.rider for one in attacks]
    assert len(set(numbers)) == len(numbers)
    assert 7 not in numbers
    assert {one.kind for one in attacks} == set(KINDS)
    assert all(people[one.rider].here != one.city_id for one in attacks if one.kind == "clone")


@pytest.fixture(scope="module")
def after_the_day() -> Iterator[tuple[Fraud, list[risk.Case]]]:
    with tempfile.TemporaryDirectory(prefix="hansa-fraud-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        clock = FixedClock(SystemClock().now())
        with opened(Path(folder) / "home", clock=clock) as ctx:
            summary = DemoRun(ctx, clock, Spec(riders=300), Path(folder) / "home").run()
            with ctx.tx() as tx:
                cases = risk.list_cases(tx, risk.Asked(), limit=500)
        assert summary.fraud is not None
        yield summary.fraud, cases


def test_all_that_was_planted_is_found_and_no_honest_rider_is_suspected(
    after_the_day: tuple[Fraud, list[risk.Case]],
) -> None:
    fraud, _ = after_the_day

    assert fraud.planted == fraud.found
    assert sum(fraud.planted.values()) >= 5
    assert fraud.missed == ()
    assert fraud.false_alarms == {}
    assert fraud.riders > 250


def test_each_case_tells_what_an_arbiter_needs(after_the_day: tuple[Fraud, list[risk.Case]]) -> None:
    _, cases = after_the_day

    assert {case.rule for case in cases} >= {min(names) for names in FOUND_BY.values()} - {"too_far"}
    for case in cases:
        assert case.account_id is not None and case.issuer_id is not None and case.operators
        assert case.evidence.taps and case.evidence.figures
        assert case.first_at <= case.last_at
