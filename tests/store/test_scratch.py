"""The databases that tests are given: each is as if it were new."""

import psycopg
import pytest

from scratch import Migrated, ScratchServer, look

WHOSE = "select oid from pg_database where datname = current_database()"
ROWS = (
    "insert into audit.acts (act_id, chain, at, actor, action, subject, reason, details)"
    " values (gen_random_uuid(), 'league', now(), 'a', 'b', 'c', 'd', '{}')",
    "insert into audit.waiting (act_id) select gen_random_uuid() from generate_series(1, 3)",
    "delete from trust.versions",
    "update store.migrations set room = upper(room)",
)


def connect(server: ScratchServer, name: str) -> psycopg.Connection:
    return psycopg.connect(server.url_of(name), autocommit=True)


def given_back(server: ScratchServer, *statements: str) -> tuple[Migrated, Migrated, bool]:
    """What a test is given, what the next is after these changes, and whether that is the same database."""
    name = server.make_migrated()
    new = look(server.url_of(name))
    with connect(server, name) as connection:
        before = connection.execute(WHOSE).fetchone()
        for statement in statements:
            connection.execute(statement.encode())
    assert not statements or look(server.url_of(name)) != new
    server.drop(name)
    name = server.make_migrated()
    given = look(server.url_of(name))
    with connect(server, name) as connection:
        after = connection.execute(WHOSE).fetchone()
        number = connection.execute(
            "insert into audit.waiting (act_id) values (gen_random_uuid()) returning seq"
        ).fetchone()
    assert number == (1,)
    server.drop(name)
    return new, given, before == after


def test_rows_of_one_test_are_not_there_for_the_next(scratch_server: ScratchServer) -> None:
    new, given, same = given_back(scratch_server, *ROWS)

    assert given == new and same


@pytest.mark.parametrize(
    "change",
    [
        "create table public.notes (note text)",
        "alter table audit.acts add column note text",
        "alter table audit.acts disable trigger all",
        "create or replace function public.twice(int) returns int language sql as 'select $1 * 2'",
        "do $$ begin execute format('alter database %I set timezone to ''Asia/Tokyo''', current_database()); end $$",
    ],
)
def test_a_schema_that_a_test_changed_is_not_given_to_the_next(
    scratch_server: ScratchServer, change: str
) -> None:
    new, given, same = given_back(scratch_server, change)

    assert given == new and not same


def test_who_is_left_over_from_one_test_cannot_reach_the_next(scratch_server: ScratchServer) -> None:
    name = scratch_server.make_migrated()
    left = connect(scratch_server, name)
    left.execute("begin")
    left.execute("lock table audit.acts")
    scratch_server.drop(name)

    with pytest.raises(psycopg.OperationalError):
        left.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        connect(scratch_server, name)
