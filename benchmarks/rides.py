"""Rides per second: taps to journeys to priced charges to postings, durable; pricing alone; one fare question.

    python benchmarks/rides.py [--short] [--rides N] [--only pricing|growth|path]

``end_to_end``: taps of four cities (a table of pairs, distance bands with monthly tiers, zones with daily and weekly
caps, flat with transfers) are taken in, paired, priced, charged and posted, wave by wave, by two processes, each with a
partition of the ledger and gates of its own. Synchronous commit and fsync are on. A wave is a day of some riders. The
first waves go stage by stage, which tells what each costs; from then on a wave's taps are taken in beside the rating
and posting of the wave before, as gates, rater and ledger work side by side in a city. Making the taps is not counted,
reading them from JSON is not in it (``gate.py``), nor is cryptography. Its baseline is ``copy_of_the_same_rows``: what
the first wave left in runs of taps, journeys, charges (of rides and of payments) and the ledger's journal goes into
tables of the same columns and indexes by binary COPY over two connections. At the end fares, charges and positions
must agree, and the ledger be even. ``cpu_us``: processor time a ride of both processes and all of PostgreSQL's.

``pricing``: fares by the column in one process, kinds of ride that come for the first time included; its baseline is
``Pricer.price_day`` on some of the same rides, with every fare and step equal. ``growth``: what a ride costs as riders,
rides of each and rules grow. ``question_p95_ms``: ``rides.ask``
through the database. ``memory_mb``: the largest resident size of the two processes together.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from _rides_town import (
    FIRST_DAY,
    OPERATORS,
    Riders,
    Tapping,
    build,
    days_of,
    network_of,
    opened,
    riders_of,
    settle,
    stops_of,
    tariff_of,
)
from hansa import ledger, rides
from hansa.apps.engines import collect_rarely
from hansa.apps.rooms import migrate_all
from hansa.fares import Counters, Pricer, Tariff, TariffSource, read_source
from hansa.fares.columnar import Columnar, RideColumns, columnar_for
from hansa.kernel import FixedClock
from hansa.rides import bulk, bulk_post
from hansa.rides.columns import take_in
from hansa.store import EmbeddedServer
from hansa.store.copying import instant_of

WAVE = 50_000
"""Riders of a wave in each process."""

STAGES = ("taken in", "rated", "posted")

STAGED = 2
"""So many waves go stage by stage."""

BESIDE = "beside"
"""A wave is taken in beside the rating and posting of the one before."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a hundred thousand rides: a minute")
    parser.add_argument("--rides", type=int, default=0, help="about how many rides (5,000,000)")
    parser.add_argument("--only", choices=("pricing", "growth", "path"), help="one part alone")
    given = parser.parse_args()
    count = given.rides or (100_000 if given.short else 5_000_000)
    figures: dict[str, Any] = {}
    if given.only in (None, "pricing"):
        figures["pricing"] = pricing(150_000 if given.short else 1_250_000)
    if given.only in (None, "growth"):
        figures["growth"] = growth(short=given.short)
    if given.only in (None, "path"):
        figures |= path(count)
    print(json.dumps(figures))


# -- the whole path -------------------------------------------------------------------------------------------


def path(count: int) -> dict[str, Any]:
    """Everything from taps to postings, and single questions."""
    days = 2 if count > 500_000 else 1
    riders = round(count / 2.5 / days / 2)
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedServer(Path(folder) / "home") as server:
            migrate_all(server.url)
            with opened(server.url) as ctx:
                build(ctx)
                answered = questions(ctx, 400 if count < 500_000 else 2_000)
            return _path(server, riders, days) | answered


def _path(server: EmbeddedServer, riders: int, days: int) -> dict[str, Any]:
    """riders: of each process."""
    url = server.url
    spawn = get_context("spawn")
    pipes: list[Any] = []
    for partition in (0, 1):
        here, there = spawn.Pipe()
        spawn.Process(target=work, args=(url, partition, riders, there), daemon=True).start()
        pipes.append(here)
    began = time.perf_counter()
    _together(pipes, "settle")
    print(f"{2 * riders:,} riders settled in {time.perf_counter() - began:.0f} s")
    spent, own_cpu, server_cpu = (defaultdict[str, float](float) for _ in range(3))
    done, staged, copied = 0, 0, 0.0

    def timed(name: str) -> float:
        before, served = sum(_together(pipes, "cpu")[0]), cpu_of_server(url)
        _, took = _together(pipes, name)
        spent[name] += took
        own_cpu[name] += sum(_together(pipes, "cpu")[0]) - before
        server_cpu[name] += cpu_of_server(url) - served
        return took

    waves = [start for _ in range(days) for start in range(0, riders, WAVE)]
    for wave, start in enumerate(waves):
        count = sum(_together(pipes, "make", wave, start)[0])
        done += count
        if wave < STAGED:
            staged += count
            taken = {name: timed(name) for name in STAGES}
            said = ", ".join(f"{name} {count / taken[name]:,.0f}/s" for name in STAGES)
            print(f"wave of {count:,} rides: {count / sum(taken.values()):,.0f}/s ({said})", flush=True)
        else:
            took = timed(BESIDE)
            print(f"wave of {count:,} rides beside the one before: {count / took:,.0f}/s", flush=True)
        if not copied:
            copied = count / copy_again(url)
            print(f"the same rows by COPY: {copied:,.0f} rides/s", flush=True)
    if len(waves) > STAGED:
        _together(pipes, "none")
        timed(BESIDE)
    memory = sum(_together(pipes, "memory")[0])
    _together(pipes, "end")
    check(url, done)
    rate = done / sum(spent.values())
    for name in (*STAGES, BESIDE) if done > staged else STAGES:
        rides_of = staged if name in STAGES else done - staged
        print(
            f"{name:<16}{rides_of / spent[name]:>10,.0f} rides/s;"
            f" processor time a ride {own_cpu[name] / rides_of * 1e6:.1f} us, of PostgreSQL"
            f" {server_cpu[name] / rides_of * 1e6:.1f}"
        )
    cpu_us = (sum(own_cpu.values()) + sum(server_cpu.values())) / done * 1e6
    print(f"processor time a ride, all told: {cpu_us:.1f} us")
    print(f"end to end {rate:>11,.0f} rides/s over {done:,} rides; COPY of the same rows {copied:,.0f}")
    return {
        "end_to_end": {
            "value": round(rate),
            "unit": "rides/s",
            "baseline": "copy_of_the_same_rows",
            "ratio": round(rate / copied, 3),
            "rides": done,
        },
        "memory_mb": {"value": round(memory), "unit": "MB"},
        "cpu_us": {"value": round(cpu_us, 1), "unit": "us"},
    }


def cpu_of_server(url: str) -> float:
    """Seconds of processor time that all processes of the server have used so far, also those that ended."""
    with psycopg.connect(url) as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        postmaster = _times(row[0])[0]
        ticks = sum(_times(postmaster)[1:])
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parent, own, gone = _times(int(folder.name))
                except OSError:
                    continue
                ticks += own + gone if parent == postmaster else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _times(pid: int) -> tuple[int, int, int]:
    """A process's parent, its ticks of processor time, and those of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def _together(pipes: list[Any], *what: Any) -> tuple[list[Any], float]:
    """Have all processes do something at once; what each says, and how long it took."""
    began = time.perf_counter()
    for pipe in pipes:
        pipe.send(what)
    answers = [pipe.recv() for pipe in pipes]
    for one in answers:
        if isinstance(one, Exception):
            raise one
    return answers, time.perf_counter() - began


def work(url: str, partition: int, count: int, pipe: Any) -> None:
    """One process: a partition's riders, gates, rating and ledger."""
    collect_rarely()
    with opened(url) as ctx, opened(url) as gateway, ledger.Engine(ctx, partition):
        clock, gates = ctx.clock, gateway.clock
        assert isinstance(clock, FixedClock)
        assert isinstance(gates, FixedClock)
        riders: Riders = riders_of(partition, count)
        tapping = Tapping(partition)
        waiting: list[Any] = []
        due_at = coming_at = clock.now()

        def take(batches: list[Any]) -> None:
            for some in batches:
                gates.at = instant_of(int(some[-1].taps.tapped_us[-1])) + timedelta(minutes=1)
                assert all(take_in(gateway, some)), "a batch was not plain"

        def rate(at: datetime) -> None:
            clock.at = at
            bulk.rate_partition(ctx, partition, 100_000_000)

        def post() -> None:
            bulk_post.post_runs(ctx, partition, 100_000_000)
            if partition == 0:
                rides.post_charges(ctx, 100_000_000)
            engine = ledger.find_engine(ctx, partition)
            assert engine is not None
            engine.settle()

        while True:
            what, *more = pipe.recv()
            answer: Any = None
            try:
                if what == "settle":
                    settle(ctx, riders)
                elif what == "make":
                    day, start = more
                    some = slice(start, min(start + WAVE, count))
                    waiting, answer, last_us = tapping.batches(
                        riders, some, FIRST_DAY + timedelta(days=day), 1_000 * day + start + partition
                    )
                    coming_at = instant_of(last_us) + timedelta(hours=2)
                elif what == "none":
                    waiting = []
                elif what == "taken in":
                    take(waiting)
                    due_at = coming_at
                elif what == "rated":
                    rate(due_at)
                elif what == "posted":
                    post()
                elif what == BESIDE:
                    with ThreadPoolExecutor(1) as beside:
                        taking = beside.submit(take, waiting)
                        rate(due_at)
                        post()
                        taking.result()
                    due_at = coming_at
                elif what == "cpu":
                    answer = time.process_time()
                elif what == "memory":
                    answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            except Exception as error:
                answer = error
            pipe.send(answer)
            if what == "end":
                return


TABLES = (
    "rides.tap_runs", "rides.rated_taps", "rides.journeys", "rides.charges", "payments.charges", "ledger.transfers",
)  # fmt: skip


def copy_again(url: str) -> float:
    """Seconds in which all rows that are there so far go into empty tables of the same columns and indexes."""
    from threading import Thread

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema bare")
        parts: list[list[tuple[str, bytes]]] = [[], []]
        for table in TABLES:
            name = table.replace(".", "_")
            connection.execute(f"create table bare.{name} (like {table} including all)".encode())
            for partition in (0, 1):
                with connection.cursor().copy(
                    f"copy (select * from {table} where partition = {partition}) to stdout (format binary)".encode()
                ) as copy:
                    parts[partition].append((name, b"".join(bytes(one) for one in copy)))

        def load(rows: list[tuple[str, bytes]]) -> None:
            with psycopg.connect(url) as own:
                for name, data in rows:
                    with own.cursor().copy(f"copy bare.{name} from stdin (format binary)".encode()) as copy:
                        for start in range(0, len(data), 1 << 20):
                            copy.write(data[start : start + (1 << 20)])
                    own.commit()

        threads = [Thread(target=load, args=(rows,)) for rows in parts]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        connection.execute("drop schema bare cascade")
        return took


def check(url: str, done: int) -> None:
    """The books agree: every ride is a priced journey, every fare a posted charge, and the ledger is even."""
    with opened(url) as ctx, ctx.tx() as tx:
        row = tx.execute(
            "select count(*), count(*) filter (where status <> 'priced'), sum(fare_minor) from rides.journeys"
        ).fetchone()
        assert row is not None
        assert row[:2] == (done, 0), row
        fares = dict(
            tx.execute("select currency, sum(fare_minor) from rides.journeys group by currency").fetchall()
        )
        posted = rides.posted_total(tx)
        assert posted == {unit: int(minor) for unit, minor in fares.items() if minor}, (posted, fares)
        open_ = tx.execute("select count(*) from rides.charges where status <> 'posted'").fetchone()
        runs = tx.execute("select count(*) from rides.charge_runs").fetchone()
        assert open_ is not None and runs is not None and open_[0] == runs[0] == 0
        trial = ledger.trial_balance(tx)
        for unit in fares:
            rows = [one for one in trial.rows if one.currency == unit]
            assert sum(one.debits_posted - one.credits_posted for one in rows) == 0, unit
            positions = sum(
                one.credits_posted - one.debits_posted
                for one in rows
                if one.code is ledger.AccountCode.POSITION
            )
            assert positions == fares[unit], (unit, positions, fares[unit])
    print(
        f"books: {done:,} journeys, all priced and posted; "
        + ", ".join(f"{k} {int(v):,}" for k, v in fares.items())
    )


def questions(ctx: Any, count: int) -> dict[str, Any]:
    """Single fare questions through the database, of any stops, hours and classes."""
    dice = np.random.default_rng(5)
    asked = ("hong-kong-mtr", "beijing-subway", "london-tfl")
    took: list[float] = []
    for number in range(count):
        operator_id = asked[number % 3]
        stops = stops_of(operator_id)
        one, other = dice.choice(len(stops), 2, replace=False).tolist()
        at = datetime.combine(FIRST_DAY, datetime.min.time(), tariff_of(operator_id).zone_info) + timedelta(
            minutes=int(dice.integers(360, 1_380))
        )
        question = rides.Question(operator_id, stops[one], stops[other], at, ("adult", "child")[number % 2])
        began = time.perf_counter()
        with ctx.tx() as tx:
            rides.ask(tx, question)
        took.append((time.perf_counter() - began) * 1_000)
    p50, p95 = np.percentile(took, [50, 95]).tolist()
    print(f"a fare question: {p50:.2f} ms, p95 {p95:.2f} ms, the first {took[0]:.0f} ms")
    return {"question_p95_ms": {"value": round(p95, 2), "unit": "ms"}}


# -- pricing --------------------------------------------------------------------------------------------------


def pricing(count: int) -> dict[str, Any]:
    """Fares by the column against the plain engine on the same rides, tariff by tariff."""
    print(
        f"\n{'pricing':<18}{'rides':>11}{'rides/s':>13}{'of processor':>14}{'with steps':>13}{'plain':>10}{'ratio':>8}"
    )
    whole = spent = worked = told = plain_spent = plain_rides = 0.0
    for operator_id in OPERATORS:
        pricer = Pricer(tariff_of(operator_id), network_of(operator_id))
        columnar = columnar_for(pricer)
        assert columnar is not None
        took = work = steps = 0.0
        done, seed = 0, 0
        first: RideColumns | None = None
        while done < count:
            own = days_of(operator_id, min(100_000, count), seed)
            began, worked_at = time.perf_counter(), time.process_time()
            priced = columnar.price(own)
            took += (priced_at := time.perf_counter()) - began
            work += time.process_time() - worked_at
            priced.told()
            steps += time.perf_counter() - priced_at
            done, seed, first = done + len(own), seed + 1, first or own
        assert first is not None
        plain_count, plain_took = hold_equal(pricer, columnar, first, min(10_000, count))
        print(
            f"{operator_id:<18}{done:>11,}{done / took:>13,.0f}{done / work:>14,.0f}{done / (took + steps):>13,.0f}"
            f"{plain_count / plain_took:>10,.0f}{done / took / (plain_count / plain_took):>8.1f}",
            flush=True,
        )
        whole, spent, told, worked = whole + done, spent + took, told + steps, worked + work
        plain_rides, plain_spent = plain_rides + plain_count, plain_spent + plain_took
    value, plain = whole / spent, plain_rides / plain_spent
    print(
        f"{'all':<18}{int(whole):>11,}{value:>13,.0f}{whole / worked:>14,.0f}{whole / (spent + told):>13,.0f}"
        f"{plain:>10,.0f}{value / plain:>8.1f}"
    )
    return {
        "value": round(value),
        "unit": "rides/s",
        "baseline": "plain_engine",
        "ratio": round(value / plain, 1),
        "of_processor_time": round(whole / worked),
        "with_steps": round(whole / (spent + told)),
    }


def hold_equal(pricer: Pricer, columnar: Columnar, own: RideColumns, riders: int) -> tuple[int, float]:
    """Price the first riders' days both ways; how many rides, and seconds of the plain way."""
    edge = int(np.searchsorted(own.riders, riders))
    days: list[list[Any]] = [[] for _ in range(riders)]
    for ride in range(edge):
        days[int(own.riders[ride])].append(own.journey(ride, UUID(int=ride + 1)))
    began = time.perf_counter()
    fares = [fare for day in days for fare in pricer.price_day(day, Counters())]
    took = time.perf_counter() - began
    priced = columnar.price(own)
    for ride, fare in enumerate(fares):
        assert priced.fare(ride, UUID(int=ride + 1)) == fare, (ride, fare)
    return edge, took


def growth(*, short: bool) -> dict[str, Any]:
    """How the cost of a ride grows with riders, with rides of a rider's day, and with rules of the tariff.

    Nanoseconds of processor time a ride, of a second call and of a first with nothing known; and how many times the
    second is that of the first case of its group.
    """
    count = 60_000 if short else 400_000
    riders = round(count / 2.5)
    london, beijing, toronto = "london-tfl", "beijing-subway", "toronto-ttc"
    made: list[tuple[str, str, str, Callable[[int], Tariff], Sequence[int]]] = [
        ("caps", "caps, one in another", london, london_with, (0, 1, 5, 10)),
        ("caps apart", "caps apart", london, with_caps_apart, (1, 2, 4, 8)),
        ("transfers", "transfers", toronto, with_transfers, (1, 2, 4, 8)),
        ("tiers", "tiers", beijing, with_tiers, (1, 4, 16)),
        ("bands", "bands", beijing, with_bands, (5, 25, 125)),
        ("fees", "fees", london, with_fees, (0, 1, 4)),
    ]
    cases: list[tuple[str, str, Tariff, str, int, float]] = [
        ("riders", f"{number:,} riders", tariff_of(london), london, number, 2.5)
        for number in (count // 100, count // 10, count)
    ]
    cases += [
        ("rides", f"{each:.0f} rides each", tariff_of(london), london, round(count / each), each)
        for each in (1.0, 4.0, 16.0)
    ]
    cases += [
        (group, f"{number} {name}", make(number), operator_id, riders, 2.5)
        for group, name, operator_id, make, numbers in made
        for number in numbers
    ]
    print(f"\n{'cost of a ride, ns':<24}{'rides':>11}{'known':>10}{'first time':>12}{'times':>8}")
    told: dict[str, Any] = {}
    firsts: dict[str, float] = {}
    for group, name, tariff, operator_id, number, each in cases:
        columnar = columnar_for(Pricer(tariff, network_of(operator_id)))
        assert columnar is not None, name
        own = days_of(operator_id, number, 3, rides_each=each)
        took: list[float] = []
        for _ in range(4):
            began = time.process_time()
            columnar.price(own)
            took.append((time.process_time() - began) / len(own) * 1e9)
        known = min(took[1:])
        firsts.setdefault(group, known)
        times = known / firsts[group]
        told[name] = {"ns": round(known), "first_ns": round(took[0]), "times": round(times, 2)}
        print(f"{name:<24}{len(own):>11,}{known:>10,.0f}{took[0]:>12,.0f}{times:>8.2f}", flush=True)
    return told


def london_with(caps: int) -> Tariff:
    """London's tariff with the first so many of its caps: five of a day, then five of a week."""
    source = tariff_of("london-tfl").source
    before, *tables = source.toml.split("[[cap]]")
    rest = tables[-1][tables[-1].index("[journey]") :]
    kept = [table.split("[journey]")[0] for table in tables[:caps]]
    return read_source(TariffSource("[[cap]]".join([before, *kept]) + rest, source.tables))


def with_rules(operator_id: str, rules: str, *, instead_of: str = "") -> Tariff:
    """An operator's tariff with rules added, or with others in place of all tables of a name."""
    source = tariff_of(operator_id).source
    kept: list[str] = []
    leaving = False
    for line in source.toml.splitlines():
        if line.startswith("["):
            leaving = bool(instead_of) and line.strip("[]").split(".")[0].strip("]") == instead_of
        if not leaving:
            kept.append(line)
    return read_source(TariffSource("\n".join([*kept, rules]), source.tables))


def with_caps_apart(count: int) -> Tariff:
    """Caps of which none lies in another: every choice of them is a cover, 2 to the power of their number."""
    caps = [
        f'[[cap]]\nperiod = "day"\nname = "{place}"\nproducts = ["metro", "p{place}"]\namount = "{9 + place}.00"\n'
        for place in range(count)
    ]
    return with_rules("london-tfl", "".join(caps), instead_of="cap")


def with_transfers(count: int) -> Tariff:
    """Transfers that take off less and less, the longer ago the first ride was."""
    rules = [
        f'[[transfer]]\nwindow_from = "first_tap"\nwindow_minutes = {20 * (place + 1)}\npercent = {10 * place}\n'
        for place in range(count)
    ]
    return with_rules("toronto-ttc", "".join(rules), instead_of="transfers")


def with_tiers(count: int) -> Tariff:
    """Monthly tiers that rides of one day reach."""
    tiers = [
        f'[[tier]]\nperiod = "month"\nfrom = "{2 * place + 3}.00"\npercent = {95 - 5 * place}\n'
        for place in range(count)
    ]
    return with_rules("beijing-subway", "".join(tiers), instead_of="tier")


def with_bands(count: int) -> Tariff:
    """Bands of equal length to 50 km."""
    bands = [
        f'[[basis.band]]\nup_to_m = {50_000 // count * (place + 1)}\nfare = "{3 + place // 20}.{5 * place % 100:02d}"\n'
        for place in range(count)
    ]
    rest = '[basis.beyond]\nevery_m = 20000\nadd = "1.00"\n'
    basis = '[basis]\nkind = "distance"\n' + "".join(bands) + rest
    return with_rules("beijing-subway", basis, instead_of="basis")


def with_fees(count: int) -> Tariff:
    """Fees once a day, each at some stops, beside London's caps."""
    stops = stops_of("london-tfl")
    fees = [
        f'[[fee]]\nname = "{place}"\nper = "day"\nstops = ["{stops[place]}", "{stops[place + 20]}"]\namount = "0.50"\n'
        for place in range(count)
    ]
    return with_rules("london-tfl", "".join(fees))


if __name__ == "__main__":
    main()
