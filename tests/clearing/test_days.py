"""Business days: closed once, in order, to the cent, and never changed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearing.example_day import (
    AT,
    CURRENCY,
    DAY,
    HOME,
    OVER,
    RIDES,
    Ride,
    charge_of,
    journey_of,
    open_league,
    ride_all,
    set_clock,
    top_up,
)
from hansa import clearing, ledger, payments, trust
from hansa.clearing import store
from hansa.kernel import InvalidInput, fact_id
from hansa.store import Context
from hansa.trust import MemberId

NEXT = DAY + timedelta(days=1)
NEXT_OVER = OVER + timedelta(days=1)


class Killed(Exception):
    """The process was killed here."""


def killed_at(step: str) -> Callable[[str], None]:
    def watch(name: str) -> None:
        if name == step:
            raise Killed(step)

    return watch


def close(ctx: Context, day: date = DAY) -> clearing.ClearingDay:
    set_clock(ctx, OVER + (day - DAY))
    return clearing.close_day(ctx, day)


def everything(ctx: Context) -> object:
    """The books and clearing's rows, to compare before and after."""
    with ctx.tx() as tx:
        return (
            ledger.trial_balance(tx),
            ledger.block_head(tx),
            [
                (clearing.positions(tx, day.day), clearing.net_positions(tx, day.day), day)
                for day in clearing.list_days(tx)
            ],
        )


# The tables of docs/clearing.md.
POSITIONS = [
    # issuer | operator | rides | gross | operator | issuer | league
    ("beijing-card", "beijing-subway", "CNY", 1, 300, 295, 4, 1),
    ("beijing-card", "hangzhou-metro", "CNY", 1, 500, 493, 6, 1),
    ("hangzhou-card", "beijing-subway", "CNY", 3, 900, 886, 11, 3),
    ("hong-kong-card", "beijing-subway", "CNY", 1, 600, 591, 7, 2),
    ("beijing-card", "hong-kong-mtr", "HKD", 1, 1_150, 1_133, 14, 3),
    ("hangzhou-card", "hong-kong-mtr", "HKD", 1, 2_000, 1_970, 24, 6),
]
NETS = [
    ("beijing", "CNY", 982),
    ("hangzhou", "CNY", -396),
    ("hong-kong", "CNY", -593),
    ("league", "CNY", 7),
    ("beijing", "HKD", -1_136),
    ("hangzhou", "HKD", -1_976),
    ("hong-kong", "HKD", 3_103),
    ("league", "HKD", 9),
]


def test_the_worked_example_comes_out_as_its_page_says(ctx: Context) -> None:
    ride_all(ctx)

    day = close(ctx)

    with ctx.tx() as tx:
        positions, nets = clearing.positions(tx, DAY), clearing.net_positions(tx, DAY)
        dues = {(due.member_id, due.currency): due.minor for due in clearing.day_dues(tx, DAY)}
    assert [
        (
            p.issuer_id,
            p.operator_id,
            p.currency,
            p.items,
            p.gross,
            p.operator_share,
            p.issuer_fee,
            p.league_fee,
        )
        for p in positions
    ] == POSITIONS
    assert [(one.member_id, one.currency, one.net) for one in nets] == NETS
    assert (day.status, day.items, day.ends_at, day.closed_at) == ("closed", 8, OVER, OVER)
    assert [(total.currency, total.gross.minor, total.to_pay.minor) for total in day.totals] == [
        ("CNY", 2_300, 989),
        ("HKD", 3_150, 3_112),
    ]
    assert dues == {
        ("beijing-card", "CNY"): 10,
        ("beijing-card", "HKD"): 14,
        ("beijing-subway", "CNY"): 1_772,
        ("hangzhou-card", "CNY"): 11,
        ("hangzhou-card", "HKD"): 24,
        ("hangzhou-metro", "CNY"): 493,
        ("hong-kong-card", "CNY"): 7,
        ("hong-kong-mtr", "HKD"): 3_103,
        ("league", "CNY"): 7,
        ("league", "HKD"): 9,
    }


def test_closing_a_day_empties_its_positions_into_what_members_are_due(ctx: Context) -> None:
    ride_all(ctx)

    close(ctx)

    with ctx.tx() as tx:
        for issuer in HOME:
            for operator, unit in CURRENCY.items():
                account = clearing.position_account(issuer, operator, unit)
                assert ledger.balance(tx, account).credit_minor == 0
        for due in clearing.day_dues(tx, DAY):
            account = clearing.due_account(due.member_id, due.currency)
            assert ledger.balance(tx, account).credit_minor == due.minor
        assert ledger.trial_balance(tx).is_even and not ledger.verify(tx)


def test_closing_a_closed_day_again_changes_nothing(ctx: Context) -> None:
    ride_all(ctx)
    first = close(ctx)
    before = everything(ctx)
    set_clock(ctx, NEXT_OVER)

    again = clearing.close_day(ctx, DAY)

    assert again == first
    assert everything(ctx) == before


@pytest.mark.parametrize("step", ["decided", "posted", "closed"])
def test_a_kill_between_any_two_steps_leaves_the_same_cents(ctx: Context, step: str) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)
    with pytest.raises(Killed):
        clearing.close_day(ctx, DAY, step=killed_at(step))
    late = replace(RIDES[0], number=9)
    payments.charge(ctx, [charge_of(late)])  # it comes after the day was decided, so it is the next day's

    day = clearing.close_day(ctx, DAY)

    with ctx.tx() as tx:
        assert [(one.member_id, one.currency, one.net) for one in clearing.net_positions(tx, DAY)] == NETS
        waiting = ledger.balance(tx, clearing.position_account("hangzhou-card", "beijing-subway", "CNY"))
    assert (day.status, day.items) == ("closed", 8)
    assert waiting.credit_minor == 700


def test_closing_the_next_day_first_ends_a_day_that_a_kill_left(ctx: Context) -> None:
    ride_all(ctx)
    set_clock(ctx, OVER)
    with pytest.raises(Killed):
        clearing.close_day(ctx, DAY, step=killed_at("decided"))

    close(ctx, NEXT)

    with ctx.tx() as tx:
        assert [(day.day, day.status, day.items) for day in clearing.list_days(tx)] == [
            (NEXT, "closed", 0),
            (DAY, "closed", 8),
        ]


def test_what_is_booked_after_the_close_belongs_to_the_next_day(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    before = everything(ctx)
    correction = Ride(9, "hangzhou-card", "beijing-subway", -700, 1)

    payments.charge(ctx, [charge_of(correction)])
    close(ctx, NEXT)

    with ctx.tx() as tx:
        [late] = clearing.positions(tx, NEXT)
        nets = {one.member_id: one.net for one in clearing.net_positions(tx, NEXT)}
        day = clearing.get_day(tx, DAY)
    assert (late.items, late.gross, late.operator_share, late.issuer_fee, late.league_fee) == (
        1,
        -700,
        -690,
        -8,
        -2,
    )
    assert nets == {"hangzhou": 692, "beijing": -690, "league": -2}
    assert before[2][0][2] == day  # type: ignore[index]


def test_a_day_without_rides_closes_empty(ctx: Context) -> None:
    open_league(ctx)

    day = close(ctx)

    assert (day.status, day.items, day.totals) == ("closed", 0, ())


def test_a_day_is_not_closed_before_its_cut_off(ctx: Context) -> None:
    ride_all(ctx)
    before = everything(ctx)
    set_clock(ctx, OVER - timedelta(microseconds=1))

    with pytest.raises(clearing.DayNotOver):
        clearing.close_day(ctx, DAY)

    assert everything(ctx) == before


def test_a_day_before_a_closed_one_can_no_longer_be_closed(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    before = everything(ctx)

    with pytest.raises(clearing.DayClosed):
        clearing.close_day(ctx, DAY - timedelta(days=1))

    assert everything(ctx) == before


def test_a_day_that_was_not_closed_is_unknown(ctx: Context) -> None:
    with ctx.tx() as tx:
        for look in (clearing.get_day, clearing.positions, clearing.net_positions, clearing.day_dues):
            with pytest.raises(clearing.UnknownDay):
                look(tx, DAY)
        with pytest.raises(clearing.UnknownDay):
            clearing.items(tx, DAY, "beijing-card", "beijing-subway", "CNY")


# zone | cut-off | instant in UTC | business day
CUT_OFFS = [
    ("Asia/Shanghai", time(4), datetime(2026, 11, 17, 19, 59, 59, tzinfo=UTC), date(2026, 11, 17)),
    ("Asia/Shanghai", time(4), datetime(2026, 11, 17, 20, tzinfo=UTC), date(2026, 11, 18)),
    (
        "Europe/London",
        time(4, 30),
        datetime(2026, 3, 29, 3, 29, tzinfo=UTC),
        date(2026, 3, 28),
    ),  # clocks went on
    ("Europe/London", time(4, 30), datetime(2026, 3, 29, 3, 30, tzinfo=UTC), date(2026, 3, 29)),
    ("Europe/London", time(4, 30), datetime(2026, 10, 25, 4, 29, tzinfo=UTC), date(2026, 10, 24)),  # and back
    ("UTC", time(0), datetime(2028, 2, 29, 23, 59, tzinfo=UTC), date(2028, 2, 29)),
]


@pytest.mark.parametrize(("tz", "cut_off", "at", "day"), CUT_OFFS)
def test_the_business_day_ends_at_the_leagues_cut_off(
    ctx: Context, tz: str, cut_off: time, at: datetime, day: date
) -> None:
    with ctx.tx() as tx:
        clearing.set_settings(tx, tz=tz, cut_off=cut_off)
        found = clearing.get_settings(tx)

    assert found.day_of(at) == day
    assert found.ends_at(day - timedelta(days=1)) <= at < found.ends_at(day)


def test_a_zone_that_does_not_exist_is_refused(ctx: Context) -> None:
    with ctx.tx() as tx:
        with pytest.raises(InvalidInput):
            clearing.set_settings(tx, tz="Mars/Olympus", cut_off=time(4))

        assert clearing.get_settings(tx) == clearing.Settings("Asia/Shanghai", time(4))


def test_agreed_fees_hold_from_their_day_on(ctx: Context) -> None:
    ride_all(ctx)
    with ctx.tx() as tx:
        clearing.add_agreements(
            tx,
            [
                clearing.Agreement("hangzhou-card", "*", 0, 0, NEXT),
                clearing.Agreement("hangzhou-card", "beijing-subway", 1_000, 100, DAY),
            ],
        )

    close(ctx)

    with ctx.tx() as tx:
        shares = {
            (p.issuer_id, p.operator_id): (p.gross, p.operator_share, p.issuer_fee, p.league_fee)
            for p in clearing.positions(tx, DAY)
        }
    assert shares["hangzhou-card", "beijing-subway"] == (900, 801, 90, 9)
    assert shares["hangzhou-card", "hong-kong-mtr"] == (2_000, 1_970, 24, 6)


def test_an_agreement_is_added_once_and_never_changed(ctx: Context) -> None:
    agreed = clearing.Agreement("a", "*", 100, 20, DAY)
    with ctx.tx() as tx:
        clearing.add_agreements(tx, [agreed])
        clearing.add_agreements(tx, [agreed])

    with pytest.raises(clearing.AgreementDiffers), ctx.tx() as tx:
        clearing.add_agreements(
            tx, [clearing.Agreement("b", "*", 1, 1, DAY), replace(agreed, league_fee_bp=21)]
        )

    with ctx.tx() as tx:
        assert store.list_agreements(tx) == [agreed]


def test_a_position_opens_into_its_items_page_by_page(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    pair = ("hangzhou-card", "beijing-subway", "CNY")

    with ctx.tx() as tx:
        whole = clearing.items(tx, DAY, *pair)
        paged: list[clearing.Item] = []
        while page := clearing.items(tx, DAY, *pair, after=paged[-1].cursor if paged else "", limit=1):
            paged += page
        nothing = clearing.items(tx, DAY, "nobody", "beijing-subway", "CNY")
        with pytest.raises(InvalidInput):
            clearing.items(tx, DAY, *pair, after="0.1")

    assert paged == whole and nothing == []
    assert [item.amount.minor for item in whole] == [700, 400, -200]
    assert [item.reference for item in whole] == [
        journey_of(ride) for ride in RIDES if ride.number in (1, 2, 5)
    ]


@pytest.mark.parametrize(
    "change",
    [
        "update clearing.positions set gross_minor = gross_minor + 1",
        "update clearing.net_positions set net_minor = 0",
        "update clearing.window_totals set net_sum_minor = 0",
        "update clearing.watermarks set up_to_block = up_to_block + 1",
        "update clearing.windows set decided_at = now()",
        "update clearing.closings set closed_at = now()",
        "delete from clearing.closings",
        "delete from clearing.positions",
        "truncate clearing.net_positions",
        "insert into clearing.net_positions values ('daily-20261117', 'CNY', 'stranger', 0)",
        "insert into clearing.window_tallies values ('daily-20261117', 0, 'a', 'b', 'CNY', 2, 0, 1, 1, 0)",
        "insert into clearing.window_tallies values ('daily-20261118', 0, 'a', 'b', 'CNY', 2, 0, 1, 1, 0)",
        "insert into clearing.positions values"
        " ('daily-20261118', 'a', 'b', 'CNY', 0, 1, 1, 0, 0, 1, 0, 0, 'a', 'b')",
        "update clearing.window_tallies set items = items + 1",
        "insert into clearing.window_totals values ('daily-20261117', 'JPY', 0, 0, 0, 0, 0, 0)",
        "insert into clearing.positions values"
        " ('daily-20261117', 'a', 'b', 'CNY', 0, 1, 1, 0, 0, 1, 0, 0, 'a', 'b')",
    ],
)
def test_the_database_refuses_to_change_a_closed_day(ctx: Context, change: str) -> None:
    ride_all(ctx)
    close(ctx)
    before = everything(ctx)

    with pytest.raises(psycopg.errors.RestrictViolation), ctx.tx() as tx:
        tx.execute(change.encode())

    assert everything(ctx) == before


def test_the_database_refuses_nets_that_do_not_sum_to_zero(ctx: Context) -> None:
    with ctx.tx() as tx:
        tx.execute(
            store.ADD_WINDOW,
            ("daily-20261117", "daily", 0, 1, DAY, 1, "net", "multilateral", "deferred", OVER, OVER),
        )

    with pytest.raises(psycopg.errors.CheckViolation, match="nets_sum_to_zero"), ctx.tx() as tx:
        store.add_net_positions(
            tx, "daily-20261117", {(MemberId("a"), "CNY"): 100, (MemberId("b"), "CNY"): -99}
        )

    with ctx.tx() as tx:
        assert store.net_positions(tx, "daily-20261117") == []


def test_the_database_refuses_shares_that_lose_a_cent(ctx: Context) -> None:
    with ctx.tx() as tx:
        tx.execute(
            store.ADD_WINDOW,
            ("daily-20261117", "daily", 0, 1, DAY, 1, "net", "multilateral", "deferred", OVER, OVER),
        )

    with pytest.raises(psycopg.errors.CheckViolation, match="shares_add_up"), ctx.tx() as tx:
        tx.execute(
            "insert into clearing.positions values"
            " ('daily-20261117', 'a', 'b', 'CNY', 0, 1, 100, 120, 30, 98, 1, 0, 'a', 'b')"
        )


def test_positions_open_only_between_members_of_the_league(ctx: Context) -> None:
    open_league(ctx)
    before = everything(ctx)

    with pytest.raises(trust.UnknownMember):
        clearing.open_positions(ctx, [("beijing-card", "stranger", "CNY")])

    assert everything(ctx) == before


def test_two_who_close_the_same_day_at_once_close_it_once(committed_ctx: Context) -> None:
    ride_all(committed_ctx)
    set_clock(committed_ctx, OVER)

    with ThreadPoolExecutor(4) as pool:
        closed = list(pool.map(clearing.close_day, [committed_ctx] * 4, [DAY] * 4))

    assert all(day == closed[0] for day in closed)
    with committed_ctx.tx() as tx:
        assert [(one.member_id, one.currency, one.net) for one in clearing.net_positions(tx, DAY)] == NETS
        assert not ledger.verify(tx)


def test_rides_booked_while_a_day_closes_are_in_one_day_each(committed_ctx: Context) -> None:
    open_league(committed_ctx)
    top_up(committed_ctx)
    set_clock(committed_ctx, OVER)
    rides = [replace(RIDES[n % len(RIDES)], number=100 + n, minor=1 + n) for n in range(60)]

    def book(ride: Ride) -> None:
        payments.charge(committed_ctx, [charge_of(ride)])

    with ThreadPoolExecutor(3) as pool:
        booked = [pool.submit(book, ride) for ride in rides]
        clearing.close_day(committed_ctx, DAY)
        for one in booked:
            one.result()
    close(committed_ctx, NEXT)

    with committed_ctx.tx() as tx:
        cleared = [position for day in (DAY, NEXT) for position in clearing.positions(tx, day)]
    assert sum(position.items for position in cleared) == len(rides)
    assert sum(position.gross for position in cleared) == sum(ride.minor for ride in rides)


RIDE = st.tuples(
    st.sampled_from(sorted(HOME)), st.sampled_from(sorted(CURRENCY)), st.integers(-2_000, 2_000).filter(bool)
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(RIDE, max_size=8), min_size=1, max_size=3))
def test_whatever_is_charged_nets_are_zero_and_positions_are_their_postings(
    ctx: Context, batches: Sequence[Sequence[tuple[str, str, int]]]
) -> None:
    with ctx.tx() as tx, tx.transaction(force_rollback=True):
        open_league(ctx)
        for n, batch in enumerate(batches):
            charges = [
                replace(
                    charge_of(Ride(1_000 + 10 * n + i, issuer, operator, minor, 1)),
                    account_id=fact_id(None, "rider of", issuer),
                    charge_id=fact_id(AT, n, i),
                )
                for i, (issuer, operator, minor) in enumerate(batch)
            ]
            set_clock(ctx, OVER + timedelta(days=n - 1))
            if charges:
                payments.charge(ctx, charges)
            day = DAY + timedelta(days=n)
            close(ctx, day)

            positions, nets = clearing.positions(tx, day), clearing.net_positions(tx, day)
            for unit in ("CNY", "HKD"):
                assert sum(one.net for one in nets if one.currency == unit) == 0
            for one in positions:
                wanted = [m for i, o, m in batch if (i, o) == (one.issuer_id, one.operator_id)]
                items = clearing.items(tx, day, one.issuer_id, one.operator_id, one.currency)
                # A give-back may be two postings: what it takes off the rider's debt, and the rest.
                assert one.items == len(items) >= len(wanted)
                assert one.gross == sum(wanted) == sum(item.amount.minor for item in items)
                assert one.operator_share + one.issuer_fee + one.league_fee == one.gross
            assert ledger.trial_balance(tx).is_even
