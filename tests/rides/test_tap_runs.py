"""Taps in runs: whatever the order, the repeats and the way in, the books hold what a plain dictionary would."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hansa import rides
from hansa.apps.rooms import SQL_FOLDERS
from hansa.fares import JourneyId
from hansa.kernel import BUCKETS, Directory, FixedClock, fact_id
from hansa.rides import bulk, fresh_taps, store
from hansa.rides.clock_checks import check_clocks
from hansa.rides.columns import PlainBatch, read_columns, take_in
from hansa.rides.model import tap_digest
from hansa.rides.tap_runs_store import next_numbers, taps_by_number
from hansa.store import Context, Tx, migrate, open_context
from rides.riding import League, account_of
from rides.taken_in import written
from scratch import ScratchServer

BEIJING = "beijing-subway"
A, B = "beijing/xizhimen", "beijing/chegongzhuang"
EIGHT = datetime(2026, 11, 17, 0, 0, 3, 250_001, tzinfo=UTC)
EVENING = datetime(2026, 11, 17, 15, tzinfo=UTC)
GATES = (f"{A}/entry", f"{B}/exit", f"{B}/entry")
Known = dict[tuple[str, int], rides.Tap]


@pytest.fixture
def league(ctx: Context) -> League:
    return League(ctx, BEIJING)


def plain(taps: Sequence[rides.Tap]) -> PlainBatch:
    columns = read_columns(msgspec.json.encode({"taps": [written(tap) for tap in taps]}))
    assert columns is not None
    return PlainBatch(columns, None, None)


def a_tap(league: League, gate_id: str, sequence: int, dice: Random) -> rides.Tap:
    at = EIGHT + timedelta(minutes=sequence, microseconds=dice.choice((0, 1)))
    stop, action = gate_id.rsplit("/", 1)
    tap = league.tap(BEIJING, stop, action, at, league.rider(dice.randint(1, 3)))  # type: ignore[arg-type]
    return replace(
        tap, sequence=sequence, tap_id=fact_id(at, tap.gate_id, sequence), chain=dice.randbytes(32)
    )


def hand_in(league: League, known: Known, taps: list[rides.Tap], *, by_column: bool) -> None:
    """Hand some taps in and hold the answer against what is known; adds what is new to it."""
    new = {
        (tap.gate_id, tap.sequence): tap for tap in reversed(taps) if (tap.gate_id, tap.sequence) not in known
    }
    repeats = [tap for tap in taps if known.get((tap.gate_id, tap.sequence)) == tap]
    if by_column and take_in(league.ctx, [plain(taps)]) != [None]:
        assert len(new) == len(taps)
    else:
        receipt = rides.record_taps(league.ctx, None, taps)
        assert receipt.recorded == len(new)
        assert receipt.duplicates == len(repeats)
        assert {one.code for one in receipt.refused} <= {"rides.tap_conflict"}
        assert receipt.recorded + receipt.duplicates + len(receipt.refused) == len(taps)
    known.update(new)


def hold_equal(tx: Tx, known: Known) -> None:
    """The books hold these taps and no others, by whichever way they are asked for."""
    rows = tx.execute("select gate_id, sequence, tap_id, chain from rides.every_tap order by 1, 2").fetchall()
    assert rows == [(*number, tap.tap_id, tap.chain) for number, tap in sorted(known.items())]
    asked = [(gate_id, number) for gate_id in GATES for number in range(1, 45)]
    columns = [gate_id for gate_id, _ in asked], [number for _, number in asked]
    found = {(one.gate_id, one.sequence): one for one in taps_by_number(tx, *columns)}
    assert found.keys() == known.keys()
    for number, tap in known.items():
        kept = found[number]
        assert (kept.tap_id, kept.tapped_at, kept.cti, kept.counter, kept.kid, kept.made_at, kept.chain) == (
            *(tap.tap_id, tap.tapped_at, tap.cti, tap.counter, tap.kid, tap.made_at, tap.chain),
        )
        assert kept.digest == tap_digest(tap)
    assert store.find_digests(tx, asked) == {number: tap_digest(tap) for number, tap in known.items()}
    for (gate_id, number), near in zip(asked, next_numbers(tx, *columns), strict=True):
        own = sorted(taken for gate, taken in known if gate == gate_id)
        assert near == (
            max((one for one in own if one < number), default=None),
            min((one for one in own if one > number), default=None),
        ), (gate_id, number, own)
    for gate_id in GATES:
        last = max((number for number in known if number[0] == gate_id), default=None)
        expected = None if last is None else (last[1], known[last].chain)
        assert store.find_last_tap(tx, gate_id) == expected


@settings(max_examples=25, deadline=None, phases=[Phase.generate, Phase.explicit],
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(seed=st.integers(0, 1_000_000), partitions=st.integers(1, 3))
def test_random_orders_repeats_and_contradictions_leave_what_a_dictionary_holds(
    ctx: Context, seed: int, partitions: int
) -> None:
    ctx = replace(ctx, directory=Directory(2, tuple(bucket % partitions for bucket in range(BUCKETS))))
    dice, known = Random(seed), Known()
    with ctx.tx() as whole:
        league = League(ctx, BEIJING)
        made = {
            (gate, number): a_tap(league, gate, number, dice) for gate in GATES for number in range(1, 41)
        }
        for _ in range(12):
            start, gates = dice.randint(1, 36), dice.sample(GATES, dice.randint(1, 3))
            numbers = range(start, min(41, start + dice.randint(1, 8)))
            taps = [made[gate, one] for gate in gates for one in numbers if dice.random() < 0.9]
            if dice.random() < 0.2 and taps:
                taps[0] = replace(taps[0], chain=dice.randbytes(32))
            dice.shuffle(taps)
            if taps:
                hand_in(league, known, taps, by_column=dice.random() < 0.6)
            if dice.random() < 0.2:
                rides.rate(ctx)
        hold_equal(whole, known)
        for table in ("taps", "tap_numbers", "tap_runs", "tap_spans", "dirty_days", "journeys", "charges",
                      "rated_taps", "charge_runs"):  # fmt: skip
            whole.execute(f"delete from rides.{table}".encode())


def a_day(league: League, riders: int) -> list[rides.Tap]:
    return [
        tap
        for number in range(1, riders + 1)
        for tap in league.ride(BEIJING, A, B, EIGHT + timedelta(seconds=77 * number), league.rider(number))
    ]


def of_gate(taps: Sequence[rides.Tap]) -> list[rides.Tap]:
    return sorted(taps, key=lambda tap: (tap.gate_id, tap.sequence))


def rows_of_taps(ctx: Context) -> int:
    with ctx.tx() as tx:
        row = tx.execute("select count(*) from rides.taps").fetchone()
    assert row is not None
    return int(row[0])


def take_soon(league: League, taps: Sequence[rides.Tap]) -> list[int | None]:
    """Take taps in as they are made, and go on to the evening."""
    assert isinstance(league.ctx.clock, FixedClock)
    league.ctx.clock.at = max(tap.tapped_at for tap in taps) + timedelta(seconds=9)
    took = take_in(league.ctx, [plain(of_gate(taps))])
    league.ctx.clock.at = EVENING
    return took


def test_a_rated_day_stays_in_its_run_and_its_journeys_show_their_taps(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "FEW", 1)
    monkeypatch.setattr(fresh_taps, "PIECE", 3)
    taps = a_day(league, 9)
    assert take_soon(league, taps) == [18]

    rides.rate(league.ctx)

    assert rows_of_taps(league.ctx) == 0 and league.books("journeys") == 9 and league.books("dirty_days") == 0
    with league.ctx.tx() as tx:
        for first, last in zip(taps[::2], taps[1::2], strict=True):
            assert rides.journey(tx, JourneyId(first.tap_id)).taps == (first, last)
        assert rides.links_before(tx, taps[2:4]) == {
            taps[2].tap_id: taps[0].chain, taps[3].tap_id: taps[1].chain
        }  # fmt: skip
        flow = rides.flow(tx, date(2026, 11, 17))
        again = rides.rate_again(tx, BEIJING, date(2026, 11, 17), date(2026, 11, 17))
    assert [city.taps for city in flow.cities if city.operator_id == BEIJING] == [18] and again == 9
    before = league.charged(3)
    while rides.rate(league.ctx).days:
        pass
    assert league.charged(3) == before and rows_of_taps(league.ctx) == 18
    with league.ctx.tx() as tx:
        assert len(tx.execute("select from rides.every_tap").fetchall()) == 18


def test_a_late_tap_gives_rows_to_its_riders_day_alone(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "FEW", 1)
    taps = a_day(league, 5)
    take_soon(league, taps)
    rides.rate(league.ctx)
    more = league.ride(BEIJING, B, A, EIGHT + timedelta(hours=4), league.rider(2))

    assert take_soon(league, more) == [2]
    while rides.rate(league.ctx).days:
        pass

    assert len(league.charged(2)) == 2 and league.books("journeys") == 6
    with league.ctx.tx() as tx:
        accounts = tx.execute("select account_id, count(*) from rides.taps group by 1").fetchall()
    assert accounts == [(account_of(2), 4)]


def test_a_tariff_that_comes_after_the_taps_finds_days_in_runs(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "FEW", 1)
    take_soon(league, a_day(league, 4))
    rides.rate(league.ctx)
    with league.ctx.tx() as tx:
        store.mark_days_of_operator(tx, rides.get_tariff(tx, BEIJING, date(2026, 11, 17)))

    assert league.books("dirty_days") == 4


def test_a_wrong_clock_in_a_run_is_found_and_its_taps_become_rows(
    committed_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "FEW", 1)
    league = League(committed_ctx, BEIJING)
    taps = a_day(league, 6)
    wrong = taps[4]
    at = wrong.tapped_at - timedelta(days=30)
    taps[4] = replace(wrong, tapped_at=at, tap_id=fact_id(at, wrong.gate_id, wrong.sequence))
    assert take_soon(league, taps) == [12]

    assert check_clocks(league.ctx).corrected == 1
    while rides.rate(league.ctx).days:
        pass

    assert len(league.charged(3)) == 1, "its entry counts on the day on which it was made"
    with league.ctx.tx() as tx:
        seen, mark = list[UUID](), None
        while True:
            found, mark = rides.watch_taps(tx, mark, 5)
            if not found:
                break
            seen += [one.tap_id for one in found]
    assert sorted(seen) == sorted(tap.tap_id for tap in taps) and len(seen) == 12


def test_two_ways_at_once_take_each_number_once(committed_ctx: Context) -> None:
    league = League(committed_ctx, BEIJING)
    taps = of_gate(a_day(league, 40))
    league.ctx.clock.at = EVENING  # type: ignore[misc]
    batches = [taps[n : n + 10] for n in range(0, len(taps), 10)] * 2
    Random(3).shuffle(batches)

    def one(n: int) -> int:
        if n % 2:
            return (
                take_in(league.ctx, [plain(batches[n])])[0]
                or rides.record_taps(league.ctx, None, batches[n]).recorded
            )
        return rides.record_taps(league.ctx, None, batches[n]).recorded

    with ThreadPoolExecutor(4) as pool:
        recorded = sum(pool.map(one, range(len(batches))))

    assert recorded == len(taps)
    with league.ctx.tx() as tx:
        rows = tx.execute("select gate_id, sequence from rides.every_tap order by 1, 2").fetchall()
    assert rows == [(tap.gate_id, tap.sequence) for tap in taps]


def test_a_database_of_before_keeps_its_numbers(
    league: League, scratch_server: ScratchServer, tmp_path: Path
) -> None:
    taps = of_gate(a_day(league, 3))
    name = f"{scratch_server.prefix}_before_runs"
    scratch_server.make(name, template="template0")
    try:
        url = scratch_server.url_of(name)
        old = tmp_path / "rides" / "sql"
        old.mkdir(parents=True)
        for file in SQL_FOLDERS["rides"].glob("*.sql"):
            if int(file.name[:4]) < 10:
                shutil.copy(file, old)
        folders = [old if room == "rides" else folder for room, folder in SQL_FOLDERS.items()]
        migrate(url, folders)
        with open_context(url, clock=FixedClock(EVENING)) as ctx:
            with ctx.tx() as tx:
                for tap in taps[:2]:
                    tx.execute(ROW, row_of(tap))
                    tx.execute(NUMBER, (tap.gate_id, tap.sequence, tap_digest(tap), tap.tap_id))

            migrate(url, list(SQL_FOLDERS.values()))

            a_day(League(ctx, BEIJING), 3)
            assert rides.record_taps(ctx, None, taps[:2]) == rides.TapReceipt(0, 2, ())
            changed = replace(taps[0], chain=b"\1" * 32)
            assert rides.record_taps(ctx, None, [changed]).refused[0].code == "rides.tap_conflict"
            assert take_in(ctx, [plain(taps[1:])]) == [None], "its second is known"
            assert take_in(ctx, [plain(taps[2:])]) == [4]
            with ctx.tx() as tx:
                hold = tx.execute("select tap_id from rides.every_tap order by gate_id, sequence").fetchall()
            assert hold == [(tap.tap_id,) for tap in taps]
    finally:
        scratch_server.drop(name)


ROW = """
insert into rides.taps (partition, tap_id, account_id, operator_id, gate_id, sequence, action, stop_id, line_id,
    product, tapped_at, cti, counter, kid, made_at, list_version, chain, received_at)
values (0, %s, %s, 'beijing-subway', %s, %s, %s, %s, null, 'metro', %s, %s, %s, %s, %s, %s, %s, %s)
"""

NUMBER = (
    "insert into rides.tap_numbers (gate_id, sequence, digest, partition, tap_id) values (%s, %s, %s, 0, %s)"
)


def row_of(tap: rides.Tap) -> tuple[Any, ...]:
    return (
        *(
            tap.tap_id,
            account_of(1),
            tap.gate_id,
            tap.sequence,
            tap.action,
            tap.stop_id,
            tap.tapped_at,
            tap.cti,
        ),
        *(tap.counter, tap.kid, tap.made_at, tap.list_version, tap.chain, tap.tapped_at),
    )
