"""Cities in the database: imported whole, once, version by version."""

from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import psycopg
import pytest

from hansa import atlas
from hansa.kernel import InvalidInput
from hansa.store import Context

CITIES = ("beijing", "hangzhou", "hong-kong", "london", "toronto")


def counts(ctx: Context) -> tuple[int, ...]:
    with ctx.tx() as tx:
        row = tx.execute("""
            select (select count(*) from atlas.versions), (select count(*) from atlas.stops),
                (select count(*) from atlas.lines), (select count(*) from atlas.calls)
        """).fetchone()
    assert row is not None
    return tuple(row)


def london() -> atlas.CityFile:
    return atlas.read_city(atlas.city_folder("london"))


@pytest.mark.parametrize("city_id", CITIES)
def test_a_city_comes_back_as_it_went_in(ctx: Context, city_id: str) -> None:
    file = atlas.read_city(atlas.city_folder(city_id))

    with ctx.tx() as tx:
        report = atlas.import_city(tx, file)
        network = atlas.get_network(tx, city_id)
        city = atlas.get_city(tx, city_id)

    assert (report.version, report.changed, report.stops) == (1, True, len(file.stops))
    assert city == file.city == network.city
    assert list(network.stops.values()) == sorted(file.stops, key=lambda stop: stop.stop_id)
    assert tuple(network.lines.values()) == file.lines
    assert network.operators == file.operators


def test_the_same_content_again_changes_nothing(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london())
    before = counts(ctx)

    with ctx.tx() as tx:
        report = atlas.import_city(tx, replace(london(), stops=london().stops[::-1]))

    assert (report.version, report.changed) == (1, False)
    assert counts(ctx) == before


def test_new_content_is_a_new_version_and_the_old_one_stays_readable(ctx: Context) -> None:
    first = london()
    stops = (replace(first.stops[0], zone="9"), *first.stops[1:])
    second = replace(first, stops=stops)
    changed_id = stops[0].stop_id

    with ctx.tx() as tx:
        atlas.import_city(tx, first)
        assert atlas.get_network(tx, "london").zone_of(changed_id) == first.stops[0].zone
        report = atlas.import_city(tx, second)
        now, then = atlas.get_network(tx, "london"), atlas.get_network(tx, "london", version=1)

    assert (report.version, report.changed) == (2, True)
    assert (now.version, now.zone_of(changed_id)) == (2, "9")
    assert (then.version, then.zone_of(changed_id)) == (1, first.stops[0].zone)


def test_going_back_to_earlier_content_is_a_version_of_its_own(ctx: Context) -> None:
    other = replace(london(), city=replace(london().city, character="Free."))

    with ctx.tx() as tx:
        versions = [atlas.import_city(tx, file).version for file in (london(), other, london())]

    assert versions == [1, 2, 3]


def test_a_network_is_read_once_and_then_kept(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london())

        assert atlas.get_network(tx, "london") is atlas.get_network(tx, "london")


def test_a_faulty_folder_imports_nothing(ctx: Context, tmp_path: Path) -> None:
    for name in ("city.toml", "stops.csv", "lines.csv"):
        (tmp_path / name).write_bytes((atlas.city_folder("london") / name).read_bytes())
    path = tmp_path / "lines.csv"
    path.write_text(path.read_text() + "london/x,X,metro,#000000,no,no,1,london/nowhere,0\n")
    before = counts(ctx)

    with pytest.raises(InvalidInput):
        atlas.import_city_folder(ctx, tmp_path)

    assert counts(ctx) == before


def test_a_folder_and_a_feed_are_imported_with_a_report(ctx: Context) -> None:
    facts = atlas.read_city_facts(atlas.city_folder("utsunomiya"))

    folder = atlas.import_city_folder(ctx, atlas.city_folder("toronto"))
    feed = atlas.import_gtfs(
        ctx, atlas.gtfs_zip("utsunomiya"), city=facts, operator_id="utsunomiya-lightline"
    )
    again = atlas.import_gtfs(
        ctx, atlas.gtfs_zip("utsunomiya"), city=facts, operator_id="utsunomiya-lightline"
    )

    assert (folder.name, folder.stops, folder.lines) == ("Toronto", 71, 6)
    assert (feed.stops, feed.lines, feed.trips, feed.fares, feed.changed) == (19, 1, 90, 6, True)
    assert (again.version, again.changed) == (1, False)
    with ctx.tx() as tx:
        assert [city.city_id for city in atlas.list_cities(tx)] == ["toronto", "utsunomiya"]


def test_an_unknown_city_is_told(ctx: Context) -> None:
    with ctx.tx() as tx:
        for ask in (atlas.get_city, atlas.get_network, atlas.list_stops, atlas.list_lines):
            with pytest.raises(atlas.UnknownCity) as refused:
                ask(tx, "atlantis")
            assert refused.value.code == "atlas.unknown_city"


def test_a_version_that_never_was_is_told(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london())

        with pytest.raises(atlas.UnknownCity):
            atlas.get_network(tx, "london", version=2)


def test_the_database_refuses_a_stop_of_another_city(ctx: Context) -> None:
    file = london()
    stray = replace(file, stops=(*file.stops, replace(file.stops[0], stop_id="paris/chatelet")))
    before = counts(ctx)

    with pytest.raises(psycopg.errors.CheckViolation, match="stops_id_of_city"), ctx.tx() as tx:
        atlas.import_city(tx, stray)

    assert counts(ctx) == before


def test_imports_at_once_make_one_version(committed_ctx: Context) -> None:
    start = Barrier(4)
    reports: list[atlas.ImportReport] = []

    def run() -> None:
        file = london()
        start.wait()
        with committed_ctx.tx() as tx:
            reports.append(atlas.import_city(tx, file))

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(report.changed for report in reports) == [False, False, False, True]
    assert {report.version for report in reports} == {1}
    assert counts(committed_ctx)[0] == 1
