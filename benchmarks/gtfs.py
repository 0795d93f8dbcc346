"""What reading a large feed takes, beside reading the same rows by Python's csv module.

    python benchmarks/gtfs.py [--short]

A made-up feed of 20,000 stops, 4,000 of them stations, with shapes and Fares v2: 5 million stop times; 500,000 with
--short. check: every check of the report. read: the same and the network built, as an import does. Baseline of both:
every row of every file of the same zip through ``csv.reader``, with nothing looked at. Each runs in a process of its
own, so that its peak of memory is its own; seconds are processor time. fare_question_us: one Fares v2 leg on that feed,
in the middle of a thousand. The last line is one line of JSON.
"""

import argparse
import csv
import io
import json
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter_ns, process_time
from typing import Any

from hansa import atlas
from hansa.rides import faresv2

STOPS, STATIONS, ROUTES, CALLS = 20_000, 4_000, 1_000, 25
CITY = atlas.City("large", "Large", "Large", "DE", "Europe/Berlin", "EUR", time(3), "Made up.")


def make_feed(path: Path, stop_times: int) -> None:
    """A feed as a zip, written row by row."""
    dice = Random(11)
    trips = stop_times // CALLS
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def write(name: str, head: str, rows: Any) -> None:
            with archive.open(name, "w", force_zip64=True) as raw, io.TextIOWrapper(raw, "utf-8") as out:
                out.write(head + "\n")
                out.writelines(row + "\n" for row in rows)

        def place(number: int) -> str:
            return f"{50 + number % 141 * 0.004:.5f},{8 + number // 141 * 0.006:.5f}"

        write(
            "agency.txt",
            "agency_id,agency_name,agency_url,agency_timezone",
            ["a,Large,https://large.example,Europe/Berlin"],
        )
        write(
            "stops.txt",
            "stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station,zone_id",
            [f"S{n},Station {n},{place(n)},1,,{n % 9}" for n in range(STATIONS)]
            + [
                f"s{n},Stop {n},{place(n)},0,{f'S{n}' if n < STATIONS else ''},{n % 9}"
                for n in range(STOPS - STATIONS)
            ],
        )
        write(
            "routes.txt",
            "route_id,route_short_name,route_type,network_id",
            (f"r{n},{n},3,n{n % 4}" for n in range(ROUTES)),
        )
        write(
            "calendar.txt",
            "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date",
            ["w,1,1,1,1,1,1,1,20260101,20271231"],
        )
        ways = [dice.sample(range(STOPS - STATIONS), CALLS) for _ in range(ROUTES)]
        write(
            "shapes.txt",
            "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence",
            (f"h{route},{place(stop)},{at}" for route, way in enumerate(ways) for at, stop in enumerate(way)),
        )
        write(
            "trips.txt",
            "route_id,service_id,trip_id,direction_id,shape_id",
            (f"r{n % ROUTES},w,t{n},0,h{n % ROUTES}" for n in range(trips)),
        )
        clocks = [f"{5 + minute // 60:02}:{minute % 60:02}:00" for minute in range(20 * 60 + 2 * CALLS)]
        write(
            "stop_times.txt",
            "trip_id,arrival_time,departure_time,stop_id,stop_sequence",
            (
                f"t{trip},{clocks[trip % 1200 + 2 * at]},{clocks[trip % 1200 + 2 * at]},s{stop},{at}"
                for trip in range(trips)
                for at, stop in enumerate(ways[trip % ROUTES])
            ),
        )
        write("areas.txt", "area_id,area_name", (f"z{n},Zone {n}" for n in range(9)))
        write("stop_areas.txt", "area_id,stop_id", (f"z{n % 9},s{n}" for n in range(STOPS - STATIONS)))
        write(
            "fare_products.txt", "fare_product_id,amount,currency", (f"p{n},{n + 1}.00,EUR" for n in range(9))
        )
        write(
            "fare_leg_rules.txt",
            "leg_group_id,network_id,from_area_id,to_area_id,fare_product_id",
            (
                f"g,n{network},z{a},z{b},p{abs(a - b)}"
                for network in range(4)
                for a in range(9)
                for b in range(9)
            ),
        )


def by_csv(path: Path) -> int:
    """Every row of every file, read and dropped."""
    rows = 0
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
                rows += sum(1 for _ in csv.reader(text))
    return rows


def by_check(path: Path) -> int:
    report = atlas.check_gtfs(path, city=CITY)
    assert report.ok, report.as_text()
    return sum(report.rows.values())


def by_read(path: Path) -> int:
    read = atlas.read_gtfs(path, city=CITY, operator_id="large")
    assert read.report is not None and len(read.city_file.stops) > STATIONS
    return sum(read.report.rows.values())


WAYS: dict[str, Callable[[Path], int]] = {"csv": by_csv, "check": by_check, "read": by_read}


def alone(way: str, path: Path) -> dict[str, float]:
    """What one way takes in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, "--feed", str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def run_way(way: str, path: Path) -> None:
    before = process_time()
    rows = WAYS[way](path)
    seconds = process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "seconds": round(seconds, 2), "memory_mb": round(peak)}))


def fare_question_us(path: Path) -> float:
    """The middle of a thousand questions, one leg each."""
    book = faresv2.FareBook(atlas.read_fares_v2(path))
    dice, at, took = Random(3), datetime(2026, 11, 17, 8, tzinfo=UTC), list[int]()
    for _ in range(1_000):
        start, end = dice.sample(range(STOPS - STATIONS), 2)
        leg = faresv2.Leg(
            f"r{dice.randrange(ROUTES)}", f"s{start}", f"s{end}", at, at + timedelta(minutes=20)
        )
        began = perf_counter_ns()
        faresv2.price(book, [leg])
        took.append(perf_counter_ns() - began)
    return round(median(took) / 1_000, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--feed", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        run_way(asked.way, asked.feed)
        return
    stop_times = 500_000 if asked.short else 5_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.zip"
        make_feed(path, stop_times)
        found = {way: alone(way, path) for way in WAYS}
        question = fare_question_us(path)
        packed_mb = round(path.stat().st_size / 1e6)
    plain = found["csv"]
    figures: dict[str, Any] = {"stop_times": stop_times, "stops": STOPS, "packed_mb": packed_mb}
    for way in ("check", "read"):
        one = found[way]
        figures[way] = {
            "seconds": one["seconds"],
            "rows_per_s": round(one["rows"] / one["seconds"]),
            "baseline_rows_per_s": round(plain["rows"] / plain["seconds"]),
            "ratio": round(one["seconds"] / plain["seconds"], 2),
            "memory_mb": one["memory_mb"],
            "baseline_memory_mb": plain["memory_mb"],
        }
        print(
            f"{way}: {one['seconds']} s for {one['rows']:,} rows, {one['memory_mb']} MB; by csv {plain['seconds']} s"
        )
    figures["fare_question_us"] = question
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
