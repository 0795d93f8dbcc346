"""The books of rides against a reference that prices each ride as it is made: whatever a tariff asks, in any order."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import clearing, identity, ledger, payments, rides
from hansa.fares import HeldPass
from hansa.kernel import Money, fact_id
from hansa.rides import Fare, JourneyRecord, Tap
from hansa.store import Context
from rides.books import FIRST_DAY, NUMBERS, Operator, Rider, open_operators, random_taps, reference
from rides.riding import League, account_of

ROUNDS_MAX = 400
"""Runs of rating until nothing is left: more than any of these takes."""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1_000_000))
def test_the_books_equal_rides_priced_as_they_are_made(ctx: Context, seed: int) -> None:
    dice = Random(seed)
    ctx.clock.at = LATER  # type: ignore[attr-defined]
    league, operators = open_operators(ctx, seed)
    number = 7_000_000 + next(NUMBERS)
    rider = Rider(dice.choice(("adult", "child", "senior")), dice.choice(("london", "beijing")))
    _open_account(ctx, number, rider)
    cti = league.rider(number, rider_class=rider.rider_class)  # type: ignore[arg-type]
    taps = random_taps(league, operators, dice, cti)

    _hand_in_pieces(league, operators, dice, taps, number)

    _hold_what_is_left(ctx, number, rider)
    expected = reference(operators, taps, rider)
    kept = {one.journey_id: one for one in _kept(ctx, number)}
    told = "\n".join(operator.tariff.source.toml for operator in operators)
    assert kept.keys() == expected.keys()
    for journey_id, (journey, fare) in expected.items():
        assert _shown(kept[journey_id]) == _shown_fare(fare), f"{journey}\n{told}"
    assert _charged_otherwise(ctx, operators) == []
    rides.post_charges(ctx)
    _check_positions(ctx, operators)


LATER = datetime(2026, 12, 20, tzinfo=UTC)
"""When all rides are over, so that none is under way."""

AT_FIRST = datetime(2026, 11, 27, 5, tzinfo=UTC)
"""On the first day of the rides, when passes are bought."""


def _open_account(ctx: Context, number: int, rider: Rider) -> None:
    """The rider's account, with more in its wallet than all rides and passes cost."""
    account = identity.Account(
        account_id=identity.AccountId(account_of(number)),
        name=f"Rider {number}",
        issuer_id="beijing-card",
        home_city_id=rider.residence,
        rider_class=rider.rider_class,  # type: ignore[arg-type]
        language="en",
        created_at=ctx.clock.now(),
    )
    with ctx.tx() as tx:
        identity.open_accounts(tx, [account])
    top_up = fact_id(None, "top up", number)
    money = Money(1_000_000, "CNY")
    payments.top_up(
        ctx, [payments.TopUp(top_up, account.account_id, account.issuer_id, money, ctx.clock.now())]
    )


def _hand_in_pieces(
    league: League, operators: list[Operator], dice: Random, taps: list[Tap], number: int
) -> None:
    """In any order, some twice, with ratings, postings and passes between; then until no day waits."""
    waiting = list(taps)
    dice.shuffle(waiting)
    while waiting:
        some = waiting[: dice.randint(1, len(waiting))]
        again = dice.sample(taps, min(2, len(taps)))
        waiting = waiting[len(some) :]
        assert league.hand_in([*some, *(tap for tap in again if tap not in waiting)]).refused == ()
        rides.rate(league.ctx, limit=dice.choice((1, 3, 100)))
        if dice.random() < 0.3:
            rides.post_charges(league.ctx)
        _buy_or_give_back(league.ctx, dice.choice(operators), dice, number)
    for _ in range(ROUNDS_MAX):
        if not rides.rate(league.ctx).days:
            return
    raise AssertionError("days are rated again without end")


def _buy_or_give_back(ctx: Context, operator: Operator, dice: Random, number: int) -> None:
    """A pass that the operator sells, from some day on; or one that was bought is given back, if it may be."""
    account = identity.AccountId(account_of(number))
    ctx.clock.at = AT_FIRST  # type: ignore[attr-defined]
    with ctx.tx() as tx:
        held = [one for one in rides.list_passes(tx, account) if one.refunded_at is None]
    if held and dice.random() < 0.5:
        with suppress(rides.PassUsed):
            rides.refund_pass(ctx, pass_id=held[0].pass_id, account_id=account)
    elif operator.tariff.passes:
        one = dice.choice(operator.tariff.passes)
        with suppress(rides.PassHeld):
            rides.buy_pass(
                ctx,
                pass_id=fact_id(None, "pass", number, dice.random()),
                account_id=account,
                operator_id=operator.operator_id,
                name=one.name,
                from_day=FIRST_DAY + timedelta(days=dice.randint(0, 5)),
                wallet_currency="CNY",
            )
    ctx.clock.at = LATER  # type: ignore[attr-defined]


def _hold_what_is_left(ctx: Context, number: int, rider: Rider) -> None:
    with ctx.tx() as tx:
        for one in rides.list_passes(tx, identity.AccountId(account_of(number))):
            if one.refunded_at is None:
                held = HeldPass(one.name, one.from_day, one.until_day)
                rider.passes.setdefault(one.operator_id, []).append(held)


def _check_positions(ctx: Context, operators: list[Operator]) -> None:
    """What stands on each position is the sum of what rides sent there, whoever pays; nothing waits."""
    with ctx.tx() as tx:
        rows = tx.execute(
            """
            select issuer_id, operator_id, currency, sum(amount_minor), bool_and(status = 'posted')
            from (
                select issuer_id, operator_id, currency, amount_minor, status from rides.charges
                union all
                select payer_id, operator_id, currency, amount_minor, status from rides.subsidies
            ) as sent
            where operator_id = any(%s)
            group by 1, 2, 3
            """,
            ([one.operator_id for one in operators],),
        ).fetchall()
        for issuer, operator_id, currency, minor, posted in rows:
            account = clearing.position_account(issuer, operator_id, currency)
            assert posted
            assert ledger.balance(tx, account).credit_minor == minor


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
