"""Item files: every item of a day, once for each side, in bounded memory and adding up to the statement."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from clearing.example_day import (
    AT,
    DAY,
    RIDES,
    charge_of,
    journey_of,
    open_league,
    ride_all,
    rider,
    set_clock,
    top_up,
)
from hansa import clearing, ledger, payments, reports
from hansa.clearing import day_window
from hansa.kernel import BUCKETS, Directory, InvalidInput
from hansa.reports import items, writing
from hansa.store import Context, Tx
from reports.test_statements import MEMBERS, close, ride

WINDOW = day_window(DAY)


def read(folder: Path, member: str) -> list[dict[str, object]]:
    return pq.read_table(folder / f"{member}.items.parquet").to_pylist()


def test_each_item_stands_on_both_sides_and_adds_up(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    close(ctx)

    written = reports.write_statements(ctx, WINDOW, tmp_path / "day")

    assert (written.members, written.items, written.lines) == (4, len(RIDES), 2 * len(RIDES))
    sums: Counter[tuple[str, object]] = Counter()
    for member in ("beijing", "hangzhou", "hong-kong"):
        mine = read(tmp_path / "day", member)
        assert [row["block"] for row in mine] == sorted(row["block"] for row in mine)  # type: ignore[type-var]
        for row in mine:
            sums[member, row["currency"]] += row["amount_minor"]  # type: ignore[operator]
        made = reports.statement(ctx, day_window(DAY), member)
        for one in made.currencies:
            parts = (reports.Section.ITEMS, reports.Section.ADJUSTMENTS)
            assert sums[member, one.currency] == sum(one.sum_of(part) for part in parts)
    told = {
        (row["issuer_id"], row["operator_id"], row["amount_minor"], row["kind"], row["reference"])
        for row in read(tmp_path / "day", "hangzhou")
        if row["role"] == "issuer"
    }
    assert told == {
        (
            one.issuer_id,
            one.operator_id,
            -one.minor,
            "fare" if one.minor > 0 else "correction",
            str(journey_of(one)),
        )
        for one in RIDES
        if one.issuer_id == "hangzhou-card"
    }


def test_the_files_of_a_day_are_the_statements_asked_for_one_by_one(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    close(ctx)

    reports.write_statements(ctx, WINDOW, tmp_path / "day", languages=("en", "zh"))

    for member in MEMBERS:
        made = reports.statement(ctx, day_window(DAY), member)
        head = tmp_path / "day" / member
        assert head.with_suffix(".statement.csv").read_bytes() == reports.statement_csv(made)
        assert head.with_suffix(".statement.en.pdf").read_bytes() == reports.statement_pdf(made, "en")
        assert head.with_suffix(".statement.zh.pdf").read_bytes() == reports.statement_pdf(made, "zh")


def test_csv_of_items_says_what_parquet_says(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    close(ctx)

    reports.write_statements(ctx, WINDOW, tmp_path / "csv", item_form="csv", members=["beijing"])
    reports.write_statements(ctx, WINDOW, tmp_path / "parquet", members=["beijing"])

    with (tmp_path / "csv" / "beijing.items.csv").open(newline="", encoding="utf-8") as file:
        text = file.read()
    told = list(csv.DictReader(text.splitlines()))
    kept = read(tmp_path / "parquet", "beijing")
    assert text.count("\r\n") == text.count("\n") == len(kept) + 1
    for one, other in zip(told, kept, strict=True):
        for name in ("transfer_id", "role", "kind", "amount_minor", "reference", "block", "position"):
            assert one[name] == str(other[name])
    assert not (tmp_path / "csv" / "hangzhou.items.csv").exists()


def test_a_window_in_which_nothing_was_cleared_has_nothing_to_hand_out(ctx: Context, tmp_path: Path) -> None:
    open_league(ctx)
    top_up(ctx)
    close(ctx)

    written = reports.write_statements(ctx, WINDOW, tmp_path / "day", item_form="parquet")

    assert (written.members, written.items, written.lines) == (0, 0, 0)
    assert not list((tmp_path / "day").glob("*.items.*"))


def test_what_waits_is_bounded(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ride_all(ctx)
    ride(ctx, list(range(200, 240)), [("beijing-card", "hangzhou-metro", 100 + n) for n in range(40)])
    close(ctx)
    reports.write_statements(ctx, WINDOW, tmp_path / "at-once")
    monkeypatch.setattr(items, "WAITING_MAX", 7)

    reports.write_statements(ctx, WINDOW, tmp_path / "bit-by-bit")

    for member in ("beijing", "hangzhou", "hong-kong"):
        assert read(tmp_path / "bit-by-bit", member) == read(tmp_path / "at-once", member)


def test_the_journal_by_the_column_is_the_journal(ctx: Context) -> None:
    ride_all(ctx)
    close(ctx)
    with ctx.tx() as tx:
        head, _ = ledger.block_head(tx)
        at_once = [row for rows in ledger.read_columns(tx, after_block=0, to_block=head) for row in rows]
        in_parts = [
            row for rows in ledger.read_columns(tx, after_block=0, to_block=head, chunk=1) for row in rows
        ]
        booked = [
            one.transfer for number in range(1, head + 1) for one in ledger.block_transfers(tx, 0, number)
        ]

    assert at_once == in_parts
    assert [
        (UUID(bytes=bytes(row["transfer_id"]).ljust(16, b"\0")), int(row["amount"]), int(row["code"]))
        for row in at_once
    ] == [(one.transfer_id, one.amount, one.code) for one in booked]


def test_partitions_come_together(ctx: Context, tmp_path: Path) -> None:
    spread = replace(ctx, directory=Directory(1, tuple(bucket % 3 for bucket in range(BUCKETS))))
    place = {one.number: spread.directory.partition_of(rider(one.rider)) for one in RIDES}
    open_league(spread)
    top_up(spread)
    payments.charge(
        spread,
        [
            replace(
                charge_of(one),
                payee=clearing.position_account(
                    one.issuer_id, one.operator_id, charge_of(one).amount.currency, place[one.number]
                ),
            )
            for one in RIDES
        ],
    )
    close(spread)

    written = reports.write_statements(spread, WINDOW, tmp_path / "day")

    assert written.items == len(RIDES) and len(set(place.values())) > 1
    told = [
        (member, one.currency, one.net)
        for member in MEMBERS
        for one in reports.statement(spread, day_window(DAY), member).currencies
    ]
    with ctx.tx() as tx:
        assert sorted(told) == sorted(
            (str(one.member_id), one.currency, one.net) for one in clearing.net_positions(tx, DAY)
        )


def test_a_folder_that_is_there_is_left_alone(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    close(ctx)
    (tmp_path / "kept.txt").write_text("mine")

    with pytest.raises(InvalidInput, match="folder of their own"):
        reports.write_statements(ctx, WINDOW, tmp_path)

    assert [one.name for one in tmp_path.iterdir()] == ["kept.txt"]


def test_figures_that_differ_leave_no_folder(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ride_all(ctx)
    close(ctx)
    with ctx.tx() as tx:
        positions = clearing.positions(tx, DAY)
    wrong = [replace(positions[0], gross=positions[0].gross + 1), *positions[1:]]

    def told_wrongly(_: Tx, __: str) -> list[clearing.Position]:
        return wrong

    monkeypatch.setattr(writing.clearing, "window_positions", told_wrongly)

    with pytest.raises(reports.FiguresDiffer):
        reports.write_statements(ctx, WINDOW, tmp_path / "day")

    assert list(tmp_path.iterdir()) == []


def test_who_clears_as_another_has_no_file(ctx: Context, tmp_path: Path) -> None:
    ride_all(ctx)
    close(ctx)

    with pytest.raises(InvalidInput, match="have a statement"):
        reports.write_statements(ctx, WINDOW, tmp_path / "day", members=["beijing-card"])

    assert list(tmp_path.iterdir()) == []


HOURLY = """
model_id = "hourly"
name = "Hong Kong, on the hour"
tz = "Asia/Shanghai"
timing = "deferred"
cut_offs = ["21:00", "22:00"]
closes = "person"

[[takes]]
currency = "HKD"
"""


def test_a_models_window_takes_its_own_items_and_has_balances_of_its_own(
    ctx: Context, tmp_path: Path
) -> None:
    open_league(ctx)
    clearing.propose_model(ctx, HOURLY, in_force_from=DAY, by="league:anna", why="Hong Kong asked for it")
    clearing.decide_model(ctx, "hourly", 1, "approved", by="league:ben", why="looked at it")
    top_up(ctx)
    payments.charge(ctx, [charge_of(one) for one in RIDES])
    set_clock(ctx, AT.replace(hour=13, minute=1))
    hourly = clearing.close_window(ctx, "hourly").window_id
    close(ctx)

    written = {
        window: reports.write_statements(ctx, window, tmp_path / window) for window in (hourly, WINDOW)
    }

    assert {window: one.items for window, one in written.items()} == {hourly: 2, WINDOW: 6}
    made = {window: reports.statement(ctx, window, "hong-kong") for window in (hourly, WINDOW)}
    assert [(one.currency, one.opening, one.closing) for one in made[hourly].currencies] == [
        ("HKD", 0, 3_103)
    ]
    assert [(one.currency, one.opening, one.closing) for one in made[WINDOW].currencies] == [("CNY", 0, -593)]
