"""Statements: the worked example of docs/clearing.md as its members read it, to the cent."""

import csv
import io
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearing.example_day import (
    CURRENCY,
    DAY,
    HOME,
    OVER,
    Ride,
    charge_of,
    open_league,
    ride_all,
    set_clock,
    top_up,
)
from hansa import clearing, identity, ledger, payments, reports, settlement, trust
from hansa.clearing import day_window
from hansa.kernel import fact_id
from hansa.reports import model, store, tables
from hansa.settlement import SimulatedBank
from hansa.store import Context
from trust.test_member_life import let_in

NEXT = DAY + timedelta(days=1)
MEMBERS = ("beijing", "hangzhou", "hong-kong", "league")

Figures = tuple[str, str, int, int, int, int]
"""Member, currency, opening, net, paid, closing."""


def close(ctx: Context, day: date = DAY) -> None:
    set_clock(ctx, OVER + (day - DAY))
    clearing.close_day(ctx, day)


def pay(ctx: Context, day: date = DAY) -> None:
    """The bank carries out the day's files, and its statements are read."""
    with TemporaryDirectory() as folder:
        for file in settlement.write_files(ctx, day, Path(folder)):
            answer = SimulatedBank().statement_for(file.path.read_bytes(), at=ctx.clock.now())
            settlement.read_statement(ctx, answer)


def figures(ctx: Context, day: date = DAY) -> list[Figures]:
    return [
        (member, one.currency, one.opening, one.net, one.paid, one.closing)
        for member in MEMBERS
        for one in reports.statement(ctx, day_window(day), member).currencies
    ]


def ride(ctx: Context, numbers: list[int], rides: list[tuple[str, str, int]]) -> None:
    """Rides of a rider without money, so that each issuer carries its own. numbers: of the charges."""
    charges = [
        replace(
            charge_of(Ride(number, issuer, operator, minor, 4)),
            account_id=poor_rider(issuer),
        )
        for number, (issuer, operator, minor) in zip(numbers, rides, strict=True)
    ]
    payments.charge(ctx, charges)


def poor_rider(issuer: str) -> identity.AccountId:
    return identity.AccountId(fact_id(None, "rider without money", issuer))


# The nets are those of docs/clearing.md.
FIRST: list[Figures] = [
    ("beijing", "CNY", 0, 982, 0, 982),
    ("beijing", "HKD", 0, -1_136, 0, -1_136),
    ("hangzhou", "CNY", 0, -396, 0, -396),
    ("hangzhou", "HKD", 0, -1_976, 0, -1_976),
    ("hong-kong", "CNY", 0, -593, 0, -593),
    ("hong-kong", "HKD", 0, 3_103, 0, 3_103),
    ("league", "CNY", 0, 7, 0, 7),
    ("league", "HKD", 0, 9, 0, 9),
]


def test_the_worked_example_states_the_nets_of_its_page(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)

    assert figures(ctx) == FIRST


def test_what_the_bank_moved_stands_in_the_next_days_statement(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    pay(ctx)
    close(ctx, NEXT)

    assert figures(ctx, NEXT) == [
        (member, unit, closing, 0, closing, 0) for member, unit, _, _, _, closing in FIRST
    ]
    one = reports.statement(ctx, day_window(NEXT), "beijing").currencies[0]
    assert [(line.kind, line.minor, line.reference) for line in one.lines] == [
        ("paid out", -982, "HANSA-20261117-CNY-beijing")
    ]


def test_the_lines_tell_items_by_product_and_counterparty_and_fees(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)

    one = reports.statement(ctx, day_window(DAY), "hangzhou").currencies[0]

    assert [
        (line.section.value, line.counterparty_id, line.issuer_id, line.kind, line.count, line.minor)
        for line in one.lines
    ] == [
        ("items", "beijing-card", "beijing-card", "fare", 1, 500),
        ("items", "beijing-subway", "hangzhou-card", "fare", 2, -1_100),
        ("adjustments", "beijing-subway", "hangzhou-card", "correction", 1, 200),
        ("fees", "beijing-card", "beijing-card", "issuer fee", 1, -6),
        ("fees", "beijing-subway", "hangzhou-card", "issuer fee", 3, 11),
        ("fees", "league", "beijing-card", "league fee", 1, -1),
    ]


def test_what_clears_as_a_city_adds_up_to_the_citys_net(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)

    for city, parts in {
        "beijing": ("beijing-card", "beijing-subway"),
        "hangzhou": ("hangzhou-card", "hangzhou-metro"),
        "hong-kong": ("hong-kong-card", "hong-kong-mtr"),
    }.items():
        sums: Counter[str] = Counter()
        for part in parts:
            made = reports.statement(ctx, day_window(DAY), part)
            assert not made.settles and made.clears_as == city
            for one in made.currencies:
                sums[one.currency] += one.net
        assert sums == {
            one.currency: one.net for one in reports.statement(ctx, day_window(DAY), city).currencies
        }


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.lists(
        st.tuples(
            st.lists(
                st.tuples(
                    st.sampled_from(sorted(HOME)), st.sampled_from(sorted(CURRENCY)), st.integers(1, 5_000)
                ),
                max_size=6,
            ),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_balances_go_on_from_day_to_day_whenever_the_bank_pays(
    ctx: Context, days: list[tuple[list[tuple[str, str, int]], bool]]
) -> None:
    with ctx.tx() as tx:
        savepoint = tx.transaction(force_rollback=True)
        with savepoint:
            open_league(ctx)
            top_up(ctx)
            unpaid: list[date] = []
            before: dict[tuple[str, str], int] = {}
            open_nets: Counter[tuple[str, str]] = Counter()
            number = 100
            for place, (rides, is_paid) in enumerate(days):
                day = DAY + timedelta(days=place)
                ride(ctx, list(range(number, number + len(rides))), rides)
                number += len(rides)
                close(ctx, day)
                found = figures(ctx, day)
                opening = {(one[0], one[1]): one[2] for one in found if one[2]}
                closing = {(one[0], one[1]): one[5] for one in found if one[5]}
                assert opening == before
                with ctx.tx() as inner:
                    open_nets.update(
                        {(one.member_id, one.currency): one.net for one in clearing.net_positions(inner, day)}
                    )
                assert closing == {key: minor for key, minor in open_nets.items() if minor}
                for unit in ("CNY", "HKD"):
                    assert sum(one[5] for one in found if one[1] == unit) == 0
                before = closing
                unpaid.append(day)
                if is_paid:
                    for one in unpaid:
                        pay(ctx, one)
                    unpaid.clear()
                    open_nets.clear()


def test_carrying_again_and_out_of_order_changes_nothing(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    pay(ctx)
    close(ctx, NEXT)
    later = figures(ctx, NEXT)

    reports.carry(ctx, day_window(DAY))
    reports.carry(ctx, day_window(NEXT))

    assert figures(ctx) == FIRST
    assert figures(ctx, NEXT) == later


def test_a_carried_balance_never_changes(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    reports.carry(ctx, day_window(DAY))

    with pytest.raises(psycopg.errors.RestrictViolation), ctx.tx() as tx:
        tx.execute("update reports.balances set net_minor = net_minor + 1")

    assert figures(ctx) == FIRST


def test_a_day_that_is_not_closed_has_no_statement(ctx: Context) -> None:
    ride_all(ctx)

    with pytest.raises(clearing.UnknownWindow):
        reports.statement(ctx, day_window(DAY), "beijing")

    with ctx.tx() as tx:
        assert store.latest_carried(tx, "daily") is None


def test_a_member_that_is_none_has_no_statement(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)

    with pytest.raises(trust.UnknownMember):
        reports.statement(ctx, day_window(DAY), "atlantis")


def test_figures_that_differ_are_not_given_out(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    with ctx.tx() as tx:
        position = clearing.positions(tx, DAY)[0]

    with pytest.raises(reports.FiguresDiffer, match="beijing-card to beijing-subway"):
        model.check_position(position, [model.KindSum(int(ledger.TransferCode.FARE), 1, 299)])
    with pytest.raises(reports.FiguresDiffer, match="its net is 1"):
        model.statement_of("CNY", [], model.Balance("daily-1", "beijing", "CNY", 0, 1, 0))


def test_csv_and_parquet_say_the_same_and_add_up(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    made = reports.statement(ctx, day_window(DAY), "beijing")

    text = reports.statement_csv(made).decode()
    told = list(csv.DictReader(io.StringIO(text, newline="")))
    table = pq.read_table(io.BytesIO(reports.statement_parquet(made))).to_pylist()

    assert text.count("\r\n") == text.count("\n") == len(told) + 1
    assert [{name: str(value) for name, value in row.items()} for row in table] == told
    assert tuple(told[0]) == tuple(name for name, _ in tables.COLUMNS)
    for one in made.currencies:
        mine = [row for row in told if row["currency"] == one.currency]
        parts = [int(row["amount_minor"]) for row in mine if row["section"] not in ("net", "closing")]
        assert sum(parts) == int(mine[-1]["amount_minor"]) == one.closing
    assert {
        "counterparty_id": "hangzhou-card",
        "kind": "fare",
        "amount_minor": "1100",
        "amount": "11.00",
    }.items() <= next(
        row for row in told if row["issuer_id"] == "hangzhou-card" and row["section"] == "items"
    ).items()


@pytest.mark.parametrize("language", reports.LANGUAGES)
def test_on_paper_it_is_the_same_bytes_each_time(ctx: Context, language: reports.Language) -> None:
    ride_all(ctx)
    close(ctx)
    made = reports.statement(ctx, day_window(DAY), "hong-kong")

    paper = reports.statement_pdf(made, language)

    assert paper.startswith(b"%PDF-1.") and paper == reports.statement_pdf(made, language)


def test_a_statement_tells_the_time_by_the_members_own_clock(ctx: Context) -> None:
    with ctx.tx() as tx:
        let_in(tx)
    ride_all(ctx)
    close(ctx)

    told = [reports.statement(ctx, day_window(DAY), name) for name in ("lyon", "lyon-tcl", "hong-kong")]

    assert [one.at(one.ends_at) for one in told] == [
        "2026-11-17 21:00 Europe/Paris",
        "2026-11-17 21:00 Europe/Paris",
        "2026-11-17 20:00 UTC",
    ]


def test_a_window_of_before_figures_were_kept_is_read_from_the_ledger(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ride_all(ctx)
    close(ctx)
    kept = [reports.statement(ctx, day_window(DAY), member) for member in MEMBERS]

    def no_figures(_: object, __: str) -> list[clearing.Figure]:
        return []

    def no_blocks(_: object, __: str) -> dict[object, object]:
        return {}

    monkeypatch.setattr(clearing, "window_figures", no_figures)
    monkeypatch.setattr(clearing, "window_blocks", no_blocks)

    assert [reports.statement(ctx, day_window(DAY), member) for member in MEMBERS] == kept
    assert reports.write_statements(ctx, day_window(DAY), tmp_path / "day").items == 8
