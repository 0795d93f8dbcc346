"""Rides per second from taps to postings: recording, pairing, pricing, charging, posted and durable.

    python benchmarks/rides.py [--short]

``end_to_end``: the whole path in batches, as the worker runs it. Baseline ``one_ride_at_a_time``: the same calls
on the same database in the same run, each with the two taps of one ride. Cryptography is not in it: see gate.py.
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import perf_counter

from hansa import gate, rides, trust
from hansa.apps.demo.league import League, build_league, settle_people
from hansa.apps.demo.people import Rider
from hansa.apps.demo.run import TAPS_PER_BATCH, batches
from hansa.apps.demo.spec import Spec
from hansa.apps.open import opened
from hansa.kernel import FixedClock, fact_id
from hansa.store import Context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a smaller day, for a quick look")
    short = parser.parse_args().short
    spec = Spec(riders=1_500 if short else 12_000)
    singles = 60 if short else 400
    clock = FixedClock(datetime.combine(spec.day - timedelta(days=1), time(9), UTC))
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with opened(Path(folder) / "home", clock=clock) as ctx:
            league = build_league(ctx, trust.KeyFolder(Path(folder) / "keys"), spec)
            riders = [rider for rider in league.riders(spec) if rider.here != "toronto"]
            settle_people(ctx, league, riders, spec)
            register(ctx, league, riders, clock.at + timedelta(days=2))
            clock.at = datetime.combine(spec.day + timedelta(days=1), time(8), UTC)
            morning = taps_of(league, spec, riders, hour=8)
            evening = taps_of(league, spec, riders[:singles], hour=18)
            batch_rate = ride_all(ctx, [morning])
            single_rate = ride_all(ctx, [evening[i : i + 2] for i in range(0, len(evening), 2)])
    print(f"{'path':<22}{'rides':>9}{'rides/s':>12}")
    print(f"{'in batches':<22}{len(morning) // 2:>9,}{batch_rate:>12,.0f}")
    print(f"{'one ride at a time':<22}{len(evening) // 2:>9,}{single_rate:>12,.0f}")
    print(
        json.dumps(
            {
                "end_to_end": {
                    "value": round(batch_rate, 1),
                    "unit": "rides/s",
                    "baseline": "one_ride_at_a_time",
                    "ratio": round(batch_rate / single_rate, 2),
                }
            }
        )
    )


def register(ctx: Context, league: League, riders: list[Rider], expires_at: datetime) -> None:
    with ctx.tx() as tx:
        rides.register_tokens(
            tx,
            [
                rides.Token(
                    cti=_cti(rider),
                    account_id=rider.account_id,
                    issuer_id=league.facts.role(rider.home).issuer_id,
                    wallet_currency=league.currency(rider.home),
                    rider_class=rider.rider_class,
                    expires_at=expires_at,
                )
                for rider in riders
            ],
        )


def taps_of(league: League, spec: Spec, riders: list[Rider], *, hour: int) -> list[rides.Tap]:
    """An entry and an exit for each rider, in order of rider."""
    taps: list[rides.Tap] = []
    sequences: dict[str, int] = {}
    for number, rider in enumerate(riders):
        machines = league.gates[rider.here]
        entries = [machine for machine in machines if machine.action == "entry"]
        exits = [machine for machine in machines if machine.action == "exit"]
        at = datetime.combine(spec.day, time(hour), UTC) + timedelta(milliseconds=number * 50)
        for machine, moment, counter in (
            (entries[number % len(entries)], at, 2 * hour),
            (exits[(number * 7 + 3) % len(exits)], at + timedelta(minutes=25), 2 * hour + 1),
        ):
            sequence = sequences.get(machine.gate_id, hour * 1_000_000) + 1
            sequences[machine.gate_id] = sequence
            taps.append(
                rides.Tap.from_gate(
                    gate.Tap(
                        tap_id=fact_id(moment, machine.gate_id, sequence),
                        gate_id=machine.gate_id,
                        sequence=sequence,
                        action=machine.action,
                        stop_id=machine.stop_id,
                        tapped_at=moment,
                        cti=_cti(rider),
                        counter=counter,
                        kid=bytes(4),
                        made_at=moment,
                        list_version=1,
                        chain=bytes(32),
                    )
                )
            )
    return taps


def ride_all(ctx: Context, loads: list[list[rides.Tap]]) -> float:
    """Rides per second of wall time, until every charge of every load is posted."""
    started = perf_counter()
    for load in loads:
        for batch in batches(load, TAPS_PER_BATCH):
            receipt = rides.record_taps(ctx, None, batch)
            assert receipt.recorded == len(batch), receipt
        while rides.rate(ctx, limit=2_000).days:
            pass
        while rides.post_charges(ctx, limit=2_000).charges:
            pass
    return sum(len(load) for load in loads) / 2 / (perf_counter() - started)


def _cti(rider: Rider) -> bytes:
    return fact_id(None, "hansa.benchmark.cti", rider.number).bytes[8:]


if __name__ == "__main__":
    main()
