"""Two tariffs over the same journeys: by hand, against the books, and against itself."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fares.cases import TUESDAY, Town, ride, tariff_with
from hansa import rides, trust
from hansa.fares import Pricer, Tariff
from hansa.kernel import InvalidInput
from hansa.rides import TariffSource, comparing
from hansa.rides.comparing import Bin, Comparing, Row, bin_of
from hansa.rides.comparing_prices import PastRider
from hansa.rides.comparing_store import PastRide
from hansa.store import Context
from rides.riding import League, local, network_of, random_day, tariff_of

TOWN = Town({"ash": 0, "birch": 2_000, "cedar": 5_000, "dell": 9_000})
BANDS = """
[basis]
kind = "distance"
[[basis.band]]
up_to_m = 3000
fare = "{near}"
[[basis.band]]
up_to_m = 6000
fare = "{far}"
"""
NEAR_AND_FAR = BANDS.format(near="1.50", far="3.00")
"""Instead of 2.00 for everybody: near rides are cheaper, far ones dearer, and the farthest have no fare."""


def past(tariff: Tariff, rider: int, *told: str, day: date = TUESDAY, paid: int = 200) -> list[PastRide]:
    """A rider's journeys of a day as the books hold them."""
    account = UUID(int=rider)
    return [
        PastRide(
            account,
            day,
            ride(tariff, one, day=day, number=rider * 100 + n),
            "priced",
            paid,
            "",
            paid,
            paid,
            {},
        )
        for n, one in enumerate(told)
    ]


def compare(before: Tariff, after: Tariff, riders: Sequence[list[PastRide]]) -> rides.Comparison:
    pricers = {"before": Pricer(before, TOWN), "after": Pricer(after, TOWN)}
    found = Comparing((before, after), lambda side, _: pricers[side], from_day=TUESDAY, until_day=TUESDAY)
    found.see([PastRider(one, {}, {}) for one in riders])
    return found.result()


def test_a_worked_day() -> None:
    """Five riders on one morning; every figure can be checked by hand.

    rider | rides                              | before        | after         | change
    1     | near 08:00, near 17:00             | 2.00 + 2.00   | 1.50 + 1.50   | -1.00
    2     | far 08:30                          | 2.00          | 3.00          | +1.00
    3     | near 09:00, far 18:00              | 2.00 + 2.00   | 1.50 + 3.00   | +0.50
    4     | child, near 09:00                  | 1.00          | 0.75          | -0.25
    5     | far 12:00, farthest 13:00          | 2.00 + 2.00   | 3.00 + none   | +1.00 over what both price
    """
    before, after = tariff_with(), tariff_with(basis=NEAR_AND_FAR)
    riders = [
        past(before, 1, "08:00-08:10 metro ash>birch", "17:00-17:10 metro ash>birch"),
        past(before, 2, "08:30-08:50 metro ash>cedar"),
        past(before, 3, "09:00-09:10 tram birch>ash line=7", "18:00-18:20 metro ash>cedar"),
        past(before, 4, "09:00-09:10 tram birch>ash line=7 class=child", paid=100),
        past(before, 5, "12:00-12:20 metro ash>cedar", "13:00-13:30 metro ash>dell"),
    ]

    found = compare(before, after, riders)

    assert (found.journeys, found.riders) == (8, 5)
    assert (found.before_minor, found.after_minor, found.change_minor) == (1500, 1425, -75)
    assert (found.books_minor, found.books_differ) == (1500, 0)
    assert found.by_class == (Row("adult", 7, 1400, 1350), Row("child", 1, 100, 75))
    assert found.by_line == (Row("", 6, 1200, 1200), Row("7", 2, 300, 225))
    assert found.by_product == (Row("metro", 6, 1200, 1200), Row("tram", 2, 300, 225))
    assert found.by_hour == (
        Row("08", 2, 400, 450),
        Row("09", 2, 300, 225),
        Row("12", 1, 200, 300),
        Row("13", 1, 200, 0),
        Row("17", 1, 200, 150),
        Row("18", 1, 200, 300),
    )
    assert (found.better, found.same, found.worse) == (2, 0, 3)
    assert found.bins == (Bin(-100, -50, 1), Bin(-50, -20, 1), Bin(20, 50, 1), Bin(50, 100, 2))
    assert [(one.change_minor, one.origin, one.destination) for one in found.losers] == [
        (100, "ash", "cedar"),
        (100, "ash", "cedar"),
        (50, "ash", "cedar"),
    ]
    assert [(one.change_minor, one.rider_class, one.times) for one in found.winners] == [
        (-100, "adult", 2),
        (-25, "child", 1),
    ]
    assert (found.unpriced_before, found.unpriced_after) == (0, 1)
    assert [(one.side, one.journeys, one.origin, one.destination) for one in found.unpriced] == [
        ("after", 1, "ash", "dell")
    ]
    assert "beyond the last distance band" in found.unpriced[0].why


def test_caps_and_tiers_count_over_the_span_for_each_side_by_itself() -> None:
    """A weekly cap of 5.00 against 2.00 a ride: on Wednesday the third ride costs 1.00, on Thursday nothing."""
    before = tariff_with()
    after = tariff_with('[[cap]]\nperiod = "week"\namount = "5.00"')
    days = [date(2026, 11, 17 + n) for n in range(3)]
    one = [
        *past(before, 1, "08:00-08:10 metro ash>birch", "09:00-09:10 metro ash>birch", day=days[0]),
        *past(before, 1, "10:00-10:10 metro ash>birch", day=days[1]),
        *past(before, 1, "11:00-11:10 metro ash>birch", day=days[2]),
    ]
    pricers = {"before": Pricer(before, TOWN), "after": Pricer(after, TOWN)}

    def cost(first: date) -> tuple[int, int]:
        found = Comparing((before, after), lambda side, _: pricers[side], from_day=first, until_day=days[2])
        found.see([PastRider(one, {}, {})])
        result = found.result()
        return result.before_minor, result.after_minor

    assert cost(days[0]) == (800, 500)
    assert cost(days[1]) == (400, 100)  # Tuesday counts as it was charged: 4.00
    assert cost(days[2]) == (200, 0)


@pytest.mark.parametrize(
    ("change", "edges"),
    [
        (0, (0, 0)),
        (1, (0, 1)),
        (2, (1, 2)),
        (3, (2, 5)),
        (100, (50, 100)),
        (101, (100, 200)),
        (-101, (-200, -100)),
    ],
)
def test_bins_have_edges_of_one_two_five(change: int, edges: tuple[int, int]) -> None:
    assert bin_of(change) == edges


@settings(max_examples=60)
@given(st.integers(-(10**9), 10**9))
def test_a_change_lies_in_its_bin_and_a_loss_mirrors_a_gain(change: int) -> None:
    low, high = bin_of(change)

    assert low <= change <= high
    assert bin_of(-change) == (-high, -low)


# -- over the books -----------------------------------------------------------------------------------------

HANGZHOU, LONDON = "hangzhou-metro", "london-tfl"
NEAR = ("hangzhou/xianghu", "hangzhou/binkanglu")


class Undo(Exception):
    """Ends an example: nothing of it stays in the database."""


def compared(
    ctx: Context, before: Tariff, after: Tariff, first: int = 16, last: int = 20
) -> rides.Comparison:
    with ctx.tx() as tx:
        return rides.compare_tariffs(
            tx, before, after, first_day=date(2026, 11, first), last_day=date(2026, 11, last)
        )


MORE = """
[[cap]]
period = "7 days"
amount = "14.00"
[[cap]]
period = "24 hours"
amount = "6.00"
[[tier]]
name = "Often"
period = "week"
from_rides = 3
percent = 50
[[tier]]
period = "month"
from = "12.00"
percent = 80
[[carnet]]
name = "Four"
rides = 4
fare = "9.00"
period = "month"
"""
"""Rules that look back over days, weeks, months and hours, for Hangzhou."""


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from((HANGZHOU, "more", LONDON)), st.integers(0, 10_000), st.integers(16, 20))
def test_a_tariff_beside_itself_changes_nothing_and_its_sum_is_that_of_the_books(
    ctx: Context, operator: str, seed: int, first: int
) -> None:
    """Riders of five days with missing taps and weekly caps; the span begins anywhere in the week."""
    with suppress(Undo), ctx.tx():
        ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
        more, operator = operator == "more", HANGZHOU if operator == "more" else operator
        league, tariff = League(ctx, operator), tariff_of(operator)
        if more:
            text = tariff.source.toml.replace("2024-01-01", "2025-01-01").replace(
                "[journey]", f"{MORE}[journey]"
            )
            tariff = rides.read_source(TariffSource(text, {}))
            with ctx.tx() as tx:
                rides.import_tariff(tx, tariff)
        for number in range(3):
            phones = {b"phone 01": league.rider(number), b"phone 02": league.rider(number, token=1)}
            for day in range(16, 21):
                starts_at = local(tariff, "06:00", date(2026, 11, day))
                stops = sorted(network_of(operator).stops)[:6]
                touches = random_day(seed * 31 + number * 7 + day, stops, starts_at, rides_max=3)
                league.hand_in(
                    [
                        league.tap(operator, one.stop_id or "", one.action, one.tapped_at, phones[one.cti])
                        for one in touches
                    ]
                )
        rides.rate(ctx)
        books, everything = books_of(ctx, operator, first), all_rows(ctx)

        found = compared(ctx, tariff, tariff, first)

        assert found.change_minor == found.worse == found.better == found.books_differ == 0
        assert found.before_minor == found.books_minor == books
        for rows in (found.by_class, found.by_line, found.by_product, found.by_hour):
            assert sum(row.before_minor for row in rows) == found.before_minor
            assert sum(row.after_minor for row in rows) == found.after_minor
            assert sum(row.journeys for row in rows) == found.journeys
        assert sum(one.riders for one in found.bins) == found.riders == found.same
        assert found.losers == found.winners == ()
        assert all_rows(ctx) == everything
        raise Undo


def test_a_journey_whose_taps_tell_no_line_counts_for_that_on_which_its_way_begins(ctx: Context) -> None:
    """Brixton to Stratford is Victoria line, then Central; a missing exit leaves the line unknown."""
    ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
    league, tariff, day = League(ctx, LONDON), tariff_of(LONDON), date(2026, 11, 17)
    brixton, stratford = "london/brixton", "london/stratford"
    cti = league.rider(1)
    for clock, one, other in (
        ("08:00", brixton, stratford),
        ("12:00", stratford, brixton),
        ("18:00", brixton, stratford),
    ):
        league.hand_in(league.ride(LONDON, one, other, local(tariff, clock, day), cti))
    league.hand_in([league.tap(LONDON, brixton, "entry", local(tariff, "22:00", day), cti)])
    rides.rate(ctx)

    found = compared(ctx, tariff, tariff)

    assert [(row.name, row.journeys) for row in found.by_line] == [
        ("", 1),
        ("london/central", 1),
        ("london/victoria", 2),
    ]
    assert (found.journeys, found.lines_by_way) == (4, 3)
    assert sum(row.before_minor for row in found.by_line) == found.before_minor
    assert "line by the way,2026-11-16 to 2026-11-20,3," in rides.comparison_csv(found)


def test_a_reader_inside_proves_on_which_line_a_way_began(ctx: Context) -> None:
    """Oxford Circus to Stratford is the Central line, but for who is seen at Warren Street, on the Victoria line."""
    ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
    league, day, middle = League(ctx, LONDON), date(2026, 11, 17), "london/warren-street"
    source = tariff_of(LONDON).source
    later = source.toml.replace(f"valid_from = {tariff_of(LONDON).valid_from}", "valid_from = 2026-11-01")
    tariff = rides.read_source(
        TariffSource(f'{later}\n[pairing]\ninterchange_stops = ["{middle}"]\n', source.tables)
    )
    reader = trust.GateRecord("inside", trust.MemberId(LONDON), "london", middle, None, "board", "metro")
    with ctx.tx() as tx:
        rides.import_tariff(tx, tariff)
        trust.add_gates(tx, [reader])
    league.gates[LONDON, middle, "board"] = "inside"
    oxford_circus, stratford = "london/oxford-circus", "london/stratford"
    for number in (1, 2):
        cti = league.rider(number)
        way_in, way_out = league.ride(LONDON, oxford_circus, stratford, local(tariff, "12:00", day), cti)
        seen = league.tap(LONDON, middle, "board", way_in.tapped_at + timedelta(minutes=5), cti)
        seen = replace(seen, stop_id=middle)
        league.hand_in([way_in, way_out] if number == 1 else [way_in, seen, way_out])
    rides.rate(ctx)

    found = compared(ctx, tariff, tariff)

    assert [(row.name, row.journeys) for row in found.by_line] == [
        ("london/central", 1),
        ("london/victoria", 1),
    ]


def books_of(ctx: Context, operator: str, first: int) -> int:
    with ctx.tx() as tx:
        row = tx.execute(
            "select coalesce(sum(fare_minor), 0) from rides.journeys where operator_id = %s and status = 'priced' "
            "and service_day between %s and '2026-11-20'",
            (operator, date(2026, 11, first)),
        ).fetchone()
    assert row is not None
    return int(row[0])


def all_rows(ctx: Context) -> list[object]:
    with ctx.tx() as tx:
        return [
            tx.execute("select * from rides.journeys order by journey_id").fetchall(),
            tx.execute("select * from rides.charges order by charge_id").fetchall(),
            tx.execute("select * from rides.dirty_days order by account_id, service_day").fetchall(),
        ]


def test_what_cannot_be_compared_is_refused(ctx: Context) -> None:
    league, tariff = League(ctx, HANGZHOU), tariff_of(HANGZHOU)
    league.hand_in(league.ride(HANGZHOU, *NEAR, local(tariff, "08:00", date(2026, 11, 16)), league.rider(1)))
    ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
    rides.rate(ctx)

    with pytest.raises(InvalidInput, match="operator"):
        compared(ctx, tariff, tariff_of(LONDON))
    with pytest.raises(InvalidInput, match="before"):
        compared(ctx, tariff, tariff, 20, 16)
    with pytest.raises(InvalidInput, match="from 2000 to 2200"), ctx.tx() as tx:
        rides.compare_tariffs(tx, tariff, tariff, first_day=date.min, last_day=date.min)
    with pytest.raises(InvalidInput, match="at most 62"), ctx.tx() as tx:
        rides.compare_tariffs(tx, tariff, tariff, first_day=date(2026, 1, 1), last_day=date(2026, 11, 16))
    with pytest.raises(rides.TooManyJourneys), ctx.tx() as tx:
        rides.compare_tariffs(
            tx,
            tariff,
            tariff,
            first_day=date(2026, 11, 16),
            last_day=date(2026, 11, 16),
            journeys_max=0,
        )


def test_two_tariffs_over_the_books(ctx: Context) -> None:
    """Half a yuan off each ride of four riders of three classes, read from the books in more than one chunk."""
    ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
    league, tariff = League(ctx, HANGZHOU), tariff_of(HANGZHOU)
    day = date(2026, 11, 16)
    for number, who in enumerate(("adult", "adult", "student", "child")):
        assert who in ("adult", "student", "child")
        cti = league.rider(number, rider_class=who)
        league.hand_in(league.ride(HANGZHOU, *NEAR, local(tariff, "08:00", day), cti))
    rides.rate(ctx)
    text = tariff.source.toml.replace('fare = "2.00"', 'fare = "1.50"', 1)
    cheaper = rides.read_source(TariffSource(text, {}))
    books = books_of(ctx, HANGZHOU, 16)

    found = compared(ctx, tariff, cheaper)

    near = books // 5  # two adults pay 2.00 and a student half of it
    assert near * 5 == books
    assert found.by_class == (
        Row("adult", 2, 4 * near, 4 * near - 100),
        Row("child", 1, 0, 0),
        Row("student", 1, near, near - 25),
    )
    assert (found.better, found.same, found.worse) == (3, 1, 0)
    assert found.after_minor == books - 125


def test_chunks_of_riders_do_not_matter(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx.clock.at = datetime(2026, 11, 30, tzinfo=UTC)  # type: ignore[attr-defined]
    league, tariff = League(ctx, HANGZHOU), tariff_of(HANGZHOU)
    for number in range(5):
        at = local(tariff, f"{8 + number:02d}:00", date(2026, 11, 16))
        league.hand_in(league.ride(HANGZHOU, *NEAR, at, league.rider(number)))
    rides.rate(ctx)
    whole = compared(ctx, tariff, tariff)

    monkeypatch.setattr(comparing, "RIDERS_AT_ONCE", 2)
    monkeypatch.setattr("hansa.rides.comparing_store.ROWS_AT_ONCE", 2)

    assert compared(ctx, tariff, tariff) == whole
    assert whole.riders == 5
