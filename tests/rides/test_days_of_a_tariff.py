"""Which days are rated again for a tariff: those with taps that it speaks for, by the city's day, and no other."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from hansa.kernel import service_day
from hansa.rides import store
from hansa.store import Context
from rides.riding import tariff_of

BEIJING = "beijing-subway"

TAPS = """
insert into rides.taps (partition, tap_id, account_id, operator_id, gate_id, sequence, action, product, tapped_at, cti,
    counter, kid, made_at, list_version, chain, received_at)
select 0, gen_random_uuid(), gen_random_uuid(), %s, 'a', 0, 'board', 'bus', at, '', 0, '', at, 0, '', at
from generate_series(%s::timestamptz, %s::timestamptz, interval '15 minutes') at
"""

# time zone | the day starts | about this day: clocks go forward, back, do not change, and far east
CITIES = [
    ("Europe/Berlin", time(2, 30), date(2026, 3, 29)),
    ("Europe/Berlin", time(2, 30), date(2026, 10, 25)),
    ("America/Toronto", time(1, 45), date(2026, 11, 1)),
    ("Asia/Hong_Kong", time(4, 30), date(2026, 5, 1)),
    ("Pacific/Kiritimati", time(23, 45), date(2026, 5, 1)),
]


@pytest.mark.parametrize(("tz", "day_starts", "middle"), CITIES)
def test_days_of_a_tariff_are_found_by_the_citys_day(
    ctx: Context, tz: str, day_starts: time, middle: date
) -> None:
    first = datetime.combine(middle, time(0), UTC) - timedelta(days=4)
    taps = [first + timedelta(minutes=15 * n) for n in range(8 * 96 + 1)]
    days = [service_day(at, tz, day_starts) for at in taps]
    tariff = replace(tariff_of(BEIJING), tz=tz, day_starts=day_starts)
    spans: list[tuple[date, date | None]] = [(middle + timedelta(days=n), None) for n in range(-1, 2)]
    spans += [
        (middle + timedelta(days=n), middle + timedelta(days=n + longer))
        for n in range(-2, 3)
        for longer in (0, 1)
    ]
    spans += [(date.min, date.max), (date.min, None), (date.max, None)]
    with ctx.tx() as tx:
        tx.execute(TAPS, (BEIJING, first, taps[-1]))
        tx.execute(TAPS, ("another", first, taps[-1]))

        for valid_from, valid_to in spans:
            tx.execute("delete from rides.dirty_days")
            store.mark_days_of_operator(tx, replace(tariff, valid_from=valid_from, valid_to=valid_to))
            marked = tx.execute(
                "select operator_id, service_day, due_at from rides.dirty_days order by 3"
            ).fetchall()
            assert marked == [
                (BEIJING, day, at)
                for day, at in zip(days, taps, strict=True)
                if valid_from <= day <= (valid_to or day)
            ]
