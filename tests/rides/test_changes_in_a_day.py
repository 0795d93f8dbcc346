"""Between the instants at which a fare may change it does not: minute by minute of a day."""

from datetime import date, timedelta

import pytest

from hansa.fares import Pricer
from hansa.kernel import service_day_bounds
from rides.riding import TUESDAY, network_of, pricer_of

SUNDAY = date(2026, 11, 22)
CLOCKS_BACK = date(2026, 10, 24)


@pytest.mark.parametrize("operator_id", ["london-tfl", "beijing-subway", "hong-kong-mtr"])
@pytest.mark.parametrize("day", [TUESDAY, SUNDAY])
def test_a_fare_changes_only_where_it_is_said_to(operator_id: str, day: date) -> None:
    pricer, stops = pricer_of(operator_id), sorted(network_of(operator_id).stops)
    starts_at, ends_at = service_day_bounds(day, pricer.tariff.tz, pricer.tariff.day_starts)
    changes = pricer.changes(starts_at, ends_at, timedelta(minutes=20))
    assert changes is not None and len(changes) < 12

    at, known, differ = starts_at, -1, set[int]()
    while at < ends_at:
        fare = pricer.explain(stops[7], stops[40], at, "adult", ended_at=at + timedelta(minutes=20))
        assert at in (starts_at, *changes) or fare.amount_minor == known
        known = fare.amount_minor
        differ.add(known)
        at += timedelta(minutes=1)

    assert len(differ) == (2 if operator_id == "london-tfl" and day == TUESDAY else 1)


def test_where_clocks_are_changed_it_is_not_known() -> None:
    pricer: Pricer = pricer_of("london-tfl")
    bounds = service_day_bounds(CLOCKS_BACK, pricer.tariff.tz, pricer.tariff.day_starts)

    assert pricer.changes(*bounds, timedelta()) is None
