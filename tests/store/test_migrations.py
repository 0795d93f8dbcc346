"""Migrations go forward only, once, whole, and in order."""

import threading
from pathlib import Path

import psycopg
import pytest

from hansa.apps.rooms import migrate_all
from hansa.store import Context, MigrationRefused, StoreBusy, migrate
from scratch import ScratchServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The SQL folder of a room named ``parks``, with its first file."""
    folder = tmp_path / "parks" / "sql"
    folder.mkdir(parents=True)
    (folder / "0001_parks.sql").write_text(
        "create schema parks;\ncreate table parks.bench (id int primary key);\n"
    )
    return folder


def _tables(ctx: Context) -> list[str]:
    with ctx.tx() as tx:
        rows = tx.execute("select tablename from pg_tables where schemaname = 'parks' order by 1").fetchall()
    return [str(row[0]) for row in rows]


def test_migrating_again_applies_nothing(committed_ctx: Context, folder: Path) -> None:
    first = migrate(committed_ctx.url, [folder])
    second = migrate(committed_ctx.url, [folder])

    assert (first, second) == (["0001_parks"], [])


def test_all_rooms_are_migrated_by_the_template(
    committed_ctx: Context, scratch_server: ScratchServer
) -> None:
    if scratch_server.broken:
        pytest.skip("a room's own tests tell what is wrong with its SQL")

    assert migrate_all(committed_ctx.url) == []


def test_a_percent_sign_and_several_statements_stay_as_written(committed_ctx: Context, folder: Path) -> None:
    (folder / "0002_signs.sql").write_text(
        "create table parks.sign (text text primary key check (text like '%s' or text like '%%a'));\n"
        "-- a comment; with a semicolon\n"
        "create function parks.half(whole int) returns int language sql as $$ select whole / 2; $$;\n"
    )

    migrate(committed_ctx.url, [folder])

    with committed_ctx.tx() as tx:
        assert tx.execute("select parks.half(10)").fetchone() == (5,)


def test_a_file_that_fails_half_way_leaves_nothing_and_the_mended_one_applies(
    committed_ctx: Context, folder: Path
) -> None:
    second = folder / "0002_paths.sql"
    second.write_text("create table parks.path (id int primary key);\nselect nothing from nowhere;\n")

    with pytest.raises(MigrationRefused, match=r"0002_paths.sql.*nowhere"):
        migrate(committed_ctx.url, [folder])
    left = _tables(committed_ctx)
    second.write_text("create table parks.path (id int primary key);\n")
    applied = migrate(committed_ctx.url, [folder])

    assert left == ["bench"]
    assert applied == ["0002_paths"]
    assert _tables(committed_ctx) == ["bench", "path"]


def test_an_edited_file_is_refused_and_changes_nothing(committed_ctx: Context, folder: Path) -> None:
    migrate(committed_ctx.url, [folder])
    (folder / "0001_parks.sql").write_text(
        "create schema parks;\ncreate table parks.lake (id int primary key);\n"
    )

    with pytest.raises(MigrationRefused, match="edited"):
        migrate(committed_ctx.url, [folder])

    assert _tables(committed_ctx) == ["bench"]


def test_a_database_of_a_newer_hansa_is_refused(committed_ctx: Context, folder: Path) -> None:
    (folder / "0002_paths.sql").write_text("create table parks.path (id int primary key);\n")
    migrate(committed_ctx.url, [folder])
    (folder / "0002_paths.sql").unlink()

    with pytest.raises(MigrationRefused, match="newer"):
        migrate(committed_ctx.url, [folder])


def test_a_file_does_not_slip_in_before_an_applied_one(committed_ctx: Context, folder: Path) -> None:
    (folder / "0003_paths.sql").write_text("create table parks.path (id int primary key);\n")
    migrate(committed_ctx.url, [folder])
    (folder / "0002_lakes.sql").write_text("create table parks.lake (id int primary key);\n")

    with pytest.raises(MigrationRefused, match="next number"):
        migrate(committed_ctx.url, [folder])

    assert _tables(committed_ctx) == ["bench", "path"]


@pytest.mark.parametrize("name", ["2_paths.sql", "0002 paths.sql", "0002_Paths.sql", "paths.sql"])
def test_a_file_without_a_proper_number_is_refused(committed_ctx: Context, folder: Path, name: str) -> None:
    (folder / name).write_text("select 1;\n")

    with pytest.raises(MigrationRefused, match="four digits"):
        migrate(committed_ctx.url, [folder])

    assert _tables(committed_ctx) == []


def test_several_processes_that_start_at_once_apply_each_file_once(
    committed_ctx: Context, folder: Path
) -> None:
    (folder / "0002_paths.sql").write_text(
        "select pg_sleep(0.05);\ncreate table parks.path (id int primary key);\n"
    )
    applied: list[str] = []

    def run() -> None:
        applied.extend(migrate(committed_ctx.url, [folder]))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(applied) == ["0001_parks", "0002_paths"]


def test_a_migration_does_not_make_the_city_wait_behind_it(
    committed_ctx: Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(committed_ctx.url, [folder])
    monkeypatch.setattr("hansa.store.migrations.DO_NOT_BLOCK_THE_CITY", "set local lock_timeout = '50ms'")
    (folder / "0002_color.sql").write_text("alter table parks.bench add column color text;\n")

    with psycopg.connect(committed_ctx.url) as reader:
        reader.execute("select * from parks.bench")
        with pytest.raises(StoreBusy):
            migrate(committed_ctx.url, [folder])

    assert migrate(committed_ctx.url, [folder]) == ["0002_color"]
