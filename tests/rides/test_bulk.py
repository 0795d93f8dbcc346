"""Days rated and charges posted by the column leave the very books that the plain way leaves."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import Rollback

from hansa import ledger, payments, rides
from hansa.identity import AccountId
from hansa.kernel import FixedClock, Money, fact_id
from hansa.rides import RIDER_CLASSES, Tap, actions, bulk, bulk_post, bulk_store, rating
from hansa.rides.columns import PlainBatch, read_columns, take_in
from hansa.store import Context, Tx
from rides.riding import League, account_of, local, network_of, tariff_of
from rides.taken_in import written

OPERATORS = ("beijing-subway", "hong-kong-mtr", "london-tfl", "toronto-ttc")
CURRENCIES = ("CNY", "HKD", "GBP", "CAD")
RIDERS = 14
FIRST = date(2026, 11, 16)
FIRST_AT = datetime(2026, 11, 16, tzinfo=UTC)
EVENING = datetime(2026, 11, 19, 12, tzinfo=UTC)
SEEDS = st.integers(0, 1_000_000)
ANEW = [HealthCheck.function_scoped_fixture]


@pytest.fixture
def league(ctx: Context) -> League:
    return league_in(ctx)


def league_in(ctx: Context) -> League:
    clock_of(ctx).at = datetime(2026, 11, 15, 12, tzinfo=UTC)
    league = League(ctx, *OPERATORS)
    for number in range(RIDERS):
        currency, city = CURRENCIES[number % 4], ("beijing", "hong-kong", "london", "toronto")[number % 4]
        issuer, rider_class = f"{city}-card", RIDER_CLASSES[number % 9 % 4]
        league.open_money(number, (0, 900, 100_000)[number % 3], issuer=issuer, currency=currency)
        for token in (0, 1):
            league.rider(number, rider_class=rider_class, issuer=issuer, currency=currency, token=token)
    with ctx.tx() as tx:
        for day in range(4):
            pairs = [(CURRENCIES[one], CURRENCIES[two]) for one in range(4) for two in range(one)]
            payments.set_rates(tx, FIRST + timedelta(days=day), [(*pair, 3) for pair in pairs])  # type: ignore[misc]
    return league


def clock_of(ctx: Context) -> FixedClock:
    assert isinstance(ctx.clock, FixedClock)
    return ctx.clock


def random_taps(league: League, seed: int) -> list[Tap]:
    """Two days of rides: most whole, some with a tap missing, late at night, with a companion, on two phones."""
    dice, taps = Random(seed), list[Tap]()
    for number in range(RIDERS):
        own = OPERATORS[number % 4]
        for operator in sorted({own, dice.choice(OPERATORS) if number % 3 == 0 else own}):
            tariff, stops = tariff_of(operator), sorted(network_of(operator).stops)[:: 1 + seed % 5][:12]
            lines = sorted(network_of(operator).lines)
            for day in (FIRST, FIRST + timedelta(days=1)):
                at = local(tariff, dice.choice(["05:40", "08:15", "17:30", "23:20"]), day)
                for _ in range(dice.choice([1, 2, 2, 3, 6])):
                    token = 0 if dice.random() < 0.9 else 1
                    cti = league_cti(number, token)
                    if operator == "toronto-ttc":
                        taps.append(league.tap(operator, dice.choice(lines), "board", at, cti))
                    else:
                        ends, minutes = dice.sample(stops, 2), dice.randint(3, 70)
                        ride = league.ride(
                            operator, ends[0], ends[1], at, cti, minutes=minutes, companion=_companion(dice)
                        )
                        taps += ride if dice.random() < 0.95 else [dice.choice(ride)]
                    at += timedelta(minutes=dice.choice([75, 90, 200]), microseconds=dice.randint(1, 999_999))
    return taps


def league_cti(number: int, token: int) -> bytes:
    return fact_id(None, "cti", number, token).bytes[:8]


def _companion(dice: Random) -> int:
    return 1 if dice.random() < 0.03 else 0


@dataclass(frozen=True)
class Books:
    """All that rating and posting leave."""

    journeys: list[Any]
    charges: list[Any]
    subsidies: list[Any]
    dirty: list[Any]
    moved: list[Any]
    owed: list[Any]
    balances: list[Any]


READ = {
    "journeys": "select to_jsonb(t) - 'rated_at' - 'steps_text' || jsonb_build_object("
    "'steps', coalesce(steps, steps_text::jsonb)) from rides.journeys t order by journey_id",
    "subsidies": "select to_jsonb(t) from rides.subsidies t order by journey_id",
    "dirty": "select to_jsonb(t) from rides.dirty_days t order by account_id, operator_id, service_day",
    "owed": "select to_jsonb(t) from payments.debts t order by account_id, issuer_id, currency",
}


def books_after(
    league: League,
    parts: Sequence[Sequence[Tap]],
    rate: Callable[[Context], object],
    post: Callable[[Context], object],
    take: Callable[[Context, Sequence[Tap]], object],
) -> Books:
    """The books after these taps came in, part by part, with rating and posting behind each; nothing of it stays."""
    ctx = league.ctx
    books: Books | None = None
    with ctx.tx() as whole:
        for number, part in enumerate(parts):
            for some in by_the_hour(part) if number == 0 else [part]:
                clock_of(ctx).at = EVENING + timedelta(hours=number)
                if number == 0:
                    clock_of(ctx).at = max(tap.tapped_at for tap in some) + timedelta(minutes=1)
                take(ctx, some)
            clock_of(ctx).at = EVENING + timedelta(hours=number)
            for _ in range(4):
                rate(ctx)
            post(ctx)
        read = {name: [row[0] for row in whole.execute(query.encode())] for name, query in READ.items()}
        positions = [
            whole.execute("select to_jsonb(t) from ledger.accounts t order by account_id").fetchall()
        ]
        books = Books(**read, **told_of(whole), balances=positions)
        raise Rollback
    assert books is not None
    return books


def told_of(tx: Tx) -> dict[str, list[Any]]:
    """What the doors tell of charges: journey by journey, and on the page of each wallet."""
    ids = [row[0] for row in tx.execute("select journey_id from rides.journeys order by journey_id")]
    charges = rides.charges_of(tx, ids)
    moved = [payments.movements(tx, AccountId(account_of(number)), 1_000) for number in range(RIDERS)]
    return {
        "charges": [
            (one, [replace(charge, made_at=FIRST_AT, posted_at=None) for charge in charges[one]])
            for one in ids
            if one in charges
        ],
        "moved": [told_alike(lines) for lines in moved] + [sorted(rides.posted_total(tx).items())],
    }


def told_alike(lines: Sequence[payments.Movement]) -> list[payments.Movement]:
    """Lines in one order, whatever tells them; of those at one instant each holds what the wallet held after all."""
    after: dict[tuple[datetime, str], Money] = {}
    for line in lines:  # the newest first
        after.setdefault((line.at, line.amount.currency), line.balance)
    return [
        replace(line, movement_id=line.reference, balance=after[line.at, line.amount.currency])
        for line in sorted(lines, key=what)
    ]


def what(line: payments.Movement) -> tuple[Any, ...]:
    """By which lines stand in one order, whatever tells them: a plain fare is known by its transfer."""
    return line.at, line.reference, line.amount.currency, line.price.minor


def by_the_hour(taps: Sequence[Tap]) -> list[list[Tap]]:
    """Taps as gates hand them in, soon after they are made."""
    hours: dict[datetime, list[Tap]] = {}
    for tap in sorted(taps, key=lambda tap: tap.tapped_at):
        hours.setdefault(tap.tapped_at.replace(minute=0, second=0, microsecond=0), []).append(tap)
    return list(hours.values())


def hold_equal(one: Books, other: Books) -> None:
    for name in ("journeys", "charges", "subsidies", "dirty", "moved", "owed", "balances"):
        assert getattr(one, name) == getattr(other, name), name


def plainly(league: League, parts: Sequence[Sequence[Tap]]) -> Books:
    return books_after(league, parts, rating.rate, actions.post_charges, one_by_one)


def by_column(league: League, parts: Sequence[Sequence[Tap]]) -> Books:
    return books_after(league, parts, bulk.rate, bulk_post.post_charges, take_in_runs)


def one_by_one(ctx: Context, taps: Sequence[Tap]) -> None:
    receipt = rides.record_taps(ctx, None, taps)
    assert not receipt.refused, receipt


def take_in_runs(ctx: Context, taps: Sequence[Tap]) -> None:
    """As gateways hand in: by the column, and tap by tap what is behind its gate's last number."""
    columns = read_columns(msgspec.json.encode({"taps": [written(tap) for tap in taps]}))
    assert columns is not None
    if take_in(ctx, [PlainBatch(columns, None, None)]) == [None]:
        one_by_one(ctx, taps)


@settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=ANEW)
@given(seed=SEEDS)
def test_the_books_come_out_the_same(league: League, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(bulk, "FEW", 1)
    league.sequences.clear()
    taps, runs = random_taps(league, seed), list[int]()
    add_run = bulk_store.add_run

    def counted(*given: Any) -> None:
        runs.append(given[5])
        add_run(*given)

    monkeypatch.setattr(bulk_store, "add_run", counted)

    hold_equal(by_column(league, [taps]), plainly(league, [taps]))
    assert runs, "plain days of riders at home are there"


@settings(max_examples=3, deadline=None, phases=[Phase.generate], suppress_health_check=ANEW)
@given(seed=SEEDS)
def test_so_they_do_with_late_taps_in_between(
    league: League, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(bulk, "FEW", 1)
    league.sequences.clear()
    taps, dice = random_taps(league, seed), Random(seed)
    dice.shuffle(taps)
    cuts = [len(taps) * 8 // 10, len(taps) * 9 // 10]
    parts = [taps[: cuts[0]], taps[cuts[0] : cuts[1]], taps[cuts[1] :]]

    hold_equal(by_column(league, parts), plainly(league, parts))


@pytest.mark.slow
def test_a_kill_anywhere_loses_and_doubles_nothing(committed_ctx: Context) -> None:
    league, dice = league_in(committed_ctx), Random(3)
    taps = random_taps(league, 11)
    for some in by_the_hour(taps):
        clock_of(committed_ctx).at = max(tap.tapped_at for tap in some) + timedelta(minutes=1)
        rides.record_taps(committed_ctx, None, some)
    worker = [sys.executable, str(Path(__file__).with_name("dying_bulk.py")), committed_ctx.url]

    for _ in range(12):
        process = subprocess.Popen(worker, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(dice.random() * 0.12)
        process.kill()
        process.wait()
    clock_of(committed_ctx).at = EVENING
    while bulk.rate(committed_ctx).days:
        pass
    while bulk_post.post_charges(committed_ctx).charges:
        pass

    with committed_ctx.tx() as tx:
        fares = tx.execute(
            "select sum(fare_minor), count(*) filter (where fare_minor > 0) from rides.journeys"
        ).fetchone()
        ids = [row[0] for row in tx.execute("select journey_id from rides.journeys").fetchall()]
        charges = [one for of_journey in rides.charges_of(tx, ids).values() for one in of_journey]
        total = rides.posted_total(tx)
        runs = tx.execute("select count(*) from rides.charge_runs").fetchone()
        moved = tx.execute(
            "select coalesce(sum(amount), 0) from ledger.transfers where code in (%s, %s)",
            (int(ledger.TransferCode.FARE), int(ledger.TransferCode.FARE_CORRECTION)),
        ).fetchone()
    assert fares is not None and runs is not None and moved is not None
    first = [one.amount.minor for one in charges if one.revision == 0]
    assert all(one.status == "posted" for one in charges)
    assert ((sum(first), len(first)), runs[0]) == (fares, 0)
    assert moved[0] == sum(abs(one.amount.minor) for one in charges)
    assert sum(total.values()) == sum(one.amount.minor for one in charges)
