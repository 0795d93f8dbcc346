"""Versions of a city by day: a new feed holds from its day on; what was priced before keeps what it was priced by."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa import atlas
from hansa.atlas.faresv2 import pack_fares, unpack_fares
from hansa.kernel import InvalidInput, Money
from hansa.store import Context

TODAY = datetime.now(UTC).date()
LONG_AGO, SOON = date(2020, 1, 1), date(TODAY.year + 1, 1, 1)


def london(zone: str) -> atlas.CityFile:
    """London, with the zone of its first stop changed so that versions can be told apart."""
    file = atlas.read_city(atlas.city_folder("london"))
    return replace(file, stops=(replace(file.stops[0], zone=zone), *file.stops[1:]))


FIRST = london("1").stops[0].stop_id


def fares(minor: int) -> atlas.FaresV2:
    return atlas.FaresV2(
        tz="Europe/London",
        leg_rules=(atlas.LegRule(2, "g", None, None, None, None, None, "single"),),
        products=(atlas.ProductPrice(2, "single", "Single", None, None, Money(minor, "GBP")),),
        stop_areas={"a": frozenset({"z2", "z1"})},
        services={"s": atlas.Service((True,) * 7, LONG_AGO, SOON, frozenset({LONG_AGO}))},
    )


def test_a_version_holds_from_its_day_on(ctx: Context) -> None:
    with ctx.tx() as tx:
        reports = [
            atlas.import_city(tx, london("A")),
            atlas.import_city(tx, london("B"), valid_from=LONG_AGO),
            atlas.import_city(tx, london("C"), valid_from=SOON),
        ]

        days = (date(2019, 12, 31), LONG_AGO, TODAY, SOON)
        zones = [atlas.get_network(tx, "london", day=day).zone_of(FIRST) for day in days]
        now = atlas.get_network(tx, "london").zone_of(FIRST)
        kept = atlas.list_versions(tx, "london")

    assert zones == ["A", "B", "B", "C"]
    assert now == "B"
    assert [(report.version, report.valid_from) for report in reports] == [
        (1, date.min),
        (2, LONG_AGO),
        (3, SOON),
    ]
    assert [(one.version, one.valid_from) for one in kept] == [(1, date.min), (2, LONG_AGO), (3, SOON)]


def test_an_import_without_a_day_takes_the_place_of_what_holds_today(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london("A"))
        atlas.import_city(tx, london("B"), valid_from=LONG_AGO)

        report = atlas.import_city(tx, london("C"))

        before = atlas.get_network(tx, "london", day=date(2019, 1, 1)).zone_of(FIRST)
        then = atlas.get_network(tx, "london", day=LONG_AGO).zone_of(FIRST)
        priced_by = atlas.get_network(tx, "london", version=2).zone_of(FIRST)

    assert (report.version, report.valid_from, before, then, priced_by) == (3, LONG_AGO, "A", "C", "B")


def test_the_same_content_for_the_same_day_changes_nothing(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london("A"))
        atlas.import_city(tx, london("B"), valid_from=SOON)
        kept = atlas.list_versions(tx, "london")

        again = atlas.import_city(tx, london("B"), valid_from=SOON)

        assert (again.version, again.changed, again.valid_from) == (2, False, SOON)
        assert atlas.list_versions(tx, "london") == kept


def test_a_city_that_only_begins_later_is_not_there_yet(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london("A"), valid_from=SOON)

        assert atlas.list_cities(tx) == []
        with pytest.raises(atlas.UnknownCity):
            atlas.get_network(tx, "london")
        with pytest.raises(atlas.UnknownCity, match=str(TODAY)):
            atlas.get_network(tx, "london", day=TODAY)
        assert atlas.get_network(tx, "london", day=SOON).zone_of(FIRST) == "A"


def test_fares_of_a_feed_are_kept_with_their_version(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london("A"), fares=fares(280))
        atlas.import_city(tx, london("A"), fares=fares(300), valid_from=SOON)

        now, later = atlas.get_fares_v2(tx, "london"), atlas.get_fares_v2(tx, "london", day=SOON)
        kept = atlas.list_versions(tx, "london")

    assert (now, later) == (fares(280), fares(300))
    assert [one.has_fares_v2 for one in kept] == [True, True]


def test_a_city_without_fares_v2_says_so(ctx: Context) -> None:
    with ctx.tx() as tx:
        atlas.import_city(tx, london("A"))

        assert atlas.get_fares_v2(tx, "london") is None


def test_fares_pack_and_unpack_to_the_same() -> None:
    assert unpack_fares(pack_fares(fares(280))) == fares(280)
    assert pack_fares(fares(280)) == pack_fares(unpack_fares(pack_fares(fares(280))))


def test_a_feed_with_an_error_imports_nothing_and_leaves_what_holds(ctx: Context, tmp_path: Path) -> None:
    city = atlas.read_city_facts(atlas.city_folder("utsunomiya"))
    for file in (atlas.city_folder("utsunomiya") / "gtfs").glob("*.txt"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    atlas.import_gtfs(ctx, tmp_path, city=city, operator_id="utsunomiya-lightline")
    with (tmp_path / "fare_rules.txt").open("a") as stream:
        stream.write("jpy-150,lightline,01,99\n")

    with pytest.raises(InvalidInput):
        atlas.import_gtfs(ctx, tmp_path, city=city, operator_id="utsunomiya-lightline", valid_from=SOON)

    with ctx.tx() as tx:
        assert [one.version for one in atlas.list_versions(tx, "utsunomiya")] == [1]


def test_the_same_content_from_a_later_day_holds_against_what_comes_between(ctx: Context) -> None:
    with ctx.tx() as tx:
        for zone, month in (("A", 1), ("A", 3), ("B", 2)):
            atlas.import_city(tx, london(zone), valid_from=date(2030, month, 1))

        zones = [atlas.get_network(tx, "london", day=date(2030, m, 1)).zone_of(FIRST) for m in (1, 2, 3)]

    assert zones == ["A", "B", "A"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(1, 4)), min_size=1, max_size=6))
def test_of_any_imports_each_day_has_the_latest_begun_and_of_these_the_last_imported(
    ctx: Context, drawn: list[tuple[str, int]]
) -> None:
    first = date(2030, 1, 1)
    told: list[tuple[int, int, str]] = []

    with ctx.tx() as tx:
        tx.execute("savepoint before")
        for number, (zone, day) in enumerate(drawn):
            told.append((day, number, zone))
            atlas.import_city(tx, london(zone), valid_from=first.replace(day=day))

        for day in range(1, 6):
            begun = [one for one in told if one[0] <= day]
            if begun:
                network = atlas.get_network(tx, "london", day=first.replace(day=day))
                assert network.zone_of(FIRST) == max(begun)[2]
        tx.execute("rollback to savepoint before")
