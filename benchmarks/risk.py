"""Taps per second through the rules of risk: remembered, judged, cases opened, committed.

    python benchmarks/risk.py [--short]

``watch``: a day of taps in order of time, in batches as the watcher reads them; each tap finds its account's memory,
and all rules judge it again. Baseline ``one_at_a_time``: the same work on the same database, a transaction for each
tap. Reading from the rooms that keep the taps is not in it.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from uuid import UUID

from hansa import atlas, risk
from hansa.apps.open import opened
from hansa.kernel import FixedClock, fact_id
from hansa.risk import Heard, Seen
from hansa.store import Context

CITIES = ("london", "beijing", "hong-kong")
BATCH = 5_000
MORNING = datetime(2026, 11, 17, 6, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a smaller day, for a quick look")
    short = parser.parse_args().short
    riders, singles = (5_000, 200) if short else (40_000, 1_000)
    clock = FixedClock(MORNING + timedelta(days=1))
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with opened(Path(folder) / "home", clock=clock) as ctx:
            with ctx.tx() as tx:
                for city_id in CITIES:
                    atlas.import_city(tx, atlas.read_city(atlas.city_folder(city_id)))
                stops = {city_id: sorted(atlas.get_network(tx, city_id).stops) for city_id in CITIES}
            day = a_day(stops, riders, first=0)
            evening = a_day(stops, singles, first=riders)[:singles]
            batched = hear(ctx, [day[i : i + BATCH] for i in range(0, len(day), BATCH)])
            single = hear(ctx, [[one] for one in evening])
            with ctx.tx() as tx:
                cases = sum(one.open for one in risk.count_cases(tx))
    print(f"{'path':<22}{'taps':>9}{'taps/s':>12}")
    print(f"{'in batches':<22}{len(day):>9,}{batched:>12,.0f}")
    print(f"{'one at a time':<22}{len(evening):>9,}{single:>12,.0f}")
    print(f"cases opened: {cases:,}")
    ratio = round(batched / single, 2)
    result = {"value": round(batched, 1), "unit": "taps/s", "baseline": "one_at_a_time", "ratio": ratio}
    print(json.dumps({"watch": result}))


def a_day(stops: dict[str, list[str]], riders: int, *, first: int) -> list[Heard]:
    """Four taps of each rider, in order of time. One rider in 500 has a second phone with the same key."""
    dice = Random(first)
    facts: list[tuple[datetime, Heard]] = []
    for number in range(first, first + riders):
        account = fact_id(None, "hansa.benchmark.risk", number)
        city_id = CITIES[number % len(CITIES)]
        home, work = dice.sample(stops[city_id], 2)
        at = MORNING + timedelta(seconds=dice.randint(0, 14_000))
        back = at + timedelta(hours=8, seconds=dice.randint(0, 5_000))
        ride = timedelta(minutes=45)
        counters = (1, 2, 1, 2) if number % 500 == 0 else (1, 2, 3, 4)
        for counter, moment, stop, action in zip(
            counters,
            (at, at + ride, back, back + ride),
            (home, work, work, home),
            ("entry", "exit", "entry", "exit"),
            strict=True,
        ):
            facts.append((moment, _heard(account, number, city_id, stop, action, moment, counter)))
    facts.sort(key=lambda fact: fact[0])
    return [heard for _, heard in facts]


def _heard(
    account: UUID, number: int, city_id: str, stop: str, action: str, at: datetime, counter: int
) -> Heard:
    gate_id = f"{stop}/{action}"
    tap = Seen(
        tap_id=fact_id(at, gate_id, number, counter),
        gate_id=gate_id,
        operator_id=f"{city_id}-rail",
        city_id=city_id,
        station=stop,
        action=action,
        at=at,
        kid="00000001",
        cti=f"{number:016x}",
        companion=0,
        counter=counter,
        made_at=at,
        list_version=1,
        received_at=at,
    )
    return Heard(account, (tap,))


def hear(ctx: Context, loads: Sequence[Sequence[Heard]]) -> float:
    """Taps per second of wall time, until the last is judged and committed."""
    watcher = risk.Watcher(risk.LEAGUE_FEED, risk.LEAGUE_HANDS)
    started = perf_counter()
    for load in loads:
        watcher.hear(ctx, load)
    return sum(len(load) for load in loads) / (perf_counter() - started)


if __name__ == "__main__":
    main()
