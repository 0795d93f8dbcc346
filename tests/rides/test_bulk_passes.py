"""Where a city sells passes, only the days of those who hold one are rated the plain way."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import Rollback

from hansa import identity, rides
from hansa.fares.columnar import Columnar, Earlier, Priced, RideColumns
from hansa.kernel import fact_id
from hansa.rides import bulk, rating
from hansa.store import Context
from rides.riding import TUESDAY, League, account_of, local, network_of, tariff_of

OPERATOR = "hangzhou-metro"
RIDERS = 6
EVENING = datetime(2026, 11, 18, 12, tzinfo=UTC)

JOURNEYS = """
select to_jsonb(j) - 'rated_at' - 'steps_text' || jsonb_build_object('steps', coalesce(steps, steps_text::jsonb))
from rides.journeys j
order by account_id, journey_id
"""


def rated(league: League, rate: Callable[[Context], object]) -> list[Any]:
    """The journeys of a day of rides, of which the second rider's is covered by a pass; nothing of it stays."""
    with league.ctx.tx() as tx:
        league.ctx.clock.at = local(tariff_of(OPERATOR), "05:00")  # type: ignore[attr-defined]
        rides.buy_pass(
            league.ctx,
            pass_id=fact_id(None, "pass", 1),
            account_id=identity.AccountId(account_of(1)),
            operator_id=OPERATOR,
            name="Day pass",
            from_day=TUESDAY,
            wallet_currency="CNY",
        )
        stops = sorted(network_of(OPERATOR).stops)
        for ride, clock in enumerate(("08:00", "12:30", "18:10")):
            at = local(tariff_of(OPERATOR), clock)
            league.ctx.clock.at = at + timedelta(minutes=27)  # type: ignore[attr-defined]
            for number in range(RIDERS):
                cti = league.rider(number, issuer="hangzhou-card", currency="CNY")
                ends = stops[7 * number + ride], stops[-1 - 5 * number]
                league.hand_in(league.ride(OPERATOR, *ends, at + timedelta(seconds=number), cti, minutes=25))
        league.ctx.clock.at = EVENING  # type: ignore[attr-defined]
        rate(league.ctx)
        journeys = [row[0] for row in tx.execute(JOURNEYS)]
        raise Rollback
    return journeys


def test_only_who_holds_a_pass_is_rated_one_by_one(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    league, by_column = League(ctx, OPERATOR), list[int]()
    for number in range(RIDERS):
        league.open_money(number, 10_000, issuer="hangzhou-card", currency="CNY")
    price = Columnar.price

    def counted(columnar: Columnar, own: RideColumns, earlier: Earlier | None = None) -> Priced:
        by_column.append(len(own))
        return price(columnar, own, earlier)

    monkeypatch.setattr(Columnar, "price", counted)
    monkeypatch.setattr(bulk, "FEW", 1)

    found = rated(league, bulk.rate)
    league.sequences.clear()

    assert by_column == [3 * (RIDERS - 1)]
    covered = [one["account_id"] for one in found if any(step[0] == "pass" for step in one["steps"])]
    assert covered == [str(account_of(1))] * 3
    assert found == rated(league, rating.rate)
