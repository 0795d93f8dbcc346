"""A comparison by the column is the comparison one by one: every figure of it."""

from datetime import date, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hansa import rides
from hansa.fares import Pricer, Tariff, TariffSource, read_source
from hansa.fares.columnar import Columnar, Earlier, Priced, RideColumns
from hansa.rides import comparing_prices
from hansa.rides.comparing import Comparing
from hansa.rides.comparing_prices import PastRider
from hansa.rides.comparing_store import PastRide
from rides.riding import network_of, tariff_of
from rides.test_fares_by_column import random_days

MONDAY = date(2026, 11, 16)
DEARER = {
    "beijing-subway": ('fare = "4.00"', 'fare = "4.50"'),
    "london-tfl": (
        'amount = { adult = "8.90", child = "4.45" }',
        'amount = { adult = "7.10", child = "4.00" }',
    ),
    "toronto-ttc": ("window_minutes = 120", "window_minutes = 40"),
}


def a_week(tariff: Tariff, operator_id: str, seed: int) -> list[PastRider]:
    """Thirty riders of three days, the first of which lies before the span; some ride with a companion."""
    stops = sorted(network_of(operator_id).stops)[:: 1 + seed % 5][:20]
    found: dict[int, list[PastRide]] = {}
    for day in range(3):
        own = random_days(tariff, stops, seed + day)
        for ride in range(len(own)):
            rider, name = int(own.riders[ride]), UUID(int=1_000 * day + ride + 1)
            journey = own.journey(ride, name)
            if journey.rider_class == "stranger":
                continue
            at = timedelta(days=day - 1)
            moved = rides.Journey(
                *(journey.journey_id, journey.kind, journey.product, journey.rider_class, journey.cti),
                *(journey.started_at + at, journey.ended_at + at, journey.origin, journey.destination),
                *(journey.line_id, journey.first_tap, journey.last_tap),
                companion=1 if rider % 9 == 8 else 0,
            )
            past = PastRide(
                UUID(int=rider), MONDAY + timedelta(days=day), moved, "priced", 250, "", 250, 250, {}
            )
            found.setdefault(rider, []).append(past)
    return [PastRider(one, {("month", date(2026, 11, 1)): 9_000}, {}) for _, one in sorted(found.items())]


@pytest.mark.parametrize("operator_id", DEARER)
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 100_000))
def test_it_comes_out_the_same(operator_id: str, seed: int) -> None:
    before = tariff_of(operator_id)
    text = before.source.toml.replace(*DEARER[operator_id])
    assert text != before.source.toml
    after = read_source(TariffSource(text, before.source.tables))
    pricers = {
        "before": Pricer(before, network_of(operator_id)),
        "after": Pricer(after, network_of(operator_id)),
    }
    riders, by_column = a_week(before, operator_id, seed), list[int]()
    price = Columnar.price

    def counted(columnar: Columnar, own: RideColumns, earlier: Earlier | None = None) -> Priced:
        by_column.append(int(np.unique(own.riders).size))
        return price(columnar, own, earlier)

    def compared(few: int) -> rides.Comparison:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(comparing_prices, "FEW", few)
            patched.setattr(Columnar, "price", counted)
            found = Comparing(
                (before, after),
                lambda side, _: pricers[side],
                from_day=MONDAY + timedelta(days=1),
                until_day=MONDAY + timedelta(days=2),
            )
            found.see(riders)
            return found.result()

    one_by_one = compared(1_000)
    assert not by_column

    assert compared(1) == one_by_one
    assert len(by_column) == 4 and min(by_column) > 20
