"""The books of rides against a reference that prices each ride as it is made: whatever a tariff asks, in any order."""

from datetime import UTC, datetime
from random import Random
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import identity, rides
from hansa.rides import Fare, JourneyRecord, Tap
from hansa.store import Context
from rides.books import NUMBERS, Operator, Rider, open_operators, random_taps, reference
from rides.riding import League, account_of

ROUNDS_MAX = 400
"""Runs of rating until nothing is left: more than any of these takes."""


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000))
def test_the_books_equal_rides_priced_as_they_are_made(ctx: Context, seed: int) -> None:
    dice = Random(seed)
    ctx.clock.at = datetime(2026, 12, 20, tzinfo=UTC)  # type: ignore[attr-defined]
    league, operators = open_operators(ctx, seed)
    number = 7_000_000 + next(NUMBERS)
    rider = Rider(dice.choice(("adult", "child", "senior")), dice.choice(("london", "beijing")))
    _open_account(ctx, number, rider)
    cti = league.rider(number, rider_class=rider.rider_class)  # type: ignore[arg-type]
    taps = random_taps(league, operators, dice, cti)

    _hand_in_pieces(league, dice, taps)

    expected = reference(operators, taps, rider)
    kept = {one.journey_id: one for one in _kept(ctx, number)}
    told = "\n".join(operator.tariff.source.toml for operator in operators)
    assert kept.keys() == expected.keys()
    for journey_id, (journey, fare) in expected.items():
        assert _shown(kept[journey_id]) == _shown_fare(fare), f"{journey}\n{told}"
    assert _charged_otherwise(ctx, operators) == []


def _open_account(ctx: Context, number: int, rider: Rider) -> None:
    account = identity.Account(
        account_id=identity.AccountId(account_of(number)),
        name=f"Rider {number}",
        issuer_id="beijing-card",
        home_city_id=rider.residence,
        rider_class="adult",
        language="en",
        created_at=ctx.clock.now(),
    )
    with ctx.tx() as tx:
        identity.open_accounts(tx, [account])


def _hand_in_pieces(league: League, dice: Random, taps: list[Tap]) -> None:
    """In any order, some twice, with ratings between; then until no day waits."""
    waiting = list(taps)
    dice.shuffle(waiting)
    while waiting:
        some = waiting[: dice.randint(1, len(waiting))]
        again = dice.sample(taps, min(2, len(taps)))
        waiting = waiting[len(some) :]
        assert league.hand_in([*some, *(tap for tap in again if tap not in waiting)]).refused == ()
        rides.rate(league.ctx, limit=dice.choice((1, 3, 100)))
    for _ in range(ROUNDS_MAX):
        if not rides.rate(league.ctx).days:
            return
    raise AssertionError("days are rated again without end")


def _kept(ctx: Context, number: int) -> list[JourneyRecord]:
    with ctx.tx() as tx:
        return rides.journeys(tx, account_of(number), limit=1_000)


def _shown(one: JourneyRecord) -> tuple[object, ...]:
    steps = [(step.rule, step.amount, dict(step.facts)) for step in one.steps]
    return one.status, one.fare.minor, one.subsidy, steps


def _shown_fare(fare: Fare) -> tuple[object, ...]:
    steps = [(step.rule, step.amount, dict(step.facts)) for step in fare.steps]
    return fare.status, fare.amount_minor, fare.subsidy, steps


def _charged_otherwise(ctx: Context, operators: list[Operator]) -> list[UUID]:
    """Journeys whose charges or subsidies do not add up to what their fare says."""
    with ctx.tx() as tx:
        rows = tx.execute(
            """
            select j.journey_id from rides.journeys j
            where j.operator_id = any(%s) and (
                j.charged_minor <> j.fare_minor
                or j.fare_minor <>
                    (select coalesce(sum(amount_minor), 0) from rides.charges c where c.journey_id = j.journey_id)
                or j.subsidy_minor <>
                    (select coalesce(sum(amount_minor), 0) from rides.subsidies s where s.journey_id = j.journey_id
                        and s.payer_id = j.subsidy_payer)
                or exists (select from rides.subsidies s where s.journey_id = j.journey_id
                    and s.payer_id is distinct from j.subsidy_payer
                    group by s.payer_id having sum(s.amount_minor) <> 0)
            )
            """,
            ([one.operator_id for one in operators],),
        ).fetchall()
    return [row[0] for row in rows]
